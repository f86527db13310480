/* The door to the program around the host: mw.host. Letters become tasks, in the order in which they came.
 * Knows: bind/arg, bind/tap, share/mail, codec/pack, core, lua.h. Never: a function of the program's; what a value means. */
#include "bind/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/msgpack.h"
#include "bind/arg.h"
#include "bind/codec.h"
#include "bind/doors.h"
#include "bind/scratch.h"
#include "bind/engine_tap.h"
#include "codec/pack.h"
#include "core/source.h"
#include "core/task.h"
#include "share/worker.h"

#define HANDLER "mw.host.handler"       /* what on() and handle() return; user value 2 is the function */
#define LETTER "mw.host.letter"

static const char topics_key, handlers_key, functions_key; /* registry: topic -> list of handlers; name -> handler; name -> function */

struct mw_engine {
    struct mw_source source;
    mw_host *host;
    mw_mail *mail;
    struct mw_letter *kept, **kept_end;     /* nobody has asked for them yet, the oldest first */
    size_t keeps, keeps_max;                /* how many; half of all that may wait, so that they stand in nobody's way */
    int asked;                              /* somebody did since the last look: for what was kept perhaps */
    int settled;                            /* the first task is over: what nobody asks for is dropped */
    struct mw_engine_taps taps;
};

struct handler {
    char *name;                             /* NULL once closed */
    int called;                             /* by mw_host_call; 0: by letters */
};

static const char slot_key;

/* ---- Values -------------------------------------------------------------------------------------------------------------- */

int mw_engine_push_values(lua_State *L, const char *at, size_t len, const char *op, const char *subject, struct mw_err *err) {
    struct mw_codec_options o = {.bytes_max = SIZE_MAX};
    struct mw_codec_fault fault;
    struct mw_err why;
    int top = lua_gettop(L);

    while (len > 0) {
        size_t used = 0;
        int rc;
        luaL_checkstack(L, 8, "too many values");
        rc = mw_pack_read(L, at, len, &used, &o, &fault, &why);
        if (rc < 0) {
            int n = lua_gettop(L) - top + 1;
            lua_settop(L, top);
            if (rc == MW_EAGAIN) rc = MW_EPARSE;
            return mw_err_setf(err, rc, op, subject, "value %d%s%s: %s", n, fault.path[0] ? ", " : "", fault.path, why.what);
        }
        if (mw_codec_is_null(L, -1)) {
            lua_pop(L, 1);
            lua_pushnil(L);
        }
        at += used;
        len -= used;
    }
    return lua_gettop(L) - top;
}

int mw_engine_write(lua_State *L, int idx, struct mw_bytes *out, struct mw_codec_fault *fault, struct mw_err *err) {
    struct mw_codec_options o = {.bytes_max = SIZE_MAX};

    if (!lua_isnil(L, idx)) return mw_pack_write(L, idx, out, &o, fault, err);
    if (mw_bytes_add(out, "\xc0", 1) == 0) return 0;
    *fault = (struct mw_codec_fault){0};
    return mw_err_set(err, MW_ENOMEM, NULL, NULL, NULL);
}

/* ---- Letters ------------------------------------------------------------------------------------------------------------- */

struct letter_box {
    mw_engine *engine;
    struct mw_letter *letter;   /* NULL once it was read */
};

static void drop(struct letter_box *box) {
    struct mw_letter *it = box->letter;

    box->letter = NULL;
    if (it != NULL) mw_letter_drop(box->engine->mail, it);
}
static int letter_gc(lua_State *L) {
    drop(lua_touserdata(L, 1));
    return 0;
}

static int over(lua_State *L, int status, lua_KContext ctx) {
    (void)L;
    (void)status;
    (void)ctx;
    return 0;
}

/* The task of one letter and one who asked for it: box f ->                                                  [-0, +0, y] */
static int receive(lua_State *L) {
    struct letter_box *box = lua_touserdata(L, 1);
    struct mw_err err;
    int n;

    if (mw_host_ending(box->engine->host)) { /* as those that no step had taken yet */
        drop(box);
        return 0;
    }
    n = mw_engine_push_values(L, box->letter->at, box->letter->len, "host.on", box->letter->topic, &err);
    drop(box); /* its place is free: whoever posts too fast is told so as long as nobody has read */
    if (n < 0) return mw_raise(L, &err);
    lua_callk(L, n, 0, 0, over);
    return 0;
}

