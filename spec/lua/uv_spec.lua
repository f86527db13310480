--- The guarded uv module: luv's names and results, and what luv itself does not survive.
local mw = require "moonwire"
local uv = require "uv"

--- Calls fn with a callback, waits in the task until it was called, and gives what it was called with first.
local function callback(fn)
  local event, got = mw.task.event(), nil
  fn(function(...)
    got = got or table.pack(...)
    event:set()
  end)
  assert(event:wait { timeout = 60 })
  return table.unpack(got, 1, got.n)
end

local function misuse(...)
  local ok, err = pcall(...)
  assert.is_false(ok)
  assert.equal("EINVAL", type(err) == "table" and err.code or tostring(err))
  return err
end

--- Runs `code` in a program of its own that has some rights only; it says "fine" at its end.
local function guarded(flags, code)
  local args = { os.getenv "MOONWIRE", "eval" }
  table.move(flags, 1, #flags, #args + 1, args)
  args[#args + 1] = [[
    local uv = require "uv"
    local function misuse(...)
      local ok, err = pcall(...)
      assert(not ok and type(err) == "table" and err.code == "EINVAL", tostring(err))
    end
  ]] .. code .. " io.write 'fine'"
  args.timeout, args.check = 20, false
  local result, err = mw.process.run(args)
  assert(result, tostring(err))
  assert.equal("fine", result.stdout, result.stderr)
end

local function closed(handle)
  callback(function(done) handle:close(done) end)
  return handle
end

