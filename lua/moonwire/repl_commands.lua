--- The prompt's commands: `.name arguments`. What each does, and how it is told of.
local _, core = ...

local top = core.module("moonwire.repl_top")
local eval = core.module("moonwire.repl_eval")
local task, policy, err, door = core.task, core.policy, core.err, core.repl
local now, clock = core.sys.now, os.clock
local concat, sort, min, max = table.concat, table.sort, math.min, math.max
local match, find, sub, gsub, format = string.match, string.find, string.sub, string.gsub, string.format
local gmatch, byte = string.gmatch, string.byte

local LOAD_MOST = 64 << 20 -- bytes of a file
local SHORT = 0.001 -- seconds: code that takes less is run again
local LONG = 0.2 -- seconds of all runs
local RUNS = 1000

---@class moonwire.repl.Command
---@field usage string
---@field about string   one line
---@field help string    the rest
---@field run fun(session: moonwire.Session, rest: string, line: moonwire.repl.Line)

---@type table<string, moonwire.repl.Command>
local commands = {}

---@class moonwire.repl.commands
local module = { commands = commands }

local function wrong(name, what)
  err.raise(err.fail("EINVAL", "." .. name, nil, what, "the usage is " .. commands[name].usage))
end

local function none(name, rest)
  if rest ~= "" then wrong(name, "it takes no argument") end
end

