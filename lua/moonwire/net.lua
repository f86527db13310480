--- Sockets: connect, listen, and serving connections with a task each.
--- The C half is bind/net.c; here are retries, and what `serve` does with a connection.
local _, core = ...

local door = core.net
local task = core.task
local tls -- moonwire.tls, once an address needs it
local arg, err = core.arg, core.err

--- Sockets: connect, listen, serve connections with a task each, keep connections for later.
--- Takes a `net` right for the other end (`--allow-net=example.com:443`), or `connect` and `listen` apart.
---
--- An address is a URL, so a script moves between transports by changing a string: `tcp://host:port`, `tls://host:port`,
--- `unix:/path`, `unix:@abstract`, `fd:3`, `stdio:`. Port 0 of a listener picks one; host `*` is every interface; IPv6 stands in
--- brackets, `tcp://[::1]:80`.
---
--- TLS is an address and its options; verification is on, and only `insecure_skip_verify` turns it off. A stream of TLS is a stream like
--- any other, and one that ends without TLS's closing word gives what came and then ETLS, "truncated". OpenSSL is loaded when the first
--- stream of TLS is made, and not before.
---
--- ```lua
--- local server <close> = assert(mw.net.listen("tls://127.0.0.1:8443", {
---   cert = "srv.pem", key = "srv.key", client_ca = "clients.pem",
--- }))
--- local c, err = mw.net.connect("tls://example.com:443")
--- if not c then error(err) end       -- ECERT, ETLS; err.data.reason
--- print(c:tls().version, c:tls().alpn, c:peer().subject)
--- assert(server:reload())            -- certificates anew, for who comes next
--- ```
---
--- A listener with `server_names` shows each client the certificate for the name that it asks for; `conn:tls().server_name` tells which:
---
--- ```lua
--- local sites <close> = assert(mw.net.listen("tls://*:443", {
---   cert = "main.pem", key = "main.key",  -- for other names, and for none
---   server_names = {
---     ["api.example.com"] = { cert = "api.pem", key = "api.key" },
---     ["*.example.com"] = { cert = "any.pem", key = "any.key" },
---   },
--- }))
--- ```
---@class moonwire.net
local net = {}

--- Options of `mw.net.connect`; those of TLS are for `tls://` addresses.
---@class moonwire.ConnectOptions: moonwire.TlsClientOptions
---@field timeout? number|string  for everything together: names, attempts and waits between them; default 60 s
---@field retry? moonwire.RetryOptions  on `nil, err`; never on EAUTH, ECERT, a denial or a cancel
---@field nodelay? boolean  TCP: send small writes at once; default true
---@field idle_timeout? number|string  closed when nothing moved for so long; default 10 min, 0 is off
---@field stall_timeout? number|string  closed when the peer took nothing of what is unsent for so long; default 30 s, 0 is off
---@field auth? moonwire.Auth|moonwire.Auth[]  what the server must prove, and we to it; all of an array
---@field auth_timeout? number|string  for that; default 5 s, at most 60 s

--- How often to try, and how long to wait in between.
---@class moonwire.RetryOptions
---@field attempts? integer  in all; default 3
---@field backoff? (number|string)[]  { first, longest } pause between attempts, doubling; default { 0.1, 2 }
---@field jitter? boolean  half to all of a pause, by chance; default true

--- Options of `mw.net.listen`; those of TLS are for `tls://` addresses.
---@class moonwire.ListenOptions: moonwire.TlsServerOptions
---@field unlink? boolean  Unix: remove a socket of that name that nobody listens on
---@field mode? string  Unix: permission bits of the name in octal, "0600"; default: the umask's
---@field private? boolean  Unix: a path only, in a folder that nobody else can write to; EPERM otherwise
---@field backlog? integer  connections that wait in the kernel; default 4096
---@field reuse? boolean  TCP: take a port whose old connections linger; default true
---@field reuse_port? boolean  TCP: share the port with this user's other listeners that say so, in workers too; default false
---@field max_conns? integer  open at once, the rest waits in the backlog; default 10,000
---@field max_conns_per_peer? integer  of one uid or address, above: closed at once; default 1,024
---@field idle_timeout? number|string  closed when nothing moved for so long; default 10 min, 0 is off
---@field stall_timeout? number|string  closed when the peer took nothing of what is unsent for so long; default 30 s, 0 is off
---@field nodelay? boolean  TCP: send small writes at once; default true
---@field auth? moonwire.Auth|moonwire.Auth[]  what a client must prove before it is accepted; all of an array
---@field auth_timeout? number|string  for that, from the moment it was connected; default 5 s, at most 60 s
---@field max_unauthenticated? integer  connections that have not passed yet, at once; a newcomer displaces one; default 64, TLS alone 1,024

