--- mw.env: the environment, as far as the rights go.
local mw = require "moonwire"

local program = assert(mw.env.MOONWIRE, "MOONWIRE names the program under test")

local function child(code, ...)
  local argv = { program, "eval", "--no-prompt", ... }
  argv[#argv + 1] = code
  argv.timeout, argv.clear_env = 60, true
  argv.env = { ONE = "1", TWO = "2", EMPTY = "", APP_A = "a", APP_B = "b", SECRET = "s" }
  return assert(mw.process.run(argv))
end

describe("the environment", function()
  it("gives a variable with a right, and nil when it is unset", function()
    local r = child([[local env = require "moonwire".env; print(env.ONE, env.EMPTY, env.NOT_THERE)]], "--allow-env")
    assert.equal("1\t\tnil\n", r.stdout)
  end)

  it("raises for a variable without a right, and names the flag", function()
    local r = child([[print(pcall(function() return require "moonwire".env.SECRET end))]], "--allow-env=ONE")
    assert.truthy(r.stdout:find("denied", 1, true))
    assert.truthy(r.stdout:find("--allow-env=SECRET", 1, true))
    assert.falsy(r.stdout:find("\ts\n", 1, true))
  end)

  it("says the same of a variable that is not there", function()
    local r = child [[
      local env = require "moonwire".env
      local function text(name) return (tostring(select(2, pcall(function() return env[name] end))):gsub(name, "NAME")) end
      print(text "SECRET" == text "NOWHERE", select(2, pcall(function() return env.NOWHERE end)).code)]]
    assert.equal("true\tEDENIED\n", r.stdout)
  end)

  it("exits with 77 when a denial is not caught", function()
    assert.equal(77, child([[return require "moonwire".env.SECRET]]).code)
  end)

  it("gives the default for unset and for denied", function()
    local r = child([[
      local get = require "moonwire".env.get
      print(get("ONE", "x"), get("NOT_THERE", "x"), get("SECRET", "x"), get("SECRET"), get("EMPTY", "x"))]],
      "--allow-env=ONE,NOT_THERE,EMPTY")
    assert.equal("1\tx\tx\tnil\t\n", r.stdout)
  end)

  it("shows in pairs what is granted, and no more", function()
    local r = child([[
      local names = {}
      for k, v in pairs(require "moonwire".env) do names[#names + 1] = k .. "=" .. v end
      table.sort(names)
      print(table.concat(names, " "))]], "--allow-env=ONE,APP_*")
    assert.equal("APP_A=a APP_B=b ONE=1\n", r.stdout)
  end)

  it("cannot be changed, nor asked for what is no name", function()
    local r = child([[
      local env = require "moonwire".env
      print(select(2, pcall(function() env.ONE = "2" end)).code)
      for _, bad in ipairs { "a\0b", 12, {}, true } do print(select(2, pcall(function() return env[bad] end)).code) end]], "-A")
    assert.equal(("EINVAL\n"):rep(5), r.stdout)
  end)
end)
