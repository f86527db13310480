-- Authentication under attack: what somebody between the two ends, or somebody with many connections, can do to it.
local mw = require "moonwire"
local net, task, auth = mw.net, mw.task, mw.auth

local SECRET = ("right "):rep(6)
local DENIED = "MWA1\5\0\0\7denied\n"
local MESSAGE = 40 -- bytes of each message without a name: 8 of header, 32 of body
local count = 0

local function name()
  count = count + 1
  return ("unix:@mw-spec-attack-%d-%d"):format(mw.sys.pid(), count)
end

local function hmac(secret) return auth.hmac { secret = secret or SECRET } end

local function serving(opts)
  opts = opts or {}
  opts.auth = opts.auth or hmac()
  local srv = assert(net.listen(name(), opts))
  task.spawn_with({ daemon = true }, srv.serve, srv, function(c)
    for line in c:lines() do assert(c:write(line, "\n")) end
  end)
  return srv
end

--- Somebody between: hands on what each end says, as `change(dir, bytes, at)` gives it (nil: closes both). dir: "up" to the server, "down"
--- to the client; at: how many bytes came before in that direction.
local function between(srv, change)
  local mid = assert(net.listen(name()))
  task.spawn_with({ daemon = true }, mid.serve, mid, function(client)
    local server <close> = assert(net.connect(srv:address()))
    local function pass(dir, from, to)
      local at = 0
      while true do
        local some = from:read_some()
        if not some then break end
        local out = change(dir, some, at)
        at = at + #some
        if not out or (#out > 0 and not to:write(out)) then
          client:close()
          server:close()
          return
        end
      end
      to:finish()
    end
    local down = task.spawn(pass, "down", server, client)
    pass("up", client, server)
    down:join()
  end)
  return mid
end

local function talks(c)
  assert(c:write("hello\n"))
  return c:read("l") == "hello"
end

describe("authentication under attack", function()
  it("goes through somebody who hands on one byte after another", function()
    local srv <close> = serving()
    local mid <close> = between(srv, function(_, some) return some end)
    local c <close> = assert(net.connect(mid:address(), { auth = hmac() }))
    assert.is_true(talks(c))
    local slow <close> = assert(net.listen(name()))
    task.spawn_with({ daemon = true }, slow.serve, slow, function(client)
      local server <close> = assert(net.connect(srv:address()))
      for _, way in ipairs { { client, server }, { server, client }, { client, server }, { server, client } } do
        for _ = 1, MESSAGE do
          assert(way[2]:write((assert(way[1]:read_exact(1)))))
          task.pass()
        end
      end
      client:close()
    end)
    local again <close> = assert(net.connect(slow:address(), { auth = hmac() }))
    assert.is_nil((again:read("l")))
  end)

  it("believes nothing in which a byte was changed, in either direction", function()
    for _, dir in ipairs { "up", "down" } do
      for place = 0, 2 * MESSAGE - 1 do
        local srv <close> = serving { auth_timeout = 0.05 } -- another each time: failures of one are answered later and later
        local mid <close> = between(srv, function(to, some, at)
          local i = place - at + 1
          if to ~= dir or i < 1 or i > #some then return some end
          return some:sub(1, i - 1) .. string.char(some:byte(i) ~ 1 << (place % 8)) .. some:sub(i + 1)
        end)
        local c, err = net.connect(mid:address(), { auth = hmac(), auth_timeout = 0.2 })
        assert.is_nil(c, dir .. place)
        assert.truthy(err.code == "EAUTH" or err.code == "ETIMEDOUT" or err.code == "EEOF", tostring(err))
        if dir == "up" then assert.equal(0, srv:stats().accepted) end
      end
    end
  end)

  it("believes nothing that was cut, wherever", function()
    for _, dir in ipairs { "up", "down" } do
      for place = 0, 2 * MESSAGE - 1 do
        local srv <close> = serving()
        local mid <close> = between(srv, function(to, some, at)
          if to ~= dir or at + #some <= place then return some end
          return nil
        end)
        local c, err = net.connect(mid:address(), { auth = hmac() })
        assert.is_nil(c, dir .. place)
        assert.truthy(err.code == "EEOF" or err.code == "ECONNRESET" or err.code == "EPIPE", tostring(err))
        if dir == "up" then assert.equal(0, srv:stats().accepted) end
      end
    end
  end)

  it("is not impressed by what was recorded", function()
    local srv <close> = serving()
    local said = {}
    local mid <close> = between(srv, function(dir, some)
      if dir == "up" then said[#said + 1] = some end
      return some
    end)
    local c <close> = assert(net.connect(mid:address(), { auth = hmac() }))
    assert.is_true(talks(c))
    local thief <close> = assert(net.connect(srv:address()))
    assert(thief:write(table.concat(said)))
    local answer = thief:read("a")
    assert.equal("MWA1\2\0\0\32", answer:sub(1, 8))
    assert.equal(DENIED, answer:sub(MESSAGE + 1))
    assert.equal(1, srv:stats().accepted)
  end)

  it("is not impressed by its own words coming back", function()
    local srv <close> = serving()
    local thief <close> = assert(net.connect(srv:address()))
    assert(thief:write("MWA1\1\0\0\32", ("n"):rep(32)))
    local challenge = assert(thief:read_exact(MESSAGE))
    assert(thief:write(challenge))
    assert.equal(DENIED, thief:read("a"))
    local mirror <close> = assert(net.listen(name()))
    task.spawn_with({ daemon = true }, mirror.serve, mirror, function(conn)
      for _ = 1, 2 do
        local some = conn:read_some()
        if not some then return end
        conn:write(some)
      end
    end)
    local c, err = net.connect(mirror:address(), { auth = hmac() })
    assert.same({ nil, "EAUTH" }, { c, err.code })
  end)

  it("refuses a server that does not know the secret, however it answers", function()
    local false_one <close> = assert(net.listen(name()))
    task.spawn_with({ daemon = true }, false_one.serve, false_one, function(conn)
      assert(conn:read_exact(MESSAGE))
      assert(conn:write("MWA1\2\0\0\32", ("n"):rep(32)))
      assert(conn:read_exact(MESSAGE))
      assert(conn:write("MWA1\4\0\0\32", ("w"):rep(32)))
      conn:read("a")
    end)
    local c, err = net.connect(false_one:address(), { auth = hmac() })
    assert.is_nil(c)
    assert.equal("EAUTH", err.code)
    assert.truthy(tostring(err):find("the server did not prove", 1, true))
  end)

  it("answers whatever is no hello at its first byte, and takes little of a flood", function()
    for _, text in ipairs { "GET / HTTP/1.1\r\n\r\n", "\22\3\1\2\0", "\0", "M\n", "MWA1\2", "MWA1\1\0\1", "MWA1\1\0\0\31" } do
      local srv <close> = serving()
      local c <close> = assert(net.connect(srv:address()))
      assert(c:write(text))
      assert.equal(DENIED, c:read("a"))
    end
    local srv <close> = serving()
    local c <close> = assert(net.connect(srv:address()))
    c:write(("MWA1"):rep(1 << 18))
    c:read("a")
    assert.equal(1, srv:stats().refused)
  end)

  it("ends somebody who drips at the deadline, however often something comes", function()
    local srv <close> = serving { auth_timeout = 0.1 }
    local c <close> = assert(net.connect(srv:address()))
    task.spawn_with({ daemon = true }, function()
      for byte in ("MWA1\1\0\0\96" .. ("n"):rep(90)):gmatch "." do
        if not c:write(byte) then break end
        task.sleep(0.01)
      end
    end)
    assert.equal(DENIED, c:read("a"))
    assert.equal(1, srv:stats().timed_out)
  end)

  it("answers the fifth failure of a peer after a pause, and a good one of the same peer at once", function()
    local srv <close> = serving()
    for _ = 1, 4 do
      local _, err = net.connect(srv:address(), { auth = hmac(("wrong "):rep(6)) })
      assert.equal("EAUTH", err.code)
    end
    local fifth = task.spawn(net.connect, srv:address(), { auth = hmac(("wrong "):rep(6)) })
    local good <close> = assert(net.connect(srv:address(), { auth = hmac() }))
    assert.is_true(talks(good))
    assert.is_false(fifth:done())
    local _, err = fifth:join()
    assert.equal("EAUTH", err.code)
    assert.equal(5, srv:stats().refused)
  end)

  it("lets good ones in beside 200 who say nothing", function()
    local srv <close> = serving()
    local silent = {}
    for i = 1, 200 do silent[i] = assert(net.connect(srv:address())) end
    for _ = 1, 50 do
      local c <close> = assert(net.connect(srv:address(), { auth = hmac() }))
      assert.is_true(talks(c))
    end
    local stats = srv:stats()
    assert.equal(50, stats.accepted)
    assert.truthy(stats.displaced > 0 and stats.unauthenticated <= 64)
    for _, c in ipairs(silent) do c:close() end
  end)

  it("lets good ones in where those who say nothing hold all of max_conns", function()
    local srv <close> = serving { max_conns = 4, auth_timeout = 60 }
    local silent = {}
    for i = 1, 4 do silent[i] = assert(net.connect(srv:address())) end
    local first <close> = assert(net.connect(srv:address(), { auth = hmac() }))
    local second <close> = assert(net.connect(srv:address(), { auth = hmac() }))
    assert.is_true(talks(first) and talks(second))
    assert.equal(2, srv:stats().displaced)
    assert.equal(4, srv:stats().open)
    for _, c in ipairs(silent) do c:close() end
  end)

  it("keeps those who proved who they are where max_conns is reached", function()
    local srv <close> = serving { max_conns = 2 }
    local first <close> = assert(net.connect(srv:address(), { auth = hmac() }))
    local second = assert(net.connect(srv:address(), { auth = hmac() }))
    local third = task.spawn(net.connect, srv:address(), { auth = hmac() })
    assert.is_true(talks(first) and talks(second))
    assert.is_false(third:done())
    second:close()
    local c <close> = assert(third:join())
    assert.is_true(talks(c) and talks(first))
    assert.equal(0, srv:stats().displaced)
  end)

  it("loses none of many good ones that come at once", function()
    local srv <close> = serving { max_unauthenticated = 4 }
    local all = {}
    for i = 1, 60 do
      all[i] = task.spawn(function()
        local c <close> = assert(net.connect(srv:address(), { auth = hmac() }))
        return talks(c)
      end)
    end
    for _, t in ipairs(all) do assert.is_true(t:join()) end
    assert.equal(0, srv:stats().displaced)
  end)

  it("holds nothing of two thousand who failed", function()
    local srv <close> = serving()
    local function fail(n)
      for _ = 1, n do
        local c <close> = assert(net.connect(srv:address()))
        c:write("nonsense")
      end
      local c <close> = assert(net.connect(srv:address(), { auth = hmac() }))
      assert.is_true(talks(c))
    end
    local function descriptors() return #assert(mw.fs.list "/proc/self/fd") end
    fail(200)
    local before = descriptors()
    fail(1800)
    assert.truthy(descriptors() <= before + 8, descriptors() - before)
    assert.truthy(srv:stats().open <= 66)
    assert.truthy(srv:stats().refused >= 1900)
  end)

  it("ends with a host that ends in the middle of it", function()
    local script = [[
      local mw = require "moonwire"
      local srv = assert(mw.net.listen(arg[1], { auth = mw.auth.hmac{ secret = "sixteen bytes..." } }))
      mw.task.spawn_with({ daemon = true }, srv.serve, srv, print)
      local silent = assert(mw.net.connect(arg[1]))
      local half = mw.task.spawn_with({ daemon = true }, mw.net.connect, arg[1], { auth = mw.auth.hmac{ secret = "another sixteen." } })
      mw.task.pass()
      mw.exit(7)
    ]]
    local dir <close> = mw.fs.tempdir()
    local path = dir.path .. "/ends.lua"
    assert(mw.fs.write(path, script))
    local r = assert(mw.process.run { mw.env.get("MOONWIRE", "moonwire"), "run", "-A", path, name(), timeout = 60 })
    assert.equal(7, r.code, r.stderr)
  end)
end)
