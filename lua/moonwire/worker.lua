--- Workers: a Lua state with its own loop on a thread of its own. What goes between is copied; nothing is shared but what says so.
local _, core = ...

---@class moonwire.worker_module
local worker = {}

--- Starts `script` (found beside the calling script) on a thread of its own.
---@type fun(script: string, options?: moonwire.WorkerOptions): moonwire.Worker?, moonwire.Err?
worker.spawn = core.worker.spawn

--- A pool of workers, with the verbs of mw.process.pool.
---@param options moonwire.WorkerPoolOptions
---@return moonwire.Pool? pool
---@return moonwire.Err? err
function worker.pool(options)
  return core.module("moonwire.pool").threads(options)
end

return worker
