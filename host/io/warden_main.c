/* The warden's program: holds groups that it was told of; when its pipe ends, the host is gone: TERM, a grace, KILL.
 * Knows: the pipe on descriptor 0, raw system calls (x86-64, aarch64). Never: libc, memory beyond its table, any other file.
 * Built free-standing and carried inside the library as bytes (host/CMakeLists.txt), started from a memfd (io/warden.c). */
#include <stddef.h>
#include <stdint.h>

#define MW_WARDEN_FREESTANDING 1
#include "io/warden.h"

enum { TERM = 15, KILL = 9, CONT = 18 };
enum { ESRCH_ = 3, EINTR_ = 4 };

#if defined(__x86_64__)
enum { SYS_READ = 0, SYS_KILL = 62, SYS_EXIT = 231, SYS_MASK = 14, SYS_PPOLL = 271, SYS_CHDIR = 80 };

static long call(long n, long a, long b, long c, long d, long e) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    long rc;

    __asm__ volatile("syscall" : "=a"(rc) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    return rc;
}
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tand $-16, %rsp\n\tcall warden\n\thlt\n");
#elif defined(__aarch64__)
enum { SYS_READ = 63, SYS_KILL = 129, SYS_EXIT = 94, SYS_MASK = 135, SYS_PPOLL = 73, SYS_CHDIR = 49 };

static long call(long n, long a, long b, long c, long d, long e) {
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;

    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
}
__asm__(".globl _start\n_start:\n\tmov x29, xzr\n\tbl warden\n\tbrk 0\n");
#else
#error "the warden knows x86-64 and aarch64; build with MW_SPAWN=uv elsewhere"
#endif

void warden(void);

static struct { int32_t group, leader; } held[MW_WARDEN_GROUPS];   /* leader: 1 while it is known to hold the number */
static int count, orphans;

static int alive(int32_t group) {
    return call(SYS_KILL, -(long)group, 0, 0, 0, 0) != -ESRCH_;
}

static void forget(int i) {
    if (!held[i].leader) orphans--;
    held[i] = held[--count];
}

/* Groups without a leader whose last member has gone: their number may become a stranger's. */
static void sweep(void) {
    int i;

    for (i = count - 1; i >= 0; i--) {
        if (!held[i].leader && !alive(held[i].group)) forget(i);
    }
}

static void learn(const struct mw_warden_word *word) {
    int i;

    if (word->op == MW_WARDEN_LEAVE) call(SYS_EXIT, 0, 0, 0, 0, 0);
    if (word->group <= 1) return;
    for (i = 0; i < count && held[i].group != word->group; i++) { }
    if (word->op == MW_WARDEN_ADD) {
        if (i == count && count < MW_WARDEN_GROUPS) {
            held[count].group = word->group;
            held[count++].leader = 1;
        } else if (i < count && !held[i].leader) {
            held[i].leader = 1;
            orphans--;
        }
    } else if (word->op == MW_WARDEN_LEFT && i < count) {
        if (held[i].leader) orphans++;
        held[i].leader = 0;
        if (!alive(held[i].group)) forget(i);
    }
}

static void rest(long ms) {
    struct { long s, ns; } t = { ms / 1000, ms % 1000 * 1000000 };

    call(SYS_PPOLL, 0, 0, (long)&t, 0, 8);
}

static void signal_all(int sig) {
    int i;

    for (i = 0; i < count; i++) {
        call(SYS_KILL, -(long)held[i].group, sig, 0, 0, 0);
        if (sig == TERM) call(SYS_KILL, -(long)held[i].group, CONT, 0, 0, 0);
    }
}

/* The host is gone. */
static void end_all(void) {
    int i, waited;

    sweep();
    signal_all(TERM);
    for (waited = 0; waited < MW_WARDEN_GRACE_MS && count > 0; waited += 20) {
        rest(20);
        for (i = count - 1; i >= 0; i--) {
            if (!alive(held[i].group)) forget(i);
        }
    }
    signal_all(KILL);
}

/* 1: something can be read (or the end); 0: the time has passed. */
static int ready(void) {
    struct { int32_t fd; int16_t events, revents; } p = { 0, 1, 0 };
    struct { long s, ns; } t = { MW_WARDEN_SWEEP_MS / 1000, MW_WARDEN_SWEEP_MS % 1000 * 1000000 };

    return call(SYS_PPOLL, (long)&p, 1, orphans > 0 ? (long)&t : 0, 0, 8) != 0;
}

void warden(void) {
    static struct mw_warden_word words[128];
    uint64_t all = ~0ull;
    long n, i;

    call(SYS_MASK, 2, (long)&all, 0, 8, 0);       /* only KILL ends it, or its pipe's end */
    call(SYS_CHDIR, (long)"/", 0, 0, 0, 0);       /* holds no directory */
    for (;;) {
        if (!ready()) {
            sweep();
            continue;
        }
        n = call(SYS_READ, 0, (long)words, sizeof words, 0, 0);
        if (n == -EINTR_) continue;
        if (n <= 0) break;
        for (i = 0; i < n / (long)sizeof words[0]; i++) learn(&words[i]);
    }
    end_all();
    call(SYS_EXIT, 0, 0, 0, 0, 0);
}
