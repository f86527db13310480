--- The collector of garbage, as it is set: by counting its cycles and what is held at most, in scripts of their own.
--- Knows: MOONWIRE, the program under test. Never: how long something takes.
local mw = require "moonwire"

--- What a script prints that holds `keep` KiB and makes 32 MiB of garbage: cycles of the collector, and KiB held at most.
local function held(keep, first)
  local dir <close> = assert(mw.fs.tempdir())
  assert(mw.fs.write(dir.path .. "/script.lua", (first or "") .. [[

    local kept, cycles, most = {}, 0, 0
    for i = 1, ]] .. keep .. [[ do kept[i] = ("k"):rep(1000) .. i end
    local function again() setmetatable({}, { __gc = function() cycles = cycles + 1 again() end }) end
    again()
    for i = 1, 16384 do
      local garbage = ("g"):rep(1000) .. i
      most = math.max(most, collectgarbage "count")
    end
    print(cycles, most // 1 | 0)]]))
  local r = assert(mw.process.run { os.getenv "MOONWIRE", "run", dir.path .. "/script.lua", timeout = 100 })
  assert.same({ 0, "" }, { r.code, r.stderr })
  return r.stdout:match "(%d+)\t(%d+)"
end

describe("the collector", function()
  it("begins again when a small script has made some hundred KiB of garbage", function()
    local cycles, most = held(0)
    assert.is_true(cycles + 0 >= 32 and cycles + 0 <= 200, cycles .. " cycles")
    assert.is_true(most + 0 > 200 and most + 0 < 1024, most .. " KiB")
  end)

  it("lets the memory of a large one double, as Lua has it", function()
    local _, most = held(4096)
    assert.is_true(most + 0 > 6000 and most + 0 < 12000, most .. " KiB")
  end)

  it("does as the script says, once it has said it", function()
    local few = held(0)
    local cycles = held(0, 'collectgarbage("incremental", 200)')
    assert.is_true(cycles + 0 > 2 * few, cycles .. " cycles")
    local _, most = held(4096, 'collectgarbage("incremental", 120)')
    assert.is_true(most + 0 < 6000, most .. " KiB")
  end)
end)
