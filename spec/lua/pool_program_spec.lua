-- Pools of programs: one that answers each request with a reply, and one process for each task.
local mw = require "moonwire"
local fs, process, task = mw.fs, mw.process, mw.task

-- Says back what it hears; some words make it behave otherwise.
local ECHO = [[
while read -r line; do
  case "$line" in
    die) echo "cannot go on" >&2; exit 3 ;;
    close) exec 1>&-; sleep 100 ;;
    hang) sleep 100 ;;
    pid) echo $$ ;;
    late) sleep 2; echo late ;;
    twice) printf 'one\ntwo\n' ;;
    *) echo "echo $line" ;;
  esac
done]]

local function programs(options)
  options = options or {}
  options.command = options.command or { "sh", "-c", ECHO }
  options.protocol = options.protocol or "lines"
  options.size = options.size or 1
  return assert(process.pool(options))
end

describe("a pool of programs", function()
  it("gives the reply to each request", function()
    local pool <close> = programs{ size = 2 }
    assert.equal("echo one", pool:call("one"))
    local got = {}
    for i, reply in pool:map({ "a", "b", "c", "d" }, { ordered = true }) do got[i] = reply end
    assert.same({ "echo a", "echo b", "echo c", "echo d" }, got)
    assert.equal(5, pool:stats().completed)
  end)

  it("speaks any frame protocol", function()
    local pool <close> = programs{ command = { "cat" }, protocol = "u32le" }
    assert.equal("a\nb\0c", pool:call "a\nb\0c")
    assert.equal(70000, #pool:call(("x"):rep(70000)))
  end)

  it("tells how a program ended, and replaces it", function()
    local pool <close> = programs()
    local first = pool:call "pid"
    local reply, err = pool:call "die"
    assert.same({ nil, "ECRASHED", 3, "cannot go on\n" }, { reply, err.code, err.data.exit_code, err.data.stderr })
    assert.equal("echo on", pool:call "on")
    assert.not_equal(first, pool:call "pid")
    assert.same({ 1, 1 }, { pool:stats().crashed, pool:stats().restarted })
  end)

  it("never takes a late reply for the next one", function()
    local pool <close> = programs()
    pool:call "up"
    local reply, err = pool:call("late", { timeout = 0.1 })
    assert.same({ nil, "ETIMEDOUT", "run" }, { reply, err.code, err.data.phase })
    assert.equal("echo next", pool:call "next")
  end)

  it("never takes a second reply to one request for the next one", function()
    local pool <close> = programs()
    local value, err = pool:call("twice")
    assert.same({ nil, "ECRASHED", "sent more than one reply" }, { value, err.code, err.data.reason })
    assert.equal("echo b", pool:call("b"))
  end)

  it("gives a request that the protocol cannot carry back to its caller, and keeps the program", function()
    local pool <close> = programs()
    local pid = pool:call("pid")
    local value, err = pool:call("two\nlines")
    assert.same({ nil, "EFRAME" }, { value, err.code })
    assert.equal(pid, pool:call("pid"))
    assert.equal(0, pool:stats().crashed)
  end)

  it("ends a program whose reply does not come", function()
    local pool <close> = programs{ task_timeout = 1 }
    local pid = pool:call "pid"
    assert.equal("ETIMEDOUT", select(2, pool:call "hang").code)
    assert.not_equal(pid, pool:call "pid")
  end)

  it("ends a program that closes its output", function()
    local pool <close> = programs()
    assert.equal("ECRASHED", select(2, pool:call "close").code)
    assert.equal("echo on", pool:call "on")
  end)

  it("replaces one that ends while nobody asks it anything", function()
    local pool <close> = programs{ min_idle = 1 }
    local pid = pool:call "pid"
    assert.is_true(pool:workers()[1]:kill "KILL")
    repeat task.pass() until #pool:workers() == 1 and pool:workers()[1].pid ~= tonumber(pid)
    assert.equal("echo on", pool:call "on")
  end)

  it("refuses what is no request", function()
    local pool <close> = programs()
    assert.equal("EINVAL", select(2, pool:call{ 1 }).code)
    assert.equal("echo on", pool:call "on")
  end)

  it("takes options beside the command, not in it", function()
    assert.has_error(function() process.pool{ command = { "cat", cwd = "/" }, protocol = "lines" } end)
  end)

  it("says at once that the program is not there", function()
    local pool, err = process.pool{ command = { "/no/such/program" }, protocol = "lines" }
    assert.same({ nil, "ENOENT" }, { pool, err.code })
    assert.has_error(function() process.pool{ command = { "cat" }, protocol = "lyns" } end)
  end)
end)

describe("a pool with a process for each task", function()
  local function shell(options)
    options = options or {}
    options.mode, options.size = "oneshot", options.size or 2
    options.command = options.command or function(text) return { "sh", "-c", text } end
    return assert(process.pool(options))
  end

  it("gives the output of each", function()
    local pool <close> = shell()
    assert.equal("hello\n", pool:call "echo hello")
    local sum = 0
    for _, out in pool:map{ "echo 1", "echo 2", "echo 3" } do sum = sum + tonumber(out) end
    assert.equal(6, sum)
  end)

  it("tells the exit code and the end of the error output of one that failed", function()
    local pool <close> = shell{ size = 1 }
    for _ = 1, 8 do                                          -- as often as you like: that breaks no pool
      local out, err = pool:call "echo no >&2; exit 5"
      assert.same({ nil, "ECRASHED", 5, "no\n" }, { out, err.code, err.data.exit_code, err.data.stderr })
    end
    local _, err = pool:call "kill -9 $$"
    assert.equal("KILL", err.data.signal)
    assert.equal("on\n", pool:call "echo on")
  end)

  it("ends one that takes too long", function()
    local pool <close> = shell{ task_timeout = 1, size = 1 }
    local out, err = pool:call "sleep 100"
    assert.same({ nil, "ETIMEDOUT", "run" }, { out, err.code, err.data.phase })
    repeat until pool:call "echo on" == "on\n" -- within a time that is as short
  end)

  it("runs one again if asked to", function()
    local dir <close> = assert(fs.tempdir())
    local pool <close> = shell{ retry = { on = { "crash" }, attempts = 1 } }
    local file = dir.path .. "/once"
    assert.equal("again\n", pool:call("if [ -e " .. file .. " ]; then echo again; else touch " .. file .. "; exit 1; fi"))
  end)

  it("tells what the function that gives the arguments raised", function()
    local pool <close> = shell{ command = function(what) if what == "raise" then error "oh" end return what end }
    assert.equal("ETASK", select(2, pool:call "raise").code)
    assert.equal("EINVAL", select(2, pool:call "a string").code)
    assert.equal("ENOENT", select(2, pool:call{ "/no/such/program" }).code)
    assert.equal("a b\n", pool:call{ "echo", "a b" })
  end)

  it("takes each one's own options beside its arguments, before the pool's", function()
    local dir <close> = assert(fs.tempdir())
    local pool <close> = shell{ cwd = "/", command = function(of) return of end }
    assert.equal("in\n", pool:call{ "cat", stdin = "in\n" })
    assert.equal(dir.path .. "\n/\n", pool:call{ "sh", "-c", "pwd", cwd = dir.path } .. pool:call{ "sh", "-c", "pwd" })
    assert.equal("EINVAL", select(2, pool:call{ "true", cdw = "/" }).code)
  end)

  it("runs no more at a time than its size", function()
    local dir <close> = assert(fs.tempdir())
    local pool <close> = shell{ size = 2 }
    local most = 0
    local count = "cd " .. dir.path .. "; touch $$; ls | wc -l; rm $$"
    local list = {}
    for i = 1, 12 do list[i] = count end
    for _, out in pool:map(list) do most = math.max(most, tonumber(out)) end
    assert.truthy(most <= 2)
  end)
end)
