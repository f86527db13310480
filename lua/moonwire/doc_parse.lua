--- Reads the annotations (LuaCATS) of one file: classes with their fields and methods, aliases. What belongs to a class is told as
--- the language server would: `---@class X` names the local that follows, `function local.f` and `local:f` belong to X.
--- Knows: moonwire.doc_types. Never: runs what it reads.
local _, core = ...
local types = core.module "moonwire.doc_types"

local match, sub, gsub = string.match, string.sub, string.gsub

local parse = {}

---@class moonwire.doc.Class
---@field name string
---@field text string
---@field parents string[]
---@field fields moonwire.doc.Member[]   in the order of the source; inherited ones are not here
---@field members table<string, moonwire.doc.Member>
---@field calls moonwire.doc.Member[]    what calling it takes and gives
---@field file string
---@field line integer

---@class moonwire.doc.Member
---@field name string
---@field kind "field"|"function"|"method"
---@field type? string                   of a field
---@field optional? boolean
---@field params? moonwire.doc.Param[]
---@field returns? moonwire.doc.Param[]
---@field text string
---@field private? boolean
---@field file string
---@field line integer

---@class moonwire.doc.Param
---@field name? string
---@field type string
---@field optional? boolean
---@field text string

---@class moonwire.doc.Alias
---@field name string
---@field type? string
---@field text string
---@field values { value: string, text: string }[]

---@class moonwire.doc.Found
---@field classes table<string, moonwire.doc.Class>
---@field aliases table<string, moonwire.doc.Alias>
---@field problems string[]              what is written twice, or does not fit its function

--- Joins a line of text to what is there; lines of code keep their own.
local function join(text, line)
  if text == "" then return line end
  if line == "" then return text .. "\n" end
  return text .. "\n" .. line
end

local function trim(s)
  return match(s, "^%s*(.-)%s*$")
end

--- Text behind a type: a remark may begin with "#".
local function remark(s)
  return trim((gsub(s, "^#%s*", "")))
end

-- Tags: each reads its line into the block and gives what further lines of text belong to. ---------------------------------

local tags = {}

