-- pool COUNT SIZE DEPTH: so many tasks to a pool of so many processes, DEPTH in flight for each. A task: a number and 32 bytes.
-- rights:
local mw = require "moonwire"

if mw.parent then -- a worker of the pool is this same script
  return mw.serve {
    double = function(task)
      assert(#task.payload == 32)
      return 2 * task.id + 1
    end,
  }
end

local count, size, depth = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3])
local payload, started, sum = ("x"):rep(32), 0, 0
local pool <close> = assert(mw.process.pool { script = "pool.lua", size = size, min_idle = size, permissions = "none" })

local function lane()
  while started < count do
    local id = started
    started = id + 1
    local value = assert(pool:call("double", { id = id, payload = payload }))
    assert(value == 2 * id + 1, "another result came back")
    sum = sum + value
  end
end

mw.task.scope(function(scope) -- everybody is up
  for i = 1, size do scope:spawn(function() assert(pool:call("double", { id = i, payload = payload })) end) end
end)
local since = mw.time.now()
mw.task.scope(function(scope)
  for _ = 1, size * depth do scope:spawn(lane) end
end)
local seconds = mw.time.now() - since
assert(sum == count * count, "the sum")
print(("result count=%d seconds=%.6f"):format(count, seconds))
