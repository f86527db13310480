local mw = require "moonwire"
local task = mw.task

-- Starts f, lets it reach its wait, cancels it; gives what join gives.
local function cancelled(f)
  local t = task.spawn(f)
  task.sleep(0)
  task.sleep(0)
  return t:cancel("stop"):join()
end

describe("a scope that nobody holds any more", function()
  it("may be collected while what it is the innermost or the home of starts a task", function()
    local ran = 0
    local function count() ran = ran + 1 end
    for _ = 1, 200 do
      coroutine.resume(coroutine.create(function() task.timeout(60, coroutine.yield) end))
      for _ = 1, 20 do pcall(task.spawn, count) end
      task.pass()
    end
    collectgarbage()
    task.pass()
    task.spawn(count):join()
    assert.truthy(ran > 0)
  end)

  it("cancels its tasks, and not what the task that opened it does meanwhile", function()
    local ended
    coroutine.resume(coroutine.create(function()
      task.scope(function(s)
        s:spawn(function() ended = select(2, pcall(task.wait)).code end)
        task.pass()
        coroutine.yield()
      end)
    end))
    assert.equal("fine", task.timeout(60, function()
      while not ended do
        collectgarbage()
        task.sleep(0)
      end
      return "fine"
    end))
    assert.equal("ECANCELED", ended)
  end)
end)

describe("a task that works and passes, again and again", function()
  it("lets others at their connections in between, not after a thousand passes", function()
    local srv <close> = assert(mw.net.listen "tcp://127.0.0.1:0")
    task.spawn_with({ daemon = true }, srv.serve, srv, function(conn)
      for line in conn:lines() do conn:write(line, "\n") end
    end)
    local conn <close> = assert(mw.net.connect(srv:address()))
    local passes, over = 0, false
    local busy = task.spawn(function()
      while not over do
        local till = mw.time.now() + 0.0002
        repeat until mw.time.now() >= till
        passes = passes + 1
        task.pass()
      end
    end)
    for _ = 1, 10 do
      assert(conn:write "ping\n")
      assert.equal("ping", conn:read "l")
    end
    over = true
    busy:join()
    assert.truthy(passes < 2000, passes)
  end)
end)

describe("the messages of a channel", function()
  it("end with an error when nothing comes in time, and refuse unknown options", function()
    local ch = require("moonwire").task.channel(2)
    ch:send "held"
    local got = {}
    local ok, err = pcall(function()
      for v in ch:messages { timeout = "5ms" } do got[#got + 1] = v end
    end)
    assert.same({ false, "ETIMEDOUT", { "held" } }, { ok, err.code, got })
    ok, err = pcall(ch.messages, ch, { timout = 1 })
    assert.same({ false, "EINVAL" }, { ok, err.code })
  end)
end)

describe("a cancel from outside", function()
  it("ends a task that waits in all, first, scope or a closing scope, instead of giving it half a result", function()
    local went_on = false
    local function beyond(f)
      return function()
        f()
        went_on = true
      end
    end
    local waits = {
      function() task.all(task.wait, task.wait) end,
      function() task.first { a = task.wait, b = task.wait } end,
      function() task.scope(function(s) s:spawn(task.wait) end) end,
      function()
        local s <close> = task.scope()
        s:spawn(task.wait)
      end,
    }
    for _, f in ipairs(waits) do
      local v, err = cancelled(beyond(f))
      assert.is_nil(v)
      assert.are.equal("ECANCELED", err.code)
    end
    assert.is_false(went_on)
  end)

  it("does not hide an error that another task's cleanup raised", function()
    local ok, err = pcall(cancelled, function()
      task.scope(function(s)
        s:spawn(function()
          local _x <close> = setmetatable({}, { __close = function() error("from the cleanup", 0) end })
          task.wait()
        end)
        task.wait()
      end)
    end)
    assert.is_false(ok)
    assert.are.equal("from the cleanup", err)
  end)

  it("reaches tasks that are nested ten thousand deep", function()
    local depth = 0
    local function deeper()
      depth = depth + 1
      if depth == 10000 then task.wait() end
      task.scope(function(s) s:spawn(deeper) end)
    end
    local t = task.spawn(deeper)
    while depth < 10000 do task.pass() end
    local v, err = t:cancel("stop"):join()
    assert.is_nil(v)
    assert.are.equal("ECANCELED", err.code)
  end)

  it("closes a task that swallows it for ever", function()
    local times = 0
    local t = task.spawn(function()
      while true do
        times = times + 1
        pcall(task.wait)
      end
    end)
    task.pass()
    t:cancel("stop")
    local ok, err = pcall(t.join, t)
    assert.is_false(ok)
    assert.matches("killed", tostring(err))
    assert.is_true(times >= 10000)
  end)
end)

describe("a scope whose body raises somebody else's cancel", function()
  it("raises it, for nobody has cancelled the scope", function()
    local t = task.spawn(task.wait)
    t:cancel("by name")
    local ok, err = pcall(task.scope, function() error((select(2, t:join()))) end)
    assert.is_false(ok)
    assert.are.equal("ECANCELED", err.code)
  end)
end)

describe("error(nil)", function()
  it("is the error value nil wherever it crosses", function()
    local raisers = {
      function() task.scope(function(s) s:spawn(error) end) end,
      function() task.scope(function() error() end) end,
      function() task.all(error) end,
      function()
        local s <close> = task.scope()
        s:spawn(error)
      end,
    }
    for _, f in ipairs(raisers) do
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.is_nil(err)
    end
  end)
end)

describe("a scope that cannot wait where it is closed", function()
  it("says so, and its tasks are cancelled", function()
    local t
    local ok, err = pcall(table.sort, { 3, 1, 2 }, function(a, b)
      local s <close> = task.scope()
      t = s:spawn(task.wait)
      return a < b
    end)
    assert.is_false(ok)
    assert.are.equal("EINVAL", err.code)
    local v, why = t:join()
    assert.is_nil(v)
    assert.are.equal("ECANCELED", why.code)
  end)
end)

describe("a task's own coroutine", function()
  it("cannot be resumed or closed by another task", function()
    local co
    local t = task.spawn(function()
      co = coroutine.running()
      task.sleep("10ms")
      return "its own result"
    end)
    task.pass()
    assert.are.equal("normal", coroutine.status(co))
    assert.are.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
    assert.has_error(function() coroutine.close(co) end)
    assert.are.equal("its own result", t:join())
    assert.are.same({ false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
    assert.has_error(function() coroutine.close(co) end)
    assert.are.equal("its own result", t:join())
  end)
end)

describe("a task's handle", function()
  it("equals another one of the same task", function()
    local own
    local t = task.spawn(function() own = task.self() end)
    t:join()
    assert.is_true(own == t)
    assert.is_false(task.self() == t)
  end)
end)

describe("a wrong argument", function()
  it("is shown as it was written, without its own __tostring", function()
    local function message(...) return tostring(select(2, pcall(...))) end
    assert.matches("is missing$", message(task.sleep))
    assert.matches('got "1 parsec"$', message(task.sleep, "1 parsec"))
    assert.matches("got table$", message(task.sleep, setmetatable({}, { __tostring = function() error("called") end })))
    assert.matches("got %-1$", message(task.sleep, -1))
  end)
end)
