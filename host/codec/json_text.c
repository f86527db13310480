/* JSON text: see json_text.h. json_scan reads the tokens; here a state says what may follow, and a bit for each level whether it is an
 * object.
 * Knows: C11. Never: allocates, lua.h. */
#include "codec/json_text.h"

#include <string.h>

#include "codec/json_scan.h"

enum {
    WANT_VALUE,                  /* the one value, or an element or member's value after its comma or colon */
    WANT_FIRST,                  /* an array's first element, or its end */
    WANT_KEY,                    /* after a comma in an object */
    WANT_FIRST_KEY,              /* or the object's end */
    WANT_MORE,                   /* a comma, or the end of what is open */
    WANT_NOTHING,                /* the one value was read */
    BROKEN
};

void mw_json_begin(struct mw_json *j, const char *text, size_t len, unsigned depth_max) {
    memset(j, 0, sizeof *j);
    j->text = text;
    j->len = len;
    j->depth_max = depth_max < MW_JSON_DEPTH_MAX ? depth_max : MW_JSON_DEPTH_MAX;
}

static enum mw_json_token bad(struct mw_json *j, size_t at, const char *why) {
    j->state = BROKEN;
    j->why = why;
    j->from = j->to = at;
    return MW_JSON_BAD;
}

static int at_end(const struct mw_json *j, size_t at) { return at >= j->len; }

static void skip_space(struct mw_json *j) { j->at = (size_t)(mw_scan_space(j->text + j->at, j->text + j->len) - j->text); }

/* ---- Strings, numbers, words ---------------------------------------------------------------------------------------------- */

/* `to`: what is behind the token, or NULL: f says why it is none. */
static enum mw_json_token taken(struct mw_json *j, const char *to, const struct mw_scan_fault *f, enum mw_json_token what) {
    if (to == NULL) return bad(j, (size_t)(f->at - j->text), f->why);
    j->from = j->at;
    j->at = j->to = (size_t)(to - j->text);
    return what;
}

static enum mw_json_token read_string(struct mw_json *j, enum mw_json_token what) {
    struct mw_scan_text text;
    struct mw_scan_fault f;
    const char *to = mw_scan_string(j->text + j->at + 1, j->text + j->len, &text, &f);

    if (to != NULL) j->decoded = text.decoded;
    return taken(j, to, &f, what);
}

void mw_json_string(const struct mw_json *j, char *out) {
    struct mw_scan_text text = {j->text + j->from + 1, j->to - j->from - 2, j->decoded};
    mw_scan_unescape(&text, out);
}

static enum mw_json_token read_number(struct mw_json *j) {
    struct mw_scan_fault f;
    const char *to = mw_scan_numeral(j->text + j->at, j->text + j->len, &j->whole, &f);

    return taken(j, to, &f, MW_JSON_NUMBER);
}

static enum mw_json_token read_word(struct mw_json *j) {
    const char *at = j->text + j->at, *end = j->text + j->len, *to;

    if ((to = MW_SCAN_WORD(at, end, "null")) != NULL) return taken(j, to, NULL, MW_JSON_NULL);
    if ((to = MW_SCAN_WORD(at, end, "true")) != NULL) return taken(j, to, NULL, MW_JSON_TRUE);
    if ((to = MW_SCAN_WORD(at, end, "false")) != NULL) return taken(j, to, NULL, MW_JSON_FALSE);
    return bad(j, j->at, "a value is expected");
}

/* ---- What is nested ------------------------------------------------------------------------------------------------------- */

static int in_object(const struct mw_json *j) {
    unsigned level = j->depth - 1;
    return j->depth > 0 && (j->object[level / 8] >> (level % 8) & 1) != 0;
}

static void after_value(struct mw_json *j) { j->state = j->depth > 0 ? WANT_MORE : WANT_NOTHING; }

static enum mw_json_token open_one(struct mw_json *j, int object) {
    unsigned bit = 1u << (j->depth % 8);

    if (j->depth >= j->depth_max) return bad(j, j->at, "nested too deeply");
    if (object) j->object[j->depth / 8] |= (unsigned char)bit;
    else j->object[j->depth / 8] &= (unsigned char)~bit;
    j->depth++;
    j->from = j->at++;
    j->to = j->at;
    j->state = object ? WANT_FIRST_KEY : WANT_FIRST;
    return object ? MW_JSON_OBJECT : MW_JSON_ARRAY;
}

