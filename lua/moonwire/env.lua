--- The environment, as far as the rights go: `mw.env.HOME` raises without a right, `mw.env.get(name, default)` gives the
--- default for unset and for denied, `pairs(mw.env)` shows what is granted.

local _, core = ...

local env_of, all = core.sys.env, core.sys.env_all
local fail, raise = core.err.fail, core.err.raise

local function get(name, default)
  local value = env_of(name, true)
  if value == nil then return default end
  return value
end

return setmetatable({ get = get }, {
  __index = function(_, name)
    return (env_of(name))
  end,
  __newindex = function(_, name)
    raise(fail("EINVAL", "env", tostring(name), "the environment cannot be changed", "give a child its own: { env = { NAME = value } }"))
  end,
  __pairs = function()
    return next, all(), nil
  end,
  __metatable = false,
})
