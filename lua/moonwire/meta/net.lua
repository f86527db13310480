---@meta
--- The door `core.net` (host/bind/net.c) and the listener's methods in C.

--- What `mw.net.listen` gives: take connections one by one with `accept`, or all of them with `serve`.
---
--- ```lua
--- local server <close> = assert(mw.net.listen("tcp://127.0.0.1:0"))
--- print(server:address())
--- server:serve(function(conn)
---   for line in conn:lines{ max = "64KiB" } do
---     assert(conn:write("got ", line, "\n"))
---   end
--- end)
--- ```
---@class moonwire.Listener
local Listener = {}

--- Takes one connection.
---@param opts? moonwire.Timeout
---@return moonwire.Stream? stream
---@return moonwire.Err? err  ETIMEDOUT, ECLOSED, or what the system says
function Listener:accept(opts) end

--- An address that `connect` accepts: the port that was picked, loopback for a listener on every interface.
---@return string url
function Listener:address() end

--- What is, and what was.
---@return moonwire.ListenerStats stats
function Listener:stats() end

---@class moonwire.ListenerStats
---@field accepted integer         connections so far
---@field open integer             now
---@field limited integer          closed for max_conns_per_peer
---@field dropped integer          closed because no descriptor or memory was left
---@field idle integer             closed because nothing moved for idle_timeout
---@field failed integer           handlers that raised
---@field unauthenticated integer  have not proved who they are yet, now
---@field refused integer          proved nothing, or something else
---@field timed_out integer        did not prove it within auth_timeout
---@field displaced integer        made room for newcomers (max_unauthenticated)

--- Takes no more connections and waits until those that are open have ended.
---@param opts? moonwire.Timeout
---@return true? ok
---@return moonwire.Err? err  ETIMEDOUT
function Listener:drain(opts) end

--- Takes no more connections; `serve` cancels its handlers and returns. Safe to repeat.
function Listener:close() end

---@class moonwire.Connection
local Connection = {}

--- Gives it back to its pool, which closes it when it cannot be used again. May be repeated; afterwards every call answers ECLOSED. Also
--- `local c <close> = ...`: when an error is on its way the connection is closed.
---@return true ok
function Connection:close() end

---@class moonwire.core.net
---@field methods moonwire.Listener  the methods of every listener
local door = {}

---@param address string
---@param opts? moonwire.ConnectOptions  without `retry`
---@return moonwire.Stream? stream
---@return moonwire.Err? err
function door.connect(address, opts) end

---@param address string
---@param opts? moonwire.ListenOptions
---@return moonwire.Listener? listener
---@return moonwire.Err? err
function door.listen(address, opts) end

--- The listener on the socket that the program was told to open (`--debug`); nil when there is none, or it was taken before.
---@param opts moonwire.ListenOptions
---@return moonwire.Listener? listener
---@return moonwire.Err? err
function door.given(opts) end

--- Raises where an option of `connect` or `listen`, those of TLS included, is none.
---@param opts any
---@param server boolean  those of `listen`
function door.known(opts, server) end

--- Sets what `serve` was given; says whether a handler's error is to be raised.
---@param listener moonwire.Listener
---@param opts? moonwire.ServeOptions
---@return boolean raise
function door.configure(listener, opts) end

--- Waits until a draining listener has no connection left. False: it was closed.
---@param listener moonwire.Listener
---@return boolean drained
function door.linger(listener) end

--- Starts a task for a connection's whole life: `fn(stream)` in a scope of its own, then the end of the connection. An error is
--- counted and logged, or raised.
---@param listener moonwire.Listener
---@param stream moonwire.Stream
---@param raise boolean
---@param fn fun(stream: moonwire.Stream)
function door.handle(listener, stream, raise, fn) end

--- Certificates for connections to come.
---@param listener moonwire.Listener
---@param context userdata
---@return true? ok
---@return moonwire.Err? err  ECLOSED
function door.renew(listener, context) end

--- Monotonic seconds, for deadlines over several attempts.
---@return number
function door.now() end

return door
