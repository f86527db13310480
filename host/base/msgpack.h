/* MessagePack without Lua (https://github.com/msgpack/msgpack/blob/master/spec.md): how values cross moonwire.h. mw_buf writes,
 * mw_view reads; both live wherever their user puts them, and hold nothing of a host. Any thread that has them for itself.
 * Knows: C11, malloc. Never: trusts a length: whoever reads, reads what is there. */
#ifndef MW_BASE_MSGPACK_H
#define MW_BASE_MSGPACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/view.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Writing -------------------------------------------------------------------------------------------------------------
 *     mw_buf b = {0};
 *     mw_buf_map(&b, 2);
 *     mw_buf_text(&b, "x"), mw_buf_number(&b, 1.5);
 *     mw_buf_text(&b, "name"), mw_buf_text(&b, "Lua");
 *     rc = mw_host_post(h, "player.moved", b.at, b.len, &err);
 *     mw_buf_free(&b);
 * A mw_buf is zeroed before its first use.
 * The first failure stays: what is written after it is not, so one look at `code` at the end is enough, and what was written half is not
 * sent: mw_host_post and its like refuse a value that is not whole. */
typedef struct mw_buf {
    char *at;                       /* the bytes; NULL while there are none. Its own: mw_buf_free ends it */
    size_t len;                     /* bytes written */
    size_t room;                    /* bytes that `at` has room for */
    int code;                       /* 0; MW_ENOMEM; MW_EINVAL: a string of 4 GiB or more. Nothing is written any more until mw_buf_clear */
} mw_buf;

/* Each returns 0, or the buffer's code. Integers and lengths take their shortest form. */
int mw_buf_nil(mw_buf *b);                                      /* mw.null inside arrays and maps; nil as an argument or result */
int mw_buf_boolean(mw_buf *b, int value);
int mw_buf_integer(mw_buf *b, int64_t value);
int mw_buf_number(mw_buf *b, double value);                     /* stays a float in Lua, 1.0 too */
int mw_buf_string(mw_buf *b, const char *text, size_t len);     /* str if it is UTF-8, else bin; both are strings in Lua */
int mw_buf_text(mw_buf *b, const char *text);                   /* a C string; NULL is nil */
int mw_buf_array(mw_buf *b, uint32_t count);                    /* so many values follow */
int mw_buf_map(mw_buf *b, uint32_t count);                      /* so many keys and values follow, in turn */
int mw_buf_raw(mw_buf *b, const void *msgpack, size_t len);     /* what is MessagePack already */
void mw_buf_clear(mw_buf *b);                                   /* empty again; keeps its memory */
void mw_buf_free(mw_buf *b);                                    /* empty again, without memory; zeroed, NULL and twice is fine */

/* ---- Reading -------------------------------------------------------------------------------------------------------------
 *     mw_view v = { msgpack, len };
 *     uint32_t n; mw_view x; double at;
 *     if (mw_view_find(&v, "x", &x) == 0 && mw_view_number(&x, &at) == 0) move_to(at);
 * A view is a place in the bytes: each function below takes the value at its head, and steps over it. What does not fit is left where
 * it is: MW_EINVAL, another type; MW_EPARSE, bytes that are no MessagePack, or cut off; MW_EEOF, nothing is left. */
enum mw_type { MW_TYPE_NIL, MW_TYPE_BOOLEAN, MW_TYPE_INTEGER, MW_TYPE_NUMBER, MW_TYPE_STRING, MW_TYPE_ARRAY, MW_TYPE_MAP, MW_TYPE_EXT };

int mw_view_type(const mw_view *v);                             /* enum mw_type, or a code; takes nothing */
int mw_view_nil(mw_view *v);
int mw_view_boolean(mw_view *v, int *out);
int mw_view_integer(mw_view *v, int64_t *out);                  /* a float that is whole is one; uint64 above int64's: MW_ELIMIT */
int mw_view_number(mw_view *v, double *out);                    /* an integer is one */
int mw_view_string(mw_view *v, const char **text, size_t *len); /* str or bin; lent by the bytes, not terminated */
int mw_view_array(mw_view *v, uint32_t *count);                 /* steps inside: so many values follow. No more than there are bytes left */
int mw_view_map(mw_view *v, uint32_t *count);                   /* steps inside: so many pairs follow */
int mw_view_skip(mw_view *v);                                   /* over a whole value, however deep; takes no stack */
/* Sets *out to the value of the string key `key` in the map at the head of *map, which stays where it is. MW_ENOENT: it has none. */
int mw_view_find(const mw_view *map, const char *key, mw_view *out);

#ifdef __cplusplus
}
#endif
#endif
