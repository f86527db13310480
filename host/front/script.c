/* A script's text from standard input, and pieces of code from the command line.
 * Knows: POSIX read, front/signals.
 * Never: opens a file. */
#include "front/script.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "front/signals.h"

/* Waits until there is something to read, or for Ctrl-C: -1. */
static int wait_for_input(void) {
    struct pollfd empty = { STDIN_FILENO, POLLIN, 0 };
    sigset_t was;
    int rc = 0, saved;

    mw_signals_hold(1, &was);
    while (rc == 0) {
        errno = EINTR;
        if (mw_signals_seen()) rc = -1;
        else if (ppoll(&empty, 1, NULL, &was) >= 0) rc = 1;
        else if (errno != EINTR) rc = -1;
    }
    saved = errno;
    mw_signals_hold(0, &was);
    errno = saved;
    return rc < 0 ? -1 : 0;
}

/* A read that waits even where somebody made standard input non-blocking. */
static ssize_t read_some(char *at, size_t room) {
    while (wait_for_input() == 0) {
        ssize_t n = read(STDIN_FILENO, at, room);
        if (n >= 0 || (errno != EINTR && errno != EAGAIN)) return n;
    }
    return -1;
}

int mw_script_stdin(char **out, size_t *len, struct mw_err *err) {
    size_t room = 16384, used = 0;
    char *text = malloc(room);
    int rc = 0;

    while (text != NULL) {
        ssize_t n = read_some(text + used, room - used);
        if (n < 0) rc = mw_err_sys(err, "read", "standard input");
        if (n <= 0) break;
        used += (size_t)n;
        if (used > MW_SCRIPT_MAX) rc = mw_err_set(err, MW_ELIMIT, "read", "standard input", "a script of more than 64 MiB");
        if (rc < 0) break;
        if (used == room) {
            char *more = realloc(text, room * 2);
            if (more == NULL) free(text);
            text = more;
            room *= 2;
        }
    }
    if (text == NULL) return mw_err_set(err, MW_ENOMEM, "read", "standard input", NULL);
    if (rc < 0) {
        free(text);
        return rc;
    }
    *out = text;
    *len = used;
    return 0;
}

int mw_script_eval(const char *code, enum mw_eval as, char **out, size_t *len, struct mw_err *err) {
    static const char before[] = "local mw = require 'moonwire' ";
    static const char show[] =
        "local function show(...) local t = table.pack(...) if t.n == 0 then return end for i = 1, t.n do "
        "if type(t[i]) == 'table' and getmetatable(t[i]) == nil then t[i] = mw.inspect(t[i]) end end "
        "print(table.unpack(t, 1, t.n)) end show((function(...) ";
    static const char given[] = "return ";
    static const char after[] = "\nend)(...))";
    size_t size = sizeof before + sizeof show + sizeof given + sizeof after + strlen(code);
    int shown = as != MW_EVAL_SILENT;
    char *text = malloc(size);

    if (text == NULL) return mw_err_set(err, MW_ENOMEM, "eval", NULL, NULL);
    *len = (size_t)snprintf(text, size, "%s%s%s%s%s", before, shown ? show : "", as == MW_EVAL_VALUES ? given : "", code, shown ? after : "");
    *out = text;
    return 0;
}
