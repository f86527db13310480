--- Remote calls: who is answered what, what ends a call, and what a peer that does as it likes gets. Knows: mw.
local mw = require "moonwire"

local task, null = mw.task, mw.null
local count = 0

local function both(a, b)
  return a, b, setmetatable({}, { __close = function()
    a:close()
    b:close()
  end })
end

--- Both ends of a connection.
local function streams()
  count = count + 1
  local server <close> = assert(mw.net.listen(("unix:@moonwire-rpc-spec-%d-%d"):format(count, math.random(1 << 40))))
  local a = assert(mw.net.connect(server:address()))
  return a, assert(server:accept { timeout = 60 })
end

local function json_pair(options)
  local a, b = streams()
  return both(mw.rpc.json(a:framed "lines", options), mw.rpc.json(b:framed "lines", options))
end
local function msgpack_pair(options)
  local a, b = streams()
  return both(mw.rpc.msgpack(a, options), mw.rpc.msgpack(b, options))
end

--- A peer, and the channel of raw text on the other side.
local function json_raw(options)
  local a, b = streams()
  return both(mw.rpc.json(a:framed "lines", options), b:framed "lines")
end

local function until_true(f)
  for _ = 1, 60000 do
    if f() then return true end
    task.sleep(0.001)
  end
  error("it never came", 2)
end

