--- Files: whole ones, open ones, directories, and what happens to them. Every path asks for its right; every denial raises.

local _, core = ...

local door = core.fs
local fail, raise, options = core.err.fail, core.err.raise, core.arg.options

local LINE = 1 << 20 -- bytes of a line unless told

-- ---- Open files ---------------------------------------------------------------------------------------------------------

---@class moonwire.File
local methods = door.methods

--- Iterates over what `read(format, opts)` gives until the end; raises on errors.
---@param format? "l"|"L"|integer|{ max?: integer|string, timeout?: number|string }
---@param opts? { max?: integer|string, timeout?: number|string }
---@return fun(): string? next
function methods:lines(format, opts)
  if type(format) == "table" then
    format, opts = nil, format
  end
  local read = methods.read
  if format == nil and opts == nil then
    return function()
      local line, err = read(self)
      if err then raise(err) end
      return line
    end
  end
  return function()
    local line, err = read(self, format, opts)
    if err then raise(err) end
    return line
  end
end

---@class moonwire.fs
local fs = {
  open = door.open, read = door.read, write = door.write, stat = door.stat, list = door.list, mkdir = door.mkdir,
  remove = door.remove, rename = door.rename,
}

-- ---- Temporary directories ----------------------------------------------------------------------------------------------

--- A directory for temporary files; `tostring(dir)` is its path.
---@class moonwire.TempDir
---@field path string  where it is
---@field private box userdata
---@field private closed boolean?
local TempDir = { __name = "moonwire.TempDir", __metatable = false }
TempDir.__index = TempDir

--- Removes the directory and all that is in it, also when the task is being cancelled. Idempotent.
---@return true? ok
---@return moonwire.Err? err
function TempDir:close()
  local box = self.box
  if self.closed then return true end
  return core.module("moonwire.task").shield(function()
    local ok, err = box:close()
    self.closed = ok
    return ok, err
  end, { timeout = 30 })
end
TempDir.__close = TempDir.close

function TempDir:__tostring()
  return self.path
end

--- The path of `name` in the directory.
---@param name string
---@return string
function TempDir:join(name)
  return self.path .. "/" .. name
end

--- A new, empty directory for temporary files, below TMPDIR or /tmp. `local dir <close> = ...` removes it with all that is in it.
---@param opts? { prefix?: string }
---@return moonwire.TempDir? dir
---@return moonwire.Err? err
function fs.tempdir(opts)
  local box, err = door.tempdir(opts)
  if not box then return nil, err end
  return setmetatable({ path = box:path(), box = box }, TempDir)
end

-- ---- Watching -----------------------------------------------------------------------------------------------------------

--- What `mw.fs.watch` iterates with: calling it gives the next event, nil when the directory is gone or it was closed.
---@class moonwire.Watch
---@field private box userdata
---@field private opts table
local Watch = { __name = "moonwire.Watch", __metatable = false }
Watch.__index = Watch

--- The next event; nil when the watched directory is gone or the watch was closed. Raises on errors.
---@return moonwire.WatchEvent? event
function Watch:__call()
  local event, err = self.box:next(self.opts)
  if err and err.code ~= "ECLOSED" then raise(err) end
  return event
end

--- Ends it. Idempotent.
function Watch:close()
  self.box:close()
end
Watch.__close = Watch.close

---@class moonwire.WatchEvent
---@field path string
---@field what "created"|"changed"|"removed"|"renamed"|"overflow"  overflow: more happened than the kernel kept; look for yourself
---@field from? string  the old path of what was renamed

--- Iterates over what happens to a directory's entries, or to one file. Raises when it cannot begin.
---
--- ```lua
--- for ev in mw.fs.watch("inbox") do print(ev.what, ev.path, ev.from) end
--- ```
---@param path string
---@param opts? moonwire.Timeout  how long to wait for an event (then ETIMEDOUT is raised); default: for ever
---@return moonwire.Watch watch  calling it gives the next event; `for` does so, and closes it
function fs.watch(path, opts)
  local o = options(opts, { timeout = "duration" }, "fs.watch")
  local box, err = door.watch(path)
  if not box then raise(err) end
  local it = setmetatable({ box = box, opts = o }, Watch)
  return it, nil, nil, it
