-- TCP: the server answers each line with all that it has processed so far; a client process sends task1, task2, EOF.
-- rights: --allow-net=127.0.0.1
local mw = require "moonwire"

if arg[1] == "client" then -- the other process: this script again, started below
  local conn <close> = assert(mw.net.connect(arg[2], { timeout = 5, retry = { attempts = 3 } }))
  for _, line in ipairs { "task1", "task2", "EOF" } do
    assert(conn:write(line, "\n"))
    print(conn:read("l"))
  end
  assert(conn:read("l") == nil, "the server closes after EOF")
  return
end

local server <close> = assert(mw.net.listen("tcp://127.0.0.1:0", { idle_timeout = 10 })) -- port 0: the system picks one
local processed = {}

mw.task.spawn_with({ daemon = true }, server.serve, server, function(conn)
  for line in conn:lines { max = "64KiB" } do
    if line == "EOF" then
      assert(conn:write("done: ", table.concat(processed, ","), "\n"))
      return
    end
    processed[#processed + 1] = line
    assert(conn:write("processed: ", table.concat(processed, ","), "\n"))
  end
end)

local client = assert(mw.process.run {
  script = "09_tcp.lua", "client", server:address(),
  permissions = { connect = { "127.0.0.1" } }, -- the child may connect to this machine, and nothing else
  timeout = 10,
})

assert(client.ok, client.stderr)
local expected = "processed: task1\nprocessed: task1,task2\ndone: task1,task2\n"
assert(client.stdout == expected, "the client heard: " .. client.stdout)
io.write(client.stdout)
