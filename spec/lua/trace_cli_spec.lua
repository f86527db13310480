--- moonwire run --trace=FILE: every kind of thing is in it without a change of code, whatever way the run ends.
--- Knows: the program under test, by env MOONWIRE; tshark where it is installed.
local mw = require "moonwire"
local program = os.getenv("MOONWIRE") or "moonwire"

local dir = assert(mw.fs.tempdir())
local function path(name) return dir.path .. "/" .. name end
teardown(function() dir:close() end)

local everything = [[
  local mw = require "moonwire"
  local server <close> = assert(mw.net.listen(arg[1]))
  mw.task.spawn(function()
    local conn <close> = assert(server:accept())
    conn:read()
    for m in conn:framed "u32le":messages() do end
  end)
  local c <close> = assert(mw.net.connect(arg[1]))
  c:write "a line with token=hush-hush\n"
  local f = c:framed "u32le"
  f:send '{"password":"hush-hush"}'
  c:flush()
  local r <close> = assert(mw.shm.ring())
  r:push "record"
  r:pop()
  local ch = mw.task.channel(1)
  local taker = mw.task.spawn(function() ch:recv() end)
  mw.task.sleep(0)
  ch:send { secret = "hush-hush" }
  taker:join()
  local w <close> = assert(mw.worker.spawn "worker.lua")
  w:send "message"
  assert(w:recv() == "message")
  mw.process.run { "true" }
  mw.trace.span("a span", function() mw.task.sleep(0.001) end)
  if arg[2] == "raise" then error "the end" end
  if arg[2] == "exit" then mw.exit(3) end
  if arg[2] == "wait" then print "ready" mw.task.sleep(60) end
]]

setup(function()
  assert(mw.fs.write(path "all.lua", everything))
  assert(mw.fs.write(path "worker.lua", [[
    local mw = require "moonwire"
    for m in mw.parent:messages() do mw.parent:send(m) end
  ]]))
end)

