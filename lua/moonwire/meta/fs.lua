---@meta

--- What a name or an open file stands for. Times are seconds since 1970.
---@class moonwire.Stat
---@field type "file"|"directory"|"link"|"fifo"|"socket"|"char"|"block"|"unknown"
---@field size integer   bytes
---@field mode integer   permission bits: tonumber("644", 8)
---@field mtime number   content changed
---@field atime number   content read
---@field ctime number   anything changed
---@field uid integer    whose it is
---@field gid integer    its group
---@field nlink integer  names that it has
---@field ino integer    its number in its file system
---@field dev integer    its file system

--- Files and folders. Every path asks for its right first (`--allow-read`, `--allow-write`); EDENIED and EINVAL raise, all else is
--- `nil, err`. What is slow waits in a thread: the other tasks go on.
---
--- ```lua
--- local text = assert(mw.fs.read("settings.json"))
--- assert(mw.fs.write("settings.json", text))          -- whole or not at all
--- for _, name in ipairs(assert(mw.fs.list("."))) do print(name) end
--- ```
---@class moonwire.fs
local fs = {}

--- All bytes of a file. FIFOs, sockets, terminals and block devices are refused.
---@param path string
---@param options? { max?: integer|string, timeout?: number|string }  max: 64 MiB
---@return string? bytes
---@return moonwire.Err? err  ENOENT, ...; ELIMIT: more than `max`
function fs.read(path, options) end

--- Replaces a file whole, or makes it: a new file is written, then renamed, so that nobody ever sees half of it, and a failure
--- (ENOSPC, a kill) leaves the old one. The mode of an old file is kept.
---@param path string
---@param data string
---@param options? { mode?: string|integer, sync?: boolean, timeout?: number|string }  mode of a new file, "0600"; sync: on disk before it
---  returns
---@return true? ok
---@return moonwire.Err? err  ENOSPC, ...: the old file is as it was
function fs.write(path, data, options) end

--- Facts about what a name stands for.
---@param path string
---@param options? { follow?: boolean }  follow = false: about a link itself
---@return moonwire.Stat? stat
---@return moonwire.Err? err  ENOENT: there is nothing
function fs.stat(path, options) end

--- The names in a directory, sorted by their bytes, without "." and "..".
---@param path string
---@param options? { types?: boolean, timeout?: number|string }  types = true: tables of name and type, as in Stat
---@return (string[] | { name: string, type: string }[])? names
---@return moonwire.Err? err  ENOENT, ENOTDIR; ELIMIT: more than a million
function fs.list(path, options) end

--- Makes a directory.
---@param path string
---@param options? { parents?: boolean, mode?: string|integer }  parents = true: also those above it, and no error if it is there; mode:
---  "0700" or a number
---@return true? ok
---@return moonwire.Err? err  EEXIST, ENOENT: there is none above it
function fs.mkdir(path, options) end

--- Removes a file or an empty directory; `tree = true`: also all below it, 256 levels at most, following no link. A tree that
--- holds something that a rule denies is refused whole.
---@param path string
---@param options? { tree?: boolean, timeout?: number|string }
---@return true? ok
---@return moonwire.Err? err  ENOENT, ENOTEMPTY; EBUSY: . or .., or the root; ENOTDIR: "x/" where x is no directory, or a link to one
function fs.remove(path, options) end

--- Moves a file or directory within one file system; replaces a file that has the new name.
---@param from string
---@param to string
---@return true? ok
---@return moonwire.Err? err  ENOENT; EXDEV: another file system; EBUSY: . or ..; ENOTDIR: "x/" where x is no directory
function fs.rename(from, to) end

