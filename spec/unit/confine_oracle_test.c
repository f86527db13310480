/* Cages against the policy's own answer: over random small trees and rule sets, a caged child never opens what mw_permit_open refuses,
 * whatever it renames, links and makes before; and it opens what is granted. */
#include "policy/confine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/filter.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "policy/permit.h"
#include "support/check.h"

enum { PATHS = 84, WORLDS = 150, MOVES = 500 };
static struct mw_err err;
static char root[64];
static char paths[PATHS][64];    /* every name of up to three letters of "abcd": /a, /a/b, /a/b/c ... */
static int path_count;

static uint64_t seed = 88172645463325251u;
static unsigned any(unsigned n) { /* xorshift: the same numbers every run */
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed % n);
}

/* ---- A tree ---------------------------------------------------------------------------------------------------------------- */

static void name_all(const char *base, int depth) {
    for (char c = 'a'; c <= 'd'; c++) {
        char *out = paths[path_count++];
        snprintf(out, sizeof paths[0], "%s/%c", base, c);
        if (depth > 1) name_all(out, depth - 1);
    }
}

static const char *at(int i) {
    static char text[4][PATH_MAX];
    static int n;
    char *out = text[n++ % 4];
    if (snprintf(out, PATH_MAX, "%s%s", root, paths[i]) >= PATH_MAX) out[0] = 0; /* never: short names */
    return out;
}

static void plant(void) {
    snprintf(root, sizeof root, "/tmp/mw-oracle-XXXXXX");
    REQUIRE(mkdtemp(root) != NULL);
    path_count = 0;
    name_all("", 3);
    for (int i = 0; i < path_count; i++) {
        unsigned how = any(10);
        if (how < 5 && strlen(paths[i]) < 6) {
            (void)mkdir(at(i), 0755); /* fails where its folder is missing or a file */
        } else if (how < 8) {
            int fd = open(at(i), O_WRONLY | O_CREAT | O_EXCL, 0644);
            if (fd >= 0) close(fd);
        } else if (any(3) == 0) {
            (void)symlink(at((int)any((unsigned)path_count)), at(i));
        }
    }
    for (int n = 0; n < 40; n++) (void)link(at((int)any((unsigned)path_count)), at((int)any((unsigned)path_count)));
}

