-- Workers of a pool are killed from outside while it works: each task is answered once, or has failed once.
local mw = require "moonwire"
local fs, process = mw.fs, mw.process
local program = os.getenv("MOONWIRE") or "moonwire"

local TASKS = 4000

--- Runs the tool under its own rights; kills a worker of it whenever it tells of progress. Gives the lines by id, and the deaths.
local function chaos(...)
  local dir <close> = assert(fs.tempdir())
  local out = dir.path .. "/out"
  local child <close> = assert(process.spawn{
    program, "run", "--allow-write=" .. out, "scripts/tools/pool_chaos.lua", "--tasks", tostring(TASKS), "--work", "200us", "--out", out,
    stderr = "pipe", ...,
  })
  local killed = 0
  mw.task.scope(function(s)
    s:spawn(function()
      local seen = 0
      while child:running() do
        local lines = select(2, (fs.read(out) or ""):gsub("\n", ""))
        if lines >= seen + TASKS // 100 or (lines == 0 and seen == 0) then -- it gets on: one more
          seen = lines
          local pids = process.sh{ "pgrep -P %s -f child-script", child.pid }.stdout
          local list = {}
          for pid in pids:gmatch "%d+" do list[#list + 1] = pid end
          if #list > 0 and process.sh{ "kill -KILL %s", list[math.random(#list)] }.ok then killed = killed + 1 end
        else
          mw.task.pass()
        end
      end
    end)
    local said = child.stderr:read "a"
    local result = child:wait()
    assert.truthy(said:find("tasks " .. TASKS, 1, true), said)
    assert.truthy(result.code == 0 or result.code == 1, said)
  end)
  local times, failed, wrong = {}, 0, 0
  for id, result in assert(fs.read(out)):gmatch "(%d+)\t([^\n]*)\n" do
    id = tonumber(id)
    times[id] = (times[id] or 0) + 1
    if result == "!ECRASHED" then failed = failed + 1
    elseif result ~= tostring(id * id) then wrong = wrong + 1 end
  end
  for id = 1, TASKS do if times[id] ~= 1 then wrong = wrong + 1 end end
  return { killed = killed, failed = failed, wrong = wrong }
end

describe("a pool whose workers are killed from outside", function()
  it("answers each task exactly once when crashed ones are run again", function()
    local count = chaos()
    assert.truthy(count.killed >= 2)
    assert.same({ 0, 0 }, { count.failed, count.wrong })
  end)

  it("tells of each task exactly once, answered or failed, when they are not", function()
    local count = chaos("--no-retry")
    assert.truthy(count.killed >= 2)
    assert.equal(0, count.wrong)
    assert.truthy(count.failed <= count.killed)
  end)
end)
