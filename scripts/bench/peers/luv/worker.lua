-- worker ask COUNT: asks a worker so often, one message at a time.   worker send COUNT: sends it so many, one way.
-- A message: a kind, a number and 64 bytes. luv has no message port: a thread with a loop of its own, and frames over a socket pair.
package.path = arg[0]:gsub("[^/]*$", "?.lua;") .. package.path
local common = require "common"

local function side(fd, want) -- in a Lua state of its own: nothing of what is around it is seen here
  local uv = require "luv"
  local pack, unpack, sub = string.pack, string.unpack, string.sub
  local pipe, rest, count, sum, bytes = uv.new_pipe(false), "", 0, 0, 0
  pipe:open(fd)
  pipe:read_start(function(_, data)
    if not data then return pipe:close() end
    if rest ~= "" then data = rest .. data end
    local at, size = 1, #data
    while size - at >= 3 do
      local len = unpack("<I4", data, at)
      if at + 3 + len > size then break end
      local kind, id, text = unpack("<s1I4s2", data, at + 4)
      if kind == "ping" then
        pipe:write(pack("<s4", pack("<s1I4s2", "pong", id, text)))
      else
        count, sum, bytes = count + 1, sum + id, bytes + #text
        if count == want then pipe:write(pack("<s4", pack("<I8I8I8", count, sum, bytes))) end
      end
      at = at + 4 + len
    end
    rest = at > size and "" or sub(data, at)
  end)
  uv.run()
end

local uv = require "luv"
local pack, unpack, sub = string.pack, string.unpack, string.sub
local what, count, payload = arg[1], tonumber(arg[2]), ("p"):rep(64)
local pair = uv.socketpair("stream", nil, { nonblock = true }, { nonblock = true })
local thread = uv.new_thread(side, pair[2], count)
local pipe, rest, begun, took, id = uv.new_pipe(false), "", uv.hrtime(), {}, 0
pipe:open(pair[1])

local function on_message(use)
  pipe:read_start(function(_, data)
    if not data then return end
    if rest ~= "" then data = rest .. data end
    if #data < 4 or #data < 4 + unpack("<I4", data) then
      rest = data
      return
    end
    rest = ""
    use(sub(data, 5))
  end)
end

if what == "ask" then
  local since
  local function ask()
    since = uv.hrtime()
    pipe:write(pack("<s4", pack("<s1I4s2", "ping", id, payload)))
  end
  on_message(function(message)
    local kind, n, text = unpack("<s1I4s2", message)
    took[id + 1] = (uv.hrtime() - since) / 1e9
    assert(kind == "pong" and n == id and #text == 64, "another message came back")
    id = id + 1
    if id < count then return ask() end
    local seconds = common.seconds_since(begun)
    table.sort(took)
    print(("result count=%d seconds=%.6f p50=%.9f p99=%.9f"):format(count, seconds, took[count // 2 + 1], took[count * 99 // 100 + 1]))
    pipe:close()
  end)
  ask()
else
  local BATCH, flying = 512, 0 -- messages in a write; writes that wait
  local pump
  local function gone()
    flying = flying - 1
    pump()
  end
  function pump()
    while flying < 4 and id < count do
      local batch = {}
      for i = 1, math.min(BATCH, count - id) do
        batch[i] = pack("<s4", pack("<s1I4s2", "data", id, payload))
        id = id + 1
      end
      flying = flying + 1
      pipe:write(table.concat(batch), gone)
    end
  end
  on_message(function(message)
    local n, sum, bytes = unpack("<I8I8I8", message)
    local seconds = common.seconds_since(begun)
    assert(n == count and sum == count * (count - 1) // 2 and bytes == 64 * count, "other messages arrived")
    print(("result count=%d seconds=%.6f"):format(count, seconds))
    pipe:close()
  end)
  pump()
end
uv.run()
thread:join()
