/* without CALL[,CALL...][:EPERM] PROGRAM ARGS...: runs it as on a kernel that lacks these system calls (they answer ENOSYS), or in a
 * container whose filter does not know them (EPERM). `landlock` is its three.
 * Knows: seccomp(2). Never: changes anything else. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAMES_MAX 16

/* Numbers that older headers do not have are the same on every architecture. */
static const struct { const char *name; unsigned first, last; } known[] = {
    { "landlock", 444, 446 }, { "clone3", 435, 435 }, { "close_range", 436, 436 }, { "waitid", SYS_waitid, SYS_waitid },
    { "accept4", SYS_accept4, SYS_accept4 }, { "getrandom", SYS_getrandom, SYS_getrandom }, { "seccomp", SYS_seccomp, SYS_seccomp },
    { "memfd_create", SYS_memfd_create, SYS_memfd_create }, { "pidfd_send_signal", 424, 424 }, { "clone", SYS_clone, SYS_clone },
    { "pipe2", SYS_pipe2, SYS_pipe2 }, { "tee", SYS_tee, SYS_tee }, { "unlinkat", SYS_unlinkat, SYS_unlinkat },
};

static int find(const char *name) {
    size_t i;

    for (i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name) == 0) return (int)i;
    }
    return -1;
}

int main(int argc, char **argv) {
    struct sock_filter code[2 + 3 * NAMES_MAX];
    struct sock_fprog filter = { 0, code };
    unsigned n = 0, answer = ENOSYS;
    char *error, *name;

    if (argc < 3) return fputs("without CALL[,CALL...][:EPERM] PROGRAM ARGS...\n", stderr), 2;
    error = strchr(argv[1], ':');
    if (error != NULL && strcmp(error, ":EPERM") == 0) answer = EPERM;
    else if (error != NULL) return fprintf(stderr, "without: %s?\n", error), 2;
    if (error != NULL) *error = '\0';
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (name = strtok(argv[1], ","); name != NULL && n + 4 <= sizeof code / sizeof *code; name = strtok(NULL, ",")) {
        int i = find(name);
        if (i < 0) return fprintf(stderr, "without: %s?\n", name), 2;
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, known[i].first, 0, 2);
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, known[i].last, 1, 0);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | answer);
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter.len = (unsigned short)n;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0) {
        perror("without: seccomp");
        return 2;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 127;
}
