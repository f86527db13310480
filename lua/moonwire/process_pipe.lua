--- Pipelines: commands side by side, each reading what the one before it writes. Returns that one function.
local _, core = ...
local raw, fail, raise = core.process, core.err.fail, core.err.raise
local start, collect = raw.start, raw.collect
local type, rawget, next, setmetatable, tostring = type, rawget, next, setmetatable, tostring
local concat = table.concat

local function invalid(op, what)
  return raise(fail("EINVAL", op, nil, what))
end

--- Options that hold for the pipeline as a whole, and for each stage that does not say otherwise.
local common = {
  "cwd", "env", "clear_env", "timeout", "kill_after", "kill_signal", "max_output", "on_overflow", "name", "sandbox", "limits",
}
local whole = { stdin = true, stdout = true, stderr = true, check = true, tee = true }
for i = 1, #common do whole[common[i]] = true end

--- A stage's own options, with its ends of the pipes.
local function stage_options(options, i, input)
  local stage, last = rawget(options, i), rawget(options, i + 1) == nil
  local copy = {}
  if type(stage) ~= "table" then return invalid("process pipe", "stage " .. i .. " must be a table, got " .. type(stage)) end
  for j = 1, #common do copy[common[j]] = rawget(options, common[j]) end
  for key, value in next, stage do copy[key] = value end
  if copy.stdin ~= nil or copy.stdout ~= nil then
    return invalid("process pipe", "stage " .. i .. ": stdin and stdout belong to the pipe")
  end
  if copy.stderr == nil then copy.stderr = rawget(options, "stderr") end
  if i == 1 then copy.stdin = rawget(options, "stdin") else copy.stdin = input end
  if last then
    copy.stdout, copy.tee = rawget(options, "stdout"), rawget(options, "tee")
    return copy
  end
  local reading, writing = raw.link()
  if not reading then return copy, nil, writing end
  copy.stdout = writing
  return copy, reading
end

local function check_whole(options)
  if type(options) ~= "table" or rawget(options, 1) == nil then
    return invalid("process pipe", "a list of commands is expected: { { \"sort\" }, { \"uniq\" } }")
  end
  for key in next, options do
    if math.type(key) ~= "integer" and not whole[key] then
      return invalid("process pipe", "unknown option \"" .. tostring(key) .. "\"; put what is for one command into its own table")
    end
  end
end

--- All results as one: the last stage's output, and, as with `pipefail`, the rightmost failure. A stage that PIPE ended, because
--- the next one had read enough, has not failed.
local function combine(stages)
  local last, errors = stages[#stages], {}
  local all = {
    ok = true, stages = stages, stdout = last.stdout, pid = last.pid, argv = last.argv, code = last.code, signal = last.signal,
    duration = 0, timed_out = false, truncated = false, rusage = last.rusage,
  }
  for i = 1, #stages do
    local r = stages[i]
    local enough = r.signal == "PIPE" and i < #stages and not r.timed_out
    if not r.ok and not enough then
      all.ok, all.code, all.signal, all.argv, all.pid, all.unknown = false, r.code, r.signal, r.argv, r.pid, r.unknown
    end
    if r.duration > all.duration then all.duration = r.duration end
    all.timed_out, all.truncated = all.timed_out or r.timed_out, all.truncated or r.truncated
    if r.stderr then errors[#errors + 1] = r.stderr end
  end
  all.stderr = concat(errors)
  return all
end

--- mw.process.pipe; `checked` and `truncates` are moonwire.process's.
---@param options moonwire.process.Pipeline
---@param checked fun(op: string, check: any, result: moonwire.process.Result?, err: moonwire.Err?): moonwire.process.Result?, moonwire.Err?
---@param truncates fun(options: table): boolean
---@return moonwire.process.Result? result
---@return moonwire.Err? err
return function(options, checked, truncates)
  check_whole(options)
  local children, results, check = {}, {}, rawget(options, "check")
  local _ <close> = setmetatable({}, { __close = function()
    for i = 1, #children do children[i]:close() end
  end })
  local input
  for i = 1, #options do
    local stage, reading, err = stage_options(options, i, input)
    if err then return checked("process pipe", check, nil, err) end
    local child
    child, err = start("pipe", stage)
    if not child then return checked("process pipe", check, nil, err) end
    children[i], input = child, reading
  end
  for i = 1, #children do
    local result, err = collect(children[i], truncates(options))
    if not result then return checked("process pipe", check, nil, err) end
    results[i] = result
  end
  return checked("process pipe", check, combine(results))
end
