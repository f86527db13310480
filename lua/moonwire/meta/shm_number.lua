---@meta
--- Numbers in shared memory (host/bind/shm_number.c). Each is read and written whole. What changes a number in one step is one step for
--- every process that has the memory.

--- All that its writer had written before is there too. The offset, from 0, is a multiple of the number's size: what is not, or lies
--- outside, raises EINVAL.
---@alias moonwire.ReadInteger fun(self: moonwire.Memory, offset: integer): integer?, moonwire.Err?

--- Whoever reads it then sees all that was written before. The offset, from 0, is a multiple of the number's size: what is not, lies
--- outside, or is a number that does not fit, raises EINVAL.
---@alias moonwire.WriteInteger fun(self: moonwire.Memory, offset: integer, value: integer): true?, moonwire.Err?

--- All that its writer had written before is there too. The offset is as an integer's of that size.
---@alias moonwire.ReadFloat fun(self: moonwire.Memory, offset: integer): number?, moonwire.Err?

--- Whoever reads it then sees all that was written before. The offset is as an integer's of that size.
---@alias moonwire.WriteFloat fun(self: moonwire.Memory, offset: integer, value: number): true?, moonwire.Err?

--- One step that no other process can come between; the result is the new number. The offset is a multiple of its size.
---@alias moonwire.ChangeInteger fun(self: moonwire.Memory, offset: integer, value: integer): integer?, moonwire.Err?

--- One step that no other process can come between; the result is the number that was there before. The offset is a multiple of its size.
---@alias moonwire.SwapInteger fun(self: moonwire.Memory, offset: integer, value: integer): integer?, moonwire.Err?

--- One step that no other process can come between: whether `expected` was there, and `value` is there now. The offset is a multiple of
--- the number's size.
---@alias moonwire.CompareInteger fun(self: moonwire.Memory, offset: integer, expected: integer, value: integer): boolean?, moonwire.Err?

---@class moonwire.Memory
---@field u8 moonwire.ReadInteger  Reads an unsigned byte, 0 to 255.
---@field set_u8 moonwire.WriteInteger  Writes an unsigned byte, 0 to 255.
---@field i8 moonwire.ReadInteger  Reads a signed byte, -128 to 127.
---@field set_i8 moonwire.WriteInteger  Writes a signed byte, -128 to 127.
---@field u16 moonwire.ReadInteger  Reads an unsigned 16-bit integer, 0 to 65,535.
---@field set_u16 moonwire.WriteInteger  Writes an unsigned 16-bit integer, 0 to 65,535.
---@field i16 moonwire.ReadInteger  Reads a signed 16-bit integer, -32,768 to 32,767.
---@field set_i16 moonwire.WriteInteger  Writes a signed 16-bit integer, -32,768 to 32,767.
---@field u32 moonwire.ReadInteger  Reads an unsigned 32-bit integer, 0 to 2^32 - 1.
---@field set_u32 moonwire.WriteInteger  Writes an unsigned 32-bit integer, 0 to 2^32 - 1.
---@field i32 moonwire.ReadInteger  Reads a signed 32-bit integer, -2^31 to 2^31 - 1.
---@field set_i32 moonwire.WriteInteger  Writes a signed 32-bit integer, -2^31 to 2^31 - 1.
---@field u64 moonwire.ReadInteger  Reads an unsigned 64-bit integer, as Lua has its 64 bits: above 2^63 - 1 they are negative.
---@field set_u64 moonwire.WriteInteger  Writes an unsigned 64-bit integer, as Lua has its 64 bits: above 2^63 - 1 they are negative.
---@field i64 moonwire.ReadInteger  Reads a signed 64-bit integer, any of Lua's.
---@field set_i64 moonwire.WriteInteger  Writes a signed 64-bit integer, any of Lua's.
---@field f32 moonwire.ReadFloat  Reads a float of 32 bits: as exact as they are.
---@field set_f32 moonwire.WriteFloat  Writes a float of 32 bits: as exact as they are.
---@field f64 moonwire.ReadFloat  Reads a float of 64 bits, which is what Lua has.
---@field set_f64 moonwire.WriteFloat  Writes a float of 64 bits, which is what Lua has.
---@field add_u32 moonwire.ChangeInteger  Adds to an unsigned 32-bit integer, a value of either sign; wraps round.
---@field sub_u32 moonwire.ChangeInteger  Subtracts from an unsigned 32-bit integer, a value of either sign; wraps round.
---@field and_u32 moonwire.ChangeInteger  Keeps only those bits of an unsigned 32-bit integer that `value` has too.
---@field or_u32 moonwire.ChangeInteger  Sets the bits of `value` in an unsigned 32-bit integer.
---@field xor_u32 moonwire.ChangeInteger  Turns the bits of `value` over in an unsigned 32-bit integer.
---@field xchg_u32 moonwire.SwapInteger  Puts an unsigned 32-bit integer there.
---@field cas_u32 moonwire.CompareInteger  Puts an unsigned 32-bit integer there if the expected one is.
---@field add_i32 moonwire.ChangeInteger  Adds to a signed 32-bit integer, a value of either sign; wraps round.
---@field sub_i32 moonwire.ChangeInteger  Subtracts from a signed 32-bit integer, a value of either sign; wraps round.
---@field and_i32 moonwire.ChangeInteger  Keeps only those bits of a signed 32-bit integer that `value` has too.
---@field or_i32 moonwire.ChangeInteger  Sets the bits of `value` in a signed 32-bit integer.
---@field xor_i32 moonwire.ChangeInteger  Turns the bits of `value` over in a signed 32-bit integer.
---@field xchg_i32 moonwire.SwapInteger  Puts a signed 32-bit integer there.
---@field cas_i32 moonwire.CompareInteger  Puts a signed 32-bit integer there if the expected one is.
---@field add_u64 moonwire.ChangeInteger  Adds to an unsigned 64-bit integer, a value of either sign; wraps round.
---@field sub_u64 moonwire.ChangeInteger  Subtracts from an unsigned 64-bit integer, a value of either sign; wraps round.
---@field and_u64 moonwire.ChangeInteger  Keeps only those bits of an unsigned 64-bit integer that `value` has too.
---@field or_u64 moonwire.ChangeInteger  Sets the bits of `value` in an unsigned 64-bit integer.
---@field xor_u64 moonwire.ChangeInteger  Turns the bits of `value` over in an unsigned 64-bit integer.
---@field xchg_u64 moonwire.SwapInteger  Puts an unsigned 64-bit integer there.
---@field cas_u64 moonwire.CompareInteger  Puts an unsigned 64-bit integer there if the expected one is.
---@field add_i64 moonwire.ChangeInteger  Adds to a signed 64-bit integer, a value of either sign; wraps round.
---@field sub_i64 moonwire.ChangeInteger  Subtracts from a signed 64-bit integer, a value of either sign; wraps round.
---@field and_i64 moonwire.ChangeInteger  Keeps only those bits of a signed 64-bit integer that `value` has too.
---@field or_i64 moonwire.ChangeInteger  Sets the bits of `value` in a signed 64-bit integer.
---@field xor_i64 moonwire.ChangeInteger  Turns the bits of `value` over in a signed 64-bit integer.
---@field xchg_i64 moonwire.SwapInteger  Puts a signed 64-bit integer there.
---@field cas_i64 moonwire.CompareInteger  Puts a signed 64-bit integer there if the expected one is.
