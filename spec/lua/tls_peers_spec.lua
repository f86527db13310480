-- TLS with programs that others wrote: openssl, curl, socat, Node. What is not installed is left out, save openssl.
local mw = require "moonwire"
local ca = dofile "spec/support/tls_ca.lua"
local net, task = mw.net, mw.task

local function has(program)
  return pcall(mw.process.run, { program, program == "socat" and "-V" or "--version" })
    and mw.process.run { program, program == "socat" and "-V" or "--version" } ~= nil
end

describe("TLS with others", function()
  local own, cert

  setup(function()
    own = ca.new()
    cert = own:issue "server"
  end)
  teardown(function() own:close() end)

  --- Serves `fn` on a fresh listener while `body(port)` runs.
  local function serving(fn, body, opts)
    opts = opts or {}
    opts.cert, opts.key = cert.cert, cert.key
    local srv <close> = assert(net.listen("tls://127.0.0.1:0", opts))
    local t = task.spawn(srv.serve, srv, fn)
    local ok, why = pcall(body, srv:address():match ":(%d+)$")
    srv:close()
    t:join()
    assert(ok, why)
  end

  local function echo(conn)
    for line in conn:lines() do conn:write(line:upper(), "\n") end
  end

  --- A port that nobody listens on, for programs that cannot say which one they took.
  local function free_port()
    local srv <close> = assert(net.listen "tcp://127.0.0.1:0")
    return srv:address():match ":(%d+)$"
  end

  --- Connects as soon as the program listens.
  local function reach(port, opts)
    opts = opts or {}
    opts.ca, opts.retry = own.pem, { attempts = 60, backoff = { 0.05, 0.1 } }
    return net.connect("tls://127.0.0.1:" .. port, opts)
  end

  local function s_client(port, input, ...)
    local args = { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-CAfile", own.pem, "-verify_return_error", "-quiet", ... }
    args.stdin, args.timeout = input, 20
    return mw.process.run(args)
  end

  for _, version in ipairs { "-tls1_2", "-tls1_3" } do
    it("serves openssl s_client " .. version, function()
      serving(echo, function(port)
        local c = assert(mw.process.spawn { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-CAfile", own.pem,
          "-verify_return_error", "-quiet", version, stdin = "pipe", stdout = "pipe", stderr = "null" })
        c.stdin:write "hello\nthere\n"
        assert.same({ "HELLO", "THERE" }, { c.stdout:read("l", { timeout = 20 }), (c.stdout:read("l", { timeout = 20 })) })
        c:kill "KILL"
        c:wait()
      end)
    end)
  end

  it("refuses openssl s_client with TLS 1.0 and 1.1", function()
    serving(echo, function(port)
      for _, version in ipairs { "-tls1", "-tls1_1" } do
        local r = s_client(port, "hello\n", version, "-cipher", "DEFAULT:@SECLEVEL=0")
        assert.equal("", r.stdout)
        assert.truthy(r.stderr:find("protocol version", 1, true) or r.stderr:find("unsupported protocol", 1, true), r.stderr)
      end
    end)
  end)

  it("lets no peer renegotiate", function()
    serving(echo, function(port)
      local r = mw.process.run { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-CAfile", own.pem, "-tls1_2",
        stdin = "R\n", timeout = 20 }
      assert.truthy((r.stdout .. r.stderr):find("no renegotiation", 1, true) or not r.ok, r.stderr)
      assert.falsy(r.stdout:find("HELLO", 1, true))
    end)
  end)

  it("takes new keys that openssl s_client asks for", function()
    serving(echo, function(port)
      local c = assert(mw.process.spawn { "openssl", "s_client", "-connect", "127.0.0.1:" .. port, "-CAfile", own.pem, "-tls1_3",
        stdin = "pipe", stdout = "pipe", stderr = "stdout" })
      c.stdin:write "one\n"
      assert.truthy(c.stdout:read_until("ONE\n", { timeout = 60 }))
      local asked
      for _ = 1, 5 do -- a K that it reads together with something else is a K to be sent
        c.stdin:write "K\n"
        asked = c.stdout:read_until("KEYUPDATE", { timeout = 4 })
        if asked then break end
      end
      assert.truthy(asked)
      c.stdin:write "two\n"
      assert.truthy(c.stdout:read_until("TWO\n", { timeout = 60 }))
      c.stdin:close()
      c:kill "KILL"
      c:wait()
    end)
  end)

  it("reads from openssl s_server, and is told when it wants a certificate", function()
    local port = free_port()
    local args = { "openssl", "s_server", "-accept", "127.0.0.1:" .. port, "-cert", cert.cert, "-key", cert.key, "-www", "-quiet",
      "-alpn", "http/1.1" }
    args.stdin, args.stdout, args.stderr = "null", "null", "null"
    local s = assert(mw.process.spawn(args))
    local c = assert(reach(port, { alpn = { "http/1.1" } }))
    assert.equal("http/1.1", c:tls().alpn)
    c:write "GET / HTTP/1.0\r\n\r\n"
    assert.truthy(c:read_until("Ciphers supported", { timeout = 60, max = "1MiB" }))
    c:close()
    s:kill "KILL"
    s:wait()
    args[#args + 1], args[#args + 2], args[#args + 3] = "-Verify", "1", "-verify_return_error"
    s = assert(mw.process.spawn(args))
    local why
    c, why = reach(port)
    if c then
      why = select(2, c:read(1))
      c:close()
    end
    assert.equal("ECERT", why.code, tostring(why))
    s:kill "KILL"
    s:wait()
  end)

  it("answers curl, which believes the same authority and none other", function()
    if not has "curl" then return pending "curl is not installed" end
    local function http(conn)
      for line in conn:lines() do
        if line == "\r" then break end
      end
      conn:write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n")
    end
    serving(http, function(port)
      local url = "https://127.0.0.1:" .. port .. "/"
      local r = mw.process.run { "curl", "-sS", "--cacert", own.pem, url, timeout = 20 }
      assert.equal("hello\n", r.stdout, r.stderr)
      r = mw.process.run { "curl", "-sS", url, timeout = 20 }
      assert.equal(60, r.code, r.stderr)
      r = mw.process.run { "curl", "-sS", "http://127.0.0.1:" .. port .. "/", timeout = 20 }
      assert.falsy(r.ok)
    end, { alpn = { "http/1.1" } })
  end)

  it("carries megabytes to socat and back", function()
    if not has "socat" then return pending "socat is not installed" end
    local port = free_port()
    local at = ("OPENSSL-LISTEN:%s,bind=127.0.0.1,reuseaddr,cert=%s,key=%s,verify=0"):format(port, cert.cert, cert.key)
    local s = assert(mw.process.spawn { "socat", at, "EXEC:cat", stdin = "null", stdout = "null", stderr = "null" })
    local c = assert(reach(port))
    local piece, n = ("0123456789abcdef"):rep(4096), 64
    local w = task.spawn(function()
      for _ = 1, n do assert(c:write(piece)) end
      c:flush()
    end)
    for _ = 1, n do assert.equal(piece, assert(c:read_exact(#piece, { timeout = 20 }))) end
    w:join()
    c:close()
    s:kill "KILL"
    s:wait()
  end)

  it("speaks with Node both ways, with resumption", function()
    if not has "node" then return pending "node is not installed" end
    local client = own.dir .. "/client.js"
    mw.fs.write(client, [[
      const tls = require("tls"), fs = require("fs");
      const [port, ca] = process.argv.slice(2);
      let session;
      function go(n) {
        const to = { host: "127.0.0.1", port: +port, ca: fs.readFileSync(ca), session, ALPNProtocols: ["x"] };
        const s = tls.connect(to, () => s.write("ping\n"));
        s.on("session", (it) => { session = it; });
        s.on("data", (d) => { console.log(n, String(d).trim(), s.getProtocol(), s.alpnProtocol, s.isSessionReused()); s.end(); });
        s.on("close", () => { if (n < 2) go(n + 1); });
      }
      go(1);
    ]])
    serving(echo, function(port)
      local r = mw.process.run { "node", client, port, own.pem, timeout = 30 }
      assert.equal("1 PING TLSv1.3 x false\n2 PING TLSv1.3 x true\n", r.stdout, r.stderr)
    end, { alpn = { "x" } })
    local server = own.dir .. "/server.js"
    mw.fs.write(server, [[
      const tls = require("tls"), fs = require("fs");
      const [cert, key] = process.argv.slice(2).map((p) => fs.readFileSync(p));
      const srv = tls.createServer({ cert, key }, (s) => { s.on("error", () => {}); s.pipe(s); });
      srv.listen(0, "127.0.0.1", () => console.log(srv.address().port));
    ]])
    local s = assert(mw.process.spawn { "node", server, cert.cert, cert.key, stdout = "pipe" })
    local port = s.stdout:read "l"
    for i = 1, 2 do
      local c = assert(reach(port))
      c:write(("z"):rep(300000)):finish()
      assert.equal(300000, #assert(c:read "a"))
      assert.equal(i == 2, c:tls().resumed)
      c:close()
    end
    s:kill "KILL"
    s:wait()
  end)
end)
