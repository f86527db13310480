--- Remote calls over any channel: JSON-RPC 2.0 and MessagePack-RPC, both sides alike. What messages look like is in rpc_json and
--- rpc_msgpack; who waits for which answer, who runs, and when reading stops is here.
---
--- One task reads. It stands in the innermost scope of whoever made the peer and ends with it; the handlers run in a scope of its own.
--- It reads on while at most `queue` messages wait for a handler. Only while somebody here waits for an answer, which may lie behind
--- them, it reads further, up to OVERFLOW times as many; then requests are refused and a notification is the end of the channel.
local _, core = ...
local err, arg, task = core.err, core.arg, core.task
local setmetatable, type, pcall, xpcall, error, tostring, next = setmetatable, type, pcall, xpcall, error, tostring, next
local spawn_in, max = task.spawn_in, math.max

local OVERFLOW = 8
local SHOWN = 1000     -- bytes of a peer's error text in ours
local MAX_BATCH = 1000 -- messages of a batch, which JSON-RPC has
local CONDS = 100      -- kept for the calls to come: each is an object with a finalizer
local CALL = { timeout = "duration" }

---@class moonwire.RpcOptions
---@field concurrent? integer       handlers that run at the same time; default 100
---@field queue? integer            messages that wait for one; default 1,000; more are left unread
---@field max_pending? integer      calls of ours that wait for an answer; default 1,000; the next gets EAGAIN
---@field timeout? number|string    of calls that name none; default: they wait until the channel ends
---@field max? integer|string       bytes of a message that arrives; default 16 MiB
---@field max_depth? integer        levels of its arrays and objects; default 128
local OPTIONS = {
  concurrent = "integer", queue = "integer", max_pending = "integer", timeout = "duration", max = "size", max_depth = "integer",
}

local function invalid(op, what)
  return err.raise(err.fail("EINVAL", op, nil, what))
end

-- Sending ---------------------------------------------------------------------------------------------------------------------

--- Sends what nobody waits for; nil, err when the channel would not have it. Raises for what cannot be written.
local function tell(p, message, timeout)
  if p.encode then
    local bytes, why = p.encode(message)
    if not bytes then return nil, why end
    message = bytes
  end
  if timeout then return p.channel:send(message, { timeout = timeout }) end
  return p.channel:send(message)
end

--- Sends what somebody waits for, here or there: a channel that gathers batches keeps it no longer than this turn.
local function send(p, message, timeout)
  local sent, why = tell(p, message, timeout)
  if sent and p.urge then
    p.urgent = true
    p.urge:wake()
  end
  return sent, why
end

local function flusher(p)
  repeat
    while not p.urgent and not p.over do p.urge:wait() end
    task.pass() -- calls of the same turn go together
    p.urgent = false
    p.channel:flush()
  until p.over
end

