--- string and table are ours where they can be kept busy; here they are compared with Lua's own, call by call.
--- Knows: lua5.4, the reference, which runs the same calls. Never: a result that only one of them explains.
local mw = require "moonwire"

local function lines(text)
  local all = {}
  for it in text:gmatch "[^\n]*" do all[#all + 1] = it end
  return all
end

--- `file` is run by `argv`; the lines it prints.
local function run(argv)
  local r = assert(mw.process.run(argv))
  assert.equal(0, r.code, r.stderr)
  return lines(r.stdout)
end

--- Addresses, and where a message says it came from, are each program's own.
local function plain(line)
  return (line:gsub("0x%x+", "0x"):gsub("[%w%./_-]+%.lua:%d+:", "FILE:"))
end

local function compare(seed, count)
  local file = "spec/support/std_calls.lua"
  local theirs = run { "lua5.4", file, tostring(seed), tostring(count) }
  local ours = run { os.getenv "MOONWIRE", "run", "--limit=step=off", file, tostring(seed), tostring(count) }
  for i = 1, math.max(#theirs, #ours) do
    local a, b = plain(theirs[i] or "nothing"), plain(ours[i] or "nothing")
    if a ~= b then error(("seed %d, line %d:\n  Lua  %s\n  ours %s"):format(seed, i, a, b)) end
  end
  return #ours
end

describe("string and table", function()
  it("give what Lua's own give, in thousands of random calls", function()
    local seen = compare(20261122, 2000)
    assert.truthy(seen > 30000, seen)
  end)

  it("join a range that is longer than any integer, up to its first hole", function()
    local ok, err = pcall(table.concat, {}, "", math.mininteger, math.maxinteger)
    assert.same({ false, "invalid value (nil) at index -9223372036854775808 in table for 'concat'" }, { ok, err })
    assert.is_false((pcall(table.concat, { [0] = "a" }, "", 0, math.maxinteger)))
  end)

  it("give it whatever the seed", function()
    compare(os.time(), 1000)
  end)

  it("have every function that Lua's own have, string.dump apart", function()
    local names = [[for _, t in ipairs { string, table } do
      local all = {} for k in pairs(t) do if k ~= "dump" then all[#all + 1] = k end end
      table.sort(all) print(table.concat(all, " ")) end]]
    assert.same(run { "lua5.4", "-e", names }, run { os.getenv "MOONWIRE", "eval", names })
  end)
end)
