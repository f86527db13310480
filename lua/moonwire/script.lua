--- How a script is run: in a scope of its own, so that what it starts ends with it. Returns that one function.
local _, core = ...
local scope = core.task.scope

---@param main function
---@param ... any  the script's arguments
return function(main, ...)
  local args = table.pack(...)
  scope(function() main(table.unpack(args, 1, args.n)) end)
end
