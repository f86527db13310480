-- Pools of processes: scripts that serve.
local mw = require "moonwire"
local fs, process, task = mw.fs, mw.process, mw.task

local dir, script

local WORKER = [[
local mw = require "moonwire"
mw.serve{
  echo = function(v) return v end,
  none = function() end,
  many = function() return 1, nil, "three" end,
  boom = function(v) error("boom " .. v) end,
  refuse = function() return mw.fs.read "/nowhere" end,
  fail = function() mw.fail("EAPP", "not today", { day = 1 }) end,
  exit = function(code) io.stderr:write("first\nlast words\n") os.exit(code) end,
  die = function() mw.task.spawn(function() end) local p = io.open("/proc/self/stat") local pid = p:read("n") p:close()
    mw.process.sh("kill -9 " .. pid) mw.task.wait() end,
  wait = function(gate) local c <close> = assert(mw.net.connect(gate)) c:read("a") return "done" end,
  spin = function() while true do end end,
  pid = function() local p <close> = io.open("/proc/self/stat") return p:read("n") end,
  big = function(n) return ("x"):rep(n) end,
  odd = function() return print end,
  grow = function() KEPT = (KEPT or "") .. ("x"):rep(30000000) return #KEPT end,
  once = function(path) local f <close> = io.open(path, "a") f:write("x") f:close()
    if mw.fs.stat(path).size < 3 then os.exit(1) end return "third" end,
  turn = function() COUNT = (COUNT or 0) + 1 return COUNT end,
  boomonce = function(path) if mw.fs.stat(path) then return "again" end assert(mw.fs.write(path, "")) error("first") end,
}
]]

--- A gate: a worker at `wait` has begun when it is accepted, and goes on when that connection is closed.
local function new_gate()
  local server = assert(mw.net.listen "tcp://127.0.0.1:0")
  return server, server:address()
end

local function open(options)
  options = options or {}
  options.script = options.script or script
  options.permissions = options.permissions or "inherit"
  return assert(process.pool(options))
end

