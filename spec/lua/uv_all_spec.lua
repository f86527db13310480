--- uv with all rights: what only whoever has them gets of luv, and scripts that were written for luv itself.
local mw = require "moonwire"

--- Runs `code` in a program of its own: what it wrote, its exit code, its standard error.
local function program(code, flags)
  local args = { os.getenv "MOONWIRE", "eval" }
  for _, flag in ipairs(flags or { "-A" }) do args[#args + 1] = flag end
  args[#args + 1] = [[
    local uv = require "luv"
    local mw = require "moonwire"
    local function misuse(...)
      local ok, err = pcall(...)
      assert(not ok and type(err) == "table" and err.code == "EINVAL", tostring(err))
      return tostring(err)
    end
  ]] .. code
  args.timeout, args.check = 60, false
  local result, err = mw.process.run(args)
  assert(result, tostring(err))
  assert.is_nil(result.signal, result.stderr)
  return result.stdout, result.code, result.stderr
end

local function says(expected, code, flags)
  local out, status, err = program(code, flags)
  assert.equal(expected, out, err)
  assert.equal(0, status, err)
end

describe("a script of plain luv", function()
  it("finds the module by luv's name too, and it is the same", function()
    says("true", [[io.write(tostring(uv == require "uv"))]])
  end)

  it("makes its handles, and calls uv.run last", function()
    says("tick tick tick closed false", [[
      local timer, times = uv.new_timer(), 0
      timer:start(1, 1, function()
        times = times + 1
        io.write "tick "
        if times == 3 then timer:close(function() io.write "closed " end) end
      end)
      io.write(tostring(uv.run()))
    ]])
  end)

  it("serves and calls over TCP until the last handle is closed", function()
    says("PING pong", [[
      local server = uv.new_tcp()
      server:bind("127.0.0.1", 0)
      server:listen(8, function(err)
        assert(not err, err)
        local peer = uv.new_tcp()
        server:accept(peer)
        peer:read_start(function(_, data)
          if not data then
            peer:close()
            server:close()
            return
          end
          io.write(data:upper(), " ")
          peer:write "pong"
        end)
      end)
      local client = uv.new_tcp()
      client:connect("127.0.0.1", server:getsockname().port, function(err)
        assert(not err, err)
        client:write "ping"
        client:read_start(function(_, data)
          io.write(data)
          client:shutdown(function() client:close() end)
        end)
      end)
      uv.run()
    ]])
  end)

  it("is kept by requests, by callbacks of files and by children, and by nothing that is unreferenced", function()
    says("name random file exit(3)", [[
      local idle = uv.new_idle()
      idle:start(function() end)
      idle:unref()
      uv.getnameinfo({ ip = "127.0.0.1", port = 1 }, function() io.write "name " end)
      uv.run()
      uv.random(8, nil, function() io.write "random " end)
      uv.run()
      uv.fs_stat("/", function() io.write "file " end)
      uv.run()
      local child
      child = assert(uv.spawn("sh", { args = { "-c", "exit 3" } }, function(code)
        io.write("exit(", code, ")")
        child:close()
      end))
      uv.run()
      assert(not uv.loop_alive())
    ]])
  end)

  it("goes on beside tasks, which uv.run does not hold up", function()
    says("task run", [[
      local timer = uv.new_timer()
      timer:start(10000, 0, function() end)
      mw.task.spawn(function()
        mw.task.sleep(0.001)
        io.write "task "
        timer:close()
      end)
      uv.run()
      io.write "run"
    ]])
  end)

  it("learns which mode uv.run is in, from within", function()
    says("nil default once nil", [[
      local timer = uv.new_timer()
      io.write(tostring(uv.loop_mode()), " ")
      timer:start(0, 0, function() io.write(uv.loop_mode(), " ") end)
      uv.run()
      timer:start(0, 0, function() io.write(uv.loop_mode(), " ") end)
      uv.run "once"
      io.write(tostring(uv.loop_mode()))
    ]])
  end)

  it("runs one turn: an idle handle's callback is called once, and a nowait does not block", function()
    says("1 2 true false", [[
      local idle, turns = uv.new_idle(), 0
      idle:start(function() turns = turns + 1 end)
      uv.run "nowait"
      io.write(turns, " ")
      uv.run "once"
      io.write(turns, " ")
      idle:close()
      local timer = uv.new_timer()
      timer:start(3600000, 0, function() end)
      io.write(tostring(uv.run "nowait"), " ")
      timer:close()
      io.write(tostring(uv.run()))
    ]])
  end)

  it("stops its run from a callback, and a run that has not begun", function()
    says("true false true false", [[
      local idle = uv.new_idle()
      idle:start(function() uv.stop() end)
      io.write(tostring(uv.run()), " ")
      idle:close()
      io.write(tostring(uv.run()), " ")
      local timer = uv.new_timer()
      timer:start(0, 0, function() timer:close() end)
      uv.stop()
      io.write(tostring(uv.run()), " ", tostring(uv.run()))
    ]])
  end)

  it("waits in its task: in a callback uv.run says that the loop runs already", function()
    local out, status = program [[
      local timer = uv.new_timer()
      timer:start(0, 0, function()
        timer:close()
        io.write((misuse(uv.run):find "runs already") and "told" or "?")
      end)
      uv.run()
      misuse(uv.run, "sometimes")
      misuse(uv.run, 1)
    ]]
    assert.same({ "told", 0 }, { out, status })
  end)

  it("may run in a coroutine of its own, and several tasks at once", function()
    says("111", [[
      local timer = uv.new_timer()
      timer:start(5, 0, function() timer:close() end)
      mw.task.scope(function(s)
        s:spawn(function() uv.run() io.write "1" end)
        s:spawn(function() uv.run "once" io.write "1" end)
        coroutine.wrap(function() uv.run() io.write "1" end)()
      end)
    ]])
  end)

  it("leaves its run when the task is cancelled, and can run again", function()
    says("timed out, false", [[
      local timer = uv.new_timer()
      timer:start(3600000, 0, function() end)
      local ok = pcall(mw.task.timeout, 0.01, uv.run)
      assert(not ok or uv.loop_mode() == nil)
      io.write(uv.loop_mode() == nil and "timed out, " or "?")
      timer:close()
      io.write(tostring(uv.run()))
    ]])
  end)

  it("goes on after an error in a callback, which is told and makes the exit status", function()
    local out, status, err = program [[
      local timer, times = uv.new_timer(), 0
      timer:start(0, 1, function()
        times = times + 1
        if times == 2 then timer:close() end
        error("from callback " .. times)
      end)
      uv.run()
      io.write "after"
    ]]
    assert.same({ "after", 1 }, { out, status })
    assert.truthy(err:find "from callback 1" and err:find "from callback 2")
  end)

  it("walks its own handles alone, in the order of making, until each is closed", function()
    says("timer pipe idle, 0 EBUSY 0", [[
      local timer, pipe, idle = uv.new_timer(), uv.new_pipe(false), uv.new_idle()
      local kinds = {}
      uv.walk(function(handle) kinds[#kinds + 1] = handle:get_type() end)
      io.write(table.concat(kinds, " "), ", ")
      uv.walk(uv.close)
      assert(select(3, uv.loop_close()) == "EBUSY")
      uv.run()
      local left = 0
      uv.walk(function() left = left + 1 end)
      io.write(left, " ")
      timer = uv.new_timer()
      io.write(select(3, uv.loop_close()), " ")
      assert(not pcall(uv.walk, function() error "mine" end))
      timer:close()
      uv.run()
      io.write(uv.loop_close())
      misuse(uv.walk)
    ]])
  end)

  it("closes any number of handles before one run, and runs any number of times", function()
    says("20000 500", [[
      local closed = 0
      for _ = 1, 20000 do uv.new_timer():close(function() closed = closed + 1 end) end
      uv.run()
      io.write(closed, " ")
      closed = 0
      for _ = 1, 500 do
        local timer = uv.new_timer()
        timer:start(100, 100, function() end)
        timer:close(function() closed = closed + 1 end)
        uv.run()
      end
      io.write(closed)
    ]])
  end)

  it("is told types by name and number, and both names of what has two", function()
    says("fs 6 process 10 fine", [[
      io.write(table.concat({ uv.fs_stat("/", function() end):get_type() }, " "), " ")
      local child = assert(uv.spawn("true", {}))
      io.write(table.concat({ child:get_type() }, " "), " ")
      local _, text = uv.fs_rename("/no/such/a", "/no/such/b")
      assert(text:find "ENOENT: .*: /no/such/a %-> /no/such/b$", text)
      assert(tostring(uv.fs_opendir "/"):find "^uv_dir_t: ")
      assert(select(3, uv.new_udp():send("x", nil, nil, print)) == "EDESTADDRREQ")
      io.write "fine"
    ]])
  end)

  it("writes numbers in a table as text, to files and to streams", function()
    says("with600lines1.5 with600lines1.5", [[
      local fd, path = assert(uv.fs_mkstemp "/tmp/mw-uv-all-XXXXXX")
      local parts = { "with", 600, "lines", 1.5 }
      uv.fs_write(fd, parts, function(err)
        assert(not err, err)
        io.write(uv.fs_read(fd, 100, 0), " ")
        uv.fs_close(fd)
        uv.fs_unlink(path)
      end)
      uv.run()
      assert(math.type(parts[2]) == "integer")
      local pair = assert(uv.socketpair())
      local a, b = uv.new_pipe(false), uv.new_pipe(false)
      a:open(pair[1])
      b:open(pair[2])
      a:write(parts, function() a:close() end)
      b:read_start(function(_, data)
        if data then io.write(data) else b:close() end
      end)
      uv.run()
    ]])
  end)

  it("is interrupted where it stops the loop: asleep, or waiting for a thread", function()
    local flags = { "-A", "--timeout=100ms" }
    local _, status = program("uv.sleep(3600000)", flags)
    assert.equal(124, status)
    _, status = program([[uv.new_thread(function() require("luv").sleep(600) end):join()]], flags)
    assert.equal(124, status)
  end)

  it("may leave everything open at its end", function()
    says("end", [[
      uv.new_timer():start(0, 1, function() end)
      uv.new_idle():start(function() end)
      uv.new_async(function() end)
      uv.new_fs_event():start("/tmp", {}, function() end)
      uv.new_fs_poll():start("/tmp", 10, function() end)
      uv.new_poll(assert(uv.pipe()).read):start("r", function() end)
      uv.new_work(function() end, function() end):queue()
      uv.new_thread(function() require("luv").sleep(1) end)
      assert(uv.spawn("sleep", { args = { 30 } }))
      mw.task.spawn(uv.run)
      uv.run "nowait"
      io.write "end"
      os.exit(0)
    ]])
  end)

  it("finds a name gone for it once a right was dropped", function()
    says("EDENIED EDENIED", [[
      local timer = uv.new_timer()
      mw.permissions.drop("net")
      local _, err = pcall(uv.run)
      io.write(err.code, " ")
      _, err = pcall(uv.new_thread, function() end)
      io.write(err.code)
    ]])
  end)
end)

describe("uv's threads", function()
  it("take values along, and send them back by an async", function()
    says("1 two true nil 5", [[
      local async
      async = uv.new_async(function(a, b, c, d, e)
        io.write(("%d %s %s %s %d"):format(a, b, c, d, e))
        async:close()
      end)
      uv.new_thread(function(handle, n, text, yes, none, five)
        handle:send(n, text, yes, none, five)
      end, async, 1, "two", true, nil, 5):join()
      uv.run()
    ]])
  end)

  it("have luv itself, by both names", function()
    says("joined", [[
      local thread = uv.new_thread({ stack_size = 1 << 20 }, function()
        local luv = require "luv"
        assert(luv == require "uv" and luv.run and luv.thread_self():equal(luv.thread_self()))
        local timer = luv.new_timer()
        timer:start(1, 0, function() timer:close() end)
        luv.run()
      end)
      assert(thread:join() == true)
      assert(uv.thread_self() == uv.thread_self() and uv.thread_self() ~= thread)
      assert(uv.thread_equal(thread, thread))
      io.write "joined"
    ]])
  end)

  it("end alone by an error, which is printed", function()
    local out, status, err = program [[
      uv.new_thread(function() error "in the thread" end):join()
      uv.new_thread(function()
        local luv = require "luv"
        local timer = luv.new_timer()
        timer:start(0, 0, function() timer:close() error "in its callback" end)
        luv.run()
      end):join()
      io.write "still here"
    ]]
    assert.same({ "still here", 0 }, { out, status })
    assert.truthy(err:find "in the thread" and err:find "in its callback")
  end)

  it("are kept until they have ended, whoever holds them, and waited for at the end", function()
    says("main thread", [[
      io.stdout:setvbuf "no"
      io.write "main "
      uv.new_thread(function()
        require("luv").sleep(50)
        io.write "thread"
        io.flush()
      end)
      collectgarbage()
      collectgarbage()
    ]])
  end)

  it("refuse what luv has no room for, or cannot pass on", function()
    says("fine", [[
      local entry = function() end
      local thread = uv.new_thread(entry)
      local async = uv.new_async(print)
      misuse(uv.new_thread)
      misuse(uv.new_thread, print)
      misuse(uv.new_thread, {}, 17)
      misuse(uv.new_thread, { stack_size = -1 }, entry)
      misuse(uv.new_thread, { stack_size = 1 << 60 }, entry)
      misuse(uv.new_thread, entry, {})
      misuse(uv.new_thread, entry, print)
      misuse(uv.new_thread, entry, uv.new_timer())
      misuse(uv.new_thread, entry, io.stdout)
      misuse(uv.new_thread, entry, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
      misuse(uv.new_async)
      misuse(async.send, async, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
      misuse(async.send, async, {})
      misuse(uv.thread_join, uv.thread_self())
      misuse(uv.thread_join, async)
      misuse(uv.thread_equal, thread, async)
      assert(thread ~= async)
      thread:join()
      misuse(thread.join, thread)
      async:close()
      misuse(async.send, async, 1)
      misuse(async.close, async)
      misuse(uv.sleep, -1)
      misuse(uv.sleep, 1 << 40)
      misuse(uv.new_thread, entry, async)
      io.write "fine"
    ]])
  end)
end)

describe("uv's work", function()
  it("is done in the pool, and told in the loop", function()
    says("42", [[
      local sum = 0
      local work = uv.new_work(function(n) return n, n * n end, function(n, square)
        assert(n * n == square)
        sum = sum + n
      end)
      for n = 19, 23, 2 do assert(work:queue(n)) end
      uv.queue_work(work, -21)
      uv.run()
      io.write(("%d"):format(sum))
    ]])
  end)

  it("outlives errors, in the pool and after", function()
    local out, status, err = program [[
      local calls = 0
      local work = uv.new_work(function(n) if n == 0 then error "in the pool" end return n end, function(n)
        calls = calls + 1
        if n == 1 then error "afterwards" end
      end)
      for n = 0, 2 do work:queue(n) end
      uv.run()
      io.write(calls)
    ]]
    assert.same({ "3", 1 }, { out, status })
    assert.truthy(err:find "in the pool" and err:find "afterwards")
  end)

  it("takes few values of few kinds", function()
    says("fine", [[
      local work = uv.new_work(function() end, function() end)
      misuse(work.queue, work, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
      misuse(work.queue, work, {})
      misuse(work.queue, work, uv.new_timer())
      misuse(uv.queue_work, {})
      misuse(uv.new_work, print, print)
      misuse(uv.new_work, 1, print)
      misuse(uv.new_work, function() end)
      io.write "fine"
    ]])
  end)
end)

describe("uv's settings of the process", function()
  it("change it", function()
    says("/ value nil", [[
      local old = uv.cwd()
      assert(uv.chdir "/")
      io.write(uv.cwd(), " ")
      assert(uv.chdir(old))
      assert(uv.os_setenv("MW_UV_ALL", "value"))
      io.write(uv.os_getenv "MW_UV_ALL", " ")
      assert(uv.os_unsetenv "MW_UV_ALL")
      io.write(tostring(uv.os_getenv "MW_UV_ALL"))
    ]])
  end)

  it("refuse what cannot be meant", function()
    says("fine", [[
      misuse(uv.chdir, "a\0b")
      misuse(uv.os_setenv, "A=B", "c")
      misuse(uv.os_setenv, "", "c")
      misuse(uv.os_setenv, "A", "b\0c")
      misuse(uv.os_unsetenv, "")
      misuse(uv.setuid, -1)
      misuse(uv.setgid, "root")
      misuse(uv.os_setpriority, -1, 0)
      misuse(uv.os_setpriority, 0, 100)
      misuse(uv.kill, uv.os_getpid() // 1 | 0, "sigfoo")
      misuse(uv.kill, "1")
      misuse(uv.fs_chown, "/tmp/x", -2, 0)
      misuse(uv.fs_chown, "/tmp\0x", 0, 0)
      misuse(uv.fs_fchown, -1, 0, 0)
      io.write "fine"
    ]])
  end)

  it("end other programs by their number", function()
    says("0 15", [[
      local child, pid
      child, pid = uv.spawn("sleep", { args = { 30 } }, function(code, signal)
        io.write(code, " ", signal)
        child:close()
      end)
      assert(uv.kill(pid, "sigterm") == 0)
      uv.run()
    ]])
  end)

  it("start programs with what only luv's own spawn has", function()
    says("four, 0 0, 15", [[
      local pipe, child = uv.new_pipe(false), nil
      child = assert(uv.spawn("sh", { args = { "-c", "printf four >&3" }, stdio = { nil, nil, nil, pipe } }, function(code, signal)
        child:close()
        io.write(", ", code, " ", signal)
      end))
      pipe:read_start(function(_, data)
        if data then io.write(data) else pipe:close() end
      end)
      local order = uv.new_prepare()
      uv.run()
      child = assert(uv.spawn("sleep", { args = { "30" }, stdio = { nil, nil, nil, uv.new_pipe(false) } }, function(_, signal)
        io.write(", ", signal)
        uv.walk(function(handle) if not handle:is_closing() then handle:close() end end)
      end))
      misuse(child.kill, child, "sigfoo")
      child:kill "sigterm"
      uv.run()
    ]])
  end)
end)

describe("uv's watches", function()
  local dir

  before_each(function() dir = assert(mw.fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("tell of a directory's names and of a file by its own, under a read right", function()
    says("entry file fine", ([[
      local dir = %q
      local event = uv.new_fs_event()
      assert(event:start(dir, {}, function(err, name)
        io.write(err or name, " ")
        event:close()
      end))
      assert(event:getpath() == dir)
      uv.fs_close(assert(uv.fs_open(dir .. "/entry", "w")))
      while not event:is_closing() do mw.task.sleep(0.001) end
      mw.fs.write(dir .. "/file", "")
      local other = uv.new_fs_event()
      assert(other:start(dir .. "/file", {}, function(err, name)
        if other:is_closing() then return end
        io.write(err or name, " ")
        other:close()
      end))
      local fd = assert(uv.fs_open(dir .. "/file", "w"))
      uv.fs_write(fd, "more")
      uv.fs_close(fd)
      while not other:is_closing() do mw.task.sleep(0.001) end
      misuse(other.start, other, dir, {}, print)
      misuse(other.stop, other)
      local third = uv.new_fs_event()
      misuse(third.start, third, dir, 1, print)
      misuse(third.start, third, dir, {}, 1)
      misuse(third.start, third, dir .. "\0", {}, print)
      assert(select(3, third:start(dir .. "/none", {}, print)) == "ENOENT")
      local ok, err = pcall(third.start, third, "/etc", {}, print)
      assert(not ok and err.code == "EDENIED")
      io.write "fine"
    ]]):format(tostring(dir.path or dir)), { "--allow-read=" .. tostring(dir.path or dir), "--allow-write=" .. tostring(dir.path or dir) })
  end)

  it("look at the ends of pipes, which are not closed meanwhile", function()
    says("r EBUSY EEXIST true", [[
      local fds = assert(uv.pipe())
      local poll = assert(uv.new_poll(fds.read))
      local seen
      poll:start("r", function(err, events)
        io.write(err or events, " ")
        seen = true
        poll:stop()
      end)
      uv.fs_write(fds.write, "x")
      while not seen do mw.task.sleep(0.001) end
      io.write(select(3, uv.fs_close(fds.read)), " ", select(3, uv.new_poll(fds.read)), " ")
      assert(select(3, uv.new_pipe(false):open(fds.read)) == "EBUSY")
      misuse(poll.start, poll, 99, print)
      misuse(poll.start, poll, "r", 1)
      poll:close()
      misuse(poll.start, poll, "r", print)
      misuse(poll.close, poll)
      io.write(tostring(uv.fs_close(fds.read)))
      assert(select(3, uv.new_poll(0)) == "EBADF" and select(3, uv.new_poll(17)) == "EBADF")
    ]], {})
  end)

  it("look a name up again and again with all rights", function()
    says("changed", ([[
      local path = %q
      mw.fs.write(path, "a")
      local poll, done = uv.new_fs_poll(), false
      assert(poll:start(path, 1, function(err)
        assert(not err, err)
        poll:close()
        if not done then io.write "changed" end
        done = true
      end))
      assert(poll:getpath() == path)
      misuse(poll.start, poll, path, 0, print)
      misuse(poll.start, poll, path, 1)
      mw.task.spawn(function()
        for size = 2, 1e9 do
          if done then break end
          mw.fs.write(path, ("a"):rep(size %% 1000))
          mw.task.sleep(0.002)
        end
      end)
      uv.run()
    ]]):format(tostring(dir.path or dir) .. "/file"))
  end)
end)

describe("uv's sockets and terminals by number", function()
  it("are taken over where they are of the handle's kind", function()
    says("ENOTSOCK EINVAL EINVAL fine", [[
      local fd = assert(uv.fs_open("/etc/hosts", "r"))
      io.write(select(3, uv.new_tcp():open(fd)), " ")
      local pair = assert(uv.socketpair())
      io.write(select(3, uv.new_tcp():open(pair[1])), " ", select(3, uv.new_udp():open(pair[1])), " ")
      assert(uv.fs_write(pair[1], "still ours"))
      assert(select(3, uv.new_tty(fd, true)))
      misuse(uv.new_tty, -1, true)
      misuse(uv.new_tty, "0", true)
      assert(select(3, uv.new_poll(uv.backend_fd())) == "EBADF")
      assert(select(3, uv.new_poll(fd)) == "EPERM")
      local tcp = uv.new_tcp()
      tcp:bind("127.0.0.1", 0)
      tcp:listen(1, print)
      assert(select(3, uv.new_poll(tcp:fileno())) == "EEXIST")
      io.write "fine"
    ]])
  end)

  it("are the program's terminal, whose mode is as it was when the program ends", function()
    local child = assert(mw.process.spawn { os.getenv "MOONWIRE", "eval", "-A", [[
      local uv = require "uv"
      local tty = assert(uv.new_tty(0, true))
      local width, height = tty:get_winsize()
      assert(width > 0 and height > 0)
      assert(tty:set_mode(1))
      assert(not pcall(tty.set_mode, tty, 7))
      assert(uv.fs_write(1, "raw\r\n"))
    ]], pty = true })
    local text = {}
    while true do
      local data = child.stdout:read()
      if not data then break end
      text[#text + 1] = data
    end
    local result = child:wait()
    assert.equal(0, result.code, table.concat(text))
    assert.truthy(table.concat(text):find "raw")
  end)

  it("are the standard streams for files and pipes, which closes none of them", function()
    says("written piped", [[
      assert(uv.fs_write(1, "written ") == 8)
      assert(select(3, uv.fs_close(1)) == "EBADF")
      local out = uv.new_pipe(false)
      assert(out:open(1))
      out:write("piped", function() out:close() end)
      uv.run()
    ]])
  end)
end)
