--- Chunks whose top-level local variables outlive them: each is an upvalue that the next chunk is joined to, so closures, shadowing,
--- <const> and the compiler's own words about it are Lua's. A chunk runs in pieces, cut behind each top-level `local`.

local _, core = ...

local source = core.module("moonwire.repl_source")
local upvalues, join, get, set = core.repl.upvalues, core.repl.join, core.repl.get, core.repl.set
local load, rep, concat, sort, pack, unpack = load, string.rep, table.concat, table.sort, table.pack, table.unpack
local sub, find, match = string.sub, string.find, string.match

local MARK = "moonwire_went_on" -- the name of what a piece returns that did not return by itself
local WENT_ON = {} -- and that: a line can say the name, so it leads nowhere
local INCOMPLETE = "<eof>$"

---@class moonwire.repl.Locals
---@field private held table<string, { f: function, i: integer, const: boolean }>
local Locals = {}
Locals.__index = Locals

---@return moonwire.repl.Locals
local function new(env)
  return setmetatable({ held = {}, env = env, closing = {}, made = {} }, Locals)
end

--- A variable that is there before the first line.
function Locals:declare(name, value)
  local x = value
  self.held[name] = { f = function() return x end, i = 1 }
  set(self.held[name].f, 1, value)
end

function Locals:get(name)
  local it = self.held[name]
  if it then return get(it.f, it.i), true end
  return nil, false
end

--- Gives a variable that `declare` made a value, unless another has taken its name since.
function Locals:assign(name, value, f)
  local it = self.held[name]
  if it and (f == nil or it.f == f) then set(it.f, it.i, value) end
end

