-- TLS: an authority of our own, made on the spot; a wrong authority and a wrong name are refused; both ends know who the other is.
-- rights: --allow-run=openssl --allow-net=127.0.0.1,localhost --allow-read=/tmp --allow-write=/tmp
local mw = require "moonwire"

local dir <close> = assert(mw.fs.tempdir())
local function at(name) return dir.path .. "/" .. name end

local function openssl(...)
  local args = { "openssl", ... }
  args.check, args.timeout = true, 20
  mw.process.run(args)
end

mw.fs.write(at "req.cnf", "[req]\ndistinguished_name = dn\nprompt = no\n[dn]\nCN = nobody\n"
  .. "[ca]\nbasicConstraints = critical,CA:TRUE\n[client]\nsubjectAltName = email:alice@example.org\n"
  .. "[server]\nsubjectAltName = DNS:localhost,IP:127.0.0.1\n")

local function authority(name)
  openssl("req", "-x509", "-config", at "req.cnf", "-extensions", "ca", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
    "-days", "1", "-subj", "/CN=" .. name, "-keyout", at(name .. ".key"), "-out", at(name .. ".pem"))
end
local function certificate(name, kind)
  openssl("req", "-new", "-config", at "req.cnf", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" .. name,
    "-keyout", at(name .. ".key"), "-out", at(name .. ".csr"))
  openssl("x509", "-req", "-in", at(name .. ".csr"), "-CA", at "ours.pem", "-CAkey", at "ours.key", "-set_serial", "1", "-days", "1",
    "-extfile", at "req.cnf", "-extensions", kind, "-out", at(name .. ".pem"))
end
authority "ours"
authority "theirs"
certificate("server", "server")
certificate("alice", "client")

local server <close> = assert(mw.net.listen("tls://127.0.0.1:0", { cert = at "server.pem", key = at "server.key", alpn = { "greeting" } }))
mw.task.spawn_with({ daemon = true }, server.serve, server, function(conn)
  for line in conn:lines() do conn:write("hello, ", line, "\n") end
end)

do
  local conn <close> = assert(mw.net.connect(server:address(), { ca = at "ours.pem", alpn = { "greeting" } }))
  assert(conn:write "world\n")
  print(conn:read "l")
  local it = conn:tls()
  print(it.version, it.alpn, conn:peer().subject, it.resumed)
end
do
  local conn <close> = assert(mw.net.connect(server:address(), { ca = at "ours.pem", alpn = { "greeting" } }))
  print("again", "resumed: " .. tostring(conn:tls().resumed))
end

local none, err = mw.net.connect(server:address(), { ca = at "theirs.pem" })
print("wrong authority", none, err.code, err.data.reason)
none, err = mw.net.connect(server:address(), { ca = at "ours.pem", server_name = "example.com" })
print("wrong name", none, err.code, err.data.reason)

-- Mutual: the server wants a certificate too, and knows the client by it.
local private <close> =
  assert(mw.net.listen("tls://127.0.0.1:0", { cert = at "server.pem", key = at "server.key", client_ca = at "ours.pem" }))
mw.task.spawn_with({ daemon = true }, private.serve, private, function(conn)
  local peer = conn:peer()
  conn:write(peer.subject, " ", peer.sans[1], "\n")
end)
do
  local conn <close> = assert(mw.net.connect(private:address(), { ca = at "ours.pem", cert = at "alice.pem", key = at "alice.key" }))
  print("the server sees", conn:read "l")
end

-- A conversation that begins in the clear.
local plain <close> = assert(mw.net.listen "tcp://127.0.0.1:0")
mw.task.spawn_with({ daemon = true }, plain.serve, plain, function(conn)
  assert(conn:read "l" == "STARTTLS")
  conn:write "go ahead\n"
  assert(conn:starttls { server = true, cert = at "server.pem", key = at "server.key" })
  conn:write "now in secret\n"
end)
local conn <close> = assert(mw.net.connect(plain:address()))
conn:write "STARTTLS\n"
print(conn:read "l")
assert(conn:starttls { ca = at "ours.pem" })
print(conn:read "l", conn:tls().version)
