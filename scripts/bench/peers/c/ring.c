/* ring COUNT: so many records of 64 bytes, one way through shared memory to another process. Both ends spin. */
#define _GNU_SOURCE
#include "common.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLOTS = 8192, STRIDE = 72, DATA = 4096, SIZE = 64, BATCH = 64 };

struct words {
    _Alignas(64) _Atomic uint32_t head;
    _Alignas(64) _Atomic uint32_t tail;
    _Alignas(64) _Atomic uint32_t done;
    uint64_t sum;
};

static void take(struct words *w, const unsigned char *data, uint32_t count) {
    uint32_t tail = 0;
    uint64_t sum = 0;

    while (tail < count) {
        uint32_t head = atomic_load_explicit(&w->head, memory_order_acquire), len;
        for (; tail != head; tail++) {
            const unsigned char *at = data + (tail & (SLOTS - 1)) * STRIDE;
            memcpy(&len, at, 4);
            must(len == SIZE, "a record of another size");
            sum += at[4];
        }
        atomic_store_explicit(&w->tail, tail, memory_order_release);
    }
    w->sum = sum;
    atomic_store_explicit(&w->done, 1, memory_order_release);
}

static void give(struct words *w, unsigned char *data, uint32_t count) {
    unsigned char record[SIZE];
    uint32_t head = 0, tail = 0, len = SIZE;
    uint64_t want = 0;

    memset(record, 7, SIZE);
    while (head < count) {
        uint32_t end = count - head < BATCH ? count : head + BATCH;
        while (head - tail > SLOTS - BATCH) tail = atomic_load_explicit(&w->tail, memory_order_acquire);
        for (; head < end; head++) {
            unsigned char *at = data + (head & (SLOTS - 1)) * STRIDE;
            memcpy(at, &len, 4);
            memcpy(at + 4, record, SIZE);
            at[4] = (unsigned char)head;
            want += head & 255;
        }
        atomic_store_explicit(&w->head, head, memory_order_release);
    }
    while (!atomic_load_explicit(&w->done, memory_order_acquire)) {}
    must(w->sum == want, "other records arrived");
}

int main(int argc, char **argv) {
    uint32_t count = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1;
    unsigned char *at = mmap(NULL, DATA + SLOTS * STRIDE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct words *w = (struct words *)at;
    uint64_t since;
    int status = 0;
    pid_t pid;

    must(at != MAP_FAILED, "memory");
    pid = fork();
    must(pid >= 0, "no process");
    if (pid == 0) {
        take(w, at + DATA, count);
        _exit(0);
    }
    since = uv_hrtime();
    give(w, at + DATA, count);
    since = uv_hrtime() - since;
    must(waitpid(pid, &status, 0) == pid && status == 0, "the other process failed");
    printf("result count=%u seconds=%.6f\n", count, (double)since / 1e9);
    return 0;
}
