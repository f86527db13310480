--- Frames: where one message ends and the next begins. Channels come from `stream:framed(format)`.
local _, core = ...

---@class moonwire.frame
local frame = {}

--- Makes a format: `frame.new{ header = "<B I4", length = 2 }` or `frame.new{ protocol = "netstring" }`.
---@type fun(options: moonwire.FrameOptions): moonwire.Frame
frame.new = core.frame.new

return frame
