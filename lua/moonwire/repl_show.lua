--- What the prompt shows: values, errors, tables of facts. As wide as the terminal, in colour if it has some, and nothing in it that a
--- terminal would obey.

local _, core = ...

local walk = core.module("moonwire.inspect_walk")
local eval = core.module("moonwire.repl_eval")
local is_err, within = core.err.is, core.repl.within
local concat, min, max = table.concat, math.min, math.max
local match, sub, gsub, gmatch, rep, format = string.match, string.sub, string.gsub, string.gmatch, string.rep, string.format
local rawget, type, tostring = rawget, type, tostring

local ITEMS = 40 -- entries of a table that are shown at once
local MORE = 400 -- the same after .more
local TEXT = 2048 -- bytes of a string
local MORE_TEXT = 16384
local TOTAL = 16384 -- bytes of a value
local MORE_TOTAL = 131072
local DEPTH = 5
local VALUES = 20
local FRAMES = 12

local palette = { string = "\27[32m", number = "\27[36m", word = "\27[35m", object = "\27[34m", dim = "\27[2m", error = "\27[31m",
  head = "\27[1m" }

---@class moonwire.repl.Show
local Show = {}
Show.__index = Show

---@param options { colour?: boolean, columns?: integer }
local function new(options)
  return setmetatable({ options = options }, Show)
end

function Show:width()
  return max(20, min(self.options.columns or 80, 400))
end

--- `text` in a colour of the palette.
function Show:paint(what, text)
  return self.options.colour and palette[what] .. text .. "\27[0m" or text
end

function Show:note(text)
  return self:paint("dim", text)
end

-- Values ----------------------------------------------------------------------------------------------------------------

--- One value; and what was left out of it: { value, from }, or nil.
function Show:value(v, indent, from)
  local again = from ~= nil
  local state = {
    depth = DEPTH,
    left = again and MORE_TOTAL or TOTAL,
    width = self:width() - (indent or 0),
    items = again and MORE or ITEMS,
    text = again and MORE_TEXT or TEXT,
    from = from or 0,
    fill = true,
    paint = self.options.colour and palette,
  }
  local text = walk(v, state)
  if not state.folded then return text end
  local upto = state.from + (state.shown or 0)
  return text, { value = v, from = state.total and upto < state.total and upto or nil }
end

--- The next part of a value that was left out.
function Show:more(folded)
  if folded.from then return self:value(folded.value, 0, folded.from) end
  local text = walk(folded.value, { depth = 64, left = MORE_TOTAL, width = self:width(), items = MORE, text = MORE_TEXT, from = 0,
    fill = true, paint = self.options.colour and palette })
  return text
end

--- `nil, err` and Lua's own `nil, message[, number]`.
local function is_failure(values)
  if values.n < 2 or values.n > 3 or values[1] ~= nil then return false end
  local why = values[2]
  return is_err(why) and values.n == 2 or type(why) == "string" and (values.n == 2 or math.type(values[3]) == "integer")
end

