-- run COUNT LANES: runs /bin/echo so often, so many at a time, and takes its result.
-- rights: --trust-run=/bin/echo
local mw = require "moonwire"
local count, lanes = tonumber(arg[1]), tonumber(arg[2] or 1)
local command = { "/bin/echo", "hello", stderr = "null", check = true }
local started = 0

local function lane()
  while started < count do
    started = started + 1
    assert(mw.process.run(command).stdout == "hello\n", "echo said something else")
  end
end

local since = mw.time.now()
mw.task.scope(function(scope)
  for _ = 1, lanes do scope:spawn(lane) end
end)
print(("result count=%d seconds=%.6f"):format(count, mw.time.now() - since))
