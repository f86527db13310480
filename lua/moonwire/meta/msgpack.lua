---@meta

---@class moonwire.MsgpackReading
---@field max_depth? integer         levels of arrays and maps; 128, at most 1000
---@field max_bytes? integer|string  of the message; 16 MiB, at most 1 GiB

---@class moonwire.MsgpackWriting: moonwire.MsgpackReading
---@field strings? "auto"|"str"|"bin"  what strings become, when it is not for their bytes to say ("auto"); keys are never bin by it

--- A value of a type that MessagePack does not know.
---@class moonwire.MsgpackExt
---@field type integer  -128..127
---@field data string

--- The door of MessagePack; scripts see lua/moonwire/msgpack.lua.
---@class moonwire.core.msgpack
local msgpack = {}

---@param v any
---@param options? moonwire.MsgpackWriting
---@return string? bytes
---@return moonwire.Err? err
function msgpack.encode(v, options) end

---@param bytes string
---@param options? moonwire.MsgpackReading
---@return any v
---@return moonwire.Err? err
function msgpack.decode(bytes, options) end

---@param bytes string
---@param from? integer
---@param options? moonwire.MsgpackReading
---@return any v
---@return integer|moonwire.Err next
function msgpack.unpack(bytes, from, options) end

---@param type integer
---@param data string
---@return moonwire.MsgpackExt
function msgpack.ext(type, data) end

---@param v any
---@return boolean
function msgpack.is_ext(v) end

--- For our own modules: where a value ends, piece by piece. Begin with wanted = 1, skip = 0; need is 0 when it ended.
---@param bytes string
---@param wanted integer
---@param skip integer
---@return integer used, integer wanted, integer skip, integer need
function msgpack.scan(bytes, wanted, skip) end