--- What a line gave: nothing, one value, several with the names that they have from now on, or why there is none.
---@param values table  packed
---@return string? text
---@return table? folded
function Show:values(values)
  if values.n == 0 then return nil end
  if is_failure(values) then
    local why = values[2]
    if type(why) == "string" then return self:note("nil: " .. walk.harmless(why)) end
    return self:failure("nil, " .. self:headline(why), why, "dim")
  end
  if values.n == 1 then return self:value(values[1]) end
  local lines, folded = {}, nil
  for i = 1, min(values.n, VALUES) do
    local name = i == 1 and "_" or "_" .. i
    local text, left = self:value(values[i], 5)
    lines[i] = self:note(name .. rep(" ", values.n > 9 and 4 - #name or 3 - #name) .. "= ") .. text
    folded = folded or left
  end
  if values.n > VALUES then lines[VALUES + 1] = self:note(format("... %d more values", values.n - VALUES)) end
  return concat(lines, "\n"), folded
end

-- Errors ----------------------------------------------------------------------------------------------------------------

local function to_text(v)
  local ok, text = within(2000000, tostring, v)
  if ok then return text end
  return format("(error object is a %s value)", type(v))
end

--- An error in one line, its code in front.
function Show:headline(why)
  if is_err(why) then
    local text = to_text(why)
    local hint = rawget(why, "hint")
    if type(hint) == "string" then
      local tail = " (" .. hint .. ")"
      if sub(text, -#tail) == tail then text = sub(text, 1, -#tail - 1) end
    end
    local code = rawget(why, "code")
    return walk.harmless(type(code) == "string" and code .. ": " .. text or text)
  end
  if type(why) == "string" then return walk.harmless(why) end
  if type(why) == "table" or type(why) == "userdata" then
    local mt = getmetatable(why)
    if type(mt) ~= "table" or rawget(mt, "__tostring") == nil then
      local text = walk(why, { depth = 3, left = 2048, width = self:width(), items = ITEMS, text = 512, from = 0, line = true })
      return "(error object is a " .. type(why) .. " value) " .. text
    end
  end
  return walk.harmless(to_text(why))
end

--- A headline with what the error object says beside it, each on its own line.
function Show:failure(headline, why, colour)
  local lines = { self:paint(colour, headline) }
  if is_err(why) then
    local hint, data = rawget(why, "hint"), rawget(why, "data")
    if type(hint) == "string" then lines[#lines + 1] = self:note("  hint: ") .. walk.harmless(hint) end
    if data ~= nil then lines[#lines + 1] = self:note("  data: ") .. gsub(self:value(data, 8), "\n", "\n  ") end
  end
  return concat(lines, "\n")
end

--- An error that ended a line. `frames`: where, innermost first; own: the name of the line's chunk if it is one line long, which says
--- nothing then.
---@param why any
---@param frames? string[]
---@param own? string
---@return string
function Show:error(why, frames, own)
  local headline = self:headline(why)
  if own then
    local plain = own .. ":1: "
    if sub(headline, 1, #plain) == plain then
      headline = sub(headline, #plain + 1)
    else
      local code = match(headline, "^%u+: ")
      if code and sub(headline, #code + 1, #code + #plain) == plain then headline = code .. sub(headline, #code + #plain + 1) end
    end
  end
  local lines = { self:failure("error: " .. headline, why, "error") }
  if frames and (#frames > 1 or frames[1] and not (own and sub(frames[1], 1, #own + 5) == "at " .. own .. ":1")) then
    for i = 1, min(#frames, FRAMES) do
      lines[#lines + 1] = self:note("  " .. walk.harmless(frames[i]))
    end
    if #frames > FRAMES then lines[#lines + 1] = self:note(format("  ... %d more", #frames - FRAMES)) end
  end
  return concat(lines, "\n")
end

--- What the compiler says of `text`, and where in it.
---@param text string
---@param why string
---@param name string     "": a person's input, of which only the line is told
---@param before integer  newlines before the text
---@param many? boolean   that has several
---@return string
function Show:syntax(text, why, name, before, many)
  local line, column, what = eval.place(text, why)
  if not line then return self:paint("error", "syntax error: " .. walk.harmless(why)) end
  local shown, at = nil, 1
  for one in gmatch(text .. "\n", "(.-)\n") do
    if at == line then shown = one end
    at = at + 1
  end
  local where = name ~= "" and format("%s:%d: ", name, before + line) or many and format("line %d: ", before + line) or ""
  what = gsub(walk.harmless(what), "<eof>", "the end")
  local out = { self:paint("error", "syntax error: " .. where .. what) }
  if shown and #shown <= 1000 and shown ~= "" then
    local from = 1
    if column and column > self:width() - 8 then from = column - (self:width() - 8) // 2 end
    local chars = utf8.len(shown) and shown or gsub(shown, "[\x80-\xff]", "?")
    local first = utf8.offset(chars, from) or 1
    local last = (utf8.offset(chars, from + self:width() - 4) or #chars + 1) - 1
    out[#out + 1] = "  " .. gsub(walk.harmless(sub(chars, first, last)), "\t", " ")
    if column then out[#out + 1] = "  " .. rep(" ", column - from) .. self:paint("error", "^") end
  end
  return concat(out, "\n")
end

-- Tables of facts -------------------------------------------------------------------------------------------------------

--- Rows of texts under a head, each column as wide as it must be; the last one is cut where the terminal ends. `right`: columns of
--- numbers.
---@param head string[]
---@param rows string[][]
---@param right? table<integer, boolean>
---@return string
function Show:rows(head, rows, right)
  local wide, out = {}, {}
  for c = 1, #head do
    wide[c] = walk.columns(head[c])
    for r = 1, #rows do wide[c] = max(wide[c], walk.columns(rows[r][c])) end
  end
  local function line(row, what)
    local cells, left = {}, self:width()
    for c = 1, #head do
      local text = walk.harmless(row[c])
      local fill = max(0, wide[c] - walk.columns(text))
      if right and right[c] then text = rep(" ", fill) .. text else text = text .. rep(" ", c < #head and fill or 0) end
      if walk.columns(text) > left then
        local chars = utf8.len(text) and text or gsub(text, "[\x80-\xff]", "?")
        text = left > 1 and sub(chars, 1, (utf8.offset(chars, left) or #chars + 1) - 1) .. "~" or ""
      end
      cells[c] = text
      left = max(0, left - wide[c] - 2)
    end
    local whole = gsub(concat(cells, "  "), "%s+$", "")
    out[#out + 1] = what and self:paint(what, whole) or whole
  end
  line(head, "head")
  for r = 1, #rows do line(rows[r]) end
  return concat(out, "\n")
end

--- Prose as wide as the terminal, its lines after the first indented; an empty line stays.
---@param text string
---@param indent? integer  columns, which the first line has used already
---@return string
function Show:wrap(text, indent)
  local wide, out, line, used = min(self:width(), 100), {}, {}, indent or 0
  local function flush()
    out[#out + 1] = (#out > 0 and rep(" ", indent or 0) or "") .. concat(line, " ")
    line, used = {}, indent or 0
  end
  for paragraph in gmatch(text .. "\n\n", "(.-)\n%s*\n") do
    if #out > 0 then out[#out + 1] = "" end
    for word in gmatch(paragraph, "%S+") do
      if #line > 0 and used + #word > wide then flush() end
      line[#line + 1] = word
      used = used + #word + 1
    end
    flush()
  end
  return concat(out, "\n")
end

--- 1536 -> "1.5 KiB"
function Show.bytes(n)
  local units, i = { "B", "KiB", "MiB", "GiB", "TiB" }, 1
  while n >= 1024 and i < #units do
    n, i = n / 1024, i + 1
  end
  return i == 1 and format("%d B", n) or format(n < 10 and "%.1f %s" or "%.0f %s", n, units[i])
end

--- 0.0015 -> "1.50 ms"
function Show.time(s)
  if s < 1e-6 then return format("%.0f ns", s * 1e9) end
  if s < 1e-3 then return format("%.3g us", s * 1e6) end
  if s < 1 then return format("%.3g ms", s * 1e3) end
  if s < 100 then return format("%.3g s", s) end
  if s < 6000 then return format("%dm%02ds", s // 60, s % 60) end
  if s < 360000 then return format("%dh%02dm", s // 3600, s % 3600 // 60) end
  return format("%dd%02dh", s // 86400, s % 86400 // 3600)
end

return { new = new }
