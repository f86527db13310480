--- Functions around what goes over streams, channels, workers, rings and task channels: `use`. Knows: mw.
local mw = require "moonwire"
local task = mw.task

local pair, keep = require "spec.support.stream_pair"(after_each)

local function raises(code, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.equal(code, err.code, tostring(err))
  return err
end

--- Notes what it sees.
local function noting(log, name)
  return function(pass, dir, data)
    log[#log + 1] = name .. " " .. dir .. " " .. data
    return pass(data)
  end
end

--- Both ends of everything that has use, as send(value) and recv(); values are strings.
local things = {
  stream = function()
    local a, b = pair()
    return a, b, function(x) return a:write(x) end, function(n) return b:read_exact(n) end
  end,
  channel = function()
    local a, b = pair()
    a, b = a:framed "u32le", b:framed "u32le"
    return a, b, function(x) return a:send(x) end, function() return b:recv() end
  end,
  ring = function()
    local r = keep(assert(mw.shm.ring()))
    return r, r, function(x) return r:push(x) end, function() return r:pop() end
  end,
  ["ring that is tried"] = function()
    local r = keep(assert(mw.shm.ring()))
    return r, r, function(x) return r:try_push(x) end, function() return r:try_pop() end
  end,
  ["task channel"] = function()
    local ch = task.channel(8)
    return ch, ch, function(x) return ch:send(x) end, function() return ch:recv() end
  end,
  ["task channel that is tried"] = function()
    local ch = task.channel(8)
    return ch, ch, function(x) return ch:try_send(x) end, function() return ch:try_recv() end
  end,
}

for name, make in pairs(things) do
  describe("use of a " .. name, function()
    it("calls the first outermost, in both directions", function()
      local log = {}
      local a, b, send, recv = make()
      assert.equal(a, a:use(noting(log, "1")))
      if a == b then
        a:use(noting(log, "2"))
      else
        a:use(noting(log, "2"))
        b:use(noting(log, "1")):use(noting(log, "2"))
      end
      assert(send "hey")
      assert.equal("hey", recv(3))
      assert.same({ "1 send hey", "2 send hey", "1 recv hey", "2 recv hey" }, log)
    end)

    it("lets a function change and drop what is sent and received", function()
      local a, b, send, recv = make()
      a:use(function(pass, dir, data)
        if dir == "recv" then return pass(data) end
        if data == "drop" then return nil end
        return pass(data:upper())
      end)
      b:use(function(pass, dir, data)
        if dir == "send" then return pass(data) end
        if data == "GONE" then return nil end
        return (pass(data):gsub("O", "0"))
      end)
      assert(send "drop")
      assert(send "gone")
      if name == "stream" then task.sleep(0) end
      local got
      if name == "stream" then
        local reader = task.spawn(function() return b:read_exact(4) end)
        while b:stats().unread > 0 or b:stats().bytes_in < 4 do task.sleep(0.001) end
        assert(send "zoom")
        got = reader:join()
      else
        assert(send "zoom")
        got = recv()
      end
      assert.equal("Z00M", got)
    end)

    it("gives the error that a function answers, and what it raises, to the caller", function()
      local a, b, send, recv = make()
      local how = "answer"
      local function f(pass, dir, data)
        if dir == how then return nil, "no" end
        if how == "raise " .. dir then mw.fail("EPARSE", "bad") end
        return pass(data)
      end
      a:use(f)
      if a ~= b then b:use(f) end
      how = "send"
      local value, err = send "x"
      assert.same({ [2] = "no" }, { value, err })
      how = "raise send"
      raises("EPARSE", send, "x")
      how = "recv"
      assert(send "y")
      value, err = recv(1)
      assert.same({ [2] = "no" }, { value, err })
      how = "raise recv"
      assert(send "z")
      raises("EPARSE", recv, 1)
      how = ""
      assert(send "w")
      assert.equal("w", recv(1))
    end)

    it("lets a function wait", function()
      local a, b, send, recv = make()
      if name:find "tried" then return end
      local go = task.channel(0)
      local log = {}
      local function f(pass, dir, data)
        log[#log + 1] = dir
        assert.equal(dir, go:recv())
        return pass(data)
      end
      a:use(f)
      if a ~= b then b:use(f) end
      local sender = task.spawn(function() return send "abc" end)
      assert(go:send "send")
      assert(sender:join())
      local reader = task.spawn(function() return recv(3) end)
      assert(go:send "recv")
      assert.equal("abc", reader:join())
      assert.same({ "send", "recv" }, log)
    end)

    it("refuses what is no function", function()
      local a = make()
      for _, bad in ipairs { 1, "x", {}, true } do raises("EINVAL", a.use, a, bad) end
      raises("EINVAL", a.use, a)
    end)
  end)
end

describe("functions of a stream", function()
  it("see bytes before they are cut into lines, whose number they may change", function()
    local a, b = pair()
    b:use(function(pass, dir, data) return pass(dir == "recv" and data:gsub(";", "\n") or data) end)
    a:write "one;two;three;"
    assert.equal("one", b:read())
    assert.equal("two\n", b:read "L")
    assert.equal("thr", b:peek(3))
    assert.equal("t", b:read(1))
    assert.equal("hr", b:read_exact(2))
    assert.equal("ee", b:read_until "\n")
    a:write "4;5 6;"
    assert.equal(4, b:read "n")
    assert.equal("\n5", b:read_until " ")
    a:finish()
    assert.equal("6\n", b:read "a")
    assert.is_nil(b:read_some())
    assert.equal("", b:read "a")
  end)

  it("serve lines and what is read whole", function()
    local a, b = pair()
    b:use(function(pass, _, data) return pass(data:upper()) end)
    task.spawn(function()
      for i = 1, 100 do a:write("line ", i, "\n") end
      a:write "last"
      a:finish()
    end)
    local n, last = 0, nil
    for line in b:lines() do
      n, last = n + 1, line
    end
    assert.same({ 101, "LAST" }, { n, last })
  end)

  it("get much in pieces, in its order, whoever reads", function()
    local a, b = pair()
    local sizes = {}
    b:use(function(pass, dir, data)
      if dir == "recv" then
        sizes[#sizes + 1] = #data
        task.sleep(0)
      end
      return pass(data)
    end)
    local sent = {}
    for i = 1, 40000 do sent[i] = ("%07d\n"):format(i) end
    task.spawn(function()
      a:write(table.concat(sent))
      a:finish()
    end)
    local got, readers = {}, {}
    for i = 1, 3 do
      readers[i] = task.spawn(function()
        for line in b:lines() do got[#got + 1] = tonumber(line) end
      end)
    end
    for i = 1, 3 do readers[i]:join() end
    assert.equal(40000, #got)
    table.sort(got)
    for i = 1, #got do assert.equal(i, got[i]) end
    for _, size in ipairs(sizes) do assert.is_true(size <= 65536) end
  end)

  it("find what an earlier read left, and none of what one took that waited already", function()
    local a, b = pair()
    a:write "first\nleft"
    assert.equal("first", b:read())
    b:use(function(pass, dir, data) return pass(dir == "recv" and data:upper() or data) end)
    a:write "\n"
    assert.equal("LEFT", b:read())

    local c, d = pair()
    local waiting = task.spawn(function() return d:read() end)
    task.sleep(0)
    d:use(function(pass, dir, data) return pass(dir == "recv" and data:upper() or data) end)
    c:write "one\n"
    assert.equal("one", waiting:join())
    c:write "two\n"
    assert.equal("TWO", d:read())
  end)

  it("may close the stream, and a read times out or is cancelled as without them", function()
    local a, b = pair()
    b:use(function(pass, _, data)
      if data == "close" then b:close() end
      return pass(data)
    end)
    local value, err = b:read("l", { timeout = 0.01 })
    assert.same({ [2] = "ETIMEDOUT" }, { value, err and err.code })
    local reader = task.spawn(function() return b:read() end)
    task.sleep(0)
    reader:cancel()
    pcall(reader.join, reader)
    a:write "close"
    value, err = b:read_exact(9)
    assert.same({ [2] = "ECLOSED" }, { value, err and err.code })
  end)

  it("do not go with a channel, which has its own, or with handles", function()
    local a, b = pair()
    a:use(function(pass, _, data) return pass(data) end)
    assert.truthy(tostring(raises("EINVAL", a.framed, a, "lines")):find("framed(...):use(f)", 1, true))
    raises("EINVAL", a.recv_handle, a)
    b:framed("lines"):use(function(pass, _, data) return pass(data) end)
  end)

  it("must pass and return strings", function()
    local a, b = pair()
    a:use(function(pass, _, data) return pass(data == "1" and 1 or data) end)
    raises("EINVAL", a.write, a, 1)
    raises("EINVAL", a.write, a, {})
    b:use(function() return {} end)
    assert(a:write "x")
    raises("EINVAL", b.read, b)
  end)

  it("are collected with the stream that they know", function()
    local gone = setmetatable({}, { __mode = "k" })
    do
      local server <close> = assert(mw.net.listen("unix:@moonwire-middleware-spec-" .. mw.sys.pid()))
      local a <close> = assert(mw.net.connect(server:address()))
      local f = function(pass, _, data) return a and pass(data) end
      gone[f] = true
      a:use(f)
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(gone))
  end)
end)

describe("functions of a channel", function()
  it("hold for those who call after them, not for one that waits", function()
    local a, b = pair()
    a, b = a:framed "lines", b:framed "lines"
    local waiting = task.spawn(function() return b:recv() end)
    task.sleep(0)
    b:use(function(pass, dir, data) return pass(dir == "recv" and data:upper() or data) end)
    a:send "one"
    a:send "two"
    assert.equal("one", waiting:join())
    assert.equal("TWO", b:recv())
  end)

  it("are not passed by through views() that were asked for before them", function()
    local a, b = pair()
    local out, inn = a:framed "u32le", b:framed "u32le"
    for _, text in ipairs { "one", "two", "three" } do out:send(text) end
    local seen = {}
    local ok, err = pcall(function()
      for view in inn:views() do
        seen[#seen + 1] = tostring(view)
        inn:use(function(pass, _, data) return pass(data:upper()) end)
      end
    end)
    assert.same({ false, "EINVAL" }, { ok, err.code })
    assert.same({ "one" }, seen)
    assert.equal("TWO", inn:recv())
  end)

  it("may close it", function()
    local a, b = pair()
    a, b = a:framed "lines", b:framed "lines"
    b:use(function(pass, dir, data)
      if dir == "recv" then b:close() end
      return pass(data)
    end)
    a:send "one"
    assert.equal("one", b:recv())
    local value, err = b:recv()
    assert.same({ [2] = "ECLOSED" }, { value, err and err.code })
  end)
end)

describe("functions of workers", function()
  local dir = assert(mw.fs.tempdir())
  local path = dir.path .. "/echo.lua"
  assert(mw.fs.write(path, [[
    local mw = require "moonwire"
    mw.parent:use(function(pass, dir, value)
      if value == "drop " .. dir then return nil end
      return pass(dir .. "(" .. value .. ")")
    end)
    for value in mw.parent:messages() do assert(mw.parent:send(value)) end
  ]]))
  teardown(function() dir:close() end)

  it("go around messages on both sides", function()
    local w <close> = assert(mw.worker.spawn(path))
    local log = {}
    assert.equal(w, w:use(noting(log, "w")))
    assert(w:send "drop recv")
    assert(w:send "hey")
    assert.equal("send(recv(hey))", w:recv())
    assert.same({ "w send drop recv", "w send hey", "w recv send(recv(hey))" }, log)
    w:use(function(pass, way, value)
      if way == "send" and value == "no" then return nil, "not sent" end
      return pass(value)
    end)
    local sent, why = w:send "no"
    assert.same({ [2] = "not sent" }, { sent, why })
    assert.is_true(w:send "x")
    for value in w:messages() do
      assert.equal("send(recv(x))", value)
      break
    end
    raises("EINVAL", w.use, w, 1)
  end)
end)
