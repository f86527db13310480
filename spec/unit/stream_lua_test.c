/* Streams as scripts see them: each test is a script, run as a task of a host of its own, that asserts for itself.
 * Knows: moonwire.h, bind/stream. Never: another room's door; waits for time, only for events. */
#include "moonwire.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "bind/stream.h"
#include "support/check.h"

static struct mw_err err;
static char log_text[4096];

static void push_fd(lua_State *L, int rfd, int wfd, const struct mw_stream_limits *limits) {
    mw_stream **slot = mw_stream_box(L);
    if (mw_stream_open(mw_host_of(L), rfd, wfd, "test", "pair", limits, slot, NULL) < 0) luaL_error(L, "open");
}
/* pair(limits) -> stream, stream */
static int pair(lua_State *L) {
    struct mw_stream_limits l;
    int fd[2];
    mw_stream_limits_init(&l);
    if (lua_istable(L, 1)) {
        if (lua_getfield(L, 1, "high") != LUA_TNIL) l.read_high = (size_t)lua_tointeger(L, -1);
        if (lua_getfield(L, 1, "stall") != LUA_TNIL) l.stall_ns = (uint64_t)(lua_tonumber(L, -1) * 1e9);
        if (lua_getfield(L, 1, "soft") != LUA_TNIL) l.write_soft = (size_t)lua_tointeger(L, -1);
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) != 0) return luaL_error(L, "socketpair");
    push_fd(L, fd[0], fd[0], &l);
    push_fd(L, fd[1], fd[1], &l);
    return 2;
}
/* pipes() -> reading stream, writing stream */
static int pipes(lua_State *L) {
    int fd[2];
    if (pipe2(fd, O_CLOEXEC) != 0) return luaL_error(L, "pipe2");
    push_fd(L, fd[0], -1, NULL);
    push_fd(L, -1, fd[1], NULL);
    return 2;
}
/* fds() -> how many descriptors are open */
static int fds(lua_State *L) {
    int n = 0, fd;
    for (fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
    lua_pushinteger(L, n);
    return 1;
}
/* full(f): calls f with no room in the descriptor table */
static int full(lua_State *L) {
    struct rlimit was, low;
    int hole = dup(0), rc;
    close(hole);
    getrlimit(RLIMIT_NOFILE, &was);
    low = was;
    low.rlim_cur = (rlim_t)hole;
    setrlimit(RLIMIT_NOFILE, &low);
    rc = lua_pcall(L, 0, 0, 0);
    setrlimit(RLIMIT_NOFILE, &was);
    return rc == LUA_OK ? 0 : lua_error(L);
}

static void on_error(mw_host *h, const struct mw_err *e, const char *traceback, void *ud) {
    (void)h;
    (void)ud;
    check_fail("script", 0, "%s\n%s", e->message, traceback);
}
static void on_log(mw_host *h, enum mw_level level, const char *line, size_t len, void *ud) {
    (void)h;
    (void)ud;
    (void)level;
    snprintf(log_text, sizeof log_text, "%.*s", (int)len, line);
}

static void run(const char *script) {
    static const luaL_Reg tools[] = { { "pair", pair }, { "pipes", pipes }, { "fds", fds }, { "full", full }, { NULL, NULL } };
    static const char head[] = "local mw = require 'moonwire' local task = mw.task "
                               "local function spawn(f, ...) return task.spawn(f, ...) end "
                               "local function eq(a, b) if a ~= b then error(('got %s, want %s'):format(tostring(a), tostring(b)), 2) end end "
                               "local function code(c, v, e) if v ~= nil or not e or e.code ~= c then "
                               "error(('want nil, %s, got %s, %s'):format(c, tostring(v), tostring(e)), 2) end return e end "
                               "local function raises(c, f, ...) local ok, e = pcall(f, ...) "
                               "if ok or type(e) ~= 'table' or e.code ~= c then error('want a raised ' .. c .. ', got ' .. tostring(e), 2) end return e end\n";
    struct mw_config cfg;
    mw_policy *p = NULL;
    mw_host *h = NULL;
    char text[8192];
    int status = -1;

    mw_config_init(&cfg);
    cfg.on_error = on_error;
    cfg.on_log = on_log;
    cfg.warden = 0;
    REQUIRE(mw_policy_new(&p, &err) == 0 && mw_policy_add_all(p, &err) == 0);
    cfg.policy = p;
    log_text[0] = '\0';
    REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
    mw_policy_free(p);
    lua_pushglobaltable(mw_host_state(h));
    luaL_setfuncs(mw_host_state(h), tools, 0);
    lua_pop(mw_host_state(h), 1);
    REQUIRE(snprintf(text, sizeof text, "%s%s", head, script) < (int)sizeof text);
    if (mw_host_load_string(h, text, strlen(text), "=script", &err) < 0) check_fail("script", 0, "%s", err.message);
    CHECK_INT(mw_host_run(h, &status, &err), 0);
    CHECK_INT(status, 0);
    mw_host_free(h);
}

#define SCRIPT(sentence, ...) TEST(sentence) { run(#__VA_ARGS__); }

/* ---- Reading ------------------------------------------------------------------------------------------------------------ */

SCRIPT(lines_come_one_by_one_and_the_last_needs_no_end,
    local a, b = pair();
    assert(a:write('one\ntwo\n\nlast')) assert(a:finish());
    eq(b:read('l'), 'one'); eq(b:read('L'), 'two\n'); eq(b:read(), ''); eq(b:read('l'), 'last');
    local v, e = b:read('l'); eq(v, nil); eq(e, nil);
    eq(b:read('a'), ''); eq(b:read_some(), nil);
    a:close(); b:close())

SCRIPT(a_line_that_comes_byte_by_byte_wakes_the_reader_once,
    local a, b = pair();
    local woken = 0;
    local t = spawn(function() local l = b:read('l'); woken = woken + 1; return l end);
    task.pass();
    for c in ('hello world\n'):gmatch('.') do assert(a:write(c)); assert(a:flush()); task.sleep(0) end;
    for _ = 1, 3 do assert(a:write('x')); task.sleep(0) end;
    eq(t:join(), 'hello world'); eq(woken, 1);
    a:close(); b:close())

SCRIPT(every_byte_value_passes,
    local a, b = pair();
    local all = {};
    for i = 0, 255 do all[#all + 1] = string.char(i) end;
    all = table.concat(all);
    assert(a:write(all, all)); eq(b:read_exact(512), all .. all);
    assert(a:write('a\0b\n')); eq(b:read('l'), 'a\0b');
    a:close(); b:close())

SCRIPT(numbers_are_read_as_luas_own_io_reads_them,
    local a, b = pair();
    assert(a:write(' 42 -7.5e3\n0x1F  0x.8p1 nan\n')) assert(a:write('12')) a:finish();
    eq(b:read('n'), 42); eq(math.type(42), 'integer'); eq(b:read('n'), -7500.0); eq(b:read('n'), 31); eq(b:read('n'), 1.0);
    code('EPARSE', b:read('n')); eq(b:read('l'), ' nan'); eq(b:read('n'), 12); eq(b:read('n'), nil);
    a:close(); b:close())

SCRIPT(a_number_waits_for_its_last_digit,
    local a, b = pair();
    local t = spawn(function() return b:read('n') end);
    task.pass();
    a:write('12'); a:flush(); task.sleep(0); task.sleep(0); a:write('34 '); eq(t:join(), 1234);
    a:close(); b:close())

SCRIPT(a_count_gives_all_bytes_or_what_is_left_at_the_end,
    local a, b = pair();
    local t = spawn(function() return b:read(6) end);
    task.pass(); a:write('abc'); a:flush(); task.sleep(0); a:write('defg'); eq(t:join(), 'abcdef');
    eq(b:read(0), ''); a:finish(); eq(b:read(10), 'g'); eq(b:read(10), nil); eq(b:read(0), nil);
    a:close(); b:close())

SCRIPT(exactly_n_bytes_or_an_error_that_leaves_the_bytes,
    local a, b = pair();
    a:write('abc'); a:finish();
    eq(b:read_exact(0), ''); code('EEOF', b:read_exact(4)); eq(b:read_exact(3), 'abc'); code('EEOF', b:read_exact(1));
    a:close(); b:close())

SCRIPT(read_until_takes_the_delimiter_away_and_never_hands_out_half,
    local a, b = pair();
    a:write('head\r\n\r\nbody--end'); a:finish();
    eq(b:read_until('\r\n\r\n'), 'head'); eq(b:read_until('--'), 'body'); code('EEOF', b:read_until('--')); eq(b:read('a'), 'end');
    eq(b:read_until('x'), nil);
    a:close(); b:close())

SCRIPT(a_delimiter_cut_over_two_reads_is_found,
    local a, b = pair();
    local t = spawn(function() return b:read_until('<end>') end);
    task.pass();
    for _, part in ipairs { 'data<', 'e', 'nd', '>more' } do a:write(part); a:flush(); task.sleep(0) end;
    eq(t:join(), 'data'); eq(b:read_some(), 'more');
    a:close(); b:close())

SCRIPT(limits_are_errors_that_lose_nothing,
    local a, b = pair();
    a:write('0123456789\n');
    code('EFRAME', b:read('l', { max = 9 })); code('EFRAME', b:read_until('\n', { max = 9 }));
    eq(b:read_until('\n', { max = 10 }), '0123456789');
    a:write('0123456789\n'); eq(b:read('l', { max = 10 }), '0123456789');
    a:write('abcdef'); a:finish();
    code('ELIMIT', b:read('a', { max = 5 })); eq(b:read('a', { max = '6B' }), 'abcdef');
    a:close(); b:close())

SCRIPT(the_defaults_are_a_mebibyte_for_a_line_and_eight_for_all,
    local a, b = pair();
    local t = spawn(function() assert(a:write(('x'):rep(2 << 20))); a:write(('y'):rep(7 << 20)); a:close() end);
    code('EFRAME', b:read('l')); code('EFRAME', b:read_until('\n')); code('ELIMIT', b:read('a'));
    local n = 0;
    while true do local s = b:read_some(65536); if not s then break end n = n + #s end;
    eq(n, 9 << 20); t:join(); b:close())

SCRIPT(peek_leaves_what_it_shows,
    local a, b = pair();
    local t = spawn(function() return b:peek(4) end);
    task.pass(); a:write('ab'); a:flush(); task.sleep(0); a:write('cdef'); eq(t:join(), 'abcd'); eq(b:peek(2), 'ab');
    eq(b:read_exact(6), 'abcdef'); a:write('z'); a:finish(); eq(b:peek(5), 'z'); eq(b:read('a'), 'z'); eq(b:peek(1), nil);
    a:close(); b:close())

SCRIPT(a_timeout_loses_no_bytes,
    local a, b = pair();
    a:write('half');
    code('ETIMEDOUT', b:read('l', { timeout = 0.001 })); code('ETIMEDOUT', b:read_exact(10, { timeout = '1ms' }));
    code('ETIMEDOUT', b:read('a', { timeout = 0 })); code('ETIMEDOUT', b:peek(5, { timeout = 0.001 }));
    code('ETIMEDOUT', b:read_until('\n', { timeout = 0.001 }));
    a:write(' line\n'); eq(b:read('l', { timeout = 1 }), 'half line');
    a:write('12'); code('ETIMEDOUT', b:read('n', { timeout = 0 })); a:write('3 '); eq(b:read('n'), 123);
    a:close(); b:close())

SCRIPT(lines_yields_each_line_and_raises_on_errors,
    local a, b = pair();
    local t = spawn(function() for i = 1, 100000 do assert(a:write('line ', i, '\n')) end a:close() end);
    local n = 0;
    for l in b:lines() do n = n + 1; if l ~= 'line ' .. n then error(l) end end;
    eq(n, 100000); t:join(); b:close();
    local c, d = pair();
    c:write('too long\n'); raises('EFRAME', function() for _ in d:lines { max = 4 } do end end);
    eq(d:read('l'), 'too long');
    raises('ETIMEDOUT', function() for _ in d:lines { timeout = 0.001 } do end end);
    d:close(); raises('ECLOSED', function() for _ in d:lines() do end end);
    c:close())

SCRIPT(wrong_arguments_are_raised_before_anything_is_read,
    local a, b = pair();
    a:write('x');
    for _, bad in ipairs { 'q', 'll', '', '\0', {}, -1, 1.5, true } do raises('EINVAL', b.read, b, bad) end;
    raises('EINVAL', b.read, b, 'l', { timeot = 1 }); raises('EINVAL', b.read, b, 'l', { max = -1 }); raises('EINVAL', b.read, b, 'l', 5);
    raises('EINVAL', b.read_some, b, 0); raises('EINVAL', b.read_exact, b); raises('EINVAL', b.read_until, b, '');
    raises('EINVAL', b.peek, b, 0); raises('EINVAL', b.lines, b, { max = '65MiB' }); raises('EINVAL', b.read); raises('EINVAL', b.read, {});
    raises('EINVAL', b.write, b, {}); raises('EINVAL', b.write, b, 'a', nil); raises('EINVAL', b.send_handle, b); raises('EINVAL', b.send_handle, b, 1);
    eq(b:read_some(), 'x'); eq(b:stats().bytes_out, 0);
    a:close(); b:close())

SCRIPT(a_stream_of_one_direction_refuses_the_other,
    local r, w = pipes();
    raises('EINVAL', r.write, r, 'x'); raises('EINVAL', w.read, w); raises('EINVAL', r.finish, r);
    w:write('x'); eq(w:finish(), w); eq(r:read('a'), 'x'); code('ECLOSED', w:write('y'));
    r:close(); w:close())

/* ---- Several tasks -------------------------------------------------------------------------------------------------------- */

SCRIPT(readers_are_served_in_the_order_they_came,
    local a, b = pair();
    local got = {};
    local ts = {};
    for i = 1, 5 do ts[i] = spawn(function() local l = b:read('l'); got[#got + 1] = i .. l end); task.pass() end;
    for i = 1, 5 do a:write('x', i, '\n') end;
    for i = 1, 5 do ts[i]:join() end;
    eq(table.concat(got, ' '), '1x1 2x2 3x3 4x4 5x5');
    a:close(); b:close())

SCRIPT(a_reader_that_gives_up_lets_the_next_one_in,
    local a, b = pair();
    local first = spawn(function() return b:read('l') end); task.pass();
    local second = spawn(function() return select(2, b:read('l', { timeout = 0.001 })) end); task.pass();
    local third = spawn(function() return b:read('l') end); task.pass();
    eq(second:join().code, 'ETIMEDOUT');
    first:cancel('enough'); pcall(first.join, first);
    a:write('for the third\n'); eq(third:join(), 'for the third');
    a:close(); b:close())

SCRIPT(writes_of_several_tasks_never_mix,
    local a, b = pair { soft = 1000 };
    local ts = {};
    for i = 1, 8 do ts[i] = spawn(function() for _ = 1, 50 do assert(a:write(('%d'):format(i):rep(3000), '\n')) end end) end;
    spawn(function() for i = 1, 8 do ts[i]:join() end a:close() end);
    local n = 0;
    for l in b:lines() do
      n = n + 1;
      if #l ~= 3000 or l ~= l:sub(1, 1):rep(3000) then error('mixed: ' .. l:sub(1, 80)) end;
    end;
    eq(n, 400); b:close())

SCRIPT(a_writer_waits_above_the_mark_and_goes_on_when_the_peer_reads,
    local a, b = pair { soft = 10000 };
    local done = false;
    local t = spawn(function() for _ = 1, 100 do assert(a:write(('x'):rep(10000))) end done = true; a:close() end);
    while not done and a:stats().unsent <= 10000 do task.sleep(0) end;
    task.sleep(0); task.sleep(0);
    eq(done, false); assert(a:stats().unsent > 10000 and a:stats().unsent <= 20000);
    local n = 0;
    while true do local s = b:read_some(); if not s then break end n = n + #s end;
    t:join(); eq(n, 1000000); b:close())

SCRIPT(closing_wakes_who_reads_and_who_writes,
    local a, b = pair { soft = 1000 };
    local r = spawn(function() return select(2, a:read('l')).code end);
    local q = spawn(function() return select(2, a:read('l')).code end);
    local w = spawn(function() return select(2, a:write(('x'):rep(4000000))).code end);
    local h = spawn(function() return select(2, b:recv_handle()).code end);
    task.sleep(0);
    eq(a:close(), true); eq(a:close(), true);
    eq(r:join(), 'ECLOSED'); eq(q:join(), 'ECLOSED'); eq(w:join(), 'ECLOSED'); eq(h:join(), 'EFRAME');
    code('ECLOSED', a:read()); code('ECLOSED', a:write('x')); code('ECLOSED', a:flush()); code('ECLOSED', a:finish());
    eq(tostring(a), 'stream (closed)'); eq(a:alive(), false); b:close())

SCRIPT(a_fast_peer_does_not_keep_other_tasks_from_running,
    local a, b = pair();
    local stop = false;
    local turns = 0;
    local w = spawn(function() while not stop do assert(a:write(('x'):rep(65536))) end a:close() end);
    local c, d = pair();
    local other = spawn(function() for _ = 1, 20 do c:write('ping\n'); eq(d:read(), 'ping'); turns = turns + 1 end stop = true end);
    while b:read_some(4096) do end;
    w:join(); other:join(); eq(turns, 20); b:close(); c:close(); d:close())

SCRIPT(a_writer_whose_peer_keeps_up_does_not_keep_other_tasks_from_running,
    local r, w = pipes();
    local n, ticks = 0, 0;
    local reader = spawn(function() while true do local s = r:read_some(); if not s then break end n = n + #s end end);
    local ticker = spawn(function() for _ = 1, 10 do task.sleep(0); ticks = ticks + 1 end end);
    local sent = 0;
    repeat assert(w:write('x')); sent = sent + 1 until ticks == 10;
    w:close(); reader:join(); ticker:join(); eq(n, sent); r:close())

/* ---- Ends ------------------------------------------------------------------------------------------------------------------- */

SCRIPT(what_was_written_before_close_still_arrives,
    local a, b = pair();
    a:write(('x'):rep(900000)); assert(a:stats().unsent > 0); a:close();
    eq(#b:read('a'), 900000); b:close())

SCRIPT(what_was_written_before_finish_still_arrives_and_the_answer_too,
    local a, b = pair();
    local t = spawn(function() local all = b:read('a'); b:write(#all, '\n'); b:close() end);
    eq(assert(a:write(('x'):rep(900000))):finish(), a); eq(a:read('n'), 900000); t:join(); a:close())

SCRIPT(flush_waits_until_all_is_sent,
    local a, b = pair();
    a:write(('x'):rep(900000)); code('ETIMEDOUT', a:flush { timeout = 0.001 });
    local t = spawn(function() return #b:read_exact(900000) end);
    eq(a:flush(), a); eq(a:stats().unsent, 0); eq(t:join(), 900000); a:close(); b:close())

SCRIPT(a_peer_that_goes_away_is_an_error_and_what_it_sent_is_not_lost,
    local a, b = pair();
    b:write('bye\npart'); b:close();
    local e;
    repeat local _; _, e = a:write(('x'):rep(100000)) until e;
    eq(e.code, 'EPIPE'); eq(a:alive(), false);
    eq(a:read('l'), 'bye'); eq(a:read('l'), 'part'); eq(a:read('l'), nil); a:close())

SCRIPT(leaving_a_block_closes_the_stream,
    local before = fds();
    do local r, w = pipes(); local x <close> = r; local y <close> = w; end;
    local ok = pcall(function() local a, b = pair(); local x <close> = a; local y <close> = b; error('out') end);
    eq(ok, false); eq(fds(), before))

TEST(a_forgotten_stream_is_closed_by_the_collector_which_says_where_it_was_made) {
    run("local before = fds()\n"
        "do local a, b = pair() b:close() end\n"
        "collectgarbage() collectgarbage()\n"
        "eq(fds(), before)\n");
    CHECK(strstr(log_text, "stream made at script:3 was never closed") != NULL);
}

TEST(what_close_could_not_send_is_not_lost_without_a_word) {
    run("local a, b = pair { stall = 0.001 }\n"
        "a:write(('x'):rep(900000)) a:close()\n"
        "while b:alive() do task.sleep(0.001) end\n"
        "assert(#b:read('a') < 900000) b:close()\n");
    CHECK(strstr(log_text, "not all was sent before it closed: the peer took nothing") != NULL);
}

SCRIPT(close_tells_what_no_call_has_told,
    local a, b = pair();
    a:write(('x'):rep(900000)); b:close();
    while a:stats().unsent > 0 do task.sleep(0.001) end;
    code('EPIPE', a:close()); eq(a:close(), true);
    local c, d = pair();
    d:close(); code('EPIPE', c:write('x')); eq(c:close(), true))

SCRIPT(a_cancelled_reader_leaves_the_bytes_for_the_next,
    local a, b = pair();
    local t = spawn(function() return b:read_exact(10) end);
    task.pass(); a:write('12345'); a:flush(); task.sleep(0);
    t:cancel('no more'); pcall(t.join, t);
    a:write('67890'); eq(b:read_exact(10), '1234567890'); a:close(); b:close())

/* ---- Handles and looking -------------------------------------------------------------------------------------------------- */

SCRIPT(a_stream_passes_through_a_stream,
    local a, b = pair();
    local c, d = pair();
    local t = spawn(function() local s = assert(b:recv_handle()); eq(s:read('l'), 'through'); s:write('back\n'); s:close() end);
    assert(a:write('')); eq(a:send_handle(d), a); d:close();
    c:write('through\n'); eq(c:read('l'), 'back'); eq(c:read('l'), nil); t:join();
    a:close(); eq(b:recv_handle(), nil); b:close(); c:close())

SCRIPT(handles_and_lines_keep_their_order,
    local a, b = pair();
    local r, w = pipes();
    a:write('first\n'); a:send_handle(w, r); a:write('second\n'); w:close(); r:close();
    eq(b:read('l'), 'first'); local w2, r2 = b:recv_handle(); eq(b:read('l'), 'second');
    w2:write('x'); w2:close(); eq(r2:read('a'), 'x'); r2:close();
    a:write('data'); code('EFRAME', b:recv_handle()); eq(b:read_some(), 'data');
    code('ETIMEDOUT', b:recv_handle { timeout = 0.001 });
    a:close(); b:close())

SCRIPT(what_cannot_be_passed_is_said_so,
    local a, b = pair();
    local c, d = pair();
    d:write('unread\n'); c:peek(1);
    code('EBUSY', a:send_handle(c)); c:read('l'); c:close(); code('ECLOSED', a:send_handle(c)); d:close();
    local r, w = pipes();
    raises('EINVAL', w.send_handle, w, a); code('EFRAME', (function() a:write('x'); return b:recv_handle() end)());
    a:close(); b:close(); r:close(); w:close())

TEST(a_handle_for_which_there_is_no_descriptor_is_an_error) {
    const char *preload = getenv("LD_PRELOAD");
    if (preload != NULL && strstr(preload, "vgpreload") != NULL) {
        puts("# left out: no descriptor limit under valgrind");
        return;
    }
    run("local a, b = pair() local r, w = pipes()\n"
        "a:send_handle(r) a:write('x')\n"
        "full(function() b:peek(2) end)\n"
        "code('EMFILE', b:recv_handle()) eq(b:read_some(), 'x')\n"
        "a:close() b:close() r:close() w:close()\n");
}

SCRIPT(a_stream_tells_about_itself,
    local a, b = pair();
    local p = assert(a:peer());
    assert(math.type(p.uid) == 'integer' and math.type(p.gid) == 'integer' and p.pid > 0);
    eq(a:address(), 'unix:'); eq(tostring(a), 'stream (test pair)');
    a:write('12345'); b:peek(1);
    eq(a:stats().bytes_out, 5); eq(b:stats().bytes_in, 5); eq(b:stats().unread, 5); eq(a:alive(), true);
    a:close(); eq(b:alive(), false); eq(b:read('a'), '12345');
    local r, w = pipes();
    code('ENOTSOCK', r:peer()); code('ENOTSOCK', w:address()); eq(r:alive(), true); r:close(); eq(w:alive(), false); w:close(); b:close())
