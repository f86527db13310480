/* policy/confine_filter: the written program, walked as the kernel walks it, against a plain list of what is refused.
 * Knows: linux/filter.h, the system's own numbers of x86-64 and arm64. Never: the writer's table. */
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/btrfs.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <linux/msdos_fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "policy/confine.h"
#include "policy/confine_calls.h"

/* ---- Numbers, from the headers ------------------------------------------------------------------------------------------ */

/* Calls that both have; those of x86-64 alone; those younger than the oldest headers that we build with. */
#define BOTH(X) X(mount) X(umount2) X(pivot_root) X(chroot) X(move_mount) X(open_tree) X(fsopen) X(fsconfig) X(fsmount) X(fspick) \
    X(mount_setattr) X(setns) X(unshare) X(name_to_handle_at) X(open_by_handle_at) X(init_module) X(finit_module) X(delete_module) \
    X(kexec_load) X(kexec_file_load) X(bpf) X(perf_event_open) X(syslog) X(io_uring_setup) X(io_uring_enter) \
    X(io_uring_register) X(userfaultfd) X(add_key) X(request_key) X(keyctl) X(ptrace) X(process_vm_readv) X(process_vm_writev) \
    X(process_madvise) X(process_mrelease) X(kcmp) X(pidfd_getfd) X(reboot) X(swapon) X(swapoff) X(sethostname) X(setdomainname) \
    X(settimeofday) X(clock_settime) X(clock_adjtime) X(adjtimex) X(acct) X(quotactl) X(quotactl_fd) X(vhangup) X(nfsservctl) \
    X(shmget) X(shmat) X(shmctl) X(shmdt) X(semget) X(semop) X(semtimedop) X(semctl) X(msgget) X(msgsnd) X(msgrcv) X(msgctl) \
    X(mq_open) X(mq_unlink) X(mq_timedsend) X(mq_timedreceive) X(mq_notify) X(mq_getsetattr) X(fanotify_init) X(fanotify_mark) \
    X(inotify_add_watch) X(clone) X(clone3) X(prlimit64) X(sched_setparam) X(sched_setscheduler) X(sched_setattr) \
    X(sched_setaffinity) X(migrate_pages) X(move_pages) X(setpriority) X(ioprio_set) X(personality) X(socket) X(socketpair) \
    X(listen) X(bind) X(connect) X(sendto) X(sendmsg) X(sendmmsg) X(ioctl) X(fchmod) X(fchmodat) X(fchown) X(fchownat) X(utimensat) X(setxattr) \
    X(lsetxattr) X(fsetxattr) X(removexattr) X(lremovexattr) X(fremovexattr) X(getxattr) X(lgetxattr) X(listxattr) X(llistxattr) X(fgetxattr) X(flistxattr) \
    X(truncate) X(openat) X(openat2) X(kill) X(tkill) X(tgkill) X(rt_sigqueueinfo) X(rt_tgsigqueueinfo) X(pidfd_send_signal) \
    X(fcntl) X(setpgid) X(mknodat) X(setsockopt)
#define OLD(X) X(open) X(creat) X(mknod) X(chmod) X(chown) X(lchown) X(utime) X(utimes) X(futimesat) X(fork) X(vfork) X(create_module) \
    X(get_kernel_syms) X(query_module) X(iopl) X(ioperm) X(modify_ldt)
#define YOUNG(X) X(fchmodat2, 452) X(statmount, 457) X(listmount, 458) X(lsm_get_self_attr, 459) X(lsm_set_self_attr, 460) X(lsm_list_modules, 461) X(setxattrat, 463) \
    X(getxattrat, 464) X(listxattrat, 465) X(removexattrat, 466) X(open_tree_attr, 467) X(file_setattr, 469) X(listns, 470)

struct name {
    const char *name;
    int number[MW_CALL_ARCHES];
};
enum {
#define X(n, ...) N_##n,
    BOTH(X) OLD(X) YOUNG(X)
#undef X
    NAMES
};

