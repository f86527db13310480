/* A stream: bytes in and out over one or two descriptors (pipe, Unix or TCP socket, pty, file), watched by the loop.
 * Knows: base, core/host, core/wait, core/turn, core/timer, uv.h. Never: Lua values, names (it gets open descriptors), policy.
 *
 * Reading: the queue is filled straight from the kernel at its tail; parse in place, consume what was used. Once a reader has
 * had to wait, the descriptor stays watched, and what arrives is read ahead up to the high mark, so that the loop's interest
 * set does not change with every message. A waiting reader is woken only when its hook says that there is enough.
 * Writing: one writev(2) at once; only what the kernel refused is queued, and sent when the descriptor takes it again.
 * A stream whose every call succeeds at once never touches epoll.
 * SIGPIPE: sockets never raise it. For other descriptors it is held back around each write when it was not ignored at the time
 * of mw_stream_open (in a library); the program ignores it once.
 * Counted: the Lua box holds one reference until it is collected, so the pointer stays good in a task that waits. (What the
 * loop holds are watchers of their own, which forget the stream when it closes.) Close is idempotent; after it every call
 * answers MW_ECLOSED and every waiting task is woken; the memory of the queues is gone, and so is what was lent from them. */
#ifndef MW_IO_STREAM_H
#define MW_IO_STREAM_H

#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "core/host.h"
#include "core/turn.h"
#include "core/wait.h"

typedef struct mw_stream mw_stream;
struct mw_passed_list;

/* What a stream begins with, so that a look at its queues, at each message, costs next to nothing. For the inline functions below;
 * nobody else's. */
struct mw_stream_head {
    struct mw_bytes in;
    uint64_t came;               /* bytes that the descriptor gave */
    struct mw_turn reader;
    struct mw_passed_list *passed;               /* descriptors that came with bytes of `in`; NULL: none */
    struct mw_bytes out;
    size_t add_max;              /* bytes that `out` may hold for a small piece to be simply added; 0: put it */
};

struct mw_stream_limits {
    unsigned read_high;          /* bytes: reading ahead stops when this much is held unread; 1 MiB (mw_stream_need goes beyond it) */
    unsigned write_soft;         /* above: writers wait; 1 MiB */
    unsigned write_hard;         /* one write may not take the queue above this: MW_ELIMIT; 1 GiB */
    uint64_t idle_ns;            /* closed when nothing moved for so long; 0 (default): off */
    uint64_t stall_ns;           /* closed when unsent bytes did not move for so long; 0 (default): off */
};
void mw_stream_limits_init(struct mw_stream_limits *l);      /* the defaults */

/* Takes both descriptors, also when it fails (rfd == wfd for a socket; -1 for a direction that is not there), makes them
 * non-blocking (they must be ours alone, never inherited), adopts the stream. noun: for errors ("net", "process"); static
 * text. subject: copied. limits: copied; NULL: the defaults. *out: given, one reference, end it with mw_stream_release. */
int mw_stream_open(mw_host *h, int rfd, int wfd, const char *noun, const char *subject, const struct mw_stream_limits *limits,
                   mw_stream **out, struct mw_err *err);
/* The same of one socket that we made or accepted: its family is known (AF_UNIX, AF_INET, AF_INET6), and nobody else has it. Where it is
 * closed over bytes that were not read, these are taken away, so that the peer gets what was written, and an end, not a reset. */
int mw_stream_open_socket(mw_host *h, int fd, int family, const char *noun, const char *subject, const struct mw_stream_limits *limits,
                          mw_stream **out, struct mw_err *err);
mw_stream *mw_stream_hold(mw_stream *s);
void mw_stream_release(mw_stream *s);            /* drops a reference; the last one closes; NULL is fine */
void mw_stream_share(mw_stream *s);              /* others are given its descriptor too: what comes is theirs as well */
void mw_stream_close(mw_stream *s);              /* now; unsent bytes get one last try, then they are dropped */
/* A host that ends by itself sends first what is unsent (mw_host_loop_run), unless it is for somebody who ends with it. */
void mw_stream_fleeting(mw_stream *s);
/* Calls fn(ud) once when `s` has given its descriptors back. One hook a stream; it may not call the stream. */
void mw_stream_on_close(mw_stream *s, void (*fn)(void *ud), void *ud);
int mw_stream_closed(const mw_stream *s);        /* 1 after close and retire */
int mw_stream_idled(const mw_stream *s);         /* 1: it was closed because nothing moved (limits.idle_ns) */
/* Closes for its users (every call answers MW_ECLOSED), but sends first what is queued, within the stall limit (30 s when
 * there is none). 0: all is done; <0: closed, and why bytes were lost, unless a call has told it before; 1: still sending: it
 * closes by itself, and wakes mw_stream_writable when it does; a host that ends before drops the rest, so somebody should
 * wait until mw_stream_unsent is 0. */
