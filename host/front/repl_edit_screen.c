/* The screen around the line: output goes above it. What is on the screen and ours to move: the end of the output if it has no newline
 * yet (the tail), the earlier lines of the same input, then prompt and line. To print, the cursor goes up to where that begins, all of it
 * is erased, and it is drawn again below what was printed.
 * Knows: ANSI's cursor movements, which open() has seen that the terminal has. Never: libedit; more than one write a turn of the loop. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "front/repl_edit_parts.h"

#define TAIL_MAX 4096               /* bytes of a line without its end that are drawn again; a longer one stays where it is */
#define HELD_MAX (256u << 10)       /* bytes that wait for the end of the turn */
#define QUIET_MS 15                 /* between two redraws */

static uint64_t now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void mw_screen_size(mw_edit *e) {
    struct winsize size;

    e->width = 80;
    e->height = 24;
    if (ioctl(e->out, TIOCGWINSZ, &size) < 0) return;
    if (size.ws_col > 1) e->width = size.ws_col;
    if (size.ws_row > 1) e->height = size.ws_row;
}

unsigned mw_screen_columns(const mw_edit *e) {
    struct winsize size;
    return ioctl(e->out, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : e->width;
}

void mw_screen_write(mw_edit *e, const char *bytes, size_t len) {
    fflush(e->file_out); /* what libedit has written comes first */
    while (len > 0) {
        ssize_t n = write(e->out, bytes, len);
        struct pollfd full = { e->out, POLLOUT, 0 };
        if (n > 0) bytes += n, len -= (size_t)n;
        else if (n < 0 && errno == EAGAIN) poll(&full, 1, 1000);
        else if (n < 0 && errno != EINTR) return;
    }
}

static void put(mw_edit *e, const char *text) { mw_screen_write(e, text, strlen(text)); }

/* ---- Where things stand --------------------------------------------------------------------------------------------------------- */

/* The rows of the earlier lines, as libedit drew them. */
static size_t rows_before(const mw_edit *e, unsigned width) {
    struct mw_place p = { 0, 0 };
    size_t count = 0;
    wchar_t *chars = mw_text_wide(e->before, strlen(e->before), &count);

    if (chars == NULL) return 0;
    mw_place_line(&p, chars, count, width);
    free(chars);
    return p.row;
}

/* The line's rows up to the cursor; *end: where it ends. */
static size_t rows_to_cursor(mw_edit *e, unsigned width, struct mw_place *end) {
    struct mw_place p = { 0, 0 };
    const wchar_t *chars;
    size_t cursor, count = mw_edit_buffer(e, &chars, &cursor), row;

    mw_place_line(&p, e->prompt, wcslen(e->prompt), width);
    mw_place_line(&p, chars, cursor, width);
    row = p.row;
    mw_place_line(&p, chars + cursor, count - cursor, width);
    if (end != NULL) *end = p;
    return row;
}

static size_t rows_of_tail(const mw_edit *e, unsigned width) {
    struct mw_place p = { 0, 0 };

    if (e->tail.len == 0) return 0;
    mw_place_output(&p, e->tail.at, e->tail.len, width);
    return p.row + 1;
}

static void go(mw_edit *e, size_t rows, char way) {
    char text[32];

    if (rows == 0) return;
    snprintf(text, sizeof text, "\033[%zu%c", rows, way);
    put(e, text);
}

/* ---- Drawing -------------------------------------------------------------------------------------------------------------------- */

static void erase(mw_edit *e, size_t rows) {
    if (rows > e->height - 1) rows = e->height - 1; /* the rest has left the screen */
    put(e, "\r");
    go(e, rows, 'A');
    put(e, "\033[J");
}

/* Each of the earlier lines, and an empty row where libedit left one: below a line that filled its last row. */
static void draw_before(mw_edit *e) {
    const char *at = e->before;

    while (*at != '\0') {
        size_t len = strcspn(at, "\n"), count = 0;
        wchar_t *chars = mw_text_wide(at, len, &count);
        struct mw_place p = { 0, 0 };
        if (chars != NULL) mw_place_line(&p, chars, count, e->width);
        free(chars);
        mw_screen_write(e, at, len);
        put(e, p.row > 0 && p.column == 0 ? "\r\n\r\n" : "\r\n");
        at += len + (at[len] == '\n');
    }
}

void mw_screen_erase(mw_edit *e) {
    if (!e->drawn) return;
    erase(e, rows_to_cursor(e, e->width, NULL) + rows_before(e, e->width));
    e->drawn = 0;
}

void mw_screen_draw(mw_edit *e) {
    draw_before(e);
    mw_edit_refresh(e);
    e->drawn = 1;
}

/* What of all output stands after its last newline. */
static void take_tail(mw_edit *e, const char *text, size_t len) {
    const char *newline = memrchr(text, '\n', len), *begin;

    if (newline != NULL) {
        e->tail.len = 0;
        len -= (size_t)(newline + 1 - text);
        text = newline + 1;
    }
    if (e->tail.len + len > TAIL_MAX) {
        e->tail.len = 0;
        if (len > 0) e->clean = 0;
        return;
    }
    mw_text_add(&e->tail, text, len);
    begin = e->tail.len > 0 ? memrchr(e->tail.at, '\r', e->tail.len - 1) : NULL;
    if (begin != NULL && memchr(e->tail.at, 27, e->tail.len) == NULL) mw_text_drop(&e->tail, (size_t)(begin - e->tail.at)); /* "\r50%": what it wrote over is gone */
}

/* A line without its end that is too long to be drawn again: it is ended. */
static void write_output(mw_edit *e, const char *text, size_t len) {
    e->clean = 1;
    mw_screen_write(e, text, len);
    take_tail(e, text, len);
}

void mw_screen_flush(mw_edit *e) {
    size_t tail;

    if (e->held.len == 0) return;
    tail = rows_of_tail(e, e->width);
    if (e->drawn) erase(e, rows_to_cursor(e, e->width, NULL) + rows_before(e, e->width) + tail);
    if (tail > 0) mw_screen_write(e, e->tail.at, e->tail.len);
    write_output(e, e->held.at, e->held.len);
    e->held.len = 0;
    if (e->drawn) {
        if (e->tail.len > 0 || !e->clean) put(e, "\r\n");
        mw_screen_draw(e);
    }
    e->flushed_ms = now_ms();
}

int mw_screen_settle(mw_edit *e) {
    uint64_t now;

    if (e->held.len == 0 || e->hidden) return -1;
    now = now_ms();
    if (now - e->flushed_ms < QUIET_MS) return (int)(e->flushed_ms + QUIET_MS - now);
    mw_screen_flush(e);
    return -1;
}

void mw_screen_show(mw_edit *e, const char *text, size_t len) {
    if (!e->drawn && !e->hidden) {
        write_output(e, text, len);
        return;
    }
    if (mw_text_add(&e->held, text, len) < 0) return;
    if (e->held.len >= HELD_MAX && !e->hidden) mw_screen_flush(e);
}

/* Who wrote last may have been somebody else, a child or the echo of keys: as many spaces as a row has but one go on in the next row
 * unless this one was empty. */
void mw_screen_begin(mw_edit *e) {
    static const char spaces[] = "                                ";

    mw_screen_size(e);
    if (e->tail.len > 0 || !e->clean) {
        put(e, "\r\n");
    } else {
        for (size_t left = e->width - 1; left > 0;) {
            size_t n = left < sizeof spaces - 1 ? left : sizeof spaces - 1;
            mw_screen_write(e, spaces, n);
            left -= n;
        }
        put(e, "\r\033[K");
    }
    e->tail.len = 0;
    e->clean = 1;
}

/* Most terminals lay their rows out anew for the new width. */
void mw_screen_resized(mw_edit *e) {
    mw_screen_size(e);
    if (!e->drawn) return;
    erase(e, rows_to_cursor(e, e->width, NULL) + rows_before(e, e->width));
    e->tail.len = 0; /* it stays where it is */
    mw_screen_draw(e);
}

void mw_screen_leave(mw_edit *e, const char *mark) {
    struct mw_place end = { 0, 0 };
    size_t row = rows_to_cursor(e, e->width, &end);

    if (!e->drawn) return;
    if (row >= e->height) row = e->height - 1;
    if (end.row >= e->height) end.row = e->height - 1;
    put(e, "\r");
    go(e, end.row > row ? end.row - row : 0, 'B');
    go(e, end.column, 'C');
    put(e, mark);
    put(e, "\r\n");
    e->drawn = 0;
}

void mw_screen_clear(mw_edit *e) {
    int drawn = e->drawn;

    put(e, "\033[H\033[2J");
    e->tail.len = 0;
    e->clean = 1;
    if (drawn) mw_screen_draw(e);
}
