-- mw.process.sh, pipe and lines: what is built of running a program.
local mw = require "moonwire"
local process = mw.process

local function raised(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return err
end

describe("the shell", function()
  it("runs a command as it is written", function()
    assert.equal("100% a\n", assert(process.sh "echo 100% a").stdout)
    assert.equal(4, process.sh("exit 4").code)
  end)

  it("takes each argument as one word, whatever is in it", function()
    local evil = {
      "", " ", "a b", "it's", "'", "''", "\"", "$HOME", "$(echo x)", "`echo x`", "\\", "\\'", "a\nb", "; echo x", "& echo x", "*", "~",
      "-n", "#", "%s", "%%", "\1\127\255", "!x", "$'\\''", "{a,b}", "x\\",
    }
    for _, word in ipairs(evil) do
      local r = assert(process.sh { "printf '<%%s>' %s %s", word, "end" })
      assert.equal("<" .. word .. "><end>", r.stdout)
    end
  end)

  it("takes options and numbers", function()
    local r = assert(process.sh { "echo %s; cat; exit %s", "in", 3, stdin = "fed" })
    assert.equal("in\nfed", r.stdout)
    assert.equal(3, r.code)
    assert.equal("TERM", assert(process.sh { "sleep %s", 100, timeout = 0.05 }).signal)
  end)

  it("refuses %s where no quoting would hold", function()
    for _, text in ipairs {
      "echo '%s'", "echo \"%s\"", "echo `echo %s`", "echo \\%s", "echo $%s", "cat <<E\n%s\nE", "true # %s", "true;# %s", "# %s",
      "echo \"$(echo %s)\"",
      "echo 'a' 'b %s'", "echo \"a\\\"%s\"", "echo a\\\n%s'%s'",
    } do
      local err = raised(process.sh, { text, "x", "y" })
      assert.equal("EINVAL", err.code)
      assert.truthy(err.message:find("cannot stand here", 1, true), text)
    end
    assert.equal("a# x\n", assert(process.sh { "echo a# %s", "x" }).stdout)
    assert.equal("it's x\n", assert(process.sh { "echo it\\'s %s", "x" }).stdout)
    assert.equal("a b x\n", assert(process.sh { "echo 'a b' \"$(echo x)\" %s | sed 's/x //'", "x" }).stdout)
  end)

  it("refuses too few and too many arguments, other letters, NUL and what is no text", function()
    for _, bad in ipairs {
      { "echo %s" }, { "echo", "x" }, { "echo %s", "x", "y" }, { "echo %d", 1 }, { "echo %" }, { "echo %s", {} },
      { "echo %s", "a\0b" }, {}, { 5 },
    } do
      assert.equal("EINVAL", raised(process.sh, bad).code)
    end
    assert.equal("EINVAL", raised(process.sh).code)
  end)
end)

describe("a pipeline", function()
  it("joins its commands by the kernel's pipes", function()
    local r = assert(process.pipe { { "printf", "b\\na\\nb\\n" }, { "sort" }, { "uniq", "-c" }, timeout = 20 })
    assert.equal("1 a 2 b", (r.stdout:gsub("%s+", " "):match("^ (.-) $")))
    assert.is_true(r.ok)
    assert.equal(3, #r.stages)
    for i = 1, 3 do assert.is_true(r.stages[i].ok) end
  end)

  it("carries more than a pipe holds, from input to output", function()
    local text = ("0123456789\n"):rep(200000)
    local r = assert(process.pipe { { "cat" }, { "cat" }, { "cat" }, stdin = text })
    assert.is_true(r.stdout == text)
  end)

  it("is as good as its rightmost failure", function()
    local r = assert(process.pipe { { "sh", "-c", "exit 3" }, { "cat" } })
    assert.is_false(r.ok)
    assert.equal(3, r.code)
    r = assert(process.pipe { { "sh", "-c", "exit 3" }, { "sh", "-c", "exit 4" }, { "cat" } })
    assert.equal(4, r.code)
    assert.equal(3, r.stages[1].code)
  end)

  it("does not blame a stage whose reader had enough", function()
    local r = assert(process.pipe { { "yes" }, { "head", "-n", "1" } })
    assert.equal("y\n", r.stdout)
    assert.equal("PIPE", r.stages[1].signal)
    assert.is_true(r.ok)
  end)

  it("gathers the errors of all stages, in their order", function()
    local r = assert(process.pipe { { "sh", "-c", "echo one >&2" }, { "sh", "-c", "cat; echo two >&2" } })
    assert.equal("one\ntwo\n", r.stderr)
  end)

  it("ends all of it in time", function()
    local r = assert(process.pipe { { "sleep", "100" }, { "cat" }, timeout = 0.05 })
    assert.is_true(r.timed_out)
    assert.is_false(r.ok)
    assert.equal("TERM", r.stages[1].signal)
  end)

  it("starts all of it or nothing", function()
    local r, err = process.pipe { { "sleep", "100" }, { "no-such-program" }, { "cat" } }
    assert.is_nil(r)
    assert.equal("ENOENT", err.code)
  end)

  it("raises with check, and on what is no pipeline", function()
    assert.equal("ECRASHED", raised(process.pipe, { { "false" }, { "cat" }, check = true }).code)
    for _, bad in ipairs {
      {}, { "sort" }, { { "sort" }, detached = true }, { { "sort", stdout = "null" }, { "cat" } }, { { "sort" }, { "cat", stdin = "x" } },
      { { "sort" }, nope = 1 },
    } do
      assert.equal("EINVAL", raised(process.pipe, bad).code)
    end
  end)
end)

describe("the lines of a program", function()
  it("come as they are written, without their ends, and then it is over", function()
    local seen = {}
    for line in process.lines { "sh", "-c", "echo a; echo; printf c" } do seen[#seen + 1] = line end
    assert.same({ "a", "", "c" }, seen)
  end)

  it("end with the loop, and the program with them", function()
    local pid
    for line in process.lines { "sh", "-c", "echo $$; exec sleep 1000" } do
      pid = math.tointeger(tonumber(line))
      if pid then break end
    end
    local r = assert(process.run { "sh", "-c", "while kill -0 $0 2>/dev/null; do sleep 0.01; done", pid, timeout = 30 })
    assert.is_true(r.ok)
  end)

  it("may be as long as max_output says", function()
    for line in process.lines { "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x", max_output = "4MiB" } do
      assert.equal(3000000, #line)
    end
    assert.equal("EFRAME", raised(function()
      for _ in process.lines { "echo", "four", max_output = 3 } do end
    end).code)
  end)

  it("raise when the program cannot start, and with check when it fails", function()
    assert.equal("ENOENT", raised(function() for _ in process.lines { "no-such-program" } do end end).code)
    for _ in process.lines { "sh", "-c", "exit 3" } do end
    local err = raised(function() for _ in process.lines { "sh", "-c", "echo x; exit 3", check = true } do end end)
    assert.equal(3, err.data.exit_code)
    assert.equal("EINVAL", raised(process.lines, { "echo", stdout = "null" }).code)
  end)

  it("raise when time runs out, so that what came is not taken for everything", function()
    local seen = {}
    local err = raised(function()
      for line in process.lines { "sh", "-c", "echo first; exec sleep 1000", timeout = "2s" } do seen[#seen + 1] = line end
    end)
    assert.equal("ETIMEDOUT", err.code)
    assert.same({ "first" }, seen)
  end)
end)
