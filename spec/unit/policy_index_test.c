/* The index of a long list of rules lets through whatever fits: every decision with it is the one without it. */
#include "policy/index.h"
#include "policy/permit.h"

#include <arpa/inet.h>
#include <stdint.h>

#include "policy/grant.h"
#include "support/check.h"

static struct mw_err err;
static mw_policy *p;

static uint64_t seed = 88172645463325252u;
static unsigned any(unsigned n) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed % n);
}

static void add(enum mw_kind kind, const char *rule) {
    int rc = mw_policy_add_one(p, kind, any(3) == 0 ? MW_DENY : MW_ALLOW, any(40) == 0 ? NULL : rule, &err);
    if (rc < 0) printf("# %s\n", err.message);
    REQUIRE(rc == 0);
}

/* Decides with the index, and with each rule asked. */
static void same_decision(const struct mw_target *t) {
    struct mw_layer *l = p->layers;
    struct mw_index *kept[MW_KINDS];
    struct mw_decision with, without;

    mw_decide(p, t, &with);
    memcpy(kept, l->index, sizeof kept);
    memset(l->index, 0, sizeof l->index);
    mw_decide(p, t, &without);
    memcpy(l->index, kept, sizeof kept);
    CHECK_INT(with.verdict, without.verdict);
    CHECK_INT(with.layer, without.layer);
    CHECK_INT(with.rule == NULL, without.rule == NULL);
}

static void some_name(char *out) {
    int n = 1 + (int)any(5);
    for (int i = 0; i < n; i++) out[i] = "AB_"[any(3)];
    out[n] = 0;
}

TEST(names_are_decided_the_same) {
    for (int turn = 0; turn < 400; turn++) {
        REQUIRE(mw_policy_new(&p, &err) == 0);
        for (unsigned i = 0, n = 9 + any(120); i < n; i++) {
            char rule[16];
            some_name(rule);
            if (any(2)) strcat(rule, "*");
            add(MW_ENV, rule);
        }
        REQUIRE(p->layers->index[MW_ENV] != NULL);
        for (int q = 0; q < 60; q++) {
            char name[16];
            struct mw_target t = {.kind = MW_ENV, .name = name, .port = MW_ANY_PORT, .prefix = any(4) == 0, .every = any(30) == 0};
            some_name(name);
            same_decision(&t);
        }
        mw_policy_free(p);
    }
}

static const char *const hosts[] = {"test", "a.test", "b.a.test", "c.b.a.test", "localhost", "x.localhost", "*.a.test"};

static void some_net(char *out) {
    static const int widths[] = {0, 1, 7, 8, 9, 24, 31, 32};
    static const char *const v6[] = {"::", "::1", "fe80::1", "64:ff9b::a00:1", "64:ff9b::", "2002:a00:1::", "fe80::"};
    static const int wide[] = {0, 10, 16, 96, 127, 128};
    char port[16] = "";

    if (any(2)) snprintf(port, sizeof port, ":%d", any(2) ? 80 : 443);
    switch (any(6)) {
    case 0: snprintf(out, 80, "%s%s", hosts[any(6)], port); break;
    case 1: snprintf(out, 80, "*.%s%s", hosts[any(6)], port); break;
    case 2: snprintf(out, 80, "%s.0.%u.%u/%d%s", any(4) ? "10" : any(2) ? "127" : "0", any(2), any(3), widths[any(8)], port); break;
    case 3: snprintf(out, 80, "[%s/%d]%s", v6[any(7)], wide[any(6)], port); break;
    case 4: snprintf(out, 80, "unix:@n%u", any(4)); break;
    default: snprintf(out, 80, "%s", *port ? port : "0.0.0.0:80"); break;
    }
}

static void some_peer(struct mw_target *t, struct mw_net_addr *addr) {
    static const char *const texts[] = {"10.0.0.1", "10.0.1.2", "127.0.0.1", "0.0.0.0", "::", "::1", "fe80::1", "64:ff9b::a00:1", "2002:a00:1::5", "::ffff:10.0.0.1", "::10.0.0.1"};
    const char *text = texts[any(11)];

    *t = (struct mw_target){.kind = any(2) ? MW_CONNECT : MW_LISTEN, .port = any(5) == 0 ? MW_ANY_PORT : any(2) ? 80 : 443};
    if (any(8) == 0) {
        t->abstract = any(2) ? "n1" : "n7";
        t->port = MW_ANY_PORT;
        return;
    }
    if (any(2)) t->host = hosts[any(7)];
    if (any(3) == 0) {
        t->unresolved = t->host != NULL;
        t->some_port = t->unresolved && any(2);
        if (t->unresolved) return;
    }
    REQUIRE(mw_net_read(text, strlen(text), addr));
    t->addr = addr;
    t->wild = t->kind == MW_LISTEN && mw_net_wild(addr);
    if (any(6) == 0 && !mw_net_wild(addr) && addr->bits > 8) { /* a prefix, as `covers` has it */
        addr->bits = addr->v6 ? 64 : 8;
        memset(addr->bytes + addr->bits / 8, 0, sizeof addr->bytes - addr->bits / 8);
    }
}

