/* An open file: bytes in and out of a regular file (or a harmless device), with a buffer each way.
 * Knows: base, core/host, core/wait, core/work, policy/permit. Never: Lua values; a name after the file is open.
 *
 * What the page cache holds is read at once, without a thread (preadv2 with RWF_NOWAIT), some times in a row; all else
 * goes to the thread pool as a job that owns its bytes, so that a cancelled task loses none. One job at a time: others wait on mw_file_idle.
 * Written bytes are held until MW_FILE_HELD of them are there, or flush, seek, read or close, as C's stdio does. */
#ifndef MW_IO_FILE_H
#define MW_IO_FILE_H

#include <stdint.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "core/host.h"
#include "core/wait.h"
#include "core/work.h"

typedef struct mw_file mw_file;

#define MW_FILE_HELD 65536u          /* bytes written that are held back at most */
#define MW_FILE_STEP 65536u          /* bytes that one read asks for at least */

/* Opens `path`. mode: "r", "w", "a", "r+" (with an optional "b"). FIFOs, sockets, terminals and directories are refused.
 * Returns 0 and *out (given: mw_file_release), or MW_EINVAL (mode), MW_EDENIED, -ENOENT ..., nothing left behind. */
int mw_file_open(mw_host *h, const char *path, const char *mode, mw_file **out, struct mw_err *err);
mw_file *mw_file_hold(mw_file *f);
void mw_file_release(mw_file *f);            /* drops a reference; the last one closes (held bytes are written at once) */

/* Closes: waiting tasks are woken, later calls answer MW_ECLOSED. Held bytes that are still there are written here, on the
 * loop's thread: flush first where one can wait. Idempotent. <0: what could not be written. */
int mw_file_close(mw_file *f, struct mw_err *err);
int mw_file_closed(const mw_file *f);

/* Reading. What has been read and not yet consumed. */
struct mw_bytes *mw_file_in(mw_file *f);
/* Reads more without a thread. 1: bytes came; MW_EEOF: the end as of now; 0: it takes a job; <0: MW_ECLOSED, -EBADF (not open
 * for reading), the system's code. want: bytes wished for beyond those held. */
int mw_file_fill(mw_file *f, size_t want, struct mw_err *err);

/* Writing, while not busy. Copies to the held bytes. 0: held; 1: held, and it is time for a flush job; <0 (nothing taken):
 * MW_ECLOSED, -EBADF, -EBUSY, MW_ENOMEM. */
int mw_file_write(mw_file *f, const char *data, size_t len, struct mw_err *err);
size_t mw_file_held(const mw_file *f);

/* Jobs. Not while mw_file_busy: wait on mw_file_idle first. *out goes to mw_work_yield; in its k: mw_file_done. */
enum mw_file_job { MW_FILE_READ, MW_FILE_FLUSH, MW_FILE_SYNC };
int mw_file_start(mw_file *f, enum mw_file_job what, size_t want, struct mw_work **out, struct mw_err *err);
/* Ends a finished job and frees it: what it read is in mw_file_in. 0; MW_EEOF: a read met the end; or what failed. */
int mw_file_done(struct mw_work *job, struct mw_err *err);
int mw_file_busy(const mw_file *f);
struct mw_wait *mw_file_idle(mw_file *f);

/* Positions, as lseek(2); nothing may be held or busy. *pos: the script's position (what was read ahead is given back). */
int mw_file_seek(mw_file *f, int64_t offset, int whence, int64_t *pos, struct mw_err *err);
int mw_file_stat(mw_file *f, struct stat *out, struct mw_err *err);

/* For a child: the descriptor with its position where the script's is and nothing held, written on the loop's thread.
 * Lent. output: to write to, else to read from. <0: MW_ECLOSED, MW_EINVAL (not open that way), -EBUSY, what could not be written. */
int mw_file_lend(mw_file *f, int output, struct mw_err *err);
const char *mw_file_subject(const mw_file *f);

#endif
