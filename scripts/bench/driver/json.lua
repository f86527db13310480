--- Writes results as JSON. Keys are sorted, so that two files can be compared.
local json = {}

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t" }

local function quoted(s)
  return '"' .. s:gsub('[%c"\\]', function(c) return escapes[c] or ("\\u%04x"):format(c:byte()) end) .. '"'
end

local encode

local function members(t, indent)
  local keys, parts = {}, {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do parts[i] = ("%s%s: %s"):format(indent, quoted(key), encode(t[key], indent)) end
  return parts
end

function encode(v, indent)
  if type(v) == "string" then return quoted(v) end
  if math.type(v) == "float" then return (("%.9g"):format(v)) end
  if type(v) ~= "table" then return tostring(v) end
  local inner, parts = indent .. "  ", {}
  if v[1] == nil and next(v) ~= nil then
    return "{\n" .. table.concat(members(v, inner), ",\n") .. "\n" .. indent .. "}"
  end
  for i, item in ipairs(v) do parts[i] = encode(item, inner) end
  if type(v[1]) == "table" then return "[\n" .. inner .. table.concat(parts, ",\n" .. inner) .. "\n" .. indent .. "]" end
  return "[" .. table.concat(parts, ", ") .. "]"
end

local function row(r)
  return {
    program = r.entry.peer.name, variant = r.entry.label, reference = r.entry.reference or nil, amount = r.entry.n,
    median = r.median, least = r.least, most = r.most, values = r.values, to_best_peer = r.to_peer, to_c = r.to_c,
  }
end

--- All of it: what ran where, and for every workload and figure one row for each program.
function json.results(about, results)
  local workloads = {}
  for i, it in ipairs(results) do
    local figures, failed = {}, {}
    for k, f in ipairs(it.figures) do
      local rows = {}
      for n, r in ipairs(f.rows) do rows[n] = row(r) end
      figures[k] = {
        key = f.figure.key, unit = f.figure.unit, shape = f.figure.shape, better = f.figure.less and "less" or "more", rows = rows,
        best_peer = f.best_peer and f.best_peer.entry.name,
      }
    end
    for _, entry in ipairs(it.entries) do
      if entry.failed then failed[#failed + 1] = { program = entry.name, why = entry.failed } end
    end
    workloads[i] = { name = it.workload.name, title = it.workload.title, figures = figures, failed = failed }
  end
  return encode({ about = about, workloads = workloads }, "") .. "\n"
end

return json
