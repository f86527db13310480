/* The decision procedure against the plain oracle (support/oracle.h), paths: real trees with links, second names and names that are
 * missing, which change after the rules were made. The oracle resolves a path by text, with lstat and readlink. And: query says what
 * every way of use does, by whatever spelling; also for sockets, native modules and programs. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "support/oracle.h"

#define TURNS(n) ((n) / ORACLE_SLOWER)
#define STEPS 24

static struct mw_err err;
static char root[64];
static int bad;

static int differ(int got, int want) {
    CHECK_INT(got, want);
    return got != want && bad++ < 3;
}

/* ---- Where a path leads, by text --------------------------------------------------------------------------------------------- */

struct object {
    dev_t dev;
    ino_t ino;
};
struct led {
    int count, there;            /* names on the way; 1: the last one is there */
    char text[STEPS][160];       /* of each step, from "/a" on */
    struct object object[STEPS];
    int known[STEPS];
    char link[160];              /* where the first link of the last name was, or "" */
    int odd;                     /* a loop, a file as a directory: no decision is asked for */
};

static void led_push(struct led *out, const char *text, const struct stat *st) {
    snprintf(out->text[out->count], sizeof out->text[0], "%s", text);
    out->known[out->count] = st != NULL;
    if (st != NULL) out->object[out->count] = (struct object){st->st_dev, st->st_ino};
    out->count++;
}

static void lead(const char *path, int follow, struct led *out) {
    char rest[512], at[300] = "", name[64], target[160];
    int links = 0, missing = 0;

    memset(out, 0, sizeof *out);
    snprintf(rest, sizeof rest, "%s", path);
    for (;;) {
        size_t skip = strspn(rest, "/"), n = strcspn(rest + skip, "/"), up = strlen(at);
        struct stat st;
        int last;
        if (n == 0) break;
        snprintf(name, sizeof name, "%.*s", (int)n, rest + skip);
        memmove(rest, rest + skip + n, strlen(rest + skip + n) + 1);
        if (strcmp(name, ".") == 0) continue;
        last = rest[strspn(rest, "/")] == 0;
        if (strcmp(name, "..") == 0) { /* in links alone */
            char *slash = strrchr(at, '/');
            if (slash != NULL) *slash = 0;
            if (out->count > 0) out->count--;
            continue;
        }
        if (out->count == STEPS || up + n + 2 > 160) {
            out->odd = 1;
            return;
        }
        snprintf(at + up, sizeof at - up, "/%s", name);
        if (missing || lstat(at, &st) < 0) {
            if (!missing && errno != ENOENT) out->odd = 1;
            missing = 1;
            led_push(out, at, NULL);
        } else if (S_ISLNK(st.st_mode) && (!last || follow)) {
            ssize_t len = readlink(at, target, sizeof target - 1);
            char joined[700];
            if (len < 0 || ++links > 40) {
                out->odd = 1;
                return;
            }
            target[len] = 0;
            if (last && out->link[0] == 0) snprintf(out->link, sizeof out->link, "%.159s", at);
            snprintf(joined, sizeof joined, "%s/%s", target, rest);
            snprintf(rest, sizeof rest, "%.511s", joined);
            at[target[0] == '/' ? 0 : up] = 0;
            if (target[0] == '/') out->count = 0;
        } else {
            if (!S_ISDIR(st.st_mode) && !last) out->odd = 1;
            led_push(out, at, &st);
        }
    }
    out->there = out->count > 0 && out->known[out->count - 1];
}

/* What is known of a rule: where it led when it was made; by directory and names below it, too. */
struct rule_facts {
    struct led led;
    int anchor, link_known;      /* the step that is the deepest directory there, but not the last; -1: the root */
    struct led link;             /* the folder of the link, when the last name was one */
};

static void facts_of(const char *path, struct rule_facts *f) {
    lead(path, 1, &f->led);
    f->anchor = f->led.count - 2;
    while (f->anchor >= 0 && !f->led.known[f->anchor]) f->anchor--;
    f->link_known = f->led.link[0] != 0;
    if (f->link_known) lead(f->led.link, 0, &f->link);
}

static int same(struct object a, struct object b) {
    return a.dev == b.dev && a.ino == b.ino;
}

