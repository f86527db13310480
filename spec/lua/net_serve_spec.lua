-- serve: a task and a scope for each connection, what a failing handler does, and how serving ends.
local mw = require "moonwire"
local net, task = mw.net, mw.task

local count = 0

--- A listener with a name of its own, and its serve running as a daemon of the test.
local function serving(handler, serve_opts, listen_opts)
  count = count + 1
  local srv = assert(net.listen(("unix:@mw-spec-serve-%d-%d"):format(mw.sys.pid(), count), listen_opts))
  local server = task.spawn_with({ daemon = true }, srv.serve, srv, handler, serve_opts)
  return srv, server
end

local function echo(conn)
  for line in conn:lines() do assert(conn:write(line, "\n")) end
end

describe("serve", function()
  it("serves many connections side by side", function()
    local srv <close> = serving(echo)
    local conns = {}
    for i = 1, 20 do conns[i] = assert(net.connect(srv:address())) end
    for i = 20, 1, -1 do assert(conns[i]:write(i, "\n")) end
    for i, c in ipairs(conns) do
      assert.equal(tostring(i), c:read("l"))
      c:close()
    end
    assert.equal(20, srv:stats().accepted)
  end)

  it("closes the connection when the handler ends, after all that it wrote", function()
    local big = ("x"):rep(4 * 1024 * 1024)
    local srv <close> = serving(function(conn) assert(conn:write(big)) end)
    local c <close> = assert(net.connect(srv:address()))
    assert.equal(#big, #c:read("a"))
  end)

  it("ends only the connection whose handler fails, counts it and logs it", function()
    local srv <close> = serving(function(conn)
      for line in conn:lines() do
        if line == "bad" then error("no good") end
        assert(conn:write("ok ", line, "\n"))
      end
    end)
    local good <close> = assert(net.connect(srv:address()))
    local bad <close> = assert(net.connect(srv:address()))
    assert(good:write("1\n"))
    assert.equal("ok 1", good:read("l"))
    assert(bad:write("bad\n"))
    assert.is_nil(bad:read("l"))
    assert(good:write("2\n"))
    assert.equal("ok 2", good:read("l"))
    assert.equal(1, srv:stats().failed)
  end)

  it("raises a handler's error when asked to, and ends the others", function()
    local srv <close> = assert(net.listen("unix:@mw-spec-raise-" .. mw.sys.pid()))
    local server = task.spawn(pcall, srv.serve, srv, function(conn)
      if conn:read("l") == "bad" then mw.fail("EMINE", "no good") end
      conn:read("l")
    end, { on_error = "raise" })
    local good <close> = assert(net.connect(srv:address()))
    local bad <close> = assert(net.connect(srv:address()))
    assert(good:write("hello\n"))
    assert(bad:write("bad\n"))
    local ok, err = server:join()
    assert.is_false(ok)
    assert.equal("EMINE", err.code)
    assert.is_nil((good:read("l")))
  end)

  it("returns true after close and cancels what still runs", function()
    local ended = task.channel(1)
    local srv, server = serving(function(conn)
      local _ <close> = setmetatable({}, { __close = function() ended:send("closed") end })
      conn:read("l")
    end)
    local c <close> = assert(net.connect(srv:address()))
    assert(c:write("not a whole line"))
    while srv:stats().accepted == 0 do task.pass() end
    srv:close()
    assert.is_true(server:join())
    assert.equal("closed", ended:recv())
    assert.is_nil((c:read("l")))
  end)

  it("lets open connections end by themselves when it is drained", function()
    local srv, server = serving(echo)
    local c = assert(net.connect(srv:address()))
    assert(c:write("1\n"))
    assert.equal("1", c:read("l"))
    local drained, err = srv:drain { timeout = 0.01 }
    assert.is_nil(drained)
    assert.equal("ETIMEDOUT", err.code)
    assert.equal("ECONNREFUSED", select(2, net.connect(srv:address())).code)
    assert(c:write("2\n"))
    assert.equal("2", c:read("l"))
    local waiting = task.spawn(srv.drain, srv)
    c:close()
    assert.is_true(waiting:join())
    assert.is_true(server:join())
  end)

  it("cancels open connections when it is closed while it drains", function()
    local srv, server = serving(echo)
    local c <close> = assert(net.connect(srv:address()))
    assert(c:write("1\n"))
    assert.equal("1", c:read("l"))
    assert.equal("ETIMEDOUT", select(2, srv:drain { timeout = 0 }).code)
    srv:close()
    assert.is_true(server:join())
    assert.is_nil((c:read("l")))
  end)

  it("waits for the tasks that a handler has started", function()
    local srv <close> = serving(function(conn)
      task.spawn(function()
        task.sleep(0)
        assert(conn:write("from a task\n"))
      end)
    end)
    local c <close> = assert(net.connect(srv:address()))
    assert.equal("from a task", c:read("l"))
    assert.is_nil(c:read("l"))
  end)

  it("takes limits of its own", function()
    local srv <close> = serving(echo, { max_conns = 1 })
    local first = assert(net.connect(srv:address()))
    assert(first:write("1\n"))
    assert.equal("1", first:read("l"))
    local second <close> = assert(net.connect(srv:address()))
    assert(second:write("2\n"))
    assert.equal("ETIMEDOUT", select(2, second:read("l", { timeout = 0.02 })).code)
    first:close()
    assert.equal("2", second:read("l"))
  end)

  it("refuses what is no handler and unknown options", function()
    local srv <close> = assert(net.listen("unix:@mw-spec-bad-" .. mw.sys.pid()))
    assert.equal("EINVAL", select(2, pcall(srv.serve, srv)).code)
    assert.equal("EINVAL", select(2, pcall(srv.serve, srv, echo, { on_error = "shout" })).code)
    assert.equal("EINVAL", select(2, pcall(srv.serve, srv, echo, { max_con = 1 })).code)
    assert.equal("EINVAL", select(2, pcall(srv.serve, {}, echo)).code)
  end)
end)
