---@meta
--- The door `core.pool` (host/bind/pool*.c), a pool's methods, and what lua/moonwire/pool.lua takes.

--- The set of workers and the queue in front of it. All other options are those of the processes (`cwd`, `env`, `permissions`,
--- `limits`, `sandbox`, `share`, `stderr`, `tee`, ...); the array part is the script's arguments.
---@class moonwire.process.PoolOptions
---@field script? string              a script that ends in `mw.serve{ name = function(value) ... end }`: its workers stay
---@field command? string[]|fun(task: any): moonwire.process.Options  a program that answers each request with a reply; or, with mode
---@field protocol? string|moonwire.Frame  of that program: "lines", "u32le", ... or one of mw.frame.new
---@field mode? "oneshot"             one process per task: `command` gives its arguments (and options), its output is the result
---@field size? integer               workers at most; as many as there are processors
---@field min_idle? integer           so many are kept idle, as far as size allows; 0
---@field max_queue? integer          tasks that wait; 1000
---@field max_queue_bytes? integer|string  of their requests; "64MiB"
---@field queue_timeout? number|string     how long a task waits for a worker; 10 s
---@field task_timeout? number|string      how long it may run, from when a worker begins it; 60 s. Then its worker is ended and replaced
---@field start_timeout? number|string     how long a script may take to come to mw.serve; 30 s
---@field max? integer|string         bytes of one request's value and of one answer; "16MiB"
---@field on_cancel? "keep"|"kill"    of a task that runs when its caller is cancelled: it goes on, its answer is dropped (default);
---                                   or its worker is ended. One that waits is withdrawn in any case
---@field recycle? moonwire.PoolRecycle  when another worker takes the place of one; default: never
---@field restart? moonwire.PoolRestart  how fast workers that end are replaced, and when to give up
---@field retry? moonwire.PoolRetry       which tasks are run again; without it no task is ever run twice

--- A worker leaves, after the task that it has, when one of these is reached; another takes its place.
---@class moonwire.PoolRecycle
---@field tasks? integer           that it has finished
---@field memory? integer|string   bytes that its process has
---@field age? number|string       since it was started

--- Workers that end before they finished one task: more than `max` of them `within`, and the pool is broken (every call ECRASHED). One
--- that had worked is replaced at once, another after a pause.
---@class moonwire.PoolRestart
---@field max? integer             5
---@field within? number|string    10 s
---@field backoff? (number|string)[]  { first, longest } pause, doubling; { 0.1, 5 }

---@class moonwire.PoolRetry
---@field on? ("crash"|"timeout"|"error")[]  its worker crashed, it ran too long, its handler raised
---@field attempts? integer        times it is run again at most; 2

--- Workers on threads: the set's options as for processes (size, min_idle, max_queue, max_queue_bytes, queue_timeout, task_timeout,
--- start_timeout, max, on_cancel, recycle.tasks, recycle.age, restart, retry), and those of mw.worker.spawn.
---@class moonwire.WorkerPoolOptions: moonwire.WorkerOptions
---@field script string   a script that ends in `mw.serve{ name = function(value) ... end }`; it runs one task at a time, whatever
--- its `concurrent` says: `size` is how many run at once

--- Workers and the queue in front of them: `mw.process.pool`, `mw.worker.pool`. Close it (`local pool <close> = ...`): what waits and
--- runs ends with ECLOSED, the workers are killed.
---
--- ```lua
--- local pool <close> = assert(mw.process.pool{
---   script = "resize.lua", size = 4, task_timeout = 5 })
--- local image, err = pool:call("resize", "a.png", { timeout = 2 })
--- for i, v, why in pool:map("resize", { "b.png", "c.png" }) do
---   print(i, v or why)
--- end
--- ```
---@class moonwire.Pool
local Pool = {}

--- What to do with the value, by a worker. Yields until there is an answer. Failures are `nil, err`:
--- ETIMEDOUT (err.data.phase "queue" or "run"); ECRASHED: its worker ended (err.data: exit_code, signal, stderr, reason, pid; of
--- a thread code, traceback, reason);
--- ETASK: the handler raised (err.data: error, traceback); each with err.data.task and err.data.attempts; ECLOSED; what the handler
--- returned after a nil. A queue that is full is waited for. Pools of `command` take no name: `pool:call(request, opts)`.
---@param name string
---@param value any  nil, booleans, numbers, strings, tables; to threads also shared memory, rings and streams, which then are the
--- task's (a stream stays open until the task is over: it may be run again)
---@param opts? moonwire.CallOptions
---@return any ...  what the handler returned; nil and an error
function Pool:call(name, value, opts) end

