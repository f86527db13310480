-- Addresses of TLS: connect, listen, certificates loaded anew, pools, who is refused and how it is told.
local mw = require "moonwire"
local ca = dofile "spec/support/tls_ca.lua"
local net, task = mw.net, mw.task

describe("tls://", function()
  local own, other, cert

  setup(function()
    own, other = ca.new(), ca.new("Other CA")
    cert = own:issue("server")
  end)
  teardown(function()
    own:close()
    other:close()
  end)

  local function listen(opts, address)
    opts = opts or {}
    opts.cert, opts.key = opts.cert or cert.cert, opts.key or cert.key
    return assert(net.listen(address or "tls://127.0.0.1:0", opts))
  end

  --- Connects, and accepts meanwhile: the two ends, or nil and the client's error.
  local function meet(srv, opts)
    opts = opts or {}
    if not opts.insecure_skip_verify then opts.ca = opts.ca or own.pem end
    local accepted = task.spawn(function() return srv:accept { timeout = 60 } end)
    local there, err = net.connect(srv:address(), opts)
    if not there then
      accepted:cancel()
      return nil, err
    end
    return assert(accepted:join()), there
  end

  local function close(...)
    for _, x in ipairs { ... } do x:close() end
  end

  it("connects and is accepted with the handshake done", function()
    local srv = listen { alpn = { "h2", "http/1.1" } }
    assert.truthy(srv:address():match "^tls://127%.0%.0%.1:%d+$")
    local here, there = meet(srv, { alpn = { "http/1.1" } })
    assert.same({ "TLSv1.3", "http/1.1" }, { here:tls().version, here:tls().alpn })
    assert.equal("CN=server", there:peer().subject)
    assert.truthy(tostring(here):find("tls://127.0.0.1:", 1, true))
    here:write "hello\n"
    assert.equal("hello", there:read "l")
    close(here, there, srv)
  end)

  it("accepts who has said all, and that it ends, with the last of the handshake", function()
    local srv = listen()
    local accepted = task.spawn(function() return srv:accept { timeout = 60 } end)
    local there = assert(net.connect(srv:address(), { ca = own.pem }))
    there:write "all"
    there:close()
    local here = assert(accepted:join())
    assert.equal("all", here:read "a")
    close(here, srv)
  end)

  it("says the end of the handshake and what is written first in one go, at both ends", function()
    local srv = listen()
    local served = task.spawn(function()
      local here = assert(srv:accept { timeout = 60 })
      local said = here:read_some(3)
      assert(here:write(said))
      return here
    end)
    local there = assert(net.connect(srv:address(), { ca = own.pem }))
    assert(there:write "all")
    assert.equal("all", there:read(3))
    local here = assert(served:join())
    assert.same({ 2, 2 }, { there:stats().writes, here:stats().writes })
    close(here, there, srv)
  end)

  it("says the end of the handshake also when nothing is written", function()
    local srv = listen()
    local here, there = meet(srv)
    here:close()
    assert.equal("", there:read "a")
    close(there, srv)
  end)

  it("says what was written in pieces and that it ends in one go", function()
    local srv = listen()
    local here, there = meet(srv)
    local before = there:stats().writes
    for i = 1, 5 do assert(there:write(tostring(i))) end
    assert(there:finish())
    assert.equal("12345", here:read "a")
    assert.is_true(there:stats().writes - before <= 2)
    close(here, there, srv)
  end)

  it("holds no buffers while it waits", function()
    local function held() return tonumber(mw.metrics.text():match "\nmoonwire_buffered_bytes (%d+)") end
    local srv = listen()
    local before = held()
    local here, there = meet(srv)
    assert(there:write "there")
    assert.equal("there", here:read(5))
    assert(here:write "here")
    assert.equal("here", there:read(4))
    local read = task.spawn(function() return here:read(1), there:read(1) end)
    task.pass()
    local holds = held() - before
    read:cancel()
    close(here, there, srv)
    assert.is_true(holds <= 40000, "two sessions of OpenSSL, and " .. holds - 2 * 16384 .. " bytes")
  end)

  it("takes PEM text in place of paths", function()
    local srv = listen { cert = mw.fs.read(cert.cert), key = mw.fs.read(cert.key) }
    close(srv, meet(srv, { ca = mw.fs.read(own.pem) }))
  end)

  it("names the server as the address does, or as told", function()
    local srv = listen()
    local port = srv:address():match ":(%d+)$"
    local accepted = task.spawn(function() return srv:accept { timeout = 60 } end)
    local there = assert(net.connect("tls://localhost:" .. port, { ca = own.pem }))
    assert.equal("localhost", there:tls().server_name)
    close(there, (assert(accepted:join())))
    local none, err = meet(srv, { server_name = "example.org" })
    assert.is_nil(none)
    assert.same({ "ECERT", "wrong name" }, { err.code, err.data.reason })
    assert.truthy(tostring(err):find("net connect tls://127.0.0.1:", 1, true), tostring(err))
    close(srv)
  end)

  it("has options that no other address takes: nobody would look at them", function()
    for address, f in pairs { ["tcp://127.0.0.1:1"] = net.connect, ["unix:@tls-spec"] = net.listen } do
      local ok, err = pcall(f, address, { alpn = { "http/1.1" } })
      assert.same({ false, "EINVAL" }, { ok, err.code })
      assert.truthy(err.message:find('"alpn" is for tls://', 1, true), err.message)
    end
  end)

  it("refuses an authority that it was not told of, and the system knows not", function()
    local srv = listen()
    for _, opts in ipairs { { ca = other.pem }, { ca = false } } do
      local accepted = task.spawn(function() return srv:accept { timeout = 60 } end)
      local none, err = net.connect(srv:address(), { ca = opts.ca or nil })
      assert.is_nil(none)
      assert.same({ "ECERT", "unknown authority" }, { err.code, err.data.reason })
      accepted:cancel()
    end
    close(srv)
  end)

  it("is not kept from accepting by clients that fail, dawdle or talk nonsense", function()
    local srv, hasty = listen { auth_timeout = 60 }, listen { auth_timeout = 0.1 }
    local function plain(of) return assert(net.connect("tcp" .. of:address():sub(4))) end
    local dawdling, nonsense, silent = plain(srv), plain(srv), plain(hasty)
    nonsense:write "GET / HTTP/1.1\r\n\r\n"
    local here, there = meet(srv)
    assert(here:write "served":finish())
    assert.equal("served", there:read "a")
    local late = task.spawn(function() return hasty:accept { timeout = 60 } end)
    while silent:read_some(1) do end -- closed when its time is over
    late:cancel()
    close(here, there, dawdling, nonsense, silent, srv, hasty)
  end)

  it("demands a certificate of its clients, and says whose it was", function()
    local alice, mallory = own:issue("alice", { sans = "email:alice@example.org" }), other:issue("mallory")
    local srv = listen { client_ca = own.pem }
    local here, there = meet(srv, alice)
    assert.same({ "CN=alice", { "email:alice@example.org" }, "127.0.0.1" }, { here:peer().subject, here:peer().sans, here:peer().host })
    close(here, there)
    for reason, opts in pairs { ["client certificate required"] = {}, ["refused by the peer"] = mallory } do
      local accepted = task.spawn(function() return srv:accept { timeout = 60 } end)
      opts.ca = own.pem
      local c, err = net.connect(srv:address(), opts)
      if c then -- TLS 1.3: the client is through before the server has judged
        err = select(2, c:read(1))
        c:close()
      end
      assert.same({ "ECERT", reason }, { err.code, err.data.reason })
      accepted:cancel()
    end
    close(srv)
  end)

  it("serves connections side by side", function()
    local srv = listen()
    local serving = task.spawn(srv.serve, srv, function(conn)
      for line in conn:lines() do conn:write(line:upper(), "\n") end
    end)
    local all = {}
    for i = 1, 20 do
      all[i] = task.spawn(function()
        local c <close> = assert(net.connect(srv:address(), { ca = own.pem }))
        for j = 1, 10 do
          c:write("line ", i, " ", j, "\n")
          assert.equal(("LINE %d %d"):format(i, j), c:read "l")
        end
      end)
    end
    for _, t in ipairs(all) do t:join() end
    close(srv)
    serving:join()
  end)

  it("loses none of many clients that come at once", function()
    local srv <close> = listen { auth_timeout = 60 }
    task.spawn_with({ daemon = true }, srv.serve, srv, function(conn) conn:write(conn:read "L") end)
    local all = {}
    for i = 1, 300 do
      all[i] = task.spawn(function()
        local c <close> = assert(net.connect(srv:address(), { ca = own.pem, auth_timeout = 60 }))
        assert(c:write("line ", i, "\n"))
        return assert(c:read "l")
      end)
    end
    for i, t in ipairs(all) do assert.equal("line " .. i, t:join()) end
    assert.equal(0, srv:stats().displaced)
  end)

  it("lets clients in beside many who say nothing", function()
    local srv <close> = listen { max_unauthenticated = 32 }
    task.spawn_with({ daemon = true }, srv.serve, srv, function(conn) conn:write "in\n" end)
    local silent = {}
    for i = 1, 100 do silent[i] = assert(net.connect((srv:address():gsub("^tls", "tcp")))) end
    for _ = 1, 10 do
      local c <close> = assert(net.connect(srv:address(), { ca = own.pem }))
      assert.equal("in", c:read "l")
    end
    assert.truthy(srv:stats().displaced >= 68)
    close(table.unpack(silent))
  end)

  it("resumes sessions of earlier connections with the same options", function()
    local srv = listen()
    local seen = {}
    for i = 1, 3 do
      local here, there = meet(srv)
      here:write "x"
      there:read(1)
      seen[i] = there:tls().resumed
      close(here, there)
    end
    assert.same({ false, true, true }, seen)
    close(srv)
  end)

  it("resumes nothing where told so", function()
    local srv = listen()
    for _ = 1, 2 do
      local here, there = meet(srv, { resume = false })
      here:write "x"
      there:read(1)
      assert.is_false(there:tls().resumed)
      close(here, there)
    end
    close(srv)
  end)

  it("resumes none that was believed without verifying", function()
    local srv = listen()
    local here, there = meet(srv, { insecure_skip_verify = true })
    here:write "x"
    there:read(1)
    close(here, there)
    local none, err = meet(srv, { ca = other.pem })
    assert.is_nil(none)
    assert.equal("unknown authority", err.data.reason)
    close(srv)
  end)

  it("loads anew for two tasks at once what both ask for", function()
    local anew, srv = own:issue "anew", listen()
    for _ = 1, 20 do
      assert(srv:reload { cert = cert.cert, key = cert.key, alpn = { "old" } })
      task.all(function() assert(srv:reload { cert = anew.cert, key = anew.key }) end,
        function() assert(srv:reload { alpn = { "new" } }) end)
      local here, there = meet(srv, { alpn = { "old", "new" } })
      assert.same({ "CN=anew", "new" }, { there:peer().subject, there:tls().alpn })
      close(here, there)
    end
    close(srv)
    local none, err = srv:reload()
    assert.is_nil(none)
    assert.equal("ECLOSED", err.code)
  end)

  it("is told at once when the peer ends within the handshake, in so many words or without any", function()
    for _, last in ipairs { "", "\21\3\3\0\2\1\0" } do
      local plain <close> = assert(net.listen "tcp://127.0.0.1:0")
      local peer = task.spawn(function()
        local here <close> = assert(plain:accept { timeout = 10 })
        here:read_some()
        if last ~= "" then assert(here:write(last)) end
        assert(here:finish())
        here:read "a"
      end)
      local none, err = net.connect((plain:address():gsub("^tcp", "tls")), { ca = own.pem })
      assert.is_nil(none)
      assert.same({ "ETLS", "truncated" }, { err.code, err.data and err.data.reason }, tostring(err))
      assert.truthy(tostring(err):find("within TLS's handshake", 1, true), tostring(err))
      peer:join()
    end
  end)

  it("tells a writer what the peer said before it broke the connection, where it has said why", function()
    local srv = listen { client_ca = own.pem }
    local accepted = task.spawn(function() return srv:accept { timeout = 20 } end)
    local middle = assert(net.listen "tcp://127.0.0.1:0")
    local between = task.spawn(function()
      local here = assert(middle:accept { timeout = 10 })
      local there = assert(net.connect((srv:address():gsub("^tls", "tcp"))))
      for _ = 1, 2 do -- the client's hello and what it gets; its last word, without a certificate, and the alert
        assert(there:write((assert(here:read_some(65536)))))
        assert(assert(here:write((assert(there:read_some(65536))))):flush())
      end
      here:peek(1, { timeout = 10 }) -- more has come, and is never read
      there:close()
      here:close()
    end)
    local c = assert(net.connect((middle:address():gsub("^tcp", "tls")), { ca = own.pem }))
    local piece = ("x"):rep(1 << 20)
    local function say()
      local ok, why = c:write(piece)
      if not ok then return why end
      return select(2, c:flush())
    end
    local err
    repeat err = say() until err
    assert.same({ "ECERT", "client certificate required" }, { err.code, err.data and err.data.reason }, tostring(err))
    between:join()
    accepted:cancel()
    close(c, middle, srv)
  end)

  it("logs what the server says to who has written, and closed without a look for an answer", function()
    local program = os.getenv "MOONWIRE" or "moonwire"
    local script = own.dir .. "/closes.lua"
    mw.fs.write(script, [[
      local mw = require "moonwire"
      local srv <close> = assert(mw.net.listen("tls://127.0.0.1:0", { cert = arg[1], key = arg[2], client_ca = arg[3] }))
      for _, text in ipairs { "", "important" } do
        local refused = mw.task.spawn(srv.accept, srv)
        local c = assert(mw.net.connect(srv:address(), { ca = arg[3] }))
        if text ~= "" then assert(c:write(text)) end
        print(c:close())
        while srv:stats().refused < (text == "" and 1 or 2) do mw.task.sleep(0.001) end
        refused:cancel()
      end
      for _ = 1, 3 do -- the alert is in the socket by now: some turns of the loop
        local at <close> = assert(mw.net.listen "tcp://127.0.0.1:0")
        local near <close> = assert(mw.net.connect(at:address()))
        local far <close> = assert(at:accept())
        assert(near:write "turn")
        assert(far:read(4) == "turn")
      end
    ]])
    local r = mw.process.run { program, "--allow-net", "--allow-read=" .. own.dir, script, cert.cert, cert.key, own.pem, timeout = 20 }
    assert.equal("true\ntrue\n", r.stdout, r.stderr)
    local _, times = r.stderr:gsub("may be lost, it had closed when the peer said: client certificate required", "")
    assert.equal(1, times, r.stderr)
  end)

  it("loads certificates anew: new connections have them, open ones stay, bad ones change nothing", function()
    local path, key = own.dir .. "/live.pem", own.dir .. "/live.key"
    mw.fs.write(path, mw.fs.read(cert.cert))
    mw.fs.write(key, mw.fs.read(cert.key))
    local srv = listen { cert = path, key = key }
    local here, there = meet(srv)
    local first = there:peer().fingerprint
    local anew = own:issue "anew"
    mw.fs.write(path, mw.fs.read(anew.cert))
    local none, err = srv:reload()
    assert.is_nil(none)
    assert.same({ "ECERT", "wrong key" }, { err.code, err.data.reason })
    assert.truthy(tostring(err):find("net reload " .. srv:address() .. ": wrong key", 1, true), tostring(err))
    local h2, t2 = meet(srv)
    assert.equal(first, t2:peer().fingerprint)
    mw.fs.write(key, mw.fs.read(anew.key))
    assert.equal(srv, srv:reload())
    local h3, t3 = meet(srv)
    assert.equal("CN=anew", t3:peer().subject)
    here:write "still\n"
    assert.equal("still", there:read "l")
    assert(srv:reload { client_ca = own.pem })
    local accepted = task.spawn(function() return srv:accept { timeout = 60 } end)
    local c = net.connect(srv:address(), { ca = own.pem })
    assert.is_nil(c and c:read(1))
    accepted:cancel()
    close(here, there, h2, t2, h3, t3, srv)
    if c then c:close() end
    assert.has_error(function()
      local plain <close> = net.listen "tcp://127.0.0.1:0"
      plain:reload()
    end)
  end)

  it("agrees on a protocol, or on nothing", function()
    local srv = listen { alpn = { "h2" } }
    local none, err = meet(srv, { alpn = { "spdy" } })
    assert.is_nil(none)
    assert.same({ "ETLS", "no common protocol" }, { err.code, err.data.reason })
    local here, there = meet(srv)
    assert.is_nil(there:tls().alpn)
    close(here, there, srv)
  end)

  it("speaks TLS 1.3 alone where told to", function()
    local srv = listen { min_version = "1.3" }
    local here, there = meet(srv, { min_version = "1.3" })
    assert.equal("TLSv1.3", there:tls().version)
    close(here, there, srv)
  end)

  it("pools connections, which tickets do not spoil", function()
    local srv = listen()
    local serving = task.spawn(srv.serve, srv, function(conn)
      for line in conn:lines() do conn:write(line, "\n") end
    end)
    local pool = net.pool()
    for i = 1, 5 do
      pool:with(srv:address(), function(c)
        c:write(i, "\n")
        assert.equal(tostring(i), c:read "l")
      end, { ca = own.pem })
    end
    assert.equal(1, srv:stats().accepted)
    pool:close()
    close(srv)
    serving:join()
  end)

  it("ends, and says so to the peer, when nothing moves on it", function()
    local srv = listen { idle_timeout = 0.05 }
    local here, there = meet(srv)
    assert.equal("", there:read "a")
    assert.equal("ECLOSED", select(2, here:read(1)).code)
    close(there, srv)
  end)

  it("asks for the right to the host, and to the files", function()
    local program = os.getenv "MOONWIRE" or "moonwire"
    local script = own.dir .. "/script.lua"
    mw.fs.write(script, [[
      local mw = require "moonwire"
      local ok, err = pcall(mw.net.connect, arg[1], { ca = arg[2] })
      print(ok, err.code, err.hint)
    ]])
    local function run(...)
      local args = { program, ... }
      args.timeout = 20
      return mw.process.run(args).stdout
    end
    assert.truthy(run("--allow-read=" .. own.dir, script, "tls://127.0.0.1:1", own.pem):find("allow-net=127.0.0.1:1", 1, true))
    assert.truthy(run("--allow-net", script, "tls://127.0.0.1:1", own.pem):find("allow-read=", 1, true))
  end)

  for _, mode in ipairs { "strict", "off" } do
    it("works in a host of --confine=" .. mode, function()
      local program = os.getenv "MOONWIRE" or "moonwire"
      local script = own.dir .. "/confined.lua"
      mw.fs.write(script, [[
        local mw = require "moonwire"
        local srv <close> = assert(mw.net.listen("tls://127.0.0.1:0", { cert = arg[1], key = arg[2] }))
        mw.task.spawn_with({ daemon = true }, srv.serve, srv, function(c) c:write "hello" end)
        local none, err = mw.net.connect(srv:address())
        print(none, err.code, err.data and err.data.reason)
        local c <close> = assert(mw.net.connect(srv:address(), { ca = arg[3] }))
        print(c:read "a")
      ]])
      local r = mw.process.run { program, "--confine=" .. mode, "--allow-net", "--allow-read=" .. own.dir, script,
        cert.cert, cert.key, own.pem, timeout = 20 }
      assert.equal("nil\tECERT\tunknown authority\nhello\n", r.stdout, r.stderr)
    end)
  end

  it("refuses options that are not its own", function()
    assert.has_error(function() net.connect("tls://127.0.0.1:1", { client_ca = own.pem }) end)
    assert.has_error(function() net.listen("tls://127.0.0.1:0", { cert = cert.cert, key = cert.key, ca = own.pem }) end)
    assert.has_error(function() net.listen("tls://127.0.0.1:0") end)
    assert.has_error(function() net.connect("tls://127.0.0.1:1", { min_version = "1.1" }) end)
    assert.has_error(function() net.connect("tcp://127.0.0.1:1", { ca = own.pem }) end)
    assert.has_error(function() net.connect("tls://127.0.0.1:1", { alpn = { "" } }) end)
    assert.has_error(function() net.connect("tls://127.0.0.1:1", { ca = own.pem, key_password = "secret" }) end)
    local many = {}
    for i = 1, 65 do many[i] = "p" .. i end
    assert.has_error(function() net.connect("tls://127.0.0.1:1", { ca = own.pem, alpn = many }) end)
    for _, text in ipairs { "", "0\0\1", "one\ntwo" } do
      local ok, err = pcall(net.connect, "tls://127.0.0.1:1", { ca = text })
      assert.is_false(ok)
      assert.truthy(tostring(err):find('option "ca" must be PEM text', 1, true), tostring(err))
    end
  end)

  it("names the option that was meant before it asks for any other, and none that is nobody's", function()
    for name, call in pairs { server_nme = net.connect, resum = net.connect, crt = net.listen, client_c = net.listen } do
      local ok, err = pcall(call, "tls://127.0.0.1:0", { [name] = "x", key = "x" })
      assert.is_false(ok)
      assert.truthy(tostring(err):find('unknown option "' .. name .. '"; did you mean', 1, true), tostring(err))
    end
    for _, address in ipairs { "tls://127.0.0.1:0", "tcp://127.0.0.1:0" } do
      local _, err = pcall(net.listen, address, { quite_other = 1 })
      assert.truthy(tostring(err):find("alpn, min_version, client_ca, server_names$"), tostring(err))
    end
  end)
end)
