--- Broken memory: connections with TLS and compression. How: spec/support/fail_alloc_walk.lua.
local walk = dofile "spec/support/fail_alloc_walk.lua"
local ca = dofile("spec/support/tls_ca.lua").new()

describe("a run whose memory ends", function()
  ca:issue "localhost"
  ca:issue "client"
  teardown(function() ca:close() end)
  walk({ it = it, teardown = teardown, pending = pending, assert = assert }, { "secured" }, { TLS = ca.dir })
end)
