-- Echoes lines, on any address.
-- rights: --allow-net
local echo = require "echo_server"

local HELP = [[
usage: moonwire run --allow-net=HOST:PORT scripts/tools/line_echo.lua ADDRESS [options]
example: moonwire run --allow-net=127.0.0.1:8080 scripts/tools/line_echo.lua tcp://127.0.0.1:8080

Listens on ADDRESS (tcp://127.0.0.1:0, unix:/tmp/echo.sock, unix:@name, ...), prints `listening on URL`,
and sends every line back as it came.

A line above --max, an end inside a line, a line that takes longer than --frame-timeout from its first to its last
byte, or a peer that takes nothing for --stall ends that connection (lines before it are answered) and no other.

options:
  --max SIZE                bytes of one line (1MiB)
  --frame-timeout DURATION  first to last byte of one line (30s)
  --stall DURATION          how long a peer may leave its answers unread (30s)
  --idle DURATION           how long a connection may be silent (10m)
  --help                    this text
]]

echo { name = "line_echo", help = HELP, protocol = "lines", max = "1MiB" }
