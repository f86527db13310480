-- pipe MIB: so much through `cat`, in blocks of 64 KiB, read back while it is written.
local uv = require "luv"
local byte = string.byte
local BLOCK, AHEAD = 65536, 8
local total = tonumber(arg[1]) << 20
local letters = {}
for i = 0, 250 do letters[i + 1] = string.char(i) end
local block = table.concat(letters):rep(BLOCK // 251 + 1):sub(1, BLOCK)

local to, from = uv.new_pipe(false), uv.new_pipe(false)
local sent, heard, flying, code = 0, 0, 0, nil
local since = uv.hrtime()
local process
process = assert(uv.spawn("cat", { stdio = { to, from, 2 } }, function(status)
  code = status
  process:close()
end))

from:read_start(function(err, data)
  assert(not err, err)
  if not data then return from:close() end
  local first, last = heard % BLOCK + 1, (heard + #data - 1) % BLOCK + 1
  assert(byte(data) == byte(block, first) and byte(data, -1) == byte(block, last), "other bytes came back")
  heard = heard + #data
end)

local feed
local function written(err)
  assert(not err, err)
  flying = flying - 1
  feed()
end

function feed()
  if sent < total then
    sent = sent + BLOCK
    flying = flying + 1
    to:write(block, written)
  elseif flying == 0 then
    to:close()
  end
end

for _ = 1, AHEAD do feed() end
uv.run()
assert(heard == total and code == 0, "cat did not give back everything and end well")
print(("result count=%d seconds=%.6f"):format(total >> 20, (uv.hrtime() - since) / 1e9))
