--- Pools of workers: scripts that serve, programs that answer a request with a reply, or one process per task. The set, its
--- queue, deadlines and counts are C (core.pool); how a worker is started and talked to is here.
local _, core = ...
local raw, process, err, arg = core.pool, core.process, core.err, core.arg
local fail, raise, start = err.fail, err.raise, process.start
local pcall, error, type, tostring, rawget, next, setmetatable = pcall, error, type, tostring, rawget, next, setmetatable
local spawn_with = core.task.spawn_with

local pool = {}

--- Options of the set itself; all others are the process's.
local own = {
  size = "integer", min_idle = "integer", max_queue = "integer", max_queue_bytes = "any", queue_timeout = "any",
  task_timeout = "any", start_timeout = "any", max = "any", on_cancel = "text", recycle = "table", restart = "table",
  retry = "table", mode = "text", protocol = "any", command = "any",
}
--- Options of the processes; what they may say, the process checks.
local theirs = {
  script = "any", cwd = "any", env = "any", clear_env = "any", stderr = "any", tee = "any", kill_signal = "any",
  kill_after = "any", permissions = "any", sandbox = "any", limits = "any", share = "any", name = "text", max_output = "any",
}
local known = {}
for key, kind in next, own do known[key] = kind end
for key, kind in next, theirs do known[key] = kind end

local OP = "process pool"

local function invalid(what)
  return raise(fail("EINVAL", OP, nil, what))
end

--- The options of one process, `argv` its arguments.
local function process_options(options, argv, keep)
  local copy = {}
  for key in next, theirs do
    if key ~= "name" and (key ~= "script" or keep) then copy[key] = rawget(options, key) end
  end
  for i = 1, #argv do copy[i] = argv[i] end
  return copy
end

local function is_cancel(why)
  return err.is(why) and why.code == "ECANCELED"
end

--- start(use, options) without raising, save a cancel.
local function try_start(options)
  local ok, child, why = pcall(start, "pool", options)
  if ok then return child, why end
  if is_cancel(child) then return error(child, 0) end
  return nil, child
end

-- Scripts ---------------------------------------------------------------------------------------------------------------

local function script_keeper(options)
  return function(hand, child)
    local why
    if not child then
      child, why = try_start(options)
      if not child then return raw.refused(hand, why) end
    end
    return raw.attend(hand, child)
  end
end

-- Programs that answer each request with a reply ------------------------------------------------------------------------------

local function ending(result)
  if result.signal then return "was ended by signal " .. result.signal end
  if result.code then return "exited with " .. result.code end
  return "ended; how is not known"
end

--- What is known of a program that has ended, or has to.
local function story(child, why)
  local result = child:wait{ timeout = 1 }
  if not result then
    child:kill("KILL")
    result = child:wait{ timeout = 5 } or {}
  end
  local last = (result.stderr or ""):match("([^\n]*)\n*$")
  local reason = why or ending(result)
  if last and last ~= "" then reason = reason .. ": " .. last:sub(1, 120) end
  return { reason = reason, exit_code = result.code, signal = result.signal, stderr = result.stderr, pid = child.pid }
end

--- Whether the program has said something that nobody asked for, as far as it has come here.
local function has_spare(channel)
  local spare, why = channel:recv{ timeout = 0 }
  return spare ~= nil or (why ~= nil and why.code == "EFRAME")
end

--- One request, one reply, in order. Nothing can be taken for the reply to something else: whatever goes wrong, the program ends.
local function converse(worker, child, channel)
  while true do
    local more, _, request = raw.take(worker)
    if not more then return end
    if type(request) ~= "string" then
      raw.answer(worker, true, nil, fail("EINVAL", OP, nil, "a request must be a string, got " .. type(request)))
    elseif has_spare(channel) then
      return raw.lost(worker, story(child, "sent more than one reply to an earlier request"))
    else
      local ok, why = channel:send(request)
      local reply
      if not ok and why.code == "EFRAME" then -- refused here: the program has seen nothing of it
        raw.answer(worker, true, nil, why)
      else
        if ok then reply, why = channel:recv() end
        if reply == nil then
          if ok and why and why.code ~= "EFRAME" then why = nil end
          return raw.lost(worker, story(child, why and why.code == "EFRAME" and "sent what is no reply (EFRAME)" or nil))
        end
        if has_spare(channel) then return raw.lost(worker, story(child, "sent more than one reply")) end
        raw.answer(worker, true, reply)
      end
    end
  end
end

