/* Child processes: a start from resolved parts, an end in stages, and what is looked at in between.
 * Knows: io/process_parts.h, policy, core. Never: blocks; leaves a group behind that nobody ends. */
#include "io/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/process_parts.h"
#include "io/pty.h"
#include "observe/trace.h"

#define AFTER_KILL_NS 1000000000u     /* how long the output of a killed group is waited for */

/* ---- References -------------------------------------------------------------------------------------------------------------- */

void mw_process_drop(mw_process *p) {
    int i;

    if (--p->refs > 0) return;
    for (i = 0; i < 4; i++) mw_stream_release(p->streams[i]);
    mw_stream_release(p->duplex);
    mw_stream_release(p->feeding);
    for (i = 0; i < 2; i++) mw_capture_free(&p->out[i]);
    free(p->notify);
    free(p);
}

/* Stragglers of a child that has ended by itself may go on: only an explicit close ends them before the host does. */
void mw_process_release(mw_process *p) {
    if (p == NULL) return;
    if (--p->holders == 0 && !mw_process_over(p)) mw_process_close(p);
    mw_process_drop(p);
}

static void child_closed(struct mw_child *c) {
    mw_process_drop(c->ud);
}

/* ---- The end, in stages --------------------------------------------------------------------------------------------------- */

static void next_stage(struct mw_timer *t);

static int quiet(const mw_process *p) {
    return !mw_capture_open(&p->out[0]) && !mw_capture_open(&p->out[1]);
}

static void set_stage(mw_process *p, enum stage stage, uint64_t wait_ns) {
    uint64_t now = mw_host_now(p->host);

    p->stage = stage;
    if (mw_timer_start(p->host, &p->stage_timer, wait_ns > UINT64_MAX - now ? UINT64_MAX : now + wait_ns, next_stage) == 0) return;
    mw_process_signal(p, SIGKILL);                               /* no memory for patience */
    p->stage = STAGE_KILLED;
    if (!quiet(p)) p->fault = MW_ENOMEM;
    mw_capture_end(&p->out[0]);
    mw_capture_end(&p->out[1]);
}

static int group_there(mw_process *p) {
    if (p->slot >= 0 && p->home != NULL) return atomic_load(&p->home->groups[p->slot]) == p->child.pid && mw_group_alive(p->child.pid);
    return p->child.running || (p->detached && p->stage != STAGE_NONE && mw_group_alive(p->child.pid));
}

/* Nothing of it moves any more: off the host's list. */
static void finish(mw_process *p) {
    if (!p->alive) return;
    p->alive = 0;
    mw_timer_stop(p->host, &p->stage_timer);
    mw_timer_stop(p->host, &p->limit);
    mw_list_remove(&p->link);
    mw_limits_over(p);
    mw_notify_end(p);
    mw_child_close(&p->child, child_closed);
}

void mw_process_settle(mw_process *p) {
    if (p->child.running) return;
    if (!quiet(p)) {                                             /* a grandchild holds the pipe: it may have the same time */
        if (p->stage == STAGE_NONE) set_stage(p, STAGE_LINGER, p->kill_after_ns);
        if (!quiet(p)) return;
    }
    mw_timer_stop(p->host, &p->limit);
    mw_wait_wake(&p->changed);
    if ((p->stage == STAGE_ASKED || p->stage == STAGE_KILLED) && group_there(p)) return;   /* stragglers: the timer goes on */
    finish(p);
}

static void give_up(mw_process *p) {
    p->stage = STAGE_GIVEN_UP;
    mw_capture_end(&p->out[0]);
    mw_capture_end(&p->out[1]);
    if (p->child.running) mw_wait_wake(&p->changed);             /* not even KILL ends it: a system call that never returns */
    else mw_process_settle(p);
}

static void next_stage(struct mw_timer *t) {
    mw_process *p = MW_LIST_ENTRY(t, mw_process, stage_timer);

    if (!p->child.running && !group_there(p)) {                  /* who holds the pipe left the group: nobody to ask or kill */
        give_up(p);
        return;
    }
    switch (p->stage) {
    case STAGE_LINGER:
        p->stage = STAGE_NONE;
        mw_process_stop(p);
        break;
    case STAGE_ASKED:
        mw_process_signal(p, SIGKILL);
        set_stage(p, STAGE_KILLED, AFTER_KILL_NS);
        break;
    case STAGE_KILLED:
        give_up(p);
        break;
    default: break;
    }
}

