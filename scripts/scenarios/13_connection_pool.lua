-- A connection pool: connections are used again, the oldest one makes room, a dead one is replaced, and nobody gets another's reply.
-- rights: --allow-net=127.0.0.1
local mw = require "moonwire"

-- Three servers that answer each line. "last" is answered, too, but then the connection is closed; "slow" is answered late.
local servers = {}
for i, name in ipairs { "one", "two", "three" } do
  local server = assert(mw.net.listen("tcp://127.0.0.1:0"))
  servers[i] = server
  mw.task.spawn_with({ daemon = true }, server.serve, server, function(conn)
    for line in conn:lines() do
      if line == "slow" then mw.task.sleep(0.2) end
      assert(conn:write(name, " got ", line, "\n"))
      if line == "last" then return end
    end
  end)
end
local one, two, three = servers[1]:address(), servers[2]:address(), servers[3]:address()

local pool <close> = assert(mw.net.pool { max = 2, idle_timeout = 60, leak_after = 30 })

local function ask(address, text)
  return pool:with(address, function(conn)
    assert(conn:write(text, "\n"))
    return conn:read("l", { timeout = 5 })
  end)
end

-- 1. A hundred requests, ten tasks at a time, over two connections.
local numbers = {}
for i = 1, 100 do numbers[i] = i end
for i, reply, err in mw.task.map(numbers, function(n) return ask(one, n) end, { limit = 10 }) do
  assert(reply == "one got " .. i, err or reply)
end
local stats = pool:stats()
assert(stats.created == 2 and stats.reused == 98, mw.inspect(stats))
print(("100 requests: %d connections made, used again %d times"):format(stats.created, stats.reused))

-- 2. The pool is full. A connection to another server takes the place of the one that was unused for longest.
assert(ask(two, "hello") == "two got hello")
assert(ask(three, "hello") == "three got hello")
stats = pool:stats()
assert(stats.evicted == 2 and stats.open == 2, mw.inspect(stats))
print(("two other servers: %d connections made room"):format(stats.evicted))

-- 3. A server closes its side. The next borrower gets a new connection and does not notice.
assert(ask(three, "last") == "three got last")
while servers[3]:stats().open > 0 do mw.task.pass() end
assert(ask(three, "hello again") == "three got hello again")
print("a connection that had died was replaced")

-- 4. A borrower gives up before the reply has come. That reply must not reach the next one: the connection is not used again.
local created = pool:stats().created
local reply, err = pool:with(three, function(conn)
  assert(conn:write("slow\n"))
  return conn:read("l", { timeout = 0.01 })
end)
assert(reply == nil and err.code == "ETIMEDOUT")
assert(ask(three, "mine") == "three got mine")
assert(pool:stats().created == created + 1)
print("a late reply reached nobody else")

-- 5. Everything is in use: the next one waits its turn, and not for ever.
do
  local a <close> = assert(pool:acquire(one))
  local b <close> = assert(pool:acquire(one))
  local none, why = pool:acquire(one, { timeout = 0.05 })
  assert(none == nil and why.code == "ETIMEDOUT")
  print("full: " .. tostring(why):gsub("127%.0%.0%.1:%d+", "127.0.0.1:..."))
  assert(a:alive() and b:alive())
end

assert(pool:drain { timeout = 5 })
assert(pool:stats().open == 0)
print("drained: nothing is open")
