/* Compression: one message (or one batch of them) to fewer bytes and back.
 * Knows: base. Never: I/O, Lua; produces a byte before the announced size was checked.
 *
 * The code is in moonwire-squeeze.so, with zstd and lz4; core/part opens it, and mw_squeeze_calls is all that it shows.
 *
 * The squeezed form: a byte that says how; raw (0): the bytes as they are. zstd (1), lz4 (2): two numbers (wire/number.h), the size of
 * what was squeezed and the bytes it was squeezed to; those bytes; then zeros, as many as it takes for the whole to be no less than a
 * 200th of what it says, so that nobody can make a receiver produce much by sending little, and equal messages are carried all the
 * same. zstd: one frame with its content size, without a dictionary. lz4: one block. */
#ifndef MW_WIRE_SQUEEZE_H
#define MW_WIRE_SQUEEZE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define MW_SQUEEZE_RATIO 200u                    /* times its own bytes: the most that a squeezed form may say (threat-model.md) */
#define MW_SQUEEZE_LEVEL_MAX 9                   /* zstd; slower ones would hold up the loop */
#define MW_SQUEEZE_SLOW_MAX ((size_t)1 << 20)    /* bytes: more at a time is squeezed at level 1, for the same reason */
#define MW_SQUEEZE_MIN 512u                      /* bytes that are not squeezed for being few, unless said otherwise */

enum mw_squeeze_how { MW_SQUEEZE_RAW, MW_SQUEEZE_ZSTD, MW_SQUEEZE_LZ4 };

/* The memory of one kind and level, for both directions: up to some MiB, taken as it is needed. One message has nothing to do with the
 * next, so all channels of a host share it. Counted. */
typedef struct mw_squeeze mw_squeeze;

/* Why a squeezed form was refused: as struct mw_frame has it. */
struct mw_squeeze_fault {
    const char *why;              /* "too_large" or "protocol"; static */
    const char *what;             /* static */
    uint64_t announced;           /* the size it says, when that is too large */
};

struct mw_squeeze_calls {
    /* level: 1 to MW_SQUEEZE_LEVEL_MAX (lz4 has one). NULL: no memory. Given, one reference: end it with close. */
    mw_squeeze *(*open)(enum mw_squeeze_how how, int level);
    mw_squeeze *(*hold)(mw_squeeze *z);          /* one reference more */
    void (*close)(mw_squeeze *z);                /* one less; NULL is fine */

    /* Appends the squeezed form of at[0..len) to out; raw when that is shorter, or below `min` bytes. 0 or MW_ENOMEM (out holds what it
     * held). The form is at most one byte longer than the data. */
    int (*pack)(mw_squeeze *z, const char *at, size_t len, size_t min, struct mw_bytes *out);

    /* The data of the squeezed form at[0..len), at most `max` bytes: lent in *data from `at` when they came raw, else from `out`, which
     * must be empty and holds nothing but them. 0; MW_EFRAME (fault says why; out is empty); MW_ENOMEM. */
    int (*unpack)(mw_squeeze *z, const char *at, size_t len, size_t max, struct mw_bytes *out, struct mw_view *data,
                  struct mw_squeeze_fault *fault);
};
extern const struct mw_squeeze_calls mw_squeeze_calls;

#endif
