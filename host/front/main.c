/* The program: the command line in, the exit status out.
 * Knows: moonwire.h, front/.
 * Never: does a command's work itself. */
#include <errno.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdlib.h>
#include <string.h>
#ifdef __SANITIZE_ADDRESS__
#include <sys/prctl.h>
#endif
#include <sys/resource.h>
#include <unistd.h>

#include "front/fail_alloc.h"
#include "front/flags.h"
#include "front/help.h"
#include "front/report.h"
#include "front/run.h"
#include "front/signals.h"

enum { STATUS_FAILED = 1, STATUS_USAGE = 2 };
enum { KEPT = 4 << 20 };         /* bytes */

/* Whoever started us may have closed a standard stream; a file opened later must not take its number. What stands there then
 * fails as a closed one would. */
static int hold_standard_streams(void) {
    static const int modes[] = { O_WRONLY, O_RDONLY, O_RDONLY };

    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || open("/dev/null", modes[fd]) == fd) continue;
        mw_report_line("a standard stream is closed, and /dev/null cannot stand in for it: %s", strerror(errno));
        return -1;
    }
    return 0;
}

/* Strings of some hundred KiB come and go when much is read. malloc's own way is to give the end of its memory back at each
 * collection, and to have the kernel clear it anew a moment later: 73,000 page faults for a GiB through `cat`, 1,400 so. At most so much
 * stays with us for later; larger blocks are the kernel's own and go back at once. */
static void keep_freed_memory(void) {
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, KEPT);
    mallopt(M_MMAP_THRESHOLD, KEPT);
#endif
}

/* Was everything printed really taken? */
static int finish_stdout(void) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    if (errno != EBADF) mw_report_line("standard output: %s", strerror(errno));
    return STATUS_FAILED;
}

static int usage(const struct mw_err *err) {
    if (err->code != MW_EINVAL) mw_report_failure(err);
    else mw_report_usage(err);
    return err->code == MW_EINVAL ? STATUS_USAGE : STATUS_FAILED;
}

/* `moonwire rnu x.lua`: a word that is no command, and no file either. */
static int mistyped(const struct mw_flags *flags) {
    const char *near, *word = flags->args[0];

    if (!flags->bare || access(word, F_OK) == 0) return 0;
    near = mw_table_nearest_command(word);
    if (strchr(word, ' ') != NULL) mw_report_line("unknown command '%.200s' (in a #! line: #!/usr/bin/env -S moonwire run ...)", word);
    else if (near != NULL) mw_report_line("unknown command %.200s, and no such file (did you mean %s?)", word, near);
    else mw_report_line("unknown command %.200s, and no such file", word);
    return 1;
}

/* `moonwire --timeout=1s eval 1`: a command behind its options is taken for a script. */
static int late_command(const struct mw_flags *flags, const char *first) {
    const char *word = flags->args[0];

    if (first[0] != '-' || word == NULL || mw_table_command_of(word) < 0 || access(word, F_OK) == 0) return 0;
    mw_report_line("no file is called %.200s; the command comes before its options: moonwire %.200s %.200s ...", word, word, first);
    return 1;
}

/* What mw.log is told by the environment: a word that it does not know would go unheard. */
static int bad_level(void) {
    static const char *const levels[] = { "debug", "info", "warn", "error", "off" };
    const char *level = getenv("MOONWIRE_LOG");

    if (level == NULL || *level == '\0') return 0;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(level, levels[i]) == 0) return 0;
    mw_report_line("MOONWIRE_LOG=%.200s: debug, info, warn, error or off is expected", level);
    return 1;
}

/* 1 when `ulimit -s` leaves too little to run a script on. */
static int short_of_stack(void) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_STACK, &limit) < 0 || limit.rlim_cur >= 2 * (rlim_t)MW_STACK_LEAST) return 0;
    mw_report_line("the stack is limited to %llu KiB, %d are needed (ulimit -s 1024)",
                   (unsigned long long)limit.rlim_cur >> 10, MW_STACK_LEAST >> 9);
    return 1;
}

static int dispatch(struct mw_flags *flags, const char *const *argv, uint64_t files, struct mw_err *err) {
    const char *timeout = getenv("MOONWIRE_TIMEOUT"), *limits = getenv("MOONWIRE_LIMIT");

    switch (flags->command) {
    case MW_CMD_HELP:
        mw_help_print(stdout, flags->topic);
        return finish_stdout();
    case MW_CMD_VERSION:
        printf("moonwire %s\n", mw_version());
        return finish_stdout();
    case MW_CMD_COMPLETIONS:
        mw_completions_print(stdout, flags->args[0]);
        return finish_stdout();
    case MW_CMD_RUN:
        if (mistyped(flags) || late_command(flags, argv[1])) return STATUS_USAGE;
        break;
    default: break;
    }
    if (timeout != NULL && *timeout != '\0' && flags->command != MW_CMD_CHILD && flags->command != MW_CMD_CHECK &&
        mw_flags_timeout(flags, timeout, "MOONWIRE_TIMEOUT", err) < 0) return usage(err);
    if (limits != NULL && *limits != '\0' && flags->command != MW_CMD_CHILD && flags->command != MW_CMD_CHECK &&
        mw_flags_limits(flags, limits, "MOONWIRE_LIMIT", err) < 0) return usage(err);
    if (flags->command != MW_CMD_CHILD && flags->command != MW_CMD_CHECK && bad_level()) return STATUS_USAGE;
    if (short_of_stack()) return STATUS_FAILED;
    return mw_run(flags, argv, files);
}

#ifdef __SANITIZE_ADDRESS__
/* The search for leaks traces its own process, which a confined one must not. */
static int confined;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return confined; }
#endif

int main(int argc, char **argv) {
    static const char *const prompt[] = { "moonwire", "repl", NULL };
    const char *const *words = (const char *const *)argv;
    struct mw_flags flags;
    struct mw_err err;
    uint64_t files;
    int status;

    mw_fail_alloc_start();
    keep_freed_memory();
    if (hold_standard_streams() < 0) return STATUS_FAILED;
    mw_signals_settle(&files);
#ifdef __SANITIZE_ADDRESS__
    confined = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2; /* a child of a confining one, whatever it runs */
#endif
    if (argc == 1 && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) words = prompt, argc = 2; /* as other languages have it */
    status = mw_flags_parse(argc, words, &flags, &err) < 0 ? usage(&err) : dispatch(&flags, words, files, &err);
    mw_flags_free(&flags);
    return status;
}
