--- Who takes part: how each is found, and the command that runs one of its programs.
local mw = require "moonwire"
local peers = {}

local HERE = "scripts/bench/"

--- What `moonwire run` is given for a program: the rights that stand in its first lines.
local function rights_of(path)
  local text = assert(mw.fs.read(path))
  local rights = {}
  for flag in (text:match "\n?%-%- rights:([^\n]*)" or ""):gmatch "%S+" do rights[#rights + 1] = flag end
  return rights
end

--- The first line of what a command prints, or nil when it cannot be run.
local function first_line(...)
  local result = mw.process.run { stderr = "null", timeout = 20, ... }
  return result and result.ok and result.stdout:match "^%s*([^\n]+)" or nil
end

local function named(variable, name)
  local value = mw.env.get(variable, "")
  return value ~= "" and value or name
end

--- Each: `name`; `find(o)`, which gives what to call its version and what it needs, or nothing; `command(it, program, entry)`.
peers.all = {
  {
    name = "moonwire",
    find = function(o)
      return first_line(o.moonwire, "--version"), o.moonwire
    end,
    command = function(it, program, entry)
      local path = HERE .. "programs/" .. program .. ".lua"
      local list = { it.path, "run", table.unpack(entry.rights or rights_of(path)) }
      list[#list + 1] = path
      return list
    end,
  },
  {
    name = "deno",
    find = function()
      local path = named("DENO", "deno")
      local version = first_line(path, "--version")
      return version and version:gsub(" %(.*", ""), path
    end,
    command = function(it, program, entry)
      local path = entry.node and "peers/node/" .. program .. ".mjs" or "peers/deno/" .. program .. ".js"
      return { it.path, "run", "-A", "--quiet", "--no-config", HERE .. path }
    end,
  },
  {
    name = "bun",
    find = function()
      local path = named("BUN", "bun")
      local version = first_line(path, "--version")
      return version and "bun " .. version, path
    end,
    command = function(it, program)
      return { it.path, HERE .. "peers/bun/" .. program .. ".js" }
    end,
  },
  {
    name = "node",
    find = function()
      local path = named("NODE", "node")
      local version = first_line(path, "--version")
      return version and "node " .. version, path
    end,
    command = function(it, program)
      return { it.path, HERE .. "peers/node/" .. program .. ".mjs" }
    end,
  },
  {
    name = "luv",
    find = function()
      local path = named("LUA", "lua5.4")
      return first_line(path, "-e", "print(_VERSION .. ', luv ' .. require('luv').version_string())"), path
    end,
    command = function(it, program)
      return { it.path, HERE .. "peers/luv/" .. program .. ".lua" }
    end,
  },
  {
    name = "c",
    find = function(o)
      local path = o.built .. "/c-"
      return first_line(path .. "version"), path
    end,
    command = function(it, program)
      return { it.path .. program }
    end,
  },
}

--- Those that are here, in order. `wanted`: names, or nil for all; moonwire always takes part.
---@return table[]? found
---@return string? why
function peers.find(o)
  local wanted, known, found = nil, {}, {}
  for _, peer in ipairs(peers.all) do known[peer.name] = true end
  for _, name in ipairs(o.peers or {}) do
    if not known[name] then return nil, "there is no peer " .. name end
    wanted = wanted or { moonwire = true }
    wanted[name] = true
  end
  for _, peer in ipairs(peers.all) do
    if not wanted or wanted[peer.name] then
      peer.version, peer.path = peer.find(o)
      if peer.version then
        found[#found + 1] = peer
      elseif wanted then
        return nil, ("%s cannot be run (%s)"):format(peer.name, peer.path)
      end
    end
  end
  if not found[1] or found[1].name ~= "moonwire" then return nil, "moonwire itself cannot be run: " .. tostring(o.moonwire) end
  return found
end

return peers
