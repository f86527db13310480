-- Looks at finished pages: every tag closed by its own, every id there once, every link to a page or an id that exists, nothing from
-- elsewhere. Knows: HTML as our generator writes it (lower case, quoted attributes). Never: a page of somebody else.

local check = {}

local void = { meta = true, link = true, br = true, hr = true, img = true, input = true }

--- Tags of one page; gives its ids and links.
local function read(name, html, bad)
  local open, ids, links = {}, {}, {}
  local function wrong(what) bad[#bad + 1] = name .. ": " .. what end
  local text = html:gsub("<!%-%-.-%-%->", ""):gsub("<(style)>.-</style>", "<%1></%1>"):gsub("(<script[^>]*>).-</script>", "%1</script>")
  for close, tag, attributes in text:gmatch("<(/?)([%a][%w]*)([^<>]*)>") do
    if close == "/" then
      local last = table.remove(open)
      if last ~= tag then wrong(("</%s> where </%s> is expected"):format(tag, tostring(last))) end
    elseif not void[tag] then
      open[#open + 1] = tag
    end
    for key, value in attributes:gmatch('([%w-]+)="([^"]*)"') do
      if key == "id" then
        if ids[value] then wrong("the id " .. value .. " is there twice") end
        ids[value] = true
      elseif key == "href" or key == "src" then
        links[#links + 1] = value
      end
    end
    if attributes:gsub('[%w-]+="[^"]*"', ""):gsub("/$", ""):find("%S") then wrong("<" .. tag .. attributes .. ">: attributes") end
  end
  if #open > 0 then wrong("not closed: " .. table.concat(open, " ")) end
  local rest = text:gsub("<!?/?[%a][^<>]*>", ""):gsub("&[%a]+;", "")
  local at = rest:find("[<>&]")
  if at then wrong("a bare <, > or &: " .. rest:sub(math.max(at - 20, 1), at + 40)) end
  if not html:find("<title>[^<]+</title>") then wrong "no title" end
  if select(2, html:gsub("<h1", "")) ~= 1 then wrong "not one h1" end
  return ids, links
end

--- pages: HTML by file name; files: other names that links may have. Gives a list of what is wrong.
function check.site(pages, files)
  local bad, ids, links = {}, {}, {}
  local names = {}
  for name in pairs(pages) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do ids[name], links[name] = read(name, pages[name], bad) end
  for _, name in ipairs(names) do
    for _, target in ipairs(links[name]) do
      local page, id = target:match("^([^#]*)#?(.*)$")
      page = page == "" and name or page
      if target:find("^%a+:") then
        if not target:find("^https://") then bad[#bad + 1] = name .. ": a link to " .. target end
      elseif not pages[page] and not files[page] then
        bad[#bad + 1] = name .. ": no page " .. target
      elseif id ~= "" and pages[page] and not ids[page][id] then
        bad[#bad + 1] = name .. ": no place " .. target
      end
    end
  end
  return bad
end

return check
