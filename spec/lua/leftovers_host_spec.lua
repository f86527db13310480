-- What stays in a host of what was made and ended there, again and again, in every way: no process, thread, descriptor or mapping.
-- Knows: mw, /proc.
local mw = require "moonwire"
local task = mw.task

local function names(path)
  local out = {}
  for _, entry in ipairs(mw.fs.list(path) or {}) do out[#out + 1] = type(entry) == "table" and entry.name or entry end
  return out
end

local dir = assert(mw.fs.tempdir())
teardown(function() dir:close() end)

--- Our children that are not reaped, zombies too.
local function children()
  local n, self = 0, tostring(mw.sys.pid())
  for _, name in ipairs(names("/proc")) do
    local stat = name:find("^%d+$") and mw.fs.read("/proc/" .. name .. "/stat")
    if stat and stat:match("^.*%) %S (%d+)") == self then n = n + 1 end
  end
  return n
end

--- What one can hold too much of.
local function count()
  local maps, mapped = assert(mw.fs.read("/proc/self/maps")), 0
  for line in maps:gmatch("[^\n]+") do
    if line:find("memfd:", 1, true) or line:find("/dev/shm/", 1, true) or line:find(dir.path, 1, true) then mapped = mapped + 1 end
  end
  return { threads = #names("/proc/self/task"), descriptors = #names("/proc/self/fd"), mappings = mapped, children = children(),
    tasks = #task.list() }
end

local function same(a, b)
  for what, n in pairs(a) do
    if b[what] ~= n then return false end
  end
  return true
end

--- What there is once nothing of earlier acts is on its way out any more.
local function steady()
  local now = count()
  local before
  repeat
    before = now
    task.sleep(0.02)
    collectgarbage()
    now = count()
  until same(before, now)
  return now
end

--- Waits until there is no more of anything than `before`; what there is then.
local function settle(before)
  local deadline = mw.time.now() + 10
  local now
  repeat
    collectgarbage()
    now = count()
    local more = false
    for what, n in pairs(before) do more = more or now[what] > n end
    if more then task.sleep(0.01) end
  until not more or mw.time.now() > deadline
  for what, n in pairs(before) do now[what] = math.max(n, now[what]) end
  return now
end

--- Does it `times` times: there is no more of anything afterwards. What a loop makes once and keeps, when it has reason to (a timer's
--- descriptor, a thread for names), may come in the middle: what leaks comes every time.
local function grows_not(act, times)
  local before, after
  for _ = 1, 3 do
    before = steady()
    for _ = 1, times do act() end
    after = settle(before)
    if same(before, after) then return end
  end
  assert.same(before, after)
end

local function write(name, text)
  assert(mw.fs.write(dir:join(name), 'local mw = require "moonwire"\n' .. text))
  return dir:join(name)
end

local count_names = 0
local function fresh(what)
  count_names = count_names + 1
  return ("%s-%d-%d"):format(what, mw.sys.pid(), count_names)
end

--- Each opens something, uses it, and gives what is to be closed.
local holds = {}

function holds.supervisor()
  local sup = assert(mw.supervisor {
    { id = "a", run = { "sh", "-c", "echo up; exec sleep 1000" }, ready = { line = "up" }, stdout = "null" },
    { id = "b", run = { "sh", "-c", "echo >&3; exec sleep 1000" }, ready = { notify = true }, needs = { "a" } } })
  assert(sup:wait_ready { timeout = 20 })
  return sup
end

holds["connection pool"] = function()
  local srv = assert(mw.net.listen("unix:@" .. fresh("mw-spec-left")))
  local serving = task.spawn_with({ daemon = true }, srv.serve, srv, function(c)
    for line in c:lines() do assert(c:write(line, "\n")) end
  end)
  local pool = mw.net.pool { leak_after = 60 }
  pool:with(srv:address(), function(c) assert(c:write("x\n") and c:read("l")) end)
  local lent = assert(pool:acquire(srv:address()))
  local function close()
    lent:close()
    pool:close()
    srv:close()
    serving:cancel()
  end
  return setmetatable({ close = close }, { __close = close, __gc = close })
end

function holds.worker()
  local w = assert(mw.worker.spawn(write("worker.lua", 'for m in mw.parent:messages() do mw.parent:send(m) end')))
  assert(w:send("x"))
  assert(w:recv { timeout = 20 } == "x")
  return w
end

holds["worker that never comes back"] = function()
  local w = assert(mw.worker.spawn(write("loop.lua", 'mw.parent:send("x") while true do end')))
  assert(w:recv { timeout = 20 } == "x")
  return w
end

function holds.memory()
  local m = assert(mw.shm.create { size = "64KiB" })
  m:write(0, "x")
  return m
end

holds["memory that tasks wait on"] = function()
  local m = assert(mw.shm.create { size = "64KiB" })
  local waiting = {}
  for i = 1, 3 do waiting[i] = task.spawn_with({ daemon = true }, function() return pcall(m.wait_u32, m, 64, 0) end) end
  task.pass()
  assert.equal("ETIMEDOUT", select(2, m:wait_u32(128, 0, { timeout = 0.001 })).code)
  local function close()
    m:close()
    for i = 1, 3 do waiting[i]:cancel() end
  end
  return setmetatable({ close = close }, { __close = close, __gc = close })
end

holds["named memory"] = function()
  local name = fresh("mw-spec-left")
  local m = assert(mw.shm.create { size = "64KiB", name = name })
  assert(mw.shm.unlink(name))
  return m
end

holds["memory in a file"] = function()
  return assert(mw.shm.create { size = "64KiB", path = dir:join("shared") })
end

holds["script child with memory"] = function()
  local m = assert(mw.shm.create { size = "64KiB" })
  local child = assert(mw.process.spawn { script = write("child.lua", 'mw.shared.data:write(0, "y") print(1) mw.task.wait()'),
    share = { data = m }, stdout = "pipe" })
  assert(child.stdout:read("l") == "1")
  local function close()
    child:close()
    m:close()
  end
  return setmetatable({ close = close }, { __close = close, __gc = close })
end

holds["ring in one host"] = function()
  local ring = assert(mw.shm.ring { capacity = "64KiB" })
  assert(ring:push("x") and ring:pop { timeout = 20 } == "x")
  return ring
end

holds["ring to a script child"] = function()
  local ring = assert(mw.shm.ring { capacity = "64KiB" })
  local child = assert(mw.process.spawn { script = write("pops.lua", 'print(mw.shared.ring:pop{ timeout = 20 }) mw.task.wait()'),
    share = { ring = ring }, stdout = "pipe" })
  assert(ring:push("over there"))
  assert(child.stdout:read("l") == "over there")
  local function close()
    child:close()
    ring:close()
  end
  return setmetatable({ close = close }, { __close = close, __gc = close })
end

holds["worker with memory, a ring and a stream"] = function()
  local srv <close> = assert(mw.net.listen("unix:@" .. fresh("mw-spec-left")))
  local conn = assert(mw.net.connect(srv:address()))
  local far <close> = assert(srv:accept { timeout = 20 })
  local memory <close>, ring = assert(mw.shm.create { size = "64KiB" }), assert(mw.shm.ring { capacity = "64KiB" })
  local w = assert(mw.worker.spawn(write("given.lua", [[
    local got = mw.parent:recv()
    got.memory:write(0, "y")
    got.stream:write(got.ring:pop{ timeout = 20 }, "\n")
    mw.parent:send("done")
    mw.task.wait()]])))
  assert(w:send { memory = memory, ring = ring, stream = conn })
  assert(ring:push("through it"))
  assert(far:read("l", { timeout = 20 }) == "through it" and w:recv { timeout = 20 } == "done" and memory:read(0, 1) == "y")
  ring:close()
  return w
end

holds["pool of scripts"] = function()
  local pool = assert(mw.process.pool { script = write("serves.lua", "mw.serve{ double = function(n) return 2 * n end }"), size = 2 })
  for i, v, err in pool:map("double", { 1, 2, 3, 4 }, { ordered = true }) do assert(v == 2 * i, err) end
  return pool
end

holds["pool of programs"] = function()
  local pool = assert(mw.process.pool { command = { "cat" }, protocol = "lines", size = 2 })
  assert(pool:call("x", { timeout = 20 }) == "x")
  return pool
end

holds["pool of threads"] = function()
  local pool = assert(mw.worker.pool { script = write("serves.lua", "mw.serve{ double = function(n) return 2 * n end }"), size = 2 })
  for i, v, err in pool:map("double", { 1, 2, 3, 4 }, { ordered = true }) do assert(v == 2 * i, err) end
  return pool
end

holds["pool of threads with a task that never comes back"] = function()
  local pool = assert(mw.worker.pool { script = write("spins.lua", "mw.serve{ spin = function() while true do end end }"), size = 1 })
  assert.equal("ETIMEDOUT", select(2, pool:call("spin", 1, { timeout = 0.05 })).code)
  return pool
end

local busy = "pool with a task that hangs and one that waits" -- and whoever calls it holds it

holds[busy] = function()
  local pool = assert(mw.process.pool { mode = "oneshot", command = function(text) return { "sh", "-c", text } end, size = 1 })
  assert(pool:call("echo x", { timeout = 20 }) == "x\n")
  for _ = 1, 2 do task.spawn_with({ daemon = true }, pool.call, pool, "sleep 1000") end
  task.pass()
  return pool
end

--- How each is ended.
local ends = {}

function ends.well(hold) hold():close() end

ends["an error"] = function(hold)
  local ok, err = pcall(function()
    local _ <close> = hold()
    error("on purpose", 0)
  end)
  assert.same({ false, "on purpose" }, { ok, err })
end

ends["a cancel"] = function(hold)
  local held = task.event()
  local t = task.spawn(function()
    local _ <close> = hold()
    held:set()
    task.wait()
  end)
  assert(held:wait { timeout = 60 })
  t:cancel()
  assert.equal("ECANCELED", select(2, t:join()).code)
end

ends["the end of its scope"] = function(hold)
  task.scope(function(s)
    s:spawn(function() local _ <close> = hold() end)
  end)
end

ends["being forgotten"] = function(hold)
  hold()
  collectgarbage()
end

describe("nothing is left in its host of a", function()
  for what, hold in pairs(holds) do
    for how, finish in pairs(ends) do
      if what ~= busy or how ~= "being forgotten" then it(what .. " that ends by " .. how, function()
        local spins = what:find("never comes back", 1, true) -- such a thread takes a second to end
        for _ = 1, spins and 1 or 2 do finish(hold) end -- what is made once and kept: a warden, threads for names, caches
        grows_not(function() finish(hold) end, spins and 2 or 5)
      end) end
    end
  end
end)

-- What fails ---------------------------------------------------------------------------------------------------------------

local fails = {}

fails["a supervisor whose program is missing"] = function()
  local sup <close> = assert(mw.supervisor { max_restarts = 1, backoff = { 0, 0 },
    { id = "x", run = { "/nosuch" }, ready = { notify = true } } })
  assert.equal("ECRASHED", select(2, sup:wait_ready { timeout = 20 }).code)
end

fails["a supervisor whose plan is wrong"] = function()
  assert.falsy(pcall(mw.supervisor, { { id = "x", run = { "true" } }, { id = "x", run = { "true" } } }))
end

fails["a connection that is refused"] = function()
  local pool <close> = mw.net.pool()
  assert.equal("ECONNREFUSED", select(2, pool:acquire("unix:@" .. fresh("mw-spec-left"))).code)
end

fails["a worker whose script is missing"] = function()
  local w = mw.worker.spawn(dir:join("nosuch.lua"))
  if w then w:close() end
end

fails["a worker whose script fails"] = function()
  local w <close> = assert(mw.worker.spawn(write("bad.lua", "error('no')")))
  assert.equal("ECRASHED", select(2, w:recv { timeout = 20 }).code)
end

fails["a message that cannot be sent"] = function()
  local w <close> = assert(mw.worker.spawn(write("worker.lua", "for m in mw.parent:messages() do mw.parent:send(m) end")))
  local memory <close> = assert(mw.shm.create { size = 4096 })
  assert.falsy(pcall(w.send, w, { memory, print }))
end

fails["memory that is too large"] = function()
  local ok, m = pcall(mw.shm.create, { size = "1024GiB" })
  assert.truthy(not ok or not m)
end

fails["a name that is not there"] = function()
  assert.is_nil((mw.shm.open { name = fresh("mw-spec-left") }))
end

fails["a script child that cannot start with what it shares"] = function()
  local ring <close> = assert(mw.shm.ring { capacity = 4096 })
  local ok, child = pcall(mw.process.spawn, { script = dir:join("nosuch.lua"), share = { ring = ring } })
  assert.truthy(not ok or not child)
end

fails["a pool whose workers cannot start"] = function()
  local pool <close> = assert(mw.process.pool { script = write("bad.lua", "error('no')"), size = 2, stderr = "null",
    restart = { max = 1, within = 10, backoff = { 0, 0 } }, queue_timeout = 20 })
  assert.is_nil((pool:call("x", 1, { timeout = 20 })))
end

describe("nothing is left in its host of", function()
  for what, try in pairs(fails) do
    it(what, function()
      for _ = 1, 2 do try() end
      grows_not(try, 10)
    end)
  end
end)
