---@meta
--- The door `core.tls` (host/bind/tls.c), for moonwire.tls.

---@class moonwire.core.tls
local door = {}

--- Makes a context on the thread pool. Waits. Texts are PEM; ca: who may vouch for the peer.
---@param options { server?: boolean, cert?: string, key?: string, key_password?: string, ca?: string, alpn?: string[], min_version?: string, insecure?: boolean, fresh?: boolean, names?: table[] }
---@return userdata? context
---@return moonwire.Err? err  ECERT, ETLS
function door.context(options) end

--- Begins TLS on an open stream, and waits until the handshake is done.
---@param stream moonwire.Stream
---@param context userdata
---@param name? string  a client's: what the certificate must say
---@param port integer
---@param server boolean  what the context is for
---@param timeout number|string
---@return moonwire.Stream? stream
---@return moonwire.Err? err
function door.start(stream, context, name, port, server, timeout) end

--- The host and port that a stream was connected to; nil: none is known.
---@param stream moonwire.Stream
---@return string? host
---@return integer? port
function door.target(stream) end

return door
