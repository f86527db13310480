-- metrics.listen: what it answers to scrapers, to strangers, and how it ends. Knows: mw.
local mw = require "moonwire"
local metrics, net, task = mw.metrics, mw.net, mw.task
local check = require "spec.support.prometheus"
local moonwire = os.getenv "MOONWIRE" or "moonwire"

metrics.counter("spec_http_total", { help = "there is something to tell" }):inc()

local count = 0
local function listening(opts)
  count = count + 1
  return assert(metrics.listen(("unix:@mw-spec-metrics-%d-%d"):format(mw.sys.pid(), count), opts))
end

--- One answer: its code, its headers, its body.
local function answer(conn, no_body)
  local line, why = conn:read("l", { timeout = 120 })
  if not line then return nil, why end
  local code = tonumber(line:match "^HTTP/1%.1 (%d%d%d) [%w ]+\r$")
  assert.truthy(code, line)
  local headers = {}
  for h in conn:lines { timeout = 120 } do
    if h == "\r" then break end
    local name, value = h:match "^([%w-]+): (.*)\r$"
    headers[name:lower()] = value
  end
  local n = math.tointeger(tonumber(headers["content-length"]))
  local body = not no_body and n > 0 and assert(conn:read_exact(n, { timeout = 120 })) or ""
  return code, headers, body
end

local function ask(listener, text)
  local conn <close> = assert(net.connect(listener:address()))
  conn:write(text)
  return answer(conn)
end

local GET = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"