#ifdef __x86_64__
#include <asm/unistd.h>
static const int on_x86_64[NAMES] = {
#define X(n) [N_##n] = __NR_##n,
    BOTH(X) OLD(X)
#undef X
};
#endif

/* asm-generic is arm64's; it gives the same names other numbers, as system headers may. */
#undef __NR_fcntl
#undef __NR_truncate
#include <asm-generic/unistd.h>
static const int on_arm64[NAMES] = {
#define X(n) [N_##n] = __NR_##n,
    BOTH(X)
#undef X
#define X(n) [N_##n] = -1,
    OLD(X)
#undef X
};

static const char *const names[NAMES] = {
#define X(n, ...) [N_##n] = #n,
    BOTH(X) OLD(X) YOUNG(X)
#undef X
};

static int number_of(int arch, int name) {
    switch (name) {
#define X(n, number) case N_##n: return number;
    YOUNG(X)
#undef X
    default: break;
    }
#ifdef __x86_64__
    if (arch == MW_CALL_X86_64) return on_x86_64[name];
#endif
    return on_arm64[name];
}

static const char *name_of(int arch, unsigned number) {
    int i;

    for (i = 0; i < NAMES; i++) {
        if (number_of(arch, i) == (int)number) return names[i];
    }
    return "";
}

/* ---- The oracle --------------------------------------------------------------------------------------------------------- */

#define FAILS(e) (SECCOMP_RET_ERRNO | (e))
#define PASSES SECCOMP_RET_ALLOW

static int among(const char *name, const char *list) {
    size_t len = strlen(name);
    const char *at = list;

    while (len > 0 && (at = strstr(at, name)) != NULL) {
        if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0')) return 1;
        at += len;
    }
    return 0;
}
#define IS(list) among(name, list)

static uint32_t want_socket(unsigned flags, const uint32_t *a) {
    unsigned type = a[1] & 15;

    if (a[0] == 1 && (flags & MW_FILTER_UNIX)) return PASSES;
    if (a[0] == 2 || a[0] == 10) {
        if (type == SOCK_STREAM && (flags & MW_FILTER_TCP) && (a[2] == 0 || a[2] == 6)) return PASSES;
        if (type == SOCK_DGRAM && (flags & MW_FILTER_UDP) && (a[2] == 0 || a[2] == 17)) return PASSES;
    }
    if (a[0] == 16 && a[2] == 0 && (flags & MW_FILTER_NETLINK)) return PASSES;
    return FAILS(EACCES);
}

static uint32_t want_ioctl(unsigned flags, uint32_t request) {
    static const uint32_t metadata[] = { FS_IOC_SETFLAGS, FS_IOC_SETVERSION, FS_IOC_FSSETXATTR, FS_IOC_ENABLE_VERITY,
                                         FS_IOC_SET_ENCRYPTION_POLICY, BTRFS_IOC_SUBVOL_SETFLAGS, FAT_IOCTL_SET_ATTRIBUTES };
    static const uint32_t volumes[] = { BTRFS_IOC_SNAP_CREATE, BTRFS_IOC_SUBVOL_CREATE, BTRFS_IOC_SNAP_DESTROY, BTRFS_IOC_SNAP_CREATE_V2,
                                        BTRFS_IOC_SUBVOL_CREATE_V2, BTRFS_IOC_SNAP_DESTROY_V2, BTRFS_IOC_DEFRAG, 0x50009400, 0x500094ff };
    size_t i;

    if (request == TIOCSTI || request == TIOCLINUX || request == TIOCSETD) return FAILS(EPERM);
    for (i = 0; i < sizeof metadata / sizeof metadata[0]; i++) {
        if (request == metadata[i] && !(flags & MW_FILTER_METADATA)) return FAILS(EPERM);
    }
    for (i = 0; i < sizeof volumes / sizeof volumes[0]; i++) {
        if (request == volumes[i]) return FAILS(EPERM);
    }
    if (request >= 0x890b && request <= 0x89ff && !(flags & MW_FILTER_NETLINK)) return FAILS(EPERM);
    if ((request == FIOSETOWN || request == SIOCSPGRP) && (flags & MW_FILTER_OLD_SIGNALS)) return FAILS(EPERM);
    return PASSES;
}

