/* A stream's farewell. Closing a socket over bytes that nobody has read resets the connection, and the peer may lose what it has not read
 * yet of ours: so what came is taken away first, and where the peer is still taking ours, what comes meanwhile too.
 * Knows: io/stream_parts, POSIX. Never: takes bytes from a socket that others have as well. */
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "io/stream_parts.h"

#define QUIET_NS 2000000000u     /* how long a peer that says nothing, does not end and does not take our last bytes is waited for, */
#define LONGEST_NS 30000000000u  /* and one that says more and more */

enum {
    PIECE = 16 * 1024,           /* bytes taken away by one call */
    PIECES = 16                  /* calls in one go */
};
enum left { NOTHING, SOME, MORE };       /* what was taken away: MORE may be there */

void mw_stream_share(mw_stream *s) {
    s->sole = 0;
}

static enum left take_away(mw_stream *s) {
    char away[PIECE];
    ssize_t got = -1;
    int i, tries = 0;

    for (i = 0; i < PIECES; i++) {
        do got = recv(s->rfd, away, sizeof away, MSG_DONTWAIT);  /* descriptors that came along are closed by the system */
        while (got < 0 && errno == EINTR && ++tries < MW_EINTR_MAX);
        if (got <= 0) break;
    }
    if (got == 0 || (got < 0 && !mw_would_block(errno))) s->eof = 1;
    s->emptied = i < PIECES;
    return i == PIECES ? MORE : i > 0 ? SOME : NOTHING;
}

/* May what comes be taken away? TLS has its own descriptor's bytes in hand, whoever made it; but a client's last bytes arrive only with
 * the answer to its handshake, which mw_secure_linger awaits. */
static int may_take(const mw_stream *s) {
    if (s->rfd < 0 || s->rkind == MW_FD_OTHER || s->eof) return 0;
    return s->secure != NULL ? !mw_secure_awaits(s) : s->sole;
}

void mw_stream_take_away(mw_stream *s) {
    if (!may_take(s)) return;
    if (s->talks) mw_stream_half_close(s);   /* the end goes out before the reset that whatever still comes will meet: tcp(7) */
    if (!s->emptied) take_away(s);
}

/* Bytes of ours that the peer has not taken (a Unix socket), or not said to have (TCP). */
static int under_way(const mw_stream *s) {
    int n = 0;

    return ioctl(s->wfd, TIOCOUTQ, &n) == 0 && n > 0;
}

int mw_stream_leave(mw_stream *s) {
    if (s->leaving) return 1;
    if (s->werr != 0 || s->wfd < 0 || mw_host_closing(s->host) || !may_take(s)) return 0;
    if (take_away(s) != NOTHING) s->talks = 1;
    if (!s->talks || s->eof || !under_way(s)) return 0;
    mw_stream_half_close(s);
    s->leaving = 1;
    s->emptied = 0;
    s->limits.stall_ns = QUIET_NS;
    mw_stream_stuck(s);
    s->moved = s->stuck;         /* when it began */
    s->want_read = 1;
    return 1;
}

int mw_stream_retires_reading(const mw_stream *s) {
    return s->leaving || (s->secure != NULL && mw_secure_lingers(s)) || may_take(s);
}

void mw_stream_on_retired(mw_stream *s) {
    enum left left;
    int waits;

    if (s->secure != NULL && mw_secure_lingers(s)) {
        mw_secure_heard(s);
        return;
    }
    if (!may_take(s)) {
        s->want_read = 0;
        return;
    }
    left = take_away(s);
    if (left != NOTHING) s->talks = 1;
    s->emptied = 0;              /* more may come */
    if (s->eof) s->want_read = 0;
    if (!s->leaving) return;
    waits = under_way(s);
    if (s->eof || (left != MORE && !waits)) mw_stream_close(s);
    else if (waits && mw_host_now(s->host) - s->moved < LONGEST_NS) s->stuck = mw_host_now(s->host);
}
