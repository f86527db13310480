--- A session of the prompt without a front: lines in, what it shows out.
local mw = require "moonwire"
local repl = require "moonwire.repl_handle"

local Try = {}
Try.__index = Try

--- opts: terminal (true), columns (80), colour, globals, locals.
local function new(opts)
  opts = opts or {}
  local self = setmetatable({ shown = {}, wrong = {}, events = {}, changed = mw.task.event() }, Try)
  local function keep(which)
    return function(text)
      local list = self[which]
      list[#list + 1] = text
      self.changed:set()
    end
  end
  self.session = repl.new {
    out = keep("shown"),
    err = keep("wrong"),
    emit = function(topic, message)
      self.events[#self.events + 1] = { topic = topic, message = message }
      if topic == "repl.done" then self.done = message end
      self.changed:set()
    end,
    globals = opts.globals or setmetatable({}, { __index = _G }),
    locals = opts.locals,
    options = { terminal = opts.terminal ~= false, columns = opts.columns or 80, colour = opts.colour },
  }
  return self
end

function Try:until_true(f)
  while not f() do
    self.changed:clear()
    assert(self.changed:wait { timeout = 20 })
  end
end

--- Enters a line and waits until the prompt is back; what was shown, without notes in (), and what went wrong.
function Try:line(text)
  local shown, wrong = #self.shown, #self.wrong
  self.done = nil
  local verdict, prompt = self.session:submit(text)
  if verdict ~= "run" then return verdict, prompt end
  self:until_true(function() return self.done end)
  local out = {}
  for i = shown + 1, #self.shown do
    if not self.shown[i]:find("^%(%.more") then out[#out + 1] = self.shown[i] end
  end
  return table.concat(out, "\n"), table.concat(self.wrong, "\n", wrong + 1)
end

function Try:close()
  self.session:leave()
  return self.session:wait()
end
Try.__close = Try.close

return new
