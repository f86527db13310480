/* The assembly: builds a host from its rooms, opens the doors, applies the grants.
 * Knows: every room. Never: logic of its own. */
#include "moonwire.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <lualib.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <uv.h>

#include "base/text.h"
#include "bind/doors.h"
#include "bind/engine.h"
#include "bind/host.h"
#include "bind/net.h"
#include "bind/shm.h"
#include "bind/std.h"
#include "core/host.h"
#include "core/part.h"
#include "core/raise.h"
#include "core/spin.h"
#include "core/task.h"
#include "core/timer.h"
#include "io/process.h"
#include "io/sink.h"
#include "io/stdio.h"
#include "moonwire_in.h"
#include "moonwire_parts.h"
#include "moonwire_seed.h"
#include "policy/permit.h"
#include "share/holdings.h"

#define QUEUE 1024u                 /* messages of mw_host_post that wait, unless the config says otherwise */

_Static_assert((int)MW_SPIN_MAX_US == SPIN_MAX_US, "moonwire.h says what core/spin holds to");

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *mw_version(void) {
    return MW_VERSION " (" LUA_RELEASE ", libuv " TEXT(UV_VERSION_MAJOR) "." TEXT(UV_VERSION_MINOR) "." TEXT(UV_VERSION_PATCH) ")";
}

#define CONFIG_LEAST offsetof(struct mw_config, alloc)
#define CONFIG_MOST ((size_t)1 << 16)   /* more is what lay on the stack before */
#define HAS(cfg, field) ((cfg)->size >= offsetof(struct mw_config, field) + sizeof(cfg)->field)

void mw_config_init_size(struct mw_config *cfg, size_t size) {
    struct mw_config all;

    memset(&all, 0, sizeof all);
    all.size = size;
    all.parent_fd = all.script_fd = all.home_fd = all.audit_fd = all.notify_fd = -1;
    all.warden = 1;
    all.shutdown_ms = all.cleanup_ms = 5000;
    memset(cfg, 0, size);
    memcpy(cfg, &all, size < sizeof all ? size : sizeof all);
}

void (mw_config_init)(struct mw_config *cfg) {
    mw_config_init_size(cfg, sizeof *cfg);
}

/* The caller's, which may be shorter or longer, as ours. */
static int config_copy(const struct mw_config *given, struct mw_config *out, struct mw_err *err) {
    const char *beyond = (const char *)given + sizeof *out, *end;

    mw_config_init(out);
    if (given == NULL) return mw_err_set(err, MW_EINVAL, "host", NULL, "a struct mw_config is expected");
    if (given->size < CONFIG_LEAST || given->size > CONFIG_MOST)
        return mw_err_set(err, MW_EINVAL, "host", NULL, "mw_config_init comes first: this struct mw_config has no size");
    end = (const char *)given + given->size;
    memcpy(out, given, given->size < sizeof *out ? given->size : sizeof *out);
    for (; beyond < end; beyond++)
        if (*beyond != 0) return mw_err_set(err, MW_EINVAL, "host", NULL, "struct mw_config sets a field that this version, " MW_VERSION ", does not know");
    return 0;
}

/* What was taken, and what nobody has now. */
static void config_drop(struct mw_config *cfg) {
    int *const fds[] = {&cfg->parent_fd, &cfg->script_fd, &cfg->home_fd, &cfg->audit_fd, &cfg->notify_fd};

    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0) close(*fds[i]);
        *fds[i] = -1;
    }
    mw_process_shares_free(cfg->shares);
    mw_debug_close(cfg->debug);
    cfg->shares = NULL;
    cfg->debug = NULL;
}

static int too_short(const char *op, struct mw_err *err) {
    return mw_err_set(err, MW_EINVAL, op, NULL, "this struct mw_config has no place for it: it is one of an older moonwire.h, or mw_config_init did not come first");
}

/* ---- Hooks -------------------------------------------------------------------------------------------------------------- */

static void hook_print(void *ud, const char *text, size_t len) {
    struct assembly *a = ud;
    if (a->cfg.on_print == NULL) {
        mw_stdio_write(STDOUT_FILENO, text, len);
        return;
    }
    mw_host_hooked(a->host, 1); /* a finalizer prints wherever memory is asked for, outside of steps too */
    a->cfg.on_print(a->host, text, len, a->cfg.ud);
    mw_host_hooked(a->host, 0);
}

