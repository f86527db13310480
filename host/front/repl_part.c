/* Finds and opens the line editor, an object of its own, where core/part finds the others: beside the program, in the folder of the
 * parts as it is seen from there, then where they were installed.
 * Knows: dlopen(3). Never: unloads it; searches a path that the environment names. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "front/repl_parts.h"

static const char *find(char *at, size_t size) {
    static const char *const near[] = { ".", MW_PARTS_NEAR };
    ssize_t n = readlink("/proc/self/exe", at, size - 256);
    char *slash;

    at[n > 0 ? n : 0] = '\0';
    slash = strrchr(at, '/');
    for (size_t i = 0; slash != NULL && i < sizeof near / sizeof *near; i++) {
        snprintf(slash, size - (size_t)(slash - at), "/%s/moonwire-repl.so", near[i]);
        if (access(at, R_OK) == 0) return at;
    }
    snprintf(at, size, "%s/moonwire-repl.so", MW_PARTS_DIR);
    return at;
}

const struct mw_edit_calls *mw_repl_part(char *why, size_t size) {
    char path[PATH_MAX + 256];
    void *object = dlopen(find(path, sizeof path), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    const char *version = object != NULL ? dlsym(object, "mw_part_version") : NULL;
    const struct mw_edit_calls *table = object != NULL ? dlsym(object, "mw_repl_edit_calls") : NULL;

    if (object == NULL) snprintf(why, size, "%s", dlerror());
    else snprintf(why, size, "%s is of another version, not of %s", path, MW_PART_VERSION);
    return version != NULL && strcmp(version, MW_PART_VERSION) == 0 ? table : NULL;
}
