local mw = require "moonwire"

local program = mw.env.MOONWIRE

--- Starts a tool as its users would; gives the address that it printed.
local function start(name, ...)
  local child = assert(mw.process.spawn {
    stdout = "pipe", stderr = "null",
    program, "run", "--allow-net=127.0.0.1", "scripts/tools/" .. name .. ".lua", "tcp://127.0.0.1:0", ...,
  })
  finally(function() child:close() end)
  return assert(child.stdout:read("l"):match "^listening on (tcp://127%.0%.0%.1:%d+)$")
end

local function run(name, ...)
  return assert(mw.process.run { timeout = 20, program, "run", "scripts/tools/" .. name .. ".lua", ... })
end

describe("the echo tools", function()
  it("echo frames; a bad, cut or slow peer is closed and the others go on", function()
    local url = start("frame_echo", "--max", "1MiB", "--frame-timeout=100ms")
    local good <close> = assert(mw.net.connect(url)):framed "typed"
    local function still_good(kind)
      assert(good:send("still here", kind))
      local data, got = good:recv { timeout = 60 }
      assert.same({ "still here", kind }, { data, got })
    end
    still_good(1)
    for _, bytes in ipairs { "\9\255\255\255\255", "\9\1\0\16\0", "\9\5\0\0\0ab" } do -- too long, too long, too slow
      local bad <close> = assert(mw.net.connect(url))
      assert(bad:write("\7\2\0\0\0ok", bytes))
      assert.equal("\7\2\0\0\0ok", bad:read("a", { timeout = 60 }))
      still_good(2)
    end
    local cut <close> = assert(mw.net.connect(url))
    assert(assert(cut:write "\9\5\0"):finish())
    assert.equal("", cut:read("a", { timeout = 60 }))
    still_good(3)
    local large = ("x"):rep(1 << 20)
    assert(good:send(large, 4))
    assert.is_true(good:recv { timeout = 60 } == large)
  end)

  it("echo lines", function()
    local url = start("line_echo", "--max=10")
    local good <close> = assert(mw.net.connect(url))
    local bad <close> = assert(mw.net.connect(url))
    assert(bad:write "short\nmuch too long for it\n")
    assert.equal("short\n", bad:read("a", { timeout = 60 }))
    assert(good:write "one\n\ntwo\n")
    assert(good:finish())
    assert.equal("one\n\ntwo\n", good:read("a", { timeout = 60 }))
  end)

  it("explain themselves, and refuse what they do not know", function()
    for _, name in ipairs { "frame_echo", "line_echo" } do
      local help = run(name, "--help")
      assert.equal(0, help.code)
      assert.truthy(help.stdout:find("usage: moonwire run", 1, true))
      assert.truthy(help.stdout:find("--frame-timeout", 1, true))
      local rule, url = help.stdout:match("example: moonwire run %-%-allow%-net=(%S+) %S+ (%S+)")
      assert.equal("tcp://" .. rule, url) -- a rule is no URL
      for _, args in ipairs { { "--nonsense" }, { "--max" }, {}, { "a", "b" } } do
        local refused = run(name, table.unpack(args))
        assert.equal(2, refused.code)
        assert.truthy(refused.stderr:find("--help", 1, true))
      end
      assert.equal(77, run(name, "tcp://127.0.0.1:0").code)
    end
  end)
end)
