/* Reads rules: the grammar of every kind, strictly, with the column of whatever is wrong.
 * Knows: base. Never: the file system, the environment. */
#include "policy/rule.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const kinds[MW_KINDS] = {"read", "write", "net", "connect", "listen", "run", "trust", "env", "sys", "share", "ffi"};

static const char *const flags[MW_KINDS][2] = {
    {"--allow-read", "--deny-read"},       {"--allow-write", "--deny-write"}, {"--allow-net", "--deny-net"},
    {"--allow-connect", "--deny-connect"}, {"--allow-listen", "--deny-listen"}, {"--allow-run", "--deny-run"},
    {"--trust-run", "--deny-trust"},       {"--allow-env", "--deny-env"},     {"--allow-sys", "--deny-sys"},
    {"--allow-share", "--deny-share"},     {"--allow-ffi", "--deny-ffi"},
};

/* What a script may learn about the system: { spelling, canonical name }. */
static const char *const sys_kinds[][2] = {
    {"hostname", "hostname"}, {"osRelease", "osRelease"}, {"osUptime", "osUptime"}, {"loadavg", "loadavg"},
    {"cpus", "cpus"}, {"memory", "memory"}, {"systemMemoryInfo", "memory"}, {"networkInterfaces", "networkInterfaces"},
    {"uid", "uid"}, {"gid", "gid"}, {"username", "username"}, {"userInfo", "userInfo"}, {"homedir", "homedir"},
    {"pid", "pid"}, {"ppid", "ppid"}, {"processTitle", "processTitle"}, {"priority", "priority"},
    {"signal", "signal"}, {"tty", "tty"}, {"statfs", "statfs"},
};

const char *mw_kind_name(enum mw_kind kind) {
    return (unsigned)kind < MW_KINDS ? kinds[kind] : "unknown";
}

int mw_kind_of(const char *name) {
    for (int i = 0; i < MW_KINDS && name != NULL; i++)
        if (strcmp(kinds[i], name) == 0) return i;
    return -1;
}

const char *mw_rule_flag(enum mw_kind kind, enum mw_effect effect) {
    return flags[kind][effect == MW_DENY];
}

const char *mw_sys_kind(const char *name, size_t len) {
    for (size_t i = 0; i < sizeof sys_kinds / sizeof *sys_kinds; i++)
        if (strlen(sys_kinds[i][0]) == len && memcmp(sys_kinds[i][0], name, len) == 0) return sys_kinds[i][1];
    return NULL;
}

int mw_rule_has_spot(const struct mw_rule *r) {
    return r->form == MW_FORM_PATH || r->form == MW_FORM_PROGRAM || r->form == MW_FORM_SOCKET || r->form == MW_FORM_SOCKETS;
}

/* ---- Reading ---------------------------------------------------------------------------------------------------------- */

struct reader {
    struct mw_rule *r;
    const char *text;            /* the whole rule */
    size_t len;
    struct mw_err *err;
};

/* Whoever reads a rule may have got it from anywhere: a flag, a file, a program. Those that know name it. */
static const char *op_of(const struct mw_rule *r) {
    static const char *const ops[MW_KINDS][2] = {
        {"policy read", "policy deny read"},       {"policy write", "policy deny write"}, {"policy net", "policy deny net"},
        {"policy connect", "policy deny connect"}, {"policy listen", "policy deny listen"}, {"policy run", "policy deny run"},
        {"policy trust", "policy deny trust"},     {"policy env", "policy deny env"},     {"policy sys", "policy deny sys"},
        {"policy share", "policy deny share"},     {"policy ffi", "policy deny ffi"},
    };
    return ops[r->kind][r->effect == MW_DENY];
}

static int wrong(struct reader *in, size_t offset, const char *what) {
    char subject[256];
    size_t n = in->len < sizeof subject - 1 ? in->len : sizeof subject - 1;
    memcpy(subject, in->text, n);
    subject[n] = 0;
    for (size_t i = 0; i < n; i++)
        if (subject[i] == 0) subject[i] = '?';
    return mw_err_setf(in->err, MW_EINVAL, op_of(in->r), subject, "%s at column %zu", what, offset + 1);
}

static int keep(struct reader *in, char **slot, const char *text, size_t len) {
    *slot = malloc(len + 1);
    if (*slot == NULL) return mw_err_set(in->err, MW_ENOMEM, op_of(in->r), NULL, NULL);
    memcpy(*slot, text, len);
    (*slot)[len] = 0;
    return 0;
}

/* Digits at `at` up to the end or `stop`; *value at most max. Returns the offset behind them, or 0: none, too large, leading zero. */
static size_t number(const char *text, size_t at, size_t end, unsigned max, unsigned *value) {
    size_t from = at;
    unsigned long v = 0;

    while (at < end && text[at] >= '0' && text[at] <= '9' && at - from < 6) v = v * 10 + (unsigned long)(text[at++] - '0');
    if (at == from || v > max || (at - from > 1 && text[from] == '0')) return 0;
    *value = (unsigned)v;
    return at;
}

