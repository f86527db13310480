-- lines SOCKET echo|count: answers each line with itself, or all of them with their number at the end.
-- rights: --allow-listen
local mw = require "moonwire"
local answer = {}

function answer.echo(conn)
  for line in conn:lines() do conn:write(line, "\n") end
end

function answer.count(conn)
  local lines, bytes = 0, 0
  for line in conn:lines() do
    lines = lines + 1
    bytes = bytes + #line
  end
  assert(conn:write(("%d lines, %d bytes\n"):format(lines, bytes)))
end

local server <close> = assert(mw.net.listen("unix:" .. arg[1]))
print "ready"
server:serve(answer[arg[2]])
