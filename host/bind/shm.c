/* Shared memory in Lua: made, opened, handed on, and its bytes. (Numbers in it: bind/shm_number.c.)
 * Knows: share/memory, bind/arg, lua.h. Never: a syscall. */
#include "bind/shm.h"

#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "bind/parcel.h"
#include "bind/ring.h"
#include "bind/shm_box.h"

#define SIZE_MAX_EVER ((uint64_t)1 << 40)     /* the limits say less */
#define SHORT 64                              /* bytes; Lua's own short strings have 40 at most */

static void open_type(lua_State *L);

/* ---- The box ------------------------------------------------------------------------------------------------------------------ */

mw_memory **mw_memory_box(lua_State *L) {
    open_type(L);
    return &((struct mw_memory_box *)mw_box_new(L, sizeof(struct mw_memory_box), MW_MEMORY_TYPE))->m;
}

mw_memory *mw_memory_test(lua_State *L, int idx) {
    struct mw_memory_box *box = luaL_testudata(L, idx, MW_MEMORY_TYPE);
    return box != NULL ? box->m : NULL;
}

mw_memory *mw_memory_self(lua_State *L) {
    struct mw_memory_box *box = mw_box_self(L, MW_MEMORY_TYPE);

    if (box->m == NULL) mw_raise_inval(L, "shm", "this memory was never made");
    return box->m;
}

static int memory_close(lua_State *L) {
    struct mw_memory_box *box = luaL_checkudata(L, 1, MW_MEMORY_TYPE);

    if (box->m != NULL) mw_memory_close(box->m);
    return 0;
}
static int memory_gc(lua_State *L) {
    struct mw_memory_box *box = luaL_checkudata(L, 1, MW_MEMORY_TYPE);
    mw_memory *m = box->m;

    box->m = NULL;
    if (m != NULL && m->fd >= 0) mw_box_warn(L, 1, "memory");
    mw_memory_free(m);
    return 0;
}
static int memory_tostring(lua_State *L) {
    struct mw_memory_box *box = luaL_checkudata(L, 1, MW_MEMORY_TYPE);
    mw_memory *m = box->m;
    char subject[256];

    if (m == NULL || m->fd < 0) {
        lua_pushliteral(L, "memory (closed)");
        return 1;
    }
    mw_err_escape(subject, sizeof subject, mw_memory_subject(m), strlen(mw_memory_subject(m)));
    lua_pushfstring(L, "memory %s%s(%I bytes%s)", subject, *subject ? " " : "", (LUAI_UACINT)m->size, m->readonly ? ", read only" : "");
    return 1;
}

/* ---- Making and opening --------------------------------------------------------------------------------------------------------- */

/* The options' name or path; both lent by the table. */
static void read_names(lua_State *L, const char *op, struct mw_memory_wish *w) {
    w->name = mw_opt_text(L, 1, op, "name", MW_MEMORY_NAME, NULL);
    w->path = mw_opt_text(L, 1, op, "path", 4096, NULL);
    if (w->name != NULL && w->path != NULL) mw_raise_inval(L, op, "options \"name\" and \"path\" exclude each other");
    if (w->name != NULL && (*w->name == '\0' || strcmp(w->name, "/") == 0)) mw_raise_inval(L, op, "option \"name\" is empty");
    if (w->path != NULL && *w->path == '\0') mw_raise_inval(L, op, "option \"path\" is empty");
}

static void check_table(lua_State *L, const char *op, const char *example) {
    if (lua_type(L, 1) != LUA_TTABLE) mw_raise_inval(L, op, "a table is expected: %s, got %s", example, luaL_typename(L, 1));
}

/* create{ size, name | path, exclusive } -> memory | nil, err                                          [-0, +1|2, e] */
static int shm_create(lua_State *L) {
    static const char *const known[] = { "size", "name", "path", "exclusive", NULL };
    const char *op = "shm create";
    struct mw_memory_wish w = { 0 };
    struct mw_err err;
    mw_memory **slot;

    lua_settop(L, 1);
    check_table(L, op, "{ size = \"1MiB\" }");
    mw_opt_open(L, 1, op, known, 0);
    read_names(L, op, &w);
    w.size = mw_opt_size(L, 1, op, "size", 1, SIZE_MAX_EVER, 0);
    if (w.size == 0) mw_raise_inval(L, op, "option \"size\" is missing: { size = \"1MiB\" }");
    w.exclusive = mw_opt_flag(L, 1, op, "exclusive", w.name != NULL);
    slot = mw_memory_box(L);
    if (mw_memory_create(mw_host_of(L), &w, slot, &err) < 0) return mw_push_err(L, &err);
    return 1;
}