static uint32_t want_clone(unsigned flags, uint32_t how) {
    if (how & (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)) return FAILS(EPERM);
    if (how & CLONE_PARENT) return FAILS(EPERM);
    return (flags & MW_FILTER_ONE_PROCESS) && !(how & CLONE_THREAD) ? FAILS(EPERM) : PASSES;
}

static uint32_t want_arguments(unsigned flags, const char *name, const uint32_t *a) {
    if (IS("clone")) return want_clone(flags, a[0]);
    if (IS("socket")) return want_socket(flags, a);
    if (IS("socketpair")) {
        if (a[0] != 1) return FAILS(EACCES);
        return (flags & MW_FILTER_UNIX) || (a[1] & 15) == 1 || (a[1] & 15) == 5 ? PASSES : FAILS(EACCES);
    }
    if (IS("setsockopt")) return a[1] == IPPROTO_TCP && a[2] == TCP_ULP ? FAILS(EPERM) : PASSES;
    if (IS("sendto sendmmsg")) return a[3] & MSG_FASTOPEN ? FAILS(EOPNOTSUPP) : PASSES;
    if (IS("sendmsg")) return a[2] & MSG_FASTOPEN ? FAILS(EOPNOTSUPP) : PASSES;
    if (IS("ioctl")) return want_ioctl(flags, a[1]);
    if (IS("personality")) return a[0] == 0 || a[0] == 8 || a[0] == 0x20000 || a[0] == 0x20008 || a[0] == ~0u ? PASSES : FAILS(EPERM);
    if (IS("setpriority")) return a[1] == 0 && a[0] != 2 ? PASSES : FAILS(EPERM);
    if (IS("ioprio_set")) return a[1] == 0 && a[0] != 3 ? PASSES : FAILS(EPERM);
    if (IS("prlimit64 sched_setparam sched_setscheduler sched_setattr sched_setaffinity migrate_pages move_pages")) {
        return a[0] == 0 ? PASSES : FAILS(EPERM);
    }
    if (IS("fcntl")) return a[1] == F_SETLEASE ? FAILS(EPERM) : PASSES;
    return PASSES;
}

/* A file that others run with this user's rights: by changing its mode, or by making it so. */
static uint32_t want_mode(unsigned flags, const char *name, const uint32_t *a) {
    uint32_t mode = 0;

    if (!(flags & MW_FILTER_METADATA)) return PASSES;
    if (IS("openat2")) return FAILS(ENOSYS);
    if (IS("chmod fchmod creat mknod")) mode = a[1];
    if (IS("fchmodat fchmodat2 mknodat")) mode = a[2];
    if (IS("open") && (a[1] & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))) mode = a[2];
    if (IS("openat") && (a[2] & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)))) mode = a[3];
    return mode & 06000 ? FAILS(EPERM) : PASSES;
}

static uint32_t want_old(unsigned flags, const char *name, const uint32_t *a) {
    if (flags & MW_FILTER_OLD_TRUNCATE) {
        uint32_t how = IS("open") ? a[1] : a[2];
        if (IS("truncate")) return FAILS(EPERM);
        if (IS("openat2")) return FAILS(ENOSYS);
        if (IS("open openat") && (how & 01000) && (how & 3) != 1 && (how & 3) != 2) return FAILS(EPERM);
    }
    if (flags & MW_FILTER_OLD_SIGNALS) {
        if (IS("tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal")) return FAILS(EPERM);
        if (IS("kill") && a[0] != 0) return FAILS(EPERM);
        if (IS("setpgid") && a[1] != 0) return FAILS(EPERM);
        if (IS("fcntl") && (a[1] == 8 || a[1] == 15)) return FAILS(EPERM);
    }
    return PASSES;
}

