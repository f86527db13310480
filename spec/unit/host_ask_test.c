/* An embedder who is asked when a right is missing: what it hears, what its answers do, and that the host's clock stands still.
 * Knows: moonwire.h. Never: a terminal. */
#include "support/heard.h"

#include <time.h>
#include <unistd.h>

struct seen {
    struct heard heard;
    int asked, answer;
    enum mw_kind kind;
    char subject[256], where[64], flag[256];
    unsigned takes_ms;           /* how long the person thinks */
    int interrupt;
};

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int on_ask(mw_host *h, enum mw_kind kind, const char *subject, const char *where, const char *flag, void *ud) {
    struct seen *s = ud;
    uint64_t until = now_ms() + s->takes_ms;
    struct mw_err err;
    struct mw_step st;

    s->asked++;
    s->kind = kind;
    snprintf(s->subject, sizeof s->subject, "%s", subject != NULL ? subject : "(all)");
    snprintf(s->where, sizeof s->where, "%s", where);
    snprintf(s->flag, sizeof s->flag, "%s", flag);
    CHECK_INT(mw_host_step(h, 0, &st, &err), MW_EINVAL);
    while (now_ms() < until) {}
    if (s->interrupt) mw_host_interrupt(h, 130, "interrupted");
    return s->answer;
}

static int run(struct seen *s, mw_policy *p, int hooked, uint64_t deadline_ns, const char *text) {
    struct mw_config cfg = heard_config(s, 200);
    struct mw_err err;
    mw_host *h = NULL;
    int status = -1;

    cfg.policy = p;
    REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
    if (hooked) mw_host_on_ask(h, on_ask, s);
    if (deadline_ns > 0) REQUIRE(mw_host_deadline(h, deadline_ns, 124, "late", &err) == 0);
    REQUIRE(mw_host_load_string(h, text, strlen(text), "=quest.lua", &err) == 0);
    REQUIRE(mw_host_run(h, &status, &err) == 0);
    mw_host_free(h);
    return status;
}

static const char twice[] = "local mw = require 'moonwire'\nfor i = 1, 2 do\n  print(pcall(mw.env.get, 'MW_ASK_TEST'))\nend";

TEST(without_anybody_to_ask_a_missing_right_is_denied) {
    struct seen s = {0};
    CHECK_INT(run(&s, NULL, 0, 0, "local mw = require 'moonwire' print(mw.permissions.query('env', 'A'), mw.permissions.request('env', 'A')) return mw.env.A"), 77);
    CHECK(strcmp(s.heard.print, "denied\tdenied\n") == 0);
    CHECK_INT(s.heard.code, MW_EDENIED);
}

TEST(the_hook_hears_what_is_wanted_where_and_what_flag_would_grant_it) {
    struct seen s = {.answer = 0};
    CHECK_INT(run(&s, NULL, 1, 0, "local mw = require 'moonwire'\n\nlocal v = mw.sys.hostname()"), 77);
    CHECK_INT(s.asked, 1);
    CHECK_INT(s.kind, MW_SYS);
    CHECK(strcmp(s.subject, "hostname") == 0 && strcmp(s.where, "quest.lua:3") == 0 && strcmp(s.flag, "sys \"hostname\"") == 0);
}

TEST(once_is_one_use_and_always_lasts_until_the_host_ends) {
    struct seen s = {.answer = 1};
    setenv("MW_ASK_TEST", "here", 1);
    CHECK_INT(run(&s, NULL, 1, 0, twice), 0);
    CHECK_INT(s.asked, 2);
    CHECK(strcmp(s.heard.print, "true\there\ntrue\there\n") == 0);
    s = (struct seen){.answer = 2};
    CHECK_INT(run(&s, NULL, 1, 0, twice), 0);
    CHECK_INT(s.asked, 1);
    s = (struct seen){.answer = 7}; /* no answer that there is */
    CHECK_INT(run(&s, NULL, 1, 0, "require('moonwire').sys.hostname()"), 77);
}

TEST(always_grants_a_path_and_not_its_neighbours) {
    struct seen s = {.answer = 2};
    CHECK_INT(run(&s, NULL, 1, 0, "local mw = require 'moonwire' io.open('/etc/passwd'):close() io.open('/etc/../etc/passwd'):close()"
                                  " print(mw.permissions.query('read', '/etc/passwd'), mw.permissions.query('read', '/etc/group'))"), 0);
    CHECK_INT(s.asked, 1);
    CHECK(strcmp(s.heard.print, "granted\tprompt\n") == 0);
}

TEST(what_a_rule_denies_is_not_asked_about) {
    struct seen s = {.answer = 2};
    struct mw_err err;
    mw_policy *p = NULL;
    REQUIRE(mw_policy_new(&p, &err) == 0 && mw_policy_add(p, MW_SYS, MW_DENY, "hostname", &err) == 0);
    CHECK_INT(run(&s, p, 1, 0, "require('moonwire').sys.hostname()"), 77);
    CHECK_INT(s.asked, 0);
    mw_policy_free(p);
}

TEST(the_clock_stands_still_while_somebody_thinks) {
    struct seen s = {.answer = 0, .takes_ms = 1200};
    CHECK_INT(run(&s, NULL, 1, 1000000000u, "local mw = require 'moonwire' local t = mw.time.now()"
                                           " print(mw.task.timeout(1, function() pcall(mw.sys.hostname) mw.task.sleep(0) return 'in time' end))"), 0);
    CHECK_INT(s.asked, 1);
    CHECK(strcmp(s.heard.print, "in time\n") == 0);
}

TEST(an_interrupt_is_an_end_and_no_more_questions) {
    struct seen s = {.answer = 0, .interrupt = 1};
    CHECK_INT(run(&s, NULL, 1, 0, "local mw = require 'moonwire'"
                                  " local c <close> = setmetatable({}, { __close = function() pcall(mw.sys.hostname) print 'closed' end })"
                                  " pcall(mw.sys.hostname) mw.task.sleep(60)"), 130);
    CHECK_INT(s.asked, 1);
    CHECK(strcmp(s.heard.print, "closed\n") == 0);
}
