-- The module for plain Lua: lua5.4 runs scripts that `require "moonwire"` and call mw.main.
local mw = require "moonwire"
local process, fs = mw.process, mw.fs
local build = (os.getenv("MOONWIRE") or "moonwire"):match("^(.*)/") or "build/dev"
local dir, preload

--- A module that AddressSanitizer watches wants its runtime to be there first.
local function sanitizers()
  if not assert(fs.read(build .. "/lua/moonwire.so", { max = "64MiB" })):find("__asan_init", 1, true) then return nil end
  local r = assert(process.run { "gcc", "-print-file-name=libasan.so" })
  return (r.stdout:gsub("%s+$", ""))
end

--- lua5.4 with `text` as its script, beside other files: what to give process.run or process.spawn.
local function command(text, files, leaks)
  assert(fs.write(dir.path .. "/main.lua", text))
  for name, content in pairs(files or {}) do assert(fs.write(dir.path .. "/" .. name, content)) end
  local env = { LUA_CPATH = build .. "/lua/?.so;;", LUA_INIT = false, LD_PRELOAD = preload }
  if leaks then env.ASAN_OPTIONS = "detect_leaks=" .. leaks end
  return { "lua5.4", dir.path .. "/main.lua", env = env }
end

local function lua(text, files, leaks)
  local c = command(text, files, leaks)
  c.timeout = 60
  return assert(process.run(c))
end

--- The same of one that must end well and quietly: what it printed.
local function printed(text, files, before)
  local r = lua((before or "") .. "\nlocal mw = require 'moonwire'\n" .. text, files)
  assert.equal("", r.stderr)
  assert.equal(0, r.code)
  return r.stdout
end

