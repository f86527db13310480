/* Collects and asks the places at which the answer changes: the rules' own, and other names of what is denied.
 * Knows: confine_points.h, confine_mounts.h, walking. Never: adds anything to a cage; believes what could not be looked at. */
#include "policy/confine_points.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/confine_mounts.h"

#define SEEK_MAX 50000u          /* entries looked at for other names of what is denied */
#define FOLLOW_TRIES 8           /* looks for an object that others move */

static const char op[] = "confine";

static int grown(struct mw_points *ps, void **list, size_t *room, size_t count, size_t size) {
    void *more;

    if (count < *room) return 0;
    more = realloc(*list, (*room * 2 + 16) * size);
    if (more == NULL) return mw_err_set(ps->b->err, MW_ENOMEM, op, NULL, NULL);
    *list = more;
    *room = *room * 2 + 16;
    return 0;
}

/* 1 if a code says something about us and not about the path. */
static int ours(int code) {
    return code == MW_ENOMEM || code == -EMFILE || code == -ENFILE;
}

/* ---- Asking ------------------------------------------------------------------------------------------------------------------ */

static int says_yes(const struct mw_points *ps, const struct mw_target *t) {
    struct mw_decision d;

    mw_decide(ps->b->policy, t, &d);
    if (!ps->loading) return d.verdict == MW_YES;
    return !(d.verdict == MW_NO && d.rule != NULL && d.rule->form == MW_FORM_PATH && d.rule->spot.place.len > 0);
}

static int leads_over(const struct mw_trail *t, const struct mw_node *node) {
    for (unsigned i = 0; i < t->count; i++)
        if (t->step[i].known && t->step[i].node.dev == node->dev && t->step[i].node.ino == node->ino) return 1;
    return 0;
}

/* over: what the way must lead over; NULL: whatever. */
static int ask(struct mw_points *ps, const char *path, int special, const struct mw_node *over, struct mw_point *out, struct stat *st) {
    char subject[PATH_MAX + 2];
    struct mw_target t;
    struct mw_walk w;
    int rc = mw_target_path(ps->b->policy, 1u << ps->kind, *path != 0 ? path : "/", MW_WALK_NAME, subject, &w, &t);

    memset(out, 0, sizeof *out);
    out->special = special;
    if (ours(rc)) return mw_err_set(ps->b->err, rc, op, path, NULL);
    out->text = strdup(rc == 0 ? w.trail.text : path);
    if (out->text == NULL) {
        if (rc == 0) mw_walk_end(&w);
        return mw_err_set(ps->b->err, MW_ENOMEM, op, NULL, NULL);
    }
    out->missed = over != NULL && (rc < 0 || !leads_over(&w.trail, over));
    if (rc < 0) { /* too long, or it changes all the time */
        out->forced = 1;
        return 0;
    }
    if (ps->given != NULL) out->under = mw_given_on(ps->given, &w.trail);
    t.by_name = 0;
    t.kind = ps->kind;
    if (special) t.forbidden = 1;
    out->yes = says_yes(ps, &t);
    if (w.fd >= 0 && w.status == 0) {
        out->node = (struct mw_node){w.st.st_dev, w.st.st_ino};
        if (st != NULL) *st = w.st;
    } else if (w.status != MW_ENOENT && w.status != 0) {
        out->yes = 0; /* out of reach */
    }
    mw_walk_end(&w);
    return out->yes;
}

int mw_points_ask(struct mw_points *ps, const char *path, int special, struct mw_point *out, struct stat *st) {
    return ask(ps, path, special, NULL, out, st);
}

static int add(struct mw_points *ps, const char *text, int special, int forced, const struct mw_node *over) {
    struct mw_point at = {0};
    int rc = grown(ps, (void **)&ps->at, &ps->room, ps->count, sizeof *ps->at);

    if (rc == 0) rc = ask(ps, text, special, over, &at, NULL);
    if (rc < 0) {
        free(at.text);
        return rc;
    }
    if (forced) at.yes = 0, at.forced = 1;
    ps->at[ps->count++] = at;
    return 0;
}

