/* Fuzz target: a peer that says what it likes, to mw.rpc.json and mw.rpc.msgpack inside a host. No message raises in the reader; all
 * calls end; what is answered is well-formed, and no more than was asked.
 * Knows: moonwire.h, core/host, plain Lua. Never: I/O.
 * Input: a byte that picks the protocol and the size of the pieces, then what the peer sends: lines of JSON, or MessagePack. */
#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/host.h"
#include "moonwire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char script[] =
    "local mw = require 'moonwire'\n"
    "local task, null = mw.task, mw.null\n"
    "local function handlers(rpc)\n"
    "  rpc:handle('a', function(p) return p end)\n"
    "  rpc:handle('b', function(p) task.pass() error(p, 0) end)\n"
    "  rpc:handle('c', function(p) return rpc:call('x', p) end)\n"
    "  rpc:handle('d', function(p) mw.rpc.fail(5, 'no', p) end)\n"
    "  rpc:handle('e', function() return print end)\n"
    "  rpc:on('n', function() task.pass() end)\n"
    "  rpc:on('m', function() error 'm' end)\n"
    "end\n"
    "local function lines(text, sent)\n"
    "  local next_line = text:gmatch '[^\\n]+'\n"
    "  return { views = print, recv = function() task.pass() return next_line() end, close = function() end,\n"
    "    send = function(_, bytes) sent[#sent + 1] = assert(mw.json.decode(bytes)) return true end }\n"
    "end\n"
    "local function stream(text, sent, piece)\n"
    "  local at, s = 1, {}\n"
    "  function s.read_some(_, n)\n"
    "    task.pass()\n"
    "    if at > #text then return nil end\n"
    "    local got = text:sub(at, at + math.min(piece, n) - 1)\n"
    "    at = at + #got\n"
    "    return got\n"
    "  end\n"
    "  function s.read_exact(_, n)\n"
    "    local got = text:sub(at, at + n - 1)\n"
    "    at = at + #got\n"
    "    if #got < n then return nil, select(2, pcall(mw.fail, 'EEOF', 'cut')) end\n"
    "    return got\n"
    "  end\n"
    "  function s.write(_, bytes) sent[#sent + 1] = assert(mw.msgpack.decode(bytes)) return true end\n"
    "  s.framed, s.close = print, function() end\n"
    "  return s\n"
    "end\n"
    "local function is_answer(v, json)\n"
    "  if not json then return #v == 4 and (v[1] == 0 or v[1] == 1 and (v[3] == null or v[4] == null)) end\n"
    "  if v.method then return v.jsonrpc == '2.0' end\n"
    "  return v.jsonrpc == '2.0' and v.id ~= nil and (v.result ~= nil) ~= (v.error ~= nil)\n"
    "end\n"
    "function once(pick, text)\n"
    "  local json, sent = pick % 2 == 0, {}\n"
    "  local options = { concurrent = 2, queue = 2 + pick // 64, max_depth = 20, max = 4096 }\n"
    "  local rpc <close> = json and mw.rpc.json(lines(text, sent), options) or mw.rpc.msgpack(stream(text, sent, pick // 2 + 1), options)\n"
    "  handlers(rpc)\n"
    "  local call = task.spawn(function() return rpc:call('y') end)\n"
    "  rpc:wait()\n"
    "  local v, err = call:join()\n"
    "  assert(v ~= nil or err.code == 'ERPC' or err.code == 'ECLOSED', err)\n"
    "  local stats = rpc:stats()\n"
    "  assert(stats.pending == 0 and stats.running == 0 and stats.waiting == 0)\n"
    "  local answers = 0\n"
    "  for _, it in ipairs(sent) do\n"
    "    if json and mw.json.encode(it):sub(1, 1) == '[' then\n"
    "      assert(#it > 0)\n"
    "      for _, one in ipairs(it) do assert(is_answer(one, json)) end\n"
    "      answers = answers + #it\n"
    "    else\n"
    "      assert(is_answer(it, json))\n"
    "      answers = answers + 1\n"
    "    end\n"
    "  end\n"
    "  assert(answers <= stats.received + stats.refused + stats.calls)\n"
    "end\n";

static void on_error(mw_host *h, const struct mw_err *e, const char *traceback, void *ud) {
    (void)h;
    (void)ud;
    fprintf(stderr, "%s\n%s\n", e->message, traceback);
    abort();
}
static void on_log(mw_host *h, enum mw_level level, const char *line, size_t len, void *ud) {
    (void)h;
    (void)level;
    (void)line;
    (void)len;
    (void)ud;
}

/* A run leaves garbage to the collector: looking for leaks after each would take most of the time. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }

/* Of libc: the sanitizer watches Lua's memory, too. */
static void *alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
    (void)ud;
    (void)osize;
    if (nsize != 0) return realloc(ptr, nsize);
    free(ptr);
    return NULL;
}

static void run(mw_host *h, const char *text) {
    struct mw_step st = {.alive = 1};
    struct mw_err err;

    if (mw_host_load_string(h, text, strlen(text), "=fuzz", &err) < 0) abort();
    for (int turns = 0; st.alive; turns++)
        if (turns > 100000 || mw_host_step(h, 100000, &st, &err) < 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static mw_host *h;
    lua_State *L;

    if (h == NULL) {
        struct mw_config cfg;
        mw_config_init(&cfg);
        cfg.on_error = on_error;
        cfg.on_log = on_log;
        cfg.warden = 0;
        cfg.alloc = alloc;
        if (mw_host_new(&cfg, &h, NULL) < 0) abort();
        run(h, script);
    }
    if (size == 0) return 0;
    L = mw_host_state(h);
    lua_pushinteger(L, data[0]);
    lua_setglobal(L, "pick");
    lua_pushlstring(L, (const char *)data + 1, size - 1);
    lua_setglobal(L, "text");
    run(h, "once(pick, text)");
    return 0;
}
