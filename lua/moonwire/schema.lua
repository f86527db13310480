--- What messages must look like: `mw.schema`. A schema is a value that never changes, made of others; it reads JSON and
--- MessagePack, checking on the way, and checks Lua values. Here it is described, in codec/shape it is compiled and run.

local _, core = ...

local door, options = core.schema, core.arg.options
local fail, raise = core.err.fail, core.err.raise
local format, concat, sort = string.format, table.concat, table.sort
local mtype = math.type

--- What messages must look like. A schema is a value that never changes, made of others; it reads JSON and MessagePack, checking on
--- the way, checks Lua values, and is an option of `stream:framed`.
---
--- ```lua
--- local s = mw.schema
--- local Msg = s.object({
---   type = s.string{ max = 64 },
---   items = s.array(s.integer{ min = 0 }),
---   note = s.optional(s.string()),
--- })
--- local msg, err = Msg:parse(bytes, { codec = "json", max_bytes = "1MiB" })
--- if not msg then print(err.data.path, err) end        -- items[3]
--- ```
---@class moonwire.schema
local schema = {}

local TEXT_MAX = 480 -- bytes of what tostring says of one schema
local WORDS_MAX = 120 -- bytes of what an error says was expected

local function invalid(op, text, ...)
  raise(fail("EINVAL", "schema." .. op, nil, format(text, ...)))
end

local function cut(text, max)
  if #text <= max then return text end
  local to = max - 3
  while to > 0 and text:byte(to + 1) & 0xc0 == 0x80 do
    to = to - 1
  end
  return text:sub(1, to) .. "..."
end

--- The description of a schema, or an error that names what stands there instead.
local function described(op, what, v, field)
  local d = door.describe(v)
  if not d then
    local hint = type(v) == "function" and "; was the call forgotten, as in s.string()?" or ""
    invalid(op, "%s must be a schema, got %s%s", what, v == nil and "nothing" or type(v), hint)
  end
  if d.kind == "optional" and not field then
    invalid(op, "%s cannot be optional: only the fields of an object can", what)
  end
  return d
end

