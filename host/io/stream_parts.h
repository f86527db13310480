/* The inside of a stream, shared by the files that make it: stream.c (life, deadlines), stream_watch.c, stream_in.c, stream_out.c,
 * stream_leave.c (the end), stream_fds.c (descriptors over Unix sockets, who is at the other end).
 * Knows: io/stream, core/timer, uv.h. Never: included by anybody else. */
#ifndef MW_IO_STREAM_PARTS_H
#define MW_IO_STREAM_PARTS_H

#include <errno.h>
#include <sys/uio.h>
#include <uv.h>

#include "core/timer.h"
#include "io/stream.h"

enum mw_fd_kind { MW_FD_NONE, MW_FD_OTHER, MW_FD_SOCKET, MW_FD_UNIX };

enum {
    MW_CHUNK_MIN = MW_BLOCK,     /* bytes: the first read; doubled while reads come back full */
    MW_CHUNK_MAX = 64 * 1024,
    MW_CHUNK_PIPE = 256 * 1024,  /* the same for pipes, which can be emptied by one read: a reader holds off the writer while it copies */
    MW_GATHER_MAX = 64 * 1024,   /* bytes gathered before they are written within the turn */
    MW_CROWDED_MAX = 1 << 20,    /* bytes that a reader may hold while the host is crowded */
    MW_EINTR_MAX = 8,            /* tries of one call; then it is left to the loop, which can be stopped */
    MW_PINS_MAX = 30,            /* strings that wait where they lie; more are copied */
    MW_PASSED_MAX = 2 * MW_STREAM_FDS
};

static inline int mw_would_block(int e) {
    return e == EAGAIN || e == EWOULDBLOCK || e == EINTR;
}

struct mw_watch;                 /* a uv_poll and its stream */
struct mw_parcel;                /* descriptors that wait to be sent */
struct mw_secure;                /* TLS (io/secure) */

/* A descriptor that arrived, with the place of its byte. */
struct mw_passed {
    uint64_t at;                 /* of all bytes received, from 0 */
    int fd;                      /* -1: lost */
    int code;                    /* why it was lost */
};
struct mw_passed_list {
    unsigned count;
    struct mw_passed it[MW_PASSED_MAX];
};

/* Strings of scripts that wait to be sent, behind the out queue. */
struct mw_pins {
    size_t left;                 /* bytes of all; never 0 */
    unsigned first, count;
    struct mw_pinned {
        const char *at;
        size_t len;
        int pin;
    } it[MW_PINS_MAX];
};

struct mw_stream {
    struct mw_stream_head head;  /* first */
    struct mw_handle handle;
    mw_host *host;
    const char *noun;
    unsigned refs;
    int rfd, wfd;
    unsigned char rkind, wkind;  /* enum mw_fd_kind */
    unsigned closed : 1;
    unsigned retired : 1;        /* closed for its users; sends what is queued, then closes */
    unsigned eof : 1;
    unsigned pty : 1;            /* EIO is the end */
    unsigned guard : 1;          /* SIGPIPE is to be held back around writes */
    unsigned want_read : 1, want_write : 1;   /* what the loop is to watch */
    unsigned gathering : 1;      /* the out queue holds bytes that were never tried */
    unsigned bursts : 1;         /* the last time several pieces were put in a turn */
    unsigned told : 1;           /* a caller has seen werr */
    unsigned idled : 1;          /* closed because nothing moved */
    unsigned finishing : 1;      /* half-close when the out queue is empty */
    unsigned parting : 1;        /* nothing more will be written: TLS says its last word with the rest */
    unsigned parked : 1;         /* the reading descriptor is in the host's quiet set (io/park) */
    unsigned busy : 1;           /* it is not to be parked: it has much to say */
    unsigned hits : 3;           /* events since it was parked */
    unsigned stirred : 1;        /* something happened that `drive` is to be told */
    unsigned sole : 1;           /* a socket that nobody else has */
    unsigned talks : 1;          /* retired, and its peer went on */
    unsigned emptied : 1;        /* all that came was taken away just now */
    unsigned leaving : 1;        /* retired, all sent and half closed: takes away what comes, until the peer has taken ours */
    unsigned trim : 1;           /* the timer is to give back the memory of empty queues, once nothing moves */
    int rerr, werr;              /* sticky codes */
    unsigned chunk;              /* bytes of the next read, MW_CHUNK_MIN to MW_CHUNK_MAX (a pipe's: MW_CHUNK_PIPE) */
    unsigned calls_seen;         /* reads + writes when the timer last looked */
    unsigned drained_in;         /* the turn in which the loop read all there was: a reader need not try again */
    unsigned put_in;             /* the turn in which something was put last */
    unsigned rested_in;          /* the turn in which what was gathered went out when its task rested */
    size_t first_piece;          /* bytes of what was put first in this turn; 0: that has gone */
    struct mw_watch *watch, *wwatch;          /* of rfd (or both), of wfd when it is another; NULL until needed */
    struct mw_dusk dusk;

