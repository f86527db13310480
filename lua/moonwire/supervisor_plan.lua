--- What a supervisor is told to do, read and checked once: options, children, and the order in which they start.
--- Knows: core.arg, core.policy. Never: starts anything.
local _, core = ...
local err, arg, policy = core.err, core.arg, core.policy
local type, next, rawget, rawlen, pcall = type, next, rawget, rawlen, pcall
local concat, sort = table.concat, table.sort

local plan = {}

local OP = "supervisor"
local CHILDREN = 256 -- as many as a host may have

local function invalid(what)
  return err.raise(err.fail("EINVAL", OP, nil, what))
end

--- Options of the whole, and the children, as an array.
---@class moonwire.SupervisorOptions
---@field [integer] moonwire.supervisor.Child  a child
---@field strategy? "one_for_one"|"one_for_all"|"rest_for_one"  who restarts with a child that ended: nobody (default), all,
---  those that start after it
---@field max_restarts? integer     within `within`; one more and everything is stopped; default 5
---@field within? number|string     default 10 s
---@field backoff? (number|string)[]  { first, most } pause before a restart, doubling; default { 0.1, 5 }; back to the first
---  once the child was ready for as long as `most`
---@field keep_events? integer      so many are kept for new readers; default 1,000

--- Beside these, all options of process.spawn that make sense for a child nobody holds: cwd, env, clear_env, stdin, stdout,
--- stderr, timeout, kill_signal, kill_after, permissions, sandbox, limits, share, name, pty.
---@class moonwire.supervisor.Child: moonwire.process.Options
---@field id string                its name, for events, errors and `needs`
---@field run? (string|number)[]    the program and its arguments; or `script`, its arguments in the array part
---@field needs? string[]           ids of children that must be ready before it starts
---@field ready? moonwire.supervisor.Ready  default: it is ready once it has started
---@field restart? "permanent"|"transient"|"temporary"  always (default), after a failure (default of a job), never
---@field backoff? (number|string)[]  in place of the whole's

--- When a child is ready: one of four ways.
---@class moonwire.supervisor.Ready
---@field connect? string           an address that accepts a connection: needs the right to connect there
---@field notify? boolean           the child says so itself: a script by mw.supervisor.notify(), a program by a newline into
---  descriptor 3 ($NOTIFY_FD says its number; s6 and dinit have the same), or, if it is not confined (--trust-run), by READY=1
---  to $NOTIFY_SOCKET, as systemd has it
---@field line? string              a pattern that a line of its output or error output matches; both are passed on
---@field exit? integer             a job, ready when it has ended with that code
---@field timeout? number|string    not ready by then: it is stopped, and that counts as a failure; default 10 s, none for a job

--- Options of the whole; everything else in the table is a child.
local WHOLE = { strategy = "text", max_restarts = "integer", within = "duration", backoff = "table", keep_events = "integer" }

--- Options of a child that are the supervisor's; the others are those of process.spawn.
local OURS = {
  id = "text", run = "table", needs = "table", ready = "table", restart = "text", backoff = "table",
  script = "text", env = "table", cwd = "text", clear_env = "flag", stdin = "any", stdout = "any", stderr = "any",
  timeout = "duration", kill_signal = "any", kill_after = "duration", permissions = "any", sandbox = "table",
  limits = "table", share = "table", name = "text", pty = "any",
}
local SPAWN = {
  "script", "env", "cwd", "clear_env", "stdin", "stdout", "stderr", "timeout", "kill_signal", "kill_after", "permissions",
  "sandbox", "limits", "share", "name", "pty",
}
local READY = { connect = "text", notify = "flag", line = "text", exit = "integer", timeout = "duration" }
local WAYS = { "connect", "notify", "line", "exit" }

local strategies = { one_for_one = true, one_for_all = true, rest_for_one = true }
local terms = { permanent = true, transient = true, temporary = true }

