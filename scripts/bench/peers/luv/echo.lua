-- echo serve SOCKET: answers each frame with itself.   echo ask SOCKET COUNT: asks so often, one at a time.   Frames of 64 bytes.
package.path = arg[0]:gsub("[^/]*$", "?.lua;") .. package.path
local uv = require "luv"
local common = require "common"
local pack, unpack, sub = string.pack, string.unpack, string.sub
local DATA = 59

local function serve(conn)
  local kept = ""
  conn:read_start(function(err, data)
    if err or not data then return conn:close() end
    if kept ~= "" then data = kept .. data end
    local at, len = 1, #data
    while at + 4 <= len do
      local kind, size = unpack("<BI4", data, at)
      if at + 4 + size > len then break end
      conn:write(pack("<Bs4", kind, sub(data, at + 5, at + 4 + size)))
      at = at + 5 + size
    end
    kept = at > len and "" or sub(data, at)
  end)
end

local function ask(conn, count)
  local took, done, kept, since = {}, 0, "", nil
  local texts = {}
  for i = 0, 255 do texts[i] = string.char(i):rep(DATA) end
  local function send()
    since = uv.hrtime()
    conn:write(pack("<Bs4", 1 + done % 100, texts[done & 255]))
  end
  local begun = uv.hrtime()
  conn:read_start(function(err, data)
    assert(data, err or "the server closed")
    if kept ~= "" then data = kept .. data end
    if #data < 5 + DATA then
      kept = data
      return
    end
    kept = ""
    took[done + 1] = uv.hrtime() - since
    local kind, text, next_at = unpack("<Bs4", data)
    assert(kind == 1 + done % 100 and text == texts[done & 255] and next_at == #data + 1, "another frame came back")
    done = done + 1
    if done < count then return send() end
    local seconds = common.seconds_since(begun)
    table.sort(took)
    print(("result count=%d seconds=%.6f p50=%.9f p99=%.9f"):format(count, seconds, took[count // 2 + 1] / 1e9,
      took[count * 99 // 100 + 1] / 1e9))
    conn:close()
  end)
  send()
end

if arg[1] == "serve" then
  common.serve(arg[2], serve)
  common.ready()
else
  common.connect(arg[2], function(conn) ask(conn, tonumber(arg[3])) end)
end
uv.run()
