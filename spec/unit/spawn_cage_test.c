/* Cages that are kept: what one start has built, the next one uses.
 * Knows: moonwire.h; open and openat are its own here. Never: counts anything but the loading table. */
#include "moonwire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "io/spawn.h"
#include "policy/confine.h"
#include "support/check.h"

#define MARKS 16

static struct mw_err err;
static int built;                    /* how often a file was looked at that every cage opens */
static int marks[MARKS], count;      /* that number, whenever the script printed something */

static void look(const char *path) {
    if (strcmp(path, "/dev/urandom") == 0) built++;
}
int open(const char *path, int flags, ...) {
    va_list args;
    int mode;

    va_start(args, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, int) : 0;
    va_end(args);
    look(path);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
int openat(int dir, const char *path, int flags, ...) {
    va_list args;
    int mode;

    va_start(args, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, int) : 0;
    va_end(args);
    look(path);
    return (int)syscall(SYS_openat, dir, path, flags, mode);
}

static void on_print(mw_host *h, const char *text, size_t len, void *ud) {
    (void)h;
    (void)ud;
    (void)text;
    (void)len;
    if (count < MARKS) marks[count++] = built;
}

static void on_error(mw_host *h, const struct mw_err *e, const char *traceback, void *ud) {
    (void)h;
    (void)ud;
    check_fail("script", 0, "%s\n%s", e->message, traceback);
}

/* Runs a script that may run `true` and `sh` and read DIR, an empty folder. 0: nothing can be confined here. */
static int run_once(const char *script) {
    struct mw_config cfg;
    mw_policy *p = NULL;
    mw_host *h = NULL;
    char text[4096], dir[] = "/tmp/moonwire-cage-XXXXXX";
    int status = -1;

    if (!mw_spawn_confines() || mw_confine_abi() == 0) return 0;
    REQUIRE(mkdtemp(dir) != NULL);
    mw_config_init(&cfg);
    cfg.on_error = on_error;
    cfg.on_print = on_print;
    cfg.warden = 0;
    REQUIRE(mw_policy_new(&p, &err) == 0);
    REQUIRE(mw_policy_add(p, MW_RUN, MW_ALLOW, "true,sh", &err) == 0 && mw_policy_add(p, MW_READ, MW_ALLOW, dir, &err) == 0);
    cfg.policy = p;
    REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
    mw_policy_free(p);
    snprintf(text, sizeof text, "local mw, DIR = require 'moonwire', '%s' local function run(o) o[1] = o[1] or 'true' assert(mw.process.run(o)) end\n%s",
             dir, script);
    REQUIRE(mw_host_load_string(h, text, strlen(text), "=script", &err) == 0);
    built = count = 0;
    REQUIRE(mw_host_run(h, &status, &err) == 0);
    mw_host_free(h);
    CHECK_INT(rmdir(dir), 0);
    CHECK_INT(status, 0);
    return status == 0;
}
/* The same once more where somebody has mounted something meanwhile: no cage outlives that. */
static int run(const char *script) {
    struct pollfd mounts = { .events = POLLPRI };
    int done, others;

    do {
        mounts.fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
        done = run_once(script);
        others = mounts.fd >= 0 && poll(&mounts, 1, 0) > 0;
        if (mounts.fd >= 0) close(mounts.fd);
    } while (done && others);
    return done;
}

TEST(a_program_that_is_started_again_has_the_same_cage) {
    if (!run("run {} print() for i = 1, 20 do run {} end print()")) return;
    CHECK(marks[0] > 0);
    CHECK_INT(marks[1], marks[0]);
}

TEST(programs_and_sandboxes_in_turn_keep_theirs) {
    if (!run("local function all() run {} run { 'sh', '-c', ':' } run { sandbox = {} } run { sandbox = { read = { DIR } } }"
             "run { sandbox = { connect = {}, write = {} } } end all() print() for i = 1, 5 do all() end print()")) return;
    CHECK_INT(marks[0], 5);
    CHECK_INT(marks[1], 5);
}

TEST(a_cage_that_lists_the_same_in_another_way_is_another_one) {
    if (!run("run { sandbox = { connect = {} } } print() run { sandbox = { listen = {} } } print() run { sandbox = {} } print()"
             "run { sandbox = { connect = {}, listen = {} } } print() run { limits = { processes = 1 } } print()")) return;
    for (int i = 0; i < 5; i++) CHECK_INT(marks[i], i + 1);
}

TEST(a_right_that_is_dropped_ends_every_cage) {
    if (!run("run {} run { sandbox = {} } print() mw.permissions.drop('env', 'SOME') run {} run { sandbox = {} } print() run {} print()")) return;
    CHECK_INT(marks[1], marks[0] + 2);
    CHECK_INT(marks[2], marks[1]);
}

TEST(more_cages_than_are_kept_are_built_anew_and_none_is_lost) {
    if (!run("local function all() for i = 1, 20 do run { sandbox = { read = { DIR .. '/' .. i } } } end end all() print() all() print()")) return;
    CHECK_INT(marks[0], 20);
    CHECK_INT(marks[1], 40);
}
