/* Two keys that are more than a key: Tab, and a paste.
 * Knows: front/repl_edit_parts.h. Never: libedit's header; runs what was pasted: that takes an Enter. */
#include <stdlib.h>
#include <string.h>

#include "front/repl_edit_parts.h"

#define LISTED_ROWS 12              /* rows of candidates that are shown; Tab shows what fits */
#define PASTE_MAX (16u << 20)       /* bytes */
#define GAP 2                       /* between columns */

/* ---- Tab ------------------------------------------------------------------------------------------------------------------------ */

static size_t cells_of(const char *text) {
    struct mw_place p = { 0, 0 };

    mw_place_output(&p, text, strlen(text), 1u << 30);
    return p.column;
}

static const char *next_candidate(const char *at, const char **signature) {
    *signature = at + strlen(at) + 1;
    return *signature + strlen(*signature) + 1;
}

/* The bytes that all of them begin with; never a part of a character. */
static size_t common(const struct mw_completions *a) {
    const char *first = a->text.at, *at = first, *signature;
    size_t len = strlen(first);

    for (size_t i = 0; i < a->count; i++) {
        size_t n = 0;
        while (n < len && at[n] == first[n]) n++;
        len = n;
        at = next_candidate(at, &signature);
    }
    while (len > 0 && ((unsigned char)first[len] & 0xc0) == 0x80) len--;
    return len;
}

/* In columns, down each of them, as ls does. */
static void list(mw_edit *e) {
    const struct mw_completions *a = &e->answer;
    const char **names = malloc(a->count * sizeof *names), *at = a->text.at, *signature;
    size_t widest = 0, across, rows, shown;
    struct mw_text out = { 0 };

    if (names == NULL) return;
    for (size_t i = 0; i < a->count; i++) {
        size_t cells = cells_of(at);
        names[i] = at;
        if (cells > widest) widest = cells;
        at = next_candidate(at, &signature);
    }
    across = e->width > widest + GAP ? (e->width - 1 + GAP) / (widest + GAP) : 1;
    if (across == 0) across = 1;
    rows = (a->count + across - 1) / across;
    shown = rows > LISTED_ROWS ? LISTED_ROWS : rows;
    for (size_t row = 0; row < shown; row++) {
        for (size_t k = row; k < a->count; k += rows) {
            size_t cells = cells_of(names[k]);
            mw_text_add(&out, names[k], strlen(names[k]));
            while (k + rows < a->count && cells++ < widest + GAP) mw_text_add(&out, " ", 1);
        }
        mw_text_add(&out, "\n", 1);
    }
    if (rows > shown) mw_text_add(&out, "...\n", 4);
    mw_screen_show(e, out.at, out.len);
    mw_text_free(&out);
    free(names);
}

static void show_line(mw_edit *e, const char *text, size_t len) {
    if (len == 0) return;
    mw_screen_show(e, text, len);
    if (text[len - 1] != '\n') mw_screen_show(e, "\n", 1);
}

/* Puts what all candidates share in the place of what is there; returns whether that changed the line. */
static int advance(mw_edit *e) {
    const struct mw_completions *a = &e->answer;
    const wchar_t *chars;
    size_t cursor, len = common(a), old, kept = 0, count = 0;
    struct mw_text there = { 0 };
    wchar_t *wanted;
    int changed;

    mw_edit_buffer(e, &chars, &cursor);
    mw_text_add_wide(&there, chars, cursor);
    if (a->from > there.len || (wanted = mw_text_wide(a->text.at, len, &count)) == NULL) return mw_text_free(&there), 1;
    changed = there.len - a->from != len || memcmp(there.at + a->from, a->text.at, len) != 0;
    old = there.len - a->from;
    if (len < old && a->count > 1) changed = 0; /* they share less than what was typed */
    if (changed) {
        for (size_t i = a->from; i < there.len; i++) kept += ((unsigned char)there.at[i] & 0xc0) != 0x80;
        mw_edit_delete_back(e, kept);
        mw_edit_insert(e, wanted);
    }
    free(wanted);
    mw_text_free(&there);
    return changed;
}

void mw_keys_answer(mw_edit *e) {
    struct mw_completions *a = &e->answer;
    const char *signature = "";

    if (a->count == 1) (void)next_candidate(a->text.at, &signature);
    if (a->count > 0 && !advance(e) && a->count > 1) list(e);
    if (*signature != '\0') show_line(e, signature, strlen(signature));
    else show_line(e, a->hint.at, a->hint.len);
}

void mw_keys_complete(mw_edit *e) {
    const wchar_t *chars;
    size_t cursor, count = mw_edit_buffer(e, &chars, &cursor), blank = 0;
    struct mw_text head = { 0 };

    while (blank < cursor && (chars[cursor - 1 - blank] == ' ' || chars[cursor - 1 - blank] == '\t')) blank++;
    if (blank == cursor || chars[cursor - 1 - blank] == '\n') { /* nothing stands before it: an indent */
        mw_edit_insert(e, L"  ");
        return;
    }
    e->asked.len = 0;
    e->asked_at = cursor;
    e->answer.text.len = e->answer.count = e->answer.hint.len = 0;
    e->answer.from = 0;
    if (mw_text_add_wide(&e->asked, chars, count) < 0 || mw_text_add_wide(&head, chars, cursor) < 0) return;
    e->hooks.complete(e->hooks.ud, e->asked.at, e->asked.len, head.len, &e->answer);
    mw_text_free(&head);
    mw_keys_answer(e);
}

/* ---- A paste -------------------------------------------------------------------------------------------------------------------- */

/* What a line may hold: newlines, tabs and characters; what a terminal obeys is left out. */
static void clean(struct mw_text *t) {
    size_t to = 0;

    for (size_t i = 0; i < t->len; i++) {
        unsigned char c = (unsigned char)t->at[i];
        if (c == '\r' || c == '\n') { /* the terminal's modes swap the two: "\r\n" comes as "\n\r" */
            if (i + 1 < t->len && (t->at[i + 1] == '\r' || t->at[i + 1] == '\n') && t->at[i + 1] != (char)c) i++;
            c = '\n';
        }
        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) continue;
        if (c == 0xc2 && i + 1 < t->len && (unsigned char)t->at[i + 1] < 0xa0) { /* C1 */
            i++;
            continue;
        }
        t->at[to++] = (char)c;
    }
    while (to > 0 && t->at[to - 1] == '\n') to--;
    t->len = to;
}

void mw_keys_paste(mw_edit *e) {
    static const char end[] = "\033[201~";
    enum { END = sizeof end - 1 };
    struct mw_text text = { 0 };
    wchar_t *chars;
    unsigned char b;
    int got;

    while ((got = mw_edit_byte(e, &b)) == 1) {
        if (text.len < PASTE_MAX) mw_text_add(&text, (char *)&b, 1);
        else memmove(text.at + text.len - END, text.at + text.len - END + 1, END - 1), text.at[text.len - 1] = (char)b;
        if (text.len >= END && memcmp(text.at + text.len - END, end, END) == 0) break;
    }
    if (got == 1) {
        text.len -= END;
        clean(&text);
        chars = mw_text_wide(text.at, text.len, NULL);
        if (chars != NULL) mw_edit_insert(e, chars);
        free(chars);
    }
    mw_text_free(&text);
}
