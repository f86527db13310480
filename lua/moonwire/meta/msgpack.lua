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

--- MessagePack: Lua values to bytes and back. Arrays are marked as those of mw.json are, null is mw.null.
---@class moonwire.msgpack
local msgpack = {}

--- The bytes of `v`, in the shortest form. Strings become str where they are UTF-8, else bin. A table whose keys are exactly 1..n
--- is an array, and so is what mw.json.array marked; others are maps. Raises EINVAL (err.data.path) for what cannot be written.
---
--- ```lua
--- local bytes = assert(mw.msgpack.encode{ op = "add", args = { 1, 2 } })
--- print(#bytes, mw.msgpack.decode(bytes).op)
--- ```
---@param v any
---@param options? moonwire.MsgpackWriting
---@return string? bytes
---@return moonwire.Err? err  ELIMIT
function msgpack.encode(v, options) end

--- The one value that `bytes` hold; nothing may follow it. Arrays come marked, ext as what `ext` makes.
---@param bytes string
---@param options? moonwire.MsgpackReading
---@return any value
---@return moonwire.Err? err  EPARSE (err.data.offset: bytes before the fault; err.data.path), ELIMIT
function msgpack.decode(bytes, options) end

--- The value at position `from` and the position behind it, as string.unpack has it: for values that stand one behind the other.
---@param bytes string
---@param from? integer  1
---@param options? moonwire.MsgpackReading
---@return any value
---@return integer|moonwire.Err next  of what is not whole yet: EAGAIN, with err.data.need more bytes at least
function msgpack.unpack(bytes, from, options) end

--- A value of an application's own type (0..127) or of one that MessagePack defines (-1 is a timestamp), which is written as an ext.
---@param type integer  -128 to 127
---@param data string
---@return moonwire.MsgpackExt value
function msgpack.ext(type, data) end

--- Whether `v` is what `ext` makes, or what came as an ext.
---@param v any
---@return boolean yes
function msgpack.is_ext(v) end

--- The door of MessagePack (host/bind/msgpack.c): what scripts do not see.
---@class moonwire.core.msgpack
local door = {}

--- For our own modules: what they give to decode (JSON's too) and unpack in place of the options, when they read many messages by the same.
---@param options moonwire.MsgpackReading
---@param op string  who is told what is wrong with them
---@return userdata limits
function door.limits(options, op) end

--- For our own modules: where a value ends, piece by piece. Begin with wanted = 1, skip = 0; need is 0 when it ended.
---@param bytes string
---@param wanted integer
---@param skip integer
---@return integer used, integer wanted, integer skip, integer need
function door.scan(bytes, wanted, skip) end
