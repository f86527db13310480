--- The program around this host (a game engine, a tool; `moonwire run` takes no messages): messages both ways, and its functions.
--- The main script's alone: not a worker's, nor plain Lua's. What crosses is copied: strings, numbers, booleans, tables of them.
---
--- What the program registered is here by its name: `mw.host.raycast(x, y)`. A name that is not there raises.
local _, core = ...

local door = core.engine

---@class moonwire.host
local host = { -- described in meta/engine.lua
  on = door.on, emit = door.emit, handle = door.handle, functions = door.functions, use = door.use,
}

return setmetatable(host, {
  __index = function(_, name) return door.find(name) end,
  __pairs = function(self)
    local all = door.functions()
    for name, f in next, self do all[name] = f end
    return next, all, nil
  end,
  __name = "moonwire.host",
  __metatable = false,
})
