--- What `cmake --install` leaves: whole, movable, and of use to programs that are none of ours. Run on a release build alone.
--- Knows: cmake, pkg-config, cc and c++; the build by env MOONWIRE_BUILD. Never: writes outside of a folder of its own and the build.
local mw = require "moonwire"

local build = assert(os.getenv "MOONWIRE_BUILD", "MOONWIRE_BUILD names a release build")
local dir = assert(mw.fs.tempdir())
local folder = tostring(dir.path)
local prefix = folder .. "/a prefix"

teardown(function() dir:close() end)

--- Runs bash, which says what it was if it fails; `$P` is the prefix, `$D` a folder, `$B` the build. Its output.
local function sh(text, ...)
  local env = { P = prefix, D = folder, B = build, O = "spec/install/outside", DESTDIR = false }
  env.PKG_CONFIG_PATH = prefix .. "/lib/pkgconfig"
  local r = assert(mw.process.run { timeout = 200, env = env, "bash", "-ec", text, "bash", ... })
  assert.equal(0, r.code, text .. "\n" .. r.stdout:sub(-1000) .. r.stderr)
  return r.stdout .. r.stderr
end

--- The files below `at`, sorted, without what is under `but`.
local function listed(at, but)
  return sh("cd \"$1\" && find . ! -type d ! -path \"$2\" -printf '%P\\n' | LC_ALL=C sort", at, but or "")
end

-- Opens a part, and prints what tells that it did.
local SCRIPT = "print(require 'moonwire'.auth.hmac{ secret = ('s'):rep(32) })"
local SAYS = "auth (hmac)\nis 0.1.0\n"

-- As root with a umask that lets nobody else in.
setup(function() sh "umask 077; cmake --install \"$B\" --prefix \"$P\"" end)

describe("an installed tree", function()
  it("holds the program, the library, what to build with, and what to read", function()
    local have = listed(prefix, "./share/moonwire/lua/*")
    for _, name in ipairs {
      "bin/moonwire", "lib/libmoonwire.a", "lib/libmoonwire.so", "lib/libmoonwire.so.0", "lib/moonwire-0/moonwire-tls.so",
      "lib/moonwire-0/moonwire-squeeze.so", "include/moonwire.h", "include/moonwire.hpp", "include/moonwire/policy/policy.h",
      "lib/pkgconfig/moonwire.pc",
      "lib/pkgconfig/moonwire-static.pc", "lib/cmake/moonwire/moonwireConfig.cmake", "lib/cmake/moonwire/moonwireConfigVersion.cmake",
      "share/bash-completion/completions/moonwire", "share/zsh/site-functions/_moonwire",
      "share/fish/vendor_completions.d/moonwire.fish", "share/doc/moonwire/README.md", "share/doc/moonwire/LICENSE",
      "share/man/man1/moonwire.1", "share/man/man5/moonwire-policy.5",
    } do
      assert.truthy(("\n" .. have):find("\n" .. name .. "\n", 1, true), "no " .. name .. " in\n" .. have)
    end
    assert.truthy(listed(prefix .. "/share/moonwire/lua"):find("moonwire/meta/net.lua", 1, true))
    assert.equal("libmoonwire.so.0", sh("objdump -p \"$P\"/lib/libmoonwire.so"):match("SONAME%s+(%S+)"))
  end)

  it("is for everybody, whatever the umask of who installed it", function()
    assert.equal("", sh "find \"$P\" \\( -type d ! -perm 755 -o -type f ! -perm -444 \\) -printf '%M %P\\n'")
  end)

  it("names neither the folder it was built in nor its prefix", function()
    assert.equal("", sh "grep -rlF -e \"$B\" -e \"$P\" \"$P\"/lib/pkgconfig \"$P\"/lib/cmake \"$P\"/include \"$P\"/share || true")
  end)

  it("is the same after it was installed once more", function()
    local before = listed(prefix)
    sh "rm \"$P\"/lib/libmoonwire.so; echo old >\"$P\"/lib/pkgconfig/moonwire.pc; cmake --install \"$B\" --prefix \"$P\""
    assert.equal(before, listed(prefix))
    assert.truthy(sh("cat \"$P\"/lib/pkgconfig/moonwire.pc"):find("\nName: moonwire\n", 1, true))
  end)

  it("is listed whole in install_manifest.txt", function()
    assert.equal(listed(prefix), (sh "sed \"s|^$P/||\" \"$B\"/install_manifest.txt | LC_ALL=C sort"))
  end)

  it("finds its parts again where it was moved to", function()
    sh("mv \"$P\" \"$D/moved\"; trap 'mv \"$D/moved\" \"$P\"' EXIT; cd /; \"$D/moved/bin/moonwire\" eval \"$1\"", SCRIPT)
  end)

  it("says which part is missing, and where it was looked for", function()
    local text = sh("cp \"$P\"/bin/moonwire \"$D\"/alone; ! \"$D\"/alone eval \"$1\" 2>&1", SCRIPT)
    assert.truthy(text:find("moonwire-tls.so: this part of moonwire cannot be loaded: no such file (it lies beside the program, or in /",
      1, true), text)
  end)

  it("does not open a part that somebody else has put there", function()
    if sh "id -u" ~= "0\n" then return pending "only root gives files away" end
    local text = sh([[mkdir -p "$D"/theirs; cp "$P"/bin/moonwire "$P"/lib/moonwire-0/moonwire-tls.so "$D"/theirs
      "$D"/theirs/moonwire eval "$1" >/dev/null; chown 65534 "$D"/theirs/moonwire-tls.so; ! "$D"/theirs/moonwire eval "$1" 2>&1]], SCRIPT)
    assert.truthy(text:find("no such file", 1, true), text)
  end)

  it("does not open a part of another version", function()
    local text = sh("mkdir -p \"$D\"/other; cp \"$P\"/bin/moonwire \"$D\"/other\n" ..
      "echo 'const char mw_part_version[] = \"9\", mw_auth_calls[99];' | cc -shared -fPIC -xc - -o \"$D\"/other/moonwire-tls.so\n" ..
      "! \"$D\"/other/moonwire eval \"$1\" 2>&1", SCRIPT)
    assert.truthy(text:find("it is of another version", 1, true), text)
  end)
end)

