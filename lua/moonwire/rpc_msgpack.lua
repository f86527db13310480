--- MessagePack-RPC (https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md): what its messages look like, what a message is,
--- and how they are found in a stream, where they stand one behind the other.
local _, core = ...
local door, json, err, task = core.msgpack, core.json, core.err, core.task
local type, rawlen, pairs, tostring, setmetatable = type, rawlen, pairs, tostring, setmetatable
local math_type, max, concat = math.type, math.max, table.concat

local null = json.null
local wire = { name = "MessagePack-RPC", null = null, encode = door.encode, decode = door.decode, longest = 0xffffffff }

wire.PARSE, wire.INVALID, wire.METHOD, wire.INTERNAL, wire.SERVER = -32700, -32600, -32601, -32603, -32000

local function is_list(v)
  local mark = json.marked(v)
  if mark then return mark == "array" end
  local n = rawlen(v)
  for key in pairs(v) do
    if math_type(key) ~= "integer" or key < 1 or key > n then return false end
  end
  return true
end

function wire.refuse(params)
  if params == nil or type(params) == "table" and is_list(params) then return nil end
  return "params must be a list of arguments, as MessagePack-RPC has them, got " .. (type(params) == "table" and "an object" or
    type(params))
end

--- The params as an array, also when there are none; what the caller holds is not marked.
local function list(params)
  if params == nil or rawlen(params) == 0 then return json.mark({}, "array") end
  return params
end

function wire.request(id, method, params) return { 0, id, method, list(params) } end
function wire.notification(method, params) return { 2, method, list(params) } end
function wire.answer(id, result) return { 1, id, null, result } end
--- A handler that fails gives a text; one that names a code, and we ourselves, give an object.
function wire.failure(id, code, message, data)
  if code == wire.SERVER and data == nil then return { 1, id, message, null } end
  return { 1, id, { code = code, message = message, data = data }, null }
end

function wire.batch() end

--- The error that somebody sent: a text, { code, message, data }, or [code, message] as Neovim has it.
local function failure(e)
  local code, message
  if type(e) == "table" then
    code, message = e.code or e[1], e.message or e[2]
  elseif type(e) == "string" then
    message = e
  end
  if type(message) ~= "string" then message = type(e) == "table" and "an error without a message" or tostring(e) end
  local data = e
  if type(e) == "table" and e.message ~= nil then data = e.data end
  return { code = code, message = message, data = data }
end

--- As moonwire.rpc_json has it.
function wire.read(v)
  if type(v) ~= "table" or rawlen(v) < 3 then return "invalid", nil, "a message is an array of 3 or 4 elements" end
  local kind, id, method, params = v[1], v[2], v[3], v[4]
  if kind == 2 then
    if rawlen(v) ~= 3 or type(id) ~= "string" or type(method) ~= "table" then
      return "invalid", nil, "a notification is [2, method, params]"
    end
    return "notification", nil, id, method
  end
  if kind == 1 and rawlen(v) ~= 4 and math_type(id) == "integer" then return "broken", id, "an answer is [1, id, error, result]" end
  if (kind ~= 0 and kind ~= 1) or rawlen(v) ~= 4 then return "invalid", nil, "its type is none of 0, 1, 2" end
  if math_type(id) ~= "integer" or id < 0 or id > wire.longest then return "invalid", nil, "its id is no integer of 32 bits" end
  if kind == 1 then
    if method == null then return "result", id, params end
    return "error", id, failure(method)
  end
  if type(method) ~= "string" then return "invalid", id, "the method is no string" end
  if type(params) ~= "table" then return "invalid", id, "params are no array" end
  return "request", id, method, params
end

-- Streams ---------------------------------------------------------------------------------------------------------------------

local PIECE = 65536      -- bytes that are read at a time
local FRAME_TIMEOUT = 30 -- seconds from the first byte of a message to its last

--- Values one behind the other on a stream. Time and memory grow with the bytes that came, however small the pieces are.
local Values = {}
Values.__index = Values

function wire.values(stream, limits, max_bytes)
  return setmetatable({ stream = stream, buffer = "", at = 1, limits = limits, max = max_bytes }, Values)
end

--- The bytes of a value that began with `rest` and did not come in one piece.
local function gather(self, rest)
  local parts, size, wanted, skip = {}, 0, 1, 0
  local deadline = task.now() + FRAME_TIMEOUT
  while true do
    local used, need
    used, wanted, skip, need = door.scan(rest, wanted, skip)
    parts[#parts + 1] = rest:sub(1, used)
    size = size + used
    if need == 0 then
      self.buffer, self.at = rest, used + 1
      return concat(parts)
    end
    rest = rest:sub(used + 1)
    if size + #rest + need > self.max then
      return nil, err.fail("ELIMIT", "rpc recv", nil, ("a message longer than %d bytes"):format(self.max), "max sets the limit")
    end
    local left = { timeout = max(deadline - task.now(), 0) }
    local piece, why
    if need > PIECE then piece, why = self.stream:read_exact(need, left) else piece, why = self.stream:read_some(PIECE, left) end
    if not piece then return nil, why or err.fail("EEOF", "rpc recv", nil, "the end came inside a message") end
    rest = rest .. piece
  end
end

--- The next value; nil at the end; nil, err for good.
function Values:recv()
  if self.at > #self.buffer then
    local piece, why = self.stream:read_some(PIECE)
    if not piece then return nil, why end
    self.buffer, self.at = piece, 1
  end
  local v, next = door.unpack(self.buffer, self.at, self.limits)
  if v ~= nil then
    self.at = next
    return v
  end
  if next.code ~= "EAGAIN" then return nil, next end
  local rest = self.buffer:sub(self.at)
  self.buffer, self.at = "", 1
  local bytes, why = gather(self, rest)
  if not bytes then return nil, why end
  return door.decode(bytes, self.limits)
end

function Values:send(bytes)
  return self.stream:write(bytes)
end

function Values:close()
  return self.stream:close()
end

return wire