describe("metrics.listen", function()
  it("tells what metrics.text() tells, to GET /metrics", function()
    local l <close> = listening()
    local code, headers, body = ask(l, GET)
    assert.same({ 200, "text/plain; version=0.0.4; charset=utf-8" }, { code, headers["content-type"] })
    assert.equal(1, check(body)["spec_http_total"])
    assert.equal(200, (ask(l, "GET /metrics?x=1 HTTP/1.0\r\n\r\n")))
    assert.equal(200, (ask(l, "\r\nGET http://a.b:1/metrics HTTP/1.1\nhOST:\t x \nAccept: */*\n\n")))
  end)

  it("answers one request after another on a connection, and several that come at once", function()
    local l <close> = listening()
    local conn <close> = assert(net.connect(l:address()))
    conn:write(GET)
    assert.equal(200, (answer(conn)))
    conn:write(GET, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", GET)
    assert.equal(200, (answer(conn)))
    local code, headers, body = answer(conn, true)
    assert.same({ 200, "" }, { code, body })
    assert.is_true(tonumber(headers["content-length"]) > 0)
    assert.equal(404, (answer(conn)))
    assert.equal(200, (answer(conn)))
    conn:write("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    local last, closing = answer(conn)
    assert.same({ 200, "close" }, { last, closing.connection })
    assert.is_nil(conn:read())
  end)

  it("closes after an answer to HTTP/1.0, unless it is asked to keep the connection", function()
    local l <close> = listening()
    local conn <close> = assert(net.connect(l:address()))
    conn:write("GET /metrics HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
    assert.equal(200, (answer(conn)))
    conn:write("GET /metrics HTTP/1.0\r\n\r\n")
    assert.equal(200, (answer(conn)))
    assert.is_nil(conn:read())
  end)

  it("refuses everything else cleanly", function()
    local l <close> = listening()
    local host = "\r\nHost: x\r\n"
    local wrong = {
      { 404, "GET /" }, { 404, "GET /metricsx" }, { 404, "GET /metrics/" }, { 404, "POST /other" }, { 404, "OPTIONS *" },
      { 405, "POST /metrics" }, { 405, "DELETE /metrics" }, { 405, "get /metrics" },
      { 400, "GET  /metrics" }, { 400, "GET /met rics" }, { 400, "GET" }, { 400, "" }, { 400, "G\0T /metrics" }, { 400, "GET /\xff" },
    }
    for _, w in ipairs(wrong) do
      if w[2] ~= "" then assert.equal(w[1], (ask(l, w[2] .. " HTTP/1.1" .. host .. "\r\n")), w[2]) end
    end
    for _, text in ipairs {
      "hello\r\n\r\n", "GET /metrics\r\n\r\n", "\x16\x03\x01\x02\0\1\0\1\xfc\3\3\n\n", "GET /metrics HTTP/1.1\r\n\r\n",
      "GET /metrics HTTP/1.1" .. host .. "Host: y\r\n\r\n", "GET /metrics HTTP/1.1" .. host .. " folded: x\r\n\r\n",
      "GET /metrics HTTP/1.1" .. host .. "no colon\r\n\r\n", "GET /metrics HTTP/1.1" .. host .. "A : b\r\n\r\n",
      "GET /metrics HTTP/1.1" .. host .. "A: \1\r\n\r\n", "GET /metrics HTTP/11" .. host .. "\r\n",
      "GET /metrics FTP/1.1" .. host .. "\r\n",
    } do
      local code, headers = ask(l, text)
      assert.same({ 400, "close" }, { code, headers.connection }, text)
    end
    assert.equal(505, (ask(l, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")))
    local _, headers = ask(l, "PUT /metrics HTTP/1.1" .. host .. "\r\n")
    assert.equal("GET, HEAD", headers.allow)
  end)

  it("reads no body, and closes after the answer to whoever sends one", function()
    local l <close> = listening()
    for _, how in ipairs { "Content-Length: 5", "Transfer-Encoding: chunked" } do
      local conn <close> = assert(net.connect(l:address()))
      conn:write("POST /metrics HTTP/1.1\r\nHost: x\r\n", how, "\r\n\r\n", GET)
      local code, headers = answer(conn)
      assert.same({ 405, "close" }, { code, headers.connection })
      assert.is_nil(conn:read())
    end
  end)

  it("takes no request head of more than 8 KiB, in one line or in many, and says so", function()
    local l <close> = listening()
    local long = ("x"):rep(9000)
    assert.equal(431, (ask(l, "GET /" .. long .. " HTTP/1.1\r\nHost: x\r\n\r\n")))
    assert.equal(431, (ask(l, "GET /metrics HTTP/1.1\r\nHost: x\r\nA: " .. long .. "\r\n\r\n")))
    assert.equal(431, (ask(l, "GET /metrics HTTP/1.1\r\n" .. ("A: b\r\n"):rep(2000))))
    assert.equal(431, (ask(l, ("x"):rep(1 << 20))))
    assert.equal(431, (ask(l, ("\r\n"):rep(5000))))
    assert.equal(200, (ask(l, "GET /metrics HTTP/1.1\r\nHost: x\r\nA: " .. ("x"):rep(8000) .. "\r\n\r\n")))
  end)

  it("goes on whatever bytes came", function()
    local l <close> = listening()
    math.randomseed(7)
    local words = { "GET ", "/metrics", " HTTP/1.1", "\r\n", "\n", "Host: x", ":", " ", "\0", "\xff", "HEAD", "Content-Length: ", "9",
      "Connection: ", "," }
    for _ = 1, 300 do
      local text = {}
      for i = 1, math.random(12) do text[i] = math.random(4) > 1 and words[math.random(#words)] or string.char(math.random(0, 255)) end
      local conn <close> = assert(net.connect(l:address()))
      conn:write(table.concat(text))
      conn:finish()
      local all = conn:read("a", { timeout = 120 }) or ""
      assert.truthy(all == "" or all:find "^HTTP/1%.1 %d%d%d ", all)
    end
    assert.equal(200, (ask(l, GET)))
    assert.equal(0, l:stats().failed)
  end)

  it("serves many scrapes at once, and those beyond max_conns in their turn", function()
    local l <close> = listening()
    local done = 0
    task.scope(function(s)
      for _ = 1, 100 do
        s:spawn(function()
          local code, _, body = ask(l, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
          assert.equal(200, code)
          check(body)
          done = done + 1
        end)
      end
    end)
    assert.equal(100, done)
  end)

  it("lets nobody hold all places by waiting, and ends no more than it needs", function()
    local l <close> = listening()
    local kept = {}
    for i = 1, 16 do
      kept[i] = assert(net.connect(l:address()))
      kept[i]:write(GET)
      assert.equal(200, (answer(kept[i])))
    end
    assert.equal(200, (ask(l, GET)))
    assert.is_nil((kept[1]:read_some()))
    for i = 3, 16 do
      kept[i]:write(GET)
      assert.equal(200, (answer(kept[i])))
    end
    for i = 1, 16 do kept[i]:close() end
  end)

  it("gives a place to the next when somebody dawdles with a request or does not read", function()
    local big = metrics.gauge("spec_http_big", { labels = { "v" }, max_series = 10000 })
    for i = 1, 8000 do big:set(i, { v = ("x"):rep(200) .. i }) end
    local l <close> = listening { max_conns = 2, stall_timeout = 2 }
    local slow <close> = assert(net.connect(l:address()))
    local deaf <close> = assert(net.connect(l:address()))
    slow:write("GET /metr")
    deaf:write(GET)
    assert.equal(200, (ask(l, GET)))
    assert.equal(408, (answer(slow)))
    assert.equal(0, l:stats().failed)
  end)

  it("does not mind a peer that goes away in the middle", function()
    local l <close> = listening()
    for _, part in ipairs { "", "GET /me", GET:sub(1, -2), GET } do
      local conn = assert(net.connect(l:address()))
      conn:write(part)
      conn:close()
    end
    assert.equal(200, (ask(l, GET)))
    assert.equal(0, l:stats().failed)
  end)

  it("ends by close and by <close>, with a scrape under way too", function()
    local l = listening()
    local conn <close> = assert(net.connect(l:address()))
    conn:write("GET /met")
    assert.equal(200, (ask(l, GET)))
    l:close()
    l:close()
    assert.is_nil(conn:read("l", { timeout = 120 }))
    local none, err = net.connect(l:address())
    assert.same({ nil, "ECONNREFUSED" }, { none, err.code })
  end)

  it("goes on after the scope that began it", function()
    local l
    task.scope(function() l = listening() end)
    assert.equal(200, (ask(l, GET)))
    l:close()
  end)

  it("keeps no script alive, nor holds up its end while a scrape is under way", function()
    local address = "unix:@mw-spec-metrics-end-" .. mw.sys.pid()
    local r = assert(mw.process.run { moonwire, "run", "--allow-net=" .. address, "-", address, timeout = 60, stdin = [[
      local mw = require "moonwire"
      local l = assert(mw.metrics.listen(arg[1]))
      local conn = assert(mw.net.connect(l:address()))
      conn:write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /metr")
      assert(conn:read_some())
      print "done" ]] })
    assert.same({ "done\n", "", 0 }, { r.stdout, r.stderr, r.code })
  end)

  it("serves over TLS as well, and goes on after whoever does not speak it", function()
    local ca = dofile("spec/support/tls_ca.lua").new()
    local _gone <close> = setmetatable({}, { __close = function() ca:close() end })
    local cert = ca:issue "server"
    local l <close> = assert(metrics.listen("tls://127.0.0.1:0", { cert = cert.cert, key = cert.key }))
    local plain <close> = assert(net.connect((l:address():gsub("^tls", "tcp"))))
    plain:write(GET)
    plain:read("a", { timeout = 120 })
    local conn <close> = assert(net.connect(l:address(), { ca = ca.pem, timeout = 120 }))
    conn:write(GET)
    local code, _, body = answer(conn)
    assert.equal(200, code)
    check(body)
  end)

  it("says nothing of peers that reset the connection before they said anything", function()
    local r = assert(mw.process.run { moonwire, "eval", "-A", "--", [[
      local mw, uv = require "moonwire", require "uv"
      local l = assert(mw.metrics.listen "tcp://127.0.0.1:0")
      local all, left = mw.task.event(), 20
      local function gone()
        left = left - 1
        if left == 0 then all:set() end
      end
      for _ = 1, left do
        local c = uv.new_tcp()
        c:connect("127.0.0.1", tonumber(l:address():match "%d+$"), function() c:close_reset(gone) end)
      end
      all:wait()
      local conn = assert(mw.net.connect(l:address()))
      conn:write "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
      print(conn:read "l") ]], timeout = 60 })
    assert.same({ "HTTP/1.1 200 OK\r\n", "", 0 }, { r.stdout, r.stderr, r.code })
  end)

  it("takes the largest max_conns that a listener takes", function()
    assert(metrics.listen("tcp://127.0.0.1:0", { max_conns = 1000000 })):close()
    for _, wrong in ipairs { 1000001, math.maxinteger, 0, -1 } do
      local ok, err = pcall(metrics.listen, "tcp://127.0.0.1:0", { max_conns = wrong })
      assert.is_false(ok)
      assert.matches(('"max_conns" must be from 1 to 1000000, got %d'):format(wrong), tostring(err), 1, true)
    end
  end)

  it("needs the right to listen", function()
    local r = assert(mw.process.run { moonwire, "eval", [[
      local ok, err = pcall(require("moonwire").metrics.listen, "tcp://127.0.0.1:9464")
      print(ok, err) ]], timeout = 30 })
    assert.equal("false\tnet listen 127.0.0.1:9464: denied (grant it with --allow-net=127.0.0.1:9464)\n", r.stdout)
  end)

  it("gives nil and an error when the address is taken, and raises for options that are none", function()
    local l <close> = listening()
    local none, err = metrics.listen(l:address())
    assert.same({ nil, "EADDRINUSE" }, { none, err.code })
    assert.has_error(function() metrics.listen("unix:@mw-spec-x", { max_con = 1 }) end)
    assert.has_error(function() metrics.listen("unix:@mw-spec-x", 5) end)
    assert.has_error(function() metrics.listen(5) end)
  end)
end)
