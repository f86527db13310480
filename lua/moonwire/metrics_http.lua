--- Answers `GET /metrics` in HTTP/1.1, and anything else with a clean refusal. Small on purpose: no bodies, no compression.
--- What a stranger may send is bounded: 8 KiB of request head, 5 s from its first byte to its last. Nobody holds a place by waiting: when
--- all are taken, whoever comes next has that of the connection that has waited longest, of the peer that has most of them.

local _, core = ...

local net, task, now = core.module("moonwire.net"), core.task, core.sys.now
local min = math.min

local HEAD_MAX = 8192 -- bytes of a request line and its headers
local HEAD_TIME = 5 -- seconds for these
local KEEP = 60 -- seconds between two requests of a connection
local STALL = 10 -- seconds in which a peer must take something of an answer
local CONNS = 16
local MOST = 1000000 -- of a listener

local FORMAT = "text/plain; version=0.0.4; charset=utf-8"
local PLAIN = "text/plain; charset=utf-8"

local reasons = {
  [200] = "OK", [400] = "Bad Request", [404] = "Not Found", [405] = "Method Not Allowed", [408] = "Request Timeout",
  [431] = "Request Header Fields Too Large", [500] = "Internal Server Error", [505] = "HTTP Version Not Supported",
}

--- The lines of a request's head, the empty one at its end left out. nil: the connection is over; a number: why it is refused.
---@param conn moonwire.Stream
---@param first number  seconds that its first byte may take
---@param me moonwire.core.Waiting
---@return string[]|integer|nil
local function read_head(conn, first, me)
  if not conn:peek(1, { timeout = first }) then return nil end
  me.begun = true
  local lines, left, ends = {}, HEAD_MAX, now() + HEAD_TIME
  while true do
    local line, why = conn:read_until("\n", { max = left, timeout = math.max(ends - now(), 0) })
    if not line then
      if not why then return nil end
      return why.code == "EFRAME" and 431 or why.code == "ETIMEDOUT" and 408 or nil
    end
    left = left - #line - 1
    if line:byte(-1) == 13 then line = line:sub(1, -2) end
    if line == "" then
      if #lines > 0 then return lines end -- an empty line before a request is passed over
    else
      lines[#lines + 1] = line
    end
    if left <= 0 then return 431 end
  end
end

---@class moonwire.core.Request
---@field method string
---@field path string
---@field keep boolean  the connection may be used again

--- What a head asks for, or the number that refuses it.
---@param lines string[]
---@return moonwire.core.Request|integer
local function parse(lines)
  local method, target, version = lines[1]:match "^([!#$%%&'*+%-.^_`|~%w]+) ([!-~]+) HTTP/(%d%.%d)$"
  if not method then return 400 end
  if version ~= "1.1" and version ~= "1.0" then return 505 end
  local keep, hosts, body = version == "1.1", 0, false
  for i = 2, #lines do
    local name, value = lines[i]:match "^([!#$%%&'*+%-.^_`|~%w]+):[ \t]*(.-)[ \t]*$"
    if not name or value:find "[%z\1-\8\11-\31\127]" then return 400 end
    name = name:lower()
    if name == "host" then
      hosts = hosts + 1
    elseif name == "connection" then
      for word in value:lower():gmatch "[^%s,]+" do keep = word ~= "close" and (keep or word == "keep-alive") end
    elseif name == "transfer-encoding" or name == "content-length" and value ~= "0" then
      body = true
    end
  end
  if hosts > 1 or hosts == 0 and version == "1.1" then return 400 end
  local path = target:gsub("^[Hh][Tt][Tt][Pp]://[^/?#]+", ""):match "^[^?#]*"
  return { method = method, path = path, keep = keep and not body } -- nobody reads a body: it goes with the connection
end

---@param conn moonwire.Stream
---@param code integer
---@param body string
---@param o { head_only?: boolean, keep?: boolean, type?: string, more?: string }
---@return boolean go_on
local function answer(conn, code, body, o)
  local head = ("HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s%s\r\n"):format(code, reasons[code], o.type or PLAIN,
    #body, o.more or "", o.keep and "" or "Connection: close\r\n")
  local sent = conn:write(head, o.head_only and "" or body)
  return sent and conn:flush { timeout = STALL } and o.keep or false
end

local function refuse(conn, code, o)
  o = o or {}
  return answer(conn, code, reasons[code] .. "\n", o)
end

local allow = "Allow: GET, HEAD\r\n"

---@class moonwire.core.Waiting
---@field conn moonwire.Stream
---@field host string
---@field begun boolean  some of a request has come

local function forget(waiting, me)
  for i = 1, #waiting do
    if waiting[i] == me then return table.remove(waiting, i) end
  end
end

--- Ends one of those that wait: of the peer that has most of them, the first. It has all that it asked for.
---@param waiting moonwire.core.Waiting[]  in the order in which they began to
local function make_room(waiting)
  local counts, most = {}, nil
  for _, it in ipairs(waiting) do
    counts[it.host] = (counts[it.host] or 0) + 1
    if not most or counts[it.host] > counts[most] then most = it.host end
  end
  for _, it in ipairs(waiting) do
    if it.host == most then
      forget(waiting, it)
      if it.begun then refuse(it.conn, 408) end
      return it.conn:close()
    end
  end
end

--- One request; returns whether another may follow.
local function serve_one(conn, first, text, waiting)
  local peer = conn:peer() -- none: it has reset the connection already
  local me = { conn = conn, host = peer and peer.host or "", begun = false }
  waiting[#waiting + 1] = me
  local lines = read_head(conn, first, me)
  forget(waiting, me)
  if lines == nil then return false end
  if type(lines) == "number" then return refuse(conn, lines) end
  local r = parse(lines)
  if type(r) == "number" then return refuse(conn, r) end
  local o = { keep = r.keep, head_only = r.method == "HEAD" }
  if r.path ~= "/metrics" then return refuse(conn, 404, o) end
  if r.method ~= "GET" and r.method ~= "HEAD" then
    o.more = allow
    return refuse(conn, 405, o)
  end
  local ok, body = pcall(text)
  if not ok then -- there is no memory for it, or the listener is closed
    if type(body) == "table" and body.code == "ECANCELED" then error(body, 0) end
    return refuse(conn, 500, { head_only = o.head_only })
  end
  o.type = FORMAT
  return answer(conn, 200, body, o)
end

--- What is unread when a connection closes makes the system tell the peer of a reset, which may overtake our answer: it is told that
--- nothing more comes, and what it still sends within a moment is thrown away.
local function part(conn)
  if not conn:finish() then return end
  local ends, left = now() + 1, 65536
  while left > 0 and now() < ends do
    local bytes = conn:read_some(min(left, 8192), { timeout = math.max(ends - now(), 0) })
    if not bytes then return end
    left = left - #bytes
  end
end

local function handler(text, places)
  local waiting, count = {}, 0
  local leave = setmetatable({}, { __close = function() count = count - 1 end })
  return function(conn)
    local first = HEAD_TIME
    count = count + 1
    local _left <close> = leave
    if count > places then make_room(waiting) end
    while serve_one(conn, first, text, waiting) do first = KEEP end
    if conn:alive() then part(conn) end
  end
end

local defaults = { max_conns = CONNS, max_conns_per_peer = CONNS + 1, idle_timeout = KEEP + HEAD_TIME, stall_timeout = STALL }

local http = {}

---@param address string
---@param opts? moonwire.ListenOptions
---@param text fun(): string
---@return moonwire.Listener? listener
---@return moonwire.Err? err
function http.listen(address, opts, text)
  local o, places = opts, CONNS
  if opts == nil or type(opts) == "table" then
    o = {}
    for k, v in next, defaults do o[k] = v end
    for k, v in next, opts or {} do o[k] = v end
    if math.type(o.max_conns) == "integer" and o.max_conns > 0 then
      places = o.max_conns
      if places < MOST then o.max_conns = places + 1 end -- whoever is to have a place of these
    end
  end
  local listener, why = net.listen(address, o)
  if not listener then return nil, why end
  task.background("metrics " .. listener:address(), listener.serve, listener, handler(text, places))
  return listener
end

return http
