-- Attacks of a program that was started under a run right: files outside of the script's own rights, by every call that takes a name.
local attack = assert(loadfile("spec/attack/support.lua", "t", _ENV))()

local function call(...)
  local words = { ... }
  for i, word in ipairs(words) do
    words[i] = word:sub(1, 1) == "/" and ("W .. %q"):format(word) or ("%q"):format((word:gsub("^=", "")))
  end
  return "return breakout(" .. table.concat(words, ", ") .. ")"
end

local NO = { "^EACCES", "^EPERM", "^EXDEV" }
local TRUST = "--trust-run=$H"

attack.class("a caged program and files outside", attack.each({ cage = true, takes = false, refused = NO, flags = "--allow-run=$H --allow-read=$W/in",
  grant = "--allow-run=$H --allow-read=$W --allow-write=$W" }, {
  { "reading", call("read", "/secret"), takes = true },
  { "reading, mapped", call("map", "/secret"), takes = true },
  { "reading through ..", call("read", "/in/../secret"), takes = true },
  { "reading through a link that is there", call("read", "/in/link"), takes = true, world = function(w) w.link("../secret", "in/link") end },
  { "reading through a link of its own", call("link-read", "/secret", "/out/link"), takes = true,
    flags = "--allow-run=$H --allow-read=$W/in,$W/out --allow-write=$W/out" },
  { "reading from a folder's descriptor, upwards", call("climb", "/in", "=../secret"), takes = true },
  { "opening the name alone, then its descriptor", call("reopen", "/secret"), takes = true, grant = TRUST, refused = { "^EACCES", "^ENOENT" } },
  { "sendfile", call("sendfile", "/secret"), takes = true },
  { "listing", call("list", "/private") },
  { "listing the folder above", call("list", "/") },
  { "writing", call("write", "/secret") },
  { "writing what may only be read", call("write", "/in/plain") },
  { "truncating", call("truncate", "/secret") },
  { "truncating what may only be read", call("truncate", "/in/plain") },
  { "truncating by opening for reading", call("open-truncate", "/in/plain") },
  { "making a file", call("create", "/in/new") },
  { "making a nameless file", call("tmpfile", "/in") },
  { "removing", call("unlink", "/secret") },
  { "removing a folder", call("rmdir", "/in/sub/empty"), world = function(w) w.mkdir("in/sub/empty") end },
  { "renaming", call("rename", "/in/plain", "/in/other") },
  { "making a folder", call("mkdir", "/in/new") },
  { "making a link", call("symlink", "=x", "/in/new") },
  { "making a FIFO", call("fifo", "/in/new") },
  { "making a device", call("device", "/out/new"), flags = "--allow-run=$H --allow-write=$W/out", grant = false },
  { "renaming it into reach", call("rename", "/secret", "/out/mine"), flags = "--allow-run=$H --allow-read=$W/out --allow-write=$W/out" },
  { "exchanging it with one of its own", call("exchange", "/secret", "/out/mine"), flags = "--allow-run=$H --allow-read=$W/out --allow-write=$W/out",
    world = function(w) w.put("out/mine", "x") end },
  { "linking it into reach", call("link", "/secret", "/out/mine"), flags = "--allow-run=$H --allow-read=$W/out --allow-write=$W/out", takes = true },
  { "linking what may be read to where it may be written", call("link", "/in/plain", "/out/mine"),
    flags = "--allow-run=$H --allow-read=$W/in,$W/out --allow-write=$W/out", grant = "--allow-run=$H --allow-read=$W --allow-write=$W" },
  { "linking by a descriptor of the name", call("link-fd", "/secret", "/out/mine"), flags = "--allow-run=$H --allow-read=$W/out --allow-write=$W/out",
    grant = false, refused = { "^EACCES", "^EPERM", "^EXDEV", "^ENOENT" } },
  { "moving a folder, then climbing out of it", call("move-climb", "/out/a/b", "/out/b", "=../../secret"), grant = TRUST, takes = false,
    flags = "--allow-run=$H --allow-read=$W/out --allow-write=$W/out", world = function(w) w.mkdir("out/a") w.mkdir("out/a/b") end,
    refused = { "^EACCES", "^ENOENT" } },
  { "changing a mode", call("chmod", "/secret"), grant = TRUST },
  { "changing a mode by a descriptor", call("chmod-fd", "/secret"), grant = TRUST, refused = { "^EACCES", "^EPERM", "^EBADF", "^ENOSYS", "^EOPNOTSUPP" } },
  { "changing the mode of what may only be read", call("chmod", "/in/plain"), grant = TRUST },
  { "changing an owner", call("chown", "/secret"), grant = TRUST },
  { "changing times", call("touch", "/secret"), grant = TRUST },
  { "an extended attribute", call("xattr", "/secret"), grant = false, refused = { "^EACCES", "^EPERM", "^EOPNOTSUPP" } },
  { "changing metadata under the sandbox's own refusal", "return child { H, 'chmod', W .. '/in/plain', sandbox = { metadata = false } }", grant = false },
  { "a file handle", call("handle", "/secret", "/in"), grant = false, refused = { "^EACCES", "^EPERM", "^EOPNOTSUPP" } },
  { "a bind mount", call("bind-mount", "/private", "/in"), grant = false },
  { "a detached mount", call("open-tree", "/"), grant = false },
  { "a root of its own", call("chroot", "/"), grant = false },
  { "a lease, for which whoever opens the file waits", call("lease", "/in/plain"), grant = TRUST },
  { "watching a folder", call("watch", "/private"), grant = TRUST },
  { "thawing the file system by a file that may be read", call("thaw", "/in/plain"), grant = false, refused = { "^EACCES", "^EPERM" } },
  { "flags of a file that may only be read", call("chattr", "/in/plain"), grant = false, refused = { "^EACCES", "^EPERM", "^ENOTTY", "^EOPNOTSUPP" } },
}))

