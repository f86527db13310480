-- Attacks through Lua's own libraries: bytecode, debug, metatables, modules, the collector, coroutines, error objects.
local attack = assert(loadfile("spec/attack/support.lua", "t", _ENV))()

--- Bytecode that plain Lua would load: written by the full string.dump of the specs' own host if it has one; else by hand.
local HEADER = [["\27Lua\x54\0\x19\x93\r\n\x1a\n\4\8\8\x78\x56\0\0\0\0\0\0\0\0\0\0\0\x28\x77\x40\1\0" .. ("\0"):rep(64)]]

attack.class("bytecode", attack.each({ flags = "--allow-read=$W --allow-write=$W/out", grant = false, refused = { "binary", "text",
  "EINVAL", "absent", "unexpected symbol" } }, {
  { "load of a binary chunk", "return load(" .. HEADER .. ")" },
  { "load with the mode b", "return load(" .. HEADER .. ", 'x', 'b')" },
  { "load with the mode bt", "return load(" .. HEADER .. ", 'x', 'bt')" },
  { "load from a function that gives it byte by byte", "local s, i = " .. HEADER .. ", 0"
    .. " return load(function() i = i + 1 return i <= #s and s:sub(i, i) or nil end)" },
  { "load from a function whose first piece is empty", "local n, s = 0, " .. HEADER
    .. " return load(function() n = n + 1 return n == 1 and ' ' or n == 2 and s or nil end)", refused = { "^%[string", "^EINVAL",
      "binary", "unexpected" } },
  { "load of text in the mode b", "return load('return 1', 'x', 'b')" },
  { "loadfile of a binary chunk", "mw.fs.write(W .. '/out/b', " .. HEADER .. ") return loadfile(W .. '/out/b')" },
  { "loadfile behind a # line", "mw.fs.write(W .. '/out/b', '#!x\\n' .. " .. HEADER .. ") return loadfile(W .. '/out/b', 'bt')" },
  { "dofile of a binary chunk", "mw.fs.write(W .. '/out/b', " .. HEADER .. ") return dofile(W .. '/out/b') or true" },
  { "require of a binary module", "mw.fs.write(W .. '/out/b.lua', " .. HEADER .. ") package.path = W .. '/out/?.lua'"
    .. " return require('b')" },
  { "a script child that is bytecode", script = true, "mw.fs.write(W .. '/out/b.lua', " .. HEADER .. ")"
    .. " local r = assert(mw.process.run { script = W .. '/out/b.lua' }) if r.code == 0 then return true end"
    .. " return nil, { code = 'exit', message = r.stderr }" },
  { "string.dump", "return string.dump" },
  { "string.dump by a string's method", "return ('').dump" },
  { "a file outside, loaded as text", flags = "", grant = "--allow-read=$W", takes = true, refused = "^EDENIED",
    "local f = loadfile(W .. '/private/code.lua') return f and f()",
    world = function(w) w.put("private/code.lua", "return '" .. w.secret .. "'") end },
}))

attack.class("debug and metatables", attack.each({ flags = "--allow-read=$W/in", grant = false, refused = { "absent", "nil value", "protected",
  "EINVAL", "table expected", "^[^ ]*main.lua" } }, {
  { "debug.getregistry", "return debug.getregistry" },
  { "debug.setmetatable of a string", "return debug.setmetatable('', {})" },
  { "debug.getupvalue of io.open", "return debug.getupvalue(io.open, 1)" },
  { "debug.setupvalue of require", "return debug.setupvalue(require, 1, {})" },
  { "debug.upvaluejoin", "return debug.upvaluejoin" },
  { "debug.sethook", "return debug.sethook" },
  { "debug.getlocal of the host's frames", "return debug.getlocal" },
  { "debug.getuservalue of a file", "return debug.getuservalue(io.stdout, 1)" },
  { "debug.debug", "return debug.debug" },
  { "getinfo giving functions of the host's modules", "for l = 0, 30 do local i = debug.getinfo(l, 'fS')"
    .. " if i and i.func and i.source:find('moonwire', 1, true) and not i.source:find('main.lua', 1, true) then return true end end" },
  { "getinfo giving C functions", "for l = 0, 30 do local i = debug.getinfo(l, 'fS') if i and i.what == 'C' and i.func then return true end end" },
  { "getinfo of a suspended task's coroutine", "local co = coroutine.create(function() mw.task.sleep(1) end) coroutine.resume(co)"
    .. " local i = debug.getinfo(co, 0, 'f') return i and i.func" },
  { "the metatable of a file", "return getmetatable(io.stdout).__index ~= nil" },
  { "the metatable of mw", "return type(getmetatable(mw)) == 'table'" },
  { "setmetatable on mw", "return setmetatable(mw, { __index = function() return 1 end })" },
  { "setmetatable on a sub-table with locked ones", "return setmetatable(mw.env, {})" },
  { "the metatable of an error object", "local ok, e = pcall(mw.fs.read, '/x') local m = getmetatable(e) return type(m) == 'table'" },
  { "the metatable of strings", "return type(getmetatable('')) == 'table' and getmetatable('').__index" },
  { "a change of string methods through the metatable", "getmetatable('').__index = {} return true" },
  { "the metatable of a stream", "local s = assert(mw.fs.open(W .. '/in/plain')) return type(getmetatable(s)) == 'table'" },
  { "a stream's methods under another box", "local s = assert(mw.fs.open(W .. '/in/plain')) local f = s.close"
    .. " return f(io.stdout) or f(setmetatable({}, getmetatable(s)))" },
  { "a file's methods under another box", "return io.stdout.close(assert(mw.fs.open(W .. '/in/plain')))" },
  { "a method taken from a file that may be opened, on one that may not", grant = "--allow-read=$W", takes = true,
    refused = "EDENIED", "local read = io.stdout.read return read(io.open(W .. '/secret'), 'a')" },
  { "a fake file handle", "return io.type(setmetatable({}, { __name = 'FILE*' })) or io.output(setmetatable({}, { __name = 'FILE*' }))" },
}))

