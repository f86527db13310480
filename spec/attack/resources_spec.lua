-- Attacks on what there is: processor time, memory, descriptors, processes, output. Each must end by its limit, in time, and the
-- host must be well after it.
local attack = assert(loadfile("spec/attack/support.lua", "t", _ENV))()

local LIMITS = "--limit=step=60ms,memory=48MiB,children=8,handles=64,tasks=1000,buffered=4MiB"

--- What is over budget ends; afterwards the script still has its host.
local function over(source)
  return "local ok, why = pcall(function() " .. source .. " end) assert(mw.time.now() > 0 and #mw.random.bytes(4) == 4) mw.task.sleep(0)"
    .. " if ok then return 'it ended by itself' end return nil, why"
end
local function bombs(list, common)
  for _, row in ipairs(list) do row.lua = row.lua or over(row[2]) end
  return attack.each(common, list)
end

attack.class("processor time", bombs({
  { "an endless loop", "while true do end" },
  { "an endless loop of calls", "local function f() return f() end f()" },
  { "an endless loop that catches its errors", died = true, "while true do pcall(function() while true do end end) end" },
  { "an endless loop in a coroutine that catches its errors", died = true, "coroutine.wrap(function() while true do pcall(function() while true do end end) end end)()" },
  { "coroutines that resume each other for ever", "while true do coroutine.wrap(function() end)() end" },
  { "an endless iterator", "for _ in function() return 1 end do end" },
  { "an endless comparator", "table.sort({ 3, 2, 1 }, function() while true do end end)" },
  { "an endless __index", "local t = setmetatable({}, { __index = function() while true do end end }) return t.x" },
  { "an endless __close", "local x <close> = setmetatable({}, { __close = function() while true do end end })" },
  { "an endless __tostring of an error", "error(tostring(setmetatable({}, { __tostring = function() while true do end end })))" },
  { "an endless function of gsub", "string.gsub('x', 'x', function() while true do end end)" },
  { "an endless task", "mw.task.scope(function(s) s:spawn(function() while true do end end) end)" },
  { "an endless cleanup in a shield", "mw.task.shield(function() while true do end end, { timeout = 60 })" },
  { "an endless module", "package.preload.x = function() while true do end end require 'x'" },
  { "a table that is as long as it says", "table.concat(setmetatable({}, { __len = function() return 1 << 40 end, __index = function() return '' end }))" },
  { "a pattern that tries everything, in find", "return string.find(('a'):rep(30000), ('a*'):rep(30) .. 'b')" },
  { "a pattern that tries everything, in match", "return ('a'):rep(30000):match(('(a*)'):rep(30) .. 'b')" },
  { "a pattern that tries everything, in gsub", "return ('a'):rep(30000):gsub(('a-'):rep(30) .. 'b', '')" },
  { "a pattern that tries everything, in gmatch", "for _ in ('x'):rep(100000):gmatch(('x-'):rep(20) .. 'y') do end" },
  { "moving what is not there", "table.move({}, 1, 1 << 60, 2)" },
  { "inserting into what is long", "table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 2)" },
  { "removing from what is long", "table.remove(setmetatable({}, { __len = function() return 1 << 60 end }), 1)" },
  { "a text of a megabyte of sums", "return assert(load('return ' .. ('1+'):rep(5000000) .. '1'))", refused = { "step", "memory", "overflow", "levels" } },
  { "an endless finalizer", "setmetatable({}, { __gc = function() while true do end end }) collectgarbage() collectgarbage()", died = true },
  { "an endless finalizer put in later", "local mt = { __gc = true } setmetatable({}, mt) mt.__gc = function() while true do end end collectgarbage()", died = true },
  { "an endless finalizer that is an object", "local mt = { __gc = true } setmetatable({}, mt) mt.__gc = setmetatable({}, { __call = function() while true do end end })"
    .. " collectgarbage()", died = true },
  { "an endless finalizer at the end of the host", lua = "KEPT = setmetatable({}, { __gc = function() while true do pcall(error) end end }) return false", refused = "absent" },
  { "an endless message handler", "local ok, why = xpcall(error, function() while true do end end) error(why, 0)" },
  { "more time than the step has", "local s = 0 for i = 1, 3e7 do s = s + i % 7 end", grant = "--limit=step=60s" },
  { "an endless callback of a timer", lua = "local uv = require 'uv' local e = mw.task.event() uv.new_timer():start(0, 0, function() e:set() while true do end end)"
    .. " e:wait { timeout = 20 } mw.task.sleep(0.01) return false", grant = false, refused = { "absent", "step" } },
}, { flags = LIMITS, takes = false, grant = false, refused = { "step", "ELIMIT", "C stack overflow" } }), true)

