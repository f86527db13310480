/* The system calls that a confined child does not get, one table for both architectures, and the checks of arguments.
 * Knows: numbers. Never: instructions (confine_filter.c makes them). */
#ifndef MW_POLICY_CONFINE_CALLS_H
#define MW_POLICY_CONFINE_CALLS_H

#include <stdint.h>

struct sock_filter;

enum mw_call_arch { MW_CALL_X86_64, MW_CALL_ARM64, MW_CALL_ARCHES };

/* What becomes of a call, or of one that a test fits: it goes to the kernel, it fails with this error, or one more check decides. */
enum mw_call_verdict {
    MW_CALL_ALLOW,
    MW_CALL_EPERM,
    MW_CALL_EACCES,
    MW_CALL_ENOSYS,           /* libraries then do it the older way */
    MW_CALL_EOPNOTSUPP,
    MW_CALL_KILL,             /* the process ends: no honest program does that */
    MW_CALL_VERDICTS,
    MW_CALL_CHECK = 16        /* + enum mw_call_check */
};

enum mw_call_check {
    MW_CHECK_IOCTL, MW_CHECK_CLONE, MW_CHECK_SOCKET, MW_CHECK_INET, MW_CHECK_TCP, MW_CHECK_UDP, MW_CHECK_NETLINK,
    MW_CHECK_PAIR, MW_CHECK_PAIR_TYPE, MW_CHECK_SOCKET_OPTION, MW_CHECK_TCP_OPTION, MW_CHECK_SENDTO,
    MW_CHECK_SENDMSG, MW_CHECK_PERSONALITY, MW_CHECK_SELF, MW_CHECK_WHO,
    MW_CHECK_WHO_USER, MW_CHECK_IO_WHO, MW_CHECK_IO_WHO_USER, MW_CHECK_OPEN, MW_CHECK_OPENAT, MW_CHECK_FCNTL, MW_CHECK_SETPGID,
    MW_CHECK_MODE_1, MW_CHECK_MODE_2, MW_CHECK_MODE_3, MW_CHECK_OPEN_NEW, MW_CHECK_OPENAT_NEW,
    MW_CALL_CHECKS
};

/* A row holds if `flags` has none of `unless` and, where `when` is not 0, one of `when` (enum mw_filter_flag). */
struct mw_call {
    int16_t number[MW_CALL_ARCHES];           /* -1: not there */
    uint8_t verdict;
    uint16_t unless, when;
};
extern const struct mw_call mw_calls[];       /* in any order, a call at most once for a set of flags */
extern const int mw_call_count;

/* Numbers that no kernel has given away between those that it has: from, to (inclusive); and the last that the table judged. */
extern const int16_t mw_call_gaps[MW_CALL_ARCHES][2][2];
#define MW_CALL_LAST 470      /* the same on both: listns, Linux 6.18 or 6.19 */

enum mw_call_op { MW_OP_END, MW_OP_EQ, MW_OP_ANY, MW_OP_FROM };     /* equal; any bit of; greater or equal (unsigned) */

struct mw_call_test {
    uint8_t op, verdict;
    uint16_t unless, when;
    uint32_t value;
};
/* Loads the low word of an argument (the kernel's own reading of an int), masks it, takes the first test that fits. */
#define MW_CALL_TESTS 16
struct mw_call_args {
    uint8_t arg, otherwise;
    uint32_t mask;            /* 0: none */
    struct mw_call_test tests[MW_CALL_TESTS]; /* up to MW_OP_END */
};
extern const struct mw_call_args mw_call_checks[MW_CALL_CHECKS];

/* mw_filter_write for a named architecture. */
int mw_filter_write_for(enum mw_call_arch arch, unsigned flags, struct sock_filter *out);

#endif
