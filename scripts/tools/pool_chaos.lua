-- Runs numbered tasks through a pool of processes while somebody kills its workers, and writes down each task that was answered.
-- rights: --allow-write
local mw = require "moonwire"

local HELP = [[
usage: moonwire run --allow-write=FILE scripts/tools/pool_chaos.lua --tasks N --size K --out FILE [options]
example: moonwire run --allow-write=out.tsv scripts/tools/pool_chaos.lua --tasks 100000 --size 4 --out out.tsv

Runs tasks 1 to N through a pool of K processes. Each answered one is a line `id<TAB>result` in FILE (result is the square of
id), written before the next is begun; each failed one a line `id<TAB>!CODE`. Kill workers meanwhile, however you like: every id
stands there exactly once. The last line on standard error tells the counts. Exit code 0: all were answered.

options:
  --tasks N         how many tasks (1000)
  --size K          workers (4)
  --out FILE        where to (required)
  --in-flight N     calls at a time (64)
  --work DURATION   what one task computes (100us)
  --no-retry        a task whose worker died has failed; otherwise it is run again
  --chaos DURATION  kill a random worker of ours so often (never)
  --help            this text
]]

if mw.parent then -- a worker is this same script
  local work = tonumber(arg[1])
  return mw.serve{
    square = function(n)
      local stop = mw.time.now() + work
      while mw.time.now() < stop do end
      return n * n
    end,
  }
end

local DURATIONS = { ns = 1e-9, us = 1e-6, ms = 1e-3, s = 1, m = 60 }
local function seconds(text)
  local number, unit = text:match "^([%d.]+)(%a*)$"
  local value = tonumber(number) and tonumber(number) * (DURATIONS[unit ~= "" and unit or "s"] or 0 / 0)
  if not value or value ~= value then mw.fail("EINVAL", "no duration: " .. text) end
  return value
end

local options = { tasks = 1000, size = 4, in_flight = 64, work = 1e-4, retry = true }
local i = 1
local function value()
  i = i + 1
  return arg[i] or mw.fail("EINVAL", arg[i - 1] .. " needs a value; --help tells more")
end
while arg[i] do
  local word = arg[i]
  if word == "--help" then io.write(HELP) return
  elseif word == "--tasks" then options.tasks = math.tointeger(tonumber(value()))
  elseif word == "--size" then options.size = math.tointeger(tonumber(value()))
  elseif word == "--in-flight" then options.in_flight = math.tointeger(tonumber(value()))
  elseif word == "--out" then options.out = value()
  elseif word == "--work" then options.work = seconds(value())
  elseif word == "--chaos" then options.chaos = seconds(value())
  elseif word == "--no-retry" then options.retry = false
  else mw.fail("EINVAL", "unknown option " .. word .. "; --help tells more") end
  i = i + 1
end
if not options.out then mw.fail("EINVAL", "--out FILE is missing; --help tells more") end

local out <close> = assert(io.open(options.out, "w"))
out:setvbuf "no"
local pool <close> = assert(mw.process.pool{
  script = mw.script.path:match "[^/]*$", tostring(options.work), size = options.size, stderr = "null",
  restart = { max = 1000000 }, -- deaths are what this is about
  retry = options.retry and { on = { "crash" }, attempts = 1000 } or nil,
})

local begun, answered, failed, kills = 0, 0, 0, 0
local terminal = io.stderr:seek() == nil and mw.env.get("TERM", "") ~= "" -- a file can be sought in
local function progress()
  if not terminal then return end
  io.stderr:write(("\r%d of %d answered, %d failed, %d workers died "):format(answered, options.tasks, failed, pool:stats().crashed))
end

local function work()
  while begun < options.tasks do
    begun = begun + 1
    local id = begun
    local result, err = pool:call("square", id)
    if result then answered = answered + 1 else failed = failed + 1 end
    assert(out:write(id, "\t", result or "!" .. err.code, "\n"))
    if (answered + failed) % 1000 == 0 then progress() end
  end
end

mw.task.scope(function(s)
  if options.chaos then
    mw.task.spawn_with({ daemon = true }, function()
      while true do
        mw.task.sleep(options.chaos)
        local workers = pool:workers()
        local victim = #workers > 0 and workers[math.random(#workers)]
        if victim and victim.pid and victim:kill "KILL" then kills = kills + 1 end
      end
    end)
  end
  for _ = 1, options.in_flight do s:spawn(work) end
end)
progress()
if terminal then io.stderr:write "\n" end
local stats = pool:stats()
io.stderr:write(("tasks %d, answered %d, failed %d, workers died %d, restarted %d%s\n"):format(
  options.tasks, answered, failed, stats.crashed, stats.restarted, options.chaos and ", killed " .. kills or ""))
assert(pool:drain{ timeout = 10 })
if failed > 0 then os.exit(1) end