int mw_stream_retire(mw_stream *s, struct mw_err *err);

/* ---- Reading ---------------------------------------------------------------------------------------------------------- */

void mw_stream_passed_skip(mw_stream *s);        /* closes descriptors whose byte has been consumed */

/* What has arrived; parse and mw_stream_consume. */
static inline struct mw_bytes *mw_stream_in(mw_stream *s) {
    return &((struct mw_stream_head *)s)->in;
}
static inline void mw_stream_consume(mw_stream *s, size_t n) {
    struct mw_stream_head *head = (struct mw_stream_head *)s;
    mw_bytes_consume(&head->in, n);
    if (head->passed != NULL) mw_stream_passed_skip(s);
}
/* Tries once to read more, at most `want` bytes beyond what is held (0: whatever fits), unless the loop has just taken all
 * there was in this very turn. 1: bytes arrived; 0: nothing now
 * (watching: wait on mw_stream_readable); MW_EEOF at the clean end; MW_ECLOSED; MW_ENOMEM; or the system's code. */
int mw_stream_fill(mw_stream *s, size_t want, struct mw_err *err);
struct mw_wait *mw_stream_readable(mw_stream *s);
/* Watches for reading without a try: for a reader that has had its share and lets others go first. 0 or a code. */
int mw_stream_listen(mw_stream *s);
/* 1: more can be read without anything coming (TLS has it): such a reader must not wait. */
int mw_stream_holds(const mw_stream *s);
/* The place of the queue's head among all bytes received. */
static inline uint64_t mw_stream_offset(const mw_stream *s) {
    const struct mw_stream_head *head = (const struct mw_stream_head *)s;
    return head->came - mw_bytes_len(&head->in);
}
int mw_stream_at_eof(const mw_stream *s);        /* 1 when the end was seen; the queue may still hold bytes */

/* What the reader that is about to wait on mw_stream_readable waits for. Called on the loop thread after bytes arrived, only
 * while a task is parked there: 1 wakes it, 0 lets it sleep. The end, an error and close wake it always. Holds for one wake.
 * The hook may call mw_stream_in and mw_stream_need, nothing else of the stream; it must not raise or block. fn NULL: any
 * bytes are enough. `ud` must live as long as the task is parked (the stack of the parked task is a good anchor).
 *   rc = mw_stream_fill(s, 0, &err);
 *   if (rc == 0) { mw_stream_await(s, whole_frame, ch); return mw_wait_yield(L, mw_stream_readable(s), deadline, ctx, k); } */
typedef int mw_stream_enough(mw_stream *s, void *ud);
void mw_stream_await(mw_stream *s, mw_stream_enough *fn, void *ud);
/* Bytes that somebody else had received of it, before anything was read here. 0 or MW_ENOMEM. */
int mw_stream_unread(mw_stream *s, const char *at, size_t len, struct mw_err *err);
/* Calls fn(s, ud) from the loop when bytes came, the end or an error was seen, the out queue emptied, or the stream closed (then
 * for the last time): for one that reads and writes without a task (io/greet), while no task has the stream. fn may do with the
 * stream what it likes, also release it. Beforehand mw_stream_listen, or nothing comes. At most MW_STREAM_DRIVEN bytes are held
 * unread meanwhile. fn NULL: no more. */
#define MW_STREAM_DRIVEN ((size_t)64 * 1024)
void mw_stream_drive(mw_stream *s, void (*fn)(mw_stream *s, void *ud), void *ud);
/* The reader needs `n` bytes held at once: reading goes on to there even above the high mark. 0: back to the mark. */
void mw_stream_need(mw_stream *s, size_t n);

/* One reader at a time: take it before waiting on mw_stream_readable, give it back before pushing results (core/turn.h). */
static inline struct mw_turn *mw_stream_reader(mw_stream *s) {
    return &((struct mw_stream_head *)s)->reader;
}