void mw_process_stop(mw_process *p) {
    if (!p->alive && !group_there(p)) return;
    if (p->stage == STAGE_ASKED || p->stage == STAGE_KILLED || p->stage == STAGE_GIVEN_UP) return;
    if (!p->alive) {                                             /* only stragglers are left: nobody's timer, so at once */
        mw_group_signal(p->child.pid, p->kill_signal);
        return;
    }
    mw_process_signal(p, p->kill_signal);
    set_stage(p, p->kill_signal == SIGKILL ? STAGE_KILLED : STAGE_ASKED, p->kill_signal == SIGKILL ? AFTER_KILL_NS : p->kill_after_ns);
}

int mw_process_signal(mw_process *p, int signal) {
    if (!group_there(p)) return -ESRCH;
    if (signal == SIGINT) p->interrupted = 1;
    return mw_group_signal(p->child.pid, signal);
}

static void on_limit(struct mw_timer *t) {
    mw_process *p = MW_LIST_ENTRY(t, mw_process, limit);

    p->timed_out = 1;
    mw_process_stop(p);
}

static void on_ending(struct mw_child *c) {
    mw_process *p = c->ud;

    if (p->home != NULL) mw_groups_leaving(p->home, p->slot);
}

/* A run that is traced tells of its children. */
static void tell_end(const mw_process *p) {
    struct mw_trace *t = mw_host_trace(p->host);
    char what[48];

    if (t == NULL) return;
    if (p->child.exit.signal != 0) snprintf(what, sizeof what, "ended by signal %d", p->child.exit.signal);
    else snprintf(what, sizeof what, "ended, exit status %d", p->child.exit.code);
    mw_trace_process(t, p->name, (long)p->child.pid, what);
}

static void on_ended(struct mw_child *c) {
    mw_process *p = c->ud;

    p->ended = mw_host_now(p->host);
    if (p->home != NULL) tell_end(p);
    mw_notify_end(p);
    if (p->home != NULL) {
        p->home->running--;
        mw_host_measures(p->host)->children_ended++;
        mw_groups_left(p->home, &p->slot, c->pid);
        if (p->home->on_terminal == c->pid) mw_terminal_over(p->home, c->exit.signal != 0, c->exit.signal == SIGINT && !p->interrupted);
    }
    mw_wait_wake(&p->changed);
    mw_process_settle(p);
}

void mw_process_close(mw_process *p) {
    int i;

    if (p->closed) return;
    p->closed = 1;
    for (i = 0; i < 4; i++) {
        if (p->streams[i] != NULL) mw_stream_close(p->streams[i]);
    }
    if (p->duplex != NULL) mw_stream_close(p->duplex);
    if (p->feeding != NULL) mw_stream_close(p->feeding);
    for (i = 0; i < 2; i++) {                                    /* read on: PIPE must not end it while it cleans up */
        p->out[i].wanted = 0;
        mw_capture_free(&p->out[i]);
    }
    if (!p->detached && p->home != NULL) mw_process_stop(p);
    if (p->alive) mw_process_settle(p);
    mw_wait_wake(&p->changed);
}

/* ---- Settings ------------------------------------------------------------------------------------------------------------- */

/* The host ends: everybody is asked, then killed, then let go. */
static void all_closed(struct mw_handle *handle) {
    struct mw_processes *all = MW_LIST_ENTRY(handle, struct mw_processes, handle);

    mw_groups_end(all);
    while (!mw_list_empty(&all->all)) {
        mw_process *p = MW_LIST_ENTRY(all->all.next, mw_process, link);
        p->closed = 1;
        mw_capture_end(&p->out[0]);
        mw_capture_end(&p->out[1]);
        mw_wait_wake(&p->changed);
        p->home = NULL;
        finish(p);
    }
    mw_limits_end(all);
    mw_terminal_back(all);
    mw_process_home_end(all->host);                              /* nobody is left who uses it */
    mw_cages_free(all->cages);
    mw_timer_stop(all->host, &all->sweep);
    mw_haste_end(all);
    mw_processes_set(all->host, NULL);
    if (all->null_fd >= 0) close(all->null_fd);
    if (all->program_fd >= 0) close(all->program_fd);
    free(all->program);
    free(all->script_dir);
    free(all);
}

