-- Attacks of a program that was started under a run right: the network, and whatever is no file.
local attack = assert(loadfile("spec/attack/support.lua", "t", _ENV))()

local NO = { "^EACCES", "^EPERM", "^EOPNOTSUPP", "^EAFNOSUPPORT", "^EPROTONOSUPPORT", "^ESOCKTNOSUPPORT", "^ENOSYS", "^ENOPROTOOPT" }
local TRUST = "--trust-run=$H"

local function rows(list, common)
  local out = {}
  for _, row in ipairs(list) do
    local attempt = { row[1], ("return breakout(%s)"):format(row[2]), takes = false }
    for key, value in pairs(common) do attempt[key] = value end
    for key, value in pairs(row) do if type(key) == "string" then attempt[key] = value end end
    attempt.lua = row.lua or attempt[2]
    out[#out + 1] = attempt
  end
  return out
end

attack.class("a caged program and the network", rows({
  { "TCP", "'tcp', T" },
  { "TCP with its protocol's number", "'tcp-named', T" },
  { "TCP to a mapped address", "'tcp-mapped', T" },
  { "TCP to the address of none", "'tcp-any', T" },
  { "TCP after a disconnect", "'unspec', T" },
  { "MPTCP, which Landlock does not see", "'mptcp', T", grant = false },
  { "SCTP", "'sctp', T", grant = false },
  { "SMC, which carries TCP", "'smc', T", grant = false },
  { "data in the SYN, by sendto", "'fastopen', T" },
  { "data in the SYN, by sendmsg", "'fastopen-msg', T" },
  { "data in the SYN, by sendmmsg", "'fastopen-many', T" },
  { "data in the SYN, by connect", "'fastopen-connect', T" },
  { "UDP", "'udp', U" },
  { "UDP over IPv6 sockets", "'udp6', U", grant = false },
  { "UDP-Lite", "'udplite', U", grant = false },
  { "an echo socket", "'ping'", grant = false },
  { "a raw socket", "'raw'", grant = false },
  { "a packet socket", "'packet'", grant = false },
  { "netlink: audit", "'netlink-audit'", grant = false },
  { "netlink: routes", "'netlink-route'" },
  { "netlink: events", "'netlink-uevent'" },
  { "virtual machine sockets", "'vsock'", grant = false },
  { "the kernel's ciphers", "'alg'", grant = false },
  { "Bluetooth", "'family', '31', '3'", grant = false },
  { "XDP", "'family', '44', '3'", grant = false },
  { "TIPC", "'family', '30', '1'", grant = false },
  { "RDS", "'family', '21', '5'", grant = false },
  { "a Unix socket by path", "'unix', W .. '/private/sock'" },
  { "a Unix socket by an abstract name", "'unix', '@' .. N" },
  { "a datagram socket by path", "'unix-dgram', W .. '/private/sock'", grant = false },
  { "a pair of datagram sockets, connected to a path", "'pair-dgram', W .. '/private/sock'", grant = false },
  { "a pair of stream sockets, connected to a path", "'pair-stream', W .. '/private/sock'", grant = false,
    refused = { "^EISCONN", "^EACCES", "^EPERM", "^EPROTOTYPE", "^EINVAL" } },
  { "a pair of packet sockets, connected to a path", "'pair-seq', W .. '/private/sock'", grant = false,
    refused = { "^EISCONN", "^EACCES", "^EPERM", "^EPROTOTYPE", "^EINVAL" } },
  { "a pair with flags beside its type", "'pair-odd', W .. '/private/sock'", grant = false },
  { "a Unix socket made in a folder that may be written", "'unix-bind', W .. '/out/mine'", flags = "--allow-run=$H --allow-write=$W/out" },
  { "an abstract socket made", "'unix-bind', '@' .. N .. 'x'" },
  { "binding a port", "'bind', '0'" },
  { "listening without a bind", "'listen-unbound'" },
  { "io_uring", "'io-uring'", grant = false },
}, { cage = true, net = true, refused = NO, flags = "--allow-run=$H --allow-read", grant = TRUST }))

--- What a scoped right gives a program, and no more.
attack.class("a caged program and a scoped net right", rows({
  { "TCP to another port", "'tcp', T", flags = "--allow-run=$H --allow-net=:9" },
  { "TCP to a host's port: the kernel knows no hosts", "'tcp', T", flags = "--allow-run=$H --allow-net=127.0.0.1" },
  { "TCP to every port but one", "'tcp', T", flags = "--allow-run=$H --allow-net --deny-net=:$T" },
  { "TCP under a denial of one host", "'tcp', T", flags = "--allow-run=$H --allow-net --deny-net=10.0.0.0/8" },
  { "TCP after a drop", "", lua = "mw.permissions.drop('net', '10.0.0.0/8') return breakout('tcp', T)", flags = "--allow-run=$H --allow-net", grant = false },
  { "listening with a right to connect", "'bind', '0'", flags = "--allow-run=$H --allow-connect" },
  { "data in the SYN with a right to another port", "'fastopen', T", flags = "--allow-run=$H --allow-net=:9", grant = false },
  { "MPTCP with a right to the port", "'mptcp', T", flags = "--allow-run=$H --allow-net=:9", grant = false },
  { "UDP with a right to its port", "'udp', U", flags = "--allow-run=$H --allow-net=:$U" },
  { "a Unix socket with a rule for its path", "'unix', W .. '/private/sock'", flags = "--allow-run=$H --allow-net=unix:$W/", grant = TRUST },
  { "an abstract socket with a rule for another", "'unix', '@' .. N", flags = "--allow-run=$H --allow-net=unix:@elsewhere", grant = TRUST },
  { "raw sockets with every net right", "'raw'", flags = "--allow-run=$H --allow-net", grant = false },
  { "packet sockets with every net right", "'packet'", flags = "--allow-run=$H --allow-net", grant = false },
}, { cage = true, net = true, refused = NO, grant = "--allow-run=$H --allow-net" }))
