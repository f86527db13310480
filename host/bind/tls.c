/* The door of TLS: contexts, made on the thread pool; TLS on an open stream; what a stream's TLS came to.
 * Knows: io/secure, core/work, bind/arg, bind/stream. Never: OpenSSL, a file (moonwire.tls reads them). */
#include "bind/tls.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "bind/stream.h"
#include "core/task.h"
#include "core/work.h"

#define CONTEXT "mw.tls_context"
#define PEER "mw.tls_peer"
#define OP "tls"
#define HANDSHAKE_NS 10000000000u  /* for it and authentication together, unless auth_timeout says otherwise */

enum { TEXT_MAX = 1 << 20, ALPN_MAX = 64 };  /* bytes of one PEM text; protocols */

struct context_box {
    const struct mw_tls_calls *calls;
    mw_tls_context *c;           /* NULL: none */
};

mw_tls_context *mw_tls_context_test(lua_State *L, int idx) {
    struct context_box *box = luaL_testudata(L, idx, CONTEXT);

    return box != NULL ? box->c : NULL;
}

static int context_gc(lua_State *L) {
    struct context_box *box = luaL_checkudata(L, 1, CONTEXT);
    mw_tls_context *c = box->c;

    box->c = NULL;
    if (c != NULL) box->calls->context_drop(c);
    return 0;
}

/* ---- Making contexts ------------------------------------------------------------------------------------------------------ */

/* One context under way: its texts are behind it. */
struct job {
    struct mw_work work;         /* first */
    const struct mw_tls_calls *calls;
    struct mw_tls_options opt;
    struct mw_tls_name *names;   /* those of opt */
    mw_tls_context *made;
    int rc;
    struct mw_err err;
    size_t len;
    char text[];
};

static void run(struct mw_work *w) {
    struct job *j = (struct job *)w;

    j->rc = j->calls->context_new(&j->opt, &j->made, &j->err);
    j->calls->thread_rest();
}

static void job_free(struct mw_work *w) {
    struct job *j = (struct job *)w;

    if (j->made != NULL) j->calls->context_drop(j->made);
    explicit_bzero(j->text, j->len); /* a private key was among it */
    free(j->names);
    free(j);
}

/* Stack: options box */
static int made_k(lua_State *L, int code, lua_KContext ctx) {
    struct job *j = (struct job *)ctx;
    struct context_box *box = lua_touserdata(L, 2);
    struct mw_err err;
    int rc;

    if (code == MW_ETIMEDOUT) {
        mw_err_set(&err, code, OP, NULL, "making it ready timed out");
        return mw_push_err(L, &err);
    }
    rc = j->rc;
    err = j->err;
    box->calls = j->calls;
    box->c = j->made;
    j->made = NULL;
    j->work.free(&j->work);
    if (rc < 0) return mw_push_err(L, &err);
    lua_settop(L, 2);
    return 1;
}

/* Of the table at idx. */
static struct mw_view text_option(lua_State *L, int idx, const char *key, size_t *total) {
    struct mw_view v = { NULL, 0 };
    int type = mw_opt_get(L, idx, key);

    if (type != LUA_TNIL && type != LUA_TSTRING) mw_raise_inval(L, OP, "option \"%s\" must be a string, got %s", key, luaL_typename(L, -1));
    if (type == LUA_TSTRING) v.at = lua_tolstring(L, -1, &v.len);
    lua_pop(L, 1);                                       /* the table keeps it */
    if (v.len > TEXT_MAX) mw_raise_inval(L, OP, "option \"%s\" is longer than 1 MiB", key);
    *total += v.len + 1;
    return v;
}

/* Pushes the list of names as TLS sends it, or nil.                                          [-0, +1, e] */
static struct mw_view alpn_option(lua_State *L) {
    struct mw_view v = { NULL, 0 };
    luaL_Buffer b;
    int type = mw_opt_get(L, 1, "alpn");                 /* [... list] */

    if (type == LUA_TNIL) return v;
    if (type != LUA_TTABLE) mw_raise_inval(L, OP, "option \"alpn\" must be a list of names such as { \"http/1.1\" }, got %s", luaL_typename(L, -1));
    luaL_buffinit(L, &b);
    if (lua_rawlen(L, 3) > ALPN_MAX) mw_raise_inval(L, OP, "option \"alpn\" has more than %d names", ALPN_MAX);
    for (lua_Integer i = 1; i <= ALPN_MAX; i++) {
        size_t len = 0;
        const char *name;
        if (lua_rawgeti(L, 3, i) == LUA_TNIL) {
            lua_pop(L, 1);
            break;
        }
        name = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
        if (name == NULL || len == 0 || len > MW_TLS_NAME_MAX) mw_raise_inval(L, OP, "option \"alpn\": name %d must be a string of 1 to 255 bytes", (int)i);
        lua_pop(L, 1);                                   /* the list keeps it */
        luaL_addchar(&b, (char)(unsigned char)len);
        luaL_addlstring(&b, name, len);
    }
    luaL_pushresult(&b);
    lua_replace(L, 3);
    v.at = lua_tolstring(L, 3, &v.len);
    return v;
}

