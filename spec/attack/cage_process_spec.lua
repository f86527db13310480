-- Attacks of a program that was started under a run right: other processes, the kernel, programs, terminals, what it was born with.
local attack = assert(loadfile("spec/attack/support.lua", "t", _ENV))()

local NO = { "^EACCES", "^EPERM", "^ENOSYS", "^ESRCH", "^EOPNOTSUPP" }
local KILLED = { "^EACCES", "^EPERM", "^ENOSYS", "^SIGSYS", "^EINVAL" }
local TRUST = "--trust-run=$H"

local function rows(list, common)
  for _, row in ipairs(list) do
    row.lua = row.lua or ("return breakout(%s)"):format(row[2])
    row.takes = false
  end
  return attack.each(common, list)
end

attack.class("a caged program and other processes", rows({
  { "killing", "'kill', P" },
  { "stopping", "'stop', P" },
  { "killing by its thread", "'tgkill', P" },
  { "killing with a queued signal", "'sigqueue', P" },
  { "killing by a pidfd", "'pidfd-kill', P" },
  { "killing by the owner of a descriptor", "'owner-signal', P", grant = false },
  { "killing the host", "'kill-parent'", grant = false },
  { "tracing", "'ptrace', P", control = "root" },
  { "seizing", "'seize', P", control = "root" },
  { "tracing the host", "'ptrace-parent'", control = "root" },
  { "reading memory", "'vm-read', P", control = "root" },
  { "writing memory", "'vm-write', P", control = "root" },
  { "stealing a descriptor", "'pidfd-getfd', P", control = "root" },
  { "comparing", "'kcmp', P", control = "root", grant = false },
  { "its memory in /proc", "'proc', P, 'mem'" },
  { "its environment in /proc", "'proc', P, 'environ'" },
  { "its descriptors in /proc", "'proc', P, 'fd/0'", control = "root" },
  { "its command line in /proc", "'proc', P, 'cmdline'" },
  { "the host's environment in /proc", "'proc-parent', 'environ'" },
  { "the host's memory in /proc", "'proc-parent', 'mem'" },
  { "its own mounts in /proc", "'proc', 'self', 'mountinfo'" },
  { "its own memory in /proc", "'proc', 'self', 'mem'" },
  { "a priority", "'nice', P" },
  { "limits of another", "'prlimit', P", control = "root" },
  { "the processors of another", "'affinity', P" },
  { "the scheduling of another", "'scheduler', P" },
}, { cage = true, victim = true, refused = NO, flags = "--allow-run=$H --allow-read=/proc", grant = TRUST }))

attack.class("a caged program and the kernel", rows({
  { "a user namespace", "'unshare-user'", grant = false },
  { "a mount namespace", "'unshare-mounts'", grant = false },
  { "a network namespace", "'unshare-net'", grant = false },
  { "a user namespace by clone", "'clone-user'", grant = false },
  { "a user namespace by clone3", "'clone3-user'", grant = false },
  { "another's namespaces", "'setns', '1'", grant = false },
  { "a key", "'add-key'", grant = false },
  { "the user's keys", "'keyctl'", grant = false },
  { "a BPF map", "'bpf'", grant = false },
  { "performance counters", "'perf'", grant = false },
  { "page faults as a service", "'userfaultfd'", grant = false },
  { "the kernel's log", "'syslog'", grant = false },
  { "a module", "'module'", grant = false },
  { "another kernel", "'kexec'", grant = false },
  { "swap", "'swap'", grant = false },
  { "the machine's name", "'hostname'", grant = false },
  { "the clock", "'clock'", grant = false },
  { "watching everything", "'fanotify'", grant = false },
  { "an odd personality", "'personality'" },
  { "System V memory", "'shmget'" },
  { "System V queues", "'msgget'" },
  { "System V semaphores", "'semget'" },
  { "POSIX shared memory", "'shm-open', '/mw-attack'" },
  { "system calls of the 32-bit table", "'int80'", grant = false, refused = KILLED },
  { "system calls of the x32 table", "'x32'", grant = false, refused = KILLED },
  { "a system call that is none yet", "'call', '999'", grant = false, refused = KILLED },
  { "a system call of a later kernel", "'call', '600'", grant = false, refused = KILLED },
  { "being another user", "'setuid-to', '1'", only = "user", grant = false },
  { "root's power over the system", "'capability', '21'", only = "root" },
  { "root's power over the network", "'capability', '12'", only = "root" },
  { "root's power over raw devices", "'capability', '17'", only = "root" },
  { "root's power to trace", "'capability', '19'", only = "root" },
  { "root's power to load modules", "'capability', '16'", only = "root" },
  { "root's power to make devices", "'capability', '27'", only = "root" },
  { "root's power to raise limits", "'capability', '24'", only = "root", grant = false },
  { "root's power, taken back by a program of its own", "'exec', H, 'capability', '21'", only = "root" },
  { "its limit of memory raised", "'raise-limit', '9'", grant = false, flags = "--allow-run=$H",
    lua = "return child { H, 'raise-limit', '9', limits = { memory = '512MiB' } }" },
  { "its limit of descriptors raised", "'raise-limit', '7'", grant = false, flags = "--allow-run=$H",
    lua = "return child { H, 'raise-limit', '7', limits = { files = 64 } }" },
}, { cage = true, refused = NO, flags = "--allow-run=$H --allow-read", grant = TRUST }))

