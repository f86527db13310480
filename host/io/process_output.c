/* What a child writes, read until its end: in the loop's callback, without a task, so that no pipe ever stays full.
 * Knows: io/process_parts.h, uv_poll. Never: keeps more than max_output; wakes a task before it is over. */
#include <stdio.h>
#include <unistd.h>

#include "core/poll.h"
#include "io/process_parts.h"
#include "io/stdio.h"
#include "observe/trace.h"

#define AT_ONCE (1u << 20)    /* bytes read in one callback */
#define CHUNK 65536u

static void on_closed(uv_handle_t *handle) {
    struct capture *c = handle->data;

    mw_process_drop(c->p);
}

/* What it takes counts as the queues of streams do; a host that has gone counts no longer. */
static void charge(struct capture *c) {
    if (c->p->home != NULL) mw_host_charge(c->p->host, c->charged, c->data.size);
    c->charged = c->data.size;
}

void mw_capture_free(struct capture *c) {
    mw_bytes_free(&c->data);
    charge(c);
}

void mw_capture_end(struct capture *c) {
    if (c->fd < 0) return;
    if (c->polling) uv_close((uv_handle_t *)&c->poll, on_closed);
    c->polling = 0;
    close(c->fd);
    c->fd = -1;
    mw_probe_free(c->probe);
    c->probe = NULL;
}

/* A run that is traced tells of what a child says, as it comes. */
static void probe(struct capture *c) {
    char name[sizeof c->p->name + 16];

    if (mw_host_trace(c->p->host) == NULL) return;
    snprintf(name, sizeof name, "%s %s", c->p->name, c->p->pty_fd >= 0 ? "terminal" : c->which == 1 ? "stdout" : "stderr");
    c->probe = mw_probe_new(mw_host_trace(c->p->host), MW_PROBE_STREAM, name);
}

/* A copy for whoever watches; what is kept is whole in any case. */
static void show(struct capture *c, const char *at, size_t len) {
    mw_host *h = c->p->host;
    struct mw_hooks *hooks = mw_host_hooks(h);
    int rc;

    if (c->which == 1 && hooks->print_fd == 0) {
        if (hooks->print != NULL) hooks->print(hooks->ud, at, len);
        return;
    }
    rc = mw_stdio_write(c->which == 1 ? hooks->print_fd : STDERR_FILENO, at, len);
    if (rc == 0) return;
    c->p->tee = 0;
    mw_host_log(h, MW_LOG_WARN, "process %d: its output could not be shown: %s", (int)c->p->child.pid, mw_err_words(rc));
}

/* More than anybody wants to keep. */
static void too_much(struct capture *c, int fault) {
    mw_process *p = c->p;

    if (fault != 0) p->fault = fault;
    else p->overflowed = 1;
    if (fault != 0 || !p->truncate) mw_process_stop(p);
}

/* The last max_output bytes are kept. Returns n. */
static ssize_t keep_end(struct capture *c, const char *at, size_t n) {
    size_t most = c->p->max_output, len = n < most ? n : most, held = mw_bytes_len(&c->data);

    if (held + len > most) mw_bytes_consume(&c->data, held + len - most);
    if (mw_bytes_add(&c->data, at + (n - len), len) < 0) too_much(c, MW_ENOMEM);
    charge(c);
    return (ssize_t)n;
}

/* One read: what read(2) says, or 0 at the end. */
static ssize_t read_some(struct capture *c) {
    mw_process *p = c->p;
    char spare[16384], *at = spare;
    size_t held = mw_bytes_len(&c->data), room = sizeof spare, keep;
    ssize_t n;

    if (c->wanted && !p->keep_tail && held < p->max_output && p->fault == 0) {
        at = mw_bytes_reserve(&c->data, held < CHUNK ? 4096 : CHUNK, &room);
        if (at == NULL) {
            too_much(c, MW_ENOMEM);
            at = spare;
            room = sizeof spare;
        }
    }
    n = read(c->fd, at, room);
    if (n <= 0) return n;
    if (c->probe != NULL) mw_probe_message(c->probe, MW_PROBE_RECV, at, (size_t)n, 0);
    if (p->tee) show(c, at, (size_t)n);
    if (!c->wanted) return n;
    if (p->keep_tail && p->fault == 0) return keep_end(c, at, (size_t)n);
    keep = (size_t)n <= p->max_output - held ? (size_t)n : p->max_output - held;
    if (at != spare) mw_bytes_commit(&c->data, keep);
    else keep = 0;
    charge(c);
    if (keep < (size_t)n && p->fault == 0) too_much(c, 0);
    else if (held >= CHUNK && p->fault == 0 && mw_host_crowded(p->host)) too_much(c, MW_ELIMIT);
    return n;
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    struct capture *c = poll->data;
    size_t total = 0;
    ssize_t n = 0;

    (void)status;
    (void)events;
    while (c->fd >= 0 && total < AT_ONCE) {
        n = read_some(c);
        if (n > 0) total += (size_t)n;
        else if (n == 0 || errno != EINTR) break;
    }
    if (c->fd < 0 || n > 0 || (n < 0 && errno == EAGAIN)) return;
    if (n < 0 && (errno != EIO || c->p->pty_fd < 0)) c->p->fault = -errno;   /* EIO of a terminal: its other end has gone */
    mw_capture_end(c);
    mw_process_settle(c->p);
}

int mw_capture_start(struct capture *c, uv_loop_t *loop) {
    int rc;

    rc = uv_poll_init(loop, &c->poll, c->fd);            /* non-blocking now: our end alone, each has flags of its own */
    if (rc < 0) return rc;
    probe(c);
    c->poll.data = c;
    c->polling = 1;
    c->p->refs++;
    return mw_poll_start(&c->poll, UV_READABLE, on_poll);
}
