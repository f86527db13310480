/* What the prompt says to its session and hears from it: MessagePack both ways.
 * Knows: moonwire.h. Never: the terminal; trusts that an answer is what it should be: what is not, is not heeded. */
#include <string.h>

#include "front/repl_parts.h"
#include "front/report.h"

/* ---- To the session ------------------------------------------------------------------------------------------------------------- */

static int call(struct mw_repl *r, const char *name, struct mw_err *err) {
    int rc = r->args.code;

    mw_buf_clear(&r->answer);
    if (rc < 0) mw_err_set(err, rc, name, NULL, NULL);
    if (rc == 0) rc = mw_host_call(r->h, name, r->args.at, r->args.len, &r->answer, err);
    mw_buf_clear(&r->args);
    return rc;
}

int mw_repl_ask(struct mw_repl *r, const char *name, int *yes, struct mw_err *err) {
    mw_view v;
    int rc = call(r, name, err);

    *yes = 0;
    v = (mw_view){ r->answer.at, r->answer.len };
    if (rc == 0) mw_view_boolean(&v, yes);
    return rc;
}

static void take_prompt(struct mw_repl *r, mw_view *v) {
    const char *text;
    size_t len;

    if (mw_view_string(v, &text, &len) < 0 || len >= sizeof r->prompt || memchr(text, '\0', len) != NULL) return;
    memcpy(r->prompt, text, len);
    r->prompt[len] = '\0';
}

int mw_repl_call_submit(struct mw_repl *r, char verdict[8], struct mw_err *err) {
    const char *word;
    size_t len;
    mw_view v;
    int rc;

    mw_buf_string(&r->args, r->text, r->len);
    rc = call(r, "repl.submit", err);
    v = (mw_view){ r->answer.at, r->answer.len };
    verdict[0] = '\0';
    if (rc < 0 || mw_view_string(&v, &word, &len) < 0 || len > 7) return rc;
    memcpy(verdict, word, len);
    verdict[len] = '\0';
    take_prompt(r, &v);
    return 0;
}

static const char *find_text(const mw_view *map, const char *key, size_t *len) {
    const char *text = NULL;
    mw_view v;

    if (mw_view_find(map, key, &v) < 0 || mw_view_string(&v, &text, len) < 0) return *len = 0, NULL;
    return text;
}

/* Into the editor's answer; `from` counts from the beginning of the input, the editor's from that of its line. */
static void take_completions(struct mw_repl *r, const mw_view *map, struct mw_completions *into) {
    const char *text, *signature;
    size_t len, signature_len;
    int64_t from = 0;
    uint32_t count = 0;
    mw_view v;

    if (mw_view_find(map, "from", &v) == 0) mw_view_integer(&v, &from);
    if (from < 0 || (size_t)from < r->pending) return;
    text = find_text(map, "hint", &len);
    r->calls->hint(into, (size_t)from - r->pending, text, len);
    if (mw_view_find(map, "items", &v) < 0 || mw_view_array(&v, &count) < 0) return;
    while (count-- > 0) {
        text = find_text(&v, "text", &len);
        signature = find_text(&v, "signature", &signature_len);
        if (text != NULL) r->calls->candidate(into, text, len, signature, signature_len);
        if (mw_view_skip(&v) < 0) break;
    }
}

void mw_repl_call_complete(struct mw_repl *r, const char *text, size_t len, size_t at, struct mw_completions *into) {
    mw_view v, id;

    if (mw_repl_add(r, text, len) < 0) return;
    mw_buf_string(&r->args, r->text, r->len);
    mw_buf_integer(&r->args, (int64_t)(r->pending + at));
    r->len = r->pending;
    r->asked = 0;
    if (call(r, "repl.complete", NULL) < 0) return;
    v = (mw_view){ r->answer.at, r->answer.len };
    if (mw_view_type(&v) != MW_TYPE_MAP) return;
    if (mw_view_find(&v, "pending", &id) == 0 && mw_view_integer(&id, &r->asked) == 0) return;
    take_completions(r, &v, into);
}

void mw_repl_post_options(struct mw_repl *r) {
    mw_buf_map(&r->args, 4);
    mw_buf_text(&r->args, "terminal"), mw_buf_boolean(&r->args, r->terminal);
    mw_buf_text(&r->args, "colour"), mw_buf_boolean(&r->args, r->terminal && mw_report_colours());
    mw_buf_text(&r->args, "columns"), mw_buf_integer(&r->args, r->edit != NULL ? (int64_t)r->calls->columns(r->edit) : 80);
    mw_buf_text(&r->args, "history"), mw_buf_boolean(&r->args, r->edit != NULL);
    if (r->args.code == 0) mw_host_post(r->h, "repl.options", r->args.at, r->args.len, NULL);
    mw_buf_clear(&r->args);
}

/* ---- From the session ----------------------------------------------------------------------------------------------------------- */

static void completed(struct mw_repl *r, const mw_view *map) {
    struct mw_completions *into;
    int64_t id = 0;
    mw_view v, result = *map;

    if (r->edit == NULL || mw_view_find(map, "id", &v) < 0 || mw_view_integer(&v, &id) < 0 || id != r->asked) return;
    if (mw_view_find(map, "result", &v) == 0) result = v;
    r->asked = 0;
    into = r->calls->later(r->edit);
    take_completions(r, &result, into);
    r->calls->given(r->edit);
}

void mw_repl_on_message(mw_host *h, const char *topic, const void *msgpack, size_t len, void *ud) {
    struct mw_repl *r = ud;
    mw_view v = { msgpack, len }, field;
    int64_t code = 0;
    size_t n;
    const char *text;

    (void)h;
    if (strncmp(topic, "repl.", 5) != 0) return;
    topic += 5;
    r->stirred = 1;
    if (strcmp(topic, "exit") == 0) r->over = 1;
    if (mw_view_type(&v) != MW_TYPE_MAP) return;
    if (strcmp(topic, "done") == 0) {
        if (mw_view_find(&v, "prompt", &field) == 0) take_prompt(r, &field);
        r->running = 0;
    } else if (strcmp(topic, "exit") == 0) {
        if (mw_view_find(&v, "code", &field) == 0 && mw_view_integer(&field, &code) == 0) r->code = (int)(code & 0xff);
    } else if (strcmp(topic, "clear") == 0 && r->edit != NULL) {
        r->calls->clear(r->edit);
    } else if (strcmp(topic, "fill") == 0 && r->edit != NULL) {
        if ((text = find_text(&v, "text", &n)) != NULL) r->calls->fill(r->edit, text, n);
    } else if (strcmp(topic, "completed") == 0) {
        completed(r, &v);
    }
}
