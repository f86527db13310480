-- A connection pool among tasks that fail, give up and are cancelled, and servers that end connections: nobody ever reads another's
-- reply, no limit is passed, and the counts add up. Knows: mw, servers of our own.
local mw = require "moonwire"
local net, task = mw.net, mw.task

local MAX, EACH, TASKS, ROUNDS = 5, 2, 24, 60

--- Replies with what it was asked, now, later, never, or with its own end.
local function serve(conn)
  for line in conn:lines() do
    local how = line:match("^%a+")
    if how == "hangup" then return end
    if how == "late" then task.sleep(0.001) end
    if how ~= "silent" and not conn:write(line, "\n") then return end
    if how == "last" then return end
  end
end

local function listening(count)
  local servers = {}
  for i = 1, count do
    servers[i] = assert(net.listen(("unix:@mw-spec-pool-chaos-%d-%d"):format(mw.sys.pid(), i)))
    task.spawn_with({ daemon = true }, servers[i].serve, servers[i], serve)
  end
  return servers
end

describe("a connection pool among random events", function()
  it("mixes nothing up and passes no limit", function()
    math.randomseed(11)
    local servers = listening(4)
    local pool = net.pool { max = MAX, max_per_key = EACH, acquire_timeout = 20, validate = function(c) return c:alive() end }
    local held, most, replies = {}, 0, 0
    local hows = { "now", "now", "now", "late", "last", "hangup", "silent", "dirty", "raise", "forget" }

    local function exchange(c, key, text, how)
      held[key] = (held[key] or 0) + 1
      local leave <close> = setmetatable({}, { __close = function() held[key] = held[key] - 1 end })
      assert(held[key] <= EACH and pool:stats().in_use <= MAX and pool:stats().open <= MAX)
      most = math.max(most, pool:stats().in_use)
      if how == "raise" then error("on purpose", 0) end
      if not c:write(text, "\n") then return end
      if how == "dirty" then return c:peek(1) end -- the reply has come and stays unread
      local line = c:read("l", { timeout = how == "silent" and 0.001 or 20 })
      if line then
        assert.equal(text, line)
        replies = replies + 1
      end
      assert(leave)
    end

    task.scope(function(s)
      for id = 1, TASKS do
        s:spawn(function()
          for round = 1, ROUNDS do
            local url, how = servers[math.random(#servers)]:address(), hows[math.random(#hows)]
            local text = ("%s %d %d"):format(how, id, round)
            if how == "forget" then -- cancelled at any point of it
              task.timeout(math.random() / 500, pool.with, pool, url, function(c) return exchange(c, url, text, how) end)
            else
              local ok, why = pcall(pool.with, pool, url, function(c) return exchange(c, url, text, how) end)
              assert.truthy(ok or why == "on purpose", tostring(why))
            end
          end
        end)
      end
    end)
    local st = pool:stats()
    assert.same({ 0, 0 }, { st.in_use, st.waiting })
    assert.equal(st.created, st.open + st.destroyed)
    assert.equal(st.open, st.idle)
    assert.equal(MAX, most)
    assert.truthy(replies > TASKS * ROUNDS / 3 and st.reused > 0 and st.evicted > 0)
    pool:close()
    assert.equal(0, pool:stats().open)
    for _, server in ipairs(servers) do server:close() end
  end)
end)
