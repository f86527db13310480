--- `moonwire attach` as a person and a script use it: from a pipe.
--- Knows: the program under test; what it attaches to is a script of that program with --debug. Never: sleeps.
local mw = require "moonwire"
local process = mw.process
local program = os.getenv("MOONWIRE") or "moonwire"

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

    it("two at once", function()
      run "n = 0"
      local one, two = mw.task.all(function() return pipe(("n = n + 1\n"):rep(50)) end, function() return pipe(("n = n + 1\n"):rep(50)) end)
      assert.equal(0, one.code)
      assert.equal(0, two.code)
      assert.equal("100\n", pipe("n").stdout)
    end)
  end)
end)
