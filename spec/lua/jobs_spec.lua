--- scripts/dev.d/jobs.bash: who has a second chance and who has none; who stops scripts/dev stops what it runs, then as well.
--- Knows: bash. Never: a build.
local mw = require "moonwire"

local frame = [[
  set -u
  now() { echo 0; }; seconds() { echo 0; }; say() { :; }; note() { :; }; clear_line() { :; }
  out=$1 jobs_max=2 passed=0 failed=0 green= red= dim= plain=
  . scripts/dev.d/jobs.bash
  job tap 3600 "release: spec/lua/it" sh -c "$2" "$1"
  run_jobs
  echo "$passed passed, $failed failed; ${unsteady[*]}"
]]

--- What is told of `job` as the one job there is.
local function told(job)
  local box <close> = assert(mw.fs.tempdir())
  return assert(mw.process.run { "bash", "-c", frame, "bash", box.path, job, check = true }).stdout:match "([^\n]*)\n$"
end

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

  local ONCE = '[ -e "$0/first" ] && { echo "ok 1 - x"; exit 0; }; : >"$0/first"; '

  it("looks again at an expectation that was not met, and names it", function()
    assert.equal("1 passed, 0 failed; release: spec/lua/it: x", told(ONCE .. 'echo "not ok 1 - x"; exit 1'))
    assert.equal("0 passed, 1 failed; ", told 'echo "not ok 1 - x"; exit 1')
  end)

  it("does not look again at a crash, a hang that was ended, or what a sanitizer reports", function()
    local unmet = 'echo "not ok 1 - x"; '
    for _, bad in ipairs { "kill -SEGV $$", "exit 137", unmet .. "exit 134", unmet .. "echo ERROR: LeakSanitizer; exit 1" } do
      assert.equal("0 passed, 1 failed; ", told(ONCE .. bad))
    end
  end)

  it("ends what it runs when it is stopped", function() stopped 'echo $$ >"$0/pid"; exec sleep 1000' end)

  it("ends what has a second chance, too", function()
    stopped '[ -e "$0/first" ] || { : >"$0/first"; echo "not ok 1 - x"; exit 1; }; echo $$ >"$0/pid"; exec sleep 1000'
  end)
end)
