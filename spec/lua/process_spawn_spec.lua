-- mw.process.spawn: a program that one talks to; its streams, its signals, its terminal, its end.
local mw = require "moonwire"
local process, task, fs = mw.process, mw.task, mw.fs
local program = os.getenv("MOONWIRE") or "moonwire"

local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

--- The fallback, uv_spawn, gives no controlling terminal (and no resource usage, by which we know it).
local ours = assert(process.run { "true" }).rusage ~= nil

describe("a spawned program", function()
  it("answers what is written to it", function()
    local child <close> = assert(process.spawn { "cat", stdin = "pipe", stdout = "pipe" })
    for i = 1, 100 do
      assert(child.stdin:write("line ", i, "\n"))
      assert.equal("line " .. i, child.stdout:read "l")
    end
    child.stdin:close()
    assert.is_nil(child.stdout:read "l")
    local r = assert(child:wait())
    assert.equal(0, r.code)
    assert.equal(child.pid, r.pid)
    assert.is_nil(r.stdout)
    assert.is_false(child:running())
  end)

  it("takes no option that only a run to the end could keep", function()
    for _, option in ipairs { "check", "tee" } do
      local err = raised(process.spawn, { "true", [option] = true })
      assert.equal("EINVAL", err.code)
      assert.truthy(err.message:find(option, 1, true), err.message)
    end
  end)

  it("is one stream for both directions when asked for", function()
    local child <close> = assert(process.spawn { "cat", stdin = "pipe", stdout = "pipe" })
    assert(child.stdin:write "first\n")
    assert.equal("first", child.stdout:read "l")
    for _, word in ipairs { "a", "b", "c" } do assert(child.stdin:write(word)) end -- what is gathered goes first
    local both = assert(child:stream())
    assert.equal(both, child:stream())
    assert(both:write "second\n")
    assert.equal("abcsecond", both:read "l")
    assert(both:finish())
    assert.equal("", both:read "a")
    assert.equal(0, child:wait().code)
    local lonely <close> = assert(process.spawn { "sleep", "1000" })
    assert.equal("EINVAL", raised(lonely.stream, lonely).code)
  end)

  it("keeps its errors apart", function()
    local child <close> = assert(process.spawn { "sh", "-c", "echo a; echo b >&2", stdout = "pipe", stderr = "pipe" })
    assert.equal("b\n", child.stderr:read "a")
    assert.equal("a\n", child.stdout:read "a")
  end)

  it("is waited for by several tasks, in time or not", function()
    local child <close> = assert(process.spawn { "sh", "-c", "read x; exit 4", stdin = "pipe" })
    local r, err = child:wait { timeout = 0.01 }
    assert.is_nil(r)
    assert.equal("ETIMEDOUT", err.code)
    assert.is_true(child:running())
    local codes = {}
    task.scope(function(s)
      for i = 1, 3 do s:spawn(function() codes[i] = child:wait().code end) end
      child.stdin:close()
    end)
    assert.same({ 4, 4, 4 }, codes)
    assert.equal(4, child:wait().code)
  end)

  it("takes signals, by name or number, with its whole group", function()
    local child <close> = assert(process.spawn {
      "sh", "-c", "trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.01; done", stdout = "pipe", stderr = "null",
    })
    assert.equal("ready", child.stdout:read "l")
    assert.is_true(child:kill "USR1")
    assert.equal("got", child.stdout:read "l")
    assert.equal(5, child:wait().code)
    assert.equal("ESRCH", select(2, child:kill()).code)
    local other <close> = assert(process.spawn { "sh", "-c", "sleep 1000 & sleep 1000 & wait", stdout = "pipe" })
    assert.is_true(other:kill(9))
    assert.equal("", other.stdout:read "a") -- all three let go of it
    assert.equal("KILL", other:wait().signal)
    assert.equal("EINVAL", raised(other.kill, other, "NOPE").code)
  end)

  it("takes a signal by its other names, and says which there are", function()
    local child <close> = assert(process.spawn { "sleep", "1000" })
    assert.equal('there is no signal "term"; did you mean "TERM"?', raised(child.kill, child, "term").message)
    assert.truthy(raised(child.kill, child, "GONE").message:find('there is no signal "GONE"; there are: HUP INT ', 1, true))
    local text = raised(process.run, { "true", kill_signal = "SIGkill" }).message
    assert.truthy(text:find('option "kill_signal": there is no signal "SIGkill"; did you mean "KILL"?', 1, true), text)
    assert.is_true(child:kill "SIGIOT")
    assert.equal("ABRT", child:wait().signal)
  end)

  it("is ended with its group when it is closed", function()
    local child = assert(process.spawn {
      "sh", "-c", "trap '' TERM; sleep 1000 & echo ready; wait; sleep 1000", stdout = "pipe", kill_after = "50ms",
    })
    assert.equal("ready", child.stdout:read "l")
    child:close()
    child:close()
    assert.equal("KILL", child:wait().signal)
    assert.equal("ECLOSED", select(2, child.stdout:read "l").code)
  end)

  it("is ended when its timeout has passed", function()
    local child <close> = assert(process.spawn { "sleep", "1000", timeout = "50ms" })
    local r = child:wait()
    assert.is_true(r.timed_out)
    assert.equal("TERM", r.signal)
    local other <close> = assert(process.spawn { "sleep", "1000", timeout = "50ms", kill_signal = "INT" })
    assert.equal("INT", other:wait().signal)
  end)

  it("is ended by the task that was cancelled while it ran", function()
    local r, err = task.timeout(0.05, function() return process.run { "sh", "-c", "echo $$ > /dev/null; sleep 1000" } end)
    assert.is_nil(r)
    assert.equal("ETIMEDOUT", err.code)
  end)

  it("is told of in a warning when it is forgotten", function()
    local r = assert(process.run { program, "eval", "-A", [[
      local mw = require "moonwire"
      do mw.process.spawn { "sleep", "1000" } end
      collectgarbage() collectgarbage()
    ]] })
    assert.truthy(r.stderr:find("never closed", 1, true), r.stderr)
  end)

  it("that was waited for is no cause for warnings, and neither are its streams", function()
    local r = assert(process.run { program, "eval", "-A", [[
      local mw = require "moonwire"
      do
        local c = mw.process.spawn { "cat", stdin = "pipe", stdout = "pipe" }
        c.stdin:finish()
        c:wait()
      end
      collectgarbage() collectgarbage()
    ]] })
    assert.equal("", r.stderr)
  end)

  it("fed from another's output does not see that ours was non-blocking", function()
    local first <close> = assert(process.spawn { "sh", "-c", "sleep 0.1; echo passed on", stdout = "pipe" })
    assert.equal("passed on\n", assert(process.run { "cat", stdin = first.stdout }).stdout)
    local second <close> = assert(process.spawn { "sh", "-c", "printf 'a\\nb\\n'", stdout = "pipe" })
    assert.equal("a", second.stdout:read "l")
    assert.equal("EINVAL", raised(process.run, { "cat", stdin = second.stdout }).code) -- "b" was read ahead
    first.stdout:close()
    assert.equal("EINVAL", raised(process.run, { "cat", stdin = first.stdout }).code)
  end)

  it("writes to a socket that it was given", function()
    local dir <close> = assert(fs.tempdir())
    local srv <close> = assert(mw.net.listen("unix:" .. dir.path .. "/s"))
    local near <close> = assert(mw.net.connect("unix:" .. dir.path .. "/s"))
    local theirs = assert(srv:accept())
    local child <close> = assert(process.spawn { "sh", "-c", "read x; echo got $x", stdin = theirs, stdout = theirs })
    assert(near:write "this\n")
    assert.equal("got this", near:read "l")
    assert.is_nil(near:read "l")
    assert.equal("ECLOSED", select(2, theirs:write "x").code)
    assert.equal(0, child:wait().code)
  end)
end)