static char *put(char *at, struct mw_view *v) {
    if (v->at == NULL) return at;
    memcpy(at, v->at, v->len);
    at[v->len] = '\0';
    v->at = at;
    return at + v->len + 1;
}

static char *put_text(char *at, const char **text) {
    struct mw_view v = { *text, *text != NULL ? strlen(*text) : 0 };

    at = put(at, &v);
    *text = v.at;
    return at;
}

/* Pushes a list of { name, cert, key, key_password }, or nil, and what holds the rows of *out, which are lent.       [-0, +2, e] */
static unsigned names_option(lua_State *L, struct mw_tls_name **out, size_t *total) {
    int type = mw_opt_get(L, 1, "names"), list = lua_gettop(L);
    lua_Unsigned n = type == LUA_TTABLE ? lua_rawlen(L, list) : 0;
    struct mw_tls_name *rows;

    if (type != LUA_TNIL && type != LUA_TTABLE) mw_raise_inval(L, OP, "option \"names\" must be a list, got %s", luaL_typename(L, list));
    if (n > MW_TLS_NAMES) mw_raise_inval(L, OP, "option \"names\" has more than %d", MW_TLS_NAMES);
    rows = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *rows, 0); /* [list rows] */
    for (lua_Unsigned i = 0; i < n; i++) {
        lua_rawgeti(L, list, (lua_Integer)i + 1);
        luaL_checktype(L, -1, LUA_TTABLE);
        rows[i].name = text_option(L, lua_gettop(L), "name", total).at;
        rows[i].cert = text_option(L, lua_gettop(L), "cert", total);
        rows[i].key = text_option(L, lua_gettop(L), "key", total);
        rows[i].key_password = text_option(L, lua_gettop(L), "key_password", total).at;
        if (rows[i].name == NULL) mw_raise_inval(L, OP, "option \"names\": one has no name");
        lua_pop(L, 1);                                   /* the list keeps it */
    }
    *out = rows;
    return (unsigned)n;
}

/* context{ server, cert, key, key_password, ca, alpn, min_version, insecure, fresh, names } -> context | nil, err   [-0, +1|2, ey] */
static int tls_context(lua_State *L) {
    static const char *const known[] = { "server", "cert", "key", "key_password", "ca", "alpn", "min_version", "insecure", "fresh", "names",
                                         NULL };
    static const char *const versions[] = { "1.2", "1.3", NULL };
    struct mw_tls_options opt = { 0 };
    struct mw_view password;
    struct mw_tls_name *names, *copies;
    struct job *j;
    struct mw_err err;
    size_t total = 0;
    char *at;

    lua_settop(L, 1);
    mw_opt_open(L, 1, OP, known, 0);
    mw_box_new(L, sizeof(struct context_box), CONTEXT);  /* [options box] */
    opt.server = mw_opt_flag(L, 1, OP, "server", 0);
    opt.insecure = mw_opt_flag(L, 1, OP, "insecure", 0);
    opt.fresh = mw_opt_flag(L, 1, OP, "fresh", 0);
    opt.min_version = mw_opt_word(L, 1, OP, "min_version", versions, 0) == 1 ? MW_TLS_1_3 : MW_TLS_1_2;
    opt.cert = text_option(L, 1, "cert", &total);
    opt.key = text_option(L, 1, "key", &total);
    opt.ca = text_option(L, 1, "ca", &total);
    password = text_option(L, 1, "key_password", &total);
    opt.alpn = alpn_option(L);                           /* [options box alpn] */
    total += opt.alpn.len + 1;
    opt.name_count = names_option(L, &names, &total);    /* [options box alpn list rows] */
    copies = calloc(opt.name_count + 1, sizeof *copies);
    j = copies != NULL ? malloc(sizeof *j + total) : NULL;
    if (j == NULL) {
        free(copies);
        mw_err_set(&err, MW_ENOMEM, OP, NULL, NULL);
        return mw_push_err(L, &err);
    }
    memset(j, 0, sizeof *j);
    j->len = total;
    at = put(put(put(put(j->text, &opt.cert), &opt.key), &opt.ca), &password);
    at = put(at, &opt.alpn);
    for (unsigned i = 0; i < opt.name_count; i++) {
        struct mw_tls_name *n = &copies[i];
        *n = names[i];
        at = put(put(put_text(put_text(at, &n->name), &n->key_password), &n->cert), &n->key);
    }
    opt.key_password = password.at;
    opt.names = j->names = copies;
    j->opt = opt;
    j->work.run = run;
    j->work.free = job_free;
    j->calls = mw_secure_calls(mw_host_of(L), OP, &err);
    if (j->calls == NULL) {
        job_free(&j->work);
        return mw_push_err(L, &err);
    }
    lua_settop(L, 2);
    return mw_work_yield(L, &j->work, MW_NEVER, (lua_KContext)j, made_k);
}

