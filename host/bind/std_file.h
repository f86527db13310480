/* Files as Lua's io has them: what std_io.c and std_read.c share.
 * Knows: io/textfile, lua.h. Never: a name. */
#ifndef MW_BIND_STD_FILE_H
#define MW_BIND_STD_FILE_H

#include <lauxlib.h>

#include "io/textfile.h"

#define MW_FILE_TYPE "mw.iofile" /* not lauxlib's name: its boxes hold a FILE * */

struct mw_std_file {
    mw_textfile *file;           /* NULL: closed */
    int standard;                /* 0: a file; else 1 + the descriptor */
};

/* What becomes of a read's results. */
enum mw_read_for {
    MW_READ_PLAIN,               /* returned; a failure is nil, message, errno */
    MW_READ_LINES,               /* a step of an iterator: a failure raises */
    MW_READ_LINES_CLOSE          /* the same, and the end closes the file */
};

/* Reads by the formats at 2..nargs of the stack from the file at 1 (none: a line), pushing the results; waits where it must.
 *                                                                                                                  [-0, +n, y] */
int mw_std_file_read(lua_State *L, int nargs, enum mw_read_for what);
/* The open file of the box at idx, or an error. */
mw_textfile *mw_std_file_check(lua_State *L, int idx);
/* Closes the box at idx: true, or nil, message, errno. */
int mw_std_file_close(lua_State *L, int idx);

#endif