function tags.param(block, rest)
  local name, optional, more = match(rest, "^([%w_.]+)(%??)%s+(.*)$")
  if not name then return end
  local type, text = types.take(more)
  local it = { name = name, type = type, optional = optional == "?", text = remark(text) }
  block.params[#block.params + 1] = it
  return it
end

tags["return"] = function(block, rest)
  local it
  repeat
    local type, more = types.take(rest)
    local name, text = match(more, "^([%a_][%w_]*)(.*)$")
    if not name then name, text = match(more, "^(%.%.%.)(.*)$") end
    it = { name = name, type = type, text = remark(gsub(text or more, "^,%s*", "")) }
    block.returns[#block.returns + 1] = it
    rest = text and match(text, "^,%s*(.*)$")
    if rest then it.text = "" end
  until not rest
  return it
end

function tags.field(block, rest)
  local scope, more = match(rest, "^(%a+)%s+([%w_%[].*)$")
  local private = scope == "private" or scope == "protected" or scope == "package"
  if private or scope == "public" then rest = more end
  local name, optional, tail = match(rest, "^([%w_]+)(%??)%s+(.*)$")
  if not name then name, tail = match(rest, "^(%b[])%s+(.*)$") end
  if not name then return end
  local type, text = types.take(tail)
  local it = { kind = "field", name = name, type = type, optional = optional == "?", text = remark(text), private = private }
  block.fields[#block.fields + 1] = it
  return it
end

function tags.class(block, rest)
  local name, more = match(gsub(rest, "^%(%a+%)%s*", ""), "^([%w_.*]+)%s*(.*)$")
  local it = { name = name, parents = {}, text = "" }
  local parents, text = match(more, "^:%s*([%w_.]+[%w_., ]-)%s%s+(.*)$")
  if not parents then parents, text = match(more, "^:%s*(.*)$"), "" end
  for parent in string.gmatch(parents or "", "[%w_.]+") do it.parents[#it.parents + 1] = parent end
  it.text = remark(parents and text or more)
  block.class = it
  return it
end

function tags.alias(block, rest)
  local name, more = match(rest, "^([%w_.]+)%s*(.*)$")
  local it = { name = name, text = "", values = {} }
  if more ~= "" then
    it.type, more = types.take(more)
    it.text = remark(more)
  end
  block.alias = it
  return it
end

function tags.overload(block, rest)
  local params, returns = types.fun(types.take(rest))
  if not params then return end
  block.calls[#block.calls + 1] = { kind = "function", name = "", params = params, returns = returns, text = "" }
end

function tags.type(block, rest)
  local text
  block.type, text = types.take(rest)
  local it = { text = remark(text) }
  return it
end

local function new_block(line)
  return { line = line, text = "", params = {}, returns = {}, fields = {}, calls = {} }
end

--- One line of a block, without its dashes.
local function take(block, content)
  local value, about = match(content, "^|%s*(%S+)%s*(.*)$")
  if value and block.alias then
    if sub(value, 1, 1) == '"' then value, about = match(content, '^|%s*("[^"]*")%s*(.*)$') end
    local it = { value = value, text = remark(about) }
    local values = block.alias.values
    values[#values + 1] = it
    block.last = it
    return
  end
  local tag, rest = match(content, "^@(%a+)%s*(.*)$")
  if tag then
    block.last = tags[tag] and tags[tag](block, rest) or block.last
    return
  end
  local text = gsub(content, "^ ", "")
  if block.last then
    block.last.text = join(block.last.text, trim(text))
  else
    block.text = join(block.text, text)
  end
end

-- What a block stands before ----------------------------------------------------------------------------------------------------

---@class moonwire.doc.Reader
---@field found moonwire.doc.Found
---@field file string
---@field locals table<string, string>  class by the name of its local
---@field meta boolean                  a file of descriptions
local Reader = {}
Reader.__index = Reader

function Reader:problem(line, what)
  local list = self.found.problems
  list[#list + 1] = ("%s:%d: %s"):format(self.file, line, what)
end

function Reader:class_of(name)
  local class = self.found.classes[name]
  if not class then
    class = { name = name, text = "", parents = {}, fields = {}, members = {}, calls = {}, file = self.file, line = 0 }
    self.found.classes[name] = class
  end
  return class
end

function Reader:add(class, member, line)
  member.file, member.line = self.file, line
  local old = class.members[member.name]
  if old then
    self:problem(line, ("%s.%s is described twice, before in %s:%d"):format(class.name, member.name, old.file, old.line))
    return
  end
  class.members[member.name] = member
  class.fields[#class.fields + 1] = member
end

--- A block that describes a class: what it says goes to the class, wherever else that is described.
function Reader:classify(block)
  local class = self:class_of(block.class.name)
  local text = trim(join(block.text, block.class.text))
  if text ~= "" then
    if class.text ~= "" then self:problem(block.line, class.name .. " is described twice") end
    class.text, class.file, class.line = text, self.file, block.line
  elseif class.line == 0 then
    class.file, class.line = self.file, block.line
  end
  for _, parent in ipairs(block.class.parents) do class.parents[#class.parents + 1] = parent end
  for _, field in ipairs(block.fields) do self:add(class, field, block.line) end
  for _, call in ipairs(block.calls) do class.calls[#class.calls + 1] = call end
  return class
end

--- The parameters of a function as its head has them, with what the block says of each.
function Reader:params(block, head, what)
  local list, at = {}, 1
  for name in string.gmatch(head, "[%w_.]+") do
    local it = block.params[at]
    if it and it.name == name then
      at = at + 1
    elseif name ~= "self" then
      it = { name = name, type = "any", text = "", bare = true }
    end
    if it then list[#list + 1] = it end
  end
  if block.params[at] then self:problem(block.line, ("%s: @param %s is no parameter here"):format(what, block.params[at].name)) end
  return list
end

--- A function that belongs to no local of ours: one of Lua's own, "io.open", "print"; of class _G.
function Reader:global(block, name, head, line)
  if trim(block.text) == "" then return end
  local member = { kind = "function", name = name, text = trim(block.text), returns = block.returns }
  member.params = self:params(block, head, name)
  self:add(self:class_of("_G"), member, line)
end

function Reader:func(block, owner, sign, name, head, line)
  local class = self.locals[owner]
  if not class and self.meta and sign == "." then return self:global(block, owner .. "." .. name, head, line) end
  if not class or sub(name, 1, 2) == "__" and name ~= "__call" then return end
  local member = { kind = sign == ":" and "method" or "function", name = name, text = trim(block.text), returns = block.returns }
  member.params = self:params(block, head, owner .. sign .. name)
  self:add(self:class_of(class), member, line)
end

--- `local.name = value` under a block.
function Reader:assigned(block, owner, name, line)
  local class = self.locals[owner]
  if not class or not (block.type or #block.params > 0 or #block.returns > 0) then return end
  local member = { kind = "field", name = name, type = block.type, text = trim(block.text) }
  if block.type then
    member.params, member.returns = types.fun(block.type)
  else
    member.params, member.returns = block.params, block.returns
  end
  if member.params then member.kind = "function" else member.returns = nil end
  self:add(self:class_of(class), member, line)
end

--- The line of code that a block stands before (or an empty one, at its end).
function Reader:code(block, line, number)
  local class = block and block.class and self:classify(block)
  if block and block.alias then
    local alias = block.alias
    alias.text = trim(join(block.text, alias.text))
    self.found.aliases[alias.name] = alias
  end
  local name = match(line, "^local%s+([%a][%w_]*)%s*=") or match(line, "^local%s+([%a][%w_]*)%s*$")
  if name and class then self.locals[name] = class.name end
  if not block or class then return end
  local owner, sign, fn, head = match(line, "^function%s+([%w_.]-)([.:])([%w_]+)%s*(%b())")
  if owner then return self:func(block, owner, sign, fn, head, number) end
  local own, parameters = match(line, "^function%s+([%w_]+)%s*(%b())")
  if own and self.meta then return self:global(block, own, parameters, number) end
  local target, field = match(line, "^([%w_]+)%.([%w_]+)%s*=")
  if target then return self:assigned(block, target, field, number) end
end

--- Reads `text` into `found`.
---@param text string
---@param file string  for what is told of it
---@param found moonwire.doc.Found
function parse.file(text, file, found)
  local reader = setmetatable({ found = found, file = file, locals = {}, meta = match(text, "^%-%-%-@meta") ~= nil }, Reader)
  local block, number = nil, 0
  for line in string.gmatch(text .. "\n", "([^\n]*)\n") do
    number = number + 1
    local content = match(line, "^%s*%-%-%-(.*)$")
    if content and not match(content, "^%-") then
      block = block or new_block(number)
      take(block, content)
    elseif block or match(line, "^function") then
      reader:code(block or new_block(number), line, number)
      block = nil
    end
  end
  if block then reader:code(block, "", number) end
end

---@return moonwire.doc.Found
function parse.new()
  return { classes = {}, aliases = {}, problems = {} }
end

return parse
