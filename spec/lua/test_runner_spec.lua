--- `moonwire test`: specs in a child of the program under test (env MOONWIRE).
local mw = require "moonwire"

local program = assert(os.getenv "MOONWIRE", "MOONWIRE names the program under test")
local dir = assert(mw.fs.tempdir())
teardown(function() dir:close() end)
local folder = tostring(dir.path)

local function spec(text, name)
  assert(mw.fs.write(folder .. "/" .. (name or "a_spec.lua"), text))
  return name or "a_spec.lua"
end

--- Runs `moonwire test` in the folder of the specs: words, then options of process.run by name.
local function run(words)
  local argv = { program, "test", timeout = 60, cwd = folder }
  for key, value in pairs(words) do
    if type(key) == "number" then argv[key + 2] = value else argv[key] = value end
  end
  return assert(mw.process.run(argv))
end

local function last_line(text)
  return text:match("([^\n]*)\n$")
end

describe("moonwire test", function()
  it("ends with the numbers of what passed and failed, and with 1 if anything failed", function()
    local good = spec("describe('x', function() it('one', function() end) it('two', function() assert.equal(1, 1) end) end)")
    local r = run { good }
    assert.same({ 0, "2 passed, 0 failed" }, { r.code, last_line(r.stdout) }, r.stdout .. r.stderr)
    local bad = spec([[describe('x', function()
      it('passes', function() end)
      it('fails', function() assert.equal(1, 2) end)
      it('raises', function() error 'boom' end)
      pending('later')
    end)]])
    r = run { bad }
    assert.same({ 1, "1 passed, 2 failed, 1 pending" }, { r.code, last_line(r.stdout) })
    assert.truthy(r.stdout:find("a_spec.lua @ 3", 1, true), "the failing line is told")
    assert.truthy(r.stdout:find("a_spec.lua:4: boom", 1, true))
  end)

  it("leaves output for programs whole, and tells its numbers on standard error", function()
    local name = spec "describe('x', function() it('one', function() end) end)"
    local r = run { "-o", "json", name }
    assert.equal(1, #mw.json.decode(r.stdout).successes)
    assert.equal("1 passed, 0 failed", last_line(r.stderr))
    r = run { "--output=junit", name }
    assert.equal("</testsuites>\n", r.stdout:match "</testsuites>.*")
    assert.equal("1 passed, 0 failed", last_line(r.stderr))
  end)

  it("counts what fails outside of tests", function()
    for _, text in ipairs { "error 'at load'", "x = = 1", "describe('x', function() error 'in describe' end)",
      "describe('x', function() setup(function() error 'in setup' end) it('y', function() end) end)" } do
      local r = run { spec(text) }
      assert.equal(1, r.code, text)
      assert.truthy(last_line(r.stdout):find("^0 passed, 1 failed"), text .. "\n" .. r.stdout .. r.stderr)
    end
    local r = run { "none_spec.lua" }
    assert.equal(1, r.code)
    assert.truthy(r.stdout:find("none_spec.lua", 1, true))
  end)

  it("lets a test wait while the loop runs on", function()
    local r = run { spec [[
      local mw = require "moonwire"
      describe("a test", function()
        it("waits for another task", function()
          local order, done = {}, mw.task.event()
          mw.task.spawn(function() order[#order + 1] = "task" done:set() end)
          done:wait()
          order[#order + 1] = "test"
          assert.same({ "task", "test" }, order)
        end)
        before_each(function() mw.task.sleep(0.001) end)
        it("sleeps in helpers and in assertions", function()
          finally(function() mw.task.sleep(0.001) end)
          assert.has_error(function() mw.task.sleep(0.001) error("late", 0) end, "late")
        end)
      end)
    ]] }
    assert.same({ 0, "2 passed, 0 failed" }, { r.code, last_line(r.stdout) }, r.stdout .. r.stderr)
  end)

  it("ends what a test started with that test", function()
    local r = run { spec [[
      local mw = require "moonwire"
      local ended
      describe("a test", function()
        it("leaves a task behind", function()
          mw.task.spawn(function()
            local _ <close> = setmetatable({}, { __close = function() ended = true end })
            mw.task.wait()
          end)
          mw.task.sleep(0.001)
        end)
        it("finds it gone", function() assert.is_true(ended) end)
      end)
    ]] }
    assert.same({ 0, "2 passed, 0 failed" }, { r.code, last_line(r.stdout) }, r.stdout .. r.stderr)
  end)

  it("fails the test whose task fails, and goes on with the next", function()
    local r = run { spec [[
      local mw = require "moonwire"
      describe("a test", function()
        it("has a failing task", function() mw.task.spawn(function() error "lost" end) mw.task.sleep(600) end)
        it("is not disturbed", function() mw.task.sleep(0.001) end)
      end)
    ]] }
    assert.same({ 1, "1 passed, 1 failed" }, { r.code, last_line(r.stdout) }, r.stdout .. r.stderr)
  end)

  it("keeps moonwire and its parts the same however often modules are reset", function()
    spec("local mw = require 'moonwire' rawset(_G, 'x', 1) it('first', function() mw.task.mark, mw.mark = mw.task, mw end)", "one_spec.lua")
    spec([[local mw = require "moonwire"
      it("second", function()
        assert.equal(mw, mw.mark)
        assert.equal(mw.task, mw.task.mark)
        assert.equal(mw, require "moonwire")
        assert.is_nil(rawget(_G, "x"))
      end)]], "two_spec.lua")
    local r = run { "one_spec.lua", "two_spec.lua" }
    assert.same({ 0, "2 passed, 0 failed" }, { r.code, last_line(r.stdout) }, r.stdout .. r.stderr)
  end)

  it("binds specs by the rights given, not Busted", function()
    local name = spec [[
      local mw = require "moonwire"
      it("may not run", function() mw.process.run { "true" } end)
      it("may not read", function() assert(io.open "/etc/passwd") end)
      it("may not see through debug", function() assert.is_nil(debug.getupvalue) assert.is_nil(debug.setmetatable) end)
      it("may not load native code", function() assert.has_error(function() require "lfs" end) end)
    ]]
    local r = run { name }
    assert.same({ 1, "2 passed, 2 failed" }, { r.code, last_line(r.stdout) }, r.stdout .. r.stderr)
    r = run { "--allow-run=true", "--allow-read=/etc/passwd", name }
    assert.same({ 0, "4 passed, 0 failed" }, { r.code, last_line(r.stdout) }, r.stdout .. r.stderr)
  end)

  it("runs what lies in the folder of the specs with their rights, also where Busted asks for it by name", function()
    local mine <close> = assert(mw.fs.tempdir())
    local told = [[
      local more = debug.getupvalue or package.loadlib or (pcall(io.open, "/etc/passwd") and "files") or nil
      io.stderr:write("loaded with ", tostring(more), "\n")
      return {}]]
    for _, name in ipairs { "moonscript.lua", "luacov/runner.lua", "src/busted/outputHandlers/plainTerminal.lua", "own.lua" } do
      assert(mw.fs.mkdir(mine.path .. "/" .. (name:match "^(.*)/" or ""), { parents = true }))
      assert(mw.fs.write(mine.path .. "/" .. name, told))
    end
    assert(mw.fs.write(mine.path .. "/x_spec.lua", "it('x', function() end)"))
    for set, loads in pairs { [""] = false, ["coverage = true"] = false, ["output = 'own'"] = true, ["helper = 'own'"] = true,
      ["lpath = '" .. mine.path .. "/?.lua', helper = 'own'"] = true } do
      assert(mw.fs.write(mine.path .. "/.busted", ("return { default = { %s } }"):format(set)))
      for _, right in ipairs { "--deny-read=/none", "--allow-read=" .. mine.path } do
        local r = run { right, "x_spec.lua", cwd = mine.path }
        for with in r.stderr:gmatch "loaded with ([^\n]*)" do assert.equal("nil", with, set) end
        local loaded = r.stderr:find("loaded with nil", 1, true) ~= nil
        if loads then assert.equal(right:sub(1, 7) == "--allow", loaded, set .. right .. r.stderr) end
      end
    end
  end)

  it("writes a report where the specs may write", function()
    local mine <close> = assert(mw.fs.tempdir())
    local report = mine.path .. "/report.xml"
    assert(mw.fs.write(mine.path .. "/x_spec.lua", "it('x', function() end)"))
    assert(mw.fs.write(mine.path .. "/.busted", ("return { default = { output = 'junit', Xoutput = { %q } } }"):format(report)))
    local r = run { "--confine=off", "x_spec.lua", cwd = mine.path }
    assert.not_equal(0, r.code)
    assert.truthy(r.stderr:find("io open " .. report .. ": denied", 1, true), r.stderr)
    assert.is_nil(mw.fs.stat(report))
    r = run { "--allow-read=" .. mine.path, "--allow-write=" .. mine.path, "x_spec.lua", cwd = mine.path }
    assert.equal(0, r.code, r.stderr)
    assert.truthy(mw.fs.read(report):find("<testsuite", 1, true))
  end)

  it("looks for modules where --lpath and .busted say", function()
    local mine <close> = assert(mw.fs.tempdir())
    assert(mw.fs.mkdir(mine.path .. "/deep/src", { parents = true }))
    assert(mw.fs.write(mine.path .. "/deep/src/found.lua", "return 'found'"))
    assert(mw.fs.write(mine.path .. "/helps.lua", "assert(require 'found' == 'found')"))
    assert(mw.fs.write(mine.path .. "/x_spec.lua", "it('x', function() assert.equal('found', require 'found') end)"))
    local words = { "--allow-read=" .. mine.path, "x_spec.lua", cwd = mine.path }
    assert.equal("0 passed, 1 failed", last_line(run(words).stdout))
    words[3] = "--lpath=./deep/src/?.lua"
    assert.equal("1 passed, 0 failed", last_line(run(words).stdout))
    words[3] = nil
    assert(mw.fs.write(mine.path .. "/.busted", "return { default = { lpath = './deep/src/?.lua', helper = 'helps' } }"))
    local r = run(words)
    assert.equal("1 passed, 0 failed", last_line(r.stdout), r.stdout .. r.stderr)
  end)

  it("finds the modules of the system behind the links of its packages, without a right", function()
    local r = run { spec "it('x', function() assert.equal('table', type(require 'pl.List')) end)" }
    assert.same({ 0, "1 passed, 0 failed" }, { r.code, last_line(r.stdout) }, r.stdout .. r.stderr)
  end)

  it("lets nothing of Busted's native modules reach the specs' globals", function()
    local name = spec [[
      local known = {}
      for key in pairs(_G) do if type(key) == "string" then known[#known + 1] = key end end
      table.sort(known)
      it("x", function() io.stderr:write(table.concat(known, " "), "\n") end)]]
    local of_specs = run({ name }).stderr
    local of_scripts = assert(mw.process.run { program, "eval",
      "local t = {} for k in pairs(_G) do t[#t + 1] = k end table.sort(t) print(table.concat(t, ' '))" }).stdout
    assert.equal(of_scripts, of_specs)
  end)

  it("gives Busted its options", function()
    local name = spec "describe('x', function() it('alpha', function() end) it('beta', function() error 'no' end) end)"
    assert.equal("1 passed, 0 failed", last_line(run { "--filter", "alpha", name }.stdout))
    local r = run { "-o", "TAP", name }
    assert.truthy(r.stdout:find("ok 1 - x alpha\n", 1, true))
    assert.truthy(r.stdout:find("not ok 2 - x beta\n", 1, true))
    r = run { "--list", name }
    assert.equal(0, r.code)
    assert.truthy(last_line(r.stdout):find("x beta", 1, true))
    assert.equal("2 passed, 2 failed", last_line(run { "--repeat=2", name }.stdout))
    r = run { "--no-such-option", name }
    assert.equal(1, r.code)
    assert.truthy(r.stderr:find("no-such-option", 1, true))
  end)

  it("finds specs in folders", function()
    assert(mw.fs.mkdir(folder .. "/spec/deep", { parents = true }))
    assert(mw.fs.write(folder .. "/spec/deep/x_spec.lua", "it('x', function() end)"))
    assert(mw.fs.write(folder .. "/spec/deep/helper.lua", "error 'not a spec'"))
    assert.equal("1 passed, 0 failed", last_line(run {}.stdout))
    assert.equal("1 passed, 0 failed", last_line(run { "spec" }.stdout))
    assert(mw.fs.remove(folder .. "/spec", { tree = true }))
  end)

  it("lets specs require what Busted gives them", function()
    local r = run { spec [[local assert = require "luassert" local spy = require "luassert.spy" require "busted"
      it("x", function() assert.truthy(spy) end)]] }
    assert.same({ 0, "1 passed, 0 failed" }, { r.code, last_line(r.stdout) }, r.stdout .. r.stderr)
  end)

  it("stops at a timeout and begins no further test", function()
    local r = run { "--timeout=300ms", spec [[
      local mw = require "moonwire"
      it("hangs", function() mw.task.sleep(600) end)
      it("must not begin", function() print "begun" end)
    ]] }
    assert.equal(124, r.code)
    assert.falsy(r.stdout:find("begun", 1, true))
  end)

  it("names the package when Busted is not installed", function()
    local r = run { spec "", env = { LUA_PATH_5_4 = "/none/?.lua", LUA_CPATH_5_4 = "/none/?.so" } }
    assert.equal(1, r.code)
    assert.truthy(r.stderr:find("lua-busted", 1, true), r.stderr)
  end)
end)
