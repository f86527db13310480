/* Reads /proc/self/mountinfo.
 * Knows: its format, proc_pid_mountinfo(5). Never: decides. */
#include "policy/confine_mounts.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/err.h"

#define MOUNTINFO_MAX (4u << 20) /* bytes; a hundred thousand mounts do not help anybody */

/* Undoes \040 and its like in place. */
static void unescape(char *text) {
    char *to = text;

    for (const char *at = text; *at != 0; to++) {
        if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' && at[3] >= '0' && at[3] <= '7') {
            *to = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
            at += 4;
        } else {
            *to = *at++;
        }
    }
    *to = 0;
}

static int is_special(const char *type) {
    return strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0 || strcmp(type, "devtmpfs") == 0 || strcmp(type, "devpts") == 0;
}

/* "36 35 98:0 /root /at opts tags - type source opts". 1: read; 0: odd, skipped; MW_ENOMEM. */
static int read_line(char *line, struct mw_mount **out) {
    char *field[5], *save = NULL, *dash = strstr(line, " - "), *type;
    struct mw_mount *m;
    unsigned major, minor;
    size_t at, root;

    if (dash == NULL) return 0;
    *dash = 0;
    type = dash + 3;
    type[strcspn(type, " \n")] = 0;
    for (int i = 0; i < 5; i++) {
        field[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
        if (field[i] == NULL) return 0;
    }
    if (sscanf(field[2], "%u:%u", &major, &minor) != 2) return 0;
    unescape(field[3]);
    unescape(field[4]);
    if (field[3][0] != '/' || field[4][0] != '/') return 0;
    if (field[4][1] == 0) field[4][0] = 0;
    at = strlen(field[4]) + 1;
    root = strlen(field[3]) + 1;
    m = calloc(1, sizeof *m + at + root);
    if (m == NULL) return MW_ENOMEM;
    memcpy(m->at, field[4], at);
    m->root = m->at + at;
    memcpy(m->root, field[3], root);
    m->major = major;
    m->minor = minor;
    m->special = is_special(type);
    *out = m;
    return 1;
}

static int parse(char *text, struct mw_mounts *m) {
    struct mw_mount **end = &m->first;
    char *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        int rc = read_line(line, end);
        if (rc < 0) return rc;
        if (rc == 1) end = &(*end)->next;
    }
    return 0;
}

static int slurp(int fd, struct mw_bytes *in) {
    for (;;) {
        size_t room;
        char *tail = mw_bytes_reserve(in, 4096, &room);
        ssize_t n;
        if (tail == NULL) return MW_ENOMEM;
        n = read(fd, tail, room - 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            *tail = 0;
            return n < 0 ? -errno : 0;
        }
        mw_bytes_commit(in, (size_t)n);
        if (mw_bytes_len(in) > MOUNTINFO_MAX) return MW_ELIMIT;
    }
}

int mw_mounts_read(struct mw_mounts **out) {
    struct mw_mounts *m = calloc(1, sizeof *m);
    struct mw_bytes in = {0};
    int rc;

    if (m == NULL) return MW_ENOMEM;
    m->fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    rc = m->fd >= 0 ? 0 : -errno;
    if (rc == 0) rc = slurp(m->fd, &in);
    if (rc == 0) rc = parse(in.base, m);
    mw_bytes_free(&in);
    if (rc == MW_ENOMEM || rc == -EMFILE || rc == -ENFILE) {
        mw_mounts_free(m);
        return rc;
    }
    if (rc < 0 && m->fd >= 0) {
        close(m->fd);
        m->fd = -1;
    }
    *out = m;
    return 0;
}

void mw_mounts_free(struct mw_mounts *m) {
    if (m == NULL) return;
    while (m->first != NULL) {
        struct mw_mount *it = m->first;
        m->first = it->next;
        free(it);
    }
    if (m->fd >= 0) close(m->fd);
    free(m);
}

/* What of `path` is below `dir`: "" or "/rest"; NULL: it is not. A dir of "/" or "" holds everything. */
static const char *below(const char *path, const char *dir) {
    size_t n = strlen(dir);

    if (n == 1 && dir[0] == '/') n = 0;
    if (strncmp(path, dir, n) != 0 || (path[n] != 0 && path[n] != '/')) return NULL;
    return path + n;
}

int mw_mounts_aliases(const struct mw_mounts *m, const char *path, int (*fn)(void *ud, const char *alias), void *ud) {
    const struct mw_mount *home = NULL;
    char inside[2 * PATH_MAX], alias[2 * PATH_MAX];
    const char *rest;
    int rc = 0;

    for (const struct mw_mount *it = m->first; it != NULL; it = it->next) /* the last and deepest counts */
        if (below(path, it->at) != NULL && (home == NULL || strlen(it->at) >= strlen(home->at))) home = it;
    if (home == NULL) return 0;
    rest = below(path, home->at);
    if (snprintf(inside, sizeof inside, "%s%s", strcmp(home->root, "/") == 0 ? "" : home->root, rest) >= (int)sizeof inside) return 0;
    for (const struct mw_mount *it = m->first; it != NULL && rc == 0; it = it->next) {
        if (it == home || it->major != home->major || it->minor != home->minor) continue;
        rest = below(inside, it->root);
        if (rest == NULL || snprintf(alias, sizeof alias, "%s%s", it->at, rest) >= (int)sizeof alias) continue;
        if (strcmp(alias, path) != 0) rc = fn(ud, alias);
    }
    return rc;
}