for name, pair in pairs { ["JSON-RPC"] = json_pair, ["MessagePack-RPC"] = msgpack_pair } do
  describe(name, function()
    it("calls both ways", function()
      local a, b, _ <close> = pair()
      a:handle("add", function(p) return p[1] + p[2] end)
      b:handle("sub", function(p) return p[1] - p[2] end)
      assert.equal(3, a:call("sub", { 5, 2 }))
      assert.equal(7, b:call("add", { 5, 2 }, { timeout = 60 }))
    end)

    it("refuses limits that make no sense before anything is said", function()
      assert.has_error(function() pair { max_depth = 0 } end)
      assert.has_error(function() pair { max = 0 } end)
    end)

    it("gives null for nothing, and keeps false", function()
      local a, b, _ <close> = pair()
      b:handle("nothing", function() end)
      b:handle("no", function() return false end)
      b:handle("params", function(p) return p == nil or #p end)
      assert.equal(null, a:call "nothing")
      assert.is_false(a:call "no")
      assert.truthy(a:call "params")
    end)

    it("hands a peer's error over", function()
      local a, b, _ <close> = pair()
      b:handle("fails", function() mw.rpc.fail(-32602, "not like this", { field = "x" }) end)
      b:handle("refuses", function() return nil, "no" end)
      b:handle("raises", function() error "oh" end)
      b:handle("object", function() mw.fail("ENOENT", "it is not there") end)
      local v, err = a:call "fails"
      assert.is_nil(v)
      assert.same({ "ERPC", "not like this" }, { err.code, err.message })
      assert.same({ code = -32602, message = "not like this", data = { field = "x" } }, err.data)
      assert.equal("no", select(2, a:call "refuses").message)
      assert.equal("oh", select(2, a:call "raises").message)
      assert.equal("it is not there", select(2, a:call "object").message)
      err = select(2, a:call "unknown")
      assert.same({ "ERPC", -32601 }, { err.code, err.data.code })
      assert.equal(2, b:stats().failed)
      assert.equal(1, b:stats().refused)
    end)

    it("runs handlers side by side, and notifications one after another", function()
      local a, b, _ <close> = pair()
      local gate, order, most, now = task.event(), {}, 0, 0
      b:handle("wait", function() gate:wait() return true end)
      b:handle("open", function() gate:set() return true end)
      b:on("note", function(p)
        now = now + 1
        most = math.max(most, now)
        task.pass()
        order[#order + 1] = p[1]
        now = now - 1
      end)
      local waiting = task.spawn(function() return a:call "wait" end)
      for i = 1, 100 do assert(a:notify("note", { i })) end
      assert.is_true(a:call "open")
      assert.is_true(waiting:join())
      until_true(function() return #order == 100 end)
      for i = 1, 100 do assert.equal(i, order[i]) end
      assert.equal(1, most)
    end)

    it("lets a handler call back", function()
      local a, b, _ <close> = pair { concurrent = 1, queue = 1 }
      a:handle("name", function() return "a" end)
      b:handle("greet", function() return "hello " .. b:call "name" end)
      local order = {}
      b:on("note", function() order[#order + 1] = b:call "name" end)
      for _ = 1, 5 do assert(a:notify "note") end
      assert.equal("hello a", a:call("greet", nil, { timeout = 60 }))
      until_true(function() return #order == 5 end)
    end)

    it("fails pending calls when the channel ends, and answers what was asked before", function()
      local a, b, _ <close> = pair()
      local called = task.event()
      b:handle("never", function() called:set() task.wait() end)
      local call = task.spawn(function() return a:call "never" end)
      called:wait()
      b:close()
      local v, err = call:join()
      assert.same({ nil, "ECLOSED" }, { v, err.code })
      assert.equal("ECLOSED", select(2, b:call "x").code)
      assert.equal("ECLOSED", select(2, b:notify "x").code)
      assert.is_true(b:wait())
      assert.is_true(a:wait { timeout = 60 })
      assert.equal("ECLOSED", select(2, a:call "x").code)
      assert.equal(0, a:stats().pending)
    end)

    it("gives each call its own answer, whatever became of those before", function()
      local a, b, _ <close> = pair()
      b:handle("after", function(p) task.sleep(p[1]) return p[2] end)
      task.scope(function(scope)
        for lane = 1, 20 do
          scope:spawn(function()
            for i = 1, 10 do
              local n = lane * 100 + i
              local impatient = (lane + i) % 3 == 0
              local v, err = a:call("after", { impatient and 0.02 or lane % 4 / 1000, n }, { timeout = impatient and 0.001 or 60 })
              if impatient then assert.same({ nil, "ETIMEDOUT" }, { v, err.code }) else assert.equal(n, v) end
            end
          end)
        end
        local cut = scope:spawn(a.call, a, "after", { 5, 0 })
        task.sleep(0.005)
        cut:cancel()
      end)
      assert.equal(0, a:stats().pending)
    end)

    it("ignores an answer that comes too late", function()
      local a, b, _ <close> = pair()
      local gate = task.event()
      b:handle("slow", function() gate:wait() return "late" end)
      b:handle("quick", function() return "quick" end)
      local v, err = a:call("slow", nil, { timeout = 0.01 })
      assert.same({ nil, "ETIMEDOUT" }, { v, err.code })
      gate:set()
      until_true(function() return a:stats().unknown == 1 end)
      assert.equal("quick", a:call "quick")
      assert.equal(0, a:stats().pending)
    end)

    it("bounds the calls that wait", function()
      local a, b, _ <close> = pair { max_pending = 2 }
      local gate = task.event()
      b:handle("wait", function() gate:wait() return true end)
      local calls = {}
      for i = 1, 2 do calls[i] = task.spawn(function() return a:call "wait" end) end
      until_true(function() return a:stats().pending == 2 end)
      assert.equal("EAGAIN", select(2, a:call "wait").code)
      gate:set()
      for i = 1, 2 do assert.is_true(calls[i]:join()) end
      assert.is_true(a:call "wait")
    end)

    it("bounds the handlers that run, and loses no request by it", function()
      local a, b, _ <close> = pair { concurrent = 3, queue = 5, max_pending = 100 }
      local now, most = 0, 0
      b:handle("work", function(p)
        now = now + 1
        most = math.max(most, now)
        task.sleep(0.001)
        now = now - 1
        return p[1]
      end)
      local sum = 0
      for _, v in task.map({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25 }, function(i)
        return (assert(a:call("work", { i })))
      end, { limit = 25 }) do
        sum = sum + v
      end
      assert.equal(25 * 26 // 2, sum)
      assert.equal(3, most)
    end)

    it("answers for a result that cannot be sent", function()
      local a, b, _ <close> = pair()
      b:handle("function", function() return { f = print } end)
      b:handle("long", function() return ("x"):rep(20 << 20) end)
      assert.equal("the result cannot be sent", select(2, a:call "function").message)
      assert.equal("the result cannot be sent", select(2, a:call "long").message)
      assert.error(function() a:call("x", { f = print }) end)
      assert.error(function() a:notify("x", { print }) end)
      assert.equal(0, a:stats().pending)
    end)

    it("answers for a handler that meets another task's cancellation", function()
      local a, b, _ <close> = pair()
      b:handle("join", function()
        local other = task.spawn(task.wait)
        other:cancel("not wanted")
        assert(other:join())
      end)
      b:handle("ping", function() return "pong" end)
      assert.equal("ERPC", select(2, a:call("join", nil, { timeout = 60 })).code)
      assert.equal("pong", a:call("ping", nil, { timeout = 60 }))
    end)

    it("is cancelled with its task, and ends with its scope", function()
      local a, b, _ <close> = pair()
      b:handle("never", function() task.wait() end)
      local call = task.spawn(function() return a:call "never" end)
      until_true(function() return b:stats().running == 1 end)
      call:cancel()
      assert.is_nil((call:join()))
      assert.equal(0, a:stats().pending)
      local inner
      local sa, _, _ <close> = both(streams())
      task.scope(function() inner = (name == "JSON-RPC" and mw.rpc.json or mw.rpc.msgpack)(sa:framed "u32le") end)
      assert.equal("ECLOSED", select(2, inner:call "x").code)
      inner:close()
    end)

    it("is told from what it is not", function()
      local a, b, _ <close> = pair()
      assert.error(function() a:call(1) end)
      assert.error(function() a:call("x", "text") end)
      assert.error(function() a:call("x", nil, { timeot = 1 }) end)
      assert.error(function() a:handle("x", 1) end)
      assert.error(function() mw.rpc.json(1) end)
      assert.error(function() mw.rpc.msgpack {} end)
      assert.error(function() mw.rpc.json(a, { concurent = 1 }) end)
      assert.truthy(tostring(b):find(name, 1, true))
    end)
  end)
end

describe("JSON-RPC", function()
  local function exchange(raw, text)
    assert(raw:send(text))
    return mw.json.decode(assert(raw:recv { timeout = 60 }))
  end

  it("answers as the specification's examples have it", function()
    local rpc, raw, _ <close> = json_raw()
    rpc:handle("subtract", function(p) return p.minuend and p.minuend - p.subtrahend or p[1] - p[2] end)
    rpc:handle("sum", function(p) return p[1] + p[2] + p[3] end)
    rpc:handle("get_data", function() return { "hello", 5 } end)
    assert.same({ jsonrpc = "2.0", result = 19, id = 1 },
      exchange(raw, '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}'))
    assert.same({ jsonrpc = "2.0", result = 19, id = "3" },
      exchange(raw, '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": "3"}'))
    assert(raw:send '{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}')
    local r = exchange(raw, '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}')
    assert.same({ -32601, "1" }, { r.error.code, r.id })
    r = exchange(raw, '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]')
    assert.same({ -32700, null }, { r.error.code, r.id })
    for _, text in ipairs { '{"jsonrpc": "2.0", "method": 1, "params": "bar"}', "[]", "1", "{}", '"x"', "null",
      '{"jsonrpc": "1.0", "method": "sum"}', '{"jsonrpc": "2.0", "method": "sum", "id": {}}' } do
      r = exchange(raw, text)
      assert.same({ -32600, null }, { r.error.code, r.id }, text)
    end
    r = exchange(raw, '{"jsonrpc": "2.0", "method": "sum", "params": "bar", "id": 5}')
    assert.same({ -32600, 5 }, { r.error.code, r.id })
    assert.equal(1, rpc:stats().ignored)
  end)

  it("answers batches as the specification has it", function()
    local rpc, raw, _ <close> = json_raw()
    local told = {}
    rpc:handle("sum", function(p) return p[1] + p[2] + p[3] end)
    rpc:handle("function", function() return print end)
    rpc:on("notify_hello", function(p) told[#told + 1] = p[1] end)
    local r = exchange(raw, "[1,2,3]")
    assert.equal(3, #r)
    for i = 1, 3 do assert.same({ -32600, null }, { r[i].error.code, r[i].id }) end
    assert(raw:send '[{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}]') -- no answer at all
    r = exchange(raw, [=[[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},]=] ..
      [=[{"jsonrpc": "2.0", "method": "notify_hello", "params": [8]}, {"foo": "boo"},]=] ..
      [=[{"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},]=] ..
      [=[{"jsonrpc": "2.0", "method": "function", "id": 6}]]=])
    local by_id = {}
    for _, one in ipairs(r) do by_id[one.id] = one end
    assert.equal(4, #r)
    assert.equal(7, by_id["1"].result)
    assert.same({ -32600, -32601, -32603 }, { by_id[null].error.code, by_id["5"].error.code, by_id[6].error.code })
    until_true(function() return #told == 2 end)
    r = exchange(raw, "[" .. ("1,"):rep(1000) .. "1]")
    assert.equal(-32600, r.error.code)
  end)

  it("answers a batch whose answers cannot be sent together", function()
    local a, b = streams()
    local rpc, raw, _ <close> = both(mw.rpc.json(a:framed("lines", { max = 10000 })), b:framed "lines")
    rpc:handle("long", function() return ("x"):rep(6000) end)
    local one = '{"jsonrpc": "2.0", "method": "long", "id": %d}'
    local r = exchange(raw, "[" .. one:format(1) .. "," .. one:format(2) .. "]")
    assert.same({ 2, -32603, "the results cannot be sent" }, { #r, r[1].error.code, r[2].error.message })
    assert.equal(3, r[1].id + r[2].id)
  end)

  it("speaks over a channel that has the codec itself, also in batches", function()
    local a, b = streams()
    local rpc, raw, _ <close> = both(mw.rpc.json(a:framed("lines", { codec = "json" })), b:framed "lines")
    rpc:handle("get", function(p) return p and print or 1 end)
    assert.equal(1, exchange(raw, '{"jsonrpc": "2.0", "method": "get", "id": 1}').result)
    assert.equal(-32603, exchange(raw, '{"jsonrpc": "2.0", "method": "get", "id": 1, "params": []}').error.code)
    local r = exchange(raw, '[{"jsonrpc": "2.0", "method": "get", "id": 1, "params": []}]')
    assert.same({ 1, -32603 }, { #r, r[1].error.code })
  end)

  it("says what is too long, to whom it may be told: by the id where the beginning has it", function()
    local rpc, raw, _ <close> = json_raw { max = 200 }
    local long = ("x"):rep(200)
    local function said(text)
      local r = exchange(raw, text:format(long))
      assert.equal(-32600, r.error.code)
      assert.truthy(r.error.message:find("200", 1, true), r.error.message)
      return r.id
    end
    assert.equal(7, said '{"jsonrpc":"2.0","id":7,"method":"m","params":["%s"]}')
    assert.equal("seven", said ' { "method" : "m", "jsonrpc" : "2.0", "id" : "seven" , "params" : ["%s"] }')
    assert.equal(null, said '{"jsonrpc":"2.0","method":"m","params":["%s"],"id":7}')
    assert.equal(null, said '{"jsonrpc":"2.0","id":7.5,"method":"m","params":["%s"]}')
    assert.equal(null, said '{"a":{"id":7,"method":"m"},"id":8,"method":"%s"}')
    assert.equal(null, said '["%s"]')
    local call = task.spawn(function() return rpc:call("get", {}, { timeout = 60 }) end)
    local id = assert(mw.json.decode((assert(raw:recv { timeout = 60 })))).id
    assert(raw:send(('{"jsonrpc":"2.0","id":%s,"result":"%s"}'):format(mw.json.encode(id), long)))
    local value, why = call:join()
    assert.same({ "ERPC" }, { value == nil and why.code })
    assert.truthy(tostring(why):find("200", 1, true), tostring(why))
  end)

  it("answers no answer, whatever is wrong with it", function()
    local rpc, raw, _ <close> = json_raw()
    rpc:handle("ping", function() return "pong" end)
    for _, text in ipairs { '{"jsonrpc":"2.0","id":9,"result":1}', '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}',
      '{"jsonrpc":"2.0","id":1,"result":1,"error":{}}', '{"jsonrpc":"2.0","result":1}', '{"id":1,"result":1}',
      '{"jsonrpc":"2.0","id":[],"result":1}', '{"jsonrpc":"2.0","id":1,"error":5}' } do
      assert(raw:send(text))
    end
    assert.equal("pong", exchange(raw, '{"jsonrpc":"2.0","method":"ping","id":1}').result)
    assert.equal(3, rpc:stats().unknown)
  end)

  it("takes an error as it comes", function()
    local rpc, raw, _ <close> = json_raw()
    for _, failure in ipairs { '{}', '{"code":"x","message":5}', '{"code":1.5,"message":"m","data":null}', "5", '"x"', "null" } do
      local call = task.spawn(function() return rpc:call "x" end)
      local request = mw.json.decode(assert(raw:recv()))
      assert(raw:send(('{"jsonrpc":"2.0","id":%d,"error":%s}'):format(request.id, failure)))
      local v, err = call:join()
      assert.same({ nil, "ERPC", "table" }, { v, err.code, type(err.data) })
    end
    local call = task.spawn(function() return rpc:call "x" end)
    local request = mw.json.decode(assert(raw:recv()))
    assert(raw:send(('{"jsonrpc":"2.0","id":%d,"result":7,"error":null}'):format(request.id))) -- as version 1.0 had it
    assert.equal(7, call:join())
  end)

  it("ends a call at once by an answer that is none, and answers what nobody waits for", function()
    local rpc, raw, _ <close> = json_raw()
    for _, text in ipairs { '{"jsonrpc":"2.0","id":%d}', '{"id":%d,"result":5}', '{"jsonrpc":"1.0","id":%d,"error":"x"}',
      '{"jsonrpc":"2.0","id":%d,"result":5,"error":{"code":1,"message":"m"}}', '{"jsonrpc":"2.0","id":%d,"result":5,"error":false}' } do
      local call = task.spawn(function() return rpc:call("x", nil, { timeout = 60 }) end)
      assert(raw:send(text:format(mw.json.decode(assert(raw:recv())).id)))
      local v, err = call:join()
      assert.same({ nil, "ERPC", "string" }, { v, err.code, type(err.data.message) }, text)
    end
    assert.same({ -32600, 77 }, (function(r) return { r.error.code, r.id } end)(exchange(raw, '{"jsonrpc":"2.0","id":77}')))
  end)

  it("shows nothing of a peer's error that moves a cursor, and keeps it as it came", function()
    local a, b, _ <close> = json_pair()
    b:handle("escape", function() mw.rpc.fail(1, "red \27[31m\n" .. ("x"):rep(5000)) end)
    local _, err = a:call "escape"
    assert.is_nil(tostring(err):find "%c")
    assert.truthy(tostring(err):find("red \\x1b[31m\\x0a", 1, true) and #tostring(err) < 1100)
    assert.equal(5000 + 10, #err.data.message)
  end)

  it("does not say where a handler failed", function()
    local rpc, raw, _ <close> = json_raw()
    rpc:handle("bug", function() return nil + 1 end) -- luacheck: ignore
    local r = exchange(raw, '{"jsonrpc":"2.0","method":"bug","id":1}')
    assert.equal(-32000, r.error.code)
    assert.is_nil(r.error.message:find("spec", 1, true))
    assert.is_nil(r.error.message:find("traceback", 1, true))
  end)

  it("speaks over workers and their parent", function()
    local dir <close> = assert(mw.fs.tempdir())
    assert(mw.fs.write(dir.path .. "/worker.lua", [[
      local mw = require "moonwire"
      local rpc <close> = mw.rpc.json(mw.parent)
      rpc:handle("twice", function(p) return { p.x * 2, rpc:call("half", { p.x }) } end)
      rpc:wait()
    ]]))
    local worker <close> = assert(mw.worker.spawn(dir.path .. "/worker.lua"))
    local rpc <close> = mw.rpc.json(worker)
    rpc:handle("half", function(p) return p[1] / 2 end)
    assert.same({ 10, 2.5 }, rpc:call("twice", { x = 5 }, { timeout = 60 }))
  end)

  it("speaks over channels that carry values themselves", function()
    for _, codec in ipairs { "json", "msgpack" } do
      local sa, sb, _ <close> = both(streams())
      local a <close> = mw.rpc.json(sa:framed("u32le", { codec = codec }))
      local b <close> = mw.rpc.json(sb:framed("u32le", { codec = codec }))
      b:handle("add", function(p) return p[1] + p[2] end)
      b:handle("null", function() end)
      assert.equal(3, a:call("add", { 1, 2 }, { timeout = 60 }))
      assert.equal(null, a:call("null", nil, { timeout = 60 }))
    end
    local sa, sb, _ <close> = both(streams())
    local rpc <close> = mw.rpc.json(sa:framed("lines", { codec = "json" }))
    rpc:handle("ping", function() return "pong" end)
    local raw = sb:framed "lines"
    assert.equal(-32700, exchange(raw, "{").error.code)
    assert.equal(-32600, exchange(raw, "5").error.code)
    assert.equal("pong", exchange(raw, '{"jsonrpc":"2.0","method":"ping","id":1}').result)
  end)

  it("leaves unread what it has no place for", function()
    local rpc, raw, _ <close> = json_raw { concurrent = 1, queue = 4 }
    local gate, done = task.event(), 0
    rpc:on("note", function() gate:wait() done = done + 1 end)
    for _ = 1, 100 do assert(raw:send '{"jsonrpc":"2.0","method":"note"}') end
    until_true(function() return rpc:stats().waiting == 4 end)
    for _ = 1, 20 do task.pass() end
    assert.equal(5, rpc:stats().received)
    gate:set()
    until_true(function() return done == 100 end)
  end)

  it("ends a channel whose notifications drown an answer", function()
    local rpc, raw, _ <close> = json_raw { queue = 2 }
    rpc:on("note", function() task.wait() end)
    local call = task.spawn(function() return rpc:call "x" end)
    assert(raw:recv())
    for _ = 1, 100 do
      if not raw:send '{"jsonrpc":"2.0","method":"note"}' then break end
    end
    local v, err = call:join()
    assert.same({ nil, "ECLOSED" }, { v, err.code })
    assert.truthy(tostring(err):find("wait for their handlers", 1, true), tostring(err))
  end)

  it("refuses requests that drown an answer", function()
    local rpc, raw, _ <close> = json_raw { queue = 2, concurrent = 1 }
    local gate = task.event()
    rpc:handle("work", function() gate:wait() return "done" end)
    local call = task.spawn(function() return rpc:call "x" end)
    local request = mw.json.decode(assert(raw:recv()))
    for i = 1, 30 do assert(raw:send(('{"jsonrpc":"2.0","method":"work","id":%d}'):format(i))) end
    local r = mw.json.decode(assert(raw:recv { timeout = 60 }))
    assert.same({ -32000, "too many requests at the same time" }, { r.error.code, r.error.message })
    assert(raw:send(('{"jsonrpc":"2.0","id":%d,"result":"here"}'):format(request.id)))
    assert.equal("here", call:join())
    gate:set()
    local answers = 1
    for text in raw:messages { timeout = 60 } do
      assert.truthy(text)
      answers = answers + 1
      if answers == 30 then break end
    end
  end)

  it("lets a script end that only listens", function()
    local r = assert(mw.process.run { mw.env.MOONWIRE, "eval", "-A", [[
      local mw = require "moonwire"
      local child <close> = assert(mw.process.spawn { "cat", stdin = "pipe", stdout = "pipe" })
      local rpc = mw.rpc.json(child:stream():framed "lines")
      rpc:on("x", print)
      print "over"
    ]], timeout = 60 })
    assert.truthy(r.stdout:find("over", 1, true), r.stderr)
  end)
end)

describe("MessagePack-RPC", function()
  local function raw_pair(options)
    local a, b = streams()
    return both(mw.rpc.msgpack(a, options), b)
  end

  it("has the messages that its specification has", function()
    local rpc, raw, _ <close> = raw_pair()
    rpc:handle("add", function(p) return p[1] + p[2] end)
    assert(raw:write(mw.msgpack.encode { 0, 7, "add", { 1, 2 } }))
    assert.equal("\x94\x01\x07\xc0\x03", raw:read_exact(5, { timeout = 60 }))
    local call = task.spawn(function() return rpc:call("m", { 1 }) end)
    assert.equal("\x94\x00\x01\xa1m\x91\x01", raw:read_exact(7, { timeout = 60 }))
    assert(raw:write(mw.msgpack.encode { 1, 1, "no", null }))
    local v, err = call:join()
    assert.same({ nil, "ERPC", "no", "no" }, { v, err.code, err.data.message, err.data.data })
    assert(rpc:notify "n")
    assert.equal("\x93\x02\xa1n\x90", raw:read_exact(5, { timeout = 60 }))
    call = task.spawn(function() return rpc:call "m" end)
    raw:read_exact(6)
    assert(raw:write(mw.msgpack.encode { 1, 2, { 0, "Vim:E1" }, null }))
    err = select(2, call:join())
    assert.same({ 0, "Vim:E1" }, { err.data.code, err.data.message })
    call = task.spawn(function() return rpc:call("m", nil, { timeout = 60 }) end)
    raw:read_exact(6)
    assert(raw:write(mw.msgpack.encode { 1, 3, null }))
    assert.equal("ERPC", select(2, call:join()).code)
  end)

  it("finds messages whatever the pieces they come in", function()
    local rpc, raw, _ <close> = raw_pair()
    local got = {}
    rpc:on("note", function(p) got[#got + 1] = p end)
    local sent = { { 1, { x = "y" }, ("z"):rep(300) }, {}, { mw.msgpack.ext(1, "abc"), 1.5, -70000 }, { ("w"):rep(70000) }, { true } }
    local bytes = ""
    for _, p in ipairs(sent) do bytes = bytes .. mw.msgpack.encode { 2, "note", mw.json.array(p) } end
    for _, piece in ipairs { 1, 7, 4096, #bytes } do
      got = {}
      local at = 1
      while at <= #bytes do
        local n = piece < 100 and at > 600 and 5000 or piece
        assert(assert(raw:write(bytes:sub(at, at + n - 1))):flush())
        at = at + n
        if n < 100 then task.pass() end
      end
      until_true(function() return #got == #sent end)
      assert.equal(mw.msgpack.encode(sent[3]), mw.msgpack.encode(got[3]))
      assert.equal(70000, #got[4][1])
    end
  end)

  it("ends the channel over bytes that are no message's, and over one that is too long", function()
    for _, bytes in ipairs { "\xc1", "\x94\x00\x01\xc1\xc0", "\xdd\xff\xff\xff\xff", "\xc6\xff\xff\xff\xff", ("\x91"):rep(200) } do
      local rpc, raw, _ <close> = raw_pair()
      assert(raw:write(bytes))
      local ok, err = rpc:wait { timeout = 60 }
      assert.is_nil(ok)
      assert.truthy(err.code == "EPARSE" or err.code == "ELIMIT", tostring(err))
    end
    local rpc, raw, _ <close> = raw_pair { max = 100 }
    rpc:handle("len", function(p) return #p[1] end)
    assert(raw:write(mw.msgpack.encode { 0, 1, "len", { ("x"):rep(80) } }))
    assert.equal("\x94\x01\x01\xc0\x50", raw:read_exact(5, { timeout = 60 }))
    assert(raw:write(mw.msgpack.encode { 0, 1, "len", { ("x"):rep(100) } }))
    assert.equal("ELIMIT", select(2, rpc:wait { timeout = 60 }).code)
    local half, other = raw_pair()
    assert(other:write "\x94\x00")
    other:close()
    assert.equal("EEOF", select(2, half:wait { timeout = 60 }).code)
  end)

  it("gives its peer the end of a channel that broke, after the answers to what came before", function()
    local rpc, raw, _ <close> = raw_pair { max = 100 }
    local broke = task.event()
    rpc:handle("late", function()
      broke:wait()
      return "here"
    end)
    assert(raw:write(mw.msgpack.encode { 0, 1, "late", {} }, mw.msgpack.encode { 0, 2, "late", { ("x"):rep(100) } }))
    assert(task.spawn(function()
      local _, err = rpc:call("never", {}, { timeout = 60 })
      broke:set()
      return err
    end):join())
    local said = assert(raw:read("a", { timeout = 60 }))
    assert.equal("\x94\x01\x01\xc0\xa4here", said:sub(-9))
  end)

  it("ignores and counts messages that are none", function()
    local rpc, raw, _ <close> = raw_pair()
    rpc:handle("ping", function() return "pong" end)
    for _, v in ipairs { 1, "x", {}, { 5, 1, "m", {} }, { 0, "id", "m", {} }, { 2, 1, {} }, { 1, 77, null, 1 }, { 0, 1 } } do
      assert(raw:write(mw.msgpack.encode(v)))
    end
    assert(raw:write(mw.msgpack.encode { 0, 1, "ping", {} }))
    assert.equal("\x94\x01\x01\xc0\xa4pong", raw:read_exact(9, { timeout = 60 }))
    assert.same({ 7, 1 }, { rpc:stats().refused, rpc:stats().unknown })
  end)

  it("takes lists of arguments only", function()
    local rpc, raw, _ <close> = raw_pair()
    assert.error(function() rpc:call("m", { x = 1 }) end)
    assert.error(function() rpc:notify("m", { 1, x = 1 }) end)
    assert.truthy(raw)
  end)
end)

describe("rpc over a channel that gathers batches", function()
  local function pair(codec)
    local a, b = streams()
    local options = { batch = { delay = math.huge }, codec = codec }
    local ours, theirs = a:framed("u32le", options), b:framed("u32le", options)
    return ours, theirs, both(mw.rpc.msgpack(ours), mw.rpc.msgpack(theirs))
  end

  for _, codec in ipairs { "msgpack", "none" } do
    it("keeps no call and no answer back, and sends those of one turn together: codec " .. codec, function()
      local channel, other, a, b, _ <close> = pair(codec ~= "none" and codec or nil)
      local noted = {}
      a:handle("double", function(p) return 2 * p[1] end)
      b:handle("double", function(p) return 2 * p[1] end)
      b:on("note", function(p) noted[#noted + 1] = p[1] end)
      assert.equal(8, a:call("double", { 4 }, { timeout = 60 }))
      assert.equal(10, b:call("double", { 5 }, { timeout = 60 }))
      local before, answers = channel:stats().batches, other:stats().batches
      local sum = 0
      local function double(i) return a:call("double", { i }, { timeout = 60 }) end
      for _, v in task.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, double) do sum = sum + v end
      assert.equal(72, sum)
      assert.same({ 1, 1 }, { channel:stats().batches - before, other:stats().batches - answers })
      for i = 1, 3 do a:notify("note", { i }) end
      assert.equal(before + 1, channel:stats().batches) -- for these nobody waits
      assert.equal(2, a:call("double", { 1 }, { timeout = 60 }))
      until_true(function() return #noted == 3 end)
      assert.equal(before + 2, channel:stats().batches)
    end)
  end

  it("sends the answers that are still to come once the other side has said all", function()
    local channel, _, a, b, _ <close> = pair()
    local go = task.event()
    b:handle("wait", function()
      go:wait()
      return "done"
    end)
    local call = task.spawn(function() return a:call("wait", {}, { timeout = 60 }) end)
    until_true(function() return b:stats().running == 1 end)
    assert(channel:finish())
    until_true(function() return select(2, b:call("x")).code == "ECLOSED" end)
    go:set()
    assert.equal("done", (call:join()))
    assert.is_true(b:wait { timeout = 60 })
  end)
end)
