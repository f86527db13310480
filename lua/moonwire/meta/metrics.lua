---@meta
--- The door `core.metrics` (host/bind/metrics.c) and the methods of metrics in C. Labels are given by name each time something is
--- counted; the values are strings, numbers or booleans, and each set of them is a series of its own.

---@alias moonwire.Labels table<string, string|number|boolean>

---@class moonwire.MetricOptions
---@field help? string  one line for people
---@field labels? string[]  names, at most 16
---@field max_series? integer  sets of values, 1,000 unless told, at most 10,000; all beyond share one, whose values are "(other)"

---@class moonwire.HistogramOptions: moonwire.MetricOptions
---@field buckets? number[]|false  upper bounds in the text; by default for seconds, or for bytes if the name ends so. false: the text is
---  a summary with quantiles

---@class moonwire.Counter
local Counter = {}

--- Counts `n`, 1 unless told. A negative number raises.
---@param n? number
---@param labels? moonwire.Labels
---@return moonwire.Counter self
function Counter:inc(n, labels) end

--- What was counted; without labels of all series together.
---@param labels? moonwire.Labels
---@return number
function Counter:value(labels) end

--- The same counter with its labels given, for what is counted often.
---@param labels? moonwire.Labels
---@return moonwire.Counter
function Counter:with(labels) end

---@class moonwire.Gauge
local Gauge = {}

---@param value number
---@param labels? moonwire.Labels
---@return moonwire.Gauge self
function Gauge:set(value, labels) end

---@param n? number  1
---@param labels? moonwire.Labels
---@return moonwire.Gauge self
function Gauge:inc(n, labels) end

---@param n? number  1
---@param labels? moonwire.Labels
---@return moonwire.Gauge self
function Gauge:dec(n, labels) end

--- Its value; without labels the sum of all series.
---@param labels? moonwire.Labels
---@return number
function Gauge:value(labels) end

---@param labels? moonwire.Labels
---@return moonwire.Gauge
function Gauge:with(labels) end

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
---@return { count: integer, sum: number, mean?: number, min?: number, max?: number, p50?: number, p90?: number, p99?: number }
function Histogram:summary(labels) end

--- The value that `part` of all (0.999) do not exceed, within 0.8 %; nil before anything was recorded.
---@param part number
---@param labels? moonwire.Labels
---@return number?
function Histogram:quantile(part, labels) end

---@param labels? moonwire.Labels
---@return moonwire.Histogram
function Histogram:with(labels) end

---@class moonwire.core.metrics
---@field methods moonwire.Histogram  the methods of every histogram
local door = {}

--- The counter of that name, made at the first call. The same name with other options, or one that Prometheus does not take, raises;
--- so does the 1,001st name (ELIMIT).
---@param name string
---@param opts? moonwire.MetricOptions
---@return moonwire.Counter
function door.counter(name, opts) end

---@param name string
---@param opts? moonwire.MetricOptions
---@return moonwire.Gauge
function door.gauge(name, opts) end

---@param name string
---@param opts? moonwire.HistogramOptions
---@return moonwire.Histogram
function door.histogram(name, opts) end

--- Brings the host's own metrics (moonwire_...) up to date.
function door.collect() end

--- A piece of the text of the i-th metric, "" when it has no value yet, nil beyond the last; and where the next piece begins.
---@param i integer
---@param from integer  0
---@return string? text
---@return integer? next
function door.text(i, from) end

return door
