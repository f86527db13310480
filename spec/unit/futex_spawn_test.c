/* Waiting for numbers on a kernel that has no futex_waitv(2): a filter refuses it.
 * Knows: moonwire.h, seccomp. Never: changes the test's own process. */
#include "support/check.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "moonwire.h"

#define FUTEX_WAITV 449u     /* the same on every architecture */

static int refuse_waitv(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FUTEX_WAITV, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog all = { sizeof code / sizeof *code, code };

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) == 0;
}

/* In a process of its own: the script's status, or above 100 what went wrong before it. */
static int run(const char *script) {
    struct mw_config cfg;
    struct mw_err err;
    mw_host *h = NULL;
    int status = 0;

    if (!refuse_waitv()) return 101;
    mw_config_init(&cfg);
    cfg.warden = 0;
    if (mw_host_new(&cfg, &h, &err) < 0 || mw_host_load_string(h, script, strlen(script), "=test", &err) < 0) return 102;
    if (mw_host_run(h, &status, &err) < 0) return 103;
    mw_host_free(h);
    return status;
}

TEST(waiters_are_woken_time_out_and_are_cancelled_without_futex_waitv) {
    static const char script[] =
        "local mw = require 'moonwire' local m <close> = mw.shm.create { size = 4096 } local done = 0 "
        "mw.task.scope(function(s) "
        "  for i = 0, 199 do s:spawn(function() assert(m:wait_u32(i * 4, 0, { timeout = 30 })) done = done + 1 end) end "
        "  for i = 0, 199 do mw.task.sleep(0) m:set_u32(i * 4, 1) m:wake_u32(i * 4) end "
        "end) assert(done == 200) "
        "local _, err = m:wait_u32(0, 1, { timeout = 0.001 }) assert(err.code == 'ETIMEDOUT') "
        "assert(mw.task.timeout(0.001, function() return m:wait_until_u32(0, 7) end) == nil)";
    pid_t child = fork();
    int status = -1;

    REQUIRE(child >= 0);
    if (child == 0) _exit(run(script));
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (status != 0) printf("# status %d\n", status);
}
