-- worker ask COUNT: asks a worker so often, one message at a time.   worker send COUNT: sends it so many, one way.
-- A message: { type, id, payload }, the payload 64 bytes.
-- rights:
local mw = require "moonwire"
local now = mw.time.now

if mw.parent then -- the worker is this same script
  local parent, count, sum, bytes, want = mw.parent, 0, 0, 0, nil
  for m in parent:messages() do
    if m.type == "ping" then
      m.type = "pong"
      parent:send(m)
    elseif m.type == "count" then
      want = m.count
      parent:send "ready"
    else
      count, sum, bytes = count + 1, sum + m.id, bytes + #m.payload
      if count == want then parent:send { count = count, sum = sum, bytes = bytes } end
    end
  end
  return
end

local count, payload = tonumber(arg[2]), ("p"):rep(64)
local worker <close> = assert(mw.worker.spawn("worker.lua", { permissions = "none" }))

if arg[1] == "ask" then
  local took, begun = {}, now()
  for i = 1, count do
    local since = now()
    worker:send { type = "ping", id = i, payload = payload }
    local m = assert(worker:recv())
    took[i] = now() - since
    assert(m.type == "pong" and m.id == i and #m.payload == 64, "another message came back")
  end
  local seconds = now() - begun
  table.sort(took)
  print(("result count=%d seconds=%.6f p50=%.9f p99=%.9f"):format(count, seconds, took[count // 2 + 1], took[count * 99 // 100 + 1]))
else
  worker:send { type = "count", count = count }
  assert(worker:recv() == "ready")
  local begun = now()
  for i = 1, count do worker:send { type = "data", id = i, payload = payload } end
  local m = assert(worker:recv())
  local seconds = now() - begun
  assert(m.count == count and m.sum == count * (count + 1) // 2 and m.bytes == 64 * count, "other messages arrived")
  print(("result count=%d seconds=%.6f"):format(count, seconds))
end
