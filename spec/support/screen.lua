--- A terminal that specs can read: what a program writes to its pseudo-terminal becomes rows of characters, as a person would see
--- them. Knows: the sequences of xterm that line editors use; the program on the other side. Never: sleeps; draws colours.
local process = require("moonwire").process

---@class screen
---@field rows integer
---@field cols integer
---@field child moonwire.Process
---@field private cells string[][]      what each cell shows; "" is the right half of a wide character
---@field private gone string[]         rows that left the screen at its top
---@field private row integer           from 1, as all here
---@field private col integer
---@field private full boolean          the last column was written: the next character begins a row
---@field private rest string           bytes that are no whole character or sequence yet
---@field raw string                    all that came
local Screen = {}
Screen.__index = Screen

local WAIT = 30

local function blank(cols)
  local row = {}
  for i = 1, cols do row[i] = " " end
  return row
end

--- Two columns wide, as terminals and the C library have it; the ranges that specs need.
local function width(code)
  if (code >= 0x300 and code <= 0x36f) or (code >= 0xfe00 and code <= 0xfe0f) or (code >= 0x200b and code <= 0x200f) then return 0 end
  if (code >= 0x1100 and code <= 0x115f) or (code >= 0x2e80 and code <= 0xa4cf) or (code >= 0xac00 and code <= 0xd7a3) or
     (code >= 0xf900 and code <= 0xfaff) or (code >= 0xfe30 and code <= 0xfe6f) or (code >= 0xff00 and code <= 0xff60) or
     (code >= 0xffe0 and code <= 0xffe6) or (code >= 0x1f300 and code <= 0x1f64f) or (code >= 0x1f900 and code <= 0x1f9ff) or
     (code >= 0x20000 and code <= 0x3fffd) then return 2 end
  return 1
end

--- An empty screen, without a program.
function Screen.new(rows, cols)
  local self = { rows = rows, cols = cols, cells = {}, gone = {}, row = 1, col = 1, full = false, rest = "", raw = "" }
  for i = 1, rows do self.cells[i] = blank(cols) end
  return setmetatable(self, Screen)
end

--- Starts a program on a terminal of its own: process.spawn's table, and `rows`, `cols`.
function Screen.start(argv)
  local rows, cols = argv.rows or 24, argv.cols or 80
  argv.rows, argv.cols = nil, nil
  argv.pty = { rows = rows, cols = cols }
  local self = Screen.new(rows, cols)
  self.child = assert(process.spawn(argv))
  return self
end

