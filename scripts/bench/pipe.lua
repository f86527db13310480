-- Sends COUNT blocks of 64 KiB through `cat` and reads them back.
-- rights: --allow-run=cat
local mw = require "moonwire"

local count, block = tonumber(arg[1]), ("x"):rep(65536)
local cat <close> = assert(mw.process.spawn { "cat", stdin = "pipe", stdout = "pipe" })
local sum = 0

mw.task.spawn(function()
  for _ = 1, count do assert(cat.stdin:write(block)) end
  cat.stdin:close()
end)
while sum < count * #block do
  sum = sum + #assert(cat.stdout:read_some(#block))
end
assert(cat.stdout:read_some(1) == nil, "more came back than was sent")
assert(cat:wait())
