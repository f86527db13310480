--- TLS for moonwire.net and for streams: options, files, and the contexts that connections share.
--- The C half is bind/tls.c. Knows: core. Not for scripts: they meet it as options of connect and listen, and as stream:starttls.
local _, core = ...

local door, arg, err = core.tls, core.arg, core.err

local tls = {}

--- What both ends of TLS may say. Certificates and keys are PEM, as text or as the path of a file that the script may read; DER and
--- PKCS#12 are not taken: `openssl x509 -inform der`, `openssl pkey -inform der` and `openssl pkcs12 -nodes` make PEM of them.
---@class moonwire.TlsOptions
---@field cert? string  our certificate and those between it and its authority: PEM text, or the path of a file
---@field key? string  its private key: PEM text, or the path of a file
---@field key_password? string  of an encrypted key
---@field alpn? string[]  protocols to agree on, best first; at most 64
---@field min_version? "1.2"|"1.3"  default "1.2"

--- Of the connecting end. The server's certificate is verified unless `insecure_skip_verify` says otherwise.
---@class moonwire.TlsClientOptions: moonwire.TlsOptions
---@field ca? string  authorities to believe: PEM text, or the path of a file; default: the system's. Lists of revoked ones may be in it
---@field server_name? string  what the certificate must say; default: the host of the address
---@field insecure_skip_verify? boolean  believe anybody: the peer may be anyone, and so may who listens in
---@field resume? boolean  take up sessions of earlier connections: default true

--- Of the listening end, which needs `cert` and `key`.
---@class moonwire.TlsServerOptions: moonwire.TlsOptions
---@field client_ca? string  clients must have a certificate of these authorities: PEM text, or the path of a file
---@field server_names? table<string, moonwire.TlsCertificate>  certificates by the name that a client asks for; at most 1,024

--- A certificate of `server_names`: for one name, "www.example.com", or, as "*.example.com", for every name with one more label before it
--- that has none of its own. Who asks for another name, or for none, gets `cert`; where there is no `cert`, it is refused.
---@class moonwire.TlsCertificate
---@field cert string  and those between it and its authority: PEM text, or the path of a file
---@field key string  its private key: PEM text, or the path of a file
---@field key_password? string  of an encrypted key

local CLIENT = {
  cert = "string", key = "string", key_password = "text", alpn = "table", min_version = "text",
  ca = "string", server_name = "text", insecure_skip_verify = "flag", resume = "flag",
}
local SERVER = {
  cert = "string", key = "string", key_password = "text", alpn = "table", min_version = "text", client_ca = "string",
  server_names = "table",
}
local NAMED = { cert = "string", key = "string", key_password = "text" }

local FILE = 1 << 20    -- bytes of a file of certificates
local CONTEXTS = 32     -- contexts kept, and with them their sessions
local KEPT = 4 << 20    -- bytes of what they were made of; one is kept whatever its size
local NAMES = 1024      -- names with a certificate of their own
local STALE = 600       -- seconds; then the system's authorities are read anew
local HANDSHAKE = 10    -- seconds

local function wrong(op, text)
  err.raise(err.fail("EINVAL", op, nil, text))
end

--- Takes the options of TLS out of `opts`.
---@param opts any
---@param server boolean
---@param op string
---@return table mine
---@return table rest  options of the connection
function tls.split(opts, server, op)
  if opts ~= nil and type(opts) ~= "table" then wrong(op, "options must be a table, got " .. type(opts)) end
  local known, other = server and SERVER or CLIENT, server and CLIENT or SERVER
  local mine, rest = {}, {}
  for k, v in next, opts or {} do
    if known[k] == nil and other[k] == nil then rest[k] = v else mine[k] = v end
  end
  return mine, rest
end

--- The host of an address, as a certificate names it. (What is no address the door refuses.)
---@param address string
---@return string?
function tls.host(address)
  return address:match("^tls://%[(.-)%]:%d+$") or address:match("^tls://(.-):%d+$")
end

--- PEM text, from a file where `v` is a path. name: of the option.
local function text_of(v, op, name)
  if v == nil or v:find("-----BEGIN", 1, true) then return v end
  if v == "" or v:find "[%z\n]" then
    wrong(op, ('option "%s" must be PEM text ("-----BEGIN ...") or the path of a file that holds such'):format(name))
  end
  local text, why = core.fs.read(v, { max = FILE })
  if not text then return nil, why end
  if not text:find("-----BEGIN", 1, true) then
    local hint = text:byte() == 0x30 and "it may be DER or PKCS#12: openssl's x509, pkey and pkcs12 make PEM of these" or nil
    return nil, err.fail("ECERT", op, v, 'no PEM: it holds no "-----BEGIN"', hint, { reason = "no PEM" })
  end
  return text
end

--- A name as clients ask for it: in lower case, no dot at its end.
local function server_name(name, op)
  local plain = type(name) == "string" and name:lower():gsub("%.$", "") or ""
  local rest = plain:gsub("^%*%.", "")
  local good = #plain <= 253 and (rest .. "."):gsub("[a-z0-9_-]+%.", "") == "" and rest ~= ""
  for label in rest:gmatch "[^.]+" do good = good and #label <= 63 end
  local address = rest:find "^[%d.]+$" or rest:find(":", 1, true)
  if good and not address then return plain end
  local help = address and ' (nobody asks for an address: who connects to one gets "cert")'
    or plain:find "[\x80-\xff]" and " (write it in ASCII, as xn--...)" or ""
  wrong(op, ('option "server_names": a name is "www.example.com" or "*.example.com", got "%s"%s'):format(tostring(name):sub(1, 80), help))
