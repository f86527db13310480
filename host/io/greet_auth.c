/* Who is it? A shared secret, or what the kernel says.
 * Knows: io/greet_auth.h, io/stream, io/secure, wire/auth. Never: Lua; tells a stranger why he was refused. */
#include "io/greet_auth.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include "io/secure.h"

#define OP "net greeting"

/* ---- A shared secret ------------------------------------------------------------------------------------------------------ */

struct secret_greeter {
    struct mw_greeter greeter;
    const struct mw_auth_calls *calls;
    mw_auth_keys *keys;
    char identity[MW_AUTH_NAME_MAX + 1];
};
struct secret_step {
    struct mw_greet_step step;
    struct secret_greeter *from;         /* counted */
    int server;
    mw_auth *engine;                     /* NULL until the first look: what binds it to the channel is known then */
};

static int send_out(struct secret_step *step, mw_stream *s, struct mw_err *err) {
    struct mw_view v = step->from->calls->send(step->engine);

    return v.len == 0 ? 0 : mw_stream_write(s, &v, 1, err);
}

static int begin(struct secret_step *step, mw_stream *s, struct mw_err *err) {
    unsigned char channel[MW_TLS_BINDING];
    int rc = mw_secure_binding(s, channel, err);
    struct mw_view binding = { (const char *)channel, rc > 0 ? sizeof channel : 0 };

    if (rc < 0) return rc;
    rc = step->from->calls->open(step->from->keys, step->server, step->from->identity, binding, &step->engine, err);

    return rc < 0 ? rc : send_out(step, s, err);
}

static int secret_advance(struct mw_greet_step *it, mw_stream *s, struct mw_err *err) {
    struct secret_step *step = (struct secret_step *)it;
    const struct mw_auth_calls *calls = step->from->calls;
    const char *name;
    int rc = step->engine == NULL ? begin(step, s, err) : 0, sent;

    while (rc >= 0) {
        size_t before = mw_bytes_len(mw_stream_in(s));
        rc = calls->feed(step->engine, mw_stream_in(s), err);
        if (rc < 0) break;
        sent = send_out(step, s, err);
        if (sent < 0) return sent;
        if (rc == 1 || mw_bytes_len(mw_stream_in(s)) == before) break;
    }
    if (rc != 1 || !step->server || (name = calls->name(step->engine)) == NULL) return rc;
    return mw_stream_identify(s, name) < 0 ? mw_err_set(err, MW_ENOMEM, OP, mw_stream_subject(s), NULL) : 1;
}

static void secret_deny(struct mw_greet_step *it, mw_stream *s) {
    struct secret_step *step = (struct secret_step *)it;
    struct mw_view v = step->from->calls->denial();

    if (step->server) mw_stream_write(s, &v, 1, NULL);
}

static void secret_end(struct mw_greet_step *it) {
    struct secret_step *step = (struct secret_step *)it;

    step->from->calls->close(step->engine);
    mw_greeter_drop(&step->from->greeter);
    free(step);
}

static int secret_make(struct mw_greeter *g, mw_stream *s, int server, struct mw_greet_step **out, struct mw_err *err) {
    struct secret_step *step = calloc(1, sizeof *step);

    if (step == NULL) return mw_err_set(err, MW_ENOMEM, OP, mw_stream_subject(s), NULL);
    step->step = (struct mw_greet_step){ .advance = secret_advance, .deny = secret_deny, .end = secret_end };
    step->from = (struct secret_greeter *)mw_greeter_keep(g);
    step->server = server;
    *out = &step->step;
    return 0;
}

static void secret_free(struct mw_greeter *it) {
    struct secret_greeter *g = (struct secret_greeter *)it;

    g->calls->keys_drop(g->keys);
    free(g);
}

int mw_greet_secret_new(const struct mw_auth_calls *calls, mw_auth_keys *keys, const char *identity, struct mw_greeter **out) {
    struct secret_greeter *g = calloc(1, sizeof *g);

    if (g == NULL) return MW_ENOMEM;
    g->greeter = (struct mw_greeter){ .refs = 1, .make = secret_make, .free = secret_free };
    g->calls = calls;
    g->keys = keys;
    calls->keys_keep(keys);
    if (identity != NULL) strncpy(g->identity, identity, MW_AUTH_NAME_MAX);
    *out = &g->greeter;
    return 0;
}

/* ---- What the kernel says -------------------------------------------------------------------------------------------------- */

struct who_greeter {
    struct mw_greeter greeter;
    struct mw_who who;
};
struct who_step {
    struct mw_greet_step step;
    struct who_greeter *from;            /* counted */
};

/* Is `value` in a list, or is the list empty? */
#define IS_IN(list, count, value)                                \
    __extension__({                                              \
        unsigned n_ = (count), i_ = 0;                           \
        while (i_ < n_ && (list)[i_] != (value)) i_++;           \
        n_ == 0 || i_ < n_;                                      \
    })

static int who_advance(struct mw_greet_step *it, mw_stream *s, struct mw_err *err) {
    const struct mw_who *who = &((struct who_step *)it)->from->who;
    struct mw_peer peer;
    int rc = mw_stream_peer(s, &peer, err);

    if (rc < 0) return rc;
    if (peer.family != AF_UNIX) return mw_err_set(err, MW_EAUTH, OP, mw_stream_subject(s), "only of a Unix socket does the kernel know the peer");
    if (IS_IN(who->uid, who->uids, peer.uid) && IS_IN(who->gid, who->gids, peer.gid) && IS_IN(who->pid, who->pids, peer.pid)) return 1;
    return mw_err_setf(err, MW_EAUTH, OP, mw_stream_subject(s), "uid %u, gid %u, pid %d is not accepted", (unsigned)peer.uid, (unsigned)peer.gid,
                       (int)peer.pid);
}

/* Its own words would be in no protocol; those of a step that would have come are. */
static void who_deny(struct mw_greet_step *it, mw_stream *s) {
    if (it->next != NULL && it->next->deny != NULL) it->next->deny(it->next, s);
}

static void who_end(struct mw_greet_step *it) {
    mw_greeter_drop(&((struct who_step *)it)->from->greeter);
    free(it);
}

static int who_make(struct mw_greeter *g, mw_stream *s, int server, struct mw_greet_step **out, struct mw_err *err) {
    struct who_step *step = calloc(1, sizeof *step);

    (void)server;
    if (step == NULL) return mw_err_set(err, MW_ENOMEM, OP, mw_stream_subject(s), NULL);
    step->step = (struct mw_greet_step){ .advance = who_advance, .deny = who_deny, .end = who_end };
    step->from = (struct who_greeter *)mw_greeter_keep(g);
    *out = &step->step;
    return 0;
}

static void who_free(struct mw_greeter *g) {
    free(g);
}

int mw_greet_who_new(const struct mw_who *who, struct mw_greeter **out) {
    struct who_greeter *g = calloc(1, sizeof *g);

    if (g == NULL) return MW_ENOMEM;
    g->greeter = (struct mw_greeter){ .refs = 1, .unix_only = 1, .make = who_make, .free = who_free };
    g->who = *who;
    *out = &g->greeter;
    return 0;
}

int mw_greet_own_new(struct mw_greeter **out) {
    struct mw_who who = {.uids = 2, .uid = {geteuid(), 0}};

    return mw_greet_who_new(&who, out);
}

int mw_greet_is_root(void) {
    return geteuid() == 0;
}
