--- mw.fs.watch and mw.fs.tail: told by the kernel, never polled.
local mw = require "moonwire"
local fs = mw.fs
local task = mw.task

local function tempdir()
  return assert(fs.tempdir())
end

--- Does things, and gives what a watch tells of them until `last` (a path and what happened to it).
local function told(watch, dir, last, act)
  local got = {}
  task.all(function()
    for ev in watch do
      local line = ev.what .. " " .. ev.path:sub(#dir.path + 2) .. (ev.from and " from " .. ev.from:sub(#dir.path + 2) or "")
      got[#got + 1] = line
      if line == last then break end
    end
  end, act)
  return got
end

describe("a watch of a directory", function()
  it("tells what is made, changed, renamed and removed in it", function()
    local dir <close> = tempdir()
    local watch <close> = fs.watch(dir.path, { timeout = 30 })
    local got = told(watch, dir, "removed b", function()
      local f = assert(fs.open(dir:join "a", "w"))
      f:write("x"):flush()
      f:close()
      assert(fs.rename(dir:join "a", dir:join "b"))
      assert(fs.remove(dir:join "b"))
    end)
    assert.same({ "created a", "changed a", "renamed b from a", "removed b" }, got)
  end)

  it("tells what moves in and out as made and removed", function()
    local dir <close> = tempdir()
    assert(fs.mkdir(dir:join "in"))
    assert(fs.write(dir:join "out", ""))
    local watch <close> = fs.watch(dir:join "in", { timeout = 30 })
    local got = told(watch, dir, "removed in/y", function()
      assert(fs.rename(dir:join "out", dir:join "in/x"))
      assert(fs.rename(dir:join "in/x", dir:join "in/y"))
      assert(fs.rename(dir:join "in/y", dir:join "z"))
    end)
    assert.same({ "created in/x", "renamed in/y from in/x", "removed in/y" }, got)
  end)

  it("ends when the directory goes", function()
    local dir <close> = tempdir()
    assert(fs.mkdir(dir:join "d"))
    local got = {}
    local watch <close> = fs.watch(dir:join "d", { timeout = 30 })
    assert(fs.remove(dir:join "d"))
    for ev in watch do got[#got + 1] = ev.what .. " " .. ev.path end
    assert.same({ "removed " .. dir:join "d" }, got)
  end)

  it("says when more happened than the kernel kept", function()
    local most = tonumber((fs.read("/proc/sys/fs/inotify/max_queued_events")))
    if most > 20000 then pending("the kernel keeps " .. most .. " events here") return end
    local dir <close> = tempdir()
    local watch <close> = fs.watch(dir.path, { timeout = 30 })
    for i = 1, most // 2 + 10 do
      assert(fs.mkdir(dir:join("d" .. i)))
      assert(fs.rename(dir:join("d" .. i), dir:join("e")))
      assert(fs.rename(dir:join("e"), dir:join("f")))
      assert(fs.remove(dir:join("f")))
      if i * 4 > most + 100 then break end
    end
    local last
    for ev in watch do
      last = ev
      if ev.what == "overflow" then break end
    end
    assert.equal("overflow", last.what)
    assert.equal(dir.path, last.path)
    assert(fs.write(dir:join "after", ""))
    local after = watch()
    assert.truthy(after.path:find(dir.path, 1, true))
  end)

  it("closes with its loop, more than once, and wakes who waits", function()
    local dir <close> = tempdir()
    task.spawn(function() assert(fs.mkdir(dir:join "x")) end)
    local n = 0
    for _ in fs.watch(dir.path) do
      n = n + 1
      if n == 1 then break end
    end
    assert.equal(1, n)
    local watch = fs.watch(dir.path)
    local ended
    task.all(function()
      for _ in watch do end
      ended = true
    end, function()
      task.pass()
      watch:close()
      watch:close()
    end)
    assert.is_true(ended)
  end)

  it("runs out of time when it is told to", function()
    local dir <close> = tempdir()
    local ok, err = pcall(function() for _ in fs.watch(dir.path, { timeout = "1ms" }) do end end)
    assert.is_false(ok)
    assert.equal("ETIMEDOUT", err.code)
  end)

  it("raises for what cannot be watched", function()
    local dir <close> = tempdir()
    for path, code in pairs { [dir:join "no/such"] = "ENOENT", ["a\0b"] = "EINVAL", [""] = "EINVAL" } do
      local ok, err = pcall(fs.watch, path)
      assert.is_false(ok)
      assert.equal(code, err.code)
    end
    local ok, err = pcall(fs.watch, dir.path, { recursive = true })
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
  end)
end)

describe("a watch of one name", function()
  it("follows it through replacement, and tells of nothing else", function()
    local dir <close> = tempdir()
    local watch <close> = fs.watch(dir:join "f", { timeout = 30 })
    local got = {}
    task.all(function()
      for ev in watch do
        assert.equal(dir:join "f", ev.path)
        assert.is_nil(ev.from)
        got[#got + 1] = ev.what
        if #got == 5 then break end
      end
    end, function()
      assert(fs.write(dir:join "other", "x"))
      assert(fs.write(dir:join "f", "1"))
      assert(fs.write(dir:join "f", "2"))
      assert(fs.rename(dir:join "f", dir:join "g"))
      assert(fs.rename(dir:join "g", dir:join "f"))
      assert(fs.remove(dir:join "other"))
      assert(fs.remove(dir:join "f"))
    end)
    assert.same({ "created", "changed", "removed", "created", "removed" }, got)
  end)
end)

describe("tail", function()
  --- The lines that a tail gives until "end", while something happens.
  local function followed(path, opts, act)
    local got = {}
    opts.timeout = 30
    local tail <close> = fs.tail(path, opts)
    task.all(function()
      for line in tail do
        if line == "end" then break end
        got[#got + 1] = line
      end
    end, act)
    return got
  end

  local function append(path, ...)
    local f <close> = assert(fs.open(path, "a"))
    assert(f:write(...))
  end

  it("starts at the end unless told, and gives whole lines as they come", function()
    local dir <close> = tempdir()
    local path = dir:join "log"
    assert(fs.write(path, "old\n"))
    local act = function()
      append(path, "o")
      task.pass()
      append(path, "ne\ntw")
      task.pass()
      append(path, "o\nend\n")
    end
    assert.same({ "one", "two" }, followed(path, {}, act))
    assert(fs.write(path, "old\n"))
    assert.same({ "old", "one", "two" }, followed(path, { from = "start" }, act))
  end)

  it("waits for a file that is not there yet", function()
    local dir <close> = tempdir()
    assert.same({ "first" }, followed(dir:join "log", {}, function() append(dir:join "log", "first\nend\n") end))
  end)

  it("goes on with the new file when the old one is moved away, and gives the rest of the old one first", function()
    local dir <close> = tempdir()
    local path = dir:join "log"
    append(path, "1\n")
    assert.same({ "1", "2", "unfinished", "3" }, followed(path, { from = "start" }, function()
      append(path, "2\nunfinished")
      assert(fs.rename(path, dir:join "log.1"))
      append(path, "3\nend\n")
    end))
  end)

  it("starts over when the file shrinks", function()
    local dir <close> = tempdir()
    local path = dir:join "log"
    append(path, "one\ntwo\nthree\n")
    local seen = task.event()
    local got = {}
    local tail <close> = fs.tail(path, { from = "start", timeout = 30 })
    task.all(function()
      for line in tail do
        got[#got + 1] = line
        if line == "three" then seen:set() end
        if line == "end" then break end
      end
    end, function()
      seen:wait()
      local f <close> = assert(fs.open(path, "w"))
      f:write("end\n"):flush()
    end)
    assert.same({ "one", "two", "three", "end" }, got)
  end)

  it("bounds a line", function()
    local dir <close> = tempdir()
    append(dir:join "log", ("x"):rep(5000))
    local ok, err = pcall(function() for _ in fs.tail(dir:join "log", { from = "start", max = 1000 }) do end end)
    assert.is_false(ok)
    assert.equal("ELIMIT", err.code)
  end)

  it("runs out of time when it is told to, and refuses odd options", function()
    local dir <close> = tempdir()
    local ok, err = pcall(function() for _ in fs.tail(dir:join "log", { timeout = "1ms" }) do end end)
    assert.is_false(ok)
    assert.equal("ETIMEDOUT", err.code)
    ok, err = pcall(fs.tail, dir:join "log", { from = "middle" })
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
  end)

  it("ends when it is closed", function()
    local dir <close> = tempdir()
    append(dir:join "log", "x\n")
    local tail = fs.tail(dir:join "log")
    local ended
    task.all(function()
      for _ in tail do end
      ended = true
    end, function()
      task.pass()
      tail:close()
      tail:close()
    end)
    assert.is_true(ended)
  end)
end)
