--- Values as text that a person can read: cycles shown, keys sorted, depth and length bounded. How is in moonwire.inspect_walk.

local _, core = ...

local fail, raise, options = core.err.fail, core.err.raise, core.arg.options
local format = ("").format -- no script has changed that one
local walk = core.module("moonwire.inspect_walk")

local WIDTH = 80 -- columns of a line before a table is broken over several
local DEPTH = 8 -- levels of tables
local MAX = 65536 -- bytes of the whole
local DEPTH_MOST = 64 -- the stack of C functions is finite

local known = { depth = "integer", max = "size", line = "flag", width = "integer", items = "integer", text = "size", from = "integer" }

local function check(value, name, least, most)
  if value < least or value > most then
    raise(fail("EINVAL", "inspect", nil, format('option "%s" must be between %d and %d', name, least, most)))
  end
  return value
end

local function inspect(v, opts)
  local o = options(opts, known, "inspect")
  return (walk(v, {
    depth = check(o.depth or DEPTH, "depth", 0, DEPTH_MOST),
    left = o.max or MAX,
    line = o.line,
    width = check(o.width or WIDTH, "width", 1, 1000000),
    items = check(o.items or math.maxinteger, "items", 1, math.maxinteger),
    text = o.text or math.maxinteger,
    from = check(o.from or 0, "from", 0, math.maxinteger),
  }))
end

return inspect
