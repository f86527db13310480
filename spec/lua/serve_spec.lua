-- mw.serve and calls: answers, errors with their tracebacks, what waits beside what, what becomes of calls when a worker ends.
local mw = require "moonwire"
local task = mw.task

local dir, count = assert(mw.fs.tempdir()), 0

local function spawn(text, options)
  count = count + 1
  local path = ("%s/served%d.lua"):format(dir.path, count)
  assert(mw.fs.write(path, 'local mw = require "moonwire"\n' .. text))
  return assert(mw.worker.spawn(path, options))
end

describe("mw.serve", function()
  it("answers calls with what the function returns", function()
    local w <close> = spawn [[
      mw.serve {
        greet = function(m) return "Hello, " .. m.name end,
        echo = function(v) return v end,
        none = function() end,
        many = function() return 1, nil, "three" end,
        refused = function() return nil, "as it is" end,
      }]]
    assert.equal("Hello, Lua", w:call("greet", { name = "Lua" }, { timeout = 60 }))
    assert.is_nil(w:call("echo"))
    assert.equal(false, w:call("echo", false))
    local long = ("y"):rep(100000)
    assert.equal(long, w:call("echo", long))
    assert.equal(0, select("#", w:call("none")))
    assert.same({ 1, nil, "three", n = 3 }, table.pack(w:call("many")))
    local v, err = w:call("refused")
    assert.is_nil(v)
    assert.equal("as it is", err)
  end)

  it("sends a function's error back, with its traceback, and goes on", function()
    local w <close> = spawn [[
      local function deep() error("not today") end
      mw.serve {
        fails = function() deep() end,
        code = function() mw.fail("EPARSE", "line 3 is no number", { line = 3 }) end,
        odd = function() error({ 1, print }) end,
        unsendable = function() return { fn = print } end,
        fine = function() return "fine" end,
      }]]
    local v, err = w:call("fails")
    assert.is_nil(v)
    assert.equal("ETASK", err.code)
    assert.equal("fails", err.subject)
    assert.truthy(err.message:find("not today", 1, true))
    assert.truthy(err.data.traceback:find("deep", 1, true), err.data.traceback)
    err = select(2, w:call("code"))
    assert.equal("EPARSE", err.data.error.code)
    assert.equal(3, err.data.error.data.line)
    err = select(2, w:call("odd"))
    assert.equal("ETASK", err.code)
    err = select(2, w:call("unsendable"))
    assert.equal("ETASK", err.code)
    assert.truthy(err.message:find("message.fn: a function cannot be sent", 1, true), err.message)
    err = select(2, w:call("nothing of the kind"))
    assert.equal("ETASK", err.code)
    assert.equal("fine", w:call("fine"))
  end)

  it("answers one after another, or several at once where it is said", function()
    local text = [[
      local now, most = 0, 0
      mw.serve({
        slow = function() now = now + 1 most = math.max(most, now) for _ = 1, 5 do mw.task.sleep(0.001) end now = now - 1 end,
        most = function() return most end,
      }, %s)]]
    for options, most in pairs { ["nil"] = 1, ["{ concurrent = 3 }"] = 3 } do
      local w <close> = spawn(text:format(options))
      task.scope(function(s)
        for _ = 1, 9 do s:spawn(function() w:call("slow") end) end
      end)
      assert.equal(most, w:call("most"))
    end
  end)

  it("ends when its maker has finished, after all calls that were made", function()
    local w <close> = spawn 'mw.serve { id = function(v) return v end } mw.parent:send "over"'
    local sum = 0
    task.scope(function(s)
      for i = 1, 20 do
        s:spawn(function()
          local v = w:call("id", i)
          sum = sum + v
        end)
      end
      task.sleep(0)
      w:finish()
    end)
    assert.equal(210, sum)
    assert.equal("over", w:recv())
    assert.is_true(w:join())
    local v, err = w:call("id", 1)
    assert.is_nil(v)
    assert.equal("ECRASHED", err.code)
  end)

  it("stands beside messages", function()
    local w <close> = spawn [[
      mw.task.spawn_with({ daemon = true }, function() for m in mw.parent:messages() do mw.parent:send(m + 1) end end)
      mw.serve { twice = function(v) return v * 2 end }]]
    w:send(1)
    assert.equal(10, w:call("twice", 5))
    assert.equal(2, w:recv())
  end)

  it("is refused with what is no table of functions, and where nobody calls", function()
    for _, bad in ipairs { 1, { x = 1 }, { print } } do
      local ok, err = pcall(mw.serve, bad)
      assert.is_false(ok)
      assert.equal("EINVAL", err.code)
    end
  end)
end)

describe("a call", function()
  it("is waited for as long as it is said", function()
    local w <close> = spawn "mw.serve { never = function() mw.task.wait() end, fine = function() return 1 end }"
    local v, err = w:call("never", nil, { timeout = 0.02 })
    assert.is_nil(v)
    assert.equal("ETIMEDOUT", err.code)
    assert.equal(0, w:stats().calls)
  end)

  it("whose answer comes too late is nobody's", function()
    local w <close> = spawn [[
      mw.serve { late = function() mw.parent:recv() return "late" end, soon = function() return "soon" end }]]
    assert.equal("ETIMEDOUT", select(2, w:call("late", nil, { timeout = 0 })).code)
    w:send(1)
    assert.equal("soon", w:call("soon"))
  end)

  it("may be cancelled", function()
    local w <close> = spawn "mw.serve { never = function() mw.parent:recv() end, fine = function() return 1 end }"
    local t = task.spawn(function() w:call("never") end)
    task.sleep(0)
    t:cancel()
    pcall(t.join, t)
    assert.equal(0, w:stats().calls)
    w:send(1)
    assert.equal(1, w:call("fine"))
  end)

  it("fails when the worker dies meanwhile, or has died", function()
    local w <close> = spawn "mw.serve { die = function() mw.exit(9) end }"
    for _ = 1, 2 do
      local v, err = w:call("die")
      assert.is_nil(v)
      assert.equal("ECRASHED", err.code)
    end
    local never <close> = spawn ""
    local _, err = never:call("x")
    assert.equal("ECRASHED", err.code)
    assert.truthy(err.message:find("ended before it answered", 1, true), err.message)
  end)

  it("waits while too many others do", function()
    local w <close> = spawn("mw.parent:recv() mw.serve { id = function(v) return v end }", { queue = 2 })
    local done = 0
    task.scope(function(s)
      for i = 1, 50 do
        s:spawn(function()
          assert.equal(i, w:call("id", i))
          done = done + 1
        end)
      end
      task.sleep(0)
      w:send "begin"
    end)
    assert.equal(50, done)
  end)
end)