--- Opens a regular file (or null, zero, full, random, urandom). "w" empties or makes it, "a" appends, "r+" reads and writes.
--- The file also serves as a child's stdin, stdout or stderr.
---
--- ```lua
--- local log <close> = assert(mw.fs.open("build.log", "w"))
--- mw.process.run{ "make", stdout = log, stderr = log }
--- ```
---@param path string
---@param mode? "r"|"w"|"a"|"r+"  "r" unless told
---@return moonwire.File? file
---@return moonwire.Err? err
function fs.open(path, mode) end


--- An open file (`mw.fs.open`). Reads and writes of several tasks are done one after the other, in threads: a slow disk holds up
--- the calling task only.
---
--- ```lua
--- local file <close> = assert(mw.fs.open("notes.txt", "a"))
--- assert(file:write("a line\n"))
--- assert(file:flush{ sync = true })
--- ```
---@class moonwire.File
local File = {}

--- A line ("l", without its end; "L", with it), all ("a"), or up to that many bytes; nil at the end. ELIMIT: a line above `max`
--- (1 MiB), all above `max` (64 MiB).
---@param format? "l"|"L"|"a"|integer
---@param options? { max?: integer|string, timeout?: number|string }
---@return string? bytes
---@return moonwire.Err? err
function File:read(format, options) end

--- Up to `max` bytes (64 KiB), at least one; nil at the end.
---@param max? integer|string
---@param options? moonwire.Timeout
---@return string? bytes
---@return moonwire.Err? err
function File:read_some(max, options) end

--- All of that many bytes; EEOF if there are fewer (they stay).
---@param count integer
---@param options? moonwire.Timeout
---@return string? bytes
---@return moonwire.Err? err
function File:read_exact(count, options) end

--- The bytes before `delimiter`, which is taken too; nil at the end; EEOF: bytes without one; EFRAME: more than `max` (64 KiB).
---@param delimiter string
---@param options? { max?: integer|string, timeout?: number|string }
---@return string? bytes
---@return moonwire.Err? err
function File:read_until(delimiter, options) end

--- Writes strings and numbers. Up to 64 KiB are held until flush, seek, read, stat or close.
---@param ... string|number
---@return moonwire.File? file
---@return moonwire.Err? err  what could not be written stays held
function File:write(...) end

--- Writes what is held; `sync = true`: waits until it is on disk.
---@param options? { sync?: boolean }
---@return moonwire.File? file
---@return moonwire.Err? err
function File:flush(options) end

--- Moves to `offset` from the start ("set"), from where it is ("cur", the default) or from the end, and tells where it is then. Without
--- arguments it only tells.
---@param whence? "set"|"cur"|"end"
---@param offset? integer  0
---@return integer? position  bytes from the start
---@return moonwire.Err? err
function File:seek(whence, offset) end

--- Facts about it; writes first what is held.
---@return moonwire.Stat? stat
---@return moonwire.Err? err
function File:stat() end

--- Writes what is held and closes. Idempotent.
---@return true? ok
---@return moonwire.Err? err
function File:close() end

--- The door `core.fs` (host/bind/fs.c): what scripts see otherwise.
---@class moonwire.core.fs
local door = {}

--- lua/moonwire/fs.lua makes the iterator.
---@param path string
---@return moonwire.core.WatchBox? watch
---@return moonwire.Err? err
function door.watch(path) end

--- lua/moonwire/fs.lua makes the TempDir.
---@param options? { prefix?: string }
---@return moonwire.core.TempDirBox? dir
---@return moonwire.Err? err
function door.tempdir(options) end

---@class moonwire.core.WatchBox
local WatchBox = {}

--- The next event; nil once the directory is gone.
---@param options? moonwire.Timeout
---@return { path: string, what: string, from?: string }? event
---@return moonwire.Err? err
function WatchBox:next(options) end

---@return true
function WatchBox:close() end

---@class moonwire.core.TempDirBox
local TempDirBox = {}

---@return string
function TempDirBox:path() end

--- Removes the directory with all that is in it. Idempotent.
---@return true? ok
---@return moonwire.Err? err
function TempDirBox:close() end
