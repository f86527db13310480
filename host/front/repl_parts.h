/* The insides of the prompt: what its files in the program share.
 * Knows: moonwire.h, front/. Never: included elsewhere. */
#ifndef MW_FRONT_REPL_PARTS_H
#define MW_FRONT_REPL_PARTS_H

#include <termios.h>

#include "front/flags.h"
#include "front/repl.h"
#include "front/repl_edit.h"

struct mw_repl {
    const struct mw_flags *flags;
    mw_host *h;
    const struct mw_edit_calls *calls;      /* the editor's; NULL: plain lines */
    mw_edit *edit;                          /* NULL: likewise */
    int in, out;                            /* its terminal */
    int bell;                               /* of mw_signals_prompt; -1: no terminal */
    int terminal;                           /* a person reads the output */
    int prompts;                            /* prompts are shown: somebody types */
    unsigned noted;                         /* signals that nobody has heeded yet */
    int key, running, over, code;           /* key: input can be read. running: a line is. code: -1: not told */
    int stirred;                            /* something has happened in this turn that is looked at here */
    uint64_t turned_ns;                     /* the last turn of the loop */
    int64_t asked;                          /* the completion that will come later; 0: none */
    char prompt[64];
    mw_buf args, answer;
    char *text;                             /* the input so far: lines that want more, and the one that came */
    size_t len, room, pending;              /* pending: bytes of those that want more */
    char *shown;                            /* the same lines as they stand on the screen */
    size_t shown_len;
};

/* Lines (repl_lines.c). */
int mw_repl_add(struct mw_repl *r, const char *line, size_t len);      /* to the input; MW_ENOMEM */
/* Gives the input to the session: 1, it runs; 0, it wants more, or there was nothing; below 0: the session has gone. */
int mw_repl_submit(struct mw_repl *r, struct mw_err *err);
void mw_repl_forget(struct mw_repl *r);                                 /* the input */
/* Until the line has ended, or the run. */
void mw_repl_wait_line(struct mw_repl *r);

/* What is said to the session, and by it (repl_call.c). Each 0 or a code. */
int mw_repl_ask(struct mw_repl *r, const char *name, int *yes, struct mw_err *err);    /* no arguments; *yes: a first result that is true */
int mw_repl_call_submit(struct mw_repl *r, char verdict[8], struct mw_err *err);       /* sets r->prompt */
void mw_repl_call_complete(struct mw_repl *r, const char *text, size_t len, size_t at, struct mw_completions *into);
void mw_repl_post_options(struct mw_repl *r);
void mw_repl_on_message(mw_host *h, const char *topic, const void *msgpack, size_t len, void *ud);

/* One turn of the loop: at most so long; takes note of signals. 0: go on; below 0: the run is over. */
int mw_repl_turn(struct mw_repl *r, int timeout_ms);

int mw_repl_edited(struct mw_repl *r, struct mw_err *err);  /* lines from the editor, to the end of the session */
int mw_repl_plain(struct mw_repl *r, struct mw_err *err);   /* lines from standard input as they are, likewise */

/* The editor (repl_part.c): its table, or NULL: *why says why not. */
const struct mw_edit_calls *mw_repl_part(char *why, size_t size);

#endif
