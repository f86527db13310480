---@meta
--- The guarded `uv`: luv's names as luv documents them, each behind its right. Functions on handles are methods too:
--- `uv.timer_start(timer, ...)` is `timer:start(...)`. Answers are luv's: on failure `nil, "NAME: words", "NAME"`. What is
--- wrong with the call raises EINVAL, a missing right EDENIED. Files are read and written at once; a callback runs later, from
--- the loop, and is no task: what would wait raises there. A name that is not here does not exist. `require "luv"` is the same table.
---
--- With all rights (`-A`) there is the rest of luv too, so that its own scripts run as they are, `uv.run()` last. It stands outside
--- the host's care as it does in luv: threads have raw luv and no rights to lose, uv.sleep and uv.thread_join stop the loop, settings
--- of the process are everybody's. Different from luv: uv.run waits in its task while the host turns its loop, which uv.loop_close
--- does not close; an error in a callback is reported and goes into the exit status, and the rest goes on; what luv would crash on
--- raises EINVAL (a closed handle, more than 9 values for a thread, a thread joined twice); of descriptors that uv did not open the
--- fs functions take 0 to 2, and close none; fs requests are done when the call returns, so uv.cancel answers EBUSY; what spawn
--- starts ends with the host unless it is detached.
---@class uv
---@field constants table<string, integer>
local uv = {}

--- The door itself: opens luv when it is first called; always the same table.
---@class moonwire.core.uv
local door = {}

---@param processes function  called before the first uv.spawn: makes ready what runs programs
---@return uv
function door.open(processes) end

--- `uv.close(handle, [callback])`
---@param callback? any
function uv.close(handle, callback) end

--- `uv.fileno(handle)`
function uv.fileno(handle) end

--- `uv.handle_get_type(handle)`
function uv.handle_get_type(handle) end

--- `uv.has_ref(handle)`
function uv.has_ref(handle) end

--- `uv.is_active(handle)`
function uv.is_active(handle) end

--- `uv.is_closing(handle)`
function uv.is_closing(handle) end

--- `uv.recv_buffer_size(handle, [size])`
---@param size? any
function uv.recv_buffer_size(handle, size) end

--- `uv.ref(handle)`
function uv.ref(handle) end

--- `uv.send_buffer_size(handle, [size])`
---@param size? any
function uv.send_buffer_size(handle, size) end

--- `uv.unref(handle)`
function uv.unref(handle) end

--- `uv.cancel(req)`
function uv.cancel(req) end

--- `uv.req_get_type(req)`
function uv.req_get_type(req) end

--- `uv.new_check()`
function uv.new_check() end

--- `uv.new_idle()`
function uv.new_idle() end

--- `uv.new_prepare()`
function uv.new_prepare() end

--- `uv.new_timer()`
function uv.new_timer() end

--- `uv.check_start(check, callback)`
function uv.check_start(check, callback) end

--- `uv.check_stop(check)`
function uv.check_stop(check) end

--- `uv.idle_start(idle, callback)`
function uv.idle_start(idle, callback) end

--- `uv.idle_stop(check)`
function uv.idle_stop(check) end

--- `uv.prepare_start(prepare, callback)`
function uv.prepare_start(prepare, callback) end

--- `uv.prepare_stop(prepare)`
function uv.prepare_stop(prepare) end

--- `uv.timer_again(timer)`
function uv.timer_again(timer) end

--- `uv.timer_get_due_in(timer)`
function uv.timer_get_due_in(timer) end

--- `uv.timer_get_repeat(timer)`
function uv.timer_get_repeat(timer) end

--- `uv.timer_set_repeat(timer, repeat)`
function uv.timer_set_repeat(timer, interval) end

--- `uv.timer_start(timer, timeout, repeat, callback)`
function uv.timer_start(timer, timeout, interval, callback) end

--- `uv.timer_stop(timer)`
function uv.timer_stop(timer) end

--- `uv.process_get_pid(process)`
function uv.process_get_pid(process) end

--- `uv.process_kill(process, [signal])`: to its whole group
---@param signal? any
function uv.process_kill(process, signal) end