attack.class("memory", bombs({
  { "a growing table", "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end" },
  { "more memory than there is", "return #('x'):rep(64 << 20)", grant = "--limit=memory=512MiB" },
  { "a growing string", "local s = 'x' while true do s = s .. s end" },
  { "a long repetition", "return #('x'):rep(1 << 30)" },
  { "a repetition whose size wraps", "return #('x'):rep((1 << 62) + 1, 'yyy')" },
  { "a substitution that grows", "return #('x'):rep(1 << 20):gsub('x', ('y'):rep(1 << 14))" },
  { "a concatenation that grows", "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(1 << 20) end return #table.concat(t)" },
  { "endless recursion", "local function f() return 1 + f() end f()" },
  { "closures without end", "local t = {} while true do local x = #t t[#t + 1] = function() return x end end" },
  { "coroutines without end", "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end" },
  { "a format that grows", "local t = {} for i = 1, 1 << 20 do t[i] = ('%99.99f'):format(1) end" },
  { "nested brackets in a text", "return assert(load('return ' .. ('('):rep(1 << 20)))" },
  { "nested tables in a text", "return assert(load('return ' .. ('{'):rep(1 << 20)))" },
  { "a text with a million locals", "local t = {} for i = 1, 300 do t[i] = 'local a' .. i end return assert(load(table.concat(t, ' ')))" },
  { "a text that a reader never ends", "local n = 0 return assert(load(function() n = n + 1 return 'x=' .. n .. ' ' end))" },
  { "upvalue chains through coroutine.wrap", "local f = function() end while true do local g = f f = coroutine.wrap(function() g() end) end" },
  { "tasks without end", "mw.task.scope(function(s) while true do s:spawn(mw.task.sleep, 100) end end)" },
  { "datagrams' buffers without end", "local uv = require 'uv' local t = {} for i = 1, 1000 do t[i] = assert(uv.new_udp { mmsgs = 64 }) end" },
  { "random bytes without end", "return #mw.random.bytes(1 << 40)" },
  { "a frame that is announced longer than it may be", "return mw.frame.new { header = '<I4', length = 1, max = '16MiB' }:decode('\\255\\255\\255\\255' .. ('x'):rep(64))"
    .. " or error('EFRAME')" },
  { "a file read whole that is endless", "return assert(mw.fs.read('/dev/zero'))", flags = LIMITS .. " --allow-read=/dev/zero" },
  { "a line that never ends", "local f = assert(io.open('/dev/zero')) return assert(f:read('l'))", flags = LIMITS .. " --allow-read=/dev/zero" },
}, { flags = LIMITS, takes = false, grant = false, refused = { "memory", "ELIMIT", "too large", "overflow", "limit", "EINVAL", "EFRAME", "levels", "step", "local variables" } }), true)

