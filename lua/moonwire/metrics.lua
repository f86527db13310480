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

--- All metrics in the text format of Prometheus, version 0.0.4: the host's own and the script's.
---@return string
function metrics.text()
  door.collect()
  local parts = {}
  for i = 1, math.maxinteger do
    local part = door.text(i)
    if not part then break end
    insert(parts, part)
  end
  return concat(parts)
end

--- Serves `GET /metrics` at `address` until what is returned is closed, or the script ends: it keeps no script alive.
--- Takes the options of mw.net.listen; by default at most 16 connections, closed when they are idle for a minute.
---@param address string
---@param opts? moonwire.ListenOptions
---@return moonwire.Listener? listener
---@return moonwire.Err? err
function metrics.listen(address, opts)
  return core.module("moonwire.metrics_http").listen(address, opts, metrics.text)
end

return metrics
