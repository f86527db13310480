---@meta

--- The door of signals; scripts see mw.on_signal.
---@class moonwire.core.signal
local signal = {}

--- Takes a signal of the process from now on. EINVAL: no signal for scripts; EDENIED: the embedder keeps them to itself.
---@param name string
---@return moonwire.core.Signal? watch
---@return moonwire.Err? err
function signal.open(name) end

---@class moonwire.core.Signal
local Signal = {}

--- Waits for the signal: its name; nil once closed.
---@return string?
function Signal:wait() end

--- Gives the signal back to what took it before. Idempotent.
function Signal:close() end

---@return string
function Signal:name() end
