--- The prompt without a terminal, and on one that can do little: lines in, results out. Knows: the program under test.
local mw = require "moonwire"
local Screen = require "spec.support.screen"
local process = mw.process
local program = os.getenv("MOONWIRE") or "moonwire"

local function repl(input, ...)
  return assert(process.run { program, "repl", ..., stdin = input, timeout = 60 })
end

describe("the prompt without a terminal", function()
  it("prints results on standard output, and neither banner nor prompt", function()
    local r = repl "1 + 1\nlocal x = 20\nx * 2\nfor i = 1, 2 do\n  print('row', i)\nend\n"
    assert.same({ 0, "2\n40\nrow\t1\nrow\t2\n", "" }, { r.code, r.stdout, r.stderr })
  end)

  it("tells errors on standard error, and ends with 1 when the last line failed", function()
    local r = repl "error 'first'\n'goes on'\n"
    assert.equal(0, r.code)
    assert.equal('"goes on"\n', r.stdout)
    assert.truthy(r.stderr:find "stdin:1: first")
    assert.equal(1, repl("1\nerror 'last'\n").code)
    assert.equal(1, repl("1\nthis is no Lua\n").code)
    assert.equal(77, repl("mw.fs.read '/etc/passwd'\n").code)
    assert.equal(7, repl("mw.exit(7)\nprint 'never'\n").code)
  end)

  it("needs no newline at the end, and tells of a statement that has none", function()
    assert.same({ 0, "2\n" }, { repl("1 + 1").code, repl("1 + 1").stdout })
    local r = repl "print 'begun'\nfor i = 1, 2 do\n"
    assert.equal(1, r.code)
    assert.equal("begun\n", r.stdout)
    assert.truthy(r.stderr:find("the input ends inside a statement", 1, true), r.stderr)
    assert.same({ 0, "", "" }, { repl("").code, repl("").stdout, repl("").stderr })
  end)

  it("fails where its input cannot be read", function()
    local r = assert(process.run { "sh", "-c", '"$0" repl </', program, timeout = 60 })
    assert.same({ 1, "", "moonwire: repl standard input: is a directory\n" }, { r.code, r.stdout, r.stderr })
  end)

  it("works with Lua's own functions, whatever becomes of the script's", function()
    for _, loss in ipairs { "for name in pairs(_G) do _G[name] = nil end",
      "for _, lib in ipairs { string, table, math, utf8, io, os, debug, coroutine } do for name in pairs(lib) do lib[name] = nil end end",
      "pcall, setmetatable, type, tostring = error, error, error, error" } do
      local r = repl(loss .. "\n{ a = 'grün', 2 }\nx = )\nq.w = 1\n.tasks\n.top\n.help top\n.doc process.run\n.time 1 + 1\n.bg 1\n4.5\n")
      assert.truthy(r.stdout:find('{ 2, a = "grün" }', 1, true), r.stdout)
      assert.truthy(r.stdout:find("4.5\n", 1, true), r.stdout)
      assert.truthy(r.stderr:find("unexpected symbol near ')'", 1, true), r.stderr)
      assert.falsy(r.stderr:find("[moonwire", 1, true), r.stderr)
    end
  end)

  it("takes a line of some MiB", function()
    local long = ("x"):rep(3 << 20)
    local r = repl("#'" .. long .. "'\n'after'", "--limit=step=60s")
    assert.equal((3 << 20) .. '\n"after"\n', r.stdout)
  end)

  it("takes nothing of what follows the line that it evaluates", function()
    local child = [[mw.process.run { "sh", "-c", "read name; echo hello $name", stdin = "inherit" }.stdout]]
    local input = child .. "\nsomebody\n.exit\nthe rest\n"
    assert.equal('"hello somebody\\n"\n', repl(input, "-A").stdout)
    local dir <close> = assert(mw.fs.tempdir())
    assert(mw.fs.write(dir.path .. "/lines", input))
    local r = process.run { "sh", "-c", "{ \"$0\" repl -A; cat; } < " .. dir.path .. "/lines", program, timeout = 60 }
    assert.equal('"hello somebody\\n"\nthe rest\n', r.stdout)
    r = process.run { "sh", "-c", "cat " .. dir.path .. "/lines | { \"$0\" repl -A; cat; }", program, timeout = 60 }
    assert.equal('"hello somebody\\n"\nthe rest\n', r.stdout)
  end)

  it("evaluates a line as soon as it has come", function()
    local child <close> = assert(process.spawn { program, "repl", stdin = "pipe", stdout = "pipe" })
    for i = 1, 3 do
      assert(child.stdin:write(i .. " * 10\n"))
      assert.equal(tostring(i * 10), child.stdout:read("l", { timeout = 30 }))
    end
    child.stdin:close()
    assert.equal(0, child:wait({ timeout = 30 }).code)
  end)

  it("keeps timers and servers alive between lines", function()
    local child <close> = assert(process.spawn { program, "repl", stdin = "pipe", stdout = "pipe" })
    assert(child.stdin:write "mw.task.spawn(function() mw.task.sleep(0.01) print 'later' end) print 'now'\n")
    assert.equal("now", child.stdout:read("l", { timeout = 30 }))
    assert.equal("later", child.stdout:read("l", { timeout = 30 }))
    child.stdin:close()
    assert.equal(0, child:wait({ timeout = 30 }).code)
  end)

  it("is bound by the rights it is given, and held by the kernel where nobody can be asked", function()
    local dir <close> = assert(mw.fs.tempdir())
    assert(mw.fs.write(dir.path .. "/data", "the data"))
    local line = ("mw.fs.read '%s/data'\n"):format(dir.path)
    assert.equal('"the data"\n', repl(line, "--allow-read=" .. dir.path).stdout)
    assert.equal('"the data"\n', repl(line, "--allow-read=" .. dir.path, "--confine=strict").stdout)
    local r = repl(line)
    assert.truthy(r.stderr:find("denied", 1, true))
  end)
end)

describe("the prompt on a dumb terminal", function()
  local has = process.run { "sh", "-c", "exec 2>/dev/null 3</dev/tty && echo yes", pty = true, timeout = 60 }
  if not has or has.stdout == "" then return pending "the fallback spawner gives no controlling terminal" end

  local function start()
    local screen = Screen.start { program, "repl", cols = 60, env = { TERM = "dumb", HOME = "/nonexistent" } }
    screen:expect_line "> "
    return screen
  end

  it("asks for lines and obeys no escape sequence", function()
    local screen <close> = start()
    screen:write "1 + 1\r"
    screen:expect "> 1 + 1\n2\n>"
    screen:write "for i = 1, 2 do\r"
    screen:expect_line ">> "
    screen:write "print(i) end\r"
    screen:expect "\n1\n2\n>"
    screen:write "error 'no'\r"
    screen:expect "error: no"
    screen:expect_line "> "
    screen:write "\4"
    assert.equal(0, screen:finish().code)
    assert.falsy(screen.raw:find "\27")
  end)

  it("clears the line at Ctrl-C, and cancels one that runs", function()
    local screen <close> = start()
    screen:write "not this"
    screen:expect "not this"
    screen:write "\3"
    screen:expect "^C\n>"
    screen:write "print 'on'; mw.task.wait()\r"
    screen:expect "\non"
    screen:write "\3"
    screen:expect "interrupted\n>"
    screen:write "\4"
    assert.equal(0, screen:finish().code)
  end)
end)
