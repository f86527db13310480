/* The insides of moonwire-repl.so: what its own files share.
 * Knows: front/repl_edit.h, C11. Never: libedit's header, save as a name; included by the program. */
#ifndef MW_FRONT_REPL_EDIT_PARTS_H
#define MW_FRONT_REPL_EDIT_PARTS_H

#include <stdint.h>
#include <wchar.h>

#include "front/repl_edit.h"

/* ---- Text (repl_edit_text.c) ------------------------------------------------------------------------------------------------- */

struct mw_text {                    /* bytes that grow; zero-initialised is empty */
    char *at;
    size_t len, room;
};
int mw_text_add(struct mw_text *t, const char *bytes, size_t len);     /* 0, or -1: no memory, and nothing added */
void mw_text_drop(struct mw_text *t, size_t len);                      /* the first `len` */
void mw_text_free(struct mw_text *t);

/* UTF-8 to characters, terminated; what is none becomes U+FFFD. NULL: no memory. Given. */
wchar_t *mw_text_wide(const char *bytes, size_t len, size_t *count);
int mw_text_add_wide(struct mw_text *t, const wchar_t *chars, size_t count);

/* Where a terminal's cursor stands after a text that began at 0, 0. */
struct mw_place {
    size_t row, column;
};
/* As libedit lays its line out: a full row goes on in the next at once. */
void mw_place_line(struct mw_place *p, const wchar_t *chars, size_t count, unsigned width);
/* As a terminal lays plain output out: escape sequences take no room, a full row waits for the next character. */
void mw_place_output(struct mw_place *p, const char *bytes, size_t len, unsigned width);

/* ---- History (repl_edit_history.c) -------------------------------------------------------------------------------------------- */

struct mw_history {
    wchar_t **entries;              /* the oldest first */
    size_t count, room;
    int fd;                         /* the file, or -1: this session's only */
};
void mw_history_open(struct mw_history *h);
void mw_history_close(struct mw_history *h);
void mw_history_add(struct mw_history *h, const char *text, size_t len);

/* ---- The editor (repl_edit.c), its screen (repl_edit_screen.c), its keys (repl_edit_keys.c) -------------------------------- */

struct editline;

struct mw_completions {
    struct mw_text text;            /* candidates and signatures, a 0 after each; those without a signature have an empty one */
    size_t count, from;
    struct mw_text hint;
};

struct mw_edit {
    struct editline *el;
    int in, out;
    void *file_in, *file_out;       /* FILE * on descriptors of our own */
    struct termios was, raw;
    struct mw_edit_hooks hooks;
    struct mw_history history;
    size_t history_at;              /* where libedit reads it */
    void *locale, *outer;           /* locale_t: UTF-8; that of the thread beside us */
    wchar_t *prompt;
    const char *before;
    struct mw_text line, fill, held, tail, asked;
    struct mw_completions answer;
    size_t asked_at;
    int clearing;                   /* Ctrl-C came: libedit gets nothing else until it has heeded it */
    int ahead;                                  /* bytes that were typed before this line began, and not read yet */
    int raw_known, drawn, hidden, clean;        /* clean: the cursor is known to stand at the beginning of a row */
    unsigned width, height;
    uint64_t flushed_ms;
    enum mw_edit_end end;
};

/* libedit's side, by repl_edit.c. */
size_t mw_edit_buffer(mw_edit *e, const wchar_t **chars, size_t *cursor);      /* lent until the line changes */
void mw_edit_refresh(mw_edit *e);                   /* draws prompt and line from where the cursor stands, column 0 */
void mw_edit_insert(mw_edit *e, const wchar_t *chars);
void mw_edit_delete_back(mw_edit *e, size_t count);
int mw_edit_byte(mw_edit *e, unsigned char *out);   /* the next one typed; 0: the read is over, e->end tells; -1: a signal's key: 3 is in *out */

void mw_screen_size(mw_edit *e);
unsigned mw_screen_columns(const mw_edit *e);           /* as it is now; what is drawn may not have followed yet */
void mw_screen_write(mw_edit *e, const char *bytes, size_t len);
void mw_screen_begin(mw_edit *e);                   /* before a read: the cursor goes to the beginning of a row */
void mw_screen_show(mw_edit *e, const char *text, size_t len);
int mw_screen_settle(mw_edit *e);                   /* writes what is held above the line; or says in how many ms it will be time; -1: nothing is held */
void mw_screen_flush(mw_edit *e);
void mw_screen_erase(mw_edit *e);
void mw_screen_draw(mw_edit *e);
void mw_screen_resized(mw_edit *e);
void mw_screen_leave(mw_edit *e, const char *mark); /* to the row below the line, which stays */
void mw_screen_clear(mw_edit *e);

void mw_keys_complete(mw_edit *e);
void mw_keys_answer(mw_edit *e);                    /* e->answer into the line, or above it */
void mw_keys_paste(mw_edit *e);

#endif
