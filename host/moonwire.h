/* moonwire: a Lua-scriptable IPC host, for programs that embed it.
 *
 * Every function returns 0 (or what it says) or a negative MW_E... code and fills the caller's struct mw_err, which may be
 * NULL. No Lua error crosses this boundary. There is no global state: hosts are independent. All calls on one host come from
 * one thread at a time, save mw_host_post, mw_host_interrupt and mw_host_break. Ownership: *given* is yours to end, *lent* is
 * valid until the next call on its owner, *taken* is no longer yours; an argument with no such word is only read during the call.
 * No signal handler is installed unless asked; children are watched by descriptor, an engine's own SIGCHLD is left alone. */
#ifndef MOONWIRE_H
#define MOONWIRE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"      /* struct mw_err */
#include "base/limits.h"   /* struct mw_limits */
#include "base/msgpack.h"  /* mw_buf writes values, mw_view reads them */
#include "policy/policy.h" /* mw_policy: what scripts may touch, deny by default */

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mw_host mw_host;
struct uv_loop_s;

#define MW_VERSION "0.1.0"
const char *mw_version(void);                    /* static: "0.1.0 (Lua 5.4.4, libuv 1.44.2)" */

/* ---- Host ------------------------------------------------------------------------------------------------------------- */

enum mw_level { MW_LEVEL_DEBUG, MW_LEVEL_INFO, MW_LEVEL_WARN, MW_LEVEL_ERROR };

enum { MW_SPIN_NEVER = -1, MW_SPIN_MAX_US = 10000 };

/* Bytes of stack that a thread must have left to make, step, run or call a host: else MW_ELIMIT. A script that nests as deep as Lua lets
 * it (200 calls through C) takes up to twice as much: a thread for scripts that you don't trust has 1 MiB. A stack of your own making (a
 * fibre's) cannot be measured: see to it yourself. */
enum { MW_STACK_LEAST = 256 << 10 };

