/* Secrets in bytes of unknown form: the values of named keys, replaced by stars of the same length, byte by byte, whatever pieces the
 * bytes come in. What is recognised (a name counts without regard to case, and not as a part of a longer word):
 *   "name": value    JSON and its like, quotes of either kind, at any depth, with escapes in the name (\u0070assword), also inside of
 *                    strings of JSON (\"name\": \"value\"). A string is hidden up to its end, an object or an array with all that is in it,
 *                    a number or a word of JSON up to its end; anything else to the end of the line.
 *   name=value       to the next space, control character, '&' or ';'; in quotes: to their end. Spaces may stand around '='.
 *   name: value      without quotes around the name (headers): to the end of the line.
 *   MessagePack      a string or binary that is the name: the value behind it, with all that is in it.
 * Not recognised: what is compressed, encrypted, percent- or base64-encoded; a value that does not follow its name.
 * Knows: C11. Never: shows a byte of a value that it recognised; looks back: each byte is decided when it comes. */
#ifndef MW_OBSERVE_REDACT_H
#define MW_OBSERVE_REDACT_H

#include <stddef.h>
#include <stdint.h>

#define MW_REDACT_NAME 64u           /* bytes of a name */
#define MW_REDACT_NAMES 64u          /* names */

struct mw_redact_names {
    unsigned count;
    unsigned char len[MW_REDACT_NAMES];
    char text[MW_REDACT_NAMES][MW_REDACT_NAME];       /* in lower case (ASCII's) */
    unsigned char ends[256];                          /* 1: a name ends so */
};

/* Adds a name of 1 to MW_REDACT_NAME bytes. 0, or MW_ELIMIT: too long, empty, or too many. */
int mw_redact_add(struct mw_redact_names *names, const char *text, size_t len);

/* Where a run of bytes stands; zeroed: at its beginning. */
struct mw_redact {
    struct {
        uint16_t at[4 * MW_REDACT_NAME];      /* characters seen last; bit 8: may as well be no letter (the n of \n) */
        unsigned len;
        unsigned char escape, digits;         /* 0; 1: behind a backslash; 2: in \uXXXX, with so many digits */
        unsigned code;
    } seen;
    struct {
        unsigned char mode, under;            /* under: the mode of the value around */
        unsigned char quote, separator, named_in_quotes, in_string, turned;
        unsigned level, run, depth;           /* backslashes before a quote; in a row; open brackets */
    } text;
    struct {
        unsigned char at[2 * (MW_REDACT_NAME + 5)];    /* bytes seen last */
        unsigned len;
        uint64_t objects;                     /* that are still to be hidden; 0: none */
        uint64_t bytes;                       /* of the one that is under way */
        unsigned char header, length_left;    /* its first byte, bytes of its length that are to come */
        uint64_t length;
    } pack;
};

/* Takes `len` bytes more. out: the first out_max of them, with stars; may be `in`. */
void mw_redact(const struct mw_redact_names *names, struct mw_redact *r, const char *in, size_t len, char *out, size_t out_max);

#endif