int mw_process_setup(mw_host *h, const struct mw_process_setup *s, struct mw_err *err) {
    struct mw_processes *all;
    int rc, own_thread;

    if (mw_processes_of(h) != NULL) return 0;
    if (mw_host_closing(h)) return mw_err_set(err, MW_ECLOSED, "process", NULL, "the host is shutting down");
    all = calloc(1, sizeof *all);
    if (all == NULL) return mw_err_set(err, MW_ENOMEM, "process", NULL, NULL);
    all->host = h;
    mw_list_init(&all->all);
    mw_list_init(&all->pids);
    all->program_fd = all->abi = -1;
    /* The command-line program alone: an embedder's thread may end before its process does. */
    own_thread = mw_host_hooks(h)->signals && syscall(SYS_gettid) == getpid();
    all->death_signal = own_thread ? SIGTERM : 0;
    all->may_hurry = own_thread && mw_spawn_confines();
    all->child_files = s->child_files;
    all->use_warden = s->warden;
    all->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    rc = all->null_fd < 0 ? mw_err_sys(err, "process", "/dev/null") : 0;
    if (rc == 0 && s->program != NULL && (all->program = strdup(s->program)) == NULL) rc = MW_ENOMEM;
    if (rc == 0 && s->script_dir != NULL && (all->script_dir = strdup(s->script_dir)) == NULL) rc = MW_ENOMEM;
    if (rc == 0) rc = mw_processes_set(h, all);
    if (rc == 0) {
        mw_host_adopt(h, &all->handle, all_closed);
        return 0;
    }
    if (rc == MW_ENOMEM) mw_err_set(err, rc, "process", NULL, NULL);
    if (all->null_fd >= 0) close(all->null_fd);
    free(all->program);
    free(all->script_dir);
    free(all);
    return rc;
}

/* ---- The start ------------------------------------------------------------------------------------------------------------- */

static int open_cwd(struct launch *l) {
    const struct mw_process_options *o = l->o;
    struct stat st;
    int rc;

    if (o->cwd == NULL) return 0;
    rc = mw_permit_path(mw_host_policy(l->home->host), 1u << MW_READ, o->cwd, MW_AT_OBJECT, o->op, &l->cwd, l->err);
    if (rc == 0 && fstat(l->cwd.fd, &st) < 0) rc = mw_err_sys(l->err, o->op, o->cwd);
    if (rc == 0 && !S_ISDIR(st.st_mode)) rc = mw_err_set(l->err, -ENOTDIR, o->op, o->cwd, NULL);
    return rc < 0 && rc != MW_EDENIED ? mw_err_hint(l->err, "it is what cwd names") : rc;
}

/* A #! file: its interpreter is what runs, with the line's argument and the file's name before the others. */
static int make_argv(struct launch *l) {
    const struct mw_process_options *o = l->o;
    int n = 0, i;

    l->argv = malloc(((size_t)o->argc + 3) * sizeof *l->argv);
    if (l->argv == NULL) return mw_err_set(l->err, MW_ENOMEM, o->op, o->argv[0], NULL);
    if (l->program.script[0] != '\0') {
        l->argv[n++] = l->program.path;
        if (l->program.arg[0] != '\0') l->argv[n++] = l->program.arg;
        l->argv[n++] = l->program.script;
    } else {
        l->argv[n++] = (char *)(uintptr_t)o->argv[0];
    }
    for (i = 1; i < o->argc; i++) l->argv[n++] = (char *)(uintptr_t)o->argv[i];
    l->argv[n] = NULL;
    return 0;
}

static int resolve(struct launch *l) {
    const struct mw_process_options *o = l->o;
    int rc = open_cwd(l);

    if (rc < 0) return rc;
    if (o->script) return 0;
    rc = mw_permit_exec(mw_host_policy(l->home->host), o->argv[0], l->cwd.fd >= 0 ? l->cwd.fd : AT_FDCWD, o->op, &l->program, l->err);
    return rc < 0 ? rc : make_argv(l);
}