struct mw_config {
    size_t size;                     /* of the caller's own struct mw_config: set by mw_config_init */
    void *ud;                        /* passed to every hook */
    void *(*alloc)(void *ud, void *ptr, size_t osize, size_t nsize);   /* lua_Alloc; NULL: realloc and free */
    void *alloc_ud;
    size_t memory_limit;             /* bytes of one Lua state; 0: 256 MiB */
    mw_policy *policy;               /* copied; NULL: nothing is allowed */
    void (*on_print)(mw_host *, const char *text, size_t len, void *ud);            /* NULL: standard output */
    void (*on_log)(mw_host *, enum mw_level, const char *line, size_t len, void *ud); /* a JSON object; NULL: standard error */
    void (*on_error)(mw_host *, const struct mw_err *, const char *traceback, void *ud); /* NULL: standard error */
    void (*on_message)(mw_host *, const char *topic, const void *msgpack, size_t len, void *ud); /* mw.host.emit(topic, ...): its values,
                                      * one after the other; lent until it returns. NULL: emit says that nobody listens */
    size_t queue;                    /* messages of mw_host_post that no step has taken yet, at most; 0: 1024 */
    const char *program;             /* path of a moonwire program for script children; NULL: this process, if it is one */
    const char *script_path;         /* mw.script.path, and the directory modules are found in; NULL: none */
    const char *const *args;         /* `arg` of the script, NULL-terminated; NULL: none */
    size_t args_zero;                /* which of args is arg[0], the script's name; those before it get negative indices */
    int parent_fd;                   /* -1, or the descriptor of mw.parent (taken) */
    int parent_stdio;                /* 1: mw.parent is standard input and output */
    int script_fd;                   /* -1, or the script, open for reading (taken): what the first mw_host_load_file reads */
    int warden;                      /* 1 (default): children never outlive the host; 0: the embedder sees to it */
    int signals;                     /* 1: scripts may take signals of this process (mw.on_signal); 0 (default): refused */
    int pipe_ends;                   /* 1: a standard output that nobody reads ends the run with 141; 0 (default): an error */
    unsigned shutdown_ms;            /* how long cleanup may take at the end; default 5000 */
    uint64_t child_files;            /* soft RLIMIT_NOFILE of children; 0 (default): as ours */
    int home_fd;                     /* -1, or the directory (O_PATH; taken) that the private one of confined programs is made in */
    struct mw_limits limits;         /* what the script may use; 0 (default): as base/limits.h says. .memory wins over memory_limit */
    enum mw_preempt preempt;         /* how limits.step_ns is held */
    void (*on_stuck)(mw_host *, int status, void *ud); /* TIMER only: 10 s of processor time after a script had to stop it has not:
                                      * some C function does not come back. Called from the signal's handler: do what is safe
                                      * there, such as mw_host_kill_children and _exit(status). NULL (default): nothing */
    int no_script_modules;           /* 1: Lua modules beside the script are not free to read; 0 (default): they are */
    int audit_fd;                    /* -1, or where a line of JSON goes for every decision (taken; O_APPEND): policy.h */
    struct mw_sink *trace;           /* NULL, or where everything that is said is written down (taken): mw_config_trace */
    struct mw_trace *traced;         /* NULL, or the trace of another host that this one's goes into; outlives the host */
    struct mw_debug *debug;          /* NULL, or the endpoint that moonwire attach opens (taken): mw_config_debug */
    struct mw_process_shares *shares;    /* NULL, or what mw.shared gives (taken): mw_config_from_parent */
    int mends_faults;                /* 1: a handler for SIGBUS calls mw_host_mend_fault with this host, whatever thread it comes in;
                                      * 0 (default): shared memory that another process can cut off is used more slowly, without atomics */
    int notify_fd;                   /* -1, or where mw.supervisor.notify() says that the script is ready (taken by it) */
    int spin_us;                     /* mw_host_run only: how long a loop with nothing to do looks on before it sleeps. 0 (default): it
                                      * finds out; MW_SPIN_NEVER; or so long at every wait, at most MW_SPIN_MAX_US. Never on one core,
                                      * nor while other threads want this one, on a borrowed loop, or in steps */
    int person;                      /* 1: a person reads what on_print and on_log get, on one screen: log lines are text, and what the
                                      * script writes to standard error goes to on_print as well; what mw_host_call calls has 256 KiB beyond
                                      * the memory limit, so that who sits there can empty a full script; 0 (default) */
    int command_line;                /* 1: the program has moonwire's command line, and hints name its flags (--limit=memory=..., --allow-run=git);
                                      * 0 (default): they name fields of this struct, and kinds and rules of the policy: run "git" */
    unsigned cleanup_ms;             /* how long the `__close` functions of a cancelled task may wait, all together; default 5000; 0: not
                                      * at all. At the end shutdown_ms is the limit of them as well */
};
/* Sets cfg->size, and each field to what is said above. `size` is what the program was built with, and may be less or more than the
 * library's: fields that a shorter one lacks have their defaults; one that a longer one has beyond the library's must stay 0. */
void mw_config_init_size(struct mw_config *cfg, size_t size);
void mw_config_init(struct mw_config *cfg); /* the function, for bindings that read no header, knows the library's size only */
#define mw_config_init(cfg) mw_config_init_size((cfg), sizeof *(cfg))

/* mw_policy_add_json of the file at `path` (at most 1 MiB), its relative paths taken from its folder. MW_EINVAL: err->what is
 * "PATH:LINE:COLUMN: what is wrong". */
int mw_policy_add_file(mw_policy *p, const char *path, struct mw_err *err);

/* Opens `path` for cfg->audit_fd: appended to, made with mode 0600 if it is not there. Keep it out of the script's write rights. */
int mw_config_audit(struct mw_config *cfg, const char *path, struct mw_err *err);

