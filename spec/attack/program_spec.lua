-- Attacks on what may be started, and on what a started program is given: names, links, interpreters, environments, descriptors.
local attack = assert(loadfile("spec/attack/support.lua", "t", _ENV))()

local READ = "W .. '/secret'"
local function tool(w) w.put("in/tool", "#!/bin/cat\n", 493) end
local function shell(w) w.put("in/tool", "#!/bin/sh\ncat " .. w.dir .. "/secret\n", 493) end

--- A trusted program in a folder that the script may write in.
local TOOL_OUT, ANY_OUT = "--trust-run=$W/out/tool --allow-read=$W/out --allow-write=$W/out", "--trust-run --allow-read=$W/out --allow-write=$W/out"
local REWRITE = "local function rewrite(path) local f <close> = assert(io.open(path, 'w')) return f:write('#!/bin/cat\\n') end "
local function quiet(w) w.put("out/tool", "#!/bin/true\n", 493) end

attack.class("programs", attack.each({ flags = "--trust-run=true", grant = "--trust-run", takes = true }, {
  { "another program by name", "return child { 'cat', " .. READ .. " }" },
  { "by its path", "return child { '/bin/cat', " .. READ .. " }" },
  { "by a path with ..", "return child { '/usr/bin/../bin/cat', " .. READ .. " }" },
  { "by a relative path", "return child { './tool', " .. READ .. " }", world = shell, cwd = "/in" },
  { "by a link whose name is a granted program's", "return child { W .. '/in/true', " .. READ .. " }", world = function(w) w.link("/bin/cat", "in/true") end },
  { "by a PATH of the script's own", "local out = child { 'true', " .. READ .. ", env = { PATH = W .. '/in' } } return out ~= '' and out", world = function(w)
    w.link("/bin/cat", "in/true") end, takes = false, grant = false, refused = { "absent", "EDENIED" } },
  { "by the folder that it starts in", "local out = child { 'true', " .. READ .. ", cwd = W .. '/in', env = { PATH = '.' } } return out ~= '' and out", world = function(w)
    w.link("/bin/cat", "in/true") end, takes = false, grant = false, refused = { "absent", "EDENIED" } },
  { "by the shell", "return mw.process.sh('cat ' .. " .. READ .. ").stdout" },
  { "by the shell with a granted name in front", "local r = mw.process.sh('true; cat ' .. " .. READ .. ") return r.stdout" },
  { "by mw.process.lines", "for line in mw.process.lines { 'cat', " .. READ .. " } do return line end" },
  { "by mw.process.pipe behind a granted one", "return mw.process.pipe { { 'true' }, { 'cat', " .. READ .. " } }.stdout" },
  { "by mw.process.spawn", "local c <close> = assert(mw.process.spawn { 'cat', " .. READ .. ", stdout = 'pipe' }) return c.stdout:read('a')" },
  { "by the loader", "return child { '/lib64/ld-linux-x86-64.so.2', '/bin/cat', " .. READ .. " }" },
  { "by env", "return child { 'env', 'cat', " .. READ .. " }" },
  { "by a # line of a granted file", "return child { W .. '/in/tool', " .. READ .. " }", world = tool, flags = "--trust-run=$W/in/tool --deny-run=/bin/cat",
    takes = false, grant = "--trust-run=$W/in/tool" },
  { "by a # line that names env", "return child { W .. '/in/tool' }", flags = "--trust-run=$W/in/tool --deny-run=cat", takes = false,
    world = function(w) w.put("in/tool", "#!/usr/bin/env cat\n", 493) end, grant = "--trust-run=$W/in/tool" },
  { "by a # line in a # line", "return child { W .. '/in/two' }", flags = "--trust-run=$W/in/two --deny-run=sh", world = function(w)
    shell(w) w.put("in/two", "#!" .. w.dir .. "/in/tool\n", 493) end, grant = false, refused = { "EDENIED", "ENOEXEC", "EACCES", "EINVAL" } },
  { "by a # line of 300 bytes", "return child { W .. '/in/tool' }", flags = "--trust-run=$W/in/tool", world = function(w)
    w.put("in/tool", "#!/bin/" .. ("x"):rep(300) .. "\n", 493) end, grant = false, refused = { "ENOEXEC", "EDENIED", "EINVAL", "ENOENT", "ENAMETOOLONG", "E2BIG" } },
  { "by a file that replaced the granted one", "assert(os.rename(W .. '/out/other', W .. '/out/tool')) return child { W .. '/out/tool', " .. READ .. " }",
    flags = "--trust-run=$W/out/tool --allow-read=$W/out --allow-write=$W/out", grant = "--trust-run --allow-read=$W/out --allow-write=$W/out",
    takes = false, world = function(w) w.put("out/tool", "#!/bin/true\n", 493) w.put("out/other", "#!/bin/cat\n", 493) end },
  { "by writing into the granted one", REWRITE .. "assert(rewrite(W .. '/out/tool')) return child { W .. '/out/tool', " .. READ .. " }", flags = TOOL_OUT,
    grant = ANY_OUT, takes = false, world = quiet },
  { "by writing into it under another name of it", REWRITE .. "assert(rewrite(W .. '/out/again')) return child { W .. '/out/tool', " .. READ .. " }",
    flags = TOOL_OUT, grant = ANY_OUT, takes = false, world = function(w) quiet(w) assert(require("uv").fs_link(w.dir .. "/out/tool", w.dir .. "/out/again")) end },
  { "by writing into it with the right to write everything", REWRITE .. "assert(rewrite(W .. '/out/tool')) return child { W .. '/out/tool', " .. READ .. " }",
    flags = "--trust-run=$W/out/tool --allow-write", grant = "--trust-run --allow-write", takes = false, world = quiet },
  { "by writing into the one that a policy file grants", REWRITE .. "assert(rewrite(W .. '/out/tool')) return child { W .. '/out/tool', " .. READ .. " }",
    flags = "--policy=$W/in/policy", grant = ANY_OUT, takes = false, world = function(w)
      quiet(w) w.put("in/policy", ('{ "trust": ["%s/out/tool"], "write": ["%s/out"] }'):format(w.dir, w.dir)) end },
  { "by having a caged program write into it", "assert(mw.process.run { 'sh', '-c', 'echo \"#!/bin/cat\" > ' .. W .. '/out/tool' })"
    .. " local out = child { W .. '/out/tool', " .. READ .. " } return out ~= '' and out", cage = true, flags = TOOL_OUT .. " --allow-run=sh", grant = ANY_OUT,
    takes = false, world = quiet, refused = "absent" },
  { "by a link that was turned after the start", "os.remove(W .. '/out/tool') require('uv').fs_symlink('/bin/cat', W .. '/out/tool')"
    .. " return child { W .. '/out/tool', " .. READ .. " }", flags = "--trust-run=$W/out/tool --allow-read --allow-write=$W/out,/bin --deny-read=$W/secret",
    world = function(w) w.link("/bin/true", "out/tool") end, grant = false, refused = "EDENIED" },
  { "after the right was dropped", "mw.permissions.drop('run', 'cat') return child { 'cat', " .. READ .. " }", flags = "--trust-run", grant = false },
  { "after another name's right was dropped: the file counts", "mw.permissions.drop('run', '/bin/cat') return child { 'cat', " .. READ .. " }",
    flags = "--trust-run", grant = false },
  { "by a name with a NUL byte", "return child { 'true\\0cat' }", grant = false, refused = { "EINVAL", "NUL" } },
  { "by an argument with a NUL byte", "return child { 'true', 'a\\0b' }", grant = false, refused = { "EINVAL", "NUL" } },
  { "by an empty name", "return child { '' }", grant = false, refused = { "EINVAL", "ENOENT", "EDENIED" } },
  { "by a folder", "return child { '/bin' }", grant = false, refused = { "EDENIED", "EACCES", "EINVAL" } },
  { "by argv that changes its mind", "local n = 0 local argv = setmetatable({}, { __index = function(_, i) n = n + 1 if i == 1 then return n > 1"
    .. " and 'cat' or 'true' end if i == 2 then return W .. '/secret' end end, __len = function() return 2 end }) return mw.process.run(argv).stdout",
    grant = false, refused = { "EINVAL", "EDENIED" } },
  { "by %s in shell text, with a quote in it", "local out = mw.process.sh { 'true %s', \"'; cat \" .. W .. \"/secret; '\" }.stdout return out ~= '' and out", flags = "--trust-run=sh",
    grant = false, takes = false, refused = "absent" },
}))