static void hook_log(void *ud, int level, const char *text, size_t len) {
    struct assembly *a = ud;
    char line[MW_LINE_MAX + 1];

    if (a->cfg.on_log != NULL) {
        mw_host_hooked(a->host, 1);
        a->cfg.on_log(a->host, (enum mw_level)level, text, len, a->cfg.ud);
        mw_host_hooked(a->host, 0);
        return;
    }
    memcpy(line, text, len); /* one write: lines of several processes do not mix */
    line[len] = '\n';
    mw_stdio_write(STDERR_FILENO, line, len + 1);
}

static void hook_stuck(void *ud, int status) { /* in a signal handler */
    struct assembly *a = ud;
    a->cfg.on_stuck(a->host, status, a->cfg.ud);
}

static void hook_error(void *ud, const struct mw_err *err, const char *traceback) {
    struct assembly *a = ud;

    if (err->code == MW_EDENIED) a->denied = 1;
    if (a->cfg.on_error != NULL) {
        mw_host_hooked(a->host, 1);
        a->cfg.on_error(a->host, err, traceback, a->cfg.ud);
        mw_host_hooked(a->host, 0);
        return;
    }
    mw_stdio_write(STDERR_FILENO, "moonwire: ", 10);
    mw_stdio_write(STDERR_FILENO, err->message, strlen(err->message));
    mw_stdio_write(STDERR_FILENO, "\n", 1);
    mw_stdio_write(STDERR_FILENO, traceback, strlen(traceback));
    if (*traceback) mw_stdio_write(STDERR_FILENO, "\n", 1);
}

static void hook_message(void *ud, const char *topic, const void *msgpack, size_t len) {
    struct assembly *a = ud;
    mw_host_told(a->host);
    a->cfg.on_message(a->host, topic, msgpack, len, a->cfg.ud);
}

static int hook_furnish(void *ud, struct mw_seed_wish *wish, struct mw_seed **out, struct mw_err *err) {
    struct assembly *a = ud;
    return mw_seed_new(a->host, &a->cfg, wish, out, err);
}

/* ---- Making and ending -------------------------------------------------------------------------------------------------- */

static int furnish(lua_State *L) { /* in a protected call: config, whether the state is somebody else's */
    const struct mw_config *cfg = lua_touserdata(L, 1);
    int lent = lua_toboolean(L, 2);

    if (lent) mw_doors_open(L), mw_doors_keep(L);
    else mw_doors_furnish(L);
    if (lent) {
        /* its modules are found as they were */
    } else if (cfg->script_path != NULL) {
        const char *slash = strrchr(cfg->script_path, '/');
        lua_pushlstring(L, slash == NULL ? "." : cfg->script_path, slash == NULL || slash == cfg->script_path ? 1 : (size_t)(slash - cfg->script_path));
        mw_std_set_script_dir(L, lua_tostring(L, -1));
        lua_pop(L, 1);
    } else {
        mw_std_set_script_dir(L, NULL);
    }
    if (cfg->shares != NULL) mw_shared_set(L, cfg->shares);
    if (cfg->debug != NULL) mw_net_give(L, cfg->debug);
    mw_host_door_set(L, &(struct mw_host_door){cfg->script_path, cfg->program, cfg->args, cfg->args_zero, cfg->parent_fd, cfg->parent_stdio, cfg->notify_fd, cfg->warden, cfg->child_files, lent});
    return 0;
}

static void hook_where(void *ud, char *out, size_t size) {
    struct assembly *a = ud;
    mw_host_where(a->host, out, size);
}

static int hook_ask(void *ud, enum mw_kind kind, const char *subject, const char *flag) {
    struct assembly *a = ud;
    char where[MW_WHERE_MAX];
    int said;

    if (mw_host_ending(a->host)) return 0;
    mw_host_where(a->host, where, sizeof where);
    mw_host_pause(a->host);
    mw_host_hooked(a->host, 1);
    said = a->ask(a->host, kind, subject, where, flag, a->ask_ud);
    mw_host_hooked(a->host, 0);
    mw_host_resume(a->host);
    return said;
}
static int hook_may_ask(void *ud) {
    return !mw_host_unasked(((struct assembly *)ud)->host);
}
void mw_host_on_ask(mw_host *h, mw_host_ask *ask, void *ud) {
    struct assembly *a = mw_assembly_of(h);
    a->ask = ask;
    a->ask_ud = ud;
    mw_policy_on_ask(a->policy, ask != NULL ? hook_ask : NULL, a);
    mw_policy_on_may_ask(a->policy, hook_may_ask);
}

