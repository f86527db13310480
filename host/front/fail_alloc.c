/* A debug build's broken memory: MOONWIRE_FAIL_ALLOC=n fails the n-th allocation after main's begin, `n+` that and all later,
 * `n-m` those from n to m (Lua tries again after a failure, so a single one is hidden from it); 0 counts them and says how many.
 * ld's --wrap sends here every call of the objects in the program: ours, Lua's, libuv's; so it works beside sanitizers too.
 * Knows: the environment, ld's --wrap.
 * Never: part of a release build or of the library. */
#include "front/fail_alloc.h"

#ifdef MW_DEBUG

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WRAPPED(type, name, ...) type __real_##name(__VA_ARGS__); type __wrap_##name(__VA_ARGS__)

WRAPPED(void *, malloc, size_t size);
WRAPPED(void *, calloc, size_t count, size_t size);
WRAPPED(void *, realloc, void *old, size_t size);
WRAPPED(void *, reallocarray, void *old, size_t count, size_t size);
WRAPPED(void *, aligned_alloc, size_t align, size_t size);
WRAPPED(int, posix_memalign, void **out, size_t align, size_t size);
WRAPPED(char *, strdup, const char *text);
WRAPPED(char *, strndup, const char *text, size_t max);

/* Debug only: the counter has no other place to live. */
static struct {
    atomic_ulong count, from, to;
    atomic_int on;
} fail;

static void tell_count(void) {
    char line[64];
    int n = snprintf(line, sizeof line, "%lu allocations\n", atomic_load(&fail.count));

    if (write(STDERR_FILENO, line, (size_t)n) < 0) return;
}

void mw_fail_alloc_start(void) {
    const char *text = getenv("MOONWIRE_FAIL_ALLOC");
    char *end = NULL;
    unsigned long from, to;

    if (text == NULL || *text < '0' || *text > '9') return;
    from = to = strtoul(text, &end, 10);
    if (*end == '+') to = ULONG_MAX;
    if (*end == '-') to = strtoul(end + 1, NULL, 10);
    if (from == 0) atexit(tell_count);
    if (from == 0) to = 0;
    atomic_store(&fail.from, from);
    atomic_store(&fail.to, to);
    atomic_store(&fail.on, 1);
}

static int fails(void) {
    unsigned long now;

    if (!atomic_load(&fail.on)) return 0;
    now = atomic_fetch_add(&fail.count, 1) + 1;
    if (now < atomic_load(&fail.from) || now > atomic_load(&fail.to)) return 0;
    errno = ENOMEM;
    return 1;
}

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : __real_calloc(count, size); }
/* A block that becomes smaller never fails, as with malloc itself; we cannot know, so only a free (size 0) is let through. */
void *__wrap_realloc(void *old, size_t size) { return size != 0 && fails() ? NULL : __real_realloc(old, size); }
void *__wrap_reallocarray(void *old, size_t count, size_t size) { return fails() ? NULL : __real_reallocarray(old, count, size); }
void *__wrap_aligned_alloc(size_t align, size_t size) { return fails() ? NULL : __real_aligned_alloc(align, size); }
int __wrap_posix_memalign(void **out, size_t align, size_t size) { return fails() ? ENOMEM : __real_posix_memalign(out, align, size); }
char *__wrap_strdup(const char *text) { return fails() ? NULL : __real_strdup(text); }
char *__wrap_strndup(const char *text, size_t max) { return fails() ? NULL : __real_strndup(text, max); }

#endif
