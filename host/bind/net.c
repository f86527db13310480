/* The door of sockets: connect and listen, and the listener's methods.
 * Knows: bind/arg, bind/auth, bind/stream, io/dial, io/listener, io/lookup.
 * Never: a syscall; decides who may connect where. */
#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/auth.h"
#include "bind/doors.h"
#include "bind/net.h"
#include "bind/stream.h"
#include "bind/tls.h"
#include "core/task.h"
#include "io/dial.h"
#include "io/listener.h"

static const char given_key;             /* registry: the socket of mw_net_give */

#define DIAL "mw.dial"
#define LISTENER "mw.listener"
#define SETUP "mw.listen"
#define CONNECT_NS 60000000000u          /* the default timeout of connect */
#define LOOKUP_NS 30000000000u           /* and of finding the name to listen on */
#define CONNS_MAX 1000000
#define CONN_OPTIONS "idle_timeout", "stall_timeout", "nodelay", "auth", "auth_timeout"
#define LISTEN_OPTIONS "max_conns", "max_conns_per_peer", "max_unauthenticated", CONN_OPTIONS
#define TLS_OPTIONS "cert", "key", "key_password", "alpn", "min_version"
/* What of TLS moonwire.net takes out stands here for the errors; `retry` likewise. */
static const char *const connect_known[] = {"timeout", "retry", CONN_OPTIONS, TLS_OPTIONS, "ca", "server_name", "insecure_skip_verify", "resume",
    MW_TLS_CONTEXT, MW_TLS_NAME, NULL};
static const char *const listen_known[] = {"unlink", "mode", "private", "backlog", "reuse", "reuse_port", LISTEN_OPTIONS, TLS_OPTIONS, "client_ca",
    "server_names", MW_TLS_CONTEXT, NULL};

struct dial_box {
    mw_dial *dial;                       /* NULL once taken or given up */
    uint64_t deadline;
};
struct listener_box {
    mw_listener *l;
};
/* What listen holds while it waits for a name. */
struct setup {
    struct mw_endpoint at;
    struct mw_listener_options opt;
    struct mw_lookup *found;             /* NULL: none, or the thread pool has it */
};

static uint64_t deadline_in(lua_State *L, uint64_t ns) {
    uint64_t now = mw_host_now(mw_host_of(L));
    return ns >= (uint64_t)INT64_MAX - now ? MW_NEVER : now + ns;
}

/* The address at index 1; raises EINVAL. */
static void check_address(lua_State *L, const char *op, enum mw_purpose purpose, struct mw_endpoint *out) {
    struct mw_err err;
    size_t len;
    const char *text = mw_param_bytes(L, 1, op, "the address", &len);

    if (mw_endpoint_parse(text, len, purpose, op, out, &err) < 0) mw_raise(L, &err);
}

static void read_limits(lua_State *L, int idx, const char *op, struct mw_stream_limits *limits, int *nodelay) {
    limits->idle_ns = mw_opt_duration(L, idx, op, "idle_timeout", limits->idle_ns);
    limits->stall_ns = mw_opt_duration(L, idx, op, "stall_timeout", limits->stall_ns);
    if (limits->idle_ns == UINT64_MAX) limits->idle_ns = 0;
    if (limits->stall_ns == UINT64_MAX) limits->stall_ns = 0;
    *nodelay = mw_opt_flag(L, idx, op, "nodelay", *nodelay);
}

/* ---- Connecting ------------------------------------------------------------------------------------------------------- */

static void dial_end(struct dial_box *box) {
    mw_dial *d = box->dial;
    box->dial = NULL;
    mw_dial_close(d);
}
static int dial_gc(lua_State *L) {
    dial_end(luaL_checkudata(L, 1, DIAL));
    return 0;
}