local function copy(w, name) w.put("in/" .. name, assert(require("moonwire").fs.read(w.base.helper)), 493) end
local function copied(w) copy(w, "tool") end
local OWN = "--allow-run=$H --allow-read=$W/in"

attack.class("a caged program and other programs", rows({
  { "a program that may only be read", "'exec', W .. '/in/tool', 'env', 'X'", world = copied, flags = OWN,
    lua = "return child { H, 'exec', W .. '/in/tool', 'gain-root', env = {} }", grant = false },
  { "one by the loader", "'loader', '/bin/cat', W .. '/secret'" , flags = OWN, grant = false, refused = { "^EACCES", "^exit", "^EPERM", "^E%u+" } },
  { "one that it wrote", "'exec', W .. '/out/tool'", flags = "--allow-run=$H --allow-read=$W/out --allow-write=$W/out",
    lua = "assert(mw.fs.write(W .. '/out/tool', mw.fs.read(W .. '/out/source'))) assert(require('uv').fs_chmod(W .. '/out/tool', 493))"
      .. " return breakout('exec', W .. '/out/tool', 'core')", world = function(w) w.put("out/source", assert(require("moonwire").fs.read(w.base.helper))) end,
    grant = false, refused = { "^EACCES" } },
  { "a copy of itself in memory, which reads the secret no more than it could", "'memory-exec', H", grant = false, refused = { "^E%u+", "^exit" } },
  { "writing into its own program", "'write', H", flags = "--allow-run=$H", grant = false, refused = { "^EACCES", "^ETXTBSY", "^EPERM" } },
  { "making a program in a folder of PATH", "'create', '/usr/local/bin/mw-attack'", grant = false, control = "root" },
  { "writing a configuration that all programs read", "'write', '/etc/ld.so.preload'", grant = false, refused = { "^EACCES", "^ENOENT", "^EPERM" } },
  { "reading the shadow file", "'read', '/etc/shadow'", grant = false },
  { "reading the home of root", "'list', '/root'", grant = false },
  { "reading /tmp, where others leave things", "'list', '/tmp'" },
  { "making a file in /tmp", "'create', '/tmp/mw-attack-file'", grant = false },
  { "making a setuid file in what it may write", "'setuid', W .. '/out/x'", flags = "--allow-run=$H --allow-write=$W/out", grant = false,
    check = function(w)
      local st = require("uv").fs_stat(w.dir .. "/out/x")
      if st and st.mode & 2048 ~= 0 then return "A SETUID FILE WAS MADE" end
    end },
  { "a setuid program's rights", "'gain-root'", flags = "--allow-run=$H", only = "landlock" },
}, { cage = true, refused = NO, flags = "--allow-run=$H", grant = TRUST }))

attack.class("a caged program and what it was born with", rows({
  { "descriptors", "'descriptors'", refused = "^EBADF" , grant = false },
  { "the host's variables", "'env', 'ATTACK_TOKEN'", refused = "^ENOENT", env = { ATTACK_TOKEN = "x" }, grant = TRUST .. " --allow-env" },
  { "the user's home by HOME", "", lua = "local out, why = child { H, 'env', 'HOME' } return out and out:find('/nowhere', 1, true) and out, why", env = { HOME = "/nowhere" },
    refused = "absent", grant = TRUST .. " --allow-env" },
  { "core files raised, to be left in the folder", "'core'", grant = false },
  { "typing into the terminal that it was given", "", lua = "return child { H, 'tiocsti', pty = true }" },
  { "typing with a bit above the request's", "", lua = "return child { H, 'tiocsti-high', pty = true }" },
  { "pasting into a console", "'tioclinux'", grant = false },
  { "the terminal as a controlling one, stolen", "", lua = "return child { H, 'steal-tty', pty = true }", grant = false },
}, { cage = true, refused = NO, flags = "--allow-run=$H", grant = TRUST }))
