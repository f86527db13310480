-- How processes end: groups, stragglers, a killed host, and that nothing is left behind.
local mw = require "moonwire"
local process, task, fs = mw.process, mw.task, mw.fs
local program = os.getenv("MOONWIRE") or "moonwire"
local descriptors = dofile "spec/support/descriptors.lua"

--- Starts a host that runs `text` and gives its first line and the process; its children write to the same pipe.
local function host(text, options)
  local all = { program, "eval", "-A", "local mw = require 'moonwire'\n" .. text, stdout = "pipe" }
  for key, value in pairs(options or {}) do all[key] = value end
  local child = assert(process.spawn(all))
  return child, child.stdout:read "l"
end

--- Nobody holds the pipe any longer: all of them have ended.
local function all_gone(child)
  return child.stdout:read("a", { timeout = 20 })
end

describe("the end of a group", function()
  it("comes with TERM, and with KILL for who does not listen", function()
    local deaf = "trap '' TERM; sleep 1000 & sleep 1000; sleep 1000"
    local r = assert(process.run { "sh", "-c", deaf, timeout = "2s", kill_after = "50ms" })
    assert.is_true(r.timed_out)
    assert.equal("KILL", r.signal)
    r = assert(process.run { "sh", "-c", "trap 'echo cleaned; exit 3' TERM; echo on; while :; do sleep 0.01; done", timeout = "2s" })
    assert.equal("on\ncleaned\n", r.stdout)
    assert.equal(3, r.code)
    assert.is_true(r.timed_out)
    assert.is_false(r.ok)
  end)

  it("waits for a grandchild that writes a little longer", function()
    local r = assert(process.run { "sh", "-c", "(sleep 0.1; echo late) & echo early" })
    assert.equal("early\nlate\n", r.stdout)
    assert.is_true(r.ok)
  end)

  it("comes for a grandchild that keeps the pipe open, and nothing hangs", function()
    local r = assert(process.run { "sh", "-c", "sleep 1000 & echo left", kill_after = "50ms" })
    assert.equal("left\n", r.stdout)
    assert.equal(0, r.code)
    r = assert(process.run { "sh", "-c", "(trap '' TERM; sleep 1000; sleep 1000) & echo left", kill_after = "50ms" })
    assert.equal("left\n", r.stdout)
  end)

  it("leaves alone a grandchild that holds none of our pipes, until we end", function()
    local child <close>, pid = host [[
      local r = mw.process.run { "sh", "-c", "(exec sleep 1000 >/dev/null 2>&1) & echo $!" }
      local pid = r.stdout:gsub("\n", "")
      assert(mw.process.run { "kill", "-0", pid }.ok)
      print(pid)
    ]]
    all_gone(child)
    assert.equal(0, child:wait().code)
    local deadline = mw.time.now() + 20
    local function lives() -- told to die by then, which takes it a moment; and perhaps not yet reaped by init
      local stat = fs.read("/proc/" .. pid .. "/stat")
      return stat and not stat:find("%) [ZX] ")
    end
    while lives() and mw.time.now() < deadline do task.sleep(0.01) end
    assert.falsy(lives())
  end)
end)

