/* What a caged program tries on other processes, on its descriptors and its environment.
 * Knows: breakout.h, system calls. Never: touches a process that it is not given.
 */
#define _GNU_SOURCE
#include "breakout.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static pid_t victim(int argc, char **argv) {
    return number_at(argc, argv, 0, 0);
}

static int kill_it(int argc, char **argv) { return answer(kill(victim(argc, argv), SIGKILL)); }
static int stop_it(int argc, char **argv) { return answer(kill(victim(argc, argv), SIGSTOP)); }
static int thread_kill(int argc, char **argv) {
    return answer(syscall(SYS_tgkill, victim(argc, argv), victim(argc, argv), SIGKILL));
}
static int queue_signal(int argc, char **argv) {
    union sigval value = { 0 };
    return answer(sigqueue(victim(argc, argv), SIGKILL, value));
}
static int kill_parent(int argc, char **argv) { return (void)argc, (void)argv, answer(kill(getppid(), SIGKILL)); }
static int pidfd_kill(int argc, char **argv) {
    int fd = (int)syscall(SYS_pidfd_open, victim(argc, argv), 0);
    return fd < 0 ? -errno : answer(syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0));
}
/* By the owner of a descriptor: the kernel sends the signal, not we. */
static int owner_signal(int argc, char **argv) {
    int ends[2];

    if (pipe(ends) < 0) return -errno;
    if (fcntl(ends[0], F_SETOWN, victim(argc, argv)) < 0 || fcntl(ends[0], F_SETSIG, SIGKILL) < 0) return -errno;
    if (fcntl(ends[0], F_SETFL, O_ASYNC) < 0) return -errno;
    if (write(ends[1], "x", 1) != 1) return -errno;
    return -EPERM; /* whether it came through, the victim tells */
}

static int trace(int argc, char **argv) {
    pid_t pid = victim(argc, argv);
    int rc = answer(ptrace(PTRACE_ATTACH, pid, NULL, NULL));
    if (rc == 0) {
        waitpid(pid, NULL, __WALL);
        ptrace(PTRACE_DETACH, pid, NULL, NULL);
    }
    return rc;
}
static int seize(int argc, char **argv) {
    int rc = answer(ptrace(PTRACE_SEIZE, victim(argc, argv), NULL, NULL));
    if (rc == 0) ptrace(PTRACE_DETACH, victim(argc, argv), NULL, NULL);
    return rc;
}
static int trace_parent(int argc, char **argv) {
    (void)argc, (void)argv;
    return answer(ptrace(PTRACE_SEIZE, getppid(), NULL, NULL));
}
static int read_memory(int argc, char **argv) {
    char room[16];
    struct iovec mine = { room, sizeof room }, theirs = { (void *)0x400000, sizeof room };
    ssize_t got = process_vm_readv(victim(argc, argv), &mine, 1, &theirs, 1, 0);
    return got < 0 && errno != EFAULT ? -errno : 0;
}
static int write_memory(int argc, char **argv) {
    char room[16] = "harm";
    struct iovec mine = { room, sizeof room }, theirs = { (void *)0x400000, sizeof room };
    ssize_t got = process_vm_writev(victim(argc, argv), &mine, 1, &theirs, 1, 0);
    return got < 0 && errno != EFAULT ? -errno : 0;
}
static int steal_descriptor(int argc, char **argv) {
    int fd = (int)syscall(SYS_pidfd_open, victim(argc, argv), 0);
    return fd < 0 ? -errno : answer(syscall(438 /* pidfd_getfd */, fd, 0, 0));
}
static int of_proc(int argc, char **argv) { /* breakout proc PID NAME */
    char path[128];
    snprintf(path, sizeof path, "/proc/%s/%s", word_at(argc, argv, 0, "self"), word_at(argc, argv, 1, "mem"));
    return answer(open(path, O_RDONLY));
}
static int parent_proc(int argc, char **argv) {
    char path[128];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)getppid(), word_at(argc, argv, 0, "mem"));
    return answer(open(path, O_RDONLY));
}
static int nice_it(int argc, char **argv) { return answer(setpriority(PRIO_PROCESS, (id_t)victim(argc, argv), 19)); }
static int limit_it(int argc, char **argv) {
    struct rlimit none = { 0, 0 };
    return answer(prlimit(victim(argc, argv), RLIMIT_NOFILE, &none, NULL));
}
static int pin_it(int argc, char **argv) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    return answer(sched_setaffinity(victim(argc, argv), sizeof set, &set));
}
static int schedule_it(int argc, char **argv) {
    struct sched_param low = { 0 };
    return answer(sched_setscheduler(victim(argc, argv), SCHED_IDLE, &low));
}
static int compare_it(int argc, char **argv) { return answer(syscall(SYS_kcmp, getpid(), victim(argc, argv), 0, 0, 0)); }

