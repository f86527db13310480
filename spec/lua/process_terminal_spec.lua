-- A child that inherits the terminal: Ctrl-C and Ctrl-Z reach it first, and then this program, as one job of the shell. And questions
-- that are stopped by Ctrl-Z.
local mw = require "moonwire"
local process = mw.process
local program = os.getenv("MOONWIRE") or "moonwire"

--- A shell with job control on a terminal of its own, that runs `commands` with $1, this program, and $2, a script.
local function shell(commands, script)
  local text = "local mw = require 'moonwire'\n" .. script
  return assert(process.spawn { "sh", "-c", "set -m; stty -echo; " .. commands, "sh", program, text, pty = true })
end

--- Reads up to `text`.
local function expect(child, text)
  local got, err = child.stdout:read_until(text, { timeout = 30 })
  assert(got, ("no %q: %s"):format(text, tostring(err)))
  return got
end

describe("a child on our terminal", function()
  local has = process.run { "sh", "-c", "exec 2>/dev/null 3</dev/tty && echo yes", pty = true, timeout = 60 }
  if not has or has.stdout == "" then
    return pending "the fallback spawner gives no controlling terminal"
  end

  local cat = [[
    print "started"
    local r = assert(mw.process.run { "cat", stdin = "inherit", stdout = "inherit" })
    print("cat ended", r.code)
    print("line", io.read "l")
  ]]

  it("is stopped by Ctrl-Z together with this program, and goes on with it", function()
    local child <close> = shell("$1 eval -A \"$2\"; echo stopped; fg; echo over $?", cat)
    expect(child, "started\r\n")
    assert(child.stdin:write("one\n"))
    expect(child, "one\r\n")
    assert(child.stdin:write("\26"))
    expect(child, "stopped\r\n")
    assert(child.stdin:write("two\n"))
    expect(child, "two\r\n")
    assert(child.stdin:write("\4"))
    expect(child, "cat ended\t0\r\n")
    assert(child.stdin:write("three\n"))
    expect(child, "line\tthree\r\n")
    expect(child, "over 0\r\n")
  end)

  it("waits in the background for the terminal, and gets it with the foreground", function()
    local child <close> = shell("$1 eval -A \"$2\" & wait; echo waiting; fg; echo over $?", cat)
    expect(child, "waiting\r\n")
    assert(child.stdin:write("one\n"))
    expect(child, "one\r\n")
    assert(child.stdin:write("\4"))
    expect(child, "cat ended\t0\r\n")
    assert(child.stdin:write("two\n"))
    expect(child, "over 0\r\n")
  end)

  it("takes this program along when Ctrl-C ends it", function()
    local child <close> = shell("trap '' TTOU; $1 eval -A \"$2\"; echo over $?", [[
      local closing <close> = setmetatable({}, { __close = function() print "cleaned" end })
      mw.process.run { "sh", "-c", "echo ready; exec cat", stdin = "inherit", stdout = "inherit" }
      mw.task.wait()
    ]])
    expect(child, "ready\r\n")
    assert(child.stdin:write("\3"))
    expect(child, "cleaned\r\n")
    expect(child, "over 130\r\n")
  end)

  it("that was killed leaves the terminal as it was; one that ended well, as it likes", function()
    local child <close> = shell("f=$(mktemp); stty -a >$f; $1 eval -A \"$2\"; echo over $?; stty -a | cmp - $f "
      .. "&& echo same; rm $f; $1 eval -A \"mw.process.run{'stty', '-opost', stdin = 'inherit'}\" >/dev/null; stty -a", [[
      local r = mw.process.run { "sh", "-c", "stty raw; kill -KILL $$", stdin = "inherit" }
      print("signal", r.signal)
    ]])
    expect(child, "signal\tKILL\r\n")
    expect(child, "over 0\r\n")
    expect(child, "same\r\n")
    expect(child, "-opost")
  end)

  it("does not when it lives through Ctrl-C, or when we sent INT ourselves", function()
    local child <close> = shell("$1 eval -A \"$2\"; echo over $?", [[
      local r = mw.process.run { "sh", "-c", "trap 'exit 7' INT; echo ready; read x", stdin = "inherit", stdout = "inherit" }
      print("code", r.code)
      local sleep <close> = mw.process.spawn { "sleep", "1000", stdin = "inherit" }
      sleep:kill "INT"
      print("signal", sleep:wait().signal)
    ]])
    expect(child, "ready\r\n")
    assert(child.stdin:write("\3"))
    expect(child, "code\t7\r\n")
    expect(child, "signal\tINT\r\n")
    expect(child, "over 0\r\n")
  end)
end)

describe("a question about a right", function()
  local has = process.run { "sh", "-c", "exec 2>/dev/null 3</dev/tty && echo yes", pty = true, timeout = 60 }
  if not has or has.stdout == "" then
    return pending "the fallback spawner gives no controlling terminal"
  end

  local asks = "print(#mw.fs.read '/etc/hostname' > 0)"
  for command, how in pairs { eval = "eval \"$2\"", repl = "repl" } do
    it("is stopped by Ctrl-Z, waits in the background, and is asked anew in the foreground: " .. command, function()
      local child <close> = shell("trap '' TTOU; $1 " .. how .. "; echo stopped; bg; wait; echo waits; fg; echo over $?", asks)
      if command == "repl" then
        expect(child, "> ")
        assert(child.stdin:write(asks .. "\r"))
      end
      expect(child, "n no: ")
      assert(child.stdin:write("\26"))
      expect(child, "stopped\r\n")
      expect(child, "waits\r\n")
      expect(child, "n no: ")
      assert(child.stdin:write("y\n"))
      expect(child, "true\r\n")
      if command == "repl" then
        expect(child, "> ")
        assert(child.stdin:write("\4"))
      end
      expect(child, "over 0\r\n")
    end)
  end
end)
