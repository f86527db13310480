--- Limits: each bomb in a fresh `moonwire run`, which must end by itself, with the status and the words it should.
--- Knows: MOONWIRE, the program under test. Never: how long something takes; who hangs is ended by the runner's own time.
local mw = require "moonwire"

local STEP = "step: 0.1 s of processor time without waiting (the limit is set with --limit=step=...)"

--- Runs `code` as a script with few rights; what came of it.
local function run(code, ...)
  local dir <close> = assert(mw.fs.tempdir())
  local script = dir.path .. "/bomb.lua"
  assert(mw.fs.write(script, "local mw = require 'moonwire'; " .. code))
  local argv = { os.getenv "MOONWIRE", "run", "--no-prompt", "--limit=step=100ms,memory=48MiB", timeout = 100 }
  for _, flag in ipairs { ... } do argv[#argv + 1] = flag end
  argv[#argv + 1] = script
  local r = assert(mw.process.run(argv))
  assert.is_false(r.timed_out, code)
  return r
end

local function fails(code, message, ...)
  local r = run(code, ...)
  assert.same({ 1 }, { r.code }, code .. "\n" .. r.stderr)
  assert.truthy(r.stderr:find(message, 1, true), code .. "\n" .. r.stderr)
  return r
end
local function works(code, output, ...)
  local r = run(code, ...)
  assert.same({ 0, output }, { r.code, r.stdout }, code .. "\n" .. r.stderr)
end

describe("a step", function()
  it("that is short, or waits in between, has no end", function()
    works("for _ = 1, 10 do mw.task.sleep(0) for _ = 1, 1e4 do end end print 'done'", "done\n")
  end)

  it("that never waits is ended where it stands", function()
    fails("while true do end", STEP)
    fails("local function f() return f() end f()", STEP)
    fails("goto on ::on:: goto on", STEP)
    fails("for _ = 1, math.huge do end", STEP)
  end)

  it("is ended by an error that can be caught, and tells which limit it was", function()
    works("local ok, err = pcall(function() while true do end end) print(ok, err.code, err)", "false\tELIMIT\t" .. STEP .. "\n")
  end)

  it("that gives an uncaught error its text is one like any other", function()
    local endless = "error(setmetatable({}, { __tostring = function() while true do end end }))"
    fails(endless, "(error object is a table value)")
    fails("mw.task.spawn(function() " .. endless .. " end)", "(error object is a table value)")
    fails("error(setmetatable({}, { __tostring = function() while true do pcall(function() while true do end end) end end }))",
      "(error object is a table value)")
  end)

  it("leaves what is closed on the way out time for it", function()
    local r = fails("local x <close> = setmetatable({}, { __close = function() print 'closed' end }) while true do end", STEP)
    assert.equal("closed\n", r.stdout)
  end)

  it("cannot be kept going by swallowing the error", function()
    fails("local function f() while true do end end while true do pcall(f) end", STEP)
    fails("local function f() while true do end end " ..
      "while true do pcall(coroutine.wrap(function() while true do pcall(f) end end)) end", STEP)
    fails("local function f() while true do end end while true do xpcall(f, f) end", STEP)
    fails("local function f() while true do end end print(xpcall(error, f)) while true do pcall(f) end", STEP)
    fails("local c c = function() local x <close> = setmetatable({}, { __close = c }) while true do end end c()", STEP)
    fails("table.sort({ 1, 2, 3 }, function() while true do pcall(function() while true do end end) end end)", STEP)
    fails("string.gsub('abc', '.', function() while true do pcall(function() while true do end end) end end)", STEP)
    fails("while true do coroutine.wrap(function() pcall(function() while true do end end) end)() end", STEP)
    fails("local function f(n) if n > 0 then for _ = 1, 1e9 do coroutine.wrap(f)(n - 1) end end end f(5)", STEP)
    fails("coroutine.close(coroutine.create(print)) local co = coroutine.create(function() " ..
      "local x <close> = setmetatable({}, { __close = function() while true do end end }) coroutine.yield() end) " ..
      "coroutine.resume(co) print(coroutine.close(co)) while true do end", STEP)
  end)

  it("ends its own task only", function()
    local r = fails([[mw.task.scope(function(s)
      mw.task.spawn(function() while true do pcall(function() while true do end end) end end)
    end)]], STEP)
    assert.equal("", r.stdout)
    works([[
      local good = mw.task.spawn(function() mw.task.sleep(0.01) return "good" end)
      local ok, err = pcall(mw.task.scope, function()
        mw.task.spawn(function() while true do pcall(function() while true do end end) end end)
      end)
      print(good:join()) print(ok, err.code)]], "good\nfalse\tELIMIT\n")
  end)

  it("begins anew whenever a script waits, reads or writes", function()
    works("local x = 0 for _ = 1, 40 do for i = 1, 3e5 do x = x + i end io.write('.') end print 'done'", ("."):rep(40) .. "done\n")
    works([[local dir <close> = assert(mw.fs.tempdir()) local name = dir.path .. "/lines"
      assert(mw.fs.write(name, ("a line\n"):rep(60))) local x = 0
      for _ in io.lines(name) do for i = 1, 2e5 do x = x + i end end print 'done']], "done\n", "--allow-read", "--allow-write")
  end)

  it("has a limit that is set, or none", function()
    works("local x = 0 for i = 1, 2e7 do x = x + i end print(x)", "200000010000000\n", "--limit=step=60s")
    works("local x = 0 for i = 1, 2e7 do x = x + i end print(x)", "200000010000000\n", "--limit=step=off")
    works("local x = 0 for i = 1, 2e7 do x = x + i end print(x)", "200000010000000\n", "--limit=step=off", "-A")
    fails("while true do end", "step: 0.2 s of", "-A", "--limit=step=200ms")
  end)

  it("bounds the compiler too", function()
    works([[local t = {} for i = 1, 30000 do t[i] = "goto b" .. i .. " ::a" .. i .. ":: " end
      t = table.concat(t) mw.task.sleep(0) print(select(2, load(t)).code)]], "ELIMIT\n", "--limit=step=100ms")
    works("print(select(2, load(collectgarbage)).code)", "ELIMIT\n", "--limit=memory=8MiB")
  end)

  it("of a script child is its parent's", function()
    local dir <close> = assert(mw.fs.tempdir())
    assert(mw.fs.write(dir.path .. "/child.lua", "while true do end"))
    works(("local r = mw.process.run { script = %q, permissions = {} } print(r.code, r.stderr:match('step: [^ ]+ s'))"):format(
      dir.path .. "/child.lua"), "1\tstep: 0.1 s\n", "-A", "--limit=step=100ms")
  end)
end)

describe("a C function that a script keeps busy", function()
  it("is ended by the limit of a step", function()
    for i, call in ipairs {
      "string.find(('a'):rep(1e5), ('a*'):rep(20) .. 'b')", "string.match(('a'):rep(1e5), ('.-'):rep(20) .. 'b')",
      "string.gsub(('a'):rep(1e5), ('a-'):rep(20) .. 'b', '')", "string.gmatch(('a'):rep(1e5), ('a?a*'):rep(20) .. 'b')()",
      "string.find(('a'):rep(1e5), '(a*)' .. ('%1*'):rep(9) .. ('a*'):rep(9) .. 'b')", "string.find(('('):rep(1e6), '%b()')",
      "string.find(('b'):rep(1e6), '[' .. ('a'):rep(1e6) .. ']')", "string.find(('b'):rep(1e6), '%f[' .. ('a'):rep(1e6) .. ']')",
      "string.find(('b'):rep(1e6), '[' .. ('a'):rep(1e6) .. ']-c')", "string.find(('a'):rep(4e6), ('%w'):rep(150) .. 'b')",
      "('a'):rep(1e5):find(('a*'):rep(20) .. 'b')",
      "table.move({}, 1, math.maxinteger - 1, 2)", "table.move({}, 1, 1 << 53, 2, {})",
      "table.concat(setmetatable({}, { __len = function() return math.maxinteger end, __index = function() return '' end }))",
      "table.insert(setmetatable({}, { __len = function() return 1 << 53 end }), 1, 1)",
      "table.remove(setmetatable({}, { __len = function() return 1 << 53 end }), 1)",
      "table.sort(setmetatable({}, { __len = function() return 1 << 30 end, __index = function() return 1 end, " ..
        "__newindex = function() end }))",
      "table.sort(setmetatable({}, { __len = function() return 1 << 30 end }), rawequal)", "string.format('%q', ('\\0'):rep(20e6))",
    } do
      fails(call, STEP)
      if i % 5 == 1 then fails("while true do pcall(function() " .. call:gsub("^%(", "local _ = (") .. " end) end", STEP) end
    end
  end)

  it("is none that stops when it has much to do", function()
    works("print(#('x'):rep(5e6), #('x'):rep(2e5):gsub('x', 'y'), ('a'):rep(1e6):find('b'))", "5000000\t200000\tnil\n")
    works("print(('').rep('', 1 << 62) == '', #(''):rep(1 << 62, ''))", "true\t0\n")
    works("print(('a'):rep(4e6):find(('a'):rep(2e6) .. 'b', 1, true))", "nil\n")
  end)

  it("is refused formats that nobody wrote", function()
    fails("string.pack((' '):rep(2e6))", "string.pack: a format of 2000000 bytes")
    fails("string.packsize((' '):rep(2e6))", "string.packsize: a format of 2000000 bytes")
    fails("string.unpack((' '):rep(2e6), '')", "string.unpack: a format of 2000000 bytes")
    fails("os.date(('x'):rep(2e6))", "os.date: a format of 2000000 bytes")
  end)
end)

describe("a finalizer", function()
  it("is called as Lua calls it", function()
    local code = [[
      local order, saved = {}, nil
      local mt = { __gc = function(o) order[#order + 1] = o.n end }
      for i = 1, 5 do setmetatable({ n = i }, mt) end
      collectgarbage() collectgarbage() print(table.concat(order, ","))
      setmetatable({ n = "r" }, { __gc = function(o) saved = o end }) collectgarbage() print(saved and saved.n)
      setmetatable(saved, { __gc = function(o) print("again", o.n) end }) saved = nil collectgarbage() collectgarbage()
      local wv, wk = setmetatable({}, { __mode = "v" }), setmetatable({}, { __mode = "k" })
      do local o = setmetatable({}, { __gc = function(o) print(wv[1], wk[o]) end }) wv[1], wk[o] = o, "key" end
      collectgarbage() collectgarbage() print(next(wk))
      local late = { __gc = true } setmetatable({}, late) late.__gc = function() print "late" end collectgarbage() collectgarbage()
      local m = { __gc = print } print(getmetatable(setmetatable({}, m)) == m, m.__gc == print) m.__gc = nil
      print(pcall(setmetatable, setmetatable({}, { __metatable = 1 }), {}))]]
    works(code, "5,4,3,2,1\nr\nagain\tr\nnil\tkey\nnil\nlate\ntrue\ttrue\nfalse\tcannot change a protected metatable\n")
  end)

  it("never runs inside a function of ours that makes Lua collect", function()
    local dir <close> = assert(mw.fs.tempdir())
    local path = dir.path .. "/lines"
    assert(mw.fs.write(path, (("l"):rep(100) .. "\n"):rep(300)))
    works(([[
      local path, target, ran, inside = %q, nil, 0, 0
      local mt = { __gc = function() ran = ran + 1 if target then inside = inside + 1 target:close() end end }
      local formats, read = {}, nil
      for i = 1, 200 do formats[i] = "L" end
      for _ = 1, 100 do
        local f = io.open(path)
        for _ = 1, 200 do setmetatable({}, mt) end
        read, target = f.read, f
        local ok, first = pcall(read, f, table.unpack(formats))
        target = nil
        assert(ok, first)
        f:close()
      end
      print(ran > 0, inside)]]):format(path), "true\t0\n", "--allow-read=" .. path, "--limit=step=20s")
  end)

  it("that was put off runs when its task rests, when the script collects, and at the end", function()
    works([[
      local task, rep, done = require "moonwire".task, string.rep, ""
      local function let_go(what) setmetatable({}, { __gc = function() done = done .. what end }) end
      local function make_garbage() for i = 1, 40000 do rep("x", 1000 + i % 50) end end  -- nothing but a C function allocates
      let_go "a" make_garbage() print(done) task.sleep(0.001) print(done)
      let_go "b" make_garbage() print(done) collectgarbage() print(done)
      let_go "c" make_garbage() print(done) setmetatable({}, { __gc = function() end }) print(done)
      setmetatable({}, { __gc = function() print "the last" end })
      make_garbage()]], "\na\na\nab\nab\nabc\nthe last\n", "--limit=step=20s")
  end)

  it("that was put off finds what it uses as it was left", function()
    works([[
      local mw, rep, said = require "moonwire", string.rep, {}
      do
        local memory, scope = mw.shm.create { size = 64 }, mw.task.scope()
        memory:set_u32(0, 7)
        setmetatable({}, { __gc = function()
          said[1], said[2] = memory:u32(0), select(2, pcall(scope.spawn, scope, function() end)):name()
          memory:close() scope:close()
        end })
      end
      for i = 1, 40000 do rep("x", 1000 + i % 50) end
      print(#said) collectgarbage() print(said[1], said[2] ~= "")]], "0\n7\ttrue\n", "--limit=step=20s")
  end)

  it("at the end finds what was made after it collected, of every kind: it can only be closed", function()
    local r = run([[
      warn "@on"
      local mw, made = require "moonwire", {}
      KEPT = setmetatable({}, { __gc = function()
        local ended = 0
        for _, it in ipairs(made) do
          local _, err = pcall(function() return it:alive() end)
          if err.code == "EINVAL" and it:close() == true then ended = ended + 1 end
        end
        warn(ended .. " of " .. #made)
      end })
      local memory = mw.shm.create { size = 64 }
      made = { memory, mw.task.scope(), mw.task.spawn_with({ daemon = true }, mw.task.wait), mw.shm.ring { capacity = 4096 },
        io.open(mw.script.path), mw.trace.tap { to = "stderr" }, mw.schema.string {} }
      ]], "--allow-read")
    assert.equal(0, r.code, r.stderr)
    assert.truthy(r.stderr:find("7 of 7", 1, true), r.stderr)
  end)

  it("that never comes back is ended, and so is one of a thousand", function()
    fails("setmetatable({}, { __gc = function() while true do end end }) collectgarbage() while true do end", STEP)
    fails([[local function f() while true do pcall(function() while true do end end) end end
      for _ = 1, 1000 do setmetatable({}, { __gc = f }) end collectgarbage() while true do end]], STEP)
    local r = run("all = {} for i = 1, 1000 do all[i] = setmetatable({}, { __gc = function() while true do end end }) end")
    assert.equal(0, r.code, r.stderr)
    assert.truthy(r.stderr:find("others are left out", 1, true), r.stderr)
  end)

  it("that never comes back does not outlast an interrupt", function()
    local child = assert(mw.process.spawn { os.getenv "MOONWIRE", "eval", "-A",
      "setmetatable({}, { __gc = function() io.stdout:write 'in\\n' io.stdout:flush() while true do end end }) collectgarbage()",
      stdout = "pipe" })
    assert.equal("in", assert(child.stdout:read()))
    child:kill "INT"
    local r = assert(child:wait { timeout = 60 })
    assert.equal(130, r.code)
  end)
end)

describe("memory", function()
  it("has a limit that is an error, and names itself when it ends the script", function()
    local words = "not enough memory: the script may have 48 MiB (the limit is set with --limit=memory=...)"
    for _, code in ipairs { "local s = 'x' while true do s = s .. s end", "local t = {} while true do t[#t + 1] = {} end",
      "local t = {} for i = 1, 100 do t[i] = ('x'):rep(1e7) end",
      "local s = ('x'):rep(1e7) for _ = 1, 9 do s = string.format('%s%s', s, s) end",
      "local s = ('x'):rep(1e7):gsub('x', 'yyyyyyyyyyyy')",
      "local t = {} for i = 1, 16 do t[i] = {} for j = 1, 1 << 20 do t[i][j] = j end end",
      "table.concat({ ('x'):rep(1e7), ('x'):rep(1e7), ('x'):rep(1e7) }, ('y'):rep(1e7))",
      "local t = {} while true do t[#t + 1] = coroutine.create(print) end",
      "local s = '' for i = 1, 1e9 do s = s .. ('%d'):format(i):rep(1e4) end" } do
      fails(code, words, "--limit=memory=48MiB,step=30s")
    end
  end)

  it("is there again when the one who took it has gone", function()
    works([[for _ = 1, 3 do print(pcall(function() local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end end)) end
      print(#('x'):rep(1e7))]], ("false\tnot enough memory\n"):rep(3) .. "10000000\n", "--limit=step=30s")
  end)

  it("cannot be taken for ever by catching the error", function()
    fails("while true do pcall(function() local t = {} while true do t[#t + 1] = {} end end) end", STEP)
    fails("while true do pcall(coroutine.wrap(function() local s = 'x' while true do s = s .. s end end)) end", STEP)
  end)

  it("taken in a finalizer or a __close is an error there", function()
    local bomb = "local function f() local t = {} while true do t[#t + 1] = {} end end "
    works(bomb .. "setmetatable({}, { __gc = f }) collectgarbage() print 'well'", "well\n", "--limit=step=30s")
    fails(bomb .. "local x <close> = setmetatable({}, { __close = f })", "not enough memory", "--limit=step=30s")
  end)
end)

describe("other limits", function()
  it("are an error that names the limit, its value and the flag", function()
    fails("while true do mw.task.spawn(function() mw.task.sleep(1000) end) end",
      "50 tasks have not ended, at most 50 are allowed (the limit is set with --limit=tasks=...)", "--limit=tasks=50")
    fails("local all = {} while true do all[#all + 1] = assert(io.open('/dev/null')) end",
      "20 handles are open, at most 20 are allowed (the limit is set with --limit=handles=...)", "--limit=handles=20", "-A")
    fails("local all = {} while true do all[#all + 1] = assert(mw.process.spawn { 'sleep', '100' }) end",
      "3 children run already, at most 3 are allowed (the limit is set with --limit=children=...)", "--limit=children=3", "-A")
  end)

  it("bound what is captured of a child", function()
    works([[local r, err = mw.process.run { "head", "-c", "3000000", "/dev/zero" } print(r, err)
      print(#mw.process.run { "head", "-c", "300000", "/dev/zero" }.stdout)]],
      "nil\tprocess run head: the host holds as many bytes as it may (the limit is set with --limit=buffered=...)\n300000\n",
      "--limit=buffered=1MiB", "-A")
  end)

  it("bound what all files together hold of what was read", function()
    works([[local all, seen = {}, {}
      for i = 1, 9 do all[i] = assert(io.open "/dev/zero") seen[select(2, all[i]:read "l")] = true end
      for why in pairs(seen) do if why:find "limit" then print(why) end end
      for i = 1, 9 do all[i]:close() end
      print(#io.open("/dev/zero"):read(1e6))
      for i = 1, 9 do all[i] = assert(mw.fs.open "/dev/zero") print((select(2, all[i]:read_until("x", { max = "30MiB" })).code)) end]],
      "io read: the host holds as many bytes as it may (the limit is set with --limit=buffered=...)\n1000000\n" ..
      "EFRAME\n" .. ("ELIMIT\n"):rep(8), "--limit=buffered=16MiB,step=30s", "-A")
  end)

  it("let as many be made one after the other as one likes", function()
    works("for _ = 1, 500 do mw.task.spawn(function() end):join() end print 'done'", "done\n", "--limit=tasks=10")
    works("for _ = 1, 500 do assert(io.open('/dev/null')):close() end print 'done'", "done\n", "--limit=handles=12", "-A")
    works("for _ = 1, 6 do mw.process.run { 'true' } end print 'done'", "done\n", "--limit=children=1", "-A")
  end)

  it("come from MOONWIRE_LIMIT too, which can only lower one", function()
    local function ends(limits, ...)
      local r = assert(mw.process.run { os.getenv "MOONWIRE", "eval", env = { MOONWIRE_LIMIT = limits }, ... })
      return r.code, r.stderr:match "step: (%S+ s)" or r.stderr
    end
    local loop = "while true do end"
    assert.same({ 1, "0.1 s" }, { ends("step=100ms", loop) })
    assert.same({ 1, "0.1 s" }, { ends("step=100ms", "-A", loop) })
    assert.same({ 1, "0.1 s" }, { ends("step=5s", "--limit=step=100ms", loop) })
    assert.same({ 1, "1 s" }, { ends("step=off,tasks=5", loop) })
    local code, why = ends("step=never", loop)
    assert.equal(2, code)
    assert.truthy(why:find("MOONWIRE_LIMIT: step=never: write step=", 1, true), why)
  end)

  it("that are none are refused before anything runs", function()
    for text, words in pairs { ["steps=1s"] = "no limit has this name", ["step"] = "write step=", ["memory=1"] = "it must be between",
      ["children=0"] = "it must be between", ["step=1s,step=2s"] = "named twice" } do
      local r = assert(mw.process.run { os.getenv "MOONWIRE", "eval", "--limit=" .. text, "print 'ran'" })
      assert.same({ 2, "" }, { r.code, r.stdout })
      assert.truthy(r.stderr:find(words, 1, true), r.stderr)
    end
  end)
end)
