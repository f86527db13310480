/* What a host tells its embedder, kept for the test to look at: the hooks, a configuration with them, and a host of it.
 * Knows: moonwire.h, support/check. Never: what is under moonwire.h. */
#ifndef SPEC_SUPPORT_HEARD_H
#define SPEC_SUPPORT_HEARD_H

#include "moonwire.h"
#include "support/check.h"

#define MW "local mw = require 'moonwire' "

/* What a test keeps beside it stands behind it, in a struct of its own that begins with this. */
struct heard {
    char print[8192], log[4096], error[2048], trace[4096];
    int errors, code;
};

__attribute__((unused)) static void heard_print(mw_host *h, const char *text, size_t len, void *ud) {
    struct heard *s = ud;
    (void)h;
    snprintf(s->print + strlen(s->print), sizeof s->print - strlen(s->print), "%.*s", (int)len, text);
}
__attribute__((unused)) static void heard_log(mw_host *h, enum mw_level level, const char *line, size_t len, void *ud) {
    struct heard *s = ud;
    (void)h;
    (void)level;
    snprintf(s->log + strlen(s->log), sizeof s->log - strlen(s->log), "%.*s", (int)len, line);
}
__attribute__((unused)) static void heard_error(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) {
    struct heard *s = ud;
    (void)h;
    s->errors++;
    s->code = err->code;
    snprintf(s->error, sizeof s->error, "%s", err->message);
    snprintf(s->trace, sizeof s->trace, "%s", traceback);
}

/* ud: a struct that begins with struct heard; zeroed by its owner. */
__attribute__((unused)) static struct mw_config heard_config(void *ud, unsigned shutdown_ms) {
    struct mw_config cfg;

    mw_config_init(&cfg);
    cfg.on_print = heard_print;
    cfg.on_log = heard_log;
    cfg.on_error = heard_error;
    cfg.shutdown_ms = shutdown_ms;
    cfg.ud = ud;
    return cfg;
}

/* A host on that loop, or, without one, on its own; NULL, and the reason is told. */
__attribute__((unused)) static mw_host *heard_host(const struct mw_config *cfg, struct uv_loop_s *loop) {
    struct mw_err err;
    mw_host *h = NULL;

    if ((loop != NULL ? mw_host_new_on(loop, cfg, &h, &err) : mw_host_new(cfg, &h, &err)) != 0) printf("# %s\n", err.message);
    return h;
}
/* 0, or a code, and the reason is told. */
__attribute__((unused)) static int heard_load(mw_host *h, const char *text) {
    struct mw_err err;
    int rc = mw_host_load_string(h, text, strlen(text), "=test", &err);

    if (rc < 0) printf("# %s\n", err.message);
    return rc;
}

#endif
