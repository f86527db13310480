-- Logging: a small server tells of its connections in fields, and what a child writes to its standard error becomes lines of the same
-- log. On a terminal they are for people (key=value), anywhere else JSON, an object a line: this script runs itself to read those.
-- rights: --allow-net=127.0.0.1 --allow-run=sh
local mw = require "moonwire"

-- The service, started below. Its log goes to standard error, its result to standard output.
local function service()
  local log = mw.log.with { service = "greeter" } -- fields of every line
  local server <close> = assert(mw.net.listen("tcp://127.0.0.1:0"))
  log.info("listening")

  mw.task.spawn_with({ daemon = true }, server.serve, server, function(conn)
    local peer = conn:peer()
    local conn_log = log.with { peer = peer.host } -- and of every line about this connection
    local began, lines = mw.time.now(), 0
    conn_log.info("connected")
    for line in conn:lines { max = "1KiB" } do
      lines = lines + 1
      if line == "" then conn_log.warn("an empty line", { nth = lines }) end
      conn_log.debug("line", { text = line }) -- not shown, unless MOONWIRE_LOG=debug
      assert(conn:write("hello ", line, "\n"))
    end
    conn_log.info("gone", { lines = lines, seconds = mw.time.now() - began, bytes = conn:stats().bytes_in })
  end)

  do
    local conn <close> = assert(mw.net.connect(server:address()))
    for _, name in ipairs { "ann", "", "bob\27[2J" } do -- what a stranger sends moves nobody's cursor
      assert(conn:write(name, "\n"))
      assert(conn:read("l", { timeout = 5 }))
    end
  end
  assert(server:drain { timeout = 5 })

  -- A child's standard error, line by line.
  local child <close> = assert(mw.process.spawn {
    "sh", "-c", "echo 'warming up' >&2; printf 'red \\033[31malert\\n' >&2; exit 3", stderr = "pipe",
  })
  local child_log = log.with { child = "sh", pid = child.pid }
  for line in child.stderr:lines() do child_log.warn(line) end
  local ended = assert(child:wait { timeout = 5 })
  child_log.error("ended", { code = ended.code, ok = ended.ok })

  local none, why = mw.net.connect(server:address()) -- the server is closed
  log.error("no connection", { err = why, tried = { server:address(), 1 } })
  return none
end

if arg[1] == "service" then return service() end

local run = assert(mw.process.run {
  script = "14_logging.lua", "service", timeout = 20,
  permissions = { net = { "127.0.0.1" }, run = { "sh" } },
})
assert(run.ok, run.stderr)

-- Each line is a JSON object, whatever was sent.
local seen = {}
for line in run.stderr:gmatch "[^\n]+" do
  local entry = assert(mw.json.decode(line))
  assert(entry.time and entry.level and entry.service == "greeter", line)
  assert(not line:find "[%c\x7f]", "a control character in the log")
  seen[#seen + 1] = ("%-5s %s"):format(entry.level, entry.text:gsub("%c", "?"))
  if entry.text == "gone" then assert(entry.lines == 3 and entry.bytes == 13 and entry.peer == "127.0.0.1", line) end
  if entry.text == "ended" then assert(entry.code == 3 and entry.ok == false and entry.child == "sh", line) end
  if entry.err then assert(tostring(entry.err):find "refused" or entry.err.code == "ECONNREFUSED", line) end
end
assert(#seen == 8, run.stderr)
print(table.concat(seen, "\n"))
