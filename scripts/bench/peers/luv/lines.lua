-- lines SOCKET echo|count: answers each line with itself, or all of them with their number at the end.
package.path = arg[0]:gsub("[^/]*$", "?.lua;") .. package.path
local uv = require "luv"
local common = require "common"
local find, sub, concat = string.find, string.sub, table.concat
local echo = arg[2] == "echo"

common.serve(arg[1], function(conn)
  local kept, lines, bytes, answers = "", 0, 0, {}
  local got
  local function resume() conn:read_start(got) end
  function got(err, data)
    if err then return conn:close() end
    if not data then
      if echo then return conn:shutdown(function() conn:close() end) end -- what is still queued goes out first
      return conn:write(("%d lines, %d bytes\n"):format(lines, bytes), function() conn:close() end)
    end
    if kept ~= "" then data = kept .. data end
    local at, n = 1, 0
    while true do
      local stop = find(data, "\n", at, true)
      if not stop then break end
      local line = sub(data, at, stop - 1)
      lines = lines + 1
      bytes = bytes + #line
      if echo then
        n = n + 1
        answers[n] = line
      end
      at = stop + 1
    end
    kept = at > #data and "" or sub(data, at)
    if n > 0 then
      answers[n + 1] = "" -- the last line's end
      local answer = concat(answers, "\n", 1, n + 1)
      if conn:get_write_queue_size() < 1 << 18 then
        conn:write(answer)
      else
        conn:read_stop()
        conn:write(answer, resume)
      end
    end
  end
  resume()
end)
common.ready()
uv.run()
