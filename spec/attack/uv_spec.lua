-- Attacks through `require "uv"`: names of outside things, handles where they do not belong, what luv keeps behind its functions.
local attack = assert(loadfile("spec/attack/support.lua", "t", _ENV))()

local function uv(source) return "local uv = require 'uv' " .. source end
local function list(common, items)
  for _, item in ipairs(items) do item[2] = uv(item[2]) end
  return attack.each(common, items)
end

local SLURP_FD = " return uv.fs_read(fd, 100, 0)"

attack.class("luv and files", list({ flags = "--allow-read=$W/in", grant = "--allow-read=$W --allow-write=$W", takes = false }, {
  { "fs_open", "local fd = assert(uv.fs_open(W .. '/secret', 'r', 0))" .. SLURP_FD, takes = true },
  { "fs_open by callback", "local got, why mw.task.scope(function(s) local e = mw.task.event()"
    .. " uv.fs_open(W .. '/secret', 'r', 0, function(err, fd) why, got = err, fd e:set() end) e:wait{ timeout = 5 } end)"
    .. " return got, why and { code = 'EDENIED', message = why }", refused = "EDENIED" },
  { "fs_open with numeric flags that name a path only", "return uv.fs_open(W .. '/secret', 0x200000, 0)", grant = false,
    refused = { "EDENIED", "EINVAL" } },
  { "fs_open for writing by numeric flags", "return uv.fs_open(W .. '/secret', 1 | 512, 0)" },
  { "fs_open of a folder, then a look beside it", "local fd = assert(uv.fs_open(W .. '/in', 'r', 0))"
    .. " return uv.fs_open('/proc/self/fd/' .. fd .. '/../secret', 'r', 0)", grant = false },
  { "fs_open of its own descriptor by /dev/fd", "local fd = assert(uv.fs_open(W .. '/in/plain', 'r', 0))"
    .. " return uv.fs_open('/dev/fd/' .. fd, 'r+', 0)", grant = "-A" },
  { "fs_stat", "return uv.fs_stat(W .. '/secret').size" },
  { "fs_lstat", "return uv.fs_lstat(W .. '/secret').size" },
  { "fs_access", "return uv.fs_access(W .. '/secret', 'R')" },
  { "fs_scandir", "return uv.fs_scandir(W)" },
  { "fs_opendir", "return uv.fs_opendir(W)" },
  { "fs_readlink", "return uv.fs_readlink(W .. '/private/link')", world = function(w) w.link("x", "private/link") end },
  { "fs_realpath", "return uv.fs_realpath(W .. '/in/link')", world = function(w) w.link("../secret", "in/link") end },
  { "fs_copyfile out of the outside", "return uv.fs_copyfile(W .. '/secret', W .. '/out/x')",
    flags = "--allow-read=$W/in,$W/out --allow-write=$W/out" },
  { "fs_copyfile over the outside", "return uv.fs_copyfile(W .. '/in/plain', W .. '/secret')" },
  { "fs_link into reach", "return uv.fs_link(W .. '/secret', W .. '/out/x') and slurp(W .. '/out/x')", takes = true,
    flags = "--allow-read=$W/in,$W/out --allow-write=$W/out" },
  { "fs_symlink to the outside", "return uv.fs_symlink(W .. '/secret', W .. '/out/x')", grant = "--allow-read --allow-write",
    flags = "--allow-read=$W/in,$W/out --allow-write=$W/out" },
  { "fs_rename into reach", "return uv.fs_rename(W .. '/secret', W .. '/out/x') and slurp(W .. '/out/x')", takes = true,
    flags = "--allow-read=$W/in,$W/out --allow-write=$W/out" },
  { "fs_unlink", "return uv.fs_unlink(W .. '/secret')" },
  { "fs_rmdir", "return uv.fs_rmdir(W .. '/in/sub/empty')", world = function(w) w.mkdir("in/sub/empty") end },
  { "fs_mkdir", "return uv.fs_mkdir(W .. '/in/new', 511)" },
  { "fs_mkdtemp", "return uv.fs_mkdtemp(W .. '/in/XXXXXX')" },
  { "fs_mkstemp", "return uv.fs_mkstemp(W .. '/in/XXXXXX')" },
  { "fs_chmod", "return uv.fs_chmod(W .. '/secret', 511)" },
  { "fs_chmod of what may only be read", "return uv.fs_chmod(W .. '/in/plain', 511)" },
  { "fs_fchmod of a file opened for reading", refused = "EBADF", grant = false, "return uv.fs_fchmod(assert(uv.fs_open(W .. '/in/plain', 'r', 0)), 511)" },
  { "fs_fchmod to setuid", "return uv.fs_fchmod(assert(uv.fs_open(W .. '/out/x', 'w', 420)), tonumber('4755', 8))", grant = "-A",
    flags = "--allow-read=$W --allow-write=$W/out" },
  { "fs_chmod to setgid", "mw.fs.write(W .. '/out/x', '') return uv.fs_chmod(W .. '/out/x', tonumber('2755', 8))", grant = "-A",
    flags = "--allow-read=$W --allow-write=$W/out" },
  { "fs_open that makes a setuid file", "return uv.fs_open(W .. '/out/x', 'w', tonumber('4755', 8))", grant = "-A",
    flags = "--allow-read=$W --allow-write=$W/out" },
  { "fs_mkdir that makes a setgid folder", "return uv.fs_mkdir(W .. '/out/x', tonumber('2755', 8))", grant = "-A",
    flags = "--allow-read=$W --allow-write=$W/out" },
  { "fs_utime", "return uv.fs_utime(W .. '/secret', 0, 0)" },
  { "fs_lutime", "return uv.fs_lutime(W .. '/secret', 0, 0)" },
  { "fs_futime of a file opened for reading", refused = "EBADF", grant = false, "return uv.fs_futime(assert(uv.fs_open(W .. '/in/plain', 'r', 0)), 0, 0)" },
  { "fs_ftruncate of a file opened for reading", "return uv.fs_ftruncate(assert(uv.fs_open(W .. '/in/plain', 'r', 0)), 0)", grant = false,
    refused = "EBADF" },
  { "fs_write to a file opened for reading", "return uv.fs_write(assert(uv.fs_open(W .. '/in/plain', 'r', 0)), 'x', 0)", grant = false,
    refused = { "EDENIED", "EBADF", "absent" } },
  { "fs_statfs", "return uv.fs_statfs(W)" },
  { "fs_sendfile with a descriptor of the host's", "return uv.fs_sendfile(1, 3, 0, 10)", grant = false, refused = { "EDENIED", "EBADF", "EINVAL" } },
  { "fs_read of each of the host's descriptors", "for fd = 0, 100 do local ok, t = pcall(uv.fs_read, fd, 10, 0) if ok and t then return t end end",
    grant = false, refused = "absent" },
  { "fs_fstat of each of the host's descriptors", "for fd = 0, 100 do local ok, t = pcall(uv.fs_fstat, fd) if ok and t then return fd end end",
    grant = false, refused = "absent" },
  { "fs_close of each of the host's descriptors", "for fd = 0, 100 do local ok, t = pcall(uv.fs_close, fd) if ok and t then return fd end end",
    grant = false, refused = "absent" },
  { "fs_read after fs_close and another opening", "local fd = uv.fs_open(W .. '/in/plain', 'r', 0) uv.fs_close(fd)"
    .. " return uv.fs_read(fd, 10, 0)", grant = false, refused = { "EBADF", "EINVAL", "EDENIED" } },
  { "a name with a NUL byte", "return uv.fs_open(W .. '/in/plain\\0/../../secret', 'r', 0)", grant = false, refused = { "EINVAL", "NUL", "zero" } },
}))

