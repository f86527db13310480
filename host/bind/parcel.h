/* Parcels: what a script hands over to another host (a worker, a script child, a peer on a Unix socket): shared memory, a ring,
 * a stream, as descriptors and the few facts that make them an object again.
 * Knows: share, io/stream, lua.h. Never: a way of sending. */
#ifndef MW_BIND_PARCEL_H
#define MW_BIND_PARCEL_H

#include <lua.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

enum mw_parcel_kind { MW_PARCEL_NONE, MW_PARCEL_MEMORY, MW_PARCEL_RING, MW_PARCEL_STREAM };

#define MW_PARCEL_FDS 4u

/* Plain data: it may cross threads, and its facts may come from a peer that lies, so unpacking checks them. */
struct mw_parcel {
    uint32_t kind, flags;           /* flags: the kind's own */
    uint64_t facts[2];              /* the kind's own: sizes in bytes */
    int fds[MW_PARCEL_FDS];         /* owned; close-on-exec */
    unsigned fd_count;
    struct mw_bytes unread;         /* of a stream: what had arrived and was not read */
};

/* The kind of the object at idx, or MW_PARCEL_NONE. Never raises. */
enum mw_parcel_kind mw_parcel_test(lua_State *L, int idx);

/* Makes a parcel of the object at idx. Memory is shared (ours stays ours), of a ring the other side is handed over, a stream is moved:
 * its box is closed here. 0 and *out given; or a code (MW_EINVAL: not such an object, closed, busy, or handed over before; -EMFILE)
 * with nothing changed.                                                                                   [-0, +0, m] */
int mw_parcel_pack(lua_State *L, int idx, struct mw_parcel *out, struct mw_err *err);

/* Pushes the object that it makes; the parcel is taken either way. A code (nothing pushed): MW_EINVAL when it is not what it
 * says, MW_ELIMIT, -ENOMEM.                                                                               [-0, +1|0, m] */
int mw_parcel_unpack(lua_State *L, struct mw_parcel *p, struct mw_err *err);

/* Closes what it holds; leaves it empty. Idempotent. Any thread. */
void mw_parcel_drop(struct mw_parcel *p);

/* It could not be sent: undoes what mw_parcel_pack did to the object at idx (a stream stays closed), and takes the parcel.
 *                                                                                                         [-0, +0, -] */
void mw_parcel_return(lua_State *L, int idx, struct mw_parcel *p);

/* What a parcel without facts and unread bytes says in one byte beside its descriptors (on a Unix socket); never 0. And back: takes
 * the descriptors; 0, or MW_EINVAL and they are closed. Of memory the receiver asks the kernel for the size. */
char mw_parcel_byte(const struct mw_parcel *p);
int mw_parcel_from_byte(struct mw_parcel *p, int byte, const int *fds, int count);

#endif
