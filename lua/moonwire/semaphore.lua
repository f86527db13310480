--- Semaphores: at most so many holders at a time, served in order. Returns the function that makes one.
local _, core = ...
local raw, err, arg = core.task, core.err, core.arg
local setmetatable, type, ipairs, pcall, error, remove = setmetatable, type, ipairs, pcall, error, table.remove

local function invalid(op, what)
  return err.raise(err.fail("EINVAL", op, nil, what))
end

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
  if type(f) ~= "function" then invalid("semaphore.with", "a function is expected, got " .. type(f)) end
  local _permit <close> = self:acquire()
  return f(...)
end

---@param permits integer
---@return moonwire.Semaphore semaphore
return function(permits)
  if math.type(permits) ~= "integer" or permits < 1 then
    invalid("task.semaphore", "the number of permits must be a positive integer")
  end
  return setmetatable({ free = permits, queue = {} }, Semaphore)
end
