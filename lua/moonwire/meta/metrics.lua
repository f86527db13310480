---@meta
--- The door `core.metrics` (host/bind/metrics.c) and the methods of metrics in C. Labels are given by name each time something is
--- counted; the values are strings, numbers or booleans, and each set of them is a series of its own.

--- Values of labels by their names; every name that the metric was made with.
---@alias moonwire.Labels table<string, string|number|boolean>

---@class moonwire.MetricOptions
---@field help? string  one line for people
---@field labels? string[]  names, at most 16
---@field max_series? integer  sets of values, 1,000 unless told, at most 10,000; all beyond share one, whose values are "(other)"

---@class moonwire.HistogramOptions: moonwire.MetricOptions
---@field buckets? number[]|false  upper bounds in the text; by default for seconds, or for bytes if the name ends so. false: the text is
---  a summary with quantiles

--- What only grows: calls, bytes, errors. Each set of labels is a series of its own.
---@class moonwire.Counter
local Counter = {}

--- Counts `n`, 1 unless told. A negative number raises.
---@param n? number
---@param labels? moonwire.Labels
---@return moonwire.Counter self
function Counter:inc(n, labels) end

--- What was counted; without labels of all series together.
---@param labels? moonwire.Labels
---@return number value
function Counter:value(labels) end

--- The same counter with its labels given, for what is counted often.
---@param labels? moonwire.Labels
---@return moonwire.Counter counter
function Counter:with(labels) end

--- What goes up and down: tasks that wait, bytes that are held.
---@class moonwire.Gauge
local Gauge = {}

--- Sets its value.
---@param value number
---@param labels? moonwire.Labels
---@return moonwire.Gauge self
function Gauge:set(value, labels) end

--- Adds `n`.
---@param n? number  1
---@param labels? moonwire.Labels
---@return moonwire.Gauge self
function Gauge:inc(n, labels) end

--- Takes `n` away.
---@param n? number  1
---@param labels? moonwire.Labels
---@return moonwire.Gauge self
function Gauge:dec(n, labels) end

--- Its value; without labels the sum of all series.
---@param labels? moonwire.Labels
---@return number value
function Gauge:value(labels) end

--- The same gauge with its labels given, for what changes often.
---@param labels? moonwire.Labels
---@return moonwire.Gauge gauge
function Gauge:with(labels) end

--- How values spread: durations in seconds, sizes in bytes. Quantiles are within 0.8 %.
---@class moonwire.Histogram
local Histogram = {}

--- Records a value: finite and not negative, else it raises.
---@param value number
---@param labels? moonwire.Labels
---@return moonwire.Histogram self
function Histogram:observe(value, labels) end

--- `count`, `sum`, `min` and `max` are exact, `mean` follows; the quantiles are within 0.8 %. Before anything was recorded there
--- are only `count` and `sum`. Without labels of all series together.
---@param labels? moonwire.Labels
---@return moonwire.Summary summary
function Histogram:summary(labels) end

---@class moonwire.Summary
---@field count integer  values so far
---@field sum number     of them
---@field mean? number
---@field min? number
---@field max? number
---@field p50? number    the median: half of all values are no greater
---@field p90? number    nine tenths are no greater
---@field p99? number    all but a hundredth are no greater

--- The value that `part` of all (0.999) do not exceed, within 0.8 %; nil before anything was recorded.
---@param part number
---@param labels? moonwire.Labels
---@return number? value
function Histogram:quantile(part, labels) end

--- The same histogram with its labels given, for what is recorded often.
---@param labels? moonwire.Labels
---@return moonwire.Histogram histogram
function Histogram:with(labels) end

--- Counters, gauges and histograms with true quantiles, as text for Prometheus and on a socket. They need no right; `listen` one for
--- its address. A metric has at most 1,000 series (`max_series`): what is new beyond is counted under "(other)", so that what strangers
--- choose as a label cannot fill the memory.
---
--- ```lua
--- local calls = mw.metrics.counter("app_calls_total", { labels = { "op" } })
--- calls:inc(1, { op = "read" })
--- local seconds = mw.metrics.histogram("app_call_duration_seconds")
--- seconds:time(function() mw.task.sleep(0.1) end)
--- print(seconds:summary().p99)     -- within 0.8 %
--- local m <close> = assert(mw.metrics.listen("tcp://127.0.0.1:0"))
--- print(mw.metrics.text())         -- what GET /metrics gives
--- ```
---
--- What the host measures itself is there without code, as `moonwire_*`: messages, bytes, errors by code, connections, children and
--- the time to start one, pools by state, loop lag, tasks, Lua memory. Counts begin with the host, times with the first use of this. A
--- worker thread has metrics of its own: have it answer a call with `mw.metrics.text()`.
---@class moonwire.metrics
local metrics = {}

--- The counter of that name, made at the first call: what only grows. The same name with other options, or one that Prometheus
--- does not take, raises EINVAL; so does the 1,001st name (ELIMIT).
---
--- ```lua
--- local calls = mw.metrics.counter("app_calls_total",
---   { help = "calls", labels = { "op" } })
--- calls:inc(1, { op = "read" })
--- ```
---@param name string  letters, digits, _ and :
---@param opts? moonwire.MetricOptions
---@return moonwire.Counter counter
function metrics.counter(name, opts) end

--- The gauge of that name: what goes up and down.
---
--- ```lua
--- local waiting = mw.metrics.gauge("app_waiting")
--- waiting:set(3)
--- ```
---@param name string
---@param opts? moonwire.MetricOptions
---@return moonwire.Gauge gauge
function metrics.gauge(name, opts) end

--- The histogram of that name: how values spread, with quantiles within 0.8 %.
---
--- ```lua
--- local seconds = mw.metrics.histogram("app_call_duration_seconds")
--- seconds:time(function() mw.task.sleep(0.1) end)
--- print(seconds:summary().p99)
--- ```
---@param name string
---@param opts? moonwire.HistogramOptions
---@return moonwire.Histogram histogram
function metrics.histogram(name, opts) end

---@class moonwire.core.metrics
---@field methods moonwire.Histogram  the methods of every histogram
local door = {}

--- Brings the host's own metrics (moonwire_...) up to date.
function door.collect() end

--- For our own modules: the host's own metric of that name, as it was when `collect` was called.
---@param name string  "moonwire_tasks"
---@return moonwire.Counter|moonwire.Gauge|moonwire.Histogram
function door.own(name) end

--- A piece of the text of the i-th metric, "" when it has no value yet, nil beyond the last; and where the next piece begins.
---@param i integer
---@param from integer  0
---@return string? text
---@return integer? next
function door.text(i, from) end

return door
