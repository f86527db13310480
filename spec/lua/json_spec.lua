--- JSON: what is read, refused and written, and what tells null and arrays from the rest. Knows: mw.
local mw = require "moonwire"

local encode, decode, array, object, null = mw.json.encode, mw.json.decode, mw.json.array, mw.json.object, mw.null

--- Raised by encode: the error object.
local function refused(v, opts)
  local ok, err = pcall(encode, v, opts)
  assert.is_false(ok)
  return err
end

--- Equal, with integers, floats, -0.0 and marks told apart.
local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return rawequal(a, b) and math.type(a) == math.type(b) and (a ~= 0 or math.type(a) == "integer" or 1 / a == 1 / b)
  end
  if mw.inspect(setmetatable({}, getmetatable(a))) ~= mw.inspect(setmetatable({}, getmetatable(b))) then return false end
  for k, v in pairs(a) do
    if not same(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

local function reads(text, value, opts)
  local got, err = decode(text, opts)
  if err or not same(got, value) then error(("%s: %s, not %s"):format(text:sub(1, 200), err or mw.inspect(got), mw.inspect(value)), 2) end
end

--- Refused with EPARSE, at the offset when it is given.
local function fails(text, offset, why)
  local got, err = decode(text)
  if not err or got ~= nil then error(("accepted: %q as %s"):format(text:sub(1, 200), mw.inspect(got)), 2) end
  if err.code ~= "EPARSE" or (offset and err.data.offset ~= offset) or (why and not tostring(err):find(why, 1, true)) then
    error(("%q: %s, byte %d"):format(text:sub(1, 200), err, err.data.offset), 2)
  end
  return err
end

describe("mw.null", function()
  it("is one value that says what it is, in a worker too", function()
    assert.equal("null", tostring(mw.null))
    assert.is_true(mw.null ~= nil and mw.null == mw.null and not rawequal(mw.null, false))
    local dir <close> = assert(mw.fs.tempdir())
    local path = dir.path .. "/worker.lua"
    assert(mw.fs.write(path, [[
      local mw = require "moonwire"
      local v = mw.parent:recv()
      mw.parent:send { same = v.null == mw.null, null = mw.null, list = v.list }
    ]]))
    local worker <close> = assert(mw.worker.spawn(path))
    assert(worker:send { null = mw.null, list = mw.json.array {} })
    local back = assert(worker:recv())
    assert.is_true(back.same)
    assert.equal(mw.null, back.null)
    assert.equal("[]", mw.inspect(back.list))
  end)
end)

describe("mw.json.decode", function()
  it("reads scalars, with any space around them", function()
    reads("null", null)
    reads("true", true)
    reads("false", false)
    reads('""', "")
    for _, space in ipairs { " ", "\t", "\n", "\r", " \r\n\t " } do
      reads(space .. "1" .. space, 1)
      reads(space .. "[" .. space .. "]" .. space, array {})
      reads(space .. "{" .. space .. "}" .. space, {})
      reads(("_[_1_,_2_]_"):gsub("_", space), array { 1, 2 })
      reads(('_{_"a"_:_1_,_"b"_:_2_}_'):gsub("_", space), { a = 1, b = 2 })
    end
  end)

  it("tells integers from floats, over the whole range of both", function()
    for text, value in pairs {
      ["0"] = 0, ["-0"] = 0, ["1"] = 1, ["-1"] = -1, ["10"] = 10, ["1234567890"] = 1234567890,
      ["999999999999999999"] = 999999999999999999, ["-999999999999999999"] = -999999999999999999,
      ["1000000000000000000"] = 1000000000000000000, ["9007199254740993"] = 9007199254740993,
      ["9223372036854775807"] = math.maxinteger, ["-9223372036854775807"] = -math.maxinteger,
      ["-9223372036854775808"] = math.mininteger, ["9223372036854775800"] = 9223372036854775800,
      ["0.0"] = 0.0, ["-0.0"] = -0.0, ["-0e1"] = -0.0, ["0e0"] = 0.0, ["1.0"] = 1.0, ["1E5"] = 1e5, ["1e5"] = 1e5,
      ["1e+5"] = 1e5,
      ["1E+05"] = 1e5, ["1e-5"] = 1e-5, ["1e00"] = 1.0, ["0.1"] = 0.1, ["123.456e2"] = 12345.6, ["-1.5E-3"] = -0.0015,
      ["9223372036854775808.0"] = 2.0 ^ 63, ["1e308"] = 1e308, ["1.7976931348623157e308"] = 1.7976931348623157e308,
      ["1.7976931348623158e308"] = 1.7976931348623157e308, ["5e-324"] = 5e-324, ["4.9e-324"] = 5e-324,
      ["2.4703282292062327e-324"] = 0.0,
      ["1e-400"] = 0.0, ["-1e-400"] = -0.0, ["1e-99999999999999999999999"] = 0.0, ["0e99999999999999999999999"] = 0.0,
      ["2.2250738585072011e-308"] = 2.225073858507201e-308, ["9007199254740993.0"] = 9007199254740992.0,
      ["9007199254740993.00000000000000000000001"] = 9007199254740994.0,
      ["0." .. ("0"):rep(400) .. "1e401"] = 1.0, ["1" .. ("0"):rep(400) .. "e-400"] = 1.0,
      ["0.1000000000000000055511151231257827021181583404541015625"] = 0.1,
    } do
      reads(text, value)
      reads("[" .. text .. "]", array { value })
      reads('{"n":' .. text .. " }", { n = value })
    end
  end)

  it("refuses numbers that are none, and those that nothing can hold", function()
    for _, text in ipairs {
      "-", "+1", "+0", ".1", "-.1", "1.", "-1.", "1.e1", "1e", "1e+", "1E-", "1ee1", "1e1.5", "0x10", "0b1", "01",
      "-01", "00", "-00", "00.5",
      "1_000", "1,000", "1 000", "--1", "-+1", "1-", "1+1", "NaN", "nan", "-NaN", "Infinity", "-Infinity", "inf",
      "INF", "1e1e1", "1.1.1",
      "1f", "1L", "0e", "0e+", "0.e1", "1..2", ".", "-e1", "e1", "1e٣", "１", "-1x", "1a", "٣", "- 1", "1 .5", "1. 5",
      "1e 5", "0.-1",
      "9223372036854775808", "-9223372036854775809", "10000000000000000000", "18446744073709551615",
      "18446744073709551616",
      "99999999999999999999999999999999", "-99999999999999999999999", ("9"):rep(1000),
      "1e309", "1e400", "-1e400", "1.7976931348623159e308", "1.8e308", "1e99999999999999999999999",
      ("1"):rep(400) .. ".0",
    } do
      fails(text)
      fails("[" .. text .. "]")
      fails('{"n":' .. text .. "}")
      fails("[0," .. text)
    end
  end)

  it("reads strings with every escape and every plane", function()
    for text, value in pairs {
      ['"a"'] = "a", ['"\\"\\\\\\/\\b\\f\\n\\r\\t"'] = '"\\/\b\f\n\r\t', ['"/"'] = "/", ['"\127"'] = "\127",
      ["\"'\""] = "'",
      ['"\\u0000"'] = "\0", ['"a\\u0000b"'] = "a\0b", ['"\\u0041\\u00e9\\u20AC"'] = "Aé€", ['"\\u00E9"'] = "é",
      ['"\\uFFFF"'] = "\u{ffff}",
      ['"\\ud83d\\ude00"'] = "😀", ['"\\uD800\\uDC00"'] = "\u{10000}", ['"\\uDBFF\\uDFFF"'] = "\u{10ffff}",
      ['"\\ud7ff\\ue000"'] = "\u{d7ff}\u{e000}",
      ['"\\u0020\\u001f"'] = " \31", ['"é€😀"'] = "é€😀", ['"\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}"'] =
        "\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}",
      ['"\u{fdd0}\u{fffe}\u{2028}\u{2029}\u{feff}"'] = "\u{fdd0}\u{fffe}\u{2028}\u{2029}\u{feff}",
      ['"\\\\u0041"'] = "\\u0041",
      ['"\\\\\\""'] = '\\"', ['"[]{},:"'] = "[]{},:", ['"\\u2028"'] = "\u{2028}",
    } do
      reads(text, value)
      reads("[" .. text .. "," .. text .. "]", array { value, value })
      reads("{" .. text .. ":" .. text .. "}", { [value] = value })
    end
    for n = 0, 100 do -- wherever it stands among the bytes that are looked at together
      local before = ("x"):rep(n)
      for _, after in ipairs { "", "y", ("y"):rep(40) } do
        reads('"' .. before .. after .. '"', before .. after)
        reads('"' .. before .. "\\n" .. after .. '"', before .. "\n" .. after)
        reads('"' .. before .. "é" .. after .. '"', before .. "é" .. after)
        reads('"' .. before .. '\\""', before .. '"')
        fails('"' .. before .. "\n" .. after .. '"', n + 1, "a control character")
        fails('"' .. before .. "\xff" .. after .. '"', n + 1, "not UTF-8")
        fails('"' .. before .. "\\x" .. after .. '"', n + 1, "an unknown escape")
        fails('"' .. before .. after, 0, "without an end")
      end
    end
  end)

  it("refuses strings that are none", function()
    for _, inside in ipairs {
      "\\", "\\x41", "\\a", "\\'", "\\0", "\\U0041", "\\u", "\\u0", "\\u00", "\\u004", "\\u004g", "\\uu041",
      "\\u 041", "\\u+041", "\\u-041",
      "\\u{41}", "\\v", "\\e", "\\\n", "\\\0", "\\é", "\\\xff", "\\u00é", "\0", "\1", "\b", "\t", "\n", "\f", "\r",
      "\31", "a\tb", "a\0",
      "\\ud800", "\\udbff", "\\udc00", "\\udfff", "\\ud800x", "\\ud800\\n", "\\ud800\\u0041", "\\ud800\\ud800",
      "\\udc00\\ud800",
      "\\ud800\\udbff", "\\ud800\\ue000", "\\ud800\\udc0", "\\ud800\\", "\\ud800\\u", "\\uD83D\\uDE0",
      "\\ud83d\\\\ude00", "\\ud83d\u{de00}",
      "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2x", "\xc2\xc2", "\xe0\x80\x80", "\xe0\x9f\xbf",
      "\xe1\x80", "\xe1\x80x", "\xe1x\x80",
      "\xed\xa0\x80", "\xed\xbf\xbf", "\xed\xa0\xbd\xed\xb8\x80", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf",
      "\xf1\x80\x80", "\xf4\x90\x80\x80",
      "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", "\xfe", "\xff", "é\xe9", "\xe9",
      "\xf0\x9f\x98", "a\xcc",
    } do
      fails('"' .. inside .. '"')
      fails('["' .. inside .. '"]')
      fails('{"' .. inside .. '":1}')
      fails('{"k":"' .. inside .. '"}')
      fails('"0123456789abcdef' .. inside .. 'ghijklmnopqrstuv"')
      fails('"' .. inside)
    end
    for _, text in ipairs { '"', '"a', "'a'", "a", '"a""', '"a"b', '"\\"', '"\\\\\\"', "`a`", "“a”" } do fails(text) end
  end)

  it("reads arrays and objects, small and large, flat and deep", function()
    reads("[]", array {})
    reads("{}", {})
    reads("[[],{},[[]]]", array { array {}, {}, array { array {} } })
    reads('{"":1}', { [""] = 1 })
    reads('{"a":{"a":{"a":[{"a":null}]}}}', { a = { a = { a = array { { a = null } } } } })
    for _, n in ipairs { 1, 2, 3, 7, 8, 15, 16, 17, 18, 31, 32, 33, 64, 100, 1000, 5000 } do
      local list, members, text, pairs_text = array {}, {}, {}, {}
      for i = 1, n do
        list[i], text[i] = i, tostring(i)
        members["key" .. i], pairs_text[i] = i * 0.5, ('"key%d":%s'):format(i, i * 0.5)
      end
      reads("[" .. table.concat(text, ",") .. "]", list)
      reads("{" .. table.concat(pairs_text, ",") .. "}", members)
    end
    local deep = decode(("["):rep(128) .. ("]"):rep(128))
    for _ = 1, 127 do deep = deep[1] end
    assert.same({}, deep)
    reads('{"' .. ("k"):rep(41) .. '":1,"' .. ("k"):rep(42) .. '":2,"' .. ("k"):rep(40) .. 'l":3}',
      { [("k"):rep(41)] = 1, [("k"):rep(42)] = 2, [("k"):rep(40) .. "l"] = 3 })
  end)

  it("refuses what is no JSON around them", function()
    for _, text in ipairs {
      "", " ", "\n", "[", "]", "{", "}", "[1", "[1,", "[1,]", "[,]", "[,1]", "[1,,2]", "[1 2]", "[1;2]", "[1:2]",
      "[:1]", "[1}", "{]", "[}", "[[]", "[]]",
      '["a"', '["a",', '["a"}', "[\"a\" \"b\"]", "{1:1}", "{a:1}", "{'a':1}", '{"a"}', '{"a":}', '{"a":1', '{"a":1,',
      '{"a":1,}', '{,}', '{"a",1}',
      '{"a" 1}', '{"a"::1}', '{"a":1:2}', '{"a":1 "b":2}', '{"a":1;"b":2}', '{"a":1,,"b":2}', '{:1}', '{"a":1]',
      '{"a":[}', '{null:1}', '{true:1}',
      '{[]:1}', '{{}:1}', '{"a":1}}', '{}{}', "[][]", "1 2", "1,2", "null null", "truefalse", "nul", "nulll", "tru",
      "truee", "fals", "falsee", "Null", "TRUE",
      "True", "FALSE", "undefined", "None", "nil", "n", "t", "f", "[nul]", "[tru]", "[fals]", "[n", "[t", "[f",
      "nu\0l", "// x\n1", "1 // x", "/* x */ 1",
      "1 /**/", "# x\n1", "[1, # x\n2]", "\0", "1\0", "\0001", "[1]\0", "[\0]", "\v1", "\f1", "1\f", "\u{a0}1",
      "1\u{a0}", "\u{2028}1", "\u{feff}1",
      "\xef\xbb\xbf{}", "\xef\xbb\xbf", "\xff\xfe1\0", "\xfe\xff\0001", "1\xef\xbb\xbf", "\xff", "\x80", "[\xff]",
      "@", "$", "(1)", "<a>", "*", "[*]", "a", "é", "\27[0m",
      "[1,2", "[true,\n  fal", ",", ":", ",1", "1,", ":1", "]1", "}1", "[\"a\",\n4\n,1,", '{"a":"b"}#',
      '{"a":"b"}/**/', '{"a":/*x*/1}', "[1]x", "{}}", '{"a',
      '{"a"', '{"a":', '{"a":"', '{"a":"b', '{"a":"b"', '{"a":tru', '{"a":-', '{"a":[', '{"a":{', "[-]", "[-", "[\"",
      "[{", "[{}", "[{\"a\":[{", "-", "\\", "[\\n]", "{\"a\":1,\"a",
    } do fails(text) end
  end)

  it("refuses a key that was there before, among few and many, short and long", function()
    fails('{"a":1,"a":1}', 7, "there before")
    fails('{"a":1,"\\u0061":2}', 7)
    fails('{"":1,"":2}')
    fails('{"a":null,"b":1,"a":null}', 16)
    fails('[{"x":{"a":1,"b":2,"a":3}}]')
    for _, n in ipairs { 2, 5, 15, 16, 17, 18, 33, 300 } do
      for _, stem in ipairs { "k", ("long"):rep(20) } do
        local members = {}
        for i = 1, n do members[i] = ('"%s%d":%d'):format(stem, i, i) end
        local text = "{" .. table.concat(members, ",")
        assert.is_table((decode(text .. "}")))
        for _, again in ipairs { 1, n // 2, n } do
          fails(('%s,"%s%d":0}'):format(text, stem, math.max(again, 1)), #text + 1)
        end
      end
    end
    reads('{"a":{"a":{"a":1}},"b":{"a":1}}', { a = { a = { a = 1 } }, b = { a = 1 } })
  end)

  it("says where: byte, line, column and path", function()
    local err = fails('{\n  "items": [1, 2, {\n    "é": "ü", "name": nul }]}')
    assert.equal("json.decode line 3 column 23: a value is expected", tostring(err))
    assert.same({ offset = 46, line = 3, column = 23, path = "items[3].name" }, err.data)
    assert.equal("", fails("nul").data.path)
    assert.equal("a[1].b", fails('{"a":[{"b":1,"b":2}]}').data.path)
    assert.equal('["two words"]', fails('{"two words":}').data.path)
    assert.equal("[20]", fails("[" .. ("0,"):rep(19) .. "x]").data.path)
    assert.equal("k20", fails("{" .. ('"%d":1,'):rep(19):format(table.unpack((function()
      local t = {}
      for i = 1, 19 do t[i] = i end
      return t
    end)())) .. '"k20":x}').data.path)
    assert.truthy(tostring(fails "\u{feff}1"):find("a byte order mark", 1, true))
  end)

  it("stops at limits of depth, bytes and keys, which options move", function()
    local deep = ("["):rep(129) .. ("]"):rep(129)
    assert.equal(128, fails(deep, 128, "nested too deeply (max_depth is 128, and may be up to 1000)").data.offset)
    assert.is_table((decode(deep, { max_depth = 129 })))
    fails(('{"a":'):rep(129) .. "1" .. ("}"):rep(129))
    local _, err = decode("[[1]]", { max_depth = 1 })
    assert.same({ "EPARSE", 1 }, { err.code, err.data.offset })
    assert.is_table((decode(("["):rep(1000) .. ("]"):rep(1000), { max_depth = 1000 })))
    assert.is_table((decode(('{"a":'):rep(1000) .. "1" .. ("}"):rep(1000), { max_depth = 1000 })))
    for _, text in ipairs { ("["):rep(100000), ('{"a":'):rep(100000), ('[{"a":'):rep(100000) } do fails(text) end
    _, err = decode("[1,2]", { max_bytes = 4 })
    assert.equal("ELIMIT", err.code)
    assert.same({ 1, 2 }, (decode("[1,2]", { max_bytes = 5 })))
    local members = {}
    for i = 1, 65537 do members[i] = ('"%d":1'):format(i) end
    _, err = decode("{" .. table.concat(members, ",") .. "}")
    assert.equal("ELIMIT", err.code)
    members[65537] = nil
    assert.is_table((decode("{" .. table.concat(members, ",") .. "}")))
  end)

  it("raises what the caller does wrong", function()
    for _, bad in ipairs { { 1 }, { nil }, { {} }, { "1", { max_dept = 1 } }, { "1", { max_depth = 0 } }, { "1",
    { max_depth = 1001 } }, { "1", 5 } } do
      local ok, err = pcall(decode, bad[1], bad[2])
      assert.is_false(ok)
      assert.equal("EINVAL", err.code)
    end
  end)
end)

describe("mw.json.encode", function()
  it("writes scalars, strings with as few escapes as may be", function()
    for text, value in pairs {
      ["null"] = null, ["true"] = true, ["false"] = false, ["0"] = 0, ["-1"] = -1,
      ["9223372036854775807"] = math.maxinteger,
      ["-9223372036854775808"] = math.mininteger, ["0.0"] = 0.0, ["-0.0"] = -0.0, ["1.0"] = 1.0, ["0.1"] = 0.1,
      ["1e100"] = 1e100,
      ["5e-324"] = 5e-324, ["1.7976931348623157e308"] = 1.7976931348623157e308, ["0.30000000000000004"] = 0.1 + 0.2,
      ["100000.0"] = 1e5,
      ['""'] = "", ['"a/b"'] = "a/b", ['"\\"\\\\\\b\\f\\n\\r\\t"'] = '"\\\b\f\n\r\t',
      ['"\\u0000\\u0001\\u001f\127"'] = "\0\1\31\127",
      ['"é€😀\u{2028}"'] = "é€😀\u{2028}",
    } do
      assert.equal(text, encode(value))
      assert.is_true(same(value, (decode(text))))
    end
    for n = 0, 70 do
      local s = ("x"):rep(n)
      for _, odd in ipairs { '"', "\n", "é", '"é\n', ("\n"):rep(100), ("é"):rep(100) .. '"' } do
        assert.equal(s .. odd .. s, (decode(encode(s .. odd .. s))))
      end
    end
  end)

  it("leaves a protected metatable where it is", function()
    local own = setmetatable({}, { __metatable = "mine" })
    assert.error(function() mw.json.array(own) end)
    assert.equal("mine", getmetatable(own))
  end)

  it("writes arrays and objects by their elements, keys and marks", function()
    assert.equal("{}", encode {})
    assert.equal("[]", encode(array {}))
    assert.equal("[]", encode(array()))
    assert.equal("{}", encode(object {}))
    assert.equal("{}", encode(object()))
    assert.equal("[1,[2,[]],{}]", encode { 1, { 2, array {} }, {} })
    assert.equal('{"a":[{"b":null}]}', encode { a = { { b = null } } })
    assert.equal('{"1":2}', encode { ["1"] = 2 })
    local odd = {}
    for i = 20, 1, -1 do odd[i] = i end -- elements that the table does not keep in order
    assert.equal("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]", encode(odd))
    assert.equal("[1,2]", encode { [2] = 2, [1] = 1 })
    for _, text in ipairs { "[]", "{}", "[[],{}]", '{"a":[],"b":{}}', '[[[[]]]]' } do
      assert.equal(text, encode(decode(text), { sort = true }))
    end
  end)

  it("puts keys in order when asked", function()
    local t = {}
    for i = 1, 50 do t["k" .. i] = { b = i, a = array {}, [""] = 1 } end
    local text = encode(t, { sort = true })
    assert.equal(text, encode(decode(text), { sort = true }))
    local keys = {}
    for key in text:gmatch '"(k%d+)"' do keys[#keys + 1] = key end
    local sorted = { table.unpack(keys) }
    table.sort(sorted)
    assert.same(sorted, keys)
    assert.equal('{"a":1,"aa":2,"b":{"x":1,"y":2},"é":3}', encode({ ["é"] = 3, b = { y = 2, x = 1 }, aa = 2, a = 1 },
    { sort = true }))
  end)

  it("raises what cannot be written, with its path", function()
    local co = coroutine.create(print)
    for _, case in ipairs {
      { print, "", "a function" }, { { a = { 1, print } }, "a[2]", "a function" }, { { co }, "[1]", "a coroutine" },
      { io.stdout, "", "a userdata" },
      { 0 / 0, "", "NaN" }, { { x = { y = 1 / 0 } }, "x.y", "an infinity" }, { -1 / 0, "", "an infinity" },
      { { 1, nil, 3 }, "[2]", "a hole" },
      { { 1, 2, x = 3 }, "", "both elements and keys" }, { { [0] = 1 }, "", "a number as a key" },
      { { a = { [1.5] = 1 } }, "a", "a number as a key" },
      { { [true] = 1 }, "", "no string" }, { { [{}] = 1 }, "", "no string" }, { { [null] = 1 }, "", "no string" },
      { { a = "\xff" }, "a", "not UTF-8" },
      { { ["\xff"] = 1 }, '["\\xff"]', "not UTF-8" }, { "\xed\xa0\x80", "", "not UTF-8" }, { array { a = 1 }, "",
      "both" }, { array { 1, [3] = 3 }, "", "a hole" },
      { object { 1, 2 }, "", "a number as a key" }, { object { a = { 1, { b = print } } }, "a[2].b", "a function" },
      { { [-1] = 1, [1] = 1 }, "", "a hole" },
    } do
      for _, sort in ipairs { false, true } do
        local err = refused(case[1], { sort = sort })
        assert.same({ "EINVAL", case[2] }, { err.code, err.data.path })
        assert.truthy(tostring(err):find(case[3], 1, true), tostring(err))
      end
    end
    assert.equal("EINVAL", refused(nil).code)
  end)

  it("ends in cycles and at limits", function()
    local loop = { a = {} }
    loop.a.b = loop
    assert.equal("ELIMIT", refused(loop).code)
    local list = {}
    list[1] = list
    assert.truthy(tostring(refused(list)):find("in a cycle", 1, true))
    assert.equal("ELIMIT", refused({ {} }, { max_depth = 1 }).code)
    assert.equal("[{}]", encode({ {} }, { max_depth = 2 }))
    assert.equal("[1,2]", encode({ 1, 2 }, { max_bytes = 5 }))
    assert.equal("ELIMIT", refused({ 1, 2 }, { max_bytes = 4 }).code)
    local wide = "x"
    for _ = 1, 30 do wide = { wide, wide } end -- 2^30 strings, if nobody counts
    assert.equal("ELIMIT", refused(wide).code)
    local many = {}
    for i = 1, 65537 do many["k" .. i] = 1 end
    assert.equal("ELIMIT", refused(many).code)
    assert.equal("ELIMIT", refused(many, { sort = true }).code)
    assert.equal("[1]", encode { 1 }) -- and nothing of it stays
  end)

  it("calls no metamethod, and no finalizer disturbs it", function()
    local touched = false
    local function touch() touched = true end
    local t = setmetatable({ a = 1 }, { __index = touch, __pairs = touch, __len = touch, __tostring = touch, __name = "x" })
    assert.equal('{"a":1}', encode(t))
    assert.is_false(touched)
    local ran = 0
    local value = {}
    for i = 1, 200 do value["key" .. i] = { i, tostring(i) } end
    local text = encode(value, { sort = true })
    for _ = 1, 200 do
      for _ = 1, 20 do setmetatable({}, { __gc = function() ran = ran + #encode { "inside" } end }) end
      assert.equal(text, encode(value, { sort = true }))
    end
    collectgarbage()
    assert.is_true(ran > 0)
  end)
end)

describe("JSON, there and back", function()
  local random = math.random

  it("keeps every bit of 100,000 floats, and of integers at every edge", function()
    for _ = 1, 100000 do
      local v = string.unpack("d", string.pack("i8", random(0)))
      if v == v and v - v == 0 then
        local back = decode(encode(v))
        if string.pack("d", v) ~= string.pack("d", back) then error(("%a became %a (%s)"):format(v, back, encode(v))) end
      end
    end
    for shift = 0, 63 do
      for d = -2, 2 do
        for _, v in ipairs { (1 << shift) + d, -(1 << shift) + d } do assert.is_true(rawequal(v,
        (decode(encode(v))))) end
        for _, v in ipairs { 2.0 ^ shift + d, -2.0 ^ shift + d * 0.5, 2.0 ^ -shift } do
          local back = decode(encode(v))
          assert.is_true(back == v and math.type(back) == "float")
        end
      end
    end
  end)

  local alphabet = { "a", "Z", "0", " ", '"', "\\", "/", "\n", "\t", "\0", "\31", "\127", "é", "€", "😀", "\u{ffff}",
  "{", "]", ",", ":" }
  local function word()
    local parts = {}
    for i = 1, random(0, 40) do parts[i] = alphabet[random(#alphabet)] end
    return table.concat(parts)
  end

  local function value(depth)
    local kind = random(depth > 0 and 9 or 7)
    if kind == 1 then return null end
    if kind == 2 then return random(2) == 1 end
    if kind == 3 then return random(0) >> random(0, 63) end
    if kind == 4 then return random() * 10.0 ^ random(-30, 30) end
    if kind <= 7 then return word() end
    local t = kind == 8 and array {} or {}
    for i = 1, random(0, 24) do t[kind == 8 and i or word()] = value(depth - 1) end
    return t
  end

  it("keeps any value", function()
    for _ = 1, 400 do
      local v = value(5)
      local text = encode(v)
      local back, err = decode(text)
      if err or not same(v, back) then error(("%s: %s"):format(err, text)) end
      assert.equal(encode(v, { sort = true }), encode(back, { sort = true }))
    end
  end)

  it("survives any cut and any changed byte", function()
    for _ = 1, 60 do
      local text = encode(value(3))
      for _ = 1, 60 do
        local at = random(#text)
        local other = text:sub(1, at - 1) .. string.char(random(0, 255)) .. text:sub(at + 1)
        local v, err = decode(other)
        assert.is_true(err == nil or (v == nil and err.code == "EPARSE" and err.data.offset <= #other))
        if not err then assert.is_true(same(v, (decode(encode(v))))) end
        local _, cut = decode(text:sub(1, at - 1))
        assert.is_true(cut == nil or cut.code == "EPARSE")
      end
    end
  end)
end)

describe("json_check", function()
  local program = mw.env.MOONWIRE

  local function check(input, ...)
    return assert(mw.process.run { timeout = 60, stdin = input, program, "run", "scripts/tools/json_check.lua", ... })
  end

  it("accepts, refuses with the place, and echoes", function()
    local done = check '{"b": [1, 2.0, null], "a": {}}'
    assert.same({ 0, "", "" }, { done.code, done.stdout, done.stderr })
    assert.equal('{"a":{},"b":[1,2.0,null]}\n', check('{"b": [1, 2.0, null], "a": {}}', "--sort").stdout)
    assert.equal("[]\n", check(" [ ] ", "--echo").stdout)
    done = check '{"a": [1, tru]}'
    assert.same({ 1, "refused: EPARSE: line 1 column 11: a value is expected; byte 10, at a[2]\n" },
    { done.code, done.stderr })
    assert.equal(1, check("").code)
    assert.equal(2, check("", "--nosuch").code)
    assert.equal(2, check("1", "--max-depth=5000").code)
  end)

  it("answers what is deep, long or garbage", function()
    local done = check(("["):rep(100000))
    assert.equal(1, done.code)
    assert.truthy(done.stderr:find("EPARSE: line 1 column 129: nested too deeply", 1, true))
    assert.equal(0, check(("["):rep(1000) .. ("]"):rep(1000), "--max-depth=1000", "--echo").code)
    done = check("[" .. ("1,"):rep(9 << 20) .. "1]")
    assert.same({ 1, "refused: ELIMIT: longer than 16777216 bytes (max_bytes says otherwise); byte 0\n" },
    { done.code, done.stderr })
    assert.equal(1, check(mw.random.bytes(100000)).code)
  end)
end)
