-- The first process of a world of its own (unshare(1)): runs a scenario, ends it as told, and says what is left of it: processes,
-- names in /dev/shm, files. For spec/lua/leftovers_spec.lua. Knows: mw, /proc. Never: run on the machine itself.
local mw = require "moonwire"
local program, folder, name, ending = arg[1], arg[2], arg[3], arg[4]

--- All processes but us that are more than zombies: pid -> command line.
local function processes()
  local out = {}
  for _, entry in ipairs(assert(mw.fs.list("/proc"))) do
    local pid = tonumber(type(entry) == "table" and entry.name or entry)
    local stat = pid and pid ~= 1 and mw.fs.read(("/proc/%d/stat"):format(pid))
    local state = stat and stat:match("^.*%) (%S)")
    if state and state ~= "Z" and state ~= "X" then
      out[pid] = ((mw.fs.read(("/proc/%d/cmdline"):format(pid)) or "?"):gsub("%z", " "))
    end
  end
  return out
end

local function names(path)
  local out = {}
  for _, entry in ipairs(assert(mw.fs.list(path))) do out[#out + 1] = type(entry) == "table" and entry.name or entry end
  return out
end

--- The scenario as it is, or made to fail at the first thing that it says (not its children, which have arguments).
local function prepare(dir)
  assert(mw.fs.mkdir(dir))
  for _, file in ipairs(names(folder)) do
    local text = assert(mw.fs.read(folder .. "/" .. file))
    if file == name and ending == "an error" then
      text = 'if not arg[1] then local function fail() error("on purpose") end print, io.write = fail, fail end\n' .. text
    end
    assert(mw.fs.write(dir .. "/" .. file, text))
  end
end

local work = mw.env.TMPDIR .. "/scenarios"
prepare(work)
assert(mw.fs.mkdir(mw.env.TMPDIR .. "/tmp"))
assert(mw.process.run { "true" }) -- our own warden is there from now on
local before = processes()
local had = {}
for _, file in ipairs(names("/tmp")) do had[file] = true end

local command = { program, "run" }
for right in assert(mw.fs.read(work .. "/" .. name)):match("%-%- rights:([^\n]*)"):gmatch("%S+") do command[#command + 1] = right end
command[#command + 1] = work .. "/" .. name
command.stdout, command.stderr, command.env = "pipe", "stdout", { TMPDIR = mw.env.TMPDIR .. "/tmp" }

local child = assert(mw.process.spawn(command))
local said = {}
for line in child.stdout:lines() do
  said[#said + 1] = line
  if #said == 1 and (ending == "INT" or ending == "TERM" or ending == "KILL") then
    assert(mw.process.run { "kill", "-" .. ending, tostring(child.pid) })
  end
end
local result = assert(child:wait { timeout = 60 })

local deadline = mw.time.now() + 20
local left
repeat
  left = processes()
  for pid in pairs(before) do left[pid] = nil end
  if next(left) then mw.task.sleep(0.01) end
until not next(left) or mw.time.now() > deadline

for pid, line in pairs(left) do print("process " .. pid .. " " .. line) end
for _, file in ipairs(names("/dev/shm")) do print("shared memory " .. file) end
if ending ~= "KILL" then -- README: a host that is killed leaves the temporary directories of its script behind
  for _, file in ipairs(names(mw.env.TMPDIR .. "/tmp")) do print("file " .. file) end
  for _, file in ipairs(mw.env.OWN_TMP and names("/tmp") or {}) do
    if not had[file] then print("file /tmp/" .. file) end
  end
end
print("ended with " .. (result.signal or result.code))
if #said < 2 or (ending == "well" and not result.ok) then io.stderr:write(table.concat(said, "\n"), "\n") end
