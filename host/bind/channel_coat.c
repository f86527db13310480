/* The coat of a channel: its options, its life.
 * Knows: bind/channel_coat, bind/arg, core/part, lua.h.
 * Never: a message. */
#include "bind/channel_coat.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/codec.h"
#include "core/part.h"

/* ---- Options ------------------------------------------------------------------------------------------------------------ */

/* codec = "json" | "msgpack"; schema = what mw.schema made, which stays on the stack.            [-0, +0|1, e] */
static void read_codec(lua_State *L, int idx, struct mw_coat_wish *w) {
    static const char *const words[] = {"json", "msgpack", NULL};
    static const enum mw_codec codecs[] = { MW_CODEC_JSON, MW_CODEC_MSGPACK };
    int i = mw_opt_word(L, idx, "framed", "codec", words, -1);

    if (i >= 0) w->codec = codecs[i];
    if (mw_opt_get(L, idx, "schema") == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    if (mw_shape_test(L, -1) == NULL) mw_raise_inval(L, "framed", "option \"schema\" must be what mw.schema made, got %s", luaL_typename(L, -1));
    if (w->codec == MW_CODEC_NONE) mw_raise_inval(L, "framed", "schema needs codec: name \"json\" or \"msgpack\", whose values it checks");
}

/* batch = true | { bytes =, delay =, messages = }                                                 [-0, +0, e] */
static void read_batch(lua_State *L, int idx, const struct mw_frame_format *f, struct mw_coat_wish *w) {
    static const char *const known[] = {"bytes", "delay", "messages", NULL};
    static const char op[] = "framed batch";
    int type = mw_opt_get(L, idx, "batch"), at = lua_gettop(L);
    size_t most = f->max < MW_BATCH_BYTES ? f->max : MW_BATCH_BYTES;

    if (type == LUA_TNIL || (type == LUA_TBOOLEAN && !lua_toboolean(L, at))) {
        lua_pop(L, 1);
        return;
    }
    if (type != LUA_TTABLE && type != LUA_TBOOLEAN) {
        mw_raise_inval(L, op, "true or a table such as { bytes = \"1MiB\", delay = \"100ms\", messages = 512 } expected, got %s", luaL_typename(L, at));
    }
    if (type == LUA_TBOOLEAN) {
        lua_pushnil(L);
        lua_replace(L, at);
    }
    mw_opt_open(L, at, op, known, 0);
    w->batch_bytes = (size_t)mw_opt_size(L, at, op, "bytes", 1, f->max, most);
    w->batch_ns = mw_opt_duration(L, at, op, "delay", MW_BATCH_WAIT_NS);
    w->batch_count = (unsigned)mw_opt_integer(L, at, op, "messages", 1, MW_BATCH_MESSAGES, MW_BATCH_COUNT);
    lua_pop(L, 1);
}

static enum mw_squeeze_how squeeze_named(lua_State *L, int idx) {
    const char *name = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx) : "";

    if (strcmp(name, "zstd") == 0) return MW_SQUEEZE_ZSTD;
    if (strcmp(name, "lz4") == 0) return MW_SQUEEZE_LZ4;
    mw_raise_inval(L, "framed compress", "\"zstd\", \"lz4\" or a table such as { \"zstd\", level = 1, min = 512 } expected, got %s",
                   name[0] != '\0' ? lua_pushfstring(L, "\"%s\"", name) : luaL_typename(L, idx));
    return MW_SQUEEZE_RAW;
}

/* compress = "zstd" | "lz4" | { "zstd", level =, min = }                                          [-0, +0, e] */
static void read_compress(lua_State *L, int idx, struct mw_coat_wish *w) {
    static const char *const known[] = {"level", "min", NULL};
    static const char op[] = "framed compress";
    int type = mw_opt_get(L, idx, "compress"), at = lua_gettop(L);

    w->level = 1;
    w->squeeze_min = MW_SQUEEZE_MIN;
    if (type == LUA_TTABLE) {
        mw_opt_open(L, at, op, known, 1);
        if (lua_rawlen(L, at) > 1) mw_raise_inval(L, op, "one name expected: \"zstd\" or \"lz4\"");
        lua_rawgeti(L, at, 1);
        w->how = squeeze_named(L, at + 1);
        w->level = (int)mw_opt_integer(L, at, op, "level", 1, w->how == MW_SQUEEZE_LZ4 ? 1 : MW_SQUEEZE_LEVEL_MAX, 1);
        w->squeeze_min = (size_t)mw_opt_size(L, at, op, "min", 0, MW_FRAME_MAX_HARD, MW_SQUEEZE_MIN);
    } else if (type != LUA_TNIL && (type != LUA_TBOOLEAN || lua_toboolean(L, at))) {
        w->how = squeeze_named(L, at);
    }
    lua_settop(L, at - 1);
}

