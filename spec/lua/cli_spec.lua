--- The command line: what comes back for what is asked. Knows: the program under test, by env MOONWIRE.
local mw = require "moonwire"

local program = assert(os.getenv "MOONWIRE", "MOONWIRE names the program under test")
local dir = assert(mw.fs.tempdir())
teardown(function() dir:close() end)
local folder = tostring(dir.path)

--- Writes a script and gives its path.
local function script(text, name)
  local path = folder .. "/" .. (name or "script.lua")
  assert(mw.fs.write(path, text))
  return path
end

--- Runs the program: words, then options of process.run by name.
local function moonwire(words)
  local argv = { program, timeout = 60 }
  for key, value in pairs(words) do
    if type(key) == "number" then argv[key + 1] = value else argv[key] = value end
  end
  return assert(mw.process.run(argv))
end

--- The same through a shell, where a redirection is the point. `$MOONWIRE` is the program, `$1` ... the words.
local function shell(text, ...)
  return assert(mw.process.run { timeout = 60, env = { MOONWIRE = program }, "bash", "-c", text, "bash", ... })
end

local function count(text, what)
  local _, n = text:gsub(what, "")
  return n
end

describe("the exit status", function()
  it("is 0 for a script that ends", function()
    local r = moonwire { script "" }
    assert.same({ 0, "", "" }, { r.code, r.stdout, r.stderr })
  end)

  it("is 1 for an error, told in one line with a traceback below", function()
    local path = script "local x = 1\nlocal function f() error('boom') end\nf()"
    local r = moonwire { "run", path }
    assert.equal(1, r.code)
    local first, rest = r.stderr:match("^(.-)\n(.*)$")
    assert.equal("moonwire: " .. path .. ":2: boom", first)
    assert.truthy(rest:find("stack traceback:", 1, true))
    assert.truthy(rest:find(path .. ":3", 1, true))
    assert.equal("", r.stdout)
  end)

  it("tells where the first error came from, though other tasks fail while they are cancelled", function()
    local r = moonwire { script [[
local mw = require "moonwire"
for _ = 1, 3 do
  mw.task.spawn(function()
    local _ <close> = setmetatable({}, { __close = function() error "later" end })
    mw.task.wait()
  end)
end
mw.task.sleep(0)
local function deep() error "first" end
deep()]] }
    assert.equal(1, r.code)
    assert.truthy(r.stderr:find("^moonwire: [^\n]*:9: first\n"), r.stderr)
    assert.truthy(r.stderr:find(":9: in local 'deep'", 1, true), r.stderr)
  end)

  it("is 1 for a script that does not compile, without a traceback", function()
    local path = script "local x =\n= 2"
    local r = moonwire { path }
    assert.equal(1, r.code)
    assert.truthy(r.stderr:find(path .. ":2:", 1, true))
    assert.falsy(r.stderr:find("traceback", 1, true))
    assert.equal(1, count(r.stderr, "\n"))
  end)

  it("is 1 for every kind of error value", function()
    for _, value in ipairs { "nil", "{}", "42", "setmetatable({}, { __tostring = function() return 'mine' end })", "true" } do
      local r = moonwire { "eval", "error(" .. value .. ")" }
      assert.equal(1, r.code, value)
      assert.truthy(r.stderr:find("^moonwire: "), value)
    end
  end)

  it("is 1 when a task fails that nobody joins", function()
    local r = moonwire { script "local mw = require 'moonwire' mw.task.spawn(function() error('lost') end)" }
    assert.equal(1, r.code)
    assert.truthy(r.stderr:find("lost", 1, true))
  end)

  it("is 77 when a missing right ends the script, and the text names the flag", function()
    local r = moonwire { script "require('moonwire').process.run{ 'true' }" }
    assert.equal(77, r.code)
    assert.truthy(r.stderr:find("--allow-run=true", 1, true))
  end)

  it("is 77 with a word about the right that stands behind the script", function()
    local path = script "require('moonwire').process.run{ 'true' }"
    local text = "moonwire: --allow-run stands behind " .. path .. " and is its argument: rights come before it\n"
    assert.truthy(moonwire { path, "a", "--allow-run" }.stderr:find(text, 1, true))
    assert.falsy(moonwire { path, "a", "--", "--allow-run" }.stderr:find("stands behind", 1, true))
    assert.falsy(moonwire { script "print(...)", "--allow-run" }.stderr:find("stands behind", 1, true))
  end)

  it("is 0 when the script deals with the denial itself", function()
    local r = moonwire { script "print(pcall(require('moonwire').process.run, { 'true' }))" }
    assert.equal(0, r.code)
    assert.truthy(r.stdout:find("^false"))
  end)

  it("is the script's own", function()
    assert.equal(7, moonwire { script "require('moonwire').exit(7)" }.code)
    assert.equal(3, moonwire { script "os.exit(3)" }.code)
    assert.equal(0, moonwire { script "os.exit(true) error('not reached')" }.code)
    assert.equal(1, moonwire { script "os.exit(false)" }.code)
  end)

  it("is 127 for a script that is not there", function()
    local r = moonwire { "run", folder .. "/none.lua" }
    assert.equal(127, r.code)
    assert.truthy(r.stderr:find("none.lua", 1, true))
    assert.equal(127, moonwire { script("", "file") .. "/below.lua" }.code)
  end)

  it("is 126 for a script that cannot be read", function()
    local r = moonwire { "run", folder }
    assert.equal(126, r.code)
    assert.truthy(r.stderr:lower():find("is a directory", 1, true))
    local path = script("x = 1", "loop")
    assert(mw.fs.remove(path))
    assert(mw.process.run { "ln", "-s", "loop", path, check = true })
    assert.equal(126, moonwire { "run", path }.code)
    assert(mw.fs.remove(path))
  end)

  it("is 2 for wrong usage", function()
    local r = moonwire {}
    assert.equal(2, r.code)
    assert.truthy(r.stderr:find("help: moonwire help", 1, true))
  end)
end)