/* ":port" from `at` (which is at the colon, or at the end) to the end of the rule. */
static int read_port(struct reader *in, size_t at) {
    unsigned port = 0;

    in->r->port = MW_ANY_PORT;
    if (at == in->len) return 0;
    if (in->text[at] != ':') return wrong(in, at, "a port is expected");
    if (number(in->text, at + 1, in->len, 65535, &port) != in->len) return wrong(in, at + 1, "a port is a number from 0 to 65535");
    in->r->port = (int)port;
    return 0;
}

/* An address text[at..end) with an optional "/bits". */
static int read_addr(struct reader *in, size_t at, size_t end) {
    const char *slash = memchr(in->text + at, '/', end - at);
    size_t stop = slash != NULL ? (size_t)(slash - in->text) : end;
    struct mw_net_addr *a = &in->r->addr;
    int spelled_v6 = memchr(in->text + at, ':', stop - at) != NULL;
    unsigned bits = 0, width = spelled_v6 ? 128 : 32;

    in->r->form = MW_FORM_ADDR;
    if (!mw_net_read(in->text + at, stop - at, a)) return wrong(in, at, "not an address in its usual spelling");
    if (slash == NULL) return 0;
    if (number(in->text, stop + 1, end, width, &bits) != end) return wrong(in, stop + 1, spelled_v6 ? "a prefix is a number from 0 to 128" : "a prefix is a number from 0 to 32");
    if (spelled_v6 && !a->v6) { /* folded: what is left of the prefix counts for the last four bytes */
        if (bits < 96) return wrong(in, stop + 1, "a prefix of an IPv4-mapped address is at least 96");
        bits -= 96;
    }
    a->bits = bits;
    for (unsigned i = bits; i < (a->v6 ? 128u : 32u); i++) a->bytes[i / 8] &= (unsigned char)~(0x80u >> (i % 8));
    return 0;
}

static int read_host(struct reader *in, size_t at, size_t end) {
    char host[256];
    size_t bad = 0;

    if (!mw_net_host(in->text + at, end - at, host, &bad))
        return wrong(in, at + bad, mw_net_numeric(in->text + at, end - at) ? "not an address in its usual spelling" : "not a host name");
    return keep(in, &in->r->name, host, strlen(host));
}

static int read_unix(struct reader *in) {
    const char *path = in->text + 5;
    size_t len = in->len - 5;
    struct mw_rule *r = in->r;

    r->port = MW_ANY_PORT;
    if (len == 0) return wrong(in, 5, "a path or @name is expected");
    if (path[0] == '@') {
        if (len == 1) return wrong(in, 6, "a name is expected");
        if (len > 108) return wrong(in, 5, "an abstract name has at most 107 bytes");
        r->form = MW_FORM_ABSTRACT;
        return keep(in, &r->name, path + 1, len - 1);
    }
    r->form = path[len - 1] == '/' ? MW_FORM_SOCKETS : MW_FORM_SOCKET;
    return keep(in, &r->name, path, len);
}

static int read_net(struct reader *in) {
    const char *text = in->text, *colon;
    size_t end;
    int rc;

    if (in->len >= 5 && memcmp(text, "unix:", 5) == 0) return read_unix(in);
    if (text[0] == '[') {
        const char *close = memchr(text, ']', in->len);
        if (close == NULL) return wrong(in, 0, "the bracket is not closed");
        end = (size_t)(close - text);
        if (memchr(text, ':', end) == NULL) return wrong(in, 1, "an IPv6 address is expected in brackets");
        rc = read_addr(in, 1, end);
        return rc < 0 ? rc : read_port(in, end + 1);
    }
    colon = memchr(text, ':', in->len);
    end = colon != NULL ? (size_t)(colon - text) : in->len;
    if (colon != NULL && in->len - end > 2 && colon[1] == '/' && colon[2] == '/') return wrong(in, 0, "a rule is HOST:PORT, without tcp://");
    if (colon != NULL && memchr(colon + 1, ':', in->len - end - 1) != NULL) return wrong(in, 0, "an IPv6 address goes into brackets");
    rc = read_port(in, end);
    if (rc < 0) return rc;
    if (end == 0) {
        in->r->form = MW_FORM_PORT;
        return 0;
    }
    if (end > 1 && text[0] == '*' && text[1] == '.') {
        in->r->form = MW_FORM_SUFFIX;
        return read_host(in, 2, end);
    }
    if (memchr(text, '/', end) != NULL || mw_net_numeric(text, end)) return read_addr(in, 0, end);
    in->r->form = MW_FORM_HOST;
    return read_host(in, 0, end);
}

