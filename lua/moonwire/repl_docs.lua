--- What the annotations say, as completion asks for it: the members of a class, the options of a call, the words that a string may be.
--- Knows: moonwire.doc, when it is there. Never: fails; without it there is just less to say.
local _, core = ...
local pcall, type, next = pcall, type, next

local DEPTH = 8 -- aliases behind an alias

local docs = {}

local loaded

--- The module moonwire.doc, or nil; its classes with it.
local function doc()
  if loaded == nil then
    local ok, module = pcall(core.module, "moonwire.doc")
    loaded = ok and type(module) == "table" and module or false
  end
  return loaded or nil
end

local function ask(name, ...)
  local it = doc()
  local fn = it and it[name]
  if not fn then return nil end
  local ok, answer = pcall(fn, ...)
  return ok and answer or nil
end

--- The class of that name ("moonwire.Stream", or "mw.stream" as a type is called), or nil.
---@param name string?
---@param bare? boolean  it may stand without its prefix: "rpc"
---@return table?
function docs.class(name, bare)
  if not name or not bare and not name:find("^moonwire%.") and not name:find("^mw%.") then return nil end
  local all = ask("classes")
  return all and all[name] or nil
end

--- The fields and methods of a class, with those of the classes above it, by name; nothing that is private.
---@param class table?
---@return table<string, table>
function docs.members(class)
  local found = {}
  for _, member in next, class and ask("fields", class.name) or {} do found[member.name] = member end
  return found
end

---@param class table?
---@param name string
---@return table?
function docs.member(class, name)
  return class and docs.members(class)[name] or nil
end

--- A function of ours by its path behind mw, "process.run".
---@param path string?
---@return table?
function docs.at(path)
  if not path or path == "" then return nil end
  return ask("lookup", path)
end

--- One alternative of a type after the other, without brackets of ours and without `?`.
local function alternatives(text)
  local list, from, depth, quote = {}, 1, 0, nil
  for at = 1, #text + 1 do
    local c = text:sub(at, at)
    if quote then
      if c == quote then quote = nil end
    elseif c == '"' or c == "'" then
      quote = c
    elseif c:find("[({<[]") then
      depth = depth + 1
    elseif c:find("[)}>%]]") then
      depth = depth - 1
    elseif (c == "|" or c == "") and depth == 0 then
      list[#list + 1] = text:sub(from, at - 1):match("^%s*(.-)%s*%??%s*$")
      from = at + 1
    end
  end
  return list
end

--- The options that a table of this type has, by name; nil when it is no type with fields.
---@param text string?
---@return table<string, table>?
function docs.options(text)
  if not text then return nil end
  for _, one in next, alternatives(text) do
    local class = docs.class(one)
    if class then return docs.members(class) end
    local ok, types = pcall(core.module, "moonwire.doc_types")
    local fields = ok and one:sub(1, 1) == "{" and types.fields and types.fields(one)
    if fields then
      local found = {}
      for _, field in next, fields do found[field.name] = field end
      return found
    end
  end
end

--- The type of the elements of a list type; nil of another.
---@param text string?
---@return string?
function docs.element(text)
  for _, one in next, text and alternatives(text) or {} do
    local of = one:match("^(.*)%[%]$")
    if of then return of end
  end
end

local function words(text, into, depth)
  if depth > DEPTH then return end
  for _, one in next, alternatives(text) do
    local word = one:match('^"(.*)"$') or one:match("^'(.*)'$")
    if word then
      into[#into + 1] = word
    else
      local it = ask("lookup", one)
      if type(it) == "table" and type(it.values) == "table" then
        if it.type then words(it.type, into, depth + 1) end
        for _, value in next, it.values do into[#into + 1] = value.value:match('^"(.*)"$') end
      elseif type(it) == "table" and type(it.type) == "string" and it.type ~= text then
        words(it.type, into, depth + 1)
      end
    end
  end
end

--- The strings that a value of this type can be.
---@param text string?
---@return string[]
function docs.words(text)
  local list = {}
  if text then words(text, list, 0) end
  return list
end

--- The class that a call of this function gives first, or a plain word for what is no class ("string").
---@param member table?
---@return string?
function docs.gives(member)
  local first = member and member.returns and member.returns[1]
  if not first then return nil end
  for _, one in next, alternatives(first.type) do
    if one == "string" or docs.class(one) then return one end
  end
end

--- The class that a field is.
---@param member table?
---@return string?
function docs.is(member)
  for _, one in next, member and member.type and alternatives(member.type) or {} do
    if one == "string" or docs.class(one) then return one end
  end
end

--- One line that says how a function is called.
---@param member table?
---@param name string  as it was typed
---@return string?
function docs.signature(member, name)
  if not member or not member.params then return nil end
  return ask("signature", { shown = name, kind = "function", params = member.params, returns = member.returns or {} })
end

return docs
