-- floor MODULES COUNT SIZE frames|lines|send|json: the loops of frames.lua, lines.lua and json.lua over what comes from nowhere, or goes
-- there.
-- rights: -A
package.cpath = arg[1] .. "/?.so"
local floor = require "bench_floor"
local count, size, byte = tonumber(arg[2]), tonumber(arg[3]), string.byte
local n, bytes, sum = 0, 0, 0

if arg[4] == "send" then
  local ch, texts = floor.sink(), {}
  for i = 0, 255 do texts[i] = string.char(i) .. ("x"):rep(size - 1) end
  for i = 0, count - 1 do ch:send(texts[i & 255], 1 + i % 100) end
  n, bytes = count, count * size
elseif arg[4] == "json" then
  local Message, texts, bad = floor.sink(), {}, 0
  for i = 0, 63 do texts[i] = ("x"):rep(200) end
  for i = 0, count - 1 do
    local m = Message:parse(texts[i & 63])
    if m then
      n, sum = n + 1, sum + m.payload.id
    else
      bad = bad + 1
    end
  end
  assert(bad == count // 16)
  n, bytes = n + bad, count * size
elseif arg[4] == "lines" then
  for line in floor.start(count, size, true) do
    n = n + 1
    bytes = bytes + #line
  end
else
  for data, kind in floor.start(count, size) do
    n = n + 1
    bytes = bytes + #data
    sum = sum + kind + byte(data)
  end
end
assert(n == count and bytes == count * size)
