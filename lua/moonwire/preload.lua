--- Loads ordinary Lua modules with their native parts in an environment of their own, for tools that must work beside a script
--- whose rights are narrow (`moonwire test`: Busted). The modules see the whole of `debug`, read files and load native code; what
--- they write takes the script's rights, and the script's globals stay what they are. Knows: what mw_host_preload hands in.
--- Never: runs unless the program asked.
local _, core = ...
local assert, error, ipairs, next, pcall, rawequal, rawset, require, setmetatable, table, tostring =
  assert, error, ipairs, next, pcall, rawequal, rawset, require, setmetatable, table, tostring

local Preload = {}

--- Of a search path what does not depend on where the user stands: a file of the working directory is the script's side.
local function installed(path)
  local kept = {}
  for template in path:gmatch "[^;]+" do
    if template:sub(1, 1) == "/" then kept[#kept + 1] = template end
  end
  return table.concat(kept, ";")
end

--- The script's own require; whoever asks here expects the text of an error.
local function by_script(name)
  local ok, value, extra = pcall(require, name)
  if not ok then error(tostring(value), 0) end
  return value, extra
end

--- Opens a native module: what it makes global (LuaFileSystem does) is not the script's to have.
local function open_quietly(open, name, path)
  local before = {}
  for key, value in next, _G do before[key] = value end
  local module = open(name, path)
  for key, value in next, _G do
    if not rawequal(value, before[key]) then rawset(_G, key, before[key]) end
  end
  return module
end

--- A `require` of its own: finds what is installed, keeps it apart, and runs it in `env`. `_G` is the script's for the
--- modules of `names` (Busted saves and restores it) and `env` for those that they need (Penlight takes its functions there).
--- What else is asked for once `names` are there (a helper, an output handler) goes by the script's own require, path and rights.
local function new_require(raw, env, names)
  local path_lua, path_native = installed(raw.path), installed(raw.cpath)
  local cache = env.loaded
  local private = setmetatable({ _G = env }, { __index = env, __newindex = env })
  local public = {}
  for _, name in ipairs(names) do public[name] = true end

  local function from_lua(name)
    local path, why = raw.searchpath(name, path_lua)
    if not path then return nil, why end
    return assert(raw.loadfile(path, "t", public[name:match("^[^.]+")] and env or private)), path
  end

  local function from_native(name)
    local path, why = raw.searchpath(name, path_native)
    local root = name:match("^[^.]+")
    if not path and root ~= name then path = raw.searchpath(root, path_native) end
    if not path then return nil, why end
    local open = assert(raw.loadlib(path, "luaopen_" .. name:gsub("%.", "_")))
    return function(...) return open_quietly(open, ...) end, path
  end

  return function(name)
    if cache[name] ~= nil then return cache[name] end
    local chunk, path = from_lua(name)
    local why = path
    if not chunk then
      chunk, path = from_native(name)
      if not chunk and env.ready then return by_script(name) end
      if not chunk then error(("module '%s' not found:%s%s"):format(name, why, path), 2) end
    end
    local value = chunk(name, path)
    if value ~= nil then cache[name] = value end
    if cache[name] == nil then cache[name] = true end
    return cache[name], path
  end
end

--- Makes the environment and loads `names` in it.
---@param raw table  the unguarded functions: debug, open, loadfile, loadlib, searchpath;
---  path, cpath, config; and terminal: colours are welcome
---@param names string[]
---@return table env  `env.require` loads more, `env.loaded` holds what is there; also core.preloaded
function Preload.load(raw, names)
  local env = setmetatable({}, { __index = _G })
  env.debug = raw.debug
  env.loadfile = function(path, mode, e) return raw.loadfile(path, mode or "t", e or _G) end
  env.dofile = function(path) return assert(raw.loadfile(path, "t", _G))() end
  env.package = setmetatable({ loadlib = raw.loadlib, searchpath = raw.searchpath, config = raw.config, searchers = {} },
    { __index = package, __newindex = package })   -- the paths are the script's: Busted's --lpath and --cpath set them
  env.io = setmetatable({}, { __index = io })
  function env.io.open(path, mode) -- what is written, a report, may be named by .busted: that takes the script's right
    if mode == nil or mode:find "^rb?$" then return raw.open(path, mode) end
    return io.open(path, mode)
  end
  env.loaded = { _G = _G, debug = env.debug, package = env.package }
  for _, name in ipairs { "string", "table", "math", "coroutine", "utf8", "os", "io" } do env.loaded[name] = env[name] end
  env.terminal = raw.terminal
  env.require = new_require(raw, env, names)
  for _, name in ipairs(names) do env.require(name) end
  env.ready, core.preloaded = true, env
  return env
end

return Preload
