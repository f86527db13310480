--- Who moves folders while a cage is made (spec/support/moved.c) does not open what is denied. Knows: the program under test.
local mw = require "moonwire"
local uv = require "uv"

local program = os.getenv("MOONWIRE") or "moonwire"
local moved = (os.getenv("MOONWIRE_BUILD") or program:match "^(.*)/") .. "/attack/moved.so"

local confined = dofile "spec/support/confined.lua"(pending)

local base = assert(mw.fs.tempdir())
assert(mw.fs.write(base:join "empty.lua", ""))
assert(mw.fs.write(base:join "main.lua", [[
  local mw = require "moonwire"
  local w = arg[1]
  local names = {}
  for _, at in ipairs { "a", "b" } do
    for _, name in ipairs { "secret", "secret/key", "inner/key", "open", "later" } do names[#names + 1] = w .. "/" .. at .. "/" .. name end
  end
  local child, err = mw.process.spawn { "sh", "-c", "read go; cat " .. table.concat(names, " "), stdin = "pipe", stdout = "pipe" }
  if not child then return print(err.code, err) end
  if arg[2] then assert(mw.fs.write(arg[2], "DENIED\n")) end
  assert(child.stdin:write "go\n")
  print(child.stdout:read("a", { timeout = 60 }))
]]))
assert(mw.fs.stat(moved))

local ENV = { LD_PRELOAD = moved, ASAN_OPTIONS = "verify_asan_link_order=0:detect_leaks=0" }
local function env(more)
  for name, value in pairs(ENV) do more[name] = value end
  return more
end

local able = mw.process.run { program, "run", base:join "empty.lua", env = env {}, timeout = 100 }
able = able and able.code == 0

local count = 0
--- A world w with w/a (holding what `put` puts there) and w/b; what a child says that reads all of it, while a and b change places.
local function read(how)
  count = count + 1
  local w = base:join("w" .. count)
  for _, name in ipairs { "", "/a", "/b" } do assert(mw.fs.mkdir(w .. name)) end
  for _, name in ipairs { "/a/open", "/b/open" } do assert(mw.fs.write(w .. name, "open\n")) end
  if how.put then how.put(w) end
  local argv = { program, "run", "--no-prompt", "--confine=" .. (how.confine or "off"), "--allow-run=sh", "--allow-read=" .. w,
    timeout = 100, env = env { MOVED_IN = w, MOVED_A = w .. (how.from or "/a"), MOVED_B = w .. (how.to or "/b"),
      MOVED_TIMES = tostring(how.times or 1),
      MOVED_BACK = how.back and "1" or false } }
  for _, flag in ipairs(how.flags) do argv[#argv + 1] = (flag:gsub("%$W", w)) end
  argv[#argv + 1], argv[#argv + 2], argv[#argv + 3] = base:join "main.lua", w, how.later and w .. how.later
  local r = assert(mw.process.run(argv))
  assert.equal(0, r.code, r.stderr)
  return r.stdout
end

local function secret(w) assert(mw.fs.write(w .. "/a/secret", "DENIED\n")) end
local function folder(w)
  assert(mw.fs.mkdir(w .. "/a/secret"))
  assert(mw.fs.write(w .. "/a/secret/key", "DENIED\n"))
end
local function linked(w)
  secret(w)
  assert(uv.fs_link(w .. "/a/secret", w .. "/b/secret"))
end
local FILE = { "--deny-read=$W/a/secret" }

local cases = {
  { "the folder around a denied file takes another's place", put = secret, flags = FILE },
  { "and is back when the cage is made", put = secret, flags = FILE, back = true },
  { "three times, and back each time", put = secret, flags = FILE, back = true, times = 3 },
  { "the folder around a denied folder", put = folder, flags = FILE },
  { "and is back, with a folder denied", put = folder, flags = FILE, back = true },
  { "a denied folder takes the place of an open one", put = function(w) folder(w) assert(mw.fs.mkdir(w .. "/b/inner")) end, flags = FILE,
    from = "/a/secret", to = "/b/inner" },
  { "a file takes the place of the denied one", put = secret, flags = FILE, from = "/a/secret", to = "/b/open" },
  { "with another name elsewhere", put = linked, flags = FILE },
  { "with another name elsewhere, and back", put = linked, flags = FILE, back = true },
  { "with a right to write all of it", put = secret, flags = { "--deny-read=$W/a/secret", "--allow-write=$W" }, back = true },
  { "the folder of a name that is denied and not there yet", flags = { "--deny-read=$W/a/later", "--allow-write=$W/a,$W/b" }, back = true,
    later = "/a/later" },
  { "the host locked", put = secret, flags = FILE, back = true, confine = "strict", times = 2 },
}

describe("while a cage is made", function()
  teardown(function() base:close() end)

  for _, case in ipairs(cases) do
    it(case[1] .. ", and a child reads what it may and no more", confined(function()
      if not able then return pending "this build lets no library be loaded before its own" end
      local text = read(case)
      assert.is_nil(text:find("DENIED", 1, true), text)
      assert.is_truthy(text:find("open", 1, true), text)
    end))
  end

  it("who never stops moving them is answered in words", confined(function()
    if not able then return pending "this build lets no library be loaded before its own" end
    local text = read { put = secret, flags = FILE, back = true, times = 1000 }
    assert.is_truthy(text:find("ESTALE", 1, true), text)
    assert.is_truthy(text:find("others moved it", 1, true), text)
  end))
end)
