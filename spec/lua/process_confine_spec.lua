-- Programs under --allow-run: held by the kernel to the script's own rights, and working inside them.
local mw = require "moonwire"
local process, fs = mw.process, mw.fs
local program = os.getenv("MOONWIRE") or "moonwire"
local confined, unconfined = dofile("spec/support/confined.lua")(pending)

local dir, temp
before_each(function()
  dir, temp = assert(fs.tempdir()), assert(fs.tempdir())
  assert(fs.mkdir(dir.path .. "/in"))
  assert(fs.mkdir(dir.path .. "/out"))
  assert(fs.write(dir.path .. "/in/file", "inside\n"))
  assert(fs.write(dir.path .. "/secret", "outside\n"))
end)
after_each(function()
  dir:close()
  temp:close()
end)

--- What a script under `rights` printed; DIR in both stands for the folder of this test.
local function main(rights, text)
  local command = { program, "run", timeout = 60, env = { TMPDIR = temp.path } }
  command.stdin = "local mw = require 'moonwire' local run = mw.process.run\n"
    .. "local function sh(text) return run { 'sh', '-c', text } end\n"
    .. text:gsub("%f[%u]DIR", dir.path)
  for _, right in ipairs(rights) do command[#command + 1] = (right:gsub("%f[%u]DIR", dir.path)) end
  command[#command + 1] = "-"
  local r = assert(process.run(command))
  assert.equal("", r.stderr)
  return (r.stdout:gsub(dir.path:gsub("%-", "%%-"), "DIR"):gsub(temp.path:gsub("%-", "%%-"), "TEMP"))
end

local both = { "--allow-run", "--allow-read=DIR/in", "--allow-write=DIR/out" }
local but_secret = { "--allow-run", "--allow-read=DIR", "--allow-write=DIR", "--deny-read=DIR/secret", "--deny-write=DIR/secret" }

describe("a program that a script may run", function()
  it("reads and writes what the script may, and nothing else", confined(function()
    assert.equal("inside\nfalse false false false true false\n", main(both, [[
      io.write(run { "cat", "DIR/in/file" }.stdout)
      print(run { "cat", "DIR/secret" }.ok, run { "ls", "DIR" }.ok, run { "cat", "/etc/shadow" }.ok,
        sh("echo x >DIR/in/file").ok, sh("echo x >DIR/out/file").ok, sh("rm DIR/in/file").ok)
    ]]):gsub("\t", " ") .. "")
    assert.equal("x\n", fs.read(dir.path .. "/out/file"))
  end))

  it("makes, renames and removes where it may write, across folders", confined(function()
    assert.equal("true\t\ntrue\t\n", main(both, [[
      local r = sh "cd DIR/out && mkdir a b && echo x >a/f && mv a/f b/g && ln -s g b/l && rm -r a"
      print(r.ok, r.stderr)
      r = sh "cd DIR/out/b && rm g l && rmdir ../b"
      print(r.ok, r.stderr)
    ]]))
  end))

  it("does not reach what is denied inside a granted folder, by that name or a new one", confined(function()
    assert.equal("true\tfalse\tfalse\tfalse\n", main(but_secret, [[
      print(sh("cat DIR/in/file").ok, sh("cat DIR/secret").ok, sh("ln DIR/secret DIR/out/s && cat DIR/out/s").ok,
        sh("mv DIR/secret DIR/out/s").ok)
    ]]))
  end))

  it("loses what is dropped, from the next start on", confined(function()
    assert.equal("true\tfalse\n", main(both, [[
      local before = run { "cat", "DIR/in/file" }.ok
      mw.permissions.drop("read")
      print(before, run { "cat", "DIR/in/file" }.ok)
    ]]))
  end))

  it("passes its cage on to what it starts itself", confined(function()
    assert.equal("false\tfalse\n", main(both, [[
      print(sh("sh -c 'sh -c \"cat DIR/secret\"'").ok, sh("(setsid cat DIR/secret) 2>&1").ok)
    ]]))
  end))

  it("is not confined when it is trusted, or when the script may do everything", confined(function()
    assert.equal("outside\n", main({ "--trust-run=cat" }, "io.write(run { 'cat', 'DIR/secret' }.stdout)"))
    assert.equal("outside\n", main({ "-A" }, "io.write(run { 'cat', 'DIR/secret' }.stdout)"))
    assert.equal("", main({ "-A", "--deny-read=DIR/in" }, "io.write(run { 'cat', 'DIR/in/file' }.stdout)"))
  end))

  it("cannot write a trusted program, and finds its folder opened up; hard links to that are not looked for", confined(function()
    assert(process.run { "sh", "-c", "cp /bin/true $0/in/tool; ln $0/in/tool $0/out/again", dir.path })
    local rights = { "--trust-run=DIR/in/tool", "--allow-run=sh", "--allow-write=DIR/in,DIR/out" }
    assert.equal("false\tfalse\ttrue\ttrue\n", main(rights, [[
      print(sh("echo x >DIR/in/tool").ok, sh("echo x >DIR/in/new").ok, sh("echo x >DIR/in/file").ok, sh("echo x >DIR/out/new").ok)
    ]]))
    assert.equal("true\ttrue\n", main({ "--trust-run=DIR/in/tool", "--allow-run=sh", "--allow-write" }, [[
      print(sh("echo x >DIR/in/new").ok, not pcall(io.open, "DIR/in/tool", "a"))
    ]]))
  end))

  it("is confined by uv.spawn as well", confined(function()
    assert.equal("1\n", main(both, [[
      local uv = require "uv"
      local code
      uv.spawn("cat", { args = { "DIR/secret" } }, function(c) code = c end)
      while not code do mw.task.sleep(0.01) end
      print(code)
    ]]))
  end))

  it("works on a terminal of its own, which it can open by name", confined(function()
    assert.equal("true\n", main(both, [[
      local r = run { "sh", "-c", "tty && echo by name >$(tty)", pty = true }
      print(r.stdout:find("by name", 1, true) ~= nil)
    ]]))
  end))

  it("without a net right has no sockets but pairs", confined(function()
    assert.equal("no no no no yes\n", main(both, [[
      local function try(code) return run { "perl", "-MSocket", "-e", code .. " or exit 1" }.ok and "yes" or "no" end
      print(try "socket(S, PF_INET, SOCK_STREAM, 0)" .. " " .. try "socket(S, PF_INET, SOCK_DGRAM, 0)" .. " "
        .. try "socket(S, PF_UNIX, SOCK_STREAM, 0)" .. " " .. try "socket(S, 16, SOCK_RAW, 0)" .. " "
        .. try "socketpair(A, B, PF_UNIX, SOCK_STREAM, 0)")
    ]]))
  end))

  it("does not signal, trace or type for anybody outside", confined(function()
    assert.equal("no no no\n", main({ "--allow-run", "--allow-sys=pid" }, [[
      local function try(code) return run { "perl", "-e", code .. " or exit 1" }.ok and "yes" or "no" end
      local parent = "getppid()"
      print(try("kill(0, " .. parent .. ")") .. " " .. try("syscall(101, 16, " .. parent .. ", 0, 0) == 0") .. " "
        .. try("open(my $t, '<', '/dev/null'); ioctl($t, 0x5412, 'x')"))
    ]]))
  end))

  it("cannot change modes unless it may write somewhere", confined(function()
    assert.equal("false\ttrue\n", main({ "--allow-run", "--allow-read=DIR" }, "print(sh('chmod 600 DIR/in/file').ok, sh('true').ok)"))
    assert.equal("true\n", main({ "--allow-run", "--allow-write=DIR/out" }, "print(sh('echo >DIR/out/f && chmod 600 DIR/out/f').ok)"))
  end))

  it("makes no file that others would run as this user", confined(function()
    assert.equal("false\tfalse\tfalse\ttrue\n", main({ "--allow-run", "--allow-write=DIR/out", "--allow-read=DIR/out" }, [[
      local make = "use Fcntl; umask 0; exit(sysopen(F, 'DIR/out/made', O_CREAT | O_WRONLY, oct('04755')) ? 0 : 1)"
      print(sh("cp /bin/true DIR/out/t && chmod u+s DIR/out/t").ok, sh("chmod 2755 DIR/out").ok, run { "perl", "-e", make }.ok,
        sh("chmod 755 DIR/out/t").ok)
    ]]))
  end))

  it("makes no new namespaces", confined(function()
    assert.equal("false\n", main(both, "print(run { 'unshare', '-Ur', 'true' }.ok)"))
  end))
end)

describe("where nothing can be confined", function()
  local text = [[
    local run = require("moonwire").process.run
    local function try(o) local r, e = run(o) print(r and r.ok, e and e.code, e and e.hint) end
    try { "true" }
    try { "true", sandbox = {} }
    try { script = "spec/support/fail_alloc_child.lua", permissions = "inherit" }
  ]]
  local trust, bare = "--trust-run=true would start it with all rights of its user", "--trust-run would start it without"
  local no_box = "without `sandbox` it would run with all rights of its user"

  --- The same, run by `before`, under `right`.
  local function try(before, right)
    local command = { timeout = 60, stdin = text, table.unpack(before) }
    for _, word in ipairs { program, "run", "--allow-read=spec", "--allow-env", right, "-" } do command[#command + 1] = word end
    local r = assert(process.run(command))
    assert.equal("", r.stderr)
    return r.stdout
  end
  local function refuses(before)
    assert.equal(("nil\tEOPNOTSUPP\t%s\n"):rep(3):format(trust, trust, bare), try(before, "--allow-run=true"))
    assert.equal(("true\tnil\tnil\nnil\tEOPNOTSUPP\t%s\ntrue\tnil\tnil\n"):format(no_box), try(before, "--trust-run"))
    assert.equal(("true\tnil\tnil\nnil\tEOPNOTSUPP\t%s\ntrue\tnil\tnil\n"):format(no_box), try(before, "-A"))
  end

  it("nothing starts but what is trusted: by a kernel without Landlock", confined(function()
    refuses { (os.getenv("MOONWIRE_BUILD") or program:match "^(.*)/") .. "/attack/without", "landlock" }
  end))

  it("nothing starts but what is trusted: by a build that cannot", unconfined(function() refuses {} end))
end)

describe("the audit", function()
  it("tells how each child starts, and what of the rights is left out", confined(function()
    main({ "--allow-run", "--trust-run=cat", "--allow-read=DIR", "--deny-read=DIR/secret", "--audit=DIR/out/audit" }, [[
      run { "ls" }
      run { "cat" }
      pcall(run, { "ls", sandbox = { write = { "DIR" } } })
    ]])
    local told = {}
    for line in io.lines(dir.path .. "/out/audit") do
      local subject, outcome = line:match '"op":"process run","subject":"([^"]*)","outcome":"([^"]*)"'
      if subject then told[#told + 1] = subject:gsub(".*/", ""):gsub(":.*", ""):gsub("^moonwire.*", "folder") .. " " .. outcome end
    end
    assert.equal("ls granted, folder left out, ls confined, cat granted, cat not confined, ls granted, folder denied",
      table.concat(told, ", "))
  end))

  it("that cannot be written stops the start", confined(function()
    local r = assert(process.run { program, "run", "--allow-run=true", "--audit=/dev/full", "-", timeout = 60, stdin = [[
      print(select(2, pcall(require("moonwire").process.run, { "true" })).code)
    ]] })
    assert.equal("EDENIED\n", r.stdout, r.stderr)
  end))
end)

describe("the private directory of confined programs", function()
  it("is their HOME and TMPDIR, for them alone, one for a host, and gone with it", confined(function()
    local out = main({ "--allow-run", "--allow-env" }, [[
      local r = sh "echo $HOME; echo $TMPDIR; stat -c %a $HOME; echo x >$HOME/file"
      io.write(r.stdout, sh("cat $TMPDIR/file").stdout)
    ]])
    local home, again = out:match "^(TEMP/moonwire%-%x+)\n(TEMP/moonwire%-%x+)\n700\nx\n$"
    assert.equal(home, again, out)
    assert.same({}, fs.list(temp.path))
  end))

  it("gives way to what the call's environment names", confined(function()
    assert.equal("/mine\n/mine\n\n", main({ "--allow-run" }, [[
      io.write(run { "sh", "-c", "echo $HOME; echo $TMPDIR", env = { HOME = "/mine", TMPDIR = "/mine" } }.stdout)
      io.write(run { "sh", "-c", "echo $HOME", env = { HOME = false } }.stdout)
    ]]))
  end))

  it("is removed whatever a program left in it, and no link is followed", confined(function()
    main(both, [[
      assert(sh("cd $HOME && mkdir -p a/b && echo x >a/b/f && ln -s DIR/in link && ln -s DIR/in a/b/link && chmod 0 a/b && chmod 0 a").ok)
      assert(run { "perl", "-e", 'chdir $ENV{HOME}; for (1..300) { mkdir "d" or die; chdir "d" or die }' }.ok)
    ]])
    assert.same({}, fs.list(temp.path))
    assert.equal("inside\n", fs.read(dir.path .. "/in/file"))
  end))

  it("is removed when the script ends by an error, too", confined(function()
    local r = assert(process.run { program, "run", "--allow-run=sh", "-", timeout = 60, env = { TMPDIR = temp.path }, stdin = [[
      require("moonwire").process.run { "sh", "-c", "echo x >$HOME/file" }
      error "over"
    ]] })
    assert.equal(1, r.code)
    assert.same({}, fs.list(temp.path))
  end))

  it("holds no program that could be started", confined(function()
    assert.equal("126\n", main(both, "print(sh('cp /bin/true $HOME/t && $HOME/t').code)"))
  end))

  it("that a script has swapped for a link opens nothing behind it", confined(function()
    assert.equal("false\tfalse\n", main({ "--allow-run", "--allow-write=" .. temp.path, "--allow-read=" .. temp.path }, [[
      local home = sh("printf %s $HOME").stdout
      assert(mw.fs.rename(home, home .. ".old"))
      os.execute = nil
      assert(run { "ln", "-s", "DIR/out", home }.ok)
      print(sh("echo x >$HOME/f").ok, run { "sh", "-c", "echo x >$HOME/f", sandbox = { read = {}, write = {} } }.ok)
    ]]))
    assert.same({}, fs.list(dir.path .. "/out"))
  end))

  it("that cannot be made is told of once, and programs start without", confined(function()
    local r = assert(process.run { program, "run", "--allow-run=sh", "-", timeout = 60, env = { TMPDIR = dir.path .. "/none" }, stdin = [[
      local run = require("moonwire").process.run
      for _ = 1, 2 do io.write(run { "sh", "-c", "echo home: $HOME" }.stdout) end
    ]] })
    assert.equal("home:\nhome:\n", r.stdout)
    assert.equal(1, select(2, r.stderr:gsub("have no HOME and no TMPDIR", "")), r.stderr)
  end))
end)

describe("inside its rights", function()
  local function installed(name)
    return process.run { "sh", "-c", "command -v " .. name }.ok
  end

  --- What a program did and said, as the shell has it.
  local function works(name, text, rights)
    return confined(function()
      if not installed(name) then return pending(name .. " is not installed") end
      assert.equal("true\tfine\n", main(rights or both, ([[
        local r = sh(%q)
        print(r.ok, r.ok and r.stdout:match "[^\n]*\n*$":gsub("\n", "") or r.stderr .. r.stdout)
      ]]):format(text)))
    end)
  end

  it("python3 works", works("python3", "python3 -c 'import json, tempfile; tempfile.TemporaryFile().write(b\"x\"); "
    .. "open(\"DIR/out/p\", \"w\").write(open(\"DIR/in/file\").read()); print(json.loads(\"\\\"fine\\\"\"))'"))
  it("perl works", works("perl", "perl -e 'open(F, \"<\", \"DIR/in/file\") or die; print \"fine\\n\"'"))
  it("node works", works("node", "node -e 'require(\"fs\").readFileSync(\"DIR/in/file\"); console.log(\"fine\")'"))
  it("sort works, with temporary files", works("sort",
    "seq 200000 | sort -S 100k -R | sort -S 100k -n | tail -n 1 | grep -q 200000 && echo fine"))
  it("mktemp works", works("mktemp", "f=$(mktemp) && echo fine >$f && cat $f"))
  it("here-documents and pipes of the shell work", works("sh", "cat <<END | tr a-z A-Z | tr A-Z a-z\nfine\nEND"))
  it("git works in a granted folder", works("git", "cd DIR/out && git init -q . && echo x >f && git add f && "
    .. "git -c user.name=a -c user.email=a@b commit -qm one && git log --oneline | grep -q one && git status --short && echo fine",
    { "--allow-run", "--allow-read=DIR/out", "--allow-write=DIR/out" }))
  it("gcc works, with temporary files", works("gcc", "cd DIR/out && echo 'int main(void){return 0;}' >a.c && gcc -o a.out a.c && echo fine",
    { "--allow-run", "--allow-env=PATH", "--allow-read=DIR/out", "--allow-write=DIR/out" }))
end)
