--- Codecs: channels that carry values, as JSON or MessagePack. Knows: mw.
local mw = require "moonwire"
local task = mw.task

local pair = require "spec.support.stream_pair"(after_each)

local function channels(protocol, options)
  local a, b = pair()
  return a:framed(protocol, options), b:framed(protocol, options)
end

local function raises(text, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal("EINVAL", err.code)
  assert.truthy(tostring(err):find(text, 1, true), tostring(err))
  return err
end

local function refused(code, value, err)
  assert.is_nil(value)
  assert.equal(code, err.code, tostring(err))
  return err
end

local VALUES = {
  0, -1, math.maxinteger, math.mininteger, 0.1, -2.5e300, "", "text", "two\nlines\r\n\0", "\u{1F600}", true, false,
  { 1, 2, { 3 } }, { name = "x", tags = { "a", "b" }, deep = { { { n = 1 } } } },
}

-- Where each codec can go.
local WAYS = { { "lines", "json" }, { "u32le", "json" }, { "u32le", "msgpack" }, { "varint", "msgpack" }, { "netstring", "json" },
  { "content-length", "json" } }

describe("a channel with a codec", function()
  it("carries values, in every protocol and both ways", function()
    for _, way in ipairs(WAYS) do
      local a, b = channels(way[1], { codec = way[2] })
      for _, v in ipairs(VALUES) do
        assert.equal(a, a:send(v))
        local got = b:recv { timeout = 60 }
        assert.same(v, got)
        assert.equal(math.type(v), math.type(got))
        assert(b:send(got))
        assert.same(v, a:recv { timeout = 60 })
      end
      a:finish()
      assert.same({ n = 1 }, table.pack(b:recv()))
    end
  end)

  it("carries the header's other fields behind the value", function()
    for _, codec in ipairs { "json", "msgpack" } do
      local a, b = channels("typed", { codec = codec })
      a:send({ 1 }, 7)
      assert.same({ { 1 }, 7 }, { b:recv() })
      a:send({ 2 }, 8, { timeout = 60 })
      assert.same({ { 2 }, 8 }, { b:recv { timeout = 60 } })
      raises("header field", a.send, a, { 1 })
    end
  end)

  it("gives false and null as messages, and nil only at the end", function()
    for _, codec in ipairs { "json", "msgpack" } do
      local a, b = channels("u32le", { codec = codec })
      a:send(false)
      a:send(mw.null)
      a:close()
      local seen = {}
      for v in b:messages() do seen[#seen + 1] = v end
      assert.equal(2, #seen)
      assert.equal(false, seen[1])
      assert.equal(mw.null, seen[2])
    end
  end)

  it("speaks with whoever speaks the format", function()
    local a, b = pair()
    local ch = a:framed("lines", { codec = "json" })
    assert(ch:send { 1, "two", false })
    assert.equal('[1,"two",false]', b:read "l")
    assert(b:write '  { "a" : [ 1.0 , null ] }\n')
    local got = ch:recv()
    assert.equal(1.0, got.a[1])
    assert.equal(mw.null, got.a[2])
    local c, d = pair()
    assert(c:framed("u32be", { codec = "msgpack" }):send { a = 1 })
    assert.equal("\0\0\0\4\x81\xa1a\1", d:read(8))
  end)

  it("carries values in batches, compressed and not", function()
    for _, codec in ipairs { "json", "msgpack" } do
      for _, compress in ipairs { false, "zstd", "lz4" } do
        local a, b = channels("u32le", { codec = codec, batch = true, compress = compress })
        local sender = task.spawn(function()
          for i = 1, 3000 do assert(a:send { id = i, name = "somebody" }) end
          assert(a:finish())
        end)
        local n = 0
        for v in b:messages { timeout = 60 } do
          n = n + 1
          assert.equal(n, v.id)
        end
        sender:join()
        assert.equal(3000, n)
        assert.equal(compress ~= false, a:stats().ratio > 2)
      end
    end
  end)

  it("shows the middleware what the script sends, and what it will receive", function()
    local a, b = channels("lines", { codec = "json" })
    a:use(function(pass, dir, v)
      v.seen = dir
      return pass(v)
    end)
    b:use(function(pass, dir, v)
      v.also = dir
      return pass(v)
    end)
    a:send {}
    assert.same({ seen = "send", also = "recv" }, b:recv())
  end)
end)

describe("a message that cannot be decoded", function()
  it("is an error that says where, and the next one comes as if nothing was", function()
    local a, b = pair()
    local ch = b:framed("lines", { codec = "json" })
    a:write '{"a":1}\n{"a":[1,}\n\n"good"\n'
    assert.same({ a = 1 }, ch:recv())
    local err = refused("EPARSE", ch:recv())
    assert.equal(8, err.data.offset)
    assert.truthy(tostring(err):find("column 9", 1, true), tostring(err))
    assert.truthy(tostring(err):find("moonwire-spec-pair", 1, true), tostring(err))
    refused("EPARSE", ch:recv())
    assert.equal("good", ch:recv())
    local raw = a:framed "u32le"
    ch = b:framed("u32le", { codec = "msgpack" })
    raw:send "\xc1"
    raw:send "\1\1"
    raw:send "\7"
    refused("EPARSE", ch:recv())
    refused("EPARSE", ch:recv())
    assert.equal(7, ch:recv())
  end)

  it("in a batch is one message lost of it", function()
    local a, b = pair()
    local raw, ch = a:framed("u32le", { batch = true }), b:framed("u32le", { batch = true, codec = "json" })
    for _, text in ipairs { "1", "{", "2", "[1", "3" } do raw:send(text) end
    raw:flush()
    assert.equal(1, ch:recv())
    refused("EPARSE", ch:recv())
    assert.equal(2, ch:recv())
    refused("EPARSE", ch:recv())
    assert.equal(3, ch:recv())
  end)

  it("is raised by messages(), which can be begun anew", function()
    local a, b = pair()
    local ch = b:framed("lines", { codec = "json" })
    a:write "1\nnonsense\n2\n"
    a:finish()
    local seen = {}
    for _ = 1, 2 do
      local ok, err = pcall(function()
        for v in ch:messages() do seen[#seen + 1] = v end
      end)
      if not ok then
        assert.equal("EPARSE", err.code)
        seen[#seen + 1] = "raised"
      end
    end
    assert.same({ 1, "raised", 2 }, seen)
  end)
end)

describe("a value that cannot be sent", function()
  it("raises and names the place, and nothing is sent", function()
    for _, codec in ipairs { "json", "msgpack" } do
      local a, b = channels("u32le", { codec = codec })
      raises("items[2].call", a.send, a, { items = { 1, { call = print } } })
      raises("mw.null", a.send, a, nil)
      raises("mw.null", a.send, a)
      local loop = {}
      loop[1] = loop
      local ok, value, err = pcall(a.send, a, loop)
      if ok then refused("ELIMIT", value, err) end
      a:send "next"
      assert.equal("next", b:recv())
      assert.equal(1, a:stats().messages)
    end
    local a = channels("lines", { codec = "json" })
    raises("", a.send, a, 0 / 0)
  end)

  it("is refused when it is too long, and the channel stays", function()
    local a, b = channels("u32le", { codec = "json", max = 1000 })
    local value, err = a:send(("x"):rep(1000))
    assert.is_nil(value)
    assert.truthy(err.code == "ELIMIT" or err.code == "EFRAME", tostring(err))
    assert(a:send(("x"):rep(998)))
    assert.equal(998, #b:recv())
  end)
end)

describe("the options codec and schema", function()
  it("refuse what makes no sense, and name it", function()
    local a = pair()
    raises('"lines" cannot carry codec "msgpack"', a.framed, a, "lines", { codec = "msgpack" })
    raises("json", a.framed, a, "u32le", { codec = "xml" })
    raises('option "codec" must be', a.framed, a, "u32le", { codec = {} })
    raises("messages() only", function() return a:framed("u32le", { codec = "json" }):views() end)
  end)
end)

describe("a channel with a schema", function()
  local s = mw.schema
  local Msg = s.object({ type = s.string { max = 8 }, n = s.optional(s.integer { min = 0 }), items = s.optional(s.array(s.string())) },
    { extra = "drop" })

  it("carries what fits, as the schema keeps it", function()
    for _, codec in ipairs { "json", "msgpack" } do
      local a, b = channels("u32le", { codec = codec, schema = Msg, batch = true, compress = "lz4" })
      assert(a:send { type = "one", n = 1, secret = "stays here" })
      assert(a:send { type = "two", items = { "x", "y" } })
      a:flush()
      assert.same({ type = "one", n = 1 }, b:recv())
      assert.same({ type = "two", items = { "x", "y" } }, b:recv())
    end
  end)

  it("sends nothing that does not fit, and says where", function()
    for _, codec in ipairs { "json", "msgpack" } do
      local a, b = channels("u32le", { codec = codec, schema = Msg })
      local err = refused("ESCHEMA", a:send { type = "one", items = { "x", 2 } })
      assert.equal("items[2]", err.data.path)
      assert.truthy(tostring(err):find("items[2]", 1, true), tostring(err))
      refused("ESCHEMA", a:send { n = 1 })
      refused("ESCHEMA", a:send "text")
      assert(a:send { type = "good" })
      assert.same({ type = "good" }, b:recv())
      assert.equal(1, a:stats().messages)
    end
  end)

  it("gives nothing that does not fit, whatever the peer sends, and goes on", function()
    local a, b = pair()
    local ch = b:framed("lines", { codec = "json", schema = Msg })
    a:write '{"type":"one","more":[1]}\n{"type":"far too long"}\n{"type":\n{"type":"two"}\n'
    assert.same({ type = "one" }, ch:recv())
    local err = refused("ESCHEMA", ch:recv())
    assert.equal("type", err.data.path)
    assert.equal("a string of at most 8 bytes", err.data.expected)
    assert.truthy(err.data.offset > 0)
    refused("EPARSE", ch:recv())
    assert.same({ type = "two" }, ch:recv())
    a:write '{"type":"far too long"}\n{"type":"last"}\n'
    local ok, raised = pcall(function() for _ in ch:messages() do end end)
    assert.same({ false, "ESCHEMA" }, { ok, raised.code })
    assert.same({ type = "last" }, ch:recv())
  end)

  it("keeps its schema as long as it lives", function()
    local a, b = channels("u32le", { codec = "json", schema = s.array(s.integer()) })
    collectgarbage()
    collectgarbage()
    a:send { 1, 2 }
    assert.same({ 1, 2 }, b:recv())
    refused("ESCHEMA", a:send { "1" })
  end)

  it("needs a codec, and a schema", function()
    local a = pair()
    raises("schema needs codec", a.framed, a, "u32le", { schema = Msg })
    raises('option "schema" must be', a.framed, a, "u32le", { codec = "json", schema = {} })
  end)
end)

describe("a finalizer", function()
  it("may send and receive on the channel whose message is being decoded or encoded", function()
    local a, b = channels("u32le", { codec = "json", batch = { messages = 3 } })
    local n, nested = 300, 0
    local function litter()
      setmetatable({}, { __gc = function()
        nested = nested + 1
        pcall(a.send, a, { nested = true })
      end })
    end
    local sender = task.spawn(function()
      for i = 1, n do
        litter()
        assert(a:send { id = i, list = { i, i, i } })
        collectgarbage "step"
      end
      assert(a:flush())
      assert(a:finish())
    end)
    local last = 0
    for v in b:messages { timeout = 60 } do
      litter()
      if v.id then
        assert.equal(last + 1, v.id)
        last = v.id
      else
        assert.same({ nested = true }, v)
      end
    end
    sender:join()
    assert.equal(n, last)
  end)
end)
