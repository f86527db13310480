-- What a host measures of itself without a line of code: each number beside what was done. Knows: mw.
local mw = require "moonwire"
local metrics, net, task = mw.metrics, mw.net, mw.task
local check = require "spec.support.prometheus"
local moonwire = os.getenv "MOONWIRE" or "moonwire"

--- The value of a series: "moonwire_bytes_total", "direction", "in".
local function value(...)
  return check(metrics.text())[table.concat({ ... }, "\0")]
end

--- How far a series goes up while f runs.
local function grown(series, f)
  local before = value(table.unpack(series)) or 0
  f()
  return (value(table.unpack(series)) or 0) - before
end

local function dir() return assert(mw.fs.tempdir()) end

local count = 0
local function address()
  count = count + 1
  return ("unix:@mw-spec-own-%d-%d"):format(mw.sys.pid(), count)
end

describe("a host counts without code", function()
  it("messages in and out, of channels that are gone too", function()
    local function talk()
      local l <close> = assert(net.listen(address()))
      task.spawn_with({ daemon = true }, l.serve, l, function(conn)
        local ch = conn:framed "u32le"
        for text in ch:messages() do ch:send(text) end
      end)
      local ch <close> = assert(net.connect(l:address())):framed "u32le"
      for _ = 1, 50 do
        ch:send "hello"
        assert.equal("hello", ch:recv())
      end
    end
    local sent = grown({ "moonwire_messages_total", "direction", "out" }, function()
      assert.equal(100, grown({ "moonwire_messages_total", "direction", "in" }, talk))
    end)
    assert.equal(100, sent)
    local before = value("moonwire_messages_total", "direction", "in")
    collectgarbage()
    collectgarbage()
    assert.equal(before, value("moonwire_messages_total", "direction", "in"))
  end)

  it("bytes, streams and connections", function()
    local function talk()
      local l <close> = assert(net.listen(address()))
      local a <close> = assert(net.connect(l:address()))
      local b <close> = assert(l:accept())
      a:write(("x"):rep(1000))
      assert.equal(1000, #b:read_exact(1000))
    end
    assert.equal(1000, grown({ "moonwire_bytes_total", "direction", "in" }, talk))
    assert.equal(1000, grown({ "moonwire_bytes_total", "direction", "out" }, talk))
    assert.equal(2, grown({ "moonwire_streams_total" }, talk))
    assert.equal(0, grown({ "moonwire_streams_open" }, talk))
    assert.equal(1, grown({ "moonwire_connections_accepted_total" }, talk))
  end)

  it("errors by their code, made in C and in Lua, and those of a script under one", function()
    local function errors(code, f) return grown({ "moonwire_errors_total", "code", code }, f) end
    assert.equal(3, errors("ECONNREFUSED", function() for _ = 1, 3 do net.connect(address()) end end))
    assert.equal(2, errors("EPARSE", function() for _ = 1, 2 do pcall(mw.fail, "EPARSE", "x") end end))
    assert.equal(2, errors("other", function() for i = 1, 2 do pcall(mw.fail, "MINE" .. i, "x") end end))
    assert.equal(1, errors("EINVAL", function() pcall(net.connect, 5) end))
  end)

  it("children, and how long it took to start them", function()
    local function run() assert(mw.process.run { "true" }) end
    assert.equal(1, grown({ "moonwire_processes_started_total" }, run))
    assert.equal(0, grown({ "moonwire_processes_running" }, run))
    assert.equal(1, grown({ "moonwire_spawn_duration_seconds_count" }, run))
    local child = assert(mw.process.spawn { "cat", stdin = "pipe" })
    assert.is_true(value "moonwire_processes_running" >= 1)
    child:close()
  end)

  it("calls to a pool of processes, their waits, and its workers by state", function()
    local function calls()
      local pool <close> = assert(mw.process.pool { command = { "cat" }, protocol = "lines", size = 1 })
      for i = 1, 5 do assert.equal(tostring(i), pool:call(tostring(i))) end
      assert.equal(1, value("moonwire_pool_workers", "kind", "process", "state", "idle"))
    end
    assert.equal(5, grown({ "moonwire_call_duration_seconds_count", "kind", "process" }, calls))
    assert.equal(5, grown({ "moonwire_pool_wait_seconds_count", "kind", "process" }, calls))
    assert.equal(5, grown({ "moonwire_pool_calls_total", "kind", "process", "result", "completed" }, calls))
    assert.equal(0, value("moonwire_pool_workers", "kind", "process", "state", "idle"))
    assert.equal(0, value("moonwire_pool_queue_length", "kind", "process"))
  end)

  it("calls to a worker and to a pool of workers, and the workers", function()
    local home <close> = dir()
    local script = home.path .. "/own_worker.lua"
    assert(mw.fs.write(script, 'require("moonwire").serve { f = function(x) return x end }'))
    assert.equal(3, grown({ "moonwire_call_duration_seconds_count", "kind", "worker" }, function()
      local w <close> = assert(mw.worker.spawn(script))
      for i = 1, 3 do assert.equal(i, w:call("f", i)) end
      assert.is_true(value "moonwire_workers_running" >= 1)
    end))
    assert.equal(4, grown({ "moonwire_call_duration_seconds_count", "kind", "thread" }, function()
      local pool <close> = assert(mw.worker.pool { script = script, size = 1 })
      for i = 1, 4 do assert.equal(i, pool:call("f", i)) end
    end))
    assert.is_true(value "moonwire_workers_started_total" >= 2)
  end)

  it("remote calls", function()
    local l <close> = assert(net.listen(address()))
    local done = mw.task.event()
    task.spawn_with({ daemon = true }, l.serve, l, function(conn)
      local rpc = mw.rpc.json(conn:framed "lines")
      rpc:handle("twice", function(p) return p[1] * 2 end)
      done:wait()
    end)
    assert.equal(4, grown({ "moonwire_call_duration_seconds_count", "kind", "rpc" }, function()
      local conn <close> = assert(net.connect(l:address()))
      local rpc = mw.rpc.json(conn:framed "lines")
      for i = 1, 3 do assert.equal(2 * i, rpc:call("twice", { i }, { timeout = 20 })) end
      assert.is_nil((rpc:call("none", { 1 }, { timeout = 20 })))
      rpc:close()
    end))
    done:set()
  end)

  it("how long tasks kept the loop", function()
    local function lag() return tonumber(metrics.text():match "moonwire_loop_lag_seconds_sum (%S+)") end
    local before, t0 = lag(), mw.time.now()
    while mw.time.now() - t0 < 0.05 do end
    repeat task.sleep(0.001) until lag() > before -- a sleep that is over before it begins does not end the turn
    assert.is_true(lag() - before >= 0.05)
  end)

  it("its memory, its tasks, and the collector's cycles", function()
    assert.is_true(value "moonwire_lua_memory_bytes" > 10000)
    assert.is_true(value "moonwire_lua_memory_limit_bytes" >= 256 * 1024 * 1024)
    assert.is_true(grown({ "moonwire_lua_gc_cycles_total" }, function() collectgarbage() end) >= 1)
    assert.equal(1, grown({ "moonwire_tasks" }, function() task.spawn_with({ daemon = true }, task.wait) end))
  end)

  it("and a worker has metrics of its own", function()
    local home <close> = dir()
    local script = home.path .. "/own_metrics.lua"
    assert(mw.fs.write(script, [[
      local mw = require "moonwire"
      mw.metrics.counter("of_worker_total"):inc(7)
      mw.serve { text = function() return mw.metrics.text() end } ]]))
    local w <close> = assert(mw.worker.spawn(script))
    assert.equal(7, check(w:call("text"))["of_worker_total"])
    assert.is_nil(check(metrics.text())["of_worker_total"])
  end)

  it("by names that promtool has no fault to find with", function()
    local found = mw.process.run { "sh", "-c", "command -v promtool" }
    if not found.ok then return pending "promtool is not installed" end
    local r = assert(mw.process.run { moonwire, "run", "-", timeout = 30, stdin = [[
      local mw = require "moonwire"
      pcall(mw.fail, "EPARSE", "x")
      io.write(mw.metrics.text()) ]] })
    local p = assert(mw.process.run { "promtool", "check", "metrics", stdin = r.stdout, timeout = 60 })
    assert.same({ 0, "", "" }, { p.code, p.stdout, p.stderr })
  end)
end)