static enum mw_json_token close_one(struct mw_json *j) {
    int object = in_object(j);

    j->depth--;
    j->from = j->at++;
    j->to = j->at;
    after_value(j);
    return object ? MW_JSON_OBJECT_END : MW_JSON_ARRAY_END;
}

static enum mw_json_token read_value(struct mw_json *j) {
    enum mw_json_token token;
    char c = j->text[j->at];

    if (c == '{' || c == '[') return open_one(j, c == '{');
    token = c == '"' ? read_string(j, MW_JSON_STRING) : c == '-' || (c >= '0' && c <= '9') ? read_number(j) : read_word(j);
    if (token != MW_JSON_BAD) after_value(j);
    return token;
}

static enum mw_json_token read_key(struct mw_json *j) {
    size_t from, to;

    if (j->text[j->at] != '"') return bad(j, j->at, "a key in quotes is expected");
    if (read_string(j, MW_JSON_KEY) == MW_JSON_BAD) return MW_JSON_BAD;
    from = j->from;
    to = j->to;
    skip_space(j);
    if (at_end(j, j->at) || j->text[j->at] != ':') return bad(j, j->at, "a colon is expected");
    j->at++;
    j->from = from;
    j->to = to;
    j->state = WANT_VALUE;
    return MW_JSON_KEY;
}

enum mw_json_token mw_json_next(struct mw_json *j) {
    int first = j->state == WANT_FIRST || j->state == WANT_FIRST_KEY;
    char c;

    if (j->state == BROKEN) return MW_JSON_BAD;
    skip_space(j);
    if (j->state == WANT_NOTHING) {
        if (!at_end(j, j->at)) return bad(j, j->at, "something follows the value");
        j->from = j->to = j->at;
        return MW_JSON_END;
    }
    if (at_end(j, j->at)) return bad(j, j->at, j->depth > 0 ? "it ends in the middle" : "a value is expected");
    c = j->text[j->at];
    if ((first || j->state == WANT_MORE) && c == (in_object(j) ? '}' : ']')) return close_one(j);
    if (j->state == WANT_MORE) {
        if (c != ',') return bad(j, j->at, in_object(j) ? "a comma or } is expected" : "a comma or ] is expected");
        j->at++;
        j->state = in_object(j) ? WANT_KEY : WANT_VALUE;
        skip_space(j);
        if (at_end(j, j->at)) return bad(j, j->at, "it ends in the middle");
    }
    return j->state == WANT_KEY || j->state == WANT_FIRST_KEY ? read_key(j) : read_value(j);
}

void mw_json_position(const char *text, size_t offset, unsigned *line, unsigned *column) {
    *line = *column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') ++*line, *column = 1;
        else if (((unsigned char)text[i] & 0xc0) != 0x80) ++*column;
    }
}

/* ---- Writing -------------------------------------------------------------------------------------------------------------- */

/* Characters that a reader of logs would not see, or see elsewhere. */
static int hidden(unsigned c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb);
}

static size_t quote_one(char *out, const char *at, size_t n, unsigned code) {
    static const char hex[] = "0123456789abcdef";

    if (code == '"' || code == '\\') return out[0] = '\\', out[1] = (char)code, 2;
    if (code == '\n' || code == '\t' || code == '\r') return out[0] = '\\', out[1] = code == '\n' ? 'n' : code == '\t' ? 't' : 'r', 2;
    if (!hidden(code)) return memcpy(out, at, n), n;
    memcpy(out, "\\u", 2);
    for (int i = 0; i < 4; i++) out[2 + i] = hex[code >> (12 - 4 * i) & 15];
    return 6;
}

size_t mw_json_quote(char *out, size_t size, const char *text, size_t len, int *invalid) {
    size_t used = 0;
    char one[8];

    if (invalid != NULL) *invalid = 0;
    if (size < 2) return 0;
    out[used++] = '"';
    for (size_t i = 0; i < len;) {
        size_t n = mw_scan_utf8(text + i, text + len), m;
        if (n == 0) {
            n = 1;
            m = mw_scan_utf8_put(one, 0xfffd);
            if (invalid != NULL) *invalid = 1;
        } else {
            m = quote_one(one, text + i, n, mw_scan_utf8_code(text + i, n));
        }
        if (used + m + 1 > size) return 0;
        memcpy(out + used, one, m);
        used += m;
        i += n;
    }
    out[used++] = '"';
    return used;
}
