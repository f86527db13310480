---@meta

--- Shared memory: the same bytes in several processes. Offsets count from 0. What lies outside of the memory, or is not
--- aligned to its size, raises EINVAL before anything is touched. Numbers are the machine's own: low byte first.
---@class moonwire.shm
local shm = {}

---@class moonwire.shm.CreateOptions
---@field size integer|string  bytes; "1MiB". One memory is a quarter of the host's limit at most (256 MiB; --limit=shared=...)
---@field name? string  a POSIX name, for any process with the right --allow-share=NAME; it stays until unlink
---@field path? string  a file, whose bytes these are then; needs the rights to read and to write it
---@field exclusive? boolean  true: an error (EEXIST) when there is one already; false: the one that is there is taken, and made longer
---  when it is shorter. Default: true for a name, false for a path

--- Makes memory; what is new of it is full of zeros. Without a name or path it is anonymous: nobody can open it, it is handed over
--- (`share` of a script child,
--- `send_handle` of a Unix socket, a message to a worker), and nobody can change its size. No right is needed for that.
---@param options moonwire.shm.CreateOptions
---@return moonwire.Memory? memory
---@return moonwire.Err? err  EEXIST, ENOSPC, ...; ELIMIT: it is too large
function shm.create(options) end

---@class moonwire.shm.OpenOptions
---@field name? string  right `share`
---@field path? string  right `read`, and for "rw" also `write`
---@field mode? "r"|"rw"  default "rw"

--- Opens what another process has made, as large as it is.
---@param options moonwire.shm.OpenOptions
---@return moonwire.Memory? memory
---@return moonwire.Err? err  ENOENT: there is none
function shm.open(options) end

--- Removes a POSIX name; who has the memory open keeps it.
---@param name string
---@return true? ok
---@return moonwire.Err? err
function shm.unlink(name) end

--- The door `core.shm` (host/bind/shm.c): what scripts do not see.
---@class moonwire.core.shm
local door = {}

--- What the parent of a script child gave in `share`, by name; nil in other scripts. It is mw.shared.
---@return table<string, moonwire.Memory|moonwire.Ring|moonwire.Stream>? shared
function door.shared() end

--- Bytes that other processes have too.
---
--- ```lua
--- local m <close> = assert(mw.shm.create{ size = "1MiB" })
--- m:write(0, "shared")
--- m:set_u32(64, 1)
--- local child <close> = assert(mw.process.spawn{
---   script = "child.lua", share = { data = m } })   -- there: mw.shared.data
--- m:wait_until_u32(64, 10, { timeout = 1 })   -- the child adds and wakes
--- ```
---
--- EIO: another process has cut off the file or the named memory below it; it is lost then.
---@class moonwire.Memory
local Memory = {}

--- Bytes of it, as a string.
---@param offset integer  from 0
---@param length integer
---@return string? bytes  a copy
---@return moonwire.Err? err
function Memory:read(offset, length) end

--- Puts bytes there. The other side may read while they come: for what must be seen whole use a number that is set last.
---@param offset integer
---@param bytes string
---@return true? ok
---@return moonwire.Err? err
function Memory:write(offset, bytes) end

--- Puts the same byte everywhere in a range.
---@param offset integer
---@param length integer
---@param byte? integer  default 0
---@return true? ok
---@return moonwire.Err? err
function Memory:fill(offset, length, byte) end

--- Copies within the memory; the ranges may overlap.
---@param to integer
---@param from integer
---@param length integer
---@return true? ok
---@return moonwire.Err? err
function Memory:copy(to, from, length) end

--- How large it is.
---@return integer bytes  0 once it is closed
function Memory:size() end

--- Takes the name or path away that it was made or opened by. ESTALE: something else goes by that name now.
---@return true? ok
---@return moonwire.Err? err
function Memory:unlink() end

--- Unmaps it here; others keep it.
function Memory:close() end

