--- mw.inspect: values as text for people.
local mw = require "moonwire"
local inspect = mw.inspect

describe("inspect", function()
  it("shows plain values as one would write them", function()
    assert.equal("nil", inspect(nil))
    assert.equal("true", inspect(true))
    assert.equal("12", inspect(12))
    assert.equal("1.5", inspect(1.5))
    assert.equal("1.0", inspect(1.0))
    assert.equal("0.1", inspect(0.1))
    assert.equal("math.huge", inspect(1 / 0))
    assert.equal("0/0", inspect(0 / 0))
    assert.equal('"a\\nb\\"c\\\\"', inspect('a\nb"c\\'))
  end)

  it("gives every float back as the same number", function()
    for _, n in ipairs { 0.1, 1 / 3, 1e300, -2.5e-8, 123456789.125, 2.0 ^ 53 } do
      local back = assert(load("return " .. inspect(n)))()
      assert.equal(n, back)
      assert.equal("float", math.type(back))
    end
  end)

  it("escapes control characters and what is no UTF-8, and leaves UTF-8 as it is", function()
    assert.equal('"\\x1b[31m\\x00"', inspect("\27[31m\0"))
    assert.equal('"\\xff\\xfe"', inspect("\xff\xfe"))
    assert.equal('"grün"', inspect("grün"))
  end)

  it("shows the array first, then the keys in order", function()
    assert.equal('{ 1, 2, a = 1, b = 2, ["c d"] = 3, ["end"] = 4 }', inspect { 1, 2, b = 2, a = 1, ["c d"] = 3, ["end"] = 4 })
    assert.equal('{ [-1] = 1, [2.5] = 2, x = 3, [true] = 4 }', inspect { [true] = 4, x = 3, [2.5] = 2, [-1] = 1 })
    assert.equal("{}", inspect {})
  end)

  it("breaks what is wider than a line over several", function()
    local text = inspect { name = ("x"):rep(60), other = ("y"):rep(60) }
    assert.equal(("{\n  name = %q,\n  other = %q,\n}"):format(("x"):rep(60), ("y"):rep(60)), text)
    assert.is_nil(inspect({ ("x"):rep(60), ("y"):rep(60) }, { line = true }):find("\n", 1, true))
  end)

  it("shows a cycle as one and a shared table twice", function()
    local t = { n = 1 }
    t.self = t
    assert.equal("{ n = 1, self = <cycle> }", inspect(t))
    local shared = { 1 }
    assert.equal("{ { 1 }, { 1 } }", inspect { shared, shared })
  end)

  it("stops at a depth", function()
    local deep = {}
    local at = deep
    for _ = 1, 1000 do
      at.x = {}
      at = at.x
    end
    assert.equal("{ x = { x = {...} } }", inspect(deep, { depth = 2 }))
    assert.is_true(#inspect(deep) < 200)
  end)

  it("stops at a length, whatever it is given", function()
    local wide, long = {}, ("x"):rep(1000000)
    for i = 1, 100000 do wide[i] = { i, key = i } end
    assert.is_true(#inspect(wide) < 200000)
    assert.is_true(#inspect(long, { max = 100 }) < 200)
    assert.is_true(#inspect({ [long] = long }, { max = 100 }) < 1000)
    assert.truthy(inspect(long, { max = 10 }):find("999990 more bytes", 1, true))
  end)

  it("calls no metamethod but __tostring, and survives one that fails", function()
    local touched = false
    local t = setmetatable({ a = 1 }, {
      __index = function() touched = true end,
      __len = function() touched = true return 5 end,
      __pairs = function() touched = true return next, {} end,
    })
    assert.equal("{ a = 1 }", inspect(t))
    assert.is_false(touched)
    assert.equal("<me>", inspect(setmetatable({}, { __tostring = function() return "me" end })))
    assert.equal("<table: its __tostring failed>", inspect(setmetatable({}, { __tostring = function() error("no") end })))
    assert.equal("<a\\nb>", inspect(setmetatable({}, { __tostring = function() return "a\nb" end })))
  end)

  it("shows an error object as its one line", function()
    local ok, err = pcall(mw.fail, "EPARSE", "line 3 is no number")
    assert.is_false(ok)
    assert.equal("<" .. tostring(err) .. ">", inspect(err))
  end)

  it("shows null, and an empty array that is marked so", function()
    assert.equal("null", inspect(mw.null))
    assert.equal("{ null, a = null }", inspect { mw.null, a = mw.null })
    assert.equal("{ a = [], b = {}, c = { 1 } }",
      inspect { a = mw.json.array {}, b = mw.json.object {}, c = mw.json.array { 1 } })
  end)

  it("refuses unknown options and depths that would exhaust the stack", function()
    assert.has_error(function() inspect({}, { dept = 1 }) end)
    local ok, err = pcall(inspect, {}, { depth = 100000 })
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
  end)
end)
