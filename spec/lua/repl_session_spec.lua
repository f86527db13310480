--- The session behind the prompt: what lines are, what lasts, what they show, and how it ends.
local mw = require "moonwire"
local new = require "spec.support.repl_session"

--- Each test with a session of its own.
local function with(opts, f)
  return function()
    local s <close> = new(opts)
    local function gives(expected, text)
      local out, wrong = s:line(text)
      assert.equal("", wrong)
      assert.equal(expected, out)
    end
    local function fails(expected, text)
      local out, wrong = s:line(text)
      assert.equal("", out)
      assert.equal(expected, wrong)
    end
    f(s, gives, fails)
  end
end

describe("a line", function()
  it("is an expression if it can be one, else statements", with(nil, function(_, gives)
    gives("2", "1 + 1")
    gives("", "x = 5")
    gives("6", "x + 1")
    gives("7", "return x + 2")
    gives('"a"', '"a"')
    gives("", "do end")
    gives("nil", "nothing")
  end))

  it("wants more while it is incomplete", with(nil, function(s)
    for _, text in ipairs { "for i = 1, 3 do", "x = {", "1 +", "f(", "x = [[", "--[[", "if a then", "function f()", "'a\\\n",
      "local x =" } do
      assert.equal("more", (s.session:submit(text)), text)
    end
    assert.equal("empty", (s.session:submit("")))
    assert.equal("empty", (s.session:submit("  -- nothing")))
  end))

  it("may be several, which run one after the other", with(nil, function(_, gives)
    gives("3\n4", "local a = 3\na\nlocal b = a + 1\nb")
    gives("6", "local n = 0\nfor i = 1, 3 do\n  n = n + i\nend\nn")
    gives('"x"\n{ 1 }', "'x'\n{\n1\n}")
  end))

  it("runs nothing of several when one of them is wrong", with(nil, function(_, gives, fails)
    fails("syntax error: line 2: unexpected symbol near ')'\n  x = )\n      ^", "ran = true\nx = )")
    gives("nil", "ran")
  end))

  it("has its syntax error pointed at", with(nil, function(_, _, fails)
    fails("syntax error: unexpected symbol near '='\n  x = = 3\n      ^", "x = = 3")
    fails("syntax error: unexpected symbol near ')'\n  x = 'grün' .. )\n                ^", "x = 'grün' .. )")
    fails("syntax error: unfinished string near the end\n  x = \"abc\n      ^", 'x = "abc')
    fails("syntax error: unexpected symbol near 'do'\n  if do() then do end do\n     ^", "if do() then do end do")
    fails("syntax error: malformed number near '3x'\n  y = 3x\n      ^", "y = 3x")
  end))

  it("has its values named", with(nil, function(_, gives)
    gives('_  = 1\n_2 = "b"\n_3 = nil', '1, "b", nil')
    gives('"b"', "_2")
    gives('"b"', "_")
    gives("nil", "_2")
    gives("", "x = 1")
    gives("nil", "_")
    gives("42", "42")
    gives("", "do end")
    gives("42", "_")
  end))

  it("shows why there is no value as an error would be", with(nil, function(_, gives)
    gives("nil, ENOENT: fs read /none/of/it: no such file or directory", "mw.fs.read('/none/of/it')")
    gives('"ENOENT"', "_2.code")
    gives("nil: /none/of/it: No such file or directory", "io.open('/none/of/it')")
    gives('_  = nil\n_2 = "a"\n_3 = "b"', "nil, 'a', 'b'")
  end))

  it("shows what it raised, and where, if that is not the line itself", with(nil, function(_, gives, fails)
    fails("error: boom", "error 'boom'")
    gives("", "local function f() error 'deep' end")
    fails("error: line 2:1: deep\n  at line 2:1", "f()")
    fails("error: EPARSE: what it is\n  hint: none\n  data: { at = 3 }",
      "local e = select(2, pcall(mw.fail, 'EPARSE', 'what it is', { at = 3 })) e.hint = 'none' error(e)")
    fails("error: (error object is a table value) { a = 1 }", "error { a = 1 }")
    fails("error: nil", "error()")
    fails("error: \\x1b[2J", "error('\\27[2J', 0)")
  end))

  it("has the lines of a long chunk told", with(nil, function(_, _, fails)
    fails("error: line 1:2: attempt to call a nil value (global 'nope')\n  at line 1:2", "local z = 1\nnope()")
  end))

  it("is a task, so what it starts lives on and one error cancels nobody", with(nil, function(s, gives)
    gives("", "ticks = 0 ; _ENV.timer = mw.task.spawn(function() while true do mw.task.sleep(0.001) ticks = ticks + 1 end end)")
    gives("", "mw.task.spawn_with({ name = 'bob' }, function() error 'alone' end) ; do end")
    s:until_true(function() return #s.wrong > 0 end)
    assert.truthy(s.wrong[1]:find('^task %d+ "bob" failed\nerror: line 2:1: alone\n'))
    assert.falsy(s.wrong[1]:find("function function", 1, true))
    gives("true", "local was = ticks repeat mw.task.sleep(0.001) until ticks > was return true")
    gives("false", "timer:done()")
  end))

  it("waits for the one before it", with(nil, function(s)
    s.session:submit("mw.task.sleep(0.01) print = nil return 'first'")
    s.session:submit("'second'")
    s:until_true(function() return #s.shown == 2 end)
    assert.same({ '"first"', '"second"' }, s.shown)
  end))

  it("is cancelled by Ctrl-C, and nothing else is", with(nil, function(s, gives)
    gives("", "local other = mw.task.spawn(mw.task.wait)")
    assert.is_false(s.session:cancel())
    assert.equal("run", (s.session:submit("mw.task.wait()")))
    mw.task.pass()
    assert.is_true(s.session:cancel())
    s:until_true(function() return s.done and s.done.id == 2 end)
    assert.same({ "interrupted" }, s.shown)
    assert.is_true(s.done.failed)
    gives("false", "other:done()")
    assert.is_false(s.session:cancel())
  end))

  it("goes on in the background after Ctrl-Z", with(nil, function(s, gives)
    gives("", "_ENV.go = mw.task.event()")
    s.session:submit("go:wait() return 'late'")
    mw.task.pass()
    assert.is_true(s.session:background())
    assert.equal(2, s.done.id)
    gives("1", "1")
    s:line("go:set()")
    s:until_true(function() return s.shown[#s.shown]:find("late") end)
    assert.equal('line 2:\n"late"', s.shown[#s.shown])
    assert.is_false(s.session:background())
  end))

  it("that fills the memory ends with an error, and the session lives", with(nil, function(s, gives)
    local _, wrong = s:line("local t = {} while true do t[#t + 1] = ('x'):rep(1 << 20) .. #t end")
    collectgarbage()
    assert.truthy(wrong:find("not enough memory", 1, true))
    gives("2", "1 + 1")
  end))
end)

describe("a local", function()
  it("lasts", with(nil, function(_, gives)
    gives("", "local a, b = 1")
    gives("_  = 1\n_2 = nil", "a, b")
    gives("", "b = a + 1")
    gives("2", "b")
    gives("", "local function fact(n) return n < 2 and 1 or n * fact(n - 1) end")
    gives("120", "fact(5)")
  end))

  it("lasts from the middle of a chunk, and up to where one failed", with(nil, function(_, gives, fails)
    gives("", "if true then end local m = 1; local n = m + 1 n = n * 10")
    gives("20", "n")
    fails("error: stop", "local p = 1 error 'stop' local q = 2")
    gives("_  = 1\n_2 = nil", "p, q")
    gives("5", "if true then return 5 end local never = 6")
    gives("nil", "never")
  end))

  it("that takes a name over leaves the closures of the one before alone", with(nil, function(_, gives)
    gives("", "local x = 1 local function get() return x end local function set(v) x = v end")
    gives("", "local x = 'new'")
    gives('_  = "new"\n_2 = 1', "x, get()")
    gives("", "set(7)")
    gives('_  = "new"\n_2 = 7', "x, get()")
    gives("", "local x = x .. '!' local y = function() x = x .. '?' return x end")
    gives('_  = "new!?"\n_2 = "new!?"', "y(), x")
  end))

  it("is none of the globals", with({ globals = { print = print } }, function(_, gives)
    gives("", "local a = 1 b = 2")
    gives("_  = nil\n_2 = 2", "_ENV.a, _ENV.b")
    gives("false", "mw == nil")
  end))

  it("that is constant stays so", with(nil, function(_, gives, fails)
    gives("", "local c <const>, d = 5, 6")
    gives("", "local e <const> = c + d")
    fails("error: attempt to assign to const variable 'c'", "c = 1")
    fails("error: attempt to assign to const variable 'e'", "e = 1")
    gives("", "d = 1")
    gives("_  = 5\n_2 = 1\n_3 = 11", "c, d, e")
    gives("", "local k <const> = 10")
    gives("10", "(function() return k end)()")
    gives("", "local c = 1 c = 2")
    gives("2", "c")
  end))

  it("that is to be closed is closed when the session ends, the last one first", function()
    local order = {}
    local s = new { globals = { order = order, setmetatable = setmetatable, error = error } }
    assert.equal("", (s:line("local function c(n) return setmetatable({}, { __close = function() order[#order + 1] = n end }) end")))
    assert.equal("", (s:line("local a <close>, b = c 'a', 1; local d <close> = c 'd' ; local n <close> = nil")))
    assert.equal("", (s:line("local w <close> = setmetatable({}, { __close = function() error 'wrong' end })")))
    local _, wrong = s:line("local e <close> = 5")
    assert.equal("error: variable 'e' got a non-closable value", wrong)
    _, wrong = s:line("a = 1")
    assert.equal("error: attempt to assign to const variable 'a'", wrong)
    assert.same({}, order)
    assert.equal(0, s:close())
    assert.same({ "d", "a" }, order)
    assert.truthy(s.wrong[#s.wrong]:find("^error: line 3:1: wrong"))
  end)

  it("in strings, comments, blocks and functions is left alone", with(nil, function(_, gives)
    gives('"local x = 1"', "s = 'local x = 1' return s")
    gives("1", "--[[ local q = 1 ]] local t = [==[ local r = 1 ]==] -- local u\nreturn #[[a]]")
    gives("_  = nil\n_2 = nil\n_3 = nil", "q, r, u")
    gives("nil", "do local inner = 1 end return inner")
    gives("3", "local f = function() local g = 3 return g end return f()")
    gives("nil", "g")
    gives("_  = 1\n_2 = 2", "local h = { local_ = 1, ['local'] = 2 } return h.local_, h['local']")
    gives("4", "repeat local i = 4 until i == 4 local j = 4 return j")
    gives('"ab"', [[local k = "a\z
       b" return k]])
  end))

  it("ends where its values do", with(nil, function(_, gives)
    gives("6", "local a = (function() return 1 end)() + #{ 1, 2 } * 2 + 1 (function() end)() return a")
    gives("", "local b = 5 (print or print)('') ; local c = {} (function() end)()")
    gives("_  = 5\n_2 = {}", "b, c")
    gives("", "local d = 'x' local e = ('y'):rep(2) local f = mw.inspect{1} local g = not not -~#d")
    gives('_  = "x"\n_2 = "yy"\n_3 = "{ 1 }"\n_4 = true', "d, e, f, g")
    gives("", "local h, i = function() if x then return 1 end end, 2 ; ; local j = h")
    gives("true", "h == j")
  end))

  it("may be _ENV, and be many", with(nil, function(_, gives)
    local names = {}
    for n = 1, 300 do names[n] = "local v" .. n .. " = " .. n end
    gives("", table.concat(names, "\n"))
    gives("300", "v300")
    gives("", "local _ENV = { x = 5 }")
    gives("5", "x")
    gives("", "y = 6")
    gives("6", "_ENV.y")
  end))
end)

describe("a session", function()
  it("counts the lines of what is no terminal, and ends as the last one did", function()
    local s = new { terminal = false }
    s:line("x = 1")
    s:line("for i = 1, 2 do\n  x = i\nend")
    local _, wrong = s:line("error 'here'")
    assert.equal("error: stdin:5: here\n  at stdin:5", wrong)
    assert.equal(1, s:close())
    local t = new { terminal = false }
    t:line("error 'here'")
    t:line("x = 1")
    assert.equal(0, t:close())
    t = new { terminal = false }
    t.session:submit("for i = 1, 2 do")
    assert.equal(1, t:close())
    t = new { terminal = false }
    t:line("mw.fail('EDENIED', 'no')")
    assert.equal(77, t:close())
    t = new { terminal = false }
    t.session:submit(".exit 9")
    assert.equal(9, t.session:wait())
  end)

  it("cancels what it started when it is left, and says so", function()
    local log = {}
    local s = new { locals = { log = log } }
    s:line("mw.task.spawn(function() mw.task.shield(function() log[1] = 'began' end) mw.task.wait() end)")
    s.session:submit("mw.task.wait()")
    mw.task.pass()
    assert.equal(0, s:close())
    assert.same({ "began" }, log)
    assert.same({}, s.wrong)
    local last = s.events[#s.events]
    assert.equal("repl.exit", last.topic)
    assert.equal(0, last.message.code)
    assert.equal("empty", (s.session:submit("1")))
  end)

  it("is garbage once it has ended", function()
    local weak = setmetatable({}, { __mode = "v" })
    do
      weak[1] = {}
      local s <close> = new { locals = { probe = weak[1] } }
      s:line("local t = probe")
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)

  it("shows nothing of its insides to the scripts that run in it", with(nil, function(s, _, fails)
    for _, name in ipairs { "locals", "show", "scope", "host", "ours", "me" } do assert.is_nil(s.session[name]) end
    for _, name in ipairs { "repl", "repl_eval", "repl_show", "repl_commands", "repl_top", "inspect_walk" } do
      assert.is_false((pcall(require, "moonwire." .. name)))
    end
    fails("error: attempt to index a nil value (field 'getupvalue')", "debug.getupvalue.x = 1")
  end))

  it("has nothing behind the names that its own chunks use", with(nil, function(_, gives)
    gives("{}", "(function() return moonwire_went_on end)()")
  end))

  it("keeps no more than it must of what it printed", function()
    local s <close> = new()
    local function round()
      for i = 1, 300 do s:line("('x'):rep(100000), {}, " .. i) end
      s:line("1")
      s.shown, s.events = {}, {}
      collectgarbage()
      return collectgarbage("count")
    end
    round()
    local before = round()
    assert.is_true(round() - before < 100, "300 lines of 100 kB left something behind")
  end)
end)

describe("what is shown", function()
  it("is folded when it is long, and as wide as the terminal", with({ columns = 40 }, function(s)
    local out = s:line("local t = {} for i = 1, 10000 do t[i] = i end return t")
    assert.truthy(out:find("... 9,960 more entries", 1, true))
    for line in out:gmatch("[^\n]+") do assert.is_true(#line <= 40, line) end
    out = s:line("('x'):rep(1000000)")
    assert.is_true(#out < 2200)
    assert.truthy(out:find(".. <997952 more bytes>", 1, true))
    out = s:line("{ name = 'a long name for one', other = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 } }")
    for line in out:gmatch("[^\n]+") do assert.is_true(#line <= 40, line) end
  end))

  it("has colours only where they are wanted", function()
    local s <close> = new { colour = true }
    assert.equal("\27[36m2\27[0m", (s:line("1 + 1")))
    assert.truthy(s:line("{ 1, 'a', nil, true, print }"):find("\27[32m\"a\"\27[0m", 1, true))
    local _, wrong = s:line("error 'x'")
    assert.equal("\27[31merror: x\27[0m", wrong)
    local t <close> = new()
    assert.is_nil(t:line("{ 1, 'a', nil, true, print }"):find("\27", 1, true))
  end)

  it("cannot talk to the terminal", with(nil, function(_, gives, fails)
    gives('"\\x1b]0;title\\x07"', "'\\27]0;title\\7'")
    gives('"\\xc2\\x9b2J"', "'\\u{9b}2J'")
    gives('"\\xe2\\x80\\xae"', "'\\u{202e}'")
    gives("<\\x1b[2J>", "setmetatable({}, { __tostring = function() return '\\27[2J' end })")
    gives('{ ["\\x1b[2J"] = 1 }', "{ ['\\27[2J'] = 1 }")
    gives("nil: \\x1b[2J", "nil, '\\27[2J'")
    fails("error: EPARSE: \\x1b[2J", "mw.fail('EPARSE', '\\27[2J')")
    fails("syntax error: unexpected symbol near '<\\27>'\n  x = \\x1b[2J", "x = \27[2J")
    gives("ECANCELED: \\x1b[2J", "mw.fail('ECANCELED', '\\27[2J')")
  end))

  it("escapes the names of tasks that failed", with(nil, function(s)
    s:line("t = mw.task.spawn_with({ name = '\27[2J' }, error, 'x')")
    s:until_true(function() return table.concat(s.wrong):find("failed", 1, true) end)
    assert.truthy(table.concat(s.wrong):find('"\\x1b[2J" failed', 1, true), table.concat(s.wrong))
  end))

  it("calls nothing that could change something, nor waits for what takes for ever", with(nil, function(_, gives)
    gives("{ a = 1 }", "setmetatable({ a = 1 }, { __index = error, __len = error, __pairs = error, __eq = error, __lt = error })")
    gives("<table: its __tostring takes too long>", "setmetatable({}, { __tostring = function() while true do end end })")
    gives("<table: its __tostring takes too long>", "setmetatable({}, { __tostring = function() while true do pcall(error) end end })")
    gives("<table: its __tostring failed>", "setmetatable({}, { __tostring = function() mw.task.sleep(1) end })")
  end))
end)