---@return string[]
function Locals:names()
  local out = {}
  for name in next, self.held do
    out[#out + 1] = name
  end
  sort(out)
  return out
end

--- Names and values of everything that a line can say: what Tab completes.
function Locals:snapshot()
  local out = {}
  for k, v in next, self.env do
    out[k] = v
  end
  for name, it in next, self.held do
    out[name] = get(it.f, it.i)
  end
  return out
end

local function index_of(names, name)
  for i = 1, #names do
    if names[i] == name then return i end
  end
end

--- Compiles a piece so that it sees the variables of before. `line`: newlines before it; `tail`: what is added behind it.
function Locals:compile(text, uses, name, line, tail)
  local names, words = {}, { MARK }
  for used in next, uses do
    if self.held[used] then names[#names + 1] = used end
  end
  if self.held._ENV and not uses._ENV then names[#names + 1] = "_ENV" end
  sort(names)
  for i = 1, #names do
    words[i + 1] = self.held[names[i]].const and names[i] .. "<const> " or names[i]
  end
  local whole = "local " .. concat(words, ",") .. "=... return function(...)" .. rep("\n", line) .. " " .. text .. "\n" .. tail .. " end"
  local outer, why = load(whole, name, "t", self.env)
  if not outer then return nil, why end
  local f = outer(WENT_ON)
  local ups = upvalues(f)
  for i = 1, #ups do
    local it = self.held[ups[i]]
    if it and index_of(names, ups[i]) then join(f, i, it.f, it.i) end
  end
  return f
end

local function constant(value)
  local x = value
  return function() return x end
end

--- Takes over what a `local` statement declared: `f` returns its variables, and has them as upvalues.
function Locals:keep(piece, f)
  local ups, values = upvalues(f), pack(f())
  for n = 1, #piece.names do
    local name, attrib = piece.names[n], piece.attribs[n]
    local i, holder = index_of(ups, name), f
    if not i then -- the compiler has put the constant itself in its place
      holder, i = constant(values[n]), 1
    end
    self.made[#self.made + 1] = { name, self.held[name] }
    self.held[name] = { f = holder, i = i, const = attrib ~= nil }
    if attrib == "close" then self:to_close(name, values[n]) end
  end
end

function Locals:to_close(name, value)
  if value == nil or value == false then return end
  if not core.repl.closable(value) then error("variable '" .. name .. "' got a non-closable value", 0) end
  self.closing[#self.closing + 1] = value
end

--- From here on what is declared may be forgotten.
function Locals:mark()
  self.made = {}
end

--- Forgets what was declared since the mark.
function Locals:forget()
  for n = #self.made, 1, -1 do
    self.held[self.made[n][1]] = self.made[n][2]
  end
  self.made = {}
end

--- Closes what `<close>` variables hold, the last one first. What fails is told, and the others are closed all the same.
---@param tell fun(err: any)
function Locals:close(tell)
  while #self.closing > 0 do
    local value = self.closing[#self.closing]
    self.closing[#self.closing] = nil
    local ok, why = xpcall(core.repl.close, core.err.traceback, value)
    if not ok then tell(why) end
  end
end

-- Chunks ----------------------------------------------------------------------------------------------------------------

local function names_in(text)
  local out, tokens = {}, source.tokens(text)
  for i = 1, #tokens do
    if tokens[i].kind == "name" then out[tokens[i].text] = true end
  end
  return out
end

---@class moonwire.repl.Chunk
---@field text string
---@field kind "expression"|"statements"|"command"
---@field line integer  newlines before it, in what was entered

--- What `text` is: a chunk, or nil and "more" (it goes on) or the compiler's message.
---@param text string
---@return "expression"|"statements"|nil
---@return string? why
local function kind_of(text, name)
  local f, as_expression = load("return " .. text, name, "t", {})
  if f then return "expression" end
  local g, why = load(text, name, "t", {})
  if g then return "statements" end
  if (find(why, INCOMPLETE) or find(as_expression, INCOMPLETE)) and not source.cut_string(text) then return nil, "more" end
  return nil, why
end

--- Adds the lines of `text` from byte `at` on to chunks, each until it compiles. nil, "more"; nil, why, line.
local function by_lines(state, text, at, name)
  local n = #text
  while at <= n + 1 do
    local stop = find(text, "\n", at, true) or n + 1
    local one = match(sub(text, at, stop - 1), "^(.-)\r?$")
    local whole = state.held and state.held .. "\n" .. one or one
    if not state.held then state.began = state.line end
    local command = not state.held and match(one, "^%s*(%.%a.*)$")
    state.held = whole
    if command then
      state.chunks[#state.chunks + 1] = { kind = "command", text = command, line = state.began }
      state.held = nil
    elseif source.empty(whole) then
      state.held = nil
    else
      local what, wrong = kind_of(whole, name)
      if what then
        state.chunks[#state.chunks + 1] = { kind = what, text = whole, line = state.began }
        state.held = nil
      elseif wrong ~= "more" then
        return nil, wrong, state.began
      end
    end
    state.line = state.line + 1
    at = stop + 1
  end
  state.text = text
  if state.held then return nil, "more" end
  return state.chunks
end

--- Splits what was entered into chunks: one, if it compiles as a whole; else a line after the other is added to a chunk until it
--- does, as if they had been typed one by one. nil, "more": the last one goes on. nil, why, line: a line that nothing mends.
---@param text string
---@param name string
---@param before? table  what the fourth result was when it wanted more: the same text with lines added is not begun anew
---@return moonwire.repl.Chunk[]?
---@return string? why
---@return integer? line  newlines before what is wrong
---@return table? state
local function split(text, name, before)
  if source.empty(text) then return {} end
  local dot = match(text, "^%s*(%.%a[^\n]*)%s*$")
  if dot then return { { kind = "command", text = dot, line = 0 } } end
  local kind, why = kind_of(text, name)
  if kind then return { { kind = kind, text = text, line = 0 } } end
  if not find(text, "\n", 1, true) then return nil, why, 0 end
  local state, at = { chunks = {}, line = 0, began = 0 }, 1
  if before and before.text and sub(text, 1, #before.text + 1) == before.text .. "\n" then state, at = before, #before.text + 2 end
  local chunks, wrong, line = by_lines(state, text, at, name)
  if chunks then return chunks end
  if why == "more" and wrong ~= "more" then return nil, "more" end
  return nil, wrong, line, state
end

--- A function that does what the chunk says each time it is called, if that can be compiled once; raises what is wrong with it.
---@param chunk moonwire.repl.Chunk
---@param name string
---@param before integer
---@return function?
function Locals:prepare(chunk, name, before)
  local text = chunk.text
  if chunk.kind == "expression" then
    text = "return " .. text
  elseif #source.pieces(text) > 1 or source.pieces(text)[1].kind == "local" then
    return nil
  end
  local f, why = self:compile(text, names_in(chunk.text), name, before, "")
  if not f then error(why, 0) end
  return f
end

--- Runs a chunk. Raises what it raises.
---@param chunk moonwire.repl.Chunk
---@param name string    the chunk's name, "=line 3"
---@param before integer newlines before it
---@return any ...  its values
function Locals:run(chunk, name, before)
  local once = self:prepare(chunk, name, before)
  if once then return once() end
  local pieces = source.pieces(chunk.text)
  for n = 1, #pieces do
    local piece = pieces[n]
    local tail = piece.kind == "local" and "return function() return " .. concat(piece.names, ",") .. " end"
      or n < #pieces and "return " .. MARK or ""
    local f, why = self:compile(piece.text, piece.uses, name, before + piece.line, tail)
    if not f then error(why, 0) end
    if piece.kind == "local" then
      self:keep(piece, f())
    elseif n == #pieces then
      return f()
    else
      local got = pack(f())
      if got.n ~= 1 or not rawequal(got[1], WENT_ON) then return unpack(got, 1, got.n) end
    end
  end
end

--- Where the compiler stopped: the line, counted from 1, and the column, if the token can be told from others like it.
---@param text string
---@param why string  its message
---@return integer? line
---@return integer? column
---@return string what
local function place(text, why)
  local line, what = match(why, "^[^\n]-:(%d+): (.*)$")
  if not line then return nil, nil, why end
  line = tonumber(line)
  local near = match(what, " near '(.*)'$")
  if find(what, INCOMPLETE) then -- at the end: what does not end is to blame
    local tokens = source.tokens(text)
    near = tokens[#tokens] and tokens[#tokens].kind == "bad" and find(tokens[#tokens].text, "^[\"']") and tokens[#tokens].text
  end
  if not near then return line, nil, what end
  local at, from = 1, 1
  while at < line do
    local nl = find(text, "\n", from, true)
    if not nl then return line, nil, what end
    from, at = nl + 1, at + 1
  end
  local stop = find(text, "\n", from, true) or #text + 1
  local tokens, seen, only = source.tokens(text), 0, nil
  for i = 1, #tokens do
    local t = tokens[i]
    if t.from >= from and t.from < stop and (t.text == near or t.kind == "bad" and sub(t.text, 1, #near) == near) then
      seen = seen + 1
      only = only or t
      local _, message = load(sub(text, 1, t.to), "=x", "t", {})
      local _, other = load("return " .. sub(text, 1, t.to), "=x", "t", {})
      if message and not find(message, INCOMPLETE) and (not other or not find(other, INCOMPLETE)) then
        only = t
        break
      end
    end
  end
  if not only then return line, nil, what end
  local before = sub(text, from, only.from - 1)
  return line, (utf8.len(before) or #before) + 1, what
end

return { new = new, split = split, kind_of = kind_of, place = place }
