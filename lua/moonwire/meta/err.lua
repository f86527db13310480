---@meta
--- The door `core.err` (host/bind/err.c): error objects. What they are: moonwire.Err, in meta/moonwire.lua.

---@class moonwire.core.err
local err = {}

--- Makes one; raises nothing. nil leaves a field out.
---@param code string
---@param op? string
---@param subject? string
---@param message? string
---@param hint? string
---@param data? any
---@return moonwire.Err
function err.fail(code, op, subject, message, hint, data) end

--- Raises it; an EINVAL names the script's line that called us.
---@param object any
function err.raise(object) end

--- The script's own line, "script.lua:12", for warnings about what it never closed; nil outside of scripts.
---@return string? where
function err.where() end

--- One of our error objects?
---@param v any
---@return boolean
function err.is(v) end

--- A message handler for xpcall: remembers the traceback of what was raised, and the first one of what is raised again.
---@param v any
---@return any v
function err.traceback(v) end

--- The traceback kept for the error value `v`, or "". Told once.
---@param v any
---@return string
function err.traceback_of(v) end

return err