local count = 0
local function command(trace, how, ...)
  count = count + 1
  local url = ("unix:@moonwire-trace-cli-%d-%d"):format(mw.sys.pid(), count)
  local argv = { program, "run", "--trace=" .. trace, "--allow-net=" .. url, "--allow-run=true", ... }
  argv[#argv + 1] = path "all.lua"
  argv[#argv + 1] = url
  argv[#argv + 1] = how
  return argv
end

local function run(trace, how, ...)
  local argv = command(trace, how, ...)
  argv.timeout = 30
  argv.env = { NO_COLOR = "1" }
  return assert(mw.process.run(argv))
end

--- The objects of a .jsonl, each line of which is JSON.
local function events(file)
  local out = {}
  for line in assert(mw.fs.read(file)):gmatch "(.-)\n" do out[#out + 1] = assert(mw.json.decode(line)) end
  return out
end

local function kinds(list)
  local seen = {}
  for _, e in ipairs(list) do
    seen[e.event == "message" and e.kind .. " " .. e.dir or e.event] = true
  end
  return seen
end

describe("--trace", function()
  it("tells of everything in .jsonl, hides secrets, and needs no right of the script", function()
    local r = run(path "a.jsonl", "", "--confine=strict")
    assert.same({ 0, "" }, { r.code, r.stderr })
    local list = events(path "a.jsonl")
    local seen = kinds(list)
    for _, what in ipairs { "begin", "stream send", "stream recv", "channel send", "channel recv", "ring send", "ring recv", "queue send",
      "queue recv", "worker send", "worker recv", "process", "span", "open", "close", "end" } do
      assert.is_true(seen[what], what)
    end
    assert.is_nil(assert(mw.fs.read(path "a.jsonl")):find("hush", 1, true))
    for i = 2, #list do assert.is_true(list[i].mono >= list[i - 1].mono) end
    assert.equal("rw-------", (assert(mw.fs.stat(path "a.jsonl")).mode & 0x1ff) == 0x180 and "rw-------")
  end)

  it("shows calls at both ends, by their number, whether threads or processes answer", function()
    assert(mw.fs.write(path "answers.lua", [[
      local mw = require "moonwire"
      mw.serve { double = function(m) return m.n * 2 end, fail = function() mw.fail("EBUSY", "not now") end }
    ]]))
    assert(mw.fs.write(path "calls.lua", [[
      local mw = require "moonwire"
      local w <close> = assert(mw.worker.spawn "answers.lua")
      local t <close> = assert(mw.worker.pool { script = "answers.lua", size = 1 })
      local p <close> = assert(mw.process.pool { script = "answers.lua", size = 1 })
      for _, it in ipairs { w, t, p } do
        assert(it:call("double", { n = 21, password = "hush-hush" }) == 42)
        assert(it:call "fail" == nil)
      end
      assert(p:drain())
    ]]))
    local file = path "calls.jsonl"
    local r = assert(mw.process.run { program, "run", "--no-prompt", "--trace=" .. file, path "calls.lua", timeout = 30 })
    assert.same({ 0, "" }, { r.code, r.stderr })
    assert.is_nil(assert(mw.fs.read(file)):find("hush", 1, true))
    local list, began, ends, pids = events(file), 0, {}, {}
    assert.equal("begin", list[1].event)
    for _, e in ipairs(list) do
      if e.event == "begin" then began = began + 1 end
      if e.event == "message" then
        local said = assert(mw.json.decode(e.data))
        local who = e.process and "child" or e.name == "parent" and "thread" or e.name
        local what = said.call and said.name or said.error and "error" or said.values[1]
        local key = ("%s %s"):format(who, e.dir)
        ends[key] = ends[key] or {}
        table.insert(ends[key], ("%d %s"):format(said.call or said.answer, what))
        pids[who] = e.process or said.pid
      end
    end
    assert.equal(2, began)
    assert.equal(pids.child, pids["process pool answers.lua"])
    local asked, answered = { "1 double", "2 fail" }, { "1 42", "2 error" }
    for _, name in ipairs { "answers.lua", "worker pool answers.lua", "process pool answers.lua" } do
      assert.same({ asked, answered }, { ends[name .. " send"], ends[name .. " recv"] }, name)
    end
    assert.same({ asked, answered }, { ends["child recv"], ends["child send"] })
    table.sort(ends["thread recv"])
    table.sort(ends["thread send"])
    assert.same({ "1 double", "1 double", "2 fail", "2 fail" }, ends["thread recv"])
    assert.same({ "1 42", "1 42", "2 error", "2 error" }, ends["thread send"])
  end)

  it("has what script children say in every format, and what programs are given and say", function()
    assert(mw.fs.write(path "child.lua", [[
      local mw = require "moonwire"
      local ch = mw.task.channel(1)
      ch:send "from below"
    ]]))
    assert(mw.fs.write(path "mother.lua", [[
      local mw = require "moonwire"
      assert(mw.process.run { script = "child.lua" }.ok)
      assert(mw.process.run { "cat", stdin = "into the cat" }.stdout == "into the cat")
      assert(mw.process.sh "echo complaint >&2".ok)
    ]]))
    local function traced(name)
      local r = assert(mw.process.run { program, "run", "--allow-run=cat,sh", "--trace=" .. name, path "mother.lua", timeout = 30 })
      assert.equal(0, r.code, r.stderr)
      return name == "-" and r.stderr or assert(mw.fs.read(name))
    end
    local seen = {}
    traced(path "mother.jsonl")
    for _, e in ipairs(events(path "mother.jsonl")) do
      if e.event == "message" then seen[("%s %s %s"):format(e.process and "child" or e.name, e.dir, e.data)] = true end
      if e.event == "process" then seen[e.program .. " " .. e.what] = true end
    end
    for _, what in ipairs { "child send from below", "cat stdin send into the cat", "cat stdout recv into the cat",
      "sh stderr recv complaint\n", "child.lua started", "child.lua ended, exit status 0" } do
      assert.is_true(seen[what], what)
    end
    local pids = {}
    for i, e in ipairs(assert(mw.json.decode(traced(path "mother.trace.json")))) do
      if i == 1 then assert.equal("moonwire", e.args.name) end
      if e.name == "process_name" then pids[#pids + 1] = e.pid end
    end
    assert.equal(2, #pids)
    assert.truthy(traced "-":find("send %-> %[%d+%] queue #1"))
    local text = traced(path "mother.pcapng")
    assert.equal("\x0a\x0d\x0d\x0a", text:sub(1, 4))
    assert.truthy(text:find("from below", 1, true))
  end)

  it("has whole events in a pipe, into which no script child writes between them", function()
    local pipe = path "whole.jsonl"
    assert(mw.fs.write(path "echo.lua", [[require "moonwire".serve { echo = function(v) return v end }]]))
    assert(mw.fs.write(path "talk.lua", [[
      local mw = require "moonwire"
      local p <close> = assert(mw.process.pool { script = "echo.lua", size = 4 })
      mw.task.scope(function(s)
        for _ = 1, 8 do
          s:spawn(function()
            for _ = 1, 50 do assert(p:call("echo", ("x"):rep(6000))) end
          end)
        end
      end)
    ]]))
    local ok = pcall(function() assert(mw.process.run { "mkfifo", pipe }.ok) end)
    if not ok then return pending "there is no mkfifo" end
    local reader = mw.task.spawn(mw.process.run, { "cat", pipe, max_output = "64MiB", timeout = 60 })
    local r = assert(mw.process.run { program, "run", "--trace=" .. pipe, path "talk.lua", timeout = 60 })
    assert.equal(0, r.code, r.stderr)
    assert(mw.fs.write(path "told.jsonl", assert(reader:join()).stdout))
    local calls = 0
    for _, e in ipairs(events(path "told.jsonl")) do
      assert.is_nil(e.event ~= "begin" and e.process or nil)
      if e.event == "message" and e.dir == "send" then calls = calls + 1 end
    end
    assert.equal(400, calls)
  end)

  it("does not wait for the reader of a pipe that never comes, nor does --audit", function()
    local pipe = path "pipe.jsonl"
    local ok = pcall(function() assert(mw.process.run { "mkfifo", pipe }.ok) end)
    if not ok then return pending "there is no mkfifo" end
    for _, option in ipairs { "--trace=", "--audit=" } do
      local r = assert(mw.process.run { program, "run", option .. pipe, path "much.lua", timeout = 60 })
      assert.equal(2, r.code)
      assert.truthy(r.stderr:find("nobody reads from this pipe (start its reader first: cat " .. pipe, 1, true), r.stderr)
    end
  end)

  it("draws tasks, waits and who ended them in .trace.json", function()
    local r = run(path "a.trace.json", "")
    assert.same({ 0, "" }, { r.code, r.stderr })
    local text = assert(mw.fs.read(path "a.trace.json"))
    assert.is_nil(text:find("hush", 1, true))
    local seen, starts, ends = {}, {}, {}
    for _, e in ipairs(assert(mw.json.decode(text))) do
      seen[e.ph .. " " .. (e.cat or e.name)] = true
      if e.ph == "s" then starts[e.id] = true end
      if e.ph == "f" then ends[e.id] = true end
      assert.equal("number", type(e.tid))
    end
    for _, what in ipairs { "M thread_name", "X run", "X wait", "X span", "i channel", "i worker", "s wake", "f wake" } do
      assert.is_true(seen[what], what)
    end
    assert.same(starts, ends)
  end)

  it("is opened by Wireshark as .pcapng", function()
    local r = run(path "a.pcapng", "")
    assert.same({ 0, "" }, { r.code, r.stderr })
    local text = assert(mw.fs.read(path "a.pcapng"))
    assert.equal("\x0a\x0d\x0d\x0a", text:sub(1, 4))
    assert.is_nil(text:find("hush", 1, true))
    local ok, shark = pcall(mw.process.run, {
      "tshark", "-r", path "a.pcapng", "-T", "fields", "-e", "frame.interface_name", "-e", "tcp.payload", "-e", "_ws.malformed",
      "-e", "tcp.analysis.flags", timeout = 60,
    })
    if not ok or not shark then return pending "tshark is not installed" end
    assert.equal(0, shark.code, shark.stderr)
    local seen = {}
    for line in shark.stdout:gmatch "(.-)\n" do
      local interface, payload, malformed, flags = line:match "^(.-)\t(.-)\t(.-)\t(.-)$"
      assert.same({ "", "" }, { malformed, flags })
      if payload ~= "" then seen[interface] = true end
    end
    assert.same({ stream = true, channel = true, ring = true, queue = true, worker = true }, seen)
  end)

  it("shows it to a person on standard error", function()
    for _, name in ipairs { "-", "stderr" } do
      local r = run(name, "")
      assert.equal(0, r.code)
      assert.truthy(r.stderr:find("  000000  6d 65 73 73 61 67 65                              |message|", 1, true), r.stderr)
      assert.is_nil(r.stderr:find("\27", 1, true))
      assert.is_nil(r.stderr:find("hush", 1, true))
    end
  end)

  it("leaves what can be read whatever way the run ends", function()
    assert.equal(1, run(path "b.jsonl", "raise").code)
    assert.is_true(kinds(events(path "b.jsonl"))["end"])
    assert.equal(3, run(path "c.jsonl", "exit").code)
    assert.is_true(kinds(events(path "c.jsonl"))["end"])
    for _, signal in ipairs { "INT", "TERM" } do
      local argv = command(path "d.jsonl", "wait")
      argv.stdout = "pipe"
      local p <close> = assert(mw.process.spawn(argv))
      assert.equal("ready", p.stdout:read())
      assert(p:kill(signal))
      p:wait()
      assert.is_true(kinds(events(path "d.jsonl"))["end"])
    end
  end)

  it("loses little when it is killed", function()
    local argv = command(path "e.trace.json", "wait")
    argv.stdout = "pipe"
    local p <close> = assert(mw.process.spawn(argv))
    assert.equal("ready", p.stdout:read())
    local text
    repeat
      mw.task.sleep(0.01)
      text = mw.fs.read(path "e.trace.json") or ""
    until text:find("a span", 1, true)
    assert(p:kill "KILL")
    p:wait()
    assert(mw.json.decode((assert(mw.fs.read(path "e.trace.json")):gsub("%s*$", "") .. "]")))
  end)

  it("goes on without a full disk, and says so once", function()
    assert.is_true(mw.fs.stat("/dev/full") ~= nil)
    local link = path "full.jsonl"
    local ok = pcall(function() assert(mw.process.run { "ln", "-s", "/dev/full", link }) end)
    if not ok then return pending "there is no ln" end
    local r = run(link, "")
    assert.equal(0, r.code)
    local _, n = r.stderr:gsub("no space left", "")
    assert.equal(1, n, r.stderr)
  end)

  it("does not wait for ever for a reader of standard error", function()
    assert(mw.fs.write(path "much.lua", [[
      local mw = require "moonwire"
      local ch = mw.task.channel(1)
      for _ = 1, 1000 do ch:send(("x"):rep(4000)) ch:recv() end
    ]]))
    -- What the program or a sanitizer has to say beside the trace would wait for the reader, as any program's words do: the step
    -- must not be cut where the machine is slow, and a sanitizer writes elsewhere.
    local elsewhere = (os.getenv("ASAN_OPTIONS") or "") .. ":log_path=stdout"
    local p <close> = assert(mw.process.spawn { program, "run", "--limit=step=off", "--trace=-", path "much.lua",
      stdout = "pipe", stderr = "pipe", env = { ASAN_OPTIONS = elsewhere, LSAN_OPTIONS = "log_path=stdout" } })
    local said, err = p.stdout:read("a", { timeout = 60 })
    if err then
      p:kill "KILL"
      error(tostring(err) .. "; the last that it said: " .. (p.stderr:read("a", { timeout = 60 }) or ""):sub(-2000))
    end
    assert.same({ "", 0 }, { said, assert(p:wait { timeout = 60 }).code })
  end)

  it("refuses what it cannot write, before anything runs", function()
    local r = run(path "a.txt", "")
    assert.equal(2, r.code)
    assert.truthy(r.stderr:find(".pcapng, .jsonl, .trace.json", 1, true))
    r = run(path "no/such.jsonl", "")
    assert.equal(2, r.code)
    assert.equal(2, assert(mw.process.run { program, "run", "--trace", path "all.lua" }).code)
  end)
end)
