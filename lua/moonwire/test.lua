--- `moonwire test`: Busted's own runner as a task of a host, so that a spec may wait while the loop runs on.
--- Knows: what mw_host_preload loaded, Busted's events. Never: a right more than the specs were given.
local _, core = ...
local error, ipairs, pairs, pcall, rawget, setmetatable, type = error, ipairs, pairs, pcall, rawget, setmetatable, type

local Test = {}

local FOR_PROGRAMS = { json = true, junit = true } -- output that a line more would break
local DONE = {}   -- raised where Busted would leave the process

--- Runs each `it` in a scope of its own: what it started and left behind ends with it, and what fails there fails it alone.
--- The scope closes while an error unwinds, after Busted has seen where it came from.
local function isolate(busted)
  local safe = busted.safe
  function busted.safe(descriptor, run, element)
    if descriptor ~= "it" then return safe(descriptor, run, element) end
    return safe(descriptor, function(...)
      local scope <close> = core.task.scope()
      run(...)
      scope:cancel("its test has ended")
    end, element)
  end
end

--- Counts outcomes; an error outside any test (a file that does not load, a setup that fails) is a failure too. Once the whole
--- run is cancelled (Ctrl-C, a timeout) no further test begins.
local function count(busted, tally)
  busted.subscribe({ "test", "end" }, function(_, _, status)
    if status == "success" then tally.passed = tally.passed + 1
    elseif status == "pending" then tally.pending = tally.pending + 1
    else tally.failed = tally.failed + 1 end
    if not pcall(core.task.pass) then busted.skipAll = true end
    return nil, true
  end)
  busted.subscribe({ "error" }, function(element)
    if element.descriptor ~= "it" then tally.failed = tally.failed + 1 end
    return nil, true
  end)
end

--- Specs may require what Busted gives them anyway.
local function publish(loaded)
  for name, module in pairs(loaded) do
    if name == "busted" or name == "say" or name:match("^luassert") then package.loaded[name] = module end
  end
end

--- Fits Busted to the host: leaving the process becomes leaving the runner, and its execution is watched.
local function fit(env, tally)
  env.os = setmetatable({ exit = function(code) error({ DONE, code }, 0) end }, { __index = os })
  local execute = env.require "busted.execute"
  env.loaded["busted.execute"] = function(busted)
    count(busted, tally)
    isolate(busted)
    publish(env.loaded)
    tally.ran = true
    return execute(busted)
  end
  local handlers = env.require "busted.modules.output_handler_loader"
  env.loaded["busted.modules.output_handler_loader"] = function()
    local load_handler = handlers()
    return function(busted, output, options)
      tally.output = output
      return load_handler(busted, output, options)
    end
  end
  env.loaded.term = setmetatable({ isatty = function() return env.terminal end }, { __index = env.require "term" })
end

--- Busted's runner to its end: its exit status; raises what is no ending of its own.
local function run(env)
  local runner = env.require "busted.runner"
  local ok, why = pcall(runner, { standalone = false })
  if ok then return 0 end
  if type(why) ~= "table" or rawget(why, 1) ~= DONE then error(why, 0) end
  return (why[2] == 0 or why[2] == true) and 0 or 1
end

local function lists(args)
  for _, arg in ipairs(args) do
    if arg == "-l" or arg == "--list" then return true end
  end
  return false
end

--- The command. `...` are Busted's options and files.
function Test.main(...)
  local env, args = core.preloaded, { [0] = "moonwire test", ... }
  local tally = { passed = 0, failed = 0, pending = 0 }
  env.arg = args
  fit(env, tally)
  local status = run(env)
  if status ~= 0 and tally.failed == 0 then tally.failed = 1 end
  if tally.ran and not lists(args) then
    local pending = tally.pending > 0 and (", %d pending"):format(tally.pending) or ""
    local out = FOR_PROGRAMS[tally.output] and io.stderr or io.stdout
    out:write(("%d passed, %d failed%s\n"):format(tally.passed, tally.failed, pending))
  end
  if tally.failed > 0 then core.host.exit(1) end
end

return Test
