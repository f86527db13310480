/* TLS on a stream. Reading: descriptor to `raw`, decrypted into the stream's queue. Writing: what is gathered or lent is encrypted into
 * `sealed`, no more of it at a time than the descriptor takes soon; the rest waits as plaintext in the stream's queue.
 * Knows: io/stream_parts, wire/tls, core/part. Never: OpenSSL; loses what came before the connection broke. */
#include "io/secure.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/part.h"
#include "io/stream_parts.h"

#define SEALED_GOAL ((size_t)64 * 1024)  /* bytes: then they are sent before more is encrypted */
#define SEALED_MAX ((size_t)512 * 1024)  /* a peer that makes us answer, and takes no answer */
#define SESSION ((size_t)16 * 1024)      /* bytes that OpenSSL holds for a connection, about */
#define LINGER_NS 2000000000u            /* for the server's tickets: closing before they came would reset the connection */
#define HELD_MAX ((size_t)64 * 1024)     /* bytes that are read on the way of a handshake */
#define PULLS 4                          /* full reads in one go */
#define HANDSHAKE 22                     /* what a record of TLS that begins a session begins with, ... */
#define HANDSHAKE_MAJOR 3                /* ... and the version behind it */

struct mw_secure {
    const struct mw_tls_calls *calls;
    mw_tls *tls;                 /* NULL once closed */
    struct mw_bytes raw, sealed;
    unsigned shaken : 1;
    unsigned news : 1;           /* shaken, and nobody was told */
    unsigned parted : 1;         /* the last word was said */
    unsigned lingers : 1;
    unsigned answered : 1;       /* while it lingered */
    unsigned said : 1;           /* something of the script's was encrypted */
    unsigned about_known : 1;
    struct mw_tls_about about;   /* kept when it closes */
    struct mw_err err;           /* what broke it */
};

const struct mw_tls_calls *mw_secure_calls(mw_host *h, const char *op, struct mw_err *err) {
    return mw_part_open(h, MW_PART_TLS, "mw_tls_calls", op, err);
}

size_t mw_secure_size(const mw_stream *s) {
    return s->secure->tls == NULL ? 0 : SESSION + s->secure->raw.size + s->secure->sealed.size;
}
size_t mw_secure_unsent(const mw_stream *s) {
    return mw_bytes_len(&s->secure->sealed) + s->secure->lingers;
}
int mw_secure_shaken(const mw_stream *s) {
    return s->secure->shaken;
}
int mw_secure_lingers(const mw_stream *s) {
    return s->secure->lingers;
}
int mw_secure_holds(const mw_stream *s) {
    return s->secure->tls != NULL && s->secure->calls->holds(s->secure->tls);
}
int mw_secure_news(mw_stream *s) {
    int news = s->secure->news;

    s->secure->news = 0;
    return news;
}
const char *mw_secure_why(const mw_stream *s, int code) {
    return s->secure->err.code != 0 && s->secure->err.code == code ? s->secure->err.what : NULL;
}

/* A queue that is empty goes back, if it was a block; a larger one once nothing moves, also where nobody reads. */
static void tidy(mw_stream *s) {
    struct mw_secure *x = s->secure;

    mw_stream_give_back(s, &x->raw);
    mw_stream_give_back(s, &x->sealed);
    if (s->trim || (x->raw.size == 0 && x->sealed.size == 0)) return;
    s->trim = 1;
    mw_stream_mind(s);
}

/* ---- Writing -------------------------------------------------------------------------------------------------------------- */

/* What the kernel gets. Watched for more where some waits. */
int mw_secure_flush(mw_stream *s) {
    struct mw_secure *x = s->secure;

    while (mw_bytes_len(&x->sealed) > 0) {
        size_t held = mw_bytes_len(&x->sealed);
        struct iovec iov = { x->sealed.base + x->sealed.head, held };
        ssize_t sent = s->wfd >= 0 ? mw_stream_give(s, &iov, 1) : MW_ECLOSED;

        if (sent < 0) return (int)sent;
        mw_bytes_consume(&x->sealed, (size_t)sent);
        if ((size_t)sent < held) { /* it would refuse the next one */
            s->want_write = 1;
            return 0;
        }
    }
    tidy(s);
    return 0;
}

