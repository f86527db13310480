-- Attacks on paths: what lies outside of every grant, by every spelling of its name, by links, and while names change.
local attack = assert(loadfile("spec/attack/support.lua", "t", _ENV))()
local mw = require "moonwire"

local READ = "--allow-read=$W/in"
local ALL = "--allow-read=$W"

--- Ways to name the canary, from the attempt's point of view.
local SPELLINGS = {
  { "its own name", "W .. '/secret'" },
  { "..", "W .. '/in/../secret'" },
  { ".. from a folder that does not exist", "W .. '/in/nowhere/../../secret'" },
  { ".. many times", "W .. '/in' .. ('/..'):rep(40) .. W .. '/secret'" },
  { "a relative name", "'../secret'", cwd = "/in" },
  { "doubled and trailing slashes", "W .. '//in//..///secret'" },
  { "the process's own root", "'/proc/self/root' .. W .. '/secret'", grant = "-A" },
  { "its working directory in /proc", "'/proc/self/cwd/../secret'", cwd = "/in", grant = "-A" },
  { "/proc/thread-self", "'/proc/thread-self/root' .. W .. '/secret'", grant = "-A" },
  { "a link to it", "W .. '/in/link'", world = function(w) w.link("$W/secret", "in/link") end },
  { "a relative link to it", "W .. '/in/link'", world = function(w) w.link("../secret", "in/link") end },
  { "a link to its folder", "W .. '/in/up/secret'", world = function(w) w.link("..", "in/up") end },
  { "a chain of 30 links", "W .. '/in/l30'", world = function(w)
    w.link("../secret", "in/l1")
    for i = 2, 30 do w.link("l" .. i - 1, "in/l" .. i) end
  end },
  { "a link to the root", "W .. '/in/root' .. W .. '/secret'", world = function(w) w.link("/", "in/root") end },
  { "a link through /proc", "W .. '/in/link'", world = function(w) w.link("/proc/self/root$W/secret", "in/link") end, grant = "-A" },
}

local function spellings(kind, source, flags)
  local out = {}
  for i, s in ipairs(SPELLINGS) do
    out[i] = { ("%s by %s"):format(kind, s[1]), flags = flags, grant = s.grant or ALL, world = s.world, cwd = s.cwd,
      lua = source:format(s[2]), takes = true, refused = { "^EDENIED", "^ENOENT" } }
    if s[1]:find("does not exist", 1, true) then out[i].grant = false end
  end
  return out
end

