--- mw.log: lines for people and machines.
local mw = require "moonwire"

local program = assert(mw.env.MOONWIRE, "MOONWIRE names the program under test")

local function child(code, env)
  return assert(mw.process.run { program, "eval", code, timeout = 60, env = env })
end

--- What the code logs, line by line.
local function logged(code, env)
  local r = child("local mw = require 'moonwire'\nlocal log = mw.log\n" .. code, env)
  assert.equal(0, r.code, r.stderr)
  local lines = {}
  for line in r.stderr:gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
  return lines
end

describe("the log", function()
  it("writes one JSON object a line where nobody looks on", function()
    local lines = logged [[log.info("hello", { port = 80, name = "x y", ok = true })]]
    assert.equal(1, #lines)
    local time, rest = lines[1]:match('^{"time":"([^"]*)",(.*)$')
    assert.truthy(time:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$"))
    assert.equal('"level":"info","text":"hello","name":"x y","ok":true,"port":80}', rest)
  end)

  it("writes key=value on a terminal", function()
    local r = assert(mw.process.run {
      program, "eval", [[require "moonwire".log.warn("hello", { port = 80, name = "x y" })]], pty = true, timeout = 60,
    })
    assert.truthy(r.stdout:match('^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ warn  hello name="x y" port=80\r?\n$'), r.stdout)
  end)

  it("shows info and above unless told otherwise", function()
    local all = [[log.debug("a") log.info("b") log.warn("c") log.error("d")]]
    assert.equal(3, #logged(all, { MOONWIRE_LOG = false }))
    assert.equal(4, #logged(all, { MOONWIRE_LOG = "debug" }))
    assert.equal(1, #logged(all, { MOONWIRE_LOG = "error" }))
    assert.equal(0, #logged(all, { MOONWIRE_LOG = "off" }))
    assert.equal(1, #logged([[print(log.level("error")) ]] .. all))
  end)

  it("orders fields by name", function()
    local lines = logged [[log.info("x", { b = 2, a = 1, d = 4, c = 3, [1] = "one" })]]
    assert.truthy(lines[1]:find('"text":"x","1":"one","a":1,"b":2,"c":3,"d":4}', 1, true), lines[1])
  end)

  it("keeps every line at 4 KiB, and whole JSON", function()
    local lines = logged [[
      log.info(("x"):rep(100000))
      log.info("x", { long = ("y"):rep(100000), z = 1 })
      local many = {}
      for i = 1, 5000 do many["key" .. i] = i end
      log.info("x", many)]]
    assert.equal(3, #lines)
    for _, line in ipairs(lines) do
      assert.is_true(#line < 4096)
      assert.equal(',"cut":true}', line:sub(-12))
    end
  end)

  it("lets no control character through", function()
    local lines = logged [[log.info("a\27[2J\nb", { ["k\n"] = "v\r\0\xff" })]]
    assert.equal(1, #lines)
    assert.truthy(lines[1]:find([["text":"a\u001b[2J\nb","k\n":"v\r\u0000\ufffd"}]], 1, true), lines[1])
  end)

  it("shows tables, errors and numbers that JSON has not", function()
    local lines = logged [[
      local _, err = pcall(mw.fail, "EPARSE", "bad")
      log.info("x", { t = { 1, a = 2 }, err = err, inf = 1 / 0, n = 1.5, i = 3 })]]
    assert.truthy(lines[1]:find('"err":"[^"]*bad"'), lines[1])
    assert.truthy(lines[1]:find('"i":3,"inf":"inf","n":1.5,"t":"{ 1, a = 2 }"}', 1, true), lines[1])
  end)

  it("never hides its own fields behind those of the script", function()
    local lines = logged [[log.info("x", { level = "error", time = 0, text = "y" })]]
    assert.truthy(lines[1]:find('"level":"info","text":"x","level_":"error","text_":"y","time_":0}', 1, true), lines[1])
  end)

  it("gives every line of a logger the fields that it was given, and a line may say otherwise", function()
    local lines = logged [[
      local peer = log.with { peer = "a", n = 1 }
      peer.info("x")
      peer.with({ id = 7 }).warn("y", { n = 2 })
      peer.info("z", {})
      peer.debug("not shown") ]]
    assert.equal(3, #lines)
    assert.truthy(lines[1]:find('"level":"info","text":"x","n":1,"peer":"a"}', 1, true), lines[1])
    assert.truthy(lines[2]:find('"level":"warn","text":"y","id":7,"n":2,"peer":"a"}', 1, true), lines[2])
    assert.truthy(lines[3]:find('"text":"z","n":1,"peer":"a"}', 1, true), lines[3])
    assert.has_error(function() mw.log.with() end)
    assert.has_error(function() mw.log.with("x") end)
  end)

  it("refuses what is no text, and fields that are no table", function()
    for _, args in ipairs { { 12 }, { {} }, { "x", "y" } } do
      local ok, err = pcall(mw.log.info, table.unpack(args))
      assert.is_false(ok)
      assert.equal("EINVAL", err.code)
    end
    assert.has_error(function() mw.log.level("loud") end)
  end)
end)
