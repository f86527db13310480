-- floor MODULES COUNT SIZE frames|lines: the loops of frames.lua and lines.lua over strings that come from nowhere.
-- rights: -A
package.cpath = arg[1] .. "/?.so"
local floor = require "bench_floor"
local count, size, byte = tonumber(arg[2]), tonumber(arg[3]), string.byte
local n, bytes, sum = 0, 0, 0

if arg[4] == "lines" then
  for line in floor(count, size, true) do
    n = n + 1
    bytes = bytes + #line
  end
else
  for data, kind in floor(count, size) do
    n = n + 1
    bytes = bytes + #data
    sum = sum + kind + byte(data)
  end
end
assert(n == count and bytes == count * size)