--- Waits while the number at `offset` is `value`. Whoever changes it says so with wake_u32; a wake without a change wakes nobody. The
--- calling task waits, not the program.
---@param offset integer  a multiple of 4
---@param value integer
---@param options? moonwire.Timeout
---@return true? ok
---@return moonwire.Err? err  ETIMEDOUT; ECLOSED: the memory was closed meanwhile; ELIMIT: too many wait
function Memory:wait_u32(offset, value, options) end

--- Waits until the number at `offset` is `value`.
---@param offset integer  a multiple of 4
---@param value integer
---@param options? moonwire.Timeout
---@return true? ok
---@return moonwire.Err? err
function Memory:wait_until_u32(offset, value, options) end

--- Has those look who wait for the number at `offset`, in whatever process.
---@param offset integer
---@param n? integer  at most so many; default all
---@return integer? woken  how many the kernel has woken
---@return moonwire.Err? err
function Memory:wake_u32(offset, n) end

--- A ring of records: one side pushes, one pops, each a process, a worker or a task of its own. It is made with both sides in one hand;
--- handing it over (`share`, `send_handle`, a message to a worker) gives the other side away, whichever that is: who pushes first is the
--- one who pushes. Handing it over a second time gives our own side away too.
---@param options? { capacity?: integer|string }  capacity: bytes; default "256KiB", made a power of two. A record is a quarter of it at
---  most
---@return moonwire.Ring? ring
---@return moonwire.Err? err
function shm.ring(options) end

---@class moonwire.RingStats
---@field capacity integer      bytes
---@field used integer          bytes that wait to be popped
---@field pushed integer        records, by us
---@field popped integer        records, by us
---@field bytes_pushed integer  of them
---@field bytes_popped integer  of them
---@field rung integer          how often we had to wake the other side
---@field alone boolean         both sides are ours
---@field alive boolean         the other side is there

--- Records from one side to the other through shared memory (`mw.shm.ring`), without a system call while both are busy.
---
--- ```lua
--- local ring <close> = assert(mw.shm.ring{ capacity = "256KiB" })
--- local child <close> = assert(mw.process.spawn{
---   script = "reader.lua", share = { ring = ring } })
--- ring:push("record", { timeout = 1 })       -- there: mw.shared.ring:pop()
--- ring:finish()
--- ```
---
--- EFRAME: the other side wrote what cannot be; the ring is of no use any more. EBUSY: the other side does the same.
---@class moonwire.Ring
local Ring = {}

--- Adds a record; waits while the ring is full. ECLOSED: the other side has gone, or finish() was called.
---@param record string
---@param options? moonwire.Timeout
---@return true? ok
---@return moonwire.Err? err
function Ring:push(record, options) end

--- The same without waiting; EAGAIN: the ring is full.
---@param record string
---@return true? ok
---@return moonwire.Err? err
function Ring:try_push(record) end

--- Takes the next record; waits for it. nil without an error: the end, the other side has called finish() or closed it. EEOF: it has
--- gone without (it was killed).
---@param options? moonwire.Timeout
---@return string? record
---@return moonwire.Err? err
function Ring:pop(options) end

--- The same without waiting; EAGAIN: the ring is empty.
---@return string? record
---@return moonwire.Err? err
function Ring:try_pop() end

--- For `for`: each record until the end. Raises on errors; `timeout` is for each record.
---@param options? moonwire.Timeout
---@return fun(): string? next
function Ring:records(options) end

--- No more records will be pushed: the other side takes what is there, and then comes to the end.
---@return true? ok
---@return moonwire.Err? err
function Ring:finish() end

--- What is in it, and what went through.
---@return moonwire.RingStats stats
function Ring:stats() end

--- Adds a function (pass, dir, record) around what this end pushes and pops, the first added outermost; nil without an error drops the
--- record. In place of a function, a tap of mw.trace.
---@param f moonwire.Middleware|moonwire.Tap
---@return moonwire.Ring self
function Ring:use(f) end

--- Finishes, if we push, and lets go of it.
function Ring:close() end
