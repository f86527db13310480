-- Attacks on addresses: other spellings of what is denied, other ways to the same peer, names, sockets in the file system.
local attack = assert(loadfile("spec/attack/support.lua", "t", _ENV))()

local CONNECT = "local c <close> = assert(mw.net.connect(%s, { timeout = 5 })) assert(c:write('in')) return true"
local function connect(url) return CONNECT:format(url) end

--- Spellings of 127.0.0.1 and where it hides; all of them dialled under a right for another port of it and another host.
local SPELLINGS = {
  { "the plain address", "'tcp://127.0.0.1:' .. T" },
  { "a name", "'tcp://localhost:' .. T" },
  { "a name in capitals with a dot at its end", "'tcp://LOCALHOST.:' .. T", control = false },
  { "an address mapped into IPv6", "'tcp://[::ffff:127.0.0.1]:' .. T" },
  { "the same in hexadecimal", "'tcp://[::ffff:7f00:1]:' .. T" },
  { "the address of none", "'tcp://0.0.0.0:' .. T" },
  { "another loopback address", "'tcp://127.1.2.3:' .. T", control = false },
  { "a decimal number", "'tcp://2130706433:' .. T", control = false },
  { "octal", "'tcp://0177.0.0.1:' .. T", control = false },
  { "hexadecimal", "'tcp://0x7f.1:' .. T", control = false },
  { "two numbers", "'tcp://127.1:' .. T", control = false },
  { "an IPv4-compatible IPv6 address", "'tcp://[::127.0.0.1]:' .. T", control = false },
  { "the NAT64 prefix", "'tcp://[64:ff9b::7f00:1]:' .. T", control = false },
  { "6to4", "'tcp://[2002:7f00:1::]:' .. T", control = false },
  { "a zone", "'tcp://[::ffff:127.0.0.1%lo]:' .. T", control = false },
  { "a user part before it", "'tcp://10.0.0.1:9@127.0.0.1:' .. T", control = false },
  { "a NUL byte behind a granted host", "'tcp://10.0.0.1\\0.x:' .. T", control = false },
  { "a port beyond 65535 that wraps", "'tcp://127.0.0.1:' .. (65536 + T)", control = false },
  { "a port with a sign", "'tcp://127.0.0.1:+' .. T", control = false },
  { "white space", "'tcp:// 127.0.0.1:' .. T", control = false },
  { "full-width digits", "'tcp://１27.0.0.1:' .. T", control = false },
}

local function spelled(flags, control)
  local out = {}
  for i, s in ipairs(SPELLINGS) do
    out[i] = { "dialling " .. s[1] .. control.what, flags = flags, grant = s.control ~= false and control.grant or false, net = true,
      takes = false, lua = connect(s[2]), refused = { "^EDENIED", "^EINVAL", "^ENOTFOUND", "^EAI", "^ENETUNREACH", "^ECONNREFUSED", "^ETIMEDOUT",
        "^EHOSTUNREACH", "^ENOENT", "^EADDRNOTAVAIL" } }
  end
  return out
end

