-- What a run leaves behind, however it ends: nothing. Each scenario in a world of its own (its own processes, its own /dev/shm
-- and, unless what is tested lies there, its own /tmp), ended in every way. Knows: mw, unshare (root), /proc.
local mw = require "moonwire"
local function names(path)
  local out = {}
  for _, entry in ipairs(mw.fs.list(path) or {}) do out[#out + 1] = type(entry) == "table" and entry.name or entry end
  return out
end

local program = assert(os.getenv "MOONWIRE", "MOONWIRE names the program under test")

local world = [[
  mount -t tmpfs none /dev/shm || exit
  case "$PWD/ $MOONWIRE" in
    /tmp/* | *" /tmp/"*) ;;
    *) mount -t tmpfs none /tmp && mkdir -p "${TMPDIR:-/tmp}" && export OWN_TMP=1 || exit ;;
  esac
  exec "$@"]]

--- What the scenario left, a line each; the last line is how it ended.
local function left_by(name, ending)
  local dir <close> = assert(mw.fs.tempdir())
  local r = assert(mw.process.run {
    "unshare", "--pid", "--fork", "--mount", "--mount-proc", "--kill-child", "sh", "-c", world, "sh",
    program, "run", "-A", "spec/support/leftovers.lua", program, "scripts/scenarios", name, ending,
    env = { TMPDIR = dir.path }, timeout = 100,
  })
  assert(r.ok, r.stderr)
  return r.stdout, r.stderr
end

local function can_unshare()
  local ok, r = pcall(mw.process.run, { "unshare", "--pid", "--fork", "--mount", "--mount-proc", "sh", "-c", world, "sh", "true" })
  return ok and r and r.ok
end

describe("nothing is left of", function()
  -- A scenario that has said its last already ends by itself, or by the signal itself when its host is past handling it.
  local expected = { well = "0", ["an error"] = "1", INT = "130 INT 0", TERM = "143 TERM 0", KILL = "KILL 0" }
  local able = can_unshare()
  for _, name in ipairs(names("scripts/scenarios")) do
    if name:find("^%d+_") then
      for ending, status in pairs(expected) do
        it(("%s when it ends by %s"):format(name, ending), function()
          if not able then return pending "needs the right to unshare(2) processes and mounts" end
          local left, said = left_by(name, ending)
          local how = left:match("^ended with (%S+)\n$")
          assert.truthy(how, left .. said)
          assert.truthy((" " .. status .. " "):find(" " .. how .. " ", 1, true), left .. said)
        end)
      end
    end
  end
end)
