-- A C header of ours as HTML: sections by their rulers, comments as text, declarations as code.
-- Knows: how our headers are laid out (scripts and comments above what they speak of). Never: C's grammar.
local highlight = require "highlight"
local markdown = require "markdown"

local c_header = {}

--- A comment's words: paragraphs, and lists of arguments as they stand.
local function words(comment)
  local text = comment:gsub("^/%*+%s?", ""):gsub("%s*%*/%s*$", ""):gsub("\n%s*%* ?", "\n")
  local html = {}
  for block in (text .. "\n\n"):gmatch("(.-)\n%s*\n") do
    if block:find("%S") then
      if block:find("^%s*[%w_]+%s%s+%S") or block:find("\n[%w_]+%s%s+%S") or block:find("^    ") then
        html[#html + 1] = "<pre><code>" .. highlight.escape(block) .. "</code></pre>\n"
      else
        html[#html + 1] = "<p>" .. markdown.inline((block:gsub("%s*\n%s*", " "))) .. "</p>\n"
      end
    end
  end
  return table.concat(html)
end

--- Names that a piece of code declares: functions, structs, enums and their values.
local function declared(code)
  local list = {}
  local bare = code:gsub("/%*.-%*/", "")
  for name in bare:gmatch("%f[%w_](mw_[%w_]+)%s*%(") do list[#list + 1] = name end
  for name in bare:gmatch("struct (mw_[%w_]+) {") do list[#list + 1] = name end
  for name in bare:gmatch("enum (mw_[%w_]+) {") do list[#list + 1] = name end
  return list
end

local skip = {
  "^#ifndef", "^#define MW_[%u_]+_H", "^#include", "^#ifdef __cplusplus", '^extern "C"', "^}$", "^#endif", "^#define MOONWIRE_H",
}

--- HTML of a header; `seen` holds the ids that the page has.
function c_header.html(text, seen)
  local out, code = {}, {}
  local function flush()
    local source = table.concat(code, "\n"):gsub("^\n+", ""):gsub("\n+$", "")
    code = {}
    if not source:find("%S") then return end
    local ids = {}
    for _, name in ipairs(declared(source)) do
      if not seen[name] then
        seen[name] = true
        ids[#ids + 1] = ('<span id="%s"></span>'):format(name)
      end
    end
    out[#out + 1] = table.concat(ids) .. markdown.code(source, "c")
  end
  local comment
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    local ruler = line:match("^/%* %-%-+ (.-) %-%-+ ?%*/")
    local dropped = false
    for _, pattern in ipairs(skip) do dropped = dropped or line:find(pattern) ~= nil end
    if comment then
      comment[#comment + 1] = line
    elseif ruler then
      flush()
      local id = markdown.slug(ruler)
      while seen[id] do id = id .. "-2" end
      seen[id] = true
      out[#out + 1] = ('<h3 id="%s">%s</h3>\n'):format(id, highlight.escape(ruler))
    elseif line:find("^/%*") then
      flush()
      comment = { line }
    elseif not dropped then
      if line == "" then flush() else code[#code + 1] = line end
    end
    if comment and line:find("%*/%s*$") then
      out[#out + 1] = words(table.concat(comment, "\n"))
      comment = nil
    end
  end
  flush()
  return table.concat(out)
end

return c_header
