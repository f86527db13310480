--- Tasks: functions that run side by side and are waited for by the scope they were started in.
--- A call that waits suspends its task and nothing else. The core (spawn, scope, timeout, shield, sleep) is C; what is
--- built of it is here and in moonwire.channel.
local _, core = ...
local raw, err, arg = core.task, core.err, core.arg
local pack, unpack, remove = table.pack, table.unpack, table.remove
local setmetatable, type, next, pairs, ipairs, pcall, error = setmetatable, type, next, pairs, ipairs, pcall, error
local min, max, random = math.min, math.max, math.random

--- Tasks: functions that run side by side. A call that waits suspends its task and nothing else.
---
--- A task belongs to a *scope*. The scope waits for its tasks; the first error that nobody takes cancels the others and is raised
--- by whoever waits for the scope. A cancel is an error (ECANCELED) raised where the task waits, and again should it be swallowed;
--- `<close>` variables run, and may wait inside `task.shield`.
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
  channel = core.module("moonwire.channel").new,
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

-- Semaphores ----------------------------------------------------------------------------------------------------------

--- At most `permits` holders at a time, served in order.
--- Permits, of which so many are there at once; who finds none waits, in the order of coming.
---@class moonwire.Semaphore
---@field private free integer
---@field private queue table
local Semaphore = { __name = "semaphore", __metatable = false }
Semaphore.__index = Semaphore

--- A permit of a semaphore, until it is closed.
---@class moonwire.Permit
---@field private sem moonwire.Semaphore
local Permit = { __name = "permit", __metatable = false }
Permit.__index = Permit

--- Gives the permit back. May be repeated.
function Permit:close()
  local sem = self.sem
  self.sem = nil
  if not sem then return end
  local waiter = remove(sem.queue, 1)
  if waiter then
    waiter.granted = true
    waiter.cond:wake()
  else
    sem.free = sem.free + 1
  end
end
Permit.__close = Permit.close
Permit.__gc = Permit.close

--- So many at a time.
---
--- ```lua
--- local four = mw.task.semaphore(4)
--- four:with(function() download(url) end)
--- ```
---@param permits integer  1 or more
---@return moonwire.Semaphore semaphore
function task.semaphore(permits)
  if math.type(permits) ~= "integer" or permits < 1 then
    invalid("task.semaphore", "the number of permits must be a positive integer")
  end
  return setmetatable({ free = permits, queue = {} }, Semaphore)
end

--- Waits for a permit; close it (or let `<close>` do it) to give it back.
---@param opts? moonwire.Timeout
---@return moonwire.Permit? permit
---@return moonwire.Err? err  ETIMEDOUT
function Semaphore:acquire(opts)
  local timeout = arg.options(opts, { timeout = "duration" }, "semaphore.acquire").timeout
  if self.free > 0 then
    self.free = self.free - 1
    return setmetatable({ sem = self }, Permit)
  end
  local waiter = { cond = raw.cond() }
  self.queue[#self.queue + 1] = waiter
  local ok, why = pcall(waiter.cond.wait, waiter.cond, timeout)
  if ok and waiter.granted then return setmetatable({ sem = self }, Permit) end
  if waiter.granted then -- granted while it was being cancelled
    setmetatable({ sem = self }, Permit):close()
  else
    for i, w in ipairs(self.queue) do
      if w == waiter then
        remove(self.queue, i)
        break
      end
    end
  end
  if not ok then error(why, 0) end
  return nil, err.fail("ETIMEDOUT", "semaphore acquire", nil, "timed out")
end

--- Calls f(...) while holding a permit.
---@param f function
---@param ... any
---@return any ...  its results
function Semaphore:with(f, ...)
  check_function(f, "semaphore.with")
  local _permit <close> = self:acquire()
  return f(...)
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
  if type(items) ~= "table" then invalid("task.map", "a list is expected, got " .. type(items)) end
  check_function(f, "task.map")
  opts = arg.options(opts, { limit = "integer", ordered = "flag" }, "task.map")
  local limit, ordered, n = opts.limit or 16, opts.ordered ~= false, #items
  if limit < 1 then invalid("task.map", "option \"limit\" must be at least 1") end
  local results, order, changed, begun, asked = {}, {}, raw.cond(), 0, 0
  local s = raw.scope()

  local function work()
    while begun < n do
      begun = begun + 1
      local i = begun
      local out = pack(pcall(f, items[i], i))
      if not out[1] and err.is(out[2]) and out[2].code == "ECANCELED" then error(out[2], 0) end
      if out[1] then
        results[i] = { out[2], out[3] }
      else
        results[i] = { nil, out[2] }
      end
      order[#order + 1] = i
      changed:wake()
    end
  end
  for _ = 1, min(limit, n) do s:spawn(work) end

  local function step()
    if asked >= n then
      s:close()
      return nil
    end
    asked = asked + 1
    while ordered and not results[asked] or not order[asked] do changed:wait() end
    local i = ordered and asked or order[asked]
    local r = results[i]
    results[i] = false
    return i, r[1], r[2]
  end
  local closer = setmetatable({}, {
    __close = function()
      s:cancel("the loop over task.map was left")
      s:close()
    end,
  })
  return step, nil, nil, closer
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
  check_function(f, "task.retry")
  opts = arg.options(opts, { attempts = "integer", backoff = "table", jitter = "flag" }, "task.retry")
  local attempts, pause, longest = opts.attempts or 3, 0.1, 2
  if attempts < 1 then invalid("task.retry", "option \"attempts\" must be at least 1") end
  if opts.backoff then
    pause = arg.duration(opts.backoff[1], "task.retry", "backoff[1]")
    longest = max(pause, arg.duration(opts.backoff[2] or opts.backoff[1], "task.retry", "backoff[2]"))
  end
  for attempt = 1, attempts do
    local out = pack(pcall(f, attempt))
    local ok, why = out[1], out[2]
    if ok and (out[2] ~= nil or out[3] == nil) then return unpack(out, 2, out.n) end
    if ok then why = out[3] end
    local code = err.is(why) and why.code
    if attempt == attempts or code == "EDENIED" or code == "ECANCELED" or code == "EINVAL" then
      if ok then return unpack(out, 2, out.n) end
      error(why, 0)
    end
    raw.sleep(opts.jitter == false and pause or pause * (0.5 + random() / 2))
    pause = min(pause * 2, longest)
  end
end

return task