static uint32_t want(int arch, unsigned flags, uint32_t number, const uint32_t *a) {
    const char *name = name_of(arch, number);

    if (arch == MW_CALL_X86_64 && number >= 0x40000000) return SECCOMP_RET_KILL_PROCESS;
    if (number > 470 || (arch == MW_CALL_X86_64 && number >= 337 && number <= 423)) return FAILS(ENOSYS);
    if (arch == MW_CALL_ARM64 && ((number >= 244 && number <= 259) || (number >= 295 && number <= 423))) return FAILS(ENOSYS);
    if (IS("io_uring_setup io_uring_enter io_uring_register clone3")) return FAILS(ENOSYS);
    if (IS("mount umount2 pivot_root chroot move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick mount_setattr setns unshare "
           "statmount listmount listns name_to_handle_at open_by_handle_at init_module finit_module delete_module create_module "
           "get_kernel_syms query_module kexec_load kexec_file_load bpf perf_event_open syslog userfaultfd add_key "
           "request_key keyctl ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp pidfd_getfd reboot "
           "swapon swapoff sethostname setdomainname settimeofday clock_settime clock_adjtime adjtimex acct quotactl quotactl_fd iopl "
           "ioperm modify_ldt vhangup nfsservctl lsm_get_self_attr lsm_set_self_attr lsm_list_modules shmget shmat shmctl shmdt semget semop semtimedop semctl "
           "msgget msgsnd msgrcv msgctl mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr fanotify_init "
           "fanotify_mark")) return FAILS(EPERM);
    if (IS("inotify_add_watch")) return flags & MW_FILTER_WATCH ? PASSES : FAILS(EACCES);
    if (IS("listen")) return flags & MW_FILTER_LISTEN ? PASSES : FAILS(EACCES);
    if (IS("bind connect")) return flags & (MW_FILTER_TCP | MW_FILTER_UDP | MW_FILTER_UNIX | MW_FILTER_NETLINK) ? PASSES : FAILS(EACCES);
    if (IS("fork vfork")) return flags & MW_FILTER_ONE_PROCESS ? FAILS(EPERM) : PASSES;
    if (!(flags & MW_FILTER_METADATA)) {
        if (IS("chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat setxattr lsetxattr fsetxattr "
               "setxattrat removexattr lremovexattr fremovexattr removexattrat getxattrat listxattrat file_setattr")) return FAILS(EPERM);
        if (IS("getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr")) return FAILS(EOPNOTSUPP);
    }
    if (want_mode(flags, name, a) != PASSES) return want_mode(flags, name, a);
    return want_old(flags, name, a) != PASSES ? want_old(flags, name, a) : want_arguments(flags, name, a);
}

/* ---- The walk ----------------------------------------------------------------------------------------------------------- */

struct program {
    struct sock_filter code[MW_FILTER_MAX];
    int length;
};

/* What the kernel would do with the call; *steps counts instructions. Anything that seccomp's checker refuses ends the test. */
static uint32_t walk(const struct program *p, const struct seccomp_data *data, int *steps) {
    uint32_t a = 0;
    int at = 0;

    for (*steps = 1;; ++*steps, at++) {
        const struct sock_filter *f = &p->code[at];
        REQUIRE(at < p->length);
        switch (f->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            REQUIRE(f->k % 4 == 0 && f->k < sizeof *data);
            memcpy(&a, (const char *)data + f->k, sizeof a);
            break;
        case BPF_ALU | BPF_AND | BPF_K: a &= f->k; break;
        case BPF_JMP | BPF_JA: at += (int)f->k; break;
        case BPF_JMP | BPF_JEQ | BPF_K: at += a == f->k ? f->jt : f->jf; break;
        case BPF_JMP | BPF_JGE | BPF_K: at += a >= f->k ? f->jt : f->jf; break;
        case BPF_JMP | BPF_JSET | BPF_K: at += a & f->k ? f->jt : f->jf; break;
        case BPF_RET | BPF_K: return f->k;
        default: REQUIRE(!"an instruction that the kernel knows");
        }
    }
}

