--- libuv's own names, as luv has them, each behind its right: `local uv = require "uv"`. See luv's documentation for what
--- they do. A name that is not here has no rule, and so does not exist. Callbacks are no tasks: what would wait raises there.
local _, core = ...

return core.uv.open(function() return core.process end)
