---@meta
--- The C door of arguments: how the Lua half reads options. All raise EINVAL at the script's line.

---@class moonwire.core.arg
local arg = {}

--- Seconds: a number, or text with a unit ("250ms", "2s", "5m"); math.huge stays.
---@param value any
---@param op string     for the error: "net connect"
---@param name string   for the error: "timeout"
---@return number seconds
function arg.duration(value, op, name) end

--- Bytes: an integer, or text with a unit ("64KiB", "1MiB").
---@param value any
---@param op string
---@param name string
---@return integer bytes
function arg.size(value, op, name) end

--- A fresh table of the named options, read raw and converted: durations to seconds, sizes to bytes. An unknown key raises,
--- with a did-you-mean.
---@param t table?                     nil is an empty one
---@param known table<string, string>  key -> "duration" "size" "integer" "text" "flag" "any", or a Lua type's name
---@param op string
---@param array? boolean               keeps 1..n too; otherwise integer keys raise
---@return table options
function arg.options(t, known, op, array) end

return arg
