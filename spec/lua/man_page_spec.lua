--- moonwire-lua.3 as scripts/docs/man.lua writes it: mandoc and man have nothing to say against it.
local mw = require "moonwire"

local function page()
  return assert(mw.process.run { "lua5.4", "scripts/docs/man.lua", env = { SOURCE_DATE_EPOCH = "1700000000" }, check = true }).stdout
end

describe("moonwire-lua(3)", function()
  it("is what mandoc's lint is content with", function()
    local r = assert(mw.process.run { "mandoc", "-Tlint", stdin = page() })
    local said = r.stdout:gsub("[^\n]*referenced manual not found[^\n]*\n", "")
    assert.equal("", said)
  end)

  it("tells of every function of mw", function()
    local doc = require "moonwire.doc"
    local text = assert(mw.process.run { "mandoc", "-Tutf8", "-O", "width=200", stdin = page(), check = true }).stdout:gsub(".\b", "")
    local missing = {}
    for _, entry in ipairs(doc.all()) do
      if entry.params and not text:find(doc.signature(entry), 1, true) then missing[#missing + 1] = doc.signature(entry) end
    end
    assert.equal("", table.concat(missing, "\n"))
    assert.truthy(text:find("November 14, 2023", 1, true))
  end)

  it("is the same from moonwire itself", function()
    local r = mw.process.run { mw.env.get("MOONWIRE", "moonwire"), "run", "--allow-read=.", "--allow-env=SOURCE_DATE_EPOCH",
      "--limit=step=100s", "scripts/docs/man.lua", env = { SOURCE_DATE_EPOCH = "1700000000" }, check = true }
    assert.truthy(r.stdout == page())
  end)
end)
