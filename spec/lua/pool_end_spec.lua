-- Whatever ends a pool, nothing of it stays: no process, no descriptor.
local mw = require "moonwire"
local fs, process, task = mw.fs, mw.process, mw.task
local program = os.getenv("MOONWIRE") or "moonwire"

local dir

local function descriptors()
  return #assert(fs.list "/proc/self/fd")
end

local function alive(pid)
  local stat = fs.read("/proc/" .. pid .. "/stat")
  return stat ~= nil and stat:match "%) (%a)" ~= "Z"
end

local function gone(pids)
  local ok = task.timeout(20, function()
    for _, pid in ipairs(pids) do
      while alive(pid) do task.pass() end
    end
    return true
  end)
  assert.truthy(ok, "workers outlived their parent")
end

--- A script that has a pool at work, and tells its workers' pids. Gives the running child and the pids.
local function at_work(rights)
  assert(fs.write(dir.path .. "/main.lua", [[
    local mw = require "moonwire"
    local pool <close> = assert(mw.process.pool{ script = "worker.lua", size = 3, min_idle = 0 })
    mw.task.scope(function(s)
      for i = 1, 3 do s:spawn(function() pool:call("forever", i) end) end
      s:spawn(function()
        repeat mw.task.pass() until pool:stats().busy == 3
        for _, w in ipairs(pool:workers()) do print(w.pid) end
        print "ready"
      end)
    end)
  ]]))
  assert(fs.write(dir.path .. "/worker.lua", [[
    local mw = require "moonwire"
    mw.serve{ forever = function(i) if i == 1 then while true do end end mw.task.wait() end, echo = function(v) return v end }
  ]]))
  local command = { program, "run", stdout = "pipe", stderr = "null" }
  for _, right in ipairs(rights) do command[#command + 1] = right end
  command[#command + 1] = dir.path .. "/main.lua"
  local child = assert(process.spawn(command))
  local pids = {}
  for line in child.stdout:lines() do
    if line == "ready" then break end
    pids[#pids + 1] = line
  end
  assert.equal(3, #pids)
  return child, pids
end

describe("the end of a pool", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("takes its workers along when the host is killed", function()
    local child <close>, pids = at_work{}
    child:kill "KILL"
    gone(pids)
  end)

  it("takes its workers along on Ctrl-C", function()
    local child <close>, pids = at_work{ "-A" }
    child:kill "INT"
    assert.equal(130, child:wait().code)
    gone(pids)
  end)

  it("takes them along when a task of the script fails, and when the script just ends", function()
    assert(fs.write(dir.path .. "/worker.lua", "require('moonwire').serve{ echo = function(v) return v end }"))
    for _, ending in ipairs{ "error 'oh'", "os.exit(4)", "" } do
      assert(fs.write(dir.path .. "/main.lua", [[
        local mw = require "moonwire"
        pool = assert(mw.process.pool{ script = "worker.lua", size = 2, min_idle = 2 })
        pool:call("echo", 1)
        for _, w in ipairs(pool:workers()) do print(w.pid) end
      ]] .. ending))
      local r = assert(process.run{ program, "run", dir.path .. "/main.lua", timeout = 20 })
      assert.is_false(r.timed_out)
      local pids = {}
      for pid in r.stdout:gmatch "%d+" do pids[#pids + 1] = pid end
      assert.truthy(#pids > 0)
      gone(pids)
    end
  end)

  it("leaves no descriptor behind, closed, drained, broken or collected", function()
    assert(fs.write(dir.path .. "/worker.lua", [[
      require("moonwire").serve{ echo = function(v) return v end, exit = function() os.exit(1) end }]]))
    assert(fs.write(dir.path .. "/broken.lua", "error 'no'"))
    local function once()
      do
        local pool <close> = assert(process.pool{ script = dir.path .. "/worker.lua", size = 2, min_idle = 2 })
        assert.equal(1, pool:call("echo", 1))
        pool:call "exit"
      end
      local drained = assert(process.pool{ script = dir.path .. "/worker.lua", size = 2 })
      drained:call("echo", 1)
      assert(drained:drain())
      local broken = assert(process.pool{ script = dir.path .. "/broken.lua", restart = { max = 0 } })
      assert.equal("ECRASHED", select(2, broken:call "echo").code)
      broken:close()
      local program_pool = assert(process.pool{ command = { "cat" }, protocol = "lines", size = 2 })
      assert.equal("x", program_pool:call "x")
      program_pool:close()
      local oneshot = assert(process.pool{ mode = "oneshot", command = function(t) return { "echo", t } end, size = 2 })
      assert.equal("x\n", oneshot:call "x")
      oneshot:close()
    end
    local before                                              -- one more may be the loop's own: its timer
    for round = 1, 6 do
      once()
      local now
      task.timeout(10, function()                             -- closing goes on behind close
        repeat
          collectgarbage()
          task.pass()
          now = descriptors()
        until round <= 2 or now <= before + 1
      end)
      before = before and math.max(before, round <= 2 and now or 0) or now
      if round > 2 then assert.truthy(now <= before + 1, now .. " descriptors, " .. before .. " before") end
    end
  end)

  it("is told to those who wait when the script's rights are none and its host is locked", function()
    assert(fs.write(dir.path .. "/worker.lua", [[
      local mw = require "moonwire"
      mw.serve{ echo = function(v) return v end, read = function() return pcall(mw.fs.read, "/etc/passwd") end }]]))
    assert(fs.write(dir.path .. "/main.lua", [[
      local mw = require "moonwire"
      local pool <close> = assert(mw.process.pool{ script = "worker.lua", size = 2 })
      local sum = 0
      for _, v in pool:map("echo", { 1, 2, 3, 4 }) do sum = sum + v end
      print(sum, (pool:call "read"), pcall(mw.process.pool, { command = { "cat" }, protocol = "lines" }))
    ]]))
    local r = assert(process.run{ program, "run", "--confine=strict", dir.path .. "/main.lua", timeout = 20 })
    assert.equal("", r.stderr)
    assert.truthy(r.stdout:find("^10\tfalse\tfalse\t.*denied"), r.stdout)
  end)
end)
