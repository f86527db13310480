--- Kernels that are older than a call we make, and containers whose filter refuses it (spec/support/without.c): what has another way
--- takes it, what has none says so, and nothing runs freer, hangs or dies of it. Knows: the program under test (env MOONWIRE).
local mw = require "moonwire"
local confined = dofile "spec/support/confined.lua" (pending)

local program = os.getenv("MOONWIRE") or "moonwire"
local without = (os.getenv("MOONWIRE_BUILD") or program:match "^(.*)/") .. "/attack/without"

--- What the script says where `calls` are missing; `how` has more of run's options and the rights (default: all).
local function run(calls, text, how)
  local command = { without, calls, program, "run", timeout = 60, stdin = "local mw = require 'moonwire' " .. text }
  for key, value in pairs(how or {}) do if type(key) == "string" then command[key] = value end end
  for _, right in ipairs(how or { "-A" }) do command[#command + 1] = right end
  command[#command + 1] = "-"
  local r = assert(mw.process.run(command))
  assert.is_nil(r.signal, r.stderr)
  assert.is_false(r.timed_out)
  return r.stdout, r.stderr, r.code
end

local both = { "ENOSYS", "EPERM" }
local function ask(calls, how) return how == "EPERM" and calls .. ":EPERM" or calls end

describe("without close_range", function()
  for _, how in ipairs(both) do
    it("children start, and see nothing of what we have open: " .. how, function()
      local file = "spec/support/without.c"
      local open = { "sh", "-c", 'exec "$@" 7<' .. file, "sh" }
      local r = assert(mw.process.run { open[1], open[2], open[3], open[4], without, ask("close_range", how), program, "run", "-A", "-",
        timeout = 60, stdin = [[
          local mw = require "moonwire"
          local keep <close> = assert(mw.fs.open("spec/support/without.c", "r"))
          print(assert(mw.process.run { "ls", "/proc/self/fd" }).stdout)      -- its own look at them is 3
        ]] })
      assert.equal("0\n1\n2\n3\n\n", r.stdout)
      assert.equal("", r.stderr)
    end)
  end
end)

describe("where no thread can be made", function()
  it("what needs one says so, and the rest goes on", function()
    local out, err, code = run("clone3:EPERM", [[
      local v, e = mw.fs.read "/dev/null"
      print(v, e.code, tostring(e):match "no threads for what may block")
      v, e = mw.net.connect("tcp://somewhere.invalid:1")
      print(v, e.code)
      local uv = require "uv"
      local _, _, a = uv.getaddrinfo("localhost", nil, nil, print)
      local _, _, b = uv.random(8, 0, print)
      print(a, b)
      print(mw.process.run({ "echo", "lives" }).stdout)
    ]])
    assert.equal("", err)
    assert.equal("nil\tEPERM\tno threads for what may block\nnil\tEPERM\nEPERM\tEPERM\nlives\n\n", out)
    assert.equal(0, code)
  end)

  it("a worker is refused", function()
    local dir <close> = assert(mw.fs.tempdir())
    assert(mw.fs.write(dir:join "w.lua", "return 1"))
    assert.equal("nil\tEPERM\n", (run("clone3:EPERM", ("local w, e = mw.worker.spawn(%q) print(w, e.code)"):format(dir:join "w.lua"))))
  end)
end)

describe("without a wait by descriptor", function()
  for _, how in ipairs(both) do
    it("a child's end is seen, though not what it was: " .. how, function()
      local out, err = run(ask("waitid", how), [[
        local r = mw.process.run { "echo", "x", timeout = 50 }
        print(r.stdout, r.ok, r.code, r.signal, r.timed_out)
      ]])
      assert.equal("x\n\tfalse\tnil\tnil\tfalse\n", out)
      assert.equal("", err)
    end)
  end
end)

describe("a listener that may not accept", function()
  it("says so where the call is missing", function()
    local out = run("accept4", [[
      local srv <close> = assert(mw.net.listen "tcp://127.0.0.1:0")
      local v, e = srv:accept { timeout = 50 }
      print(v, e.code, (srv:serve(print)))
    ]])
    assert.equal("nil\tENOSYS\tnil\n", out)
  end)

  it("warns where it is refused again and again, and does not turn in circles meanwhile", function()
    local out, err = run("accept4:EPERM", [[
      local srv <close> = assert(mw.net.listen "tcp://127.0.0.1:0")
      mw.task.spawn_with({ daemon = true }, srv.serve, srv, print)
      local conn <close> = assert(mw.net.connect(srv:address(), { timeout = 50 }))
      local before = os.clock()
      print(select(2, conn:read("l", { timeout = 1 })).code, os.clock() - before < 0.5)
    ]], { "-A", env = { MOONWIRE_LOG = "warn" } })
    assert.equal("ETIMEDOUT\ttrue\n", out)
    assert.truthy(err:find "nobody can be accepted", err)
  end)
end)

describe("a cage that cannot be put on", function()
  for _, call in ipairs { "seccomp", "landlock" } do
    for _, how in ipairs(both) do
      it(("starts nothing but what is trusted: %s, %s"):format(call, how), confined(function()
        local text = "local ok, r, e = pcall(mw.process.run, { 'echo', 'ran' }) print(ok, r and r.stdout, e and e.code)"
        assert.falsy(run(ask(call, how), text, { "--allow-run=echo", "--confine=off" }):find "ran")
        assert.truthy(run(ask(call, how), text, { "--trust-run=echo" }):find "ran")
      end))
    end
  end

  it("keeps a host that insists on its own from starting", confined(function()
    local out, err, code = run("landlock", "print 'ran'", { "--confine=strict" })
    assert.equal("", out)
    assert.equal(2, code)
    assert.truthy(err:find("this kernel has no Landlock", 1, true), err)
  end))
end)

describe("without its other helpers", function()
  for _, how in ipairs(both) do
    it("a prompt reads its pipe byte by byte, and no further than a line: " .. how, function()
      local r = assert(mw.process.run { without, ask("tee", how), program, "repl", "-A", timeout = 60,
        stdin = "1 + 1\n'two'\nprint(io.read())\nfor the line above\n" })
      assert.same({ 0, '2\n"two"\nfor the line above\n', "" }, { r.code, r.stdout, r.stderr })
    end)
  end

  it("a file for a while that would stay is none", function()
    local dir <close> = assert(mw.fs.tempdir())
    local out = run("unlinkat", "local f, why = io.tmpfile() print(f, why)", { "-A", env = { TMPDIR = dir.path } })
    assert.truthy(out:find "^nil\t.*[Nn]ot implemented\n$", out)
  end)

  it("a host that has no pipe for its signals does not start, and says so", function()
    local out, err, code = run("pipe2:EPERM", "print 'ran'")
    assert.equal("", out)
    assert.equal("moonwire: host loop: operation not permitted\n", err)
    assert.equal(1, code)
  end)

  it("random names are refused with the reason", function()
    assert.equal("nil\tENOSYS\n", (run("getrandom", "local v, e = mw.fs.tempdir() print(v, e.code)")))
  end)

  it("a warden that cannot be had is told of, and children run", function()
    local out, err = run("memfd_create", "print(mw.process.run({ 'echo', 'x' }).stdout)", { "-A", env = { MOONWIRE_LOG = "warn" } })
    assert.equal("x\n\n", out)
    assert.truthy(err:find("children may outlive a killed host", 1, true), err)
  end)

  it("a signal by descriptor has another way", function()
    local out = run("pidfd_send_signal", [[
      local child <close> = assert(mw.process.spawn { "sleep", "1000" })
      child:kill "KILL"
      print(child:wait({ timeout = 50 }).signal)
    ]])
    assert.equal("KILL\n", out)
  end)
end)
