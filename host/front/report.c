/* What the program says on standard error: one line, then the traceback; colour on a terminal only.
 * Knows: moonwire.h, the terminal.
 * Never: standard output; the memory allocator (an error may be about that). */
#include "front/report.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where all of it goes when there is a prompt on the terminal. */
static struct {
    void (*to)(void *ud, const char *text, size_t len);
    void *ud;
} elsewhere;

struct page {
    char text[4096];
    size_t len;
};

/* Standard error may be a pipe that somebody made non-blocking: wait for it then; give up on any other failure. */
static void flush(struct page *page) {
    const char *at = page->text;

    if (elsewhere.to != NULL) {
        elsewhere.to(elsewhere.ud, page->text, page->len);
        page->len = 0;
    }
    while (page->len > 0) {
        ssize_t n = write(STDERR_FILENO, at, page->len);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd full = { STDERR_FILENO, POLLOUT, 0 };
            if (poll(&full, 1, 1000) <= 0) break;
        } else if (n < 0 && errno != EINTR) {
            break;
        } else if (n > 0) {
            at += n;
            page->len -= (size_t)n;
        }
    }
    page->len = 0;
}

static void put(struct page *page, const char *text, size_t len) {
    while (len > 0) {
        size_t room = sizeof page->text - page->len, n = len < room ? len : room;
        memcpy(page->text + page->len, text, n);
        page->len += n;
        text += n;
        len -= n;
        if (page->len == sizeof page->text) flush(page);
    }
}

static void puts_to(struct page *page, const char *text) { put(page, text, strlen(text)); }

/* How much of a traceback is the script's: below it are the frames that the host started it with. */
static size_t own_frames(const char *traceback) {
    const char *host = strstr(traceback, "\n\t[moonwire.script]");
    return host != NULL ? (size_t)(host - traceback) : strlen(traceback);
}

/* Text from elsewhere: lines and tabs stay, everything else that a terminal would obey is shown. */
static void put_escaped(struct page *page, const char *text, size_t len) {
    while (len > 0) {
        size_t n = strcspn(text, "\n\t");
        if (n > len) n = len;
        len -= n;
        while (n > 0) {
            char shown[1028];
            size_t part = n < 256 ? n : 256;
            while (part < n && part > 200 && ((unsigned char)text[part] & 0xc0) == 0x80) part--;
            put(page, shown, mw_err_escape(shown, sizeof shown, text, part));
            text += part;
            n -= part;
        }
        if (len > 0) put(page, text++, 1), len--;
    }
}

static int set(const char *name) {
    const char *value = getenv(name);
    return value != NULL && *value != '\0';
}

int mw_report_colours(void) {
    const char *term = getenv("TERM");

    if (set("NO_COLOR")) return 0;
    if (set("FORCE_COLOR")) return strcmp(getenv("FORCE_COLOR"), "0") != 0;
    return isatty(STDERR_FILENO) && (term == NULL || strcmp(term, "dumb") != 0);
}

static void put_headline(struct page *page, const char *text, int colour) {
    puts_to(page, colour ? "\033[1;31mmoonwire:\033[0m " : "moonwire: ");
    put_escaped(page, text, strlen(text));
    puts_to(page, "\n");
}

void mw_report_to(void (*to)(void *ud, const char *text, size_t len), void *ud) {
    elsewhere.to = to;
    elsewhere.ud = ud;
}

void mw_report_usage(const struct mw_err *err) {
    struct page page = { .len = 0 };

    put_headline(&page, err->what, mw_report_colours());
    puts_to(&page, "help: ");
    put_escaped(&page, err->hint, strlen(err->hint));
    puts_to(&page, "\n");
    flush(&page);
}

void mw_report_failure(const struct mw_err *err) {
    struct page page = { .len = 0 };

    put_headline(&page, err->message, mw_report_colours());
    flush(&page);
}

/* Where in `arg` the error's column is: a column counts inside the one rule of the list that the error names; -1: unknown. */
static int column_of(const char *arg, const struct mw_err *err) {
    const char *at = strstr(err->what, " at column "), *list = strchr(arg, '='), *rule;

    if (at == NULL || list == NULL || err->subject[0] == '\0') return -1;
    for (const char *p = arg; *p != '\0'; p++) {
        if (*p < ' ' || *p > '~') return -1; /* shown otherwise than it is written */
    }
    rule = strstr(list + 1, err->subject);
    return rule == NULL ? -1 : (int)(rule - arg) + atoi(at + sizeof " at column " - 1) - 1;
}

void mw_report_rule(const char *arg, const struct mw_err *err) {
    struct page page = { .len = 0 };
    char line[1400];
    int column = column_of(arg, err);

    snprintf(line, sizeof line, "%.1000s: %s", arg, err->what);
    put_headline(&page, line, mw_report_colours());
    if (column >= 0 && column < 1000) {
        for (int i = (int)sizeof "moonwire: " - 1 + column; i > 0; i--) puts_to(&page, " ");
        puts_to(&page, "^\n");
    }
    flush(&page);
}

void mw_report_uncaught(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) {
    struct page page = { .len = 0 };
    int colour = mw_report_colours();

    (void)h;
    (void)ud;
    put_headline(&page, err->message, colour);
    if (traceback != NULL && *traceback != '\0') {
        if (colour) puts_to(&page, "\033[2m");
        put_escaped(&page, traceback, own_frames(traceback));
        puts_to(&page, colour ? "\033[0m\n" : "\n");
    }
    flush(&page);
}

void mw_report_line(const char *fmt, ...) {
    struct page page = { .len = 0 };
    char line[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    put_headline(&page, line, mw_report_colours());
    flush(&page);
}
