--- Processes: run a program and take its result, or keep it and talk to it. Starting, watching and ending are C (core.process);
--- what is built of it is here. Options and their defaults: `moonwire.process.Options`.
local _, core = ...
local raw, fail, raise = core.process, core.err.fail, core.err.raise
local start, run = raw.start, raw.run
local type, rawget, next, setmetatable = type, rawget, next, setmetatable
local concat = table.concat

--- Programs and scripts as children: run one to its end, talk to one, connect several with pipes, keep a pool of them.
--- Takes a `run` right for each program (`--allow-run=git`); script children take none.
---
--- A child may do at most what its script may, and the kernel holds it to that; `sandbox`, `permissions` and `limits` narrow it.
---@class moonwire.process
local process = {}

local TAIL = 4096 -- bytes of standard error in an error's data

local function invalid(op, what)
  return raise(fail("EINVAL", op, nil, what))
end

-- Results ---------------------------------------------------------------------------------------------------------------

local function outcome(result)
  if result.timed_out then return "timed out" end
  if result.signal then return "ended by signal " .. result.signal end
  if result.code then return "exited with " .. result.code end
  return "ended; how is not known"
end

--- What `check = true` raises for a result that is not ok.
---@param op string
---@param result moonwire.process.Result
local function raise_failed(op, result)
  local stderr = result.stderr
  local tail = stderr and stderr:sub(-TAIL)
  local last = tail and tail:match("([^\n]*)\n*$")
  local what = outcome(result)
  if last and last ~= "" then what = what .. ": " .. last:sub(1, 160) end
  return raise(fail(result.timed_out and "ETIMEDOUT" or "ECRASHED", op, concat(result.argv, " "):sub(1, 200), what, nil, {
    argv = result.argv,
    exit_code = result.code,
    signal = result.signal,
    duration = result.duration,
    timed_out = result.timed_out,
    stderr = tail,
    result = result,
  }))
end

local function checked(op, check, result, err)
  if not result and check then return raise(err) end
  if not result then return nil, err end
  if not check then return result end
  if not result.ok then return raise_failed(op, result) end
  return result
end

local function truncates(options)
  return rawget(options, "on_overflow") == "truncate"
end

-- Running ---------------------------------------------------------------------------------------------------------------

--- Runs a program to its end and gives its result; both pipes are drained while it runs. An exit code other than 0 is a result, not an
--- error; `check = true` makes it one. Without a right to the program EDENIED is raised. When the task is cancelled the child's whole
--- group gets TERM, and KILL after `kill_after`. A child that closes its stdin early is no error.
---
--- ```lua
--- local r = assert(mw.process.run{ "git", "status", cwd = "repo" })
--- print(r.code, r.stdout, r.stderr)
--- mw.process.run{ "make", "-j2", check = true, timeout = "2m" }    -- raises
--- ```
---@param options moonwire.process.Options
---@return moonwire.process.Result? result  a non-zero exit is a result
---@return moonwire.Err? err  it could not be started (ENOENT, EACCES, ...), or wrote more than max_output (ELIMIT, err.data is the result
---  so far)
function process.run(options)
  if type(options) ~= "table" then return start("run", options) end
  return checked("process run", rawget(options, "check"), run(truncates(options), options))
end

--- Starts a program and gives it, to talk to: `child.stdin`, `child.stdout`, `child.stderr` (with "pipe"), `child:wait()`. Its streams
--- are ours unless the options say otherwise. It ends, with its group, when it is closed.
---
--- ```lua
--- local child <close> = assert(mw.process.spawn{
---   "bc", "-l", stdin = "pipe", stdout = "pipe" })
--- child.stdin:write("2^100\n")
--- print(child.stdout:read("l"))
--- ```
---@param options moonwire.process.Options
---@return moonwire.Process? child
---@return moonwire.Err? err  it could not be started
function process.spawn(options)
  return start("spawn", options)
end

--- Runs another script with this program, to its end; short for `run{ script = "f.lua", ... }`. It may do nothing unless
--- `permissions` say so; it has `mw.parent`, `mw.shared` and `arg`.
---
--- ```lua
--- local r = assert(mw.process.script{ "convert.lua", "a.csv",
---   permissions = { read = { "a.csv" } } })
--- ```
---@param options moonwire.process.Options  its first item is the script, the others are its arguments
---@return moonwire.process.Result? result
---@return moonwire.Err? err  as for run
function process.script(options)
  if type(options) ~= "table" then return invalid("process script", "a table is expected: { \"child.lua\", \"an argument\" }") end
  local copy = {}
  for key, value in next, options do
    if key == 1 then copy.script = value
    elseif math.type(key) == "integer" then copy[key - 1] = value
    else copy[key] = value end
  end
  return process.run(copy)
