/* A folder with a policy over it: `root`, `p`, and the names of what lies in it. tree_begin makes both, tree_end takes them away.
 * Knows: policy/permit, support/check. Never: rights of its own. */
#ifndef SPEC_SUPPORT_TREE_H
#define SPEC_SUPPORT_TREE_H

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "policy/permit.h"
#include "support/check.h"

static char root[64];
static struct mw_err err;
static mw_policy *p;

/* The path of a name in the folder: good for eight calls. */
__attribute__((unused)) static const char *in(const char *name) {
    static char text[8][2 * PATH_MAX]; /* names beyond the limit, too */
    static unsigned turn;
    char *out = text[turn++ % 8];

    snprintf(out, sizeof text[0], "%s/%s", root, name);
    return out;
}
__attribute__((unused)) static void put(const char *name, const char *text, mode_t mode) {
    FILE *f = fopen(in(name), "w");

    REQUIRE(f != NULL);
    fputs(text, f);
    fclose(f);
    REQUIRE(chmod(in(name), mode) == 0);
}

__attribute__((unused)) static void tree_begin(void) {
    snprintf(root, sizeof root, "/tmp/mw-tree-XXXXXX");
    REQUIRE(mkdtemp(root) != NULL);
    REQUIRE(mw_policy_new(&p, &err) == 0);
}
__attribute__((unused)) static void tree_end(void) {
    char command[96];

    mw_policy_free(p);
    p = NULL;
    snprintf(command, sizeof command, "rm -rf %s", root);
    REQUIRE(system(command) == 0);
}

/* 1: this process may mount, and nobody else sees what it does: tests beside it count on mounts that stay. Before tree_begin. */
__attribute__((unused)) static int tree_mounts(void) {
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

#endif
