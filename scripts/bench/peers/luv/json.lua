-- json COUNT: reads so many messages of 200 bytes of JSON and checks what they hold; one in 16 lacks its type.
local uv, json = require "luv", require "cjson"
local decode = json.decode

local kinds, known = { "greet", "task", "result", "metric" }, {}
for _, kind in ipairs(kinds) do known[kind] = true end

local function read(text) -- lua-cjson has floats alone, and raises
  local ok, m = pcall(decode, text)
  if not ok or type(m) ~= "table" or not known[m.type] then return nil end
  local p = m.payload
  if type(p) ~= "table" then return nil end
  local id, name = p.id, p.name
  if type(id) ~= "number" or id % 1 ~= 0 or id < 0 then return nil end
  if type(name) ~= "string" or #name > 64 or type(p.values) ~= "table" then return nil end
  return m
end

local count, messages = tonumber(arg[1]), {}
for i = 0, 63 do
  local form = '{"type":"%s","payload":{"id":%d,"name":"worker-%d","values":[1,2.5,3,%d],"note":"%s"}}'
  local kind = kinds[i % 4 + 1]
  local text = form:format(kind, i, i, i, ("n"):rep(200 - #form:format(kind, i, i, i, "")))
  messages[i] = i % 16 == 15 and text:gsub('"type"', '"tipe"') or text
end

local good, bad, sum = 0, 0, 0
local begun = uv.hrtime() / 1e9
for i = 0, count - 1 do
  local m = read(messages[i & 63])
  if m then
    good, sum = good + 1, sum + m.payload.id
  else
    bad = bad + 1
  end
end
local seconds = uv.hrtime() / 1e9 - begun
assert(good + bad == count and bad == count // 16, "other messages were refused")
print(("result count=%d seconds=%.6f sum=%d"):format(count, seconds, sum))
