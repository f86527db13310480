--- The types of LuaCATS as they stand in annotations: where one ends, and what a function type takes and gives.
--- Knows: text. Never: what a name stands for.

local sub, find, match, gsub = string.sub, string.find, string.match, string.gsub

local types = {}

local closing = { ["("] = "%b()", ["{"] = "%b{}", ["<"] = "%b<>", ["["] = "%b[]" }

--- The position behind blanks.
local function blanks(s, at)
  return match(s, "^[ \t]*()", at)
end

local function bracket(s, at)
  local _, last = find(s, "^" .. closing[sub(s, at, at)], at)
  return last and last + 1 or #s + 1
end

local union

--- Behind one type without `|`.
local function unit(s, at)
  local char = sub(s, at, at)
  if char == '"' or char == "'" or char == "`" then
    local last = find(s, char, at + 1, true)
    at = (last or #s) + 1
  elseif closing[char] then
    at = bracket(s, at)
  else
    local word, behind = match(s, "^([%w_.*-]+)()", at)
    if not word then return at end
    at = behind
    if word == "fun" and sub(s, at, at) == "(" then
      at = bracket(s, at)
      local results = match(s, "^[ \t]*:[ \t]*()", at)
      while results do
        at = union(s, match(s, "^%.%.%.:?[ \t]*()", results) or results)
        results = match(s, "^,[ \t]*()", at)
      end
      return at
    end
    if sub(s, at, at) == "<" then at = bracket(s, at) end
  end
  while true do
    local behind = match(s, "^%[%]()", at) or match(s, "^%?()", at)
    if not behind then return at end
    at = behind
  end
end

--- Behind one type, alternatives and all.
function union(s, at)
  at = unit(s, at)
  local more = match(s, "^[ \t]*|[ \t]*()", at)
  if more then return union(s, more) end
  return at
end

--- The type at the beginning of `s`, and what follows it.
---@param s string
---@return string type
---@return string rest
function types.take(s)
  local from = blanks(s, 1)
  local at = union(s, from)
  return sub(s, from, at - 1), (gsub(sub(s, at), "^[ \t]+", ""))
end

--- Cuts at commas that stand in no bracket.
---@param s string
---@return string[]
function types.split(s)
  local list, from, at = {}, 1, 1
  while at <= #s do
    local char = sub(s, at, at)
    if char == '"' then
      at = (find(s, '"', at + 1, true) or #s) + 1
    elseif closing[char] then
      at = bracket(s, at)
    else
      if char == "," or char == ";" then
        list[#list + 1] = sub(s, from, at - 1)
        from = at + 1
      end
      at = at + 1
    end
  end
  if find(s, "%S", from) then list[#list + 1] = sub(s, from) end
  return list
end

--- What `fun(a: T, b?: T): R, R` takes and gives; nil for what is no function type.
---@param s string
---@return { name: string, type: string, optional: boolean, text: string }[]? params
---@return { type: string, name?: string, text: string }[] returns
function types.fun(s)
  local inside, rest = match(s, "^%(?fun(%b())(.*)$")
  if not inside then return nil, {} end
  local params, returns = {}, {}
  for _, part in ipairs(types.split(sub(inside, 2, -2))) do
    local name, optional, type = match(part, "^%s*([%w_.]+)(%??)%s*:%s*(.-)%s*$")
    if not name then name, optional = match(part, "^%s*([%w_.]+)(%??)%s*$") end
    if name then
      params[#params + 1] = { name = name, type = type or "any", optional = optional == "?" or match(type or "", "%?$") ~= nil, text = "" }
    end
  end
  rest = match(rest, "^%s*:%s*(.-)%)?%s*$")
  for _, part in ipairs(rest and types.split(rest) or {}) do
    local dots, type = match(part, "^%s*(%.*):?%s*(.-)%s*$")
    returns[#returns + 1] = { type = type == "" and "any" or type, name = dots == "..." and "..." or nil, text = "" }
  end
  return params, returns
end

--- The fields of a table type, `{ a: T, b?: T }`; nil for another type.
---@param s string
---@return { name: string, type: string, optional: boolean, text: string }[]?
function types.fields(s)
  local inside = match(s, "^(%b{})")
  if not inside then return nil end
  local list = {}
  for _, part in ipairs(types.split(sub(inside, 2, -2))) do
    local name, optional, type = match(part, "^%s*([%w_]+)(%??)%s*:%s*(.-)%s*$")
    if not name then name, type = match(part, "^%s*(%b[])%s*:%s*(.-)%s*$") end
    if name then list[#list + 1] = { name = name, type = type, optional = optional == "?", text = "" } end
  end
  return #list > 0 and list or nil
end

--- Every name of a type that stands in `s`: "moonwire.Stream", "integer", ...; without the words of strings and the names of
--- parameters and fields.
---@param s string
---@return string[]
function types.names(s)
  local list = {}
  s = gsub(gsub(s, '"[^"]*"', '""'), "'[^']*'", '""')
  s = gsub(s, "([%w_.]+)%??%s*:%s*", "")
  for name in string.gmatch(s, "[%a_][%w_.]*") do list[#list + 1] = name end
  return list
end

return types
