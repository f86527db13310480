--- What can stand at the cursor of the prompt: names, fields and methods of what is there, options of the call one is in, words that a
--- string may be; and how that call goes. Nothing is run for it: no function of a script, no metamethod.
--- Knows: repl_scan (text), repl_walk (values), repl_call (calls), repl_docs (annotations), repl_dots (dot commands).
local _, core = ...
local scan, walk = core.module "moonwire.repl_scan", core.module "moonwire.repl_walk"
local call, docs = core.module "moonwire.repl_call", core.module "moonwire.repl_docs"
local look = core.look
local type, next, pcall = type, next, pcall
local sort, concat, sub, match = table.sort, table.concat, string.sub, string.match

local MAX = 1000 -- items of one answer

---@class moonwire.repl.Item
---@field text string        takes the place of what was typed of it
---@field kind string        "function", "method", "part", "table", ..., "local", "keyword", "option", "word", "module", "command", "file"
---@field signature? string

---@class moonwire.repl.Completion
---@field from integer       bytes from 0: where what was typed of it begins; what stands behind the cursor stays
---@field items moonwire.repl.Item[]
---@field rest integer       so many more there are, at least
---@field hint? string       how the call goes that the cursor is in

local signals = { "ABRT", "ALRM", "CONT", "HUP", "INT", "KILL", "PIPE", "QUIT", "STOP", "TERM", "TSTP", "TTIN", "TTOU", "USR1", "USR2",
  "WINCH" }
local protocols = { "content-length", "lines", "netstring", "typed", "u32be", "u32le", "varint" }

--- Strings whose annotations are in words.
local said = {
  kill = signals, stop = signals, on_signal = signals, kill_signal = signals, framed = protocols,
}

-- Items ---------------------------------------------------------------------------------------------------------------------------

local Items = {}
Items.__index = Items

local function new_items(word)
  return setmetatable({ word = word, list = {}, has = {}, rest = 0 }, Items)
end

