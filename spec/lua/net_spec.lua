-- Connecting over TCP: both families, names, half-close, refusals, deadlines, retries.
local mw = require "moonwire"
local net, task = mw.net, mw.task
local program = os.getenv("MOONWIRE") or "moonwire"

--- A listener and a connection to it, both ends.
local function pair(address, listen, connect)
  local srv = assert(net.listen(address, listen))
  local there = assert(net.connect(srv:address(), connect))
  local here = assert(srv:accept { timeout = 60 })
  return here, there, srv
end

local descriptors = dofile "spec/support/descriptors.lua"

local function has_ipv6()
  local srv = net.listen("tcp://[::1]:0")
  if srv then srv:close() end
  return srv ~= nil
end

describe("a TCP connection", function()
  for _, address in ipairs { "tcp://127.0.0.1:0", "tcp://[::1]:0", "tcp://localhost:0", "tcp://*:0", "tcp://0.0.0.0:0", "tcp://[::]:0" } do
    it("carries bytes both ways over " .. address, function()
      if address:find("[::", 1, true) and not has_ipv6() then return pending("this machine has no IPv6") end
      local here, there, srv = pair(address)
      assert(there:write("ping\n"))
      assert.equal("ping", here:read("l"))
      assert(here:write("pong\n"))
      assert.equal("pong", there:read("l"))
      here:close()
      there:close()
      srv:close()
    end)
  end

  it("says the port that the system picked", function()
    local srv <close> = assert(net.listen("tcp://127.0.0.1:0"))
    assert.truthy(srv:address():match("^tcp://127%.0%.0%.1:[1-9]%d*$"))
  end)

  it("says who is at the other end", function()
    local here, there, srv = pair("tcp://127.0.0.1:0")
    local peer = here:peer()
    assert.equal("127.0.0.1", peer.host)
    assert.equal(there:address(), "tcp://127.0.0.1:" .. peer.port)
    assert.equal(srv:address(), "tcp://127.0.0.1:" .. there:peer().port)
    here:close()
    there:close()
    srv:close()
  end)

  it("is closed for writing by finish and still gets the answer", function()
    local here, there, srv = pair("tcp://127.0.0.1:0")
    assert(assert(there:write("one\ntwo\n")):finish())
    assert.equal("one\ntwo\n", here:read("a"))
    assert(here:write("2 lines"))
    here:close()
    assert.equal("2 lines", there:read("a"))
    there:close()
    srv:close()
  end)
end)

