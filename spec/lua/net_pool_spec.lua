-- Pools of connections: what is reused, who waits, what is never lent again. Knows: mw, a server of our own.
local mw = require "moonwire"
local net, task = mw.net, mw.task

local count = 0

--- A server that answers each line, and does what some of them say.
local function serving(opts)
  count = count + 1
  local srv = assert(net.listen(("unix:@mw-spec-pool-%d-%d"):format(mw.sys.pid(), count), opts))
  task.spawn_with({ daemon = true }, srv.serve, srv, function(conn)
    for line in conn:lines() do
      if line == "bye" then return end
      if line == "last" then return conn:write("got last\n") end
      if line == "twice" then assert(conn:write("one\n")) end
      if line ~= "silence" then assert(conn:write("got ", line, "\n")) end
    end
  end)
  return srv, srv:address()
end

local function ask(c, text)
  assert(c:write(text, "\n"))
  return c:read("l")
end

--- Waits until the peer's end has arrived.
local function ended(c)
  return (c:read("l"))
end

describe("a connection pool", function()
  it("uses a connection again", function()
    local srv <close>, url = serving()
    local pool <close> = net.pool()
    for i = 1, 5 do
      assert.equal("got " .. i, pool:with(url, function(c) return ask(c, i) end))
    end
    local st = pool:stats()
    assert.same({ 1, 4, 1, 0, 1 }, { st.created, st.reused, st.idle, st.in_use, st.open })
    assert.equal(1, srv:stats().accepted)
  end)

  it("gives all results of the function, and nil and the error when there is no connection", function()
    local _srv <close>, url = serving()
    local pool <close> = net.pool()
    assert.same({ 1, nil, 3, n = 3 }, table.pack(pool:with(url, function() return 1, nil, 3 end)))
    local none, err = pool:with("unix:@mw-spec-nobody-" .. mw.sys.pid(), function() error("not called") end)
    assert.same({ nil, "ECONNREFUSED" }, { none, err.code })
    assert.equal(0, pool:stats().in_use)
  end)

  it("keeps connections with other options apart", function()
    local _srv <close>, url = serving()
    local pool <close> = net.pool()
    pool:acquire(url):close()
    pool:acquire(url, { idle_timeout = 5 }):close()
    pool:acquire(url, { idle_timeout = 5, timeout = 3 }):close()
    pool:acquire(url):close()
    local st = pool:stats()
    assert.same({ 2, 2 }, { st.created, st.reused })
  end)

  it("lends no more than max_per_key of one address, and serves those who wait in their order", function()
    local _srv <close>, url = serving()
    local pool <close> = net.pool { max = 8, max_per_key = 2 }
    local a, b = pool:acquire(url), pool:acquire(url)
    local order = {}
    task.scope(function(s)
      for i = 1, 4 do
        s:spawn(function()
          local _c <close> = assert(pool:acquire(url))
          order[#order + 1] = i
        end)
      end
      task.pass()
      assert.same({ 2, 4 }, { pool:stats().in_use, pool:stats().waiting })
      a:close()
      b:close()
    end)
    assert.same({ 1, 2, 3, 4 }, order)
    assert.equal(2, pool:stats().created)
  end)

  it("lets a full address hold up nobody else", function()
    local _one <close>, url1 = serving()
    local _two <close>, url2 = serving()
    local pool <close> = net.pool { max = 4, max_per_key = 1 }
    local held = pool:acquire(url1)
    local waiter = task.spawn(function() return pool:acquire(url1) end)
    task.pass()
    assert.equal(1, pool:stats().waiting)
    local other <close> = assert(pool:acquire(url2, { timeout = 60 }))
    assert.equal("got x", ask(other, "x"))
    held:close()
    waiter:join():close()
  end)

  it("closes the least recently used idle connection when it is full", function()
    local _one <close>, url1 = serving()
    local _two <close>, url2 = serving()
    local _three <close>, url3 = serving()
    local pool <close> = net.pool { max = 2 }
    pool:acquire(url1):close()
    pool:acquire(url2):close()
    pool:acquire(url1):close() -- now url2's is the oldest
    pool:acquire(url3):close()
    local st = pool:stats()
    assert.same({ 3, 1, 1, 1, 2 }, { st.created, st.reused, st.evicted, st.destroyed, st.idle })
    pool:acquire(url1):close()
    assert.equal(2, pool:stats().reused)
  end)

  it("times out, and keeps its place for the others", function()
    local _srv <close>, url = serving()
    local pool <close> = net.pool { max = 1, acquire_timeout = 0.02 }
    local c = assert(pool:acquire(url, { timeout = 20 }))
    local none, err = pool:acquire(url)
    assert.same({ nil, "ETIMEDOUT" }, { none, err.code })
    assert.truthy(err.message:find("1 in use", 1, true))
    c:close()
    assert(pool:acquire(url, { timeout = 20 })):close()
    assert.equal(0, pool:stats().waiting)
  end)

  it("refuses more waiters than max_waiting", function()
    local _srv <close>, url = serving()
    local pool <close> = net.pool { max = 1, max_waiting = 1 }
    local c = pool:acquire(url)
    local waiter = task.spawn(pool.acquire, pool, url)
    task.pass()
    local none, err = pool:acquire(url)
    assert.same({ nil, "EAGAIN" }, { none, err.code })
    c:close()
    waiter:join():close()
  end)

  it("forgets a waiter that is cancelled, also when its turn has just come", function()
    local _srv <close>, url = serving()
    local pool <close> = net.pool { max = 1 }
    local c = pool:acquire(url)
    local first = task.spawn(function()
      local _ <close> = pool:acquire(url)
      task.wait()
    end)
    local second = task.spawn(function() return pool:acquire(url) end)
    task.pass()
    c:close()       -- first has it, and has not run yet
    first:cancel()
    local d <close> = second:join()
    assert.equal("got on", ask(d, "on"))
    assert.equal("ECANCELED", select(2, first:join()).code)
    assert.same({ 1, 0 }, { pool:stats().in_use, pool:stats().waiting })
  end)

  it("forgets a waiter that is cancelled before its turn", function()
    local _srv <close>, url = serving()
    local pool <close> = net.pool { max = 1 }
    local c = pool:acquire(url)
    local first = task.spawn(pool.acquire, pool, url)
    task.pass()
    first:cancel()
    assert.equal("ECANCELED", select(2, first:join()).code)
    assert.equal(0, pool:stats().waiting)
    c:close()
    assert.same({ 1, 1 }, { pool:stats().created, pool:stats().idle })
  end)

  it("goes on when a connection cannot be made while others wait", function()
    local _srv <close>, url = serving()
    local pool <close> = net.pool { max = 1 }
    local nobody = "unix:@mw-spec-nobody-" .. mw.sys.pid()
    local results = {}
    task.scope(function(s)
      for i = 1, 3 do
        s:spawn(function()
          local c, err = pool:acquire(i == 2 and url or nobody)
          results[i] = c and "ok" or err.code
          if c then c:close() end
        end)
      end
    end)
    assert.same({ "ECONNREFUSED", "ok", "ECONNREFUSED" }, results)
    assert.same({ 0, 0 }, { pool:stats().in_use, pool:stats().waiting })
  end)

  it("raises a denial and keeps nothing of it", function()
    local r = assert(mw.process.run {
      os.getenv("MOONWIRE"), "run", "-", stdin = [[
        local mw = require "moonwire"
        local pool <close> = mw.net.pool{ max = 1 }
        for _ = 1, 3 do
          local ok, err = pcall(pool.acquire, pool, "tcp://127.0.0.1:1")
          print(ok, err.code, err.hint, pool:stats().in_use)
        end]],
    })
    assert.equal(("false\tEDENIED\tgrant it with --allow-net=127.0.0.1:1\t0\n"):rep(3), r.stdout)
  end)
end)

describe("a lent connection", function()
  --- How many were made in all after `use` had one and another one was borrowed.
  local function made_after(use, opts)
    local _srv <close>, url = serving()
    local pool <close> = net.pool(opts)
    local c = assert(pool:acquire(url))
    use(c, pool)
    c:close()
    local d <close> = assert(pool:acquire(url))
    assert.equal("got next", ask(d, "next"))
    return pool:stats().created
  end

  it("is used again after an ordinary exchange", function()
    assert.equal(1, made_after(function(c) ask(c, "x") end))
  end)

  it("is not used again with input that nobody read, here or on its way", function()
    assert.equal(2, made_after(function(c) assert(c:write("twice\n")) c:read("l") c:peek(1) end))
    assert.equal(2, made_after(function(c)
      assert(c:write("x\n"))
      c:read_some(1)
    end))
  end)

  it("is not used again while a reply may still come", function()
    assert.equal(2, made_after(function(c)
      assert(c:write("silence\n"))
      assert.equal("ETIMEDOUT", select(2, c:read("l", { timeout = 0.01 })).code)
    end))
  end)

  it("is not used again after a call that failed or raised", function()
    assert.equal(2, made_after(function(c) assert.is_nil(c:read_until("\r\n\r\n", { timeout = 0 })) end))
    assert.equal(2, made_after(function(c) assert.falsy(pcall(c.write, c, {})) end))
    assert.equal(2, made_after(function(c) assert.falsy(pcall(c:lines { timeout = 0.01 })) end))
  end)

  it("is not used again half closed, closed by the peer, or with unsent bytes", function()
    assert.equal(2, made_after(function(c) assert(c:finish()) end))
    assert.equal(2, made_after(function(c) assert(c:write("bye\n")) ended(c) end))
    local srv <close> = assert(net.listen("unix:@mw-spec-pool-deaf-" .. mw.sys.pid()))
    local pool <close> = net.pool()
    local c = assert(pool:acquire(srv:address()))
    assert(c:write(("x"):rep(900000))) -- nobody reads: below the mark, above what the system takes
    c:close()
    assert.equal(1, pool:stats().destroyed)
  end)

  it("is used again when what was written last was taken", function()
    local srv <close> = assert(net.listen("unix:@mw-spec-pool-patient-" .. mw.sys.pid()))
    local pool <close> = net.pool()
    for _ = 1, 2 do
      local c = assert(pool:acquire(srv:address()))
      for _, word in ipairs { "one\n", "two\n", "three\n" } do assert(c:write(word)) end
      c:close()
    end
    assert.same({ 1, 1, 0 }, { pool:stats().created, pool:stats().idle, pool:stats().destroyed })
  end)

  it("is not used again while another task reads from it", function()
    assert.equal(2, made_after(function(c)
      local reader = task.spawn_with({ daemon = true }, function() return c:read("l") end)
      task.pass()
      assert.falsy(reader:done())
    end))
  end)

  it("is not used again when the borrower's function fails", function()
    local _srv <close>, url = serving()
    local pool <close> = net.pool()
    local ok, why = pcall(pool.with, pool, url, function() error("mine", 0) end)
    assert.same({ false, "mine", 1, 0 }, { ok, why, pool:stats().destroyed, pool:stats().idle })
  end)

  it("is not used again when a frame of its channel did not come", function()
    assert.equal(2, made_after(function(c)
      local ch = c:framed("lines")
      assert(ch:send("silence"))
      assert.equal("ETIMEDOUT", select(2, ch:recv { timeout = 0.01 }).code)
    end))
    assert.equal(1, made_after(function(c)
      local ch = c:framed("lines")
      assert(ch:send("x"))
      assert.equal("got x", ch:recv { timeout = 60 })
    end))
  end)

  it("answers ECLOSED once it was given back, whoever has the connection now", function()
    local _srv <close>, url = serving()
    local pool <close> = net.pool()
    local c = pool:acquire(url)
    local lines, ch = c:lines(), c:framed("lines")
    c:close()
    local d <close> = pool:acquire(url)
    assert.equal("ECLOSED", select(2, c:write("x")).code)
    assert.equal("ECLOSED", select(2, c:read("l")).code)
    assert.equal("ECLOSED", select(2, ch:send("x")).code)
    assert.equal("ECLOSED", select(2, pcall(lines)).code)
    assert.is_true(c:close())
    assert.equal("got mine", ask(d, "mine"))
    assert.equal(1, pool:stats().in_use)
  end)

  it("speaks as a stream does", function()
    local _srv <close>, url = serving()
    local pool <close> = net.pool()
    local c <close> = pool:acquire(url)
    assert.equal(c, c:write("a\n", 1, "\n"))
    local lines = c:lines()
    assert.same({ "got a", "got 1" }, { lines(), lines() })
    assert.is_true(c:alive())
    assert.equal(12, c:stats().bytes_in)
    assert.equal(mw.sys.uid(), c:peer().uid)
    assert.is_nil(c.nosuch)
  end)
end)

describe("the health of an idle connection", function()
  it("is looked at before it is used again: one that died is replaced", function()
    local srv <close>, url = serving()
    local pool <close> = net.pool()
    assert.equal("got last", pool:with(url, function(c) return ask(c, "last") end))
    while srv:stats().open > 0 do task.pass() end
    assert.equal("got x", pool:with(url, function(c) return ask(c, "x") end))
    assert.same({ 2, 1, 0 }, { pool:stats().created, pool:stats().destroyed, pool:stats().reused })
  end)

  it("is asked of `validate`, which may talk to the peer", function()
    local _srv <close>, url = serving()
    local asked, good = 0, true
    local pool <close> = net.pool { validate = function(c)
      asked = asked + 1
      return ask(c, "ping") == "got ping" and good
    end }
    for _ = 1, 3 do pool:with(url, function(c) return ask(c, "x") end) end
    assert.same({ 2, 1, 2 }, { asked, pool:stats().created, pool:stats().reused })
    good = false
    pool:with(url, function(c) return ask(c, "x") end)
    assert.same({ 2, 1 }, { pool:stats().created, pool:stats().destroyed })
  end)

  it("is bad when `validate` raises, takes too long, or leaves something unread", function()
    for _, validate in ipairs {
      function() error("no") end,
      function() task.wait() end,
      function(c) return c:write("x\n") and c:peek(1) end,
    } do
      local _srv <close>, url = serving()
      local pool <close> = net.pool { validate = validate, acquire_timeout = 20 }
      pool:acquire(url):close()
      local d <close>, err = pool:acquire(url, { timeout = 0.05 })
      if not d then assert.equal("ETIMEDOUT", err.code) end
      assert.equal(1, pool:stats().destroyed)
    end
  end)

  it("ends after idle_timeout and after max_lifetime", function()
    local _srv <close>, url = serving()
    for _, opts in ipairs { { idle_timeout = 0.01 }, { max_lifetime = 0.01 } } do
      local pool <close> = net.pool(opts)
      pool:acquire(url):close()
      while pool:stats().open > 0 do task.sleep(0.005) end
      assert.same({ 1, 0 }, { pool:stats().destroyed, pool:stats().evicted })
    end
  end)
end)

describe("the end of a connection pool", function()
  it("is ECLOSED for those who wait and those who come", function()
    local _srv <close>, url = serving()
    local pool = net.pool { max = 1 }
    local c = pool:acquire(url)
    local waiter = task.spawn(function() return pool:acquire(url) end)
    task.pass()
    pool:close()
    pool:close()
    assert.equal("ECLOSED", select(2, waiter:join()).code)
    assert.equal("ECLOSED", select(2, pool:acquire(url)).code)
    assert.equal("got on", ask(c, "on")) -- what is lent goes on until it is given back
    c:close()
    assert.same({ 0, 1 }, { pool:stats().open, pool:stats().destroyed })
  end)

  it("finds a connection that was being made, and closes it", function()
    local _srv <close>, url = serving()
    local pool = net.pool()
    local one = task.spawn(function() return pool:acquire(url) end)
    task.pass()
    pool:close()
    local c, err = one:join()
    assert.is_true(c == nil and err.code == "ECLOSED" or c:close())
    assert.equal(0, pool:stats().open)
  end)

  it("waits for borrowers and those before them when it drains", function()
    local _srv <close>, url = serving()
    local pool = net.pool { max = 1 }
    local c = pool:acquire(url)
    local waiter = task.spawn(function() return pool:with(url, function(d) return ask(d, "last") end) end)
    task.pass()
    local none, err = pool:drain { timeout = 0.01 }
    assert.same({ nil, "ETIMEDOUT" }, { none, err.code })
    assert.equal("ECLOSED", select(2, pool:acquire(url)).code)
    local drained = task.spawn(pool.drain, pool)
    task.pass()
    c:close()
    assert.is_true(drained:join())
    assert.equal("got last", waiter:join())
    assert.equal(0, pool:stats().open)
  end)

  it("is nobody's loss: a lent connection that is forgotten is closed, with a warning", function()
    local r = assert(mw.process.run {
      os.getenv("MOONWIRE"), "run", "-A", "-", stdin = [[
        local mw = require "moonwire"
        local srv <close> = assert(mw.net.listen("unix:@mw-spec-pool-gc-" .. mw.sys.pid()))
        do
          local pool = mw.net.pool()
          assert(pool:acquire(srv:address()))
          collectgarbage() collectgarbage()
          print(pool:stats().in_use, pool:stats().destroyed)
          pool:acquire(srv:address()):close()
        end
        collectgarbage() collectgarbage() collectgarbage()]],
    })
    assert.equal("0\t1\n", r.stdout)
    assert.truthy(r.stderr:find("borrowed at .*:5 was never given back"), r.stderr)
    assert.truthy(r.stderr:find("connection pool made at .*:4 was never closed"), r.stderr)
  end)

  it("warns once of a connection that is not given back, with the borrower's traceback", function()
    local r = assert(mw.process.run {
      os.getenv("MOONWIRE"), "run", "-A", "-", stdin = [[
        local mw = require "moonwire"
        local srv <close> = assert(mw.net.listen("unix:@mw-spec-pool-leak-" .. mw.sys.pid()))
        local pool <close> = mw.net.pool{ leak_after = 0.01 }
        local function borrower() return assert(pool:acquire(srv:address())) end
        local c <close> = borrower()
        mw.task.sleep(0.1)]],
    })
    assert.equal(1, select(2, r.stderr:gsub("has not been given back", "")), r.stderr)
    assert.truthy(r.stderr:find(":4: in local 'borrower'", 1, true), r.stderr)
  end)
end)

describe("options of a connection pool", function()
  it("are checked", function()
    for _, bad in ipairs { { max = 0 }, { max_per_key = 0 }, { max_conns = 3 }, { acquire_timeout = "x" }, { validate = true } } do
      local ok, err = pcall(net.pool, bad)
      assert.same({ false, "EINVAL" }, { ok, err.code })
    end
    local pool <close> = net.pool()
    local x = "unix:@x"
    for _, args in ipairs { {}, { 1 }, { x, 1 }, { "nonsense" }, { x, { nosuch = 1 } }, { x, { timeout = "x" } } } do
      local ok, err = pcall(pool.acquire, pool, table.unpack(args))
      assert.same({ false, "EINVAL" }, { ok, err and err.code })
    end
    assert.equal("EINVAL", select(2, pcall(pool.with, pool, "unix:@x")).code)
    assert.same({ 0, 0 }, { pool:stats().in_use, pool:stats().open })
  end)
end)