/* What a protocol cannot carry. */
static void check_protocol(lua_State *L, const struct mw_frame_format *f, const struct mw_coat_wish *w) {
    const char *what = w->how != MW_SQUEEZE_RAW ? "compress" : w->batch_count > 0 ? "batch" : w->codec == MW_CODEC_MSGPACK ? "codec \"msgpack\"" : NULL;

    if (f->kind == MW_FRAME_LINES && what != NULL) {
        mw_raise_inval(L, "framed", "\"lines\" cannot carry %s, whose bytes may be newlines: take \"u32le\", \"varint\" or another", what);
    }
    if (w->batch_count > 0 && f->fields > 1) {
        mw_raise_inval(L, "framed", "batch needs a protocol without header fields of its own, which would be one set for many messages: take \"u32le\", \"varint\" or another");
    }
}

int mw_coat_read(lua_State *L, int idx, const struct mw_frame_format *f, struct mw_coat_wish *w) {
    memset(w, 0, sizeof *w);
    if (lua_isnoneornil(L, idx)) return 0;
    read_codec(L, idx, w);
    read_batch(L, idx, f, w);
    read_compress(L, idx, w);
    check_protocol(L, f, w);
    return w->codec != MW_CODEC_NONE || w->batch_count > 0 || w->how != MW_SQUEEZE_RAW;
}

/* ---- Life ----------------------------------------------------------------------------------------------------------------- */

/* What all channels of this state that name the same compression share, in a table of the registry. */
struct press {
    const struct mw_squeeze_calls *calls;
    mw_squeeze *squeeze;
};

static int press_gc(lua_State *L) {
    struct press *p = lua_touserdata(L, 1);

    if (p->calls != NULL) p->calls->close(p->squeeze);
    p->calls = NULL;
    return 0;
}

/* A reference, or NULL: no memory.                                                                [-0, +0, m] */
static mw_squeeze *press_of(lua_State *L, const struct mw_squeeze_calls *calls, const struct mw_coat_wish *w) {
    lua_Integer key = (lua_Integer)w->how * (MW_SQUEEZE_LEVEL_MAX + 1) + w->level;
    int top = lua_gettop(L);
    mw_squeeze *it = NULL;
    struct press *p;

    luaL_getsubtable(L, LUA_REGISTRYINDEX, "mw.squeezes");
    if (lua_rawgeti(L, -1, key) == LUA_TUSERDATA) {
        it = ((struct press *)lua_touserdata(L, -1))->squeeze;
    } else {
        p = lua_newuserdatauv(L, sizeof *p, 0);                 /* [... presses nil p] */
        p->calls = NULL;
        if (luaL_newmetatable(L, "mw.squeeze")) {
            lua_pushcfunction(L, press_gc);
            lua_setfield(L, -2, "__gc");
        }
        lua_setmetatable(L, -2);
        it = p->squeeze = calls->open(w->how, w->level);
        if (it != NULL) {
            p->calls = calls;
            lua_rawseti(L, -3, key);
        }
    }
    lua_settop(L, top);
    return it != NULL ? calls->hold(it) : NULL;
}

