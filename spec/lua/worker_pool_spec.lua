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

local function written(place, name, text)
  assert(fs.write(place.path .. "/" .. name, text))
  return place.path .. "/" .. name
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
    repeat until pool:call("echo", "on") == "on" -- within a time that is as short
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

  it("gives the code of the error that ended a worker, also one of its own, as a worker does", function()
    assert(fs.write(dir.path .. "/own.lua", "require('moonwire').fail('NOTREADY', 'not yet')"))
    local pool <close> = open{ script = dir.path .. "/own.lua", restart = { max = 1, backoff = { 0.001, 0.002 } } }
    local err = select(2, pool:call("echo", 1))
    assert.same({ "ECRASHED", "NOTREADY" }, { err.code, err.data.code })
    local w <close> = assert(mw.worker.spawn(dir.path .. "/own.lua"))
    err = select(2, w:join{ timeout = 60 })
    assert.same({ "ECRASHED", "NOTREADY", "not yet" }, { err.code, err.data.code, err.data.message })
  end)

  it("recycles, drains, and refuses wrong options", function()
    local pool <close> = open{ size = 1, recycle = { tasks = 2 } }
    local got = {}
    for i = 1, 4 do got[i] = pool:call "turn" end
    assert.same({ 1, 2, 1, 2 }, got)
    task.scope(function(s)
      local late = s:spawn(function() return pool:call("echo", "last") end)
      task.pass()
      assert(pool:drain{ timeout = 60 })
      assert.equal("last", late:join())
    end)
    assert.equal("ECLOSED", select(2, pool:call("echo", 1)).code)
    for _, wrong in ipairs{ {}, { script = script, sise = 1 }, { script = script, protocol = "lines" } } do
      assert.equal("EINVAL", select(2, pcall(worker.pool, wrong)).code)
    end
    assert.equal("ENOENT", select(2, worker.pool{ script = dir.path .. "/none.lua" }).code)
  end)

  it("takes shared memory, rings and streams in calls, and gives them back", function()
    local pool <close> = open{ script = written(dir, "objects.lua", [[
      local mw = require "moonwire"
      mw.serve{
        add = function(m) return m:add_u32(0, 5), m end,
        twice = function(v) return rawequal(v.a, v.b) end,
        make = function() local m = assert(mw.shm.create{ size = 4096 }) m:set_u32(8, 77) return { m } end,
        drain = function(ring) local n = 0 for rec in ring:records() do n = n + #rec end return n end,
        answer = function(conn) local line = conn:read "l" conn:write("heard ", line, "\n") conn:close() end,
      }]]), size = 2 }
    local m <close> = assert(mw.shm.create{ size = 4096 })
    local sum, same = pool:call("add", m)
    assert.equal(5, sum)
    assert.equal(5, m:u32(0))
    same:set_u32(4, 9)
    assert.equal(9, m:u32(4))
    same:close()
    assert.is_true(pool:call("twice", { a = m, b = m }))
    local made = pool:call "make"
    assert.equal(77, made[1]:u32(8))
    made[1]:close()
    local ring <close> = assert(mw.shm.ring{ capacity = "64KiB" })
    task.scope(function(s)
      s:spawn(function()
        for _ = 1, 100 do assert(ring:push "0123456789") end
        ring:finish()
      end)
      assert.equal(1000, pool:call("drain", ring))
    end)
    local server <close> = assert(mw.net.listen("unix:@moonwire-worker-pool-spec-" .. mw.sys.pid()))
    local near <close> = assert(mw.net.connect(server:address()))
    local far = assert(server:accept())
    task.scope(function(s)
      s:spawn(function() assert.is_nil(pool:call("answer", far)) end)
      assert(near:write "you\n")
      assert.equal("heard you", near:read "l")
      assert.is_nil(near:read "l") -- the worker closed it, and nobody else holds it
    end)
  end)

  it("gives shared memory again to a worker that runs a task once more", function()
    local pool <close> = open{ script = written(dir, "again.lua", [[
      local mw = require "moonwire"
      mw.serve{ count = function(m)
        if m:add_u32(0, 1) < 3 then mw.task.spawn(error, "torn") mw.task.wait() end
        return m:u32(0)
      end }]]), size = 1, retry = { on = { "crash" }, attempts = 5 }, restart = { max = 20, within = 1, backoff = { 0, 0 } } }
    local m <close> = assert(mw.shm.create{ size = 4096 })
    assert.equal(3, pool:call("count", m))
  end)

  it("gives its workers what `share` names, as mw.shared", function()
    local m <close> = assert(mw.shm.create{ size = 4096 })
    local text = [[
      local mw = require "moonwire"
      mw.serve{ add = function(n) return mw.shared.counter:add_u32(0, n) end }]]
    local pool <close> = open{ script = written(dir, "share.lua", text), size = 2, share = { counter = m } }
    for _ = 1, 20 do assert(pool:call("add", 2)) end
    assert.equal(40, m:u32(0))
    local w <close> = assert(worker.spawn(dir.path .. "/share.lua", { share = { counter = m }, permissions = "inherit" }))
    assert.equal(42, w:call("add", 2))
    assert.error(function() worker.spawn(dir.path .. "/share.lua", { share = { counter = 3 } }) end)
    assert.error(function() worker.spawn(dir.path .. "/share.lua", { share = m }) end)
  end)
end)
