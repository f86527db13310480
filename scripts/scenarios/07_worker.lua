-- Workers: a Lua state with its own loop on a thread of its own. One greets and replies, one answers calls, one crashes.
-- rights:
local mw = require "moonwire"

-- The workers: this script again, each with a word for what it is. They have no rights, and memory of their own.
local role = arg[1]
if role == "greeter" then
  for msg in mw.parent:messages() do mw.parent:send { reply = "Hello, " .. msg.name } end
  return
elseif role == "sums" then
  return mw.serve {
    sum = function(list)
      local sum = 0
      for _, n in ipairs(list) do sum = sum + n end
      return sum
    end,
  }
elseif role == "unlucky" then
  mw.parent:send "so far so good"
  error "out of luck"
elseif role == "busy" then
  while true do end
end

local function worker(name)
  return assert(mw.worker.spawn(mw.script.path, { args = { name }, name = name, memory_limit = "64MiB", permissions = "none" }))
end

-- Messages are copied. The loop over them ends when the worker does.
local greeter <close> = worker "greeter"
for _, name in ipairs { "Lua", "moonwire" } do greeter:send { type = "greet", name = name } end
greeter:finish()
for msg in greeter:messages() do print(msg.reply) end
assert(greeter:join())

-- Functions called by their name; an error in one comes back with its traceback, and the worker goes on.
local sums <close> = worker "sums"
assert(sums:call("sum", { 1, 2, 3, 4 }, { timeout = 10 }) == 10)
local nothing, err = sums:call("sum", { 1, {} })
assert(nothing == nil and err.code == "ETASK", err)
print("refused: " .. err.message:match "attempt to .*")
assert(err.data.traceback:find "stack traceback")
assert(sums:call("sum", { 20, 22 }) == 42)

-- A worker that crashes takes nobody along; what it had sent is there.
local unlucky <close> = worker "unlucky"
assert(unlucky:recv() == "so far so good")
nothing, err = unlucky:recv()
assert(nothing == nil and err.code == "ECRASHED", err)
print("crashed: " .. err.message:match "out of luck")

-- One that never comes back is ended all the same.
worker("busy"):close()
print "done"
