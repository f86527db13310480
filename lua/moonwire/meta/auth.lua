---@meta
--- The door `core.auth` (host/bind/auth.c).

---@class moonwire.core.auth
local door = {}

--- The secrets are copied, and wiped from that copy when nobody uses it any more. Raises EINVAL (length, name, none at all).
---@param options moonwire.HmacOptions
---@return moonwire.Auth
function door.hmac(options) end

---@param options moonwire.PeerOptions
---@return moonwire.Auth
function door.peer(options) end

--- The process at the other end of a Unix socket runs as our own user, or as root. With `reach`, for who connects: nil where we are root,
--- who may talk to anybody's.
---@param reach? boolean
---@return moonwire.Auth?
function door.own(reach) end

return door
