--- mw.task.retry: again, after growing pauses. Returns that one function.
local _, core = ...
local raw, err, arg = core.task, core.err, core.arg
local pack, unpack, type, pcall, error = table.pack, table.unpack, type, pcall, error
local min, max, random = math.min, math.max, math.random

local function invalid(what)
  return err.raise(err.fail("EINVAL", "task.retry", nil, what))
end

---@param f fun(attempt: integer): any
---@param opts? moonwire.RetryOptions
---@return any ...  f's results
return function(f, opts)
  if type(f) ~= "function" then invalid("a function is expected, got " .. type(f)) end
  opts = arg.options(opts, { attempts = "integer", backoff = "table", jitter = "flag" }, "task.retry")
  local attempts, pause, longest = opts.attempts or 3, 0.1, 2
  if attempts < 1 then invalid("option \"attempts\" must be at least 1") end
  if opts.backoff then
    pause = arg.duration(opts.backoff[1], "task.retry", "backoff[1]")
    longest = max(pause, arg.duration(opts.backoff[2] or opts.backoff[1], "task.retry", "backoff[2]"))
  end
  for attempt = 1, attempts do
    local out = pack(pcall(f, attempt))
    local ok, why = out[1], out[2]
    if ok and (out[2] ~= nil or out[3] == nil) then return unpack(out, 2, out.n) end
    if ok then why = out[3] end
    local code = err.is(why) and why.code
    if attempt == attempts or code == "EDENIED" or code == "ECANCELED" or code == "EINVAL" then
      if ok then return unpack(out, 2, out.n) end
      error(why, 0)
    end
    raw.sleep(opts.jitter == false and pause or pause * (0.5 + random() / 2))
    pause = min(pause * 2, longest)
  end
end
