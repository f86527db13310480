--- Draws results as an SVG picture: a panel for each figure, a bar for each program, as long as it is good: the best peer is 1.
--- Ratios only: seconds and bytes belong to the machine they were measured on.
local text = require "text"
local chart = {}

local WIDTH, MARGIN, GAP = 980, 32, 28          -- of the picture, around it, between its two columns
local PANEL = (WIDTH - 2 * MARGIN - GAP) / 2
local HEAD, ROW, BAR, FOOT = 46, 21, 13, 22     -- heights: of a panel's title, of a bar with its space, of a bar, below the bars
local NAMES, NUMBERS = 148, 44                  -- what stands left and right of the bars
local TOP, BOTTOM = 92, 76                      -- the picture's title, and what it says at the end

local STYLE = [[
  <style>
    text { font-family: "Inter", "Helvetica Neue", Helvetica, Arial, "DejaVu Sans", sans-serif; fill: #1f2933; }
    .title { font-size: 22px; font-weight: 700; }
    .about { font-size: 12.5px; fill: #616e7c; }
    .name { font-size: 13.5px; font-weight: 700; }
    .what { font-size: 11.5px; fill: #7b8794; }
    .row { font-size: 12px; fill: #3e4c59; }
    .ours { font-weight: 700; fill: #0b69a3; }
    .small { font-size: 10.5px; fill: #9aa5b1; }
    .end { text-anchor: end; }
    .middle { text-anchor: middle; }
  </style>]]

local FILL = { ours = "#1992d4", peer = "#9aa5b1", best = "#616e7c", reference = "url(#hatch)" }

local function escaped(s)
  return (s:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

local function word(x, y, class, s)
  return ('  <text x="%.1f" y="%.1f" class="%s">%s</text>'):format(x, y, class, escaped(s))
end

--- How good a value is, with the best peer as 1.
local function merit(figure, value, peer)
  if figure.less then return peer.median / math.max(value, 1e-12) end
  return value / peer.median
end

local function kind_of(row, peer)
  if row.entry.peer.name == "moonwire" then return "ours" end
  return row.entry.reference and "reference" or row == peer and "best" or "peer"
end

--- The whole of the scale and its step. It ends at twice the best that is no reference: what goes beyond is cut off.
local function scale_of(rows, figure, peer)
  local most, bound = 1, 1
  for _, row in ipairs(rows) do
    local m = merit(figure, row.median, peer)
    most = math.max(most, m)
    if not row.entry.reference then bound = math.max(bound, m) end
  end
  most = math.min(most * 1.08, 2 * bound)
  for _, step in ipairs { 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100 } do
    if most / step <= 5 then return most, step end
  end
  return most, most
end

local function ticks(out, x, y, height, width, whole, step)
  for i = 0, math.floor(whole / step + 1e-6) do
    local at = x + width * i * step / whole
    local best = math.abs(i * step - 1) < 1e-6
    out[#out + 1] = ('  <line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s" stroke-width="1"/>'):format(at, at, y, y + height,
      best and "#616e7c" or "#e4e7eb")
    out[#out + 1] = word(at, y + height + 13, "small middle", ("%g"):format(i * step))
  end
end

local function bar(out, x, y, width, whole, row, figure, peer)
  local kind = kind_of(row, peer)
  local m = merit(figure, row.median, peer)
  local low, high = merit(figure, row.least, peer), merit(figure, row.most, peer)
  if low > high then low, high = high, low end
  local function place(v) return x + width * math.min(v, whole) / whole end
  local middle = y + ROW / 2
  out[#out + 1] = word(x - 8, middle + 4, kind == "ours" and "row end ours" or "row end", row.entry.name)
  out[#out + 1] = ('  <rect x="%.1f" y="%.1f" width="%.1f" height="%d" rx="2" fill="%s"%s/>'):format(x, middle - BAR / 2,
    math.max(place(m) - x, 1), BAR, FILL[kind], kind == "reference" and ' stroke="#cbd2d9"' or "")
  if m > whole then -- cut off: the bar is broken near its end
    out[#out + 1] = ('  <path d="M%.1f %.1fl6 -%dM%.1f %.1fl6 -%d" stroke="#ffffff" stroke-width="3"/>'):format(
      x + width - 20, middle + 9, 18, x + width - 14, middle + 9, 18)
  elseif #row.values > 1 then
    out[#out + 1] = ('  <path d="M%.1f %.1fH%.1fM%.1f %.1fv6M%.1f %.1fv6" stroke="#1f2933" stroke-opacity="0.55" fill="none"/>'):format(
      place(low), middle, place(high), place(low), middle - 3, place(high), middle - 3)
  end
  out[#out + 1] = word(x + width + NUMBERS, middle + 4, kind == "ours" and "row end ours" or "row end", text.ratio(m))
end

local function panel_height(f)
  return HEAD + #f.rows * ROW + FOOT
end

local function panel(out, x, y, it, f)
  local peer, figure, rows = f.best_peer, f.figure, { table.unpack(f.rows) }
  table.sort(rows, function(a, b) return merit(figure, a.median, peer) > merit(figure, b.median, peer) end)
  local whole, step = scale_of(rows, figure, peer)
  local left, width = x + NAMES, PANEL - NAMES - NUMBERS
  out[#out + 1] = word(x, y + 14, "name", it.workload.name .. (#it.figures > 1 and ": " .. figure.unit or ""))
  out[#out + 1] = word(x, y + 30, "what", it.workload.title)
  ticks(out, left, y + HEAD - 4, #rows * ROW + 4, width, whole, step)
  for i, row in ipairs(rows) do bar(out, left, y + HEAD + (i - 1) * ROW, width, whole, row, figure, peer) end
end

--- Panels one below the other, each in the column that is shorter; gives where each stands, and the height of all.
local function layout(results)
  local heights, places = { TOP, TOP }, {}
  for _, it in ipairs(results) do
    for _, f in ipairs(it.figures) do
      if f.best_peer and not f.figure.detail then
        local column = heights[1] <= heights[2] and 1 or 2
        places[#places + 1] = { x = MARGIN + (column - 1) * (PANEL + GAP), y = heights[column], it = it, f = f }
        heights[column] = heights[column] + panel_height(f) + GAP
      end
    end
  end
  return places, math.max(heights[1], heights[2]) + BOTTOM - GAP
end

--- The whole picture. Workloads without a peer's figure are left out: there is nothing to compare with.
---@return string svg
function chart.draw(about, results)
  local places, height = layout(results)
  local names = {}
  for _, name in pairs(about.programs) do names[#names + 1] = name end
  table.sort(names)
  local out = {
    ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">'):format(WIDTH, height, WIDTH, height),
    '  <defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
      .. '<rect width="5" height="5" fill="#f5f7fa"/><rect width="2" height="5" fill="#cbd2d9"/></pattern></defs>',
    STYLE,
    ('  <rect width="%d" height="%d" rx="10" fill="#ffffff"/>'):format(WIDTH, height),
    word(MARGIN, 44, "title", "moonwire beside its peers"),
    word(MARGIN, 66, "about", ("How many times as good as the best peer: longer is better, in every panel. Medians of %d rounds, "
      .. "the thin line from the worst to the best of them."):format(about.rounds)),
    word(MARGIN, height - 52, "about", ("%d cores, Linux %s. Hatched: for comparison only (C; no object for a message; no loop)."):format(
      about.cores, about.kernel)),
    word(MARGIN, height - 34, "about", table.concat(names, "; ") .. "."),
    word(MARGIN, height - 16, "about", "Repeat it with scripts/dev bench --plot."),
  }
  for _, place in ipairs(places) do panel(out, place.x, place.y, place.it, place.f) end
  out[#out + 1] = "</svg>\n"
  return table.concat(out, "\n")
end

return chart