--- What a program may read because it looks installed: P of P/bin.
local function drop(w)
  w.mkdir("drop")
  w.mkdir("drop/bin")
  w.put("drop/key", w.secret)
  w.link("/bin/cat", "drop/bin/cat")
end
attack.class("a caged program and what seems to be its own folder", attack.each({ cage = true, refused = "Permission denied", takes = true, world = drop,
  flags = "--allow-run=cat --allow-write=$W/drop", grant = "--allow-run=cat --allow-read=$W" }, {
  { "the root, by a roundabout name", "return child { '/usr/../bin/cat', W .. '/secret' }" },
  { "the root, by another one", "return child { '/usr/bin/../../bin/cat', W .. '/secret' }" },
  { "/tmp, by a roundabout name", "return child { W .. '/../../../../../..' .. W .. '/drop/bin/../../../' .. W:match('[^/]*$') .. '/drop/bin/cat', W .. '/secret' }" },
  { "a folder that the script may write in", "return child { W .. '/drop/bin/cat', W .. '/drop/key' }" },
  { "the same, its sandbox without that right", "return child { W .. '/drop/bin/cat', W .. '/drop/key', sandbox = { write = {} } }", grant = false },
  { "a folder whose bin is a link", "return child { W .. '/drop/sub/bin/cat', W .. '/drop/sub/key' }", world = function(w)
    drop(w)
    w.mkdir("drop/sub")
    w.put("drop/sub/key", w.secret)
    w.link("/usr/bin", "drop/sub/bin")
  end },
}))

--- Denials inside a grant, held by the kernel.
local function hidden(w)
  w.mkdir("in/hidden")
  w.put("in/hidden/key", w.secret)
end
local INSIDE = "--allow-run=$H --allow-read=$W/in,$W/out --allow-write=$W/in,$W/out --deny-read=$W/in/hidden --deny-write=$W/in/hidden"
attack.class("a caged program and denials inside a grant", attack.each({ cage = true, refused = NO, flags = INSIDE, takes = true, world = hidden,
  grant = "--allow-run=$H --allow-read=$W/in,$W/out --allow-write=$W/in,$W/out" }, {
  { "reading", call("read", "/in/hidden/key") },
  { "renaming the folder away", call("rename", "/in/hidden", "/out/seen"), takes = false },
  { "renaming the file away", call("rename", "/in/hidden/key", "/out/seen"), takes = false },
  { "exchanging it", call("exchange", "/in/hidden", "/in/sub"), takes = false },
  { "a hard link that was there before", call("read", "/in/hard"), flags = "--allow-run=$H --allow-read=$W/in --deny-read=$W/in/hidden/key",
    grant = "--allow-run=$H --allow-read=$W/in", world = function(w) hidden(w) w.hard("in/hidden/key", "in/hard") end },
  { "a hard link in another granted folder", call("read", "/out/hard"),
    flags = "--allow-run=$H --allow-read=$W/in,$W/out --deny-read=$W/in/hidden/key", grant = "--allow-run=$H --allow-read=$W/in,$W/out",
    world = function(w) hidden(w) w.hard("in/hidden/key", "out/hard") end },
  { "a hard link of its own", call("link", "/in/hidden/key", "/out/mine") },
  { "a link inside the grant", call("read", "/in/link/key"), world = function(w) hidden(w) w.link("hidden", "in/link") end },
  { "a drop by the script", "mw.permissions.drop('read', W .. '/in/hidden') " .. call("read", "/in/hidden/key"),
    flags = "--allow-run=$H --allow-read=$W/in", grant = false },
  { "a drop between two starts", "assert(breakout('read', W .. '/in/hidden/key')) mw.permissions.drop('read', W .. '/in/hidden') "
    .. "local ok, why = breakout('read', W .. '/in/hidden/key') return ok and 'again', why", flags = "--allow-run=$H --allow-read=$W/in", grant = false, takes = false },
  { "a denied name that is made after the start of the host", "mw.fs.write(W .. '/out/later', 'x') return breakout('read', W .. '/out/later')", takes = false,
    flags = "--allow-run=$H --allow-read=$W/out --allow-write=$W/out --deny-read=$W/out/later",
    grant = "--allow-run=$H --allow-read=$W/out --allow-write=$W/out" , world = function() end },
  { "making a file beside a denied one, where it could put it in its place", call("create", "/in/new"), takes = false },
}))

