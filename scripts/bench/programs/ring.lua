-- ring COUNT: so many records of 64 bytes, one way through shared memory to another process.
-- rights:
local mw = require "moonwire"

if mw.shared then -- the other process is this same script
  local count, sum = 0, 0
  print "ready"
  for record in mw.shared.ring:records() do
    count, sum = count + 1, sum + record:byte(1)
    if #record ~= 64 then error "a record of another size" end
  end
  mw.shared.memory:set_u64(0, count)
  mw.shared.memory:set_u64(8, sum)
  return
end

local count, want, records = tonumber(arg[1]), 0, {}
for i = 0, 255 do records[i] = string.char(i):rep(64) end
local memory <close> = assert(mw.shm.create { size = 4096 })
local ring <close> = assert(mw.shm.ring { capacity = "1MiB" })
local child <close> = assert(mw.process.spawn { script = "ring.lua", share = { memory = memory, ring = ring }, stdout = "pipe" })

assert(child.stdout:read "l" == "ready")
local since = mw.time.now()
for i = 1, count do
  ring:push(records[i & 255])
  want = want + (i & 255)
end
ring:finish()
assert(child:wait().ok, "the other process failed")
local seconds = mw.time.now() - since
assert(memory:u64(0) == count and memory:u64(8) == want, "other records arrived")
print(("result count=%d seconds=%.6f"):format(count, seconds))