attack.class("addresses", attack.all(
  spelled("--allow-net=10.0.0.1,127.0.0.1:9", { what = "", grant = "--allow-net" }),
  spelled("--allow-net --deny-net=127.0.0.0/8", { what = " under a denial of its network", grant = "--allow-net" }),
  attack.each({ net = true, takes = false, grant = "--allow-net", flags = "--allow-net=10.0.0.1,unix:@elsewhere" }, {
    { "a Unix socket by path", connect "'unix:' .. W .. '/private/sock'" },
    { "a Unix socket through a link", connect "'unix:' .. W .. '/in/link'", flags = "--allow-net=unix:$W/in/",
      world = function(w) w.link("../private/sock", "in/link") end },
    { "a Unix socket through .. out of a granted folder", connect "'unix:' .. W .. '/in/../private/sock'", flags = "--allow-net=unix:$W/in/" },
    { "a Unix socket through a link of a folder", connect "'unix:' .. W .. '/in/up/sock'", flags = "--allow-net=unix:$W/in/",
      world = function(w) w.link("../private", "in/up") end },
    { "a Unix socket by a rule for files alone", connect "'unix:' .. W .. '/private/sock'", flags = "--allow-read=$W --allow-write=$W" },
    { "an abstract socket", connect "'unix:@' .. N" },
    { "an abstract socket by a path rule", connect "'unix:@' .. N", flags = "--allow-net=unix:/" },
    { "a path that is cut to a granted one", connect "'unix:' .. W .. '/in/' .. ('x'):rep(200)", flags = "--allow-net=unix:$W/in/", grant = false,
      refused = { "EINVAL", "ENAMETOOLONG", "ENOENT" } },
    { "a Unix path with a NUL byte", connect "'unix:' .. W .. '/in/x\\0/../../private/sock'", grant = false, refused = { "EINVAL", "NUL" } },
    { "TCP by a rule for listening only", connect "'tcp://127.0.0.1:' .. T", flags = "--allow-listen=127.0.0.1" },
    { "TCP after the right was dropped", "mw.permissions.drop('net') " .. connect "'tcp://127.0.0.1:' .. T", flags = "--allow-net", grant = false },
    { "TCP after the address was dropped, by name", "mw.permissions.drop('net', '127.0.0.0/8') " .. connect "'tcp://localhost:' .. T",
      flags = "--allow-net", grant = false, refused = { "EDENIED", "ECONNREFUSED" } },
    { "TCP in a retry until it is there", "local c = mw.net.connect('tcp://127.0.0.1:' .. T, { retry = { attempts = 5 } }) return c" },
    { "a host as an object that changes its mind", "local n = 0 local u = setmetatable({}, { __tostring = function() n = n + 1"
      .. " return n > 1 and 'tcp://127.0.0.1:' .. T or 'tcp://10.0.0.1:9' end }) return mw.net.connect(u)", grant = false, refused = "EINVAL" },
    { "a raw descriptor as an address", "return mw.net.connect('fd:3')", grant = false, refused = { "EDENIED", "EBADF" } },
    { "a descriptor of the host's by fd:", "for i = 3, 30 do local ok, c = pcall(mw.net.connect, 'fd:' .. i) if ok and c then return i end end",
      grant = false, refused = "absent" },
    { "a name looked up under a right to addresses: its text would leave by DNS", "return mw.net.connect('tcp://a-secret.example.com:9')",
      flags = "--allow-net=127.0.0.1:9,10.0.0.0/8", grant = false },
    { "a name looked up by uv under a right to addresses", "return require('uv').getaddrinfo('a-secret.example.com', nil, {}, print)",
      flags = "--allow-net=127.0.0.1:9", grant = false },
    { "a name below a granted domain's look-alike", "return mw.net.connect('tcp://secret.example.com.evil.example:9')",
      flags = "--allow-net=*.example.com", grant = false },
    { "a scheme without a rule", "return mw.net.connect('file:' .. W .. '/secret')", grant = false, refused = { "EINVAL", "EDENIED" } },
  }),
  attack.each({ takes = false, grant = "--allow-net --allow-write=$W", flags = "--allow-connect" }, {
    { "listening with a right to connect", "return mw.net.listen('tcp://127.0.0.1:0')" },
    { "listening on every address with a right for one", "return mw.net.listen('tcp://0.0.0.0:0')", flags = "--allow-listen=127.0.0.1" },
    { "listening on every address of IPv6", "return mw.net.listen('tcp://[::]:0')", flags = "--allow-listen=127.0.0.1,[::1]" },
    { "listening on a Unix path outside", "return mw.net.listen('unix:' .. W .. '/in/mine')", flags = "--allow-listen=unix:$W/out/" },
    { "listening through a dangling link", "return mw.net.listen('unix:' .. W .. '/out/link')", flags = "--allow-listen=unix:$W/out/",
      world = function(w) w.link("../in/mine", "out/link") end, grant = false, refused = { "EDENIED", "EADDRINUSE" } },
    { "unlink = true removing what is no socket", "return mw.net.listen('unix:' .. W .. '/in/plain', { unlink = true })", grant = false,
      flags = "--allow-listen=unix:$W/in/", refused = { "EDENIED", "EADDRINUSE", "ENOTSOCK", "EEXIST" } },
    { "unlink = true through a link to a file", "return mw.net.listen('unix:' .. W .. '/out/link', { unlink = true })", grant = false,
      flags = "--allow-listen=unix:$W/out/", refused = { "EDENIED", "EADDRINUSE", "ENOTSOCK", "EEXIST" },
      world = function(w) w.link("../secret", "out/link") end },
    { "listening on an abstract name", "return mw.net.listen('unix:@' .. N .. 'x')", flags = "--allow-listen=unix:$W/" },
  })))
