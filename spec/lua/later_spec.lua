--- What is promised for later versions: asking for it now is an error that says so. Knows: mw.
local mw = require "moonwire"

local function refused(f, ...)
  local ok, err = pcall(f, ...)
  assert.falsy(ok)
  assert.truthy(tostring(err):find("this version", 1, true), tostring(err))
  return err
end

describe("what this version does not have", function()
  it("is an error for the parts of mw, and no nil", function()
    local names = "bus"
    for name in names:gmatch "%a+" do
      local err = refused(function() return mw[name] end)
      assert.same({ "EOPNOTSUPP", name }, { err.code, err.subject })
    end
  end)

  it("leaves names that nobody promised, and those of script children, nil", function()
    assert.is_nil(mw.nosuch)
    assert.is_nil(mw.parent)
    assert.is_nil(mw.shared)
  end)
end)
