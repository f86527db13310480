--- A main script under its rights: main(dir, rights, text, files) writes main.lua and the files beside it into `dir`, runs it with
--- the program under test (env MOONWIRE), and gives what it printed; nothing may stand on its standard error.
local mw = require "moonwire"
local program = os.getenv("MOONWIRE") or "moonwire"
local before = "local mw = require 'moonwire'\n"

return function(dir, rights, text, files)
  assert(mw.fs.write(dir .. "/main.lua", before .. text))
  for file, content in pairs(files or {}) do assert(mw.fs.write(dir .. "/" .. file, before .. content)) end
  local command = { program, "run", timeout = 60 }
  for _, right in ipairs(rights) do command[#command + 1] = right end
  command[#command + 1] = dir .. "/main.lua"
  local r = assert(mw.process.run(command))
  assert(r.stderr == "", r.stderr)
  return r.stdout
end
