-- limits = { ... }: what the kernel gives a child at most, alone and in a cage.
local mw = require "moonwire"
local process, fs = mw.process, mw.fs
local program = os.getenv("MOONWIRE") or "moonwire"
local confined = dofile("spec/support/confined.lua")(pending)

local able = process.run { "true", limits = { files = 64 } } ~= nil

--- As `confined`, for limits alone: this build can hold some.
local function limited(body)
  return function()
    if not able then pending "this build cannot hold limits" return end
    body()
  end
end

local function sh(text, limits) return process.run { "sh", "-c", text, limits = limits, timeout = 60 } end

--- What a script under `rights` printed, in a process of its own.
local function script(rights, text)
  local command = { program, "run", stdin = text, timeout = 60 }
  for _, right in ipairs(rights) do command[#command + 1] = right end
  command[#command + 1] = "-"
  local r = assert(process.run(command))
  assert.equal("", r.stderr)
  return r.stdout
end

describe("limits of a child", function()
  it("on memory make its own allocations fail", limited(function()
    local ask = { "perl", "-e", "my $x = 'a' x (200 << 20); print 'fine'", limits = { memory = "64MiB" } }
    assert.is_false(assert(process.run(ask)).ok)
    ask.limits = { memory = "1GiB" }
    assert.equal("fine", assert(process.run(ask)).stdout)
  end))

  it("on processor time end it with XCPU, and with KILL a second later", limited(function()
    assert.equal("XCPU", assert(sh("while :; do :; done", { cpu = 1 })).signal)
    assert.equal("KILL", assert(sh("trap '' XCPU; while :; do :; done", { cpu = "900ms" })).signal)
  end))

  it("on descriptors make its own opens fail", limited(function()
    assert.is_false(assert(sh("exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null 7</dev/null 8</dev/null", { files = 8 })).ok)
    assert.is_true(assert(sh("exec 3</dev/null 4</dev/null 5</dev/null", { files = 16 })).ok)
  end))

  it("cannot be raised by it", confined(function()
    assert.equal("40 40 false\n", (script({ "--allow-run" }, [[
      local r = require "moonwire".process.run { "sh", "-c", "ulimit -Sn; ulimit -Hn; ulimit -n 41 2>/dev/null && ulimit -n",
        limits = { files = 40 } }
      print(r.stdout:gsub("\n", " ") .. tostring(r.ok))
    ]])))
  end))

  it("let no confined child write a core file", confined(function()
    assert.equal("0\n", script({ "--allow-run" }, [[io.write(require "moonwire".process.run { "sh", "-c", "ulimit -Hc" }.stdout)]]))
  end))
end)

describe("a limit of processes", function()
  it("counts the child and all its descendants", limited(function()
    local three, why = sh("sleep 0 & sleep 0 & wait; echo fine | cat", { processes = 3 })
    if three == nil then
      assert.equal("EOPNOTSUPP", why.code)
      assert.truthy(why.message:find("limits.processes", 1, true))
      pending "no way to count processes here" return
    end
    assert.equal("fine\n", three.stdout)
    local four = assert(sh("exec 2>&-; sleep 1000 >&- & sleep 1000 >&- & sleep 1000 >&- & echo too many", { processes = 3 }))
    assert.is_false(four.ok)
    assert.equal("", four.stdout)
  end))

  it("of 1 lets a confined child have threads and start nothing", confined(function()
    assert.equal("one\n false\nthread\n true\n", script({ "--allow-run", "--allow-read=/usr" }, [[
      local run = require "moonwire".process.run
      local r = run { "sh", "-c", "echo one; /bin/ls; echo two", limits = { processes = 1 } }
      print(r.stdout, r.ok)
      r = run { "/usr/bin/python3", "-c", "import threading as t; x = t.Thread(target=lambda: print('thread')); x.start(); x.join()",
        limits = { processes = 1 } }
      print(r.stdout, r.ok)
    ]]):gsub("\t", " ") .. "")
  end))

  it("holds in a host that has locked itself as well", confined(function()
    local countable = process.run { "true", limits = { processes = 2 } } ~= nil
    assert.equal(countable and "fine\n\n" or "EOPNOTSUPP\nEOPNOTSUPP\n", script({ "--allow-run", "--confine=strict", "--no-prompt" }, [[
      local run = require "moonwire".process.run
      local function three(text)
        local r, err = run { "sh", "-c", "exec 2>&-; " .. text, limits = { processes = 3 } }
        io.write(r and r.stdout or err.code .. "\n")
      end
      three "sleep 0 >&- & sleep 0 >&- & wait; echo fine"
      three "sleep 1000 >&- & sleep 1000 >&- & sleep 1000 >&- & echo too many"
      print()
    ]]):gsub("EOPNOTSUPP\n\n", "EOPNOTSUPP\n") .. "")
  end))

  it("leaves no control group behind", limited(function()
    local said = script({ "-A" }, [[
      local mw = require "moonwire"
      mw.process.run { "true", limits = { processes = 2 } }
      local child = mw.process.spawn { "sh", "-c",
        "if test $(id -u) = 0; then setsid sleep 1000 >/dev/null & else true & fi; echo $!; exec sleep 1000",
        stdout = "pipe", limits = { processes = 9 } }
      print(mw.sys.pid(), child and child.stdout:read() or 1)
    ]])
    local host, pid = said:match "(%d+)%s+(%d+)"
    for _, group in ipairs(fs.list "/sys/fs/cgroup/pids" or {}) do assert.are_not.equal("moonwire-" .. host, group) end
    -- Not even what has left its group; what is dead may be there until somebody reaps it.
    local deadline = mw.time.now() + 20
    local function lives() return pid ~= "1" and assert(sh("grep '^State:.[^ZX]' /proc/" .. pid .. "/status")).ok end
    while lives() and mw.time.now() < deadline do end
    assert.is_false(lives())
  end))
end)
