/* Compression with zstd and lz4.
 * Knows: base, zstd, lz4. Never: I/O, Lua; produces a byte before the announced size was checked. */
#include "wire/squeeze.h"

#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "wire/number.h"

enum { HEAD_MAX = 11 };                          /* how, and two numbers below 2^35 */
enum { WINDOW_LOG_MAX = 27 };                    /* zstd: larger windows are refused, though ours is the output itself */

struct mw_squeeze {
    enum mw_squeeze_how how;
    int level;
    unsigned refs;
    ZSTD_CCtx *zc;
    ZSTD_DCtx *zd;
    void *lz4;                                   /* the table of its matches */
};

/* ---- Life ------------------------------------------------------------------------------------------------------------------------ */

static mw_squeeze *squeeze_open(enum mw_squeeze_how how, int level) {
    mw_squeeze *z = calloc(1, sizeof *z);

    if (z == NULL) return NULL;
    z->how = how;
    z->level = level;
    z->refs = 1;
    return z;
}

static mw_squeeze *squeeze_hold(mw_squeeze *z) {
    z->refs++;
    return z;
}

static void squeeze_close(mw_squeeze *z) {
    if (z == NULL || --z->refs > 0) return;
    ZSTD_freeCCtx(z->zc);
    ZSTD_freeDCtx(z->zd);
    free(z->lz4);
    free(z);
}

/* ---- Packing --------------------------------------------------------------------------------------------------------------------- */

/* Bytes written, 0 when they would not fit into `room`, or MW_ENOMEM. */
static long zstd_pack(mw_squeeze *z, const char *at, size_t len, char *to, size_t room) {
    int level = len > MW_SQUEEZE_SLOW_MAX ? 1 : z->level;
    size_t n;

    if (z->zc == NULL && (z->zc = ZSTD_createCCtx()) == NULL) return MW_ENOMEM;
    ZSTD_CCtx_setParameter(z->zc, ZSTD_c_compressionLevel, level);
    n = ZSTD_compress2(z->zc, to, room, at, len);
    return ZSTD_isError(n) ? 0 : (long)n;        /* too long, or no memory for it: it goes as it is */
}

static long lz4_pack(mw_squeeze *z, const char *at, size_t len, char *to, size_t room) {
    if (z->lz4 == NULL && (z->lz4 = malloc((size_t)LZ4_sizeofState())) == NULL) return MW_ENOMEM;
    if (len > LZ4_MAX_INPUT_SIZE) return 0;
    return LZ4_compress_fast_extState(z->lz4, at, to, (int)len, (int)room, 1);
}

static int pack_raw(const char *at, size_t len, struct mw_bytes *out) {
    char *to = mw_bytes_reserve(out, len + 1, NULL);

    if (to == NULL) return MW_ENOMEM;
    to[0] = MW_SQUEEZE_RAW;
    if (len > 0) memcpy(to + 1, at, len);
    mw_bytes_commit(out, len + 1);
    return 0;
}

static int squeeze_pack(mw_squeeze *z, const char *at, size_t len, size_t min, struct mw_bytes *out) {
    char head[HEAD_MAX];
    size_t head_len, total, least = (len + MW_SQUEEZE_RATIO - 1) / MW_SQUEEZE_RATIO;
    char *to;
    long n;

    if (len < min || len <= HEAD_MAX) return pack_raw(at, len, out);
    to = mw_bytes_reserve(out, len + 1, NULL);   /* a form that is longer is not wanted */
    if (to == NULL) return MW_ENOMEM;
    n = z->how == MW_SQUEEZE_ZSTD ? zstd_pack(z, at, len, to + HEAD_MAX, len - HEAD_MAX) : lz4_pack(z, at, len, to + HEAD_MAX, len - HEAD_MAX);
    if (n < 0) return (int)n;
    if (n == 0) return pack_raw(at, len, out);
    head[0] = (char)z->how;
    head_len = 1 + mw_number_put(len, head + 1);
    head_len += mw_number_put((uint64_t)n, head + head_len);
    memmove(to + head_len, to + HEAD_MAX, (size_t)n);
    memcpy(to, head, head_len);
    total = head_len + (size_t)n;
    if (total < least) {
        memset(to + total, 0, least - total);
        total = least;
    }
    mw_bytes_commit(out, total);
    return 0;
}

/* ---- Unpacking ------------------------------------------------------------------------------------------------------------------- */

static int refuse(struct mw_squeeze_fault *fault, const char *what) {
    *fault = (struct mw_squeeze_fault){ "protocol", what, 0 };
    return MW_EFRAME;
}

static int too_large(struct mw_squeeze_fault *fault, const char *what, uint64_t announced) {
    *fault = (struct mw_squeeze_fault){ "too_large", what, announced };
    return MW_EFRAME;
}

