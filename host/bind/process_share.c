/* Option `share` of a script child: objects of ours, taken apart for it.
 * Knows: bind/parcel, bind/arg, io/process. Never: a syscall. */
#include <lauxlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/parcel.h"
#include "bind/process.h"

#define PARCELS "mw.parcels"

/* Between their making and the start: closed whatever happens. */
struct parcels {
    size_t count;
    struct mw_parcel at[MW_SHARES];
    char names[MW_SHARES][MW_SHARE_NAME];
};

static int parcels_gc(lua_State *L) {
    struct parcels *all = luaL_checkudata(L, 1, PARCELS);

    while (all->count > 0) mw_parcel_drop(&all->at[--all->count]);
    return 0;
}

/* The names and what they stand for, checked; nothing is taken yet. The count of them. */
static size_t check(lua_State *L, int table, const char *op) {
    size_t n = 0;

    for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1), n++) {
        size_t len = 0;
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &len) : NULL;
        if (name == NULL) mw_raise_inval(L, op, "option \"share\": a name is expected for each: { data = memory }, got %s", luaL_typename(L, -2));
        if (len == 0 || len >= MW_SHARE_NAME || memchr(name, '\0', len) != NULL) {
            mw_raise_inval(L, op, "option \"share\": a name has 1 to %d bytes", (int)MW_SHARE_NAME - 1);
        }
        if (mw_parcel_test(L, -1) == MW_PARCEL_NONE) {
            mw_raise_inval(L, op, "option \"share\": %s must be shared memory, a ring or a stream, got %s", name, luaL_typename(L, -1));
        }
    }
    if (n > MW_SHARES) mw_raise_inval(L, op, "option \"share\": at most %d things", (int)MW_SHARES);
    return n;
}

int mw_process_shares_read(lua_State *L, int idx, struct mw_process_options *o, struct mw_err *err) {
    static const luaL_Reg none[] = { { NULL, NULL } }, meta[] = { { "__gc", parcels_gc }, { NULL, NULL } };
    int type = mw_opt_get(L, idx, "share"), table = lua_gettop(L), rc = 0;
    struct mw_process_share *shares;
    struct parcels *all;
    size_t n;

    if (type == LUA_TNIL) return 0;
    if (type != LUA_TTABLE) mw_raise_inval(L, o->op, "option \"share\" must be a table: { data = memory }, got %s", lua_typename(L, type));
    if (!o->script) mw_raise_inval(L, o->op, "option \"share\" is for script children: another program would not know what it is");
    n = check(L, table, o->op);
    if (luaL_getmetatable(L, PARCELS) == LUA_TNIL) mw_type_new(L, PARCELS, none, meta);
    all = mw_box_new(L, sizeof *all, PARCELS);
    shares = lua_newuserdatauv(L, (n + 1) * sizeof *shares, 0);
    memset(shares, 0, (n + 1) * sizeof *shares);
    for (lua_pushnil(L); rc == 0 && all->count < n && lua_next(L, table) != 0; lua_pop(L, 1)) {
        struct mw_process_share *s = &shares[all->count];
        struct mw_parcel *p = &all->at[all->count];
        rc = mw_parcel_pack(L, -1, p, err);
        if (rc < 0) continue;
        all->count++;
        strcpy(s->name, lua_tostring(L, -2));
        strcpy(all->names[all->count - 1], s->name);
        s->kind = p->kind;
        s->flags = p->flags;
        memcpy(s->facts, p->facts, sizeof s->facts);
        memcpy(s->fds, p->fds, sizeof s->fds);
        s->fd_count = p->fd_count;
        s->bytes = mw_bytes_len(&p->unread) > 0 ? mw_bytes_at(&p->unread) : "";
        s->len = mw_bytes_len(&p->unread);
    }
    o->shares = shares;
    o->share_count = all->count;
    return rc;
}

/* The child has them; or it never started, and what can be ours again is. */
void mw_process_shares_done(lua_State *L, int idx, int from, int started) {
    for (int i = lua_gettop(L); i > from; i--) {
        struct parcels *all = luaL_testudata(L, i, PARCELS);
        if (all == NULL) continue;
        for (size_t k = 0; !started && k < all->count; k++) {
            mw_opt_get(L, idx, "share");
            lua_getfield(L, -1, all->names[k]);
            mw_parcel_return(L, -1, &all->at[k]);
            lua_pop(L, 2);
        }
        while (all->count > 0) mw_parcel_drop(&all->at[--all->count]);
    }
}