attack.class("luv and sockets", list({ flags = "--allow-net=127.0.0.1:9,unix:@elsewhere", grant = "--allow-net", net = true, takes = false }, {
  { "tcp_connect", "local t, e = uv.new_tcp(), mw.task.event() local why = 'none' assert(t:connect('127.0.0.1', tonumber(T), function(err)"
    .. " why = err e:set() end)) e:wait{ timeout = 5 } return why == nil, { code = 'EDENIED' }" },
  { "tcp_connect to a mapped address", "local t, e = uv.new_tcp(), mw.task.event() local why = 'none'"
    .. " assert(t:connect('::ffff:127.0.0.1', tonumber(T), function(err) why = err e:set() end)) e:wait{ timeout = 5 } return why == nil,"
    .. " { code = why }" },
  { "tcp_connect to 0.0.0.0", "local t, e = uv.new_tcp(), mw.task.event() local why = 'none'"
    .. " assert(t:connect('0.0.0.0', tonumber(T), function(err) why = err e:set() end)) e:wait{ timeout = 5 } return why == nil,"
    .. " { code = why }" },
  { "tcp_connect with the port as text", "return uv.new_tcp():connect('127.0.0.1', T .. '.0', print)", grant = false, refused = { "EDENIED", "EINVAL" } },
  { "tcp_bind and listen", "local t = uv.new_tcp() assert(t:bind('127.0.0.1', 0)) return t:listen(1, print)" },
  { "listen without bind", "return uv.new_tcp():listen(1, print)", grant = false, refused = { "EDENIED", "EINVAL" } },
  { "udp_send", "return uv.new_udp():try_send('in', '127.0.0.1', tonumber(U))" },
  { "udp_send after a connect that is allowed", "local u = uv.new_udp() assert(u:connect('127.0.0.1', 9))"
    .. " return u:try_send('in', '127.0.0.1', tonumber(U))", grant = false, refused = { "EDENIED", "EISCONN" } },
  { "udp_connect", "local u = uv.new_udp() assert(u:connect('127.0.0.1', tonumber(U))) return u:try_send('in')" },
  { "udp_bind", "return uv.new_udp():bind('127.0.0.1', 0)" },
  { "udp_set_membership of a group", "local u = uv.new_udp() return u:set_membership('224.0.0.1', '0.0.0.0', 'join')", grant = false,
    refused = { "EDENIED", "EINVAL" } },
  { "pipe_connect", "local p, e = uv.new_pipe(), mw.task.event() local why = 'none' local r = p:connect(W .. '/private/sock', function(err)"
    .. " why = err e:set() end) e:wait{ timeout = 5 } return why == nil, { code = 'EDENIED' }" },
  { "pipe_connect to an abstract name", "local p, e = uv.new_pipe(), mw.task.event() local why = 'none'"
    .. " p:connect('\\0' .. N, function(err) why = err e:set() end) e:wait{ timeout = 5 } return why == nil, { code = 'EDENIED' }",
    grant = false, refused = { "EDENIED", "EINVAL" } },
  { "pipe_bind", "return uv.new_pipe():bind(W .. '/in/mine')", grant = "--allow-net --allow-write" },
  { "pipe_open of a raw number", "for fd = 0, 50 do local ok, v = pcall(function() return uv.new_pipe():open(fd) end) if ok and v and fd > 2 then return fd end end",
    grant = false, refused = "absent" },
  { "tcp_open and udp_open", "return uv.tcp_open or uv.udp_open", grant = false, refused = "absent" },
  { "getaddrinfo", "local e, got, why = mw.task.event() uv.getaddrinfo('localhost', nil, {}, function(err, r) why, got = err, r e:set() end)"
    .. " e:wait{ timeout = 5 } return got, { code = why }", flags = "", net = false },
  { "getnameinfo", "return uv.getnameinfo({ ip = '127.0.0.1' }, print)", flags = "", net = false, grant = false, refused = { "EDENIED" } },
  { "write2 of a handle to a peer", "local p = uv.new_pipe(true) return uv.write2(p, 'x', io.stdout)", grant = false, net = false,
    refused = { "EINVAL", "EBADF", "attempt", "EDENIED", "expected" } },
}))

