--- A look at the whole host: `.tasks` and `.top`. Read off what the host counts anyway; nothing is counted for it.
local _, core = ...

local task, meters = core.task, core.metrics
local now = core.sys.now
local format, concat, sort = string.format, table.concat, table.sort
local floor, max, min = math.floor, math.max, math.min

local ROWS = 200 -- tasks that are shown

local top = {}

--- What a task waits for, and where.
local function what(it)
  if it.state ~= "waiting" then return it.state end
  local text = it.what or "wait"
  return it.where and format("%s (%s)", text, it.where) or text
end

--- Every task, in the order of their numbers.
---@param session moonwire.Session
---@return string
function top.tasks(session)
  local list, rows, left = task.census(), {}, 0
  local own = task.number()
  sort(list, function(a, b) return a.number < b.number end)
  for i = 1, #list do
    local it = list[i]
    if it.number == session.me then
      rows[#rows + 1] = { "*" .. it.number, "prompt", "waiting", "", session.show.time(it.seconds) }
    elseif it.number ~= own then
      if #rows < ROWS then
        local state = it.cancelled and "cancelled" or it.daemon and it.state == "waiting" and "daemon" or it.state
        rows[#rows + 1] = { tostring(it.number), it.name or it.base or "", state, what(it), session.show.time(it.seconds) }
      else
        left = left + 1
      end
    end
  end
  local text = session.show:rows({ "task", "name", "state", "for", "since" }, rows, { true })
  return left > 0 and format("%s\n%s", text, session.show:note(format("... %d more", left))) or text
end

local gauges = { "tasks", "handles", "timers", "streams_open", "buffered_bytes", "processes_running", "workers_running" }

--- One look: plain numbers.
function top.look()
  meters.collect()
  local it = { at = now(), used = 0, limit = 0 }
  it.used, it.limit = core.host.memory()
  for i = 1, #gauges do it[gauges[i]] = meters.own("moonwire_" .. gauges[i]):value() end
  local bytes, messages = meters.own("moonwire_bytes_total"), meters.own("moonwire_messages_total")
  it.bytes_in, it.bytes_out = bytes:value { direction = "in" }, bytes:value { direction = "out" }
  it.messages_in, it.messages_out = messages:value { direction = "in" }, messages:value { direction = "out" }
  it.streams, it.children = core.repl.streams(), core.repl.children()
  it.lag = meters.own("moonwire_loop_lag_seconds"):summary()
  return it
end

local function rate(this, before, name)
  return max(0, (this[name] - before[name]) / max(1e-3, this.at - before.at))
end

local LINES = 10 -- streams and children that are shown

local function by(list, key)
  local out = {}
  for i = 1, list and #list or 0 do out[list[i][key]] = list[i] end
  return out
end

--- Those with the most to say first.
local function streams(show, this, before, text)
  local was, list, rows = by(before and before.streams, "key"), this.streams, {}
  for i = 1, #list do
    local it, old = list[i], was[list[i].key]
    it.moved = it.bytes_in + it.bytes_out - (old and old.bytes_in + old.bytes_out or 0)
  end
  sort(list, function(a, b) return a.moved > b.moved end)
  for i = 1, min(#list, LINES) do
    local it, old = list[i], was[list[i].key]
    local seconds = old and this.at - before.at
    local function cell(name)
      if not seconds then return show.bytes(it[name]) end
      return show.bytes(floor(max(0, it[name] - old[name]) / max(1e-3, seconds))) .. "/s"
    end
    rows[i] = { cell("bytes_in"), cell("bytes_out"), it.name }
  end
  if #rows == 0 then return end
  text[#text + 1] = show:rows({ "in", "out", "stream" }, rows, { true, true })
  if #list > LINES then text[#text + 1] = show:note(format("... %d more", #list - LINES)) end
end

--- Those that took the most of the processor first: since the last look, or since they began.
local function children(show, this, before, text)
  local was, list, rows = by(before and before.children, "pid"), this.children, {}
  for i = 1, #list do
    local it, old = list[i], was[list[i].pid]
    local seconds = old and this.at - before.at or it.ran
    it.share = (it.cpu - (old and old.cpu or 0)) / max(1e-3, seconds)
  end
  sort(list, function(a, b) return a.share > b.share end)
  for i = 1, min(#list, LINES) do
    local it = list[i]
    rows[i] = { tostring(it.pid), format("%.0f%%", max(0, it.share) * 100), show.time(it.cpu), show.time(it.ran), it.name }
  end
  if #rows == 0 then return end
  text[#text + 1] = show:rows({ "child", "cpu", "cpu time", "runs for", "program" }, rows, { true, true, true, true })
  if #list > LINES then text[#text + 1] = show:note(format("... %d more", #list - LINES)) end
end

--- The text of a look; with one of before, rates.
function top.text(session, this, before)
  local show, out = session.show, {}
  local function line(name, text) out[#out + 1] = { name, text } end
  line("memory", format("%s of %s", show.bytes(this.used), show.bytes(this.limit)))
  line("tasks", format("%d, %d timers, %d handles", floor(this.tasks), floor(this.timers), floor(this.handles)))
  if this.lag.p99 then
    line("lag", format("p50 %s, p99 %s, max %s", show.time(this.lag.p50), show.time(this.lag.p99), show.time(this.lag.max)))
  else
    line("lag", "none yet")
  end
  line("streams", format("%d open, %s in, %s out, %s waiting", floor(this.streams_open), show.bytes(this.bytes_in),
    show.bytes(this.bytes_out), show.bytes(this.buffered_bytes)))
  if before then
    line("", format("%s/s in, %s/s out, %.0f + %.0f messages/s", show.bytes(floor(rate(this, before, "bytes_in"))),
      show.bytes(floor(rate(this, before, "bytes_out"))), rate(this, before, "messages_in"), rate(this, before, "messages_out")))
  end
  line("children", format("%d processes, %d workers", floor(this.processes_running), floor(this.workers_running)))
  local text = {}
  for i = 1, #out do text[i] = show:paint("head", format("%-9s", out[i][1])) .. out[i][2] end
  streams(show, this, before, text)
  children(show, this, before, text)
  return concat(text, "\n")
end

return top
