--- Files when memory or the system fails at one place: a clean error or success, nothing left behind, nothing hangs.
local mw = require "moonwire"
local fs = mw.fs

local program = assert(mw.env.MOONWIRE, "MOONWIRE names the program under test")

local SCRIPT = [[
local mw = require "moonwire"
local fs = mw.fs
local dir <close> = assert(fs.tempdir())
assert(fs.write(dir:join "a", "one\ntwo\nthree"))
assert(fs.read(dir:join "a"))
local f <close> = assert(fs.open(dir:join "b", "w"))
assert(f:write(("x"):rep(70000)))
assert(f:write("y"):flush())
f:close()
local g <close> = assert(fs.open(dir:join "b"))
assert(#g:read("a") == 70001)
assert(fs.mkdir(dir:join "x/y/z", { parents = true }))
assert(#fs.list(dir.path, { types = true }) == 3)
assert(fs.remove(dir:join "x", { tree = true }))
local watch <close> = fs.watch(dir.path)
assert(fs.rename(dir:join "a", dir:join "c"))
assert(watch().what == "renamed")
local tail <close> = fs.tail(dir:join "c", { from = "start" })
assert(tail() == "one")
local handler <close> = mw.on_signal("USR1", print)
mw.log.info("x", { a = 1, b = { 1 } })
local _ = mw.env.HOME, mw.sys.hostname(), mw.sys.network_interfaces(), mw.random.bytes(3)
]]

--- Runs the script with TMPDIR in `dir`; nothing may be left there, whatever happened.
local function try(dir, path, before, env)
  env.TMPDIR = dir.path
  local argv = { timeout = 60, env = env }
  table.move(before, 1, #before, 1, argv)
  table.move({ program, "run", "-A", path }, 1, 4, #argv + 1, argv)
  local r = assert(mw.process.run(argv))
  local what = table.concat(before, " ") .. " " .. (env.MOONWIRE_FAIL_ALLOC or "")
  assert.is_nil(r.signal, what .. ": " .. r.stderr)
  assert.is_true(r.code == 0 or r.code == 1, what .. ": " .. r.stderr)
  if r.code == 1 then assert.is_true(#r.stderr > 0, what) end
  assert.same({ "script" }, fs.list(dir.path), what)
end

describe("a script that works with files", function()
  it("fails cleanly or succeeds when any one allocation fails", function()
    local dir <close> = assert(fs.tempdir())
    assert(fs.write(dir:join "script", SCRIPT))
    local build = assert(mw.process.run { program, "eval", "print(1)", env = { MOONWIRE_FAIL_ALLOC = "1" }, timeout = 60 })
    if build.code == 0 then pending("a release build fails no allocation") return end
    for n = 1, 3600, 61 do try(dir, dir:join "script", {}, { MOONWIRE_FAIL_ALLOC = tostring(n) }) end
  end)
end)
