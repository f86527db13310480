--- `moonwire attach` as a person and a script use it: from a pipe, and on a terminal.
--- Knows: the program under test; what it attaches to is a script of that program with --debug. Never: sleeps.
local mw = require "moonwire"
local Screen = require "spec.support.screen"
local process = mw.process
local program = os.getenv("MOONWIRE") or "moonwire"

local CTRL_C, CTRL_D, CTRL_Z = "\3", "\4", "\26"

local dir, url, host

--- A script with an endpoint, which lives until its standard input ends.
local function run(text, flags)
  mw.fs.write(dir.path .. "/app.lua", text .. "\nprint('ready') io.read('a')")
  local argv = { program, "run", "--debug=" .. url, stdin = "pipe", stdout = "pipe", stderr = "null" }
  for _, flag in ipairs(flags or {}) do argv[#argv + 1] = flag end
  argv[#argv + 1] = dir.path .. "/app.lua"
  host = assert(process.spawn(argv))
  assert.equal("ready", host.stdout:read("l"))
end

local function pipe(input)
  return assert(process.run{ program, "attach", url, stdin = input, timeout = 60 })
end

local function attach()
  local screen = Screen.start{ program, "attach", url, env = { TERM = "xterm", HOME = dir.path, NO_COLOR = "1" } }
  screen:expect "attached to"
  screen:expect_line "> "
  return screen
end

describe("moonwire attach", function()
  before_each(function()
    dir = assert(mw.fs.tempdir())
    url = "unix:" .. dir.path .. "/debug.sock"
  end)
  after_each(function()
    if host then host:close() end
    host = nil
    dir:close()
  end)

  describe("from a pipe", function()
    it("prints what the lines give, in the running script, and nothing else", function()
      run "counter = 41"
      local r = pipe "return counter + 1\n"
      assert.equal("42\n", r.stdout)
      assert.equal("", r.stderr)
      assert.equal(0, r.code)
      r = pipe "counter = 'set'\nprint('to the peer')\nfor i = 1, 2 do\n  print(i)\nend\ncounter"
      assert.equal('to the peer\n1\n2\n"set"\n', r.stdout)
    end)

    it("ends as the last line did: errors on standard error, 77 where a right was missing", function()
      run ""
      local r = pipe "error('boom')\n"
      assert.equal(1, r.code)
      assert.matches("boom", r.stderr)
      assert.equal("", r.stdout)
      r = pipe "error('boom')\n1\n"
      assert.equal(0, r.code)
      r = pipe "io.open('/etc/passwd')\n"
      assert.equal(77, r.code)
      assert.matches("denied", r.stderr)
      assert.equal(4, pipe(".exit 4\n").code)
      assert.equal(0, pipe("").code)
    end)

    it("says what is in the way of a connection", function()
      local r = pipe "1"
      assert.equal(1, r.code)
      assert.matches("^moonwire: net connect unix:[^\n]*no such file[^\n]*%-%-debug[^\n]*\n$", r.stderr)
      r = assert(process.run{ program, "attach", "tcp://127.0.0.1:1" })
      assert.equal(2, r.code)
      mw.fs.write(dir.path .. "/debug.sock", "")
      assert.equal(1, pipe("1").code)
    end)

    it("has no rights of its own but this one", function()
      run ""
      local r = pipe "mw.process.run{ 'true' }\n" -- evaluated there, not here
      assert.equal(77, r.code)
    end)

    it("says that the host has ended", function()
      run ""
      local r = pipe "mw.exit(3)\n"
      assert.equal(1, r.code)
      assert.matches("the host has ended", r.stderr)
      assert.equal(3, host:wait().code)
    end)

    it("asks nobody at the host's terminal for a right that is missing", function()
      mw.fs.write(dir.path .. "/app.lua", "print('ready') io.read('l')")
      local at_terminal <close> = assert(process.spawn{ program, "run", "--debug=" .. url, dir.path .. "/app.lua", pty = true })
      assert.matches("ready", at_terminal.tty:read("l"))
      local r = pipe "print(mw.permissions.query('read', '/etc/passwd'))\nio.open('/etc/passwd')\n"
      assert.equal("denied\n", r.stdout)
      assert.equal(77, r.code)
      at_terminal.tty:write("\n")
      assert.falsy((at_terminal.tty:read("a") or ""):find("passwd"))
    end)

    it("two at once", function()
      run "n = 0"
      local one, two = mw.task.all(function() return pipe(("n = n + 1\n"):rep(50)) end, function() return pipe(("n = n + 1\n"):rep(50)) end)
      assert.equal(0, one.code)
      assert.equal(0, two.code)
      assert.equal("100\n", pipe("n").stdout)
    end)
  end)

  describe("on a terminal", function()
    local has = process.run { "sh", "-c", "exec 2>/dev/null 3</dev/tty && echo yes", pty = true, timeout = 60 }
    if not has or has.stdout == "" then return pending "the fallback spawner gives no controlling terminal" end

    it("is the prompt, in the other host", function()
      run "colour = { red = 1, green = 2 }"
      local screen <close> = attach()
      screen:write "colour\r"
      screen:expect "{ green = 2, red = 1 }"
      screen:write "local mine = 3\r"
      screen:write "mine + colour.red\r"
      screen:expect "\n4\n>"
      screen:write(CTRL_D)
      assert.equal(0, screen:finish().code)
    end)

    it("completes there", function()
      run "colour = { crimson = 1 }"
      local screen <close> = attach()
      screen:write "colour.cri\t"
      screen:expect "colour.crimson"
      screen:write " + 1\r"
      screen:expect "\n2\n>"
      screen:write(CTRL_D)
      assert.equal(0, screen:finish().code)
    end)

    it("ends a line with Ctrl-C, and puts one into the background with Ctrl-Z", function()
      run ""
      local screen <close> = attach()
      screen:write "print('go') mw.task.sleep(1000)\r"
      screen:expect "\ngo"
      screen:write(CTRL_C)
      screen:expect "interrupted"
      screen:expect_line "> "
      screen:write "print('on') mw.task.sleep(1000)\r"
      screen:expect "\non"
      screen:write(CTRL_Z)
      screen:expect "background"
      screen:expect_line "> "
      screen:write "'still here'\r"
      screen:expect "\n\"still here\""
      screen:expect_line "> "
      screen:write(CTRL_D)
      assert.equal(0, screen:finish().code)
    end)

    it("leaves a host that is busy", function()
      run "" -- its loop stands still while it computes: nobody answers
      local screen <close> = attach()
      host:kill("STOP")
      screen:write "1\r"
      screen:expect "does not answer"
      screen:write(CTRL_C)
      assert.equal(130, screen:finish().code)
      host:kill("CONT")
    end)

    it("shows nothing of the host that would move its cursor", function()
      run ""
      local screen <close> = attach()
      screen:write "print('a' .. string.char(27) .. '[2Jb')\r"
      screen:expect "a\\x1b[2Jb"
      screen:expect_line "> "
      screen:write(CTRL_D)
      screen:finish()
    end)
  end)
end)
