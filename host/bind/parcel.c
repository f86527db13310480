/* Parcels: objects taken apart into descriptors and facts, and put together again.
 * Knows: share, io/stream, lua.h. Never: a way of sending. */
#include "bind/parcel.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/channel.h"
#include "bind/ring.h"
#include "bind/shm.h"
#include "bind/stream.h"
#include "io/secure.h"

enum { READONLY = 1 };                   /* flags of a memory */
enum { TWO = 1, IN = 2, OUT = 4 };       /* of a stream: descriptors of its own for both directions; the directions it has */

enum mw_parcel_kind mw_parcel_test(lua_State *L, int idx) {
    if (lua_type(L, idx) != LUA_TUSERDATA) return MW_PARCEL_NONE;
    if (luaL_testudata(L, idx, MW_MEMORY_TYPE) != NULL) return MW_PARCEL_MEMORY;
    if (luaL_testudata(L, idx, MW_RING_TYPE) != NULL) return MW_PARCEL_RING;
    if (luaL_testudata(L, idx, MW_STREAM_TYPE) != NULL) return MW_PARCEL_STREAM;
    return MW_PARCEL_NONE;
}

void mw_parcel_drop(struct mw_parcel *p) {
    while (p->fd_count > 0) close(p->fds[--p->fd_count]);
    mw_bytes_free(&p->unread);
    memset(p, 0, sizeof *p);
}

char mw_parcel_byte(const struct mw_parcel *p) {
    return (char)(p->kind << 4 | p->flags);
}

int mw_parcel_from_byte(struct mw_parcel *p, int byte, const int *fds, int count) {
    memset(p, 0, sizeof *p);
    p->kind = (uint32_t)byte >> 4 & 15u;
    p->flags = (uint32_t)byte & 15u;
    for (int i = 0; i < count; i++) {
        if (p->fd_count < MW_PARCEL_FDS) p->fds[p->fd_count++] = fds[i];
        else close(fds[i]);
    }
    if (count <= (int)MW_PARCEL_FDS && (p->kind == MW_PARCEL_MEMORY || p->kind == MW_PARCEL_RING)) return 0;
    mw_parcel_drop(p);
    return MW_EINVAL;
}

void mw_parcel_return(lua_State *L, int idx, struct mw_parcel *p) {
    mw_ring *r = p->kind == MW_PARCEL_RING ? mw_ring_test(L, idx) : NULL;

    if (r != NULL && p->fd_count == 2) {
        mw_ring_hand_back(r, p->fds, p->flags);
        p->fd_count = 0;
    }
    mw_parcel_drop(p);
}

/* ---- Taking apart ----------------------------------------------------------------------------------------------------------------- */

static int pack_memory(lua_State *L, int idx, struct mw_parcel *out, struct mw_err *err) {
    mw_memory *m = mw_memory_test(L, idx);
    int fd;

    if (m == NULL || m->fd < 0) return mw_err_set(err, MW_EINVAL, "parcel", "memory", "it is closed");
    fd = mw_memory_lend(m, err);
    if (fd < 0) return fd;
    out->kind = MW_PARCEL_MEMORY;
    out->flags = m->readonly ? READONLY : 0;
    out->facts[0] = m->size;
    out->fds[out->fd_count++] = fd;
    return 0;
}

/* flags: the side. */
static int pack_ring(lua_State *L, int idx, struct mw_parcel *out, struct mw_err *err) {
    mw_ring *r = mw_ring_test(L, idx);
    unsigned side = 0;
    int rc = r != NULL ? mw_ring_hand(r, out->fds, &side, &out->facts[0], err) : mw_err_set(err, MW_EINVAL, "parcel", "ring", "it is closed");

    if (rc < 0) return rc;
    out->kind = MW_PARCEL_RING;
    out->flags = side;
    out->fd_count = 2;
    return 0;
}

static int copy_fd(struct mw_parcel *out, int fd, struct mw_err *err) {
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    if (copy < 0) return mw_err_sys(err, "parcel", "stream");
    out->fds[out->fd_count++] = copy;
    return 0;
}

static int pack_stream(lua_State *L, int idx, struct mw_parcel *out, struct mw_err *err) {
    mw_stream *s = mw_stream_test(L, idx);
    int rfd, wfd, rc = 0;
    size_t given, unread;

    if (s == NULL || mw_stream_closed(s)) return mw_err_set(err, MW_EINVAL, "parcel", "stream", "it is closed");
    if (mw_stream_reader(s)->held || !mw_wait_empty(mw_stream_readable(s)) || !mw_wait_empty(mw_stream_writable(s))) {
        return mw_err_set(err, MW_EINVAL, "parcel", mw_stream_subject(s), "a task waits for it");
    }
    if (mw_stream_is_secure(s)) return mw_err_set(err, MW_EINVAL, "parcel", mw_stream_subject(s), "it speaks TLS, which does not go with it");
    if (mw_stream_flush(s, err) != 0) return mw_err_set(err, MW_EINVAL, "parcel", mw_stream_subject(s), "it has bytes that are not sent yet: flush it first");
    if (mw_stream_kept(s)) return mw_err_set(err, MW_EINVAL, "parcel", mw_stream_subject(s), "a channel of it holds messages of a batch that were not received: receive them first");
    if (mw_stream_holds_fds(s)) return mw_err_set(err, MW_EINVAL, "parcel", mw_stream_subject(s), "it holds handles that were not taken");
    rfd = mw_stream_rfd(s);
    wfd = mw_stream_wfd(s);
    out->kind = MW_PARCEL_STREAM;
    out->flags = (rfd >= 0 ? IN : 0u) | (wfd >= 0 ? OUT : 0u) | (rfd >= 0 && wfd >= 0 && rfd != wfd ? TWO : 0u);
    if (rfd >= 0) rc = copy_fd(out, rfd, err);
    if (rc == 0 && wfd >= 0 && wfd != rfd) rc = copy_fd(out, wfd, err);
    given = mw_channel_lent(L, s);
    unread = mw_bytes_len(mw_stream_in(s)) - given;
    if (rc == 0 && unread > 0) rc = mw_bytes_add(&out->unread, mw_bytes_at(mw_stream_in(s)) + given, unread);
    if (rc < 0) return err->code == rc ? rc : mw_err_set(err, rc, "parcel", mw_stream_subject(s), NULL);
    mw_stream_share(s);
    mw_stream_close(s);
    return 0;
}

