/* A policy file's text: the flags' kinds and rules as JSON, strictly read, as the lowest layer of a policy.
 * Knows: grants, codec/json_text. Never: opens the file; grants what no rule can name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json_text.h"
#include "policy/grant.h"

#define DEPTH 3u                 /* the file, "deny", a list */
#define DENY_KEY MW_KINDS        /* beside the kinds */
#define KEYS "read write net connect listen run trust env sys share ffi"

struct reading {
    struct mw_json json;
    mw_policy *p;
    const char *dir;
    struct mw_err *err;
};

/* A refusal that says where: "3:14: a list of rules is expected". */
static int refuse(struct reading *in, size_t at, int code, const char *what) {
    unsigned line, column;

    mw_json_position(in->json.text, at, &line, &column);
    return mw_err_setf(in->err, code, NULL, NULL, "%u:%u: %s", line, column, what);
}

static int unexpected(struct reading *in, enum mw_json_token token, const char *what) {
    return refuse(in, in->json.from, MW_EINVAL, token == MW_JSON_BAD ? in->json.why : what);
}

/* ---- Rules --------------------------------------------------------------------------------------------------------------- */

/* How much of a rule stands before a path that may be relative to the file; -1: it names no such path. */
static int path_at(enum mw_kind kind, const char *rule) {
    switch (kind) {
    case MW_READ:
    case MW_WRITE:
    case MW_FFI: return 0;
    case MW_RUN:
    case MW_TRUST: return strchr(rule, '/') != NULL ? 0 : -1; /* else a name for PATH */
    case MW_NET:
    case MW_CONNECT:
    case MW_LISTEN: return strncmp(rule, "unix:", 5) == 0 && rule[5] != '@' ? 5 : -1;
    default: return -1;
    }
}

static int add_rule(struct reading *in, enum mw_kind kind, enum mw_effect effect, const char *rule) {
    int at = path_at(kind, rule), rc;
    char *joined = NULL;

    if (in->dir != NULL && at >= 0 && rule[at] != 0 && rule[at] != '/') {
        size_t size = strlen(in->dir) + strlen(rule) + 2;
        joined = malloc(size);
        if (joined == NULL) return mw_err_set(in->err, MW_ENOMEM, "policy", NULL, NULL);
        snprintf(joined, size, "%.*s%s/%s", at, rule, in->dir, rule + at);
    }
    rc = mw_policy_add_one(in->p, kind, effect, joined != NULL ? joined : rule, in->err);
    free(joined);
    if (rc < 0 && rc != MW_ENOMEM && in->err != NULL) {
        char what[sizeof in->err->what + sizeof in->err->subject + 4];
        snprintf(what, sizeof what, "%s: %s", in->err->subject, in->err->what);
        return refuse(in, in->json.from, rc, what);
    }
    return rc;
}

/* The string that the reader stands at, as a rule. */
static int take_string(struct reading *in, enum mw_kind kind, enum mw_effect effect) {
    char rule[MW_RULE_MAX + 1];

    if (in->json.decoded > MW_RULE_MAX) return refuse(in, in->json.from, MW_EINVAL, "too long for a rule");
    mw_json_string(&in->json, rule);
    rule[in->json.decoded] = 0;
    if (strlen(rule) != in->json.decoded) return refuse(in, in->json.from, MW_EINVAL, "a zero byte in a rule");
    return add_rule(in, kind, effect, rule);
}

static int take_rules(struct reading *in, enum mw_kind kind, enum mw_effect effect) {
    enum mw_json_token token = mw_json_next(&in->json);
    int rc = 0;

    if (token == MW_JSON_TRUE) return mw_policy_add_one(in->p, kind, effect, NULL, in->err);
    if (token == MW_JSON_FALSE) return 0; /* nothing, as without the key and with an empty list */
    if (token == MW_JSON_STRING) return take_string(in, kind, effect);
    if (token != MW_JSON_ARRAY) return unexpected(in, token, "true (everything), false (nothing), a rule or a list of rules is expected");
    while (rc == 0) {
        token = mw_json_next(&in->json);
        if (token == MW_JSON_ARRAY_END) return 0;
        rc = token == MW_JSON_STRING ? take_string(in, kind, effect) : unexpected(in, token, "a rule in quotes is expected");
    }
    return rc;
}

/* ---- Keys ---------------------------------------------------------------------------------------------------------------- */

/* The kind that the last key names, or DENY_KEY; <0: refused. seen: a bit for each that was there. */
static int take_key(struct reading *in, enum mw_effect effect, unsigned *seen) {
    char name[16] = "";
    int key = -1;

    if (in->json.decoded < sizeof name) {
        mw_json_string(&in->json, name);
        name[in->json.decoded] = 0;
        if (strlen(name) == in->json.decoded) key = mw_kind_of(name);
        if (effect == MW_ALLOW && strcmp(name, "deny") == 0) key = DENY_KEY;
    }
    if (effect == MW_DENY && key == MW_TRUST) key = -1;
    if (key < 0) return refuse(in, in->json.from, MW_EINVAL, effect == MW_ALLOW ? "unknown key; the keys are " KEYS " deny" : "unknown key; \"deny\" has the keys of the file, save deny and trust");
    if ((*seen & 1u << key) != 0) return refuse(in, in->json.from, MW_EINVAL, "the same key again");
    *seen |= 1u << key;
    return key;
}

static int take_object(struct reading *in, enum mw_effect effect) {
    enum mw_json_token token = mw_json_next(&in->json);
    unsigned seen = 0;
    int rc = 0;

    if (token != MW_JSON_OBJECT) return unexpected(in, token, "an object is expected");
    while (rc == 0) {
        token = mw_json_next(&in->json);
        if (token == MW_JSON_OBJECT_END) return 0;
        if (token != MW_JSON_KEY) return unexpected(in, token, "a key is expected");
        rc = take_key(in, effect, &seen);
        if (rc >= 0) rc = rc == DENY_KEY ? take_object(in, MW_DENY) : take_rules(in, (enum mw_kind)rc, effect);
    }
    return rc;
}

int mw_policy_add_json(mw_policy *p, const char *text, size_t len, const char *dir, struct mw_err *err) {
    struct reading in = {.p = p, .dir = dir, .err = err};
    enum mw_json_token token;
    int rc, mark = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0; /* of an editor's, as scripts may have it */

    if (p->layers->next != NULL || p->layers->count > 0 || p->layers->all)
        return mw_err_set(err, MW_EINVAL, "policy", NULL, "a policy file is the lowest layer: it comes before every other rule");
    p->layers->origin = MW_FROM_FILE;
    mw_json_begin(&in.json, text + 3 * mark, len - 3u * (unsigned)mark, DEPTH);
    rc = take_object(&in, MW_ALLOW);
    if (rc < 0) return rc;
    token = mw_json_next(&in.json);
    if (token != MW_JSON_END) return unexpected(&in, token, "something follows the value");
    return mw_layer_push(p, MW_LAYER_OPEN, MW_FROM_FLAGS, NULL, err);
}
