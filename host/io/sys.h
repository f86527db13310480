/* What the machine and the process tell: facts by kind, variables, clocks, random bytes.
 * Knows: base, core/host, policy/permit, uv.h. Never: Lua values; a fact or variable without its right. */
#ifndef MW_IO_SYS_H
#define MW_IO_SYS_H

#include <stddef.h>
#include <stdint.h>

#include "core/host.h"

/* Each asks for its own sys right first: the word in its comment. 0 or a code. */
int mw_sys_hostname(mw_host *h, char *out, size_t size, struct mw_err *err);            /* hostname */
int mw_sys_os_release(mw_host *h, char *out, size_t size, struct mw_err *err);          /* osRelease */
int mw_sys_loadavg(mw_host *h, double out[3], struct mw_err *err);                      /* loadavg */
int mw_sys_cpus(mw_host *h, int64_t *out, struct mw_err *err);                          /* cpus: those we may run on */
struct mw_sys_memory { uint64_t total, free, available; };                              /* bytes */
int mw_sys_memory(mw_host *h, struct mw_sys_memory *out, struct mw_err *err);           /* memory */
int mw_sys_homedir(mw_host *h, char *out, size_t size, struct mw_err *err);             /* homedir */
int mw_sys_uid(mw_host *h, int64_t *out, struct mw_err *err);                           /* uid */
int mw_sys_gid(mw_host *h, int64_t *out, struct mw_err *err);                           /* gid */
int mw_sys_pid(mw_host *h, int64_t *out, struct mw_err *err);                           /* pid */
struct mw_sys_interface {
    char name[32], address[64], netmask[64];     /* the netmask may be "" */
    int v6, internal;
};
/* networkInterfaces: those that are up, one entry an address; *list is given: free(). */
int mw_sys_interfaces(mw_host *h, struct mw_sys_interface **list, size_t *count, struct mw_err *err);

/* The value of a variable, lent until the environment changes; NULL in *out when unset. MW_EDENIED without its env right. */
int mw_env_get(mw_host *h, const char *name, const char **out, struct mw_err *err);
/* Calls fn for each variable that a right covers, asking nobody. fn returns 0 to go on. */
int mw_env_each(mw_host *h, int (*fn)(void *ud, const char *name, size_t name_len, const char *value), void *ud);

/* Free for all. */
double mw_sys_wall(void);                        /* seconds since 1970 */
int mw_sys_random(void *out, size_t len, struct mw_err *err);
const char *mw_sys_option(const char *name);     /* MOONWIRE_`name` of the environment: an option of ours; lent; or NULL */

#endif
