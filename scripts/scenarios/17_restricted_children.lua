-- Children that may do less than we: scripts with `permissions`, other programs with `sandbox` and `limits`.
-- rights: --allow-read=/tmp --allow-write=/tmp --allow-net=127.0.0.0/8 --allow-run=cat,sh,python3
local mw = require "moonwire"

-- The script children below are this script again, with the name of a role and what it needs to know. Each tries what it
-- may do, and what it may not.
local role = {}

function role.caller(near, far)
  local conn <close> = assert(mw.net.connect(near, { timeout = 5 }))
  print("near: " .. conn:read("a"))
  local ok, err = pcall(mw.net.connect, far)
  assert(not ok, "another host was reached")
  print("far: " .. err.code)
end

function role.copier(from, to)
  assert(mw.fs.write(to .. "/copy", assert(mw.fs.read(from .. "/text"))))
  print("copied")
  print("the other way: " .. select(2, pcall(mw.fs.write, from .. "/text", "changed")).code)
  print("reading what it wrote: " .. select(2, pcall(mw.fs.read, to .. "/copy")).code)
  print("any program: " .. select(2, pcall(mw.process.run, { "cat", from .. "/text" })).code)
end

if role[arg[1]] then return role[arg[1]](arg[2], arg[3]) end

-- We: two servers, at two hosts (a machine has more than one address of its own), and three folders.
local near <close> = assert(mw.net.listen("tcp://127.0.0.1:0"))
local far <close> = assert(mw.net.listen("tcp://127.0.0.2:0"))
for _, server in ipairs { near, far } do
  mw.task.spawn_with({ daemon = true }, server.serve, server, function(conn) assert(conn:write("hello")) end)
end

local dir <close> = assert(mw.fs.tempdir()) -- removed however the script ends, also by Ctrl-C
local root = dir.path
local input, output, private = root .. "/input", root .. "/output", root .. "/private"
for _, folder in ipairs { input, output, private } do assert(mw.fs.mkdir(folder)) end
assert(mw.fs.write(input .. "/text", "a text\n"))
assert(mw.fs.write(private .. "/secret", "a secret\n"))

local function said(r, err)
  assert(r, err)
  assert(r.ok, r.stderr)
  return r.stdout
end

-- 1. A script that may reach one host. It asked us for nothing else, so it has nothing else: no files, no programs.
local r = mw.process.run {
  script = "17_restricted_children.lua", "caller", tostring(near:address()), tostring(far:address()),
  permissions = { connect = { "127.0.0.1" } },
  timeout = 20,
}
assert(said(r) == "near: hello\nfar: EDENIED\n", r.stdout)
print("a script reached the one host that it was given, and no other")

-- 2. A script that may read one folder and write another.
r = mw.process.run {
  script = "17_restricted_children.lua", "copier", input, output,
  permissions = { read = { input }, write = { output } },
  timeout = 20,
}
assert(said(r) == "copied\nthe other way: EDENIED\nreading what it wrote: EDENIED\nany program: EDENIED\n", r.stdout)
assert(mw.fs.read(output .. "/copy") == "a text\n")
print("a script read one folder and wrote another, and could not do it the other way round")

-- 3. Other programs know nothing of us: the kernel holds them. They have at most our own rights; `sandbox` narrows those to what
-- is listed, `limits` bounds what they may use up.
local function sh(text) return { "sh", "-c", text } end
local function python(text) return { "python3", "-c", text } end
local function run(command)
  command.sandbox = { read = { input }, write = { output } } -- no ports: without a right for every host there, there are none
  command.limits = { cpu = 10, memory = "1GiB", files = 256 }
  command.timeout = 20
  return mw.process.run(command)
end

assert(said(run { "cat", input .. "/text" }) == "a text\n")
assert(said(run(sh("read line <" .. input .. "/text; echo \"$line\" >" .. output .. "/line; echo done"))) == "done\n")
assert(said(run(python("print(open('" .. input .. "/text').read(), end='')"))) == "a text\n")
print("cat, sh and python3 work inside")

for what, command in pairs {
  ["cat reads our secret"] = { "cat", private .. "/secret" },
  ["cat reads /etc/shadow"] = { "cat", "/etc/shadow" },
  ["sh lists the folder above"] = sh("ls " .. root),
  ["sh changes its input"] = sh("echo >" .. input .. "/text"),
  ["sh reads its output"] = sh("cat " .. output .. "/line"),
  ["python3 reads our secret"] = python("open('" .. private .. "/secret')"),
  ["python3 has a child read it"] = python("import os; exit(os.system('cat " .. private .. "/secret') != 0)"),
  ["python3 connects"] = python("import socket; socket.create_connection(('127.0.0.1', " .. tostring(near:address()):match("%d+$") .. "))"),
  ["python3 sends a datagram"] = python("import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"),
  ["sh signals us"] = sh("kill -0 $PPID"),
} do
  assert(not assert(run(command)).ok, what .. ", and should not")
end
print("outside they are refused: files, folders, connections, datagrams, signals")

-- What we have not ourselves, no sandbox can give.
local ok, err = pcall(mw.process.run, { "cat", "/etc/passwd", sandbox = { read = { "/etc" } } })
assert(not ok and err.code == "EDENIED", "we gave more than we have")
print("and more than ours: " .. tostring(err))
