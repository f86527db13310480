---@meta
--- Lua's own libraries where moonwire guards them (host/bind/std*.c). They take and give what the manual says, save as told here;
--- without the right each raises EDENIED, whose text names the flag.

--- Text only: bytecode is refused whatever the mode.
---@param chunk string|fun(): string?
---@param chunkname? string
---@param mode? "t"|"bt"
---@param env? table
---@return function? f
---@return string? message
function load(chunk, chunkname, mode, env) end

--- Takes a read right. A name is expected: standard input is no chunk.
---@param filename string
---@param mode? "t"|"bt"
---@param env? table
---@return function? f
---@return string? message
function loadfile(filename, mode, env) end

--- Takes a read right.
---@param filename string
---@return any ...
function dofile(filename) end

--- Writes to standard output, as io.stdout:write does; raises when that fails.
---@param ... any
function print(...) end

--- Names are looked up in package.preload, among Lua files (free beside the main script, elsewhere under a read right), then among
--- native modules (under an ffi right). The chunk may wait; another task that wants the module waits for it. With all rights (-A)
--- LUA_PATH and LUA_CPATH are obeyed as in lua5.4, and the working directory is looked in last.
---@param modname string
---@return any module
---@return any extra  where it was found
function require(modname) end

--- The file that require would load: nil, and what was looked at, when there is none.
---@param name string
---@param path string
---@param sep? string
---@param rep? string
---@return string? filename
---@return string? looked
function package.searchpath(name, path, sep, rep) end

--- Fields of a function or a level; `func` only for functions of scripts.
---@param thread? thread
---@param f function|integer
---@param what? string  letters of S f l L n r t u
---@return table?
function debug.getinfo(thread, f, what) end

--- Takes a write right.
---@param filename string
---@return true? ok
---@return string? message
---@return integer? errno
function os.remove(filename) end

--- Takes a write right for both, and a read right for the old name where the new one is readable.
---@param oldname string
---@param newname string
---@return true? ok
---@return string? message
---@return integer? errno
function os.rename(oldname, newname) end

--- Takes a write right for TMPDIR (or /tmp); the file is made.
---@return string name
function os.tmpname() end

--- Takes an env right.
---@param name string
---@return string? value
function os.getenv(name) end

--- False without a command; with one it raises: see mw.process.
---@param command? string
---@return false
function os.execute(command) end

--- Cancels everything, runs cleanup, then leaves with the status.
---@param code? boolean|integer
function os.exit(code) end

--- The locale can be asked for, not changed.
---@param locale? string
---@param category? string
---@return string?
function os.setlocale(locale, category) end

--- Closes a file, or the default output.
---@param file? file*
---@return true? ok
---@return string? message
---@return integer? errno
function io.close(file) end

---@return file*
function io.flush() end

---@param file? file*|string
---@return file*
function io.input(file) end

--- Iterates over a file's lines and closes it at the end. On a pipe or a terminal it waits.
---@param filename? string
---@param ... string|integer  formats
---@return function
function io.lines(filename, ...) end

--- Takes a read or a write right, as the mode asks. A FIFO is no file: mw.fs.open streams it.
---@param filename string
---@param mode? string
---@return file*? file
---@return string? message
---@return integer? errno
function io.open(filename, mode) end

---@param file? file*|string
---@return file*
function io.output(file) end

--- Raises: see mw.process.spawn and mw.process.lines.
function io.popen() end

---@param ... string|integer  formats
---@return any ...
function io.read(...) end

--- Takes a write right for TMPDIR (or /tmp); the file has no name.
---@return file*
function io.tmpfile() end

---@param v any
---@return "file"|"closed file"|nil
function io.type(v) end

---@param ... string|number
---@return file*? file
---@return string? message
---@return integer? errno
function io.write(...) end

---@class file*
local file = {}

--- Where the position is put.
---@param whence? "set"|"cur"|"end"
---@param offset? integer
---@return integer? position
---@return string? message
---@return integer? errno
function file:seek(whence, offset) end

---@param mode "no"|"line"|"full"
---@param size? integer
---@return true
function file:setvbuf(mode, size) end

return file

--- The functions below, and setmetatable, are Lua 5.4's in what they do and say; they end with ELIMIT where Lua's own would go on
--- for hours: patterns that backtrack without end, lengths that __len makes up.

---@param s string
---@param pattern string
---@param init? integer
---@param plain? boolean
---@return integer? first
---@return integer? last
---@return any ... captures
function string.find(s, pattern, init, plain) end

---@param s string
---@param pattern string
---@param init? integer
---@return any ... captures, or nil
function string.match(s, pattern, init) end

---@param s string
---@param pattern string
---@param init? integer
---@return fun(): any
function string.gmatch(s, pattern, init) end

---@param s string
---@param pattern string
---@param repl string|number|table|function
---@param n? integer
---@return string
---@return integer count
function string.gsub(s, pattern, repl, n) end

---@param s string
---@param n integer
---@param sep? string
---@return string
function string.rep(s, n, sep) end

---@param list table
---@param pos integer
---@param value any
---@overload fun(list: table, value: any)
function table.insert(list, pos, value) end

---@param list table
---@param pos? integer
---@return any
function table.remove(list, pos) end

---@param a1 table
---@param f integer
---@param e integer
---@param t integer
---@param a2? table
---@return table
function table.move(a1, f, e, t, a2) end

---@param list table
---@param sep? string
---@param i? integer
---@param j? integer
---@return string
function table.concat(list, sep, i, j) end

---@param list table
---@param i? integer
---@param j? integer
---@return any ...
function table.unpack(list, i, j) end

---@param list table
---@param comp? fun(a: any, b: any): boolean
function table.sort(list, comp) end

--- As Lua's own. A __gc that `metatable` has now is called for the table when nothing refers to it any longer, as code that can be
--- stopped: it is under the step limit, and may not wait. It runs between two instructions of the script: where a function of ours
--- makes Lua collect, it waits for the next such place, or for the task to rest.
---@generic T: table
---@param table T
---@param metatable table?
---@return T
function setmetatable(table, metatable) end

--- As Lua's own. For an error that stopped the script (a limit, an interrupt) a handler in Lua runs apart: it sees no traceback.
---@param f fun(...): any
---@param msgh fun(err: any): any
---@return boolean ok
---@return any ... results, or what the handler made of the error
function xpcall(f, msgh, ...) end

--- The four below, and os.date, are Lua's own, behind a look at how long their formats are: ELIMIT above 1 MiB.

---@param format string
---@param ... any
---@return string
function string.format(format, ...) end

---@param format string
---@param ... any
---@return string
function string.pack(format, ...) end

---@param format string
---@return integer
function string.packsize(format) end

---@param format string
---@param s string
---@param pos? integer
---@return any ...
function string.unpack(format, s, pos) end