/* ---- TLS on an open stream ------------------------------------------------------------------------------------------------ */

enum { S_STREAM = 1, S_CONTEXT, S_NAME, S_PORT, S_SERVER, S_BEGUN };

/* Gives the turn back. A stream that has begun and failed is closed: nobody knows what is still to come of it. */
static int start_failed(lua_State *L, mw_stream *s, struct mw_err *err) {
    int begun = lua_toboolean(L, S_BEGUN);

    mw_turn_give(mw_stream_reader(s));
    if (begun) mw_stream_close(s);
    return err != NULL ? mw_push_err(L, err) : mw_wait_cancelled(L);
}

/* We have the reader's turn; ctx: the deadline. */
static int start_k(lua_State *L, int code, lua_KContext ctx) {
    mw_stream *s = mw_stream_check(L, S_STREAM);
    const char *name = lua_tostring(L, S_NAME);
    struct mw_err err;
    int rc;

    if (code == MW_ECANCELED) return start_failed(L, s, NULL);
    if (!lua_toboolean(L, S_BEGUN)) {
        rc = mw_stream_flush(s, &err);
        if (rc == 1 && code == 0) return mw_wait_yield_raw(L, mw_stream_writable(s), (uint64_t)ctx, ctx, start_k);
        if (rc == 0) {
            rc = mw_stream_secure(s, mw_tls_context_test(L, S_CONTEXT), name, (int)lua_tointeger(L, S_PORT), lua_toboolean(L, S_SERVER), &err);
        } else if (rc == 1) {
            rc = mw_err_set(&err, MW_ETIMEDOUT, "stream starttls", mw_stream_subject(s), "what was written before could not be sent");
        }
        if (rc < 0 && mw_stream_is_secure(s) && err.code != MW_EINVAL) lua_pushboolean(L, 1), lua_replace(L, S_BEGUN);
        if (rc < 0) return start_failed(L, s, &err);
        lua_pushboolean(L, 1);
        lua_replace(L, S_BEGUN);
    }
    rc = mw_stream_secured(s, &err);
    if (rc == 0 && code == MW_ETIMEDOUT) rc = mw_err_set(&err, code, "stream starttls", mw_stream_subject(s), "the handshake took too long");
    if (rc < 0) return start_failed(L, s, &err);
    if (rc == 0) {
        mw_stream_await(s, NULL, NULL);
        return mw_wait_yield_raw(L, mw_stream_readable(s), (uint64_t)ctx, ctx, start_k);
    }
    mw_turn_give(mw_stream_reader(s));
    lua_settop(L, S_STREAM);
    return 1;
}

/* start(stream, context, name | nil, port, server, seconds) -> stream | nil, err                     [-0, +1|2, ey] */
static int tls_start(lua_State *L) {
    mw_stream *s = mw_stream_check(L, S_STREAM);
    mw_host *h = mw_host_of(L);
    uint64_t ns = mw_param_duration(L, 6, "stream starttls", "timeout"), now = mw_host_now(h), deadline;
    struct mw_err err;

    if (mw_tls_context_test(L, S_CONTEXT) == NULL) return mw_raise_inval(L, "stream starttls", "a context is expected");
    if (!lua_isnil(L, S_NAME)) mw_param_text(L, S_NAME, "stream starttls", "server_name", MW_TLS_NAME_MAX, NULL);
    mw_param_integer(L, S_PORT, "stream starttls", "port", 0, 65535);
    deadline = ns >= (uint64_t)INT64_MAX - now ? MW_NEVER : now + ns;
    lua_settop(L, S_SERVER);
    lua_pushboolean(L, 0);
    if (!mw_turn_try(mw_stream_reader(s))) {
        mw_err_set(&err, -EBUSY, "stream starttls", mw_stream_subject(s), "another task reads from it");
        return mw_push_err(L, &err);
    }
    return start_k(L, 0, (lua_KContext)deadline);
}

static int passed_k(lua_State *L, int status, lua_KContext ctx) {
    (void)status;
    (void)ctx;
    return lua_gettop(L);
}

int mw_stream_starttls(lua_State *L) {
    mw_stream_check(L, 1);
    lua_settop(L, 2);
    mw_module_push(L, "moonwire.tls");                   /* [stream options module] */
    lua_getfield(L, -1, "starttls");
    lua_remove(L, -2);
    lua_insert(L, 1);                                    /* [f stream options] */
    lua_callk(L, 2, LUA_MULTRET, 0, passed_k);
    return lua_gettop(L);
}

