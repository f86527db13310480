-- Attacks through children that are scripts: more rights than the parent has, a birth that no parent gave, scripts and modules
-- that may not be read.
local attack = assert(loadfile("spec/attack/support.lua", "t", _ENV))()

local function ask(permissions, source)
  return ("return script({ permissions = %s }, %q)"):format(permissions, source or "return true")
end
local READ_KEY = "return io.open(W .. '/private/key'):read('a')"
local ODD = { "^EDENIED", "^EINVAL" }

attack.class("children with more rights", attack.all(
  attack.each({ script = true, flags = "--allow-read=$W/in,$W/app --allow-net=127.0.0.1:9 --allow-env=LC_ALL --allow-sys=cpus --trust-run=true --allow-write=$W/out",
    grant = "-A", takes = false }, {
    { "a folder above", ask "{ read = { W } }" },
    { "everything of a kind", ask "{ read = true }", refused = ODD, grant = false },
    { "write for what may be read", ask "{ write = { W .. '/in' } }" },
    { "a path with ..", ask "{ read = { W .. '/in/..' } }" },
    { "a path with a comma in it, as two rules", ask("{ read = { W .. '/in,' .. W } }", READ_KEY), grant = false, refused = ODD },
    { "a relative path from another folder", "return script({ permissions = { read = { '../private' } }, cwd = W .. '/in' }, " .. ("%q"):format(READ_KEY)
      .. ")", grant = false, refused = ODD },
    { "a link to elsewhere", ask "{ read = { W .. '/in/link' } }", world = function(w) w.link("../private", "in/link") end },
    { "a wider network", ask "{ net = { '127.0.0.0/8' } }" },
    { "every port of a host", ask "{ net = { '127.0.0.1' } }" },
    { "every host of a port", ask "{ net = { ':9' } }" },
    { "the network by the other flag", ask "{ connect = { '127.0.0.1:10' } }" },
    { "an abstract socket", ask "{ net = { 'unix:@x' } }" },
    { "a prefix of variables", ask "{ env = { 'LC_*' } }" },
    { "another fact of the machine", ask "{ sys = { 'uid' } }" },
    { "another program", ask "{ run = { 'cat' } }", script = false },
    { "shared memory", ask "{ share = { 'x' } }" },
    { "native code", ask "{ ffi = { W } }", refused = ODD, grant = false },
    { "trust", ask "{ trust = { 'true' } }", refused = ODD, grant = false },
    { "an unknown key", ask "{ reads = { W } }", refused = "EINVAL", grant = false },
    { "all as a word", ask "'all'", refused = "EINVAL", grant = false },
    { "permissions with metamethods", ask("setmetatable({}, { __index = { read = { '/' } }, __pairs = function() return next, { read = { '/' } } end })", READ_KEY),
      grant = false, refused = ODD },
    { "a rule with a NUL byte", ask "{ read = { W .. '/in\\0/../..' } }", refused = ODD, grant = false },
    { "an empty rule", ask "{ read = { '' } }", refused = ODD, grant = false },
    { "inherit after a drop", "mw.permissions.drop('read') " .. ask("'inherit'", "return io.open(W .. '/in/plain'):read('a')"), grant = false },
    { "a grandchild that asks for what its grandparent has", ask("{ read = { W .. '/app' } }",
      "local r = mw.process.run { script = 'child.lua', permissions = { env = { 'LC_ALL' } }, 'return 1' } return r"), grant = false },
    { "a child without rights that reads", ask("{}", READ_KEY), grant = false },
    { "a child without rights that runs", ask("{}", "return mw.process.run { 'true' }"), grant = false },
    { "a child without rights that dials", ask("{}", "return mw.net.connect('tcp://127.0.0.1:9')"), grant = false },
    { "a child's denial is its parent's too", flags = "--allow-read=$W --deny-read=$W/private", ask("{ read = { W } }", READ_KEY), grant = "--allow-read=$W" },
    { "the denied folder itself", flags = "--allow-read=$W --deny-read=$W/private", ask("{ read = { W .. '/private' } }", READ_KEY), grant = "--allow-read=$W" },
    { "a dropped folder, given", "mw.permissions.drop('read', W .. '/private') " .. ask("{ read = { W } }", READ_KEY), flags = "--allow-read=$W", grant = false },
  })))

