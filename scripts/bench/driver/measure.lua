--- One measurement: a program run, or a server and what asks it, and the figures that were printed.
local mw = require "moonwire"
local measure = {}

local START_LIMIT = 30 -- seconds until a server is ready

--- What a program printed last as "result key=value ...", as a table of numbers.
local function numbers(text)
  local line = text:match ".*%f[%w]result ([^\n]*)\n"
  if not line then error("no result in what it printed: " .. text:sub(-400), 0) end
  local found = {}
  for key, value in line:gmatch "(%w+)=(%S+)" do found[key] = tonumber(value) end
  return found
end

local function joined(...)
  local all = {}
  for _, list in ipairs { ... } do
    for _, item in ipairs(list) do all[#all + 1] = tostring(item) end
  end
  return all
end

--- Runs a command to its end; an error that shows what it said, if it did not end well.
local function run(command, limit)
  command.stderr, command.timeout = "stdout", limit
  local result = assert(mw.process.run(command))
  if not result.ok then
    local how = result.timed_out and "did not end in time" or "ended with " .. tostring(result.code or result.signal)
    error(("%s %s: %s"):format(table.concat(result.argv, " "), how, result.stdout:sub(-2000)), 0)
  end
  return result.stdout
end

--- Starts a server and waits for its "ready"; gives it and what stood behind that word.
local function serve(command, limit)
  command.stdout, command.stderr, command.timeout, command.kill_after = "pipe", "stdout", limit, 5
  local server = assert(mw.process.spawn(command))
  local line = server.stdout:read("l", { timeout = START_LIMIT })
  local where = line and line:match "^ready ?(.*)$"
  if not where then
    server:stop()
    local rest = server.stdout:read("a", { timeout = 10 })
    error(("%s did not get ready: %s"):format(table.concat(command, " "), (line or "") .. "\n" .. (rest or "")), 0)
  end
  return server, where
end

local way = {}

local function program(workload, entry)
  return entry.peer:command(entry.program or workload.program, entry)
end

function way.start(o, workload, entry, n)
  return run(joined({ o.built .. "/load", "start", n }, program(workload, entry)), o.limit)
end

function way.alone(o, workload, entry, n)
  return run(joined(program(workload, entry), workload.args(n, entry.how, o.smoke)), o.limit)
end

--- pcall, but for the end of it all (Ctrl-C).
local function attempt(f, ...)
  local ok, got = pcall(f, ...)
  if not ok and type(got) ~= "string" and got.code == "ECANCELED" then error(got, 0) end
  return ok, got
end

--- Runs what asks a server; if that fails, what the server said is part of the story.
local function asked(server, command, limit)
  local ok, said = attempt(run, command, limit)
  if ok then return said end
  server:stop()
  error(("%s\nthe server said: %s"):format(tostring(said), server.stdout:read("a", { timeout = 10 }) or ""), 0)
end

local function ended(server, limit)
  local text = server.stdout:read("a", { timeout = limit })
  local result = assert(server:wait { timeout = limit })
  if not result.ok then error("the server ended with " .. tostring(result.code or result.signal) .. ": " .. tostring(text), 0) end
  return text
end

local certified

--- Makes a certificate for localhost that vouches for itself, in `dir`, once.
local function certify(dir)
  if certified == dir then return end
  run({ "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
    "-subj", "/CN=localhost",
    "-addext", "subjectAltName=DNS:localhost",
    "-keyout", dir .. "/tls.key", "-out", dir .. "/tls.pem" }, 30)
  certified = dir
end

function way.pair(o, workload, entry, n, socket)
  local load = { o.built .. "/load" }
  local before = workload.before and joined(load, workload.before) or {}
  local command = program(workload, entry)
  if workload.certificate then certify(o.work) end
  local server <close>, port = serve(joined(before, command, workload.serve(socket, n, entry.how)), o.limit)
  local said = asked(server, joined(before, command, workload.ask(socket, n, port, entry.how)), o.limit)
  return workload.result == "serve" and ended(server, o.limit) or said
end

function way.load(o, workload, entry, n, socket)
  local load = { o.built .. "/load" }
  local before = workload.before and joined(load, workload.before) or {}
  local command = program(workload, entry)
  local server <close>, port = serve(joined(before, command, workload.serve(socket, n, entry.how)), o.limit)
  return asked(server, joined(load, workload.ask(port ~= "" and port or socket, n, server.pid)), o.limit)
end

local count = 0

--- Measures an entry with so much; gives what was printed, as numbers, or nil and why not.
---@return table<string, number>? result
---@return string? why
function measure.once(o, workload, entry, n)
  count = count + 1
  local socket = ("%s/%d.sock"):format(o.work, count) -- a new one each time: nobody waits for another to remove it
  local ok, got = attempt(function() return numbers(way[workload.way](o, workload, entry, n, socket)) end)
  if not ok then return nil, tostring(got) end
  for _, figure in ipairs(workload.figures) do
    local value = figure.of(got)
    if not value or value ~= value or math.abs(value) == math.huge then return nil, "the result has no " .. figure.key end
  end
  return got
end

return measure
