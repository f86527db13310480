--- Broken memory: shared memory, workers, pools, supervisors. How: spec/support/fail_alloc_walk.lua.
local walk = dofile "spec/support/fail_alloc_walk.lua"

describe("a run whose memory ends", function()
  local busted = { it = it, teardown = teardown, pending = pending, assert = assert }
  walk(busted, { "supervised", "pooled", "shared", "workers", "threads", "served" })
end)
