/* Workers of an embedder's host: what they print comes to its own thread, they end however they are watched, and with their host.
 * Knows: moonwire.h, pthread. Never: what is under it. */
#include "support/check.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>

#include "moonwire.h"

struct seen {
    pthread_t thread;
    int elsewhere, lines, logs, errors;
    char text[4096];
};

static void on_print(mw_host *h, const char *text, size_t len, void *ud) {
    struct seen *s = ud;
    (void)h;
    s->elsewhere += !pthread_equal(pthread_self(), s->thread);
    s->lines++;
    if (strlen(s->text) + len < sizeof s->text) strncat(s->text, text, len);
}
static void on_log(mw_host *h, enum mw_level level, const char *line, size_t len, void *ud) {
    struct seen *s = ud;
    (void)h;
    (void)level;
    (void)line;
    (void)len;
    s->elsewhere += !pthread_equal(pthread_self(), s->thread);
    s->logs++;
}
static void on_error(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) {
    struct seen *s = ud;
    (void)h;
    (void)traceback;
    s->errors++;
    printf("# %s\n", err->message);
}

static char folder[64];

static void file(const char *name, const char *text) {
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "w");
    REQUIRE(f != NULL);
    fputs(text, f);
    fclose(f);
}

static void make_folder(void) {
    snprintf(folder, sizeof folder, "/tmp/moonwire-worker-XXXXXX");
    REQUIRE(mkdtemp(folder) != NULL);
    file("echo.lua", "local mw = require 'moonwire' for m in mw.parent:messages() do mw.parent:send(m) end");
    file("print.lua", "local mw = require 'moonwire' for i = 1, 20 do print('line', i) end mw.log.info('noted') mw.parent:send('done')");
    file("loop.lua", "while true do pcall(function() while true do end end) end");
    file("serve.lua", "require('moonwire').serve{ twice = function(v) return v * 2 end }");
}
static void remove_folder(void) {
    DIR *d = opendir(folder);
    struct dirent *e;
    char path[400];

    while (d != NULL && (e = readdir(d)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path);
    }
    if (d != NULL) closedir(d);
    rmdir(folder);
}

static mw_host *make(struct seen *s, enum mw_preempt preempt) {
    struct mw_config cfg;
    struct mw_err err;
    char path[128];
    mw_host *h = NULL;

    memset(s, 0, sizeof *s);
    s->thread = pthread_self();
    mw_config_init(&cfg);
    snprintf(path, sizeof path, "%s/main.lua", folder);
    cfg.script_path = path;
    cfg.on_print = on_print;
    cfg.on_log = on_log;
    cfg.on_error = on_error;
    cfg.ud = s;
    cfg.preempt = preempt;
    cfg.warden = 0;
    if (mw_host_new(&cfg, &h, &err) < 0) check_fail(__FILE__, __LINE__, "%s", err.message);
    return h;
}

static int load(mw_host *h, const char *text) {
    struct mw_err err;
    int rc = mw_host_load_string(h, text, strlen(text), "=main", &err);
    if (rc < 0) check_fail(__FILE__, __LINE__, "%s", err.message);
    return rc;
}

static void runs(enum mw_preempt preempt, const char *text, struct seen *s) {
    struct mw_err err;
    int status = -1;
    mw_host *h;

    make_folder();
    h = make(s, preempt);
    REQUIRE(h != NULL);
    if (load(h, text) == 0) CHECK(mw_host_run(h, &status, &err) == 0 && status == 0);
    mw_host_free(h);
    remove_folder();
    CHECK(s->elsewhere == 0);
}

TEST(what_a_worker_prints_comes_to_the_hosts_own_thread_in_order) {
    struct seen s;

    runs(MW_PREEMPT_DEFAULT,
         "local mw = require 'moonwire' local w <close> = mw.worker.spawn 'print.lua' assert(w:recv() == 'done') w:join()", &s);
    CHECK(s.lines == 20 && s.logs == 1);
    CHECK(strstr(s.text, "line\t1\nline\t2\nline\t3\n") != NULL);
}

TEST(many_messages_go_to_and_fro_beside_calls) {
    struct seen s;

    runs(MW_PREEMPT_DEFAULT,
         "local mw = require 'moonwire' local all = {}\n"
         "for i = 1, 4 do all[i] = mw.worker.spawn(i % 2 == 0 and 'echo.lua' or 'serve.lua') end\n"
         "mw.task.scope(function(s) for i = 1, 4 do s:spawn(function()\n"
         "  for n = 1, 300 do\n"
         "    if i % 2 == 0 then all[i]:send{ n, ('x'):rep(n) } assert(all[i]:recv()[1] == n)\n"
         "    else assert(all[i]:call('twice', n) == 2 * n) end\n"
         "  end end) end end)\n"
         "for i = 1, 4 do all[i]:close() end", &s);
}

static void a_loop_ends(enum mw_preempt preempt) {
    struct seen s;
    runs(preempt, "local mw = require 'moonwire' local w = mw.worker.spawn 'loop.lua' mw.task.sleep(0.01) w:close{ timeout = 0 }", &s);
}
TEST(an_endless_loop_is_ended_where_instructions_are_counted) {
    a_loop_ends(MW_PREEMPT_COUNT);
}
#ifndef __SANITIZE_THREAD__ /* which keeps signals back from a loop */
TEST(an_endless_loop_is_ended_where_a_timer_looks) {
    a_loop_ends(MW_PREEMPT_TIMER);
}
#endif
TEST(an_endless_loop_is_ended_where_the_host_itself_is_not_watched) {
    a_loop_ends(MW_PREEMPT_NONE);
}

TEST(a_host_that_is_freed_ends_its_workers_wherever_they_are) {
    struct seen s;
    struct mw_err err;
    struct mw_step st;
    mw_host *h;

    make_folder();
    h = make(&s, MW_PREEMPT_DEFAULT);
    REQUIRE(h != NULL);
    load(h, "local mw = require 'moonwire' all = {} for i = 1, 12 do all[i] = mw.worker.spawn(({ 'loop.lua', 'echo.lua', 'serve.lua' })[i % 3 + 1])\n"
            "if i % 3 == 1 then all[i]:send(i) end end mw.task.wait()");
    for (int i = 0; i < 5; i++) CHECK(mw_host_step(h, 1000, &st, &err) == 0);
    mw_host_free(h);
    remove_folder();
    CHECK(s.errors == 0);
}

TEST(a_host_that_is_stepped_gets_its_messages) {
    struct seen s;
    struct mw_err err;
    struct mw_step st = {.alive = 1};
    mw_host *h;

    make_folder();
    h = make(&s, MW_PREEMPT_DEFAULT);
    REQUIRE(h != NULL);
    load(h, "local mw = require 'moonwire' local w <close> = mw.worker.spawn 'echo.lua'\n"
            "for i = 1, 50 do w:send(i) assert(w:recv() == i) end print 'over'");
    while (st.alive && mw_host_run_once(h, 1000, &st, &err) == 0) {}
    mw_host_free(h);
    remove_folder();
    CHECK(strcmp(s.text, "over\n") == 0);
}