static const uint32_t audit_arch[MW_CALL_ARCHES] = { AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64 };

static void write_program(struct program *p, int arch, unsigned flags) {
    p->length = mw_filter_write_for((enum mw_call_arch)arch, flags, p->code);
    REQUIRE(p->length > 0 && p->length <= MW_FILTER_MAX);
}

static unsigned random_word(unsigned *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed ^ *seed >> 13;
}

/* The high words hold anything: the kernel does not look at them, and neither may the filter. */
static int agrees(const struct program *p, int arch, unsigned flags, uint32_t number, const uint32_t a[4], unsigned *seed, int *steps) {
    struct seccomp_data data = { .nr = (int)number, .arch = audit_arch[arch] };
    uint32_t got, wanted = want(arch, flags, number, a);
    int i;

    for (i = 0; i < 4; i++) data.args[i] = (uint64_t)random_word(seed) << 32 | a[i];
    got = walk(p, &data, steps);
    if (got == wanted) return 1;
    check_fail(__FILE__, __LINE__, "arch %d, flags %u: %u %s(%#x, %#x, %#x, %#x): %#x, expected %#x", arch, flags, number,
               name_of(arch, number), a[0], a[1], a[2], a[3], got, wanted);
    return 0;
}

#define ALL_FLAGS 1023u

static int first_arch(void) {
#ifdef __x86_64__
    return MW_CALL_X86_64;
#else
    return MW_CALL_ARM64;                /* the other's numbers are in no header here */
#endif
}

TEST(every_number_gets_the_answer_of_the_plain_list_whatever_is_let_through) {
    unsigned flags, seed = 1;
    uint32_t number, a[4] = { 0 };
    int arch, i, steps;

    for (arch = first_arch(); arch < MW_CALL_ARCHES; arch++) {
        for (flags = 0; flags <= ALL_FLAGS; flags++) {
            struct program p;
            write_program(&p, arch, flags);
            for (number = 0; number <= 600; number++) {
                for (i = 0; i < 4; i++) a[i] = flags % 2 ? random_word(&seed) : 0;
                REQUIRE(agrees(&p, arch, flags, number, a, &seed, &steps));
            }
        }
    }
}

/* Each flag alone, all but one, none, and some at random; fewer of these where every access is watched. */
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
enum { SETS = 22 };
#else
enum { SETS = 40 };
#endif

TEST(the_arguments_of_checked_calls_are_judged_as_the_plain_list_does) {
    static const uint32_t values[] = {
        0, 1, 2, 3, 5, 6, 8, 10, 15, 16, 17, 58, 262, 0xffffffff, 0x800, 0x80801, 0x80002, 0x80805, 01000, 01001, 01002, 01003, 0x20008,
        0x10000, 0x11000, 0x20000, 0x8000, 0x10000000, 0x40000000, 0x2000000, 0x20000000, 0x5412, 0x541c, 0x5413, 0x541b, 0x5423, 0x8901,
        0x8902, 0x890a, 0x890b, 0x89ff, 0x8a00, FS_IOC_SETFLAGS, FS_IOC_GETFLAGS, FS_IOC_FSSETXATTR, FS_IOC_SETVERSION,
        FS_IOC_ENABLE_VERITY, FS_IOC_SET_ENCRYPTION_POLICY, 19, 31, BTRFS_IOC_SUBVOL_SETFLAGS, FAT_IOCTL_SET_ATTRIBUTES,
        BTRFS_IOC_SNAP_CREATE, BTRFS_IOC_SUBVOL_CREATE, BTRFS_IOC_SNAP_DESTROY, BTRFS_IOC_SNAP_CREATE_V2, BTRFS_IOC_SUBVOL_CREATE_V2,
        BTRFS_IOC_SNAP_DESTROY_V2, BTRFS_IOC_DEFRAG, 0x50009400, 0x500094ff, 0x500093ff, 0x50009500, FICLONE, 0x8a01, 0x5401, 0100, 04755,
        02644, 06000, 0755, O_TMPFILE, O_CREAT | O_WRONLY
    };
    static const int checked[] = {
        N_clone, N_socket, N_socketpair, N_sendto, N_sendmsg, N_sendmmsg, N_ioctl, N_personality, N_setpriority, N_ioprio_set, N_prlimit64,
        N_sched_setaffinity, N_move_pages, N_kill, N_open, N_openat, N_fcntl, N_setpgid,
        N_setsockopt, N_creat, N_mknod, N_mknodat, N_chmod, N_fchmod, N_fchmodat, N_fchmodat2
    };
    const unsigned count = sizeof values / sizeof values[0];
    unsigned seed = 7, set, i, n;
    int arch, steps;

    for (arch = first_arch(); arch < MW_CALL_ARCHES; arch++) {
        for (set = 0; set < SETS; set++) {
            unsigned flags = set < 10 ? 1u << set : set < 20 ? ALL_FLAGS ^ 1u << (set - 10) : set == 20 ? 0 : random_word(&seed) & ALL_FLAGS;
            struct program p;
            write_program(&p, arch, flags);
            for (n = 0; n < sizeof checked / sizeof checked[0]; n++) {
                int number = number_of(arch, checked[n]);
                for (i = 0; number >= 0 && i < count * count; i++) {
                    uint32_t a[4] = { values[i % count], values[i / count], values[random_word(&seed) % count], values[random_word(&seed) % count] };
                    REQUIRE(agrees(&p, arch, flags, (uint32_t)number, a, &seed, &steps));
                }
            }
        }
    }
}

