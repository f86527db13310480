--- The reference: everything that a script can reach is described, and nothing else is.
local mw = require "moonwire"
local doc = require "moonwire.doc"
local task = mw.task

local function none(list)
  table.sort(list)
  assert.equal("", table.concat(list, "\n"))
end

--- One of each object that a script can hold, by its class. `use(object)` is called while it is open.
local function objects(use)
  local dir <close> = assert(mw.fs.tempdir())
  local worker_file, serving_file = dir:join "worker.lua", dir:join "serving.lua"
  assert(mw.fs.write(worker_file, 'local mw = require "moonwire" for m in mw.parent:messages() do mw.parent:send(m) end'))
  assert(mw.fs.write(serving_file, 'local mw = require "moonwire" mw.serve{ f = function(v) return v end }'))
  assert(mw.fs.write(dir:join "text", "a line\n"))
  use("moonwire.TempDir", dir)

  local server <close> = assert(mw.net.listen("unix:@moonwire-doc-" .. mw.sys.pid()))
  local url = server:address()
  local stream <close> = assert(mw.net.connect(url))
  local other <close> = assert(server:accept())
  use("moonwire.Listener", server)
  use("moonwire.Stream", stream)
  local channel, far = stream:framed "u32le", other:framed "u32le"
  use("moonwire.Channel", channel)
  assert(channel:send("x") and channel:flush())
  for view in far:views() do
    use("moonwire.View", view)
    break
  end
  local conns <close> = mw.net.pool()
  local lent <close> = assert(conns:acquire(url))
  use("moonwire.ConnectionPool", conns)
  use("moonwire.Connection", lent)
  local rpc <close> = mw.rpc.msgpack(channel)
  use("moonwire.Rpc", rpc)

  local child <close> = assert(mw.process.spawn { "sleep", "1000" })
  use("moonwire.Process", child)
  local pool <close> = assert(mw.worker.pool { script = serving_file, size = 1 })
  use("moonwire.Pool", pool)
  assert.equal(1, pool:call("f", 1))
  use("moonwire.PoolWorker", pool:workers()[1])
  local worker <close> = assert(mw.worker.spawn(worker_file))
  use("moonwire.Worker", worker)
  local sup <close> = mw.supervisor { { id = "a", run = { "sleep", "1000" } } }
  use("moonwire.Supervisor", sup)

  local memory <close> = assert(mw.shm.create { size = 4096 })
  use("moonwire.Memory", memory)
  local ring <close> = assert(mw.shm.ring())
  use("moonwire.Ring", ring)
  local file <close> = assert(mw.fs.open(dir:join "text"))
  use("moonwire.File", file)
  local watch = mw.fs.watch(dir.path)
  use("moonwire.Watch", watch)
  watch:close()
  local tail = mw.fs.tail(dir:join "text")
  use("moonwire.Tail", tail)
  tail:close()

  task.scope(function(s)
    use("moonwire.Scope", s)
    use("moonwire.Task", s:spawn(function() end))
  end)
  use("moonwire.TaskChannel", task.channel())
  local semaphore = task.semaphore(1)
  local permit <close> = semaphore:acquire()
  use("moonwire.Semaphore", semaphore)
  use("moonwire.Permit", permit)
  use("moonwire.Event", task.event())

  use("moonwire.Counter", mw.metrics.counter("doc_spec_total"))
  use("moonwire.Gauge", mw.metrics.gauge("doc_spec_gauge"))
  use("moonwire.Histogram", mw.metrics.histogram("doc_spec_seconds"))
  use("moonwire.Logger", mw.log.with {})
  use("moonwire.Schema", mw.schema.any())
  use("moonwire.Frame", mw.frame.new { protocol = "u32le" })
  use("moonwire.Auth", mw.auth.peer { uid = 0 })
  local tap <close> = assert(mw.trace.tap { to = dir:join "trace.jsonl" })
  use("moonwire.Tap", tap)
  local mine <close> = mw.host.on("doc_spec", function() end)
  use("moonwire.HostHandler", mine)
  local endpoint <close> = assert(mw.repl.listen("unix:" .. dir:join "debug"))
  use("moonwire.ReplEndpoint", endpoint)
  local handler <close> = mw.on_signal("USR2", function() end)
  use("moonwire.SignalHandler", handler)
end

