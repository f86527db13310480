--- Commands of the shell with their arguments put in: of mw.process.sh. Returns that one function.
local _, core = ...
local fail, raise = core.err.fail, core.err.raise
local type, rawget, tostring = type, rawget, tostring
local concat = table.concat

local function invalid(op, what)
  return raise(fail("EINVAL", op, nil, what))
end

--- One argument as the shell reads it back.
local function quote(value)
  return "'" .. value:gsub("'", "'\\''") .. "'"
end

--- Where `%s` may stand: a quoted word must begin there, whatever shell reads it. Gives the reason why not, or nil.
local function misplaced(state, before, heredoc)
  if state ~= "plain" then return "inside " .. state .. " the argument's own quotes would end it" end
  if before == "\\" or before == "$" then return "after " .. before .. " it would mean something else" end
  if heredoc then return "in a script with << the argument could end the text" end
end

--- Follows the shell's quotes over one character. Words that begin with # are comments up to the line's end.
local function advance(state, char, before)
  if state == "single quotes" then return char == "'" and "plain" or state end
  if state == "a comment" then return char == "\n" and "plain" or state end
  if state == "backquotes" then return char == "`" and "plain" or state end
  if state == "double quotes" then return char == '"' and "plain" or state end
  if char == "'" then return "single quotes" end
  if char == '"' then return "double quotes" end
  if char == "`" then return "backquotes" end
  if char == "#" and before:find("^[%s;&|()]?$") then return "a comment" end
  return state
end

local function argument(op, args, i)
  local value = rawget(args, i + 1)
  if value == nil then return invalid(op, "argument " .. i .. " for %s is missing") end
  if type(value) == "number" then value = tostring(value) end
  if type(value) ~= "string" then return invalid(op, "argument " .. i .. " must be a string, got " .. type(value)) end
  if value:find("\0", 1, true) then return invalid(op, "argument " .. i .. " must not contain a NUL byte") end
  return quote(value)
end

--- Puts the quoted arguments args[2], args[3], ... where the format args[1] says %s.
---@param op string  for errors
---@param args moonwire.process.Options
---@return string command
return function(op, args)
  local text = rawget(args, 1)
  if type(text) ~= "string" then return invalid(op, "the command must be a string, got " .. type(text)) end
  local out, state, before, used, i = {}, "plain", "", 0, 1
  local heredoc = text:find("<<", 1, true) ~= nil
  while i <= #text do
    local char = text:sub(i, i)
    local escaped = before == "\\" and (state == "plain" or state == "double quotes" or state == "backquotes")
    if char == "%" then
      local letter = text:sub(i + 1, i + 1)
      if letter == "s" then
        local why = misplaced(state, before, heredoc)
        if why then return invalid(op, "%s cannot stand here: " .. why) end
        used = used + 1
        out[#out + 1] = argument(op, args, used)
      elseif letter == "%" then
        out[#out + 1] = "%"
      else
        return invalid(op, "there is %s for a quoted argument and %% for a percent sign, and no %" .. letter)
      end
      i, before = i + 2, "%"
    else
      if not escaped then state = advance(state, char, before) end
      out[#out + 1] = char
      before = escaped and char == "\\" and "" or char
      i = i + 1
    end
  end
  if rawget(args, used + 2) ~= nil then return invalid(op, "more arguments than %s in the command") end
  return concat(out)
end
