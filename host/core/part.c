/* Finding and opening the parts: beside ourselves, then where they were installed, first as it is seen from here.
 * Knows: core/part, dlopen(3), dladdr(3). Never: unloads one (OpenSSL's exit handlers would be left behind). */
#include "core/part.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

/* From host/install/rules.cmake: MW_PARTS_DIR, where they were installed; MW_PARTS_NEAR, the same from the folders of the program, the
 * library and the module, since a tree may be moved; MW_PART_VERSION. */

/* Linked in? Then the linker knows them. */
extern const char mw_tls_calls __attribute__((weak));
extern const char mw_auth_calls __attribute__((weak));
extern const char mw_squeeze_calls __attribute__((weak));

static const char *const names[MW_PARTS] = {"tls", "squeeze"};
static const char slot_key;

struct parts {
    struct mw_handle handle;
    mw_host *host;
    char *path[MW_PARTS];        /* NULL: not looked for, or not found */
    unsigned char looked[MW_PARTS];
    void *object[MW_PARTS];      /* of dlopen; NULL: not opened */
};

static void on_host_close(struct mw_handle *it) {
    struct parts *p = MW_LIST_ENTRY(it, struct parts, handle);

    mw_host_disown(&p->handle);
    mw_host_slot_set(p->host, &slot_key, NULL);
    for (int i = 0; i < MW_PARTS; i++) free(p->path[i]);
    free(p);
}

static struct parts *parts_of(mw_host *h) {
    struct parts *p = mw_host_slot(h, &slot_key);

    if (p != NULL) return p;
    p = calloc(1, sizeof *p);
    if (p == NULL || mw_host_slot_set(h, &slot_key, p) < 0) {
        free(p);
        return NULL;
    }
    p->host = h;
    mw_list_init(&p->handle.link);
    mw_host_adopt(h, &p->handle, on_host_close);
    return p;
}

/* The folder of the object that this code is in, with its slash. 0: unknown. */
static size_t own_folder(char out[PATH_MAX]) {
    Dl_info self, main_program;
    char *slash;
    ssize_t n;

    if (dladdr(&slot_key, &self) == 0 || self.dli_fname == NULL) return 0;
    /* The program's name is what it was called by; the kernel knows better. */
    if (dladdr((void *)(uintptr_t)getauxval(AT_PHDR), &main_program) != 0 && main_program.dli_fbase == self.dli_fbase) {
        n = readlink("/proc/self/exe", out, PATH_MAX - 1);
        if (n <= 0) return 0;
        out[n] = '\0';
    } else if (self.dli_fname[0] != '/' || strlen(self.dli_fname) >= PATH_MAX) {
        return 0;
    } else {
        strcpy(out, self.dli_fname);
    }
    slash = strrchr(out, '/');
    if (slash == NULL) return 0;
    slash[1] = '\0';
    return (size_t)(slash + 1 - out);
}

static char *find(const char *name) {
#ifdef MW_MODULE /* in a build tree it has a folder of its own */
    static const char *const near[] = {".", MW_PARTS_NEAR, ".."};
#else
    static const char *const near[] = {".", MW_PARTS_NEAR};
#endif
    char at[PATH_MAX + 256];
    size_t n = own_folder(at);
    struct stat own, part;

    /* Seen from a folder that others may write to, such as that of temporary files, it may be theirs: it must be root's, our user's, or
     * belong to whom the folder of ours does. */
    for (size_t i = 0; n > 0 && stat(at, &own) == 0 && i < sizeof near / sizeof near[0]; i++) {
        snprintf(at + n, sizeof at - n, "%s/moonwire-%s.so", near[i], name);
        if (stat(at, &part) == 0 && (part.st_uid == 0 || part.st_uid == geteuid() || part.st_uid == own.st_uid) && access(at, R_OK) == 0)
            return realpath(at, NULL);
        at[n] = '\0';
    }
    snprintf(at, sizeof at, "%s/moonwire-%s.so", MW_PARTS_DIR, name);
    return access(at, R_OK) == 0 ? strdup(at) : NULL;
}

const char *mw_part_path(mw_host *h, enum mw_part part) {
    struct parts *p = parts_of(h);

    if (p == NULL) return NULL;
    if (!p->looked[part]) p->path[part] = find(names[part]);
    p->looked[part] = p->path[part] != NULL;
    return p->path[part];
}

static const void *linked_in(const char *symbol) {
    if (strcmp(symbol, "mw_tls_calls") == 0) return &mw_tls_calls;
    if (strcmp(symbol, "mw_auth_calls") == 0) return &mw_auth_calls;
    if (strcmp(symbol, "mw_squeeze_calls") == 0) return &mw_squeeze_calls;
    return NULL;
}

static int missing(const char *op, const char *name, const char *why, struct mw_err *err) {
    char object[32];

    snprintf(object, sizeof object, "moonwire-%s.so", name);
    mw_err_setf(err, -ENOSYS, op, object, "this part of moonwire cannot be loaded: %s", why);
    return mw_err_hint(err, "it lies beside the program, or in %s", MW_PARTS_DIR);
}

const void *mw_part_open(mw_host *h, enum mw_part part, const char *symbol, const char *op, struct mw_err *err) {
    const void *table = linked_in(symbol);
    const char *path, *version;
    struct parts *p;

    if (table != NULL) return table;
    p = parts_of(h);
    if (p == NULL) {
        mw_err_set(err, MW_ENOMEM, op, names[part], NULL);
        return NULL;
    }
    path = mw_part_path(h, part);
    if (path == NULL) {
        missing(op, names[part], "no such file", err);
        return NULL;
    }
    if (p->object[part] == NULL) p->object[part] = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (p->object[part] == NULL) {
        missing(op, names[part], dlerror(), err);
        return NULL;
    }
    /* What both sides know of one another may change with every version. */
    version = dlsym(p->object[part], "mw_part_version");
    table = dlsym(p->object[part], symbol);
    if (version != NULL && strcmp(version, MW_PART_VERSION) == 0 && table != NULL) return table;
    missing(op, names[part], "it is of another version, not of " MW_PART_VERSION, err);
    return NULL;
}
