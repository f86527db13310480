--- Schemas: what each type takes at its limits and refuses one beyond, where errors point, and what hostile input gets.
--- Knows: mw. Never: the network.
local mw = require "moonwire"
local s = mw.schema
local null = mw.null

local function fits(schema, json, value)
  local got, err = schema:parse(json)
  assert.is_nil(err, err and tostring(err))
  if value ~= nil then assert.same(value, got) end
  return got
end

local function refused(code, schema, bytes, opts)
  local got, err = schema:parse(bytes, opts)
  assert.is_nil(got)
  assert.equal(code, err and err.code, bytes)
  return err
end

local function raised(pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.equal("EINVAL", err.code)
  assert.truthy(tostring(err):find(pattern), tostring(err))
end

local function takes(schema, good, bad)
  for _, v in ipairs(good) do
    local got, err = schema:check(v)
    assert.is_nil(err, err and tostring(err))
    assert.equal(v, got)
    local bytes = mw.json.encode(v)
    assert.same(v, fits(schema, bytes))
    assert.same(v, (schema:parse(mw.msgpack.encode(v), { codec = "msgpack" })))
  end
  for _, v in ipairs(bad) do
    local got, err = schema:check(v)
    assert.is_nil(got)
    assert.equal("ESCHEMA", err.code)
    local again = refused("ESCHEMA", schema, mw.json.encode(v))
    assert.equal(err.message, again.message)
    assert.equal(err.message, refused("ESCHEMA", schema, mw.msgpack.encode(v), { codec = "msgpack" }).message)
  end
end

describe("a schema of scalars", function()
  it("takes strings within their limits, in bytes, and none beyond", function()
    takes(s.string(), { "", "a", "\0", ("x"):rep(1000) }, { 1, 1.5, true, null })
    takes(s.string { min = 2, max = 3 }, { "ab", "abc", "é" }, { "a", "abcd", "éé" })
    takes(s.string { max = "1KiB" }, { ("x"):rep(1024) }, { ("x"):rep(1025) })
    takes(s.string { max = 0 }, { "" }, { "a" })
  end)

  it("counts the bytes that escapes stand for", function()
    fits(s.string { max = 3 }, [["\u20ac"]], "€")
    fits(s.string { max = 1, pattern = "^\n$" }, [["\n"]], "\n")
    refused("ESCHEMA", s.string { max = 2 }, [["\u20ac"]])
  end)

  it("holds strings against a pattern, as string.find does", function()
    takes(s.string { pattern = "^%l+$" }, { "a", "abc" }, { "", "Abc", "ab1" })
    takes(s.string { pattern = "b" }, { "abc", "b" }, { "ac" })
    takes(s.string { pattern = "%f[%w]x%f[%W]" }, { "x", "a x" }, { "ax" })
    raised("malformed pattern", s.string, { pattern = "[a" })
  end)

  it("refuses a string on which a pattern would take for ever", function()
    local slow = s.string { pattern = ("a*"):rep(20) .. "b" }
    local err = refused("ESCHEMA", slow, '"' .. ("a"):rep(2000) .. '"')
    assert.truthy(err.message:find("too long", 1, true))
    fits(slow, '"aab"')
    local deep = s.string { pattern = ("(a?)"):rep(31) .. "b" }
    refused("ESCHEMA", deep, '"' .. ("a"):rep(40) .. '"')
  end)

  it("bounds what patterns take on all strings of a message, and lets long strings have their share", function()
    local list = s.array(s.string { pattern = "^.-.-.-x$" })
    local text = '"' .. ("a"):rep(40) .. '"'
    local mixed = s.array(s.one_of { s.string { pattern = "^.-.-.-x$" }, s.string() })
    local err = refused("ESCHEMA", list, "[" .. text .. "]")
    assert.truthy(err.message:find("another string", 1, true), err.message)
    assert.equal(1000, #assert(mixed:parse("[" .. (text .. ","):rep(999) .. text .. "]")))
    fits(s.string { pattern = "^%l+$" }, '"' .. ("a"):rep(1000000) .. '"')
  end)

  it("takes integers and no floats, up to both ends of their range", function()
    takes(s.integer(), { 0, -1, math.mininteger, math.maxinteger }, { 1.5, 3.0, "3", false, null })
    takes(s.integer { min = -3, max = 3 }, { -3, 0, 3 }, { -4, 4 })
    refused("ESCHEMA", s.integer(), "3.0")
    refused("ESCHEMA", s.integer(), "1e3")
    refused("EPARSE", s.integer(), "9223372036854775808")
    refused("EPARSE", s.integer(), "03")
    refused("EPARSE", s.integer(), "\xcf" .. ("\xff"):rep(8), { codec = "msgpack" })
  end)

  it("takes numbers of both kinds within exact limits", function()
    takes(s.number(), { 0, 1.5, -1e300, math.maxinteger }, { "1", true, null })
    takes(s.number { min = 0, max = 1 }, { 0, 1, 0.5, 1.0 }, { -1, 2, 1.0000000000000002 })
    takes(s.number { above = 0, below = 1 }, { 0.5, 5e-324 }, { 0, 1, 0.0, 1.0 })
    takes(s.number { max = 2 ^ 53 }, { 1 << 53 }, { (1 << 53) + 1 })
    takes(s.number { min = 2 ^ 63 }, { 2 ^ 63 }, { math.maxinteger })
    takes(s.number { max = math.maxinteger }, { math.maxinteger }, { 2 ^ 63 })
  end)

  it("refuses what is no finite number, unless told otherwise", function()
    local inf, nan = math.huge, 0 / 0
    for _, v in ipairs { inf, -inf, nan } do
      assert.equal("ESCHEMA", select(2, s.number():check(v)).code)
      refused("ESCHEMA", s.number(), mw.msgpack.encode(v), { codec = "msgpack" })
    end
    local any = s.number { finite = false }
    assert.equal(inf, any:check(inf))
    assert.truthy(any:check(nan))
    assert.equal(inf, s.number { finite = false, min = 0 }:check(inf))
    assert.is_nil((s.number { finite = false, min = 0 }:check(-inf)))
    assert.is_nil((s.number { finite = false, min = 0 }:check(nan)))
  end)

  it("takes booleans, and any value", function()
    takes(s.boolean(), { true, false }, { null, 0, "true" })
    takes(s.any(), { 1, "x", true, null }, {})
    fits(s.any(), '{"a":[1,{"b":null}]}', { a = { 1, { b = null } } })
    assert.equal("ESCHEMA", select(2, s.any():check(print)).code)
    assert.equal("ESCHEMA", select(2, s.any():check(nil)).code)
  end)

  it("takes exactly its literals", function()
    takes(s.literal "on", { "on" }, { "off", "", "o", 1, null })
    takes(s.literal(1), { 1 }, { 2, 1.0, "1", true })
    takes(s.literal(1.5), { 1.5 }, { 1, "1.5" })
    takes(s.literal(true), { true }, { false, "true", 1 })
    takes(s.literal(null), { null }, { false, 0, "null" })
    takes(s.enum { "a", "bb", 3, null, false }, { "a", "bb", 3, null, false }, { "b", "ab", 4, true })
    fits(s.enum { "a", "\n" }, [["\u0061"]], "a")
    local many = {}
    for i = 1, 500 do many[i] = "word" .. i end
    takes(s.enum(many), { "word1", "word77", "word500" }, { "word0", "word501", "" })
  end)
end)

describe("a schema of arrays and maps", function()
  it("takes arrays within their limits, each element checked", function()
    takes(s.array(s.integer(), { min = 1, max = 3 }), { { 1 }, { 1, 2, 3 } }, { { 1, 2, 3, 4 }, { "a" }, { 1, 2.5 } })
    refused("ESCHEMA", s.array(s.integer(), { min = 1 }), "[]")
    refused("ESCHEMA", s.array(s.integer()), "{}")
    local long = {}
    for i = 1, 100 do long[i] = i end
    takes(s.array(s.integer(), { max = 100 }), { long }, {})
  end)

  it("marks what it reads, and what it takes for an array of nothing", function()
    local list = s.array(s.any())
    assert.equal("[]", mw.json.encode(list:parse "[]"))
    local empty = {}
    local got = list:check(empty)
    assert.equal("[]", mw.json.encode(got))
    assert.equal("{}", mw.json.encode(empty)) -- it was not touched
    local outer = { inner = {} }
    assert.equal('{"inner":[]}', mw.json.encode((s.object { inner = list }:check(outer))))
    assert.is_nil(getmetatable(outer.inner))
  end)

  it("refuses tables that are no arrays", function()
    local list = s.array(s.any())
    for _, t in ipairs { { a = 1 }, { 1, nil, 3 }, { 1, a = 2 }, { [2] = 1 }, mw.json.object {} } do
      assert.equal("ESCHEMA", select(2, list:check(t)).code)
    end
    assert.equal("ESCHEMA", select(2, s.object {}:check(mw.json.array {})).code)
  end)

  it("refuses a value twice where each must be unique", function()
    takes(s.array(s.one_of { s.integer(), s.string(), s.boolean() }, { unique = true }),
      { { 1, "1", true }, { "a", "b" }, { 2, 3 } }, { { 1, 1 }, { "a", "b", "a" }, { true, true } })
    local err = refused("ESCHEMA", s.array(s.number(), { unique = true }), "[2, 1, 2.0]")
    assert.same({ "[3]", 7 }, { err.data.path, err.data.offset })
    refused("ESCHEMA", s.array(s.number(), { unique = true }), "[0, -0.0]")
    raised("unique", s.array, s.array(s.any()), { unique = true })
  end)

  it("takes maps with any keys that fit, and so many", function()
    local m = s.map(s.string { pattern = "^%l+$" }, s.integer { max = 9 }, { min = 1, max = 2 })
    takes(m, { { a = 1 }, { a = 1, b = 9 } }, { { a = 1, b = 2, c = 3 }, { A = 1 }, { a = 10 } })
    refused("ESCHEMA", m, "{}")
    refused("EPARSE", m, '{"a":1,"a":2}')
    refused("ESCHEMA", m, "\x81\1\1", { codec = "msgpack" })
    assert.equal("ESCHEMA", select(2, m:check { [1] = 1, x = 2 }).code)
    takes(s.map(s.enum { "x", "y" }, s.any()), { { x = 1, y = 2 } }, { { z = 1 } })
    raised("schema of strings", s.map, s.integer(), s.any())
  end)
end)

describe("a schema of objects", function()
  local Item = s.object { name = s.string { max = 64 }, n = s.integer() }
  local Msg = s.object { items = s.array(Item), note = s.optional(s.string()) }

  it("reads the fields in any order, with any space, however they are escaped", function()
    local want = { items = { { name = "a", n = 1 } }, note = "x" }
    fits(Msg, '{"items":[{"name":"a","n":1}],"note":"x"}', want)
    fits(Msg, '{"note":"x","items":[{"n":1,"name":"a"}]}', want)
    fits(Msg, ' { "n\\u006fte" : "x" ,\n"items"\t: [ { "n" :1 , "name": "a" } ] } ', want)
  end)

  it("says where a fault is: the path, the byte and what was expected", function()
    local bad = '{"items":[{"name":"a","n":1},{"name":"b","n":2},{"n":3,"name":7}]}'
    local err = refused("ESCHEMA", Msg, bad)
    assert.equal("items[3].name", err.data.path)
    assert.equal(bad:find("7}", 1, true) - 1, err.data.offset)
    assert.equal("a string of at most 64 bytes", err.data.expected)
    assert.equal("items[3].name: a string of at most 64 bytes expected, got an integer", err.message)
    local _, same = Msg:check { items = { { name = "a", n = 1 }, { name = "b", n = 2 }, { name = 7, n = 3 } } }
    assert.equal(err.message, same.message)
    assert.equal("items[3].name", same.data.path)
    assert.is_nil(same.data.offset)
  end)

  it("says where bytes are no JSON, and where in the message that is", function()
    local err = refused("EPARSE", Msg, '{"items":[{"name":"a","n":01}]}')
    assert.same({ "items[1].n", 26 }, { err.data.path, err.data.offset })
    refused("EPARSE", Msg, '{"items":[]} x')
    refused("EPARSE", Msg, '{"items":[')
    refused("EPARSE", Msg, "")
    refused("EPARSE", Msg, mw.msgpack.encode { items = {} }:sub(1, -2), { codec = "msgpack" })
  end)

  it("writes keys that are no names in brackets", function()
    local odd = s.object { ["a b"] = s.map(s.string(), s.integer()) }
    assert.equal('["a b"]["\\x0a"]', refused("ESCHEMA", odd, '{"a b":{"\\n":"x"}}').data.path)
  end)

  it("misses what must be there, and not what may be absent", function()
    assert.equal("n", refused("ESCHEMA", Item, '{"name":"a"}').data.path)
    fits(Msg, '{"items":[]}', { items = {} })
    refused("ESCHEMA", Msg, '{"items":[],"note":null}') -- null is no absence
    fits(s.object { note = s.optional(s.nullable(s.string())) }, '{"note":null}', { note = null })
  end)

  it("puts a fresh default where a field is absent", function()
    local D = s.object { tags = s.optional(s.array(s.string()), { default = {} }), n = s.optional(s.integer(), { default = 7 }) }
    local one, two = fits(D, "{}", { tags = {}, n = 7 }), fits(D, "{}")
    assert.not_equal(one.tags, two.tags)
    assert.equal('[]', mw.json.encode(one.tags))
    one.tags[1] = "mine"
    assert.same({}, fits(D, "{}").tags)
    local given = {}
    assert.same({ tags = {}, n = 7 }, (D:check(given)))
    assert.same({}, given)
    assert.same({ tags = {}, n = 7 }, (D:parse("\x80", { codec = "msgpack" })))
    raised("the default does not fit: an integer expected", s.optional, s.integer(), { default = "x" })
    local mine = { "a" }
    local E = s.object { tags = s.optional(s.array(s.string()), { default = mine }) }
    mine[1] = 5
    assert.same({ tags = { "a" } }, (E:parse "{}"))
  end)

  it("refuses fields it does not know, unless told to keep or to drop them", function()
    local err = refused("ESCHEMA", Item, '{"name":"a","n":1,"mane":"b"}')
    assert.same({ "mane", 18 }, { err.data.path, err.data.offset })
    assert.equal("mane", select(2, Item:check { name = "a", n = 1, mane = 2 }).data.path)
    local fields = { n = s.integer() }
    local keep, drop = s.object(fields, { extra = "keep" }), s.object(fields, { extra = "drop" })
    fits(keep, '{"x":{"y":[1]},"n":1,"z":null}', { x = { y = { 1 } }, n = 1, z = null })
    fits(drop, '{"x":{"y":[1]},"n":1,"z":null}', { n = 1 })
    local bytes = mw.msgpack.encode { x = { y = { 1 } }, n = 1, z = "s" }
    assert.same({ x = { y = { 1 } }, n = 1, z = "s" }, (keep:parse(bytes, { codec = "msgpack" })))
    assert.same({ n = 1 }, (drop:parse(bytes, { codec = "msgpack" })))
    local given = { n = 1, x = 2 }
    assert.equal(given, keep:check(given))
    assert.same({ n = 1 }, (drop:check(given)))
    assert.equal(2, given.x)
  end)

  it("checks what it drops as JSON all the same", function()
    local drop = s.object({ n = s.integer() }, { extra = "drop" })
    for _, bad in ipairs { '{"n":1,"x":01}', '{"n":1,"x":"\xff"}', '{"n":1,"x":{"a":1,"a":2}}', '{"n":1,"x":1,"x":2}',
      '{"n":1,"x":"\\ud800"}', '{"n":1,"x":1e999}', '{"n":1,"x"}', '{"n":1,}' } do
      refused("EPARSE", drop, bad)
    end
  end)

  it("refuses a field twice, known or not", function()
    for _, extra in ipairs { "reject", "keep", "drop" } do
      local o = s.object({ n = s.integer() }, { extra = extra })
      assert.equal("n", refused("EPARSE", o, '{"n":1,"n":1}').data.path)
      refused("EPARSE", o, '{"n":1,"\\u006e":1}')
      refused("EPARSE", o, "\x82\xa1n\1\xa1n\1", { codec = "msgpack" })
    end
  end)

  it("knows 4096 fields, each of them as well as the first", function()
    local fields, value = {}, {}
    for i = 1, 4096 do
      fields["f" .. i] = i % 2 == 0 and s.integer() or s.optional(s.integer(), { default = 0 })
      value["f" .. i] = i
    end
    local wide = s.object(fields)
    local text = mw.json.encode(value)
    fits(wide, text, value)
    fits(wide, text, value)
    refused("EPARSE", wide, text:sub(1, -2) .. ',"f9":1}')
    value.f4096, value.f1 = nil, nil
    assert.equal("f4096", refused("ESCHEMA", wide, mw.json.encode(value)).data.path)
    fields.more = s.any()
    assert.is_false((pcall(s.object, fields)))
  end)

  it("reads raw tables: metamethods are not asked", function()
    local called = 0
    local t = setmetatable({ name = "a" }, { __index = function() called = called + 1 return 1 end,
      __pairs = function() called = called + 1 return next, {} end })
    assert.equal("n", select(2, Item:check(t)).data.path)
    assert.equal(0, called)
  end)
end)

describe("a schema of choices", function()
  local Shape = s.one_of {
    s.object { kind = s.literal "circle", r = s.number { above = 0 } },
    s.object { kind = s.literal "rect", w = s.number(), h = s.number() },
    s.string(),
  }

  it("picks by type, and by the field that tells objects apart, wherever it stands", function()
    fits(Shape, '"x"', "x")
    fits(Shape, '{"kind":"circle","r":1}', { kind = "circle", r = 1 })
    fits(Shape, '{"h":1,"w":2,"kind":"rect"}', { kind = "rect", w = 2, h = 1 })
    assert.same({ kind = "rect", w = 2, h = 1 }, (Shape:check { kind = "rect", w = 2, h = 1 }))
    takes(Shape, { { kind = "circle", r = 2 } }, { 5, true, { kind = "circle", r = 0 } })
  end)

  it("names the fault inside of the variant that was meant", function()
    for _, text in ipairs { '{"kind":"circle","r":-1}', '{"r":-1,"kind":"circle"}' } do
      local err = refused("ESCHEMA", Shape, text)
      assert.same({ "r", "a number above 0" }, { err.data.path, err.data.expected })
    end
    local err = refused("ESCHEMA", Shape, '{"kind":"oval"}')
    assert.same({ "kind", 'one of "circle", "rect"' }, { err.data.path, err.data.expected })
    assert.equal("kind", refused("ESCHEMA", Shape, '{"r":1}').data.path)
    assert.equal("an object or a string expected, got an integer", refused("ESCHEMA", Shape, "7").message)
  end)

  it("tries in order where nothing tells the variants apart", function()
    local Pair = s.one_of { s.object { a = s.integer() }, s.object { a = s.string(), b = s.optional(s.integer(), { default = 1 }) } }
    fits(Pair, '{"a":1}', { a = 1 })
    fits(Pair, '{"a":"x"}', { a = "x", b = 1 })
    assert.equal("a", refused("ESCHEMA", Pair, '{"a":true}').data.path)
    local Num = s.one_of { s.integer { max = 0 }, s.integer { min = 10 }, s.number { above = 100.5 } }
    takes(Num, { 0, 10, 200.5 }, { 5, 99.5 })
  end)

  it("takes no ext of MessagePack for an object, read or checked", function()
    local Loose = s.one_of { s.object({}, { extra = "keep" }), s.object { x = s.integer() } }
    local bytes = mw.msgpack.encode { mw.msgpack.ext(5, "x") }
    refused("ESCHEMA", s.array(Loose), bytes, { codec = "msgpack" })
    assert.equal("ESCHEMA", select(2, Loose:check(mw.msgpack.ext(5, "x"))).code)
    assert.truthy(s.array(s.any()):parse(bytes, { codec = "msgpack" }))
  end)

  it("takes null beside another, where that is said", function()
    takes(s.nullable(s.integer { min = 1 }), { 1, null }, { 0, "x", false })
    assert.equal("an integer or null expected, got a string", refused("ESCHEMA", s.nullable(s.integer()), '"x"').message)
  end)

  it("says what a variant expected whose variants are told apart by a field", function()
    local Told = s.one_of { s.object { kind = s.literal "a" }, s.object { kind = s.literal "b" } }
    local err = refused("ESCHEMA", s.one_of { s.array(Told), s.array(s.string()) }, '[{"kind":"zzz"}]')
    assert.equal('[1].kind: one of "a", "b" expected, got another string', err.message)
    assert.equal('one of "a", "b"', err.data.expected)
  end)

  it("counts the patterns and the elements of unions within unions", function()
    local slow = s.string { pattern = "^.-.-.-x$" }
    local Tree = s.recursive(function(t) return s.one_of { s.array(t), s.array(s.one_of { slow, s.array(t) }), slow } end)
    refused("ELIMIT", Tree, ("["):rep(30) .. '"' .. ("a"):rep(300) .. '"' .. ("]"):rep(30))
    local Wide = s.recursive(function(t) return s.one_of { s.array(t), s.array(t, { max = 300000 }), s.array(s.integer()) } end)
    refused("ELIMIT", Wide, ("["):rep(30) .. "[" .. ("1,"):rep(200000) .. '"x"]' .. ("]"):rep(30))
  end)

  it("bounds the work of unions within unions", function()
    local Tree = s.recursive(function(t)
      return s.one_of { s.object { x = t, y = s.integer() }, s.object { x = t, y = s.string() }, s.object { y = s.literal(null) } }
    end)
    local text = ('{"y":true,"x":'):rep(60) .. '{"y":null}' .. ("}"):rep(60)
    local got, err = Tree:parse(text)
    assert.is_nil(got)
    assert.truthy(err.code == "ELIMIT" or err.code == "ESCHEMA")
  end)
end)

describe("a schema that holds itself", function()
  local Tree = s.recursive(function(node) return s.object { v = s.integer(), kids = s.optional(s.array(node)) } end)

  it("goes as deep as the message, up to max_depth", function()
    fits(Tree, '{"v":1,"kids":[{"v":2,"kids":[{"v":3}]}]}')
    assert.equal("kids[1].kids[1].v", refused("ESCHEMA", Tree, '{"v":1,"kids":[{"v":2,"kids":[{"v":"x"}]}]}').data.path)
    local function nest(n) return ('{"v":1,"kids":['):rep(n) .. '{"v":1}' .. ("]}"):rep(n) end
    fits(Tree, nest(63))
    refused("EPARSE", Tree, nest(64))
    assert.truthy(Tree:parse(nest(499), { max_depth = 1000 }))
    refused("EPARSE", Tree, nest(500), { max_depth = 1000 })
    local deep = Tree:parse(nest(499), { max_depth = 1000 })
    assert.equal(deep, Tree:check(deep))
  end)

  it("finds an end in tables that have none", function()
    local t = { v = 1 }
    t.kids = { t }
    assert.equal("ELIMIT", select(2, Tree:check(t)).code)
  end)

  it("may be one of two that hold each other, or a list of lists", function()
    local Expr = s.recursive(function(expr)
      local call = s.recursive(function(call) return s.object { f = s.string(), args = s.array(expr), next = s.optional(call) } end)
      return s.one_of { s.integer(), s.string(), call }
    end)
    fits(Expr, '{"f":"+","args":[1,{"f":"-","args":["x"]}],"next":{"f":"*","args":[]}}')
    refused("ESCHEMA", Expr, '{"f":"+","args":[1.5]}')
    local Nest = s.recursive(function(n) return s.array(s.one_of { s.integer(), n }) end)
    fits(Nest, "[1,[2,[],[3]]]", { 1, { 2, {}, { 3 } } })
  end)

  it("cannot stand for itself with nothing between", function()
    raised("stands for itself", s.recursive, function(x) return x end)
    raised("stands for itself", s.recursive, function(x) return s.one_of { s.string(), s.nullable(x) } end)
    local leaked
    pcall(s.recursive, function(x) leaked = x error "no" end)
    refused("ESCHEMA", leaked, "1")
    assert.equal("ESCHEMA", select(2, leaked:check(1)).code)
  end)
end)

describe("making a schema", function()
  it("refuses unknown options with a suggestion, and what is no schema", function()
    raised('did you mean "max"', s.string, { maxx = 3 })
    raised('did you mean "extra"', s.object, {}, { extras = "keep" })
    raised("must be a schema, got string", s.object, { a = "string" })
    raised("s.string%(%)", s.object, { a = s.string })
    raised("must be a schema, got nothing", s.array)
    raised("cannot be optional", s.array, s.optional(s.string()))
    raised("min at most max", s.string, { min = 3, max = 2 })
    raised("min is above max", s.integer, { min = 3, max = 2 })
    raised("one of the two", s.number, { min = 3, above = 2 })
    raised("no number", s.number, { above = 3, max = 3 })
    raised("extra must be", s.object, {}, { extra = "ignore" })
    raised("twice", s.enum, { "a", "a" })
    raised("NaN", s.literal, 0 / 0)
    raised("got table", s.literal, {})
    raised("a list", s.one_of, {})
    raised("got nothing", s.literal)
    raised('unknown option "codek"', function() return s.any():parse("1", { codek = "json" }) end)
  end)

  it("shows what it is", function()
    local Msg = s.object { a = s.string { max = 64 }, ["b c"] = s.optional(s.array(s.integer { min = 1 }, { max = 3 })) }
    assert.equal('object{ a = string{ max = 64 }, ["b c"] = optional(array{ integer{ min = 1 }, max = 3 }) }', tostring(Msg))
    assert.equal('enum{ "a", "b" }', tostring(s.enum { "a", "b" }))
    assert.equal("<boolean>", mw.inspect(s.boolean()))
    local big = s.integer()
    for _ = 1, 40 do big = s.object { a = big, b = big } end
    assert.is_true(#tostring(big) <= 480)
  end)

  it("leaves what it was made of free to be changed", function()
    local fields, values, variants = { a = s.integer() }, { "x" }, { s.integer(), s.string() }
    local o, e, u = s.object(fields), s.enum(values), s.one_of(variants)
    fields.b, values[1], variants[2] = s.any(), "y", nil
    fits(o, '{"a":1}')
    fits(e, '"x"')
    fits(u, '"x"')
  end)

  it("keeps what it needs when everything else is collected, and gives it back with the rest", function()
    local function build()
      local words = {}
      for i = 1, 20 do words[i] = "literal " .. i .. " " .. ("x"):rep(50) end
      return s.object { ["key " .. ("k"):rep(50)] = s.enum(words), list = s.array(s.object { [("l"):rep(60)] = s.integer() }) }
    end
    local held = build()
    collectgarbage()
    collectgarbage()
    local before = collectgarbage "count"
    for _ = 1, 200 do build() end
    collectgarbage()
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < 64)
    local text = mw.json.encode { ["key " .. ("k"):rep(50)] = "literal 7 " .. ("x"):rep(50), list = { { [("l"):rep(60)] = 1 } } }
    fits(held, text, mw.json.decode(text))
  end)
end)

describe("limits of a message", function()
  it("are those of the options, and refuse before anything is built", function()
    local any = s.array(s.any())
    assert.equal("ELIMIT", refused("ELIMIT", any, "[1,2,3]", { max_bytes = 6 }).code)
    fits(any, "[1,2,3]")
    refused("EPARSE", any, "[[[1]]]", { max_depth = 2 })
    assert.truthy(any:parse("[[[1]]]", { max_depth = 3 }))
    local nested = ("\x91"):rep(4) .. "\1"
    assert.truthy(any:parse(nested, { codec = "msgpack", max_depth = 4 }))
    refused("ELIMIT", any, nested, { codec = "msgpack", max_depth = 3 })
  end)

  it("do not look for ever at tables that are shared in many places", function()
    local Tree = s.recursive(function(t) return s.object { a = s.optional(t), b = s.optional(t) } end)
    local value = {}
    for _ = 1, 60 do value = { a = value, b = value } end
    local ok, err = Tree:check(value)
    assert.same({ nil, "ELIMIT" }, { ok, err.code })
  end)

  it("take no memory for lengths that are only announced", function()
    local list, map = s.array(s.integer()), s.map(s.string(), s.integer())
    collectgarbage()
    local before = collectgarbage "count"
    refused("EPARSE", list, "\xdd\xff\xff\xff\xff\1", { codec = "msgpack" })
    refused("EPARSE", map, "\xde\xff\xff\xa1a\1", { codec = "msgpack" })
    refused("EPARSE", s.string(), "\xdb\xff\xff\xff\xffabc", { codec = "msgpack" })
    assert.is_true(collectgarbage "count" - before < 64)
  end)
end)

describe("encode", function()
  it("writes what check gives, in either format", function()
    local D = s.object({ n = s.optional(s.integer(), { default = 7 }) }, { extra = "drop" })
    assert.equal('{"n":7}', (D:encode { x = 1 }))
    assert.equal("\x81\xa1n\7", (D:encode({}, { codec = "msgpack" })))
    assert.equal("n", select(2, D:encode { n = "x" }).data.path)
    local ok, err = pcall(function() return s.any():encode { f = print } end)
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
  end)
end)
