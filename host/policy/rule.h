/* One rule: what one entry of a flag names, parsed and canonical, and how it compares with a target.
 * Knows: base. Never: touches the file system (spot.c finds where a path leads). */
#ifndef MW_POLICY_RULE_H
#define MW_POLICY_RULE_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/types.h>

#include "policy/policy.h"

/* What a rule's text names. */
enum mw_form {
    MW_FORM_EVERY,               /* the bare flag: everything of the kind */
    MW_FORM_PATH,                /* read, write, ffi: the object and all below it */
    MW_FORM_PROGRAM,             /* run, trust: one file */
    MW_FORM_HOST,                /* net: a host name */
    MW_FORM_SUFFIX,              /* net: "*.domain"; `name` is the domain */
    MW_FORM_ADDR,                /* net: an address or a prefix */
    MW_FORM_PORT,                /* net: ":port" */
    MW_FORM_SOCKET,              /* net: "unix:/path", exactly that name */
    MW_FORM_SOCKETS,             /* net: "unix:/dir/", all below it */
    MW_FORM_ABSTRACT,            /* net: "unix:@name" */
    MW_FORM_NAME,                /* env, sys, share: the name */
    MW_FORM_PREFIX               /* env, share: "PREFIX*"; `name` is the prefix */
};

#define MW_ANY_PORT (-1)
#define MW_RULE_MAX 4096         /* bytes of one rule's text */

struct mw_net_addr {
    int v6;                      /* 1: 16 bytes count, 0: the first 4 */
    unsigned bits;               /* of the prefix: 0..32 or 0..128 */
    unsigned char bytes[16];
};

/* An object of the file system by identity. */
struct mw_node {
    dev_t dev;
    ino_t ino;
};

/* A name inside a directory that exists, several steps deep when what lies between is missing. */
struct mw_place_id {
    int known;
    struct mw_node anchor;       /* the directory */
    unsigned steps;              /* names below it */
    size_t rest;                 /* where they begin in `text` */
    char *text;                  /* the whole resolved path: "/data/out/new" */
    size_t len;
};

/* Where a path rule leads, found once when the rule is added (spot.c). */
struct mw_spot {
    int fd;                      /* O_PATH|O_CLOEXEC, keeps the object's number from being used again; -1: missing */
    int known, is_dir;
    struct mw_node node;         /* the object, when known */
    struct mw_place_id place;    /* where it is */
    struct mw_place_id link;     /* where the link was that the rule names, if its last name is one (for denials) */
};

struct mw_rule {
    struct mw_rule *next;
    enum mw_kind kind;
    enum mw_effect effect;
    enum mw_form form;
    char *text;                  /* as the user wrote it, paths made absolute; NULL for MW_FORM_EVERY */
    char *name;                  /* host, domain, prefix, canonical name, path; NULL where the form has none */
    int port;                    /* net; MW_ANY_PORT */
    struct mw_net_addr addr;     /* MW_FORM_ADDR */
    struct mw_spot spot;         /* paths, programs, sockets */
    struct {                     /* program.c's: the file that was last seen to have no #! line */
        time_t sec;              /* its ctime; 0: none was */
        long nsec;
        off_t size;
    } binary;
    unsigned clear_at, clear;    /* below.c's: bits of kinds that nothing below is refused, as of generation clear_at */
};

/* Parses one rule (len bytes of text; NULL: everything). The spot is left empty. *out is given: mw_rule_free.
 * MW_EINVAL names the rule and the column of what is wrong; MW_ENOMEM. */
int mw_rule_parse(enum mw_kind kind, enum mw_effect effect, const char *text, size_t len, struct mw_rule **out, struct mw_err *err);
void mw_rule_free(struct mw_rule *r);
/* A deep copy (descriptors duplicated), without `next`. 0, MW_ENOMEM or the system's code. */
int mw_rule_copy(const struct mw_rule *r, struct mw_rule **out);

/* 1 if the form is found in the file system. */
int mw_rule_has_spot(const struct mw_rule *r);

/* The flag that would add a rule: "--allow-read". Static text. */
const char *mw_rule_flag(enum mw_kind kind, enum mw_effect effect);

/* Reads an address in its usual spelling ("10.0.0.1", "fe80::1", no zone, no brackets), IPv4-mapped IPv6 folded to IPv4.
 * bits is set to the whole width. Returns 1, or 0: no address. */
int mw_net_read(const char *text, size_t len, struct mw_net_addr *out);
/* 1 if the text could be taken for an address by somebody (its last label is a number), so that it is no host name. */
int mw_net_numeric(const char *text, size_t len);
/* From a socket address (AF_INET, AF_INET6), folded; to 1 for a destination: the wildcard address becomes loopback.
 * Returns the port, or -1 for another family or a short length. */
int mw_net_from(const struct sockaddr *sa, socklen_t len, int to, struct mw_net_addr *out);
/* 1 if every address of `inner` lies in `outer`. */
int mw_net_within(const struct mw_net_addr *outer, const struct mw_net_addr *inner);
/* 1 for 0.0.0.0 and :: (whole addresses, not prefixes). */
int mw_net_wild(const struct mw_net_addr *a);
/* The IPv4 address that a whole IPv6 address leads to through a gateway: 64:ff9b::/96 and 64:ff9b:1::/48 (NAT64), 2002::/16 (6to4),
 * ::a.b.c.d. Returns the bits before it (96, 16), or 0: it holds none. */
unsigned mw_net_inner(const struct mw_net_addr *a, struct mw_net_addr *out);
/* 1 for 127.0.0.0/8 and ::1. */
int mw_net_loopback(const struct mw_net_addr *a);
/* 1 for "localhost" and what is below it: this machine, whatever a resolver says (RFC 6761). name is canonical. */
int mw_net_localhost(const char *name);
/* Lower case, one trailing dot dropped; out has 256 bytes. 1, or 0: not a host name; *bad is the offset of what is wrong. */
int mw_net_host(const char *text, size_t len, char *out, size_t *bad);

/* The canonical name of a sys kind, or NULL. Static text. */
const char *mw_sys_kind(const char *name, size_t len);

#endif
