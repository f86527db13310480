---@meta
--- Numbers in shared memory (host/bind/shm_number.c). Each is read and written whole: all that its writer had written before is
--- there too. An offset is a multiple of the number's size; what is not, lies outside, or does not fit, raises EINVAL. What changes a
--- number in one step is one step for every process that has the memory.

---@class moonwire.Memory
local Memory = {}

--- Reads an unsigned byte, whole.
---@param offset integer  from 0
---@return integer? value  0 to 255
---@return moonwire.Err? err
function Memory:u8(offset) end

--- Writes an unsigned byte, whole: whoever reads it then sees all that was written before.
---@param offset integer  from 0
---@param value integer  0 to 255
---@return true? ok
---@return moonwire.Err? err
function Memory:set_u8(offset, value) end

--- Reads a signed byte, whole.
---@param offset integer  from 0
---@return integer? value  -128 to 127
---@return moonwire.Err? err
function Memory:i8(offset) end

--- Writes a signed byte, whole: whoever reads it then sees all that was written before.
---@param offset integer  from 0
---@param value integer  -128 to 127
---@return true? ok
---@return moonwire.Err? err
function Memory:set_i8(offset, value) end

--- Reads an unsigned 16-bit integer, whole.
---@param offset integer  from 0, a multiple of 2
---@return integer? value  0 to 65,535
---@return moonwire.Err? err
function Memory:u16(offset) end

--- Writes an unsigned 16-bit integer, whole: whoever reads it then sees all that was written before.
---@param offset integer  from 0, a multiple of 2
---@param value integer  0 to 65,535
---@return true? ok
---@return moonwire.Err? err
function Memory:set_u16(offset, value) end

--- Reads a signed 16-bit integer, whole.
---@param offset integer  from 0, a multiple of 2
---@return integer? value  -32,768 to 32,767
---@return moonwire.Err? err
function Memory:i16(offset) end

--- Writes a signed 16-bit integer, whole: whoever reads it then sees all that was written before.
---@param offset integer  from 0, a multiple of 2
---@param value integer  -32,768 to 32,767
---@return true? ok
---@return moonwire.Err? err
function Memory:set_i16(offset, value) end

--- Reads an unsigned 32-bit integer, whole.
---@param offset integer  from 0, a multiple of 4
---@return integer? value  0 to 2^32 - 1
---@return moonwire.Err? err
function Memory:u32(offset) end

--- Writes an unsigned 32-bit integer, whole: whoever reads it then sees all that was written before.
---@param offset integer  from 0, a multiple of 4
---@param value integer  0 to 2^32 - 1
---@return true? ok
---@return moonwire.Err? err
function Memory:set_u32(offset, value) end

--- Reads a signed 32-bit integer, whole.
---@param offset integer  from 0, a multiple of 4
---@return integer? value  -2^31 to 2^31 - 1
---@return moonwire.Err? err
function Memory:i32(offset) end

--- Writes a signed 32-bit integer, whole: whoever reads it then sees all that was written before.
---@param offset integer  from 0, a multiple of 4
---@param value integer  -2^31 to 2^31 - 1
---@return true? ok
---@return moonwire.Err? err
function Memory:set_i32(offset, value) end

--- Reads an unsigned 64-bit integer, whole.
---@param offset integer  from 0, a multiple of 8
---@return integer? value  64 bits as Lua has them: above 2^63 - 1 they are negative
---@return moonwire.Err? err
function Memory:u64(offset) end

--- Writes an unsigned 64-bit integer, whole: whoever reads it then sees all that was written before.
---@param offset integer  from 0, a multiple of 8
---@param value integer  64 bits as Lua has them: above 2^63 - 1 they are negative
---@return true? ok
---@return moonwire.Err? err
function Memory:set_u64(offset, value) end

--- Reads a signed 64-bit integer, whole.
---@param offset integer  from 0, a multiple of 8
---@return integer? value
---@return moonwire.Err? err
function Memory:i64(offset) end

--- Writes a signed 64-bit integer, whole: whoever reads it then sees all that was written before.
---@param offset integer  from 0, a multiple of 8
---@param value integer
---@return true? ok
---@return moonwire.Err? err
function Memory:set_i64(offset, value) end

--- Reads a float of 32 bits, whole.
---@param offset integer  from 0, a multiple of 4
---@return number? value  as exact as 32 bits are
---@return moonwire.Err? err
function Memory:f32(offset) end

--- Writes a float of 32 bits, whole: whoever reads it then sees all that was written before.
---@param offset integer  from 0, a multiple of 4
---@param value number  as exact as 32 bits are
---@return true? ok
---@return moonwire.Err? err
function Memory:set_f32(offset, value) end

--- Reads a float of 64 bits, whole.
---@param offset integer  from 0, a multiple of 8
---@return number? value
---@return moonwire.Err? err
function Memory:f64(offset) end

