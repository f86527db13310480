/* Which cage a child gets: whether it is confined at all, what `sandbox` narrows, and the cages that are kept for the next one.
 * Knows: io/process_parts.h, policy, policy/confine. Never: gives more than the script has; starts what it cannot confine. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/part.h"
#include "io/process_parts.h"
#include "policy/grant.h"

#define KEPT 16               /* cages of a host: one for each program that it starts in turn */
#define KEY_MAX 4096          /* bytes; what is made of more is not kept */
#define RULES_MAX 64          /* of one that is kept: each may hold a descriptor */

/* A cage, and all that it was made from. */
struct kept {
    mw_cage *cage;            /* NULL: free */
    mw_policy *policy;        /* narrowed from the host's; NULL: the host's own */
    unsigned generation;      /* of the host's policy */
    unsigned used;            /* when, on the clock of uses */
    size_t len;
    char *key;
};
struct mw_cages {
    struct kept all[KEPT];
    unsigned clock;
};

static void forget(struct kept *k) {
    mw_cage_drop(k->cage);
    mw_policy_free(k->policy);
    free(k->key);
    memset(k, 0, sizeof *k);
}

static void forget_all(struct mw_cages *it) {
    int i;

    for (i = 0; it != NULL && i < KEPT; i++) forget(&it->all[i]);
}

void mw_cages_free(struct mw_cages *it) {
    forget_all(it);
    free(it);
}

/* ---- May it ask for that? ------------------------------------------------------------------------------------------------- */

static int any_rule(const struct mw_rule *r, const void *ud) {
    (void)r;
    (void)ud;
    return 1;
}

static const mw_policy *ours(const struct launch *l) {
    return mw_host_policy(l->home->host);
}

static int too_much(struct launch *l, const char *what, const char *rule) {
    char subject[sizeof l->err->subject];

    snprintf(subject, sizeof subject, "%s %s", what, rule != NULL ? rule : "everything");
    return mw_policy_refuse(mw_host_policy(l->home->host), what, l->o->op, subject, "denied: a sandbox gives at most what the script has", l->err);
}

static int check_rule(struct launch *l, enum mw_kind kind, const char *rule) {
    int rc = mw_policy_covers(ours(l), kind, rule, l->err);

    if (rc != MW_EDENIED) return rc;
    too_much(l, mw_kind_name(kind), rule);
    return mw_policy_grant_hint(ours(l), kind, rule, "", l->err), MW_EDENIED;
}

/* The kernel holds ports, not hosts. */
static int check_ports(struct launch *l, enum mw_kind kind, const uint16_t *ports, size_t count) {
    char port[16];
    size_t i;

    for (i = 0; i < count; i++) {
        if (mw_confine_covers_port(ours(l), kind, ports[i])) continue;
        snprintf(port, sizeof port, ":%u", ports[i]);
        too_much(l, mw_kind_name(kind), port);
        return mw_err_hint(l->err, mw_policy_names_flags(ours(l)) ? "the kernel knows ports and no hosts: grant it for all of them with --allow-%s=%s"
                                                                  : "the kernel knows ports and no hosts: grant it for all of them: %s \"%s\"",
                           mw_kind_name(kind), port);
    }
    return 0;
}

static int check_sandbox(struct launch *l) {
    const struct mw_sandbox *s = &l->o->sandbox;
    size_t i;
    int rc = check_ports(l, MW_CONNECT, s->connect, s->connect_count);

    if (rc == 0) rc = check_ports(l, MW_LISTEN, s->listen, s->listen_count);
    for (i = 0; rc == 0 && i < s->env_count; i++) rc = check_rule(l, MW_ENV, s->env[i]);
    if (rc < 0) return rc;
    if (s->unix_sockets && !l->program.trusted_by_rule &&
        !(mw_confine_covers_port(ours(l), MW_CONNECT, -1) && mw_confine_covers_port(ours(l), MW_LISTEN, -1))) {
        mw_policy_refuse(mw_host_policy(l->home->host), "net", l->o->op, "unix",
                         "denied: what listens at a Unix socket may do anything for it", l->err);
        return mw_err_hint(l->err, mw_policy_names_flags(ours(l)) ? "grant it with --allow-net for everything, or with --trust-run=%s"
                                                                  : "grant it in the host's policy: net, all of it, or trust \"%s\"",
                           l->program.path);
    }
    if (s->metadata && !mw_decide_any(ours(l), MW_WRITE, any_rule, NULL)) {
        mw_policy_refuse(mw_host_policy(l->home->host), "write", l->o->op, "metadata", "denied: modes, owners and times are written", l->err);
        return mw_err_hint(l->err, mw_policy_names_flags(ours(l)) ? "grant some --allow-write" : "grant some write in the host's policy");
    }
    return 0;
}

