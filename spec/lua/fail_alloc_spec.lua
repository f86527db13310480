--- Broken memory: tasks, files, sockets, children. How: spec/support/fail_alloc_walk.lua.
local walk = dofile "spec/support/fail_alloc_walk.lua"

describe("a run whose memory ends", function()
  local busted = { it = it, teardown = teardown, pending = pending, assert = assert }
  walk(busted, { "tasks", "files", "frames", "coats", "calls", "greeted", "handles", "children", "family", "confined", "measured",
    "schemas" })
end)
