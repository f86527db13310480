-- Large strings that a peer takes slowly: they wait where the script made them, and arrive whole, in their place among the small ones.
local mw = require "moonwire"
local net, task = mw.net, mw.task
local program = os.getenv "MOONWIRE" or "moonwire"

local serial = 0

--- Two connected streams: ours and the peer's.
local function pair(address)
  serial = serial + 1
  local srv <close> = assert(net.listen(address or ("unix:@mw-stream-large-%d-%d"):format(mw.sys.pid(), serial)))
  local there = assert(net.connect(srv:address()))
  return assert(srv:accept { timeout = 10 }), there
end

--- The i-th string, made anew each time: nobody else holds it.
local function text(i, size)
  return ("%07d "):format(i):rep(size // 8 + 1):sub(1, size)
end

--- Writes large strings until so many bytes wait; returns how many strings that were.
local SIZE = 100000
local function fill(s, bytes)
  local n = 0
  while s:stats().unsent < bytes do
    n = n + 1
    assert(s:write(text(n, SIZE)))
    collectgarbage()
  end
  return n
end

local function take(s, n)
  for i = 1, n do assert.is_true(s:read_exact(SIZE) == text(i, SIZE)) end
end

--- What is written, in parts: each is a list of sizes.
local function plan(seed, n)
  local random = seed
  local function below(k)
    random = (random * 1103515245 + 12345) & 0x7fffffff
    return random // 8 % k
  end
  local writes = {}
  for i = 1, n do
    local kind = below(8)
    writes[i] = kind < 4 and { 16300 + below(150000) } or kind < 6 and { 1 + below(16384) } or { 1 + below(90), 20000 + below(9000) }
  end
  return writes, below
end

describe("large strings that wait to be sent", function()
  for _, where in ipairs { "unix", "tcp" } do
    it("arrive whole and in order, with small ones between them, whatever the collector does: " .. where, function()
      local a, b = pair(where == "tcp" and "tcp://127.0.0.1:0" or nil)
      local writes, below = plan(#where, 300)
      local sender = task.spawn(function()
        for i, w in ipairs(writes) do
          assert(w[2] and b:write(text(i, w[1]), text(-i, w[2])) or b:write(text(i, w[1])))
          if below(8) == 0 then assert(b:flush()) end
          if below(8) == 0 then collectgarbage() end
        end
        assert(b:finish())
      end)
      for i, w in ipairs(writes) do
        assert.is_true(a:read_exact(w[1]) == text(i, w[1]))
        if w[2] then assert.is_true(a:read_exact(w[2]) == text(-i, w[2])) end
        if i % 32 == 0 then task.sleep(0) end
      end
      sender:join()
      assert.is_nil(a:read_some(1))
      a:close()
      b:close()
    end)
  end

  it("go before what is written after them", function()
    local a, b = pair()
    local n = fill(b, 600000)
    assert(b:write("a small one\n"))
    assert(b:write(text(1, SIZE)))
    assert(b:write("another\n"))
    take(a, n)
    assert.equal("a small one", a:read("l"))
    take(a, 1)
    assert.equal("another", a:read("l"))
    assert.equal(0, b:stats().unsent)
    a:close()
    b:close()
  end)

  it("are sent although the stream was closed", function()
    local a, n
    do
      local b
      a, b = pair()
      n = fill(b, 600000)
      assert(b:close())
    end
    collectgarbage()
    take(a, n)
    assert.is_nil(a:read_some(1))
    a:close()
  end)

  it("go before a descriptor that is sent after them", function()
    local a, b = pair()
    local m <close> = assert(mw.shm.create { size = 4096 })
    m:set_u64(0, 4711)
    local n = fill(b, 600000)
    assert(b:send_handle(m))
    assert(b:write(text(1, SIZE)))
    take(a, n)
    local got <close> = assert(a:recv_handle())
    assert.equal(4711, got:u64(0))
    take(a, 1)
    a:close()
    b:close()
  end)

  it("are forgotten once they are sent, or cannot be", function()
    local function left()
      collectgarbage()
      collectgarbage()
      return collectgarbage "count" * 1024
    end
    local a, b = pair()
    local before = left()
    local n = fill(b, 600000)
    take(a, n)
    assert.is_true(left() - before < 2 * SIZE)
    fill(b, 600000)
    a:close()
    local ok, err
    repeat ok, err = b:write(text(1, SIZE)) until not ok
    assert.is_true(err.code == "EPIPE" or err.code == "ECONNRESET", err.code)
    assert.equal(0, b:stats().unsent)
    b:close()
    assert.is_true(left() - before < 2 * SIZE)
  end)

  it("do not take the memory of a script that has little", function()
    local r = assert(mw.process.run { program, "eval", "-A", "--limit=memory=6MiB", [[
      local mw = require "moonwire"
      local srv = assert(mw.net.listen("unix:@mw-stream-large-limit-" .. mw.sys.pid()))
      local ours, theirs = {}, {}
      for i = 1, 12 do
        theirs[i] = assert(mw.net.connect(srv:address()))
        ours[i] = assert(srv:accept())
        while theirs[i]:stats().unsent < 700000 do assert(theirs[i]:write(("%07d "):format(i):rep(12500))) end
      end
      for i = 1, 12 do
        for _ = 1, 7 do assert(ours[i]:read_exact(100000) == ("%07d "):format(i):rep(12500)) end
      end
    ]] })
    assert.equal(0, r.code, r.stderr)
  end)
end)
