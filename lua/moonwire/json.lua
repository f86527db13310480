--- JSON: Lua values to text and back. What tells an empty array from an empty object is a mark on the table.

local _, core = ...

local mark = core.json.mark

---@class moonwire.json
local json = {}

json.encode = core.json.encode

json.decode = core.json.decode

--- Marks `t` as an array: it is written `[...]`, also when it is empty. Replaces its metatable.
---@param t? table  default: a new one
---@return table t  itself
function json.array(t)
  return mark(t or {}, "array")
end

--- Marks `t` as an object: it is written `{...}`. Replaces its metatable.
---@param t? table  default: a new one
---@return table t  itself
function json.object(t)
  return mark(t or {}, "object")
end

return json
