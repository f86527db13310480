--- Completions in the shells that read them: bash everywhere, zsh and fish where they are installed. Knows: the program by env MOONWIRE.
local mw = require "moonwire"

local program = assert(os.getenv "MOONWIRE", "MOONWIRE names the program under test")
local dir = assert(mw.fs.tempdir())
local folder = tostring(dir.path)
teardown(function() dir:close() end)

local function sh(...)
  local r = assert(mw.process.run { cwd = folder, env = { MOONWIRE = program, HOME = folder }, ... })
  assert.equal("", r.stderr)
  assert.equal(0, r.code)
  return r.stdout
end

setup(function()
  for _, shell in ipairs { "bash", "zsh", "fish" } do
    assert(mw.fs.write(folder .. "/" .. shell, sh(program, "completions", shell)))
  end
  assert(mw.fs.write(folder .. "/a.lua", ""))
  assert(mw.fs.mkdir(folder .. "/my scripts"))
end)

--- What bash offers for the last of `words`, as it cuts them: at each `=`. Sorted, joined by `|`.
local function bash(...)
  return (sh("bash", "--norc", "-c", [[compopt() { :; }; source ./bash
    COMP_WORDS=(moonwire "$@"); COMP_CWORD=$#; COMPREPLY=(); _moonwire
    printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | paste -sd'|']], "bash", ...):gsub("\n", ""))
end

describe("bash completes", function()
  it("commands and files, then what each takes", function()
    assert.truthy(bash "":find("a.lua|attach|bash|check|completions|eval|fish|help|", 1, true))
    assert.equal("a.lua", bash("run", "a"))
    assert.equal("bash|fish|zsh", bash("completions", ""))
    assert.truthy(bash("help", "c"):find("check|completions|confinement", 1, true))
    assert.equal("--allow-read|--allow-read=|--allow-run|--allow-run=", bash("run", "--allow-r"))
    assert.equal("--help", bash("check", "--"))
  end)

  it("values by what they are, the last of a list too", function()
    assert.equal("a.lua,my scripts", bash("run", "--allow-read", "=", "a.lua,m"))
    assert.equal("--allow-read=a.lua", bash("run", "--allow-read=a"))
    assert.equal("sh,mktemp", bash("run", "--allow-run", "=", "sh,mktem"))
    assert.equal("HOME,PATH", bash("run", "--allow-env", "=", "HOME,PAT"))
    assert.equal("uid|userInfo|username", bash("run", "--allow-sys", "=", "u"))
    assert.equal("memory=1,step=", bash("run", "--limit=memory=1,st"):gsub("^%-%-limit=", ""))
    assert.equal("auto|off|strict", bash("run", "--confine", "="))
    assert.equal("", bash("run", "--allow-net", "=", ""))
  end)
end)

describe("the other shells", function()
  it("read theirs without a complaint", function()
    for shell, flag in pairs { zsh = "-n", fish = "--no-execute" } do
      if mw.process.run { "which", shell }.ok then assert.equal("", sh(shell, flag, shell)) end
    end
  end)

  it("complete a list in fish", function()
    if not mw.process.run { "which", "fish" }.ok then return pending "fish is not installed" end
    local got = sh("fish", "--no-config", "-c", [[source ./fish; complete -C 'moonwire run --allow-sys=cpus,mem'
      complete -C 'moonwire eval --allow-read=a.lua,my'; complete -C 'moonwire --conf'
      complete -C 'moonwire run --allow-run=sh,mktem']])
    for _, word in ipairs { "--allow-sys=cpus,memory", "--allow-read=a.lua,my scripts/", "--confine", "--allow-run=sh,mktemp" } do
      assert.truthy(got:find(word, 1, true), word .. " in\n" .. got)
    end
  end)
end)
