--- mw.fs without its rights: a denial names the flag, touches nothing, and says the same whether or not there is something.
local mw = require "moonwire"
local fs = mw.fs

local program = assert(mw.env.MOONWIRE, "MOONWIRE names the program under test")

--- Runs code with the given rights; `D` in it is the directory.
local function child(dir, code, ...)
  local rights = { ... }
  for i, flag in ipairs(rights) do rights[i] = flag:gsub("D", dir.path) end
  local argv = { program, "eval", "--no-prompt", timeout = 60 }
  table.move(rights, 1, #rights, #argv + 1, argv)
  argv[#argv + 1] = ("local fs, D = require 'moonwire'.fs, %q\n"):format(dir.path) .. code
  return assert(mw.process.run(argv))
end

local function tempdir()
  local dir = assert(fs.tempdir())
  assert(fs.write(dir:join "f", "secret"))
  assert(fs.mkdir(dir:join "d"))
  return dir
end

local CALLS = [[
  local calls = {
    read = function(p) return fs.read(p) end,
    open = function(p) return fs.open(p) end,
    stat = function(p) return fs.stat(p) end,
    list = function(p) return fs.list(p) end,
    watch = function(p) return fs.watch(p) end,
    tail = function(p) return fs.tail(p) end,
    write = function(p) return fs.write(p, "x") end,
    openw = function(p) return fs.open(p, "w") end,
    opena = function(p) return fs.open(p, "a") end,
    mkdir = function(p) return fs.mkdir(p) end,
    parents = function(p) return fs.mkdir(p .. "/x/y", { parents = true }) end,
    remove = function(p) return fs.remove(p) end,
    tree = function(p) return fs.remove(p, { tree = true }) end,
    rename = function(p) return fs.rename(p, p .. "2") end,
  }
]]

describe("a file call without its right", function()
  it("raises EDENIED with the flag that would grant it, for whatever is or is not there", function()
    local dir <close> = tempdir()
    local r = child(dir, CALLS .. [[
      for name, call in pairs(calls) do
        for _, path in ipairs { D .. "/f", D .. "/d", D .. "/nothing", D } do
          local ok, err = pcall(call, path)
          print(name, ok, err.code, (tostring(err):match("%-%-allow%-%a+=/")))
        end
      end]])
    local n = 0
    for name, ok, code, flag in r.stdout:gmatch("(%S+)\t(%S+)\t(%S+)\t(%S+)\n") do
      local reads = ({ read = true, open = true, stat = true, list = true, watch = true, tail = true })[name]
      assert.equal("false", ok, name)
      assert.equal("EDENIED", code, name)
      assert.equal(reads and "--allow-read=/" or "--allow-write=/", flag, name)
      n = n + 1
    end
    assert.equal(14 * 4, n, r.stdout .. r.stderr)
    assert.same({ "d", "f" }, fs.list(dir.path))
    assert.equal("secret", fs.read(dir:join "f"))
  end)

  it("keeps reading and writing apart", function()
    local dir <close> = tempdir()
    local r = child(dir, [[
      print(pcall(fs.write, D .. "/f", "x"))
      print(fs.read(D .. "/f"))]], "--allow-read=D")
    assert.truthy(r.stdout:find("denied", 1, true))
    assert.truthy(r.stdout:find("secret\n$"))
    r = child(dir, [[
      print(pcall(fs.read, D .. "/f"))
      print(fs.write(D .. "/g", "new"))
      print(select(2, pcall(fs.open, D .. "/g", "r+")).code)]], "--allow-write=D")
    assert.truthy(r.stdout:find("denied", 1, true))
    assert.truthy(r.stdout:find("true\nEDENIED\n$"))
    assert.equal("new", fs.read(dir:join "g"))
  end)

  it("lets no link lead out", function()
    local dir <close> = tempdir()
    local outside <close> = tempdir()
    assert.equal(0, mw.process.run({ "ln", "-s", outside.path, dir:join "out" }).code)
    assert.equal(0, mw.process.run({ "ln", "-s", outside:join "f", dir:join "file" }).code)
    local r = child(dir, CALLS .. [[
      for _, name in ipairs { "read", "open", "stat", "tail", "write", "openw", "opena" } do
        print(name, select(2, pcall(calls[name], D .. "/file")).code, select(2, pcall(calls[name], D .. "/out/f")).code)
      end
      print("tree", select(2, pcall(calls.tree, D .. "/out/d")).code, fs.remove(D .. "/out", { tree = true }))]],
      "--allow-read=D", "--allow-write=D")
    local n = 0
    for name, a, b in r.stdout:gmatch("(%S+)\t(%S+)\t(%S+)\n") do
      assert.equal("EDENIED", a, name)
      assert.equal(name == "tree" and "true" or "EDENIED", b, name)
      n = n + 1
    end
    assert.equal(8, n, r.stdout .. r.stderr)
    assert.equal("secret", fs.read(outside:join "f"))
    assert.same({ "d", "f" }, fs.list(outside.path))
  end)
end)

describe("a tree with something denied in it", function()
  it("is neither removed nor moved, and nothing of it is gone", function()
    local dir <close> = tempdir()
    assert(fs.mkdir(dir:join "t/a/b", { parents = true }))
    assert(fs.write(dir:join "t/a/b/keep", "kept"))
    assert(fs.write(dir:join "t/gone", ""))
    local r = child(dir, [[
      print(select(2, pcall(fs.remove, D .. "/t", { tree = true })).code)
      print(select(2, pcall(fs.rename, D .. "/t/a", D .. "/u")).code)
      print(fs.rename(D .. "/t/gone", D .. "/t/moved"))
      print(fs.remove(D .. "/d", { tree = true }))]], "--allow-write=D", "--allow-read=D", "--deny-write=D/t/a/b/keep")
    assert.equal("EDENIED\nEDENIED\ntrue\ntrue\n", r.stdout, r.stderr)
    assert.equal("kept", fs.read(dir:join "t/a/b/keep"))
    assert.same({ "a", "moved" }, fs.list(dir:join "t"))
  end)

  it("is not reached by another name of the denied thing", function()
    local dir <close> = tempdir()
    assert(fs.mkdir(dir:join "t"))
    assert.equal(0, mw.process.run({ "ln", dir:join "f", dir:join "t/hard" }).code)
    local r = child(dir, [[print(select(2, pcall(fs.remove, D .. "/t", { tree = true })).code)]], "--allow-write=D", "--deny-write=D/f")
    assert.equal("EDENIED\n", r.stdout, r.stderr)
    assert.same({ "hard" }, fs.list(dir:join "t"))
  end)
end)

describe("a temporary directory without a right", function()
  it("is refused, and the hint names what would allow it", function()
    local dir <close> = tempdir()
    local r = child(dir, [[
      local ok, err = pcall(fs.tempdir)
      print(ok, err.code, err.hint)]])
    assert.truthy(r.stdout:find("^false\tEDENIED\tgrant it with %-%-allow%-write=/"), r.stdout)
    assert.truthy(r.stdout:find("TMPDIR", 1, true))
  end)
end)

describe("a watch of one file", function()
  it("needs a right on that file alone, and tells of no other name", function()
    local dir <close> = tempdir()
    local r = child(dir, [[
      local mw = require "moonwire"
      local watch <close> = fs.watch(D .. "/f", { timeout = 30 })
      mw.task.all(function()
        for ev in watch do print(ev.path == D .. "/f", ev.what) if ev.what == "changed" then break end end
      end, function()
        local f <close> = fs.open(D .. "/f", "a")
        f:write("x"):flush()
      end)
      print(select(2, pcall(fs.watch, D)).code)]], "--allow-read=D/f", "--allow-write=D/f")
    assert.equal("true\tchanged\nEDENIED\n", r.stdout, r.stderr)
  end)
end)
