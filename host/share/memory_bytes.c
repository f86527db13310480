/* Bytes in and out of shared memory: through the mapping, or, where a fault would end the process, through the descriptor.
 * Knows: share/memory, pread, pwrite. Never: looks at the same byte twice: another process may change it in between. */
#include <string.h>
#include <unistd.h>

#include "share/memory.h"

#define PIECE 4096u

int mw_memory_lost_err(const mw_memory *m, const char *op, struct mw_err *err) {
    return mw_err_set(err, -EIO, op, mw_memory_subject(m), "another process has cut this memory off; it is lost");
}

static int checked(const mw_memory *m, const char *op, struct mw_err *err) {
    return mw_memory_lost(m) ? mw_memory_lost_err(m, op, err) : 0;
}

static int carefully(const mw_memory *m, size_t at, void *out, const void *data, size_t len, const char *op, struct mw_err *err) {
    size_t done = 0;

    while (done < len) {
        ssize_t n = out != NULL ? pread(m->fd, (char *)out + done, len - done, (off_t)(at + done))
                                : pwrite(m->fd, (const char *)data + done, len - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return mw_err_sys(err, op, mw_memory_subject(m));
        if (n == 0) return mw_memory_lost_err(m, op, err);
        done += (size_t)n;
    }
    return 0;
}

int mw_memory_read(const mw_memory *m, size_t at, void *out, size_t len, struct mw_err *err) {
    if (m->careful) return carefully(m, at, out, NULL, len, "shm read", err);
    if (len > 0) memcpy(out, m->at + at, len);
    return checked(m, "shm read", err);
}

int mw_memory_write(mw_memory *m, size_t at, const void *data, size_t len, struct mw_err *err) {
    if (m->careful) return carefully(m, at, NULL, data, len, "shm write", err);
    if (len > 0) memcpy(m->at + at, data, len);
    return checked(m, "shm write", err);
}

int mw_memory_fill(mw_memory *m, size_t at, size_t len, unsigned char byte, struct mw_err *err) {
    unsigned char piece[PIECE];
    int rc = 0;

    if (!m->careful) {
        if (len > 0) memset(m->at + at, byte, len);
        return checked(m, "shm fill", err);
    }
    memset(piece, byte, sizeof piece);
    while (rc == 0 && len > 0) {
        size_t n = len < sizeof piece ? len : sizeof piece;
        rc = carefully(m, at, NULL, piece, n, "shm fill", err);
        at += n;
        len -= n;
    }
    return rc;
}

int mw_memory_copy(mw_memory *m, size_t to, size_t from, size_t len, struct mw_err *err) {
    unsigned char piece[PIECE];
    size_t done = 0;
    int rc = 0;

    if (!m->careful) {
        if (len > 0) memmove(m->at + to, m->at + from, len);
        return checked(m, "shm copy", err);
    }
    while (rc == 0 && done < len) {      /* from the far end when the ranges overlap that way */
        size_t n = len - done < sizeof piece ? len - done : sizeof piece, at = to > from ? len - done - n : done;
        rc = carefully(m, from + at, piece, NULL, n, "shm copy", err);
        if (rc == 0) rc = carefully(m, to + at, NULL, piece, n, "shm copy", err);
        done += n;
    }
    return rc;
}
