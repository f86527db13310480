--- MessagePack: what is read, refused and written. Knows: mw.
local mw = require "moonwire"

local msgpack = mw.msgpack

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end
local function bytes(text)
  return (text:gsub("%s", ""):gsub("%x%x", function(c) return string.char(tonumber(c, 16)) end))
end

local function refused(text, words, offset, path)
  local v, err = msgpack.decode(bytes(text))
  assert.is_nil(v)
  assert.equal("EPARSE", err.code)
  assert.truthy(tostring(err):find(words, 1, true), tostring(err))
  assert.same({ offset = offset, path = path or "" }, err.data)
end

describe("mw.msgpack", function()
  it("writes integers in the shortest form and reads back the very same", function()
    local forms = {
      [0] = "00", [127] = "7f", [128] = "cc80", [255] = "ccff", [256] = "cd0100", [65535] = "cdffff", [65536] = "ce00010000",
      [4294967295] = "ceffffffff", [4294967296] = "cf0000000100000000", [math.maxinteger] = "cf7fffffffffffffff",
      [-1] = "ff", [-32] = "e0", [-33] = "d0df", [-128] = "d080", [-129] = "d1ff7f", [-32768] = "d18000", [-32769] = "d2ffff7fff",
      [-2147483648] = "d280000000", [-2147483649] = "d3ffffffff7fffffff", [math.mininteger] = "d38000000000000000",
    }
    for i, form in pairs(forms) do
      assert.equal(form, hex(msgpack.encode(i)))
      local back = msgpack.decode(bytes(form))
      assert.equal("integer", math.type(back))
      assert.equal(i, back)
    end
  end)

  it("takes integers that are not in their shortest form", function()
    local forms = "05 cc05 cd0005 ce00000005 cf0000000000000005 d005 d10005 d200000005 d30000000000000005"
    for form in forms:gmatch "%x+" do
      assert.equal(5, msgpack.decode(bytes(form)))
    end
    assert.equal("a", msgpack.decode(bytes "db 00000001 61"))
    assert.same({ 1 }, msgpack.decode(bytes "dd 00000001 01"))
    assert.same({ a = 1 }, msgpack.decode(bytes "df 00000001 a161 01"))
  end)

  it("keeps floats as they are", function()
    for _, x in ipairs { 0.1, 1.0, -0.0, 1e308, 5e-324, math.huge, -math.huge, 3.0 } do
      local back = msgpack.decode(msgpack.encode(x))
      assert.equal("float", math.type(back))
      assert.equal(("%a"):format(x), ("%a"):format(back))
    end
    local nan = msgpack.decode(msgpack.encode(0 / 0))
    assert.is_true(nan ~= nan)
    assert.equal(1.5, msgpack.decode(bytes "ca 3fc00000"))
  end)

  it("tells text from bytes by UTF-8, unless it is told", function()
    assert.equal("a3c3a461", hex(msgpack.encode "\u{e4}a"))
    assert.equal("c401ff", hex(msgpack.encode "\xff"))
    for odd in ("c080 eda080 f5808080 e282 6162636465666768c3 f4908080 e08080"):gmatch "%x+" do
      assert.equal(0xc4, msgpack.encode(bytes(odd)):byte())
    end
    assert.equal("c40161", hex(msgpack.encode("a", { strings = "bin" })))
    assert.equal("81a161c40162", hex(msgpack.encode({ a = "b" }, { strings = "bin" })))
    assert.equal("a1ff", hex(msgpack.encode("\xff", { strings = "str" })))
    assert.equal("\xff", msgpack.decode "\xa1\xff")
    for _, n in ipairs { 31, 32, 255, 256, 65535, 65536 } do
      assert.equal(("x"):rep(n), msgpack.decode(msgpack.encode(("x"):rep(n))))
      assert.equal(("\xff"):rep(n), msgpack.decode(msgpack.encode(("\xff"):rep(n))))
    end
  end)

  it("marks arrays, so that an empty one stays one", function()
    assert.equal("90", hex(msgpack.encode(msgpack.decode "\x90")))
    assert.equal("80", hex(msgpack.encode(msgpack.decode "\x80")))
    assert.equal("80", hex(msgpack.encode {}))
    assert.equal("90", hex(msgpack.encode(mw.json.array {})))
    assert.equal("930102c0", hex(msgpack.encode { 1, 2, mw.null }))
    assert.equal(mw.null, msgpack.decode("\x93\x01\x02\xc0")[3])
    assert.equal(mw.null, msgpack.decode "\xc0")
    assert.equal("c0", hex(msgpack.encode(nil)))
    local long = {}
    for i = 1, 70000 do long[i] = i end
    assert.same(long, msgpack.decode(msgpack.encode(long)))
  end)

  it("keeps maps whose keys are numbers or booleans apart from arrays", function()
    local map = msgpack.decode(bytes "83 01a161 02a162 c3cb3ff8000000000000")
    assert.same({ [1] = "a", [2] = "b", [true] = 1.5 }, map)
    assert.same(map, msgpack.decode(msgpack.encode(map)))
    assert.equal("8101a161", hex(msgpack.encode(msgpack.decode(bytes "8101a161"))))
    assert.equal("8101a161", hex(msgpack.encode(mw.json.object { "a" })))
    assert.equal("810ac3", hex(msgpack.encode { [10] = true }))
    assert.equal("81cb3ff8000000000000c3", hex(msgpack.encode { [1.5] = true }))
  end)

  it("writes maps of any size", function()
    for _, n in ipairs { 15, 16, 17, 1000, 65535, 65536 } do
      local map = {}
      for i = 1, n do map["key" .. i] = i end
      local text = msgpack.encode(map)
      assert.equal(n < 16 and 0x80 + n or n < 65536 and 0xde or 0xdf, text:byte())
      local back, count = msgpack.decode(text), 0
      for k, v in pairs(back) do
        count = count + 1
        if map[k] ~= v then error(k) end
      end
      assert.equal(n, count)
    end
    local big = {}
    for i = 1, 65537 do big["key" .. i] = i end
    local none, err = msgpack.encode(big)
    assert.same({ nil, "ELIMIT" }, { none, err.code })
    local none2, err2 = msgpack.decode("\xdf\x00\x01\x00\x01" .. ("\x01"):rep(140000))
    assert.same({ nil, "ELIMIT" }, { none2, err2.code })
  end)

  it("carries ext values of any type", function()
    for _, n in ipairs { 0, 1, 2, 3, 4, 8, 15, 16, 17, 255, 256, 65536 } do
      local back = msgpack.decode(msgpack.encode { msgpack.ext(-1, ("x"):rep(n)) })[1]
      assert.same({ type = -1, data = ("x"):rep(n) }, { type = back.type, data = back.data })
      assert.is_true(msgpack.is_ext(back))
    end
    assert.equal("d6ff61626364", hex(msgpack.encode(msgpack.ext(-1, "abcd"))))
    assert.equal("c70305616263", hex(msgpack.encode(msgpack.ext(5, "abc"))))
    assert.is_false(msgpack.is_ext {})
    assert.is_false(msgpack.is_ext(nil))
    assert.error(function() msgpack.ext(128, "") end)
    local broken = msgpack.ext(1, "x")
    broken.type = "one"
    assert.error(function() msgpack.encode(broken) end)
  end)

  it("refuses what is no value, with the byte and the path", function()
    refused("", "cut short", 0)
    refused("c1", "begins no value", 0)
    refused("01 01", "bytes behind the value", 1)
    refused("92 01", "cut short", 0)
    refused("92 01 a2 61", "cut short", 2, "[2]")
    refused("81 a56974656d73 93 01 02 81 a46e616d65 c1", "begins no value", 16, "items[3].name")
    refused("82 a161 01 a161 02", "there before", 4, "a")
    refused("82 01 01 cb3ff0000000000000 02", "there before", 3, "[1]")
    refused("81 c0 01", "nil as a key", 1)
    refused("81 cb7ff8000000000000 01", "NaN as a key", 1)
    refused("81 90 01", "an array or a map as a key", 1)
    refused("81 d40100 01", "an ext as a key", 1)
    refused("cf 8000000000000000", "above 2^63 - 1", 0)
    refused("dd 00ffffff", "cut short", 0)
  end)

  it("holds its limits", function()
    local _, err = msgpack.decode "\xdd\xff\xff\xff\xff"
    assert.equal("ELIMIT", err.code)
    _, err = msgpack.decode("\x91\x91\x91\x01", { max_depth = 2 })
    assert.same({ "ELIMIT", "[1][1]" }, { err.code, err.data.path })
    assert.same({ { { 1 } } }, msgpack.decode("\x91\x91\x91\x01", { max_depth = 3 }))
    _, err = msgpack.decode(("\x91"):rep(129) .. "\x01")
    assert.equal("ELIMIT", err.code)
    _, err = msgpack.decode("\xa3abc", { max_bytes = 3 })
    assert.equal("ELIMIT", err.code)
    assert.equal("abc", msgpack.decode("\xa3abc", { max_bytes = 4 }))
    _, err = msgpack.encode("abc", { max_bytes = 3 })
    assert.equal("ELIMIT", err.code)
    assert.equal("\xa3abc", msgpack.encode("abc", { max_bytes = 4 }))
    _, err = msgpack.encode({ { 1 } }, { max_depth = 1 })
    assert.same({ "ELIMIT", "[1]" }, { err.code, err.data.path })
    local ring = {}
    ring.me = ring
    _, err = msgpack.encode(ring)
    assert.equal("ELIMIT", err.code)
    assert.error(function() msgpack.decode("\x01", { max_dept = 3 }) end)
  end)

  it("writes an ext where it was read, as deep as anything may be", function()
    local text = "\x91\x91\x91\xd4\5a"
    local value = assert(msgpack.decode(text, { max_depth = 3 }))
    assert.equal(text, msgpack.encode(value, { max_depth = 3 }))
  end)

  it("raises for what cannot be written, with the path", function()
    local function raised(v, words, path)
      local ok, err = pcall(msgpack.encode, v)
      assert.is_false(ok)
      assert.same({ "EINVAL", path }, { err.code, err.data.path })
      assert.truthy(tostring(err):find(words, 1, true), tostring(err))
    end
    raised(print, "a function cannot be written", "")
    raised({ a = { 1, { b = print } } }, "a function cannot be written", "a[2].b")
    raised({ a = { 1, 2, x = 1 } }, "other keys", "a")
    raised({ 1, 2, nil, 4 }, "holes", "")
    raised({ [{}] = 1 }, "as a key", "")
    raised({ coroutine.create(print) }, "a coroutine cannot be written", "[1]")
    raised(mw.json.array { x = 1 }, "other keys", "")
    raised({ a = setmetatable({}, { __pairs = pairs }) }, "__pairs", "a")
  end)

  it("reads values one behind the other", function()
    local text = msgpack.encode "one" .. msgpack.encode { 2 } .. msgpack.encode(3)
    local got, at = {}, 1
    while at <= #text do
      local v
      v, at = msgpack.unpack(text, at)
      got[#got + 1] = v
    end
    assert.same({ "one", { 2 }, 3 }, got)
    for cut = 1, #text - 1 do
      local v, next = msgpack.unpack(text:sub(1, cut))
      if cut < 4 then
        assert.is_nil(v)
        assert.equal("EAGAIN", next.code)
        assert.is_true(next.data.need >= 1 and next.data.need <= 4 - cut)
      else
        assert.same({ "one", 5 }, { v, next })
      end
    end
    local none, err = msgpack.unpack("\x01\x02\x91\xc1", 3)
    assert.same({ nil, "EPARSE", 3 }, { none, err.code, err.data.offset })
    assert.error(function() msgpack.unpack("a", 3) end)
  end)

  it("lets a finalizer encode while a message is being written", function()
    local ran
    for _ = 1, 200 do
      setmetatable({}, { __gc = function() ran = msgpack.encode { "from a finalizer", ("y"):rep(100) } end })
      local text = msgpack.encode { ("x"):rep(5000), msgpack.ext(1, "x"), { a = msgpack.ext(2, "y") } }
      assert.equal(("x"):rep(5000), msgpack.decode(text)[1])
    end
    collectgarbage()
    assert.truthy(ran)
  end)
end)

describe("a map with many keys that are numbers", function()
  local function map(form, key)
    local parts = { "\xdf\0\1\0\0" }
    for i = 1, 65536 do parts[#parts + 1] = form:pack(key(i)) .. "\1" end
    return table.concat(parts)
  end
  local function integers(step)
    return map(">BI8", function(i) return 0xcf, i * step end)
  end

  it("is read, whatever they are", function()
    for _, step in ipairs { 1, 2, 1000, 3600, 65536, 1 << 40 } do
      assert.equal(1, assert(msgpack.decode(integers(step)))[7 * step])
    end
    assert.equal(1, assert(msgpack.decode(map(">Bd", function(i) return 0xcb, i + 0.5 end)))[7.5])
  end)

  it("is read when few fall to one place of a table", function()
    local ids = {}
    for i = 1, 250 do ids[255 * i] = i end
    assert.same(ids, msgpack.decode(assert(msgpack.encode(ids))))
  end)

  it("is refused when they were made to fall to one place of a table", function()
    for _, step in ipairs { 65535, 65535 * 3, 131071 } do
      local v, err = msgpack.decode(integers(step))
      assert.same({ nil, "ELIMIT" }, { v, err.code })
    end
    local v, err = msgpack.decode(map(">Bd", function(i) return 0xcb, 1.5 + i * 65535 * 2.0 ^ -31 end))
    assert.is_true(v == nil and err.code == "ELIMIT" or v ~= nil)
  end)

  it("is refused when many tables bring some each", function()
    local ids, all = {}, {}
    for i = 1, 500 do ids[511 * i] = i end
    for i = 1, 1000 do all[i] = ids end
    local v, err = msgpack.decode(assert(msgpack.encode(all)))
    assert.same({ nil, "ELIMIT" }, { v, err and err.code })
  end)

  it("is refused so too where a schema takes any value, keeps or drops unknown fields", function()
    local ids, all, named = {}, {}, {}
    for i = 1, 500 do ids[511 * i] = i end
    for i = 1, 1000 do all[i], named["f" .. i] = ids, ids end
    local schema = mw.schema
    for shape, value in pairs {
      [schema.array(schema.any())] = all,
      [schema.object({}, { extra = "keep" })] = named,
      [schema.object({}, { extra = "drop" })] = named,
    } do
      local v, err = shape:parse(assert(msgpack.encode(value)), { codec = "msgpack" })
      assert.same({ nil, "ELIMIT" }, { v, err and err.code })
      value = { value[1] or value.f1 }
      assert(schema.array(schema.any()):parse(assert(msgpack.encode(value)), { codec = "msgpack" }))
    end
  end)
end)

describe("msgpack_check", function()
  local function check(input, ...)
    return assert(mw.process.run { mw.env.MOONWIRE, "run", "--no-prompt", "scripts/tools/msgpack_check.lua", stdin = input, ... })
  end

  it("accepts a value, and writes it again", function()
    assert.equal(0, check("\x93\x01\x02\x03").code)
    local r = check("\xdd\x00\x00\x00\x01\xcd\x00\x05", "--echo")
    assert.same({ 0, "\x91\x05" }, { r.code, r.stdout })
  end)

  it("refuses the rest, with the reason and the byte", function()
    local r = check "\x93\x01\xc1\x03"
    assert.equal(1, r.code)
    assert.truthy(r.stderr:find("begins no value", 1, true) and r.stderr:find("byte 2", 1, true), r.stderr)
    assert.equal(1, check("").code)
    assert.equal(1, check("\x91\x91\x01", "--max-depth=1").code)
    assert.equal(2, check("\x01", "--max-deep=1").code)
    assert.equal(2, check("\x01", "--max-depth=0").code)
  end)
end)
