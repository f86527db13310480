--- Lua text as the prompt sees it: tokens, and the statements at its top level that declare local variables. Nothing in strings,
--- comments, blocks or functions is touched. It does not check what it reads: the compiler has done that, or will.

local find, sub, match, gsub = string.find, string.sub, string.match, string.gsub

local source = {}

local keyword = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
  while]]):gmatch("%a+") do
  keyword[word] = true
end

local three = { ["..."] = true }
local two = { ["=="] = true, ["~="] = true, ["<="] = true, [">="] = true, ["//"] = true, ["::"] = true, ["<<"] = true, [">>"] = true,
  [".."] = true }

--- Where a long bracket that begins at `at` ends, and whether it does; nil: none begins there.
local function long_bracket(text, at)
  local level = match(text, "^%[(=*)%[", at)
  if not level then return nil end
  local _, last = find(text, "]" .. level .. "]", at, true)
  return last or #text, last ~= nil
end

--- Where a string in quotes ends, and whether it does: one that a line's end cuts off does not.
local function quoted(text, at)
  local quote, i = sub(text, at, at), at + 1
  while true do
    i = find(text, "[\"'\\\r\n]", i)
    if not i then return #text, false end
    local c = sub(text, i, i)
    if c == quote then return i, true end
    if c == "\\" then
      if sub(text, i + 1, i + 1) == "z" then
        local _, last = find(text, "^%s*", i + 2)
        i = last + 1
      elseif find(text, "^\r\n", i + 1) or find(text, "^\n\r", i + 1) then
        i = i + 3
      else
        i = i + 2
      end
    elseif c == "\n" or c == "\r" then
      return i - 1, false
    else
      i = i + 1
    end
  end
end

local function numeral(text, at)
  local hex = find(text, "^0[xX]", at)
  local i = hex and at + 2 or at
  local exponent = hex and "^[pP][+-]?" or "^[eE][+-]?"
  while true do
    local _, last = find(text, exponent, i)
    if not last then _, last = find(text, "^[%w_.]", i) end
    if not last then return i - 1 end
    i = last + 1
  end
end

---@class moonwire.repl.SourceToken
---@field kind "name"|"word"|"string"|"number"|"sign"|"bad"  word: a keyword; bad: a string or comment that does not end, an odd byte
---@field text string
---@field from integer
---@field to integer

--- The tokens of `text`, without comments (but for one that does not end).
---@param text string
---@return moonwire.repl.SourceToken[]
function source.tokens(text)
  local out, n, i, len = {}, 0, 1, #text
  local function put(kind, to)
    n = n + 1
    out[n] = { kind = kind, text = sub(text, i, to), from = i, to = to }
    i = to + 1
  end
  while true do
    i = find(text, "%S", i)
    if not i then return out end
    local c = sub(text, i, i)
    if find(c, "[%a_]") then
      local _, last = find(text, "^[%w_]+", i)
      put(keyword[sub(text, i, last)] and "word" or "name", last)
    elseif c == "-" and sub(text, i + 1, i + 1) == "-" then
      local last, whole = long_bracket(text, i + 2)
      if last and not whole then
        put("bad", len)
      else
        i = (last or (find(text, "[\r\n]", i) or len + 1) - 1) + 1
      end
    elseif c == '"' or c == "'" then
      local last, whole = quoted(text, i)
      put(whole and "string" or "bad", last)
    elseif c == "[" and find(text, "^%[=*%[", i) then
      local last, whole = long_bracket(text, i)
      put(whole and "string" or "bad", last)
    elseif find(c, "%d") or c == "." and find(text, "^%.%d", i) then
      put("number", numeral(text, i))
    elseif three[sub(text, i, i + 2)] then
      put("sign", i + 2)
    elseif two[sub(text, i, i + 1)] then
      put("sign", i + 1)
    else
      put(find(c, "[%p]") and find("+-*/%^#&~|<>=(){}[];:,.", c, 1, true) and "sign" or "bad", i)
    end
    if i > len then return out end
  end
end

-- Statements ------------------------------------------------------------------------------------------------------------
-- All of these take the index of a token and give the index after what they passed.

local opens = { ["function"] = true, ["do"] = true, ["if"] = true, ["repeat"] = true }
local closes = { ["end"] = true, ["until"] = true }

--- Behind the `end` of a block whose first token this is.
local function pass_block(tokens, i)
  local depth = 1
  while tokens[i] do
    local t = tokens[i]
    if t.kind == "word" and opens[t.text] then depth = depth + 1 end
    if t.kind == "word" and closes[t.text] then depth = depth - 1 end
    i = i + 1
    if depth == 0 then break end
  end
  return i
end

--- Behind the bracket that closes the one at `i`.
local function pass_brackets(tokens, i)
  local depth = 0
  while tokens[i] do
    local t = tokens[i]
    if t.kind == "sign" and (t.text == "(" or t.text == "{" or t.text == "[") then depth = depth + 1 end
    if t.kind == "sign" and (t.text == ")" or t.text == "}" or t.text == "]") then depth = depth - 1 end
    i = i + 1
    if depth == 0 then break end
  end
  return i
end

local function is(t, text)
  return t and t.text == text and t.kind ~= "string"
