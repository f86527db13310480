-- Echoes lines, on any address.
-- rights: --allow-net
local mw = require "moonwire"

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

local options = { max = "1MiB", ["frame-timeout"] = "30s", stall = "30s", idle = "10m" }
local address

local function usage(text)
  io.stderr:write("line_echo: ", text, " (try --help)\n")
  mw.exit(2)
end

local i = 1
while arg[i] do
  local word = arg[i]
  local name, value = word:match("^%-%-([%w-]+)=?(.*)$")
  if name == "help" then
    print((HELP:gsub("\n$", "")))
    return
  elseif name then
    if options[name] == nil then return usage("unknown option " .. word) end
    if not word:find("=", 1, true) then
      i = i + 1
      value = arg[i]
    end
    if not value or value == "" then return usage(word .. " needs a value") end
    options[name] = value
  elseif address then
    return usage("one address only, please")
  else
    address = word
  end
  i = i + 1
end
if not address then return usage("an address is missing") end

local protocol = mw.frame.new { protocol = "lines", max = options.max }
local server <close> = assert(mw.net.listen(address, { idle_timeout = options.idle }))
print("listening on " .. server:address())

assert(server:serve(function(conn)
  local ch = conn:framed(protocol, { frame_timeout = options["frame-timeout"] })
  for line in ch:messages() do assert(ch:send(line, { timeout = options.stall })) end
end))
