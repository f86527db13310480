--- mw.fs: whole files, listings and directories.
local mw = require "moonwire"
local fs = mw.fs

local program = assert(mw.env.MOONWIRE, "MOONWIRE names the program under test")

local function tempdir()
  return assert(fs.tempdir())
end

--- The code of what a call raises.
local function raised(...)
  local ok, err = pcall(...)
  assert.is_false(ok)
  return err.code, err
end

--- nil and the error's code.
local function refused(value, err)
  assert.is_nil(value)
  return err.code, err
end

local function link(target, name)
  assert.equal(0, assert(mw.process.run { "ln", "-s", target, name }).code)
end

local function child(code, right)
  return assert(mw.process.run { program, "eval", right, "local mw = require 'moonwire'\nlocal fs = mw.fs\n" .. code, timeout = 60 })
end

describe("reading a whole file", function()
  it("gives its bytes, whatever they are and however many", function()
    local dir <close> = tempdir()
    for _, n in ipairs { 0, 1, 4095, 65535, 65536, 65537, 300000 } do
      local data = mw.random.bytes(math.min(n, 1 << 20))
      assert(fs.write(dir:join "f", data))
      assert.equal(data, fs.read(dir:join "f"))
    end
  end)

  it("gives what the system makes up while it is read", function()
    assert.truthy(assert(fs.read("/proc/self/status")):find("^Name:"))
  end)

  it("stops at a size", function()
    local dir <close> = tempdir()
    assert(fs.write(dir:join "f", ("x"):rep(1000)))
    local code, err = refused(fs.read(dir:join "f", { max = 999 }))
    assert.equal("ELIMIT", code)
    assert.truthy(err.hint:find("max", 1, true))
    assert.equal(1000, #fs.read(dir:join "f", { max = "1kB" }))
    assert.equal("ELIMIT", (refused(fs.read("/dev/zero", { max = "1MiB" }))))
  end)

  it("tells what is wrong with a name", function()
    local dir <close> = tempdir()
    assert.equal("ENOENT", (refused(fs.read(dir:join "nothing"))))
    assert.equal("EISDIR", (refused(fs.read(dir.path))))
    assert.equal("ENAMETOOLONG", (refused(fs.read(dir:join(("x"):rep(300))))))
    assert.equal("EINVAL", (raised(fs.read, ("/x"):rep(5000))))
    assert.equal("EINVAL", (raised(fs.read, dir:join "a\0b")))
    assert.equal("EINVAL", (raised(fs.read, "")))
    assert.equal("EINVAL", (raised(fs.read, 12)))
    assert.equal("EINVAL", (raised(fs.read, dir:join "f", { maximum = 1 })))
    assert(fs.write(dir:join "f", "x"))
    assert.equal("ENOTDIR", (refused(fs.read(dir:join "f/g"))))
  end)

  it("follows links, but not for ever", function()
    local dir <close> = tempdir()
    assert(fs.write(dir:join "f", "data"))
    link("f", dir:join "to_f")
    assert.equal("data", fs.read(dir:join "to_f"))
    link("b", dir:join "a")
    link("a", dir:join "b")
    assert.equal("ELOOP", (refused(fs.read(dir:join "a"))))
  end)

  it("never waits for a FIFO", function()
    local dir <close> = tempdir()
    assert.equal(0, assert(mw.process.run { "mkfifo", dir:join "fifo" }).code)
    assert.equal("EOPNOTSUPP", (refused(fs.read(dir:join "fifo"))))
    assert.equal("EOPNOTSUPP", (refused(fs.open(dir:join "fifo", "r"))))
    assert.equal("EOPNOTSUPP", (refused(fs.open(dir:join "fifo", "w"))))
    assert.equal("EOPNOTSUPP", (refused(fs.write(dir:join "fifo", "x"))))
  end)
end)

describe("writing a whole file", function()
  it("replaces it, keeps its mode, and leaves nothing else", function()
    local dir <close> = tempdir()
    assert(fs.write(dir:join "f", "old", { mode = "0640" }))
    assert.equal(tonumber("640", 8), fs.stat(dir:join "f").mode)
    local before = fs.stat(dir:join "f").ino
    assert(fs.write(dir:join "f", "new", { sync = true }))
    assert.equal("new", fs.read(dir:join "f"))
    assert.equal(tonumber("640", 8), fs.stat(dir:join "f").mode)
    assert.are_not.equal(before, fs.stat(dir:join "f").ino)
    assert.same({ "f" }, fs.list(dir.path))
  end)

  it("does not disturb who has the old one open", function()
    local dir <close> = tempdir()
    assert(fs.write(dir:join "f", "old"))
    local f <close> = assert(fs.open(dir:join "f"))
    assert(fs.write(dir:join "f", "new"))
    assert.equal("old", f:read "a")
  end)

  it("goes through a link to what it names", function()
    local dir <close> = tempdir()
    assert(fs.write(dir:join "f", "old"))
    link("f", dir:join "l")
    assert(fs.write(dir:join "l", "new"))
    assert.equal("link", fs.stat(dir:join "l", { follow = false }).type)
    assert.equal("new", fs.read(dir:join "f"))
  end)

  it("tells a full disk, keeps the old content and leaves nothing behind", function()
    local script = [[
      local dir = "/mnt/small"
      assert(fs.write(dir .. "/f", "old"))
      local ok, err = fs.write(dir .. "/f", ("x"):rep(1 << 20))
      print(ok, err.code, fs.read(dir .. "/f"), table.concat(fs.list(dir), ","))
      local f = assert(fs.open(dir .. "/g", "w"))
      local r, why = f:write(("x"):rep(1 << 20))
      print(r, why.code)
      f:seek("set") f:close()]]
    local dir <close> = tempdir()
    script = script:gsub("/mnt/small", dir.path)
    local r = assert(mw.process.run {
      "unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=64k none "$1" || exit 99; exec "$2" eval -A "$3"', "sh", dir.path, program,
      "local mw = require 'moonwire'\nlocal fs = mw.fs\n" .. script, timeout = 60,
    })
    if r.code == 99 or r.stderr:find("unshare", 1, true) then pending("no right to mount here") return end
    assert.truthy(r.stdout:find("^nil\tENOSPC\told\tf\nnil\tENOSPC\n"), r.stdout .. r.stderr)
  end)

  it("refuses directories, devices and missing directories", function()
    local dir <close> = tempdir()
    assert(fs.mkdir(dir:join "d"))
    assert.equal("EISDIR", (refused(fs.write(dir:join "d", "x"))))
    assert.equal("EOPNOTSUPP", (refused(fs.write("/dev/null", "x"))))
    assert.equal("ENOENT", (refused(fs.write(dir:join "no/such", "x"))))
    assert.equal("EINVAL", (raised(fs.write, dir:join "f", {})))
    assert.equal("EINVAL", (raised(fs.write, dir:join "f", "x", { mode = "rw" })))
    assert.equal("EINVAL", (raised(fs.write, dir:join "f", "x", { mode = "07777" })))
    assert.same({ "d" }, fs.list(dir.path))
  end)

  it("is whole or not at all when the program is killed in the middle", function()
    local dir <close> = tempdir()
    local size = 32 << 20
    assert(fs.write(dir:join "f", "old"))
    local p <close> = assert(mw.process.spawn {
      program, "eval", "-A", ([[
        local fs = require "moonwire".fs
        local data = ("x"):rep(%d)
        io.write "go\n" io.stdout:flush()
        for _ = 1, 1000 do fs.write(%q, data, { sync = true }) end]]):format(size, dir:join "f"),
      stdout = "pipe",
    })
    assert.equal("go", p.stdout:read("l", { timeout = 30 }))
    p:kill("KILL")
    p:wait()
    local got = assert(fs.read(dir:join "f"))
    assert.is_true(got == "old" or #got == size)
    assert.same({ "f" }, fs.list(dir.path))
  end)
end)

describe("stat", function()
  it("tells what a name stands for", function()
    local dir <close> = tempdir()
    assert(fs.write(dir:join "f", "12345"))
    link("f", dir:join "l")
    link("nowhere", dir:join "dangling")
    local st = fs.stat(dir:join "f")
    assert.equal("file", st.type)
    assert.equal(5, st.size)
    assert.is_true(math.abs(st.mtime - mw.time.wall()) < 60)
    assert.equal("directory", fs.stat(dir.path).type)
    assert.equal("file", fs.stat(dir:join "l").type)
    assert.equal("link", fs.stat(dir:join "l", { follow = false }).type)
    assert.equal("ENOENT", (refused(fs.stat(dir:join "dangling"))))
    assert.equal("link", fs.stat(dir:join "dangling", { follow = false }).type)
    assert.equal("char", fs.stat("/dev/null").type)
    assert.equal("directory", fs.stat("/").type)
  end)
end)

describe("list", function()
  it("gives the names in order, with their types if asked", function()
    local dir <close> = tempdir()
    for _, name in ipairs { "b", "a", "c c", ".hidden", "ä" } do assert(fs.write(dir:join(name), "")) end
    assert(fs.mkdir(dir:join "d"))
    assert.same({ ".hidden", "a", "b", "c c", "d", "ä" }, fs.list(dir.path))
    assert.same({ name = "d", type = "directory" }, fs.list(dir.path, { types = true })[5])
    assert.same({}, fs.list(dir:join "d"))
  end)

  it("refuses what is no directory", function()
    local dir <close> = tempdir()
    assert(fs.write(dir:join "f", ""))
    assert.equal("ENOTDIR", (refused(fs.list(dir:join "f"))))
    assert.equal("ENOENT", (refused(fs.list(dir:join "nothing"))))
  end)
end)

describe("mkdir", function()
  it("makes one, and its parents only if asked", function()
    local dir <close> = tempdir()
    assert(fs.mkdir(dir:join "a"))
    assert.equal("EEXIST", (refused(fs.mkdir(dir:join "a"))))
    assert.equal("ENOENT", (refused(fs.mkdir(dir:join "x/y"))))
    assert(fs.mkdir(dir:join "x/y/z", { parents = true, mode = "0700" }))
    assert.equal(tonumber("700", 8), fs.stat(dir:join "x/y/z").mode)
    assert(fs.mkdir(dir:join "x/y/z", { parents = true }))
    assert(fs.mkdir(dir:join "x/y//w///v/", { parents = true }))
    assert.same({ "v" }, fs.list(dir:join "x/y/w"))
    assert(fs.write(dir:join "f", ""))
    assert.equal("EEXIST", (refused(fs.mkdir(dir:join "f", { parents = true }))))
    assert.equal("ENOTDIR", (refused(fs.mkdir(dir:join "f/g", { parents = true }))))
  end)
end)

describe("rename", function()
  it("moves files and directories", function()
    local dir <close> = tempdir()
    assert(fs.write(dir:join "a", "1"))
    assert(fs.write(dir:join "b", "2"))
    assert(fs.rename(dir:join "a", dir:join "b"))
    assert.equal("1", fs.read(dir:join "b"))
    assert(fs.mkdir(dir:join "d"))
    assert(fs.rename(dir:join "d", dir:join "e"))
    assert.same({ "b", "e" }, fs.list(dir.path))
    assert.equal("ENOENT", (refused(fs.rename(dir:join "nothing", dir:join "x"))))
    assert.equal("EINVAL", (raised(fs.rename, dir:join "b", "a\0b")))
  end)
end)

describe("a name with a slash at its end", function()
  it("is no file's: none is made there", function()
    local dir <close> = tempdir()
    assert.equal("EISDIR", (refused(fs.write(dir:join "new" .. "/", ""))))
    for _, mode in ipairs { "w", "a" } do assert.equal("EISDIR", (refused(fs.open(dir:join "new" .. "/", mode)))) end
    assert.is_nil(io.open(dir:join "new" .. "/", "w"))
    assert.same({}, fs.list(dir.path))
  end)
end)

describe("remove", function()
  it("takes a file or an empty directory, and a tree only if asked", function()
    local dir <close> = tempdir()
    assert(fs.write(dir:join "f", ""))
    assert(fs.remove(dir:join "f"))
    assert(fs.mkdir(dir:join "d/e/f", { parents = true }))
    assert(fs.write(dir:join "d/e/g", ""))
    local code, err = refused(fs.remove(dir:join "d"))
    assert.equal("ENOTEMPTY", code)
    assert.truthy(err.hint:find("tree", 1, true))
    assert(fs.remove(dir:join "d", { tree = true }))
    assert.equal("ENOENT", (refused(fs.remove(dir:join "d"))))
    code, err = refused(fs.remove(dir:join "d", { tree = true }))
    assert.same({ "ENOENT", dir:join "d" }, { code, err.subject })
    assert.same({}, fs.list(dir.path))
  end)

  it("takes no link for the directory it leads to, with whatever slash behind it", function()
    local dir <close> = tempdir()
    assert(fs.write(dir:join "f", "kept"))
    assert(fs.mkdir(dir:join "d"))
    assert(fs.write(dir:join "d/x", "kept"))
    assert(require("luv").fs_symlink("d", dir:join "link"))
    assert(require("luv").fs_symlink("loop", dir:join "loop"))
    for _, name in ipairs { "link/", "link//", "f/", "loop/" } do
      for _, tree in ipairs { true, false } do
        assert.equal("ENOTDIR", (refused(fs.remove(dir:join "" .. name, { tree = tree }))))
      end
      assert.equal("ENOTDIR", (refused(fs.rename(dir:join "" .. name, dir:join "g"))))
      assert.equal("ENOTDIR", (refused(fs.rename(dir:join "d", dir:join "" .. name))))
    end
    assert.equal("kept", fs.read(dir:join "link/x"))
    assert(fs.remove(dir:join "link", { tree = true }))
    assert.equal("kept", fs.read(dir:join "d/x"))
    assert(fs.rename(dir:join "d" .. "/", dir:join "e" .. "/"))
    assert(fs.remove(dir:join "e" .. "/", { tree = true }))
  end)

  it("takes no . or .., nor the root", function()
    local dir <close> = tempdir()
    assert(fs.mkdir(dir:join "d/e", { parents = true }))
    for _, path in ipairs { "/", "//" } do assert.equal("EBUSY", (refused(fs.remove(path)))) end
    for _, path in ipairs { dir:join "d/.", dir:join "d/./", dir:join "d/e/..", dir:join "d/e/../" } do
      assert.equal("EBUSY", (refused(fs.remove(path, { tree = true }))))
    end
    assert.equal("EBUSY", (refused(fs.rename(dir:join "d/.", dir:join "f"))))
    assert.equal("EBUSY", (refused(fs.rename(dir:join "d", dir:join "d/.."))))
    assert.truthy(fs.stat(dir:join "d/e"))
  end)

  it("never follows a link out of the tree", function()
    local dir <close> = tempdir()
    assert(fs.mkdir(dir:join "keep"))
    assert(fs.write(dir:join "keep/f", "kept"))
    assert(fs.mkdir(dir:join "tree"))
    link("../keep", dir:join "tree/l")
    link("../keep/f", dir:join "tree/m")
    link("tree", dir:join "top")
    assert(fs.remove(dir:join "tree", { tree = true }))
    assert.equal("kept", fs.read(dir:join "keep/f"))
    assert(fs.remove(dir:join "top", { tree = true }))
    assert.same({ "keep" }, fs.list(dir.path))
  end)

  it("stops at a depth, with an error", function()
    local dir <close> = tempdir()
    local r = assert(mw.process.run {
      "sh", "-c", [[cd "$1"; i=0; while [ $i -lt 300 ]; do mkdir d && cd d || exit 1; i=$((i+1)); done]], "sh", dir.path,
    })
    assert.equal(0, r.code, r.stderr)
    assert.equal("ELIMIT", (refused(fs.remove(dir:join "d", { tree = true }))))
    assert.equal(0, assert(mw.process.run { "rm", "-r", dir:join "d" }).code)
  end)

  it("wins nothing for who swaps directories for links meanwhile", function()
    local dir <close> = tempdir()
    assert(fs.mkdir(dir:join "keep"))
    for i = 1, 20 do assert(fs.write(dir:join("keep/" .. i), "kept")) end
    for _ = 1, 20 do
      for i = 1, 10 do
        assert(fs.mkdir(dir:join("tree/" .. i .. "/x"), { parents = true }))
        assert(fs.write(dir:join("tree/" .. i .. "/x/f"), ""))
      end
      local swapped = 0
      mw.task.all(function()
        fs.remove(dir:join "tree", { tree = true })
      end, function()
        for i = 1, 10 do
          if fs.rename(dir:join("tree/" .. i), dir:join "aside") then
            if mw.process.run { "ln", "-s", dir:join "keep", dir:join("tree/" .. i) }.code == 0 then swapped = swapped + 1 end
            fs.remove(dir:join "aside", { tree = true })
            break
          end
        end
      end)
      fs.remove(dir:join "tree", { tree = true })
    end
    assert.equal(20, #fs.list(dir:join "keep"))
  end)
end)

describe("a temporary directory", function()
  it("is private, and goes with all that is in it", function()
    local path
    do
      local dir <close> = tempdir()
      path = dir.path
      assert.equal(tonumber("700", 8), fs.stat(path).mode)
      assert.equal(path, tostring(dir))
      assert(fs.mkdir(dir:join "a/b", { parents = true }))
      assert(fs.write(dir:join "a/b/c", "x"))
    end
    assert.is_nil((fs.stat(path)))
  end)

  it("closes more than once, and takes a prefix that is a plain name", function()
    local dir = assert(fs.tempdir { prefix = "mine-" })
    assert.truthy(dir.path:find("/mine%-%x+$"))
    assert.is_true(dir:close())
    assert.is_true(dir:close())
    assert.equal("EINVAL", (raised(fs.tempdir, { prefix = "a/b" })))
    assert.equal("EINVAL", (raised(fs.tempdir, { prefix = ".." })))
  end)

  it("goes when its task is cancelled", function()
    local path
    local ready = mw.task.event()
    local t = mw.task.spawn(function()
      local dir <close> = tempdir()
      path = dir.path
      assert(fs.write(dir:join "f", "x"))
      ready:set()
      mw.task.wait()
    end)
    ready:wait()
    t:cancel("enough")
    pcall(t.join, t)
    assert.is_nil((fs.stat(path)))
  end)

  it("goes with a warning when it is collected, and silently with the host", function()
    local r = child([[
      do
        local dir = fs.tempdir()
        path = dir.path
        fs.write(path .. "/f", "x")
      end
      collectgarbage() collectgarbage()
      print(fs.stat(path))
      kept = fs.tempdir()
      fs.write(kept.path .. "/f", "x")
      print(kept.path)]], "-A")
    assert.equal(0, r.code)
    assert.truthy(r.stdout:find("^nil\t"))
    local kept = r.stdout:match("(/[^\n]*)\n$")
    assert.is_nil((fs.stat(kept)))
    local _, warnings = r.stderr:gsub("never closed", "")
    assert.equal(1, warnings)
    assert.truthy(r.stderr:find("eval:4", 1, true), r.stderr)
  end)

  it("leaves alone what a script put in its place", function()
    local dir <close> = tempdir()
    local inner = assert(fs.tempdir())
    assert(fs.rename(inner.path, dir:join "moved"))
    assert(fs.mkdir(inner.path))
    assert(fs.write(inner.path .. "/f", "mine"))
    assert(inner:close())
    assert.equal("mine", fs.read(inner.path .. "/f"))
    assert(fs.remove(inner.path, { tree = true }))
  end)

  it("stands below TMPDIR", function()
    local dir <close> = tempdir()
    local r = assert(mw.process.run {
      program, "eval", "--allow-write=" .. dir.path, "print(require 'moonwire'.fs.tempdir().path)",
      env = { TMPDIR = dir.path }, timeout = 60,
    })
    assert.equal(dir.path, r.stdout:match("^(.*)/moonwire%-%x+\n$"), r.stderr)
  end)
end)
