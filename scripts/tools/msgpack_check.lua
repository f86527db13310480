-- Says whether standard input is one MessagePack value.
-- rights: none
local mw = require "moonwire"

local HELP = [[
usage: moonwire run scripts/tools/msgpack_check.lua [--echo] [--max-depth=N] [--max-bytes=SIZE] < FILE

Reads standard input. Exit status 0: it is one MessagePack value; 1: it is not, and the reason and the byte offset are
on standard error; 2: usage.

options:
  --echo             writes what was read, encoded again in the shortest form
  --max-depth=N      levels of arrays and maps (128)
  --max-bytes=SIZE   bytes of the value (16MiB)
  --help             this text
]]

local options, echo = {}, false

local function usage(text)
  io.stderr:write("msgpack_check: ", text, "\n", HELP)
  mw.exit(2)
end

for _, word in ipairs(arg) do
  local name, value = word:match "^%-%-(max%-%a+)=(.+)$"
  if word == "--help" then
    io.stdout:write(HELP)
    mw.exit(0)
  elseif word == "--echo" then
    echo = true
  elseif name == "max-depth" then
    options.max_depth = math.tointeger(tonumber(value)) or usage("--max-depth is no number: " .. value)
  elseif name == "max-bytes" then
    options.max_bytes = math.tointeger(tonumber(value)) or value
  else
    usage("unknown argument: " .. word)
  end
end

local function attempt(f, ...)
  local ok, value, err = pcall(f, ...)
  if not ok then usage(tostring(value)) end
  return value, err
end

local function refuse(err)
  local at = type(err.data) == "table" and err.data.offset
  io.stderr:write("msgpack_check: ", tostring(err), at and (" at byte %d"):format(at) or "", "\n")
  mw.exit(1)
end

local value, err = attempt(mw.msgpack.decode, io.stdin:read "a", options)
if err then refuse(err) end
if echo then
  local bytes, why = mw.msgpack.encode(value, options)
  if not bytes then refuse(why) end
  io.stdout:write(bytes)
end
