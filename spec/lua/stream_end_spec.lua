-- What a script has written and not closed when it ends: sent all the same, or said to be lost.
local mw = require "moonwire"
local net, process = mw.net, mw.process
local program = os.getenv("MOONWIRE") or "moonwire"
local SIZE = 900000 -- bytes: more than a socket takes at once, less than what makes a writer wait

--- Starts this program on `text`, whose `c` is a connection to us; gives both.
local function writer(text)
  local srv <close> = assert(net.listen("unix:@mw-spec-end-" .. mw.sys.pid()))
  local head = "local mw = require 'moonwire'\n"
    .. ("local c = assert(mw.net.connect(%q)) local big = ('x'):rep(%d)\n"):format(srv:address(), SIZE)
  local child = assert(process.spawn { program, "eval", "-A", head .. text, stderr = "pipe" })
  return child, assert(srv:accept { timeout = 60 })
end

describe("a script that ends", function()
  it("has everything sent that it wrote, though it closed nothing", function()
    local child <close>, conn = writer "assert(c:write(big))"
    local got = assert(conn:read("a", { max = "2MiB", timeout = 60 }))
    assert.equal(SIZE, #got)
    assert.equal(0, child:wait().code)
    conn:close()
  end)

  it("has everything sent to its parent", function()
    local dir <close> = assert(mw.fs.tempdir())
    local path = dir.path .. "/child.lua"
    assert(mw.fs.write(path, ("local mw = require 'moonwire' assert(mw.parent:write(('x'):rep(%d)))"):format(SIZE)))
    local child <close> = assert(process.spawn { script = path })
    assert.equal(SIZE, #assert(child:stream():read("a", { max = "2MiB", timeout = 60 })))
    assert.equal(0, child:wait().code)
  end)

  it("has everything sent when it leaves by mw.exit or os.exit, too", function()
    for status, leave in ipairs { "mw.exit(1)", "os.exit(2)", "pcall(mw.exit, 3)" } do
      local child <close>, conn = writer("assert(c:write(big)) io.stderr:write('written\\n') " .. leave)
      assert.equal("written", child.stderr:read "l")
      assert.equal(SIZE, #assert(conn:read("a", { max = "2MiB", timeout = 60 })), leave)
      assert.equal("", child.stderr:read "a")
      assert.equal(status, child:wait().code)
      conn:close()
    end
  end)

  it("has left, and is interrupted while a peer takes nothing, and says what was lost", function()
    local child <close>, conn = writer "assert(c:write(big)) io.stderr:write('written\\n') mw.exit(4)"
    assert.equal("written", child.stderr:read "l")
    child:kill "INT"
    assert.truthy(child.stderr:read("a"):find("not all was sent before it closed: the host ended", 1, true))
    conn:close()
  end)

  it("says what was lost when it is interrupted while a peer takes nothing", function()
    local child <close>, conn = writer "assert(c:write(big)) io.stderr:write('written\\n')"
    assert.equal("written", child.stderr:read "l")
    child:kill "INT"
    assert.truthy(child.stderr:read("a"):find("not all was sent before it closed: the host ended", 1, true))
    assert.equal(130, child:wait().code)
    conn:close()
  end)

  it("does not wait for a child that ends with it", function()
    local r = assert(process.run { program, "eval", "-A", [[
      local child = require "moonwire".process.spawn { "sleep", "1000", stdin = "pipe" }
      assert(child.stdin:write(("x"):rep(900000)))
    ]], timeout = 60 })
    assert.is_false(r.timed_out)
  end)
end)