/* Stack: address opts stream dial */
static int connect_k(lua_State *L, int code, lua_KContext ctx) {
    struct dial_box *box = lua_touserdata(L, 4);
    mw_stream **slot = (mw_stream **)ctx;
    struct mw_err err;
    int rc;

    if (code == MW_ECANCELED) {
        dial_end(box);
        return mw_wait_cancelled(L);
    }
    rc = mw_dial_take(box->dial, slot, &err);
    if (rc == 0 && code != MW_ETIMEDOUT) return mw_wait_yield_raw(L, mw_dial_done(box->dial), box->deadline, ctx, connect_k);
    if (rc == 0) rc = mw_err_set(&err, MW_ETIMEDOUT, "net connect", mw_dial_subject(box->dial), NULL);
    dial_end(box);
    if (rc < 0) return mw_push_err(L, &err);
    lua_settop(L, 3);
    return 1;
}
/* connect(address, { timeout, nodelay, idle_timeout, stall_timeout, auth, auth_timeout }) -> stream | nil, err              [-0, +1|2, y] */
static int net_connect(lua_State *L) {
    const char *op = "net connect";
    struct mw_listener_options defaults;
    struct mw_dial_options opt;
    struct mw_endpoint to;
    struct dial_box *box;
    struct mw_greeting *greeting;
    struct mw_err err;
    mw_stream **slot;
    uint64_t deadline;

    lua_settop(L, 2);
    check_address(L, op, MW_TO_CONNECT, &to);
    mw_opt_open(L, 2, op, connect_known, 0);
    mw_listener_options_init(&defaults); /* a connection has the same limits from either end */
    opt.limits = defaults.limits;
    opt.nodelay = defaults.socket.nodelay;
    read_limits(L, 2, op, &opt.limits, &opt.nodelay);
    deadline = deadline_in(L, mw_opt_duration(L, 2, op, "timeout", CONNECT_NS));
    slot = mw_stream_box(L);                             /* [address opts stream] */
    box = mw_box_new(L, sizeof *box, DIAL);              /* [address opts stream dial] */
    box->deadline = deadline;
    greeting = mw_auth_box(L);                           /* [address opts stream dial greeting] */
    mw_tls_read(L, 2, op, &to, 0, greeting);
    mw_auth_read(L, 2, op, to.scheme != MW_SCHEME_TCP && to.scheme != MW_SCHEME_TLS, greeting);
    opt.greeting = *greeting;                            /* lent: the dial keeps its own */
    if (mw_dial_open(mw_host_of(L), &to, &opt, &box->dial, &err) < 0) return mw_push_err(L, &err);
    return connect_k(L, 0, (lua_KContext)slot);
}

/* ---- Listening -------------------------------------------------------------------------------------------------------- */

static int setup_gc(lua_State *L) {
    struct setup *s = luaL_checkudata(L, 1, SETUP);
    struct mw_lookup *found = s->found;
    s->found = NULL;
    if (found != NULL) found->work.free(&found->work);
    return 0;
}

static void read_conn_options(lua_State *L, int idx, const char *op, struct mw_listener_options *opt) {
    opt->max_conns = (unsigned)mw_opt_integer(L, idx, op, "max_conns", 1, CONNS_MAX, opt->max_conns);
    opt->max_conns_per_peer = (unsigned)mw_opt_integer(L, idx, op, "max_conns_per_peer", 1, CONNS_MAX, opt->max_conns_per_peer);
    opt->max_unauthenticated =
        (unsigned)mw_opt_integer(L, idx, op, "max_unauthenticated", 1, MW_UNAUTHENTICATED_MAX, opt->max_unauthenticated);
    read_limits(L, idx, op, &opt->limits, &opt->socket.nodelay);
    opt->socket.stall_ms = opt->limits.stall_ns / 1000000u > INT_MAX ? 0 : (int)(opt->limits.stall_ns / 1000000u);
}

/* "0600": permission bits in octal. */
static int read_mode(lua_State *L, int idx, const char *op) {
    const char *text = mw_opt_text(L, idx, op, "mode", 8, NULL);
    int mode = 0;

    if (text == NULL) return -1;
    for (const char *c = text; *c != 0; c++) {
        if (*c < '0' || *c > '7' || c - text >= 4) return mw_raise_inval(L, op, "option \"mode\" is octal digits as in \"0600\", got \"%s\"", text);
        mode = mode * 8 + (*c - '0');
    }
    if (*text == 0 || mode > 0777) return mw_raise_inval(L, op, "option \"mode\" is from \"0000\" to \"0777\", got \"%s\"", text);
    return mode;
}