int mw_parcel_pack(lua_State *L, int idx, struct mw_parcel *out, struct mw_err *err) {
    int rc;

    memset(out, 0, sizeof *out);
    err->code = 0;
    switch (mw_parcel_test(L, idx)) {
    case MW_PARCEL_MEMORY: rc = pack_memory(L, idx, out, err); break;
    case MW_PARCEL_RING: rc = pack_ring(L, idx, out, err); break;
    case MW_PARCEL_STREAM: rc = pack_stream(L, idx, out, err); break;
    default: rc = mw_err_set(err, MW_EINVAL, "parcel", luaL_typename(L, idx), "shared memory, a ring or a stream is expected");
    }
    if (rc < 0) mw_parcel_drop(out);
    return rc;
}

/* ---- Putting together --------------------------------------------------------------------------------------------------------------- */

static int odd(struct mw_err *err) {
    return mw_err_set(err, MW_EINVAL, "parcel", NULL, "it is not what it says");
}

/* The parcel's `i`-th descriptor is somebody else's from now on. */
static int take_fd(struct mw_parcel *p, unsigned i) {
    int fd = p->fds[i];

    p->fds[i] = p->fds[--p->fd_count];
    return fd;
}

static int unpack_memory(lua_State *L, struct mw_parcel *p, struct mw_err *err) {
    mw_memory **slot;

    if (p->fd_count != 1 || p->flags > READONLY) return odd(err);
    slot = mw_memory_box(L);
    return mw_memory_adopt(mw_host_of(L), take_fd(p, 0), p->facts[0], (p->flags & READONLY) != 0, slot, err);
}

static int unpack_ring(lua_State *L, struct mw_parcel *p, struct mw_err *err) {
    mw_ring **slot;

    if (p->fd_count != 2) return odd(err);
    slot = mw_ring_box(L);
    p->fd_count = 0;
    return mw_ring_adopt(mw_host_of(L), p->fds, p->flags, slot, err);
}

static int unpack_stream(lua_State *L, struct mw_parcel *p, struct mw_err *err) {
    unsigned wanted = p->flags & TWO ? 2 : 1;
    mw_stream **slot;
    int rfd = -1, wfd = -1, rc;

    if (p->fd_count != wanted || (p->flags & (IN | OUT)) == 0 || p->flags > (TWO | IN | OUT)) return odd(err);
    if ((p->flags & TWO) && (p->flags & (IN | OUT)) != (IN | OUT)) return odd(err);
    slot = mw_stream_box(L);
    if (p->flags & TWO) wfd = take_fd(p, 1);
    if (p->flags & IN) rfd = take_fd(p, 0);
    if (wfd < 0 && (p->flags & OUT)) wfd = rfd >= 0 ? rfd : take_fd(p, 0);
    rc = mw_stream_open(mw_host_of(L), rfd, wfd, "handle", "parcel", NULL, slot, err);
    if (rc == 0 && mw_bytes_len(&p->unread) > 0) rc = mw_stream_unread(*slot, mw_bytes_at(&p->unread), mw_bytes_len(&p->unread), err);
    return rc;
}

/* Lua's memory errors jump past the caller: what the parcel holds is let go first. */
static int unpack(lua_State *L) { /* in a protected call: parcel err */
    struct mw_parcel *p = lua_touserdata(L, 1);
    struct mw_err *err = lua_touserdata(L, 2);
    int rc;

    switch (p->kind) {
    case MW_PARCEL_MEMORY: rc = unpack_memory(L, p, err); break;
    case MW_PARCEL_RING: rc = unpack_ring(L, p, err); break;
    case MW_PARCEL_STREAM: rc = unpack_stream(L, p, err); break;
    default: rc = odd(err);
    }
    err->code = rc;
    return rc == 0;
}

int mw_parcel_unpack(lua_State *L, struct mw_parcel *p, struct mw_err *err) {
    int top = lua_gettop(L), status;

    if (!lua_checkstack(L, 6)) {
        mw_parcel_drop(p);
        return mw_err_set(err, MW_ENOMEM, "parcel", NULL, NULL);
    }
    lua_pushcfunction(L, unpack);
    lua_pushlightuserdata(L, p);
    lua_pushlightuserdata(L, err);
    err->code = 0;
    status = lua_pcall(L, 2, LUA_MULTRET, 0);
    mw_parcel_drop(p);
    if (status != LUA_OK) {
        lua_settop(L, top);
        return mw_err_set(err, MW_ENOMEM, "parcel", NULL, NULL);
    }
    if (lua_gettop(L) == top) return err->code;
    return 0;
}
