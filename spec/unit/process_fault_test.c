/* A child's pipes that fail in the middle: what a script is told then.
 * Knows: moonwire.h; read and writev are its own here. Never: fails what is no pipe. */
#include "moonwire.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "support/check.h"

static struct mw_err err;
static int reads, writes, fail_read, fail_write, wrong_with; /* the n-th one of a pipe; 0: none */

static int is_pipe(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}
ssize_t read(int fd, void *at, size_t n) {
    if (fail_read != 0 && n >= 4096 && is_pipe(fd) && ++reads == fail_read) { /* libuv's own pipes are read in small pieces */
        errno = wrong_with;
        return -1;
    }
    return syscall(SYS_read, fd, at, n);
}
ssize_t writev(int fd, const struct iovec *iov, int count) {
    if (fail_write != 0 && is_pipe(fd) && ++writes == fail_write) {
        errno = wrong_with;
        return -1;
    }
    return syscall(SYS_writev, fd, iov, count);
}

static void on_error(mw_host *h, const struct mw_err *e, const char *traceback, void *ud) {
    (void)h;
    (void)ud;
    check_fail("script", 0, "%s\n%s", e->message, traceback);
}

static void run(const char *script) {
    struct mw_config cfg;
    mw_policy *p = NULL;
    mw_host *h = NULL;
    char text[4096];
    int status = -1;

    mw_config_init(&cfg);
    cfg.on_error = on_error;
    cfg.warden = 0;
    REQUIRE(mw_policy_new(&p, &err) == 0 && mw_policy_add_all(p, &err) == 0);
    cfg.policy = p;
    REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
    mw_policy_free(p);
    snprintf(text, sizeof text, "local mw = require 'moonwire' local big = ('x'):rep(300000)\n"
             "local function code(c, v, e) if v ~= nil or not e or e.code ~= c then "
             "error(('want nil, %%s, got %%s, %%s'):format(c, tostring(v), tostring(e)), 2) end return e end\n%s", script);
    REQUIRE(mw_host_load_string(h, text, strlen(text), "=script", &err) == 0);
    reads = writes = 0;
    CHECK_INT(mw_host_run(h, &status, &err), 0);
    CHECK_INT(status, 0);
    mw_host_free(h);
    fail_read = fail_write = 0;
}

TEST(output_that_cannot_be_read_to_its_end_is_an_error_with_the_result_so_far) {
    fail_read = 2;
    wrong_with = EIO;
    run("local e = code('EIO', mw.process.run{ 'cat', stdin = big }) assert(#e.data.stdout > 0 and #e.data.stdout < #big)");
}

TEST(a_terminal_whose_other_end_has_gone_is_at_its_end) {
    fail_read = 1; /* a terminal is no pipe: nothing is made up here */
    run("local r = assert(mw.process.run{ 'echo', 'hi', pty = true }) assert(r.ok and r.stdout == 'hi\\r\\n', r.stdout)");
}

TEST(input_that_cannot_be_written_to_its_end_is_an_error) {
    fail_write = 2;
    wrong_with = EIO;
    run("local e = code('EIO', mw.process.run{ 'cat', stdin = big }) assert(#e.data.stdout < #big)");
}

TEST(a_child_that_wants_no_more_input_is_none) {
    fail_write = 2;
    wrong_with = EPIPE;
    run("local r = assert(mw.process.run{ 'cat', stdin = big }) assert(r.ok and #r.stdout < #big)");
}
