--- Whether programs can be confined here, by this build and this kernel: tried once. confined(test) is the test, or, where they
--- cannot, one that is left out and says why; unconfined(test) the other way round. Knows: the program under test (env MOONWIRE).
local mw = require "moonwire"
local program = os.getenv("MOONWIRE") or "moonwire"

local r = assert(mw.process.run { program, "run", "--allow-run=true", "-", timeout = 20, stdin = [[
  local result, err = require("moonwire").process.run { "true" }
  print(result and "able" or err.code == "EOPNOTSUPP" and err.message or error(err))
]] })
assert(r.code == 0, r.stderr)
local answer = r.stdout:gsub("\n", "")

--- `pending` is the spec's own: busted gives it to no other file.
return function(pending)
  local function confined(test)
    if answer == "able" then return test end
    return function() pending(answer) end
  end
  local function unconfined(test)
    if answer ~= "able" then return test end
    return function() pending("programs can be confined here") end
  end
  return confined, unconfined
end
