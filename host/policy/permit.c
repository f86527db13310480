/* Permits of what has no path: hosts, addresses, Unix socket names, variables, system information, shared names.
 * Knows: grants. Never: resolves, opens. */
#include "policy/permit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "policy/deny.h"

#define NET_TEXT 320             /* "[v6]:port" or a host name of 253 bytes with a port */

/* ---- Net ------------------------------------------------------------------------------------------------------------------ */

static void net_subject(const char *host, int port, char out[NET_TEXT]) {
    snprintf(out, NET_TEXT, strchr(host, ':') != NULL ? "[%.256s]:%d" : "%.256s:%d", host, port);
}

/* Reads the host that a script gave. 1: an address (in *addr); 2: a name (in name); 3: every address; 0: neither. */
static int read_host(enum mw_kind kind, const char *host, char name[256], struct mw_net_addr *addr) {
    size_t bad, len = strcspn(host, "%"); /* a zone names an interface, not another address */

    if (host[0] == 0 || strcmp(host, "*") == 0) return 3;
    if (host[len] != 0 && (host[len + 1] == 0 || memchr(host, ':', len) == NULL)) return 0;
    if (mw_net_read(host, len, addr)) {
        if (kind == MW_CONNECT && mw_net_wild(addr)) {
            if (addr->v6) addr->bytes[15] = 1;
            else memcpy(addr->bytes, "\x7f\0\0\1", 4);
        }
        return 1;
    }
    return mw_net_host(host, strlen(host), name, &bad) ? 2 : 0;
}

/* A question to a name server leaves this machine, and may carry anything: a name is looked up for those alone who may reach it by
 * name, or every address at that port. "localhost" is known here. */
static int may_look_up(const mw_policy *p, const char *name, struct mw_target t) {
    static const struct mw_net_addr all[2] = {{0, 0, {0}}, {1, 0, {0}}};
    struct mw_decision d;

    if (mw_net_localhost(name)) return 1;
    for (int i = 0; i < 2; i++) {
        t.addr = &all[i];
        mw_decide(p, &t, &d);
        if (d.verdict == MW_YES) return 1;
    }
    return 0;
}

int mw_permit_host(mw_policy *p, enum mw_kind kind, const char *host, int port, const char *op, struct mw_err *err) {
    struct mw_target t = {.kind = kind, .port = port, .some_port = kind == MW_CONNECT && port == 0};
    struct mw_net_addr addr;
    char subject[NET_TEXT], name[256];

    t.before = 1;
    if (t.some_port) snprintf(subject, sizeof subject, "%.256s", host);
    else net_subject(host, port, subject);
    switch (read_host(kind, host, name, &addr)) {
    case 1:
        t.addr = &addr;
        if (!t.some_port && inet_ntop(addr.v6 ? AF_INET6 : AF_INET, addr.bytes, name, sizeof name) != NULL) net_subject(name, port, subject);
        t.wild = kind == MW_LISTEN && mw_net_wild(&addr);
        break;
    case 2:
        t.host = name;
        t.unresolved = may_look_up(p, name, t);
        break;
    case 3:
        if (kind != MW_LISTEN) return mw_err_set(err, MW_EINVAL, op, host, "a host is expected");
        t.unresolved = 1; /* which family, the caller tries */
        snprintf(subject, sizeof subject, ":%d", port); /* as rules have it: `*` is an address, and no rule */
        break;
    default: return mw_err_set(err, MW_EINVAL, op, host, "neither a host name nor an address in its usual spelling");
    }
    return mw_decide_or_ask(err, p, op, kind, subject, &t);
}

int mw_permit_addr(mw_policy *p, enum mw_kind kind, const char *host, const struct sockaddr *sa, socklen_t len, const char *op, struct mw_err *err) {
    struct mw_target t = {.kind = kind};
    struct mw_net_addr addr, literal;
    char subject[NET_TEXT], name[256], text[INET6_ADDRSTRLEN];
    int as = read_host(kind, host, name, &literal);

    t.port = mw_net_from(sa, len, kind == MW_CONNECT, &addr);
    if (t.port < 0) return mw_err_set(err, MW_EINVAL, op, host, "no IP address");
    t.addr = &addr;
    t.wild = kind == MW_LISTEN && mw_net_wild(&addr);
    if (as == 2) t.host = name;
    if (as == 2) net_subject(host, t.port, subject);
    else net_subject(inet_ntop(addr.v6 ? AF_INET6 : AF_INET, addr.bytes, text, sizeof text) != NULL ? text : host, t.port, subject);
    return mw_decide_or_ask(err, p, op, kind, subject, &t);
}

int mw_permit_unix(mw_policy *p, enum mw_kind kind, const char *name, const char *op, struct mw_place *out, struct mw_err *err) {
    struct mw_target t = {.kind = kind, .port = MW_ANY_PORT};
    char subject[128];
    size_t len = strlen(name);

    out->fd = -1;
    out->leaf[0] = 0;
    /* a path is used below its directory's descriptor: the kernel's limit of 107 bytes is its caller's to hold */
    if (name[0] != '@') return mw_permit_unix_path(p, kind, name, op, out, err);
    if (len > 108) return mw_err_set(err, -ENAMETOOLONG, op, name, "an abstract name has at most 107 bytes");
    if (len == 1) return mw_err_set(err, MW_EINVAL, op, name, "an abstract name is empty");
    t.abstract = name + 1;
    snprintf(subject, sizeof subject, "unix:%s", name);
    return mw_decide_or_ask(err, p, op, kind, subject, &t);
}

/* ---- Names ---------------------------------------------------------------------------------------------------------------- */

int mw_permit_text(mw_policy *p, enum mw_kind kind, const char *name, const char *op, struct mw_err *err) {
    struct mw_target t = {.kind = kind, .port = MW_ANY_PORT};
    struct mw_place at;
    int rc;

    if (strlen(name) >= MW_RULE_MAX) return mw_err_set(err, -ENAMETOOLONG, op, name, NULL);
    switch (kind) {
    case MW_FFI:
        rc = mw_permit_path(p, 1u << MW_FFI, name, MW_AT_OBJECT, op, &at, err);
        mw_place_close(&at);
        return rc;
    case MW_SYS:
        t.name = mw_sys_kind(name, strlen(name));
        if (t.name == NULL) return mw_err_set(err, MW_EINVAL, op, name, "unknown kind of system information");
        break;
    case MW_ENV:
        if (*name == 0 || strchr(name, '=') != NULL) return mw_err_set(err, MW_EINVAL, op, name, "not a variable's name");
        t.name = name;
        break;
    case MW_SHARE:
        t.name = name[0] == '/' ? name + 1 : name;
        if (*t.name == 0 || strchr(t.name, '/') != NULL || strlen(t.name) > 254) return mw_err_set(err, MW_EINVAL, op, name, "not a shared-memory name");
        break;
    default: return mw_err_set(err, MW_EINVAL, op, name, "not a kind that goes by name");
    }
    return mw_decide_or_ask(err, p, op, kind, name, &t);
}