end

local unary = { ["-"] = true, ["not"] = true, ["#"] = true, ["~"] = true }
local binary = { ["and"] = true, ["or"] = true }
for op in ("+ - * / // % ^ & ~ | << >> .. < <= > >= == ~="):gmatch("%S+") do
  binary[op] = true
end

--- Behind what follows a name or brackets: indices, calls.
local function pass_suffixes(tokens, i)
  while tokens[i] do
    local t = tokens[i]
    if is(t, ".") or is(t, ":") then
      i = i + 2
    elseif is(t, "[") or is(t, "(") or is(t, "{") then
      i = pass_brackets(tokens, i)
    elseif t.kind == "string" then
      i = i + 1
    else
      break
    end
  end
  return i
end

local function pass_expression(tokens, i)
  while tokens[i] do
    while tokens[i] and tokens[i].kind ~= "string" and unary[tokens[i].text] do
      i = i + 1
    end
    local t = tokens[i]
    if not t then return i end
    if is(t, "function") then
      i = pass_block(tokens, i + 1)
    elseif is(t, "{") then
      i = pass_brackets(tokens, i)
    elseif is(t, "(") then
      i = pass_suffixes(tokens, pass_brackets(tokens, i))
    elseif t.kind == "name" then
      i = pass_suffixes(tokens, i + 1)
    else
      i = i + 1
    end
    t = tokens[i]
    if not t or t.kind == "string" or not binary[t.text] then return i end
    i = i + 1
  end
  return i
end

--- One `local` statement: what it declares, and where it ends.
local function local_statement(tokens, i)
  local it = { kind = "local", names = {}, attribs = {}, closing = nil }
  if is(tokens[i + 1], "function") then
    it.names[1] = tokens[i + 2] and tokens[i + 2].text
    return it, pass_block(tokens, i + 3)
  end
  repeat
    i = i + 1
    local n = #it.names + 1
    it.names[n] = tokens[i] and tokens[i].text
    i = i + 1
    if is(tokens[i], "<") then
      it.attribs[n] = tokens[i + 1] and tokens[i + 1].text
      if it.attribs[n] == "close" then it.closing = tokens[i + 1] end
      i = i + 3
    end
  until not is(tokens[i], ",")
  if is(tokens[i], "=") then
    repeat
      i = pass_expression(tokens, i + 1)
    until not is(tokens[i], ",")
  end
  return it, i
end

---@class moonwire.repl.Piece
---@field kind "local"|"code"
---@field text string
---@field line integer    the number of newlines before it
---@field names string[]  local: what it declares, in order
---@field attribs table<integer, string>  local: "const" or "close", by the place of the name
---@field uses table<string, boolean>  every name that stands in it

local function cut(text, tokens, first, last, it, at)
  local from, to = tokens[first].from, tokens[last].to
  it.text = sub(text, from, to)
  if it.closing then -- kept open by the session: the compiler is told of a constant, which is as long a word
    local before = it.closing.from - from
    it.text = sub(it.text, 1, before) .. "const" .. sub(it.text, before + 6)
  end
  local _, newlines = gsub(sub(text, at.from, from - 1), "\n", "")
  at.from, at.line = from, at.line + newlines
  it.line = at.line
  it.uses = {}
  for i = first, last do
    if tokens[i].kind == "name" then it.uses[tokens[i].text] = true end
  end
  return it
end

--- A chunk that compiles, in pieces: each `local` statement at its top level by itself, and what stands between them. In one piece
--- if it has a label there, since a goto cannot leave its piece; then the second result is true.
---@param text string
---@return moonwire.repl.Piece[]
---@return boolean? labelled
function source.pieces(text)
  local tokens = source.tokens(text)
  local out, depth, i, began = {}, 0, 1, 1
  local at = { from = 1, line = 0 }
  local function flush(last)
    if last >= began then out[#out + 1] = cut(text, tokens, began, last, { kind = "code" }, at) end
  end
  while tokens[i] do
    local t = tokens[i]
    if depth == 0 and is(t, "::") then
      return { cut(text, tokens, 1, #tokens, { kind = "code" }, { from = 1, line = 0 }) }, true
    elseif depth == 0 and is(t, "local") then
      flush(i - 1)
      local it, after = local_statement(tokens, i)
      if is(tokens[after], ";") then after = after + 1 end
      after = math.min(after, #tokens + 1)
      out[#out + 1] = cut(text, tokens, i, after - 1, it, at)
      i, began = after, after
    else
      if t.kind == "word" and opens[t.text] then depth = depth + 1 end
      if t.kind == "word" and closes[t.text] then depth = depth - 1 end
      i = i + 1
    end
  end
  flush(#tokens)
  return out
end

--- Whether there is anything in it but space and comments.
---@param text string
---@return boolean
function source.empty(text)
  return source.tokens(text)[1] == nil
end

--- A string in quotes that its line cut off, which no further line mends.
---@param text string
---@return boolean
function source.cut_string(text)
  local tokens = source.tokens(text)
  local last = tokens[#tokens]
  if not last or last.kind ~= "bad" or not find(last.text, "^[\"']") then return false end
  return not find(last.text, "\\[z]?%s*$")
end

return source