/* One zstd frame, of the size that was announced, and nothing behind it; no dictionary, no window beyond the limit. NULL: it is. */
static const char *zstd_look(const char *at, size_t len, uint64_t raw) {
    static const unsigned char magic[4] = { 0x28, 0xb5, 0x2f, 0xfd };

    if (len < 6 || memcmp(at, magic, 4) != 0) return "not a zstd frame";
    if (ZSTD_getDictID_fromFrame(at, len) != 0) return "a zstd frame that wants a dictionary";
    if ((at[4] & 0x20) == 0 && (((unsigned char)at[5]) >> 3) + 10 > WINDOW_LOG_MAX) return "a zstd frame with too large a window";
    if (ZSTD_getFrameContentSize(at, len) != raw) return "a zstd frame of another size than announced";
    if (ZSTD_findFrameCompressedSize(at, len) != len) return "bytes behind a zstd frame, or a part of it is missing";
    return NULL;
}

/* NULL: to[0..raw) is filled. "": no memory. */
static const char *fill(mw_squeeze *z, const char *at, size_t len, char *to, size_t raw) {
    if (z->how == MW_SQUEEZE_LZ4) {
        int n = LZ4_decompress_safe(at, to, (int)len, (int)raw);
        return n >= 0 && (size_t)n == raw ? NULL : "a broken lz4 block";
    }
    if (z->zd == NULL && (z->zd = ZSTD_createDCtx()) == NULL) return "";
    return ZSTD_decompressDCtx(z->zd, to, raw, at, len) == raw ? NULL : "a broken zstd frame";
}

/* The two numbers behind the first byte: checked against what there is and what there may be. */
static int open_head(const char *at, size_t len, size_t max, uint64_t *raw, uint64_t *packed, size_t *head, struct mw_squeeze_fault *fault) {
    size_t a = mw_number_get(at + 1, len - 1, raw), b = a > 0 ? mw_number_get(at + 1 + a, len - 1 - a, packed) : 0;
    size_t whole, least;

    if (b == 0) return refuse(fault, "a compressed message without its sizes");
    if (*raw > max) return too_large(fault, "a compressed message says a size above the limit", *raw);
    if (*raw > (uint64_t)len * MW_SQUEEZE_RATIO) return too_large(fault, "a compressed message says a size of more than 200 times its own", *raw);
    *head = 1 + a + b;
    if (*packed > len - *head) return refuse(fault, "a compressed message that is cut off");
    whole = *head + (size_t)*packed;
    least = ((size_t)*raw + MW_SQUEEZE_RATIO - 1) / MW_SQUEEZE_RATIO;
    if (len != (whole > least ? whole : least)) return refuse(fault, "bytes behind a compressed message");
    for (size_t i = whole; i < len; i++) {
        if (at[i] != 0) return refuse(fault, "bytes behind a compressed message");
    }
    if (*raw == 0 || *packed > INT32_MAX) return refuse(fault, "a compressed message of an impossible size");
    return 0;
}

static int squeeze_unpack(mw_squeeze *z, const char *at, size_t len, size_t max, struct mw_bytes *out, struct mw_view *data,
                          struct mw_squeeze_fault *fault) {
    uint64_t raw = 0, packed = 0;
    const char *what;
    size_t head = 0;
    char *to;
    int rc;

    if (len == 0) return refuse(fault, "a message that does not say how it is compressed");
    if (at[0] == MW_SQUEEZE_RAW) {
        if (len - 1 > max) return too_large(fault, "a message above the limit", len - 1);
        *data = (struct mw_view){ at + 1, len - 1 };
        return 0;
    }
    if (at[0] != (char)z->how) {
        return refuse(fault, at[0] == MW_SQUEEZE_ZSTD ? "compressed with zstd, and lz4 was expected: both ends name the same options"
                             : at[0] == MW_SQUEEZE_LZ4 ? "compressed with lz4, and zstd was expected: both ends name the same options"
                                                       : "it does not say how it is compressed: both ends name the same options");
    }
    rc = open_head(at, len, max < INT32_MAX ? max : INT32_MAX, &raw, &packed, &head, fault);
    if (rc < 0) return rc;
    what = z->how == MW_SQUEEZE_ZSTD ? zstd_look(at + head, (size_t)packed, raw) : NULL;
    if (what != NULL) return refuse(fault, what);
    to = mw_bytes_reserve(out, (size_t)raw, NULL);
    if (to == NULL) return MW_ENOMEM;
    what = fill(z, at + head, (size_t)packed, to, (size_t)raw);
    if (what != NULL) return what[0] == '\0' ? MW_ENOMEM : refuse(fault, what);
    mw_bytes_commit(out, (size_t)raw);
    *data = (struct mw_view){ mw_bytes_at(out), (size_t)raw };
    return 0;
}

const struct mw_squeeze_calls mw_squeeze_calls = { squeeze_open, squeeze_hold, squeeze_close, squeeze_pack, squeeze_unpack };
