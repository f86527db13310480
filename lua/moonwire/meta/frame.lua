---@meta

--- Where one message ends and the next begins. `stream:framed("u32le")` needs nothing of this: protocols with a name are known there.
---@class moonwire.frame
local frame = {}

--- Makes a format of frames: a header that string.pack could write, one field of which is the length of the data behind it; or a
--- protocol by its name, to set its `max` or to encode by hand. EINVAL is raised for a header that cannot be.
---
--- ```lua
--- -- a kind in one byte, the length in four, the data
--- local article = mw.frame.new{ header = "<B I4", length = 2, max = "16MiB" }
--- local conn = assert(mw.net.connect("unix:/run/app.sock"))
--- local channel = conn:framed(article)
--- assert(channel:send("payload", 7))   -- the data, then the other fields
--- local data, kind = channel:recv{ timeout = 1 }
--- ```
---@param options moonwire.FrameOptions
---@return moonwire.Frame format
function frame.new(options) end

--- A format by name. "typed" is a kind (u8), a length (u32, little-endian), the data.
---@alias moonwire.Protocol "lines"|"u32le"|"u32be"|"varint"|"netstring"|"content-length"|"typed"

--- A header of one's own, or a protocol with a name.
---@class moonwire.FrameOptions
---@field header? string      letters of string.pack: < > = ! b B h H i[n] I[n] j J l L T x f d n
---@field length? integer     which field of the header holds the length of the data (from 1); may be left out when there is but one
---@field protocol? moonwire.Protocol   in place of header and length
---@field max? integer|string bytes of data of one frame; 16 MiB ("lines": 1 MiB), at most 1 GiB ("lines": 64 MiB)

--- A format of frames; immutable.
---@class moonwire.Frame
local Frame = {}

--- One frame of `data`. The header's other fields follow in their order.
---@param data string
---@param ... number  the header's fields other than the length
---@return string? bytes
---@return moonwire.Err? err  EFRAME: above max (err.data.why is "too_large"), a newline in a line ("protocol")
function Frame:encode(data, ...) end

--- The frame at the start of `bytes`: its data, the header's other fields, and how many bytes it took.
---@param bytes string
---@param from? integer  where to start; 1
---@return string? data
---@return any ...  fields and `used`; or an error: EAGAIN (err.data.need more bytes, at least), EFRAME (err.data.why)
function Frame:decode(bytes, from) end

---@class moonwire.Stream
local Stream = {}

--- Messages gathered into one frame and one write, until there are enough bytes or messages or the first has waited long enough.
---@class moonwire.BatchOptions
---@field bytes? integer|string    of the frame's data; 1 MiB, at most `max`
---@field delay? number|string     how long the first message waits at most; 100 ms; math.huge: until flush
---@field messages? integer        512; at most 65,536

--- { "zstd", level = 1, min = 512 }, { "lz4" }
---@class moonwire.CompressOptions
---@field [1] "zstd"|"lz4"
---@field level? integer           of zstd: 1 to 9; more than 1 MiB at a time is always compressed at 1, so as not to hold up the loop
---@field min? integer|string      fewer bytes are sent as they are; 512

--- Both ends name the same codec, batch and compress.
---@class moonwire.FramedOptions
---@field codec? "json"|"msgpack"  messages are values: what mw.json or mw.msgpack would make of them. "lines" carries json only
---@field schema? moonwire.Schema  what every message must be, sent or received; needs a codec
---@field batch? boolean|moonwire.BatchOptions  true: all as said above. Not with "lines" or header fields of one's own
---@field compress? false|"zstd"|"lz4"|moonwire.CompressOptions  each frame; not with "lines". What comes may be at most `max` bytes, and
---  200 times the bytes that it came in; that is checked before anything is inflated
---@field max? integer|string   in place of the format's own
---@field frame_timeout? number|string  first to last byte of one frame, while somebody waits for it; 30 s; math.huge: no limit.
---  A frame that takes longer than 5 s must also bring 1 KiB/s.

--- A channel of messages over this stream, which speaks in frames from here on. With a `codec` messages are values.
---
--- ```lua
--- local ch = conn:framed("u32le", { codec = "json", batch = true })
--- assert(ch:send{ hello = "world" })
--- for message in ch:messages() do print(message.hello) end
--- ```
---@param format moonwire.Protocol|moonwire.Frame  a protocol's name, or one of mw.frame.new
---@param options? moonwire.FramedOptions
---@return moonwire.Channel channel
function Stream:framed(format, options) end

