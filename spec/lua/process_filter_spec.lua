-- The filter of system calls, seen from scripts: what their children need it lets through, what Landlock does not hold it refuses.
local mw = require "moonwire"
local process, fs = mw.process, mw.fs
local program = os.getenv("MOONWIRE") or "moonwire"
local confined = dofile("spec/support/confined.lua")(pending)

local dir
before_each(function()
  dir = assert(fs.tempdir())
  assert(fs.mkdir(dir.path .. "/in"))
end)
after_each(function() dir:close() end)

--- What a main script under `rights` printed, with `child` beside it; DIR stands for the folder of this test.
local function main(rights, text, child)
  local function here(s) return (s:gsub("%f[%u]DIR", dir.path)) end
  assert(fs.write(dir.path .. "/main.lua", "local mw = require 'moonwire'\n" .. here(text)))
  assert(fs.write(dir.path .. "/child.lua", "local mw = require 'moonwire'\n" .. here(child or "")))
  local command = { program, "run", timeout = 60 }
  for _, right in ipairs(rights) do command[#command + 1] = here(right) end
  command[#command + 1] = dir.path .. "/main.lua"
  local r = assert(process.run(command))
  assert.equal("", r.stderr)
  return r.stdout
end

describe("a script child in its cage", function()
  it("watches a folder that it may read", confined(function()
    assert.equal("renamed DIR/new\n", main({ "--allow-read=DIR", "--allow-write=DIR" }, [[
      local r = mw.process.run { script = "child.lua", permissions = { read = { "DIR" }, write = { "DIR" } } }
      io.write(r.stdout, r.stderr)
    ]], [[
      local watch <close> = mw.fs.watch("DIR", { timeout = 30 })
      mw.fs.write("DIR/new", "x")
      for ev in watch do
        if ev.path:match "new$" then print(ev.what, ev.path) break end
      end
    ]]):gsub("\t", " "):gsub(dir.path:gsub("%p", "%%%0"), "DIR") .. "")
  end))

  it("serves at a Unix socket that is its only right to listen", confined(function()
    local name = "unix:@moonwire" .. dir.path:gsub("%W", "-")
    assert.equal("hello\n", main({ "--allow-net=" .. name }, ([[
      local r = mw.process.run { script = "child.lua", "NAME", permissions = { net = { "NAME" } } }
      io.write(r.stdout, r.stderr)
    ]]):gsub("NAME", (name:gsub("%%", "%%%%"))), [[
      local server <close> = assert(mw.net.listen(arg[1]))
      local out <close> = assert(mw.net.connect(arg[1]))
      local incoming <close> = assert(server:accept())
      out:write("hello\n")
      print(incoming:read())
    ]]))
  end))
end)

describe("a program in its cage", function()
  local try = [[
    local text = "import ctypes, os; c = ctypes.CDLL(None, use_errno=True); r = c.inotify_add_watch(c.inotify_init(), b'DIR/in', 2);"
      .. "print('watches' if r >= 0 else os.strerror(ctypes.get_errno()))"
    local r = mw.process.run { "/usr/bin/python3", "-c", text }
    io.write(r.stdout, r.stderr)
  ]]

  it("watches no folder that it may not read, by name or otherwise", confined(function()
    if not fs.stat "/usr/bin/python3" then pending "python3 is not installed" return end
    assert.equal("Permission denied\n", main({ "--allow-run" }, try))
    assert.equal("Permission denied\n", main({ "--allow-run", "--allow-read", "--deny-read=DIR/in" }, try))
    assert.equal("watches\n", main({ "--allow-run", "--allow-read" }, try))
  end))

  it("has no System V memory and no tracing", confined(function()
    if not fs.stat "/usr/bin/python3" then pending "python3 is not installed" return end
    assert.equal("Operation not permitted\nOperation not permitted\n", main({ "--allow-run" }, [[
      local text = "import ctypes, os; c = ctypes.CDLL(None, use_errno=True)\n"
        .. "for call in (lambda: c.shmget(0, 1, 0o1600), lambda: c.ptrace(0, 0, 0, 0)):\n"
        .. "  print('worked' if call() >= 0 else os.strerror(ctypes.get_errno()))"
      local r = mw.process.run { "/usr/bin/python3", "-c", text }
      io.write(r.stdout, r.stderr)
    ]]))
  end))
end)
