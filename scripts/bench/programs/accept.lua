-- Serves COUNT connections, one after the other; each says a line and hears it again.
-- rights: --allow-net
local mw = require "moonwire"

local address, count = arg[1], tonumber(arg[2])

if arg[3] == "peer" then
  for _ = 1, count do
    local conn <close> = assert(mw.net.connect(address))
    assert(conn:write "ping\n")
    assert(conn:read "l" == "ping", "the line did not come back")
  end
else
  local server <close> = assert(mw.net.listen(address))
  print "ready"
  local served = 0
  server:serve(function(conn)
    assert(conn:write(assert(conn:read "l"), "\n"))
    served = served + 1
    if served == count then server:close() end
  end)
  assert(served == count, "not every connection was served")
end
