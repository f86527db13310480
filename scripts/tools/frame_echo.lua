-- Echoes frames of a kind (u8), a length (u32, little-endian) and data, on any address.
-- rights: --allow-net
local echo = require "echo_server"

local HELP = [[
usage: moonwire run --allow-net=HOST:PORT scripts/tools/frame_echo.lua ADDRESS [options]
example: moonwire run --allow-net=127.0.0.1:8080 scripts/tools/frame_echo.lua tcp://127.0.0.1:8080

Listens on ADDRESS (tcp://127.0.0.1:0, unix:/tmp/echo.sock, unix:@name, ...), prints `listening on URL`,
and sends every frame back as it came. A frame: kind u8, length u32 little-endian, data.

A frame above --max, an end inside a frame, a frame that takes longer than --frame-timeout from its first to its last
byte, or a peer that takes nothing for --stall ends that connection (frames before it are answered) and no other.

options:
  --max SIZE                bytes of data of one frame (16MiB)
  --frame-timeout DURATION  first to last byte of one frame (30s)
  --stall DURATION          how long a peer may leave its answers unread (30s)
  --idle DURATION           how long a connection may be silent (10m)
  --help                    this text
]]

echo { name = "frame_echo", help = HELP, protocol = "typed", max = "16MiB" }
