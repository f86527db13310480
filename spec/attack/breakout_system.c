/* What a caged program tries on the kernel itself, and how it uses up what there is.
 * Knows: breakout.h, system calls. Never: leaves anything behind that outlives it, save what it is told to make.
 */
#define _GNU_SOURCE
#include "breakout.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ipc.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int unshare_user(int argc, char **argv) { return (void)argc, (void)argv, answer(unshare(CLONE_NEWUSER)); }
static int unshare_mounts(int argc, char **argv) { return (void)argc, (void)argv, answer(unshare(CLONE_NEWNS)); }
static int unshare_net(int argc, char **argv) { return (void)argc, (void)argv, answer(unshare(CLONE_NEWNET)); }
static int ended_well(long pid) {
    int status;
    if (pid < 0 || waitpid((pid_t)pid, &status, 0) < 0) return -errno;
    return status == 0 ? 0 : -EPERM;
}
static int clone_user(int argc, char **argv) {
    long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    (void)argc, (void)argv;
    if (pid == 0) _exit(0);
    return ended_well(pid);
}
static int clone3_user(int argc, char **argv) {
    unsigned long long args[11] = { CLONE_NEWUSER, 0, 0, 0, SIGCHLD };
    long pid = syscall(SYS_clone3, args, sizeof args);
    (void)argc, (void)argv;
    if (pid == 0) _exit(0);
    return ended_well(pid);
}
static int enter(int argc, char **argv) {
    int fd = (int)syscall(SYS_pidfd_open, number_at(argc, argv, 0, 1), 0);
    return fd < 0 ? -errno : answer(setns(fd, CLONE_NEWUTS | CLONE_NEWNS));
}

static int keyring(int argc, char **argv) {
    (void)argc, (void)argv;
    return answer(syscall(SYS_add_key, "user", "moonwire", "x", (size_t)1, KEY_SPEC_PROCESS_KEYRING));
}
static int session_keys(int argc, char **argv) {
    (void)argc, (void)argv;
    return answer(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0));
}
static int bpf_map(int argc, char **argv) {
    union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY };
    attr.key_size = attr.value_size = 4;
    attr.max_entries = 1;
    (void)argc, (void)argv;
    return answer(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr));
}
static int perf(int argc, char **argv) {
    struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .exclude_kernel = 1, .exclude_hv = 1 };
    (void)argc, (void)argv;
    return answer(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}
static int faults(int argc, char **argv) { return (void)argc, (void)argv, answer(syscall(SYS_userfaultfd, 1 /* user mode only */)); }
static int kernel_log(int argc, char **argv) {
    char room[64];
    (void)argc, (void)argv;
    return answer(klogctl(3, room, sizeof room));
}
static int load_module(int argc, char **argv) { return (void)argc, (void)argv, answer(syscall(SYS_init_module, "", 0ul, "")); }
static int kexec(int argc, char **argv) { return (void)argc, (void)argv, answer(syscall(SYS_kexec_load, 0ul, 0ul, NULL, 0ul)); }
static int swap(int argc, char **argv) { return answer(swapon(word_at(argc, argv, 0, "/nothing"), 0)); }
static int host_name(int argc, char **argv) {
    char name[256];
    (void)argc, (void)argv;
    if (gethostname(name, sizeof name) < 0) return -errno;
    return answer(sethostname(name, strlen(name)));      /* what it is anyway */
}
static int clock_step(int argc, char **argv) {
    struct timex none = { .modes = ADJ_TICK, .tick = 10000 };    /* what it is anyway */
    (void)argc, (void)argv;
    return answer(adjtimex(&none));
}
static int notify_all(int argc, char **argv) {
    (void)argc, (void)argv;
    return answer(fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID, O_RDONLY));
}
static int persona(int argc, char **argv) { return (void)argc, (void)argv, answer(personality(ADDR_COMPAT_LAYOUT | READ_IMPLIES_EXEC)); }

