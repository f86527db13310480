/* The guarded uv module from within: the door of one state, the rules by name, and what the rule files share.
 * Knows: bind/arg, io/uvfs, uv.h, lua.h. Never: seen outside bind/uv*.c. */
#ifndef MW_BIND_UV_H
#define MW_BIND_UV_H

#include <uv.h>

#include "bind/arg.h"
#include "core/host.h"
#include "io/uvfs.h"

/* What a name's first argument is, as bits of uv_handle_type. 0: no handle. */
#define UV_KIND(type) (1u << UV_##type)
#define UV_KIND_STREAM (UV_KIND(TCP) | UV_KIND(NAMED_PIPE) | UV_KIND(TTY))
#define UV_KIND_ANY 0x3fffffffu
#define UV_KIND_CLOSED (1u << 31) /* may be closing or closed */
#define UV_KIND_ALL (1u << 30)    /* the name takes all rights: else it does not exist */

#define UV_HANDLES_MAX 100000u
#define MW_UV_HELD_MS 50u             /* what holds up the loop looks so often whether it is to end */
#define UV_QUEUE_MAX (16u << 20) /* unsent bytes of one handle */

struct uv_door;

/* One name of luv's, as a script gets it. */
struct uv_rule {
    const char *name;
    unsigned kinds;              /* of the handle that is argument 1 */
    const char *sys;             /* the kind of system information it tells, or NULL */
    /* Checks the arguments, and calls `raw` (luv's function; NULL: this version has none) or does the work itself.
     * NULL: what is above is all there is to check. */
    int (*run)(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw);
};
extern const struct uv_rule mw_uv_rules[];
#define UV_RULES_MAX 256

struct uv_door {
    mw_host *host;
    struct mw_handle link;       /* so that the host's end closes what the script left open */
    struct mw_fds fds;
    unsigned handles;            /* open ones */
    int refs;                    /* the Lua box, and the handles below until they are closed */
    int closed;
    lua_Integer made;            /* handles so far: their number is their place in uv.walk */
    unsigned closing, closing_left;     /* those that are closing, or were when it was last looked; as many were left then */
    int closing_big;             /* their table has become large, and is empty */
    uv_timer_t later;            /* runs the callbacks of what was done at once */
    struct uv_runs *runs;        /* uv_loop.c; NULL until the first uv.run */
    lua_CFunction raw[UV_RULES_MAX];
    lua_CFunction meta[64];      /* luv's metamethods */
    unsigned metas;
};

#define UV_ARGS lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw
typedef int uv_run_fn(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw);

/* The handle at idx if it is one of ours of these kinds; raises otherwise. Not closing, unless kinds has UV_KIND_CLOSED. */
uv_handle_t *mw_uv_handle(lua_State *L, int idx, const char *op, unsigned kinds);
/* The handle at idx, or NULL if it is none of luv's: its userdata holds a pointer, and its metatable is one that luv made. */
uv_handle_t *mw_uv_handle_at(lua_State *L, int idx);
/* Raises unless the value at idx can be called; with optional, nil and none are fine too. */
void mw_uv_callback(lua_State *L, int idx, const char *op, int optional);
/* The index of the callback: the first function among the arguments from `first` to `last`; 0: none. */
int mw_uv_callback_at(lua_State *L, int first, int last, const char *op);
const char *mw_uv_path_at(lua_State *L, int idx, const char *op);
const char *mw_uv_type_of(uint64_t mode);        /* "file", "directory", ... of a file's mode */
/* Calls luv's function with the callback at cb (0, or nil: none), which comes from the thread pool: the host's end waits for it.  [-?, +?, e] */
int mw_uv_pooled(lua_State *L, struct uv_door *d, int cb, lua_CFunction raw);
void mw_uv_push_from_pool(lua_State *L);         /* the callback on top becomes what is counted back when it is called */
/* luv's way to fail: nil, "NAME: words", "NAME".                                                    [-0, +3, m] */
int mw_uv_fail(lua_State *L, int code);

/* What an fs call ends with. cb: the callback's index, or 0. The results are the top n values.         [-n, +?, m]
 * With a callback it is called later, by the loop, with nil and the results; a request is returned at once. */
