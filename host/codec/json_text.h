/* JSON text, read a token at a time, strictly as RFC 8259 has it; and one string written.
 * Knows: C11. Never: allocates, lua.h, copies what it was given; accepts what is not JSON.
 * Refused: excess depth, invalid UTF-8, lone surrogates, control characters in strings, a byte order mark, trailing bytes.
 * Left to the reader's user: duplicate keys, and how large a number may be. */
#ifndef MW_CODEC_JSON_TEXT_H
#define MW_CODEC_JSON_TEXT_H

#include <stddef.h>

#define MW_JSON_DEPTH_MAX 1024u  /* levels that a reader can count */

enum mw_json_token {
    MW_JSON_BAD = -1,            /* not JSON: `why`, at the offset `from`; for good */
    MW_JSON_END,                 /* the one value is over, and nothing but space followed */
    MW_JSON_NULL, MW_JSON_FALSE, MW_JSON_TRUE,
    MW_JSON_NUMBER,              /* text[from..to); `whole` when it has neither fraction nor exponent */
    MW_JSON_STRING,              /* mw_json_string gives what it says */
    MW_JSON_KEY,                 /* the same, of the member whose value comes next */
    MW_JSON_ARRAY, MW_JSON_ARRAY_END, MW_JSON_OBJECT, MW_JSON_OBJECT_END
};

struct mw_json {
    const char *text;            /* lent */
    size_t len, at;              /* at: what is read next */
    size_t from, to;             /* the last token, quotes and brackets included */
    size_t decoded;              /* MW_JSON_STRING, MW_JSON_KEY: bytes of what it says */
    unsigned depth, depth_max;   /* arrays and objects that are open */
    int whole;
    int state;                   /* what may follow */
    const char *why;             /* static */
    unsigned char object[MW_JSON_DEPTH_MAX / 8];     /* a bit a level: it is an object */
};

/* depth_max: levels of arrays and objects, at most MW_JSON_DEPTH_MAX. text is lent until the last call. */
void mw_json_begin(struct mw_json *j, const char *text, size_t len, unsigned depth_max);
enum mw_json_token mw_json_next(struct mw_json *j);

/* What the last string or key says: j->decoded bytes into out, no NUL behind them (and any inside). */
void mw_json_string(const struct mw_json *j, char *out);

/* Where an offset is, counted from 1; columns are characters. */
void mw_json_position(const char *text, size_t offset, unsigned *line, unsigned *column);

/* Writes `text` as a JSON string, quotes included: ASCII controls, hidden and bidirectional characters escaped, a byte that is
 * no UTF-8 as U+FFFD (*invalid is set to 1 then, else 0; may be NULL). At most 6 * len + 2 bytes; returns the length, or 0: it
 * does not fit into size. */
size_t mw_json_quote(char *out, size_t size, const char *text, size_t len, int *invalid);

#endif
