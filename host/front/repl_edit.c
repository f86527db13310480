/* The line editor: libedit reads keys through us, and while none comes the host has its turns. One line at a time, in el_wgets; between
 * two of them the terminal has its own modes.
 * Knows: histedit.h, termios(3). Never: leaves the terminal in a mode of its own, or sets O_NONBLOCK on it; calls a host. */
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "front/repl_edit_parts.h"

#define KEY_CLEAR 3                 /* what a signal of Ctrl-C becomes for libedit */
#define KEY_END 4                   /* Ctrl-D */

/* ---- libedit's side ------------------------------------------------------------------------------------------------------------- */

static mw_edit *of(EditLine *el) {
    void *e = NULL;

    el_wget(el, EL_CLIENTDATA, &e);
    return e;
}

static wchar_t *give_prompt(EditLine *el) { return of(el)->prompt; }

size_t mw_edit_buffer(mw_edit *e, const wchar_t **chars, size_t *cursor) {
    const LineInfoW *line = el_wline(e->el);

    *chars = line->buffer;
    *cursor = (size_t)(line->cursor - line->buffer);
    return (size_t)(line->lastchar - line->buffer);
}

void mw_edit_refresh(mw_edit *e) {
    el_wset(e->el, EL_REFRESH);
    fflush(e->file_out);
}

void mw_edit_insert(mw_edit *e, const wchar_t *chars) { el_winsertstr(e->el, chars); }
void mw_edit_delete_back(mw_edit *e, size_t count) { el_deletestr(e->el, (int)count); }

/* libedit walks from the newest to the oldest. */
static int give_history(void *ptr, HistEventW *ev, int op, ...) {
    mw_edit *e = ptr;
    size_t at = e->history_at, count = e->history.count;

    switch (op) {
    case H_FIRST: at = count - 1; break;
    case H_LAST: at = 0; break;
    case H_NEXT: at = at == 0 ? count : at - 1; break;
    case H_PREV: at = at + 1; break;
    case H_CURR: break;
    default: at = count; break;
    }
    if (at >= count) {
        ev->num = -1;
        ev->str = L"";
        return -1;
    }
    e->history_at = at;
    ev->num = (int)at + 1;
    ev->str = e->history.entries[at];
    return 0;
}

/* ---- The terminal's modes ------------------------------------------------------------------------------------------------------- */

static void set_modes(mw_edit *e, const struct termios *modes) {
    sigset_t out, was;

    sigemptyset(&out);
    sigaddset(&out, SIGTTOU); /* whoever fell into the background meanwhile is not stopped by it */
    pthread_sigmask(SIG_BLOCK, &out, &was);
    while (tcsetattr(e->in, TCSADRAIN, modes) < 0 && errno == EINTR) continue;
    pthread_sigmask(SIG_SETMASK, &was, NULL);
}

static void stop(mw_edit *e) {
    mw_screen_leave(e, "");
    mw_screen_write(e, MW_EDIT_PASTE_OFF, sizeof MW_EDIT_PASTE_OFF - 1);
    set_modes(e, &e->was);
    raise(SIGSTOP); /* comes back when the shell lets us go on */
    set_modes(e, &e->raw);
    mw_screen_write(e, MW_EDIT_PASTE_ON, sizeof MW_EDIT_PASTE_ON - 1);
    mw_screen_begin(e);
    mw_screen_draw(e);
}

/* Somebody else stopped us, and a shell has had the terminal: then it is in other modes than ours. */
static void resumed(mw_edit *e) {
    struct termios now;

    if (tcgetattr(e->in, &now) < 0 || (now.c_lflag & ICANON) == 0) return;
    set_modes(e, &e->raw);
    mw_screen_write(e, MW_EDIT_PASTE_ON, sizeof MW_EDIT_PASTE_ON - 1);
    mw_screen_begin(e);
    mw_screen_draw(e);
}

/* ---- Keys ----------------------------------------------------------------------------------------------------------------------- */

