-- Workers: values to and fro, calls, errors, ends; rights and limits.
local mw = require "moonwire"
local task = mw.task

local dir, count = assert(mw.fs.tempdir()), 0

--- Starts a worker whose script is `text`.
local function spawn(text, options)
  count = count + 1
  local path = ("%s/worker%d.lua"):format(dir.path, count)
  assert(mw.fs.write(path, 'local mw = require "moonwire"\n' .. text))
  return assert(mw.worker.spawn(path, options))
end

local ECHO = "for m in mw.parent:messages() do mw.parent:send(m) end"

describe("a worker", function()
  it("greets and replies", function()
    local w <close> = spawn 'for msg in mw.parent:messages() do mw.parent:send{ reply = "Hello, " .. msg.name } end'
    w:send { type = "greet", name = "Lua" }
    for msg in w:messages() do
      assert.equal("Hello, Lua", msg.reply)
      break
    end
  end)

  it("gets what it was sent, and sends back the same", function()
    local w <close> = spawn(ECHO)
    local function trip(v)
      assert(w:send(v))
      local back, err = w:recv()
      assert.is_nil(err)
      return back
    end
    for _, v in ipairs { 1, -1, 0, 63, 64, math.maxinteger, math.mininteger, 1.5, -0.0, 1 / 0, "", "a\0b", true, false } do
      local back = trip(v)
      assert.equal(v, back)
      assert.equal(math.type(v), math.type(back))
    end
    assert.is_true(1 / trip(-0.0) < 0)
    local nan = trip(0 / 0)
    assert.is_true(nan ~= nan)
    local long = ("x"):rep(3000000)
    assert.equal(long, trip(long))
    local t = { 1, nil, 3, x = { y = {} } }
    t.self, t.again = t, t.x
    local back = trip(t)
    assert.is_true(back.self == back and back.again == back.x and back[3] == 3 and back[2] == nil)
    local err = trip(select(2, mw.fs.read "/nowhere/at/all") or mw.fail)
    assert.equal("ENOENT", err.code)
    assert.truthy(tostring(err):find("/nowhere/at/all", 1, true))
  end)

  it("cannot be sent what is no value, and names the path to it", function()
    local w <close> = spawn(ECHO)
    local ok, err = pcall(w.send, w, { items = { 1, 2, { fn = print } } })
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
    assert.truthy(tostring(err):find("message.items[3].fn: a function cannot be sent", 1, true), tostring(err))
    ok, err = pcall(w.send, w, nil)
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
    assert.is_true(w:send "still fine")
    assert.equal("still fine", w:recv())
  end)
end)
