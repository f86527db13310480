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

return door
