-- mw.permissions: what a script may ask about its rights, and give up.
local mw = require "moonwire"
local fs = mw.fs
local program = os.getenv("MOONWIRE") or "moonwire"

--- The output of code run with the rights given; the code's arguments follow.
local function output(rights, code, ...)
  local argv = { program, "eval", timeout = 20 }
  for _, right in ipairs(rights) do argv[#argv + 1] = right end
  argv[#argv + 1] = "local p = require('moonwire').permissions " .. code
  for i = 1, select("#", ...) do argv[#argv + 1] = (select(i, ...)) end
  local r = assert(mw.process.run(argv))
  assert.equal("", r.stderr)
  return r.stdout
end

describe("permissions.query", function()
  it("says what would happen, for every kind", function()
    assert.equal(("granted denied "):rep(7):sub(1, -2) .. "\n", output({
      "--allow-read=/usr/share", "--allow-net=10.0.0.0/8:80,*.example.com", "--allow-env=LC_*", "--allow-sys=cpus", "--allow-run=sh",
      "--allow-share=seg*", "--allow-connect=unix:/run/app/" }, [[
      local t = {}
      for _, q in ipairs {
        { "read", "/usr/share/doc" }, { "read", "/usr" }, { "net", "10.1.2.3:80" }, { "net", "10.1.2.3:81" },
        { "connect", "a.example.com:443" }, { "connect", "example.com:443" }, { "env", "LC_ALL" }, { "env", "LANG" },
        { "sys", "cpus" }, { "sys", "uid" }, { "run", "sh" }, { "run", "cat" },
        { "connect", "unix:/run/app/s" }, { "listen", "unix:/run/app/s" } } do
        t[#t + 1] = p.query(q[1], q[2])
      end
      print(table.concat(t, " "))
    ]]))
  end)

  it("asks about a whole kind without a subject", function()
    assert.equal("granted\tdenied\tdenied\n", output({ "--allow-env", "--allow-read=/tmp" },
      "print(p.query('env'), p.query('read'), p.query('net'))"))
    assert.equal("granted\tgranted\n", output({ "-A" }, "print(p.query('env'), p.query('read', '/proc/1/mem'))"))
    assert.equal("denied\n", output({ "--allow-read" }, "print(p.query('read', '/proc/1/mem'))"))
  end)

  it("is refused a kind or a subject that nobody knows, at the column", function()
    local out = output({}, [[
      local bad = { { "reed" }, { "net", "1.2.3.4:99999" }, { "net", "127.1" }, { "sys", "nothing" }, { "env", "" },
        { "env", "A\0B" }, { 1 } }
      for _, q in ipairs(bad) do
        local ok, err = pcall(p.query, q[1], q[2])
        print(ok, err.code, err)
      end
    ]])
    assert.equal(7, select(2, out:gsub("false\tEINVAL\t", "")))
    assert.truthy(out:find("at column 9", 1, true))
  end)

  it("never asks anybody, and a request without anybody to ask is denied", function()
    assert.equal("denied\tdenied\tgranted\n", output({ "--allow-env=X" },
      "print(p.query('env', 'HOME'), p.request('env', 'HOME'), p.request('env', 'X'))"))
  end)
end)

describe("permissions.drop", function()
  it("gives up exactly what it names, for good", function()
    local dir <close> = assert(fs.tempdir())
    assert(fs.write(dir.path .. "/a", "a"))
    assert(fs.write(dir.path .. "/b", "b"))
    assert.equal("true\nfalse\tEDENIED\ngranted\ndenied\n", output({ "--allow-read=" .. dir.path }, [[
      print(p.drop("read", arg[1] .. "/a"))
      local ok, err = pcall(io.open, arg[1] .. "/a")
      print(ok, err.code)
      print(p.query("read", arg[1] .. "/b"))
      p.drop("read")
      print(p.query("read", arg[1] .. "/b"))
    ]], dir.path))
  end)

  it("takes a host with all its ports, and a program", function()
    assert.equal("denied\tdenied\tgranted\tdenied\tgranted\n", output({ "-A" }, [[
      p.drop("net", "10.0.0.0/8") p.drop("run", "sh")
      print(p.query("connect", "10.1.1.1:80"), p.query("listen", "10.1.1.1"), p.query("connect", "11.1.1.1:80"),
        p.query("run", "sh"), p.query("run", "cat"))
    ]]))
  end)

  it("says that the right was dropped", function()
    local out = output({ "--allow-env" }, "p.drop('env', 'HOME') print(select(2, pcall(os.getenv, 'HOME')))")
    assert.truthy(out:find("the right was dropped", 1, true))
  end)

  it("leaves what runs already, and does not touch the parent", function()
    local dir <close> = assert(fs.tempdir())
    assert(fs.write(dir.path .. "/f", "still"))
    assert.equal("still\n", output({ "--allow-read=" .. dir.path }, [[
      local f = io.open(arg[1])
      p.drop("read")
      print((f:read("a")))
    ]], dir.path .. "/f"))
    assert.equal("granted", mw.permissions.query("read", dir.path))
  end)

  it("refuses a program that does not exist, and drops nothing", function()
    assert.equal("nil\tENOENT\tgranted\n", output({ "-A" },
      "local ok, err = p.drop('run', 'no-such-program') print(ok, err.code, p.query('run'))"))
  end)
end)

describe("permissions.list", function()
  it("tells every rule with its layer", function()
    local out = output({ "--allow-read=/tmp", "--deny-read=/tmp/x", "--allow-env" }, [[
      p.drop("env", "HOME")
      for _, r in ipairs(p.list()) do print(("%s %s %d %s"):format(r.kind, r.effect, r.layer, r.rule)) end
    ]])
    assert.equal("read allow 1 /tmp\nread deny 1 /tmp/x\nenv allow 1 nil\nenv deny 2 HOME\n", out)
  end)
end)
