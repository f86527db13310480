--- The program around this host (a game engine, a tool; `moonwire run` takes no messages): messages both ways, and its functions.
--- The main script's alone: not a worker's, nor plain Lua's. What crosses is copied: strings, numbers, booleans, tables of them.
---
--- What the program registered is here by its name: `mw.host.raycast(x, y)`. A name that is not there raises.
local _, core = ...

local door = core.engine

---@class moonwire.host
---@field [string] fun(...): ...
local host = {}

--- Has `fn(...)` called with each message of that topic, as a task of its own, in the order in which they were sent. What was
--- sent before is kept until the main script is over. The handler is nobody's task: it goes on when the task that set it has ended,
--- and keeps no run alive by itself. An error of `fn` goes to the program.
---@type fun(topic: string, fn: function): moonwire.HostHandler
host.on = door.on

--- Sends a message to the program, now. `nil, err` (ENORESPONDERS) when it takes none.
---@type fun(topic: string, ...: any): true?, moonwire.Err?
host.emit = door.emit

--- Has `fn(...)` called when the program calls `name`, which may hold dots; its results are the answer. It may not wait. The same
--- name again: the newest is called. Global functions can be called without it.
---@type fun(name: string, fn: function): moonwire.HostHandler
host.handle = door.handle

--- The program's functions, by name.
---@type fun(): table<string, function>
host.functions = door.functions

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
