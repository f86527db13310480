/* Fuzz target: any bytes as a saved policy. What is accepted can be asked, copied and saved; nothing is opened but by O_PATH.
 * Knows: policy. Never: writes outside memory. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "policy/save.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    mw_policy *p = NULL, *copy = NULL;
    struct mw_err err;
    int fd;

    if (mw_policy_parse(data, size, &p, &err) != 0) return 0;
    (void)mw_policy_query(p, MW_READ, "/tmp/x");
    (void)mw_policy_query(p, MW_NET, "10.0.0.1:80");
    (void)mw_policy_query(p, MW_ENV, "HOME");
    fd = memfd_create("policy", MFD_CLOEXEC);
    if (fd >= 0) {
        if (mw_policy_save(p, fd, &err) != 0 || mw_policy_load(fd, &copy, &err) != 0) abort();
        close(fd);
    }
    mw_policy_free(copy);
    mw_policy_free(p);
    return 0;
}