/* The host's turn is not ours: it runs under the thread's own locale. */
static int wait_key(mw_edit *e, int timeout_ms) {
    int how;

    uselocale(e->outer);
    how = e->hooks.wait(e->hooks.ud, e->in, timeout_ms);
    uselocale(e->locale);
    return how;
}

int mw_edit_byte(mw_edit *e, unsigned char *out) {
    for (;;) {
        int due = mw_screen_settle(e);
        switch (wait_key(e, due)) {
        case MW_EDIT_AGAIN: continue;
        case MW_EDIT_CLEAR: *out = KEY_CLEAR, e->clearing = 1; return -1;
        case MW_EDIT_STOP: stop(e); continue;
        case MW_EDIT_RESUMED: resumed(e); continue;
        case MW_EDIT_RESIZED:
            el_resize(e->el);
            mw_screen_resized(e);
            continue;
        case MW_EDIT_KEY: {
            ssize_t n = read(e->in, out, 1); /* one: what follows a line is whoever's reads the terminal next */
            if (n == 1 && e->ahead > 0 && (e->ahead--, *out == '\0')) *out = KEY_END;
            if (n == 1) return 1;
            if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
            break;
        }
        default: break;
        }
        e->end = MW_EDIT_FAILED;
        return 0;
    }
}

/* What is there before the first key: the mode that libedit has set is known now, and the line is on the screen. */
static void begin_line(mw_edit *e) {
    e->raw_known = tcgetattr(e->in, &e->raw) == 0;
    if (ioctl(e->in, FIONREAD, &e->ahead) < 0) e->ahead = 0; /* in whole lines a Ctrl-D was an end, which is a NUL now */
    fflush(e->file_out);
    e->drawn = 1;
    if (e->fill.len > 0) {
        wchar_t *chars = mw_text_wide(e->fill.at, e->fill.len, NULL);
        mw_screen_erase(e);
        if (chars != NULL) mw_edit_insert(e, chars);
        mw_screen_draw(e);
        free(chars);
        e->fill.len = 0;
    }
}

static int get_key(EditLine *el, wchar_t *out) {
    mw_edit *e = of(el);
    unsigned char bytes[4];
    size_t have = 0, need = 1;

    if (!e->raw_known) begin_line(e);
    if (e->clearing) return *out = KEY_CLEAR, 1; /* the first may have ended in the middle of a key's sequence */
    while (have < need) {
        unsigned char b;
        int got = mw_edit_byte(e, &b);
        if (got == 0) return 0;
        if (got < 0) return *out = KEY_CLEAR, 1;
        if (have > 0 && (b & 0xc0) != 0x80) have = 0; /* a character that is cut off is dropped */
        if (have == 0) need = b < 0x80 ? 1 : b < 0xc2 ? 0 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : b < 0xf5 ? 4 : 0;
        if (need == 0) need = 1;
        else bytes[have++] = b;
    }
    if (have == 1) {
        *out = bytes[0];
    } else {
        wchar_t *one = mw_text_wide((const char *)bytes, have, NULL);
        *out = one != NULL ? one[0] : L'?';
        free(one);
    }
    return 1;
}

/* ---- What keys do --------------------------------------------------------------------------------------------------------------- */

static unsigned char on_clear(EditLine *el, int c) {
    mw_edit *e = of(el);

    (void)c;
    e->clearing = 0;
    mw_screen_leave(e, "^C");
    e->end = MW_EDIT_CLEARED;
    return CC_NEWLINE;
}

static unsigned char on_enter(EditLine *el, int c) {
    mw_edit *e = of(el);
    const wchar_t *chars;
    size_t cursor, count = mw_edit_buffer(e, &chars, &cursor);

    (void)c;
    e->line.len = 0;
    if (mw_text_add_wide(&e->line, chars, count) < 0 || mw_text_add(&e->line, "", 1) < 0) return CC_ERROR;
    e->end = MW_EDIT_LINE;
    mw_screen_flush(e);
    mw_screen_leave(e, "");
    return CC_NEWLINE;
}

