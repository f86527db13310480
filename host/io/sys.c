/* What the machine and the process tell: see sys.h.
 * Knows: base, core/host, policy/permit, uv.h. Never: Lua values; a fact or variable without its right. */
#include "io/sys.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "policy/permit.h"

extern char **environ;

#define NAME_ROOM 256                /* bytes of a variable's name that we look at */

static int permit(mw_host *h, const char *kind, const char *op, struct mw_err *err) {
    return mw_permit_text(mw_host_policy(h), MW_SYS, kind, op, err);
}

int mw_sys_hostname(mw_host *h, char *out, size_t size, struct mw_err *err) {
    int rc = permit(h, "hostname", "sys hostname", err);

    if (rc < 0) return rc;
    if (gethostname(out, size) < 0) return mw_err_sys(err, "sys hostname", NULL);
    out[size - 1] = '\0';
    return 0;
}

int mw_sys_os_release(mw_host *h, char *out, size_t size, struct mw_err *err) {
    int rc = permit(h, "osRelease", "sys os_release", err);
    struct utsname it;

    if (rc < 0) return rc;
    if (uname(&it) < 0) return mw_err_sys(err, "sys os_release", NULL);
    if (strlen(it.release) >= size) return mw_err_set(err, -ERANGE, "sys os_release", NULL, NULL);
    strcpy(out, it.release);
    return 0;
}

int mw_sys_loadavg(mw_host *h, double out[3], struct mw_err *err) {
    int rc = permit(h, "loadavg", "sys loadavg", err);

    if (rc == 0) uv_loadavg(out);
    return rc;
}

int mw_sys_cpus(mw_host *h, int64_t *out, struct mw_err *err) {
    int rc = permit(h, "cpus", "sys cpus", err);
    cpu_set_t set;

    if (rc < 0) return rc;
    if (sched_getaffinity(0, sizeof set, &set) == 0) *out = CPU_COUNT(&set);
    else *out = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than the set has room for */
    if (*out < 1) *out = 1;
    return 0;
}

int mw_sys_memory(mw_host *h, struct mw_sys_memory *out, struct mw_err *err) {
    int rc = permit(h, "memory", "sys memory", err);
    struct sysinfo it;

    if (rc < 0) return rc;
    if (sysinfo(&it) < 0) return mw_err_sys(err, "sys memory", NULL);
    out->total = (uint64_t)it.totalram * it.mem_unit;
    out->free = (uint64_t)it.freeram * it.mem_unit;
    out->available = uv_get_free_memory(); /* the kernel's MemAvailable, where it has one */
    if (out->available < out->free) out->available = out->free;
    return 0;
}

int mw_sys_homedir(mw_host *h, char *out, size_t size, struct mw_err *err) {
    int rc = permit(h, "homedir", "sys homedir", err);

    if (rc < 0) return rc;
    rc = uv_os_homedir(out, &size);
    return rc < 0 ? mw_err_set(err, rc, "sys homedir", NULL, NULL) : 0;
}

int mw_sys_uid(mw_host *h, int64_t *out, struct mw_err *err) {
    int rc = permit(h, "uid", "sys uid", err);

    if (rc == 0) *out = getuid();
    return rc;
}

int mw_sys_gid(mw_host *h, int64_t *out, struct mw_err *err) {
    int rc = permit(h, "gid", "sys gid", err);

    if (rc == 0) *out = getgid();
    return rc;
}

int mw_sys_pid(mw_host *h, int64_t *out, struct mw_err *err) {
    int rc = permit(h, "pid", "sys pid", err);

    if (rc == 0) *out = getpid();
    return rc;
}

static void address_text(const struct sockaddr *sa, char *out, size_t size) {
    out[0] = '\0';
    if (sa == NULL) return;
    if (sa->sa_family == AF_INET) inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, out, (socklen_t)size);
    if (sa->sa_family == AF_INET6) inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, out, (socklen_t)size);
}

/* Not libuv's: 1.44.2 does not look whether its copy of a name could be allocated. */
int mw_sys_interfaces(mw_host *h, struct mw_sys_interface **list, size_t *count, struct mw_err *err) {
    int rc = permit(h, "networkInterfaces", "sys network_interfaces", err);
    struct mw_sys_interface *out;
    struct ifaddrs *all, *it;
    size_t n = 0;

    if (rc < 0) return rc;
    if (getifaddrs(&all) < 0) return mw_err_sys(err, "sys network_interfaces", NULL);
    for (it = all; it != NULL; it = it->ifa_next) n++;
    out = calloc(n + 1, sizeof *out);
    *count = 0;
    for (it = all; it != NULL && out != NULL; it = it->ifa_next) {
        struct mw_sys_interface *to = &out[*count];

        if (it->ifa_addr == NULL || !(it->ifa_flags & IFF_UP)) continue;
        if (it->ifa_addr->sa_family != AF_INET && it->ifa_addr->sa_family != AF_INET6) continue;
        snprintf(to->name, sizeof to->name, "%s", it->ifa_name);
        address_text(it->ifa_addr, to->address, sizeof to->address);
        address_text(it->ifa_netmask, to->netmask, sizeof to->netmask);
        to->v6 = it->ifa_addr->sa_family == AF_INET6;
        to->internal = (it->ifa_flags & IFF_LOOPBACK) != 0;
        ++*count;
    }
    freeifaddrs(all);
    *list = out;
    return out == NULL ? mw_err_set(err, MW_ENOMEM, "sys network_interfaces", NULL, NULL) : 0;
}

/* ---- Variables ---------------------------------------------------------------------------------------------------------- */

int mw_env_get(mw_host *h, const char *name, const char **out, struct mw_err *err) {
    int rc = mw_permit_text(mw_host_policy(h), MW_ENV, name, "env get", err);

    *out = rc < 0 ? NULL : getenv(name);
    return rc;
}

int mw_env_each(mw_host *h, int (*fn)(void *ud, const char *name, size_t name_len, const char *value), void *ud) {
    for (char **at = environ; at != NULL && *at != NULL; at++) {
        const char *sign = strchr(*at, '=');
        char name[NAME_ROOM];
        size_t len;
        int rc;

        if (sign == NULL || sign == *at) continue;
        len = (size_t)(sign - *at);
        if (len >= sizeof name) continue; /* no rule can name it */
        memcpy(name, *at, len);
        name[len] = '\0';
        if (mw_policy_query(mw_host_policy(h), MW_ENV, name) != MW_GRANTED) continue;
        rc = fn(ud, name, len, sign + 1);
        if (rc != 0) return rc;
    }
    return 0;
}

/* ---- Free for all ------------------------------------------------------------------------------------------------------- */

double mw_sys_wall(void) {
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int mw_sys_random(void *out, size_t len, struct mw_err *err) {
    char *at = out;

    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);

        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return mw_err_sys(err, "random bytes", NULL);
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

const char *mw_sys_option(const char *name) {
    char whole[64] = "MOONWIRE_";

    if (strlen(name) + sizeof "MOONWIRE_" > sizeof whole) return NULL;
    return getenv(strcat(whole, name));
}
