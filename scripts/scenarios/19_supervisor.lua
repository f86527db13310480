-- A supervisor: a store, a job that fills it, a service that needs both. The store is killed, and all come back in order.
-- rights: --allow-net=127.0.0.1
-- with redis-server: --trust-run=redis-server
local mw = require "moonwire"
local address = arg[2]

--- Asks the store: a line of words, as Redis takes them.
local function ask(conn, ...)
  assert(conn:write(table.concat({ ... }, " "), "\r\n"))
  local line = assert(conn:read("l", { timeout = 5 })):gsub("\r$", "")
  if line:sub(1, 1) ~= "$" or line == "$-1" then return line end
  return (assert(conn:read("l")):gsub("\r$", ""))
end

-- The children are this script again, with the name of a role.
local role = {}

--- Where there is no redis-server: enough of one.
function role.store()
  local values = {}
  local server <close> = assert(mw.net.listen(address))
  server:serve(function(conn)
    for line in conn:lines() do
      local command, key, value = line:match("^(%S+) ?(%S*) ?(%S*)")
      if command == "SET" then
        values[key] = value
        conn:write("+OK\r\n")
      elseif values[key] then
        conn:write("$", #values[key], "\r\n", values[key], "\r\n")
      else
        conn:write("$-1\r\n")
      end
    end
  end)
end

--- A job: ends when it is done.
function role.seed()
  local conn <close> = assert(mw.net.connect(address))
  assert(ask(conn, "SET", "greeting", "hello") == "+OK")
end

--- A service: says itself when it is ready.
function role.service()
  local conn <close> = assert(mw.net.connect(address))
  assert(ask(conn, "GET", "greeting") == "hello", "the service came before the job was done")
  mw.supervisor.notify()
  mw.task.wait()
end

if arg[1] then return role[arg[1]]() end

local free = assert(mw.net.listen("tcp://127.0.0.1:0")) -- a port that nobody has
address = free:address()
free:close()
local port = address:match("%d+$")

local store = { id = "store", ready = { connect = address } }
if mw.permissions.query("trust", "redis-server") == "granted" then
  store.run = { "redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", "/tmp", "--loglevel", "warning" }
  store.stdout = "null"
else
  store.script, store[1], store[2], store.permissions = "19_supervisor.lua", "store", address, { listen = { "127.0.0.1:" .. port } }
end

local function client(id, more)
  more.id, more.script, more[1], more[2], more.permissions = id, "19_supervisor.lua", id, address, { connect = { "127.0.0.1:" .. port } }
  return more
end

local sup <close> = assert(mw.supervisor {
  strategy = "rest_for_one", max_restarts = 3, within = 30, backoff = { 0.05, 1 }, -- those after the store depend on it
  store,
  client("seed", { needs = { "store" }, ready = { exit = 0 } }),
  client("service", { needs = { "seed" }, ready = { notify = true } }),
})

assert(sup:wait_ready { timeout = 20 })
print("up: " .. (store.run and "redis-server" or "a store of our own") .. ", the job, the service")

-- The store is killed, with all that it held. What was built on it comes down and is built again, the job included.
assert(sup:kill("store", "KILL"))
for event in sup:events { timeout = 20 } do
  if event.id == "service" and event.what == "restarting" then break end
end
assert(sup:wait_ready { timeout = 20 })

do
  local conn <close> = assert(mw.net.connect(address))
  assert(ask(conn, "GET", "greeting") == "hello")
end

sup:close()
local story = {}
for event in sup:events() do
  story[#story + 1] = event.id .. " " .. event.what
  print(("%2d  %-8s %-11s %s"):format(event.number, event.id, event.what, event.reason or ""))
end
local expected = {
  "store starting", "store ready", "seed starting", "seed exited", "seed ready", "service starting", "service ready",
  "store exited", "store restarting", "seed restarting", "service restarting", "service stopped",
  "store starting", "store ready", "seed starting", "seed exited", "seed ready", "service starting", "service ready",
  "service stopped", "store stopped",
}
for i = 1, math.max(#story, #expected) do
  assert(story[i] == expected[i], ("event %d is %s, expected %s"):format(i, story[i], expected[i]))
end
print("killed, brought back in order, stopped in reverse")