int mw_points_add(struct mw_points *ps, const char *text, int special, int forced) {
    return add(ps, text, special, forced, NULL);
}

static int add_bad(struct mw_points *ps, const struct mw_node *node) {
    int rc = grown(ps, (void **)&ps->bad, &ps->bad_room, ps->bad_count, sizeof *ps->bad);

    if (rc < 0 || node->ino == 0) return rc;
    ps->bad[ps->bad_count++] = *node;
    return 0;
}

static int add_sought(struct mw_points *ps, const struct mw_node *node, const char *rest, uint64_t names) {
    int rc = grown(ps, (void **)&ps->sought, &ps->sought_room, ps->sought_count, sizeof *ps->sought);

    if (rc < 0) return rc;
    ps->sought[ps->sought_count++] = (struct mw_sought){*node, rest, names};
    return 0;
}

/* ---- Collecting ---------------------------------------------------------------------------------------------------------------- */

static int add_alias(void *ud, const char *alias) {
    return mw_points_add(ud, alias, 0, 0);
}

/* A denied place, its other names by mounts, and what stands there now. */
static int add_place(struct mw_points *ps, const struct mw_place_id *at) {
    size_t i = ps->count;
    int rc;

    if (at->text == NULL) return 0;
    rc = mw_points_add(ps, at->text, 0, 0);
    if (rc == 0 && !ps->at[i].yes) rc = add_bad(ps, &ps->at[i].node);
    if (rc == 0 && ps->b->mounts != NULL) rc = mw_mounts_aliases(ps->b->mounts, at->text, add_alias, ps);
    return rc;
}

/* What is denied may come to be in what is given whole, where nothing else is watched. */
static int watch(struct mw_points *ps, const char *text, const struct mw_node *node) {
    const char *path = *text != 0 ? text : "/";
    struct stat st;

    if (ps->given != NULL || stat(path, &st) < 0 || st.st_dev != node->dev || st.st_ino != node->ino) return 0;
    return mw_cage_watch(ps->b, path, &st, S_ISDIR(st.st_mode) || ps->guarding ? MW_WATCH_PLACE : MW_WATCH_LINKS);
}

/* A name below a folder: the folder may have been moved. In a second look, that it has not must be seen on the way itself. */
static int check_anchor(struct mw_points *ps, const struct mw_place_id *at) {
    char dir[MW_TRAIL_TEXT];
    struct stat st;

    if (!at->known || at->text == NULL || at->rest == 0 || at->rest > at->len || at->len >= sizeof dir) return 0;
    memcpy(dir, at->text, at->rest - 1);
    dir[at->rest - 1] = 0;
    if (lstat(dir[0] != 0 ? dir : "/", &st) == 0 && st.st_dev == at->anchor.dev && st.st_ino == at->anchor.ino) {
        int rc = ps->given != NULL ? add(ps, at->text, 0, 0, &at->anchor) : watch(ps, dir, &at->anchor);
        if (rc == 0 && ps->given != NULL) ps->moved |= ps->at[ps->count - 1].missed;
        return rc;
    }
    return ps->held ? 0 : add_sought(ps, &at->anchor, at->text + at->rest, 1);
}

/* Where a held object is by now: 1, or 0: it has no name any more, or none that is known. */
static int name_now(int fd, char path[MW_TRAIL_TEXT]) {
    static const char gone[] = " (deleted)";
    char self[32];
    ssize_t n;

    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    n = readlink(self, path, MW_TRAIL_TEXT - 1);
    if (n <= 0 || path[0] != '/') return 0;
    path[n] = 0;
    if ((size_t)n >= sizeof gone && strcmp(path + n - (sizeof gone - 1), gone) == 0) return 0;
    if (path[1] == 0) path[0] = 0;
    return 1;
}