attack.class("luv, processes and the machine", list({ flags = "", grant = "-A", takes = false, refused = { "EDENIED", "absent", "nil value" } }, {
  { "spawn", "return uv.spawn('/bin/true', {}, function() end)" },
  { "spawn of a trusted name with another file", flags = "--allow-run=true", "return uv.spawn('/bin/cat', { args = { W .. '/secret' } }, print)",
    grant = false, takes = false },
  { "spawn as another user", flags = "--allow-run=true", "return uv.spawn('true', { uid = 1 }, print)", grant = false,
    refused = { "EDENIED", "EINVAL", "ENOTSUP" } },
  { "spawn with a descriptor of ours", flags = "--allow-run=cat", "return uv.spawn('cat', { stdio = { 0, 1, 2, 3, 4, 5 } }, print)",
    grant = false, refused = { "EDENIED", "EINVAL", "EBADF" } },
  { "kill of another process", "return uv.kill(tonumber(P), 9)", victim = true, grant = false },
  { "process_kill with a fake handle", "return uv.process_kill({ pid = tonumber(P) }, 9)", victim = true, grant = false,
    refused = { "EINVAL", "EDENIED", "bad argument", "expected" } },
  { "os_getenv", "return uv.os_getenv('HOME')", env = { HOME = "/nowhere" } },
  { "os_environ", "for k in pairs(uv.os_environ()) do if k == 'HOME' then return k end end", env = { HOME = "/nowhere" } },
  { "os_setenv", "return uv.os_setenv('LD_PRELOAD', 'x')", grant = false },
  { "os_homedir", "return uv.os_homedir()" },
  { "os_tmpdir", "return uv.os_tmpdir()", grant = false, refused = { "EDENIED" } },
  { "os_gethostname", "return uv.os_gethostname()" },
  { "os_uname", "return uv.os_uname()" },
  { "os_get_passwd", "return uv.os_get_passwd()", grant = false },
  { "getuid", "return uv.getuid() + 1" },
  { "cpu_info", "return uv.cpu_info()" },
  { "interface_addresses", "return uv.interface_addresses()" },
  { "exepath", "return uv.exepath()" },
  { "set_process_title", "return uv.set_process_title('x')", grant = false },
  { "chdir", "return uv.chdir('/')", grant = false },
  { "setuid", "return uv.setuid(0)", grant = false },
  { "os_setpriority", "return uv.os_setpriority(0, 5)", grant = false },
  { "fs_event and fs_poll by name", "return uv.new_fs_poll or uv.new_fs_event():start(W .. '/private', {}, print)", grant = false,
    refused = { "EDENIED" } },
  { "a terminal taken over", "return uv.new_tty", grant = false },
  { "poll of a raw descriptor", "if uv.new_socket_poll(0) then return true end return uv.new_poll(0)", grant = false,
    refused = { "EBADF", "EDENIED" } },
  { "threads, work and other states", "return uv.new_thread or uv.new_work or uv.new_async or uv.thread_create", grant = false },
  { "the loop stopped under the host", "return uv.stop or uv.run or uv.loop_close or uv.walk or uv.sleep", grant = false },
  { "dlopen and the like", "return uv.dlopen or uv.os_unsetenv or uv.disable_stdio_inheritance", grant = false },
}))