--- Gives the keeper, and what makes the channel of a program: the first one's is made where a wrong protocol can be raised.
local function program_keeper(options, protocol, max)
  local channels = setmetatable({}, { __mode = "k" })
  local function prepare(child)
    local channel, why = child:stream():framed(protocol, { max = max })
    channels[child] = channel
    return channel, why
  end
  local function keeper(hand, given)
    local started, why = given, nil
    if not started then started, why = try_start(options) end
    if not started then return raw.refused(hand, why) end
    local child <close> = started
    local channel = channels[child]
    if not channel then channel, why = prepare(child) end
    if not channel then return raw.refused(hand, why) end
    local worker <close> = raw.work(hand, child)
    spawn_with({ daemon = true }, function() -- an idle one that ends is replaced
      child:wait()
      if raw.idle(worker) then raw.lost(worker, story(child)) end
    end)
    return converse(worker, child, channel)
  end
  return keeper, prepare
end

-- One process per task ---------------------------------------------------------------------------------------------------------

--- Runs one task. Gives what is known of a process that failed, else nothing.
local function run_one(worker, task, command, options, run)
  local ok, argv, why = pcall(command, task)
  if not ok and is_cancel(argv) then return error(argv, 0) end
  if not ok then return raw.answer(worker, false, argv, err.traceback_of(argv)) end
  if type(argv) ~= "table" then
    why = why or fail("EINVAL", OP, nil, "command must return a table of arguments, got " .. type(argv))
    return raw.answer(worker, true, nil, why)
  end
  local result
  local one = process_options(options, argv)
  for key, value in next, argv do one[key] = value end -- its own options go before the pool's
  ok, result, why = pcall(run, one)
  if not ok and is_cancel(result) then return error(result, 0) end
  if not ok and err.is(result) and result.code == "EDENIED" then return raw.answer(worker, nil, result) end
  if not ok then return raw.answer(worker, true, nil, result) end
  if not result then return raw.answer(worker, true, nil, why) end
  if result.ok then return raw.answer(worker, true, result.stdout or "") end
  local last = (result.stderr or ""):match("([^\n]*)\n*$")
  return {
    reason = ending(result) .. (last ~= "" and ": " .. last:sub(1, 120) or ""), exit_code = result.code, signal = result.signal,
    stderr = result.stderr, pid = result.pid,
  }
end

local function oneshot_keeper(options, command)
  local run = core.module("moonwire.process").run
  return function(hand)
    local worker <close> = raw.work(hand)
    while true do
      local more, _, task = raw.take(worker)
      if not more then return end
      local failed = run_one(worker, task, command, options, run)
      if failed then return raw.lost(worker, failed, true) end -- the next one is another process anyway
    end
  end
end

-- Threads ---------------------------------------------------------------------------------------------------------------------------

local function thread_keeper(script, options)
  local spawn = core.worker.spawn
  return function(hand, given)
    local started, why = given, nil
    if not started then
      local ok
      ok, started, why = pcall(spawn, script, options, true)
      if not ok then started, why = nil, started end
    end
    if not started then return raw.refused(hand, why) end
    local thread <close> = started
    return raw.attend_thread(hand, thread) -- no tail call: the thread is closed behind it
  end
end

local THREAD_OPTIONS = {
  args = "table", memory_limit = "any", name = "text", permissions = "any", queue_bytes = "any", share = "table", stack = "any",
}
local thread_known = { script = "text" }
for key, kind in next, own do
  if key ~= "mode" and key ~= "protocol" and key ~= "command" then thread_known[key] = kind end
end
for key, kind in next, THREAD_OPTIONS do thread_known[key] = kind end

--- A pool of workers on threads: see `moonwire.WorkerPoolOptions`.
---@param options moonwire.WorkerPoolOptions
---@return moonwire.Pool? pool
---@return moonwire.Err? err
function pool.threads(options)
  local op = "worker pool"
  if type(options) ~= "table" then
    return raise(fail("EINVAL", op, nil, "a table is expected: { script = \"worker.lua\" }, got " .. type(options)))
  end
  local copy = arg.options(options, thread_known, op, false)
  if copy.script == nil then return raise(fail("EINVAL", op, nil, "`script` says what a worker is")) end
  local its = {}
  for key in next, THREAD_OPTIONS do its[key] = copy[key] end
  local keeper = thread_keeper(copy.script, its)
  local set, hand = raw.new(op, copy, "thread", keeper, false)
  if not set then return nil, hand end
  local ok, thread, why = pcall(core.worker.spawn, copy.script, its, true)
  if not ok or not thread then set:close() end
  if not ok then return error(thread, 0) end
  if not thread then return nil, why end
  raw.begin(set, hand, keeper, thread)
  return set
end

-- Opening ------------------------------------------------------------------------------------------------------------------------

