--- The module `moonwire`: one table; its parts load when they are first looked at.
local _, core = ...

---@class moonwire
local mw = {}

--- Parts that are modules of their own, `moonwire.NAME`.
local parts = {
  auth = true, env = true, frame = true, fs = true, host = true, inspect = true, json = true, log = true, main = true, metrics = true,
  msgpack = true, net = true, on_signal = true, permissions = true, platform = true, process = true, random = true, repl = true,
  rpc = true, schema = true, shm = true,
  supervisor = true, sys = true, serve = true, task = true, time = true, trace = true, worker = true,
}

--- Small functions and tables, by the door they stand behind: mw.NAME = core.DOOR.FIELD.
local fields = {
  exit = { "host", "exit" },
  null = { "json", "null" },
}

--- Parts that are promised and not in this version: whoever asks is told so, and does not index nil.
local later = {
  bus = true,
}

--- Raises an error object: `mw.fail("EPARSE", "line 3 is no number", { line = 3 })`.
---@param code string   an error code, such as "EPARSE"
---@param message string
---@param data? any     becomes err.data
function mw.fail(code, message, data)
  if type(code) ~= "string" or type(message) ~= "string" then
    core.err.raise(core.err.fail("EINVAL", "fail", nil, "a code and a message are expected, both strings"))
  end
  core.err.raise(core.err.fail(code, nil, nil, message, nil, data))
end

--- Parts whose module has another name than they.
local named = { repl = "repl_server" }

--- Loads a part: also for completion, which lists what nobody has looked at yet.
function core.part(name)
  return core.module("moonwire." .. (named[name] or name))
end
core.parts, core.fields = parts, fields

local function find(_, name)
  local value
  if parts[name] then
    value = core.part(name)
  elseif fields[name] then
    value = core[fields[name][1]][fields[name][2]]
  elseif later[name] then
    core.err.raise(core.err.fail("EOPNOTSUPP", "moonwire", name, "this version does not have it"))
  elseif name == "parent" then
    value = core.worker.parent() or core.process.parent()
  elseif name == "shared" then
    value = core.shm.shared()
  elseif name == "script" then
    value = { path = core.host.script_path, dir = core.host.script_dir }
  end
  rawset(mw, name, value)
  return value
end

return setmetatable(mw, { __index = find, __name = "moonwire", __metatable = false })
