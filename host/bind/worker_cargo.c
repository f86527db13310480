/* What goes to a worker and back: values as bytes, and objects as parcels behind them.
 * Knows: bind/parcel, codec/value, share/worker. Never: waits.
 *
 * A record with objects ends with its parcels and their number. Objects are packed once all values are written, so that one that cannot
 * be sent stops the message before anything is handed over. */
#include "bind/worker.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static const char talk_key; /* registry: the talk, whose user value is the table of objects of the message at hand */

/* ---- The talk -------------------------------------------------------------------------------------------------------------- */

static void clear(struct mw_talk *t) {
    while (t->packed > 0) mw_parcel_drop(&t->cargo[--t->packed]);
    t->count = 0;
    mw_bytes_consume(&t->bytes, mw_bytes_len(&t->bytes));
    mw_bytes_shrink(&t->bytes, 1u << 20);
}

static int talk_gc(lua_State *L) {
    struct mw_talk *t = lua_touserdata(L, 1);

    clear(t);
    mw_bytes_free(&t->bytes);
    return 0;
}

static struct mw_talk *talk_of(lua_State *L) {
    struct mw_talk *t;

    lua_rawgetp(L, LUA_REGISTRYINDEX, &talk_key);
    t = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (t != NULL) return t;
    t = lua_newuserdatauv(L, sizeof *t, 1);
    memset(t, 0, sizeof *t);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, talk_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &talk_key);
    return t;
}

struct mw_talk *mw_talk_begin(lua_State *L) {
    struct mw_talk *t = talk_of(L);

    clear(t);
    return t;
}

/* Pushes the table of objects; a new one for a new message.                                                [-0, +1, m] */
static void push_objects(lua_State *L, int new) {
    luaL_checkstack(L, 6, "objects");
    lua_rawgetp(L, LUA_REGISTRYINDEX, &talk_key);                       /* [talk] */
    if (new) {
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, -3, 1);
    } else {
        lua_getiuservalue(L, -1, 1);
    }
    lua_remove(L, -2);                                                  /* [objects] */
}

/* ---- Writing --------------------------------------------------------------------------------------------------------------- */

int mw_talk_hook_put(void *ud, lua_State *L, int idx, uint32_t *slot, struct mw_err *err) {
    struct mw_talk *t = ud;
    const void *object = lua_touserdata(L, idx);
    uint32_t i = 0;

    if (mw_parcel_test(L, idx) == MW_PARCEL_NONE) return 1;
    while (i < t->count && t->objects[i] != object) i++;
    *slot = i;
    if (i < t->count) return 0;
    if (i == MW_CARGO_MAX) return mw_err_setf(err, MW_ELIMIT, NULL, NULL, "a message holds at most %u objects", MW_CARGO_MAX);
    push_objects(L, i == 0);
    lua_pushvalue(L, idx);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
    lua_pop(L, 1);
    t->objects[t->count++] = object;
    return 0;
}

int mw_talk_write(lua_State *L, struct mw_talk *t, int idx, struct mw_err *err) {
    struct mw_value_options o = {.record = MW_ERROR_TYPE, .bytes_max = MW_WORKER_BYTES, .put = mw_talk_hook_put, .ud = t};
    return mw_value_write(L, idx, &t->bytes, &o, err);
}

/* Undoes what was packed, the objects on top.                                                              [-0, +0, m] */
static void give_back(lua_State *L, struct mw_talk *t) {
    while (t->packed > 0) {
        lua_rawgeti(L, -1, (lua_Integer)t->packed);
        mw_parcel_return(L, lua_gettop(L), &t->cargo[--t->packed]);
        lua_pop(L, 1);
    }
}

/* All or none.                                                                                            [-0, +0, m] */
static int take_apart(lua_State *L, struct mw_talk *t, struct mw_err *err) {
    int rc = 0;

    push_objects(L, 0);
    while (rc == 0 && t->packed < t->count) {
        lua_rawgeti(L, -1, (lua_Integer)t->packed + 1);
        rc = mw_parcel_pack(L, lua_gettop(L), &t->cargo[t->packed], err);
        if (rc == 0) t->packed++;
        lua_pop(L, 1);
    }
    if (rc < 0) give_back(L, t);
    lua_pop(L, 1);
    return rc;
}

