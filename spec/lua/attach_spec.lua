--- A prompt inside a running host: who gets in, what runs there, and what neither a peer nor a stranger can do.
local mw = require "moonwire"
local attach = require "moonwire.attach"
local task = mw.task

local function folder()
  local dir = mw.fs.tempdir()
  return dir, "unix:" .. dir.path .. "/debug.sock"
end

--- The last one that was made goes first: each is a scope.
local function leave(front)
  front.client:close()
  front.conn:close()
end

--- A client whose front is a list of what it was told.
local function client(url, options)
  local front = { said = {} }
  local changed = task.event()
  front.conn = assert(mw.net.connect(url, { idle_timeout = 0 }))
  front.client = attach.new(function(topic, message)
    front.said[#front.said + 1] = { topic = topic, message = message }
    changed:set()
  end, options)
  --- The next message of that topic.
  function front:await(topic, from)
    from = from or 1
    while true do
      for i = from, #self.said do
        if self.said[i].topic == topic then return self.said[i].message, i end
      end
      changed:clear()
      assert(changed:wait{ timeout = 20 }, "no " .. topic)
    end
  end
  --- Runs a line to its end.
  function front:run(text)
    local from = #self.said + 1
    local verdict = self.client:submit(text)
    if verdict ~= "run" then return verdict end
    return self:await("repl.done", from)
  end
  front.out, front.err = {}, {}
  local came = task.event()
  function front.client.show(_, name, text)
    local list = name == "out" and front.out or front.err
    list[#list + 1] = text
    came:set()
  end
  function front.client.note(_, text) front.client:show("err", text) end
  --- What is shown, once it holds `pattern`.
  function front:shows(name, pattern)
    while true do
      local text = table.concat(self[name], "\n")
      if text:find(pattern) then return text end
      came:clear()
      assert(came:wait{ timeout = 20 }, "no " .. pattern .. " in " .. text)
    end
  end
  local why = front.client:join(front.conn, url)
  if why then
    leave(front)
    error(why, 0)
  end
  return front
end

describe("a debug endpoint", function()
  local dir, url
  before_each(function() dir, url = folder() end)
  after_each(function() dir:close() end)

  describe("is opened", function()
    it("on a Unix socket of mode 0600, and nowhere else", function()
      local endpoint <close> = assert(mw.repl.listen(url))
      assert.equal(url, endpoint:address())
      assert.equal(tonumber("600", 8), mw.fs.stat(dir.path .. "/debug.sock").mode & 511)
      for _, other in ipairs { "tcp://127.0.0.1:0", "tls://127.0.0.1:0", "stdio:", "fd:0", "/tmp/x", "", 5 } do
        assert.has_error(function() mw.repl.listen(other) end)
      end
      local none, why = mw.repl.listen("unix:@mw-attach-abstract")
      assert.is_nil(none)
      assert.equal("EPERM", why.code)
    end)

    it("only below folders whose names nobody else can take away", function()
      assert(mw.fs.mkdir(dir.path .. "/a/b", { parents = true }))
      assert(mw.process.run{ "chmod", "700", dir.path .. "/a/b", check = true })
      local below = "unix:" .. dir.path .. "/a/b/sock"
      for mode, private in pairs { ["777"] = false, ["775"] = false, ["1777"] = true, ["755"] = true } do
        assert(mw.process.run{ "chmod", mode, dir.path .. "/a", check = true })
        local endpoint <close>, why = mw.repl.listen(below)
        assert.equal(private, endpoint ~= nil, mode)
        if not private then
          assert.equal("EPERM", why.code)
          assert.matches("a folder above it", tostring(why))
        end
      end
    end)

    it("only in a folder that nobody else can write to", function()
      for _, mode in ipairs { "770", "707", "777", "1777" } do
        assert(mw.process.run{ "chmod", mode, dir.path, check = true })
        local none, why = mw.repl.listen(url)
        assert.is_nil(none)
        assert.equal("EPERM", why.code)
        assert.matches("others can write", tostring(why))
      end
      assert(mw.process.run{ "chmod", "755", dir.path, check = true })
      local endpoint <close> = assert(mw.repl.listen(url))
      assert.is_truthy(endpoint)
    end)

    it("with the right to listen there, and never by default", function()
      mw.fs.write(dir.path .. "/x.lua", [[
        local mw = require "moonwire"
        local ok, it, why = pcall(mw.repl.listen, ...)
        print(ok, ok and it and "open" or tostring(why or it.code))
      ]])
      local r = mw.process.run{ script = dir.path .. "/x.lua", url }
      assert.equal("false\tEDENIED\n", r.stdout)
      r = mw.process.run{ script = dir.path .. "/x.lua", url, permissions = { listen = { url }, write = { dir.path } } }
      assert.equal("true\topen\n", r.stdout .. r.stderr)
    end)

    it("in the place of a socket that nobody listens on, and of no other file", function()
      assert(mw.repl.listen(url)):close()
      local endpoint <close> = assert(mw.repl.listen(url))
      local second, why = mw.repl.listen(url)
      assert.is_nil(second)
      assert.equal("EADDRINUSE", why.code)
      mw.fs.write(dir.path .. "/file", "x")
      assert.equal("EADDRINUSE", select(2, mw.repl.listen("unix:" .. dir.path .. "/file")).code)
      assert.is_truthy(endpoint)
    end)

    it("with options that are checked", function()
      for _, o in ipairs { { sessions = 0 }, { sessions = 1.5 }, { max_message = 5 }, { session = 1 }, { idle_timeout = "x" } } do
        assert.has_error(function() mw.repl.listen(url, o) end)
      end
    end)
  end)

  describe("lets nobody in but this user and root", function()
    it("shuts others out before a byte of theirs is read", function()
      if mw.sys.uid() ~= 0 then return pending("needs root to be somebody else") end
      local endpoint <close> = assert(mw.repl.listen(url))
      assert(mw.process.run{ "chmod", "755", dir.path, check = true })
      assert(mw.process.run{ "chmod", "666", dir.path .. "/debug.sock", check = true })
      local code = [[
import os, socket, sys
os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX); s.settimeout(10)
try:
    s.connect(sys.argv[1]); s.sendall(b"\x94\x00\x01\xa5hello\x91\x81\xa7version\x01" * 100)
    print(len(s.recv(100)))
except OSError as e:
    print("refused")
]]
      local r = assert(mw.process.run{ "/usr/bin/python3", "-c", code, dir.path .. "/debug.sock" })
      assert.is_truthy(r.stdout == "0\n" or r.stdout == "refused\n", r.stdout .. r.stderr)
      assert.equal(0, endpoint:sessions())
      local front = client(url) -- others still get in
      front:run("return 1")
      leave(front)
    end)
  end)

  describe("gives each peer a session of its own", function()
    it("which evaluates in the running script, and answers that peer", function()
      _G.attach_value = 40
      local endpoint <close> = assert(mw.repl.listen(url))
      local one, two = client(url), client(url)
      one:run("local mine = 2")
      one:run("attach_value + mine")
      assert.equal("42", one:shows("out", "42"))
      two:run("mine")
      assert.equal("nil", two:shows("out", "nil"))
      assert.equal(2, endpoint:sessions())
      two:run("attach_value = 7")
      assert.equal(7, _G.attach_value)
      _G.attach_value = nil
      leave(two)
      leave(one)
    end)

    it("shows its own prints and errors, while the script's stay where they were", function()
      local endpoint <close> = assert(mw.repl.listen(url))
      local front = client(url)
      front:run("print('to the peer', 1, nil)")
      front:shows("out", "to the peer\t1\tnil")
      local done = front:run("error('boom')")
      assert.is_true(done.failed)
      front:shows("err", "boom")
      done = front:run("1 +* 2")
      assert.is_true(done.failed)
      leave(front)
      assert.is_truthy(endpoint)
    end)

    it("takes input over several lines, decided at once", function()
      local endpoint <close> = assert(mw.repl.listen(url))
      local front = client(url)
      assert.equal("more", front.client:submit("for i = 1, 2 do"))
      assert.equal("empty", front.client:submit("   "))
      front:run("for i = 1, 2 do\nprint('line', i)\nend")
      front:shows("out", "line\t1\nline\t2")
      leave(front)
      assert.is_truthy(endpoint)
    end)

    it("completes there", function()
      local endpoint <close> = assert(mw.repl.listen(url))
      local front = client(url)
      front:run("local colour = { red = 1 }")
      local id = front.client:complete("colour.r", 8).pending
      local message = front:await("repl.completed")
      assert.equal(id, message.id)
      assert.equal("red", message.result.items[1].text)
      assert.equal(7, message.result.from)
      leave(front)
      assert.is_truthy(endpoint)
    end)

    it("cancels the line that runs, and puts it into the background", function()
      local endpoint <close> = assert(mw.repl.listen(url))
      local front = client(url)
      local from = #front.said + 1
      front.client:submit("print('begun') mw.task.sleep(1000)")
      front:shows("out", "begun")
      assert.is_true(front.client:cancel())
      front:await("repl.done", from)
      assert.is_false(front.client:cancel())
      front.client:submit("print('again') mw.task.sleep(1000)")
      front:shows("out", "again")
      from = #front.said + 1
      assert.is_true(front.client:background())
      front:await("repl.done", from)
      front:run("'still here'")
      front:shows("out", "still here")
      leave(front)
      assert.is_truthy(endpoint)
    end)

    it("carries large results whole, and cut nowhere in a letter", function()
      local endpoint <close> = assert(mw.repl.listen(url))
      local front = client(url)
      front:run("print(('ü'):rep(300001))")
      local text = front:shows("out", "ü")
      assert.equal(600002, #text)
      leave(front)
      assert.is_truthy(endpoint)
    end)

    it("ends with the code of .exit, and with the leaving peer", function()
      local endpoint <close> = assert(mw.repl.listen(url))
      local front = client(url, { terminal = true })
      front.client:submit(".exit 3")
      assert.equal(3, front.client:wait())
      leave(front)
      front = client(url, { terminal = true })
      front.client:leave()
      assert.equal(0, front.client:wait())
      leave(front)
      front = client(url)
      front:run("error('x')")
      front.client:leave()
      assert.equal(1, front.client:wait())
      leave(front)
      assert.is_truthy(endpoint)
    end)

    it("ends what a line has started when its peer is gone", function()
      local endpoint <close> = assert(mw.repl.listen(url))
      local ended = task.event()
      _G.attach_ended = function() ended:set() end
      local front = client(url)
      front.client:submit([[
        mw.task.spawn(function() local x <close> = setmetatable({}, { __close = function() attach_ended() end }) mw.task.wait() end)
        print("begun") mw.task.sleep(1000)]])
      front:shows("out", "begun")
      front.conn:close() -- without a word, in the middle of a line
      assert.is_true(ended:wait{ timeout = 20 })
      leave(front)
      while endpoint:sessions() > 0 do task.sleep(0.01) end
      _G.attach_ended = nil
    end)

    it("is denied what the host may not do, and nobody is asked", function()
      mw.fs.write(dir.path .. "/host.lua", [[
        local mw = require "moonwire"
        local endpoint <close> = assert(mw.repl.listen(...))
        print("ready")
        io.stdin:read("l")
      ]])
      local host <close> = assert(mw.process.spawn{ script = dir.path .. "/host.lua", url, stdin = "pipe", stdout = "pipe",
        permissions = { listen = { url }, write = { dir.path } } })
      assert.equal("ready", host.stdout:read("l"))
      local front = client(url)
      front:run('io.open("/etc/passwd")')
      assert.matches("denied", front:shows("err", "denied"))
      front:run('mw.permissions.query("read", "/etc/passwd")')
      front:shows("out", "denied")
      leave(front)
    end)
  end)

  describe("has bounds", function()
    it("of sessions at the same time, told to who is one too many", function()
      local endpoint <close> = assert(mw.repl.listen(url, { sessions = 2 }))
      local one, two = client(url), client(url)
      for _ = 1, 20 do -- the answer and the end of the connection may come at once
        local ok, why = pcall(client, url)
        assert.is_false(ok)
        assert.matches("as many are attached", tostring(why))
      end
      leave(two)
      while endpoint:sessions() > 1 do task.sleep(0.01) end
      local three = client(url)
      three:run("1")
      leave(three)
      leave(one)
    end)

    it("of time in which nothing is done", function()
      local endpoint <close> = assert(mw.repl.listen(url, { idle_timeout = "2s" }))
      local front = client(url, { terminal = true })
      assert.equal(1, front.client:wait())
      front:shows("err", "idle for too long")
      leave(front)
      local longer <close> = assert(mw.repl.listen("unix:" .. dir.path .. "/longer", { idle_timeout = 2 }))
      front = client(longer:address(), { terminal = true })
      front:run("mw.task.sleep(3) return 'a line that runs is not idle'") -- longer than the limit
      front:shows("out", "not idle")
      leave(front)
      assert.is_truthy(endpoint)
    end)

    it("of lines that wait", function()
      local endpoint <close> = assert(mw.repl.listen(url))
      local front = client(url)
      front.client:submit("mw.task.sleep(1000)")
      for _ = 1, 200 do front.client:submit("1") end
      front:shows("err", "too many lines wait")
      leave(front)
      assert.is_truthy(endpoint)
    end)

    it("of a line's length", function()
      local endpoint <close> = assert(mw.repl.listen(url, { max_message = "64KiB" }))
      local front = client(url)
      local done = front:run("return '" .. ("x"):rep(70000) .. "'")
      assert.is_true(done.failed)
      front:shows("err", "longer than the host takes")
      front:run("'still'")
      front:shows("out", "still")
      leave(front)
      assert.is_truthy(endpoint)
    end)
  end)

  describe("stands what a peer sends", function()
    local function raw(bytes)
      local conn <close> = assert(mw.net.connect(url))
      conn:write(bytes)
      conn:finish()
      return conn:read("a", { timeout = 20 }) or ""
    end

    it("that is no message, or none of its own", function()
      local endpoint <close> = assert(mw.repl.listen(url))
      local pack = mw.msgpack.encode
      local seed = 11
      for n = 1, 60 do
        local parts = {}
        for i = 1, n * 3 do
          seed = (seed * 1103515245 + 12345) % 0x80000000
          parts[i] = string.char(seed // 65536 % 256)
        end
        raw(table.concat(parts))
      end
      local hello = pack{ 0, 1, "hello", { { version = 1 } } }
      local array = mw.json.array
      for _, message in ipairs {
        { 2, "submit", { "x = 1" } }, { 2, "cancel", array{} }, { 2, "leave", array{} }, { 0, 1, "hello", array{} },
        { 0, 1, "hello", { 5 } }, { 0, 1, "hello", { { version = "1" } } }, { 0, 1, "hello", { { version = 99 } } },
        { 0, 1, "complete", array{} }, { 1, 7, mw.null, 5 }, { 0, 1, "nothing", array{} }, "text", 5, array{}, { a = 1 },
      } do
        raw(pack(message))
        raw(hello .. pack(message) .. pack(message))
      end
      for _, params in ipairs { array{}, { 5 }, { "x", "y" }, { {} }, { "x", -5 }, { "x", 1 << 60 }, { "x", 0.5 } } do
        for _, name in ipairs { "submit", "cancel", "background", "options", "leave", "complete", "hello", "ping" } do
          raw(hello .. pack{ 2, name, params } .. pack{ 0, 9, name, params })
        end
      end
      raw(hello .. "\xdb\x7f\xff\xff\xff" .. ("x"):rep(100)) -- a text of 2 GiB, as it says
      raw(hello .. ("\x91"):rep(5000)) -- deep
      raw("\x81")
      while endpoint:sessions() > 0 do task.sleep(0.01) end
      local front = client(url)
      front:run("'well'")
      front:shows("out", "well")
      leave(front)
    end)

    it("that never says hello", function()
      local endpoint <close> = assert(mw.repl.listen(url))
      local conn <close> = assert(mw.net.connect(url))
      assert.equal("", conn:read("a", { timeout = 20 })) -- closed by the host, after five seconds
      assert.equal(0, endpoint:sessions())
    end)

    it("in another version of the protocol", function()
      local endpoint <close> = assert(mw.repl.listen(url))
      local answer = mw.msgpack.decode(raw(mw.msgpack.encode{ 0, 1, "hello", { { version = 99 } } }))
      assert.equal(1, answer[4].version)
      assert.equal(0, endpoint:sessions())
    end)
  end)
end)

describe("who attaches", function()
  it("is told that the host speaks another version, or something else", function()
    local dir <close>, url = folder()
    local srv <close> = assert(mw.net.listen(url))
    task.spawn_with({ daemon = true }, srv.serve, srv, function(conn)
      local rpc <close> = mw.rpc.msgpack(conn)
      rpc:handle("hello", function() return { version = 7 } end)
      rpc:wait()
    end)
    local ok, why = pcall(client, url)
    assert.is_false(ok)
    assert.matches("version 7", tostring(why))
    local odd <close> = assert(mw.net.listen("unix:" .. dir.path .. "/odd"))
    task.spawn_with({ daemon = true }, odd.serve, odd, function(conn)
      conn:read_some()
      conn:write("HTTP/1.1 400 Bad Request\r\n\r\n")
    end)
    ok, why = pcall(client, "unix:" .. dir.path .. "/odd")
    assert.is_false(ok)
    assert.matches("does not speak", tostring(why))
  end)

  it("is told that the host is busy, and leaves with Ctrl-C all the same", function()
    local _dir <close>, url = folder()
    local srv <close> = assert(mw.net.listen(url))
    local taken = task.event()
    task.spawn_with({ daemon = true }, srv.serve, srv, function(conn)
      local rpc <close> = mw.rpc.msgpack(conn)
      local busy = false
      rpc:handle("hello", function()
        task.spawn(function() rpc:notify("ready") end)
        return { version = 1 }
      end)
      rpc:on("submit", function()
        busy = true
        taken:set()
      end)
      rpc:handle("ping", function()
        if busy then task.wait() end
        return true
      end)
      rpc:wait()
    end)
    local front = client(url)
    front.client:submit("while true do end")
    assert.is_true(taken:wait{ timeout = 20 })
    front:shows("err", "the host does not answer: it is busy")
    assert.is_true(front.client:cancel())
    assert.equal(130, front.client:wait())
    leave(front)
  end)

  it("is told that the host has ended", function()
    local _dir <close>, url = folder()
    local endpoint = assert(mw.repl.listen(url))
    local front = client(url)
    front:run("1")
    endpoint:close()
    assert.equal(1, front.client:wait())
    front:shows("err", "the host has ended")
    leave(front)
  end)

  it("shows nothing of another process that would move the cursor of a terminal", function()
    local harmless = attach.harmless
    assert.equal("a\27[31mb\27[0m", harmless("a\27[31mb\27[0m"))
    assert.equal("\\x1b[2J\\x1b]0;x\\x07", harmless("\27[2J\27]0;x\7"))
    assert.equal("a\n\tb", harmless("a\n\tb"))
    assert.equal("\\x0d\\x08", harmless("\r\b"))
    assert.equal("\\u{9b}2J", harmless("\xc2\x9b2J"))
    assert.equal("grün", harmless("grün"))
    assert.is_nil(harmless("\1\2\1;31\2"):find("\27", 1, true))
  end)
end)

describe("moonwire run --debug", function()
  local program = assert(os.getenv("MOONWIRE"))

  --- A running host with an endpoint, given rights by `flags`.
  local function run(dir, text, flags)
    mw.fs.write(dir.path .. "/app.lua", text)
    local argv = { program, "run", "--debug=unix:" .. dir.path .. "/debug.sock" }
    for _, flag in ipairs(flags or {}) do argv[#argv + 1] = flag end
    argv[#argv + 1] = dir.path .. "/app.lua"
    argv.stdin, argv.stdout, argv.stderr = "pipe", "pipe", "stdout"
    return assert(mw.process.spawn(argv))
  end

  it("opens an endpoint without a right, and gives none", function()
    local dir <close>, url = folder()
    local host <close> = run(dir, [[
      secret = "found"
      print("ready")
      print(pcall(require("moonwire").repl.listen, "unix:other"))
      io.read("l")
    ]])
    assert.equal("ready", host.stdout:read("l"))
    assert.matches("denied", host.stdout:read("l"))
    local front = client(url)
    front:run("secret")
    front:shows("out", "found")
    front:run("mw.net.listen('unix:" .. dir.path .. "/other')")
    front:shows("err", "denied")
    front:run("secret = 'changed'")
    leave(front)
    host.stdin:close()
    assert.equal(0, host:wait().code)
  end)

  it("does not keep the script from its end, and tells who is attached", function()
    local dir <close>, url = folder()
    local host <close> = run(dir, "print('ready') io.read('l')")
    assert.equal("ready", host.stdout:read("l"))
    local front = client(url)
    front:run("1")
    host.stdin:close()
    assert.equal(0, host:wait().code)
    assert.equal(1, front.client:wait())
    front:shows("err", "the host has ended")
    leave(front)
  end)

  it("refuses what is no such address, and a folder that others can write to", function()
    local dir <close> = mw.fs.tempdir()
    mw.fs.write(dir.path .. "/app.lua", "print('ran')")
    for _, value in ipairs { "", "tcp://127.0.0.1:1", "unix:@x", "unix:", "/tmp/x" } do
      local r = assert(mw.process.run{ program, "run", "--debug=" .. value, dir.path .. "/app.lua" })
      assert.equal(2, r.code, value)
      assert.equal("", r.stdout)
    end
    assert(mw.process.run{ "chmod", "777", dir.path, check = true })
    local r = assert(mw.process.run{ program, "run", "--debug=unix:" .. dir.path .. "/s", dir.path .. "/app.lua" })
    assert.equal(2, r.code)
    assert.matches("others can write", r.stderr)
  end)
end)
