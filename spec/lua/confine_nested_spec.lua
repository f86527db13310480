--- Cages in cages: what a script child may do, a program that it starts may do as well, and no more. Knows: mw, the program.
local mw = require "moonwire"

local program = mw.env.get("MOONWIRE", "build/dev/moonwire")
local dir

local function path(name)
  return dir:join(name)
end

--- Runs a script that starts child.lua with all its rights; that one runs `text`. What is printed, and the errors.
local function run(rights, text)
  assert(mw.fs.write(path "main.lua", [[
    local mw = require "moonwire"
    local r = assert(mw.process.run { script = "child.lua", permissions = "inherit" })
    io.write(r.stdout)
    io.stderr:write(r.stderr)]]))
  assert(mw.fs.write(path "child.lua", ([[
    local mw = require "moonwire"
    local function cat(name)
      local r = assert(mw.process.run { "cat", "%s/" .. name })
      print(r.ok and r.stdout or r.stderr:match "[^:]*$":gsub("\n", ""), nil)
    end
    ]]):format(dir.path) .. text))
  local argv = { program, "run", "--allow-run=cat", timeout = 60, stdin = "null" }
  for _, right in ipairs(rights) do argv[#argv + 1] = right end
  argv[#argv + 1] = path "main.lua"
  local r = assert(mw.process.run(argv))
  assert.equal("", r.stderr)
  return (r.stdout:gsub("\tnil", ""))
end

describe("a program of a script child", function()
  before_each(function()
    dir = assert(mw.fs.tempdir())
    assert(mw.fs.mkdir(path "tree/no", { parents = true }))
    assert(mw.fs.write(path "tree/yes", "yes"))
    assert(mw.fs.write(path "tree/other", "other"))
    assert(mw.fs.write(path "tree/no/secret", "secret"))
  end)
  after_each(function() dir:close() end)

  if mw.process.run({ program, "eval", "--confine=strict", "--no-prompt", "1", stdin = "null" }).code ~= 0 then
    pending "is confined where there is Landlock alone"
    return
  end

  it("reads what all may read", function()
    assert.equal("yes\n", run({ "--allow-read" }, "cat 'tree/yes'"))
  end)

  it("reads beside what is denied, and not that", function()
    local rights = { "--allow-read=" .. path "tree", "--deny-read=" .. path "tree/no" }
    assert.equal("yes\n Permission denied\n", run(rights, "cat 'tree/yes' cat 'tree/no/secret'"))
    assert.equal("yes\n Permission denied\n", run({ "--allow-read", rights[2] }, "cat 'tree/yes' cat 'tree/no/secret'"))
  end)

  it("does not read what its script dropped", function()
    local text = ("cat 'tree/other' mw.permissions.drop('read', %q) cat 'tree/other'"):format(path "tree/other")
    assert.equal("other\n Permission denied\n", run({ "--allow-read=" .. path "tree", "--deny-read=" .. path "tree/no" }, text))
    assert.equal("other\n Permission denied\n", run({ "--allow-read=" .. path "tree" }, text))
    assert.equal("other\n Permission denied\n", run({ "--allow-read" }, text))
  end)

  it("of a script child's script child reads the same", function()
    assert(mw.fs.write(path "last.lua", "local mw = require 'moonwire' io.write(assert(mw.process.run { 'cat', arg[1] }).stdout)"))
    assert.equal("yes", run({ "--allow-read", "--deny-read=" .. path "tree/no" },
      ([[io.write(assert(mw.process.run { script = "last.lua", "%s", permissions = "inherit" }).stdout)]]):format(path "tree/yes")))
  end)
end)
