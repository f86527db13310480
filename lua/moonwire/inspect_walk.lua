--- The walk behind mw.inspect and the prompt: any value as text, bounded in every direction. It calls no metamethod but `__tostring`,
--- and that one where it can neither wait nor run for long, so looking at a thing does not change it.

local _, core = ...

local string <const> = "" -- its methods: no script has changed those
local rep, format, gsub, match, find, sub = string.rep, string.format, string.gsub, string.match, string.find, string.sub
local concat, sort = table.concat, table.sort
local floor, max, min = math.floor, math.max, math.min
local null, marked = core.json.null, core.json.marked
local within, getinfo = core.repl.within, debug.getinfo
local rawget, rawlen, rawequal, next, type, tostring, getmetatable = rawget, rawlen, rawequal, next, type, tostring, getmetatable

local PATIENCE = 2000000 -- instructions of a __tostring: some tens of milliseconds
local KEYS = 10000 -- of one table that are sorted
local FAR = 100000 -- entries of an array that are not walked over only to count the other keys

local reserved = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
  while]]):gmatch("%a+") do
  reserved[word] = true
end

local named = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ['"'] = '\\"', ["\\"] = "\\\\" }
local function escape(c)
  return named[c] or gsub(c, ".", function(b) return format("\\x%02x", b:byte()) end)
end

--- Control characters, those that turn or hide text, and what is no UTF-8, as \xNN; newlines and tabs by their names.
local function plain(s, which)
  s = gsub(s, which or '[%c"\\]', escape)
  if not find(s, "[\x80-\xff]") then return s end
  if not utf8.len(s) then return (gsub(s, "[\x80-\xff]", escape)) end
  s = gsub(s, "\xc2[\x80-\x9f]", escape) -- controls of 8 bits
  s = gsub(s, "\xe2\x80[\x8b-\x8f\xa8-\xae]", escape) -- of no width; separators; directions
  s = gsub(s, "\xe2\x81[\xa0-\xaf]", escape)
  return (gsub(s, "\xef\xbb\xbf", escape))
end

--- The same for a text of several lines, in which quotes are quotes.
local function harmless(s)
  return plain(s, "[\0-\8\11-\31\127]")
end

--- Where a string may be cut so that no character is.
local function cut(s, n)
  while n > 0 and n < #s and find(s, "^[\x80-\xbf]", n + 1) do
    n = n - 1
  end
  return n
end

--- How many columns a terminal needs for it.
local function columns(s)
  if not find(s, "[\x80-\xff]") then return #s end
  if not utf8.len(s) then return #s end
  local n = 0
  for _, c in utf8.codes(s) do
    if c >= 0x1100 and (c <= 0x115f or c >= 0x2e80 and c <= 0xa4cf or c >= 0xac00 and c <= 0xd7a3 or c >= 0xf900 and c <= 0xfaff
        or c >= 0xfe30 and c <= 0xfe6f or c >= 0xff00 and c <= 0xff60
        or c >= 0x1f300 and c <= 0x1faff or c >= 0x20000 and c <= 0x3fffd) then
      n = n + 2
    elseif not (c >= 0x300 and c <= 0x36f) then
      n = n + 1
    end
  end
  return n
end

local function paint(state, what, text)
  local colour = state.paint and state.paint[what]
  return colour and colour .. text .. "\27[0m" or text
end

--- 9990 -> "9,990"
local function count(n)
  local text = format("%d", n)
  repeat
    local changed
    text, changed = gsub(text, "^(%d+)(%d%d%d)", "%1,%2")
  until changed == 0
  return text
end

local rank = { number = 1, string = 2, boolean = 3 }
local function before(a, b)
  local ta, tb = type(a), type(b)
  if ta ~= tb then
    return (rank[ta] or 9) < (rank[tb] or 9) or (rank[ta] or 9) == (rank[tb] or 9) and ta < tb
  end
  if ta == "number" or ta == "string" then return a < b end
  if ta == "boolean" then return not a and b end
  return false