end

--- The lines of a program's output, as they come. Leaving the loop ends the program and its group; a start that fails raises,
--- and so do an end by `timeout` and, with `check = true`, one that is not ok.
---
--- ```lua
--- for line in mw.process.lines{ "journalctl", "-f" } do
---   if line:find("stop", 1, true) then break end
--- end
--- ```
---@param options moonwire.process.Options
---@return fun(): string? next  the line without its end
---@return nil state
---@return nil start
---@return table closer  what `for` closes when the loop is left
function process.lines(options)
  local child, err = start("lines", options)
  if not child then return raise(err) end
  local stdout, check = child.stdout, rawget(options, "check")
  local longest = { max = rawget(options, "max_output") }
  local function following()
    local line, why = stdout:read("l", longest)
    if line then return line end
    if why then return raise(why) end
    local result = child:wait()
    if result.timed_out or (check and not result.ok) then return raise_failed("process lines", result) end
    return nil
  end
  return following, nil, nil, setmetatable({}, { __close = function() child:close() end })
end

-- The shell, pipelines, pools: from modules of their own, loaded when they are first used ---------------------------------

--- Runs a command of the shell (`/bin/sh -c`): as text, or as a table whose first item has `%s` where the next ones belong. Each
--- becomes one quoted argument, whatever is in it; `%%` is a percent sign, and there is no way to put one in without quotes. Needs a
--- run right for `sh`.
---
--- ```lua
--- print(mw.process.sh("echo $HOME").stdout)
--- mw.process.sh{ "mkdir -- %s", "foo bar; rm -rf /", timeout = 5 }
--- ```
---@param command string|moonwire.process.Options
---@return moonwire.process.Result? result
---@return moonwire.Err? err  as for run
function process.sh(command)
  if type(command) == "string" then return process.run{ "sh", "-c", command } end
  if type(command) ~= "table" then return invalid("process sh", "a command or a table is expected, got " .. type(command)) end
  if rawget(command, "script") ~= nil then return invalid("process sh", "a command and `script` exclude each other") end
  local copy = { "sh", "-c", core.module("moonwire.process_shell")("process sh", command) }
  for key, value in next, command do
    if type(key) ~= "number" then copy[key] = value end
  end
  return process.run(copy)
end

--- Runs commands side by side, each reading what the one before it writes, through pipes of the kernel. The result is the last
--- one's output, and, as with the shell's pipefail, the rightmost failure; one that ended because the next had read enough has not
--- failed.
---
--- ```lua
--- local r = mw.process.pipe{ { "git", "log" }, { "sort" }, { "uniq", "-c" },
---   timeout = 5 }
--- print(r.stdout, #r.stages)
--- ```
---@param options moonwire.process.Pipeline
---@return moonwire.process.Result? result  with `stages`, the result of each
---@return moonwire.Err? err  a command could not be started, or wrote more than max_output (ELIMIT)
function process.pipe(options)
  return core.module("moonwire.process_pipe")(options, checked, truncates)
end

--- A pool of processes: workers that are scripts, programs that answer a request with a reply, or one process per task. Its first
--- worker starts at once, so that a wrong script or a missing right shows here; the others as they are needed.
---
--- ```lua
--- local pool <close> = assert(mw.process.pool{ script = "resize.lua" })
--- print(pool:call("resize", "a.png"))       -- mw.serve{ resize = f } there
---
--- local bc <close> = assert(mw.process.pool{ command = { "bc" },
---   protocol = "lines" })
--- print(bc:call("2^10"))
---
--- local each <close> = assert(mw.process.pool{ mode = "oneshot",
---   command = function(file) return { "sha256sum", file } end })
--- print(each:call("a.png"))                 -- its output
--- ```
---@param options moonwire.process.PoolOptions
---@return moonwire.Pool? pool
---@return moonwire.Err? err  the first worker could not be started
function process.pool(options)
  return core.module("moonwire.pool").processes(options)
end

return process
