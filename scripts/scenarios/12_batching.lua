-- Many small messages: gathered into batches, compressed, or both. A log shipper and its collector.
-- rights: --allow-net=127.0.0.1
--
-- This script is both ends. What a channel sends and receives stays the same; its options say how it travels, and both
-- ends name the same ones.
local mw = require "moonwire"

local COUNT = 20000
local server <close> = assert(mw.net.listen "tcp://127.0.0.1:0")

-- What is sent: lines of a log, as values; the channel makes JSON of them.
local function line(i)
  return { at = 1700000000 + i, level = i % 50 == 0 and "warn" or "info", text = "request served", path = "/item/" .. i % 100, ms = i % 17 }
end

-- Ships COUNT lines through a channel with `options`. Gives how long it took, and what the channel counted.
local function ship(options)
  local began = mw.time.now()
  local collector = mw.task.spawn(function()
    local conn <close> = assert(server:accept { timeout = 10 })
    local count, warnings = 0, 0
    for entry in conn:framed("u32le", options):messages { timeout = 10 } do
      count = count + 1
      if entry.level == "warn" then warnings = warnings + 1 end
    end
    return count, warnings
  end)
  local conn <close> = assert(mw.net.connect(server:address(), { timeout = 10 }))
  local ch = conn:framed("u32le", options)
  for i = 1, COUNT do assert(ch:send(line(i))) end
  assert(ch:finish()) -- what is still held goes first
  local count, warnings = collector:join()
  assert(count == COUNT and warnings == COUNT // 50, "lines were lost")
  return mw.time.now() - began, ch:stats()
end

local ways = {
  { "one by one", { codec = "json" } },
  { "batches", { codec = "json", batch = true } },
  { "batches, lz4", { codec = "json", batch = true, compress = "lz4" } },
  { "batches, zstd", { codec = "json", batch = true, compress = "zstd" } },
}
for _, way in ipairs(ways) do
  local name, options = table.unpack(way)
  local took, stats = ship(options)
  print(("%-14s %8.0f messages/s, %4d frames, %7d bytes on the wire, ratio %.2f"):format(name, COUNT / took,
    stats.batches > 0 and stats.batches or stats.messages, stats.bytes_wire, stats.ratio))
  assert(not options.batch or stats.batches == (COUNT + 511) // 512)
  assert(not options.compress or stats.ratio > 4, "it was not compressed")
end

-- A batch waits for more messages at most as long as its delay, and no longer than until flush.
do
  local options = { batch = { delay = "50ms", messages = 1000, bytes = "64KiB" } }
  local far = mw.task.spawn(function() return server:accept { timeout = 10 } end)
  local conn <close> = assert(mw.net.connect(server:address()))
  local ch = conn:framed("u32le", options)
  local other <close> = assert(far:join())
  local received = other:framed("u32le", options)
  local began = mw.time.now()
  ch:send "this one waits for others"
  assert(received:recv { timeout = 10 } == "this one waits for others")
  assert(mw.time.now() - began >= 0.045)
  ch:send "and this one"
  ch:send "is sent at once"
  assert(ch:flush())
  assert(received:recv { timeout = 10 } == "and this one" and received:recv { timeout = 10 } == "is sent at once")
  assert(ch:stats().batches == 2 and ch:stats().messages == 3)
  print "after its delay, or when it is flushed"
end

-- What a hostile end says of itself is not believed: a gigabyte, in ten bytes.
do
  local far = mw.task.spawn(function() return server:accept { timeout = 10 } end)
  local conn <close> = assert(mw.net.connect(server:address()))
  local other <close> = assert(far:join())
  assert(conn:write(string.pack("<s4", "\1\128\128\128\128\4\3abc")))
  local none, err = other:framed("u32le", { compress = "zstd" }):recv { timeout = 10 }
  assert(none == nil and err.code == "EFRAME" and err.data.why == "too_large" and err.data.announced == 1 << 30)
  print("a bomb is refused: " .. err.message)
end