--- `uv.spawn(file, options, [on_exit])`: options are args, env, cwd, stdio (up to three: nil, a pipe, a descriptor of the
--- script's), detached. Needs `--allow-run`. The child ends with its host unless it is detached. With all rights, options that only luv
--- has (uid, gid, more than three of stdio, other streams than pipes) go to luv itself.
---@param on_exit? fun(code: integer, signal: integer)
function uv.spawn(file, options, on_exit) end

--- `uv.new_signal()` Needs `--allow-sys=signal`.
function uv.new_signal() end

--- `uv.signal_start(signal, signum, callback)` Needs `--allow-sys=signal`.
function uv.signal_start(signal, signum, callback) end

--- `uv.signal_start_oneshot(signal, signum, callback)` Needs `--allow-sys=signal`.
function uv.signal_start_oneshot(signal, signum, callback) end

--- `uv.signal_stop(signal)`
function uv.signal_stop(signal) end

--- `uv.accept(stream, client_stream)`
function uv.accept(stream, client_stream) end

--- `uv.is_readable(stream)`
function uv.is_readable(stream) end

--- `uv.is_writable(stream)`
function uv.is_writable(stream) end

--- `uv.listen(stream, backlog, callback)`
function uv.listen(stream, backlog, callback) end

--- `uv.read_start(stream, callback)`
function uv.read_start(stream, callback) end

--- `uv.read_stop(stream)`
function uv.read_stop(stream) end

--- `uv.shutdown(stream, [callback])`
---@param callback? any
function uv.shutdown(stream, callback) end

--- `uv.stream_get_write_queue_size()`
function uv.stream_get_write_queue_size() end

--- `uv.try_write(stream, data)`
function uv.try_write(stream, data) end

--- `uv.try_write2(stream, data, send_handle)`
function uv.try_write2(stream, data, send_handle) end

--- `uv.write(stream, data, [callback])`
---@param callback? any
function uv.write(stream, data, callback) end

--- `uv.write2(stream, data, send_handle, [callback])`
---@param callback? any
function uv.write2(stream, data, send_handle, callback) end

--- `uv.new_pipe([ipc])`
---@param ipc? any
function uv.new_pipe(ipc) end

--- `uv.pipe(read_flags, write_flags)`
function uv.pipe(read_flags, write_flags) end

--- `uv.pipe_bind(pipe, name)`
function uv.pipe_bind(pipe, name) end

--- `uv.pipe_connect(pipe, name, [callback])`
---@param callback? any
function uv.pipe_connect(pipe, name, callback) end

--- `uv.pipe_getpeername(pipe)`
function uv.pipe_getpeername(pipe) end

--- `uv.pipe_getsockname(pipe)`
function uv.pipe_getsockname(pipe) end

--- `uv.pipe_open(pipe, fd)`
function uv.pipe_open(pipe, fd) end

--- `uv.pipe_pending_count(pipe)`
function uv.pipe_pending_count(pipe) end

--- `uv.pipe_pending_type(pipe)`
function uv.pipe_pending_type(pipe) end

--- `uv.socketpair([socktype], [protocol], [flags1], [flags2])`
---@param socktype? any
---@param protocol? any
---@param flags1? any
---@param flags2? any
function uv.socketpair(socktype, protocol, flags1, flags2) end

--- `uv.new_tcp([flags])`
---@param flags? any
function uv.new_tcp(flags) end

--- `uv.tcp_bind(tcp, host, port, [flags])`
---@param flags? any
function uv.tcp_bind(tcp, host, port, flags) end

--- `uv.tcp_close_reset([callback])`
---@param callback? any
function uv.tcp_close_reset(callback) end

--- `uv.tcp_connect(tcp, host, port, callback)`
function uv.tcp_connect(tcp, host, port, callback) end

--- `uv.tcp_getpeername(tcp)`
function uv.tcp_getpeername(tcp) end

--- `uv.tcp_getsockname(tcp)`
function uv.tcp_getsockname(tcp) end

--- `uv.tcp_keepalive(tcp, enable, [delay])`
---@param delay? any
function uv.tcp_keepalive(tcp, enable, delay) end

--- `uv.tcp_nodelay(tcp, enable)`
function uv.tcp_nodelay(tcp, enable) end

--- `uv.tcp_simultaneous_accepts(tcp, enable)`
function uv.tcp_simultaneous_accepts(tcp, enable) end

--- `uv.tcp_write_queue_size(tcp)`
function uv.tcp_write_queue_size(tcp) end

--- `uv.new_udp([flags])`
---@param flags? any
function uv.new_udp(flags) end

--- `uv.udp_bind(udp, host, port, [flags])`
---@param flags? any
function uv.udp_bind(udp, host, port, flags) end

--- `uv.udp_connect(udp, host, port)`
function uv.udp_connect(udp, host, port) end

--- `uv.udp_get_send_queue_count()`
function uv.udp_get_send_queue_count() end

--- `uv.udp_get_send_queue_size()`
function uv.udp_get_send_queue_size() end

--- `uv.udp_getpeername(udp)`
function uv.udp_getpeername(udp) end

--- `uv.udp_getsockname(udp)`
function uv.udp_getsockname(udp) end

--- `uv.udp_recv_start(udp, callback)`
function uv.udp_recv_start(udp, callback) end

--- `uv.udp_recv_stop(udp)`
function uv.udp_recv_stop(udp) end

--- `uv.udp_send(udp, data, host, port, callback)`
function uv.udp_send(udp, data, host, port, callback) end

--- `uv.udp_set_broadcast(udp, on)`
function uv.udp_set_broadcast(udp, on) end

--- `uv.udp_set_membership(udp, multicast_addr, interface_addr, membership)`
function uv.udp_set_membership(udp, multicast_addr, interface_addr, membership) end

--- `uv.udp_set_multicast_loop(udp, on)`
function uv.udp_set_multicast_loop(udp, on) end

--- `uv.udp_set_multicast_ttl(udp, ttl)`
function uv.udp_set_multicast_ttl(udp, ttl) end

--- `uv.udp_set_source_membership(udp, multicast_addr, interface_addr, source_addr, membership)`
function uv.udp_set_source_membership(udp, multicast_addr, interface_addr, source_addr, membership) end

--- `uv.udp_set_ttl(udp, ttl)`
function uv.udp_set_ttl(udp, ttl) end

--- `uv.udp_try_send(udp, data, host, port)`
function uv.udp_try_send(udp, data, host, port) end

--- `uv.getaddrinfo(host, service, [hints, [callback]])`
---@param hints? any
---@param callback? any
function uv.getaddrinfo(host, service, hints, callback) end

--- `uv.getnameinfo(address, [callback])`
---@param callback? any
function uv.getnameinfo(address, callback) end

--- `uv.fs_access(path, mode, [callback])`
---@param callback? any
function uv.fs_access(path, mode, callback) end

--- `uv.fs_chmod(path, mode, [callback])`
---@param callback? any
function uv.fs_chmod(path, mode, callback) end

--- `uv.fs_close(fd, [callback])`
---@param callback? any
function uv.fs_close(fd, callback) end

--- `uv.fs_closedir(dir, [callback])`
---@param callback? any
function uv.fs_closedir(dir, callback) end

--- `uv.fs_copyfile(path, new_path, [flags], [callback])`
---@param flags? any
---@param callback? any
function uv.fs_copyfile(path, new_path, flags, callback) end

--- `uv.fs_fchmod(fd, mode, [callback])`
---@param callback? any
function uv.fs_fchmod(fd, mode, callback) end

--- `uv.fs_fdatasync(fd, [callback])`
---@param callback? any
function uv.fs_fdatasync(fd, callback) end

--- `uv.fs_fstat(fd, [callback])`
---@param callback? any
function uv.fs_fstat(fd, callback) end

--- `uv.fs_fsync(fd, [callback])`
---@param callback? any
function uv.fs_fsync(fd, callback) end

--- `uv.fs_ftruncate(fd, offset, [callback])`
---@param callback? any
function uv.fs_ftruncate(fd, offset, callback) end

--- `uv.fs_futime(fd, atime, mtime, [callback])`
---@param callback? any
function uv.fs_futime(fd, atime, mtime, callback) end

--- `uv.fs_link(path, new_path, [callback])`
---@param callback? any
function uv.fs_link(path, new_path, callback) end

--- `uv.fs_lstat(path, [callback])`
---@param callback? any
function uv.fs_lstat(path, callback) end

--- `uv.fs_lutime(path, atime, mtime, [callback])`
---@param callback? any
function uv.fs_lutime(path, atime, mtime, callback) end

--- `uv.fs_mkdir(path, mode, [callback])`
---@param callback? any
function uv.fs_mkdir(path, mode, callback) end

--- `uv.fs_mkdtemp(template, [callback])`
---@param callback? any
function uv.fs_mkdtemp(template, callback) end

--- `uv.fs_mkstemp(template, [callback])`
---@param callback? any
function uv.fs_mkstemp(template, callback) end

--- `uv.fs_open(path, flags, mode, [callback])`
---@param callback? any
function uv.fs_open(path, flags, mode, callback) end

--- `uv.fs_opendir(path, [callback, [entries]])`
---@param callback? any
---@param entries? any
function uv.fs_opendir(path, callback, entries) end

--- `uv.fs_read(fd, size, [offset], [callback])`
---@param offset? any
---@param callback? any
function uv.fs_read(fd, size, offset, callback) end

--- `uv.fs_readdir(dir, [callback])`
---@param callback? any
function uv.fs_readdir(dir, callback) end

--- `uv.fs_readlink(path, [callback])`
---@param callback? any
function uv.fs_readlink(path, callback) end

--- `uv.fs_realpath(path, [callback])`
---@param callback? any
function uv.fs_realpath(path, callback) end

--- `uv.fs_rename(path, new_path, [callback])`
---@param callback? any
function uv.fs_rename(path, new_path, callback) end

--- `uv.fs_rmdir(path, [callback])`
---@param callback? any
function uv.fs_rmdir(path, callback) end

--- `uv.fs_scandir(path, [callback])`
---@param callback? any
function uv.fs_scandir(path, callback) end

--- `uv.fs_scandir_next(fs)`
function uv.fs_scandir_next(fs) end

--- `uv.fs_sendfile(out_fd, in_fd, in_offset, size, [callback])`
---@param callback? any
function uv.fs_sendfile(out_fd, in_fd, in_offset, size, callback) end

--- `uv.fs_stat(path, [callback])`
---@param callback? any
function uv.fs_stat(path, callback) end

--- `uv.fs_statfs(path, [callback])`
---@param callback? any
function uv.fs_statfs(path, callback) end

--- `uv.fs_symlink(path, new_path, [flags], [callback])`
---@param flags? any
---@param callback? any
function uv.fs_symlink(path, new_path, flags, callback) end

--- `uv.fs_unlink(path, [callback])`
---@param callback? any
function uv.fs_unlink(path, callback) end

--- `uv.fs_utime(path, atime, mtime, [callback])`
---@param callback? any
function uv.fs_utime(path, atime, mtime, callback) end

--- `uv.fs_write(fd, data, [offset], [callback])`
---@param offset? any
---@param callback? any
function uv.fs_write(fd, data, offset, callback) end

--- `uv.available_parallelism()`
function uv.available_parallelism() end

--- `uv.backend_timeout()`
function uv.backend_timeout() end

--- `uv.cpu_info()` Needs `--allow-sys=cpus`.
function uv.cpu_info() end

--- `uv.cwd()`
function uv.cwd() end

--- `uv.exepath()`
function uv.exepath() end

--- `uv.get_constrained_memory()` Needs `--allow-sys=memory`.
function uv.get_constrained_memory() end

--- `uv.get_free_memory()` Needs `--allow-sys=memory`.
function uv.get_free_memory() end

--- `uv.get_process_title()` Needs `--allow-sys=processTitle`.
function uv.get_process_title() end

--- `uv.get_total_memory()` Needs `--allow-sys=memory`.
function uv.get_total_memory() end

--- `uv.getgid()` Needs `--allow-sys=gid`.
function uv.getgid() end

--- `uv.getpid()`
function uv.getpid() end

--- `uv.getrusage()`
function uv.getrusage() end

--- `uv.gettimeofday()`
function uv.gettimeofday() end

--- `uv.getuid()` Needs `--allow-sys=uid`.
function uv.getuid() end

--- `uv.guess_handle(fd)`
function uv.guess_handle(fd) end

--- `uv.hrtime()`
function uv.hrtime() end

--- `uv.if_indextoiid(ifindex)` Needs `--allow-sys=networkInterfaces`.
function uv.if_indextoiid(ifindex) end

--- `uv.if_indextoname(ifindex)` Needs `--allow-sys=networkInterfaces`.
function uv.if_indextoname(ifindex) end

--- `uv.interface_addresses()` Needs `--allow-sys=networkInterfaces`.
function uv.interface_addresses() end

--- `uv.loadavg()` Needs `--allow-sys=loadavg`.
function uv.loadavg() end

--- `uv.loop_alive()`: whether a handle of the script's is active, or a request under way
function uv.loop_alive() end

--- `uv.loop_mode()`
function uv.loop_mode() end

--- `uv.metrics_idle_time()`
function uv.metrics_idle_time() end

--- `uv.now()`
function uv.now() end

--- `uv.os_environ()`
function uv.os_environ() end

--- `uv.os_get_passwd()` Needs `--allow-sys=userInfo`.
function uv.os_get_passwd() end

--- `uv.os_getenv(name, [size])`
---@param size? any
function uv.os_getenv(name, size) end

--- `uv.os_gethostname()` Needs `--allow-sys=hostname`.
function uv.os_gethostname() end

--- `uv.os_getpid()`
function uv.os_getpid() end

--- `uv.os_getppid()` Needs `--allow-sys=pid`.
function uv.os_getppid() end

--- `uv.os_getpriority(pid)` Needs `--allow-sys=priority`.
function uv.os_getpriority(pid) end

--- `uv.os_homedir()`
function uv.os_homedir() end

--- `uv.os_tmpdir()`
function uv.os_tmpdir() end

--- `uv.os_uname()` Needs `--allow-sys=osRelease`.
function uv.os_uname() end

--- `uv.random(len, flags, [callback])`
---@param callback? any
function uv.random(len, flags, callback) end

--- `uv.resident_set_memory()`
function uv.resident_set_memory() end

--- `uv.translate_sys_error(errcode)`
function uv.translate_sys_error(errcode) end

--- `uv.update_time()`
function uv.update_time() end

--- `uv.uptime()` Needs `--allow-sys=osUptime`.
function uv.uptime() end

--- `uv.version()`
function uv.version() end

--- `uv.version_string()`
function uv.version_string() end

--- `uv.pipe_chmod(pipe, flags)`: "r", "w" or "rw" more for everybody, on the bound name. Needs `--allow-read` and `--allow-write` of it.
function uv.pipe_chmod(pipe, flags) end

--- `uv.pipe_pending_instances(pipe, count)`: nothing, save on Windows.
function uv.pipe_pending_instances(pipe, count) end

--- `uv.udp_set_multicast_interface(udp, interface_addr)`
function uv.udp_set_multicast_interface(udp, interface_addr) end

--- `uv.new_fs_event()`
function uv.new_fs_event() end

--- `uv.new_poll(fd)`: a descriptor that uv.pipe or uv.socketpair gave, which cannot be closed while it is watched; any with all rights.
function uv.new_poll(fd) end

--- `uv.new_socket_poll(fd)`: as uv.new_poll
function uv.new_socket_poll(fd) end

--- `uv.fs_event_getpath(fs_event)`
function uv.fs_event_getpath(fs_event) end

--- `uv.fs_event_start(fs_event, path, flags, callback)`: watches what the path names now, also when the name then goes elsewhere.
--- Needs `--allow-read`.
function uv.fs_event_start(fs_event, path, flags, callback) end

--- `uv.fs_event_stop(fs_event)`
function uv.fs_event_stop(fs_event) end

--- `uv.poll_start(poll, events, callback)`
function uv.poll_start(poll, events, callback) end

--- `uv.poll_stop(poll)`
function uv.poll_stop(poll) end

return door
