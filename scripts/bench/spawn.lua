-- Runs a small program COUNT times, one after the other.
-- rights: --allow-run=/bin/echo
local mw = require "moonwire"

for _ = 1, tonumber(arg[1]) do
  local r = assert(mw.process.run { "/bin/echo", "hi" })
  assert(r.stdout == "hi\n", "echo said something else")
end
