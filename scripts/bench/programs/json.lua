-- json COUNT: reads so many messages of 200 bytes of JSON, checked by a schema on the way; one in 16 lacks its type.
-- rights: --limit=step=off
local mw = require "moonwire"

local kinds = { "greet", "task", "result", "metric" }

local s = mw.schema
local Message = s.object({
  type = s.enum(kinds),
  payload = s.object({
    id = s.integer { min = 0 }, name = s.string { max = 64 }, values = s.array(s.number()),
    note = s.string(),
  }),
})

local count, messages = tonumber(arg[1]), {}
for i = 0, 63 do
  local form = '{"type":"%s","payload":{"id":%d,"name":"worker-%d","values":[1,2.5,3,%d],"note":"%s"}}'
  local kind = kinds[i % 4 + 1]
  local text = form:format(kind, i, i, i, ("n"):rep(200 - #form:format(kind, i, i, i, "")))
  messages[i] = i % 16 == 15 and text:gsub('"type"', '"tipe"') or text
end

local good, bad, sum = 0, 0, 0
local begun = mw.time.now()
for i = 0, count - 1 do
  local m = Message:parse(messages[i & 63])
  if m then
    good, sum = good + 1, sum + m.payload.id
  else
    bad = bad + 1
  end
end
local seconds = mw.time.now() - begun
assert(good + bad == count and bad == count // 16, "other messages were refused")
print(("result count=%d seconds=%.6f sum=%d"):format(count, seconds, sum))