/* What is granted, also where it was moved to. */
static int add_grant(struct mw_points *ps, const struct mw_rule *r) {
    const struct mw_spot *s = &r->spot;
    char path[MW_TRAIL_TEXT];
    size_t i = ps->count;
    int rc = mw_points_add(ps, s->place.text, 0, 0);

    if (rc < 0 || s->fd < 0 || (ps->at[i].node.dev == s->node.dev && ps->at[i].node.ino == s->node.ino)) return rc;
    return name_now(s->fd, path) ? mw_points_add(ps, path, 0, 0) : 0;
}

/* A held object by the name that it has now, which others may change at any time: looked up until the name leads to it. Where it never
 * does, though the name is always the same, it is hidden below a mount. */
static int add_where_it_is(struct mw_points *ps, const struct mw_spot *s, uint64_t names) {
    char path[MW_TRAIL_TEXT], before[MW_TRAIL_TEXT] = "";
    int rc, moved = 0;

    for (int i = 0; i < FOLLOW_TRIES; i++) {
        if (!name_now(s->fd, path)) return ps->held ? 0 : add_sought(ps, &s->node, NULL, names);
        rc = add(ps, path, 0, 0, &s->node);
        if (rc == 0 && !ps->at[ps->count - 1].missed) return watch(ps, path, &s->node);
        if (rc < 0) return rc;
        moved |= i > 0 && strcmp(path, before) != 0;
        memcpy(before, path, strlen(path) + 1);
    }
    ps->moved |= moved;
    return 0;
}

/* The denied object itself, wherever it is by now. */
static int add_object(struct mw_points *ps, const struct mw_rule *r, size_t first) {
    const struct mw_spot *s = &r->spot;
    struct stat st;
    int rc;

    if (!s->known) return 0;
    rc = add_bad(ps, &s->node);
    if (rc < 0) return rc;
    if (s->fd < 0) return ps->held ? 0 : add_sought(ps, &s->node, NULL, UINT64_MAX); /* not pinned: it was gone when this policy was read */
    if (fstat(s->fd, &st) < 0) return mw_err_sys(ps->b->err, op, r->text);
    if (st.st_nlink == 0) return 0;
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1 && !ps->guarding) rc = add_sought(ps, &s->node, NULL, st.st_nlink);
    if (rc < 0) return rc;
    if (ps->at[first].node.dev != s->node.dev || ps->at[first].node.ino != s->node.ino) return add_where_it_is(ps, s, st.st_nlink);
    return watch(ps, s->place.text, &s->node); /* it is in its place */
}

static int add_rule(struct mw_points *ps, const struct mw_rule *r) {
    size_t first = ps->count;
    int rc;

    if (r->form == MW_FORM_EVERY) return r->effect == MW_ALLOW && !ps->loading ? mw_points_add(ps, "", 0, 0) : 0;
    if (r->form != MW_FORM_PATH || r->spot.place.text == NULL) return 0;
    if (r->effect == MW_ALLOW) return ps->loading ? 0 : add_grant(ps, r);
    rc = add_place(ps, &r->spot.place);
    if (rc == 0) rc = add_place(ps, &r->spot.link);
    if (rc == 0) rc = add_object(ps, r, first);
    if (rc == 0) rc = check_anchor(ps, &r->spot.place);
    return rc == 0 ? check_anchor(ps, &r->spot.link) : rc;
}

static int below(const char *text, const char *dir) {
    size_t n = strlen(dir);
    return strncmp(text, dir, n) == 0 && (text[n] == '/' || text[n] == 0);
}

