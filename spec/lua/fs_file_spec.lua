--- mw.fs.open: open files with io's methods.
local mw = require "moonwire"
local fs = mw.fs

local program = assert(mw.env.MOONWIRE, "MOONWIRE names the program under test")

local function tempdir()
  return assert(fs.tempdir())
end

local function code_of(value, err)
  assert.is_nil(value)
  return err.code
end

describe("an open file", function()
  it("reads lines with and without their ends, and nil at the end", function()
    local dir <close> = tempdir()
    assert(fs.write(dir:join "f", "one\n\nthree\nlast"))
    local f <close> = assert(fs.open(dir:join "f"))
    assert.equal("one", f:read())
    assert.equal("\n", f:read "L")
    assert.equal("three", f:read "*l")
    assert.equal("last", f:read "L")
    assert.is_nil(f:read())
    assert.equal("", f:read "a")
  end)

  it("reads a number of bytes, some bytes, all", function()
    local dir <close> = tempdir()
    assert(fs.write(dir:join "f", "0123456789"))
    local f <close> = assert(fs.open(dir:join "f"))
    assert.equal("", f:read(0))
    assert.equal("012", f:read(3))
    assert.equal("34", f:read_some(2))
    assert.equal("56789", f:read_some())
    assert.is_nil(f:read_some())
    assert.is_nil(f:read(0))
    assert.is_nil(f:read(5))
    f:seek("set", 8)
    assert.equal("89", f:read(5))
    f:seek("set", 1)
    assert.equal("123456789", f:read "a")
  end)

  it("reads exactly so many bytes, or until a delimiter", function()
    local dir <close> = tempdir()
    assert(fs.write(dir:join "f", "one--two--" .. ("x"):rep(70000) .. "--rest"))
    local f <close> = assert(fs.open(dir:join "f"))
    assert.equal("", f:read_exact(0))
    assert.equal("one", f:read_until "--")
    assert.equal("t", f:read_exact(1))
    assert.equal("wo", f:read_until("--", { max = 2 }))
    assert.equal("EFRAME", code_of(f:read_until "--"))
    assert.equal(70000, #f:read_until("--", { max = 70000 }))
    assert.equal("EEOF", code_of(f:read_until "--"))
    assert.equal("EEOF", code_of(f:read_exact(5)))
    assert.equal("rest", f:read_exact(4))
    assert.is_nil(f:read_until "--")
    assert.equal("EEOF", code_of(f:read_exact(1)))
    assert.has_error(function() f:read_until "" end)
  end)

  it("iterates over lines of any length and number", function()
    local dir <close> = tempdir()
    local want = {}
    for i = 1, 3000 do want[i] = ("x"):rep(i % 700) .. i end
    want[#want + 1] = ("long"):rep(50000)
    assert(fs.write(dir:join "f", table.concat(want, "\n") .. "\n"))
    local got = {}
    local f <close> = assert(fs.open(dir:join "f"))
    for line in f:lines() do got[#got + 1] = line end
    assert.same(want, got)
  end)

  it("bounds a line and all", function()
    local dir <close> = tempdir()
    assert(fs.write(dir:join "f", ("x"):rep(2 << 20)))
    local f <close> = assert(fs.open(dir:join "f"))
    assert.equal("ELIMIT", code_of(f:read()))
    assert.equal("ELIMIT", code_of(f:read("a", { max = "1MiB" })))
    assert.equal(2 << 20, #f:read("l", { max = "4MiB" }))
    local zero <close> = assert(fs.open("/dev/zero"))
    local ok, err = pcall(function() for _ in zero:lines() do end end)
    assert.is_false(ok)
    assert.equal("ELIMIT", err.code)
  end)

  it("writes strings and numbers, held until they are many or flushed", function()
    local dir <close> = tempdir()
    local f <close> = assert(fs.open(dir:join "f", "w"))
    assert.equal(f, f:write("a", 1, 2.5, "\0"))
    assert.equal("", fs.read(dir:join "f"))
    assert.equal(f, f:flush())
    assert.equal("a12.5\0", fs.read(dir:join "f"))
    assert(f:write(("x"):rep(100000)))
    assert.equal(100006, fs.stat(dir:join "f").size)
    assert(f:write("end"):flush { sync = true })
    assert.is_true(f:close())
    assert.equal(100009, fs.stat(dir:join "f").size)
  end)

  it("appends, and updates in place", function()
    local dir <close> = tempdir()
    for i = 1, 3 do
      local f <close> = assert(fs.open(dir:join "f", "a"))
      assert(f:write(i, "\n"))
    end
    assert.equal("1\n2\n3\n", fs.read(dir:join "f"))
    local f <close> = assert(fs.open(dir:join "f", "r+"))
    assert.equal("1", f:read())
    assert(f:write("X\n"))
    assert.equal("3", f:read())
    assert.equal(2, f:seek("set", 2))
    assert.equal("X", f:read())
    assert.equal(4, f:seek())
    assert.equal(6, f:seek("end"))
    assert(f:write("4"))
    assert.equal(7, f:stat().size)
    f:close()
    assert.equal("1\nX\n3\n4", fs.read(dir:join "f"))
  end)

  it("answers after close, and closes more than once", function()
    local dir <close> = tempdir()
    local f = assert(fs.open(dir:join "f", "w"))
    assert.is_true(f:close())
    assert.is_true(f:close())
    assert.equal("ECLOSED", code_of(f:read()))
    assert.equal("ECLOSED", code_of(f:write("x")))
    assert.equal("ECLOSED", code_of(f:flush()))
    assert.equal("ECLOSED", code_of(f:seek()))
    assert.equal("ECLOSED", code_of(f:stat()))
    assert.truthy(tostring(f):find("closed", 1, true))
  end)

  it("refuses the direction it was not opened for", function()
    local dir <close> = tempdir()
    local w <close> = assert(fs.open(dir:join "f", "w"))
    assert.equal("EBADF", code_of(w:read()))
    local r <close> = assert(fs.open(dir:join "f", "r"))
    assert.equal("EBADF", code_of(r:write("x")))
  end)

  it("tells a full device when what is held cannot be written", function()
    local f = assert(fs.open("/dev/full", "w"))
    assert.equal(f, f:write("x"))
    assert.equal("ENOSPC", code_of(f:flush()))
    assert.equal("ENOSPC", code_of(f:close()))
    local g = assert(fs.open("/dev/full", "w"))
    assert.equal("ENOSPC", code_of(g:write(("x"):rep(70000))))
    assert.equal("ENOSPC", code_of(g:write("more")))
    g:close()
  end)

  it("refuses bad modes, formats and positions", function()
    local dir <close> = tempdir()
    local f <close> = assert(fs.open(dir:join "f", "w"))
    for _, call in ipairs {
      function() fs.open(dir:join "f", "rw") end,
      function() fs.open(dir:join "f", "") end,
      function() fs.open(dir:join "f", 5) end,
      function() f:read("x") end,
      function() f:read(-1) end,
      function() f:read("l", { maxx = 1 }) end,
      function() f:write({}) end,
      function() f:write(nil) end,
      function() f:seek("middle") end,
      function() f:seek("set", 1.5) end,
      function() f.read({}) end,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.equal("EINVAL", err.code)
    end
    assert.equal("ERANGE", code_of(f:seek("set", -1)))
    assert.equal("ENOENT", code_of(fs.open(dir:join "no/f", "w")))
    assert.equal("EISDIR", code_of(fs.open(dir.path, "r")))
    assert.equal("EISDIR", code_of(fs.open(dir.path, "w")))
  end)

  it("serves several tasks, one after the other, and mixes no bytes", function()
    local dir <close> = tempdir()
    local f <close> = assert(fs.open(dir:join "f", "w"))
    local tasks = {}
    for i = 1, 8 do
      tasks[i] = function()
        for _ = 1, 40 do assert(f:write((tostring(i)):rep(9999), "\n")) end
      end
    end
    mw.task.all(table.unpack(tasks))
    f:close()
    local n = 0
    local r <close> = assert(fs.open(dir:join "f"))
    for line in r:lines() do
      n = n + 1
      assert.equal((line:sub(1, 1)):rep(9999), line)
    end
    assert.equal(320, n)
  end)

  it("loses nothing when a waiting task is cancelled or runs out of time", function()
    local dir <close> = tempdir()
    assert(fs.write(dir:join "f", ("line\n"):rep(1000)))
    assert.equal(0, assert(mw.process.run { "sync", dir:join "f" }).code)
    local f <close> = assert(fs.open(dir:join "f"))
    local n = 0
    for _ = 1, 50 do
      mw.task.timeout(0, function()
        while f:read() do
          n = n + 1
          if n % 7 == 0 then mw.task.pass() end
        end
      end)
    end
    for line in f:lines() do
      assert.equal("line", line)
      n = n + 1
    end
    assert.equal(1000, n)
  end)

  it("wakes the others when it is closed", function()
    local f = assert(fs.open("/dev/zero"))
    local ok, err
    mw.task.all(function()
      repeat ok, err = f:read_some("1MiB") until not ok
    end, function()
      mw.task.pass()
      f:close()
    end)
    assert.equal("ECLOSED", err.code)
  end)

  it("is closed with a warning when it is collected, with what it held written", function()
    local dir <close> = tempdir()
    local r = assert(mw.process.run { program, "eval", "-A", ([[
      local fs = require "moonwire".fs
      fs.open(%q, "w"):write("held")
      collectgarbage() collectgarbage()
      kept = fs.open(%q, "w")
      kept:write("to the end")]]):format(dir:join "f", dir:join "g"), timeout = 60 })
    assert.equal(0, r.code, r.stderr)
    assert.equal("held", fs.read(dir:join "f"))
    assert.equal("to the end", fs.read(dir:join "g"))
    local _, warnings = r.stderr:gsub("never closed", "")
    assert.equal(1, warnings)
    assert.truthy(r.stderr:find("eval:2", 1, true), r.stderr)
  end)

  it("is a child's standard stream, at the script's position", function()
    local dir <close> = tempdir()
    assert(fs.write(dir:join "in", "one\ntwo\nthree\n"))
    local input <close> = assert(fs.open(dir:join "in"))
    assert.equal("one", input:read())
    local output <close> = assert(fs.open(dir:join "out", "w"))
    assert(output:write("before\n"))
    local r = assert(mw.process.run { "cat", stdin = input, stdout = output })
    assert.equal(0, r.code)
    assert(output:write("after\n"))
    output:close()
    assert.equal("before\ntwo\nthree\nafter\n", fs.read(dir:join "out"))
    local ok, err = pcall(mw.process.run, { "cat", stdin = "", stdout = input })
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
  end)

  it("runs out of descriptors with an error, and works again once there are some", function()
    local dir <close> = tempdir()
    local r = assert(mw.process.run {
      "sh", "-c", 'ulimit -n 64; exec "$0" eval -A "$1" "$2"', program, [[
        local fs = require "moonwire".fs
        local open, err = {}
        repeat
          local f
          f, err = fs.open("/dev/null")
          open[#open + 1] = f
        until not f
        print(err.code)
        local calls = { { fs.read, "/etc/passwd" }, { fs.write, ..., "x" }, { fs.list, "/" }, { fs.stat, "/etc/passwd" } }
        for _, call in ipairs(calls) do
          local ok, why = call[1](table.unpack(call, 2))
          print(ok and "ok" or why.code)
        end
        print(select(2, pcall(fs.watch, "/")).code, select(2, fs.tempdir()).code)
        for _, f in ipairs(open) do f:close() end
        print(#fs.read("/etc/passwd") > 0)]], dir:join "never", timeout = 60,
    })
    assert.equal(0, r.code, r.stderr)
    local lines = {}
    for line in r.stdout:gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.equal("EMFILE", lines[1])
    for i = 2, 5 do assert.truthy(lines[i] == "EMFILE" or lines[i] == "ok", lines[i]) end
    assert.equal("EMFILE\tEMFILE", lines[6])
    assert.equal("true", lines[7])
    assert.equal(lines[3] == "ok", fs.stat(dir:join "never") ~= nil)
  end)
end)
