/* What was typed before, kept in a file: one entry a line, newlines in it written \n. Each is added by one write to the file's end under
 * a lock, so several prompts lose none of each other's; a file that has grown too long is cut at its head when it is opened.
 * Knows: POSIX files, XDG's folders. Never: tells of a file that cannot be had: the history is then this session's own. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "front/repl_edit_parts.h"

#define ENTRIES_MAX 2000            /* kept */
#define ENTRY_MAX (64u << 10)       /* bytes; a longer one is not remembered */
#define FILE_MAX (4u << 20)         /* bytes of a file that is cut */

/* ---- In memory ------------------------------------------------------------------------------------------------------------------ */

static void forget(struct mw_history *h, size_t i) {
    free(h->entries[i]);
    memmove(h->entries + i, h->entries + i + 1, (h->count - i - 1) * sizeof *h->entries);
    h->count--;
}

static void keep(struct mw_history *h, const char *text, size_t len) {
    wchar_t *entry = mw_text_wide(text, len, NULL);

    if (entry == NULL) return;
    for (size_t i = h->count; i-- > 0;) {
        if (wcscmp(h->entries[i], entry) == 0) forget(h, i);
    }
    if (h->count == ENTRIES_MAX) forget(h, 0);
    if (h->count == h->room) {
        size_t room = h->room != 0 ? 2 * h->room : 64;
        wchar_t **more = realloc(h->entries, room * sizeof *more);
        if (more == NULL) return free(entry);
        h->entries = more;
        h->room = room;
    }
    h->entries[h->count++] = entry;
}

/* ---- In the file ---------------------------------------------------------------------------------------------------------------- */

static int write_all(int fd, const char *at, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -1;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

static void add_escaped(struct mw_text *t, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n') mw_text_add(t, "\\n", 2);
        else if (text[i] == '\\') mw_text_add(t, "\\\\", 2);
        else mw_text_add(t, text + i, 1);
    }
    mw_text_add(t, "\n", 1);
}

static void read_entry(struct mw_history *h, struct mw_text *plain, const char *at, size_t len) {
    plain->len = 0;
    for (size_t i = 0; i < len; i++) {
        int escaped = at[i] == '\\' && i + 1 < len;
        if (escaped) i++;
        if (at[i] != '\0') mw_text_add(plain, escaped && at[i] == 'n' ? "\n" : at + i, 1);
    }
    if (plain->len > 0 && plain->len <= ENTRY_MAX) keep(h, plain->at, plain->len);
}

/* The file's end, at most FILE_MAX bytes of it, from the beginning of a line. */
static void read_file(struct mw_history *h, struct mw_text *all, off_t size) {
    off_t at = size > (off_t)FILE_MAX ? size - (off_t)FILE_MAX : 0;
    struct mw_text plain = { 0 };
    char part[16384], *line, *end;
    ssize_t n;

    while ((n = pread(h->fd, part, sizeof part, at)) > 0 && all->len < 2 * (size_t)FILE_MAX && mw_text_add(all, part, (size_t)n) == 0) at += n;
    line = all->at;
    if (size > (off_t)FILE_MAX && line != NULL && (end = memchr(line, '\n', all->len)) != NULL) line = end + 1;
    while (line != NULL && line < all->at + all->len) {
        size_t left = (size_t)(all->at + all->len - line);
        end = memchr(line, '\n', left);
        read_entry(h, &plain, line, end != NULL ? (size_t)(end - line) : left);
        line = end != NULL ? end + 1 : NULL;
    }
    mw_text_free(&plain);
}

/* Writes what is kept over the file's beginning and cuts the rest. Whenever it ends, all that is kept is somewhere in the file; and
 * whoever else has it open goes on adding to its end. */
static void shorten(struct mw_history *h) {
    struct mw_text all = { 0 }, one = { 0 };
    char self[64];
    int fd;

    snprintf(self, sizeof self, "/proc/self/fd/%d", h->fd);
    fd = open(self, O_WRONLY | O_CLOEXEC | O_NOCTTY); /* of its own: one that appends, appends */
    for (size_t i = 0; i < h->count; i++) {
        one.len = 0;
        mw_text_add_wide(&one, h->entries[i], wcslen(h->entries[i]));
        add_escaped(&all, one.at, one.len);
    }
    if (fd >= 0 && write_all(fd, all.at, all.len) == 0 && ftruncate(fd, (off_t)all.len) < 0) close(fd), fd = -1;
    if (fd >= 0) close(fd);
    mw_text_free(&all);
    mw_text_free(&one);
}

/* mkdir -p for whoever the user is, and nobody else. */
static void make_folders(char *path) {
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at != '/') continue;
        *at = '\0';
        (void)mkdir(path, 0700);
        *at = '/';
    }
}

static int open_file(void) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char path[4096];
    struct stat st;
    int fd, n;

    if (state != NULL && state[0] == '/') n = snprintf(path, sizeof path, "%s/moonwire/history", state);
    else if (home != NULL && home[0] == '/') n = snprintf(path, sizeof path, "%s/.local/state/moonwire/history", home);
    else return -1;
    if (n < 0 || (size_t)n >= sizeof path) return -1;
    make_folders(path);
    fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd < 0) fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* to be read, at least */
    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) close(fd), fd = -1;
    return fd;
}

/* A lock that somebody keeps does not keep us: a line is worth less than a prompt that stands still. */
static void lock(int fd) {
    for (int i = 0; i < 20 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK; i++) usleep(5000);
}

void mw_history_open(struct mw_history *h) {
    struct mw_text all = { 0 };
    struct stat st;
    size_t lines = 0;

    h->fd = open_file();
    if (h->fd < 0) return;
    lock(h->fd);
    if (fstat(h->fd, &st) == 0) read_file(h, &all, st.st_size);
    for (size_t i = 0; i < all.len; i++) lines += all.at[i] == '\n';
    if (lines > 2 * ENTRIES_MAX || st.st_size > (off_t)FILE_MAX) shorten(h);
    if (all.len > 0 && all.at[all.len - 1] != '\n') (void)write_all(h->fd, "\n", 1); /* an entry that somebody did not finish */
    flock(h->fd, LOCK_UN);
    mw_text_free(&all);
}

void mw_history_close(struct mw_history *h) {
    for (size_t i = 0; i < h->count; i++) free(h->entries[i]);
    free(h->entries);
    if (h->fd >= 0) close(h->fd);
    memset(h, 0, sizeof *h);
    h->fd = -1;
}

void mw_history_add(struct mw_history *h, const char *text, size_t len) {
    struct mw_text line = { 0 };

    while (len > 0 && text[len - 1] == '\n') len--;
    if (len == 0 || len > ENTRY_MAX || text[0] == ' ' || memchr(text, '\0', len) != NULL) return;
    keep(h, text, len);
    add_escaped(&line, text, len);
    if (h->fd >= 0 && line.len > 0) {
        off_t end;
        lock(h->fd);
        end = lseek(h->fd, 0, SEEK_END);
        if (write_all(h->fd, line.at, line.len) < 0 && end >= 0 && ftruncate(h->fd, end) < 0) close(h->fd), h->fd = -1; /* no half lines */
        if (h->fd >= 0) flock(h->fd, LOCK_UN);
    }
    mw_text_free(&line);
}
