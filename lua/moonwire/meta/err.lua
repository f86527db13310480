---@meta
--- The C door of errors: the one error object (moonwire.Err, in task.lua).

---@class moonwire.core.err
local err = {}

--- Makes an error object, which is not raised.
---@param code string      "ETIMEDOUT"
---@param op? string       "net connect"
---@param subject? string  "tcp://127.0.0.1:1"
---@param what? string     its words; absent: the code
---@param hint? string     the way out
---@param data? any
---@return moonwire.Err
function err.fail(code, op, subject, what, hint, data) end

--- Raises it. An error object with EINVAL gets the place of the script's own line.
---@param object any
function err.raise(object) end

--- Whether it is one of our error objects.
---@param value any
---@return boolean
function err.is(value) end

--- A message handler for xpcall, which keeps the first traceback of an error.
---@param value any
---@return any value
function err.traceback(value) end

--- The traceback that was kept for this error value, or "".
---@param value any
---@return string
function err.traceback_of(value) end

return err
