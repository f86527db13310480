-- mw.host where no program takes part: under `moonwire run`, in workers. With one: spec/unit/host_message_test.c, host_call_test.c.
local mw = require "moonwire"

describe("mw.host", function()
  it("says that nobody listens where the program takes no messages", function()
    local ok, err = mw.host.emit("player.moved", { x = 1 })
    assert.same({ nil, "ENORESPONDERS" }, { ok, err.code })
  end)

  it("names what was perhaps meant", function()
    local ok, err = pcall(function() return mw.host.emitt end)
    assert.is_false(ok)
    assert.equal("EINVAL", err.code)
    assert.truthy(err.message:find('did you mean "emit"?', 1, true))
  end)

  it("hands out handlers that close, once or twice", function()
    local on, handle = mw.host.on("topic", print), mw.host.handle("a.name", print)
    assert.equal("handler (topic)", tostring(on))
    on:close()
    on:close()
    handle:close()
    assert.equal("handler (closed)", tostring(handle))
    do local _ <close> = mw.host.on("topic", print) end
  end)

  it("is the main script's alone: a worker is told so", function()
    local dir <close> = assert(mw.fs.tempdir())
    local path = dir.path .. "/worker.lua"
    assert(mw.fs.write(path, [[
      local mw = require "moonwire"
      local ok, err = pcall(function() return mw.host end)
      mw.parent:send { ok, err.code, err.hint }
    ]]))
    local w <close> = assert(mw.worker.spawn(path))
    assert.same({ false, "EOPNOTSUPP", "mw.parent goes to the script that started this worker" }, { table.unpack(w:recv()) })
  end)
end)
