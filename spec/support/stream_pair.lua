--- Two ends of a connection for a spec, closed after each test: `local pair, keep = require "spec.support.stream_pair"(after_each)`.
--- Knows: mw. Never: frames.
local mw = require "moonwire"

local count = 0

---@param after_each fun(f: fun())  the spec's
---@return fun(): moonwire.Stream, moonwire.Stream pair
---@return fun(it: any): any keep  closes it after the test, and gives it back
return function(after_each)
  local open = {}

  after_each(function()
    for _, it in ipairs(open) do it:close() end
    open = {}
  end)

  local function keep(it)
    open[#open + 1] = it
    return it
  end

  local function pair()
    count = count + 1
    local server <close> = assert(mw.net.listen(("unix:@moonwire-spec-pair-%d-%d"):format(mw.sys.pid(), count)))
    return keep(assert(mw.net.connect(server:address()))), keep(assert(server:accept()))
  end

  return pair, keep
end
