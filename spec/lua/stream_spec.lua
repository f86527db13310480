-- Streams over real sockets: what scripts read and write, with peers that are slow, rude, or gone.
local mw = require "moonwire"
local net, task = mw.net, mw.task

local serial = 0

--- Two connected streams: ours and the peer's.
local function pair(address, options)
  serial = serial + 1
  local srv <close> = assert(net.listen(address or ("unix:@mw-stream-spec-%d-%d"):format(mw.sys.pid(), serial), options))
  local there = assert(net.connect(srv:address()))
  return assert(srv:accept { timeout = 60 }), there
end

local function code_of(value, err)
  assert.is_nil(value)
  return err and err.code
end

for _, address in ipairs { "unix", "tcp" } do
  local where = address == "tcp" and "tcp://127.0.0.1:0" or nil

  describe("a stream over " .. address, function()
    it("gives lines, counts, delimited parts and the rest, in order", function()
      local here, there = pair(where)
      local a <close>, b = here, there
      assert(assert(b:write("one\ntwo\nsix by", "te", 12, "k1;k2;rest of it")):finish())
      assert.equal("one", a:read("l"))
      assert.equal("two\n", a:read("L"))
      assert.equal("six byte", a:read_exact(8))
      assert.equal("12", a:read(2))
      assert.equal("k1", a:read_until(";"))
      assert.equal("k2", a:read_until(";"))
      assert.equal("rest", a:peek(4))
      assert.equal("rest of it", a:read("a"))
      assert.is_nil(a:read("l"))
      b:close()
    end)

    it("carries every byte value, in pieces of any size", function()
      local a, b = pair(where)
      local all = {}
      for i = 0, 255 do all[i + 1] = string.char(i) end
      local block = table.concat(all):rep(17)
      local sender = task.spawn(function()
        for i = 1, 200 do assert(b:write(block:sub(1, i * 21 % #block), block:sub(i * 21 % #block + 1))) end
        b:close()
      end)
      local got, n = {}, 0
      while true do
        local part = a:read_some(1 + n % 5000)
        if not part then break end
        got[#got + 1] = part
        n = n + #part
      end
      sender:join()
      assert.equal(200 * #block, n)
      assert.is_true(table.concat(got) == block:rep(200))
      a:close()
    end)

    it("reads a hundred thousand lines", function()
      local a, b = pair(where)
      local sender = task.spawn(function()
        for i = 1, 100000 do assert(b:write("line ", i, "\n")) end
        b:close()
      end)
      local n = 0
      for line in a:lines() do
        n = n + 1
        if line ~= "line " .. n then error("line " .. n .. " is " .. line) end
      end
      assert.equal(100000, n)
      sender:join()
      a:close()
    end)

    it("times out without losing what had come", function()
      local a, b = pair(where)
      assert(b:write("first half, "))
      assert.equal("ETIMEDOUT", code_of(a:read("l", { timeout = "5ms" })))
      assert.equal("ETIMEDOUT", code_of(a:read_exact(100, { timeout = 0.005 })))
      assert(b:write("second half\n"))
      assert.equal("first half, second half", a:read("l", { timeout = 60 }))
      a:close()
      b:close()
    end)

    it("makes the writer wait for a peer that stops reading", function()
      local a, b = pair(where)
      local sent = 0
      local sender = task.spawn(function()
        for _ = 1, 16 do
          assert(b:write(("x"):rep(1 << 20)))
          sent = sent + 1
        end
        b:close()
      end)
      assert.equal("x", a:read(1)) -- it has begun
      task.pass()
      assert.is_true(sent < 16)
      assert.is_true(b:stats().unsent <= 2 << 20)
      local n = 1
      while true do
        local part = a:read_some()
        if not part then break end
        n = n + #part
      end
      assert.equal(16 << 20, n)
      sender:join()
      a:close()
    end)

    it("delivers what was written before close, however slow the peer", function()
      local a, b = pair(where)
      assert(b:write(("y"):rep(1 << 20))) -- as much as may wait
      b:close()
      assert.equal("ECLOSED", code_of(b:write("more")))
      assert.equal(1 << 20, #a:read("a"))
      a:close()
    end)

    it("tells a writer that the peer has gone, and a reader what the peer said before", function()
      local a, b = pair(where)
      assert(assert(b:write("last words\n")):flush())
      assert.equal("last words\n", a:peek(11))
      b:close()
      local err
      repeat
        local _
        _, err = a:write(("z"):rep(100000))
      until err
      assert.is_true(err.code == "EPIPE" or err.code == "ECONNRESET")
      assert.is_false(a:alive())
      assert.equal("last words", a:read("l"))
      a:close()
    end)

    it("wakes whoever waits when another task closes it", function()
      local a, b = pair(where)
      local reader = task.spawn(function() return code_of(a:read("l")) end)
      local writer = task.spawn(function() return code_of(a:write(("x"):rep(16 << 20))) end)
      task.pass()
      task.pass()
      a:close()
      assert.equal("ECLOSED", reader:join())
      assert.equal("ECLOSED", writer:join())
      b:close()
    end)
  end)
end

describe("a stream", function()
  it("that was collected is no stream for the iterator that outlives it", function()
    local said
    do
      local late = setmetatable({}, { __gc = function(self) said = select(2, pcall(self.next)).code end })
      local a, b = pair()
      late.next = b:lines()
      a:close()
      b:close()
    end
    collectgarbage()
    collectgarbage()
    assert.equal("EINVAL", said)
  end)

  it("refuses unknown options, wrong formats and wrong types at the caller's line", function()
    local a, b = pair()
    for _, bad in ipairs {
      function() a:read("l", { timeuot = 1 }) end,
      function() a:read("lines") end,
      function() a:read(-1) end,
      function() a:read_until("") end,
      function() a:write({}) end,
      function() a.read({}) end,
    } do
      local ok, err = pcall(bad)
      assert.is_false(ok)
      assert.equal("EINVAL", err.code)
      assert.truthy(tostring(err.where):find("stream_spec.lua", 1, true))
    end
    a:close()
    b:close()
  end)

  it("keeps a line's limit and leaves the line to be read", function()
    local a, b = pair()
    assert(b:write(("x"):rep(2000), "\n"))
    assert.equal("EFRAME", code_of(a:read("l", { max = "1KiB" })))
    assert.has_error(function() for _ in a:lines { max = 1024 } do end end)
    assert.equal(2000, #a:read("l"))
    a:close()
    b:close()
  end)

  it("reads in one task at a time, in the order they came", function()
    local a, b = pair()
    local order = {}
    local readers = {}
    for i = 1, 4 do
      readers[i] = task.spawn(function()
        local got = a:read_exact(3)
        order[#order + 1] = i .. got
      end)
      task.pass()
    end
    for _, part in ipairs { "a", "aab", "bbc", "ccddd" } do assert(assert(b:write(part)):flush()) end
    for i = 1, 4 do readers[i]:join() end
    assert.equal("1aaa 2bbb 3ccc 4ddd", table.concat(order, " "))
    a:close()
    b:close()
  end)

  it("leaves its bytes to the next reader when a read is cancelled", function()
    local a, b = pair()
    local reader = task.spawn(function() return a:read("l") end)
    assert(assert(b:write("kept ")):flush())
    assert.equal("ETIMEDOUT", code_of(a:read("l", { timeout = 0.005 })))
    reader:cancel("changed my mind")
    pcall(reader.join, reader)
    assert(b:write("whole\n"))
    assert.equal("kept whole", a:read("l", { timeout = 60 }))
    a:close()
    b:close()
  end)

  it("counts what moved", function()
    local a, b = pair()
    assert(b:write("12345"))
    assert.equal("12", a:read_exact(2))
    assert.equal(5, a:stats().bytes_in)
    assert.equal(3, a:stats().unread)
    assert.equal(5, b:stats().bytes_out)
    assert.equal(0, b:stats().unsent)
    a:close()
    b:close()
  end)

  it("passes another stream along, and the bytes around it stay in order", function()
    local a, b = pair()
    local c, d = pair("tcp://127.0.0.1:0")
    assert(a:write("before\n"))
    assert(a:send_handle(c))
    assert(a:write("after\n"))
    c:close()
    assert.equal("before", b:read("l"))
    local moved = assert(b:recv_handle { timeout = 60 })
    assert.equal("after", b:read("l"))
    assert(moved:write("over tcp\n"))
    assert.equal("over tcp", d:read("l"))
    assert.equal("127.0.0.1", moved:peer().host)
    moved:close()
    assert.is_nil(d:read("l"))
    a:close()
    assert.is_nil(b:recv_handle())
    b:close()
    d:close()
  end)
end)
