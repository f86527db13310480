/* echo serve SOCKET: answers each frame with itself.   echo ask SOCKET COUNT: asks so often, one at a time.   Frames of 64 bytes. */
#include "common.h"

enum { DATA = 64 - HEAD };

struct conn {
    uv_pipe_t pipe;
    struct inbox in;
};

static void room(uv_handle_t *h, size_t hint, uv_buf_t *b) {
    (void)hint;
    *b = inbox_tail(&((struct conn *)h)->in);
}

static struct conn *conn_new(void) {
    struct conn *c = malloc(sizeof *c);
    must(c != NULL, "memory");
    inbox_init(&c->in, 65536);
    must_uv(uv_pipe_init(uv_default_loop(), &c->pipe, 0));
    return c;
}

static void conn_free(uv_handle_t *h) {
    free(((struct conn *)h)->in.at);
    free(h);
}

/* ---- Who answers ------------------------------------------------------------------------------------------------------------ */

static void asked(uv_stream_t *s, ssize_t n, const uv_buf_t *b) {
    struct inbox *in = &((struct conn *)s)->in;
    size_t used = 0;

    (void)b;
    if (n < 0) {
        uv_close((uv_handle_t *)s, conn_free);
        return;
    }
    in->len += (size_t)n;
    while (in->len - used >= HEAD) {
        size_t frame = HEAD + length_of(in->at + used);
        if (used + frame > in->len) break;
        put(s, in->at + used, frame, NULL);
        used += frame;
    }
    inbox_drop(in, used);
}

static void arrived(uv_stream_t *listener, int status) {
    struct conn *c = conn_new();
    must_uv(status);
    must_uv(uv_accept(listener, (uv_stream_t *)&c->pipe));
    must_uv(uv_read_start((uv_stream_t *)&c->pipe, room, asked));
}

/* ---- Who asks ------------------------------------------------------------------------------------------------------------- */

static long count, done;
static double *took;
static uint64_t begun, since;

static void ask(uv_stream_t *s) {
    unsigned char frame[HEAD + DATA];
    put_head(frame, (unsigned)(1 + done % 100), DATA);
    memset(frame + HEAD, (int)(done & 255), DATA);
    since = uv_hrtime();
    put(s, frame, sizeof frame, NULL);
}

static void finish(uv_stream_t *s) {
    double seconds = (double)(uv_hrtime() - begun) / 1e9;
    qsort(took, (size_t)count, sizeof *took, by_size);
    printf("result count=%ld seconds=%.6f p50=%.9f p99=%.9f\n", count, seconds, took[count / 2], took[count * 99 / 100]);
    uv_close((uv_handle_t *)s, conn_free);
}

static void answered(uv_stream_t *s, ssize_t n, const uv_buf_t *b) {
    struct inbox *in = &((struct conn *)s)->in;
    (void)b;
    must(n >= 0, "the server closed");
    in->len += (size_t)n;
    if (in->len < HEAD || in->len < HEAD + length_of(in->at)) return;
    took[done] = (double)(uv_hrtime() - since) / 1e9;
    must(in->len == HEAD + DATA && in->at[0] == 1 + done % 100 && in->at[HEAD] == (done & 255) && in->at[HEAD + DATA - 1] == (done & 255),
         "another frame came back");
    in->len = 0;
    if (++done < count) ask(s);
    else finish(s);
}

static void connected(uv_connect_t *req, int status) {
    must_uv(status);
    must_uv(uv_read_start(req->handle, room, answered));
    begun = uv_hrtime();
    ask(req->handle);
}

int main(int argc, char **argv) {
    uv_pipe_t listener;
    uv_connect_t req;

    must(argc > 2, "serve SOCKET or ask SOCKET COUNT");
    if (strcmp(argv[1], "serve") == 0) {
        must_uv(uv_pipe_init(uv_default_loop(), &listener, 0));
        must_uv(uv_pipe_bind(&listener, argv[2]));
        must_uv(uv_listen((uv_stream_t *)&listener, 128, arrived));
        announce("ready");
    } else {
        count = argc > 3 ? atol(argv[3]) : 1;
        took = calloc((size_t)count, sizeof *took);
        must(took != NULL, "memory");
        uv_pipe_connect(&req, &conn_new()->pipe, argv[2], connected);
    }
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
