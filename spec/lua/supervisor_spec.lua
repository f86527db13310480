-- Supervisors: order, restarts, readiness, and every way to end. Knows: mw, sh, sleep, kill.
local mw = require "moonwire"
local task = mw.task

--- A shell child that says `text` and stays.
local function stays(text)
  return { "sh", "-c", (text or ":") .. "; exec sleep 1000" }
end

--- Collects events as "id what" while it runs; `wait(text)` waits for the n-th of that.
local function watching(sup)
  local seen, came = {}, task.event()
  task.spawn_with({ daemon = true }, function()
    for ev in sup:events() do
      seen[#seen + 1] = ev
      came:set()
      came:clear()
    end
  end)
  local watch = { seen = seen }
  function watch.wait(text, n)
    n = n or 1
    while true do
      local found = 0
      for _, ev in ipairs(seen) do
        if ev.id .. " " .. ev.what == text then
          found = found + 1
          if found == n then return ev end
        end
      end
      assert(came:wait { timeout = 20 }, "never came: " .. text)
    end
  end
  return watch
end

--- All events of a supervisor that has ended, as "id what", those of `what` only if it is given.
local function told(sup, what)
  local out = {}
  for ev in sup:events { timeout = 60 } do
    if not what or ev.what == what then out[#out + 1] = what and ev.id or ev.id .. " " .. ev.what end
  end
  return out
end

local function child(sup, id)
  for _, c in ipairs(sup:children()) do
    if c.id == id then return c end
  end
end

local function kill(pid, signal)
  assert(assert(mw.process.run { "kill", "-" .. (signal or "KILL"), tostring(pid) }).ok)
end

local function is_gone(pid)
  return not assert(mw.process.run { "kill", "-0", tostring(pid) }).ok
end

local function refused(options)
  local ok, err = pcall(mw.supervisor, options)
  assert.same({ false, "EINVAL" }, { ok, type(err) == "table" and err.code or err })
  return err.message
end

describe("a supervisor", function()
  it("starts children in order of need and stops them in reverse", function()
    local sup = assert(mw.supervisor {
      { id = "api", run = stays(), needs = { "db", "cache" } },
      { id = "cache", run = stays(), needs = { "db" } },
      { id = "db", run = stays("echo up"), ready = { line = "up" }, stdout = "null" },
    })
    assert(sup:wait_ready { timeout = 60 })
    sup:close()
    assert.same({ "db starting", "db ready", "cache starting", "cache ready", "api starting", "api ready",
      "api stopped", "cache stopped", "db stopped" }, told(sup))
  end)

  it("starts at the same time what needs nothing of each other", function()
    local sup <close> = assert(mw.supervisor {
      { id = "a", run = stays("sleep 0.2; echo a"), ready = { line = "a" }, stdout = "null" },
      { id = "b", run = stays("echo b"), ready = { line = "b" }, stdout = "null" },
    })
    local watch = watching(sup)
    watch.wait("b ready")
    assert.equal("starting", child(sup, "a").state)
    assert(sup:wait_ready { timeout = 60 })
  end)

  it("tells of each event what, who, why, when", function()
    local sup = assert(mw.supervisor { { id = "one", run = { "sh", "-c", "exit 3" }, restart = "temporary" } })
    local watch = watching(sup)
    local ev = watch.wait("one exited")
    assert.same({ "exited with 3", 3, nil }, { ev.reason, ev.code, ev.signal })
    assert.equal(watch.seen[1].pid, ev.pid)
    assert.same({ 1, 2, 3 }, { watch.seen[1].number, watch.seen[2].number, watch.seen[3].number })
    assert.truthy(math.abs(ev.time - mw.time.wall()) < 60)
    sup:close()
    assert.same({ "one starting", "one ready", "one exited" }, told(sup)) -- again from the start
  end)

  it("keeps the last events only", function()
    local sup = assert(mw.supervisor { keep_events = 3, { id = "one", run = stays() } })
    assert(sup:wait_ready { timeout = 60 })
    for _ = 1, 3 do assert(sup:restart("one", { timeout = 60 })) end
    sup:close()
    local numbers = {}
    for ev in sup:events() do numbers[#numbers + 1] = ev.number end
    assert.same({ 13, 14, 15 }, numbers)
  end)

  it("gives each reader events of its own, and lets them wait no longer than told", function()
    local sup <close> = assert(mw.supervisor { { id = "one", run = stays() } })
    assert(sup:wait_ready { timeout = 60 })
    local a, b = sup:events { timeout = 0.01 }, sup:events()
    a().id = "changed"
    assert.equal("one", b().id)
    a()
    local ok, err = pcall(a)
    assert.same({ false, "ETIMEDOUT" }, { ok, err.code })
  end)

  it("runs script children", function()
    local sup <close> = assert(mw.supervisor {
      { id = "s", script = "spec/support/supervised.lua", "says", "hello", ready = { line = "^hello$" }, stdout = "null" },
    })
    assert(sup:wait_ready { timeout = 20 })
  end)

  it("stops, starts and restarts one child", function()
    local sup <close> = assert(mw.supervisor { { id = "a", run = stays() }, { id = "b", run = stays(), needs = { "a" } } })
    assert(sup:wait_ready { timeout = 60 })
    local a, b = child(sup, "a").pid, child(sup, "b").pid
    assert(sup:stop("a", { timeout = 60 }))
    assert.truthy(is_gone(a))
    assert.same({ "stopped", "ready" }, { child(sup, "a").state, child(sup, "b").state })
    assert(sup:wait_ready { timeout = 60 }) -- nobody waits for what was stopped
    assert(sup:start("a", { timeout = 60 }))
    assert.not_equal(a, child(sup, "a").pid)
    assert(sup:restart("b", { timeout = 60 }))
    assert.not_equal(b, child(sup, "b").pid)
    assert.same({ 0, 0 }, { child(sup, "a").restarts, child(sup, "b").restarts })
    local again = child(sup, "a").pid
    assert(sup:start("a", { timeout = 60 })) -- runs already
    assert.equal(again, child(sup, "a").pid)
    assert.equal("EINVAL", select(2, pcall(sup.stop, sup, "nobody")).code)
  end)
end)

describe("a supervisor's signal", function()
  it("goes to the child's group, and an end by it is an end like any other", function()
    local sup <close> = assert(mw.supervisor { backoff = { 0.01, 1 },
      { id = "a", run = { "sh", "-c", "trap 'echo again' HUP; echo up; while :; do sleep 0.01; done" }, ready = { line = "up" },
        stdout = "null" } })
    assert.same({ nil, "ESRCH" }, { (sup:kill("a")), select(2, sup:kill("a")).code })
    assert(sup:wait_ready { timeout = 60 })
    assert(sup:kill("a", "HUP"))
    assert(sup:kill("a", "KILL"))
    local ev = watching(sup).wait("a exited")
    assert.equal("KILL", ev.signal)
    watching(sup).wait("a ready", 2)
  end)
end)

describe("a child that ends", function()
  it("is started again after a pause that grows, if it is permanent", function()
    -- Never ready, so never well for so long that the pause begins again: on a slow machine "true" may take 0.03 s.
    local sup = assert(mw.supervisor { max_restarts = 3, within = 60, backoff = { 0.01, 0.03 },
      { id = "x", run = { "true" }, ready = { line = "never" }, stdout = "null" } })
    local none, err = sup:wait { timeout = 20 }
    assert.same({ nil, "ECRASHED" }, { none, err.code })
    local pauses = {}
    for ev in sup:events() do
      if ev.what == "restarting" then pauses[#pauses + 1] = ev.pause end
    end
    assert.same({ 0.01, 0.02, 0.03 }, pauses)
  end)

  it("is started again only after a failure, if it is transient", function()
    local dir <close> = mw.fs.tempdir()
    local sup <close> = assert(mw.supervisor { backoff = { 0.01, 1 },
      { id = "x", restart = "transient", env = { F = dir:join("f") }, run = { "sh", "-c", "test -e $F || { touch $F; exit 1; }" } } })
    watching(sup).wait("x exited", 2)
    assert.same({ "done", 1 }, { child(sup, "x").state, child(sup, "x").restarts })
    assert(sup:wait_ready { timeout = 60 })
  end)

  it("is never started again, if it is temporary", function()
    local sup = assert(mw.supervisor { strategy = "one_for_all", backoff = { 0.01, 1 },
      { id = "failed", restart = "temporary", run = { "false" } },
      { id = "runs", restart = "temporary", run = stays() },
      { id = "p", run = stays() } })
    watching(sup).wait("failed exited")
    kill(child(sup, "p").pid)
    watching(sup).wait("p ready", 2)
    assert.same({ "failed", "stopped", "ready" },
      { child(sup, "failed").state, child(sup, "runs").state, child(sup, "p").state })
    sup:close()
    assert.same({ "failed", "runs", "p", "p" }, told(sup, "starting"))
  end)

  for strategy, expected in pairs {
    one_for_one = { "b" },
    one_for_all = { "a", "b", "c" },
    rest_for_one = { "b", "c" },
  } do
    it("takes along whom " .. strategy .. " says", function()
      local sup = assert(mw.supervisor { strategy = strategy, backoff = { 0.01, 1 },
        { id = "a", run = stays() }, { id = "b", run = stays() }, { id = "c", run = stays() } })
      assert(sup:wait_ready { timeout = 60 })
      kill(child(sup, "b").pid)
      watching(sup).wait("b ready", 2)
      assert(sup:wait_ready { timeout = 60 })
      sup:close()
      local again, at, stopped = {}, 0, {}
      for ev in sup:events() do
        if ev.what == "exited" then at = ev.number end
        if at > 0 and ev.what == "starting" then again[#again + 1] = ev.id end
        if at > 0 and #again == 0 and ev.what == "stopped" then stopped[#stopped + 1] = ev.id end
      end
      assert.same(expected, again)
      local others = {} -- in reverse, before anything starts
      for i = #expected, 1, -1 do
        if expected[i] ~= "b" then others[#others + 1] = expected[i] end
      end
      assert.same(others, stopped)
    end)
  end

  it("has its job run again when the strategy takes it along", function()
    local sup <close> = assert(mw.supervisor { strategy = "rest_for_one", backoff = { 0.01, 1 },
      { id = "db", run = stays() },
      { id = "migrate", run = { "true" }, ready = { exit = 0 }, needs = { "db" } },
      { id = "api", run = stays(), needs = { "migrate" } } })
    assert(sup:wait_ready { timeout = 60 })
    kill(child(sup, "db").pid)
    local watch = watching(sup)
    watch.wait("migrate exited", 2)
    watch.wait("api ready", 2)
    assert(sup:wait_ready { timeout = 60 })
  end)

  it("leaves those that need it alone, where the strategy does", function()
    local sup <close> = assert(mw.supervisor { backoff = { 0.01, 1 },
      { id = "db", run = stays() }, { id = "api", run = stays(), needs = { "db" } } })
    assert(sup:wait_ready { timeout = 60 })
    local api = child(sup, "api").pid
    kill(child(sup, "db").pid)
    watching(sup).wait("db ready", 2)
    assert.equal(api, child(sup, "api").pid)
  end)

  it("makes those that start wait until what they need is back", function()
    local sup <close> = assert(mw.supervisor { backoff = { 0.2, 1 },
      { id = "db", run = stays() }, { id = "api", run = stays(), needs = { "db" }, backoff = { 0, 0 } } })
    assert(sup:wait_ready { timeout = 60 })
    kill(child(sup, "db").pid)
    local watch = watching(sup)
    watch.wait("db restarting")
    kill(child(sup, "api").pid)
    watch.wait("api restarting")
    watch.wait("api starting", 2)
    assert.equal("ready", child(sup, "db").state)
  end)

  it("ends everything when it ends too often", function()
    local sup <close> = assert(mw.supervisor { max_restarts = 2, within = 30, backoff = { 0.01, 0.01 },
      { id = "a", run = stays() },
      { id = "b", run = { "sh", "-c", "exit 7" }, needs = { "a" } },
      { id = "c", run = stays() } })
    local none, err = sup:wait { timeout = 20 }
    assert.is_nil(none)
    assert.same({ "ECRASHED", "b", "b", 7 }, { err.code, err.subject, err.data.id, err.data.code })
    assert.truthy(err.message:find("more than 2 restarts within 30 s; the last end: exited with 7", 1, true), err.message)
    local all = told(sup)
    assert.same({ "b gave_up", "c stopped", "a stopped" }, { table.unpack(all, #all - 2) })
    assert.equal("ECRASHED", select(2, sup:wait_ready()).code)
    assert.equal("ECRASHED", select(2, sup:start("a")).code)
  end)

  it("that cannot be started counts as one that ended", function()
    local sup <close> = assert(mw.supervisor { max_restarts = 1, backoff = { 0.01, 0.01 }, { id = "x", run = { "/nosuch/program" } } })
    local none, err = sup:wait_ready { timeout = 60 }
    assert.same({ nil, "ECRASHED" }, { none, err.code })
    assert.truthy(err.message:find("could not be started: .*no such program"), err.message)
    assert.same({ "x exited", "x restarting", "x exited", "x gave_up" }, told(sup))
  end)

  it("is brought back for good: a long good life makes the next pause short again", function()
    local sup <close> = assert(mw.supervisor { backoff = { 0.01, 0.04 }, max_restarts = 100, { id = "x", run = stays() } })
    local watch = watching(sup)
    for i = 1, 3 do
      watch.wait("x ready", i)
      kill(child(sup, "x").pid)
    end
    watch.wait("x ready", 4)
    assert.equal(0.01, watch.wait("x restarting", 1).pause)
    task.sleep(0.05)
    kill(child(sup, "x").pid)
    assert.equal(0.01, watch.wait("x restarting", 4).pause)
  end)
end)

describe("a child is ready", function()
  it("when it accepts connections", function()
    local path = "@mw-spec-sup-" .. mw.sys.pid()
    local sup <close> = assert(mw.supervisor {
      { id = "server", script = "spec/support/supervised.lua", "listens", "unix:" .. path, permissions = { listen = { "unix:" .. path } },
        ready = { connect = "unix:" .. path } } })
    assert(sup:wait_ready { timeout = 20 })
    local c <close> = assert(mw.net.connect("unix:" .. path))
    assert.truthy(c:alive())
  end)

  it("when a line says so, wherever it is cut, on either output, and all of it goes on", function()
    for _, to in ipairs { "", " >&2" } do
      local r = assert(mw.process.run {
        os.getenv("MOONWIRE"), "run", "-A", "-", timeout = 20, stdin = [[
          local mw = require "moonwire"
          local sup <close> = assert(mw.supervisor{
            { id = "x", ready = { line = "^ready %d$" }, run = { "sh", "-c",
              "{ echo one; printf 'rea'; sleep 0.05; printf 'dy 7\n'; echo more; exec sleep 100; }]] .. to .. [[" } } })
          assert(sup:wait_ready{ timeout = 60 })
          while true do
            mw.task.sleep(0.05)
            sup:close()
            break
          end]],
      })
      assert.equal("one\nready 7\nmore\n", to == "" and r.stdout or r.stderr)
    end
  end)

  it("when it says so: a script by mw.supervisor.notify, once", function()
    local dir <close> = mw.fs.tempdir()
    local out <close> = assert(mw.fs.open(dir:join("out"), "w"))
    local sup = assert(mw.supervisor {
      { id = "s", script = "spec/support/supervised.lua", "notifies", ready = { notify = true }, restart = "temporary",
        stdout = out } })
    assert(sup:wait_ready { timeout = 20 })
    watching(sup).wait("s exited")
    sup:close()
    assert.same({ "s starting", "s ready", "s exited" }, told(sup))
    assert.equal("true\tfalse\n", mw.fs.read(dir:join("out")))
    assert.is_false(mw.supervisor.notify()) -- nobody asked us
  end)

  it("when it says so: a program by a newline into descriptor 3, or to the socket of systemd", function()
    local python = [[
import os, socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
at = os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1)
for text in sys.argv[1:]: s.sendto(text.encode(), at)
time.sleep(1000)]]
    for _, run in ipairs {
      stays("echo >&3"), stays("echo >&$NOTIFY_FD"), stays("printf 'well\n and more' >&3; exec 3>&-"),
      { "python3", "-c", python, "READY=1" }, { "python3", "-c", python, "STATUS=starting", "STATUS=up\nREADY=1\nMAINPID=1" },
    } do
      local sup <close> = assert(mw.supervisor { { id = "x", run = run, ready = { notify = true } } })
      assert(sup:wait_ready { timeout = 20 })
    end
    for _, run in ipairs { stays("exec 3>&-"), stays("printf ready >&3"), { "python3", "-c", python, "READY=0", "XREADY=1" } } do
      local sup <close> = assert(mw.supervisor { { id = "x", run = run, ready = { notify = true, timeout = 0.3 }, restart = "temporary" } })
      assert.truthy(select(2, sup:wait_ready { timeout = 20 }).message:find("not ready within", 1, true))
    end
  end)

  it("when it says so, and is told nothing of it that it should not know", function()
    local r = assert(mw.process.run {
      os.getenv("MOONWIRE"), "run", "--allow-run=sh,sleep", "-", timeout = 20, env = { NOTIFY_SOCKET = "@ours" }, stdin = [[
        local mw = require "moonwire"
        local sup <close> = assert(mw.supervisor{ { id = "x", ready = { notify = true },
          run = { "sh", "-c", "echo fd $NOTIFY_FD socket $NOTIFY_SOCKET; echo >&3; exec sleep 1000" } } })
        assert(sup:wait_ready{ timeout = 60 })]],
    })
    assert.equal("fd 3 socket\n", r.stdout .. r.stderr) -- a confined one has no socket to send from
    r = assert(mw.process.run { "sh", "-c", "echo \"$NOTIFY_FD\"; true >&3" })
    assert.equal("\n", r.stdout)
    assert.truthy(r.stderr:find("descriptor", 1, true))
  end)

  it("when it has ended, if it is a job; not when it failed", function()
    local sup = assert(mw.supervisor { backoff = { 0.01, 0.01 }, max_restarts = 1,
      { id = "good", run = { "sh", "-c", "exit 3" }, ready = { exit = 3 } },
      { id = "bad", run = { "true" }, ready = { exit = 3 } },
      { id = "after", run = stays(), needs = { "bad" } } })
    assert.equal("ECRASHED", select(2, sup:wait_ready { timeout = 60 }).code)
    sup:close()
    assert.same({ "good" }, told(sup, "ready"))
    assert.same({ "good", "bad", "bad" }, told(sup, "starting"))
  end)

  it("never, if it does not get there in time: it is ended and counted", function()
    for _, ready in ipairs {
      { line = "never", timeout = 0.05 }, { connect = "unix:@mw-spec-nobody", timeout = 0.05 }, { exit = 0, timeout = 0.05 },
      { notify = true, timeout = 0.05 },
    } do
      local sup = assert(mw.supervisor { max_restarts = 0,
        { id = "x", run = stays(), ready = ready, restart = ready.exit and "transient" or "permanent" } })
      local none, err = sup:wait_ready { timeout = 60 }
      assert.same({ nil, "ECRASHED" }, { none, err.code })
      assert.truthy(err.message:find("not ready within 0.05 s", 1, true), err.message)
      sup:close()
      assert.same({ "x starting", "x exited", "x gave_up" }, told(sup))
    end
  end)

  it("never, if it ends before: that is one end, and no lateness", function()
    for _, ready in ipairs { { line = "never" }, { connect = "unix:@mw-spec-nobody" }, { notify = true } } do
      local sup = assert(mw.supervisor { { id = "x", run = { "sh", "-c", "exit 4" }, restart = "temporary", ready = ready } })
      local none, err = sup:wait_ready { timeout = 60 }
      assert.same({ nil, "ECRASHED", 4 }, { none, err.code, err.data.code })
      assert.truthy(err.message:find("exited with 4", 1, true), err.message)
      sup:close()
    end
  end)

  it("never, if what it needs has failed for good", function()
    local sup <close> = assert(mw.supervisor {
      { id = "a", run = { "false" }, ready = { exit = 0 }, restart = "temporary" },
      { id = "b", run = stays(), needs = { "a" } }, { id = "c", run = stays(), needs = { "b" } } })
    local none, err = sup:wait_ready { timeout = 60 }
    assert.same({ nil, "ECRASHED", "a" }, { none, err.code, err.data.id })
    assert.same({ "failed", "blocked", "blocked" }, { child(sup, "a").state, child(sup, "b").state, child(sup, "c").state })
  end)

  it("or wait_ready says who is not", function()
    local sup <close> = assert(mw.supervisor { { id = "slow", run = stays(), ready = { line = "never" } },
      { id = "next", run = stays(), needs = { "slow" } } })
    local none, err = sup:wait_ready { timeout = 0.05 }
    assert.same({ nil, "ETIMEDOUT" }, { none, err.code })
    assert.truthy(err.message:find("slow (starting), next (waiting)", 1, true), err.message)
  end)
end)

describe("the end of a supervisor", function()
  it("kills a child that ignores TERM, and the others still end in order", function()
    local sup = assert(mw.supervisor {
      { id = "a", run = stays() },
      { id = "deaf", run = { "sh", "-c", "trap '' TERM; echo up; while :; do sleep 1000; done" }, needs = { "a" },
        kill_after = 0.05, ready = { line = "up" }, stdout = "null" } })
    assert(sup:wait_ready { timeout = 60 })
    sup:close()
    local signals = {}
    for ev in sup:events() do
      if ev.what == "stopped" then signals[#signals + 1] = ev.id .. " " .. tostring(ev.signal) end
    end
    assert.same({ "deaf KILL", "a TERM" }, signals)
  end)

  it("comes while a restart waits: nothing starts any more", function()
    local sup = assert(mw.supervisor { backoff = { 1000, 1000 }, { id = "x", run = { "true" } }, { id = "y", run = stays() } })
    watching(sup).wait("x restarting")
    assert.equal("backoff", child(sup, "x").state)
    sup:close()
    assert.same({ "x", "y" }, told(sup, "starting"))
    assert.same({ "x", "y" }, told(sup, "stopped"))
  end)

  it("comes while children start: those that run are stopped, the others never start", function()
    local sup = assert(mw.supervisor {
      { id = "a", run = stays(), ready = { line = "never" } }, { id = "b", run = stays(), needs = { "a" } } })
    watching(sup).wait("a starting")
    sup:close()
    assert.same({ "a starting", "a stopped" }, told(sup))
    local never = assert(mw.supervisor { { id = "a", run = stays() } })
    never:close()
    assert.same({}, told(never, "ready"))
  end)

  it("comes for one child while its restart waits", function()
    local sup <close> = assert(mw.supervisor { backoff = { 1000, 1000 }, { id = "x", run = { "sh", "-c", "exit 1" } } })
    watching(sup).wait("x restarting")
    assert(sup:stop("x", { timeout = 60 }))
    assert.equal("stopped", child(sup, "x").state)
    assert(sup:wait_ready { timeout = 60 })
    sup:start("x", { timeout = 60 }) -- at once, whatever pause was left
    watching(sup).wait("x starting", 2)
  end)

  it("is the end of its scope, of a cancelled task, and may be repeated", function()
    local first, second
    task.scope(function()
      first = assert(mw.supervisor { { id = "x", run = stays() } })
      assert(first:wait_ready { timeout = 60 })
    end)
    assert.same({ "x" }, told(first, "stopped"))
    first:close()
    first:close()
    local t = task.spawn(function()
      local sup <close> = assert(mw.supervisor { { id = "x", run = stays() } })
      second = sup
      task.wait()
    end)
    while not second do task.pass() end
    assert(second:wait_ready { timeout = 60 })
    t:cancel()
    t:join()
    assert.same({ "x" }, told(second, "stopped"))
    assert.equal("ECLOSED", select(2, second:wait_ready()).code)
    assert.is_true(second:wait())
  end)

  it("wakes everybody who waits for it", function()
    local sup = assert(mw.supervisor { { id = "x", run = stays(), ready = { line = "never" } } })
    local ready = task.spawn(function() return sup:wait_ready() end)
    local over = task.spawn(function() return sup:wait() end)
    local start = task.spawn(function() return sup:start("x") end)
    watching(sup).wait("x starting")
    sup:close()
    assert.equal("ECLOSED", select(2, ready:join()).code)
    assert.equal("ECLOSED", select(2, start:join()).code)
    assert.is_true(over:join())
  end)

  it("comes with a warning when it was forgotten", function()
    local r = assert(mw.process.run {
      os.getenv("MOONWIRE"), "run", "-A", "-", timeout = 20, stdin = [[
        local mw = require "moonwire"
        do local sup = mw.supervisor{ { id = "x", run = { "sleep", "1000" } } } assert(sup:wait_ready()) end
        for _ = 1, 3 do collectgarbage() mw.task.sleep(0.01) end
        for _, t in ipairs(mw.task.list()) do if t.name:find("^supervis") then print(t.name) end end]],
    })
    assert.equal("", r.stdout)
    assert.truthy(r.stderr:find("supervisor made at .*:2 was never closed"), r.stderr)
  end)

  it("comes when the program is told to end, and takes the children along in order", function()
    local child_script = [[
      local mw = require "moonwire"
      local function says(name)
        return { "sh", "-c", "trap 'echo " .. name .. " ended; exit' TERM; echo up; while :; do sleep 0.01; done" }
      end
      local sup <close> = assert(mw.supervisor{
        { id = "a", run = says "a", ready = { line = "up" } },
        { id = "b", run = says "b", ready = { line = "up" }, needs = { "a" } } })
      assert(sup:wait_ready{ timeout = 60 })
      print "ready"
      mw.task.wait()]]
    for signal, code in pairs { INT = 130, TERM = 143 } do
      local p <close> = assert(mw.process.spawn { os.getenv("MOONWIRE"), "run", "-A", "-", stdin = "pipe", stdout = "pipe" })
      assert(p.stdin:write(child_script))
      p.stdin:close()
      repeat until assert(p.stdout:read("l")) == "ready"
      kill(p.pid, signal)
      assert.equal("b ended\na ended\n", p.stdout:read("a"))
      assert.equal(code, p:wait().code)
    end
  end)
end)

describe("the output of a child", function()
  it("may be a flood: it passes through, and the supervisor goes on", function()
    local sup <close> = assert(mw.supervisor {
      { id = "flood", run = { "sh", "-c", "echo up; exec yes" }, ready = { line = "^up$" }, stdout = "null" },
      { id = "long", run = stays("head -c 3000000 /dev/zero; echo; echo up"), ready = { line = "^up$" }, stdout = "null" } })
    assert(sup:wait_ready { timeout = 20 })
    assert(sup:restart("flood", { timeout = 20 }))
  end)

  it("goes to the file or stream that it names", function()
    local dir <close> = mw.fs.tempdir()
    local out <close> = assert(mw.fs.open(dir:join("out"), "w"))
    local sup = assert(mw.supervisor { { id = "x", run = stays("echo one; echo up"), ready = { line = "up" }, stdout = out } })
    assert(sup:wait_ready { timeout = 60 })
    sup:close()
    out:close()
    assert.equal("one\nup\n", mw.fs.read(dir:join("out")))
  end)
end)

describe("a supervisor's plan", function()
  it("is checked whole before anything starts", function()
    local x = { "true" }
    for what, options in pairs {
      ["there is no child"] = {},
      ["table with children"] = 7,
      ["no \"id\""] = { { run = x } },
      ["needs one of \"run\" and \"script\""] = { { id = "a" } },
      ["two children are called \"a\""] = { { id = "a", run = x }, { id = "a", run = x } },
      ["needs \"b\", and there is no such child"] = { { id = "a", run = x, needs = { "b" } } },
      ["circle: a -> c -> b -> a"] = {
        { id = "a", run = x, needs = { "c" } }, { id = "b", run = x, needs = { "a" } }, { id = "c", run = x, needs = { "b" } } },
      ["circle: a -> a"] = { { id = "a", run = x, needs = { "a" } } },
      ["\"one_for_all\", \"one_for_one\", \"rest_for_one\""] = { strategy = "all", { id = "a", run = x } },
      ["\"permanent\", \"temporary\", \"transient\""] = { { id = "a", run = x, restart = "always" } },
      ["did you mean \"max_restarts\""] = { max_restart = 1, { id = "a", run = x } },
      ["did you mean \"restart\""] = { { id = "a", run = x, restrat = "permanent" } },
      ["run for ever"] = { { id = "a", run = x, restart = "permanent", ready = { exit = 0 } } },
      ["one of connect, notify, line and exit"] = { { id = "a", run = x, ready = { exit = 0, line = "x" } } },
      ["must say how"] = { { id = "a", run = x, ready = { timeout = 3 } } },
      ["no pattern"] = { { id = "a", run = x, ready = { line = "[" } } },
      ["is an address"] = { { id = "a", run = x, ready = { connect = "nonsense" } } },
      ["beside it"] = { { id = "a", run = { "true", cwd = "/" } } },
      ["belong into \"run\""] = { { id = "a", "more", run = x } },
      ["begins with a program"] = { { id = "a", run = {} } },
      ["{ first, most }"] = { { id = "a", run = x, backoff = { first = 1 } } },
      ["shorter than the first"] = { backoff = { 2, 1 }, { id = "a", run = x } },
      ["other end of that pipe"] = { { id = "a", run = x, stdin = "pipe" } },
      ["exclude each other"] = { { id = "a", run = x, pty = true, ready = { line = "x" } } },
    } do
      local message = refused(options)
      assert.truthy(message:find(what, 1, true), what .. " is not in: " .. message)
    end
  end)

  it("is its own: what the script changes later does not matter", function()
    local run, env = { "sh", "-c", "exit $CODE" }, { CODE = "5" }
    local sup = mw.supervisor { { id = "a", run = run, env = env, restart = "temporary" } }
    run[3], env.CODE = "exit 6", "7"
    assert.equal(5, watching(sup).wait("a exited").code)
    sup:close()
  end)

  it("raises what the script has no right to", function()
    local r = assert(mw.process.run {
      os.getenv("MOONWIRE"), "run", "--allow-run=true", "-", timeout = 20, stdin = [[
        local mw = require "moonwire"
        for _, c in ipairs{ { run = { "false" } }, { run = { "true" }, ready = { connect = "unix:/tmp/x" } },
                            { run = { "true" }, ready = { connect = "unix:/tmp/a b,c" } },
                            { run = { "true" }, ready = { connect = "tcp://127.0.0.1:7" } } } do
          c.id = "x"
          local ok, err = pcall(mw.supervisor, { c })
          print(ok, err.code, err.hint)
        end
        local sup = mw.supervisor{ { id = "x", run = { "true" }, cwd = "/nosuch" } }
        print(select(2, sup:wait_ready{ timeout = 60 }).message:match("denied"))]],
    })
    assert.equal("false\tEDENIED\tgrant it with --allow-run=false\nfalse\tEDENIED\tgrant it with --allow-net=unix:/tmp/x\n"
      .. "false\tEDENIED\tgrant it with '--allow-net=unix:/tmp/a b\\,c'\n"
      .. "false\tEDENIED\tgrant it with --allow-net=127.0.0.1:7\ndenied\n", r.stdout .. r.stderr:match("^(.-){?"))
  end)
end)

describe("many children that need each other", function()
  it("cost no more than they are", function()
    local plan = { { id = "1", run = { "false" }, ready = { exit = 0 }, restart = "temporary" } }
    for i = 2, 60 do
      local needs = {}
      for k = 1, i - 1 do needs[k] = tostring(k) end
      plan[i] = { id = tostring(i), run = { "true" }, needs = needs }
    end
    local sup <close> = assert(mw.supervisor(plan))
    assert.equal("ECRASHED", select(2, sup:wait_ready { timeout = 20 }).code)
    assert.equal("blocked", child(sup, "60").state)
  end)
end)
