--- Figures for people, and the table.
local text = {}

local scales = {
  rate = { { 1e6, " M" }, { 1e4, " k", 1e3 }, { 0, "", 1 } },
  time = { { 1, " s" }, { 1e-3, " ms" }, { 0, " µs", 1e-6 } },
  bytes = { { 1 << 20, " MiB" }, { 10 << 10, " KiB", 1 << 10 }, { -math.huge, " B", 1 } },
}

--- Three digits, and what they count.
function text.figure(value, shape)
  for _, scale in ipairs(scales[shape]) do
    if value >= scale[1] then
      local n = value / (scale[3] or scale[1])
      return (n >= 100 and "%.0f%s" or n >= 10 and "%.1f%s" or "%.2f%s"):format(n, scale[2])
    end
  end
end

local function padded(s, width, right)
  local fill = (" "):rep(math.max(0, width - utf8.len(s)))
  return right and fill .. s or s .. fill
end

--- Lines of cells, each column as wide as it must be; `left[i]`: a column of words.
function text.columns(rows, left)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, utf8.len(cell)) end
  end
  for n, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do cells[i] = padded(cell, widths[i], not left[i]) end
    lines[n] = "  " .. table.concat(cells, "   "):gsub("%s+$", "")
  end
  return table.concat(lines, "\n")
end

function text.ratio(value)
  if not value then return "-" end
  return (value < 0.1 and "%.3f" or value < 100 and "%.2f" or "%.0f"):format(value)
end

--- A figure's table: everybody's median and spread, and the quotients by the best peer and by C.
function text.table(figure, rows, peer)
  local head = ("%s; %s is better"):format(figure.unit, figure.less and "less" or "more")
  local out = { { head, "median", "least .. most", peer and "to " .. peer.entry.name or "to the best peer", "to c" } }
  for _, row in ipairs(rows) do
    out[#out + 1] = {
      row.entry.name .. (row.entry.reference and row.entry.peer.name ~= "c" and " *" or ""),
      text.figure(row.median, figure.shape),
      text.figure(row.least, figure.shape) .. " .. " .. text.figure(row.most, figure.shape),
      text.ratio(row.to_peer), text.ratio(row.to_c),
    }
  end
  return text.columns(out, { true })
end

--- moonwire alone: its best program in each workload.
function text.summary(results)
  local out = { { "workload", "figure", "moonwire", "best peer", "ratio", "to c", "better" } }
  for _, it in ipairs(results) do
    for _, f in ipairs(it.figures) do
      local ours = f.ours
      if ours then
        out[#out + 1] = {
          it.workload.name, f.figure.unit, ours.entry.label or "", f.best_peer and f.best_peer.entry.name or "-",
          text.ratio(ours.to_peer), text.ratio(ours.to_c), f.figure.less and "less" or "more",
        }
      end
    end
  end
  return text.columns(out, { true, true, true, true, false, false, true })
end

return text
