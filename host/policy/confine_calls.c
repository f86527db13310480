/* The system calls that a confined child does not get, and why. Every call of Linux up to 6.18 was judged: what is not here is
 * allowed. Docker's, Flatpak's and systemd's lists were looked through; what Landlock or the missing capabilities hold already is
 * here only where that is not whole.
 * Knows: numbers of x86-64 and arm64. Never: instructions.
 *
 * Left out on purpose: landlock_*, seccomp and prctl (children confine their own), memfd_* (what is executed from there stays in
 * the cage), capset, set*id (only ever down, under no_new_privs), mknod (Landlock), setsid (as the README says), aio, pidfd_open,
 * and calls without code in today's kernels (uselib, lookup_dcookie, _sysctl ...), unless their numbers lie among refused ones. */
#include "policy/confine_calls.h"

#include "policy/confine.h"

/* name, its number on x86-64 and on arm64 (-1: not there), what becomes of it, unless one of, only with one of. */
#define CALL(name, x86_64, arm64, verdict, unless, when) { { x86_64, arm64 }, MW_CALL_##verdict, unless, when }
#define CHECK(name, x86_64, arm64, check, unless, when) { { x86_64, arm64 }, MW_CALL_CHECK + MW_CHECK_##check, unless, when }

const struct mw_call mw_calls[] = {
    /* Mounts, roots and namespaces: another view of the file system is a way round every path rule; Landlock refuses most mounts, not all. */
    CALL(mount, 165, 40, EPERM, 0, 0),
    CALL(umount2, 166, 39, EPERM, 0, 0),
    CALL(pivot_root, 155, 41, EPERM, 0, 0),
    CALL(chroot, 161, 51, EPERM, 0, 0),
    CALL(move_mount, 429, 429, EPERM, 0, 0),
    CALL(open_tree, 428, 428, EPERM, 0, 0),
    CALL(open_tree_attr, 467, 467, EPERM, 0, 0),
    CALL(fsopen, 430, 430, EPERM, 0, 0),
    CALL(fsconfig, 431, 431, EPERM, 0, 0),
    CALL(fsmount, 432, 432, EPERM, 0, 0),
    CALL(fspick, 433, 433, EPERM, 0, 0),
    CALL(mount_setattr, 442, 442, EPERM, 0, 0),
    CALL(setns, 308, 268, EPERM, 0, 0),
    CALL(unshare, 272, 97, EPERM, 0, 0),
    /* What is mounted, which namespaces and security modules there are: /proc is shut, so these say nothing either. */
    CALL(statmount, 457, 457, EPERM, 0, 0),
    CALL(listmount, 458, 458, EPERM, 0, 0),
    CALL(listns, 470, 470, EPERM, 0, 0),
    CALL(lsm_get_self_attr, 459, 459, EPERM, 0, 0),
    CALL(lsm_set_self_attr, 460, 460, EPERM, 0, 0),
    CALL(lsm_list_modules, 461, 461, EPERM, 0, 0),
    /* File handles reach an inode past every path. */
    CALL(name_to_handle_at, 303, 264, EPERM, 0, 0),
    CALL(open_by_handle_at, 304, 265, EPERM, 0, 0),
    /* Code for the kernel, and its insides. */
    CALL(init_module, 175, 105, EPERM, 0, 0),
    CALL(finit_module, 313, 273, EPERM, 0, 0),
    CALL(delete_module, 176, 106, EPERM, 0, 0),
    CALL(create_module, 174, -1, EPERM, 0, 0),
    CALL(get_kernel_syms, 177, -1, EPERM, 0, 0),
    CALL(query_module, 178, -1, EPERM, 0, 0),
    CALL(kexec_load, 246, 104, EPERM, 0, 0),
    CALL(kexec_file_load, 320, 294, EPERM, 0, 0),
    CALL(bpf, 321, 280, EPERM, 0, 0),
    CALL(perf_event_open, 298, 241, EPERM, 0, 0),
    CALL(syslog, 103, 116, EPERM, 0, 0),
    /* Read and write without a filter in between, page faults as a service: where most ways out of a kernel began. ENOSYS: libraries
     * do without. */
    CALL(io_uring_setup, 425, 425, ENOSYS, 0, 0),
    CALL(io_uring_enter, 426, 426, ENOSYS, 0, 0),
    CALL(io_uring_register, 427, 427, ENOSYS, 0, 0),
    CALL(userfaultfd, 323, 282, EPERM, 0, 0),
    /* Keys belong to the user, not to the process. */
    CALL(add_key, 248, 217, EPERM, 0, 0),
    CALL(request_key, 249, 218, EPERM, 0, 0),
    CALL(keyctl, 250, 219, EPERM, 0, 0),
    /* Into other processes. Landlock stops the first beyond the cage; nobody needs it within. */
    CALL(ptrace, 101, 117, EPERM, 0, 0),
    CALL(process_vm_readv, 310, 270, EPERM, 0, 0),
    CALL(process_vm_writev, 311, 271, EPERM, 0, 0),
    CALL(process_madvise, 440, 440, EPERM, 0, 0),
    CALL(process_mrelease, 448, 448, EPERM, 0, 0),
    CALL(kcmp, 312, 272, EPERM, 0, 0),
    CALL(pidfd_getfd, 438, 438, EPERM, 0, 0),
    /* The machine: its power, swap, name, clock, accounts, ports and terminals. */
    CALL(reboot, 169, 142, EPERM, 0, 0),
    CALL(swapon, 167, 224, EPERM, 0, 0),
    CALL(swapoff, 168, 225, EPERM, 0, 0),
    CALL(sethostname, 170, 161, EPERM, 0, 0),
    CALL(setdomainname, 171, 162, EPERM, 0, 0),
    CALL(settimeofday, 164, 170, EPERM, 0, 0),
    CALL(clock_settime, 227, 112, EPERM, 0, 0),
    CALL(clock_adjtime, 305, 266, EPERM, 0, 0),
    CALL(adjtimex, 159, 171, EPERM, 0, 0),
    CALL(acct, 163, 89, EPERM, 0, 0),
    CALL(quotactl, 179, 60, EPERM, 0, 0),
    CALL(quotactl_fd, 443, 443, EPERM, 0, 0),
    CALL(iopl, 172, -1, EPERM, 0, 0),
    CALL(ioperm, 173, -1, EPERM, 0, 0),
    CALL(modify_ldt, 154, -1, EPERM, 0, 0),
    CALL(vhangup, 153, 58, EPERM, 0, 0),
    CALL(nfsservctl, 180, 42, EPERM, 0, 0),
    /* System V and POSIX queues, memory and semaphores: named across the whole machine, no rule of ours or Landlock's. */
    CALL(shmget, 29, 194, EPERM, 0, 0),
    CALL(shmat, 30, 196, EPERM, 0, 0),
    CALL(shmctl, 31, 195, EPERM, 0, 0),
    CALL(shmdt, 67, 197, EPERM, 0, 0),
    CALL(semget, 64, 190, EPERM, 0, 0),
    CALL(semop, 65, 193, EPERM, 0, 0),
    CALL(semtimedop, 220, 192, EPERM, 0, 0),
    CALL(semctl, 66, 191, EPERM, 0, 0),
    CALL(msgget, 68, 186, EPERM, 0, 0),
    CALL(msgsnd, 69, 189, EPERM, 0, 0),
    CALL(msgrcv, 70, 188, EPERM, 0, 0),
    CALL(msgctl, 71, 187, EPERM, 0, 0),
    CALL(mq_open, 240, 180, EPERM, 0, 0),
    CALL(mq_unlink, 241, 181, EPERM, 0, 0),
    CALL(mq_timedsend, 242, 182, EPERM, 0, 0),
    CALL(mq_timedreceive, 243, 183, EPERM, 0, 0),
    CALL(mq_notify, 244, 184, EPERM, 0, 0),
    CALL(mq_getsetattr, 245, 185, EPERM, 0, 0),
    /* Watching: fanotify sees whole mounts; inotify any folder by name, which Landlock does not hold. */
    CALL(fanotify_init, 300, 262, EPERM, 0, 0),
    CALL(fanotify_mark, 301, 263, EPERM, 0, 0),
    CALL(inotify_add_watch, 254, 27, EACCES, MW_FILTER_WATCH, 0),
    /* New processes: no namespaces, no sibling that the host would have to reap. clone3 has its flags in memory, where no filter sees
     * them: ENOSYS, and libraries use clone. */
    CHECK(clone, 56, 220, CLONE, 0, 0),
    CALL(clone3, 435, 435, ENOSYS, 0, 0),
    CALL(fork, 57, -1, EPERM, 0, MW_FILTER_ONE_PROCESS),
    CALL(vfork, 58, -1, EPERM, 0, MW_FILTER_ONE_PROCESS),
    /* Other processes' limits, priorities and memory: only one's own (0). */
    CHECK(prlimit64, 302, 261, SELF, 0, 0),
    CHECK(sched_setparam, 142, 118, SELF, 0, 0),
    CHECK(sched_setscheduler, 144, 119, SELF, 0, 0),
    CHECK(sched_setattr, 314, 274, SELF, 0, 0),
    CHECK(sched_setaffinity, 203, 122, SELF, 0, 0),
    CHECK(migrate_pages, 256, 238, SELF, 0, 0),
    CHECK(move_pages, 279, 239, SELF, 0, 0),
    CHECK(setpriority, 141, 140, WHO, 0, 0),
    CHECK(ioprio_set, 251, 30, IO_WHO, 0, 0),
    /* Old binaries' odd worlds: address spaces without randomness, readable made executable. */
    CHECK(personality, 135, 92, PERSONALITY, 0, 0),
    /* Leases: whoever opens such a file waits for its holder, up to 45 s: the host's loop, or every program that reads /etc/hosts. */
    CHECK(fcntl, 72, 25, FCNTL, 0, 0),
    /* Sockets: Landlock holds TCP ports and nothing else of the network. */
    CHECK(socket, 41, 198, SOCKET, 0, 0),
    CHECK(socketpair, 53, 199, PAIR, 0, 0),
    CALL(listen, 50, 201, EACCES, MW_FILTER_LISTEN, 0),
    /* An end of a pair could take an abstract name, so that a service cannot. */
    CALL(bind, 49, 200, EACCES, MW_FILTER_TCP | MW_FILTER_UDP | MW_FILTER_UNIX | MW_FILTER_NETLINK, 0),
    CALL(connect, 42, 203, EACCES, MW_FILTER_TCP | MW_FILTER_UDP | MW_FILTER_UNIX | MW_FILTER_NETLINK, 0),
    CHECK(setsockopt, 54, 208, SOCKET_OPTION, 0, 0),
    CHECK(sendto, 44, 206, SENDTO, 0, 0),
    CHECK(sendmsg, 46, 211, SENDMSG, 0, 0),
    CHECK(sendmmsg, 307, 269, SENDTO, 0, 0),
    /* Typing into a terminal, its line discipline; the list of network interfaces; metadata and owners of descriptors. */
    CHECK(ioctl, 16, 29, IOCTL, 0, 0),
    /* Metadata: Landlock does not hold it, and a name is enough. Extended attributes are read as from a file system that has none,
     * which every tool expects. */
    CALL(chmod, 90, -1, EPERM, MW_FILTER_METADATA, 0),
    CALL(fchmod, 91, 52, EPERM, MW_FILTER_METADATA, 0),
    CALL(fchmodat, 268, 53, EPERM, MW_FILTER_METADATA, 0),
    CALL(fchmodat2, 452, 452, EPERM, MW_FILTER_METADATA, 0),
    /* Who may change modes makes no program that others run with this user's rights: our own calls ask for everything there. */
    CHECK(chmod, 90, -1, MODE_1, 0, MW_FILTER_METADATA),
    CHECK(fchmod, 91, 52, MODE_1, 0, MW_FILTER_METADATA),
    CHECK(fchmodat, 268, 53, MODE_2, 0, MW_FILTER_METADATA),
    CHECK(fchmodat2, 452, 452, MODE_2, 0, MW_FILTER_METADATA),
    CHECK(creat, 85, -1, MODE_1, 0, MW_FILTER_METADATA),
    CHECK(mknod, 133, -1, MODE_1, 0, MW_FILTER_METADATA),
    CHECK(mknodat, 259, 33, MODE_2, 0, MW_FILTER_METADATA),
    CHECK(open, 2, -1, OPEN_NEW, MW_FILTER_OLD_TRUNCATE, MW_FILTER_METADATA),
    CHECK(openat, 257, 56, OPENAT_NEW, MW_FILTER_OLD_TRUNCATE, MW_FILTER_METADATA),
    CALL(chown, 92, -1, EPERM, MW_FILTER_METADATA, 0),
    CALL(fchown, 93, 55, EPERM, MW_FILTER_METADATA, 0),
    CALL(lchown, 94, -1, EPERM, MW_FILTER_METADATA, 0),
    CALL(fchownat, 260, 54, EPERM, MW_FILTER_METADATA, 0),
    CALL(utime, 132, -1, EPERM, MW_FILTER_METADATA, 0),
    CALL(utimes, 235, -1, EPERM, MW_FILTER_METADATA, 0),
    CALL(futimesat, 261, -1, EPERM, MW_FILTER_METADATA, 0),
    CALL(utimensat, 280, 88, EPERM, MW_FILTER_METADATA, 0),
    CALL(setxattr, 188, 5, EPERM, MW_FILTER_METADATA, 0),
    CALL(lsetxattr, 189, 6, EPERM, MW_FILTER_METADATA, 0),
    CALL(fsetxattr, 190, 7, EPERM, MW_FILTER_METADATA, 0),
    CALL(setxattrat, 463, 463, EPERM, MW_FILTER_METADATA, 0),
    CALL(removexattr, 197, 14, EPERM, MW_FILTER_METADATA, 0),
    CALL(lremovexattr, 198, 15, EPERM, MW_FILTER_METADATA, 0),
    CALL(fremovexattr, 199, 16, EPERM, MW_FILTER_METADATA, 0),
    CALL(removexattrat, 466, 466, EPERM, MW_FILTER_METADATA, 0),
    CALL(file_setattr, 469, 469, EPERM, MW_FILTER_METADATA, 0),
    CALL(getxattr, 191, 8, EOPNOTSUPP, MW_FILTER_METADATA, 0),
    CALL(lgetxattr, 192, 9, EOPNOTSUPP, MW_FILTER_METADATA, 0),
    CALL(fgetxattr, 193, 10, EOPNOTSUPP, MW_FILTER_METADATA, 0),
    CALL(listxattr, 194, 11, EOPNOTSUPP, MW_FILTER_METADATA, 0),
    CALL(llistxattr, 195, 12, EOPNOTSUPP, MW_FILTER_METADATA, 0),
    CALL(flistxattr, 196, 13, EOPNOTSUPP, MW_FILTER_METADATA, 0),
    CALL(getxattrat, 464, 464, EPERM, MW_FILTER_METADATA, 0),
    CALL(listxattrat, 465, 465, EPERM, MW_FILTER_METADATA, 0),
    /* Truncating a file that may only be read: Landlock holds it from version 3 on. openat2 has its flags in memory. */
    CALL(truncate, 76, 45, EPERM, 0, MW_FILTER_OLD_TRUNCATE),
    CHECK(open, 2, -1, OPEN, 0, MW_FILTER_OLD_TRUNCATE),
    CHECK(openat, 257, 56, OPENAT, 0, MW_FILTER_OLD_TRUNCATE),
    CALL(openat2, 437, 437, ENOSYS, 0, MW_FILTER_OLD_TRUNCATE | MW_FILTER_METADATA),
    /* Signals: Landlock holds them from version 6 on. 0 is one's own group, which must then not become another one; threads of one's
     * own cannot be told from others. */
    CHECK(kill, 62, 129, SELF, 0, MW_FILTER_OLD_SIGNALS),
    CALL(tkill, 200, 130, EPERM, 0, MW_FILTER_OLD_SIGNALS),
    CALL(tgkill, 234, 131, EPERM, 0, MW_FILTER_OLD_SIGNALS),
    CALL(rt_sigqueueinfo, 129, 138, EPERM, 0, MW_FILTER_OLD_SIGNALS),
    CALL(rt_tgsigqueueinfo, 297, 240, EPERM, 0, MW_FILTER_OLD_SIGNALS),
    CALL(pidfd_send_signal, 424, 424, EPERM, 0, MW_FILTER_OLD_SIGNALS),
    CHECK(setpgid, 109, 154, SETPGID, 0, MW_FILTER_OLD_SIGNALS),
};
const int mw_call_count = sizeof mw_calls / sizeof mw_calls[0];

