---@meta moonwire
--- The module as scripts have it: `local mw = require "moonwire"`. Its parts load when they are first looked at.

--- Everything in one table: `local mw = require "moonwire"`. Parts load when they are first used; nothing is global.
---
--- A call that waits suspends its *task* and nothing else. What the world refuses comes back as `nil, err`; a wrong call, a
--- missing right and a cancel are raised. `err.code` is what programs compare, `tostring(err)` is the line people read. What
--- is opened closes by `<close>`, by `:close()`, by collection, and at the end of the host.
---
--- Durations are seconds, or text with a unit ("250ms", "2s", "5m", "1h"); sizes are bytes, or text ("64KiB", "1MiB", "2GiB").
---
--- ```lua
--- local mw = require "moonwire"
--- local result = assert(mw.process.run{ "echo", "hello" })
--- print(result.stdout)
--- ```
---@class moonwire
---@field process moonwire.process  programs: run, spawn, pipe, pools of them
---@field net moonwire.net  sockets: connect, listen, pools of connections
---@field task moonwire.task  tasks, scopes, timeouts, channels, semaphores
---@field frame moonwire.frame  where one message ends and the next begins
---@field json moonwire.json  values as JSON text and back
---@field msgpack moonwire.msgpack  values as MessagePack bytes and back
---@field schema moonwire.schema  what messages must look like
---@field fs moonwire.fs  files and folders
---@field shm moonwire.shm  memory that several processes have at once
---@field worker moonwire.worker  Lua states on threads of their own
---@field supervisor moonwire.supervisor  processes that are kept running
---@field host moonwire.host  the program around this one, when it embeds us
---@field rpc moonwire.rpc  calls to the other end of a channel
---@field repl moonwire.prompt  a prompt inside this script, for `moonwire attach`
---@field auth moonwire.auth  who may connect
---@field metrics moonwire.metrics  counters, gauges, histograms
---@field trace moonwire.trace  messages written down for other programs
---@field log moonwire.log  lines for people and machines
---@field permissions moonwire.permissions  what this script may do
---@field env moonwire.env  the environment, as far as the rights go
---@field sys moonwire.sys  facts about the machine and this process
---@field time moonwire.time  clocks
---@field random moonwire.random  random bytes
---@field platform moonwire.platform  what this program was built for
---@field script moonwire.script  where the running script is
---@field null lightuserdata  the null of JSON and MessagePack: a value of its own, which a table can hold. `v == mw.null` asks for it
---@field parent moonwire.Parent|moonwire.Stream|nil  the other side, in a worker (moonwire.Parent) and in a script child (a stream); else
---  nil
---@field shared? table<string, moonwire.Memory|moonwire.Ring|moonwire.Stream>  what the parent gave with `share`, by its names
local mw = {}

--- Shows `v` as text that a person can read: keys sorted, cycles shown, one line if it fits in 80 columns, else several. Calls no
--- metamethod but `__tostring` and `__name`, so looking at a thing does not change it.
---
--- ```lua
--- print(mw.inspect({ 1, 2, name = "a" }))     --> { 1, 2, name = "a" }
--- ```
---@param v any
---@param opts? moonwire.InspectOptions
---@return string text
function mw.inspect(v, opts) end

---@class moonwire.InspectOptions
---@field depth? integer       levels of tables; 8, at most 64
---@field max? integer|string  bytes of the whole; 64 KiB
---@field line? boolean        true: never more than one line
---@field width? integer       columns of a line; 80
---@field items? integer       entries of one table that are shown; as many as `max` allows
---@field text? integer|string bytes of one string that are shown; likewise
---@field from? integer        entries of `v` itself, or bytes of it, that are left out at its beginning; 0

--- In plain Lua (`lua5.4`, `require "moonwire"`): runs `fn` as a task, in a scope of its own, and comes back when all that it has
--- started is over. This is what turns the loop: whatever waits is called inside it, one run after the other, never one inside the
--- other. Ctrl-C and TERM cancel the run. In the program a script runs inside it from its first line, and may use it all the same.
---
--- ```lua
--- local mw = require "moonwire"
--- mw.main(function()
---   print(assert(mw.process.run{ "echo", "hello" }).stdout)
--- end)
--- ```
---@param fn function
---@param ... any  its arguments
---@return any ...  what `fn` returns; what it raises is raised
function mw.main(fn, ...) end

--- Ends the script: cancels everything, runs what `<close>` and the shields have to do, then leaves with the status. Raises
--- ECANCELED in its caller, so nothing behind it runs. What was written still goes out, for 5 s at most. `os.exit` is the same.
---@param code? integer|boolean  0 to 255; 0 unless told; true is 0, false is 1
function mw.exit(code) end

