-- Markdown as README.md and the annotations have it, as HTML: headings, paragraphs, lists, tables, code, links, emphasis.
-- Knows: scripts/docs/highlight.lua. Never: HTML in the text; it comes out as text.
local highlight = require "highlight"
local escape = highlight.escape

local markdown = {}

--- Inline: `code`, [text](link), **strong**, *emphasis*. `link(code)` may give the address of what a piece of code names;
--- `href(address)` may change one.
function markdown.inline(s, link, href)
  local out, at = {}, 1
  local function words(plain)
    plain = escape(plain):gsub("%*%*([^*]+)%*%*", "<strong>%1</strong>"):gsub("%f[*%w]%*([%w][^*]-)%*", "<em>%1</em>")
    out[#out + 1] = plain
  end
  while at <= #s do
    local from, to, label, address = s:find("%[([^%]]+)%]%(([^)%s]+)%)", at)
    local first, last, code = s:find("`([^`]+)`", at)
    if from and (not first or from < first) then
      words(s:sub(at, from - 1))
      local target = href and href(address) or address
      local inner = markdown.inline(label)
      out[#out + 1] = target == "" and inner or ('<a href="%s">%s</a>'):format(escape(target), inner)
      at = to + 1
    elseif first then
      words(s:sub(at, first - 1))
      local target = link and link(code)
      local html = "<code>" .. escape(code) .. "</code>"
      out[#out + 1] = target and ('<a href="%s">%s</a>'):format(escape(target), html) or html
      at = last + 1
    else
      words(s:sub(at))
      break
    end
  end
  return table.concat(out)
end

function markdown.code(text, language, name)
  local html = language == "lua" and highlight.lua(text, name) or language == "c" and highlight.c(text, name) or escape(text)
  return '<pre tabindex="0"><code>' .. html .. "</code></pre>\n"
end

local function slug(s)
  return (s:lower():gsub("[^%w]+", "-"):gsub("^-+", ""):gsub("-+$", ""))
end
markdown.slug = slug

local function cells(line)
  local list = {}
  for cell in line:gsub("^%s*|", ""):gsub("|%s*$", ""):gmatch("([^|]*)|?") do list[#list + 1] = cell:match("^%s*(.-)%s*$") end
  if list[#list] == "" then list[#list] = nil end
  return list
end

---@class docs.Writer
local Writer = {}
Writer.__index = Writer

function Writer:put(html) self.out[#self.out + 1] = html end

function Writer:flush()
  local o = self.o
  if #self.held > 0 then
    local text = markdown.inline(table.concat(self.held, " "), o.link, o.href)
    self:put(self.list and "<li>" .. text .. "</li>\n" or "<p>" .. text .. "</p>\n")
  end
  self.held = {}
end

function Writer:close()
  self:flush()
  if self.list then self:put "</ul>\n" end
  self.list = false
end

function Writer:table(rows)
  local o = self.o
  local function row(line, tag, count)
    local list, html = cells(line), {}
    for i = 1, count or #list do
      local scope = tag == "th" and ' scope="col"' or ""
      html[i] = ("<%s%s>%s</%s>"):format(tag, scope, markdown.inline(list[i] or "", o.link, o.href), tag)
    end
    return "<tr>" .. table.concat(html) .. "</tr>\n", #list
  end
  local head, count = row(rows[1], "th")
  self:put('<div class="wide" tabindex="0"><table>\n<thead>' .. head .. "</thead>\n<tbody>\n")
  for i = 3, #rows do self:put((row(rows[i], "td", count))) end
  self:put "</tbody>\n</table></div>\n"
end

--- A line outside of code and tables.
function Writer:line(line)
  local o = self.o
  local marks, title = line:match("^(#+)%s+(.*)$")
  local item = line:match("^%s*[-*] (.*)$")
  if marks then
    self:close()
    local level = math.min(#marks + (o.shift or 0), 6)
    local id = o.ids == false and "" or (' id="%s"'):format(slug(title))
    self:put(("<h%d%s>%s</h%d>\n"):format(level, id, markdown.inline(title, o.link, o.href), level))
  elseif line:find("^%s*$") then
    self:flush()
    self.gap = true
    return
  elseif item then
    self:flush()
    if not self.list then self:put "<ul>\n" end
    self.list, self.held = true, { item }
  else
    if self.list and self.gap and not line:find("^%s") then self:close() end
    self.held[#self.held + 1] = line:match("^%s*(.-)%s*$")
  end
  self.gap = false
end

--- o: link, href (see inline), name (for code), shift (levels of headings), ids = false, code (the language of indented code).
function markdown.html(text, o)
  local w = setmetatable({ out = {}, held = {}, o = o or {} }, Writer)
  local lines = {}
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
  local i = 1
  while i <= #lines do
    local line = lines[i]
    local language = line:match("^```(%w*)")
    local rows = {}
    if language or (line:find("^    %S") and not w.list and #w.held == 0) then
      w:close()
      local code = {}
      i = language and i + 1 or i
      while lines[i] and (language and not lines[i]:find("^```") or not language and lines[i]:find("^    ")) do
        code[#code + 1] = language and lines[i] or lines[i]:sub(5)
        i = i + 1
      end
      if not language then i = i - 1 end
      w:put(markdown.code(table.concat(code, "\n"), language, w.o.name))
    elseif line:find("^|") then
      w:close()
      while lines[i] and lines[i]:find("^|") do
        rows[#rows + 1] = lines[i]
        i = i + 1
      end
      i = i - 1
      w:table(rows)
    else
      w:line(line)
    end
    i = i + 1
  end
  w:close()
  return table.concat(w.out)
end

return markdown
