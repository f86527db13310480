--- The question on a terminal: what it shows, what answers it, and what is not asked. Knows: the program under test, on a pty.
local mw = require "moonwire"
local process = mw.process
local program = os.getenv("MOONWIRE") or "moonwire"

local END = "n no: "

local dir
local function path(name) return dir.path .. "/" .. name end

--- A run of `code` on a terminal of its own, with more flags and arguments for it.
local function start(flags, code, ...)
  local argv = { program, "eval", pty = true, env = { TERM = "dumb" } }
  for _, flag in ipairs(flags) do argv[#argv + 1] = flag end
  argv[#argv + 1] = code
  for i = 1, select("#", ...) do argv[#argv + 1] = (select(i, ...)) end
  return assert(process.spawn(argv))
end

--- Reads up to `text`, and gives what stood before it.
local function expect(child, text)
  local got, err = child.stdout:read_until(text, { timeout = 30, max = "1MiB" })
  assert(got, ("no %q: %s"):format(text, tostring(err)))
  return got
end

local function answer(child, keys) assert(child.stdin:write(keys)) end

--- What is left of its output, and its exit status.
local function rest(child)
  local text = child.stdout:read("a", { timeout = 30 }) or ""
  return text, child:wait({ timeout = 30 }).code
end

--- Waits until a run with --timeout=`time` has timed out: so much time has passed, by the same means as in the run under test.
local function pass(time)
  assert.equal(124, process.run { program, "eval", "--timeout=" .. time, "mw.task.wait()", timeout = 60 }.code)
end

local read = "print(select(2, pcall(mw.fs.read, arg[1])))"

describe("a missing right on a terminal", function()
  local has = process.run { "sh", "-c", "exec 2>/dev/null 3</dev/tty && echo yes", pty = true, timeout = 60 }
  if not has or has.stdout == "" then return pending "the fallback spawner gives no controlling terminal" end

  before_each(function()
    dir = assert(mw.fs.tempdir())
    assert(mw.fs.write(path "data", "the data"))
  end)
  after_each(function() dir:close() end)

  it("is asked for by kind, subject, line and flag, and y grants it once", function()
    local child <close> = start({}, read .. read, path "data")
    local asked = expect(child, END)
    assert.truthy(asked:find("moonwire: eval:1 asks: read " .. path "data", 1, true), asked)
    assert.truthy(asked:find("--allow-read=" .. path "data" .. " would grant it", 1, true), asked)
    answer(child, "y\n")
    expect(child, "the data\r\n")
    expect(child, END)
    answer(child, "n\n")
    local text, code = rest(child)
    assert.truthy(text:find("denied (grant it with --allow-read=" .. path "data" .. ")", 1, true), text)
    assert.equal(0, code)
  end)

  it("is granted until exit by a, for exactly that", function()
    assert(mw.fs.write(path "data2", "more"))
    local child <close> = start({}, read .. read .. [[
      local query = mw.permissions.query
      print(query("read", arg[1]), query("read", arg[2]))
      mw.fs.read(arg[2])]], path "data", path "data2")
    expect(child, END)
    answer(child, "a\n")
    expect(child, "the data\r\nthe data\r\ngranted\tprompt\r\n")
    assert.truthy(expect(child, END):find(path "data2", 1, true))
    answer(child, "n\n")
    assert.equal(77, select(2, rest(child)))
  end)

  it("is not asked for again once it was refused three times, and a query says so", function()
    local child <close> = start({}, read .. read .. [[
      print(mw.permissions.request("read", arg[1]))]] .. read .. [[
      local name = arg[1]
      print(mw.permissions.query("read", name), mw.permissions.request("read", name), mw.permissions.query("write", name))
      print(pcall(mw.fs.read, name .. "2"))]], path "data")
    for _ = 1, 3 do
      expect(child, END)
      answer(child, "n\n")
    end
    local text = expect(child, "prompt\r\n")
    assert.truthy(text:find("denied (grant it with", 1, true), text)
    assert.truthy(text:find("denied\tdenied\t", 1, true), text)
    assert.truthy(expect(child, END):find("data2", 1, true))
    answer(child, "n\n")
    local _, code = rest(child)
    assert.equal(0, code)
  end)

  it("is asked for again after anything that is no answer, and at last denied", function()
    local child <close> = start({}, read, path "data")
    for i, junk in ipairs { "\n", "yes\n", "Y\n", "yn\n", " y\n", "y \n", "\27[A\n", "ja\n", "y\ny\n" } do
      expect(child, END)
      answer(child, junk)
      assert.truthy(i < 10)
    end
    expect(child, END)
    answer(child, "1\n")
    local text, code = rest(child)
    assert.truthy(text:find("denied", 1, true), text)
    assert.equal(0, code)
  end)

  it("is denied by the end of the input", function()
    local child <close> = start({}, read .. "print('goes on')", path "data")
    expect(child, END)
    answer(child, "\4")
    local text, code = rest(child)
    assert.truthy(text:find("denied.*goes on"), text)
    assert.equal(0, code)
  end)

  it("is denied by Ctrl-C, which ends the run as always", function()
    local child <close> = start({}, "local closing <close> = setmetatable({}, { __close = function() print 'cleaned' end }) " ..
      "pcall(mw.fs.read, arg[1]) mw.task.sleep(60) print 'not reached'", path "data")
    expect(child, END)
    answer(child, "\3")
    local text, code = rest(child)
    assert.truthy(text:find("cleaned", 1, true), text)
    assert.falsy(text:find("not reached", 1, true), text)
    assert.equal(130, code)
  end)

  it("is not granted by what was typed before the question", function()
    local child <close> = start({}, "print 'type' io.read 'l' " .. read, path "data")
    expect(child, "type\r\n")
    answer(child, "first\ny\ny\n")
    expect(child, END)
    answer(child, "n\n")
    local text = rest(child)
    assert.truthy(text:find("denied", 1, true), text)
    assert.falsy(text:find("the data", 1, true), text)
  end)

  it("leaves the terminal as it was, and the script its input", function()
    local modes = "print(mw.process.run{ 'stty', '-g', stdin = 'inherit' }.stdout)"
    local before
    do
      local child <close> = start({ "-A" }, modes)
      before = rest(child)
    end
    local child <close> = start({ "--trust-run=stty" }, read .. "print('line', io.read 'l')" .. modes, path "data")
    expect(child, END)
    answer(child, "a\n")
    expect(child, "the data\r\n")
    answer(child, "for the script\n")
    expect(child, "line\tfor the script\r\n")
    assert.equal(before, (rest(child)))
  end)

  it("shows what a terminal would obey, hide or draw nothing for", function()
    local name = "x\27[2K\rsafe\u{202e}txt\u{200b}\n  y  \u{3000}z'"
    local child <close> = start({}, read, path(name))
    local asked = expect(child, END)
    for _, hidden in ipairs { "\27", "\u{202e}", "\u{200b}", "\u{3000}", "\rsafe" } do assert.falsy(asked:find(hidden, 1, true), asked) end
    assert.truthy(asked:find([[x\x1b[2K\x0dsafe\xe2\x80\xaetxt\xe2\x80\x8b\x0a \x20y \x20\xe3\x80\x80z']], 1, true), asked)
    local _, lines = asked:gsub("\n", "")
    assert.equal(2, lines)
    answer(child, "n\n")
    rest(child)
  end)

  it("is about what a link leads to", function()
    assert(process.run { "ln", "-s", path "data", path "innocent", check = true })
    local child <close> = start({}, read .. read, path "innocent")
    local asked = expect(child, END)
    assert.truthy(asked:find("read " .. path "data\r\n", 1, true), asked)
    assert.falsy(asked:find("innocent", 1, true), asked)
    answer(child, "a\n")
    expect(child, "the data\r\nthe data\r\n")
  end)

  it("is denied without a question when its name is too long to be judged", function()
    local child <close> = start({}, "print(#arg[1], mw.permissions.query('read', arg[1])) " .. read, "/" .. ("x/"):rep(600))
    local text = rest(child)
    assert.truthy(text:find("1201\tdenied", 1, true), text)
    assert.falsy(text:find(END, 1, true), text)
  end)

  it("is asked for once for a connection, its addresses included", function()
    local server <close> = assert(mw.net.listen "tcp://127.0.0.1:0")
    local port = server:address():match ":(%d+)$"
    for _, host in ipairs { "localhost", "127.0.0.1" } do
      local child <close> = start({}, "for i = 1, 2 do print(pcall(mw.net.connect, 'tcp://' .. arg[1])) end", host .. ":" .. port)
      local asked = expect(child, END)
      assert.truthy(asked:find("asks: connect " .. host .. ":" .. port, 1, true), asked)
      assert.truthy(asked:find("--allow-net=" .. host .. ":" .. port, 1, true), asked)
      answer(child, "y\n")
      expect(child, "true\t")
      expect(child, END)
      answer(child, "n\n")
      assert.truthy(rest(child):find("false\t.*denied"))
    end
  end)

  it("is asked for a program, a variable, a socket's name, and to listen", function()
    local child <close> = start({}, [[
      print(pcall(function() return mw.env.HOME end))
      print(pcall(mw.process.run, { "true" }))
      print(pcall(mw.net.listen, "unix:@prompt-spec-" .. arg[1]))
      print(pcall(mw.sys.hostname))]], tostring(math.random(1 << 40)))
    for _, what in ipairs {
      "env HOME\r\n +%-%-allow%-env=HOME", "run true\r\n +%-%-allow%-run=true",
      "listen unix:@prompt%-spec.*%-%-allow%-net=unix:@prompt", "sys hostname\r\n +%-%-allow%-sys=hostname",
    } do
      local asked = expect(child, END)
      assert.truthy(asked:find(what), asked)
      answer(child, "n\n")
    end
    assert.equal(0, select(2, rest(child)))
  end)

  it("is not asked for where a rule denies it, it was dropped, a child or a policy file lacks it, or with --no-prompt", function()
    assert(mw.fs.write(path "policy.json", [[{"env": ["HOME"], "read": ["child.lua"]}]]))
    local query = "print(mw.permissions.query('env', 'LANG'), pcall(function() return mw.env.LANG end))"
    local child_run = "mw.process.run{ script = arg[1], stdin = 'inherit', stdout = 'inherit', stderr = 'inherit' }"
    assert(mw.fs.write(path "child.lua", "local mw = require 'moonwire' " .. query))
    for flags, code in pairs {
      [{ "--deny-env=LANG" }] = query, [{ "--no-prompt" }] = query, [{}] = "mw.permissions.drop('env') " .. query,
      [{ "--policy=" .. path "policy.json" }] = query,
      [{ "--allow-env", "--allow-read=" .. path "child.lua" }] = child_run,
    } do
      local child <close> = start(flags, code, path "child.lua")
      local text, status = rest(child)
      assert.truthy(text:find("^denied\tfalse"), text)
      assert.equal(0, status)
    end
  end)

  it("is not asked for where standard input or error is no terminal", function()
    for _, to in ipairs { "</dev/null", "2>/dev/null" } do
      local child <close> = assert(process.spawn {
        "sh", "-c", '"$1" eval "$2" ' .. to, "sh", program, "mw.permissions.query('env', 'X'), mw.env.X", pty = true,
      })
      local text, status = rest(child)
      assert.falsy(text:find(END, 1, true), text)
      assert.equal(77, status)
    end
    local r = assert(process.run { program, "eval", "mw.permissions.query('env', 'X')", timeout = 60 })
    assert.equal("denied\n", r.stdout)
  end)

  it("can be stopped by Ctrl-Z, and answered when the program is in the foreground again", function()
    local child <close> = assert(process.spawn {
      "sh", "-c", 'set -m; "$1" eval "$2" "$3"; echo stopped; fg; echo over $?', "sh", program, read, path "data",
      pty = true, env = { TERM = "dumb" },
    })
    expect(child, END)
    answer(child, "\26")
    expect(child, "stopped\r\n")
    answer(child, "junk\n")
    expect(child, END)
    answer(child, "y\n")
    expect(child, "the data\r\n")
    expect(child, "over 0\r\n")
  end)

  it("is denied without a question in the background", function()
    local child <close> = assert(process.spawn {
      "sh", "-c", 'set -m; "$1" eval "$2" "$3" & wait; echo over', "sh", program, read, path "data",
      pty = true, env = { TERM = "dumb" },
    })
    local text = expect(child, "over\r\n")
    assert.truthy(text:find("denied", 1, true), text)
    assert.falsy(text:find(END, 1, true), text)
  end)

  it("is not asked for while a child has the terminal", function()
    local child <close> = start({ "--trust-run=cat" }, [[
      local cat = mw.process.spawn{ "cat", stdin = "inherit" }
      print(pcall(mw.fs.read, arg[1]))
      cat:kill()
      cat:wait()
      print(pcall(mw.fs.read, arg[1]))]], path "data")
    local before = expect(child, END)
    assert.truthy(before:find("^false\t[^\n]*denied"), before)
    answer(child, "y\n")
    assert.truthy(rest(child):find("true\tthe data", 1, true))
  end)

  it("is shown alone: children stand still until it is answered, who stood still before still does", function()
    local function state(pid) return (assert(mw.fs.read("/proc/" .. pid .. "/stat")):match "%) (%a)") end
    local child <close> = start({ "--trust-run=sh" }, [[
      local loud <close> = mw.process.spawn{ "sh", "-c", "while read x; do echo loud $x; done", stdin = "pipe", stdout = "inherit" }
      local still <close> = mw.process.spawn{ "sh", "-c", "kill -STOP $$; echo never", stdout = "inherit" }
      print(loud.pid, still.pid)
      io.read "l"
      pcall(mw.fs.read, arg[1])
      loud.stdin:write "one\n"
      loud.stdin:close()
      loud:wait()
      print "ask again"
      pcall(mw.fs.read, arg[1])
      still:kill "KILL"]], path "data")
    local loud, still = expect(child, "\r\n"):match "(%d+)\t(%d+)"
    repeat mw.task.sleep(0.01) until state(still) == "T"
    answer(child, "\n")
    expect(child, END)
    assert.same({ "T", "T" }, { state(loud), state(still) })
    answer(child, "n\n")
    expect(child, "loud one\r\n")
    expect(child, END)
    assert.equal("T", state(still))
    answer(child, "n\n")
    assert.equal(0, select(2, rest(child)))
  end)

  it("is asked for where the person sits, whatever the script makes of its standard streams", function()
    local child <close> = start({ "--trust-run=sh" }, [[
      io.stdin:close()
      io.stderr:close()
      local other <close> = mw.process.spawn{ "sh", "-c", "echo y; echo y; exec cat", pty = true }
      print(mw.fs.read(arg[1]))]], path "data")
    expect(child, END)
    answer(child, "y\n")
    assert.truthy(rest(child):find("the data", 1, true))
  end)

  it("begins on a page of its own, whatever the script wrote before", function()
    local child <close> = assert(process.spawn {
      program, "eval", "io.write('\27[8m\27(0') " .. read, path "data", pty = true, env = { TERM = "xterm" },
    })
    local asked = expect(child, END)
    local reset = asked:find("\27[0m", 1, true)
    assert.truthy(reset and reset > asked:find("\27(0", 1, true) and reset < asked:find("asks: read", 1, true), asked)
    answer(child, "n\n")
    rest(child)
  end)

  it("stops the clock: no deadline passes while a person is asked", function()
    local child <close> = start({ "--timeout=3s" }, [[
      local uv = require "uv"
      local fired
      local timer = uv.new_timer()
      timer:start(3000, 0, function() fired = true end)
      print(mw.task.timeout(3, function()
        local text = mw.fs.read(arg[1])
        mw.task.sleep(0.01)
        return text, fired
      end))
      timer:close()]], path "data")
    expect(child, END)
    pass "3s"
    answer(child, "y\n")
    local text, status = rest(child)
    assert.truthy(text:find("the data\tnil", 1, true), text)
    assert.equal(0, status)
  end)

  it("goes on running afterwards: a deadline still passes", function()
    local child <close> = start({ "--timeout=3s" }, "pcall(mw.fs.read, arg[1]) mw.task.wait()", path "data")
    expect(child, END)
    answer(child, "n\n")
    assert.equal(124, select(2, rest(child)))
  end)

  it("is asked for by request, whose once is kept for the next use; a whole kind too", function()
    local child <close> = start({}, [[
      print(mw.permissions.query("read", arg[1]), mw.permissions.request("read", arg[1]))
      print(mw.fs.read(arg[1]), mw.permissions.request("read", arg[1]))
      print(mw.permissions.request("env"), mw.permissions.query("env"), pcall(function() return mw.env.HOME end))]], path "data")
    expect(child, END)
    answer(child, "y\n")
    expect(child, "prompt\tgranted\r\n")
    expect(child, END)
    answer(child, "n\n")
    expect(child, "the data\tdenied\r\n")
    local asked = expect(child, END)
    assert.truthy(asked:find("env %(everything%)\r\n +%-%-allow%-env would"), asked)
    answer(child, "a\n")
    assert.truthy(rest(child):find("granted\tgranted\ttrue", 1, true))
  end)

  it("is in the audit, with what was answered", function()
    local child <close> = start({ "--audit=" .. path "audit" }, "for i = 1, 3 do pcall(mw.fs.read, arg[1]) end", path "data")
    for _, keys in ipairs { "n\n", "y\n", "a\n" } do
      expect(child, END)
      answer(child, keys)
    end
    rest(child)
    local said = {}
    for line in io.lines(path "audit") do said[#said + 1] = line:match '"outcome":"([^"]*)","rule":"prompt","where":"eval:1"' end
    assert.same({ "denied", "granted once", "granted always" }, said)
  end)

  it("does not ask require for modules that are not there", function()
    local child <close> = start({}, "print(pcall(require, 'no.such.module'))")
    local text, status = rest(child)
    assert.falsy(text:find(END, 1, true), text)
    assert.equal(0, status)
  end)

  it("grants no prefix by a name that looks like one", function()
    local get = "pcall(function() return mw.env['HO*'] end) "
    local child <close> = start({}, get .. get .. "print(mw.permissions.query('env', 'HOME'))")
    for _ = 1, 2 do
      expect(child, END)
      answer(child, "a\n")
    end
    assert.truthy(rest(child):find("prompt", 1, true))
  end)
end)