--- Runs `fn(name)` in a task each time the signal comes, one at a time; what comes twice meanwhile counts once. While a handler of
--- INT or TERM is there, that signal does not end the script. The task is a daemon of the calling task's innermost scope: it ends
--- with it, and an error of `fn` is that scope's. An embedder may keep signals to itself: EDENIED is raised.
---
--- ```lua
--- local reload <close> = mw.on_signal("HUP", function() read_settings() end)
--- ```
---@param name "HUP"|"INT"|"QUIT"|"USR1"|"USR2"|"TERM"|"CONT"|"TSTP"|"TTIN"|"TTOU"|"WINCH"
---@param fn fun(name: string)
---@return moonwire.SignalHandler handler  close it to give the signal back
function mw.on_signal(name, fn) end

--- In a worker or in the child of a pool: answers calls by a table of functions until nothing more will come. Each function gets
--- the value that was sent; what it returns is the answer. What it raises is the caller's ETASK (err.data.error,
--- err.data.traceback); `nil, err` of its own arrives as that.
---
--- ```lua
--- local mw = require "moonwire"
--- mw.serve{ double = function(n) return 2 * n end }
--- -- elsewhere: pool:call("double", 21), or worker:call("double", 21)
--- ```
---@param handlers table<string, fun(value: any): ...: any>  functions by the names that calls have
---@param options? moonwire.ServeHandlersOptions
function mw.serve(handlers, options) end

---@class moonwire.ServeHandlersOptions
---@field concurrent? integer  calls that are answered at the same time, 1 to 10,000; 1. In a pool `size` decides

--- What `mw.on_signal` gives.
---@class moonwire.SignalHandler
local SignalHandler = {}

--- Ends it: the signal does again what it did before. May be repeated; also `local h <close> = ...`.
function SignalHandler:close() end

--- Where the running script is.
---@class moonwire.script
---@field path? string  its path, as it was given
---@field dir? string  its folder; nil for text from standard input or `moonwire eval`

--- What `nil, err` and raised errors are. `tostring(err)` is one line: "net connect tcp://127.0.0.1:1: connection refused"; `assert(...)`
--- raises
--- it whole. Programs compare `err.code`, never the text.
---
--- ```lua
--- local conn, err = mw.net.connect("unix:/run/app.sock", { timeout = 2 })
--- if not conn and err.code == "ENOENT" then print("no server there") end
--- ```
---@class moonwire.Err
---@field code moonwire.Code|string  "ETIMEDOUT", "EDENIED", ... or the system's name ("ECONNREFUSED", "ENOENT", "EAI_NONAME")
---@field op? string       what was tried: "net connect"
---@field subject? string  on what: "tcp://127.0.0.1:1"
---@field message string   what went wrong: "connection refused"
---@field hint? string     the way out: "grant it with --allow-net=127.0.0.1:1"
---@field data? any        what a program may want to know of it; told where the code is told
---@field where? string    the caller's place, "script.lua:12", when it was raised

--- What `err.code` may be, beside the names that the system has for its errors ("ECONNREFUSED", "ENOENT", "EPIPE", ...; names of
--- hosts that cannot be found: "EAI_NONAME" and its like).
---@alias moonwire.Code
---| "EDENIED"        # a right is missing; raised. err.hint names the flag that would grant it (embedded: the policy's rule)
---| "ECANCELED"      # the task was cancelled; raised where it waits, and again should it be swallowed
---| "EINVAL"         # the call is wrong: a type, a range, an unknown option; raised at the caller's line
---| "ETIMEDOUT"      # a `timeout` ran out; nothing that arrived is lost
---| "EEOF"           # the end came in the middle of something: err.data.had bytes of err.data.wanted
---| "EFRAME"         # a frame breaks its protocol or its `max`; err.data.why: "too_large", "protocol", ...
---| "EPARSE"         # text or bytes that cannot be read; err.data.offset, line, column, path
---| "ESCHEMA"        # a message does not fit its schema; err.data.path, err.data.expected
---| "ELIMIT"         # a limit of the host or of the call was reached; err.hint names the option that sets it
---| "EAGAIN"         # not now: the queue is full, or (decode) more bytes are needed, err.data.need
---| "ECLOSED"        # used after it was closed, or it closed meanwhile
---| "ECRASHED"       # a worker, a child or a service ended by an error; err.data: exit_code, signal, stderr, traceback
---| "ETASK"          # a handler raised; err.data.error is what it raised, err.data.traceback says where
---| "EAUTH"          # the other side did not prove who it is, or did not believe us
---| "ECERT"          # a certificate was refused; err.data.reason: "expired", "wrong name", "unknown authority", ...
---| "ETLS"           # TLS failed otherwise; err.data.reason
---| "ERPC"           # the peer answered a call with an error; err.data: code, message, data
---| "ENORESPONDERS"  # nobody serves this subject
---| "ELUA"           # a Lua error that is no error object, such as a syntax error; to embedders
---| "EUNKNOWN"       # a system's error that has no name here

return mw