void mw_tls_read(lua_State *L, int idx, const char *op, const struct mw_endpoint *to, int server, struct mw_greeting *g) {
    struct mw_greeter *made = NULL;
    mw_tls_context *c;
    const char *name;
    struct mw_err err;

    mw_opt_get(L, idx, MW_TLS_CONTEXT);
    c = mw_tls_context_test(L, -1);
    if (c == NULL && (!lua_isnil(L, -1) || to->scheme == MW_SCHEME_TLS)) mw_raise_inval(L, op, "option \"" MW_TLS_CONTEXT "\" is moonwire.net's own");
    lua_pop(L, 1);                                       /* the table keeps it */
    if (c == NULL) return;
    name = server ? NULL : mw_opt_text(L, idx, op, MW_TLS_NAME, MW_TLS_NAME_MAX, NULL);
    if (mw_secure_greeter(mw_host_of(L), c, name, to->port, &made, &err) < 0) mw_raise(L, &err);
    mw_greeter_drop(g->tls);
    g->tls = made;
    if (g->auth_ns < HANDSHAKE_NS) g->auth_ns = HANDSHAKE_NS;
}

/* target(stream) -> host, port of the address that it was connected to | nil                 [-0, +1|2, e] */
static int tls_target(lua_State *L) {
    const char *subject = mw_stream_subject(mw_stream_check(L, 1));
    struct mw_endpoint to;

    if (mw_endpoint_parse(subject, strlen(subject), MW_TO_CONNECT, OP, &to, NULL) < 0 || (to.scheme != MW_SCHEME_TCP && to.scheme != MW_SCHEME_TLS)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushstring(L, to.host);
    lua_pushinteger(L, to.port);
    return 2;
}

/* ---- Looking -------------------------------------------------------------------------------------------------------------- */

static void set_text(lua_State *L, const char *key, const char *text) {
    if (text == NULL || *text == '\0') return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, key);
}

int mw_stream_tls(lua_State *L) {
    struct mw_tls_about about;

    if (!mw_secure_about(mw_stream_check(L, 1), &about)) {
        lua_pushnil(L);
        return 1;
    }
    lua_createtable(L, 0, 5);
    set_text(L, "version", about.version);
    set_text(L, "cipher", about.cipher);
    set_text(L, "alpn", about.alpn);
    set_text(L, "server_name", about.server_name);
    lua_pushboolean(L, about.resumed);
    lua_setfield(L, -2, "resumed");
    return 1;
}

struct peer_box {
    struct mw_tls_peer p;
};

static int peer_gc(lua_State *L) {
    struct peer_box *box = luaL_checkudata(L, 1, PEER);

    free(box->p.subject);
    free(box->p.sans);
    memset(&box->p, 0, sizeof box->p);
    return 0;
}

static void open_types(lua_State *L) {
    static const luaL_Reg none[] = { { NULL, NULL } };
    static const luaL_Reg context_meta[] = { { "__gc", context_gc }, { NULL, NULL } };
    static const luaL_Reg peer_meta[] = { { "__gc", peer_gc }, { NULL, NULL } };

    if (luaL_getmetatable(L, PEER) == LUA_TNIL) {
        mw_type_new(L, CONTEXT, none, context_meta);
        mw_type_new(L, PEER, none, peer_meta);
    }
    lua_pop(L, 1);
}

void mw_tls_push_peer(lua_State *L, mw_stream *s) {
    struct peer_box *box;
    const char *san;
    lua_Integer n = 0;

    if (!mw_stream_is_secure(s)) return;
    open_types(L);
    box = mw_box_new(L, sizeof *box, PEER);              /* [peer box] */
    if (mw_secure_peer(s, &box->p) > 0) {
        lua_insert(L, -2);                               /* [box peer] */
        set_text(L, "subject", box->p.subject);
        set_text(L, "fingerprint", box->p.fingerprint);
        lua_newtable(L);
        for (san = box->p.sans; *san != '\0'; san += strlen(san) + 1) {
            lua_pushstring(L, san);
            lua_rawseti(L, -2, ++n);
        }
        lua_setfield(L, -2, "sans");
        lua_insert(L, -2);                               /* [peer box] */
    }
    free(box->p.subject);
    free(box->p.sans);
    memset(&box->p, 0, sizeof box->p);
    lua_pop(L, 1);
}

/* core.tls = { context, start, target }                                                      [-0, +1, m] */
int mw_door_tls(lua_State *L) {
    static const luaL_Reg fns[] = { { "context", tls_context }, { "start", tls_start }, { "target", tls_target }, { NULL, NULL } };

    open_types(L);
    luaL_newlib(L, fns);
    return 1;
}