describe("a terminal of its own", function()
  it("is what the program sees, in the size asked for", function()
    local r = assert(process.run { "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && stty size", pty = { rows = 40, cols = 100 } })
    assert.equal("40 100\r\n", r.stdout)
    assert.equal(0, r.code)
  end)

  it("is a stream to talk to, and can change its size", function()
    local child <close> = assert(process.spawn { "sh", "-c", "stty -echo; echo ready; read x; echo \"<$x>\"; stty size", pty = true })
    assert.equal("ready\r", child.tty:read "l")
    assert.is_true(child:resize(50, 120))
    assert(child.tty:write "typed\n")
    assert.equal("<typed>\r", child.tty:read "l")
    assert.equal("50 120\r", child.tty:read "l")
    assert.is_nil(child.tty:read "l")
    assert.equal(0, child:wait().code)
    assert.equal("ECLOSED", select(2, assert(process.spawn { "true" }):resize(1, 1)).code)
  end)

  if not ours then return end
  it("lets a child go on after Ctrl-Z where no shell could", function()
    local child <close> = assert(process.spawn { program, "eval", "-A", [[
      local mw = require "moonwire"
      mw.process.run { "sh", "-c", "stty -echo; echo ready; read x; echo \"<$x>\"", stdin = "inherit", stdout = "inherit" }
    ]], pty = true })
    assert.equal("ready\r", child.tty:read "l")
    assert(child.tty:write "\26")
    assert(child.tty:write "typed\n")
    assert.equal("<typed>\r", child.tty:read("l", { timeout = 20 }))
    assert.equal(0, child:wait().code)
  end)

  it("passes to a child that inherits it, and comes back", function()
    local child <close> = assert(process.spawn { program, "eval", "-A", [[
      local mw = require "moonwire"
      for i = 1, 2 do
        local r = mw.process.run { "sh", "-c", "stty -echo; echo ready; read x; echo \"<$x>\"", stdin = "inherit", stdout = "inherit" }
        print(i, r.code)
      end
      local r = mw.process.run {
        "sh", "-c", "trap 'exit 9' INT; echo ready; while :; do sleep 0.01; done", stdin = "inherit", stdout = "inherit",
      }
      print("its own", r.code)
      io.write("us ")
      print(io.read("l"))
      mw.process.run { "no-such-program", stdin = "inherit" }
      print("ours", io.read("l"))
      print("waiting")
      mw.task.wait()
    ]], pty = true })
    for i = 1, 2 do
      assert.equal("ready\r", child.tty:read "l")
      assert(child.tty:write("typed ", i, "\n"))
      assert.equal("<typed " .. i .. ">\r", child.tty:read "l")
      assert.equal(i .. "\t0\r", child.tty:read "l")
    end
    assert.equal("ready\r", child.tty:read "l")
    assert(child.tty:write "\3") -- to the child in the foreground, not to us
    assert.equal("its own\t9\r", (child.tty:read "l":gsub("^%^C", "")))
    assert(child.tty:write "one\ntwo\n")
    assert.equal("us one\r", child.tty:read "l")
    assert.equal("ours\ttwo\r", child.tty:read "l")
    assert.equal("waiting\r", child.tty:read "l")
    assert(child.tty:write "\3")
    assert.equal(130, child:wait().code)
  end)

  it("sends Ctrl-C to the program in it", function()
    local child <close> = assert(process.spawn { "sh", "-c", "trap 'exit 9' INT; echo ready; while :; do sleep 0.01; done", pty = true })
    assert.equal("ready\r", child.tty:read "l")
    assert(child.tty:write "\3")
    assert.equal(9, child:wait().code)
  end)
end)
