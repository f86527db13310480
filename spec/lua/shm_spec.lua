-- Shared memory: made, opened by name and path, its numbers, handed over, and cut off by somebody else.
local mw = require "moonwire"
local shm, fs, process = mw.shm, mw.fs, mw.process
local main_script = dofile "spec/support/main_script.lua"

local dir

local function name(what)
  return ("moonwire-spec-%s-%d"):format(what, mw.sys.pid())
end

--- Gives the error of a call that must raise.
local function raised(code, f, ...)
  local ok, err = pcall(f, ...)
  assert.falsy(ok)
  assert.equal(code, err.code)
  return tostring(err)
end

local function main(...)
  return main_script(dir.path, ...)
end

describe("shared memory", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("holds bytes at offsets from 0, and zeros at first", function()
    local m <close> = assert(shm.create { size = "64KiB" })
    assert.same({ 65536, 65536, "\0\0\0" }, { m:size(), #m, m:read(65533, 3) })
    assert.is_true(m:write(0, "Shared data from parent"))
    assert.equal("Shared data from parent", m:read(0, 23))
    assert.equal("", m:read(65536, 0))
    assert.is_true(m:write(65536, ""))
    local long = ("0123456789"):rep(500)
    m:write(60000, long)
    assert.equal(long, m:read(60000, 5000))
    m:copy(60001, 60000, 4999)
    assert.equal("0" .. long:sub(1, 4999), m:read(60000, 5000))
    m:fill(60000, 3, 65)
    m:fill(60003, 1)
    assert.equal("AAA\0" .. "3456", m:read(60000, 8):sub(1, 4) .. "3456")
  end)

  it("raises before it touches anything outside of it", function()
    local m <close> = assert(shm.create { size = 100 })
    local outside = { { 98, 3 }, { 101, 0 }, { -1, 1 }, { math.maxinteger, 2 }, { math.mininteger, 1 }, { 1, math.maxinteger }, { 100, 1 } }
    for _, at in ipairs(outside) do
      local text = raised("EINVAL", m.read, m, at[1], at[2])
      assert.truthy(text:find(tostring(at[1]), 1, true) and text:find("the memory has 100 bytes", 1, true), text)
      raised("EINVAL", m.fill, m, at[1], at[2])
      raised("EINVAL", m.copy, m, at[1], 0, at[2])
      raised("EINVAL", m.copy, m, 0, at[1], at[2])
    end
    raised("EINVAL", m.write, m, 98, "abc")
    raised("EINVAL", m.read, m, 0, -1)
    raised("EINVAL", m.read, m, 0.5, 1)
    for bytes, kinds in pairs { [1] = "u8 i8", [2] = "u16 i16", [4] = "u32 i32 f32", [8] = "u64 i64 f64" } do
      for kind in kinds:gmatch "%S+" do
        for _, at in ipairs { -bytes, 100, 104, math.maxinteger, math.mininteger, bytes > 1 and 1 or -1, 100 - bytes + 1 } do
          raised("EINVAL", m[kind], m, at)
          raised("EINVAL", m["set_" .. kind], m, at, 0)
        end
      end
    end
    assert.equal(("\0"):rep(100), m:read(0, 100))
  end)

  it("holds numbers of every size, which must fit", function()
    local m <close> = assert(shm.create { size = 64 })
    local fits = {
      u8 = { 0, 255 }, i8 = { -128, 127 }, u16 = { 0, 65535 }, i16 = { -32768, 32767 }, u32 = { 0, 4294967295 },
      i32 = { -2147483648, 2147483647 }, u64 = { math.mininteger, -1 }, i64 = { math.mininteger, math.maxinteger },
      f32 = { -1.5, 1e30 }, f64 = { 0.1, math.huge },
    }
    for kind, values in pairs(fits) do
      for _, v in ipairs(values) do
        assert.is_true(m["set_" .. kind](m, 8, v))
        local got = m[kind](m, 8)
        assert.truthy(got == v or (kind == "f32" and math.abs(got - v) < 1e23), kind)
        assert.equal(math.type(v) == "float" and "float" or "integer", math.type(got))
      end
      raised("EINVAL", m["set_" .. kind], m, 8, "x")
    end
    for kind, v in pairs { u8 = 256, i8 = 128, u16 = -1, i16 = -32769, u32 = 4294967296, i32 = 1 << 31 } do
      raised("EINVAL", m["set_" .. kind], m, 8, v)
    end
    m:set_u32(0, 0x01020304)
    assert.equal(string.pack("=I4", 0x01020304), m:read(0, 4))
  end)

  it("changes numbers in one step", function()
    local m <close> = assert(shm.create { size = 64 })
    assert.same({ 5, 4, 4294967295 }, { m:add_u32(0, 5), m:sub_u32(0, 1), m:sub_u32(0, 5) })
    assert.same({ 0, 0xf0 }, { m:add_u32(0, 1), m:or_u32(0, 0xf0) })
    assert.same({ 0x30, 0x31, 0x31, 7 }, { m:and_u32(0, 0x3f), m:xor_u32(0, 1), m:xchg_u32(0, 7), m:u32(0) })
    assert.same({ false, true, 9 }, { m:cas_u32(0, 8, 9), m:cas_u32(0, 7, 9), m:u32(0) })
    assert.same({ -3, -4, 2147483647 }, { m:add_i32(8, -3), m:sub_i32(8, 1), m:xor_i32(8, m:i32(8) ~ 0x7fffffff) })
    assert.equal(-2147483648, m:add_i32(8, 1))
    assert.equal(math.mininteger, m:add_u64(16, math.maxinteger) + m:add_i64(24, 1))
    assert.is_true(m:cas_i64(24, 1, -1))
    assert.equal(-1, m:u64(24))
    raised("EINVAL", m.add_u32, m, 2, 1)
    raised("EINVAL", m.cas_u32, m, 0, -1, 1)
    raised("EINVAL", m.add_u64, m, 60, 1)
  end)

  it("is closed once and for all", function()
    local m = assert(shm.create { size = 64 })
    m:close()
    m:close()
    assert.same({ 0, "memory (closed)" }, { #m, tostring(m) })
    local calls = { read = { 0, 1 }, write = { 0, "x" }, u32 = { 0 }, set_u32 = { 0, 1 }, add_u32 = { 0, 1 }, fill = { 0, 1 } }
    for method, args in pairs(calls) do
      local v, err = m[method](m, table.unpack(args))
      assert.same({ nil, "ECLOSED" }, { v, err.code })
    end
  end)

  it("has options that are checked", function()
    raised("EINVAL", shm.create, {})
    raised("EINVAL", shm.create, { size = 0 })
    raised("EINVAL", shm.create, { size = 1, sice = 2 })
    raised("EINVAL", shm.create, { size = 1, name = "a", path = "b" })
    raised("EINVAL", shm.create, { size = 1, name = "a/b" })
    raised("EINVAL", shm.open, { mode = "r" })
    raised("EINVAL", shm.open, { name = "a", mode = "x" })
  end)

  it("is limited for each and for all together", function()
    assert.equal("ELIMIT\tELIMIT\t4\tELIMIT\n", main({ "--limit=shared=1MiB" }, [[
      local _, e1 = mw.shm.create { size = "300KiB" }
      local _, e2 = mw.shm.create { size = 1 << 40 }
      local held, last = {}, nil
      while true do
        local m, err = mw.shm.create { size = "256KiB" }
        if not m then last = err break end
        held[#held + 1] = m
      end
      assert(tostring(last):find("--limit=shared", 1, true), tostring(last))
      for _, m in ipairs(held) do m:close() end
      mw.shm.create({ size = "256KiB" }):close()
      print(e1.code, e2.code, #held, last.code)
    ]]))
  end)
end)

describe("named shared memory", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("needs the right to share that name, and anonymous memory none", function()
    local n = name "right"
    assert.equal("true\tEDENIED\tEDENIED\tEDENIED\tEDENIED\n", main({ "--allow-share=other" }, ([[
      local m <close> = mw.shm.create { size = 10 }
      local function code(f, ...) local _, err = pcall(f, ...) return err.code end
      print(m ~= nil, code(mw.shm.create, { size = 10, name = %q }), code(mw.shm.open, { name = %q }), code(mw.shm.unlink, %q),
        code(mw.shm.create, { size = 10, path = "x" }))
    ]]):format(n, n, n)))
    assert.equal("10\ttrue\n", main({ "--allow-share=" .. n }, ([[
      local m <close> = assert(mw.shm.create { size = 10, name = %q })
      local other <close> = assert(mw.shm.open { name = "/" .. %q })
      m:write(0, "shared")
      assert(other:read(0, 6) == "shared")
      print(#other, m:unlink())
    ]]):format(n, n)))
  end)

  it("is there for a script child that is given the right, in its cage too", function()
    local n = name "cage"
    assert.equal("hello\tEDENIED\n", main({ "--confine=strict", "--allow-share=" .. n }, ([[
      local m <close> = assert(mw.shm.create { size = 10, name = %q })
      m:write(0, "hello")
      io.write(mw.process.run { script = "child.lua", %q, permissions = { share = { %q } }, check = true }.stdout)
      assert(m:unlink())
    ]]):format(n, n, n), { ["child.lua"] = [[
      local m <close> = assert(mw.shm.open { name = arg[1], mode = "r" })
      local _, err = pcall(mw.shm.open, { name = arg[1] .. "x" })
      print(m:read(0, 5), err.code)
    ]] }))
  end)

  it("is made once, unless it may be there already", function()
    local n = name "once"
    local m <close> = assert(shm.create { size = 100, name = n })
    local none, err = shm.create { size = 100, name = n }
    assert.same({ nil, "EEXIST" }, { none, err.code })
    assert.truthy(tostring(err):find("mw.shm.open", 1, true))
    local same <close> = assert(shm.create { size = 200, name = n, exclusive = false })
    m:write(0, "here")
    assert.same({ 200, "here" }, { #same, same:read(0, 4) })
    assert.is_true(m:unlink())
    assert.equal("ENOENT", select(2, shm.open { name = n }).code)
    assert.equal("ENOENT", select(2, shm.unlink(n)).code)
    local other <close> = assert(shm.create { size = 10, name = n })
    assert.equal("ESTALE", select(2, m:unlink()).code)
    assert.is_true(other:unlink())
  end)

  it("is opened for reading only, on request", function()
    local n = name "reading"
    local m <close> = assert(shm.create { size = 100, name = n })
    local r <close> = assert(shm.open { name = n, mode = "r" })
    m:set_u32(0, 7)
    assert.equal(7, r:u32(0))
    local calls = { write = { 0, "x" }, set_u8 = { 0, 1 }, add_u32 = { 0, 1 }, cas_u64 = { 0, 1, 2 }, fill = { 0, 1 }, copy = { 0, 1, 1 } }
    for method, args in pairs(calls) do
      assert.truthy(raised("EINVAL", r[method], r, table.unpack(args)):find('mode = "rw"', 1, true))
    end
    assert.truthy(tostring(r):find("read only", 1, true))
    assert.is_true(r:unlink())
  end)

  it("is no way to a FIFO, a link or a folder", function()
    local n = name "odd"
    assert(process.run { "mkfifo", "/dev/shm/" .. n, check = true })
    local none, err = shm.open { name = n }
    assert.same({ nil, "ENXIO" }, { none, err.code })
    os.remove("/dev/shm/" .. n)
    assert(process.run { "ln", "-s", "/etc/passwd", "/dev/shm/" .. n, check = true })
    none, err = shm.open { name = n, mode = "r" }
    assert.same({ nil, "ELOOP" }, { none, err.code })
    os.remove("/dev/shm/" .. n)
  end)
end)

describe("a new memory that cannot be made whole", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("leaves no file and no name behind, so that another try can succeed", function()
    local word = "moonwire-spec-whole-" .. mw.sys.pid()
    for _, where in ipairs { { path = dir:join "shared.bin" }, { name = word } } do
      assert.equal("ELIMIT\ttrue\n", main({ "-A", "--limit=shared=1MiB" }, ([[
        local where = %s
        where.size, where.exclusive = "2MiB", true
        local m, err = mw.shm.create(where)
        assert(not m)
        where.size = 4096
        local m <close> = assert(mw.shm.create(where))
        print(err.code, (m:unlink()))
      ]]):format(mw.inspect(where))))
    end
  end)

  it("leaves alone what was there before", function()
    assert(fs.write(dir:join "kept", "kept"))
    assert.equal("ELIMIT\n", main({ "-A", "--limit=shared=1MiB" }, ([[
      print(select(2, mw.shm.create { path = %q, size = "2MiB", exclusive = false }).code)
    ]]):format(dir:join "kept")))
    assert.equal("kept", (assert(fs.read(dir:join "kept")):gsub("\0", "")))
  end)
end)

describe("a mapped file", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("needs the rights to its path, and is read through them", function()
    local file = dir.path .. "/shared.bin"
    do
      local m <close> = assert(shm.create { size = 4096, path = file })
      m:write(4090, "at end")
    end
    assert.equal("at end", assert(fs.read(file)):sub(-6))
    assert.equal("at end\tEDENIED\tEDENIED\n", main({ "--allow-read=" .. file }, ([[
      local m <close> = assert(mw.shm.open { path = %q, mode = "r" })
      local _, e1 = pcall(mw.shm.open, { path = %q })
      local _, e2 = pcall(m.unlink, m)
      print(m:read(4090, 6), e1.code, e2.code)
    ]]):format(file, file)))
  end)

  it("takes a file that is there, makes it longer, never shorter, and takes its name away", function()
    local file = dir.path .. "/file"
    assert(fs.write(file, "0123456789"))
    local m <close> = assert(shm.create { size = 20, path = file })
    local n <close> = assert(shm.create { size = 5, path = file })
    assert.same({ "0123456789\0", 5, 20 }, { m:read(0, 11), #n, fs.stat(file).size })
    assert.equal("EEXIST", select(2, shm.create { size = 5, path = file, exclusive = true }).code)
    assert.is_true(m:unlink())
    assert.equal("ENOENT", select(2, n:unlink()).code)
    assert.equal("ENOENT", select(2, shm.open { path = file }).code)
    assert(fs.write(file, ""))
    assert.equal("ENODATA", select(2, shm.open { path = file }).code)
    assert.equal("ESTALE", select(2, m:unlink()).code)
  end)

  it("that another process cuts off is an error, and no end of ours", function()
    local file = dir.path .. "/cut"
    local m <close> = assert(shm.create { size = 1 << 20, path = file })
    local other <close> = assert(shm.create { size = 4096, path = dir.path .. "/whole" })
    m:set_u32(8192, 7)
    assert(process.run { "truncate", "-s", "10", file, check = true })
    for method, args in pairs {
      u32 = { 8192 }, set_u32 = { 8192, 1 }, add_u32 = { 8192, 1 }, cas_u32 = { 8192, 0, 1 }, read = { 0, 1 << 20 }, write = { 8192, "x" },
      fill = { 0, 1 << 20 }, copy = { 0, 8192, 4096 },
    } do
      local v, err = m[method](m, table.unpack(args))
      assert.same({ nil, "EIO" }, { v, err and err.code }, method)
    end
    assert.equal(10, fs.stat(file).size)
    assert.is_true(other:write(0, "whole"))
    assert.equal("whole", other:read(0, 5))
  end)
end)

describe("a mapped file in a worker", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("that another process cuts off is an error there, and no end of the program", function()
    local file, script = dir.path .. "/cut", dir.path .. "/worker.lua"
    assert(fs.write(script, [[local mw = require "moonwire"
      local m <close> = assert(mw.shm.create { size = 65536, path = arg[1] })
      m:add_u32(8192, 1)
      mw.parent:send "ready"
      mw.parent:recv()
      mw.parent:send(select(2, m:add_u32(8192, 1)).code)]]))
    local w <close> = assert(mw.worker.spawn(script, { permissions = "inherit", args = { file } }))
    assert.equal("ready", w:recv { timeout = 60 })
    assert(process.run { "truncate", "-s", "10", file, check = true })
    assert(w:send "go")
    assert.equal("EIO", w:recv { timeout = 60 })
  end)
end)

describe("a number in shared memory", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("can be waited for, while other tasks run", function()
    local m <close> = assert(shm.create { size = 64 })
    assert.is_true(m:wait_u32(0, 1))
    assert.is_true(m:wait_until_u32(0, 0))
    local order = {}
    mw.task.all(function()
      assert(m:wait_u32(0, 0, { timeout = 60 }))
      order[#order + 1] = "changed"
      assert(m:wait_until_u32(0, 3, { timeout = 60 }))
      order[#order + 1] = "three"
    end, function()
      order[#order + 1] = "first"
      m:set_u32(0, 1)
      m:wake_u32(0)
      while #order < 2 do mw.task.sleep(0) end
      m:set_u32(0, 2)
      m:wake_u32(0)
      m:set_u32(0, 3)
      m:wake_u32(0)
    end)
    assert.same({ "first", "changed", "three" }, order)
  end)

  it("times out, is cancelled, and ends when the memory is closed", function()
    local m = assert(shm.create { size = 64 })
    local none, err = m:wait_u32(0, 0, { timeout = "5ms" })
    assert.same({ nil, "ETIMEDOUT" }, { none, err.code })
    assert.is_nil((mw.task.timeout(0.005, function() return m:wait_until_u32(0, 7) end)))
    local codes = {}
    mw.task.all(function() codes[1] = select(2, m:wait_u32(0, 0)).code end,
      function() codes[2] = select(2, m:wait_until_u32(60, 1)).code end, function() m:close() end)
    assert.same({ "ECLOSED", "ECLOSED" }, codes)
    raised("EINVAL", function() local n <close> = shm.create { size = 8 } n:wait_u32(6, 0) end)
    raised("EINVAL", function() local n <close> = shm.create { size = 8 } n:wait_u32(8, 0) end)
    raised("EINVAL", function() local n <close> = shm.create { size = 8 } n:wait_u32(0, -1) end)
    raised("EINVAL", function() local n <close> = shm.create { size = 8 } n:wake_u32(1) end)
  end)

  it("has as many waiters as come, more than the kernel takes at once", function()
    local m <close> = assert(shm.create { size = 4096 })
    local done = 0
    mw.task.scope(function(s)
      for i = 0, 499 do
        s:spawn(function()
          assert(m:wait_u32(i * 4, 0, { timeout = 20 }))
          done = done + 1
        end)
      end
      mw.task.sleep(0)
      for i = 0, 499 do
        m:set_u32(i * 4, 1)
        m:wake_u32(i * 4)
      end
    end)
    assert.equal(500, done)
  end)

  it("wakes across processes, from a script child that may do nothing else", function()
    assert.equal("ping 100\t0\n", main({ "--confine=strict" }, [[
      local m <close> = mw.shm.create { size = 64 }
      local other <close> = mw.process.spawn { script = "child.lua", share = { m = m } }
      for i = 1, 100 do
        m:set_u32(0, i)
        m:wake_u32(0)
        assert(m:wait_until_u32(4, i, { timeout = 60 }))
      end
      io.write("ping ", m:u32(4))
      print("\t" .. other:wait().code)
    ]], { ["child.lua"] = [[
      local m = mw.shared.m
      for i = 1, 100 do
        assert(m:wait_until_u32(0, i, { timeout = 60 }))
        m:set_u32(4, i)
        m:wake_u32(4)
      end
    ]] }))
  end)

  it("ends the wait when somebody cuts off the file below it", function()
    local file = dir.path .. "/cut"
    local m <close> = assert(shm.create { size = 1 << 16, path = file })
    local code
    mw.task.all(function() code = select(2, m:wait_u32(8192, 0, { timeout = 20 })).code end, function()
      assert(process.run { "truncate", "-s", "10", file, check = true })
      local again <close> = assert(shm.create { size = 64 }) -- the helper looks again, and finds it gone
      again:wait_u32(0, 0, { timeout = 0.001 })
    end)
    assert.equal("EIO", code)
  end)
end)

describe("handing memory over", function()
  before_each(function() dir = assert(fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("gives a script child the same bytes, without any right", function()
    assert.equal("child\n", main({}, [[
      local m <close> = assert(mw.shm.create { size = 4096 })
      m:write(0, "parent")
      local r = mw.process.run { script = "child.lua", share = { data = m, again = m }, check = true }
      io.write(m:read(0, 5), r.stdout)
    ]], { ["child.lua"] = [[
      local m = mw.shared.data
      assert(m:read(0, 6) == "parent" and mw.shared.again:size() == 4096 and mw.shared.nothing == nil)
      m:write(0, "child")
      print()
    ]] }))
  end)

  it("keeps what may only be read so in the child", function()
    local file = dir.path .. "/file"
    assert(fs.write(file, "content"))
    assert.equal("content\tEINVAL\tEDENIED\n", main({ "--allow-read=" .. file }, ([[
      local m <close> = assert(mw.shm.open { path = %q, mode = "r" })
      io.write(mw.process.run { script = "child.lua", share = { m = m }, check = true }.stdout)
    ]]):format(file), { ["child.lua"] = ([[
      local _, e1 = pcall(mw.shared.m.write, mw.shared.m, 0, "x")
      local _, e2 = pcall(mw.shm.open, { path = %q, mode = "r" })
      print(mw.shared.m:read(0, 7), e1.code, e2.code)
    ]]):format(file) }))
  end)

  it("moves a stream with what it had read ahead", function()
    assert.equal("second\tthird\tECLOSED\n", main({ "--allow-net=unix:@" .. name "move" }, ([[
      local srv <close> = assert(mw.net.listen("unix:@%s"))
      local a <close> = assert(mw.net.connect(srv:address()))
      local b <close> = assert(srv:accept())
      a:write("first\nsecond\nthird\n"):finish()
      assert(b:read("l") == "first")
      local r = mw.process.run { script = "child.lua", share = { conn = b }, check = true }
      print((r.stdout:gsub("\n", "")) .. "\t" .. select(2, b:read("l")).code)
    ]]):format(name "move"), { ["child.lua"] = [[
      io.write(mw.shared.conn:read("l"), "\t", mw.shared.conn:read("l"))
      assert(mw.shared.conn:read("l") == nil)
    ]] }))
  end)

  it("refuses what cannot be shared, in words", function()
    local m <close> = assert(shm.create { size = 10 })
    local cases = {
      [{ "true", share = { a = m } }] = "script children", [{ script = "x.lua", share = { m } }] = "name",
      [{ script = "x.lua", share = { a = 1 } }] = "a must be shared memory", [{ script = "x.lua", share = m }] = "table",
    }
    for options, text in pairs(cases) do
      local why = raised("EINVAL", process.run, options)
      assert.truthy(why:find(text, 1, true), why)
    end
    m:close()
    raised("EINVAL", process.run, { script = "x.lua", share = { a = m } })
  end)

  it("goes over a Unix socket too, in its place among the bytes", function()
    local srv <close> = assert(mw.net.listen("unix:@" .. name "socket"))
    local a <close> = assert(mw.net.connect(srv:address()))
    local b <close> = assert(srv:accept())
    local m <close> = assert(shm.create { size = 10 })
    a:write("before\n")
    assert(a:send_handle(m))
    a:write("after\n")
    assert.equal("before", b:read("l"))
    local n <close> = assert(b:recv_handle { timeout = 60 })
    assert.equal("after", b:read("l"))
    m:write(0, "0123456789")
    assert.same({ 10, "0123456789" }, { #n, n:read(0, 10) })
    raised("EINVAL", a.send_handle, a, m, m)
    local f <close> = assert(shm.create { size = 10, path = dir.path .. "/file" })
    assert.truthy(raised("EINVAL", a.send_handle, a, f):find("path", 1, true))
    local named <close> = assert(shm.create { size = 10, name = name "sent" })
    assert(a:send_handle(named))
    local got <close> = assert(b:recv_handle { timeout = 60 })
    assert.is_true(named:unlink())
    got:set_u8(0, 7)
    assert.equal(7, named:u8(0))
  end)

  it("is not a surprise when the other side lies about what it sends", function()
    local srv <close> = assert(mw.net.listen("unix:@" .. name "liar"))
    local a <close> = assert(mw.net.connect(srv:address()))
    local b <close> = assert(srv:accept())
    local r = assert(process.run { "python3", "-c", [[
import socket, array, sys, os
s = socket.socket(fileno=0)
def give(kind, *fds): s.sendmsg([bytes([kind])], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
p = os.pipe()[1]
give(16, p)                      # a pipe is no memory
give(17, os.open("/", os.O_RDONLY)); give(16, os.open("/etc/passwd", os.O_RDONLY))
give(240, p); give(16, p, p); give(31, p); give(32, p); give(16, p, p, p, p, p, p)
give(16, os.open("/dev/null", os.O_RDWR))
]], stdin = a, check = false })
    if r.code == 127 then return pending("there is no python3") end
    assert.equal("", r.stderr)
    for _ = 1, 9 do
      local none, err = b:recv_handle { timeout = 60 }
      assert.same({ nil, "EFRAME" }, { none, err and err.code })
    end
  end)
end)