/* Stack: ... setup. Makes the listener from it. */
static int listen_at(lua_State *L, struct setup *s) {
    struct listener_box *box = mw_box_new(L, sizeof *box, LISTENER);
    struct mw_err err;

    if (mw_listener_open(mw_host_of(L), &s->at, s->found, &s->opt, &box->l, &err) < 0) return mw_push_err(L, &err);
    return 1;
}
static int found_k(lua_State *L, int code, lua_KContext ctx) {
    struct setup *s = lua_touserdata(L, 3);
    struct mw_err err;

    if (code != MW_ETIMEDOUT) {
        s->found = (struct mw_lookup *)ctx;
        if (s->found->code == 0) return listen_at(L, s);
        mw_lookup_failed(s->found, "net listen", s->found->host, &err);
    } else {
        mw_err_set(&err, code, "net listen", s->at.host, "looking up the name timed out");
    }
    return mw_push_err(L, &err);
}
/* Stack: address opts. made: as struct mw_listener_options has it. */
static int listen_with(lua_State *L, struct mw_socket *made) {
    const char *op = "net listen";
    struct mw_greeting *greeting;
    struct mw_lookup *found;
    struct mw_err err;
    struct setup *s;

    s = mw_box_new(L, sizeof *s, SETUP);                 /* [address opts setup] */
    check_address(L, op, MW_TO_LISTEN, &s->at);
    mw_opt_open(L, 2, op, listen_known, 0);
    mw_listener_options_init(&s->opt);
    s->opt.made = made;
    s->opt.socket.unlink = mw_opt_flag(L, 2, op, "unlink", 0);
    s->opt.socket.reuse = mw_opt_flag(L, 2, op, "reuse", 1);
    s->opt.socket.reuse_port = mw_opt_flag(L, 2, op, "reuse_port", 0);
    s->opt.socket.backlog = (int)mw_opt_integer(L, 2, op, "backlog", 1, 65535, s->opt.socket.backlog);
    s->opt.socket.mode = read_mode(L, 2, op);
    s->opt.socket.private = mw_opt_flag(L, 2, op, "private", 0);
    read_conn_options(L, 2, op, &s->opt);
    greeting = mw_auth_box(L);                           /* [address opts setup greeting]: holds what the options lend */
    mw_tls_read(L, 2, op, &s->at, 1, greeting);
    mw_auth_read(L, 2, op, s->at.scheme == MW_SCHEME_UNIX, greeting);
    s->opt.greeting = *greeting;
    if (s->at.scheme != MW_SCHEME_TCP && s->at.scheme != MW_SCHEME_TLS) return listen_at(L, s);
    if (mw_lookup_open(mw_host_of(L), MW_LISTEN, &s->at, op, &s->found, &err) < 0) return mw_push_err(L, &err);
    if (!s->found->pending) return listen_at(L, s);
    found = s->found;
    s->found = NULL;                                     /* core/work has it until found_k */
    return mw_work_yield(L, &found->work, deadline_in(L, LOOKUP_NS), (lua_KContext)found, found_k);
}

/* listen(address, options) -> listener | nil, err                                                        [-0, +1|2, y] */
static int net_listen(lua_State *L) {
    lua_settop(L, 2);
    return listen_with(L, NULL);
}
/* given(options) -> the listener on the socket that the program was told to open, once; nil            [-0, +1|2, e] */
static int net_given(lua_State *L) {
    char address[MW_ENDPOINT_TEXT];
    struct mw_debug *d;

    lua_settop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &given_key);
    d = lua_touserdata(L, -1);
    if (d == NULL || d->socket.fd < 0) return 0;
    mw_endpoint_text(&d->at, address);
    lua_pop(L, 1);
    lua_pushstring(L, address);
    lua_insert(L, 1);                                    /* [address opts] */
    return listen_with(L, &d->socket);
}
void mw_net_give(lua_State *L, struct mw_debug *d) {
    lua_pushlightuserdata(L, d);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &given_key);
}

/* ---- Listeners -------------------------------------------------------------------------------------------------------- */

static mw_listener *check(lua_State *L) {
    struct listener_box *box = mw_box_check(L, 1, LISTENER);
    if (box->l == NULL) mw_raise_inval(L, "net", "this listener was never opened");
    return box->l;
}

