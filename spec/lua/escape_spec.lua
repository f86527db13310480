-- What a script must not come by on a side way: each of these was one, or would be.
local mw = require "moonwire"
local fs = mw.fs
local program = os.getenv("MOONWIRE") or "moonwire"

local dir
local function put(name, text) assert(fs.write(dir.path .. "/" .. name, text)) end

--- Runs `text` as dir/main.lua with these rights; its output.
local function main(rights, text)
  put("main.lua", "local mw = require 'moonwire' " .. text)
  local argv = { program, "run", timeout = 30, env = { ASAN_OPTIONS = "detect_leaks=0" } }
  for _, right in ipairs(rights) do argv[#argv + 1] = right end
  argv[#argv + 1] = dir.path .. "/main.lua"
  local r = assert(mw.process.run(argv))
  assert.equal("", r.stderr)
  return r.stdout
end

describe("a script", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("does not learn from mw.permissions.drop whether a program is there", function()
    local out = main({ "--allow-run=true" }, [[
      for _, name in ipairs { "/etc/passwd", "/etc/passwd.no", "/etc/passwd/x", "/bin/cat", "cat", "no-such-program" } do
        print(mw.permissions.drop("run", name))
      end
      print(#mw.permissions.list())
    ]])
    assert.equal(("true\n"):rep(6) .. "7\n", out)
  end)

  it("is told so where its own grant could have meant that program", function()
    assert.equal("nil\tENOENT\n", main({ "--allow-run" }, [[
      local ok, err = mw.permissions.drop("run", "no-such-program")
      print(ok, err.code)
    ]]))
  end)

  it("can give a child what it could have had after it dropped a program that is not there", function()
    put("child.lua", "print(require('moonwire').permissions.query('run', 'true'))")
    assert.equal("granted\n", main({ "--allow-run=true" }, [[
      assert(mw.permissions.drop("run", "/nowhere/tool"))
      assert(mw.permissions.drop("run", "nothing"))
      io.write(mw.process.run { script = "child.lua", permissions = "inherit" }.stdout)
    ]]))
  end)

  it("does not learn from a child's permissions whether a program is there", function()
    put("child.lua", "")
    local out = main({}, [[
      for _, name in ipairs { "/etc/passwd", "/etc/passwd.no", "/etc/passwd/x", "/bin/cat", "no-such-program" } do
        local _, err = pcall(mw.process.run, { script = "child.lua", permissions = { run = { name } } })
        print(err.code, (err.message:gsub(name:gsub("%p", "%%%0"), "IT")))
      end
    ]])
    local first = out:match("[^\n]*\n")
    assert.truthy(first:find("EDENIED", 1, true))
    assert.equal(first:rep(5), out)
  end)

  it("runs only Lua files beside it without a read right, and none that is denied", function()
    put("notes.txt", "the password is hunter2")
    put("denied.lua", "print('ran')")
    put("free.lua", "print('ran')")
    assert.equal("false\tEDENIED\nfalse\tEDENIED\ntrue\tran\n", main({ "--deny-read=" .. dir.path .. "/denied.lua" }, [[
      for _, name in ipairs { "notes.txt", "denied.lua", "free.lua" } do
        local ok, r = pcall(mw.process.run, { script = name })
        print(ok, r.code ~= 0 and r.code or r.stdout:match("%S+"))
      end
    ]]))
  end)

  it("cannot change how a child looks names up", function()
    put("child.lua", "")
    assert.equal("EDENIED\nEDENIED\n", main({ "--allow-net=api" }, [[
      for _, name in ipairs { "LOCALDOMAIN", "RESOLV_HOST_CONF" } do
        local _, err = pcall(mw.process.run, { script = "child.lua", env = { [name] = "example.com" } })
        print(err.code)
      end
    ]]))
  end)

  it("is told by query that a script's denied interpreter will not run", function()
    put("tool", "#!/bin/sh\necho ran\n")
    assert(mw.process.run { "chmod", "+x", dir.path .. "/tool" })
    local text = ([[
      local name = "%s/tool"
      print(mw.permissions.query("run", name), (pcall(mw.process.run, { name })))
    ]]):format(dir.path)
    assert.equal("granted\ttrue\n", main({ "--allow-run=" .. dir.path .. "/tool" }, text))
    assert.equal("denied\tfalse\n", main({ "--allow-run=" .. dir.path .. "/tool", "--deny-run=sh" }, text))
  end)

  it("cannot stop its host with a child's permissions", function()
    put("child.lua", "")
    assert.equal("false\tEINVAL\ntrue\t0\n", main({ "--allow-env" }, [[
      local names = {}
      for i = 1, 100000 do names[i] = "N" .. i end
      local ok, r = pcall(mw.process.run, { script = "child.lua", permissions = { env = names } })
      print(ok, r.code)
      ok, r = pcall(mw.process.run, { script = "child.lua", permissions = { env = { table.unpack(names, 1, 1000) } } })
      print(ok, r.code)
    ]]))
  end)

  it("does not get the program's own modules", function()
    assert.equal("false\tfalse\tfalse\ttrue\n", main({}, [[
      print((pcall(require, "moonwire.preload")), (pcall(require, "moonwire.test")), (pcall(require, "moonwire.script")),
        (pcall(require, "moonwire.task")))
    ]]))
  end)
end)
