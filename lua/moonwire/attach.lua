--- The other end of moonwire.repl_server: what `moonwire attach unix:PATH` runs. It answers what the front asks of a session
--- (host/front/repl) by handing it on to the session in the other host; what that shows, it shows.
---
--- Whether input is complete is decided here, so the front never waits; everything else goes out in order. The other host may be busy or
--- gone: it is told, and Ctrl-C always leaves.
local _, core = ...
local err, task = core.err, core.task
local type, tostring, pcall, setmetatable = type, tostring, pcall, setmetatable
local concat, gsub, format = table.concat, string.gsub, string.format
local say, stderr = print, io.stderr

local VERSION = 1
local PROMPT, MORE = "> ", ">> "
local PATIENCE = 2 -- seconds without an answer: the other host is busy
local LEAVING = 5 -- seconds for it to end the session
local SCREEN = 1 -- and for the front to say what its screen is like
local SPARE = 1024 -- bytes of a message around its text

---@class moonwire.repl.attach
local attach = {}

---@class moonwire.repl.Client
---@field running integer  lines that were sent and are not done
---@field greeted? boolean  the other end has answered, and not with a no
local Client = {}
Client.__index = Client

--- Text of another process for a terminal: it may have colours, and nothing else that moves a cursor.
local function harmless(text)
  text = gsub(text, "[\1\2]", "?")
  text = gsub(text, "\27%[([%d;]*)m", "\1%1\2")
  text = gsub(text, "[%z\3-\8\11-\31\127]", function(c) return format("\\x%02x", c:byte()) end)
  text = gsub(text, "\xc2([\x80-\x9f])", function(c) return format("\\u{%x}", c:byte()) end)
  return (gsub(gsub(text, "\1([%d;]*)\2", "\27[%1m"), "[\1\2]", ""))
end
attach.harmless = harmless

function Client:show(name, text)
  if self.options.terminal then return say(harmless(text)) end
  if name == "out" then return say(text) end
  stderr:write(text, "\n")
end

--- A word of our own.
function Client:note(text)
  if self.options.terminal then return say(text) end
  stderr:write(text, "\n")
end

--- The connection has no more to give.
function Client:finish(code, why)
  if self.code then return end
  self.code = code
  if why then self:note(why) end
  self.changed:wake()
  if self.rpc and not self.ready then self.rpc:close() end -- nobody waits for a hello any more
  if self.connecting then self.connecting:cancel("left") end
end

-- To the other host -----------------------------------------------------------------------------------------------------------------