/* ---- Is it confined? -------------------------------------------------------------------------------------------------------- */

/* -A grants trust as well, but where something was taken from it that must hold for programs. */
static int has_trust_rule(const mw_policy *p) {
    const struct mw_layer *layer;
    const struct mw_rule *r;

    for (layer = p->layers; layer != NULL; layer = layer->next) {
        for (r = layer->rules[MW_TRUST]; r != NULL; r = r->next) {
            if (r->effect == MW_ALLOW) return 1;
        }
    }
    return 0;
}

static int trusts_all(const mw_policy *p) {
    return mw_policy_is_total(p) || (has_trust_rule(p) && mw_policy_query(p, MW_TRUST, NULL) == MW_GRANTED);
}

static int hint_of_trust(struct launch *l) {
    return mw_err_hint(l->err, mw_policy_names_flags(ours(l)) ? "--trust-run=%s would start it with all rights of its user"
                                                              : "trust \"%s\" in the host's policy would start it with all rights of its user",
                       l->o->argv[0]);
}

/* 1: it can be. 0: a script child goes without the kernel's half, as its user trusts every program. Or a code. */
static int able(struct launch *l) {
    const struct mw_process_options *o = l->o;
    struct mw_processes *all = l->home;

    if (all->abi < 0) all->abi = mw_confine_abi();
    if (mw_spawn_confines() && all->abi > 0) return 1;
    if (o->script && trusts_all(ours(l))) return 0;
    mw_err_set(l->err, -EOPNOTSUPP, o->op, o->argv[0],
               mw_spawn_confines() ? "this kernel cannot confine it: Landlock is missing or switched off" : "this build cannot confine it");
    if (o->script) return mw_err_hint(l->err, mw_policy_names_flags(ours(l)) ? "--trust-run would start it without" : "trust, all of it, in the host's policy would start it without");
    if (o->sandbox.given && (l->program.trusted_by_rule || mw_policy_is_total(ours(l)))) {
        return mw_err_hint(l->err, "without `sandbox` it would run with all rights of its user");
    }
    return hint_of_trust(l);
}

/* A trusted program must not be bound by the cage of a script that starts it, so such a script has none. */
static int is_free(const struct launch *l) {
    const struct mw_process_options *o = l->o;

    if (o->script) return mw_policy_is_total(o->policy) || (has_trust_rule(o->policy) && mw_decide_any(o->policy, MW_TRUST, any_rule, NULL));
    return !o->sandbox.given && (l->program.trusted_by_rule || mw_policy_is_total(ours(l)));
}

static uint64_t mix(uint64_t sum, const void *data, size_t len) { /* FNV-1a */
    const unsigned char *at = data;

    while (len-- > 0) sum = (sum ^ *at++) * 1099511628211u;
    return sum;
}

/* What tells one sandbox from another: all of it is in the cage's key as well. */
static uint64_t sum_of(const struct mw_sandbox *s) {
    const char bits[4] = { (char)s->files_given, (char)s->unix_sockets, (char)s->metadata, (char)(s->connect != NULL) };
    uint64_t sum = mix(14695981039346656037u, bits, sizeof bits);
    size_t i;

    for (i = 0; i < s->file_count; i++) {
        sum = mix(sum, &s->files[i].kind, sizeof s->files[i].kind);
        if (s->files[i].rule != NULL) sum = mix(sum, s->files[i].rule, strlen(s->files[i].rule) + 1);
    }
    if (s->connect_count > 0) sum = mix(sum, s->connect, s->connect_count * sizeof *s->connect);
    if (s->listen_count > 0) sum = mix(sum, s->listen, s->listen_count * sizeof *s->listen);
    return sum;
}

/* Programs that `sandbox` narrows have another private directory than those that have all our rights: what they leave there
 * (.gitconfig, .profile) would be read, and obeyed, by the others. */
