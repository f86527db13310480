/* Limits as people write them. Knows: base/limits. Never: a host. */
#include "support/check.h"

#include "base/limits.h"

static int parse(struct mw_limits *l, const char *text, struct mw_err *err) {
    memset(l, 0, sizeof *l);
    return mw_limits_parse(l, text, err);
}

TEST(each_limit_has_its_unit) {
    struct mw_limits l;
    struct mw_err err;
    REQUIRE(parse(&l, "memory=64MiB,step=1.5s,children=16,handles=1000,tasks=7,buffered=16MB", &err) == 0);
    CHECK(l.memory == 64u << 20);
    CHECK(l.step_ns == 1500000000u);
    CHECK(l.children == 16);
    CHECK(l.handles == 1000);
    CHECK(l.tasks == 7);
    CHECK(l.buffered == 16000000);
    REQUIRE(mw_limits_parse(&l, "step=off", &err) == 0);
    CHECK(l.step_ns == MW_LIMIT_OFF);
    CHECK(l.children == 16);
}

TEST(what_is_no_limit_is_refused_and_changes_nothing) {
    static const char *const bad[] = {"",          "memory",       "memory=",       "memory=64XB", "memory=-1", "memory=0",     "step=0", "step=1ns", "children=off",
                                      "steps=2s",  "children=1.5", "step=1s,step=2s", "step=2s,",    ",step=2s",  "memory=1e9", "step= 2s", "memory=99999999999999999999GiB",
                                      "tasks=nan", "memory=64MiB ", "buffered=1",     "handles=0x10"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct mw_limits l, none;
        struct mw_err err;
        memset(&none, 0, sizeof none);
        if (parse(&l, bad[i], &err) != MW_EINVAL) check_fail(__FILE__, __LINE__, "accepted: %s", bad[i]);
        CHECK(memcmp(&l, &none, sizeof l) == 0);
        CHECK(err.what[0] != 0);
    }
}

TEST(every_default_is_what_the_help_says) {
    const struct mw_limit_row *row;
    struct mw_limits l, defaults;
    char text[256] = "";

    for (size_t i = 0; (row = mw_limits_row(i)) != NULL; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s=%s", i > 0 ? "," : "", row->name, row->fallback);
    REQUIRE(parse(&l, text, NULL) == 0);
    memset(&defaults, 0, sizeof defaults);
    mw_limits_fill(&defaults);
    CHECK(memcmp(&l, &defaults, sizeof l) == 0);
}

TEST(the_lower_of_two_counts) {
    struct mw_limits l = {.tasks = 9}, most = {.memory = 100, .step_ns = MW_LIMIT_OFF, .tasks = 9, .children = 4}, other = {.memory = 50, .step_ns = 7, .tasks = 10};
    mw_limits_least(&l, &most, &other);
    CHECK(l.memory == 50 && l.step_ns == 7 && l.tasks == 9 && l.children == 0);
}

TEST(a_value_is_shown_as_a_person_writes_it) {
    char out[32];
    CHECK(strcmp(mw_limits_show(MW_LIMIT_BYTES, 64u << 20, out, sizeof out), "64 MiB") == 0);
    CHECK(strcmp(mw_limits_show(MW_LIMIT_BYTES, UINT64_C(1) << 40, out, sizeof out), "1024 GiB") == 0);
    CHECK(strcmp(mw_limits_show(MW_LIMIT_TIME, 1500000000u, out, sizeof out), "1.5 s") == 0);
    CHECK(strcmp(mw_limits_show(MW_LIMIT_TIME, MW_LIMIT_OFF, out, sizeof out), "off") == 0);
    CHECK(strcmp(mw_limits_show(MW_LIMIT_COUNT, 256, out, sizeof out), "256") == 0);
}

TEST(a_limit_that_was_reached_names_the_flag) {
    struct mw_err err;
    CHECK(mw_limits_reached(&err, "task", NULL, "tasks", "7 tasks have not ended") == MW_ELIMIT);
    CHECK(strcmp(err.message, "task: 7 tasks have not ended (the limit is set with --limit=tasks=...)") == 0);
}