/* Stack: listener opts stream */
static int accept_k(lua_State *L, int code, lua_KContext ctx) {
    mw_listener *l = check(L);
    mw_stream **slot = lua_touserdata(L, 3);
    struct mw_err err;
    int rc = mw_listener_accept(l, slot, &err);

    if (rc == 0 && code != MW_ETIMEDOUT) return mw_wait_yield(L, mw_listener_ready(l), (uint64_t)ctx, ctx, accept_k);
    if (rc == 0) rc = mw_err_set(&err, MW_ETIMEDOUT, "net accept", mw_listener_address(l), NULL);
    if (rc < 0) return mw_push_err(L, &err);
    lua_settop(L, 3);
    return 1;
}
/* l:accept{ timeout = } -> stream | nil, err                                                             [-0, +1|2, y] */
static int listener_accept(lua_State *L) {
    static const char *const known[] = {"timeout", NULL};
    uint64_t deadline;

    check(L);
    lua_settop(L, 2);
    mw_opt_open(L, 2, "net accept", known, 0);
    deadline = mw_opt_deadline(L, 2, "net accept");
    mw_stream_box(L);
    return accept_k(L, 0, (lua_KContext)deadline);
}
/* l:address() -> URL that connect accepts                                                                [-0, +1, m] */
static int listener_address(lua_State *L) {
    lua_pushstring(L, mw_listener_address(check(L)));
    return 1;
}
/* l:stats() -> { accepted, open, limited, dropped, idle, failed, unauthenticated, refused, timed_out, displaced }                                        [-0, +1, m] */
static int listener_stats(lua_State *L) {
    struct mw_listener_stats st;

    mw_listener_stats(check(L), &st);
    lua_createtable(L, 0, 10);
    lua_pushinteger(L, (lua_Integer)st.accepted);
    lua_setfield(L, -2, "accepted");
    lua_pushinteger(L, (lua_Integer)st.limited);
    lua_setfield(L, -2, "limited");
    lua_pushinteger(L, (lua_Integer)st.dropped);
    lua_setfield(L, -2, "dropped");
    lua_pushinteger(L, (lua_Integer)st.idle);
    lua_setfield(L, -2, "idle");
    lua_pushinteger(L, (lua_Integer)st.failed);
    lua_setfield(L, -2, "failed");
    lua_pushinteger(L, (lua_Integer)st.open);
    lua_setfield(L, -2, "open");
    lua_pushinteger(L, (lua_Integer)st.unauthenticated);
    lua_setfield(L, -2, "unauthenticated");
    lua_pushinteger(L, (lua_Integer)st.lobby.refused);
    lua_setfield(L, -2, "refused");
    lua_pushinteger(L, (lua_Integer)st.lobby.timed_out);
    lua_setfield(L, -2, "timed_out");
    lua_pushinteger(L, (lua_Integer)st.lobby.displaced);
    lua_setfield(L, -2, "displaced");
    return 1;
}
static unsigned open_now(const mw_listener *l) {
    struct mw_listener_stats st;
    mw_listener_stats(l, &st);
    return st.open;
}

static int drain_k(lua_State *L, int code, lua_KContext ctx) {
    mw_listener *l = check(L);
    struct mw_err err;

    if (open_now(l) == 0) {
        lua_pushboolean(L, 1);
        return 1;
    }
    if (code != MW_ETIMEDOUT) return mw_wait_yield(L, mw_listener_changed(l), (uint64_t)ctx, ctx, drain_k);
    mw_err_setf(&err, code, "net drain", mw_listener_address(l), "timed out with %u connections open", open_now(l));
    return mw_push_err(L, &err);
}
/* l:drain{ timeout = } -> true | nil, ETIMEDOUT: takes no more, waits until all connections have ended     [-0, +1|2, y] */
static int listener_drain(lua_State *L) {
    static const char *const known[] = {"timeout", NULL};
    mw_listener *l = check(L);
    uint64_t deadline;

    lua_settop(L, 2);
    mw_opt_open(L, 2, "net drain", known, 0);
    deadline = mw_opt_deadline(L, 2, "net drain");
    mw_listener_drain(l);
    return drain_k(L, 0, (lua_KContext)deadline);
}
/* l:close(): takes no more; handlers of serve are cancelled                                              [-0, +0, -] */
static int listener_close(lua_State *L) {
    mw_listener_close(check(L));
    return 0;
}
static int listener_gc(lua_State *L) {
    struct listener_box *box = luaL_checkudata(L, 1, LISTENER);
    mw_listener *l = box->l;

    box->l = NULL;
    if (l == NULL) return 0;
    if (!mw_listener_closed(l)) mw_box_warn(L, 1, "listener");
    mw_listener_close(l);
    mw_listener_release(l);
    return 0;
}
static int listener_end(lua_State *L) { /* __close */
    struct listener_box *box = luaL_checkudata(L, 1, LISTENER);
    if (box->l != NULL) mw_listener_close(box->l);
    return 0;
}
static int listener_tostring(lua_State *L) {
    mw_listener *l = check(L);
    lua_pushfstring(L, "listener (%s%s)", mw_listener_address(l), mw_listener_closed(l) ? ", closed" : "");
    return 1;
}

