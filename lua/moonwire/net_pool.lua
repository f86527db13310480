--- Pools of connections: kept open between uses, so many for an address and so many in all, checked before they are used again.
--- What a borrower holds is moonwire.net_lease; what decides who gets which connection is here.
---
--- A place is a connection that is open, or the right to open one. Whoever wants one stands in one queue; `serve` goes through it
--- from the front whenever something came free: the first whose address has room is served first, and one that waits for its own
--- address does not hold up the others.
local _, core = ...
local err, arg, task = core.err, core.arg, core.task
local lease = core.module("moonwire.net_lease")
local quiet = core.stream.quiet
local setmetatable, pcall, error, next, type, rawget = setmetatable, pcall, error, next, type, rawget
local remove, sort, concat = table.remove, table.sort, table.concat
local max, huge = math.max, math.huge

local OP = "net pool"

local function invalid(op, what)
  return err.raise(err.fail("EINVAL", op, nil, what))
end

---@class moonwire.ConnectionPoolOptions
---@field max? integer              connections in all; default 100
---@field max_per_key? integer      for one address (with the same connect options); default 10
---@field max_waiting? integer      tasks that wait for one; default 1,000; the next gets EAGAIN
---@field acquire_timeout? number|string  for waiting and connecting together; default 5 s
---@field idle_timeout? number|string     unused for so long: closed; default 60 s
---@field max_lifetime? number|string     older than that: not used again; default 30 min
---@field validate? fun(c: moonwire.Connection): boolean?  before each reuse; not true, or an error: it is replaced by a new one
---@field leak_after? number|string       lent for longer: one warning, with the borrower's traceback; default: never
local OPTIONS = {
  max = "integer", max_per_key = "integer", max_waiting = "integer", acquire_timeout = "duration", idle_timeout = "duration",
  max_lifetime = "duration", validate = "function", leak_after = "duration",
}

-- Keys --------------------------------------------------------------------------------------------------------------------

local ids, count = setmetatable({}, { __mode = "k" }), 0

--- A value of an option as part of a key: objects by what they are, not by what they look like.
local function key_part(value)
  local t = type(value)
  if t ~= "table" and t ~= "userdata" and t ~= "function" then return t:sub(1, 1) .. tostring(value) end
  if not ids[value] then count = count + 1 end
  ids[value] = ids[value] or count
  return "o" .. ids[value]
end