/* ---- Programs ------------------------------------------------------------------------------------------------------------ */

static int became(pid_t pid) {
    int status = 0;

    if (pid < 0 || waitpid(pid, &status, 0) < 0) return -errno;
    if (WIFSIGNALED(status)) return -EPERM;
    return WEXITSTATUS(status) == 0 ? 0 : -WEXITSTATUS(status);
}
static int execute(int argc, char **argv) {
    pid_t pid = argc > 0 ? vfork() : -1;
    if (pid == 0) {
        execv(argv[0], argv);
        _exit(errno);
    }
    return became(pid);
}
/* The loader runs what may only be read. */
static int by_loader(int argc, char **argv) {
    static const char *const loaders[] = { "/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1" };
    char *words[] = { (char *)(unsigned long)"ld.so", (char *)(unsigned long)word_at(argc, argv, 0, ""),
                      (char *)(unsigned long)word_at(argc, argv, 1, "x"), NULL };
    pid_t pid = fork();
    if (pid == 0) {
        fclose(stderr);
        for (int i = 0; i < 2; i++) execv(loaders[i], words);
        _exit(errno);
    }
    return became(pid);
}
/* A copy in memory of what may only be read. */
static int from_memory(int argc, char **argv) {
    int from = open(word_at(argc, argv, 0, ""), O_RDONLY), to = memfd_create("x", MFD_CLOEXEC);
    char room[65536], *words[] = { (char *)(unsigned long)"x", NULL };
    ssize_t got;
    pid_t pid;

    if (from < 0 || to < 0) return -errno;
    while ((got = read(from, room, sizeof room)) > 0)
        if (write(to, room, (size_t)got) != got) return -errno;
    pid = fork();
    if (pid == 0) {
        fexecve(to, words, environ);
        _exit(errno);
    }
    return became(pid);
}

static int gain_root(int argc, char **argv) { /* a setuid program must not make us root */
    (void)argc, (void)argv;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) return -EPERM;
    return 0;
}
static int set_user(int argc, char **argv) { return answer(setuid((uid_t)number_at(argc, argv, 0, 0))); }
/* A power of root's, by its number, in effect. */
static int capability(int argc, char **argv) {
    struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2] = { { 0 } };
    unsigned n = (unsigned)number_at(argc, argv, 0, 0);

    if (syscall(SYS_capget, &head, data) < 0) return -errno;
    return data[n / 32].effective & (1u << n % 32) ? 0 : -EPERM;
}
static int dumpable(int argc, char **argv) {
    struct rlimit core;
    (void)argc, (void)argv;
    if (getrlimit(RLIMIT_CORE, &core) < 0) return -errno;
    core.rlim_cur = core.rlim_max = RLIM_INFINITY;
    return setrlimit(RLIMIT_CORE, &core) < 0 ? -errno : 0;
}

/* ---- What it was born with ------------------------------------------------------------------------------------------------- */

