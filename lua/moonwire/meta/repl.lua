---@meta
--- The door `core.repl` (host/bind/repl.c): what a prompt needs and no script has.

---@class moonwire.core.repl
local repl = {}

--- The names of a Lua function's upvalues, in their order.
---@param f function
---@return string[]
function repl.upvalues(f) end

--- f's i-th upvalue is g's j-th from now on.
---@param f function
---@param i integer
---@param g function
---@param j integer
function repl.join(f, i, g, j) end

--- The value of f's i-th upvalue.
---@param f function
---@param i integer
---@return any
function repl.get(f, i) end

---@param f function
---@param i integer
---@param value any
function repl.set(f, i, value) end

--- Whether a `<close>` variable may hold it.
---@param v any
---@return boolean
function repl.closable(v) end

--- Calls its `__close`, as the end of a block would. It may wait.
---@param v any
function repl.close(v) end

--- Calls f(...) where it can neither wait nor run longer than so many instructions.
---@param instructions integer
---@param f function
---@return boolean ok
---@return any result  its first result, or the error
function repl.within(instructions, f, ...) end

--- Stops (false) or starts the garbage collector.
---@param on boolean
---@return integer bytes  in use now
function repl.collector(on) end

--- The streams that are open.
---@return { key: userdata, name: string, bytes_in: integer, bytes_out: integer }[]
function repl.streams() end

--- The children that run; times in seconds.
---@return { pid: integer, name: string, ran: number, cpu: number }[]
function repl.children() end

return repl