/* /proc and its like, where a granted place is above them. */
static int add_special(struct mw_points *ps) {
    static const char *const always[] = {"/proc", "/sys", "/dev"};
    size_t granted = ps->count;
    int rc = 0, root = 0;

    if (ps->everything) return 0;
    for (size_t i = 0; i < granted; i++) root |= ps->at[i].text[0] == 0 && ps->at[i].yes;
    for (int i = 0; i < 3 && rc == 0; i++)
        if (root) rc = mw_points_add(ps, always[i], 1, 0);
    for (const struct mw_mount *m = ps->b->mounts != NULL ? ps->b->mounts->first : NULL; m != NULL && rc == 0; m = m->next) {
        int wanted = m->special;
        for (int i = 0; i < 3; i++) wanted = wanted && !below(m->at, always[i]);
        for (size_t i = 0; i < granted && wanted; i++)
            if (ps->at[i].yes && below(m->at, ps->at[i].text)) {
                rc = mw_points_add(ps, m->at, 1, 0);
                wanted = 0;
            }
    }
    return rc;
}

/* was: the same list when our own cage was made: what came later stands behind. l: its layer; NULL: the drops. Of guards the kernel knows
 * nothing where everything may be written (`all`): then what a trusted program reads may be, too. */
static int add_rules(struct mw_points *ps, const struct mw_rule *r, const struct mw_rule *was, const struct mw_layer *l, int all) {
    int rc = 0;

    for (; r != NULL && rc == 0; r = r->next) {
        ps->held = was != NULL;
        ps->guarding = l != NULL && mw_guard_of(l, r) != NULL;
        if (!ps->guarding || !all) rc = add_rule(ps, r);
        was = was != NULL ? was->next : NULL;
    }
    ps->held = ps->guarding = 0;
    return rc;
}

int mw_points_find(struct mw_points *ps) {
    const struct mw_policy *p = ps->b->policy;
    const struct mw_layer *was = p->held != NULL ? p->held->layers : NULL;
    struct mw_point root = {0};
    int all = ps->kind == MW_WRITE && mw_layer_every(p, MW_WRITE);
    int rc = mw_points_ask(ps, "", 1, &root, NULL);

    free(root.text);
    if (rc < 0) return rc;
    ps->everything = rc;
    rc = 0;
    for (const struct mw_layer *l = p->layers; l != NULL && rc == 0; l = l->next) {
        if (l->all && !ps->loading) rc = mw_points_add(ps, "", 0, 0);
        if (rc == 0) rc = add_rules(ps, l->rules[ps->kind], was != NULL ? was->rules[ps->kind] : NULL, l, all);
        was = was != NULL ? was->next : NULL;
    }
    if (rc == 0) rc = add_rules(ps, p->drops.rules[ps->kind], p->held != NULL ? p->held->drops.rules[ps->kind] : NULL, NULL, 0);
    if (rc == 0 && !ps->loading) rc = add_special(ps);
    if (rc == 0) mw_points_sort(ps);
    return rc;
}

void mw_points_end(struct mw_points *ps) {
    for (size_t i = 0; i < ps->count; i++) free(ps->at[i].text);
    free(ps->at);
    free(ps->bad);
    free(ps->sought);
}

/* ---- Looking up ----------------------------------------------------------------------------------------------------------------- */

/* As strcmp, but '/' before everything: a folder stands before what is in it, and that before its neighbours. */
static int compare(const char *a, const char *b) {
    while (*a != 0 && *a == *b) a++, b++;
    if (*a == *b) return 0;
    if (*a == 0 || *b == 0) return *a == 0 ? -1 : 1;
    if (*a == '/' || *b == '/') return *a == '/' ? -1 : 1;
    return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

static int by_text(const void *a, const void *b) {
    return compare(((const struct mw_point *)a)->text, ((const struct mw_point *)b)->text);
}

void mw_points_sort(struct mw_points *ps) {
    size_t n = 0;

    if (ps->count > 1) qsort(ps->at, ps->count, sizeof *ps->at, by_text);
    for (size_t i = 0; i < ps->count; i++) {
        struct mw_point *last = n > 0 ? &ps->at[n - 1] : NULL;
        if (last != NULL && strcmp(last->text, ps->at[i].text) == 0) {
            last->yes = last->yes && ps->at[i].yes;
            last->forced |= ps->at[i].forced;
            last->under |= ps->at[i].under;
            last->fixed |= ps->at[i].fixed;
            free(ps->at[i].text);
        } else {
            ps->at[n++] = ps->at[i];
        }
    }
    ps->count = n;
}

/* The first point that does not stand before `text`. */
static size_t lower(const struct mw_points *ps, const char *text) {
    size_t from = 0, to = ps->count;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (compare(ps->at[mid].text, text) < 0) from = mid + 1;
        else to = mid;
    }
    return from;
}

