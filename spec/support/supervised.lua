-- A child for spec/lua/supervisor_spec.lua: does what its first argument says. Knows: mw.
local mw = require "moonwire"
local does = {}

function does.says(text)
  print(text)
  mw.task.wait()
end

function does.listens(address)
  local server <close> = assert(mw.net.listen(address))
  server:serve(function(conn) conn:read("a") end)
end

function does.notifies()
  print(mw.supervisor.notify(), mw.supervisor.notify())
end

does[arg[1]](table.unpack(arg, 2))
