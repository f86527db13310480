--- The prompt for others: a debug endpoint inside this host, which `moonwire attach` opens. Every peer has a session of its own.
---
--- What a peer types runs in this host, with the rights of this host: an endpoint is opened only where somebody asks for it, on a Unix
--- socket of mode 0600 in a folder that nobody else can write to, and the kernel tells who connects: our own user or root, all others
--- are shut out before a byte of theirs is read. Messages are MessagePack-RPC and bounded; what is none ends that connection.
local _, core = ...
local err, task, arg, log = core.err, core.task, core.arg, core.log
local net = core.module("moonwire.net") -- gives listeners their serve
local type, tostring, pcall, select, setmetatable = type, tostring, pcall, select, setmetatable
local min, max, concat = math.min, math.max, table.concat
local sub, format = string.sub, string.format
local now = core.sys.now

local VERSION = 1
local HELLO = 5 -- seconds for the first message
local PIECE = 65536 -- bytes of output in one message
local LINES = 64 -- that wait for the one that runs
local WAITING = 4 -- connections beyond the sessions, to tell them so

---@class moonwire.ReplOptions
---@field sessions? integer             peers at the same time; default 4
---@field idle_timeout? number|string   a session in which nothing runs and nothing was typed for so long is ended; default "1h"
---@field max_message? integer|string   bytes of what a peer sends at once; default "1MiB"

local OPTIONS = { sessions = "integer", idle_timeout = "duration", max_message = "size" }

--- A prompt inside this script for people who debug it: `moonwire attach unix:PATH`. Never open by itself.
---
--- ```lua
--- local endpoint <close> = assert(mw.repl.listen("unix:/run/app/debug"))
--- ```
---@class moonwire.prompt
local server = {}

-- One peer ------------------------------------------------------------------------------------------------------------------------

---@class moonwire.repl.Peer
---@field conn moonwire.Stream
---@field rpc moonwire.Rpc
---@field o table                  the endpoint's options
---@field session? moonwire.Session
---@field last number              when it did something last
local Peer = {}
Peer.__index = Peer

--- Tells the peer; false when it is not there any more.
function Peer:tell(name, ...)
  local ok, sent = pcall(self.rpc.notify, self.rpc, name, { ... })
  return ok and sent
end

