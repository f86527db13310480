--- MessagePack: Lua values to bytes and back. Arrays are marked as those of mw.json are, null is mw.null.
local _, core = ...

local door = core.msgpack

---@class moonwire.msgpack
local msgpack = {}

msgpack.encode = door.encode

msgpack.decode = door.decode

msgpack.unpack = door.unpack

msgpack.ext = door.ext

msgpack.is_ext = door.is_ext

return msgpack
