--- What a pool lends: a connection that knows whether it may be lent again. It has the methods of a stream; what goes through it
--- is watched for calls that fail, and `close` gives it back. After that it answers ECLOSED, whoever has the connection then.
local _, core = ...
local err = core.err
local setmetatable, pcall, error, select, type, rawequal = setmetatable, pcall, error, select, type, rawequal

--- A stream that a pool of connections has lent: it has the methods of a stream, and `close` (or `<close>`) gives it back. One on
--- which a call failed, or that has unread input or unsent bytes, is closed and not lent again.
---@class moonwire.Connection: moonwire.Stream
local Lease = { __name = "connection", __metatable = false }

local KEY = {} -- where a lease keeps its state, out of the way of names

--- Of these a failure says nothing about the bytes that go through.
local harmless = { alive = true, stats = true, peer = true, address = true, tls = true }

local wrap

local function over()
  return err.fail("ECLOSED", "net pool", nil, "this connection was given back to its pool")
end

--- Passes results on: notes a failure, and keeps what a borrower must not hold in its own hands.
local function pass(self, state, name, ok, first, second, ...)
  if not ok then
    if not harmless[name] then state.failed = true end
    error(first, 0)
  end
  if first == nil and second ~= nil and not harmless[name] then state.failed = true end
  if rawequal(first, self[KEY].object) then
    first = self
  elseif type(first) == "function" then -- an iterator
    local step = first
    first = function(...)
      if not state.back then return err.raise(over()) end
      return pass(self, state, name, pcall(step, ...))
    end
  elseif name == "framed" and first ~= nil then
    first = wrap(first, state)
  end
  if second == nil and select("#", ...) == 0 then return first end
  return first, second, ...
end

--- Functions by name, made when they are first asked for.
local forward = setmetatable({}, { __index = function(all, name)
  local function call(self, ...)
    local inner = self[KEY]
    local state = inner.state
    if not state.back then return nil, over() end
    local object = inner.object
    return pass(self, state, name, pcall(object[name], object, ...))
  end
  all[name] = call
  return call
end })

--- Gives it back. Idempotent. As <close> with an error on its way: what was under way is not known, so it is not used again.
local function close(self, why)
  local inner = self[KEY]
  local state = inner.state
  local back = state.back
  if not back then return true end
  state.back = nil
  back(state.failed or why ~= nil)
  return true
end

function Lease:__index(name)
  if name == "close" then return close end
  local member = self[KEY].object[name]
  if type(member) == "function" then return forward[name] end
  return member
end
Lease.__close = close

function Lease:__gc()
  local state = self[KEY].state
  if not state.back or self[KEY].object ~= state.stream then return end
  core.log.write(2, "connection to " .. state.url .. " borrowed at " .. (state.made or "?")
    .. " was never given back; it was collected (use local c <close> = ...)")
  state.failed = true
  close(self)
end

function Lease:__tostring()
  local inner = self[KEY]
  return inner.state.back and "lent " .. tostring(inner.object) or "connection (given back)"
end

--- A channel made of it, too: what fails there fails here.
function wrap(object, state)
  return setmetatable({ [KEY] = { object = object, state = state } }, Lease)
end

---@param stream moonwire.Stream
---@param url string
---@param back fun(failed: boolean)  called once
---@param made string  the borrower's line
---@return moonwire.Connection
local function new(stream, url, back, made)
  return wrap(stream, { stream = stream, url = url, back = back, made = made, failed = false })
end

return { new = new }