attack.class("paths", attack.all(
  spellings("io.open is not led out", "return slurp(%s)", READ),
  attack.each({ flags = READ, grant = ALL, takes = true }, {
    { "mw.fs.read", "return mw.fs.read(W .. '/secret')" },
    { "mw.fs.open", "local f <close> = assert(mw.fs.open(W .. '/secret')) return f:read('a')" },
    { "mw.fs.tail", "for line in mw.fs.tail(W .. '/secret', { from = 'start' }) do return line end" },
    { "io.lines", "for line in io.lines(W .. '/secret') do return line end" },
    { "io.input", "io.input(W .. '/secret') return io.read('a')" },
    { "mw.fs.list of its folder tells nothing", takes = false,
      "for _, e in ipairs(mw.fs.list(W)) do if tostring(e.name or e) == 'secret' then return true end end" },
    { "mw.fs.stat tells nothing", takes = false, "return mw.fs.stat(W .. '/secret').size" },
    { "mw.fs.watch watches nothing outside", takes = false, "local w <close> = mw.fs.watch(W) return w" },
    { "a name that ends before a NUL byte", grant = false, refused = "EINVAL", "return mw.fs.read(W .. '/secret\\0' .. W .. '/in/plain')" },
    { "io.open of a name with a NUL byte", grant = false, refused = { "EINVAL", "NUL", "zero" },
      "return slurp(W .. '/secret\\0.txt')" },
    { "a name as an object with __tostring", grant = false, refused = { "EINVAL", "string" },
      "local n = 0 return slurp(setmetatable({}, { __tostring = function() n = n + 1"
        .. " return n == 1 and W .. '/in/plain' or W .. '/secret' end }))" },
    { "a very long name", grant = false, refused = "EINVAL",
      "return slurp(W .. '/in/' .. ('x/../'):rep(100000) .. '../secret')" },
    { "a folder whose name begins like a granted one", "return slurp(W .. '/inside/secret')", takes = true,
      world = function(w) w.mkdir("inside") w.put("inside/secret", w.secret) end },
  }),
  attack.each({ flags = READ .. " --allow-write=$W/out", grant = ALL .. " --allow-write=$W", takes = false }, {
    { "writing outside", "return mw.fs.write(W .. '/secret', 'harm')" },
    { "io.open for writing", "return io.open(W .. '/secret', 'w')" },
    { "io.open for appending", "return io.open(W .. '/secret', 'a')" },
    { "writing what may only be read", "return io.open(W .. '/in/plain', 'r+')" },
    { "making a file outside", "return mw.fs.write(W .. '/in/new', 'x')" },
    { "making a folder outside", "return mw.fs.mkdir(W .. '/new')" },
    { "removing outside", "return os.remove(W .. '/secret')" },
    { "removing a tree outside", "return mw.fs.remove(W .. '/private', { tree = true })" },
    { "removing a tree through a link", "mw.fs.remove(W .. '/out/tree', { tree = true }) return slurp(W .. '/private/key') == nil",
      world = function(w) w.mkdir("out/tree") w.link("$W/private", "out/tree/link") end, grant = false, refused = "EDENIED" },
    { "renaming it into reach", "return mw.fs.rename(W .. '/secret', W .. '/out/mine') and slurp(W .. '/out/mine')" },
    { "os.rename out of reach", "return os.rename(W .. '/out/mine', W .. '/gone')", world = function(w) w.put("out/mine", "x") end },
    { "renaming over it", "return os.rename(W .. '/out/mine', W .. '/secret')", world = function(w) w.put("out/mine", "x") end },
    { "output redirected", "return io.output(W .. '/secret')" },
    { "writing through a link that is there", "return mw.fs.open(W .. '/out/link', 'w')",
      world = function(w) w.link("$W/secret", "out/link") end },
    { "making a file through a dangling link", "return io.open(W .. '/out/link', 'w')",
      world = function(w) w.link("$W/in/new", "out/link") end },
    { "a temporary folder elsewhere", "return mw.fs.tempdir(W .. '/private')", grant = false, refused = { "EDENIED", "EINVAL" } },
    { "os.tmpname outside of a write right", flags = READ, grant = READ .. " --allow-write",
      "local name = os.tmpname() os.remove(name) return name" },
    { "io.tmpfile outside of a write right", flags = READ, grant = READ .. " --allow-write", "return io.tmpfile()" },
  })))

-- Denials inside a grant: the object, not its name.
local INSIDE = "--allow-read=$W/in,$W/out --allow-write=$W/in,$W/out --deny-read=$W/in/hidden --deny-write=$W/in/hidden"
local function hidden(w)
  w.mkdir("in/hidden")
  w.put("in/hidden/key", w.secret)
end

attack.class("denials inside a grant", attack.each({
  flags = INSIDE, grant = "--allow-read=$W/in,$W/out --allow-write=$W/in,$W/out", world = hidden, takes = true }, {
  { "by name", "return slurp(W .. '/in/hidden/key')" },
  { "by a folder above, through ..", "return slurp(W .. '/in/sub/../hidden/key')" },
  { "by a link inside the grant", "return slurp(W .. '/in/link/key')", world = function(w) hidden(w) w.link("hidden", "in/link") end },
  { "by a hard link", "return slurp(W .. '/in/hard')",
    flags = "--allow-read=$W/in --deny-read=$W/in/hidden/key", grant = "--allow-read=$W/in",
    world = function(w) hidden(w) w.hard("in/hidden/key", "in/hard") end },
  { "by a link that the script makes", grant = "--allow-read --allow-write", "local uv = require 'uv' uv.fs_symlink(W .. '/in/hidden', W .. '/out/l')"
    .. " return slurp(W .. '/out/l/key')" },
  { "by a hard link that the script makes", "local uv = require 'uv'"
    .. " assert(uv.fs_link(W .. '/in/hidden/key', W .. '/out/l')) return slurp(W .. '/out/l')" },
  { "by moving it away", "return mw.fs.rename(W .. '/in/hidden', W .. '/out/seen') and slurp(W .. '/out/seen/key')" },
  { "by moving the folder above it", "return os.rename(W .. '/in', W .. '/out/seen') and slurp(W .. '/out/seen/hidden/key')",
    grant = "--allow-read=$W --allow-write=$W" },
  { "by moving the file inside", "return os.rename(W .. '/in/hidden/key', W .. '/out/seen') and slurp(W .. '/out/seen')" },
  { "by uv.fs_open", "local uv = require 'uv' local fd = assert(uv.fs_open(W .. '/in/hidden/key', 'r', 0))"
    .. " return uv.fs_read(fd, 100, 0)" },
  { "by uv.fs_copyfile", "local uv = require 'uv' assert(uv.fs_copyfile(W .. '/in/hidden/key', W .. '/out/copy'))"
    .. " return slurp(W .. '/out/copy')" },
  { "by uv.fs_realpath of something below", "local uv = require 'uv' return uv.fs_realpath(W .. '/in/hidden/key')", takes = false },
  { "by listing", "return #mw.fs.list(W .. '/in/hidden') > 0", takes = false },
  { "by removing the tree above", "return mw.fs.remove(W .. '/in', { tree = true })", takes = false,
    grant = "--allow-read=$W --allow-write=$W",
    check = function(w, _, granted)
      if granted then return end
      local file = io.open(w.dir .. "/in/hidden/key")
      if not file then return "the hidden file is gone" end
      file:close()
    end },
  { "by a name made later where none was", flags = "--allow-read=$W/in,$W/out --allow-write=$W/in,$W/out --deny-read=$W/out/later",
    "mw.fs.write(W .. '/out/x', 'x') return os.rename(W .. '/out/x', W .. '/out/later') and slurp(W .. '/out/later')", takes = false },
  { "by dropping the right and opening again", flags = "--allow-read=$W", grant = false, world = hidden, refused = "dropped",
    "mw.permissions.drop('read', W .. '/secret') return slurp(W .. '/secret')" },
  { "by asking for a dropped right again", flags = "--allow-read=$W", grant = false, world = hidden, refused = "dropped",
    "mw.permissions.drop('read') mw.permissions.request('read', W .. '/secret') return slurp(W .. '/secret')" },
}))

