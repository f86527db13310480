--- What an expression before the cursor stands for, found without running anything: plain names, dots, colons and constant indexes are
--- followed from value to value; what a call would give is known from the annotations only.
--- Knows: core.look, repl_scan, repl_docs. Never: calls a script's function or metamethod.
local _, core = ...
local scan, docs = core.module "moonwire.repl_scan", core.module "moonwire.repl_docs"
local get, class_of = core.look.get, core.look.class
local type, tonumber, rawequal, pcall, next, getmetatable = type, tonumber, rawequal, pcall, next, getmetatable

local STEPS = 64 -- dots, calls and indexes of one expression

local walk = {}

--- What is known of an expression.
---@class moonwire.repl.Thing
---@field value any       it itself, when `known`
---@field known? boolean
---@field class? table    else its class, as the annotations have it
---@field member? table   how the annotations describe it
---@field path? string    its name behind `mw`, "" for mw itself

local keywords = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
  while]]):gmatch("%a+") do
  keywords[word] = true
end
walk.keywords = keywords

local opens = { [")"] = "(", ["]"] = "[", ["}"] = "{" }
walk.opens = opens

--- The token that opens what the one at `i` closes; nil when there is none.
function walk.opening(tokens, i)
  local depth = 0
  for at = i, 1, -1 do
    local it = tokens[at]
    if it.kind == "op" then
      if opens[it.text] then
        depth = depth + 1
      elseif it.text == "(" or it.text == "[" or it.text == "{" then
        depth = depth - 1
        if depth == 0 then return opens[tokens[i].text] == it.text and at or nil end
      end
    end
  end
end

--- Whether the token can end an expression that is called or indexed.
function walk.ends(it)
  if not it then return false end
  if it.kind == "name" then return not keywords[it.text] end
  return it.kind == "op" and (it.text == ")" or it.text == "]")
end

--- The class of a value of ours: what hides its metatable. A script's own table is what is in it.
local function described(value)
  local kind = type(value)
  if kind ~= "userdata" and kind ~= "table" or getmetatable(value) ~= false then return nil end
  return docs.class(class_of(value), true)
end

local function known(value, path, member)
  return { known = true, value = value, path = path, member = member, class = described(value) }
end

--- What stands at `key` of a thing.
---@param thing moonwire.repl.Thing
---@param key any
---@return moonwire.repl.Thing?
function walk.field(thing, key)
  if not thing.known then
    local member = type(key) == "string" and docs.member(thing.class, key)
    if not member then return nil end
    local word = not member.params and docs.is(member)
    if word == "string" then return known("") end
    return { member = member, class = word and docs.class(word) or nil }
  end
  local path = thing.path and type(key) == "string" and (thing.path == "" and key or thing.path .. "." .. key) or nil
  local value = get(thing.value, key)
  if value == nil and thing.path == "" and core.parts and core.parts[key] then
    local ok, part = pcall(core.part, key) -- one of ours, which loading does not change
    if ok then value = part end
  end
  local member = path and docs.at(path) or type(key) == "string" and docs.member(thing.class, key) or nil
  if value == nil then return member and { member = member, path = path } or nil end
  return known(value, path, member)
end

--- What a call of it gives.
local function called(thing)
  local word = docs.gives(thing.member)
  if word == "string" then return known("") end
  local class = word and docs.class(word)
  return class and { class = class } or nil
end

local function base(env, name)
  local value = get(env, name)
  if value == nil then return nil end
  local mw = core.module "moonwire"
  if rawequal(value, mw) then return known(mw, "") end
  local path
  for part in next, core.parts or {} do -- local process = mw.process
    if rawequal(get(mw, part), value) then path = part end
  end
  return known(value, path, path and docs.at(path) or nil)
end

--- A constant between brackets: its value, or nil.
local function constant(it)
  if it.kind == "number" then return tonumber(it.text) end
  if it.kind == "string" then return it.long and it.text or scan.value(it.text) end
end

local chain

--- require "moonwire": ours, which are the same for everybody.
local function required(env, tokens, i, it)
  if tokens[i].text ~= "require" or it.kind ~= "string" or get(env, "require") == nil then return nil end
  if it.text == "moonwire" then return known(core.module "moonwire", "") end
  local part = it.text:match("^moonwire%.([%w_]+)$")
  if part and core.parts and core.parts[part] then return walk.field(known(core.module "moonwire", ""), part) end
end

--- What ends with the bracket or the string at `i`, and where it begins.
local function bracketed(env, tokens, i, left)
  local it = tokens[i]
  local open = it.kind == "string" and i or walk.opening(tokens, i)
  if not open then return nil end
  local before, inner = tokens[open - 1], tokens[i - 1]
  if it.kind == "op" and it.text == "]" then
    local index = open == i - 2 and constant(inner)
    if index == nil or index == false or not walk.ends(before) then return nil end
    local thing, first = chain(env, tokens, open - 1, left)
    return thing and walk.field(thing, index), first
  end
  if walk.ends(before) then -- a call
    local text = it.kind == "string" and it or open == i - 2 and inner or nil
    local module = text and before.kind == "name" and required(env, tokens, open - 1, text)
    if module then return module, open - 1 end
    local thing, first = chain(env, tokens, open - 1, left)
    return thing and called(thing), first
  end
  if it.kind == "string" then return known(""), i end
  if it.text ~= ")" then return nil end
  local thing, first = chain(env, tokens, i - 1, left)
  if first ~= open + 1 then return nil end
  return thing, open
end

--- The expression that ends with the token at `i`, and where it begins.
---@param env table
---@param tokens moonwire.repl.Mark[]
---@param i integer
---@param left? integer
---@return moonwire.repl.Thing?
---@return integer? first
function chain(env, tokens, i, left)
  left = (left or STEPS) - 1
  local it = tokens[i]
  if not it or left < 0 then return nil end
  if it.kind == "string" or it.kind == "op" and opens[it.text] then
    return bracketed(env, tokens, i, left)
  end
  if it.kind ~= "name" or keywords[it.text] then return nil end
  local sep = tokens[i - 1]
  if sep and sep.kind == "op" and (sep.text == "." or sep.text == ":") then
    local thing, first = chain(env, tokens, i - 2, left)
    return thing and walk.field(thing, it.text), first
  end
  return base(env, it.text), i
end
walk.chain = chain

--- The names of the expression that ends at `i`, as written, for people: "mw.process.run".
function walk.text(tokens, i)
  local parts = {}
  while tokens[i] and tokens[i].kind == "name" and #parts < STEPS do
    table.insert(parts, 1, tokens[i].text)
    local sep = tokens[i - 1]
    if not sep or sep.kind ~= "op" or sep.text ~= "." and sep.text ~= ":" then break end
    table.insert(parts, 1, sep.text)
    i = i - 2
  end
  return table.concat(parts)
end

return walk
