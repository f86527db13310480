local mw = require "moonwire"
local task = mw.task

local pair = require "spec.support.stream_pair"(after_each)

local function channels(format, options)
  local a, b = pair()
  return a:framed(format, options), b:framed(format, options)
end

local function refused(code, why, value, err)
  assert.is_nil(value)
  assert.equal(code, err.code, tostring(err))
  if why then assert.equal(why, err.data.why) end
  return err
end

local function raises(code, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal(code, err.code, tostring(err))
  return err
end

describe("a channel", function()
  it("carries data and header fields both ways, and nil at the clean end", function()
    local a, b = channels "typed"
    assert.equal(a, a:send("payload", 7))
    assert.same({ "payload", 7 }, { b:recv() })
    assert(b:send("", 255))
    assert.same({ "", 255 }, { a:recv { timeout = 60 } })
    assert(a:finish())
    assert.same({ n = 1 }, table.pack(b:recv()))
    assert.same({ n = 1 }, table.pack(b:recv()))
  end)

  it("carries every byte in every built-in protocol", function()
    local all = {}
    for i = 0, 255 do all[#all + 1] = string.char(i) end
    all = table.concat(all)
    for _, name in ipairs { "u32le", "u32be", "varint", "netstring", "content-length" } do
      local a, b = channels(name)
      assert(a:send(all))
      assert(a:send "")
      assert(a:send(all:rep(9)))
      assert.equal(all, b:recv())
      assert.equal("", b:recv())
      assert.equal(all:rep(9), b:recv())
    end
    local a, b = channels "lines"
    assert(a:send "one\r")
    assert(a:send "")
    assert.equal("one\r", b:recv())
    assert.equal("", b:recv())
  end)

  it("gets frames whole, however they are cut", function()
    local a, b = pair()
    local ch = b:framed "typed"
    local bytes = "\1\3\0\0\0abc\2\0\0\0\0\3\1\0\0\0z"
    local got = {}
    task.scope(function(s)
      s:spawn(function()
        for i = 1, #bytes do
          assert(a:write(bytes:sub(i, i)))
          assert(a:flush())
          task.sleep(0)
        end
        a:finish()
      end)
      for data, kind in ch:messages() do got[#got + 1] = kind .. data end
    end)
    assert.same({ "1abc", "2", "3z" }, got)
  end)

  it("keeps the order of many small frames between large ones", function()
    local a, b = channels "u32le"
    local large = ("x"):rep(300000)
    task.scope(function(s)
      s:spawn(function()
        for i = 1, 2000 do
          assert(a:send(tostring(i)))
          if i % 500 == 0 then assert(a:send(large)) end
        end
        assert(a:finish())
      end)
      local n = 0
      for data in b:messages() do
        if #data == #large then
          assert.equal(0, n % 500)
        else
          n = n + 1
          assert.equal(tostring(n), data)
        end
      end
      assert.equal(2000, n)
    end)
  end)

  it("carries a frame far larger than its queues", function()
    local a, b = channels "u32le"
    local large = ("0123456789abcdef"):rep(512 * 1024)
    task.scope(function(s)
      s:spawn(function() assert(a:send(large)) end)
      assert.is_true(b:recv { timeout = 20 } == large)
    end)
  end)

  it("delivers the good frames before a bad one, then EFRAME, and is closed", function()
    local a, b = pair()
    local ch = b:framed("typed", { max = 100 })
    assert(a:write "\1\2\0\0\0hi\2\0\0\0\0\3\255\255\255\255and more")
    assert.same({ "hi", 1 }, { ch:recv() })
    assert.same({ "", 2 }, { ch:recv() })
    local err = refused("EFRAME", "too_large", ch:recv())
    assert.equal(4294967295, err.data.announced)
    assert.equal(100, err.data.max)
    refused("ECLOSED", nil, ch:recv())
    refused("ECLOSED", nil, ch:send("x", 1))
  end)

  it("raises from messages what recv returns", function()
    local a, b = pair()
    assert(a:write "2:ok,nonsense")
    local got = {}
    local err = raises("EFRAME", function()
      for data in b:framed("netstring"):messages() do got[#got + 1] = data end
    end)
    assert.equal("protocol", err.data.why)
    assert.same({ "ok" }, got)
  end)

  it("loses nothing when a recv runs out of time", function()
    local a, b = pair()
    local ch = b:framed "u32le"
    refused("ETIMEDOUT", nil, ch:recv { timeout = 0 })
    assert(a:write "\5\0\0\0he")
    refused("ETIMEDOUT", nil, ch:recv { timeout = "10ms" })
    refused("ETIMEDOUT", nil, ch:recv { timeout = 0 })
    assert(a:write "llo")
    assert.equal("hello", ch:recv { timeout = 60 })
  end)

  it("loses nothing when a waiting recv is cancelled", function()
    local a, b = pair()
    local ch = b:framed "u32le"
    assert(a:write "\5\0\0\0he")
    assert.is_nil((task.timeout(0.01, function() return ch:recv() end)))
    assert(a:write "llo")
    assert.equal("hello", ch:recv { timeout = 60 })
  end)

  it("tells an end inside a frame from a clean one", function()
    local a, b = pair()
    local ch = b:framed "typed"
    assert(a:write "\1\5\0\0\0he")
    assert(a:finish())
    local err = refused("EEOF", "truncated", ch:recv())
    assert.equal(7, err.data.had)
    assert.equal(10, err.data.wanted)
  end)

  it("closes a peer that takes too long over one frame, and no other", function()
    local a, b = pair()
    local c, d = channels("u32le", { frame_timeout = "50ms" })
    local slow = b:framed("u32le", { frame_timeout = "50ms" })
    assert(a:write "\5\0\0\0he")
    local err = refused("ETIMEDOUT", "slow", slow:recv())
    assert.equal(6, err.data.had)
    assert.equal(9, err.data.wanted)
    refused("ECLOSED", nil, slow:recv())
    assert.is_nil(a:read "a" ~= "" or nil)
    assert(c:send "still here")
    assert.equal("still here", d:recv())
  end)

  it("does not count silence between frames as slowness", function()
    local a, b = channels("u32le", { frame_timeout = "20ms" })
    task.scope(function(s)
      s:spawn(function()
        task.sleep(0.06)
        assert(a:send "late")
        task.sleep(0.06)
        assert(a:send "later")
      end)
      assert.equal("late", b:recv())
      assert.equal("later", b:recv())
    end)
  end)

  it("does not yield while whole messages are at hand", function()
    local a, b = channels "u32le"
    for i = 1, 10 do assert(a:send(tostring(i))) end
    assert(a:finish())
    assert.equal("1", b:recv())
    local others = 0
    task.scope(function(s)
      s:spawn(function() others = others + 1 end)
      local n = 1
      for _ in b:messages() do
        n = n + 1
        if n <= 10 then assert.equal(0, others) end
      end
      assert.equal(10, n)
    end)
    assert.equal(1, others)
  end)

  it("lets other tasks run beside a peer that never stops", function()
    local a, b = channels "u32le"
    local stop = false
    task.scope(function(s)
      local writer = s:spawn(function()
        local data = ("x"):rep(1000)
        while not stop do assert(a:send(data)) end
        assert(a:finish())
      end)
      s:spawn(function()
        task.sleep(0.02)
        stop = true
      end)
      for _ in b:messages() do end
      writer:join()
    end)
    assert.is_true(stop)
  end)

  it("answers what came in one read in one call", function()
    local a, b = channels "typed"
    task.spawn_with({ daemon = true }, function()
      for data, kind in b:messages() do b:send(data, kind) end
    end)
    local function ask(n)
      for i = 1, n do assert(a:send("question " .. i, i)) end
      for i = 1, n do assert.same({ "question " .. i, i }, { a:recv() }) end
      return b:stream():stats().writes
    end
    ask(16) -- the first answer of all goes alone: nobody knows yet that others follow
    local before = ask(16)
    assert.equal(before + 1, ask(16))
    assert.equal(before + 2, ask(1))
    assert.equal(before + 3, ask(1))
  end)

  it("sends what a task has said when it waits, not when others have had their turn", function()
    local a, b = channels "typed"
    local seen
    for _ = 1, 2 do -- the second time it is known that two belong together
      local writer = task.spawn(function()
        a:send("one", 1)
        a:send("two", 2)
        task.sleep(0)
      end)
      local reader = task.spawn(function() -- in the same turn, after the writer
        seen = { b:recv(), b:recv() }
      end)
      reader:join()
      writer:join()
      assert.same({ "one", "two", 2 }, seen)
    end
    assert.equal(3, a:stream():stats().writes)
  end)

  it("refuses to send what is above max and stays usable", function()
    local a, b = channels("u32le", { max = 4 })
    refused("EFRAME", "too_large", a:send "12345")
    assert(a:send "1234")
    assert.equal("1234", b:recv())
    local c, d = channels "lines"
    refused("EFRAME", "protocol", c:send "a\nb")
    assert(c:send "ab")
    assert.equal("ab", d:recv())
  end)

  it("makes a sender wait for a peer that does not read, and loses nothing", function()
    local a, b = channels "u32le"
    local data, sent = ("x"):rep(64 * 1024), 0
    local err
    repeat
      local ok
      ok, err = a:send(data, { timeout = "20ms" })
      if ok then sent = sent + 1 end
    until not ok
    assert.equal("ETIMEDOUT", err.code)
    assert.is_true(sent < 1000)
    local got = 0
    task.scope(function(s)
      s:spawn(function() assert(a:finish()) end)
      for message in b:messages() do
        assert.equal(#data, #message)
        got = got + 1
      end
    end)
    assert.equal(sent, got)
  end)

  it("wakes a waiting reader when it is closed", function()
    local _, b = channels "u32le"
    task.scope(function(s)
      local reader = s:spawn(function() return b:recv() end)
      task.sleep(0)
      b:close()
      refused("ECLOSED", nil, reader:join())
    end)
  end)

  it("gives each message to one of the tasks that wait for it", function()
    local a, b = channels "u32le"
    local seen = {}
    task.scope(function(s)
      for _ = 1, 3 do
        s:spawn(function()
          for data in b:messages() do
            assert.is_nil(seen[data])
            seen[data] = true
            task.sleep(0)
          end
        end)
      end
      for i = 1, 50 do assert(a:send(tostring(i))) end
      assert(a:finish())
    end)
    for i = 1, 50 do assert.is_true(seen[tostring(i)]) end
  end)

  it("counts what it carried", function()
    local a, b = channels "u32le"
    assert(a:send "12345678")
    assert(a:send "1234")
    b:recv()
    assert.same({ messages = 2, bytes_raw = 12, bytes_wire = 20, ratio = 0.6, received = 0, bytes_received = 0 }, a:stats())
    assert.equal(1, b:stats().received)
    assert.equal(8, b:stats().bytes_received)
  end)

  it("names options that are unknown", function()
    local a = pair()
    assert.truthy(tostring(raises("EINVAL", a.framed, a, "u32le", { frame_timout = 1 })):find("frame_timeout", 1, true))
    raises("EINVAL", a.framed, a, "u32")
    assert.truthy(tostring(raises("EINVAL", a.framed, a, 32)):find("a name such as", 1, true))
    raises("EINVAL", a.framed, a, "u32le", { max = "2GiB" })
    raises("EINVAL", a.framed, a, "lines", { max = "65MiB" })
    raises("EINVAL", a.framed, a, "u32le", { frame_timeout = 0 })
    raises("EINVAL", a:framed("typed").send, a:framed "typed", "x")
    raises("EINVAL", a:framed("typed").recv, a)
  end)

  it("goes back to plain bytes between frames", function()
    local a, b = pair()
    local ch = b:framed "u32le"
    assert(a:write "\2\0\0\0hiplain\n")
    assert.equal("hi", ch:recv())
    assert.equal("plain", ch:stream():read "l")
  end)
end)

describe("a collected channel", function()
  it("raises in the finalizer of what was made before it", function()
    local said = {}
    do
      local a = pair()
      local late = setmetatable({}, {
        __gc = function(self)
          for _, method in ipairs { "send", "recv", "messages", "stats", "flush" } do
            said[#said + 1] = select(2, pcall(self.ch[method], self.ch, method == "send" and "x" or nil)).code
          end
          said[#said + 1] = select(2, pcall(self.next)).code
        end,
      })
      late.ch = a:framed "u32le"
      late.next = late.ch:messages()
      late = nil -- luacheck: ignore
    end
    collectgarbage()
    collectgarbage()
    assert.same({ "EINVAL", "EINVAL", "EINVAL", "EINVAL", "EINVAL", "EINVAL" }, said)
  end)
end)

describe("a loop over messages", function()
  it("gives the fields of any header, and what arrives byte by byte", function()
    local rows = {
      { header = "<I4 B", length = 1, { 255 } }, { header = "B >I4", length = 2, { 0 } }, { header = ">I4 b", length = 1, { -128 } },
      { header = "<I4 I2", length = 1, { 65535 } }, { header = "<i4 B", length = 1, { 7 } }, { header = "B I2 B", length = 2, { 1, 2 } },
      { header = "!4 B x I4 i8 d", length = 2, { 9, -9, 0.5 } }, { header = "<I4", { } }, { header = "I1", { } },
    }
    for _, row in ipairs(rows) do
      local a, b = pair()
      local format = mw.frame.new { header = row.header, length = row.length }
      local bytes = format:encode("data of " .. row.header, table.unpack(row[1])) .. format:encode("", table.unpack(row[1]))
      local got = {}
      local reader = task.spawn(function()
        for data, x, y, z in b:framed(format):messages() do got[#got + 1] = { data, x, y, z } end
      end)
      for i = 1, #bytes do
        assert(a:write(bytes:sub(i, i)))
        assert(a:flush())
        task.sleep(0)
      end
      assert(a:write(bytes, bytes))
      assert(a:finish())
      reader:join()
      local want = {}
      for i = 1, 3 do
        want[2 * i - 1] = { "data of " .. row.header, table.unpack(row[1]) }
        want[2 * i] = { "", table.unpack(row[1]) }
      end
      assert.same(want, got, row.header)
    end
  end)
end)

describe("a view", function()
  it("reads a frame where it lies", function()
    local a, b = channels "typed"
    assert(a:send("\1\2hello\0world", 9))
    assert(a:finish())
    local n = 0
    for view, kind in b:views() do
      n = n + 1
      assert.equal(9, kind)
      assert.equal(13, #view)
      assert.equal("\1\2hello\0world", tostring(view))
      assert.same({ 1 }, { view:byte() })
      assert.same({ 1, 2, 104 }, { view:byte(1, 3) })
      assert.same({ 108, 100 }, { view:byte(-2, -1) })
      assert.same({}, { view:byte(14) })
      assert.equal("hello", view:sub(3, 7))
      assert.equal("world", view:sub(-5))
      assert.equal("", view:sub(9, 8))
      assert.same({ 9, 13 }, { view:find "world" })
      assert.same({ 12, 12 }, { view:find("l", 7) })
      assert.is_nil((view:find "word"))
      assert.same({ 513, 3 }, { view:unpack "<I2" })
      assert.same({ "hello", 9 }, { view:unpack("z", 3) })
      assert.same({ 104, 101, 5 }, { view:unpack("BB", 3) })
      raises("EINVAL", view.unpack, view, "<I8", 9)
      raises("EINVAL", view.byte, "no view")
    end
    assert.equal(1, n)
  end)

  it("is void after the loop's next step, after the loop, and after a break", function()
    local a, b = channels "u32le"
    for i = 1, 4 do assert(a:send("frame " .. i)) end
    local kept = {}
    for view in b:views() do
      for _, old in ipairs(kept) do raises("EINVAL", tostring, old) end
      kept[#kept + 1] = view
      assert.equal("frame " .. #kept, tostring(view))
      if #kept == 3 then break end
    end
    for _, old in ipairs(kept) do raises("EINVAL", old.byte, old, 1) end
    assert.equal("frame 4", b:recv())
  end)

  it("stands for its frame alone, whatever becomes of its memory", function()
    local a, b = channels "u32le"
    local _, other = channels "u32le"
    for i = 1, 300 do assert(a:send("frame " .. i)) end
    assert(a:finish())
    local kept, n, byte = {}, 0
    for view in b:views() do
      n = n + 1
      assert.equal("frame " .. n, tostring(view))
      byte = view.byte
      if n % 50 == 0 then collectgarbage() end
      for _, thing in ipairs { b, other, b:stream(), io.stdout, {}, 1, "text" } do raises("EINVAL", byte, thing) end
      for i = #kept, math.max(1, #kept - 9), -1 do raises("EINVAL", byte, kept[i]) end
      if n % 3 == 0 then kept[#kept + 1] = view end
    end
    assert.same({ 300, 100 }, { n, #kept })
    for _, old in ipairs(kept) do raises("EINVAL", tostring, old) end
  end)

  it("is read by the method of any channel, whichever lent last", function()
    local a, b = channels "u32le"
    local c, d = channels "typed"
    for i = 1, 3 do assert(a:send("first " .. i)) assert(c:send("second " .. i, i)) end
    local n = 0
    for one in b:views() do
      for two, kind in d:views() do
        n = n + 1
        assert.same({ n, "first " .. n, "second " .. n, 7, 8 }, { kind, tostring(one), tostring(two), #one, #two })
        assert.equal("second", one.sub(two, 1, 6))
        assert.equal("first", two.sub(one, 1, 5))
        break
      end
      if n == 3 then break end
    end
    assert.equal(3, n)
  end)

  it("is good over a wait in the loop, while more arrives", function()
    local a, b = channels "u32le"
    assert(a:send "first")
    for view in b:views() do
      if tostring(view) ~= "first" then break end
      assert(a:send(("x"):rep(200000)))
      task.sleep(0.01)
      assert.equal("first", tostring(view))
    end
    assert.equal(2, b:stats().received)
  end)

  it("can be sent on without a string in between", function()
    local a, b = channels "u32le"
    local c, d = channels "u32le"
    assert(a:send "onward")
    assert(a:finish())
    for view in b:views() do assert(c:send(view)) end
    assert.equal("onward", d:recv())
  end)

  it("is void once its channel is closed", function()
    local a, b = channels "u32le"
    assert(a:send "gone")
    raises("ECLOSED", function()
      for view in b:views() do
        b:close()
        raises("EINVAL", tostring, view)
      end
    end)
  end)
end)

describe("middleware", function()
  it("wraps both directions, the first used outermost", function()
    local a, b = channels "typed"
    local log = {}
    local function wrap(name)
      return function(pass, dir, data, ...)
        log[#log + 1] = name .. " " .. dir
        return pass(data .. name, ...)
      end
    end
    assert.equal(a, a:use(wrap "1"):use(wrap "2"))
    b:use(wrap "3"):use(wrap "4")
    assert.equal(a, a:send("x", 7))
    assert.same({ "x1234", 7 }, { b:recv() })
    assert.same({ "1 send", "2 send", "3 recv", "4 recv" }, log)
  end)

  it("drops a message by nil, and goes on to the next", function()
    local a, b = channels "u32le"
    b:use(function(pass, _, data)
      if data == "drop me" then return nil end
      return pass(data)
    end)
    a:use(function(pass, _, data)
      if data == "never sent" then return nil end
      return pass(data)
    end)
    for _ = 1, 300 do assert(a:send "drop me") end
    assert(a:send "never sent")
    assert(a:send "keep me")
    assert(a:finish())
    assert.equal("keep me", b:recv())
    assert.is_nil((b:recv()))
  end)

  it("refuses a message by nil and an error", function()
    local a, b = channels "u32le"
    b:use(function() return nil, "not today" end)
    a:send "x"
    assert.same({ nil, "not today" }, { b:recv() })
    a:use(function() return nil, "nor today" end)
    assert.same({ nil, "nor today" }, { a:send "x" })
  end)

  it("may wait, and works in messages", function()
    local a, b = channels "u32le"
    b:use(function(pass, _, data)
      task.sleep(0.001)
      return pass(data:upper())
    end)
    for _, word in ipairs { "one", "two" } do assert(a:send(word)) end
    assert(a:finish())
    local got = {}
    for data in b:messages() do got[#got + 1] = data end
    assert.same({ "ONE", "TWO" }, got)
    raises("EINVAL", b.views, b)
  end)

  it("may be added after views were taken, and each goes on", function()
    local a, b = channels "u32le"
    for _, word in ipairs { "one", "two", "three" } do assert(a:send(word)) end
    for view in b:views() do
      assert.equal("one", view:sub())
      break
    end
    b:use(function(pass, _, data) return pass(data:upper()) end)
    assert.equal("TWO", assert(b:recv()))
    a:use(function(pass, _, data) return pass(data .. "!") end)
    assert(a:send "four")
    assert.equal("THREE", assert(b:recv()))
    assert.equal("FOUR!", assert(b:recv()))
  end)
end)
