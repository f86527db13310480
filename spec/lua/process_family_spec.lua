-- Script children: what moonwire itself holds them to, the kernel holds as well.
local mw = require "moonwire"
local process, fs = mw.process, mw.fs
local program = os.getenv("MOONWIRE") or "moonwire"
local confined = dofile("spec/support/confined.lua")(pending)

local dir, temp
before_each(function()
  dir, temp = assert(fs.tempdir()), assert(fs.tempdir())
  assert(fs.mkdir(dir.path .. "/in"))
  assert(fs.mkdir(dir.path .. "/out"))
  assert(fs.write(dir.path .. "/in/file", "inside"))
  assert(fs.write(dir.path .. "/secret", "outside"))
end)
after_each(function()
  dir:close()
  temp:close()
end)

--- A main script under `rights`, and child.lua beside it; what it printed.
local function main(rights, text, child, more)
  local files = more or {}
  files["main.lua"], files["child.lua"] = text, child
  for name, content in pairs(files) do
    local text_of = "local mw = require 'moonwire' local run = mw.process.run\n" .. content:gsub("%f[%u]DIR", dir.path)
    assert(fs.write(dir.path .. "/" .. name, text_of))
  end
  local command = { program, "run", timeout = 60, env = { TMPDIR = temp.path } }
  for _, right in ipairs(rights) do command[#command + 1] = (right:gsub("%f[%u]DIR", dir.path)) end
  command[#command + 1] = dir.path .. "/main.lua"
  local r = assert(process.run(command))
  assert.equal("", r.stderr)
  return (r.stdout:gsub(dir.path:gsub("%-", "%%-"), "DIR"))
end

describe("a script child", function()
  it("is under a lock of the kernel, unless it has all rights or trusts programs itself", confined(function()
    local text = [[
      for _, p in ipairs { "none", "inherit" } do
        local child <close> = assert(mw.process.spawn { script = "child.lua", permissions = p, stdin = "pipe", stdout = "pipe" })
        local line = assert(mw.fs.read("/proc/" .. child.pid .. "/status")):match("Seccomp:%s*(%d)")
        print(p, line)
      end
    ]]
    assert.equal("none\t2\ninherit\t0\n", main({ "-A" }, text, "mw.parent:read 'l'"))
  end))

  it("reads and writes what it is given", confined(function()
    assert.equal("inside\nnil\ntrue\n", main({ "--allow-read=DIR", "--allow-write=DIR" }, [[
      local r = run { script = "child.lua", permissions = { read = { "DIR/in" }, write = { "DIR/out" } } }
      io.write(r.stdout, r.stderr)
    ]], [[
      print(mw.fs.read "DIR/in/file")
      print((select(2, pcall(mw.fs.read, "DIR/secret")).code == "EDENIED" or "") and nil)
      print(mw.fs.write("DIR/out/new", "x"))
    ]]))
  end))

  it("loads modules from its own folder", confined(function()
    assert.equal("fine\n", main({}, "io.write(run { script = 'child.lua' }.stdout)", "print((require 'beside'))",
      { ["beside.lua"] = "return 'fine'" }))
  end))

  it("starts programs that are confined to its own rights, with a private directory in ours", confined(function()
    assert.equal("inside|false|false|x|\n", main({ "--allow-read=DIR", "--allow-run" }, [[
      local r = run { script = "child.lua", permissions = { read = { "DIR/in" }, run = { "cat", "sh" } } }
      io.write(r.stdout, r.stderr)
    ]], [[
      local home = run { "sh", "-c", "echo x >$HOME/f && cat $HOME/f" }
      print(table.concat({ run { "cat", "DIR/in/file" }.stdout, tostring(run { "cat", "DIR/secret" }.ok),
        tostring(run { "sh", "-c", "ls DIR" }.ok), (home.stdout:gsub("\n", "")), home.stderr }, "|"))
    ]]))
    assert.same({}, fs.list(temp.path))
  end))

  it("confines its own script children again", confined(function()
    assert.equal("inside EDENIED EDENIED\n", main({ "--allow-read=DIR" }, [[
      io.write(run { script = "child.lua", permissions = { read = { "DIR/in", "DIR/grandchild.lua" } } }.stdout)
    ]], [[
      io.write(run { script = "grandchild.lua", permissions = { read = { "DIR/in/file" } } }.stdout)
    ]], { ["grandchild.lua"] = [[
      print(mw.fs.read "DIR/in/file" .. " " .. select(2, pcall(mw.fs.read, "DIR/secret")).code .. " "
        .. select(2, pcall(mw.fs.write, "DIR/out/x", "")).code)
    ]] }))
  end))

  it("connects where it may, and the kernel holds the port where its program does not ask us", confined(function()
    local server <close> = assert(mw.net.listen("tcp://127.0.0.1:0"))
    local other <close> = assert(mw.net.listen("tcp://127.0.0.1:0"))
    local url, wrong = tostring(server:address()), tostring(other:address())
    assert.equal("true\tEDENIED\n", main({ "--allow-net=127.0.0.1" }, ([[
      local r = run { script = "child.lua", permissions = { connect = { %q } } }
      io.write(r.stdout, r.stderr)
    ]]):format((url:gsub("tcp://", ""))), ([[
      local c <close> = assert(mw.net.connect(%q))
      print(c ~= nil, select(2, pcall(mw.net.connect, %q)).code)
    ]]):format(url, wrong)))
  end))

  it("is kept to the same cage again and again", confined(function()
    assert.equal("1 2 3 4 5 6\n", main({ "--allow-read=DIR" }, [[
      local out = {}
      for i = 1, 6 do
        out[i] = run { script = "child.lua", i, permissions = { read = { i % 2 == 0 and "DIR/in" or "DIR/in/file" } } }.stdout
      end
      print(table.concat(out, " "))
    ]], "assert(mw.fs.read 'DIR/in/file') io.write((...))"))
  end))

  it("gets no access by the folder it names as its own", confined(function()
    local ok = main({ "--allow-read=DIR" }, [[
      local r = run { script = "child.lua" }
      io.write(r.stdout, r.stderr)
    ]], "print(select(2, pcall(mw.fs.read, 'DIR/secret')).code)")
    assert.equal("EDENIED\n", ok)
  end))
end)
