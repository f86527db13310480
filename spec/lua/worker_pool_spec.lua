-- Pools of workers on threads: the verbs of pools of processes.
local mw = require "moonwire"
local fs, worker, task = mw.fs, mw.worker, mw.task

local dir, script

local WORKER = [[
local mw = require "moonwire"
mw.serve{
  echo = function(...) return ... end,
  many = function() return 1, nil, "three" end,
  boom = function(v) error("boom " .. v) end,
  refuse = function() return mw.fs.read "/nowhere" end,
  spin = function() while true do end end,
  stop = function() mw.task.spawn(error, "torn") mw.task.wait() end,
  risky = function(n)
    if math.random(100) == 1 then mw.task.spawn(error, "torn") mw.task.wait() end
    RUNS = (RUNS or 0) + 1
    return n * n
  end,
  turn = function() COUNT = (COUNT or 0) + 1 return COUNT end,
}
]]

local function open(options)
  options = options or {}
  options.script = options.script or script
  options.permissions = "inherit"
  return assert(worker.pool(options))
end

describe("a pool of workers on threads", function()
  setup(function()
    dir = assert(fs.tempdir())
    script = dir.path .. "/worker.lua"
    assert(fs.write(script, WORKER))
  end)
  teardown(function() dir:close() end)

  it("calls handlers by name", function()
    local pool <close> = open{ size = 2 }
    assert.same({ a = { 1, 2.5 } }, pool:call("echo", { a = { 1, 2.5 } }))
    assert.same({ n = 3, 1, nil, "three" }, table.pack(pool:call "many"))
    local sum = 0
    for _, value in pool:map("echo", { 1, 2, 3, 4, 5 }) do sum = sum + value end
    assert.equal(15, sum)
    assert.equal(7, pool:stats().completed)
  end)

  it("tells what a handler raised, and what it returned after a nil", function()
    local pool <close> = open{ size = 1 }
    local value, err = pool:call("boom", 7)
    assert.same({ nil, "ETASK", "boom" }, { value, err.code, err.data.task })
    assert.truthy(err.message:find("boom 7", 1, true))
    assert.truthy(err.data.traceback:find("worker.lua", 1, true))
    assert.equal("ENOENT", select(2, pool:call "refuse").code)
  end)

  it("ends a worker whose task takes too long", function()
    local pool <close> = open{ size = 1, task_timeout = 0.5 }
    local value, err = pool:call "spin"
    assert.same({ nil, "ETIMEDOUT", "run" }, { value, err.code, err.data.phase })
    assert.equal("on", pool:call("echo", "on"))
  end)

  it("replaces a worker that ended with an error", function()
    local pool <close> = open{ size = 1 }
    local value, err = pool:call "stop"
    assert.same({ nil, "ECRASHED", 1 }, { value, err.code, err.data.attempts })
    assert.truthy(err.message:find("torn", 1, true), err.message)
    assert.equal("on", pool:call("echo", "on"))
    assert.equal(1, pool:stats().crashed)
  end)

  it("answers each task exactly once while workers end", function()
    local pool <close> = open{ size = 3, retry = { on = { "crash" }, attempts = 1000 } }
    local list, times, wrong = {}, {}, 0
    for i = 1, 2000 do list[i] = i end
    for i, value in pool:map("risky", list, { limit = 64 }) do
      times[i] = (times[i] or 0) + 1
      if value ~= i * i then wrong = wrong + 1 end
    end
    for i = 1, 2000 do if times[i] ~= 1 then wrong = wrong + 1 end end
    assert.equal(0, wrong)
    assert.equal(2000, pool:stats().completed)
    assert.truthy(pool:stats().crashed > 0)
  end)

  it("is broken when no worker ever works", function()
    assert(fs.write(dir.path .. "/broken.lua", "error 'cannot begin'"))
    local pool <close> = open{ script = dir.path .. "/broken.lua", restart = { max = 1, backoff = { 0.001, 0.002 } } }
    local value, err
    repeat
      value, err = pool:call("echo", 1)
      assert.same({ nil, "ECRASHED" }, { value, err.code })
    until err.message:find("the pool is broken", 1, true)
    assert.equal("broken", pool:stats().state)
  end)

  it("recycles, drains, and refuses wrong options", function()
    local pool <close> = open{ size = 1, recycle = { tasks = 2 } }
    local got = {}
    for i = 1, 4 do got[i] = pool:call "turn" end
    assert.same({ 1, 2, 1, 2 }, got)
    task.scope(function(s)
      local late = s:spawn(function() return pool:call("echo", "last") end)
      task.pass()
      assert(pool:drain{ timeout = 10 })
      assert.equal("last", late:join())
    end)
    assert.equal("ECLOSED", select(2, pool:call("echo", 1)).code)
    for _, wrong in ipairs{ {}, { script = script, sise = 1 }, { script = script, protocol = "lines" } } do
      assert.equal("EINVAL", select(2, pcall(worker.pool, wrong)).code)
    end
    assert.equal("ENOENT", select(2, worker.pool{ script = dir.path .. "/none.lua" }).code)
  end)
end)
