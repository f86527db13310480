-- tls serve|ask stream|handshakes DIR COUNT [PORT]: blocks of 64 KiB one way, or handshakes one after another. DIR has the certificate.
-- rights: --allow-net=127.0.0.1 --allow-read --limit=step=off
local mw = require "moonwire"
local side, what, dir, count, port = arg[1], arg[2], arg[3], tonumber(arg[4]), arg[5]
local BLOCK = 65536
local pattern = {}
for i = 0, 255 do pattern[i + 1] = string.char(i) end
pattern = table.concat(pattern):rep(BLOCK // 256)

local function take(conn) -- the clock begins with the first byte
  local got, byte, total = 0, string.byte, count * BLOCK
  local since
  while got < total do
    local piece = assert(conn:read_some(1 << 20))
    since = since or mw.time.now()
    assert(byte(piece) == got & 255 and byte(piece, -1) == (got + #piece - 1) & 255, "other bytes came than were sent")
    got = got + #piece
  end
  print(("result count=%d seconds=%.6f"):format(count, mw.time.now() - since))
  conn:write "k"
end

if side == "serve" then
  local server <close> = assert(mw.net.listen("tls://127.0.0.1:0", { cert = dir .. "/tls.pem", key = dir .. "/tls.key" }))
  print("ready " .. server:address():match "%d+$")
  if what == "stream" then
    local conn <close> = assert(server:accept())
    return take(conn)
  end
  for _ = 1, count do
    local conn <close> = assert(server:accept())
    conn:write(assert(conn:read_some(1)))
  end
  return
end

local ca = assert(mw.fs.read(dir .. "/tls.pem")) -- once: as a path it would be read for each connection
local address, options = "tls://127.0.0.1:" .. port, { ca = ca, server_name = "localhost", resume = false }
if what == "stream" then
  local conn <close> = assert(mw.net.connect(address, options))
  for _ = 1, count do assert(conn:write(pattern)) end
  assert(conn:read(1) == "k")
  return
end
local begun = mw.time.now()
for _ = 1, count do
  local conn <close> = assert(mw.net.connect(address, options))
  assert(conn:write "x")
  assert(conn:read(1) == "x" and not conn:tls().resumed)
end
print(("result count=%d seconds=%.6f"):format(count, mw.time.now() - begun))
