-- A script child of fail_alloc_scenario.lua.
local mw = require "moonwire"
assert(mw.env.get("HOME", "none"))
print(...)
