/* What a script child shares with its parent: descriptors above the others, and the facts about them in its birth.
 * Knows: io/process_parts.h. Never: what they are. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/process_parts.h"

/* One in the birth; behind all of them lie their bytes. */
struct entry {
    char name[MW_SHARE_NAME];
    uint32_t kind, flags;
    uint64_t facts[2], len;
    int32_t fds[MW_SHARE_FDS];
    uint32_t fd_count;
};
#define BYTES_MAX (8u << 20)       /* of all together */

int mw_launch_shares(struct launch *l, int first, struct mw_bytes *out) {
    const struct mw_process_options *o = l->o;
    size_t bytes = 0;

    if (o->share_count == 0) return 0;
    while (l->count < first) l->fds[l->count++] = -1;
    for (size_t i = 0; i < o->share_count; i++) {
        const struct mw_process_share *s = &o->shares[i];
        struct entry e = { .kind = s->kind, .flags = s->flags, .facts = { s->facts[0], s->facts[1] }, .len = s->len, .fd_count = s->fd_count };
        memcpy(e.name, s->name, sizeof e.name);
        for (unsigned k = 0; k < s->fd_count; k++) {
            if (l->count == MW_SPAWN_FDS) return mw_err_set(l->err, MW_EINVAL, o->op, o->argv[0], "option \"share\": too many things");
            e.fds[k] = l->count;
            l->fds[l->count++] = s->fds[k];
        }
        bytes += s->len;
        if (mw_bytes_add(out, &e, sizeof e) < 0) return mw_err_set(l->err, MW_ENOMEM, o->op, o->argv[0], NULL);
    }
    if (bytes > BYTES_MAX) return mw_err_set(l->err, MW_ELIMIT, o->op, o->argv[0], "option \"share\": the streams hold too much that was not read");
    for (size_t i = 0; i < o->share_count; i++) {
        if (o->shares[i].len > 0 && mw_bytes_add(out, o->shares[i].bytes, o->shares[i].len) < 0) return mw_err_set(l->err, MW_ENOMEM, o->op, o->argv[0], NULL);
    }
    return 0;
}

/* ---- The child's side ----------------------------------------------------------------------------------------------------------- */

static int odd(struct mw_err *err, const char *what) {
    return mw_err_set(err, MW_EINVAL, "child-script", NULL, what);
}

static int read_entry(const struct entry *e, struct mw_process_share *s) {
    memcpy(s->name, e->name, sizeof s->name);
    s->name[sizeof s->name - 1] = '\0';
    s->kind = e->kind;
    s->flags = e->flags;
    memcpy(s->facts, e->facts, sizeof s->facts);
    if (e->fd_count > MW_SHARE_FDS) return 0;
    for (; s->fd_count < e->fd_count; s->fd_count++) {
        int fd = e->fds[s->fd_count];
        if (fd <= 2 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return 0;
        s->fds[s->fd_count] = fd;
    }
    return 1;
}

int mw_shares_parse(const char *at, size_t len, size_t count, struct mw_process_shares **out, struct mw_err *err) {
    struct mw_process_shares *all;
    size_t head = count * sizeof(struct entry), used = head;
    char *bytes;
    int good = 1;

    if (count > MW_SHARES || len < head) return odd(err, "what is shared has no size that could be right");
    all = calloc(1, sizeof *all + count * sizeof all->at[0] + (len - head));
    if (all == NULL) return mw_err_set(err, MW_ENOMEM, "child-script", NULL, NULL);
    bytes = (char *)&all->at[count];
    memcpy(bytes, at + head, len - head);
    for (size_t i = 0; good && i < count; i++) {
        struct entry e;
        memcpy(&e, at + i * sizeof e, sizeof e);
        all->count++;
        good = read_entry(&e, &all->at[i]) && e.len <= len - used;
        if (!good) break;
        all->at[i].bytes = bytes + (used - head);
        all->at[i].len = (size_t)e.len;
        used += (size_t)e.len;
    }
    if (!good || used != len) {
        mw_process_shares_free(all);
        return odd(err, "what is shared did not arrive");
    }
    *out = all;
    return 0;
}

int mw_process_shares_copy(const struct mw_process_share *from, size_t count, struct mw_process_shares **out, struct mw_err *err) {
    struct mw_process_shares *all;
    size_t len = 0;
    char *bytes;

    for (size_t i = 0; i < count; i++) len += from[i].len;
    all = calloc(1, sizeof *all + count * sizeof all->at[0] + len);
    if (all == NULL) return mw_err_set(err, MW_ENOMEM, "share", NULL, NULL);
    bytes = (char *)&all->at[count];
    for (; all->count < count; all->count++) {
        struct mw_process_share *s = &all->at[all->count];
        *s = from[all->count];
        if (s->len > 0) memcpy(bytes, s->bytes, s->len);
        s->bytes = bytes;
        bytes += s->len;
        for (s->fd_count = 0; s->fd_count < from[all->count].fd_count; s->fd_count++) {
            int fd = fcntl(from[all->count].fds[s->fd_count], F_DUPFD_CLOEXEC, 3);
            if (fd < 0) {
                int rc = mw_err_sys(err, "share", s->name);
                all->count++; /* those that it has are closed too */
                mw_process_shares_free(all);
                return rc;
            }
            s->fds[s->fd_count] = fd;
        }
    }
    *out = all;
    return 0;
}

void mw_process_shares_free(struct mw_process_shares *it) {
    for (size_t i = 0; it != NULL && i < it->count; i++) {
        while (it->at[i].fd_count > 0) close(it->at[i].fds[--it->at[i].fd_count]);
    }
    free(it);
}
