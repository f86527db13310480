-- spawn COUNT LANES HEAP_MIB: runs /bin/echo so often, so many at a time, and reads what each says.
local uv = require "luv"
local count, lanes, mib = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3])
local started, good, blocked, heap = 0, 0, {}, {}
for i = 1, mib do heap[i] = ("x"):rep(1 << 20) end

local args = { "hello" }

local function begin()
  if started == count then return end
  local out, process = uv.new_pipe(false), nil
  local said, open, code = nil, 2, nil
  local function closed()
    open = open - 1
    if open > 0 then return end
    if said == "hello\n" and code == 0 then good = good + 1 end
    begin()
  end
  local since = uv.hrtime()
  process = assert(uv.spawn("/bin/echo", { args = args, stdio = { nil, out, nil } }, function(status, signal)
    code = signal == 0 and status
    process:close()
    closed()
  end))
  started = started + 1
  blocked[started] = uv.hrtime() - since
  out:read_start(function(err, data)
    assert(not err, err)
    if data then
      said = said and said .. data or data
    else
      out:close()
      closed()
    end
  end)
end

local since = uv.hrtime()
for _ = 1, lanes do begin() end
uv.run()
local seconds = (uv.hrtime() - since) / 1e9
assert(good == count, "a child did not say hello and end well")
assert(#heap == mib)
table.sort(blocked)
print(("result count=%d seconds=%.6f blocked=%.9f"):format(count, seconds, blocked[count // 2 + 1] / 1e9))