attack.class("handles, processes and output", bombs({
  { "timers without end", "local uv = require 'uv' local t = {} for i = 1, 200000 do t[i] = assert(uv.new_timer()) end" },
  { "more files than handles", "local t = {} for i = 1, 200 do t[i] = assert(io.open(W .. '/in/plain')) end for i = 1, 200 do t[i]:close() end",
    flags = LIMITS .. " --allow-read=$W/in", grant = "--limit=handles=1000 --allow-read=$W/in" },
  { "files without end", "local t = {} for i = 1, 100000 do t[i] = assert(io.open(W .. '/in/plain')) end", flags = LIMITS .. " --allow-read=$W/in" },
  { "files of mw.fs without end", "local t = {} for i = 1, 100000 do t[i] = assert(mw.fs.open(W .. '/in/plain')) end", flags = LIMITS .. " --allow-read=$W/in" },
  { "descriptors of uv without end", "local uv = require 'uv' for i = 1, 2000000 do assert(uv.fs_open(W .. '/in/plain', 'r', 0)) end", flags = LIMITS .. " --allow-read=$W/in" },
  { "listeners without end", "local t = {} for i = 1, 100000 do t[i] = assert(mw.net.listen('tcp://127.0.0.1:0')) end", flags = LIMITS .. " --allow-listen" },
  { "watches without end", "local t = {} for i = 1, 100000 do t[i] = mw.fs.watch(W .. '/in') end", flags = LIMITS .. " --allow-read=$W/in" },
  { "children without end", "local t = {} for i = 1, 1000 do t[i] = assert(mw.process.spawn { 'sleep', '1000' }) end", flags = LIMITS .. " --trust-run=sleep" },
  { "script children without end", "local t = {} for i = 1, 1000 do t[i] = assert(mw.process.spawn { script = 'child.lua', 'mw.task.sleep(1000)' }) end", script = true },
  { "output of a child without end", "return assert(mw.process.run { H, 'flood', '1000' })", flags = LIMITS .. " --trust-run=$H" },
  { "a million arguments", "local t = { 'true' } for i = 2, 200000 do t[i] = 'xxxxxxxxxxxxxxxx' end return assert(mw.process.run(t))", flags = LIMITS .. " --trust-run=true" },
  { "an environment of megabytes", "local e = {} for i = 1, 20000 do e['V' .. i] = ('x'):rep(100) end return assert(mw.process.run { 'true', env = e })",
    flags = LIMITS .. " --trust-run=true" },
  { "permissions without end", "local t = {} for i = 1, 200000 do t[i] = '/x' .. i end return assert(mw.process.run { script = 'child.lua', permissions = { read = t } })" },
  { "drops without end", "for i = 1, 1 << 20 do mw.permissions.drop('read', '/x' .. i) end" },
  { "a connection that is written to and never read", "local l = assert(mw.net.listen('tcp://127.0.0.1:0')) local c = assert(mw.net.connect(l:address()))"
    .. " mw.task.timeout(0.2, function() while true do assert(c:write(('x'):rep(1 << 16))) end end) assert(l:accept()):close() error('waits: ETIMEDOUT')", flags = LIMITS .. " --allow-net" },
}, { flags = LIMITS, takes = false, grant = false, refused = { "ELIMIT", "at most", "EMFILE", "E2BIG", "EDENIED", "memory", "limit", "step", "ETIMEDOUT", "EINVAL", "ENOSPC" } }), true)

--- What a child may use: the attempt is the child's.
attack.class("limits of a child", attack.each({ cage = true, flags = "--allow-run=$H", grant = "--trust-run=$H", takes = false }, {
  { "memory", "return child { H, 'memory', '256', limits = { memory = '64MiB' } }", refused = { "^ENOMEM", "^SIG", "^exit" }, grant = false },
  { "descriptors", "return child { H, 'files', '256', limits = { files = 32 } }", refused = "^EMFILE", grant = false },
  { "processor time", "return child { H, 'spin', '20', timeout = 90, limits = { cpu = 1 } }", refused = { "^SIGXCPU", "^SIGKILL" }, grant = false },
  { "processes, as a user", "return child { H, 'forks', '64', limits = { processes = 8 } }", refused = { "^EAGAIN", "^EOPNOTSUPP" }, only = "user", grant = false },
  { "one process alone", "return child { H, 'forks', '2', limits = { processes = 1 } }", refused = { "^EPERM", "^EAGAIN" }, grant = false },
  { "its own limit raised", "return child { H, 'raise-limit', '9', limits = { memory = '64MiB' } }", refused = { "^EPERM" }, grant = false },
  { "output beyond max_output", "return child { H, 'flood', '64', max_output = '1MiB' }", refused = { "^ELIMIT", "^SIG" }, grant = false },
  { "time", "return child { H, 'spin', '1000', timeout = 0.3, kill_after = 0.1 }", refused = { "^SIG", "^ETIMEDOUT" }, grant = false },
  { "an unknown limit", "return child { H, 'forks', '1', limits = { process = 8 } }", refused = "^EINVAL", grant = false },
  { "a negative limit", "return child { H, 'forks', '1', limits = { memory = -1 } }", refused = "^EINVAL", grant = false },
  { "a limit beyond 64 bits", "return child { H, 'forks', '1', limits = { memory = 1e300 } }", refused = "^EINVAL", grant = false },
  { "forking where it may not start", "return breakout('forks', '4')", flags = "", grant = "--allow-run=$H", refused = "^EDENIED" },
}))
