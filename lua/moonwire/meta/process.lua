---@meta
--- The door `core.process` (host/bind/process.c), a child's methods in C, and what lua/moonwire/process.lua takes and gives.

--- What a child is, and what it gets. The program and its arguments come first, as an array, so nothing is ever split or quoted:
--- `{ "git", "log", "-1", cwd = dir, timeout = 5 }`. With `script` the array is the script's arguments. An unknown option raises.
---@class moonwire.process.Options
---@field [integer] string|number           the program, found along our PATH (not one in `env`) unless it has a slash, and its
---  arguments
---@field script? string                    in place of a program: a script beside ours, run by this program; needs no run right
---@field permissions? moonwire.process.Permissions|"none"|"inherit"  of a script child: what it may do, within what we may; "none" unless
---  told,
---  "inherit": all that we may
---@field share? table<string, moonwire.Memory|moonwire.Ring|moonwire.Stream>  what a script child finds in its mw.shared: memory is ours
---  too, of a ring the other side goes, a stream is moved; at most 12
---@field cwd? string                       the folder that it starts in: ours unless told. Needs a read right; a relative program is
---  looked for there
---@field env? table<string, string|number|false>  variables: added to what it inherits; false removes one. What it inherits are ours,
---  as far as our env rights go
---@field clear_env? boolean                true: it inherits none of ours
---@field stdin? string|moonwire.Stream     "null" (default), "inherit" (ours), "pipe" (spawn: `child.stdin`), a stream or file; any other
---  string is the input itself
---@field stdout? "pipe"|"inherit"|"null"|moonwire.Stream           run: "pipe" (captured), spawn: "inherit" (ours) unless told; a stream
---  or file
---@field stderr? "pipe"|"inherit"|"null"|"stdout"|moonwire.Stream  likewise; "stdout": where its stdout goes
---@field max_output? integer|string        bytes that are captured of each stream; "8MiB". lines: of one line; "1MiB", at most "64MiB"
---@field on_overflow? "fail"|"truncate"    beyond max_output: the child is ended and ELIMIT given (default), or the rest is read and
---  dropped
---@field timeout? number|string            how long it may run: then TERM to its group, KILL after kill_after; result.timed_out. No end
---  unless told
---@field kill_signal? string|integer       sent in place of TERM, when it has to end: "INT"
---@field kill_after? number|string         from TERM to KILL: 5 s; also how long a grandchild may hold the pipes of a program that has
---  ended
---@field check? boolean                    true: a result that is not ok is raised, as is a start that fails: ECRASHED or ETIMEDOUT with
---  err.data.argv, exit_code, signal, duration, stderr (the last 4 KiB)
---@field tee? boolean                      true: what is captured is shown as well
---@field detached? boolean                 true: a session of its own that outlives us; closing it lets go of it
---@field pty? boolean|moonwire.process.Pty  a terminal of its own in place of the three streams: `child.tty`, or run's stdout
---@field name? string                      for people: logs, traces
---@field sandbox? moonwire.process.Sandbox  narrows what the kernel lets a program do; a script child takes `permissions`
---@field limits? moonwire.process.Limits   of the kernel's resources

---@class moonwire.process.Pty
---@field rows? integer  24
---@field cols? integer  80

--- Rights of a script child or a worker: each is a rule or a list of them, as behind the flags (`--allow-read=data` is
--- `read = "data"`), true for everything of the kind, or false. What we have not ourselves raises EDENIED; "inherit" is all that we
--- have of the kind, however little (a file of that name is `{ "inherit" }`).
---
--- ```lua
--- mw.process.run{ script = "fetch.lua",
---   permissions = { net = "inherit", write = { "/tmp/in" } } }
--- ```
---@class moonwire.process.Permissions
---@field read? string|string[]|boolean     files and folders
---@field write? string|string[]|boolean
---@field net? string|string[]|boolean      "example.com:443", "127.0.0.1", ":8080", "10.0.0.0/8", "unix:/run/app.sock"
---@field connect? string|string[]|boolean  the same rules, for connecting only
---@field listen? string|string[]|boolean   the same rules, for listening only
---@field run? string|string[]|boolean      programs
---@field env? string|string[]|boolean      variables; "APP_*"
---@field sys? string|string[]|boolean      "hostname", "cpus", ...
---@field share? string|string[]|boolean    names of shared memory