/* The policy's lines, under a name of ours that no other host of any process has. */
static void audit(struct assembly *a) {
    uint64_t id = 0;
    char name[24];

    if (getrandom(&id, sizeof id, GRND_NONBLOCK) != sizeof id) id = uv_hrtime() ^ (uint64_t)(uintptr_t)a;
    snprintf(name, sizeof name, "%016llx", (unsigned long long)id);
    mw_policy_on_where(a->policy, hook_where, a);
    mw_policy_audit(a->policy, a->cfg.audit_fd, name);
}

/* Opens a file to write to, made with mode 0600. The reader of a pipe has a moment to come; one that nobody reads is not waited for. */
static int open_output(const char *op, const char *path, int flags, struct mw_err *err) {
    int fd, tries = 0, rc = mw_stdio_hold(err);

    if (rc < 0) return rc;
    do {
        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY | flags, 0600);
    } while (fd < 0 && errno == ENXIO && tries++ < 50 && poll(NULL, 0, 10) == 0);
    if (fd >= 0) return fd;
    rc = mw_err_sys(err, op, path);
    if (rc != -ENXIO) return rc;
    mw_err_set(err, rc, op, path, "nobody reads from this pipe");
    return mw_err_hint(err, "start its reader first: cat %s &", path), rc;
}

int mw_config_audit(struct mw_config *cfg, const char *path, struct mw_err *err) {
    int fd;

    if (!HAS(cfg, audit_fd)) return too_short("audit", err);
    if (path == NULL) return mw_err_set(err, MW_EINVAL, "audit", NULL, "a path is expected");
    fd = open_output("audit", path, 0, err);
    if (fd < 0) return fd;
    fcntl(fd, F_SETFL, O_APPEND); /* a line is written or the decision is no: a slow reader is waited for */
    if (cfg->audit_fd >= 0) close(cfg->audit_fd);
    cfg->audit_fd = fd;
    return 0;
}

int mw_config_trace(struct mw_config *cfg, const char *path, struct mw_err *err) {
    struct mw_trace_options o = {.payload = MW_TRACE_PAYLOAD, .redact = mw_trace_secrets, .colour = mw_sink_colours()};
    int fd = STDERR_FILENO;

    if (!HAS(cfg, trace)) return too_short("trace", err);
    if (path == NULL) return mw_err_set(err, MW_EINVAL, "trace", NULL, "a path is expected");
    while (mw_trace_secrets[o.redact_count] != NULL) o.redact_count++;
    if (mw_trace_format_of(path, &o.format) < 0) {
        mw_err_set(err, MW_EINVAL, "trace", path, "its ending says no format");
        return mw_err_hint(err, "one of .pcapng, .jsonl, .trace.json; or - for standard error");
    }
    if (o.format != MW_TRACE_DUMP) fd = open_output("trace", path, O_TRUNC, err);
    if (fd < 0) return fd;
    return mw_sink_of(fd, o.format != MW_TRACE_DUMP, path, &o, &cfg->trace, err);
}

int mw_config_debug(struct mw_config *cfg, const char *url, struct mw_err *err) {
    int rc;

    if (!HAS(cfg, debug)) return too_short("debug", err);
    if (url == NULL) return mw_err_set(err, MW_EINVAL, "debug", NULL, "a URL is expected: unix:/path");
    rc = mw_stdio_hold(err);
    if (rc < 0) return rc;
    mw_debug_close(cfg->debug);
    cfg->debug = NULL;
    return mw_debug_open(url, &cfg->debug, err);
}

/* What the file could not take. Whoever reads no trace from standard error would not read this either. */
static void end_trace(struct assembly *a) {
    struct mw_err err;
    int rc = mw_sink_close(a->cfg.trace, &err);

    if (rc == 0 || rc == MW_ETIMEDOUT) return;
    mw_stdio_write(STDERR_FILENO, "moonwire: ", 10);
    mw_stdio_write(STDERR_FILENO, err.message, strlen(err.message));
    mw_stdio_write(STDERR_FILENO, "\n", 1);
}

/* What is free to read: Lua modules beside the main script, and those of the system: of the whole tree, since Debian keeps one file
 * for all versions of Lua and links to it from 5.4's folder. */