-- Special files.
local function devices(w)
  w.link("/dev", "in/dev")
  w.link("/proc", "in/proc")
  w.link("/dev/mem", "in/mem")
end

attack.class("special files", attack.each({ flags = "--allow-read=$W,/dev,/proc,/sys", grant = "-A", takes = false,
  world = devices, refused = { "^EDENIED", "^EACCES", "^ENOENT" } }, {
  { "our own memory", "return io.open('/proc/self/mem', 'rb')" },
  { "our own environment", "return slurp('/proc/self/environ')" },
  { "our own descriptors", stdin = "piped", grant = false, "return io.open('/proc/self/fd/0')" },
  { "our memory map, which undoes address randomization", "return slurp('/proc/self/maps')" },
  { "somebody else's environment", "return slurp('/proc/1/environ')", grant = false },
  { "the kernel's parameters", "return slurp('/proc/sys/kernel/hostname')" },
  { "the kernel's devices", "return io.open('/sys/kernel/uevent_seqnum')" },
  { "a terminal that is not ours", "return mw.fs.list('/dev/pts')" },
  { "a disk or memory by a link", "return slurp(W .. '/in/proc/self/status')" },
  { "/proc through a bind of its spelling", "return slurp('/dev/../proc/self/status')" },
  { "/dev/fd", stdin = "piped", grant = false, "return io.open('/dev/fd/0')" },
  { "/dev/stdin", stdin = "piped", grant = false, "return io.open('/dev/stdin')" },
  { "the shared memory folder", "return mw.fs.write('/dev/shm/mw-attack', 'x') and mw.fs.remove('/dev/shm/mw-attack') or true",
    flags = "--allow-read --allow-write" },
  { "a FIFO as a file, which would wait for ever", "return io.open(W .. '/in/fifo')", grant = false, flags = "--allow-read=$W",
    refused = { "EINVAL", "FIFO", "fifo", "regular", "not supported" },
    world = function(w) w.helper("fifo", w.dir .. "/in/fifo") end },
  { "a device beside an allowed one", grant = false, "return io.open('/dev/null/../kmsg')" },
}))