static unsigned char on_end(EditLine *el, int c) {
    mw_edit *e = of(el);
    const wchar_t *chars;
    size_t cursor, count = mw_edit_buffer(e, &chars, &cursor);

    (void)c;
    if (count > 0) {
        if (cursor == count) return CC_ERROR;
        el_cursor(el, 1);
        el_deletestr(el, 1);
        return CC_REFRESH;
    }
    mw_screen_leave(e, "");
    e->end = MW_EDIT_END;
    return CC_EOF;
}

/* In a line of several rows the arrows go from one to the next, at its ends into the history. */
static unsigned char vertical(EditLine *el, int down) {
    mw_edit *e = of(el);
    const wchar_t *chars;
    size_t cursor, count = mw_edit_buffer(e, &chars, &cursor);
    int inside = down ? wmemchr(chars + cursor, L'\n', count - cursor) != NULL : wmemchr(chars, L'\n', cursor) != NULL;

    if (down) el_wpush(el, inside ? L"\030\016" : L"\030n");
    else el_wpush(el, inside ? L"\030\020" : L"\030p");
    return CC_NORM;
}
static unsigned char on_up(EditLine *el, int c) { return (void)c, vertical(el, 0); }
static unsigned char on_down(EditLine *el, int c) { return (void)c, vertical(el, 1); }

static unsigned char on_newline(EditLine *el, int c) {
    (void)c;
    return el_winsertstr(el, L"\n") < 0 ? CC_ERROR : CC_REFRESH;
}

static unsigned char on_tab(EditLine *el, int c) {
    (void)c;
    mw_keys_complete(of(el));
    return CC_REFRESH;
}

static unsigned char on_paste(EditLine *el, int c) {
    (void)c;
    mw_keys_paste(of(el));
    return CC_REFRESH;
}

static unsigned char on_wipe(EditLine *el, int c) {
    (void)c;
    mw_screen_clear(of(el));
    return CC_NORM;
}

/* ---- Opening -------------------------------------------------------------------------------------------------------------------- */

static void add_keys(EditLine *el) {
    static const struct { const wchar_t *name; unsigned char (*fn)(EditLine *, int); } ours[] = {
        { L"mw-clear", on_clear }, { L"mw-enter", on_enter }, { L"mw-end", on_end }, { L"mw-up", on_up }, { L"mw-down", on_down },
        { L"mw-newline", on_newline }, { L"mw-tab", on_tab }, { L"mw-paste", on_paste }, { L"mw-wipe", on_wipe },
    };
    static const struct { const wchar_t *keys, *does; } bound[] = {
        { L"\003", L"mw-clear" }, { L"\r", L"mw-enter" }, { L"\n", L"mw-enter" }, { L"\004", L"mw-end" }, { L"\t", L"mw-tab" },
        { L"\014", L"mw-wipe" }, { L"\033\r", L"mw-newline" }, { L"\033\n", L"mw-newline" }, { L"\033[200~", L"mw-paste" },
        { L"\033[A", L"mw-up" }, { L"\033OA", L"mw-up" }, { L"\033[B", L"mw-down" }, { L"\033OB", L"mw-down" },
        { L"\030\020", L"ed-prev-line" }, { L"\030\016", L"ed-next-line" }, { L"\030p", L"ed-prev-history" }, { L"\030n", L"ed-next-history" },
        { L"\033[H", L"ed-move-to-beg" }, { L"\033OH", L"ed-move-to-beg" }, { L"\033[1~", L"ed-move-to-beg" },
        { L"\033[F", L"ed-move-to-end" }, { L"\033OF", L"ed-move-to-end" }, { L"\033[4~", L"ed-move-to-end" },
        { L"\033[3~", L"ed-delete-next-char" }, { L"\033[1;5D", L"ed-prev-word" }, { L"\033[1;5C", L"em-next-word" },
        { L"\022", L"em-inc-search-prev" },
    };

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) el_wset(el, EL_ADDFN, ours[i].name, L"of moonwire", ours[i].fn);
    el_wset(el, EL_EDITOR, L"emacs");
    el_wset(el, EL_BIND, L"\027", L"ed-delete-prev-word", NULL);
    el_source(el, NULL); /* the person's own ~/.editrc */
    for (size_t i = 0; i < sizeof bound / sizeof *bound; i++) el_wset(el, EL_BIND, bound[i].keys, bound[i].does, NULL);
}

