--- Completion of dot commands: `.he`, `.doc mw.pro`, `.load exam`. Paths are told as far as the read right goes; nobody is asked.
--- Knows: moonwire.repl_commands by name, core.policy. Never: runs one; opens a file.
local _, core = ...
local pcall, type, next = pcall, type, next
local match, sub = string.match, string.sub

local ENTRIES = 1000 -- of a folder

local dots = {}

local function commands()
  return core.module("moonwire.repl_commands").names()
end

local function answer(items, from)
  items:sort(1)
  return { from = from, items = items.list, rest = items.rest }
end

--- Names in a folder that may be read, without asking for the right.
local function entries(folder)
  local ok, said = pcall(core.policy.query, "read", folder)
  if not ok or said ~= "granted" then return {} end
  local uv = core.module "moonwire.uv"
  local dir = uv.fs_opendir(folder, nil, ENTRIES)
  if not dir then return {} end
  local list = uv.fs_readdir(dir)
  uv.fs_closedir(dir)
  return list or {}
end

local function paths(new_items, path, at)
  local folder, leaf = match(path, "^(.*/)([^/]*)$")
  if not folder then folder, leaf = "", path end
  local items = new_items(leaf)
  local ok, list = pcall(entries, folder == "" and "." or folder)
  for _, it in next, ok and type(list) == "table" and list or {} do
    local hidden = sub(it.name, 1, 1) == "." and sub(leaf, 1, 1) ~= "."
    if not hidden and not match(it.name, "%c") then
      items:add(it.type == "directory" and it.name .. "/" or it.name, it.type == "directory" and "folder" or "file")
    end
  end
  return answer(items, at - #leaf)
end

local function names(new_items, list, word, at, kind)
  local items = new_items(word)
  for i = 1, #list do items:add(list[i], kind) end
  return answer(items, at - #word)
end

local kinds = { "connect", "env", "ffi", "listen", "net", "read", "run", "share", "sys", "trust", "write" }

local arguments = {}

function arguments.help(_, _, word, at, new_items) return names(new_items, commands(), word, at, "command") end

function arguments.perm(_, _, word, at, new_items)
  local kind = match(word, "^%a+[ \t]+(%a*)$")
  if kind then return names(new_items, kinds, kind, at, "word") end
  return names(new_items, { "drop", "list", "query", "request" }, word, at, "word")
end

function arguments.trace(_, _, word, at, new_items)
  local file = match(word, "^on[ \t]+(.*)$")
  if file then return paths(new_items, file, at) end
  return names(new_items, { "off", "on" }, word, at, "word")
end

function arguments.load(_, _, word, at, new_items) return paths(new_items, word, at) end
arguments.save = arguments.load

local function code(complete, env, word, at)
  local inner = complete.complete(env, word, #word)
  inner.from = inner.from + at - #word
  return inner
end

arguments.time, arguments.bg = code, code

--- Of what is documented; a name without mw. is one of mw's.
function arguments.doc(complete, env, word, at)
  if match(word, "^mw[.:]") or not match(word, "^[%w_.:]*$") then return code(complete, env, word, at) end
  local inner = complete.complete(env, "mw." .. word, #word + 3)
  inner.from = inner.from - 3 + at - #word
  if not match(word, "[.:]") then
    for _, it in next, complete.complete(env, word, #word).items do
      if it.kind ~= "keyword" then inner.items[#inner.items + 1] = it end
    end
  end
  return inner
end

--- The answer for a line that is a dot command; nil for another.
---@param complete table        moonwire.repl_complete
---@param env table
---@param text string
---@param at integer
---@param new_items fun(word: string): table
---@return moonwire.repl.Completion?
function dots.complete(complete, env, text, at, new_items)
  local line = sub(text, 1, at)
  local name = match(line, "^%s*%.(%a*)$")
  if name then return names(new_items, commands(), name, at, "command") end
  local command, rest = match(line, "^%s*%.(%a+)[ \t]+(.*)$")
  if not command then return nil end
  local of = arguments[command]
  if not of then return { from = at, items = {}, rest = 0 } end
  return of(complete, env, rest, at, new_items)
end

return dots