/* In a protected call: engine letter -> whether anybody asked for it; a task for each who did.              [-0, +1, m] */
static int start(lua_State *L) {
    mw_engine *e = lua_touserdata(L, 1);
    struct mw_letter *it = lua_touserdata(L, 2);
    struct letter_box *box;
    struct mw_err err;
    lua_Integer i;

    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &topics_key) != LUA_TTABLE) return 0;
    lua_pushstring(L, it->topic);
    if (lua_rawget(L, 3) != LUA_TTABLE) return 0;                       /* [e it topics list] */
    for (i = 1; lua_rawgeti(L, 4, i) != LUA_TNIL; i++) {                /* [... handler] */
        lua_pushcfunction(L, receive);
        box = lua_newuserdatauv(L, sizeof *box, 0);
        *box = (struct letter_box){e, NULL};
        luaL_setmetatable(L, LETTER);
        box->letter = it;
        it->refs++;
        lua_getiuservalue(L, 5, 2);                                     /* [... handler receive box f] */
        if (mw_task_start(mw_host_root(e->host), L, 2, it->topic, 0, NULL, &err) < 0) return mw_raise(L, &err);
        lua_settop(L, 4);
    }
    lua_pushboolean(L, i > 1);
    return 1;
}

/* Hands it to those who asked for it: 1, also when there is no memory for it, which on_error is told; 0: nobody did. Never raises. */
static int hand_over(mw_engine *e, struct mw_letter *it) {
    lua_State *L = mw_host_state(e->host);
    int asked = 1;

    if (!lua_checkstack(L, 6)) return 0;
    mw_host_in_callback(e->host, 1);
    lua_pushcfunction(L, start);
    lua_pushlightuserdata(L, e);
    lua_pushlightuserdata(L, it);
    if (lua_pcall(L, 2, 1, 0) != LUA_OK) {
        mw_task_report(L);
    } else {
        asked = lua_toboolean(L, -1);
        lua_pop(L, 1);
        if (asked) mw_engine_tell(L, &e->taps, MW_ENGINE_MESSAGES, MW_PROBE_RECV, it->topic, it->at, it->len);
    }
    mw_host_in_callback(e->host, 0);
    return asked;
}

static void keep(mw_engine *e, struct mw_letter *it) {
    struct mw_letter *oldest = e->kept;

    it->next = NULL;
    *e->kept_end = it;
    e->kept_end = &it->next;
    if (++e->keeps <= e->keeps_max) return;
    e->kept = oldest->next;
    e->keeps--;
    mw_letter_drop(e->mail, oldest);
}
/* All of them. */
static struct mw_letter *unkeep(mw_engine *e) {
    struct mw_letter *it = e->kept;

    e->kept = NULL;
    e->kept_end = &e->kept;
    e->keeps = 0;
    return it;
}

/* What to do with a chain of letters: hand each over; nobody asked: keep it, or drop it. 1: somebody has something to do. */
enum otherwise { KEEP, DROP, DROP_ALL };
static int sort(mw_engine *e, struct mw_letter *it, enum otherwise otherwise) {
    struct mw_letter *next;
    int found = 0;

    for (; it != NULL; it = next) {
        int asked = otherwise == DROP_ALL ? 0 : hand_over(e, it);
        next = it->next;
        found |= asked;
        if (!asked && otherwise == KEEP) keep(e, it);
        else mw_letter_drop(e->mail, it);
    }
    return found;
}

static int look(struct mw_source *s) {
    mw_engine *e = MW_LIST_ENTRY(s, mw_engine, source);
    int came = mw_mail_waits(e->mail), first = mw_task_first(e->host), settles = !e->settled && first == MW_FIRST_OVER, found = 0;
    enum otherwise otherwise;

    if (!came && !settles && !e->asked) return 0;
    if (first == MW_FIRST_BEGINS && !mw_host_ending(e->host)) return 0; /* it asks, most of all, before it waits */
    if (settles) e->settled = 1;
    otherwise = mw_host_ending(e->host) ? DROP_ALL : e->settled ? DROP : KEEP;
    if (settles || e->asked || otherwise == DROP_ALL) {
        e->asked = 0;
        found = sort(e, unkeep(e), otherwise);
    }
    if (came) found |= sort(e, mw_mail_take(e->mail), otherwise);
    return found;
}
static void sleeps(struct mw_source *s, int asleep) {
    mw_mail_asleep(MW_LIST_ENTRY(s, mw_engine, source)->mail, asleep);
}

/* ---- Who is asked for what -------------------------------------------------------------------------------------------------- */

