/* The handles of one state: made, counted, found again, closed.
 * Knows: bind/uv.h, luv's own record of a handle, io/socket. Never: keeps a handle from being collected once it is closed.
 *
 * Registry: { handles, seen, closing }. handles: those that nobody has closed, weak, each with its number. seen: the one that was
 * last found to keep uv.run: it mostly still does, and no other is looked at. closing: those whose close callback is to come. */
#include "bind/uv.h"
#include "core/weak.h"

#include <luv/lhandle.h>
#include <stdlib.h>
#include <string.h>

#include "io/socket.h"

#define OP "uv"
#define ROOM 2048                /* bytes: luv does not look whether it got the memory of a handle */
#define CLOSING_MIN 64           /* closed ones are looked for when there are twice as many as there were left, and these */

enum { HANDLES = 1, SEEN, CLOSING };

static const char handles_key;   /* registry: by address */

/* ---- The tables ------------------------------------------------------------------------------------------------------------- */

void mw_uv_handles_open(lua_State *L) {
    lua_createtable(L, 3, 0);                                          /* [all] */
    mw_weak_push(L, "k");
    lua_rawseti(L, -2, HANDLES);
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, SEEN);
    lua_newtable(L);
    lua_rawseti(L, -2, CLOSING);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &handles_key);
}

static void push_table(lua_State *L, int which) {
    luaL_checkstack(L, 5, OP);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handles_key);
    lua_rawgeti(L, -1, which);
    lua_remove(L, -2);
}

/* The value at idx gets `number` in a table; 0: is taken out. The number that it had.                      [-0, +0, m] */
static lua_Integer set(lua_State *L, int which, int idx, lua_Integer number) {
    lua_Integer old;

    idx = lua_absindex(L, idx);
    push_table(L, which);                                              /* [table] */
    lua_pushvalue(L, idx);
    lua_rawget(L, -2);
    old = lua_tointeger(L, -1);
    lua_pop(L, 1);
    lua_pushvalue(L, idx);
    if (number != 0) lua_pushinteger(L, number);
    else lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    return old;
}

void mw_uv_remember(lua_State *L, struct uv_door *d, int idx) {
    set(L, HANDLES, idx, ++d->made);
}

void mw_uv_forget(lua_State *L, int idx) {
    set(L, HANDLES, idx, 0);
}

int mw_uv_made(lua_State *L, struct uv_door *d, int n) {
    if (n < 1 || mw_uv_handle_at(L, -n) == NULL) return n;
    d->handles++;
    mw_uv_remember(L, d, -n);
    return n;
}

void mw_uv_room(lua_State *L, struct uv_door *d, const char *op) {
    struct mw_err err;
    void *volatile room;         /* else the compiler finds that nobody needs it */

    if (d->handles >= UV_HANDLES_MAX) {
        mw_err_setf(&err, MW_ELIMIT, op, NULL, "%u handles are open already", UV_HANDLES_MAX);
        mw_raise(L, &err);
    }
    room = malloc(ROOM);
    if (room == NULL) {
        mw_err_set(&err, MW_ENOMEM, op, NULL, NULL);
        mw_raise(L, &err);
    }
    free(room);
}

int mw_uv_is_open(lua_State *L, int idx) {
    uv_handle_t **box;
    const luv_handle_t *data;
    int is;

    if (mw_uv_is_process(L, idx)) return mw_uv_process_open(L, idx);
    box = lua_touserdata(L, idx);
    data = box != NULL && *box != NULL ? (*box)->data : NULL;
    if (data == NULL) return 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, data->ref); /* luv's anchor: given up when the close callback has run */
    is = lua_touserdata(L, -1) == (void *)box;
    lua_pop(L, 1);
    return is;
}

/* How many are still closing; the others are forgotten. Never allocates: the loop asks, too.                 [-0, +0, -] */
static unsigned closing(lua_State *L, struct uv_door *d) {
    unsigned left = 0;

    if (d->closing == 0) return 0;
    push_table(L, CLOSING);                                            /* [closing] */
    for (lua_pushnil(L); lua_next(L, -2);) {                           /* [closing handle number] */
        lua_pop(L, 1);
        if (mw_uv_is_open(L, -1)) {
            left++;
            continue;
        }
        lua_pushvalue(L, -1);
        lua_pushnil(L);
        lua_rawset(L, -4);
    }
    lua_pop(L, 1);
    if (left == 0 && d->closing > CLOSING_MIN) d->closing_big = 1;
    d->closing = d->closing_left = left;
    return left;
}

