/* pipe MIB: so much through `cat`, in blocks of 64 KiB, read back while it is written. */
#include "common.h"

enum { BLOCK = 65536, AHEAD = 8 };

static unsigned char block[BLOCK], in[4 * BLOCK];
static uv_pipe_t to, from;
static uv_write_t slots[AHEAD];
static uint64_t total, sent, heard;
static int flying;
static int64_t ended_with = -1;

static void written(uv_write_t *slot, int status);

static void feed(uv_write_t *slot) {
    uv_buf_t b = uv_buf_init((char *)block, BLOCK);
    if (sent < total) {
        sent += BLOCK;
        flying++;
        must_uv(uv_write(slot, (uv_stream_t *)&to, &b, 1, written));
    } else if (flying == 0) {
        uv_close((uv_handle_t *)&to, NULL);
    }
}

static void written(uv_write_t *slot, int status) {
    must_uv(status);
    flying--;
    feed(slot);
}

static void room(uv_handle_t *h, size_t hint, uv_buf_t *b) {
    (void)h, (void)hint;
    *b = uv_buf_init((char *)in, sizeof in);
}

static void got(uv_stream_t *s, ssize_t n, const uv_buf_t *b) {
    (void)b;
    if (n < 0) uv_close((uv_handle_t *)s, NULL);
    if (n <= 0) return;
    must(in[0] == block[heard % BLOCK] && in[n - 1] == block[(heard + (uint64_t)n - 1) % BLOCK], "other bytes came back");
    heard += (uint64_t)n;
}

static void ended(uv_process_t *p, int64_t code, int signal) {
    ended_with = signal != 0 ? -1 : code;
    uv_close((uv_handle_t *)p, NULL);
}

int main(int argc, char **argv) {
    char *args[] = { "cat", NULL };
    uv_stdio_container_t stdio[3] = { { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&to },
                                      { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&from },
                                      { .flags = UV_INHERIT_FD, .data.fd = 2 } };
    uv_process_options_t o = { .file = args[0], .args = args, .stdio = stdio, .stdio_count = 3, .exit_cb = ended };
    uv_process_t cat;
    uint64_t since;

    total = (uint64_t)(argc > 1 ? atol(argv[1]) : 1) << 20;
    for (int i = 0; i < BLOCK; i++) block[i] = (unsigned char)(i * 7 + i / 256);
    must_uv(uv_pipe_init(uv_default_loop(), &to, 0));
    must_uv(uv_pipe_init(uv_default_loop(), &from, 0));
    since = uv_hrtime();
    must_uv(uv_spawn(uv_default_loop(), &cat, &o));
    must_uv(uv_read_start((uv_stream_t *)&from, room, got));
    for (int i = 0; i < AHEAD; i++) feed(&slots[i]);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    must(ended_with == 0 && heard == total, "cat did not give back everything and end well");
    printf("result count=%llu seconds=%.6f\n", (unsigned long long)(total >> 20), (double)(uv_hrtime() - since) / 1e9);
    return 0;
}