/* Is step i of `it` the last name of `rule`, counted from the directory `anchor`? */
static int stands(const struct led *rule, int anchor, const struct led *it, int i) {
    int names = rule->count - 1 - anchor, from = i - names;
    const char *a, *b;

    if (anchor < 0 || from < 0 || !it->known[from] || !same(rule->object[anchor], it->object[from])) return 0;
    a = rule->text[rule->count - 1] + strlen(rule->text[anchor]);
    b = it->text[i] + strlen(it->text[from]);
    return strcmp(a, b) == 0;
}

struct use {
    int kind, by_name;
    struct led led;
};

/* The deepest step at which the rule speaks. */
static struct loud path_fits(const struct said *r, const void *subject) {
    const struct use *u = subject;
    const struct rule_facts *f = r->more;
    const struct led *it = &u->led;
    int best = -1;

    if (r->kind != u->kind) return (struct loud){0, 0, 0};
    if (r->every) return (struct loud){1, -1, 0};
    for (int i = 0; i < it->count; i++) {
        int last = i == it->count - 1;
        if (strcmp(it->text[i], f->led.text[f->led.count - 1]) == 0) best = i;
        if (f->led.there && it->known[i] && same(f->led.object[f->led.count - 1], it->object[i]) && !(u->by_name && last && !r->deny)) best = i;
        if (!r->deny) continue;
        if (stands(&f->led, f->anchor, it, i)) best = i;
        if (f->link_known && (strcmp(it->text[i], f->led.link) == 0 || stands(&f->link, f->link.count - 2, it, i))) best = i;
    }
    return (struct loud){best >= 0, best, 0};
}
static int paths_say(const struct layer *l, const void *subject) {
    return weigh(l, subject, path_fits);
}

/* ---- A tree that changes ------------------------------------------------------------------------------------------------------ */

static void grow(const char *at, int depth) {
    char name[160];
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/%c", at, "ab"[i]);
        REQUIRE(mkdir(name, 0755) == 0);
        if (depth > 1) grow(name, depth - 1);
    }
}

static void tree(void) {
    char command[1200];
    snprintf(root, sizeof root, "/tmp/mwo-XXXXXX");
    REQUIRE(mkdtemp(root) != NULL);
    grow(root, 3);
    snprintf(command, sizeof command,
             "cd %s && touch a/f b/f a/a/f a/b/a/f && ln a/f b/h && ln a/a/f a/h && ln a/b/a/f h && ln -s ../b a/s && ln -s a/a s && "
             "ln -s %s/a/b b/s && ln -s f a/b/s && ln -s c b/a/s && ln -s s a/a/s && ln -s ../f a/a/l && ln -s s b/l && ln -s a/c/c l",
             root, root);
    REQUIRE(system(command) == 0);
}
static void fell(void) {
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", root);
    REQUIRE(system(command) == 0);
}

static void some_path(char *out) {
    unsigned n = 1 + any(4);
    int at = snprintf(out, 96, "%s", root);
    for (unsigned i = 0; i < n; i++) at += snprintf(out + at, 96 - (size_t)at, "/%c", "abaabbcfhsl"[any(11)]);
}

static void sane_path(char *out) {
    struct led led;
    do {
        some_path(out);
        lead(out, 1, &led);
    } while (led.odd);
}

static const char *at(const char *name) {
    static char text[4][160];
    static unsigned turn;
    char *out = text[turn++ % 4];
    snprintf(out, 160, "%s/%s", root, name);
    return out;
}

/* Something happens after the rules were made; `back` undoes it. */
static void change(unsigned what, int back) {
    static const char *const moves[][2] = {{"a/b", "b/c"}, {"a/f", "b/b/c"}, {"b", "c"}, {"a/a", "b/b/a/c"}, {"b/h", "a/c"}, {"a/s", "b/c"}};
    static const char *const made[] = {"a/c", "c", "b/b/c"};

    if (what < 6) {
        REQUIRE(rename(at(moves[what][back]), at(moves[what][!back])) == 0);
    } else if (what < 9) {
        if (!back) REQUIRE(link(at("b/f"), at(made[what - 6])) == 0);
        else REQUIRE(unlink(at(made[what - 6])) == 0);
    }
}

static int found(int rc) {
    if (rc == MW_EDENIED) return 0;
    CHECK(rc == 0 || rc == MW_ENOENT);
    return 1;
}