/* ---- Writing ---------------------------------------------------------------------------------------------------------- */

/* parts are only read during the call and taken as one piece: two writers never interleave. 0: all taken (sent or queued);
 * 1: taken, but above the soft mark: wait on mw_stream_writable before writing more; <0: MW_ECLOSED, MW_ELIMIT or MW_ENOMEM
 * (nothing taken), -EPIPE, -ECONNRESET ... (sticky; what was queued is dropped) */
int mw_stream_write(mw_stream *s, const struct mw_view *parts, int count, struct mw_err *err);
struct mw_wait *mw_stream_writable(mw_stream *s);        /* woken when below the soft mark, when empty, and on errors */
size_t mw_stream_unsent(const mw_stream *s);
int mw_stream_crowded(const mw_stream *s);               /* 1 while above the soft mark */
int mw_stream_full(const mw_stream *s);          /* 1 when it is crowded, and will take more later: it is not closed, finished or broken */
/* Half-close after all queued bytes are gone: shutdown(2) of a socket, close(2) of a pipe. 0: done; 1: still sending (it
 * happens by itself; wait on writable to see it); <0. Later writes: MW_ECLOSED. */
int mw_stream_finish(mw_stream *s, struct mw_err *err);

/* The same for one string that the caller has pinned (core/pin): what the system does not take of it waits where it lies. The pin is
 * given away, whatever comes of it. */
int mw_stream_write_pinned(mw_stream *s, const struct mw_view *part, int pin, struct mw_err *err);

/* For small writes. The first piece of a turn is written at once, unless several were put the last time; the others, or all, are
 * gathered, and written once when the running task waits or has ended (outside tasks, and for all but the first task that writes
 * in a turn: at the end of the turn), when somebody is about to read the same stream, or when 64 KiB are held. Same results as
 * mw_stream_write, whose order is kept; a piece above 16 KiB is written at once. What the system refuses of gathered bytes is
 * told at the next call. */
int mw_stream_put(mw_stream *s, const struct mw_view *parts, int count, struct mw_err *err);
/* The short way of mw_stream_put for all but the first piece, in place: mw_stream_room gives room for `len` bytes at the end of
 * what is gathered or waits, to be filled at once, and mw_stream_added says that it was. NULL: put it. */
#define MW_STREAM_SMALL ((size_t)16 * 1024)     /* bytes: what is copied rather than lent, to go out with others */
static inline char *mw_stream_room(const mw_stream *s, size_t len) {
    const struct mw_stream_head *head = (const struct mw_stream_head *)s;
    const struct mw_bytes *q = &head->out;
    return len > MW_STREAM_SMALL || mw_bytes_len(q) + len > head->add_max || q->size - q->tail < len ? NULL : q->base + q->tail;
}
/* The same where nothing is gathered or waits; after mw_stream_added, mw_stream_begun tells what mw_stream_put would have. */
char *mw_stream_room_first(mw_stream *s, size_t len);
int mw_stream_begun(mw_stream *s, size_t len, struct mw_err *err);
static inline void mw_stream_added(mw_stream *s, size_t len) {
    mw_bytes_commit(&((struct mw_stream_head *)s)->out, len);
}
/* Sends now what was gathered. 0: all sent; 1: some bytes wait for the descriptor (wait on writable); <0. */
int mw_stream_flush(mw_stream *s, struct mw_err *err);

/* Bytes that somebody gathers above the stream, to be written together later: they count as unsent. `send` writes them and takes
 * `link` off by mw_list_remove, 0; or leaves all as it is: a code. It is called when the stream is flushed, finished, retired, closed
 * or asked whether it is quiet, and when its host ends; and may be at any time by mw_stream_settle. */
struct mw_held {
    struct mw_list link;
    int (*send)(struct mw_held *it, struct mw_err *err);
};
void mw_stream_hold_back(mw_stream *s, struct mw_held *it);     /* until it is taken off */
/* Sends what is held back, where no caller is told: a failure of the stream is then the next one's. */
void mw_stream_settle(mw_stream *s);

/* ---- Descriptors over Unix sockets --------------------------------------------------------------------------------------
 *
 * The framing: one zero byte in a message of its own carries the descriptors (SCM_RIGHTS). Both directions keep their order
 * with ordinary bytes. Received descriptors belong to their byte: an ordinary read that consumes the byte closes them. At
 * most MW_STREAM_FDS are held unclaimed; while they are, nothing more is read ahead, and more than that are closed. */
