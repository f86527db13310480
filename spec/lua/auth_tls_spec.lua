-- A secret proved on TLS: the proof holds for that one session.
local mw = require "moonwire"
local ca = dofile "spec/support/tls_ca.lua"
local net, task, auth = mw.net, mw.task, mw.auth

local SECRET = ("right "):rep(6)
local function hmac(secret) return auth.hmac { secret = secret or SECRET, identity = "alice" } end

describe("a shared secret on TLS", function()
  local own, cert

  setup(function()
    own = ca.new()
    cert = own:issue("server")
  end)
  teardown(function() own:close() end)

  local function serving(opts, handler)
    opts.cert, opts.key = cert.cert, cert.key
    local srv = assert(net.listen("tls://127.0.0.1:0", opts))
    task.spawn_with({ daemon = true }, srv.serve, srv, handler or function(c)
      for line in c:lines() do assert(c:write(c:peer().identity, ": ", line, "\n")) end
    end)
    return srv
  end
  local function secrets() return auth.hmac { secrets = { alice = SECRET } } end

  it("lets in who knows it, with TLS and identity", function()
    local srv <close> = serving { auth = secrets() }
    local c <close> = assert(net.connect(srv:address(), { ca = own.pem, auth = hmac() }))
    assert(c:write("hello\n"))
    assert.equal("alice: hello", c:read("l"))
    assert.truthy(c:tls().version:find("TLS", 1, true))
  end)

  it("keeps others out, within the session", function()
    local srv <close> = serving { auth = secrets(), auth_timeout = 60 }
    local c, err = net.connect(srv:address(), { ca = own.pem, auth = hmac(("wrong "):rep(6)) })
    assert.same({ nil, "EAUTH" }, { c, err.code })
    local plain <close> = assert(net.connect(srv:address(), { ca = own.pem }))
    assert(plain:write("hello\n"))
    assert.equal("MWA1\5\0\0\7denied\n", plain:read("a"))
    assert.same({ 0, 0 }, { srv:stats().timed_out, srv:stats().accepted })
    local hasty <close> = serving { auth = secrets(), auth_timeout = 0.2 }
    local silent <close> = assert(net.connect((hasty:address():gsub("^tls", "tcp"))))
    silent:read("a") -- no handshake: the time of both together
    assert.same({ 1, 0 }, { hasty:stats().timed_out, hasty:stats().accepted })
  end)

  it("is refused at once to who ends with the last word of his handshake", function()
    local srv <close> = serving { auth = secrets(), auth_timeout = 60 }
    local c <close> = assert(net.connect(srv:address(), { ca = own.pem }))
    assert(c:finish())
    c:read("a") -- until the server has closed
    assert.same({ 1, 0 }, { srv:stats().refused, srv:stats().timed_out })
  end)

  it("is refused to somebody who hands proofs on from one session to another", function()
    local srv <close> = serving { auth = secrets() }
    local mid <close> = serving({}, function(client) -- he has a certificate that the client trusts
      local server <close> = assert(net.connect(srv:address(), { ca = own.pem }))
      local up = task.spawn(function()
        for some in function() return client:read_some() end do
          if not server:write(some) then return end
        end
      end)
      for some in function() return server:read_some() end do assert(client:write(some)) end
      client:close()
      up:cancel()
    end)
    local c, err = net.connect(mid:address(), { ca = own.pem, auth = hmac() })
    assert.same({ nil, "EAUTH" }, { c, err.code })
    assert.equal(0, srv:stats().accepted)
    assert.equal(1, srv:stats().refused)
  end)
end)
