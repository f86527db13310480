-- A pool of processes: four workers, a thousand tasks, some of which crash and some of which take too long.
-- rights:
local mw = require "moonwire"

if mw.parent then -- a worker of the pool is this same script
  return mw.serve{
    square = function(n)
      if n % 250 == 0 then os.exit(3) end                   -- four of them end their worker,
      if n % 400 == 7 then mw.task.wait() end               -- three never come to an end,
      if n % 300 == 1 then error("no square for " .. n) end -- four raise
      return n * n
    end,
  }
end

local TASKS = 1000
local pool <close> = assert(mw.process.pool{ script = "08_process_pool.lua", size = 4, task_timeout = 2 })

local list = {}
for n = 1, TASKS do list[n] = n end

local done, sum, failed = 0, 0, {}
for n, value, err in pool:map("square", list, { limit = 64 }) do
  done = done + 1
  if value then
    assert(value == n * n, "a wrong square")
    sum = sum + value
  else
    failed[err.code] = (failed[err.code] or 0) + 1
  end
  if done % 100 == 0 then
    io.write(("[%-20s] %4d of %d\n"):format(("#"):rep(done * 20 // TASKS), done, TASKS))
  end
end

print(("failed: %d crashed, %d timed out, %d raised"):format(failed.ECRASHED, failed.ETIMEDOUT, failed.ETASK))
assert(failed.ECRASHED == 4 and failed.ETIMEDOUT == 3 and failed.ETASK == 4, "other tasks have failed")

local s = pool:stats()
print(("%d completed, %d failed; %d workers crashed, %d were replaced"):format(s.completed, s.failed, s.crashed, s.restarted))
print(("waited %.0f us (p50), %.0f us (p99); ran %.1f us, %.1f us"):format(
  s.wait.p50 * 1e6, s.wait.p99 * 1e6, s.run.p50 * 1e6, s.run.p99 * 1e6))
assert(s.completed == TASKS - 11 and s.failed == 11 and s.crashed == 4, "the counts are wrong")

for _, worker in ipairs(pool:workers()) do
  print(("worker %d: %s, %d tasks"):format(worker.id, worker.state, worker.tasks))
end
assert(pool:drain{ timeout = 10 })
