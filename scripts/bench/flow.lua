-- One direction of a Unix socket, COUNT messages of 64 bytes: what `scripts/bench/count` measures.
-- rights: --allow-net
local mw = require "moonwire"

local what, address, count = arg[1], arg[2], tonumber(arg[3])
local typed, line = mw.frame.new { protocol = "typed" }, ("x"):rep(63)
local payload = line .. "\n"

local flow = {}

function flow.send(conn)
  local ch = conn:framed(typed)
  for _ = 1, count do ch:send(payload, 1) end
  ch:finish()
end

function flow.messages(conn)
  local sum = 0
  for data, kind in conn:framed(typed):messages() do sum = sum + kind + #data end
  assert(sum == count * 65, "not every frame came")
end

function flow.views(conn)
  local sum = 0
  for view, kind in conn:framed(typed):views() do sum = sum + kind + #view end
  assert(sum == count * 65, "not every frame came")
end

function flow.write(conn)
  for _ = 1, count do conn:write(line, "\n") end
  conn:finish()
end

function flow.lines(conn)
  local sum = 0
  for got in conn:lines() do sum = sum + #got end
  assert(sum == count * 63, "not every line came")
end

function flow.discard(conn)
  while conn:read_some(1 << 16) do end
end

-- The other side of each.
local answers = { send = "discard", write = "discard", messages = "send", views = "send", lines = "write" }

if arg[4] == "peer" then
  local server <close> = assert(mw.net.listen(address))
  print "ready"
  local conn <close> = assert(server:accept())
  flow[answers[what]](conn)
else
  local conn <close> = assert(mw.net.connect(address))
  flow[what](conn)
  conn:finish()
  conn:read_some(1) -- until the peer has taken it all
end
