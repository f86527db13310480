/* What the C programs share: checks, frames, a read buffer, and writes that are tried before they are queued. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define must(what, text)                                                                                                               \
    do {                                                                                                                               \
        if (!(what)) {                                                                                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, text);                                                                  \
            exit(1);                                                                                                                   \
        }                                                                                                                              \
    } while (0)
#define must_uv(call)                                                                                                                  \
    do {                                                                                                                               \
        int code_ = (call);                                                                                                            \
        must(code_ >= 0, uv_strerror(code_));                                                                                          \
    } while (0)

enum { HEAD = 5 }; /* kind u8, length u32 */

static inline uint32_t length_of(const unsigned char *frame) {
    uint32_t len;
    memcpy(&len, frame + 1, 4);
    return len;
}

static inline void put_head(unsigned char *frame, unsigned kind, uint32_t len) {
    frame[0] = (unsigned char)kind;
    memcpy(frame + 1, &len, 4);
}

static inline void announce(const char *text) {
    puts(text);
    fflush(stdout);
}

static inline int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- What has been read and not yet used ---------------------------------------------------------------------------------- */

struct inbox {
    unsigned char *at;
    size_t len, room;
};

static inline void inbox_init(struct inbox *in, size_t room) {
    *in = (struct inbox){ malloc(room), 0, room };
    must(in->at != NULL, "memory");
}

static inline uv_buf_t inbox_tail(struct inbox *in) {
    if (in->len == in->room) in->at = realloc(in->at, in->room *= 2);
    must(in->at != NULL, "memory");
    return uv_buf_init((char *)in->at + in->len, (unsigned)(in->room - in->len));
}

static inline void inbox_drop(struct inbox *in, size_t used) {
    in->len -= used;
    if (in->len > 0 && used > 0) memmove(in->at, in->at + used, in->len);
}

/* ---- Writing ----------------------------------------------------------------------------------------------------------------- */

struct rest { /* of a write that the kernel did not take whole */
    uv_write_t req;
    void (*sent)(uv_stream_t *);
    char bytes[];
};

static inline void rest_sent(uv_write_t *req, int status) {
    struct rest *r = (struct rest *)req;
    uv_stream_t *s = req->handle;
    void (*sent)(uv_stream_t *) = r->sent;
    (void)status;
    free(r);
    if (sent != NULL) sent(s);
}

/* 1: all is with the kernel. 0: the rest is queued, and `sent` is called when it is gone. */
static inline int put(uv_stream_t *s, const void *data, size_t len, void (*sent)(uv_stream_t *)) {
    uv_buf_t b = uv_buf_init((char *)data, (unsigned)len);
    int n = uv_try_write(s, &b, 1);
    struct rest *r;

    if (n == UV_EAGAIN) n = 0;
    must_uv(n);
    if ((size_t)n == len) return 1;
    r = malloc(sizeof *r + len - (size_t)n);
    must(r != NULL, "memory");
    r->sent = sent;
    memcpy(r->bytes, (const char *)data + n, len - (size_t)n);
    b = uv_buf_init(r->bytes, (unsigned)(len - (size_t)n));
    must_uv(uv_write(&r->req, s, &b, 1, rest_sent));
    return 0;
}

#endif