end

--- The names of a server with what they show: in order, each once.
local function names_of(all, op)
  local list, seen = {}, {}
  for name, pair in next, all do
    local n = server_name(name, op)
    if seen[n] then wrong(op, ('option "server_names": "%s" is there twice'):format(n)) end
    if type(pair) ~= "table" then wrong(op, ('option "server_names": "%s" must be { cert = , key = }, got %s'):format(n, type(pair))) end
    local o = arg.options(pair, NAMED, op)
    if not o.cert or not o.key then wrong(op, ('option "server_names": cert and key of "%s" go together'):format(n)) end
    seen[n], o.name, list[#list + 1] = true, n, o
  end
  if #list > NAMES then wrong(op, ('option "server_names": %d are too many, at most %d'):format(#list, NAMES)) end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

local function checked(opts, server, op)
  local o = arg.options(opts, server and SERVER or CLIENT, op)
  if (o.cert == nil) ~= (o.key == nil) then wrong(op, "cert and key go together") end
  if o.key_password and not o.key then wrong(op, "key_password goes with cert and key") end
  if o.server_names then o.names = names_of(o.server_names, op) end
  if server and not o.cert and #(o.names or {}) == 0 then wrong(op, "cert and key are needed: a server shows its certificate") end
  return o
end

--- What the door makes a context of: the files read. Waits.
---@param o table  checked options
---@param server boolean
---@param op string
---@return table? texts
---@return moonwire.Err? err
local function read(o, server, op)
  local c = {
    server = server, key_password = o.key_password, alpn = o.alpn, min_version = o.min_version, insecure = o.insecure_skip_verify,
    fresh = o.resume == false,
  }
  for to, from in next, { cert = "cert", key = "key", ca = server and "client_ca" or "ca" } do
    local text, why = text_of(o[from], op, from)
    if why then return nil, why end
    c[to] = text
  end
  for i, named in ipairs(o.names or {}) do
    local cert, key, why
    cert, why = text_of(named.cert, op, "server_names." .. named.name .. ".cert")
    if not cert then return nil, why end
    key, why = text_of(named.key, op, "server_names." .. named.name .. ".key")
    if not key then return nil, why end
    c.names = c.names or {}
    c.names[i] = { name = named.name, cert = cert, key = key, key_password = named.key_password }
  end
  return c
end

-- Contexts by all that makes them: the connections of one can resume each other's sessions.
local kept, order, held = {}, {}, 0

local function name_of(c)
  local parts = { tostring(c.server), tostring(c.insecure), tostring(c.fresh), tostring(c.min_version),
    c.key_password and "=" .. tostring(c.key_password) or "" }
  for _, v in ipairs(c.alpn or {}) do parts[#parts + 1] = tostring(v) end
  for _, k in ipairs { "cert", "key", "ca" } do parts[#parts + 1] = k .. (c[k] or "") end
  for _, n in ipairs(c.names or {}) do
    for _, k in ipairs { "name", "cert", "key", "key_password" } do parts[#parts + 1] = k .. (n[k] or "") end
  end
  for i, v in ipairs(parts) do parts[i] = #v .. ":" .. v end
  return table.concat(parts)
end

--- A context for these options, shared with others of the same options and files. Waits.
---@param opts table
---@param server boolean
---@param op string
---@param subject? string  whose it is, for errors
---@return userdata? context
---@return moonwire.Err? err
function tls.context(opts, server, op, subject)
  local c, why = read(checked(opts, server, op), server, op)
  if not c then return nil, why end
  local name, now = name_of(c), core.net.now()
  local found = kept[name]
  if found and (server or c.ca or now - found.made < STALE) then return found.context end
  local context
  context, why = door.context(c)
  if not context then return nil, err.fail(why.code, op, subject, why.message, why.hint, why.data) end
  if not kept[name] then
    order[#order + 1] = name
    held = held + #name
    while #order > CONTEXTS or (held > KEPT and #order > 1) do
      local oldest = table.remove(order, 1)
      kept[oldest], held = nil, held - #oldest
    end
  end
  kept[name] = { context = context, made = now }
  return context
end

--- stream:starttls(options)
function tls.starttls(stream, options)
  local op = "stream starttls"
  if options ~= nil and type(options) ~= "table" then wrong(op, "options must be a table, got " .. type(options)) end
  local mine, server, timeout = {}, false, HANDSHAKE
  for k, v in next, options or {} do
    if k == "server" then
      if type(v) ~= "boolean" then wrong(op, 'option "server" must be true or false, got ' .. type(v)) end
      server = v
    elseif k == "timeout" then
      timeout = arg.duration(v, op, 'option "timeout"')
    else
      mine[k] = v
    end
  end
  local host, port = door.target(stream)
  local name = mine.server_name or host
  if not server and not name and not mine.insecure_skip_verify then
    wrong(op, "server_name is needed: nothing says whom the certificate is to name")
  end
  local context, why = tls.context(mine, server, op, host)
  if not context then return nil, why end
  return door.start(stream, context, not server and name or nil, port or 0, server, timeout)
end

return tls
