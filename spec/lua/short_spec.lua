--- A kernel that interrupts, reads and writes a part at a time (spec/support/short.c): nobody sees it. Knows: the program under test.
local mw = require "moonwire"

local program = os.getenv("MOONWIRE") or "moonwire"
local short = (os.getenv("MOONWIRE_BUILD") or program:match "^(.*)/") .. "/attack/short.so"
local scenario = "spec/support/fail_alloc_scenario.lua"

local function run(script, step)
  return assert(mw.process.run { program, "run", "-A", script, step, timeout = 100,
    env = { LD_PRELOAD = short, ASAN_OPTIONS = "verify_asan_link_order=0:detect_leaks=0" } })
end

local dir = assert(mw.fs.tempdir())
assert(mw.fs.write(dir:join "empty.lua", ""))
assert(mw.fs.stat(short))
local able = run(dir:join "empty.lua").code == 0

describe("where calls are interrupted and move a part", function()
  teardown(function() dir:close() end)

  it("a script child hears all that its parent decided", function()
    if not able then return pending "this build lets no library be loaded before its own" end
    assert(mw.fs.write(dir:join "kid.lua", "print(require('moonwire').permissions.query('read', '/'), arg[1])"))
    assert(mw.fs.write(dir:join "parent.lua", [[
      local mw = require "moonwire"
      for i = 1, 8 do
        local r = assert(mw.process.run { script = "kid.lua", ("x"):rep(i), permissions = "inherit", timeout = 60 })
        assert(r.stdout == "granted\t" .. ("x"):rep(i) .. "\n", r.stdout .. r.stderr)
      end
      print "done"
    ]]))
    local r = run(dir:join "parent.lua")
    assert.same({ 0, "done\n", "" }, { r.code, r.stdout, r.stderr })
  end)

  for _, name in ipairs { "files", "frames", "coats", "calls", "greeted", "handles", "children", "family", "confined", "shared",
    "supervised", "pooled", "threads", "served", "workers", "measured" } do
    it("nothing is lost, doubled or refused: " .. name, function()
      if not able then return pending "this build lets no library be loaded before its own" end
      local r = run(scenario, name)
      assert.equal(0, r.code, r.stderr)
      assert.truthy(r.stdout:find "done\n$", r.stdout)
      assert.falsy(r.stderr:find "outlive", r.stderr)
    end)
  end
end)
