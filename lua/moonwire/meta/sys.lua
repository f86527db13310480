---@meta
--- The door `core.sys` (host/bind/sys.c); scripts see it as mw.time, mw.random, mw.platform, mw.sys and mw.env.

--- Clocks.
---@class moonwire.time
local time = {}

--- Seconds of a clock that never goes back, with a fraction: for measuring. It counts from some moment in the past.
---
--- ```lua
--- local began = mw.time.now()
--- work()
--- print(("%.3f s"):format(mw.time.now() - began))
--- ```
---@return number seconds
function time.now() end

--- Seconds since 1970 (UTC), with a fraction: the date. It can go back when somebody sets the clock.
---@return number seconds
function time.wall() end

--- Random bytes from the kernel, good for keys.
---@class moonwire.random
local random = {}

--- So many random bytes.
---
--- ```lua
--- local token = mw.random.bytes(16):gsub(".", function(c)
---   return ("%02x"):format(c:byte())
--- end)
--- ```
---@param count integer  0 to 1 MiB
---@return string bytes
function random.bytes(count) end

--- What this program was built for.
---@class moonwire.platform
---@field os "linux"
---@field arch "x86_64"|"aarch64"|"unknown"
local platform = {}

--- Facts about the machine and this process, each under its own right: `--allow-sys=hostname,cpus`, or `--allow-sys` for all.
--- Without it each raises EDENIED.
---@class moonwire.sys
local sys = {}

--- The machine's name. Needs `--allow-sys=hostname`.
---@return string name
function sys.hostname() end

--- The kernel's release: "6.1.0-18-amd64". Needs `--allow-sys=osRelease`.
---@return string release
function sys.os_release() end

--- How many processes wanted to run, on average over 1, 5 and 15 minutes. Needs `--allow-sys=loadavg`.
---@return number one
---@return number five
---@return number fifteen
function sys.loadavg() end

--- How many processors this process may use. Needs `--allow-sys=cpus`.
---@return integer count
function sys.cpus() end

--- The machine's memory in bytes; `available` is what programs could get without swapping. Needs `--allow-sys=memory`.
---@return { total: integer, free: integer, available: integer } memory
function sys.memory() end

--- The addresses of the machine, one entry each. Needs `--allow-sys=networkInterfaces`.
---@return { name: string, family: "ipv4"|"ipv6", address: string, netmask: string, internal: boolean }[]? list  internal: loopback
---@return moonwire.Err? err
function sys.network_interfaces() end

--- The user that this process runs as. Needs `--allow-sys=uid`.
---@return integer uid
function sys.uid() end

--- The group that this process runs as. Needs `--allow-sys=gid`.
---@return integer gid
function sys.gid() end

--- That user's home folder. Needs `--allow-sys=homedir`.
---@return string? path
---@return moonwire.Err? err
function sys.homedir() end

--- The number of this process. Needs `--allow-sys=pid`.
---@return integer pid
function sys.pid() end

--- The environment, as far as the rights go (`--allow-env=HOME,LANG` or `--allow-env=APP_*`).
---
--- `mw.env.HOME` is the variable, nil when it is unset; without a right it raises EDENIED. `mw.env.get` never raises for that.
--- `for name, value in pairs(mw.env) do` shows what is granted. It cannot be changed; a child gets its own with `env = { ... }`.
---
--- ```lua
--- print(mw.env.HOME, mw.env.get("PORT", "8080"))
--- ```
---@class moonwire.env
---@field [string] string?  a variable by its name
local env = {}

--- The variable `name`, or `default` where it is unset or without a right.
---@param name string
---@param default? string  nil unless told
---@return string? value
function env.get(name, default) end

---@class moonwire.core.sys
---@field os "linux"
---@field arch "x86_64"|"aarch64"|"unknown"
---@field now fun(): number
---@field wall fun(): number
local door = {}

--- mw.random.bytes.
---@param count integer
---@return string
function door.random(count) end

--- A variable, or nil. Without its env right it raises EDENIED, or gives nil when `quiet`.
---@param name string
---@param quiet? boolean
---@return string?
function door.env(name, quiet) end

--- All variables that have a right.
---@return table<string, string>
function door.env_all() end

return door
