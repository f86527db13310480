/* The prompt: lines from the editor or from standard input, each given to the session, and the host's turns meanwhile.
 * Knows: moonwire.h, front/. Never: libedit; evaluates anything. */
#include "front/repl.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "front/prompt.h"
#include "front/repl_parts.h"
#include "front/repl_tty.h"
#include "front/report.h"
#include "front/signals.h"

#define TURN_NS 5000000u            /* keys that come faster than this share a turn of the loop */
#define STATUS_FAILED 1
#define STATUS_HUNG_UP 129

/* ---- What the host says --------------------------------------------------------------------------------------------------------- */

static void show(void *ud, const char *text, size_t len) {
    struct mw_repl *r = ud;

    r->stirred = 1;
    if (r->edit != NULL) r->calls->show(r->edit, text, len);
    else if (fwrite(text, 1, len, stdout) != len || fflush(stdout) != 0) r->over = 1; /* nobody reads */
}
static void on_print(mw_host *h, const char *text, size_t len, void *ud) { (void)h, show(ud, text, len); }
static void on_log(mw_host *h, enum mw_level level, const char *line, size_t len, void *ud) {
    (void)h, (void)level;
    show(ud, line, len);
    show(ud, "\n", 1);
}

/* ---- The loop ------------------------------------------------------------------------------------------------------------------- */

static uint64_t now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void on_bell(mw_host *h, int fd, int events, void *ud) {
    struct mw_repl *r = ud;

    (void)h, (void)fd, (void)events;
    r->noted |= mw_signals_noted();
    r->stirred = 1;
}
static void on_key(mw_host *h, int fd, int events, void *ud) {
    struct mw_repl *r = ud;

    (void)h, (void)fd, (void)events;
    r->key = r->stirred = 1;
}

/* A turn runs what is ready before it sleeps: so it is looked at first whether that has changed anything here. */
int mw_repl_turn(struct mw_repl *r, int timeout_ms) {
    struct mw_step st;

    r->stirred = 0;
    if (r->over || mw_host_run_once(r->h, 0, &st, NULL) < 0) return -1;
    if (timeout_ms != 0 && st.alive && st.ready == 0 && !r->stirred && mw_host_run_once(r->h, timeout_ms, &st, NULL) < 0) return -1;
    r->turned_ns = now_ns();
    if (!st.alive || mw_signals_seen()) r->over = 1;
    return r->over ? -1 : 0;
}

/* ---- The editor ----------------------------------------------------------------------------------------------------------------- */

static int take(struct mw_repl *r, unsigned what) {
    int there = (r->noted & what) != 0;

    r->noted &= ~what;
    return there;
}

static int wait_key(void *ud, int fd, int timeout_ms) {
    struct mw_repl *r = ud;
    struct pollfd key = { fd, POLLIN, 0 };

    if (r->over) return MW_EDIT_OVER;
    if (mw_signals_any()) r->noted |= mw_signals_noted(); /* before the keys that came after it */
    r->key = now_ns() - r->turned_ns < TURN_NS && r->noted == 0 && poll(&key, 1, 0) > 0;
    if (!r->key && r->noted == 0 && mw_repl_turn(r, timeout_ms) < 0) return MW_EDIT_OVER;
    if (mw_signals_any()) r->noted |= mw_signals_noted();
    if (take(r, MW_NOTED_CLEAR)) return MW_EDIT_CLEAR;
    if (take(r, MW_NOTED_STOP)) return MW_EDIT_STOP;
    if (take(r, MW_NOTED_RESUMED)) return MW_EDIT_RESUMED;
    if (take(r, MW_NOTED_RESIZED)) {
        mw_repl_post_options(r);
        return MW_EDIT_RESIZED;
    }
    return r->key ? MW_EDIT_KEY : MW_EDIT_AGAIN;
}

static void complete(void *ud, const char *text, size_t len, size_t at, struct mw_completions *into) {
    mw_repl_call_complete(ud, text, len, at, into);
}

/* The line's signals, while it runs: a Ctrl-C that it does not heed is followed by one that ends all. */
void mw_repl_wait_line(struct mw_repl *r) {
    int yes;

    mw_signals_line(1);
    while (r->running && mw_repl_turn(r, -1) == 0) {
        /* a session without memory can't even say so */
        if (take(r, MW_NOTED_CLEAR) && (mw_repl_ask(r, "repl.cancel", &yes, NULL) < 0 || !yes)) r->running = 0;
        if (take(r, MW_NOTED_STOP) && mw_repl_ask(r, "repl.background", &yes, NULL) == 0 && yes) r->running = 0;
        if (take(r, MW_NOTED_RESIZED)) mw_repl_post_options(r);
    }
    mw_signals_line(0);
    r->noted &= MW_NOTED_RESIZED;
    r->running = 0;
}

static int add_shown(struct mw_repl *r, const char *line, size_t len) {
    size_t prompt = strlen(r->prompt);
    char *more = realloc(r->shown, r->shown_len + prompt + len + 2);

    if (more == NULL) return -1;
    r->shown = more;
    memcpy(more + r->shown_len, r->prompt, prompt);
    memcpy(more + r->shown_len + prompt, line, len);
    r->shown_len += prompt + len + 1;
    more[r->shown_len - 1] = '\n';
    more[r->shown_len] = '\0';
    return 0;
}

