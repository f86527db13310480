--- Supervisors: children that are started in order of need, brought back when they end, and stopped in reverse order.
--- The terms are OTP's. What a plan may say is read in moonwire.supervisor_plan; one run of a child is moonwire.supervisor_run.
---
--- One task of a supervisor, `control`, moves the children: whatever happens changes what is wanted of a child (`want`) or what
--- it is, and wakes `control`, whose `step` then stops what is to stop (one at a time, the last first) and starts what may
--- start. It stands in a shield, in the scope of whoever made the supervisor: when that scope ends, everything is stopped in order.
local _, core = ...
local err, arg, task = core.err, core.arg, core.task
local Log, Run = core.module("moonwire.supervisor_events"), core.module("moonwire.supervisor_run")
local plan = core.module("moonwire.supervisor_plan")
local setmetatable, pcall, error, type = setmetatable, pcall, error, type
local max, min, huge = math.max, math.min, math.huge

-- What is, and what is wanted -------------------------------------------------------------------------------------------------

--- It does for others what it is there for, or did.
local function satisfied(c)
  return c.ready or c.finished == "ok"
end

local function needs_met(s, c)
  for i = 1, #c.spec.needs do
    if not satisfied(s.by_id[c.spec.needs[i]]) then return false end
  end
  return true
end

--- Why children will never be ready as things are, by child. Needs stand before those who have them, so one pass will do.
local function hopeless(s)
  local why = {}
  for i = 1, #s.list do
    local c = s.list[i]
    if satisfied(c) or c.again then -- it is, or may be again
      why[c] = nil
    elseif c.finished then
      why[c] = c.reason
    elseif c.want == "down" then
      why[c] = "it was stopped"
    elseif not c.run then
      for k = 1, #c.spec.needs do
        local need = s.by_id[c.spec.needs[k]]
        if why[need] then why[c] = 'it needs "' .. need.id .. '": ' .. why[need] end
      end
    end
  end
  return why
end

local function state_of(c, why)
  if c.run and (c.run.stopping or c.want == "down") then return "stopping" end
  if c.run then return c.ready and "ready" or "starting" end
  if c.finished then return c.finished == "ok" and "done" or "failed" end
  if c.want == "down" and not c.again then return "stopped" end
  if c.due > task.now() then return "backoff" end
  return why[c] and "blocked" or "waiting"
end

local function log(s, c, what, reason, from)
  if what == "restarting" then c.pending = true end
  if what == "starting" or what == "stopped" or what == "exited" then c.pending = false end
  s.log:add({ id = c.id, what = what, reason = reason, pid = from.pid, code = from.code, signal = from.signal, pause = from.pause })
end

local function changed(s)
  s.changed:wake()
end

-- Ends --------------------------------------------------------------------------------------------------------------------------

--- Everything is to end, the last first. What needs memory comes last: without any, the children end all the same.
local function shut(s, reason)
  if s.closing then return end
  s.closing = reason
  for i = 1, #s.list do
    local c = s.list[i]
    if not c.finished and (c.want == "up" or c.again) then c.reason = reason end
    c.want, c.again = "down", false
  end
  changed(s)
  for i = 1, #s.list do
    local c = s.list[i]
    if not c.run and c.pending then log(s, c, "stopped", reason, {}) end -- it waited for its restart
  end
end

local function give_up(s, c, reason)
  s.failed = { id = c.id, reason = reason, code = c.last.code, signal = c.last.signal }
  log(s, c, "gave_up", reason, {})
  core.module("moonwire.log").error("a supervisor gave up", { child = c.id, reason = reason })
  c.finished, c.reason = "failed", reason
  shut(s, "the supervisor gave up")
end