--- A program that is not trusted (--trust-run) is held by the kernel to the script's own rights; this narrows them. What the
--- script itself has not raises EDENIED. Its HOME and TMPDIR are a private directory, unless `env` names them.
---
--- ```lua
--- mw.process.run{ "python3", "job.py",
---   sandbox = { read = { "job.py", "in" }, write = { "out" } },
---   limits = { memory = "512MiB", cpu = 10 } }
--- ```
---@class moonwire.process.Sandbox
---@field read? string|string[]|boolean     files and folders, as for --allow-read. One of read and write mentioned: the other is none,
---  and nothing else can be reached; neither: as the script may. true: all of the kind
---@field write? string|string[]|boolean    likewise
---@field connect? integer[]|false          TCP ports; each needs a right for every host there. Not mentioned: those of the script
---@field listen? integer[]|false           likewise; 0: a port that the kernel chooses
---@field env? string|string[]|false        names and PREFIX_* that it inherits
---@field unix? boolean                     Unix sockets by name; takes a right for the whole net, or trust
---@field metadata? boolean                 chmod, chown, utime, xattr, without a write right of its own; takes a write right of the script

--- What the kernel lets a child use. What it reaches shows in the child: an allocation or a fork that fails, a signal.
---@class moonwire.process.Limits
---@field memory? integer|string            address space of each process: "512MiB"; beyond it the program's own allocations fail
---@field cpu? number|string                processor time of each process, in whole seconds; then signal "XCPU", or "KILL"
---@field files? integer                    descriptors of each process
---@field processes? integer                it and its descendants together; beyond it the program's own fork fails

--- How a child ended.
---@class moonwire.process.Result
---@field ok boolean        exit code 0, in time
---@field code? integer     the exit code; nil when a signal ended it
---@field signal? string    the signal that ended it: "KILL"
---@field unknown? boolean  somebody else in this process took its status: neither code nor signal is known
---@field stdout? string    what was captured of it
---@field stderr? string    likewise
---@field pid integer
---@field duration number   seconds from its start to its end
---@field timed_out boolean `timeout` ended it
---@field truncated boolean it wrote more than max_output, and the rest was dropped
---@field rusage? moonwire.process.Usage
---@field argv string[]     what was run
---@field stages? moonwire.process.Result[]  of a pipeline: each one's

--- What the kernel counted for a child and those of its descendants that it waited for.
---@class moonwire.process.Usage
---@field user number           seconds of processor time in the program
---@field system number         seconds of processor time in the kernel
---@field max_memory integer    bytes that it had at most
---@field minor_faults integer  pages that were there
---@field major_faults integer  pages that had to be read
---@field waits integer         times that it gave the processor up
---@field preemptions integer   times that the processor was taken from it

--- Commands in their order, as an array, and options of the whole. Each command is a table as for `run`; what it says itself goes before
--- what the whole says. stdin is the first one's, stdout and tee the last one's.
---@class moonwire.process.Pipeline
---@field [integer] moonwire.process.Options
---@field stdin? string|moonwire.Stream
---@field stdout? "pipe"|"inherit"|"null"|moonwire.Stream
---@field stderr? "pipe"|"inherit"|"null"|"stdout"|moonwire.Stream  of each; "pipe": all of it together in result.stderr
---@field check? boolean
---@field tee? boolean
---@field cwd? string
---@field env? table<string, string|number|false>
---@field clear_env? boolean
---@field timeout? number|string
---@field kill_after? number|string
---@field kill_signal? string|integer
---@field max_output? integer|string
---@field on_overflow? "fail"|"truncate"
---@field name? string
---@field sandbox? moonwire.process.Sandbox
---@field limits? moonwire.process.Limits

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
---@field pid integer              its number
---@field argv string[]            what was run
---@field stdin? moonwire.Stream   with stdin = "pipe"
---@field stdout? moonwire.Stream  with stdout = "pipe"
---@field stderr? moonwire.Stream  with stderr = "pipe"
---@field tty? moonwire.Stream     with pty
local Process = {}

--- Waits for its end. Its pipes are yours: read what it writes, or it may wait for you for ever.
---@param opts? moonwire.Timeout
---@return moonwire.process.Result? result
---@return moonwire.Err? err  ETIMEDOUT: it runs on
function Process:wait(opts) end

--- Sends a signal to its whole group.
---@param signal? string|integer  "TERM" if none is named; "HUP", "INT", "KILL", ... or a number
---@return true? ok
---@return moonwire.Err? err  ESRCH: it has ended
function Process:kill(signal) end

--- TERM (kill_signal) to its group now, KILL after kill_after; does not wait.
---@return moonwire.Process self
function Process:stop() end

--- Its stdin and stdout as one stream, which takes their place; of a script child: the other end of its `mw.parent`.
---
--- ```lua
--- local lsp = child:stream():framed("content-length")
--- ```
---@return moonwire.Stream? stream
---@return moonwire.Err? err  it has no pipes
function Process:stream() end

--- Whether it has not ended yet, as far as is known.
---@return boolean running
function Process:running() end

--- Sets the size of its terminal (`pty`); it gets the signal WINCH.
---@param rows integer
---@param cols integer
---@return true? ok
---@return moonwire.Err? err  it has no terminal
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
