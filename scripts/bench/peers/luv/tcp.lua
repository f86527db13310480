-- tcp: echoes frames on a port that it prints; kind 255 is answered with its own account.
package.path = arg[0]:gsub("[^/]*$", "?.lua;") .. package.path
local uv = require "luv"
local common = require "common"
local pack, unpack, sub = string.pack, string.unpack, string.sub
local frames, sum = 0, 0

local function serve(conn)
  local kept = ""
  conn:nodelay(true)
  conn:read_start(function(err, data)
    if err or not data then return conn:close() end
    if kept ~= "" then data = kept .. data end
    local at, from, len = 1, 1, #data
    while at + 4 <= len do
      local kind, size = unpack("<BI4", data, at)
      local next_at = at + 5 + size
      if next_at > len + 1 then break end
      if kind == 255 then
        if at > from then conn:write(sub(data, from, at - 1)) end
        conn:write(pack("<BI4I8I8", 255, 16, frames, sum))
        from = next_at
      else
        frames = frames + 1
        sum = sum + kind + data:byte(at + 5)
      end
      at = next_at
    end
    if at > from then conn:write(from == 1 and at > len and data or sub(data, from, at - 1)) end
    kept = at > len and "" or sub(data, at)
  end)
end

local listener = uv.new_tcp()
assert(listener:bind("127.0.0.1", 0))
assert(listener:listen(4096, function(err)
  assert(not err, err)
  local conn = uv.new_tcp()
  assert(listener:accept(conn))
  serve(conn)
end))
common.ready(listener:getsockname().port)
uv.run()
