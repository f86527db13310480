/* Fuzz target: any bytes under every reader of base/msgpack. Nothing is read beyond them; what is refused is left where it is; a value
 * ends where codec/pack says; what is read and written again reads the same.
 * Knows: base/msgpack, codec/pack_scan. Never: Lua. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/msgpack.h"
#include "codec/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(cond)                                                     \
    do {                                                                \
        if (!(cond)) {                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);  \
            abort();                                                    \
        }                                                               \
    } while (0)

/* Whether 0xc1 stands where a value would begin: the one thing that the scan takes and we do not. */
static int holds_never(const char *at, size_t len) {
    mw_view v = {at, len};
    uint32_t n;

    while (v.len > 0) {
        if ((unsigned char)v.at[0] == 0xc1) return 1;
        if (mw_view_array(&v, &n) == 0 || mw_view_map(&v, &n) == 0) continue;
        if (mw_view_skip(&v) < 0) return 0;
    }
    return 0;
}

static void ends_alike(mw_view v) {
    struct mw_pack_scan s = {1, 0};
    mw_view whole = v;
    uint64_t need;
    size_t n = mw_pack_scan(&s, v.at, v.len, &need);
    int rc = mw_view_skip(&whole);

    HOLDS(rc == 0 || (whole.at == v.at && whole.len == v.len));
    if (rc == 0) HOLDS(need == 0 && n == v.len - whole.len && whole.at == v.at + n);
    else HOLDS(rc == (v.len == 0 ? MW_EEOF : MW_EPARSE) && (need > 0 || holds_never(v.at, n)));
}

/* Takes the head of *v by the one reader that it is for; the others leave it. Writes it to b. 0: nothing more can be taken. */
static int take(mw_view *v, mw_buf *b) {
    int type = mw_view_type(v), boolean = 0, rc = 0, taken = 0;
    const char *text = NULL;
    const mw_view was = *v;
    mw_view at;
    int64_t i = 0;
    double d = 0;
    uint32_t n = 0;
    size_t len = 0;

    HOLDS(v->at == was.at && v->len == was.len);
    ends_alike(*v);
    if (mw_view_find(v, "x", &at) == 0) HOLDS(at.at > v->at && at.len > 0 && at.at + at.len <= v->at + v->len && mw_view_skip(&at) == 0 && at.len == 0);
#define READER(call, wanted, write)                                             \
    at = *v;                                                                    \
    rc = call;                                                                  \
    if (rc == 0) {                                                              \
        HOLDS((wanted) && at.len < was.len && at.at + at.len == was.at + was.len); \
        *v = at;                                                                \
        write;                                                                  \
        taken = 1;                                                              \
    } else {                                                                    \
        HOLDS(at.at == was.at && at.len == was.len);                            \
        HOLDS(type < 0 ? rc == type : rc == MW_EINVAL || rc == MW_ELIMIT);      \
        HOLDS(rc != MW_ELIMIT || type == MW_TYPE_INTEGER);                      \
    }                                                                           \
    if (taken) return 1
    READER(mw_view_nil(&at), type == MW_TYPE_NIL, mw_buf_nil(b));
    READER(mw_view_boolean(&at, &boolean), type == MW_TYPE_BOOLEAN, mw_buf_boolean(b, boolean));
    READER(mw_view_string(&at, &text, &len), type == MW_TYPE_STRING, mw_buf_string(b, text, len));
    READER(mw_view_array(&at, &n), type == MW_TYPE_ARRAY && n <= at.len, mw_buf_array(b, n));
    READER(mw_view_map(&at, &n), type == MW_TYPE_MAP && n <= at.len / 2, mw_buf_map(b, n));
    if (type == MW_TYPE_INTEGER) {
        READER(mw_view_integer(&at, &i), 1, mw_buf_integer(b, i));
    }
    READER(mw_view_number(&at, &d), type == MW_TYPE_NUMBER || type == MW_TYPE_INTEGER, mw_buf_number(b, d));
    if (type != MW_TYPE_EXT) return 0;
    HOLDS(mw_view_skip(v) == 0);
    mw_buf_raw(b, was.at, (size_t)(v->at - was.at));
    return 1;
}

static int same(mw_view *a, mw_view *b) {
    int64_t i, j;
    double x, y;
    const char *s, *t;
    size_t m, n;
    uint32_t k, l;

    if (mw_view_type(a) != mw_view_type(b)) { /* an integer above int64's became a number */
        return mw_view_number(a, &x) == 0 && mw_view_number(b, &y) == 0 && x == y;
    }
    if (mw_view_string(a, &s, &m) == 0) return mw_view_string(b, &t, &n) == 0 && m == n && memcmp(s, t, n) == 0;
    if (mw_view_array(a, &k) == 0) return mw_view_array(b, &l) == 0 && k == l;
    if (mw_view_map(a, &k) == 0) return mw_view_map(b, &l) == 0 && k == l;
    if (mw_view_type(a) == MW_TYPE_INTEGER && mw_view_integer(a, &i) == 0) return mw_view_integer(b, &j) == 0 && i == j;
    if (mw_view_number(a, &x) == 0) return mw_view_number(b, &y) == 0 && (x == y || (x != x && y != y));
    return mw_view_skip(a) == 0 && mw_view_skip(b) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *bytes = malloc(size > 0 ? size : 1); /* of exactly that size: what is read beyond it is seen */
    mw_view v = {bytes, size}, first = v, again;
    mw_buf out = {0};

    if (size > 0) memcpy(bytes, data, size);
    while (take(&v, &out)) {}
    HOLDS(out.code == 0);
    first.len = size - v.len;
    again = (mw_view){out.at, out.len};
    while (first.len > 0) {
        const char *before = first.at;
        first.len = (size_t)(bytes + size - first.at); /* heads were held against all that was there */
        if (first.at == v.at) break;
        /* the copy is cut where the original went wrong: an announced length may not fit there */
        if (mw_view_type(&again) < 0) break;
        HOLDS(same(&first, &again));
        HOLDS(first.at > before);
    }
    mw_buf_free(&out);
    free(bytes);
    return 0;
}
