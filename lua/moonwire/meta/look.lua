---@meta
--- The door `core.look` (host/bind/look.c): values seen without touching them, for completion at the prompt. No metamethod is called,
--- no metatable handed out.

---@class moonwire.core.look
local look = {}

--- v[key], as far as it stands in tables: v itself, then what __index names, at most 16 of them; a function there is not called. Of our
--- own types the methods and fields too.
---@param v any
---@param key any
---@return any value  nil where nothing is, or something would have to be called
function look.get(v, key) end

--- The names that can stand behind v's dot, at most `max`; looks at 100,000 keys at most.
---@param v any
---@param prefix string
---@param max integer
---@return table<string, any> names
---@return integer left  so many more, at least
function look.names(v, prefix, max) end

--- What the metatable calls it: "mw.stream".
---@param v any
---@return string?
function look.class(v) end

--- The names of the parameters of a Lua function, "..." last; nil of others.
---@param f any
---@return string[]?
function look.parameters(f) end

return look
