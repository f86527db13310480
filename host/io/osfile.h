/* What stands behind Lua's os and io: named things, permitted first, as system calls have them.
 * Knows: policy, POSIX. Never: Lua values. */
#ifndef MW_IO_OSFILE_H
#define MW_IO_OSFILE_H

#include <stddef.h>

#include "policy/permit.h"

/* As remove(3): a file, or an empty directory. */
int mw_os_remove(mw_policy *p, const char *path, struct mw_err *err);
/* A new, empty file in TMPDIR (or /tmp), which takes a write right there. out has PATH_MAX bytes. */
int mw_os_tmpname(mw_policy *p, char *out, struct mw_err *err);
/* The same, open for both and without a name. */
int mw_os_tmpfile(mw_policy *p, int *fd, struct mw_err *err);
/* The variable's value, lent by the environment; *value NULL: unset. */
int mw_os_getenv(mw_policy *p, const char *name, const char **value, struct mw_err *err);

/* The user's own path for Lua's modules, the value of `name`, lent by the environment; NULL: unset, or not with all rights. */
const char *mw_os_search_path(const mw_policy *p, const char *name);

/* A whole text file: malloc'd, given. `module`: by mw_permit_module. At most 64 MiB. */
int mw_os_read_text(mw_policy *p, const char *path, int module, const char *op, char **text, size_t *len, struct mw_err *err);

/* Loads a native module under its ffi right; *fn is its function `symbol`, NULL when it has none. Stays loaded. */
int mw_os_load_native(mw_policy *p, const char *path, const char *symbol, void **fn, struct mw_err *err);
/* 1 if there is a file of that name in the system's own directory of native Lua modules (which is no secret). */
int mw_os_native_exists(const char *path);

#endif
