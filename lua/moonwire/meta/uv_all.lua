---@meta
--- What `uv` has of luv for whoever has all rights, and for nobody else: see uv.lua.
---
--- Of luv 1.44's own tests these do not pass. Ten values for a thread, of which luv drops one, writing past its room: refused here. An
--- async that a thread made, sent back by an async: luv gives a value that its own async_send refuses; there the process ends, here the
--- error is told and the thread that waits for the async goes on. Integers reach a thread as floats, in luv as here. And what is
--- moonwire's and not uv's: io.popen is not there.

---@class uv
local uv = {}

--- `uv.backend_fd()` All rights only.
function uv.backend_fd() end

--- `uv.loop_close()`: 0, or EBUSY while a handle is open. The loop itself is the host's, and goes on. All rights only.
function uv.loop_close() end

--- `uv.loop_configure(option, ...)` All rights only.
function uv.loop_configure(option, ...) end

--- `uv.print_active_handles()`: to standard error, the host's own among them. All rights only.
function uv.print_active_handles() end

--- `uv.print_all_handles()` All rights only.
function uv.print_all_handles() end

--- `uv.run([mode])`: waits in its task while the host's loop turns: "default" until no handle of the script's is active and no request
--- is left, or uv.stop; "once" and "nowait" for one turn, which "nowait" does not let block. True while something goes on. Raises EINVAL
--- in a callback. All rights only.
---@param mode? any
function uv.run(mode) end

--- `uv.sleep(milliseconds)`: stops the whole loop, as in luv (mw.task.sleep does not); an interrupt ends it. All rights only.
function uv.sleep(milliseconds) end

--- `uv.stop()`: ends a uv.run after this turn, or the next one at once. All rights only.
function uv.stop() end

--- `uv.walk(callback)`: each open handle of this state, in the order of making; what the callback raises is the caller's. All rights only.
function uv.walk(callback) end

--- `uv.async_send(async, ...)`: at most 9 values: nil, booleans, numbers, strings, asyncs. All rights only.
function uv.async_send(async, ...) end

--- `uv.new_async(callback)` All rights only.
function uv.new_async(callback) end

--- `uv.new_thread([options], entry, ...)`: in a Lua state of its own, with luv itself as `require "luv"`; at most 9 values. An error in it
--- is printed, and ends the thread alone. One that nobody joins is waited for at the end, 5 s at most. All rights only.
function uv.new_thread(options, entry, ...) end

--- `uv.new_work(work, after)`: `work` runs in libuv's thread pool, in a Lua state of its own. All rights only.
function uv.new_work(work, after) end

--- `uv.queue_work(work_ctx, ...)`: at most 9 values. The program does not end before its work has, also when it is told to: work that
--- never ends has to be killed. All rights only.
function uv.queue_work(work_ctx, ...) end

--- `uv.thread_equal(thread, other)` All rights only.
function uv.thread_equal(thread, other) end

--- `uv.thread_join(thread)`: stops the loop until the thread has ended; once. An interrupt ends the wait. All rights only.
function uv.thread_join(thread) end

--- `uv.thread_self()` All rights only.
function uv.thread_self() end

--- `uv.disable_stdio_inheritance()` All rights only.
function uv.disable_stdio_inheritance() end

--- `uv.kill(pid, [signal])`: any process; a name that is no signal's raises. All rights only.
---@param signal? any
function uv.kill(pid, signal) end

--- `uv.stream_set_blocking(stream, blocking)` All rights only.
function uv.stream_set_blocking(stream, blocking) end

--- `uv.tcp_open(tcp, fd)`: takes a TCP socket over. All rights only.
function uv.tcp_open(tcp, fd) end

--- `uv.udp_open(udp, fd)`: takes a UDP socket over. All rights only.
function uv.udp_open(udp, fd) end

--- `uv.new_tty(fd, readable)`: opens the terminal again, in place of the descriptor. All rights only.
function uv.new_tty(fd, readable) end

--- `uv.tty_get_vterm_state()` All rights only.
function uv.tty_get_vterm_state() end

--- `uv.tty_get_winsize(tty)` All rights only.
function uv.tty_get_winsize(tty) end

--- `uv.tty_reset_mode()`: done at the end too. All rights only.
function uv.tty_reset_mode() end

--- `uv.tty_set_mode(tty, mode)`: 0, 1 (raw) or 2. All rights only.
function uv.tty_set_mode(tty, mode) end

--- `uv.tty_set_vterm_state(state)` All rights only.
function uv.tty_set_vterm_state(state) end

--- `uv.new_fs_poll()` All rights only.
function uv.new_fs_poll() end

--- `uv.fs_poll_getpath(fs_poll)` All rights only.
function uv.fs_poll_getpath(fs_poll) end

--- `uv.fs_poll_start(fs_poll, path, interval, callback)` All rights only.
function uv.fs_poll_start(fs_poll, path, interval, callback) end

--- `uv.fs_poll_stop(fs_poll)` All rights only.
function uv.fs_poll_stop(fs_poll) end

--- `uv.fs_chown(path, uid, gid, [callback])` All rights only.
---@param callback? any
function uv.fs_chown(path, uid, gid, callback) end

--- `uv.fs_fchown(fd, uid, gid, [callback])` All rights only.
---@param callback? any
function uv.fs_fchown(fd, uid, gid, callback) end

--- `uv.fs_lchown(path, uid, gid, [callback])` All rights only.
---@param callback? any
function uv.fs_lchown(path, uid, gid, callback) end

--- `uv.chdir(path)`: of the whole process. All rights only.
function uv.chdir(path) end

--- `uv.os_setenv(name, value)`: of the whole process. All rights only.
function uv.os_setenv(name, value) end

--- `uv.os_setpriority(pid, priority)` All rights only.
function uv.os_setpriority(pid, priority) end

--- `uv.os_unsetenv(name)` All rights only.
function uv.os_unsetenv(name) end

--- `uv.set_process_title(title)` All rights only.
function uv.set_process_title(title) end

--- `uv.setgid(id)` All rights only.
function uv.setgid(id) end

--- `uv.setuid(id)` All rights only.
function uv.setuid(id) end

return uv
