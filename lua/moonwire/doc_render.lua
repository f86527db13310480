--- Entries of the reference as text for a terminal: headings, wrapped paragraphs, code as it stands. No escape codes unless asked.
--- Knows: entries of moonwire.doc. Never: a terminal.

local gsub, match, rep, find, sub = string.gsub, string.match, string.rep, string.find, string.sub
local concat = table.concat

local render = {}

local function length(s)
  return utf8.len(s) or #s
end

---@class moonwire.doc.Page
---@field lines string[]
---@field width integer
---@field colour boolean
local Page = {}
Page.__index = Page

function Page:blank()
  local n = #self.lines
  if n > 0 and self.lines[n] ~= "" then self.lines[n + 1] = "" end
end

function Page:raw(line)
  self.lines[#self.lines + 1] = line
end

function Page:strong(text)
  return self.colour and "\27[1m" .. text .. "\27[0m" or text
end

function Page:heading(text)
  self:blank()
  local from = #self.lines
  self:wrap(text, 2, "")
  for i = from + 1, #self.lines do self.lines[i] = self:strong(self.lines[i]) end
end

--- Words in lines of the page's width: the first after `first`, the others after `indent` blanks.
function Page:wrap(text, indent, first)
  local pad = rep(" ", indent)
  local line, used = first or pad, length(first or pad)
  local fresh = true
  for word in string.gmatch(text, "%S+") do
    local n = length(word)
    if not fresh and used + 1 + n > self.width then
      self:raw(line)
      line, used, fresh = pad, indent, true
    end
    if fresh then
      line, used, fresh = line .. word, used + n, false
    else
      line, used = line .. " " .. word, used + 1 + n
    end
  end
  self:raw(line)
end

--- A signature in lines of the page's width, broken behind commas and before the arrow.
function Page:signature(text)
  if length(text) <= self.width then return self:raw(self:strong(text)) end
  text = gsub(gsub(text, " %-> ", " \1"), ", ", ",\2")
  local line = ""
  for piece in string.gmatch(text, "[^\1\2]+") do
    local arrow = sub(text, (find(text, piece, 1, true) or 2) - 1, (find(text, piece, 1, true) or 2) - 1) == "\1"
    if arrow then piece = "-> " .. piece end
    local glued = line == "" and piece or gsub(line, "%s+$", "") .. " " .. piece
    if length(glued) > self.width and line ~= "" then
      self:raw(self:strong((gsub(line, "%s+$", ""))))
      line = "    " .. piece
    else
      line = glued
    end
  end
  self:raw(self:strong((gsub(line, "%s+$", ""))))
end

--- Paragraphs, lists and code.
function Page:text(text, indent)
  indent = indent or 0
  local held, code, item = {}, false, nil
  local function flush()
    if #held > 0 then
      if item then self:wrap(concat(held, " "), indent + 2, rep(" ", indent) .. "- ") else self:wrap(concat(held, " "), indent) end
    end
    held, item = {}, nil
  end
  for line in string.gmatch(text .. "\n", "([^\n]*)\n") do
    if find(line, "^```") then
      flush()
      code = not code
      if code then self:blank() end
    elseif code then
      self:raw(line == "" and "" or rep(" ", indent + 4) .. line)
    elseif not find(line, "%S") then
      flush()
      self:blank()
    elseif find(line, "^%s*%- ") then
      flush()
      item = true
      held[1] = match(line, "^%s*%- (.*)$")
    else
      held[#held + 1] = line
    end
  end
  flush()
end

local function short(type)
  return (gsub(type or "any", "moonwire%.", ""))
end

--- "name?  type" and what is said of it.
function Page:item(it)
  local name = (it.name or "") .. (it.optional and "?" or "")
  local head = "  " .. name
  local kind = short(it.type)
  if length(kind) + 6 > self.width then kind = gsub(kind, '("|)', '%1 ') end
  if name == "" then
    head = nil
    self:wrap(kind, 6, "  ")
  elseif length(head) + 2 + length(kind) <= self.width then
    head = head .. (kind == "" and "" or "  " .. kind)
  else
    self:raw(head)
    head = nil
    self:wrap(kind, 6)
  end
  if it.text == "" then
    if head then self:raw(head) end
  elseif head and not find(it.text, "\n", 1, true) and length(head) + 4 + length(it.text) <= self.width then
    self:raw(head .. "    " .. it.text)
  else
    if head then self:raw(head) end
    self:text(it.text, 6)
  end
end

function Page:items(heading, list)
  if not list or #list == 0 then return end
  self:heading(heading)
  for _, it in ipairs(list) do self:item(it) end
end

local function members(doc, page, heading, list)
  if not list or #list == 0 then return end
  page:heading(heading)
  for _, it in ipairs(list) do
    if it.params then
      local line = doc.signature(it, it.kind == "method")
      local prefix = it.kind == "method" and ":" or ""
      page:wrap(prefix .. line, 6, "  ")
      local brief = doc.brief(it)
      if brief ~= "" then page:wrap(brief, 6) end
    end
  end
end

local function values(page, list)
  if not list or #list == 0 then return end
  page:heading("Values")
  for _, it in ipairs(list) do page:item({ name = it.value, type = "", text = it.text }) end
end

---@param doc moonwire.doc
---@param entry moonwire.doc.Entry
---@param width integer
---@param options { colour?: boolean }
---@return string
function render.entry(doc, entry, width, options)
  local page = setmetatable({ lines = {}, width = math.max(width, 40), colour = options.colour == true }, Page)
  page:signature(doc.signature(entry))
  if entry.text ~= "" then
    page:blank()
    page:text(entry.text)
  end
  page:items("Takes", entry.params)
  for _, it in ipairs(entry.options or {}) do
    page:items(("Fields of %s (%s)"):format(it.param, short(it.class)), it.fields)
  end
  page:items("Gives", entry.returns)
  if entry.kind == "class" or entry.kind == "module" then
    if entry.parts then page:heading("Parts") end
    for _, part in ipairs(entry.parts or {}) do page:item({ name = part.shown, type = "", text = part.about }) end
    page:items("Fields", entry.fields)
    members(doc, page, entry.kind == "class" and "Methods" or "Functions", entry.members)
    for _, parent in ipairs(entry.parents or {}) do
      page:blank()
      page:wrap("It also has what " .. short(parent) .. " has.", 0)
    end
  end
  values(page, entry.values)
  local function names(heading, list)
    if not list or #list == 0 or entry.name == "moonwire.Err" then return end
    page:heading(heading)
    page:wrap(gsub(concat(list, ", "), "moonwire%.", ""), 2)
  end
  names("Taken by", entry.taken_by)
  names("Given by", entry.given_by)
  names("Part of", entry.part_of)
  return concat(page.lines, "\n")
end

return render