const struct mw_point *mw_points_at(const struct mw_points *ps, const char *text) {
    size_t i = lower(ps, text);
    return i < ps->count && strcmp(ps->at[i].text, text) == 0 ? &ps->at[i] : NULL;
}

int mw_points_refuse_below(const struct mw_points *ps, const char *text) {
    for (size_t i = lower(ps, text); i < ps->count && below(ps->at[i].text, text); i++)
        if ((!ps->at[i].yes || ps->at[i].fixed) && strcmp(ps->at[i].text, text) != 0) return 1;
    return 0;
}

int mw_points_says(const struct mw_points *ps, const char *text) {
    size_t i = lower(ps, text);

    if (i < ps->count && strcmp(ps->at[i].text, text) == 0) return ps->at[i].yes;
    while (i-- > 0)
        if (below(text, ps->at[i].text)) return ps->at[i].yes;
    return 0;
}

int mw_points_fix(struct mw_points *ps, const struct mw_points *reads) {
    char up[MW_TRAIL_TEXT];
    int rc = 0;

    for (size_t i = 0; i < reads->count && rc == 0; i++) {
        const struct mw_point *it = &reads->at[i];
        size_t len = strlen(it->text);
        if (it->special || len == 0 || len >= sizeof up) continue;
        memcpy(up, it->text, len + 1);
        *strrchr(up, '/') = 0;
        if (it->yes && mw_points_says(reads, up)) continue; /* no change here. Where both say no, a layer above hides one perhaps. */
        rc = mw_points_add(ps, it->text, 0, 0);
        if (rc == 0) ps->at[ps->count - 1].fixed = 1;
    }
    mw_points_sort(ps);
    return rc;
}

int mw_points_is_bad(const struct mw_points *ps, const struct stat *st) {
    for (size_t i = 0; i < ps->bad_count; i++)
        if (ps->bad[i].dev == st->st_dev && ps->bad[i].ino == st->st_ino) return 1;
    return 0;
}

int mw_points_is_root(const struct mw_points *ps, size_t i) {
    const char *text = ps->at[i].text;
    int root = -1;

    if (!ps->at[i].yes) return 0;
    for (size_t j = i; j-- > 0;) {
        if (!below(text, ps->at[j].text)) continue;
        if (ps->at[j].forced) return 0; /* nobody looked in there */
        if (root < 0) root = !ps->at[j].yes; /* the deepest that holds it */
    }
    return root != 0;
}

/* ---- Seeking -------------------------------------------------------------------------------------------------------------------- */

struct seek {
    struct mw_points *ps;
    struct mw_points found;      /* added to ps in the end: ps must stay sorted meanwhile */
    unsigned seen;
    size_t open;                 /* sought ones that are not wholly found */
    char text[MW_TRAIL_TEXT];
    size_t len;
};

/* over: what was sought and is found; NULL: what could not be looked into. */
static int remember(struct seek *k, const char *rest, const struct mw_node *over) {
    char text[2 * MW_TRAIL_TEXT];
    int rc;

    snprintf(text, sizeof text, "%s%s%s", k->text, rest != NULL ? "/" : "", rest != NULL ? rest : "");
    rc = add(&k->found, text, 0, over == NULL, over);
    if (rc == 0 && k->ps->given != NULL) k->ps->moved |= k->found.at[k->found.count - 1].missed;
    return rc;
}