--- What is missing in an entry of a function.
local function gaps(entry, bad)
  local function miss(what) bad[#bad + 1] = entry.name .. " (" .. entry.file .. ":" .. entry.line .. "): " .. what end
  if entry.text == "" then miss "no description" end
  for _, it in ipairs(entry.params or {}) do
    if it.bare then miss("parameter " .. it.name .. " has no type") end
  end
  for i, it in ipairs(entry.returns or {}) do
    if not it.type or it.type == "" then miss("result " .. i .. " has no type") end
  end
end

describe("the reference", function()
  it("has annotations that fit their functions, and nothing twice", function()
    none(doc.problems())
  end)

  it("describes everything in mw, with its parameters and results", function()
    local bad = {}
    local function walk(name, value)
      local entry = doc.lookup(name)
      if not entry or entry.name ~= name then
        bad[#bad + 1] = name .. ": no entry"
      elseif type(value) == "function" then
        if not entry.params then bad[#bad + 1] = name .. ": is described as no function" end
        gaps(entry, bad)
      end
    end
    for _, part in ipairs(doc.lookup("mw").parts) do
      if part.text == "" then bad[#bad + 1] = part.name .. ": no description" end
      local value = mw[part.name]
      if type(value) == "table" and part.name ~= "env" then
        for name, v in pairs(value) do walk(part.name .. "." .. name, v) end
      end
    end
    for name, value in pairs(mw) do walk(name, value) end -- what was looked at so far
    none(bad)
  end)

  it("knows every part that mw loads", function()
    local root, names, bad = doc.lookup "mw", {}, {}
    for _, it in ipairs(root.parts) do names[it.name] = true end
    for _, it in ipairs(root.members) do names[it.name] = true end
    local source = assert(mw.fs.read "lua/moonwire/init.lua")
    for list in source:gmatch("local %l+ = (%b{})") do
      for name in list:gmatch("([%l_]+) = [t{]") do
        if not names[name] and name ~= "bus" then bad[#bad + 1] = name end
      end
    end
    assert.truthy(#root.parts > 20)
    none(bad)
  end)

  it("describes nothing in mw that is not there", function()
    local bad = {}
    for _, entry in ipairs(doc.all()) do
      if entry.kind == "function" and entry.shown:find("^mw%.") then
        local value = mw
        for word in entry.name:gmatch("[^.]+") do value = value and value[word] end
        if type(value) ~= "function" then bad[#bad + 1] = entry.shown end
      end
    end
    none(bad)
  end)

  it("describes the methods of every object, and none that it has not", function()
    local bad, met = {}, {}
    objects(function(class, object)
      met[class] = true
      local entry = doc.lookup(class)
      if not entry then
        bad[#bad + 1] = class .. ": no entry"
        return
      end
      if entry.text == "" then bad[#bad + 1] = class .. ": no description" end
      for _, member in ipairs(entry.members) do
        gaps(member, bad)
        local name = member.name:match("[%w_]+$")
        if type(object[name]) ~= "function" then bad[#bad + 1] = member.name .. ": does not exist" end
      end
    end)
    local elsewhere = { ["moonwire.Parent"] = true } -- in workers only: worker_spec
    for _, entry in ipairs(doc.all()) do
      if entry.kind == "class" and #entry.members > 0 and not met[entry.name] and not elsewhere[entry.name] then
        bad[#bad + 1] = entry.name .. ": has methods, and nobody has seen one"
      end
    end
    none(bad)
  end)

  it("describes every method that completion finds in an object", function()
    local complete = require("moonwire.repl_complete").complete
    local bad = {}
    objects(function(class, object)
      local known = {}
      for _, member in ipairs(doc.fields(class)) do known[member.name] = true end
      for _, sign in ipairs { ":", "." } do
        for _, item in ipairs(complete({ x = object }, "x" .. sign, 2).items) do
          local name = item.text
          if not known[name] and name:sub(1, 1) ~= "_" and type(object[name]) == "function" then bad[#bad + 1] = class .. ":" .. name end
        end
      end
    end)
    none(bad)
  end)

  it("finds the methods that C gives to each type", function()
    local bad, strings = {}, {}
    local inner = { ["mw.watch"] = true, ["mw.tempdir"] = true, ["mw.signal"] = true, ["mw.cond"] = true, ["mw.iofile"] = true }
    local function each(f)
      for _, room in ipairs { "host/codec/", "host/bind/" } do
        for _, name in ipairs(assert(mw.fs.list(room))) do f(assert(mw.fs.read(room .. name))) end
      end
    end
    each(function(text)
      for name, value in text:gmatch('#define%s+([%w_]+)%s+"([^"]*)"') do strings[name] = value end
    end)
    each(function(text)
      for type_name, list in text:gmatch("mw_type_new%(L, ([%w_]+), ([%w_]+), [%w_]+%);") do
        local methods = text:match("luaL_Reg [^;]*%f[%w_]" .. list .. "%[%]%s*=%s*(%b{})") or ""
        local type_of = strings[type_name]
        for method in methods:gmatch('{%s*"(%a[%w_]*)"') do
          local entry = type_of and doc.classes()[type_of]
          local found = inner[type_of]
          for _, member in ipairs(entry and entry.members or {}) do
            found = found or member.name:match("[%w_]+$") == method
          end
          if not found then bad[#bad + 1] = tostring(type_of) .. ":" .. method end
        end
      end
    end)
    none(bad)
  end)

  it("names no type that does not exist", function()
    local _, found = doc.problems()
    local known = { any = true, ["nil"] = true, boolean = true, string = true, number = true, integer = true, table = true, userdata = true,
      lightuserdata = true, thread = true, fun = true, ["true"] = true, ["false"] = true, self = true, ["function"] = true, T = true,
      ["..."] = true, uv = true, file = true }
    for name in pairs(found.classes) do known[name] = true end
    for name in pairs(found.aliases) do known[name] = true end
    local types, bad = require "moonwire.doc_types", {}
    local function check(where, type)
      for _, name in ipairs(types.names(type or "")) do
        if not known[name] and not tonumber(name) then bad[#bad + 1] = where .. ": " .. name end
      end
    end
    for name, class in pairs(found.classes) do
      for _, parent in ipairs(class.parents) do check(name, parent) end
      for _, member in ipairs(class.fields) do
        check(name .. "." .. member.name, member.type)
        for _, it in ipairs(member.params or {}) do check(name .. "." .. member.name, it.type) end
        for _, it in ipairs(member.returns or {}) do check(name .. "." .. member.name, it.type) end
      end
    end
    none(bad)
  end)

  it("is what an editor finds behind require \"moonwire\"", function()
    local text = assert(mw.fs.read "lua/moonwire/meta/moonwire.lua")
    assert.truthy(text:find "^%-%-%-@meta moonwire\n" and text:find "\nreturn mw\n$")
    local local_name, class = assert(mw.fs.read "lua/moonwire/init.lua"):match "%-%-%-@class ([%w.]+)\nlocal (%w+) = {}"
    assert.same({ "moonwire", "mw" }, { local_name, class })
    for _, part in ipairs(doc.lookup("mw").parts) do assert.truthy(part.class:find "^moonwire%.%l", part.name) end
  end)

  it("shows examples that are Lua", function()
    local bad = {}
    for _, entry in ipairs(doc.all()) do
      for code in (entry.text .. "\n"):gmatch("```lua\n(.-)```") do
        local ok, why = load(code)
        if not ok then bad[#bad + 1] = entry.name .. ": " .. why end
        for line in code:gmatch("[^\n]+") do
          if #line > 76 then bad[#bad + 1] = entry.name .. ": too wide for a terminal: " .. line end
        end
      end
      local _, fences = entry.text:gsub("```", "")
      if fences % 2 ~= 0 then bad[#bad + 1] = entry.name .. ": code without an end" end
    end
    none(bad)
  end)

  it("finds things by the names that people use", function()
    for said, name in pairs {
      ["process.run"] = "process.run", ["mw.process.run"] = "process.run", ["process.run()"] = "process.run",
      ["stream:read"] = "stream:read", ["Stream:read"] = "stream:read", ["conn:read"] = "stream:read", ["stream.read"] = "stream:read",
      ["child:wait"] = "process:wait", ["connection:read"] = "stream:read", ["mw.stream"] = "moonwire.Stream", Stream = "moonwire.Stream",
      ["process.Options"] = "moonwire.process.Options", EFRAME = "EFRAME", eframe = "EFRAME", mw = "moonwire", process = "process",
      ["mw.supervisor"] = "supervisor", ["task.channel"] = "task.channel", ["conns:with"] = "connection_pool:with",
      ["connection:close"] = "connection:close", ["child.stdin"] = "process.stdin", ["err.code"] = "err.code", ["io.open"] = "io.open",
      require = "require", ["memory:i16"] = "memory:i16",
    } do
      local entry = doc.lookup(said)
      assert.equal(name, entry and entry.name, said)
    end
    assert.is_nil(doc.lookup("process.nothing"))
    assert.is_nil(doc.lookup("stream:nothing"))
    assert.is_nil(doc.lookup(""))
  end)

  it("tells in one line how a thing is called", function()
    assert.equal("mw.process.run(options) -> result?, err?", doc.signature("process.run"))
    assert.equal("read_some(max?, options?) -> bytes?, err?", doc.signature("stream:read_some", true))
    assert.is_nil(doc.signature("process.nothing"))
  end)

  it("searches names before texts", function()
    local hits = doc.search("shared memory")
    assert.truthy(#hits > 0 and #hits <= 20)
    assert.equal("fs.rename", doc.search("rename")[1].name)
    assert.same({}, doc.search("nowhere to be found at all"))
  end)

  it("fits its text into the columns that there are", function()
    for _, width in ipairs { 40, 64, 80 } do
      for _, entry in ipairs(doc.all()) do
        for line in doc.render(entry, width):gmatch("[^\n]+") do
          local words = select(2, line:gsub("%S+", ""))
          assert.falsy(line:find("\27", 1, true))
          if words > 2 and not line:find("^%s%s%s%s") and utf8.len(line) > width then
            error(("%s at %d columns: %s"):format(entry.name, width, line))
          end
        end
      end
    end
    assert.truthy(doc.render(doc.lookup "process.run", 80, { colour = true }):find("\27[1m", 1, true))
  end)
end)
