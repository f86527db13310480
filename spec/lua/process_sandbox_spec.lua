-- Options `sandbox` and `limits`: what they take, what they refuse, and what the kernel then holds.
local mw = require "moonwire"
local process, fs = mw.process, mw.fs
local program = os.getenv("MOONWIRE") or "moonwire"
local confined = dofile("spec/support/confined.lua")(pending)

local dir
before_each(function() dir = assert(fs.tempdir()) end)
after_each(function() dir:close() end)

local function raised(options)
  local ok, err = pcall(process.run, options)
  assert.is_false(ok)
  return err
end

--- What a script under `rights` printed; DIR in both stands for the folder of this test.
local function main(rights, text)
  local command = { program, "run", timeout = 30 }
  command.stdin = "local mw = require 'moonwire' local run = mw.process.run\n"
    .. "local function denied(o) local ok, e = pcall(run, o) print(ok, e.code, e.subject, e.hint) end\n"
    .. text:gsub("%f[%u]DIR", dir.path)
  for _, right in ipairs(rights) do command[#command + 1] = (right:gsub("%f[%u]DIR", dir.path)) end
  command[#command + 1] = "-"
  local r = assert(process.run(command))
  assert.equal("", r.stderr)
  return (r.stdout:gsub(dir.path:gsub("%-", "%%-"), "DIR"))
end

describe("the option sandbox", function()
  it("of the wrong kind raises, and says what is expected", function()
    for _, case in ipairs {
      { 5, 'option "sandbox" must be a table' },
      { { reed = {} }, 'did you mean "read"' },
      { { permissions = {} }, 'unknown option "permissions"' },
      { { read = 5 }, 'option "sandbox": read must be a list of rules, or true for all, got number' },
      { { read = { "/a", 5 } }, "must be a string" },
      { { read = { "/a", [3] = "/b" } }, "has a hole in it" },
      { { write = { name = "/a" } }, "is a list: a key of type string is none" },
      { { connect = 443 }, 'option "sandbox": connect must be a list of ports, got number' },
      { { connect = true }, "must be a list of ports" },
      { { connect = { "443" } }, "must be an integer" },
      { { connect = { 0 } }, "from 1 to 65535" },
      { { listen = { 65536 } }, "from 0 to 65535" },
      { { env = { "" } }, "a name is empty" },
      { { env = { 1 } }, "must be a string" },
      { { unix = 1 }, "must be true or false" },
      { { metadata = "yes" }, "must be true or false" },
    } do
      local err = raised { "true", sandbox = case[1] }
      assert.equal("EINVAL", err.code)
      assert.truthy(err.message:find(case[2], 1, true), err.message)
    end
  end)

  it("is not for scripts, which take permissions", function()
    local err = raised { script = "child.lua", sandbox = {} }
    assert.equal("EINVAL", err.code)
    assert.truthy(err.message:find("a script child takes `permissions`", 1, true), err.message)
  end)

  it("that asks for more than the script has is denied, and names the flag", confined(function()
    assert.equal([[
false	EDENIED	read /etc	grant it with --allow-read=/etc
false	EDENIED	write DIR	grant it with --allow-write=DIR
false	EDENIED	read everything	grant it with --allow-read
false	EDENIED	env HOME	grant it with --allow-env=HOME
false	EDENIED	connect :443	the kernel knows ports and no hosts: grant it for all of them with --allow-connect=:443
false	EDENIED	listen :80	the kernel knows ports and no hosts: grant it for all of them with --allow-listen=:80
false	EDENIED	unix	grant it with --allow-net for everything, or with --trust-run=/usr/bin/true
false	EDENIED	metadata	grant some --allow-write
]], main({ "--allow-run=/usr/bin/true", "--allow-read=DIR", "--allow-connect=example.com:443,:8080" }, [[
      denied { "/usr/bin/true", sandbox = { read = { "DIR", "/etc" } } }
      denied { "/usr/bin/true", sandbox = { write = { "DIR" } } }
      denied { "/usr/bin/true", sandbox = { read = true } }
      denied { "/usr/bin/true", sandbox = { env = { "HOME" } } }
      denied { "/usr/bin/true", sandbox = { connect = { 8080, 443 } } }
      denied { "/usr/bin/true", sandbox = { listen = { 80 } } }
      denied { "/usr/bin/true", sandbox = { unix = true } }
      denied { "/usr/bin/true", sandbox = { metadata = true } }
    ]]))
  end))

  it("narrows the files: what is not listed is not there, neither to read nor to write", confined(function()
    assert(fs.mkdir(dir.path .. "/in"))
    assert(fs.mkdir(dir.path .. "/other"))
    assert(fs.write(dir.path .. "/in/file", "text"))
    assert(fs.write(dir.path .. "/other/file", "secret"))
    assert.equal("true\ttext\nfalse\nfalse\ntrue\nfalse\nfalse\n", main({ "-A" }, [[
      local box = { read = { "DIR/in" }, write = { "DIR/out" } }
      mw.fs.mkdir("DIR/out")
      local r = run { "cat", "DIR/in/file", sandbox = box } print(r.ok, r.stdout)
      print(run { "cat", "DIR/other/file", sandbox = box }.ok)
      print(run { "sh", "-c", "echo x >DIR/in/file", sandbox = box }.ok)
      print(run { "sh", "-c", "echo x >DIR/out/file", sandbox = box }.ok)
      print(run { "cat", "DIR/out/file", sandbox = box }.ok)
      print(run { "cat", "/etc/shadow", sandbox = box }.ok)
    ]]))
    assert.equal("x\n", fs.read(dir.path .. "/out/file"))
  end))

  it("with one of read and write mentioned gives nothing of the other", confined(function()
    assert(fs.write(dir.path .. "/file", "text"))
    assert.equal("true\tfalse\nfalse\ttrue\n", main({ "--allow-run=sh", "--allow-read=DIR", "--allow-write=DIR" }, [[
      for _, box in ipairs { { read = { "DIR" } }, { write = { "DIR" } } } do
        local function sh(text) return run { "sh", "-c", text, sandbox = box }.ok end
        print(sh "read x <DIR/file || test -n \"$x\"", sh "echo x >>DIR/new")
      end
    ]]))
  end))

  it("without files keeps those of the script", confined(function()
    assert(fs.write(dir.path .. "/file", "text\n"))
    assert.equal("true\nfalse\n", main({ "--allow-run=cat", "--allow-read=DIR" }, [[
      print(run { "cat", "DIR/file", sandbox = {} }.ok)
      print(run { "cat", "/etc/shadow", sandbox = {} }.ok)
    ]]))
  end))

  it("binds a program that is trusted, too", confined(function()
    assert.equal("true\nfalse\n", main({ "--trust-run=ls" }, [[
      print(run { "ls", "/var" }.ok)
      print(run { "ls", "/var", sandbox = {} }.ok)
    ]]))
  end))

  it("narrows what is inherited of the environment", confined(function()
    local text = [[
      local r = run { "env", clear_env = false, env = { HOME = false, TMPDIR = false, ADDED = "1" }, sandbox = SANDBOX }
      local lines = {}
      for line in r.stdout:gmatch "[^\n]+" do lines[#lines + 1] = line end
      table.sort(lines)
      print(table.concat(lines, " "))
    ]]
    local rights = { "--allow-run=env", "--allow-env=ONE_A,ONE_B,TWO" }
    local function with(sandbox)
      local r = assert(process.run { program, "run", rights[1], rights[2], "-", timeout = 30, env = { ONE_A = "a", ONE_B = "b", TWO = "2" },
        stdin = "local mw = require 'moonwire' local run = mw.process.run\n" .. text:gsub("SANDBOX", sandbox) })
      assert.equal("", r.stderr)
      return r.stdout
    end
    assert.equal("ADDED=1 ONE_A=a ONE_B=b TWO=2\n", with "{}")
    assert.equal("ADDED=1 TWO=2\n", with "{ env = 'TWO' }")
    assert.equal("ADDED=1\n", with "{ env = {} }")
    rights[2] = "--allow-env=ONE_*,TWO"
    assert.equal("ADDED=1 ONE_A=a ONE_B=b\n", with "{ env = { 'ONE_*' } }")
  end))

  it("opens the TCP ports that it lists and no others", confined(function()
    local first <close> = assert(mw.net.listen("tcp://127.0.0.1:0"))
    local second <close> = assert(mw.net.listen("tcp://127.0.0.1:0"))
    local a, b = tostring(first:address()):match ":(%d+)$", tostring(second:address()):match ":(%d+)$"
    local text = ([[
      local try = "use IO::Socket::INET; exit(IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $ARGV[0]) ? 0 : 1)"
      for _, box in ipairs { {}, { connect = { A } }, { connect = {} } } do
        print(run { "perl", "-e", try, "A", sandbox = box }.ok, run { "perl", "-e", try, "B", sandbox = box }.ok)
      end
    ]]):gsub("%f[%w][AB]%f[%W]", { A = a, B = b })
    assert.equal("true\ttrue\ntrue\tfalse\nfalse\tfalse\n", main({ "--allow-run=perl", ("--allow-connect=:%s,:%s"):format(a, b) }, text))
    assert.equal("false\tfalse\n", main({ "--allow-run=perl", ("--allow-connect=127.0.0.1:%s"):format(a) },
      text:gsub("ipairs {.-} do", "ipairs { {} } do")))
  end))

  it("lets Unix sockets in by name only with `unix`", confined(function()
    local server <close> = assert(mw.net.listen("unix:" .. dir.path .. "/socket"))
    assert.truthy(server)
    assert.equal("false\ttrue\n", main({ "--allow-run=perl", "--allow-net", "--allow-read=DIR", "--allow-write=DIR" }, [[
      local try = "use IO::Socket::UNIX; exit(IO::Socket::UNIX->new(Peer => 'DIR/socket') ? 0 : 1)"
      print(run { "perl", "-e", try, sandbox = {} }.ok, run { "perl", "-e", try, sandbox = { unix = true } }.ok)
    ]]))
  end))

  it("refuses chmod unless something may be written, or `metadata` says so", confined(function()
    assert(fs.write(dir.path .. "/file", ""))
    assert.equal("false\ttrue\tfalse\ttrue\n", main({ "--allow-run=chmod", "--allow-read=DIR", "--allow-write=DIR" }, [[
      local function try(box) return run { "chmod", "600", "DIR/file", sandbox = box }.ok end
      print(try { read = { "DIR" } }, try { read = { "DIR" }, metadata = true }, try { read = {}, write = {} }, try {})
    ]]))
  end))

  it("holds for every stage of a pipeline that has no other", confined(function()
    assert(fs.write(dir.path .. "/file", "text"))
    assert.equal("TEXT\tfalse\ttrue\n", main({ "-A" }, [[
      local pipe = mw.process.pipe
      local box = { read = { "DIR/file" } }
      print(pipe { { "cat", "DIR/file" }, { "tr", "a-z", "A-Z" }, sandbox = box }.stdout,
        pipe { { "cat", "/etc/shadow" }, { "wc", "-c" }, sandbox = box }.ok,
        pipe { { "cat", "/etc/shadow", sandbox = { read = { "/etc" } } }, { "wc", "-c" }, sandbox = box }.ok)
    ]]))
  end))

  it("is kept: the same one again builds no other, and a changed policy makes a new one", confined(function()
    assert(fs.write(dir.path .. "/file", "text"))
    assert.equal("true true true true\nfalse false\n", main({ "--allow-run=cat", "--allow-read=DIR" }, [[
      local out = {}
      for i = 1, 4 do out[i] = tostring(run { "cat", "DIR/file", sandbox = { read = { i % 2 == 0 and "DIR" or "DIR/file" } } }.ok) end
      print(table.concat(out, " "))
      mw.permissions.drop("read", "DIR/file")
      print(run { "cat", "DIR/file", sandbox = { read = { "DIR" } } }.ok, pcall(run, { "cat", sandbox = { read = { "DIR/file" } } }))
    ]]):gsub("(false false)[^\n]*", "%1"):gsub("\tfalse[^\n]*", " false"))
  end))

  it("means where a link in it leads when the program starts, not where it led before", confined(function()
    for _, name in ipairs { "one", "two" } do
      assert(fs.mkdir(dir.path .. "/" .. name))
      assert(fs.write(dir.path .. "/" .. name .. "/file", name))
    end
    assert.equal("one\tfalse\ntwo\tfalse\none\tfalse\n", main({ "-A" }, [[
      local box = { read = { "DIR/now" } }
      for _, to in ipairs { { "one", "two" }, { "two", "one" }, { "one", "two" } } do
        assert(run { "ln", "-sfn", to[1], "DIR/now", check = true })
        print(run { "cat", "DIR/now/file", sandbox = box }.stdout, run { "cat", "DIR/" .. to[2] .. "/file", sandbox = box }.ok)
      end
    ]]))
  end))

  it("lets a #! file be read that was replaced since the last start", confined(function()
    assert.equal("one\ntwo\n", main({ "-A" }, [[
      for _, text in ipairs { "one", "two" } do
        assert(mw.fs.write("DIR/new", "#!/bin/sh\necho " .. text .. "\n"))
        assert(run { "chmod", "755", "DIR/new", check = true })
        assert(os.rename("DIR/new", "DIR/script"))
        local r = run { "DIR/script", sandbox = { read = {} } }
        io.stdout:write(r.stdout, r.stderr)
      end
    ]]))
  end))
end)

describe("the option limits", function()
  it("of the wrong kind raises, and says what is expected", function()
    for _, case in ipairs {
      { 5, 'option "limits" must be a table' },
      { { mem = 1 }, "unknown option" },
      { { memory = "much" }, 'option "memory"' },
      { { memory = 0 }, 'option "memory"' },
      { { cpu = 0 }, "more than no time" },
      { { cpu = -1 }, 'option "cpu"' },
      { { files = 0 }, 'option "files"' },
      { { processes = 1.5 }, 'option "processes"' },
    } do
      local err = raised { "true", limits = case[1] }
      assert.equal("EINVAL", err.code)
      assert.truthy(err.message:find(case[2], 1, true), err.message)
    end
  end)

  it("ends a program by signal when its processor time is used up", confined(function()
    local r = assert(process.run { "sh", "-c", "while :; do :; done", limits = { cpu = 1 }, timeout = 60 })
    assert.is_false(r.timed_out)
    assert.truthy(r.signal == "XCPU" or r.signal == "KILL", r.signal)
  end))

  it("makes allocations, opens and forks beyond it fail in the program", confined(function()
    local r = assert(process.run { "perl", "-e", "my $x = 'x' x 300000000; print length $x", limits = { memory = "100MiB" } })
    assert.is_false(r.ok)
    assert.equal("", r.stdout)
    local open = "my @f; for (1..50) { open(my $f, '<', '/dev/null') or last; push @f, $f } print scalar @f"
    r = assert(process.run { "perl", "-e", open, limits = { files = 20 } })
    assert.truthy(tonumber(r.stdout) < 20 and tonumber(r.stdout) > 5, r.stdout)
    local code = "for (1..20) { my $p = fork; defined $p or exit 9; if (!$p) { sleep 1000 } } exit 0"
    local err
    r, err = process.run { "perl", "-e", code, limits = { processes = 8 }, kill_after = 0.1 }
    if not r then assert.equal("EOPNOTSUPP", err.code) else assert.equal(9, r.code) end -- a superuser's need a control group
  end))

  it("holds without confining a program of a script that may do everything", confined(function()
    local r = assert(process.run { "sh", "-c", "ulimit -n; cat /proc/self/comm", limits = { files = 77 } })
    assert.equal("77\ncat\n", r.stdout)
  end))

  it("holds for script children", confined(function()
    assert(fs.write(dir.path .. "/child.lua", "local f = {} for i = 1, 200 do f[i] = io.open('/dev/null') end print(#f < 200)"))
    local r = assert(process.run { script = dir.path .. "/child.lua", permissions = { read = { "/dev/null" } }, limits = { files = 60 } })
    assert.equal("true\n", r.stdout, r.stderr)
  end))
end)
