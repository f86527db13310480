--- Authentication of connections: objects for the option `auth` of listen, serve and connect.
--- The C half is bind/auth.c; the protocol is told in host/wire/auth.h.
local _, core = ...

local door = core.auth

--- Authentication of connections: objects for the option `auth` of listen, serve and connect. Connections are given to nobody before
--- they have proved who they are.
---@class moonwire.auth
local auth = {}

---@class moonwire.Auth  prints as "auth (hmac)"; never shows a secret

---@class moonwire.HmacOptions
---@field secret? string|string[]  16 bytes or more, better 32 random ones; a server may have a new and an old one, a client uses the first
---@field secrets? table<string, string|string[]>  server: by the client's identity, which then is `conn:peer().identity`
---@field identity? string  client: its name, 1 to 64 printable characters without spaces

---@class moonwire.PeerOptions
---@field uid? integer|integer[]  the process at the other end runs as one of these
---@field gid? integer|integer[]
---@field pid? integer|integer[]

--- A shared secret, proved by both ends and never sent; bound to the channel on TLS. Raises on bad options.
---@param options moonwire.HmacOptions
---@return moonwire.Auth
function auth.hmac(options)
  return door.hmac(options)
end

--- What the kernel says of the process at the other end of a Unix socket: one of each list that is given. Raises on bad options.
---@param options moonwire.PeerOptions
---@return moonwire.Auth
function auth.peer(options)
  return door.peer(options)
end

return auth
