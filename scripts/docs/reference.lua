-- The reference of this tree for the generators beside this file: moonwire.doc, as the program has it, over the tree's own text.
-- Runs in `moonwire run --allow-read=lua` and in plain lua5.4. Knows: lua/moonwire. Never: a built program.

local here = (arg and arg[0] or ""):match("^(.*)/[^/]*$") or "."
local root = here .. "/../../lua/"

--- The names in a folder. (What moonwire's io cannot, mw.fs can, and the other way round.)
local function list(dir)
  local names = {}
  local ok, pipe = pcall(io.popen, "ls '" .. dir .. "'")
  if ok and pipe then
    for name in pipe:lines() do names[#names + 1] = name end
    pipe:close()
  else
    names = assert(require("moonwire").fs.list(dir))
  end
  table.sort(names)
  return names
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local core = { doc = {} }
local loaded = {}

function core.module(name)
  if loaded[name] == nil then
    local path = root .. name:gsub("%.", "/") .. ".lua"
    loaded[name] = assert(load(read(path), "@" .. path))(name, core)
  end
  return loaded[name]
end

function core.doc.texts()
  local texts = {}
  for _, dir in ipairs { "moonwire/", "moonwire/meta/" } do
    for _, name in ipairs(list(root .. dir)) do
      if name:find("%.lua$") then texts[#texts + 1] = { file = dir .. name, text = read(root .. dir .. name) } end
    end
  end
  return texts
end

local reference = { doc = core.module "moonwire.doc", read = read, list = list, root = here .. "/../.." }

--- Pieces of Markdown as our annotations have it: { kind = "text"|"item"|"code", text = }.
function reference.blocks(text)
  local blocks, held, kind, code = {}, {}, "text", false
  local function flush()
    if #held > 0 then blocks[#blocks + 1] = { kind = kind, text = table.concat(held, code and "\n" or " ") } end
    held, kind = {}, "text"
  end
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    if line:find("^```") then
      flush()
      if code and #blocks > 0 and blocks[#blocks].kind == "text" then blocks[#blocks].kind = "code" end
      code = not code
      if code then kind = "code" end
    elseif code then
      held[#held + 1] = line
      kind = "code"
    elseif not line:find("%S") then
      flush()
    elseif line:find("^%s*%- ") then
      flush()
      kind, held[1] = "item", line:match("^%s*%- (.*)$")
    else
      held[#held + 1] = line:match("^%s*(.-)%s*$")
    end
  end
  flush()
  return blocks
end

--- Modules in the order of meta/moonwire.lua; objects (classes with methods) and records (the others), by name.
function reference.sections()
  local modules, objects, records, aliases, codes, own = {}, {}, {}, {}, {}, {} -- own: Lua's, where they are guarded
  for _, entry in ipairs(reference.doc.all()) do
    if entry.kind == "module" then
      modules[#modules + 1] = entry
    elseif entry.kind == "class" then
      local into = #entry.members > 0 and objects or records
      into[#into + 1] = entry
    elseif entry.kind == "alias" then
      aliases[#aliases + 1] = entry
    elseif entry.kind == "code" then
      codes[#codes + 1] = entry
    elseif entry.kind == "function" and not entry.class then
      own[#own + 1] = entry
    end
  end
  return { modules = modules, objects = objects, records = records, aliases = aliases, codes = codes, own = own }
end

--- The program's version, from the top CMakeLists.txt.
function reference.version()
  return read(reference.root .. "/CMakeLists.txt"):match("VERSION%s+(%d+%.%d+%.%d+)") or "0"
end

return reference