local LOADER = { LD_PRELOAD = "x.so", LD_LIBRARY_PATH = "/tmp", LD_AUDIT = "x.so", GCONV_PATH = "/tmp", LD_DEBUG_OUTPUT = "/tmp/x", LUA_INIT = "x",
  BASH_ENV = "x", ENV = "x", PYTHONSTARTUP = "x", PYTHONPATH = "x", PERL5OPT = "-Mx", PERL5LIB = "x", RUBYOPT = "-rx", NODE_OPTIONS = "--require x",
  GIT_SSH_COMMAND = "x", IFS = "x", NLSPATH = "x", LOCPATH = "x", MALLOC_TRACE = "/x", GLIBC_TUNABLES = "x", TMPDIR = false, JAVA_TOOL_OPTIONS = "x",
  GIT_EXEC_PATH = "x", GIT_CONFIG_GLOBAL = "x", PROMPT_COMMAND = "x", ["BASH_FUNC_ls%%"] = "() { x; }" }
local loader = {}
for name, value in pairs(LOADER) do
  if value then
    loader[#loader + 1] = { "control of the loader or interpreter by " .. name, flags = "--allow-run=$H", grant = "--trust-run=$H", takes = false,
      cage = true, lua = ("return child { H, 'env', %q, env = { [%q] = %q } }"):format(name, name, value) }
  end
end
table.sort(loader, function(a, b) return a[1] < b[1] end)

