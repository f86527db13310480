--- Calls of string and table, thousands of random ones: prints a line for each. `...` is the seed and their number.
--- Knows: Lua 5.4. Never: says who runs it: lua5.4 and moonwire must print the same (spec/lua/std_string_spec.lua).
local seed, count = ...
math.randomseed(tonumber(seed))
count = tonumber(count)
local random = math.random

local function show(v)
  if type(v) == "string" then return string.format("%q", v):gsub("\\\n", "\\n") end
  return type(v) == "table" and "{}" or tostring(v)
end
local function line(...)
  local out = table.pack(...)
  for i = 1, out.n do out[i] = show(out[i]) end
  print(out.n .. ": " .. table.concat(out, " ", 1, out.n))
end
local function try(f, ...) line(pcall(f, ...)) end

local function pick(list) return list[random(#list)] end
local letters = { "a", "b", "c", "A", "1", "2", " ", "(", ")", "x", "\0", "\n", ".", "%", "-", "\xe9", "]", "[", "^" }
local function text(n)
  local t = {}
  for i = 1, random(0, n) do t[i] = random(4) > 1 and pick { "a", "b", "c" } or pick(letters) end
  return table.concat(t)
end
local classes = { "a", "b", "c", ".", "%a", "%d", "%s", "%w", "%W", "%x", "%p", "%A", "%z", "%%", "%.", "%]", "[abc]", "[^a]",
  "[a-c]", "[%a_]",
  "[]a]", "[^]]", "[a-]", "[%a-z]", "[^%s]", "[-a]", "[1-3b]", "[%d%l]", "\0", "%g", "%c", "%u", "%l", "[\0-\x20]", "-", "%-", "x" }
local pieces = { "(", ")", "()", "%1", "%2", "%0", "%bab", "%b()", "%b(", "%f[%a]", "%f[^a]", "%f[%z]", "%fa", "%f", "^", "$",
  "%", "[", "[a", "[%", "(a)", "(.-)", "(%a*)" }
local function pattern()
  local t = {}
  if random(5) == 1 then t[1] = "^" end
  for _ = 1, random(0, 5) do
    local it
    if random(4) == 1 then it = pick(pieces) else it = pick(classes) .. pick { "", "", "*", "+", "-", "?" } end
    if random(6) == 1 then it = "(" .. it .. ")" end
    t[#t + 1] = it
  end
  if random(6) == 1 then t[#t + 1] = "$" end
  return table.concat(t)
end
local function init() return pick { nil, 1, 1, 2, 3, 5, 100, 0, -1, -2, -100, 2.0, "2", math.mininteger, math.maxinteger } end
local replacements = { "x", "%0", "%1", "%2", "<%0>", "%%", "%", "%x", "%9", "", "%1%1", 12, 1.5, true, print and {} or nil,
  { a = "A", b = false, c = 3, ab = {} }, { a = 1.5 }, setmetatable({}, { __index = function(_, k) return k .. "!" end }) }
local function replace()
  if random(4) > 1 then return pick(replacements) end
  local how = random(6)
  return function(...)
    if how == 1 then return nil elseif how == 2 then return false elseif how == 3 then return select("#", ...)
    elseif how == 4 then return {} elseif how == 5 then return tostring((...)) .. "|" else return (...) end
  end
end

for _ = 1, count do
  local s, p = text(12), pattern()
  local at, plain, max = init(), random(5) == 1, pick { nil, nil, nil, 0, 1, 2, -1, 100, 1.0, "1", {} }
  try(string.find, s, p, at, plain)
  try(string.find, s, s:sub(2, 4), at, true)
  try(string.match, s, p, at)
  try(string.gsub, s, p, replace(), max)
  try(function()
    local all, n = {}, 0
    for a, b, c in s:gmatch(p, at) do
      n = n + 1
      all[n] = show(a) .. show(b) .. show(c)
    end
    return n, table.concat(all, ",")
  end)
  try(string.rep, s, random(-2, 5), pick { nil, "", ",", "\0ab" })
  try(string.byte, s)
  try(string.byte, s, at)
  try(string.byte, s, at, init())
end

for _, a in ipairs { { 12 }, { 12, 2 }, { 1.5, 2 }, { "ab", 1.0 }, { "ab", 1.5 }, { "ab", "2" }, { "ab", "x" }, { "ab", {} },
  { "ab", nil, 2 },
  { "ab", 2, nil }, { "ab", 1, 2, 3 }, { "ab", true }, { true }, { nil, 1 }, { "", 1 }, { "ab", 3 } } do
  try(string.byte, table.unpack(a, 1, 4))
  try(string.byte, table.unpack(a))
end
-- what no random pattern finds
for _, p in ipairs { ("a?"):rep(199) .. ("a"):rep(3), ("a?"):rep(200), ("a?"):rep(201), ("a?"):rep(500), ("(a"):rep(33),
  ("(a)"):rep(32), ("(a)"):rep(33), ("()"):rep(32),
  ("a-"):rep(250) .. "b", ("a*"):rep(250), "%1", "(%1)", "(a)%2", "(a)%1", "()%1", "(()a)%2", "%b", "%ba", "%b\0\0", "[[]", "[]",
    "[^]", "[a-%%]", "[%a-%z]", "a\0b", "%" } do
  for _, s in ipairs { ("a"):rep(300), "a", "", "aa\0b", "a[b]c%" } do
    try(string.find, s, p)
    try(string.match, s, p)
    try(string.gsub, s, p, "%0")
    try(string.gsub, s, p, "%1%2")
  end
end
for _, a in ipairs { { }, { "x" }, { 1 }, { nil, 2 }, { "a", {} }, { "a", "b", {} }, { "a", "b", 1, 2, 3 }, { "a", "a", {} },
  { {}, "a" }, { "a", "a", "b", "x" }, { "a", "a", "b", 1.5 }, { 12, 2, 3 } } do
  for _, name in ipairs { "find", "match", "gmatch", "gsub", "rep", "byte" } do try(string[name], table.unpack(a, 1, 5)) end
end
for _, a in ipairs { { "x", 1 << 31 }, { "x", (1 << 31) - 1, "yy" }, { "", 5 }, { "", 5, "" }, { "ab", math.maxinteger }, { "x",
  -1 }, { "abc", 1, "," }, { 12, 3, 4 }, { "x", 2.5 } } do
  try(string.rep, table.unpack(a))
end
for _, s in ipairs { ("a\0001\n\"\\\r\200\127\t9"):rep(20000), ("\0"):rep(70000) .. "9", ("x"):rep(70000) } do
  for _, f in ipairs { "%d %q %5.2s|%%q %q", "%q", "%5q", "%s%q", "%q%q%q%q%q" } do
    local ok, r = pcall(string.format, f, f:find "%%d" and 3 or s, s, "xyz", s)
    local sum = 0
    for i = 1, #r do sum = (sum * 31 + r:byte(i)) % 1000003 end
    line(ok, #r, sum)
  end
end
try(function() return ("x"):rep(3), ("xay"):find("a", 1, true), ("a,b"):gsub(",", ";") end)

-- table
local function values(t, n) return table.unpack(t, 1, n or #t) end
for _ = 1, count do
  local t, n = {}, random(0, 8)
  for i = 1, n do t[i] = random(20) end
  local a, b = pick { nil, 1, 2, n, n + 1, n + 2, 0, -1, "1", 1.5, math.maxinteger, math.mininteger, {} }, pick { nil, 1, 7, "x" }
  if a == nil then try(table.insert, t, b) else try(table.insert, t, a, b) end
  line(values(t))
  try(table.remove, t, pick { nil, 1, 2, n, n + 1, n + 2, 0, -1, "2", 1.5, math.mininteger })
  line(values(t))
  try(function() return values(table.move(t, pick { 1, 2, 0, n }, pick { 0, 1, n, n + 1 }, pick { 1, 2, 3, -1, n,
    math.maxinteger }), 9) end)
  try(table.move, t, pick { 1, math.mininteger, -1 }, 3, pick { 1, math.maxinteger, 0 }, pick { {}, 3, nil })
  try(table.move, t, pick { math.mininteger, -1, 0 }, math.maxinteger, pick { 1, math.maxinteger, 0 })
  try(table.concat, t, pick { nil, "", ",", 7, {} }, pick { nil, 1, 2, n, -1, "x" }, pick { nil, n, 0, n + 1, 3 })
  try(table.unpack, t, pick { nil, 1, 2, -1, "1", math.mininteger }, pick { nil, n, n + 2, 3, math.maxinteger })
end
local proxy = setmetatable({}, { __len = function() return 4 end, __index = function(_, i) return i < 5 and i * 2 or nil end,
  __newindex = function(_, k, v) line("set", k, v) end })
for _, name in ipairs { "insert", "remove", "concat", "unpack", "sort" } do
  for _, it in ipairs { proxy, 3, "abc", print, false } do
    try(table[name], it)
    try(table[name], it, 2)
    try(table[name], it, 2, 3)
    try(table[name], it, 2, 3, 4)
  end
  try(table[name])
end
try(table.move, proxy, 1, 4, 2)
try(table.move, proxy, 1, 4, 2, {})
try(table.move, {}, 1, 2, 3, proxy)
try(table.insert, setmetatable({}, { __len = function() return math.maxinteger end }), 1)
try(table.concat, setmetatable({}, { __len = function() return "x" end }))

-- sort: the same results, and the same comparisons in the same order, good order or not
local bad = { function() return true end, function() return false end, function() return random(2) == 1 end, function(a,
  b) return a <= b end,
  function(a, b) return a > b end, function(a, b) return a % 5 < b % 5 end, function(a,
    b) if a == 3 then error "three" end return a < b end, nil, nil, nil }
for _ = 1, count do
  local t, n, order = {}, pick { 0, 1, 2, 3, 4, 5, 8, 20, 90, 150 }, bad[random(10)]
  for i = 1, n do t[i] = pick { random(10), random(1000) } end
  if random(20) == 1 and n > 0 then t[random(n)] = pick { "x", {}, 1.5 } end
  local seen, state = 0, random(1 << 30)
  math.randomseed(state)
  local ok, err = pcall(table.sort, t, order and function(a, b)
    seen = (seen * 31 + (math.tointeger(a) or 7) * 17 + (math.tointeger(b) or 3)) % 1000003
    return order(a, b)
  end)
  line(ok, err, seen, values(t))
  math.randomseed(state)
end
try(table.sort, { 1, 2 }, 3)
try(table.sort, { 1, "x" })
try(table.sort, { 3, 1, 2, nil, 5 })
print(coroutine.wrap(function() return pcall(table.sort, { 3, 2, 1 }, function() coroutine.yield() end) end)())
print(coroutine.wrap(function() return pcall(string.gsub, "abc", "%w", function() coroutine.yield() end) end)())