static int gone(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}
static void fell(void) {
    CHECK(nftw(root, gone, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

/* ---- A policy ----------------------------------------------------------------------------------------------------------------- */

static char story[4096];
static void tell(const char *what, const char *kind, const char *rule) {
    size_t n = strlen(story);
    if (snprintf(story + n, sizeof story - n, "#   %s %s %s\n", what, kind, rule) >= (int)(sizeof story - n)) story[n] = 0;
}

static const char *some_rule(void) {
    static char text[PATH_MAX];
    struct stat st;
    int i = 0;

    switch (any(14)) {
    case 0: return NULL;
    case 1: return root;
    default: break;
    }
    for (int tries = 0; tries < 8; tries++) { /* mostly what is there */
        i = (int)any((unsigned)path_count);
        if (lstat(at(i), &st) == 0 && (S_ISDIR(st.st_mode) ? any(2) : st.st_nlink > 1)) break;
    }
    snprintf(text, sizeof text, "%s", at(i));
    return text;
}

static mw_policy *some_policy(void) {
    mw_policy *p = NULL;
    int layers = 1 + (any(3) == 0);

    story[0] = 0;
    REQUIRE(mw_policy_new(&p, &err) == 0);
    for (int n = 0; n < layers; n++) {
        int rules = 1 + (int)any(7);
        if (n > 0) REQUIRE(mw_policy_narrow(p, &err) == 0);
        for (int i = 0; i < rules; i++) {
            enum mw_kind kind = any(2) ? MW_READ : MW_WRITE;
            int deny = any(5) < 2;
            const char *rule = i == 0 && any(2) ? root : some_rule();
            if (deny && rule == NULL) continue;
            tell(n == 0 ? deny ? "deny" : "allow" : deny ? "deny above" : "allow above", mw_kind_name(kind), rule != NULL ? rule : "(all)");
            REQUIRE(mw_policy_add_one(p, kind, deny ? MW_DENY : MW_ALLOW, rule, &err) == 0);
        }
    }
    if (any(4) == 0) {
        const char *rule = at((int)any((unsigned)path_count));
        tell("drop", "read", rule);
        REQUIRE(mw_policy_drop(p, MW_READ, rule, &err) == 0);
    }
    return p;
}

/* ---- What is found in a cage --------------------------------------------------------------------------------------------------- */

struct found {
    unsigned char reads, writes, lists, is_dir, there, alone;
    ino_t ino;
};
struct report {
    struct found at[PATHS];
};

static int opens(const char *path, int flags) {
    int fd = open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return 0;
    close(fd);
    return 1;
}

static void look(struct report *r) {
    memset(r, 0, sizeof *r);
    for (int i = 0; i < path_count; i++) {
        struct found *f = &r->at[i];
        struct stat st;
        if (lstat(at(i), &st) < 0 || S_ISLNK(st.st_mode)) continue;
        f->there = 1;
        f->ino = st.st_ino;
        f->is_dir = S_ISDIR(st.st_mode);
        f->alone = st.st_nlink == 1;
        if (f->is_dir) {
            f->lists = (unsigned char)opens(at(i), O_RDONLY | O_DIRECTORY);
        } else {
            f->reads = (unsigned char)opens(at(i), O_RDONLY);
            f->writes = (unsigned char)opens(at(i), O_WRONLY);
        }
    }
}

/* Everything that could bring a closed file into the open. */
static void stir(int moves) {
    for (int n = 0; n < moves; n++) {
        const char *from = at((int)any((unsigned)path_count)), *to = at((int)any((unsigned)path_count));
        switch (any(7)) {
        case 0:
        case 1: (void)rename(from, to); break;
        case 2: (void)link(from, to); break;
        case 3: (void)mkdir(to, 0755); break;
        case 4: (void)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 2u); break; /* exchange */
        case 5: if (any(3) == 0) (void)unlink(to); break;
        default: if (any(3) == 0) (void)rmdir(to); break;
        }
    }
}

static void child(const mw_cage *c, int out, int moves) {
    struct report r;

    if (c != NULL && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(446, mw_cage_ruleset(c), 0) < 0)) _exit(3);
    stir(moves);
    look(&r);
    _exit(write(out, &r, sizeof r) == sizeof r ? 0 : 4);
}

static void caged(const mw_cage *c, int moves, struct report *r) {
    int ends[2], status;
    pid_t pid;

    REQUIRE(pipe(ends) == 0);
    fflush(stdout);
    pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) child(c, ends[1], moves);
    close(ends[1]);
    REQUIRE(read(ends[0], r, sizeof *r) == sizeof *r);
    close(ends[0]);
    REQUIRE(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- What the policy says -------------------------------------------------------------------------------------------------------- */

static int permits(mw_policy *p, int i, int flags) {
    int fd = -1, rc = mw_permit_open(p, at(i), flags | O_NONBLOCK, 0, 0, "open", &fd, &err);
    if (rc == 0) close(fd);
    return rc == 0;
}

static void ask(mw_policy *p, const struct report *there, struct report *says) {
    *says = *there;
    for (int i = 0; i < path_count; i++) {
        struct found *f = &says->at[i];
        f->reads = f->writes = f->lists = 0;
        if (!f->there) continue;
        if (f->is_dir) {
            f->lists = (unsigned char)permits(p, i, O_RDONLY | O_DIRECTORY);
        } else {
            f->reads = (unsigned char)permits(p, i, O_RDONLY);
            f->writes = (unsigned char)permits(p, i, O_WRONLY);
        }
    }
}

/* By any of its names: what is granted is the file. */
static int by_some_name(const struct report *says, ino_t ino, int writes) {
    for (int i = 0; i < path_count; i++) {
        const struct found *f = &says->at[i];
        if (f->there && f->ino == ino && (writes ? f->writes : f->reads)) return 1;
    }
    return 0;
}

static int existed(const struct report *r, ino_t ino) {
    for (int i = 0; i < path_count; i++)
        if (r->at[i].there && r->at[i].ino == ino) return 1;
    return 0;
}

static int wrong(int world, const char *what, int i) {
    check_fail(__FILE__, __LINE__, "world %d: %s: %s", world, what, at(i));
    return 1;
}

/* settled: nothing was moved since the rules were made; a grant of what was moved, or under another hard link's name, may be lost on
 * the kernel's half. */
static int compare(int world, int settled, const struct report *says, const struct report *got) {
    int bad = 0;

    for (int i = 0; i < path_count && !bad; i++) {
        const struct found *f = &got->at[i], *s = &says->at[i];
        if (f->lists && !s->lists) bad = wrong(world, "is listed and must not be", i);
        if (f->reads && !by_some_name(says, f->ino, 0)) bad = wrong(world, "is read and must not be", i);
        if (f->writes && !by_some_name(says, f->ino, 1)) bad = wrong(world, "is written and must not be", i);
        if (settled && f->alone && s->reads && !f->reads) bad = wrong(world, "is not read and may be", i);
        if (settled && f->alone && s->writes && !f->writes) bad = wrong(world, "is not written and may be", i);
    }
    return bad;
}

static int compare_stirred(int world, const struct report *says, const struct report *got) {
    int bad = 0;

    for (int i = 0; i < path_count && !bad; i++) {
        const struct found *f = &got->at[i];
        if (!existed(says, f->ino)) continue;
        if (f->reads && !by_some_name(says, f->ino, 0)) bad = wrong(world, "is read after moves and must not be", i);
        if (f->writes && !by_some_name(says, f->ino, 1)) bad = wrong(world, "is written after moves and must not be", i);
    }
    return bad;
}

/* What nobody could open, and may be opened now that a caged child moved things. */
static int gained(int world, mw_policy *p, const struct report *says) {
    struct report there, now;
    int bad = 0;

    look(&there);
    ask(p, &there, &now);
    for (int i = 0; i < path_count && !bad; i++) {
        const struct found *f = &now.at[i];
        if (!existed(says, f->ino)) continue;
        if (f->reads && !by_some_name(says, f->ino, 0)) bad = wrong(world, "may be read since it was moved", i);
        if (f->writes && !by_some_name(says, f->ino, 1)) bad = wrong(world, "may be written since it was moved", i);
    }
    return bad;
}

/* A child that gave away its right to read, so that the kernel sees no gain in what it moves. */
static void narrowed(const mw_policy *p) {
    struct mw_cage_wish w = {.who = MW_CAGE_PROGRAM, .abi = mw_confine_abi(), .program_fd = -1, .home_fd = -1};
    struct report got;
    mw_policy *less = NULL;
    mw_cage *c = NULL;

    REQUIRE(mw_policy_copy(p, &less, &err) == 0 && mw_policy_narrow(less, &err) == 0);
    REQUIRE(mw_policy_add_one(less, MW_WRITE, MW_ALLOW, NULL, &err) == 0);
    w.policy = less;
    REQUIRE(mw_cage_new(&w, &c, &err) == 0);
    caged(c, MOVES, &got);
    mw_cage_drop(c);
    mw_policy_free(less);
}

static void left_out(void *left, const char *note) {
    if (strstr(note, "left out") != NULL) *(int *)left = 1;
}

static int one_world(int world, int *open, int *closed) {
    struct mw_cage_wish w = {.who = MW_CAGE_PROGRAM, .abi = mw_confine_abi(), .program_fd = -1, .home_fd = -1};
    struct report there, says, got;
    mw_cage *c = NULL;
    mw_policy *p;
    int bad, settled = (int)any(2), left = 0;

    plant();
    p = some_policy();
    w.policy = p;
    if (!settled) stir(8); /* others move what the rules named */
    REQUIRE(mw_cage_new(&w, &c, &err) == 0);
    look(&there);
    ask(p, &there, &says);
    caged(c, 0, &got);
    mw_cage_each_note(c, left_out, &left); /* too much to search for another name of what is denied */
    bad = compare(world, settled && !left, &says, &got);
    for (int i = 0; i < path_count; i++) *open += got.at[i].reads, *closed += says.at[i].there && !got.at[i].reads;
    if (!bad) {
        caged(c, MOVES, &got);
        bad = compare_stirred(world, &says, &got);
    }
    if (!bad) narrowed(p);
    if (!bad) bad = gained(world, p, &says);
    if (!bad) { /* two cages of different times, and the older moves things for the newer */
        mw_cage *newer = NULL;
        REQUIRE(mw_cage_new(&w, &newer, &err) == 0);
        caged(c, MOVES, &got);
        caged(newer, 0, &got);
        bad = compare_stirred(world, &says, &got);
        mw_cage_drop(newer);
    }
    if (bad) printf("%s", story);
    mw_cage_drop(c);
    c = NULL;
    if (!bad) { /* and a new cage for what stands there now */
        REQUIRE(mw_cage_new(&w, &c, &err) == 0);
        look(&there);
        ask(p, &there, &says);
        caged(c, 0, &got);
        bad = compare(world, 0, &says, &got);
        if (bad) printf("# (after moves)\n%s", story);
        mw_cage_drop(c);
    }
    mw_policy_free(p);
    fell();
    return bad;
}

TEST(a_caged_child_opens_what_the_oracle_grants_and_nothing_else) {
    int open = 0, closed = 0;

    if (mw_confine_abi() < 2) {
        printf("# no Landlock here, or no version of it that moves files\n");
        return;
    }
    for (int n = 0, bad = 0; n < WORLDS && bad < 3; n++) bad += one_world(n, &open, &closed);
    CHECK(open > 100 && closed > 100);
}