--- Options of `listener:serve`; what `listen` was given may be given here, too.
---@class moonwire.ServeOptions: moonwire.ListenOptions
---@field on_error? "log"|"raise"  a handler's error is logged and counted (default), or ends `serve`

local RETRY = { attempts = "integer", backoff = "table", jitter = "flag" }

---@param v any
---@return integer attempts
---@return number first
---@return number longest
---@return boolean jitter
local function read_retry(v)
  if type(v) ~= "table" then
    err.raise(err.fail("EINVAL", "net connect", nil, 'option "retry" must be a table: { attempts = 5 }, got ' .. type(v)))
  end
  local o = arg.options(v, RETRY, "net connect")
  local attempts, backoff = o.attempts or 3, o.backoff or { 0.1, 2 }
  if attempts < 1 then
    err.raise(err.fail("EINVAL", "net connect", nil, 'option "attempts" must be at least 1'))
  end
  local first = arg.duration(backoff[1], "net connect", 'the first of "backoff"')
  local longest = arg.duration(backoff[2], "net connect", 'the second of "backoff"')
  return attempts, first, longest, o.jitter ~= false
end

--- Connects, again and again as `opts.retry` says.
---@param address string
---@param opts moonwire.ConnectOptions
---@return moonwire.Stream? stream
---@return moonwire.Err? err
local function connect_again(address, opts)
  local attempts, pause, longest, jitter = read_retry(opts.retry)
  local each = {}
  for k, v in next, opts do
    if k ~= "retry" then each[k] = v end
  end
  local left = opts.timeout ~= nil and arg.duration(opts.timeout, "net connect", 'option "timeout"') or 60
  local ends = door.now() + left
  for attempt = 1, attempts do
    each.timeout = math.max(ends - door.now(), 0)
    local stream, why = door.connect(address, each)
    if stream or attempt == attempts or why.code == "EAUTH" or why.code == "ECERT" then return stream, why end
    local wait = jitter and pause * (0.5 + math.random() / 2) or pause
    if door.now() + wait >= ends then
      if why.code == "ETIMEDOUT" then return nil, why end
      return nil, err.fail("ETIMEDOUT", "net connect", address, "timed out", "the last attempt: " .. tostring(why), { last = why })
    end
    task.sleep(wait)
    pause = math.min(pause * 2, longest)
  end
end

local function is_tls(address)
  return type(address) == "string" and address:sub(1, 6) == "tls://"
end

local TLS_ONLY = {
  cert = true, key = true, key_password = true, alpn = true, min_version = true,
  ca = true, server_name = true, insecure_skip_verify = true, resume = true, client_ca = true, server_names = true,
}

--- Without TLS nobody would look at its options: who gives them believes that the connection is safe.
local function plain(address, opts, op)
  if type(opts) ~= "table" then return end
  for key in next, opts do
    if TLS_ONLY[key] then
      return err.raise(err.fail("EINVAL", op, nil, 'option "' .. key .. '" is for tls:// addresses, got "' .. tostring(address) .. '"'))
    end
  end
end

--- The options for the door, TLS made of those that are its. Waits for files and the thread pool.
---@return table? opts  for the door
---@return moonwire.Err? err
---@return table? mine  those of TLS
local function secured(address, opts, server, op)
  tls = tls or core.module("moonwire.tls")
  door.known(opts, server)
  local mine, rest = tls.split(opts, server, op)
  local context, why = tls.context(mine, server, op, address)
  if not context then return nil, why end
  rest._tls_context = context
  if not server then rest._tls_name = mine.server_name or tls.host(address) end
  return rest, nil, mine
end

--- Connects to `address`: tcp://host:port, tls://host:port, unix:/path, unix:@abstract, stdio: (standard input and output), fd:3.
--- The name is held against the rules before it is looked up, each address after, and exactly that one is dialled.
---
--- ```lua
--- local conn <close> = assert(mw.net.connect("tcp://127.0.0.1:8080",
---   { timeout = 2, retry = { attempts = 5 } }))
--- local site <close> = assert(mw.net.connect("tls://example.com:443",
---   { alpn = { "http/1.1" } }))
--- ```
---@param address string
---@param opts? moonwire.ConnectOptions
---@return moonwire.Stream? stream
---@return moonwire.Err? err  ETIMEDOUT, ECONNREFUSED, ENOENT, EAI_NONAME, ...; EAUTH; ECERT, ETLS (err.data.reason)
function net.connect(address, opts)
  if is_tls(address) then
    local o, why = secured(address, opts, false, "net connect")
    if not o then return nil, why end
    opts = o
  else
    plain(address, opts, "net connect")
  end
  if type(opts) ~= "table" or rawget(opts, "retry") == nil then return door.connect(address, opts) end
  return connect_again(address, opts)