static void find_private(struct launch *l) {
    l->private_dir = mw_process_home(l->home->host, &l->private_fd);
    if (l->private_dir == NULL || !l->o->sandbox.given) return;
    l->private_dir = mw_process_home_below(l->private_fd, l->private_dir, sum_of(&l->o->sandbox), l->narrow_dir, &l->private_fd);
    if (l->private_fd >= 0) mw_launch_own(l, l->private_fd);
}

int mw_launch_confine(struct launch *l) {
    int rc = l->o->sandbox.given ? check_sandbox(l) : 0;

    if (rc == 0 && !is_free(l)) rc = able(l);
    if (rc < 0) return rc;
    l->confined = rc;
    if (!l->confined) return 0;
    if (!l->o->script || mw_process_may_run(l->o->policy)) find_private(l);
    return 0;
}

/* ---- What a cage is made from -------------------------------------------------------------------------------------------- */

/* The bytes that tell one cage from another. */
struct key {
    size_t len;
    int full;                 /* too long, or made from what may change unseen: not to be kept */
    char at[KEY_MAX];
};

static void put(struct key *k, const void *data, size_t len) {
    if (len > sizeof k->at - k->len) k->full = 1;
    if (k->full) return;
    memcpy(k->at + k->len, data, len);
    k->len += len;
}

static void put_text(struct key *k, const char *text) {
    if (text != NULL) put(k, text, strlen(text));
    put(k, "", 1);
}

static void put_rules(struct key *k, const struct mw_grant_wish *wishes, size_t count) {
    char here[PATH_MAX];
    size_t i;
    int relative = 0;

    put(k, &count, sizeof count);
    if (count > RULES_MAX) k->full = 1;
    for (i = 0; !k->full && i < count; i++) {
        unsigned char kind[2] = { (unsigned char)wishes[i].kind, wishes[i].rule != NULL };
        put(k, kind, sizeof kind);
        put_text(k, wishes[i].rule);
        if (wishes[i].rule != NULL && wishes[i].rule[0] != '/') relative = 1;
    }
    if (!relative) return;
    if (getcwd(here, sizeof here) == NULL) k->full = 1;
    else put_text(k, here);
}

/* Where the rules of a sandbox lead now: a link among them may lead elsewhere the next time. */
static void put_objects(struct key *k, const struct mw_grant_wish *wishes, size_t count) {
    struct stat st;
    size_t i;

    for (i = 0; !k->full && i < count; i++) {
        if (wishes[i].rule == NULL) continue;
        if (stat(wishes[i].rule, &st) < 0) memset(&st, 0, sizeof st);
        put(k, &st.st_dev, sizeof st.st_dev);
        put(k, &st.st_ino, sizeof st.st_ino);
    }
}

/* Which objects the rules of a script child pinned just now: another one of the same name makes another cage. */
static void put_pinned(struct key *k, const mw_policy *p) {
    const struct mw_layer *top = mw_layer_top(p);
    const struct mw_rule *r;
    int kind;

    for (kind = 0; kind < MW_KINDS; kind++) {
        for (r = top->rules[kind]; r != NULL; r = r->next) {
            if (!mw_rule_has_spot(r) || !r->spot.known) continue;
            put(k, &r->spot.node.dev, sizeof r->spot.node.dev);
            put(k, &r->spot.node.ino, sizeof r->spot.node.ino);
        }
    }
}

static void put_ports(struct key *k, const uint16_t *ports, size_t count) {
    char given = ports != NULL;

    put(k, &given, 1);
    put(k, &count, sizeof count);
    if (count > 0) put(k, ports, count * sizeof *ports);
}

