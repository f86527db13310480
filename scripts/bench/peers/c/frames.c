/* frames send SOCKET COUNT SIZE: so many frames of so many bytes of data.   frames take SOCKET COUNT SIZE: counts them, in place. */
#include "common.h"

enum { BATCH = 131072, AHEAD = 3 };

static long count;
static uint32_t size;
static uv_pipe_t listener, conn;

/* ---- Taking -------------------------------------------------------------------------------------------------------------- */

static struct inbox in;
static uint64_t since, frames, sum, bytes;

static void room(uv_handle_t *h, size_t hint, uv_buf_t *b) {
    (void)h, (void)hint;
    *b = inbox_tail(&in);
}

static void over(uv_stream_t *s) {
    double seconds = (double)(uv_hrtime() - since) / 1e9;
    uint64_t want = 0;
    for (long i = 0; i < count; i++) want += (uint64_t)(1 + i % 100 + (i & 255));
    must(frames == (uint64_t)count && bytes == (uint64_t)count * size && sum == want, "other frames came than were sent");
    printf("result count=%ld seconds=%.6f\n", count, seconds);
    uv_close((uv_handle_t *)s, NULL);
    uv_close((uv_handle_t *)&listener, NULL);
}

static void got(uv_stream_t *s, ssize_t n, const uv_buf_t *b) {
    size_t used = 0;
    (void)b;
    if (n < 0) {
        over(s);
        return;
    }
    if (since == 0) since = uv_hrtime();
    in.len += (size_t)n;
    while (in.len - used >= HEAD) {
        const unsigned char *frame = in.at + used;
        uint32_t len = length_of(frame);
        if (used + HEAD + len > in.len) break;
        frames++;
        bytes += len;
        sum += frame[0] + (uint64_t)frame[HEAD];
        used += HEAD + len;
    }
    inbox_drop(&in, used);
}

static void arrived(uv_stream_t *l, int status) {
    must_uv(status);
    must_uv(uv_pipe_init(uv_default_loop(), &conn, 0));
    must_uv(uv_accept(l, (uv_stream_t *)&conn));
    must_uv(uv_read_start((uv_stream_t *)&conn, room, got));
}

/* ---- Sending ----------------------------------------------------------------------------------------------------------------- */

static struct slot {
    uv_write_t req; /* first */
    unsigned char bytes[BATCH];
} slots[AHEAD];
static long made;
static int flying;
static unsigned char *data;

static void fill(struct slot *s);

static void written(uv_write_t *req, int status) {
    must_uv(status);
    flying--;
    fill((struct slot *)req);
}

static void fill(struct slot *s) {
    size_t len = 0;
    uv_buf_t b;

    for (; made < count && len + HEAD + size <= BATCH; made++, len += HEAD + size) {
        put_head(s->bytes + len, (unsigned)(1 + made % 100), size);
        memcpy(s->bytes + len + HEAD, data, size);
        s->bytes[len + HEAD] = (unsigned char)made;
    }
    b = uv_buf_init((char *)s->bytes, (unsigned)len);
    if (len > 0) flying++, uv_write(&s->req, (uv_stream_t *)&conn, &b, 1, written);
    else if (flying == 0) uv_close((uv_handle_t *)&conn, NULL);
}

static void connected(uv_connect_t *req, int status) {
    (void)req;
    must_uv(status);
    for (int i = 0; i < AHEAD && (i == 0 || made < count); i++) fill(&slots[i]);
}

int main(int argc, char **argv) {
    uv_connect_t req;

    must(argc > 4, "send or take SOCKET COUNT SIZE");
    count = atol(argv[3]);
    size = (uint32_t)atol(argv[4]);
    data = malloc(size);
    must(data != NULL && size > 0 && size + HEAD <= BATCH, "SIZE");
    memset(data, 'x', size);
    if (strcmp(argv[1], "take") == 0) {
        inbox_init(&in, 262144);
        must_uv(uv_pipe_init(uv_default_loop(), &listener, 0));
        must_uv(uv_pipe_bind(&listener, argv[2]));
        must_uv(uv_listen((uv_stream_t *)&listener, 1, arrived));
        announce("ready");
    } else {
        must_uv(uv_pipe_init(uv_default_loop(), &conn, 0));
        uv_pipe_connect(&req, &conn, argv[2], connected);
    }
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
