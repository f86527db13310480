--- What happened to a supervisor's children: the last N events, for any number of readers, each from the first that is kept.
--- Knows: core.task. Never: what an event means.
local _, core = ...
local err, arg, task = core.err, core.arg, core.task
local setmetatable = setmetatable
local max = math.max

--- What happened to a child.
---@class moonwire.supervisor.Event
---@field number integer  from 1; a gap means that a slow reader missed what is no longer kept
---@field what "starting"|"ready"|"exited"|"restarting"|"gave_up"|"stopped"
---@field id string       of the child
---@field reason? string  in words: "exited with 1", "not ready within 10 s", "its need restarts", ...
---@field pid? integer    its process
---@field code? integer   of an exit
---@field signal? string  that ended it: "KILL"
---@field pause? number   seconds until the next start ("restarting")
---@field time number     seconds since 1970

---@class moonwire.core.EventLog
local Log = {}
Log.__index = Log

---@param keep integer  so many events are held; the oldest go
function Log.new(keep)
  return setmetatable({ keep = keep, first = 1, last = 0, over = false, came = task.cond() }, Log)
end

--- Adds one, numbered and dated.
---@param event table
function Log:add(event)
  self.last = self.last + 1
  event.number, event.time = self.last, core.module("moonwire.time").wall()
  self[self.last] = event
  if self.last - self.first >= self.keep then
    self[self.first] = nil
    self.first = self.first + 1
  end
  self.came:wake()
end

--- Nothing more will come.
function Log:finish()
  self.over = true
  self.came:wake()
end

--- Iterates from the first event that is kept to the last that there will ever be.
---@param opts? moonwire.Timeout  for each; ETIMEDOUT is raised
---@param op string
---@return fun(): moonwire.supervisor.Event?
function Log:reader(opts, op)
  local timeout, at = arg.options(opts, { timeout = "duration" }, op).timeout, 1
  return function()
    local deadline = timeout and task.now() + timeout
    at = max(at, self.first)
    while at > self.last do
      if self.over then return nil end
      if not deadline then
        self.came:wait()
      elseif not self.came:wait(max(deadline - task.now(), 0)) and at > self.last and not self.over then
        return err.raise(err.fail("ETIMEDOUT", op, nil, "no event came"))
      end
      at = max(at, self.first)
    end
    local event, out = self[at], {}
    at = at + 1
    for k, v in next, event do out[k] = v end -- each reader's own: what one changes, no other sees
    return out
  end
end

return Log