describe("plain Lua with the module", function()
  setup(function() preload = sanitizers() end)
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("runs a function with its arguments and gives what it returns, one run after the other", function()
    assert.equal("3\tnil\tx\n0\n5\n", printed [[
      print(mw.main(function(a, b) mw.task.sleep(0.001) return a + b, nil, "x" end, 1, 2))
      print(select("#", mw.main(function() end)))
      print(mw.main(function() return 5 end))]])
  end)

  it("says that what waits belongs into mw.main, and does without it what does not wait", function()
    assert.equal("[1,2]\tEINVAL\tcannot wait here: call it inside mw.main(function() ... end)\n", printed [[
      local ok, err = pcall(mw.task.sleep, 1)
      print(mw.json.encode { 1, 2 }, err.code, err.message)]])
  end)

  it("does not run inside itself", function()
    assert.matches("^EINVAL\tit is running already", printed [[
      local ok, err = mw.main(pcall, mw.main, print)
      print(err.code, err.message)]])
  end)

  it("raises what the function raised, as it was, where somebody catches it", function()
    assert.equal("true\tfalse\tboom\ttrue\tnil\n", printed [[
      local thing = {}
      local _, value = pcall(mw.main, function() error(thing) end)
      local ok, text = pcall(mw.main, function() error("boom", 0) end)
      print(value == thing, ok, text, pcall(mw.main, function() error() end) == false, select(2, pcall(mw.main, function() error() end)))]])
  end)

  it("shows where in the task it failed when nobody does", function()
    local r = lua "local mw = require 'moonwire'\nlocal function inner()\n  error('boom')\nend\nmw.main(function() inner() end)"
    assert.equal(1, r.code)
    assert.matches("main.lua:3: boom\nstack traceback:\n.-main.lua:3: in .-inner", r.stderr)
    assert.matches("main.lua:5: in main chunk", r.stderr)
  end)

  it("suspends a task, and not the generator that a script has made, before it got the module or after", function()
    assert.equal("1\t2\t3\n", printed([[
      print(mw.main(function()
        local late, got = coroutine.wrap(Each), { select(2, coroutine.resume(Early)) }
        late()
        for v in late do got[#got + 1] = v end
        return table.unpack(got)
      end))]], nil, [[
      function Each() for i = 1, 3 do Sleep(0.001) coroutine.yield(i) end end
      Early = coroutine.create(Each)
      Sleep = function(s) require("moonwire").task.sleep(s) end]]))
  end)

  it("says so when a coroutine is run by what `coroutine` held before", function()
    assert.matches("^false\tEINVAL\tcannot wait here: this coroutine was made or resumed by", printed([[
      local ok, err = mw.main(function()
        return Wrap(function() return pcall(mw.task.sleep, 1) end)()
      end)
      print(ok, err.code, err.message)]], nil, "Wrap = coroutine.wrap"))
  end)

  it("keeps what `coroutine` does outside of tasks, and what Lua says of mistakes", function()
    local text = [[
      local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) error("x" .. b) end)
      print(coroutine.resume(co, 1)) print(coroutine.status(co)) print(coroutine.resume(co, "y")) print(coroutine.resume(co))
      print(coroutine.close(co), coroutine.isyieldable(), select(2, coroutine.running()), type(coroutine.running()))
      print(pcall(coroutine.wrap(function() error({}) end)) == false, select(2, pcall(coroutine.wrap(function() error("s", 0) end))))
      print(select("#", pcall(coroutine.yield)), type(select(2, pcall(coroutine.yield))), type(select(2, pcall(coroutine.resume))))
      for v in coroutine.wrap(function() for i = 1, 2 do coroutine.yield(i) end end) do print(v) end]]
    assert.equal(lua("\n\n" .. text).stdout, printed(text))
  end)

  it("runs in a script's own coroutine", function()
    assert.equal("in\t7\nout\ttrue\tdead\n", printed [[
      local co = coroutine.create(function()
        print("in", mw.main(function() mw.task.sleep(0.001) return 7 end))
        coroutine.yield()
      end)
      coroutine.resume(co)
      print("out", coroutine.resume(co), coroutine.status(co))]])
  end)

  it("leaves Lua's own libraries what they are, inside a run too", function()
    assert.equal("true\ttrue\ttrue\ttrue\nprinted\n", printed([[
      print(io == Io and io.open == Open, os.exit == Exit, print == Print, debug.getinfo == Info)
      mw.main(function() print "printed" end)]], nil, "Io, Open, Exit, Print, Info = io, io.open, os.exit, print, debug.getinfo"))
  end)

  it("keeps what was opened from one run to the next, and needs no run to listen", function()
    assert.equal("got hello\n", printed [[
      local srv = assert(mw.net.listen("tcp://127.0.0.1:0"))
      local c = mw.main(mw.net.connect, srv:address())
      local s = mw.main(srv.accept, srv)
      mw.main(c.write, c, "hello\n")
      print("got " .. mw.main(s.read, s, "l"))
      s:close() c:close() srv:close()]])
  end)

  it("runs script children by the program beside it, and workers by itself", function()
    assert.equal("child\tx\n42\n", printed([[
      mw.main(function()
        io.write(assert(mw.process.run { script = "child.lua", "x" }).stdout)
        local w <close> = assert(mw.worker.spawn("worker.lua"))
        print(w:call("double", 21))
      end)]], {
      ["child.lua"] = "print('child', ...)",
      ["worker.lua"] = "require('moonwire').serve { double = function(n) return 2 * n end }",
    }))
  end)

  it("may do everything, until it drops a right", function()
    assert.equal("true\nfalse\tEDENIED\ntrue\n", printed [[
      print(mw.fs.stat("/etc") ~= nil)
      mw.permissions.drop("read")
      local ok, err = pcall(mw.fs.stat, "/etc")
      print(ok, err.code)
      print(io.open("/etc/hostname") ~= nil or true)]])
  end)

  it("has no flags: neither what it drops nor what its children lack is said to be granted by one", function()
    local told = printed([[
      mw.main(function()
        mw.fs.write(DIR .. "/child.lua", "local _, err = pcall(require('moonwire').fs.stat, '/etc') io.write(err.message, ' ', err.hint)")
        print(assert(mw.process.run { script = DIR .. "/child.lua", permissions = {} }).stdout)
        local w <close> = assert(mw.worker.spawn(DIR .. "/worker.lua", { permissions = {} }))
        print(w:recv())
      end)
      mw.permissions.drop("read")
      print(select(2, pcall(mw.fs.stat, "/etc")))]], {
      ["worker.lua"] = "local mw = require 'moonwire' mw.parent:send(tostring(select(2, pcall(mw.fs.stat, '/etc'))))",
    }, "local DIR = " .. ("%q"):format(dir.path))
    assert.equal(2, select(2, told:gsub("grant it with permissions = { read = ... } where this script is started", "")))
    assert.matches("the right was dropped", told, 1, true)
    assert.is_nil(told:find("--", 1, true))
  end)

  it("ends a run when all is over, daemons too, and tells what a task failed with", function()
    assert.equal("task\ndaemon\nfalse\tin a task\n", printed [[
      mw.main(function()
        mw.task.spawn(function() mw.task.sleep(0.005) print "task" end)
        mw.task.spawn_with({ daemon = true }, function()
          local _ <close> = setmetatable({}, { __close = function() print "daemon" end })
          mw.task.wait()
        end)
      end)
      print(pcall(mw.main, function() mw.task.spawn(error, "in a task", 0) mw.task.wait() end))]])
  end)

  it("takes no memory for runs that are over", function()
    assert.equal("true\n", printed [[
      local function some(n)
        for i = 1, n do pcall(mw.main, i % 3 == 0 and error or mw.task.pass, i) end
        collectgarbage() collectgarbage()
        return collectgarbage("count")
      end
      some(10000)                         -- Lua's table of strings has its size
      local before = some(1000)
      print(some(10000) - before < 16)]])
  end)

  it("gives one module, however often it is asked for", function()
    assert.equal("true\ttrue\ttrue\n", printed [[
      local json = require "moonwire.json"
      package.loaded["moonwire"] = nil
      print(require "moonwire" == mw, json == mw.json, mw.main == require("moonwire").main)]])
  end)

  it("lives beside luv, whichever came first", function()
    for _, first in ipairs { "", "require 'luv'" } do
      assert.equal("timer\nhi\nfalse\ttimer\ninside\t7\n", printed([[
        local uv = require "luv"
        local function later(f) local t = uv.new_timer() t:start(1, 0, function() f() t:close() end) uv.run() end
        later(function() print "timer" end)
        mw.main(function()
          io.write(mw.process.run { "echo", "hi" }.stdout)
          later(function() print(pcall(mw.task.sleep, 1), "timer") end)
        end)
        later(function() print("inside", mw.main(function() mw.task.sleep(0.001) return 7 end)) end)]], nil, first))
    end
  end)

  it("is refused in words by another Lua", function()
    local r = process.run { "lua5.1", "-e", ("package.cpath = '%s/lua/?.so'; require 'moonwire'"):format(build),
      timeout = 60, env = { LD_PRELOAD = preload } }
    if not r then return pending("there is no lua5.1 here") end
    assert.equal(1, r.code)
    assert.matches("moonwire needs Lua 5.4", r.stderr)
  end)