/* NAME or PREFIX*. */
static int read_name(struct reader *in, const char *forbidden) {
    size_t len = in->len, at = 0;

    if (in->r->kind == MW_SHARE && len > 0 && in->text[0] == '/') at = 1; /* a POSIX name may begin with a slash; it means the same */
    for (size_t i = at; i < len; i++) {
        if (in->text[i] == '*' && i + 1 < len) return wrong(in, i, "a star may only come last");
        if (strchr(forbidden, in->text[i]) != NULL) return wrong(in, i, "not allowed in a name");
    }
    in->r->form = in->text[len - 1] == '*' ? MW_FORM_PREFIX : MW_FORM_NAME;
    if (in->r->form == MW_FORM_PREFIX) len--;
    if (len == at) return wrong(in, at, in->r->form == MW_FORM_PREFIX ? "a prefix is expected before the star (everything is a right without a value)" : "a name is expected");
    return keep(in, &in->r->name, in->text + at, len - at);
}

static int read_sys(struct reader *in) {
    const char *name = mw_sys_kind(in->text, in->len);

    if (name == NULL) return wrong(in, 0, "unknown kind of system information (hostname osRelease osUptime loadavg cpus memory networkInterfaces uid gid username "
                                        "userInfo homedir pid ppid processTitle priority signal tty statfs)");
    in->r->form = MW_FORM_NAME;
    return keep(in, &in->r->name, name, strlen(name));
}

static int read_rule(struct reader *in) {
    switch (in->r->kind) {
    case MW_NET:
    case MW_CONNECT:
    case MW_LISTEN: return read_net(in);
    case MW_RUN:
    case MW_TRUST: in->r->form = MW_FORM_PROGRAM; return keep(in, &in->r->name, in->text, in->len);
    case MW_ENV: return read_name(in, "=");
    case MW_SHARE: return read_name(in, "/");
    case MW_SYS: return read_sys(in);
    default: in->r->form = MW_FORM_PATH; return keep(in, &in->r->name, in->text, in->len);
    }
}

int mw_rule_parse(enum mw_kind kind, enum mw_effect effect, const char *text, size_t len, struct mw_rule **out, struct mw_err *err) {
    struct reader in = {NULL, text, len, err};
    struct mw_rule *r;
    const char *nul;
    int rc;

    if ((unsigned)kind >= MW_KINDS || (unsigned)effect > MW_DENY) return mw_err_set(err, MW_EINVAL, "policy", NULL, "no such kind of right, or effect");
    in.r = r = calloc(1, sizeof *r);
    if (r == NULL) return mw_err_set(err, MW_ENOMEM, "policy", NULL, NULL);
    r->kind = kind;
    r->effect = effect;
    r->port = MW_ANY_PORT;
    r->spot.fd = -1;
    if (text == NULL) {
        r->form = MW_FORM_EVERY;
        *out = r;
        return 0;
    }
    nul = memchr(text, 0, len);
    if (len == 0) rc = wrong(&in, 0, "a value is expected (everything is a right without one)");
    else if (len >= MW_RULE_MAX) rc = wrong(&in, MW_RULE_MAX - 1, "too long");
    else if (nul != NULL) rc = wrong(&in, (size_t)(nul - text), "a zero byte");
    else rc = keep(&in, &r->text, text, len);
    if (rc == 0) rc = read_rule(&in);
    if (rc == 0) *out = r; /* given */
    else mw_rule_free(r);
    return rc;
}

/* ---- Life ------------------------------------------------------------------------------------------------------------- */

void mw_rule_free(struct mw_rule *r) {
    if (r == NULL) return;
    if (r->spot.fd >= 0) close(r->spot.fd);
    free(r->spot.place.text);
    free(r->spot.link.text);
    free(r->text);
    free(r->name);
    free(r);
}

static int again(char **slot, const char *text) {
    *slot = text == NULL ? NULL : strdup(text);
    return text != NULL && *slot == NULL ? MW_ENOMEM : 0;
}

int mw_rule_copy(const struct mw_rule *r, struct mw_rule **out) {
    struct mw_rule *c = malloc(sizeof *c);
    int rc = 0;

    if (c == NULL) return MW_ENOMEM;
    *c = *r;
    c->next = NULL;
    c->text = c->name = c->spot.place.text = c->spot.link.text = NULL;
    c->spot.fd = -1;
    c->clear_at = 0;
    if (again(&c->text, r->text) < 0 || again(&c->name, r->name) < 0 || again(&c->spot.place.text, r->spot.place.text) < 0 ||
        again(&c->spot.link.text, r->spot.link.text) < 0)
        rc = MW_ENOMEM;
    if (rc == 0 && r->spot.fd >= 0) {
        c->spot.fd = fcntl(r->spot.fd, F_DUPFD_CLOEXEC, 3);
        if (c->spot.fd < 0) rc = -errno;
    }
    if (rc == 0) *out = c;
    else mw_rule_free(c);
    return rc;
}