/* known(opts, server): raises on a name that is none, before anything is made of the others             [-0, +0, e] */
static int net_known(lua_State *L) {
    int server = lua_toboolean(L, 2);

    mw_opt_open(L, 1, server ? "net listen" : "net connect", server ? listen_known : connect_known, 0);
    return 0;
}

/* ---- What serve is made of -------------------------------------------------------------------------------------------- */

/* configure(l, serve's options) -> whether a handler's error is to be raised                             [-0, +1, e] */
static int net_configure(lua_State *L) {
    static const char *const known[] = {"on_error", LISTEN_OPTIONS, NULL};
    static const char *const on_error[] = {"log", "raise", NULL};
    mw_listener *l = check(L);
    struct mw_listener_options opt = *mw_listener_get_options(l);
    struct mw_greeting *greeting;
    int raise;

    mw_opt_open(L, 2, "net serve", known, 0);
    raise = mw_opt_word(L, 2, "net serve", "on_error", on_error, 0);
    read_conn_options(L, 2, "net serve", &opt);
    greeting = mw_auth_box(L);
    mw_greeting_set(greeting, &opt.greeting);
    mw_auth_read(L, 2, "net serve", strncmp(mw_listener_address(l), "unix:", 5) == 0, greeting);
    opt.greeting = *greeting;
    mw_listener_set_options(l, &opt);
    lua_pushboolean(L, raise);
    return 1;
}
static int linger_k(lua_State *L, int code, lua_KContext ctx) {
    mw_listener *l = check(L);

    (void)code;
    if (mw_listener_draining(l) && open_now(l) > 0) return mw_wait_yield(L, mw_listener_changed(l), MW_NEVER, ctx, linger_k);
    lua_pushboolean(L, mw_listener_draining(l));
    return 1;
}
/* linger(l) -> true: drained; false: closed, what still runs is to end now                               [-0, +1, y] */
static int net_linger(lua_State *L) {
    return linger_k(L, 0, 0);
}

/* Stack of a connection's task: listener stream raise trace [error]. Short: with one call more in a handler Lua would double
 * the stack of each waiting task (640 bytes). */
enum { H_LISTENER = 1, H_STREAM, H_RAISE, H_TRACE, H_ERROR };

static int has_code(lua_State *L, int idx, int code) {
    struct mw_err err;
    mw_err_from(L, idx, &err);
    return err.code == code;
}
static int is_cancel(lua_State *L, int idx) {
    return has_code(L, idx, MW_ECANCELED);
}

