--- A session that a script holds, as specs and tools do: what can be done with it, and nothing of what it is made of. Its insides join
--- the upvalues of any function, so no script may touch them.
local _, core = ...

local repl = core.module("moonwire.repl")

---@class moonwire.repl.Handle
---@field submit fun(self, text: string): "more"|"run"|"empty", string
---@field complete fun(self, text: string, at: integer): table
---@field set_options fun(self, options: table)
---@field cancel fun(self): boolean
---@field background fun(self): boolean
---@field leave fun(self, code?: integer)
---@field wait fun(self): integer
---@field close fun(self)

local handle = {}

--- Copies the table, so that what the session goes by cannot be changed under it.
---@param host moonwire.repl.Host
---@return moonwire.repl.Handle
function handle.new(host)
  local session <const> = repl.new { out = host.out, err = host.err, emit = host.emit, options = host.options, globals = host.globals,
    locals = host.locals }
  local self = {}
  for _, name in ipairs { "submit", "complete", "set_options", "cancel", "background", "leave", "wait", "close" } do
    local method = session[name]
    self[name] = function(_, ...) return method(session, ...) end
  end
  return setmetatable(self, { __close = function() session:close() end, __name = "session", __metatable = false })
end

return handle
