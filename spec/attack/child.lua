-- A script child of an attempt: runs the source that it is given and tells what it came to.
local source = table.remove(arg, 1)
local mw = require "moonwire"
local env = setmetatable({ mw = mw }, { __index = _G })
for i, name in ipairs { "W", "H", "M", "T", "U", "P", "N" } do env[name] = arg[i] end
local got = table.pack(pcall(assert(load(source, "=attempt", "t", env))))
if got[1] and got[2] then
  print(tostring(got[2]))
else
  local err = got[1] and got[3] or got[2]
  print("refused " .. (type(err) == "table" and tostring(err.code) or "ERROR") .. " " .. tostring(err))
  os.exit(3)
end
