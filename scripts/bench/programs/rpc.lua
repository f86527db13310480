-- rpc serve SOCKET FORMAT: answers calls.   rpc ask SOCKET COUNT DEPTH FORMAT: makes so many calls, so many of them unanswered.
-- FORMAT: json (a line each), msgpack.   add(a, b, text) gives { sum, text }; the text has 32 bytes.
-- rights: --allow-net
local mw = require "moonwire"
local address, now = "unix:" .. arg[2], mw.time.now

local function peer(conn, format)
  if format == "msgpack" then return mw.rpc.msgpack(conn) end
  return mw.rpc.json(conn:framed "lines")
end

if arg[1] == "serve" then
  local server <close> = assert(mw.net.listen(address))
  print "ready"
  return server:serve(function(conn)
    local rpc <close> = peer(conn, arg[3])
    rpc:handle("add", function(p) return { sum = p[1] + p[2], text = p[3] } end)
    rpc:wait()
  end)
end

local count, depth = tonumber(arg[3]), tonumber(arg[4])
local conn <close> = assert(mw.net.connect(address))
local rpc <close> = peer(conn, arg[5])
local took, texts, made = {}, {}, 0
for i = 0, 255 do texts[i] = string.char(65 + i % 26):rep(32) end

local function caller()
  while made < count do
    made = made + 1
    local i, since = made, now()
    local text = texts[i & 255]
    local v = assert(rpc:call("add", { i, 7, text }))
    took[i] = now() - since
    assert(v.sum == i + 7 and v.text == text, "another answer came back")
  end
end

local begun = now()
mw.task.scope(function(scope)
  for _ = 1, depth do scope:spawn(caller) end
end)
local seconds = now() - begun
table.sort(took)
print(("result count=%d seconds=%.6f p50=%.9f p99=%.9f"):format(count, seconds, took[count // 2 + 1], took[count * 99 // 100 + 1]))