local function check(options)
  if type(options) ~= "table" then return invalid("a table is expected: { script = \"worker.lua\" }, got " .. type(options)) end
  local copy = arg.options(options, known, OP, true)
  local mode = copy.mode
  if mode ~= nil and mode ~= "oneshot" then return invalid("option \"mode\" must be \"oneshot\", got \"" .. mode .. "\"") end
  if copy.script ~= nil and copy.command ~= nil then return invalid("`script` and `command` exclude each other") end
  if copy.script == nil and copy.command == nil then return invalid("`script` or `command` says what a worker is") end
  if mode == "oneshot" and type(copy.command) ~= "function" then
    return invalid("with mode = \"oneshot\" option \"command\" is a function that gives a task's arguments, got " .. type(copy.command))
  end
  if mode ~= "oneshot" and copy.command ~= nil and type(copy.command) ~= "table" then
    return invalid("option \"command\" must be a table of arguments, got " .. type(copy.command))
  end
  if mode ~= "oneshot" and copy.command ~= nil then
    for key in next, copy.command do
      if type(key) ~= "number" then return invalid("option \"command\" holds arguments only: " .. tostring(key) .. " belongs beside it") end
    end
  end
  if mode ~= "oneshot" and copy.command ~= nil and copy.protocol == nil then
    return invalid("option \"protocol\" is missing: \"lines\", \"u32le\", ... or one of mw.frame.new")
  end
  if copy.protocol ~= nil and (copy.script ~= nil or mode == "oneshot") then
    return invalid("option \"protocol\" is for a `command` that stays")
  end
  return copy
end

--- A pool of processes: see `moonwire.process.Pool`. Its first worker starts at once, so that a wrong script or a missing right
--- shows here; the others as they are needed.
---@param options moonwire.process.PoolOptions
---@return moonwire.Pool? pool
---@return moonwire.Err? err
function pool.processes(options)
  local copy = check(options)
  local keeper, prepare
  if copy.mode == "oneshot" then
    local set, hand = raw.new(OP, copy, "runner", oneshot_keeper(copy, copy.command), true)
    if set then raw.begin(set, hand, oneshot_keeper) end
    return set, not set and hand or nil
  end
  local its
  if copy.script then
    its = process_options(copy, copy, true)
    keeper = script_keeper(its)
  else
    if #copy > 0 then return invalid("with `command` there are no arguments beside it") end
    its = process_options(copy, copy.command)
    its.stdin, its.stdout = "pipe", "pipe"
    keeper, prepare = program_keeper(its, copy.protocol, copy.max)
  end
  local set, hand = raw.new(OP, copy, copy.script and "script" or "runner", keeper, not copy.script)
  if not set then return nil, hand end
  local ok, child, why = pcall(start, "pool", its)
  if ok and child and prepare then
    local channel
    ok, channel, why = pcall(prepare, child)
    if not ok or not channel then child:close() end
    if not ok then child = channel elseif not channel then child = nil end
  end
  if not ok or not child then set:close() end
  if not ok then return error(child, 0) end
  if not child then return nil, why end
  raw.begin(set, hand, keeper, child)
  return set
end

-- Methods ------------------------------------------------------------------------------------------------------------------------

---@class moonwire.Pool
local Pool = raw.methods
local task

---@class moonwire.MapOptions: moonwire.CallOptions
---@field ordered? boolean  true: in the order of the list; false: as they are done
---@field limit? integer    tasks that are given to the pool at a time; 16 for each worker

--- Calls `name` for each item of a list, `limit` at a time, and gives index, value, err as they are done; `ordered`: in order.
--- Leaving the loop withdraws what has not begun. Without a name for pools whose workers know one thing only.
---
--- ```lua
--- for i, v, err in pool:map("resize", files, { ordered = true }) do
---   print(files[i], v or err)
--- end
--- ```
---@param name string
---@param list any[]
---@param opts? moonwire.MapOptions
---@return fun(): integer?, any, moonwire.Err? next  index, value, err
function Pool:map(name, list, opts)
  task = task or core.module("moonwire.task")
  local plain = type(name) == "table"
  if plain then name, list, opts = nil, name, list end
  if type(list) ~= "table" then return raise(fail("EINVAL", "pool.map", nil, "a list is expected, got " .. type(list))) end
  opts = arg.options(opts, { ordered = "flag", limit = "integer", priority = "integer", timeout = "any" }, "pool.map")
  local each = (opts.priority or opts.timeout) and { priority = opts.priority, timeout = opts.timeout } or nil
  local limit = opts.limit or self:stats().max * 16
  local call = self.call
  local f
  if plain then f = function(item) return call(self, item, each) end
  else f = function(item) return call(self, name, item, each) end end
  return task.map(list, f, { limit = limit, ordered = opts.ordered == true })
end

---@class moonwire.PoolWorker
local Worker = { __name = "pool worker", __metatable = false }
Worker.__index = Worker

--- Sends a signal to the worker's process ("KILL" if none is named). What it was doing has then crashed.
---@param signal? string  "KILL"
---@return boolean? ok
---@return moonwire.Err? err  ESRCH: it has ended
function Worker:kill(signal)
  return raw.signal(self.pool, self.id, signal or "KILL")
end

--- The workers there are.
---@return moonwire.PoolWorker[] workers
function Pool:workers()
  local list = raw.members(self)
  for i = 1, #list do
    list[i].pool = self
    setmetatable(list[i], Worker)
  end
  return list
end

return pool