end

local function number(n)
  if n ~= n then return "0/0" end
  if n == math.huge then return "math.huge" end
  if n == -math.huge then return "-math.huge" end
  if math.type(n) == "integer" then return format("%d", n) end
  local short = format("%.14g", n)
  if tonumber(short) ~= n then short = format("%.17g", n) end
  short = gsub(short, "[^%d+e-]+", ".", 1) -- a locale's decimal comma
  return match(short, "^-?%d+$") and short .. ".0" or short
end

--- What says itself how it wants to be shown (error objects, streams, classes), or nil for a plain table.
local function own_words(v)
  local mt = getmetatable(v)
  if type(v) == "table" and (mt == nil or type(mt) == "table" and rawget(mt, "__tostring") == nil) then return nil end
  if type(v) == "function" then
    local info = getinfo(v, "S")
    if info.what ~= "C" then return "function " .. info.short_src .. ":" .. info.linedefined end
  end
  local ok, text = within(PATIENCE, tostring, v)
  if ok then return text end
  local slow = type(text) == "string" and find(text, "takes too long", 1, true)
  return format("%s: its __tostring %s", type(v), slow and "takes too long" or "failed")
end

local render

local function key_text(state, k, depth)
  if type(k) == "string" and #k <= 128 and match(k, "^[%a_][%w_]*$") and not reserved[k] then return k, #k end
  local text, wide = render(state, k, depth, 0)
  return "[" .. text .. "]", wide + 2
end

--- The keys that are no part of the array, sorted; at most KEYS of them, and how many there are.
local function other_keys(t, n)
  local keys, total = {}, 0
  local k = nil
  if n > FAR then k = n end -- what lies in the hash part before n is missed: rather that than a second of looking
  for key in next, t, k do
    if not (math.type(key) == "integer" and key >= 1 and key <= n) then
      total = total + 1
      if total <= KEYS then keys[total] = key end
    end
  end
  sort(keys, before)
  return keys, total
end

local function array_length(t)
  local n, whole = 0, rawlen(t)
  while n < FAR and rawget(t, n + 1) ~= nil do
    n = n + 1
  end
  return n == FAR and max(n, whole) or n
end

local function part(parts, text, wide)
  local n = parts.n + 1
  parts.n = n
  parts[n], parts.wide[n] = text, wide
end