    struct mw_list held;         /* of struct mw_held */
    int kept;                    /* see mw_stream_keep */

    size_t need;
    size_t charged;              /* room of both queues, as the host knows it */
    struct mw_pins *pins;        /* NULL: none; and none while there are parcels or TLS */
    struct mw_parcel *parcels;   /* a ring: the last one, whose next is the first */
    struct mw_secure *secure;    /* TLS: the queues hold plaintext; NULL: none */

    struct mw_wait readable, writable;
    mw_stream_enough *enough;
    void *enough_ud;

    struct mw_stream_limits limits;
    struct mw_stream_stats stats;
    struct mw_timer timer;
    uint64_t moved, stuck;       /* ns: when anything moved; since when unsent bytes do not */
    void (*on_close)(void *ud);  /* or NULL */
    void *close_ud;
    void (*drive)(mw_stream *s, void *ud);       /* or NULL */
    void *drive_ud;
    char *identity;              /* or NULL */
    char *why;                   /* what closed it, or NULL */
    char subject[];
};

/* secure.c: what TLS keeps beside the queues. Each only where s->secure is not NULL. */
size_t mw_secure_size(const mw_stream *s);                     /* bytes of memory */
size_t mw_secure_unsent(const mw_stream *s);                   /* bytes for the peer, 0 when nothing is awaited either */
int mw_secure_read(mw_stream *s, size_t want, int *full);      /* as read_once (stream_in.c) */
int mw_secure_holds(const mw_stream *s);                       /* 1: it has something to read without the descriptor's help */
int mw_secure_news(mw_stream *s);                              /* 1, once: the handshake is done */
void mw_secure_look(mw_stream *s);                             /* takes what the descriptor has, for who asks whether anything came */
ssize_t mw_secure_give(mw_stream *s, const struct iovec *iov, int count);    /* bytes of plaintext that it took: mw_secure_flush sends them */
int mw_secure_flush(mw_stream *s);                             /* to the descriptor: 0 (some may wait), or a code */
void mw_secure_part(mw_stream *s);                             /* says the last word, once all plaintext has gone */
int mw_secure_shaken(const mw_stream *s);
int mw_secure_linger(mw_stream *s);                            /* retired, all sent. 1: it waits until the peer has answered */
int mw_secure_lingers(const mw_stream *s);
int mw_secure_awaits(const mw_stream *s);                      /* 1: a client that must hear from the server before it closes */
void mw_secure_heard(mw_stream *s);                            /* lingers, and something came: away with it, and closes */
void mw_secure_broken(mw_stream *s);                           /* what is unsent is dropped */
int mw_secure_verdict(mw_stream *s, int code);                 /* the peer broke it with `code`: what it said why, if it did; or code */
void mw_secure_trim(mw_stream *s);
void mw_secure_end(mw_stream *s);                              /* the stream closes: a last word, if it can go at once */
const char *mw_secure_why(const mw_stream *s, int code);       /* words for what broke it; or NULL */

/* Bytes of the out queue, and of the strings behind it. */
static inline size_t mw_stream_queued(const mw_stream *s) {
    return mw_bytes_len(&s->head.out) + (s->pins != NULL ? s->pins->left : 0);
}
/* Bytes that were written and that the system has not; at least 1 while it leaves. */
static inline size_t mw_stream_waits(const mw_stream *s) {
    return mw_stream_queued(s) + s->leaving + (s->secure != NULL ? mw_secure_unsent(s) : 0);
}
/* Tells the loop what want_read and want_write ask for. 0 or a code. */
int mw_stream_watch(mw_stream *s);
/* Makes sure that the deadlines are looked after. */
void mw_stream_mind(mw_stream *s);
/* Notes that bytes moved; the exact time of each read and write matters to short limits only. */
static inline void mw_stream_moved(mw_stream *s) {
    if (s->limits.idle_ns == 0) return;
    s->moved = s->limits.idle_ns < 1000000000u ? mw_host_now(s->host) : mw_host_recently(s->host);
}
/* Tells the host how much room the queues take. */
static inline void mw_stream_charge(mw_stream *s) {
    size_t now = s->head.in.size + s->head.out.size + (s->pins != NULL ? s->pins->left : 0) + (s->secure != NULL ? mw_secure_size(s) : 0);

    if (now == s->charged) return;
    mw_host_charge(s->host, s->charged, now);
    s->charged = now;
}
/* A queue that is empty, and was never more than a block, is without one until it is needed: 10,000 streams that wait would
 * hold 40 MB. Larger ones keep their memory for a while (on_timer), since theirs are busy. */
