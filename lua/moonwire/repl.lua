--- The session behind the prompt: lines in, values and errors out. The same on a terminal, from a pipe and for who attaches: what it
--- shows goes to the functions that it was made with.
---
--- Every line is a task in one scope, in which an error cancels nobody else, so what a line starts lives on until the session ends.
local _, core = ...

local eval = core.module("moonwire.repl_eval")
local show = core.module("moonwire.repl_show")
local harmless = core.module("moonwire.inspect_walk").harmless
local is_err, traceback_of, remember = core.err.is, core.err.traceback_of, core.err.traceback
local task, fail, raise, options_of = core.task, core.err.fail, core.err.raise, core.arg.options
local getinfo, pack, unpack, rep = debug.getinfo, table.pack, table.unpack, string.rep
local pcall, xpcall, setmetatable, collectgarbage = pcall, xpcall, setmetatable, collectgarbage
local remove = table.remove
local find, gsub, gmatch, format = string.find, string.gsub, string.gmatch, string.format
local say, stderr = print, io.stderr

local PROMPT, MORE = "> ", ">> "
local VALUES = 9 -- of one line that get names
local KEPT_LINES = 10000 -- for .save
local KEPT_BYTES = 1 << 20
local NUMBERED = 20000 -- lines of an input that are counted by the compiler itself
local LEVELS = 200 -- of a stack that are looked at
local LINE_MOST = 16 << 20 -- bytes of one input
local BALLAST = 512 << 10

---@class moonwire.repl.Host
---@field out fun(text: string)     shows what a line gave
---@field err fun(text: string, terminal?: boolean)  shows what went wrong
---@field emit fun(topic: string, message: table)  "repl.done", "repl.exit", "repl.clear"
---@field options? table            terminal, colour, columns, history
---@field globals? table            what plain names mean
---@field locals? table<string, any>    variables that are there from the beginning

---@class moonwire.repl.Line
---@field text string
---@field number integer
---@field chunks moonwire.repl.Chunk[]
---@field name string     of its chunks: "line 3", "stdin"
---@field before integer  newlines before it in that
---@field cancelled? boolean  by Ctrl-C

---@class moonwire.Session
---@field locals moonwire.repl.Locals
---@field show moonwire.repl.Show
local Session = { __name = "session", __metatable = false }
Session.__index = Session

local known = { terminal = "flag", colour = "flag", columns = "integer", history = "flag" }

--- A session whose tasks belong to the calling task. Close it, or let `wait` do it.
---@param host moonwire.repl.Host
---@return moonwire.Session
local function new(host)
  local globals = host.globals or _G
  local self = setmetatable({
    host = host,
    options = { columns = 80 },
    locals = eval.new(globals),
    queue = {}, -- lines that wait for their turn
    behind = {}, -- those that run in the background, by number
    inputs = {}, -- that succeeded, for .save
    input_bytes = 0,
    entered = 0, -- newlines of everything that came
    number = 0, -- of lines that ran
    status = 0, -- of the last one
    changed = task.cond(),
  }, Session)
  self.show = show.new(self.options)
  if host.options then self:set_options(host.options) end
  self.locals:declare("mw", core.module("moonwire"))
  self.locals:declare("_", nil)
  for i = 2, VALUES do self.locals:declare("_" .. i, nil) end
  for name, value in next, host.locals or {} do self.locals:declare(name, value) end
  self.ours = {}
  for i = 1, VALUES do
    local name = i == 1 and "_" or "_" .. i
    self.ours[name] = self.locals.held[name].f
  end
  self.me = task.number()
  self.scope = task.supervised(function(number, name, why, traceback) self:report_task(number, name, why, traceback) end)
  return self
end

--- What the front knows of its screen.
---@param t { terminal?: boolean, colour?: boolean, columns?: integer, history?: boolean }
function Session:set_options(t)
  for name, value in next, options_of(t, known, "repl.options") do self.options[name] = value end
end

-- What is shown ---------------------------------------------------------------------------------------------------------

--- A cancelled line tells of it all the same.
local function without_cancels(f, ...)
  local args = pack(...)
  return task.shield(function() return f(unpack(args, 1, args.n)) end, { timeout = 2 })
end

---@param text string?
function Session:out(text)
  if text and text ~= "" then without_cancels(self.host.out, text) end
end