/* The handler and all its tasks have ended: so does the connection. */
static int handle_end(lua_State *L, int code, lua_KContext ctx) {
    mw_host *h = mw_host_of(L);
    mw_scope *s = mw_scope_own(h);
    int failed = lua_gettop(L) >= H_ERROR, own = s != NULL ? mw_scope_was_cancelled(s) : !mw_task_was_cancelled(mw_task_current(h));

    (void)code;
    (void)ctx;
    if (failed && own && is_cancel(L, H_ERROR)) { /* a member failed and cancelled the handler: its error is the one to tell */
        lua_settop(L, H_TRACE);
        failed = 0;
    }
    if (!failed && s != NULL) failed = mw_scope_push_error(L, s);
    mw_scope_drop_own(h);
    lua_getfield(L, H_STREAM, "close");                  /* what is unsent goes out all the same */
    lua_pushvalue(L, H_STREAM);
    lua_call(L, 1, 0);
    if (mw_stream_idled(mw_stream_check(L, H_STREAM))) {
        mw_listener_idled(check(L));
        if (failed && has_code(L, H_ERROR, MW_ECLOSED)) return 0; /* `lines` raised it: no mistake of the handler's */
    }
    if (!failed) return 0;
    if (lua_toboolean(L, H_RAISE) || is_cancel(L, H_ERROR)) return lua_error(L);
    mw_listener_failed(check(L), mw_stream_subject(mw_stream_check(L, H_STREAM)), luaL_tolstring(L, H_ERROR, NULL));
    return 0;
}
static int handle_body(lua_State *L, int status, lua_KContext ctx) {
    mw_scope *s = mw_scope_own(mw_host_of(L));

    if (s == NULL) return handle_end(L, 0, ctx);
    if (status != LUA_OK && status != LUA_YIELD) mw_scope_cancel(s, "the handler failed");
    return mw_scope_wait(L, s, ctx, handle_end);
}
/* l stream raise fn: a connection's whole life, as a bare task: the handler in a scope of its own, then the end of the connection.
 * In C, since ten thousand of them may wait at once: each Lua frame and box would count.               [-0, +0, y] */
static int handle(lua_State *L) {
    lua_settop(L, 4);
    lua_pushcfunction(L, mw_traceback);
    lua_insert(L, H_TRACE);                              /* [listener stream raise trace fn] */
    mw_scope_promise(mw_host_of(L));
    lua_pushvalue(L, H_STREAM);
    return handle_body(L, lua_pcallk(L, 1, 0, H_TRACE, 0, handle_body), 0);
}
/* handle(l, stream, raise, fn): starts the task of a connection, in the caller's scope                   [-0, +0, e] */
static int net_handle(lua_State *L) {
    struct mw_err err;

    lua_settop(L, 4);
    lua_pushcfunction(L, handle);
    lua_insert(L, 1);
    if (mw_task_start_bare(mw_scope_current(mw_host_of(L)), L, 4, &err) < 0) return mw_raise(L, &err);
    return 0;
}
/* renew(l, context) -> true | nil, err: of connections to come                                          [-0, +1|2, e] */
static int net_renew(lua_State *L) {
    mw_listener *l = check(L);
    mw_tls_context *c = mw_tls_context_test(L, 2);
    struct mw_err err;

    if (c == NULL || mw_listener_get_options(l)->greeting.tls == NULL) return mw_raise_inval(L, "net reload", "this listener has no TLS");
    if (mw_listener_closed(l)) {
        mw_err_set(&err, MW_ECLOSED, "net reload", mw_listener_address(l), NULL);
        return mw_push_err(L, &err);
    }
    mw_secure_greeter_change(mw_listener_get_options(l)->greeting.tls, c);
    lua_pushboolean(L, 1);
    return 1;
}
/* now() -> monotonic seconds                                                                              [-0, +1, -] */
static int net_now(lua_State *L) {
    lua_pushnumber(L, (lua_Number)mw_host_now(mw_host_of(L)) / 1e9);
    return 1;
}

int mw_door_net(lua_State *L) {
    static const luaL_Reg methods[] = {{"accept", listener_accept}, {"address", listener_address}, {"stats", listener_stats},
                                       {"drain", listener_drain}, {"close", listener_close}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", listener_gc}, {"__close", listener_end}, {"__tostring", listener_tostring}, {NULL, NULL}};
    static const luaL_Reg setup_meta[] = {{"__gc", setup_gc}, {NULL, NULL}};
    static const luaL_Reg dial_meta[] = {{"__gc", dial_gc}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    static const luaL_Reg fns[] = {{"connect", net_connect}, {"listen", net_listen}, {"known", net_known}, {"given", net_given}, {"configure", net_configure},
                                   {"linger", net_linger}, {"renew", net_renew}, {"handle", net_handle}, {"now", net_now}, {NULL, NULL}};
    mw_auth_open(L);
    mw_type_new(L, LISTENER, methods, meta);
    mw_type_new(L, SETUP, none, setup_meta);
    mw_type_new(L, DIAL, none, dial_meta);
    luaL_newlib(L, fns);                                 /* [door] */
    mw_type_methods(L, LISTENER);                        /* [door methods] */
    lua_setfield(L, -2, "methods");
    return 1;
}
