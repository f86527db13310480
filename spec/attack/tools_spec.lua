-- Attacks through programs that people really grant: a shell, python3, perl, git, tar, find, sort and their like.
local attack = assert(loadfile("spec/attack/support.lua", "t", _ENV))()

local NO = { "EACCES", "EPERM", "Permission denied", "not permitted", "exit", "ENOENT", "denied", "absent" }

--- argv as Lua source, from words: $W and the like are put in by the attempt itself.
local function run(program, ...)
  local out = {}
  for _, word in ipairs { program, ... } do
    out[#out + 1] = ("(%q):gsub('%%$(%%u)', { W = W, T = T, U = U, P = P, N = N, H = H })"):format(word)
  end
  for i, word in ipairs(out) do out[i] = "(" .. word .. ")" end
  return "local out, why = child { " .. table.concat(out, ", ") .. " } if out and out:find('denied', 1, true) then"
    .. " return nil, { code = 'EACCES', message = out } end return out, why"
end

local function with(program, list, common)
  for _, row in ipairs(list) do
    row.lua = row.lua or run(program, table.unpack(row, 2))
    row.needs, row.cage, row.only = program, true, "landlock"
    row.flags = row.flags or ("--allow-run=%s --allow-read=$W/in"):format(program)
    if row.grant == nil then row.grant = "--trust-run=" .. program end
    row.refused = row.refused or NO
    row.takes = row.takes or false
  end
  return attack.each(common or {}, list)
end

attack.class("a shell", with("sh", {
  { "reads", "-c", "cat $W/secret", takes = true },
  { "reads by redirection", "-c", "read x < $W/secret && echo $x", takes = true },
  { "reads by sourcing, for the error", "-c", ". $W/secret", takes = false, grant = false },
  { "writes", "-c", "echo harm >> $W/secret" },
  { "writes by a here-text of its own into a link", "-c", "ln -s $W/secret $W/out/l && echo harm > $W/out/l",
    flags = "--allow-run=sh --allow-read=$W/in,$W/out --allow-write=$W/out" },
  { "lists", "-c", "for f in $W/private/*; do [ $f != \"$W/private/*\" ] || exit 1; echo $f; done" },
  { "goes there first", "-c", "cd $W/private && cat key", takes = true },
  { "copies what may not be read", "-c", "cp $W/secret $W/out/mine && cat $W/out/mine", takes = true,
    flags = "--allow-run=sh --allow-read=$W/in,$W/out --allow-write=$W/out" },
  { "links what may not be read", "-c", "ln $W/secret $W/out/mine && cat $W/out/mine", takes = true,
    flags = "--allow-run=sh --allow-read=$W/in,$W/out --allow-write=$W/out" },
  { "kills", "-c", "kill -9 $P", victim = true },
  { "kills everybody that it may", "-c", "kill -9 -1; exit 1", victim = true, grant = false },
  { "connects", "-c", "exec 3<>/dev/tcp/127.0.0.1/$T", net = true, grant = false, needs = "sh" },
  { "finds secrets in /proc", "-c", "cat /proc/$P/environ", victim = true },
  { "leaves a configuration in HOME for a program with more rights", flags = "--allow-run=sh", grant = false,
    lua = "assert(child { 'sh', '-c', 'echo planted > $HOME/.profile', sandbox = { read = {} } }) return child { 'sh', '-c', 'cat $HOME/.profile' }" },
  { "reads what a program with more rights has left in HOME", flags = "--allow-run=sh", grant = false,
    lua = "assert(child { 'sh', '-c', 'echo kept > $HOME/.netrc' }) return child { 'sh', '-c', 'cat $HOME/.netrc || cat $HOME/../.netrc', sandbox = { read = {} } }" },
  { "leaves a configuration for a program with another sandbox", flags = "--allow-run=sh --allow-read=$W/in", grant = false,
    lua = "assert(child { 'sh', '-c', 'echo planted > $HOME/.profile', sandbox = { read = {} } })"
      .. " return child { 'sh', '-c', 'cat $HOME/.profile', sandbox = { read = { W .. '/in' } } }" },
  { "raises a limit", lua = "return child { 'sh', '-c', 'ulimit -v unlimited && ulimit -v', limits = { memory = '256MiB' } }", grant = false,
    flags = "--allow-run=sh" },
  { "mounts", "-c", "mount --bind $W/private $W/in && cat $W/in/key", grant = false },
  { "makes a namespace", "-c", "unshare -Ur id", grant = false },
  { "leaves by chroot", "-c", "chroot $W cat /secret", grant = false },
  { "uses the loader", "-c", "/lib64/ld-linux-x86-64.so.2 $W/in/tool", grant = false, world = function(w)
    w.put("in/tool", assert(require("moonwire").fs.read("/bin/cat"))) end, refused = { "exit" },
    lua = "return child { 'sh', '-c', '/lib64/ld-linux-x86-64.so.2 ' .. W .. '/in/tool ' .. W .. '/secret' }" },
  { "preloads", "-c", "LD_PRELOAD=$W/in/x.so cat $W/secret", takes = true },
  { "writes where PATH looks", "-c", "echo '#!/bin/sh' > /usr/local/bin/mw-attack", grant = false },
  { "writes a crontab", "-c", "echo '* * * * * root id' > /etc/cron.d/mw-attack", grant = false },
}))

local CTYPES = "import ctypes,os,sys\nlibc=ctypes.CDLL(None,use_errno=True)\n"
attack.class("python3", with("python3", {
  { "reads", "-c", "print(open('$W/secret').read())", takes = true },
  { "reads by os.open at a directory", "-c", "import os; d=os.open('$W/in',os.O_RDONLY); print(os.read(os.open('../secret',os.O_RDONLY,dir_fd=d),99))", takes = true },
  { "writes", "-c", "open('$W/secret','a').write('x')" },
  { "changes a mode", "-c", "import os; os.chmod('$W/in/plain',0o777)" },
  { "changes times", "-c", "import os; os.utime('$W/in/plain',(1,1))" },
  { "connects", "-c", "import socket; socket.create_connection(('127.0.0.1',$T)).send(b'x')", net = true },
  { "sends a datagram", "-c", "import socket; socket.socket(socket.AF_INET,socket.SOCK_DGRAM).sendto(b'x',('127.0.0.1',$U))", net = true },
  { "connects to a Unix socket", "-c", "import socket; s=socket.socket(socket.AF_UNIX); s.connect('$W/private/sock'); s.send(b'x')", net = true },
  { "connects to an abstract socket", "-c", "import socket; s=socket.socket(socket.AF_UNIX); s.connect('\\0$N'); s.send(b'x')", net = true },
  { "listens", "-c", "import socket; s=socket.socket(); s.bind(('127.0.0.1',0)); s.listen()" },
  { "kills", "-c", "import os; os.kill($P,9)", victim = true },
  { "calls ptrace by ctypes", "-c", CTYPES .. "r=libc.ptrace(16,$P,0,0)\nsys.exit(0 if r==0 else 'EPERM')", victim = true, grant = false },
  { "calls a raw system call", "-c", CTYPES .. "r=libc.syscall(2,b'$W/secret',0)\nprint(os.read(r,99)) if r>=0 else sys.exit('EACCES')", takes = true },
  { "maps memory of another by process_vm_readv", "-c", CTYPES .. "r=libc.syscall(310,$P,0,0,0,0,0)\nsys.exit(0 if r==0 else 'EPERM')", victim = true, grant = false },
  { "sets another user", "-c", "import os; os.setuid(12345); print(open('$W/secret').read())", takes = false, grant = false },
  { "opens an executable of its own making", "-c", "import os\nf=os.memfd_create('x')\nos.write(f,open('/bin/cat','rb').read())\nos.execv('/proc/self/fd/%d'%f,['cat','$W/secret'])",
    takes = true },
  { "reads environment of the host", "-c", "import os; print(open('/proc/%d/environ'%os.getppid()).read())" },
  { "reads by a thread", "-c", "import threading\nr=[]\nt=threading.Thread(target=lambda:r.append(open('$W/secret').read()))\nt.start();t.join();print(r[0])", takes = true },
  { "reads by a forked grandchild", "-c", "import os\npid=os.fork()\nif pid==0:\n  os.setsid()\n  print(open('$W/secret').read(),flush=True)\n  os._exit(0)\nos._exit(os.waitpid(pid,0)[1]>>8)",
    takes = true },
  { "reads a module from the folder that it starts in", lua = "return child { 'python3', '-c', 'import evil', cwd = W .. '/private' }", grant = false,
    world = function(w) w.put("private/evil.py", "print('" .. w.secret .. "')") end },
  { "passes a descriptor to somebody over a socket", "-c", "import socket,array\ns=socket.socket(socket.AF_UNIX)\ns.connect('$W/private/sock')\n"
    .. "s.sendmsg([b'x'],[(socket.SOL_SOCKET,socket.SCM_RIGHTS,array.array('i',[0]))])", net = true },
}))

attack.class("perl", with("perl", {
  { "reads by a raw system call", "-e", "my $n = '$W/secret'; my $f = syscall(2, $n, 0); exit 13 if $f < 0; open(my $h, '<&=', $f); print <$h>", takes = true },
  { "reads", "-e", "open(F, '<', '$W/secret') or die 'EACCES'; print <F>", takes = true },
  { "runs another program", "-e", "exec 'cat', '$W/secret'; exit 1", takes = true },
  { "connects", "-e", "use Socket; socket(S, PF_INET, SOCK_STREAM, 0) or die 'EACCES'; connect(S, sockaddr_in($T, inet_aton('127.0.0.1'))) or die 'EACCES'", net = true },
  { "kills", "-e", "kill(9, $P) or die 'EPERM'", victim = true },
}))

local function repository(w)
  local mw = require "moonwire"
  assert(mw.process.run { "git", "init", "-q", w.dir .. "/in/repo", check = true, env = { HOME = w.dir } })
  w.put("in/repo/.git/config", "[core]\n\trepositoryformatversion = 0\n\tfsmonitor = cat " .. w.dir .. "/secret >&2; false\n"
    .. "\tpager = cat " .. w.dir .. "/secret\n[alias]\n\tx = !cat " .. w.dir .. "/secret\n[safe]\n\tdirectory = *\n")
end
local GIT = "-c"
attack.class("git", with("git", {
  { "an alias of the repository that runs a command", "-C", "$W/in/repo", GIT, "safe.directory=*", "x", world = repository, takes = true },
  { "a monitor of the repository", "-C", "$W/in/repo", GIT, "safe.directory=*", "status", world = repository, grant = false },
  { "an alias by an argument", GIT, "alias.x=!cat $W/secret", "x", takes = true },
  { "reading a file as a difference", "diff", "--no-index", "/dev/null", "$W/secret", grant = false },
  { "cloning from a folder outside", "clone", "$W/private", "$W/out/clone", grant = false, flags = "--allow-run=git --allow-write=$W/out --allow-read=$W/out" },
  { "a hook", "-C", "$W/in/repo", GIT, "safe.directory=*", GIT, "core.hooksPath=$W/in/hooks", "hook", "run", "x", takes = false, grant = false, world = function(w)
    repository(w) w.mkdir("in/hooks") w.put("in/hooks/x", "#!/bin/sh\ncat " .. w.dir .. "/secret\n", 493) end },
}))

attack.class("other tools", attack.all(
  with("cat", {
    { "cat", "$W/secret", takes = true },
    { "cat of /proc/self/environ, which holds what the host had", "/proc/self/environ", grant = "--trust-run=cat" },
  }),
  with("find", { { "find that runs a command", "$W/in", "-maxdepth", "0", "-exec", "cat", "$W/secret", ";", takes = true } }),
  with("tar", {
    { "tar of the outside", "-cf", "-", "-P", "$W/secret", takes = true },
    { "tar with a command at checkpoints", "-cf", "/dev/null", "--checkpoint=1", "--checkpoint-action=exec=cat $W/secret", "-P", "$W/in/plain", takes = false, grant = false },
  }),
  with("sort", { { "sort with output outside", "-o", "$W/secret", "$W/in/plain" },
    { "sort with a compressor of its own", "-S", "1k", "--compress-program=cat", "$W/secret", takes = true } }),
  with("dd", { { "dd", "if=$W/secret", takes = true } }),
  with("awk", { { "awk that runs a command", "BEGIN { while ((\"cat $W/secret\" | getline x) > 0) { print x; f = 1 }; exit !f }", takes = true } }),
  with("ln", { { "ln into reach", "$W/secret", "$W/out/mine", flags = "--allow-run=ln --allow-read=$W/out --allow-write=$W/out" } }),
  with("mv", { { "mv into reach", "$W/secret", "$W/out/mine", flags = "--allow-run=mv --allow-read=$W/out --allow-write=$W/out" } }),
  with("touch", { { "touch", "$W/in/plain" } }),
  with("env", { { "env that runs another", "cat", "$W/secret", takes = true } })))
