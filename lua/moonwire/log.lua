--- Log lines for people and machines: key=value on a terminal, JSON lines elsewhere; fields sorted by name; one line of at
--- most 4 KiB, with nothing in it that moves a cursor. MOONWIRE_LOG (debug, info, warn, error, off) sets what is shown; info unless told.

local _, core = ...

local write = core.log.write
local fail, raise, is_error = core.err.fail, core.err.raise, core.err.is

local ranks = { debug = 0, info = 1, warn = 2, error = 3, off = 4 }
local json = core.log.json
local least = ranks[core.log.level] or ranks.info

--- Tables become one line of text; error objects their own; all else is for the host to write.
local function value_of(v)
  if type(v) ~= "table" or is_error(v) then return v end
  return core.module("moonwire.inspect")(v, { depth = 4, max = 1024, line = true })
end

local FIELDS = 1024 -- a line has no room for more
local ours = { time = true, level = true, text = true }

--- Fields in the order of their names, flat: key, value, key, value. What a line says itself comes before what its logger was given.
local function flat(fields, given)
  local keys, names, of, out = {}, {}, {}, {}
  for _, t in ipairs { fields or {}, given } do
    for k in next, t do
      local name = tostring(k)
      if names[name] == nil then
        keys[#keys + 1], names[name], of[name] = name, k, t
      end
    end
  end
  table.sort(keys)
  for i = 1, math.min(#keys, FIELDS) do
    local name = keys[i]
    out[2 * i - 1] = json and ours[name] and name .. "_" or name
    out[2 * i] = value_of(rawget(of[name], names[name]))
  end
  return out
end

local function check_fields(op, fields)
  if fields ~= nil and type(fields) ~= "table" then
    raise(fail("EINVAL", op, nil, "fields must be a table, got " .. type(fields)))
  end
end

local function logger(name, given)
  local rank = ranks[name]
  local op = "log." .. name
  return function(text, fields)
    if rank < least then return end
    if type(text) ~= "string" then
      raise(fail("EINVAL", op, nil, "text must be a string, got " .. type(text)))
    end
    if fields == nil and next(given) == nil then return write(rank, text) end
    check_fields(op, fields)
    local out = flat(fields, given)
    write(rank, text, table.unpack(out, 1, #out))
  end
end

---@param given table
---@return moonwire.Logger
local function make(given)
  local it = {}
  for _, name in ipairs { "debug", "info", "warn", "error" } do it[name] = logger(name, given) end
  function it.with(fields)
    if fields == nil then raise(fail("EINVAL", "log.with", nil, "fields must be a table, got nil")) end
    check_fields("log.with", fields)
    local all = {}
    for k, v in next, given do all[k] = v end
    for k, v in next, fields do all[k] = v end
    return make(all)
  end
  return it
end

--- Log lines for people and machines: key=value on a terminal, JSON lines elsewhere, on standard error; fields sorted by name. A
--- line has at most 4 KiB and nothing in it that moves a cursor. MOONWIRE_LOG (debug, info, warn, error, off) sets what is shown;
--- info unless told.
---
--- ```lua
--- mw.log.info("connected", { peer = conn:peer().host })
--- local log = mw.log.with{ request = id }    -- each line has the field
--- ```
---@class moonwire.log: moonwire.Logger
local log = make {}

--- Sets the least level that is shown, and gives the one before.
---@param name? "debug"|"info"|"warn"|"error"|"off"
---@return string before
function log.level(name)
  local before
  for word, rank in next, ranks do
    if rank == least then before = word end
  end
  if name ~= nil then
    if not ranks[name] then
      raise(fail("EINVAL", "log.level", nil, 'the level is one of "debug", "info", "warn", "error", "off"'))
    end
    least = ranks[name]
  end
  return before
end

return log
