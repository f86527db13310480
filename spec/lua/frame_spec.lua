local mw = require "moonwire"

local function code(ok, err)
  assert.is_false(ok)
  return err.code, tostring(err)
end

describe("a frame format", function()
  local article = mw.frame.new { header = "<B I4", length = 2, max = "16MiB" }

  it("encodes a kind, a length and the data as the article does", function()
    assert.equal("\7\5\0\0\0hello", article:encode("hello", 7))
  end)

  it("decodes what it encoded, and says how many bytes that took", function()
    local data, kind, used = article:decode(article:encode("x\0y", 255) .. "more")
    assert.equal("x\0y", data)
    assert.equal(255, kind)
    assert.equal(8, used)
  end)

  it("decodes frame after frame from one string", function()
    local bytes = article:encode("one", 1) .. article:encode("", 2) .. article:encode("three", 3)
    local at, seen = 1, {}
    while at <= #bytes do
      local data, kind, used = article:decode(bytes, at)
      seen[#seen + 1] = kind .. data
      at = at + used
    end
    assert.same({ "1one", "2", "3three" }, seen)
  end)

  it("says how many bytes an incomplete frame still needs, at every cut", function()
    local bytes = article:encode("payload", 9)
    for cut = 0, #bytes - 1 do
      local data, err = article:decode(bytes:sub(1, cut))
      assert.is_nil(data)
      assert.equal("EAGAIN", err.code)
      assert.equal(cut < 5 and 5 - cut or #bytes - cut, err.data.need)
    end
  end)

  it("refuses a length of 4294967295 bytes without taking memory", function()
    local before = collectgarbage "count"
    local data, err = article:decode "\1\255\255\255\255"
    assert.is_nil(data)
    assert.equal("EFRAME", err.code)
    assert.equal("too_large", err.data.why)
    assert.equal(4294967295, err.data.announced)
    assert.equal(16 << 20, err.data.max)
    assert.is_true(collectgarbage "count" - before < 1024)
  end)

  it("refuses to encode what is above max", function()
    local small = mw.frame.new { protocol = "u32le", max = 3 }
    assert.equal("\3\0\0\0abc", small:encode "abc")
    local bytes, err = small:encode "abcd"
    assert.is_nil(bytes)
    assert.equal("EFRAME", err.code)
    assert.equal("too_large", err.data.why)
  end)

  it("knows every built-in protocol by name", function()
    local want = {
      lines = "hello\n", u32le = "\5\0\0\0hello", u32be = "\0\0\0\5hello", varint = "\5hello", netstring = "5:hello,",
      ["content-length"] = "Content-Length: 5\r\n\r\nhello",
    }
    for name, bytes in pairs(want) do
      local f = mw.frame.new { protocol = name }
      assert.equal(bytes, f:encode "hello")
      local data, used = f:decode(bytes .. "rest")
      assert.equal("hello", data)
      assert.equal(#bytes, used)
    end
  end)

  it("packs headers as string.pack does", function()
    for _, letters in ipairs { ">b i3 I2 H", "<!4 B j I2 d", "=h T I4 f", "<x B x h I2 f", ">l L I1 J" } do
      local f = mw.frame.new { header = letters, length = 3 }
      local packed = string.pack(letters, 1, 2, 4, 3)
      assert.equal(packed .. "data", f:encode("data", 1, 2, 3), letters)
      local data, a, b, c, used = f:decode(packed .. "data")
      assert.same({ "data", 1, 2, 3, #packed + 4 }, { data, a, b, c, used }, letters)
    end
  end)

  it("raises when it is asked for nonsense, naming it", function()
    local tries = {
      { "header or protocol", {} },
      { "header or protocol", { header = "I4", protocol = "lines" } },
      { "no such protocol", { protocol = "u32" } },
      { "column 2", { header = "<z", length = 1 } },
      { "length must say", { header = "<BI4" } },
      { "max", { header = "<I4", max = 0 } },
      { "max", { header = "<I4", max = "2GiB" } },
      { "lenght", { header = "<I4", lenght = 1 } },
    }
    for _, it in ipairs(tries) do
      local what, text = code(pcall(mw.frame.new, it[2]))
      assert.equal("EINVAL", what)
      assert.truthy(text:find(it[1], 1, true), text)
    end
  end)

  it("raises when a header field is missing, surplus, of the wrong type or out of range", function()
    for _, args in ipairs { { "x" }, { "x", 1, 2 }, { "x", "1" }, { "x", 256 }, { "x", -1 }, { "x", 1.5 } } do
      assert.equal("EINVAL", (code(pcall(article.encode, article, table.unpack(args)))))
    end
    assert.equal("EINVAL", (code(pcall(article.encode, article, {}, 1))))
    assert.equal("EINVAL", (code(pcall(article.encode, "not a format", "x", 1))))
  end)
end)
