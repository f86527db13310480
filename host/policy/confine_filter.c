/* Writes the filter of system calls: the table of confine_calls.c as a tree of comparisons.
 * Knows: confine_calls.h, linux/filter.h, linux/seccomp.h. Never: which call is bad.
 *
 * The kernel walks a new filter once for each of some 450 numbers, to learn which it need not ask about again: that, and compiling
 * it, is what a filter costs a spawn. So each comparison halves the *numbers* that are left, not the ranges; a single number
 * between its likes takes one comparison instead of two; and what many leaves share (the answers, the checks of arguments) is
 * written once. It is written from its end to its beginning: every jump goes forward, to what is there already. See seccomp(2). */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "policy/confine.h"
#include "policy/confine_calls.h"

#define NUMBERS (MW_CALL_LAST + 1)
#define X32 0x40000000u       /* the bit of x86-64's calls with 32-bit pointers */
#define FAR 250               /* instructions that a comparison jumps over at most, save some slack */
#define GOALS (MW_CALL_CHECK + MW_CALL_CHECKS)

struct range {
    uint32_t from;
    int weight;               /* how many numbers */
    uint8_t verdict;
};

struct writer {
    struct sock_filter *out;
    int at;                   /* what is written begins there */
    int full;
    unsigned flags;
    int16_t place[GOALS];     /* where a verdict's code begins; -1: nowhere yet */
    struct range ranges[NUMBERS + 2];
    int count;
};

static void put(struct writer *w, unsigned code, uint32_t k, int yes, int no) {
    struct sock_filter *at;

    if (w->at == 0) {
        w->full = 1;
        return;
    }
    at = &w->out[--w->at];
    at->code = (uint16_t)code;
    at->k = k;
    at->jt = (uint8_t)(yes < 0 ? 0 : yes - w->at - 1);
    at->jf = (uint8_t)(no < 0 ? 0 : no - w->at - 1);
}

/* A place from which a comparison written next reaches `target`. */
static int near(struct writer *w, int target) {
    if (target - w->at <= FAR) return target;
    put(w, BPF_JMP | BPF_JA, (uint32_t)(target - w->at), -1, -1);
    return w->at;
}

static void compare(struct writer *w, unsigned op, uint32_t k, int yes, int no) {
    yes = near(w, yes);
    no = near(w, no);
    put(w, BPF_JMP | op | BPF_K, k, yes, no);
}

static uint32_t answer(int verdict) {
    switch (verdict) {
    case MW_CALL_ALLOW: return SECCOMP_RET_ALLOW;
    case MW_CALL_EPERM: return SECCOMP_RET_ERRNO | EPERM;
    case MW_CALL_EACCES: return SECCOMP_RET_ERRNO | EACCES;
    case MW_CALL_ENOSYS: return SECCOMP_RET_ERRNO | ENOSYS;
    case MW_CALL_EOPNOTSUPP: return SECCOMP_RET_ERRNO | EOPNOTSUPP;
    default: return SECCOMP_RET_KILL_PROCESS;
    }
}

static int holds(unsigned flags, unsigned unless, unsigned when) {
    return (flags & unless) == 0 && (when == 0 || (flags & when) != 0);
}

static int goal(struct writer *w, int verdict);

static unsigned op_code(int op) {
    return op == MW_OP_EQ ? BPF_JEQ : op == MW_OP_ANY ? BPF_JSET : BPF_JGE;
}

/* The low word of an argument: both architectures are little-endian, and the kernel looks at no more of an int. */
static int check(struct writer *w, const struct mw_call_args *c) {
    const struct mw_call_test *t;
    int next, i, n = 0, otherwise = c->otherwise, used[MW_CALL_TESTS];

    for (i = 0; i < MW_CALL_TESTS && c->tests[i].op != MW_OP_END; i++) {
        t = &c->tests[i];
        if (!holds(w->flags, t->unless, t->when)) continue;
        if (t->op == MW_OP_FROM && t->value == 0) {      /* everything */
            otherwise = t->verdict;
            break;
        }
        used[n++] = i;
    }
    next = goal(w, otherwise);
    if (n == 0) return next;
    while (n > 0) {
        t = &c->tests[used[--n]];
        compare(w, op_code(t->op), t->value, goal(w, t->verdict), next);
        next = w->at;
    }
    if (c->mask != 0) put(w, BPF_ALU | BPF_AND | BPF_K, c->mask, -1, -1);
    put(w, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offsetof(struct seccomp_data, args) + 8u * c->arg), -1, -1);
    return w->at;
}

/* Where the code of a verdict begins; written first if it is not there, or too far away for one jump. */
static int goal(struct writer *w, int verdict) {
    int there = w->place[verdict];

    if (there >= 0 && (verdict >= MW_CALL_CHECK || there - w->at <= FAR)) return there;
    if (verdict >= MW_CALL_CHECK) {
        there = check(w, &mw_call_checks[verdict - MW_CALL_CHECK]);
    } else {
        put(w, BPF_RET | BPF_K, answer(verdict), -1, -1);
        there = w->at;
    }
    w->place[verdict] = (int16_t)there;
    return there;
}