/* Encrypts one piece: 0 or a code. */
static int seal(mw_stream *s, const char *at, size_t len) {
    struct mw_secure *x = s->secure;
    long n;

    if (len == 0) return 0;
    if (len <= MW_BLOCK / 2) mw_stream_lend(s, &x->sealed);
    n = x->calls->write(x->tls, at, len, &x->err);
    mw_stream_charge(s);
    if (n > 0) x->said = 1;
    return n < 0 ? (int)n : n == (long)len ? 0 : MW_ETLS;
}

/* May more be encrypted? 1; 0: what is must go first; or a code. */
static int ready(mw_stream *s) {
    int rc;

    if (mw_bytes_len(&s->secure->sealed) < SEALED_GOAL) return 1;
    rc = mw_secure_flush(s);
    return rc < 0 ? rc : mw_bytes_len(&s->secure->sealed) < SEALED_GOAL;
}

/* Small parts go together into one record, large ones are lent. */
ssize_t mw_secure_give(mw_stream *s, const struct iovec *iov, int count) {
    char joined[MW_TLS_RECORD];
    size_t taken = 0, held = 0, n;
    int i, rc = 1;

    if (!s->secure->shaken || s->secure->tls == NULL) return 0;
    for (i = 0; i < count && rc > 0; i++) {
        const char *at = iov[i].iov_base;
        size_t left = iov[i].iov_len;
        while (left > 0 && (rc = ready(s)) > 0) {
            if (held == 0 && (left >= MW_TLS_RECORD || i == count - 1)) {
                n = left < SEALED_GOAL ? left : SEALED_GOAL;
                rc = seal(s, at, n);
            } else {
                n = left < MW_TLS_RECORD - held ? left : MW_TLS_RECORD - held;
                memcpy(joined + held, at, n);
                held += n;
                rc = held == MW_TLS_RECORD ? seal(s, joined, held) : 0;
                if (held == MW_TLS_RECORD) held = 0;
            }
            if (rc < 0) return rc;
            taken += n;
            at += n;
            left -= n;
            rc = 1;
        }
    }
    if (rc < 0) return rc;
    rc = seal(s, joined, held);
    return rc < 0 ? rc : (ssize_t)taken;
}

void mw_secure_broken(mw_stream *s) {
    mw_bytes_free(&s->secure->sealed);
}

/* ---- Reading -------------------------------------------------------------------------------------------------------------- */

/* Descriptor to `raw`, once. 1: something came, or the end; 0: nothing now; or a code. The first read is small: a handshake, and most
 * that is said by those who say little, fits into a block that is given back at once; those who send much are read in larger pieces. */
static int pull(mw_stream *s, int *more) {
    struct mw_secure *x = s->secure;
    size_t ask = s->chunk, room;
    ssize_t got;
    char *at;

    *more = 0;
    if (ask <= MW_BLOCK) mw_stream_lend(s, &x->raw);
    at = mw_bytes_reserve(&x->raw, ask, &room);
    if (at == NULL) return MW_ENOMEM;
    if (room > ask) room = ask;
    got = mw_stream_take(s, at, room);
    s->stats.reads++;
    if (got > 0) {
        mw_bytes_commit(&x->raw, (size_t)got);
        s->stats.bytes_in += (uint64_t)got;
        mw_stream_moved(s);
        *more = (size_t)got == room;
        if (*more && s->chunk < MW_CHUNK_MAX) s->chunk *= 2;
        return 1;
    }
    if (got < 0) return mw_would_block(errno) ? 0 : -errno;
    x->calls->end(x->tls);
    return 1;
}

/* It is over: for the reader, and for the writer too, unless the peer has merely said that it ends. */
static int over(mw_stream *s, int code) {
    s->want_read = 0;
    if (code == MW_EEOF) {
        s->eof = 1;
        return code;
    }
    s->rerr = code;
    s->enough = NULL;
    if (s->secure->err.code != code) mw_err_set(&s->secure->err, code, "", NULL, NULL);
    mw_secure_flush(s);          /* the alert, if it goes at once */
    if (s->werr == 0) mw_stream_break(s, code);
    mw_wait_wake(&s->readable);
    return code;
}

