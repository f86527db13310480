--- Authentication of connections: objects for the option `auth` of listen, serve and connect.
--- The C half is bind/auth.c; the protocol is told in host/wire/auth.h.
local _, core = ...

local door = core.auth

--- Authentication of connections: objects for the option `auth` of listen, serve and connect. Connections are given to nobody before
--- they have proved who they are; who fails, dawdles or talks something else costs a socket for `auth_timeout` at most.
---
--- With `hmac` both ends prove a secret, which is never sent; on TLS the proof holds for that one session. Without TLS it says who is there
--- at the beginning, and somebody on the way can still read and change what follows. A server may know several secrets, or one for each
--- client. With `peer` the kernel says who is at the other end of a Unix socket. The protocol is five small messages, written down in
--- host/wire/auth.h.
---
--- ```lua
--- local alice, bob = mw.random.bytes(32), mw.random.bytes(32)
--- local server <close> = assert(mw.net.listen("tcp://127.0.0.1:0", {
---   auth = mw.auth.hmac{ secrets = { alice = alice, bob = bob } },
---   max_conns_per_peer = 8,
--- }))
--- mw.task.spawn_with({ daemon = true }, server.serve, server, function(conn)
---   conn:write("hello, ", conn:peer().identity, "\n")
--- end)
--- local who = mw.auth.hmac{ secret = alice, identity = "alice" }
--- local client <close> = assert(mw.net.connect(server:address(), {
---   auth = who,                                    -- a wrong one: nil, EAUTH
--- }))
--- print(client:read("l"))                          -- hello, alice
--- ```
---@class moonwire.auth
local auth = {}

--- What `mw.auth.hmac` and `mw.auth.peer` give, for the option `auth`. Prints as "auth (hmac)"; never shows a secret.
---@class moonwire.Auth

---@class moonwire.HmacOptions
---@field secret? string|string[]  16 bytes or more, better 32 random ones; a server may have a new and an old one, a client uses the first
---@field secrets? table<string, string|string[]>  server: by the client's identity, which then is `conn:peer().identity`
---@field identity? string  client: its name, 1 to 64 printable characters without spaces

---@class moonwire.PeerOptions
---@field uid? integer|integer[]  the process at the other end runs as one of these
---@field gid? integer|integer[]  its group is one of these
---@field pid? integer|integer[]  its number is one of these

--- A shared secret, proved by both ends and never sent; bound to the channel on TLS. Without TLS it says who is there at the
--- beginning, and somebody on the way can still read and change what follows. Raises EINVAL on bad options. Who fails gets EAUTH.
---
--- ```lua
--- local server = assert(mw.net.listen("tcp://127.0.0.1:8081", {
---   auth = mw.auth.hmac{ secrets = { alice = key, bob = { new, old } } } }))
--- local conn, err = mw.net.connect("tcp://127.0.0.1:8081", {
---   auth = mw.auth.hmac{ secret = key, identity = "alice" } })
--- ```
---@param options moonwire.HmacOptions
---@return moonwire.Auth auth
function auth.hmac(options)
  return door.hmac(options)
end

--- What the kernel says of the process at the other end of a Unix socket: one of each list that is given. Raises EINVAL on bad options.
---
--- ```lua
--- mw.net.listen("unix:/run/x.sock",
---   { auth = mw.auth.peer{ uid = { 0, 1000 } } })
--- ```
---@param options moonwire.PeerOptions
---@return moonwire.Auth auth
function auth.peer(options)
  return door.peer(options)
end

return auth
