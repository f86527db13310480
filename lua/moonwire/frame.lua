--- Frames: where one message ends and the next begins. Channels come from `stream:framed(format)`.
local _, core = ...

local frame = {}

frame.new = core.frame.new

return frame