enum { MW_STREAM_FDS = 16 };

/* Sends copies of `count` descriptors behind everything that was written. As mw_stream_write; -EMFILE: nothing taken. */
int mw_stream_send_fds(mw_stream *s, const int *fds, int count, struct mw_err *err);
/* The same with another byte than zero, which says what they are together (bind/parcel). */
int mw_stream_can_carry(mw_stream *s, struct mw_err *err);       /* 0, or the code that it would give */
int mw_stream_send_kind(mw_stream *s, char kind, const int *fds, int count, struct mw_err *err);
/* Takes what came with the byte at the head of the queue, and the byte. Returns how many (fds[0..n) are given, close-on-exec);
 * 0: nothing is held, fill and wait; MW_EFRAME: ordinary bytes come first; MW_ELIMIT, -EMFILE: the message lost its
 * descriptors (the byte is gone too). */
int mw_stream_fds_ready(const mw_stream *s);     /* how many came with the byte at the head of the queue */
static inline int mw_stream_holds_fds(const mw_stream *s) {        /* 1: some came, with that byte or with a later one */
    return ((const struct mw_stream_head *)s)->passed != NULL;
}
int mw_stream_fds_kind(const mw_stream *s);      /* that byte; 0 when nothing is held */
int mw_stream_take_fds(mw_stream *s, int fds[MW_STREAM_FDS], struct mw_err *err);

/* A stream over one descriptor that came from elsewhere (taken, also on failure): its directions as it was opened. */
int mw_stream_adopt(mw_host *h, int fd, const char *noun, const char *subject, mw_stream **out, struct mw_err *err);

/* Somebody above the stream holds what came and was not yet asked for (1), or does no more (-1): such a stream is not quiet, and is not
 * to be moved elsewhere. */
void mw_stream_keep(mw_stream *s, int change);
int mw_stream_kept(const mw_stream *s);

/* ---- Looking ------------------------------------------------------------------------------------------------------------ */

/* 0 once the peer has closed or half-closed, an error is known, or s is closed; consumes nothing. */
int mw_stream_alive(mw_stream *s);
/* 1 while it is alive and nothing of it is under way: no reader, nothing unread (here or with the system), nothing unsent (what was
 * gathered is sent first). */
int mw_stream_quiet(mw_stream *s);
/* Bytes that the peer has sent so far, those that wait with the system too; before TLS as they are on the wire. */
uint64_t mw_stream_said(const mw_stream *s);

struct mw_peer {
    int family;                  /* AF_UNIX: uid, gid, pid; AF_INET, AF_INET6: host, port */
    uid_t uid;
    gid_t gid;
    pid_t pid;
    char host[64];
    int port;
};
/* Who is at the other end, asked of the kernel. -ENOTSOCK for pipes; -ENOTCONN when the connection is gone. */
int mw_stream_peer(const mw_stream *s, struct mw_peer *out, struct mw_err *err);
/* Our own end as a URL ("tcp://127.0.0.1:8081", "unix:/path", "unix:@name", "unix:" for an unnamed one). */
int mw_stream_address(const mw_stream *s, char *out, size_t size, struct mw_err *err);

int mw_stream_rfd(const mw_stream *s);           /* lent; -1 when closed or not there */
int mw_stream_wfd(const mw_stream *s);
/* Whom the peer has proved to be (a name of its own among those that a greeting knows), or NULL; copied; lent. 0 or MW_ENOMEM. */
int mw_stream_identify(mw_stream *s, const char *identity);
const char *mw_stream_identity(const mw_stream *s);
const char *mw_stream_noun(const mw_stream *s);
const char *mw_stream_subject(const mw_stream *s);
mw_host *mw_stream_host(const mw_stream *s);

struct mw_stream_stats { uint64_t bytes_in, bytes_out, reads, writes; };  /* as the kernel saw them */
void mw_stream_stats(const mw_stream *s, struct mw_stream_stats *out);
/* The same of all that a host has or had (bytes alone); returns how many are open. */
unsigned mw_stream_totals(mw_host *h, struct mw_stream_stats *out);
/* Calls fn for each open one. */
void mw_stream_each(mw_host *h, void (*fn)(void *ud, const mw_stream *s), void *ud);

#endif