end

-- ---- Following a file -----------------------------------------------------------------------------------------------------

--- What `mw.fs.tail` iterates with: calling it gives the next line, nil after `close`.
---@class moonwire.Tail
---@field private path string
---@field private box userdata  the watch of the name
---@field private file userdata?  what is read now
---@field private held string  the beginning of a line that is not there whole
---@field private pos integer  bytes read of the file
---@field private max integer
---@field private opts table
local Tail = { __name = "moonwire.Tail", __metatable = false }
Tail.__index = Tail

---@class moonwire.TailOptions
---@field from? "start"|"end"       where to begin in a file that is there; "end"
---@field max? integer|string       bytes of a line; 1 MiB. A longer one raises ELIMIT
---@field timeout? number|string    so long without news: ETIMEDOUT is raised; default: never

--- Opens what the name stands for now; nil if there is nothing.
local function reopen(self)
  local file, err = door.open(self.path, "r")
  if not file and err.code ~= "ENOENT" then raise(err) end
  self.file, self.pos = file, 0
  return file
end

local function drop(self)
  local file = self.file
  self.file = nil
  if file then file:close() end
end

--- Another file has the name, or the file shrank: start over. Returns true if there may be something to read.
local function turned(self)
  local file = self.file
  if not file then return reopen(self) ~= nil end
  local mine = file:stat()
  local now = door.stat(self.path)
  if mine and mine.size < self.pos then
    self.held, self.pos = "", 0
    file:seek("set", 0)
    return true
  end
  if mine and now and (now.ino ~= mine.ino or now.dev ~= mine.dev) then
    drop(self)
    return reopen(self) ~= nil
  end
  return false
end

--- A line that is there whole, without its end; or nil.
local function whole_line(self)
  local file = self.file
  if not file then return nil end
  local piece, err = file:read("L", { max = self.max })
  if err and not self.closed then raise(err) end
  if not piece then return nil end
  self.pos = self.pos + #piece
  self.held = self.held .. piece
  if #self.held > self.max + 1 then
    raise(fail("ELIMIT", "fs tail", self.path, "a line longer than " .. self.max .. " bytes", "raise it with { max = ... }"))
  end
  if self.held:byte(-1) ~= 10 then return whole_line(self) end
  local line = self.held:sub(1, -2)
  self.held = ""
  return line
end

--- The next line; waits for it. nil after close. Raises on errors.
---@return string?
function Tail:__call()
  while not self.closed do
    local line = whole_line(self)
    if line then return line end
    local before = self.file
    if turned(self) then
      if before and self.file ~= before and self.held ~= "" then -- the old file ended without a newline
        line, self.held = self.held, ""
        return line
      end
    else
      local event, err = self.box:next(self.opts)
      if err and err.code == "ECLOSED" then return nil end
      if err then raise(err) end
      if not event then return nil end
    end
  end
end

--- Ends it. Idempotent.
function Tail:close()
  self.closed = true
  drop(self)
  self.box:close()
end
Tail.__close = Tail.close

--- Iterates over the lines of a file as they come, through growth, truncation and rotation:
--- `for line in mw.fs.tail("/var/log/app.log") do print(line) end`. The file need not exist yet.
---@param path string
---@param opts? moonwire.TailOptions
---@return moonwire.Tail tail  calling it gives the next line; `for` does so, and closes it
function fs.tail(path, opts)
  local o = options(opts, { from = "text", max = "size", timeout = "duration" }, "fs.tail")
  if o.from and o.from ~= "start" and o.from ~= "end" then
    raise(fail("EINVAL", "fs.tail", nil, 'option "from" must be "start" or "end", got "' .. o.from .. '"'))
  end
  local box, err = door.watch(path)
  if not box then raise(err) end
  local it = setmetatable({ path = path, box = box, held = "", max = o.max or LINE, opts = { timeout = o.timeout } }, Tail)
  local ok, why = pcall(reopen, it)
  if not ok then
    box:close()
    raise(why)
  end
  if it.file and o.from ~= "start" then it.pos = it.file:seek("end") or 0 end
  return it, nil, nil, it
end

return fs
