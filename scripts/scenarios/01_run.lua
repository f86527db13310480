-- Run a program: its output, its errors, its exit code.
-- rights: --allow-run=echo,sh
local mw = require "moonwire"

local r = assert(mw.process.run { "echo", "Hello from child process" })
assert(r.ok and r.code == 0, "echo failed with code " .. tostring(r.code))
assert(r.stdout == "Hello from child process\n", "echo said: " .. r.stdout)
print("echo said: " .. r.stdout:gsub("\n", ""))

-- A non-zero exit is a result, not an error; output and errors arrive apart.
r = assert(mw.process.run { "sh", "-c", "echo out; echo oops >&2; exit 3" })
assert(not r.ok and r.code == 3, "the exit code is " .. tostring(r.code) .. ", not 3")
assert(r.stdout == "out\n" and r.stderr == "oops\n", "mixed up: " .. r.stdout .. r.stderr)
print("sh ended with code " .. r.code .. " and said on standard error: " .. r.stderr:gsub("\n", ""))

-- What takes too long is ended, with all that it started.
r = assert(mw.process.run { "sh", "-c", "sleep 60 & sleep 60", timeout = "200ms" })
assert(r.timed_out and r.signal == "TERM", "it was not ended in time")
print(string.format("a sleeper was ended by %s after %.1f s", r.signal, r.duration))

-- `check = true` raises instead, with everything one wants to know.
local ok, err = pcall(mw.process.run, { "sh", "-c", "echo broken >&2; exit 9", check = true })
assert(not ok and err.code == "ECRASHED" and err.data.exit_code == 9, "no error: " .. tostring(err))
print("with check: " .. tostring(err))
