/* Hosts that end while the thread pool still works for their scripts' uv: what comes back finds a state, or nobody.
 * Knows: moonwire.h, policy/policy (all rights), uv.h (for a borrowed loop). Never: a script that ends by itself. */
#include "support/heard.h"

#include <uv.h>

#include "policy/policy.h"

/* The first takes no right. */
static const char *const scripts[] = {
    "local uv = require 'uv' for _ = 1, 30 do uv.random(60000, nil, function() end) end",
    "local uv = require 'uv' for _ = 1, 30 do uv.getaddrinfo('localhost', nil, nil, function() end) end uv.run()",
    "local uv = require 'uv' local work = uv.new_work(function(n) for _ = 1, 1e5 do n = n + 1 end return n end, function() end)\n"
    "for i = 1, 20 do work:queue(i) end uv.run()",
    "local uv = require 'uv' uv.fs_write(2, '', -1, function() end) for _ = 1, 9 do uv.new_fs_poll():start('/', 1, function() end) end uv.run()",
    "local uv = require 'uv' local async = uv.new_async(function() end)\n"
    "uv.new_thread(function(it) for i = 1, 100 do it:send(i) end end, async) uv.run()",
};
enum { SCRIPTS = sizeof scripts / sizeof *scripts };

static mw_host *make(uv_loop_t *loop, struct heard *heard, size_t i) {
    struct mw_config cfg = heard_config(heard, 50);
    mw_policy *policy;
    mw_host *h;

    memset(heard, 0, sizeof *heard);
    REQUIRE(mw_policy_new(&policy, NULL) == 0 && (i == 0 || mw_policy_add_all(policy, NULL) == 0));
    cfg.policy = policy;
    h = heard_host(&cfg, loop);
    mw_policy_free(policy);
    REQUIRE(h != NULL && heard_load(h, scripts[i]) == 0);
    return h;
}

static void on_end(void *ud) {
    ++*(unsigned *)ud;
}

TEST(a_host_of_its_own_ends_beside_jobs_of_uv) {
    static struct heard heard;

    for (size_t i = 0; i < SCRIPTS; i++) {
        mw_host *h = make(NULL, &heard, i);
        CHECK_INT(mw_host_step(h, 0, NULL, NULL), 0);
        mw_host_free(h);
        CHECK_STR(heard.error, "");
    }
}

TEST(hosts_on_a_borrowed_loop_end_once_the_jobs_of_their_uv_are_back) {
    static struct heard heard[SCRIPTS];

    for (int turns = 0; turns <= 40; turns += 20) {
        mw_host *hosts[SCRIPTS];
        unsigned ended = 0;
        uv_loop_t loop;

        REQUIRE(uv_loop_init(&loop) == 0);
        for (size_t i = 0; i < SCRIPTS; i++) hosts[i] = make(&loop, &heard[i], i);
        for (int n = 0; n < turns; n++) uv_run(&loop, UV_RUN_NOWAIT);
        for (size_t i = 0; i < SCRIPTS; i++) REQUIRE(mw_host_close(hosts[i], on_end, &ended, NULL) == 0);
        uv_run(&loop, UV_RUN_DEFAULT);
        CHECK_INT(ended, SCRIPTS);
        CHECK_INT(uv_loop_close(&loop), 0);
        for (size_t i = 0; i < SCRIPTS; i++) CHECK_STR(heard[i].error, "");
    }
}

TEST(a_host_that_is_freed_on_a_borrowed_loop_waits_for_them_too) {
    static struct heard heard;
    uv_loop_t loop;

    REQUIRE(uv_loop_init(&loop) == 0);
    for (size_t i = 0; i < SCRIPTS; i++) {
        mw_host *h = make(&loop, &heard, i);
        uv_run(&loop, UV_RUN_NOWAIT);
        mw_host_free(h);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    CHECK_INT(uv_loop_close(&loop), 0);
}