attack.class("environment", attack.all(loader, attack.each({ flags = "", grant = "--allow-env=ATTACK_TOKEN --trust-run=$H", env = { ATTACK_TOKEN = "tk-secret-77" },
  takes = false }, {
  { "os.getenv", "return os.getenv('ATTACK_TOKEN')" },
  { "mw.env", "return mw.env.ATTACK_TOKEN" },
  { "mw.env.get, which gives the default", "return mw.env.get('ATTACK_TOKEN')", refused = "absent" },
  { "pairs of mw.env", "for k in pairs(mw.env) do if k == 'ATTACK_TOKEN' then return k end end", refused = "absent" },
  { "rawget of mw.env", "return rawget(mw.env, 'ATTACK_TOKEN')", grant = false, refused = "absent" },
  { "another case of the name", "return os.getenv('attack_token')", flags = "--allow-env=X", grant = false },
  { "a prefix rule's neighbour", "return os.getenv('ATTACK_TOKEN')", flags = "--allow-env=ATTACK_X*,ATTACK" },
  { "a name with = in it", "return os.getenv('ATTACK_TOKEN=')", flags = "--allow-env=X", grant = false, refused = { "EINVAL", "EDENIED" } },
  { "what a child prints", "return breakout('env', 'ATTACK_TOKEN')", flags = "--trust-run=$H", refused = "ENOENT" },
  { "what a child prints, without its name", "return breakout('whole-env', 'tk-secret-77')", flags = "--trust-run=$H", refused = "ENOENT" },
  { "a child's variable taken from ours by an expansion", "return child({ H, 'env', 'Y', env = { Y = '$ATTACK_TOKEN' } }):match('tk.*')", flags = "--trust-run=$H",
    grant = false, refused = "absent" },
  { "a script child's environment", script = true, "return script({ permissions = { env = { 'ATTACK_TOKEN' } } }, [[return os.getenv('ATTACK_TOKEN')]])" },
  { "a script child with inherit", script = true, "return script({ permissions = 'inherit' }, [[return os.getenv('ATTACK_TOKEN')]])" },
  { "a name with a NUL byte", "return child { H, 'env', 'X', env = { ['X\\0Y'] = '1' } }", flags = "--trust-run=$H", grant = false, refused = "EINVAL" },
  { "a value with a line's end and more", "return child { H, 'env', 'Z', env = { X = '1\\nZ=2' } }", flags = "--trust-run=$H", grant = false, refused = "ENOENT" },
  { "a name with = that sets another", "return child { H, 'env', 'Z', env = { ['Z=2;X'] = '1' } }", flags = "--trust-run=$H", grant = false,
    refused = { "EINVAL", "ENOENT" } },
  { "MOONWIRE_ variables that would give rights", script = true, "return script({ env = { MOONWIRE_ALLOW_ALL = '1', MOONWIRE_OPTIONS = '-A' } }, [[return slurp and 1 or io.open(W .. '/secret')]])",
    grant = false, refused = { "EDENIED" } },
})))

attack.class("descriptors", attack.each({ flags = "--trust-run=$H", grant = false, takes = false, refused = "EBADF" }, {
  { "what a child inherits beyond three", "return breakout('descriptors')" },
  { "what a child inherits while files, sockets and timers are open", "local f = assert(mw.fs.open(W .. '/in/plain')) local l = assert(mw.net.listen('tcp://127.0.0.1:0'))"
    .. " local d = assert(io.open(W .. '/in/plain')) return breakout('descriptors')", flags = "--trust-run=$H --allow-read=$W/in --allow-listen" },
  { "what a child inherits from the user's own start", "return breakout('descriptors')", through = "with-descriptors" },
  { "what a child inherits with a stream as its input", "local f = assert(mw.fs.open(W .. '/in/plain')) return child { H, 'descriptors', stdin = f }",
    flags = "--trust-run=$H --allow-read=$W/in" },
  { "what a detached child inherits", "return child { H, 'descriptors', detached = true }" },
  { "what one child inherits of another's pipes", "local c <close> = mw.process.spawn { H, 'spin', '100', stdin = 'pipe', stdout = 'pipe' } return breakout('descriptors')" },
  { "a script child's way to its parent's descriptors", script = true, "return script({}, [[for i = 3, 30 do local ok, c = pcall(mw.net.connect, 'fd:' .. i) if ok and c then return i end end]])",
    flags = "", refused = { "ERROR", "absent", "nil" } },
  { "a closed stream as a child's input", "local f = assert(mw.fs.open(W .. '/in/plain')) f:close() return child { H, 'descriptors', stdin = f }",
    flags = "--trust-run=$H --allow-read=$W/in", refused = { "ECLOSED", "EINVAL" } },
  { "a child's input that is no stream", "return child { H, 'descriptors', stdin = 5 }", refused = "EINVAL" },
  { "the control: a file given as input arrives", "local f = assert(mw.fs.open(W .. '/secret')) return child { 'cat', stdin = f }", flags = "--trust-run=cat",
    grant = "--trust-run=cat --allow-read=$W", refused = "EDENIED", takes = true },
}))
