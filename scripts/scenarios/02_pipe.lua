-- Talk to a program: write to its stdin, read its answers, close, wait.
-- rights: --allow-run=sh,sort,uniq,printf
local mw = require "moonwire"

-- An adding machine: says the sum of all numbers so far after each line that it reads.
local child <close> = assert(mw.process.spawn {
  "sh", "-c", "while read n; do sum=$((sum + n)); echo $sum; done",
  stdin = "pipe", stdout = "pipe",
})

for i, expected in ipairs { 1, 3, 6, 10 } do
  assert(child.stdin:write(i, "\n"))
  local answer = assert(child.stdout:read("l", { timeout = 5 }))
  assert(tonumber(answer) == expected, "after " .. i .. " it says " .. answer .. ", not " .. expected)
  print("up to " .. i .. ": " .. answer)
end

child.stdin:close() -- the end of its input: it ends too
assert(child.stdout:read("l") == nil, "it says more than it was asked")
local r = assert(child:wait { timeout = 5 })
assert(r.ok, "it failed")
print("it ended with code " .. r.code)

-- Programs side by side, each reading what the one before it writes.
r = assert(mw.process.pipe { { "printf", "pear\\nfig\\npear\\n" }, { "sort" }, { "uniq", "-c" }, timeout = 5 })
assert(r.ok and #r.stages == 3, "the pipeline failed")
assert(r.stdout:match("1 fig\n%s+2 pear\n$"), "counted wrong: " .. r.stdout)
print("printf | sort | uniq -c: " .. r.stdout:gsub("%s+", " "))