/* Raised where there is no such program: in plain Lua, in a worker, and when the host has all but gone. */
static mw_engine *engine_here(lua_State *L, const char *op) {
    mw_host *h = mw_host_of(L);
    struct mw_err err;

#ifdef MW_MODULE
    mw_err_set(&err, -EOPNOTSUPP, op, NULL, "in plain Lua there is no program around that takes part");
    mw_raise(L, &err);
#endif
    if (mw_worker_of(h) != NULL) {
        mw_err_set(&err, -EOPNOTSUPP, op, NULL, "a worker has no part in it: mw.host is the main script's alone");
        mw_err_hint(&err, "mw.parent goes to the script that started this worker");
        mw_raise(L, &err);
    }
    if (mw_host_finishing(h)) {
        mw_err_set(&err, MW_ECLOSED, op, NULL, "the host is shutting down");
        mw_raise(L, &err);
    }
    return mw_host_slot(h, &slot_key);
}

/* A table of the registry's, made at first use.                                                              [-0, +1, m] */
static void push_table(lua_State *L, const char *key) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE) return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}
void mw_engine_push_functions(lua_State *L) {
    push_table(L, &functions_key);
}

/* The arguments name f, and what becomes of them: [name f handler].                                          [-*, +3, e] */
static struct handler *handler_new(lua_State *L, const char *op, const char *noun, int called) {
    size_t len;
    struct handler *it;

    (void)mw_param_text(L, 1, op, noun, 0, &len);
    if (len == 0) mw_raise_inval(L, op, "%s must not be empty", noun);
    if (lua_type(L, 2) != LUA_TFUNCTION) mw_raise_inval(L, op, "a function is expected, got %s", luaL_typename(L, 2));
    lua_settop(L, 2);
    it = mw_box_new(L, sizeof *it, HANDLER);
    it->called = called;
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 3, 2);
    return it;
}
/* Last, when nothing can be raised any more; 0 without memory. */
static int handler_lives(lua_State *L, struct handler *it) {
    it->name = strdup(lua_tostring(L, 1));
    if (it->name != NULL && !it->called) mw_host_listen(mw_host_of(L), 1);
    return it->name != NULL;
}

static int no_memory(lua_State *L, const char *op) {
    struct mw_err err;
    mw_err_set(&err, MW_ENOMEM, op, NULL, NULL);
    return mw_raise(L, &err);
}

/* on(topic, f) -> handler                                                                                     [-0, +1, e] */
static int engine_on(lua_State *L) {
    mw_engine *e = engine_here(L, "host.on");
    struct handler *it = handler_new(L, "host.on", "the topic", 0);

    push_table(L, &topics_key);                                         /* [topic f handler topics] */
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 4) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_createtable(L, 1, 0);
        lua_pushvalue(L, 1);
        lua_pushvalue(L, -2);
        lua_rawset(L, 4);
    }                                                                   /* [topic f handler topics list] */
    lua_pushvalue(L, 3);
    lua_rawseti(L, 5, (lua_Integer)lua_rawlen(L, 5) + 1);
    if (!handler_lives(L, it)) {
        lua_pushnil(L);
        lua_rawseti(L, 5, (lua_Integer)lua_rawlen(L, 5));
        return no_memory(L, "host.on");
    }
    e->asked = 1;
    lua_settop(L, 3);
    return 1;
}

/* handle(name, f) -> handler                                                                                  [-0, +1, e] */
static int engine_handle(lua_State *L) {
    struct handler *it;

    engine_here(L, "host.handle");
    it = handler_new(L, "host.handle", "the name", 1);
    push_table(L, &handlers_key);                                       /* [name f handler handlers] */
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 3);
    lua_rawset(L, 4);
    if (!handler_lives(L, it)) {
        lua_pushvalue(L, 1);
        lua_pushnil(L);
        lua_rawset(L, 4);
        return no_memory(L, "host.handle");
    }
    lua_settop(L, 3);
    return 1;
}

int mw_engine_push_handler(lua_State *L, const char *name) {
    luaL_checkstack(L, 6, name);
    push_table(L, &handlers_key);
    lua_pushstring(L, name);
    if (lua_rawget(L, -2) == LUA_TUSERDATA) {                           /* [handlers handler] */
        lua_getiuservalue(L, -1, 2);
        lua_replace(L, -3);
        lua_pop(L, 1);
        return 1;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);                /* [handlers nil globals] */
    lua_replace(L, -3);
    lua_pop(L, 1);
    lua_pushstring(L, name);
    if (lua_rawget(L, -2) == LUA_TFUNCTION) {                           /* [globals f] */
        lua_replace(L, -2);
        return 1;
    }
    lua_pop(L, 2);
    return 0;
}

