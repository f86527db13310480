/* lines SOCKET echo|count: answers each line with itself, or all of them with their number at the end. */
#include "common.h"

enum { ROOM = 262144 };

struct conn {
    uv_pipe_t pipe;
    struct inbox in;
    unsigned long long lines, bytes;
};

static int echo;

static void room(uv_handle_t *h, size_t hint, uv_buf_t *b) {
    (void)hint;
    *b = inbox_tail(&((struct conn *)h)->in);
}

static void conn_free(uv_handle_t *h) {
    free(((struct conn *)h)->in.at);
    free(h);
}

static void end(uv_stream_t *s) {
    uv_close((uv_handle_t *)s, conn_free);
}

static void got(uv_stream_t *s, ssize_t n, const uv_buf_t *b);

static void resume(uv_stream_t *s) {
    must_uv(uv_read_start(s, room, got));
}

static void say_number(uv_stream_t *s) {
    struct conn *c = (struct conn *)s;
    char text[128];
    int len = snprintf(text, sizeof text, "%llu lines, %llu bytes\n", c->lines, c->bytes);
    if (put(s, text, (size_t)len, end)) end(s);
}

static void got(uv_stream_t *s, ssize_t n, const uv_buf_t *b) {
    struct conn *c = (struct conn *)s;
    unsigned char *at = c->in.at, *stop, *newline;

    (void)b;
    if (n < 0 && n != UV_EOF) end(s);
    else if (n < 0) echo ? end(s) : say_number(s);
    if (n <= 0) return;
    c->in.len += (size_t)n;
    stop = at + c->in.len;
    while ((newline = memchr(at, '\n', (size_t)(stop - at))) != NULL) {
        c->lines++;
        c->bytes += (unsigned long long)(newline - at);
        at = newline + 1;
    }
    if (echo && at > c->in.at && !put(s, c->in.at, (size_t)(at - c->in.at), resume)) uv_read_stop(s);
    inbox_drop(&c->in, (size_t)(at - c->in.at));
}

static void arrived(uv_stream_t *listener, int status) {
    struct conn *c = calloc(1, sizeof *c);
    must_uv(status);
    must(c != NULL, "memory");
    inbox_init(&c->in, ROOM);
    must_uv(uv_pipe_init(uv_default_loop(), &c->pipe, 0));
    must_uv(uv_accept(listener, (uv_stream_t *)&c->pipe));
    resume((uv_stream_t *)&c->pipe);
}

int main(int argc, char **argv) {
    uv_pipe_t listener;
    must(argc > 2, "SOCKET echo or SOCKET count");
    echo = strcmp(argv[2], "echo") == 0;
    must_uv(uv_pipe_init(uv_default_loop(), &listener, 0));
    must_uv(uv_pipe_bind(&listener, argv[1]));
    must_uv(uv_listen((uv_stream_t *)&listener, 128, arrived));
    announce("ready");
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
