---@meta

--- Bytes in and out of a socket, a pipe, a terminal. What waits, suspends the calling task only; a `timeout` (seconds, or
--- "250ms") that runs out gives nil and ETIMEDOUT and loses no bytes. Several tasks may read: each read is served whole, in the
--- order they came. Several may write: each call is one piece.
---@class moonwire.Stream
local Stream = {}

---@class moonwire.ReadOptions
---@field timeout? number|string
---@field max? integer|string  bytes; of a line ("1MiB", at most "64MiB"), of everything ("8MiB", at most "1GiB")

--- Reads as Lua's own io does: "l" (the default) a line, "L" a line with its end, "a" all that is left, "n" a number, or so many
--- bytes (fewer only before the end). nil at the end, save "a", which gives "". EFRAME: a line longer than `max`. ELIMIT: more
--- than `max` before the end. EPARSE: no number there. What could not be given stays to be read.
---@param format? "l"|"L"|"a"|"n"|integer
---@param options? moonwire.ReadOptions
---@return string|number|nil bytes
---@return moonwire.Err? err
function Stream:read(format, options) end

--- What has arrived, at least one byte and at most `max`; nil at the end.
---@param max? integer|string  "1MiB"
---@param options? { timeout?: number|string }
---@return string? bytes
---@return moonwire.Err? err
function Stream:read_some(max, options) end

--- All `n` bytes, or nil and EEOF.
---@param n integer|string
---@param options? { timeout?: number|string }
---@return string? bytes
---@return moonwire.Err? err
function Stream:read_exact(n, options) end

--- Up to `delimiter`, which is taken away; nil at a clean end, EEOF in the middle, EFRAME when it does not come within `max`.
---@param delimiter string  1 to 4096 bytes
---@param options? { timeout?: number|string, max?: integer|string }  max: "64KiB"
---@return string? bytes
---@return moonwire.Err? err
function Stream:read_until(delimiter, options) end

--- The next `n` bytes (fewer only before the end), which stay to be read; nil at the end.
---@param n integer|string
---@param options? { timeout?: number|string }
---@return string? bytes
---@return moonwire.Err? err
function Stream:peek(n, options) end

--- For `for`: each line without its end. Raises on errors; `timeout` is for each line.
---@param options? moonwire.ReadOptions
---@return fun(): string?
function Stream:lines(options) end

--- Writes strings and numbers as one piece. Waits while more than a mebibyte is unsent. Small pieces that a task writes one after
--- the other go out together, when it waits for something or `flush` is called; what the peer does not take at once is sent in the
--- background. A failure of these shows at the next write or flush.
---@param ... string|number
---@return moonwire.Stream? stream
---@return moonwire.Err? err  EPIPE, ECONNRESET: the peer has gone; ELIMIT: more than fits (1 GiB)
function Stream:write(...) end

--- Waits until all that was written is with the system.
---@param options? { timeout?: number|string }
---@return moonwire.Stream? stream
---@return moonwire.Err? err
function Stream:flush(options) end

--- No more will be written: the peer reads the end after what was sent. Does not wait. Reading goes on.
---@return moonwire.Stream? stream
---@return moonwire.Err? err
function Stream:finish() end

--- Closes; who waits gets ECLOSED. Does not wait: what is unsent still goes out before the program ends, or is dropped when the
--- peer takes nothing for 30 s. Use flush() first to know. Idempotent; also `local s <close>`.
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
---@param options? { timeout?: number|string }
---@return moonwire.Stream|moonwire.Memory|moonwire.Ring|nil first
---@return any ...  the others, or an error
function Stream:recv_handle(options) end

--- What moved: as the system counts, and what is held.
---@return { bytes_in: integer, bytes_out: integer, reads: integer, writes: integer, unread: integer, unsent: integer }
function Stream:stats() end

--- false once the peer has closed its side, or after an error or close. Takes nothing of what came.
---@return boolean
function Stream:alive() end

---@class moonwire.Peer
---@field uid? integer
---@field gid? integer
---@field pid? integer
---@field host? string
---@field port? integer
---@field subject? string
---@field sans? string[]
---@field fingerprint? string
---@field identity? string

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

--- A function around messages.
---@alias moonwire.Middleware fun(pass: fun(data: any, ...: any): any, dir: "send"|"recv", data: any, ...: any): any

--- From here on speaks TLS, as the client, or as the server with `server = true`; waits for the handshake (`timeout`, default 10 s).
--- What was written before goes out in the clear first. A stream whose handshake fails is closed.
---@param options? moonwire.StartTlsOptions  as for `connect` and `listen` of tls:// addresses; server_name: default: the host connected to
---@return moonwire.Stream? stream
---@return moonwire.Err? err  ECERT, ETLS: err.data.reason says why: "expired", "unknown authority", "wrong name", "injection" (bytes came
---in the clear before: nothing has begun, the stream is as it was), ...; ETIMEDOUT; EBUSY: another task reads
function Stream:starttls(options) end

---@class moonwire.StartTlsOptions: moonwire.TlsClientOptions, moonwire.TlsServerOptions
---@field server? boolean
---@field timeout? number|string

--- What the stream's TLS came to; nil without TLS.
---@return { version: string, cipher: string, alpn?: string, server_name?: string, resumed: boolean }?
function Stream:tls() end

--- Our own end as a URL.
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
