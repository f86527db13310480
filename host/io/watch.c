/* A watch over inotify: see watch.h.
 * Knows: base, core/host, core/wait, policy/permit, uv.h. Never: Lua values; polls. */
#include "io/watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/poll.h"
#include "policy/permit.h"

#define MASK (IN_CREATE | IN_MODIFY | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)
#define ROOM 8192                    /* bytes of one read; an event is at most 16 + 256 */

struct mw_watch {
    struct mw_handle handle;
    mw_host *host;
    uv_poll_t poll;
    int refs;                        /* the owner's; the loop's until its close callback */
    int fd, closed, armed, ended;
    char *path;
    char leaf[NAME_MAX + 1];         /* "" : a directory's entries; else this name alone */
    int exists;                      /* with a leaf: is there something of that name */
    struct mw_wait ready;
    char name[NAME_MAX + 1], from[NAME_MAX + 1];  /* lent by the last event */
    size_t at, len;                  /* buf[at..len) is unread */
    char buf[ROOM] __attribute__((aligned(__alignof__(struct inotify_event))));
};

/* ---- Opening and closing ------------------------------------------------------------------------------------------------ */

static void drop(mw_watch *w) {
    if (--w->refs > 0) return;
    free(w->path);
    free(w);
}

static void on_closed(uv_handle_t *handle) {
    mw_watch *w = handle->data;

    close(w->fd);
    w->fd = -1;
    drop(w);
}

void mw_watch_close(mw_watch *w) {
    if (w->closed) return;
    w->closed = 1;
    mw_host_disown(&w->handle);
    mw_wait_wake(&w->ready);
    uv_close((uv_handle_t *)&w->poll, on_closed);
}

void mw_watch_free(mw_watch *w) {
    if (w == NULL) return;
    mw_watch_close(w);
    drop(w);
}

static void at_teardown(struct mw_handle *handle) {
    mw_watch_close(MW_LIST_ENTRY(handle, mw_watch, handle));
}

int mw_watch_closed(const mw_watch *w) {
    return w->closed;
}

struct mw_wait *mw_watch_ready(mw_watch *w) {
    return &w->ready;
}

const char *mw_watch_path(const mw_watch *w) {
    return w->path;
}

/* Where to look: a directory itself, or the directory of a name (a final link followed to where it leads). */
static int place_of(mw_host *h, const char *path, struct mw_place *at, struct mw_err *err) {
    struct stat st;
    int rc = mw_permit_path(mw_host_policy(h), 1u << MW_READ, path, MW_AT_OBJECT, "fs watch", at, err);

    if (rc == 0 && fstat(at->fd, &st) == 0 && S_ISDIR(st.st_mode)) return 0;
    mw_place_close(at);
    if (rc < 0 && rc != MW_ENOENT) return rc;
    return mw_permit_path(mw_host_policy(h), 1u << MW_READ, path, MW_AT_CREATE, "fs watch", at, err);
}

static int start_inotify(mw_watch *w, const struct mw_place *at, struct mw_err *err) {
    struct stat st;
    char self[48];

    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd < 0) {
        int rc = mw_err_sys(err, "fs watch", w->path);

        if (rc == -EMFILE) mw_err_hint(err, "close some files or watches, or raise fs.inotify.max_user_instances");
        return rc;
    }
    snprintf(self, sizeof self, "/proc/self/fd/%d", at->fd);
    if (inotify_add_watch(w->fd, self, MASK | IN_EXCL_UNLINK | IN_ONLYDIR) < 0) {
        int rc = mw_err_sys(err, "fs watch", w->path);

        if (rc == -ENOSPC) mw_err_hint(err, "raise fs.inotify.max_user_watches");
        return rc;
    }
    memcpy(w->leaf, at->leaf, sizeof w->leaf);
    w->exists = w->leaf[0] != '\0' && fstatat(at->fd, w->leaf, &st, AT_SYMLINK_NOFOLLOW) == 0;
    return 0;
}

int mw_watch_open(mw_host *h, const char *path, mw_watch **out, struct mw_err *err) {
    struct mw_place at = { .fd = -1 };
    mw_watch *w = NULL;
    int rc = place_of(h, path, &at, err);

    if (rc == 0) rc = mw_host_room(h, "fs watch", path, err);
    if (rc < 0) { mw_place_close(&at); return rc; }
    w = calloc(1, sizeof *w);
    if (w != NULL) {
        w->fd = -1;
        w->path = strdup(path);
    }
    if (w == NULL || w->path == NULL) { rc = mw_err_set(err, MW_ENOMEM, "fs watch", path, NULL); goto done; }
    rc = start_inotify(w, &at, err);
    if (rc < 0) goto done;
    rc = uv_poll_init(mw_host_loop(h), &w->poll, w->fd);
    if (rc < 0) { mw_err_set(err, rc, "fs watch", path, NULL); goto done; }
    w->poll.data = w;
    w->host = h;
    w->refs = 2;
    mw_wait_init(&w->ready);
    mw_list_init(&w->handle.link);
    mw_host_adopt(h, &w->handle, at_teardown);
    *out = w; /* given */
    w = NULL;
    rc = 0;
done:
    mw_place_close(&at);
    if (w != NULL) {
        if (w->fd >= 0) close(w->fd);
        free(w->path);
        free(w);
    }
    return rc;
}

/* ---- Waiting ------------------------------------------------------------------------------------------------------------ */

