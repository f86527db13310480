-- spawn COUNT LANES HEAP_MIB: runs /bin/echo so often, so many at a time, and reads what each says.
-- rights: --trust-run=/bin/echo --limit=memory=4GiB,step=off
local mw = require "moonwire"
local count, lanes, mib = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3])
local started, blocked, heap = 0, {}, {}
for i = 1, mib do heap[i] = ("x"):rep(1 << 20) end

local command = { "/bin/echo", "hello", stdout = "pipe", stderr = "null" }

local function lane()
  while started < count do
    started = started + 1
    local i, since = started, mw.time.now()
    local child <close> = assert(mw.process.spawn(command))
    blocked[i] = mw.time.now() - since
    local said = child.stdout:read "a"
    assert(child:wait().ok and said == "hello\n", "a child did not say hello and end well")
  end
end

local since = mw.time.now()
mw.task.scope(function(scope)
  for _ = 1, lanes do scope:spawn(lane) end
end)
local seconds = mw.time.now() - since
assert(#heap == mib)
table.sort(blocked)
print(("result count=%d seconds=%.6f blocked=%.9f"):format(count, seconds, blocked[count // 2 + 1]))
