local mw = require "moonwire"
local task = mw.task

local function closable(f) return setmetatable({}, { __close = f }) end

describe("a task", function()
  it("runs beside the one that started it and gives its results to join", function()
    local seen = {}
    local t = task.spawn(function(a, b)
      seen[#seen + 1] = "task"
      return a + b, nil, "x"
    end, 1, 2)
    seen[#seen + 1] = "parent"
    assert.same({ 3, nil, "x", n = 3 }, table.pack(t:join()))
    assert.same({ "parent", "task" }, seen)
    assert.is_true(t:done())
    assert.same({ 3, nil, "x", n = 3 }, table.pack(t:join()))
  end)

  it("hands its error to whoever joins it, and cancels nobody else", function()
    local other = task.spawn(function() task.sleep(0.02) return "fine" end)
    local t = task.spawn(function() task.sleep(0.001) error("boom", 0) end)
    assert.has_error(function() t:join() end, "boom")
    assert.equal("fine", other:join())
  end)

  it("tells a joiner that it was cancelled, with the reason", function()
    local t = task.spawn(function() task.wait() end)
    task.pass()
    t:cancel("not needed")
    local v, err = t:join()
    assert.is_nil(v)
    assert.equal("ECANCELED", err.code)
    assert.equal("not needed", err.message)
  end)

  it("gives join a deadline that loses nothing", function()
    local gate = task.event()
    local t = task.spawn(function() gate:wait() return "late" end)
    local v, err = t:join{ timeout = "1ms" }
    assert.is_nil(v)
    assert.equal("ETIMEDOUT", err.code)
    gate:set()
    assert.equal("late", t:join())
  end)

  it("cannot join itself", function()
    local t
    t = task.spawn(function() return t:join() end)
    local ok, err = pcall(t.join, t)
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
  end)

  it("is cancelled again at each wait when it swallows the cancel", function()
    local raised = 0
    local t = task.spawn(function()
      for _ = 1, 3 do
        local ok, err = pcall(task.sleep, 10)
        assert(not ok and err.code == "ECANCELED")
        raised = raised + 1
      end
    end)
    task.pass()
    t:cancel()
    t:join()
    assert.equal(3, raised)
  end)

  it("that swallows its cancels for ever does not keep others from running", function()
    local stop, n = false, 0
    local t = task.spawn(function()
      while not stop do pcall(task.wait) end
    end)
    task.pass()
    t:cancel()
    for _ = 1, 50 do task.pass() n = n + 1 end
    stop = true
    t:join()
    assert.equal(50, n)
  end)

  it("may wait inside a shield after its cancel, and outside it is cancelled", function()
    local steps = {}
    local t = task.spawn(function()
      pcall(task.wait)
      task.shield(function()
        task.sleep(0.002)
        steps[#steps + 1] = "shielded"
      end)
      local ok = pcall(task.sleep, 0)
      steps[#steps + 1] = ok and "slept" or "cancelled"
    end)
    task.pass()
    t:cancel()
    t:join()
    assert.same({ "shielded", "cancelled" }, steps)
  end)

  it("refuses what is no function", function()
    local ok, err = pcall(task.spawn, 42)
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
    assert.truthy(tostring(err):find("task_spec.lua:", 1, true))
  end)

  it("starts ten thousand others without trouble", function()
    local sum = 0
    task.scope(function(s)
      for i = 1, 10000 do s:spawn(function() task.pass() sum = sum + i end) end
    end)
    assert.equal(50005000, sum)
  end)
end)

describe("a scope", function()
  it("returns what its function returns, when all its tasks are done", function()
    local done = 0
    local a, b = task.scope(function(s)
      for _ = 1, 3 do s:spawn(function() task.sleep(0.002) done = done + 1 end) end
      return 1, 2
    end)
    assert.equal(3, done)
    assert.same({ 1, 2 }, { a, b })
  end)

  it("cancels its siblings and its body at the first error, and raises that error", function()
    local cleaned, after = 0, false
    local ok, err = pcall(task.scope, function(s)
      s:spawn(function()
        local _ <close> = closable(function() cleaned = cleaned + 1 end)
        task.wait()
      end)
      s:spawn(function() task.pass() mw.fail("EPARSE", "first", { line = 3 }) end)
      local _ <close> = closable(function() cleaned = cleaned + 1 end)
      task.wait()
      after = true
    end)
    assert.is_false(ok)
    assert.equal("EPARSE", err.code)
    assert.equal(3, err.data.line)
    assert.equal(2, cleaned)
    assert.is_false(after)
  end)

  it("raises its body's error after its tasks have cleaned up", function()
    local cleaned = false
    local ok, err = pcall(task.scope, function(s)
      s:spawn(function()
        local _ <close> = closable(function() cleaned = true end)
        task.wait()
      end)
      task.pass()
      error("body", 0)
    end)
    assert.same({ false, "body", true }, { ok, err, cleaned })
  end)

  it("ends with nil, ECANCELED when it is cancelled from inside", function()
    local v, err = task.scope(function(s)
      s:spawn(function() task.pass() s:cancel("enough") end)
      task.wait()
    end)
    assert.is_nil(v)
    assert.equal("ECANCELED", err.code)
  end)

  it("lets a cancel from outside through", function()
    local t = task.spawn(function()
      task.scope(function(s)
        s:spawn(task.wait)
        task.wait()
      end)
    end)
    task.pass()
    t:cancel("outside")
    local _, err = t:join()
    assert.equal("outside", err.message)
  end)

  it("waits at the end of a block in its flat form", function()
    local seen = {}
    do
      local s <close> = task.scope()
      s:spawn(function() task.sleep(0.002) seen[#seen + 1] = "task" end)
      seen[#seen + 1] = "block"
    end
    seen[#seen + 1] = "after"
    assert.same({ "block", "task", "after" }, seen)
  end)

  it("raises a task's error at the end of the block in its flat form", function()
    assert.has_error(function()
      local s <close> = task.scope()
      s:spawn(function() error("inner", 0) end)
      task.wait()
    end, "inner")
  end)

  it("does not wait for daemons, but cancels them", function()
    local ended = false
    task.scope(function(s)
      s:spawn_with({ daemon = true, name = "watcher" }, function()
        local _ <close> = closable(function() ended = true end)
        task.wait()
      end)
      s:spawn(task.pass)
    end)
    assert.is_true(ended)
  end)

  it("takes no task after its end", function()
    local kept
    task.scope(function(s) kept = s end)
    local ok, err = pcall(kept.spawn, kept, print)
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
  end)

  it("can be closed only by the task that opened it", function()
    local s <close> = task.scope()
    local t = task.spawn(function() s:close() end)
    local ok, err = pcall(t.join, t)
    assert.is_false(ok)
    assert.truthy(tostring(err):find("only the task that opened", 1, true))
  end)

  it("is the home of task.spawn inside it", function()
    local done = false
    task.scope(function() task.spawn(function() task.sleep(0.002) done = true end) end)
    assert.is_true(done)
  end)
end)

describe("task.timeout", function()
  it("gives the results of a function that is in time", function()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(task.timeout(60, function() return 1, nil, 3 end)))
  end)
  it("gives nil, ETIMEDOUT otherwise, after its cleanup", function()
    local cleaned = false
    local v, err = task.timeout("2ms", function()
      local _ <close> = closable(function() cleaned = true end)
      task.wait()
    end)
    assert.is_nil(v)
    assert.equal("ETIMEDOUT", err.code)
    assert.is_true(cleaned)
  end)
  it("passes an error on", function()
    assert.has_error(function() task.timeout(60, function() error("in time", 0) end) end, "in time")
  end)
  it("nests: the inner one does not swallow the outer one's end", function()
    local v, err = task.timeout(0.002, function() return task.timeout(10, task.wait) end)
    assert.is_nil(v)
    assert.equal("ETIMEDOUT", err.code)
  end)
  it("ends what was spawned inside too", function()
    local ended = false
    task.timeout(0.002, function()
      task.spawn(function()
        local _ <close> = closable(function() ended = true end)
        task.wait()
      end)
    end)
    assert.is_true(ended)
  end)
end)

describe("task.shield", function()
  it("ends by its own deadline", function()
    local v, err = task.shield(task.wait, { timeout = "2ms" })
    assert.is_nil(v)
    assert.equal("ETIMEDOUT", err.code)
  end)
end)

describe("task.all and task.first", function()
  it("give the first result of each, in order", function()
    local a, b, c = task.all(function() task.sleep(0.003) return 1, "dropped" end, function() return nil end, function() return 3 end)
    assert.same({ 1, nil, 3 }, { a, b, c })
  end)
  it("cancel the others at the first error", function()
    local ended = false
    assert.has_error(function()
      task.all(function()
        local _ <close> = closable(function() ended = true end)
        task.wait()
      end, function() task.pass() error("one", 0) end)
    end, "one")
    assert.is_true(ended)
  end)
  it("name the winner and cancel the losers", function()
    local ended = false
    local who, a, b = task.first{
      slow = function()
        local _ <close> = closable(function() ended = true end)
        task.wait()
      end,
      quick = function() return 1, 2 end,
    }
    assert.same({ "quick", 1, 2, true }, { who, a, b, ended })
  end)
end)

describe("task.map", function()
  it("keeps the order of the items and the limit", function()
    local now, most, got = 0, 0, {}
    for i, v in task.map({ 1, 2, 3, 4, 5 }, function(x)
      now = now + 1
      most = math.max(most, now)
      task.sleep(0.001 * (6 - x))
      now = now - 1
      return x * 10
    end, { limit = 2 }) do got[#got + 1] = i .. "=" .. v end
    assert.same({ "1=10", "2=20", "3=30", "4=40", "5=50" }, got)
    assert.equal(2, most)
  end)
  it("gives errors beside results", function()
    local errors = {}
    for i, v, err in task.map({ 1, 2 }, function(x) if x == 2 then mw.fail("EPARSE", "bad") end return x end) do
      errors[i] = v or err.code
    end
    assert.same({ 1, "EPARSE" }, errors)
  end)
  it("cancels the rest when the loop is left", function()
    local ended = 0
    for _ in task.map({ 1, 2, 3 }, function(x)
      local _ <close> = closable(function() ended = ended + 1 end)
      if x > 1 then task.wait() end
      return x
    end) do break end
    assert.equal(3, ended)
  end)
  it("runs over an empty list", function()
    for _ in task.map({}, print) do error("not reached") end
  end)
end)

describe("a channel", function()
  it("keeps order and ends after close with what it held", function()
    local ch = task.channel(2)
    task.spawn(function()
      for i = 1, 5 do ch:send(i) end
      ch:close()
    end)
    local got = {}
    for v in ch:messages() do got[#got + 1] = v end
    assert.same({ 1, 2, 3, 4, 5 }, got)
    assert.is_nil(ch:recv())
  end)
  it("makes a sender wait while it is full", function()
    local ch = task.channel(1)
    assert.is_true(ch:send(1))
    local v, err = ch:send(2, { timeout = "1ms" })
    assert.is_nil(v)
    assert.equal("ETIMEDOUT", err.code)
    v, err = ch:try_send(2)
    assert.is_nil(v)
    assert.equal("EAGAIN", err.code)
    assert.equal(1, ch:recv())
    assert.is_true(ch:try_send(3))
  end)
  it("without capacity hands each value over in person", function()
    local ch = task.channel()
    local log = {}
    local t = task.spawn(function()
      ch:send("a")
      log[#log + 1] = "sent"
    end)
    task.pass()
    assert.same({}, log)
    assert.equal("a", ch:recv())
    t:join()
    assert.same({ "sent" }, log)
    local v, err = ch:send("b", { timeout = "1ms" })
    assert.same({ nil, "ETIMEDOUT" }, { v, err.code })
    local w, err2 = ch:try_recv()
    assert.same({ nil, "EAGAIN" }, { w, err2.code })
  end)
  it("loses nothing when a receiver is cancelled", function()
    local ch = task.channel(4)
    local t = task.spawn(function() ch:recv() end)
    task.pass()
    t:cancel()
    ch:send("kept")
    t:join()
    assert.equal("kept", ch:recv{ timeout = 60 })
  end)
  it("refuses nil and, after close, everything", function()
    local ch = task.channel(1)
    assert.equal("EINVAL", select(2, pcall(ch.send, ch, nil)).code)
    ch:close()
    ch:close()
    assert.equal("ECLOSED", select(2, ch:send(1)).code)
  end)
end)

describe("a semaphore", function()
  it("lets so many in at a time, in order", function()
    local sem, now, most, order = task.semaphore(2), 0, 0, {}
    task.scope(function(s)
      for i = 1, 6 do
        s:spawn(function()
          sem:with(function()
            now = now + 1
            most = math.max(most, now)
            order[#order + 1] = i
            task.pass()
            now = now - 1
          end)
        end)
      end
    end)
    assert.equal(2, most)
    assert.same({ 1, 2, 3, 4, 5, 6 }, order)
  end)
  it("gives a permit back once, however often it is closed", function()
    local sem = task.semaphore(1)
    local p = sem:acquire()
    p:close()
    p:close()
    local a = sem:acquire()
    local b, err = sem:acquire{ timeout = "1ms" }
    assert.is_nil(b)
    assert.equal("ETIMEDOUT", err.code)
    a:close()
  end)
  it("loses no permit when a waiter is cancelled", function()
    local sem = task.semaphore(1)
    local held = sem:acquire()
    local t = task.spawn(function() local _ <close> = sem:acquire() task.wait() end)
    task.pass()
    held:close()
    t:cancel()
    t:join()
    assert.truthy(sem:acquire{ timeout = 60 })
  end)
end)

describe("an event", function()
  it("lets everybody on who waits, and those who come later", function()
    local ev, n = task.event(), 0
    task.scope(function(s)
      for _ = 1, 3 do s:spawn(function() ev:wait() n = n + 1 end) end
      task.pass()
      assert.is_false(ev:is_set())
      ev:set()
    end)
    assert.equal(3, n)
    assert.is_true(ev:wait())
    ev:clear()
    assert.equal("ETIMEDOUT", select(2, ev:wait{ timeout = 0 }).code)
  end)
end)

describe("task.retry", function()
  it("repeats on nil, err and on errors, and gives the first success", function()
    local n = 0
    local v = task.retry(function(attempt)
      n = n + 1
      if attempt == 1 then return nil, "no" end
      if attempt == 2 then error("still not") end
      return "yes"
    end, { backoff = { 0.001, 0.002 } })
    assert.same({ "yes", 3 }, { v, n })
  end)
  it("gives up with the last outcome", function()
    local v, err = task.retry(function() return nil, "never" end, { attempts = 2, backoff = { 0.001 } })
    assert.same({ nil, "never" }, { v, err })
  end)
  it("never repeats a denial", function()
    local n = 0
    pcall(task.retry, function() n = n + 1 mw.fail("EDENIED", "no") end, { attempts = 5, backoff = { 0.001 } })
    assert.equal(1, n)
  end)
end)

describe("a script's own coroutines", function()
  it("may wait: the task is suspended, not the generator", function()
    local gen = coroutine.wrap(function()
      for i = 1, 3 do
        task.sleep(0.001)
        coroutine.yield(i)
      end
    end)
    local other = 0
    local t = task.spawn(function() for _ = 1, 3 do task.pass() other = other + 1 end end)
    assert.same({ 1, 2, 3 }, { gen(), gen(), gen() })
    t:join()
    assert.equal(3, other)
  end)
  it("say so in words where nothing can be suspended", function()
    local gen = coroutine.wrap(function() task.sleep(0) return true end)
    local ok, err = pcall(table.sort, { 2, 1 }, function() return gen() end)
    assert.is_false(ok)
    assert.truthy(tostring(err):find("cannot wait here", 1, true))
  end)
  it("cannot be resumed by another task while they wait", function()
    local co = coroutine.create(function() task.sleep(0.005) return "done" end)
    local t = task.spawn(function() return coroutine.resume(co) end)
    task.pass()
    assert.equal("normal", coroutine.status(co))
    assert.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
    assert.same({ true, "done" }, { t:join() })
    assert.equal("dead", coroutine.status(co))
  end)
  it("behave as Lua's: errors, status, close, wrap, running", function()
    local co = coroutine.create(function() error({ 1 }) end)
    local ok, e = coroutine.resume(co)
    assert.is_false(ok)
    assert.equal(1, e[1])
    assert.equal("dead", coroutine.status(co))
    local closed = false
    co = coroutine.create(function()
      local _ <close> = closable(function() closed = true end)
      coroutine.yield()
    end)
    coroutine.resume(co)
    assert.is_true(coroutine.close(co))
    assert.is_true(closed)
    assert.has_error(function() coroutine.wrap(function() error("w", 0) end)() end, "w")
    assert.is_false(coroutine.isyieldable())
    assert.is_true(select(2, coroutine.running()))
    assert.is_true(coroutine.wrap(function() return coroutine.isyieldable() end)())
  end)
end)
