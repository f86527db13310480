--- The reference as web pages, as scripts/docs/site.lua writes them. Its own checks (tags, ids, links) fail the run.
local mw = require "moonwire"

describe("the web pages", function()
  local dir, program, result

  setup(function()
    dir = assert(mw.fs.tempdir())
    program = assert(mw.env.get "MOONWIRE")
    result = assert(mw.process.run { program, "run", "--allow-read=.", "--allow-write=" .. dir.path, "--allow-run=" .. program,
      "--limit=step=200s", "scripts/docs/site.lua", dir.path, program, timeout = 200 })
  end)
  teardown(function() dir:close() end)

  local function page(name) return assert(mw.fs.read(dir:join(name))) end

  it("are well formed, and no link leads nowhere", function()
    assert.equal("", result.stderr)
    assert.equal(0, result.code)
    assert.truthy(result.stdout:find "^%d+ pages in ")
  end)

  it("tell of modules, objects, codes, limits, the command line, rights, the C API and the scenarios", function()
    assert.truthy(page("process.html"):find('id="run"', 1, true))
    assert.truthy(page("object-stream.html"):find('id="read_until"', 1, true))
    assert.truthy(page("errors.html"):find('id="EFRAME"', 1, true))
    assert.truthy(page("limits.html"):find("<code>handles</code>", 1, true))
    assert.truthy(page("command-line.html"):find("--allow-connect", 1, true))
    assert.truthy(page("rights.html"):find("Landlock", 1, true))
    assert.truthy(page("c-api.html"):find('id="mw_host_step"', 1, true))
    assert.truthy(page("scenario-09-tcp.html"):find('<a href="net.html#listen">', 1, true))
    assert.truthy(page("net.html"):find('<a href="scenario-09-tcp.html">', 1, true))
  end)

  it("take nothing from elsewhere and need no script for reading", function()
    for _, name in ipairs(assert(mw.fs.list(dir.path))) do
      if name:find "%.html$" then
        local html = page(name)
        assert.falsy(html:find 'src="http' or html:find '<link[^>]*href="http', name)
        assert.truthy(html:find('<html lang="en">', 1, true) and html:find('class="skip"', 1, true), name)
      end
    end
    assert.falsy(page("style.css"):find("url(", 1, true))
  end)

  it("are refused when something is wrong with them", function()
    package.path = "scripts/docs/?.lua;" .. package.path
    local check = require "check"
    local function wrong(body)
      local page_of = "<html><head><title>t</title></head><body><h1>x</h1>%s</body></html>"
      return table.concat(check.site({ ["a.html"] = page_of:format(body) }, {}), "; ")
    end
    assert.equal("", wrong '<p id="a"><a href="#a">x</a> &amp; <br/></p>')
    assert.truthy(wrong("<p>x"):find("where </p> is expected", 1, true))
    assert.truthy(wrong('<a href="b.html">x</a>'):find("no page b.html", 1, true))
    assert.truthy(wrong('<a href="#b">x</a>'):find("no place #b", 1, true))
    assert.truthy(wrong('<p id="a"></p><p id="a"></p>'):find("there twice", 1, true))
    assert.truthy(wrong("a < b"):find("a bare", 1, true))
    assert.truthy(wrong('<a href="javascript:x">x</a>'):find("a link to", 1, true))
    assert.truthy(wrong("<p hidden>x</p>"):find("attributes", 1, true))
  end)
end)
