--- From runs to medians, spreads and ratios.
local stats = {}

local function median(sorted)
  local n = #sorted
  return n % 2 == 1 and sorted[n // 2 + 1] or (sorted[n // 2] + sorted[n // 2 + 1]) / 2
end

--- The best of rows by `figure`, among those that `which` likes.
local function best(figure, rows, which)
  local found
  for _, row in ipairs(rows) do
    if which(row) and (not found or figure.less and row.median < found.median or not figure.less and row.median > found.median) then
      found = row
    end
  end
  return found
end

local function quotient(a, b)
  return a and b and b.median ~= 0 and a.median / b.median or nil
end

--- A row for each entry that was measured: median, least, most, values, and its quotients by the best peer and by C.
function stats.rows(figure, entries)
  local rows = {}
  for _, entry in ipairs(entries) do
    local values = {}
    for i, run in ipairs(entry.runs) do values[i] = figure.of(run) end
    if values[1] and not entry.failed then
      local sorted = table.move(values, 1, #values, 1, {})
      table.sort(sorted)
      rows[#rows + 1] = { entry = entry, values = values, median = median(sorted), least = sorted[1], most = sorted[#sorted] }
    end
  end
  local peer = best(figure, rows, function(row) return row.entry.peer.name ~= "moonwire" and not row.entry.reference end)
  local c = best(figure, rows, function(row) return row.entry.peer.name == "c" end)
  local ours = best(figure, rows, function(row) return row.entry.peer.name == "moonwire" end)
  for _, row in ipairs(rows) do
    row.to_peer, row.to_c = quotient(row, peer), quotient(row, c)
  end
  return rows, ours, peer, c
end

return stats