static int free_modules(mw_policy *p, const char *script_path, struct mw_err *err) {
    static const char *const system_dirs[] = {"/usr/local/share/lua", "/usr/share/lua"};
    char dir[PATH_MAX];
    const char *slash = script_path != NULL ? strrchr(script_path, '/') : NULL;
    int rc = 0;

    if (script_path != NULL) {
        size_t n = slash == NULL || slash == script_path ? 1 : (size_t)(slash - script_path);
        if (n >= sizeof dir) return mw_err_set(err, -ENAMETOOLONG, "host", script_path, NULL);
        memcpy(dir, slash == NULL ? "." : script_path, n);
        dir[n] = 0;
        rc = mw_policy_free_module_dir(p, dir, err);
    }
    for (size_t i = 0; i < sizeof system_dirs / sizeof *system_dirs && rc == 0; i++) rc = mw_policy_free_module_dir(p, system_dirs[i], err);
    return rc;
}

static void free_assembly(struct assembly *a) {
    mw_engine_free(a->engine);
    end_trace(a);
    config_drop(&a->cfg);
    mw_cage_drop(a->lock);
    mw_policy_free(a->policy);
    free((void *)(uintptr_t)a->cfg.program);
    free(a);
}

static void set_hooks(struct assembly *a) {
    struct mw_hooks *hooks = mw_host_hooks(a->host);

    hooks->ud = a;
    hooks->print = hook_print;
    hooks->print_fd = a->cfg.on_print == NULL ? STDOUT_FILENO : 0;
    hooks->log = hook_log;
    hooks->error = hook_error;
    hooks->furnish = hook_furnish;
    hooks->message = a->cfg.on_message != NULL ? hook_message : NULL;
    hooks->stuck = a->cfg.on_stuck != NULL ? hook_stuck : NULL;
    hooks->log_json = (a->cfg.on_log != NULL || !isatty(STDERR_FILENO)) && !a->cfg.person;
    hooks->print_errors = a->cfg.person && a->cfg.on_print != NULL;
    hooks->signals = a->cfg.signals;
    hooks->pipe_ends = a->cfg.pipe_ends;
    hooks->command_line = a->cfg.command_line;
}

/* The host itself, with what stands beside it. */
static int begin(struct assembly *a, uv_loop_t *loop, lua_State *lent, struct mw_err *err) {
    const struct mw_config *cfg = &a->cfg;
    int rc = cfg->policy != NULL ? mw_policy_copy(cfg->policy, &a->policy, err) : mw_policy_new(&a->policy, err);

    if (rc == 0) mw_policy_name_flags(a->policy, cfg->command_line);
    if (rc == 0) rc = mw_policy_guard(a->policy, err);
    if (rc == 0) rc = free_modules(a->policy, cfg->no_script_modules ? NULL : cfg->script_path, err);
    if (rc == 0 && lent != NULL) rc = mw_host_create_in(lent, &cfg->limits, &a->host, err);
    else if (rc == 0) rc = mw_host_create(loop, cfg->alloc, cfg->alloc_ud, &cfg->limits, &a->host, err);
    if (rc < 0) return rc;
    if (cfg->mends_faults) rc = mw_share_catch(a->host, NULL, err);
    if (rc == 0) rc = mw_engine_open(a->host, cfg->queue != 0 ? cfg->queue : QUEUE, &a->engine, err);
    if (rc < 0) mw_host_destroy(a->host, 0);
    return rc;
}

int mw_stack_check(struct mw_thread_stack *s, int quick, const char *op, struct mw_err *err) {
    size_t left = mw_thread_stack_left(s, quick);

    if (left >= MW_STACK_LEAST) return 0;
    mw_err_setf(err, MW_ELIMIT, op, NULL, "this thread has %zu KiB of stack left, %d are needed", left >> 10, MW_STACK_LEAST >> 10);
    return mw_err_hint(err, "give the thread 1 MiB: pthread_attr_setstacksize, or ulimit -s 1024"), MW_ELIMIT;
}

