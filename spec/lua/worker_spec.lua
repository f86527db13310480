-- Workers: values to and fro, calls, errors, ends; rights and limits.
local mw = require "moonwire"
local task = mw.task

local dir, count = assert(mw.fs.tempdir()), 0

--- Starts a worker whose script is `text`.
local function spawn(text, options)
  count = count + 1
  local path = ("%s/worker%d.lua"):format(dir.path, count)
  assert(mw.fs.write(path, 'local mw = require "moonwire"\n' .. text))
  return assert(mw.worker.spawn(path, options))
end

local ECHO = "for m in mw.parent:messages() do mw.parent:send(m) end"

describe("a worker", function()
  it("that only reads messages is named by a call that nobody answered in time", function()
    local w <close> = spawn(ECHO, { name = "echo" })
    local ok, err = w:call("greet", 1, { timeout = 0.02 })
    assert.same({ nil, "ETIMEDOUT" }, { ok, err.code })
    assert.equal("worker echo has not come to mw.serve", err.hint)
    for _, wait in ipairs { "recv", "join" } do
      ok, err = w[wait](w, { timeout = 0.01 })
      assert.same({ nil, "ETIMEDOUT", "echo" }, { ok, err.code, err.subject })
    end
  end)

  it("greets and replies", function()
    local w <close> = spawn 'for msg in mw.parent:messages() do mw.parent:send{ reply = "Hello, " .. msg.name } end'
    w:send { type = "greet", name = "Lua" }
    for msg in w:messages() do
      assert.equal("Hello, Lua", msg.reply)
      break
    end
  end)

  it("gets what it was sent, and sends back the same", function()
    local w <close> = spawn(ECHO)
    local function trip(v)
      assert(w:send(v))
      local back, err = w:recv()
      assert.is_nil(err)
      return back
    end
    for _, v in ipairs { 1, -1, 0, 63, 64, math.maxinteger, math.mininteger, 1.5, -0.0, 1 / 0, "", "a\0b", true, false } do
      local back = trip(v)
      assert.equal(v, back)
      assert.equal(math.type(v), math.type(back))
    end
    assert.is_true(1 / trip(-0.0) < 0)
    local nan = trip(0 / 0)
    assert.is_true(nan ~= nan)
    local long = ("x"):rep(3000000)
    assert.equal(long, trip(long))
    local t = { 1, nil, 3, x = { y = {} } }
    t.self, t.again = t, t.x
    local back = trip(t)
    assert.is_true(back.self == back and back.again == back.x and back[3] == 3 and back[2] == nil)
    local err = trip(select(2, mw.fs.read "/nowhere/at/all") or mw.fail)
    assert.equal("ENOENT", err.code)
    assert.truthy(tostring(err):find("/nowhere/at/all", 1, true))
  end)

  it("cannot be sent what is no value, and names the path to it", function()
    local w <close> = spawn(ECHO)
    local ok, err = pcall(w.send, w, { items = { 1, 2, { fn = print } } })
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
    assert.truthy(tostring(err):find("message.items[3].fn: a function cannot be sent", 1, true), tostring(err))
    ok, err = pcall(w.send, w, nil)
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
    assert.is_true(w:send "still fine")
    assert.equal("still fine", w:recv())
  end)
end)

