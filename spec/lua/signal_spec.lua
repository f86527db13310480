--- mw.on_signal: signals that a script asks for.
local mw = require "moonwire"

local program = assert(mw.env.MOONWIRE, "MOONWIRE names the program under test")

--- Starts code that says when it is ready; `steps` get the child and read what it prints.
local function with(code, steps)
  code = "local mw = require 'moonwire'\n" .. code
  local child <close> = assert(mw.process.spawn { program, "eval", code, stdout = "pipe", stderr = "pipe" })
  assert.equal("ready", child.stdout:read("l", { timeout = 30 }))
  steps(child)
  local said = child.stderr:read("a", { timeout = 30 })
  return child:wait { timeout = 30 }, said
end

describe("a signal handler", function()
  it("runs in a task each time the signal comes, and may wait", function()
    local r = with([[
      local n = 0
      local h <close> = mw.on_signal("HUP", function(name)
        mw.task.pass()
        n = n + 1
        print(name, n)
        if n == 2 then mw.exit(5) end
      end)
      print("ready")
      mw.task.wait()]], function(child)
      child:kill("HUP")
      assert.equal("HUP\t1", child.stdout:read("l", { timeout = 30 }))
      child:kill("HUP")
      assert.equal("HUP\t2", child.stdout:read("l", { timeout = 30 }))
    end)
    assert.equal(5, r.code)
  end)

  it("of TERM replaces the end of the script while it is there, and no longer", function()
    local r = with([[
      local h
      h = mw.on_signal("TERM", function() h:close() print("held") end)
      print("ready")
      mw.task.wait()]], function(child)
      child:kill("TERM")
      assert.equal("held", child.stdout:read("l", { timeout = 30 }))
      child:kill("TERM")
    end)
    assert.equal(143, r.code)
  end)

  it("raises its error in the scope that asked for it", function()
    local r, said = with([[
      mw.on_signal("USR1", function() mw.fail("EPARSE", "no good") end)
      print("ready")
      mw.task.wait()]], function(child) child:kill("USR1") end)
    assert.equal(1, r.code)
    assert.truthy(said:find("no good", 1, true), said)
  end)

  it("does not keep a script from ending", function()
    local r = assert(mw.process.run { program, "eval", [[require "moonwire".on_signal("USR1", print)]], timeout = 30 })
    assert.equal(0, r.code)
    assert.equal("", r.stderr)
  end)

  it("closes more than once", function()
    local h = mw.on_signal("USR2", function() end)
    h:close()
    h:close()
  end)

  it("is refused for signals that are not a script's to take, and without a function", function()
    for _, bad in ipairs { "CHLD", "KILL", "SEGV", "PIPE", "nothing", "", "hup", "HUP\0" } do
      local ok, err = pcall(mw.on_signal, bad, function() end)
      assert.is_false(ok)
      assert.equal("EINVAL", err.code, bad)
    end
    local ok, err = pcall(mw.on_signal, "HUP")
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
  end)
end)

describe("the alarm signal", function()
  it("stays the program's: --timeout cannot be taken away by a script", function()
    local ok, err = pcall(mw.on_signal, "ALRM", function() end)
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
  end)
end)
