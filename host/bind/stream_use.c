/* Middleware and taps of streams. Functions for "recv" get what has arrived, piece by piece, before it is cut into lines or counted: they
 * are called by the task that reads, between the stream's own queue and a second one, from which that read and later ones are served.
 * Knows: bind/stream_box, bind/use, bind/tap, core, lua.h. Never: called where there is none; a byte out of its order. */
#include <lauxlib.h>
#include <stdlib.h>

#include "bind/arg.h"
#include "bind/stream_box.h"
#include "bind/tap.h"
#include "bind/use.h"

#define GUARD "mw.stream.guard"

enum {
    CHUNK = 64 * 1024,           /* bytes that functions get at a time, at most */
    STREAK = 32                  /* pieces in a row; then others have their turn */
};

/* ---- What a stream has ------------------------------------------------------------------------------------------------- */

static struct mw_stream_more *more_of(struct mw_stream_box *box) {
    if (box->more != NULL) return box->more;
    box->more = calloc(1, sizeof *box->more);
    if (box->more != NULL) mw_turn_init(&box->more->turn);
    return box->more;
}

/* The run's trace begins, or ends. */
static void turn(lua_State *L, struct mw_tapped *it, const mw_trace *over) {
    struct mw_stream_box *box = MW_LIST_ENTRY(it, struct mw_stream_box, tapped);
    struct mw_stream_more *more = over == NULL ? more_of(box) : box->more;

    (void)L;
    if (more == NULL) return;
    more->run = over == NULL;
    if (over != NULL) mw_tap_leave(&more->probes, over);
}

void mw_stream_more_run(lua_State *L, struct mw_stream_box *box) {
    mw_tapped_add(L, &box->tapped, turn);
}

void mw_stream_more_end(struct mw_stream_box *box) {
    struct mw_stream_more *more = box->more;

    if (more == NULL) return;
    box->more = NULL;
    mw_tap_end(&more->probes);
    mw_turn_end(&more->turn);
    mw_bytes_free(&more->cooked);
    free(more);
}

/* The run's own probe is made when there is something to tell: by then the stream has a name. */
mw_probe *mw_stream_probes(lua_State *L, struct mw_stream_box *box) {
    struct mw_stream_more *more = box->more;

    if (more == NULL) return NULL;
    if (more->run) mw_tap_run(L, &more->probes, MW_PROBE_STREAM, mw_stream_subject(box->s));
    more->run = 0;
    return more->probes;
}

void mw_stream_tell(lua_State *L, struct mw_stream_box *box, int dir, const void *at, size_t len) {
    if (len > 0) mw_tap_message(L, mw_stream_probes(L, box), dir, at, len);
}

int mw_stream_use(lua_State *L) {
    struct mw_stream_box *box = mw_stream_box_at(L, 1);
    struct mw_stream_more *more;
    struct mw_err err;

    mw_use_arguments(L);
    if (luaL_newmetatable(L, GUARD)) {
        lua_pushcfunction(L, mw_stream_guard_close);
        lua_setfield(L, -2, "__close");
    }
    lua_settop(L, 2);
    more = more_of(box);
    if (more == NULL) {
        mw_err_set(&err, MW_ENOMEM, "stream.use", NULL, NULL);
        return mw_raise(L, &err);
    }
    if (mw_tap_test(L, 2)) mw_tap_attach(L, 2, MW_STREAM_MORE, &more->probes, MW_PROBE_STREAM, mw_stream_subject(box->s));
    else more->uses = (unsigned)mw_use_add(L, 2, MW_STREAM_MORE, "stream.use") & 0x7fffffff;
    lua_settop(L, 1);
    return 1;
}

/* ---- Writing ------------------------------------------------------------------------------------------------------------ */

/* [stream data...]: what the last function passes.                                                    [-0, +1|2, y] */
static int write_end(lua_State *L) {
    lua_settop(L, 2);
    if (lua_type(L, 2) != LUA_TSTRING) return mw_raise_inval(L, "stream.use", "a function for \"send\" must pass a string, got %s", luaL_typename(L, 2));
    return mw_stream_write_raw(L);
}

int mw_stream_write_used(lua_State *L, struct mw_stream_box *box) {
    int n = lua_gettop(L) - 1;

    for (int i = 1; i <= n; i++) {
        if (lua_isstring(L, i + 1)) continue;
        return mw_raise_inval(L, "stream.write", "argument %d: string or number expected, got %s", i, luaL_typename(L, i + 1));
    }
    lua_concat(L, n);                                                   /* [stream data] */
    if (n == 1) lua_tolstring(L, 2, NULL);
    if (box->more->uses == 0) return mw_stream_write_raw(L);
    lua_getiuservalue(L, 1, MW_STREAM_MORE);
    return mw_use_send(L, write_end);
}