int mw_uv_give(lua_State *L, struct uv_door *d, int cb, int n);
/* The same for a failure: EDENIED raises, the rest is nil, "NAME: words: subject", "NAME", or the callback's first argument. */
int mw_uv_give_err(lua_State *L, struct uv_door *d, int cb, const struct mw_err *err);

/* The descriptor at idx: 0 when it is the script's, open for `how`; 1 when it is a standard stream, and all rights are there: luv's own
 * function takes it then. Else a code, and err. */
int mw_uv_fd(lua_State *L, struct uv_door *d, int idx, int how, const char *op, int *fd, struct mw_err *err);
/* The same for what takes any descriptor where all rights are there. */
int mw_uv_any_fd(lua_State *L, struct uv_door *d, int idx, const char *op, int *fd, struct mw_err *err);
/* Refuses `what` unless all rights are there.                                                              [-0, +0, e] */
void mw_uv_need_all(lua_State *L, struct uv_door *d, const char *op, const char *subject, const char *what);
int mw_uv_total(struct uv_door *d);
/* The handle that luv made, n results from the top, is remembered and counted; n. Raises when there are too many: before it is made. */
int mw_uv_made(lua_State *L, struct uv_door *d, int n);
void mw_uv_room(lua_State *L, struct uv_door *d, const char *op);
void mw_uv_remember(lua_State *L, struct uv_door *d, int idx);   /* the value at idx is one of the handles */
void mw_uv_forget(lua_State *L, int idx);
void mw_uv_handles_open(lua_State *L);           /* before the first one; once */
void mw_uv_handles_shut(lua_State *L);           /* closes all, without callbacks */
/* 1 for a handle of luv's until its close callback has run, for a child until it is closed. */
int mw_uv_is_open(lua_State *L, int idx);
/* The open ones, by number, and (lent) their numbers in order; how many.                                  [-0, +2, m] */
size_t mw_uv_push_open(lua_State *L, const lua_Integer **numbers);
/* Something of the script's goes on: a handle that is active and referenced, or closing; a request; a callback that waits. */
int mw_uv_alive(lua_State *L, struct uv_door *d);
/* Callbacks of what was done at once that have not run yet.                                               [-0, +0, -] */
lua_Integer mw_uv_queued(lua_State *L);
void mw_uv_set_mode(lua_State *L, int mode);     /* what uv.loop_mode tells; -1: no uv.run is on */
void mw_uv_runs_shut(struct uv_door *d);         /* the door closes */
void mw_uv_release(struct uv_door *d);
/* luv's threads: what runs in them never ends the process. Once, before luv is opened. */
void mw_uv_threads_open(void);
void mw_uv_threads_shut(lua_State *L, struct uv_door *d);   /* waits for those that nobody has joined */
int mw_uv_threads_equal(lua_State *L);           /* __eq of threads */
/* The number of the signal at idx: a name that luv has, or 1 to 64. */
int mw_uv_signal_number(lua_State *L, int idx, const char *op);
/* The descriptor of a handle that polls it is not closed meanwhile. */
void mw_uv_poll_closing(struct uv_door *d, uv_handle_t *it);
/* An empty place, closed when it is collected.                                                            [-0, +1, m] */
struct mw_place *mw_uv_push_place(lua_State *L);
void mw_uv_watch_closed(lua_State *L, int idx);  /* the handle at idx is closing */

/* A bound pipe's place and name, kept until it is closed. */
int mw_uv_pipe_bind(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw);
int mw_uv_pipe_connect(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw);
int mw_uv_pipe_getsockname(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw);
void mw_uv_pipe_closed(lua_State *L, int idx); /* the handle at idx is closing */
/* 1 if the pipe at idx was bound by us: its name is pushed. */
int mw_uv_pipe_name(lua_State *L, int idx);

/* Calls the function below nargs values on top (all popped); its error goes to the host.                   [-nargs+1, +0, -] */
void mw_uv_call(lua_State *L, int nargs);
/* What runs programs is ready: the process door was opened. */
void mw_uv_need_processes(lua_State *L);
int mw_uv_is_process(lua_State *L, int idx);
int mw_uv_process_alive(lua_State *L, int idx);  /* it runs, and keeps uv.run */
int mw_uv_process_open(lua_State *L, int idx);   /* it was not closed */
/* A rule for every handle, whose argument 1 is a process. */
int mw_uv_process_handle(lua_State *L, struct uv_door *d, const struct uv_rule *r);
void mw_uv_process_type(lua_State *L);
/* A metatable whose methods are functions of the module, which is at the top: { method, name of the function }. */
void mw_uv_make_type(lua_State *L, const char *type, const luaL_Reg *meta, const char *const (*methods)[2]);

