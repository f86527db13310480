-- msgpack COUNT: reads so many messages of MessagePack, checked by a schema on the way, and writes each again; one in 16 lacks its type.
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
  messages[i] = mw.msgpack.encode {
    [i % 16 == 15 and "tipe" or "type"] = kinds[i % 4 + 1],
    payload = { id = i, name = "worker-" .. i, values = { 1, 2.5, 3, i }, note = ("n"):rep(100) },
  }
end

local good, bad, sum, written = 0, 0, 0, 0
local encode, how = mw.msgpack.encode, { codec = "msgpack" }
local begun = mw.time.now()
for i = 0, count - 1 do
  local m = Message:parse(messages[i & 63], how)
  if m then
    good, sum, written = good + 1, sum + m.payload.id, written + #encode(m)
  else
    bad = bad + 1
  end
end
local seconds = mw.time.now() - begun
assert(good + bad == count and bad == count // 16, "other messages were refused")
print(("result count=%d seconds=%.6f sum=%d bytes=%d"):format(count, seconds, sum, written))