describe("uv", function()
  local dir

  before_each(function()
    dir = assert(uv.fs_mkdtemp("/tmp/mw-uv-" .. ("X"):rep(6)))
  end)
  after_each(function()
    local scan = assert(uv.fs_scandir(dir))
    for name, kind in uv.fs_scandir_next, scan do
      if kind == "directory" then assert(uv.fs_rmdir(dir .. "/" .. name)) else assert(uv.fs_unlink(dir .. "/" .. name)) end
    end
    assert(uv.fs_rmdir(dir))
  end)

  describe("as a module", function()
    it("is the same table however it is reached", function()
      local loaded = package and package.loaded or {}
      loaded.uv = nil
      assert.equal(uv, require "uv")
    end)

    it("has no name without a rule", function()
      guarded({}, [[
        for _, name in ipairs {
          "run", "stop", "walk", "sleep", "loop_close", "loop_configure", "backend_fd", "new_thread", "new_work", "new_async",
          "queue_work", "chdir", "setuid", "setgid", "os_setenv", "kill", "new_tty", "fs_chown", "new_fs_poll", "tcp_open", "_loop",
          "print_all_handles", "disable_stdio_inheritance", "stream_set_blocking",
        } do
          assert(uv[name] == nil, name)
        end
      ]])
    end)

    it("hides the metatables of handles, and gives them no method without a rule", function()
      guarded({}, [[
        local pipe = uv.new_pipe(false)
        assert(getmetatable(pipe) == false)
        assert(pipe.set_blocking == nil)
        assert(pipe.__gc == nil)
        assert(type(pipe.write) == "function")
      ]])
      local pipe = uv.new_pipe(false)
      assert.is_false(getmetatable(pipe))
      assert.is_nil(pipe.__gc)
      closed(pipe)
    end)

    it("gives each name as a closure that stands for nothing else", function()
      for name, value in pairs(uv) do
        if name ~= "constants" then assert.equal("function", type(value), name) end
      end
      assert.equal(17, math.type(uv.constants.SIGCHLD) == "integer" and uv.constants.SIGCHLD)
    end)
  end)

  describe("callbacks", function()
    it("run from the loop, after the call has answered", function()
      local order = {}
      callback(function(done)
        uv.fs_stat(dir, function()
          order[#order + 1] = "callback"
          done()
        end)
        order[#order + 1] = "call"
      end)
      assert.same({ "call", "callback" }, order)
    end)

    it("are no tasks: what would wait raises", function()
      local timer = uv.new_timer()
      local ok, err = callback(function(done)
        timer:start(0, 0, function() done(pcall(mw.task.sleep, 1)) end)
      end)
      closed(timer)
      assert.is_false(ok)
      assert.equal("EINVAL", err.code)
    end)
  end)

  describe("a callback that does not come back", function()
    for name, code in pairs {
      ["is stopped by the deadline"] = "while true do end",
      ["is stopped even where it catches every error"] = "while true do pcall(function() while true do end end) end",
      ["is stopped in a coroutine of its own"] = "coroutine.wrap(function() while true do end end)()",
    } do
      it(name, function()
        local script = ("local uv = require 'uv' uv.new_timer():start(0, 0, function() %s end) require 'moonwire'.task.wait()"):format(code)
        local result, err = mw.process.run{ os.getenv "MOONWIRE", "eval", "--timeout=200ms", script, timeout = 20, check = false }
        assert(result, tostring(err))
        assert.equal(124, result.code)
      end)
    end
  end)

  describe("timers", function()
    it("fire once, or again and again", function()
      local timer, times = uv.new_timer(), 0
      callback(function(done)
        assert.equal(0, timer:start(1, 1, function()
          times = times + 1
          if times == 3 then
            timer:stop()
            done()
          end
        end))
      end)
      assert.equal(3, times)
      closed(timer)
    end)

    it("refuse negative times, which libuv takes for very long ones", function()
      local timer = uv.new_timer()
      misuse(timer.start, timer, -1, 0, print)
      misuse(timer.start, timer, 0, -1, print)
      misuse(timer.set_repeat, timer, -1)
      misuse(timer.start, timer, 1.5, 0, print)
      misuse(timer.start, timer, 0, 0, "no function")
      closed(timer)
    end)
  end)

  describe("a closed handle", function()
    local calls = {
      timer = { start = { 1, 1, print }, stop = {}, again = {}, set_repeat = { 1 }, get_repeat = {}, close = {}, ref = {}, fileno = {} },
      check = { start = { print }, stop = {}, close = {} },
      idle = { start = { print }, stop = {}, close = {} },
      prepare = { start = { print }, stop = {}, close = {} },
      signal = { start = { "sigusr1", print }, stop = {}, close = {} },
      pipe = {
        bind = { "/tmp/never" }, connect = { "/tmp/never", print }, write = { "x" }, try_write = { "x" }, read_start = { print },
        read_stop = {}, shutdown = {}, listen = { 1, print }, open = { 5 }, getsockname = {}, close = {}, unref = {},
        send_buffer_size = {}, pending_count = {}, is_readable = {}, get_write_queue_size = {},
      },
      tcp = {
        bind = { "127.0.0.1", 0 }, connect = { "127.0.0.1", 1, print }, nodelay = { true }, keepalive = { false }, write = { "x" },
        getsockname = {}, getpeername = {}, listen = { 1, print }, close_reset = {}, read_start = { print }, close = {},
      },
      udp = {
        bind = { "127.0.0.1", 0 }, connect = { "127.0.0.1", 1 }, send = { "x", "127.0.0.1", 1, print }, try_send = { "x", "127.0.0.1", 1 },
        recv_start = { print }, recv_stop = {}, set_ttl = { 1 }, set_broadcast = { true }, getsockname = {}, close = {},
        set_membership = { "224.0.0.1", nil, "join" },
      },
    }

    for kind, methods in pairs(calls) do
      it("raises for every method of a " .. kind, function()
        local handle = closed(uv["new_" .. kind]())
        for name, args in pairs(methods) do
          assert.equal("function", type(handle[name]), kind .. ":" .. name)
          local err = misuse(handle[name], handle, table.unpack(args, 1, 4))
          assert.matches("closed", err.message, nil, name)
        end
        assert.is_true(handle:is_closing())
        assert.is_false(handle:is_active())
        assert.equal(kind, handle:get_type())
      end)
    end

    it("raises while it is closing, too", function()
      local timer = uv.new_timer()
      timer:close()
      misuse(timer.close, timer)
      misuse(timer.start, timer, 1, 0, print)
    end)

    it("is not taken for a client", function()
      local server, client = uv.new_tcp(), closed(uv.new_tcp())
      misuse(server.accept, server, client)
      closed(server)
    end)
  end)

  describe("what is no handle of the right kind", function()
    it("raises", function()
      local timer, tcp = uv.new_timer(), uv.new_tcp()
      for _, value in ipairs { 1, "x", {}, print, uv.fs_opendir("/"), timer } do misuse(uv.tcp_bind, value, "127.0.0.1", 0) end
      misuse(uv.tcp_bind)
      misuse(uv.timer_start, tcp, 1, 1, print)
      misuse(uv.close, {})
      misuse(uv.accept, tcp, timer)
      misuse(uv.accept, tcp, tcp)
      misuse(uv.accept, tcp, uv.new_pipe(false))
      misuse(uv.cancel, timer)
      misuse(uv.fs_scandir_next, timer)
      misuse(uv.fs_readdir, uv.fs_scandir("/"))
      misuse(uv.fs_scandir_next, uv.fs_opendir("/"))
      closed(timer)
      closed(tcp)
    end)
  end)

  describe("sockets", function()
    it("carry bytes both ways over TCP", function()
      local server = uv.new_tcp()
      assert.equal(0, server:bind("127.0.0.1", 0))
      assert.equal(0, server:listen(10, function(err)
        assert(not err, err)
        local peer = uv.new_tcp()
        assert.equal(0, server:accept(peer))
        peer:read_start(function(_, data)
          if data then peer:write { data:upper(), "!" } else peer:close() end
        end)
      end))
      local client = uv.new_tcp()
      local answer = callback(function(done)
        client:connect("127.0.0.1", server:getsockname().port, function(err)
          assert(not err, err)
          client:write("hello")
          client:read_start(function(_, data) done(data) end)
        end)
      end)
      assert.equal("HELLO!", answer)
      closed(client)
      closed(server)
    end)

    it("carry bytes over a named pipe, whose name goes when it is closed", function()
      local path = dir .. "/socket"
      local server, client = uv.new_pipe(false), uv.new_pipe(false)
      assert.equal(0, server:bind(path))
      assert.equal(path, server:getsockname())
      assert.equal("socket", uv.fs_stat(path).type)
      assert.equal(0, server:listen(1, function()
        local peer = uv.new_pipe(false)
        server:accept(peer)
        peer:write("welcome", function() peer:close() end)
      end))
      local answer = callback(function(done)
        client:connect(path, function(err)
          assert(not err, err)
          client:read_start(function(_, data) done(data) end)
        end)
      end)
      assert.equal("welcome", answer)
      closed(client)
      closed(server)
      assert.is_nil((uv.fs_stat(path)))
    end)

    it("never follow a link to a socket's name", function()
      assert(uv.fs_symlink("/nowhere", dir .. "/link"))
      local pipe = uv.new_pipe(false)
      local ok, err = pipe:bind(dir .. "/link")
      assert.is_nil(ok)
      assert.matches("EADDRINUSE", err)
      closed(pipe)
    end)

    it("refuse names that cannot be a socket's", function()
      local pipe = uv.new_pipe(false)
      local ok, err, name = pipe:bind("")
      assert.same({ "EINVAL" }, { not ok and name }, err)
      ok, err, name = pipe:bind("/tmp/" .. ("x"):rep(200))
      assert.same({ "ENAMETOOLONG" }, { not ok and name }, err)
      misuse(pipe.bind, pipe, "/tmp/a\0b")
      misuse(pipe.bind, pipe, 17)
      misuse(pipe.connect, pipe, "/tmp/a\0b", print)
      closed(pipe)
    end)

    it("take numeric addresses only, and ports that exist", function()
      local tcp, udp = uv.new_tcp(), uv.new_udp()
      misuse(tcp.bind, tcp, "localhost", 80)
      misuse(tcp.connect, tcp, "127.0.0.1", 65536, print)
      misuse(tcp.connect, tcp, "127.0.0.1", 0, print)
      misuse(tcp.connect, tcp, "127.0.0.1", -1, print)
      misuse(tcp.connect, tcp, "127.0.0.1\0x", 80, print)
      misuse(tcp.connect, tcp, nil, 80, print)
      misuse(tcp.connect, tcp, "0x7f.1", 80, print)
      misuse(udp.bind, udp, "example.org", 80)
      assert.equal("EDESTADDRREQ", select(3, udp:send("x", nil, nil, print)))
      assert.equal("EDESTADDRREQ", select(3, udp:try_send("x", nil, nil)))
      misuse(udp.send, udp, "x", "127.0.0.1", 1e10, print)
      misuse(tcp.keepalive, tcp, true)
      misuse(tcp.keepalive, tcp, true, 0)
      closed(tcp)
      closed(udp)
    end)

    it("refuse empty tables of data, on which luv aborts, and data that is no string", function()
      local client, udp = uv.new_pipe(false), uv.new_udp()
      misuse(client.write, client, {})
      misuse(client.try_write, client, {})
      misuse(client.write, client, { "a", true })
      misuse(client.write, client, { "a", nil, "b", [5] = "c" }, 1)
      misuse(client.write, client, 17)
      misuse(client.write2, client, {}, udp)
      misuse(udp.send, udp, {}, "127.0.0.1", 9, print)
      misuse(udp.try_send, udp, {}, "127.0.0.1", 9)
      closed(client)
      closed(udp)
    end)

    it("stop taking data when the peer does not read", function()
      local fds = assert(uv.socketpair())
      local one, other = uv.new_pipe(false), uv.new_pipe(false)
      assert.equal(0, one:open(fds[1]))
      assert.equal(0, other:open(fds[2]))
      local chunk, code = ("x"):rep(1 << 20), nil
      for _ = 1, 40 do
        local ok, _, name = one:write(chunk)
        if not ok then
          code = name
          break
        end
      end
      assert.equal("ENOBUFS", code)
      closed(one)
      closed(other)
    end)

    it("send and receive datagrams", function()
      local server, client = uv.new_udp(), uv.new_udp()
      assert.equal(0, server:bind("127.0.0.1", 0))
      local data, from = callback(function(done)
        server:recv_start(function(err, data, from)
          assert(not err, err)
          if data then done(data, from) end
        end)
        assert.equal(7, client:try_send({ "data", "gra" }, "127.0.0.1", server:getsockname().port))
      end)
      assert.equal("datagra", data)
      assert.equal("127.0.0.1", from.ip)
      closed(server)
      closed(client)
    end)

    it("bound the number of datagrams that are taken at once", function()
      misuse(uv.new_udp, { family = "inet", mmsgs = 1 << 30 })
      misuse(uv.new_udp, { mmsgs = 0 })
      closed(assert(uv.new_udp { family = "inet", mmsgs = 4 }))
    end)

    it("are not asked of luv where the system has no socket for them, since luv keeps their memory", function()
      for _, family in ipairs { 1, 77, 255 } do
        assert.same({ n = 3, nil, "EINVAL: invalid argument", "EINVAL" }, table.pack(uv.new_tcp(family)))
        assert.same({ n = 3, nil, "EINVAL: invalid argument", "EINVAL" }, table.pack(uv.new_udp(family)))
        assert.same({ n = 3, nil, "EINVAL: invalid argument", "EINVAL" }, table.pack(uv.new_udp { family = family }))
      end
      misuse(uv.new_tcp, "unix")
      misuse(uv.new_udp, "2")
      misuse(uv.new_udp, { family = "unix" })
      for _, family in ipairs { "inet", "unspec", 0, 2 } do
        closed(assert(uv.new_tcp(family)))
        closed(assert(uv.new_udp(family)))
        closed(assert(uv.new_udp { family = family }))
      end
    end)

    it("find the addresses of a name, by callback only", function()
      guarded({ "--allow-net" }, [[misuse(uv.getaddrinfo, "127.0.0.1")]])
      misuse(uv.getaddrinfo, nil, nil, nil, print)
      local err, list = callback(function(done) uv.getaddrinfo("127.0.0.1", 80, { socktype = "stream" }, done) end)
      assert.is_nil(err)
      assert.equal("127.0.0.1", list[1].addr)
      assert.equal(80, list[1].port)
    end)

    it("read option tables once, raw", function()
      local reads = 0
      local hints = setmetatable({}, { __index = function() reads = reads + 1 return "stream" end })
      callback(function(done) uv.getaddrinfo("127.0.0.1", nil, hints, done) end)
      assert.equal(0, reads)
    end)
  end)

  describe("requests", function()
    it("are cancelled only while they are under way", function()
      local req
      local err = callback(function(done) req = uv.random(16, nil, done) end)
      assert.is_nil(err)
      misuse(uv.cancel, req)
      misuse(uv.req_get_type, req)
      misuse(uv.cancel, {})
    end)

    it("of files are done already", function()
      local req
      callback(function(done) req = uv.fs_stat("/", done) end)
      assert.equal("fs", req:get_type())
      local ok, _, name = req:cancel()
      assert.is_nil(ok)
      assert.equal("EBUSY", name)
    end)
  end)

  describe("files", function()
    it("are written, read and described", function()
      local path = dir .. "/file"
      local fd = assert(uv.fs_open(path, "w+", 420))
      assert.equal(6, uv.fs_write(fd, { "abc", "def" }))
      assert.equal(2, uv.fs_write(fd, "XY", 1))
      assert.equal("aXYdef", uv.fs_read(fd, 100, 0))
      assert.equal("Yd", uv.fs_read(fd, 2, 2))
      assert.equal(6, uv.fs_fstat(fd).size)
      assert.is_true(uv.fs_ftruncate(fd, 3))
      assert.is_true(uv.fs_fsync(fd))
      assert.is_true(uv.fs_close(fd))
      local stat = assert(uv.fs_stat(path))
      assert.equal("file", stat.type)
      assert.equal(3, stat.size)
      assert.equal(420, stat.mode & 4095)
      assert.is_true(uv.fs_chmod(path, 256))
      assert.is_true(uv.fs_utime(path, 1000, 2000.5))
      stat = assert(uv.fs_stat(path))
      assert.same({ sec = 2000, nsec = 500000000 }, stat.mtime)
      assert.is_true(uv.fs_access(path, "R"))
      assert.equal(path, uv.fs_realpath(path))
      assert.is_true(uv.fs_link(path, dir .. "/hard"))
      assert.is_true(uv.fs_copyfile(path, dir .. "/copy"))
      assert.equal("EEXIST", select(3, uv.fs_copyfile(path, dir .. "/copy", { excl = true })))
      assert.is_true(uv.fs_rename(dir .. "/copy", dir .. "/moved"))
      assert.is_true(uv.fs_symlink("file", dir .. "/soft"))
      assert.equal("file", uv.fs_readlink(dir .. "/soft"))
      assert.equal("link", uv.fs_lstat(dir .. "/soft").type)
      assert.is_true(uv.fs_mkdir(dir .. "/sub", 448))
      local names = {}
      for name, kind in uv.fs_scandir_next, uv.fs_scandir(dir) do names[#names + 1] = name .. ":" .. kind end
      assert.same({ "file:file", "hard:file", "moved:file", "soft:link", "sub:directory" }, names)
    end)

    it("answer the same by callback", function()
      local path = dir .. "/file"
      local err, fd = callback(function(done) uv.fs_open(path, "w+", 420, done) end)
      assert.is_nil(err)
      assert.same({ nil, 3 }, { callback(function(done) uv.fs_write(fd, "abc", done) end) })
      assert.same({ nil, "abc" }, { callback(function(done) uv.fs_read(fd, 10, 0, done) end) })
      assert.same({ nil, true }, { callback(function(done) uv.fs_close(fd, done) end) })
      err, fd = callback(function(done) uv.fs_open(dir .. "/none", "r", 0, done) end)
      assert.equal("ENOENT: no such file or directory: " .. dir .. "/none", err)
      assert.is_nil(fd)
    end)

    it("list a directory in portions", function()
      for _, name in ipairs { "a", "b", "c" } do uv.fs_close(assert(uv.fs_open(dir .. "/" .. name, "w"))) end
      local handle = assert(uv.fs_opendir(dir, nil, 2))
      assert.same({ { name = "a", type = "file" }, { name = "b", type = "file" } }, handle:readdir())
      assert.same({ nil, { { name = "c", type = "file" } } }, { callback(function(done) handle:readdir(done) end) })
      assert.is_nil(handle:readdir())
      assert.is_true(handle:closedir())
      misuse(handle.closedir, handle)
      misuse(handle.readdir, handle)
      misuse(uv.fs_opendir, dir, nil, -1)
      misuse(uv.fs_opendir, dir, nil, 1 << 20)
    end)

    it("are known by the numbers that fs_open gave, and by no other", function()
      for fd = 0, 64 do
        local ok, _, name = uv.fs_close(fd)
        assert.is_nil(ok)
        assert.equal("EBADF", name)
      end
      local fd = assert(uv.fs_open(dir .. "/file", "w"))
      assert.equal("EBADF", select(3, uv.fs_read(fd, 1)), "it is not open for reading")
      assert.is_true(uv.fs_close(fd))
      assert.equal("EBADF", select(3, uv.fs_close(fd)))
      assert.equal("EBADF", select(3, uv.fs_write(fd, "x")))
      misuse(uv.fs_read, -1, 1)
      misuse(uv.fs_close, "1")
      misuse(uv.fs_close, 1 << 40)
    end)

    it("have bounds for sizes and offsets", function()
      local fd = assert(uv.fs_open("/dev/zero", "r"))
      misuse(uv.fs_read, fd, -1)
      misuse(uv.fs_read, fd, 1, -2)
      misuse(uv.fs_write, fd, {})
      assert.equal(16 << 20, #uv.fs_read(fd, 1 << 60))
      assert.is_true(uv.fs_close(fd))
      misuse(uv.fs_open, dir .. "/x", "q")
      misuse(uv.fs_open, dir .. "/x", "rx")
      misuse(uv.fs_mkdir, dir .. "/x", -1)
      misuse(uv.fs_stat, dir .. "\0")
      misuse(uv.fs_stat, 17)
      misuse(uv.fs_utime, dir, 0 / 0, 0)
      misuse(uv.fs_utime, dir, 1e300, 0)
      assert.equal("EINVAL", select(3, uv.fs_open(dir .. "/x", 1 << 26)))
      assert.equal("EINVAL", select(3, uv.fs_mkdtemp(dir .. "/short")))
    end)

    it("are never devices that could stop the loop", function()
      local fds = assert(uv.pipe())
      assert.equal("EAGAIN", select(3, uv.fs_read(fds.read, 1)))
      assert.equal(1, uv.fs_write(fds.write, "x"))
      assert.equal("x", uv.fs_read(fds.read, 10))
      assert.equal("pipe", uv.guess_handle(fds.read))
      assert.is_true(uv.fs_close(fds.read))
      assert.is_true(uv.fs_close(fds.write))
      local fd = uv.fs_open("/dev/tty", "r")
      assert.is_nil(fd)
    end)

    it("that a handle has taken over belong to it alone", function()
      local fds = assert(uv.pipe())
      local pipe = uv.new_pipe(false)
      assert.equal(0, pipe:open(fds.read))
      assert.equal("EBADF", select(3, uv.fs_close(fds.read)))
      assert.equal("EBADF", select(3, uv.new_pipe(false):open(fds.read)))
      assert.equal("EBUSY", select(3, pipe:open(fds.write)))
      closed(pipe)
      assert.is_true(uv.fs_close(fds.write))
      local fd = assert(uv.fs_open("/dev/null", "r"))
      assert.equal("EBADF", select(3, uv.new_pipe(false):open(fd)), "a file would end the process when it is read")
      assert.is_true(uv.fs_close(fd))
    end)
  end)

  describe("programs", function()
    it("run with pipes at both ends, and their end is told", function()
      local input, output = uv.new_pipe(false), uv.new_pipe(false)
      local text, handle, pid = {}, nil, nil
      local code, signal = callback(function(done)
        handle, pid = uv.spawn("sh", {
          args = { "-c", "tr a-z A-Z; echo $NAME; exit 3" },
          env = { "NAME=value", "PATH=" .. uv.os_getenv("PATH") },
          stdio = { input, output },
        }, done)
        assert(handle, pid)
        input:write("hello ", function() input:close() end)
      end)
      callback(function(done)
        output:read_start(function(_, data)
          if data then text[#text + 1] = data else done() end
        end)
      end)
      assert.same({ 3, 0 }, { code, signal })
      assert.equal("HELLO value\n", table.concat(text))
      assert.equal(pid, handle:get_pid())
      assert.equal("process", handle:get_type())
      assert.is_false(handle:is_active())
      assert.equal("ESRCH", select(3, handle:kill()))
      closed(handle)
      misuse(handle.kill, handle)
      misuse(handle.close, handle)
      assert.is_true(handle:is_closing())
      closed(output)
    end)

    it("end by a signal that exists", function()
      local handle
      local code, signal = callback(function(done)
        handle = assert(uv.spawn("sleep", { args = { "30" } }, done))
        misuse(handle.kill, handle, "sigfoo")
        misuse(handle.kill, handle, 0)
        misuse(handle.kill, handle, -9)
        assert.equal(0, handle:kill("sigterm"))
      end)
      assert.same({ 0, 15 }, { code, signal })
      closed(handle)
    end)

    it("are not started with options that are wrong, and leave nothing then", function()
      local pipe = uv.new_pipe(false)
      misuse(uv.spawn, "true", { argv = {} })
      misuse(uv.spawn, "true", { args = { "a\0b" } })
      misuse(uv.spawn, "true", { args = { {} } })
      misuse(uv.spawn, "true", { args = "x" })
      misuse(uv.spawn, "true", { env = { "NOTHING" } })
      misuse(uv.spawn, "true", { env = { "=x" } })
      misuse(uv.spawn, "true", { stdio = { 17 } })
      guarded({ "--allow-run=true" }, [[
        misuse(uv.spawn, "true", { stdio = { [4] = uv.new_pipe(false) } })
        misuse(uv.spawn, "true", { stdio = { uv.new_tcp() } })
        misuse(uv.spawn, "true", { uid = 0 })
      ]])
      misuse(uv.spawn, "true", {}, "no function")
      misuse(uv.spawn, 17, {})
      assert.equal("EINVAL", select(3, uv.spawn("true", { stdio = { pipe, pipe } })))
      assert.equal("ENOENT", select(3, uv.spawn("no-such-program", { stdio = { pipe } })))
      assert.equal("EBADF", select(3, pipe:fileno()))
      closed(pipe)
    end)

    it("read their options once, raw", function()
      local meta = { __index = function() error("asked") end, __len = function() error("asked") end }
      local code = callback(function(done)
        assert(uv.spawn("true", setmetatable({ args = setmetatable({}, meta), stdio = setmetatable({}, meta) }, meta), done))
      end)
      assert.equal(0, code)
    end)
  end)

  describe("the system", function()
    it("is told of as luv tells it", function()
      assert.equal("string", type(uv.os_uname().sysname))
      assert.is_true(#uv.cpu_info() >= 1)
      assert.equal(3, select("#", uv.loadavg()))
      assert.is_true(uv.get_total_memory() > 0)
      assert.equal("table", type(uv.interface_addresses()))
      assert.equal(16, #uv.random(16))
      assert.equal("string", type(uv.exepath()))
      assert.equal(uv.os_getenv("PATH"), uv.os_environ().PATH)
    end)

    it("has bounds", function()
      misuse(uv.random, 1 << 30)
      misuse(uv.random, -1)
      misuse(uv.os_getenv, "A=B")
      misuse(uv.os_getenv, "A\0B")
      misuse(uv.os_getenv, "PATH", 1 << 40)
      misuse(uv.translate_sys_error, 100000)
      misuse(uv.if_indextoname, 0)
      misuse(uv.new_tcp, "unix")
    end)

    it("has few signals for scripts", function()
      guarded({ "--allow-sys=signal" }, [[
        local signal = uv.new_signal()
        for _, which in ipairs { "sigint", "sigchld", "sigkill", "sigterm", "nothing", 2, 17, 9, 0, -1, 65 } do
          misuse(signal.start, signal, which, print)
        end
        assert(signal:start("sigusr2", print) == 0)
      ]])
    end)
  end)
end)
