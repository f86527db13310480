--- JSON: what is read, refused and written, and what tells null and arrays from the rest. Knows: mw.
local mw = require "moonwire"

describe("mw.null", function()
  it("is one value that says what it is, in a worker too", function()
    assert.equal("null", tostring(mw.null))
    assert.is_true(mw.null ~= nil and mw.null == mw.null and not rawequal(mw.null, false))
    local dir <close> = assert(mw.fs.tempdir())
    local path = dir.path .. "/worker.lua"
    assert(mw.fs.write(path, [[
      local mw = require "moonwire"
      local v = mw.parent:recv()
      mw.parent:send { same = v.null == mw.null, null = mw.null, list = v.list }
    ]]))
    local worker <close> = assert(mw.worker.spawn(path))
    assert(worker:send { null = mw.null, list = mw.json.array {} })
    local back = assert(worker:recv())
    assert.is_true(back.same)
    assert.equal(mw.null, back.null)
    assert.equal("[]", mw.inspect(back.list))
  end)
end)
