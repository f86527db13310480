--- The manual pages against the program that they describe. Knows: the program by env MOONWIRE, mandoc. Never: the table itself.
local mw = require "moonwire"

local program = assert(os.getenv "MOONWIRE", "MOONWIRE names the program under test")
local MAN = "host/man/"

local function output(argv)
  local r = assert(mw.process.run(argv))
  assert.equal(0, r.code, table.concat(argv, " ") .. "\n" .. r.stdout .. r.stderr)
  return r.stdout
end

--- A page as its reader sees it, without the doubled letters that make it bold.
local function page(name)
  return (output { "mandoc", "-T", "ascii", MAN .. name }:gsub(".\b", ""))
end

local function source(name) return assert(mw.fs.read(MAN .. name)) end

--- Whether `word` stands in `text` with nothing of a name beside it.
local function has(text, word)
  return text:find("%f[%w_-]" .. word:gsub("%p", "%%%0") .. "%f[^%w_-]") ~= nil
end

local function section(text, title)
  return assert(text:match("\n" .. title .. "\n(.-)\n%f[%S]"), title)
end

describe("the manual page of moonwire", function()
  local text, help
  setup(function()
    text = page "moonwire.1"
    help = output { program, "help", "run" }
  end)

  it("explains every command that the help has", function()
    local bad = {}
    for name in output { program, "help" }:gmatch "\n    moonwire (%l+) [^\n]-  +%l" do
      if not source "moonwire.1":find("\n.It Cm " .. name .. "\n", 1, true) then bad[#bad + 1] = name end
      if not section(text, "SYNOPSIS"):find(name, 1, true) then bad[#bad + 1] = name .. " in the synopsis" end
    end
    assert.same({}, bad)
  end)

  it("explains every flag that a shell completes", function()
    local seen, bad = {}, {}
    for flags in output { program, "completions", "bash" }:gmatch "flags='([^']*)'" do
      for flag in flags:gmatch "%-[%w-]+" do
        if not seen[flag] and not has(text, flag) then bad[#bad + 1] = flag end
        seen[flag] = true
      end
    end
    assert.is_true(seen["--allow-read"])
    assert.same({}, bad)
  end)

  it("explains no flag that there is not", function()
    local known = output { program, "completions", "bash" }
    for flag in text:gmatch "%-%-%l[%l-]*" do
      assert.truthy(has(known, flag) or flag == "--filter", flag) -- Busted's
    end
  end)

  it("knows every limit and its default, every variable, every exit status", function()
    local limits = help:match "\nLimits[^\n]*\n(.-)\n\n"
    local bad, count = {}, 0
    for limit in limits:gmatch "\n?    (%S+=%S+)" do
      count = count + 1
      if not section(text, "OPTIONS"):find(limit, 1, true) then bad[#bad + 1] = limit end
    end
    for name in help:match "\nEnvironment\n(.*)":gmatch "%f[%u]%u+_%u+%f[^%u_]" do
      if not has(section(text, "ENVIRONMENT"), name) then bad[#bad + 1] = name end
    end
    for status in help:match "\nExit status\n(.-)\n    Ctrl":gmatch "%f[^%s]([%dn+]+) %l" do
      local item = "\n +" .. status:gsub("%p", "%%%0") .. " "
      if status:find "%d" and not ("\n" .. section(text, "EXIT STATUS")):find(item) then bad[#bad + 1] = status end
    end
    assert.same({}, bad)
    assert.is_true(count >= 8)
  end)
end)

describe("the manual page of the policy file", function()
  it("explains every key", function()
    local dir <close> = assert(mw.fs.tempdir())
    assert(mw.fs.write(dir.path .. "/x.json", '{"x": true}'))
    local r = assert(mw.process.run { program, "eval", "--policy=" .. dir.path .. "/x.json", "1" })
    local keys = assert(r.stderr:match "the keys are ([%l ]+)", r.stderr)
    local items = ""
    for line in source "moonwire-policy.5":gmatch "\n.It Cm ([^\n]+)" do items = items .. " " .. line end
    for key in keys:gmatch "%l+" do assert.truthy(has(items, key), key) end
  end)

  it("has examples that the program takes", function()
    local dir <close> = assert(mw.fs.tempdir())
    local count = 0
    for block in source "moonwire-policy.5":gmatch "\n%.Bd %-literal[^\n]*\n(.-)\n%.Ed" do
      assert(mw.fs.write(dir.path .. "/x.json", block))
      assert.equal("1\n", output { program, "eval", "--policy=" .. dir.path .. "/x.json", "1" })
      count = count + 1
    end
    assert.is_true(count >= 4)
  end)
end)

describe("every manual page", function()
  it("is well-formed", function()
    for _, entry in ipairs(assert(mw.fs.list(MAN))) do
      local name = type(entry) == "table" and entry.name or entry
      local r = assert(mw.process.run { "mandoc", "-T", "lint", "-W", "warning", MAN .. name })
      assert.equal("", r.stdout .. r.stderr)
      assert.equal(0, r.code)
    end
  end)
end)
