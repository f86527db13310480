-- Metrics as a script uses them: counters, gauges, histograms, labels and their bound, and the text. Knows: mw.
local mw = require "moonwire"
local metrics = mw.metrics
local check = require "spec.support.prometheus"

local count = 0
local function name(kind)
  count = count + 1
  return ("spec_%d_%s"):format(count, kind)
end

local function refused(code, f, ...)
  local ok, err = pcall(f, ...)
  assert.falsy(ok)
  assert.equal(code, err.code, tostring(err))
  return tostring(err)
end

describe("a counter", function()
  it("counts, by ones unless told", function()
    local c = metrics.counter(name "total")
    assert.equal(0, c:value())
    assert.equal(c, c:inc())
    c:inc(2)
    assert.equal("integer", math.type(c:value()))
    assert.equal(3, c:value())
    assert.equal(3.5, c:inc(0.5):value())
  end)

  it("never goes down and takes no number that is none", function()
    local c = metrics.counter(name "total")
    for _, bad in ipairs { -1, 0 / 0, math.huge, -math.huge, "1", {} } do refused("EINVAL", c.inc, c, bad) end
    assert.equal(0, c:value())
  end)

  it("has a series for each set of labels, and a sum of them", function()
    local c = metrics.counter(name "total", { labels = { "op", "ok" } })
    c:inc(1, { op = "read", ok = true }):inc(1, { op = "read", ok = true }):inc(5, { op = "write", ok = false })
    assert.equal(2, c:value { op = "read", ok = true })
    assert.equal(2, c:value { op = "read", ok = "true" })
    assert.equal(0, c:value { op = "none", ok = true })
    assert.equal(7, c:value())
    local one = c:with { op = "read", ok = true }
    assert.equal(3, one:inc():value())
    refused("EINVAL", one.inc, one, 1, { op = "read", ok = true })
  end)

  it("wants all of its labels, by their names", function()
    local c = metrics.counter(name "total", { labels = { "op", "code" } })
    assert.truthy(refused("EINVAL", c.inc, c, 1, { op = "x" }):find('label "code" is missing', 1, true))
    assert.truthy(refused("EINVAL", c.inc, c, 1, { op = "x", cde = 1 }):find('did you mean "code"', 1, true))
    refused("EINVAL", c.inc, c, 1)
    refused("EINVAL", c.inc, c, 1, { op = {}, code = 1 })
    refused("EINVAL", c.inc, c, 1, "read")
    local plain = metrics.counter(name "total")
    refused("EINVAL", plain.inc, plain, 1, { op = "x" })
    assert.equal(0, c:value())
  end)

  it("is the same one when it is asked for again with the same options, and an error with others", function()
    local n = name "total"
    local c = metrics.counter(n, { help = "calls", labels = { "op" } })
    assert.equal(c, metrics.counter(n, { help = "calls", labels = { "op" } }))
    refused("EINVAL", metrics.counter, n)
    refused("EINVAL", metrics.counter, n, { help = "other", labels = { "op" } })
    refused("EINVAL", metrics.gauge, n, { help = "calls", labels = { "op" } })
  end)

  it("refuses names and options that Prometheus would not take", function()
    for _, bad in ipairs { "", "9", "a-b", "a b", ("x"):rep(129), "a\0b", 1 } do refused("EINVAL", metrics.counter, bad) end
    for _, bad in ipairs { { "a-b" }, { "__a" }, { "a", "a" }, { 1 }, { op = "read" }, "op" } do
      refused("EINVAL", metrics.counter, name "total", { labels = bad })
    end
    refused("EINVAL", metrics.counter, "moonwire_mine_total")
    assert.truthy(refused("EINVAL", metrics.counter, "x", { lables = {} }):find("did you mean", 1, true))
    refused("EINVAL", metrics.counter, "x", { help = "\xff" })
    refused("EINVAL", metrics.counter, "x", { max_series = 10001 })
    assert.is_nil(metrics.text():find("\nx ", 1, true))
  end)
end)

