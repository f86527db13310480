--- The house: who may include whom, how long a file may be, what the top level holds, what a script can hold has a description.
--- Knows: the tree as text, `size -A`. Never: the program under test (it runs in plain Busted as well as in ours).
local lfs = require "lfs"

local FLOOR = {
  base = 1,
  wire = 2, codec = 2, observe = 2,
  core = 3, policy = 3,
  io = 4, share = 4, pool = 4, bridge = 4,
  bind = 5,
  moonwire = 6,
  front = 7,
}

-- Which rooms may name these headers. Everything else of third parties: one file.
local LUA = { codec = true, core = true, bind = true, moonwire = true }
local UV = { core = true, io = true, share = true, pool = true, bridge = true, moonwire = true }
local ONE_DOOR = {
  ["^luv/"] = "host/bind/uv",
  ["^openssl/"] = "host/wire/",
  ["^zstd"] = "host/wire/squeeze",
  ["^lz4"] = "host/wire/squeeze",
  ["^histedit"] = "host/front/repl",
  ["^editline/"] = "host/front/repl",
  ["^nats"] = "host/bridge/nats",
  ["^linux/landlock"] = "host/policy/confine",
}

local MAX_LINES = 700
local TOP = {
  ["CMakeLists.txt"] = true, host = true, lua = true, scripts = true, spec = true, vendor = true, ["README.md"] = true,
  LICENSE = true,
}

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  return text
end