--- The same, save that a full queue is nil, EAGAIN at once.
---@param name string
---@param value any
---@param opts? moonwire.CallOptions
---@return any ...  what the handler returned; nil and an error
function Pool:try_call(name, value, opts) end

---@class moonwire.CallOptions
---@field priority? integer       the greater goes first; 0
---@field timeout? number|string  of waiting and running together

---@class moonwire.PoolStats
---@field size integer       workers there are
---@field max integer        workers there may be
---@field busy integer       workers that have a task
---@field idle integer       workers that have none
---@field starting integer   workers on their way
---@field queued integer     tasks that wait
---@field given integer      tasks that workers have
---@field completed integer  tasks, so far
---@field failed integer     by any cause
---@field crashed integer    workers that ended and were not asked to
---@field restarted integer  workers that took the place of one that died or was killed
---@field recycled integer   workers that left because of `recycle`
---@field wait { p50: number, p99: number }  seconds from the call to the beginning
---@field run { p50: number, p99: number }   seconds of running
---@field state "open"|"draining"|"broken"|"closed"
---@field reason? string     how the last worker ended that was not asked to

--- What is, and what was.
---@return moonwire.PoolStats stats
function Pool:stats() end

--- Takes no more tasks, finishes those it has, lets its workers go. The pool is of no use afterwards.
---@param opts? moonwire.Timeout
---@return boolean? ok
---@return moonwire.Err? err  ETIMEDOUT: some are still at it; nothing was ended
function Pool:drain(opts) end

--- Ends it now. May be repeated.
function Pool:close() end

--- A worker of a pool, as `pool:workers()` tells of it.
---@class moonwire.PoolWorker
---@field id integer     from 1, never used twice
---@field pid? integer   its process; of a thread: none
---@field state "starting"|"idle"|"busy"|"stuck"|"leaving"|"ending"
---@field tasks integer   that it has finished
---@field given integer   that it has now

---@class moonwire.core.pool
local pool = {}

---@param op string
---@param options table
---@param kind "script"|"runner"|"thread"
---@param keeper function  (hand, child?) ends when its worker has ended
---@param plain? boolean   calls have no name
---@return moonwire.Pool? pool
---@return userdata hand
function pool.new(op, options, kind, keeper, plain) end

---@param set moonwire.Pool
---@param hand userdata
---@param keeper function
---@param child? moonwire.Process  the first worker's
function pool.begin(set, hand, keeper, child) end

---@param hand userdata
---@param err any  why a worker that was wanted could not be started
function pool.refused(hand, err) end

---@param set moonwire.Pool
---@return table[]
function pool.members(set) end

---@param set moonwire.Pool
---@param id integer
---@param signal string
---@return boolean?, moonwire.Err?
function pool.signal(set, id, signal) end

--- Sees to a worker script until it has ended.
---@param hand userdata
---@param child moonwire.Process
function pool.attend(hand, child) end

--- Sees to a worker on a thread until it has ended.
---@param hand userdata
---@param thread moonwire.Worker
function pool.attend_thread(hand, thread) end

--- Whether this script is a worker on a thread, of a pool.
---@return boolean
function pool.is_thread() end

--- Makes the running task a worker.
---@param hand userdata
---@param child? moonwire.Process
---@return userdata worker
function pool.work(hand, child) end

---@param worker userdata
---@return boolean? more  nil: the worker is to end
---@return string name
---@return any value
function pool.take(worker) end

---@param worker userdata
---@param ok boolean?  false: the task raised; nil: its caller is to
---@param ... any      its results; the error and its traceback; the error
function pool.answer(worker, ok, ...) end

---@param worker userdata
---@param story table  reason, exit_code, signal, stderr, pid
---@param blameless? boolean  it is no sign that nothing works
function pool.lost(worker, story, blameless) end

---@param worker userdata
---@return boolean
function pool.idle(worker) end

---@param handlers table<string, function>
---@return nil, moonwire.Err?
function pool.serve(handlers) end

return pool
