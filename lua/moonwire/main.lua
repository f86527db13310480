--- main(fn, ...): runs `fn` as a task, in a scope of its own, and comes back when all that it has started is over.
--- In plain Lua (`lua5.4`, `require "moonwire"`) this is what turns the loop: whatever waits is called inside it, one run after the other,
--- never one inside the other. Ctrl-C and TERM cancel the run. In the program a script runs inside it from its first line, and may use
--- it all the same. Described in meta/moonwire.lua.
local _, core = ...
local pack, unpack = table.pack, table.unpack
local scope = core.task.scope

return function(fn, ...)
  local args = pack(...)
  return scope(function() return fn(unpack(args, 1, args.n)) end)
end