describe("messages", function()
  it("arrive in order, and all of them, however many there are", function()
    local w <close> = spawn "local n = 0 for m in mw.parent:messages() do n = n + 1 assert(m.n == n) mw.parent:send(m) end"
    local sent = 30000
    local sender = task.spawn(function()
      for n = 1, sent do w:send { n = n, text = ("x"):rep(n % 500) } end
      w:finish()
    end)
    local n = 0
    for m in w:messages() do
      n = n + 1
      assert(m.n == n and #m.text == n % 500)
    end
    sender:join()
    assert.equal(sent, n)
    assert.is_true(w:join())
  end)

  it("wait in a queue of so many, and no more", function()
    local w <close> = spawn("local m = mw.parent:recv() mw.parent:send(m)", { queue = 4 })
    local n = 0
    repeat
      local ok, err = w:send(n, { timeout = 0.05 })
      n = n + (ok and 1 or 0)
    until not ok and (err.code == "ETIMEDOUT" or err.code == "ECLOSED")
    assert.is_true(n >= 4 and n <= 6, n)
    assert.equal(0, w:recv())
    assert.is_nil(w:recv())
  end)

  it("make room as soon as one is read", function()
    local w <close> = spawn("mw.parent:recv() mw.parent:send('read') mw.task.wait()", { queue = 100 })
    for i = 1, 100 do assert(w:send(i, { timeout = 60 })) end
    assert.equal("read", w:recv())
    assert(w:send(101, { timeout = 60 }))
    assert.equal("ETIMEDOUT", select(2, w:send(102, { timeout = 0.01 })).code)
  end)

  it("wait in a queue of so many bytes", function()
    local w <close> = spawn("mw.parent:recv() mw.task.wait()", { queue_bytes = "64KiB" })
    local text, n = ("x"):rep(10000), 0
    repeat
      local ok = w:send(text, { timeout = 0.05 })
      n = n + (ok and 1 or 0)
    until not ok
    assert.is_true(n >= 6 and n <= 9, n)
  end)

  it("that a worker sent before it ended are read first", function()
    local w <close> = spawn "for i = 1, 3 do mw.parent:send(i) end"
    assert.is_true(w:join())
    assert.same({ 1, 2, 3 }, { w:recv(), (w:recv()), (w:recv()) })
    assert.is_nil(w:recv())
    local ok, err = w:send(1)
    assert.is_nil(ok)
    assert.equal("ECLOSED", err.code)
  end)

  it("are waited for as long as it is said, and none is lost", function()
    local w <close> = spawn(ECHO)
    local v, err = w:recv { timeout = 0.01 }
    assert.is_nil(v)
    assert.equal("ETIMEDOUT", err.code)
    w:send(1)
    assert.equal(1, w:recv { timeout = 60 })
    local t = task.spawn(function() w:recv() end)
    task.sleep(0)
    t:cancel()
    pcall(t.join, t)
    w:send(2)
    assert.equal(2, w:recv())
  end)

  it("go to several tasks that wait, one to each", function()
    local w <close> = spawn(ECHO)
    local got = {}
    task.scope(function(s)
      for _ = 1, 5 do
        s:spawn(function()
          local v = w:recv()
          got[#got + 1] = v
        end)
      end
      task.sleep(0)
      for i = 1, 5 do w:send(i) end
    end)
    table.sort(got)
    assert.same({ 1, 2, 3, 4, 5 }, got)
  end)

  it("end for the worker when its maker has finished", function()
    local w <close> = spawn "local n = 0 for _ in mw.parent:messages() do n = n + 1 end mw.parent:send(n) assert(mw.parent:recv() == nil)"
    for i = 1, 10 do w:send(i) end
    w:finish()
    w:finish()
    assert.equal(10, w:recv())
    assert.is_true(w:join())
    local ok, err = w:send(1)
    assert.is_nil(ok)
    assert.equal("ECLOSED", err.code)
  end)
end)

describe("a worker that fails", function()
  local function crash(text, options) return spawn(text, options) end

  it("says so in recv and join, with its traceback, and raises it in messages", function()
    local w <close> = crash 'mw.parent:send "first" local function deep() error "no such luck" end deep()'
    assert.equal("first", w:recv())
    local v, err = w:recv()
    assert.is_nil(v)
    assert.equal("ECRASHED", err.code)
    assert.truthy(err.message:find("no such luck", 1, true), err.message)
    assert.truthy(err.data.traceback:find("deep", 1, true), err.data.traceback)
    v, err = w:join()
    assert.is_nil(v)
    assert.equal("ECRASHED", err.code)
    local ok, raised = pcall(function() for _ in w:messages() do error "none" end end)
    assert.is_false(ok)
    assert.equal("ECRASHED", raised.code)
    v, err = w:send(1)
    assert.is_nil(v)
    assert.equal("ECRASHED", err.code)
    assert.is_true(w:close())
  end)

  it("is told of with the code of an error object", function()
    local w <close> = crash 'mw.fail("EPARSE", "all gone")'
    local _, err = w:join()
    assert.equal("ECRASHED", err.code)
    assert.equal("EPARSE", err.data.code)
  end)

  it("fails when its script cannot be compiled", function()
    local w <close> = crash "this is no Lua"
    local _, err = w:recv()
    assert.equal("ECRASHED", err.code)
    assert.truthy(err.message:find("syntax error", 1, true), err.message)
  end)

  it("fails when it exits with a status", function()
    local w <close> = crash "mw.exit(3)"
    local _, err = w:join()
    assert.equal("ECRASHED", err.code)
    assert.truthy(err.message:find("3", 1, true))
    local well <close> = crash "mw.exit(0)"
    assert.is_true(well:join())
  end)

  it("runs out of its own memory and nobody else's", function()
    local w <close> = crash('local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1000) .. i end', { memory_limit = "4MiB" })
    local _, err = w:join()
    assert.equal("ECRASHED", err.code)
    assert.truthy(err.message:find("memory", 1, true), err.message)
  end)

  it("does not start when there is no script", function()
    local w, err = mw.worker.spawn(dir.path .. "/nothing.lua")
    assert.is_nil(w)
    assert.equal("ENOENT", err.code)
  end)
end)

describe("closing a worker", function()
  local function closes_soon(text, options)
    local w = spawn(text .. " mw.parent:send 'on'", options)
    if text == "" then assert.equal("on", w:recv()) end
    assert.is_true(w:close())
    assert.is_true(w:close())
    local v, err = w:recv()
    assert.is_nil(v)
    assert.equal("ECLOSED", err.code)
    v, err = w:join()
    assert.is_nil(v)
    assert.equal("ECLOSED", err.code)
  end

  it("ends one that waits, one that has ended, one that computes without end", function()
    closes_soon ""
    closes_soon "for _ in mw.parent:messages() do end"
    closes_soon "mw.task.wait()"
    closes_soon "while true do end"
    closes_soon "while true do pcall(function() while true do end end) end"
    closes_soon "while true do pcall(mw.parent.recv, mw.parent) end"
    closes_soon "while true do coroutine.wrap(function() while true do end end)() end"
    closes_soon "local t = {} while true do t[#t % 100 + 1] = ('x'):rep(1000) end"
    closes_soon "('a'):rep(30):find(('a*'):rep(30) .. 'b')"
    closes_soon "local t = setmetatable({}, { __gc = function() while true do end end }) t = nil collectgarbage()"
    closes_soon "local x <close> = setmetatable({}, { __close = function() while true do end end }) while true do end"
    closes_soon "mw.task.shield(function() while true do end end)"
    closes_soon "error(setmetatable({}, { __tostring = function() while true do end end }))"
  end)

  it("ends one that spends its time in calls that fail for want of memory", function()
    closes_soon("while true do pcall(string.rep, 'x', 1 << 30) end", { memory_limit = "16MiB" })
    closes_soon("local t = {} while true do pcall(function() t[#t + 1] = ('x'):rep(1 << 20) end) end", { memory_limit = "16MiB" })
  end)

  it("ends those that send without end, and those that were never read", function()
    closes_soon "while true do mw.parent:send(1) end"
    closes_soon "while true do mw.parent:send(('x'):rep(100000)) end"
  end)

  it("wakes those who wait for it", function()
    local w = spawn "mw.parent:recv() mw.task.wait()"
    local woken = 0
    task.scope(function(s)
      for _, f in ipairs { w.recv, w.join, function(it) return it:call("x") end } do
        s:spawn(function()
          f(w)
          woken = woken + 1
        end)
      end
      task.sleep(0)
      w:close { timeout = 0 }
    end)
    assert.equal(3, woken)
  end)

  it("may be cancelled, and ends it nevertheless", function()
    local w = spawn "while true do end"
    local t = task.spawn(function() w:close { timeout = 100 } end)
    task.sleep(0)
    t:cancel()
    pcall(t.join, t)
    assert.equal("closed", w:stats().state)
  end)

  it("is done by the collector", function()
    spawn "mw.task.wait()"
    collectgarbage()
    collectgarbage()
  end)
end)

describe("a worker inside a worker", function()
  it("works, and ends with its maker", function()
    local inner = dir.path .. "/inner.lua"
    assert(mw.fs.write(inner, 'local mw = require "moonwire" ' .. ECHO))
    local w <close> = spawn([[
      local w = assert(mw.worker.spawn("inner.lua"))
      for m in mw.parent:messages() do w:send(m) mw.parent:send((w:recv())) end
      mw.task.wait()
    ]])
    w:send "through both"
    assert.equal("through both", w:recv())
  end)
end)

describe("a worker's rights", function()
  local function run(args, text, files)
    local base <close> = assert(mw.fs.tempdir())
    for name, content in pairs(files) do assert(mw.fs.write(base.path .. "/" .. name, 'local mw = require "moonwire" ' .. content)) end
    assert(mw.fs.write(base.path .. "/main.lua", 'local mw = require "moonwire" ' .. text))
    local argv = { mw.env.MOONWIRE, "run" }
    for _, a in ipairs(args) do argv[#argv + 1] = (a:gsub("BASE", base.path)) end
    argv[#argv + 1] = base.path .. "/main.lua"
    return assert(mw.process.run(argv))
  end
  local TRY = [[local ok, err = pcall(mw.fs.read, mw.script.dir .. "/data.txt") mw.parent:send(ok and err or err.code)]]

  it("are none unless it is given some, and never more than its maker's", function()
    local files = { ["w.lua"] = TRY, ["data.txt"] = "" }
    local text = 'local w = assert(mw.worker.spawn("w.lua", %s)) print(w:recv())'
    assert.equal("EDENIED\n", run({ "--allow-read=BASE" }, text:format "{}", files).stdout)
    assert.equal("EDENIED\n", run({ "--allow-read=BASE" }, text:format '{ permissions = "none" }', files).stdout)
    local all = 'local mw = require "moonwire" \n'
    assert.equal(all, run({ "--allow-read=BASE" }, text:format '{ permissions = "inherit" }', files).stdout)
    assert.equal(all, run({ "--allow-read=BASE" }, text:format "{ permissions = { read = { mw.script.dir } } }", files).stdout)
    local more = run({}, text:format '{ permissions = { read = { "/etc" } } }', files)
    assert.equal(77, more.code)
    assert.truthy(more.stderr:find("a child gets at most what its parent has", 1, true), more.stderr)
    assert.equal("EDENIED\n", run({}, text:format '{ permissions = "inherit" }', files).stdout)
  end)

  it("let it run programs, confined as its maker's are, which end with it", function()
    local files = {
      ["w.lua"] = [[
        mw.parent:send(assert(mw.process.run { "echo", "from a child" }).stdout)
        local child = assert(mw.process.spawn { "sleep", "1000" })
        mw.parent:send(child.pid)
        child:wait()]],
    }
    local text = [[
      local w = assert(mw.worker.spawn("w.lua", { permissions = { run = { "echo", "sleep" } } }))
      io.write(w:recv())
      local pid = w:recv()
      w:close()
      print(pcall(mw.process.run, { "cat" }))]]
    for _, args in ipairs { { "--allow-run=echo,sleep" }, { "--allow-run=echo,sleep", "--confine=strict" } } do
      local result = run(args, text, files)
      assert.truthy(result.stdout:find("from a child\nfalse", 1, true), result.stdout .. result.stderr)
    end
  end)

  it("are not needed for a script beside the calling one, nor for its modules", function()
    local files = { ["w.lua"] = 'mw.parent:send((require "part"))', ["part.lua"] = 'return "a part"' }
    assert.equal("a part\n", run({}, 'print(assert(mw.worker.spawn("w.lua")):recv())', files).stdout)
    local elsewhere = run({}, 'mw.worker.spawn("/etc/passwd")', files)
    assert.equal(77, elsewhere.code)
  end)

  it("hold in the locked program, where workers start too", function()
    local files = { ["w.lua"] = TRY, ["data.txt"] = "" }
    local text = [[
      for _ = 1, 3 do
        local w <close> = assert(mw.worker.spawn("w.lua", { permissions = "inherit" }))
        print(w:recv())
      end]]
    local result = run({ "--confine=strict", "--allow-read=BASE/data.txt" }, text, files)
    assert.equal(('local mw = require "moonwire" \n'):rep(3), result.stdout, result.stderr)
  end)

  it("do not let it take signals or end the process", function()
    local files = { ["w.lua"] = 'local ok, err = pcall(mw.on_signal, "USR1", print) mw.parent:send(err.code) os.exit(5)' }
    local result = run({ "-A" }, [[
      local w = assert(mw.worker.spawn("w.lua", { permissions = "inherit" }))
      print(w:recv())
      w:join()
      print "on"]], files)
    assert.truthy(result.stdout:find("on", 1, true), result.stderr)
    assert.equal(0, result.code)
  end)

  it("include time to compute, unless a limit was set", function()
    local files = { ["w.lua"] = 'local began = os.clock() repeat until os.clock() - began > 1.1 mw.parent:send "through"' }
    local text = 'local w = assert(mw.worker.spawn "w.lua") local v, err = w:recv() print(v or err.data.code)'
    assert.equal("through\n", run({}, text, files).stdout)
    assert.equal("ELIMIT\n", run({ "--limit=step=100ms" }, text, files).stdout)
  end)

  it("are counted: so many workers and no more", function()
    local files = { ["w.lua"] = "mw.task.wait()" }
    local result = run({ "--limit=workers=3" }, [[
      local all = {}
      for i = 1, 3 do all[i] = assert(mw.worker.spawn "w.lua") end
      local w, err = mw.worker.spawn "w.lua"
      print(w, err)
      all[1]:close()
      print(mw.worker.spawn "w.lua" ~= nil)]], files)
    assert.truthy(result.stdout:find("3 workers run, at most 3 are allowed", 1, true), result.stdout)
    assert.truthy(result.stdout:find("true", 1, true))
  end)

  it("end with the program, whatever it does", function()
    local files = { ["w.lua"] = "while true do end", ["x.lua"] = "mw.task.wait()" }
    for _, how in ipairs { "", "mw.exit(0)", "local x = nil + 1", "mw.task.spawn(function() mw.exit(0) end) mw.task.wait()" } do
      local result = run({}, 'for i = 1, 5 do assert(mw.worker.spawn(i % 2 == 0 and "x.lua" or "w.lua")) end ' .. how, files)
      assert.equal(how:find "nil" and 1 or 0, result.code, result.stderr)
    end
  end)

  it("leave no thread and no descriptor behind", function()
    local files = {
      ["ok.lua"] = "mw.parent:send(1)", ["error.lua"] = "error 'x'", ["loop.lua"] = "while true do end", ["wait.lua"] = ECHO,
      ["bomb.lua"] = "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end",
      ["nest.lua"] = "local w = assert(mw.worker.spawn 'wait.lua') w:send(1) w:recv()",
    }
    local result = run({ "-A" }, [[
      local function counts()
        local fds, threads = 0, 0
        for _, fd in ipairs(assert(mw.fs.list "/proc/self/fd")) do -- the loop opens a clock for itself when it has slept often
          if require("uv").fs_readlink("/proc/self/fd/" .. fd) ~= "anon_inode:[timerfd]" then fds = fds + 1 end
        end
        for _ in pairs(assert(mw.fs.list "/proc/self/task")) do threads = threads + 1 end
        return fds, threads
      end
      local function round(n)
        for _ = 1, n do
          for _, name in ipairs { "ok", "error", "loop", "wait", "bomb", "nest" } do
            local w = assert(mw.worker.spawn(name .. ".lua", { memory_limit = "2MiB", permissions = "inherit" }))
            if name == "wait" then w:send(1) w:recv() end
            if name == "error" or name == "bomb" then w:join() end
            w:close { timeout = name == "loop" and 0 or 5 }
          end
        end
      end
      round(1)
      local fds, threads = counts()
      round(10)
      local fds_after, threads_after = counts()
      print(fds == fds_after, threads == threads_after, fds, fds_after, threads, threads_after)]], files)
    assert.truthy(result.stdout:find("^true\ttrue"), result.stdout .. result.stderr)
  end)
end)

describe("objects in messages", function()
  it("are shared memory, the same on both sides", function()
    local w <close> = spawn [[
      for m in mw.parent:messages() do
        assert(rawequal(m.memory, m.again))
        m.memory:add_u32(0, 5)
        mw.parent:send { m.memory, text = m.memory:read(8, 5) }
      end]]
    local memory <close> = assert(mw.shm.create { size = 4096 })
    memory:set_u32(0, 37)
    memory:write(8, "bytes")
    w:send { memory = memory, again = memory }
    local m, err = w:recv()
    assert.is_nil(err)
    assert.equal("bytes", m.text)
    assert.equal(42, memory:u32(0))
    m[1]:set_u32(0, 1)
    assert.equal(1, memory:u32(0))
    m[1]:close()
  end)

  it("are streams, moved", function()
    local w <close> = spawn 'local s = mw.parent:recv() mw.parent:send(s:read("l")) s:write("from the worker\\n") s:close()'
    local server <close> = assert(mw.net.listen("unix:@moonwire-worker-spec-" .. mw.sys.pid()))
    local conn
    task.all(function() conn = assert(mw.net.connect(server:address())) end, function()
      local there = assert(server:accept())
      assert(w:send(there))
      local ok = pcall(there.write, there, "x")
      assert.is_false(ok and there:write "x" ~= nil)
    end)
    conn:write "to the worker\n"
    assert.equal("to the worker", w:recv())
    assert.equal("from the worker", conn:read "l")
    conn:close()
  end)

  it("are moved behind the message that a view shows, which is not read twice", function()
    local w <close> = spawn [[
      for message in mw.parent:recv():framed("u32le"):messages() do mw.parent:send(message) end
      mw.parent:send "end"]]
    local server <close> = assert(mw.net.listen("unix:@moonwire-worker-spec-view-" .. mw.sys.pid()))
    local conn <close> = assert(mw.net.connect(server:address()))
    local there = assert(server:accept())
    assert(conn:framed "u32le":send "for us")
    assert(conn:framed "u32le":send "for the worker")
    conn:finish()
    for view in there:framed "u32le":views() do
      assert.equal("for us", tostring(view))
      assert(w:send(there))
      assert.is_false(pcall(tostring, view))
      break
    end
    assert.equal("for the worker", w:recv())
    assert.equal("end", w:recv())
  end)

  it("are no streams that hold a handle which nobody took", function()
    local w <close> = spawn "mw.task.wait()"
    local server <close> = assert(mw.net.listen("unix:@moonwire-worker-spec-handle-" .. mw.sys.pid()))
    local conn <close> = assert(mw.net.connect(server:address()))
    local there <close> = assert(server:accept())
    local other <close> = assert(mw.net.connect(server:address()))
    assert(conn:write "line\nmore")
    assert(conn:flush())
    assert(conn:send_handle(other))
    assert.equal("line", there:read "l")
    assert.equal("more\0", there:peek(5)) -- the last one brought it
    local ok, err = pcall(w.send, w, there)
    assert.is_false(ok)
    assert.truthy(tostring(err):find("handles", 1, true))
    assert.equal("more", there:read_exact(4))
    assert(there:recv_handle()):close()
  end)

  it("ride in calls and answers too", function()
    local w <close> = spawn 'mw.serve { add = function(m) m.memory:add_u32(0, m.n) return m.memory end }'
    local memory <close> = assert(mw.shm.create { size = 4096 })
    local back = assert(w:call("add", { memory = memory, n = 3 }))
    assert.equal(3, back:u32(0))
    back:close()
  end)

  it("stay where they are when the message cannot be sent, and are closed when nobody reads it", function()
    local w = spawn "mw.task.wait()"
    local memory <close> = assert(mw.shm.create { size = 4096 })
    assert.is_false(pcall(w.send, w, { memory, print }))
    memory:set_u32(0, 1)
    for _ = 1, 50 do w:send { memory } end
    w:close()
  end)
end)

describe("a worker's print and log", function()
  it("reach the program's output, line by line", function()
    local w <close> = spawn 'print("from the worker", 1) mw.log.info("noted") mw.parent:send(true)'
    assert.is_true(w:recv())
  end)
end)

describe("options of mw.worker.spawn", function()
  it("are checked", function()
    local path = dir.path .. "/worker1.lua"
    for text, options in pairs {
      ["memory_limit"] = { memory_limit = 10 }, ["queue"] = { queue = 0 }, ["did you mean"] = { memory_limits = "1MiB" },
      ["permissions"] = { permissions = 1 }, ["args"] = { args = 1 }, ["stack"] = { stack = 1 },
    } do
      local ok, err = pcall(mw.worker.spawn, path, options)
      assert.is_false(ok)
      assert.equal("EINVAL", err.code)
      assert.truthy(tostring(err):find(text, 1, true), tostring(err))
    end
  end)

  it("give it arguments and a name", function()
    local w <close> = spawn("mw.parent:send { arg[1], arg[2], ... }", { args = { "a", "b" }, name = "busy bee" })
    assert.same({ "a", "b", "a", "b" }, w:recv())
    assert.equal("busy bee", w:stats().name)
    assert.truthy(tostring(w):find("busy bee", 1, true))
  end)
end)
