--- Compression: channels that squeeze what they send, and bombs. Knows: mw.
local mw = require "moonwire"
local task = mw.task

local pair = require "spec.support.stream_pair"(after_each)

local function channels(options, protocol, other)
  local a, b = pair()
  return a:framed(protocol or "u32le", options), b:framed(protocol or "u32le", other or options)
end

local function raises(text, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal("EINVAL", err.code)
  assert.truthy(tostring(err):find(text, 1, true), tostring(err))
end

local function refused(code, why, value, err)
  assert.is_nil(value)
  assert.equal(code, err.code, tostring(err))
  if why then assert.equal(why, err.data.why) end
  return err
end

local BOTH = { "zstd", "lz4" }
local TEXT = ("to be squeezed, "):rep(300)

describe("a channel that compresses", function()
  it("carries every message both ways, and takes fewer bytes for it", function()
    for _, name in ipairs(BOTH) do
      local a, b = channels { compress = name }
      for _, message in ipairs { "", "x", TEXT, mw.random.bytes(4000), ("\0"):rep(2000000), mw.random.bytes(300000) .. TEXT } do
        local sender = task.spawn(function() assert(a:send(message)) end)
        assert.equal(message, b:recv())
        sender:join()
        sender = task.spawn(function() assert(b:send(message)) end)
        assert.equal(message, a:recv())
        sender:join()
      end
      local before = a:stats().bytes_wire
      a:send(TEXT)
      assert.truthy(a:stats().bytes_wire - before < #TEXT / 10)
      assert.truthy(a:stats().ratio > 1)
    end
  end)

  it("keeps the header's other fields, in every protocol that can carry it", function()
    for _, name in ipairs { "u32be", "varint", "netstring", "content-length" } do
      local a, b = channels({ compress = { "zstd", min = 0, level = 9 } }, name)
      a:send(TEXT)
      assert.equal(TEXT, b:recv())
    end
    local a, b = channels({ compress = "lz4" }, "typed")
    a:send(TEXT, 7)
    assert.same({ TEXT, 7 }, { b:recv() })
    local odd = mw.frame.new { header = ">I2 I4 d", length = 2 }
    a, b = channels({ compress = "zstd" }, odd)
    a:send(TEXT, 65535, 0.5)
    assert.same({ TEXT, 65535, 0.5 }, { b:recv() })
  end)

  it("leaves alone what is short or cannot be squeezed, at the price of one byte", function()
    local a, b = pair()
    local sender, receiver = a:framed("u32le", { compress = { "zstd", min = 1000 } }), b:framed "u32le"
    local short, noise = ("s"):rep(999), mw.random.bytes(2000)
    sender:send(short)
    assert.equal("\0" .. short, receiver:recv())
    sender:send(short .. "s")
    assert.truthy(#receiver:recv() < 100)
    sender:send(noise)
    assert.equal("\0" .. noise, receiver:recv())
  end)

  it("squeezes batches as one piece", function()
    for _, name in ipairs(BOTH) do
      local a, b = channels { batch = { messages = 500, delay = math.huge }, compress = { name, min = 0 } }
      local sender = task.spawn(function()
        for i = 1, 5000 do assert(a:send(('{"id":%d,"name":"somebody","tags":["a","b"]}'):format(i))) end
        assert(a:flush())
      end)
      for i = 1, 5000 do assert.equal(('{"id":%d,"name":"somebody","tags":["a","b"]}'):format(i), b:recv()) end
      sender:join()
      local s = a:stats()
      assert.same({ 10, 5000 }, { s.batches, s.messages })
      assert.truthy(s.ratio > 5, s.ratio)
    end
  end)

  it("carries what is nearly all the same within the limit that bombs have", function()
    for _, name in ipairs(BOTH) do
      local a, b = channels { compress = name }
      local same = ("\0"):rep(1000000)
      a:send(same)
      assert.equal(same, b:recv())
      assert.equal(4 + 5000, a:stats().bytes_wire)
    end
  end)

  it("refuses to send what the other end would refuse, and goes on", function()
    local a, b = channels { compress = "zstd", max = 1000 }
    refused("EFRAME", "too_large", a:send(("x"):rep(1000)))
    local noise = mw.random.bytes(999)
    assert(a:send(noise))
    assert.equal(noise, b:recv())
  end)

  it("refuses options that make no sense, and names them", function()
    local a = pair()
    raises('"lines" cannot carry compress', a.framed, a, "lines", { compress = "zstd" })
    raises("got boolean", a.framed, a, "u32le", { compress = true })
    raises('got "gzip"', a.framed, a, "u32le", { compress = "gzip" })
    raises("got nil", a.framed, a, "u32le", { compress = { level = 1 } })
    raises("one name expected", a.framed, a, "u32le", { compress = { "zstd", "lz4" } })
    raises('option "level" must be', a.framed, a, "u32le", { compress = { "zstd", level = 10 } })
    raises('option "level" must be', a.framed, a, "u32le", { compress = { "lz4", level = 2 } })
    raises("did you mean", a.framed, a, "u32le", { compress = { "zstd", levle = 2 } })
    raises("messages() only", function() return a:framed("u32le", { compress = "lz4" }):views() end)
    assert(a:framed("u32le", { compress = false }):views())
  end)
end)

describe("a channel over TLS", function()
  it("batches, compresses and decodes as over anything else, and its last batch comes before the end", function()
    local own = dofile("spec/support/tls_ca.lua").new()
    local _ <close> = setmetatable({}, { __close = function() own:close() end })
    local cert = own:issue "server"
    local server <close> = assert(mw.net.listen "tcp://127.0.0.1:0")
    local options = { codec = "json", batch = { delay = math.huge }, compress = "zstd" }
    local counted = task.spawn(function()
      local conn <close> = assert(server:accept { timeout = 30 })
      assert(conn:starttls { server = true, cert = cert.cert, key = cert.key })
      local ch, n = conn:framed("u32le", options), 0
      for v in ch:messages { timeout = 30 } do
        n = n + 1
        assert.equal(n, v.id)
        assert(ch:send { back = n })
      end
      assert(ch:close())
      return n
    end)
    local conn <close> = assert(mw.net.connect(server:address(), { timeout = 30 }))
    assert(conn:starttls { ca = own.pem, server_name = "localhost" })
    local ch = conn:framed("u32le", options)
    for i = 1, 5000 do assert(ch:send { id = i, text = TEXT:sub(1, i % 300) }) end
    assert(ch:finish())
    local back = 0
    for v in ch:messages { timeout = 30 } do
      back = back + 1
      assert.equal(back, v.back)
    end
    assert.equal(5000, counted:join())
    assert.equal(5000, back)
  end)
end)

describe("compressed bytes from a hostile peer", function()
  local function hostile(data, how, max)
    local a, b = pair()
    local sender, receiver = a:framed "u32le", b:framed("u32le", { compress = how, max = max })
    sender:send "\0good"
    sender:send(data)
    assert.equal("good", receiver:recv())
    local none, err = receiver:recv { timeout = 60 }
    assert.is_nil(none)
    assert.equal("EFRAME", err.code)
    refused("ECLOSED", nil, receiver:recv())
    return err.data.why, tostring(err), err.data.announced
  end

  it("are refused as too large before anything is produced", function()
    -- 2^30 bytes announced in ten
    local why, _, announced = hostile("\1\128\128\128\128\4\3abc", "zstd")
    assert.same({ "too_large", 1 << 30 }, { why, announced })
    why = hostile("\2\208\134\3\1\0", "lz4") -- 50,000 bytes in six
    assert.equal("too_large", why)
    why = hostile("\2\8\4\64abcd" .. ("x"):rep(100), "lz4", 109) -- within the limit, and bytes behind
    assert.equal("protocol", why)
  end)

  it("are refused when they are broken, cut off, or of another making", function()
    assert.equal("protocol", (hostile("", "zstd")))
    assert.equal("protocol", (hostile("\1", "zstd")))
    assert.equal("protocol", (hostile("\1\5\5abcde", "zstd")))
    assert.equal("protocol", (hostile("\2\5\9\64abcd", "lz4")))
    local why, text = hostile("\2\5\6\80hello", "zstd")
    assert.equal("protocol", why)
    assert.truthy(text:find("zstd was expected", 1, true))
    why, text = hostile("a message of a peer that does not compress", "lz4")
    assert.equal("protocol", why)
    assert.truthy(text:find("both ends name the same options", 1, true))
  end)

  it("in a batch are refused as a batch", function()
    local a, b = pair()
    local sender, receiver = a:framed("u32le", { compress = "lz4" }), b:framed("u32le", { compress = "lz4", batch = true })
    sender:send(TEXT)
    refused("EFRAME", "protocol", receiver:recv { timeout = 60 })
  end)
end)
