--- The Debian packages: whole, apart from one another, and of use where they are unpacked. Knows: dpkg; the folder that they are in by env
--- MOONWIRE_PACKAGES. Never: installs anything on this machine.
local mw = require "moonwire"

local packages = assert(os.getenv "MOONWIRE_PACKAGES", "MOONWIRE_PACKAGES is where the packages are (scripts/dev package)")
local dir = assert(mw.fs.tempdir())
local folder = tostring(dir.path)

teardown(function() dir:close() end)

--- Runs bash, which says what it was if it fails; `$D` is a folder, `$P` that of the packages. Its output.
local function sh(text, ...)
  local r = assert(mw.process.run { timeout = 200, env = { P = packages, D = folder }, "bash", "-ec", text, "bash", ... })
  assert.equal(0, r.code, text .. "\n" .. r.stdout:sub(-1000) .. r.stderr)
  return r.stdout
end

local names, files = {}, {}
setup(function()
  for name in sh("cd \"$P\"; for f in *.deb; do dpkg-deb -f \"$f\" Package; done"):gmatch "%S+" do
    names[#names + 1] = name
    files[name] = sh("dpkg-deb -c \"$P\"/\"$1\"_*.deb | sed -n 's|^[^d].* \\./|/|p'", name)
  end
  sh "for f in \"$P\"/*.deb; do dpkg-deb -x \"$f\" \"$D\"/root; done"
end)

describe("the packages", function()
  it("are the program, the library, what to build with, and the module for plain Lua", function()
    table.sort(names)
    local expected = { "libmoonwire-dev", "libmoonwire0", "moonwire" }
    if files["lua-moonwire"] then table.insert(expected, 3, "lua-moonwire") end
    assert.same(expected, names)
  end)

  it("hold what belongs to each", function()
    local parts = {
      ["moonwire"] = { "/usr/bin/moonwire", "/man1/moonwire.1.gz", "/man5/moonwire-policy.5.gz", "/man3/moonwire-lua.3.gz",
        "/bash-completion/completions/moonwire", "/zsh/vendor-completions/_moonwire", "/vendor_completions.d/moonwire.fish",
        "/share/moonwire/lua/moonwire/meta/net.lua", "/doc/moonwire/README.md" },
      ["libmoonwire0"] = { "/libmoonwire.so.0 ", "/libmoonwire.so.0.1.0", "/moonwire-0/moonwire-tls.so",
        "/moonwire-0/moonwire-squeeze.so" },
      ["libmoonwire-dev"] = { "/usr/include/moonwire.h", "/libmoonwire.a", "/libmoonwire.so ", "/moonwire.pc", "/moonwireConfig.cmake" },
      ["lua-moonwire"] = { "/lua/5.4/moonwire.so" },
    }
    for name, text in pairs(files) do
      for _, part in ipairs(parts[name]) do assert.truthy(text:find(part, 1, true), name .. " without " .. part .. "\n" .. text) end
      for _, part in ipairs { "copyright", "changelog.Debian.gz" } do
        assert.truthy(text:find("/usr/share/doc/" .. name .. "/" .. part .. "\n", 1, true), name .. ": " .. part)
      end
    end
  end)

  it("have no file in common", function()
    local owner = {}
    for name, text in pairs(files) do
      for path in text:gmatch "[^\n]+" do
        assert.is_nil(owner[path], ("%s is in %s and in %s"):format(path, name, tostring(owner[path])))
        owner[path] = name
      end
    end
  end)

  it("need one another in the same version, and what they were linked with", function()
    local function depends(name) return sh("dpkg-deb -f \"$P\"/\"$1\"_*.deb Depends", name) end
    for _, name in ipairs(names) do
      if name ~= "libmoonwire0" then assert.truthy(depends(name):find("libmoonwire0 (= 0.1.0-1)", 1, true), name) end
    end
    for _, other in ipairs { "libc6", "libuv1", "liblua5.4-0", "libssl3", "libzstd1", "liblz4-1" } do
      assert.truthy(depends("libmoonwire0"):find(other, 1, true), other)
    end
    assert.falsy(depends("moonwire"):find("libuv1", 1, true)) -- it has that inside
  end)

  it("have the sums of their files, and the library its symbols", function()
    for _, name in ipairs(names) do
      sh("dpkg-deb -e \"$P\"/\"$1\"_*.deb \"$D\"/\"$1\"; cd \"$D\"/root; md5sum --quiet -c \"$D\"/\"$1\"/md5sums", name)
    end
    assert.truthy(sh("cat \"$D\"/libmoonwire0/symbols"):find("\n mw_host_new@Base 0.1.0\n", 1, true))
    assert.equal("libmoonwire 0 libmoonwire0 (>= 0.1.0)\n", sh "cat \"$D\"/libmoonwire0/shlibs")
  end)

  it("hold a program that runs where it was unpacked, with its parts", function()
    local text = sh [[
      "$D"/root/usr/bin/moonwire run -A scripts/scenarios/12_batching.lua
      "$D"/root/usr/bin/moonwire eval 'require "moonwire".auth.hmac{ secret = ("s"):rep(32) }']]
    assert.truthy(text:find("auth (hmac)\n", 1, true), text)
  end)

  it("are installed and removed without a trace", function()
    if sh "id -u" ~= "0\n" then return pending "dpkg installs as root" end
    sh [[
      R="$D"/system
      mkdir -p "$R"/var/lib/dpkg/{info,updates,triggers}; : >"$R"/var/lib/dpkg/status
      into() { dpkg --root="$R" --force-depends --force-script-chrootless --log=/dev/null "$@" >"$D"/log 2>&1 || { cat "$D"/log; false; }; }
      into -i "$P"/*.deb
      "$R"/usr/bin/moonwire --version
      into -P $(cd "$P"; for f in *.deb; do dpkg-deb -f $f Package; done)
      ! test -e "$R"/usr]]
  end)
end)
