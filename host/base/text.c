/* Log lines: see text.h. Both forms escape control, bidirectional and zero-width characters and what is no UTF-8.
 * Knows: base/err. Never: allocates, writes anywhere. */
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define TAIL 16u                 /* kept free for the end of a line: ,"cut":true} and a NUL */
#define KEY_MAX 128u             /* bytes of a field's name */

/* Decodes one character of at[0..len): its length, and *code; 1 and -1 for a byte that is no UTF-8. */
static size_t decode(const unsigned char *at, size_t len, long *code) {
    static const long least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t n = at[0] < 0x80 ? 1 : at[0] >= 0xC2 && at[0] < 0xE0 ? 2 : (at[0] & 0xF0) == 0xE0 ? 3 : at[0] >= 0xF0 && at[0] < 0xF5 ? 4 : 0;
    long c;

    *code = -1;
    if (n == 0 || n > len) return 1;
    c = n == 1 ? at[0] : at[0] & (0x7F >> n);
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xC0) != 0x80) return 1;
        c = c << 6 | (at[i] & 0x3F);
    }
    if (n > 1 && (c < least[n] || (c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF)) return 1;
    *code = c;
    return n;
}

/* Characters that a terminal obeys, or that hide: C0, DEL, C1, zero-width, bidirectional marks, line separators. */
static int hidden(long c) {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0xAD || c == 0x61C || (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) ||
           (c >= 0x2060 && c <= 0x2069) || c == 0xFEFF;
}

static int fits(struct mw_line *l, size_t n) {
    if (l->len + n + TAIL < MW_LINE_MAX) return 1;
    l->cut = 1;
    return 0;
}

static void put(struct mw_line *l, const char *at, size_t n) {
    memcpy(l->at + l->len, at, n);
    l->len += n;
}

/* One character into `out` (room for 16), escaped where needed. */
static size_t show(char *out, const struct mw_line *l, const unsigned char *at, size_t n, long c, int quoted) {
    if (quoted && (c == '"' || c == '\\')) { out[0] = '\\'; out[1] = (char)c; return 2; }
    if (c == '\n' || c == '\t' || c == '\r') { out[0] = '\\'; out[1] = c == '\n' ? 'n' : c == '\t' ? 't' : 'r'; return 2; }
    if (c >= 0 && !hidden(c)) { memcpy(out, at, n); return n; }
    if (!l->json) { /* as many \xNN as there are bytes */
        size_t used = 0;

        for (size_t i = 0; i < n; i++) used += (size_t)snprintf(out + used, 16 - used + 1, "\\x%02x", at[i]);
        return used;
    }
    return (size_t)snprintf(out, 16, "\\u%04lx", c >= 0 ? (unsigned long)c : 0xFFFDul); /* all hidden ones are below 0x10000 */
}

/* Adds text, character by character, as far as it fits less `keep` bytes. Returns 0 if it was cut. */
static int add(struct mw_line *l, const char *text, size_t len, int quoted, size_t keep) {
    const unsigned char *at = (const unsigned char *)text;
    char one[20];

    for (size_t i = 0; i < len;) {
        long c;
        size_t n = decode(at + i, len - i, &c), shown = show(one, l, at + i, n, c, quoted);

        if (!fits(l, shown + keep)) return 0;
        put(l, one, shown);
        i += n;
    }
    return 1;
}

void mw_line_begin(struct mw_line *l, int json, double wall, const char *level, const char *text, size_t len) {
    time_t seconds = (time_t)wall;
    int ms = (int)((wall - (double)seconds) * 1000);
    struct tm tm;
    char day[32] = "";

    l->len = 0;
    l->cut = 0;
    l->json = json;
    if (gmtime_r(&seconds, &tm) != NULL) strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    l->len = (size_t)snprintf(l->at, sizeof l->at, json ? "{\"time\":\"%s.%03dZ\",\"level\":\"%.5s\",\"text\":\"" : "%s.%03dZ %-5.5s ", day, ms, level);
    add(l, text, len, json, 1);
    if (json) put(l, "\"", 1);
}

/* Words that need no quotes in key=value. */
static int plain(const char *at, size_t len) {
    if (len == 0) return 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)at[i];

        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7F) return 0;
    }
    return 1;
}

void mw_line_field(struct mw_line *l, const char *key, size_t key_len, const char *value, size_t len, int bare) {
    size_t start = l->len;
    int quoted = !bare && (l->json || !plain(value, len)), ok;

    if (key_len > KEY_MAX) { key_len = KEY_MAX; l->cut = 1; }
    if (!fits(l, 8)) return;
    put(l, l->json ? ",\"" : " ", l->json ? 2 : 1);
    ok = add(l, key, key_len, l->json, 8);
    put(l, l->json ? "\":" : "=", l->json ? 2 : 1);
    if (quoted) put(l, "\"", 1);
    if (ok && bare) {
        ok = fits(l, len);
        if (ok) put(l, value, len);
    } else if (ok) {
        add(l, value, len, quoted, 2);
    }
    if (!ok) { l->len = start; return; }     /* half a key or number says something wrong */
    if (quoted) put(l, "\"", 1);
}

const char *mw_line_end(struct mw_line *l) {
    const char *tail = l->json ? l->cut ? ",\"cut\":true}" : "}" : l->cut ? " ..." : "";

    put(l, tail, strlen(tail));
    l->at[l->len] = '\0';
    return l->at;
}

size_t mw_text_point(char *number) {
    static const char plain[] = "0123456789+-e.";
    char *at = number + strspn(number, plain), *rest = at;

    if (*at == 0) return (size_t)(at - number);
    while (*rest != 0 && strchr(plain, *rest) == NULL) rest++;
    *at = '.';
    memmove(at + 1, rest, strlen(rest) + 1);
    return strlen(number);
}