--- One of the words of `set`, or an error that lists them.
local function word(value, set, what)
  if set[value] then return value end
  local words = {}
  for name in next, set do words[#words + 1] = '"' .. name .. '"' end
  sort(words)
  return invalid(what .. " must be one of " .. concat(words, ", ") .. ', got "' .. value .. '"')
end

--- { first, most } in seconds.
local function backoff(value, what, default)
  if value == nil then return default end
  if rawget(value, 1) == nil then return invalid(what .. " must be { first, most }, as in { 0.2, 10 }") end
  for key in next, value do
    if key ~= 1 and key ~= 2 then return invalid(what .. " must be { first, most }, as in { 0.2, 10 }") end
  end
  local first = arg.duration(rawget(value, 1), OP, "the first of " .. what)
  local most = rawget(value, 2) == nil and first or arg.duration(rawget(value, 2), OP, "the second of " .. what)
  if most < first then return invalid(what .. ": the longest pause is shorter than the first") end
  return { first, most }
end

--- A copy of what a script could change later; objects (streams, memory) stay what they are.
local function copy(value, depth)
  if type(value) ~= "table" or depth == 0 or (getmetatable(value) ~= nil) then return value end
  local out = {}
  for k, v in next, value do out[k] = copy(v, depth - 1) end
  return out
end

-- Children --------------------------------------------------------------------------------------------------------------

--- How a child shows that it is ready: { way =, value =, timeout = }; nil: by having started.
local function read_ready(value, what)
  if value == nil then return nil end
  local o, ready = arg.options(value, READY, OP), nil
  for i = 1, #WAYS do
    local way = WAYS[i]
    if o[way] ~= nil then
      if ready then return invalid(what .. ': "ready" is one of connect, notify, line and exit') end
      ready = { way = way, value = o[way], timeout = o.timeout or (way ~= "exit" and 10 or nil) }
    end
  end
  if not ready or ready.value == false then
    return invalid(what .. ': "ready" must say how: { connect = "unix:/path" }, { notify = true }, { line = "pattern" } or { exit = 0 }')
  end
  if ready.way == "line" and not pcall(("").find, "", ready.value) then
    return invalid(what .. ': "ready.line" is no pattern: ' .. ready.value)
  end
  if ready.way == "exit" and (ready.value < 0 or ready.value > 255) then
    return invalid(what .. ': "ready.exit" is an exit code, 0 to 255')
  end
  return ready
end

--- The right that the probe will need is asked for now: a denial belongs to whoever wrote the plan.
local function may_connect(address)
  local subject = address:match("^%a+://(.*)$") or address
  local scheme = address:match("^(%a+):")
  if scheme == "unix" or scheme == "tcp" or scheme == "tls" then
    if policy.request("connect", subject) == "granted" then return end
    if address:find("^tcp://[^/]*[%a]") then return end -- a name: its addresses may be granted, which shows at the attempt
  else
    return invalid('"ready.connect" is an address such as "unix:/path" or "tcp://host:port", got "' .. address .. '"')
  end
  return err.raise(err.fail("EDENIED", OP, address, "denied", policy.grant("net", subject)))
end

local function may_run(program, cwd)
  if cwd and program:find("^[^/].*/") then return end -- looked for there: the start will tell
  if policy.query("run", program) ~= "denied" or policy.query("trust", program) == "granted" then return end
  return err.raise(err.fail("EDENIED", OP, program, "denied", policy.grant("run", program)))
end

--- The options for process.spawn: the program or script with its arguments, and what else the child says.
local function spawn_options(o, what)
  local argv = {}
  if (o.run == nil) == (o.script == nil) then return invalid(what .. ' needs one of "run" and "script"') end
  local from = o.run or o
  for key in next, from do
    if o.run and math.type(key) ~= "integer" then
      return invalid(what .. ': "run" holds the program and its arguments; put "' .. tostring(key) .. '" beside it')
    end
  end
  if o.run and rawlen(o) > 0 then return invalid(what .. ': the arguments belong into "run"') end
  for i = 1, rawlen(from) do argv[i] = rawget(from, i) end
  if o.run and type(argv[1]) ~= "string" then return invalid(what .. ': "run" begins with a program: { "./server", "--port", "0" }') end
  for i = 1, #SPAWN do argv[SPAWN[i]] = copy(o[SPAWN[i]], 3) end
  for _, stream in next, { "stdin", "stdout", "stderr" } do
    if argv[stream] == "pipe" then return invalid(what .. ': option "' .. stream .. '": nobody here is at the other end of that pipe') end
  end
  return argv
end

local function read_child(value, index, defaults)
  local what = "child " .. index
  if type(value) ~= "table" then return invalid(what .. " must be a table, got " .. type(value)) end
  local o = arg.options(value, OURS, OP, true)
  if not o.id or o.id == "" then return invalid(what .. ' has no "id"') end
  what = 'child "' .. o.id .. '"'
  local ready = read_ready(o.ready, what)
  local once = ready ~= nil and ready.way == "exit"
  local term = word(o.restart or (once and "transient" or "permanent"), terms, what .. ': "restart"')
  if once and term == "permanent" then
    return invalid(what .. ': a job that is ready when it has ended would be run for ever; restart it as "transient" or "temporary"')
  end
  local argv = spawn_options(o, what)
  if ready and ready.way == "line" then
    if argv.pty then return invalid(what .. ': "ready.line" and "pty" exclude each other') end
  end
  local needs = {}
  for i = 1, o.needs and rawlen(o.needs) or 0 do needs[i] = rawget(o.needs, i) end
  if o.run then may_run(argv[1], o.cwd) end
  if ready and ready.way == "connect" then may_connect(ready.value) end
  return {
    id = o.id, argv = argv, ready = ready, restart = term, needs = needs, given = index,
    backoff = backoff(o.backoff, what .. ': "backoff"', defaults), kill_after = o.kill_after or 5,
    normal = once and ready.value or 0,
  }
end

-- Order -------------------------------------------------------------------------------------------------------------------

--- Each child after those that it needs, otherwise as written.
local function in_order(children, by_id)
  local out, state, path = {}, {}, {}
  local function visit(child)
    path[#path + 1] = child.id
    if state[child] == "open" then
      local from = 1
      while path[from] ~= child.id do from = from + 1 end
      return invalid("children need each other in a circle: " .. concat(path, " -> ", from))
    end
    if not state[child] then
      state[child] = "open"
      for i = 1, #child.needs do
        local name = child.needs[i]
        local need = by_id[name]
        if not need then return invalid('child "' .. child.id .. '" needs "' .. tostring(name) .. '", and there is no such child') end
        visit(need)
      end
      state[child] = "done"
      out[#out + 1] = child
    end
    path[#path] = nil
  end
  for i = 1, #children do visit(children[i]) end
  return out
end

--- Reads the table that mw.supervisor was given; raises on whatever is wrong with it.
---@param options table
---@return table plan  strategy, max_restarts, within, keep_events; children in the order of their start; by_id
function plan.read(options)
  if type(options) ~= "table" then return invalid("a table with children is expected, got " .. type(options)) end
  local whole = arg.options(options, WHOLE, OP, true)
  local out = {
    strategy = word(whole.strategy or "one_for_one", strategies, 'option "strategy"'),
    max_restarts = whole.max_restarts or 5, within = whole.within or 10, keep_events = whole.keep_events or 1000, by_id = {},
  }
  if out.max_restarts < 0 then return invalid('option "max_restarts" must not be negative') end
  if out.keep_events < 1 or out.keep_events > 1000000 then return invalid('option "keep_events" must be from 1 to 1000000') end
  local pauses = backoff(whole.backoff, 'option "backoff"', { 0.1, 5 })
  local children, n = {}, rawlen(options)
  if n == 0 then return invalid('there is no child: { id = "db", run = { "redis-server" } }') end
  if n > CHILDREN then return invalid(n .. " children, at most " .. CHILDREN .. " are allowed") end
  for i = 1, n do
    local child = read_child(rawget(options, i), i, pauses)
    if out.by_id[child.id] then return invalid('two children are called "' .. child.id .. '"') end
    children[i], out.by_id[child.id] = child, child
  end
  out.children = in_order(children, out.by_id)
  for i = 1, #out.children do out.children[i].index = i end
  return out
end

return plan
