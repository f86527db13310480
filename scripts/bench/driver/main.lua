-- Measures moonwire and its peers; scripts/dev bench runs it. What a workload is stands in workloads.lua.
-- rights: --trust-run --allow-env --allow-sys=cpus,osRelease --allow-read=scripts/bench --allow-write=build/bench
local mw = require "moonwire"
local options = require "options"
local peers = require "peers"
local rounds = require "rounds"
local measure = require "measure"
local stats = require "stats"
local text = require "text"

local function chosen(all, words)
  local list, used = {}, {}
  for _, workload in ipairs(all) do
    local take = #words == 0
    for _, word in ipairs(words) do
      if workload.name:sub(1, #word) == word then take, used[word] = true, true end
    end
    if take then list[#list + 1] = workload end
  end
  for _, word in ipairs(words) do
    if not used[word] then return nil, "there is no workload " .. word .. "; --list names them" end
  end
  return list
end

local function show_list(workloads, found)
  local rows = {}
  for i, workload in ipairs(workloads) do rows[i] = { workload.name, workload.title } end
  print(text.columns(rows, { true, true }))
  print ""
  rows = {}
  for i, peer in ipairs(found) do rows[i] = { peer.name, peer.version } end
  print(text.columns(rows, { true, true }))
end

--- Everything once: a line for each workload and program, as test runners print them.
local function smoke(o, workloads, found)
  local passed, failed = 0, 0
  for _, workload in ipairs(workloads) do
    for _, entry in ipairs(rounds.entries(workload, found)) do
      local result, why = measure.once(o, workload, entry, workload.first)
      if result then passed = passed + 1 else failed = failed + 1 end
      print(("%s %d - %s: %s"):format(result and "ok" or "not ok", passed + failed, workload.name, entry.name))
      if why then print((("\n" .. why):gsub("\n", "\n# "):sub(2))) end
    end
  end
  print("1.." .. passed + failed)
  print(("%d passed, %d failed"):format(passed, failed))
  return failed == 0 and passed > 0
end

local function measured(o, workload, found)
  local function note(what)
    if o.progress then io.stderr:write("\r\27[K", what) end
  end
  local entries = rounds.run(o, workload, found, function(entry, what)
    note(("%s: %s, %s"):format(workload.name, entry.name, what))
  end)
  note ""
  print(workload.name .. ": " .. workload.title)
  local it = { workload = workload, entries = entries, figures = {} }
  for i, figure in ipairs(workload.figures) do
    local rows, ours, peer, c = stats.rows(figure, entries)
    it.figures[i] = { figure = figure, rows = rows, ours = ours, best_peer = peer, c = c }
    print(text.table(figure, rows, peer))
  end
  for _, entry in ipairs(entries) do
    if entry.failed then print(("  %s FAILED: %s"):format(entry.name, entry.failed)) end
  end
  print ""
  return it
end

local function about(o, found)
  local programs = {}
  for _, peer in ipairs(found) do programs[peer.name] = peer.version end
  return {
    cores = mw.sys.cpus(), kernel = mw.sys.os_release():match "^[%d.]+", arch = mw.platform.arch, rounds = o.rounds, seconds = o.seconds,
    programs = programs,
  }
end

local function save(path, bytes)
  assert(mw.fs.write(path, bytes, { mode = "0644" }))
  print("written: " .. path)
end

local function wrong_usage(why)
  io.stderr:write("scripts/dev bench: ", why, "\n")
  mw.exit(2)
end

local function main()
  local o, why = options.read(arg)
  if not o then return wrong_usage(why) end
  if o.help then return print(options.help) end
  o.limit = o.smoke and 40 or 120 -- seconds for one measurement
  local found, workloads
  found, why = peers.find(o)
  if found then workloads, why = chosen(require "workloads", o.words) end
  if not workloads then return wrong_usage(why) end
  if o.list then return show_list(workloads, found) end
  if o.smoke then return mw.exit(smoke(o, workloads, found)) end

  local facts, results, good = about(o, found), {}, true
  print(("%d cores, Linux %s; medians of %d rounds of about %g s each, after a warm-up"):format(
    facts.cores, facts.kernel, o.rounds, o.seconds))
  for _, peer in ipairs(found) do print("  " .. peer.name .. ": " .. peer.version) end
  print "* only for comparison, never the best peer: no object is made for a message, or no loop is loaded\n"
  for i, workload in ipairs(workloads) do
    results[i] = measured(o, workload, found)
    for _, entry in ipairs(results[i].entries) do good = good and not entry.failed end
  end
  print("moonwire by its best program, to the best peer (value by value: mind which is better)\n" .. text.summary(results))
  if o.json then save("build/bench/results.json", require("json").results(facts, results)) end
  if o.plot then save("build/bench/results.svg", require("chart").draw(facts, results)) end
  if not good then mw.exit(1) end
end

main()
