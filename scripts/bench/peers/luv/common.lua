--- What the luv programs share.
local uv = require "luv"
local common = {}

--- Listens on a Unix socket and hands over each connection.
function common.serve(path, on_conn)
  local listener = uv.new_pipe(false)
  assert(listener:bind(path))
  assert(listener:listen(128, function(err)
    assert(not err, err)
    local conn = uv.new_pipe(false)
    assert(listener:accept(conn))
    on_conn(conn)
  end))
  return listener
end

function common.connect(path, on_conn)
  local conn = uv.new_pipe(false)
  conn:connect(path, function(err)
    assert(not err, err)
    on_conn(conn)
  end)
end

function common.ready(what)
  print(what and "ready " .. what or "ready")
  io.stdout:flush()
end

function common.seconds_since(t)
  return (uv.hrtime() - t) / 1e9
end

return common
