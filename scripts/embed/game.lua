-- The rules of the game: who moves where. Runs inside of game.c, a slice of each frame; may start `sh` and reach the world's port.
local mw = require "moonwire"
local host, task = mw.host, mw.task

local width, height = host.size()
local bodies = {}
local wind, pull = 0, { x = width / 2, y = height / 2 }
local heard = { wind = 0, pull = 0, tide = 0 }

for id = 1, host.entities() do
  local x, y = host.place(id)
  bodies[id] = { x = x, y = y, vx = math.random() - 0.5, vy = math.random() - 0.5 }
end

-- Another program decides about the wind: a line there, a line back, and no frame waits for it.
local weather <close> = assert(mw.process.spawn {
  "sh", "-c", "while read n; do echo $((n * 7919 % 21 - 10)); done",
  stdin = "pipe", stdout = "pipe",
})
task.spawn(function()
  for hour = 1, math.huge do
    assert(weather.stdin:write(hour, "\n"))
    wind = tonumber(assert(weather.stdout:read("l"))) / 100
    heard.wind = heard.wind + 1
    task.sleep("50ms")
  end
end)

-- The world is a server: what it says pulls everybody, and it is told where the first one is.
task.spawn(function()
  local world <close> = assert(mw.net.connect(host.world()))
  for line in world:lines() do
    local x, y = line:match("^pull (%-?%d+) (%-?%d+)$")
    pull.x, pull.y = tonumber(x) or pull.x, tonumber(y) or pull.y
    heard.pull = heard.pull + 1
    world:write(("at %.0f %.0f\n"):format(bodies[1].x, bodies[1].y))
  end
end)

host.on("tide", function(level)
  heard.tide = heard.tide + 1
  pull.y = pull.y + level
end)

host.on("frame", function(frame)
  local dt = frame.dt * 60
  for id, b in ipairs(bodies) do
    b.vx = (b.vx + (pull.x - b.x) * 0.0005 * dt + wind) * 0.99
    b.vy = (b.vy + (pull.y - b.y) * 0.0005 * dt) * 0.99
    b.x = math.max(0, math.min(width, b.x + b.vx * dt))
    b.y = math.max(0, math.min(height, b.y + b.vy * dt))
    host.move(id, b.x, b.y)
  end
  if frame.number % 15 == 0 then host.emit("heard", heard) end
end)

-- Someone's bad day: it never comes back by itself. Frames go on, and its limit ends it.
host.on("mischief", function()
  while true do end
end)

host.handle("title", function(number)
  return ("%d entities, wind %+.2f, frame %d"):format(#bodies, wind, number), #bodies
end)

host.emit("ready", #bodies)
task.wait()