describe("connecting", function()
  it("names the address when nobody listens", function()
    local srv = assert(net.listen("tcp://127.0.0.1:0"))
    local address = srv:address()
    srv:close()
    local c, err = net.connect(address)
    assert.is_nil(c)
    assert.equal("ECONNREFUSED", err.code)
    assert.equal("net connect " .. address .. ": connection refused", tostring(err))
  end)

  it("raises what is wrong with an address, and where", function()
    local ok, err = pcall(net.connect, "tcp://127.0.0.1:99999")
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
    assert.truthy(tostring(err):find("a port is a number from 1 to 65535 (character 17)", 1, true))
    local bad_ones = {
      "", "127.0.0.1:80", "tcp://:80", "tcp://127.1:80", "tcp://::1:80", "unix:", "tcp://a\0b:1", "unix:/a\0b", "tcp://*:80",
    }
    for _, bad in ipairs(bad_ones) do
      ok, err = pcall(net.connect, bad)
      assert.is_false(ok)
      assert.equal("EINVAL", err.code)
    end
  end)

  it("asks for the host of a listener by name", function()
    local ok, err = pcall(net.listen, "tcp://:80")
    assert.is_false(ok)
    assert.truthy(tostring(err):find("* is every interface", 1, true))
  end)

  it("refuses unknown and mistyped options before it does anything", function()
    for _, opts in ipairs { { timeot = 1 }, { timeout = "soon" }, { nodelay = 1 }, { auth = {} }, 7 } do
      local ok, err = pcall(net.connect, "tcp://127.0.0.1:1", opts)
      assert.is_false(ok)
      assert.equal("EINVAL", err.code)
    end
    for _, opts in ipairs { { mode = "9" }, { mode = "07777" }, { mode = 384 }, { backlog = 0 }, { max_conns = 0 }, { unlink = "yes" } } do
      local ok, err = pcall(net.listen, "tcp://127.0.0.1:0", opts)
      assert.is_false(ok)
      assert.equal("EINVAL", err.code)
    end
  end)

  it("finds a name of this machine", function()
    local name = mw.sys.hostname()
    local srv <close> = assert(net.listen("tcp://*:0"))
    local c, err = net.connect("tcp://" .. name .. ":" .. srv:address():match("%d+$"), { timeout = 60 })
    if not c then return pending("the machine's own name cannot be looked up: " .. tostring(err)) end
    assert(srv:accept { timeout = 60 }):close()
    c:close()
  end)

  it("tries the other address of a name when the first refuses", function()
    if not has_ipv6() then return pending("this machine has no IPv6") end
    local srv <close> = assert(net.listen("tcp://[::1]:0"))
    local c <close> = assert(net.connect("tcp://localhost:" .. srv:address():match("%d+$")))
    assert.equal("::1", c:peer().host)
  end)

  it("gives up after its timeout and keeps no descriptor", function()
    local srv <close> = assert(net.listen("unix:@mw-spec-full-" .. mw.sys.pid(), { backlog = 1 }))
    local held = {}
    local before = descriptors()
    local err
    repeat
      held[#held + 1], err = net.connect(srv:address(), { timeout = 0.05 })
    until err
    assert.equal("ETIMEDOUT", err.code)
    assert.truthy(tostring(err):find(srv:address(), 1, true))
    assert.truthy(descriptors(before + #held) <= before + #held)
    for _, c in ipairs(held) do c:close() end
  end)

  it("goes on as soon as a full backlog has room", function()
    local srv <close> = assert(net.listen("unix:@mw-spec-room-" .. mw.sys.pid(), { backlog = 1 }))
    local got = task.scope(function(s)
      local waiting = {}
      for i = 1, 8 do waiting[i] = s:spawn(net.connect, srv:address()) end
      for _ = 1, 8 do assert(srv:accept { timeout = 60 }):close() end
      local n = 0
      for _, t in ipairs(waiting) do
        assert(t:join()):close()
        n = n + 1
      end
      return n
    end)
    assert.equal(8, got)
  end)

  it("leaves nothing behind when it is cancelled", function()
    local srv <close> = assert(net.listen("unix:@mw-spec-cancel-" .. mw.sys.pid(), { backlog = 1 }))
    local held = {}
    local err
    repeat
      held[#held + 1], err = net.connect(srv:address(), { timeout = 0.02 })
    until err
    local before = descriptors()
    local t = task.spawn(net.connect, srv:address())
    task.sleep(0) -- it has begun
    t:cancel("enough")
    assert.equal("ECANCELED", select(2, t:join()).code)
    assert.truthy(descriptors(before) <= before)
    for _, c in ipairs(held) do c:close() end
  end)
end)

describe("connecting with retry", function()
  it("connects once somebody listens", function()
    local address = "unix:@mw-spec-late-" .. mw.sys.pid()
    local t = task.spawn(net.connect, address, { retry = { attempts = 200, backoff = { 0.005, 0.005 } } })
    assert.equal("ECONNREFUSED", select(2, net.connect(address)).code)
    local srv <close> = assert(net.listen(address))
    assert(srv:accept { timeout = 60 }):close()
    assert(t:join()):close()
  end)

  it("gives the last error when its attempts are used up", function()
    local c, err = net.connect("unix:@mw-spec-never", { retry = { attempts = 3, backoff = { 0.001, 0.001 } } })
    assert.is_nil(c)
    assert.equal("ECONNREFUSED", err.code)
  end)

  it("ends with the timeout of the whole and tells the last error", function()
    local c, err = net.connect("unix:@mw-spec-never", { timeout = 0.05, retry = { attempts = 1000, backoff = { 0.01, 10 } } })
    assert.is_nil(c)
    assert.equal("ETIMEDOUT", err.code)
    assert.equal("ECONNREFUSED", err.data.last.code)
  end)

  it("refuses bad retry options", function()
    for _, retry in ipairs { { attempts = 0 }, { attemts = 3 }, { backoff = { -1, 2 } }, { backoff = {} }, 3 } do
      local ok, err = pcall(net.connect, "unix:@mw-spec-never", { retry = retry })
      assert.is_false(ok)
      assert.equal("EINVAL", err.code)
    end
    local _, number = pcall(net.connect, "unix:@mw-spec-never", { retry = 3 })
    assert.truthy(number.message:find('option "retry" must be a table', 1, true), number.message)
    local _, unknown = pcall(net.connect, "unix:@mw-spec-never", { retries = 3 })
    assert.truthy(unknown.message:find("retry", 1, true), unknown.message)
  end)
end)

describe("accepting", function()
  it("gives up after its timeout and loses no connection", function()
    local srv <close> = assert(net.listen("tcp://127.0.0.1:0"))
    local c, err = srv:accept { timeout = 0.01 }
    assert.is_nil(c)
    assert.equal("ETIMEDOUT", err.code)
    local _ <close> = assert(net.connect(srv:address()))
    assert(srv:accept { timeout = 60 }):close()
  end)

  it("ends when its listener is closed meanwhile", function()
    local srv = assert(net.listen("tcp://127.0.0.1:0"))
    local t = task.spawn(srv.accept, srv)
    task.sleep(0)
    srv:close()
    local c, err = t:join()
    assert.is_nil(c)
    assert.equal("ECLOSED", err.code)
    assert.equal("ECLOSED", select(2, srv:accept()).code)
    srv:close()
  end)

  it("refuses a port that is taken", function()
    local srv <close> = assert(net.listen("tcp://127.0.0.1:0"))
    local again, err = net.listen(srv:address())
    assert.is_nil(again)
    assert.equal("EADDRINUSE", err.code)
  end)

  it("shares a port with those that say so, and each has its part of the connections", function()
    local one <close> = assert(net.listen("tcp://127.0.0.1:0", { reuse_port = true }))
    local other <close> = assert(net.listen(one:address(), { reuse_port = true }))
    for name, l in pairs { one = one, other = other } do
      task.spawn_with({ daemon = true }, l.serve, l, function(c) c:write(name) end)
    end
    local served = { one = 0, other = 0 }
    repeat
      local c <close> = assert(net.connect(one:address()))
      local name = assert(c:read("a"))
      served[name] = served[name] + 1
    until served.one > 0 and served.other > 0
    assert.same(served, { one = one:stats().accepted, other = other:stats().accepted })
    local third, err = net.listen(one:address())
    assert.is_nil(third)
    assert.equal("EADDRINUSE", err.code)
  end)

  it("shares a port with workers", function()
    local home <close> = assert(mw.fs.tempdir())
    assert(mw.fs.write(home.path .. "/part.lua", [[
      local mw = require "moonwire"
      local order = mw.parent:recv()
      local srv = assert(mw.net.listen(order.address, { reuse_port = true }))
      mw.parent:send(srv:address())
      srv:serve(function(c) c:write(order.name) end)]]))
    local function worker(address, name)
      local w = assert(mw.worker.spawn(home.path .. "/part.lua", { permissions = "inherit" }))
      w:send { address = address, name = name }
      return w, assert(w:recv { timeout = 20 })
    end
    local a <close>, address = worker("tcp://127.0.0.1:0", "a")
    local b <close> = worker(address, "b")
    local seen = {}
    repeat
      local c <close> = assert(net.connect(address))
      seen[assert(c:read("a"))] = true
    until seen.a and seen.b
    assert.is_true(a:close() and b:close())
  end)

  it("refuses an address that is not this machine's", function()
    local srv, err = net.listen("tcp://192.0.2.1:0")
    assert.is_nil(srv)
    assert.equal("EADDRNOTAVAIL", err.code)
  end)
end)

describe("a script without the right", function()
  local function run(right, code)
    return assert(mw.process.run { program, "eval", right, 'local net = require("moonwire").net ' .. code })
  end

  it("is told the flag that would grant it, and nothing has happened", function()
    local r = run("--no-prompt", 'net.connect("tcp://10.0.0.7:8081")')
    assert.equal(77, r.code)
    assert.truthy(r.stderr:find("net connect 10.0.0.7:8081: denied (grant it with --allow-net=10.0.0.7:8081)", 1, true))
    assert.equal(77, run("--no-prompt", 'net.listen("tcp://127.0.0.1:0")').code)
    assert.equal(77, run("--no-prompt", 'net.connect("unix:/tmp/no-such.sock")').code)
    assert.equal(77, run("--allow-net=10.0.0.1", 'net.connect("tcp://localhost:1", { retry = { attempts = 1000 } })').code)
  end)

  it("may connect where only connecting is granted", function()
    local srv <close> = assert(net.listen("tcp://127.0.0.1:0"))
    local port = srv:address():match("%d+$")
    local code = ('assert(net.connect("tcp://127.0.0.1:%s")) print(pcall(net.listen, "tcp://127.0.0.1:%s"))'):format(port, port)
    local r = run("--allow-connect=127.0.0.1:" .. port, code)
    assert.equal(0, r.code)
    assert.truthy(r.stdout:find("^false"))
    assert.truthy(r.stdout:find("denied", 1, true))
  end)

  it("listens at an IPv4 address written as IPv6, by the rights of the IPv4 address", function()
    local srv <close> = assert(net.listen("tcp://[::ffff:127.0.0.1]:0"))
    local c <close> = assert(net.connect(srv:address()))
    assert.equal("127.0.0.1", c:peer().host)
    assert.equal(0, run("--allow-listen=127.0.0.1", 'assert(net.listen("tcp://[::ffff:127.0.0.1]:0"))').code)
    for _, address in ipairs { "::ffff:127.0.0.2", "::ffff:0.0.0.0" } do
      assert.equal(77, run("--allow-listen=127.0.0.1,[::1]", ('net.listen("tcp://[%s]:0")'):format(address)).code, address)
    end
  end)

  it("reaches nothing by another spelling of a denied address", function()
    for _, url in ipairs { "tcp://[::ffff:127.0.0.1]:9", "tcp://0.0.0.0:9", "tcp://[::]:9", "tcp://localhost:9" } do
      local r = assert(mw.process.run { program, "eval", "--allow-net", "--deny-net=127.0.0.0/8,[::1]",
        ('require("moonwire").net.connect(%q)'):format(url) })
      assert.equal(77, r.code, url .. ": " .. r.stderr)
    end
  end)
end)

describe("stdio:", function()
  local echo = [[
    local io = assert(require("moonwire").net.connect("stdio:"))
    for line in io:lines() do assert(io:write("<", line, ">\n")) end
    io:close()
  ]]

  it("is standard input and output as one stream, without any right", function()
    local r = assert(mw.process.run { program, "eval", echo, stdin = "one\ntwo\n" })
    assert.equal("", r.stderr)
    assert.equal("<one>\n<two>\n", r.stdout)
  end)

  it("reads a file from where it stands and writes to a file", function()
    local dir <close> = assert(mw.fs.tempdir())
    assert(mw.fs.write(dir.path .. "/in", "skipped\none\n"))
    assert(mw.fs.write(dir.path .. "/echo.lua", echo))
    local r = assert(mw.process.run { "sh", "-c", '{ read x; "$0" run "$1/echo.lua"; } <"$1/in" >"$1/out"', program, dir.path })
    assert.equal(0, r.code, r.stderr)
    assert.equal("<one>\n", assert(mw.fs.read(dir.path .. "/out")))
  end)
end)

describe("fd:", function()
  local code = 'print(require("moonwire").net.connect("fd:%d"):read("l"))'

  it("is a descriptor that the program was given, and needs every right", function()
    local dir <close> = assert(mw.fs.tempdir())
    assert(mw.fs.write(dir.path .. "/in", "from three\n"))
    local sh = 'exec 3<"$1/in"; "$0" eval "$2" "$3"'
    local r = assert(mw.process.run { "sh", "-c", sh, program, dir.path, "-A", code:format(3) })
    assert.equal("from three\n", r.stdout, r.stderr)
    r = assert(mw.process.run { "sh", "-c", sh, program, dir.path, "--allow-net", code:format(3) })
    assert.equal(77, r.code)
    assert.truthy(r.stderr:find("grant it with -A", 1, true))
  end)

  it("is never a descriptor of our own", function()
    local function numbers()
      local set = {}
      for _, name in ipairs(assert(mw.fs.list("/proc/self/fd"))) do set[name] = true end
      return set
    end
    collectgarbage() -- what the tests before left open closes now, not while we look
    collectgarbage()
    task.sleep(0)
    local before, tried = numbers(), 0
    local srv <close> = assert(net.listen("tcp://127.0.0.1:0"))
    local c <close> = assert(net.connect(srv:address()))
    for name in pairs(numbers()) do
      if not before[name] then
        tried = tried + 1
        assert.equal("EBADF", select(2, net.connect("fd:" .. name)).code)
      end
    end
    assert.truthy(tried >= 2)
    assert(c:write("still ours"))
  end)
end)