/* Opens `path` for cfg->trace: emptied, made with mode 0600 if it is not there; its ending says the format: .pcapng, .jsonl, .trace.json;
 * "-" or "stderr" is standard error, for a person. Keep it out of the script's write rights. Messages of mw_host_post (when a handler gets
 * them) and mw.host.emit are in it as those of "mw.host", each its topic and then its values, in MessagePack; calls, in both directions,
 * as those of "mw.host calls": the name and the arguments, then the name and the results, or { error = }. */
int mw_config_trace(struct mw_config *cfg, const char *path, struct mw_err *err);

/* Opens a debug endpoint at `url`, "unix:/path", for cfg->debug: whoever attaches there has a prompt in the script that is loaded into the
 * host, with the script's rights, which do not grow by it. A socket of mode 0600, for this user and root alone, whom the kernel tells
 * apart. -EPERM: others can write to its folder. */
int mw_config_debug(struct mw_config *cfg, const char *url, struct mw_err *err);

/* For a script child: reads what its parent decided (a memfd whose content is sealed; taken) into *cfg and *policy (given; also
 * lent to cfg->policy). cfg is initialized before. MW_EINVAL: anything odd, a missing seal above all. */
int mw_config_from_parent(int fd, struct mw_config *cfg, mw_policy **policy, struct mw_err *err);

/* Makes a host on a loop of its own / on yours (never run or closed by us). Given: end it. What *cfg has that is taken is taken when
 * this fails, too: descriptors are closed then. A standard stream that is closed is /dev/null from then on (or from mw_config_audit,
 * _trace and _debug on), or descriptors of the host would be taken for it. MW_EINVAL: cfg was not initialized, or sets what this library does not know. */
int mw_host_new(const struct mw_config *cfg, mw_host **out, struct mw_err *err);
int mw_host_new_on(struct uv_loop_s *loop, const struct mw_config *cfg, mw_host **out, struct mw_err *err);
/* Ends it: cancels tasks, runs __close, ends children. NULL is fine. Not from a hook: there it only asks the run to end. A
 * borrowed loop is run until our handles are closed: not from its callbacks either; mw_host_close never runs it. */
void mw_host_free(mw_host *h);
/* For a borrowed loop: the same over later turns of it, then cb; `h` is gone when cb runs. MW_EINVAL: on a loop of its own, or
 * asked before. */
int mw_host_close(mw_host *h, void (*cb)(void *ud), void *ud, struct mw_err *err);

/* Locks this very process with what the host's policy grants, what the host itself needs, and what its children need to load: from
 * then on the kernel refuses everything else to the whole process, whatever happens to our code. For good; it binds the calling
 * thread and those that it starts, so call it before any other thread starts and before a script runs.
 * also_read: more files and folders that stay readable (the script, if it is loaded later), NULL-terminated; NULL: none. Children's private directory is made now.
 * -EOPNOTSUPP: this kernel has no Landlock. MW_EINVAL: a --trust-run rule: what it starts could not have all rights of the user.
 * -E2BIG: 16 locks nest at most. Nothing is locked then. See landlock(7). */
int mw_host_confine(mw_host *h, const char *const *also_read, struct mw_err *err);
/* Notes in the audit that it is not locked, and why. */
void mw_host_unconfined(mw_host *h, const char *why);

/* Compiles (text only) and starts as a task of the root scope; it runs in steps. MW_ELUA with the message on a syntax error.
 * `name` as Lua wants it: "@file.lua", "=stdin". */
int mw_host_load_string(mw_host *h, const char *text, size_t len, const char *name, struct mw_err *err);
int mw_host_load_file(mw_host *h, const char *path, struct mw_err *err);
/* Compiles only. */
int mw_host_check(mw_host *h, const char *text, size_t len, const char *name, struct mw_err *err);
int mw_host_check_file(mw_host *h, const char *path, struct mw_err *err);
/* Starts the embedded module `module`'s function `fn` with the host's args as a task ("moonwire.test", "main"). */
int mw_host_start_module(mw_host *h, const char *module, const char *fn, struct mw_err *err);
/* Loads Lua modules before the policy binds: for `moonwire test`, Busted with its native parts. */
int mw_host_preload(mw_host *h, const char *const *modules, struct mw_err *err);

