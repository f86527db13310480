/* spawn COUNT LANES HEAP_MIB: runs /bin/echo so often, so many at a time, and reads what each says. */
#include "common.h"

static const char WORD[] = "hello\n";

struct lane {
    uv_process_t process;
    uv_pipe_t out;
    char said[64];
    size_t len;
    int64_t code;
    int open; /* handles */
};

static long count, started, good;
static double *blocked; /* seconds in uv_spawn, each */

static void begin(struct lane *l);

static void closed(uv_handle_t *h) {
    struct lane *l = h->data;
    if (--l->open > 0) return;
    if (l->code == 0 && l->len == sizeof WORD - 1 && memcmp(l->said, WORD, l->len) == 0) good++;
    begin(l);
}

static void ended(uv_process_t *p, int64_t code, int signal) {
    struct lane *l = p->data;
    l->code = signal != 0 ? -1 : code;
    uv_close((uv_handle_t *)p, closed);
}

static void room(uv_handle_t *h, size_t hint, uv_buf_t *b) {
    struct lane *l = h->data;
    (void)hint;
    *b = uv_buf_init(l->said + l->len, (unsigned)(sizeof l->said - l->len));
}

static void heard(uv_stream_t *s, ssize_t n, const uv_buf_t *b) {
    struct lane *l = s->data;
    (void)b;
    if (n > 0) l->len += (size_t)n;
    if (n < 0) uv_close((uv_handle_t *)s, closed);
}

static void begin(struct lane *l) {
    char *args[] = { "/bin/echo", "hello", NULL };
    uv_stdio_container_t stdio[3] = { { .flags = UV_IGNORE }, { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE }, { .flags = UV_IGNORE } };
    uv_process_options_t o = { .file = args[0], .args = args, .stdio = stdio, .stdio_count = 3, .exit_cb = ended };
    uint64_t since;

    if (started == count) return;
    must_uv(uv_pipe_init(uv_default_loop(), &l->out, 0));
    stdio[1].data.stream = (uv_stream_t *)&l->out;
    l->process.data = l->out.data = l;
    l->len = 0;
    l->open = 2;
    since = uv_hrtime();
    must_uv(uv_spawn(uv_default_loop(), &l->process, &o));
    blocked[started++] = (double)(uv_hrtime() - since) / 1e9;
    must_uv(uv_read_start((uv_stream_t *)&l->out, room, heard));
}

int main(int argc, char **argv) {
    int lanes = argc > 2 ? atoi(argv[2]) : 1, mib = argc > 3 ? atoi(argv[3]) : 0;
    struct lane *all = calloc((size_t)lanes, sizeof *all);
    char **heap = calloc((size_t)mib + 1, sizeof *heap);
    uint64_t since;
    double took;

    count = argc > 1 ? atol(argv[1]) : 1;
    blocked = calloc((size_t)count, sizeof *blocked);
    must(all != NULL && heap != NULL && blocked != NULL, "memory");
    for (int i = 0; i < mib; i++) {
        heap[i] = malloc(1 << 20);
        must(heap[i] != NULL, "memory");
        memset(heap[i], 'x', 1 << 20);
    }
    since = uv_hrtime();
    for (int i = 0; i < lanes; i++) begin(&all[i]);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    took = (double)(uv_hrtime() - since) / 1e9;
    must(good == count, "a child did not say hello and end well");
    for (int i = 0; i < mib; i++) must(heap[i][i] == 'x', "the heap");
    qsort(blocked, (size_t)count, sizeof *blocked, by_size);
    printf("result count=%ld seconds=%.6f blocked=%.9f\n", count, took, blocked[count / 2]);
    return 0;
}