--- Sends an answer, or puts it into the batch that it belongs to. What the channel refuses now, its end tells.
local function reply(p, message, batch)
  if batch then
    batch[#batch + 1] = message
    return
  end
  pcall(send, p, message)
end

local function settle(p, batch)
  if not batch then return end
  batch.left = batch.left - 1
  if batch.left > 0 or #batch == 0 then return end
  batch.left = nil
  local ok, sent = pcall(send, p, p.wire.batch_of(batch, "array"))
  if ok and sent or p.closed then return end
  task.pass() -- raises when we are cancelled
  for i = 1, #batch do batch[i] = p.wire.failure(batch[i].id, p.wire.INTERNAL, "the results cannot be sent") end
  pcall(send, p, batch) -- too long together, or one that only the channel refuses
end

local function refuse(p, id, code, message, batch, data)
  p.refused = p.refused + 1
  if id ~= nil then reply(p, p.wire.failure(id, code, message, data), batch) end
end

-- Handlers --------------------------------------------------------------------------------------------------------------------

--- A text for the peer: what was raised, without the place in our files.
local function told(why)
  if err.is(why) then return why.message or why.code end
  if type(why) ~= "string" then return "the handler failed" end
  return (why:gsub("^[^\n]-:%d+: ", "", 1))
end

local function report(p, method, why)
  p.failed = p.failed + 1
  core.log.write(2, ("rpc handler %q: %s"):format(method, tostring(why)))
end

--- What a handler's error becomes: its own code if it named one (mw.rpc.fail), else -32000 and the text.
local function failure_of(p, id, method, why, raised)
  local wire = p.wire
  if err.is(why) and why.code == "ERPC" and type(why.data) == "table" and type(why.data.code) == "number" then
    return wire.failure(id, why.data.code, told(why), why.data.data)
  end
  if raised then report(p, method, why) end
  return wire.failure(id, wire.SERVER, told(why))
end

local function answer(p, job, ok, result, why)
  local wire, id = p.wire, job.id
  local message
  if not ok then
    message = failure_of(p, id, job.method, result, true)
  elseif result == nil and why ~= nil then
    message = failure_of(p, id, job.method, why, false)
  else
    if result == nil then result = wire.null end
    message = wire.answer(id, result)
  end
  local ok2, sent, bad
  if not job.batch then
    ok2, sent, bad = pcall(send, p, message)
  elseif p.encode then
    ok2, sent, bad = pcall(p.encode, message) -- one that cannot be written is not to spoil the others
  else
    ok2, sent = true, true
  end
  if ok2 and sent then
    if job.batch then job.batch[#job.batch + 1] = message end
    return
  end
  if not ok2 then bad = sent end
  task.pass() -- raises when we are cancelled
  if p.closed then return end
  report(p, job.method, bad)
  reply(p, wire.failure(id, wire.INTERNAL, "the result cannot be sent"), job.batch)
end

local function run(p, job)
  local ok, result, why = xpcall(job.fn, err.traceback, job.params)
  if not ok and err.is(result) and result.code == "ECANCELED" then task.pass() end -- raises when it is we who are
  if job.id ~= nil then
    answer(p, job, ok, result, why)
    settle(p, job.batch)
  elseif not ok then
    report(p, job.method, result)
  end
end

local function push(q, job)
  q.last = q.last + 1
  q[q.last] = job
end
local function pop(q)
  if q.first > q.last then return nil end
  local job = q[q.first]
  q[q.first] = nil
  q.first = q.first + 1
  return job
end
local function held(q) return q.last - q.first + 1 end

--- Runs what waits in `q`, until nothing does.
local function work(p, q, job)
  while job do
    run(p, job)
    job = pop(q)
    p.room:wake()
  end
  q.running = q.running - 1
  p.room:wake()
end

--- Has a job run: at once if fewer than `most` of its queue do, else after them. false: too many wait.
local function begin(p, q, job, most)
  if q.running < most then
    q.running = q.running + 1
    spawn_in(p.scope, "rpc handler", work, p, q, job)
    return true
  end
  if held(p.requests) + held(p.notes) >= p.queue * OVERFLOW then return false end
  push(q, job)
  return true
end

-- Reading ---------------------------------------------------------------------------------------------------------------------

local take = {}

function take.result(p, id, value)
  local w = p.pending[id]
  if not w then -- late, or never asked for
    p.unknown = p.unknown + 1
    return
  end
  p.pending[id] = nil
  w.done, w.result = true, value
  w.cond:wake()
end

function take.error(p, id, failure)
  local w = p.pending[id]
  if not w then
    p.unknown = p.unknown + 1
    return
  end
  p.pending[id] = nil
  w.done, w.failure = true, failure
  w.cond:wake()
end

function take.request(p, id, method, params, batch)
  local fn = p.handlers[method]
  if not fn then return refuse(p, id, p.wire.METHOD, "no method of this name", batch) end
  if batch then batch.left = batch.left + 1 end
  local job = { fn = fn, id = id, method = method, params = params, batch = batch }
  if begin(p, p.requests, job, p.concurrent) then return end
  refuse(p, id, p.wire.SERVER, "too many requests at the same time", batch)
  settle(p, batch)
end

function take.notification(p, _, method, params)
  local on, fn = p.listeners[method], p.handlers[method]
  local kept
  if on then
    kept = begin(p, p.notes, { fn = on, method = method, params = params }, 1)
  elseif fn then
    kept = begin(p, p.requests, { fn = fn, method = method, params = params }, p.concurrent)
  else
    p.ignored = p.ignored + 1
    return
  end
  if not kept then
    local text = ("more than %d messages wait for their handlers"):format(p.queue * OVERFLOW)
    p.why = err.fail("ELIMIT", "rpc", nil, text, "queue sets the limit")
  end
end

function take.invalid(p, id, why, _, batch)
  refuse(p, id, p.wire.INVALID, "invalid request: " .. why, batch)
end

--- What came for a call of ours and is no answer: the call ends, since no other will come.
function take.broken(p, id, why, back, batch)
  if p.pending[id] then return take.error(p, id, { message = why }) end
  refuse(p, back, p.wire.INVALID, "invalid request: " .. why, batch)
end

local function dispatch(p, message, batch)
  local kind, id, a, b = p.wire.read(message)
  p.received = p.received + 1
  return take[kind](p, id, a, b, batch)
end

local function dispatch_batch(p, messages)
  if #messages > MAX_BATCH then
    return refuse(p, p.wire.null, p.wire.INVALID, ("invalid request: a batch of more than %d messages"):format(MAX_BATCH))
  end
  local batch = { left = 1 } -- one for ourselves, so that it does not end before it was read
  for i = 1, #messages do dispatch(p, messages[i], batch) end
  settle(p, batch)
end

--- A message that is longer or deeper than is read: whoever sent it learns why, where its beginning tells who waits for what.
local function too_much(p, text, why)
  local id, kind = nil, nil
  if type(text) == "string" and p.wire.head then id, kind = p.wire.head(text) end
  if kind == "answer" then return take.error(p, id, { message = tostring(why) }) end
  if p.wire.name ~= "JSON-RPC" then return refuse(p, nil, p.wire.INVALID, tostring(why)) end
  refuse(p, id or p.wire.null, p.wire.INVALID, "invalid request: " .. tostring(why))
end

--- The next message, nil at the end. What is none is answered, and the next one is taken.
local function receive(p)
  while true do
    local message, why = p.channel:recv()
    if message == nil and why == nil then return nil end
    local text = message
    if message ~= nil and p.decode then message, why = p.decode(text, p.limits) end
    if message ~= nil then return message end
    local code = err.is(why) and why.code
    local stays = code == "EPARSE" or code == "ESCHEMA" or code == "ELIMIT"
    if p.raw or not stays then return nil, why end -- the channel is at its end
    if code == "ELIMIT" then
      too_much(p, text, why)
    else
      refuse(p, p.wire.name == "JSON-RPC" and p.wire.null or nil, p.wire.PARSE, "parse error")
    end
  end
end

local function await_room(p)
  while held(p.requests) + held(p.notes) >= p.queue and next(p.pending) == nil and not p.closed do p.room:wait() end
end

local function read(p)
  while not p.closed do
    local message, why = receive(p)
    if message == nil then
      p.why = why
      return
    end
    local batch = p.wire.batch(message)
    if batch then dispatch_batch(p, batch) else dispatch(p, message) end
    if p.why then
      if p.owned then p.channel:close() end
      return
    end
    await_room(p)
  end
end

--- No answer will come any more.
local function no_answers(p)
  p.ended = true
  local pending = p.pending
  p.pending = {}
  for _, w in next, pending do
    w.done = true
    w.cond:wake()
  end
end

local function reader(p)
  local ok, why = pcall(task.scope, function(scope)
    p.scope = scope
    read(p)
    no_answers(p)
  end)
  no_answers(p)
  if p.why and p.owned then p.channel:close() end -- nothing more is understood: the peer is to know, or its calls would wait for ever
  p.over = true
  p.finished:wake()
  if p.urge then p.urge:wake() end
  if not ok then error(why, 0) end
end

-- What a script holds -----------------------------------------------------------------------------------------------------------

--- One side of a conversation. Both sides may call, notify and handle.
---@class moonwire.Rpc
---@field private p table
local Rpc = { __name = "rpc", __metatable = false }
Rpc.__index = Rpc

local function ended(p, op, method)
  local text = p.closed and "it is closed" or "the channel ended"
  if p.why and not p.closed then text = text .. ": " .. tostring(p.why) end
  return nil, err.fail("ECLOSED", op, method, text)
end

local function check(p, op, method, params)
  if type(method) ~= "string" then return invalid(op, "the method must be a string, got " .. type(method)) end
  local why = p.wire.refuse(params)
  if why then return invalid(op, why) end
end

local function next_id(p)
  repeat
    p.id = p.id < p.wire.longest and p.id + 1 or 1
  until not p.pending[p.id]
  return p.id
end

--- A peer's text as one line of ours: nothing in it moves a cursor. As it came it is in err.data.message.
local function shown(text)
  if #text > SHOWN then text = text:sub(1, SHOWN) .. "..." end
  return (text:gsub("%c", function(c) return ("\\x%02x"):format(c:byte()) end))
end

local function await(w, deadline)
  while not w.done do
    if not deadline then
      w.cond:wait()
    elseif not w.cond:wait(max(deadline - task.now(), 0)) and not w.done then
      return false
    end
  end
  return true
end

--- Calls a method of the other side and waits for its answer: the result (mw.null for null), or nil, err: ERPC for an error of the
--- peer's, with err.data = { code, message, data }; ETIMEDOUT; ECLOSED when the channel ends; EAGAIN when too many calls wait.
---
--- ```lua
--- local sum, err = rpc:call("add", { 1, 2 }, { timeout = 5 })
--- if not sum and err.code == "ERPC" then print(err.data.code, err) end
--- ```
---@param method string
---@param params? table  an object or an array (mw.json.object{}, mw.json.array{} where it is empty); MessagePack-RPC has arrays only
---@param opts? moonwire.Timeout
---@return any result
---@return moonwire.Err? err
function Rpc:call(method, params, opts)
  local p, op = self.p, "rpc call"
  check(p, op, method, params)
  local timeout = opts ~= nil and arg.options(opts, CALL, op).timeout or p.timeout
  if p.ended or p.closed then return ended(p, op, method) end
  if p.pending_count >= p.max_pending then
    local text = ("%d calls wait for their answers"):format(p.max_pending)
    return nil, err.fail("EAGAIN", op, method, text, "max_pending sets the limit")
  end
  local deadline = timeout and timeout < math.huge and task.now() + timeout or nil
  local conds = p.conds
  local id, w = next_id(p), { cond = conds[#conds] or task.cond() }
  conds[#conds] = nil
  p.pending[id] = w
  p.pending_count = p.pending_count + 1
  p.calls = p.calls + 1
  p.room:wake() -- the reader may stand still
  local began = core.host.call_began()
  local ok, sent, why = pcall(send, p, p.wire.request(id, method, params), deadline and timeout)
  local answered
  if ok and sent then ok, answered = pcall(await, w, deadline) end
  if p.pending[id] == w then p.pending[id] = nil end
  p.pending_count = p.pending_count - 1
  if not ok then error(answered or sent, 0) end
  if #conds < CONDS then conds[#conds + 1] = w.cond end -- nobody else knows it any more
  if not sent and not w.done then
    if p.ended or p.closed then return ended(p, op, method) end
    return nil, why
  end
  if began and (w.result ~= nil or w.failure) then core.host.call_ended(began) end
  if w.result ~= nil then return w.result end
  if w.failure then
    local f = w.failure
    return nil, err.fail("ERPC", op, method, shown(f.message), nil, f)
  end
  if sent and not answered then return nil, err.fail("ETIMEDOUT", op, method, "timed out") end
  return ended(p, op, method)
end

--- Tells the other side, which does not answer.
---@param method string
---@param params? table  as for call
---@return true? ok
---@return moonwire.Err? err  ECLOSED, or what sending failed with
function Rpc:notify(method, params)
  local p, op = self.p, "rpc notify"
  check(p, op, method, params)
  if p.over or p.closed then return ended(p, op, method) end
  local sent, why = tell(p, p.wire.notification(method, params))
  if not sent then return nil, why end
  return true
end

local function register(into, op, method, fn)
  if type(method) ~= "string" then return invalid(op, "the method must be a string, got " .. type(method)) end
  if fn ~= nil and type(fn) ~= "function" then return invalid(op, "a function is expected, got " .. type(fn)) end
  into[method] = fn
end

--- `fn(params)` for each notification of that name; those of one peer run one after another, in the order in which they came.
---@param method string
---@param fn? fun(params: any)  nil: no more
---@return moonwire.Rpc self
function Rpc:on(method, fn)
  register(self.p.listeners, "rpc on", method, fn)
  return self
end

--- `fn(params)` answers requests of that name, each in a task of its own: with its result, or with an error when it raises one or
--- returns nil, err. `mw.rpc.fail` names the code of an error. A notification of that name has it called, too, unless `on` knows it.
---@param method string
---@param fn? fun(params: any): any, any  nil: no more
---@return moonwire.Rpc self
function Rpc:handle(method, fn)
  register(self.p.handlers, "rpc handle", method, fn)
  return self
end

---@class moonwire.RpcStats
---@field pending integer   calls of ours that wait for an answer
---@field running integer   handlers
---@field waiting integer   messages that wait for a handler
---@field calls integer     of ours, so far
---@field received integer  messages
---@field failed integer    handlers that raised
---@field refused integer   messages: no request, no such method, too many
---@field ignored integer   notifications that nobody handles
---@field unknown integer   answers to calls that nobody waits for (late ones)

--- Waits until the channel has ended and the last handler is through: true after a clean end or `close`, nil, err otherwise.
---@param opts? moonwire.Timeout
---@return true? ok
---@return moonwire.Err? err  ETIMEDOUT, or what ended the channel
function Rpc:wait(opts)
  local p = self.p
  local timeout = arg.options(opts, { timeout = "duration" }, "rpc wait").timeout
  local deadline = timeout and timeout < math.huge and task.now() + timeout
  while not p.over do
    if not p.finished:wait(deadline and max(deadline - task.now(), 0)) and not p.over then
      return nil, err.fail("ETIMEDOUT", "rpc wait", nil, "timed out")
    end
  end
  if p.why and not p.closed then return nil, p.why end
  return true
end

--- What is, and what was.
---@return moonwire.RpcStats stats
function Rpc:stats()
  local p = self.p
  return {
    pending = p.pending_count, running = p.requests.running + p.notes.running, waiting = held(p.requests) + held(p.notes),
    calls = p.calls, received = p.received, failed = p.failed, refused = p.refused, ignored = p.ignored, unknown = p.unknown,
  }
end

--- Closes the channel (a worker, which is more than one, is left as it is), ends the handlers; calls that wait get ECLOSED. Idempotent.
function Rpc:close()
  local p = self.p
  if p.closed then return end
  p.closed = true
  no_answers(p)
  p.room:wake()
  if p.reader then p.reader:cancel("the rpc was closed") end
  if p.flusher then p.flusher:cancel("the rpc was closed") end
  if p.owned then p.channel:close() end
end
Rpc.__close = Rpc.close

function Rpc:__gc()
  local p = self.p
  if p.closed or p.over then return end
  core.log.write(2, "rpc made at " .. (p.made or "?") .. " was never closed; it was collected (use local x <close> = ...)")
  self:close()
end

function Rpc:__tostring()
  local p = self.p
  return ("rpc (%s, %d pending%s)"):format(p.wire.name, p.pending_count, p.closed and ", closed" or p.ended and ", ended" or "")
end

local function has(v, name)
  local ok, method = pcall(function() return v[name] end)
  return ok and type(method) == "function"
end

local function at_least(o, op, name, least, default)
  local value = o[name] or default
  if value < least then return invalid(op, ('option "%s" must be at least %d'):format(name, least)) end
  return value
end

--- How messages travel: as bytes in frames, as values one behind the other on a stream, or as they are.
local function attach(p, channel, op)
  local kind = type(channel)
  if kind == "userdata" or kind == "table" then
    if has(channel, "framed") and has(channel, "read_some") then
      if not p.wire.values then
        return invalid(op, 'JSON-RPC needs to know where a message ends: stream:framed("content-length") or "lines"')
      end
      p.channel, p.decode, p.raw, p.owned = p.wire.values(channel, p.limits, p.max), nil, true, true
      p.encode = p.wire.encode
      return
    end
    if has(channel, "send") and has(channel, "recv") then
      local framed = has(channel, "views")
      p.channel, p.owned = channel, framed
      if framed and core.stream.batched(channel) then p.urge, p.urgent = task.cond(), false end
      if framed and not core.stream.codec(channel) then p.encode, p.decode = p.wire.encode, p.wire.decode end
      return
    end
  end
  return invalid(op, "a channel is expected (stream:framed(...), a worker, mw.parent), got " .. kind)
end

local function new(wire, channel, options, op)
  local o = arg.options(options, OPTIONS, op)
  local p = {
    wire = wire, concurrent = at_least(o, op, "concurrent", 1, 100), queue = at_least(o, op, "queue", 1, 1000),
    max_pending = at_least(o, op, "max_pending", 1, 1000), timeout = o.timeout,
    max = at_least(o, op, "max", 1, 16 << 20),
    id = 0, pending = {}, pending_count = 0, conds = {}, handlers = {}, listeners = {},
    requests = { first = 1, last = 0, running = 0 }, notes = { first = 1, last = 0, running = 0 },
    room = task.cond(), finished = task.cond(), closed = false, ended = false, over = false, made = err.where(),
    calls = 0, received = 0, failed = 0, refused = 0, ignored = 0, unknown = 0,
  }
  p.limits = core.msgpack.limits({ max_bytes = p.max, max_depth = o.max_depth }, op) -- JSON's reader takes them as well
  attach(p, channel, op)
  local rpc = setmetatable({ p = p }, Rpc)
  p.reader = task.spawn_with({ daemon = true, name = "rpc" }, reader, p)
  if p.urge then p.flusher = task.spawn_with({ daemon = true, name = "rpc flush" }, flusher, p) end
  return rpc
end

--- Calls to the other end of a channel: JSON-RPC 2.0 and MessagePack-RPC. Both sides are alike: each may call, notify, handle.
---
--- ```lua
--- local lsp <close> = mw.rpc.json(child:stream():framed("content-length"))
--- local params = { capabilities = mw.json.object{} }
--- local answer = assert(lsp:call("initialize", params, { timeout = 5 }))
--- lsp:on("textDocument/publishDiagnostics", function(p)
---   print(#p.diagnostics)
--- end)
--- ```
---@class moonwire.rpc
local rpc = {}

--- JSON-RPC 2.0 over a channel: frames, which hold the text (`stream:framed("content-length")` for language servers), channels with
--- `codec = "json"`, workers and mw.parent. It belongs to the calling task's innermost scope and ends with it. Of a channel with `batch`
--- the calls and answers of one turn go together at its end; notifications wait for the batch.
---@param channel moonwire.Channel|moonwire.Worker|moonwire.Parent
---@param options? moonwire.RpcOptions
---@return moonwire.Rpc rpc
function rpc.json(channel, options)
  return new(core.module("moonwire.rpc_json"), channel, options, "rpc.json")
end

--- MessagePack-RPC, likewise; also over a plain stream, where the messages stand one behind the other, as most peers have it.
---@param channel moonwire.Stream|moonwire.Channel|moonwire.Worker|moonwire.Parent
---@param options? moonwire.RpcOptions
---@return moonwire.Rpc rpc
function rpc.msgpack(channel, options)
  return new(core.module("moonwire.rpc_msgpack"), channel, options, "rpc.msgpack")
end

--- In a handler: answers with this error. JSON-RPC's own codes: -32602 invalid params, -32603 internal error; yours are others.
---@param code integer
---@param message string
---@param data? any
function rpc.fail(code, message, data)
  if math.type(code) ~= "integer" or type(message) ~= "string" then
    return invalid("rpc.fail", "a code (an integer) and a message (a string) are expected")
  end
  return err.raise(err.fail("ERPC", "rpc", nil, message, nil, { code = code, message = message, data = data }))
end

return rpc