struct mw_step {
    uint64_t used_us;                /* time taken */
    size_t ready;                    /* tasks left ready: the budget ran out. One that it cut off is among them */
    int next_timeout_ms;             /* as mw_host_timeout_ms */
    int alive;                       /* 1 while the root scope holds tasks. Else steps are still of use for messages, watches and signals */
};
/* One frame's work: looks at what came, and runs tasks until `budget_us` are over (0: each until it waits). Never blocks. A script that
 * still computes then stands still, and the next step goes on with it before any other task, so it sees nothing of it (preempt COUNT and
 * TIMER; NONE: the budget binds between tasks only); what it uses adds up to limits.step_ns. What cannot be cut takes as long as it takes:
 * one C function (a long string.rep), a sort's or gsub's function, an uv callback, a collector's step; so does what still runs after an
 * error of limits.step_ns was raised in it, for some 30 ms. Neither this nor the two below from a hook of the same host: MW_EINVAL; nor after mw_host_close: MW_ECLOSED. */
int mw_host_step(mw_host *h, unsigned budget_us, struct mw_step *st, struct mw_err *err);
/* The same, and waits for something to do, at most timeout_ms (-1: as long as it takes). Without tasks it waits only when somebody may
 * give it some: a mw.host.on of the script, a watch, a signal; but not in the turn in which the last task ended, so that a loop sees it.
 * Nor does it wait after on_message was called in it. */
int mw_host_run_once(mw_host *h, int timeout_ms, struct mw_step *st, struct mw_err *err);
/* Runs to the end of the root scope. *status: 0; 1 when an error reached on_error since the host was made (in an earlier run too); 77 when
 * one was EDENIED; or the code of mw.exit. */
int mw_host_run(mw_host *h, int *status, struct mw_err *err);
/* For a loop of yours: wait until this descriptor (lent; epoll's own, so only ask whether it can be read) is ready or so many milliseconds
 * are over (0: there is something to do now; -1: nothing but the descriptor will say so), then step. Ask for the time before each wait.
 * What another thread posts makes the descriptor ready. Both are the loop's on a borrowed one. */
int mw_host_backend_fd(mw_host *h);
int mw_host_timeout_ms(mw_host *h);

/* Cancels the root scope; the run ends with `status`. Async-signal-safe and from any thread. A running Lua loop is
 * interrupted too: from another thread than the host's at its next look at the clock; where it takes none (MW_PREEMPT_NONE, or steps
 * without a limit) by SIGVTALRM to that thread, if the process has no handler of its own for it and the thread does not hold it back;
 * else when it next waits. `why`: static text ("interrupted"). */
void mw_host_interrupt(mw_host *h, int status, const char *why);
/* For a prompt's Ctrl-C: cancels the task whose code runs at this moment, if it goes on for some 10 ms more without waiting: it gets
 * ECANCELED, and is ended if it swallows that. Nothing else is touched: not the run, no other task, none that waits (that is the
 * prompt's own to cancel). Async-signal-safe and from any thread, by the same means; wakes the loop, so that mw_host_run_once comes back.
 * Returns 1 when code runs, 0 when none does. */
int mw_host_break(mw_host *h);
/* The same after a time; the run ends with `status`. 0 ns is off. */
int mw_host_deadline(mw_host *h, uint64_t ns, int status, const char *why, struct mw_err *err);
/* A person to ask when a right is missing, before anything of what needs it was done: 0 no, 1 once, 2 always until the host ends,
 * 3 no, too: said three times of the same thing, it is for good.
 * subject: what was found, paths absolute and without links; NULL: everything of the kind; raw bytes of a script's choosing, so escape
 * them (mw_err_escape). where: the script's line, or "". flag: what would grant it: read "/etc/hosts", or with cfg.command_line the flag,
 * quoted for a shell. Called on the host's thread from
 * inside a step; while it lasts the host's clock stands still (on a borrowed loop: but for the loop's own timers). The loop must not
 * be turned, nor the host called, save mw_host_interrupt. Never asked: what a rule denies or was dropped, what a policy file or a
 * child's permissions lack. ask NULL (default): nobody, denied. */
