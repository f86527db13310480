-- Writes the man page moonwire-lua.3 (mdoc) from the annotations: lua5.4 scripts/docs/man.lua > moonwire-lua.3
-- Also: moonwire run --allow-read=. scripts/docs/man.lua. Its date is SOURCE_DATE_EPOCH's, or today.
-- Knows: scripts/docs/reference.lua. Never: a built program.
package.path = ((arg[0] or ""):match("^(.*/)") or "./") .. "?.lua;" .. package.path
local reference = require "reference"
local doc = reference.doc

local WIDTH = 78 -- mandoc warns of input lines above 80 bytes
local out = {}

local function put(line) out[#out + 1] = line end

--- Characters that mean something to roff, and at the beginning of a line.
local function escape(s)
  return (s:gsub("\\", "\\e"):gsub("%(%)", "\\&()"):gsub("%-%-", "-\\&-"))
end

local function guard(line)
  return (line:gsub("^([.'])", "\\&%1"))
end

local function plain(s)
  return guard(escape(s))
end

--- An argument of a macro; between alternatives a line may break.
local function quoted(s)
  return '"' .. s:gsub("\\", "\\e"):gsub('"', '""'):gsub("%(%)", "\\&()"):gsub("|", "|\\:") .. '"'
end

--- Text in lines that are short enough, a new one for each sentence.
local function text(s)
  s = escape(s):gsub("`([^`]+)`", "\\fB%1\\fR"):gsub("%f[*]%*(%a+)%*", "\\fI%1\\fR")
  local line = ""
  local function flush()
    if line ~= "" then put(guard(line)) end
    line = ""
  end
  for word in s:gmatch("%S+") do
    if line ~= "" and #line + #word + 1 > WIDTH then flush() end
    line = line == "" and word or line .. " " .. word
    if word:find("[.!?][\"')`*]*$") then flush() end
  end
  flush()
end

local function code(s)
  put ".Bd -literal -offset indent"
  for line in (s .. "\n"):gmatch("([^\n]*)\n") do put(line == "" and "\\&" or plain(line)) end
  put ".Ed"
end

local function markdown(s, fresh)
  local items = false
  for i, block in ipairs(reference.blocks(s)) do
    if block.kind == "item" and not items then put ".Bl -dash -compact" items = true end
    if block.kind ~= "item" and items then put ".El" items = false end
    if block.kind == "code" then
      code(block.text)
    elseif block.kind == "item" then
      put ".It"
      text(block.text)
    else
      local after = out[#out]
      if (i > 1 or not fresh) and not after:find("^%.Ed") and not after:find("^%.S[hs]") then put ".Pp" end
      text(block.text)
    end
  end
  if items then put ".El" end
end

local function short(type)
  return (type or "any"):gsub("moonwire%.", "")
end

--- A list of parameters, results or fields.
local function list(heading, items)
  if not items or #items == 0 then return end
  if not out[#out]:find("^%.Ss") then put ".Pp" end
  text(heading)
  put ".Bl -tag -width Ds -compact"
  for _, it in ipairs(items) do
    local name = it.name and it.name .. (it.optional and "?" or "") .. "  " or ""
    put(".It " .. quoted(name .. short(it.type)))
    markdown(it.text or "", true)
  end
  put ".El"
end

local function options(entry)
  for _, it in ipairs(entry.options or {}) do
    put ".Pp"
    text(("The fields of %s are told at %s, in"):format(it.param, short(it.class)))
    put '.Sx "RECORDS AND OPTIONS" .'
  end
end

local function func(entry)
  put(".It " .. quoted(doc.signature(entry)))
  markdown(entry.text, true)
  list("Takes:", entry.params)
  options(entry)
  list("Gives:", entry.returns)
end

local function members(list_of)
  local any = false
  for _, it in ipairs(list_of) do
    if it.params then
      if not any then
        any = true
        put ".Bl -tag -width Ds"
      end
      func(it)
    end
  end
  if any then put ".El" end
end

local function module(entry)
  put(".Ss " .. quoted(doc.signature(entry)))
  markdown(entry.text, true)
  if entry.params then
    list("Takes:", entry.params)
    options(entry)
    list("Gives:", entry.returns)
  end
  list("Fields:", entry.fields)
  members(entry.members)
end

local function class(entry)
  put(".Ss " .. quoted(entry.shown))
  markdown(entry.text, true)
  for _, parent in ipairs(entry.parents) do
    if not out[#out]:find("^%.Ss") then put ".Pp" end
    text("It also has what " .. short(parent) .. " has.")
  end
  list("Fields:", entry.fields)
  for _, it in ipairs { { "Taken by ", entry.taken_by }, { "Given by ", entry.given_by }, { "Part of ", entry.part_of } } do
    if it[2] and entry.name ~= "moonwire.Err" then
      if not out[#out]:find("^%.Ss") then put ".Pp" end
      text(it[1] .. table.concat(it[2], ", "):gsub("moonwire%.", "") .. ".")
    end
  end
  members(entry.members)
end

local all = reference.sections()
local _, epoch = pcall(os.getenv, "SOURCE_DATE_EPOCH") -- without a right to it: today
local when = math.tointeger(tonumber(epoch)) or os.time()

put '.\\" Written by scripts/docs/man.lua from the annotations in lua/moonwire.'
put(".Dd " .. os.date("!%B ", when) .. tonumber(os.date("!%d", when)) .. os.date("!, %Y", when))
put ".Dt MOONWIRE-LUA 3"
put ".Os"
put ".Sh NAME"
put ".Nm moonwire-lua"
put ".Nd what Lua scripts find in moonwire"
put ".Sh SYNOPSIS"
put '.Ic local mw = require \\(dqmoonwire\\(dq'
put ".Sh DESCRIPTION"
markdown(all.modules[1].text, true)
put ".Pp"
text "A name with a question mark may be left out, or be nil. The prompt tells the same:"
put ".Ic .doc process.run"
put "in"
put ".Ic moonwire repl ."
list("Fields:", all.modules[1].fields)
members(all.modules[1].members)
put ".Sh MODULES"
for i = 2, #all.modules do module(all.modules[i]) end
put ".Sh OBJECTS"
text "What the functions give. Methods are called with a colon."
for _, entry in ipairs(all.objects) do class(entry) end
put '.Sh "RECORDS AND OPTIONS"'
text "Tables that functions take and give, field by field."
for _, entry in ipairs(all.records) do class(entry) end
for _, entry in ipairs(all.aliases) do
  if entry.name ~= "moonwire.Code" then
    put(".Ss " .. quoted(entry.shown))
    markdown(entry.text, true)
    if entry.type then list("It is:", { { type = entry.type, text = "" } }) end
  end
end
put '.Sh "LUA\'S OWN LIBRARIES"'
text "They are as Lua's manual tells, behind the same rights as everything else. What is different:"
members(all.own)
put ".Sh ERRORS"
text "What err.code may be, beside the names that the system has for its errors:"
put ".Bl -tag -width Ds"
for _, entry in ipairs(all.codes) do
  put(".It Er " .. entry.name)
  markdown(entry.text, true)
end
put ".El"
put ".Sh SEE ALSO"
put ".Xr moonwire 1 ,"
put ".Xr moonwire-policy 5"

io.write(table.concat(out, "\n"), "\n")
