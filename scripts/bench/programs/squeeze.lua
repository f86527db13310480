-- squeeze send|take SOCKET COUNT: messages of 200 bytes of JSON text, gathered to 64 KiB and squeezed with zstd at level 1, one way.
-- rights: --allow-net --limit=step=off
local mw = require "moonwire"
local side, address, count = arg[1], "unix:" .. arg[2], tonumber(arg[3])
local how = { batch = { bytes = "64KiB", delay = 1, messages = 1 << 16 }, compress = { "zstd", level = 1, min = 512 } }

if side == "send" then
  local texts = {}
  for i = 0, 1023 do -- so many different ones that a batch does not hold one twice
    local form = '{"type":"metric","payload":{"id":%d,"name":"worker-%d","values":[%d,%d.5,%d],"note":"'
    local head = form:format(i, i * 7, i * 31, i * 17, i * i)
    texts[i] = head .. ("a note of no great length; "):rep(8):sub(1, 200 - #head - 3) .. '"}}'
  end
  local conn <close> = assert(mw.net.connect(address))
  local ch = conn:framed("u32le", how)
  for i = 0, count - 1 do ch:send(texts[i & 1023]) end
  assert(ch:finish())
  conn:read_some(1) -- until all of it was taken
  return
end

local server <close> = assert(mw.net.listen(address))
print "ready"
local conn <close> = assert(server:accept())
conn:peek(1) -- the clock begins with the first byte
local since = mw.time.now()
local messages, bytes, byte = 0, 0, string.byte
local ch = conn:framed("u32le", how)
for text in ch:messages() do
  messages = messages + 1
  bytes = bytes + #text
  assert(byte(text, -1) == 125, "another message came than was sent")
end
local seconds = mw.time.now() - since
assert(messages == count and bytes == count * 200, "other messages came than were sent")
print(("result count=%d seconds=%.6f wire=%d"):format(count, seconds, conn:stats().bytes_in))
