-- The number of descriptors that this process holds. A loop that has slept often beside a timer opens a clock for itself and keeps it,
-- sooner on one machine than on another: that one is not counted. Knows: mw, /proc.
local mw = require "moonwire"

local function count()
  local n = 0
  for _, entry in ipairs(assert(mw.fs.list "/proc/self/fd")) do
    local info = mw.fs.read("/proc/self/fdinfo/" .. (type(entry) == "table" and entry.name or entry)) -- nil: the list's own
    if info and not info:find("clockid:", 1, true) then n = n + 1 end
  end
  return n
end

--- With `most`: once there are so few, or after 20 seconds, for what is on its way out.
return function(most)
  local deadline = mw.time.now() + 20
  local n
  repeat
    collectgarbage() -- what earlier tests have dropped
    collectgarbage()
    mw.task.sleep(0.001)
    n = count()
  until not most or n <= most or mw.time.now() > deadline
  return n
end
