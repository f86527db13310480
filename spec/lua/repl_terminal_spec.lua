--- The prompt on a terminal, as a person sees it: typing, output above the line, keys, the history, a paste, jobs, sizes.
--- Knows: the program under test, on a pseudo-terminal whose screen is read. Never: sleeps.
local mw = require "moonwire"
local Screen = require "spec.support.screen"
local process = mw.process
local program = os.getenv("MOONWIRE") or "moonwire"

local CTRL_C, CTRL_D, CTRL_R, CTRL_Z = "\3", "\4", "\18", "\26"
local UP, DOWN, LEFT, HOME, ALT_ENTER = "\27[A", "\27[B", "\27[D", "\27[H", "\27\r"

local dir

--- A prompt on a screen. `more`: flags in a list, rows, cols, env.
local function start(more)
  more = more or {}
  local argv = { program, "repl", rows = more.rows, cols = more.cols }
  argv.env = { TERM = more.term or "xterm", HOME = dir.path, XDG_STATE_HOME = dir.path .. "/state", NO_COLOR = "1" }
  for _, flag in ipairs(more) do argv[#argv + 1] = flag end
  local screen = Screen.start(argv)
  screen:expect "leaves\n>"
  screen:expect_line "> "
  return screen
end

local function type_line(screen, text) screen:write(text .. "\r") end

--- Leaves, and gives the exit status.
local function leave(screen)
  screen:write(CTRL_D)
  return screen:finish().code
end

--- A task that prints whatever a person writes into the pipe at `path`, line by line: output that comes when the spec wants it.
local function printer(screen, path)
  assert(process.run { "mkfifo", path, check = true })
  type_line(screen, ("bg = mw.task.spawn(function() local cat = mw.process.spawn { 'cat', '%s', stdout = 'pipe' } " ..
    "while true do local text = cat.stdout:read_some(65536) if not text then break end io.write(text) end end); print('on')"):format(path))
  screen:expect "\non\n>"
  return assert(process.spawn { "sh", "-c", "exec cat > " .. path, stdin = "pipe" })
end

describe("the prompt on a terminal", function()
  local has = process.run { "sh", "-c", "exec 2>/dev/null 3</dev/tty && echo yes", pty = true, timeout = 60 }
  if not has or has.stdout == "" then return pending "the fallback spawner gives no controlling terminal" end

  before_each(function() dir = assert(mw.fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("evaluates what is typed and shows what it is", function()
    local screen <close> = start()
    type_line(screen, "1 + 1")
    screen:expect "> 1 + 1\n2\n>"
    type_line(screen, "local x = 20")
    type_line(screen, "x * 2")
    screen:expect "> x * 2\n40\n>"
    assert.equal(0, leave(screen))
  end)

  it("takes the line that gives back the memory that a background task has filled", function()
    local screen <close> = start { "--limit=memory=8MiB" }
    type_line(screen, "t = {} mw.task.spawn(function() for i = 1, math.huge do t[i] = {} end end); print('on')")
    screen:expect "not enough memory"
    type_line(screen, "t = nil; print('free')")
    screen:expect "\nfree\n>"
    type_line(screen, "20 * 2")
    screen:expect "\n40\n>"
    assert.equal(0, leave(screen))
  end)

  it("prints what comes meanwhile above the line that is being typed", function()
    local screen <close> = start { "-A", cols = 40 }
    local pipe <close> = printer(screen, dir.path .. "/pipe")
    local line = "print('a line that is longer than 漢字 40 columns é wide"
    screen:write(line)
    screen:expect "wide"
    assert(pipe.stdin:write "first\n")
    screen:expect "\nfirst\n> print('a line"
    assert(pipe.stdin:write "second\nand no end")
    screen:expect "\nfirst\nsecond\nand no end\n> print('a line"
    assert(pipe.stdin:write ", now\nthird\n")
    screen:expect "\nfirst\nsecond\nand no end, now\nthird\n> print('a line"
    screen:write "r')\r"
    screen:expect "\n> "
    screen:expect "wider\n"
    assert.falsy(screen:all():find "secondand")
  end)

  it("prints the log, standard error and errors of other tasks there, too", function()
    local screen <close> = start { "-A" }
    type_line(screen, "go = mw.task.event()")
    type_line(screen, "function late() go:wait() io.stderr:write 'to stderr\\n' mw.log.warn('to the log') error('of a' .. ' task') end")
    type_line(screen, "mw.task.spawn(late)")
    type_line(screen, "mw.task.spawn(function() mw.task.sleep(0.02) go:set() end)")
    screen:write "'typed meanwhile'"
    screen:expect "of a task"
    screen:expect "\n> 'typed meanwhile'"
    local text = screen:text()
    assert.truthy(text:find("\nto stderr\n", 1, true), text)
    assert.truthy(text:find("WARN", 1, true) or text:find("\n[^>]*warn[^(]*to the log"), text)
    assert.falsy(text:find('{"', 1, true), text)
    screen:write "\r"
    screen:expect '\n"typed meanwhile"\n>'
  end)

  it("keeps the line whole when a hundred thousand lines come while one types", function()
    local screen <close> = start()
    type_line(screen, "mw.task.spawn(function() for i = 1, 100000 do print('line ' .. i) if i % 100 == 0 then mw.task.pass() end end end)")
    screen:write "print(40 "
    screen:write "+ 2"
    screen:expect "line 100000\n> print(40 + 2"
    screen:write ", 'end')\r"
    screen:expect "\n42      end"
  end)

  it("asks for the next line of a statement that is not whole, and keeps those above together", function()
    local screen <close> = start()
    type_line(screen, "for i = 1, 2 do")
    screen:expect_line ">> "
    type_line(screen, "print('row', i)")
    type_line(screen, "end")
    screen:expect "end\nrow     1\nrow     2\n>"
    screen:write(UP)
    screen:expect "> for i = 1, 2 do\nprint('row', i)\nend"
    screen:write(UP .. HOME .. LEFT)
    screen:write(CTRL_C)
    screen:expect "^C\n>"
  end)

  it("clears the line at Ctrl-C and goes on", function()
    local screen <close> = start()
    screen:write "not this"
    screen:expect_line "> not this"
    screen:write(CTRL_C)
    screen:expect "> not this^C\n>"
    type_line(screen, "'then' .. ' this'")
    screen:expect '"then this"'
    assert.equal(0, leave(screen))
  end)

  it("leaves at a Ctrl-D that was typed while a line ran, and runs the lines before it", function()
    local screen <close> = start()
    type_line(screen, "ev = mw.task.event(); print 'runs'; mw.task.spawn(function() mw.task.sleep(0.3) ev:set() end); ev:wait()")
    screen:expect "\nruns"
    screen:write("print 'typed ahead'\r" .. CTRL_D)
    screen:expect "\ntyped ahead"
    assert.equal(0, screen:finish().code)
  end)

  it("cancels the line that runs at Ctrl-C, also one that never waits", function()
    local screen <close> = start { "-A" }
    type_line(screen, "print 'waits'; mw.task.wait()")
    screen:expect "\nwaits"
    screen:write(CTRL_C)
    screen:expect_line "> "
    type_line(screen, "print 'computes'; while true do end")
    screen:expect "\ncomputes"
    screen:write(CTRL_C)
    screen:expect_line "> "
    type_line(screen, "6 * 7")
    screen:expect "\n42\n>"
  end)

  it("ends at the second Ctrl-C when the line does not heed the first", function()
    local screen <close> = start { "-A" }
    type_line(screen, "print 'on'; pcall(mw.task.sleep, 60); mw.task.shield(function() print 'deaf'; mw.task.sleep(60) end)")
    screen:expect "\non"
    screen:write(CTRL_C)
    screen:expect "^Cdeaf"
    screen:write(CTRL_C)
    assert.equal("INT", screen:finish().signal)
  end)

  it("is hung up with its terminal: cleans up, and ends with 129", function()
    local screen <close> = start { "-A" }
    type_line(screen, ("file = '%s/cleaned'"):format(dir.path))
    type_line(screen, "function clean() mw.task.shield(function() mw.fs.write(file, 'yes') end) end")
    type_line(screen, "mw.task.spawn(function() local x <close> = setmetatable({}, { __close = clean }) print 'held' mw.task.wait() end)")
    screen:expect "held\n>"
    screen.child.stdout:close()
    screen.child.stdin:close()
    assert.equal(129, screen.child:wait({ timeout = 30 }).code)
    assert.equal("yes", mw.fs.read(dir.path .. "/cleaned"))
  end)

  it("leaves the terminal as it was, whatever ends it", function()
    local shell = 'stty -echo; while read word; do "$0" repl -A; stty -a | tr " " "\\n" | grep -xE -- "-?icanon"; done'
    local screen <close> = Screen.start { "sh", "-c", shell, program, env = { TERM = "xterm", HOME = dir.path, PATH = os.getenv "PATH" } }
    for i, signal in ipairs { "TERM", "ABRT", "SEGV" } do
      screen:write "again\r"
      screen:wait(function() return select(2, screen:all():gsub("leaves\n>", "")) == i and screen:line() == "> " end, "prompt")
      type_line(screen, ("mw.process.run { 'sh', '-c', 'kill -%s $PPID' }"):format(signal))
      screen:wait(function() return select(2, screen:all():gsub("\nicanon", "")) == i end, "cooked terminal after " .. signal)
      assert.is_false(screen.pastes)
    end
  end)

  it("stops as a job of the shell at Ctrl-Z while one types, and draws its line again", function()
    local shell = 'stty -echo; "$0" repl -A; stty -a | tr " " "\\n" | grep -xE -- "-?icanon"; fg; echo over $?'
    local screen <close> = Screen.start { "sh", "-mc", shell, program, env = { TERM = "xterm", HOME = dir.path, PATH = os.getenv "PATH" } }
    screen:expect_line "> "
    screen:write "'kept'"
    screen:expect_line "> 'kept'"
    screen:write(CTRL_Z)
    screen:expect "\nicanon"
    screen:expect_line "> 'kept'"
    screen:write "\r"
    screen:expect '\n"kept"\n>'
    screen:write(CTRL_D)
    screen:expect "over 0"
  end)

  it("puts the line that runs in the background at Ctrl-Z", function()
    local screen <close> = start { "-A" }
    type_line(screen, "go = mw.task.event(); print 'on it'; go:wait(); io.read = nil; print 'done behind'")
    screen:expect "\non it"
    screen:write(CTRL_Z)
    screen:expect_line "> "
    type_line(screen, "mw.task.spawn(function() mw.task.sleep(0.05) go:set() end) ; do end")
    screen:write "'fore' .. 'ground'"
    screen:expect "done behind\n> 'fore' .. 'ground'"
    screen:write "\r"
    screen:expect '"foreground"'
  end)

  it("finds earlier lines again, in the next run too, each once", function()
    do
      local screen <close> = start()
      for _, line in ipairs { "'one'", "'two'", "'one'", " 'secret'", "if true then", "print('three')", "end" } do
        type_line(screen, line)
      end
      screen:expect "end\nthree\n>"
      leave(screen)
    end
    local kept = assert(mw.fs.read(dir.path .. "/state/moonwire/history"))
    assert.falsy(kept:find "secret")
    local screen <close> = start()
    screen:write(UP)
    screen:expect "> if true then\nprint('three')\nend"
    screen:write(UP .. UP .. UP)
    screen:expect_line "> 'one'"
    screen:write(UP)
    screen:expect_line "> 'two'"
    screen:write(DOWN)
    screen:expect_line "> 'one'"
    screen:write(CTRL_C)
    screen:expect "^C\n>"
    screen:write(CTRL_R)
    screen:write "two"
    screen:expect "bck:two"
    screen:write "\r"
    screen:expect '\n"two"\n>'
  end)

  it("loses no line of several prompts at once, and makes the file for its owner alone", function()
    local a <close> = start()
    local b <close> = start()
    for i = 1, 5 do
      type_line(a, "'a" .. i .. "'")
      type_line(b, "'b" .. i .. "'")
    end
    a:expect '\n"a5"\n>'
    b:expect '\n"b5"\n>'
    leave(a)
    leave(b)
    local kept = assert(mw.fs.read(dir.path .. "/state/moonwire/history"))
    for i = 1, 5 do
      assert.truthy(kept:find("'a" .. i .. "'\n", 1, true))
      assert.truthy(kept:find("'b" .. i .. "'\n", 1, true))
    end
    assert.equal("600", ("%o"):format(assert(mw.fs.stat(dir.path .. "/state/moonwire/history")).mode & 511))
  end)

  it("needs no history: a folder that cannot be made is no error", function()
    assert(mw.fs.write(dir.path .. "/state", "a file"))
    local screen <close> = start()
    type_line(screen, "'works'")
    screen:expect '\n"works"\n>'
    screen:write(UP)
    screen:expect_line "> 'works'"
    screen:write(CTRL_C)
    screen:expect "'works'^C\n>"
    assert.equal(0, leave(screen))
  end)

  it("takes a paste of many lines as one input, and runs nothing before Enter", function()
    local screen <close> = start()
    assert.is_true(screen.pastes)
    screen:write "\27[200~for i = 1, 2 do\r\n\tprint('pasted', i)\27[31m\r\nend\r\n\27[201~"
    screen:expect "> for i = 1, 2 do\n        print('pasted', i)[31m\nend"
    assert.falsy(screen:text():find "pasted\t1")
    screen:write(CTRL_C)
    screen:write "\27[200~x = 'first'\ny = 'second'\27[201~"
    screen:expect "second'"
    screen:write "\r"
    type_line(screen, "x .. y")
    screen:expect '"firstsecond"'
  end)

  it("takes keys that come as fast as a paste, line by line", function()
    local screen <close> = start()
    local lines = {}
    for i = 1, 200 do lines[i] = ("print('fast %d')\r"):format(i) end
    screen:write(table.concat(lines))
    screen:expect "\nfast 200\n>"
    local seen = 0
    for i in screen:all():gmatch "\nfast (%d+)\n" do
      seen = seen + 1
      assert.equal(seen, tonumber(i))
    end
    assert.equal(200, seen)
  end)

  it("begins another row in the line at Alt-Enter, and indents at Tab", function()
    local screen <close> = start()
    screen:write("do" .. ALT_ENTER .. "\tprint 'inside'" .. ALT_ENTER .. "end")
    screen:expect "> do\n  print 'inside'\nend"
    screen:write "\r"
    screen:expect "\ninside\n>"
  end)

  it("completes at Tab: what is common at once, the rest in columns", function()
    local screen <close> = start { cols = 60 }
    type_line(screen, "long_name_one, long_name_two = 1, 2")
    screen:write "long_n\t"
    screen:expect_line "> long_name_"
    screen:write "\t"
    screen:expect "long_name_one  long_name_two\n> long_name_"
    screen:write "o\t"
    screen:expect_line "> long_name_one"
    screen:write "\r"
    screen:expect "\n1\n>"
  end)

  it("follows the window's size", function()
    local screen <close> = start { cols = 40 }
    screen:write "'a line that is short'"
    screen:expect_line "> 'a line that is short'"
    screen:resize(24, 30)
    screen:write " .. ' and grows beyond'"
    screen:expect "\n> 'a line that is short' .. '\nand grows beyond'"
    screen:resize(20, 70)
    screen:write "\r"
    screen:expect 'a line that is short and grows beyond"\n>'
    type_line(screen, "local t = { ('x'):rep(30), ('y'):rep(20) } return t")
    screen:expect('{ "' .. ("x"):rep(30) .. '", "' .. ("y"):rep(20) .. '" }\n>')
    screen:resize(20, 50)
    type_line(screen, "'a turn for the news'")
    screen:expect('for the news"\n>')
    type_line(screen, "t")
    screen:expect('{\n  "' .. ("x"):rep(30) .. '",\n  "' .. ("y"):rep(20) .. '",\n}\n>')
  end)

  it("draws the line again after a question for a right, which typed-ahead keys do not answer", function()
    assert(mw.fs.write(dir.path .. "/data", "the data"))
    local screen <close> = start()
    type_line(screen, ("print(mw.fs.read '%s/data')"):format(dir.path))
    screen:expect "n no:"
    screen:write "y\r"
    screen:expect "the data\n>"
    type_line(screen, ("mw.task.spawn(function() print(pcall(mw.fs.read, '%s/data')) end)"):format(dir.path))
    screen:expect "line 2:1 asks: read"
    screen:expect_line "          y once, a always until exit, n no: "
    screen:write "n\r"
    screen:expect "denied"
    screen:expect_line "> "
  end)

  it("takes Ctrl-C at a question for no and the end of the line, and stays", function()
    local screen <close> = start()
    type_line(screen, "mw.fs.read '/data'")
    screen:expect_line "          y once, a always until exit, n no: "
    screen:write(CTRL_C)
    screen:expect "denied"
    screen:expect_line "> "
    type_line(screen, "asker = mw.task.spawn(function() print(pcall(mw.fs.read, '/other')) end)")
    screen:expect "read /other"
    screen:expect_line "          y once, a always until exit, n no: "
    screen:write(CTRL_C)
    screen:expect "denied"
    screen:expect_line "> "
    type_line(screen, "'still ' .. 'there'")
    screen:expect '"still there"'
    assert.equal(0, leave(screen))
  end)

  it("gives a child that takes the terminal its own modes, and has them back", function()
    local screen <close> = start { "-A" }
    type_line(screen, [[ask = "stty -a | tr ' ' '\\n' | grep -xE -- '-?(icanon|echo);?' | tr '\\n' ' '; stty raw -echo"]])
    type_line(screen, "mw.process.run({ 'sh', '-c', ask, stdin = 'inherit', stdout = 'inherit' }).code")
    screen:expect "icanon echo"
    screen:expect_line "> "
    type_line(screen, "io.read 'l'")
    screen:write "typed\r"
    screen:expect '"typed"'
    screen:expect_line "> "
    screen:write("'edit'" .. LEFT .. "ed")
    screen:expect "> 'edited'"
  end)
end)
