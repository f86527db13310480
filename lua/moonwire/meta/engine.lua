---@meta
--- The door `core.engine` (host/bind/engine.c): the program around the host; scripts see mw.host. Raises EOPNOTSUPP in a worker.

---@class moonwire.core.engine
local engine = {}

--- See mw.host.on.
---@param topic string
---@param fn function
---@return moonwire.HostHandler
function engine.on(topic, fn) end

--- See mw.host.emit.
---@param topic string
---@param ... any
---@return true?
---@return moonwire.Err? err  ENORESPONDERS
function engine.emit(topic, ...) end

--- See mw.host.handle.
---@param name string
---@param fn function
---@return moonwire.HostHandler
function engine.handle(name, fn) end

--- A function that the program registered. Raises EINVAL, with what was perhaps meant, when there is none.
---@param name string
---@return function
function engine.find(name) end

--- All of them.
---@return table<string, function>
function engine.functions() end

--- What mw.host.on and mw.host.handle return.
---@class moonwire.HostHandler
local Handler = {}

--- No more. Messages that were handed over already still come. Idempotent; also by `<close>`.
function Handler:close() end

return engine
