/* Bytes that grow, UTF-8 and characters, and where text puts the cursor.
 * Knows: C11's wide characters, under the locale that the editor set. Never: writes anything. */
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "front/repl_edit_parts.h"

#define REPLACEMENT 0xfffd
#define TAB_STOP 8

int mw_text_add(struct mw_text *t, const char *bytes, size_t len) {
    if (t->room - t->len < len) {
        size_t room = t->room < 64 ? 64 : t->room;
        char *more;
        while (room - t->len < len) room *= 2;
        more = realloc(t->at, room);
        if (more == NULL) return -1;
        t->at = more;
        t->room = room;
    }
    if (len > 0) memcpy(t->at + t->len, bytes, len);
    t->len += len;
    return 0;
}

void mw_text_drop(struct mw_text *t, size_t len) {
    if (len > t->len) len = t->len;
    if (len < t->len) memmove(t->at, t->at + len, t->len - len);
    t->len -= len;
}

void mw_text_free(struct mw_text *t) {
    free(t->at);
    memset(t, 0, sizeof *t);
}

/* One character; returns the bytes it takes, at least 1. */
static size_t decode(const unsigned char *at, size_t len, wchar_t *out) {
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t n = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;
    uint32_t c = n <= 1 ? at[0] : at[0] & (0x7fu >> n);

    *out = REPLACEMENT;
    if (n == 0 || n > len) return 1;
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80) return 1;
        c = c << 6 | (at[i] & 0x3fu);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 1;
    *out = (wchar_t)c;
    return n;
}

wchar_t *mw_text_wide(const char *bytes, size_t len, size_t *count) {
    wchar_t *out = malloc((len + 1) * sizeof *out);
    size_t n = 0;

    if (out == NULL) return NULL;
    for (size_t i = 0; i < len; n++) i += decode((const unsigned char *)bytes + i, len - i, &out[n]);
    out[n] = 0;
    if (count != NULL) *count = n;
    return out;
}

int mw_text_add_wide(struct mw_text *t, const wchar_t *chars, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t c = (uint32_t)chars[i];
        char b[4];
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        if (n == 1) b[0] = (char)c;
        for (size_t k = n; n > 1 && k-- > 0;) b[k] = (char)(k > 0 ? 0x80 | (c >> 6 * (n - 1 - k) & 0x3f) : (0xf00u >> n & 0xff) | c >> 6 * (n - 1));
        if (mw_text_add(t, b, n) < 0) return -1;
    }
    return 0;
}

static void put(struct mw_place *p, size_t cells, unsigned width) {
    if (p->column + cells > width) p->row++, p->column = 0;
    p->column += cells;
    if (p->column >= width) p->row++, p->column = 0;
}

void mw_place_line(struct mw_place *p, const wchar_t *chars, size_t count, unsigned width) {
    for (size_t i = 0; i < count; i++) {
        wchar_t c = chars[i];
        int w = wcwidth(c);
        if (c == '\n') {
            p->row++, p->column = 0;
        } else if (c == '\t') {
            do put(p, 1, width);
            while (p->column % TAB_STOP != 0);
        } else if (c < 0x20 || c == 0x7f) {
            put(p, 1, width), put(p, 1, width);
        } else if (w < 0 || !iswprint((wint_t)c)) {
            for (int k = c < 0x10000 ? 7 : 8; k > 0; k--) put(p, 1, width); /* libedit writes \U+0000 */
        } else {
            put(p, (size_t)w, width);
        }
    }
}

/* The bytes of an escape sequence, the ESC included. */
static size_t escape(const char *at, size_t len) {
    size_t i = 2;

    if (len < 2) return len;
    if (at[1] == '[') {
        while (i < len && !(at[i] >= 0x40 && at[i] <= 0x7e)) i++;
        return i < len ? i + 1 : len;
    }
    if (at[1] == ']') {
        while (i < len && at[i] != 7 && at[i] != 27) i++;
        return i >= len ? len : at[i] == 7 ? i + 1 : i + 2 < len ? i + 2 : len;
    }
    return 2;
}

void mw_place_output(struct mw_place *p, const char *bytes, size_t len, unsigned width) {
    for (size_t i = 0; i < len;) {
        wchar_t c;
        int w;
        if (bytes[i] == 27) {
            i += escape(bytes + i, len - i);
            continue;
        }
        i += decode((const unsigned char *)bytes + i, len - i, &c);
        if (c == '\n') p->row++, p->column = 0;
        else if (c == '\r') p->column = 0;
        else if (c == '\b') p->column -= p->column > 0;
        else if (c == '\t') p->column = p->column / TAB_STOP * TAB_STOP + TAB_STOP < width ? p->column / TAB_STOP * TAB_STOP + TAB_STOP : width - 1;
        else if (c >= 0x20 && (w = wcwidth(c)) > 0) {
            if (p->column + (size_t)w > width) p->row++, p->column = 0;
            p->column += (size_t)w;
        }
    }
}
