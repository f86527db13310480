/* Errors: names, words, and the one line that tells the story.
 * Knows: C11, POSIX error numbers.
 * Never: prints, allocates. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct named {
    int code;
    const char *name, *words;
};

static const struct named table[] = {
    {MW_EDENIED, "EDENIED", "denied"},
    {MW_EEOF, "EEOF", "ended in the middle"},
    {MW_EFRAME, "EFRAME", "broken frame"},
    {MW_EPARSE, "EPARSE", "cannot be parsed"},
    {MW_ESCHEMA, "ESCHEMA", "does not fit its schema"},
    {MW_ELIMIT, "ELIMIT", "limit reached"},
    {MW_ECLOSED, "ECLOSED", "closed"},
    {MW_ECRASHED, "ECRASHED", "crashed"},
    {MW_ETASK, "ETASK", "the task failed"},
    {MW_EAUTH, "EAUTH", "authentication failed"},
    {MW_ECERT, "ECERT", "certificate refused"},
    {MW_ETLS, "ETLS", "TLS failed"},
    {MW_ERPC, "ERPC", "the peer answered with an error"},
    {MW_ENORESPONDERS, "ENORESPONDERS", "nobody serves this subject"},
    {MW_ELUA, "ELUA", "Lua error"},
    {MW_EEXIT, "EEXIT", "exit"},
    {-3000, "EAI_ADDRFAMILY", "address family not supported"},
    {-3001, "EAI_AGAIN", "temporary failure in name resolution"},
    {-3002, "EAI_BADFLAGS", "bad flags"},
    {-3004, "EAI_FAIL", "name resolution failed"},
    {-3005, "EAI_FAMILY", "address family not supported"},
    {-3006, "EAI_MEMORY", "out of memory"},
    {-3007, "EAI_NODATA", "the name has no address"},
    {-3008, "EAI_NONAME", "unknown host name"},
    {-3010, "EAI_SERVICE", "unknown service"},
    {-3011, "EAI_SOCKTYPE", "socket type not supported"},
};

static const struct named *find(int code) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].code == code) return &table[i];
    return NULL;
}

const char *mw_err_name(int code) {
    const struct named *it = find(code);
    const char *name;

    if (it != NULL) return it->name;
    name = code < 0 && code > -4096 ? strerrorname_np(-code) : NULL;
    return name != NULL ? name : "EUNKNOWN";
}

const char *mw_err_words(int code) {
    const struct named *it = find(code);
    const char *words;

    if (it != NULL) return it->words;
    switch (code) { /* the common ones, in the case of the rest of the line */
    case MW_ECONNREFUSED: return "connection refused";
    case MW_ETIMEDOUT: return "timed out";
    case MW_ECANCELED: return "cancelled";
    case MW_ENOENT: return "no such file or directory";
    case MW_ENOMEM: return "out of memory";
    case MW_EINVAL: return "invalid argument";
    case MW_EAGAIN: return "try again";
    case -EMFILE: return "too many open files in this process";
    case -EPIPE: return "the other end is closed";
    case -ECONNRESET: return "connection reset by the peer";
    case -EADDRINUSE: return "address already in use";
    case -EACCES: return "permission denied by the system";
    case -EISDIR: return "is a directory";
    case -ENOTDIR: return "not a directory";
    case -EEXIST: return "file exists";
    case -ENOTEMPTY: return "directory not empty";
    case -EADDRNOTAVAIL: return "cannot assign requested address";
    case -EPERM: return "operation not permitted";
    case -ENOSPC: return "no space left on device";
    case -EHOSTUNREACH: return "no route to host";
    case -ENETUNREACH: return "network is unreachable";
    case -EROFS: return "read-only file system";
    case -EXDEV: return "on different file systems";
    case -ELOOP: return "too many levels of symbolic links";
    case -ENAMETOOLONG: return "file name too long";
    case -ENOEXEC: return "exec format error";
    case -ETXTBSY: return "text file busy";
    case -E2BIG: return "argument list too long";
    case -EBUSY: return "device or resource busy";
    case -EBADF: return "bad file descriptor";
    case -EIO: return "input/output error";
    case -ENOTCONN: return "not connected";
    case -EPROTOTYPE: return "wrong type of socket";
    case -EOPNOTSUPP: return "not supported";
    default: break;
    }
    words = code < 0 && code > -4096 ? strerrordesc_np(-code) : NULL;
    return words != NULL ? words : "unknown error";
}

/* Length of the UTF-8 sequence at s (1..4), or 0: invalid. *cp: the code point. */
static size_t utf8(const unsigned char *s, size_t len, unsigned *cp) {
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
    if (n == 0 || n > len) return 0;
    *cp = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        *cp = *cp << 6 | (s[i] & 0x3fu);
    }
    if ((n == 3 && (*cp < 0x800 || (*cp >= 0xd800 && *cp < 0xe000))) || (n == 4 && (*cp < 0x10000 || *cp > 0x10ffff))) return 0;
    return n;
}