local function files(dir, out)
  out = out or {}
  if not lfs.attributes(dir) then return out end
  for name in lfs.dir(dir) do
    local path = dir .. "/" .. name
    if name ~= "." and name ~= ".." then
      if lfs.attributes(path, "mode") == "directory" then
        files(path, out)
      else
        out[#out + 1] = path
      end
    end
  end
  table.sort(out)
  return out
end

local function sources(dir, pattern)
  local out = {}
  for _, path in ipairs(files(dir)) do
    if path:find(pattern) then out[#out + 1] = path end
  end
  return out
end

local function room_of(path)
  local room = path:match("^host/([%w_]+)/")
  if room then return room end
  return path:match("^host/moonwire[%w_]*%.[ch]$") and "moonwire" or nil
end

local function lines_of(text)
  return (text .. "\n"):gmatch("(.-)\n")
end

-- Runs a program without a shell where there is no io.popen (inside the host).
local function output_of(argv)
  if io.popen then
    local quoted = {}
    for i, word in ipairs(argv) do quoted[i] = "'" .. word:gsub("'", "'\\''") .. "'" end
    local pipe = assert(io.popen(table.concat(quoted, " ")))
    local text = pipe:read("a")
    assert.is_true(pipe:close(), "it failed: " .. argv[1])
    return text
  end
  local result = assert(require("moonwire").process.run(argv))
  return result.stdout
end

local function none(list)
  assert.equal("", table.concat(list, "\n"))
end

describe("the house", function()
  it("lets a file include its own room and the floors below, never a neighbour, never up", function()
    local bad = {}
    for _, path in ipairs(sources("host", "%.[ch]$")) do
      local room = room_of(path)
      if not room or not FLOOR[room] then
        bad[#bad + 1] = path .. ": no room of that name"
      else
        for name in read(path):gmatch('\n%s*#%s*include%s+"([^"]+)"') do
          local other = name:match("^moonwire[%w_]*%.h$") and "moonwire" or name:match("^([%w_]+)/")
          local floor = other and FLOOR[other]
          if not floor then
            bad[#bad + 1] = ("%s includes \"%s\": not room/file.h"):format(path, name)
          elseif room == "front" and other ~= "front" and other ~= "moonwire" then
            bad[#bad + 1] = ("%s includes %s: front includes moonwire.h only"):format(path, name)
          elseif other ~= room and floor >= FLOOR[room] then
            bad[#bad + 1] = ("%s (floor %d) includes %s (floor %d)"):format(path, FLOOR[room], name, floor)
          end
        end
      end
    end
    none(bad)
  end)

  it("names Lua, libuv and every other library only where they belong", function()
    local bad = {}
    for _, path in ipairs(sources("host", "%.[ch]$")) do
      local room = room_of(path)
      for name in read(path):gmatch("\n%s*#%s*include%s+<([^>]+)>") do
        if name:find("^lua") or name == "lauxlib.h" then
          if not LUA[room] and not name:find("^luv") then bad[#bad + 1] = path .. " includes " .. name end
        elseif name == "uv.h" then
          if not UV[room] and not path:find("^host/bind/uv") then bad[#bad + 1] = path .. " includes uv.h" end
        end
        for pattern, owner in pairs(ONE_DOOR) do
          if name:find(pattern) and path:sub(1, #owner) ~= owner then
            bad[#bad + 1] = ("%s includes %s: that is %s's"):format(path, name, owner)
          end
        end
      end
    end
    none(bad)
  end)

  it("keeps files short enough to be read", function()
    local bad = {}
    local all = sources("host", "%.[chS]$")
    for _, path in ipairs(sources("lua", "%.lua$")) do all[#all + 1] = path end
    for _, path in ipairs(all) do
      local _, count = read(path):gsub("\n", "")
      local most = path == "host/moonwire.h" and 400 or MAX_LINES
      if count > most then bad[#bad + 1] = ("%s has %d lines, at most %d"):format(path, count, most) end
    end
    none(bad)
  end)

  it("opens every file with what it is, what it knows and what it never does", function()
    local bad = {}
    for _, path in ipairs(sources("host", "%.[ch]$")) do
      local head = read(path):match("^/%*.-%*/") or ""
      local told = head:find("Knows:", 1, true) and head:find("Never:", 1, true)
      if not told and path ~= "host/moonwire.h" then bad[#bad + 1] = path end -- that one opens with its contract
    end
    none(bad)
  end)

  it("has the top level that everyone knows, and nothing more", function()
    local bad = {}
    for name in lfs.dir(".") do
      local hidden = name:sub(1, 1) == "."
      local built = name:find("^build") or name == "compile_commands.json"
      if not hidden and not built and not TOP[name] then bad[#bad + 1] = name end
    end
    none(bad)
  end)

  it("holds no mutable data below the command line, so that two hosts never meet", function()
    local build = os.getenv("MOONWIRE_BUILD") or "build/release"
    local objects = sources(build .. "/host/CMakeFiles/mw_objects.dir", "%.o$")
    assert.is_true(#objects > 0, "no release objects in " .. build .. ": run scripts/dev build first")
    local bad = {}
    table.insert(objects, 1, "size")
    table.insert(objects, 2, "-A")
    local object
    for line in lines_of(output_of(objects)) do
      object = line:match("^(%S+)%s+:$") or object
      local section, size = line:match("^(%.%S+)%s+(%d+)")
      if section and tonumber(size) > 0 and not section:find("^%.data%.rel%.ro") then
        if section:find("^%.data") or section:find("^%.bss") or section:find("^%.t?data") or section:find("^%.tbss") then
          bad[#bad + 1] = ("%s: %s holds %s bytes"):format(object:match("mw_objects%.dir/(.*)"), section, size)
        end
      end
    end
    none(bad)
  end)

  it("offers embedders every function of moonwire.h, in the shared library too", function()
    local map, bad = read("host/moonwire.map"), {}
    local function exports(name)
      if map:find(name .. ";", 1, true) then return true end
      for stem in map:gmatch("(mw_[%w_]+)%*;") do
        if name:sub(1, #stem) == stem then return true end
      end
    end
    for line in lines_of(read("host/moonwire.h"):gsub("/%*.-%*/", "")) do
      local name = line:match("^[%a][%w_%s%*]-[%s%*](mw_[%w_]+)%(")
      if name and not line:find("^typedef") and not exports(name) then bad[#bad + 1] = name end
    end
    assert.is_truthy(map:find("mw_policy_*;", 1, true))
    none(bad)
  end)

  it("describes every function that a script can reach in lua/moonwire/meta", function()
    local described = {}
    for _, path in ipairs(sources("lua/moonwire/meta", "%.lua$")) do
      local text = read(path)
      for name in text:gmatch("function%s+[%w_.:]-([%w_]+)%s*%(") do described[name] = true end
      for name in text:gmatch("%-%-%-@field%s+[%a ]-([%w_]+)%??%s+fun") do described[name] = true end
    end
    local bad = {}
    for name in read("host/bind/doors.c"):gmatch('{%s*"([%w_]+)"%s*,%s*mw_door_[%w_]+%s*}') do
      local meta = "lua/moonwire/meta/" .. name .. ".lua"
      if not lfs.attributes(meta) then bad[#bad + 1] = "no " .. meta end
    end
    for _, path in ipairs(sources("host/bind", "%.c$")) do
      for list in read(path):gmatch("luaL_Reg%s+[%w_]+%[%]%s*=%s*(%b{})") do
        for name in list:gmatch('{%s*"([%a][%w_]*)"%s*,') do
          local door = path == "host/bind/doors.c"
          if not door and not described[name] then bad[#bad + 1] = path .. ": " .. name end
        end
      end
    end
    none(bad)
  end)

  it("names no machine, no package registry and leaves no mark of unfinished work", function()
    local bad = {}
    local words = {
      "/" .. "work/", "/" .. "farm/", "/" .. "home/", "//" .. "deb%.", "//" .. "registry%.",
      "%f[%w]TO" .. "DO%f[%W]", "%f[%w]FIX" .. "ME%f[%W]", "%f[%w]X" .. "XX%f[%W]",
    }
    for _, dir in ipairs { "host", "lua", "scripts", "spec", "vendor" } do
      for _, path in ipairs(files(dir)) do
        local text = path:find("^spec/fuzz/corpus/") and "" or read(path)
        for _, word in ipairs(words) do
          if text:find(word) then bad[#bad + 1] = path .. ": " .. word:gsub("%%.", ""):gsub("[%[%]]", "") end
        end
      end
    end
    none(bad)
  end)

  it("lets only vendor know the names of Debian's packages", function()
    local bad = {}
    for name in read("vendor/packages.txt"):gmatch("\n(lib[%w.-]+dev) =") do
      for _, dir in ipairs { "host", "lua", "scripts", "spec" } do
        for _, path in ipairs(files(dir)) do
          if read(path):find(name, 1, true) then bad[#bad + 1] = path .. ": " .. name end
        end
      end
    end
    none(bad)
  end)
end)