--- Text in messages of a bounded size. UTF-8 may be cut: the other end joins it.
function Peer:show(name, text)
  for from = 1, max(#text, 1), PIECE do
    local last = from + PIECE > #text
    if not self:tell(name, sub(text, from, from + PIECE - 1), last) then return end
  end
end

local function printed(peer)
  return function(...)
    local parts = {}
    for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
    peer:show("out", concat(parts, "\t"))
  end
end

local function text_at(params, i)
  local text = type(params) == "table" and params[i]
  return type(text) == "string" and text or nil
end

--- Only what is known of a screen, and in its bounds.
local function screen(t)
  if type(t) ~= "table" then return {} end
  local columns = math.type(t.columns) == "integer" and min(max(t.columns, 20), 10000) or nil
  return { terminal = t.terminal == true, colour = t.colour == true, columns = columns }
end

function Peer:open(params)
  local hello = type(params) == "table" and params[1]
  if self.session or self.refused then return nil, err.fail("EINVAL", "attach", nil, "hello was said before") end
  if type(hello) ~= "table" or hello.version ~= VERSION then
    self.refused = "version"
    self.changed:wake()
    return { version = VERSION }
  end
  if self.place.sessions >= self.o.sessions then
    self.refused = "full"
    self.changed:wake()
    return { version = VERSION, full = self.o.sessions }
  end
  self.place.sessions = self.place.sessions + 1
  self.counted = true
  self.hello = hello
  self.changed:wake()
  return { version = VERSION, max = self.o.max_message, script = core.host.script_path }
end

function Peer:submit(params)
  local text = text_at(params, 1)
  if not text then return end
  local ok, verdict = false, "too many lines wait for the one that runs"
  if #self.session.queue < LINES then ok, verdict = pcall(self.session.submit, self.session, text) end
  if ok and verdict == "run" then return end
  if not ok then
    self:show("err", tostring(verdict))
  elseif verdict == "more" then
    self:show("err", "the input is not complete")
  end
  self:tell("done", { id = 0, failed = not ok or verdict == "more" })
end

function Peer:complete(params)
  local text, at = text_at(params, 1), type(params) == "table" and params[2]
  if not text or math.type(at) ~= "integer" then return nil, err.fail("EINVAL", "attach", nil, "a text and a place in it are expected") end
  local found = self.session:complete(text, at)
  return {
    from = found.from, rest = found.rest, hint = found.hint, items = core.json.mark(found.items, "array"),
  }
end

--- What a peer may say; nothing before its hello.
function Peer:listen()
  local rpc = self.rpc
  local function with_session(f)
    return function(params)
      if not self.session then return nil, err.fail("EINVAL", "attach", nil, "say hello first") end
      self.last = now()
      return f(params)
    end
  end
  rpc:handle("hello", function(params) return self:open(params) end)
  rpc:handle("ping", function() return true end)
  rpc:handle("complete", with_session(function(params) return self:complete(params) end))
  rpc:on("submit", with_session(function(params) self:submit(params) end))
  rpc:on("cancel", with_session(function() self.session:cancel() end))
  rpc:on("background", with_session(function() self.session:background() end))
  rpc:on("options", with_session(function(params) self.session:set_options(screen(params[1])) end))
  rpc:on("leave", with_session(function() self.session:leave() end))
end

--- Ends a session that is forgotten.
function Peer:watch()
  local idle = self.o.idle_timeout
  while true do
    if self.session.foreground then self.last = now() end
    local left = self.last + idle - now()
    if left <= 0 then
      self:show("err", "the session was idle for too long, and is ended")
      return self.session:leave(1)
    end
    task.sleep(min(max(left, 0.05), 60))
  end
end

function Peer:converse()
  local repl = core.module("moonwire.repl")
  local locals = { print = printed(self) }
  local session <close> = repl.new {
    out = function(text) self:show("out", text) end,
    err = function(text) self:show("err", text) end,
    emit = function(topic, message)
      if topic == "repl.done" then self:tell("done", { id = message.id, failed = message.failed == true }) end
      if topic == "repl.clear" then self:tell("clear") end
    end,
    options = screen(self.hello.options), locals = locals,
  }
  self.session = session
  self.last = now()
  self:tell("ready")
  if self.over then return end
  if self.o.idle_timeout < math.huge then task.spawn_with({ daemon = true, name = "idle limit" }, self.watch, self) end
  local code = session:wait()
  self:tell("exit", code)
  pcall(self.conn.flush, self.conn, { timeout = 2 })
end

local function attend(conn, place, o)
  local peer = setmetatable({ conn = conn, o = o, place = place, changed = task.cond(), last = now() }, Peer)
  local _counted <close> = setmetatable({}, { __close = function()
    if peer.counted then place.sessions = place.sessions - 1 end
  end })
  local rpc <close> = core.module("moonwire.rpc").msgpack(conn, {
    max = o.max_message, max_depth = 16, concurrent = 4, queue = 64, max_pending = 4,
  })
  peer.rpc = rpc
  peer:listen()
  task.spawn_with({ daemon = true, name = "the peer's end" }, function()
    rpc:wait()
    peer.over = true
    peer.changed:wake()
    if peer.session then peer.session:leave(0) end
  end)
  local deadline = now() + HELLO
  while not peer.hello and not peer.refused and not peer.over do
    if not peer.changed:wait(max(deadline - now(), 0)) and now() >= deadline then return end
  end
  if not peer.hello then
    pcall(conn.flush, conn, { timeout = 2 })
    return
  end
  local who = conn:peer() or {}
  log.write(1, format("attached: uid %s, pid %s", tostring(who.uid), tostring(who.pid)))
  peer:converse()
  log.write(1, format("detached: uid %s, pid %s", tostring(who.uid), tostring(who.pid)))
end

-- The endpoint --------------------------------------------------------------------------------------------------------------------

--- A debug endpoint. It ends with the scope that it was opened in, and with the script.
---@class moonwire.ReplEndpoint
---@field private p table
local Endpoint = { __name = "repl endpoint", __metatable = false }
Endpoint.__index = Endpoint

--- Its address, as `moonwire attach` takes it.
---@return string
function Endpoint:address()
  return self.p.listener:address()
end

--- How many peers are attached.
---@return integer
function Endpoint:sessions()
  return self.p.place.sessions
end

--- Takes no more peers and ends the sessions of those that are there. Idempotent.
function Endpoint:close()
  self.p.listener:close()
end
Endpoint.__close = Endpoint.close

function Endpoint:__tostring()
  return "repl endpoint (" .. self:address() .. ")"
end

local function read_options(opts)
  local o = arg.options(opts, OPTIONS, "repl.listen")
  o.sessions, o.idle_timeout, o.max_message = o.sessions or 4, o.idle_timeout or 3600, o.max_message or 1 << 20
  if o.sessions < 1 or o.sessions > 1000 then
    err.raise(err.fail("EINVAL", "repl.listen", nil, 'option "sessions" must be from 1 to 1,000'))
  end
  if o.max_message < 1024 then err.raise(err.fail("EINVAL", "repl.listen", nil, 'option "max_message" must be at least 1KiB')) end
  return o
end

--- Serves a listener whose peers are proved, until it is closed.
local function serve(listener, o, place)
  return task.scope(function()
    core.policy.unasked() -- who is attached is not who sits at the host's terminal
    local conns = o.sessions + WAITING
    local _, why = listener:serve(function(conn) attend(conn, place, o) end, {
      max_conns = conns, max_conns_per_peer = conns, idle_timeout = 0,
    })
    if why then log.write(3, "debug endpoint: " .. tostring(why)) end
  end)
end

--- Opens a debug endpoint: `moonwire attach unix:/run/user/1000/app.sock` is then a prompt in this script. Who attaches may do what this
--- script may. Needs the right to listen there (--allow-listen=unix:PATH). Only unix:/path; the folder must be one that nobody else can
--- write to (EPERM), the socket is made with mode 0600, and only this user and root are let in. A socket of that name that nobody
--- listens on is replaced. A right that is missing is denied: nobody is asked at the host's terminal. What a line has started ends with
--- its session; `print` on a line shows at the peer, the script's own prints stay where they were.
---@param address string  "unix:/path"
---@param opts? moonwire.ReplOptions
---@return moonwire.ReplEndpoint? endpoint
---@return moonwire.Err? err
function server.listen(address, opts)
  local o = read_options(opts)
  if type(address) ~= "string" or sub(address, 1, 5) ~= "unix:" then
    local subject = type(address) == "string" and address or nil
    err.raise(err.fail("EINVAL", "repl.listen", subject, "only unix:/path: the kernel must tell who connects"))
  end
  local listener, why = net.listen(address, {
    private = true, mode = "0600", unlink = true, auth = core.auth.own(), auth_timeout = 5,
  })
  if not listener then return nil, why end
  local place = { sessions = 0 }
  task.spawn_with({ daemon = true, name = "debug endpoint" }, serve, listener, o, place)
  return setmetatable({ p = { listener = listener, place = place } }, Endpoint)
end

--- For `moonwire run --debug=unix:PATH`: serves the listener that the program has opened.
function server.main()
  local listener = core.net.given{ auth = core.auth.own(), auth_timeout = 5 }
  if listener then serve(listener, read_options(nil), { sessions = 0 }) end
end

return server
