-- A binary protocol over a socket: a type (u8), a length (u32, little-endian), and the data.
-- rights: --allow-net=127.0.0.1
--
-- This script is both ends. It listens, and runs itself again as each client, in a process of its own which may do
-- nothing but connect to that one port.
local mw = require "moonwire"

local GREET, SUM = 1, 2
local protocol = mw.frame.new { header = "<B I4", length = 2, max = "1MiB" }

-- The client: its arguments are the server's address and what to send.
if arg[1] then
  local conn <close> = assert(mw.net.connect(arg[1], { timeout = 5 }))
  local broken = { -- one good frame each, and then:
    huge = protocol:encode("x", GREET) .. "\1\255\255\255\255",         -- a length of 2^32-1 bytes
    cut_data = protocol:encode("x", GREET) .. "\1\5\0\0\0he",           -- the end, inside the data
    cut_header = protocol:encode("x", GREET) .. "\1\5",                 -- the end, inside the header
    unknown = protocol:encode("x", GREET) .. protocol:encode("x", 99),  -- a type that nobody knows
  }
  if broken[arg[2]] then
    assert(assert(conn:write(broken[arg[2]])):finish())
    local answers = assert(conn:read "a")
    assert(answers == protocol:encode("Hello, x!", GREET), "the good frame was not answered")
    return
  end

  local ch = conn:framed(protocol)
  assert(ch:send("moonwire", GREET))
  local text, kind = ch:recv { timeout = 5 }
  assert(text == "Hello, moonwire!" and kind == GREET)
  print(text)

  assert(ch:send(string.pack("<i4 i4 i4", 1, 20, -300), SUM))
  local sum = assert(ch:recv { timeout = 5 })
  print("the sum is " .. string.unpack("<i8", sum))

  assert(ch:finish())
  assert(ch:recv { timeout = 5 } == nil) -- the server has seen our end, and ends too
  return
end

-- Encode and decode, without a socket: every cut of a frame is "not yet", with the number of bytes that are missing.
local bytes = assert(protocol:encode("payload", 7))
assert(bytes == "\7\7\0\0\0payload")
local data, kind, used = protocol:decode(bytes)
assert(data == "payload" and kind == 7 and used == #bytes)
for n = 0, #bytes - 1 do
  local none, err = protocol:decode(bytes:sub(1, n))
  assert(none == nil and err.code == "EAGAIN" and n + err.data.need <= #bytes)
end

-- The server answers each frame. Gives how the connection ended, in a word or two.
local function answer(ch)
  while true do
    local got, what = ch:recv { timeout = 5 }
    if not got and not what then
      return "clean end"
    elseif not got then
      return what.code .. " " .. what.data.why -- here `what` is the error
    elseif what == GREET then
      assert(ch:send("Hello, " .. got .. "!", GREET))
    elseif what == SUM then
      local sum = 0
      for i = 1, #got, 4 do sum = sum + string.unpack("<i4", got, i) end
      assert(ch:send(string.pack("<i8", sum), SUM))
    else
      return "unknown type " .. what
    end
  end
end

local ending
local server <close> = assert(mw.net.listen "tcp://127.0.0.1:0")
mw.task.spawn_with({ daemon = true }, server.serve, server, function(conn)
  ending = answer(conn:framed(protocol))
end)

local function run_client(what)
  local url = server:address()
  local child = assert(mw.process.script {
    "11_binary_protocol.lua", url, what,
    permissions = { connect = { (url:match "//(.*)") } }, timeout = 20, check = true,
  })
  return child.stdout
end

local printed = run_client "good"
assert(printed == "Hello, moonwire!\nthe sum is -279\n" and ending == "clean end")
io.write(printed)

-- Malformed input: the good frame before it is answered, then the connection is refused, and the server goes on.
local refusals = {
  { "huge", "EFRAME too_large" }, { "cut_data", "EEOF truncated" }, { "cut_header", "EEOF truncated" },
  { "unknown", "unknown type 99" },
}
for _, refusal in ipairs(refusals) do
  local what, why = table.unpack(refusal)
  run_client(what)
  assert(ending == why, what .. " ended with " .. tostring(ending))
  print(what .. " was refused: " .. ending)
end
assert(run_client "good" == printed)
