---@meta

--- The door of the log; scripts see lua/moonwire/log.lua.
---@class moonwire.core.log
---@field level string?  what MOONWIRE_LOG asks for
---@field json boolean   lines are JSON objects
local log = {}

--- Formats one line of at most 4 KiB and hands it to the host.
---@param level 0|1|2|3  debug, info, warn, error
---@param text string
---@param ... any  key, value, key, value
function log.write(level, text, ...) end
