-- Limits of sockets: connections, idle time, bytes held back, descriptors; and many connections at once.
local mw = require "moonwire"
local net, task = mw.net, mw.task
local program = os.getenv("MOONWIRE") or "moonwire"

local count = 0
local function abstract()
  count = count + 1
  return ("unix:@mw-spec-limits-%d-%d"):format(mw.sys.pid(), count)
end

local function serve(address, handler, opts)
  local srv = assert(net.listen(address, opts))
  task.spawn_with({ daemon = true }, srv.serve, srv, handler)
  return srv
end

local function echo(conn)
  for line in conn:lines() do assert(conn:write(line, "\n")) end
end

describe("a listener", function()
  it("leaves connections beyond max_conns in the backlog until there is room", function()
    local srv <close> = assert(net.listen(abstract(), { max_conns = 2 }))
    local clients, taken = {}, {}
    for i = 1, 3 do clients[i] = assert(net.connect(srv:address())) end
    for i = 1, 2 do taken[i] = assert(srv:accept { timeout = 60 }) end
    assert.equal("ETIMEDOUT", select(2, srv:accept { timeout = 0.02 }).code)
    assert.equal(2, srv:stats().open)
    local third = task.spawn(srv.accept, srv)
    taken[1]:close()
    taken[3] = assert(third:join())
    assert(clients[3]:write("x"))
    assert.equal("x", taken[3]:read(1))
    for i = 1, 3 do
      taken[i]:close()
      clients[i]:close()
    end
    assert.equal(0, srv:stats().open)
  end)

  for _, address in ipairs { "tcp://127.0.0.1:0", "unix:" } do
    it("closes at once what one peer opens beyond its share (" .. address .. ")", function()
      local srv <close> = serve(address == "unix:" and abstract() or address, echo, { max_conns_per_peer = 2 })
      local a, b = assert(net.connect(srv:address())), assert(net.connect(srv:address()))
      assert(a:write("a\n"))
      assert.equal("a", a:read("l"))
      assert(b:write("b\n"))
      assert.equal("b", b:read("l"))
      local c <close> = assert(net.connect(srv:address()))
      assert.is_nil((c:read("l")))
      assert.equal(1, srv:stats().limited)
      a:close()
      while srv:stats().open > 1 do task.sleep(0) end
      local d <close> = assert(net.connect(srv:address()))
      assert(d:write("d\n"))
      assert.equal("d", d:read("l"))
      b:close()
    end)
  end

  it("closes a connection on which nothing moves", function()
    local srv <close> = serve(abstract(), echo, { idle_timeout = 2 })
    local c <close> = assert(net.connect(srv:address()))
    assert(c:write("1\n"))
    assert.equal("1", c:read("l"))
    assert.is_nil((c:read("l")))
    assert.equal(0, srv:stats().open)
  end)

  it("counts a connection that was idle for too long, and does not call its handler failed", function()
    local srv <close> = assert(net.listen(abstract(), { idle_timeout = 0.05 }))
    local serving = task.spawn(srv.serve, srv, echo, { on_error = "raise" })
    local c <close> = assert(net.connect(srv:address()))
    assert.is_nil((c:read("l")))
    assert(srv:drain())
    assert.is_true(serving:join())
    assert.equal(1, srv:stats().idle)
    assert.equal(0, srv:stats().failed)
  end)

  it("closes a connection whose peer takes nothing of what is unsent", function()
    local why = task.channel(1)
    local srv <close> = serve(abstract(), function(conn)
      local ok, err
      repeat ok, err = conn:write(("x"):rep(65536)) until not ok
      why:send(err.code)
    end, { stall_timeout = 0.05 })
    local _ <close> = assert(net.connect(srv:address()))
    assert.equal("ECLOSED", why:recv())
  end)

  it("lets no peer take what was cut off for the whole", function()
    local over = task.channel(1)
    local srv <close> = serve("tcp://127.0.0.1:0", function(conn)
      local ok
      repeat ok = conn:write(("x"):rep(65536)) until not ok
      over:send(true)
    end, { stall_timeout = 0.05 })
    local c <close> = assert(net.connect(srv:address()))
    over:recv()
    local part, err
    repeat part, err = c:read_some(1024 * 1024) until not part
    assert.equal("ECONNRESET", err and err.code)
  end)
end)