/* open{ name | path, mode = "r" | "rw" } -> memory | nil, err                                          [-0, +1|2, e] */
static int shm_open_(lua_State *L) {
    static const char *const known[] = { "name", "path", "mode", NULL }, *const modes[] = { "r", "rw", NULL };
    const char *op = "shm open";
    struct mw_memory_wish w = { 0 };
    struct mw_err err;
    mw_memory **slot;

    lua_settop(L, 1);
    check_table(L, op, "{ path = \"shared.bin\", mode = \"r\" }");
    mw_opt_open(L, 1, op, known, 0);
    read_names(L, op, &w);
    if (w.name == NULL && w.path == NULL) mw_raise_inval(L, op, "a name or a path is missing: { path = \"shared.bin\" }");
    w.readonly = mw_opt_word(L, 1, op, "mode", modes, 1) == 0;
    slot = mw_memory_box(L);
    if (mw_memory_open(mw_host_of(L), &w, slot, &err) < 0) return mw_push_err(L, &err);
    return 1;
}

/* unlink(name) -> true | nil, err                                                                      [-0, +1|2, e] */
static int shm_unlink_(lua_State *L) {
    const char *name = mw_param_text(L, 1, "shm unlink", "the name", MW_MEMORY_NAME, NULL);
    struct mw_err err;

    if (mw_memory_unlink_name(mw_host_of(L), name, &err) < 0) return mw_push_err(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* ---- Bytes ------------------------------------------------------------------------------------------------------------------------ */

int mw_memory_closed_err(lua_State *L, const mw_memory *m, const char *op) {
    struct mw_err err;

    mw_err_set(&err, MW_ECLOSED, op, mw_memory_subject(m), NULL);
    return mw_push_err(L, &err);
}

/* The range of arguments idx (offset) and len; raises EINVAL. */
static size_t range(lua_State *L, const mw_memory *m, int idx, uint64_t len, const char *op) {
    lua_Integer at = mw_param_integer(L, idx, op, "the offset", LUA_MININTEGER, LUA_MAXINTEGER);

    if (mw_memory_holds(m, at, len)) return (size_t)at;
    mw_raise_inval(L, op, "offset %I, %I bytes: out of range, the memory has %I bytes", (LUAI_UACINT)at, (LUAI_UACINT)len, (LUAI_UACINT)m->size);
    return 0;
}

static void check_writable(lua_State *L, const mw_memory *m, const char *op) {
    if (m->readonly) mw_raise_inval(L, op, "this memory is open for reading only (mode = \"rw\" opens it for both)");
}

static int yes_or(lua_State *L, int rc, struct mw_err *err) {
    if (rc < 0) return mw_push_err(L, err);
    lua_pushboolean(L, 1);
    return 1;
}

/* Short strings are looked at twice by Lua, to find an equal one: not in memory that changes meanwhile. */
static int push_bytes(lua_State *L, const mw_memory *m, size_t at, size_t len, struct mw_err *err) {
    char few[SHORT], *many;
    luaL_Buffer b;
    int rc;

    if (len <= sizeof few) {
        rc = mw_memory_read(m, at, few, len, err);
        if (rc == 0) lua_pushlstring(L, few, len);
        return rc;
    }
    mw_host_make_room(L, len);
    if (!m->careful) {
        lua_pushlstring(L, (const char *)m->at + at, len);
        return mw_memory_lost(m) ? mw_memory_lost_err(m, "shm read", err) : 0;
    }
    many = luaL_buffinitsize(L, &b, len);
    rc = mw_memory_read(m, at, many, len, err);
    luaL_pushresultsize(&b, rc < 0 ? 0 : len);
    return rc;
}

/* memory:read(offset, length) -> bytes | nil, err                                                      [-0, +1|2, e] */
static int memory_read(lua_State *L) {
    const char *op = "shm read";
    mw_memory *m = mw_memory_self(L);
    struct mw_err err;
    uint64_t len;
    size_t at;

    if (m->fd < 0) return mw_memory_closed_err(L, m, op);
    len = (uint64_t)mw_param_integer(L, 3, op, "the length", 0, LUA_MAXINTEGER);
    at = range(L, m, 2, len, op);
    return push_bytes(L, m, at, (size_t)len, &err) < 0 ? mw_push_err(L, &err) : 1;
}

/* memory:write(offset, bytes) -> true | nil, err                                                       [-0, +1|2, e] */
static int memory_write(lua_State *L) {
    const char *op = "shm write", *text;
    mw_memory *m = mw_memory_self(L);
    struct mw_err err;
    size_t len, at;

    if (m->fd < 0) return mw_memory_closed_err(L, m, op);
    check_writable(L, m, op);
    text = mw_param_bytes(L, 3, op, "the bytes", &len);
    at = range(L, m, 2, len, op);
    return yes_or(L, mw_memory_write(m, at, text, len, &err), &err);
}

/* memory:fill(offset, length, byte) -> true | nil, err                                                 [-0, +1|2, e] */
static int memory_fill(lua_State *L) {
    const char *op = "shm fill";
    mw_memory *m = mw_memory_self(L);
    struct mw_err err;
    lua_Integer byte;
    uint64_t len;
    size_t at;

    if (m->fd < 0) return mw_memory_closed_err(L, m, op);
    check_writable(L, m, op);
    len = (uint64_t)mw_param_integer(L, 3, op, "the length", 0, LUA_MAXINTEGER);
    byte = lua_isnoneornil(L, 4) ? 0 : mw_param_integer(L, 4, op, "the byte", 0, 255);
    at = range(L, m, 2, len, op);
    return yes_or(L, mw_memory_fill(m, at, (size_t)len, (unsigned char)byte, &err), &err);
}

/* memory:copy(to, from, length) -> true | nil, err: within the memory; the ranges may overlap           [-0, +1|2, e] */
static int memory_copy(lua_State *L) {
    const char *op = "shm copy";
    mw_memory *m = mw_memory_self(L);
    struct mw_err err;
    size_t to, from;
    uint64_t len;

    if (m->fd < 0) return mw_memory_closed_err(L, m, op);
    check_writable(L, m, op);
    len = (uint64_t)mw_param_integer(L, 4, op, "the length", 0, LUA_MAXINTEGER);
    to = range(L, m, 2, len, op);
    from = range(L, m, 3, len, op);
    return yes_or(L, mw_memory_copy(m, to, from, (size_t)len, &err), &err);
}

/* memory:size() -> bytes                                                                               [-0, +1, e] */
static int memory_size(lua_State *L) {
    struct mw_memory_box *box = luaL_checkudata(L, 1, MW_MEMORY_TYPE);
    lua_pushinteger(L, box->m != NULL ? (lua_Integer)box->m->size : 0);
    return 1;
}

/* memory:unlink() -> true | nil, err                                                                   [-0, +1|2, e] */
static int memory_unlink(lua_State *L) {
    mw_memory *m = mw_memory_self(L);
    struct mw_err err;

    return yes_or(L, mw_memory_unlink(m, mw_host_of(L), &err), &err);
}

/* ---- What the parent shares --------------------------------------------------------------------------------------------------------- */

static const char shared_key;            /* registry */

void mw_shared_set(lua_State *L, struct mw_process_shares *given) {
    lua_pushlightuserdata(L, given);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &shared_key);
}

/* Its descriptors and bytes are the parcel's from now on, which is the caller's even when this fails. */
static int to_parcel(struct mw_process_share *s, struct mw_parcel *p) {
    *p = (struct mw_parcel){ .kind = s->kind, .flags = s->flags, .facts = { s->facts[0], s->facts[1] }, .fd_count = s->fd_count };
    memcpy(p->fds, s->fds, sizeof s->fds);
    s->fd_count = 0;
    return mw_bytes_add(&p->unread, s->bytes != NULL ? s->bytes : "", s->len);
}

/* shared() -> { name = object } | nil: outside of a script child                                       [-0, +1, e] */
static int shm_shared(lua_State *L) {
    struct mw_process_shares *given;

    lua_settop(L, 0);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &shared_key);
    given = lua_touserdata(L, 1);
    if (given == NULL) {
        lua_pushnil(L);
        return 1;
    }
    lua_createtable(L, 0, (int)given->count);                        /* [given shared] */
    for (size_t i = 0; i < given->count; i++) {
        struct mw_parcel p;
        struct mw_err err;
        int rc;
        lua_pushstring(L, given->at[i].name);
        rc = to_parcel(&given->at[i], &p);
        if (rc < 0) mw_err_set(&err, rc, "shared", given->at[i].name, NULL);
        if (rc < 0) mw_parcel_drop(&p);
        else rc = mw_parcel_unpack(L, &p, &err);
        if (rc < 0) return mw_raise(L, &err);
        lua_rawset(L, 2);
    }
    return 1;
}