attack.class("luv's insides", list({ flags = "", grant = false, takes = false,
  refused = { "absent", "EINVAL", "bad argument", "expected", "EBADF", "protected", "nil value", "table value" } }, {
  { "a handle's metatable", "return type(getmetatable(uv.new_timer())) == 'table'" },
  { "the __index of a handle has functions without a rule", "local t = uv.new_pipe() for _, n in ipairs { 'open2', 'walk', 'loop_close' }"
    .. " do if t[n] then return n end end" },
  { "setmetatable on a handle", "return setmetatable(uv.new_timer(), {})" },
  { "a method of one kind on another", "return uv.tcp_connect(uv.new_timer(), '127.0.0.1', 1, print)" },
  { "a method on a closed handle", "local t = uv.new_timer() t:close() return uv.timer_start(t, 1, 1, print)",
    refused = { "EINVAL", "clos", "ECLOSED", "EBADF" } },
  { "a method on a host object", "return uv.close(io.stdout)" },
  { "a method on a table that looks like a handle", "return uv.close({ __name = 'uv_timer' })" },
  { "a request where a handle belongs", "return uv.close(uv.getaddrinfo('127.0.0.1', nil, {}, print))", flags = "--allow-net=127.0.0.1" },
  { "the same handle twice in listen and connect", "local t = uv.new_tcp() return t:connect('127.0.0.1', 9, print) and t:connect('127.0.0.1', 9, print)",
    flags = "--allow-net=127.0.0.1:9", refused = { "EALREADY", "EINVAL", "EISCONN", "absent", "EBUSY", "already" } },
  { "luaopen_luv run once more", "package.loaded.luv, package.loaded.uv = nil, nil local again = require 'luv' return again.run" ,
    refused = { "not found", "EDENIED", "absent" } },
  { "closures of the same function share an upvalue", "local f = uv.fs_open return debug.getinfo(f, 'f').func" },
  { "a callback that raises", "local e = mw.task.event() local t = uv.new_timer() t:start(0, 0, function() e:set() error('boom') end)"
    .. " e:wait{ timeout = 5 } return false" , refused = { "absent", "boom", "ECANCELED" } },
  { "a callback that yields", "local e = mw.task.event() local ok, why local t = uv.new_timer() t:start(0, 0, function()"
    .. " ok, why = pcall(mw.task.sleep, 1) e:set() end) e:wait{ timeout = 5 } return ok" },
  { "an option table whose metamethods answer twice", "local asked uv.spawn('true', setmetatable({}, { __index = function() asked = true end }),"
    .. " function() end) return asked", flags = "--trust-run=true" },
  { "a buffer size that overflows", "local fd = assert(uv.fs_open(W .. '/in/plain', 'r', 0)) return #uv.fs_read(fd, 1 << 62, 0) > 5",
    flags = "--allow-read=$W/in" },
  { "a negative buffer size", "return uv.fs_read(assert(uv.fs_open(W .. '/in/plain', 'r', 0)), -1, 0)", flags = "--allow-read=$W/in" },
  { "a million handles", "local all = {} for i = 1, 1000000 do all[i] = assert(uv.new_timer()) end return true",
    refused = { "ELIMIT", "EMFILE", "limit" } },
  { "a file's number where there is no right", "local fd = assert(uv.fs_open(W .. '/secret', 'r', 0)) return uv.fs_read(fd, 100, 0)",
    grant = "--allow-read=$W", takes = true, refused = "EDENIED" },
}))
