/* The choke point: the first statement of whoever names an outside thing. Each call returns the thing, not a verdict.
 * Knows: policy, POSIX path calls (openat, openat2, fstat, readlinkat). Never: opens for more than O_PATH, save mw_permit_open,
 * mw_permit_module, and the first 256 bytes of a program (its #! line).
 * Every denial: MW_EDENIED, op and subject filled, hint as mw_policy_grant has it; the same whether or not the
 * target exists. Strings with NUL cannot arrive (C strings); lengths are bounded here. Loop thread only. */
#ifndef MW_POLICY_PERMIT_H
#define MW_POLICY_PERMIT_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <limits.h>

#include "policy/policy.h"

/* Where a permitted path is: never look its name up again. */
struct mw_place {
    int fd;                      /* O_PATH|O_CLOEXEC: the object itself (MW_AT_OBJECT) or its directory; -1 when empty */
    char leaf[NAME_MAX + 1];     /* the name inside that directory; "" with MW_AT_OBJECT; use it with O_NOFOLLOW only */
};
enum mw_at {
    MW_AT_OBJECT,                /* it exists; links followed; fd is the thing. Reopen by /proc/self/fd/N for data */
    MW_AT_NAME,                  /* the name itself, not followed (lstat, unlink, rename, symlink, readlink, bind) */
    MW_AT_CREATE                 /* to be opened or made: a final link is followed to its (allowed) target's directory and leaf */
};
void mw_place_close(struct mw_place *at);        /* idempotent; set fd = -1 before first use */
/* A name for calls that take no descriptor (connect, bind, uv): "/proc/self/fd/N" or "/proc/self/fd/N/leaf". */
#define MW_PLACE_NAME (NAME_MAX + 40)
void mw_place_name(const struct mw_place *at, char out[MW_PLACE_NAME]);

/* kinds: 1u << MW_READ, 1u << MW_WRITE or both, or 1u << MW_FFI. op: for errors ("fs read"). */
int mw_permit_path(mw_policy *p, unsigned kinds, const char *path, enum mw_at how, const char *op, struct mw_place *out, struct mw_err *err);

/* Both ends of a rename (MW_AT_NAME): write for both; what may be read or connected to by its new name must be so by the old one,
 * so that moving a file never makes it readable; nothing moves that has something denied below it, nor to above such a name. */
int mw_permit_move(mw_policy *p, const char *from, const char *to, const char *op, struct mw_place *a, struct mw_place *b, struct mw_err *err);
/* The same for a hard link, which needs read and write of both. */
int mw_permit_link(mw_policy *p, const char *from, const char *to, const char *op, struct mw_place *a, struct mw_place *b, struct mw_err *err);

/* open(2) of what is permitted: kinds from `flags` (O_RDONLY read; O_WRONLY, O_TRUNC, O_APPEND, O_CREAT write; O_RDWR both).
 * O_CLOEXEC always; FIFOs, sockets and directories opened for writing are refused when `regular` is 1. */
int mw_permit_open(mw_policy *p, const char *path, int flags, mode_t mode, int regular, const char *op, int *fd, struct mw_err *err);

/* A Lua module, open for reading: a regular file that the read right covers, or one called *.lua below a directory of
 * mw_policy_free_module_dir. MW_ENOENT when it is not there, MW_EDENIED first. */
int mw_permit_module(mw_policy *p, const char *path, const char *op, int *fd, struct mw_err *err);

/* Before resolution. kind MW_CONNECT or MW_LISTEN. MW_EDENIED only if no rule could allow any address of it at this port
 * (port 0 of MW_CONNECT: at any port, for who only looks a name up). */
int mw_permit_host(mw_policy *p, enum mw_kind kind, const char *host, int port, const char *op, struct mw_err *err);
/* After it, for each candidate: 0, or MW_EDENIED. host: the name as the script gave it (or the address's text). */
int mw_permit_addr(mw_policy *p, enum mw_kind kind, const char *host, const struct sockaddr *sa, socklen_t len, const char *op, struct mw_err *err);
/* A Unix socket: "/path" or "@abstract". For a path, *out is the directory and leaf (connect or bind to
 * /proc/self/fd/N/leaf); for an abstract name fd stays -1. */
int mw_permit_unix(mw_policy *p, enum mw_kind kind, const char *name, const char *op, struct mw_place *out, struct mw_err *err);

/* A program, pinned and open. */
struct mw_program {
    int fd;                      /* O_PATH|O_CLOEXEC of the file to execute by descriptor (the interpreter of a #! file) */
    char path[PATH_MAX];         /* its name, for messages and argv[0] of an interpreter */
    char script[PATH_MAX];       /* the #! file's path, or "" */
    dev_t script_dev;            /* and which file that is; 0, 0: none */
    ino_t script_ino;
    char arg[256];               /* the #! line's argument, or "" */
    int trusted;                 /* a --trust-run rule covers it, or all is granted */
    int trusted_by_rule;         /* 1: a rule: of -A with something denied a program is no trusted one */
};
/* name: resolved in our own PATH, or a path when it has a slash (relative to dirfd, AT_FDCWD for the working directory).
 * MW_ENOENT when allowed and missing; MW_EDENIED first. */
int mw_permit_exec(mw_policy *p, const char *name, int dirfd, const char *op, struct mw_program *out, struct mw_err *err);
void mw_program_close(struct mw_program *it);

/* env, sys, share by name; ffi by path (for the file itself: mw_permit_path with 1u << MW_FFI). An unknown kind of sys, an empty
 * name or one that cannot be: MW_EINVAL. */
int mw_permit_text(mw_policy *p, enum mw_kind kind, const char *name, const char *op, struct mw_err *err);

/* What hints name: the flags of moonwire's command line (1, as in a new policy), or kinds and rules, for whoever makes the policy by
 * mw_policy_add (0). Copied with the policy, not saved. */
void mw_policy_name_flags(mw_policy *p, int flags);
int mw_policy_names_flags(const mw_policy *p);
/* The way out of a denial: "grant it with --allow-run=git", quoted for a shell, or: grant it in the host's policy: run "git". subject NULL:
 * everything of the kind. Returns its length; what does not fit is cut. */
size_t mw_policy_grant(const mw_policy *p, enum mw_kind kind, const char *subject, char *out, size_t size);
/* Without the words before it: --allow-run=git, or run "git". */
size_t mw_policy_grant_text(const mw_policy *p, enum mw_kind kind, const char *subject, char *out, size_t size);
/* That as err's hint, with `rest` behind it ("" or ", and ..."); of a long subject the kind alone. Returns err's code. */
int mw_policy_grant_hint(const mw_policy *p, enum mw_kind kind, const char *subject, const char *rest, struct mw_err *err);
/* The hint of what only everything grants. Returns err's code. */
int mw_policy_grant_all_hint(const mw_policy *p, struct mw_err *err);

#endif
