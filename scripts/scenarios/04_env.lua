-- What a child finds in its environment: what the rights let through, what the call adds, what it takes away.
-- rights: --allow-run=printenv,env,sh --allow-env=PATH
local mw = require "moonwire"

-- One variable more; PATH, which we may see, is kept.
local r = assert(mw.process.run { "printenv", "CUSTOM_VAR", env = { CUSTOM_VAR = "custom value" } })
assert(r.stdout == "custom value\n", "printenv says: " .. r.stdout)
print("CUSTOM_VAR is " .. r.stdout:gsub("\n", ""))

r = assert(mw.process.run { "sh", "-c", "echo $PATH" })
assert(r.stdout == mw.env.PATH .. "\n", "PATH was not kept: " .. r.stdout)
print("PATH is kept")

-- HOME is no right of ours: we do not see it, and the child has a private directory instead, which goes when we go.
r = assert(mw.process.run { "printenv", "HOME" })
assert(r.stdout:find("/moonwire-", 1, true), "HOME leaked: " .. r.stdout)
assert(not pcall(function() return mw.env.HOME end), "we read HOME without a right")
print("HOME is a private directory")

-- Only what is named, and the private directory.
r = assert(mw.process.run { "env", clear_env = true, env = { PATH = mw.env.PATH, ONLY = "this" } })
local seen = {}
for name in r.stdout:gmatch("([^\n=]+)=[^\n]*\n") do seen[#seen + 1] = name end
table.sort(seen)
assert(table.concat(seen, " ") == "HOME ONLY PATH TMPDIR", "more than named: " .. table.concat(seen, " "))
print("with clear_env: " .. table.concat(seen, " "))

-- false removes; a variable that tells the loader what to load needs trust.
r = assert(mw.process.run { "printenv", "PATH", env = { PATH = false } })
assert(r.code == 1, "PATH is still there")
local ok, err = pcall(mw.process.run, { "env", env = { LD_PRELOAD = "/tmp/evil.so" } })
assert(not ok and err.code == "EDENIED", "LD_PRELOAD was passed on")
print("refused: " .. tostring(err))
