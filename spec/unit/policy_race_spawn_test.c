/* Races between who asks for a path and a process that flips links, exchanges directories and renames what is denied: whatever was
 * decided is about the very thing that is used. A canary lies outside of the grant, another one below a denial; neither is reached. */
#include "policy/permit.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "support/tree.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ROUNDS 5000              /* of each of the four races */
#elif defined(MW_DEBUG)
#define ROUNDS 15000
#else
#define ROUNDS 50000
#endif
#define SECONDS 10               /* the most of each, on a machine that is busy: then fewer rounds do */

static pid_t flipper;
static unsigned reached, granted, refused, vanished;
static struct stat canary[2];    /* sockets outside of the grant */

static int listener(const char *name) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%.100s", in(name));
    REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&un, sizeof un) == 0 && listen(fd, 1) == 0);
    return fd;
}

/* A folder with one of everything; the canary's are the same, with another text. */
static void furnish(const char *dir, const char *text) {
    char name[80];
    REQUIRE(mkdir(in(dir), 0755) == 0);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s/%s", dir, (const char *[]){"file", "victim", "from"}[i]);
        put(name, text, 0644);
    }
    snprintf(name, sizeof name, "%s/sock", dir);
    close(listener(name));
}

/* And then a moment in which the folders are not locked: the other side would only wait for them. */
static void exchange(const char *a, const char *b) {
    (void)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
    for (int i = 0; i < 40; i++) (void)getppid();
}

/* The other process: until it is killed. Names are made before, so that it allocates nothing. */
static void flip(int denial) {
    char d[160], dlink[160], f[160], flink[160], e[160], secret[160], key[160], moved[160];
    snprintf(d, sizeof d, "%s/in/d", root);
    snprintf(dlink, sizeof dlink, "%s/in/dlink", root);
    snprintf(f, sizeof f, "%s/in/f", root);
    snprintf(flink, sizeof flink, "%s/in/flink", root);
    snprintf(e, sizeof e, "%s/in/e", root);
    snprintf(secret, sizeof secret, "%s/in/secret", root);
    snprintf(key, sizeof key, "%s/in/key", root);
    snprintf(moved, sizeof moved, "%s/in/moved", root);
    for (unsigned i = 0;; i++) {
        exchange(d, dlink);                       /* a folder, and a link out of the grant */
        exchange(f, flink);                       /* a file, and a link out of the grant */
        if (denial) exchange(i & 2 ? e : d, secret);   /* a folder, and one that is denied */
        if (denial) exchange(f, key);             /* a file, and one that is denied */
        if (rename(e, moved) == 0 && i & 1) exchange(moved, dlink);
        (void)rename(moved, e);
        if (denial) exchange(i & 2 ? e : d, secret);
        exchange(d, dlink);
    }
}

static void begin(int denial) {
    tree_begin();
    REQUIRE(mkdir(in("in"), 0755) == 0);
    furnish("out", "canary outside");
    furnish("in/d", "mine");
    furnish("in/e", "mine");
    furnish("in/secret", "canary denied");
    put("in/f", "mine", 0644);
    put("in/key", "canary denied", 0644);
    REQUIRE(symlink("../out", in("in/dlink")) == 0 && symlink("../out/file", in("in/flink")) == 0);
    for (int k = MW_READ; k <= MW_WRITE; k++) {
        REQUIRE(mw_policy_add_one(p, (enum mw_kind)k, MW_ALLOW, in("in"), &err) == 0);
        if (!denial) continue;
        REQUIRE(mw_policy_add_one(p, (enum mw_kind)k, MW_DENY, in("in/secret"), &err) == 0);
        REQUIRE(mw_policy_add_one(p, (enum mw_kind)k, MW_DENY, in("in/key"), &err) == 0);
    }
    for (int effect = MW_ALLOW; effect <= (denial ? MW_DENY : MW_ALLOW); effect++) {
        char rule[200];
        snprintf(rule, sizeof rule, "unix:%s/", in(effect == MW_ALLOW ? "in" : "in/secret"));
        REQUIRE(mw_policy_add_one(p, MW_NET, (enum mw_effect)effect, rule, &err) == 0);
    }
    reached = granted = refused = vanished = 0;
    REQUIRE(stat(in("out/sock"), &canary[0]) == 0 && stat(in(denial ? "in/secret/sock" : "out/sock"), &canary[1]) == 0);
    flipper = fork();
    REQUIRE(flipper >= 0);
    if (flipper == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        flip(denial);
        _exit(0);
    }
}