-- Races: a name that changes while it is opened, all the time. What is got must never be the secret.
local function flipping(command, ...)
  local names = { ... }
  return function(w)
    local argv = { w.base.helper, command, stdout = "pipe" }
    for _, name in ipairs(names) do argv[#argv + 1] = w.dir .. "/" .. name end
    w.flipper = assert(mw.process.spawn(argv))
    assert(w.flipper.stdout:read("l") == "flipping")
  end
end

local RACE = [[
  local got, tries = {}, 0
  for i = 1, %d do
    tries = i
    local ok, text = pcall(slurp, %s)
    if ok and text and #text > 30 then return text end
  end
  error("no luck in " .. tries .. " tries")
]]
local function race(count, name) return (RACE:format(count, name)) end

local RACE_WORLD = function(w)
  w.link("$W/secret", "in/b")
  w.put("in/a", "plain")
  w.mkdir("in/da")
  w.put("in/da/secret", "plain")
  w.link("$W", "in/db")
end

attack.class("races", attack.each({ flags = READ, grant = ALL, takes = true, world = RACE_WORLD, moving = true,
  refused = "no luck in" }, {
  { "a file against a link to the secret", lua = race(6000, "W .. '/in/a'"), later = flipping("flip", "in/a", "in/b") },
  { "a folder against a link to the secret's folder", lua = race(6000, "W .. '/in/da/secret'"), later = flipping("flip", "in/da", "in/db") },
  { "a name that comes and goes", lua = race(4000, "W .. '/in/c'"), later = flipping("rotate", "in/a", "in/b", "in/c") },
}))

-- Rules whose names come to mean something else while the script runs.
local OUT = "--allow-read=$W/out --allow-write=$W/out"
local function to_private(w) w.link("../private", "out/door") end
local function pinned(w) to_private(w) w.mkdir("out/d") w.put("out/d/key", "plain") end
local function granted_link(w) to_private(w) w.link("../in/sub", "out/granted") w.put("in/sub/key", "plain") end
local NOT_PLAIN = " return t ~= 'plain' and t ~= 'plain\\n' and t"

attack.class("names that change", attack.each({ flags = OUT, grant = "--allow-read=$W --allow-write=$W", takes = true,
  refused = { "EDENIED", "EACCES", "ENOENT", "absent", "ELOOP", "EINVAL", "Not a directory", "not there" } }, {
  { "a link put where a granted folder was", "assert(os.rename(W .. '/out/d', W .. '/out/e')) assert(os.rename(W .. '/out/door', W .. '/out/d'))"
    .. " return slurp(W .. '/out/d/key')", flags = "--allow-read=$W/out/d --allow-write=$W/out", world = pinned },
  { "a link put where a granted name was not yet", "assert(os.rename(W .. '/out/door', W .. '/out/later')) return slurp(W .. '/out/later/key')",
    flags = "--allow-read=$W/out/later --allow-write=$W/out", world = to_private },
  { "a granted link turned to elsewhere", "os.remove(W .. '/out/granted') os.rename(W .. '/out/door', W .. '/out/granted') local t = slurp(W .. '/out/granted/key')"
    .. NOT_PLAIN, flags = "--allow-read=$W/out/granted --allow-write=$W/out", world = granted_link },
  { "a link put where a folder above the granted one was", "assert(os.rename(W .. '/out/a', W .. '/out/b')) assert(os.rename(W .. '/out/door', W .. '/out/a'))"
    .. " return slurp(W .. '/out/a/key')", flags = "--allow-read=$W/out/a/key --allow-write=$W/out", world = function(w) to_private(w) w.mkdir("out/a") w.put("out/a/key", "plain") end },
  { "a file followed by tail, replaced by a link", "mw.fs.write(W .. '/out/log', 'first\\n') local got = mw.task.timeout(1, function()"
    .. " for line in mw.fs.tail(W .. '/out/log', { from = 'start' }) do if line ~= 'first' then return line end"
    .. " os.remove(W .. '/out/log') os.rename(W .. '/out/link', W .. '/out/log') end end) return got",
    world = function(w) w.link("../secret", "out/link") end },
  { "writing atomically onto a link", "mw.fs.write(W .. '/out/link', 'harm') return false", world = function(w) w.link("../secret", "out/link") end, grant = false },
  { "appending through a link put there meanwhile", "local f = assert(io.open(W .. '/out/x', 'w')) f:close() os.remove(W .. '/out/x')"
    .. " os.rename(W .. '/out/link', W .. '/out/x') return io.open(W .. '/out/x', 'a')", world = function(w) w.link("../secret", "out/link") end, takes = false },
  { "a socket's mode set on what a link leads to", "return mw.net.listen('unix:' .. W .. '/out/link', { mode = '0777', unlink = true })", takes = false, grant = false,
    flags = OUT .. " --allow-net=unix:$W/out/", world = function(w) w.link("../secret", "out/link") end, refused = { "EDENIED", "EADDRINUSE", "ENOTSOCK", "EEXIST" } },
  { "a temporary folder by a prefix with ..", "return require('uv').fs_mkdtemp(W .. '/out/../private/XXXXXX')", takes = false },
  { "a folder made through a link", "return mw.fs.mkdir(W .. '/out/door/new', { parents = true })", world = to_private, takes = false },
  { "a tree removed below a link", "return mw.fs.remove(W .. '/out/door/key')", world = to_private, takes = false },
  { "a file renamed onto one below a link", "mw.fs.write(W .. '/out/x', 'harm') return os.rename(W .. '/out/x', W .. '/out/door/key')", world = to_private, takes = false },
}))
