--- JSON: Lua values to text and back. What tells an empty array from an empty object is a mark on the table.

local _, core = ...

local mark = core.json.mark

---@class moonwire.json
local json = {}

--- `v` as JSON text: `mw.json.encode({ 1, 2 })`. A table is an array when it is marked so or has elements 1..n, else an object; an
--- empty one is an object unless it is marked. Raises what cannot be written, with its path in err.data.path: functions, NaN, holes,
--- keys that are no strings, strings that are not UTF-8. Calls no metamethod. `sort` puts keys in order.
---@type fun(v: any, opts?: { max_depth?: integer, max_bytes?: integer|string, sort?: boolean }): string
json.encode = core.json.encode

--- The value that `text` says. null is mw.null, arrays are marked, whole numbers are integers, others floats. nil and an error (EPARSE,
--- ELIMIT) with err.data = { offset, line, column, path } for anything that is not JSON (RFC 8259), and for duplicate keys.
---@type fun(text: string, opts?: { max_depth?: integer, max_bytes?: integer|string }): any, moonwire.Error?
json.decode = core.json.decode

--- Marks `t` as an array: it is written `[...]`, also when it is empty. Replaces its metatable.
---@param t? table
---@return table t
function json.array(t)
  return mark(t or {}, "array")
end

--- Marks `t` as an object: it is written `{...}`. Replaces its metatable.
---@param t? table
---@return table t
function json.object(t)
  return mark(t or {}, "object")
end

return json
