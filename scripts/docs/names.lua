-- Where everything is on the pages: addresses of entries, links for types and for names in code.
-- Knows: scripts/docs/reference.lua. Never: what a page looks like.
local reference = require "reference"
local highlight = require "highlight"
local doc = reference.doc

local names = { url = {}, unique = {} }
local escape = highlight.escape
local sections = reference.sections()
names.sections = sections

local function last(name) return name:match("([%w_]+)$") end

local function place(entry, page)
  entry.page = page
  names.url[entry.name] = page
  for _, it in ipairs(entry.members) do
    names.url[it.name] = names.url[it.name] or page .. "#" .. last(it.name)
  end
end

for _, entry in ipairs(sections.modules) do place(entry, entry.name == "moonwire" and "mw.html" or entry.name .. ".html") end

local methods = {} -- by name alone, where only one class has it
for _, entry in ipairs(sections.objects) do
  place(entry, "object-" .. entry.word:gsub("_", "-") .. ".html")
  for _, it in ipairs(entry.members) do
    local name = last(it.name)
    methods[name] = methods[name] == nil and it or false
  end
end
for name, it in pairs(methods) do
  if it and #name > 4 then names.unique[name] = it end
end
for _, list in ipairs { sections.records, sections.aliases } do
  for _, entry in ipairs(list) do names.url[entry.name] = "records.html#" .. entry.shown end
end
names.url["moonwire.Code"] = "errors.html"
for _, entry in ipairs(sections.own) do names.url[entry.name] = "lua.html#" .. entry.name end
for _, entry in ipairs(sections.codes) do names.url[entry.name] = "errors.html#" .. entry.name end

--- The address of what `code` names ("mw.process.run", "stream:read(...)", "EFRAME"), or nil.
function names.find(code)
  local name = code:match("^([%w_.:]+)")
  if not name or name == code and not name:find("[.:]") and not name:find("^E%u+$") and name ~= "mw" then return nil end
  if name:find("^%l[%w_]*$") then return nil end
  local entry = doc.lookup(name)
  return entry and names.url[entry.name]
end

--- For highlight.lua: links `mw.a.b` and methods that one class alone has. `used(entry)` is told of each.
function names.linker(used, here)
  return function(text, at)
    local name, behind = text:match("^(mw%.[%l_]+%.?[%l_]*)()", at)
    if not name then
      local before = text:sub(at - 1, at - 1)
      local word, after = text:match("^([%l_]+)()", at)
      local entry = before == ":" and names.unique[word]
      if not entry then return nil end
      if used then used(entry) end
      return ('<a href="%s">%s</a>'):format(names.url[entry.name], word), after
    end
    local entry = doc.lookup(name)
    while not entry and name:find("%.") do
      name = name:match("^(.*)%.")
      behind = at + #name
      entry = doc.lookup(name)
    end
    local url = entry and names.url[entry.name]
    if not url or entry.name == "moonwire" or url == here then return nil end
    if used then used(entry) end
    return ('<a href="%s">%s</a>'):format(url, escape(name)), behind
  end
end

--- A type as HTML, its names linked.
function names.type(type)
  local out, at = {}, 1
  type = (type or "any"):gsub("moonwire%.", "\1")
  while at <= #type do
    local from, to, name = type:find("\1([%w_.]+)", at)
    out[#out + 1] = escape(type:sub(at, (from or #type + 1) - 1)):gsub("|", "|<wbr/>")
    if not from then break end
    local url = names.url["moonwire." .. name]
    out[#out + 1] = url and ('<a href="%s">%s</a>'):format(url, name) or name
    at = to + 1
  end
  return (table.concat(out):gsub("<wbr/>", "\u{200b}"))
end

return names
