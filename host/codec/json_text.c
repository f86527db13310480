/* JSON text: see json_text.h. A state says what may follow; a bit for each level says whether it is an object.
 * Knows: C11. Never: allocates, lua.h. */
#include "codec/json_text.h"

#include <string.h>

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

static int digit(char c) { return c >= '0' && c <= '9'; }

static int at_end(const struct mw_json *j, size_t at) { return at >= j->len; }

static void skip_space(struct mw_json *j) {
    while (j->at < j->len && (j->text[j->at] == ' ' || j->text[j->at] == '\t' || j->text[j->at] == '\n' || j->text[j->at] == '\r')) j->at++;
}

/* Length of the character at s, at most len bytes: 1..4, or 0: no UTF-8. */
static size_t utf8(const unsigned char *s, size_t len, unsigned *code) {
    static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t n = s[0] < 0x80 ? 1 : (s[0] & 0xe0) == 0xc0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : (s[0] & 0xf8) == 0xf0 ? 4 : 0;
    unsigned c;

    if (n == 0 || n > len) return 0;
    c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (s[i] & 0x3fu);
    }
    *code = c;
    return c < least[n] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff ? 0 : n;
}

static size_t utf8_put(char *out, unsigned c) {
    if (c < 0x80) return *out = (char)c, 1;
    if (c < 0x800) return out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 0x3f)), 2;
    if (c < 0x10000) return out[0] = (char)(0xe0 | c >> 12), out[1] = (char)(0x80 | (c >> 6 & 0x3f)), out[2] = (char)(0x80 | (c & 0x3f)), 3;
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* ---- Strings ------------------------------------------------------------------------------------------------------------- */

/* Four hexadecimal digits; -1: there are none. */
static int hex4(const char *s, size_t len) {
    int v = 0;

    if (len < 4) return -1;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int d = digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (d < 0) return -1;
        v = v << 4 | d;
    }
    return v;
}

/* One escape at s (which is at the backslash): its length, and the character. 0: *why says what is wrong. */
static size_t escape(const char *s, size_t len, unsigned *code, const char **why) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *plain;
    int high, low;

    *why = "an unknown escape";
    if (len < 2) return 0;
    if (s[1] != 'u') {
        plain = s[1] != 0 ? strchr(from, s[1]) : NULL;
        if (plain == NULL) return 0;
        *code = (unsigned char)to[plain - from];
        return 2;
    }
    *why = "\\u needs four hexadecimal digits";
    high = hex4(s + 2, len - 2);
    if (high < 0) return 0;
    *code = (unsigned)high;
    if (high < 0xd800 || high > 0xdfff) return 6;
    *why = "half of a surrogate pair";
    if (high > 0xdbff || len < 8 || s[6] != '\\' || s[7] != 'u') return 0;
    low = hex4(s + 8, len - 8);
    if (low < 0xdc00 || low > 0xdfff) return 0;
    *code = 0x10000 + (((unsigned)high & 0x3ff) << 10 | ((unsigned)low & 0x3ff));
    return 12;
}

static enum mw_json_token read_string(struct mw_json *j, enum mw_json_token what) {
    size_t at = j->at + 1, n;
    unsigned code;
    char unused[4];
    const char *why;

    j->from = j->at;
    j->decoded = 0;
    for (;; at += n) {
        if (at_end(j, at)) return bad(j, j->from, "a string without an end");
        if (j->text[at] == '"') break;
        if ((unsigned char)j->text[at] < 0x20) return bad(j, at, "a control character in a string");
        if (j->text[at] == '\\') {
            n = escape(j->text + at, j->len - at, &code, &why);
            if (n == 0) return bad(j, at, why);
            j->decoded += utf8_put(unused, code);
        } else {
            n = utf8((const unsigned char *)j->text + at, j->len - at, &code);
            if (n == 0) return bad(j, at, "not UTF-8");
            j->decoded += n;
        }
    }
    j->at = j->to = at + 1;
    return what;
}

void mw_json_string(const struct mw_json *j, char *out) {
    const char *why;
    unsigned code;

    for (size_t at = j->from + 1; at + 1 < j->to;) {
        if (j->text[at] == '\\') {
            at += escape(j->text + at, j->to - 1 - at, &code, &why);
            out += utf8_put(out, code);
        } else {
            *out++ = j->text[at++];
        }
    }
}

/* ---- Numbers and words ---------------------------------------------------------------------------------------------------- */

static enum mw_json_token read_number(struct mw_json *j) {
    size_t at = j->at;

    j->from = at;
    j->whole = 1;
    if (j->text[at] == '-') at++;
    if (at_end(j, at) || !digit(j->text[at])) return bad(j, at, "a digit is expected");
    if (j->text[at] == '0') at++;
    else
        while (!at_end(j, at) && digit(j->text[at])) at++;
    if (!at_end(j, at) && digit(j->text[at])) return bad(j, j->from, "a number with a leading zero");
    if (!at_end(j, at) && j->text[at] == '.') {
        j->whole = 0;
        if (at_end(j, ++at) || !digit(j->text[at])) return bad(j, at, "a digit is expected");
        while (!at_end(j, at) && digit(j->text[at])) at++;
    }
    if (!at_end(j, at) && (j->text[at] == 'e' || j->text[at] == 'E')) {
        j->whole = 0;
        at++;
        if (!at_end(j, at) && (j->text[at] == '+' || j->text[at] == '-')) at++;
        if (at_end(j, at) || !digit(j->text[at])) return bad(j, at, "a digit is expected");
        while (!at_end(j, at) && digit(j->text[at])) at++;
    }
    j->at = j->to = at;
    return MW_JSON_NUMBER;
}

static enum mw_json_token read_word(struct mw_json *j) {
    static const struct { const char *word; enum mw_json_token token; } words[] = {
        { "null", MW_JSON_NULL }, { "true", MW_JSON_TRUE }, { "false", MW_JSON_FALSE },
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i].word);
        if (j->len - j->at < n || memcmp(j->text + j->at, words[i].word, n) != 0) continue;
        j->from = j->at;
        j->at = j->to = j->at + n;
        return words[i].token;
    }
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
    token = c == '"' ? read_string(j, MW_JSON_STRING) : c == '-' || digit(c) ? read_number(j) : read_word(j);
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
        unsigned code = 0;
        size_t n = utf8((const unsigned char *)text + i, len - i, &code), m;
        if (n == 0) {
            n = 1;
            m = utf8_put(one, 0xfffd);
            if (invalid != NULL) *invalid = 1;
        } else {
            m = quote_one(one, text + i, n, code);
        }
        if (used + m + 1 > size) return 0;
        memcpy(out + used, one, m);
        used += m;
        i += n;
    }
    out[used++] = '"';
    return used;
}