local function words(rest)
  local out = {}
  for word in gmatch(rest, "%S+") do out[#out + 1] = word end
  return out
end

-- .help -----------------------------------------------------------------------------------------------------------------

--- How many letters must change to make one word of the other.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local before = row[0]
    row[0] = i
    for j = 1, #b do
      local above = row[j]
      row[j] = min(above + 1, row[j - 1] + 1, before + (byte(a, i) == byte(b, j) and 0 or 1))
      before = above
    end
  end
  return row[#b]
end

--- The command that begins so, or is spelled almost so.
local function near(name)
  local best, least
  for other in next, commands do
    local d = sub(other, 1, #name) == name and 0 or distance(sub(name, 1, 20), other)
    if not least or d < least or d == least and other < best then best, least = other, d end
  end
  return least <= 2 and best or nil
end

local function names()
  local out = {}
  for name in next, commands do out[#out + 1] = name end
  sort(out)
  return out
end

commands.help = {
  usage = ".help [NAME]",
  about = "what there is; of a command, all of it",
  help = [[
Without a name: every command in one line. With the name of a command, with or without its dot: what it does.
For what scripts can call, see .doc.]],
  run = function(session, rest)
    local name = match(rest, "^%.?(%S*)$")
    if not name then wrong("help", "one name is expected") end
    if name == "" then
      local lines, list, show = {}, names(), session.show
      for i = 1, #list do
        lines[i] = show:paint("head", format(".%-8s", list[i])) .. show:wrap(commands[list[i]].about, 9)
      end
      session:out(concat(lines, "\n"))
      session:out(show:note(show:wrap(
        "mw is there; _ is the last value, _2 the second one of the same line; a top-level local lasts until the end. "
        .. "Ctrl-C ends the line that runs, Ctrl-Z puts it into the background, Ctrl-D leaves. .help NAME tells more.")))
      return
    end
    local it = commands[name]
    if not it then
      local other = near(name)
      err.raise(err.fail("ENOENT", ".help", name, "there is no such command", other and "did you mean ." .. other .. "?"))
    end
    session:out(session.show:paint("head", it.usage) .. "\n" .. session.show:wrap(it.about .. "\n\n" .. it.help))
  end,
}

-- Tasks -----------------------------------------------------------------------------------------------------------------

commands.tasks = {
  usage = ".tasks",
  about = "every task: number, name, state, what it waits for and where",
  help = [[
One line a task of the whole host. "for" is the function that it waits in and the script's line that called it, "since" how long ago
it ran last. * is the prompt's own. A line of yours is called "line N"; name others with
mw.task.spawn_with({ name = "..." }, f). .cancel NUMBER ends one.]],
  run = function(session, rest)
    none("tasks", rest)
    session:out(top.tasks(session))
  end,
}

commands.cancel = {
  usage = ".cancel NUMBER...",
  about = "ends tasks by their numbers in .tasks",
  help = [[
Each is cancelled as t:cancel() does: the error ECANCELED is raised where it waits, its cleanup runs, and nobody else is touched.]],
  run = function(session, rest)
    local list = words(rest)
    if #list == 0 then wrong("cancel", "the number of a task is expected") end
    for i = 1, #list do
      local number = math.tointeger(tonumber(list[i]))
      if not number or number < 0 or number > 0xffffffff then wrong("cancel", format('"%s" is no number', list[i])) end
      if number == session.me then
        err.raise(err.fail("EINVAL", ".cancel", list[i], "that is the prompt itself", ".exit leaves it"))
      end
      if not task.cancel_number(number, "cancelled at the prompt") then
        err.raise(err.fail("ENOENT", ".cancel", list[i], "there is no such task", ".tasks lists them"))
      end
    end
  end,
}

commands.bg = {
  usage = ".bg [CODE]",
  about = "runs code in the background; without code: which lines run there",
  help = [[
The prompt is back at once, and the values of the code are shown when it has ended. Ctrl-Z does the same to a line that runs.
.cancel NUMBER ends it; .tasks has the number.]],
  run = function(session, rest)
    if rest ~= "" then
      local number = session:submit_behind(rest)
      if number then session:note(format("line %d runs in the background", number)) end
      return
    end
    local list = {}
    for number, line in next, session.behind do list[#list + 1] = { number, line } end
    if #list == 0 then return session:note("nothing runs in the background; .bg CODE, or Ctrl-Z while a line runs") end
    sort(list, function(a, b) return a[1] < b[1] end)
    for i = 1, #list do
      session:out(format("line %d: %s", list[i][1], (session.show:value((gsub(list[i][2].text, "%s+", " ")), 12))))
    end
  end,
}

commands.top = {
  usage = ".top [SECONDS]",
  about = "memory, tasks, streams and children; again each so many seconds",
  help = [[
One look at the host: the memory of its Lua state and the limit, tasks, open handles, how long tasks kept the loop (its lag), what
goes through streams, and the children with their processor time. With a time (".top 2", ".top 500ms") it is repeated until Ctrl-C,
and tells what went through per second.]],
  run = function(session, rest)
    local pause = rest ~= "" and core.arg.duration(tonumber(rest) or rest, ".top", "the time") or nil
    if pause and pause < 0.1 then wrong("top", "the time is at least 100ms") end
    local before = top.look(session)
    session:out(top.text(session, before))
    while pause do
      task.sleep(pause)
      local this = top.look(session)
      if session.options.terminal then session:clear() end
      session:out(top.text(session, this, before))
      before = this
    end
  end,
}

commands.trace = {
  usage = ".trace on FILE | off",
  about = "writes down what is said, from now on",
  help = [[
Taps every stream, channel, ring and worker, those that are open already too, as `moonwire run --trace=FILE` does; of task
channels those that are made from now on. The ending says the format:
.pcapng (Wireshark), .jsonl, .trace.json (Perfetto); "stderr" is for a person. The file needs the write right. Secrets by the
usual names are hidden. "off", or the end of the session, ends the file.]],
  run = function(session, rest)
    local verb, file = match(rest, "^(%S+)%s*(.-)$")
    if verb == "on" and file ~= "" then
      local ok, why = core.trace.run(file)
      if not ok then err.raise(why) end
      session.traces = true
      session:note("what is said from now on is written to " .. file)
    elseif verb == "off" and file == "" then
      local ok, why = core.trace.run(nil)
      session.traces = nil
      if why then err.raise(why) end
      if not ok then session:note("nothing is traced") end
    else
      wrong("trace", '"on FILE" or "off" is expected')
    end
  end,
}

-- Code ------------------------------------------------------------------------------------------------------------------

local function measured(run)
  local bytes = door.collector(false)
  local _on <close> = setmetatable({}, { __close = function() door.collector(true) end })
  local cpu, wall = clock(), now()
  local values = run()
  wall, cpu = now() - wall, clock() - cpu
  return values, wall, cpu, door.collector(false) - bytes
end

commands.time = {
  usage = ".time CODE",
  about = "runs code, and says how long it took and what it allocated",
  help = [[
Wall time, processor time, and the memory that it allocated (the collector rests meanwhile). Code that takes less than a millisecond
is run again and again for a fifth of a second, and the mean and the least are told: mind what it changes.]],
  run = function(session, rest, line)
    local kind, why = eval.kind_of(rest, "=" .. line.name)
    if rest == "" then wrong("time", "code is expected") end
    if not kind then wrong("time", why == "more" and "the code is not complete" or why) end
    local chunk = { kind = kind, text = rest }
    local f = session.locals:prepare(chunk, "=" .. line.name, line.before)
    local function run()
      if f then return table.pack(f()) end
      return session:evaluate(chunk, line.name, line.before)
    end
    collectgarbage()
    local values, wall, cpu, bytes = measured(run)
    local least, total, total_cpu, total_bytes, runs = wall, wall, cpu, bytes, 1
    while wall < SHORT and total < LONG and runs < RUNS do
      local _, w, c, b = measured(run)
      least, total, total_cpu, total_bytes, runs = min(least, w), total + w, total_cpu + c, total_bytes + b, runs + 1
      if w > SHORT then wall = w end
      if runs % 100 == 0 then task.pass() end
    end
    session:set_values(values)
    local shown = session.show:values(values)
    session:out(shown)
    local show = session.show
    local memory = show.bytes(max(0, total_bytes // runs)) .. " allocated"
    if runs == 1 then
      session:out(show:note(format("%s, processor %s, %s", show.time(wall), show.time(cpu), memory)))
    else
      session:out(show:note(format("%s a run (least %s, processor %s, %d runs), %s", show.time(total / runs), show.time(least),
        show.time(total_cpu / runs), runs, memory)))
    end
  end,
}

commands.more = {
  usage = ".more",
  about = "shows what was left out of the last value",
  help = [[
Values are folded: 40 entries of a table, 2 KiB of a string. .more shows the next 400 entries, or 16 KiB; again: those after them.
mw.inspect(_, { depth = 20, items = 1000 }) shows it as you say.]],
  run = function(session, rest)
    none("more", rest)
    if not session.folded then return session:note("nothing was left out") end
    local text, folded = session.show:more(session.folded)
    session.folded = folded
    session:out(text)
    if folded and session.options.terminal then session:note("(.more shows what follows)") end
  end,
}

commands.doc = {
  usage = ".doc NAME",
  about = "what is known of a function, a class, an error code",
  help = [[
The reference, from the text that stands beside the source: .doc process.run, .doc mw.net, .doc stream:read, .doc ETIMEDOUT.
A name that is not found is searched for.]],
  run = function(session, rest)
    local name = match(rest, "^(%S+)$")
    if not name then wrong("doc", "one name is expected") end
    local ok, doc = pcall(core.module, "moonwire.doc")
    if not ok then err.raise(err.fail("EOPNOTSUPP", ".doc", name, "this build has no reference")) end
    if commands[sub(name, 2)] and sub(name, 1, 1) == "." then return commands.help.run(session, name) end
    local entry = doc.lookup(name)
    if entry then return session:out(doc.render(entry, session.show:width())) end
    local found = doc.search(name)
    if not found or #found == 0 then
      err.raise(err.fail("ENOENT", ".doc", name, "nothing is known by that name", "mw and Tab show what there is"))
    end
    session:note(format('"%s" is the name of nothing; it is in:', name))
    local rows = {}
    for i = 1, min(#found, 20) do
      local it = found[i]
      rows[i] = { it.name or tostring(it), (gsub(match(it.text or "", "^[^\n]*") or "", "%s+$", "")) }
    end
    session:out(session.show:rows({ "name", "" }, rows))
    if #found > 20 then session:note(format("... %d more", #found - 20)) end
  end,
}

-- Rights ----------------------------------------------------------------------------------------------------------------

local verbs = { query = true, request = true, drop = true }

commands.perm = {
  usage = ".perm [query|request|drop KIND [SUBJECT]]",
  about = "the rights of this host: lists, asks, gives up",
  help = [[
Without a word: every rule, the lowest layer first. query says what would happen: granted, denied, or prompt (you would be asked).
request asks you now. drop gives a right up for good, with all below it. The kinds and subjects are those of the flags:
.perm query net example.com:443, .perm request read /etc/hosts, .perm drop run. A prompt has the rights of its host, nothing more.]],
  run = function(session, rest)
    local verb, kind, subject = match(rest, "^(%S*)%s*(%S*)%s*(.-)$")
    if verb == "" or verb == "list" then
      local rows, list = {}, policy.list()
      for i = 1, #list do
        rows[i] = { tostring(list[i].layer), list[i].effect, list[i].kind, list[i].rule or "(everything)" }
      end
      if #rows == 0 then return session:note("no rights were given: moonwire help repl tells the flags") end
      return session:out(session.show:rows({ "layer", "effect", "kind", "rule" }, rows))
    end
    if not verbs[verb] then wrong("perm", format('"%s" is none of query, request, drop', verb)) end
    if kind == "" then wrong("perm", "a kind is expected: read, write, net, connect, listen, run, trust, env, sys, share, ffi") end
    local answer, why = policy[verb](kind, subject ~= "" and subject or nil)
    if answer == nil then err.raise(why) end
    session:out(answer == true and "dropped" or tostring(answer))
  end,
}

-- Files -----------------------------------------------------------------------------------------------------------------

local function file_name(name, rest)
  if rest == "" then wrong(name, "a file is expected") end
  return match(rest, '^"(.*)"$') or rest
end

commands.save = {
  usage = ".save FILE",
  about = "writes the lines that worked into a file",
  help = [[
The lines of this session that raised nothing, in their order, without the commands; the last 10,000 or 1 MiB of them. .load brings
them back. Takes the write right.]],
  run = function(session, rest)
    local file, out = file_name("save", rest), {}
    for i = 1, #session.inputs do
      if not find(session.inputs[i], "^%s*%.%a") then out[#out + 1] = session.inputs[i] .. "\n" end
    end
    local ok, why = core.module("moonwire.fs").write(file, concat(out))
    if not ok then err.raise(why) end
    session:note(format("%d %s written", #out, #out == 1 and "line" or "lines"))
  end,
}

commands.load = {
  usage = ".load FILE",
  about = "runs a file in this session",
  help = [[
As one piece: its top-level locals last, and its last expression or what it returns is its value. Takes the read right.]],
  run = function(session, rest, line)
    local file = file_name("load", rest)
    local stat, why = core.module("moonwire.fs").stat(file)
    if not stat then err.raise(why) end
    if stat.size and stat.size > LOAD_MOST then err.raise(err.fail("ELIMIT", ".load", file, "more than 64 MiB")) end
    local text, unread = core.module("moonwire.fs").read(file)
    if not text then err.raise(unread) end
    text = gsub(text, "^\xef\xbb\xbf", "")
    text = gsub(text, "^#[^\n]*", "")
    local chunks, refused, before = eval.split(text, "=" .. file)
    if not chunks then
      if refused == "more" then
        refused, before = select(2, load(text, "=" .. file, "t")), 0
      end
      for _ = 1, before do text = gsub(text, "^[^\n]*\n", "", 1) end
      err.raise(err.fail("EPARSE", nil, nil, (gsub(session.show:syntax(text, refused, file, before), "\27%[%d*m", ""))))
    end
    for i = 1, #chunks do
      if chunks[i].kind == "command" then
        module.run(session, chunks[i].text, line)
      else
        local values = session:evaluate(chunks[i], file, chunks[i].line)
        if i == #chunks then
          session:set_values(values)
          local shown, folded = session.show:values(values)
          session.folded = folded
          session:out(shown)
        end
      end
    end
  end,
}

-- The rest --------------------------------------------------------------------------------------------------------------

commands.clear = {
  usage = ".clear",
  about = "clears the screen",
  help = "Ctrl-L does, too. Nothing is forgotten.",
  run = function(session, rest)
    none("clear", rest)
    session:clear()
  end,
}

commands.exit = {
  usage = ".exit [CODE]",
  about = "leaves: cancels every task, closes what is to be closed",
  help = [[
As Ctrl-D does. CODE, 0 to 255, is the exit status. `<close>` variables are closed, the last one first. mw.exit(code) ends the whole
host, which is the same unless you are attached to another.]],
  run = function(session, rest)
    local code = rest == "" and 0 or math.tointeger(tonumber(rest))
    if not code or code < 0 or code > 255 then wrong("exit", "the status is a number from 0 to 255") end
    session:leave(code)
  end,
}

module.names = names

--- Runs a command line. Raises what is wrong with it.
---@param session moonwire.Session
---@param text string  ".name arguments"
---@param line moonwire.repl.Line
function module.run(session, text, line)
  local name, rest = match(text, "^%s*%.([%a_]+)%s*(.-)%s*$")
  local it = name and commands[name]
  if not it then
    local other = name and near(name)
    err.raise(err.fail("ENOENT", nil, "." .. (name or ""), "there is no such command",
      other and "did you mean ." .. other .. "?" or ".help lists them"))
  end
  return it.run(session, rest, line)
end

return module
