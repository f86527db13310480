--- Batches: channels that gather messages, and what they do when the peer or the script does not play along. Knows: mw.
local mw = require "moonwire"
local task = mw.task

local program = assert(os.getenv "MOONWIRE", "MOONWIRE names the program under test")
local pair = require "spec.support.stream_pair"(after_each)

local function channels(options, protocol)
  local a, b = pair()
  return a:framed(protocol or "u32le", options), b:framed(protocol or "u32le", options)
end

-- A sender that batches, and a receiver that shows its frames as they are.
local function uncovered(options)
  local a, b = pair()
  return a:framed("u32le", options), b:framed "u32le"
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

describe("a batch", function()
  it("is one frame: how many messages, then each with its length", function()
    local a, b = uncovered { batch = true }
    a:send "ab"
    a:send ""
    assert.equal(a, a:flush())
    assert.equal("\2\2ab\0", b:recv())
  end)

  it("goes when the count is reached", function()
    local a, b = uncovered { batch = { messages = 3, delay = math.huge } }
    for _ = 1, 7 do a:send "x" end
    assert.equal("\3\1x\1x\1x", b:recv())
    assert.equal("\3\1x\1x\1x", b:recv())
    refused("ETIMEDOUT", nil, b:recv { timeout = 0.01 })
    assert.equal(2, a:stats().batches)
    a:flush()
    assert.equal("\1\1x", b:recv())
  end)

  it("goes when the size is reached, and never exceeds it with a message more", function()
    local a, b = uncovered { batch = { bytes = 100, delay = math.huge } }
    for _ = 1, 5 do a:send(("x"):rep(40)) end
    assert.equal(1 + 2 * 41, #b:recv())
    assert.equal(1 + 2 * 41, #b:recv())
    a:send(("y"):rep(98)) -- with what is held it would be too much; alone it is 100 bytes
    assert.equal(1 + 41, #b:recv())
    assert.equal(100, #b:recv())
    a:send(("z"):rep(5000)) -- alone beyond the size: a batch of its own
    assert.equal(1 + 2 + 5000, #b:recv())
  end)

  it("goes when the delay is over", function()
    local a, b = channels { batch = { delay = "10ms" } }
    a:send "one"
    a:send "two"
    assert.equal("one", b:recv { timeout = 60 })
    assert.equal("two", b:recv { timeout = 60 })
    assert.equal(1, a:stats().batches)
    a:send "three"
    assert.equal("three", b:recv { timeout = 60 })
  end)

  it("is taken apart without another wait, in every protocol that can carry it", function()
    for _, name in ipairs { "u32le", "u32be", "varint", "netstring", "content-length" } do
      local a, b = channels({ batch = { delay = math.huge } }, name)
      for i = 1, 1000 do a:send(("message %d"):format(i)) end
      a:flush()
      for i = 1, 1000 do assert.equal(("message %d"):format(i), b:recv()) end
      a:finish()
      assert.same({ n = 1 }, table.pack(b:recv()))
    end
  end)

  it("comes through messages() and the middleware of both ends", function()
    local a, b = channels { batch = true }
    a:use(function(pass, _, data) return pass(data .. "!") end)
    b:use(function(pass, _, data) if data ~= "2!" then return pass("<" .. data) end end)
    for i = 1, 3 do a:send(tostring(i)) end
    a:close()
    local seen = {}
    for data in b:messages() do seen[#seen + 1] = data end
    assert.same({ "<1!", "<3!" }, seen)
  end)

  it("is sent by finish, by close, and by closing the stream beneath", function()
    for _, how in ipairs { "finish", "close", "stream" } do
      local a, b = channels { batch = { delay = math.huge } }
      for i = 1, 10 do a:send(tostring(i)) end
      if how == "stream" then a:stream():close() else a[how](a) end
      for i = 1, 10 do assert.equal(tostring(i), b:recv()) end
      assert.is_nil((b:recv()))
      a:close()
      a:close()
    end
  end)

  it("is sent when its channel is collected", function()
    local a, b = pair()
    local receiver = b:framed("u32le", { batch = true })
    do
      local sender = a:framed("u32le", { batch = { delay = math.huge } })
      sender:send "held"
    end
    collectgarbage()
    collectgarbage()
    assert.equal("held", receiver:recv { timeout = 60 })
  end)

  it("is sent before a host ends by itself, and before it is told to end, however long its delay is", function()
    local dir <close> = assert(mw.fs.tempdir())
    local script = dir.path .. "/ends.lua"
    assert(mw.fs.write(script, [[
      local mw = require "moonwire"
      CHANNEL = mw.net.connect(arg[1]):framed("u32le", { batch = { delay = "1h" } })
      for i = 1, 3 do assert(CHANNEL:send("word " .. i)) end
      if arg[2] == "exit" then mw.exit(3) end
    ]]))
    for _, how in ipairs { "end", "exit" } do
      local server <close> = assert(mw.net.listen "tcp://127.0.0.1:0")
      local child = task.spawn(function() return mw.process.run { program, "run", "-A", script, server:address(), how, timeout = 60 } end)
      local conn <close> = assert(server:accept { timeout = 60 })
      local words = {}
      for word in conn:framed("u32le", { batch = true }):messages { timeout = 60 } do words[#words + 1] = word end
      assert.same({ "word 1", "word 2", "word 3" }, words)
      local result = assert(child:join())
      assert.equal(how == "exit" and 3 or 0, result.code, result.stderr)
    end
  end)

  it("needs nothing to flush", function()
    local a, b = channels { batch = true }
    assert.equal(a, a:flush())
    assert.equal(a, a:flush())
    a:send "x"
    a:flush()
    a:flush()
    assert.equal("x", b:recv())
    assert.equal(1, a:stats().batches)
  end)

  it("does not wait for a task that ends", function()
    local a, b = channels { batch = { delay = "5ms" } }
    task.spawn(function() a:send "from a task that is gone" end):join()
    assert.equal("from a task that is gone", b:recv { timeout = 60 })
  end)
end)

describe("a channel that batches", function()
  it("waits while the peer takes nothing, and loses nothing", function()
    local a, b = channels { batch = { bytes = "64KiB" } }
    local message = ("m"):rep(1000)
    local sent = 0
    local sender = task.spawn(function()
      for _ = 1, 5000 do
        assert(a:send(message))
        sent = sent + 1
      end
      assert(a:flush())
    end)
    repeat
      local before = sent
      task.sleep(0.02)
    until sent == before
    assert.truthy(sent < 5000, "nobody made it wait")
    for _ = 1, 5000 do assert.equal(message, b:recv { timeout = 60 }) end
    sender:join()
  end)

  it("has sent nothing of a message whose time ran out, or whose task was cancelled", function()
    local a, b = channels { batch = { bytes = "64KiB", delay = math.huge } }
    local message = ("m"):rep(1000)
    local taken = 0
    while true do
      local ok, err = a:send(message, { timeout = 0.05 })
      if not ok then
        assert.equal("ETIMEDOUT", err.code)
        break
      end
      taken = taken + 1
    end
    local waiting = task.spawn(function() a:send "never" end)
    task.sleep(0.01)
    waiting:cancel()
    pcall(waiting.join, waiting)
    local closer = task.spawn(function() a:finish() end)
    local got = 0
    for data in b:messages { timeout = 60 } do
      assert.equal(message, data)
      got = got + 1
    end
    closer:join()
    assert.equal(taken, got)
  end)

  it("tells that the peer is gone, and that it is closed", function()
    local a, b = channels { batch = { messages = 2 } }
    b:close()
    local err
    for _ = 1, 10 do
      local ok, e = a:send "x"
      err = err or (not ok and e) or nil
    end
    assert.truthy(err)
    assert.truthy(err.code == "EPIPE" or err.code == "ECONNRESET", err.code)
    a:close()
    refused("ECLOSED", nil, a:send "x")
    refused("ECLOSED", nil, a:recv())
    local c = channels { batch = true }
    c:finish()
    refused("ECLOSED", nil, c:send "x")
  end)

  it("gives nothing more of a batch once it is closed", function()
    local a, b = channels { batch = true }
    for i = 1, 3 do a:send(tostring(i)) end
    a:flush()
    assert.equal("1", b:recv())
    b:close()
    refused("ECLOSED", nil, b:recv())
  end)

  it("keeps its stream from being moved while it holds messages that nobody asked for", function()
    local a, b = channels { batch = true }
    for i = 1, 2 do a:send(tostring(i)) end
    a:flush()
    assert.equal("1", b:recv())
    local dir <close> = assert(mw.fs.tempdir())
    local path = dir.path .. "/worker.lua"
    assert(mw.fs.write(path, "local mw = require 'moonwire' for v in mw.parent:messages() do v:close() end"))
    local worker <close> = assert(mw.worker.spawn(path))
    raises("messages of a batch that were not received", worker.send, worker, b:stream())
    assert.equal("2", b:recv())
    assert(worker:send(b:stream()))
  end)

  it("refuses messages above its limit, and goes on", function()
    local a, b = channels { batch = true, max = 1000 }
    refused("EFRAME", "too_large", a:send(("x"):rep(998)))
    assert(a:send(("x"):rep(997)))
    assert(a:send "y")
    a:flush()
    assert.equal(997, #b:recv())
    assert.equal("y", b:recv())
  end)

  it("says what it counted", function()
    local a, b = channels { batch = true }
    for _ = 1, 100 do a:send "12345678" end
    assert.equal(1, a:stats().ratio)
    a:flush()
    local s = a:stats()
    assert.same({ 100, 1, 800, 4 + 1 + 900 }, { s.messages, s.batches, s.bytes_raw, s.bytes_wire })
    assert.equal(800 / 905, s.ratio)
    for _ = 1, 100 do b:recv() end
    s = b:stats()
    assert.same({ 100, 1, 800 }, { s.received, s.batches_received, s.bytes_received })
    assert.is_nil(channels():stats().batches)
  end)

  it("refuses options that make no sense, and names them", function()
    local a = pair()
    raises('"lines" cannot carry batch', a.framed, a, "lines", { batch = true })
    raises("header fields of its own", a.framed, a, "typed", { batch = true })
    raises("got number", a.framed, a, "u32le", { batch = 1 })
    raises('option "bytes"', a.framed, a, "u32le", { batch = { bytes = "2MiB" }, max = "1MiB" })
    raises('option "messages"', a.framed, a, "u32le", { batch = { messages = 0 } })
    raises("did you mean", a.framed, a, "u32le", { batch = { message = 1 } })
    raises("messages() only", function() return a:framed("u32le", { batch = true }):views() end)
    assert(a:framed("u32le", { batch = false }):views())
  end)
end)

describe("hostile bytes", function()
  local function hostile(data)
    local a, b = pair()
    local sender, receiver = a:framed "u32le", b:framed("u32le", { batch = true })
    sender:send "\1\4good"
    sender:send(data)
    assert.equal("good", receiver:recv())
    local err = refused("EFRAME", "protocol", receiver:recv { timeout = 60 })
    refused("ECLOSED", nil, receiver:recv())
    return tostring(err)
  end

  it("in place of a batch close the channel, and what was good before is given", function()
    assert.truthy(hostile(""):find "number of messages")
    assert.truthy(hostile("\0"):find "without a message")
    assert.truthy(hostile("\255\255\255\255\15\0\0"):find "more than 65536")
    assert.truthy(hostile("\2\1a"):find "beyond its batch")
    assert.truthy(hostile("\1\255\255\255\255\255\255\255\255\255\1a"):find "beyond its batch")
    assert.truthy(hostile("\1\1ab"):find "behind the last")
    assert.truthy(hostile("a message of a peer that does not batch"):find "beyond its batch")
  end)
end)

describe("a million messages in batches", function()
  it("take no more memory than a few", function()
    local a, b = channels { batch = true }
    local N = 1000000
    local sender = task.spawn(function()
      for i = 1, N do assert(a:send(i % 7 == 0 and "" or "a message of some bytes")) end
      assert(a:finish())
    end)
    local got, middle, peak = 0, nil, 0
    local function resident()
      local text = mw.fs.read "/proc/self/statm"
      return tonumber(text and text:match "^%d+ (%d+)") or 0
    end
    for _ in b:messages() do
      got = got + 1
      if got == N // 10 then
        collectgarbage()
        middle = resident()
      elseif got % 100000 == 0 then
        collectgarbage()
        peak = math.max(peak, resident())
      end
    end
    sender:join()
    assert.equal(N, got)
    assert.truthy(peak - middle < 4096, ("%d pages more"):format(peak - middle)) -- 18 bytes a message
  end)
end)