static int make(uv_loop_t *loop, lua_State *lent, const struct mw_config *given, mw_host **out, struct mw_err *err) {
    struct assembly *a = NULL;
    struct mw_thread_stack stack = {0};
    struct mw_config own;
    const struct mw_config *cfg;
    lua_State *L;
    int rc = config_copy(given, &own, err);
    char *program = NULL;

    if (rc == 0 && out == NULL) rc = mw_err_set(err, MW_EINVAL, "host", NULL, "a place for the host is expected");
    if (rc == 0 && own.preempt > MW_PREEMPT_TIMER)
        rc = mw_err_setf(err, MW_EINVAL, "host", NULL, "preempt is %u, which is none of enum mw_preempt", (unsigned)own.preempt);
    if (rc == 0) rc = mw_stack_check(&stack, 0, "host", err);
    if (rc == 0) rc = mw_stdio_hold(err);
    if (rc == 0 && own.program != NULL && (program = strdup(own.program)) == NULL) rc = mw_err_set(err, MW_ENOMEM, "host", NULL, NULL);
    if (rc == 0 && (a = calloc(1, sizeof *a)) == NULL) rc = mw_err_set(err, MW_ENOMEM, "host", NULL, NULL);
    if (rc < 0) {
        mw_sink_close(own.trace, NULL);
        config_drop(&own);
        free(program);
        return rc;
    }
    a->stack = stack;
    a->cfg = own;
    a->cfg.program = program;
    cfg = &a->cfg;
    mw_list_init(&a->watches);
    mw_list_init(&a->signals);
    if (cfg->limits.memory == 0) a->cfg.limits.memory = cfg->memory_limit;
    rc = begin(a, loop, lent, err);
    if (rc < 0) {
        free_assembly(a);
        return rc;
    }
    if (cfg->home_fd >= 0) mw_process_home_in(a->host, cfg->home_fd, NULL);
    a->cfg.home_fd = -1;
    set_hooks(a);
    mw_host_set_policy(a->host, a->policy);
    mw_host_set_trace(a->host, cfg->trace != NULL ? mw_sink_trace(cfg->trace) : cfg->traced);
    audit(a);
    mw_host_set_grace(a->host, cfg->shutdown_ms);
    mw_host_set_cleanup(a->host, cfg->cleanup_ms);
    mw_host_set_spin(a->host, cfg->spin_us);
    mw_host_set_preempt(a->host, cfg->preempt, cfg->limits.step_ns == 0 && mw_policy_is_total(a->policy));
    L = mw_host_state(a->host);
    lua_pushcfunction(L, furnish);
    lua_pushlightuserdata(L, &a->cfg);
    lua_pushboolean(L, lent != NULL);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
        mw_err_set(err, MW_ENOMEM, "host", NULL, lua_tostring(L, -1));
        lua_pop(L, 1);
        mw_host_free(a->host);
        return MW_ENOMEM;
    }
    a->cfg.parent_fd = a->cfg.notify_fd = -1; /* the script's */
    *out = a->host;
    return 0;
}

int mw_host_new(const struct mw_config *cfg, mw_host **out, struct mw_err *err) {
    return make(NULL, NULL, cfg, out, err);
}
int mw_host_new_on(struct uv_loop_s *loop, const struct mw_config *cfg, mw_host **out, struct mw_err *err) {
    struct mw_config own;

    if (loop != NULL) return make(loop, NULL, cfg, out, err);
    (void)config_copy(cfg, &own, NULL);
    mw_sink_close(own.trace, NULL);
    config_drop(&own);
    return mw_err_set(err, MW_EINVAL, "host", NULL, "no loop was given");
}

int mw_host_new_in(lua_State *L, const struct mw_config *cfg, mw_host **out, struct mw_err *err) {
    return make(NULL, L, cfg, out, err);
}

/* What comes from outside comes no more. */
static void end_outside(struct assembly *a) {
    mw_engine_end(a->engine);
    mw_watches_end(a->host);
}

void mw_host_free(mw_host *h) {
    struct assembly *a;
    if (h == NULL) return;
    if (mw_host_in_turn(h)) {
        mw_host_exit(h, 0, "the host is shutting down");
        mw_host_log(h, MW_LOG_ERROR, "mw_host_free was called from a hook of the host: it ends, but must be freed after its turn");
        return;
    }
    a = mw_assembly_of(h);
    if (a->deadline.slot != 0) mw_timer_stop(h, &a->deadline);
    end_outside(a);
    mw_host_destroy(h, a->cfg.shutdown_ms);
    free_assembly(a);
}

