--- The call whose arguments the cursor is among, and where among them: which argument, which key of a table of options.
--- Knows: repl_walk, repl_docs. Never: runs anything.
local _, core = ...
local walk, docs = core.module "moonwire.repl_walk", core.module "moonwire.repl_docs"

local call = {}

---@class moonwire.repl.Call
---@field callee integer    the last token of what is called
---@field argument integer  which one, from 1
---@field table? boolean    inside a table that is, or is in, the argument
---@field keys string[]     the way to that table in the argument: a name, or "" for an element
---@field key? string       the option whose value is being written

local begins = { ["function"] = true, ["do"] = true, ["if"] = true, ["repeat"] = true }

--- The bracket that the token behind `i` stands in, and the commas before it there; nil outside of all, or in the body of a function.
local function outward(tokens, i)
  local commas, ends = 0, 0
  while i >= 1 do
    local it = tokens[i]
    if it.kind == "op" and walk.opens[it.text] then
      i = walk.opening(tokens, i)
      if not i then return nil end
    elseif it.kind == "op" and (it.text == "(" or it.text == "{" or it.text == "[") then
      return i, commas
    elseif it.kind == "op" and (it.text == "," or it.text == ";") and ends == 0 then
      commas = commas + 1
    elseif it.kind == "name" and (it.text == "end" or it.text == "until") then
      ends = ends + 1
    elseif it.kind == "name" and begins[it.text] then
      if ends == 0 then return nil end
      ends = ends - 1
    end
    i = i - 1
  end
end

--- `NAME =` before the token at `i`, in a table: the name.
local function option_before(tokens, i)
  local sign, name = tokens[i - 1], tokens[i - 2]
  return sign and sign.kind == "op" and sign.text == "=" and name and name.kind == "name" and name.text or nil
end

--- Where the cursor behind the last token is; nil: in no call.
---@param tokens moonwire.repl.Mark[]
---@return moonwire.repl.Call?
function call.around(tokens)
  local found = { keys = {}, key = option_before(tokens, #tokens + 1), table = false }
  local i = #tokens
  while true do
    local open, commas = outward(tokens, i)
    if not open or tokens[open].text == "[" then return nil end
    local called = walk.ends(tokens[open - 1]) and open - 1
    if tokens[open].text == "(" then
      if not called then return nil end
      if found.table then table.remove(found.keys, 1) end -- that table is the argument itself
      found.callee, found.argument = called, commas + 1
      return found
    end
    found.table = true
    if called then
      found.callee, found.argument = called, 1
      return found
    end
    table.insert(found.keys, 1, option_before(tokens, open) or "")
    i = open - 1
  end
end

--- The type of what is written at that place: the argument's, or the table's that the cursor is in.
---@param member table?  how the annotations describe what is called
---@param where moonwire.repl.Call
---@return string?
function call.type(member, where)
  local params = member and member.params
  local param = params and params[where.argument]
  if params and not param and #params > 0 and params[#params].name == "..." then param = params[#params] end
  local text = param and param.type
  for i = 1, #where.keys do
    if not text then return nil end
    local key = where.keys[i]
    if key == "" then
      text = docs.element(text)
    else
      local fields = docs.options(text)
      text = fields and fields[key] and fields[key].type
    end
  end
  return text
end

return call