static int pack(lua_State *L, struct mw_talk *t, struct mw_err *err) {
    uint32_t count = t->count;
    int rc = take_apart(L, t, err);

    if (rc < 0) return rc;
    push_objects(L, 0);
    if ((mw_bytes_add(&t->bytes, t->cargo, count * sizeof *t->cargo) < 0 || mw_bytes_add(&t->bytes, &count, sizeof count) < 0))
        rc = mw_err_set(err, MW_ENOMEM, "send", NULL, NULL);
    if (rc < 0) give_back(L, t);
    lua_pop(L, 1);
    return rc;
}

int mw_talk_put(lua_State *L, struct mw_talk *t, struct mw_end *e, enum mw_worker_queue which, unsigned kind, uint64_t id, struct mw_err *err) {
    int rc = t->count > 0 ? pack(L, t, err) : 0;

    if (rc < 0) return rc;
    rc = mw_end_put(e, which, t->count > 0 ? kind | MW_KIND_CARGO : kind, id, &t->bytes);
    if (rc < 0) mw_err_set(err, rc, "send", NULL, NULL);
    if (t->count == 0) return rc;
    push_objects(L, 0);
    if (rc < 0) give_back(L, t);
    lua_pop(L, 1);
    push_objects(L, 1); /* ours are let go */
    lua_pop(L, 1);
    t->packed = t->count = 0; /* they are the queue's */
    return rc;
}

/* ---- Objects apart from their record --------------------------------------------------------------------------------------- */

void mw_cargo_free(struct mw_cargo *c) {
    if (c == NULL) return;
    while (c->count > 0) mw_parcel_drop(&c->at[--c->count]);
    free(c);
}

static struct mw_cargo *cargo_new(const struct mw_parcel *from, uint32_t count) {
    struct mw_cargo *c = malloc(sizeof *c + count * sizeof c->at[0]);

    if (c == NULL) return NULL;
    c->count = count;
    memcpy(c->at, from, count * sizeof c->at[0]);
    return c;
}

int mw_talk_pack(lua_State *L, struct mw_talk *t, struct mw_cargo **out, struct mw_err *err) {
    int rc = t->count > 0 ? take_apart(L, t, err) : 0;

    *out = NULL;
    if (rc < 0 || t->count == 0) return rc;
    *out = cargo_new(t->cargo, t->count);
    push_objects(L, 0);
    if (*out == NULL) {
        rc = mw_err_set(err, MW_ENOMEM, "send", NULL, NULL);
        give_back(L, t);
    }
    lua_pop(L, 1);
    t->packed = t->count = 0;
    return rc;
}

/* A copy with descriptors of its own; on failure it is empty. */
static int copy(const struct mw_parcel *from, struct mw_parcel *out) {
    *out = *from;
    out->unread = (struct mw_bytes){ 0 };
    for (out->fd_count = 0; out->fd_count < from->fd_count; out->fd_count++) {
        int fd = fcntl(from->fds[out->fd_count], F_DUPFD_CLOEXEC, 3);
        if (fd < 0) {
            int rc = -errno;
            mw_parcel_drop(out);
            return rc;
        }
        out->fds[out->fd_count] = fd;
    }
    if (mw_bytes_len(&from->unread) == 0 || mw_bytes_add(&out->unread, mw_bytes_at(&from->unread), mw_bytes_len(&from->unread)) == 0) return 0;
    mw_parcel_drop(out);
    return MW_ENOMEM;
}