end)

describe("the end of plain Lua with the module", function()
  setup(function() preload = sanitizers() end)
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  local all = [[
    local mw = require "moonwire"
    Open = { mw.net.listen("tcp://127.0.0.1:0") }
    mw.main(function()
      Open.child = assert(mw.process.spawn { "sleep", "1000", stdin = "pipe" })
      Open.c = assert(mw.net.connect(Open[1]:address()))
      Open.s = assert(Open[1]:accept())
      Open.dir = mw.fs.tempdir()
      print(Open.child.pid, Open.dir.path)
    end)
  ]]
  local function gone(out)
    local pid, path = out:match("^(%d+)%s+(%S+)")
    assert.is_nil(fs.stat(path))
    local deadline = mw.time.now() + 20
    local function lives() -- a moment after it was told to die; and perhaps nobody has taken its status yet
      local stat = fs.read("/proc/" .. pid .. "/stat")
      return stat and not stat:find("%) [ZX] ")
    end
    while lives() and mw.time.now() < deadline do mw.task.sleep(0.01) end
    assert.falsy(lives())
  end

  it("ends what was left open: its children, its folders, without a word", function()
    local r = lua(all)
    assert.same({ 0, "" }, { r.code, r.stderr })
    gone(r.stdout)
  end)

  it("does so after an error, and by os.exit with a close", function()
    local r = lua(all .. "error('boom')")
    assert.equal(1, r.code)
    gone(r.stdout)
    r = lua(all .. "os.exit(5, true)")
    assert.same({ 5, "" }, { r.code, r.stderr })
    gone(r.stdout)
  end)

  it("does so inside a run, in a coroutine, by os.exit and by mw.exit; other tasks clean up first", function()
    for _, exit in ipairs { "os.exit(6, true)", "mw.exit(6)" } do
      local r = lua(all .. [[
        coroutine.wrap(function()
          mw.main(function()
            mw.task.spawn(function()
              local _ <close> = setmetatable({}, { __close = function()
                mw.task.shield(function() mw.task.sleep(0.001) print "clean" end)
              end })
              mw.task.wait()
            end)
            mw.task.sleep(0.001)
            coroutine.wrap(function() ]] .. exit .. [[ end)()
          end)
        end)()]], nil, "0") -- what is made while Lua closes its state, it never collects
      assert.same({ 6, "" }, { r.code, r.stderr })
      assert.matches("clean\n$", r.stdout)
      gone(r.stdout)
    end
  end)

  it("refuses what finalizers ask for after it, in words", function()
    local r = lua([[
      Late = setmetatable({}, { __gc = function(t) print(pcall(t.f)) end })]] .. all .. [[
      function Late.f() return mw.net.connect(Open[1]:address()) end]])
    assert.same({ 0, "" }, { r.code, r.stderr })
    assert.matches("\nfalse\t.-the Lua state is being closed\n$", r.stdout)
  end)

  --- Not child:kill: the SIGCONT behind it takes back the SIGSTOP by which LeakSanitizer attaches to a program that ends.
  local function send(child, signal)
    assert(process.run { "kill", "-" .. signal, tostring(child.pid), check = true })
  end

  --- A script that says "up", waits for `code` to be cancelled by a signal, and tells of it.
  local function interrupted(code, signal)
    local c = command([[
      local mw = require "moonwire"
      print(select(2, pcall(mw.main, function()
        local _ <close> = setmetatable({}, { __close = function() print "closed" end })
        io.stdout:write("up\n") io.stdout:flush()
        ]] .. code .. [[
      end)).message)
      print(mw.main(function() return "again" end))]])
    c.stdout = "pipe"
    local child <close> = assert(process.spawn(c))
    assert.equal("up", child.stdout:read("l", { timeout = 20 }))
    send(child, signal)
    return child.stdout:read("a", { timeout = 60 })
  end

  it("is not a signal's: it cancels the run, waiting or busy, and the next one runs", function()
    for _, code in ipairs {
      "mw.task.wait()", "while true do end", "coroutine.wrap(function() while true do end end)()", "mw.process.run { 'sleep', '1000' }",
    } do
      assert.equal("closed\ninterrupted\nagain\n", interrupted(code, "INT"))
      assert.equal("closed\nterminated\nagain\n", interrupted(code, "TERM"))
    end
  end)

  it("gives a signal back: outside of a run it does what it did", function()
    local c = command "local mw = require 'moonwire' mw.main(mw.task.pass) print 'up' io.stdout:flush() while true do end"
    c.stdout, c.stderr = "pipe", "pipe"
    local child <close> = assert(process.spawn(c))
    assert.equal("up", child.stdout:read("l", { timeout = 20 }))
    send(child, "INT")
    assert.matches("interrupted!", child.stderr:read("a", { timeout = 20 }))
    assert.equal(1, child:wait().code)
  end)
end)
