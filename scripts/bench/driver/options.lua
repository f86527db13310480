--- The command line of `scripts/dev bench`.
local options = {}

local function names(text)
  local list = {}
  for name in text:gmatch "[^,]+" do list[#list + 1] = name end
  return list
end

local function fail(text)
  return nil, text .. "; scripts/dev bench --help tells what there is"
end

--- What takes a value: its name, and what is made of the value (nil: it is wrong).
local valued = {
  rounds = function(text)
    local n = math.tointeger(tonumber(text))
    return n and n >= 1 and n <= 1000 and n or nil
  end,
  seconds = function(text)
    local n = tonumber(text)
    return n and n > 0 and n <= 60 and n or nil
  end,
  peers = names,
  moonwire = tostring, -- these three are scripts/dev's: the program, the folders of what was built and of sockets
  built = tostring,
  work = tostring,
}
local flags = { json = true, plot = true, smoke = true, list = true, help = true, progress = true }

--- Reads the arguments: `o.words` are the workloads' names or their beginnings.
---@param args string[]
---@return table? options
---@return string? why
function options.read(args)
  local o, i = { words = {}, rounds = 5, seconds = 1 }, 1
  while i <= #args do
    local name, value = args[i]:match "^%-%-([%w-]+)=?(.*)$"
    if not name then
      if args[i]:sub(1, 1) == "-" then return fail("there is no option " .. args[i]) end
      o.words[#o.words + 1] = args[i]
    elseif flags[name] then
      o[name] = true
    elseif valued[name] then
      if not args[i]:find("=", 1, true) then
        i = i + 1
        value = args[i] or ""
      end
      o[name] = valued[name](value)
      if o[name] == nil then return fail(("--%s cannot be %q"):format(name, value)) end
    else
      return fail("there is no option --" .. name)
    end
    i = i + 1
  end
  return o
end

options.help = [[
scripts/dev bench [OPTIONS] [WORKLOAD...]

Measures moonwire and the peers that are found, interleaved, and prints medians and ratios. A WORKLOAD is a name of
--list or the beginning of one; without any, all are measured.

  --rounds N      so many rounds after the warm-up; 5
  --seconds N     how long one measurement should take, about; 1
  --peers A,B     only these of deno, bun, node, luv, c; moonwire always takes part
  --json          also writes build/bench/results.json
  --plot          also draws build/bench/results.svg
  --smoke         everything once and small, for correctness; figures mean nothing and are not shown
  --list          the workloads, and the programs that are found

DENO, BUN, NODE and LUA name a program that is not on the PATH, or another than the one there.]]

return options