--- A stream that speaks in frames: `stream:framed(format, options)`. Messages are strings, or values with a `codec`.
---
--- ```lua
--- local conn <close> = assert(mw.net.connect("unix:/run/app.sock"))
--- local ch = conn:framed("u32le")
--- assert(ch:send("ping"))
--- print(ch:recv{ timeout = 1 })
--- ```
---@class moonwire.Channel
local Channel = {}

--- Sends one message: the data (or a view), then the header's other fields in order. Waits while the peer takes too little; an
--- option table at the end, `{ timeout = }`, bounds that (after ETIMEDOUT nothing was sent). Frames that are refused (EFRAME)
--- leave the channel as it was. Small frames that a task sends one after the other go out together, as with `Stream:write`.
--- With a codec `data` is a value, mw.null for null; what cannot be encoded raises EINVAL and names the place;
--- with a schema, ESCHEMA (err.data.path) and nothing was sent.
---@param data any  a string or a view; with a codec, a value
---@param ... any
---@return moonwire.Channel? ch
---@return moonwire.Err? err
function Channel:send(data, ...) end

--- The next message: its data and the header's other fields; nil at the clean end; nil and an error otherwise. ETIMEDOUT of
--- `timeout` loses nothing. EEOF (err.data.had, err.data.wanted): the end came inside a frame. After EFRAME (err.data.why) and
--- the ETIMEDOUT of a frame that took too long (err.data.why is "slow") the channel is closed.
--- With a codec: EPARSE or ESCHEMA (err.data.offset, err.data.path) is of one message, and the next one can be received. null is mw.null.
---@param options? moonwire.Timeout
---@return any data  a string; with a codec, a value
---@return any ...
function Channel:recv(options) end

--- Iterates over messages until the end; raises on errors. Yields only when nothing whole has arrived.
---@param options? moonwire.Timeout  for each message
---@return fun(): any, any next  data and the header's other fields
function Channel:messages(options) end

--- The same, lending each message instead of copying it: a view is good until the loop's next step, also over waits. Not with codec,
--- batch or compress.
---
--- ```lua
--- for view in ch:views() do sum = sum + view:byte(1) + #view end
--- ```
---@param options? moonwire.Timeout
---@return fun(): moonwire.View, any next  a view and the header's other fields
function Channel:views(options) end

--- Sends now what was gathered, a batch too, and waits until the kernel has it.
---@return moonwire.Channel? ch
---@return moonwire.Err? err
function Channel:flush() end

--- Half-close: the peer sees the end after everything sent.
---@return moonwire.Channel? ch
---@return moonwire.Err? err
function Channel:finish() end

--- Closes the stream: `flush` first to know that what was gathered went out. May be repeated.
function Channel:close() end

--- The stream beneath.
---@return moonwire.Stream
function Channel:stream() end

--- What went through it. A batch that is held back is in none of the bytes_wire.
---@return moonwire.ChannelStats stats
function Channel:stats() end

---@class moonwire.ChannelStats
---@field messages integer          sent
---@field bytes_raw integer         their data
---@field bytes_wire integer        what it took on the wire, headers too
---@field ratio number              bytes_raw / bytes_wire
---@field received integer          messages
---@field bytes_received integer    their bytes
---@field batches? integer          frames sent; with any of codec, batch and compress
---@field batches_received? integer likewise

--- Adds middleware around every message; the first used is outermost. `dir` is "send" or "recv"; call pass(data, ...) for the
--- rest of the way and give what it gave; nil without an error drops the message. In place of a function, a tap of mw.trace: it
--- writes the messages down as they are on the wire, whatever functions there are.
---@param fn moonwire.Middleware|moonwire.Tap
---@return moonwire.Channel ch
function Channel:use(fn) end

--- A frame lent where it lies: #view, tostring(view). Every use after the loop's next step raises.
---@class moonwire.View
local View = {}

--- As string.byte.
---@param i? integer
---@param j? integer
---@return integer ...
function View:byte(i, j) end

--- As string.sub.
---@param i integer
---@param j? integer
---@return string
function View:sub(i, j) end

--- Where `text` (plain, no pattern) begins and ends.
---@param text string
---@param from? integer
---@return integer? first
---@return integer? last
function View:find(text, from) end

--- As string.unpack(fmt, bytes, from).
---@param fmt string
---@param from? integer
---@return any ...
function View:unpack(fmt, from) end
