---@meta
--- The C door of the host: what a script knows of its program, and how it leaves.

---@class moonwire.core.host
---@field script_path? string    the script's file, as it was named
---@field script_dir? string     the directory it lies in
---@field program? string        what starts script children
---@field parent_fd? integer     the descriptor of mw.parent
---@field parent_stdio boolean   mw.parent is standard input and output
---@field warden boolean         children never outlive the host
---@field child_files integer    the descriptors that children may open, 0: as many as we
---@field args string[]          the script's arguments; 0 is its name
local host = {}

--- Cancels every task, lets cleanup run, and ends the run with `code`. Does not return.
---@param code? integer|boolean  0 to 255; true is 0, false 1
function host.exit(code) end

--- Bytes that the Lua state holds, and the most it may hold.
---@return integer used
---@return integer limit
function host.memory() end

return host