describe("back-pressure", function()
  local CHUNK, CHUNKS = ("x"):rep(65536), 256 -- 16 MiB

  it("makes the writer wait for a peer that stops reading, and nobody else", function()
    local written = 0
    local srv <close> = serve(abstract(), function(conn)
      if conn:read("l") == "echo" then return echo(conn) end
      for _ = 1, CHUNKS do
        assert(conn:write(CHUNK))
        written = written + #CHUNK
      end
    end)
    local slow <close> = assert(net.connect(srv:address(), { stall_timeout = 0 }))
    assert(slow:write("give\n"))
    local other <close> = assert(net.connect(srv:address()))
    assert(other:write("echo\n"))
    for i = 1, 300 do
      assert(other:write(i, "\n"))
      assert.equal(tostring(i), other:read("l"))
    end
    assert.truthy(written > 0)
    assert.truthy(written < 4 * 1024 * 1024)
    local got = 0
    repeat
      local piece = slow:read_some(1024 * 1024)
      got = got + #(piece or "")
    until not piece
    assert.equal(CHUNKS * #CHUNK, got)
  end)

  it("holds a little more than a mebibyte, however many tasks write", function()
    local most, TASKS, PIECE = 0, 40, 1024 * 1024
    local conn
    local srv <close> = serve(abstract(), function(c)
      conn = c
      task.scope(function(s)
        for i = 1, TASKS do s:spawn(function() assert(c:write(string.char(i):rep(PIECE))) end) end
        s:spawn(function()
          for _ = 1, 20 do
            most = math.max(most, c:stats().unsent)
            task.pass()
          end
        end)
      end)
    end)
    local slow <close> = assert(net.connect(srv:address(), { stall_timeout = 0 }))
    local seen, n = {}, 0
    repeat
      local piece = slow:read_exact(PIECE)
      if piece then
        n = n + 1
        seen[piece:sub(1, 1)] = piece == piece:sub(1, 1):rep(PIECE)
        most = math.max(most, conn:stats().unsent)
      end
    until not piece
    assert.equal(TASKS, n)
    for i = 1, TASKS do assert.is_true(seen[string.char(i)]) end
    assert.truthy(most > 0 and most < 3 * PIECE, tostring(most))
  end)

  it("ends the writes that wait for their turn when it is closed, or finished", function()
    for _, way in ipairs { "close", "finish" } do
      local srv <close> = assert(net.listen(abstract()))
      local slow <close> = assert(net.connect(srv:address()))
      local conn <close> = assert(srv:accept())
      local codes = {}
      task.scope(function(s)
        for i = 1, 3 do
          s:spawn(function()
            local ok, err = conn:write(("x"):rep(4 * 1024 * 1024))
            codes[i] = ok and "written" or err.code
          end)
        end
        task.pass()
        conn[way](conn)
        if way == "finish" then
          repeat local piece = slow:read_some() until not piece
        end
      end)
      assert.same({ way == "close" and "ECLOSED" or "written", "ECLOSED", "ECLOSED" }, codes)
    end
  end)

  it("stops reading from a peer that is not listened to", function()
    local srv <close> = assert(net.listen(abstract()))
    local c <close> = assert(net.connect(srv:address(), { stall_timeout = 0 }))
    local conn <close> = assert(srv:accept { timeout = 60 })
    local sent = 0
    local sender = task.spawn(function()
      for _ = 1, CHUNKS do
        assert(c:write(CHUNK))
        sent = sent + #CHUNK
      end
      assert(c:finish())
    end)
    for _ = 1, 300 do task.pass() end
    assert.equal("x", conn:read(1))
    for _ = 1, 300 do task.sleep(0) end
    assert.truthy(sent < 8 * 1024 * 1024)
    local got = 1
    repeat
      local piece = conn:read_some(1024 * 1024)
      got = got + #(piece or "")
    until not piece
    assert.equal(CHUNKS * #CHUNK, got)
    sender:join()
  end)
end)

describe("a server without descriptors to spare", function()
  it("drops who it cannot take, says so once a second, and goes on with the others", function()
    local address = abstract()
    local child <close> = assert(mw.process.spawn { "sh", "-c", 'ulimit -n 40; exec "$0" eval -A "$1" "$2"', program, [[
      local mw = require "moonwire"
      local srv = assert(mw.net.listen(arg[1], { backlog = 200 }))
      mw.task.spawn_with({ daemon = true }, srv.serve, srv, function(conn)
        for line in conn:lines() do assert(conn:write(line, "\n")) end
      end)
      print("ready")
      io.read("l")
      local st = srv:stats()
      print(st.accepted, st.dropped)
    ]], address, stdin = "pipe", stdout = "pipe", stderr = "pipe" })
    assert.equal("ready", child.stdout:read("l"))
    local conns, served, dropped = {}, 0, 0
    for i = 1, 60 do
      conns[i] = assert(net.connect(address, { timeout = 60 }))
      conns[i]:write(i, "\n")
    end
    local alive
    for i, c in ipairs(conns) do
      if c:read("l") == tostring(i) then
        served = served + 1
        alive = alive or c
      else
        dropped = dropped + 1
      end
    end
    assert.truthy(served >= 10)
    assert.truthy(dropped >= 20)
    assert(alive:write("still here\n"))
    assert.equal("still here", alive:read("l"))
    for _, c in ipairs(conns) do c:close() end
    assert(child.stdin:write("\n"))
    assert.equal(("%d\t%d"):format(served, dropped), child.stdout:read("l"))
    assert.equal(0, child:wait().code)
    local lines = select(2, child.stderr:read("a"):gsub("too many open files", ""))
    assert.truthy(lines >= 1)
    assert.truthy(lines < dropped)
  end)
end)

describe("many connections", function()
  --- Descriptors that this process may open.
  local function room()
    return tonumber(assert(mw.fs.read("/proc/self/limits")):match("Max open files%s+(%d+)"))
  end

  --- `n` connections from another process, each served a line, all open at the same time.
  local function many(n)
    if room() < n + 100 then return pending(("needs %d descriptors: raise ulimit -n"):format(n + 100)) end
    local srv <close> = serve(abstract(), echo, { max_conns = n, max_conns_per_peer = n })
    local child <close> = assert(mw.process.spawn { program, "eval", "-A", [[
      local mw = require "moonwire"
      local n, conns, right = tonumber(arg[2]), {}, 0
      for i = 1, n do
        conns[i] = assert(mw.net.connect(arg[1]))
        assert(conns[i]:write(i, "\n"))
      end
      for i = 1, n do
        if conns[i]:read("l") == tostring(i) then right = right + 1 end
      end
      print(right)
      io.read("l")
    ]], srv:address(), tostring(n), stdin = "pipe", stdout = "pipe" })
    assert.equal(tostring(n), child.stdout:read("l"))
    assert.equal(n, srv:stats().open)
    child.stdin:close()
    assert.equal(0, child:wait().code)
    while srv:stats().open > 0 do task.sleep(0) end
    assert.equal(n, srv:stats().accepted)
  end

  it("are served, two thousand at once", function() many(2000) end)
  it("are served, ten thousand at once", function() many(10000) end)
end)
