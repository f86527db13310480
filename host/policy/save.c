/* A policy as bytes, and back: what a host hands its script child in a sealed memfd.
 * Knows: grants, read(2) and write(2) on the descriptor it is given. Never: believes a length; follows a link that was not there
 * when the rule was made; pins what is not the same object any more. */
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "policy/grant.h"
#include "policy/save.h"

#define MAGIC 0x3250574du        /* "MWP2" */
#define SAVED_MAX (16u << 20)    /* bytes */
#define TEXT_MAX (MW_TRAIL_TEXT + MW_RULE_MAX)
#define LAYERS_MAX 1024u

/* ---- Writing -------------------------------------------------------------------------------------------------------------- */

static int put(struct mw_bytes *out, uint64_t v) {
    unsigned char raw[8];
    for (int i = 0; i < 8; i++) raw[i] = (unsigned char)(v >> (8 * i));
    return mw_bytes_add(out, raw, sizeof raw);
}

static int put_text(struct mw_bytes *out, const char *text) {
    int rc = put(out, text == NULL ? 0 : strlen(text) + 1);
    return rc < 0 || text == NULL ? rc : mw_bytes_add(out, text, strlen(text) + 1);
}

static int put_place(struct mw_bytes *out, const struct mw_place_id *at) {
    if (put(out, (uint64_t)at->known) < 0 || put(out, at->anchor.dev) < 0 || put(out, at->anchor.ino) < 0 || put(out, at->steps) < 0 || put(out, at->rest) < 0)
        return MW_ENOMEM;
    return put_text(out, at->text);
}

static int put_rule(struct mw_bytes *out, const struct mw_rule *r) {
    const struct mw_spot *s = &r->spot;

    if (put(out, r->kind) < 0 || put(out, r->effect) < 0 || put_text(out, r->text) < 0) return MW_ENOMEM;
    if (!mw_rule_has_spot(r)) return 0;
    if (put_text(out, r->name) < 0 || put(out, (uint64_t)s->known) < 0 || put(out, s->node.dev) < 0 || put(out, s->node.ino) < 0) return MW_ENOMEM;
    return put_place(out, &s->place) < 0 || put_place(out, &s->link) < 0 ? MW_ENOMEM : 0;
}

static int put_list(struct mw_bytes *out, const struct mw_rule *r) {
    for (; r != NULL; r = r->next)
        if (put_rule(out, r) < 0) return MW_ENOMEM;
    return 0;
}

static int put_layer(struct mw_bytes *out, const struct mw_layer *l) {
    int rc = put(out, l->shape);

    if (rc == 0) rc = put(out, l->origin);
    if (rc == 0) rc = put(out, (uint64_t)l->all);
    if (rc == 0) rc = put(out, l->count);
    for (int k = 0; k < MW_KINDS && rc == 0; k++) rc = put_list(out, l->rules[k]);
    return rc;
}

static int put_policy(struct mw_bytes *out, const mw_policy *p) {
    uint64_t layers = 0;
    int rc;

    for (const struct mw_layer *l = p->layers; l != NULL; l = l->next) layers++;
    rc = put(out, MAGIC);
    if (rc == 0) rc = put_text(out, p->path);
    if (rc == 0) rc = put(out, layers);
    for (const struct mw_layer *l = p->layers; l != NULL && rc == 0; l = l->next) rc = put_layer(out, l);
    if (rc == 0) rc = put_layer(out, &p->drops);
    return rc;
}

int mw_policy_save(const mw_policy *p, int fd, struct mw_err *err) {
    static const char op[] = "policy save";
    struct mw_bytes out = {0};
    int rc = put_policy(&out, p);

    if (rc < 0) mw_err_set(err, rc, op, NULL, NULL);
    else if (mw_bytes_len(&out) > SAVED_MAX) rc = mw_err_set(err, MW_ELIMIT, op, NULL, "more rules than a child can be given");
    while (rc == 0 && mw_bytes_len(&out) > 0) {
        ssize_t n = write(fd, mw_bytes_at(&out), mw_bytes_len(&out));
        if (n > 0) mw_bytes_consume(&out, (size_t)n);
        else if (n < 0 && errno != EINTR) rc = mw_err_sys(err, op, NULL);
    }
    mw_bytes_free(&out);
    return rc;
}