--- `name{ a = 1, b = 2 }`, from the options that were given.
local function show(name, opts, inner)
  local parts = { inner }
  local keys = {}
  for k in pairs(opts) do keys[#keys + 1] = k end
  sort(keys)
  for _, k in ipairs(keys) do
    local v = opts[k]
    parts[#parts + 1] = k .. " = " .. (type(v) == "string" and format("%q", v) or tostring(v))
  end
  if #parts == 0 then return name end
  return cut(name .. (#parts == 1 and inner and "(" .. inner .. ")" or "{ " .. concat(parts, ", ") .. " }"), TEXT_MAX)
end

local function make(d)
  d.expected = cut(d.expected, WORDS_MAX)
  d.text = cut(d.text, TEXT_MAX)
  return door.make(d)
end

--- min and max as whole numbers that are no less than 0.
local function counts(op, opts)
  local min, max = opts.min or 0, opts.max or math.maxinteger
  if min < 0 or max < min then invalid(op, "min and max must be 0 or more, and min at most max") end
  return min, max
end

--- "3 to 5 bytes", "at most 64 bytes", "" for no limits.
local function amount(opts, one, many)
  local min, max = opts.min, opts.max
  if not min and not max then return "" end
  local function with(n, words) return format("%s%d %s", words, n, n == 1 and one or many) end
  if not max then return " of " .. with(min, "at least ") end
  if not min or min == 0 then return " of " .. with(max, "at most ") end
  if min == max then return " of " .. with(min, "") end
  return format(" of %d to %d %s", min, max, many)
end

-- Scalars ------------------------------------------------------------------------------------------------------------

local string_options = { min = "size", max = "size", pattern = "string", utf8 = "flag" }

--- A string, of so many bytes, in a form that a pattern tells. No options: any string.
---
--- ```lua
--- s.string{ min = 1, max = 64, pattern = "^[%w_]+$" }
--- ```
---@param opts? moonwire.StringShape
---@return moonwire.Schema schema
function schema.string(opts)
  local o = options(opts, string_options, "schema.string")
  local min, max = counts("string", o)
  if o.pattern then
    local ok, why = pcall(string.find, "", o.pattern)
    if not ok then invalid("string", "the pattern %q: %s", o.pattern, tostring(why):gsub("^.-: ", "")) end
  end
  local expected = "a string" .. amount(o, "byte", "bytes")
  if o.utf8 then expected = expected .. " in UTF-8" end
  if o.pattern then expected = expected .. " that matches " .. cut(format("%q", o.pattern), 60) end
  return make {
    kind = "string", min = min, max = max, pattern = o.pattern, utf8 = o.utf8, expected = expected,
    text = show("string", o),
  }
end

local function number_words(noun, o)
  local parts = {}
  if o.min and o.max and not o.above and not o.below then
    return format("%s from %s to %s", noun, o.min, o.max)
  end
  if o.min then parts[#parts + 1] = format("%s %s", o.exclusive_min and "above" or "of at least", o.min) end
  if o.max then parts[#parts + 1] = format("%s %s", o.exclusive_max and "below" or "of at most", o.max) end
  return #parts == 0 and noun or noun .. " " .. concat(parts, " and ")
end

--- An integer: what Lua calls one. `3.0`, in JSON or from Lua, is a float, and refused.
---@param opts? { min?: integer, max?: integer }  at least, at most
---@return moonwire.Schema schema
function schema.integer(opts)
  local o = options(opts, { min = "integer", max = "integer" }, "schema.integer")
  local min, max = o.min or math.mininteger, o.max or math.maxinteger
  if min > max then invalid("integer", "min is above max") end
  return make { kind = "integer", min = min, max = max, expected = number_words("an integer", o), text = show("integer", o) }
end

local number_options = { min = "number", max = "number", above = "number", below = "number", finite = "flag" }

--- A number: an integer or a float, within limits.
---@param opts? moonwire.NumberShape
---@return moonwire.Schema schema
function schema.number(opts)
  local o = options(opts, number_options, "schema.number")
  if o.min and o.above or o.max and o.below then invalid("number", "min and above, or max and below: one of the two") end
  local min, max = o.min or o.above, o.max or o.below
  if min ~= min or max ~= max then invalid("number", "NaN is no limit") end
  if min and max and (min > max or min == max and (o.above or o.below)) then invalid("number", "no number is within these limits") end
  local words = { min = min, max = max, exclusive_min = o.above, exclusive_max = o.below, above = o.above, below = o.below }
  return make {
    kind = "number", min = min, max = max, above = o.above ~= nil, below = o.below ~= nil, finite = o.finite ~= false,
    expected = number_words("a number", words), text = show("number", o),
  }
end

--- A boolean: true or false, and nothing that stands for them.
---@param opts? table  there are none: {}
---@return moonwire.Schema schema
function schema.boolean(opts)
  if opts ~= nil then options(opts, {}, "schema.boolean") end
  return make { kind = "boolean", expected = "a boolean", text = "boolean" }
end

--- Any value that the codec can hold, whatever it is, with all that is in it.
---@param opts? table  there are none: {}
---@return moonwire.Schema schema
function schema.any(opts)
  if opts ~= nil then options(opts, {}, "schema.any") end
  return make { kind = "any", expected = "a value", text = "any" }
end

local null = core.json.null

local function shown(op, v)
  local kind = type(v)
  if kind == "string" then return format('"%s"', cut(v, 40):gsub("%c", "?")) end
  if kind == "boolean" or v == null then return tostring(v) end
  if kind ~= "number" then invalid(op, "a string, a number, a boolean or mw.null expected, got %s", v == nil and "nothing" or kind) end
  if v ~= v then invalid(op, "NaN equals nothing") end
  return mtype(v) == "integer" and format("%d", v) or format("%.14g", v)
end

local function literals(op, values)
  local words, seen = {}, {}
  for i, v in ipairs(values) do
    words[i] = shown(op, v)
    if seen[v] then invalid(op, "%s stands there twice", words[i]) end
    seen[v] = true
  end
  local list = concat(words, ", ")
  return make {
    kind = "literal", values = values, expected = #values == 1 and list or "one of " .. list,
    text = #values == 1 and "literal(" .. list .. ")" or "enum{ " .. cut(list, TEXT_MAX - 10) .. " }",
  }
end

--- Exactly this value: a string, a number, a boolean or mw.null. An integer is not met by a float.
---@param value string|number|boolean|lightuserdata
---@return moonwire.Schema schema
function schema.literal(value)
  shown("literal", value)
  return literals("literal", { value })
end

--- One of these values: strings, numbers, booleans, mw.null.
---
--- ```lua
--- s.enum{ "red", "green", 3 }
--- ```
---@param values (string|number|boolean|lightuserdata)[]
---@return moonwire.Schema schema
function schema.enum(values)
  if type(values) ~= "table" or rawlen(values) == 0 then invalid("enum", "a list of values expected") end
  local own = {}
  for i = 1, rawlen(values) do
    own[i] = rawget(values, i)
    shown("enum", own[i])
  end
  return literals("enum", own)
end

-- What holds others ----------------------------------------------------------------------------------------------------

--- An array, each element of which is an `of`.
---@param of moonwire.Schema
---@param opts? moonwire.ArrayShape
---@return moonwire.Schema schema
function schema.array(of, opts)
  local d = described("array", "what an array is of", of)
  local o = options(opts, { min = "integer", max = "integer", unique = "flag" }, "schema.array")
  local min, max = counts("array", o)
  if o.unique and not door.accepts(of, "scalar") then
    invalid("array", "unique is for strings, numbers, booleans and null: %s are not compared", d.text)
  end
  return make {
    kind = "array", of = of, min = min, max = max, unique = o.unique, expected = "an array" .. amount(o, "element", "elements"),
    text = show("array", o, d.text),
  }
end

--- An object with any keys: each key a `key`, a schema of strings, each value an `of`.
---@param key moonwire.Schema
---@param of moonwire.Schema
---@param opts? { min?: integer, max?: integer }  pairs
---@return moonwire.Schema schema
function schema.map(key, of, opts)
  local k, d = described("map", "the key of a map", key), described("map", "the value of a map", of)
  if not door.accepts(key, "string") then invalid("map", "the key of a map must be a schema of strings, got %s", k.text) end
  local o = options(opts, { min = "integer", max = "integer" }, "schema.map")
  local min, max = counts("map", o)
  return make {
    kind = "map", key = key, of = of, min = min, max = max, expected = "an object" .. amount(o, "pair", "pairs"),
    text = show("map", o, k.text .. ", " .. d.text),
  }
end

local extras = { reject = 0, keep = 1, drop = 2 }

--- An object with these fields. What other fields get: "reject" (the default), "keep", as they are, or "drop".
---
--- ```lua
--- s.object({ id = s.integer(), note = s.optional(s.string()) },
---   { extra = "drop" })
--- ```
---@param fields table<string, moonwire.Schema>
---@param opts? { extra?: "reject"|"keep"|"drop" }
---@return moonwire.Schema schema
function schema.object(fields, opts)
  if type(fields) ~= "table" then invalid("object", "a table of fields expected, got %s", type(fields)) end
  local o = options(opts, { extra = "string" }, "schema.object")
  local extra = extras[o.extra or "reject"]
  if not extra then invalid("object", 'extra must be "reject", "keep" or "drop", got %q', o.extra) end
  local names, shapes, parts, size = {}, {}, {}, 0
  for name in next, fields do
    if type(name) ~= "string" then invalid("object", "the name of a field must be a string, got %s", tostring(name)) end
    names[#names + 1] = name
  end
  sort(names)
  for i, name in ipairs(names) do
    local field = rawget(fields, name)
    local d = described("object", format("the field %q", name), field, true)
    shapes[i] = field
    if size < TEXT_MAX then
      local key = name:match("^[%a_][%w_]*$") and name or format("[%q]", name)
      parts[i] = key .. " = " .. cut(d.text, 160)
      size = size + #parts[i] + 2
    end
  end
  local text = #parts == 0 and "object{}" or "object{ " .. concat(parts, ", ") .. " }"
  if o.extra then text = format("object(%s, { extra = %q })", cut(text:sub(7), TEXT_MAX - 40), o.extra) end
  return make { kind = "object", names = names, shapes = shapes, extra = extra, expected = "an object", text = text }
end

--- A field of an object that may be absent (in Lua: nil). null is a value, and not absence: see `nullable`.
---@param of moonwire.Schema
---@param opts? { default?: any }  what stands there when the field is absent; it must fit `of`, and is copied each time
---@return moonwire.Schema schema
function schema.optional(of, opts)
  local d = described("optional", "what is optional", of)
  local o = options(opts, { default = "any" }, "schema.optional")
  local default
  if o.default ~= nil then
    local err
    default, err = of:check(o.default)
    if err then invalid("optional", "the default does not fit: %s", err.message) end
  end
  return make {
    kind = "optional", of = of, default = default, expected = d.expected,
    text = show("optional", default ~= nil and type(default) ~= "table" and { default = default } or {}, d.text),
  }
end

-- Choices -----------------------------------------------------------------------------------------------------------------

local function union(op, variants)
  local words, texts, values, said = {}, {}, {}, {}
  for i, v in ipairs(variants) do
    local d = described(op, format("variant %d", i), v)
    texts[i] = d.text
    if not said[d.expected] then
      said[d.expected] = true
      words[#words + 1] = d.expected
    end
    if d.kind == "literal" and values then
      for _, value in ipairs(d.values) do values[#values + 1] = value end
    else
      values = nil
    end
  end
  if values then return literals(op, values) end
  return make {
    kind = "one_of", variants = variants, expected = concat(words, " or "), text = "one_of{ " .. concat(texts, ", ") .. " }",
  }
end

--- One of several. What a value is decides between variants of different types; between objects, a field that is a literal
--- string in each, and another one in each, does; else they are tried in order.
---
--- ```lua
--- s.one_of{
---   s.object{ kind = s.literal("circle"), r = s.number() },
---   s.object{ kind = s.literal("square"), side = s.number() },
--- }
--- ```
---@param variants moonwire.Schema[]  at most 100
---@return moonwire.Schema schema
function schema.one_of(variants)
  if type(variants) ~= "table" or rawlen(variants) == 0 then invalid("one_of", "a list of schemas expected") end
  local own = {}
  for i = 1, rawlen(variants) do own[i] = rawget(variants, i) end
  if #own > 100 then invalid("one_of", "100 variants are the most, got %d", #own) end
  return union("one_of", own)
end

--- `of`, or null (mw.null). A field that may be absent is `optional`.
---@param of moonwire.Schema
---@return moonwire.Schema schema
function schema.nullable(of)
  local d = described("nullable", "what is nullable", of)
  if door.accepts(of, "null") and d.kind ~= "ref" then return of end
  return union("nullable", { of, literals("nullable", { null }) })
end

--- A schema that holds itself: trees, lists.
---
--- ```lua
--- s.recursive(function(node)
---   return s.object{ name = s.string(), children = s.array(node) }
--- end)
--- ```
---@param build fun(itself: moonwire.Schema): moonwire.Schema
---@return moonwire.Schema schema
function schema.recursive(build)
  if type(build) ~= "function" then invalid("recursive", "a function expected, got %s", type(build)) end
  local ref = make { kind = "ref", expected = "the schema around it", text = "itself" }
  local whole = build(ref)
  described("recursive", "what the function returns", whole)
  local ok, why = pcall(door.resolve, ref, whole)
  if not ok then invalid("recursive", "%s", tostring(why):gsub("^.-:%d+: ", "")) end
  return whole
end

return schema
