--- Runs a workload on everybody, interleaved, and gathers what came out.
local measure = require "measure"
local rounds = {}

local PART = 4     -- the second run of the warm-up takes a fourth of a round's time
local GROWTH = 200 -- no run takes more than so many times as much as the one before

--- What takes part in a workload: each program of each peer that was found.
function rounds.entries(workload, found)
  local list = {}
  for _, peer in ipairs(found) do
    local all = workload.entries or {}
    for _, entry in ipairs(all[peer.name] or all["*"] or { {} }) do
      list[#list + 1] = {
        peer = peer, label = entry.label, how = entry.how, rights = entry.rights, program = entry.program, node = entry.node,
        reference = entry.reference or peer.name == "c", name = entry.label and peer.name .. ", " .. entry.label or peer.name,
        runs = {},
      }
    end
  end
  return list
end

--- How much fills so many seconds, after `n` gave `result`.
local function scaled(workload, result, n, seconds)
  if workload.fixed then return workload.fixed end
  if workload.per_second then return math.ceil(workload.per_second * seconds) end
  local want = n * seconds / math.max(result.seconds, 1e-4)
  return math.max(workload.first, math.floor(math.min(want, n * GROWTH)))
end

--- Two runs that are not counted: a short one to see how fast it is, and one of some length. Then it is known how much a round takes.
local function warm_up(o, workload, entry)
  local n = workload.first
  local result, why = measure.once(o, workload, entry, n)
  if result then
    n = scaled(workload, result, n, o.seconds / PART)
    result, why = measure.once(o, workload, entry, n)
  end
  if result then entry.n = scaled(workload, result, n, o.seconds) end
  entry.failed = why
end

--- Measures it; `tell(entry, result)` hears of every step. Entries that fail say why in `failed`.
function rounds.run(o, workload, found, tell)
  local list = rounds.entries(workload, found)
  for _, entry in ipairs(list) do
    tell(entry, "warming up")
    warm_up(o, workload, entry)
  end
  for round = 1, o.rounds do
    for i = 1, #list do
      local entry = list[(i + round - 2) % #list + 1] -- each round begins with another
      if not entry.failed then
        tell(entry, ("round %d of %d"):format(round, o.rounds))
        local result, why = measure.once(o, workload, entry, entry.n)
        entry.runs[#entry.runs + 1] = result
        entry.failed = why
      end
    end
  end
  return list
end

return rounds
