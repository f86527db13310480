---@meta
--- The door `core.process` (host/bind/process.c), a child's methods in C, and what lua/moonwire/process.lua takes and gives.

--- The program and its arguments come first, as an array; or, with `script`, the script's arguments.
---@class moonwire.process.Options
---@field [integer] string|number
---@field script? string                    a script beside ours, run by this program; needs no run right
---@field permissions? table|"none"|"inherit"  of a script child: read write net connect listen run env sys share; default none
---@field share? table<string, moonwire.Memory|moonwire.Ring|moonwire.Stream>  what a script child finds in its mw.shared: memory is ours
---  too, of a ring the other side goes, a stream is moved; at most 12
---@field cwd? string                       needs a read right; a relative program is looked for there
---@field env? table<string, string|number|false>  what is added; false: removed. The rest is ours, as far as env rights go
---@field clear_env? boolean                true: nothing of ours
---@field stdin? string|moonwire.Stream     "null" (default), "inherit", "pipe" (spawn), a stream; any other string is the input itself
---@field stdout? "pipe"|"inherit"|"null"|moonwire.Stream           run: "pipe", spawn: "inherit"
---@field stderr? "pipe"|"inherit"|"null"|"stdout"|moonwire.Stream  run: "pipe", spawn: "inherit"
---@field max_output? integer|string        of each captured stream; "8MiB"
---@field on_overflow? "fail"|"truncate"    beyond it: the child is ended and ELIMIT given (default), or the rest is dropped
---@field timeout? number|string            then TERM to the group, KILL after kill_after
---@field kill_signal? string|integer       instead of TERM
---@field kill_after? number|string         5 s; also how long a grandchild may hold the pipes of a program that has ended
---@field check? boolean                    true: a result that is not ok is raised
---@field tee? boolean                      true: what is captured is shown as well
---@field detached? boolean                 true: a session of its own that outlives us
---@field pty? boolean|{ rows?: integer, cols?: integer }  a terminal of its own; `child.tty`, or run's stdout
---@field name? string                      for logs
---@field sandbox? moonwire.process.Sandbox  narrows what the kernel lets a program do; a script child takes `permissions`
---@field limits? moonwire.process.Limits   of the kernel's resources

--- A program that is not trusted (--trust-run) is held by the kernel to the script's own rights; this narrows them. What the
--- script itself has not raises EDENIED. Its HOME and TMPDIR are a private directory, unless `env` names them.
---@class moonwire.process.Sandbox
---@field read? string|string[]|boolean     files and folders, as for --allow-read. One of read and write mentioned: the other is none,
---@field write? string|string[]|boolean    and nothing else can be reached; neither: as the script may. true: all of the kind
---@field connect? integer[]|false          TCP ports; each needs a right for every host there. Not mentioned: those of the script
---@field listen? integer[]|false           likewise; 0: a port that the kernel chooses
---@field env? string|string[]|false        names and PREFIX_* that it inherits
---@field unix? boolean                     Unix sockets by name; takes a right for the whole net, or trust
---@field metadata? boolean                 chmod, chown, utime, xattr, without a write right of its own; takes a write right of the script

---@class moonwire.process.Limits
---@field memory? integer|string            address space of each process: "512MiB"; beyond it the program's own allocations fail
---@field cpu? number|string                processor time of each process, in whole seconds; then signal "XCPU", or "KILL"
---@field files? integer                    descriptors of each process
---@field processes? integer                it and its descendants together; beyond it the program's own fork fails

---@class moonwire.process.Result
---@field ok boolean        exit code 0, in time
---@field code? integer     nil when a signal ended it
---@field signal? string    "KILL"
---@field unknown? boolean  somebody else in this process took its status: neither code nor signal is known
---@field stdout? string    what was captured
---@field stderr? string
---@field pid integer
---@field duration number   seconds
---@field timed_out boolean
---@field truncated boolean
---@field rusage? { user: number, system: number, max_memory: integer, minor_faults: integer, major_faults: integer, waits: integer, preemptions: integer }
---@field argv string[]
---@field stages? moonwire.process.Result[]  of a pipeline

--- A running program. Close it (`local child <close> = ...`): that ends its whole group, TERM first, KILL after kill_after.
---
--- ```lua
--- local child <close> = assert(mw.process.spawn{
---   "bc", "-l", stdin = "pipe", stdout = "pipe" })
--- child.stdin:write("2^100\n")
--- print(child.stdout:read("l"))
--- child.stdin:close()
--- print(child:wait().code)
--- ```
---@class moonwire.Process
---@field pid integer
---@field argv string[]
---@field stdin? moonwire.Stream   with stdin = "pipe"
---@field stdout? moonwire.Stream  with stdout = "pipe"
---@field stderr? moonwire.Stream  with stderr = "pipe"
---@field tty? moonwire.Stream     with pty
local Process = {}

--- Waits for its end. Its pipes are yours: read what it writes, or it may wait for you for ever.
---@param opts? { timeout?: number|string }
---@return moonwire.process.Result? result
---@return moonwire.Err? err  ETIMEDOUT; it runs on
function Process:wait(opts) end

--- A signal to its whole group: "TERM" if none is named.
---@param signal? string|integer
---@return true? ok
---@return moonwire.Err? err  ESRCH: it has ended
function Process:kill(signal) end

--- TERM (kill_signal) to its group now, KILL after kill_after; does not wait.
---@return moonwire.Process self
function Process:stop() end

--- Its stdin and stdout as one stream, which takes their place; of a script child: the other end of its `mw.parent`.
---@return moonwire.Stream? stream
---@return moonwire.Err? err
function Process:stream() end

--- Whether it has not ended yet, as far as is known.
---@return boolean running
function Process:running() end

--- The size of its terminal.
---@param rows integer
---@param cols integer
---@return true? ok
---@return moonwire.Err? err
function Process:resize(rows, cols) end

--- Ends the group (TERM, then KILL) and closes its streams. Safe to repeat.
function Process:close() end

---@class moonwire.core.process
local door = {}

---@param use "run"|"spawn"|"lines"|"pipe"  decides the defaults
---@param options moonwire.process.Options
---@param notify? boolean  it is told how to say that it is ready: await_ready
---@return moonwire.Process? process
---@return moonwire.Err? err
function door.start(use, options, notify) end

--- Waits until a process that was started with `notify` has said that it is ready.
---@param process moonwire.Process
---@param seconds? number
---@return boolean ready  false: the time is up, or it has ended
function door.await_ready(process, seconds) end

--- Says that this process is ready to whoever asked for it with `notify`.
---@return boolean told  false: nobody did, or it was told before
function door.notify() end

--- Waits until it is over and lets it go.
---@param process moonwire.Process
---@param truncate boolean  more than max_output is no error
---@return moonwire.process.Result? result
---@return moonwire.Err? err
function door.collect(process, truncate) end

--- start("run") and collect in one.
---@param truncate boolean
---@param options moonwire.process.Options
---@return moonwire.process.Result? result
---@return moonwire.Err? err
function door.run(truncate, options) end

--- A kernel pipe between two children; each end is given as stdin or stdout once.
---@return userdata? reading
---@return userdata|moonwire.Err writing
function door.link() end

--- A script child's line to its parent; nil in any other script.
---@return moonwire.Stream? parent
---@return moonwire.Err? err
function door.parent() end