describe("a gauge", function()
  it("is set, goes up and goes down, to anything", function()
    local g = metrics.gauge(name "now")
    assert.equal(7, g:set(10):inc():dec(4):value())
    assert.equal(-0.5, g:set(-0.5):value())
    assert.equal(math.huge, g:set(math.huge):value())
    g:set(0 / 0)
    assert.truthy(metrics.text():find(tostring(g):match "%S+$" .. " NaN\n", 1, true))
    refused("EINVAL", g.set, g)
  end)
end)

describe("a histogram", function()
  it("knows count, sum, least and greatest exactly, and quantiles within one in a hundred", function()
    local h = metrics.histogram(name "seconds")
    assert.same({ count = 0, sum = 0 }, h:summary())
    assert.is_nil(h:quantile(0.5))
    for i = 1, 10000 do h:observe((i * 7919 % 10000 + 1) / 1000) end
    local s = h:summary()
    assert.same({ 10000, 0.001, 10, 50005 }, { s.count, s.min, s.max, math.floor(s.sum + 0.5) })
    for q, exact in pairs { p50 = 5, p90 = 9, p99 = 9.9 } do assert.near(exact, s[q], exact / 100) end
    assert.near(9.99, h:quantile(0.999), 0.1)
    assert.equal(s.sum / 10000, s.mean)
  end)

  it("takes a million values in bounded memory", function()
    local h = metrics.histogram(name "seconds")
    local random = math.random
    for _ = 1, 1000 do h:observe(random()) end
    collectgarbage()
    local before = collectgarbage "count"
    for _ = 1, 1000000 do h:observe(random()) end
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < 64)
    assert.equal(1001000, h:summary().count)
  end)

  it("refuses what is no measure", function()
    local h = metrics.histogram(name "seconds")
    for _, bad in ipairs { -1, 0 / 0, math.huge, "1" } do refused("EINVAL", h.observe, h, bad) end
    refused("EINVAL", h.observe, h)
    for _, bad in ipairs { {}, { 2, 1 }, { "1" }, { 0 / 0 }, true, 5 } do
      refused("EINVAL", metrics.histogram, name "x", { buckets = bad })
    end
    refused("EINVAL", h.quantile, h, 1.1)
  end)

  it("times what waits, what raises and what is cancelled, and gives back what was returned", function()
    local h = metrics.histogram(name "seconds")
    assert.same({ 1, nil, 3, n = 3 }, table.pack(h:time(function()
      mw.task.sleep(0.01)
      return 1, nil, 3
    end)))
    assert.is_true(h:summary().min >= 0.01)
    local ok, err = pcall(h.time, h, function() mw.fail("EPARSE", "no") end)
    assert.same({ false, "EPARSE" }, { ok, err.code })
    local _, late = mw.task.timeout(0.01, function() h:time(function() mw.task.wait() end) end)
    assert.equal("ETIMEDOUT", late.code)
    assert.equal(3, h:summary().count)
    refused("EINVAL", h.time, h)
  end)

  it("keeps its series apart and puts them together when no labels are asked for", function()
    local h = metrics.histogram(name "bytes", { labels = { "op" } })
    for i = 1, 100 do h:observe(i, { op = "read" }) h:observe(i + 100, { op = "write" }) end
    assert.equal(100, h:summary({ op = "read" }).max)
    assert.same({ 200, 1, 200 }, { h:summary().count, h:summary().min, h:summary().max })
    assert.near(100, h:quantile(0.5), 1)
    assert.equal(0, h:summary({ op = "none" }).count)
    assert.equal("x", h:time(function() return "x" end, { op = "time" }))
  end)

  it("is told with the bounds that it was given, or as a summary", function()
    local a, b = name "a", name "b"
    metrics.histogram(a, { buckets = { 1, 10 } }):observe(5)
    metrics.histogram(b, { buckets = false }):observe(5)
    local text = metrics.text()
    assert.truthy(text:find(a .. '_bucket{le="1"} 0\n' .. a .. '_bucket{le="10"} 1\n' .. a .. '_bucket{le="+Inf"} 1\n', 1, true))
    assert.truthy(text:find(b .. '{quantile="0.99"} 5\n' .. b .. "_sum 5\n" .. b .. "_count 1\n", 1, true))
  end)
end)