describe("a wrong command line", function()
  --- words, what the first line says, what help it names
  local wrong = {
    { { "run", "--alow-read", "x.lua" }, "unknown option --alow-read (did you mean --allow-read?)", "moonwire help run" },
    { { "run", "--frob", "x.lua" }, "unknown option --frob", "moonwire help run" },
    { { "--frob", "x.lua" }, "unknown option --frob", "moonwire help run" },
    { { "run", "-x", "x.lua" }, "unknown option -x", "moonwire help run" },
    { { "eval", "--allow-al", "1" }, "unknown option --allow-al (did you mean --allow-all?)", "moonwire help eval" },
    { { "run", "--allow-read=", "x.lua" }, "--allow-read= names nothing; without the = it means everything", "moonwire help run" },
    { { "run", "--deny-env=", "x.lua" }, "--deny-env= names nothing; without the = it means everything", "moonwire help run" },
    { { "run", "-A=x", "x.lua" }, "unknown option -A", "moonwire help run" },
    { { "run", "--no-prompt=yes", "x.lua" }, "--no-prompt takes no value", "moonwire help run" },
    { { "run", "--timeout", "x.lua" }, "--timeout needs a value: --timeout=2s", "moonwire help run" },
    { { "run", "--timeout=soon", "x.lua" }, "--timeout=soon is no duration", "moonwire help run" },
    { { "run", "--timeout=0", "x.lua" }, "--timeout=0 is no duration", "moonwire help run" },
    { { "run", "--confine=maybe", "x.lua" }, "--confine=maybe: auto, strict or off is expected", "moonwire help run" },
    { { "run", "--confine", "x.lua" }, "--confine needs a value: --confine=strict", "moonwire help run" },
    { { "run", "--spin=10001", "x.lua" }, "--spin=10001: auto, off or microseconds (1 to 10000) are expected", "moonwire help run" },
    { { "run", "--spin=1ms", "x.lua" }, "--spin=1ms: auto, off or microseconds (1 to 10000) are expected", "moonwire help run" },
    { { "run", "--spin", "x.lua" }, "--spin needs a value: --spin=off", "moonwire help run" },
    { { "run" }, "no script given", "moonwire help run" },
    { { "check" }, "no script given", "moonwire help check" },
    { { "eval" }, "no code given", "moonwire help eval" },
    { { "completions" }, "name one shell", "moonwire help completions" },
    { { "completions", "tcsh" }, "no completions for tcsh", "moonwire help completions" },
    { {}, "no command and no script given", "moonwire help" },
    { { "help", "nothing" }, "no command is called nothing", "moonwire help" },
    { { "help", "rnu" }, "no command is called rnu (did you mean run?)", "moonwire help" },
    { { "repl", "x.lua" }, "repl takes no script: x.lua is one for `moonwire run`, or for .load", "moonwire help repl" },
    { { "attach" }, "name one socket: unix:PATH", "moonwire help attach" },
    { { "attach", "--allow-read", "unix:x" }, "unknown option --allow-read", "moonwire help attach" },
    { { "check", "--allow-read", "x.lua" }, "unknown option --allow-read", "moonwire help check" },
  }

  for _, case in ipairs(wrong) do
    it("is refused in one line that names the help: " .. table.concat(case[1], " "), function()
      local r = moonwire(case[1])
      assert.equal(2, r.code)
      assert.equal("", r.stdout)
      local lines = {}
      for line in r.stderr:gmatch("[^\n]+") do lines[#lines + 1] = line end
      assert.equal(2, #lines, r.stderr)
      assert.truthy(lines[1]:find("moonwire: " .. case[2], 1, true), lines[1])
      assert.equal("help: " .. case[3], lines[2])
    end)
  end

  it("with an address for a rule says what a rule is", function()
    local r = moonwire { "run", "--allow-net=tcp://127.0.0.1:80", "x.lua" }
    assert.equal(2, r.code)
    assert.truthy(r.stderr:find("a rule is HOST:PORT, without tcp://", 1, true), r.stderr)
  end)

  it("with a command behind its options says where it belongs", function()
    local r = moonwire { "--timeout=1s", "eval", "1" }
    assert.equal(2, r.code)
    local text = "no file is called eval; the command comes before its options: moonwire eval --timeout=1s ..."
    assert.truthy(r.stderr:find(text, 1, true), r.stderr)
    assert.equal(127, moonwire { "run", "--timeout=1s", "eval" }.code)
    assert(mw.fs.write(folder .. "/repl", "print 'a file'"))
    assert.equal("a file\n", moonwire { "--timeout=60s", "repl", cwd = folder }.stdout)
  end)

  it("with a level of MOONWIRE_LOG that there is not is refused", function()
    local r = moonwire { script "", env = { MOONWIRE_LOG = "verbose" } }
    assert.same({ 2, "moonwire: MOONWIRE_LOG=verbose: debug, info, warn, error or off is expected\n" }, { r.code, r.stderr })
    assert.equal(0, moonwire { script "", env = { MOONWIRE_LOG = "" } }.code)
  end)

  it("with a right's list behind a space says how it is written", function()
    local path = script ""
    local r = moonwire { "run", "--allow-read", folder, path }
    assert.equal(126, r.code)
    local text = ("--allow-read is for everything; for %s alone write --allow-read=%s\n"):format(folder, folder)
    assert.truthy(r.stderr:find(text, 1, true), r.stderr)
    r = moonwire { "run", "--allow-read", folder .. "/nothing.lua", "word" }
    assert.equal(127, r.code)
    assert.falsy(r.stderr:find("is for everything", 1, true))
  end)

  it("with a mistyped command names the nearest", function()
    local r = moonwire { "rnu", "x.lua" }
    assert.equal(2, r.code)
    assert.truthy(r.stderr:find("unknown command rnu, and no such file (did you mean run?)", 1, true))
  end)

  it("with a bad rule says which flag and where in it", function()
    for _, rule in ipairs { "--allow-net=localhost:99999", "--allow-net=1.2.3.4/33", "--allow-read=/tmp,,/var", "--allow-sys=nonsense" } do
      local r = moonwire { "run", rule, script "" }
      assert.equal(2, r.code, rule)
      assert.truthy(r.stderr:find("moonwire: " .. rule, 1, true), r.stderr)
      assert.truthy(r.stderr:find("column %d+"), r.stderr)
    end
  end)

  it("says what would be right, where there is a list of it, and whose fault it is", function()
    for option, words in pairs {
      ["--allow-sys=host"] = "unknown kind of system information (hostname ",
      ["--debug=tcp://127.0.0.1:1"] = "debug tcp://127.0.0.1:1: unix:/path is expected",
      ["--limit=shared=1"] = "between 16 KiB and 1024 GiB",
      ["--policy=/dev/null"] = "policy: /dev/null:1:1: a value is expected",
    } do
      local r = assert(mw.process.run { program, "run", option, "x.lua" })
      assert.equal(2, r.code)
      assert.truthy(r.stderr:find(words, 1, true), r.stderr)
    end
  end)

  it("marks the character of a bad rule in a list", function()
    local r = moonwire { "run", "--allow-net=localhost:80,example.org:99999", script "" }
    local text, mark = r.stderr:match "^([^\n]*)\n( *)%^\n$"
    assert.truthy(text, r.stderr)
    assert.equal("99999", text:sub(#mark + 1, #mark + 5))
  end)

  it("with a run right for a program that does not exist says so", function()
    local r = moonwire { "run", "--allow-run=no-such-program-here", script "" }
    assert.equal(2, r.code)
    assert.truthy(r.stderr:find("no-such-program-here", 1, true))
  end)

  it("shows control characters instead of sending them", function()
    local r = moonwire { "run", "--x\27[2J", "x.lua" }
    assert.equal(2, r.code)
    assert.falsy(r.stderr:find("\27", 1, true))
  end)
end)

describe("a script's text", function()
  it("may come from standard input, with arguments", function()
    local r = moonwire { "-", "one", "two", stdin = "print(arg[0], arg[1], ...)" }
    assert.same({ 0, "-\tone\tone\ttwo\n" }, { r.code, r.stdout })
    r = moonwire { "run", "-", stdin = "local x = 1\n\nerror('here')" }
    assert.equal(1, r.code)
    assert.truthy(r.stderr:find("stdin:3: here", 1, true))
  end)

  it("may be empty or without a last newline", function()
    assert.equal(0, moonwire { "-", stdin = "" }.code)
    assert.equal(0, moonwire { script "#!only a first line" }.code)
  end)

  it("may begin with #! and be started by its name", function()
    local first = "#!/usr/bin/env -S " .. program .. " run --allow-env=HOME\n"
    local path = script(first .. "print(#arg, arg[1], os.getenv('HOME'))\nerror('x')", "tool")
    assert(mw.process.run { "chmod", "755", path, check = true })
    local r = assert(mw.process.run { path, "an argument", env = { HOME = "/there" }, timeout = 60 })
    assert.equal("1\tan argument\t/there\n", r.stdout)
    assert.equal(1, r.code)
    assert.truthy(r.stderr:find(path .. ":3: x", 1, true), "lines keep their numbers")
  end)

  it("may begin with a byte order mark", function()
    assert.equal("ok\n", moonwire { script "\xef\xbb\xbfprint('ok')" }.stdout)
  end)

  it("is refused as bytecode, by file and by standard input", function()
    local code = string.dump and string.dump(load "print('never')") or "\27Lua\x54\0\x19\x93\r\n\x1a\n"
    for _, r in ipairs { moonwire { script(code) }, moonwire { "-", stdin = code } } do
      assert.equal(1, r.code)
      assert.equal("", r.stdout)
      assert.truthy(r.stderr:find("binary chunk", 1, true), r.stderr)
    end
    local path = script(code)
    assert.truthy(moonwire { "check", path }.stderr:find(path .. ": ", 1, true), "which of them it is")
  end)

  it("may be large, but not without end", function()
    local r = moonwire { script(("x = 1\n"):rep(200000) .. "print(x)") }
    assert.same({ 0, "1\n" }, { r.code, r.stdout })
    assert(mw.process.run { "truncate", "-s", "80M", folder .. "/huge.lua", check = true })
    r = moonwire { folder .. "/huge.lua" }
    assert.equal(126, r.code)
    assert.equal(1, count(r.stderr, "\n"))
    r = shell('"$MOONWIRE" - < "$1"', folder .. "/huge.lua")
    assert.equal(126, r.code)
    assert(mw.fs.remove(folder .. "/huge.lua"))
  end)

  it("may nest without an end and only be an error", function()
    for _, text in ipairs { "x = " .. ("("):rep(100000), ("do "):rep(100000), "x = " .. ("{"):rep(100000), ("a."):rep(100000) } do
      assert.equal(1, moonwire { "-", stdin = text }.code)
    end
  end)
end)

describe("the arguments", function()
  it("stand in arg and ..., the program and its options below zero", function()
    local path = script "for i = -3, 3 do io.write(i, '=', tostring(arg[i]), ' ') end print(#arg, select('#', ...), ...)"
    local r = moonwire { "run", "-A", path, "--deny-read", "" }
    assert.equal(("-3=%s -2=run -1=-A 0=%s 1=--deny-read 2= 3=nil 2\t2\t--deny-read\t\n"):format(program, path), r.stdout)
  end)

  it("begin after the script, whatever they look like; -- ends the options before it", function()
    local path = script("print(...)", "-odd.lua")
    local r = moonwire { "run", "--", "-odd.lua", "--", "-A", cwd = folder }
    assert.same({ 0, "--\t-A\n" }, { r.code, r.stdout })
    assert(mw.fs.remove(path))
  end)

  it("hold whatever bytes the system passes", function()
    local r = moonwire { script "io.write((arg[1]:gsub('.', function(c) return ('%02x'):format(c:byte()) end)))", "\1\255\n\\ \"" }
    assert.equal("01ff0a5c2022", r.stdout)
  end)
end)

describe("--timeout", function()
  it("ends a sleeping script with 124 after its cleanup", function()
    local r = moonwire { "run", "--timeout=1500ms", script [[
      local mw = require "moonwire"
      local _ <close> = setmetatable({}, { __close = function() print "cleaned" end })
      mw.task.sleep(600)]] }
    assert.same({ 124, "cleaned\n" }, { r.code, r.stdout })
    assert.truthy(r.stderr:find("timed out after 1500ms", 1, true))
    assert.equal(1, count(r.stderr, "\n"))
  end)

  it("ends a script that never yields", function()
    assert.equal(124, moonwire { "run", "--timeout=100ms", script "while true do end" }.code)
    assert.equal(124, moonwire { "eval", "--timeout=100ms", "while true do pcall(function() while true do end end) end" }.code)
  end)

  it("does not keep a script that is done", function()
    local r = moonwire { "run", "--timeout=1h", script "print 'done'" }
    assert.same({ 0, "done\n", "" }, { r.code, r.stdout, r.stderr })
  end)

  it("may stand in the environment, where the command line wins and rights are not looked for", function()
    assert.equal(124, moonwire { script "require('moonwire').task.sleep(600)", env = { MOONWIRE_TIMEOUT = "50ms" } }.code)
    local nap = script "require('moonwire').task.sleep(0.1)"
    assert.equal(0, moonwire { "run", "--timeout=1h", nap, env = { MOONWIRE_TIMEOUT = "1ms" } }.code)
    local r = moonwire { script "", env = { MOONWIRE_TIMEOUT = "never" } }
    assert.equal(2, r.code)
    assert.truthy(r.stderr:find("MOONWIRE_TIMEOUT=never is no duration", 1, true))
    local env = { MOONWIRE_ALLOW_RUN = "true", MOONWIRE_ALLOW_ALL = "1" }
    assert.equal(77, moonwire { script "require('moonwire').process.run{'true'}", env = env }.code)
  end)
end)

describe("rights on the command line", function()
  it("are given one by one, and a deny takes from them", function()
    local path = script "print(os.getenv('ONE'), pcall(os.getenv, 'TWO'))"
    local env = { ONE = "1", TWO = "2" }
    assert.equal("1\ttrue\t2\n", moonwire { "run", "--allow-env=ONE,TWO", path, env = env }.stdout)
    assert.equal("1\ttrue\t2\n", moonwire { "run", "--allow-env=ONE", "--allow-env=TWO", path, env = env }.stdout)
    assert.truthy(moonwire { "run", "--allow-env=ONE", path, env = env }.stdout:find("^1\tfalse"))
    assert.truthy(moonwire { "run", "-A", "--deny-env=TWO", path, env = env }.stdout:find("^1\tfalse"))
    assert.truthy(moonwire { "--allow-env", "--deny-env=TWO", path, env = env }.stdout:find("^1\tfalse"))
    assert.equal("1\ttrue\t2\n", moonwire { "run", "--allow-all", "--no-prompt", path, env = env }.stdout)
  end)
end)

describe("eval", function()
  it("prints the values of an expression", function()
    assert.equal("3\n", moonwire { "eval", "1 + 2" }.stdout)
    assert.equal("1\tnil\tx\n", moonwire { "eval", "1, nil, 'x'" }.stdout)
    assert.equal("2\n", moonwire { "eval", "1 + 1 -- a comment" }.stdout)
    assert.equal("nil\n", moonwire { "eval", "nil" }.stdout)
  end)

  it("prints what statements return, as the prompt does", function()
    assert.equal("42\n", moonwire { "eval", "return 6 * 7" }.stdout)
    assert.equal('{ "1" }\tx\n', moonwire { "eval", "local t = { ... } return t, 'x' -- a comment", "1" }.stdout)
    assert.equal("", moonwire { "eval", "if true then return end" }.stdout)
    assert.equal(1, moonwire { "eval", "return 1 end)() os.exit(0) do (function()" }.code)
  end)

  it("prints nothing of its own for statements and calls without values", function()
    assert.equal("", moonwire { "eval", "local x = 1" }.stdout)
    assert.equal("hi\n", moonwire { "eval", "print('hi')" }.stdout)
    assert.equal("", moonwire { "eval", "" }.stdout)
  end)

  it("has mw at hand, passes arguments and tells where an error is", function()
    assert.equal("table\ta\n", moonwire { "eval", "type(mw), ...", "a" }.stdout)
    local r = moonwire { "eval", "local x = 1\nerror('here')" }
    assert.equal(1, r.code)
    assert.truthy(r.stderr:find("eval:2: here", 1, true))
    r = moonwire { "eval", "1 +" }
    assert.equal(1, r.code)
    assert.truthy(r.stderr:find("eval:1:", 1, true))
  end)
end)

describe("check", function()
  it("compiles without running and reports every file that fails", function()
    local good = script("print 'ran'", "good.lua")
    local one, two = script("x = = 1", "one.lua"), script("\n\nend", "two.lua")
    local r = moonwire { "check", good }
    assert.same({ 0, "", "" }, { r.code, r.stdout, r.stderr })
    r = moonwire { "check", one, good, folder .. "/none.lua", two }
    assert.equal(1, r.code)
    assert.equal("", r.stdout)
    assert.truthy(r.stderr:find(one .. ":1: ", 1, true))
    assert.truthy(r.stderr:find("none.lua", 1, true))
    assert.truthy(r.stderr:find(two .. ":3: ", 1, true))
    assert.equal(3, count(r.stderr, "\n"))
    assert.equal(1, moonwire { "check", "-", stdin = "x = (" }.code)
    assert.equal(0, moonwire { "check", "-", good, stdin = "#!first\nx = 1" }.code)
  end)
end)

describe("eval", function()
  it("prints a table with what is in it", function()
    assert.equal('{ 1, { a = "x" } }\tyes\tnil\n', moonwire { "eval", "{ 1, { a = 'x' } }, 'yes', nil" }.stdout)
    assert.truthy(moonwire { "eval", "mw, setmetatable({}, { __tostring = function() return 'own' end })" }.stdout:find("\town\n$"))
  end)
end)

describe("an error of several lines", function()
  it("is told in one, which still can be read", function()
    local r = moonwire { script "error('first\\n\\tsecond:\\n  third\\n')" }
    assert.truthy(r.stderr:match("^[^\n]*"):find(": first; second: third$"), r.stderr)
    r = moonwire { script "require 'no.such.module'" }
    assert.truthy(r.stderr:find("module 'no.such.module' not found: no field", 1, true), r.stderr)
  end)
end)

describe("an error value that is a table", function()
  it("is told by its code and message, not by its address", function()
    local r = moonwire { script "error({ code = 'EMINE', message = 'told' })" }
    assert.equal("moonwire: EMINE: told (error object is a table)", r.stderr:match("^[^\n]*"))
    r = moonwire { script "error({})" }
    assert.equal("moonwire: (error object is a table)", r.stderr:match("^[^\n]*"))
  end)
end)

describe("help", function()
  it("is found where people look for it, on standard output", function()
    local general = moonwire { "--help" }
    assert.equal(0, general.code)
    assert.equal("", general.stderr)
    assert.equal(general.stdout, moonwire { "help" }.stdout)
    assert.equal(general.stdout, moonwire { "-h" }.stdout)
    local run = moonwire { "help", "run" }.stdout
    assert.equal(run, moonwire { "run", "--help" }.stdout)
    assert.equal(run, moonwire { "run", "-A", "-h", "x.lua" }.stdout)
    assert.truthy(run:find("--allow-net", 1, true))
    assert.truthy(run:find("#!/usr/bin/env -S moonwire run", 1, true))
  end)

  it("of a script is the script's", function()
    assert.equal("--help\n", moonwire { script "print(...)", "--help" }.stdout)
  end)

  it("fails quietly where nobody reads it", function()
    local r = shell '"$MOONWIRE" --help >&-'
    assert.same({ 1, "" }, { r.code, r.stderr })
  end)

  it("says that nothing more could be written", function()
    local r = shell '"$MOONWIRE" help run > /dev/full'
    assert.same({ 1, "moonwire: standard output: No space left on device\n" }, { r.code, r.stderr })
  end)

  it("tells the version", function()
    local r = moonwire { "--version" }
    assert.equal(0, r.code)
    assert.truthy(r.stdout:find("^moonwire %d+%.%d+%.%d+ %(Lua 5%.4"), r.stdout)
    assert.equal(r.stdout, moonwire { "-v" }.stdout)
  end)

  it("completes in bash", function()
    local words = shell [[source <("$MOONWIRE" completions bash) || exit 9
      COMP_WORDS=(moonwire run --allow-re) COMP_CWORD=2; _moonwire 2>/dev/null; echo "${COMPREPLY[*]}"
      COMP_WORDS=(moonwire ev) COMP_CWORD=1; _moonwire 2>/dev/null; echo "${COMPREPLY[*]}"
      COMP_WORDS=(moonwire completions f) COMP_CWORD=2; _moonwire 2>/dev/null; echo "${COMPREPLY[*]}"
      COMP_WORDS=(moonwire run --confine =) COMP_CWORD=3; _moonwire 2>/dev/null; echo "${COMPREPLY[*]}"
      COMP_WORDS=(moonwire run --confine = s) COMP_CWORD=4; _moonwire 2>/dev/null; echo "${COMPREPLY[*]}"]]
    assert.equal(0, words.code)
    assert.equal("--allow-read --allow-read=\neval\nfish\nauto strict off\nstrict\n", words.stdout)
  end)
end)

describe("colour", function()
  it("is for terminals, unless the environment says otherwise", function()
    local red = "\27[1;31mmoonwire:\27[0m"
    assert.falsy(moonwire { "--frob" }.stderr:find("\27", 1, true))
    assert.truthy(moonwire { "--frob", env = { FORCE_COLOR = "1" } }.stderr:find(red, 1, true))
    assert.falsy(moonwire { "--frob", env = { FORCE_COLOR = "0" } }.stderr:find("\27", 1, true))
    assert.falsy(moonwire { "--frob", env = { FORCE_COLOR = "1", NO_COLOR = "1" } }.stderr:find("\27", 1, true))
    assert.truthy(moonwire { script "error 'x'", env = { FORCE_COLOR = "1" } }.stderr:find(red .. " ", 1, true))
  end)

  it("is there on a terminal", function()
    local r = moonwire { "--frob", pty = true, env = { TERM = "xterm", NO_COLOR = false, FORCE_COLOR = false } }
    assert.truthy(r.stdout:find("\27[1;31mmoonwire:\27[0m unknown option", 1, true), r.stdout)
    r = moonwire { "--frob", pty = true, env = { TERM = "dumb", NO_COLOR = false, FORCE_COLOR = false } }
    assert.falsy(r.stdout:find("\27", 1, true))
  end)

  it("of the script's making is shown, not obeyed, in an error", function()
    local r = moonwire { script "error('a\\27[31mb\\nmoonwire: forged')" }
    assert.falsy(r.stderr:find("\27", 1, true))
    assert.falsy(r.stderr:find("\nmoonwire: forged", 1, true))
  end)
end)

describe("standard output", function()
  it("that nobody reads any more ends the script quietly", function()
    for _, text in ipairs {
      "while true do print(('x'):rep(1000)) end",
      "while true do io.write(('x'):rep(1000), '\\n') end",
      "while true do print 'x' require('moonwire').task.sleep(0) end",
    } do
      local r = shell('set -o pipefail; "$MOONWIRE" run "$1" | head -n 1 | wc -l; echo "${PIPESTATUS[0]}"', script(text))
      assert.equal("1\n141\n", r.stdout, text .. r.stderr)
      assert.equal("", r.stderr, text)
    end
  end)

  it("keeps its order and loses nothing, however much it is", function()
    local r = moonwire { script "for i = 1, 20000 do if i % 2 == 0 then print(i) else io.write(i, '\\n') end end", max_output = "4MiB" }
    local i = 0
    for line in r.stdout:gmatch("[^\n]+") do
      i = i + 1
      if line ~= tostring(i) then error(("line %d is %q"):format(i, line)) end
    end
    assert.equal(20000, i)
  end)

  it("closed from the start stays closed: no file takes its number", function()
    local r = shell('"$MOONWIRE" run --allow-write="$2" "$1" "$2" >&- 2>&- <&- ; echo "status $?"; cat "$2"',
      script "local f = assert(io.open(arg[1], 'w')) pcall(print, 'stray') f:write('kept') f:close()", folder .. "/kept")
    assert.equal("status 0\nkept", r.stdout)
  end)
end)

describe("the stack limit", function()
  it("says that the stack is too small, where it would have died", function()
    for _, words in ipairs { "eval -A 'print(1)'", "run --allow-run=true x.lua", "check x.lua" } do
      local r = shell(("ulimit -s 64; exec \"$MOONWIRE\" %s"):format(words))
      assert.same({ 1, "" }, { r.code, r.stdout })
      assert.equal("moonwire: the stack is limited to 64 KiB, 512 are needed (ulimit -s 1024)\n", r.stderr)
    end
    assert.equal("1\n", shell([[ulimit -s 1024; "$MOONWIRE" eval 'print(1)']]).stdout)
  end)
end)

describe("the descriptor limit", function()
  it("is raised for the program and given back to its children", function()
    local cache = mw.fs.read((os.getenv "MOONWIRE_BUILD" or "none") .. "/CMakeCache.txt")
    if cache and cache:find("MW_SPAWN:STRING=uv", 1, true) then return pending "uv_spawn cannot set limits" end
    local r = shell([[ulimit -Sn 123; "$MOONWIRE" run --allow-run=bash "$1"; echo "ours $(ulimit -Sn)"]],
      script "io.write(require('moonwire').process.run{ 'bash', '-c', 'ulimit -Sn' }.stdout)")
    assert.equal("123\nours 123\n", r.stdout)
  end)
end)
