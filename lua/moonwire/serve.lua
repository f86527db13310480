--- mw.serve: in a worker or in the child of a pool, answers calls by a table of functions until nothing more will come.
--- Described in meta/moonwire.lua.
local _, core = ...
local err, arg = core.err, core.arg
local pcall, xpcall, type, tostring, next, pairs = pcall, xpcall, type, tostring, next, pairs
local pack, unpack = table.pack, table.unpack

local MOST = 10000 -- tasks of one worker that answer at once

local function check(handlers, options)
  if type(handlers) ~= "table" then
    err.raise(err.fail("EINVAL", "serve", nil, "a table of functions is expected, got " .. type(handlers)))
  end
  for name, fn in next, handlers do
    if type(name) ~= "string" or type(fn) ~= "function" then
      err.raise(err.fail("EINVAL", "serve", nil, "the table of handlers holds functions by their names"))
    end
  end
  local concurrent = arg.options(options, { concurrent = "integer" }, "serve").concurrent or 1
  if concurrent < 1 or concurrent > MOST then
    err.raise(err.fail("EINVAL", "serve", nil, ("option \"concurrent\" must be between 1 and %d"):format(MOST)))
  end
  return concurrent
end

--- Calls a handler and sends what came of it. What cannot be sent is the handler's error.
local function answer(parent, id, fn, name, value)
  local worker = core.worker
  if not fn then return worker.fail(parent, id, ("no function %q is served here"):format(name)) end
  local results = pack(xpcall(fn, err.traceback, value))
  local why = results[2]
  if results[1] then
    local sent
    sent, why = pcall(worker.reply, parent, id, unpack(results, 2, results.n))
    if sent then return end
  elseif type(why) == "table" and why.code == "ECANCELED" then
    err.raise(why) -- the worker is closed: its maker knows
  end
  local traceback = err.traceback_of(why)
  if not pcall(worker.fail, parent, id, tostring(why), why, traceback) then worker.fail(parent, id, tostring(why), nil, traceback) end
end

return function(handlers, options)
  local concurrent = check(handlers, options)
  local own = {}
  for name, fn in pairs(handlers) do own[name] = fn end
  if not core.worker.inside() or core.pool.is_thread() then return core.pool.serve(own, { concurrent = concurrent }) end
  local parent = core.module "moonwire".parent
  local function serve()
    for id, name, value in core.worker.take, parent do answer(parent, id, own[name], name, value) end
  end
  if concurrent == 1 then return serve() end
  core.task.scope(function(s)
    for _ = 1, concurrent do s:spawn(serve) end
  end)
end