/* One path in every way of use. */
static void use_path(const struct world *w, int kind, const char *path) {
    struct use u = {.kind = kind};
    struct mw_place place;
    int want, got, fd;

    lead(path, 1, &u.led);
    if (u.led.odd) return;
    want = all_say(w, &u, paths_say) == 1;
    got = mw_policy_query(w->p, (enum mw_kind)kind, path) == MW_GRANTED;
    if (differ(got, want)) tell(w, path, got);
    got = found(mw_permit_path(w->p, 1u << kind, path, MW_AT_OBJECT, "fs", &place, &err));
    mw_place_close(&place);
    if (differ(got, want)) tell(w, path, got);
    CHECK_INT(mw_policy_covers(w->p, (enum mw_kind)kind, path, &err) == 0, want);
    if (kind == MW_READ) {
        int rc = mw_permit_open(w->p, path, O_RDONLY, 0, 1, "fs", &fd, &err);
        if (rc == 0) close(fd);
        if (differ(found(rc), want)) tell(w, path, found(rc));
    }
    u.by_name = 1;
    got = found(mw_permit_path(w->p, 1u << kind, path, MW_AT_CREATE, "fs", &place, &err));
    mw_place_close(&place);
    if (differ(got, all_say(w, &u, paths_say) == 1)) tell(w, path, got);
    lead(path, 0, &u.led);
    if (u.led.odd) return;
    got = found(mw_permit_path(w->p, 1u << kind, path, MW_AT_NAME, "fs", &place, &err));
    mw_place_close(&place);
    if (differ(got, all_say(w, &u, paths_say) == 1)) tell(w, path, got);
}

/* What some rule says, or what is below it. */
static void near_rule(const struct world *w, char *path) {
    const struct layer *l = &w->layer[any(3)];
    if (l->count == 0) return;
    strcpy(path, l->rule[any((unsigned)l->count)].text);
    if (any(4) == 0 && strlen(path) < 90) strcat(path, any(2) ? "/c" : "/a");
}

TEST(paths_are_decided_as_the_oracle_says_by_every_way_of_use) {
    static const int kinds[] = {MW_READ, MW_WRITE};
    struct rule_facts *facts = calloc(3 * SAID_MAX, sizeof *facts);

    REQUIRE(facts != NULL);
    tree();
    for (int turn = 0; turn < TURNS(700) && bad < 3; turn++) {
        struct world w;
        unsigned what = any(4) == 0 ? 2 : any(14);
        world_new(&w, kinds, 2, sane_path);
        for (int n = 0; n < 3; n++)
            for (int i = 0; i < w.layer[n].count; i++) {
                struct said *r = &w.layer[n].rule[i];
                r->more = &facts[n * SAID_MAX + i];
                if (!r->every) facts_of(r->text, r->more);
            }
        for (int half = 0; half < 2; half++) {
            for (int q = 0; q < 12; q++) {
                char path[96];
                some_path(path);
                if (any(2)) near_rule(&w, path);
                if (half == 1 && what == 2 && path[strlen(root) + 1] == 'b' && any(2)) path[strlen(root) + 1] = 'c'; /* where b is now */
                use_path(&w, kinds[any(2)], path);
            }
            if (half == 0) change(what, 0);
        }
        change(what, 1);
        mw_policy_free(w.p);
    }
    free(facts);
    fell();
}

/* ---- Spellings, and the other kinds ------------------------------------------------------------------------------------------- */

/* The same path, or what looks like it. */
static void misspell(const char *path, char *out, size_t size) {
    size_t n = 0;
    for (; *path != 0 && n + 12 < size; path++) {
        out[n++] = *path;
        if (*path != '/' || n < 3) continue;
        switch (any(9)) {
        case 0: out[n++] = '/'; break;
        case 1: out[n++] = '.', out[n++] = '/'; break;
        case 2: memcpy(out + n, "../", 3), n += 3; break;
        case 3: memcpy(out + n, "a/../", 5), n += 5; break;
        case 4: memcpy(out + n, "c/../", 5), n += 5; break;
        default: break;
        }
    }
    out[n] = 0;
    switch (any(6)) {
    case 0: strcat(out, "/"); break;
    case 1: strcat(out, "/."); break;
    case 2: strcat(out, "/.."); break;
    case 3: strcat(out, any(2) ? "\n" : "\xc3\xa4"); break;
    default: break;
    }
}

