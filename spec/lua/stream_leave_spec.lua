-- A connection that is closed although its peer has said more than anybody read: what was written arrives, and an end after it.
local mw = require "moonwire"
local ca = dofile "spec/support/tls_ca.lua"
local net, process, task = mw.net, mw.process, mw.task
local program = os.getenv("MOONWIRE") or "moonwire"

local ASKED, REPLY = 500000, 3000000 -- bytes: more than is read with one line; more than goes out at once

describe("a connection closed over input that nobody read", function()
  local own, cert

  setup(function()
    own = ca.new()
    cert = own:issue "server"
  end)
  teardown(function() own:close() end)

  local function serving(address, fn)
    local opts = address:match "^tls" and { cert = cert.cert, key = cert.key } or nil
    local srv = assert(net.listen(address, opts))
    task.spawn_with({ daemon = true }, srv.serve, srv, fn)
    return srv
  end

  local function connect(srv)
    return assert(net.connect(srv:address(), srv:address():match "^tls" and { ca = own.pem } or nil))
  end

  --- What the peer gets that says `said` bytes more than the one line that is read, and reads slowly.
  local function ask(srv, said)
    local c <close> = connect(srv)
    local asking = task.spawn(function() c:write("a line\n", ("x"):rep(said)) end)
    local got = 0
    while true do
      local some, err = c:read_some("16KiB", { timeout = 60 })
      assert(not err, err)
      if not some then break end
      got = got + #some
      task.pass()
    end
    asking:cancel()
    return got
  end

  for _, address in ipairs { "tcp://127.0.0.1:0", "unix:@mw-spec-leave-" .. mw.sys.pid(), "tls://127.0.0.1:0" } do
    it("gives its peer all that was written, and the end (" .. address:match "%a+" .. ")", function()
      local srv <close> = serving(address, function(conn)
        assert.equal("a line", conn:read "l")
        assert(conn:write(("y"):rep(REPLY)))
      end)
      assert.equal(REPLY, ask(srv, ASKED))
    end)

    it("gives its peer a small answer, too (" .. address:match "%a+" .. ")", function()
      local srv <close> = serving(address, function(conn)
        assert.equal("a line", conn:read "l")
        assert(conn:write "no\n")
      end)
      assert.equal(3, ask(srv, ASKED))
    end)

    it("is not kept by a peer that says more than there is room for before it reads (" .. address:match "%a+" .. ")", function()
      local piece, sent = ("y"):rep(65536), 0
      local srv <close> = serving(address, function(conn)
        assert.equal("a line", conn:read "l")
        repeat
          assert(conn:write(piece))
          sent = sent + #piece
        until conn:stats().unsent > 300000
      end)
      local c <close> = connect(srv)
      local said = task.spawn(function()
        local ok, err = c:write("a line\n", ("x"):rep(20 * REPLY))
        if ok then ok, err = c:flush() end
        return ok and "" or err.code
      end)
      local code = assert(task.timeout(25, said.join, said)) -- sooner than its connection would be given up
      -- What our own kernel has said to have is the server's to forget: it may go then, over what it was still told.
      local may = address:match "^unix" and {} or { EPIPE = true, ECONNRESET = true }
      assert.is_true(code == "" or may[code], code)
      assert.equal(sent, #assert(c:read("a", { max = "64MiB", timeout = 60 })))
    end)
  end

  for _, last in ipairs { "reads all", "goes" } do
    it("holds up the end of its program no longer than until its peer " .. last, function()
      local address = "unix:@mw-spec-leave-program-" .. mw.sys.pid()
      local p <close> = assert(process.spawn { program, "eval", "-A", [[
        local srv = assert(require("moonwire").net.listen(arg[1]))
        print "listens"
        local conn = assert(srv:accept())
        assert(conn:read "l")
        assert(conn:write(("y"):rep(100000)))
        conn:close()
        srv:close()
        print "closed"]], address, stdout = "pipe" })
      assert.equal("listens", p.stdout:read "l")
      local c <close> = assert(net.connect(address))
      assert(c:write("a line\n", ("x"):rep(100000)))
      assert.equal("closed", p.stdout:read "l")
      if last == "goes" then c:close() else assert.equal(100000, #assert(c:read "a")) end
      assert.equal(0, assert(p:wait { timeout = 60 }).code)
    end)
  end

  it("leaves what came to a child that was given it", function()
    local srv <close> = assert(net.listen "tcp://127.0.0.1:0")
    local c <close> = assert(net.connect(srv:address()))
    assert(c:write(("x"):rep(50000)):finish())
    local r = assert(process.run { "cat", stdin = assert(srv:accept()), timeout = 60 })
    assert.equal(50000, #r.stdout)
  end)

  it("leaves what came to whom its handle was sent", function()
    local srv <close> = assert(net.listen "tcp://127.0.0.1:0")
    local way <close> = assert(net.listen("unix:@mw-spec-leave-handle-" .. mw.sys.pid()))
    local c <close> = assert(net.connect(srv:address()))
    assert(c:write(("x"):rep(50000)))
    local here, there <close> = assert(net.connect(way:address())), assert(way:accept())
    local conn = assert(srv:accept())
    assert(here:send_handle(conn))
    conn:close()
    here:close()
    local same <close> = assert(there:recv_handle())
    assert(c:finish())
    assert.equal(50000, #assert(same:read "a"))
    assert(same:write "got it")
    same:close()
    assert.equal("got it", c:read "a")
  end)
end)
