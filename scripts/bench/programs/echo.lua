-- echo serve SOCKET: answers each frame with itself.   echo ask SOCKET COUNT: asks so often, one at a time.   Frames of 64 bytes.
-- rights: --allow-net
local mw = require "moonwire"
local address, count, now = "unix:" .. arg[2], tonumber(arg[3]), mw.time.now

if arg[1] == "serve" then
  local server <close> = assert(mw.net.listen(address))
  print "ready"
  return server:serve(function(conn)
    local ch = conn:framed "typed"
    for data, kind in ch:messages() do ch:send(data, kind) end
  end)
end

local conn <close> = assert(mw.net.connect(address))
local ch, took, texts = conn:framed "typed", {}, {}
for i = 0, 255 do texts[i] = string.char(i):rep(59) end
local begun = now()
for i = 0, count - 1 do
  local since, text = now(), texts[i & 255]
  ch:send(text, 1 + i % 100)
  local data, kind = ch:recv()
  took[i + 1] = now() - since
  assert(data == text and kind == 1 + i % 100, "another frame came back")
end
local seconds = now() - begun
table.sort(took)
print(("result count=%d seconds=%.6f p50=%.9f p99=%.9f"):format(count, seconds, took[count // 2 + 1], took[count * 99 // 100 + 1]))