typedef int mw_host_ask(mw_host *, enum mw_kind kind, const char *subject, const char *where, const char *flag, void *ud);
void mw_host_on_ask(mw_host *h, mw_host_ask *ask, void *ud);

/* For a mw_host_ask that asks on a terminal: stops the children's groups (on) so that none writes over the question, and lets them go
 * on. Detached ones are not touched. */
void mw_host_hold_children(mw_host *h, int on);

/* ---- The engine and its script: messages, calls ------------------------------------------------------------------------------
 * Values cross as MessagePack: no value, one, or several one after the other (several arguments, several results). In Lua, mw.host. */

/* Any thread: `topic` with its values, copied, for the functions given to mw.host.on(topic, fn); each runs as a task of its own, in the
 * order of the posts, from the next step on. Wakes a loop that sleeps. Messages come in the order in which one thread posted them.
 * Nothing is taken before the root scope's first task has waited for something. What nobody has asked for then is kept, up to half of the
 * queue (beyond that, the oldest such message is dropped), until that task is over; from then on such messages are dropped at once, and
 * once the run is to end, all are that no handler has begun with. What its handler cannot take (deeper than
 * 128 levels, more than the script's memory) is an error for on_error.
 * A script that only says mw.host.on and ends goes on receiving: in every step, though struct mw_step says that no task is alive.
 * mw_host_run ends with the last task, once what was posted before has been taken: a script for it waits for something itself.
 * MW_EAGAIN: the queue is full (mw_config.queue messages, or limits.buffered bytes, that no handler has begun with), try again after
 * a step; MW_ELIMIT: it alone is more than that many bytes; MW_EPARSE: the bytes are not whole values; MW_EINVAL: no topic;
 * MW_ECLOSED: the host is being freed (a hook may still ask). Not after mw_host_free or mw_host_close. */
int mw_host_post(mw_host *h, const char *topic, const void *msgpack, size_t len, struct mw_err *err);

/* A function of the engine's, for scripts: mw.host.NAME(...). Called on the host's thread inside a step (while the host ends too, for
 * what cleans up), while the script's task runs: be brief, and return: no longjmp, no exception. It may use the host, save to step, run,
 * call, close or free it. Returns 0 (results: what was returned by mw_return_...), or a code: that of a mw_arg_..., mw_return_... or
 * mw_call_fail, handed on. */
typedef struct mw_call mw_call;
typedef int mw_host_fn(mw_host *h, mw_call *call, void *ud);
/* `name`: letters, digits and _; copied. Again: replaces, also where a script has kept the function. fn NULL: takes it away: whoever has
 * kept it gets ECLOSED. MW_EINVAL: no such name, or one that mw.host has already ("on", "emit", ...). Not bound by the policy: what it
 * does for a script is the engine's decision. The main script's alone: workers have no mw.host. */
int mw_host_register(mw_host *h, const char *name, mw_host_fn *fn, void *ud, struct mw_err *err);

/* Arguments, from 1 as in Lua. Another type, or none: MW_EINVAL, and the script gets "bad argument #1 to 'raycast' (number expected, got
 * nil)" when the function returns that code. */