/* Is the handshake done by now? Then what was written meanwhile can go. If nothing was, the end of the handshake (a client's last word,
 * a server's ticket) goes with what the script says first. */
static void note_shaken(mw_stream *s) {
    struct mw_secure *x = s->secure;
    int rc;

    if (x->shaken || x->calls->shake(x->tls, NULL) != 1) return;
    x->shaken = x->news = 1;
    if (mw_bytes_len(&s->head.out) == 0 && !s->finishing) {
        if (mw_bytes_len(&x->sealed) > 0 && s->werr == 0 && !s->want_write) mw_stream_hold_off(s);
        return;
    }
    if (mw_stream_push_out(s) < 0 || !s->want_write) return;
    mw_stream_stuck(s);
    if ((rc = mw_stream_watch(s)) < 0) mw_stream_break(s, rc);
}

/* What reading has made us say (handshake, new keys, alerts) goes out. 0 or a code. */
static int answer(mw_stream *s) {
    struct mw_secure *x = s->secure;
    int rc, wanted = s->want_write;

    if (mw_bytes_len(&x->sealed) == 0 || s->werr != 0 || s->gathering) return 0;
    rc = mw_secure_flush(s);
    if (rc == 0 && mw_bytes_len(&x->sealed) > SEALED_MAX) {
        rc = mw_err_set(&x->err, MW_ETLS, "", NULL, "broken: the peer asks, and takes no answer");
    }
    if (rc == 0 && s->want_write && !wanted) {
        mw_stream_stuck(s);
        rc = mw_stream_watch(s);
    }
    return rc;
}

int mw_secure_read(mw_stream *s, size_t want, int *full) {
    struct mw_secure *x = s->secure;
    int i, more = 0, rc = 1;
    size_t room, done = 0;
    long n = 0;
    char *at = mw_stream_reserve(s, want, &room);

    *full = 0;
    if (at == NULL) return MW_ENOMEM;
    if (!x->shaken) mw_stream_lend(s, &x->sealed);       /* an answer is likely */
    for (i = 0; done < room; ) {
        n = x->calls->read(x->tls, at + done, room - done, &x->err);
        if (n < 0) break;
        done += (size_t)n;
        if (n > 0) continue;
        if (i > 0 && (!more || done > 0 || i == PULLS)) break;
        rc = pull(s, &more);
        if (rc <= 0) break;
        i++;
    }
    mw_bytes_commit(&s->head.in, done);
    s->head.came += done;
    *full = more || done == room;
    note_shaken(s);
    if (rc >= 0 && (n >= 0 || n == MW_EEOF)) rc = answer(s);
    if (rc >= 0 && n < 0) rc = (int)n;
    tidy(s);
    mw_stream_charge(s);
    if (rc < 0 && (n < 0 || rc != MW_ENOMEM)) rc = over(s, rc); /* the engine fails for good; for a queue there may be memory later */
    if (done == 0) return rc < 0 ? rc : 0;
    if (room >= s->chunk && done == room && s->chunk < MW_CHUNK_MAX) s->chunk *= 2;
    return 1;
}

void mw_secure_look(mw_stream *s) {
    int full;

    if (s->closed || s->retired || s->eof || s->rerr != 0 || s->rfd < 0) return;
    if (mw_bytes_len(&s->head.in) < s->limits.read_high) mw_secure_read(s, 0, &full);
    mw_stream_give_back(s, &s->head.in);
    mw_secure_news(s);
}

/* Is it the peer's word, or what it sent? Not merely an end. */
static int is_verdict(const struct mw_secure *x, int code) {
    return code == MW_ECERT || (code == MW_ETLS && strncmp(x->err.what, "truncated", 9) != 0);
}

