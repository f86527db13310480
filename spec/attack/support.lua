--- The attack suite's frame: a class is a list of attempts; each runs in a process and a world of its own, once with little
--- and once (the control) with the right that it lacked.
--- Knows: moonwire under all rights, the helpers that spec/CMakeLists.txt builds. Never: an attempt by name.
---
--- An attempt: { name, flags = "--allow-read=$W/in", lua = "return slurp(W .. '/secret')", grant = "--allow-read=$W" }.
---   lua      runs behind prelude.lua; a true result means that it came through; false or an error that it was refused
---   flags    what it has. $W its world, $H the C helper, $M moonwire, $T $U the canary servers' ports, $P the victim, $N
---            an abstract socket's name
---   refused  what the refusal must say: a code or a pattern, or a list of them. EDENIED if not given
---   grant    the control's flags: then the same code must come through. false: there is none
---   takes    the control must give the secret away ("true" is the default if the source names it)
---   world    function(world): makes more of the world before
---   net      canary servers listen: nothing may arrive, save in the control
---   victim   a process stands by: it must still answer, save in the control
---   cage     a confined program: without Landlock its start is refused
---   script   a confined script: without Landlock it is started under --trust-run, which leaves it its C half
---   later    function(w): when the world stands; w.flipper is ended with it. moving = true: it changes by itself
---   died = true: the whole script may end by what it did
---   exit     the status of a start that must fail before the script runs
---   talk     function(person, world, granted): it runs on a terminal; person.expect(text), person.answer(keys)
---   env, stdin, cwd, needs (a program without which it is skipped), only ("root", "user"), check = function(world, text, granted)
local mw = require "moonwire"
local uv = require "uv"

local M = {}

local USER = 65534
local program = mw.env.MOONWIRE
if program:sub(1, 1) ~= "/" then program = uv.cwd() .. "/" .. program end
local build = program:match("^(.*)/[^/]*$")
local sanitized = build:find("asan", 1, true) or build:find("tsan", 1, true)
local here = uv.cwd() .. "/spec/attack/"

-- Modes ---------------------------------------------------------------------------------------------------------------------

--- As whom, and with what kernel, the attempts run: those of caged children with Landlock and without, the others with the host
--- locked and with nothing but our own code. Where root can be an ordinary user as well, it is.
local function modes(caged)
  local root = uv.getuid() == 0
  local alone, locked = { landlock = false }, { landlock = true, locked = true, user = root }
  if not caged then return sanitized and { alone } or { alone, locked } end
  if sanitized then return { { landlock = true, user = root } } end
  return { { landlock = true }, locked, alone }
end

local function name_of(mode)
  return ("as %s, %s Landlock%s"):format(mode.user and "an ordinary user" or uv.getuid() == 0 and "root" or "this user",
    mode.landlock and "with" or "without", mode.locked and ", the host locked" or "")
end

-- Worlds --------------------------------------------------------------------------------------------------------------------

local function put(path, text, mode)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
  if mode then assert(uv.fs_chmod(path, mode)) end
end

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