local function rest(state, parts, left, noun)
  local text = left and format("... %s more %s", count(left), noun) or "..."
  part(parts, paint(state, "dim", text), #text)
  state.folded = true
end

--- The parts of a table, as many as the budgets allow.
local function parts_of(state, t, depth, indent)
  local parts, n = { n = 0, wide = {} }, array_length(t)
  local keys, others = other_keys(t, n)
  local from = depth == 0 and state.from or 0
  local total, shown = n + others, 0
  for i = from + 1, n do
    if state.left <= 0 or shown >= state.items then break end
    part(parts, render(state, rawget(t, i), depth + 1, indent + 2))
    shown = shown + 1
  end
  parts.array = shown
  for i = max(from - n, 0) + 1, #keys do
    if state.left <= 0 or shown >= state.items or shown < n - from then break end
    local name, wide = key_text(state, keys[i], depth + 1)
    local text, width = render(state, rawget(t, keys[i]), depth + 1, indent + 2)
    part(parts, paint(state, "key", name) .. " = " .. text, wide + 3 + width)
    shown = shown + 1
  end
  if depth == 0 then state.shown, state.total = shown, total end
  if from + shown < total then rest(state, parts, total - from - shown, total - from - shown == 1 and "entry" or "entries") end
  return parts
end

--- Short items of an array, as many in a row as fit.
local function filled(state, parts, indent)
  local widest, n = 0, parts.array
  for i = 1, n do
    widest = max(widest, parts.wide[i])
  end
  local in_row = floor((state.width - indent - 2) / (widest + 2))
  if n < 10 or in_row < 2 or widest > 24 then return nil end
  local lines = {}
  for i = 1, n, in_row do
    local row = {}
    for j = i, min(i + in_row - 1, n) do
      local last = j == n and parts.n == n
      row[#row + 1] = parts[j] .. (last and "" or ",") .. rep(" ", j < min(i + in_row - 1, n) and widest - parts.wide[j] + 1 or 0)
    end
    lines[#lines + 1] = concat(row)
  end
  for i = n + 1, parts.n do
    lines[#lines + 1] = parts[i] .. ","
  end
  local pad = "\n" .. rep(" ", indent + 2)
  return "{" .. pad .. concat(lines, pad) .. "\n" .. rep(" ", indent) .. "}"
end

local function render_table(state, t, depth, indent)
  if next(t) == nil then return marked(t) == "array" and "[]" or "{}", 2 end
  if state.open[t] then return paint(state, "dim", "<cycle>"), 7 end
  if depth >= state.depth then
    state.folded = true
    return "{" .. paint(state, "dim", "...") .. "}", 5
  end
  state.open[t] = true
  local parts = parts_of(state, t, depth, indent)
  state.open[t] = nil
  local width, broken = 4 + indent, false
  for i = 1, parts.n do
    width = width + parts.wide[i] + 2
    broken = broken or find(parts[i], "\n", 1, true) ~= nil
  end
  if not state.line and (broken or width > state.width) then
    local text = state.fill and not broken and filled(state, parts, indent)
    local pad = "\n" .. rep(" ", indent + 2)
    return text or "{" .. pad .. concat(parts, "," .. pad) .. ",\n" .. rep(" ", indent) .. "}", state.width
  end
  return "{ " .. concat(parts, ", ") .. " }", width - indent - (parts.n > 0 and 2 or 0)
end

--- A string in quotes, cut after as many bytes as there may be.
local function quote(state, s, depth)
  local from = depth == 0 and cut(s, min(state.from, #s)) or 0
  local most = max(0, min(state.left, state.text))
  local upto = cut(s, min(#s, from + most))
  local tail = ""
  if upto < #s then
    tail = format(".. <%d more bytes>", #s - upto)
    state.folded = true
  end
  if depth == 0 then state.shown, state.total = upto - from, #s end
  local text = '"' .. plain(sub(s, from + 1, upto)) .. '"'
  return paint(state, "string", text) .. paint(state, "dim", tail), columns(text) + #tail, #text + #tail
end

--- `v` as text, and how many columns it takes; takes what it writes from `state.left`.
function render(state, v, depth, indent)
  local kind = type(v)
  local text, wide, bytes
  if kind == "string" then
    text, wide, bytes = quote(state, v, depth)
  elseif kind == "number" then
    text = number(v)
    wide = #text
    text = paint(state, "number", text)
  elseif kind == "nil" or kind == "boolean" or rawequal(v, null) then
    text = tostring(v)
    wide = #text
    text = paint(state, "word", text)
  else
    text = own_words(v)
    if not text then
      state.left = state.left - 4
      return render_table(state, v, depth, indent)
    end
    local most = cut(text, max(state.left, 16))
    text = "<" .. gsub(plain(sub(text, 1, most)), '\\(["\\])', "%1") .. (most < #text and "..." or "") .. ">"
    wide = columns(text)
    text = paint(state, "object", text)
  end
  state.left = state.left - (bytes or wide) - 2
  return text, wide
end

--- Shows `v` as `state` says: depth, left (bytes), line, width, items, text (bytes of one string), from, fill (short items side by
--- side), paint (colours by kind). Afterwards state.folded says whether something was left out, and state.shown how many entries
--- or bytes of `v` itself are there, of state.total.
---@param v any
---@param state table
---@return string text
---@return table state
local function walk(v, state)
  state.open = {}
  local text = render(state, v, 0, 0)
  return text, state
end

return setmetatable({ plain = plain, harmless = harmless, columns = columns, count = count }, {
  __call = function(_, v, state) return walk(v, state) end,
})
