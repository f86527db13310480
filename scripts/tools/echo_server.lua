--- What the echo tools share: reading their command line, and serving. Not a tool by itself.
local mw = require "moonwire"

--- Runs the tool `spec.name` with the script's arguments.
---@param spec { name: string, help: string, protocol: string, max: string }  max: the default of --max
return function(spec)
  local options = { max = spec.max, ["frame-timeout"] = "30s", stall = "30s", idle = "10m" }
  local address

  local function usage(text)
    io.stderr:write(spec.name, ": ", text, " (try --help)\n")
    mw.exit(2)
  end

  local i = 1
  while arg[i] do
    local word = arg[i]
    local name, value = word:match("^%-%-([%w-]+)=?(.*)$")
    if name == "help" then
      print((spec.help:gsub("\n$", "")))
      return
    elseif name then
      if options[name] == nil then return usage("unknown option " .. word) end
      if not word:find("=", 1, true) then
        i = i + 1
        value = arg[i]
      end
      if not value or value == "" then return usage(word .. " needs a value") end
      options[name] = value
    elseif address then
      return usage("one address only, please")
    else
      address = word
    end
    i = i + 1
  end
  if not address then return usage("an address is missing") end

  local protocol = mw.frame.new { protocol = spec.protocol, max = options.max }
  local server <close> = assert(mw.net.listen(address, { idle_timeout = options.idle }))
  print("listening on " .. server:address())

  assert(server:serve(function(conn)
    local ch = conn:framed(protocol, { frame_timeout = options["frame-timeout"] })
    for data, kind in ch:messages() do
      if kind then assert(ch:send(data, kind, { timeout = options.stall }))
      else assert(ch:send(data, { timeout = options.stall })) end
    end
  end))
end
