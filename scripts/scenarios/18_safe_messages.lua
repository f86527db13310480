-- Safe messages: a server that takes messages only in the right shape, and says of the others where they are wrong.
-- rights: --allow-net=127.0.0.1
--
-- The client writes what it likes. Each message is checked while it is read: what does not fit becomes no Lua value, the channel
-- stays usable, and what the schema does not keep is not even built.
local mw = require "moonwire"
local s = mw.schema

local Item = s.object { name = s.string { min = 1, max = 64, pattern = "^[%w_]+$" }, count = s.integer { min = 1, max = 1000 } }
local Order = s.object({
  type = s.literal "order",
  customer = s.string { max = 64 },
  items = s.array(Item, { min = 1, max = 100 }),
  express = s.optional(s.boolean(), { default = false }),
}, { extra = "drop" })
local Request = s.one_of { Order, s.object { type = s.literal "cancel", id = s.integer { min = 1 } } }
local Text = s.optional(s.string())
local Answer = s.object { ok = s.boolean(), id = s.optional(s.integer()), code = Text, path = Text, message = Text }

print("a request is " .. tostring(Request))

-- The server: both ways of the channel are checked, what it receives against Request, what it sends against Answer.
local server <close> = assert(mw.net.listen "tcp://127.0.0.1:0")
local orders = {}

local function answer_to(request, err)
  if not request then return { ok = false, code = err.code, path = err.data.path, message = err.message } end
  if request.type == "cancel" then return { ok = orders[request.id] ~= nil, id = request.id } end
  orders[#orders + 1] = request
  return { ok = true, id = #orders }
end

mw.task.spawn_with({ daemon = true }, server.serve, server, function(conn)
  local ch = conn:framed("u32le", { max = "64KiB" })
  while true do
    local bytes, err = ch:recv { timeout = 5 }
    if not bytes then return err and print("the channel ended: " .. tostring(err)) end
    local answer = answer_to(Request:parse(bytes, { codec = "json", max_depth = 8 }))
    assert(ch:send(assert(Answer:encode(answer))))
  end
end)

-- The client: raw bytes, right and wrong.
local conn <close> = assert(mw.net.connect(server:address(), { timeout = 5 }))
local ch = conn:framed "u32le"

local function ask(text)
  assert(ch:send(text))
  return assert(Answer:parse(assert(ch:recv { timeout = 5 })))
end

local good = '{"type":"order","customer":"Ada","items":[{"name":"bolt","count":3}],"colour":"red"}'
assert(ask(good).id == 1 and ask(good).id == 2)
assert(orders[1].express == false and orders[1].colour == nil, "the default is there, the unknown field is not")
assert(ask '{"type":"cancel","id":2}'.ok)

local wrong = {
  { '{"type":"order","customer":"Ada","items":[]}', "ESCHEMA", "items" },
  { '{"type":"order","customer":7,"items":[{"name":"bolt","count":3}]}', "ESCHEMA", "customer" },
  { '{"type":"order","customer":"A","items":[{"name":"a","count":1},{"name":"rm -rf /","count":1}]}', "ESCHEMA", "items[2].name" },
  { '{"type":"order","customer":"A","items":[{"name":"a","count":1001}]}', "ESCHEMA", "items[1].count" },
  { '{"type":"order","customer":"A","items":[{"name":"a","count":1,"price":0}]}', "ESCHEMA", "items[1].price" },
  { '{"type":"order","items":[{"name":"a","count":1}]}', "ESCHEMA", "customer" },
  { '{"type":"refund","id":1}', "ESCHEMA", "type" },
  { '{"type":"cancel","id":1,"id":2}', "EPARSE", "id" },
  { '{"type":"cancel","id":9223372036854775808}', "EPARSE", "id" },
  { ("["):rep(50000), "ESCHEMA", "" },
  { '{"type":"order","customer":"\255"}', "EPARSE", "customer" },
  { "", "EPARSE", "" },
}
for _, case in ipairs(wrong) do
  local text, code, path = table.unpack(case)
  local got = ask(text)
  assert(not got.ok and got.code == code and got.path == path, text:sub(1, 80) .. ": " .. mw.inspect(got))
  print(got.code .. ": " .. got.message)
end
assert(ask(good).id == 3, "the channel is as good as before")

-- The same on a channel itself: with `schema` an end checks what it sends and what it receives.
local peer <close> = assert(mw.net.connect(server:address(), { timeout = 5 }))
local typed = peer:framed("u32le", { codec = "json", schema = Request })
local sent, err = typed:send { type = "cancel", id = 0 }
assert(not sent and err.code == "ESCHEMA" and err.data.path == "id", "nothing wrong leaves this end")
print("not sent: " .. err.message)
assert(typed:send { type = "cancel", id = 1 })