--- Adds one that begins as what was typed does.
function Items:add(text, kind, signature)
  if self.has[text] or sub(text, 1, #self.word) ~= self.word then return end
  if #self.list >= MAX then
    self.rest = self.rest + 1
    return
  end
  self.has[text] = true
  self.list[#self.list + 1] = { text = text, kind = kind, signature = signature }
end

--- Those since `from` in the order of their letters; what begins with _ comes last.
function Items:sort(from)
  local part = table.move(self.list, from, #self.list, 1, {})
  sort(part, function(a, b)
    local x, y = sub(a.text, 1, 1) == "_", sub(b.text, 1, 1) == "_"
    if x ~= y then return y end
    return a.text < b.text
  end)
  table.move(part, 1, #part, from, self.list)
end

--- How a function is called, as well as it is known: from the annotations, else from its parameters' names.
local function signature_of(name, value, member)
  local text = docs.signature(member, name)
  if text or type(value) ~= "function" then return text end
  local names = look.parameters(value)
  return names and name .. "(" .. concat(names, ", ") .. ")" or nil
end

-- Names ---------------------------------------------------------------------------------------------------------------------------

--- Names of `env`, and those that the text itself declares before the cursor.
local function declared(tokens, items)
  local i = 1
  while tokens[i] do
    local it, list = tokens[i], nil
    if it.kind == "name" and (it.text == "local" or it.text == "for") then
      list = i + 1
    elseif it.kind == "name" and it.text == "function" then
      list = i + 1
      while tokens[list] and tokens[list].text ~= "(" do list = list + 1 end
      list = list + 1
    end
    while list and tokens[list] and tokens[list].kind == "name" and not walk.keywords[tokens[list].text] do
      items:add(tokens[list].text, "local")
      if not tokens[list + 1] or tokens[list + 1].text ~= "," then break end
      list = list + 2
    end
    i = i + 1
  end
end

local function plain(env, tokens, items)
  local last = tokens[#tokens]
  local from = #items.list + 1
  local behind = walk.ends(last) or last and (last.kind == "string" or last.kind == "number" or last.text == "}" or last.text == "...")
  if not behind or items.word ~= "" then -- a statement may follow an expression without a word between them
    if last and last.kind == "name" and (last.text == "local" or last.text == "for" or last.text == "goto") then
      items:add("function", "keyword")
      return
    end
    declared(tokens, items)
    local names, left = look.names(env, items.word, MAX)
    for name, value in next, names do items:add(name, type(value), signature_of(name, value)) end
    items.rest = items.rest + left
  end
  if items.word ~= "" or behind then
    for word in next, walk.keywords do items:add(word, "keyword") end
  end
  items:sort(from)
end

-- Members -------------------------------------------------------------------------------------------------------------------------

--- The parts of mw that nobody has looked at yet; none is loaded for it.
local function parts(items)
  for name in next, core.parts or {} do items:add(name, "part") end
  for name in next, core.fields or {} do items:add(name, "function", docs.signature(docs.at(name), name)) end
  for _, name in next, { "parent", "script", "shared" } do items:add(name, "field") end
end

local function env_names(items)
  local ok, all = pcall(core.sys.env_all)
  for name in next, ok and all or {} do
    if match(name, "^[%a_][%w_]*$") then items:add(name, "string") end
  end
end

local function value_members(thing, sign, items)
  local value = thing.value
  local mw = thing.path == ""
  local names, left = look.names(value, items.word, MAX)
  local described = thing.class and docs.members(thing.class) or nil
  for name, at in next, names do
    local member = thing.path and docs.at(mw and name or thing.path .. "." .. name) or described and described[name]
    local kind = type(at)
    local hidden = described and not member or sub(name, 1, 2) == "__" and sub(items.word, 1, 2) ~= "__"
    if not hidden and (sign == "." or kind == "function") then
      if kind == "function" and described and (type(value) == "userdata" or sign == ":") then kind = "method" end
      if mw and core.parts and core.parts[name] and kind ~= "function" then kind = "part" end
      items:add(name, kind, signature_of(name, at, member))
    end
  end
  items.rest = items.rest + left
  if sign == "." and mw then parts(items) end
  if sign == "." and thing.path == "env" then env_names(items) end
end

local function class_members(thing, sign, items)
  for name, member in next, docs.members(thing.class) do
    if sign == "." or member.kind == "method" then
      items:add(name, member.kind == "field" and "field" or member.kind, docs.signature(member, name))
    end
  end
end

local function members(env, tokens, items)
  local sign = tokens[#tokens].text
  local thing = walk.chain(env, tokens, #tokens - 1)
  if not thing then return end
  if thing.known then value_members(thing, sign, items) else class_members(thing, sign, items) end
  items:sort(1)
end

-- Calls ---------------------------------------------------------------------------------------------------------------------------

--- The call that the cursor is in: where in it, what is known of it, and how it goes.
local function calling(env, tokens)
  local where = call.around(tokens)
  if not where then return nil end
  local thing = walk.chain(env, tokens, where.callee)
  local name = walk.text(tokens, where.callee)
  if name == "" then name = "?" end
  return where, thing, thing and signature_of(name, thing.value, thing.member)
end

--- Options of the table that the cursor is in.
local function options(where, thing, tokens, items)
  if not where.table or where.key then return end
  local last = tokens[#tokens]
  if last.kind ~= "op" or last.text ~= "{" and last.text ~= "," and last.text ~= ";" then return end
  local from = #items.list + 1
  for name, field in next, docs.options(call.type(thing and thing.member, where)) or {} do
    if match(name, "^[%a_][%w_]*$") then items:add(name .. " = ", "option", name .. ": " .. (field.type or "any")) end
  end
  items:sort(from)
end

-- Strings -------------------------------------------------------------------------------------------------------------------------

local function modules(items)
  items:add("moonwire", "module")
  for name in next, core.parts or {} do items:add("moonwire." .. name, "module") end
  for name in next, (look.names(look.get(package, "loaded"), items.word, MAX)) do items:add(name, "module") end
end

--- `t["na`: names of t.
local function keys(env, tokens, items)
  local thing = walk.chain(env, tokens, #tokens - 1)
  if thing and thing.known then
    for name, at in next, (look.names(thing.value, items.word, MAX)) do items:add(name, type(at)) end
  end
end

local function words(env, tokens, items)
  local last = tokens[#tokens]
  if not last then return end
  if last.text == "[" and last.kind == "op" then return keys(env, tokens, items) end
  local where, thing, hint = calling(env, tokens)
  if not where and walk.ends(last) then -- f "text"
    where = { callee = #tokens, argument = 1, keys = {} }
    thing = walk.chain(env, tokens, #tokens)
    hint = thing and signature_of(walk.text(tokens, #tokens), thing.value, thing.member)
  end
  if not where then return end
  local name = tokens[where.callee].text
  local text = call.type(thing and thing.member, where)
  if name == "require" and not where.table then modules(items) end
  if where.key then
    local fields = docs.options(text)
    text, name = fields and fields[where.key] and fields[where.key].type, where.key
  end
  local list = docs.words(text)
  if #list == 0 and (where.key or where.argument == 1 and not where.table) then list = said[name] or list end
  for i = 1, #list do items:add(list[i], "word") end
  return hint
end

-- All of it -----------------------------------------------------------------------------------------------------------------------

local complete = {}

local function answer(items, from, hint)
  return { from = from, items = items.list, rest = items.rest, hint = hint }
end

--- Something that ends right before the cursor and is not being typed as a name: `12`, `"x"`, `)`.
local function touches(place, text, at)
  local last = place.tokens[#place.tokens]
  if place.word ~= "" or not last or match(sub(text, at, at), "%s") then return false end
  return last.kind ~= "op" or walk.opens[last.text] ~= nil
end

---@param env table    what plain names mean: a session's locals, behind them the globals
---@param text string
---@param at integer   the cursor: bytes before it
---@return moonwire.repl.Completion
function complete.complete(env, text, at)
  if at < 0 then at = 0 end
  if at > #text then at = #text end
  local dots = core.module("moonwire.repl_dots")
  local place = scan.place(text, at)
  if not place or place.where == "comment" then return answer(new_items(""), at) end
  local dotted = dots.complete(complete, env, text, at, new_items)
  if dotted then return dotted end
  local items, tokens = new_items(place.word), place.tokens
  if place.where == "string" then
    local said_of = words(env, tokens, items)
    items:sort(1)
    return answer(items, place.from - 1, said_of)
  end
  local where, thing, hint = calling(env, tokens)
  local last = tokens[#tokens]
  if touches(place, text, at) then return answer(items, at, hint) end
  if last and last.kind == "op" and (last.text == "." or last.text == ":") then
    members(env, tokens, items)
  else
    if where then options(where, thing, tokens, items) end
    if #items.list == 0 or items.word ~= "" then plain(env, tokens, items) end
  end
  return answer(items, place.from - 1, hint)
end


return complete
