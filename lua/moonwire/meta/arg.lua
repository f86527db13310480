---@meta
--- The door `core.arg` (host/bind/err.c): what a caller passed, checked and converted. Bad values raise EINVAL with the
--- line of the script in front.

---@class moonwire.core.arg
local arg = {}

--- Seconds, or text with a unit ("250ms", "2s", "5m", "1h") as seconds.
---@param v any
---@param op string    what is called, for the error: "task.retry"
---@param name string  what `v` is: "the timeout"
---@return number seconds  math.huge at the most
function arg.duration(v, op, name) end

--- Bytes, or text with a unit ("64KiB", "1MiB") as bytes.
---@param v any
---@param op string
---@param name string
---@return integer bytes
function arg.size(v, op, name) end

--- A fresh table of the options in `t` (nil: none), each converted as `spec` says; `t` is read raw. Unknown keys raise, with
--- a suggestion.
---@param t table?
---@param spec table<string, "duration"|"size"|"integer"|"text"|"flag"|"any"|"table"|"function"|"string"|"number"|"userdata">
---@param op string
---@param array? boolean  also keep t[1], t[2], ...
---@return table
function arg.options(t, spec, op, array) end

return arg