--- Hands a message to the task that sends: the front's calls never wait.
function Client:send(name, ...)
  self.out[#self.out + 1] = { name, { ... } }
  self.more:wake()
end

function Client:sender()
  while not self.ready do self.changed:wait() end
  while true do
    local message = table.remove(self.out, 1)
    if message then
      if not self.rpc:notify(message[1], message[2]) then return end
    else
      self.more:wait()
    end
  end
end

--- While a line runs: asks whether the other host is there at all, and says so when it is not.
function Client:feel()
  while not self.ready and not self.code do self.changed:wait() end
  while self.running > 0 and not self.code do
    local ok, why = self.rpc:call("ping", {}, { timeout = PATIENCE })
    if not ok and why.code ~= "ETIMEDOUT" then break end
    if not ok and not self.unanswered and not self.code then
      self:note("the host does not answer: it is busy (Ctrl-C leaves it)")
    end
    self.unanswered = not ok
    if ok then task.sleep(PATIENCE) end
  end
  self.unanswered, self.feeling = nil, nil
end

function Client:ask_for_life()
  if self.feeling then return end
  self.feeling = true
  self.scope:spawn_with({ daemon = true, name = "is it there" }, self.feel, self)
end

-- What the front asks -----------------------------------------------------------------------------------------------------------------

--- "more" while the input is not complete, as the session there would say.
local function verdict_of(text)
  local eval = core.module("moonwire.repl_eval")
  local chunks, why = eval.split(text, "=line")
  if not chunks then return why == "more" and "more" or "run" end
  return #chunks == 0 and "empty" or "run"
end

function Client:submit(text)
  if self.code or self.left then return "empty", PROMPT end
  local verdict = verdict_of(text)
  self.unfinished = verdict == "more"
  if verdict == "more" then return "more", MORE end
  if verdict == "empty" then return "empty", PROMPT end
  self.running = self.running + 1
  if #text + SPARE > (self.max or 1 << 20) then
    self.scope:spawn_with({ name = "refused" }, function()
      self:show("err", "the line is longer than the host takes")
      self:done({ id = 0, failed = true })
    end)
    return "run", PROMPT
  end
  self:send("submit", text)
  self:ask_for_life()
  return "run", PROMPT
end

function Client:done(message)
  if self.running > 0 then self.running = self.running - 1 end
  self.failed = message.failed and 1 or 0
  self.emit("repl.done", { id = message.id, failed = message.failed == true, prompt = PROMPT })
end

local function plain(text)
  return type(text) == "string" and #text <= 1000 and utf8.len(text) and not text:find("[%c\x7f]") and not text:find("\xc2[\x80-\x9f]")
    and text or nil
end

--- What the other host offers, as far as it can be shown.
local function shown_completion(found, at)
  local list = core.json.mark({}, "array")
  if type(found) ~= "table" or math.type(found.from) ~= "integer" or type(found.items) ~= "table" then
    return { from = at, items = list }
  end
  for i = 1, math.min(#found.items, 1000) do
    local it = found.items[i]
    local text = type(it) == "table" and plain(it.text)
    if text then list[#list + 1] = { text = text, kind = plain(it.kind), signature = plain(it.signature) } end
  end
  return { from = math.max(0, math.min(found.from, at)), items = list, hint = plain(found.hint) }
end

function Client:complete(text, at)
  self.asked = self.asked + 1
  local id = self.asked
  self.scope:spawn_with({ daemon = true, name = "complete" }, function()
    while not self.ready do self.changed:wait() end
    local found = self.rpc:call("complete", { text, at }, { timeout = PATIENCE })
    self.emit("repl.completed", { id = id, result = shown_completion(found, at) })
  end)
  return { pending = id }
end

--- Ctrl-C. The second one, or the first when nobody is there to hear it, leaves.
function Client:cancel()
  if not self.ready or self.unanswered then
    self:finish(130, "left")
    return true
  end
  if self.running == 0 then return false end
  self:send("cancel")
  self:ask_for_life()
  return true
end

function Client:background()
  if self.running == 0 then return false end
  self:send("background")
  return true
end

function Client:leave()
  if self.left then return end
  self.left = true
  if self.unfinished then self.failed = 1 end
  if not self.ready then return self:finish(0) end
  self:send("leave")
  self.scope:spawn_with({ daemon = true, name = "leaving" }, function()
    task.sleep(LEAVING)
    self:finish(self.options.terminal and 0 or self.failed, nil)
  end)
end

-- From the other host -----------------------------------------------------------------------------------------------------------------

function Client:listen()
  local rpc, held = self.rpc, {}
  local function shown(name)
    return function(params)
      local piece, last = params[1], params[2]
      if type(piece) ~= "string" then return end
      held[#held + 1] = piece
      if last == false then return end
      local text = concat(held)
      held = {}
      self:show(name, text)
    end
  end
  rpc:on("out", shown("out"))
  rpc:on("err", shown("err"))
  rpc:on("clear", function() self.emit("repl.clear", {}) end)
  rpc:on("done", function(params)
    local message = type(params[1]) == "table" and params[1] or {}
    self:done({ id = math.type(message.id) == "integer" and message.id or 0, failed = message.failed })
  end)
  rpc:on("ready", function()
    self.ready = true
    self.changed:wake()
  end)
  rpc:on("exit", function(params)
    local code = math.type(params[1]) == "integer" and params[1] or 1
    self:finish(code >= 0 and code <= 255 and code or 1)
  end)
end

local function refused(address, message, hint)
  return err.fail("ECLOSED", "attach", address, message, hint)
end

--- Says hello; says why not if the other host will not have us.
function Client:greet(address)
  local busy = self.scope:spawn_with({ daemon = true, name = "is it there" }, function()
    task.sleep(PATIENCE)
    self:note("connected, but the host does not answer yet: it is busy (Ctrl-C leaves it)")
  end)
  local hello, why = self.rpc:call("hello", { { version = VERSION, options = self.options } })
  if type(hello) == "table" and hello.version == VERSION and not hello.full then
    self.greeted = true -- one that will not have us closes the connection: what it said before is why
    self.changed:wake()
    while not self.ready and not self.code do self.changed:wait() end
  end
  busy:cancel()
  if self.code then return end
  if not hello then return refused(address, "the host does not speak as a debug endpoint does: " .. tostring(why)) end
  if type(hello) ~= "table" or hello.version ~= VERSION then
    local theirs = type(hello) == "table" and tostring(hello.version) or "?"
    return refused(address, format("the host speaks version %s of this protocol, and we %d", harmless(theirs:sub(1, 20)), VERSION))
  end
  if hello.full then
    return refused(address, "as many are attached as the host lets in", "one of them must leave; repl.listen's option sessions")
  end
  self.max = math.type(hello.max) == "integer" and hello.max or nil
  if self.options.terminal then
    local script = type(hello.script) == "string" and harmless(hello.script):gsub("[\27\n]", "?") or "a host"
    local who = self.who and (" (uid %d, pid %d)"):format(self.who.uid or -1, self.who.pid or -1) or ""
    self:note(("attached to %s%s; what you do is done there, with its rights; Ctrl-D leaves"):format(script, who))
  end
end

--- A client, which takes lines from now on; belongs to the calling task. The front's five functions are its methods.
---@param emit fun(topic: string, message: table)
---@param options? table  terminal, colour, columns
---@return moonwire.repl.Client
function attach.new(emit, options)
  local self = setmetatable({
    emit = function(topic, message) pcall(emit, topic, message) end,
    options = options or {}, running = 0, asked = 0, failed = 0, out = {}, more = task.cond(), changed = task.cond(),
  }, Client)
  self.scope = task.scope()
  return self
end

--- Speaks to the session at the other end of `conn`.
---@param conn moonwire.Stream
---@param address string
---@return moonwire.Err? why  there is none
function Client:join(conn, address)
  self.who = conn:peer() -- root may be at somebody else's
  self.rpc = core.module("moonwire.rpc").msgpack(conn, { max_depth = 16, queue = 10000 })
  self:listen()
  self.scope:spawn_with({ daemon = true, name = "sender" }, self.sender, self)
  self.scope:spawn_with({ daemon = true, name = "the host's end" }, function()
    self.rpc:wait()
    while not self.greeted do self.changed:wait() end
    self:finish(1, "the host has ended, or closed the connection") -- an exit would have been told before
  end)
  return self:greet(address)
end

--- Waits for the end of the session: its exit status.
---@return integer code
function Client:wait()
  while not self.code do self.changed:wait() end
  return self.code
end

function Client:close()
  self.scope:cancel("left")
  self.scope:close()
  if self.rpc then self.rpc:close() end
end
Client.__close = Client.close

--- Sets what is known of the screen; the session learns of it.
function Client:set_options(options)
  if type(options) ~= "table" then return end
  self.told = true
  self.changed:wake()
  for name, value in next, options do self.options[name] = value end
  if self.ready then self:send("options", self.options) end
end

--- Connects; nil and why, or nil alone when the person has left meanwhile.
function Client:connect(address)
  local conn, why
  self.connecting = self.scope:spawn_with({ name = "connect" }, function()
    conn, why = core.net.connect(address, { timeout = 5, idle_timeout = 0, auth = core.auth.own(true) })
  end)
  self.connecting:join()
  self.connecting = nil
  if not conn and why and (why.code == "ENOENT" or why.code == "ECONNREFUSED") then
    why = err.fail(why.code, why.op, why.subject, why.message, "a script opens one with mw.repl.listen, or is run with --debug=unix:PATH; "
      .. "a program around a script, with mw_config_debug")
  elseif not conn and why and why.code == "EAUTH" then
    why = err.fail(why.code, why.op, why.subject, "the one who listens there is neither you nor root")
  end
  return conn, not conn and why or nil
end

--- What the front (host/front/repl.c) asks for, as functions of `mw.host`.
local function serve(host, client)
  local open = {
    host.on("repl.options", function(t) client:set_options(t) end),
    host.handle("repl.submit", function(text) return client:submit(text) end),
    host.handle("repl.complete", function(text, at) return client:complete(text, at) end),
    host.handle("repl.cancel", function() return client:cancel() end),
    host.handle("repl.background", function() return client:background() end),
    host.handle("repl.leave", function() return client:leave() end),
  }
  return setmetatable(open, { __close = function()
    for i = #open, 1, -1 do open[i]:close() end
  end })
end

--- Serves the front until the session ends: what `moonwire attach` starts.
---@param address string
function attach.main(address)
  local host = core.module("moonwire.host")
  local client <close> = attach.new(host.emit)
  local _open <close> = serve(host, client)
  local deadline = task.now() + SCREEN
  while not client.told and task.now() < deadline do client.changed:wait(SCREEN) end
  local conn <close>, why = client:connect(address)
  if conn and not client.code then why = client:join(conn, address) end
  if why then
    client:show("err", (client.options.terminal and "" or "moonwire: ") .. tostring(why))
    client:finish(1)
  end
  host.emit("repl.exit", { code = client:wait() })
end

return attach