int mw_secure_verdict(mw_stream *s, int code) {
    struct mw_secure *x = s->secure;
    int full;

    if ((code != -EPIPE && code != -ECONNRESET) || x->tls == NULL) return code;
    if (s->closed || s->retired || s->eof || s->rerr != 0 || s->rfd < 0 || mw_bytes_len(&s->head.in) >= s->limits.read_high) return code;
    mw_secure_read(s, 0, &full);
    mw_wait_wake(&s->readable);  /* what came may be all that will */
    return is_verdict(x, s->rerr) ? s->rerr : code;
}

void mw_secure_trim(mw_stream *s) {
    mw_bytes_shrink(&s->secure->raw, 0);
    mw_bytes_shrink(&s->secure->sealed, 0);
}

/* ---- The end -------------------------------------------------------------------------------------------------------------- */

void mw_secure_part(mw_stream *s) {
    struct mw_secure *x = s->secure;

    if (x->parted || !x->shaken || x->tls == NULL || s->werr != 0 || mw_bytes_len(&s->head.out) > 0) return;
    x->parted = 1;
    x->calls->bye(x->tls);
    if (mw_secure_flush(s) < 0) mw_secure_broken(s);     /* the peer has gone: it will not miss it */
}

int mw_secure_awaits(const mw_stream *s) {
    const struct mw_secure *x = s->secure;

    return x->tls != NULL && !x->answered && x->calls->unanswered(x->tls);
}

int mw_secure_linger(mw_stream *s) {
    struct mw_secure *x = s->secure;

    if (x->lingers) return 1;
    if (x->tls == NULL || s->eof || s->rerr != 0 || s->werr != 0 || s->rkind == MW_FD_OTHER) return 0;
    if (mw_host_closing(s->host) || !mw_secure_awaits(s)) return 0;
    mw_stream_half_close(s);
    x->lingers = 1;
    s->limits.stall_ns = LINGER_NS;
    mw_stream_stuck(s);
    s->want_read = 1;
    s->want_write = 0;
    return 1;
}

/* The server's first word since the handshake: that it does not take our certificate, say. No call is left that could tell it. */
static void hear(mw_stream *s) {
    struct mw_secure *x = s->secure;
    char dropped[1024];
    int more;
    long n = 0;

    if (!x->said || pull(s, &more) != 1) return;
    while ((n = x->calls->read(x->tls, dropped, sizeof dropped, &x->err)) > 0) continue;
    if (!is_verdict(x, (int)n)) return;
    mw_host_log(s->host, MW_LOG_WARN, "%s %s: what was written may be lost, it had closed when the peer said: %s", s->noun, s->subject,
                x->err.what);
}

void mw_secure_heard(mw_stream *s) {
    hear(s);
    s->secure->lingers = 0;
    s->secure->answered = 1;
    if (!mw_stream_leave(s)) mw_stream_close(s);
}

void mw_secure_end(mw_stream *s) {
    struct mw_secure *x = s->secure;

    mw_secure_part(s);
    x->lingers = 0;
    if (!x->about_known && x->shaken) {
        x->calls->about(x->tls, &x->about);
        x->about_known = 1;
    }
    x->calls->close(x->tls);
    x->tls = NULL;
    mw_bytes_free(&x->raw);
    mw_bytes_free(&x->sealed);
}

/* ---- The beginning -------------------------------------------------------------------------------------------------------- */

/* Can TLS begin here and now? heard: what came already is its own. */
static int admit(mw_stream *s, int heard, struct mw_err *err) {
    int rc;

    if (s->closed || s->retired || s->finishing) return mw_stream_fail(s, MW_ECLOSED, "starttls", NULL, err);
    if (s->secure != NULL) return mw_stream_fail(s, MW_EINVAL, "starttls", "it speaks TLS already", err);
    if (s->rfd < 0 || s->wfd < 0) return mw_stream_fail(s, MW_EINVAL, "starttls", "this stream has one direction only", err);
    if (s->rerr != 0) return mw_stream_fail(s, s->rerr, "starttls", NULL, err);
    if ((mw_bytes_len(&s->head.in) > 0 && !heard) || s->kept > 0 || s->head.passed != NULL) {
        return mw_stream_fail(s, MW_ETLS, "starttls", "injection: bytes came in the clear before TLS began; anybody might have sent them", err);
    }
    if (s->eof && !heard) return mw_stream_fail(s, MW_EEOF, "starttls", "the end", err);
    rc = mw_stream_flush(s, err);
    if (rc == 1) return mw_stream_fail(s, -EBUSY, "starttls", "bytes wait unsent: flush first", err);
    return rc;
}