static inline void mw_stream_lend(mw_stream *s, struct mw_bytes *q) {
    if (q->base != NULL) return;
    q->base = mw_host_block(s->host);
    if (q->base != NULL) q->size = MW_BLOCK;
}
static inline void mw_stream_give_back(mw_stream *s, struct mw_bytes *q) {
    if (q->size != MW_BLOCK || q->head != q->tail) return;
    mw_host_block_back(s->host, q->base);
    *q = (struct mw_bytes){ 0 };
    mw_stream_charge(s);
}
/* Notes that bytes have begun to wait. */
static inline void mw_stream_stuck(mw_stream *s) {
    if (s->limits.stall_ns == 0) return;
    s->stuck = mw_host_now(s->host);
    mw_stream_mind(s);
}
/* Nothing has moved for a while: it may be watched as those are that say little. */
void mw_stream_calm(mw_stream *s);
/* Nothing is watched any more. */
void mw_stream_watch_end(mw_stream *s);
/* Closes the one descriptor of a stream that has two. */
void mw_stream_drop_wfd(mw_stream *s);
void mw_stream_drop_rfd(mw_stream *s);
/* Closes it, and keeps the words for who asks; without memory it is merely closed. */
void mw_stream_close_because(mw_stream *s, const char *why);
/* Fills err; what NULL: the code's words. */
int mw_stream_fail(const mw_stream *s, int code, const char *verb, const char *what, struct mw_err *err);

void mw_stream_lost(mw_stream *s, const char *why);

/* stream_in.c */
ssize_t mw_stream_take(mw_stream *s, char *at, size_t n);      /* as read(2) */
char *mw_stream_reserve(mw_stream *s, size_t want, size_t *room);        /* of the in queue, for a read of at most `want` (0: what fits); NULL: no memory */
/* Called by the loop */
void mw_stream_on_readable(mw_stream *s);
/* stream_out.c */
ssize_t mw_stream_give(mw_stream *s, struct iovec *iov, int count);      /* to the descriptor: bytes taken; 0: none now; or a code */
void mw_stream_half_close(mw_stream *s);
/* Called by the loop */
void mw_stream_on_writable(mw_stream *s);
/* Sends what was gathered: somebody is about to wait. An error sticks, and the next writer is told. */
void mw_stream_send_gathered(mw_stream *s);
/* TLS has something to say that can wait for what the script says next: both go together, when its task waits at the latest. */
void mw_stream_hold_off(mw_stream *s);
/* Sends what is queued until the descriptor refuses. 0, or the code that broke it. */
int mw_stream_push_out(mw_stream *s);
/* stream_pins.c: what waits where it lies. To add: 0, or a code, and nothing happened; it takes the pin over. */
int mw_stream_pins_add(mw_stream *s, const char *at, size_t len, int pin);
int mw_stream_pins_iov(const mw_stream *s, struct iovec *iov);           /* their number, at most MW_PINS_MAX */
void mw_stream_pins_consume(mw_stream *s, size_t n);                     /* n bytes have been sent */
int mw_stream_pins_copy(mw_stream *s);                                   /* to the end of the out queue: 0 or MW_ENOMEM */
void mw_stream_pins_end(mw_stream *s);                                   /* they are not sent */
/* Queues one part behind what is queued, and has it sent when the descriptor takes it. As mw_stream_write. */
int mw_stream_enqueue(mw_stream *s, const struct mw_view *part, struct mw_err *err);
/* Breaks the writing side: what is queued is dropped, writers are woken. Returns code. */
int mw_stream_break(mw_stream *s, int code);

/* stream_leave.c */
void mw_stream_take_away(mw_stream *s);                        /* it is about to close: bytes that nobody will read go first */
int mw_stream_leave(mw_stream *s);                             /* retired, all sent: 1: it closes by itself, in a while; 0: close it */
int mw_stream_retires_reading(const mw_stream *s);             /* retired: 1: what comes is to be taken away meanwhile */
/* Called by the loop: something came, and it is retired. */
void mw_stream_on_retired(mw_stream *s);

/* stream_fds.c */
ssize_t mw_stream_recvmsg(mw_stream *s, char *at, size_t n);   /* as recv(2), keeps descriptors with their place */
size_t mw_stream_parcel_ahead(const mw_stream *s);             /* bytes of the out queue before the next parcel */
ssize_t mw_stream_parcel_send(mw_stream *s);                   /* sends the parcel at the head with its byte: 1, or -1 and errno */
void mw_stream_parcels_end(mw_stream *s);                      /* closes the descriptors that wait to be sent */
void mw_stream_passed_end(mw_stream *s);                       /* closes those that nobody claimed */

#endif