/* Query and enforcement agree: nothing is done that query denies, nothing is denied that it grants. */
static void agree(const struct world *w, enum mw_kind kind, const char *subject, int rc) {
    enum mw_answer said = mw_policy_query(w->p, kind, subject);
    if ((rc == 0 && said != MW_GRANTED) || (rc == MW_EDENIED && said != MW_DENIED)) {
        bad++;
        tell(w, subject, rc == 0);
        CHECK_INT(said, rc == 0 ? MW_GRANTED : MW_DENIED);
    }
}

static void agree_all(const struct world *w, const char *path) {
    struct mw_place place;
    char name[300];
    int fd, rc;

    for (int kind = MW_READ; kind <= MW_WRITE; kind++) {
        agree(w, (enum mw_kind)kind, path, mw_permit_path(w->p, 1u << kind, path, MW_AT_OBJECT, "fs", &place, &err));
        mw_place_close(&place);
    }
    rc = mw_permit_open(w->p, path, O_RDONLY, 0, 1, "fs", &fd, &err);
    if (rc == 0) close(fd);
    agree(w, MW_READ, path, rc);
    agree(w, MW_FFI, path, mw_permit_text(w->p, MW_FFI, path, "ffi", &err));
    snprintf(name, sizeof name, "unix:%s", path);
    if (path[strlen(path) - 1] != '/')
        for (int kind = MW_CONNECT; kind <= MW_LISTEN; kind++) {
            agree(w, (enum mw_kind)kind, name, mw_permit_unix(w->p, (enum mw_kind)kind, path, "net", &place, &err));
            mw_place_close(&place);
        }
}

static void some_socket(char *out) {
    char path[96];
    some_path(path);
    snprintf(out, 96, "unix:%.80s%s", path, any(3) == 0 ? "/" : "");
}

TEST(query_says_what_enforcement_does_by_whatever_spelling) {
    static const int kinds[] = {MW_READ, MW_WRITE, MW_FFI}, sockets[] = {MW_NET, MW_CONNECT, MW_LISTEN};
    char old[PATH_MAX];

    tree();
    REQUIRE(getcwd(old, sizeof old) != NULL && chdir(at("a/b")) == 0);
    for (int turn = 0; turn < TURNS(500) && bad < 3; turn++) {
        struct world w;
        if (any(3) == 0) world_new(&w, sockets, 3, some_socket);
        else world_new(&w, kinds, 3, some_path);
        for (int q = 0; q < 8; q++) {
            char path[96], odd[256];
            some_path(path);
            misspell(path, odd, sizeof odd);
            agree_all(&w, odd);
            misspell((const char *[]){"a", "../f", "../../b/h", ".", "..", "f", "../s/f"}[any(7)], odd, sizeof odd);
            agree_all(&w, odd);
        }
        mw_policy_free(w.p);
    }
    REQUIRE(chdir(old) == 0);
    fell();
}

static void some_program(char *out) {
    static const char *const names[] = {"a/f", "b/h", "a/a/f", "a/h", "a/run", "a/link"};
    snprintf(out, 96, "%s/%s", root, names[any(6)]);
    if (any(4) == 0) strcpy(out, (const char *[]){"sh", "cat", "/bin/sh", "/usr/bin/env"}[any(4)]);
}

TEST(query_says_what_starting_a_program_does) {
    static const int kinds[] = {MW_RUN, MW_RUN, MW_TRUST};
    char command[400];

    tree();
    snprintf(command, sizeof command, "cd %s && chmod +x a/f a/a/f && printf '#!/bin/sh\\n' > a/run && chmod +x a/run && ln -s ../b/h a/link", root);
    REQUIRE(system(command) == 0);
    for (int turn = 0; turn < TURNS(900) && bad < 3; turn++) {
        struct world w;
        world_new(&w, kinds, 3, some_program);
        for (int q = 0; q < 8; q++) {
            struct mw_program it;
            char name[96], odd[256];
            int rc;
            some_program(name);
            if (q == 0) strcpy(name, "no-such-program");
            misspell(name, odd, sizeof odd);
            rc = mw_permit_exec(w.p, any(2) ? name : strcpy(name, odd), AT_FDCWD, "process spawn", &it, &err);
            agree(&w, MW_RUN, name, rc);
            CHECK_INT(rc == 0 && it.trusted, mw_policy_query(w.p, MW_TRUST, name) == MW_GRANTED);
            if (rc == 0) mw_program_close(&it);
        }
        mw_policy_free(w.p);
    }
    fell();
}
