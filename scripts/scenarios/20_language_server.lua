-- A language server: clangd reads a broken C file, held to what we may do ourselves, and tells what is wrong with it.
-- rights: --allow-run=clangd
local mw = require "moonwire"

local SOURCE = [[
struct point { int x, y; };

int length(struct point *p) {
    int sum = p->x + p->z
    return sum;
}
]]
local URI = "file:///broken.c"

-- It runs in its cage: it sees the libraries and programs of the system, a private folder, and no file of ours. The text it is told.
local child <close> = assert(mw.process.spawn {
  "clangd", "--log=error", "--background-index=0", "--clang-tidy=0", "-j=1",
  stdin = "pipe", stdout = "pipe", stderr = "null",
})
local lsp <close> = mw.rpc.json(child:stream():framed("content-length", { max = "8MiB" }), { timeout = 30 })

-- What it tells without being asked arrives at a channel; what it asks is answered.
local told = mw.task.channel(16)
lsp:on("textDocument/publishDiagnostics", function(p) told:send(p.diagnostics) end)
lsp:handle("workspace/configuration", function(p)
  local answers = mw.json.array {}
  for i = 1, #p.items do answers[i] = mw.null end
  return answers
end)

local hello = assert(lsp:call("initialize", { processId = mw.null, rootUri = mw.null, capabilities = mw.json.object {} }))
print(("%s %s"):format(hello.serverInfo.name, hello.serverInfo.version:match "%d+%.%d+"))
assert(lsp:notify("initialized", mw.json.object {}))

--- Prints what is wrong, as a compiler does, and says how much it was.
local function show(diagnostics)
  for _, d in ipairs(diagnostics) do
    local at = d.range.start
    print(("broken.c:%d:%d: %s"):format(at.line + 1, at.character + 1, d.message:match "[^\n]*"))
  end
  return #diagnostics
end

assert(lsp:notify("textDocument/didOpen", { textDocument = { uri = URI, languageId = "c", version = 1, text = SOURCE } }))
local wrong = show(assert(told:recv { timeout = 30 }))
assert(wrong == 2, "a missing semicolon and a missing field")

-- An unknown method is the server's to refuse.
local none, err = lsp:call("moonwire/nothing", mw.json.object {})
assert(none == nil and err.code == "ERPC" and err.data.code == -32601, err)

-- Mended, there is nothing to tell.
local mended = SOURCE:gsub("p%->z", "p->y;")
assert(lsp:notify("textDocument/didChange", {
  textDocument = { uri = URI, version = 2 }, contentChanges = { { text = mended } },
}))
assert(show(assert(told:recv { timeout = 30 })) == 0)
print "mended: nothing is wrong"

assert(lsp:call "shutdown" == mw.null)
assert(lsp:notify "exit")
local r = assert(child:wait { timeout = 10 })
assert(r.code == 0, "clangd ended with an error")
print(("%d mistakes found and mended; the server has left"):format(wrong))
