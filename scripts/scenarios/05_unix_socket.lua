-- A Unix socket: a server collects lines until EOF, a client in another process sends them.
-- rights: --allow-net=unix:/tmp/moonwire-05.sock
local mw = require "moonwire"
local address = "unix:/tmp/moonwire-05.sock"

if arg[1] == "client" then -- the other process: this script again, started below
  local conn <close> = assert(mw.net.connect(address, { timeout = 5 }))
  assert(assert(conn:write("Hello\nfrom\nclient\nEOF\n")):finish()) -- finish: we write no more, but still read
  print(conn:read("a"))
  return
end

local server <close> = assert(mw.net.listen(address, { unlink = true, mode = "0600" }))
local lines, peer = {}, nil

mw.task.spawn_with({ daemon = true }, server.serve, server, function(conn) -- runs once for each connection
  peer = conn:peer()
  for line in conn:lines { max = "64KiB" } do
    if line == "EOF" then break end
    lines[#lines + 1] = line
  end
  assert(conn:write("got ", #lines, " lines"))
end)

local client = assert(mw.process.run {
  script = "05_unix_socket.lua", "client",
  permissions = { connect = { address } }, -- the child may connect there, and nothing else
  timeout = 10,
})

assert(client.ok, client.stderr)
assert(client.stdout == "got 3 lines\n", "the client heard: " .. client.stdout)
assert(table.concat(lines, " ") == "Hello from client", "the server collected: " .. table.concat(lines, " "))
assert(peer.pid == client.pid, "the kernel says that process " .. peer.pid .. " was there, not " .. client.pid)
print("collected: " .. table.concat(lines, " "))
print("client heard: " .. client.stdout:gsub("\n", ""))