--- Everything in it but what the attempt may write: names, kinds, modes, times, contents.
local function picture(path, out, keep)
  local st = assert(uv.fs_lstat(path))
  out[#out + 1] = ("%s %s %o %d %d.%d"):format(path, st.type, st.mode, st.nlink, st.mtime.sec, st.mtime.nsec)
  if st.type == "file" then
    local file = io.open(path, "rb")
    out[#out + 1] = file and file:read("a") or "unreadable"
    if file then file:close() end
  elseif st.type == "link" then
    out[#out + 1] = uv.fs_readlink(path)
  elseif st.type == "directory" then
    local names = {}
    local list = assert(uv.fs_scandir(path))
    for name in uv.fs_scandir_next, list do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
      local full = path .. "/" .. name
      if not keep[full] then picture(full, out, keep) end
    end
  end
  return out
end

local function own(path)
  assert(mw.process.run { "chown", "-Rh", USER .. ":" .. USER, path, check = true })
end

local serial = 0
local prelude

--- A world: in/ (usually readable), out/ (usually readable and writable), secret and private/key (canaries), app/ (the script).
local function make_world(base, attempt, mode)
  serial = serial + 1
  local w = { dir = ("%s/w%d"):format(base.dir, serial), secret = hex(mw.random.bytes(16)), mode = mode, base = base }
  for _, name in ipairs { "", "/in", "/in/sub", "/out", "/private", "/app" } do assert(uv.fs_mkdir(w.dir .. name, 493)) end
  put(w.dir .. "/secret", w.secret .. "\n", 420)
  put(w.dir .. "/private/key", w.secret .. "\n", 420)
  put(w.dir .. "/in/plain", "plain", 420)
  put(w.dir .. "/in/sub/plain", "plain", 420)
  prelude = prelude or assert(mw.fs.read(here .. "prelude.lua"))
  local before, after = prelude:match("^(.*)%-%-ATTEMPT\n(.*)$")
  put(w.dir .. "/app/main.lua", before .. attempt.lua .. "\n" .. after)
  put(w.dir .. "/app/child.lua", assert(mw.fs.read(here .. "child.lua")))
  function w.put(name, text, bits) put(w.dir .. "/" .. name, text, bits) end
  function w.link(to, name) assert(uv.fs_symlink((to:gsub("%$W", w.dir)), w.dir .. "/" .. name)) end
  function w.hard(from, name) assert(uv.fs_link(w.dir .. "/" .. from, w.dir .. "/" .. name)) end
  function w.mkdir(name) assert(uv.fs_mkdir(w.dir .. "/" .. name, 493)) end
  function w.helper(...)
    return mw.process.run({ timeout = 60, check = true, base.helper, ... }).stdout
  end
  if attempt.world then attempt.world(w) end
  if mode.user then own(w.dir) end
  w.keep = { [w.dir .. "/out"] = true }
  w.before = attempt.moving and "" or table.concat(picture(w.dir, {}, w.keep), "\n")
  return w
end

-- Canaries ------------------------------------------------------------------------------------------------------------------

local function listen(w)
  local net = mw.net
  w.tcp = assert(net.listen("tcp://127.0.0.1:0"))
  w.port = tonumber(w.tcp:address():match(":(%d+)$"))
  w.unix = assert(net.listen("unix:" .. w.dir .. "/private/sock", { mode = "0666" }))
  w.name = "mw-attack-" .. hex(mw.random.bytes(8))
  w.abstract = assert(net.listen("unix:@" .. w.name))
  w.udp = assert(uv.new_udp())
  assert(w.udp:bind("127.0.0.1", 0))
  w.udp_port = w.udp:getsockname().port
  w.keep[w.dir .. "/private/sock"] = true
  w.before = table.concat(picture(w.dir, {}, w.keep), "\n")
end

--- The first to arrive at a server must be ourselves.
local function nobody_came(server, url)
  local text = hex(mw.random.bytes(8))
  local ours <close> = assert(mw.net.connect(url, { timeout = 60 }))
  assert(assert(ours:write(text)):finish())
  local first <close> = assert(server:accept { timeout = 60 })
  return first:read("a", { timeout = 60 }) == text
end

local function no_datagram(w)
  local text, first = hex(mw.random.bytes(8)), nil
  local arrived = mw.task.event()
  assert(w.udp:recv_start(function(_, data)
    if data and not first then
      first = data
      arrived:set()
    end
  end))
  local from = assert(uv.new_udp())
  assert(from:try_send(text, "127.0.0.1", w.udp_port))
  arrived:wait { timeout = 60 }
  w.udp:recv_stop()
  from:close()
  return first == text
end

local function visitors(w)
  if not w.tcp then return nil end
  if not nobody_came(w.tcp, "tcp://127.0.0.1:" .. w.port) then return "somebody connected over TCP" end
  if not nobody_came(w.unix, "unix:" .. w.dir .. "/private/sock") then return "somebody connected to the Unix socket" end
  if not nobody_came(w.abstract, "unix:@" .. w.name) then return "somebody connected to the abstract socket" end
  if not no_datagram(w) then return "a datagram arrived" end
end

local function put_victim(w)
  local argv = { "cat", stdin = "pipe", stdout = "pipe" }
  if w.mode.user then
    argv = { "setpriv", "--reuid=" .. USER, "--regid=" .. USER, "--clear-groups", "--", "cat", stdin = "pipe", stdout = "pipe" }
  end
  w.victim = assert(mw.process.spawn(argv))
  assert(w.victim.stdin:write("first\n"))       -- once it answers it is what it will be
  assert(w.victim.stdout:read("l", { timeout = 60 }) == "first")
end

local function victim_hurt(w)
  if not w.victim then return nil end
  w.victim.stdin:write("still here\n")
  if w.victim.stdout:read("l", { timeout = 60 }) ~= "still here" then return "the victim is gone or stopped" end
end

local function end_world(w)
  if w.tcp then
    w.tcp:close()
    w.unix:close()
    w.abstract:close()
    w.udp:close()
  end
  if w.victim then w.victim:close() end
  if w.flipper then w.flipper:close() end
  mw.fs.remove(w.dir, { tree = true })
end

-- Running -------------------------------------------------------------------------------------------------------------------

--- What $W and its like stand for, and what the attempt's arguments are.
local function names(base, w)
  return { W = w.dir, H = base.helper, M = base.program, T = tostring(w.port or 1), U = tostring(w.udp_port or 1),
    P = tostring(w.victim and w.victim.pid or 1), N = w.name or "mw-nobody" }
end

local function words(text, known)
  local out = {}
  for word in (text or ""):gmatch("%S+") do out[#out + 1] = (word:gsub("%$(%u)", known)) end
  return out
end

local function command(base, w, attempt, flags)
  local mode, known = w.mode, names(base, w)
  local argv = { timeout = 120, kill_after = 0.1, cwd = attempt.cwd and w.dir .. attempt.cwd or w.dir, max_output = "4MiB",
    on_overflow = "truncate", stdin = attempt.stdin, env = { ASAN_OPTIONS = "detect_leaks=0", MOONWIRE_LOG = "error" } }
  for name, value in pairs(attempt.env or {}) do argv.env[name] = (value:gsub("%$(%u)", known)) end
  local function add(...) for _, word in ipairs { ... } do argv[#argv + 1] = word end end
  if mode.user then add("setpriv", "--reuid=" .. USER, "--regid=" .. USER, "--clear-groups", "--") end
  if not mode.landlock then add(base.without) add "landlock" end
  if attempt.through then add(base.helper, attempt.through) end
  add(base.program, "run")
  if not mode.locked and not flags:find("--confine", 1, true) then add("--confine=off") end      -- what holds then is the C half alone
  for _, flag in ipairs(words(flags, known)) do add(flag) end
  if attempt.script and not mode.landlock then add("--trust-run") end
  add("--", w.dir .. "/app/main.lua")
  for _, name in ipairs { "W", "H", "M", "T", "U", "P", "N" } do add(known[name]) end
  return argv
end

local function matches(text, wanted)
  if type(wanted) == "string" then return text:find(wanted) ~= nil end
  for _, one in ipairs(wanted) do
    if text:find(one) then return true end
  end
  return false
end

local function takes(attempt)
  if attempt.takes ~= nil then return attempt.takes end
  return attempt.lua:find("secret", 1, true) ~= nil
end

--- What is wrong with how it ended, or nil.
local function faults(attempt, w, r, granted)
  local text = (r.stdout or "") .. (r.stderr or "")
  local function bad(what) return ("%s\n%s\nexit %s %s"):format(what, text:sub(-1500), r.code, r.signal or "") end
  if r.timed_out then return bad("it did not end") end
  if text:find("AddressSanitizer", 1, true) or text:find("runtime error:", 1, true) then return bad("a sanitizer's report") end
  if attempt.check then
    local why = attempt.check(w, text, granted, r)
    if why then return bad(why) end
  end
  if granted then
    if not text:find("\nTHROUGH ", 1, true) then return bad("the control did not come through") end
    if takes(attempt) and not text:find(w.secret, 1, true) then return bad("the control did not get the secret") end
    return nil
  end
  if text:find(w.secret, 1, true) then return bad("THE SECRET IS OUT") end
  if attempt.exit then
    if text:find("\nTHROUGH ", 1, true) then return bad("IT CAME THROUGH") end
    return r.code ~= attempt.exit and bad("the exit status is not " .. attempt.exit) or nil
  end
  local why = text:match("\nREFUSED ([^\n]*)") or attempt.died and r.code == 1 and text:match("moonwire: ([^\n]*)")
  if not why then return bad("IT CAME THROUGH") end
  local wanted = attempt.refused or "^EDENIED"
  if attempt.cage and not w.mode.landlock then wanted = { "^EOPNOTSUPP", "^EDENIED", "^EINVAL" } end
  if not matches(why, wanted) then return bad("it was refused for another reason than " .. (type(wanted) == "table" and table.concat(wanted, " or ") or wanted)) end
  if why:find("^EDENIED") and not why:find("refused EDENIED", 1, true) and r.code ~= 77 then return bad("the exit status is not 77") end
  local now = attempt.moving and w.before or table.concat(picture(w.dir, {}, w.keep), "\n")
  if now ~= w.before then return bad("SOMETHING HAS CHANGED:\n" .. w.before .. "\n-- now --\n" .. now) end
  why = visitors(w) or victim_hurt(w)
  return why and bad(why:upper()) or nil
end

--- The same on a terminal, where `attempt.talk` says what the person types.
local function converse(argv, attempt, w, granted)
  argv.pty, argv.max_output, argv.on_overflow = true, nil, nil
  argv.env.TERM = "dumb"
  local child <close> = assert(mw.process.spawn(argv))
  local seen = {}
  local person = {}
  function person.expect(text)
    local got, err = child.stdout:read_until(text, { timeout = 20, max = "1MiB" })
    seen[#seen + 1] = got or child.stdout:read("a", { timeout = 1 })
    if not got then error(("no %q: %s\n%s"):format(text, tostring(err), table.concat(seen)), 0) end
    return got
  end
  function person.answer(keys) assert(child.stdin:write(keys)) end
  attempt.talk(person, w, granted)
  seen[#seen + 1] = child.stdout:read("a", { timeout = 20 }) or ""
  local r = child:wait { timeout = 20 }
  return { stdout = (table.concat(seen, "\n"):gsub("\r\n", "\n")), stderr = "", code = r.code, signal = r.signal, duration = r.duration }
end

local function run(base, attempt, mode, flags, granted)
  local w = make_world(base, attempt, mode)
  if attempt.net then listen(w) end
  if attempt.victim then put_victim(w) end
  local ok, why = pcall(function()
    if attempt.later then attempt.later(w) end
    local argv = command(base, w, attempt, flags)
    local r = attempt.talk and converse(argv, attempt, w, granted) or assert(mw.process.run(argv))
    return faults(attempt, w, r, granted)
  end)
  end_world(w)
  return not ok and tostring(why) or why
end

-- Classes -------------------------------------------------------------------------------------------------------------------

local function found(name)
  for dir in (mw.env.PATH or ""):gmatch("[^:]+") do
    if uv.fs_access(dir .. "/" .. name, "X") then return true end
  end
  return false
end

--- Whether it can be tried in this mode, and if not, why.
local function unfit(attempt, mode)
  if attempt.needs and not found(attempt.needs) then return attempt.needs .. " is not installed" end
  if attempt.only == "user" and uv.getuid() == 0 and not mode.user then return "for an ordinary user" end
  if attempt.only == "release" and sanitized then return "a sanitizer reads /proc" end
  if attempt.only == "release" and not mode.landlock then return "needs Landlock" end
  if attempt.only == "root" and (mode.user or uv.getuid() ~= 0) then return "for root" end
  if attempt.only == "landlock" and not mode.landlock then return "needs Landlock" end
  if attempt.only == "no landlock" and mode.landlock then return "for a kernel without Landlock" end
end

--- Whether the control can come through in this mode.
local function has_control(attempt, mode)
  if not attempt.grant then return false end
  if mode.user and attempt.control == "root" then return false end
  return mode.landlock or not attempt.cage
end

local function make_base(mode)
  local base = { program = program, helper = build .. "/attack/breakout", without = build .. "/attack/without",
    native = build .. "/attack/native.so" }
  base.closer = assert(mw.fs.tempdir())
  base.dir = base.closer.path
  assert(uv.fs_chmod(base.dir, 493))
  if mode.user then
    for _, name in ipairs { "program", "helper", "without", "native" } do
      local copy = base.dir .. "/" .. base[name]:match("[^/]*$")
      assert(uv.fs_copyfile(base[name], copy))
      assert(uv.fs_chmod(copy, 493))
      base[name] = copy
    end
  end
  return base
end

local function try_all(attempts, mode)
  local base, results, jobs = make_base(mode), {}, {}
  for i, attempt in ipairs(attempts) do
    results[i] = { skip = unfit(attempt, mode) }
    if not results[i].skip then
      jobs[#jobs + 1] = function() results[i].attack = run(base, attempt, mode, attempt.flags, false) end
      if has_control(attempt, mode) then
        jobs[#jobs + 1] = function() results[i].control = run(base, attempt, mode, attempt.grant, true) end
      end
    end
  end
  for _, _, err in mw.task.map(jobs, function(job) job() return true end, { limit = 4 }) do
    if err then error(err, 0) end
  end
  base.closer:close()
  return results
end

--- A class: its attempts, each tried in every mode; once: in one, where the kernel and the user make no difference.
function M.class(title, attempts, once)
  local controls, caged = 0, false
  for _, attempt in ipairs(attempts) do
    if attempt.grant then controls = controls + 1 end
    caged = caged or attempt.cage or attempt.script or attempt.only ~= nil
  end
  assert(controls > 0, title .. ": a class without a control")
  local all = modes(caged)
  for _, mode in ipairs(once and { all[1] } or all) do
    describe(("%s, %s:"):format(title, name_of(mode)), function()
      local results
      setup(function() results = try_all(attempts, mode) end)
      for i, attempt in ipairs(attempts) do
        it(attempt[1], function()
          if results[i].skip then return pending(results[i].skip) end
          if results[i].attack then error("the attack: " .. results[i].attack, 0) end
          if results[i].control then error("the control: " .. results[i].control, 0) end
        end)
      end
    end)
  end
end

--- Attempts from a list of names and sources that share the rest.
function M.each(common, list)
  local out = {}
  for _, item in ipairs(list) do
    local attempt = {}
    for key, value in pairs(common) do attempt[key] = value end
    for key, value in pairs(item) do attempt[key] = value end
    attempt.lua = attempt.lua or attempt[2]
    out[#out + 1] = attempt
  end
  return out
end

--- Several lists as one.
function M.all(...)
  local out = {}
  for _, list in ipairs { ... } do
    for _, attempt in ipairs(list) do out[#out + 1] = attempt end
  end
  return out
end

return M
