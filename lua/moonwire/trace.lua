--- Traces: what goes over channels and streams, written down where other programs can read it.
local _, core = ...

---@class moonwire.trace
local trace = {}

trace.tap = core.trace.tap

trace.span = core.trace.span

return trace
