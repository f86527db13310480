-- TLS begun on an open stream: both sides, its ends, its failures, and that it is a stream like any other.
local mw = require "moonwire"
local ca = dofile "spec/support/tls_ca.lua"
local net, task, uv = mw.net, mw.task, require "uv"

local SECOND = "\65\66"

describe("starttls", function()
  local own, other, cert

  setup(function()
    own, other = ca.new(), ca.new("Other CA")
    cert = own:issue("server")
  end)
  teardown(function()
    own:close()
    other:close()
  end)

  --- Two plain ends of a connection.
  local function plain()
    local srv <close> = assert(net.listen("tcp://127.0.0.1:0"))
    local there = assert(net.connect(srv:address()))
    return assert(srv:accept { timeout = 60 }), there
  end

  --- Runs the handshake on both: what each gave.
  local function shake(here, there, server, client)
    server = server or {}
    server.server = true
    server.cert, server.key = server.cert or cert.cert, server.key or cert.key
    local s = task.spawn(function() return here:starttls(server) end)
    client = client or {}
    if not client.insecure_skip_verify then client.ca = client.ca or own.pem end
    local c = table.pack(there:starttls(client))
    return table.pack(s:join()), c
  end

  --- Both ends of a connection that speaks TLS.
  local function pair(server, client)
    local here, there = plain()
    local s, c = shake(here, there, server, client)
    assert(s[1], s[2])
    assert(c[1], c[2])
    return here, there
  end

  it("secures both ends, which then say what they came to", function()
    local here, there = pair(nil, { server_name = "localhost", alpn = nil })
    local a, b = here:tls(), there:tls()
    assert.same({ "TLSv1.3", "TLSv1.3", false, "localhost" }, { a.version, b.version, a.resumed, a.server_name })
    local peer = there:peer()
    assert.same({ "CN=server", "127.0.0.1", { "DNS:localhost", "IP:127.0.0.1" }, 64 },
      { peer.subject, peer.host, peer.sans, #peer.fingerprint })
    assert.is_nil(here:peer().subject)
    here:close()
    there:close()
  end)

  it("says nil for a stream without TLS", function()
    local here, there = plain()
    assert.is_nil(here:tls())
    assert.is_nil(there:tls())
    here:close()
    there:close()
  end)

  it("carries lines, large pieces and both directions at once", function()
    local here, there = pair()
    local piece, n = ("0123456789abcdef"):rep(4096), 320 -- 20 MiB each way
    local function push(s)
      for _ = 1, n do assert(s:write(piece)) end
      assert(s:finish())
    end
    local function pull(s)
      local got = 0
      while true do
        local some, err = s:read_some(1 << 20)
        assert(not err, err)
        if not some then return got end
        got = got + #some
      end
    end
    local a, b = task.spawn(push, here), task.spawn(push, there)
    local c = task.spawn(pull, here)
    assert.equal(n * #piece, pull(there))
    assert.equal(n * #piece, c:join())
    a:join()
    b:join()
    here:close()
    there:close()
  end)

  it("keeps reading after finish, either side first", function()
    local here, there = pair()
    assert(there:write("ask"):finish())
    assert.equal("ask", here:read("a"))
    assert(here:write("answer"):finish())
    assert.equal("answer", there:read("a"))
    assert.is_nil((there:write("more")))
    here:close()
    there:close()
  end)

  it("holds a writer back whose peer does not read", function()
    local here, there = pair()
    local sent = 0
    local w = task.spawn(function()
      for _ = 1, 1024 do
        assert(there:write(("x"):rep(65536)))
        sent = sent + 1
      end
      there:close()
    end)
    repeat task.sleep(0.01) until there:stats().unsent > 1 << 20
    local before = sent
    for _ = 1, 20 do task.pass() end
    assert.equal(before, sent)
    local got = 0
    while true do
      local some = here:read_some(1 << 20)
      if not some then break end
      got = got + #some
    end
    assert.equal(1024 * 65536, got)
    w:join()
    here:close()
  end)

  it("frames, peeks and lends as any stream", function()
    local here, there = pair()
    local a, b = here:framed("u32le"), there:framed("u32le")
    for i = 1, 1000 do assert(b:send(tostring(i))) end
    for i = 1, 1000 do assert.equal(tostring(i), (a:recv())) end
    assert(a:send(("y"):rep(200000)))
    assert.equal(200000, #b:recv())
    a:close()
    b:close()
  end)

  it("sends small writes of a task as few records", function()
    local here, there = pair()
    local before = there:stats().bytes_out
    for _ = 1, 1000 do there:write("12345678") end
    there:flush()
    assert.equal(8000, #here:read(8000))
    assert.truthy(there:stats().bytes_out - before < 8200)
    here:close()
    there:close()
  end)

  it("sends what was written, and that it ends, when it is closed at once", function()
    for _ = 1, 20 do
      local here, there = pair()
      assert(there:write(("z"):rep(100000)))
      there:close()
      assert.equal(100000, #assert(here:read("a")))
      here:close()
    end
  end)

  it("gives bytes before a truncation, and then the error", function()
    local here, there = plain()
    local relay = assert(net.listen("tcp://127.0.0.1:0"))
    local near = assert(net.connect(relay:address()))
    local far = assert(relay:accept())
    local pump = task.spawn(function() -- there <-> relay: near is the client's
      while true do
        local some = far:read_some()
        if not some then return end
        there:write(some)
      end
    end)
    local back = task.spawn(function()
      while true do
        local some = there:read_some()
        if not some then return end
        far:write(some)
      end
    end)
    local s, c = shake(here, near)
    assert(s[1] and c[1], s[2] or c[2])
    assert(near:write("whole"):flush())
    assert.equal("whole", here:read(5))
    assert(near:write("tail"):flush())
    repeat task.sleep(0.01) until there:stats().unsent == 0 and here:peek(4)
    pump:cancel()
    there:finish() -- the relay cuts it: no closing word
    assert.equal("tail", here:read_some())
    local none, err = here:read_some()
    assert.is_nil(none)
    assert.same({ "ETLS", "truncated" }, { err.code, err.data.reason })
    back:cancel()
    for _, x in ipairs { here, there, near, far, relay } do x:close() end
  end)

  for _, row in ipairs {
    { "an authority that is not ours", { ca = true }, "unknown authority" },
    { "another name", { server_name = "example.org" }, "wrong name" },
    { "another address", { server_name = "127.0.0.9" }, "wrong name" },
  } do
    it("refuses a certificate of " .. row[1], function()
      local here, there = plain()
      local opts = {}
      for k, v in pairs(row[2]) do opts[k] = v == true and other.pem or v end
      local s, c = shake(here, there, nil, opts)
      assert.same({ "ECERT", row[3] }, { c[2].code, c[2].data.reason })
      local err = s[2] or select(2, here:read(1)) -- TLS 1.3: the server may have been through before
      assert.equal("ECERT", err.code)
      assert.falsy(there:alive())
      here:close()
    end)
  end

  for _, row in ipairs {
    { "expired", { from = "200101000000Z", to = "210101000000Z" } },
    { "not yet valid", { from = "450101000000Z", to = "460101000000Z" } },
    { "wrong purpose", { use = "clientAuth" } },
  } do
    it("refuses a certificate that is " .. row[1], function()
      local here, there = plain()
      local it = own:issue("server", row[2])
      local _, c = shake(here, there, it)
      assert.same({ "ECERT", row[1] }, { c[2].code, c[2].data.reason })
      here:close()
    end)
  end

  it("refuses a certificate that its authority took back", function()
    local mine = ca.new()
    local it = mine:issue("server")
    local list = mine:revoke(it)
    local here, there = plain()
    local _, c = shake(here, there, it, { ca = list })
    assert.same({ "ECERT", "revoked" }, { c[2].code, c[2].data.reason })
    here:close()
    mine:close()
  end)

  it("believes anybody only where the option says insecure", function()
    local here, there = plain()
    local s, c = shake(here, there, nil, { insecure_skip_verify = true, server_name = "example.org" })
    assert(s[1] and c[1])
    here:close()
    there:close()
  end)

  it("knows a client by its certificate, and refuses one without", function()
    local client = own:issue("alice", { sans = "email:alice@example.org" })
    local here, there = pair({ client_ca = own.pem }, { cert = client.cert, key = client.key })
    assert.same({ "CN=alice", { "email:alice@example.org" } }, { here:peer().subject, here:peer().sans })
    here:close()
    there:close()
    here, there = plain()
    local s = shake(here, there, { client_ca = own.pem })
    assert.same({ "ECERT", "client certificate required" }, { s[2].code, s[2].data.reason })
    there:close()
    here, there = plain()
    local stranger = other:issue("mallory")
    s = shake(here, there, { client_ca = own.pem }, stranger)
    assert.same({ "ECERT", "unknown authority" }, { s[2].code, s[2].data.reason })
    there:close()
  end)

  it("resumes the session of an earlier connection, and both sides see it", function()
    local srv <close> = assert(net.listen("tcp://127.0.0.1:0"))
    local seen = {}
    for i = 1, 2 do
      local there = assert(net.connect(srv:address()))
      local here = assert(srv:accept())
      local s, c = shake(here, there, { alpn = { "once" } }, { alpn = { "once" } })
      assert(s[1] and c[1])
      here:write("x")
      there:read(1)
      seen[i] = { here:tls().resumed, there:tls().resumed, there:tls().alpn }
      there:close()
      here:close()
    end
    assert.same({ { false, false, "once" }, { true, true, "once" } }, seen)
  end)

  it("refuses to begin when bytes came in the clear before", function()
    local here, there = plain()
    assert(there:write("STARTTLS\nRCPT TO: injected\n"):flush())
    assert.equal("STARTTLS", here:read("l"))
    local none, err = here:starttls { server = true, cert = cert.cert, key = cert.key }
    assert.is_nil(none)
    assert.same({ "ETLS", "injection" }, { err.code, err.data.reason })
    assert.equal("RCPT TO: injected", here:read("l"))
    here:close()
    there:close()
  end)

  it("takes up a handshake whose beginning was there before the server's call", function()
    for _, form in ipairs { "lines", "stream" } do
      local here, there = plain()
      local talk = form == "lines" and here:framed "lines" or nil
      local client = task.spawn(function()
        assert(there:write "STARTTLS\n")
        assert.equal("go", there:read "l")
        assert(there:starttls { ca = own.pem, server_name = "localhost" })
        there:write "secret\n"
        return there:read("l", { timeout = 10 })
      end)
      assert.equal("STARTTLS", talk and talk:recv() or here:read "l")
      if talk then assert(talk:send "go") else assert(here:write "go\n") end
      assert.equal("\22", here:peek(1)) -- what the client said next is read
      local clear = here:stats().bytes_in
      assert(here:starttls { server = true, cert = cert.cert, key = cert.key })
      assert.truthy(here:stats().bytes_in > clear)
      assert.equal("secret", here:read("l", { timeout = 10 }))
      assert(here:write "ours\n")
      assert.equal("ours", (client:join()))
      here:close()
      there:close()
    end
  end)

  it("never takes for words of the session what came in the clear and looks like its beginning", function()
    local here, there = plain()
    assert(there:write "STARTTLS\n\22\3\1\0\5RCPT TO: injected\n")
    assert.equal("STARTTLS", here:read "l")
    assert.equal("\22", here:peek(1))
    local none, err = here:starttls { server = true, cert = cert.cert, key = cert.key }
    assert.is_nil(none)
    assert.equal("ETLS", err.code)
    assert.equal("ECLOSED", select(2, here:read "l").code)
    there:close()
  end)

  it("counts what came before TLS too", function()
    local here, there = plain()
    assert(there:write "clear\n")
    assert.equal("clear", here:read "l")
    local s, c = shake(here, there, nil, { ca = own.pem, server_name = "localhost" })
    assert(s[1] and c[1])
    assert(there:write(("x"):rep(1000)))
    assert.equal(1000, #here:read(1000))
    assert.equal(there:stats().bytes_out, here:stats().bytes_in)
    assert.truthy(here:stats().bytes_in > 1006)
    here:close()
    there:close()
  end)

  it("sends first what was written in the clear", function()
    local here, there = plain()
    local s = task.spawn(function()
      assert.equal("go", here:read("l"))
      here:write("ok\n")
      return here:starttls { server = true, cert = cert.cert, key = cert.key }
    end)
    assert(there:write("go\n"))
    assert.equal("ok", there:read("l"))
    assert(there:starttls { ca = own.pem })
    assert(s:join())
    here:write("secret\n")
    assert.equal("secret", there:read("l"))
    here:close()
    there:close()
  end)

  it("says what came when the peer speaks no TLS", function()
    local here, there = plain()
    there:write("GET / HTTP/1.1\r\n\r\n")
    local none, err = here:starttls { server = true, cert = cert.cert, key = cert.key }
    assert.is_nil(none)
    assert.same({ "ETLS", "plain HTTP" }, { err.code, err.data.reason })
    there:close()
  end)

  it("ends at its timeout when the peer is silent, and closes", function()
    local here, there = plain()
    local none, err = here:starttls { server = true, cert = cert.cert, key = cert.key, timeout = 0.05 }
    assert.is_nil(none)
    assert.equal("ETIMEDOUT", err.code)
    assert.is_nil(there:read("a") ~= "" or nil)
    there:close()
  end)

  it("ends when its task is cancelled", function()
    local here, there = plain()
    local t = task.spawn(function() return here:starttls { server = true, cert = cert.cert, key = cert.key } end)
    task.pass()
    t:cancel()
    pcall(t.join, t)
    there:close()
    here:close()
  end)

  it("carries no handles and lets no stream be handed on", function()
    local srv <close> = assert(net.listen("unix:@moonwire-tls-spec-" .. mw.sys.pid()))
    local there = assert(net.connect(srv:address()))
    local here = assert(srv:accept())
    local s, c = shake(here, there, nil, { server_name = "localhost" })
    assert(s[1] and c[1])
    local ok, err = pcall(there.send_handle, there, here)
    assert.falsy(ok)
    assert.truthy(tostring(err):find("TLS", 1, true), tostring(err))
    here:close()
    there:close()
  end)

  it("is refused twice, on one direction, and with options that say too little", function()
    local here, there = pair()
    assert.has_error(function() there:starttls { ca = own.pem } end)
    assert.has_error(function() there:starttls { server = true } end)
    assert.has_error(function() there:starttls { servr = true } end)
    assert.has_error(function() there:starttls { cert = cert.cert, ca = own.pem } end)
    assert.equal("ENOENT", select(2, there:starttls { ca = "/nonexistent/ca.pem" }).code)
    here:close()
    there:close()
  end)

  it("says what is wrong with a key or certificate", function()
    local here, there = plain()
    local alien = other:issue("else")
    local function reason(o)
      o.server = true
      local none, err = here:starttls(o)
      assert.is_nil(none)
      assert.equal("ECERT", err.code)
      return err.data.reason
    end
    assert.equal("wrong key", reason { cert = cert.cert, key = alien.key })
    assert.equal("no PEM", reason { cert = "spec/support/tls_ca.lua", key = cert.key })
    assert.equal("no certificate", reason { cert = cert.key, key = cert.key })
    assert.equal("bad certificate", reason { cert = mw.fs.read(cert.cert):sub(1, 200), key = cert.key })
    assert.equal("bad key", reason { cert = cert.cert, key = mw.fs.read(cert.key):sub(1, 80) })
    local der = own.dir .. "/cert.der"
    mw.process.run { "openssl", "x509", "-in", cert.cert, "-outform", "der", "-out", der, check = true }
    local none, err = here:starttls { server = true, cert = der, key = cert.key }
    assert.is_nil(none)
    assert.same({ "no PEM", der }, { err.data.reason, err.subject })
    assert.truthy(err.hint:find("PKCS#12", 1, true))
    local locked = own.dir .. "/locked.key"
    mw.process.run { "openssl", "pkey", "-in", cert.key, "-aes256", "-passout", "pass:secret", "-out", locked, check = true }
    assert.equal("encrypted key", reason { cert = cert.cert, key = locked })
    assert.equal("wrong password", reason { cert = cert.cert, key = locked, key_password = "guess" })
    there:close()
    here:close()
    local near, far = pair({ key = locked, key_password = "secret" })
    near:close()
    far:close()
  end)

  it("lets the loop sleep while what was written waits for the handshake", function()
    local options = { server_name = "localhost", insecure_skip_verify = true, timeout = 60 }
    local first, gone = plain()
    gone:close()
    assert.is_nil((first:starttls(options))) -- but its context is made, which takes a while, and only once
    first:close()
    local here, there = plain()
    local big = ("x"):rep(8 << 20)
    local writer = task.spawn(there.write, there, big)
    local start = task.spawn(there.starttls, there, options)
    task.sleep(0.05) -- they wait for room, the handshake's beginning before the bytes that follow it
    local after = task.spawn(function()
      there:flush()
      return there:write("for the peer")
    end)
    assert.equal(#big, #here:read(#big))
    assert.truthy(writer:join() and after:join())
    local turns, look = 0, uv.new_prepare()
    look:start(function() turns = turns + 1 end)
    task.sleep(0.2)
    look:close()
    assert.truthy(turns < 50, turns)
    start:cancel()
    assert.equal("ECANCELED", select(2, start:join()).code)
    assert.is_nil(here:read_some():find("for the peer", 1, true))
    here:close()
    there:close()
  end)

  it("sends what was written within the handshake once it is done", function()
    local here, there = plain()
    local big = ("y"):rep(12 << 20)
    local client = task.spawn(function() return there:starttls { ca = own.pem, server_name = "localhost" } end)
    repeat task.sleep(0.001) until there:stats().bytes_out > 0 -- it has begun
    local writer = task.spawn(function() return there:write(big) and there:flush() end)
    assert(here:starttls { server = true, cert = cert.cert, key = cert.key })
    assert(client:join())
    assert.equal(big, here:read(#big))
    assert.truthy(writer:join())
    here:close()
    there:close()
  end)

  it("ends the handshake first when another task finishes the stream within it", function()
    for _, text in ipairs { "", "last words" } do
      local here, there = plain()
      local client = task.spawn(function()
        assert(there:starttls { ca = own.pem, server_name = "localhost" })
        return there:read("a", { timeout = 60 })
      end)
      task.spawn(function()
        task.pass()
        if text ~= "" then assert(there:write(text)) end
        assert(there:finish())
      end)
      repeat task.sleep(0.001) until there:stats().bytes_out > 0 -- it has begun, and nobody answers
      assert(here:starttls { server = true, cert = cert.cert, key = cert.key })
      assert.equal(text, here:read("a", { timeout = 60 }))
      assert(assert(here:write "and ours"):finish())
      assert.equal("and ours", (client:join()))
      here:close()
      there:close()
    end
  end)

  it("is left in order by a host that ends at any moment", function()
    local here, there = pair()
    here:write(SECOND)
    assert.equal(SECOND, there:read(2))
    here:close()
    there:close()
  end)
end)