attack.class("modules", attack.each({ flags = "", grant = "--allow-read=$W --allow-ffi=$W", takes = true }, {
  { "package.path to elsewhere", "package.path = W .. '/private/?.lua' return require('code')",
    world = function(w) w.put("private/code.lua", "return '" .. w.secret .. "'") end, refused = { "EDENIED", "not found" } },
  { "require of a name with a path in it", "return require('../private/code')", refused = { "EDENIED", "not found" }, grant = false,
    world = function(w) w.put("private/code.lua", "return '" .. w.secret .. "'") end },
  { "require through a link beside the script", "return require('link')", refused = { "EDENIED", "not found" },
    world = function(w) w.put("private/code.lua", "return '" .. w.secret .. "'") w.link("../private/code.lua", "app/link.lua") end },
  { "require of a folder that is a link", "return require('up.code')", refused = { "EDENIED", "not found" },
    world = function(w) w.put("private/code.lua", "return '" .. w.secret .. "'") w.link("../private", "app/up") end },
  { "an error message that quotes a file", "return require('key')", grant = false, refused = { "EDENIED", "not found", "error loading" },
    world = function(w) w.link("../private/key", "app/key.lua") end },
  { "dofile of a text that is no Lua, for its error", "return dofile(W .. '/private/key')", refused = "EDENIED", grant = false },
  { "package.searchpath as a test of existence", "return package.searchpath('key', W .. '/private/?')", takes = false,
    refused = { "absent", "no right" } },
  { "package.searchers beyond the guarded ones", "return #package.searchers > 4", grant = false, refused = "absent", takes = false },
  { "a searcher called by itself", "return package.searchers[2](W:sub(2):gsub('/', '.') .. '.private.code') == nil",
    grant = false, refused = { "absent", "EINVAL", "EDENIED" }, takes = false },
  { "package.loadlib", "return package.loadlib('libc.so.6', 'system')", grant = false, refused = { "absent", "EDENIED", "nil value" } },
  { "package.cpath to a native module", "package.cpath = W .. '/private/?.so' return require('code')", takes = false, grant = false,
    world = function(w) w.put("private/code.so", "no elf") end, refused = { "EDENIED", "not found", "no right" } },
  { "package.loaded with an inner name", "return package.loaded['moonwire.core'] or package.loaded['_CLIBS'] or package.loaded.io.popen()",
    grant = false, refused = { "EDENIED", "absent", "EOPNOTSUPP" } },
  { "require of the host's own inner modules", "for _, n in ipairs { 'moonwire.core', 'moonwire.test', 'moonwire.preload', 'core', 'luv' } do"
    .. " local ok, m = pcall(require, n) if ok and m ~= require('uv') then return n end end", grant = false, refused = "absent", takes = false },
  { "package.preload from an earlier opening", "return next(package.preload)", grant = false, refused = "absent", takes = false },
  { "the table behind require changed", "package.loaded.moonwire = { fake = true } return require('moonwire').fake", grant = false,
    refused = "absent", takes = false },
}))