---@param text string?
function Session:err(text)
  if text and text ~= "" then without_cancels(self.host.err, text, self.options.terminal) end
end

--- What is no result: notes for who types.
function Session:note(text)
  if self.options.terminal then self:out(self.show:note(text)) else self:err(text) end
end

local function emit(self, topic, message)
  pcall(self.host.emit, topic, message)
end

-- Errors ----------------------------------------------------------------------------------------------------------------

local function place(info)
  local where = info.short_src .. ":" .. info.currentline
  if info.name and info.namewhat ~= "" then return format("at %s, in %s '%s'", where, info.namewhat, info.name) end
  return "at " .. where
end

--- The frames that are the script's own, innermost first.
local function frames()
  local out = {}
  for level = 3, LEVELS do
    local info = getinfo(level, "Snl")
    if not info or #out >= 100 then return out end
    if info.currentline > 0 and not find(info.source, "^=%[moonwire") then out[#out + 1] = place(info) end
  end
  return out
end

--- A traceback of another task as frames.
local function frames_of(text)
  local out = {}
  for at, rest in gmatch(text, "\n\t([^\n]-:%d+): in ([^\n]*)") do
    if not find(at, "^%[moonwire") then
      local named = not find(rest, "^main chunk") and not find(rest, "<", 1, true)
      out[#out + 1] = "at " .. at .. (named and ", in " .. rest or "")
    end
  end
  return out
end

function Session:report_task(number, name, why, traceback)
  local what = name and format('task %d "%s"', number, harmless(name)) or format("task %d", number)
  self:err(self.show:paint("error", what .. " failed") .. "\n" .. self.show:error(why, frames_of(traceback)))
end

--- 77 where a right was missing, as a script ends with.
local function status_of(why)
  return is_err(why) and why.code == "EDENIED" and 77 or 1
end

-- Lines -----------------------------------------------------------------------------------------------------------------

--- What a line's task holds, so that its end is known however it ends.
local Guard = { __close = function(it) it.session:ended(it.line) end }

function Session:keep_input(text)
  self.inputs[#self.inputs + 1] = text
  self.input_bytes = self.input_bytes + #text
  while #self.inputs > KEPT_LINES or self.input_bytes > KEPT_BYTES and #self.inputs > 1 do
    self.input_bytes = self.input_bytes - #remove(self.inputs, 1)
  end
end

--- `_` is the first value of the last line that gave any, `_2` its second.
function Session:set_values(values)
  if values.n == 0 then return end
  for i = 1, VALUES do
    local name = i == 1 and "_" or "_" .. i
    self.locals:assign(name, values[i], self.ours[name])
  end
end

--- Runs code as a chunk of its own, in the task that calls; returns its values, packed. Raises.
---@param chunk moonwire.repl.Chunk
---@param name string
---@param before integer
function Session:evaluate(chunk, name, before)
  return pack(self.locals:run(chunk, "=" .. name, before))
end

local function run_chunk(self, line, chunk)
  if chunk.kind == "command" then
    core.module("moonwire.repl_commands").run(self, chunk.text, line)
    return
  end
  local values = self:evaluate(chunk, line.name, line.before + chunk.line)
  self:set_values(values)
  local text, folded = self.show:values(values)
  self.folded = folded
  if line.background and text then text = self.show:note(format("line %d:", line.number)) .. "\n" .. text end
  self:out(text)
  if folded and self.options.terminal then
    self:out(self.show:note(folded.from and "(.more shows what follows)" or "(.more shows all of it)"))
  end
end

function Session:run_line(line)
  local _guard <close> = setmetatable({ session = self, line = line }, Guard)
  local at
  if not self.tight then self:take_ballast() end
  self.locals:mark()
  for i = 1, #line.chunks do
    local ok, why = xpcall(run_chunk, function(e)
      at = frames()
      return remember(e)
    end, self, line, line.chunks[i])
    if not ok then return self:failed(line, why, at) end
  end
  line.told = true
  line.status = 0
  self:keep_input(line.text)
end

--- Memory that is given up when there is no other, so that what went wrong can be told.
function Session:take_ballast()
  if self.ballast then return end
  local ok, text = pcall(rep, "\0", BALLAST)
  self.ballast = ok and text or nil
end

local function room()
  local used, limit = core.host.memory()
  return used <= limit and limit - used or math.huge -- a state that was lent may have more
end

--- What runs in the background may have filled the memory: the line then has what was kept, to set something to nil with.
function Session:make_room()
  local left = room()
  if left < BALLAST then
    self.ballast = nil
    collectgarbage()
    left = room()
  end
  self.tight = left < 2 * BALLAST
end

--- What the line declared goes, if that is what fills the memory.
local function tell_memory(self, why)
  self.ballast = nil
  collectgarbage()
  self:take_ballast()
  local forgotten = not self.ballast
  if forgotten then
    self.locals:forget()
    collectgarbage()
    self:take_ballast()
  end
  local full = not self.ballast
  self.ballast = nil
  self:err(self.show:error(why))
  if full then
    self:note("what the session holds fills the memory: set to nil what is not needed")
  elseif forgotten then
    self:note("the locals of the line are gone with it")
  end
end

function Session:failed(line, why, at)
  line.told = true
  line.status = status_of(why)
  traceback_of(why) -- it is told here
  if type(why) == "string" and find(why, "not enough memory", 1, true) then
    if not pcall(tell_memory, self, why) then pcall(self.host.err, "error: not enough memory", self.options.terminal) end
    return
  end
  if is_err(why) and why.code == "ECANCELED" then
    local ending = self.leaving or why.message == "exit" or why.message == "the host is shutting down"
    if not ending then self:note(why.message == "interrupted" and "interrupted" or self.show:headline(why)) end
    return
  end
  local own = self.options.terminal and not find(line.text, "\n", 1, true) and line.name or nil
  self:err(self.show:error(why, at, own))
end

--- A line is over: the next one begins, or the prompt is back.
function Session:ended(line)
  if line.over then return end
  line.over = true
  self.behind[line.number] = nil
  self.locals:mark()
  if not line.told then -- its task was closed for good, and may not wait
    pcall(self.host.err, self.show:note("interrupted"), self.options.terminal)
  end
  if not line.background then self.status = line.status or 1 end
  if self.foreground ~= line then return end
  self.foreground = nil
  self:next_line(line)
end

function Session:next_line(after)
  local line = remove(self.queue, 1)
  if line then return self:start(line) end
  if not self.leaving then
    emit(self, "repl.done", { id = after.number, prompt = PROMPT, failed = (after.status or 1) ~= 0 and not after.background })
  end
end

function Session:start(line)
  if not line.background then self.foreground = line end
  local ok, why = pcall(self.scope.spawn_with, self.scope, { name = "line " .. line.number }, line.run or self.run_line, self, line)
  if ok then
    line.task = why
  else
    line.told, line.status = true, 1
    pcall(self.host.err, self.show:error(why), self.options.terminal)
    self:ended(line)
  end
end

--- A syntax error is told by a task too: to show something may take its time.
local function refused(self, line, why, before)
  line.chunks = {}
  local text = line.text
  for _ = 1, before do text = gsub(text, "^[^\n]*\n", "", 1) end
  line.refused = self.show:syntax(text, why, self.options.terminal and "" or line.name, line.before + before,
    find(line.text, "\n", 1, true) ~= nil)
end

function Session:run_refused(line)
  local _guard <close> = setmetatable({ session = self, line = line }, Guard)
  line.told, line.status = true, 1
  self:err(line.refused)
end

--- How a chunk of the next line is called in errors, and the newlines before it: of standard input the line is told; a person's lines
--- have numbers.
function Session:name_line()
  if self.options.terminal then return "line " .. self.number + 1, 0 end
  if self.entered < NUMBERED then return "stdin", self.entered end
  return "stdin+" .. self.entered, 0
end

--- Takes a line, or several. "more": it goes on, call again with all of it and the next; "run": it runs, "repl.done" follows; "empty".
---@param text string
---@return "more"|"run"|"empty" verdict
---@return string prompt
function Session:submit(text)
  if self.leaving then return "empty", PROMPT end
  self:make_room()
  if #text > LINE_MOST then raise(fail("ELIMIT", "repl", nil, "a line of more than 16 MiB")) end
  local name, before = self:name_line()
  local chunks, why, at, state = eval.split(text, "=" .. name, self.so_far)
  self.unfinished, self.so_far = not chunks and why == "more", state
  if self.unfinished then return "more", MORE end
  local _, newlines = gsub(text, "\n", "")
  self.entered = self.entered + newlines + 1
  if chunks and #chunks == 0 then return "empty", PROMPT end
  self.number = self.number + 1
  local line = { text = text, number = self.number, chunks = chunks, name = name, before = before }
  if not chunks then
    refused(self, line, why, at)
    line.run = self.run_refused
  end
  if self.foreground then
    self.queue[#self.queue + 1] = line
  else
    self:start(line)
  end
  return "run", PROMPT
end

--- Runs code in the background, at once.
---@param text string
function Session:submit_behind(text)
  local chunks, why = eval.split(text, "=line " .. self.number + 1)
  if not chunks then raise(fail("EPARSE", nil, nil, why == "more" and "the code is not complete" or why)) end
  if #chunks == 0 then return nil end
  self.number = self.number + 1
  local line = { text = text, number = self.number, chunks = chunks, name = "line " .. self.number, before = 0, background = true }
  self.behind[line.number] = line
  self:start(line)
  return line.number
end

--- Ctrl-C: ends the line that runs; the second, also what that line still cleans up. False when none does.
---@return boolean
function Session:cancel()
  local line = self.foreground
  self.queue = {}
  if not line or not line.task then return false end
  if line.cancelled then task.hurry(line.task) end
  line.cancelled = true
  line.task:cancel("interrupted")
  return true
end

--- Ctrl-Z: the line goes on in the background, and the prompt is back.
---@return boolean
function Session:background()
  local line = self.foreground
  if not line then return false end
  self.foreground = nil
  line.background = true
  self.behind[line.number] = line
  pcall(self.host.out, self.show:note(format("line %d goes on in the background", line.number)))
  self:next_line(line)
  return true
end

--- Ctrl-D, or the end of the input: everything is cancelled.
---@param code? integer  the exit status; by default 0 for a person, else that of the last line
function Session:leave(code)
  if self.leaving then return end
  self.leaving = true
  self.code = code or not self.options.terminal and (self.unfinished and 1 or self.status) or 0
  self.changed:wake()
end

--- What Tab offers at byte `at` of `text`.
---@param text string
---@param at integer
function Session:complete(text, at)
  local ok, module = pcall(core.module, "moonwire.repl_complete")
  if not ok then return { from = at, items = {} } end
  return module.complete(self.locals:snapshot(), text, at)
end

--- Clears the screen.
function Session:clear()
  emit(self, "repl.clear", {})
end

-- The end ---------------------------------------------------------------------------------------------------------------

function Session:finish()
  self.leaving = true
  self.scope:cancel("the session has ended")
  self.scope:close()
  self.locals:close(function(why) self:err(self.show:error(why, frames_of(traceback_of(why)))) end)
end

--- Ends it: cancels its tasks and waits for them, then closes what `<close>` variables hold, the last one first.
function Session:close()
  if self.closed then return end
  self.closed = true
  task.shield(function() self:finish() end, { timeout = 10 })
  emit(self, "repl.exit", { code = self.code }) -- none: the run has ended otherwise, with a status of its own
end
Session.__close = Session.close

--- Waits until it is left.
---@return integer code
function Session:wait()
  while not self.leaving do self.changed:wait() end
  self:close()
  return self.code
end

-- The prompt of the program ---------------------------------------------------------------------------------------------

---@class moonwire.repl
local repl = { new = new }

--- What the front (host/front/repl.c) asks for, as functions of `mw.host`.
local function serve(host, session)
  local open = {
    host.on("repl.options", function(t) session:set_options(t) end),
    host.handle("repl.submit", function(text) return session:submit(text) end),
    host.handle("repl.complete", function(text, at) return session:complete(text, at) end),
    host.handle("repl.cancel", function() return session:cancel() end),
    host.handle("repl.background", function() return session:background() end),
    host.handle("repl.leave", function() return session:leave() end),
  }
  return setmetatable(open, { __close = function()
    for i = #open, 1, -1 do open[i]:close() end
  end })
end

--- Serves the front until it leaves: what `moonwire repl` starts.
function repl.main()
  local host = core.module("moonwire.host")
  local session <close> = new {
    out = say,
    err = function(text, terminal)
      if terminal then return say(text) end
      stderr:write(text, "\n")
    end,
    emit = host.emit,
  }
  local _open <close> = serve(host, session)
  session:wait()
end

return repl