local function code(w) w.put("private/code.lua", "return '" .. w.secret .. "'") end

local BY_PROGRAM = "local out, why = script({ permissions = 'inherit' }, [[return mw.process.run { H, %s }.stdout]])"
  .. " if out and out:find('^refused') then return nil, { code = out } end return out, why"

local function still_there(name)
  return function(w, _, granted)
    if (require("uv").fs_stat(w.dir .. name) == nil) ~= granted then return granted and "IT IS STILL THERE" or "IT IS GONE" end
  end
end

attack.class("scripts of children", attack.each({ script = true, flags = "--allow-read=$W/in", grant = "--allow-read=$W", takes = false,
  refused = { "^EDENIED", "^ENOENT" } }, {
  { "a script outside", "return child { script = W .. '/private/code.lua' }", world = code, takes = false, grant = false },
  { "a script through ..", "return child { script = '../private/code.lua' }", world = code, grant = false },
  { "a link beside us to one outside", "return child { script = 'link.lua' }", world = function(w) code(w) w.link("../private/code.lua", "app/link.lua") end,
    grant = false },
  { "a text beside us that is no Lua file", "return child { script = 'notes' }", world = function(w) w.put("app/notes", "x") end, grant = false },
  { "a script whose name is an option", "return child { script = '-A', " .. ("%q"):format(READ_KEY) .. " }", grant = false },
  { "an argument that is an option", "return child { script = 'child.lua',"
    .. " '--allow-read', '-A' }", grant = false, refused = { "absent", "exit", "EDENIED", "ERROR" } },
  { "a script by /proc", "return child { script = '/proc/self/fd/4' }", grant = false, refused = { "^EDENIED", "^ENOENT", "^EISDIR" } },
  { "a script by standard input", "return child { script = '/dev/stdin', stdin = 'return 1' }", grant = false, refused = { "EDENIED", "ENOENT", "FIFO", "exit" } },
  { "a script with a NUL byte", "return child { script = 'child.lua\\0x' }", grant = false, refused = { "EINVAL", "NUL" } },
  { "a module of the child's beside a script of which only the file may be read", "return child { script = W .. '/private/start.lua' }",
    flags = "--allow-read=$W/private/start.lua", grant = "--allow-read=$W", takes = true, refused = { "EDENIED", "exit" },
    world = function(w) code(w) w.put("private/start.lua", "print(require 'code')") end },
  { "a module above a script that the parent wrote", "mw.fs.write(W .. '/out/start.lua', \"print(require '..private.code')\") return child { script = W .. '/out/start.lua' }",
    flags = "--allow-read=$W/out --allow-write=$W/out", grant = false, refused = { "EDENIED", "exit" }, world = code },
  { "a module path by the environment", "return script({ env = { LUA_PATH = W .. '/private/?.lua', LUA_PATH_5_4 = W .. '/private/?.lua' } }, \"return require 'code'\")",
    world = code, grant = false, refused = { "EDENIED", "EINVAL", "ERROR" } },
  { "a module path by the working folder", "return script({ cwd = W .. '/in' }, \"package.path = '?.lua;./?.lua;../private/?.lua' return require 'code'\")",
    world = code, grant = false, refused = { "EDENIED", "ERROR" } },
  { "a main chunk that runs with the parent's debug", "return script({}, 'return debug.sethook or debug.getregistry')", grant = false, refused = { "ERROR", "absent", "nil" } },
  { "a parent that is none", "return mw.parent", grant = false, refused = { "EINVAL", "EDENIED", "absent", "no parent", "ENOENT", "parent" } },
  { "what is denied in a folder that nobody may list and that is TMPDIR, by a program of its own",
    BY_PROGRAM:format "'read', W .. '/dark/key'", only = "landlock", moving = true, env = { TMPDIR = "$W/dark" },
    flags = "--allow-run=$H --allow-read=$W/dark --allow-write=$W/dark --deny-read=$W/dark/key", takes = true, refused = "^refused EACCES",
    grant = "--allow-run=$H --allow-read=$W/dark --allow-write=$W/dark", world = function(w)
      w.mkdir("dark")
      w.put("dark/key", w.secret)
      assert(require("uv").fs_chmod(w.dir .. "/dark", 192))
    end },
  { "removing what may not be written, by a program of its own, where there are sockets", BY_PROGRAM:format "'unlink', W .. '/out/keep'",
    only = "landlock", refused = "^refused EACCES", flags = "--allow-run=$H --allow-net --allow-write=$W/out --deny-write=$W/out/keep",
    grant = "--allow-run=$H --allow-net --allow-write=$W/out", world = function(w) w.put("out/keep", "x") end,
    check = still_there "/out/keep" },
  { "the same, below a folder of sockets", BY_PROGRAM:format "'unlink', W .. '/out/a/keep'", only = "landlock", refused = "^refused EACCES",
    flags = "--allow-run=$H --allow-listen=unix:$W/out/a/ --allow-write=$W/out --deny-write=$W/out/a/keep",
    grant = "--allow-run=$H --allow-listen=unix:$W/out/a/ --allow-write=$W/out", check = still_there "/out/a/keep",
    world = function(w) w.mkdir("out/a") w.put("out/a/keep", "x") end },
  { "what is denied in TMPDIR, which may be written", BY_PROGRAM:format "'read', W .. '/out/dark/key'", only = "landlock",
    env = { TMPDIR = "$W/out/dark" }, takes = true, refused = "^refused EACCES",
    flags = "--allow-run=$H --allow-read=$W/out --allow-write=$W/out/dark --deny-read=$W/out/dark",
    grant = "--allow-run=$H --allow-read=$W/out --allow-write=$W/out/dark", world = function(w)
      w.mkdir("out/dark")
      w.put("out/dark/key", w.secret)
    end },
  { "another name in TMPDIR of what is denied", BY_PROGRAM:format "'read', W .. '/out/tmp/hard'", only = "landlock",
    env = { TMPDIR = "$W/out/tmp" }, takes = true, refused = "^refused EACCES",
    flags = "--allow-run=$H --allow-read=$W/out --allow-write=$W/out/tmp --deny-read=$W/out/key",
    grant = "--allow-run=$H --allow-read=$W/out --allow-write=$W/out/tmp", world = function(w)
      w.mkdir("out/tmp")
      w.put("out/key", w.secret)
      w.hard("out/key", "out/tmp/hard")
    end },
  { "bytecode as a script", "mw.fs.write(W .. '/out/b.lua', '\\27Lua') return child { script = W .. '/out/b.lua' }", grant = false,
    flags = "--allow-read=$W/out --allow-write=$W/out", refused = { "exit" } },
}))

