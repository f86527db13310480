-- frames send SOCKET COUNT SIZE.   frames take SOCKET COUNT SIZE messages|views: as strings, or lent.
-- rights: --allow-net
local mw = require "moonwire"
local address, count, size, how = "unix:" .. arg[2], tonumber(arg[3]), tonumber(arg[4]), arg[5]
local byte = string.byte

--- The sum of i % n, over all frames.
local function cycles(n)
  local whole, rest = count // n, count % n
  return whole * (n * (n - 1) // 2) + rest * (rest - 1) // 2
end

local take = {}

function take.messages(ch)
  local frames, bytes, sum = 0, 0, 0
  for data, kind in ch:messages() do
    frames = frames + 1
    bytes = bytes + #data
    sum = sum + kind + byte(data)
  end
  return frames, bytes, sum
end

function take.views(ch)
  local frames, bytes, sum = 0, 0, 0
  for view, kind in ch:views() do
    frames = frames + 1
    bytes = bytes + #view
    sum = sum + kind + view:byte()
  end
  return frames, bytes, sum
end

if arg[1] == "send" then
  local conn <close> = assert(mw.net.connect(address))
  local ch, texts = conn:framed "typed", {}
  for i = 0, 255 do texts[i] = string.char(i) .. ("x"):rep(size - 1) end
  for i = 0, count - 1 do ch:send(texts[i & 255], 1 + i % 100) end
  assert(ch:finish())
  conn:read_some(1) -- until all of it was taken
  return
end

local server <close> = assert(mw.net.listen(address))
print "ready"
local conn <close> = assert(server:accept())
conn:peek(1) -- the clock begins with the first byte
local since = mw.time.now()
local frames, bytes, sum = take[how](conn:framed "typed")
local seconds, want = mw.time.now() - since, count + cycles(100) + cycles(256)
assert(frames == count and bytes == count * size and sum == want, "other frames came than were sent")
print(("result count=%d seconds=%.6f"):format(count, seconds))