--- Restarts of the last `within` seconds; nil: one more is too many.
local function count_restart(s, now)
  local kept = {}
  for i = 1, #s.restarts do
    if now - s.restarts[i] < s.plan.within then kept[#kept + 1] = s.restarts[i] end
  end
  kept[#kept + 1] = now
  s.restarts = kept
  return #kept <= s.plan.max_restarts
end

--- Others that go down and come back with `c`.
local function is_affected(s, c, other)
  local strategy = s.plan.strategy
  return other ~= c and (strategy == "one_for_all" or (strategy == "rest_for_one" and other.index > c.index))
end

local function take_along(s, c)
  local reason = '"' .. c.id .. '" restarts'
  for i = 1, #s.list do
    local other = s.list[i]
    local was = other.run or other.finished
    if is_affected(s, c, other) and (other.want == "up" or other.again) then
      local again = other.spec.restart ~= "temporary" or not was
      if again then
        other.ready, other.finished, other.due = false, nil, max(other.due, c.due)
        if was then log(s, other, "restarting", reason, { pid = other.run and other.pid }) end
      end
      if again or other.run then other.want, other.again, other.reason = "down", again, reason end
    end
  end
end

--- It ended by itself: what its term and the strategy say.
local function restart(s, c, out)
  local now, most = task.now(), c.spec.backoff[2]
  if not count_restart(s, now) then
    return give_up(s, c, ("more than %d restarts within %.6g s; the last end: %s"):format(s.plan.max_restarts, s.plan.within, out.reason))
  end
  if c.ready_at and now - c.ready_at >= most then c.pause = nil end -- it was well for long enough
  local pause = c.pause or c.spec.backoff[1]
  c.pause, c.due, c.restarts = min(pause * 2, most), now + pause, c.restarts + 1
  log(s, c, "restarting", out.reason, { pause = pause })
  c.want, c.again = "down", true -- up again once all that stop with it are down
  take_along(s, c)
end

--- A run is over.
local function ended(s, c, out)
  local stopping, spec = c.run.stopping, c.spec
  c.run, c.last = nil, out
  if stopping or c.want == "down" then
    c.ready = false
    log(s, c, "stopped", c.reason or out.reason, out)
    return changed(s)
  end
  c.ready = spec.ready ~= nil and spec.ready.way == "exit" and out.normal
  log(s, c, "exited", out.reason, out)
  if c.ready then log(s, c, "ready", nil, {}) end
  if out.fatal then
    give_up(s, c, out.reason)
  elseif spec.restart == "permanent" or (spec.restart == "transient" and not out.normal) then
    restart(s, c, out)
  else
    c.finished, c.reason = out.normal and "ok" or "failed", out.reason
  end
  c.ready_at = nil
  changed(s)
end

-- Starts ------------------------------------------------------------------------------------------------------------------------

local function launch(s, c)
  local run = Run.new(c.spec)
  c.run, c.runs, c.ready, c.pid, c.reason = run, c.runs + 1, false, nil, nil
  s.scope:spawn_with({ name = "supervised " .. c.id }, function()
    ended(s, c, run:live(function(pid)
      c.pid = pid
      log(s, c, "starting", nil, { pid = pid })
    end, function()
      if run.stopping then return end
      c.ready, c.ready_at = true, task.now()
      log(s, c, "ready", nil, { pid = c.pid })
      changed(s)
    end))
  end)
end

--- Stops what is to stop: one at a time, the last first. True: nothing of that is left.
local function all_stopped(s)
  for i = #s.list, 1, -1 do
    local c = s.list[i]
    if c.run and (c.want == "down" or s.closing) then
      if not c.run.stopping then c.run:stop() end
      return false
    end
  end
  return true
end

--- One step towards what is wanted; how many seconds until there is something to do again, nil: when something changes.
local function step(s)
  local now, soonest = task.now(), huge
  local down = all_stopped(s)
  if s.closing then
    s.over = down
    return nil
  end
  for i = 1, #s.list do
    local c = s.list[i]
    if down and c.again then c.want, c.again = "up", false end
    if c.want == "up" and not c.run and not c.finished and needs_met(s, c) then
      if c.due <= now then launch(s, c) else soonest = min(soonest, c.due - now) end
    end
  end
  return soonest < huge and soonest or nil
end

local function control(s)
  local ok, why = pcall(core.task.shield, function()
    return core.task.scope(function(scope)
      s.scope = scope
      while true do
        local pause = step(s)
        if s.over then return end
        s.changed:wait(pause)
      end
    end)
  end)
  s.over, s.closing = true, s.closing or "it failed"
  s.log:finish()
  changed(s)
  if not ok then error(why, 0) end
end

--- In the same scope, and in no shield: the end of the scope is the end of the supervisor.
local function sentinel(s)
  local ok, why = pcall(function()
    while not s.over do s.changed:wait() end
  end)
  if ok then return end
  shut(s, "the scope of its supervisor ended")
  error(why, 0)
end

-- What a script holds ---------------------------------------------------------------------------------------------------------

--- What `mw.supervisor{ ... }` gives.
---@class moonwire.Supervisor
---@field private s table
local Supervisor = { __name = "supervisor", __metatable = false }
Supervisor.__index = Supervisor

local function fail(code, op, subject, what, data)
  return nil, err.fail(code, op, subject, what, nil, data)
end

--- Waits until done() gives something or the time is up: done's results, or nil, ETIMEDOUT.
local function await(s, op, opts, done, waiting)
  local timeout = arg.options(opts, { timeout = "duration" }, op).timeout
  local deadline = timeout and timeout < huge and task.now() + timeout
  while true do
    local ok, why = done()
    if why then return nil, why end
    if ok then return true end
    if not deadline then
      s.changed:wait()
    elseif not s.changed:wait(max(deadline - task.now(), 0)) and not done() then
      return fail("ETIMEDOUT", op, nil, waiting and waiting() or "timed out")
    end
  end
end

--- nil, err for a supervisor that is through; nothing for one that works.
local function dead(s, op)
  if s.failed then
    return fail("ECRASHED", op, s.failed.id, "the supervisor gave up: " .. s.failed.reason, s.failed)
  elseif s.closing then
    return fail("ECLOSED", op, nil, "the supervisor is closed")
  end
end

local function find(s, id, op)
  local c = type(id) == "string" and s.by_id[id]
  if c then return c end
  return err.raise(err.fail("EINVAL", op, nil, "there is no child " .. (type(id) == "string" and '"' .. id .. '"' or "without an id")))
end

local function crashed(op, c, why)
  return fail("ECRASHED", op, c.id, why, { id = c.id, reason = why, code = c.last and c.last.code, signal = c.last and c.last.signal })
end

--- Waits until every child is ready (those that have done their work count, those that were stopped by `stop` do not matter).
---@param opts? moonwire.Timeout
---@return true? ok
---@return moonwire.Err? err  ETIMEDOUT; ECRASHED: it gave up, or a child will never be ready (err.data: id, reason); ECLOSED
function Supervisor:wait_ready(opts)
  local s, op = self.s, "supervisor wait_ready"
  local function missing()
    local names, lost = {}, hopeless(s)
    for i = 1, #s.list do
      local c = s.list[i]
      if (c.want == "up" or c.again) and not satisfied(c) then names[#names + 1] = c.id .. " (" .. state_of(c, lost) .. ")" end
    end
    return names
  end
  return await(s, op, opts, function()
    if s.closing then return dead(s, op) end
    local lost, all = hopeless(s), true
    for i = 1, #s.list do
      local c = s.list[i]
      if c.want == "up" and lost[c] then return crashed(op, c, lost[c]) end
      if (c.want == "up" or c.again) and not satisfied(c) then all = false end
    end
    return all
  end, function()
    return "timed out waiting for " .. table.concat(missing(), ", ")
  end)
end

--- Waits for the end of the supervisor itself.
---@param opts? moonwire.Timeout
---@return true? ok  it was closed
---@return moonwire.Err? err  ECRASHED: it gave up (err.data: id, reason); ETIMEDOUT
function Supervisor:wait(opts)
  local s, op = self.s, "supervisor wait"
  return await(s, op, opts, function()
    if not s.over then return nil end
    if s.failed then return dead(s, op) end
    return true
  end)
end

--- What has happened and what happens: each reader gets every event that is kept (the last 1,000 unless `keep_events` says
--- otherwise) and those to come. Ends when the supervisor has ended.
---@param opts? moonwire.Timeout  for each; ETIMEDOUT is raised
---@return fun(): moonwire.supervisor.Event? next
function Supervisor:events(opts)
  return self.s.log:reader(opts, "supervisor events")
end

---@class moonwire.supervisor.State
---@field id string
---@field state "waiting"|"blocked"|"starting"|"ready"|"stopping"|"backoff"|"done"|"failed"|"stopped"  waiting: for what it needs; blocked:
---  what it needs will not come; backoff: the pause before its restart; done: a job that has ended well
---@field ready boolean
---@field pid? integer      while it runs
---@field restarts integer  so far
---@field reason? string    of its state, in words

--- The children in the order of their start.
---@return moonwire.supervisor.State[] children
function Supervisor:children()
  local out, s = {}, self.s
  local lost = hopeless(s)
  for i = 1, #s.list do
    local c = s.list[i]
    out[i] = { id = c.id, state = state_of(c, lost), ready = c.ready, pid = c.run and c.pid, restarts = c.restarts, reason = c.reason }
  end
  return out
end

--- Stops one child and waits for its end; the others are left alone, those that need it too. `start` brings it back.
---@param id string
---@param opts? moonwire.Timeout
---@return true? ok
---@return moonwire.Err? err  ETIMEDOUT: it is on its way
function Supervisor:stop(id, opts)
  local s, op = self.s, "supervisor stop"
  local c = find(s, id, op)
  if not s.closing then
    if not c.run and c.pending then log(s, c, "stopped", "asked to", {}) end
    c.want, c.again, c.reason = "down", false, "asked to"
    changed(s)
  end
  return await(s, op, opts, function() return not c.run end)
end

local function await_up(s, c, op, opts, runs)
  return await(s, op, opts, function()
    if s.closing then return dead(s, op) end
    if c.runs > runs and satisfied(c) then return true end
    local why = hopeless(s)[c]
    if why then return crashed(op, c, why) end
  end)
end

--- Starts a child that was stopped or has ended, and waits until it is ready. One that runs is waited for.
---@param id string
---@param opts? moonwire.Timeout
---@return true? ok
---@return moonwire.Err? err  ETIMEDOUT, ECRASHED, ECLOSED
function Supervisor:start(id, opts)
  local s, op = self.s, "supervisor start"
  local c = find(s, id, op)
  if s.closing then return dead(s, op) end
  local runs = c.runs
  if c.run and c.want == "up" then
    runs = runs - 1
  elseif c.want == "down" or c.finished then
    if c.run then c.again = true else c.want = "up" end
    c.finished, c.due, c.pause, c.ready = nil, 0, nil, false
    changed(s)
  end
  return await_up(s, c, op, opts, runs)
end

--- Stops a child, starts it again, and waits until it is ready. The others are left alone; it is not counted as a restart.
---@param id string
---@param opts? moonwire.Timeout
---@return true? ok
---@return moonwire.Err? err  ETIMEDOUT, ECRASHED, ECLOSED
function Supervisor:restart(id, opts)
  local s, op = self.s, "supervisor restart"
  local c = find(s, id, op)
  if s.closing then return dead(s, op) end
  log(s, c, "restarting", "asked to", { pid = c.run and c.pid })
  c.finished, c.due, c.pause, c.ready = nil, 0, nil, false
  c.want, c.again, c.reason = "down", true, "asked to"
  changed(s)
  return await_up(s, c, op, opts, c.runs)
end

--- Sends a signal to a child and its group, such as "HUP" to one that then reads its settings again. If it ends by it, that is
--- an end like any other.
---@param id string
---@param signal? string|integer  "TERM" if none is named
---@return true? ok
---@return moonwire.Err? err  ESRCH: it does not run
function Supervisor:kill(id, signal)
  local s, op = self.s, "supervisor kill"
  local c = find(s, id, op)
  local child = c.run and c.run.child
  if not child or not child:running() then return fail("ESRCH", op, id, "it does not run") end
  return child:kill(signal)
end

--- Stops everything in reverse order and waits for it, also when the task is being cancelled. Idempotent.
function Supervisor:close()
  local s = self.s
  shut(s, "closed")
  if s.over or not task.self() then return end
  core.task.shield(function()
    while not s.over do s.changed:wait() end
  end, { timeout = s.patience })
end
Supervisor.__close = Supervisor.close

function Supervisor:__gc()
  local s = self.s
  if s.over or s.closing then return end
  core.log.write(2, "supervisor made at " .. (s.made or "?") .. " was never closed; it was collected (use local x <close> = ...)")
  shut(s, "its supervisor was collected")
end

function Supervisor:__tostring()
  local s = self.s
  return ("supervisor (%d children%s)"):format(#s.list, s.failed and ", gave up" or s.closing and ", closed" or "")
end

local function new(options)
  local read = plan.read(options)
  local s = {
    plan = read, list = {}, by_id = {}, restarts = {}, log = Log.new(read.keep_events), changed = task.cond(),
    made = err.where(), patience = 10, over = false,
  }
  for i = 1, #read.children do
    local spec = read.children[i]
    local c = { id = spec.id, spec = spec, index = i, want = "up", again = false, pending = false, ready = false, runs = 0,
      restarts = 0, due = 0 }
    s.list[i], s.by_id[c.id] = c, c
    s.patience = s.patience + min(spec.kill_after, 3600) + 2
  end
  local supervisor = setmetatable({ s = s }, Supervisor)
  task.spawn_with({ daemon = true, name = "supervisor's end" }, sentinel, s)
  local ok, why = pcall(task.spawn_with, { daemon = true, name = "supervisor" }, control, s)
  if not ok then -- no memory: nothing has begun
    s.over, s.closing = true, "it could not begin"
    changed(s)
    error(why, 0)
  end
  return supervisor
end

--- Processes that are kept running: `mw.supervisor{ options, child, child, ... }` starts the children in the order of their needs,
--- restarts those that end, and stops them in reverse. It belongs to the calling task's innermost scope and ends with it. Wrong
--- options and a missing right are raised before anything starts; a program that is not there is a start that failed.
---
--- ```lua
--- local sup <close> = mw.supervisor{
---   max_restarts = 5, within = 30,
---   { id = "db", run = { "redis-server", "--unixsocket", "/tmp/r.sock" },
---     ready = { connect = "unix:/tmp/r.sock" } },
---   { id = "api", script = "api.lua", needs = { "db" },
---     ready = { notify = true }, backoff = { 0.2, 10 } },
--- }
--- assert(sup:wait_ready{ timeout = 10 })
--- for ev in sup:events() do print(ev.id, ev.what, ev.reason) end
--- ```
---@class moonwire.supervisor
---@overload fun(options: moonwire.SupervisorOptions): moonwire.Supervisor
local supervisor = {}

--- In a script that a supervisor started with `ready = { notify = true }`: tells it that the script is ready.
---@return boolean told  false: nobody waits for it, or it was told before
function supervisor.notify()
  return core.process.notify()
end

return setmetatable(supervisor, {
  __call = function(_, options) return new(options) end,
  __metatable = false,
})
