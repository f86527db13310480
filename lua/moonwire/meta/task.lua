---@meta
--- Tasks (host/bind/task.c): what lua/moonwire/task.lua hands on.

--- A function that runs beside others. Its scope waits for it.
---@class moonwire.Task
local Task = {}

--- Waits for its end: gives what its function returned; raises what it raised. A waiting joiner takes the error, otherwise
--- its scope does.
---@param opts? moonwire.Timeout
---@return any ...  what the function returned; nil and an error: ECANCELED, somebody cancelled it; ETIMEDOUT, it runs on
function Task:join(opts) end

--- Raises ECANCELED with `why` where it waits, again and again until it has ended. Inside a shield it is left alone, and inside a
--- `__close` for as long as `--cleanup` (`mw_config.cleanup_ms`) says: 5 s for all that one cancel begins. Does not wait.
--- Two are not known as such: a `__close` that has left by a tail call (`return self:stop()`; without the `return` it is) of a block that
--- ended in order, and one in C. In a generator an error closes when the generator has ended: what runs then cannot wait at all.
---@param why? string  told in the error
---@return moonwire.Task self
function Task:cancel(why) end

--- Whether it has ended, in whatever way.
---@return boolean ended
function Task:done() end

--- The name that `spawn_with` gave it.
---@return string? name
function Task:name() end

--- Options of what waits.
---@class moonwire.Timeout
---@field timeout? number|string  seconds, or "250ms", "2s", "5m"; default: no end. Running out gives nil, ETIMEDOUT, and loses nothing

--- Waits for the tasks started in it; the first error cancels the others and is raised by whoever waits for the scope.
---@class moonwire.Scope
local Scope = {}

--- Starts f(...) in this scope. It begins at the caller's next wait.
---@param f function
---@param ... any  what f gets
---@return moonwire.Task task
function Scope:spawn(f, ...) end

--- The same with options.
---@param opts moonwire.SpawnOptions
---@param f function
---@param ... any
---@return moonwire.Task task
function Scope:spawn_with(opts, f, ...) end

--- Ends its tasks and its body; task.scope(f) then gives nil, ECANCELED.
---@param why? string
function Scope:cancel(why) end

--- Waits for its tasks (also as `<close>`). Only by the task that opened it. May be repeated.
function Scope:close() end

---@class moonwire.SpawnOptions
---@field daemon? boolean  true: its scope does not wait for it, but cancels it at its end
---@field name? string     for people: traces, warnings, task.list

---@class moonwire.task
local task = {}

--- Starts f(...) in the innermost scope of the calling task. It begins at the caller's next wait.
---
--- ```lua
--- local t = mw.task.spawn(function(n) mw.task.sleep(n) return "done" end, 0.5)
--- print(t:join())
--- ```
---@param f function
---@param ... any  what f gets
---@return moonwire.Task task
function task.spawn(f, ...) end

--- The same with options: a daemon is cancelled when its scope has nothing else to wait for, which is what servers beside a script want.
---
--- ```lua
--- mw.task.spawn_with({ daemon = true }, server.serve, server, handler)
--- ```
---@param opts moonwire.SpawnOptions
---@param f function
---@param ... any
---@return moonwire.Task task
function task.spawn_with(opts, f, ...) end

--- `scope(f)` calls f(scope) and gives its results when all tasks started in the scope have ended; an error of one cancels the
--- others and is raised here. Without a function: a scope for `local s <close> = task.scope()`, which waits where the block ends.
---
--- ```lua
--- mw.task.scope(function(s)
---   s:spawn(download, "a")
---   s:spawn(download, "b")
--- end)                                   -- both are through
--- ```
---@param f? fun(s: moonwire.Scope, ...: any): ...: any
---@param ... any  what f gets behind the scope
---@return any ...  f's results, or the scope; nil, ECANCELED after scope:cancel()
function task.scope(f, ...) end

--- Calls f(...), for so long at most: its results, or nil, ETIMEDOUT: f is cancelled at its next wait, and what it spawned with it.
--- A scope, a shield, a time limit are the task's: where a generator yields inside of one, it holds for whoever goes on meanwhile, too.
---
--- ```lua
--- local conn, err = mw.task.timeout(2, mw.net.connect, "tcp://10.0.0.1:9")
--- ```
---@param seconds number|string  2, "250ms"
---@param f function
---@param ... any
---@return any ...  f's results; nil, ETIMEDOUT
function task.timeout(seconds, f, ...) end

--- Calls f(), and holds back cancels from outside until f is through, or `timeout` is over: for what must be said or done to its end.
--- A `__close` written in Lua needs none: what it waits for is held back for 5 s (`--cleanup`); with one, for longer or shorter.
---
--- ```lua
--- mw.task.shield(function()
---   conn:write("bye\n")
---   conn:flush()
--- end, { timeout = 1 })
--- ```
---@param f function
---@param opts? moonwire.Timeout
---@return any ...  f's results
function task.shield(f, opts) end

--- Waits for so long.
---@param seconds number|string  0.1, "250ms"
function task.sleep(seconds) end

--- Waits until the task is cancelled: the last line of a server script, whose other tasks do the work.
function task.wait() end

--- Lets the other tasks that are ready run, then goes on. Also a place where a cancel is noticed in long computations.
function task.pass() end

--- The calling task; nil in the callbacks of `uv`, which are no tasks.
---@return moonwire.Task? task
function task.self() end

--- All tasks of this host that have not ended, for looking at.
---@return { name: string, state: string }[] tasks
function task.list() end

--- The door `core.task` (host/bind/task.c): what scripts do not see.
---@class moonwire.core.task
local door = {}

--- A daemon of the host itself, for what outlives the scope that began it.
---@param name string
---@param f function
---@param ... any
---@return moonwire.Task
function door.background(name, f, ...) end

--- `scope:spawn_with({ name = name }, f, ...)`, without a table to look through: for each message.
---@param scope moonwire.Scope
---@param name string
---@param f function
---@param ... any
---@return moonwire.Task
function door.spawn_in(scope, name, f, ...) end

--- What every live task is about. `what`: the function that it waits in; `where`: the script's line that called
--- it; `base`: the function that it began with; `seconds`: since it ran last.
---@return { number: integer, name?: string, state: string, what?: string, where?: string, base?: string, daemon: boolean, cancelled:
---  boolean, seconds: number }[]
function door.census() end

--- Cancels a task by its number.
---@param number integer
---@param why string
---@return boolean found
function door.cancel_number(number, why) end

--- The number of the task that runs.
---@return integer
function door.number() end

--- What a cancelled task cleans up in its `__close` functions waits no longer.
---@param t moonwire.Task
function door.hurry(t) end

--- A scope in which an error that nobody joins cancels nobody: it goes to `f`, which runs as a task of its own.
---@param f fun(number: integer, name: string?, err: any, traceback: string)
---@return moonwire.Scope
function door.supervised(f) end

--- A place to wait: what channels, semaphores and events are made of. Not for scripts.
---@class moonwire.core.Cond
local Cond = {}

--- Waits until woken. Look again at what you waited for: somebody else may have taken it.
---@param seconds? number
---@return boolean woken  false: the time is up
function Cond:wait(seconds) end

--- Wakes all who wait.
function Cond:wake() end

--- Wakes the one who has waited longest.
---@return boolean woken  false: nobody waited
function Cond:wake_one() end

---@return moonwire.core.Cond
function door.cond() end

--- Monotonic seconds.
---@return number
function door.now() end

return door