function Screen:scroll()
  self.gone[#self.gone + 1] = table.concat(table.remove(self.cells, 1))
  self.cells[self.rows] = blank(self.cols)
end

function Screen:down()
  if self.row == self.rows then self:scroll() else self.row = self.row + 1 end
end

function Screen:put(text, code)
  local w = width(code)
  if w == 0 then
    local col = self.full and self.cols or self.col - 1
    while col > 1 and self.cells[self.row][col] == "" do col = col - 1 end
    if col >= 1 then self.cells[self.row][col] = self.cells[self.row][col] .. text end
    return
  end
  if self.full or self.col + w - 1 > self.cols then
    self:down()
    self.col = 1
  end
  local row = self.cells[self.row]
  if row[self.col] == "" and self.col > 1 then row[self.col - 1] = " " end
  row[self.col] = text
  if w == 2 then row[self.col + 1] = "" end
  if row[self.col + w] == "" then row[self.col + w] = " " end
  self.full = self.col + w > self.cols
  self.col = math.min(self.col + w, self.cols)
end

function Screen:erase(row, from, to)
  for i = from, to do self.cells[row][i] = " " end
end

local CSI = {}
function CSI.A(s, n) s.row = math.max(1, s.row - n) end
function CSI.B(s, n) s.row = math.min(s.rows, s.row + n) end
function CSI.C(s, n) s.col = math.min(s.cols, s.col + n) end
function CSI.D(s, n) s.col = math.max(1, s.col - n) end
function CSI.G(s, n) s.col = math.min(s.cols, n) end
function CSI.d(s, n) s.row = math.min(s.rows, n) end
function CSI.H(s, n, m) s.row, s.col = math.min(s.rows, n), math.min(s.cols, m or 1) end
CSI.f = CSI.H
function CSI.K(s, _, _, n)
  s:erase(s.row, n == 0 and s.col or 1, n == 1 and s.col or s.cols)
end
function CSI.J(s, _, _, n)
  CSI.K(s, nil, nil, n)
  for row = n == 0 and s.row + 1 or 1, n == 1 and s.row - 1 or s.rows do s:erase(row, 1, s.cols) end
end
function CSI.P(s, n)
  local row = s.cells[s.row]
  for _ = 1, math.min(n, s.cols) do
    table.remove(row, s.col)
    row[s.cols] = " "
  end
end
CSI["@"] = function(s, n)
  local row = s.cells[s.row]
  for _ = 1, math.min(n, s.cols) do
    table.insert(row, s.col, " ")
    row[s.cols + 1] = nil
  end
end
function CSI.X(s, n) s:erase(s.row, s.col, math.min(s.cols, s.col + n - 1)) end
function CSI.L(s, n)
  for _ = 1, math.min(n, s.rows) do
    table.insert(s.cells, s.row, blank(s.cols))
    s.cells[s.rows + 1] = nil
  end
end
function CSI.M(s, n)
  for _ = 1, math.min(n, s.rows) do
    table.remove(s.cells, s.row)
    s.cells[s.rows] = blank(s.cols)
  end
end
function CSI.m() end -- colours
function CSI.h() end -- modes
function CSI.l() end

local CONTROL = {
  ["\r"] = function(s) s.col, s.full = 1, false end,
  ["\n"] = function(s) s:down(); s.full = false end,
  ["\b"] = function(s) s.col, s.full = math.max(1, s.col - (s.full and 0 or 1)), false end,
  ["\t"] = function(s) s.col = math.min(s.cols, (s.col - 1) // 8 * 8 + 9) end,
  ["\a"] = function(s) s.bells = (s.bells or 0) + 1 end,
}

--- One escape sequence at `at`; returns where the next thing begins, or nil when it is not whole yet.
function Screen:sequence(text, at)
  local kind = text:sub(at + 1, at + 1)
  if kind == "" then return nil end
  if kind == "[" then
    local private, numbers, final, next = text:match("^([?!>]?)([%d;]*)([@-~])()", at + 2)
    if not next then return nil end
    if private == "" then
      local act = assert(CSI[final], "the screen does not know CSI " .. numbers .. final)
      local n, m = numbers:match("^(%d*);?(%d*)")
      if final ~= "m" then self.full = false end
      act(self, math.max(1, tonumber(n) or 1), tonumber(m), tonumber(n) or 0)
    elseif private == "?" and numbers == "2004" then
      self.pastes = final == "h"
    end
    return next
  elseif kind == "]" then
    return text:match("^[^\a\27]*\a()", at + 2) or text:match("^[^\a\27]*\27\\()", at + 2)
  elseif kind == "(" or kind == ")" then
    return #text >= at + 2 and at + 3 or nil
  elseif kind == "M" then
    if self.row > 1 then self.row = self.row - 1 end
  end
  return at + 2
end

--- Takes what a program wrote.
function Screen:feed(bytes)
  self.raw = self.raw .. bytes
  local text, at = self.rest .. bytes, 1
  while at <= #text do
    local byte = text:byte(at)
    local next
    if byte == 27 then
      next = self:sequence(text, at)
    elseif byte < 32 or byte == 127 then
      if CONTROL[text:sub(at, at)] then CONTROL[text:sub(at, at)](self) end
      next = at + 1
    else
      local char = text:match("^[%z\1-\127]", at) or text:match("^[\194-\244][\128-\191]+", at)
      local need = byte < 0x80 and 1 or byte < 0xe0 and 2 or byte < 0xf0 and 3 or 4
      if char and #char >= need then
        char = char:sub(1, need)
        self:put(char, utf8.codepoint(char))
        next = at + need
      elseif at + need - 1 > #text then
        break
      else
        next = at + 1
      end
    end
    if not next then break end
    at = next
  end
  self.rest = text:sub(at)
end

--- The rows that are on the screen, without the spaces at their ends; empty ones at the end are left out.
function Screen:text()
  local out = {}
  for i, row in ipairs(self.cells) do out[i] = table.concat(row):gsub("%s+$", "") end
  return (table.concat(out, "\n"):gsub("\n+$", ""))
end

--- The same, below all rows that have left the screen.
function Screen:all()
  local out = {}
  for i, row in ipairs(self.gone) do out[i] = row:gsub("%s+$", "") end
  out[#out + 1] = self:text()
  return table.concat(out, "\n")
end

--- The row of the cursor, up to it.
function Screen:line()
  return table.concat(self.cells[self.row], "", 1, self.full and self.cols or self.col - 1)
end

function Screen:write(bytes) assert(self.child.stdin:write(bytes)) end

--- A window of another size. What was on it stays in its upper left corner, as in a terminal that lays nothing out anew.
function Screen:resize(rows, cols)
  while self.row > rows do
    self.gone[#self.gone + 1] = table.concat(table.remove(self.cells, 1))
    self.row = self.row - 1
  end
  for i = 1, rows do
    local row = self.cells[i] or blank(cols)
    for k = #row + 1, cols do row[k] = " " end
    for k = cols + 1, #row do row[k] = nil end
    self.cells[i] = row
  end
  for i = rows + 1, #self.cells do self.cells[i] = nil end
  self.rows, self.cols, self.col, self.full = rows, cols, math.min(self.col, cols), false
  assert(self.child:resize(rows, cols))
end

--- Reads until `found()` is true.
function Screen:wait(found, what)
  while not found() do
    local bytes, err = self.child.stdout:read_some(65536, { timeout = WAIT })
    if not bytes then error(("no %s on the screen (%s):\n%s\n"):format(what, tostring(err or "it ended"), self:text()), 3) end
    self:feed(bytes)
  end
end

--- Waits until `text` is somewhere on the screen, as it stands there; gives the screen.
---@param text string
function Screen:expect(text)
  self:wait(function() return self:text():find(text, 1, true) ~= nil end, ("%q"):format(text))
  return self:text()
end

--- Waits until the cursor stands right behind `text` in its row.
function Screen:expect_line(text)
  self:wait(function()
    local line = self:line()
    return line == text or line:gsub("%s+$", "") == text
  end, ("cursor behind %q"):format(text))
end

--- Waits until the whole screen is this.
function Screen:expect_all(text)
  self:wait(function() return self:text() == text end, ("whole %q"):format(text))
end

--- Reads to the end, and waits for the program's.
function Screen:finish()
  while true do
    local bytes = self.child.stdout:read_some(65536, { timeout = WAIT })
    if not bytes then break end
    self:feed(bytes)
  end
  return self.child:wait { timeout = WAIT }
end

function Screen:close() self.child:close() end
Screen.__close = Screen.close

return Screen
