---@meta

--- The door of JSON, and of what all formats have in common; scripts see lua/moonwire/json.lua.
---@class moonwire.core.json
---@field null lightuserdata  mw.null
local json = {}

--- Marks `t`: it is written as an array, or as an object, whatever it holds. Replaces its metatable.
---@param t table
---@param which? "plain"|"array"|"object"
---@return table t
function json.mark(t, which) end

--- The mark of `t`, or nil.
---@param t any
---@return "array"|"object"|nil
function json.marked(t) end

--- `v` as JSON text. Raises EINVAL for what cannot be written (err.data.path) and ELIMIT; no metamethod is called.
---@param v any
---@param opts? { max_depth?: integer, max_bytes?: integer|string, sort?: boolean }
---@return string
function json.encode(v, opts) end

--- The value that `text` says; or nil and an error: EPARSE, ELIMIT, with err.data = { offset, line, column, path }.
---@param text string
---@param opts? { max_depth?: integer, max_bytes?: integer|string }
---@return any
---@return moonwire.Error? err
function json.decode(text, opts) end
