-- tcp: echoes frames on a port that it prints; kind 255 is answered with its own account.
-- rights: --allow-listen=127.0.0.1
local mw = require "moonwire"
local byte = string.byte
local frames, sum = 0, 0

local server <close> = assert(mw.net.listen("tcp://127.0.0.1:0", { max_conns_per_peer = 10000 }))
print("ready " .. server:address():match "%d+$")
server:serve(function(conn)
  local ch = conn:framed "typed"
  for data, kind in ch:messages() do
    if kind == 255 then
      ch:send(string.pack("<I8I8", frames, sum), 255)
    else
      frames = frames + 1
      sum = sum + kind + byte(data)
      ch:send(data, kind)
    end
  end
end)
