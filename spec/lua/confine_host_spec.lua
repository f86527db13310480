--- --confine: the host's own lock, as the rights see it and as the kernel holds it. Knows: mw, the program, proc(5).
local mw = require "moonwire"

local program = mw.env.get("MOONWIRE", "build/dev/moonwire")
local dir

local function path(name)
  return dir:join(name)
end

--- Runs the text with rights, without a terminal; `nothing` is in place of standard input.
local function run(rights, text, ...)
  assert(mw.fs.write(path "script.lua", "local mw = require 'moonwire'\nlocal fs = mw.fs\n" .. text))
  local argv = { program, "run", timeout = 60, stdin = "null", env = { TMPDIR = dir.path } }
  for _, right in ipairs(rights) do argv[#argv + 1] = right end
  argv[#argv + 1] = path "script.lua"
  for i = 1, select("#", ...) do argv[#argv + 1] = (select(i, ...)) end
  return assert(mw.process.run(argv))
end

--- What the script printed; it must have ended well.
local function said(rights, text, ...)
  local r = run(rights, text, ...)
  assert.equal("", r.stderr)
  assert.equal(0, r.code)
  return r.stdout
end

--- What the audit says of the lock, in one line.
local function lock_of(rights)
  os.remove(path "audit")
  local list = { "--audit=" .. path "audit" }
  for _, right in ipairs(rights) do list[#list + 1] = right end
  local r = run(list, "")
  local line = assert(mw.fs.read(path "audit")):match '[^\n]*"host lock"[^\n]*'
  return r.code, line:match '"outcome":"([^"]*)"', line:match '"subject":"([^"]*)"'
end

local has_landlock = mw.process.run { program, "eval", "--confine=strict", "--no-prompt", "1", stdin = "null" }.code == 0

describe("the host's own lock", function()
  before_each(function()
    dir = assert(mw.fs.tempdir())
    assert(mw.fs.write(path "data", "data"))
    assert(mw.fs.mkdir(path "tree/no", { parents = true }))
    assert(mw.fs.write(path "tree/yes", "yes"))
    assert(mw.fs.write(path "tree/no/secret", "secret"))
  end)
  after_each(function() dir:close() end)

  if not has_landlock then
    it("is left out by auto and refused by strict where there is no Landlock", function()
      assert.equal(0, run({}, "").code)
      assert.equal(2, run({ "--confine=strict" }, "").code)
    end)
    return
  end

  it("is put on by auto where there is no terminal, and the audit says so", function()
    assert.same({ 0, "locked", "process" }, { lock_of {} })
    assert.same({ 0, "locked", "process" }, { lock_of { "--allow-read", "--allow-run" } })
    assert.same({ 0, "locked", "process" }, { lock_of { "-A", "--deny-read=/etc/shadow" } })
  end)

  it("is left off with -A, with --trust-run and with --confine=off, and the audit says why", function()
    assert.same({ 0, "not locked", "everything is allowed" }, { lock_of { "-A" } })
    assert.same({ 0, "not locked", "--confine=off" }, { lock_of { "--confine=off" } })
    local code, outcome, why = lock_of { "--trust-run=true" }
    assert.same({ 0, "not locked" }, { code, outcome })
    assert.truthy(why:find("--trust-run", 1, true), why)
  end)

  it("is refused by strict together with --trust-run, before the script runs", function()
    local r = run({ "--confine=strict", "--trust-run=true" }, "print 'ran'")
    assert.same({ 2, "" }, { r.code, r.stdout })
    assert.truthy(r.stderr:find("^moonwire: %-%-confine=strict: %-%-trust%-run [^\n]*; nothing was run\n$"), r.stderr)
  end)

  it("is refused by strict on a terminal where a person could be asked, and is put on with --no-prompt", function()
    local function on_terminal(...)
      local p <close> = assert(mw.process.spawn { program, "eval", pty = true, ... })
      local text = ""
      for chunk in function() return p.stdout:read_some() end do text = text .. chunk end
      return text, p:wait().code
    end
    local text, code = on_terminal("--confine=strict", "print 'ran'")
    assert.equal(2, code)
    assert.truthy(text:find("add --no-prompt", 1, true), text)
    text, code = on_terminal("--confine=strict", "--no-prompt", "print 'ran'")
    assert.equal(0, code, text)
  end)

  it("lets everything through that is granted", function()
    assert.equal("data\n", said({ "--confine=strict", "--allow-read=" .. path "data" }, "print(fs.read(arg[1]))", path "data"))
    assert.equal("new\ttrue\n", said({ "--confine=strict", "--allow-read=" .. path "new", "--allow-write=" .. path "new" }, [[
      assert(fs.write(arg[1], "old"))
      assert(fs.write(arg[1], "new"))
      print(fs.read(arg[1]), fs.remove(arg[1]))]], path "new"))
    assert.equal("a b\n", said({ "--confine=strict", "--allow-read=" .. path "made", "--allow-write=" .. path "made" }, [[
      local d = arg[1]
      assert(fs.mkdir(d))
      assert(fs.write(d .. "/a", "1"))
      assert(fs.rename(d .. "/a", d .. "/c"))
      assert(fs.write(d .. "/a", "1"))
      assert(fs.rename(d .. "/c", d .. "/b"))
      print(table.concat(fs.list(d), " "))
      assert(fs.remove(d, { tree = true }))]], path "made"))
  end)

  it("lets a script work beside what is denied to it", function()
    local rights = { "--confine=strict", "--allow-read=" .. path "tree", "--allow-write=" .. path "tree", "--deny-read=" .. path "tree/no",
      "--deny-write=" .. path "tree/no" }
    assert.equal("yes new\nEDENIED EDENIED\nnew no yes\n", said(rights, [[
      local t = arg[1]
      assert(fs.write(t .. "/new", "new"))
      print(fs.read(t .. "/yes") .. " " .. fs.read(t .. "/new"))
      print(select(2, pcall(fs.read, t .. "/no/secret")).code .. " " .. select(2, pcall(fs.write, t .. "/no/secret", "")).code)
      print(table.concat(fs.list(t), " "))
      fs.remove(t .. "/new")]], path "tree"))
    rights = { "--confine=strict", "--allow-read", "--deny-read=" .. path "tree/no" }
    assert.equal("yes EDENIED no yes\n", said(rights, [[
      local t = arg[1]
      print(fs.read(t .. "/yes") .. " " .. select(2, pcall(fs.read, t .. "/no/secret")).code .. " " .. table.concat(fs.list(t), " "))]],
      path "tree"))
  end)

  it("lets programs run from anywhere that is granted, and holds them", function()
    assert.equal(0, mw.process.run({ "cp", "/bin/cat", path "mycat" }).code)
    local text = [[print(mw.process.run({ arg[1], arg[2] }).stdout, mw.process.run({ arg[1], arg[3] }).code)]]
    local files = { path "mycat", path "data", path "tree/yes" }
    for _, right in ipairs { "--allow-run=" .. path "mycat", "--allow-run" } do
      assert.equal("data\t1\n", said({ "--confine=strict", right, "--allow-read=" .. path "data" }, text, table.unpack(files)))
    end
  end)

  it("lets a program that is installed elsewhere list the folders that it loads from", function()
    assert(mw.fs.mkdir(path "tool/bin", { parents = true }))
    assert(mw.fs.mkdir(path "tool/lib"))
    assert(mw.fs.write(path "tool/lib/part", ""))
    assert(mw.fs.write(path "tool/bin/lister", "#!/bin/sh\nls '" .. path "tool/lib" .. "' && ! ls '" .. path "tree" .. "' 2>&-\n"))
    assert.equal(0, mw.process.run({ "chmod", "755", path "tool/bin/lister" }).code)
    for _, right in ipairs { "--allow-run=" .. path "tool/bin/lister", "--allow-run" } do
      assert.equal("part\n\t0\n", said({ "--confine=strict", right },
        "local r = mw.process.run { arg[1] } print(r.stdout, r.code)", path "tool/bin/lister"))
    end
  end)

  it("changes what is in a granted folder, and leaves the folder itself where it is", function()
    local text = [[
      local t = arg[1]
      print(fs.remove(t .. "/no", { tree = true }), fs.mkdir(t .. "/new"), fs.rename(t .. "/new", t .. "/newer"))
      local ok, err = fs.remove(t, { tree = true })
      print(ok, err and err.code)]]
    local above = { "--confine=strict", "--allow-read=" .. dir.path, "--allow-write=" .. dir.path }
    assert.equal("true\ttrue\ttrue\nnil\tEACCES\n",
      said({ "--confine=strict", "--allow-read=" .. path "tree", "--allow-write=" .. path "tree" }, text, path "tree"))
    assert(mw.fs.mkdir(path "tree/no"))
    assert.equal("true\ttrue\ttrue\ntrue\tnil\n", said(above, text, path "tree"))
  end)

  it("lets temporary files, terminals and script children work", function()
    assert(mw.fs.write(path "child.lua", "local mw = require 'moonwire' print(mw.fs.read(arg[1]))"))
    local rights = { "--confine=strict", "--allow-write=" .. dir.path, "--allow-read=" .. path "data", "--allow-run=sh" }
    assert.equal("text\nterminal\r\ndata\n", said(rights, [[
      local f = assert(io.tmpfile())
      f:write "text" f:seek "set" print(f:read "a") f:close()
      local p <close> = assert(mw.process.spawn { "sh", "-c", "echo terminal", pty = true })
      io.write(p.stdout:read "L")
      io.write(assert(mw.process.run { script = arg[1], arg[2], permissions = { read = { arg[2] } } }).stdout)]],
      path "child.lua", path "data"))
  end)

  it("lets Unix and TCP sockets work that are granted", function()
    assert.equal("hello\nhello\n", said({ "--confine=strict", "--allow-net=127.0.0.1,unix:" .. path "sock" }, [[
      for _, at in ipairs { "tcp://127.0.0.1:0", "unix:" .. arg[1] } do
        local server <close> = assert(mw.net.listen(at))
        mw.task.spawn_with({ daemon = true }, server.serve, server, function(c) for line in c:lines() do c:write(line, "\n") end end)
        local c <close> = assert(mw.net.connect(server:address()))
        assert(assert(c:write "hello\n"):finish())
        io.write(c:read "a")
      end]], path "sock"))
  end)

  it("lets Unix sockets be made anywhere, and removed again, by who may listen everywhere", function()
    for _, right in ipairs { "--allow-net", "--allow-listen" } do
      assert.equal("true true\n", said({ "--confine=strict", "--allow-read", right }, [[
        local server = assert(mw.net.listen("unix:" .. arg[1]))
        local made = fs.stat(arg[1]) ~= nil
        server:close()
        print(made, fs.stat(arg[1]) == nil)]], path "sock"):gsub("\t", " "))
    end
  end)

  it("lets specs be found and read", function()
    assert(mw.fs.write(path "one_spec.lua", "describe('x', function() it('y', function() assert.equal(1, 1) end) end)"))
    local r = assert(mw.process.run { program, "test", "--confine=strict", path "one_spec.lua", stdin = "null", timeout = 60 })
    assert.equal(0, r.code, r.stdout .. r.stderr)
    assert.truthy(r.stdout:find("1 passed, 0 failed", 1, true), r.stdout)
  end)

  it("is not put on again in script children, and nests in programs that lock themselves", function()
    assert(mw.fs.write(path "deep.lua", [[
      local mw = require "moonwire"
      local n = tonumber(arg[1])
      if n == 0 then print "bottom" return end
      io.write(assert(mw.process.run { script = arg[0], tostring(n - 1), permissions = "inherit" }).stdout)]]))
    local rights = { "--confine=strict", "--allow-read=" .. path "deep.lua" }
    local r = assert(mw.process.run { program, "run", rights[1], rights[2], path "deep.lua", "5", stdin = "null", timeout = 60 })
    assert.same({ 0, "bottom\n" }, { r.code, r.stdout }, r.stderr)
  end)
end)