/* Can it move up, and erase what is below, as we do it? Padding may follow. */
static int is_able(EditLine *el) {
    char *up = NULL, *below = NULL;

    if (el_get(el, EL_GETTC, "up", &up) < 0 || el_get(el, EL_GETTC, "cd", &below) < 0) return 0;
    return up != NULL && *up == 27 && below != NULL && strncmp(below, "\033[J", 3) == 0; /* tmux goes up by ESC M, and knows the other, too */
}

static void *stream_on(int fd, const char *how) {
    int own = dup(fd);
    FILE *file = own >= 0 ? fdopen(own, how) : NULL;

    if (file == NULL && own >= 0) close(own);
    return file;
}

static void close_edit(mw_edit *e) {
    if (e == NULL) return;
    if (e->el != NULL) {
        el_end(e->el);
        set_modes(e, &e->was);
    }
    if (e->file_in != NULL) fclose(e->file_in);
    if (e->file_out != NULL) fclose(e->file_out);
    if (e->locale != NULL) freelocale(e->locale);
    mw_history_close(&e->history);
    mw_text_free(&e->line), mw_text_free(&e->fill), mw_text_free(&e->held), mw_text_free(&e->tail), mw_text_free(&e->asked);
    mw_text_free(&e->answer.text), mw_text_free(&e->answer.hint);
    free(e->prompt);
    free(e);
}

static mw_edit *open_edit(int in, int out, const struct termios *was, const struct mw_edit_hooks *hooks) {
    mw_edit *e = calloc(1, sizeof *e);
    int able = 0;

    if (e == NULL) return NULL;
    e->in = in, e->out = out, e->was = *was, e->hooks = *hooks;
    e->before = "";
    e->clean = 1;
    e->history.fd = -1;
    e->file_in = stream_on(in, "r"), e->file_out = stream_on(out, "w");
    e->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (e->file_in != NULL && e->file_out != NULL && e->locale != NULL && tcgetattr(in, &e->raw) == 0) {
        e->outer = uselocale(e->locale);
        e->el = el_init_fd("moonwire", e->file_in, e->file_out, e->file_out, in, out, out);
        if (e->el != NULL && (able = is_able(e->el)) != 0) {
            el_wset(e->el, EL_CLIENTDATA, e);
            el_wset(e->el, EL_SIGNAL, 0);
            el_wset(e->el, EL_PROMPT, give_prompt);
            el_wset(e->el, EL_HIST, give_history, e);
            el_wset(e->el, EL_GETCFN, get_key);
            add_keys(e->el);
        }
        uselocale(e->outer);
        mw_screen_size(e);
    }
    if (!able) return close_edit(e), NULL;
    mw_history_open(&e->history);
    return e;
}

/* ---- A line --------------------------------------------------------------------------------------------------------------------- */

static int set_prompt(mw_edit *e, const char *prompt) {
    wchar_t *chars = mw_text_wide(prompt, strlen(prompt), NULL);

    if (chars == NULL) return -1;
    free(e->prompt);
    e->prompt = chars;
    return 0;
}

static enum mw_edit_end read_line(mw_edit *e, const char *prompt, const char *before, const char **text, size_t *len) {
    int count = 0;