describe("plain Lua", function()
  it("requires the module from where it was installed, with its parts, and starts script children", function()
    sh "echo 'print(\"from a child\")' >\"$D\"/child.lua"
    assert.equal("auth (hmac)\nfrom a child\n\n", sh [[LUA_CPATH="$P"/lib/lua/5.4/?.so LUA_PATH=none lua5.4 -e '
      local mw = require "moonwire"
      mw.main(function()
        print(mw.auth.hmac{ secret = ("s"):rep(32) })
        print(mw.process.run{ script = os.getenv "D" .. "/child.lua", stderr = "inherit" }.stdout)
      end)'
    ]])
  end)
end)

describe("a staged installation", function()
  it("stays below DESTDIR", function()
    sh "DESTDIR=\"$D/stage\" cmake --install \"$B\" --prefix /usr/elsewhere"
    assert.equal(listed(prefix), listed(folder .. "/stage/usr/elsewhere"))
    assert.equal("usr\n", sh "ls \"$D/stage\"")
  end)

  it("is possible one component at a time", function()
    sh "cmake --install \"$B\" --prefix \"$D/runs\" --component library"
    assert.equal("lib/libmoonwire.so.0\nlib/libmoonwire.so.0.1.0\n", (listed(folder .. "/runs", "./lib/moonwire-0/*")))
  end)
end)

describe("a program that is none of ours", function()
  it("is built with pkg-config, with the shared library", function()
    sh "eval cc -Werror -Wall \"$O\"/main.c $(pkg-config --cflags --libs moonwire) -o \"'$D/shared'\""
    assert.equal(SAYS, sh("LD_LIBRARY_PATH=\"$P\"/lib \"$D\"/shared \"$1\"", SCRIPT))
  end)

  it("is built with pkg-config, with the archive", function()
    sh "eval cc -Werror -Wall \"$O\"/main.c $(pkg-config --cflags --libs moonwire-static) -o \"'$P/bin/archive'\""
    assert.equal(SAYS, sh("\"$P\"/bin/archive \"$1\"; rm \"$P\"/bin/archive", SCRIPT))
  end)

  it("is built with pkg-config, static to the last byte", function()
    sh "eval cc -w -static \"$O\"/main.c $(pkg-config --static --cflags --libs moonwire) -o \"'$D/static'\" 2>/dev/null"
    assert.equal("hello\nis 0.1.0\n", sh "\"$D\"/static 'print(\"hello\")'; ! ldd \"$D\"/static >/dev/null 2>&1")
  end)

  it("is built with CMake, in C and in C++, both ways", function()
    sh "cmake -S \"$O\" -B \"$D/made\" -DCMAKE_PREFIX_PATH=\"$P\" -DCMAKE_BUILD_TYPE=Debug && cmake --build \"$D/made\" -j2"
    for _, name in ipairs { "c_shared", "cxx_shared" } do
      assert.equal(SAYS, sh("\"$D\"/made/\"$1\" \"$2\"", name, SCRIPT)) -- CMake sets a run path
    end
    for _, name in ipairs { "c_static", "cxx_static" } do
      assert.equal(SAYS, sh("cp \"$D\"/made/\"$1\" \"$P\"/bin/; \"$P\"/bin/\"$1\" \"$2\"; rm \"$P\"/bin/\"$1\"", name, SCRIPT))
    end
  end)

  it("is told which version there is", function()
    local text = sh([[mkdir -p "$D"/old
      echo 'cmake_minimum_required(VERSION 3.16)
      project(old NONE)
      find_package(moonwire 2 CONFIG REQUIRED)' >"$D"/old/CMakeLists.txt
      ! cmake -S "$D"/old -B "$D"/old/b -DCMAKE_PREFIX_PATH="$P" 2>&1]])
    assert.truthy(text:find("version: 0.1.0", 1, true), text)
  end)
end)
