-- Certificates by the name that a client asks for: who is shown which, what is loaded anew, what is refused.
local mw = require "moonwire"
local ca = dofile "spec/support/tls_ca.lua"
local net, task = mw.net, mw.task

describe("server_names of a listener of tls://", function()
  local own, main, api, any

  setup(function()
    own = ca.new()
    main = own:issue "main"
    api = own:issue("api", { sans = "DNS:api.example.org" })
    any = own:issue("any", { sans = "DNS:*.example.org" })
  end)
  teardown(function() own:close() end)

  local function names()
    return { ["API.example.org."] = api, ["*.example.org"] = any }
  end

  --- What `opts` serves says the name that it was asked for, and whom it sees.
  local function serve(opts)
    local srv = assert(net.listen("tls://127.0.0.1:0", opts))
    task.spawn_with({ daemon = true }, srv.serve, srv, function(conn)
      conn:write(tostring(conn:tls().server_name), " ", conn:peer().subject or "nobody", "\n")
      conn:read "a"
    end)
    return srv
  end

  --- Who answers for `name`, and what it says; or nil and the error.
  local function ask(srv, name, opts)
    opts = opts or {}
    opts.ca, opts.server_name = own.pem, name
    local c <close>, err = net.connect(srv:address(), opts)
    if not c then return nil, err end
    local said
    said, err = c:read("l", { timeout = 60 })
    if not said then return nil, err end
    return c:peer().subject .. ", " .. said, c:tls()
  end

  it("shows each client the certificate of the name that it asks for, and tells the name", function()
    local srv <close> = serve { cert = main.cert, key = main.key, server_names = names() }
    assert.equal("CN=api, api.example.org nobody", (ask(srv, "api.example.org")))
    assert.equal("CN=api, API.Example.org nobody", (ask(srv, "API.Example.org")))
    assert.equal("CN=api, api.example.org nobody", (ask(srv, "api.example.org.")))
    assert.equal("CN=any, b.example.org nobody", (ask(srv, "b.example.org")))
    assert.equal("CN=main, localhost nobody", (ask(srv, "localhost")))
    assert.equal("CN=main, nil nobody", (ask(srv, "127.0.0.1")))
    local none, err = ask(srv, "a.b.example.org")
    assert.is_nil(none)
    assert.same({ "ECERT", "wrong name" }, { err.code, err.data.reason })
  end)

  it("resumes sessions of each name", function()
    local srv <close> = serve { cert = main.cert, key = main.key, server_names = names() }
    for _, name in ipairs { "api.example.org", "localhost" } do
      assert.is_false(select(2, ask(srv, name)).resumed)
      assert.is_true(select(2, ask(srv, name)).resumed)
    end
  end)

  it("are all that is served where there is no main certificate", function()
    local srv <close> = serve { server_names = names() }
    assert.equal("CN=any, b.example.org nobody", (ask(srv, "b.example.org")))
    for _, name in ipairs { "localhost", "127.0.0.1" } do
      local none, err = ask(srv, name)
      assert.is_nil(none)
      assert.same({ "ECERT", "unknown name" }, { err.code, err.data.reason })
    end
    assert.equal(2, srv:stats().refused)
  end)

  it("ask clients of every name for their certificates", function()
    local srv <close> = serve { cert = main.cert, key = main.key, client_ca = own.pem, server_names = names() }
    for _, name in ipairs { "api.example.org", "b.example.org", "localhost" } do
      local none, err = ask(srv, name)
      assert.is_nil(none)
      assert.equal("client certificate required", err.data.reason)
      assert.truthy(ask(srv, name, { cert = any.cert, key = any.key }):find(name .. " CN=any", 1, true))
    end
  end)

  it("are loaded anew with the rest, replaced where others are given, and stay when one is wrong", function()
    local mine = { cert = own.dir .. "/mine.pem", key = own.dir .. "/mine.key" }
    local function put(it)
      mw.fs.write(mine.cert, mw.fs.read(it.cert))
      mw.fs.write(mine.key, mw.fs.read(it.key))
    end
    put(api)
    local srv <close> = serve { cert = main.cert, key = main.key, server_names = { ["api.example.org"] = mine } }
    assert.equal("CN=api, api.example.org nobody", (ask(srv, "api.example.org")))
    put(own:issue("anew", { sans = "DNS:api.example.org" }))
    assert(srv:reload())
    assert.equal("CN=anew, api.example.org nobody", (ask(srv, "api.example.org")))
    mw.fs.write(mine.key, mw.fs.read(main.key))
    local none, err = srv:reload()
    assert.is_nil(none)
    assert.same({ "ECERT", "wrong key" }, { err.code, err.data.reason })
    assert.truthy(tostring(err):find('"api.example.org"', 1, true), tostring(err))
    assert.equal("CN=anew, api.example.org nobody", (ask(srv, "api.example.org")))
    assert(srv:reload { server_names = names() })
    assert.equal("CN=any, b.example.org nobody", (ask(srv, "b.example.org")))
    assert(srv:reload { server_names = {} })
    assert.equal("wrong name", select(2, ask(srv, "b.example.org")).data.reason)
  end)

  it("serve openssl s_client, which asks with -servername", function()
    local srv <close> = serve { cert = main.cert, key = main.key, server_names = names() }
    for name, subject in pairs { ["api.example.org"] = "CN = api", ["x.example.org"] = "CN = any", ["else.where"] = "CN = main" } do
      local r = mw.process.run { "openssl", "s_client", "-connect", srv:address():sub(7), "-CAfile", own.pem, "-servername", name,
        stdin = "", timeout = 30 }
      assert.truthy(r.stdout:find("subject=" .. subject, 1, true), r.stdout)
    end
  end)

  it("go with starttls", function()
    local srv <close> = assert(net.listen "tcp://127.0.0.1:0")
    local accepted = task.spawn(function()
      local conn = assert(srv:accept { timeout = 60 })
      return assert(conn:starttls { server = true, server_names = names() })
    end)
    local c <close> = assert(net.connect(srv:address()))
    assert(c:starttls { ca = own.pem, server_name = "b.example.org" })
    assert.equal("CN=any", c:peer().subject)
    local here <close> = accepted:join()
    assert.equal("b.example.org", here:tls().server_name)
  end)

  it("take as many names as there may be, and no more", function()
    local all = {}
    for i = 1, 1024 do all[("n%d.example.org"):format(i)] = any end
    local srv <close> = serve { server_names = all }
    assert.equal("CN=any, n1024.example.org nobody", (ask(srv, "n1024.example.org")))
    all.more = any
    local ok, err = pcall(net.listen, "tls://127.0.0.1:0", { server_names = all })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("at most 1024", 1, true), tostring(err))
  end)

  it("are refused by name where they are none", function()
    local function refused(all, words, opts)
      opts = opts or {}
      opts.server_names = all
      local ok, err = pcall(net.listen, "tls://127.0.0.1:0", opts)
      assert.is_false(ok)
      assert.equal("EINVAL", err.code)
      assert.truthy(tostring(err):find(words, 1, true), tostring(err))
    end
    for _, name in ipairs { "", "*", ".", "a..b", "a.*.b", "w*.example.org", "*.*.org", "a b", "a/b",
      ("x"):rep(64) .. ".org", ("x."):rep(127) .. "x" } do
      refused({ [name] = api }, 'a name is "www.example.com"')
    end
    refused({ api }, "a name is")
    refused({ ["192.0.2.1"] = api }, "nobody asks for an address")
    refused({ ["2001:db8::1"] = api }, "nobody asks for an address")
    refused({ ["b\u{fc}cher.example"] = api }, "xn--")
    refused({ ["A.example"] = api, ["a.example."] = any }, '"a.example" is there twice')
    refused({ a = "cert.pem" }, '"a" must be')
    refused({ a = { cert = api.cert } }, 'cert and key of "a" go together')
    refused({ a = { cert = "", key = api.key } }, 'option "server_names.a.cert" must be PEM text')
    refused({ a = { cert = api.cert, key = "" } }, 'option "server_names.a.key" must be PEM text')
    refused({ a = { cert = api.cert, key = api.key, client_ca = own.pem } }, 'unknown option "client_ca"')
    refused({}, "cert and key are needed")
    refused("a", '"server_names" must be a table')
    refused({ a = api }, "cert and key go together", { cert = main.cert })
    assert.has_error(function() net.connect("tls://127.0.0.1:1", { server_names = names() }) end)
    assert.has_error(function() net.listen("tcp://127.0.0.1:0", { server_names = names() }) end)
  end)

  it("say which file cannot be read, or is none", function()
    local none, err = net.listen("tls://127.0.0.1:0", { server_names = { a = { cert = api.cert, key = own.dir .. "/nowhere" } } })
    assert.is_nil(none)
    assert.same({ "ENOENT", own.dir .. "/nowhere" }, { err.code, err.subject })
    none, err = net.listen("tls://127.0.0.1:0", { server_names = { a = { cert = "spec/support/tls_ca.lua", key = api.key } } })
    assert.is_nil(none)
    assert.same({ "ECERT", "no PEM" }, { err.code, err.data.reason })
  end)

  it("need the right to their files", function()
    local script = own.dir .. "/names.lua"
    mw.fs.write(script, [[
      local mw = require "moonwire"
      local ok, err = pcall(mw.net.listen, "tls://127.0.0.1:0", { server_names = { a = { cert = arg[1], key = arg[2] } } })
      print(ok, err.code, err.hint)
    ]])
    local r = mw.process.run { os.getenv "MOONWIRE" or "moonwire", "--allow-net", script, api.cert, api.key, timeout = 20 }
    assert.truthy(r.stdout:find("^false\tEDENIED\t.*allow%-read="), r.stdout .. r.stderr)
  end)
end)
