--- Tasks: functions that run side by side and are waited for by the scope they were started in.
--- A call that waits suspends its task and nothing else. The core (spawn, scope, timeout, shield, sleep) is C; what is
--- built of it is here, and in modules of their own what few scripts use: they are loaded when it is first called.
local _, core = ...
local raw, err, arg = core.task, core.err, core.arg
local pack, unpack = table.pack, table.unpack
local setmetatable, type, next, pairs = setmetatable, type, next, pairs

--- Tasks: functions that run side by side. A call that waits suspends its task and nothing else.
---
--- A task belongs to a *scope*. The scope waits for its tasks; the first error that nobody takes cancels the others and is raised
--- by whoever waits for the scope. A cancel is an error (ECANCELED) raised where the task waits, and again should it be swallowed;
--- `<close>` variables run, and what they wait for is waited for: a cancel that has been raised, or comes meanwhile, is held back from
--- a `__close` written in Lua until it returns, for 5 s in all (`--cleanup=DURATION`); `task.shield` does so anywhere, for its own time.
--- What moonwire makes closes as it is documented, at once where nothing is said. A second Ctrl-C, and the host's end, wait for nobody.
---
--- The script itself is a scope: it ends when its last task has ended (`daemon` tasks are cancelled then).
---@class moonwire.task
local task = {
  spawn = raw.spawn,
  spawn_with = raw.spawn_with,
  scope = raw.scope,
  timeout = raw.timeout,
  shield = raw.shield,
  sleep = raw.sleep,
  wait = raw.wait,
  pass = raw.pass,
  self = raw.self,
  list = raw.list,
}

local function invalid(op, what)
  return err.raise(err.fail("EINVAL", op, nil, what))
end

local function check_function(f, op)
  if type(f) ~= "function" then invalid(op, "a function is expected, got " .. type(f)) end
end

--- Runs all functions side by side and returns the first result of each, in order. The first error cancels the others.
---@param ... fun(): any
---@return any ...
function task.all(...)
  local fns = pack(...)
  for i = 1, fns.n do check_function(fns[i], "task.all") end
  local results = {}
  raw.scope(function(s)
    for i = 1, fns.n do
      s:spawn(function() results[i] = (fns[i]()) end)
    end
  end)
  return unpack(results, 1, fns.n)
end

--- Runs all functions side by side; returns the key and the results of the one that ends first. The others are cancelled.
---@param fns table<any, fun(): any>
---@return any key, any ...
function task.first(fns)
  if type(fns) ~= "table" or next(fns) == nil then invalid("task.first", "a table of functions is expected") end
  for _, f in pairs(fns) do check_function(f, "task.first") end
  local winner
  raw.scope(function(s)
    for key, f in pairs(fns) do
      s:spawn(function()
        local results = pack(f())
        if not winner then
          winner = { key, results }
          s:cancel("another was first")
        end
      end)
    end
  end)
  return winner[1], unpack(winner[2], 1, winner[2].n)
end

-- Channels and semaphores, from modules of their own -----------------------------------------------------------------

--- A bounded queue between tasks.
---
--- ```lua
--- local jobs = mw.task.channel(16)
--- mw.task.spawn(function() for job in jobs:messages() do work(job) end end)
--- jobs:send("a")
--- jobs:close()                           -- the loop ends when all was taken
--- ```
---@param capacity? integer  values that may wait; default 0: a sender waits until its value is taken. At most 16,777,216
---@return moonwire.TaskChannel channel
function task.channel(capacity)
  return core.module("moonwire.channel").new(capacity)
end

--- So many at a time.
---
--- ```lua
--- local four = mw.task.semaphore(4)
--- four:with(function() download(url) end)
--- ```
---@param permits integer  1 or more
---@return moonwire.Semaphore semaphore
function task.semaphore(permits)
  return core.module("moonwire.semaphore")(permits)
end

-- Events --------------------------------------------------------------------------------------------------------------

--- A flag that tasks can wait for.
---@class moonwire.Event
---@field private on boolean
---@field private cond userdata
local Event = { __name = "event", __metatable = false }
Event.__index = Event

--- A flag that tasks can wait for.
---@return moonwire.Event event  not set
function task.event()
  return setmetatable({ on = false, cond = raw.cond() }, Event)
end

--- Sets it: everybody who waits goes on, even if it is cleared again at once.
function Event:set()
  self.on = true
  self.cond:wake()
end

--- Clears it: whoever comes now waits.
function Event:clear()
  self.on = false
end

--- Whether it is set now.
---@return boolean set
function Event:is_set()
  return self.on
end

--- Waits until it is set.
---@param opts? moonwire.Timeout
---@return true? ok
---@return moonwire.Err? err  ETIMEDOUT
function Event:wait(opts)
  local timeout = arg.options(opts, { timeout = "duration" }, "event.wait").timeout
  if self.on or self.cond:wait(timeout) or self.on then return true end
  return nil, err.fail("ETIMEDOUT", "event wait", nil, "timed out")
end

-- Maps and retries ----------------------------------------------------------------------------------------------------

--- Calls f(item, index) for each item, at most `limit` at a time, and iterates over index, result, err in the order of the
--- items. What f raises becomes err; leaving the loop cancels the rest.
---
--- ```lua
--- for i, page, err in mw.task.map(urls, fetch, { limit = 4 }) do
---   print(urls[i], page or err)
--- end
--- ```
---@param items any[]
---@param f fun(item: any, index: integer): any, any
---@param opts? { limit?: integer, ordered?: boolean }  limit: default 16; ordered = false: as they end
---@return fun(): integer?, any, any next  index, result, err
function task.map(items, f, opts)
  return core.module("moonwire.task_map")(items, f, opts)
end

--- Calls f(attempt) until it neither raises nor returns nil, err; then returns its results. EDENIED, EINVAL and cancels are
--- never retried. After the last attempt: nil, err (or raises what f raised).
---
--- ```lua
--- local reply = mw.task.retry(function() return ask(server) end,
---   { attempts = 5, backoff = { 0.1, 2 } })
--- ```
---@param f fun(attempt: integer): any
---@param opts? moonwire.RetryOptions
---@return any ...  f's results
function task.retry(f, opts)
  return core.module("moonwire.task_retry")(f, opts)
end

return task