--- Writes a float of 64 bits, whole: whoever reads it then sees all that was written before.
---@param offset integer  from 0, a multiple of 8
---@param value number
---@return true? ok
---@return moonwire.Err? err
function Memory:set_f64(offset, value) end

--- Adds to an unsigned 32-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 4
---@param value integer  what is added, of either sign; wraps round
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:add_u32(offset, value) end

--- Subtracts from an unsigned 32-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 4
---@param value integer  what is taken away, of either sign; wraps round
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:sub_u32(offset, value) end

--- Keeps only those bits that `value` has too, of an unsigned 32-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 4
---@param value integer  bits
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:and_u32(offset, value) end

--- Sets the bits of `value` in an unsigned 32-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 4
---@param value integer  bits
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:or_u32(offset, value) end

--- Turns the bits of `value` over in an unsigned 32-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 4
---@param value integer  bits
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:xor_u32(offset, value) end

--- Puts an unsigned 32-bit integer there and gives the one before, in one step.
---@param offset integer  a multiple of 4
---@param value integer
---@return integer? before
---@return moonwire.Err? err
function Memory:xchg_u32(offset, value) end

--- Puts `value` there if `expected` is there, in one step; an unsigned 32-bit integer.
---@param offset integer  a multiple of 4
---@param expected integer
---@param value integer
---@return boolean? changed
---@return moonwire.Err? err
function Memory:cas_u32(offset, expected, value) end

--- Adds to a signed 32-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 4
---@param value integer  what is added, of either sign; wraps round
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:add_i32(offset, value) end

--- Subtracts from a signed 32-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 4
---@param value integer  what is taken away, of either sign; wraps round
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:sub_i32(offset, value) end

--- Keeps only those bits that `value` has too, of a signed 32-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 4
---@param value integer  bits
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:and_i32(offset, value) end

--- Sets the bits of `value` in a signed 32-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 4
---@param value integer  bits
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:or_i32(offset, value) end

--- Turns the bits of `value` over in a signed 32-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 4
---@param value integer  bits
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:xor_i32(offset, value) end

--- Puts a signed 32-bit integer there and gives the one before, in one step.
---@param offset integer  a multiple of 4
---@param value integer
---@return integer? before
---@return moonwire.Err? err
function Memory:xchg_i32(offset, value) end

--- Puts `value` there if `expected` is there, in one step; a signed 32-bit integer.
---@param offset integer  a multiple of 4
---@param expected integer
---@param value integer
---@return boolean? changed
---@return moonwire.Err? err
function Memory:cas_i32(offset, expected, value) end

--- Adds to an unsigned 64-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 8
---@param value integer  what is added, of either sign; wraps round
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:add_u64(offset, value) end

--- Subtracts from an unsigned 64-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 8
---@param value integer  what is taken away, of either sign; wraps round
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:sub_u64(offset, value) end

--- Keeps only those bits that `value` has too, of an unsigned 64-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 8
---@param value integer  bits
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:and_u64(offset, value) end

--- Sets the bits of `value` in an unsigned 64-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 8
---@param value integer  bits
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:or_u64(offset, value) end

--- Turns the bits of `value` over in an unsigned 64-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 8
---@param value integer  bits
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:xor_u64(offset, value) end

--- Puts an unsigned 64-bit integer there and gives the one before, in one step.
---@param offset integer  a multiple of 8
---@param value integer
---@return integer? before
---@return moonwire.Err? err
function Memory:xchg_u64(offset, value) end

--- Puts `value` there if `expected` is there, in one step; an unsigned 64-bit integer.
---@param offset integer  a multiple of 8
---@param expected integer
---@param value integer
---@return boolean? changed
---@return moonwire.Err? err
function Memory:cas_u64(offset, expected, value) end

--- Adds to a signed 64-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 8
---@param value integer  what is added, of either sign; wraps round
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:add_i64(offset, value) end

--- Subtracts from a signed 64-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 8
---@param value integer  what is taken away, of either sign; wraps round
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:sub_i64(offset, value) end

--- Keeps only those bits that `value` has too, of a signed 64-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 8
---@param value integer  bits
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:and_i64(offset, value) end

--- Sets the bits of `value` in a signed 64-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 8
---@param value integer  bits
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:or_i64(offset, value) end

--- Turns the bits of `value` over in a signed 64-bit integer, in one step that no other process can come between.
---@param offset integer  a multiple of 8
---@param value integer  bits
---@return integer? value  the new one
---@return moonwire.Err? err
function Memory:xor_i64(offset, value) end

--- Puts a signed 64-bit integer there and gives the one before, in one step.
---@param offset integer  a multiple of 8
---@param value integer
---@return integer? before
---@return moonwire.Err? err
function Memory:xchg_i64(offset, value) end

--- Puts `value` there if `expected` is there, in one step; a signed 64-bit integer.
---@param offset integer  a multiple of 8
---@param expected integer
---@param value integer
---@return boolean? changed
---@return moonwire.Err? err
function Memory:cas_i64(offset, expected, value) end
