-- pipe MIB: so much through `cat`, in blocks of 64 KiB, read back while it is written.
-- rights: --trust-run=cat
local mw = require "moonwire"
local BLOCK = 65536
local total = tonumber(arg[1]) << 20
local letters = {}
for i = 0, 250 do letters[i + 1] = string.char(i) end
local block = table.concat(letters):rep(BLOCK // 251 + 1):sub(1, BLOCK)

local since = mw.time.now()
local cat <close> = assert(mw.process.spawn { "cat", stdin = "pipe", stdout = "pipe" })
local from, to, heard = cat.stdout, cat.stdin, 0
mw.task.spawn(function()
  for _ = 1, total // BLOCK do assert(to:write(block)) end
  to:close()
end)
for data in function() return from:read_some(4 * BLOCK) end do
  local first, last = heard % BLOCK + 1, (heard + #data - 1) % BLOCK + 1
  assert(data:byte() == block:byte(first) and data:byte(-1) == block:byte(last), "other bytes came back")
  heard = heard + #data
end
assert(cat:wait().ok and heard == total, "cat did not give back everything and end well")
print(("result count=%d seconds=%.6f"):format(total >> 20, mw.time.now() - since))
