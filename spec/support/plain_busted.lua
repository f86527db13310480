--- Busted in plain lua5.4, with our module: lua5.4 spec/support/plain_busted.lua SPEC... Each test, hook and body is a run of
--- mw.main of its own.
--- Knows: busted.core, whose `safe` calls them all. Never: tests anything itself.
local mw = require "moonwire"
local core = require "busted.core"

package.loaded["busted.core"] = function()
  local busted = core()
  local safe = busted.safe
  function busted.safe(descriptor, run, element)
    local scripts_own = run == element.run or descriptor == "finally" -- not Busted's, which calls these
    if not scripts_own then return safe(descriptor, run, element) end
    return safe(descriptor, function() return mw.main(function() return run() end) end, element)
  end
  return busted
end

require "busted.runner" { standalone = false }
