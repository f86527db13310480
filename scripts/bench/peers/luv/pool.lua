-- pool COUNT SIZE DEPTH: so many tasks to so many processes, DEPTH in flight for each. A task: a number and 32 bytes.
-- Frames over standard input and output.
package.path = arg[0]:gsub("[^/]*$", "?.lua;") .. package.path
local common = require "common"
local uv = require "luv"
local pack, unpack, sub, concat = string.pack, string.unpack, string.sub, table.concat
local UP, TASK, DONE = 0, 1, 2

--- Calls use(kind, data, at, len) for each frame of what comes.
local function inbox(use)
  local rest = ""
  return function(data)
    if rest ~= "" then data = rest .. data end
    local at, size = 1, #data
    while size - at >= 4 do
      local kind, len = unpack("<BI4", data, at)
      if at + 4 + len > size then break end
      use(kind, data, at + 5, len)
      at = at + 5 + len
    end
    rest = at > size and "" or sub(data, at)
  end
end

if arg[1] == "worker" then
  local from, to, out, held = uv.new_pipe(false), uv.new_pipe(false), {}, 0
  from:open(0)
  to:open(1)
  local take = inbox(function(kind, data, at, len)
    local id, text = unpack("<I4c32", data, at)
    assert(kind == TASK and len == 36 and #text == 32, "a task of another size")
    held = held + 1
    out[held] = pack("<BI4I4I4", DONE, 8, id, 2 * id + 1)
  end)
  to:write(pack("<BI4", UP, 0))
  from:read_start(function(_, data)
    if not data then
      from:close()
      return to:close()
    end
    take(data)
    if held > 0 then to:write(held == 1 and out[1] or concat(out, "", 1, held)) end
    held = 0
  end)
  return uv.run()
end

local count, size, depth, payload = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3]), ("x"):rep(32)
local started, done, sum, up, workers, begun, seconds = 0, 0, 0, 0, {}, nil, nil

local function more(w)
  if started == count then return end
  w.submit(started)
  started = started + 1
end
local function ready()
  up = up + 1
  if up < size then return end
  begun = uv.hrtime()
  for _ = 1, depth do
    for _, w in ipairs(workers) do more(w) end
  end
  for _, w in ipairs(workers) do w.flush() end
end
local function took(w, id, value)
  assert(value == 2 * id + 1, "another result came back")
  sum, done = sum + value, done + 1
  if done < count then return more(w) end
  seconds = common.seconds_since(begun)
  for _, other in ipairs(workers) do other.to:close() end
end

for i = 1, size do
  local w, out, held, child = { to = uv.new_pipe(false), from = uv.new_pipe(false) }, {}, 0, nil
  workers[i] = w
  child = assert(uv.spawn(uv.exepath(), { args = { arg[0], "worker" }, stdio = { w.to, w.from, 2 } }, function(code)
    assert(code == 0, "a worker did not end well")
    child:close()
  end))
  function w.submit(id)
    held = held + 1
    out[held] = pack("<BI4I4", TASK, 36, id) .. payload
  end
  function w.flush()
    if held > 0 and not w.to:is_closing() then w.to:write(held == 1 and out[1] or concat(out, "", 1, held)) end
    held = 0
  end
  local take = inbox(function(kind, data, at)
    if kind == UP then return ready() end
    took(w, unpack("<I4I4", data, at))
  end)
  w.from:read_start(function(_, data)
    if not data then return w.from:close() end
    take(data)
    w.flush()
  end)
end
uv.run()
assert(sum == count * count, "the sum")
print(("result count=%d seconds=%.6f"):format(count, seconds))
