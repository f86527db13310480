--- Workers: a Lua state with its own loop on a thread of its own. What goes between is copied; nothing is shared but what says so.
local _, core = ...

---@class moonwire.worker
local worker = {}

worker.spawn = core.worker.spawn

--- A pool of workers on threads, with the verbs of mw.process.pool. The first starts at once, so that a wrong script shows here.
---
--- ```lua
--- -- hash.lua ends in mw.serve{ hash = function(s) ... end }
--- local pool <close> = assert(mw.worker.pool{ script = "hash.lua" })
--- print(pool:call("hash", "text"))
--- ```
---@param options moonwire.WorkerPoolOptions
---@return moonwire.Pool? pool
---@return moonwire.Err? err
function worker.pool(options)
  return core.module("moonwire.pool").threads(options)
end

return worker