/* Characters that move the cursor, hide or reorder what a person reads. */
static int hidden(unsigned cp) {
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0xad || cp == 0x61c || (cp >= 0x200b && cp <= 0x200f) ||
           (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff || (cp >= 0xfff9 && cp <= 0xfffb) ||
           (cp >= 0xe0000 && cp <= 0xe007f);
}

/* Escapes as much of text as fits into size-1 bytes; *used says how much of it was read. */
static size_t escape_some(char *out, size_t size, const char *text, size_t len, size_t *used) {
    static const char hex[] = "0123456789abcdef";
    size_t o = 0, i = 0;

    while (i < len) {
        unsigned cp = 0;
        size_t n, m;
        int raw;
        if (text[i] >= 0x20 && text[i] < 0x7f) { /* most */
            if (o + 2 > size) break;
            out[o++] = text[i++];
            continue;
        }
        n = utf8((const unsigned char *)text + i, len - i, &cp);
        m = n == 0 ? 1 : n;
        raw = n != 0 && !hidden(cp);
        if (o + (raw ? m : 4 * m) + 1 > size) break;
        for (size_t k = 0; k < m; k++) {
            unsigned char c = (unsigned char)text[i + k];
            if (raw) {
                out[o++] = (char)c;
            } else {
                out[o++] = '\\';
                out[o++] = 'x';
                out[o++] = hex[c >> 4];
                out[o++] = hex[c & 15];
            }
        }
        i += m;
    }
    if (size > 0) out[o] = 0;
    *used = i;
    return o;
}

size_t mw_err_escape(char *out, size_t size, const char *text, size_t len) {
    size_t used = 0, o, half, tail;

    if (size == 0) return 0;
    o = escape_some(out, size, text, len, &used);
    if (used == len || size < 16) return o;
    half = (size - 4) / 2;
    o = escape_some(out, half + 1, text, len, &used);
    memcpy(out + o, "...", 4);
    o += 3;
    tail = half / 4 < len ? half / 4 : len; /* a byte becomes four at most */
    if (half < len) {
        size_t plain = half; /* the common case: nothing to escape in the tail */
        char probe[1024];
        while (plain > tail) {
            while (plain > tail && ((unsigned char)text[len - plain] & 0xc0) == 0x80) plain--;
            if (escape_some(probe, half + 1 < sizeof probe ? half + 1 : sizeof probe, text + len - plain, plain, &used) && used == plain) break;
            plain = plain > 8 ? plain - 8 : tail;
        }
        tail = plain;
    }
    return o + escape_some(out + o, size - o, text + len - tail, tail, &used);
}

size_t mw_err_add(char *out, size_t size, size_t used, const char *text) {
    size_t n = strlen(text);

    if (n > size - 1 - used) n = size - 1 - used;
    memmove(out + used, text, n);
    out[used + n] = 0;
    return used + n;
}

static void compose(struct mw_err *err) {
    const char *const parts[] = { err->op, err->op[0] && err->subject[0] ? " " : "", err->subject, err->op[0] || err->subject[0] ? ": " : "",
                                  err->what, err->hint[0] ? " (" : "", err->hint, err->hint[0] ? ")" : "" };
    size_t used = 0;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) used = mw_err_add(err->message, sizeof err->message, used, parts[i]);
}

int mw_err_set(struct mw_err *err, int code, const char *op, const char *subject, const char *what) {
    if (err == NULL) return code;
    err->code = code;
    err->hint[0] = 0;
    mw_err_add(err->op, sizeof err->op, 0, op != NULL ? op : "");
    err->subject[0] = 0;
    if (subject != NULL) mw_err_escape(err->subject, sizeof err->subject, subject, strlen(subject));
    if (what == NULL) what = mw_err_words(code);
    mw_err_escape(err->what, sizeof err->what, what, strlen(what));
    compose(err);
    return code;
}

int mw_err_setf(struct mw_err *err, int code, const char *op, const char *subject, const char *fmt, ...) {
    char what[512];
    va_list ap;

    if (err == NULL) return code;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return mw_err_set(err, code, op, subject, what);
}

int mw_err_sys(struct mw_err *err, const char *op, const char *subject) {
    return mw_err_set(err, -errno, op, subject, NULL);
}

int mw_err_hint(struct mw_err *err, const char *fmt, ...) {
    char hint[sizeof err->hint];
    va_list ap;

    if (err == NULL) return 0;
    va_start(ap, fmt);
    vsnprintf(hint, sizeof hint, fmt, ap);
    va_end(ap);
    mw_err_escape(err->hint, sizeof err->hint, hint, strlen(hint));
    compose(err);
    return err->code;
}
