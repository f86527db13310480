/* The warden's program: holds groups that it was told of; when its pipe ends, the host is gone: TERM, a grace, KILL; then the host's
 * private directory goes.
 * Knows: the pipe on descriptor 0; where there is an argument, the private directory on 2, which has that name in the directory on 1; raw system
 * calls (x86-64, aarch64). Never: libc, memory beyond its table, any other file; follows a link.
 * Built free-standing and carried inside the library as bytes (host/CMakeLists.txt), started from a memfd (io/warden.c). */
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#define MW_WARDEN_FREESTANDING 1
#include "io/warden.h"

enum { TERM = 15, KILL = 9, CONT = 18 };
enum { ESRCH_ = 3, EINTR_ = 4 };

#if defined(__x86_64__)
static long call(long n, long a, long b, long c, long d, long e) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    long rc;

    __asm__ volatile("syscall" : "=a"(rc) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    return rc;
}
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall warden\n\thlt\n");
#elif defined(__aarch64__)
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
__asm__(".globl _start\n_start:\n\tmov x29, xzr\n\tmov x0, sp\n\tbl warden\n\tbrk 0\n");
#else
#error "the warden knows x86-64 and aarch64; build with MW_SPAWN=uv elsewhere"
#endif

void warden(const long *stack);

static struct { int32_t group, leader; } held[MW_WARDEN_GROUPS];   /* leader: 1 while it is known to hold the number */
static int count, orphans;

static int alive(int32_t group) {
    return call(SYS_kill, -(long)group, 0, 0, 0, 0) != -ESRCH_;
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

    if (word->op == MW_WARDEN_LEAVE) call(SYS_exit_group, 0, 0, 0, 0, 0);
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

    call(SYS_ppoll, 0, 0, (long)&t, 0, 8);
}

static void signal_all(int sig) {
    int i;

    for (i = 0; i < count; i++) {
        call(SYS_kill, -(long)held[i].group, sig, 0, 0, 0);
        if (sig == TERM) call(SYS_kill, -(long)held[i].group, CONT, 0, 0, 0);
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

/* ---- The private directory ---------------------------------------------------------------------------------------------- */

enum { BASE = 1, PRIVATE = 2 };                   /* descriptors */
enum { DEPTH_MAX = 32, ENTRIES_MAX = 1000000, ROUNDS_MAX = 64 };   /* as io/process_home.c, which does the same while the host lives */

struct entry {                                    /* struct linux_dirent64: getdents(2) */
    uint64_t ino;
    int64_t off;
    uint16_t size;
    uint8_t type;
    char name[];
};

static int entries, moved;                        /* what was taken away; what lay too deep */

/* "BEFORE" and a number, which no libc writes for us. */
static const char *numbered(char *out, const char *before, unsigned n) {
    char digits[12];
    int len = 0, at = 0;

    do digits[len++] = (char)('0' + n % 10); while ((n /= 10) > 0);
    for (; *before != '\0'; before++) out[at++] = *before;
    while (len > 0) out[at++] = digits[--len];
    out[at] = '\0';
    return out;
}

/* The directory `name`, open to be listed, whatever its mode. */
static int open_dir(int dir, const char *name) {
    long fd = call(SYS_openat, dir, (long)name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, 0), list;
    char self[32];

    if (fd < 0) return -1;
    call(SYS_fchmodat, AT_FDCWD, (long)numbered(self, "/proc/self/fd/", (unsigned)fd), 0700, 0, 0);
    list = call(SYS_openat, fd, (long)".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0);
    call(SYS_close, fd, 0, 0, 0, 0);
    return (int)list;
}

static void empty(int fd, int depth);

static void remove_dir(int dir, const char *name, int depth) {
    char aside[32];
    int fd = open_dir(dir, name);

    if (fd < 0) return;
    if (depth < DEPTH_MAX) empty(fd, depth + 1);
    else if (call(SYS_renameat, dir, (long)name, PRIVATE, (long)numbered(aside, ".aside-", (unsigned)moved), 0) == 0) moved++;
    call(SYS_close, fd, 0, 0, 0, 0);
    call(SYS_unlinkat, dir, (long)name, AT_REMOVEDIR, 0, 0);
}

static void empty(int fd, int depth) {
    _Alignas(struct entry) char page[4096];
    long n, at;

    while (entries < ENTRIES_MAX && (n = call(SYS_getdents64, fd, (long)page, sizeof page, 0, 0)) > 0) {
        for (at = 0; at < n; at += ((struct entry *)(page + at))->size) {
            const struct entry *e = (const struct entry *)(page + at);
            if (e->name[0] == '.' && (e->name[1] == '\0' || (e->name[1] == '.' && e->name[2] == '\0'))) continue;
            entries++;
            if (e->type != DT_DIR && call(SYS_unlinkat, fd, (long)e->name, 0, 0, 0) == 0) continue;
            remove_dir(fd, e->name, depth);
        }
    }
}

/* What somebody has put at its name meanwhile is not ours: it is not emptied. */
static void remove_private(const char *leaf) {
    int rounds, before, fd;

    for (rounds = 0; rounds < ROUNDS_MAX; rounds++) {
        before = entries;
        fd = open_dir(PRIVATE, ".");
        if (fd >= 0) empty(fd, 0);
        call(SYS_close, fd, 0, 0, 0, 0);
        if (call(SYS_unlinkat, BASE, (long)leaf, AT_REMOVEDIR, 0, 0) == 0 || entries == before) return;
    }
}

/* ---- Its life ----------------------------------------------------------------------------------------------------------- */

/* 1: something can be read (or the end); 0: the time has passed. */
static int ready(void) {
    struct { int32_t fd; int16_t events, revents; } p = { 0, 1, 0 };
    struct { long s, ns; } t = { MW_WARDEN_SWEEP_MS / 1000, MW_WARDEN_SWEEP_MS % 1000 * 1000000 };

    return call(SYS_ppoll, (long)&p, 1, orphans > 0 ? (long)&t : 0, 0, 8) != 0;
}

/* stack: as the kernel lays it out: the number of arguments, then the arguments. */
void warden(const long *stack) {
    const char *leaf = stack[0] > 1 ? (const char *)stack[2] : NULL;
    static struct mw_warden_word words[128];
    uint64_t all = ~0ull;
    long n, i;

    call(SYS_rt_sigprocmask, 2, (long)&all, 0, 8, 0);       /* only KILL ends it, or its pipe's end */
    call(SYS_chdir, (long)"/", 0, 0, 0, 0);       /* holds no directory */
    for (;;) {
        if (!ready()) {
            sweep();
            continue;
        }
        n = call(SYS_read, 0, (long)words, sizeof words, 0, 0);
        if (n == -EINTR_) continue;
        if (n <= 0) break;
        for (i = 0; i < n / (long)sizeof words[0]; i++) learn(&words[i]);
    }
    end_all();
    if (leaf != NULL) remove_private(leaf);
    call(SYS_exit_group, 0, 0, 0, 0, 0);
}
