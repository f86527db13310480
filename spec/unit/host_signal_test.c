/* Signals and log lines between an embedder and its scripts: given only when asked for, and given back.
 * Knows: moonwire.h, sigaction(2). Never: what is under moonwire.h. */
#include "support/check.h"

#include <signal.h>

#include "moonwire.h"

static char printed[4096], logged[4096], failed[1024];
static int fail_code;

static void on_print(mw_host *h, const char *text, size_t len, void *ud) {
    (void)h;
    (void)ud;
    snprintf(printed + strlen(printed), sizeof printed - strlen(printed), "%.*s", (int)len, text);
}
static void on_log(mw_host *h, enum mw_level level, const char *line, size_t len, void *ud) {
    (void)h;
    (void)ud;
    snprintf(logged + strlen(logged), sizeof logged - strlen(logged), "%d %.*s|", (int)level, (int)len, line);
}
static void on_error(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) {
    (void)h;
    (void)traceback;
    (void)ud;
    fail_code = err->code;
    snprintf(failed, sizeof failed, "%s", err->message);
}

/* Runs a script in a host that gives its signals or does not. */
static void run(int signals, const char *text) {
    struct mw_config cfg;
    struct mw_err err;
    mw_policy *all = NULL;
    mw_host *h = NULL;
    int status;

    printed[0] = logged[0] = failed[0] = '\0';
    fail_code = 0;
    mw_config_init(&cfg);
    cfg.on_print = on_print;
    cfg.on_log = on_log;
    cfg.on_error = on_error;
    cfg.signals = signals;
    REQUIRE(mw_policy_new(&all, &err) == 0 && mw_policy_add_all(all, &err) == 0);
    cfg.policy = all;
    REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
    mw_policy_free(all);
    CHECK_INT(mw_host_load_string(h, text, strlen(text), "=test", &err), 0);
    CHECK_INT(mw_host_run(h, &status, &err), 0);
    mw_host_free(h);
}

static volatile sig_atomic_t came;
static void mine(int number) {
    came = number;
}

TEST(an_embedder_keeps_its_signals_unless_it_gives_them) {
    struct sigaction act = { .sa_handler = mine }, now;

    REQUIRE(sigaction(SIGUSR1, &act, NULL) == 0);
    run(0, "require 'moonwire'.on_signal('USR1', print)");
    CHECK_INT(fail_code, MW_EDENIED);
    CHECK(strstr(failed, "keeps signals to itself") != NULL);
    REQUIRE(sigaction(SIGUSR1, NULL, &now) == 0);
    CHECK(now.sa_handler == mine);
}

TEST(a_signal_goes_back_to_whom_it_was_taken_from) {
    struct sigaction act = { .sa_handler = mine }, now;

    REQUIRE(sigaction(SIGUSR1, &act, NULL) == 0);
    run(1, "local h <close> = require 'moonwire'.on_signal('USR1', print)");
    CHECK_INT(fail_code, 0);
    REQUIRE(sigaction(SIGUSR1, NULL, &now) == 0);
    CHECK(now.sa_handler == mine);
    run(1, "kept = require 'moonwire'.on_signal('USR1', print)");
    REQUIRE(sigaction(SIGUSR1, NULL, &now) == 0);
    CHECK(now.sa_handler == mine);
    raise(SIGUSR1);
    CHECK_INT(came, SIGUSR1);
}

TEST(an_embedder_gets_log_lines_as_json_with_their_level) {
    run(0, "require 'moonwire'.log.warn('hot', { degrees = 90 })");
    CHECK(strncmp(logged, "2 {\"time\":\"", 11) == 0);
    CHECK(strstr(logged, "\"level\":\"warn\",\"text\":\"hot\",\"degrees\":90}|") != NULL);
}

TEST(the_hosts_own_warnings_have_the_same_form) {
    run(0, "require 'moonwire'.fs.watch('/') collectgarbage() collectgarbage()");
    CHECK(strncmp(logged, "2 {\"time\":\"", 11) == 0);
    CHECK(strstr(logged, "\"level\":\"warn\",\"text\":\"watch made at test:1 was never closed") != NULL);
}

static void look_at_all(struct sigaction *out) {
    for (int number = 1; number < NSIG; number++)
        if (sigaction(number, NULL, &out[number]) < 0) memset(&out[number], 0, sizeof *out);
}
TEST(no_handler_is_installed_save_that_of_the_timer_where_it_is_asked_for) {
    static const char text[] = "local mw = require 'moonwire' assert(mw.process.run { 'true' }) mw.task.sleep(0.001) for i = 1, 300000 do i = i + 1 end";
    const enum mw_preempt kinds[] = { MW_PREEMPT_DEFAULT, MW_PREEMPT_NONE, MW_PREEMPT_COUNT, MW_PREEMPT_TIMER };
    struct sigaction before[NSIG], after[NSIG];

    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct mw_config cfg;
        struct mw_step st = { .alive = 1 };
        struct mw_err err;
        mw_host *h = NULL;

        mw_config_init(&cfg);
        cfg.on_error = on_error;
        cfg.preempt = kinds[k];
        REQUIRE(mw_policy_new(&cfg.policy, &err) == 0 && mw_policy_add(cfg.policy, MW_TRUST, MW_ALLOW, "true", &err) == 0);
        fail_code = 0;
        look_at_all(before);
        REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
        mw_policy_free(cfg.policy);
        CHECK_INT(mw_host_load_string(h, text, strlen(text), "=test", &err), 0);
        while (st.alive) CHECK_INT(mw_host_step(h, 1000, &st, &err), 0);
        CHECK_INT(fail_code, 0);
        look_at_all(after);
        for (int number = 1; number < NSIG; number++)
            if (before[number].sa_handler != after[number].sa_handler && !(kinds[k] == MW_PREEMPT_TIMER && number == SIGVTALRM))
                check_fail(__FILE__, __LINE__, "preempt %d took signal %d", (int)kinds[k], number);
        mw_host_free(h);
    }
}
