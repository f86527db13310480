/* What a worker grows from: all that its host needs of its maker's, copied, so that it may go to another thread.
 * Knows: moonwire.h, share/worker, io/process. Never: touches the maker from the worker's thread. */
#include "moonwire_seed.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/host.h"
#include "io/process.h"
#include "observe/trace.h"
#include "share/holdings.h"

struct sprout {
    struct mw_seed seed;
    mw_worker *worker;
    struct mw_config cfg;           /* its descriptors are ours until the host has them */
    char *text, *path, *program;
    size_t len;
    char **args;
    mw_faults *faults;              /* the maker's, or NULL */
};

/* ---- The worker's hooks -------------------------------------------------------------------------------------------------- */

/* What its maker's embedder takes goes there by the queue, whole; when that is full, this thread waits. */
static void forward(struct sprout *s, unsigned kind, uint64_t level, const char *text, size_t len) {
    struct mw_bytes body = {0};

    if (mw_bytes_add(&body, text, len) < 0) return;
    mw_worker_tell(s->worker, kind, level, &body);
    mw_bytes_free(&body);
}
static void on_print(mw_host *h, const char *text, size_t len, void *ud) {
    (void)h;
    forward(ud, MW_KIND_PRINT, 0, text, len);
}
static void on_log(mw_host *h, enum mw_level level, const char *line, size_t len, void *ud) {
    (void)h;
    forward(ud, MW_KIND_LOG, (uint64_t)level, line, len);
}
static void on_error(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) {
    struct sprout *s = ud;
    mw_worker_fail(s->worker, err, mw_host_said_code(h), traceback);
}

/* ---- On its thread ------------------------------------------------------------------------------------------------------- */

static int begin(struct mw_seed *seed, mw_worker *w, mw_host **out, struct mw_err *err) {
    struct sprout *s = (struct sprout *)(void *)seed;
    size_t room = strlen(s->path) + 2;
    char *name = malloc(room);
    mw_host *h = NULL;
    int rc;

    s->worker = w;
    if (name == NULL) return mw_err_set(err, MW_ENOMEM, "worker", s->path, NULL);
    name[0] = '@';
    memcpy(name + 1, s->path, room - 1);
    rc = mw_host_new(&s->cfg, &h, err);
    s->cfg.home_fd = s->cfg.audit_fd = -1; /* taken either way */
    mw_policy_free(s->cfg.policy);          /* it has a copy */
    s->cfg.policy = NULL;
    s->cfg.shares = NULL;
    if (rc == 0) {
        mw_host_set_watchful(h);
        if (s->faults != NULL) rc = mw_share_catch(h, s->faults, err);
        if (rc == 0) rc = mw_worker_enter(w, h, err);
        if (rc == 0) rc = mw_host_load_string(h, s->text, s->len, name, err);
        if (rc < 0) mw_host_free(h);
    }
    free(name);
    free(s->text);
    s->text = NULL;
    if (rc == 0) *out = h;
    return rc;
}
static void end(struct mw_seed *seed, mw_host *h) {
    (void)seed;
    mw_host_free(h);
}

static void seed_free(struct mw_seed *seed) {
    struct sprout *s = (struct sprout *)(void *)seed;

    if (s->cfg.audit_fd >= 0) close(s->cfg.audit_fd);
    if (s->cfg.home_fd >= 0) close(s->cfg.home_fd);
    mw_policy_free(s->cfg.policy);
    mw_process_shares_free(s->cfg.shares);
    mw_faults_drop(s->faults);
    mw_trace_release(s->cfg.traced);
    free(s->text);
    free(s->path);
    free(s->program);
    for (size_t i = 0; s->args != NULL && s->args[i] != NULL; i++) free(s->args[i]);
    free((void *)s->args);
    free(s);
}

/* ---- Making -------------------------------------------------------------------------------------------------------------- */

static int copy_args(struct sprout *s, const char *const *args) {
    size_t n = 0;

    while (args[n] != NULL) n++;
    s->args = calloc(n + 1, sizeof *s->args);
    for (size_t i = 0; s->args != NULL && i < n; i++)
        if ((s->args[i] = strdup(args[i])) == NULL) return MW_ENOMEM;
    return s->args != NULL ? 0 : MW_ENOMEM;
}

static int copy_fd(int fd, int *out, struct mw_err *err) {
    if (fd < 0) return 0;
    *out = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return *out >= 0 ? 0 : mw_err_sys(err, "worker spawn", NULL);
}

int mw_seed_new(mw_host *maker, const struct mw_config *cfg, struct mw_seed_wish *wish, struct mw_seed **out, struct mw_err *err) {
    struct sprout *s = calloc(1, sizeof *s);
    int rc, home = -1;

    if (s == NULL) return mw_err_set(err, MW_ENOMEM, "worker spawn", wish->path, NULL);
    s->seed = (struct mw_seed){begin, end, seed_free};
    mw_config_init(&s->cfg);
    s->path = strdup(wish->path);
    if (cfg->program != NULL) s->program = strdup(cfg->program);
    rc = s->path == NULL || (cfg->program != NULL && s->program == NULL) ? MW_ENOMEM : copy_args(s, wish->args);
    if (rc < 0) mw_err_set(err, rc, "worker spawn", wish->path, NULL);
    if (rc == 0) rc = copy_fd(cfg->audit_fd, &s->cfg.audit_fd, err);
    if (rc == 0 && mw_process_may_run(wish->policy) && mw_process_home(maker, &home) != NULL) rc = copy_fd(home, &s->cfg.home_fd, err);
    if (rc < 0) {
        seed_free(&s->seed);
        return rc;
    }
    s->faults = mw_share_faults(maker);
    if (mw_host_trace(maker) != NULL) s->cfg.traced = mw_trace_hold(mw_host_trace(maker));
    s->cfg.ud = s;
    s->cfg.on_print = cfg->on_print != NULL ? on_print : NULL;
    s->cfg.on_log = cfg->on_log != NULL ? on_log : NULL;
    s->cfg.on_error = on_error;
    s->cfg.program = s->program;
    s->cfg.script_path = s->path;
    s->cfg.args = (const char *const *)s->args;
    s->cfg.warden = cfg->warden;
    s->cfg.command_line = cfg->command_line;
    s->cfg.pipe_ends = cfg->pipe_ends;
    s->cfg.child_files = cfg->child_files;
    s->cfg.preempt = cfg->preempt;
    s->cfg.spin_us = cfg->spin_us;
    s->cfg.limits = wish->limits;
    s->cfg.shutdown_ms = MW_WORKER_GRACE;
    s->cfg.cleanup_ms = cfg->cleanup_ms;
    s->cfg.no_script_modules = !wish->modules;
    s->cfg.policy = wish->policy;
    s->cfg.shares = wish->shares;
    s->text = wish->text;
    s->len = wish->len;
    wish->policy = NULL;
    wish->shares = NULL;
    wish->text = NULL;
    *out = &s->seed;
    return 0;
}