static int shared_segment(int argc, char **argv) {
    int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    (void)argc, (void)argv;
    if (id < 0) return -errno;
    shmctl(id, IPC_RMID, NULL);
    return 0;
}
static int shared_by_key(int argc, char **argv) {
    int id = shmget(number_at(argc, argv, 0, 1), 0, 0600);
    char *at = id < 0 ? (char *)-1 : shmat(id, NULL, 0);
    if (at == (char *)-1) return -errno;
    printf("%.40s\n", at);
    return 0;
}
static int messages(int argc, char **argv) {
    int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    (void)argc, (void)argv;
    if (id < 0) return -errno;
    msgctl(id, IPC_RMID, NULL);
    return 0;
}
static int semaphores(int argc, char **argv) {
    int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
    (void)argc, (void)argv;
    if (id < 0) return -errno;
    semctl(id, 0, IPC_RMID);
    return 0;
}
static int posix_segment(int argc, char **argv) {
    const char *name = word_at(argc, argv, 0, "/mw-attack");
    int fd = shm_open(name, O_RDWR | O_CREAT, 0600);
    if (fd < 0) return -errno;
    shm_unlink(name);
    return 0;
}

/* System calls by another door. */
static int other_table(int argc, char **argv) {
    (void)argc, (void)argv;
#ifdef __x86_64__
    return answer(syscall(0x40000000l + SYS_socket, 2, 2, 0));
#else
    return -ENOSYS;
#endif
}
static int old_gate(int argc, char **argv) { /* int 0x80: i386's socketcall */
    (void)argc, (void)argv;
#ifdef __x86_64__
    long rc;
    __asm__ volatile("int $0x80" : "=a"(rc) : "a"(359 /* socket */), "b"(2), "c"(2), "d"(0) : "memory", "r8", "r9", "r10", "r11");
    return rc < 0 ? (int)rc : 0;
#else
    return -ENOSYS;
#endif
}
static int unknown_call(int argc, char **argv) { return answer(syscall(number_at(argc, argv, 0, 999), 0, 0, 0, 0, 0, 0)); }

/* ---- Using things up --------------------------------------------------------------------------------------------------------- */

static int forks(int argc, char **argv) { /* more than N processes at once */
    int want = number_at(argc, argv, 0, 50), rc = 0, ends[2];
    char end;

    if (pipe(ends) < 0) return -errno;
    for (int i = 0; i < want && rc == 0; i++) {
        pid_t pid = fork();
        if (pid < 0) rc = -errno;
        if (pid == 0) {
            close(ends[1]);
            _exit(read(ends[0], &end, 1) != 0);          /* until we have gone */
        }
    }
    close(ends[1]);
    while (wait(NULL) > 0) {}
    return rc;
}
static int eat_memory(int argc, char **argv) { /* N MiB, touched */
    for (int i = 0; i < number_at(argc, argv, 0, 1024); i++) {
        char *at = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED) return -errno;
        memset(at, 1, 1 << 20);
    }
    return 0;
}
static int eat_descriptors(int argc, char **argv) {
    for (int i = 0; i < number_at(argc, argv, 0, 1024); i++)
        if (dup(1) < 0) return -errno;
    return 0;
}
static int spin(int argc, char **argv) { /* N seconds of processor time */
    volatile unsigned long n = 0;
    struct timespec now;
    do {
        for (int i = 0; i < 1000000; i++) n++;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    } while (now.tv_sec < number_at(argc, argv, 0, 5));
    return 0;
}
static int raise_limit(int argc, char **argv) {
    struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
    return answer(setrlimit((__rlimit_resource_t)number_at(argc, argv, 0, RLIMIT_AS), &all));
}
static int flood(int argc, char **argv) { /* N MiB of output */
    static char room[1 << 16];
    memset(room, 'x', sizeof room);
    for (int i = 0; i < number_at(argc, argv, 0, 100) * 16; i++)
        if (write(1, room, sizeof room) < 0) return -errno;
    return 0;
}

const struct attempt system_attempts[] = {
    { "unshare-user", unshare_user }, { "unshare-mounts", unshare_mounts }, { "unshare-net", unshare_net }, { "clone-user", clone_user },
    { "clone3-user", clone3_user }, { "setns", enter }, { "add-key", keyring }, { "keyctl", session_keys }, { "bpf", bpf_map },
    { "perf", perf }, { "userfaultfd", faults }, { "syslog", kernel_log }, { "module", load_module }, { "kexec", kexec }, { "swap", swap },
    { "hostname", host_name }, { "clock", clock_step }, { "fanotify", notify_all }, { "personality", persona }, { "shmget", shared_segment },
    { "shm-key", shared_by_key }, { "msgget", messages }, { "semget", semaphores }, { "shm-open", posix_segment }, { "x32", other_table },
    { "int80", old_gate }, { "call", unknown_call }, { "forks", forks }, { "memory", eat_memory }, { "files", eat_descriptors },
    { "spin", spin }, { "raise-limit", raise_limit }, { "flood", flood }, { NULL, NULL }
};