struct later {
    struct assembly *a;
    void (*cb)(void *);
    void *ud;
};
static void closed(void *ud) {
    struct later *it = ud;
    if (it->cb != NULL) it->cb(it->ud);
    free_assembly(it->a);
    free(it);
}
int mw_host_close(mw_host *h, void (*cb)(void *ud), void *ud, struct mw_err *err) {
    struct later *it;

    if (!mw_host_can_destroy_later(h))
        return mw_err_set(err, MW_EINVAL, "host close", NULL, "only a host on a borrowed loop, and once; otherwise mw_host_free");
    it = malloc(sizeof *it);
    if (it == NULL) return mw_err_set(err, MW_ENOMEM, "host", NULL, NULL);
    it->a = mw_assembly_of(h);
    it->cb = cb;
    it->ud = ud;
    if (it->a->deadline.slot != 0) mw_timer_stop(h, &it->a->deadline);
    end_outside(it->a);
    mw_host_destroy_later(h, it->a->cfg.shutdown_ms, closed, it);
    return 0;
}

/* ---- The lock -------------------------------------------------------------------------------------------------------------- */

#define ALSO_MAX 4096u              /* names that a lock also leaves readable */

/* If it cannot be written, nothing that it would have told of can be done either: the policy refuses it. */
static void note(struct assembly *a, const char *subject, const char *outcome) {
    (void)mw_policy_audit_note(a->policy, "confine", "host lock", subject, outcome, NULL, NULL);
}
static void note_of_cage(void *ud, const char *text) {
    note(ud, text, "locked");
}

static int lock(struct assembly *a, struct mw_cage_wish *w, const char *const *also_read, struct mw_err *err) {
    const char **also;
    size_t n = 0, i = 0;
    int rc;

    while (also_read != NULL && also_read[n] != NULL && n < ALSO_MAX) n++;
    also = calloc(n + 2 + MW_PARTS, sizeof *also);
    if (also == NULL) return mw_err_set(err, MW_ENOMEM, "confine", NULL, NULL);
    if (a->cfg.program != NULL) also[i++] = a->cfg.program;
    for (size_t from = 0; from < n; from++) also[i++] = also_read[from];
    for (int part = 0; part < MW_PARTS; part++)
        if (mw_part_path(a->host, (enum mw_part)part) != NULL) also[i++] = mw_part_path(a->host, (enum mw_part)part);
    w->also_read = also;
    rc = mw_cage_new(w, &a->lock, err);
    free((void *)also);
    if (rc == 0) rc = mw_cage_lock_self(a->lock, err);
    if (rc == 0) {
        note(a, "process", "locked");
        mw_cage_each_note(a->lock, note_of_cage, a);
    }
    if (rc < 0) {
        mw_cage_drop(a->lock);
        a->lock = NULL;
    }
    return rc;
}

int mw_host_confine(mw_host *h, const char *const *also_read, struct mw_err *err) {
    struct assembly *a = mw_assembly_of(h);
    struct mw_cage_wish w = {.who = MW_CAGE_HOST, .policy = a->policy, .abi = mw_confine_abi(), .program_fd = -1, .home_fd = -1};

    if (a->lock != NULL) return mw_err_set(err, MW_EINVAL, "confine", NULL, "locked already");
    if (w.abi > 0 && mw_process_may_run(a->policy)) {
        w.home = mw_process_home(h, &w.home_fd);
        mw_process_before_lock(h, &w.groups);
    }
    return lock(a, &w, also_read, err);
}

void mw_host_unconfined(mw_host *h, const char *why) {
    note(mw_assembly_of(h), why, "not locked");
}

/* ---- Running -------------------------------------------------------------------------------------------------------------- */

static void fill_step(mw_host *h, struct mw_step *st, uint64_t began, int alive) {
    if (st == NULL) return;
    st->used_us = (mw_host_now(h) - began) / 1000;
    st->ready = mw_host_ready_count(h);
    st->next_timeout_ms = mw_host_timeout_ms(h);
    st->alive = alive;
}

static int may_turn(mw_host *h, const char *op, struct mw_err *err) {
    if (mw_host_in_turn(h)) return mw_err_set(err, MW_EINVAL, op, NULL, "called from a hook of the same host");
    if (mw_host_destroys_later(h)) return mw_err_set(err, MW_ECLOSED, op, NULL, "mw_host_close ends it, over turns of its loop");
    return mw_stack_check(&mw_assembly_of(h)->stack, 0, op, err);
}

