/* Stands in for the policy until it lands (this file goes with that commit): allows everything, opens plainly.
 * Knows: policy. Never: in a release. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/permit.h"

struct mw_policy { int unused; };
int mw_policy_new(mw_policy **out, struct mw_err *err) { (void)err; *out = calloc(1, sizeof **out); return *out ? 0 : MW_ENOMEM; }
void mw_policy_free(mw_policy *p) { free(p); }
int mw_policy_copy(const mw_policy *p, mw_policy **out, struct mw_err *err) { (void)p; return mw_policy_new(out, err); }
int mw_policy_add(mw_policy *p, enum mw_kind k, enum mw_effect e, const char *r, struct mw_err *err) { (void)p; (void)k; (void)e; (void)r; (void)err; return 0; }
int mw_policy_add_one(mw_policy *p, enum mw_kind k, enum mw_effect e, const char *r, struct mw_err *err) { return mw_policy_add(p, k, e, r, err); }
int mw_policy_add_all(mw_policy *p, struct mw_err *err) { (void)p; (void)err; return 0; }
int mw_policy_is_total(const mw_policy *p) { (void)p; return 1; }
int mw_policy_narrow(mw_policy *p, struct mw_err *err) { (void)p; (void)err; return 0; }
int mw_policy_covers(const mw_policy *p, enum mw_kind k, const char *r, struct mw_err *err) { (void)p; (void)k; (void)r; (void)err; return 0; }
int mw_policy_save(const mw_policy *p, int fd, struct mw_err *err) { (void)p; (void)fd; (void)err; return 0; }
int mw_policy_load(int fd, mw_policy **out, struct mw_err *err) { (void)fd; return mw_policy_new(out, err); }
const char *mw_kind_name(enum mw_kind kind) { static const char *const n[] = {"read", "write", "net", "connect", "listen", "run", "trust", "env", "sys", "share", "ffi"}; return n[kind]; }
int mw_kind_of(const char *name) { for (int i = 0; i < MW_KINDS; i++) if (strcmp(name, mw_kind_name((enum mw_kind)i)) == 0) return i; return -1; }
void mw_place_close(struct mw_place *at) { if (at->fd >= 0) close(at->fd); at->fd = -1; }
int mw_permit_path(mw_policy *p, unsigned kinds, const char *path, enum mw_at how, const char *op, struct mw_place *out, struct mw_err *err) {
    char dir[PATH_MAX]; const char *slash = strrchr(path, '/');
    (void)p; (void)kinds; out->leaf[0] = 0;
    if (how == MW_AT_OBJECT) { out->fd = open(path, O_PATH | O_CLOEXEC); return out->fd < 0 ? mw_err_sys(err, op, path) : 0; }
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    out->fd = open(dir, O_PATH | O_CLOEXEC | O_DIRECTORY); snprintf(out->leaf, sizeof out->leaf, "%.255s", slash ? slash + 1 : path);
    return out->fd < 0 ? mw_err_sys(err, op, path) : 0;
}
int mw_permit_open(mw_policy *p, const char *path, int flags, mode_t mode, int regular, const char *op, int *fd, struct mw_err *err) { (void)p; (void)regular; *fd = open(path, flags | O_CLOEXEC, mode); return *fd < 0 ? mw_err_sys(err, op, path) : 0; }
int mw_permit_host(mw_policy *p, enum mw_kind k, const char *h, int port, const char *op, struct mw_err *err) { (void)p; (void)k; (void)h; (void)port; (void)op; (void)err; return 0; }
int mw_permit_addr(mw_policy *p, enum mw_kind k, const char *h, const struct sockaddr *sa, socklen_t n, const char *op, struct mw_err *err) { (void)p; (void)k; (void)h; (void)sa; (void)n; (void)op; (void)err; return 0; }
int mw_permit_unix(mw_policy *p, enum mw_kind k, const char *name, const char *op, struct mw_place *out, struct mw_err *err) { (void)k; out->fd = -1; out->leaf[0] = 0; return name[0] == '@' ? 0 : mw_permit_path(p, 0, name, MW_AT_NAME, op, out, err); }
int mw_permit_exec(mw_policy *p, const char *name, int dirfd, const char *op, struct mw_program *out, struct mw_err *err) {
    const char *path = getenv("PATH"); (void)p; memset(out, 0, sizeof *out);
    if (strchr(name, '/')) { snprintf(out->path, sizeof out->path, "%s", name); out->fd = openat(dirfd, name, O_PATH | O_CLOEXEC); }
    else for (out->fd = -1; path && *path && out->fd < 0; path += strcspn(path, ":"), path += *path == ':') { snprintf(out->path, sizeof out->path, "%.*s/%s", (int)strcspn(path, ":"), path, name); out->fd = open(out->path, O_PATH | O_CLOEXEC); }
    return out->fd < 0 ? mw_err_set(err, MW_ENOENT, op, name, NULL) : 0;
}
void mw_program_close(struct mw_program *it) { if (it->fd >= 0) close(it->fd); it->fd = -1; }
int mw_permit_text(mw_policy *p, enum mw_kind k, const char *name, const char *op, struct mw_err *err) { (void)p; (void)k; (void)name; (void)op; (void)err; return 0; }