static int check_size(struct launch *l) {
    const struct mw_process_options *o = l->o;
    size_t bytes = 0;
    int i;

    for (i = 0; i < o->argc; i++) bytes += strlen(o->argv[i]) + 1;
    if (bytes > MW_PROCESS_ARGS_MAX) {
        return mw_err_setf(l->err, MW_ELIMIT, o->op, o->argv[0], "its arguments are %zu bytes long, at most %u are allowed", bytes, MW_PROCESS_ARGS_MAX);
    }
    if (l->home->running >= mw_host_limits(l->home->host)->children) {
        char what[96];
        snprintf(what, sizeof what, "%u children run already, at most %u are allowed", l->home->running, (unsigned)mw_host_limits(l->home->host)->children);
        return mw_host_limit_reached(l->home->host, l->err, o->op, o->argv[0], "children", what);
    }
    if (!o->detached && !mw_groups_room(l->home)) return mw_err_set(l->err, MW_ELIMIT, o->op, o->argv[0], "too many groups of earlier children are still alive");
    return 0;
}

static int run(struct launch *l) {
    const struct mw_process_options *o = l->o;
    struct mw_processes *all = l->home;
    struct mw_spawn s = { .op = o->op, .path = o->script ? o->argv[0] : l->program.path, .cwd = o->cwd };
    enum mw_terminal terminal = mw_terminal_wanted(all, o);
    int rc, tries;

    s.exec_fd = l->program.fd;
    s.cwd_fd = l->cwd.fd;
    s.argv = l->argv;
    s.envp = l->envp;
    s.fds = l->fds;
    s.count = l->count;
    s.flags = l->flags | (o->detached ? MW_SPAWN_SESSION : 0) | (terminal == MW_TERMINAL_GIVE ? MW_SPAWN_FOREGROUND : 0);
    s.tty_fd = STDIN_FILENO;
    s.nofile = (rlim_t)all->child_files;
    s.death_signal = o->detached ? 0 : all->death_signal;
    rc = mw_launch_cage(l, &s);
    if (rc < 0) return rc;
    for (tries = 0;; tries++) {
        rc = o->detached ? 0 : mw_groups_warden(all, o->op, l->err);
        if (rc < 0) return rc;
        rc = mw_launch_limits(l, &s);                            /* counts the warden */
        if (rc < 0) return rc;
        s.warden_fd = o->detached || !all->use_warden ? -1 : mw_warden_fd(all->warden);
        s.sched = mw_haste(all);                                 /* not the warden's */
        rc = mw_child_start(mw_host_loop(all->host), &s, &l->p->child, on_ending, on_ended, l->err);
        if ((rc != -EPIPE && rc != -EAGAIN) || s.warden_fd < 0 || tries > 0 || l->p->child.watching) break;
        mw_groups_warden_lost(all);                              /* it was killed or stopped: another one, once */
    }
    if (terminal == MW_TERMINAL_NONE) return rc;
    mw_terminal_child(all, l->p->child.pid, terminal);
    if (rc < 0) mw_terminal_back(all);
    return rc;
}

/* A run that is traced tells of it, and of the text that it is given to read. */
static void tell_start(const mw_process *p, const struct mw_process_options *o, const char *program) {
    struct mw_trace *t = mw_host_trace(p->host);
    char name[sizeof p->name + 8];
    mw_probe *probe;

    mw_trace_process(t, program, (long)p->child.pid, "started");
    if (o->io[0].kind != MW_STDIO_TEXT || o->io[0].len == 0) return;
    snprintf(name, sizeof name, "%s stdin", p->name);
    probe = mw_probe_new(t, MW_PROBE_STREAM, name);
    if (probe != NULL) mw_probe_message(probe, MW_PROBE_SEND, o->io[0].text, o->io[0].len, 0);
    mw_probe_free(probe);
}