-- A birth that no parent gave. The descriptor is the only thing that such a child is told by.
local births = {}
for name, bytes in pairs {
  ["an empty one"] = "", ["a short one"] = "6d7762", ["one of another version"] = "6d77626972746800" .. ("ff"):rep(16),
  ["a good head and no policy"] = "6d77626972746800"  .. "01000000" .. "00000000" .. "ffffffff" .. "ffffffff",
  ["a good head and a long count"] = "6d7762697274680a" .. "01000000" .. "00000000" .. "ffffffff" .. "ffffffff" .. ("ff"):rep(64),
  ["a good head whose script is a descriptor of ours"] = "6d7762697274680a" .. "01000000" .. "00000000" .. "00000000" .. "01000000" .. ("00"):rep(32),
  ["a megabyte of zeros"] = ("00"):rep(1 << 15),
} do
  births[#births + 1] = { "a forged birth: " .. name, lua = ("return breakout('birth', M, W .. '/app/child.lua', %q)"):format(bytes),
    flags = "--trust-run=$H", grant = false, takes = false, refused = "^exit" }
end
table.sort(births, function(a, b) return a[1] < b[1] end)

attack.class("births", attack.all(births, attack.each({ flags = "--trust-run=$M", grant = false, takes = false, refused = { "exit" } }, {
  { "child-script from a shell", "return child { M, 'child-script', W .. '/app/child.lua', 'return 1' }" },
  { "child-script with rights behind it", "return child { M, 'child-script', '-A', W .. '/app/child.lua', 'return 1' }" },
  { "child-script with a file as the birth", "return child { M, 'child-script', W .. '/app/child.lua', stdin = 'x' }" },
  { "the control: moonwire itself runs", flags = "", grant = "--trust-run=$M", refused = "EDENIED", "return child { M, 'eval', 'print(1)' }" },
})))
