---@meta

--- Workers: a Lua state with its own loop on a thread of its own. Messages are copied: nil, booleans, integers, floats,
--- strings, tables with cycles and shared references, error objects; shared memory and rings go by reference, streams are moved.
--- What cannot be sent raises EINVAL, with the path to it.
---@class moonwire.worker
local worker = {}

---@class moonwire.WorkerStats
---@field name string
---@field state "running"|"ended"|"closed"
---@field queued integer  messages sent that the worker has not read (it says so now and then)
---@field unread integer  messages of the worker's that we have not read
---@field calls integer   of ours that wait for an answer

---@class moonwire.WorkerOptions
---@field memory_limit? integer|string  bytes of its Lua state; default and at most: the limit of the calling script
---@field permissions? moonwire.process.Permissions|"none"|"inherit"  its rights, within ours: as for a script child; default "none"
---@field queue? integer  messages that may wait in each direction; default 1024. Who sends more waits
---@field queue_bytes? integer|string  and their bytes; default 64 MiB
---@field name? string  in errors, and of the thread; default: the script's
---@field args? string[]  its `arg` and `...`
---@field share? table<string, moonwire.Memory|moonwire.Ring|moonwire.Stream>  what it finds in its mw.shared; a stream is moved
---@field stack? integer|string  bytes of the thread's stack; default 1 MiB, of which only what is used takes memory

--- Starts `script` on a thread of its own. It is found, and may be read, like a script child's: beside the calling script without a
--- right. A worker may compute as long as it likes: the limit of a step binds it only when it was set (`--limit=step=...`).
---@param script string
---@param options? moonwire.WorkerOptions
---@return moonwire.Worker? worker
---@return moonwire.Err? err
function worker.spawn(script, options) end

--- A Lua state on a thread of its own (`mw.worker.spawn`). Close it (`local w <close> = ...`) to end it.
---
--- ```lua
--- local w <close> = assert(mw.worker.spawn("worker.lua"))
--- w:send{ name = "Lua" }       -- there: for msg in mw.parent:messages() do
--- print(w:recv{ timeout = 1 }) --        mw.parent:send(reply)
--- print(w:call("greet", "Lua")) -- there: mw.serve{ greet = f }
--- ```
---@class moonwire.Worker
local Worker = {}

--- Sends a copy of a value; waits while the queue is full.
---@param value any  not nil
---@param options? moonwire.Timeout
---@return true? ok
---@return moonwire.Err? err  ETIMEDOUT; ECRASHED, ECLOSED: it has ended
function Worker:send(value, options) end

--- The next message; nil when the worker has ended and all that it sent was read.
---@param options? moonwire.Timeout
---@return any message
---@return moonwire.Err? err  ETIMEDOUT; ECRASHED: an error ended it, err.data.traceback says where
function Worker:recv(options) end

--- Adds a function (pass, dir, value) around every message, the first added outermost; calls go past it. A nil without an error drops the
--- message. In place of a function, a tap of mw.trace, which tells of calls too: JSON with the call's number, {"call":7,"name":"greet",
--- "value":...} and {"answer":7,"values":[...]} or {"answer":7,"error":"..."}.
---@param f moonwire.Middleware|moonwire.Tap
---@return moonwire.Worker self
function Worker:use(f) end

--- Iterates over the messages until the worker ends; raises when an error ended it.
---@return fun(): any next
function Worker:messages() end

--- Calls a function that the worker serves (mw.serve) by its name, with a copy of `value`. A worker that only reads messages may
--- still come to serve: a call waits for it, until `timeout` or the worker's end.
---@param name string
---@param value? any
---@param options? moonwire.Timeout
---@return any ...  what the function returns; else nil, err
---@return moonwire.Err? err  ETASK: it raised, err.data.error and err.data.traceback; ETIMEDOUT; ECRASHED: the worker ended meanwhile
function Worker:call(name, value, options) end

--- Waits until the worker has ended by itself.
---@param options? moonwire.Timeout
---@return true? ok
---@return moonwire.Err? err  ETIMEDOUT; ECRASHED
function Worker:join(options) end

--- Says that nothing more is sent: the worker's mw.parent:messages() end when all was read, and so does its mw.serve.
function Worker:finish() end

--- Ends the worker: it may end by itself for `timeout` (a quarter of a second), then it is stopped, wherever it is. What it sent and
--- was not read is lost.
---@param options? moonwire.Timeout
---@return true ok
function Worker:close(options) end

--- What it is doing.
---@return moonwire.WorkerStats stats
function Worker:stats() end

--- In a worker: its maker's side.
---@class moonwire.Parent
local Parent = {}

--- Sends a copy of a value to whoever made this worker; waits while the queue is full.
---@param value any  not nil; what can be sent is told at moonwire.worker
---@param options? moonwire.Timeout
---@return true? ok
---@return moonwire.Err? err  ETIMEDOUT; ECLOSED: nobody is there any more
function Parent:send(value, options) end

--- The next message of the maker's; waits for it. nil when no more will come (`worker:finish`, `worker:close`).
---@param options? moonwire.Timeout
---@return any message
---@return moonwire.Err? err  ETIMEDOUT
function Parent:recv(options) end

--- Iterates over the maker's messages until no more will come.
---
--- ```lua
--- for msg in mw.parent:messages() do
---   mw.parent:send{ reply = "Hello, " .. msg.name }
--- end
--- ```
---@return fun(): any next
function Parent:messages() end

--- Adds a function (pass, dir, value) around every message, the first added outermost; or a tap of mw.trace, which
--- tells of calls as at moonwire.Worker.use.
---@param f moonwire.Middleware|moonwire.Tap
---@return moonwire.Parent self
function Parent:use(f) end

--- The door `core.worker` (host/bind/worker.c): what scripts do not see.
---@class moonwire.core.worker
local door = {}

--- Whether this is a worker.
---@return boolean
function door.inside() end

--- mw.parent in a worker; nothing elsewhere.
---@return moonwire.Parent?
function door.parent() end

--- What mw.serve is made of: the next call, or nothing when no more will come.
---@param parent moonwire.Parent
---@return integer? id
---@return string name
---@return any value
function door.take(parent) end

--- Answers a call.
---@param parent moonwire.Parent
---@param id integer
---@param ... any
function door.reply(parent, id, ...) end

--- Answers a call with an error.
---@param parent moonwire.Parent
---@param id integer
---@param text string
---@param err any
---@param traceback? string
function door.fail(parent, id, text, err, traceback) end

return worker