/* The child runs: from here on nothing can fail without ending it. */
static int attach(struct launch *l) {
    mw_process *p = l->p;
    struct mw_processes *all = l->home;
    const char *program = l->o->script ? l->o->argv[0] : l->argv[0];
    int i, rc = 0;

    p->alive = 1;
    p->refs++;                                                   /* the child's handle */
    mw_list_add(&all->all, &p->link);
    all->running++;
    mw_host_measures(p->host)->children++;
    snprintf(p->name, sizeof p->name, "%s", strrchr(program, '/') != NULL ? strrchr(program, '/') + 1 : program);
    if (mw_host_trace(p->host) != NULL) tell_start(p, l->o, program);
    mw_measure(mw_host_measures(p->host), MW_TIME_SPAWN, mw_host_now(p->host) - p->started);
    if (!p->detached) p->slot = mw_groups_add(all, p->child.pid);
    if (p->child.untold) {                                       /* another warden, which is told of all groups */
        mw_groups_warden_lost(all);
        mw_groups_warden(all, l->o->op, NULL);
    }
    for (i = 0; i < 3; i++) {
        if (l->moved[i] != NULL) mw_stream_close(l->moved[i]);
    }
    for (i = 0; rc == 0 && i < 2; i++) {
        if (mw_capture_open(&p->out[i])) rc = mw_capture_start(&p->out[i], mw_host_loop(all->host));
    }
    if (rc == 0) rc = mw_notify_start(p, mw_host_loop(all->host));
    if (rc == 0 && l->o->timeout_ns != 0) rc = mw_timer_start(p->host, &p->limit, p->started + l->o->timeout_ns, on_limit);
    if (rc == 0) return 0;
    p->kill_signal = SIGKILL;
    mw_capture_end(&p->out[0]);
    mw_capture_end(&p->out[1]);
    mw_process_close(p);
    return mw_err_set(l->err, rc, l->o->op, l->o->argv[0], NULL);
}

static mw_process *make(mw_host *h, const struct mw_process_options *o) {
    mw_process *p = calloc(1, sizeof *p);
    int i;

    if (p == NULL) return NULL;
    p->host = h;
    p->home = mw_processes_of(h);
    p->refs = p->holders = 1;
    p->slot = p->pty_fd = p->child.pidfd = -1;
    p->child.ud = p;
    mw_list_init(&p->link);
    mw_wait_init(&p->changed);
    for (i = 0; i < 2; i++) {
        p->out[i].p = p;
        p->out[i].fd = -1;
        p->out[i].which = i + 1;
    }
    p->detached = o->detached;
    p->truncate = o->truncate;
    p->keep_tail = o->keep_tail;
    p->tee = o->tee;
    p->max_output = o->max_output;
    p->kill_after_ns = o->kill_after_ns;
    p->kill_signal = o->kill_signal;
    p->started = mw_host_now(h);
    return p;
}

/* Never started: nothing runs, so only what was prepared goes. */
static void undo(mw_process *p) {
    int i;

    for (i = 0; i < 2; i++) {
        if (p->out[i].fd >= 0) close(p->out[i].fd);
        p->out[i].fd = -1;
    }
    p->closed = 1;
    p->refs++;
    mw_notify_end(p);
    mw_limits_over(p);
    mw_child_close(&p->child, child_closed);
    mw_process_drop(p);
}

int mw_process_start(mw_host *h, const struct mw_process_options *o, mw_process **out, struct mw_err *err) {
    struct launch l = { .o = o, .home = mw_processes_of(h), .err = err, .cwd = { .fd = -1 }, .program = { .fd = -1 }, .private_fd = -1 };
    int rc, i, started = 0;

    if (l.home == NULL || mw_host_closing(h)) rc = mw_err_set(err, MW_ECLOSED, o->op, o->argv[0], "the host is shutting down");
    else if ((l.p = make(h, o)) == NULL) rc = mw_err_set(err, MW_ENOMEM, o->op, o->argv[0], NULL);
    else rc = resolve(&l);                                       /* the rights first, always */
    if (rc == 0) rc = check_size(&l);
    if (rc == 0) rc = mw_launch_confine(&l);
    if (rc == 0 && o->script) rc = mw_launch_script(&l);
    else if (rc == 0) rc = mw_launch_notify(&l);
    if (rc == 0) rc = mw_launch_env(&l);
    if (rc == 0) {
        int count = l.count;
        rc = mw_launch_stdio(&l);
        if (count > l.count) l.count = count;
    }
    if (rc == 0) rc = run(&l);
    if (rc == 0) {
        started = 1;
        rc = attach(&l);
    } else {
        mw_launch_keep_sockets(&l);
    }

    for (i = 0; i < l.owned_count; i++) close(l.owned[i]);
    for (i = 0; i < 3; i++) {
        if (o->io[i].kind == MW_STDIO_LINK) mw_process_unlink(o->io[i].link);
    }
    mw_place_close(&l.cwd);
    mw_program_close(&l.program);
    mw_cage_drop(l.cage);
    free(l.argv);
    free(l.envp);
    if (rc == 0) *out = l.p;
    else if (l.p != NULL && started) mw_process_release(l.p);
    else if (l.p != NULL) undo(l.p);
    return rc;
}