describe("labels that a stranger chose", function()
  it("make no more series than max_series, and the rest is counted under one", function()
    local n = name "total"
    local c = metrics.counter(n, { labels = { "path" }, max_series = 10 })
    for i = 1, 100 do c:inc(1, { path = "/" .. i }) end
    assert.equal(1, c:value { path = "/10" })
    assert.equal(0, c:value { path = "/11" })
    assert.equal(90, c:value { path = "(other)" })
    assert.equal(100, c:value())
  end)

  it("cannot break the text", function()
    local n = name "total"
    local c = metrics.counter(n, { labels = { "v" }, help = 'a "help"\nwith \\ two lines' })
    local hostile = { "", '"', "\\", "\n", '"} 1\nother_total 2', "\0", "\xff\xfe", "\xed\xa0\x80", ("x"):rep(100000), "\r\n# TYPE",
      "ä\u{10FFFF}" }
    for _, v in ipairs(hostile) do c:inc(1, { v = v }) end
    local series = check(metrics.text())
    local mine = 0
    for key in pairs(series) do
      if key:find(n, 1, true) == 1 then mine = mine + 1 end
    end
    assert.equal(#hostile, mine)
    assert.is_nil(series["other_total"])
  end)

  it("and options with finalizers that change them do no harm", function()
    local opts = { labels = { "op" }, help = ("x"):rep(100) }
    local function arm()
      setmetatable({}, { __gc = function() opts.labels[1], opts.help = nil, nil arm() end })
    end
    arm()
    local mode = collectgarbage("generational")
    for _ = 1, 200 do
      opts.labels[1], opts.help = "op" .. math.random(100), ("y"):rep(math.random(900))
      pcall(metrics.counter, name "total", opts)
    end
    collectgarbage(mode)
    arm = function() end
    check(metrics.text())
  end)
end)

describe("the text of all metrics", function()
  it("follows the grammar of the format", function()
    check(metrics.text())
  end)

  it("has every series of a metric once, however many there are", function()
    local n = name "total"
    local c = metrics.counter(n, { labels = { "i" }, max_series = 10000 })
    for i = 1, 1001 do c:inc(i, { i = i }) end
    local series = check(metrics.text())
    for i = 1, 1001 do assert.equal(i, series[n .. "\0i\0" .. i]) end
  end)

  it("is good in the eyes of promtool", function()
    local found = mw.process.run { "sh", "-c", "command -v promtool" }
    if not found.ok then return pending "promtool is not installed" end
    local r = assert(mw.process.run { "promtool", "check", "metrics", stdin = metrics.text(), timeout = 60 })
    assert.is_nil(r.stderr:find("error while linting", 1, true), r.stderr)
    assert.is_true(r.code == 0 or r.code == 3, r.stderr) -- 3: names that break its conventions, such as ours here
  end)

  it("can be had, and metrics made, by a script without rights", function()
    local r = assert(mw.process.run { os.getenv "MOONWIRE" or "moonwire", "eval", [[
      local m = require("moonwire").metrics
      m.counter("a_total"):inc()
      io.write(m.text())
      local ok, err = pcall(m.listen, "tcp://127.0.0.1:0")
      print(ok, err.code)]], timeout = 30 })
    assert.equal("", r.stderr)
    assert.truthy(r.stdout:find("# TYPE a_total counter\na_total 1\n", 1, true))
    assert.truthy(r.stdout:find("false\tEDENIED\n", 1, true))
  end)

  it("of finalizers that run at the very end does no harm", function()
    local r = assert(mw.process.run { os.getenv "MOONWIRE" or "moonwire", "eval", [[
      local mw = require "moonwire"
      local late = {}
      KEEP = setmetatable({}, { __gc = function()
        print(pcall(late.c.inc, late.c, 1), (pcall(late.m.text)), (pcall(late.h.summary, late.h)), tostring(late.c))
        print((pcall(late.m.counter, "b_total")))
      end })
      late.m = mw.metrics
      late.c, late.h = mw.metrics.counter("a_total"), mw.metrics.histogram("h", { labels = { "a" } })
      late.h:observe(1, { a = 1 })]], timeout = 30 })
    assert.same({ "", 0 }, { r.stderr, r.code })
  end)
end)
