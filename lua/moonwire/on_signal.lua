--- Signals that a script asks for: `mw.on_signal("HUP", fn)` runs `fn` in a task each time the signal comes. Described in
--- meta/moonwire.lua.

local _, core = ...

local open = core.signal.open
local fail, raise = core.err.fail, core.err.raise

local Handler = {}
Handler.__index = Handler
Handler.__metatable = false
Handler.__name = "moonwire.SignalHandler"

function Handler:close()
  self.watch:close()
end
Handler.__close = Handler.close

local function on_signal(name, fn)
  if type(fn) ~= "function" then
    raise(fail("EINVAL", "on_signal", nil, "a function is expected, got " .. type(fn)))
  end
  local watch, err = open(name)
  if not watch then raise(err) end
  core.task.spawn_with({ daemon = true, name = "signal " .. watch:name() }, function()
    local _ <close> = watch
    for came in watch.wait, watch do
      fn(came)
    end
  end)
  return setmetatable({ watch = watch }, Handler)
end

return on_signal
