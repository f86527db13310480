-- Metrics: a server that counts and times what it does, what the host measures by itself, and a scraper that reads it over HTTP.
-- rights: --allow-net=127.0.0.1
local mw = require "moonwire"

local calls = mw.metrics.counter("app_calls_total", { help = "Calls by what they ask for.", labels = { "op" } })
local latency = mw.metrics.histogram("app_call_duration_seconds", { help = "How long a call took." })
local clients = mw.metrics.gauge("app_clients", { help = "Clients that are connected." })

-- 1. The server: "double 21" is answered, anything else is refused. Some calls take longer.
local handlers = {
  double = function(n) return n * 2 end,
  slow = function(n)
    mw.task.sleep(0.02)
    return n
  end,
}
local server <close> = assert(mw.net.listen("tcp://127.0.0.1:0"))
mw.task.spawn_with({ daemon = true }, server.serve, server, function(conn)
  clients:inc()
  local _left <close> = setmetatable({}, { __close = function() clients:dec() end })
  for line in conn:framed("lines"):messages() do
    local op, n = line:match "^(%a+) (%d+)$"
    local handler = handlers[op]
    calls:inc(1, { op = handler and op or "unknown" }) -- not what a stranger chose: each name would be a series
    local result = handler and latency:time(function() return handler(tonumber(n)) end)
    assert(conn:write(result and "ok " .. result or "no", "\n"))
  end
end)

-- 2. The metrics are served beside it; that keeps no script alive.
local scraped <close> = assert(mw.metrics.listen("tcp://127.0.0.1:0"))

-- 3. Four clients make 200 calls.
mw.task.scope(function(s)
  for _ = 1, 4 do
    s:spawn(function()
      local conn <close> = assert(mw.net.connect(server:address()))
      local ch = conn:framed "lines"
      for i = 1, 50 do
        ch:send(i % 25 == 0 and "slow 1" or i % 10 == 0 and "make-tea 1" or "double " .. i)
        assert(ch:recv { timeout = 5 })
      end
    end)
  end
end)

-- 4. A scraper asks as Prometheus does.
local function scrape(address)
  local conn <close> = assert(mw.net.connect(address, { timeout = 5 }))
  assert(conn:write("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
  local head = assert(conn:read_until("\r\n\r\n", { timeout = 5 }))
  assert(head:find("^HTTP/1%.1 200 OK\r\n"), head)
  return conn:read("a", { timeout = 5 })
end
local text = scrape(scraped:address())
local function value(series)
  for line in text:gmatch "[^\n]+" do
    if line:sub(1, #series + 1) == series .. " " then return tonumber(line:sub(#series + 2)) end
  end
  error("there is no " .. series)
end

assert(value 'app_calls_total{op="double"}' == 176)
assert(value 'app_calls_total{op="slow"}' == 8)
assert(value 'app_calls_total{op="unknown"}' == 16)
assert(value "app_call_duration_seconds_count" == 184)
assert(value 'moonwire_messages_total{direction="in"}' == 400) -- 200 calls and their answers: both ends are here

-- 5. The script can read them as well.
local s = latency:summary()
assert(s.count == 184 and s.p50 < 0.02 and s.p99 >= 0.02 * 0.99 and s.max >= s.p99)
print(("calls   %d: %d double, %d slow, %d unknown"):format(calls:value(), calls:value { op = "double" }, calls:value { op = "slow" },
  calls:value { op = "unknown" }))
print(("latency p50 %.1f us, p90 %.1f us, p99 %.0f us, the longest %.0f us"):format(s.p50 * 1e6, s.p90 * 1e6, s.p99 * 1e6, s.max * 1e6))
print(("host    %d messages in, %d bytes in, %.0f KiB of Lua"):format(value 'moonwire_messages_total{direction="in"}',
  value 'moonwire_bytes_total{direction="in"}', value "moonwire_lua_memory_bytes" / 1024))