/* ---- The door --------------------------------------------------------------------------------------------------------------------- */

static const luaL_Reg bytes_methods[] = {
    { "read", memory_read }, { "write", memory_write }, { "fill", memory_fill }, { "copy", memory_copy }, { "size", memory_size },
    { "unlink", memory_unlink }, { "close", memory_close },
};
#define OWN (sizeof bytes_methods / sizeof *bytes_methods)
#define MOST 80

static void open_type(lua_State *L) {
    static const luaL_Reg meta[] = {
        { "__close", memory_close }, { "__gc", memory_gc }, { "__tostring", memory_tostring }, { "__len", memory_size }, { NULL, NULL },
    };
    luaL_Reg methods[MOST];
    size_t n = OWN;

    if (luaL_getmetatable(L, MW_MEMORY_TYPE) != LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    lua_pop(L, 1);
    memcpy(methods, bytes_methods, sizeof bytes_methods);
    for (const luaL_Reg *from = mw_memory_number_methods; from->name != NULL && n < MOST - 1; from++) methods[n++] = *from;
    for (const luaL_Reg *from = mw_memory_wait_methods; from->name != NULL && n < MOST - 1; from++) methods[n++] = *from;
    methods[n] = (luaL_Reg){ NULL, NULL };
    mw_type_new(L, MW_MEMORY_TYPE, methods, meta);
}

int mw_door_shm(lua_State *L) {
    static const luaL_Reg fns[] = {
        { "create", shm_create }, { "open", shm_open_ }, { "unlink", shm_unlink_ }, { "shared", shm_shared }, { "ring", mw_ring_make },
        { NULL, NULL },
    };
    open_type(L);
    luaL_newlib(L, fns);
    return 1;
}