/* Takes it out of the list of its topic.                                                                     [-0, +0, -] */
static void forget_topic(lua_State *L, const struct handler *it) {
    lua_Integer n, i = 1;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &topics_key);
    lua_pushstring(L, it->name);
    if (lua_rawget(L, -2) == LUA_TTABLE) {                              /* [topics list] */
        n = (lua_Integer)lua_rawlen(L, -1);
        while (i <= n) {
            lua_rawgeti(L, -1, i);
            if (lua_touserdata(L, -1) == (const void *)it) break;
            lua_pop(L, 1);
            i++;
        }
        if (i <= n) lua_pop(L, 1);
        for (; i <= n; i++) {
            lua_rawgeti(L, -1, i + 1);
            lua_rawseti(L, -2, i);
        }
        if (lua_rawlen(L, -1) == 0) {
            lua_pushstring(L, it->name);
            lua_pushnil(L);
            lua_rawset(L, -4);
        }
    }
    lua_pop(L, 2);
}
static void forget_name(lua_State *L, const struct handler *it) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handlers_key);
    lua_pushstring(L, it->name);
    if (lua_rawget(L, -2) == LUA_TUSERDATA && lua_touserdata(L, -1) == (const void *)it) { /* and not its successor */
        lua_pushstring(L, it->name);
        lua_pushnil(L);
        lua_rawset(L, -4);
    }
    lua_pop(L, 2);
}

/* handler:close()                                                                                             [-0, +0, m] */
static int handler_close(lua_State *L) {
    struct handler *it = mw_box_check(L, 1, HANDLER);

    if (it->name == NULL) return 0;
    luaL_checkstack(L, 8, "close");
    if (it->called) forget_name(L, it);
    else forget_topic(L, it);
    free(it->name);
    it->name = NULL;
    if (!it->called) mw_host_listen(mw_host_of(L), -1);
    lua_pushnil(L);
    lua_setiuservalue(L, 1, 2);
    return 0;
}
static int handler_gc(lua_State *L) { /* a live one is in its table: its state is closed */
    struct handler *it = lua_touserdata(L, 1);

    free(it->name);
    it->name = NULL;
    return 0;
}
static int handler_tostring(lua_State *L) {
    const struct handler *it = lua_touserdata(L, 1);

    lua_pushfstring(L, "handler (%s)", it->name != NULL ? it->name : "closed");
    return 1;
}

/* use(tap): messages and calls                                                                                [-0, +0, e] */
static int engine_use(lua_State *L) {
    engine_here(L, "host.use");
    mw_engine_tap(L, mw_engine_taps_of(mw_host_of(L)));
    return 0;
}

/* ---- To the program ------------------------------------------------------------------------------------------------------------ */

/* emit(topic, ...) -> true | nil, err: nobody listens; raises for what cannot be sent                         [-0, +1|2, e] */
static int engine_emit(lua_State *L) {
    mw_host *h = (engine_here(L, "host.emit"), mw_host_of(L));
    int n = lua_gettop(L) - 1, rc = 0;
    const char *topic = mw_param_text(L, 1, "host.emit", "the topic", 0, NULL);
    struct mw_codec_fault fault;
    struct mw_bytes *out;
    struct mw_err err;

    if (*topic == 0) return mw_raise_inval(L, "host.emit", "the topic must not be empty");
    if (mw_host_hooks(h)->message == NULL) {
        mw_err_set(&err, MW_ENORESPONDERS, "host.emit", topic, "the program around this host takes no messages");
        return mw_push_err(L, &err);
    }
    out = mw_scratch_take(L);                                           /* [topic ... out] */
    for (int i = 2; i <= n + 1 && rc == 0; i++) {
        rc = mw_engine_write(L, i, out, &fault, &err);
        if (rc < 0) mw_codec_path_index(&fault, i - 1);
    }
    if (rc == 0) {
        const char *at = mw_bytes_len(out) > 0 ? mw_bytes_at(out) : "";
        mw_engine_tell(L, mw_engine_taps_of(h), MW_ENGINE_MESSAGES, MW_PROBE_SEND, topic, at, mw_bytes_len(out));
        mw_host_hooked(h, 1);
        mw_host_hooks(h)->message(mw_host_hooks(h)->ud, topic, at, mw_bytes_len(out));
        mw_host_hooked(h, 0);
    }
    mw_scratch_give(L, n + 2);
    if (rc < 0) return mw_codec_push_fault(L, "host.emit", &fault, NULL, &err);
    lua_pushboolean(L, 1);
    return 1;
}