/* ---- Reading ------------------------------------------------------------------------------------------------------------ */

/* [stream args... read guard results...]; ctx is the place of the copy of the read; the guard, behind it, gives the turn back however the
 * call ends. */
static int read_step(lua_State *L, int at);

/* guard.__close(guard): user value 1 is the stream                                                    [-0, +0, -] */
int mw_stream_guard_close(lua_State *L) {
    struct mw_stream_box *box;

    lua_getiuservalue(L, 1, 1);
    box = lua_touserdata(L, -1);
    if (box != NULL && box->more != NULL) mw_turn_give(&box->more->turn);
    return 0;
}

static int begin(lua_State *L, int at) {                                /* the turn is ours */
    lua_settop(L, at);
    lua_newuserdatauv(L, 0, 1);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    luaL_setmetatable(L, GUARD);
    lua_toclose(L, -1);
    return read_step(L, at);
}

static int turn_k(lua_State *L, int code, lua_KContext ctx) {
    const struct mw_stream_box *box = lua_touserdata(L, 1);
    const struct mw_read *r = lua_touserdata(L, (int)ctx);
    struct mw_err err;

    if (code == 0) return begin(L, (int)ctx);
    if (code == MW_ECANCELED) return mw_wait_cancelled(L);
    mw_err_set(&err, code, "stream read", mw_stream_subject(box->s), code == MW_ETIMEDOUT ? "another task was reading" : NULL);
    return r->raises ? mw_raise(L, &err) : mw_push_err(L, &err);
}

/* The box is at 1; the strings that `r` lends are on the stack. */
int mw_stream_read_used(lua_State *L, const struct mw_read *r) {
    struct mw_stream_box *box = lua_touserdata(L, 1);
    struct mw_read *kept;
    int at;

    luaL_checkstack(L, 12, "stream.read");
    kept = lua_newuserdatauv(L, sizeof *kept, 0);
    *kept = *r;
    kept->seen = 0;                                                     /* of the other queue */
    at = lua_gettop(L);
    if (mw_turn_try(&box->more->turn)) return begin(L, at);
    if (!mw_wait_possible(L)) return mw_raise_inval(L, "stream.read", "another task is reading, and one cannot wait here");
    return mw_turn_yield(L, &box->more->turn, r->deadline, at, turn_k);
}

/* What the functions made of a piece: [.. read guard results...]. -1: go on; or the number of results. */
static int add_cooked(lua_State *L, struct mw_stream_box *box, const struct mw_read *r, int at) {
    int first = at + 2;
    size_t len;
    const char *bytes;

    if (lua_isnoneornil(L, first)) {
        if (lua_isnoneornil(L, first + 1)) {
            lua_settop(L, at + 1);
            return -1;                                                  /* dropped */
        }
        if (!r->raises) return lua_gettop(L) - at - 1;
        lua_settop(L, first + 1);
        return lua_error(L);
    }
    if (lua_type(L, first) != LUA_TSTRING) {
        return mw_raise_inval(L, "stream.use", "a function for \"recv\" must return a string or nil, got %s", luaL_typename(L, first));
    }
    bytes = lua_tolstring(L, first, &len);
    if (box->more == NULL || mw_bytes_add(&box->more->cooked, bytes, len) < 0) {
        struct mw_err err;
        mw_err_set(&err, MW_ENOMEM, "stream read", mw_stream_subject(box->s), NULL);
        return mw_raise(L, &err);
    }
    lua_settop(L, at + 1);
    return -1;
}

static int cooked_k(lua_State *L, int status, lua_KContext ctx) {
    int at = (int)ctx, n = add_cooked(L, lua_touserdata(L, 1), lua_touserdata(L, at), at);
    (void)status;
    return n < 0 ? read_step(L, at) : n;
}

/* Other tasks have run. */
static int passed_k(lua_State *L, int code, lua_KContext ctx) {
    (void)code;
    lua_settop(L, (int)ctx + 1);
    return read_step(L, (int)ctx);
}

