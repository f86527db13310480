-- A TCP server that talks only to who knows a secret, with limits for everybody else: a good client, one with another secret, one that
-- dawdles, one that talks something else, and one that wants too many connections.
-- rights: --allow-net=127.0.0.1
local mw = require "moonwire"

local secret = mw.random.bytes(32) -- for two programs: from the environment or a file that only they can read
local function ours() return mw.auth.hmac { secret = secret, identity = "worker-7" } end

local server <close> = assert(mw.net.listen("tcp://127.0.0.1:0", {
  auth = mw.auth.hmac { secrets = { ["worker-7"] = secret } }, -- each client has a secret of its own; two while they are exchanged
  auth_timeout = 2, -- from the moment it connected
  max_unauthenticated = 16, max_conns = 100, max_conns_per_peer = 8, idle_timeout = 60,
}))

-- The handler is called for those who have proved who they are, and for nobody else.
mw.task.spawn_with({ daemon = true }, server.serve, server, function(conn)
  for line in conn:lines { max = "4KiB" } do
    assert(conn:write(conn:peer().identity, " said ", line, "\n"))
  end
end)

local function ask(what)
  local conn <close> = assert(mw.net.connect(server:address(), { auth = ours(), timeout = 5 }))
  assert(conn:write(what, "\n"))
  return conn:read("l")
end
print("a good client:", ask("hello"))
assert(ask("hello") == "worker-7 said hello")

-- Another secret: one answer, which does not say what was wrong, at both ends without the secret ever having been sent.
local none, err = mw.net.connect(server:address(), { auth = mw.auth.hmac { secret = mw.random.bytes(32), identity = "worker-7" } })
assert(none == nil and err.code == "EAUTH")
print("another secret:", err.code)

-- One that says nothing is sent away when its time is over; one that talks something else at its first byte.
local dawdler <close> = assert(mw.net.connect(server:address()))
local stranger <close> = assert(mw.net.connect(server:address()))
assert(stranger:write("GET / HTTP/1.1\r\n\r\n"))
assert(stranger:read("a"):find("denied", 1, true))
print("another protocol:", "denied")
print("a good one beside them:", ask("still here"))
assert(dawdler:read("a"):find("denied", 1, true))
print("nothing said in time:", "denied")

-- One address may hold eight connections; the ninth is closed, the eight go on.
local held = {}
for i = 1, 8 do held[i] = assert(mw.net.connect(server:address(), { auth = ours() })) end
local ninth, why = mw.net.connect(server:address(), { auth = ours() })
assert(ninth == nil and why.code ~= "EAUTH", "the ninth was let in")
for i, conn in ipairs(held) do
  assert(conn:write(i, "\n"))
  assert(conn:read("l") == "worker-7 said " .. i)
  conn:close()
end
print("a ninth connection:", "closed")

local stats = server:stats()
assert(stats.refused == 2 and stats.timed_out == 1 and stats.limited == 1 and stats.unauthenticated == 0, mw.inspect(stats))
print(("accepted %d, refused %d, too late %d, too many %d"):format(stats.accepted, stats.refused, stats.timed_out, stats.limited))