static const char *const own[] = {"emit", "functions", "handle", "on", "use", NULL};

int mw_engine_may_name(const char *name) {
    if (*name == 0 || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != strlen(name)) return 0;
    for (size_t i = 0; own[i] != NULL; i++)
        if (strcmp(own[i], name) == 0) return 0;
    return 1;
}

/* Whether the function at idx is still the program's.                                                        [-0, +0, -] */
static int lives(lua_State *L, int idx) {
    const struct mw_engine_function *it;

    if (lua_getupvalue(L, idx, 1) == NULL) return 0;
    it = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return it->live;
}

/* Raises: the name at 1 is none in the table at 2.                                                            [-0, +0, e] */
static int unknown(lua_State *L) {
    size_t n = 0, room = sizeof own / sizeof *own;
    const char **known;

    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) room++;
    known = lua_newuserdatauv(L, room * sizeof *known, 0);              /* [name functions known] */
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1))
        if (lives(L, -1)) known[n++] = lua_tostring(L, -2);
    for (size_t i = 0; own[i] != NULL; i++) known[n++] = own[i];
    known[n] = NULL;
    lua_newtable(L);
    lua_pushvalue(L, 1);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    mw_opt_open_as(L, 4, "host", "function", known, 0);
    return 0;
}

/* find(name) -> function; raises when there is none of that name                                              [-0, +1, e] */
static int engine_find(lua_State *L) {
    engine_here(L, "host");
    if (lua_type(L, 1) != LUA_TSTRING) return mw_raise_inval(L, "host", "functions are named, not indexed with a %s", luaL_typename(L, 1));
    lua_settop(L, 1);
    push_table(L, &functions_key);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 2) == LUA_TFUNCTION && lives(L, 3)) return 1;
    lua_settop(L, 2);
    return unknown(L);
}

/* functions() -> { name = function }                                                                          [-0, +1, e] */
static int engine_functions(lua_State *L) {
    engine_here(L, "host");
    lua_settop(L, 0);
    push_table(L, &functions_key);
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {               /* [functions out name f] */
        if (!lives(L, 4)) continue;
        lua_pushvalue(L, 3);
        lua_pushvalue(L, 4);
        lua_rawset(L, 2);
    }
    return 1;
}

/* ---- The engine's own life --------------------------------------------------------------------------------------------------- */

int mw_engine_open(mw_host *h, size_t queue, mw_engine **out, struct mw_err *err) {
    mw_engine *e = calloc(1, sizeof *e);
    int rc;

    if (e == NULL) return mw_err_set(err, MW_ENOMEM, "host", NULL, NULL);
    e->host = h;
    e->kept_end = &e->kept;
    e->keeps_max = queue / 2 + queue % 2;
    rc = mw_mail_open(h, queue, (size_t)mw_host_limits(h)->buffered, &e->mail, err);
    if (rc == 0 && (rc = mw_host_slot_set(h, &slot_key, e)) < 0) mw_err_set(err, rc, "host", NULL, NULL);
    if (rc < 0) {
        mw_engine_free(e);
        return rc;
    }
    e->source.look = look;
    e->source.sleeps = sleeps;
    mw_host_watch(h, &e->source);
    *out = e;
    return 0;
}
void mw_engine_end(mw_engine *e) {
    if (e == NULL) return;
    mw_host_unwatch(&e->source);
    sort(e, unkeep(e), DROP_ALL);
    mw_engine_taps_end(&e->taps);
    mw_mail_close(e->mail);
}
void mw_engine_free(mw_engine *e) {
    if (e == NULL) return;
    mw_engine_taps_end(&e->taps);
    mw_mail_free(e->mail);
    free(e);
}
struct mw_engine_taps *mw_engine_taps_of(mw_host *h) {
    return &((mw_engine *)mw_host_slot(h, &slot_key))->taps;
}
mw_mail *mw_engine_mail(mw_engine *e) {
    return e->mail;
}

/* core.engine                                                                                                 [-0, +1, m] */
int mw_door_engine(lua_State *L) {
    static const luaL_Reg door[] = {{"on", engine_on}, {"emit", engine_emit}, {"handle", engine_handle}, {"find", engine_find},
                                    {"functions", engine_functions}, {"use", engine_use}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"close", handler_close}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", handler_gc}, {"__close", handler_close}, {"__tostring", handler_tostring}, {NULL, NULL}};

    engine_here(L, "host");
    mw_type_new(L, HANDLER, methods, meta);
    luaL_newmetatable(L, LETTER);
    lua_pushcfunction(L, letter_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newlib(L, door);
    return 1;
}
