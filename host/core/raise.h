/* Errors as Lua sees them: one object, code op subject message hint data.
 * Knows: base/err, lua.h. Never: decides what is raised beyond the three kinds of style.md 3. */
#ifndef MW_CORE_RAISE_H
#define MW_CORE_RAISE_H

#include <lua.h>

#include "base/err.h"

#define MW_ERROR_TYPE "mw.error"

/* Pushes the error object for `err`.                                       [-0, +1, m] */
void mw_err_push(lua_State *L, const struct mw_err *err);

/* For a door's return: raises for EDENIED, ECANCELED and EINVAL (with the caller's line in err.where), else pushes nil and
 * the object and returns 2.   Use: if (rc < 0) return mw_push_err(L, &err);   [-0, +2, e] */
int mw_push_err(lua_State *L, const struct mw_err *err);

/* As mw_push_err, with the table on top of the stack (popped) as err.data.     [-1, +2, e] */
int mw_push_err_data(lua_State *L, const struct mw_err *err);

/* Raises `err` whatever its code.                                          [-0, +0, e] */
int mw_raise(lua_State *L, const struct mw_err *err);

/* Raises EINVAL at the caller's line with a formatted text (lua_pushfstring's formats). */
int mw_raise_inval(lua_State *L, const char *op, const char *fmt, ...);

/* Counts an error that was made without mw_err_push; a name that is no code of ours is one of "other". */
void mw_err_count(lua_State *L, const char *name);

/* The error object at idx as a struct (a plain string or another value becomes MW_ELUA with its text). */
void mw_err_from(lua_State *L, int idx, struct mw_err *err);
/* Its code as the script has it, which may be one of its own; lent by it; "" when it is no error object.   [-0, +0, m] */
const char *mw_err_said_code(lua_State *L, int idx);

#endif
