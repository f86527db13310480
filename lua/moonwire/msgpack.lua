--- MessagePack: Lua values to bytes and back. Arrays are marked as those of mw.json are, null is mw.null.
local _, core = ...

local door = core.msgpack

---@class moonwire.msgpack
local msgpack = {}

--- The bytes of `v`, in the shortest form. Strings become str where they are UTF-8, else bin. A table whose keys are exactly 1..n
--- is an array, and so is what mw.json.array marked; others are maps. Raises (EINVAL, err.data.path) for what cannot be written;
--- `nil, err` (ELIMIT) above a limit.
---@type fun(v: any, options?: moonwire.MsgpackWriting): string?, moonwire.Err?
msgpack.encode = door.encode

--- The one value that `bytes` hold. EPARSE (err.data.offset, bytes before the fault; err.data.path), ELIMIT. Arrays come marked,
--- ext as what `ext` makes.
---@type fun(bytes: string, options?: moonwire.MsgpackReading): any, moonwire.Err?
msgpack.decode = door.decode

--- The value at position `from` and the position behind it, as string.unpack has it. What is not whole yet: EAGAIN, with
--- err.data.need more bytes at least.
---@type fun(bytes: string, from?: integer, options?: moonwire.MsgpackReading): any, integer|moonwire.Err
msgpack.unpack = door.unpack

--- A value of an application's own type (0..127) or of one that MessagePack defines (-1 is a timestamp): `{ type =, data = }`,
--- which is written as an ext.
---@type fun(type: integer, data: string): moonwire.MsgpackExt
msgpack.ext = door.ext

--- Whether `v` is what `ext` makes, or what came as an ext.
---@type fun(v: any): boolean
msgpack.is_ext = door.is_ext

return msgpack