static void make_key(const struct launch *l, const struct mw_cage_wish *w, struct key *k) {
    const struct mw_process_options *o = l->o;
    unsigned char bits[8] = { (unsigned char)w->who, (unsigned char)w->unix_sockets, (unsigned char)w->metadata, (unsigned char)w->one_process,
                              w->home != NULL, (unsigned char)o->sandbox.given, (unsigned char)o->sandbox.files_given, (unsigned char)o->inherit };
    struct stat st;

    k->len = 0;
    k->full = w->tty != NULL || fstat(w->program_fd, &st) < 0;  /* a terminal's number comes back, the terminal does not */
    put(k, bits, sizeof bits);
    if (k->full) return;
    put(k, &st.st_dev, sizeof st.st_dev);
    put(k, &st.st_ino, sizeof st.st_ino);
    put_text(k, w->program);
    put_text(k, w->script);
    put(k, &w->script_dev, sizeof w->script_dev);
    put(k, &w->script_ino, sizeof w->script_ino);
    put_text(k, w->also_read != NULL ? w->also_read[0] : NULL);
    put_ports(k, w->connect, w->connect_count);
    put_ports(k, w->listen, w->listen_count);
    if (o->sandbox.files_given) {
        put_rules(k, o->sandbox.files, o->sandbox.file_count);
        put_objects(k, o->sandbox.files, o->sandbox.file_count);
    }
    if (o->script) put_rules(k, o->wishes, o->wish_count);
    if (o->script && !o->inherit) put_pinned(k, o->policy);
}

/* The host's policy, less every file that `sandbox` does not list. */
static int narrow(struct launch *l, mw_policy **out) {
    static const enum mw_kind rest[] = { MW_NET, MW_RUN, MW_ENV, MW_SYS, MW_SHARE };
    const struct mw_sandbox *s = &l->o->sandbox;
    mw_policy *p = NULL;
    size_t i;
    int rc = 0;

    for (i = 0; rc == 0 && i < s->file_count; i++) rc = check_rule(l, s->files[i].kind, s->files[i].rule);
    if (rc == 0) rc = mw_policy_copy(ours(l), &p, l->err);
    if (rc == 0) rc = mw_policy_narrow(p, l->err);
    for (i = 0; rc == 0 && i < s->file_count; i++) rc = mw_policy_add_one(p, s->files[i].kind, MW_ALLOW, s->files[i].rule, l->err);
    for (i = 0; rc == 0 && i < sizeof rest / sizeof *rest; i++) rc = mw_policy_add(p, rest[i], MW_ALLOW, NULL, l->err);
    if (rc < 0) mw_policy_free(p);
    else *out = p;
    return rc;
}

/* ---- The kept ones -------------------------------------------------------------------------------------------------------- */

static struct kept *find(struct mw_cages *it, const struct key *k) {
    int i;

    for (i = 0; it != NULL && !k->full && i < KEPT; i++) {
        struct kept *one = &it->all[i];
        if (one->cage != NULL && one->len == k->len && memcmp(one->key, k->at, k->len) == 0) return one;
    }
    return NULL;
}

static int is_good(const struct launch *l, const struct kept *one) {
    return one->generation == ours(l)->generation && mw_cage_fresh(one->cage, one->policy != NULL ? one->policy : ours(l));
}

/* Its own place, a free one, or that of the one used longest ago. */
static struct kept *place_for(struct mw_cages *it, const struct key *k) {
    struct kept *one = find(it, k);
    int i;

    if (one != NULL) return one;
    for (one = &it->all[0], i = 1; one->cage != NULL && i < KEPT; i++) {
        if (it->all[i].cage == NULL || it->all[i].used < one->used) one = &it->all[i];
    }
    return one;
}

/* 1: cage and policy are taken. 0: not kept, since there is no memory or the key says so: they are for this start alone. */
static int keep(struct launch *l, const struct key *k, mw_cage *cage, mw_policy *policy) {
    struct mw_processes *all = l->home;
    char *key = k->full ? NULL : malloc(k->len);
    struct kept *one;

    if (key != NULL && all->cages == NULL) all->cages = calloc(1, sizeof *all->cages);
    if (key == NULL || all->cages == NULL) {
        free(key);
        return 0;
    }
    one = place_for(all->cages, k);
    forget(one);
    memcpy(key, k->at, k->len);
    *one = (struct kept){ cage, policy, ours(l)->generation, ++all->cages->clock, k->len, key };
    return 1;
}

struct notes {
    struct launch *l;
    int rc;
};
static void note(void *ud, const char *text) {
    struct notes *n = ud;

    if (n->rc == 0) n->rc = mw_policy_audit_note(mw_host_policy(n->l->home->host), "confine", n->l->o->op, text, "left out", NULL, n->l->err);
}

/* 1: what the key says it was made from is still so. */
static int holds(const struct launch *l, const struct key *k, const struct mw_cage_wish *w) {
    struct key now;

    make_key(l, w, &now);
    return !now.full && now.len == k->len && memcmp(now.at, k->at, k->len) == 0;
}

