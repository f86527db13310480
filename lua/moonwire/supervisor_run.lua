--- One run of a supervised child: its start, how it shows that it is ready, its output, its end.
--- Knows: core.process, core.net, core.task. Never: decides what comes next.
local _, core = ...
local err, task = core.err, core.task
local pcall, type, setmetatable = pcall, type, setmetatable
local max, min = math.max, math.min

local LINE = 65536        -- bytes of a line that are looked at
local CHUNK = 65536       -- of output, in one go
local LINGER = 1          -- seconds for output that others of its group hold back
local POLL = { 0.01, 0.5 } -- seconds between attempts to connect: the first, the longest

---@class moonwire.core.Run
---@field spec table              of moonwire.supervisor_plan
---@field child? moonwire.Process
---@field stopping boolean        it was told to end
---@field late? string            why it was ended although nobody asked: it did not get ready
---@field fatal? boolean          to start it again is no use
---@field private seen boolean    the line came
---@field private changed moonwire.core.Cond
local Run = {}
Run.__index = Run

function Run.new(spec)
  return setmetatable({ spec = spec, stopping = false, seen = false, changed = task.cond() }, Run)
end

--- Ends it: TERM to its group now, KILL after kill_after. Does not wait.
function Run:stop()
  self.stopping = true
  if self.child then self.child:stop() end
end

-- Output ------------------------------------------------------------------------------------------------------------------

--- Where what we read goes on to: the stream that the plan names, ours, or nowhere.
local function sink(wanted, ours)
  if wanted == nil or wanted == "inherit" then return ours end
  if type(wanted) == "string" then return nil end
  return wanted
end

--- Reads to the end, passes everything on, and looks at each line until the pattern was found. Of a line longer than LINE only
--- the beginning is looked at.
local function pump(run, from, to, pattern)
  local held, skip = "", false
  while true do
    local piece = from:read_some(CHUNK)
    if not piece then return end
    if to and not to:write(piece) then to = nil end -- nobody listens any more: the child may go on
    local at = 1
    while not run.seen and at <= #piece do
      local cut = piece:find("\n", at, true)
      if not skip then held = held .. piece:sub(at, min((cut or #piece + 1) - 1, at + LINE - #held - 1)) end
      if cut or (not skip and #held >= LINE) then
        if not skip and held:find(pattern) then
          run.seen = true
          run.changed:wake()
        end
        held, skip = "", not cut
      end
      at = (cut or #piece) + 1
    end
  end
end

-- Ready -------------------------------------------------------------------------------------------------------------------

local function left(deadline)
  return deadline and max(deadline - task.now(), 0)
end

--- Each waits until the child is ready (true) or the time is up (false). When the child ends, so does the task that waits.
local ways = {}

function ways.connect(run, ready, deadline)
  local connect, pause = core.net.connect, POLL[1]
  while true do
    local conn = connect(ready.value, { timeout = max(left(deadline), 0.001) })
    if conn then
      conn:close()
      return true
    end
    if left(deadline) == 0 then return false end
    run.changed:wait(min(pause, left(deadline)))
    pause = min(pause * 1.5, POLL[2])
  end
end

function ways.line(run, _, deadline)
  while not run.seen do
    if not run.changed:wait(left(deadline)) and not run.seen then return false end
  end
  return true
end

function ways.notify(run, _, deadline)
  return core.process.await_ready(run.child, left(deadline))
end

function ways.exit(run, _, deadline)
  while run.changed:wait(left(deadline)) do end -- its end cancels this
  return false
end

local function seconds(s)
  return ("%.6g s"):format(s)
end

--- In a task beside the child: tells when it is ready, or ends it when that takes too long.
local function watch(run, on_ready)
  local ready = run.spec.ready
  local ok, is_ready = pcall(ways[ready.way], run, ready, ready.timeout and task.now() + ready.timeout)
  if not ok and err.is(is_ready) and is_ready.code == "ECANCELED" then return err.raise(is_ready) end
  if ok and is_ready then return on_ready() end
  if ok and not run.child:running() then return end -- there is more to say about it than that
  run.late = ok and "not ready within " .. seconds(ready.timeout) or "its readiness cannot be seen: " .. tostring(is_ready)
  run.fatal = not ok
  run.child:stop()
end

-- Its life ------------------------------------------------------------------------------------------------------------------

local function told(result)
  if result.timed_out then return "timed out" end
  if result.signal then return "ended by signal " .. result.signal end
  if result.code then return "exited with " .. result.code end
  return "ended; how is not known"
end

--- What became of it. normal: as one that has done its work. fatal: to try again is no use.
local function outcome(run, result)
  return {
    reason = run.late or told(result), pid = result.pid, code = result.code, signal = result.signal,
    normal = not run.late and not result.timed_out and result.code == run.spec.normal, fatal = run.fatal,
  }
end

local function options_of(spec)
  local options = {}
  for k, v in next, spec.argv do options[k] = v end
  if spec.ready and spec.ready.way == "line" then options.stdout, options.stderr = "pipe", "pipe" end
  return options
end

--- The child runs: waits for its end, beside it its output and its readiness.
local function follow(run, on_ready)
  local spec, child, pumps, result = run.spec, run.child, 0, nil
  local function pumping(...)
    pumps = pumps + 1
    pump(run, ...)
    pumps = pumps - 1
    run.changed:wake()
  end
  task.scope(function(s)
    if spec.ready and spec.ready.way == "line" then
      s:spawn_with({ daemon = true }, pumping, child.stdout, sink(spec.argv.stdout, io.stdout), spec.ready.value)
      s:spawn_with({ daemon = true }, pumping, child.stderr, sink(spec.argv.stderr, io.stderr), spec.ready.value)
    end
    if spec.ready then s:spawn_with({ daemon = true, name = "ready " .. spec.id }, watch, run, on_ready) else on_ready() end
    result = child:wait()
    local deadline = task.now() + LINGER
    while pumps > 0 and left(deadline) > 0 do run.changed:wait(left(deadline)) end
  end)
  return result
end

--- Starts the child and stays with it to its end, that of its group included. `on_ready` is called when it is ready.
---@param on_start fun(pid: integer)
---@param on_ready fun()
---@return table outcome
function Run:live(on_start, on_ready)
  if self.stopping then return { reason = "never started" } end
  local notify = self.spec.ready and self.spec.ready.way == "notify"
  local ok, child, why = pcall(core.process.start, "spawn", options_of(self.spec), notify)
  if not ok then return { reason = "could not be started: " .. tostring(child), err = child, fatal = err.is(child) } end
  if not child then return { reason = "could not be started: " .. tostring(why), err = why } end
  local _ <close> = child -- who is left of its group is told to end, too
  self.child = child
  on_start(child.pid)
  return outcome(self, follow(self, on_ready))
end

return Run