static int look(struct seek *k, const struct stat *st) {
    struct mw_points *ps = k->ps;
    int rc = 0;

    k->seen++;
    for (size_t i = 0; i < ps->sought_count && rc == 0; i++) {
        struct mw_sought *s = &ps->sought[i];
        if (s->left == 0 || s->node.dev != st->st_dev || s->node.ino != st->st_ino) continue;
        if (--s->left == 0) k->open--;
        rc = remember(k, s->rest, &s->node);
    }
    return rc;
}

static int seek_in(struct seek *k, int dirfd, const char *name);

static int seek_entries(struct seek *k, DIR *dir) {
    int rc = 0;

    for (struct dirent *e; rc == 0 && k->open > 0 && k->seen <= SEEK_MAX && (e = readdir(dir)) != NULL;) {
        size_t before = k->len, n = strlen(e->d_name);
        const struct mw_point *at;
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (k->len + n + 2 > sizeof k->text || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) continue;
        k->text[k->len] = '/';
        memcpy(k->text + k->len + 1, e->d_name, n + 1);
        k->len += n + 1;
        at = mw_points_at(k->ps, k->text);
        rc = look(k, &st);
        if (rc == 0 && S_ISDIR(st.st_mode) && (at == NULL || at->yes)) rc = seek_in(k, dirfd(dir), e->d_name);
        k->len = before;
        k->text[before] = 0;
    }
    return rc;
}

/* What cannot be listed may hold it: it is refused. */
static int seek_in(struct seek *k, int dirfd, const char *name) {
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), rc;
    DIR *dir;

    if (fd < 0) return ours(-errno) ? mw_err_sys(k->ps->b->err, op, k->text) : remember(k, NULL, NULL);
    dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return mw_err_set(k->ps->b->err, MW_ENOMEM, op, k->text, NULL);
    }
    rc = seek_entries(k, dir);
    closedir(dir);
    return rc;
}

static int seek_root(struct seek *k, const struct mw_point *root) {
    struct stat st;
    int rc;

    k->len = strlen(root->text);
    if (k->len >= sizeof k->text) return 0;
    memcpy(k->text, root->text, k->len + 1);
    if (lstat(k->len > 0 ? k->text : "/", &st) < 0) return 0;
    rc = look(k, &st);
    if (rc == 0 && S_ISDIR(st.st_mode)) rc = seek_in(k, AT_FDCWD, k->len > 0 ? k->text : "/");
    if (rc == 0 && k->seen > SEEK_MAX && k->open > 0) {
        k->len = strlen(root->text);
        k->text[k->len] = 0;
        mw_cage_note(k->ps->b, "%s: left out, since what is denied may have another name in it, and it is too large to look for it",
                     k->len > 0 ? k->text : "/");
        rc = remember(k, NULL, NULL);
    }
    return rc;
}

int mw_points_seek(struct mw_points *ps) {
    struct seek k;
    int rc = 0;

    if (ps->sought_count == 0) return 0;
    memset(&k, 0, sizeof k);
    k.ps = ps;
    k.found = (struct mw_points){.b = ps->b, .kind = ps->kind, .loading = ps->loading, .given = ps->given};
    k.open = ps->sought_count;
    for (size_t i = 0; i < ps->count && rc == 0 && k.open > 0; i++)
        if (mw_points_is_root(ps, i)) rc = seek_root(&k, &ps->at[i]);
    for (size_t i = 0; i < k.found.count && rc == 0; i++) {
        rc = grown(ps, (void **)&ps->at, &ps->room, ps->count, sizeof *ps->at);
        if (rc < 0) break;
        ps->at[ps->count++] = k.found.at[i];
        k.found.at[i].text = NULL;
    }
    mw_points_end(&k.found);
    mw_points_sort(ps);
    return rc;
}
