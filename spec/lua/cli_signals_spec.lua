--- Ctrl-C and its kin, sent to the program under test (env MOONWIRE). Every wait is for an event: a line, an end.
local mw = require "moonwire"

local program = assert(os.getenv "MOONWIRE", "MOONWIRE names the program under test")
local dir = assert(mw.fs.tempdir())
teardown(function() dir:close() end)

--- Starts a script that prints `ready` once it is where the signal should meet it.
local function start(text, options)
  local path = tostring(dir.path) .. "/script.lua"
  assert(mw.fs.write(path, text))
  local argv = { program, "run", "-A", path, stdin = "null", stdout = "pipe", stderr = "pipe" }
  for key, value in pairs(options or {}) do argv[key] = value end
  local child = assert(mw.process.spawn(argv))
  assert.equal("ready", child.stdout:read "l")
  return child
end

--- What it said until its end, and how it ended.
local function finish(child)
  local out, err = child.stdout:read "a", child.stderr:read "a"
  local result = assert(child:wait { timeout = 60 })
  return result, out or "", err or ""
end

local CLEANING = [[
local mw = require "moonwire"
local _ <close> = setmetatable({}, { __close = function() print "cleaned" end })
]]

describe("the first signal", function()
  for _, case in ipairs { { "INT", 130 }, { "TERM", 143 }, { "HUP", 129 } } do
    it("of " .. case[1] .. " cancels the script, which cleans up and ends with " .. case[2], function()
      local child <close> = start(CLEANING .. "print 'ready' mw.task.sleep(600)")
      child:kill(case[1])
      local result, out, err = finish(child)
      assert.same({ case[2], "cleaned\n", "" }, { result.code, out, err })
    end)
  end

  it("stops Lua code that never yields", function()
    local child <close> = start(CLEANING .. "print 'ready' while true do end")
    child:kill "INT"
    local result, out = finish(child)
    assert.same({ 130, "cleaned\n" }, { result.code, out })
  end)

  it("stops a loop that swallows errors", function()
    local child <close> = start "print 'ready' while true do pcall(function() while true do end end) end"
    child:kill "INT"
    assert.equal(130, finish(child).code)
  end)

  it("reaches every task, and cleanup may wait in a shield", function()
    local child <close> = start(CLEANING .. [[
      for i = 1, 3 do
        mw.task.spawn(function()
          local _ <close> = setmetatable({}, { __close = function()
            mw.task.shield(function() mw.task.sleep(0.01) print("task " .. i) end, { timeout = 60 })
          end })
          mw.task.sleep(600)
        end)
      end
      mw.task.pass()
      print 'ready'
      mw.task.wait()]])
    child:kill "TERM"
    local result, out = finish(child)
    assert.equal(143, result.code)
    for i = 1, 3 do assert.truthy(out:find("task " .. i .. "\n", 1, true), out) end
    assert.truthy(out:find("cleaned\n", 1, true))
  end)

  it("ends the script's children with it", function()
    local child <close> = start [[
      local mw = require "moonwire"
      local c = assert(mw.process.spawn{ "sh", "-c", "echo ready; exec sleep 600" })
      c:wait()]]
    child:kill "INT"
    assert.equal(130, finish(child).code)   -- finish reads to the end of stdout, which the sleep shares
  end)

  it("comes from the keyboard of a terminal, too", function()
    local has = mw.process.run { "sh", "-c", "exec 2>/dev/null 3</dev/tty && echo yes", pty = true, timeout = 60 }
    if not has or has.stdout == "" then return pending "the fallback spawner gives no controlling terminal" end
    local path = tostring(dir.path) .. "/keyboard.lua"
    assert(mw.fs.write(path, CLEANING .. "print 'ready' mw.task.sleep(600)"))
    local child <close> = assert(mw.process.spawn { program, "run", "--timeout=60s", path, pty = true })
    local tty = child:stream()
    assert.equal("ready", (tty:read "l":gsub("\r", "")))
    assert(tty:write "\3")
    assert.truthy(tty:read "l":find("cleaned", 1, true))
    assert.equal(130, child:wait { timeout = 60 }.code)
  end)

  it("is left alone where it was ignored from the start, as nohup does", function()
    local text = 'trap "" HUP; exec "$0" eval "print \'ready\' print(io.read())"'
    local child <close> = start("", { "sh", "-c", text, program, stdin = "pipe" })
    child:kill "HUP"
    assert(child.stdin:write "still here\n")
    local result, out = finish(child)
    assert.same({ 0, "still here\n" }, { result.code, out })
  end)
end)

