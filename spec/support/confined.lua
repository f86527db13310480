--- Whether programs can be confined here, by this build and this kernel: tried once. Gives a function that takes a test and
--- gives it back, or, where they cannot, one that says so. Knows: the program under test (env MOONWIRE).
local mw = require "moonwire"
local program = os.getenv("MOONWIRE") or "moonwire"

local r = assert(mw.process.run { program, "run", "--allow-run=true", "-", timeout = 20, stdin = [[
  local result, err = require("moonwire").process.run { "true" }
  print(result and "able" or err.code == "EOPNOTSUPP" and err.message or error(err))
]] })
assert(r.code == 0, r.stderr)
local answer = r.stdout:gsub("\n", "")

return function(test)
  if answer == "able" then return test end
  return function() pending(answer) end
end
