-- What stands before each attempt, in a process of its own: what it knows of its world, and how it tells what it came to.
local mw = require "moonwire"
local W, H, M, T, U, P, N = table.unpack(arg) --luacheck: ignore
local say, try, raise, text, kind, pack = print, pcall, error, tostring, type, table.pack
local run, gsub = mw.process.run, string.gsub

--- A program's own verdict: what it printed if it ended well; nil and why if not.
local function child(argv) --luacheck: ignore
  argv.timeout = argv.timeout or 30
  local result, err = run(argv)
  if not result then return nil, err end
  local out, errors = result.stdout or "", result.stderr or ""
  if result.code == 0 then return out .. errors end
  local code = result.signal and "SIG" .. result.signal or (out .. errors):match("refused (%u%w+)") or "exit " .. text(result.code)
  return nil, { code = code, message = out .. errors }
end

--- The C helper, as a child.
local function breakout(...) return child { H, ... } end --luacheck: ignore

--- A script child of this source, and its verdict.
local function script(options, source) --luacheck: ignore
  options.script = W .. "/app/child.lua"
  options[1] = source
  for i, value in ipairs { W, H, M, T, U, P, N } do options[i + 1] = value end
  return child(options)
end

--- Plain reading.
local function slurp(path) --luacheck: ignore
  local file <close> = io.open(path)
  if not file then return nil, { code = "ENOENT", message = "not there" } end
  return file:read("a")
end

local function attempt()
--ATTEMPT
end

local got = pack(try(attempt))
local function told(err)
  local line = text(err)
  if kind(err) == "table" then line = text(err.code) .. " " .. text(err.message) .. " " .. text(err.hint) end
  return (gsub(line, "\n", " "))
end
io.stdout:write("\n")
if not got[1] then
  say("REFUSED " .. told(got[2]))
  if kind(got[2]) == "table" and got[2].code == "EDENIED" then raise(got[2], 0) end
elseif got[2] then
  say("THROUGH " .. text(got[2]))
elseif got[3] == nil then
  say("REFUSED absent")
else
  say("REFUSED " .. told(got[3]))
end