static void closes(lua_State *L, struct uv_door *d, int idx) {
    lua_Integer number = set(L, HANDLES, idx, 0);

    if (d->closing == 0 && d->closing_big) {                           /* an emptied table keeps its size, and is slow to walk */
        lua_rawgetp(L, LUA_REGISTRYINDEX, &handles_key);
        lua_newtable(L);
        lua_rawseti(L, -2, CLOSING);
        lua_pop(L, 1);
        d->closing_big = 0;
    }
    set(L, CLOSING, idx, number != 0 ? number : ++d->made);
    if (++d->closing > 2 * d->closing_left + CLOSING_MIN) closing(L, d);
}

/* One that looks at its file just now is closed when the thread pool is done with that. */
static void on_poll_closed(uv_handle_t *it) {
    const luv_handle_t *data = it->data;

    mw_host_lend_work(mw_host_of(data->ctx->L), 0);
}

void mw_uv_handles_shut(lua_State *L) {
    push_table(L, HANDLES);                                            /* [handles]: weak keys; luv anchors open ones */
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        uv_handle_t **box = mw_uv_is_process(L, -2) ? NULL : lua_touserdata(L, -2);

        if (box == NULL || *box == NULL || uv_is_closing(*box)) continue;
        if ((*box)->type == UV_TTY) uv_tty_reset_mode();
        if ((*box)->type == UV_FS_POLL) mw_host_lend_work(mw_host_of(L), 1);
        uv_close(*box, (*box)->type == UV_FS_POLL ? on_poll_closed : NULL);
    }
    lua_pop(L, 1);
}

/* ---- What goes on ----------------------------------------------------------------------------------------------------------- */

/* The value at idx, which is not closing, keeps uv.run. */
static int keeps(lua_State *L, int idx) {
    uv_handle_t **box;

    if (mw_uv_is_process(L, idx)) return mw_uv_process_alive(L, idx);
    box = lua_touserdata(L, idx);
    return mw_uv_is_open(L, idx) && !uv_is_closing(*box) && uv_is_active(*box) && uv_has_ref(*box);
}

int mw_uv_alive(lua_State *L, struct uv_door *d) {
    int top = lua_gettop(L), found = 0;

    if (mw_host_loop(d->host)->active_reqs.count > mw_host_works(d->host) || mw_uv_queued(L) > 0) return 1;
    if (!lua_checkstack(L, 12) || closing(L, d) > 0) return 1;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &handles_key);                   /* [all] */
    if (lua_rawgeti(L, -1, SEEN) == LUA_TUSERDATA) found = keeps(L, -1);
    lua_pop(L, 1);
    if (!found) {
        lua_rawgeti(L, -1, HANDLES);                                   /* [all handles] */
        for (lua_pushnil(L); !found && lua_next(L, -2);) {
            lua_pop(L, 1);
            found = keeps(L, -1);
        }
        if (found) lua_pushvalue(L, -1);
        else lua_pushboolean(L, 0);
        lua_rawseti(L, top + 1, SEEN);
    }
    lua_settop(L, top);
    return found;
}

static int by_number(const void *a, const void *b) {
    lua_Integer x = *(const lua_Integer *)a, y = *(const lua_Integer *)b;

    return (x > y) - (x < y);
}

size_t mw_uv_push_open(lua_State *L, const lua_Integer **out) {
    size_t count = 0, at = 0;
    lua_Integer *numbers;

    luaL_checkstack(L, 8, OP);
    lua_newtable(L);                                                   /* [found] */
    for (int which = HANDLES; which <= CLOSING; which += CLOSING - HANDLES) {
        push_table(L, which);
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {         /* [found table handle number] */
            if (!mw_uv_is_open(L, -2)) continue;
            lua_pushvalue(L, -2);
            lua_rawseti(L, -5, lua_tointeger(L, -2));
            count++;
        }
        lua_pop(L, 1);
    }
    numbers = lua_newuserdatauv(L, (count + 1) * sizeof *numbers, 0);  /* [found numbers] */
    for (lua_pushnil(L); lua_next(L, -3); lua_pop(L, 1)) numbers[at++] = lua_tointeger(L, -2);
    qsort(numbers, at, sizeof *numbers, by_number);
    *out = numbers;
    return at;
}

