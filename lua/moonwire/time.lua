--- Clocks: `now` is monotonic, `wall` counts from 1970; both in seconds.

local _, core = ...

return { now = core.sys.now, wall = core.sys.wall }
