/* Unit tests: one file is one program; each TEST is a sentence with underscores for spaces.
 * Knows: libc. Never: goes on waiting: a test that hangs is ended and named.
 *
 *     TEST(an_empty_queue_has_no_bytes) { CHECK(mw_bytes_len(&q) == 0); }
 *
 * CHECK goes on after a failure, REQUIRE ends the test. Arguments of the program: words, tests without any of them are left
 * out. Include it once, in the test's only source file: it brings main. */
#ifndef SPEC_SUPPORT_CHECK_H
#define SPEC_SUPPORT_CHECK_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct check_test {
    const char *name;
    void (*run)(void);
    struct check_test *next;
};

static struct check_test *check_first, **check_last = &check_first;
static struct check_test *check_now;
static int check_failures;          /* of the running test */
static jmp_buf check_end;

__attribute__((unused)) static void check_add(struct check_test *t) {
    *check_last = t;
    check_last = &t->next;
}

__attribute__((unused, format(printf, 3, 4))) static void check_fail(const char *file, int line, const char *fmt, ...) {
    va_list args;

    check_failures++;
    printf("# %s:%d: ", file, line);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

#define TEST(sentence)                                                                             \
    static void sentence(void);                                                                    \
    __attribute__((constructor)) static void check_add_##sentence(void) {                          \
        static struct check_test it = { #sentence, sentence, NULL };                               \
        check_add(&it);                                                                            \
    }                                                                                              \
    static void sentence(void)

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) check_fail(__FILE__, __LINE__, "%s", #cond);                                  \
    } while (0)

#define REQUIRE(cond)                                                                              \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            check_fail(__FILE__, __LINE__, "%s", #cond);                                           \
            longjmp(check_end, 1);                                                                 \
        }                                                                                          \
    } while (0)

/* Integers, with both values told. */
#define CHECK_INT(got, want)                                                                       \
    do {                                                                                           \
        long long check_got = (long long)(got), check_want = (long long)(want);                    \
        if (check_got != check_want)                                                               \
            check_fail(__FILE__, __LINE__, "%s is %lld, %s is %lld", #got, check_got, #want, check_want); \
    } while (0)

/* Strings; NULL equals nothing but NULL. */
#define CHECK_STR(got, want)                                                                       \
    do {                                                                                           \
        const char *check_got = (got), *check_want = (want);                                       \
        if ((check_got == NULL) != (check_want == NULL) ||                                         \
            (check_got != NULL && strcmp(check_got, check_want) != 0))                             \
            check_fail(__FILE__, __LINE__, "%s is \"%s\", expected \"%s\"", #got,                  \
                       check_got ? check_got : "(null)", check_want ? check_want : "(null)");      \
    } while (0)

static void check_hang(int sig) {
    static const char text[] = "not ok - still running after 600 s: ";

    (void)sig;
    if (write(1, text, sizeof text - 1) < 0 || write(1, check_now->name, strlen(check_now->name)) < 0 ||
        write(1, "\n", 1) < 0) _exit(2);
    _exit(1);
}

static int check_wanted(const char *name, int argc, char **argv) {
    int i;

    for (i = 1; i < argc; i++) {
        if (strstr(name, argv[i]) != NULL) return 1;
    }
    return argc < 2;
}

static int check_run(void) {
    check_failures = 0;
    alarm(600);
    if (setjmp(check_end) == 0) check_now->run();
    alarm(0);
    return check_failures == 0;
}

int main(int argc, char **argv) {
    int n = 0, failed = 0;
    const char *p;

    signal(SIGALRM, check_hang);
    for (check_now = check_first; check_now != NULL; check_now = check_now->next) {
        if (!check_wanted(check_now->name, argc, argv)) continue;
        n++;
        if (check_run()) {
            printf("ok %d - ", n);
        } else {
            failed++;
            printf("not ok %d - ", n);
        }
        for (p = check_now->name; *p != '\0'; p++) putchar(*p == '_' ? ' ' : *p);
        putchar('\n');
        fflush(stdout);
    }
    printf("%d passed, %d failed\n", n - failed, failed);
    return failed != 0 || n == 0;
}

#endif
