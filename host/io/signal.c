/* A signal that a script asked for: see signal.h.
 * Knows: base, core/host, core/wait, uv.h. Never: Lua values; a signal nobody asked for. */
#include "io/signal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

static const struct { char name[6]; int number; } names[] = {
    { "HUP", SIGHUP },   { "INT", SIGINT },   { "QUIT", SIGQUIT }, { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 },
    { "TERM", SIGTERM }, { "CONT", SIGCONT }, { "TSTP", SIGTSTP }, { "TTIN", SIGTTIN }, { "TTOU", SIGTTOU }, { "WINCH", SIGWINCH },
};

struct mw_signal {
    struct mw_handle handle;
    uv_signal_t watcher;
    struct sigaction before;     /* what took this signal until now */
    const char *name;
    int refs;                    /* the owner's; the loop's until its close callback */
    int number, closed, pending;
    struct mw_wait ready;
};

static void drop(mw_signal *s) {
    if (--s->refs == 0) free(s);
}

static void on_closed(uv_handle_t *handle) {
    drop(handle->data);
}

static void on_signal(uv_signal_t *watcher, int number) {
    mw_signal *s = watcher->data;

    (void)number;
    s->pending = 1;
    mw_wait_wake(&s->ready);
}

void mw_signal_restore(int number, const struct sigaction *before) {
    struct sigaction now;

    if (sigaction(number, NULL, &now) < 0 || now.sa_handler != SIG_DFL) return; /* another watcher is still there */
    sigaction(number, before, NULL);
}
void mw_signal_taken(int number, struct sigaction *before) {
    struct sigaction now;

    if (sigaction(number, NULL, &now) == 0 && now.sa_handler == before->sa_handler) before->sa_handler = SIG_DFL;
}

void mw_signal_close(mw_signal *s) {
    if (s->closed) return;
    s->closed = 1;
    uv_signal_stop(&s->watcher);
    mw_signal_restore(s->number, &s->before);
    mw_host_disown(&s->handle);
    mw_wait_wake(&s->ready);
    uv_close((uv_handle_t *)&s->watcher, on_closed);
}

void mw_signal_free(mw_signal *s) {
    if (s == NULL) return;
    mw_signal_close(s);
    drop(s);
}

static void at_teardown(struct mw_handle *handle) {
    mw_signal_close(MW_LIST_ENTRY(handle, mw_signal, handle));
}

static int find(const char *name) {
    if (strncmp(name, "SIG", 3) == 0) name += 3;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i].name, name) == 0) return (int)i;
    return -1;
}

int mw_signal_open(mw_host *h, const char *name, mw_signal **out, struct mw_err *err) {
    int at = find(name), rc;
    mw_signal *s;

    if (at < 0) return mw_err_set(err, MW_EINVAL, "on_signal", name, "not a signal that a script may take (\"HUP\", \"USR1\", \"TERM\", ...)");
    if (!mw_host_hooks(h)->signals) {
        mw_policy_refuse(mw_host_policy(h), NULL, "on_signal", name, NULL, err);
        return mw_err_hint(err, "the program around this host keeps signals to itself");
    }
    rc = mw_host_room(h, "on_signal", name, err);
    if (rc < 0) return rc;
    s = calloc(1, sizeof *s);
    if (s == NULL) return mw_err_set(err, MW_ENOMEM, "on_signal", name, NULL);
    s->name = names[at].name;
    s->number = names[at].number;
    s->refs = 1; /* the loop's */
    mw_wait_init(&s->ready);
    mw_list_init(&s->handle.link);
    if (sigaction(s->number, NULL, &s->before) < 0) {
        rc = mw_err_sys(err, "on_signal", name);
        free(s);
        return rc;
    }
    rc = uv_signal_init(mw_host_loop(h), &s->watcher);
    if (rc < 0) {
        free(s);
        return mw_err_set(err, rc, "on_signal", name, NULL);
    }
    s->watcher.data = s;
    rc = uv_signal_start(&s->watcher, on_signal, s->number);
    if (rc < 0) {
        uv_close((uv_handle_t *)&s->watcher, on_closed);
        return mw_err_set(err, rc, "on_signal", name, NULL);
    }
    mw_signal_taken(s->number, &s->before);
    s->refs++;
    mw_host_adopt(h, &s->handle, at_teardown);
    *out = s; /* given */
    return 0;
}

int mw_signal_closed(const mw_signal *s) {
    return s->closed;
}

int mw_signal_take(mw_signal *s) {
    if (s->closed) return MW_ECLOSED;
    if (!s->pending) return 0;
    s->pending = 0;
    return 1;
}

struct mw_wait *mw_signal_ready(mw_signal *s) {
    return &s->ready;
}

const char *mw_signal_name(const mw_signal *s) {
    return s->name;
}
