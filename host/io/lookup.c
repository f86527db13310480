/* From a host name to socket addresses: permitted first, looked up on the thread pool, in the order to be tried.
 * Knows: core/work, policy/permit, getaddrinfo.
 * Never: connects, binds; looks a name up twice. */
#include "io/lookup.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

static int same(const struct mw_address *a, const struct mw_address *b) {
    if (a->at.any.sa_family != b->at.any.sa_family) return 0;
    if (a->at.any.sa_family == AF_INET) return a->at.v4.sin_addr.s_addr == b->at.v4.sin_addr.s_addr;
    return memcmp(&a->at.v6.sin6_addr, &b->at.v6.sin6_addr, 16) == 0 && a->at.v6.sin6_scope_id == b->at.v6.sin6_scope_id;
}

static void add(struct mw_lookup *it, const struct sockaddr *sa, socklen_t len) {
    struct mw_address *a = &it->found[it->count];

    if (it->count == MW_CANDIDATES_MAX || len > sizeof a->at) return;
    memset(a, 0, sizeof *a);
    memcpy(&a->at, sa, len);
    a->len = len;
    if (a->at.any.sa_family == AF_INET)
        a->at.v4.sin_port = htons((uint16_t)it->port);
    else
        a->at.v6.sin6_port = htons((uint16_t)it->port);
    for (int i = 0; i < it->count; i++)
        if (same(&it->found[i], a)) return;
    it->count++;
}

static void add_v4(struct mw_lookup *it, uint32_t addr) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(addr)};
    add(it, (struct sockaddr *)&v4, sizeof v4);
}

static void add_v6(struct mw_lookup *it, const struct in6_addr *addr) {
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = *addr};
    add(it, (struct sockaddr *)&v6, sizeof v6);
}

/* The system's order, with the families taking turns (RFC 8305, section 4). */
static void add_list(struct mw_lookup *it, const struct addrinfo *list) {
    const struct addrinfo *own = list, *other = list;
    int family = list->ai_family;

    while ((own != NULL || other != NULL) && it->count < MW_CANDIDATES_MAX) {
        while (own != NULL && own->ai_family != family) own = own->ai_next;
        while (other != NULL && (other->ai_family == family || (other->ai_family != AF_INET && other->ai_family != AF_INET6)))
            other = other->ai_next;
        if (own != NULL) {
            add(it, own->ai_addr, own->ai_addrlen);
            own = own->ai_next;
        }
        if (other != NULL) {
            add(it, other->ai_addr, other->ai_addrlen);
            other = other->ai_next;
        }
    }
}

static int code_of(int eai) {
    switch (eai) {
    case EAI_AGAIN: return UV_EAI_AGAIN;
    case EAI_FAIL: return UV_EAI_FAIL;
    case EAI_FAMILY: return UV_EAI_FAMILY;
    case EAI_MEMORY: return MW_ENOMEM;
    case EAI_NODATA: return UV_EAI_NODATA;
    case EAI_NONAME: return UV_EAI_NONAME;
    case EAI_SYSTEM: return errno > 0 ? -errno : UV_EAI_FAIL;
    default: return UV_EAI_FAIL;
    }
}

static void run(struct mw_work *w) {
    struct mw_lookup *it = (struct mw_lookup *)w;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
    int rc = getaddrinfo(it->host, NULL, &hints, &list);

    if (rc == EAI_NONAME || rc == EAI_NODATA || rc == EAI_ADDRFAMILY) { /* only addresses of a family that has no route out: still ours to try */
        hints.ai_flags = 0;
        rc = getaddrinfo(it->host, NULL, &hints, &list);
    }
    it->ran = 1;
    if (rc != 0) {
        it->code = code_of(rc);
        return;
    }
    if (list != NULL) {
        add_list(it, list);
        freeaddrinfo(list);
    }
    it->code = it->count > 0 ? 0 : UV_EAI_NODATA;
}

static void finish(struct mw_work *w) {
    struct mw_lookup *it = (struct mw_lookup *)w;

    if (!it->ran && it->pending) it->code = MW_ECANCELED;
    if (it->owner != NULL) it->done(it->owner, it);
    free(it);
}

/* localhost and all below it are this machine, whatever a resolver says (RFC 6761). */
static int is_localhost(const char *host) {
    size_t n = strlen(host);
    return n >= 9 && strcmp(host + n - 9, "localhost") == 0 && (n == 9 || host[n - 10] == '.');
}

static int add_number(struct mw_lookup *it, const struct mw_endpoint *e, const char *op, struct mw_err *err) {
    struct sockaddr_storage sa = e->sa;

    if (e->zone[0]) {
        unsigned index = if_nametoindex(e->zone);
        if (index == 0) {
            char *end;
            unsigned long n = strtoul(e->zone, &end, 10);
            index = *end == 0 && n <= 0x7fffffff ? (unsigned)n : 0;
        }
        if (index == 0) {
            char text[MW_ENDPOINT_TEXT];
            mw_endpoint_text(e, text);
            return mw_err_setf(err, -ENODEV, op, text, "no network interface is called \"%s\"", e->zone);
        }
        ((struct sockaddr_in6 *)&sa)->sin6_scope_id = index;
    }
    add(it, (struct sockaddr *)&sa, e->sa_len);
    return 0;
}

int mw_lookup_open(mw_host *h, enum mw_kind kind, const struct mw_endpoint *e, const char *op, struct mw_lookup **out,
                   struct mw_err *err) {
    struct mw_lookup *it;
    int rc = mw_permit_host(mw_host_policy(h), kind, e->host, e->port, op, err);

    if (rc < 0) return rc;
    it = calloc(1, sizeof *it);
    if (it == NULL) return mw_err_set(err, MW_ENOMEM, op, e->host, NULL);
    it->work.run = run;
    it->work.free = finish;
    it->port = e->port;
    strcpy(it->host, e->host);
    if (e->sa_len > 0) {
        rc = add_number(it, e, op, err);
    } else if (e->any) {
        add_v6(it, &in6addr_any);
        add_v4(it, INADDR_ANY);
    } else if (is_localhost(e->host)) {
        add_v4(it, INADDR_LOOPBACK);
        add_v6(it, &in6addr_loopback);
    } else {
        it->pending = 1;
    }
    if (rc < 0) {
        free(it);
        return rc;
    }
    *out = it;
    return 0;
}

int mw_lookup_failed(const struct mw_lookup *it, const char *op, const char *subject, struct mw_err *err) {
    return mw_err_set(err, it->code < 0 ? it->code : UV_EAI_NODATA, op, subject, NULL);
}
