-- The rights of a whole run: flags, what they grant, and what no trick gets past them.
local mw = require "moonwire"
local fs, net, task = mw.fs, mw.net, mw.task
local program = os.getenv("MOONWIRE") or "moonwire"

local dir

local function path(name) return dir.path .. "/" .. name end

local function run(rights, code, ...)
  local argv = { program, "eval", timeout = 20 }
  for _, right in ipairs(rights) do argv[#argv + 1] = right end
  argv[#argv + 1] = "local mw = require('moonwire') " .. code
  for i = 1, select("#", ...) do argv[#argv + 1] = (select(i, ...)) end
  return assert(mw.process.run(argv))
end

local function granted(...)
  local r = run(...)
  assert.equal("", r.stderr)
  assert.equal(0, r.code)
  return r.stdout
end

local function refused(flag, ...)
  local r = run(...)
  assert.equal(77, r.code)
  assert.truthy(r.stderr:find(flag, 1, true), r.stderr)
  return r
end

describe("a flag", function()
  it("that cannot be read stops the program, and the error points at the place", function()
    for flag, column in pairs {
      ["--allow-net=10.0.0.7:99999"] = "column 10", ["--allow-net=127.1"] = "column 1", ["--allow-net="] = "names nothing",
      ["--allow-read="] = "names nothing", ["--allow-sys=nothing"] = "column 1", ["--allow-env=A*B"] = "column 2",
      ["--allow-net=a,,b"] = "column 1", ["--deny-net=[::1"] = "column 1", ["--allow-net=10.0.0.0/33"] = "column 10",
    } do
      local r = run({ flag }, "print('ran')")
      assert.equal(2, r.code, flag)
      assert.equal("", r.stdout)
      assert.truthy(r.stderr:find(column, 1, true), r.stderr)
    end
    local r = run({ "--allow-run=no-such-program-here" }, "print('ran')")
    assert.equal("", r.stdout)
    assert.truthy(r.code ~= 0 and r.stderr:find("no-such-program-here", 1, true))
  end)

  it("of a path that does not exist yet is a plain rule", function()
    local tmp <close> = assert(fs.tempdir())
    assert.equal("true\n", granted({ "--allow-write=" .. tmp.path .. "/new", "--allow-read=" .. tmp.path .. "/new" }, [[
      local f = assert(io.open(arg[1], "w"))
      f:write("x"):close()
      print(io.open(arg[1]):read("a") == "x")
    ]], tmp.path .. "/new"))
  end)
end)

describe("without its right", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("a connection is refused before anything is sent, with the flag named", function()
    local srv <close> = assert(net.listen("tcp://127.0.0.1:0"))
    local port = srv:address():match(":(%d+)$")
    local where = "127.0.0.1:" .. port
    local r = refused("net connect " .. where .. ": denied (grant it with --allow-net=" .. where .. ")", {},
      "mw.net.connect(arg[1])", srv:address())
    assert.equal("", r.stdout)
    refused("--allow-net=", { "--allow-net=127.0.0.1:1" }, "mw.net.connect(arg[1])", srv:address())
    refused("--allow-net=", { "--allow-listen=" .. where }, "mw.net.connect(arg[1])", srv:address())
    refused("--deny-net=" .. where, { "--allow-net", "--deny-net=" .. where }, "mw.net.connect(arg[1])", srv:address())
    for _, spelling in ipairs { "tcp://0.0.0.0:", "tcp://[::ffff:127.0.0.1]:", "tcp://localhost:" } do
      refused("denied", { "--allow-net", "--deny-net=127.0.0.0/8,[::1]" }, "mw.net.connect(arg[1])", spelling .. port)
    end
    task.spawn_with({ daemon = true }, srv.serve, srv, function(conn) conn:write("hi\n") end)
    assert.equal("hi\n", granted({ "--allow-connect=" .. where }, "print((mw.net.connect(arg[1]):read('l')))", srv:address()))
  end)

  it("a Unix socket is refused by name and through a link", function()
    local srv <close> = assert(net.listen("unix:" .. path("s")))
    assert(mw.process.run { "ln", "-s", path("s"), path("l"), check = true })
    refused("--allow-net=unix:" .. path("s"), {}, "mw.net.connect(arg[1])", "unix:" .. path("s"))
    refused("--allow-net=unix:" .. path("l"), { "--allow-net=unix:" .. path("x") }, "mw.net.connect(arg[1])", "unix:" .. path("l"))
    refused("--allow-net=unix:" .. path("s"), { "--allow-read", "--allow-write" }, "mw.net.connect(arg[1])", "unix:" .. path("s"))
    task.spawn_with({ daemon = true }, srv.serve, srv, function(conn) conn:write("hi\n") end)
    assert.equal("hi\n", granted({ "--allow-connect=unix:" .. path("s") },
      "print((mw.net.connect(arg[1]):read('l')))", "unix:" .. path("s")))
  end)

  it("a program is refused by name, by path, through links and by its interpreter", function()
    assert(fs.write(path("tool"), "#!/bin/sh\necho ran\n"))
    assert(mw.process.run { "chmod", "+x", path("tool"), check = true })
    assert(mw.process.run { "ln", "-s", "/bin/sh", path("cat"), check = true })
    refused("grant it with --allow-run=sh", {}, "mw.process.run{ 'sh', '-c', 'echo ran' }")
    refused("grant it with --allow-run=", { "--allow-run=cat" }, "mw.process.run{ arg[1], '-c', 'echo ran' }", path("cat"))
    refused("grant it with --allow-run=", { "--allow-run=sh" }, "mw.process.run{ arg[1] }", path("tool"))
    refused("denied", { "--allow-run", "--deny-run=sh" }, "mw.process.run{ arg[1] }", path("tool"))
    refused("grant it with --allow-run=no-such", {}, "mw.process.run{ 'no-such' }")
    assert.equal("ran\n\n", granted({ "--allow-run=" .. path("tool") }, "print(mw.process.run{ arg[1] }.stdout)", path("tool")))
    assert.equal("ran\n\n", granted({ "--allow-run=sh" }, "print(mw.process.run{ '/bin/sh', '-c', 'echo ran' }.stdout)"))
  end)

  it("files are refused in the same words whether they exist or not", function()
    local there = refused("denied", {}, "mw.fs.read(arg[1])", path("f")).stderr
    assert(fs.write(path("f"), "x"))
    assert.equal(there, refused("denied", {}, "mw.fs.read(arg[1])", path("f")).stderr)
    refused("--allow-write=" .. path("f"), { "--allow-read=" .. dir.path }, "mw.fs.write(arg[1], 'y')", path("f"))
    refused("--allow-write=" .. path("f"), { "--allow-read=" .. dir.path }, "mw.fs.remove(arg[1])", path("f"))
    assert.equal("x", fs.read(path("f")))
  end)

  it("variables and the machine's facts are refused", function()
    refused("--allow-env=HOME", { "--allow-env=PATH" }, "print(mw.env.HOME)")
    refused("--allow-sys=hostname", { "--allow-sys=cpus" }, "mw.sys.hostname()")
  end)
end)

describe("the more specific rule", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("wins in a tree, and denied files stay denied under every name", function()
    assert(fs.mkdir(path("a/secret"), { parents = true }))
    assert(fs.write(path("a/f"), "f"))
    assert(fs.write(path("a/secret/key"), "k"))
    assert(fs.write(path("a/secret/open"), "o"))
    local rights = { "--allow-read=" .. path("a"), "--deny-read=" .. path("a/secret"), "--allow-read=" .. path("a/secret/open"),
      "--allow-write=" .. dir.path }
    assert.equal("f\no\n", granted(rights, "print(mw.fs.read(arg[1])) print(mw.fs.read(arg[2]))", path("a/f"), path("a/secret/open")))
    refused("--deny-read=" .. path("a/secret"), rights, "mw.fs.read(arg[1])", path("a/secret/key"))
    refused("denied", rights, "mw.fs.rename(arg[1], arg[2])", path("a/secret/key"), path("a/key"))
    assert(mw.process.run { "mv", path("a/secret"), path("a/moved"), check = true })
    assert.equal("k\n", granted(rights, "print(mw.fs.read(arg[1]))", path("a/moved/key"))) -- another run: a rule is a name when it starts
    assert(mw.process.run { "mv", path("a/moved"), path("a/secret"), check = true })
    assert.equal("false\n", granted({ "--trust-run=mv", rights[1], rights[2] }, [[
      mw.process.run{ "mv", arg[1], arg[2], check = true }
      print((pcall(mw.fs.read, arg[2] .. "/key")))
    ]], path("a/secret"), path("a/moved")))
  end)
end)

describe("a script child", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  local child = [[
    local p = require("moonwire").permissions
    local t = {}
    for i = 1, #arg, 2 do t[#t + 1] = p.query(arg[i], arg[i + 1]) end
    print(table.concat(t, " "))
  ]]

  it("has the intersection of what it was given and what its parent has, and none by default", function()
    assert(fs.write(path("child.lua"), child))
    local argv = "script = arg[1], 'read', arg[2], 'read', '/usr', 'env', 'HOME'"
    local rights = { "--allow-read=" .. dir.path, "--allow-env" }
    local function ask(permissions)
      return granted(rights, ("print(mw.process.run{ %s, %s }.stdout)"):format(argv, permissions), path("child.lua"), dir.path)
    end
    assert.equal("denied denied denied\n\n", ask("timeout = 10"))
    assert.equal("granted denied denied\n\n", ask("permissions = { read = { arg[2] } }"))
    assert.equal("granted denied granted\n\n", ask("permissions = 'inherit'"))
    assert.equal("granted denied denied\n\n", granted({ "--allow-read=" .. dir.path, "--allow-env" }, [[
      mw.permissions.drop("env")
      print(mw.process.run{ script = arg[1], 'read', arg[2], 'read', '/usr', 'env', 'HOME', permissions = 'inherit' }.stdout)
    ]], path("child.lua"), dir.path))
  end)

  it("cannot be given more than its parent has", function()
    assert(fs.write(path("child.lua"), child))
    local r = run({ "--allow-read=" .. dir.path },
      "print(pcall(mw.process.run, { script = arg[1], permissions = { read = { '/' } } }))", path("child.lua"))
    assert.truthy(r.stdout:find("^false"), r.stdout)
    assert.truthy(r.stdout:find("at most what its parent has", 1, true), r.stdout)
  end)
end)