/* One line; below 0: no more come. */
static int edit_line(struct mw_repl *r, struct mw_err *err) {
    const char *line;
    size_t len;
    int rc = mw_host_watch_fd(r->h, r->in, MW_WATCH_READ, on_key, r, err), how;

    if (rc < 0) return rc;
    how = r->calls->read(r->edit, r->prompt, r->shown_len > 0 ? r->shown : "", &line, &len);
    mw_host_watch_fd(r->h, r->in, 0, NULL, NULL, NULL); /* while a line runs, keys are whoever's reads them */
    switch (how) {
    case MW_EDIT_FAILED:
        if (!r->over && !mw_signals_seen()) r->code = STATUS_HUNG_UP;
        return -1;
    case MW_EDIT_END:
        if (r->pending == 0) return -1;
        mw_repl_forget(r);
        return 0;
    case MW_EDIT_CLEARED: mw_repl_forget(r); return 0;
    default: break;
    }
    if (mw_repl_add(r, line, len) < 0) return mw_err_set(err, MW_ENOMEM, "repl", NULL, NULL);
    if (add_shown(r, line, len) < 0) r->shown_len = 0;
    rc = mw_repl_submit(r, err);
    if (rc <= 0) return rc;
    mw_repl_wait_line(r);
    return 0;
}

int mw_repl_edited(struct mw_repl *r, struct mw_err *err) {
    int rc = 0;

    while (rc == 0 && !r->over) rc = edit_line(r, err);
    return rc == -1 ? 0 : rc;
}

static void before_question(void *ud) {
    struct mw_repl *r = ud;
    if (r->edit != NULL) r->calls->hide(r->edit);
}
static void after_question(void *ud) {
    struct mw_repl *r = ud;
    if (r->edit != NULL) r->calls->unhide(r->edit);
}

/* ---- From beginning to end ------------------------------------------------------------------------------------------------------ */

static void say(struct mw_repl *r, const char *text) { show(r, text, strlen(text)); }

static void open_editor(struct mw_repl *r) {
    const char *term = getenv("TERM");
    const struct mw_edit_hooks hooks = { r, wait_key, complete };
    struct termios was;
    char why[512];

    if (mw_repl_tty_open(&r->in, &r->out, &was) < 0) return;
    r->terminal = 1;
    if (term == NULL || *term == '\0' || strcmp(term, "dumb") == 0) return;
    r->calls = mw_repl_part(why, sizeof why);
    if (r->calls == NULL) mw_report_line("lines cannot be edited: %s", why);
    else r->edit = r->calls->open(r->in, r->out, &was, &hooks);
    if (r->edit != NULL) mw_repl_tty_edited();
}

int mw_repl_new(const struct mw_flags *flags, struct mw_config *cfg, struct mw_repl **out, struct mw_err *err) {
    struct mw_repl *r = calloc(1, sizeof *r);

    if (r == NULL) return mw_err_set(err, MW_ENOMEM, "repl", NULL, NULL);
    r->flags = flags;
    r->bell = r->code = -1;
    strcpy(r->prompt, "> ");
    open_editor(r);
    r->prompts = r->terminal;
    cfg->ud = r;
    cfg->on_message = mw_repl_on_message;
    if (r->terminal) {
        cfg->on_print = on_print;
        cfg->on_log = on_log;
        cfg->person = 1;
        mw_report_to(show, r);
    }
    *out = r;
    return 0;
}

void mw_repl_free(struct mw_repl *r) {
    if (r == NULL) return;
    mw_report_to(NULL, NULL);
    if (r->edit != NULL) r->calls->close(r->edit);
    mw_repl_tty_restore();
    mw_repl_tty_close();
    mw_buf_free(&r->args);
    mw_buf_free(&r->answer);
    free(r->text);
    free(r->shown);
    free(r);
}

static int begin(struct mw_repl *r, struct mw_err *err) {
    const char *module = r->flags->command == MW_CMD_ATTACH ? "moonwire.attach" : "moonwire.repl";
    int rc;

    mw_repl_post_options(r);
    rc = mw_host_start_module(r->h, module, "main", err);
    if (rc < 0) return rc;
    if (r->terminal) r->bell = mw_signals_prompt();
    if (r->bell >= 0) rc = mw_host_watch_fd(r->h, r->bell, MW_WATCH_READ, on_bell, r, err);
    if (rc == 0 && mw_prompt_possible(r->flags)) mw_prompt_around(before_question, after_question, r);
    if (rc == 0) mw_repl_turn(r, 0); /* the session opens */
    if (r->terminal && rc == 0 && !r->over && r->flags->command == MW_CMD_REPL) {
        say(r, "moonwire ");
        say(r, mw_version());
        say(r, "\n.help tells what there is, Ctrl-D leaves\n");
    }
    return rc;
}

int mw_repl_run(struct mw_repl *r, mw_host *h, int *status, struct mw_err *err) {
    int rc, yes, failed;

    r->h = h;
    rc = begin(r, err);
    if (rc == 0) rc = r->edit != NULL ? mw_repl_edited(r, err) : mw_repl_plain(r, err);
    failed = rc < 0 && rc != -1;
    if (failed) mw_report_failure(err);
    if (!mw_signals_seen() && r->code < 0 && mw_repl_ask(r, "repl.leave", &yes, NULL) < 0 && !r->over)
        mw_host_interrupt(h, STATUS_FAILED, NULL); /* a session that cannot hear it would wait for ever */
    mw_signals_prompt_over();
    rc = mw_host_run(h, status, err);
    if (r->code >= 0 && !mw_signals_seen()) *status = r->code;
    if (failed && *status == 0) *status = STATUS_FAILED;
    return rc;
}
