-- Script children: this program again, with another script and at most our rights.
local mw = require "moonwire"
local process, fs = mw.process, mw.fs
local program = os.getenv("MOONWIRE") or "moonwire"
local confined = dofile("spec/support/confined.lua")(pending)

local dir

--- A main script under `rights`, and other files beside it; gives what it printed.
local function main(rights, text, files)
  assert(fs.write(dir.path .. "/main.lua", "local mw = require 'moonwire'\n" .. text))
  for name, content in pairs(files or {}) do assert(fs.write(dir.path .. "/" .. name, content)) end
  local command = { program, "run", timeout = 30 }
  for _, right in ipairs(rights) do command[#command + 1] = right end
  command[#command + 1] = dir.path .. "/main.lua"
  local r = assert(process.run(command))
  assert.equal("", r.stderr)
  return r.stdout
end

describe("a script child", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("runs without a run right, with its arguments, beside our script", confined(function()
    assert.equal("0\tchild.lua\ta b\t2\n", main({}, [[
      local r = mw.process.run { script = "child.lua", "a b", 2 }
      print(r.code, (r.stdout:gsub("\n", "")))
    ]], { ["child.lua"] = "print(require('moonwire').script.path:match('[^/]*$'), ...)" }))
    assert.equal("true\n", main({}, "print(mw.process.script { 'child.lua', 'x' }.ok)", {
      ["child.lua"] = "assert(... == 'x' and arg[1] == 'x')",
    }))
  end))

  it("is found, as modules are, beside a script that was named by way of ..", confined(function()
    assert(fs.mkdir(dir.path .. "/in"))
    assert(fs.write(dir.path .. "/main.lua", [[
      local mw = require "moonwire"
      print(require("part"), mw.process.run { script = "child.lua" }.stdout, mw.script.dir)]]))
    assert(fs.write(dir.path .. "/part.lua", "return 'part'"))
    assert(fs.write(dir.path .. "/child.lua", "io.write('child ', (require('part')))"))
    local r = assert(process.run { program, "run", dir.path .. "/in/../main.lua", timeout = 30 })
    assert.equal("", r.stderr)
    assert.equal("part\tchild part\t" .. dir.path .. "\n", r.stdout)
  end))

  it("has no rights unless some are given", function()
    assert.equal("EDENIED\nEDENIED\nEDENIED\n", main({ "-A" }, "io.write(mw.process.run { script = 'child.lua' }.stdout)", {
      ["child.lua"] = [[
        local mw = require "moonwire"
        local function env() return mw.env.HOME end
        for _, f in ipairs { function() mw.process.run { "true" } end, function() mw.fs.read "/etc/passwd" end, env } do
          local ok, err = pcall(f)
          print(err.code)
        end
      ]] }))
  end)

  it("has what it is given, and all of ours with \"inherit\"", confined(function()
    local child = { ["child.lua"] = [[
      local mw = require "moonwire"
      print(pcall(mw.process.run, { "true" }), (pcall(mw.process.run, { "false" })), (pcall(mw.fs.read, "/etc/passwd")))
    ]] }
    local text = "io.write(mw.process.run { script = 'child.lua', permissions = %s }.stdout)"
    local rights = { "--allow-run=true,false", "--allow-read=/etc" }
    assert.truthy(main(rights, text:format "{ run = { 'true' } }", child):find("^true\t.*false\tfalse\n$"))
    assert.truthy(main(rights, text:format "{ read = { '/etc/passwd' } }", child):find("^false\t.*false\ttrue\n$"))
    assert.truthy(main(rights, text:format "'inherit'", child):find("^true\t.*true\ttrue\n$"))
  end))

  it("can be given all that its parent has of a kind, and nothing of the others", confined(function()
    local child = { ["child.lua"] = [[
      local mw = require "moonwire"
      local function may(f, name) return (pcall(f, name)) end
      print(may(mw.fs.read, "/etc/passwd"), may(mw.fs.read, "/etc/group"), may(mw.fs.read, "/usr/lib/os-release"), may(os.getenv, "HOME"))
    ]] }
    local rights = { "--allow-read=/etc", "--deny-read=/etc/group", "--allow-env=HOME" }
    local text = "io.write(mw.process.run { script = 'child.lua', permissions = %s }.stdout)"
    assert.truthy(main(rights, text:format "{ read = 'inherit' }", child):find("^true\tfalse\tfalse\tfalse\n$"))
    assert.truthy(main(rights, text:format "{ env = 'inherit' }", child):find("^false\tfalse\tfalse\ttrue\n$"))
    assert.equal("false\tEDENIED\n", main(rights, [[
      local ok, err = pcall(mw.process.run, { script = "child.lua", permissions = { env = { "inherit" } } })
      print(ok, err.code)
    ]], child))
  end))

  it("cannot get more than its parent has: asking is an error that names it", function()
    assert.equal("false\tEDENIED\nfalse\tEDENIED\nfalse\tEINVAL\n", main({ "--allow-read=/etc" }, [[
      for _, p in ipairs { { read = { "/" } }, { run = true }, { reed = { "/etc" } } } do
        local ok, err = pcall(mw.process.run, { script = "child.lua", permissions = p })
        print(ok, err.code)
      end
    ]], { ["child.lua"] = "" }))
  end)

  it("passes no more on to its own children", confined(function()
    assert.equal("grandchild\tEDENIED\n", main({ "--allow-run=true,false" }, [[
      io.write(mw.process.run { script = "child.lua", permissions = { run = { "true" } } }.stdout)
    ]], {
      ["child.lua"] = [[
        local mw = require "moonwire"
        assert(not pcall(mw.process.run, { script = "grandchild.lua", permissions = { run = { "false" } } }))
        io.write(mw.process.run { script = "grandchild.lua", permissions = "inherit" }.stdout)
      ]],
      ["grandchild.lua"] = [[
        local mw = require "moonwire"
        assert(mw.process.run { "true" }.ok)
        print("grandchild", select(2, pcall(mw.process.run, { "false" })).code)
      ]] }))
  end))

  it("talks to us through mw.parent and child:stream()", confined(function()
    local child = { ["child.lua"] = [[
      local mw = require "moonwire"
      for line in mw.parent:lines() do mw.parent:write("got ", line, "\n") end
      print("printed")
    ]] }
    assert.equal("printed\ngot 1\tgot 2\tnil\n0\n", main({}, [[
      local c <close> = assert(mw.process.spawn { script = "child.lua" })
      local s = c:stream()
      s:write("1\n2\n")
      local a, b = s:read("l"), s:read("l")
      s:finish()
      local rest = s:read("l")
      local r = c:wait()
      print(a, b, rest)
      print(r.code)
    ]], child))
    assert.equal("got 1\tgot 2\tnil\n0\nprinted\n", main({}, [[
      local c <close> = assert(mw.process.spawn { script = "child.lua", stdin = "pipe", stdout = "pipe", stderr = "pipe" })
      local s = c:stream()
      s:write("1\n2\n")
      local a, b = s:read("l"), s:read("l")
      s:finish()
      print(a, b, s:read("l"))
      print(c:wait().code)
      io.write(c.stderr:read("a"))
    ]], child))
  end))

  it("whose stdin and stdout are pipes may print and read as any program", confined(function()
    assert.equal("HELLO\n", main({}, [[
      local c <close> = assert(mw.process.spawn { script = "child.lua", stdin = "pipe", stdout = "pipe" })
      c.stdin:write("hello\n")
      c.stdin:close()
      io.write(c.stdout:read("a"))
    ]], { ["child.lua"] = "for line in io.lines() do print(line:upper()) end" }))
  end))

  it("sees the end of mw.parent when nobody talks to it", confined(function()
    assert.equal("\n0\n", main({}, "local r = mw.process.run { script = 'child.lua' } io.write(r.stdout) print(r.code)", {
      ["child.lua"] = "print(require('moonwire').parent:read('a'))",
    }))
  end))

  it("without a name is told of as a script", function()
    local _, err = pcall(process.run, { script = "" })
    assert.equal("EINVAL", err.code)
    assert.truthy(tostring(err):find("the script's name is empty", 1, true))
  end)

  it("outside our folder needs a read right, also by a link", confined(function()
    local other <close> = assert(fs.tempdir())
    assert(fs.write(other.path .. "/far.lua", "print('far')"))
    assert(process.run { "ln", "-s", other.path .. "/far.lua", dir.path .. "/link.lua" })
    local text = ([[
      for _, name in ipairs { "%s/far.lua", "link.lua" } do
        local ok, r = pcall(mw.process.run, { script = name })
        print(ok, r.code)
      end
    ]]):format(other.path)
    assert.equal("false\tEDENIED\nfalse\tEDENIED\n", main({}, text))
    assert.equal("true\t0\ntrue\t0\n", main({ "--allow-read=" .. other.path .. "," .. dir.path }, text))
  end))

  it("that is missing, a folder or broken is told of", confined(function()
    assert(fs.mkdir(dir.path .. "/folder.lua"))
    assert.equal("nil\tENOENT\nnil\tEISDIR\n1\n", main({}, [[
      local _, err = mw.process.run { script = "missing.lua" }
      print(_, err.code)
      _, err = mw.process.run { script = "folder.lua" }
      print(_, err.code)
      print(mw.process.run { script = "broken.lua" }.code)
    ]], { ["broken.lua"] = "this is no Lua" }))
  end))

  it("is refused to who is no parent", function()
    local r = assert(process.run { program, "child-script", "/etc/passwd" })
    assert.equal(2, r.code)
    assert.truthy(r.stderr ~= "")
    r = assert(process.run { "sh", "-c", "exec 3</etc/passwd; exec \"$0\" child-script /etc/passwd", program })
    assert.equal(2, r.code)
    assert.truthy(r.stderr:find("not sealed", 1, true), r.stderr)
  end)

  for _, lock in ipairs { "strict", "off" } do
    it("starts programs that are held to what is denied in a folder that came later: --confine=" .. lock, confined(function()
      local app = dir:join "app"
      assert(fs.write(dir:join "kid.lua", ([[
        local run = require("moonwire").process.run
        print "up"
        io.read()
        local app = %q
        print(run { "cat", app .. "/token", timeout = 20 }.ok, run { "cat", app .. "/open", timeout = 20 }.stdout)
      ]]):format(app)))
      assert(fs.write(dir:join "main.lua", [[
        local mw = require "moonwire"
        mw.process.run { script = "kid.lua", permissions = "inherit", stdin = "inherit", stdout = "inherit", timeout = 50 }]]))
      local host <close> = assert(process.spawn { program, "run", "--confine=" .. lock, "--allow-run=cat", "--allow-read=" .. app,
        "--allow-read=" .. dir:join "kid.lua", "--deny-read=" .. app .. "/token", dir:join "main.lua", stdin = "pipe", stdout = "pipe" })
      assert.equal("up", (assert(host.stdout:read("l", { timeout = 50 }))))
      assert(fs.mkdir(app))
      assert(fs.write(app .. "/token", "secret\n"))
      assert(fs.write(app .. "/open", "open\n"))
      assert(host.stdin:write "go\n")
      assert.equal("false\topen\n\n", (assert(host.stdout:read("a", { timeout = 50 }))))
    end))
  end
end)
