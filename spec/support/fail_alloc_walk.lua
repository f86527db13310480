--- For the specs of broken memory (spec/lua/fail_alloc*_spec.lua): each run of the program under test (env MOONWIRE) fails one
--- allocation, two in a row, or all from one on. Whatever it hits, the run ends by itself with success or a clean error. Sanitizer
--- builds also tell what was leaked. Busted's own functions are handed in: a file that is not a spec does not see them.
local mw = require "moonwire"
local it, teardown, pending, check

local program = assert(os.getenv "MOONWIRE", "MOONWIRE names the program under test")
local scenario = "spec/support/fail_alloc_scenario.lua"
local RUNS = 40         -- of each walk, spread over its allocations
local FIRST = 64        -- of one walk, one after another: where the host is made

-- A run without memory to the end cannot remove what it made: all of it lies in here.
local room = assert(mw.fs.tempdir())
local more = {}         -- of the environment
local function run(name, which)
  local env = { MOONWIRE_FAIL_ALLOC = which, TMPDIR = room.path }
  for key, value in pairs(more) do env[key] = value end
  return assert(mw.process.run { program, "run", "-A", scenario, name, timeout = 60, env = env })
end

--- How many allocations the scenario makes; nil in a build without the hook.
local function total(name)
  local r = run(name, "0")
  assert(r.code == 0, r.stderr)
  return tonumber(r.stderr:match "(%d+) allocations")
end

--- libuv ends the process where the first table of a loop cannot grow (vendor/README.md). It says nothing then; with loops on other
--- threads, what had failed before may have been told of.
local function is_libuv_abort(r)
  return r.signal == "ABRT" and not r.stderr:find "Sanitizer" and not r.stderr:find "runtime error:" and not r.stderr:find "PANIC"
    and not r.stderr:find "ssertion" and not r.stderr:find "terminate"
end

local function is_clean(r)
  if r.timed_out or r.signal then return false end
  if r.stderr:find("Sanitizer", 1, true) or r.stderr:find("runtime error:", 1, true) then return false end
  return r.code == 0 and r.stdout:find("done\n$") ~= nil or r.code == 1 and r.stderr:find("moonwire: ", 1, true) ~= nil
end

local function walk(name, shape)
  local count = total(name)
  if not count then return pending "needs a debug build" end
  assert(count > 500, "the hook counts next to nothing: " .. count)
  local at = {}
  for n = 1, name == "tasks" and FIRST or 0 do at[#at + 1] = n end
  for n = FIRST + 1, count, count // RUNS do at[#at + 1] = n end
  local failed, aborts = 0, 0
  for i, r, err in mw.task.map(at, function(n) return run(name, shape:gsub("n", n):gsub("m", n + 1)) end, { limit = 2 }) do
    assert(r, err)
    if is_libuv_abort(r) then
      aborts = aborts + 1
    elseif not is_clean(r) then
      error(("MOONWIRE_FAIL_ALLOC=%s: code %s, signal %s, %s\n%s"):format(
        shape:gsub("n", at[i]), r.code, r.signal, r.timed_out and "timed out" or "", r.stderr))
    end
    if r.code ~= 0 then failed = failed + 1 end
  end
  check.is_true(failed > 0, "nothing failed: the hook does not work")
  check.is_true(aborts <= 2, "libuv aborted " .. aborts .. " times")
end

--- Tests for each of `names`, steps of the scenario.
---@param busted { it: function, teardown: function, pending: function, assert: table }
---@param names string[]
---@param env? table<string, string>  more of the runs'
return function(busted, names, env)
  more = env or more
  it, teardown, pending, check = busted.it, busted.teardown, busted.pending, busted.assert
  teardown(function() room:close() end)
  for _, name in ipairs(names) do
    for _, how in ipairs { { "n", "once" }, { "n-m", "twice in a row" }, { "n+", "for good" } } do
      local shape, text = how[1], how[2]
      it(("at any point of its %s, %s, ends cleanly"):format(name, text), function() walk(name, shape) end)
    end
  end
end
