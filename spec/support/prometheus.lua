--- The text format of Prometheus 0.0.4, as a grammar: check(text) fails at the first line that breaks it, and gives the values by
--- series. Knows: Lua. Never: lenient.
local NAME, LABEL = "^[%a_:][%w_:]*", "^[%a_][%w_]*"

local function label_value(text, at, line)
  local out = {}
  while true do
    local c = text:sub(at, at)
    assert(c ~= "" and c ~= "\n", "a label's value has no end: " .. line)
    if c == '"' then return table.concat(out), at + 1 end
    if c == "\\" then
      local as = ({ ["\\"] = "\\", n = "\n", ['"'] = '"' })[text:sub(at + 1, at + 1)]
      out[#out + 1] = assert(as, "an escape that is none: " .. line)
      at = at + 1
    else
      out[#out + 1] = c
    end
    at = at + 1
  end
end

local function labels(line, at)
  local seen = {}
  if line:sub(at, at) ~= "{" then return seen, at end
  at = at + 1
  while true do
    local name = assert(line:match(LABEL, at), "a label is expected: " .. line)
    assert(not seen[name], "a label twice: " .. line)
    at = at + #name
    assert(line:sub(at, at + 1) == '="', '=" is expected: ' .. line)
    seen[name], at = label_value(line, at + 2, line)
    local c = line:sub(at, at)
    at = at + 1
    if c == "}" then return seen, at end
    assert(c == ",", ", or } is expected: " .. line)
  end
end

local function number(text)
  if text == "NaN" or text == "+Inf" or text == "-Inf" then return true end
  return text:find "^-?%d+%.?%d*$" ~= nil or text:find "^-?%d+%.?%d*e[+-]%d+$" ~= nil
end

--- The family that a line's name belongs to.
local function family(name, types)
  if types[name] then return name end
  local base = name:match "^(.*)_bucket$" or name:match "^(.*)_sum$" or name:match "^(.*)_count$"
  if base and (types[base] == "histogram" or types[base] == "summary") then return base end
end

return function(text)
  assert(text == "" or text:sub(-1) == "\n", "the last line has no end")
  assert(utf8.len(text), "no UTF-8")
  assert(not text:find("\0", 1, true), "a NUL")
  local types, done, series, last = {}, {}, {}, nil
  for line in text:gmatch "([^\n]*)\n" do
    local what, name, rest = line:match "^# (%u+) (%S+) (.*)$"
    if what == "TYPE" then
      assert(name:find(NAME .. "$") and not types[name], "a name twice: " .. line)
      assert(({ counter = 1, gauge = 1, histogram = 1, summary = 1 })[rest], "a type that is none: " .. line)
      types[name] = rest
    elseif what == "HELP" then
      assert(name:find(NAME .. "$") and not types[name] and not rest:gsub("\\[\\n]", ""):find("\\", 1, true), line)
    else
      name = assert(line:match(NAME), "a name is expected: " .. line)
      local set, at = labels(line, #name + 1)
      local value = assert(line:match("^ (%S+)$", at), "a value is expected: " .. line)
      assert(number(value), "no number: " .. line)
      local own = assert(family(name, types), "no TYPE before " .. line)
      assert(own == last or not done[own], "lines of a metric are apart: " .. line)
      last, done[own] = own, true
      local key, names = name, {}
      for k in pairs(set) do names[#names + 1] = k end
      table.sort(names)
      for _, k in ipairs(names) do key = key .. "\0" .. k .. "\0" .. set[k] end
      assert(series[key] == nil, "a series twice: " .. line)
      series[key] = tonumber(value) or value
    end
  end
  return series
end
