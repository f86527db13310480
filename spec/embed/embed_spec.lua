--- The programs of scripts/embed, built against an installed tree as somebody else would build them, and run with checks that can fail.
--- Knows: cmake, sh; the build by env MOONWIRE_BUILD; env EMBED_WRAP, a command before each program (valgrind). Never: moonwire itself: it
--- runs in plain Busted, so that a build of any kind is tried by the same lines.
local build = assert(os.getenv "MOONWIRE_BUILD", "MOONWIRE_BUILD names a build")
local wrap = os.getenv "EMBED_WRAP" or ""
local slow = wrap ~= "" and 10 or 1

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- What a shell command prints, both ways, and its exit status.
local function sh(text)
  local pipe = assert(io.popen("{ " .. text .. "\n} 2>&1", "r"))
  local said = pipe:read("a")
  local _, how, code = pipe:close()
  return said, how == "exit" and code or 128 + code
end

local dir = sh("mktemp -d"):gsub("\n", "")
local prefix, out = dir .. "/prefix", dir .. "/out"
teardown(function() sh("rm -rf " .. quote(dir)) end)

local sanitize = (read(build .. "/CMakeCache.txt") or ""):match("\nMW_SANITIZE:%w+=([^\n]*)") or ""
local fallback = (read(build .. "/CMakeCache.txt") or ""):match("\nMW_SPAWN:%w+=uv\n") ~= nil
local flags = sanitize ~= "" and ("-fsanitize=%s -fno-omit-frame-pointer"):format(sanitize) or ""

local function must(text)
  local said, code = sh(text)
  assert.equal(0, code, text .. "\n" .. said)
  return said
end

--- Runs one of the programs, at most so many seconds.
local function run(seconds, name, ...)
  local words = { "SDL_VIDEODRIVER=dummy timeout -s KILL", tostring(seconds * slow), wrap, quote(out .. "/" .. name) }
  for _, word in ipairs { ... } do words[#words + 1] = quote(word) end
  return sh(table.concat(words, " ") .. " </dev/null")
end

--- The fallback spawner confines nobody.
local function rights_of(path)
  local rights = {}
  for word in (read(path):match("%-%- rights:[ \t]*([^\n]*)") or ""):gmatch("%S+") do
    rights[#rights + 1] = fallback and word:gsub("^%-%-allow%-run", "--trust-run") or word
  end
  return rights
end

setup(function()
  must(("cmake --install %s --prefix %s"):format(quote(build), quote(prefix)))
  flags = quote("-Werror " .. flags)
  must(("cmake -G Ninja -S scripts/embed -B %s -DCMAKE_PREFIX_PATH=%s -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS=%s -DCMAKE_CXX_FLAGS=%s")
    :format(quote(out), quote(prefix), flags, flags))
  must("ninja -C " .. quote(out))
end)

describe("the tool", function()
  local function tool(script, ...)
    local words = rights_of(script)
    words[#words + 1] = "--program=" .. prefix .. "/bin/moonwire"
    for _, word in ipairs { ... } do words[#words + 1] = word end
    words[#words + 1] = script
    return run(60, "tool", table.unpack(words))
  end

  it("runs scenarios in its own loop, beside its timer and its child", function()
    for _, name in ipairs { "01_run", "02_pipe", "06_shared_memory", "09_tcp", "18_safe_messages" } do
      local said, code = tool("scripts/scenarios/" .. name .. ".lua")
      assert.equal(0, code, name .. "\n" .. said)
      local steps, beats, own, status = said:match("(%d+) steps, (%d+) beats; its own child ended with (%d+); the script with (%d+)")
      assert.is_truthy(steps, said)
      assert.equal("7 0", own .. " " .. status)
      assert.is_true(tonumber(steps) > 0 and tonumber(beats) > 0, said)
    end
  end)

  it("passes a script's status on, and what it may not do is an error", function()
    local script = dir .. "/status.lua"
    write(script, "local mw = require 'moonwire' if arg[1] then print(mw.sys.hostname()) else mw.exit(9) end")
    local said, code = run(60, "tool", script)
    assert.equal(9, code, said)
    said, code = run(60, "tool", script, "x")
    assert.equal(77, code, said)
    assert.is_truthy(said:find("grant it with --allow-sys=hostname", 1, true), said)
    said, code = run(60, "tool", "--check", script)
    assert.equal(0, code, said)
  end)

  it("ends a script that waits for ever when its time is over, and when it is interrupted", function()
    local script = dir .. "/wait.lua"
    write(script, "local x <close> = setmetatable({}, { __close = function() print('closed') end })\nrequire 'moonwire'.task.wait()\n")
    local said, code = run(60, "tool", "--timeout=1.5", script)
    assert.equal(124, code, said)
    assert.is_truthy(said:find("closed\n", 1, true), said)
    -- --foreground: no SIGCONT behind it, which takes back the SIGSTOP by which LeakSanitizer attaches to a program that ends
    said, code = sh(("timeout --foreground -k 60 -s INT %d %s %s %s"):format(2 * slow, wrap, quote(out .. "/tool"), quote(script)))
    assert.is_truthy(said:find("closed\n", 1, true), said)
    assert.is_truthy(said:find("the script with 130\n", 1, true), said)
    assert.is_true(code == 124 or code == 130, tostring(code))
  end)
end)

describe("the tour in C++", function()
  it("is all right", function()
    local said, code = run(60, "tour")
    assert.equal(0, code, said)
    assert.is_truthy(said:find("tour: all right\n", 1, true), said)
    assert.is_nil(said:find("NOT OK", 1, true), said)
  end)
end)

describe("the game", function()
  for _, preempt in ipairs { "count", "timer" } do
    it("goes on while a part of its script has run away, by " .. preempt, function()
      if not read(out .. "/game") then return pending("no SDL2 here") end
      if preempt == "timer" and sanitize:find("thread", 1, true) then return pending("ThreadSanitizer keeps signals back from a loop") end
      local frames = wrap ~= "" and 700 or 150 -- half of them are the runaway's, 2 ms each
      local step = wrap ~= "" and "400ms" or "40ms"
      local words = { "--frames=" .. frames, "--step=" .. step, "--preempt=" .. preempt, "scripts/embed/game.lua" }
      if fallback then table.insert(words, 1, "--trust") end
      local said, code = run(60, "game", table.unpack(words))
      assert.equal(0, code, said)
      assert.is_truthy(said:find(("game: %d frames;"):format(frames), 1, true), said)
      assert.is_truthy(said:find("game: all right\n", 1, true), said)
    end)
  end
end)

it("scripts/embed shows every function of moonwire.h that is there for embedders", function()
  -- What serves the command line alone: a child that is a script, its tests, its prompt; and what the macro mw_config_init calls.
  local own = { mw_config_from_parent = true, mw_host_preload = true, mw_host_start_module = true, mw_config_init_size = true }
  local text = read("scripts/embed/tool.c") .. read("scripts/embed/game.c") .. read("scripts/embed/tour.cpp") .. read("host/moonwire.hpp")
  local missing = {}
  for line in (read("host/moonwire.h"):gsub("/%*.-%*/", "") .. "\n"):gmatch("(.-)\n") do
    local name = line:match("^[%a][%w_%s%*]-[%s%*](mw_[%w_]+)%(")
    local used = not name or line:find("^typedef") or own[name] or text:find("%f[%w_]" .. name .. "%(")
    if not used then missing[#missing + 1] = name end
  end
  assert.equal("", table.concat(missing, " "))
end)
