-- frames send SOCKET COUNT SIZE.   frames take SOCKET COUNT SIZE objects|in-place: a string for each frame's data, or none.
package.path = arg[0]:gsub("[^/]*$", "?.lua;") .. package.path
local uv = require "luv"
local common = require "common"
local pack, unpack, sub, byte, concat = string.pack, string.unpack, string.sub, string.byte, table.concat
local path, count, size = arg[2], tonumber(arg[3]), tonumber(arg[4])
local frames, bytes, sum = 0, 0, 0

-- Each takes the whole frames of `data` and gives where the rest begins.
local take = {}

local function on_message(kind, text)
  frames = frames + 1
  bytes = bytes + #text
  sum = sum + kind + byte(text)
end

take["objects"] = function(data)
  local at, len = 1, #data
  while at + 4 <= len do
    local kind, n = unpack("<BI4", data, at)
    local next_at = at + 5 + n
    if next_at > len + 1 then break end
    on_message(kind, sub(data, at + 5, next_at - 1))
    at = next_at
  end
  return at
end

take["in-place"] = function(data)
  local at, len, f, b, s = 1, #data, 0, 0, 0
  while at + 5 <= len do
    local kind, n, first = unpack("<BI4B", data, at)
    local next_at = at + 5 + n
    if next_at > len + 1 then break end
    f, b, s = f + 1, b + n, s + kind + first
    at = next_at
  end
  frames, bytes, sum = frames + f, bytes + b, sum + s
  return at
end

local function receive(conn, listener, parse)
  local kept, since = "", nil
  conn:read_start(function(err, data)
    assert(not err, err)
    if data then
      since = since or uv.hrtime()
      if kept ~= "" then data = kept .. data end
      local at = parse(data)
      kept = at > #data and "" or sub(data, at)
      return
    end
    local seconds, want = common.seconds_since(since), 0
    for i = 0, count - 1 do want = want + 1 + i % 100 + (i & 255) end
    assert(frames == count and bytes == count * size and sum == want, "other frames came than were sent")
    print(("result count=%d seconds=%.6f"):format(count, seconds))
    conn:close()
    listener:close()
  end)
end

-- Many frames to one call of string.pack: no string is made for a single one.
local function send(conn)
  local GROUP, AHEAD = 60, 4
  local groups = math.max(1, (1 << 17) // (GROUP * (size + 5)))
  local texts, formats, fields, parts = {}, {}, {}, {}
  for i = 0, 255 do texts[i] = string.char(i) .. ("x"):rep(size - 1) end
  for i = 1, GROUP do formats[i] = "<" .. ("Bs4"):rep(i) end
  local made, flying = 0, 0
  local function batch()
    local used = 0
    while used < groups and made < count do
      local n = math.min(GROUP, count - made)
      for i = 0, n - 1 do
        fields[2 * i + 1], fields[2 * i + 2] = 1 + (made + i) % 100, texts[(made + i) & 255]
      end
      used = used + 1
      parts[used] = pack(formats[n], table.unpack(fields, 1, 2 * n))
      made = made + n
    end
    return concat(parts, "", 1, used)
  end
  local feed
  local function written(err)
    assert(not err, err)
    flying = flying - 1
    feed()
  end
  function feed()
    while flying < AHEAD and made < count do
      flying = flying + 1
      conn:write(batch(), written)
    end
    if flying == 0 then conn:close() end
  end
  feed()
end

if arg[1] == "take" then
  local listener
  listener = common.serve(path, function(conn) receive(conn, listener, take[arg[5]]) end)
  common.ready()
else
  common.connect(path, send)
end
uv.run()