/* Something has come, or will not; the reader's turn is ours. */
static int woken_k(lua_State *L, int code, lua_KContext ctx) {
    struct mw_stream_box *box = lua_touserdata(L, 1);
    struct mw_read *r = lua_touserdata(L, (int)ctx);
    struct mw_err err;

    mw_turn_give(mw_stream_reader(box->s));
    lua_settop(L, (int)ctx + 1);
    box->streak = 0;
    if (code == MW_ECANCELED) return mw_wait_cancelled(L);
    if (code == 0 || mw_bytes_len(mw_stream_in(box->s)) > 0) return read_step(L, (int)ctx);
    r->why = NULL;
    mw_err_set(&err, code, "stream read", mw_stream_subject(box->s), NULL);
    return mw_read_fail(L, box->s, r, code, &err);
}

/* One who read before there were functions still waits: it has what comes next. */
static int reader_k(lua_State *L, int code, lua_KContext ctx) {
    const struct mw_stream_box *box = lua_touserdata(L, 1);

    if (code == 0) {
        mw_turn_give(mw_stream_reader(box->s));
        lua_settop(L, (int)ctx + 1);
        return read_step(L, (int)ctx);
    }
    return turn_k(L, code, ctx);
}

static int wait_more(lua_State *L, struct mw_stream_box *box, const struct mw_read *r, int at) {
    struct mw_turn *reader = mw_stream_reader(box->s);

    if (!mw_wait_possible(L)) return mw_raise_inval(L, "stream.read", "nothing is there yet, and one cannot wait here (outside a task, or in a C callback)");
    if (!mw_turn_try(reader)) return mw_turn_yield(L, reader, r->deadline, at, reader_k);
    mw_stream_need(box->s, 0);
    mw_stream_await(box->s, NULL, NULL);
    return mw_wait_yield_raw(L, mw_stream_readable(box->s), r->deadline, at, woken_k);
}

/* Pushes the first function's call for the next piece and takes the piece off the queue: 1; 0: it has gone meanwhile.  [-0, +0|2, m] */
static int take_piece(lua_State *L, struct mw_stream_box *box) {
    mw_stream *s = box->s;
    size_t n = mw_bytes_len(mw_stream_in(s));
    uint64_t place = mw_stream_offset(s);

    if (n > CHUNK) n = CHUNK;
    lua_getiuservalue(L, 1, MW_STREAM_MORE);
    mw_use_push(L, 1, -1, MW_USE_RECV, 1, NULL);
    lua_replace(L, -2);                                                 /* [.. pass] */
    lua_pushlstring(L, mw_bytes_at(mw_stream_in(s)), n);                /* [.. pass piece] */
    if (mw_stream_offset(s) != place || mw_bytes_len(mw_stream_in(s)) < n) return lua_pop(L, 2), 0; /* a finalizer has read it */
    mw_stream_tell(L, box, MW_PROBE_RECV, mw_bytes_at(mw_stream_in(s)), n);
    mw_stream_consume(s, n);
    return 1;
}

/* Enough: [.. result]                                                                                 [-0, +1|2, e] */
static int give(lua_State *L, struct mw_stream_box *box, const struct mw_read *r) {
    int n = mw_read_push(L, box->s, mw_bytes_at(&box->more->cooked), r);

    if (n == 1) mw_bytes_consume(&box->more->cooked, r->use);
    return n;
}

static int read_step(lua_State *L, int at) {
    struct mw_stream_box *box = lua_touserdata(L, 1);
    struct mw_read *r = lua_touserdata(L, at);
    struct mw_err err;

    for (;;) {
        int rc;

        r->why = NULL;
        if (box->more == NULL || mw_stream_closed(box->s)) return mw_read_fail(L, box->s, r, mw_stream_fill(box->s, 0, &err), &err);
        rc = mw_read_look(&box->more->cooked, r);
        if (rc == 0 && mw_bytes_len(mw_stream_in(box->s)) == 0) {
            rc = mw_stream_fill(box->s, 0, &err);
            if (rc == 0) return wait_more(L, box, r, at);
            if (rc == MW_EEOF) rc = mw_read_look_at_end(&box->more->cooked, r);
            else if (rc > 0) continue;
        }
        if (rc > 0) return give(L, box, r);
        if (rc < 0) return mw_read_fail(L, box->s, r, rc, &err);
        if (box->streak++ >= STREAK && mw_wait_possible(L)) {
            box->streak = 0;
            return mw_wait_pass(L, at, passed_k);
        }
        if (!take_piece(L, box)) continue;
        lua_callk(L, 1, LUA_MULTRET, at, cooked_k);
        rc = add_cooked(L, box, r, at);
        if (rc >= 0) return rc;
    }
}