--- Connections are alike when they go to the same address with the same options.
local function key_of(url, options)
  if not options then return url end
  local parts = {}
  for name, value in next, options do
    if name ~= "timeout" and name ~= "retry" then parts[#parts + 1] = tostring(name) .. "=" .. key_part(value) end
  end
  if #parts == 0 then return url end
  sort(parts)
  return url .. "\0" .. concat(parts, "\0")
end

-- Entries: a connection of the pool, idle or lent ------------------------------------------------------------------------------

--- The idle ones form a list, least recently used first (p.idle is its ring's head); those of one key a stack.
local function push_idle(p, e)
  e.idle_since = task.now()
  e.prev, e.next = p.idle.prev, p.idle
  e.prev.next, e.next.prev = e, e
  local stack = e.key.idle
  stack[#stack + 1] = e
  p.idle_count = p.idle_count + 1
  if e.idle_since + p.idle_timeout < p.reap_at then p.reap:wake() end
end

local function take_idle(p, e)
  local stack = e.key.idle
  for i = #stack, 1, -1 do
    if stack[i] == e then
      remove(stack, i)
      break
    end
  end
  e.prev.next, e.next.prev = e.next, e.prev
  e.prev, e.next = nil, nil
  p.idle_count = p.idle_count - 1
end

--- Forgets an address of which there is nothing left.
local function settle(p, key)
  if key.places == 0 and key.waiting == 0 then p.keys[key.name] = nil end
end

--- Its place is free again.
local function free_place(p, key)
  p.places, key.places = p.places - 1, key.places - 1
  settle(p, key)
end

local function close_stream(p, e)
  p.open, p.destroyed = p.open - 1, p.destroyed + 1
  e.stream:close()
end

local function destroy_idle(p, e)
  take_idle(p, e)
  close_stream(p, e)
  free_place(p, e.key)
end

local function shut_idle(p)
  while p.idle.next ~= p.idle do destroy_idle(p, p.idle.next) end
end

--- Nobody waits any more: what is idle goes, and what is lent is waited for.
local function drain_on(p)
  shut_idle(p)
  if p.lent_count == 0 then p.drained:wake() end
end

local function usable(p, e)
  return task.now() - e.born < p.max_lifetime and quiet(e.stream)
end

-- Who gets which ------------------------------------------------------------------------------------------------------------------

local NEW = {} -- instead of an entry: a place for a new connection

--- An idle connection of `key` (taken), NEW, or nil; and then whether others must wait as well.
local function grant(p, key)
  local stack = key.idle
  while #stack > 0 do
    local e = stack[#stack]
    if usable(p, e) then
      take_idle(p, e)
      return e
    end
    destroy_idle(p, e)
  end
  if key.places >= p.max_per_key then return nil, false end
  if p.places >= p.max then
    local oldest = p.idle.next
    if oldest == p.idle then return nil, true end
    destroy_idle(p, oldest)
    p.evicted = p.evicted + 1
  end
  p.places, key.places = p.places + 1, key.places + 1
  return NEW
end

--- Serves those who wait, the first one first.
local function serve(p)
  local i, blocked = 1, nil
  while i <= #p.waiters do
    local w = p.waiters[i]
    local got, all
    if not (blocked and blocked[w.key]) then got, all = grant(p, w.key) end
    if got then
      remove(p.waiters, i)
      w.got = got
      if w.cond then w.cond:wake() end
    else
      if all then break end
      blocked = blocked or {}
      blocked[w.key] = true
      i = i + 1
    end
  end
  if p.draining and #p.waiters == 0 then drain_on(p) end
end

--- What was granted and not used goes to the next.
local function put_back(p, key, got)
  if got ~= NEW then push_idle(p, got) else free_place(p, key) end
  if p.closed then shut_idle(p) end
  serve(p)
end

local function closed(op, url)
  return nil, err.fail("ECLOSED", op, url, "the pool is closed")
end

local function leave(p, w)
  for i = 1, #p.waiters do
    if p.waiters[i] == w then
      remove(p.waiters, i)
      return
    end
  end
end

local function wait_for(p, w, deadline)
  while not w.got and not p.closed and w.cond:wait(max(deadline - task.now(), 0)) do end
end

--- An entry or NEW for `key`, in turn; or nil, err.
local function wait_turn(p, key, deadline)
  local w = { key = key }
  p.waiters[#p.waiters + 1] = w
  serve(p)
  if w.got then return w.got end
  if #p.waiters > p.max_waiting then
    leave(p, w)
    local what = p.max_waiting .. " tasks wait for a connection already"
    return nil, err.fail("EAGAIN", "net acquire", key.url, what, "raise it with max_waiting")
  end
  w.cond = task.cond()
  local ok, why = pcall(wait_for, p, w, deadline)
  if ok and w.got and not p.closed then return w.got end
  if w.got then put_back(p, key, w.got) else leave(p, w) end
  if not ok then error(why, 0) end
  if p.closed then return closed("net acquire", key.url) end
  return nil, err.fail("ETIMEDOUT", "net acquire", key.url, ("timed out: %d in use, %d waiting"):format(p.lent_count, #p.waiters))
end

local function enter_key(p, url, opts)
  local name = key_of(url, opts)
  local key = p.keys[name]
  if not key then
    key = { name = name, url = url, idle = {}, places = 0, waiting = 0 }
    p.keys[name] = key
  end
  return key
end

--- The same, at once where nobody waits; and the key is kept meanwhile.
local function take(p, key, deadline)
  local got = #p.waiters == 0 and grant(p, key)
  if got then return got end
  key.waiting = key.waiting + 1
  local ok, why
  ok, got, why = pcall(wait_turn, p, key, deadline)
  key.waiting = key.waiting - 1
  settle(p, key)
  if not ok then error(got, 0) end
  return got, why
end

-- Lending and taking back -----------------------------------------------------------------------------------------------------------

--- Back from a borrower. failed: a call did, or may have left something behind.
local function take_back(p, e, failed)
  p.lent[e], p.lent_count = nil, p.lent_count - 1
  e.trace, e.warned, e.uses = nil, nil, e.uses + 1
  if failed or p.closed or not usable(p, e) then
    close_stream(p, e)
    free_place(p, e.key)
  else
    push_idle(p, e)
  end
  serve(p)
end

local function lend(p, e)
  e.lent_at = task.now()
  p.lent[e], p.lent_count = true, p.lent_count + 1
  if p.leak_after < huge then
    e.trace = debug.traceback("", 2)
    if e.lent_at + p.leak_after < p.reap_at then p.reap:wake() end
  end
  return lease.new(e.stream, e.key.url, function(failed) take_back(p, e, failed) end, err.where())
end

--- Does `validate` like it? What it leaves behind counts as well.
local function is_valid(p, e, deadline)
  if not p.validate then return true end
  local failed = true
  local trial = lease.new(e.stream, e.key.url, function(f) failed = f end, "validate")
  local ok, good = pcall(task.timeout, max(deadline - task.now(), 0), p.validate, trial)
  trial:close()
  if not ok and err.is(good) and good.code == "ECANCELED" then
    close_stream(p, e)
    free_place(p, e.key)
    serve(p)
    error(good, 0)
  end
  return ok and good and not failed and quiet(e.stream)
end

local function connect(p, key, options, deadline)
  local o = {}
  for k, v in next, options or {} do o[k] = v end
  o.timeout = max(deadline - task.now(), 0)
  local ok, stream, why = pcall(core.module("moonwire.net").connect, key.url, o)
  if ok and stream and not p.closed then
    p.created, p.open = p.created + 1, p.open + 1
    return { stream = stream, key = key, born = task.now(), uses = 0 }
  end
  free_place(p, key)
  serve(p)
  if not ok then error(stream, 0) end
  if not stream then return nil, why end
  stream:close()
  return closed("net acquire", key.url)
end

-- Time ------------------------------------------------------------------------------------------------------------------------------

local function warn_of_leak(p, e, now)
  if e.warned or now - e.lent_at < p.leak_after then return end
  e.warned = true
  core.module("moonwire.log").warn("a connection has not been given back",
    { url = e.key.url, seconds = ("%.3g"):format(now - e.lent_at), borrowed = e.trace:gsub("^%s+", "") })
end

--- In a task of the host's own, while the pool lives: closes what was idle for too long or is too old, warns of leaks. Sleeps until
--- something of that is due.
local function reaper(p)
  while not p.closed do
    local now, due, e = task.now(), huge, p.idle.next
    while e ~= p.idle do
      local following, until_ = e.next, math.min(e.idle_since + p.idle_timeout, e.born + p.max_lifetime)
      if until_ <= now then destroy_idle(p, e) else due = math.min(due, until_) end
      e = following
    end
    if p.leak_after < huge then
      for lent in next, p.lent do
        warn_of_leak(p, lent, now)
        if not lent.warned then due = math.min(due, lent.lent_at + p.leak_after) end
      end
    end
    p.reap_at = due
    p.reap:wait(due < huge and due - now or nil)
  end
end

---@class moonwire.ConnectionPoolStats
---@field open integer       connections there are: idle, in use or being checked
---@field idle integer
---@field in_use integer     lent now
---@field waiting integer    tasks that wait for one
---@field created integer    so far
---@field reused integer     so far: lent again
---@field evicted integer    closed to make room for another address
---@field destroyed integer  closed for whatever reason, evicted ones too

-- What a script holds -----------------------------------------------------------------------------------------------------------------

--- Connections that are kept open between uses (`mw.net.pool`): so many for an address and so many in all.
---
--- ```lua
--- local conns <close> = mw.net.pool{ max = 10, idle_timeout = 60 }
--- local reply = conns:with("tcp://127.0.0.1:8080", function(c)
---   assert(c:write("ping\n"))
---   return c:read("l")
--- end)
--- ```
---@class moonwire.ConnectionPool
---@field private p table
local Pool = { __name = "connection pool", __metatable = false }
Pool.__index = Pool

--- Borrows a connection to `url`: an idle one that is still good, or a new one. `local c <close> = ...` gives it back. Read the
--- replies to what you sent before: one that is still on its way can be seen by nobody, and meets the next borrower.
---@param url string   as for mw.net.connect
---@param opts? moonwire.ConnectOptions  timeout: for waiting and connecting together
---@return moonwire.Connection? connection
---@return moonwire.Err? err  ETIMEDOUT, EAGAIN: too many wait; ECLOSED; what connecting failed with
function Pool:acquire(url, opts)
  local p = self.p
  if type(url) ~= "string" then return invalid("net acquire", "the address must be a string, got " .. type(url)) end
  if opts ~= nil and type(opts) ~= "table" then return invalid("net acquire", "options must be a table, got " .. type(opts)) end
  local timeout = opts and rawget(opts, "timeout")
  local deadline = task.now() + (timeout == nil and p.acquire_timeout or arg.duration(timeout, "net acquire", 'option "timeout"'))
  if p.closed or p.draining then return closed("net acquire", url) end
  local key = enter_key(p, url, opts)
  local got, why = take(p, key, deadline)
  if not got then return nil, why end
  if got ~= NEW then
    if is_valid(p, got, deadline) then
      p.reused = p.reused + 1
      return lend(p, got)
    end
    close_stream(p, got) -- its place is ours: for a new one
  end
  local e
  e, why = connect(p, key, opts, deadline)
  if not e then return nil, why end
  return lend(p, e)
end

--- Calls `fn(connection)` with a borrowed connection and gives it back: fn's results, or nil, err when none could be had. A
--- connection whose `fn` fails is closed.
---@param url string
---@param fn fun(c: moonwire.Connection): any
---@param opts? moonwire.ConnectOptions
---@return any ...
function Pool:with(url, fn, opts)
  if type(fn) ~= "function" then return invalid("net with", "a function is expected, got " .. type(fn)) end
  local c, why = self:acquire(url, opts)
  if not c then return nil, why end
  local _ <close> = c
  return fn(c)
end

--- What is, and what was.
---@return moonwire.ConnectionPoolStats stats
function Pool:stats()
  local p = self.p
  return {
    open = p.open, idle = p.idle_count, in_use = p.lent_count, waiting = #p.waiters,
    created = p.created, reused = p.reused, evicted = p.evicted, destroyed = p.destroyed,
  }
end

--- Lends no more, waits until all that wait were served and everything is back, and closes.
---@param opts? moonwire.Timeout
---@return true? ok
---@return moonwire.Err? err  ETIMEDOUT
function Pool:drain(opts)
  local p = self.p
  local timeout = arg.options(opts, { timeout = "duration" }, "net drain").timeout
  local deadline = timeout and timeout < huge and task.now() + timeout
  p.draining = true
  if #p.waiters == 0 then drain_on(p) end
  while p.lent_count > 0 or #p.waiters > 0 do
    if not deadline then
      p.drained:wait()
    elseif not p.drained:wait(max(deadline - task.now(), 0)) and p.lent_count + #p.waiters > 0 then
      return nil, err.fail("ETIMEDOUT", "net drain", nil, ("timed out: %d in use, %d waiting"):format(p.lent_count, #p.waiters))
    end
  end
  self:close()
  return true
end

--- Lends no more: idle connections are closed now, lent ones when they are given back; who waits gets ECLOSED. Idempotent.
function Pool:close()
  local p = self.p
  if p.closed then return end
  p.closed = true
  shut_idle(p)
  for i = 1, #p.waiters do
    if p.waiters[i].cond then p.waiters[i].cond:wake() end
  end
  p.reap:wake()
  p.drained:wake()
end
Pool.__close = Pool.close

function Pool:__gc()
  local p = self.p
  if p.closed then return end
  if p.open > 0 then
    core.log.write(2, "connection pool made at " .. (p.made or "?") .. " was never closed; it was collected (use local x <close> = ...)")
  end
  self:close()
end

function Pool:__tostring()
  local p = self.p
  return ("connection pool (%d open, %d in use%s)"):format(p.open, p.lent_count, p.closed and ", closed" or "")
end

local function positive(o, name, default)
  local value = o[name] or default
  if value < 1 then return invalid(OP, 'option "' .. name .. '" must be at least 1') end
  return value
end

--- A pool of connections.
---@param options? moonwire.ConnectionPoolOptions
---@return moonwire.ConnectionPool
local function new(options)
  local o = arg.options(options, OPTIONS, OP)
  local p = {
    max = positive(o, "max", 100), max_waiting = o.max_waiting or 1000, acquire_timeout = o.acquire_timeout or 5,
    idle_timeout = o.idle_timeout or 60, max_lifetime = o.max_lifetime or 1800, validate = o.validate,
    leak_after = o.leak_after or huge, keys = {}, idle = {}, waiters = {}, lent = {}, reap = task.cond(), drained = task.cond(),
    reap_at = huge, idle_count = 0, lent_count = 0, places = 0, open = 0, created = 0, reused = 0, evicted = 0, destroyed = 0,
    closed = false, draining = false, made = err.where(),
  }
  p.max_per_key = positive(o, "max_per_key", math.min(10, p.max))
  if p.max_waiting < 0 then return invalid(OP, 'option "max_waiting" must not be negative') end
  p.idle.prev, p.idle.next = p.idle, p.idle
  task.background("connection pool", reaper, p)
  return setmetatable({ p = p }, Pool)
end

return { new = new }
