-- Shared memory: the parent writes, a child in another process reads; then a ring of records with both sides busy.
-- rights:
local mw = require "moonwire"
local RECORDS = 20000

if mw.shared then -- the other process: this script again, started below; it may nothing but use what is shared
  local memory, ring = mw.shared.memory, mw.shared.ring
  print(memory:read(0, memory:u32(64)))
  memory:write(128, "Answer from child")
  local sum = 0
  for record in ring:records { timeout = 10 } do sum = sum + #record end
  memory:set_u64(72, sum)
  return
end

local memory <close> = assert(mw.shm.create { size = "64KiB" }) -- no name: nobody else can open it
local ring <close> = assert(mw.shm.ring { capacity = "64KiB" })
local text = "Shared data from parent"
memory:write(0, text)
memory:set_u32(64, #text)

local child <close> = assert(mw.process.spawn {
  script = "06_shared_memory.lua",
  share = { memory = memory, ring = ring }, -- of the ring, the side that we do not use goes to the child
  stdout = "pipe",
})

local sum = 0
for i = 1, RECORDS do
  local record = "record " .. i
  assert(ring:push(record, { timeout = 10 })) -- waits while the ring is full
  sum = sum + #record
end
ring:finish()

local said = child.stdout:read("a")
assert(child:wait { timeout = 10 }.ok)
assert(said == text .. "\n", "the child read: " .. said)
assert(memory:read(128, 17) == "Answer from child")
assert(memory:u64(72) == sum, "the child counted " .. memory:u64(72) .. " bytes of " .. sum)
print("child read: " .. said:gsub("\n", ""))
print(("%d records through the ring, the other side woken %d times"):format(RECORDS, ring:stats().rung))