describe("the second signal", function()
  local HANGING = [[
    local mw = require "moonwire"
    local _ <close> = setmetatable({}, { __close = function()
      print "cleaning"
      mw.task.shield(function() mw.task.sleep(600) end)
    end })
  ]]

  it("ends a script whose cleanup hangs, at once", function()
    local child <close> = start(HANGING .. "print 'ready' mw.task.sleep(600)")
    child:kill "INT"
    assert.equal("cleaning", child.stdout:read "l")
    child:kill "INT"
    local result = finish(child)
    assert.same({ "INT" }, { result.signal })
  end)

  it("may be another one than the first", function()
    local child <close> = start(HANGING .. "print 'ready' mw.task.sleep(600)")
    child:kill "INT"
    assert.equal("cleaning", child.stdout:read "l")
    child:kill "TERM"
    assert.equal("TERM", finish(child).signal)
  end)

  it("takes the children along, even such as ignore signals", function()
    local child <close> = start(HANGING .. [[
      mw.process.spawn{ "sh", "-c", "trap '' INT TERM HUP; echo ready; while :; do sleep 600; done" }
      mw.task.sleep(600)]])
    child:kill "INT"
    assert.equal("cleaning", child.stdout:read "l")
    child:kill "INT"
    assert.equal("INT", finish(child).signal)   -- finish reads to the end of stdout, which those children share
  end)
end)

describe("a timeout", function()
  it("gives cleanup its time and no more", function()
    local path = tostring(dir.path) .. "/late.lua"
    assert(mw.fs.write(path, CLEANING .. "mw.task.sleep(600)"))
    local r = assert(mw.process.run { program, "run", "--timeout=1500ms", path, timeout = 60 })
    assert.same({ 124, "cleaned\n" }, { r.code, r.stdout })
  end)
end)

describe("what was made before the script, and is taken away after it,", function()
  --- The program with a folder of its own for temporary files, told to end as soon as something stands there.
  local function ended_early(signal, argv)
    local tmp <close> = assert(mw.fs.tempdir())
    argv.env, argv.stdout, argv.stderr = { TMPDIR = tmp.path }, "pipe", "pipe"
    local seen = mw.task.event()
    local child
    mw.task.scope(function(scope)
      local watcher = scope:spawn(function()
        local events = mw.fs.watch(tmp.path)
        scope:spawn(function() child = assert(mw.process.spawn(argv)) end)
        for event in events do
          if event.what == "created" then seen:set() break end
        end
      end)
      seen:wait { timeout = 60 }
      child:kill(signal)
      watcher:cancel "seen"
    end)
    local result = finish(child)
    child:close()
    return result, mw.fs.list(tmp.path)
  end

  it("goes when the signal comes while the script is being read", function()
    for _ = 1, 5 do
      local result, left = ended_early("TERM", { program, "run", "--allow-run=cat", "-", stdin = "pipe" })
      assert.same({ 143, {} }, { result.code, left })
    end
  end)

  it("goes when the signal comes while the host is ending", function()
    local path = tostring(dir.path) .. "/ending.lua"
    assert(mw.fs.write(path, "io.stdout:write 'bye\\n'"))
    for _ = 1, 10 do
      local tmp <close> = assert(mw.fs.tempdir())
      local child <close> = assert(mw.process.spawn {
        program, "run", "--allow-run=cat", path, env = { TMPDIR = tmp.path }, stdout = "pipe", stderr = "pipe",
      })
      assert.equal("bye", child.stdout:read "l")
      mw.process.run { "kill", "-INT", tostring(child.pid) } -- and no CONT, as child:kill sends: a search for leaks would wait for ever
      local result = finish(child)
      assert.same({}, mw.fs.list(tmp.path))
      assert.truthy(result.code == 0 or result.code == 130)
    end
  end)
end)
