--- Channels: bounded queues between tasks of one host.
local _, core = ...
local raw, err, arg = core.task, core.err, core.arg
local setmetatable, pcall, error, max = setmetatable, pcall, error, math.max

--- A bounded queue between tasks: `mw.task.channel(n)`. Any value but nil can be sent; `#ch` is how many wait.
---@class moonwire.TaskChannel
local Channel = { __name = "task channel", __metatable = false }
Channel.__index = Channel

local function invalid(op, what)
  return err.raise(err.fail("EINVAL", op, nil, what))
end

local function fail(code, op, what)
  return nil, err.fail(code, op, nil, what)
end

local function new(capacity)
  capacity = capacity or 0
  if math.type(capacity) ~= "integer" or capacity < 0 or capacity > 1 << 24 then
    invalid("task.channel", "the capacity must be an integer from 0 to 16777216")
  end
  local functions = core.trace.on and { core.trace.tapped(nil, "channel") } or nil
  return setmetatable({
    functions = functions, capacity = capacity, first = 1, last = 0, receivers = 0, closed = false,
    room = raw.cond(), filled = raw.cond(), took = raw.cond(),
  }, Channel)
end

local function held(ch)
  return ch.last - ch.first + 1
end

--- Waits on `cond` until ready() or until `deadline` (monotonic seconds; nil: for ever); false when the time is up.
local function wait_for(cond, deadline, ready)
  while not ready() do
    if not deadline then
      cond:wait()
    elseif not cond:wait(max(deadline - raw.now(), 0)) and not ready() then
      return false
    end
  end
  return true
end

local function deadline_of(opts, op)
  local timeout = opts and arg.options(opts, { timeout = "duration" }, op).timeout
  return timeout and raw.now() + timeout
end

local function push(ch, value)
  ch.last = ch.last + 1
  ch[ch.last] = value
  ch.filled:wake_one()
end

local function pop(ch)
  local value = ch[ch.first]
  ch[ch.first] = nil
  ch.first = ch.first + 1
  ch.room:wake_one()
  if ch.capacity == 0 then ch.took:wake() end
  return value
end

local function check_value(value, op)
  if value == nil then invalid(op, "nil cannot be sent: it marks the end") end
end

--- The value goes through the functions from the i-th on, and then to `last`.
local function through(ch, i, dir, last)
  local f = ch.functions[i]
  if not f then return last end
  return function(value) return f(through(ch, i + 1, dir, last), dir, value) end
end

--- Sends with `last` through the functions; one that answers nil without an error has dropped the value on purpose.
local function send_through(ch, value, last)
  local sent, why = through(ch, 1, "send", last)(value)
  if sent == nil and why ~= nil then return nil, why end
  return true
end

--- Receives with `take` until the functions do not drop the value.
local function recv_through(ch, take)
  while true do
    local value, why = take()
    if value == nil then return nil, why end
    value, why = through(ch, 1, "recv", function(passed) return passed end)(value)
    if value ~= nil or why ~= nil then return value, why end
  end
end

local function try_send(self, value)
  check_value(value, "channel.try_send")
  if self.closed then return fail("ECLOSED", "channel send", "the channel is closed") end
  local room = self.capacity > 0 and self.capacity or self.receivers
  if held(self) >= room then return fail("EAGAIN", "channel send", "the channel is full") end
  push(self, value)
  return true
end

--- Sends without waiting.
---@param value any  not nil
---@return true? ok
---@return moonwire.Err? err  EAGAIN when it is full, ECLOSED after close
function Channel:try_send(value)
  if not self.functions then return try_send(self, value) end
  check_value(value, "channel.try_send")
  return send_through(self, value, function(passed) return try_send(self, passed) end)
end

--- A sender of a channel without capacity waits until its value at `place` was taken.
local function rendezvous(ch, place, deadline)
  local ok, why = pcall(wait_for, ch.took, deadline, function() return ch.first > place or ch.closed end)
  if ch.first > place then
    if not ok then error(why, 0) end
    return true
  end
  for i = place, ch.last do ch[i] = ch[i + 1] end -- not taken: it was never sent
  ch.last = ch.last - 1
  ch.room:wake_one()
  if not ok then error(why, 0) end
  if ch.closed then return fail("ECLOSED", "channel send", "the channel is closed") end
  return fail("ETIMEDOUT", "channel send", "timed out")