/* ---- Looking ---------------------------------------------------------------------------------------------------------------- */

struct mw_wait *mw_process_changed(mw_process *p) {
    return &p->changed;
}
int mw_process_running(const mw_process *p) {
    return p->child.running;
}
int mw_process_over(const mw_process *p) {
    return (!p->child.running || p->stage == STAGE_GIVEN_UP) && quiet(p);
}
int mw_process_closed(const mw_process *p) {
    return p->closed;
}
pid_t mw_process_pid(const mw_process *p) {
    return p->child.pid;
}
const struct mw_exit *mw_process_exit(const mw_process *p) {
    return &p->child.exit;
}
uint64_t mw_process_duration(mw_process *p) {
    return (p->ended != 0 ? p->ended : mw_host_now(p->host)) - p->started;
}
struct mw_bytes *mw_process_captured(mw_process *p, int which) {
    return p->out[which - 1].wanted ? &p->out[which - 1].data : NULL;
}
int mw_process_timed_out(const mw_process *p) {
    return p->timed_out;
}
int mw_process_overflowed(const mw_process *p) {
    return p->overflowed;
}
int mw_process_fault(const mw_process *p, const char **what) {
    int rc = p->fault;

    *what = "its output could not be read to the end";
    if (rc != 0 || p->feeding == NULL || mw_stream_closed(p->feeding)) return rc;
    rc = mw_stream_flush(p->feeding, NULL);
    *what = "its input could not be written to the end";
    return rc >= 0 || rc == -EPIPE || rc == -ECONNRESET ? 0 : rc;
}
mw_stream *mw_process_stream(mw_process *p, int which) {
    return p->streams[which];
}

int mw_process_resize(mw_process *p, unsigned short rows, unsigned short cols, struct mw_err *err) {
    int rc = p->pty_fd < 0 || p->closed ? MW_ECLOSED : mw_pty_resize(p->pty_fd, rows, cols);

    return rc < 0 ? mw_err_set(err, rc, "process resize", NULL, rc == MW_ECLOSED ? "it has no terminal" : NULL) : 0;
}

/* What was read ahead moves along. */
static int join(mw_process *p, mw_stream *in, mw_stream *to, struct mw_err *err) {
    int rfd = fcntl(mw_stream_rfd(in), F_DUPFD_CLOEXEC, 3), wfd = fcntl(mw_stream_wfd(to), F_DUPFD_CLOEXEC, 3), rc;
    struct mw_bytes *held = mw_stream_in(in);

    if (rfd < 0 || wfd < 0) {
        rc = mw_err_sys(err, "process stream", NULL);
        if (rfd >= 0) close(rfd);
        if (wfd >= 0) close(wfd);
        return rc;
    }
    rc = mw_stream_open(p->host, rfd, wfd, "process", mw_stream_subject(in), NULL, &p->duplex, err);
    if (rc == 0 && !p->detached) mw_stream_fleeting(p->duplex);
    if (rc == 0 && mw_bytes_len(held) > 0) rc = mw_bytes_add(mw_stream_in(p->duplex), mw_bytes_at(held), mw_bytes_len(held));
    if (rc < 0) return mw_err_set(err, rc, "process stream", NULL, NULL);
    mw_stream_close(in);
    mw_stream_close(to);
    return 0;
}

int mw_process_duplex(mw_process *p, mw_stream **out, struct mw_err *err) {
    mw_stream *in = p->streams[1], *to = p->streams[0];
    int rc = 0;

    if (p->duplex == NULL) {
        if (in == NULL || to == NULL) rc = mw_err_set(err, MW_EINVAL, "process stream", NULL, "it was not started with stdin = \"pipe\" and stdout = \"pipe\"");
        else if (mw_stream_closed(in) || mw_stream_closed(to)) rc = mw_err_set(err, MW_ECLOSED, "process stream", NULL, NULL);
        else if (mw_stream_flush(to, NULL) == 1) rc = mw_err_set(err, MW_EAGAIN, "process stream", NULL, "stdin has unsent bytes: flush it first");
        else rc = join(p, in, to, err);
    }
    if (rc == 0) *out = p->duplex;
    return rc;
}