describe("a host that ends", function()
  it("by itself ends its children, also those that do not listen", function()
    local child <close>, line = host [[
      local a = mw.process.spawn { "sh", "-c", "trap '' TERM; echo ready; echo >&2; while :; do sleep 1000; done", stderr = "pipe" }
      a.stderr:read("l")
    ]]
    assert.equal("ready", line)
    all_gone(child)
    assert.equal(0, child:wait().code)
  end)

  it("by KILL leaves nobody behind", function()
    local child <close>, line = host [[
      local a = mw.process.spawn { "sh", "-c", "sleep 1000 & wait" }
      local b = mw.process.spawn { "sleep", "1000" }
      print("ready") -- the fallback tells the warden only after the start, our own spawner before it
      mw.task.wait()
    ]]
    assert.equal("ready", line)
    child:kill "KILL"
    assert.equal("", all_gone(child))
    assert.equal("KILL", child:wait().signal)
  end)

  it("by KILL leaves nothing of the private folder of its confined programs", function()
    if not process.run({ "true" }).rusage then return pending "uv_spawn confines no program" end
    local tmp <close> = assert(fs.tempdir())
    local child <close>, line = host([[
      local a = mw.process.spawn { "sleep", "1000" } -- its warden knows of no folder
      local b = mw.process.spawn { "sh", "-c", "mkdir $TMPDIR/a; echo >$TMPDIR/a/file; echo ready; exec sleep 1000", sandbox = {} }
      mw.task.wait()
    ]], { env = { TMPDIR = tmp.path } })
    assert.equal("ready", line)
    assert.equal(1, #fs.list(tmp.path))
    child:kill "KILL"
    assert.equal("", all_gone(child))
    local deadline = mw.time.now() + 20
    while #fs.list(tmp.path) > 0 and mw.time.now() < deadline do task.sleep(0.01) end
    assert.same({}, fs.list(tmp.path))
  end)

  it("by KILL leaves nobody behind after its warden was killed either", function()
    local child <close>, line = host [[
      local c = assert(mw.process.spawn { "sleep", "1000" })
      for _, name in ipairs(mw.fs.list("/proc")) do
        local pid = tostring(type(name) == "table" and name.name or name)
        local stat = pid:find("^%d+$") and mw.fs.read("/proc/" .. pid .. "/stat")
        local me = mw.fs.read("/proc/self/stat"):match("^(%d+)")
        local cmd = stat and stat:match("%) %S (%d+)") == me and mw.fs.read("/proc/" .. pid .. "/cmdline") or ""
        if cmd:find("moonwire-warden", 1, true) then -- until it is reaped: by then there is another
          assert(mw.process.run { "sh", "-c", "kill -KILL $0; while kill -0 $0 2>/dev/null; do sleep 0.01; done", pid })
        end
      end
      local d = assert(mw.process.spawn { "sh", "-c", "sleep 1000" })
      print("ready")
      mw.task.wait()
    ]]
    assert.equal("ready", line)
    child:kill "KILL"
    assert.equal("", all_gone(child))
  end)

  it("by KILL, stopped and with no warden left, leaves nobody behind where the kernel tells its children", function()
    if not process.run({ "true" }).rusage then return pending "uv_spawn asks for no signal at the parent's end" end
    local child <close>, line = host [[
      local c = assert(mw.process.spawn { "sleep", "1000" })
      print("ready")
      mw.task.wait()
    ]]
    assert.equal("ready", line)
    child:kill "STOP" -- it would start another warden
    for _, pid in ipairs(fs.list("/proc")) do
      local stat = pid:find("^%d+$") and fs.read("/proc/" .. pid .. "/stat")
      local ours = stat and tonumber(stat:match("%) %S (%d+)")) == child.pid
      if ours and fs.read("/proc/" .. pid .. "/cmdline"):find("moonwire-warden", 1, true) then
        assert(process.run { "kill", "-KILL", pid }.ok)
      end
    end
    child:kill "KILL"
    assert.equal("", all_gone(child))
  end)

  it("well has replaced each warden that a child killed while it was being announced", function()
    local child <close>, line = host [[
      local me = mw.fs.read("/proc/self/stat"):match("^(%d+)")
      local function warden()
        for _, pid in ipairs(mw.fs.list("/proc")) do
          local stat = pid:find("^%d+$") and mw.fs.read("/proc/" .. pid .. "/stat")
          if stat and stat:match("%) S (%d+)") == me and mw.fs.read("/proc/" .. pid .. "/cmdline"):find("moonwire-warden", 1, true) then
            return pid
          end
        end
      end
      assert(mw.process.run { "true" })
      for _ = 1, 10 do
        local pid = warden()
        if pid then assert(mw.process.run { "sh", "-c", "kill -KILL $0", pid }) end
      end
      print("ready")
    ]]
    assert.equal("ready", line)
    all_gone(child)
    assert.equal(0, child:wait().code)
  end)

  it("leaves a detached child alone", function()
    local child <close>, pid = host [[
      local _ = mw.process.spawn { "sh", "-c", "echo $$; exec sleep 1000", detached = true }
      mw.task.wait()
    ]]
    child:kill "KILL"
    child:wait()
    assert.is_true(assert(process.run { "kill", "-0", pid }).ok)
    assert(process.run { "kill", pid, check = true })
    assert.equal("", all_gone(child))
  end)

  it("by Ctrl-C cleans up first: tasks are cancelled, children get TERM", function()
    local child <close>, line = host [[
      local t <close> = setmetatable({}, { __close = function() print("cleaned") end })
      mw.process.run { "sh", "-c", "trap 'echo told; exit' TERM; echo ready; while :; do sleep 0.01; done", stdout = "inherit" }
    ]]
    assert.equal("ready", line)
    child:kill "INT"
    local rest = all_gone(child)
    assert.truthy(rest:find("cleaned\n", 1, true), rest)
    assert.truthy(rest:find("told\n", 1, true), rest)
    assert.equal(130, child:wait().code)
  end)

  it("by a second Ctrl-C ends at once, and its children with it", function()
    local child <close>, line = host [[
      local t <close> = setmetatable({}, { __close = function()
        print("cleaning")
        mw.task.shield(function() mw.task.sleep(1000) end)
      end })
      mw.process.run { "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1000; done", stdout = "inherit" }
    ]]
    assert.equal("ready", line)
    child:kill "INT"
    assert.equal("cleaning", child.stdout:read "l")
    child:kill "INT"
    all_gone(child)
    assert.equal("INT", child:wait().signal)
  end)
end)

describe("after many processes", function()
  it("no descriptor is left and no zombie", function()
    assert(process.run { "true" }) -- the first brings the warden along
    local before = descriptors()
    for i = 1, 100 do
      assert(process.run { "echo", i })
      assert.is_nil((process.run { "no-such-program" }))
      local child <close> = assert(process.spawn { "cat", stdin = "pipe", stdout = "pipe", stderr = "pipe" })
      child.stdin:close()
      child:wait()
    end
    local after = descriptors(before)
    assert.is_true(after <= before, ("%d descriptors, %d before"):format(after, before))
    local zombies = assert(process.run { "sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null | grep -c \") Z $PPID \"" })
    assert.equal("0\n", zombies.stdout)
  end)
end)
