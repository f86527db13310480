--- What stands before the cursor: the tokens of Lua up to there, and whether the cursor is in a string or a comment.
--- Knows: text. Never: compiles or runs it.

local find, sub, match, byte = string.find, string.sub, string.match, string.byte

local MAX = 65536 -- bytes before the cursor; more is no line that somebody types

local scan = {}

---@class moonwire.repl.Mark
---@field kind "name"|"number"|"string"|"op"
---@field text string     of a string: what stands between its quotes, as written
---@field from integer    first byte, from 1

---@class moonwire.repl.Place
---@field where "code"|"string"|"comment"
---@field tokens moonwire.repl.Mark[]  the whole ones before the word
---@field word string     what is being typed: a name, or the string so far
---@field from integer    its first byte, from 1

local escapes = { n = "\n", t = "\t", r = "\r", a = "\a", b = "\b", f = "\f", v = "\v", ["\\"] = "\\", ['"'] = '"', ["'"] = "'" }

--- The value of a closed string without its rarer escapes; nil where it has such.
---@param text string
---@return string?
function scan.value(text)
  local odd = false
  local value = text:gsub("\\(.)", function(c)
    if not escapes[c] then odd = true end
    return escapes[c]
  end)
  return not odd and value or nil
end

--- Behind the quoted string that begins at `at`; nil when it is open. A line's end ends it, as Lua sees it, wrongly closed.
local function quoted(text, at)
  local quote = sub(text, at, at)
  local i = at + 1
  while true do
    local hit = find(text, "[\\\n" .. quote .. "]", i)
    if not hit then return nil end
    local c = sub(text, hit, hit)
    if c == quote or c == "\n" then return hit + 1 end
    i = hit + 2
  end
end

--- Behind the long bracket that begins at `at`; nil when it is open. `level` is nil when none begins there.
local function long(text, at)
  local level = match(text, "^%[(=*)%[", at)
  if not level then return nil end
  local _, last = find(text, "]" .. level .. "]", at, true)
  return last and last + 1, #level
end

local function comment(text, at)
  local behind, level = long(text, at + 2)
  if level then return behind end
  local hit = find(text, "\n", at, true)
  return hit and hit + 1
end

--- One token at `at`: the token (nil: a comment), and what is behind it; false and where it stands when the cursor is inside of it.
local function token(text, at)
  local name = match(text, "^[%a_][%w_]*", at)
  if name then return { kind = "name", text = name, from = at }, at + #name end
  local number = match(text, "^0[xX][%x.]+[%w]*", at) or match(text, "^%d+%.?%d*[%w]*", at) or match(text, "^%.%d+[%w]*", at)
  if number then return { kind = "number", text = number, from = at }, at + #number end
  local c = sub(text, at, at)
  if c == '"' or c == "'" then
    local behind = quoted(text, at)
    if not behind then return false, "string", at + 1 end
    return { kind = "string", text = sub(text, at + 1, behind - 2), from = at }, behind
  end
  if sub(text, at, at + 1) == "--" then
    local behind = comment(text, at)
    if not behind then return false, "comment", at end
    return nil, behind
  end
  local behind, level = long(text, at)
  if level then
    if not behind then return false, "string", at + level + 2 end
    return { kind = "string", text = sub(text, at + level + 2, behind - level - 3), from = at, long = true }, behind
  end
  local op = match(text, "^%.%.%.?", at) or match(text, "^::", at) or match(text, "^//", at) or match(text, "^[=~<>]=", at)
    or match(text, "^<<", at) or match(text, "^>>", at) or c
  return { kind = "op", text = op, from = at }, at + #op
end

--- The place of the cursor, which stands behind the first `at` bytes of `text`; nil when there is too much before it.
---@param text string
---@param at integer
---@return moonwire.repl.Place?
function scan.place(text, at)
  if at > MAX then return nil end
  text = sub(text, 1, at)
  local tokens, i = {}, 1
  while true do
    i = find(text, "%S", i)
    if not i then break end
    local it, behind, from = token(text, i)
    if it == false then
      return { where = behind, tokens = tokens, word = sub(text, from), from = from }
    end
    tokens[#tokens + 1] = it
    i = behind
  end
  local last = tokens[#tokens]
  if last and last.kind == "name" and last.from + #last.text > #text then
    tokens[#tokens] = nil
    return { where = "code", tokens = tokens, word = last.text, from = last.from }
  end
  return { where = "code", tokens = tokens, word = "", from = #text + 1, inside = byte(text, -1) }
end

return scan
