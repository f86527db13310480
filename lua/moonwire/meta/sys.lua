---@meta

--- The door of the machine and the process; scripts see it as mw.time, mw.random, mw.env, mw.sys and mw.platform.
---@class moonwire.core.sys
---@field os "linux"
---@field arch "x86_64"|"aarch64"|"unknown"
local sys = {}

--- Monotonic seconds.
---@return number
function sys.now() end

--- Seconds since 1970.
---@return number
function sys.wall() end

--- Random bytes from the kernel, at most 1 MiB at once.
---@param count integer
---@return string
function sys.random(count) end

--- A variable, or nil. Without its env right it raises EDENIED, or gives nil when `quiet`.
---@param name string
---@param quiet? boolean
---@return string?
function sys.env(name, quiet) end

--- All variables that have a right.
---@return table<string, string>
function sys.env_all() end

--- Needs --allow-sys=hostname.
---@return string
function sys.hostname() end

--- The kernel's release. Needs --allow-sys=osRelease.
---@return string
function sys.os_release() end

--- Load over 1, 5 and 15 minutes. Needs --allow-sys=loadavg.
---@return number one
---@return number five
---@return number fifteen
function sys.loadavg() end

--- How many processors this process may use. Needs --allow-sys=cpus.
---@return integer
function sys.cpus() end

--- Bytes. Needs --allow-sys=memory.
---@return { total: integer, free: integer, available: integer }
function sys.memory() end

--- Needs --allow-sys=networkInterfaces.
---@return { name: string, family: "ipv4"|"ipv6", address: string, netmask: string, internal: boolean }[]? list
---@return moonwire.Err? err
function sys.network_interfaces() end

--- Needs --allow-sys=uid.
---@return integer
function sys.uid() end

--- Needs --allow-sys=gid.
---@return integer
function sys.gid() end

--- Needs --allow-sys=homedir.
---@return string? path
---@return moonwire.Err? err
function sys.homedir() end

--- Needs --allow-sys=pid.
---@return integer
function sys.pid() end
