---@meta

--- The door of JSON, and of what all formats have in common; scripts see lua/moonwire/json.lua.
---@class moonwire.core.json
---@field null lightuserdata  mw.null
local door = {}

--- Marks `t`: it is written as an array, or as an object, whatever it holds. Replaces its metatable.
---@param t table
---@param which? "plain"|"array"|"object"
---@return table t
function door.mark(t, which) end

--- The mark of `t`, or nil.
---@param t any
---@return "array"|"object"|nil
function door.marked(t) end

--- JSON: Lua values to text and back. What tells an empty array from an empty object is a mark on the table; what `decode` makes
--- is marked, so that `[]` survives the way there and back. `mw.null` is null.
---@class moonwire.json
local json = {}

---@class moonwire.JsonReading
---@field max_depth? integer         levels of arrays and objects; 128, at most 1000
---@field max_bytes? integer|string  of the text; 16 MiB, at most 1 GiB

---@class moonwire.JsonWriting: moonwire.JsonReading
---@field sort? boolean              keys in the order of their bytes; false

--- `v` as JSON text. A table is an array when it is marked so or has elements 1..n, else an object; an empty one is an object
--- unless it is marked. Raises EINVAL for what cannot be written, with its path in err.data.path: functions, NaN, holes, keys that
--- are no strings, strings that are not UTF-8; and ELIMIT. Calls no metamethod.
---
--- ```lua
--- local v = { name = "a", list = mw.json.array{} }
--- print(mw.json.encode(v, { sort = true }))    --> {"list":[],"name":"a"}
--- ```
---@param v any
---@param opts? moonwire.JsonWriting
---@return string text
function json.encode(v, opts) end

--- The value that `text` says. null is mw.null, arrays are marked, whole numbers are integers, others floats. Anything that is not
--- JSON (RFC 8259) is refused: also duplicate keys, NaN, lone surrogates, invalid UTF-8, bytes behind the end.
---
--- ```lua
--- local v, err = mw.json.decode('{"a": [1, 2.5, null]}')
--- if not v then print(err.data.line, err.data.column, err) end
--- ```
---@param text string
---@param opts? moonwire.JsonReading
---@return any value
---@return moonwire.Err? err  EPARSE, ELIMIT; err.data: offset (bytes before the fault), line, column, path
function json.decode(text, opts) end
