-- Names with several addresses: looked up once, every address tested against what is allowed and what is denied, and none other
-- dialled. The addresses come from an /etc/hosts of our own, which takes root and a mount namespace.
local mw = require "moonwire"
local net, fs, process = mw.net, mw.fs, mw.process
local program = os.getenv("MOONWIRE") or "moonwire"

local hosts = [[
127.0.0.1 one.test both.test first.test
127.0.0.2 two.test both.test
::ffff:127.0.0.3 mapped.test
127.0.0.1 inside.example
]]

local wrapped = [[mount --bind "$1" /etc/hosts && shift && exec "$@"]]

--- Runs the script with that file as /etc/hosts; `nil` where that cannot be done.
local function run(rights, script, ...)
  local dir <close> = assert(fs.tempdir())
  assert(fs.write(dir:join "hosts", hosts))
  local able = process.run { "unshare", "-m", "sh", "-c", wrapped, "sh", dir:join "hosts", "true", timeout = 30 }
  if not able or not able.ok then return nil end
  local argv = { "unshare", "-m", "sh", "-c", wrapped, "sh", dir:join "hosts", ... }
  for _, word in ipairs { program, "run" } do argv[#argv + 1] = word end
  for _, right in ipairs(rights) do argv[#argv + 1] = right end
  argv[#argv + 1] = "-"
  argv.stdin = [[
    local net = require "moonwire".net
    local function try(address)
      local ok, c, err = pcall(net.connect, address)
      if not ok then err, c = c, nil end
      print(c and c:peer().host or err.code)
      if c then c:close() end
    end
  ]] .. script
  argv.timeout = 60
  return assert(process.run(argv))
end

describe("a name with several addresses", function()
  local here, there, port

  setup(function()
    here = assert(net.listen("tcp://127.0.0.1:0"))
    port = here:address():match("%d+$")
    there = net.listen("tcp://127.0.0.2:" .. port)
  end)
  teardown(function()
    here:close()
    if there then there:close() end
  end)

  local function check(rights, address, expected)
    local r = there and run(rights, ("try(%q)"):format(("tcp://%s:%s"):format(address, port)))
    if not r then return pending("this needs root, mounts and 127.0.0.2") end
    assert.equal(expected .. "\n", r.stdout, r.stderr)
  end

  it("is reached at an address that is not denied", function()
    check({ "--allow-net=both.test", "--deny-net=127.0.0.1" }, "both.test", "127.0.0.2")
    check({ "--allow-net=both.test", "--deny-net=127.0.0.2" }, "both.test", "127.0.0.1")
  end)

  it("is not looked up for who may reach an address only, and is for who may reach all", function()
    check({ "--allow-net=127.0.0.2" }, "both.test", "EDENIED")
    check({ "--allow-net=0.0.0.0/0", "--deny-net=127.0.0.1" }, "both.test", "127.0.0.2")
  end)

  it("is not reached when each of them is denied", function()
    check({ "--allow-net=both.test", "--deny-net=127.0.0.0/8" }, "both.test", "EDENIED")
    check({ "--allow-net", "--deny-net=127.0.0.0/8" }, "mapped.test", "EDENIED")
  end)

  it("is not this machine where localhost is denied, whatever it is called", function()
    check({ "--allow-net", "--deny-net=localhost" }, "inside.example", "EDENIED")
    check({ "--allow-net=*.example", "--deny-net=localhost" }, "INSIDE.example", "EDENIED")
  end)

  it("is denied by its name, whatever its addresses", function()
    check({ "--allow-net=127.0.0.1", "--deny-net=one.test" }, "one.test", "EDENIED")
    check({ "--allow-net=127.0.0.1", "--deny-net=*.test" }, "one.test", "EDENIED")
    check({ "--allow-net=*.test", "--deny-net=one.test" }, "first.test", "127.0.0.1")
  end)

  it("is looked up before anything is dialled, and nothing but what was tested is dialled", function()
    if not there then return pending("127.0.0.2 is not to be had") end
    local dir <close> = assert(fs.tempdir())
    local able = process.run { "strace", "-o", "/dev/null", "true", timeout = 30 }
    local r = able and able.ok and run({ "--allow-net=both.test", "--deny-net=127.0.0.1" },
      ("try(%q)"):format("tcp://both.test:" .. port), "strace", "-f", "-e", "trace=connect,openat", "-o", dir:join "calls")
    if not r then return pending("this needs root, mounts and strace") end
    assert.equal("127.0.0.2\n", r.stdout, r.stderr)
    local calls = assert(fs.read(dir:join "calls"))
    local looked, dialled = 0, {}
    for line in calls:gmatch("[^\n]+") do
      if line:find('"/etc/hosts"', 1, true) then looked = #dialled == 0 and looked + 1 or -1000 end
      local to = line:match('connect%(.-sin_port=htons%(' .. port .. '%).-inet_addr%("([%d.]+)"%)')
      if to and line:find("SOCK_DGRAM") == nil then dialled[#dialled + 1] = to end
    end
    assert.is_true(looked > 0, calls)
    for _, to in ipairs(dialled) do assert.equal("127.0.0.2", to) end
    assert.is_true(#dialled > 0)
  end)
end)
