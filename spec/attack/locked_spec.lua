-- Attacks past our own code: a native module (as good as a memory error) in a host that has locked itself, and in a script child.
-- What it is refused, the kernel refuses.
local attack = assert(loadfile("spec/attack/support.lua", "t", _ENV))()
local uv = require "uv"

local function module(w)
  assert(uv.fs_copyfile(w.base.native, w.dir .. "/in/native.so"))
  assert(uv.fs_chmod(w.dir .. "/in/native.so", 493))
end

local NATIVE = "package.cpath = W .. '/in/?.so' local native = require 'native' return native."
local RIGHTS = " --allow-ffi=$W/in --allow-read=$W/in,$W/app --allow-write=$W/out"
local NO = { "^EACCES", "^EPERM", "^ENOENT" }

local TRIES = {
  { "reading", "read(W .. '/secret')", takes = true },
  { "reading through ..", "read(W .. '/in/../private/key')", takes = true },
  { "writing", "write(W .. '/secret')" },
  { "writing what may only be read", "write(W .. '/in/plain')" },
  { "making a file", "write(W .. '/in/new')" },
  { "removing", "remove(W .. '/in/plain')" },
  { "connecting", "tcp(tonumber(T))", net = true },
  { "connecting to an abstract socket", "abstract(N)", net = true },
  { "binding", "bind()" },
  { "killing", "kill(tonumber(P))", victim = true },
  { "tracing", "trace(tonumber(P))", victim = true, control = "root" },
  { "a program that reads", "run('/bin/cat', W .. '/secret')", takes = true },
  { "another's command line, by a program of its own fork", "run('/bin/cat', '/proc/1/cmdline')", grant = false, only = "release" },
  { "the shadow file", "read('/etc/shadow')", grant = false },
  { "another's memory by /proc", "read('/proc/' .. P .. '/mem')", victim = true, grant = false, refused = { "^EACCES", "^EPERM", "^ENOENT", "^EIO" } },
}

local function tries(title, common, source)
  local out = {}
  for i, row in ipairs(TRIES) do
    local attempt = { ("%s: %s"):format(title, row[1]), lua = source(NATIVE .. row[2]) }
    for _, from in ipairs { common, row } do
      for key, value in pairs(from) do if type(key) == "string" then attempt[key] = value end end
    end
    attempt.takes, attempt.world, attempt.only = row.takes or false, module, row.only or "landlock"
    attempt.refused = row.refused or NO
    out[i] = attempt
  end
  return out
end

attack.class("native code in a locked host", tries("a locked host", { flags = "--confine=strict" .. RIGHTS, grant = "--confine=off" .. RIGHTS },
  function(source) return source end))

attack.class("native code in a script child", tries("a script child", { flags = "--confine=off" .. RIGHTS, grant = "--confine=off --trust-run" .. RIGHTS },
  function(source) return ("return script({ permissions = 'inherit' }, %q)"):format(source) end))

attack.class("the lock", attack.each({ takes = false, grant = false, exit = 2, lua = "return true" }, {
  { "strict with trusted programs refuses to start", flags = "--confine=strict --trust-run=true", exit = 2 },
  { "an unknown word refuses to start", flags = "--confine=strictly", exit = 2 },
  { "strict without a kernel that can refuses to start", flags = "--confine=strict", only = "no landlock", grant = false },
  { "off is what it says", flags = "--confine=none", grant = "--confine=off", exit = 2 },
}))
