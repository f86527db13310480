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

describe("a script child that has a right for a single name", function()
  --- What it prints of the calls of `text`, each a line.
  local function child(permissions, text)
    assert(mw.fs.write(path "child.lua", [[
      local mw = require "moonwire"
      local D = arg[1]
      local function try(f, ...)
        local ok, value, err = pcall(f, ...)
        print(ok and value ~= nil and "done" or (ok and err or value).code or value)
      end
      ]] .. text))
    local r = assert(mw.process.run { script = path "child.lua", dir.path, permissions = permissions, timeout = 60 })
    assert.equal("", r.stderr)
    return r.stdout
  end

  before_each(function() dir = assert(mw.fs.tempdir()) end)
  after_each(function() dir:close() end)

  it("makes, replaces, reads and removes that file, and no other", function()
    assert(mw.fs.write(path "old", "x"))
    assert(mw.fs.write(path "other", "x"))
    for _, name in ipairs { "old", "new" } do
      assert.equal("done\ndone\ndone\ndone\nEDENIED\nEDENIED\n", child({ read = { path(name) }, write = { path(name) } }, ([[
        try(mw.fs.write, D .. "/%s", "1")
        try(mw.fs.write, D .. "/%s", "2")
        try(mw.fs.read, D .. "/%s")
        try(mw.fs.remove, D .. "/%s")
        try(mw.fs.write, D .. "/third", "x")
        try(mw.fs.read, D .. "/other")]]):format(name, name, name, name)))
    end
  end)

  it("listens at that socket, and at no other", function()
    for _, rule in ipairs { "unix:" .. path "s", "unix:" .. dir.path .. "/" } do
      assert.equal("done\ndone\n" .. (rule:sub(-1) == "/" and "done\n" or "EDENIED\n"), child({ net = { rule } }, [[
        for _ = 1, 2 do
          try(function()
            local server <close> = assert(mw.net.listen("unix:" .. D .. "/s", { unlink = true }))
            local client <close> = assert(mw.net.connect(server:address()))
            return true
          end)
        end
        try(mw.net.listen, "unix:" .. D .. "/t")]]))
    end
  end)

  it("removes a tree, has files for a while and gives a child a terminal as the program itself would", function()
    assert(mw.fs.mkdir(path "tree/a/c", { parents = true }))
    assert(mw.fs.write(path "tree/a/b", "x"))
    assert.equal("done\n", child({ write = { path "tree" } }, [[try(mw.fs.remove, D .. "/tree/a", { tree = true })]]))
    local temporary = dir.path:match "^(.*)/[^/]*$"
    assert.equal("read back\ndone\n", child({ write = { temporary }, env = { "TMPDIR" } }, [[
      local f = assert(io.tmpfile())
      f:write "read back"
      f:seek "set"
      print(f:read "a")
      try(os.remove, os.tmpname())]]))
    assert.equal("terminal\n", child({ run = { "sh" } }, [[
      io.write((mw.process.run { "sh", "-c", "test -t 1 && echo terminal", pty = true }.stdout:gsub("\r", "")))]]))
  end)
end)
