-- mw.process.run: a program to its end; each option, and each way in which it can fail.
local mw = require "moonwire"
local process, fs = mw.process, mw.fs
local program = os.getenv("MOONWIRE") or "moonwire"
local confined = dofile("spec/support/confined.lua")(pending)

--- uv_spawn, the fallback, tells no resource usage, has /bin/sh run what is no program, and gives no controlling terminal.
local ours = assert(process.run { "true" }).rusage ~= nil

local function sh(text, options)
  local all = { "sh", "-c", text }
  for key, value in pairs(options or {}) do all[key] = value end
  return process.run(all)
end

local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

describe("running a program", function()
  it("gives its exit code, output, errors, number and time", function()
    local r = assert(sh "echo out; echo err >&2; exit 7")
    assert.equal(7, r.code)
    assert.is_false(r.ok)
    assert.is_nil(r.signal)
    assert.equal("out\n", r.stdout)
    assert.equal("err\n", r.stderr)
    assert.is_true(r.pid > 1)
    assert.is_true(r.duration > 0 and r.duration < 60)
    if ours then assert.is_true(r.rusage.max_memory > 0 and r.rusage.user >= 0) end
    assert.same({ "sh", "-c", "echo out; echo err >&2; exit 7" }, r.argv)
    assert.is_false(r.timed_out)
    assert.is_false(r.truncated)
  end)

  it("names the signal that ended it", function()
    local r = assert(sh "kill -KILL $$")
    assert.equal("KILL", r.signal)
    assert.is_nil(r.code)
    assert.is_false(r.ok)
  end)

  it("gives every child an ordinary slice of the processor, though ours is short while we start them", function()
    local seen = {}
    for i = 1, 3 do
      local said = assert(process.run { "cat", "/proc/self/sched", stderr = "null" }).stdout
      seen[i] = tonumber(said:match "se%.slice%s*:%s*(%d+)")
    end
    if seen[1] == nil then return pending "this kernel shows no slices" end
    assert.is_true(seen[1] > 100000)
    assert.same({ seen[1], seen[1], seen[1] }, seen)
  end)

  it("takes numbers as arguments and passes every byte but NUL", function()
    assert.equal("1 2.5 \1\255\n", assert(process.run { "echo", 1, 2.5, "\1\255" }).stdout)
    assert.equal("EINVAL", raised(process.run, { "echo", "a\0b" }).code)
    assert.equal("EINVAL", raised(process.run, { "ec\0ho" }).code)
  end)

  it("feeds a string as its input while it writes", function()
    local text = ("0123456789abcdef"):rep(65536)
    local r = assert(process.run { "cat", stdin = text })
    assert.equal(#text, #r.stdout)
    assert.is_true(text == r.stdout)
    assert.equal("", assert(process.run { "cat", stdin = "" }).stdout)
  end)

  it("does not mind a program that closes its input early", function()
    local r = assert(sh("exec <&-; echo done", { stdin = ("x"):rep(1 << 20) }))
    assert.equal("done\n", r.stdout)
    assert.is_true(r.ok)
    r = assert(process.run { "true", stdin = ("x"):rep(1 << 20) })
    assert.is_true(r.ok)
  end)

  it("drains ten megabytes on both pipes at once", function()
    local r = assert(sh("head -c 10485760 /dev/zero & head -c 10485760 /dev/zero >&2; wait", { max_output = "16MiB" }))
    assert.equal(10485760, #r.stdout)
    assert.equal(10485760, #r.stderr)
    assert.is_true(r.ok)
  end)

  it("ends a program that writes more than max_output, and gives what came", function()
    local r, err = sh("yes", { max_output = "64KiB" })
    assert.is_nil(r)
    assert.equal("ELIMIT", err.code)
    assert.equal(65536, #err.data.stdout)
    assert.is_true(err.data.signal == "TERM" or err.data.signal == "PIPE")
  end)

  it("drops what is beyond max_output when asked to, and lets it finish", function()
    local r = assert(sh("head -c 1000000 /dev/zero; echo end >&2", { max_output = 10, on_overflow = "truncate" }))
    assert.equal(10, #r.stdout)
    assert.equal("end\n", r.stderr)
    assert.is_true(r.truncated)
    assert.is_true(r.ok)
    r = assert(sh("printf 0123456789", { max_output = 10 }))
    assert.is_false(r.truncated)
  end)

  it("sends errors where the output goes with stderr = \"stdout\"", function()
    local r = assert(sh("echo a; echo b >&2; echo c", { stderr = "stdout" }))
    assert.equal("a\nb\nc\n", r.stdout)
    assert.is_nil(r.stderr)
  end)

  it("captures nothing with \"null\"", function()
    local r = assert(sh("echo a; echo b >&2", { stdout = "null", stderr = "null" }))
    assert.is_nil(r.stdout)
    assert.is_nil(r.stderr)
    assert.is_true(r.ok)
  end)

  it("shows what it captures with tee", function()
    local r = assert(process.run { program, "eval", "-A", [[
      local r = require("moonwire").process.run { "sh", "-c", "echo out; echo err >&2", tee = true }
      assert(r.stdout == "out\n" and r.stderr == "err\n")
    ]] })
    assert.equal("out\n", r.stdout)
    assert.equal("err\n", r.stderr)
    assert.is_true(r.ok)
  end)

  it("writes into a file and reads from one", function()
    local dir <close> = assert(fs.tempdir())
    local path = dir.path .. "/text"
    do
      local out <close> = assert(fs.open(path, "w"))
      assert(process.run { "echo", "into a file", stdout = out })
    end
    assert.equal("into a file\n", fs.read(path))
    local input <close> = assert(fs.open(path, "r"))
    assert.equal("INTO A FILE\n", assert(process.run { "tr", "a-z", "A-Z", stdin = input }).stdout)
  end)

  it("starts in another directory, and looks for a relative program there", function()
    local dir <close> = assert(fs.tempdir())
    assert(fs.write(dir.path .. "/tool", "#!/bin/sh\necho \"$0 $1 $(pwd -P)\"\n"))
    assert(process.run { "chmod", "+x", dir.path .. "/tool" })
    local r = assert(process.run { "./tool", "x", cwd = dir.path })
    local where = assert(process.run { "pwd", "-P", cwd = dir.path }).stdout
    assert.truthy(r.stdout:find("/tool x " .. where, 1, true))
  end)

  it("runs a script by its #! line, with its argument", function()
    local dir <close> = assert(fs.tempdir())
    assert(fs.write(dir.path .. "/tool", "#!/bin/sh -e\nfalse\necho not reached\n"))
    assert(process.run { "chmod", "+x", dir.path .. "/tool" })
    local r = assert(process.run { dir.path .. "/tool" })
    assert.equal(1, r.code)
    assert.equal("", r.stdout)
  end)

  it("runs eight side by side, each with its own output", function()
    local out = {}
    mw.task.scope(function(s)
      for i = 1, 8 do
        s:spawn(function() out[i] = assert(process.run { "sh", "-c", "echo " .. i .. "; head -c 200000 /dev/zero | wc -c" }).stdout end)
      end
    end)
    for i = 1, 8 do assert.equal(i .. "\n200000\n", out[i]) end
  end)
end)

describe("a program that cannot be started", function()
  it("is ENOENT when it is not there", function()
    local r, err = process.run { "no-such-program-anywhere" }
    assert.is_nil(r)
    assert.equal("ENOENT", err.code)
    assert.truthy(tostring(err):find("no-such-program-anywhere", 1, true))
    assert.equal("ENOENT", select(2, process.run { "/no/such/program" }).code)
  end)

  it("is EACCES when it may not be executed", function()
    assert.equal("EACCES", select(2, process.run { "/etc/passwd" }).code)
  end)

  it("is ENOEXEC when it is no program", function()
    local dir <close> = assert(fs.tempdir())
    assert(fs.write(dir.path .. "/odd", "neither this nor that"))
    assert(process.run { "chmod", "+x", dir.path .. "/odd" })
    local r, err = process.run { dir.path .. "/odd" }
    if ours then assert.equal("ENOEXEC", err.code) else assert.is_false(r.ok) end
  end)

  it("is E2BIG with an argument beyond the kernel's limit, ELIMIT with more than a megabyte of them", function()
    assert.equal("E2BIG", select(2, process.run { "true", ("x"):rep(200000) }).code)
    local many = { "true" }
    for i = 1, 20 do many[#many + 1] = ("x"):rep(60000) .. i end
    assert.equal("ELIMIT", select(2, process.run(many)).code)
  end)

  it("is ELIMIT with an environment of more than 128 KiB", function()
    local env = {}
    for i = 1, 40 do env["BIG" .. i] = ("x"):rep(4000) end
    assert.equal("ELIMIT", select(2, process.run { "true", env = env }).code)
  end)

  it("is told when the directory is missing or none", function()
    assert.equal("ENOENT", select(2, process.run { "true", cwd = "/no/such/directory" }).code)
    assert.equal("ENOTDIR", select(2, process.run { "true", cwd = "/etc/passwd" }).code)
    assert.truthy(tostring(select(2, process.run { "true", cwd = "/no/such/directory" })):find("cwd", 1, true))
  end)

  it("is EMFILE when no descriptor is left, and works again afterwards", function()
    local r = assert(process.run { "sh", "-c", "ulimit -n 40; exec \"$0\" \"$@\"", program, "eval", "-A", [[
      local mw = require "moonwire"
      local held = {}
      local err
      repeat
        local f
        f, err = mw.process.spawn { "sleep", "100", stdin = "pipe", stdout = "pipe", stderr = "pipe" }
        held[#held + 1] = f
      until err
      print(err.code, #held > 3)
      for _, child in ipairs(held) do child:close() end
      print(assert(mw.process.run { "echo", "again" }).stdout)
    ]] })
    assert.equal("EMFILE\ttrue\nagain\n\n", r.stdout, r.stderr)
  end)

  it("is ELIMIT as the 257th", function()
    local held = {}
    local _ <close> = setmetatable({}, { __close = function() for _, c in ipairs(held) do c:close() end end })
    for i = 1, 256 do held[i] = assert(process.spawn { "sleep", "1000" }) end
    assert.equal("ELIMIT", select(2, process.spawn { "sleep", "1000" }).code)
    for _, child in ipairs(held) do child:close() end
    for _, child in ipairs(held) do child:wait() end
    assert.is_true(assert(process.run { "true" }).ok)
  end)
end)

describe("an option", function()
  it("that is unknown raises with what was meant", function()
    local err = raised(process.run, { "true", timeout_ms = 5 })
    assert.equal("EINVAL", err.code)
    assert.truthy(tostring(err):find("did you mean \"timeout\"", 1, true))
    assert.truthy(tostring(err):find("process_run_spec.lua", 1, true))
  end)

  it("of the wrong kind raises", function()
    for _, bad in ipairs {
      {}, { "" }, { {} }, { "true", stdout = "file.txt" }, { "true", stdin = 5 }, { "true", env = "PATH" },
      { "true", env = { ["A=B"] = "x" } },
      { "true", env = { A = "x\0y" } }, { "true", timeout = -1 }, { "true", kill_signal = "NOPE" }, { "true", on_overflow = "explode" },
      { "true", stdin = "pipe" }, { "true", permissions = {} }, { "true", pty = true, stdout = "pipe" }, { "true", cwd = "a\0b" },
      { "true", check = 1 }, { "true", [3] = "hole" }, { "true", share = {} },
    } do
      assert.equal("EINVAL", raised(process.run, bad).code)
    end
    assert.equal("EINVAL", raised(process.run, "echo").code)
  end)

  it("check raises with the exit code, the time and the end of the errors", function()
    local err = raised(sh, "head -c 9000 /dev/zero | tr '\\0' e >&2; echo last >&2; exit 3", { check = true })
    assert.equal("ECRASHED", err.code)
    assert.equal(3, err.data.exit_code)
    assert.equal(4096, #err.data.stderr)
    assert.equal("sh", err.data.argv[1])
    assert.is_true(err.data.duration > 0)
    assert.truthy(tostring(err):find("exited with 3", 1, true))
    err = raised(sh, "kill -9 $$", { check = true })
    assert.equal("KILL", err.data.signal)
    err = raised(process.run, { "sleep", "100", timeout = 0.05, check = true })
    assert.equal("ETIMEDOUT", err.code)
    assert.equal("ENOENT", raised(process.run, { "no-such-program", check = true }).code)
  end)
end)

describe("the environment of a child", function()
  it("is ours, with what is added and without what is removed", function()
    local r = assert(process.run { "env", env = { ADDED = "yes", COUNT = 3, HOME = false } })
    assert.truthy(("\n" .. r.stdout):find("\nADDED=yes\n", 1, true))
    assert.truthy(("\n" .. r.stdout):find("\nCOUNT=3\n", 1, true))
    assert.truthy(("\n" .. r.stdout):find("\nPATH=", 1, true))
    assert.is_nil(("\n" .. r.stdout):find("\nHOME=", 1, true))
  end)

  it("is only what is named with clear_env", function()
    assert.equal("A=1\n", assert(process.run { "env", clear_env = true, env = { A = "1" } }).stdout)
    assert.equal("", assert(process.run { "env", clear_env = true }).stdout)
  end)

  it("holds, under rights, what they let through and no loader variables of a script", confined(function()
    local r = assert(process.run { program, "run", "--allow-run=env", "--allow-env=KEPT_*", "-", stdin = [[
      local mw = require "moonwire"
      io.write(mw.process.run { "env", env = { HOME = false, TMPDIR = false } }.stdout)
      for _, name in ipairs {
        "LD_PRELOAD", "LD_ANYTHING", "BASH_ENV", "PYTHONSTARTUP", "PERL5OPT", "NODE_OPTIONS", "ENV", "GCONV_PATH", "LUA_INIT",
        "PYTHONPYCACHEPREFIX", "RUBYLIB", "JAVA_TOOL_OPTIONS", "GIT_SSH_COMMAND", "GIT_EXTERNAL_DIFF", "GIT_CONFIG_COUNT",
        "GIT_CONFIG_GLOBAL", "GIT_EXEC_PATH", "LESSOPEN", "LESS", "TAR_OPTIONS", "RSYNC_RSH", "OPENSSL_CONF", "MANOPT", "MAKEFLAGS",
      } do
        local ok, err = pcall(mw.process.run, { "env", env = { [name] = "x" } })
        print(ok, err.code, (err.hint:gsub("=.*", "")))
      end
      print(mw.process.run { "env", env = { LD_PRELOAD = false } }.ok)
      print(mw.process.run { "env", env = { GIT_CONFIG_GLOBAL = "/dev/null", GIT_CONFIG_NOSYSTEM = "1", PAGER = "cat" } }.ok)
    ]], env = { KEPT_ONE = "1", DROPPED = "2" } })
    assert.equal("KEPT_ONE=1\n" .. ("false\tEDENIED\tgrant it with --trust-run\n"):rep(24) .. "true\ntrue\n", r.stdout, r.stderr)
  end))

  it("may hold loader variables for a program that is trusted", function()
    local r = assert(process.run { program, "run", "--trust-run=env", "-", stdin = [[
      io.write(require("moonwire").process.run { "env", env = { BASH_ENV = "x" } }.stdout)
    ]] })
    assert.equal("BASH_ENV=x\n", r.stdout, r.stderr)
  end)
end)

describe("without the right", function()
  it("nothing runs, and the error names the flag, whether or not the program is there", function()
    local r = assert(process.run { program, "run", "-", stdin = [[
      local mw = require "moonwire"
      for _, name in ipairs { "echo", "/bin/echo", "no-such-program" } do
        local ok, err = pcall(mw.process.run, { name })
        print(ok, err.code, err.hint)
      end
    ]] })
    assert.equal("false\tEDENIED\tgrant it with --allow-run=echo\nfalse\tEDENIED\tgrant it with --allow-run=/bin/echo\n"
      .. "false\tEDENIED\tgrant it with --allow-run=no-such-program\n", r.stdout, r.stderr)
  end)

  it("no directory can be entered", function()
    local r = assert(process.run { program, "run", "--allow-run=true", "-", stdin = [[
      local ok, err = pcall(require("moonwire").process.run, { "true", cwd = "/etc" })
      print(ok, err.code, err.hint)
    ]] })
    assert.equal("false\tEDENIED\tgrant it with --allow-read=/etc\n", r.stdout, r.stderr)
  end)
end)
