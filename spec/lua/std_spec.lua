-- Lua's own libraries in their guarded forms: with the right as the manual says, without it EDENIED that names the flag.
local mw = require "moonwire"
local fs = mw.fs
local program = os.getenv("MOONWIRE") or "moonwire"

local dir

local function path(name) return dir.path .. "/" .. name end

local function put(name, text)
  assert(fs.write(path(name), text))
  return path(name)
end

--- Runs code with the rights given, and the arguments after it; stdin is a string.
local function run(rights, code, args, stdin)
  local argv = { program, "eval", stdin = stdin or "null", timeout = 20 }
  for _, right in ipairs(rights) do argv[#argv + 1] = right end
  argv[#argv + 1] = code
  for _, arg in ipairs(args or {}) do argv[#argv + 1] = arg end
  return assert(mw.process.run(argv))
end

--- Its output; it must have ended well.
local function output(...)
  local r = run(...)
  assert.equal("", r.stderr)
  assert.equal(0, r.code)
  return r.stdout
end

--- It is refused, with the exit status for that, and the text names the flag.
local function refused(flag, ...)
  local r = run(...)
  assert.equal(77, r.code)
  assert.truthy(r.stderr:find(flag, 1, true), r.stderr)
end

describe("io", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("reads every format of the manual", function()
    local name = put("f", "first\nsecond\n  42 0x1F -3.5e1 .5 nope\nlast")
    local f <close> = assert(io.open(name))
    assert.equal("first", f:read())
    assert.equal("second\n", f:read("L"))
    local a, b, c, d = f:read("n", "n", "n", "*n")
    assert.same({ 42, 31, -35.0, 0.5 }, { a, b, c, d })
    assert.is_nil((f:read("n")))
    assert.equal("nope\n", f:read(5))
    assert.equal("", f:read(0))
    assert.equal("last", f:read("a"))
    assert.equal("", f:read("a"))
    assert.is_nil(f:read(0))
    assert.is_nil(f:read("l"))
    assert.is_nil(f:read(1))
  end)

  it("reads a numeral as Lua does, at most 200 characters of it", function()
    local f <close> = assert(io.open(put("n", ("1"):rep(250) .. "\n0x\n1e+\n- 5")))
    assert.is_nil((f:read("n")))
    assert.equal(("1"):rep(50), f:read("l"))
    assert.is_nil((f:read("n")))
    assert.equal("", f:read("l"))
    assert.is_nil((f:read("n")))
    assert.equal("", f:read("l"))
    assert.is_nil((f:read("n")))
    assert.equal(" 5", f:read("a"))
  end)

  it("stops at the first format that fails, and gives what came before", function()
    local f <close> = assert(io.open(put("f", "x")))
    assert.same({ "x", n = 2 }, table.pack(f:read("l", "l", "l")))
  end)

  it("writes, appends, updates and seeks", function()
    local name = path("f")
    local f = assert(io.open(name, "w"))
    assert.equal(f, f:write("one ", 2, " ", 2.5, "\n"))
    assert.equal(10, f:seek())
    assert.is_true(f:close())
    f = assert(io.open(name, "a"))
    f:write("three\n")
    f:close()
    f = assert(io.open(name, "r+b"))
    assert.equal("one 2 2.5", f:read())
    f:write("THREE")
    assert.equal(4, f:seek("set", 4))
    assert.equal("2", f:read(1))
    assert.equal(5, f:seek("cur"))
    assert.equal(15, f:seek("end", -1))
    f:close()
    assert.equal("one 2 2.5\nTHREE\n", fs.read(name))
    f = assert(io.open(name, "w+"))
    f:write("abc")
    f:seek("set")
    assert.equal("abc", f:read("a"))
    f:close()
    assert.same({ nil, "Invalid argument", 22, n = 3 }, (function()
      local g <close> = assert(io.open(name))
      return table.pack(g:seek("set", -1))
    end)())
  end)

  it("tells the position of a file opened for appending", function()
    assert(mw.fs.write(path "only", "kept"))
    local f <close> = assert(io.open(path "only", "a"))
    assert.equal(4, f:seek())
    assert.equal(6, f:write("ab"):seek())
  end)

  it("holds small writes of a file until flush, close or a full buffer", function()
    local f <close> = assert(io.open(path("f"), "w"))
    f:write("x")
    assert.equal("", fs.read(path("f")))
    f:flush()
    assert.equal("x", fs.read(path("f")))
    f:setvbuf("no")
    f:write("y")
    assert.equal("xy", fs.read(path("f")))
    f:setvbuf("line")
    f:write("z")
    assert.equal("xy", fs.read(path("f")))
    f:write("\n")
    assert.equal("xyz\n", fs.read(path("f")))
    f:setvbuf("full", 8)
    f:write("1234567")
    assert.equal("xyz\n", fs.read(path("f")))
    f:write("8")
    assert.equal("xyz\n12345678", fs.read(path("f")))
  end)

  it("iterates over lines and closes a named file at the end, and when the loop is left", function()
    local name = put("f", "a\nb\nc")
    local got = {}
    for line in io.lines(name) do got[#got + 1] = line end
    assert.same({ "a", "b", "c" }, got)
    local step, _, _, file = io.lines(name, 1, "L")
    assert.same({ "a", "\n" }, { step() })
    for piece in step, nil, nil, file do if piece then break end end
    assert.equal("closed file", io.type(file))
    assert.has_error(function() step() end)
    local f = assert(io.open(name))
    for _ in f:lines() do end
    assert.equal("file", io.type(f))
    f:close()
    assert.has_error(function() f:lines() end)
    assert.has_error(function() io.lines(path("none")) end, path("none") .. ": No such file or directory")
  end)

  it("has results like Lua's for what the system refuses", function()
    assert.same({ nil, path("none") .. ": No such file or directory", 2, n = 3 }, table.pack(io.open(path("none"))))
    assert.same({ nil, dir.path .. ": Is a directory", 21, n = 3 }, table.pack(io.open(dir.path, "w")))
    local f <close> = assert(io.open(dir.path))
    assert.same({ nil, "Is a directory", 21, n = 3 }, table.pack(f:read("a")))
    local full <close> = assert(io.open("/dev/full", "w"))
    full:setvbuf("no")
    assert.same({ nil, "No space left on device", 28, n = 3 }, table.pack(full:write("x")))
    local r <close> = assert(io.open(put("r", "x")))
    assert.same({ nil, "Bad file descriptor", 9, n = 3 }, table.pack(r:write("x")))
  end)

  it("tells a file from a closed one, and from what is none", function()
    local f = assert(io.open(put("f", "")))
    assert.equal("file", io.type(f))
    assert.truthy(tostring(f):find("^file %("))
    f:close()
    assert.equal("closed file", io.type(f))
    assert.equal("file (closed)", tostring(f))
    assert.is_nil(io.type(12))
    assert.has_error(function() f:read() end)
    assert.has_error(function() f:write("x") end)
    assert.has_error(function() f:close() end)
    assert.is_false(getmetatable(f))
  end)

  it("has default files that can be changed", function()
    local name = put("in", "1\n2\n")
    local was_in, was_out = io.input(), io.output()
    io.input(name)
    assert.equal("1", io.read())
    for line in io.lines() do assert.equal("2", line) end
    io.close(io.input())
    io.input(was_in)
    io.output(path("out"))
    io.write("a", 1)
    io.close()
    io.output(was_out)
    assert.equal("a1", fs.read(path("out")))
  end)

  it("refuses a FIFO as a file, and does not stop for it", function()
    assert(mw.process.run { "mkfifo", path("fifo"), check = true })
    local f, message, code = io.open(path("fifo"))
    assert.is_nil(f)
    assert.truthy(message:find("FIFO", 1, true))
    assert.equal(95, code)
  end)

  it("waits for a pipe without stopping other tasks, and sees every format through it", function()
    local child <close> = assert(mw.process.spawn { program, "eval", [[
      local mw = require "moonwire"
      mw.task.spawn_with({ daemon = true }, function() io.stderr:write("other\n") end)
      print(io.read("l", "n", "L", 3))
      print((io.read("a")))
      print(io.read("l"))
    ]], stdin = "pipe", stdout = "pipe", stderr = "pipe" })
    assert.equal("other", child.stderr:read("l"))
    child.stdin:write("li")
    child.stdin:write("ne\n 4")
    child.stdin:write("2 rest\nabcdef")
    assert.equal("line\t42\t rest", child.stdout:read("l"))
    assert.equal("\tabc", "\t" .. child.stdout:read("l"):gsub("^%s+", ""))
    child.stdin:close()
    assert.equal("def", child.stdout:read("l"))
    assert.equal("nil", child.stdout:read("l"))
    assert.equal(0, child:wait().code)
  end)

  it("never changes the flags of a descriptor that it was given", function()
    local r = assert(mw.process.run { "sh", "-c", [[
      "$0" eval 'io.read("l")'
      grep flags /proc/self/fdinfo/0
    ]], program, stdin = "x\ny\n" })
    assert.equal(0, tonumber(r.stdout:match("flags:%s*(%d+)"), 8) & 2048)
  end)

  it("suspends the task, and not the coroutine that reads", function()
    assert.equal("co a\nco b\n", output({}, [[
      for line in coroutine.wrap(function() for l in io.lines() do coroutine.yield(l) end end) do print("co " .. line) end
    ]], nil, "a\nb\n"))
  end)

  it("writes all of a large output to a slow reader", function()
    local child <close> = assert(mw.process.spawn { program, "eval", [[
      for i = 1, 40 do assert(io.write(("x"):rep(10000))) end
      print("end")
    ]], stdout = "pipe" })
    assert.equal(("x"):rep(400000) .. "end\n", child.stdout:read("a"))
    assert.equal(0, child:wait().code)
  end)

  it("has no popen, and says what to use", function()
    local ok, err = pcall(io.popen, "ls")
    assert.is_false(ok)
    assert.truthy(tostring(err):find("mw.process", 1, true))
  end)

  it("needs the right, whatever the spelling of the name", function()
    local secret = put("secret", "s")
    assert(mw.process.run { "mkdir", path("open"), check = true })
    put("open/f", "f")
    assert(mw.process.run { "ln", "-s", secret, path("open/link"), check = true })
    assert.equal("f", output({ "--allow-read=" .. path("open") },
      "assert(io.write(io.open(arg[1]):read('a'))):flush() return", { path("open/f") }))
    for _, name in ipairs { secret, path("open/link"), path("open/../secret"), path("open/./../secret"), "/proc/self/environ",
      "/proc/self/root" .. secret, "/proc/self/cwd", "/dev/fd/0", "/etc/passwd" } do
      refused("grant it with --allow-", { "--allow-read=" .. path("open") }, "io.open(arg[1])", { name })
      refused("grant it with --allow-", { "--allow-read=" .. path("open") }, "io.lines(arg[1])", { name })
      refused("grant it with --allow-", { "--allow-read=" .. path("open") }, "io.input(arg[1])", { name })
      refused("grant it with --allow-", { "--allow-read=" .. path("open") }, "dofile(arg[1])", { name })
      refused("grant it with --allow-", { "--allow-read=" .. path("open") }, "loadfile(arg[1])", { name })
    end
    refused("--allow-write=" .. path("open/f"), { "--allow-read=" .. dir.path }, "io.open(arg[1], 'a')", { path("open/f") })
    refused("--allow-write=" .. path("open/f"), { "--allow-read=" .. dir.path }, "io.open(arg[1], 'r+')", { path("open/f") })
    refused("--allow-read=" .. path("open/f"), { "--allow-write=" .. dir.path }, "io.open(arg[1], 'w+')", { path("open/f") })
    assert.equal("f", fs.read(path("open/f")))
    refused("--allow-write=", {}, "io.tmpfile()")
    refused("--allow-write=", {}, "os.tmpname()")
  end)

  it("raises error objects for arguments of the wrong kind", function()
    local f <close> = assert(io.open(put("f", "")))
    for _, call in ipairs { { io.open }, { io.open, 1 }, { io.open, "x", {} }, { io.open, "x", "rw" }, { io.lines, {} },
      { f.seek, f, "here" }, { f.seek, f, "set", 1.5 }, { f.setvbuf, f, "some" }, { f.read, f, "x" }, { f.read, f, -1 }, { f.write, f, {} },
      { f.read, 1 }, { io.type },
      { os.remove }, { os.rename, "a" }, { os.getenv, {} }, { os.exit, "now" }, { load, 1 }, { load, "", {} }, { loadfile }, { dofile, 1 },
      { require }, { require, {} }, { collectgarbage, {} }, { debug.getinfo }, { debug.getinfo, 1, "?" } } do
      local ok, err = pcall(table.unpack(call))
      assert.is_false(ok)
      assert.equal("EINVAL", type(err) == "table" and err.code or err)
    end
  end)

  it("refuses a name with a NUL byte", function()
    for _, f in ipairs { io.open, io.lines, loadfile, dofile, os.remove, os.getenv, require } do
      local ok, err = pcall(f, "/tmp/x\0y")
      assert.is_false(ok)
      assert.equal("EINVAL", err.code)
    end
  end)

  it("is not fooled by a link that is swapped while files are opened", function()
    put("open", "safe")
    assert(mw.process.run { "mkdir", path("d"), check = true })
    put("d/safe", "safe")
    put("secret", "secret")
    local swapper <close> = assert(mw.process.spawn { "sh", "-c", [[
      cd "$0/d"
      while :; do ln -sfn safe l; ln -sfn ../secret l; done
    ]], dir.path })
    local text = output({ "--allow-read=" .. path("d") }, [[
      local seen = {}
      for _ = 1, 3000 do
        local ok, f = pcall(io.open, arg[1] .. "/l")
        if ok and f then seen[f:read("a")] = true; f:close() end
      end
      for text in pairs(seen) do io.write(text, "\n") end
    ]], { path("d") })
    assert.falsy(text:find("secret", 1, true))
    swapper:kill("KILL")
  end)
end)

describe("os", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("removes and renames files, and empty directories", function()
    put("a", "x")
    assert.is_true(os.rename(path("a"), path("b")))
    assert.is_true(os.remove(path("b")))
    assert.same({ nil, path("b") .. ": No such file or directory", 2, n = 3 }, table.pack(os.remove(path("b"))))
    assert.same({ nil, path("b") .. ": No such file or directory", 2, n = 3 }, table.pack(os.rename(path("b"), path("c"))))
    assert(fs.mkdir(path("d")))
    put("d/f", "")
    assert.equal(39, select(3, os.remove(path("d"))))
    assert(os.remove(path("d/f")))
    assert.is_true(os.remove(path("d")))
  end)

  it("removes a link and not what it points to", function()
    put("a", "x")
    assert(mw.process.run { "ln", "-s", path("a"), path("l"), check = true })
    assert.is_true(os.remove(path("l")))
    assert.equal("x", fs.read(path("a")))
  end)

  it("needs the rights, and a move never makes a file readable", function()
    assert(fs.mkdir(path("in")))
    assert(fs.mkdir(path("out")))
    put("in/f", "f")
    refused("--allow-write=" .. path("in/f"), {}, "os.remove(arg[1])", { path("in/f") })
    refused("--allow-write=", { "--allow-write=" .. path("out") }, "os.rename(arg[1], arg[2])", { path("in/f"), path("out/f") })
    refused("--allow-read=" .. path("in/f"), { "--allow-write=" .. dir.path, "--allow-read=" .. path("out") },
      "os.rename(arg[1], arg[2])", { path("in/f"), path("out/f") })
    assert.equal("true\n", output({ "--allow-write=" .. dir.path }, "print(os.rename(arg[1], arg[2]))", { path("in/f"), path("out/f") }))
  end)

  it("knows the time as Lua does", function()
    assert.truthy(os.time() > 1.6e9)
    assert.equal(0, os.time { year = 1970, month = 1, day = 1, hour = 0 } - os.time { year = 1970, month = 1, day = 1, hour = 0 })
    assert.equal("1970", os.date("!%Y", 0))
    assert.equal(2.0, os.difftime(3, 1))
    assert.truthy(os.clock() >= 0)
  end)

  it("tells variables by right only, and nil for one that is not set", function()
    assert.equal("x\tnil\n", (function()
      local r = assert(mw.process.run { program, "eval", "--allow-env=MINE,NONE_*",
        "print(os.getenv('MINE'), os.getenv('NONE_X'))", env = { MINE = "x" } })
      return r.stdout
    end)())
    refused("grant it with --allow-env=HOME", { "--allow-env=MINE" }, "os.getenv('HOME')")
  end)

  it("makes temporary files where it may write", function()
    local name = os.tmpname()
    assert.equal("", fs.read(name))
    assert(os.remove(name))
    local f <close> = assert(io.tmpfile())
    f:write("x")
    f:seek("set")
    assert.equal("x", f:read("a"))
  end)

  it("has no shell, and says what to use", function()
    assert.is_false(os.execute())
    local ok, err = pcall(os.execute, "ls")
    assert.is_false(ok)
    assert.truthy(tostring(err):find("mw.process", 1, true))
  end)

  it("leaves the locale alone", function()
    assert.equal("C", os.setlocale())
    assert.equal("C", os.setlocale("C"))
    assert.is_nil(os.setlocale("de_DE.UTF-8"))
    assert.is_nil(os.setlocale(""))
  end)

  it("ends the run after cleanup, with what is held written", function()
    local r = run({ "--allow-write=" .. dir.path }, [[
      local f = io.open(arg[1], "w")
      f:write("held")
      local c <close> = setmetatable({}, { __close = function() print("cleanup") end })
      os.exit(7)
    ]], { path("f") })
    assert.equal(7, r.code)
    assert.equal("cleanup\n", r.stdout)
    assert.equal("held", fs.read(path("f")))
    assert.equal(1, run({}, "os.exit(false)").code)
    assert.equal(0, run({}, "os.exit(true, true)").code)
  end)
end)

describe("load", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  local bytecode = "\27Lua\x54\0\x19\x93\r\n\x1a\n\4\8\8"

  it("loads text from a string, a function and a file, into an environment", function()
    assert.equal(3, load("return 1 + 2")())
    local parts, i = { "return ", "x", " .. 'b'" }, 0
    assert.equal("ab", load(function() i = i + 1 return parts[i] end, "=parts", "t", { x = "a" })())
    assert.same({ nil, "[string \"x x\"]:1: syntax error near 'x'" }, { load("x x") })
    local name = put("m.lua", "#!/usr/bin/env moonwire\nreturn ..., line")
    assert.same({ 5, 9 }, { loadfile(name, "t", { line = 9 })(5) })
    assert.equal("v", dofile(put("v.lua", "return 'v'")))
    assert.same({ nil, "cannot open " .. path("none") .. ": No such file or directory" }, { loadfile(path("none")) })
    assert.has_error(function() dofile(path("none")) end)
  end)

  it("never loads bytecode, from nowhere and in no mode", function()
    local name = put("b.lua", bytecode)
    for _, mode in ipairs { "b", "bt", "t" } do
      assert.is_nil((load(bytecode, "x", mode)))
      local done
      assert.is_nil((load(function()
        if done then return nil end
        done = true
        return bytecode
      end, "x", mode)))
      assert.is_nil((loadfile(name, mode)))
    end
    assert.is_nil((load(coroutine.wrap(function() for c in bytecode:gmatch(".") do coroutine.yield(c) end end))))
    assert.is_nil((loadfile(put("c.lua", "#\n" .. bytecode))))
    assert.has_error(function() dofile(name) end)
    package.path = path("?.lua") .. ";" .. package.path
    finally(function() package.path = package.path:gsub("^[^;]*;", "") end)
    assert.has_error(function() require("b") end)
    assert.is_nil(string.dump)
    assert.is_nil(("").dump)
    assert.is_nil(_G.loadstring)
  end)

  it("raises what a reader raises", function()
    assert.equal("nil\tinside\n", output({}, "print(load(function() error('inside', 0) end))"))
    assert.has_error(function() load({}) end)
  end)

  it("lets a chunk that dofile runs wait", function()
    assert.equal("after", dofile(put("w.lua", "require('moonwire').task.sleep(0.001) return 'after'")))
  end)
end)

describe("require", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  --- Runs a script file of the folder, so that its neighbours are its modules.
  local function script(name, rights)
    local argv = { program, "run", timeout = 20 }
    for _, right in ipairs(rights or {}) do argv[#argv + 1] = right end
    argv[#argv + 1] = path(name)
    return assert(mw.process.run(argv))
  end

  it("finds modules beside the script without any right, once, with its two values", function()
    put("m.lua", "print('loading', ...) return { name = ... }")
    assert(fs.mkdir(path("p")))
    put("p/init.lua", "return 'package'")
    put("p/q.lua", "loaded = true")
    put("s.lua", [[
      local m, where = require "m"
      print(m.name, where, require "m" == m, require "p", (require "p.q"))
      print(pcall(io.open, where))
    ]])
    local r = script("s.lua")
    assert.equal("", r.stderr)
    assert.equal(("loading\tm\t%s\nm\t%s\ttrue\tpackage\ttrue\n"):format(path("m.lua"), path("m.lua")), r.stdout:match("^.-\n.-\n"))
    assert.truthy(r.stdout:find("false\tio open", 1, true))
  end)

  --- Runs tests/run.lua from the folder above it, which has lib/tap.lua; other/only.lua is where variables may lead.
  local function from_above(env, ...)
    for _, name in ipairs { "tests", "lib", "other" } do assert(fs.mkdir(path(name))) end
    put("lib/tap.lua", "return 'from the working directory'")
    put("other/only.lua", "return 'by a variable'")
    put("tests/run.lua", [[
      local function try(name) local ok, got = pcall(require, name) return ok and got or "none" end
      print(try "lib/tap", try "only") print(package.path) print(package.cpath)
    ]])
    local argv = { program, "run", cwd = dir.path, env = env, timeout = 20, ... }
    argv[#argv + 1] = "tests/run.lua"
    local r = assert(mw.process.run(argv))
    assert.equal("", r.stderr)
    return r.stdout:match("^(.-)\n(.-)\n(.-)\n$")
  end

  local UNSET = { LUA_PATH = false, LUA_PATH_5_4 = false, LUA_CPATH = false, LUA_CPATH_5_4 = false }
  local function variables(more)
    local all = {}
    for name, value in pairs(UNSET) do all[name] = value end
    for name, value in pairs(more) do all[name] = value end
    return all
  end

  it("looks in the working directory last when everything is allowed, as plain Lua does", function()
    local found, lua, native = from_above(UNSET, "-A")
    assert.equal("from the working directory\tnone", found)
    assert.truthy(lua:find("^tests/%?%.lua;tests/%?/init%.lua;/.*;%./%?%.lua;%./%?/init%.lua$"), lua)
    assert.truthy(native:find(";./?.so", 1, true), native)
  end)

  it("looks where LUA_PATH and LUA_CPATH say when everything is allowed, the versioned names first, after the script's folder", function()
    local found, lua, native = from_above(
      variables { LUA_PATH_5_4 = "other/?.lua;;", LUA_PATH = "/none/?.lua", LUA_CPATH = ";;/some/?.so" }, "-A")
    assert.equal("from the working directory\tby a variable", found)
    assert.truthy(lua:find("^tests/%?%.lua;tests/%?/init%.lua;other/%?%.lua;/usr/.*;%./%?/init%.lua$"), lua)
    assert.truthy(native:find("^/.*;%./%?%.so;/some/%?%.so$"), native)
    assert.falsy((lua .. native):find(";;", 1, true), lua .. native)
  end)

  it("leaves out its own places where LUA_PATH has no gap for them, but the script's folder", function()
    local found, lua, native = from_above(variables { LUA_PATH = "other/?.lua", LUA_CPATH = "" }, "-A")
    assert.same({ "none\tby a variable", "tests/?.lua;tests/?/init.lua;other/?.lua", "" }, { found, lua, native })
  end)

  for what, rights in pairs { ["some rights"] = { "--allow-read", "--allow-env" }, ["a right denied"] = { "-A", "--deny-net=:9" } } do
    it("looks neither in the working directory nor where variables say with " .. what, function()
      local env = variables { LUA_PATH = "other/?.lua;;", LUA_CPATH_5_4 = "other/?.so;;" }
      local found, lua, native = from_above(env, table.unpack(rights))
      assert.equal("none\tnone", found)
      assert.falsy(lua:find("other", 1, true) or lua:find(";./", 1, true), lua)
      assert.falsy(native:find("other", 1, true) or native:find("./?.so", 1, true), native)
    end)
  end

  it("gives the parts of mw by their names, and none of what they are built of", function()
    put("s.lua", [[
      local mw = require "moonwire"
      assert(require "moonwire.task" == mw.task and require "moonwire.net" == mw.net)
      for _, name in ipairs { "attach", "repl", "repl_server", "repl_eval", "repl_walk", "repl_complete", "repl_source", "channel",
                              "semaphore", "task_map", "process_pipe", "net_lease", "supervisor_run", "doc", "tls", "main", "script" } do
        local found, why = pcall(require, "moonwire." .. name)
        if found or not tostring(why):find("not found", 1, true) then print(name, why) end
      end
    ]])
    local r = script("s.lua", { "--allow-net", "--allow-run" })
    assert.equal("", r.stdout .. r.stderr)
  end)

  it("waits with a module that waits, and lets other tasks wait for it", function()
    put("slow.lua", [[
      count = (count or 0) + 1
      require("moonwire").task.sleep(0.02)
      return { count = count }
    ]])
    put("s.lua", [[
      local task = require("moonwire").task
      local function get() return require "slow" end
      local a, b, c = task.all(get, get, get)
      print(a == b and b == c, a.count)
    ]])
    local r = script("s.lua")
    assert.equal("true\t1\n", r.stdout)
    assert.equal("", r.stderr)
  end)

  it("tells a failed module's error, and tries again the next time", function()
    put("bad.lua", "tries = (tries or 0) + 1 if tries == 1 then error('first', 0) end return tries")
    put("worse.lua", "syntax error here")
    put("s.lua", [[
      print(pcall(require, "bad"))
      print(require "bad")
      print(select(2, pcall(require, "worse")))
      print(select(2, pcall(require, "nowhere")))
    ]])
    local out = script("s.lua").stdout
    assert.truthy(out:find("^false\tfirst\n2\t"))
    assert.truthy(out:find("error loading module 'worse' from file", 1, true))
    assert.truthy(out:find("module 'nowhere' not found:\n\tno field package.preload['nowhere']\n\tno file", 1, true))
  end)

  it("sees a ring of modules, in one task and across two", function()
    put("ring.lua", "return require 'ring'")
    put("x.lua", "require('moonwire').task.sleep(0.01) return require 'y'")
    put("y.lua", "require('moonwire').task.sleep(0.01) return require 'x'")
    put("s.lua", [[
      local task = require("moonwire").task
      print(pcall(require, "ring"))
      task.all(function() print(pcall(require, "x")) end, function() print(pcall(require, "y")) end)
    ]])
    local r = script("s.lua", { "--timeout=10" })
    assert.equal(0, r.code)
    assert.truthy(r.stdout:find("requires itself", 1, true))
    assert.equal(3, select(2, r.stdout:gsub("false\t", "")))
  end)

  it("frees those who wait when the loading task is cancelled", function()
    put("never.lua", "if not go then go = true require('moonwire').task.wait() end return 'second'")
    put("s.lua", [[
      local task = require("moonwire").task
      task.scope(function(s)
        local first = s:spawn(function() require "never" end)
        task.pass()
        local second = s:spawn(function() return require "never" end)
        task.pass()
        first:cancel("enough")
        print(second:join())
      end)
    ]])
    assert.equal("second\n", (script("s.lua", { "--timeout=10" }).stdout:gsub("\t[^\n]*", "")))
  end)

  it("does not leave its folder, by no path, link or name", function()
    assert(fs.mkdir(path("app")))
    put("secret.lua", "return 'secret'")
    put("app/text", "return 'text'")
    assert(mw.process.run { "ln", "-s", "../secret.lua", path("app/link.lua"), check = true })
    put("app/s.lua", [[
      local dir = arg[0]:match("^(.*)/")
      package.path = dir .. "/?.lua;" .. dir .. "/../?.lua;" .. dir .. "/?"
      for _, name in ipairs { "secret", "link", "../secret", "text" } do
        local ok, err = pcall(require, name)
        print(ok, type(err) == "table" and err.code)
      end
      print(pcall(package.searchpath, "secret", dir .. "/../?.lua"))
    ]])
    local r = script("app/s.lua")
    assert.equal(4, select(2, r.stdout:gsub("false\tEDENIED\n", "")))
    assert.truthy(r.stdout:find("true\tnil\tno right to read", 1, true))
    assert.equal("secret\n", (assert(mw.process.run { program, "eval", "--allow-read=" .. dir.path,
      "package.path = arg[1] print((require 'secret'))", path("?.lua") })).stdout)
  end)

  it("loads native modules under their right only", function()
    refused("--allow-ffi=/usr/lib/", {}, "require 'lfs'")
    local file = package.searchpath("lfs", package.cpath) or "/usr/lib/x86_64-linux-gnu/lua/5.4/lfs.so"
    assert.equal("table\n", output({ "--allow-ffi=" .. file }, "print(type((require 'lfs')))"))
    refused("--allow-ffi=/usr/lib/", { "--allow-read", "--allow-ffi=/usr/local/lib" }, "require 'lfs'")
  end)

  it("loads native modules one after another, each its own", function()
    local code = [=[
      local own = { lfs = "lock_dir", ["system.core"] = "gettime", ["term.core"] = "isatty", luv = "version" }
      for _ = 1, 2 do
        for _, name in ipairs { "lfs", "system.core", "term.core", "luv" } do
          package.loaded[name] = nil
          local ok, module = pcall(require, name)
          io.write(ok and module[own[name]] and name or tostring(module), " ")
        end
      end]=]
    assert.equal(("lfs system.core term.core luv "):rep(2), output({ "--allow-ffi" }, code))
  end)

  it("looks for a module in the library of its first word too", function()
    local file = assert(package.searchpath("system.core", package.cpath))
    local code = ("package.cpath = %q print(type((require 'system.core')), (select(2, pcall(require, 'system.none'))))")
      :format(file:gsub("/system/core", "/?/core"))
    local told = output({ "--allow-ffi", "--allow-read" }, code)
    assert.truthy(told:find("^table\tmodule 'system.none' not found:"), told)
    assert.truthy(told:find("no module 'system.none' in file '" .. file .. "'", 1, true), told)
  end)

  it("takes preloaded modules and a script's own searchers", function()
    package.preload["std_spec.pre"] = function(...) return { ... } end
    assert.same({ "std_spec.pre", ":preload:" }, require("std_spec.pre"))
    table.insert(package.searchers, function(name)
      if name == "std_spec.own" then return function(_, extra) return extra end, "found" end
      return "no luck"
    end)
    finally(function() table.remove(package.searchers) end)
    assert.equal("found", (require("std_spec.own")))
  end)

  it("gives our own modules from the host, whatever package.loaded says", function()
    local was = package.loaded.moonwire
    package.loaded.moonwire = nil
    package.preload.moonwire = function() return "fake" end
    finally(function() package.loaded.moonwire, package.preload.moonwire = was, nil end)
    assert.equal(mw, require("moonwire"))
    assert.equal(mw.task, require("moonwire.task"))
  end)
end)

describe("debug", function()
  it("is traceback and a getinfo that tells and gives nothing away", function()
    local names = output({}, "local t = {} for k in pairs(debug) do t[#t + 1] = k end table.sort(t) print(table.concat(t, ' '))")
    assert.equal("getinfo traceback\n", names)
    local out = output({}, [[
      local function f(a, ...) return debug.getinfo(1, "Snlut") end
      local i = f()
      print(i.currentline, i.short_src, i.what, i.name, i.nparams, i.isvararg, i.linedefined, i.func)
      print(debug.getinfo(f, "f").func == f, debug.getinfo(print, "f").func, debug.getinfo(100))
      print(debug.traceback("x"):match("^x\nstack traceback:"))
      for level = 0, 20 do
        local l = debug.getinfo(level)
        if l and l.func and l.source:find("moonwire", 1, true) then print("leak", level) end
      end
    ]])
    assert.truthy(out:find("^1\teval\tLua\tf\t1\ttrue\t1\tnil\ntrue\tnil\tnil\nx\n"), out)
    assert.falsy(out:find("leak", 1, true))
  end)

  it("reads another coroutine's stack", function()
    local out = output({}, [[
      local co = coroutine.create(function() local function inner() coroutine.yield() end inner() end)
      coroutine.resume(co)
      print(debug.getinfo(co, 1, "n").name, debug.traceback(co) ~= nil)
    ]])
    assert.equal("inner\ttrue\n", out)
  end)
end)

describe("the base library", function()
  it("collects garbage, and cannot be told to stop", function()
    local out = output({}, [[
      print(collectgarbage() == 0, collectgarbage("count") > 0, type(collectgarbage("step")))
      print(collectgarbage("incremental"), collectgarbage("generational"))
      for _, what in ipairs { "stop", "restart", "setpause", "nonsense" } do print(pcall(collectgarbage, what)) end
    ]])
    assert.truthy(out:find("^true\ttrue\tboolean\n%a+\t%a+\n"))
    assert.equal(4, select(2, out:gsub("false\t", "")))
  end)

  it("keeps strings' methods from being changed under our own modules", function()
    local out = output({}, [[
      print(getmetatable(""))
      string.find, string.format = nil, function() return "mine" end
      string.shout = function(s) return s:upper() .. "!" end
      print((("abc"):find("b")), ("%d"):format(3), string.format("x"), ("abc"):shout())
      print(require("moonwire").inspect({ 1 }) ~= nil)
    ]])
    assert.equal("false\n2\t3\tmine\tABC!\ntrue\n", out)
  end)

  it("warns into the log, when it is told to", function()
    local r = run({}, "warn('unheard') warn('@on') warn('he', 'ard')")
    assert.truthy(r.stderr:find("heard", 1, true))
    assert.falsy(r.stderr:find("unheard", 1, true))
  end)

  it("prints through tostring, in one piece with io.write", function()
    assert.equal("a\t1\tnil\tX\n-b-\n\n", output({}, [[
      print("a", 1, nil, setmetatable({}, { __tostring = function() return "X" end }))
      io.write("-b-") print() print()
    ]]))
  end)

  it("prints from where a task cannot wait", function()
    local out = output({}, "local t = { 2, 1 } table.sort(t, function(a, b) print('c') return a < b end) print('b')")
    assert.truthy(out:find("^c\n.*b\n$"))
  end)
end)