end

local function send(self, value, opts)
  check_value(value, "channel.send")
  local deadline = deadline_of(opts, "channel.send")
  local room = max(self.capacity, 1)
  if not self.closed and held(self) >= room then
    if not wait_for(self.room, deadline, function() return self.closed or held(self) < room end) then
      return fail("ETIMEDOUT", "channel send", "timed out")
    end
  end
  if self.closed then return fail("ECLOSED", "channel send", "the channel is closed") end
  push(self, value)
  if self.capacity > 0 then return true end
  return rendezvous(self, self.last, deadline)
end

--- Sends; waits while the channel is full (capacity 0: until the value is taken).
---@param value any  not nil
---@param opts? moonwire.Timeout
---@return true? ok
---@return moonwire.Err? err  ETIMEDOUT, ECLOSED
function Channel:send(value, opts)
  if not self.functions then return send(self, value, opts) end
  check_value(value, "channel.send")
  return send_through(self, value, function(passed) return send(self, passed, opts) end)
end

local function try_recv(self)
  if held(self) > 0 then return pop(self) end
  if self.closed then return nil end
  return fail("EAGAIN", "channel recv", "the channel is empty")
end

--- Receives without waiting: the value, nil after the end, or nil, EAGAIN.
---@return any value
---@return moonwire.Err? err
function Channel:try_recv()
  if not self.functions then return try_recv(self) end
  return recv_through(self, function() return try_recv(self) end)
end

local function recv(self, opts)
  if held(self) > 0 then return pop(self) end
  local deadline = deadline_of(opts, "channel.recv")
  self.receivers = self.receivers + 1
  local ok, got = pcall(wait_for, self.filled, deadline, function() return held(self) > 0 or self.closed end)
  self.receivers = self.receivers - 1
  if not ok then
    if held(self) > 0 then self.filled:wake_one() end -- woken for a value that somebody else must take now
    error(got, 0)
  end
  if held(self) > 0 then return pop(self) end
  if not got then return fail("ETIMEDOUT", "channel recv", "timed out") end
  return nil
end

--- Receives; waits while the channel is empty. nil at the end: closed, and nothing left.
---@param opts? moonwire.Timeout
---@return any value
---@return moonwire.Err? err  ETIMEDOUT
function Channel:recv(opts)
  if not self.functions then return recv(self, opts) end
  return recv_through(self, function() return recv(self, opts) end)
end

--- Adds a function (pass, dir, value) around every value, the first added outermost: dir is "send" or "recv", pass(value) goes on, nil
--- without an error drops the value. In place of a function, a tap of mw.trace, which writes the values down.
---@param f moonwire.Middleware|moonwire.Tap
---@param ... moonwire.Err  why there is no tap, as mw.trace.tap gives it: raised
---@return moonwire.TaskChannel self
function Channel:use(f, ...)
  if f == nil and err.is(...) then err.raise((...)) end -- why there is no tap
  if f == nil then invalid("use", "a function or a tap expected, got nil") end
  if type(f) ~= "function" then f = core.trace.tapped(f, "channel") end
  self.functions = self.functions or {}
  table.insert(self.functions, f)
  return self
end

--- Iterates over what arrives, until the channel is closed and empty. Raises ETIMEDOUT when nothing came for `timeout`.
---@param opts? moonwire.Timeout
---@return fun(): any next
function Channel:messages(opts)
  deadline_of(opts, "channel.messages") -- a wrong option is told at once
  return function()
    local value, why = self:recv(opts)
    if why ~= nil then error(why, 0) end
    return value
  end
end

--- No more sends. What is held can still be received. May be repeated.
function Channel:close()
  self.closed = true
  self.room:wake()
  self.filled:wake()
  self.took:wake()
end
Channel.__close = Channel.close

function Channel:__len()
  return held(self)
end

return { new = new }
