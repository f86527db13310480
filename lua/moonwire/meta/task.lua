---@meta
--- The C door of tasks: what lua/moonwire/task.lua hands on.

---@class moonwire.Err
---@field code string      "ETIMEDOUT", "EDENIED", ... or the system's name
---@field op? string       what was tried: "net connect"
---@field subject? string  on what: "tcp://127.0.0.1:1"
---@field message string   what went wrong
---@field hint? string     the way out: "grant it with --allow-net=127.0.0.1:1"
---@field data? any
---@field where? string    the caller's place, when it was raised

--- A function that runs beside others. Its scope waits for it.
---@class moonwire.Task
local Task = {}

--- Waits for its end: gives what its function returned; raises what it raised. A waiting joiner takes the error, otherwise
--- its scope does. Cancelled by somebody: nil, ECANCELED. `timeout` over: nil, ETIMEDOUT.
---@param opts? { timeout?: number|string }
---@return any ...
function Task:join(opts) end

--- Raises ECANCELED with `why` at its waits until it has ended; inside a shield it is left alone.
---@param why? string
---@return moonwire.Task self
function Task:cancel(why) end

---@return boolean
function Task:done() end

---@return string?
function Task:name() end

--- Waits for the tasks started in it; the first error cancels the others and is raised by whoever waits for the scope.
---@class moonwire.Scope
local Scope = {}

--- Starts f(...) in this scope.
---@param f function
---@return moonwire.Task
function Scope:spawn(f, ...) end

--- daemon: the scope does not wait for it, but cancels it at its end.
---@param opts { daemon?: boolean, name?: string }
---@param f function
---@return moonwire.Task
function Scope:spawn_with(opts, f, ...) end

--- Ends its tasks and its body; task.scope(f) then gives nil, ECANCELED.
---@param why? string
function Scope:cancel(why) end

--- Waits for its tasks (also as <close>). Only by the task that opened it. May be repeated.
function Scope:close() end

--- A condition: tasks wait on it, others wake them. Scripts do not see it; channels, semaphores and events are made of it.
---@class moonwire.Condition
local Condition = {}

--- Waits until it is woken (true) or the time is up (false).
---@param seconds? number|string
---@return boolean woken
function Condition:wait(seconds) end

--- Wakes all who wait.
function Condition:wake() end

--- Wakes the one who has waited longest.
---@return boolean woken  somebody waited
function Condition:wake_one() end

---@class moonwire.task
local task = {}

--- Starts f(...) in the innermost scope of the calling task.
---@param f function
---@return moonwire.Task
function task.spawn(f, ...) end

---@param opts { daemon?: boolean, name?: string }
---@param f function
---@return moonwire.Task
function task.spawn_with(opts, f, ...) end

--- scope(f): f(scope)'s results, when all its tasks have ended. scope(): a scope for `local s <close>`.
---@param f? fun(s: moonwire.Scope): any
---@return any ...
function task.scope(f) end

--- f(...)'s results, or nil, ETIMEDOUT: f is cancelled at its next wait, and what it spawned with it.
---@param seconds number|string
---@param f function
---@return any ...
function task.timeout(seconds, f, ...) end

--- f()'s results; cancels from outside wait until f is through, or `timeout` is over.
---@param f function
---@param opts? { timeout?: number|string }
---@return any ...
function task.shield(f, opts) end

---@param seconds number|string
function task.sleep(seconds) end

--- Until cancelled: for servers.
function task.wait() end

--- Lets other ready tasks run.
function task.pass() end

---@return moonwire.Task?
function task.self() end

--- For our own modules: a daemon of the host itself, for what outlives the scope that began it.
---@param name string
---@param f function
---@return moonwire.Task
function task.background(name, f, ...) end

--- For our own modules.
---@return moonwire.Condition
function task.cond() end

---@return { name: string, state: string }[]
function task.list() end

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
function task.cond() end

--- Monotonic seconds.
---@return number
function task.now() end

return task
