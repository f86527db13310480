--- Values as text that a person can read: cycles shown, keys sorted, depth and length bounded. Calls no metamethod but
--- `__tostring` and `__name`, so looking at a thing does not change it.

local _, core = ...

local fail, raise, options = core.err.fail, core.err.raise, core.arg.options
local rep, format, gsub, match = string.rep, string.format, string.gsub, string.match
local concat, sort = table.concat, table.sort
local null, marked = core.json.null, core.json.marked

local WIDTH = 80 -- columns of a line before a table is broken over several
local DEPTH = 8 -- levels of tables
local MAX = 65536 -- bytes of the whole
local DEPTH_MOST = 64 -- the stack of C functions is finite

local reserved = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
  while]]):gmatch("%a+") do
  reserved[word] = true
end

local named = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ['"'] = '\\"', ["\\"] = "\\\\" }
local function escape(c)
  return named[c] or format("\\x%02x", c:byte())
end

--- A string in quotes: control characters and what is no UTF-8 as \xNN, cut after `max` bytes.
local function quote(s, max)
  local tail = ""
  if #s > max then
    tail = format('.. <%d more bytes>', #s - max)
    s = s:sub(1, max)
  end
  s = gsub(s, '[%c"\\]', escape)
  if not utf8.len(s) then
    s = gsub(s, "[\x80-\xff]", escape)
  end
  return '"' .. s .. '"' .. tail
end

local rank = { number = 1, string = 2, boolean = 3 }
local function before(a, b)
  local ta, tb = math.type(a) and "number" or type(a), math.type(b) and "number" or type(b)
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
  return match(short, "^-?%d+$") and short .. ".0" or short
end

--- What says itself how it wants to be shown (error objects, streams, classes), or nil for a plain table.
local function own_words(v)
  local mt = getmetatable(v)
  if type(v) == "table" and (mt == nil or type(mt) == "table" and rawget(mt, "__tostring") == nil) then return nil end
  local ok, text = pcall(tostring, v)
  return ok and text or format("%s: its __tostring failed", type(v))
end

local render

local function key_text(state, k, depth)
  if type(k) == "string" and #k <= 128 and match(k, "^[%a_][%w_]*$") and not reserved[k] then return k end
  return "[" .. render(state, k, depth, 0) .. "]"
end

--- The keys that are no part of the array, sorted; at most `limit` of them, and how many there are.
local function other_keys(t, n, limit)
  local keys, count = {}, 0
  for k in next, t do
    if not (math.type(k) == "integer" and k >= 1 and k <= n) then
      count = count + 1
      if count <= limit then keys[count] = k end
    end
  end
  sort(keys, before)
  return keys, count
end

local function array_length(t)
  local n = 0
  while rawget(t, n + 1) ~= nil do
    n = n + 1
  end
  return n
end

local function full(state, parts)
  parts[#parts + 1] = "..."
  return parts, state
end

--- The parts of a table, as many as the budget of bytes allows.
local function parts_of(state, t, depth, indent)
  local parts, n = {}, array_length(t)
  for i = 1, n do
    if state.left <= 0 then return full(state, parts) end
    parts[i] = render(state, rawget(t, i), depth + 1, indent + 2)
  end
  local keys, count = other_keys(t, n, 10000)
  for i = 1, #keys do
    if state.left <= 0 then return full(state, parts) end
    local name = key_text(state, keys[i], depth + 1)
    parts[#parts + 1] = name .. " = " .. render(state, rawget(t, keys[i]), depth + 1, indent + 2)
  end
  if count > #keys then full(state, parts) end
  return parts
end

local function render_table(state, t, depth, indent)
  if next(t) == nil then return marked(t) == "array" and "[]" or "{}" end
  if state.open[t] then return "<cycle>" end
  if depth >= state.depth then return "{...}" end
  state.open[t] = true
  local parts = parts_of(state, t, depth, indent)
  state.open[t] = nil
  local width, broken = 4 + indent, false
  for i = 1, #parts do
    width = width + #parts[i] + 2
    broken = broken or parts[i]:find("\n", 1, true) ~= nil
  end
  if not state.line and (broken or width > WIDTH) then
    local pad = "\n" .. rep(" ", indent + 2)
    return "{" .. pad .. concat(parts, "," .. pad) .. ",\n" .. rep(" ", indent) .. "}"
  end
  return "{ " .. concat(parts, ", ") .. " }"
end

--- `v` as text; takes what it writes from `state.left`.
function render(state, v, depth, indent)
  local kind = type(v)
  local text
  if kind == "string" then
    text = quote(v, math.max(state.left, 0))
  elseif kind == "number" then
    text = number(v)
  elseif kind == "nil" or kind == "boolean" or v == null then
    text = tostring(v)
  else
    text = own_words(v)
    if not text then
      state.left = state.left - 4
      return render_table(state, v, depth, indent)
    end
    text = "<" .. gsub(text:sub(1, math.max(state.left, 16)), "%c", escape) .. ">"
  end
  state.left = state.left - #text - 2
  return text
end

local function inspect(v, opts)
  local o = options(opts, { depth = "integer", max = "size", line = "flag" }, "inspect")
  local depth, max = o.depth or DEPTH, o.max or MAX
  if depth < 0 or depth > DEPTH_MOST then
    raise(fail("EINVAL", "inspect", nil, format("option \"depth\" must be between 0 and %d", DEPTH_MOST)))
  end
  local state = { open = {}, depth = depth, left = max, line = o.line }
  return render(state, v, 0, 0)
end

return inspect
