--- Signals that a script asks for: `mw.on_signal("HUP", fn)` runs `fn` in a task each time the signal comes.

local _, core = ...

local open = core.signal.open
local fail, raise = core.err.fail, core.err.raise

---@class moonwire.SignalHandler
---@field private watch userdata
local Handler = {}
Handler.__index = Handler
Handler.__metatable = false
Handler.__name = "moonwire.SignalHandler"

--- Ends it: the signal does again what it did before. Idempotent.
function Handler:close()
  self.watch:close()
end
Handler.__close = Handler.close

--- Runs `fn(name)` in a task each time the signal `name` comes, one at a time; what comes twice meanwhile counts once.
--- While a handler of INT or TERM is there, that signal does not end the script. The task is a daemon of the calling task's
--- innermost scope: it ends with it, and an error of `fn` is that scope's.
---@param name "HUP"|"INT"|"QUIT"|"USR1"|"USR2"|"TERM"|"CONT"|"TSTP"|"TTIN"|"TTOU"|"WINCH"
---@param fn fun(name: string)
---@return moonwire.SignalHandler
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
