-- The module for plain Lua: lua5.4 runs scripts that `require "moonwire"` and call mw.main.
local mw = require "moonwire"
local process, fs = mw.process, mw.fs
local build = (os.getenv("MOONWIRE") or "moonwire"):match("^(.*)/") or "build/dev"

local dir

--- Runs `text` in lua5.4, beside other files; its result.
local function lua(text, files, options)
  assert(fs.write(dir.path .. "/main.lua", text))
  for name, content in pairs(files or {}) do assert(fs.write(dir.path .. "/" .. name, content)) end
  local command = { "lua5.4", dir.path .. "/main.lua", timeout = 30, env = { LUA_CPATH = build .. "/lua/?.so;;", LUA_INIT = false } }
  for name, value in pairs(options or {}) do command[name] = value end
  return assert(process.run(command))
end

--- The same of one that must end well and quietly: what it printed.
local function printed(text, files)
  local r = lua("local mw = require 'moonwire'\n" .. text, files)
  assert.equal("", r.stderr)
  assert.equal(0, r.code)
  return r.stdout
end

describe("plain Lua with the module", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("runs a function with its arguments and gives what it returns, one run after the other", function()
    assert.equal("3\tnil\tx\n0\n5\n", printed [[
      print(mw.main(function(a, b) mw.task.sleep(0.001) return a + b, nil, "x" end, 1, 2))
      print(select("#", mw.main(function() end)))
      print(mw.main(function() return 5 end))]])
  end)

  it("says that what waits belongs into mw.main, and does without it what does not wait", function()
    assert.equal("[1,2]\tEINVAL\tcannot wait here: call it inside mw.main(function() ... end)\n", printed [[
      local ok, err = pcall(mw.task.sleep, 1)
      print(mw.json.encode { 1, 2 }, err.code, err.message)]])
  end)

  it("does not run inside itself", function()
    assert.matches("^EINVAL\tit is running already", printed [[
      local ok, err = mw.main(pcall, mw.main, print)
      print(err.code, err.message)]])
  end)

  it("raises what the function raised, as it was, where somebody catches it", function()
    assert.equal("true\tfalse\tboom\ttrue\tnil\n", printed [[
      local thing = {}
      local _, value = pcall(mw.main, function() error(thing) end)
      local ok, text = pcall(mw.main, function() error("boom", 0) end)
      print(value == thing, ok, text, pcall(mw.main, function() error() end) == false, select(2, pcall(mw.main, function() error() end)))]])
  end)

  it("shows where in the task it failed when nobody does", function()
    local r = lua "local mw = require 'moonwire'\nlocal function inner()\n  error('boom')\nend\nmw.main(function() inner() end)"
    assert.equal(1, r.code)
    assert.matches("main.lua:3: boom\nstack traceback:\n.-main.lua:3: in .-inner", r.stderr)
    assert.matches("main.lua:5: in main chunk", r.stderr)
  end)

  it("suspends a task, and not the generator that a script has made, before or after it got the module", function()
    assert.equal("1\t2\t3\n", printed [[
      local function each() for i = 1, 3 do mw.task.sleep(0.001) coroutine.yield(i) end end
      local early = coroutine.create(each)
      print(mw.main(function()
        local late, got = coroutine.wrap(each), {}
        local _, first = coroutine.resume(early)
        got[1] = first
        late()
        for v in late do got[#got + 1] = v end
        return table.unpack(got)
      end))]])
  end)

  it("is refused in words by another Lua", function()
    local r = process.run { "lua5.1", "-e", ("package.cpath = '%s/lua/?.so'; require 'moonwire'"):format(build), timeout = 10 }
    if not r then return pending("there is no lua5.1 here") end
    assert.equal(1, r.code)
    assert.matches("moonwire needs Lua 5.4", r.stderr)
  end)
end)