TEST(peers_are_decided_the_same) {
    for (int turn = 0; turn < 600; turn++) {
        REQUIRE(mw_policy_new(&p, &err) == 0);
        for (unsigned i = 0, n = 30 + any(150); i < n; i++) {
            char rule[96];
            some_net(rule);
            add((enum mw_kind[]){MW_NET, MW_CONNECT, MW_LISTEN}[any(3)], rule);
        }
        for (int q = 0; q < 80; q++) {
            struct mw_net_addr addr;
            struct mw_target t;
            some_peer(&t, &addr);
            same_decision(&t);
        }
        mw_policy_free(p);
    }
}

TEST(paths_and_programs_are_decided_the_same) {
    char root[64] = "/tmp/mw-index-XXXXXX", command[256], path[160], moved[160];
    static const char *const made[] = {"a", "b", "a/a", "a/b", "b/a", "a/a/a", "a/a/b"};

    REQUIRE(mkdtemp(root) != NULL);
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        snprintf(path, sizeof path, "%s/%s", root, made[i]);
        REQUIRE(mkdir(path, 0755) == 0);
    }
    snprintf(command, sizeof command, "cd %s && touch a/f b/f a/a/f a/a/a/f && ln a/f b/hard && ln -s ../b a/way && ln -s f b/soft && chmod +x a/f", root);
    REQUIRE(system(command) == 0);
    for (int turn = 0; turn < 300; turn++) {
        REQUIRE(mw_policy_new(&p, &err) == 0);
        for (unsigned i = 0, n = 9 + any(60); i < n; i++) {
            int at = snprintf(path, sizeof path, "%s", root);
            for (unsigned k = any(5); k > 0; k--) at += snprintf(path + at, sizeof path - (size_t)at, "/%s", (const char *[]){"a", "b", "f", "way", "none", "hard", "soft"}[any(7)]);
            add(MW_READ, path);
        }
        for (int i = 0; i < 12; i++) {
            snprintf(path, sizeof path, "%s/%s", root, any(2) ? "a/f" : "b/hard");
            add(MW_RUN, any(2) ? path : "cat");
        }
        REQUIRE(p->layers->index[MW_READ] != NULL && p->layers->index[MW_RUN] != NULL);
        snprintf(moved, sizeof moved, "%s/c", root);
        snprintf(path, sizeof path, "%s/a", root);
        if (turn % 2) REQUIRE(rename(path, moved) == 0); /* what is denied by folder and name goes with the folder */
        for (int q = 0; q < 40; q++) {
            struct mw_program it;
            struct mw_target t;
            struct mw_walk w;
            char subject[PATH_MAX + 2];
            int at = snprintf(path, sizeof path, "%s", root);
            for (unsigned k = any(5); k > 0; k--) at += snprintf(path + at, sizeof path - (size_t)at, "/%s", (const char *[]){"a", "b", "f", "way", "none", "hard", "soft"}[any(7)]);
            if (turn % 2 && path[strlen(root)] != 0 && path[strlen(root) + 1] == 'a') path[strlen(root) + 1] = 'c';
            if (mw_target_path(p, 1u << MW_READ, path, any(2) ? MW_WALK_FOLLOW : MW_WALK_NAME, subject, &w, &t) != 0) continue;
            t.kind = MW_READ;
            same_decision(&t);
            t.kind = MW_RUN;
            t.node = &w.trail.step[w.trail.count - 1].node;
            t.program = w.trail.text;
            same_decision(&t);
            mw_walk_end(&w);
            if (mw_permit_exec(p, "cat", -1, "process spawn", &it, &err) == 0) mw_program_close(&it);
        }
        mw_policy_free(p);
        snprintf(path, sizeof path, "%s/a", root);
        if (turn % 2) REQUIRE(rename(moved, path) == 0);
    }
    snprintf(command, sizeof command, "rm -rf %s", root);
    REQUIRE(system(command) == 0);
}

TEST(a_copy_and_a_drop_have_their_index_too) {
    mw_policy *copy = NULL;
    char name[32];
    REQUIRE(mw_policy_new(&p, &err) == 0);
    REQUIRE(mw_policy_add(p, MW_ENV, MW_ALLOW, NULL, &err) == 0);
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "NAME_%d", i);
        REQUIRE(mw_policy_drop(p, MW_ENV, name, &err) == 0);
        REQUIRE(mw_policy_add(p, MW_ENV, MW_ALLOW, name, &err) == 0);
    }
    REQUIRE(mw_policy_copy(p, &copy, &err) == 0);
    mw_policy_free(p);
    p = copy;
    REQUIRE(p->drops.index[MW_ENV] != NULL && p->layers->index[MW_ENV] != NULL);
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "NAME_%d", i);
        CHECK_INT(mw_permit_text(p, MW_ENV, name, "env", &err), i < 50 ? MW_EDENIED : 0);
    }
    mw_policy_free(p);
}
