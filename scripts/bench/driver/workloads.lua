--- The workloads: what is run, with which arguments, and which figures come of it.
---
--- way       how it is run (measure.lua): "start", "alone", "pair" (a server and a client), "load" (a server and the load generator)
--- program   its name in programs/ and peers/*/
--- serve, ask, args  the arguments: functions of the socket's path or the port, how much, and the entry's `how`
--- result    of a pair: who prints it
--- first     how much at first, and with --smoke; the rounds take as much as fills their time
--- certificate  a pair's programs find tls.pem and tls.key in the folder of the socket
--- fixed     how much in the rounds, where time is not to decide
--- before    arguments of the load generator that stand before the server's command
--- entries   what of a peer takes part (an empty list: nothing): label, how, rights (of moonwire), program, node (Node's program, in
---           Deno), reference (shown, but never the best peer)
--- figures   key, unit, shape (rate, time, bytes), less (less is better), detail (not drawn), of(result)

local function rate(unit, detail)
  return { key = "rate", unit = unit, shape = "rate", detail = detail, of = function(r) return r.count / r.seconds end }
end
local function time(key, title, detail)
  return { key = key, unit = title, shape = "time", less = true, detail = detail, of = function(r) return r[key] end }
end
local p50, p99 = time("p50", "half are faster", true), time("p99", "99 of 100 are faster", true)
local function bytes(key, title)
  return { key = key, unit = title, shape = "bytes", less = true, of = function(r) return r[key] end }
end

local function started(program, ...) -- /bin/echo, by a moonwire that was told to trust it, and one that was not
  local rights = { "--allow-run=/bin/echo", ... }
  return {
    moonwire = { { label = "trusted", program = program }, { label = "confined", program = program, rights = rights } },
    ["*"] = { {} },
  }
end
local handed = { -- frames, each given to the script
  moonwire = { { label = "messages", how = "messages" }, { label = "views", how = "views" } },
  c = { { label = "in place", how = "in-place", reference = true } },
  ["*"] = { { label = "objects", how = "objects" }, { label = "in place", how = "in-place", reference = true } },
}

local function spawn(name, title, lanes)
  return {
    name = name, title = title, way = "alone", program = "spawn", entries = started("run"), first = 16,
    args = function(n) return { n, lanes, 0 } end,
    figures = { rate "children/s" },
  }
end

local function frames(name, size)
  return {
    name = name, title = ("frames with %d bytes of data, one way over a Unix socket"):format(size),
    way = "pair", program = "frames", result = "serve", entries = handed, first = size > 512 and 20000 or 100000,
    serve = function(socket, n, how) return { "take", socket, n, size, how } end,
    ask = function(socket, n) return { "send", socket, n, size } end,
    figures = { rate "frames/s" },
  }
end

local function round_trip(name, title, before)
  return {
    name = name, title = title, way = "pair", program = "echo", result = "ask", first = 500, before = before,
    serve = function(socket) return { "serve", socket } end,
    ask = function(socket, n) return { "ask", socket, n } end,
    figures = { rate "round trips/s", p50, p99 },
  }
end

local function lines(name, title, how)
  return {
    name = name, title = title, way = "load", program = "lines", first = 100000,
    serve = function(socket) return { socket, how } end,
    ask = function(socket, n) return { "lines", socket, n, how } end,
    figures = { rate "lines/s" },
  }
end

local function worker(name, title, what, first, ...)
  return {
    name = name, title = title, way = "alone", program = "worker", first = first, entries = { c = {}, ["*"] = { {} } },
    args = function(n) return { what, n } end,
    figures = { ... },
  }
end

local function pool(name, depth)
  return {
    name = name, title = ("tasks to a pool of 4 processes, %d unanswered at each"):format(depth),
    way = "alone", program = "pool", first = 2000,
    entries = {
      c = {}, moonwire = { {} }, luv = { { label = "framed" } },
      bun = { { label = "ipc", how = "ipc" }, { label = "framed", how = "framed" } },
      deno = { { label = "fork", node = true, how = "json" }, { label = "framed" } },
      node = { { label = "fork", how = "json" }, { label = "framed", how = "framed" } },
    },
    args = function(n, how) return { n, 4, depth, how } end,
    figures = { rate "tasks/s" },
  }
end

local deno_buffers = { deno = { { label = "4 KiB reads", how = 4096 }, { label = "64 KiB reads", how = 65536 } }, ["*"] = { {} } }

local function requests(name, depth)
  return {
    name = name, title = ("framed requests over TCP, 50 connections, %d unanswered on each"):format(depth),
    way = "load", program = "tcp", entries = deno_buffers, first = 100, per_second = 1000,
    serve = function(_, _, how) return { how } end,
    ask = function(port, n) return { "requests", port, 50, depth, n, 64 } end,
    figures = { rate "requests/s", p50, p99 },
  }
end

--- Remote calls. Peers have JSON-RPC by hand, luv and C none.
local function calls(name, depth)
  return {
    name = name, title = ("remote calls over a Unix socket, %d unanswered"):format(depth),
    way = "pair", program = "rpc", result = "ask", first = 500,
    entries = {
      c = {}, luv = {}, ["*"] = { {} },
      moonwire = { { label = "json", how = "json" }, { label = "msgpack", how = "msgpack" } },
    },
    serve = function(socket, _, how) return { "serve", socket, how } end,
    ask = function(socket, n, _, how) return { "ask", socket, n, depth, how } end,
    figures = { rate "calls/s", p50, p99 },
  }
end

--- Over TLS, to a server that the client verifies.
local function tls(name, title, what, result, first, figure)
  local function dir(socket) return socket:match "^(.*)/" end
  return {
    name = name, title = title, way = "pair", program = "tls", result = result, first = first, certificate = true,
    entries = { c = {}, luv = {}, deno = { { label = "node:tls", node = true } }, ["*"] = { {} } },
    serve = function(socket, n) return { "serve", what, dir(socket), n } end,
    ask = function(socket, n, port) return { "ask", what, dir(socket), n, port } end,
    figures = { figure },
  }
end

return {
  {
    name = "start", title = "an empty script, the whole process", way = "start", program = "empty", first = 3, fixed = 25,
    entries = {
      moonwire = { {}, { label = "module", program = "module" } },
      luv = { {}, { label = "bare Lua", program = "bare", reference = true } },
      ["*"] = { {} },
    },
    figures = { time("median", "time"), bytes("memory", "memory") },
  },
  spawn("spawn", "/bin/echo, its output read, one after another", 1),
  spawn("spawn-8", "/bin/echo, its output read, 8 at a time", 8),
  {
    name = "spawn-heap", title = "/bin/echo, from a parent with a heap of 2 GiB", way = "alone", program = "spawn",
    entries = started("spawn", "--limit=memory=4GiB,step=off"), first = 8,
    args = function(n, _, smoke) return { n, 1, smoke and 64 or 2048 } end,
    figures = { time("blocked", "the loop blocked by a start"), rate("children/s", true) },
  },
  {
    name = "pipe", title = "through `cat` and back, in blocks of 64 KiB", way = "alone", program = "pipe", first = 32,
    args = function(n) return { n } end,
    figures = { rate "MiB/s" },
  },
  round_trip("echo", "frames of 64 bytes there and back over a Unix socket"),
  round_trip("echo-1-core", "the same, both ends on one core", { "on", 0 }),
  frames("frames-64", 64),
  frames("frames-1k", 1024),
  lines("lines-echo", "lines of 32 bytes, each answered with itself", "echo"),
  lines("lines-read", "lines of 32 bytes, read and counted", "count"),
  requests("tcp", 1),
  requests("tcp-16", 16),
  calls("rpc", 1),
  calls("rpc-16", 16),
  worker("worker", "messages to a worker (a thread) and back", "ask", 500, rate "round trips/s", p50, p99),
  worker("worker-send", "messages to a worker, one way", "send", 10000, rate "messages/s"),
  pool("pool", 1),
  pool("pool-64", 64),
  {
    name = "ring", title = "records of 64 bytes through shared memory to another process", way = "alone", program = "ring",
    first = 100000, entries = { node = {}, luv = {}, ["*"] = { {} } },
    args = function(n) return { n } end,
    figures = { rate "records/s" },
  },
  tls("tls", "blocks of 64 KiB one way over TLS 1.3 and TCP", "stream", "serve", 1000,
    { key = "rate", unit = "MiB/s", shape = "rate", of = function(r) return r.count / 16 / r.seconds end }),
  tls("tls-handshake", "TLS handshakes one after another, ECDSA P-256, with a byte there and back", "handshakes", "ask", 50,
    rate "handshakes/s"),
  {
    name = "json", title = "messages of 200 bytes of JSON, parsed and checked", way = "alone", program = "json", first = 10000,
    entries = { c = {}, ["*"] = { {} } },
    args = function(n) return { n } end,
    figures = { rate "messages/s" },
  },
  {
    name = "msgpack", title = "messages of MessagePack, read, checked and written again", way = "alone", program = "msgpack", first = 10000,
    entries = { moonwire = { {} }, c = { {} }, ["*"] = {} },
    args = function(n) return { n } end,
    figures = { rate "messages/s" },
  },
  {
    name = "squeeze", title = "messages of 200 bytes, gathered to 64 KiB and squeezed with zstd, one way over a Unix socket",
    way = "pair", program = "squeeze", result = "serve", first = 10000,
    entries = { moonwire = { {} }, bun = { {} }, ["*"] = {} },
    serve = function(socket, n) return { "take", socket, n } end,
    ask = function(socket, n) return { "send", socket, n } end,
    figures = { rate "messages/s" },
  },
  {
    name = "idle", title = "memory of a TCP connection that says nothing", way = "load", program = "tcp",
    first = 200, fixed = 5000, before = { "files" },
    entries = { deno = { { label = "512 B reads", how = 512 }, { label = "node:net", node = true } }, ["*"] = { {} } },
    serve = function(_, _, how) return { how } end,
    ask = function(port, n, pid) return { "hold", port, n, pid } end,
    figures = { bytes("each", "each") },
  },
}