/* By file. */
uv_run_fn mw_uv_spawn, mw_uv_process_get_pid, mw_uv_process_kill;
uv_run_fn mw_uv_close, mw_uv_new, mw_uv_new_pipe, mw_uv_new_udp, mw_uv_start, mw_uv_timer_start, mw_uv_timer_set_repeat;
uv_run_fn mw_uv_signal_start, mw_uv_shutdown, mw_uv_listen, mw_uv_accept, mw_uv_read_start, mw_uv_write, mw_uv_write2;
uv_run_fn mw_uv_buffer_size, mw_uv_cancel, mw_uv_pipe_open;
uv_run_fn mw_uv_tcp_bind, mw_uv_tcp_connect, mw_uv_tcp_close_reset, mw_uv_tcp_keepalive, mw_uv_flag;
uv_run_fn mw_uv_udp_bind, mw_uv_udp_connect, mw_uv_udp_send, mw_uv_udp_recv_start, mw_uv_udp_membership, mw_uv_small_integer;
uv_run_fn mw_uv_getaddrinfo, mw_uv_getnameinfo;
uv_run_fn mw_uv_random, mw_uv_os_getenv, mw_uv_os_environ, mw_uv_os_home, mw_uv_os_tmpdir, mw_uv_exepath, mw_uv_interfaces;
uv_run_fn mw_uv_guess_handle, mw_uv_sys_error, mw_uv_interface_index, mw_uv_pipe, mw_uv_socketpair, mw_uv_getpriority;
uv_run_fn mw_uv_fs_open, mw_uv_fs_close, mw_uv_fs_read, mw_uv_fs_write, mw_uv_fs_stat, mw_uv_fs_lstat, mw_uv_fs_fstat;
uv_run_fn mw_uv_fs_unlink, mw_uv_fs_rmdir, mw_uv_fs_mkdir, mw_uv_fs_rename, mw_uv_fs_access, mw_uv_fs_chmod, mw_uv_fs_copyfile;
uv_run_fn mw_uv_fs_mkdtemp, mw_uv_fs_mkstemp, mw_uv_fs_readlink, mw_uv_fs_realpath, mw_uv_fs_symlink, mw_uv_fs_link;
uv_run_fn mw_uv_fs_utime, mw_uv_fs_lutime, mw_uv_fs_statfs, mw_uv_fs_scandir, mw_uv_fs_scandir_next;
uv_run_fn mw_uv_fs_opendir, mw_uv_fs_readdir, mw_uv_fs_closedir;
uv_run_fn mw_uv_fs_fsync, mw_uv_fs_fdatasync, mw_uv_fs_ftruncate, mw_uv_fs_fchmod, mw_uv_fs_futime, mw_uv_fs_sendfile;

uv_run_fn mw_uv_run, mw_uv_stop, mw_uv_walk, mw_uv_loop_alive, mw_uv_loop_close, mw_uv_sleep;
uv_run_fn mw_uv_new_thread, mw_uv_thread_join, mw_uv_thread_equal, mw_uv_new_work, mw_uv_queue_work, mw_uv_new_async, mw_uv_async_send;
uv_run_fn mw_uv_new_tty, mw_uv_tty_set_mode, mw_uv_socket_open, mw_uv_kill, mw_uv_setenv, mw_uv_unsetenv, mw_uv_path, mw_uv_chown, mw_uv_fchown;
uv_run_fn mw_uv_id, mw_uv_setpriority, mw_uv_title, mw_uv_pipe_chmod, mw_uv_pending_instances, mw_uv_multicast_interface;
uv_run_fn mw_uv_fs_event_start, mw_uv_fs_event_getpath, mw_uv_fs_poll_start, mw_uv_new_poll, mw_uv_poll_start;

/* Makes the metatables of directories, scans and requests of ours. */
void mw_uv_fs_types(lua_State *L);
/* A request that has been done already: what an fs call with a callback returns.                        [-0, +1, m] */
void mw_uv_push_request(lua_State *L);

#endif