    if (set_prompt(e, prompt) < 0) return MW_EDIT_FAILED;
    e->outer = uselocale(e->locale);
    e->before = before;
    e->end = MW_EDIT_FAILED; /* unless a key says otherwise */
    e->raw_known = e->clearing = 0;
    set_modes(e, &e->was); /* whatever a child left */
    el_wset(e->el, EL_PREP_TERM, 1); /* before the prompt invites keys: they would be seen twice */
    if (*before == '\0') mw_screen_begin(e);
    mw_screen_write(e, MW_EDIT_PASTE_ON, sizeof MW_EDIT_PASTE_ON - 1);
    (void)el_wgets(e->el, &count);
    mw_screen_flush(e);
    *text = e->line.at;
    *len = e->end == MW_EDIT_LINE ? e->line.len - 1 : 0;
    if (e->drawn) mw_screen_leave(e, "");
    mw_screen_write(e, MW_EDIT_PASTE_OFF, sizeof MW_EDIT_PASTE_OFF - 1);
    set_modes(e, &e->was);
    e->before = "";
    e->drawn = 0;
    uselocale(e->outer);
    return e->end;
}

/* ---- The table ------------------------------------------------------------------------------------------------------------------ */

#define UNDER_OUR_LOCALE(e, does) do { void *beside = uselocale((e)->locale); does; uselocale(beside); } while (0)

static void show(mw_edit *e, const char *text, size_t len) { UNDER_OUR_LOCALE(e, mw_screen_show(e, text, len)); }
static void clear(mw_edit *e) { UNDER_OUR_LOCALE(e, mw_screen_clear(e)); }
static void remember(mw_edit *e, const char *text, size_t len) { mw_history_add(&e->history, text, len); }
static unsigned columns(mw_edit *e) { return mw_screen_columns(e); }

static void fill(mw_edit *e, const char *text, size_t len) {
    e->fill.len = 0;
    mw_text_add(&e->fill, text, len);
}

static void hide(mw_edit *e) {
    e->hidden = e->drawn;
    if (e->drawn) UNDER_OUR_LOCALE(e, (mw_screen_flush(e), mw_screen_erase(e)));
}

static void unhide(mw_edit *e) {
    int was = e->hidden;

    e->hidden = 0;
    if (was) UNDER_OUR_LOCALE(e, (mw_screen_begin(e), mw_screen_draw(e)));
}

static void candidate(struct mw_completions *into, const char *text, size_t len, const char *signature, size_t signature_len) {
    if (memchr(text, '\0', len) != NULL) return;
    mw_text_add(&into->text, text, len), mw_text_add(&into->text, "", 1);
    mw_text_add(&into->text, signature, signature != NULL ? strnlen(signature, signature_len) : 0), mw_text_add(&into->text, "", 1);
    into->count++;
}

static void hint(struct mw_completions *into, size_t from, const char *text, size_t len) {
    into->from = from;
    into->hint.len = 0;
    if (text != NULL) mw_text_add(&into->hint, text, len);
}

static struct mw_completions *later(mw_edit *e) {
    e->answer.text.len = e->answer.count = e->answer.hint.len = 0;
    return &e->answer;
}

/* Still the same line, and the cursor where it was? */
static void given(mw_edit *e) {
    struct mw_text now = { 0 };
    const wchar_t *chars;
    size_t cursor, count;

    if (!e->drawn || e->hidden) return;
    count = mw_edit_buffer(e, &chars, &cursor);
    mw_text_add_wide(&now, chars, count);
    if (now.len == e->asked.len && cursor == e->asked_at && (now.len == 0 || memcmp(now.at, e->asked.at, now.len) == 0))
        UNDER_OUR_LOCALE(e, (mw_screen_erase(e), mw_keys_answer(e), mw_screen_draw(e)));
    mw_text_free(&now);
}

extern const struct mw_edit_calls mw_repl_edit_calls;
const struct mw_edit_calls mw_repl_edit_calls = {
    open_edit, close_edit, read_line, show, remember, fill, clear, hide, unhide, columns, candidate, hint, later, given,
};
