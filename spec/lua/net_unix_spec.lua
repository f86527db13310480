-- Unix sockets: names in the file system and abstract ones, modes, stale names, credentials, passing a stream.
local mw = require "moonwire"
local net, task, fs = mw.net, mw.task, mw.fs
local program = os.getenv("MOONWIRE") or "moonwire"

local dir

local function path(name)
  return dir.path .. "/" .. name
end
local function url(name)
  return "unix:" .. path(name)
end

--- A socket that nobody listens on any more: its program was killed.
local function leave_stale(name)
  local child <close> = assert(mw.process.spawn { program, "eval", "-A", [[
    local mw = require "moonwire"
    local srv = assert(mw.net.listen(arg[1]))
    print("ready")
    mw.task.wait()
  ]], url(name), stdout = "pipe" })
  assert.equal("ready", child.stdout:read("l"))
  child:kill("KILL")
  child:wait()
  assert.equal("socket", assert(fs.stat(path(name))).type)
end

describe("a Unix socket", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("carries lines between two processes and knows who is there", function()
    local srv <close> = assert(net.listen(url("s")))
    local child <close> = assert(mw.process.spawn { program, "eval", "-A", [[
      local c = assert(require("moonwire").net.connect(arg[1]))
      assert(assert(c:write("Hello\nfrom\nclient\n")):finish())
      io.write(c:read("a"))
    ]], srv:address(), stdout = "pipe" })
    local conn <close> = assert(srv:accept { timeout = 60 })
    local peer, n = conn:peer(), 0
    assert.equal(child.pid, peer.pid)
    assert.equal(mw.sys.uid(), peer.uid)
    assert.equal("number", type(peer.gid))
    for line in conn:lines() do
      n = n + 1
      assert(conn:write(n, " ", line, "\n"))
    end
    conn:close()
    assert.equal("1 Hello\n2 from\n3 client\n", child.stdout:read("a"))
    assert.equal(0, child:wait().code)
  end)

  it("says at both ends of a connection what is listened on", function()
    local srv <close> = assert(net.listen(url "ends"))
    local there <close> = assert(net.connect(srv:address()))
    local here <close> = assert(srv:accept())
    assert.equal(url "ends", here:address())
    assert.equal("unix:", there:address()) -- it has no name
  end)

  it("may have an abstract name", function()
    local srv <close> = assert(net.listen("unix:@mw-spec-abstract-" .. mw.sys.pid()))
    local there <close> = assert(net.connect(srv:address()))
    local here <close> = assert(srv:accept { timeout = 60 })
    assert(there:write("x"))
    assert.equal("x", here:read(1))
  end)

  it("has the mode that was asked for, whatever the umask", function()
    for _, mode in ipairs { "0600", "0666", "0777", "0000" } do
      local _ <close> = assert(net.listen(url("s"), { mode = mode }))
      local bits = assert(mw.process.run { "stat", "-c", "%04a", path("s") }).stdout
      assert.equal(mode .. "\n", bits)
    end
  end)

  it("loses its name when the listener closes", function()
    local srv = assert(net.listen(url("s")))
    assert(fs.stat(path("s")))
    srv:close()
    assert.equal("ENOENT", select(2, fs.stat(path("s"))).code)
  end)

  it("keeps a name that has become somebody else's", function()
    local srv = assert(net.listen(url("s")))
    assert(fs.remove(path("s")))
    assert(fs.write(path("s"), "mine"))
    srv:close()
    assert.equal("mine", assert(fs.read(path("s"))))
  end)

  it("takes over a stale name only when asked to", function()
    leave_stale("s")
    local srv, err = net.listen(url("s"))
    assert.is_nil(srv)
    assert.equal("EADDRINUSE", err.code)
    assert.truthy(err.hint:find("unlink = true", 1, true))
    local again <close> = assert(net.listen(url("s"), { unlink = true }))
    assert(net.connect(again:address())):close()
  end)

  it("never takes a name that somebody listens on", function()
    local srv <close> = assert(net.listen(url("s")))
    local again, err = net.listen(url("s"), { unlink = true })
    assert.is_nil(again)
    assert.equal("EADDRINUSE", err.code)
    assert(net.connect(srv:address())):close()
  end)

  it("never removes what is no socket", function()
    assert(fs.write(path("s"), "precious"))
    local srv, err = net.listen(url("s"), { unlink = true })
    assert.is_nil(srv)
    assert.equal("EADDRINUSE", err.code)
    assert.equal("precious", assert(fs.read(path("s"))))
    local c
    c, err = net.connect(url("s"))
    assert.is_nil(c)
    assert.equal("ENOTSOCK", err.code)
  end)

  it("is given to exactly one of many that want a stale name", function()
    leave_stale("s")
    local children, won = {}, 0
    for i = 1, 6 do
      children[i] = assert(mw.process.spawn { program, "eval", "-A", [[
        local mw = require "moonwire"
        local srv, err = mw.net.listen(arg[1], { unlink = true })
        print(srv and "won" or err.code)
        io.read()
      ]], url("s"), stdin = "pipe", stdout = "pipe" })
    end
    for _, child in ipairs(children) do
      if child.stdout:read("l") == "won" then won = won + 1 end
    end
    assert.equal(1, won)
    assert(net.connect(url("s"))):close()
    for _, child in ipairs(children) do
      child.stdin:close()
      child:wait()
    end
  end)

  it("works at the end of a path that is longer than the kernel's limit", function()
    local long = dir.path
    for _ = 1, 4 do
      long = long .. "/" .. ("d"):rep(60)
      assert(fs.mkdir(long))
    end
    local srv <close> = assert(net.listen("unix:" .. long .. "/s"))
    local there <close> = assert(net.connect(srv:address()))
    assert(srv:accept { timeout = 60 }):close()
    assert.is_nil(there:read("l"))
  end)

  it("has no name that would have to be cut", function()
    local srv, err = net.listen(url(("n"):rep(100)))
    assert.is_nil(srv)
    assert.equal("ENAMETOOLONG", err.code)
    assert.equal("ENOENT", select(2, fs.stat(path(("n"):rep(86)))).code)
    assert.is_false(pcall(net.listen, "unix:@" .. ("n"):rep(108)))
  end)

  it("names the address when there is no such file", function()
    local c, err = net.connect(url("none"))
    assert.is_nil(c)
    assert.equal("ENOENT", err.code)
    assert.equal("net connect " .. url("none") .. ": no such file or directory", tostring(err))
  end)

  it("passes a stream to another process", function()
    local srv <close> = assert(net.listen(url("s")))
    local tcp <close> = assert(net.listen("tcp://127.0.0.1:0"))
    local child <close> = assert(mw.process.spawn { program, "eval", "-A", [[
      local c = assert(require("moonwire").net.connect(arg[1]))
      local got = assert(c:recv_handle())
      assert(got:write("from the child: ", got:read("l"), "\n"))
      got:close()
    ]], srv:address() })
    local conn <close> = assert(srv:accept { timeout = 60 })
    local client <close> = assert(net.connect(tcp:address()))
    local taken = assert(tcp:accept { timeout = 60 })
    assert(conn:send_handle(taken))
    taken:close()
    assert(client:write("hello\n"))
    assert.equal("from the child: hello", client:read("l"))
    assert.equal(0, child:wait().code)
  end)

  it("is out of reach through a link that leads out of what is granted", function()
    local srv <close> = assert(net.listen(url("s")))
    assert(fs.mkdir(path("granted")))
    assert(mw.process.run { "ln", "-s", path("s"), path("granted/s"), check = true })
    local code = 'require("moonwire").net.connect(arg[1])'
    local r = assert(mw.process.run { program, "eval", "--allow-net=unix:" .. path("granted/"), code, url("granted/s") })
    assert.equal(77, r.code)
    r = assert(mw.process.run { program, "eval", "--allow-net=unix:" .. dir.path .. "/", code, url("granted/s") })
    assert.equal(0, r.code, r.stderr)
    assert(srv:accept { timeout = 60 }):close()
  end)

  it("closes with the task that was accepting cancelled", function()
    local srv = assert(net.listen(url("s")))
    local t = task.spawn(srv.accept, srv)
    task.sleep(0)
    t:cancel("enough")
    assert.equal("ECANCELED", select(2, t:join()).code)
    assert(net.connect(srv:address())):close()
    assert(srv:accept { timeout = 60 }):close()
    srv:close()
  end)
end)