static int build(struct launch *l, const struct key *k, struct mw_cage_wish *w) {
    const struct mw_process_options *o = l->o;
    struct notes notes = { l, 0 };
    mw_policy *policy = NULL;
    mw_cage *cage = NULL;
    int rc = 0;

    if (o->sandbox.files_given) rc = narrow(l, &policy);
    else if (o->script) rc = mw_policy_copy(o->policy, &policy, l->err);
    if (rc < 0) return rc;
    w->policy = policy != NULL ? policy : ours(l);
    rc = mw_cage_new(w, &cage, l->err);
    if (rc == 0) {
        l->cage = mw_cage_keep(cage);
        mw_cage_each_note(cage, note, &notes);
        rc = notes.rc;
    }
    if (rc == 0 && holds(l, k, w) && keep(l, k, cage, policy)) return 0;
    mw_cage_drop(cage);
    mw_policy_free(policy);
    if (rc == -EOPNOTSUPP && !o->script) hint_of_trust(l);
    return rc;
}

/* ---- The face --------------------------------------------------------------------------------------------------------------- */

/* Into the audit: how it starts. A start that cannot be told of is refused. */
static int tell(struct launch *l, const char *outcome) {
    const char *what = l->o->script ? l->o->argv[0] : l->program.path;

    return mw_policy_audit_note(mw_host_policy(l->home->host), "confine", l->o->op, what, outcome, NULL, l->err);
}

static void wish_of(struct launch *l, const char *const *dirs, const char *tty, struct mw_cage_wish *w) {
    const struct mw_process_options *o = l->o;

    w->who = o->script ? MW_CAGE_SCRIPT : MW_CAGE_PROGRAM;
    w->abi = l->home->abi;
    w->unix_sockets = o->sandbox.unix_sockets;
    w->metadata = o->sandbox.metadata;
    w->connect = o->sandbox.connect;
    w->connect_count = o->sandbox.connect_count;
    w->listen = o->sandbox.listen;
    w->listen_count = o->sandbox.listen_count;
    w->one_process = o->limits.processes == 1;
    w->program_fd = l->program.fd;
    w->program = l->program.path;
    w->script = !o->script && l->program.script[0] != '\0' ? l->program.script : NULL;
    if (w->script != NULL) {
        w->script_dev = l->program.script_dev;
        w->script_ino = l->program.script_ino;
    }
    w->home = l->private_dir;
    w->home_fd = l->private_fd;
    w->tty = tty;
    w->also_read = o->script ? dirs : NULL;
}

int mw_launch_cage(struct launch *l, struct mw_spawn *s) {
#ifdef __SANITIZE_ADDRESS__
    const char *dirs[2 + MW_PARTS + 1] = { l->script_dir, "/proc" };     /* AddressSanitizer looks for its own stack there */
    size_t n = 2;
#else
    const char *dirs[1 + MW_PARTS + 1] = { l->script_dir };
    size_t n = 1;
#endif
    char tty[64];
    struct mw_cage_wish w;
    struct kept *one;
    struct key key;
    int rc = 0;

    if (!l->confined) return tell(l, "not confined");
    if (l->o->pty && ptsname_r(l->p->pty_fd, tty, sizeof tty) != 0) return mw_err_sys(l->err, l->o->op, "pseudo-terminal");
    for (int part = 0; l->o->script && part < MW_PARTS; part++) {
        const char *path = mw_part_path(l->home->host, (enum mw_part)part);
        if (path != NULL) dirs[n++] = path;
    }
    memset(&w, 0, sizeof w);
    wish_of(l, dirs, l->o->pty ? tty : NULL, &w);
    make_key(l, &w, &key);
    one = find(l->home->cages, &key);
    if (one != NULL && is_good(l, one)) {
        one->used = ++l->home->cages->clock;
        l->cage = mw_cage_keep(one->cage);
    } else {
        rc = build(l, &key, &w);
        if (rc == -EMFILE || rc == -ENFILE) {                       /* those that are kept hold descriptors */
            forget_all(l->home->cages);
            rc = build(l, &key, &w);
        }
    }
    if (rc == 0) rc = tell(l, "confined");
    if (rc < 0) return rc;
    s->confine = 1;
    s->ruleset = mw_cage_ruleset(l->cage);
    s->filter = mw_cage_filter(l->cage);
    return 0;
}
