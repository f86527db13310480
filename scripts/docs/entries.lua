-- Modules, functions, objects and records as HTML. Knows: entries of moonwire.doc, names, markdown. Never: files.
local reference = require "reference"
local highlight = require "highlight"
local markdown = require "markdown"
local names = require "names"
local doc = reference.doc
local escape = highlight.escape

local entries = { examples = {} } -- examples: by the name of a function, the scenarios that use it

local function text(s, here)
  return markdown.html(s, { link = names.find, name = names.linker(nil, here), ids = false })
end

--- What stands in a cell or behind a name: a paragraph less, if it is but one.
local function brief(s, here)
  local html = text(s, here)
  return html:match("^<p>(.*)</p>\n$") or html
end

local function items(list, here)
  local out = { "<dl>\n" }
  for _, it in ipairs(list) do
    local name = it.name and ("<code>%s%s</code> "):format(escape(it.name), it.optional and "?" or "") or ""
    out[#out + 1] = ('<dt>%s<span class="type"><code>%s</code></span></dt>\n'):format(name, names.type(it.type))
    if it.text and it.text ~= "" then out[#out + 1] = "<dd>" .. brief(it.text, here) .. "</dd>\n" end
  end
  out[#out + 1] = "</dl>\n"
  return table.concat(out)
end

local function listed(heading, list, here)
  if not list or #list == 0 then return "" end
  return "<h4>" .. heading .. "</h4>\n" .. items(list, here)
end

local function signature(entry, id)
  local line = escape(doc.signature(entry)):gsub(" %-&gt; (.*)$", ' <span class="to">→ %1</span>')
  return ('<h3 class="sig"><a href="#%s">%s</a></h3>\n'):format(id, line)
end

local function calls(entry, here)
  local out = { listed("Takes", entry.params, here) }
  for _, it in ipairs(entry.options or {}) do
    local url = names.url[it.class]
    out[#out + 1] = ('<details open="open"><summary>Fields of <code>%s</code>: <a href="%s">%s</a></summary>\n%s</details>\n'):format(
      it.param, url, escape((it.class:gsub("^moonwire%.", ""))), items(it.fields, here))
  end
  out[#out + 1] = listed("Gives", entry.returns, here)
  local shown = entries.examples[entry.name]
  if shown then
    local links = {}
    for i, it in ipairs(shown) do links[i] = ('<a href="%s">%s</a>'):format(it.page, escape(it.title)) end
    out[#out + 1] = "<p>Used in " .. table.concat(links, ", ") .. ".</p>\n"
  end
  return table.concat(out)
end

--- A function or method; its place is its last word, or its whole name where it stands among Lua's own.
local function func(entry, here)
  local id = entry.class and entry.name:match("([%w_]+)$") or entry.name
  return ('<section class="entry" id="%s">\n'):format(id) .. signature(entry, id) .. text(entry.text, here) .. calls(entry, here)
    .. "</section>\n"
end

local function functions(list, heading, here)
  local out, any = {}, false
  for _, it in ipairs(list) do
    if it.params then
      if not any then out[1] = ('<h2 id="page.functions">%s</h2>\n'):format(heading) end
      any = true
      out[#out + 1] = func(it, here)
    end
  end
  return table.concat(out)
end

--- Fields of a module or an object; each has a place that links can name.
local function fields(entry, here)
  if #entry.fields == 0 then return "" end
  local out = { '<h2 id="page.fields">Fields</h2>\n<dl>\n' }
  for _, it in ipairs(entry.fields) do
    local id = it.name:match("^[%w_]+$")
    out[#out + 1] = ('<dt%s><code>%s%s</code> <span class="type"><code>%s</code></span></dt>\n<dd>%s</dd>\n'):format(
      id and (' id="%s"'):format(id) or "", escape(it.name), it.optional and "?" or "", names.type(it.type), brief(it.text, here))
  end
  out[#out + 1] = "</dl>\n"
  return table.concat(out)
end

local function index(entry)
  local out = {}
  for _, it in ipairs(entry.members) do
    if it.params then
      out[#out + 1] = ('<tr><td><a href="#%s"><code>%s</code></a></td><td>%s</td></tr>\n'):format(
        it.name:match("([%w_]+)$"), escape(it.name:match("[%w_]+$")), markdown.inline(doc.brief(it), names.find))
    end
  end
  if #out < 3 then return "" end
  return '<div class="wide" tabindex="0"><table><tbody>\n' .. table.concat(out) .. "</tbody></table></div>\n"
end

--- Who takes and gives a class.
local function uses(entry)
  local out = {}
  local function list(heading, of)
    local links = {}
    for i, name in ipairs(of or {}) do
      local it = doc.lookup(name)
      links[i] = ('<a href="%s"><code>%s</code></a>'):format(names.url[it.name], escape(it.shown))
    end
    if #links > 0 then out[#out + 1] = ("<p>%s: %s.</p>\n"):format(heading, table.concat(links, ", ")) end
  end
  if entry.name == "moonwire.Err" then return "" end
  list("Taken by", entry.taken_by)
  list("Given by", entry.given_by)
  list("Part of", entry.part_of)
  return table.concat(out)
end

function entries.module(entry)
  local here = entry.page
  local out = { ("<h1>%s</h1>\n"):format(escape(entry.shown)), text(entry.text, here) }
  if entry.params then
    out[#out + 1] = '<section class="entry" id="page.call">\n' .. signature(entry, "page.call") .. calls(entry, here) .. "</section>\n"
  end
  out[#out + 1] = index(entry)
  out[#out + 1] = fields(entry, here)
  out[#out + 1] = functions(entry.members, "Functions", here)
  return table.concat(out)
end

function entries.object(entry)
  local here = entry.page
  local out = { ("<h1>%s</h1>\n"):format(escape(entry.shown)), text(entry.text, here) }
  for _, parent in ipairs(entry.parents) do
    out[#out + 1] = ("<p>It also has what <code>%s</code> has.</p>\n"):format(names.type(parent))
  end
  out[#out + 1] = uses(entry)
  out[#out + 1] = index(entry)
  out[#out + 1] = fields(entry, here)
  out[#out + 1] = functions(entry.members, "Methods", here)
  return table.concat(out)
end

function entries.record(entry)
  local id = entry.shown
  local out = { ('<section class="entry" id="%s">\n<h3 class="sig"><a href="#%s">%s</a></h3>\n'):format(id, id, id), text(entry.text) }
  for _, parent in ipairs(entry.parents or {}) do
    out[#out + 1] = ("<p>It also has what <code>%s</code> has.</p>\n"):format(names.type(parent))
  end
  if entry.type then out[#out + 1] = "<p><code>" .. names.type(entry.type) .. "</code></p>\n" end
  if entry.fields and #entry.fields > 0 then out[#out + 1] = items(entry.fields) end
  out[#out + 1] = uses(entry)
  out[#out + 1] = "</section>\n"
  return table.concat(out)
end

entries.func = func

function entries.code(entry)
  return ('<dt id="%s"><code>%s</code></dt>\n<dd>%s</dd>\n'):format(entry.name, entry.name, brief(entry.text))
end

return entries
