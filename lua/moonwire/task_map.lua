--- mw.task.map: a function over a list, several items at a time. Returns that one function.
local _, core = ...
local raw, err, arg = core.task, core.err, core.arg
local pack, setmetatable, type, pcall, error, min = table.pack, setmetatable, type, pcall, error, math.min

local function invalid(what)
  return err.raise(err.fail("EINVAL", "task.map", nil, what))
end

---@param items any[]
---@param f fun(item: any, index: integer): any, any
---@param opts? { limit?: integer, ordered?: boolean }
---@return fun(): integer?, any, any next  index, result, err
return function(items, f, opts)
  if type(items) ~= "table" then invalid("a list is expected, got " .. type(items)) end
  if type(f) ~= "function" then invalid("a function is expected, got " .. type(f)) end
  opts = arg.options(opts, { limit = "integer", ordered = "flag" }, "task.map")
  local limit, ordered, n = opts.limit or 16, opts.ordered ~= false, #items
  if limit < 1 then invalid("option \"limit\" must be at least 1") end
  local results, order, changed, begun, asked = {}, {}, raw.cond(), 0, 0
  local s = raw.scope()

  local function work()
    while begun < n do
      begun = begun + 1
      local i = begun
      local out = pack(pcall(f, items[i], i))
      if not out[1] and err.is(out[2]) and out[2].code == "ECANCELED" then error(out[2], 0) end
      if out[1] then
        results[i] = { out[2], out[3] }
      else
        results[i] = { nil, out[2] }
      end
      order[#order + 1] = i
      changed:wake()
    end
  end
  for _ = 1, min(limit, n) do s:spawn(work) end

  local function step()
    if asked >= n then
      s:close()
      return nil
    end
    asked = asked + 1
    while ordered and not results[asked] or not order[asked] do changed:wait() end
    local i = ordered and asked or order[asked]
    local r = results[i]
    results[i] = false
    return i, r[1], r[2]
  end
  local closer = setmetatable({}, {
    __close = function()
      s:cancel("the loop over task.map was left")
      s:close()
    end,
  })
  return step, nil, nil, closer
end
