--- scripts/dev.d/jobs.bash: who stops scripts/dev stops what it runs, at the second chance as well.
--- Knows: bash. Never: a build.
local mw = require "moonwire"

local dir = assert(mw.fs.tempdir())
teardown(function() dir:close() end)

local frame = [[
  set -u
  now() { echo 0; }; seconds() { echo 0; }; say() { :; }; note() { :; }; clear_line() { :; }
  out=$1 jobs_max=2 passed=0 failed=0
  . scripts/dev.d/jobs.bash
  job tap 3600 "release: spec/lua/it" sh -c "$2" "$1"
  run_jobs
]]

--- Runs `job` as the one job there is, stops it all once it has written its number, and waits for all to end.
local function stopped(job)
  local box <close> = assert(mw.fs.tempdir())
  local pid = box.path .. "/pid"
  local p <close> = assert(mw.process.spawn {
    "bash", "-c", frame, "bash", box.path, job, stdout = "null", stderr = "null",
  })
  while not (mw.fs.read(pid) or ""):find "\n" do mw.task.sleep(0.01) end
  local number = assert(mw.fs.read(pid)):match "%d+"
  p:kill "TERM"
  local exit = assert(mw.task.timeout(100, function() return p:wait() end))
  assert.equal(130, exit.code)
  local stat = mw.fs.read("/proc/" .. number .. "/stat")
  assert.truthy(not stat or stat:find "%) [ZX] ", stat)
end

describe("scripts/dev", function()
  if not mw.fs.stat "scripts/dev.d/jobs.bash" or not pcall(mw.process.run, { "bash", "-c", ":" }) then
    return it("has no bash here", function() pending "there is no bash" end)
  end

  it("ends what it runs when it is stopped", function() stopped 'echo $$ >"$0/pid"; exec sleep 1000' end)

  it("ends what has a second chance, too", function()
    stopped '[ -e "$0/first" ] || { : >"$0/first"; echo "not ok 1 - x"; exit 1; }; echo $$ >"$0/pid"; exec sleep 1000'
  end)
end)
