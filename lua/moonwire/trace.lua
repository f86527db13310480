--- Traces: what goes over channels and streams, written down where other programs can read it.
local _, core = ...

---@class moonwire.trace_module
local trace = {}

--- A tap, for `use` of channels, streams, workers, rings and task channels: it writes down what goes through them.
---@type fun(options: moonwire.TapOptions): moonwire.Tap?, moonwire.Err?
trace.tap = core.trace.tap

--- Calls f(...); in a run with --trace=FILE.trace.json the time that it took is a slice of the picture.
---@type fun(name: string, f: (fun(...: any): ...: any), ...: any): ...: any
trace.span = core.trace.span

return trace