int mw_arg_count(const mw_call *call);
int mw_arg_type(const mw_call *call, int i);                                        /* absent is MW_TYPE_NIL; MW_EINVAL: a function */
int mw_arg_boolean(mw_call *call, int i, int *out);
int mw_arg_integer(mw_call *call, int i, int64_t *out);                             /* a float that is whole is one */
int mw_arg_number(mw_call *call, int i, double *out);
int mw_arg_string(mw_call *call, int i, const char **out, size_t *len);             /* lent until it returns; terminated; len may be NULL */
int mw_arg_value(mw_call *call, int i, mw_view *out);                               /* anything, as MessagePack; lent likewise */
/* Results, in order. */
int mw_return_nil(mw_call *call);
int mw_return_boolean(mw_call *call, int value);
int mw_return_integer(mw_call *call, int64_t value);
int mw_return_number(mw_call *call, double value);
int mw_return_string(mw_call *call, const char *text, size_t len);
int mw_return_value(mw_call *call, const void *msgpack, size_t len);                /* one value, or several */
/* Has the call fail: nil and an error object in Lua (err.code is mw_err_name(code)); raised if code is MW_EINVAL, MW_EDENIED or
 * MW_ECANCELED. Returns `code`, so that `return mw_call_fail(call, MW_ENOENT, "no such player");` does it. */
int mw_call_fail(mw_call *call, int code, const char *message);

/* Calls a function of the script's, now: that of mw.host.handle(name, fn), else the global function of that name. Its arguments are the
 * values of `msgpack`; its results are appended to *out (may be NULL), to which a failure adds nothing. It runs as a task, which may
 * start others; but it may not wait: MW_EAGAIN, and the task is cancelled (use mw_host_post). MW_EAGAIN too, and nothing was called,
 * while a script stands still where the budget of the last step ended: it could not tell what was changed under its hands. MW_ENOENT:
 * there is none; MW_ELUA, or the code of an error object: it raised. It counts as a step: limits.step_ns binds. From a registered
 * function or a hook: MW_EINVAL. */
int mw_host_call(mw_host *h, const char *name, const void *msgpack, size_t len, mw_buf *out, struct mw_err *err);

/* ---- The engine's descriptors and signals on the host's loop ------------------------------------------------------------------ */

enum { MW_WATCH_READ = 1, MW_WATCH_WRITE = 2 };
typedef void mw_host_watcher(mw_host *h, int fd, int events, void *ud);
/* Has `fn` called inside a step whenever `fd` can be read or written (events: a sum of the two; also when it failed or was hung up), until
 * told otherwise or the host's end begins; a step without tasks looks too. `fn` may do what a registered function may. Again for the
 * same fd: replaces; events 0: no more. The fd stays yours, close it afterwards; O_NONBLOCK is left as
 * it is. Does not keep a run alive. MW_EINVAL: no descriptor, or one that cannot be watched (a file). */
int mw_host_watch_fd(mw_host *h, int fd, int events, mw_host_watcher *fn, void *ud, struct mw_err *err);

/* Has `fn` called inside a step after the process got signal `signum`: the one way in which a host installs a signal's handler (and
 * takes it away with fn NULL, or at its end). Hosts of a process that watch one signal all get it. When the last of them stops, the handler
 * that stood before the first began comes back if that first one is the last to stop; in any other order it is lost, and the default action
 * is what is left: install yours again then. A script's mw.on_signal (mw_config.signals) counts as another host's watch. KILL and STOP, and those that faults raise: MW_EINVAL. */
typedef void mw_host_signal(mw_host *h, int signum, void *ud);
int mw_host_on_signal(mw_host *h, int signum, mw_host_signal *fn, void *ud, struct mw_err *err);

/* ---- Children ------------------------------------------------------------------------------------------------------------------ */

/* Ends every child's group with KILL, now. Async-signal-safe. */
void mw_host_kill_children(mw_host *h);

/* For a SIGBUS handler (mw_config.mends_faults), in the thread whose access faulted: 1: `at` (siginfo_t's si_addr) lies in shared memory
 * that another process has cut off: zeros lie there now, the script gets an error; return from the handler. 0: it is not ours.
 * Async-signal-safe. */
int mw_host_mend_fault(mw_host *h, const void *at);

#ifdef __cplusplus
}
#endif
#endif
