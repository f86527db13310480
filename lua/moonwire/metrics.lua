--- Metrics: counters, gauges and histograms with true quantiles, as text for Prometheus, and on a socket.
--- The metrics are C (bind/metrics.c); here are the clock of `time`, and the listener.

local _, core = ...

local door = core.metrics
local err, now = core.err, core.sys.now
local insert, concat = table.insert, table.concat

---@class moonwire.metrics
local metrics = {
  counter = door.counter,
  gauge = door.gauge,
  histogram = door.histogram,
}

---@class moonwire.Histogram
local Histogram = door.methods

local Timing = {}
function Timing:__close() self.histogram:observe(now() - self.began) end

--- Calls `f` and records how many seconds it took, waiting included, whether it returns, raises or is cancelled.
---@param f fun(): any ...
---@param labels? table<string, string|number|boolean>
---@return any ...  what `f` returned
function Histogram:time(f, labels)
  if type(f) ~= "function" then
    err.raise(err.fail("EINVAL", "histogram.time", nil, "a function is expected, got " .. type(f)))
  end
  local _timing <close> = setmetatable({ histogram = self:with(labels), began = now() }, Timing)
  return f()
end

--- Between the pieces of the text `rest` is called.
local function write(rest)
  door.collect()
  local parts, i, from = {}, 1, 0
  while true do
    local part, more = door.text(i, from)
    if not part then return concat(parts) end
    insert(parts, part)
    if more then
      from = more
      rest()
    else
      i, from = i + 1, 0
    end
  end
end

--- All metrics in the text format of Prometheus, version 0.0.4: the host's own and the script's.
---@return string text
function metrics.text()
  return write(function() end)
end

--- Serves `GET /metrics` at `address` until what is returned is closed, or the script ends: it keeps no script alive.
--- Takes the options of mw.net.listen; by default at most 16 connections, closed when they are idle for a minute,
--- or sooner when all places are taken: whoever comes next has that of the one that has waited longest.
---
--- ```lua
--- local m <close> = assert(mw.metrics.listen("tcp://127.0.0.1:9464"))
--- ```
---@param address string
---@param opts? moonwire.ListenOptions
---@return moonwire.Listener? listener
---@return moonwire.Err? err
function metrics.listen(address, opts)
  return core.module("moonwire.metrics_http").listen(address, opts, function() return write(core.task.pass) end)
end

return metrics
