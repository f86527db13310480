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
