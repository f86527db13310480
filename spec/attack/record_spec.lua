-- Attacks on what is told and recorded: the audit, policy files, and the texts of denials that a person reads on a terminal.
local attack = assert(loadfile("spec/attack/support.lua", "t", _ENV))()

--- The audit's lines, or nil and what is wrong with it.
local function audit(w, name)
  local file = io.open(w.dir .. "/out/" .. (name or "audit"))
  if not file then return nil, "there is no audit" end
  local text, lines = file:read("a"), {}
  file:close()
  if text ~= "" and text:sub(-1) ~= "\n" then return nil, "the last line is cut" end
  for line in text:gmatch("[^\n]*\n") do
    if not line:find('^{".*}\n$') then return nil, "this is no line of its own: " .. line end
    if line:find("[\0-\9\11-\31\127]") then return nil, "a control character is in it: " .. line end
    lines[#lines + 1] = line
  end
  return lines
end
local function audited(want)
  return function(w)
    local lines, why = audit(w)
    if not lines then return why end
    local n = 0
    for _, line in ipairs(lines) do if line:find(want) then n = n + 1 end end
    if n == 0 then return "not in the audit: " .. want .. "\n" .. table.concat(lines) end
  end
end

local AUDIT = "--audit=$W/out/audit"
attack.class("the audit", attack.each({ flags = AUDIT, grant = AUDIT .. " --allow-read=$W", takes = false }, {
  { "a line of the script's own by a line's end", [[return slurp('/x\n{"outcome":"granted","subject":"/etc/shadow"}\n')]], grant = false,
    check = function(w)
      local lines, why = audit(w)
      if not lines then return why end
      for _, line in ipairs(lines) do if line:find('^{"outcome"') then return "a forged line" end end
    end },
  { "a quote that ends the subject", [[return slurp('/x","outcome":"granted","y":"')]], grant = false, check = audited "denied" },
  { "bytes that are no UTF-8", [[return slurp('/\xff\xfe\x80')]], grant = false, check = audited "denied" },
  { "a terminal's escapes", [[return slurp('/\27[2J\27]0;x\7\r')]], grant = false, check = audited "denied" },
  { "a subject of 4,000 bytes", "return slurp('/' .. ('\\\\\"'):rep(2000))", grant = false, check = audited "denied" },
  { "a denial that pcall swallows", "pcall(slurp, W .. '/secret') error('EDENIED swallowed')", grant = false, refused = "swallowed",
    check = audited "denied" },
  { "a denial in a script child", "return script({}, 'return io.open(W .. \"/secret\")')", script = true, grant = false, check = audited "secret.*denied" },
  { "the audit's descriptor in a program", "return breakout('descriptors')", flags = AUDIT .. " --trust-run=$H", grant = false, refused = "EBADF" },
  { "the audit's descriptor in a caged program", "return breakout('descriptors')", flags = AUDIT .. " --allow-run=$H", grant = false, refused = "EBADF",
    cage = true },
  { "the audit's descriptor in a program of a script child", flags = AUDIT .. " --allow-run=$H --allow-read=$W/app", cage = true, grant = false, refused = "EBADF",
    "return script({ permissions = 'inherit' }, \"local r = mw.process.run { H, 'descriptors' } if r.code == 0 then return r.stdout end return nil, { code = 'EBADF' }\")" },
  { "the audit closed by number", "local uv = require 'uv' for fd = 3, 40 do pcall(uv.fs_close, fd) end return slurp(W .. '/secret')", grant = false,
    check = audited "secret.*denied" },
  { "an audit that cannot be written: what is granted is refused then", "return slurp(W .. '/secret')", flags = "--audit=/dev/full --allow-read=$W",
    refused = { "ENOSPC", "audit", "EDENIED" }, takes = true },
  { "the same for a program", "return breakout('gain-root')", flags = "--audit=/dev/full --trust-run=$H", grant = AUDIT .. " --trust-run=$H",
    only = "landlock", refused = { "ENOSPC", "audit", "EDENIED" } },
}))

--- A start that must fail with the status for wrong usage, and never run a line.
local function policy(text) return function(w) w.put("policy.json", text) end end
local FILE = "--policy=$W/policy.json"
attack.class("policy files", attack.each({ flags = FILE, exit = 2, grant = false, takes = false, lua = "return true" }, {
  { "an unknown key", world = policy '{"reads": ["/"]}' },
  { "an unknown kind in deny", world = policy '{"deny": {"reads": ["/"]}}' },
  { "the same key twice", world = policy '{"read": ["/usr"], "read": ["/"]}' },
  { "a value of another kind", world = policy '{"read": 1}' },
  { "a table in place of rules", world = policy '{"read": {"path": "/"}}' },
  { "a number as a rule", world = policy '{"read": [1]}' },
  { "something behind the end", world = policy '{"read": []} {"read": ["/"]}' },
  { "a NUL byte in a rule", world = policy '{"read": ["/tmp\\u0000/x"]}' },
  { "a lone surrogate in a rule", world = policy '{"read": ["/tmp/\\ud800"]}' },
  { "bytes that are no UTF-8", world = policy '{"read": ["/tmp/\xff"]}' },
  { "a comment", world = policy '{"read": ["/"] /* x */}' },
  { "a thousand levels", world = policy('{"deny":' .. ("["):rep(1000) .. ("]"):rep(1000) .. "}") },
  { "a hundred thousand levels", world = policy(("["):rep(100000)) },
  { "an empty file", world = policy "" },
  { "a list at the top", world = policy '["read"]' },
  { "two megabytes", world = policy('{"read": ["' .. ("/x"):rep(1 << 20) .. '"]}') },
  { "a folder", world = function(w) w.mkdir("policy.json") end },
  { "an endless device", flags = "--policy=/dev/zero" },
  { "a file that is not there", flags = "--policy=$W/none.json", grant = FILE, world = policy '{"read": ["in"]}' },
  { "an empty rule", world = policy '{"read": [""]}' },
}))

attack.class("flags above a policy file", attack.each({ flags = FILE .. " --allow-read=$W --allow-net --allow-run", takes = true, grant = "--allow-read=$W" }, {
  { "a flag that grants more", "return slurp(W .. '/secret')", world = policy '{"read": ["in"]}' },
  { "a flag for everything", "return slurp(W .. '/secret')", flags = FILE .. " -A", world = policy '{"read": ["in"]}' },
  { "a kind that the file does not mention", "return mw.process.run { 'cat', W .. '/secret' }", world = policy '{"read": ["in"]}', grant = false },
  { "a denial of the file under a flag's grant", "return slurp(W .. '/secret')", world = policy '{"read": ["."], "deny": {"read": ["secret"]}}' },
  { "a path relative to another folder", "return slurp(W .. '/secret')", world = policy '{"read": ["in/../in"]}', cwd = "/private" },
  { "a second file that grants more", "return slurp(W .. '/secret')", flags = FILE .. " --policy=$W/more.json", world = function(w)
    policy '{"read": ["in"]}'(w) w.put("more.json", '{"read": ["."]}') end, grant = false, exit = 2 },
  { "a script child that asks for what only the flag gave", "return script({ permissions = { read = { W } } }, 'return io.open(W .. \"/secret\"):read(\"a\")')",
    world = policy '{"read": ["in", "app"]}', script = true },
}))

--- What a person sees: no escape, no control, no bidirectional trick, and no more than a few lines.
local UGLY = "/\27[2J\27[1;1H\27]0;owned\7\r\8\u{202e}txt\u{200b}\u{2066}x\u{9b}31m\127\n1 right granted"
local function clean(_, text)
  for _, bad in ipairs { "\27", "\7", "\8", "\r", "\127", "\u{202e}", "\u{200b}", "\u{2066}", "\u{9b}" } do
    if text:find(bad, 1, true) then return ("a raw %q reaches the terminal: %q"):format(bad, text:sub(1, 600)) end
  end
  if text:find("\n1 right granted", 1, true) then return "a line of the attacker's own" end
  if #text > 40000 then return "far too long" end
end
local U = ("%q"):format(UGLY):gsub("\\\n", "\\n")
local ANY = { "EDENIED", "EINVAL", "ENOENT", "not found", "ENAMETOOLONG" }
attack.class("texts of denials", attack.each({ flags = "", grant = false, takes = false, refused = ANY, check = clean }, {
  { "a file", "return slurp(" .. U .. ")" },
  { "a file of mw.fs", "return mw.fs.read(" .. U .. ")" },
  { "a program", "return mw.process.run { " .. U .. " }" },
  { "a program's argument", "return mw.process.run { 'cat', " .. U .. " }" },
  { "a variable", "return os.getenv(" .. U .. ")" },
  { "a host", "return mw.net.connect('tcp://' .. " .. U .. " .. ':80')" },
  { "a Unix socket", "return mw.net.connect('unix:' .. " .. U .. ")" },
  { "an abstract socket", "return mw.net.connect('unix:@' .. " .. U .. ")" },
    { "a script child", script = true, "return mw.process.run { script = " .. U .. " .. '.lua' }" },
  { "a child's permissions", script = true, "return mw.process.run { script = 'child.lua', permissions = { read = { " .. U .. " } } }" },
  { "an option's name", "return mw.process.run { 'cat', [" .. U .. "] = 1 }" },
  { "a query's subject", "return mw.permissions.query('net', " .. U .. ") == 'granted'", refused = { "EINVAL", "absent" } },
  { "a drop's subject", "return mw.permissions.drop('net', " .. U .. ")" },
  { "an uncaught error of the script's own", "error('EDENIED x' .. " .. U .. ")", check = function() end, refused = "EDENIED" },
  { "mw.fail", "mw.fail('EDENIED', " .. U .. ")", check = function() end, refused = "EDENIED" },
  { "a very long name", "return slurp('/' .. ('long/'):rep(100000))" },
  { "a very long host", "return mw.net.connect('tcp://' .. ('a.'):rep(50000) .. 'b:80')" },
  { "a very long program", "return mw.process.run { ('x'):rep(1000000) }" },
  { "a very long variable", "return os.getenv(('X'):rep(1000000))" },
  { "a very long module", "return require(('m.'):rep(100000))" },
  { "the control: a plain name is told whole", "return slurp(W .. '/private/key')", grant = "--allow-read=$W", takes = true, check = function(w, text, granted)
    if not granted and not text:find("--allow-read=" .. w.dir .. "/private/key", 1, true) then return "no flag is named" end
  end },
}))
