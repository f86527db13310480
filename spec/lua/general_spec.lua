--- The general part: clocks, random bytes, the platform, facts about the machine, raising errors, leaving.
local mw = require "moonwire"

local program = assert(mw.env.MOONWIRE, "MOONWIRE names the program under test")

--- Runs code in a program of its own with the given rights.
local function child(code, ...)
  local argv = { program, "eval", "--no-prompt", ... }
  argv[#argv + 1] = code
  argv.timeout = 60
  return assert(mw.process.run(argv))
end

describe("time", function()
  it("is monotonic with now and the calendar's with wall, both in seconds", function()
    local a = mw.time.now()
    local b = mw.time.now()
    assert.equal("float", math.type(a))
    assert.is_true(b >= a)
    assert.is_true(math.abs(mw.time.wall() - os.time()) < 5)
  end)
end)

describe("random bytes", function()
  it("come in any number up to a bound, and differ", function()
    assert.equal("", mw.random.bytes(0))
    assert.equal(16, #mw.random.bytes(16))
    assert.equal(1 << 20, #mw.random.bytes(1 << 20))
    assert.equal(2048, #mw.random.bytes "2KiB")
    assert.are_not.equal(mw.random.bytes(16), mw.random.bytes(16))
  end)

  it("refuse what is no count", function()
    for _, bad in ipairs { -1, (1 << 20) + 1, 1.5, "x", {} } do
      local ok, err = pcall(mw.random.bytes, bad)
      assert.is_false(ok)
      assert.equal("EINVAL", err.code)
    end
  end)
end)

describe("the platform", function()
  it("is named", function()
    assert.equal("linux", mw.platform.os)
    assert.is_truthy(({ x86_64 = true, aarch64 = true, unknown = true })[mw.platform.arch])
  end)
end)

describe("fail", function()
  it("raises an error object with a code, a message and data", function()
    local ok, err = pcall(mw.fail, "EPARSE", "no number", { line = 3 })
    assert.is_false(ok)
    assert.equal("EPARSE", err.code)
    assert.equal(3, err.data.line)
    assert.truthy(tostring(err):find("no number", 1, true))
  end)

  it("refuses what is no code", function()
    local ok, err = pcall(mw.fail, 12, "x")
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
  end)
end)

describe("facts about the machine", function()
  it("are given one by one", function()
    assert.is_true(#mw.sys.hostname() > 0)
    assert.is_true(#mw.sys.os_release() > 0)
    assert.is_true(mw.sys.cpus() >= 1)
    assert.equal("integer", math.type(mw.sys.uid()))
    assert.equal("integer", math.type(mw.sys.gid()))
    assert.is_true(mw.sys.pid() > 1)
    assert.is_true(#mw.sys.homedir() > 0)
    local one, five, fifteen = mw.sys.loadavg()
    assert.is_true(one >= 0 and five >= 0 and fifteen >= 0)
    local memory = mw.sys.memory()
    assert.is_true(memory.total >= memory.available and memory.available > 0)
    for _, it in ipairs(mw.sys.network_interfaces()) do
      assert.is_true(#it.name > 0 and #it.address > 0)
      assert.is_truthy(({ ipv4 = true, ipv6 = true })[it.family])
    end
  end)

  it("each need their own right, and say which", function()
    local kinds = {
      hostname = "hostname", os_release = "osRelease", loadavg = "loadavg", cpus = "cpus", memory = "memory", pid = "pid",
      network_interfaces = "networkInterfaces", uid = "uid", gid = "gid", homedir = "homedir",
    }
    local r = child [[
      local sys = require "moonwire".sys
      for name, f in pairs(sys) do
        local ok, err = pcall(f)
        print(name, ok, err.code, tostring(err):match("%-%-allow%-sys=%w+"))
      end]]
    local seen = 0
    for name, ok, code, flag in r.stdout:gmatch("(%S+)\t(%S+)\t(%S+)\t(%S+)\n") do
      assert.equal("false", ok)
      assert.equal("EDENIED", code)
      assert.equal("--allow-sys=" .. kinds[name], flag)
      seen = seen + 1
    end
    assert.equal(10, seen, r.stderr)
  end)

  it("are granted one by one", function()
    local r = child([[
      local sys = require "moonwire".sys
      print(sys.cpus() > 0, pcall(sys.uid))]], "--allow-sys=cpus")
    assert.truthy(r.stdout:find("^true\tfalse\t"), r.stderr)
  end)
end)

describe("exit", function()
  it("ends with the code that it was given", function()
    assert.equal(7, child([[require "moonwire".exit(7)]]).code)
    assert.equal(0, child([[require "moonwire".exit()]]).code)
    assert.equal(1, child([[require "moonwire".exit(false)]]).code)
    assert.equal(0, child([[require "moonwire".exit(true)]]).code)
  end)

  it("runs the cleanup of every task, and goes no further", function()
    local r = child [[
      local mw = require "moonwire"
      local function closing(name) return setmetatable({}, { __close = function() print("closed " .. name) end }) end
      local ready = mw.task.event()
      mw.task.spawn(function()
        local c <close> = closing "task"
        ready:set()
        mw.task.wait()
      end)
      ready:wait()
      local c <close> = closing "main"
      mw.exit(3)
      print("never")]]
    assert.equal(3, r.code)
    assert.truthy(r.stdout:find("closed task", 1, true))
    assert.truthy(r.stdout:find("closed main", 1, true))
    assert.falsy(r.stdout:find("never", 1, true))
    assert.equal("", r.stderr)
  end)

  it("is raised again at the next wait by whoever swallows it", function()
    local r = child [[
      local mw = require "moonwire"
      pcall(mw.exit, 4)
      pcall(mw.task.sleep, 60)
      mw.task.sleep(60)]]
    assert.equal(4, r.code)
  end)

  it("refuses what is no status", function()
    for _, bad in ipairs { "256", "-1", "'x'", "1.5" } do
      local r = child(("print(select(2, pcall(require 'moonwire'.exit, %s)).code)"):format(bad))
      assert.equal("EINVAL\n", r.stdout)
      assert.equal(0, r.code)
    end
  end)
end)
