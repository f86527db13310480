--- JSON-RPC 2.0 (https://www.jsonrpc.org/specification): what its messages look like, and what a message is. No channel.
local _, core = ...
local json = core.json
local type, next, rawget, pairs, rawlen = type, next, rawget, pairs, rawlen
local math_type, math_tointeger = math.type, math.tointeger

local null = json.null
local wire = { name = "JSON-RPC", null = null, encode = json.encode, decode = json.decode, longest = 0x7fffffff }

--- Codes that the specification names.
wire.PARSE, wire.INVALID, wire.METHOD, wire.INTERNAL, wire.SERVER = -32700, -32600, -32601, -32603, -32000

--- What is wrong with the params of a call of ours, or nil.
function wire.refuse(params)
  if params ~= nil and type(params) ~= "table" then return "params must be a table (an object or an array), got " .. type(params) end
end

function wire.request(id, method, params)
  return { jsonrpc = "2.0", id = id, method = method, params = params }
end
function wire.notification(method, params)
  return { jsonrpc = "2.0", method = method, params = params }
end
function wire.answer(id, result)
  return { jsonrpc = "2.0", id = id, result = result }
end
function wire.failure(id, code, message, data)
  return { jsonrpc = "2.0", id = id, error = { code = code, message = message, data = data } }
end

--- The messages of a batch, or nil: it is none. An empty batch is an invalid message.
function wire.batch(v)
  if type(v) ~= "table" or rawlen(v) == 0 or json.marked(v) == "object" then return nil end
  if json.marked(v) == "array" then return v end
  for key in pairs(v) do
    if math_type(key) ~= "integer" then return nil end
  end
  return v
end
wire.batch_of = json.mark

--- What the beginning of a message tells that is not read as a whole: its id, and "request" or "answer"; nil where that cannot be known.
--- Members stand in any order; those before are looked at as long as they are whole numbers, or strings without escapes.
---@param text string
---@return (string|integer)? id
---@return string? kind
function wire.head(text)
  local id, kind
  local at = text:match "^%s*{()"
  while at do
    local key, from = text:match('^%s*"([%w_]+)"%s*:%s*()', at)
    if key == "method" then kind = "request" elseif key == "result" or key == "error" then kind = "answer" end
    if key == nil or kind and id ~= nil then break end
    local value, behind = text:match("^(%-?%d+)%s*()", from)
    if value then
      value = math_tointeger(tonumber(value))
    else
      value, behind = text:match('^"([^"\\%c]*)"%s*()', from)
    end
    if value == nil or not text:find("^[,}]", behind) then break end
    if key == "id" then id = value end
    at = text:match("^,()", behind)
  end
  if not kind then return nil end
  return id, kind
end

local function is_id(id)
  return type(id) == "string" or type(id) == "number" or id == null
end

local function answer(v, id)
  local result, failure = rawget(v, "result"), rawget(v, "error")
  if failure == null and result ~= nil then failure = nil end -- version 1.0 had both, one of them null
  if result == null and failure ~= nil then result = nil end
  if id == nil or not is_id(id) then return "invalid", nil, "it is neither a request nor an answer" end
  if result ~= nil and failure ~= nil then return "broken", id, "an answer with a result and an error" end
  if result ~= nil then return "result", id, result end
  if type(failure) ~= "table" then failure = { message = "an error that is no object", data = failure } end
  local message, data = rawget(failure, "message"), rawget(failure, "data")
  if type(message) ~= "string" then message = "no message" end
  return "error", id, { code = rawget(failure, "code"), message = message, data = data }
end

--- What a message is: "request", id, method, params | "notification", nil, method, params | "result", id, value |
--- "error", id, { code, message, data } | "broken", id, why, back: an answer that is none, or when nobody waits for that id an
--- invalid message | "invalid", id, why. The id of an invalid one (`back` of a broken one) is null where it cannot be known, and nil
--- when it must not be answered.
function wire.read(v)
  if type(v) ~= "table" then return "invalid", null, "a message is an object" end
  local id, method, params = rawget(v, "id"), rawget(v, "method"), rawget(v, "params")
  local known = is_id(id) and id or null
  if rawget(v, "jsonrpc") ~= "2.0" then
    local answers = method == nil and next(v) ~= nil and (rawget(v, "result") ~= nil or rawget(v, "error") ~= nil)
    if answers and id ~= nil then return "broken", id, 'an answer whose jsonrpc is not "2.0"' end
    return "invalid", not answers and known or nil, 'jsonrpc is not "2.0"'
  end
  if method == nil then
    if rawget(v, "result") ~= nil or rawget(v, "error") ~= nil then return answer(v, id) end
    if id == nil then return "invalid", known, "it has no method" end
    return "broken", id, "it has no method, no result and no error", known
  end
  if type(method) ~= "string" then return "invalid", known, "the method is no string" end
  if id ~= nil and not is_id(id) then return "invalid", null, "the id is neither a string nor a number" end
  if params ~= nil and type(params) ~= "table" then return "invalid", known, "params are neither an object nor an array" end
  if id == nil then return "notification", nil, method, params end
  return "request", id, method, params
end

return wire