/* ---- Reading -------------------------------------------------------------------------------------------------------------- */

struct in {
    const unsigned char *at, *end;
    int bad;                     /* 0, or MW_EINVAL, MW_ENOMEM: nothing is read any more */
};

static uint64_t get(struct in *in, uint64_t max) {
    uint64_t v = 0;

    if (in->bad != 0 || in->end - in->at < 8) {
        if (in->bad == 0) in->bad = MW_EINVAL;
        return 0;
    }
    for (int i = 0; i < 8; i++) v |= (uint64_t)in->at[i] << (8 * i);
    in->at += 8;
    if (v > max) in->bad = MW_EINVAL;
    return in->bad != 0 ? 0 : v;
}

/* Lent from the input; NULL: none. */
static const char *get_text(struct in *in) {
    uint64_t n = get(in, TEXT_MAX);
    const char *text = (const char *)in->at;

    if (in->bad != 0 || n == 0) return NULL;
    if ((uint64_t)(in->end - in->at) < n || memchr(text, 0, (size_t)n) != text + n - 1) {
        in->bad = MW_EINVAL;
        return NULL;
    }
    in->at += n;
    return text;
}

static char *own(struct in *in, const char *text) {
    char *copy = text != NULL ? strdup(text) : NULL;
    if (text != NULL && copy == NULL) in->bad = MW_ENOMEM;
    return copy;
}

static void get_place(struct in *in, struct mw_place_id *at) {
    const char *text;

    memset(at, 0, sizeof *at);
    at->known = (int)get(in, 1);
    at->anchor.dev = (dev_t)get(in, UINT64_MAX);
    at->anchor.ino = (ino_t)get(in, UINT64_MAX);
    at->steps = (unsigned)get(in, MW_TRAIL_MAX);
    at->rest = (size_t)get(in, MW_TRAIL_TEXT);
    text = get_text(in);
    at->len = text != NULL ? strlen(text) : 0;
    if (at->len >= MW_TRAIL_TEXT || at->rest > at->len || (at->known && (at->steps == 0 || text == NULL))) in->bad = MW_EINVAL;
    if (text != NULL && (text[0] != '/' && text[0] != 0)) in->bad = MW_EINVAL;
    if (in->bad == 0) at->text = own(in, text);
}

/* Pins the object again, if it is still what it was and no link has come into the way. Otherwise a grant goes by its place alone. */
static int pin(struct in *in, struct mw_rule *r) {
    struct mw_spot *s = &r->spot;
    struct mw_walk w;
    int rc, same = 0;

    if (!s->known || s->place.text == NULL) return 0;
    rc = mw_walk(s->place.len > 0 ? s->place.text : "/", 0, MW_WALK_FOLLOW, NULL, &w);
    if (rc < 0) return in->bad = rc;
    if (w.fd >= 0 && w.status == 0 && strcmp(w.trail.text, s->place.text) == 0) {
        const struct mw_node *node = &w.trail.step[w.trail.count - 1].node;
        same = node->dev == s->node.dev && node->ino == s->node.ino;
    }
    if (same) {
        s->fd = w.fd;
        s->is_dir = S_ISDIR(w.st.st_mode);
        w.fd = -1;
    } else if (r->effect == MW_ALLOW) {
        s->known = 0; /* its number may be another file's by now */
    }
    mw_walk_end(&w);
    return 0;
}

static struct mw_rule *get_rule(struct in *in) {
    enum mw_kind kind = (enum mw_kind)get(in, MW_KINDS - 1);
    enum mw_effect effect = (enum mw_effect)get(in, MW_DENY);
    const char *text = get_text(in), *name;
    struct mw_rule *r = NULL;
    int rc;

    if (in->bad != 0) return NULL;
    rc = mw_rule_parse(kind, effect, text, text != NULL ? strlen(text) : 0, &r, NULL);
    if (rc < 0) {
        in->bad = rc;
        return NULL;
    }
    if (!mw_rule_has_spot(r)) return r;
    name = get_text(in);
    if (name == NULL || name[0] != '/') in->bad = in->bad != 0 ? in->bad : MW_EINVAL;
    free(r->name);
    r->name = own(in, name);
    r->spot.known = (int)get(in, 1);
    r->spot.node.dev = (dev_t)get(in, UINT64_MAX);
    r->spot.node.ino = (ino_t)get(in, UINT64_MAX);
    get_place(in, &r->spot.place);
    get_place(in, &r->spot.link);
    if (in->bad == 0 && r->spot.place.text == NULL) in->bad = MW_EINVAL;
    if (in->bad == 0) pin(in, r);
    if (in->bad == 0) return r;
    mw_rule_free(r);
    return NULL;
}

