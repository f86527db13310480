-- The number of descriptors that this process holds. A loop that has slept often beside a timer opens a clock for itself and keeps it,
-- sooner on one machine than on another: that one is not counted. Knows: mw, /proc, ls. Never: counts what it needs itself differently
-- from time to time: the first process of a host brings its warden along.
local mw = require "moonwire"

local function count()
  local r = assert(mw.process.run { "ls", "-l", ("/proc/%d/fd"):format(mw.sys.pid()), check = true })
  local n = 0
  for line in r.stdout:gmatch "[^\n]+" do
    local to = line:match " %-> (.*)$"
    if to and not to:find("timerfd", 1, true) then n = n + 1 end
  end
  return n
end

return function()
  collectgarbage() -- what earlier tests have dropped
  collectgarbage()
  mw.task.pass()
  count()
  return count()
end
