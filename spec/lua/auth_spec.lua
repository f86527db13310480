-- Authentication: what a connection must prove before anybody is given it, and what each side is told.
local mw = require "moonwire"
local net, task, auth = mw.net, mw.task, mw.auth

local SECRET, OTHER = ("right "):rep(6), ("wrong "):rep(6)
local count = 0

local function name()
  count = count + 1
  return ("unix:@mw-spec-auth-%d-%d"):format(mw.sys.pid(), count)
end

local function echo(conn)
  for line in conn:lines() do assert(conn:write(line, "\n")) end
end

--- A listener, and its serve running as a daemon of the test.
local function serving(opts, handler, address, serve_opts)
  local srv = assert(net.listen(address or name(), opts))
  task.spawn_with({ daemon = true }, srv.serve, srv, handler or echo, serve_opts)
  return srv
end

local function fails(code, text, ...)
  local stream, err = net.connect(...)
  assert.is_nil(stream)
  assert.equal(code, err.code)
  assert.truthy(tostring(err):find(text, 1, true), tostring(err))
  return err
end

local function raises(text, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.equal("EINVAL", err.code)
  assert.truthy(tostring(err):find(text, 1, true), tostring(err))
end

local function hmac(secret, identity) return auth.hmac { secret = secret or SECRET, identity = identity } end

for _, where in ipairs { "tcp", "unix" } do
  local function at() return where == "tcp" and "tcp://127.0.0.1:0" or name() end

  describe("a shared secret on " .. where, function()
    it("lets a client that knows it in, and the client knows that the server does", function()
      local srv <close> = serving({ auth = hmac() }, nil, at())
      local c <close> = assert(net.connect(srv:address(), { auth = hmac() }))
      assert(c:write("hello\n"))
      assert.equal("hello", c:read("l"))
      assert.is_nil(c:peer().identity)
      assert.equal(1, srv:stats().accepted)
    end)

    it("keeps a client with another secret out", function()
      local srv <close> = serving({ auth = hmac() }, nil, at())
      fails("EAUTH", "the server did not accept this client", srv:address(), { auth = hmac(OTHER) })
      assert.equal(1, srv:stats().refused)
      assert.equal(0, srv:stats().accepted)
      local c <close> = assert(net.connect(srv:address(), { auth = hmac() }))
      assert(c:write("still there\n"))
      assert.equal("still there", c:read("l"))
    end)

    it("answers a client that does not authenticate with a denial and the end", function()
      local patient <close> = serving({ auth = hmac(), auth_timeout = 60 }, nil, at())
      local talks <close> = assert(net.connect(patient:address()))
      assert(talks:write("hello\n"))
      assert.equal("MWA1\5\0\0\7denied\n", talks:read("a"))
      assert.same({ 1, 0 }, { patient:stats().refused, patient:stats().timed_out })
      local srv <close> = serving({ auth = hmac(), auth_timeout = 0.05 }, nil, at())
      local waits <close> = assert(net.connect(srv:address()))
      assert.equal("MWA1\5\0\0\7denied\n", waits:read("a"))
      assert.same({ 0, 1 }, { srv:stats().refused, srv:stats().timed_out })
    end)

    it("tells a client that the server asks for none", function()
      local greets <close> = serving(nil, function(c) c:write("220 ready\n") c:read("a") end, at())
      fails("EAUTH", "the server does not speak this authentication", greets:address(), { auth = hmac() })
      local echoes <close> = serving(nil, function(c) c:write(c:read_some()) c:read("a") end, at())
      fails("EAUTH", "the server does not speak this authentication", echoes:address(), { auth = hmac() })
      local closes <close> = serving(nil, function(c) c:read_some() end, at())
      fails("EEOF", "does the server listen with the same kind", closes:address(), { auth = hmac() })
      local waits <close> = serving(nil, function(c) c:read("a") end, at())
      fails("ETIMEDOUT", "does the server listen with the same kind", waits:address(), { auth = hmac(), auth_timeout = 0.05 })
      local deaf <close> = assert(net.listen(at()))
      fails("ETIMEDOUT", "timed out", deaf:address(), { auth = hmac(), timeout = 0.05 })
    end)
  end)
end

describe("authentication", function()
  it("knows a client by its identity, when the secret is that identity's own", function()
    local seen
    local secrets = { alice = { OTHER .. "new", SECRET }, bob = OTHER }
    local srv <close> = serving({ auth = auth.hmac { secrets = secrets, secret = "for everybody else" } },
      function(c) seen = c:peer().identity or "nobody" c:write("in\n") end)
    local function try(secret, identity)
      seen = nil
      local c, err = net.connect(srv:address(), { auth = hmac(secret, identity) })
      if not c then return err.code end
      assert.equal("in", c:read("l"))
      c:close()
      return seen
    end
    assert.equal("alice", try(SECRET, "alice"))
    assert.equal("alice", try(OTHER .. "new", "alice"))
    assert.equal("bob", try(OTHER, "bob"))
    assert.equal("nobody", try("for everybody else"))
    assert.equal("EAUTH", try("for everybody else", "alice"))
    assert.equal("EAUTH", try(SECRET, "bob"))
    assert.equal("EAUTH", try(SECRET))
    assert.equal("EAUTH", try(SECRET, "eve"))
  end)

  it("takes a new and an old secret while they are exchanged", function()
    local srv <close> = serving { auth = auth.hmac { secret = { OTHER, SECRET } } }
    for _, secret in ipairs { SECRET, OTHER } do
      local c <close> = assert(net.connect(srv:address(), { auth = hmac(secret, "a-name-nobody-vouches-for") }))
      assert(c:write("x\n"))
      assert.equal("x", c:read("l"))
    end
  end)

  it("may be given to serve, and to connections to come", function()
    local srv <close> = serving(nil, nil, nil, { auth = hmac() })
    task.pass()
    local c <close> = assert(net.connect(srv:address(), { auth = hmac() }))
    assert(c:write("x\n"))
    assert.equal("x", c:read("l"))
    fails("EAUTH", "did not accept", srv:address(), { auth = hmac(OTHER) })
  end)

  it("goes before accept too, which gives the connection with its first words", function()
    local srv <close> = assert(net.listen(name(), { auth = hmac() }))
    local client = task.spawn(function()
      local c = assert(net.connect(srv:address(), { auth = hmac() }))
      assert(c:write("first\n"))
      return c
    end)
    local conn <close> = assert(srv:accept { timeout = 60 })
    assert.equal("first", conn:read("l"))
    client:join():close()
    local none, err = srv:accept { timeout = 0 }
    assert.is_nil(none)
    assert.equal("ETIMEDOUT", err.code)
  end)

  it("asks the kernel on Unix sockets, at either end", function()
    local uid = mw.sys.uid()
    local srv <close> = serving { auth = auth.peer { uid = { uid, 12345 } } }
    local c <close> = assert(net.connect(srv:address(), { auth = auth.peer { uid = uid, pid = mw.sys.pid() } }))
    assert(c:write("x\n"))
    assert.equal("x", c:read("l"))
    fails("EAUTH", "is not accepted", srv:address(), { auth = auth.peer { uid = uid + 1 } })
    local closed <close> = serving { auth = auth.peer { uid = uid + 1 } }
    local plain <close> = assert(net.connect(closed:address()))
    assert.equal("", plain:read("a"))
    assert.equal(1, closed:stats().refused)
  end)

  it("asks for all of an array", function()
    local uid = mw.sys.uid()
    local both <close> = serving { auth = { auth.peer { uid = uid }, hmac() } }
    local c <close> = assert(net.connect(both:address(), { auth = hmac() }))
    assert(c:write("x\n"))
    assert.equal("x", c:read("l"))
    fails("EAUTH", "did not accept", both:address(), { auth = hmac(OTHER) })
    local closed <close> = serving { auth = { auth.peer { uid = uid + 1 }, hmac() } }
    fails("EAUTH", "did not accept", closed:address(), { auth = hmac() })
  end)

  it("is not tried again after a refusal", function()
    local srv <close> = serving { auth = hmac() }
    local _, err = net.connect(srv:address(), { auth = hmac(OTHER), retry = { attempts = 4, backoff = { 0.001, 0.001 } } })
    assert.equal("EAUTH", err.code)
    assert.equal(1, srv:stats().refused)
  end)

  it("is tried again when the connection broke in the middle", function()
    local n = 0
    local srv <close> = assert(net.listen(name()))
    task.spawn_with({ daemon = true }, function()
      while n < 2 do
        local c = assert(srv:accept())
        n = n + 1
        c:close()
      end
    end)
    local _, err = net.connect(srv:address(), { auth = hmac(), retry = { attempts = 2, backoff = { 0.001, 0.001 } } })
    assert.truthy(err.code == "EEOF" or err.code == "ECONNRESET" or err.code == "EPIPE", err.code)
    assert.equal(2, n)
  end)

  it("goes with pools of connections", function()
    local srv <close> = serving { auth = hmac() }
    local pool <close>, a = net.pool(), hmac()
    for i = 1, 4 do
      assert.equal(tostring(i), pool:with(srv:address(), function(c)
        assert(c:write(i, "\n"))
        return c:read("l")
      end, { auth = a }))
    end
    assert.equal(1, srv:stats().accepted)
    local _, err = pool:with(srv:address(), function() end, { auth = hmac(OTHER) })
    assert.equal("EAUTH", err.code)
  end)

  it("is spoken by a client in another language", function()
    local there = mw.process.run { "python3", "-c", "" }
    if not there or there.code ~= 0 then return pending("there is no python3") end
    local srv <close> = serving({ auth = auth.hmac { secret = SECRET, secrets = { alice = OTHER } } },
      function(c) c:write((c:peer().identity or "nobody") .. " says " .. c:read("l") .. "\n") end, "tcp://127.0.0.1:0")
    local port = srv:address():match ":(%d+)$"
    local function say(secret, who)
      local argv = { "python3", "spec/support/auth_client.py", port, secret, who, "hello", check = true, timeout = 20 }
      return assert(mw.process.run(argv)).stdout
    end
    assert.equal("alice says hello\n", say(OTHER, "alice"))
    assert.equal("nobody says hello\n", say(SECRET, "-"))
    assert.equal("denied\n", say(SECRET, "alice"))
  end)

  it("never shows a secret", function()
    local a = hmac()
    local srv <close> = serving { auth = a }
    local err = fails("EAUTH", "did not accept", srv:address(), { auth = hmac(OTHER) })
    for _, text in ipairs { tostring(a), mw.inspect(a), tostring(err), mw.inspect(err), tostring(srv) } do
      assert.falsy(text:find("right", 1, true) or text:find("wrong", 1, true), text)
    end
    assert.equal("auth (hmac)", tostring(a))
    assert.equal("auth (peer)", tostring(auth.peer { uid = 0 }))
  end)

  it("refuses mistakes in its options", function()
    raises("at least 16 bytes, got 15", auth.hmac, { secret = ("x"):rep(15) })
    raises("at most 1024 bytes", auth.hmac, { secret = ("x"):rep(1025) })
    raises("a secret is needed", auth.hmac, {})
    raises("a secret is needed", auth.hmac)
    raises("must be a string", auth.hmac, { secret = 1 })
    raises("must be a string", auth.hmac, { secret = { SECRET, 1 } })
    raises("must not be empty", auth.hmac, { secret = {} })
    local nine = {}
    for i = 1, 9 do nine[i] = SECRET end
    raises("at most 8 secrets", auth.hmac, { secret = nine })
    raises("from name to secret", auth.hmac, { secrets = { SECRET } })
    raises("printable ASCII", auth.hmac, { secrets = { ["a b"] = SECRET } })
    raises("printable ASCII", auth.hmac, { secret = SECRET, identity = "a b" })
    raises("did you mean", auth.hmac, { secert = SECRET })
    raises("whom?", auth.peer, {})
    raises("nobody would pass", auth.peer, { uid = {} })
    raises("must be a number", auth.peer, { uid = "root" })
    raises("must be mw.auth.hmac", net.connect, "unix:@x", { auth = SECRET })
    raises("must be mw.auth.hmac", net.connect, "unix:@x", { auth = { hmac(), SECRET } })
    raises("empty table", net.listen, name(), { auth = {} })
    raises("at most 60 seconds", net.listen, name(), { auth = hmac(), auth_timeout = 61 })
    raises("max_unauthenticated", net.listen, name(), { max_unauthenticated = 5000 })
    raises("Unix sockets only", net.listen, "tcp://127.0.0.1:0", { auth = auth.peer { uid = 0 } })
    raises("Unix sockets only", net.connect, "tcp://127.0.0.1:1", { auth = { hmac(), auth.peer { uid = 0 } } })
  end)

  it("ends with the listener, and a handler's error ends no other connection", function()
    local srv = serving({ auth = hmac() }, function(c)
      if c:read("l") == "bad" then error("no good") end
      c:write("ok\n")
    end)
    local bad <close> = assert(net.connect(srv:address(), { auth = hmac() }))
    local good <close> = assert(net.connect(srv:address(), { auth = hmac() }))
    local silent <close> = assert(net.connect(srv:address()))
    assert(bad:write("bad\n"))
    assert.is_nil(bad:read("l"))
    assert(good:write("good\n"))
    assert.equal("ok", good:read("l"))
    srv:close()
    assert.equal("", silent:read("a"))
    assert.equal(0, srv:stats().unauthenticated)
  end)

  it("waits for nobody in its lobby when the listener drains", function()
    local srv <close> = serving { auth = hmac() }
    local silent <close> = assert(net.connect(srv:address()))
    local good <close> = assert(net.connect(srv:address(), { auth = hmac() }))
    local drained = task.spawn(srv.drain, srv)
    assert.equal("", silent:read("a"))
    good:close()
    assert.is_true(drained:join())
  end)
end)
