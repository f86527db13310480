/* A program of somebody else's, built against what was installed: it runs one script with a host, from C and from C++.
 * Knows: moonwire.h by its installed name. Never: this tree. */
#ifdef __cplusplus
#include <moonwire.hpp>
#endif
#include <moonwire.h>

#include <stdio.h>
#include <string.h>

static void on_print(mw_host *h, const char *text, size_t len, void *ud) {
    (void)h;
    (void)ud;
    printf("%.*s", (int)len, text);
}

int main(int argc, char **argv) {
    struct mw_err err;
    struct mw_config cfg;
    mw_host *h = NULL;
    mw_policy *policy = NULL;
    const char *text = argc > 1 ? argv[1] : "print('nothing to do')";
    int status = 1, rc;

    mw_config_init(&cfg);
    cfg.on_print = on_print;
    rc = mw_policy_new(&policy, &err);
    cfg.policy = policy;
    if (rc == 0) rc = mw_host_new(&cfg, &h, &err);
    if (rc == 0) rc = mw_host_load_string(h, text, strlen(text), "=outside", &err);
    if (rc == 0) rc = mw_host_run(h, &status, &err);
    if (rc < 0) fprintf(stderr, "%s: %s\n", mw_err_name(rc), err.message);
    printf("%s %s\n", strncmp(mw_version(), MW_VERSION, strlen(MW_VERSION)) == 0 ? "is" : "is not", MW_VERSION);
    mw_host_free(h);
    mw_policy_free(policy);
    return rc < 0 ? 1 : status;
}
