/* The input, line by line, until the session takes it.
 * Knows: moonwire.h, front/. Never: where lines come from. */
#include <stdlib.h>
#include <string.h>

#include "front/repl_parts.h"

int mw_repl_add(struct mw_repl *r, const char *line, size_t len) {
    if (r->room - r->len < len + 2) {
        size_t room = r->room < 256 ? 256 : r->room;
        char *more;
        while (room - r->len < len + 2) room *= 2;
        more = realloc(r->text, room);
        if (more == NULL) return MW_ENOMEM;
        r->text = more;
        r->room = room;
    }
    if (len > 0) memcpy(r->text + r->len, line, len);
    r->len += len;
    return 0;
}

void mw_repl_forget(struct mw_repl *r) {
    r->len = r->pending = r->shown_len = 0;
    strcpy(r->prompt, "> ");
}

int mw_repl_submit(struct mw_repl *r, struct mw_err *err) {
    char verdict[8];
    int rc;

    r->running = 1; /* its end may be told before the call is back */
    rc = mw_repl_call_submit(r, verdict, err);
    if (rc == 0 && strcmp(verdict, "more") == 0) {
        r->running = 0;
        r->text[r->len++] = '\n';
        r->pending = r->len;
        return 0;
    }
    if (rc == 0 && r->edit != NULL) r->calls->remember(r->edit, r->text, r->len);
    r->len = r->pending = r->shown_len = 0;
    if (rc == 0 && strcmp(verdict, "run") == 0) return 1;
    r->running = 0;
    return rc < 0 ? rc : 0;
}
