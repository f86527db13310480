--- A denial names the flag that grants it, as a shell takes it: pasted, it grants just that. Knows: the program under test.
local mw = require "moonwire"
local program = os.getenv("MOONWIRE") or "moonwire"

local dir
local function path(name) return dir.path .. "/" .. name end

--- Runs `code` with words that a shell reads.
local function run(words, code, ...)
  return assert(mw.process.run {
    "bash", "-c", '"$0" eval ' .. words .. ' -- "$@"', program, "local mw = require 'moonwire' " .. code, ...,
    timeout = 60, env = { LC_ALL = "C" },
  })
end

--- The flag of the denial that `code` ends with.
local function flag_of(code, ...)
  local r = run("", code, ...)
  assert.equal(77, r.code, r.stderr)
  local flag = r.stderr:match "%(grant it with (.-)%)\n"
  assert.truthy(flag, r.stderr)
  return flag
end

--- The flag, pasted, grants it, and nothing that `other` (more arguments) names.
local function grants(code, arg, other)
  local flag = flag_of(code, arg)
  local r = run(flag, code .. " print 'granted'", arg)
  assert.equal("granted\n", r.stdout, flag .. "\n" .. r.stderr)
  if other then assert.equal(77, run(flag, code, other).code, flag) end
  return flag
end

describe("the flag that a denial names", function()
  before_each(function() dir = assert(mw.fs.tempdir()) end)
  after_each(function() dir:close() end)

  local odd = {
    "plain", "two words", "a,b", "a\\b", "it's", 'a"b', "$HOME", "`x`", "a;b&c|d", "*?[x]", "!x", "~", "#x", "(x)", "{a,b}", "-x", "=x",
    "tab\tx", "line\nbreak", "\27[31m", "bad\xffbytes\xc3'", "caf\u{e9}", "bidi\u{202e},'x", "\\x41", " x ", "a\\,b", "%s", "$'x'", "<x>",
  }

  for _, name in ipairs(odd) do
    it("grants the file " .. name:gsub("[^ -~]", "?") .. " when it is pasted", function()
      assert(mw.fs.write(path(name), "x"))
      assert(mw.fs.write(path(name .. "2"), "x"))
      grants("assert(io.open(arg[1])):close()", path(name), path(name .. "2"))
    end)
  end

  it("grants a variable, an address, a host, a socket, a program and a fact", function()
    local get = "local v = mw.env[arg[1]]"
    for _, name in ipairs { "HOME", "A B", "A,B", "A'B", "A\27" } do grants(get, name, name .. "2") end
    assert.equal("--allow-env=HOME", grants(get, "HOME"))
    local listen = "assert(mw.net.listen(arg[1])):close()"
    assert.equal("--allow-net=127.0.0.1:0", grants(listen, "tcp://127.0.0.1:0", "tcp://127.0.0.1:1"))
    assert.equal("'--allow-net=[::1]:0'", flag_of(listen, "tcp://[::1]:0"))
    assert.equal("--allow-net=:0", grants(listen, "tcp://*:0", "tcp://*:65000"))
    grants(listen, "unix:" .. path "so cket", "unix:" .. path "x")
    grants(listen, "unix:@denial-spec 'x'", "unix:@denial-spec")
    assert(mw.fs.write(path "a tool", "#!/bin/sh\nexit 0\n"))
    assert(mw.process.run { "chmod", "+x", path "a tool", check = true })
    grants("assert(mw.process.run{ arg[1] })", path "a tool", "true")
    assert.equal("--allow-run=true", grants("assert(mw.process.run{ arg[1] })", "true", path "a tool"))
    assert.equal("--allow-sys=cpus", grants("assert(mw.sys[arg[1]]())", "cpus", "hostname"))
  end)

  it("grants a process for each task of a pool", function()
    grants([[
      local pool <close> = assert(mw.process.pool{ mode = "oneshot", command = function(name) return { name } end })
      assert(pool:call(arg[1]))]], "true", "false")
  end)

  it("grants a temporary directory, whatever follows it", function()
    local make = "local d <close> = assert(mw.fs.tempdir())"
    local flag = run("", make).stderr:match "grant it with (%S+)"
    assert.equal(0, run(flag, make).code, flag)
  end)

  it("grants what a script child is to have", function()
    assert(mw.fs.write(path "kid.lua", ""))
    local own = "--allow-read=" .. path "kid.lua" .. " "
    local code = ("assert(mw.process.run{ script = %q, permissions = { read = { arg[1] } } }.ok)"):format(path "kid.lua")
    for _, name in ipairs { "two words", "a,b", "it's" } do
      local denied = run(own, code, path(name))
      assert.equal(77, denied.code, denied.stderr)
      local flag = denied.stderr:match "%(grant it with (.-)%)\n"
      assert.equal(0, run(own .. flag, code, path(name)).code, flag)
    end
  end)

  it("is only named where its whole text would be too long", function()
    local r = run("", "io.open(arg[1])", "/" .. ("long name/"):rep(60))
    assert.equal(77, r.code)
    assert.truthy(r.stderr:find("grant it with --allow-read and its whole name", 1, true), r.stderr)
  end)

  it("is the one of everything for what no rule can name, where that is all that is missing", function()
    assert.equal("--allow-all", run("--allow-read", "io.open '/proc/self/mem'").stderr:match "%(grant it with (.-)%)")
    assert.equal("--allow-read=/proc/self/mem", run("", "io.open '/proc/self/mem'").stderr:match "%(grant it with (.-)%)")
  end)

  it("is told apart from a denying flag, a drop, a policy file and a child's permissions", function()
    assert(mw.fs.write(path "p.json", [[{"env": ["A"], "deny": {"env": ["A_KEY"]}}]]))
    assert(mw.fs.write(path "child.lua", "local v = require 'moonwire'.env.HOME"))
    local get = "local v = mw.env.HOME"
    for words, text in pairs {
      ["--allow-env --deny-env=HOME"] = "(--deny-env=HOME forbids it)",
      ["--policy=" .. path "p.json"] = 'add it to its list "env"',
      ["--policy=" .. path "p.json" .. " -A"] = "the policy file does not grant it",
    } do
      assert.truthy(run(words, get).stderr:find(text, 1, true), run(words, get).stderr)
    end
    local key = run("--policy=" .. path "p.json", "local v = mw.env.A_KEY").stderr
    assert.truthy(key:find("deny = { env=A_KEY } in the policy file forbids it", 1, true), key)
    local dropped = run("--allow-env", "mw.permissions.drop('env', 'HOME') " .. get).stderr
    assert.truthy(dropped:find("(the right was dropped)", 1, true), dropped)
    local start = "io.write(mw.process.run{ script = arg[1] }.stderr)"
    local child = run("--allow-env --allow-read=" .. path "child.lua", start, path "child.lua").stdout
    assert.truthy(child:find("permissions = { env = ... } where this script is started", 1, true), child)
  end)
end)
