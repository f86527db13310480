--- Completion at the prompt: what is offered, how a call goes, and that nothing is run for it.
local mw = require "moonwire"
local complete = require("moonwire.repl_complete").complete

local env

local function ask(text, at)
  return complete(env, text, at or #text)
end

local function texts(text, at)
  local list = {}
  for i, item in ipairs(ask(text, at).items) do list[i] = item.text end
  return list
end

local function has(text, name)
  for _, item in ipairs(ask(text).items) do
    if item.text == name then return item end
  end
end

--- Raises when it is touched.
local function trap(fields)
  local function touched() error("touched") end
  return setmetatable(fields or {}, {
    __index = touched, __pairs = touched, __len = touched, __call = touched, __name = "trap", __tostring = touched, __eq = touched,
  })
end

describe("completion", function()
  before_each(function()
    env = setmetatable({ mw = mw }, { __index = _G })
  end)

  describe("of names", function()
    it("knows globals, the session's own, and words of the language", function()
      env.colour = "red"
      assert.same({ "collectgarbage", "colour", "coroutine" }, texts("co"))
      assert.same({ "local" }, texts("loca"))
      assert.equal("string", has("col", "colour").kind)
      assert.equal("keyword", has("loca", "local").kind)
      assert.equal("function", has("pri", "print").kind)
    end)

    it("gives where the word begins, in bytes from 0, and leaves what is behind the cursor", function()
      assert.equal(0, ask("pri").from)
      assert.equal(4, ask("x = pri").from)
      assert.same({ "print" }, texts("x = prixyz", 7))
      assert.equal(4, ask("x = prixyz", 7).from)
      assert.equal(10, ask('x="grün" pri').from)
    end)

    it("knows what the line itself has declared", function()
      assert.same({ "alpha" }, texts("local alpha, beta = 1, 2; print(al"))
      assert.same({ "gamma" }, texts("for gamma, delta in pairs(t) do print(gam"))
      assert.same({ "omega" }, texts("local function f(theta, omega) return ome"))
      assert.equal("local", has("local alpha = 1 print(al", "alpha").kind)
    end)

    it("offers every name where nothing was typed, and no word of the language there", function()
      assert.is_truthy(has("", "print"))
      assert.is_nil(has("", "while"))
      assert.is_truthy(has("print(", "mw"))
    end)

    it("offers no name that would be a new one", function()
      assert.same({ "function" }, texts("local fun"))
      assert.same({}, texts("local pri"))
      assert.same({}, texts("goto pri"))
    end)

    it("offers nothing behind what is whole", function()
      assert.same({}, texts("x = 12"))
      assert.same({}, texts('x = "a"'))
      assert.same({}, texts("f()"))
      assert.same({}, texts("t[1]"))
    end)

    it("offers words of the language behind an expression, and names once one begins", function()
      env.thing = 1
      assert.same({ "then", "thing" }, (function()
        local list = texts("if x th")
        table.sort(list)
        return list
      end)())
      assert.is_nil(has("if x ", "print"))
      assert.is_truthy(has("mw.task.spawn(function() thi", "thing"))
    end)

    it("shows the parameters of a script's own function", function()
      env.resize = function(width, height, ...) return width, height, ... end
      assert.equal("resize(width, height, ...)", has("resi", "resize").signature)
    end)
  end)

  describe("of members", function()
    it("lists all parts of mw without loading one", function()
      local code = [[
        local mw = require "moonwire"
        local r = require("moonwire.repl_complete").complete({ mw = mw }, "mw.", 3)
        local n = 0
        for _, item in ipairs(r.items) do n = n + 1 end
        print(n > 25, rawget(mw, "supervisor"), rawget(mw, "metrics"), rawget(mw, "rpc"), rawget(mw, "process"))
      ]]
      local dir <close> = mw.fs.tempdir()
      mw.fs.write(dir.path .. "/x.lua", code)
      local r = assert(mw.process.run{ script = dir.path .. "/x.lua", permissions = "inherit" })
      assert.equal("true\tnil\tnil\tnil\tnil\n", r.stdout .. r.stderr)
      assert.same({ "process" }, texts("mw.pro"))
      assert.equal("part", has("mw.pro", "process").kind)
      assert.is_truthy(has("mw.", "exit"))
    end)

    it("shows the functions of a part with how they are called", function()
      assert.equal("run(options) -> result?, err?", has("mw.process.r", "run").signature)
      env.process = mw.process
      assert.equal("run(options) -> result?, err?", has("process.r", "run").signature)
    end)

    it("follows fields and constant indexes", function()
      env.t = { list = { { name = "x" } }, map = { ["a key"] = { deep = 1 } } }
      assert.same({ "list", "map" }, texts("t."))
      assert.same({ "name" }, texts("t.list[1]."))
      assert.same({ "deep" }, texts("t.map['a key'].d"))
      assert.same({ "deep" }, texts('(t.map["a key"]).d'))
      assert.same({}, texts("t.list[i]."))
      assert.same({}, texts("t.nothing.more."))
    end)

    it("knows the methods of our own objects, however protected", function()
      local srv <close> = assert(mw.net.listen("unix:@mw-complete-" .. mw.sys.pid()))
      env.srv = srv
      assert.is_truthy(has("srv:", "accept"))
      assert.is_truthy(has("srv.", "close"))
      assert.equal("method", has("srv:acc", "accept").kind)
      local conn <close> = assert(mw.net.connect(srv:address()))
      env.conn = conn
      assert.is_truthy(has("conn:", "read_until"))
      assert.is_truthy(has("conn:fr", "framed").signature:find("^framed%(format, options%?%)"))
      assert.same({}, texts("conn:nothing"))
    end)

    it("sees the fields of a child, and the methods of what they are", function()
      local child <close> = assert(mw.process.spawn{ "cat", stdin = "pipe", stdout = "pipe" })
      env.children = { child }
      assert.is_truthy(has("children[1].", "pid"))
      assert.is_truthy(has("children[1]:", "kill"))
      assert.is_nil(has("children[1]:", "pid"))
      assert.same({ "write" }, texts("children[1].stdin:wr"))
      assert.same({ "stdin", "stdout", "stop", "stream" }, texts("children[1].st"))
    end)

    it("knows classes that are Lua, and shows nothing private of them", function()
      env.sem = mw.task.semaphore(1)
      assert.is_truthy(has("sem:", "acquire"))
      local channel = mw.task.channel(1)
      env.ch = channel
      assert.is_truthy(has("ch:", "try_send"))
      assert.is_nil(has("sem.", "queue"))
    end)

    it("knows classes of a script", function()
      local Base = {}
      Base.__index = Base
      function Base.bark() end
      local Class = setmetatable({}, Base)
      Class.__index = Class
      function Class:run(far) return self, far end
      env.dog = setmetatable({ name = "x" }, Class)
      assert.same({ "bark", "run" }, texts("dog:"))
      assert.same({ "bark", "name", "run" }, texts("dog."))
      assert.equal("run(self, far)", has("dog:r", "run").signature)
    end)

    it("knows the methods of strings", function()
      assert.same({ "rep", "reverse" }, texts('("x"):re'))
      assert.same({ "rep", "reverse" }, texts("('x'):re"))
      assert.same({ "rep", "reverse" }, texts("([[x]]):re"))
      env.name = "x"
      assert.same({ "upper" }, texts("name:up"))
      env.t = { name = "x" }
      assert.same({ "upper" }, texts("t.name:up"))
    end)

    it("knows what a call of ours would give, without calling", function()
      assert.is_truthy(has('mw.net.connect("tcp://127.0.0.1:1"):', "framed"))
      assert.is_truthy(has('mw.process.spawn{ "nothing" }.std', "stdin"))
      assert.is_truthy(has('mw.process.spawn{ "nothing" }.stdin:wr', "write"))
      assert.is_truthy(has('require("moonwire").pro', "process"))
      assert.is_truthy(has('require "moonwire".process.ru', "run"))
      env.f = function() error("called") end
      assert.same({}, texts("f()."))
      assert.same({}, texts("f{}:"))
      assert.same({}, texts("f'x'."))
    end)

    it("offers the variables of the environment that may be seen", function()
      for name in pairs(mw.env) do
        if name:match("^[%a_][%w_]*$") then
          assert.is_truthy(has("mw.env." .. name, name))
          break
        end
      end
      assert.is_truthy(has("mw.env.ge", "get"))
    end)

    it("shows names that begin with two lines below only when asked", function()
      env.t = { __secret = 1, _own = 2, plain = 3 }
      assert.same({ "plain", "_own" }, texts("t."))
      assert.same({ "__secret" }, texts("t.__"))
    end)

    it("leaves out keys that are no names", function()
      env.t = { ["a b"] = 1, [1] = 2, ["grün"] = 3, good = 4, [("x"):rep(200)] = 5, ["\27[31m"] = 6 }
      assert.same({ "good" }, texts("t."))
    end)

    it("looks into a table by a string's beginning, too", function()
      env.t = { alpha = 1, beta = 2 }
      assert.same({ "alpha" }, texts('t["al'))
    end)
  end)

  describe("of calls", function()
    it("tells how the call goes that the cursor is in", function()
      assert.equal("mw.process.run(options) -> result?, err?", ask('mw.process.run{ "ls", ').hint)
      assert.equal("mw.task.sleep(seconds)", ask("mw.task.sleep(").hint)
      env.f = function(a, b) return a, b end
      assert.equal("f(a, b)", ask("print(f(1, ").hint)
      assert.equal("f(a, b)", ask("f(g(1), { 2 }, ").hint)
      assert.is_nil(ask("f(1) ").hint)
      assert.is_nil(ask("f(function() local x = ").hint)
      assert.equal("f(a, b)", ask("f(function() if x then y() end end, ").hint)
    end)

    it("offers the options of a constructor, and then their signature", function()
      assert.same({ "cwd = " }, texts('mw.process.run{ "ls", cw'))
      assert.is_truthy(has('mw.net.listen("unix:/x", { un', "unlink = "))
      assert.is_truthy(has('mw.net.listen("unix:/x", { unlink = true, id', "idle_timeout = "))
      assert.is_truthy(has('mw.net.connect("tcp://x:1", { retry = { ', "attempts = "))
      assert.is_nil(has('mw.net.connect("tcp://x:1", { retry = { ', "timeout = "))
      assert.equal("option", has('mw.process.run{ "ls", cw', "cwd = ").kind)
      assert.equal(22, ask('mw.process.run{ "ls", cw').from)
    end)

    it("knows options of methods", function()
      local child <close> = assert(mw.process.spawn{ "cat", stdin = "pipe", stdout = "pipe" })
      env.child = child
      assert.is_truthy(has('child:stream():read("l", { ti', "timeout = "))
      assert.is_truthy(has('child.stdin:framed("u32le", { ba', "batch = "))
    end)

    it("offers no option where a value stands", function()
      assert.is_nil(has("mw.process.run{ cwd = cw", "cwd = "))
      assert.is_nil(has("mw.process.run(cw", "cwd = "))
      assert.is_nil(has("x = { cw", "cwd = "))
    end)
  end)

  describe("in strings", function()
    it("offers the words that the argument may be", function()
      local child <close> = assert(mw.process.spawn{ "cat", stdin = "pipe", stdout = "pipe" })
      env.child = child
      assert.same({ "u32be", "u32le" }, texts('child.stdin:framed("u3'))
      assert.is_truthy(has('child:kill("', "TERM"))
      assert.same({ "USR1", "USR2" }, texts('mw.on_signal("US'))
      assert.is_truthy(has('mw.permissions.query("re', "read"))
      assert.is_truthy(has('mw.process.run{ "ls", stdout = "in', "inherit"))
      assert.is_truthy(has("mw.process.run{ 'ls', kill_signal = 'T", "TERM"))
    end)

    it("offers modules to require, and files nowhere", function()
      assert.same({ "moonwire.process" }, texts('require "moonwire.pro'))
      assert.same({ "moonwire.process" }, texts('require("moonwire.pro'))
      assert.is_truthy(has("require 'moon", "moonwire"))
      assert.is_nil(has('require "moonwire.', "moonwire.test"))
      assert.same({}, texts('io.open("/et'))
      assert.same({}, texts('x = "/et'))
    end)

    it("offers nothing else in strings and comments", function()
      assert.same({}, texts('"pri'))
      assert.same({}, texts("'mw."))
      assert.same({}, texts("[[mw."))
      assert.same({}, texts("[==[ ]] mw."))
      assert.same({}, texts("-- mw."))
      assert.same({}, texts("--[[ mw.\n pri"))
      assert.same({}, texts('"a \\" mw.'))
      assert.same({ "process" }, texts("-- x\nmw.pro"))
      assert.same({ "process" }, texts('"x"; mw.pro'))
    end)
  end)

  describe("of dot commands", function()
    it("offers the commands, and the arguments that they take", function()
      assert.same({ "help" }, texts(".he"))
      assert.equal(1, ask(".he").from)
      assert.is_truthy(has(".", "tasks"))
      assert.same({ "process" }, texts(".doc mw.pro"))
      assert.same({ "process" }, texts(".doc pro"))
      assert.equal(5, ask(".doc pro").from)
      assert.equal(8, ask(".doc mw.pro").from)
      assert.same({ "run" }, texts(".doc process.ru"))
      assert.same({ "tasks", "time", "top", "trace" }, texts(".help t"))
      assert.is_truthy(has(".time mw.process.ru", "run"))
      assert.is_truthy(has(".bg mw.process.ru", "run"))
      assert.same({ "query" }, texts(".perm q"))
      assert.same({ "read", "run" }, texts(".perm query r"))
      assert.same({ "off", "on" }, texts(".trace o"))
      assert.same({}, texts(".exit x"))
    end)

    it("offers the paths that may be read", function()
      local dir <close> = mw.fs.tempdir()
      mw.fs.write(dir.path .. "/alpha.lua", "")
      mw.fs.write(dir.path .. "/.hidden", "")
      mw.fs.mkdir(dir.path .. "/album")
      local r = ask(".load " .. dir.path .. "/al")
      assert.equal("album/", r.items[1].text)
      assert.equal("alpha.lua", r.items[2].text)
      assert.equal(#dir.path + 7, r.from)
      assert.same({ ".hidden" }, texts(".load " .. dir.path .. "/.h"))
      assert.same({}, texts(".load " .. dir.path .. "/nothing/"))
    end)

    it("tells nothing of folders that may not be read, and asks nobody", function()
      local dir <close> = mw.fs.tempdir()
      mw.fs.write(dir.path .. "/x.lua", [[
        local complete = require("moonwire.repl_complete").complete
        require("moonwire").permissions.drop("read")
        print(#complete({}, ".load /etc/", 11).items, #complete({}, ".load ", 6).items)
      ]])
      local r = assert(mw.process.run{ script = dir.path .. "/x.lua", permissions = "inherit" })
      assert.equal("0\t0\n", r.stdout .. r.stderr)
    end)
  end)

  describe("of what does not want to be touched", function()
    it("calls no metamethod of a script", function()
      env.t = trap{ own = 1, inner = trap{ deep = 2 } }
      assert.same({ "inner", "own" }, texts("t."))
      assert.same({ "deep" }, texts("t.inner."))
      assert.same({}, texts("t.other."))
      assert.same({}, texts("t.other.more"))
      assert.same({}, texts("t[1]."))
      assert.same({}, texts("t():"))
      assert.is_nil(ask("t(").hint)
      assert.same({ "own" }, texts('t["o'))
    end)

    it("ends where tables stand behind one another for ever", function()
      local a, b = {}, {}
      setmetatable(a, { __index = b })
      setmetatable(b, { __index = a })
      a.one, b.two = 1, 2
      env.a = a
      assert.same({ "one", "two" }, texts("a."))
      assert.same({}, texts("a.three."))
    end)

    it("gives 1,000 at most and says how many more there are", function()
      local t = {}
      for i = 1, 2500 do t["n" .. i] = i end
      env.t = t
      local r = ask("t.n")
      assert.equal(1000, #r.items)
      assert.equal(1500, r.rest)
    end)

    it("does not look at more than it can in a moment", function()
      local t = {}
      for i = 1, 300000 do t["k" .. i] = i end
      env.t = t
      local r = ask("t.k")
      assert.equal(1000, #r.items)
      assert.is_true(r.rest > 0)
    end)

    it("stands any text, with the cursor anywhere", function()
      env.t = { x = "y" }
      local words = { "t", ".", ":", "(", ")", "{", "}", "[", "]", '"', "'", "[[", "]]", "--", "\n", " ", "=", ",", "x", "1", "..", "end",
        "function", "mw", "process", "run", "\\", "\xff", "ü", "\0", "#", "local", "[=[", "require" }
      local seed = 7
      local function chance(n)
        seed = (seed * 1103515245 + 12345) % 0x80000000
        return seed // 65536 % n + 1
      end
      for _ = 1, 3000 do
        local parts = {}
        for i = 1, chance(14) do parts[i] = words[chance(#words)] end
        local text = table.concat(parts)
        local at = chance(#text + 1) - 1
        local r = ask(text, at)
        assert.is_true(r.from >= 0 and r.from <= at)
      end
      assert.same({}, texts(("("):rep(70000)))
      assert.same({}, texts(("a."):rep(5000)))
      assert.is_table(ask("x", -5).items)
      assert.is_table(ask("x", 500).items)
    end)
  end)
end)
