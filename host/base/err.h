/* Errors: one number, one story. Every function returns 0 or a negative MW_E... code and fills the caller's box.
 * Knows: C11, POSIX error numbers.
 * Never: prints, allocates, raises. */
#ifndef MW_BASE_ERR_H
#define MW_BASE_ERR_H

#include <errno.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The system's codes are -errno, as libuv has them; a few that we name often: */
#define MW_EINVAL (-EINVAL)             /* the caller errs: raised in Lua */
#define MW_ECANCELED (-ECANCELED)       /* the task was cancelled: raised in Lua */
#define MW_EAGAIN (-EAGAIN)
#define MW_ENOMEM (-ENOMEM)
#define MW_ETIMEDOUT (-ETIMEDOUT)
#define MW_ECONNREFUSED (-ECONNREFUSED)
#define MW_ENOENT (-ENOENT)

/* Ours. The numbers stay clear of errno's and of libuv's EAI range (-3000..-3014). */
enum mw_code {
    MW_EDENIED = -5001,       /* a right is missing: raised in Lua */
    MW_EEOF = -5002,          /* the end in the middle of something */
    MW_EFRAME = -5003,        /* a frame that breaks its protocol or its limit; err.data.why in Lua */
    MW_EPARSE = -5004,
    MW_ESCHEMA = -5005,
    MW_ELIMIT = -5006,        /* a limit of ours; the hint names the option that sets it */
    MW_ECLOSED = -5007,       /* used after close */
    MW_ECRASHED = -5008,
    MW_ETASK = -5009,         /* a task or handler raised */
    MW_EAUTH = -5010,
    MW_ECERT = -5011,
    MW_ETLS = -5012,
    MW_ERPC = -5013,
    MW_ENORESPONDERS = -5014,
    MW_ELUA = -5015,          /* a Lua error that is no error object (syntax, runtime) */
    MW_EEXIT = -5016          /* the script asked to exit; never reaches a script */
};

/* What went wrong. An open record: read what you like. Filled by mw_err_set and its like; text is cut, never overrun. */
struct mw_err {
    int code;                 /* 0 or MW_E...; the sign is the functions' */
    char op[32];              /* what was tried: "net connect", "process spawn" */
    char subject[256];        /* on what: an address, a path, a program; control characters escaped; cut in the middle */
    char what[256];           /* what went wrong: "denied", "connection refused" */
    char hint[320];           /* the way out, or "" : "grant it with --allow-net=10.0.0.7:8081" */
    char message[900];        /* the whole line: op subject: what (hint) */
};

/* Fills `err` (may be NULL) and returns `code`. `what` may be NULL: the code's own words.
 * subject may be NULL. mw_err_setf formats `what`. */
int mw_err_set(struct mw_err *err, int code, const char *op, const char *subject, const char *what);
int mw_err_setf(struct mw_err *err, int code, const char *op, const char *subject, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* The same from errno (read first, before anything can change it); returns -errno. */
int mw_err_sys(struct mw_err *err, const char *op, const char *subject);

/* Adds the way out to a filled error; formats; returns err->code (or 0 when err is NULL). */
int mw_err_hint(struct mw_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "ECONNREFUSED", "EDENIED", "EAI_NONAME"; "EUNKNOWN" for a number nobody knows. Static text. */
const char *mw_err_name(int code);

/* The code's words in lower case: "connection refused". Static text, or strerror's. Thread-safe. */
const char *mw_err_words(int code);

/* Writes `text` into `out` (size bytes, always terminated) with control, bidirectional and zero-width characters and
 * invalid UTF-8 escaped as \xNN; too long is cut in the middle with "...". Returns the length written. */
size_t mw_err_escape(char *out, size_t size, const char *text, size_t len);

/* Adds `text` behind out[0..used), as much as fits (size bytes, always terminated); used < size. Returns what is used then. */
size_t mw_err_add(char *out, size_t size, size_t used, const char *text);

#ifdef __cplusplus
}
#endif
#endif
