---@meta

--- Bytes in and out of a socket, a pipe, a terminal. What waits, suspends the calling task only; a `timeout` (seconds, or
--- "250ms") that runs out gives nil and ETIMEDOUT and loses no bytes. Several tasks may read: each read is served whole, in the
--- order they came. Several may write: each call is one piece.
---
--- ```lua
--- local conn <close> = assert(mw.net.connect("tcp://127.0.0.1:8080"))
--- assert(conn:write("hello\n"))
--- for line in conn:lines{ max = "64KiB", timeout = 5 } do print(line) end
--- ```
---
--- A stream comes from `mw.net.connect`, `listener:accept`, a child's pipes, `mw.parent` of a script child, `stdio:`. Files are of
--- another kind (moonwire.File).
---@class moonwire.Stream
local Stream = {}

---@class moonwire.ReadOptions
---@field timeout? number|string  how long to wait for all of it; default: as long as the connection lives
---@field max? integer|string  bytes; of a line ("1MiB", at most "64MiB"), of everything ("8MiB", at most "1GiB")

--- Reads as Lua's own io does: "l" (the default) a line, "L" a line with its end, "a" all that is left, "n" a number, or so many
--- bytes (fewer only before the end). nil at the end, save "a", which gives "". EFRAME: a line longer than `max`. ELIMIT: more
--- than `max` before the end. EPARSE: no number there. What could not be given stays to be read.
---
--- ```lua
--- local line, err = stream:read("l", { timeout = 2 })
--- if err then print(err.code) elseif not line then print("the end") end
--- ```
---@param format? "l"|"L"|"a"|"n"|integer  "l" unless told
---@param options? moonwire.ReadOptions
---@return string|number|nil bytes  nil at the end
---@return moonwire.Err? err  ETIMEDOUT, EFRAME, ELIMIT, EPARSE, ECLOSED, or what the system says (ECONNRESET)
function Stream:read(format, options) end

--- What has arrived, at least one byte and at most `max`; nil at the end.
---@param max? integer|string  bytes; "1MiB"
---@param options? moonwire.Timeout
---@return string? bytes
---@return moonwire.Err? err
function Stream:read_some(max, options) end

--- All `n` bytes, or nil and EEOF when the end comes before (what is there stays to be read).
---@param n integer|string  bytes; "4KiB"
---@param options? moonwire.Timeout
---@return string? bytes
---@return moonwire.Err? err
function Stream:read_exact(n, options) end

--- The bytes up to `delimiter`, which is taken away with them.
---
--- ```lua
--- local head, err = conn:read_until("\r\n\r\n", { max = "16KiB" })
--- ```
---@param delimiter string  1 to 4096 bytes
---@param options? moonwire.UntilOptions
---@return string? bytes  without the delimiter; nil at a clean end
---@return moonwire.Err? err  EEOF: bytes, and then the end; EFRAME: no delimiter within `max`; ETIMEDOUT
function Stream:read_until(delimiter, options) end

--- The next `n` bytes (fewer only before the end), which stay to be read; nil at the end.
---@param n integer|string  bytes
---@param options? moonwire.Timeout
---@return string? bytes
---@return moonwire.Err? err
function Stream:peek(n, options) end

--- For `for`: each line without its end. Raises on errors; `timeout` is for each line.
---@param options? moonwire.ReadOptions
---@return fun(): string? next
function Stream:lines(options) end

--- Writes strings and numbers as one piece. Waits while more than a mebibyte is unsent, before and after it has added its own, so that
--- what is queued is a mebibyte and one piece at most, however many tasks write. Small pieces that a task writes one after the other go
--- out together, when it waits for something or `flush` is called; what the peer does not take at once is sent in the background. A
--- failure of these shows at the next write or flush.
---
--- ```lua
--- assert(conn:write("GET ", path, " HTTP/1.0\r\n\r\n"))
--- assert(conn:flush{ timeout = 5 })     -- to know that it went out
--- ```
---@param ... string|number
---@return moonwire.Stream? stream  itself, so that calls can be chained
---@return moonwire.Err? err  EPIPE, ECONNRESET: the peer has gone; ELIMIT: more than fits (1 GiB)
function Stream:write(...) end

--- Waits until all that was written is with the system.
---@param options? moonwire.Timeout
---@return moonwire.Stream? stream
---@return moonwire.Err? err
function Stream:flush(options) end

--- Half-close: no more will be written, the peer reads the end after what was sent. Does not wait. Reading goes on.
---@return moonwire.Stream? stream
---@return moonwire.Err? err
function Stream:finish() end

--- Closes; who waits gets ECLOSED. Does not wait: what is unsent still goes out before the program ends, or is dropped when the
--- peer takes nothing for 30 s. What came and was not read is dropped; the peer gets an end, not a reset. Use flush() first to know.
--- Idempotent; also `local s <close>`.
---@return true? ok
---@return moonwire.Err? err  closed, but bytes written before were lost, and no call has said so yet
function Stream:close() end

--- Gives copies of 1 to 16 streams to the process at the other end of a Unix socket, in order with what is written; one zero
--- byte in a message of its own carries them. EBUSY: one of them holds bytes that were read ahead.
--- Shared memory and rings go alone: the memory stays ours too, of a ring the other side goes. A mapped file is opened by its path.
---@param ... moonwire.Stream|moonwire.Memory|moonwire.Ring
---@return moonwire.Stream? stream
---@return moonwire.Err? err
function Stream:send_handle(...) end

--- Takes the streams that come next; nil at the end. EFRAME: ordinary bytes come first (read those). EMFILE, ELIMIT: they were
--- lost on arrival. Handles that an ordinary read goes past are closed.
---@param options? moonwire.Timeout
---@return moonwire.Stream|moonwire.Memory|moonwire.Ring|nil first
---@return any ...  the others, or an error
function Stream:recv_handle(options) end

