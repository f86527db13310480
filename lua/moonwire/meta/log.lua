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

--- What `mw.log` is, and what `mw.log.with` gives. Lines below the level that is set cost next to nothing.
---@class moonwire.Logger
local Logger = {}

--- For whoever looks for a fault: shown with MOONWIRE_LOG=debug.
---@param text string
---@param fields? table<string, any>  shown as name=value; tables in one line, error objects as their text
function Logger.debug(text, fields) end

--- What happens in the ordinary course.
---@param text string
---@param fields? table<string, any>
function Logger.info(text, fields) end

--- What is not as it should be, and goes on.
---@param text string
---@param fields? table<string, any>
function Logger.warn(text, fields) end

--- What failed.
---@param text string
---@param fields? table<string, any>
function Logger.error(text, fields) end

--- The same with fields that every line has: those of a connection, a request. What a line says itself wins.
---@param fields table<string, any>
---@return moonwire.Logger logger
function Logger.with(fields) end