int mw_coat_make(lua_State *L, struct mw_channel *ch, const struct mw_coat_wish *w, int shape, struct mw_err *err) {
    const struct mw_squeeze_calls *calls = NULL;
    mw_squeeze *squeeze = NULL;
    struct mw_coat *c;

    if (shape != 0) {
        lua_pushvalue(L, shape);
        lua_setiuservalue(L, -2, MW_CHANNEL_SHAPE);
    }
    if (w->how != MW_SQUEEZE_RAW) {
        calls = mw_part_open(mw_host_of(L), MW_PART_SQUEEZE, "mw_squeeze_calls", "framed compress", err);
        if (calls == NULL) return err->code;
        squeeze = press_of(L, calls, w);
    }
    c = calls == NULL || squeeze != NULL ? calloc(1, sizeof *c) : NULL;
    if (c == NULL) {
        if (calls != NULL) calls->close(squeeze);
        return mw_err_set(err, MW_ENOMEM, "framed", mw_stream_subject(ch->stream), NULL);
    }
    c->squeeze = squeeze;
    c->ch = ch;
    c->codec = w->codec;
    c->shape = shape != 0 ? mw_shape_test(L, shape) : NULL;
    c->calls = calls;
    c->squeeze_min = w->squeeze_min;
    c->body_max = ch->format->max - (calls != NULL);
    c->batch_count = w->batch_count;
    c->batch_bytes = w->batch_bytes < c->body_max ? w->batch_bytes : c->body_max;
    c->batch_ns = w->batch_ns;
    mw_list_init(&c->held.link);
    ch->coat = c;
    ch->coated = 1;
    return 0;
}

int mw_coat_push_fault(lua_State *L, const struct mw_channel *ch, const char *op, const struct mw_codec_fault *fault, const char *text,
                       const struct mw_err *err) {
    struct mw_err whole;        /* which channel, and then where in the message */

    mw_err_setf(&whole, err->code, op, mw_stream_subject(ch->stream), "%s%s%s", err->subject, err->subject[0] != '\0' ? ": " : "", err->what);
    if (err->hint[0] != '\0') mw_err_hint(&whole, "%s", err->hint);
    return mw_codec_push_fault(L, op, fault, text, &whole);
}

void mw_coat_stats(lua_State *L, const struct mw_coat *c) {
    lua_pushinteger(L, (lua_Integer)c->batches);
    lua_setfield(L, -2, "batches");
    lua_pushinteger(L, (lua_Integer)c->batches_received);
    lua_setfield(L, -2, "batches_received");
}

int mw_channel_batched(lua_State *L) {
    const struct mw_channel *ch = luaL_testudata(L, 1, MW_CHANNEL_TYPE);

    lua_pushboolean(L, ch != NULL && ch->coat != NULL && ch->coat->batch_count > 0);
    return 1;
}

int mw_channel_codec(lua_State *L) {
    const struct mw_channel *ch = luaL_testudata(L, 1, MW_CHANNEL_TYPE);
    enum mw_codec codec = ch != NULL && ch->coat != NULL ? ch->coat->codec : MW_CODEC_NONE;

    if (codec == MW_CODEC_NONE) lua_pushnil(L);
    else lua_pushstring(L, codec == MW_CODEC_JSON ? "json" : "msgpack");
    return 1;
}

void mw_coat_charge(struct mw_coat *c) {
    size_t now = c->batch.bytes.size + c->packed.size + c->got.size;

    if (now == c->charged) return;
    mw_host_charge(mw_stream_host(c->ch->stream), c->charged, now);
    c->charged = now;
}

void mw_coat_rest(struct mw_coat *c) {
    if (c->charged == 0) return;
    if (c->cut.left == 0) mw_bytes_free(&c->got);
    mw_bytes_shrink(&c->packed, 0);
    mw_bytes_shrink(&c->batch.bytes, 0);
    mw_coat_charge(c);
}

void mw_coat_end(struct mw_coat *c) {
    struct mw_channel *ch;

    if (c == NULL) return;
    ch = c->ch;
    if (c->batch.count > 0 && !mw_stream_closed(ch->stream)) mw_stream_settle(ch->stream);
    if (c->batch.count > 0 && !mw_list_empty(&c->held.link)) {
        mw_host_log(mw_stream_host(ch->stream), MW_LOG_WARN, "channel %s: %u messages could not be sent before it was collected",
                    mw_stream_subject(ch->stream), c->batch.count);
    }
    if (c->cut.left > 0) mw_stream_keep(ch->stream, -1);
    mw_list_remove(&c->held.link);
    mw_timer_stop(mw_stream_host(ch->stream), &c->timer);
    mw_bytes_free(&c->batch.bytes);
    mw_bytes_free(&c->packed);
    mw_bytes_free(&c->got);
    mw_coat_charge(c);
    if (c->calls != NULL) c->calls->close(c->squeeze);
    ch->coat = NULL;
    free(c);
}
