--- Clocks: `now` is monotonic, `wall` counts from 1970; both in seconds.

local _, core = ...

---@class moonwire.time
return { now = core.sys.now, wall = core.sys.wall }
