/* Secrets in bytes of unknown form: see observe/redact.h. Two machines look at each byte, one for text, one for MessagePack; a byte is
 * hidden when either says so, since bytes do not tell what they are.
 * Knows: base/err. Never: looks back. */
#include "observe/redact.h"

#include <string.h>

#include "base/err.h"

enum mode { SCAN, AFTER_NAME, BEFORE_VALUE, STRING, NEST, WORD, LINE, LITERAL };

static int lower(int c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }
static int is_word(int c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }
static int is_space(int c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

int mw_redact_add(struct mw_redact_names *names, const char *text, size_t len) {
    if (len == 0 || len > MW_REDACT_NAME || names->count == MW_REDACT_NAMES) return MW_ELIMIT;
    for (size_t i = 0; i < len; i++) names->text[names->count][i] = (char)lower((unsigned char)text[i]);
    names->len[names->count] = (unsigned char)len;
    names->ends[(unsigned char)names->text[names->count][len - 1]] = 1;
    names->count++;
    return 0;
}

/* ---- Names in text ------------------------------------------------------------------------------------------------------ */

static void see(struct mw_redact *r, int c, int soft) {
    size_t most = sizeof r->seen.at / sizeof *r->seen.at;

    if (r->seen.len == most) {
        memmove(r->seen.at, r->seen.at + most / 2, most / 2 * sizeof *r->seen.at);
        r->seen.len = (unsigned)(most / 2);
    }
    r->seen.at[r->seen.len++] = (uint16_t)(lower(c) | (soft ? 0x100 : 0));
}

static void see_code(struct mw_redact *r, unsigned code) {
    if (code < 0x80) {
        see(r, (int)code, 0);
    } else if (code < 0x800) {
        see(r, (int)(0xc0 | code >> 6), 0);
        see(r, (int)(0x80 | (code & 63)), 0);
    } else {
        see(r, (int)(0xe0 | code >> 12), 0);
        see(r, (int)(0x80 | (code >> 6 & 63)), 0);
        see(r, (int)(0x80 | (code & 63)), 0);
    }
}

static int hex(int c) {
    c = lower(c);
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next byte, without its escapes. 1: a character is complete. */
static int decode(struct mw_redact *r, int c) {
    if (r->seen.escape == 2) {
        int digit = hex(c);
        if (digit >= 0) {
            r->seen.code = r->seen.code << 4 | (unsigned)digit;
            if (++r->seen.digits < 4) return 0;
            r->seen.escape = 0;
            see_code(r, r->seen.code);
            return 1;
        }
        r->seen.escape = 0;         /* it was none: the digits are what they look like */
        for (int i = r->seen.digits - 1; i >= 0; i--) see(r, "0123456789abcdef"[r->seen.code >> (4 * i) & 15], 0);
    }
    if (r->seen.escape == 1) {
        if (c == '\\') return 0;
        r->seen.escape = 0;
        if (c == 'u') {
            r->seen.escape = 2;
            r->seen.digits = 0;
            r->seen.code = 0;
            see(r, 'u', 1);
            return 0;
        }
        see(r, c, 1);
        return 1;
    }
    if (c == '\\') {
        r->seen.escape = 1;
        see(r, c, 0);
        return 0;
    }
    see(r, c, 0);
    return 1;
}

/* Is what was seen last one of the names, and nothing longer? An escaped character may stand for another, as the u of \u0070, which is
 * seen before its digits are: it is passed over. */
static int name_seen(const struct mw_redact_names *names, const struct mw_redact *r) {
    for (unsigned n = 0; n < names->count; n++) {
        unsigned at = r->seen.len, i = names->len[n];
        while (i > 0 && at > 0) {
            int c = r->seen.at[at - 1];
            at--;
            if ((c & 0xff) == (unsigned char)names->text[n][i - 1]) i--;
            else if (c != ('u' | 0x100) && c != '\\') break;
        }
        if (i == 0 && (at == 0 || r->seen.at[at - 1] > 0xff || !is_word(r->seen.at[at - 1]))) return 1;
    }
    return 0;
}

/* ---- Values in text ----------------------------------------------------------------------------------------------------- */

/* Is this quote one that begins or ends a string where quotes stand behind `level` backslashes? One that is part of the string stands
 * behind more: each level doubles them. */
static int is_end_quote(unsigned run, unsigned level) { return run % (2 * (level + 1)) == level; }

static void end_value(struct mw_redact *r) {
    r->text.mode = r->text.under;
    r->text.under = SCAN;
}

static void begin_string(struct mw_redact *r, int quote) {
    r->text.mode = STRING;
    r->text.quote = (unsigned char)quote;
    r->text.run = 0;
}

/* The byte behind a name; 0: it is to be looked at again, since this was no name of a value. */
static int after_name(struct mw_redact *r, int c) {
    if (c == '"' || c == '\'') r->text.named_in_quotes = 1;
    else if (c == ':' || c == '=') {
        r->text.mode = BEFORE_VALUE;
        r->text.separator = (unsigned char)c;
        r->text.level = 0;
        r->text.turned = 0;
    } else if (c != '\\' && c != ']' && !is_space(c)) {
        end_value(r);
        return 0;
    }
    return 1;
}

/* The first byte of the value, or one before it. 0: to be looked at again. */
static int before_value(struct mw_redact *r, int c) {
    if (!r->text.turned && (c == '=' || c == '>')) {          /* ==, => and := */
        r->text.turned = 1;
        return 1;
    }
    r->text.turned = 1;
    if (c == '\\') {
        r->text.level++;
        return 1;
    }
    if ((c == '\r' || c == '\n') && !r->text.named_in_quotes) {
        end_value(r);
        return 0;
    }
    if (is_space(c)) {
        r->text.level = 0;
        return 1;
    }
    if (c == '"' || c == '\'') {
        begin_string(r, c);
    } else if (c == '{' || c == '[') {
        r->text.mode = NEST;
        r->text.depth = 1;
        r->text.in_string = 0;
        r->text.run = 0;
    } else {
        int literal = (c >= '0' && c <= '9') || c == '-' || c == 't' || c == 'f' || c == 'n';
        r->text.mode = r->text.separator == '=' ? WORD : r->text.named_in_quotes && literal ? LITERAL : LINE;
        return 0;
    }
    return 1;
}

/* A byte of an object or an array. 1: hidden. */
static int nest(struct mw_redact *r, int c) {
    unsigned run = r->text.run;

    r->text.run = c == '\\' ? run + 1 : 0;
    if (r->text.in_string) {
        if (c == r->text.quote && is_end_quote(run, r->text.level)) r->text.in_string = 0;
    } else if (c == '"' || c == '\'') {
        r->text.in_string = 1;
        r->text.quote = (unsigned char)c;
        r->text.level = run;
    } else if (c == '{' || c == '[') {
        r->text.depth++;
    } else if ((c == '}' || c == ']') && --r->text.depth == 0) {
        end_value(r);
        return 0;
    }
    return 1;
}

/* Does `c` end a value that has no quotes? */
static int is_end(enum mode mode, int c) {
    if (mode == LINE) return c == '\r' || c == '\n';
    if (mode == WORD) return c <= ' ' || c == 0x7f || c == '&' || c == ';';
    return is_space(c) || c == ',' || c == '}' || c == ']';
}

/* 1: the byte is to be hidden. */
static int text_byte(const struct mw_redact_names *names, struct mw_redact *r, int c) {
    int hidden;

    if (r->text.mode == STRING) {
        unsigned run = r->text.run;
        r->text.run = c == '\\' ? run + 1 : 0;
        if (c != r->text.quote || !is_end_quote(run, r->text.level)) return 1;
        end_value(r);
        r->seen.len = r->seen.escape = 0;
        return r->text.mode != SCAN;
    }
    if (r->text.mode == NEST) {
        if (nest(r, c)) return 1;
        r->seen.len = r->seen.escape = 0;
        return r->text.mode != SCAN;
    }
    if (r->text.mode == AFTER_NAME) after_name(r, c);
    else if (r->text.mode == BEFORE_VALUE) before_value(r, c);
    if (r->text.mode >= WORD && is_end(r->text.mode, c)) end_value(r);
    hidden = r->text.mode >= WORD || (r->text.mode != SCAN && r->text.under != SCAN);
    if (!decode(r, c) || (r->text.mode != SCAN && r->text.mode < WORD)) return hidden;
    if (names->ends[r->seen.at[r->seen.len - 1] & 0xff] && name_seen(names, r)) {
        r->text.under = r->text.mode;
        r->text.mode = AFTER_NAME;
        r->text.named_in_quotes = 0;
    }
    return hidden;
}

/* ---- MessagePack -------------------------------------------------------------------------------------------------------- */

/* Is the name that ends here a string or a binary of just its length? */
static int name_packed(const struct mw_redact_names *names, const struct mw_redact *r) {
    for (unsigned n = 0; n < names->count; n++) {
        unsigned len = names->len[n], i = 0;
        const unsigned char *at = r->pack.at + r->pack.len - len;

        if (r->pack.len < len + 1) continue;
        while (i < len && lower(at[i]) == (unsigned char)names->text[n][i]) i++;
        if (i < len) continue;
        if (len < 32 && at[-1] == (0xa0 | len)) return 1;
        if (at[-1] != len) continue;
        if (r->pack.len >= len + 2 && (at[-2] == 0xd9 || at[-2] == 0xc4)) return 1;
        if (r->pack.len >= len + 3 && at[-2] == 0 && (at[-3] == 0xda || at[-3] == 0xc5)) return 1;
        if (r->pack.len >= len + 5 && at[-2] == 0 && at[-3] == 0 && at[-4] == 0 && (at[-5] == 0xdb || at[-5] == 0xc6)) return 1;
    }
    return 0;
}

static void remember(struct mw_redact *r, int c) {
    unsigned most = sizeof r->pack.at;

    if (r->pack.len == most) {
        memmove(r->pack.at, r->pack.at + most / 2, most / 2);
        r->pack.len = most / 2;
    }
    r->pack.at[r->pack.len++] = (unsigned char)c;
}

/* `n` bytes of the object follow, or it is complete. */
static void follow(struct mw_redact *r, uint64_t n) {
    r->pack.bytes = n;
    if (n == 0) r->pack.objects--;
}

static void contain(struct mw_redact *r, uint64_t n) {
    r->pack.objects += n;
    follow(r, 0);
}

/* What the object's length means. */
static void length_known(struct mw_redact *r) {
    int h = r->pack.header;

    if (h == 0xdc || h == 0xdd) contain(r, r->pack.length);
    else if (h == 0xde || h == 0xdf) contain(r, 2 * r->pack.length);
    else follow(r, r->pack.length + (h >= 0xc7 && h <= 0xc9));      /* ext: its type too */
}

/* The first byte of an object. 1: hidden, since it is the value. */
static int pack_header(struct mw_redact *r, int c) {
    static const unsigned char lengths[] = {1, 2, 4, 1, 2, 4};                     /* c4..c9 */
    static const unsigned char sizes[] = {4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17};  /* ca..d8 */

    r->pack.header = (unsigned char)c;
    r->pack.length = 0;
    if (c < 0x80 || c >= 0xe0 || c == 0xc0 || c == 0xc2 || c == 0xc3) return follow(r, 0), 1;
    if (c < 0x90) contain(r, 2 * (uint64_t)(c & 15));
    else if (c < 0xa0) contain(r, (uint64_t)(c & 15));
    else if (c < 0xc0) follow(r, (uint64_t)(c & 31));
    else if (c == 0xc1) r->pack.objects = 0;                        /* there is none: not MessagePack */
    else if (c < 0xca) r->pack.length_left = lengths[c - 0xc4];
    else if (c < 0xd9) follow(r, sizes[c - 0xca]);
    else r->pack.length_left = (unsigned char)(c == 0xd9 ? 1 : c == 0xda || c == 0xdc || c == 0xde ? 2 : 4);
    return 0;
}

static int pack_byte(const struct mw_redact_names *names, struct mw_redact *r, int c) {
    if (r->pack.objects == 0) {
        remember(r, c);
        if (names->ends[lower(c)] && name_packed(names, r)) {
            r->pack.objects = 1;
            r->pack.bytes = 0;
            r->pack.length_left = 0;
            r->pack.len = 0;
        }
        return 0;
    }
    if (r->pack.length_left > 0) {
        r->pack.length = r->pack.length << 8 | (unsigned)c;
        if (--r->pack.length_left == 0) length_known(r);
        return 0;
    }
    if (r->pack.bytes > 0) {
        if (--r->pack.bytes == 0) r->pack.objects--;
        return 1;
    }
    return pack_header(r, c);
}

void mw_redact(const struct mw_redact_names *names, struct mw_redact *r, const char *in, size_t len, char *out, size_t out_max) {
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)in[i], hidden = text_byte(names, r, c);

        hidden |= pack_byte(names, r, c);
        if (i < out_max) out[i] = hidden ? '*' : (char)c;
    }
}
