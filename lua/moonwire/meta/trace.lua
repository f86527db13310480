---@meta

--- The door of traces; scripts see mw.trace (lua/moonwire/trace.lua).
--- What goes over channels and streams, written down where other programs can read it: Wireshark, jq, ui.perfetto.dev, a terminal.
--- `moonwire run --trace=FILE` does it for all that a script makes, and its script children, without a change of code. Calls of workers
--- and pools are messages of JSON at both ends: {"call":7,"name":"greet","value":...}, {"answer":7,"values":[...]} or with "error".
---@class moonwire.trace
local trace = {}

---@class moonwire.core.trace
---@field on boolean  the run is traced: --trace=FILE
local door = {}

---@class moonwire.TapOptions
---@field to string  a file, which takes the right to write it and is emptied, unless another tap that this script (no worker, no other
---  program) opened alike writes it: then both do; its ending says the format: `.pcapng` (Wireshark), `.jsonl` (an object a line),
---  `.trace.json` (ui.perfetto.dev, chrome://tracing); or "stderr": rows of bytes for a person
---@field payload? integer|string  bytes of each message that are kept; default 4 KiB, at most 16 MiB. Its length is told in full
---@field redact? string[]  names whose values are replaced by stars of the same length before anything is written; default: password,
---  secret, token, authorization, cookie, api_key and their like; {} hides nothing. See moonwire.Tap
---@field max? integer|string  bytes of the whole trace, which then ends with a note that says so; default 1 GiB
---@field colour? boolean  of "stderr"; default: when it is a terminal and NO_COLOR is not set

--- A tap writes down what goes through the things that it is given to (`use`). Nobody waits for it: its file is written by a thread of its
--- own, after 50 ms or 64 KiB; a process that is killed loses no more than that, and what is there can be read. A file that takes no more
--- (a full disk) ends the trace with one warning in the log; the program goes on. Should 16 MiB wait to be written, events are left out,
--- and
--- a note tells how many. 32 taps may be open at a time, one may be attached to 8192 things, and a thing may have 16: ELIMIT says which.
---
--- What `redact` recognises, whatever pieces a stream comes in, also where a piece or `payload` ends in the middle; a name counts
--- without regard to case, and not as a part of a longer word (`password` is found in db-password, not in passwords or db_password):
--- JSON and its like, `"name": value`, at any depth, with escapes in the name, also inside of strings of JSON (a string to its end, an
--- object or array with all that is in it, a number or word of JSON; anything else to the end of the line); `name=value`, to the next
--- space, control character, `&` or `;`, or in quotes to their end; `name: value` without quotes to the end of the line; and MessagePack
--- strings or binaries that are the name, with the whole value behind them. Names are 1 to 64 bytes, at most 64 of them. Not seen: what is
--- compressed, encrypted, percent- or base64-encoded before it reaches the tap; a value of a channel that is split over two of its
--- messages.
---@class moonwire.Tap
local Tap = {}

--- Ends it: the file is whole. Things that it was given to go on without it. May be repeated.
---@return true? ok
---@return moonwire.Err? err  why the file is not whole
function Tap:close() end

--- Writes a line of the script's own between the messages.
---@param text string
---@return moonwire.Tap self
function Tap:note(text) end

--- `bytes` written, `events` seen, and how many of them were `lost`.
---@return { bytes: integer, events: integer, lost: integer } stats
function Tap:stats() end

--- Makes a tap: give it to `use` of streams, channels, workers, rings and task channels.
---
--- ```lua
--- local tap <close> = assert(mw.trace.tap{ to = "ipc.pcapng", payload = 256 })
--- channel:use(tap)
--- ```
---@param options moonwire.TapOptions
---@return moonwire.Tap? tap
---@return moonwire.Err? err  the file cannot be opened; EBUSY: another tap writes it otherwise
function trace.tap(options) end

--- Calls f(...) and gives what it gives; in a traced run the time that it took is in the trace, under this name.
---@param name string
---@param f fun(...: any): ...: any
---@param ... any
---@return any ...
function trace.span(name, f, ...) end

--- A function for use() of what is written in Lua.
---@param tap moonwire.Tap?  nil: the run's trace
---@param name string
---@return moonwire.Middleware
function door.tapped(tap, name) end

--- For our own modules: traces what is made from now on, as `--trace` does; without a path: no more. `trace.on` says whether it is so.
---@param path string?
---@return boolean? ok  without a path: whether there was one
---@return moonwire.Err? err
function door.run(path) end