int mw_cargo_add(const struct mw_cargo *c, struct mw_bytes *record) {
    struct mw_parcel list[MW_CARGO_MAX];
    size_t size = c->count * sizeof *list;
    uint32_t n = 0;
    char *at;
    int rc = 0;

    while (n < c->count && (rc = copy(&c->at[n], &list[n])) == 0) n++;
    at = rc == 0 ? mw_bytes_reserve(record, size + sizeof n, NULL) : NULL;
    if (at == NULL) {
        while (n > 0) mw_parcel_drop(&list[--n]);
        return rc < 0 ? rc : MW_ENOMEM;
    }
    memcpy(at, list, size);
    memcpy(at + size, &n, sizeof n);
    mw_bytes_commit(record, size + sizeof n);
    return 0;
}

/* ---- Reading --------------------------------------------------------------------------------------------------------------- */

/* The parcels behind a record's values; *len is then without them. Our own thread's other side wrote them. */
static uint32_t parcels(const char *at, size_t *len, struct mw_parcel out[MW_CARGO_MAX]) {
    uint32_t count;

    memcpy(&count, at + *len - sizeof count, sizeof count);
    *len -= sizeof count + count * sizeof *out;
    memcpy(out, at + *len, count * sizeof *out);
    return count;
}

struct mw_talk *mw_talk_open(lua_State *L, unsigned kind, const char **at, size_t *len) {
    struct mw_talk *t = mw_talk_begin(L);

    if (!(kind & MW_KIND_CARGO)) return t;
    t->packed = parcels(*at, len, t->cargo);
    push_objects(L, 1);
    lua_pop(L, 1);
    return t;
}

struct mw_cargo *mw_cargo_of(const char *at, size_t *len) {
    struct mw_parcel list[MW_CARGO_MAX];
    uint32_t count = parcels(at, len, list);
    struct mw_cargo *c = cargo_new(list, count);

    while (c == NULL && count > 0) mw_parcel_drop(&list[--count]);
    return c;
}

struct mw_talk *mw_talk_load(lua_State *L, struct mw_cargo *c) {
    struct mw_talk *t = mw_talk_begin(L);

    memcpy(t->cargo, c->at, c->count * sizeof *t->cargo);
    t->packed = c->count;
    c->count = 0;
    push_objects(L, 1);
    lua_pop(L, 1);
    return t;
}

/* An object that comes twice is one.                                                                       [-0, +1|0, m] */
int mw_talk_hook_get(void *ud, lua_State *L, uint32_t slot, struct mw_err *err) {
    struct mw_talk *t = ud;
    int rc;

    if (slot >= t->packed) return mw_err_set(err, MW_EPARSE, "receive", NULL, "an object that is not there");
    push_objects(L, 0);                                                 /* [objects] */
    if (lua_rawgeti(L, -1, (lua_Integer)slot + 1) == LUA_TNIL) {
        struct mw_parcel one = t->cargo[slot];
        lua_pop(L, 1);
        memset(&t->cargo[slot], 0, sizeof one); /* taken, whatever happens */
        rc = mw_parcel_unpack(L, &one, err);
        if (rc < 0) {
            lua_pop(L, 1);
            return rc;
        }
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, (lua_Integer)slot + 1);
    }
    lua_remove(L, -2);                                                  /* [object] */
    return 0;
}

int mw_talk_read(lua_State *L, struct mw_talk *t, const char **at, size_t *len, struct mw_err *err) {
    struct mw_value_options o = {.record = MW_ERROR_TYPE, .get = mw_talk_hook_get, .ud = t};
    size_t used = 0;
    int rc = mw_value_read(L, *at, *len, &used, &o, err);

    *at += used;
    *len -= used;
    return rc;
}

void mw_talk_close(struct mw_talk *t) {
    while (t->packed > 0) mw_parcel_drop(&t->cargo[--t->packed]);
}

void mw_talk_drop(void *ud, const struct mw_record *r) {
    struct mw_parcel list[MW_CARGO_MAX];
    size_t len = r->len;
    uint32_t count = r->kind & MW_KIND_CARGO ? parcels(r->at, &len, list) : 0;

    (void)ud;
    while (count > 0) mw_parcel_drop(&list[--count]);
}
