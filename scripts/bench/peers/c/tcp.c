/* tcp: echoes frames on a port that it prints; kind 255 is answered with its own account. One read buffer serves all connections,
 * a connection keeps only what has not yet become a frame. */
#include "common.h"

enum { ROOM = 262144 };

struct conn {
    uv_tcp_t tcp;
    unsigned char *kept;
    size_t len;
};

static unsigned char in[ROOM];
static uint64_t frames, sum;

static void room(uv_handle_t *h, size_t hint, uv_buf_t *b) {
    struct conn *c = (struct conn *)h;
    (void)hint;
    must(c->len < ROOM, "a frame too long");
    if (c->len > 0) memcpy(in, c->kept, c->len);
    *b = uv_buf_init((char *)in + c->len, (unsigned)(ROOM - c->len));
}

static void keep(struct conn *c, const unsigned char *at, size_t len) {
    if (c->len > 0) free(c->kept);
    c->kept = NULL;
    c->len = len;
    if (len == 0) return;
    c->kept = malloc(len);
    must(c->kept != NULL, "memory");
    memcpy(c->kept, at, len);
}

static void conn_free(uv_handle_t *h) {
    keep((struct conn *)h, NULL, 0);
    free(h);
}

static void account(uv_stream_t *s) {
    unsigned char answer[HEAD + 16];
    put_head(answer, 255, 16);
    memcpy(answer + HEAD, &frames, 8);
    memcpy(answer + HEAD + 8, &sum, 8);
    put(s, answer, sizeof answer, NULL);
}

static void got(uv_stream_t *s, ssize_t n, const uv_buf_t *b) {
    struct conn *c = (struct conn *)s;
    size_t len, echoed = 0, used = 0;

    (void)b;
    if (n < 0) uv_close((uv_handle_t *)s, conn_free);
    if (n <= 0) return;
    len = c->len + (size_t)n;
    while (len - used >= HEAD) {
        const unsigned char *frame = in + used;
        size_t whole = HEAD + length_of(frame);
        if (used + whole > len) break;
        used += whole;
        if (frame[0] == 255) {
            if (frame > in + echoed) put(s, in + echoed, (size_t)(frame - in) - echoed, NULL);
            account(s);
            echoed = used;
        } else {
            frames++;
            sum += frame[0] + (uint64_t)frame[HEAD];
        }
    }
    if (used > echoed) put(s, in + echoed, used - echoed, NULL);
    keep(c, in + used, len - used);
}

static void arrived(uv_stream_t *listener, int status) {
    struct conn *c = calloc(1, sizeof *c);
    must_uv(status);
    must(c != NULL, "memory");
    must_uv(uv_tcp_init(uv_default_loop(), &c->tcp));
    must_uv(uv_accept(listener, (uv_stream_t *)&c->tcp));
    must_uv(uv_tcp_nodelay(&c->tcp, 1));
    must_uv(uv_read_start((uv_stream_t *)&c->tcp, room, got));
}

int main(void) {
    uv_tcp_t listener;
    struct sockaddr_in at;
    struct sockaddr_storage name;
    int len = sizeof name;
    char text[32];

    must_uv(uv_ip4_addr("127.0.0.1", 0, &at));
    must_uv(uv_tcp_init(uv_default_loop(), &listener));
    must_uv(uv_tcp_bind(&listener, (struct sockaddr *)&at, 0));
    must_uv(uv_listen((uv_stream_t *)&listener, 4096, arrived));
    must_uv(uv_tcp_getsockname(&listener, (struct sockaddr *)&name, &len));
    snprintf(text, sizeof text, "ready %d", ntohs(((struct sockaddr_in *)&name)->sin_port));
    announce(text);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