--- What moved: as the system counts, and what is held.
---@return moonwire.StreamStats stats
function Stream:stats() end

--- Whether it may still be of use: false once the peer has closed its side, or after an error or close. Takes nothing of what came.
---@return boolean alive
function Stream:alive() end

--- Who is at the other end, as far as is known.
---@class moonwire.Peer
---@field uid? integer         of a Unix socket: the user that its process ran as when it connected
---@field gid? integer         likewise, its group
---@field pid? integer         likewise, its number
---@field host? string         of TCP: its address
---@field port? integer        of TCP
---@field subject? string      of TLS: its certificate's, "CN=alice,O=example"
---@field sans? string[]       of TLS: other names of its certificate
---@field fingerprint? string  of TLS: SHA-256 of its certificate, in hex
---@field identity? string     who it has proved to be: the name of its secret (mw.auth.hmac)

--- Who is at the other end: of a Unix socket `uid`, `gid`, `pid` (as the system saw them connect); of TCP `host`, `port`.
--- With TLS also of its certificate, where it has shown one: `subject` ("CN=alice,O=example"), `sans` ("DNS:example.com", "IP:::1",
--- "email:...", "URI:..."), `fingerprint` (SHA-256 of all of it, in hex). `identity`: of a client that has proved a secret of its own.
---@return moonwire.Peer? peer
---@return moonwire.Err? err  ENOTSOCK: a pipe
function Stream:peer() end

--- Adds a function around what is written and read, the first added outermost: `dir` is "send" or "recv"; call pass(data) for the rest
--- of the way and give what it gave; nil without an error drops the piece.
--- "send": the data of one call of write, as one string. pass answers the stream, or nil and an error.
--- "recv": bytes in the order of their arrival, in pieces of at most 64 KiB, as they were when a task came to read them: before they
--- are cut into lines or counted, so a function may change them and their number. It runs in the task that reads; what read, lines
--- and the others give is made of what it returned. What it raises is raised in that read, and the piece is lost; the time limit
--- of a read bounds its waits for the peer, not those in a function. It sees no handles (recv_handle is refused), and reads that
--- wait already get what comes next without it.
--- Not for streams that are framed: give the function to the channel, `stream:framed("lines"):use(f)`.
--- In place of a function, a tap of mw.trace: it writes down what goes through, next to the wire (outside of functions when receiving,
--- behind them when sending), and what each call of read took; a channel made of the stream is tapped too.
---@param f moonwire.Middleware|moonwire.Tap
---@return moonwire.Stream self
function Stream:use(f) end

---@class moonwire.StreamStats
---@field bytes_in integer   that came from the system
---@field bytes_out integer  that went to it
---@field reads integer      calls of the system
---@field writes integer
---@field unread integer     bytes that wait to be read by the script
---@field unsent integer     bytes that wait to go out

---@class moonwire.UntilOptions
---@field timeout? number|string  how long to wait for all of it; default: as long as the connection lives
---@field max? integer|string     bytes before the delimiter; "64KiB"

--- A function around messages: `pass(data, ...)` is the rest of the way, what it gives is to be given; nil without an error drops the
--- message.
---
--- ```lua
--- channel:use(function(pass, dir, data, ...)
---   local began = mw.time.now()
---   local result, err = pass(data, ...)
---   mw.log.debug("message", { dir = dir, seconds = mw.time.now() - began })
---   return result, err
--- end)
--- ```
---@alias moonwire.Middleware fun(pass: fun(data: any, ...: any): any, dir: "send"|"recv", data: any, ...: any): any

--- From here on speaks TLS, as the client, or as the server with `server = true`; waits for the handshake (`timeout`, default 10 s).
--- What was written before goes out in the clear first. A stream whose handshake fails is closed.
---@param options? moonwire.StartTlsOptions  as for `connect` and `listen` of tls:// addresses; server_name: default: the host connected to
---@return moonwire.Stream? stream
---@return moonwire.Err? err  ECERT, ETLS: err.data.reason says why: "expired", "unknown authority", "wrong name", "injection" (bytes came
---in the clear before: nothing has begun, the stream is as it was), ...; ETIMEDOUT; EBUSY: another task reads
function Stream:starttls(options) end

---@class moonwire.StartTlsOptions: moonwire.TlsClientOptions, moonwire.TlsServerOptions
---@field server? boolean         true: we are the server, with `cert` and `key`
---@field timeout? number|string  for the handshake; 10 s

--- What the stream's TLS came to; nil without TLS.
---@return moonwire.TlsState? tls
function Stream:tls() end

---@class moonwire.TlsState
---@field version string       "TLSv1.3"
---@field cipher string        "TLS_AES_256_GCM_SHA384"
---@field alpn? string         the protocol that was agreed on
---@field server_name? string  the name that the client asked for
---@field resumed boolean      a session of an earlier connection was taken up

--- Our own end as a URL, in the form that `mw.net.connect` takes.
---@return string? url
---@return moonwire.Err? err
function Stream:address() end

--- The door `core.stream` (host/bind/stream.c).
---@class moonwire.core.stream
---@field methods moonwire.Stream  the methods of every stream
local door = {}

--- For pools: another user may have it. Alive, nobody reads, nothing unread (here or with the system), nothing unsent.
---@param stream moonwire.Stream
---@return boolean
function door.quiet(stream) end

--- For our own modules: how a channel makes bytes of values; nil: it carries bytes, or is no channel.
---@param channel any
---@return "json"|"msgpack"|nil
function door.codec(channel) end

--- For our own modules: is it a channel that gathers batches?
---@param channel any
---@return boolean
function door.batched(channel) end
