/* A kernel that refuses to watch a descriptor, at every place where one is to be watched.
 * Knows: moonwire.h; epoll_ctl is its own here. Never: refuses to let go of one. */
#include "moonwire.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "core/poll.h"
#include "support/check.h"

static struct mw_err err;
static int asked, refuse_at, refuse_from, wrong_with;
static char log_text[4096];

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event) {
    if (op == EPOLL_CTL_DEL) return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
    asked++;
    if (asked != refuse_at && (refuse_from == 0 || asked < refuse_from)) return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
    errno = wrong_with;
    return -1;
}

static void on_error(mw_host *h, const struct mw_err *e, const char *traceback, void *ud) {
    (void)h;
    (void)ud;
    check_fail("script", refuse_at, "%s\n%s", e->message, traceback);
}
static void on_log(mw_host *h, enum mw_level level, const char *line, size_t len, void *ud) {
    (void)h;
    (void)ud;
    (void)level;
    snprintf(log_text, sizeof log_text, "%.*s", (int)len, line);
}

/* Each step ends with what it is for, or with an error that says why. */
static const char script[] =
    "local mw = require 'moonwire' local task = mw.task\n"
    "local function said(what, v, e) if v == nil and not (e and (e.code == 'ENOMEM' or e.code == 'ENOSPC' or e.code == 'ECLOSED'\n"
    "  or e.code == 'EPIPE' or e.code == 'ECONNRESET' or e.code == 'ETIMEDOUT')) then error(what .. ': ' .. tostring(e)) end return v end\n"
    "local r = said('run', mw.process.run{ 'echo', 'hi', timeout = 20 })\n"
    "if r then assert(r.stdout == 'hi\\n', r.stdout) end\n"
    "local child = said('spawn', mw.process.spawn{ 'cat', stdin = 'pipe', stdout = 'pipe' })\n"
    "if child then\n"
    "  if said('write', child.stdin:write('x\\n')) then said('read', child.stdout:read('l')) end\n"
    "  child.stdin:close() said('wait', child:wait{ timeout = 20 }) child:close()\n"
    "end\n"
    "local srv = said('listen', mw.net.listen('tcp://127.0.0.1:0'))\n"
    "if srv then\n"
    "  local t = task.spawn(function() return srv:serve(function(c) for l in c:lines() do c:write(l, '\\n') end end, { on_error = 'log' }) end)\n"
    "  task.pass()\n"
    "  local c = said('connect', mw.net.connect(srv:address(), { timeout = 20 }))\n"
    "  if c then\n"
    "    if said('write', c:write('ping\\n')) then local v, e = c:read('l', { timeout = 20 }) if v ~= 'ping' and e then said('read', v, e) end end\n"
    "    c:close()\n"
    "  end\n"
    "  srv:close() assert(t:join())\n"
    "end\n";

static int run(void) {
    struct mw_config cfg;
    mw_policy *p = NULL;
    mw_host *h = NULL;
    int status = -1, rc;

    asked = 0;
    mw_config_init(&cfg);
    cfg.on_error = on_error;
    cfg.on_log = on_log;
    cfg.warden = 0;
    REQUIRE(mw_policy_new(&p, &err) == 0 && mw_policy_add_all(p, &err) == 0);
    cfg.policy = p;
    rc = mw_host_new(&cfg, &h, &err);
    mw_policy_free(p);
    if (rc < 0) return rc;
    REQUIRE(mw_host_load_string(h, script, strlen(script), "=script", &err) == 0);
    CHECK_INT(mw_host_run(h, &status, &err), 0);
    mw_host_free(h);
    return status;
}

static int open_fds(void) {
    int n = 0, fd;
    for (fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void refuse_each(int code) {
    int total, before, i;

    refuse_at = refuse_from = 0;
    CHECK_INT(run(), 0);
    total = asked;
    CHECK(total > 8);
    before = open_fds();
    wrong_with = code;
    for (i = 1; i <= total; i++) {
        int rc;
        refuse_at = i;
        rc = run();
        CHECK(rc == 0 || rc == -code); /* the script coped, or there was no host at all */
        CHECK_INT(open_fds(), before);
    }
    refuse_at = 0;
}

TEST(a_refused_watch_is_an_error_and_never_an_abort) { refuse_each(ENOMEM); }
TEST(so_is_the_users_limit_of_watches) { refuse_each(ENOSPC); }

TEST(no_host_is_made_where_nothing_can_be_watched) {
    refuse_from = 1;
    wrong_with = ENOMEM;
    CHECK_INT(run(), -ENOMEM);
    refuse_from = 0;
}

static void never(uv_poll_t *poll, int status, int events) {
    (void)poll;
    (void)status;
    (void)events;
    check_fail("poll", 0, "called");
}

TEST(a_handle_that_was_refused_is_stopped_and_can_be_closed) {
    uv_loop_t loop;
    uv_poll_t poll;
    int fd[2];

    REQUIRE(pipe(fd) == 0 && uv_loop_init(&loop) == 0 && uv_poll_init(&loop, &poll, fd[0]) == 0);
    refuse_from = 1;
    asked = 0;
    CHECK_INT(mw_poll_start(&poll, UV_READABLE, never), -ENOMEM);
    CHECK(!uv_is_active((uv_handle_t *)&poll));
    refuse_from = 0;
    uv_close((uv_handle_t *)&poll, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&loop), 0);
    close(fd[0]);
    close(fd[1]);
}