--- What the sandbox narrows, and what it cannot widen.
local SAND = "--allow-run=$H --allow-read=$W --allow-write=$W"
attack.class("sandbox", attack.each({ cage = true, flags = SAND, takes = false, refused = NO, grant = false }, {
  { "reading what is not listed", "return child { H, 'read', W .. '/secret', sandbox = { read = { W .. '/in' } } }" },
  { "writing under a list of reads", "return child { H, 'write', W .. '/in/plain', sandbox = { read = { W .. '/in' } } }" },
  { "reading under a list of writes", "return child { H, 'read', W .. '/secret', sandbox = { write = { W .. '/out' } } }" },
  { "reading under an empty list", "return child { H, 'read', W .. '/secret', sandbox = { read = {} } }" },
  { "asking for more than the script has", "return child { H, 'read', W .. '/secret', sandbox = { read = { W } } }",
    flags = "--allow-run=$H --allow-read=$W/in", grant = SAND, refused = "^EDENIED" },
  { "asking for a port that the script has not", "return child { H, 'tcp', T, sandbox = { connect = { tonumber(T) } } }", net = true,
    flags = "--allow-run=$H", grant = "--allow-run=$H --allow-net", refused = "^EDENIED" },
  { "asking for a port of which the script has one host", "return child { H, 'tcp', T, sandbox = { connect = { tonumber(T) } } }", net = true,
    flags = "--allow-run=$H --allow-net=127.0.0.1", grant = "--allow-run=$H --allow-net", refused = "^EDENIED" },
  { "asking for Unix sockets without a total right", "return child { H, 'unix', W .. '/private/sock', sandbox = { unix = true } }", net = true,
    flags = "--allow-run=$H --allow-net=unix:$W/", grant = "--allow-run=$H --allow-net", refused = "^EDENIED" },
  { "an unknown key", "return child { H, 'read', W .. '/secret', sandbox = { reads = { W } } }", refused = "^EINVAL", grant = false },
  { "a sandbox with metamethods", "return child { H, 'read', W .. '/secret', sandbox = setmetatable({ read = { W .. '/in' } }, { __index = { unix = true,"
    .. " metadata = true } }) }", grant = false },
  { "a list that changes while it is read", "local n = 0 local list = setmetatable({}, { __index = function() n = n + 1 return n < 2 and W or nil end,"
    .. " __len = function() return 1 end }) return child { H, 'read', W .. '/secret', sandbox = { read = list } }", grant = false, refused = { "^EACCES", "^EINVAL" } },
  { "variables beyond the list", "return child { H, 'env', 'ATTACK_TOKEN', sandbox = { env = { 'PATH' } } }", env = { ATTACK_TOKEN = "x" },
    flags = "--allow-run=$H --allow-env", grant = false, refused = "^ENOENT" },
}))

--- A program in a folder of its own: what lies beside its bin folder comes with it, and what is denied there does not.
local function tool(w)
  local uv = require "uv"
  w.mkdir("bin")
  assert(uv.fs_copyfile(w.base.helper, w.dir .. "/bin/tool"))
  assert(uv.fs_chmod(w.dir .. "/bin/tool", 493))
end
local TOOL = "return child { W .. '/bin/tool', "
attack.class("a caged program and its own folder", attack.each({ cage = true, takes = true, refused = NO, world = tool, grant = "--trust-run=$W/bin/tool" }, {
  { "a denied file beside its bin", TOOL .. "'read', W .. '/secret' }", flags = "--allow-run=$W/bin/tool --deny-read=$W/secret" },
  { "a denied folder beside its bin", TOOL .. "'read', W .. '/private/key' }", flags = "--allow-run=$W/bin/tool --deny-read=$W/private" },
  { "a dropped file beside its bin", "mw.permissions.drop('read', W .. '/secret') " .. TOOL .. "'read', W .. '/secret' }", flags = "--allow-run=$W/bin/tool",
    grant = false },
  { "a denied folder of the loading table", TOOL .. "'list', '/etc/ssl' }", flags = "--allow-run=$W/bin/tool --deny-read=/etc/ssl", takes = false },
  { "a denied file of the loading table", TOOL .. "'read', '/etc/passwd' }", flags = "--allow-run=$W/bin/tool --deny-read=/etc/passwd", takes = false },
  { "a denied library of the loading table", TOOL .. "'list', '/usr/lib/python3' }", flags = "--allow-run=$W/bin/tool --deny-read=/usr/lib/python3", takes = false },
  { "writing beside its bin", TOOL .. "'write', W .. '/secret' }", flags = "--allow-run=$W/bin/tool", takes = false },
  { "writing itself", TOOL .. "'write', W .. '/bin/tool' }", flags = "--allow-run=$W/bin/tool", takes = false, grant = false, refused = { "^EACCES", "^ETXTBSY" } },
  { "what lies beside its folder", TOOL .. "'list', '/home' }", flags = "--allow-run=$W/bin/tool", takes = false, grant = false },
}))