TEST(foreign_architectures_and_x32_end_the_process) {
    static const uint32_t foreign[] = { AUDIT_ARCH_I386, AUDIT_ARCH_ARM, AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64, AUDIT_ARCH_RISCV64, 0 };
    static const uint32_t x32[] = { 0x40000000, 0x40000001, 0x40000208, 0x7fffffff, 0x80000000, 0xffffffff };
    struct program p;
    uint32_t number;
    int arch, steps;
    size_t i;

    for (arch = 0; arch < MW_CALL_ARCHES; arch++) {
        write_program(&p, arch, ALL_FLAGS ^ MW_FILTER_ONE_PROCESS);
        for (i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
            for (number = 0; number <= 600; number += 7) {
                struct seccomp_data data = { .nr = (int)number, .arch = foreign[i] };
                if (foreign[i] != audit_arch[arch]) CHECK_INT(walk(&p, &data, &steps), SECCOMP_RET_KILL_PROCESS);
            }
        }
        for (i = 0; i < sizeof x32 / sizeof x32[0]; i++) {
            struct seccomp_data data = { .nr = (int)x32[i], .arch = audit_arch[arch] };
            CHECK_INT(walk(&p, &data, &steps), arch == MW_CALL_X86_64 ? SECCOMP_RET_KILL_PROCESS : FAILS(ENOSYS));
        }
    }
}

TEST(a_filter_is_short_and_its_tree_is_flat) {
    int arch, length = 0, deepest = 0, steps;
    unsigned flags, sum, worst = 0;
    uint32_t number;

    for (arch = 0; arch < MW_CALL_ARCHES; arch++) {
        for (flags = 0; flags <= ALL_FLAGS; flags++) {
            struct program p;
            write_program(&p, arch, flags);
            if (p.length > length) length = p.length;
            for (sum = number = 0; number <= 470; number++) {
                struct seccomp_data data = { .nr = (int)number, .arch = audit_arch[arch] };
                walk(&p, &data, &steps);
                sum += (unsigned)steps;
                if (steps > deepest) deepest = steps;
            }
            if (sum > worst) worst = sum;
        }
    }
    printf("# at most %d instructions, %d on the longest way, %.1f on average\n", length, deepest, worst / 471.0);
    CHECK(length <= 200);
    CHECK(deepest <= 32);                /* the checks of arguments included */
    CHECK(worst / 471.0 <= 14);
}
