-- Writes the reference as web pages: scripts/dev docs, or
--   moonwire run --allow-read=. --allow-write=build/docs --allow-run=PROGRAM scripts/docs/site.lua build/docs PROGRAM
-- PROGRAM is the moonwire whose `help` is shown. Ends with an error when a page is not well formed or a link leads nowhere.
-- Knows: everything beside this file, README.md, the scenarios, the public headers. Never: a resource of another site.
package.path = ((arg[0] or ""):match("^(.*/)") or "./") .. "?.lua;" .. package.path
local mw = require "moonwire"
local reference = require "reference"
local highlight, markdown, names = require "highlight", require "markdown", require "names"
local entries, c_header, check = require "entries", require "c_header", require "check"
local doc, escape, read, root = reference.doc, highlight.escape, reference.read, reference.root

local target, program = arg[1], arg[2]
if not program then mw.fail("EINVAL", "usage: site.lua FOLDER PROGRAM") end
local here = (arg[0] or ""):match("^(.*)/") or "."
local sections = names.sections

local guides = {
  { "index.html", "Start" }, { "command-line.html", "Command line" }, { "rights.html", "Rights" }, { "limits.html", "Limits" },
  { "errors.html", "Error codes" }, { "records.html", "Records and options" }, { "lua.html", "Lua's own" },
  { "c-api.html", "C API" }, { "scenarios.html", "Scenarios" },
  { "names.html", "All names" },
}
local pages = {}

-- The frame of a page ---------------------------------------------------------------------------------------------------------