/* x86-64's 335 and 336 are the kernel's own (uretprobe, uprobe). */
const int16_t mw_call_gaps[MW_CALL_ARCHES][2][2] = { { { 337, 423 }, { 337, 423 } }, { { 244, 259 }, { 295, 423 } } };

/* ---- Arguments ---------------------------------------------------------------------------------------------------------- */

/* Numbers of the kernel's, the same on both architectures, written out because the headers of one system lack some. */
#define NEW_NAMESPACE 0x7e020000u     /* CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET; CLONE_NEWTIME is clone3's alone */
#define SIBLING 0x00008000u           /* CLONE_PARENT */
#define THREAD 0x00010000u            /* CLONE_THREAD */
#define FAST_OPEN 0x20000000u         /* MSG_FASTOPEN: it connects, and Landlock does not see it */
#define ACCESS_MODE 3u                /* O_ACCMODE */
#define TRUNCATE 01000u               /* O_TRUNC */
#define MAKES (0100u | 020000000u)    /* O_CREAT, O_TMPFILE: then there is a mode */
#define SET_ID 06000u                 /* S_ISUID, S_ISGID */

#define FITS(op, value, verdict) { MW_OP_##op, MW_CALL_##verdict, 0, 0, value }
#define FITS_UNLESS(flags, op, value, verdict) { MW_OP_##op, MW_CALL_##verdict, flags, 0, value }
#define FITS_WITH(flags, op, value, verdict) { MW_OP_##op, MW_CALL_##verdict, 0, flags, value }
#define NEXT(op, value, check) { MW_OP_##op, MW_CALL_CHECK + MW_CHECK_##check, 0, 0, value }
#define NEXT_UNLESS(flags, op, value, check) { MW_OP_##op, MW_CALL_CHECK + MW_CHECK_##check, flags, 0, value }
#define NEXT_WITH(flags, op, value, check) { MW_OP_##op, MW_CALL_CHECK + MW_CHECK_##check, 0, flags, value }

