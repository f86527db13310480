--- Policy files: the rights of a run in JSON, which flags only narrow. Knows: the program under test, by env MOONWIRE.
local mw = require "moonwire"
local program = os.getenv("MOONWIRE") or "moonwire"

local dir

local function path(name) return dir.path .. "/" .. name end

--- Runs `code` under the policy file's text (a string) and more flags.
local function run(text, flags, code, ...)
  assert(mw.fs.write(path "policy.json", text))
  local argv = { program, "eval", "--policy=" .. path "policy.json", timeout = 60, stdin = "null" }
  for _, flag in ipairs(flags) do argv[#argv + 1] = flag end
  argv[#argv + 1] = code
  for i = 1, select("#", ...) do argv[#argv + 1] = (select(i, ...)) end
  return assert(mw.process.run(argv))
end

local function says(expected, ...)
  local r = run(...)
  assert.same({ "", expected .. "\n", 0 }, { r.stderr, r.stdout, r.code })
end

local query = "mw.permissions.query(table.unpack(arg))"

describe("a policy file", function()
  before_each(function()
    dir = assert(mw.fs.tempdir())
    assert(mw.fs.write(path "data.txt", "data"))
    assert(mw.fs.mkdir(path "sub"))
    assert(mw.fs.write(path "sub/key", "key"))
  end)
  after_each(function() dir:close() end)

  it("may begin with the mark that some editors write", function()
    says("granted", "\xef\xbb\xbf" .. [[{"env": ["HOME"]}]], {}, query, "env", "HOME")
  end)

  it("grants what it lists and nothing else", function()
    local text = [[{"read": ["data.txt"], "net": ["10.0.0.0/8:80"], "env": ["HOME", "APP_*"], "sys": ["cpus"]}]]
    says("data", text, {}, "io.open(arg[1]):read('a')", path "data.txt")
    says("granted", text, {}, query, "net", "10.1.2.3:80")
    says("granted", text, {}, query, "env", "APP_X")
    says("granted", text, {}, query, "sys", "cpus")
    local others = {
      { "read", "/etc/hosts" }, { "write", path "data.txt" }, { "net", "10.1.2.3:81" }, { "env", "PATH" }, { "run", "true" },
    }
    for _, what in ipairs(others) do
      says("denied", text, {}, query, table.unpack(what))
    end
  end)

  it("takes paths from its own folder, wherever it is run", function()
    local text = [[{"read": ["."], "deny": {"read": ["sub"]}, "net": ["unix:run/x.sock"]}]]
    assert(mw.fs.write(path "policy.json", text))
    local r = assert(mw.process.run { program, "eval", "--policy=" .. path "policy.json", cwd = "/", timeout = 60,
      "mw.fs.read(arg[1]), mw.permissions.query('read', arg[2]), mw.permissions.query('connect', 'unix:' .. arg[3])",
      path "data.txt", path "sub/key", path "run/x.sock" })
    assert.same({ "", "data\tdenied\tgranted\n" }, { r.stderr, r.stdout })
    r = assert(mw.process.run { program, "eval", "--policy=policy.json", "mw.fs.read(arg[1])", path "data.txt",
      cwd = dir.path, timeout = 60 })
    assert.same({ "", "data\n" }, { r.stderr, r.stdout })
  end)

  it("has true for everything of a kind, in deny too", function()
    says("granted", [[{"env": true}]], {}, query, "env")
    says("denied", [[{"env": true, "deny": {"env": ["SECRET"]}}]], {}, query, "env", "SECRET")
    says("denied", [[{"env": ["A"], "deny": {"env": true}}]], {}, query, "env", "B")
  end)

  it("has a rule alone as a list of one, and false for nothing, as a script's permissions have", function()
    says("data", [[{"read": "data.txt"}]], {}, "io.open(arg[1]):read('a')", path "data.txt")
    says("denied", [[{"read": "data.txt"}]], {}, query, "read", path "sub/key")
    says("denied", [[{"read": true, "deny": {"read": "sub"}}]], {}, query, "read", path "sub/key")
    says("granted", [[{"env": "A,B"}]], {}, query, "env", "A,B")
    says("denied", [[{"env": "A,B"}]], {}, query, "env", "A")
    says("denied", [[{"read": false}]], {}, query, "read", path "data.txt")
    says("denied", [[{"read": false}]], { "--allow-read" }, query, "read", path "data.txt")
    says("granted", [[{"env": true, "deny": {"env": false}}]], {}, query, "env", "A")
  end)

  it("grants no devices and nothing of /proc with it, not even under -A", function()
    for _, flags in ipairs { {}, { "-A" }, { "--allow-read" } } do
      says("denied", [[{"read": true}]], flags, query, "read", "/proc/self/mem")
      says("granted", [[{"read": true}]], flags, query, "read", "/etc/hosts")
    end
  end)

  it("is not widened by any flag", function()
    for _, flags in ipairs { { "-A" }, { "--allow-read=/etc", "--allow-env", "--allow-run=true" } } do
      says("denied", [[{"read": ["data.txt"]}]], flags, query, "read", "/etc/hosts")
      says("denied", [[{"read": ["data.txt"]}]], flags, query, "env", "HOME")
      says("denied", [[{"read": ["data.txt"]}]], flags, query, "run", "true")
    end
  end)

  it("is narrowed by flags: a kind that they mention is cut down to both, another stays", function()
    local text = [[{"read": ["."], "env": ["HOME", "PATH"]}]]
    says("granted", text, { "--allow-env=HOME" }, query, "read", path "sub/key")
    says("granted", text, { "--allow-env=HOME" }, query, "env", "HOME")
    says("denied", text, { "--allow-env=HOME" }, query, "env", "PATH")
    says("denied", text, { "--deny-read=" .. path "sub" }, query, "read", path "sub/key")
    says("granted", text, { "--deny-read=" .. path "sub" }, query, "read", path "data.txt")
    says("granted", text, { "--allow-read=" .. path "sub" }, query, "read", path "sub/key")
    says("denied", text, { "--allow-read=" .. path "sub" }, query, "read", path "data.txt")
  end)

  it("keeps a denial of its own whatever a flag says, however specific", function()
    local text = [[{"read": ["."], "deny": {"read": ["sub"]}}]]
    says("denied", text, { "--allow-read=" .. path "sub/key" }, query, "read", path "sub/key")
  end)

  it("pins the programs that it names, and binds script children too", function()
    assert(mw.fs.write(path "child.lua", [[
      local query = require "moonwire".permissions.query
      print(query("env", "HOME"), query("env", "PATH"))]]))
    local text = [[{"run": ["true"], "env": ["HOME"], "read": ["."]}]]
    says("true", text, {}, "mw.process.run{ 'true' }.ok")
    says("granted\tdenied", text, {},
      "(mw.process.run{ script = arg[1], permissions = 'inherit' }.stdout:gsub('\\n', ''))", path "child.lua")
  end)

  it("is named by the error of what it does not grant", function()
    local r = run([[{"env": ["HOME"]}]], {}, "mw.env.PATH")
    assert.equal(77, r.code)
    assert.truthy(r.stderr:find("policy file", 1, true), r.stderr)
  end)

  for text, place in pairs {
    [ [[{"reed": ["x"]}]] ] = "1:2: unknown key", [ [[{"deny": {"deny": {}}}]] ] = "1:11: unknown key",
    [ [[{"deny": {"trust": ["sh"]}}]] ] = "1:11: unknown key",
    ['{"read": ["a"],\n  "read": ["b"]}'] = "2:3: the same key again", ['{"re\\u0061d": ["a"],\n "read": []}'] = "2:2: the same key again",
    [ [[{"read": 1}]] ] = "1:10: true (everything), false (nothing), a rule or", [ [[{"read": [1]}]] ] = "1:11: a rule in quotes",
    [ [[{"read": ""}]] ] = "1:10: ", [ [[{"read": {}}]] ] = "1:10: true", [ [[{"deny": true}]] ] = "1:10: an object",
    ['{"read": [["x"]]}'] = "1:11: a rule in quotes", ['["read"]'] = "1:1: an object", [ [[{"read": null}]] ] = "1:10: true",
    [ [[{} {}]] ] = "1:4: something follows", [ [[{"read": ["a",]}]] ] = "1:15: ", ['{"read": ["a"]'] = "1:15: it ends", [""] = "1:1: ",
    [ [[{"env": ["A*B"]}]] ] = "1:10: ", [ [[{"net": ["127.1"]}]] ] = "1:10: ",
    [ [[{"net": ["a", "10.0.0.7:99999"]}]] ] = "1:15: ",
    [ [[{"read": [""]}]] ] = "1:11: ", [ [[{"read": ["a\u0000b"]}]] ] = "1:11: a zero byte",
    [ [[{"run": ["no-such-program-here"]}]] ] = "1:10: ",
    ['{"read": ["\xff"]}'] = "1:12: not UTF-8", ['{"read": ["\\ud800"]}'] = "1:12: half of a surrogate",
    [ [[{"all": true}]] ] = "1:2: unknown key",
    ['{"read": ["' .. ("x"):rep(5000) .. '"]}'] = "1:11: too long",
  } do
    it("is refused, with its place, when it is " .. (#text < 60 and text:gsub("[^ -~]", "?") or "too long a rule"), function()
      local r = run(text, {}, "print('ran')")
      assert.same({ 2, "" }, { r.code, r.stdout })
      assert.truthy(r.stderr:find("policy.json:" .. place, 1, true), r.stderr)
    end)
  end

  it("is refused when it is not there, a folder, or larger than a policy", function()
    for _, name in ipairs { path "none.json", dir.path } do
      local r = assert(mw.process.run { program, "eval", "--policy=" .. name, "print('ran')", timeout = 60 })
      assert.same({ 2, "" }, { r.code, r.stdout })
    end
    local r = run("{" .. (" "):rep(1 << 20) .. "}", {}, "print('ran')")
    assert.same({ 2, "" }, { r.code, r.stdout })
    assert.truthy(r.stderr:find("1048576 bytes", 1, true), r.stderr)
  end)

  it("is given once, and by name", function()
    for flags, what in pairs { [{ "--policy=a", "--policy=b" }] = "given twice", [{ "--policy" }] = "--policy=FILE" } do
      local r = assert(mw.process.run { program, "eval", flags[1], flags[2] or "1", "1", timeout = 60 })
      assert.equal(2, r.code)
      assert.truthy(r.stderr:find(what, 1, true), r.stderr)
    end
  end)
end)