static void on_readable(uv_poll_t *poll, int status, int events) {
    mw_watch *w = poll->data;

    (void)status; /* an error shows at the next read */
    (void)events;
    w->armed = 0;
    uv_poll_stop(poll); /* until somebody waits again */
    mw_wait_wake(&w->ready);
}

int mw_watch_arm(mw_watch *w, struct mw_err *err) {
    int rc;

    if (w->closed) return mw_err_set(err, MW_ECLOSED, "fs watch", w->path, NULL);
    if (w->armed) return 0;
    rc = mw_poll_start(&w->poll, UV_READABLE, on_readable);
    if (rc < 0) return mw_err_set(err, rc, "fs watch", w->path, NULL);
    w->armed = 1;
    return 0;
}

/* ---- Events ------------------------------------------------------------------------------------------------------------- */

/* Makes sure that a whole event is at hand. 1, 0 none now, <0. */
static int have(mw_watch *w, struct mw_err *err) {
    ssize_t n;

    if (w->at < w->len) return 1;
    do n = read(w->fd, w->buf, sizeof w->buf); while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n < 0) return mw_err_sys(err, "fs watch", w->path);
    w->at = 0;
    w->len = (size_t)n;
    return n > 0;
}

static const struct inotify_event *here(const mw_watch *w) {
    return (const struct inotify_event *)(const void *)(w->buf + w->at);
}

static void step(mw_watch *w) {
    w->at += sizeof(struct inotify_event) + here(w)->len;
}

static void keep(char *to, const struct inotify_event *it) {
    snprintf(to, NAME_MAX + 1, "%s", it->len > 0 ? it->name : "");
}

/* A name that left may have come back under another one: the kernel puts the two next to each other. */
static void pair(mw_watch *w, struct mw_watch_event *out) {
    const struct inotify_event *it = here(w);
    unsigned cookie = it->cookie;
    struct mw_err err;

    keep(w->name, it);
    step(w);
    out->what = MW_REMOVED;
    if (have(w, &err) != 1) return;
    it = here(w);
    if (!(it->mask & IN_MOVED_TO) || it->cookie != cookie) return;
    memcpy(w->from, w->name, sizeof w->from);
    keep(w->name, it);
    step(w);
    out->what = MW_RENAMED;
    out->from = w->from;
}

/* One name alone: what happened to others is nobody's business. Returns 1 if *out tells of it. */
static int of_leaf(mw_watch *w, struct mw_watch_event *out) {
    int gone = out->what == MW_RENAMED && strcmp(w->from, w->leaf) == 0;
    int here_now = strcmp(w->name, w->leaf) == 0;

    out->from = NULL;
    out->name = "";
    if (gone) {
        out->what = MW_REMOVED;
        w->exists = 0;
        return 1;
    }
    if (!here_now) return 0;
    if (out->what == MW_REMOVED) {
        w->exists = 0;
        return 1;
    }
    if (out->what != MW_CHANGED) out->what = w->exists ? MW_CHANGED : MW_CREATED; /* put in the old one's place, or new */
    w->exists = 1;
    return 1;
}

/* Several changes of one name in a row are one. */
static void fold(mw_watch *w) {
    while (w->at < w->len) {
        const struct inotify_event *it = here(w);

        if (!(it->mask & (IN_MODIFY | IN_ATTRIB)) || strcmp(it->len > 0 ? it->name : "", w->name) != 0) return;
        step(w);
    }
}

/* Reads one event of the kernel's. Returns 1 if *out tells of it, 0 if it says nothing to us. */
static int translate(mw_watch *w, struct mw_watch_event *out) {
    unsigned mask = here(w)->mask;

    *out = (struct mw_watch_event){ MW_CHANGED, w->name, NULL, 0 };
    if (mask & IN_MOVED_FROM) {
        pair(w, out);
        return w->leaf[0] ? of_leaf(w, out) : 1;
    }
    keep(w->name, here(w));
    step(w);
    if (mask & (IN_IGNORED | IN_UNMOUNT | IN_DELETE_SELF)) { /* the directory is gone, and with it the watch */
        if (w->ended) return 0;
        w->ended = 1;
        *out = (struct mw_watch_event){ MW_REMOVED, "", NULL, 1 };
        return 1;
    }
    if (mask & (IN_Q_OVERFLOW | IN_MOVE_SELF)) {
        *out = (struct mw_watch_event){ mask & IN_Q_OVERFLOW ? MW_OVERFLOW : MW_RENAMED, "", NULL, 0 };
        return mask & IN_Q_OVERFLOW || !w->leaf[0];
    }
    if (mask & (IN_CREATE | IN_MOVED_TO)) out->what = MW_CREATED;
    else if (mask & IN_DELETE) out->what = MW_REMOVED;
    else if (w->name[0] == '\0') return 0; /* the directory's own times or mode */
    if (out->what == MW_CHANGED) fold(w);
    return w->leaf[0] ? of_leaf(w, out) : 1;
}

int mw_watch_next(mw_watch *w, struct mw_watch_event *out, struct mw_err *err) {
    for (;;) {
        int rc;

        if (w->closed) return mw_err_set(err, MW_ECLOSED, "fs watch", w->path, NULL);
        if (w->ended) return mw_err_set(err, MW_EEOF, "fs watch", w->path, "the directory is gone");
        rc = have(w, err);
        if (rc <= 0) return rc;
        if (translate(w, out)) return 1;
    }
}
