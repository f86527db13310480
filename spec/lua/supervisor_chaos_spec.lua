-- Supervisors under random kills, stops, starts and restarts: what their events tell is always a possible story, and nothing stays.
-- Knows: mw, sh, sleep, kill.
local mw = require "moonwire"
local task = mw.task

--- What may follow what, for one child. "restarting" may come in between, when another one takes it along or it is asked to.
local follows = {
  new = { starting = true, exited = true },
  starting = { ready = true, exited = true, stopped = true },
  ready = { exited = true, stopped = true },
  exited = { starting = true, ready = true, exited = true, gave_up = true }, -- ready: a job; exited: could not be started
  stopped = { starting = true, exited = true },
  gave_up = {},
}

local function check_story(sup)
  local last, again, number = {}, {}, 0
  for ev in sup:events { timeout = 20 } do
    assert.equal(number + 1, ev.number)
    number = ev.number
    local before = last[ev.id] or "new"
    if ev.what == "restarting" then
      again[ev.id] = true
    else
      local job = before == "job done" and "exited" or before
      local waited = ev.what == "stopped" and again[ev.id] -- for a restart that did not come
      assert.truthy(waited or (follows[job] and follows[job][ev.what]), ("%s: %s after %s"):format(ev.id, ev.what, before))
      again[ev.id] = nil
      last[ev.id] = before == "exited" and ev.what == "ready" and "job done" or ev.what
    end
  end
  for id, what in pairs(last) do
    assert.truthy(what == "stopped" or what == "exited" or what == "job done" or what == "gave_up", id .. " ended as " .. what)
  end
end

local function is_gone(pid)
  return not assert(mw.process.run { "kill", "-0", tostring(pid) }).ok
end

local function stays(text)
  return { "sh", "-c", (text or ":") .. "; exec sleep 1000" }
end

describe("a supervisor among random events", function()
  for _, strategy in ipairs { "one_for_one", "one_for_all", "rest_for_one" } do
    it("tells a possible story and leaves nothing, as " .. strategy, function()
      math.randomseed(7)
      local sup = assert(mw.supervisor { strategy = strategy, max_restarts = 100000, backoff = { 0, 0.01 }, keep_events = 100000,
        { id = "a", run = stays("echo up"), ready = { line = "up" }, stdout = "null" },
        { id = "job", run = { "true" }, ready = { exit = 0 }, needs = { "a" } },
        { id = "b", run = stays("echo >&3"), ready = { notify = true }, needs = { "job" } },
        { id = "c", run = stays(), needs = { "a" }, restart = "transient" },
        { id = "d", run = { "sh", "-c", "sleep 0.02; exit 1" }, needs = { "c" } },
        { id = "e", run = { "/nosuch" }, backoff = { 0.02, 0.05 } },
      })
      local ids, pids = { "a", "job", "b", "c", "d", "e" }, {}
      local acts = {
        function(id) sup:kill(id, "KILL") end,
        function(id) sup:kill(id, "TERM") end,
        function(id) sup:stop(id, { timeout = 20 }) end,
        function(id) sup:start(id, { timeout = 0.02 }) end,
        function(id) sup:restart(id, { timeout = 0.02 }) end,
        function() sup:wait_ready { timeout = 0.02 } end,
      }
      task.scope(function(s)
        for _ = 1, 3 do
          s:spawn(function()
            for _ = 1, 40 do
              for _, c in ipairs(sup:children()) do pids[#pids + 1] = c.pid end
              acts[math.random(#acts)](ids[math.random(#ids)])
            end
          end)
        end
      end)
      sup:close()
      check_story(sup)
      for _, c in ipairs(sup:children()) do assert.is_nil(c.pid) end
      for i = math.max(1, #pids - 20), #pids do assert.truthy(is_gone(pids[i])) end
    end)
  end
end)