static int count(int rc) {
    if (rc >= 0) granted++;
    else if (rc == MW_EDENIED) refused++;
    else vanished++;
    return rc >= 0;
}

/* ---- Ways of use ------------------------------------------------------------------------------------------------------------ */

static void reads(const char *path) {
    char text[32] = "";
    int fd;
    if (!count(mw_permit_open(p, path, O_RDONLY, 0, 1, "fs read", &fd, &err))) return;
    if (read(fd, text, sizeof text - 1) > 0 && strncmp(text, "canary", 6) == 0) reached++;
    close(fd);
}
static void creates(const char *path, int flags) {
    int fd;
    if (!count(mw_permit_open(p, path, O_WRONLY | O_CREAT | flags, 0644, 1, "fs write", &fd, &err))) return;
    if (write(fd, "mine", 4) != 4) reached++;
    close(fd);
}
static void removes(const char *path, int flags) {
    struct mw_place at;
    if (!count(mw_permit_path(p, 1u << MW_WRITE, path, MW_AT_NAME, "fs remove", &at, &err))) return;
    (void)unlinkat(at.fd, at.leaf, flags);
    mw_place_close(&at);
}
static void makes(const char *path) {
    struct mw_place at;
    if (!count(mw_permit_path(p, 1u << MW_WRITE, path, MW_AT_NAME, "fs mkdir", &at, &err))) return;
    (void)mkdirat(at.fd, at.leaf, 0755);
    mw_place_close(&at);
}
static void moves(const char *from, const char *to) {
    struct mw_place a, b;
    if (!count(mw_permit_move(p, from, to, "fs rename", &a, &b, &err))) return;
    (void)renameat(a.fd, a.leaf, b.fd, b.leaf);
    mw_place_close(&a);
    mw_place_close(&b);
}
static void connects(const char *path) {
    struct mw_place at;
    struct stat st;
    int fd;
    if (!count(mw_permit_unix(p, MW_CONNECT, path, "net connect", &at, &err))) return;
    fd = openat(at.fd, at.leaf, O_PATH | O_NOFOLLOW | O_CLOEXEC); /* as io/dial pins it */
    if (fd >= 0 && fstat(fd, &st) == 0)
        for (int i = 0; i < 2; i++) reached += st.st_ino == canary[i].st_ino && st.st_dev == canary[i].st_dev;
    if (fd >= 0) close(fd);
    mw_place_close(&at);
}
static void binds(const char *path) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct mw_place at;
    int fd;
    if (!count(mw_permit_unix(p, MW_LISTEN, path, "net listen", &at, &err))) return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(un.sun_path, sizeof un.sun_path, "/proc/self/fd/%d/%.40s", at.fd, at.leaf);
    if (bind(fd, (struct sockaddr *)&un, sizeof un) == 0) (void)unlinkat(at.fd, at.leaf, 0);
    close(fd);
    mw_place_close(&at);
}

/* ---- Afterwards ---------------------------------------------------------------------------------------------------------------- */

/* A folder of canaries is as it was made: the same names, the same texts. */
static void untouched(const char *dir) {
    struct dirent *e;
    DIR *d = opendir(in(dir));
    int names = 0;

    REQUIRE(d != NULL);
    while ((e = readdir(d)) != NULL) {
        char path[400], text[32] = "";
        FILE *f;
        if (e->d_name[0] == '.') continue;
        names++;
        if (strcmp(e->d_name, "sock") == 0) continue;
        snprintf(path, sizeof path, "%s/%s", in(dir), e->d_name);
        f = fopen(path, "r");
        CHECK(f != NULL && fgets(text, sizeof text, f) != NULL);
        CHECK(strncmp(text, "canary", 6) == 0);
        if (f != NULL) fclose(f);
    }
    closedir(d);
    CHECK_INT(names, 4);
}

