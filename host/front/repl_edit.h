/* The line editor of the prompt: what the program asks of moonwire-repl.so, and what that asks of the program. The object holds
 * libedit, knows of lines and of the terminal, and calls no host: it is handed what it needs.
 * Knows: C11, POSIX. Never: Lua, a host, a right. */
#ifndef MW_FRONT_REPL_EDIT_H
#define MW_FRONT_REPL_EDIT_H

#include <stddef.h>
#include <termios.h>

typedef struct mw_edit mw_edit;
struct mw_completions;              /* one answer to Tab, while it is written */

enum mw_edit_wait {                 /* what a wait ended with */
    MW_EDIT_AGAIN,                  /* the host had a turn; look again */
    MW_EDIT_KEY,                    /* the terminal can be read */
    MW_EDIT_CLEAR,                  /* Ctrl-C */
    MW_EDIT_STOP,                   /* Ctrl-Z: the program is to stop as a job of the shell */
    MW_EDIT_RESIZED,
    MW_EDIT_RESUMED,                /* after a stop */
    MW_EDIT_OVER                    /* the run is over, or the terminal has gone */
};

/* The program's side; ud goes to each. All in the thread of the editor. */
struct mw_edit_hooks {
    void *ud;
    int (*wait)(void *ud, int fd, int timeout_ms);      /* until `fd` can be read, a signal, or the host has had a turn; -1: as long as it takes */
    void (*complete)(void *ud, const char *text, size_t len, size_t at, struct mw_completions *into);
};

enum mw_edit_end { MW_EDIT_LINE, MW_EDIT_CLEARED, MW_EDIT_END, MW_EDIT_FAILED };    /* FAILED: the run is over, or the terminal has gone */

/* The table that the object exports as mw_repl_edit_calls. */
struct mw_edit_calls {
    /* in, out: descriptors of the terminal for reading and writing, lent until close; `out` blocks, `in` need not. was: the terminal's modes, to which each
     * read comes back. Opens the history's file. NULL: no memory, or the terminal can do too little for an editor. */
    mw_edit *(*open)(int in, int out, const struct termios *was, const struct mw_edit_hooks *hooks);
    void (*close)(mw_edit *e);
    /* One line, edited. `before`: the lines of the same input that stand above it, as they are shown, a newline after each; or "". LINE:
     * *text is lent until the next call, without its newline. END: Ctrl-D on an empty line. */
    enum mw_edit_end (*read)(mw_edit *e, const char *prompt, const char *before, const char **text, size_t *len);
    /* Output: above the line that is being edited, from the next wait on; straight to the terminal when there is none. */
    void (*show)(mw_edit *e, const char *text, size_t len);
    void (*remember)(mw_edit *e, const char *text, size_t len);     /* into the history */
    void (*fill)(mw_edit *e, const char *text, size_t len);         /* what the next line begins with */
    void (*clear)(mw_edit *e);                                      /* the screen */
    void (*hide)(mw_edit *e);                                       /* takes the line off the screen: somebody else uses it now */
    void (*unhide)(mw_edit *e);
    unsigned (*columns)(mw_edit *e);
    /* Into the answer of a hook. `from`: where what is completed begins, bytes of the text. signature may be NULL. */
    void (*candidate)(struct mw_completions *into, const char *text, size_t len, const char *signature, size_t signature_len);
    void (*hint)(struct mw_completions *into, size_t from, const char *hint, size_t len);
    /* An answer that comes after the hook returned: begun, filled with the two above, and given. Dropped if the line is another by then. */
    struct mw_completions *(*later)(mw_edit *e);
    void (*given)(mw_edit *e);
};

/* Switches the terminal's bracketed paste off; what a signal handler writes too, before it sets the modes. */
#define MW_EDIT_PASTE_ON "\033[?2004h"
#define MW_EDIT_PASTE_OFF "\033[?2004l"

#endif
