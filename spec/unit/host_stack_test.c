/* Threads with little stack: a host refuses them in words, and with what it asks for the deepest script ends in an error, not in a fault.
 * Knows: moonwire.h, what a sanitizer takes of a stack. Never: what is under moonwire.h. */
#include "support/heard.h"

#include <pthread.h>
#include <stdlib.h>
#include <ucontext.h>

#include "base/thread.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { WIDER = 8 }; /* their frames are */
#else
enum { WIDER = 1 };
#endif

struct lane {
    struct heard heard;
    mw_host *h;
    const char *text;
    struct mw_err err;
    int rc, status;
};


static void *make(void *ud) {
    struct lane *l = ud;
    struct mw_config cfg = heard_config(l, 50);

    l->rc = mw_host_new(&cfg, &l->h, &l->err);
    return NULL;
}
static void *step(void *ud) {
    struct lane *l = ud;
    l->rc = mw_host_step(l->h, 0, NULL, &l->err);
    return NULL;
}
static void *run(void *ud) {
    struct lane *l = ud;
    l->rc = mw_host_run(l->h, &l->status, &l->err);
    return NULL;
}
static void *call(void *ud) {
    struct lane *l = ud;
    l->rc = mw_host_call(l->h, "f", NULL, 0, NULL, &l->err);
    return NULL;
}
/* Does `fn` in a thread with so many bytes of stack. */
static void in_thread(size_t stack, void *(*fn)(void *), struct lane *l) {
    pthread_attr_t attr;
    pthread_t thread;

    pthread_attr_init(&attr);
    CHECK(pthread_attr_setstacksize(&attr, MW_THREAD_STACK_GONE + stack) == 0);
    CHECK(pthread_create(&thread, &attr, fn, l) == 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
}

TEST(a_thread_with_little_stack_makes_no_host_and_says_why) {
    struct lane l = {.rc = 1};

    in_thread(128 << 10, make, &l);
    CHECK(l.rc == MW_ELIMIT && l.h == NULL && l.err.code == MW_ELIMIT);
    CHECK(strstr(l.err.message, "KiB of stack left, 256 are needed") != NULL);
    CHECK(strstr(l.err.hint, "pthread_attr_setstacksize") != NULL);
}

TEST(a_thread_with_little_stack_is_refused_and_the_host_goes_on_in_another) {
    struct lane l = {0};

    in_thread(1 << 20, make, &l);
    CHECK(l.rc == 0);
    if (l.h == NULL) return;
    heard_load(l.h, "function f() end print(1)");
    in_thread(128 << 10, step, &l);
    CHECK(l.rc == MW_ELIMIT);
    in_thread(128 << 10, run, &l);
    CHECK(l.rc == MW_ELIMIT);
    in_thread(128 << 10, call, &l);
    CHECK(l.rc == MW_ELIMIT);
    CHECK(l.heard.print[0] == 0);
    in_thread(1 << 20, step, &l);
    CHECK(l.rc == 0);
    CHECK(strcmp(l.heard.print, "1\n") == 0);
    CHECK(mw_host_step(l.h, 0, NULL, &l.err) == 0); /* the first thread, whose stack is measured in another way */
    in_thread(1 << 20, call, &l);
    CHECK(l.rc == 0);
    mw_host_free(l.h);
}

/* The C library gives the stack of a thread that has ended to the next one, or unmaps it and puts a smaller one there: both then have one
 * pthread_t. Here the stack is ours, for it to be so each time. */
TEST(what_is_known_of_a_thread_that_has_ended_is_not_believed_of_the_next_one) {
    static const size_t whole = MW_THREAD_STACK_GONE + (1 << 20), sizes[] = {1 << 20, 128 << 10, 1 << 20};
    struct lane l = {0};
    char *stack = NULL;

    make(&l);
    CHECK(l.rc == 0 && posix_memalign((void **)&stack, 4096, whole) == 0);
    if (l.h == NULL || stack == NULL) return;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pthread_attr_t attr;
        pthread_t thread;

        pthread_attr_init(&attr);
        CHECK(pthread_attr_setstack(&attr, stack + (1 << 20) - sizes[i], MW_THREAD_STACK_GONE + sizes[i]) == 0);
        CHECK(pthread_create(&thread, &attr, step, &l) == 0);
        pthread_join(thread, NULL);
        pthread_attr_destroy(&attr);
        CHECK(l.rc == (sizes[i] < MW_STACK_LEAST ? MW_ELIMIT : 0));
    }
    free(stack);
    mw_host_free(l.h);
}

/* Each nests through C as deep as Lua has it, and does something at the bottom. */
TEST(the_deepest_script_ends_within_1_MiB) {
    static const char *const texts[] = {
        MW "local function f() return mw.task.scope(function() return f() end) end print(pcall(f))",
        MW "local function f() return mw.task.timeout(9, function() return f() end) end print(pcall(f))",
        MW "local function f() return (('a'):gsub('a', f)) end print(pcall(f))",
        MW "local function f(n) mw.fs.stat('/') if n > 0 then return (('a'):gsub('a', function() return f(n - 1) end)) end end "
           "f(150) print(1)",
        "local t = setmetatable({}, { __tostring = function(t) return string.format('%s', t) end }) print(pcall(tostring, t))",
        "local function f() return coroutine.wrap(function() return f() end)() end print(pcall(f))",
        MW "local function f() return mw.inspect(setmetatable({}, { __tostring = f })) end print(#f())",
        MW "print(mw.json.decode(('['):rep(999) .. (']'):rep(999), { max_depth = 1000 }) ~= nil)",
        "print(load(('local f = function() '):rep(199) .. ('end '):rep(199)))",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct lane l = {.rc = 1};
        struct mw_config cfg = heard_config(&l, 50);
        struct mw_err err;
        mw_policy *p = NULL;

        CHECK(mw_policy_new(&p, &err) == 0 && mw_policy_add(p, MW_READ, MW_ALLOW, NULL, &err) == 0);
        cfg.policy = p;
        l.h = heard_host(&cfg, NULL);
        mw_policy_free(p);
        if (l.h == NULL) return;
        heard_load(l.h, texts[i]);
        in_thread(WIDER << 20, run, &l);
        CHECK(l.rc == 0 && l.status == 0);
        CHECK(l.heard.print[0] != 0);
        mw_host_free(l.h);
    }
}

#ifndef __SANITIZE_THREAD__ /* which wants to be told of each switch */
/* ---- A fibre -------------------------------------------------------------------------------------------------------------- */

static ucontext_t home, away;
static struct lane *lane;

static void in_fibre(void) {
    run(lane);
}

TEST(a_stack_of_the_engines_own_is_not_measured) {
    struct lane l = {.rc = 1};
    char *stack = malloc(WIDER << 20);

    make(&l);
    CHECK(l.rc == 0 && stack != NULL);
    if (l.rc != 0 || stack == NULL) return;
    heard_load(l.h, "print(2)");
    lane = &l;
    getcontext(&away);
    away.uc_stack.ss_sp = stack;
    away.uc_stack.ss_size = WIDER << 20;
    away.uc_link = &home;
    makecontext(&away, in_fibre, 0);
    l.rc = 1;
    swapcontext(&home, &away);
    CHECK(l.rc == 0 && strcmp(l.heard.print, "2\n") == 0);
    mw_host_free(l.h);
    free(stack);
}
#endif