static const char *in_dir(const char *name) {
    static char text[400];
    snprintf(text, sizeof text, "%s/in/%s", root, name);
    return text;
}

static time_t second(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void race(int denial) {
    static const char *const dirs[] = {"in/d", "in/e", "in/dlink", "in/moved"};
    struct stat st;
    DIR *d;
    struct dirent *e;
    time_t ends = second() + SECONDS;
    unsigned rounds = 0;
    int found = 0, keys = 0;

    begin(denial);
    /* It is a race once all three happened, however long that takes. */
    for (int i = 0; i < ROUNDS && (second() < ends || granted == 0 || refused == 0 || vanished == 0); i++, rounds++) {
        char path[160], other[160];
        const char *dir = dirs[i % 7 < 4 ? i % 7 : 0];
        snprintf(path, sizeof path, "%s/%s/", root, dir);
        snprintf(other, sizeof other, "%s/%s/to", root, dir);
        switch (i % 12) {
        case 0:
        case 1: strcat(path, "file"); reads(path); break;
        case 2: reads(in("in/f")); break;
        case 3: strcat(path, "new"); creates(path, O_EXCL); break;
        case 4: strcat(path, "new"); creates(path, O_TRUNC); break;
        case 5: creates(in("in/f"), i % 24 < 12 ? O_TRUNC : 0); break;
        case 6: strcat(path, i % 24 < 12 ? "new" : "victim"); removes(path, 0); break;
        case 7: strcat(path, "folder"); makes(path); break;
        case 8: strcat(path, "folder"); removes(path, AT_REMOVEDIR); break;
        case 9: strcat(path, i % 24 < 12 ? "from" : "to"); i % 24 < 12 ? moves(path, other) : moves(other, path); break;
        case 10: strcat(path, "sock"); connects(path); break;
        default: strcat(path, "bound"); binds(path); break;
        }
    }
    kill(flipper, SIGKILL);
    waitpid(flipper, NULL, 0);
    CHECK_INT(reached, 0);
    CHECK(granted > rounds / 20);        /* the race was one: all three happened */
    CHECK(refused > rounds / 200);
    CHECK(vanished > 0);
    untouched("out");
    for (int i = 0; denial && i < 3; i++) { /* the denied file, wherever it is now */
        char text[32] = "", path[160];
        FILE *f;
        snprintf(path, sizeof path, "%s", in((const char *[]){"in/f", "in/flink", "in/key"}[i]));
        f = lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? fopen(path, "r") : NULL;
        if (f == NULL) continue;
        keys += fgets(text, sizeof text, f) != NULL && strcmp(text, "canary denied") == 0;
        fclose(f);
    }
    CHECK_INT(keys, denial);
    /* The denied folder, wherever it is now. */
    d = opendir(in("in"));
    REQUIRE(d != NULL);
    while (denial && (e = readdir(d)) != NULL) {
        char path[400], text[32] = "";
        FILE *f;
        snprintf(path, sizeof path, "in/%.200s/file", e->d_name);
        f = lstat(in_dir(e->d_name), &st) == 0 && S_ISDIR(st.st_mode) && strchr(e->d_name, '.') == NULL ? fopen(in(path), "r") : NULL;
        if (f == NULL) continue;
        if (fgets(text, sizeof text, f) != NULL && strcmp(text, "canary denied") == 0) {
            found++;
            path[strlen(path) - 5] = 0;
            untouched(path);
        }
        fclose(f);
    }
    closedir(d);
    CHECK_INT(found, denial);
    tree_end();
}

TEST(who_flips_links_loses_where_nothing_is_denied) {
    race(0);
}
TEST(who_flips_links_and_denied_folders_loses) {
    race(1);
}
TEST(who_flips_links_loses_a_second_time) {
    race(0);
}
TEST(who_flips_links_and_denied_folders_loses_a_second_time) {
    race(1);
}
