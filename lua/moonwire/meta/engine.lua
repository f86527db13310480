---@meta
--- The door `core.engine` (host/bind/engine.c): the program around the host; scripts see mw.host. Raises EOPNOTSUPP in a worker.

--- The program around this host: a game engine, a tool. Messages both ways, and its functions by their names:
--- `mw.host.raycast(x, y)` calls what it registered as "raycast"; a name that is not there raises. What crosses is copied: nil,
--- booleans, numbers, strings, tables of them.
---
--- The main script's alone: in a worker, and where no program takes part, it raises EOPNOTSUPP or answers ENORESPONDERS.
---
--- ```lua
--- mw.host.on("player.moved", function(x, y)
---   if mw.host.raycast(x, y) then mw.host.emit("player.seen", { x = x }) end
--- end)
--- ```
---@class moonwire.host
---@field [string] fun(...: any): ...: any  what the program registered (mw_host_register)
local host = {}

--- Has `fn(...)` called with each message of that topic, as a task of its own, in the order in which they were sent. What was
--- sent before is kept until the main script is over. The handler is nobody's task: it goes on when the task that set it has ended,
--- and keeps no run alive by itself. An error of `fn` goes to the program.
---@param topic string
---@param fn fun(...: any)
---@return moonwire.HostHandler handler
function host.on(topic, fn) end

--- Sends a message to the program, now.
---@param topic string
---@param ... any  its values
---@return true? ok
---@return moonwire.Err? err  ENORESPONDERS: the program takes none
function host.emit(topic, ...) end

--- Has `fn(...)` called when the program calls `name` (mw_host_call); its results are the answer. It may not wait. The same name
--- again: the newest is called. Global functions can be called without it.
---@param name string  may hold dots: "npc.think"
---@param fn fun(...: any): ...: any
---@return moonwire.HostHandler handler
function host.handle(name, fn) end

--- What the program registered.
---@return table<string, function> functions  by name
function host.functions() end

--- Has a tap tell of the messages both ways ("mw.host": the topic, then its values, all MessagePack) and of the calls ("mw.host
--- calls": the name and its arguments, then the name and its results). A trace of the whole run has them without.
---@param tap moonwire.Tap
function host.use(tap) end

---@class moonwire.core.engine
local engine = {}

--- A function that the program registered. Raises EINVAL, with what was perhaps meant, when there is none.
---@param name string
---@return function
function engine.find(name) end

--- What mw.host.on and mw.host.handle return.
---@class moonwire.HostHandler
local Handler = {}

--- No more. Messages that were handed over already still come. Idempotent; also by `<close>`.
function Handler:close() end

return engine