static int descriptors(int argc, char **argv) {
    int found = 0;

    for (int fd = number_at(argc, argv, 0, 3); fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) >= 0) {
            printf("%d ", fd);
            found = 1;
        }
    return found ? 0 : -EBADF;
}
/* Runs the rest with descriptors open that nobody closed. */
static int with_descriptors(int argc, char **argv) {
    (void)argc;
    for (int fd = 3; fd < 12; fd++)
        if (dup2(2, fd) < 0) return -errno;
    execv(argv[0], argv);
    return -errno;
}
/* A sealed descriptor where a moonwire child expects its birth: breakout birth PROGRAM SCRIPT BYTES-IN-HEXADECIMAL. */
static int birth(int argc, char **argv) {
    const char *hex = word_at(argc, argv, 2, "");
    int fd = memfd_create("x", MFD_ALLOW_SEALING);
    char *words[] = { (char *)(unsigned long)"moonwire", (char *)(unsigned long)"child-script", argv[1],
                      (char *)(unsigned long)"return 1", NULL };

    if (argc < 2 || fd < 0) return -EINVAL;
    for (unsigned byte; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        if (write(fd, &(char){ (char)byte }, 1) != 1) return -errno;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) return -errno;
    if (fd != 3 && dup2(fd, 3) < 0) return -errno;
    execv(argv[0], words);
    return -errno;
}
static int environment(int argc, char **argv) {
    const char *value = getenv(word_at(argc, argv, 0, ""));
    if (value == NULL) return -ENOENT;
    puts(value);
    return 0;
}
static int whole_environment(int argc, char **argv) {
    const char *needle = word_at(argc, argv, 0, "secret");
    for (char **at = environ; *at != NULL; at++)
        if (strstr(*at, needle) != NULL) return puts(*at), 0;
    return -ENOENT;
}
static int push_input(int argc, char **argv) {
    for (int fd = 0; fd < 3; fd++)
        if (ioctl(fd, TIOCSTI, word_at(argc, argv, 0, "x")) == 0) return 0;
    if (errno != ENOTTY && errno != EIO) return -errno;
    return answer(ioctl(0, TIOCSTI, "x"));
}
/* The same request with something in the upper half, which the kernel ignores. */
static int push_input_high(int argc, char **argv) {
    (void)argc, (void)argv;
    return answer(syscall(SYS_ioctl, 0, 0x100000000ul | TIOCSTI, "x"));
}
static int push_console(int argc, char **argv) {
    char what[2] = { 3, 0 };
    (void)argc, (void)argv;
    return answer(ioctl(0, TIOCLINUX, what));
}
/* Somebody else's controlling terminal, by force (as root). */
static int steal_terminal(int argc, char **argv) {
    pid_t pid = fork();
    (void)argc, (void)argv;
    if (pid == 0) {
        setsid();
        _exit(ioctl(0, TIOCSCTTY, 1) < 0 ? errno : 0);
    }
    return became(pid);
}
static int session(int argc, char **argv) {
    pid_t pid = fork();
    (void)argc, (void)argv;
    if (pid == 0) _exit(setsid() < 0 ? errno : 0);
    return became(pid);
}

const struct attempt process_attempts[] = {
    { "kill", kill_it }, { "stop", stop_it }, { "tgkill", thread_kill }, { "sigqueue", queue_signal }, { "kill-parent", kill_parent },
    { "pidfd-kill", pidfd_kill }, { "owner-signal", owner_signal }, { "ptrace", trace }, { "seize", seize },
    { "ptrace-parent", trace_parent }, { "vm-read", read_memory }, { "vm-write", write_memory }, { "pidfd-getfd", steal_descriptor },
    { "proc", of_proc }, { "proc-parent", parent_proc }, { "nice", nice_it }, { "prlimit", limit_it }, { "affinity", pin_it },
    { "scheduler", schedule_it }, { "kcmp", compare_it }, { "exec", execute }, { "loader", by_loader }, { "memory-exec", from_memory },
    { "gain-root", gain_root }, { "setuid-to", set_user }, { "core", dumpable }, { "capability", capability }, { "descriptors", descriptors }, { "with-descriptors", with_descriptors }, { "birth", birth },
    { "env", environment }, { "whole-env", whole_environment }, { "tiocsti", push_input }, { "tiocsti-high", push_input_high },
    { "tioclinux", push_console }, { "setsid", session }, { "steal-tty", steal_terminal }, { NULL, NULL }
};