end

local served = setmetatable({}, { __mode = "k" }) -- listeners of TLS: the options that made them

--- Listens on `address`: tcp://host:port, tls://host:port (port 0 picks one, host * is every interface), unix:/path, unix:@abstract.
---
--- ```lua
--- local server <close> = assert(mw.net.listen("unix:/run/app.sock",
---   { unlink = true, mode = "0600", idle_timeout = 60 }))
--- local web <close> = assert(mw.net.listen("tls://*:8443",
---   { cert = "srv.pem", key = "srv.key" }))
--- ```
---
--- With `reuse_port = true` several workers or processes listen on one port and each core serves its part (SO_REUSEPORT, socket(7)). What
--- one of them has not accepted when it closes is lost.
---@param address string
---@param opts? moonwire.ListenOptions
---@return moonwire.Listener? listener
---@return moonwire.Err? err  EADDRINUSE, ...; ECERT: certificate and key do not fit
function net.listen(address, opts)
  if not is_tls(address) then
    plain(address, opts, "net listen")
    return door.listen(address, opts)
  end
  local o, why, mine = secured(address, opts, true, "net listen")
  if not o then return nil, why end
  local listener
  listener, why = door.listen(address, o)
  if listener then served[listener] = mine end
  return listener, why
end

--- A pool of connections, kept open between uses: `conns:with(url, function(c) ... end)`, or `conns:acquire(url)`. One whose call
--- failed, that has unread input or unsent bytes, is closed and not lent again.
---
--- ```lua
--- local conns <close> = mw.net.pool{ max = 10, acquire_timeout = 5 }
--- local reply = conns:with("unix:/run/app.sock", function(c)
---   assert(c:write("ping\n"))
---   return c:read("l")
--- end)
--- ```
---@param options? moonwire.ConnectionPoolOptions
---@return moonwire.ConnectionPool pool
function net.pool(options)
  return core.module("moonwire.net_pool").new(options)
end

-- Serving -----------------------------------------------------------------------------------------------------------------

local FAIR = 64 -- connections taken in one go before the handlers run

local function serve_all(scope, listener, fn, raise)
  local taken = 0
  while true do
    local conn, why = listener:accept()
    if not conn then
      if why.code ~= "ECLOSED" then
        scope:cancel("accepting failed")
        return nil, why
      end
      if not door.linger(listener) then scope:cancel("the listener was closed") end
      return true
    end
    door.handle(listener, conn, raise, fn) -- a task, which ends with the connection closed
    taken = taken + 1
    if taken % FAIR == 0 then task.pass() end
  end
end

---@class moonwire.Listener
local Listener = door.methods

--- Loads certificates anew, without a restart: the files that `listen` was given, or others. Connections to come get them; those that
--- are open keep theirs. When something is wrong with the new ones, the old ones stay.
---@param opts? moonwire.TlsServerOptions  what changes
---@return moonwire.Listener? listener
---@return moonwire.Err? err  ECERT: a file is no certificate, or key and certificate do not belong together
function Listener:reload(opts)
  local now = served[self]
  if not now then err.raise(err.fail("EINVAL", "net reload", nil, "only a listener of tls:// has certificates")) end
  if opts ~= nil and type(opts) ~= "table" then
    err.raise(err.fail("EINVAL", "net reload", nil, "options must be a table, got " .. type(opts)))
  end
  while true do
    local mine = {}
    for k, v in next, now do mine[k] = v end
    for k, v in next, opts or {} do mine[k] = v end
    local context, why = tls.context(mine, true, "net reload", self:address())
    if not context then return nil, why end
    if served[self] == now then
      local ok
      ok, why = door.renew(self, context)
      if not ok then return nil, why end
      served[self] = mine
      return self
    end
    now = served[self] -- another task was faster: what it changed stays
  end
end

--- Calls `fn(stream)` for each connection, in a task and a scope of its own; the connection is closed when `fn` ends or
--- fails. Waits until the listener is closed (handlers that still run are cancelled) or drained (they end by themselves). A handler's
--- error ends its connection, is logged and counted, and disturbs nobody else.
---
--- ```lua
--- mw.task.spawn_with({ daemon = true }, server.serve, server, function(conn)
---   for line in conn:lines() do conn:write("got ", line, "\n") end
--- end)
--- ```
---@param fn fun(stream: moonwire.Stream)
---@param opts? moonwire.ServeOptions
---@return true? ok
---@return moonwire.Err? err  set when accepting failed
function Listener:serve(fn, opts)
  local raise = door.configure(self, opts)
  if type(fn) ~= "function" then
    err.raise(err.fail("EINVAL", "net serve", nil, "the handler must be a function, got " .. type(fn)))
  end
  return task.scope(serve_all, self, fn, raise)
end

return net
