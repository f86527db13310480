--- The audit: a line of JSON for every decision, before anything happens. Knows: the program under test, by env MOONWIRE.
local mw = require "moonwire"
local program = os.getenv("MOONWIRE") or "moonwire"

local dir

local function path(name) return dir.path .. "/" .. name end

--- A value of JSON at `at`: enough for one line of the audit.
local function value(text, at)
  local word = text:match("^null", at) or text:match("^true", at) or text:match("^%-?%d+", at)
  if word then return tonumber(word) or word == "true" or nil, at + #word end
  assert(text:sub(at, at) == '"', "no value at " .. at .. " of " .. text)
  local out, i = {}, at + 1
  while true do
    local c = text:sub(i, i)
    assert(c ~= "" and c:byte() >= 0x20, "a broken string in " .. text)
    if c == '"' then break end
    if c == "\\" then
      local hex = text:match("^u(%x%x%x%x)", i + 1)
      local plain = text:match('^["\\ntr]', i + 1)
      assert(hex or plain, "a broken escape in " .. text)
      out[#out + 1] = hex and utf8.char(tonumber(hex, 16)) or ({ n = "\n", t = "\t", r = "\r" })[plain] or plain
      i = i + (hex and 6 or 2)
    else
      out[#out + 1] = c
      i = i + 1
    end
  end
  return table.concat(out), i + 1
end

local function decode(line)
  assert(utf8.len(line), "no UTF-8: " .. line)
  local object, at = {}, 2
  assert(line:sub(1, 1) == "{" and line:sub(-1) == "}", line)
  repeat
    local key
    key, at = value(line, at)
    assert(line:sub(at, at) == ":", line)
    assert(object[key] == nil, "the key " .. key .. " twice in " .. line)
    object[key], at = value(line, at + 1)
    at = at + 1
  until line:sub(at - 1, at - 1) ~= ","
  assert(at - 1 == #line, line)
  return object
end

local function lines()
  local out = {}
  for text in io.lines(path "audit") do
    local line = decode(text)
    if line.kind ~= "confine" then out[#out + 1] = line end -- whether the host locked itself is told in its own spec
  end
  return out
end

--- Runs the script text with rights and arguments; gives its result and the audit.
local function run(rights, text, ...)
  assert(mw.fs.write(path "script.lua", "local mw = require 'moonwire'\n" .. text))
  local argv = { program, "run", "--audit=" .. path "audit", timeout = 60, stdin = "null" }
  for _, right in ipairs(rights) do argv[#argv + 1] = right end
  argv[#argv + 1] = path "script.lua"
  for i = 1, select("#", ...) do argv[#argv + 1] = (select(i, ...)) end
  local r = assert(mw.process.run(argv))
  return r, lines()
end

--- Of each line what the test is about.
local function story(all)
  local out = {}
  for i, line in ipairs(all) do
    out[i] = table.concat({ line.kind, line.op, line.subject, line.outcome, line.rule or "-", (line.where or "-"):match("[^/]*$") }, " | ")
  end
  return out
end

describe("an audit", function()
  before_each(function()
    dir = assert(mw.fs.tempdir())
    assert(mw.fs.write(path "data", "data"))
  end)
  after_each(function() dir:close() end)

  it("has a line for every decision, with the rule and the script's line", function()
    local r, all = run({ "--allow-read=" .. path "data", "--allow-env=HOME,APP_*", "--deny-env=APP_KEY", "--allow-sys" }, [[
      io.open(arg[1]):close()
      print(mw.env.get("HOME", "none") ~= nil, pcall(function() return mw.env.APP_KEY end))
      mw.sys.cpus()
      pcall(mw.process.run, { "true" })
      pcall(mw.net.connect, "tcp://127.0.0.1:9")
      pcall(io.open, arg[1], "w")]], path "data")
    assert.equal("", r.stderr)
    assert.same({
      "read | io open | " .. path "data" .. " | granted | --allow-read=" .. path "data" .. " | script.lua:2",
      "env | env get | HOME | granted | --allow-env=HOME | script.lua:3",
      "env | env get | APP_KEY | denied | --deny-env=APP_KEY | script.lua:3",
      "sys | sys cpus | cpus | granted | --allow-sys | script.lua:4",
      "run | process run | true | denied | - | script.lua:5",
      "connect | net connect | 127.0.0.1:9 | denied | - | script.lua:6",
      "write | io open | " .. path "data" .. " | denied | - | script.lua:7",
    }, story(all))
    local first = all[1]
    assert.truthy(first.time:match "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$")
    assert.truthy(math.type(first.pid) == "integer" and first.pid > 1)
    assert.equal(16, #first.host)
    for _, line in ipairs(all) do assert.same({ first.pid, first.host }, { line.pid, line.host }) end
  end)

  it("has each of the addresses that are tried, programs, modules, and what is granted by -A", function()
    local server <close> = assert(mw.net.listen "tcp://127.0.0.1:0")
    local port = server:address():match ":(%d+)$"
    assert(mw.fs.write(path "other.lua", "return 1"))
    local r, all = run({ "--allow-net=127.0.0.1,localhost", "--allow-run=true" }, [[
      assert(mw.net.connect("tcp://127.0.0.1:" .. arg[1])):close() assert(mw.net.connect("tcp://localhost:" .. arg[1])):close()
      mw.process.run{ "true" }
      require "other"]], port)
    assert.equal("", r.stderr)
    local told = table.concat(story(all), "\n")
    local tried = "connect | net connect | 127.0.0.1:" .. port .. " | granted | --allow-net=127.0.0.1 | script.lua:2"
    assert.truthy(told:find(tried, 1, true), told)
    tried = tried:gsub("127.0.0.1", "localhost")
    assert.equal(2, select(2, told:gsub(tried:gsub("%p", "%%%0"), ""))) -- the name, then the address that was tried
    assert.truthy(told:find("run | process run | true | granted | --allow-run=true | script.lua:3", 1, true), told)
    assert.truthy(told:find("read | require | " .. path "other.lua" .. " | granted | modules | script.lua:4", 1, true), told)
    os.remove(path "audit")
    r, all = run({ "-A" }, "io.open(arg[1]):close() mw.fs.rename(arg[1], arg[1] .. '2')", path "data")
    assert.equal("", r.stderr)
    assert.equal("read | io open | " .. path "data" .. " | granted | --allow-all | script.lua:2", story(all)[1])
    assert.truthy(#all >= 3)
  end)

  it("keeps nothing from whoever has everything: what no walk can follow is found, and told", function()
    local r = assert(mw.process.run { program, "eval", "-A", "--audit=" .. path "audit", "mw.fs.stat('/dev/stdin') ~= nil",
      stdin = "a pipe", timeout = 60 })
    assert.same({ "", "true\n" }, { r.stderr, r.stdout })
    assert.equal("read | fs stat | /dev/stdin | granted | --allow-all | eval:1", story(lines())[1])
  end)

  it("has requests and no queries; a drop and a child's permissions are named as what decided", function()
    assert(mw.fs.write(path "child.lua", "local mw = require 'moonwire' print(mw.env.get('HOME', 'no'), mw.env.get('APP', 'no'))"))
    local r, all = run({ "--allow-env=HOME,APP" }, [[
      mw.permissions.query("read", "/etc/hosts")
      mw.permissions.request("read", "/etc/hosts")
      mw.process.run{ script = arg[1], permissions = { env = { "HOME" } } }
      mw.permissions.drop("env", "APP")
      mw.env.get("APP", "none")]], path "child.lua")
    assert.equal("", r.stderr)
    local told = {}
    for i, line in ipairs(story(all)) do told[i] = line:match "^%l+ | env get .*" or line:match "^%l+ | permissions.*" end
    local kept = {}
    for i = 1, #all do kept[#kept + 1] = told[i] end
    assert.same({
      "read | permissions.request | /etc/hosts | denied | - | script.lua:3",
      "env | env get | HOME | granted | --allow-env=HOME | child.lua:1",
      "env | env get | APP | denied | permissions | child.lua:1",
      "env | env get | APP | denied | drop | script.lua:6",
    }, kept)
    local hosts, pids = {}, {}
    for _, line in ipairs(all) do hosts[line.host], pids[line.pid] = true, true end
    local function count(t) local n = 0 for _ in pairs(t) do n = n + 1 end return n end
    assert.same({ 2, 2 }, { count(hosts), count(pids) })
  end)

  it("says of a start whether it is confined, and what its cage leaves out", function()
    local r = run({ "--allow-run=true", "--trust-run=echo", "--allow-read=" .. dir.path, "--deny-read=" .. path "data" }, [[
      mw.process.run{ "true" }
      mw.process.run{ "echo" }]])
    assert.equal("", r.stderr)
    local told = {}
    for text in io.lines(path "audit") do
      local line = decode(text)
      if line.kind == "confine" and line.op == "process run" then
        told[#told + 1] = ("%s %s %s"):format(line.outcome, line.subject:match "[^/]*$", line.rule or "-")
      end
    end
    assert.equal("confined true -", told[#told - 1])
    assert.equal("not confined echo -", told[#told])
    assert.truthy(#told > 2 and told[1]:find "^left out") -- the folder with a denied name in it
  end)

  it("is JSON whatever the subject", function()
    local names = { 'quote"\\', "line\nbreak\t\27[31m", "bidi\u{202e}x", "caf\u{e9}", "bad\xff\xc3", ("x"):rep(250) }
    for _, name in ipairs(names) do
      os.remove(path "audit")
      local _, all = run({}, "pcall(io.open, arg[1])", path(name))
      local line = all[#all]
      if utf8.len(name) then
        assert.same({ path(name) }, { line.subject, line.subject_hex })
      else
        assert.equal((path(name):gsub(".", function(c) return ("%02x"):format(c:byte()) end)), line.subject_hex)
        assert.truthy(line.subject:find("\u{fffd}", 1, true))
      end
    end
  end)

  it("is appended to, with mode 0600 when it is new", function()
    run({}, "mw.env.get('A', '')")
    local _, all = run({}, "mw.env.get('B', '')")
    assert.same({ "A", "B" }, { all[1].subject, all[2].subject })
    assert.truthy(all[1].host ~= all[2].host)
    assert.equal(384, mw.fs.stat(path "audit").mode & 511)
  end)

  it("that cannot be written refuses everything, as a denial", function()
    assert(mw.fs.write(path "script.lua", [[
      local mw = require "moonwire"
      print(select(2, pcall(io.open, arg[1])).code, select(2, pcall(mw.process.run, { "true" })).code)
      print(tostring(select(2, pcall(io.open, arg[1]))))
      print(mw.permissions.request("read", arg[1]), mw.permissions.query("read", arg[1]))
      mw.fs.read(arg[1])]]))
    local r = assert(mw.process.run { program, "run", "--audit=/dev/full", "--allow-read", "--allow-run=true", path "script.lua",
      path "data", timeout = 60 })
    assert.equal(77, r.code)
    local text = "io open " .. path "data" .. ": denied: the audit cannot be written: no space left on device\n"
    assert.equal("EDENIED\tEDENIED\n" .. text .. "denied\tgranted\n", r.stdout)
    assert.truthy(r.stderr:find("the audit cannot be written", 1, true), r.stderr)
  end)

  it("that cannot be opened stops the program", function()
    local r = assert(mw.process.run { program, "eval", "--audit=" .. path "no/such", "print('ran')", timeout = 60 })
    assert.same({ 2, "" }, { r.code, r.stdout })
    assert.truthy(r.stderr:find("audit " .. path "no/such", 1, true), r.stderr)
  end)

  it("named - is refused, and said how standard error is named", function()
    local r = assert(mw.process.run { program, "eval", "--audit=-", "print('ran')", timeout = 60, cwd = dir.path })
    assert.same({ 2, "" }, { r.code, r.stdout })
    assert.truthy(r.stderr:find("--audit=/dev/stderr is standard error", 1, true), r.stderr)
    assert.is_nil(mw.fs.stat(path "-"))
  end)
end)
