/* Children of an embedded host: what an engine's own habits do to them, and what is left when hosts end.
 * Knows: moonwire.h, POSIX. Never: the insides of io/process. */
#include "support/check.h"

#include <errno.h>
#include <sys/wait.h>

#include "moonwire.h"

struct seen {
    char text[4096];
    size_t len;
};

static void on_print(mw_host *h, const char *text, size_t len, void *ud) {
    struct seen *seen = ud;

    (void)h;
    if (len > sizeof seen->text - 1 - seen->len) len = sizeof seen->text - 1 - seen->len;
    memcpy(seen->text + seen->len, text, len);
    seen->len += len;
    seen->text[seen->len] = '\0';
}

static void on_error(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) {
    (void)traceback;
    on_print(h, err->message, strlen(err->message), ud);
}

/* A host with all rights that has loaded `text`. */
static mw_host *host(const char *text, int warden, struct seen *seen) {
    struct mw_config cfg;
    struct mw_err err;
    mw_policy *policy = NULL;
    mw_host *h = NULL;

    memset(seen, 0, sizeof *seen);
    REQUIRE(mw_policy_new(&policy, &err) == 0);
    REQUIRE(mw_policy_add_all(policy, &err) == 0);
    mw_config_init(&cfg);
    cfg.policy = policy;
    cfg.ud = seen;
    cfg.on_print = on_print;
    cfg.on_error = on_error;
    cfg.warden = warden;
    REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
    mw_policy_free(policy);
    REQUIRE(mw_host_load_string(h, text, strlen(text), "=script", &err) == 0);
    return h;
}

/* Turns until the script has printed something. */
static void until_printed(mw_host *h, const struct seen *seen) {
    struct mw_step st;

    do REQUIRE(mw_host_run_once(h, 1000, &st, NULL) == 0);
    while (seen->len == 0 && st.alive);
}

static int no_children(void) {
    return waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD;
}

TEST(a_host_that_is_freed_ends_its_children_and_leaves_no_zombie) {
    struct seen seen;
    mw_host *h = host("local mw = require 'moonwire' local a = mw.process.spawn { 'sleep', '1000' }"
                      "local b = mw.process.spawn { 'sh', '-c', 'sleep 1000 & wait' } print(a.pid) mw.task.wait()", 1, &seen);
    pid_t pid;

    until_printed(h, &seen);
    pid = (pid_t)atoi(seen.text);
    CHECK(pid > 1 && kill(pid, 0) == 0);
    mw_host_free(h);
    CHECK(kill(-pid, 0) < 0 && errno == ESRCH);
    CHECK(no_children());
}

#ifndef MW_SPAWN_UV          /* uv_spawn hears of no end that somebody else took */
static void reap_everything(int sig) {
    int saved = errno;

    (void)sig;
    while (waitpid(-1, NULL, WNOHANG) > 0) { }
    errno = saved;
}

TEST(an_engine_that_reaps_every_child_does_not_lose_the_ends_of_ours) {
    struct sigaction sa, was;
    struct seen seen;
    mw_host *h;
    int status = -1;

    memset(&sa, 0, sizeof sa);
    sa.sa_handler = reap_everything;
    sa.sa_flags = SA_RESTART;
    sigaction(SIGCHLD, &sa, &was);
    h = host("local mw = require 'moonwire' for i = 1, 20 do local r = mw.process.run { 'sh', '-c', 'echo out; exit 5' }"
             "assert(r.stdout == 'out\\n' and not r.ok and (r.code == 5 or r.unknown and not r.code)) end print('done')", 1, &seen);
    CHECK_INT(mw_host_run(h, &status, NULL), 0);
    CHECK_INT(status, 0);
    CHECK_STR(seen.text, "done\n");
    mw_host_free(h);
    sigaction(SIGCHLD, &was, NULL);
}
#endif

static mw_host *to_kill;

static void kill_children(int sig) {
    (void)sig;
    mw_host_kill_children(to_kill);
}

TEST(a_signal_handler_kills_the_children_of_one_host_and_not_of_another) {
    struct seen first, second;
    struct sigaction sa, was;
    struct mw_step st;
    mw_host *other = host("local mw = require 'moonwire' local c = mw.process.spawn { 'sleep', '1000' } print(c.pid) mw.task.wait()", 1, &second);
    mw_host *h = host("local mw = require 'moonwire' print('go') print(mw.process.run { 'sleep', '1000' }.signal)", 1, &first);
    pid_t spared;

    until_printed(other, &second);
    until_printed(h, &first);
    spared = (pid_t)atoi(second.text);
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = kill_children;
    sigaction(SIGUSR1, &sa, &was);
    to_kill = h;
    raise(SIGUSR1);
    sigaction(SIGUSR1, &was, NULL);
    do mw_host_run_once(h, 1000, &st, NULL);
    while (st.alive);
    CHECK_STR(first.text, "go\nKILL\n");
    CHECK_INT(kill(spared, 0), 0);
    mw_host_free(h);
    CHECK_INT(kill(spared, 0), 0);
    mw_host_free(other);
    CHECK(no_children());
}

TEST(an_embedder_that_wants_no_warden_has_none) {
    struct seen seen;
    mw_host *h = host("local mw = require 'moonwire' mw.process.run { 'true' } print('done') mw.task.wait()", 0, &seen);

    until_printed(h, &seen);
    CHECK(no_children());
    mw_host_free(h);
    h = host("local mw = require 'moonwire' mw.process.run { 'true' } print('done') mw.task.wait()", 1, &seen);
    until_printed(h, &seen);
    CHECK_INT(waitpid(-1, NULL, WNOHANG), 0);            /* the warden, alive */
    mw_host_free(h);
    CHECK(no_children());
}

TEST(an_embedder_without_a_moonwire_program_is_told_so) {
    struct seen seen;
    mw_host *h;
    int status = -1;
    char *path = strdup(getenv("PATH") != NULL ? getenv("PATH") : "/usr/bin:/bin");

    REQUIRE(path != NULL);
    setenv("PATH", "/nonexistent", 1);
    h = host("local mw = require 'moonwire' local r, err = mw.process.run { script = '/etc/hosts' } print(r, err.code)", 1, &seen);
    CHECK_INT(mw_host_run(h, &status, NULL), 0);
    CHECK_STR(seen.text, "nil\tENOENT\n");
    mw_host_free(h);
    setenv("PATH", path, 1);
    free(path);
}
