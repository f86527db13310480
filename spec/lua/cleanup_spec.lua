--- What runs as `__close` in a cancelled task: it may wait, within its time, and nothing else may.
local mw = require "moonwire"
local task = mw.task

local program = assert(os.getenv "MOONWIRE", "MOONWIRE names the program under test")

local function closable(f) return setmetatable({}, { __close = f }) end

--- Runs f as a task, cancels it where it waits first, and gives what it has told.
local function cancelled(f)
  local steps = {}
  local function tell(what) steps[#steps + 1] = what end
  local t = task.spawn(f, tell)
  task.pass()
  t:cancel("no more of it")
  local v, err = t:join { timeout = 60 }
  assert.is_nil(v)
  assert.equal("ECANCELED", err.code)
  return steps
end

--- Runs the program with the script, and gives how it ended.
local function run(flags, text, stdin)
  local argv = { program, "run", "-A" }
  for _, flag in ipairs(flags) do argv[#argv + 1] = flag end
  argv[#argv + 1] = "-"
  argv.stdin, argv.timeout = text, 60
  if stdin then argv.stdin = stdin end
  return assert(mw.process.run(argv))
end

describe("the __close of a cancelled task", function()
  it("waits for what it has to", function()
    assert.same({ "slept", "joined", "all", "took" }, cancelled(function(tell)
      local _ <close> = closable(function()
        task.sleep(0.001)
        tell "slept"
        task.spawn(task.sleep, 0.001):join()
        tell "joined"
        task.all(function() task.sleep(0.001) end, task.pass)
        tell "all"
        local ch = task.channel(1)
        task.spawn(function() task.sleep(0.001) ch:send "x" end)
        if ch:recv() == "x" then tell "took" end
      end)
      task.wait()
    end))
  end)

  it("says goodbye to a peer, and hears the answer", function()
    local heard
    local srv <close> = assert(mw.net.listen("unix:@moonwire-cleanup-" .. mw.time.now()))
    task.spawn_with({ daemon = true }, srv.serve, srv, function(conn)
      heard = conn:read "l"
      conn:write "goodbye\n"
    end)
    assert.same({ "goodbye" }, cancelled(function(tell)
      local conn <close> = assert(mw.net.connect(srv:address()))
      local _ <close> = closable(function()
        assert(conn:write "bye\n")
        tell(conn:read "l")
      end)
      task.wait()
    end))
    assert.equal("bye", heard)
  end)

  it("stops a child in order, and reads its last words", function()
    assert.same({ "last words" }, cancelled(function(tell)
      local child <close> = assert(mw.process.spawn { "sh", "-c", "read line; echo last words", stdin = "pipe", stdout = "pipe" })
      local _ <close> = closable(function()
        child.stdin:write "end\n"
        tell(child.stdout:read "l")
      end)
      task.wait()
    end))
  end)

  it("runs to its end one after the other, the last one first, with the cancel as the error", function()
    assert.same({ "second no more of it", "first no more of it" }, cancelled(function(tell)
      local function close(name)
        return closable(function(_, err)
          task.sleep(0.001)
          tell(name .. " " .. err.message)
        end)
      end
      local _ <close> = close "first"
      local _ <close> = close "second"
      task.wait()
    end))
  end)

  it("may be written as a tail call", function()
    assert.same({ "closed" }, cancelled(function(tell)
      local object = {}
      function object.shut() task.sleep(0.001) tell "closed" end
      local _ <close> = closable(function(it) return it.me.shut() end)
      getmetatable(_).__index = { me = object }
      task.wait()
    end))
  end)

  it("may be an object that is called, and may give its own another metatable", function()
    assert.same({ "slept", "slept again", "called" }, cancelled(function(tell)
      local _ <close> = setmetatable({}, { __close = setmetatable({}, { __call = function() task.sleep(0.001) tell "called" end }) })
      local _ <close> = closable(function(it)
        task.sleep(0.001)
        tell "slept"
        setmetatable(it, nil)
        task.sleep(0.001)
        tell "slept again"
      end)
      task.wait()
    end))
  end)

  it("is a call, and not the function: called by name it is cut off like any other", function()
    assert.same({ "waits", "cut", "cut" }, cancelled(function(tell)
      local object = {}
      object.__index = object
      function object.close() tell(pcall(task.sleep, 0.001) and "waits" or "cut") end
      object.__close = object.close
      local it = setmetatable({}, object)
      pcall(task.wait)
      do local _ <close> = it end
      it:close()
      pcall(it.close, it)
      task.wait()
    end))
  end)

  it("is not what a body calls at its end, whatever is called so", function()
    local slept = {}
    local function ending(name)
      local function last() slept[name] = pcall(task.sleep, 1) end
      return function() return last() end
    end
    task.timeout(0.001, ending "timeout")
    task.shield(ending "shield", { timeout = 0.001 })
    task.scope(function(s) s:cancel() return ending("scope")() end)
    task.scope(function(s)
      s:spawn(ending "task")
      task.pass()
      s:cancel()
    end)
    assert.same({ timeout = false, shield = false, scope = false, task = false }, slept)
  end)

  it("leaves its task cancelled behind it", function()
    assert.same({ "cleaned", "raised again" }, cancelled(function(tell)
      pcall(function()
        local _ <close> = closable(function() task.sleep(0.001) tell "cleaned" end)
        task.wait()
      end)
      tell(pcall(task.sleep, 0) and "slept" or "raised again")
      task.wait()
    end))
  end)

  it("that the cancel finds at its work goes on with it", function()
    assert.same({ "written", "cut" }, cancelled(function(tell)
      do
        local _ <close> = closable(function()
          task.timeout(10, function() task.all(function() task.sleep(0.005) end) end)
          task.sleep(0.001)
          tell "written"
        end)
      end
      tell(pcall(task.sleep, 0) and "slept" or "cut")
      task.wait()
    end))
  end)

  it("has its own time limits bind all the same", function()
    assert.same({ "ETIMEDOUT", "ECANCELED", "ETIMEDOUT" }, cancelled(function(tell)
      local _ <close> = closable(function()
        local _, err = task.timeout(0.001, task.wait)
        tell(err.code)
        _, err = task.scope(function(s) s:cancel() task.wait() end)
        tell(err.code)
        local s <close> = task.scope()
        local waits = s:spawn(task.wait)
        _, err = waits:join { timeout = 0.001 }
        tell(err.code)
        s:cancel()
      end)
      task.wait()
    end))
  end)

  it("may use generators, and is told from code that swallows a cancel", function()
    assert.same({ "swallowed is not cleaned up", "generated" }, cancelled(function(tell)
      local _ <close> = closable(function()
        for v in coroutine.wrap(function() task.sleep(0.001) coroutine.yield "generated" end) do tell(v) end
      end)
      local ok = pcall(task.wait)
      if not ok and not pcall(task.sleep, 0.001) then
        local _ <close> = closable(function() tell "swallowed is not cleaned up" end)
      end
      task.wait()
    end))
  end)

  it("whose scope timed out is waited for, and the scope's outcome is the timeout", function()
    local cleaned
    local v, err = task.timeout(0.001, function()
      local _ <close> = closable(function() task.sleep(0.005) cleaned = true end)
      task.wait()
    end)
    assert.same({ nil, "ETIMEDOUT", true }, { v, err.code, cleaned })
  end)

  it("of a sibling of what failed is waited for, and what failed is raised", function()
    local cleaned
    local ok, err = pcall(task.scope, function(s)
      s:spawn(function()
        local _ <close> = closable(function() task.sleep(0.002) cleaned = true end)
        task.wait()
      end)
      s:spawn(function() task.pass() error("boom", 0) end)
    end)
    assert.same({ false, "boom", true }, { ok, err, cleaned })
  end)

  it("is held to the end of an inner and an outer scope that are cancelled together", function()
    local steps = {}
    local v, err = task.timeout(0.002, function()
      local _ <close> = closable(function() task.sleep(0.002) steps[#steps + 1] = "outer" end)
      task.timeout(0.002, function()
        local _ <close> = closable(function() task.sleep(0.002) steps[#steps + 1] = "inner" end)
        task.wait()
      end)
      task.wait()
    end)
    assert.same({ nil, "ETIMEDOUT", { "inner", "outer" } }, { v, err.code, steps })
  end)

  it("that fails has its error raised, and the next one still waits", function()
    local cleaned
    local t = task.spawn(function()
      local _ <close> = closable(function() task.sleep(0.001) cleaned = true end)
      local _ <close> = closable(function() task.sleep(0.001) error("cleanup failed", 0) end)
      task.wait()
    end)
    task.pass()
    t:cancel()
    local ok, err = pcall(t.join, t)
    assert.same({ false, "cleanup failed", true }, { ok, err, cleaned })
  end)

  it("can end the run", function()
    local r = run({}, [[
      local mw = require "moonwire"
      mw.task.timeout(0.001, function()
        local _ <close> = setmetatable({}, { __close = function() mw.exit(7) end })
        mw.task.wait()
      end)
      print "not reached"
    ]])
    assert.same({ 7, "" }, { r.code, r.stdout })
  end)

  it("has what it started and did not wait for cancelled behind it", function()
    local ended
    cancelled(function()
      local _ <close> = closable(function()
        task.spawn(function()
          local _ <close> = closable(function() ended = true end)
          task.wait()
        end)
        task.pass()
      end)
      task.wait()
    end)
    assert.is_true(ended)
  end)
end)

describe("what a __close waits for too long", function()
  local STUCK = [[
    local mw = require "moonwire"
    local function stuck(name)
      return setmetatable({}, { __close = function()
        local ok, err = pcall(mw.task.wait)
        print(name, ok, err.message)
      end })
    end
    print(mw.task.timeout(0.001, function()
      local _ <close> = stuck "second"
      local _ <close> = stuck "first"
      mw.task.wait()
    end))
  ]]

  it("is cut off, once for all of a cancel, and that is said", function()
    local r = run({ "--cleanup=20ms" }, STUCK)
    assert.equal(0, r.code)
    assert.equal("first\tfalse\tits cleanup took too long\nsecond\tfalse\ttimed out\nnil\ttask timeout: timed out\n", r.stdout)
    assert.match("task main: what its __close functions wait for is cut off after 0.02 s %(%-%-cleanup=DURATION", r.stderr)
  end)

  it("has its own time with a shield", function()
    local r = run({ "--cleanup=1ms" }, [[
      local task = require "moonwire".task
      task.timeout(0.001, function()
        local _ <close> = setmetatable({}, { __close = function()
          task.shield(function() task.sleep(0.05) end)
          print "through"
        end })
        task.wait()
      end)
    ]])
    assert.same({ 0, "through\n" }, { r.code, r.stdout })
  end)

  it("does not hold up the end of the run for longer either", function()
    local r = run({ "--cleanup=20ms", "--timeout=50ms" }, [[
      local mw = require "moonwire"
      local _ <close> = setmetatable({}, { __close = function() while true do pcall(mw.task.wait) end end })
      mw.task.wait()
    ]])
    assert.equal(124, r.code)
  end)

  for _, text in ipairs { "0", "soon", "2d", "" } do
    it("cannot be given --cleanup=" .. text, function()
      local r = run({ "--cleanup=" .. text }, "")
      assert.equal(2, r.code)
      assert.match("%-%-cleanup", r.stderr)
    end)
  end
end)

describe("a run that is ended by a signal", function()
  local WAITING = [[
    local mw = require "moonwire"
    local _ <close> = setmetatable({}, { __close = function()
      print "cleaning"
      mw.task.sleep(%s)
      print "cleaned"
    end })
    mw.task.spawn_with({ daemon = true }, function()
      local _ <close> = setmetatable({}, { __close = function() mw.task.sleep(0.001) print "the daemon, too" end })
      mw.task.wait()
    end)
    mw.task.pass()
    print "ready"
    mw.task.wait()
  ]]
  local function start(seconds)
    local argv = { program, "eval", "-A", WAITING:format(seconds), stdin = "null", stdout = "pipe", stderr = "pipe" }
    local child = assert(mw.process.spawn(argv))
    assert.equal("ready", child.stdout:read "l")
    return child
  end

  it("waits for what its __close functions wait for", function()
    local child <close> = start "0.005"
    child:kill "TERM"
    local lines = {}
    for line in child.stdout:lines() do lines[#lines + 1] = line end
    table.sort(lines)
    assert.same({ "cleaned", "cleaning", "the daemon, too" }, lines)
    assert.equal(143, child:wait { timeout = 60 }.code)
  end)

  it("does not after the second Ctrl-C", function()
    local child <close> = start "600"
    child:kill "INT"
    for line in child.stdout:lines() do if line == "cleaning" then break end end
    child:kill "INT"
    local result = child:wait { timeout = 60 }
    assert.equal("INT", result.signal)
  end)
end)

describe("a worker that is closed", function()
  local function closed(seconds)
    local text = [[
      local mw = require "moonwire"
      local cell = mw.shared.cell
      mw.parent:send "ready"
      local _ <close> = setmetatable({}, { __close = function()
        mw.task.sleep(SECONDS)
        cell:set_u32(0, 1)
      end })
      mw.task.wait()
    ]]
    local dir <close> = assert(mw.fs.tempdir())
    local path = tostring(dir.path) .. "/worker.lua"
    assert(mw.fs.write(path, (text:gsub("SECONDS", seconds))))
    local cell <close> = assert(mw.shm.create { size = 64 })
    local w <close> = assert(mw.worker.spawn(path, { permissions = "none", share = { cell = cell } }))
    assert.equal("ready", w:recv { timeout = 60 })
    w:close()
    return cell:u32(0)
  end

  it("has its __close functions wait for a moment", function() assert.equal(1, closed "0.001") end)
  it("and not for longer", function() assert.equal(0, closed "600") end)
end)