describe("a pool of scripts", function()
  setup(function()
    dir = assert(fs.tempdir())
    script = dir.path .. "/worker.lua"
    assert(fs.write(script, WORKER))
  end)
  teardown(function() dir:close() end)

  it("calls handlers by name and gives what they return", function()
    local pool <close> = open{ size = 1 }
    assert.equal(42, pool:call("echo", 42))
    assert.same({ 1, { a = "b" }, 2.5, true }, pool:call("echo", { 1, { a = "b" }, 2.5, true }))
    assert.is_nil(pool:call("none"))
    assert.same({ n = 3, 1, nil, "three" }, table.pack(pool:call("many")))
    assert.equal(2000000, #pool:call("big", 2000000))
    assert.equal("x", pool:call("echo", ("x"):rep(300000)):sub(-1))
  end)

  it("tells an error that a handler raised, with its traceback", function()
    local pool <close> = open{ size = 1 }
    local value, err = pool:call("boom", 7)
    assert.is_nil(value)
    assert.equal("ETASK", err.code)
    assert.truthy(err.message:find("boom 7", 1, true))
    assert.same({ "boom", 1 }, { err.data.task, err.data.attempts })
    assert.truthy(err.data.traceback:find("worker.lua", 1, true))
    value, err = pool:call("fail")
    assert.same({ nil, "ETASK", "EAPP" }, { value, err.code, err.data.error.code })
    value, err = pool:call("nosuch", 1)
    assert.same({ nil, "ETASK" }, { value, err.code })
    assert.truthy(err.message:find("is served here", 1, true))
    value, err = pool:call("odd")
    assert.same({ nil, "ETASK" }, { value, err.code })
    assert.equal(1, pool:call("echo", 1))
  end)

  it("gives nil and the error that a handler returned", function()
    local pool <close> = open{ size = 1 }
    local value, err = pool:call("refuse")
    assert.is_nil(value)
    assert.equal("ENOENT", err.code)
    assert.equal(1, pool:stats().completed)
  end)

  it("takes and gives no more bytes than it may, and its workers stay", function()
    local pool <close> = open{ size = 1, max = "1KiB" }
    local ok, err = pcall(pool.call, pool, "echo", ("x"):rep(2000))
    assert.same({ false, "ELIMIT" }, { ok, err.code })
    local value
    value, err = pool:call("big", 5000)
    assert.same({ nil, "ETASK", "ELIMIT" }, { value, err.code, err.data.error.code })
    value, err = pool:call("boom", ("y"):rep(900))
    assert.same({ nil, "ETASK" }, { value, err.code })
    assert.equal(0, pool:stats().crashed)
    assert.equal(1, pool:call("echo", 1))
  end)

  it("raises for what cannot be sent, and for wrong options", function()
    local pool <close> = open{ size = 1 }
    assert.has_error(function() pool:call("echo", print) end)
    assert.has_error(function() pool:call(1, 2) end)
    assert.truthy(tostring(select(2, pcall(pool.call, pool, "echo", 1, { prority = 1 }))):find "did you mean \"priority\"")
    for _, wrong in ipairs{ { sise = 1 }, { size = 0 }, { restart = { mx = 1 } }, { retry = { on = { "crsh" } } }, { recycle = 1 },
      { command = { "x" } }, { mode = "oneshoot" }, { min_idle = 9, size = 2 }, { protocol = "lines" } } do
      wrong.script = script
      local ok, err = pcall(process.pool, wrong)
      assert.same({ false, "EINVAL" }, { ok, err.code })
    end
  end)

  it("says at once that its script is not there", function()
    local pool, err = process.pool{ script = dir.path .. "/none.lua" }
    assert.is_nil(pool)
    assert.equal("ENOENT", err.code)
  end)

  it("tells how a worker ended and replaces it", function()
    local pool <close> = open{ size = 1 }
    local value, err = pool:call("exit", 7)
    assert.is_nil(value)
    assert.same({ "ECRASHED", 7, "exit", 1 }, { err.code, err.data.exit_code, err.data.task, err.data.attempts })
    assert.equal("first\nlast words\n", err.data.stderr)
    assert.truthy(err.message:find("last words", 1, true))
    value, err = pool:call("die")
    assert.same({ nil, "ECRASHED", "KILL" }, { value, err.code, err.data.signal })
    assert.equal("here", pool:call("echo", "here"))
    local stats = pool:stats()
    assert.same({ 2, 2, 1, 2 }, { stats.crashed, stats.restarted, stats.completed, stats.failed })
  end)

  it("runs a crashed task again as often as it was asked to", function()
    local pool <close> = open{ size = 1, retry = { on = { "crash" }, attempts = 2 } }
    assert.equal("third", pool:call("once", dir.path .. "/once"))
    local value, err = pool:call("exit", 1)
    assert.same({ nil, "ECRASHED", 3 }, { value, err.code, err.data.attempts })
  end)

  it("runs a task that raised again only if asked to", function()
    local pool <close> = open{ size = 1, retry = { on = { "error" } } }
    assert.equal("again", pool:call("boomonce", dir.path .. "/boomonce"))
  end)

  it("ends a worker whose task takes too long, and says in which phase", function()
    local pool <close> = open{ size = 1, task_timeout = 0.5 }
    local value, err = pool:call "spin"
    assert.same({ nil, "ETIMEDOUT", "run" }, { value, err.code, err.data.phase })
    repeat until pool:call("echo", "on") == "on" -- within a time that is as short
    assert.equal(0, pool:stats().crashed)
    assert.truthy(pool:stats().restarted >= 1)
  end)

  it("lets a task wait no longer than it may", function()
    local pool <close> = open{ size = 1 }
    local gate <close>, address = new_gate()
    task.scope(function(s)
      local running = s:spawn(function() return pool:call("wait", address) end)
      local held = assert(gate:accept())
      local value, err = pool:call("echo", 1, { timeout = 0.05 })
      assert.same({ nil, "ETIMEDOUT", "queue" }, { value, err.code, err.data.phase })
      held:close()
      assert.equal("done", running:join())
    end)
    assert(fs.write(dir.path .. "/mute.lua", "require('moonwire').task.wait()"))
    local mute <close> = open{ script = dir.path .. "/mute.lua", queue_timeout = 0.05 }
    local value, err = mute:call "echo"
    assert.same({ nil, "ETIMEDOUT", "queue" }, { value, err.code, err.data.phase })
  end)

  it("takes the higher priority first, and equals in their order", function()
    local pool <close> = open{ size = 1 }
    local gate <close>, address = new_gate()
    local seen = {}
    task.scope(function(s)
      s:spawn(function() pool:call("wait", address) end)
      local held = assert(gate:accept())
      for i, priority in ipairs{ 0, 5, 0, 9, 5 } do
        s:spawn(function() pool:call("turn", nil, { priority = priority }) seen[#seen + 1] = i end)
      end
      task.pass()
      held:close()
    end)
    assert.same({ 4, 2, 5, 1, 3 }, seen)
  end)

  it("says that its queue is full, or waits for room", function()
    local pool <close> = open{ size = 1, max_queue = 1 }
    local gate <close>, address = new_gate()
    task.scope(function(s)
      s:spawn(function() pool:call("wait", address) end)
      local held = assert(gate:accept())
      s:spawn(function() assert.equal(1, pool:call("echo", 1)) end)
      task.pass()
      local value, err = pool:try_call("echo", 2)
      assert.same({ nil, "EAGAIN" }, { value, err.code })
      local late = s:spawn(function() return pool:call("echo", 3) end)
      task.pass()
      held:close()
      assert.equal(3, late:join())
    end)
  end)

  it("withdraws a task whose caller is cancelled, and drops the answer of one that runs", function()
    local pool <close> = open{ size = 1 }
    local gate <close>, address = new_gate()
    task.scope(function(s)
      local running = s:spawn(function() pool:call("wait", address) end)
      local _held <close> = assert(gate:accept())
      local waiting = s:spawn(function() pool:call("echo", 1) end)
      task.pass()
      assert.equal(1, pool:stats().queued)
      waiting:cancel()
      running:cancel()
      task.pass()
      assert.equal(0, pool:stats().queued)
    end)
    assert.equal("next", pool:call("echo", "next"))
    assert.equal(1, #pool:workers())
    assert.equal(2, pool:workers()[1].tasks)
  end)

  it("maps a list in order or as it is done", function()
    local pool <close> = open{ size = 2 }
    local got = {}
    for i, value, err in pool:map("echo", { 10, 20, 30 }, { ordered = true }) do got[#got + 1] = { i, value, err } end
    assert.same({ { 1, 10 }, { 2, 20 }, { 3, 30 } }, got)
    local sum = 0
    for _, value in pool:map("echo", { 1, 2, 3, 4 }) do sum = sum + value end
    assert.equal(10, sum)
    for _, value, err in pool:map("boom", { 1 }) do assert.same({ nil, "ETASK" }, { value, err.code }) end
    local ok, err = pcall(pool.map, pool, "echo", "no list")
    assert.same({ false, "EINVAL" }, { ok, err.code })
    assert.truthy(tostring(err):find("pool.map: a list is expected, got string", 1, true))
  end)

  it("shows its workers, and kills one on request", function()
    local pool <close> = open{ size = 1, restart = { max = 0 } }
    local pid = pool:call("pid")
    local worker = pool:workers()[1]
    assert.same({ pid, "idle", 1 }, { worker.pid, worker.state, worker.tasks })
    assert.is_true(worker:kill("KILL"))
    repeat task.pass() until #pool:workers() == 0 or pool:workers()[1].pid ~= pid
    assert.not_equal(pid, pool:call("pid"))
    assert.equal("ESRCH", select(2, worker:kill("KILL")).code)
  end)

  it("replaces workers after so many tasks, and when they have grown", function()
    local pool <close> = open{ size = 1, recycle = { tasks = 2 } }
    local got = {}
    for i = 1, 5 do got[i] = pool:call("turn") end
    assert.same({ 1, 2, 1, 2, 1 }, got)
    assert.equal(0, pool:stats().crashed)
    local other <close> = open{ size = 1, recycle = { memory = "25MiB" } }
    local first = other:call("pid")
    other:call("grow")
    assert.not_equal(first, other:call("pid"))
  end)

  it("says why no worker is ready when a call's time is over before the pool is broken", function()
    assert(fs.write(dir.path .. "/broken.lua", "error 'cannot begin'"))
    local pool <close> = open{ script = dir.path .. "/broken.lua", restart = { max = 5, backoff = { 60, 60 } } }
    local value, err
    repeat
      local known = pool:stats().reason
      value, err = pool:call("x", nil, { timeout = 0.01 })
    until known
    assert.same({ nil, "ETIMEDOUT", "queue" }, { value, err.code, err.data.phase })
    assert.truthy(err.message:find("cannot begin", 1, true))
  end)

  it("reports itself broken, with the cause, when no worker ever works", function()
    assert(fs.write(dir.path .. "/broken.lua", "error 'cannot begin'"))
    local pool <close> = open{ script = dir.path .. "/broken.lua", restart = { max = 2, backoff = { 0.001, 0.002 } } }
    local value, err = pool:call("echo", 1)
    assert.same({ nil, "ECRASHED" }, { value, err.code })
    assert.truthy(err.message:find("cannot begin", 1, true), err.message)
    assert.truthy(err.message:find("broken", 1, true))
    value, err = pool:call("echo", 1)
    assert.same({ nil, "ECRASHED", "broken" }, { value, err.code, pool:stats().state })
  end)

  it("does not believe a worker that talks nonsense", function()
    assert(fs.write(dir.path .. "/liar.lua", [[
      local mw = require "moonwire"
      mw.parent:write(("\255"):rep(100)):flush()
      mw.task.wait()]]))
    local pool <close> = open{ script = dir.path .. "/liar.lua", restart = { max = 0 } }
    local value, err = pool:call("echo", 1)
    assert.same({ nil, "ECRASHED" }, { value, err.code })
    assert.truthy(err.message:find("EFRAME", 1, true), err.message)
  end)

  it("finishes what it has when it is drained, and lets its workers go", function()
    local pool <close> = open{ size = 2 }
    local done = 0
    task.scope(function(s)
      for i = 1, 20 do s:spawn(function() if pool:call("echo", i) then done = done + 1 end end) end
      task.pass()
      assert.is_true(pool:drain{ timeout = 60 })
    end)
    assert.equal(20, done)
    assert.equal(0, pool:stats().size)
    local value, err = pool:call("echo", 1)
    assert.same({ nil, "ECLOSED" }, { value, err.code })
  end)

  it("ends what runs and waits when it is closed", function()
    local pool = open{ size = 1 }
    local gate <close>, address = new_gate()
    local codes = {}
    task.scope(function(s)
      for i = 1, 3 do s:spawn(function() codes[i] = select(2, pool:call("wait", address)).code end) end
      local _held <close> = assert(gate:accept())
      pool:close()
      pool:close()
    end)
    assert.same({ "ECLOSED", "ECLOSED", "ECLOSED" }, codes)
  end)

  it("lets a quick task pass a slow one that was given to a worker before it", function()
    local pool <close> = open{ size = 2 }
    local gate <close>, address = new_gate()
    local done, held = 0, nil
    for i = 1, 200 do pool:call("echo", i) end              -- so quick that they are given ahead
    task.scope(function(s)
      for i = 1, 60 do
        s:spawn(function()
          if i == 2 then return pool:call("wait", address) end
          pool:call("echo", i)
          done = done + 1
          if done == 59 then held:close() end
        end)
      end
      held = assert(gate:accept())
    end)
    assert.equal(59, done)
  end)
end)
