--- Traces: taps on everything that has use, their formats, their bounds, and what they hide. Knows: mw.
local mw = require "moonwire"
local task = mw.task

local dir = assert(mw.fs.tempdir())
local count = 0
local pair, keep = require "spec.support.stream_pair"(after_each)

teardown(function() dir:close() end)

local function file(ending)
  count = count + 1
  return ("%s/%d%s"):format(dir.path, count, ending)
end

local function lines_of(path)
  local out = {}
  for line in assert(mw.fs.read(path)):gmatch "(.-)\n" do out[#out + 1] = line end
  return out
end

--- The lines of a .jsonl whose event is `event`, as { dir, bytes, data } for messages.
local function messages(path)
  local out = {}
  for _, line in ipairs(lines_of(path)) do
    if line:find('"event":"message"', 1, true) then
      out[#out + 1] = {
        line:match '"kind":"(%a+)"', line:match '"dir":"(%a+)"', tonumber(line:match '"bytes":(%d+)'),
        line:match '"data":"(.-[^\\])"' or line:match '"data":"()"' and "" or line:match '"hex":"(.-)"',
      }
    end
  end
  return out
end

describe("a tap", function()
  it("tells of what is written to a stream and read from it", function()
    local path = file ".jsonl"
    local a, b = pair()
    local tap <close> = assert(mw.trace.tap { to = path })
    assert.equal(a, a:use(tap))
    a:write("one\n", 2, "\n")
    assert.equal("one", b:read())
    b:write "three\nfour"
    assert.equal("three", a:read())
    assert.equal("fo", a:read_exact(2))
    assert.equal("ur", a:peek(2))
    assert.equal("ur", a:read_some())
    assert(tap:close())
    assert.same({
      { "stream", "send", 6, "one\\n2\\n" }, { "stream", "recv", 6, "three\\n" }, { "stream", "recv", 2, "fo" },
      { "stream", "recv", 2, "ur" },
    }, messages(path))
    assert.same({ 5, 0 }, { tap:stats().events, tap:stats().lost })
  end)

  it("tells of frames, also as views, and of a channel that is made of a tapped stream", function()
    local path = file ".jsonl"
    local a, b = pair()
    local tap <close> = assert(mw.trace.tap { to = path })
    local x, y = a:framed "u32le":use(tap), b:use(tap):framed "u32le"
    x:send "abc"
    x:send "\xff\0"
    assert.equal("abc", y:recv())
    for view in y:views() do
      assert.equal("\xff\0", tostring(view))
      break
    end
    assert(tap:close())
    assert.same({
      { "channel", "send", 3, "abc" }, { "channel", "send", 2, "ff00" }, { "channel", "recv", 3, "abc" },
      { "channel", "recv", 2, "ff00" },
    }, messages(path))
  end)

  it("stands next to the wire, whatever functions there are", function()
    local path = file ".jsonl"
    local a, b = pair()
    local tap <close> = assert(mw.trace.tap { to = path })
    local function swap(pass, way, data)
      if way == "send" then return pass(data:upper()) end
      return (pass(data):lower())
    end
    a:use(tap):use(swap)
    local x, y = b:framed "lines":use(tap):use(swap), a
    y:write "hello\n"
    assert.equal("hello", x:recv())
    x:send "you"
    assert.equal("you", y:read())
    assert(tap:close())
    assert.same({
      { "stream", "send", 6, "HELLO\\n" }, { "channel", "recv", 5, "HELLO" }, { "channel", "send", 3, "YOU" },
      { "stream", "recv", 4, "YOU\\n" },
    }, messages(path))
  end)

  it("is taken by rings and task channels", function()
    local path = file ".jsonl"
    local tap <close> = assert(mw.trace.tap { to = path })
    local ring = keep(assert(mw.shm.ring())):use(tap)
    assert(ring:push "r")
    assert(ring:try_push "s")
    assert.equal("r", ring:pop())
    assert.equal("s", ring:try_pop())
    local ch = task.channel(2):use(tap)
    assert(ch:send "value")
    assert.equal("value", ch:recv())
    assert(tap:close())
    assert.same({
      { "ring", "send", 1, "r" }, { "ring", "send", 1, "s" }, { "ring", "recv", 1, "r" }, { "ring", "recv", 1, "s" },
      { "queue", "send", 5, "value" }, { "queue", "recv", 5, "value" },
    }, messages(path))
  end)

  it("keeps `payload` bytes and tells the whole length, and hides secrets where they are cut", function()
    local path = file ".jsonl"
    local a, b = pair()
    local tap <close> = assert(mw.trace.tap { to = path, payload = 20 })
    a:use(tap)
    a:write(("x"):rep(1000))
    a:write '{"a":1,"password":"opensesame"}'
    a:write "pass"
    a:write "word=open"
    a:write "sesame&b=1"
    assert(b:read_exact(1000 + 54))
    assert(tap:close())
    local text = assert(mw.fs.read(path))
    assert.is_nil(text:find("sesame", 1, true))
    assert.same({
      { "stream", "send", 1000, ("x"):rep(20) }, { "stream", "send", 31, '{\\"a\\":1,\\"password\\":\\"*' },
      { "stream", "send", 4, "pass" },
      { "stream", "send", 9, "word=****" }, { "stream", "send", 10, "******&b=1" },
    }, messages(path))
  end)

  it("hides the names that it is given, or none", function()
    local a, b = pair()
    local named, none = file ".jsonl", file ".jsonl"
    local t1 <close> = assert(mw.trace.tap { to = named, redact = { "PIN" } })
    local t2 <close> = assert(mw.trace.tap { to = none, redact = {} })
    a:use(t1):use(t2)
    a:write "pin=1234 password=x"
    assert(b:read_exact(19))
    assert(t1:close() and t2:close())
    assert.equal("pin=**** password=x", messages(named)[1][4])
    assert.equal("pin=1234 password=x", messages(none)[1][4])
  end)

  it("ends with a note when it has reached max", function()
    local path = file ".jsonl"
    local a, b = pair()
    local tap <close> = assert(mw.trace.tap { to = path, max = "64KiB" })
    a:use(tap)
    for _ = 1, 100 do
      a:write(("x"):rep(4000))
      b:read_exact(4000)
    end
    assert(tap:close())
    local lines = lines_of(path)
    assert.truthy(lines[#lines]:find "size limit")
    assert.is_true(#assert(mw.fs.read(path)) <= 64 * 1024)
    assert.is_true(tap:stats().lost >= 1)
  end)

  it("needs a right to write, a known ending, and options that it knows", function()
    local function raised(code, options)
      local ok, err = pcall(mw.trace.tap, options)
      assert.is_false(ok)
      assert.equal(code, err.code, tostring(err))
    end
    raised("EINVAL", { to = dir.path .. "/x.txt" })
    raised("EINVAL", { to = ".jsonl" .. "x" })
    raised("EINVAL", {})
    raised("EINVAL", { to = "stderr", payloads = 1 })
    raised("EINVAL", { to = "stderr", redact = { "" } })
    raised("EINVAL", { to = "stderr", redact = { ("x"):rep(65) } })
    raised("EINVAL", { to = "stderr", redact = "password" })
    local tap, err = mw.trace.tap { to = dir.path .. "/no/such/folder.jsonl" }
    assert.same({ [2] = "ENOENT" }, { tap, err and err.code })
  end)

  it("says through use why it is not there", function()
    local here = pair()
    local ring <close> = assert(mw.shm.ring {})
    for _, it in ipairs { here, here:framed "lines", ring, mw.task.channel(1) } do
      local ok, err = pcall(function() return it:use(mw.trace.tap { to = dir.path .. "/no/such/folder.jsonl" }) end)
      assert.same({ false, "ENOENT" }, { ok, err.code })
      ok, err = pcall(it.use, it, nil)
      assert.same({ false, "EINVAL" }, { ok, err.code })
      assert.truthy(tostring(err):find("expected, got nil", 1, true))
    end
  end)

  it("can be closed while things have it, and is of no use to others then", function()
    local a, b = pair()
    local tap = assert(mw.trace.tap { to = file ".jsonl" })
    a:use(tap)
    assert.is_true(tap:close())
    assert.is_true(tap:close())
    a:write "x\n"
    assert.equal("x", b:read())
    local ok, err = pcall(b.use, b, tap)
    assert.same({ false, "ECLOSED" }, { ok, err.code })
    assert.equal("tap (closed)", tostring(tap))
  end)

  it("shares a file with those that are open and want it alike, and with no other", function()
    local path = file ".jsonl"
    local function tap(more)
      local o = { to = path, redact = { "pin" } }
      for k, v in pairs(more or {}) do o[k] = v end
      return mw.trace.tap(o)
    end
    local a, b = pair()
    local first, second = keep(assert(tap())), assert(tap())
    a:use(first)
    b:use(second)
    a:write "pin=1234\n"
    assert.equal("pin=1234", b:read())
    assert(second:close()) -- what it saw is in the file; the other goes on
    assert.same({ { "stream", "send", 9, "pin=****\\n" }, { "stream", "recv", 9, "pin=****\\n" } }, messages(path))
    assert.same({ false, "ECLOSED" }, { select(1, pcall(b.use, b, second)), select(2, pcall(b.use, b, second)).code })
    for _, more in ipairs { { payload = 1 }, { redact = { "pin", "pan" } }, { max = "64KiB" } } do
      local none, err = tap(more)
      assert.same({ [2] = "EBUSY" }, { none, err and err.code })
    end
    local link = file ".jsonl"
    assert(mw.process.run { "ln", path, link, check = true })
    assert(keep(assert(mw.trace.tap { to = link, redact = { "pin" } })):close())
    a:write "more\n"
    assert.equal("more", b:read())
    assert(first:close())
    assert.equal(4, #messages(path))
    assert.equal(1, select(2, assert(mw.fs.read(path)):gsub('"event":"begin"', "")))
    assert.equal(1, select(2, assert(mw.fs.read(path)):gsub('"event":"end"', "")))
    keep(assert(tap { payload = 1 })) -- nobody has it any more: it is emptied
    assert.same({}, messages(path))
  end)

  it("lets any number share a file: it is the file that has a thread", function()
    local path = file ".jsonl"
    for _ = 1, 40 do keep(assert(mw.trace.tap { to = path })) end
  end)

  it("is one of 32 at most, since each has a thread, and gives its place back", function()
    local taps = {}
    for i = 1, 32 do taps[i] = keep(assert(mw.trace.tap { to = file ".jsonl" })) end
    local more, err = mw.trace.tap { to = file ".jsonl" }
    assert.same({ nil, "ELIMIT" }, { more, err.code })
    assert(taps[7]:close())
    assert(taps[7]:close())
    keep(assert(mw.trace.tap { to = file ".jsonl" }))
    more, err = mw.trace.tap { to = file ".jsonl" }
    assert.same({ nil, "ELIMIT" }, { more, err.code })
  end)

  it("is attached to so many things at a time, and a thing has so many taps", function()
    local path = file ".jsonl"
    local tap = keep(assert(mw.trace.tap { to = path, max = "64KiB" }))
    local a = pair()
    for _ = 1, 16 do a:use(tap) end
    local ok, err = pcall(a.use, a, tap)
    assert.same({ false, "ELIMIT" }, { ok, err.code })
    local made = {}
    for i = 1, 8192 - 16 do made[i] = task.channel(1):use(tap) end
    ok, err = pcall(function() task.channel(1):use(tap) end)
    assert.same({ false, "ELIMIT" }, { ok, err.code })
    for i = #made, 1, -1 do made[i] = nil end
    collectgarbage()
    collectgarbage()
    task.channel(1):use(tap)
  end)
end)