/* What came in the clear is TLS's. 0 or MW_ENOMEM. */
static int take_over(mw_stream *s, struct mw_secure *x) {
    size_t held = mw_bytes_len(&s->head.in);
    int rc = held > 0 ? mw_bytes_add(&x->raw, mw_bytes_at(&s->head.in), held) : 0;

    if (rc < 0) return rc;
    mw_bytes_consume(&s->head.in, held);
    s->head.came -= held;
    if (s->eof) x->calls->end(x->tls);
    s->eof = 0;                  /* in the middle of TLS, which says so */
    return 0;
}

static int begin(mw_stream *s, mw_tls_context *c, const char *server_name, int port, int heard, struct mw_err *err) {
    struct mw_secure *x;
    int rc = admit(s, heard, err);

    if (rc < 0) return rc;
    x = calloc(1, sizeof *x);
    if (x == NULL) return mw_stream_fail(s, MW_ENOMEM, "starttls", NULL, err);
    x->calls = mw_secure_calls(s->host, "starttls", err);
    rc = x->calls == NULL ? (err != NULL ? err->code : MW_ENOMEM) : x->calls->open(c, server_name, port, &x->raw, &x->sealed, &x->tls, err);
    if (rc < 0) {
        free(x);
        return rc;
    }
    s->secure = x;
    s->drained_in = mw_host_turn(s->host) - 1;
    mw_stream_charge(s);
    s->stats.bytes_in = s->head.came;
    rc = heard ? take_over(s, x) : 0;
    if (rc == 0) rc = x->calls->shake(x->tls, &x->err);
    note_shaken(s);
    if (rc >= 0) rc = answer(s);
    if (rc < 0) {
        over(s, rc);
        return mw_stream_fail(s, rc, "starttls", NULL, err);
    }
    return 0;
}

/* A client speaks first, and may have been quicker than whoever answered it: such a beginning is TLS's, and safe there, since a handshake
 * that somebody began in between is not the client's. Anything else was said in the clear. */
static int greeted(const mw_stream *s) {
    const unsigned char *at = (const unsigned char *)mw_bytes_at(&s->head.in);
    size_t len = mw_bytes_len(&s->head.in);

    return len > 0 && at[0] == HANDSHAKE && (len < 2 || at[1] == HANDSHAKE_MAJOR);
}

int mw_stream_secure(mw_stream *s, mw_tls_context *c, const char *server_name, int port, int server, struct mw_err *err) {
    return begin(s, c, server_name, port, server && greeted(s), err);
}

int mw_stream_secured(mw_stream *s, struct mw_err *err) {
    struct mw_secure *x = s->secure;
    int full, rc;

    if (x == NULL || (x->shaken && !s->closed)) return 1;
    if (s->closed || s->retired) return mw_stream_fail(s, MW_ECLOSED, "starttls", NULL, err);
    do { /* all that came in one go with the handshake too: nobody else would tell of it */
        rc = s->rerr == 0 && !s->eof ? mw_secure_read(s, 0, &full) : 0;
    } while (rc == 1 && x->shaken && mw_secure_holds(s) && mw_bytes_len(&s->head.in) < HELD_MAX);
    if (s->rerr != 0) return mw_stream_fail(s, s->rerr, "starttls", NULL, err);
    mw_stream_give_back(s, &s->head.in);
    if (x->shaken) {
        x->news = 0;
        return 1;
    }
    rc = mw_stream_listen(s);
    return rc < 0 ? mw_stream_fail(s, rc, "starttls", NULL, err) : 0;
}

int mw_stream_is_secure(const mw_stream *s) {
    return s->secure != NULL;
}

int mw_secure_about(const mw_stream *s, struct mw_tls_about *out) {
    const struct mw_secure *x = s->secure;

    if (x == NULL || !x->shaken) return 0;
    if (x->about_known) *out = x->about;
    else x->calls->about(x->tls, out);
    return 1;
}

