---@meta
--- The door `core.schema` (host/bind/schema.c), and what it makes. lua/moonwire/schema.lua describes the types.

---@class moonwire.StringShape
---@field min? integer|string  bytes, at least
---@field max? integer|string  bytes, at most
---@field pattern? string      a Lua pattern, found anywhere unless it begins with ^ and ends with $. A text on which it takes more
---  than 100,000 steps is refused
---@field utf8? boolean        valid UTF-8 only (JSON's strings are, whatever this says)

---@class moonwire.NumberShape
---@field min? number     at least
---@field max? number     at most
---@field above? number   more than that, in place of min
---@field below? number   less than that, in place of max
---@field finite? boolean false lets infinities and, without limits, NaN pass (MessagePack and Lua have them); true

---@class moonwire.ArrayShape
---@field min? integer     elements, at least
---@field max? integer     elements, at most
---@field unique? boolean  no two elements are equal (1 and 1.0 are); for elements that are scalars

---@class moonwire.ParseOptions
---@field codec? "json"|"msgpack"     "json"
---@field max_bytes? integer|string   of the whole message; 16 MiB
---@field max_depth? integer          levels of arrays and objects; 128, at most 1000

--- What messages must look like; never changes. Made by the functions of mw.schema.
---@class moonwire.Schema
local Schema = {}

--- Reads a message and checks it on the way. EPARSE: it is none (err.data.offset: the byte). ELIMIT. ESCHEMA: it does not fit:
--- err.data.path ("items[3].name"), err.data.offset, err.data.expected ("a string of at most 64 bytes"); err.message says it all.
---@param bytes string
---@param options? moonwire.ParseOptions
---@return any value  what the schema keeps; null is mw.null
---@return moonwire.Err? err
function Schema:parse(bytes, options) end

--- Checks a Lua value, raw. Gives it back, or, where the schema drops fields, has defaults, or an empty table stands for an
--- array, a copy with that done; the value itself is never changed.
---@param value any
---@return any value
---@return moonwire.Err? err  ESCHEMA, ELIMIT
function Schema:check(value) end

--- Checks a value, and writes what `check` gives. A value that fits and still cannot be written (a function inside of `any`, a
--- string for JSON that is no UTF-8) raises, as mw.json.encode does.
---@param value any
---@param options? moonwire.ParseOptions
---@return string? bytes
---@return moonwire.Err? err  ESCHEMA, ELIMIT
function Schema:encode(value, options) end

---@class moonwire.core.schema
local schema = {}

--- A schema from its description, which is the schema's own from here on.
---@param description table
---@return moonwire.Schema
function schema.make(description) end

--- What the schema of kind "ref" stands for.
---@param ref moonwire.Schema
---@param to moonwire.Schema
function schema.resolve(ref, to) end

--- Its description; nil for what is no schema.
---@param v any
---@return table?
function schema.describe(v) end

--- Whether it takes only strings, only scalars, or null among others.
---@param of moonwire.Schema
---@param what "string"|"scalar"|"null"
---@return boolean
function schema.accepts(of, what) end

return schema