/* ---- New ones --------------------------------------------------------------------------------------------------------------- */

/* luv keeps the memory of a handle whose socket it could not make: it is asked for those alone that there will be. The family at
 * idx is none, a number or one of luv's names. 0, or what failed.                                                  [-0, +0|3, e] */
static int no_family(lua_State *L, int idx, const struct uv_rule *r, int type) {
    const char *name = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx) : NULL;
    lua_Integer family = AF_UNSPEC;
    int rc;

    if (name != NULL && strcmp(name, "inet") != 0 && strcmp(name, "inet6") != 0 && strcmp(name, "unspec") != 0)
        return mw_raise_inval(L, r->name, "argument 1: \"inet\" or \"inet6\" expected");
    if (name != NULL) family = strcmp(name, "inet") == 0 ? AF_INET : strcmp(name, "inet6") == 0 ? AF_INET6 : AF_UNSPEC;
    else if (!lua_isnoneornil(L, idx)) family = mw_param_integer(L, idx, r->name, "family", 0, 255);
    if (family == AF_UNSPEC && !lua_isnone(L, idx)) { /* luv does not know its own "unspec" */
        lua_pushnil(L);
        lua_replace(L, idx);
    }
    if (family == AF_UNSPEC) return 0;
    rc = family != AF_INET && family != AF_INET6 ? MW_EINVAL : mw_socket_try((int)family, type);
    return rc < 0 ? mw_uv_fail(L, rc) : 0;
}

int mw_uv_new(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    int n = 0;

    mw_uv_room(L, d, r->name);
    lua_settop(L, lua_gettop(L) > 1 ? 1 : lua_gettop(L));
    if (strcmp(r->name, "new_tcp") == 0) n = no_family(L, 1, r, SOCK_STREAM);
    else if (strcmp(r->name, "new_udp") == 0) n = no_family(L, 1, r, SOCK_DGRAM);
    else if (!lua_isnoneornil(L, 1)) mw_param_integer(L, 1, r->name, "argument 1", 0, 255);
    return n != 0 ? n : mw_uv_made(L, d, raw(L));
}

int mw_uv_new_udp(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    int n;

    if (lua_istable(L, 1)) {                                           /* { family, mmsgs }: a copy, read raw */
        lua_settop(L, 1);
        lua_createtable(L, 0, 2);
        lua_pushliteral(L, "family");
        lua_rawget(L, 1);
        n = no_family(L, lua_gettop(L), r, SOCK_DGRAM);
        if (n != 0) return n;
        lua_setfield(L, 2, "family");
        lua_pushliteral(L, "mmsgs");
        lua_rawget(L, 1);
        if (!lua_isnil(L, -1)) mw_param_integer(L, -1, r->name, "mmsgs", 1, 16);
        lua_setfield(L, 2, "mmsgs");
        lua_replace(L, 1);
        mw_uv_room(L, d, r->name);
        return mw_uv_made(L, d, raw(L));
    }
    return mw_uv_new(L, d, r, raw);
}

int mw_uv_new_pipe(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    if (lua_isnumber(L, 1) ? lua_tointeger(L, 1) != 0 : lua_toboolean(L, 1)) {
        mw_uv_need_all(L, d, r->name, "ipc", "denied: descriptors that arrive over it are checked by nobody");
        lua_settop(L, 0);
        lua_pushboolean(L, 1);
    } else {
        lua_settop(L, 0);
    }
    mw_uv_room(L, d, r->name);
    return mw_uv_made(L, d, raw(L));
}

/* ---- Closing ---------------------------------------------------------------------------------------------------------------- */

int mw_uv_close(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    int n;

    mw_uv_callback(L, 2, r->name, 1);
    mw_uv_poll_closing(d, mw_uv_handle(L, 1, r->name, UV_KIND_ANY));
    n = raw(L);
    d->handles--;
    closes(L, d, 1);
    mw_uv_pipe_closed(L, 1);
    mw_uv_watch_closed(L, 1);
    return n;
}

int mw_uv_tcp_close_reset(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    uv_handle_t *it = mw_uv_handle(L, 1, r->name, UV_KIND(TCP));
    int n;

    mw_uv_callback(L, 2, r->name, 1);
    n = raw(L);
    if (!uv_is_closing(it)) return n;
    d->handles--;
    closes(L, d, 1);
    return n;
}