/* ---- Ranges ------------------------------------------------------------------------------------------------------------- */

static void add_range(struct writer *w, uint32_t from, int weight, int verdict) {
    struct range *last = w->count > 0 ? &w->ranges[w->count - 1] : NULL;

    if (last != NULL && last->verdict == verdict) {
        last->weight += weight;
        return;
    }
    w->ranges[w->count].from = from;
    w->ranges[w->count].weight = weight;
    w->ranges[w->count++].verdict = (uint8_t)verdict;
}

static void make_ranges(struct writer *w, enum mw_call_arch arch) {
    uint8_t verdicts[NUMBERS] = { 0 };        /* MW_CALL_ALLOW */
    int i, n;

    for (i = 0; i < 2; i++) {
        for (n = mw_call_gaps[arch][i][0]; n <= mw_call_gaps[arch][i][1]; n++) verdicts[n] = MW_CALL_ENOSYS;
    }
    for (i = 0; i < mw_call_count; i++) {
        n = mw_calls[i].number[arch];
        if (n >= 0 && holds(w->flags, mw_calls[i].unless, mw_calls[i].when)) verdicts[n] = mw_calls[i].verdict;
    }
    for (n = 0; n < NUMBERS; n++) add_range(w, (uint32_t)n, 1, verdicts[n]);
    add_range(w, NUMBERS, 1, MW_CALL_ENOSYS);
    if (arch == MW_CALL_X86_64) add_range(w, X32, 1, MW_CALL_KILL);
}

/* 1: range i is a single number between two of one verdict. */
static int bead(const struct writer *w, int first, int last, int i) {
    return i > first && i < last && w->ranges[i].weight == 1 && w->ranges[i - 1].verdict == w->ranges[i + 1].verdict;
}

/* The range whose beginning halves the numbers of first..last best, beside no bead if that can be. */
static int middle(const struct writer *w, int first, int last) {
    int all = 0, left = 0, least = INT_MAX, best = first + 1, i;

    for (i = first; i <= last; i++) all += w->ranges[i].weight;
    for (i = first + 1; i <= last; i++) {
        int over;
        left += w->ranges[i - 1].weight;
        over = abs(2 * left - all) + (bead(w, first, last, i - 1) || bead(w, first, last, i) ? all : 0);
        if (over >= least) continue;
        least = over;
        best = i;
    }
    return best;
}

/* Beads of one verdict's string, up to two: asked for one after the other, that takes half the comparisons. */
static int beads(const struct writer *w, int first, int last) {
    int i;

    if (last - first != 2 && last - first != 4) return 0;
    for (i = first + 1; i < last; i += 2) {
        if (!bead(w, first, last, i)) return 0;
    }
    return 1;
}

/* The tree over the ranges first..last; where it begins. */
static int tree(struct writer *w, int first, int last) {
    const struct range *r = w->ranges;
    int i, cut, yes, no;

    if (first == last) return goal(w, r[first].verdict);
    if (beads(w, first, last)) {
        for (no = goal(w, r[first].verdict), i = last - 1; i > first; i -= 2, no = w->at) {
            yes = goal(w, r[i].verdict);
            compare(w, BPF_JEQ, r[i].from, yes, no);
        }
        return w->at;
    }
    cut = middle(w, first, last);
    yes = tree(w, cut, last);
    no = tree(w, first, cut - 1);
    compare(w, BPF_JGE, r[cut].from, yes, no);
    return w->at;
}

/* ---- The whole ---------------------------------------------------------------------------------------------------------- */

int mw_filter_write_for(enum mw_call_arch arch, unsigned flags, struct sock_filter *out) {
    struct writer w = { .out = out, .at = MW_FILTER_MAX, .flags = flags };
    int begin, i, length;

    for (i = 0; i < GOALS; i++) w.place[i] = -1;
    make_ranges(&w, arch);
    tree(&w, 0, w.count - 1);
    put(&w, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), -1, -1);
    begin = w.at;
    compare(&w, BPF_JEQ, arch == MW_CALL_X86_64 ? AUDIT_ARCH_X86_64 : AUDIT_ARCH_AARCH64, begin, goal(&w, MW_CALL_KILL));
    put(&w, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), -1, -1);
    if (w.full) return -E2BIG;
    length = MW_FILTER_MAX - w.at;
    memmove(out, out + w.at, (size_t)length * sizeof *out);
    return length;
}

int mw_filter_write(unsigned flags, struct sock_filter *out) {
#if defined(__x86_64__) && !defined(__ILP32__)
    return mw_filter_write_for(MW_CALL_X86_64, flags, out);
#elif defined(__aarch64__) && defined(__AARCH64EL__)
    return mw_filter_write_for(MW_CALL_ARM64, flags, out);
#else
    (void)flags;
    (void)out;
    return -EOPNOTSUPP;
#endif
}
