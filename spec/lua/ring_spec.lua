-- Rings of records: between tasks, processes and sockets; full, empty, finished, abandoned, and with a peer that lies.
local mw = require "moonwire"
local shm, fs, process, task = mw.shm, mw.fs, mw.process, mw.task
local main_script = dofile "spec/support/main_script.lua"

local dir

local function raised(code, f, ...)
  local ok, err = pcall(f, ...)
  assert.falsy(ok)
  assert.equal(code, err.code)
  return tostring(err)
end

local function refused(code, value, err)
  assert.same({ nil, code }, { value, err and err.code })
  return err
end

local function main(...)
  return main_script(dir.path, ...)
end

--- A child script that uses `ring` as its mw.shared.ring; the spec runs with -A, so it may be started from here.
local function child(ring, text)
  local file = dir.path .. "/child.lua"
  assert(fs.write(file, "local mw = require 'moonwire'\nlocal ring = mw.shared.ring\n" .. text))
  return assert(process.spawn { script = file, share = { ring = ring }, stdout = "pipe", stderr = "inherit" })
end

describe("a ring between two tasks", function()
  it("gives records back in their order, whatever bytes they hold", function()
    local ring <close> = assert(shm.ring { capacity = "64KiB" })
    local records = { "", "a", ("x"):rep(16384), "\0\1\2", ("y"):rep(63), ("y"):rep(64), ("y"):rep(65), "last" }
    for _, rec in ipairs(records) do assert.is_true(ring:push(rec)) end
    for _, rec in ipairs(records) do assert.equal(rec, ring:pop()) end
    local s = ring:stats()
    assert.same({ 65536, 0, 8, 8, true }, { s.capacity, s.used, s.pushed, s.popped, s.alone })
  end)

  it("makes who pushes wait for room, and who pops for a record", function()
    local ring <close> = assert(shm.ring { capacity = 4096 })
    local sum = 0
    task.all(function()
      for i = 1, 5000 do assert(ring:push(("%05d"):format(i) .. ("."):rep(i % 1000))) end
      ring:finish()
    end, function()
      local i = 0
      for rec in ring:records() do
        i = i + 1
        assert.equal(i, tonumber(rec:sub(1, 5)))
        sum = sum + #rec
      end
      assert.equal(5000, i)
    end)
    assert.equal(5000 * 5 + 5 * 999 * 500, sum)
    assert.is_nil(ring:pop())
    refused("ECLOSED", ring:push("x"))
  end)

  it("times out, says EAGAIN without waiting, and loses nothing", function()
    local ring <close> = assert(shm.ring { capacity = 4096 })
    refused("ETIMEDOUT", ring:pop { timeout = "5ms" })
    refused("EAGAIN", ring:try_pop())
    local n = 0
    while ring:try_push(("z"):rep(1000)) do n = n + 1 end
    assert.equal(4, n)
    refused("EAGAIN", ring:try_push(("z"):rep(1000)))
    refused("ETIMEDOUT", ring:push(("z"):rep(1000), { timeout = 0.005 }))
    for _ = 1, n do assert.equal(1000, #ring:pop()) end
    assert.falsy(pcall(function() for _ in ring:records { timeout = "5ms" } do error("a record") end end))
  end)

  it("refuses a record above a quarter of it, and what is no record", function()
    local ring <close> = assert(shm.ring { capacity = 4096 })
    assert.is_true(ring:push(("x"):rep(1024)))
    raised("EINVAL", ring.push, ring, ("x"):rep(1025))
    raised("EINVAL", ring.push, ring, 7)
    raised("EINVAL", ring.push, ring, "x", { timeot = 1 })
    raised("EINVAL", ring.push)
    raised("EINVAL", shm.ring, { capacity = 0 })
    raised("EINVAL", shm.ring, { size = 1 })
  end)

  it("wakes who waits when it is closed or cancelled", function()
    local ring = assert(shm.ring { capacity = 4096 })
    local code
    task.all(function() code = select(2, ring:pop()).code end, function() ring:close() end)
    assert.equal("ECLOSED", code)
    ring:close()
    refused("ECLOSED", ring:push("x"))
    refused("ECLOSED", ring:try_pop())
    local other <close> = assert(shm.ring())
    assert.same({}, { task.timeout(0.005, function() return other:pop() end) and 1 })
    assert.is_true(other:push("after"))
    assert.equal("after", other:pop())
  end)
end)

describe("a ring between two processes", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("carries a hundred thousand records of all sizes, in order and whole", function()
    assert.equal("100000\t0\n", main({ "--limit=step=off" }, [[
      local ring <close> = mw.shm.ring { capacity = "64KiB" }
      local reader <close> = assert(mw.process.spawn { script = "child.lua", share = { ring = ring }, stdout = "pipe" })
      for i = 1, 100000 do assert(ring:push(string.pack("I4", i) .. ("r"):rep(i * 7 % 300))) end
      ring:finish()
      io.write((reader.stdout:read("a"):gsub("\n", "")))
      print("\t" .. reader:wait().code)
    ]], { ["child.lua"] = [[
      local n = 0
      for rec in mw.shared.ring:records() do
        n = n + 1
        assert(string.unpack("I4", rec) == n and #rec == 4 + n * 7 % 300)
      end
      print(n)
    ]] }))
  end)

  it("goes either way: who pushes first is the one who pushes", function()
    local ring <close> = assert(shm.ring())
    local other <close> = child(ring, "for i = 1, 3 do ring:push('child ' .. i) end ring:finish()")
    local got = {}
    for rec in ring:records { timeout = 60 } do got[#got + 1] = rec end
    assert.same({ "child 1", "child 2", "child 3" }, got)
    refused("EBUSY", ring:push("x"))
    assert.equal(0, other:wait().code)
  end)

  it("takes with it what was pushed before it was handed over", function()
    local ring <close> = assert(shm.ring())
    ring:push("before")
    local other <close> = child(ring, "print(ring:pop(), ring:pop(), ring:pop())")
    ring:push("after")
    ring:finish()
    assert.equal("before\tafter\tnil\n", other.stdout:read("a"))
  end)

  it("has a record before anything that who pushed did afterwards", function()
    local ring <close> = assert(shm.ring())
    local other <close> = child(ring, "for i = 1, 50 do ring:push('a' .. i) ring:push('b' .. i) print(i) end")
    for i = 1, 50 do
      assert.equal(tostring(i), other.stdout:read("l"))
      assert.same({ "a" .. i, "b" .. i }, { (ring:try_pop()), (ring:try_pop()) })
    end
  end)

  it("rings who sleeps, and only then", function()
    local there <close> = assert(shm.ring())
    local back <close> = assert(shm.ring())
    local file = dir.path .. "/echo.lua"
    assert(fs.write(file, [[local mw = require "moonwire"
      for rec in mw.shared.there:records() do mw.shared.back:push(rec) end]]))
    local echo <close> = assert(process.spawn { script = file, share = { there = there, back = back } })
    for i = 1, 200 do
      there:push("ping " .. i)
      assert.equal("ping " .. i, back:pop { timeout = 60 })
    end
    local s = there:stats()
    assert.truthy(s.rung <= 200, s.rung)
    there:finish()
    assert.equal(0, echo:wait().code)
  end)

  it("ends for who pops when the other side was killed, after what it had pushed", function()
    local ring <close> = assert(shm.ring())
    local other <close> = child(ring, "ring:push('one') ring:push('two') print('there') mw.task.wait()")
    assert.equal("there", other.stdout:read("l"))
    assert.equal("one", ring:pop { timeout = 60 })
    other:kill("KILL")
    assert.equal("two", ring:pop { timeout = 60 })
    refused("EEOF", ring:pop { timeout = 60 })
    refused("EEOF", ring:try_pop())
    assert.is_false(ring:stats().alive)
  end)

  it("is closed for who pushes when the other side was killed or has closed it", function()
    for _, how in ipairs { "kill", "close" } do
      local ring <close> = assert(shm.ring { capacity = 4096 })
      local other <close> = child(ring, "print(ring:pop()) mw.task.sleep(0) if arg[1] ~= 'x' then " ..
        (how == "close" and "ring:close()" or "mw.task.wait()") .. " end")
      ring:push("first")
      assert.equal("first", other.stdout:read("l"))
      if how == "kill" then other:kill("KILL") end
      local ok, err
      repeat ok, err = ring:push(("x"):rep(500), { timeout = 60 }) until not ok
      refused("ECLOSED", ok, err)
    end
  end)

  it("survives that the other side is killed at any moment", function()
    for i = 1, 12 do
      local ring <close> = assert(shm.ring { capacity = 8192 })
      local other <close> = child(ring, "local n = 0 while ring:push(string.pack('I4', n) .. ('k'):rep(n % 200)) do n = n + 1 end")
      local n, stop = 0, i * i * 40
      local rec, err
      repeat
        rec, err = ring:pop { timeout = 60 }
        if rec then
          assert.same({ n, 4 + n % 200 }, { string.unpack("I4", rec), #rec })
          n = n + 1
          if n == stop then other:kill("KILL") end
        end
      until not rec
      refused("EEOF", rec, err)
      assert.truthy(n >= stop)
    end
  end)

  it("is an error, and nothing worse, when the other side scribbles over it", function()
    local there = process.run { "python3", "-c", "" }
    if there and there.code ~= 0 then return pending("there is no python3") end
    local srv <close> = assert(mw.net.listen("unix:@moonwire-spec-scribble-" .. mw.sys.pid()))
    local scribbles = {
      "m[64:72] = struct.pack('Q', 1 << 60)", "m[64:72] = struct.pack('Q', 12)", "m[64:72] = struct.pack('Q', 0xfffffffffffffff8)",
      "m[64:72] = struct.pack('Q', 8); m[4096:4100] = struct.pack('I', 0xffffffff)",
      "m[64:72] = struct.pack('Q', 64); m[4096:4100] = struct.pack('I', 1000)",
      "m[64:72] = struct.pack('Q', 4096); m[4096:4100] = struct.pack('I', 1025)",
      "m[0:] = b'\\xff' * len(m)",
    }
    for _, scribble in ipairs(scribbles) do
      local ring <close> = assert(shm.ring { capacity = 4096 })
      local a <close> = assert(mw.net.connect(srv:address()))
      local b <close> = assert(srv:accept())
      assert(a:send_handle(ring))
      local r = assert(process.run { "python3", "-c", ([[
import socket, array, mmap, struct, time
s = socket.socket(fileno=0)
msg, anc, flags, addr = s.recvmsg(1, socket.CMSG_LEN(8))
fds = array.array("i"); fds.frombytes(anc[0][2])
m = mmap.mmap(fds[0], 8192)
%s
socket.socket(fileno=fds[1]).send(b"x" * 1000)]]):format(scribble), stdin = b })
      assert.equal("", r.stderr)
      local rec, err = ring:pop { timeout = 60 }
      refused("EFRAME", rec, err)
      assert.equal("protocol", err.data.why)
      refused("EFRAME", ring:try_pop())
      refused("EFRAME", ring:push("x"))
    end
  end)

  it("goes over a Unix socket, and to somebody else altogether when it is handed over twice", function()
    assert.equal("0\t0\tECLOSED\n", main({}, [[
      local ring = mw.shm.ring()
      local a <close> = assert(mw.process.spawn { script = "push.lua", share = { ring = ring } })
      local b <close> = assert(mw.process.spawn { script = "pop.lua", share = { ring = ring } })
      print(a:wait().code, b:wait().code, select(2, ring:push("x")).code)
    ]], {
      ["push.lua"] = "for i = 1, 1000 do mw.shared.ring:push('r' .. i) end mw.shared.ring:finish()",
      ["pop.lua"] = "local n = 0 for rec in mw.shared.ring:records() do n = n + 1 assert(rec == 'r' .. n) end assert(n == 1000)",
    }))
    local srv <close> = assert(mw.net.listen("unix:@moonwire-spec-ring-" .. mw.sys.pid()))
    local x <close> = assert(mw.net.connect(srv:address()))
    local y <close> = assert(srv:accept())
    local ring <close> = assert(shm.ring())
    assert(x:send_handle(ring))
    local other <close> = assert(y:recv_handle { timeout = 60 })
    task.all(function() for i = 1, 1000 do ring:push("s" .. i) end ring:finish() end,
      function() local n = 0 for rec in other:records() do n = n + 1 assert.equal("s" .. n, rec) end assert.equal(1000, n) end)
  end)

  it("stays ours when it could not be handed over, and is refused in words", function()
    local ring <close> = assert(shm.ring())
    assert(fs.write(dir.path .. "/x.lua", ""))
    refused("ENOENT", process.run { script = dir.path .. "/nowhere.lua", share = { ring = ring } })
    ring:push("still")
    assert.same({ "still", true }, { ring:pop(), ring:stats().alone })
    local why = raised("EINVAL", process.run, { script = dir.path .. "/x.lua", share = { ring = ring } })
    assert.truthy(why:find("both of its sides", 1, true), why)
    local closed = assert(shm.ring())
    closed:close()
    raised("EINVAL", process.run, { script = dir.path .. "/x.lua", share = { ring = closed } })
  end)
end)
