/* A library to be loaded before libc (LD_PRELOAD): whenever the program under test, whose file is called `moonwire`, begins to list the
 * folder $MOVED_IN, the names $MOVED_A and $MOVED_B change places, as if somebody else had done it; $MOVED_TIMES times at most. With
 * $MOVED_BACK they change back at the listing's end.
 * Knows: libc. Never: anything in other programs. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXCHANGE 2u /* RENAME_EXCHANGE */

static int left, moved;

__attribute__((constructor)) static void begin(void) {
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    const char *times = getenv("MOVED_TIMES");

    if (n > 9 && memcmp(path + n - 9, "/moonwire", 9) == 0 && times != NULL) left = atoi(times);
}

static int is_the_folder(int fd) {
    char self[32], path[4096];
    const char *in = getenv("MOVED_IN");
    ssize_t n;

    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    n = in != NULL ? readlink(self, path, sizeof path) : -1;
    return n > 0 && (size_t)n == strlen(in) && memcmp(path, in, (size_t)n) == 0;
}

static void change_places(void) {
    syscall(SYS_renameat2, AT_FDCWD, getenv("MOVED_A"), AT_FDCWD, getenv("MOVED_B"), EXCHANGE);
}

DIR *fdopendir(int fd) {
    DIR *(*next)(int) = (DIR * (*)(int)) dlsym(RTLD_NEXT, "fdopendir");

    if (left > 0 && is_the_folder(fd)) {
        left--;
        moved = 1;
        change_places();
    }
    return next(fd);
}

int closedir(DIR *dir) {
    int (*next)(DIR *) = (int (*)(DIR *))dlsym(RTLD_NEXT, "closedir");

    if (moved && getenv("MOVED_BACK") != NULL && is_the_folder(dirfd(dir))) {
        moved = 0;
        change_places();
    }
    return next(dir);
}