const struct mw_call_args mw_call_checks[MW_CALL_CHECKS] = {
    [MW_CHECK_IOCTL] = { 1, MW_CALL_ALLOW, 0, {
        FITS(EQ, 0x5412, EPERM),                                     /* TIOCSTI */
        FITS(EQ, 0x541c, EPERM),                                     /* TIOCLINUX: selections, pasted */
        FITS(EQ, 0x5423, EPERM),                                     /* TIOCSETD: loads drivers of old protocols */
        FITS_UNLESS(MW_FILTER_METADATA, EQ, 0x40086602, EPERM),      /* FS_IOC_SETFLAGS: chattr, even on a file only read */
        FITS_UNLESS(MW_FILTER_METADATA, EQ, 0x40087602, EPERM),      /* FS_IOC_SETVERSION */
        FITS_UNLESS(MW_FILTER_METADATA, EQ, 0x401c5820, EPERM),      /* FS_IOC_FSSETXATTR */
        FITS_UNLESS(MW_FILTER_METADATA, EQ, 0x40806685, EPERM),      /* FS_IOC_ENABLE_VERITY: no writing ever after */
        FITS_UNLESS(MW_FILTER_METADATA, EQ, 0x800c6613, EPERM),      /* FS_IOC_SET_ENCRYPTION_POLICY */
        FITS_UNLESS(MW_FILTER_METADATA, EQ, 0x4008941a, EPERM),      /* BTRFS_IOC_SUBVOL_SETFLAGS: no writing to all of it */
        FITS_UNLESS(MW_FILTER_METADATA, EQ, 0x40047211, EPERM),      /* FAT_IOCTL_SET_ATTRIBUTES */
        FITS(FROM, 0x50009500, ALLOW),
        FITS(FROM, 0x50009400, EPERM),                               /* btrfs: makes and removes volumes in a folder only read */
        FITS_UNLESS(MW_FILTER_NETLINK, FROM, 0x8a00, ALLOW),
        FITS_UNLESS(MW_FILTER_NETLINK, FROM, 0x890b, EPERM),         /* SIOCADDRT ... : routes and interfaces through any socket */
        FITS_WITH(MW_FILTER_OLD_SIGNALS, EQ, 0x8901, EPERM),         /* FIOSETOWN, SIOCSPGRP: see fcntl */
        FITS_WITH(MW_FILTER_OLD_SIGNALS, EQ, 0x8902, EPERM) } },
    [MW_CHECK_CLONE] = { 0, MW_CALL_ALLOW, 0, {
        FITS(ANY, NEW_NAMESPACE | SIBLING, EPERM),
        FITS_WITH(MW_FILTER_ONE_PROCESS, ANY, THREAD, ALLOW),
        FITS_WITH(MW_FILTER_ONE_PROCESS, FROM, 0, EPERM) } },
    [MW_CHECK_SOCKET] = { 0, MW_CALL_EACCES, 0, {
        FITS_WITH(MW_FILTER_UNIX, EQ, 1, ALLOW),
        NEXT_WITH(MW_FILTER_TCP | MW_FILTER_UDP, EQ, 2, INET),
        NEXT_WITH(MW_FILTER_TCP | MW_FILTER_UDP, EQ, 10, INET),
        NEXT_WITH(MW_FILTER_NETLINK, EQ, 16, NETLINK) } },
    [MW_CHECK_INET] = { 1, MW_CALL_EACCES, 0xf, {                    /* SOCK_CLOEXEC and SOCK_NONBLOCK lie beside the type */
        NEXT_WITH(MW_FILTER_TCP, EQ, 1, TCP),
        NEXT_WITH(MW_FILTER_UDP, EQ, 2, UDP) } },
    [MW_CHECK_TCP] = { 2, MW_CALL_EACCES, 0, { FITS(EQ, 0, ALLOW), FITS(EQ, 6, ALLOW) } },   /* MPTCP is none of Landlock's */
    [MW_CHECK_UDP] = { 2, MW_CALL_EACCES, 0, { FITS(EQ, 0, ALLOW), FITS(EQ, 17, ALLOW) } },
    [MW_CHECK_NETLINK] = { 2, MW_CALL_EACCES, 0, { FITS(EQ, 0, ALLOW) } },                   /* NETLINK_ROUTE */
    [MW_CHECK_PAIR] = { 0, MW_CALL_EACCES, 0, {
        FITS_WITH(MW_FILTER_UNIX, EQ, 1, ALLOW),
        NEXT_UNLESS(MW_FILTER_UNIX, EQ, 1, PAIR_TYPE) } },
    /* An end of a pair of datagram sockets can be connected to a path later; these cannot. */
    [MW_CHECK_PAIR_TYPE] = { 1, MW_CALL_EACCES, 0xf, { FITS(EQ, 1, ALLOW), FITS(EQ, 5, ALLOW) } },
    [MW_CHECK_SENDTO] = { 3, MW_CALL_ALLOW, 0, { FITS(ANY, FAST_OPEN, EOPNOTSUPP) } },
    [MW_CHECK_SENDMSG] = { 2, MW_CALL_ALLOW, 0, { FITS(ANY, FAST_OPEN, EOPNOTSUPP) } },
    /* TCP_ULP: "smc" turns a TCP socket, before it connects, into one whose ports Landlock does not hold. What else it is for (TLS in
     * the kernel) is done without where it fails. */
    [MW_CHECK_SOCKET_OPTION] = { 1, MW_CALL_ALLOW, 0, { NEXT(EQ, 6, TCP_OPTION) } },
    [MW_CHECK_TCP_OPTION] = { 2, MW_CALL_ALLOW, 0, { FITS(EQ, 31, EPERM) } },
    [MW_CHECK_PERSONALITY] = { 0, MW_CALL_EPERM, 0, {                /* Linux, 32-bit uname, 2.6 uname, both; asking */
        FITS(EQ, 0, ALLOW), FITS(EQ, 8, ALLOW), FITS(EQ, 0x20000, ALLOW), FITS(EQ, 0x20008, ALLOW), FITS(EQ, 0xffffffff, ALLOW) } },
    [MW_CHECK_SELF] = { 0, MW_CALL_EPERM, 0, { FITS(EQ, 0, ALLOW) } },
    [MW_CHECK_WHO] = { 1, MW_CALL_EPERM, 0, { NEXT(EQ, 0, WHO_USER) } },
    [MW_CHECK_WHO_USER] = { 0, MW_CALL_ALLOW, 0, { FITS(EQ, 2, EPERM) } },                   /* all of this user's processes */
    [MW_CHECK_IO_WHO] = { 1, MW_CALL_EPERM, 0, { NEXT(EQ, 0, IO_WHO_USER) } },
    [MW_CHECK_IO_WHO_USER] = { 0, MW_CALL_ALLOW, 0, { FITS(EQ, 3, EPERM) } },
    [MW_CHECK_OPEN] = { 1, MW_CALL_ALLOW, TRUNCATE | ACCESS_MODE, {
        FITS(EQ, TRUNCATE, EPERM), FITS(EQ, TRUNCATE | 3, EPERM), NEXT_WITH(MW_FILTER_METADATA, FROM, 0, OPEN_NEW) } },
    [MW_CHECK_OPENAT] = { 2, MW_CALL_ALLOW, TRUNCATE | ACCESS_MODE, {
        FITS(EQ, TRUNCATE, EPERM), FITS(EQ, TRUNCATE | 3, EPERM), NEXT_WITH(MW_FILTER_METADATA, FROM, 0, OPENAT_NEW) } },
    [MW_CHECK_FCNTL] = { 1, MW_CALL_ALLOW, 0, {
        FITS(EQ, 1024, EPERM),                                       /* F_SETLEASE */
        FITS_WITH(MW_FILTER_OLD_SIGNALS, EQ, 8, EPERM),              /* F_SETOWN, F_SETOWN_EX: SIGIO to anyone */
        FITS_WITH(MW_FILTER_OLD_SIGNALS, EQ, 15, EPERM) } },
    [MW_CHECK_SETPGID] = { 1, MW_CALL_EPERM, 0, { FITS(EQ, 0, ALLOW) } },
    [MW_CHECK_MODE_1] = { 1, MW_CALL_ALLOW, 0, { FITS(ANY, SET_ID, EPERM) } },
    [MW_CHECK_MODE_2] = { 2, MW_CALL_ALLOW, 0, { FITS(ANY, SET_ID, EPERM) } },
    [MW_CHECK_MODE_3] = { 3, MW_CALL_ALLOW, 0, { FITS(ANY, SET_ID, EPERM) } },
    [MW_CHECK_OPEN_NEW] = { 1, MW_CALL_ALLOW, 0, { NEXT(ANY, MAKES, MODE_2) } },
    [MW_CHECK_OPENAT_NEW] = { 2, MW_CALL_ALLOW, 0, { NEXT(ANY, MAKES, MODE_3) } },
};