int mw_host_run_once(mw_host *h, int timeout_ms, struct mw_step *st, struct mw_err *err) {
    uint64_t began = mw_host_now(h);
    int rc = may_turn(h, "host run", err);
    if (rc == 0) fill_step(h, st, began, mw_host_loop_turn(h, timeout_ms));
    return rc;
}
int mw_host_step(mw_host *h, unsigned budget_us, struct mw_step *st, struct mw_err *err) {
    uint64_t began = mw_host_now(h);
    int rc = may_turn(h, "host step", err);
    if (rc < 0) return rc;
    fill_step(h, st, began, mw_host_loop_step(h, budget_us == 0 ? 0 : began + (uint64_t)budget_us * 1000u));
    return rc;
}
int mw_host_run(mw_host *h, int *status, struct mw_err *err) {
    int rc = may_turn(h, "host run", err), code;

    if (rc < 0) return rc;
    mw_host_loop_run(h);
    code = mw_host_failures(h) == 0 ? 0 : mw_assembly_of(h)->denied ? 77 : 1;
    mw_host_exit_code(h, &code);
    if (status != NULL) *status = code;
    return 0;
}
int mw_host_backend_fd(mw_host *h) {
    return uv_backend_fd(mw_host_loop(h));
}
int mw_host_timeout_ms(mw_host *h) {
    return mw_host_loop_timeout(h);
}

void mw_host_interrupt(mw_host *h, int status, const char *why) {
    mw_host_interrupt_at(h, status, why);
}

int mw_host_break(mw_host *h) {
    return mw_host_break_at(h);
}

static void too_late(struct mw_timer *t) {
    struct assembly *a = MW_LIST_ENTRY(t, struct assembly, deadline);
    mw_host_exit(a->host, a->deadline_status, a->deadline_why);
}
int mw_host_deadline(mw_host *h, uint64_t ns, int status, const char *why, struct mw_err *err) {
    struct assembly *a = mw_assembly_of(h);
    a->deadline_status = status;
    a->deadline_why = why;
    if (ns == 0) {
        mw_timer_stop(h, &a->deadline);
        return 0;
    }
    if (ns > UINT64_MAX - mw_host_now(h)) ns = UINT64_MAX - mw_host_now(h);
    if (mw_timer_start(h, &a->deadline, mw_host_now(h) + ns, too_late) < 0) return mw_err_set(err, MW_ENOMEM, "deadline", NULL, NULL);
    return 0;
}

/* ---- Children --------------------------------------------------------------------------------------------------------------- */

/* What it says goes where its parent's does. */
static int go_on_tracing(const struct mw_birth *birth, struct mw_config *cfg, struct mw_err *err) {
    struct mw_trace_options o = birth->trace;

    o.redact = mw_trace_secrets;
    while (mw_trace_secrets[o.redact_count] != NULL) o.redact_count++;
    o.child = (long)getpid();
    return mw_sink_of(birth->trace_fd, o.format != MW_TRACE_DUMP, "the parent's trace", &o, &cfg->trace, err);
}

int mw_config_from_parent(int fd, struct mw_config *cfg, mw_policy **policy, struct mw_err *err) {
    struct mw_birth birth;
    int rc;

    if (!HAS(cfg, spin_us)) { /* and so all that is before it */
        close(fd);
        return too_short("parent", err);
    }
    rc = mw_birth_read(fd, &birth, policy, err);
    if (rc < 0) return rc;
    cfg->policy = *policy;
    cfg->parent_fd = birth.parent_fd;
    cfg->parent_stdio = birth.parent_stdio;
    cfg->script_fd = birth.script_fd;
    cfg->home_fd = birth.home_fd;
    cfg->audit_fd = birth.audit_fd;
    cfg->notify_fd = birth.notify_fd;
    cfg->no_script_modules = !birth.modules;
    cfg->limits = birth.limits;
    cfg->spin_us = birth.spin_us;
    cfg->shares = birth.shares;
    if (HAS(cfg, command_line)) cfg->command_line = birth.command_line;
    if (birth.caged) rc = mw_policy_hold(*policy, err);
    if (rc == 0 && birth.trace_fd >= 0) rc = go_on_tracing(&birth, cfg, err);
    if (rc < 0) {
        mw_policy_free(*policy);
        mw_process_shares_free(birth.shares);
        cfg->shares = NULL;
        cfg->policy = *policy = NULL;
    }
    return rc;
}
void mw_host_hold_children(mw_host *h, int on) {
    mw_process_hold(h, on);
}
void mw_host_kill_children(mw_host *h) {
    mw_process_kill_all(h);
}
int mw_host_mend_fault(mw_host *h, const void *at) {
    return mw_share_mend(h, at);
}