local function side(current)
  local out = {}
  local function list(heading, items)
    out[#out + 1] = "<h2>" .. heading .. "</h2>\n<ul>\n"
    for _, it in ipairs(items) do
      local mark = it[1] == current and ' aria-current="page"' or ""
      out[#out + 1] = ('<li><a href="%s"%s>%s</a></li>\n'):format(it[1], mark, escape(it[2]))
    end
    out[#out + 1] = "</ul>\n"
  end
  local modules, objects = {}, {}
  for i, it in ipairs(sections.modules) do modules[i] = { it.page, it.shown } end
  for i, it in ipairs(sections.objects) do objects[i] = { it.page, it.shown } end
  list("Guides", guides)
  list("Modules", modules)
  list("Objects", objects)
  return table.concat(out)
end

local FRAME = [[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>TITLE</title>
<link rel="stylesheet" href="style.css"/>
</head>
<body>
<a class="skip" href="#page.main">To the text</a>
<header class="top">
<a class="brand" href="index.html">moon<span>wire</span></a>
<nav aria-label="Sections"><a href="mw.html">Reference</a> <a href="scenarios.html">Scenarios</a> <a href="rights.html">Rights</a>
<a href="c-api.html">C API</a> <a href="names.html">All names</a></nav>
<form class="search" id="page.search" role="search" hidden="hidden" action="names.html"><label><span class="skip">Search</span>
<input type="search" placeholder="Search" autocomplete="off" aria-label="Search the reference"/></label><ol id="page.found"></ol></form>
</header>
<div class="columns">
<nav class="side" aria-label="Pages">
SIDE</nav>
<main id="page.main">
BODY<footer>moonwire VERSION. Made from the annotations in the source by <code>scripts/dev docs</code>.</footer>
</main>
</div>
<script src="names.js"></script>
<script src="search.js"></script>
</body>
</html>
]]

local function page(name, title, body)
  local values = { TITLE = escape(title) .. " - moonwire", SIDE = side(name), BODY = body, VERSION = reference.version() }
  pages[name] = FRAME:gsub("%u%u+", function(word) return values[word] end)
end

-- Scenarios -------------------------------------------------------------------------------------------------------------------

local function scenarios()
  local list = {}
  for _, name in ipairs(reference.list(root .. "/scripts/scenarios")) do
    if name:find("^%d+_.*%.lua$") then
      local source = read(root .. "/scripts/scenarios/" .. name)
      local it = { name = name, page = "scenario-" .. name:gsub("%.lua$", ""):gsub("_", "-") .. ".html", title = name, source = source }
      local seen = {}
      it.html = highlight.lua(source, names.linker(function(entry)
        if seen[entry.name] then return end
        seen[entry.name] = true
        entries.examples[entry.name] = entries.examples[entry.name] or {}
        table.insert(entries.examples[entry.name], it)
      end))
      local head = {}
      for line in source:gmatch("([^\n]*)\n") do
        local comment = line:match("^%-%- ?(.*)$")
        if not comment then break end
        if comment:find("^rights:") then it.rights = comment:match("^rights:%s*(.*)$") else head[#head + 1] = comment end
      end
      it.about = table.concat(head, " ")
      list[#list + 1] = it
    end
  end
  return list
end

local function scenario_pages(list)
  local out = { "<h1>Scenarios</h1>\n<p>Whole programs, each run as a test under exactly the rights that it states. "
    .. "<code>scripts/dev demo</code> runs them all.</p>\n<ul class=\"grid\">\n" }
  for _, it in ipairs(list) do
    out[#out + 1] = ('<li><a href="%s"><code>%s</code><small>%s</small></a></li>\n'):format(it.page, it.name, escape(it.about))
    local run = it.rights and ("moonwire run %s scripts/scenarios/%s"):format(it.rights, it.name) or nil
    page(it.page, it.name, ("<h1>%s</h1>\n<p>%s</p>\n%s<pre tabindex=\"0\"><code>%s</code></pre>\n"):format(it.name,
      markdown.inline(it.about), run and markdown.code(run) or "", it.html))
  end
  out[#out + 1] = "</ul>\n"
  page("scenarios.html", "Scenarios", table.concat(out))
end

-- README, help, headers -----------------------------------------------------------------------------------------------------------

local readme = read(root .. "/README.md")

--- A section of README.md, from its heading to the next of its level.
local function chapter(title)
  local _, at = readme:find("\n## " .. title .. "\n", 1, true)
  assert(at, "README.md has no section " .. title)
  return readme:sub(at + 1, (readme:find("\n## ", at, true) or #readme) - 1)
end

local function from_readme(text, shift)
  return markdown.html(text, {
    link = names.find, name = names.linker(), shift = shift,
    href = function(address) return address:find("^https://") and address or "" end,
  })
end

local function help(...)
  return assert(mw.process.run { program, "help", check = true, ... }).stdout
end

local function command_line()
  local top = help()
  local out = { "<h1>Command line</h1>\n<p>What <code>moonwire help</code> tells.</p>\n", markdown.code(top) }
  local usage = top:match("\n\n(.-)\n\n") -- the commands stand in the first block
  for name in ("\n" .. usage):gmatch("\n    moonwire (%l+)") do
    if name ~= "help" then
      out[#out + 1] = ('<h2 id="%s">moonwire %s</h2>\n%s'):format(name, name, markdown.code(help(name)))
    end
  end
  out[#out + 1] = '<h2 id="confinement">What the kernel holds</h2>\n' .. markdown.code(help("confinement"))
  page("command-line.html", "Command line", table.concat(out))
end

local function limits()
  local rows = { "| limit | default | what |\n|---|---|---|" }
  for line in help("run"):match("\nLimits[^\n]*\n(.-)\n\n"):gmatch("[^\n]+") do
    local name, value, what = line:match("^%s+([%l_]+)=(%S+)%s+(.*)$")
    if name then rows[#rows + 1] = ("| `%s` | %s | %s |"):format(name, value, what) end
  end
  local text = read(here .. "/limits.md"):gsub("TABLE", function() return table.concat(rows, "\n") end)
  page("limits.html", "Limits", markdown.html(text, { link = names.find, name = names.linker() }))
end

local HEADERS = { "moonwire.h", "policy/policy.h", "base/err.h", "base/limits.h", "base/msgpack.h" }

local function c_api()
  local out, seen = { "<h1>C API</h1>\n", from_readme(chapter "Embedding", 1) }, {}
  for _, name in ipairs(HEADERS) do
    out[#out + 1] = ('<h2 id="%s">%s</h2>\n'):format(markdown.slug(name), name)
    seen[markdown.slug(name)] = true
    out[#out + 1] = c_header.html(read(root .. "/host/" .. name), seen)
  end
  page("c-api.html", "C API", table.concat(out))
end

-- Everything ------------------------------------------------------------------------------------------------------------------------

local function grid(list)
  local out = { '<ul class="grid">\n' }
  for _, it in ipairs(list) do
    out[#out + 1] = ('<li><a href="%s"><code>%s</code><small>%s</small></a></li>\n'):format(it.page, escape(it.shown),
      markdown.inline((it.about or doc.brief(it)):gsub("`", "")))
  end
  return table.concat(out) .. "</ul>\n"
end

local function start()
  local head = readme:match("^# [^\n]*\n+(.-)\n\n## ")
  local out = { "<h1>moonwire</h1>\n", from_readme(head) }
  out[#out + 1] = '<h2 id="first">A first script</h2>\n' .. from_readme((chapter "From nothing to a first script"))
  local looks = assert(chapter("What a script looks like"):match("^(.-\n```lua\n.-\n```\n)")) -- not the list behind it
  out[#out + 1] = '<h2 id="looks">What a script looks like</h2>\n' .. from_readme(looks)
  local modules = table.pack(table.unpack(sections.modules, 2))
  out[#out + 1] = '<h2 id="modules">Modules</h2>\n' .. grid(modules)
  out[#out + 1] = '<h2 id="objects">Objects</h2>\n' .. grid(sections.objects)
  page("index.html", "Start", table.concat(out))
end

local function records()
  local out = { "<h1>Records and options</h1>\n<p>Tables that functions take and give, field by field, and types with a name.</p>\n" }
  for _, it in ipairs(sections.records) do
    if it.name ~= "moonwire.Err" then out[#out + 1] = entries.record(it) end
  end
  for _, it in ipairs(sections.aliases) do
    if it.name ~= "moonwire.Code" then out[#out + 1] = entries.record(it) end
  end
  page("records.html", "Records and options", table.concat(out))
  out = { "<h1>Error codes</h1>\n", entries.record(doc.lookup "moonwire.Err"), '<h2 id="codes">Codes</h2>\n',
    markdown.html(doc.lookup("moonwire.Code").text), "<dl>\n" }
  for _, it in ipairs(sections.codes) do out[#out + 1] = entries.code(it) end
  page("errors.html", "Error codes", table.concat(out) .. "</dl>\n")
end

--- Every name with its address and a sentence: the page, and what the search box reads.
local function all_names()
  local list = {}
  for _, entry in ipairs(doc.all()) do
    local url = names.url[entry.name]
    if url then list[#list + 1] = { entry.shown, url, (doc.brief(entry):gsub("`", "")) } end
  end
  table.sort(list, function(a, b) return a[1]:lower() < b[1]:lower() end)
  local out, js = { "<h1>All names</h1>\n<ul>\n" }, {}
  for i, it in ipairs(list) do
    out[#out + 1] = ('<li><a href="%s"><code>%s</code></a> %s</li>\n'):format(it[2], escape(it[1]), escape(it[3]))
    js[i] = mw.json.encode(mw.json.array { it[1], it[2], it[3] })
  end
  page("names.html", "All names", table.concat(out) .. "</ul>\n")
  return "window.moonwire_names = [\n" .. table.concat(js, ",\n") .. "\n];\n"
end

--- Lua's own functions, as far as they are other than the manual says.
local function lua_own()
  local out = { [[
<h1>Lua's own</h1>
<p>Lua 5.4's libraries are there as its manual tells, behind the same rights as everything else. What is different is here; what waits
in them waits for the task alone.</p>
]] }
  for _, it in ipairs(sections.own) do out[#out + 1] = entries.func(it, "lua.html") end
  page("lua.html", "Lua's own", table.concat(out))
end

names.url["moonwire.Err"] = "errors.html#Err"
local shown = scenarios()
for _, it in ipairs(sections.modules) do page(it.page, it.shown, entries.module(it)) end
for _, it in ipairs(sections.objects) do page(it.page, it.shown, entries.object(it)) end
scenario_pages(shown)
start()
page("rights.html", "Rights", [[
<h1>Rights</h1>
<p>The flags, one by one: <a href="command-line.html#run">moonwire run</a>. Asked from a script:
<a href="permissions.html">mw.permissions</a>.</p>
]] .. from_readme(chapter "Rights") .. from_readme((read(here .. "/guarantees.md"):gsub("^# (.-)\n", "## %1\n"))))
limits()
lua_own()
command_line()
records()
c_api()
local js = all_names()

local bad = check.site(pages, { ["style.css"] = true, ["names.js"] = true, ["search.js"] = true })
if #bad > 0 then
  io.stderr:write(table.concat(bad, "\n"), "\n")
  mw.fail("EPARSE", ("%d things are wrong with the pages"):format(#bad))
end
assert(mw.fs.mkdir(target, { parents = true }))
for name, html in pairs(pages) do assert(mw.fs.write(target .. "/" .. name, html)) end
for _, name in ipairs { "style.css", "search.js" } do assert(mw.fs.write(target .. "/" .. name, read(here .. "/" .. name))) end
assert(mw.fs.write(target .. "/names.js", js))
local count = 0
for _ in pairs(pages) do count = count + 1 end
print(("%d pages in %s"):format(count, target))
