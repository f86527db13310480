/* Lines from a pipe, a file, or a terminal that can do little: read as they are. No line is read before the one above it has been
 * evaluated, and of what follows it nothing is taken: a line may read its input itself.
 * Knows: moonwire.h, POSIX. Never: libedit; sets O_NONBLOCK. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "front/repl_parts.h"
#include "front/report.h"
#include "front/signals.h"

#define PART 16384                  /* bytes that are looked at in one go */
#define LINE_MAX_BYTES (64u << 20)  /* as of a script */

/* ---- Input ---------------------------------------------------------------------------------------------------------------------- */

enum kind { FILE_LIKE, PIPE, SOCKET, OTHER };

static enum kind kind_of(int fd) {
    struct stat st;

    if (fstat(fd, &st) < 0) return OTHER;
    if (S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) >= 0) return FILE_LIKE;
    return S_ISFIFO(st.st_mode) ? PIPE : S_ISSOCK(st.st_mode) ? SOCKET : OTHER;
}

/* What lies ahead in a pipe, without taking it: a copy of it in another one. -1: see errno. */
static ssize_t look_into_pipe(char *part) {
    int copy[2];
    ssize_t n;

    if (pipe2(copy, O_CLOEXEC | O_NONBLOCK) < 0) return -1;
    n = tee(STDIN_FILENO, copy[1], PART, SPLICE_F_NONBLOCK);
    if (n > 0) n = read(copy[0], part, (size_t)n);
    close(copy[0]);
    close(copy[1]);
    return n;
}

/* Takes bytes up to a newline, as many as are there; fd: the terminal's own, or standard input. The count; 0: the end; -1 with errno. */
static ssize_t read_some(int fd, enum kind kind, char *part) {
    ssize_t n = 0, whole;
    const char *newline;

    if (kind == OTHER) return read(fd, part, 1);
    if (kind == FILE_LIKE) {
        n = read(STDIN_FILENO, part, PART);
        newline = n > 0 ? memchr(part, '\n', (size_t)n) : NULL;
        whole = newline != NULL ? newline + 1 - part : n;
        if (whole < n && lseek(STDIN_FILENO, whole - n, SEEK_CUR) < 0) return -1;
        return whole;
    }
    n = kind == PIPE ? look_into_pipe(part) : recv(STDIN_FILENO, part, PART, MSG_PEEK);
    if (n < 0 && kind == PIPE && errno != EAGAIN && errno != EINTR) return read(STDIN_FILENO, part, 1); /* no copy: byte by byte */
    if (n <= 0) return n;
    newline = memchr(part, '\n', (size_t)n);
    return read(STDIN_FILENO, part, newline != NULL ? (size_t)(newline + 1 - part) : (size_t)n);
}

static void on_input(mw_host *h, int fd, int events, void *ud) {
    struct mw_repl *r = ud;

    (void)h, (void)fd, (void)events;
    r->key = r->stirred = 1;
}

enum { GOT_LINE, GOT_END, GOT_CLEAR, GOT_OVER };

/* Adds one line to the input, without its newline. What has no descriptor to watch can be read at once. A terminal that has gone is an end. */
static int read_line(struct mw_repl *r, enum kind kind, struct mw_err *err) {
    static char part[PART];
    int fd = r->terminal ? r->in : STDIN_FILENO;
    int watched = mw_host_watch_fd(r->h, fd, MW_WATCH_READ, on_input, r, NULL) == 0, got = -1;
    size_t began = r->len;

    while (got < 0) {
        ssize_t n;
        r->key = !watched;
        if (mw_repl_turn(r, watched ? -1 : 0) < 0) got = GOT_OVER;
        else if (r->noted & MW_NOTED_CLEAR) got = GOT_CLEAR;
        if (got >= 0 || !r->key) continue;
        n = read_some(fd, kind, part);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (n < 0 && !r->terminal) return mw_err_set(err, -errno, "repl", "standard input", NULL);
        if (n <= 0) got = r->len > began ? GOT_LINE : GOT_END;
        else if (r->len + (size_t)n > LINE_MAX_BYTES || mw_repl_add(r, part, (size_t)n) < 0)
            got = mw_err_set(err, MW_ELIMIT, "repl", "standard input", "a line of more than 64 MiB");
        else if (part[n - 1] == '\n') got = GOT_LINE, r->len--;
        if (got == MW_ELIMIT) break;
    }
    if (watched) mw_host_watch_fd(r->h, fd, 0, NULL, NULL, NULL);
    return got;
}

/* ---- Lines ---------------------------------------------------------------------------------------------------------------------- */

static void show_prompt(struct mw_repl *r) {
    if (!r->prompts) return;
    fputs(r->prompt, stdout);
    fflush(stdout);
}

int mw_repl_plain(struct mw_repl *r, struct mw_err *err) {
    enum kind kind = kind_of(STDIN_FILENO);
    int rc = 0, ended = 0;

    while (!r->over && !ended && rc >= 0) {
        show_prompt(r);
        switch (rc = read_line(r, kind, err)) {
        case GOT_LINE:
            rc = mw_repl_submit(r, err);
            if (rc > 0) mw_repl_wait_line(r);
            break;
        case GOT_CLEAR:
            r->noted = 0;
            mw_repl_forget(r);
            if (r->prompts) fputs("\n", stdout);
            break;
        default: ended = 1;
        }
    }
    if (r->pending > 0 && ended && !r->over) mw_report_line("the input ends inside a statement that began %zu bytes before", r->pending);
    if (r->prompts && ended) fputs("\n", stdout);
    fflush(stdout);
    return rc < 0 ? rc : 0;
}