attack.class("io, os and the rest", attack.each({ flags = "", grant = false, refused = { "EDENIED", "absent", "EINVAL", "EOPNOTSUPP" } }, {
  { "io.popen", "return io.popen('id')" },
  { "os.execute", "return os.execute('id')" },
  { "os.execute to learn whether there is a shell", "return os.execute()" },
  { "os.getenv of the home directory", "return os.getenv('HOME')", grant = "--allow-env=HOME", env = { HOME = "/nowhere" }, takes = false },
  { "os.setlocale", "return os.setlocale('de_DE.UTF-8')" },
  { "os.exit at once, without cleanup", "local done <close> = setmetatable({}, { __close = function() io.stdout:write('\\nREFUSED absent\\n') end })"
    .. " os.exit(0, false)" },
  { "os.date with a bad format", "return os.date('%' .. string.char(200))", refused = "invalid" },
  { "io.output closed under the host", "io.stdout:close() return false" },
  { "collectgarbage stopped", "collectgarbage('stop') return not collectgarbage('isrunning')", refused = { "EINVAL", "absent", "not allowed",
    "cannot", "option" } },
  { "io.open of standard output by a number", "return io.open(1)" , refused = { "EINVAL", "EDENIED", "string", "ENOENT" } },
  { "io.open of a mode that opens more", "return io.open(W .. '/in/plain', 'r+we')", refused = { "EINVAL", "mode", "EDENIED" } },
  { "string.rep without end", "return #('x'):rep(1 << 40) > 0", refused = { "memory", "too large", "ELIMIT", "large" } },
  { "string.format of an object that writes C memory", "return ('%n'):format(1)", refused = "%%n" },
  { "a pattern that reads beyond its string", "return ('x'):find('%f')", refused = { "missing", "malformed" } },
  { "utf8 beyond its string", "return utf8.codepoint('x', 1, 100)", refused = "out of " },
  { "string.unpack beyond its string", "return string.unpack('s8', ('\xff'):rep(8))", refused = { "too short", "does not fit", "overflow" } },
  { "table.unpack without end", "return table.unpack({}, 1, 1e8)", refused = { "too many", "ELIMIT" } },
  { "table.concat without end", "return #table.concat(setmetatable({}, { __index = function() return 'x' end }), '', 1, 10) == 0",
    refused = "absent" },
}))

attack.class("the collector, coroutines and errors", attack.each({ flags = "", grant = "--allow-read=$W", takes = true,
  refused = { "EDENIED" } }, {
  { "from __gc", "local got setmetatable({}, { __gc = function() local ok, v = pcall(slurp, W .. '/secret') got = { ok, v } end })"
    .. " collectgarbage() collectgarbage() if not got then return nil, 'not run' end if not got[1] then error(got[2], 0) end return got[2]",
    refused = { "EDENIED", "not run" }, grant = false },
  { "from __close while an error unwinds", "local got local function f() local x <close> = setmetatable({}, { __close = function()"
    .. " got = slurp(W .. '/secret') end }) error('x') end local ok, e = pcall(f) if got then return got end error(e, 0)" },
  { "from a coroutine", "return coroutine.wrap(function() return slurp(W .. '/secret') end)()" },
  { "from another task", "local t = mw.task.scope() local got t:spawn(function() got = slurp(W .. '/secret') end):join() return got" },
  { "from a comparator of table.sort", "local got table.sort({ 1, 2 }, function() got = got or slurp(W .. '/secret') return false end) return got" },
  { "from a message handler", "local _, got = xpcall(error, function() return slurp(W .. '/secret') end) if type(got) == 'string' and #got > 30"
    .. " then return got end error(got, 0)", refused = { "EDENIED", "error in error", "C stack" } },
  { "from __tostring of what is printed", "local got print(setmetatable({}, { __tostring = function() got = slurp(W .. '/secret') return '' end }))"
    .. " return got" },
  { "from string.gsub's function", "local got ('x'):gsub('x', function() got = slurp(W .. '/secret') end) return got" },
  { "from load's reader", "local got load(function() got = got or slurp(W .. '/secret') end) return got", refused = { "EDENIED", "absent" } },
  { "after coroutine.close of a task's own coroutine", grant = false, refused = { "EDENIED", "cannot close", "running", "absent", "EINVAL" },
    "coroutine.close(coroutine.running()) return slurp(W .. '/secret')" },
  { "an error object whose code is changed", "local ok, e = pcall(slurp, W .. '/secret') e.code = 'OK' error(e, 0)", grant = false,
    refused = { "EDENIED", "OK", "read%-only", "attempt" }, check = function(_, _, _, r)
      if r.code == 0 and r.stdout:find("EDENIED", 1, true) then return "a denial with the status 0" end
    end },
  { "an error object with __index over it", "local ok, e = pcall(slurp, W .. '/secret') rawset(e, 'code', nil) return nil, e.code", grant = false,
    refused = { "EDENIED", "absent", "attempt", "table expected" } },
  { "task.retry until the right comes", "return mw.task.retry(function() return slurp(W .. '/secret') end, { attempts = 50 })" },
  { "mw.fail forging a host's error that grants", "mw.fail('GRANTED', 'x')", grant = false, refused = "GRANTED" },
  { "a pcall nest that overflows the C stack", "local function f() return pcall(f) end f() return slurp(W .. '/secret')" },
  { "a string coerced by string metamethods of the script", grant = false, refused = { "EDENIED", "attempt", "EINVAL", "protected" },
    "getmetatable('').__concat = function() return W .. '/secret' end return slurp(W .. '/secret')" },
  { "a global replaced that the host's Lua might use", "type, pcall, error, next, rawget, tostring, ipairs = nil"
    .. " string.find, string.match, table.concat, string.format = nil return slurp(W .. '/secret')" },
  { "require replaced, then mw loaded anew", "function require() return { fs = { read = function() return 'x' end } } end"
    .. " package.loaded.moonwire = nil return mw.fs.read(W .. '/secret')" },
}))