static void get_layer(struct in *in, mw_policy *p, struct mw_layer *l) {
    uint64_t count;
    struct mw_err unused;

    l->shape = (enum mw_shape)get(in, MW_LAYER_DROPS);
    l->origin = (enum mw_origin)get(in, MW_FROM_DROPS);
    l->all = (int)get(in, 1);
    count = get(in, MW_RULES_MAX);
    if ((l->shape == MW_LAYER_DROPS) != (l == &p->drops) || (l->origin == MW_FROM_DROPS) != (l == &p->drops) || (l->shape == MW_LAYER_DROPS && l->all)) in->bad = MW_EINVAL;
    for (uint64_t i = 0; i < count && in->bad == 0; i++) {
        struct mw_rule *r = get_rule(in);
        int rc;
        if (r == NULL) return;
        if (l == &p->drops && r->effect != MW_DENY) {
            mw_rule_free(r);
            in->bad = MW_EINVAL;
            return;
        }
        rc = mw_layer_take_found(p, l, r, &unused);
        if (rc < 0) in->bad = rc;
    }
}

static void get_policy(struct in *in, mw_policy *p) {
    const char *path;
    uint64_t layers;

    if (get(in, UINT32_MAX) != MAGIC) in->bad = MW_EINVAL;
    path = get_text(in);
    if (path == NULL) in->bad = in->bad != 0 ? in->bad : MW_EINVAL;
    if (in->bad == 0) {
        free(p->path);
        p->path = own(in, path);
    }
    layers = get(in, LAYERS_MAX);
    if (layers == 0 && in->bad == 0) in->bad = MW_EINVAL;
    for (uint64_t i = 0; i < layers && in->bad == 0; i++) {
        struct mw_layer *top = p->layers; /* the new policy has one already */
        if (i > 0) in->bad = mw_layer_push(p, MW_LAYER_CLOSED, MW_FROM_FLAGS, &top, NULL);
        if (in->bad == 0) get_layer(in, p, top);
    }
    if (in->bad == 0) get_layer(in, p, &p->drops);
    if (in->bad == 0 && in->at != in->end) in->bad = MW_EINVAL;
}

int mw_policy_parse(const void *data, size_t len, mw_policy **out, struct mw_err *err) {
    struct in in = {data, (const unsigned char *)data + len, 0};
    mw_policy *p = NULL;
    int rc = mw_policy_new(&p, err);

    if (rc < 0) return rc;
    get_policy(&in, p);
    if (in.bad == 0) {
        *out = p; /* given */
        return 0;
    }
    mw_policy_free(p);
    return mw_err_set(err, in.bad, "policy load", NULL, in.bad == MW_EINVAL ? "not a policy" : NULL);
}

int mw_policy_load(int fd, mw_policy **out, struct mw_err *err) {
    struct mw_bytes in = {0};
    ssize_t n = 1;
    int rc = 0;

    (void)lseek(fd, 0, SEEK_SET); /* whoever wrote it shares our offset */
    while (rc == 0 && n != 0) {
        size_t room;
        char *tail = mw_bytes_reserve(&in, 4096, &room);
        if (tail == NULL) {
            rc = mw_err_set(err, MW_ENOMEM, "policy load", NULL, NULL);
            break;
        }
        n = read(fd, tail, room);
        if (n > 0) mw_bytes_commit(&in, (size_t)n);
        else if (n < 0 && errno != EINTR) rc = mw_err_sys(err, "policy load", NULL);
        if (mw_bytes_len(&in) > SAVED_MAX) rc = mw_err_set(err, MW_EINVAL, "policy load", NULL, "too long for a policy");
    }
    if (rc == 0) rc = mw_policy_parse(mw_bytes_at(&in), mw_bytes_len(&in), out, err);
    mw_bytes_free(&in);
    return rc;
}
