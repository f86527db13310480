-- A command of the shell, chosen by platform; what is not ours to trust is quoted.
-- rights: --allow-run=sh
local mw = require "moonwire"

local list = ({ linux = "ls /usr | sort", macos = "ls /usr | sort", windows = "dir /b C:\\" })[mw.platform.os]
assert(list, "no command for " .. mw.platform.os)

-- PATH is no right of this script, so the command brings its own.
local r = assert(mw.process.sh { list, env = { PATH = "/usr/bin:/bin" }, timeout = 5 })
assert(r.ok and ("\n" .. r.stdout):find("\nbin\n"), "the listing looks wrong: " .. r.stdout .. r.stderr)
print("on " .. mw.platform.os .. ": " .. select(2, r.stdout:gsub("\n", "")) .. " entries in /usr")

-- %s becomes one quoted argument, whatever is in it.
local evil = "it's; echo hacked $(echo hacked) `echo hacked` \\"
r = assert(mw.process.sh { "printf '[%%s]' %s %s", evil, "two words" })
assert(r.stdout == "[" .. evil .. "][two words]", "the shell took it apart: " .. r.stdout)
print("quoted: " .. r.stdout)

-- A command that cannot quote safely is refused before anything runs.
local ok, err = pcall(mw.process.sh, { "echo '%s'", evil })
assert(not ok and err.code == "EINVAL", "it was not refused")
print("refused: " .. err.message)