int mw_secure_peer(const mw_stream *s, struct mw_tls_peer *out) {
    const struct mw_secure *x = s->secure;

    memset(out, 0, sizeof *out);
    if (x == NULL || !x->shaken || x->tls == NULL) return 0;
    return x->calls->peer(x->tls, out);
}

int mw_secure_binding(const mw_stream *s, unsigned char out[MW_TLS_BINDING], struct mw_err *err) {
    if (s->secure == NULL) return 0;
    if (s->secure->tls != NULL && s->secure->shaken && s->secure->calls->binding(s->secure->tls, out) == 0) return 1;
    return mw_stream_fail(s, MW_ETLS, "authenticate", "this TLS session has nothing to bind to: TLS 1.3 has", err);
}

/* ---- Greeting ------------------------------------------------------------------------------------------------------------- */

struct greeter {
    struct mw_greeter is;        /* first */
    const struct mw_tls_calls *calls;
    mw_tls_context *context;
    int port;
    char *name;                  /* or NULL */
};
struct step {
    struct mw_greet_step is;     /* first */
    struct greeter *of;
    int server;
    mw_tls_context *context;     /* the one of the time when it began */
};

static int advance(struct mw_greet_step *it, mw_stream *s, struct mw_err *err) {
    struct step *step = (struct step *)it;
    int rc = 0;

    if (!mw_stream_is_secure(s)) {
        /* Who says nothing yet costs next to nothing. */
        if (step->server && mw_bytes_len(mw_stream_in(s)) == 0) rc = mw_stream_fill(s, 0, err);
        if (step->server && mw_bytes_len(mw_stream_in(s)) == 0 && rc != MW_EEOF) return rc;
        rc = begin(s, step->context, step->of->name, step->of->port, step->server, err);
        if (rc == 0 && !step->server) return 0;  /* its answer is not there yet */
    }
    return rc < 0 ? rc : mw_stream_secured(s, err);
}

static void step_end(struct mw_greet_step *it) {
    struct step *step = (struct step *)it;

    step->of->calls->context_drop(step->context);
    mw_greeter_drop(&step->of->is);
    free(step);
}

static int make(struct mw_greeter *it, mw_stream *s, int server, struct mw_greet_step **out, struct mw_err *err) {
    struct greeter *g = (struct greeter *)it;
    struct step *step = calloc(1, sizeof *step);

    if (step == NULL) return mw_stream_fail(s, MW_ENOMEM, "starttls", NULL, err);
    step->is.advance = advance;
    step->is.end = step_end;
    mw_greeter_keep(it);
    step->of = g;
    step->server = server;
    step->context = g->context;
    g->calls->context_keep(g->context);
    *out = &step->is;
    return 0;
}

static void greeter_free(struct mw_greeter *it) {
    struct greeter *g = (struct greeter *)it;

    g->calls->context_drop(g->context);
    free(g->name);
    free(g);
}

int mw_secure_greeter(mw_host *h, mw_tls_context *c, const char *server_name, int port, struct mw_greeter **out, struct mw_err *err) {
    const struct mw_tls_calls *calls = mw_secure_calls(h, "tls", err);
    struct greeter *g = calls != NULL ? calloc(1, sizeof *g) : NULL;

    if (calls == NULL) return err != NULL ? err->code : MW_ENOMEM;
    if (g != NULL && server_name != NULL) g->name = strdup(server_name);
    if (g == NULL || (server_name != NULL && g->name == NULL)) {
        free(g);
        return mw_err_set(err, MW_ENOMEM, "tls", server_name, NULL);
    }
    calls->context_keep(c);
    g->is = (struct mw_greeter){ .refs = 1, .make = make, .free = greeter_free };
    g->calls = calls;
    g->context = c;
    g->port = port;
    *out = &g->is;
    return 0;
}

void mw_secure_greeter_change(struct mw_greeter *it, mw_tls_context *c) {
    struct greeter *g = (struct greeter *)it;

    g->calls->context_keep(c);
    g->calls->context_drop(g->context);
    g->context = c;
}
