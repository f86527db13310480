-- Lua and C source as HTML: comments, strings, numbers and words of the language in spans. Knows: nothing. Never: what a name means,
-- save that whoever calls says what to make of it.

local highlight = {}

local function set(words)
  local t = {}
  for word in words:gmatch("%S+") do t[word] = true end
  return t
end

local lua = set [[and break do else elseif end false for function goto if in local nil not or repeat return then true until while]]
local c = set [[char const double enum extern float if int long return short signed size_t sizeof static struct typedef uint32_t uint64_t
  int64_t uint8_t int32_t union unsigned void volatile define include ifdef ifndef endif]]

function highlight.escape(s)
  return (s:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end
local escape = highlight.escape

local function span(class, s)
  return '<span class="' .. class .. '">' .. escape(s) .. "</span>"
end

--- The end of a string in quotes that begins at `at`.
local function quoted(s, at)
  local quote = s:sub(at, at)
  local i = at + 1
  while i <= #s do
    local char = s:sub(i, i)
    if char == "\\" then i = i + 1 elseif char == quote or char == "\n" then return i end
    i = i + 1
  end
  return #s
end

--- `name(text, at)` may give HTML for a name, and the position behind it.
local function run(s, words, comment, name)
  local out, at = {}, 1
  while at <= #s do
    local last = comment(s, at)
    local char = s:sub(at, at)
    if last then
      out[#out + 1] = span("c", s:sub(at, last))
      at = last + 1
    elseif char == '"' or char == "'" then
      last = quoted(s, at)
      out[#out + 1] = span("s", s:sub(at, last))
      at = last + 1
    elseif char:find("[%a_]") then
      local html, behind = nil, nil
      if name then html, behind = name(s, at) end
      local word = s:match("^[%w_]+", at)
      if html then
        out[#out + 1] = html
        at = behind
      else
        out[#out + 1] = words[word] and span("k", word) or escape(word)
        at = at + #word
      end
    elseif char:find("%d") then
      local word = s:match("^[%w.]+", at)
      out[#out + 1] = span("n", word)
      at = at + #word
    else
      local plain = s:match("^[^%w_\"'%-%[/]+", at) or char
      out[#out + 1] = escape(plain)
      at = at + #plain
    end
  end
  return table.concat(out)
end

local function lua_comment(s, at)
  local level = s:match("^%-%-%[(=*)%[", at) or s:match("^%[(=*)%[", at)
  if level then
    local _, last = s:find("]" .. level .. "]", at, true)
    return last or #s
  end
  if s:sub(at, at + 1) ~= "--" then return nil end
  return (s:find("\n", at, true) or #s + 1) - 1
end

local function c_comment(s, at)
  if s:sub(at, at + 1) ~= "/*" then return nil end
  local _, last = s:find("*/", at, true)
  return last or #s
end

function highlight.lua(s, name) return run(s, lua, lua_comment, name) end
function highlight.c(s, name) return run(s, c, c_comment, name) end

return highlight
