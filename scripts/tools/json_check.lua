-- Says whether standard input is JSON as mw.json reads it.
local mw = require "moonwire"

local HELP = [[
usage: moonwire run scripts/tools/json_check.lua [options] < FILE
example: echo '{"a": [1, 2.0, null]}' | moonwire run scripts/tools/json_check.lua --echo

Reads one JSON value (RFC 8259) from standard input. Exit 0: it is one. Exit 1: it is none, or beyond a limit; the reason, with line,
column, byte offset and path, is on standard error. Refused beside what the grammar refuses: duplicate keys, halves of surrogate pairs,
bytes that are not UTF-8, whole numbers beyond 64 bits, others beyond what a float holds.

options:
  --echo            print what was read, encoded again
  --sort            and its keys in order
  --max-depth N     levels of arrays and objects (128; at most 1000)
  --max-bytes SIZE  bytes of input (16MiB; at most 1GiB, and what --limit=memory leaves)
  --help            this text
]]

local options = { ["max-depth"] = "128", ["max-bytes"] = "16MiB" }
local echo, sort = false, false

local function usage(text)
  io.stderr:write("json_check: ", text, " (try --help)\n")
  mw.exit(2)
end

local function refused(code, reason)
  io.stderr:write("refused: ", code, ": ", (reason:gsub("^json%.%a+:? ?", "")), "\n")
  mw.exit(1)
end

local i = 1
while arg[i] do
  local word = arg[i]
  local name, value = word:match "^%-%-([%w-]+)=?(.*)$"
  if word == "--help" then
    io.write(HELP)
    return
  elseif word == "--echo" then
    echo = true
  elseif word == "--sort" then
    echo, sort = true, true
  elseif name and options[name] then
    if not word:find("=", 1, true) then
      i = i + 1
      value = arg[i]
    end
    if not value or value == "" then return usage(word .. " needs a value") end
    options[name] = value
  else
    return usage("unknown option " .. word)
  end
  i = i + 1
end

local limits = { max_depth = math.tointeger(tonumber(options["max-depth"])) or options["max-depth"], max_bytes = options["max-bytes"] }
local known, problem = pcall(mw.json.decode, "0", limits)
if not known then return usage((tostring(problem):gsub("^.-json%.decode: ", ""))) end

--- What the option allows, in bytes: mw.json has found it well written.
local function bytes_of(size)
  local number, unit = size:match "^([%d.]+)%s*(%a*)$"
  local scale = { k = 1, K = 1, M = 2, G = 3 }
  return tonumber(number) * (unit:find "i" and 1024 or 1000) ^ (scale[unit:sub(1, 1)] or 0)
end

--- Everything, or as much as is too long: that is never held whole.
local function read_all()
  local most, parts, count = bytes_of(limits.max_bytes), {}, 0
  repeat
    local part = io.read(1 << 16)
    parts[#parts + 1] = part
    count = count + #(part or "")
  until not part or count > most
  return table.concat(parts)
end

local function check()
  local value, err = mw.json.decode(read_all(), limits)
  if err then
    local at = err.data
    return refused(err.code, ("%s; byte %d%s"):format(tostring(err), at.offset, at.path ~= "" and ", at " .. at.path or ""))
  end
  if echo then
    assert(io.write(mw.json.encode(value, { max_depth = 1000, max_bytes = "1GiB", sort = sort }), "\n"))
  end
end

local ok, err = pcall(check)
if not ok then
  if type(err) == "table" and err.code == "ECANCELED" then error(err, 0) end
  refused(type(err) == "table" and err.code or "ELIMIT", tostring(err))
end
