---@meta
--- The door `core.host` (host/bind/host.c): what the program or the embedder gave, and the way out.

---@class moonwire.core.host
---@field script_path? string
---@field script_dir? string
---@field program? string       a moonwire program for script children
---@field parent_stdio boolean  mw.parent is standard input and output
---@field warden boolean
---@field child_files integer   soft RLIMIT_NOFILE of children; 0: as ours
---@field args string[]         the global `arg`
local host = {}

--- mw.exit: cancels everything, runs cleanup, then leaves. Raises ECANCELED in its caller.
---@param code? integer|boolean  default 0; true: 0, false: 1
function host.exit(code) end

--- Of the Lua state.
---@return integer used   bytes
---@return integer limit  bytes
function host.memory() end

--- The time now, for host.call_ended; nothing while nobody asks how long calls take (mw.metrics).
---@return integer? ns
function host.call_began() end

--- A remote call was answered that began then.
---@param began integer
function host.call_ended(began) end

return host
