/* What a caged program tries on files, and the link flipper of the races.
 * Knows: breakout.h, system calls. Never: names a path of its own. */
#define _GNU_SOURCE
#include "breakout.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/fs.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PATH(n) word_at(argc, argv, n, "")

static int show(int fd) {
    char text[4096];
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text);

    if (got < 0) return -errno;
    fwrite(text, 1, (size_t)got, stdout);
    putchar('\n');
    return 0;
}

static int take_lease(int argc, char **argv) {
    int fd = open(PATH(0), O_RDONLY);

    return answer(fd < 0 ? -1 : fcntl(fd, F_SETLEASE, F_RDLCK));
}

static int read_file(int argc, char **argv) {
    return show(open(PATH(0), O_RDONLY));
}

/* Opened for execution only (O_PATH), then again by its descriptor. */
static int reopen_path(int argc, char **argv) {
    char name[64];
    int fd = open(PATH(0), O_PATH);

    if (fd < 0) return -errno;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    if (show(open(name, O_RDONLY)) == 0) return 0;
    return show(openat(fd, "", O_RDONLY));
}

static int read_mapped(int argc, char **argv) {
    int fd = open(PATH(0), O_RDWR);
    char *at = fd < 0 ? MAP_FAILED : mmap(NULL, 32, PROT_READ, MAP_SHARED, fd, 0);

    if (at == MAP_FAILED) return -errno;
    printf("%.32s\n", at);
    return 0;
}

/* Into another directory by descriptor, and up again. */
static int climb(int argc, char **argv) {
    int dir = open(PATH(0), O_RDONLY | O_DIRECTORY), rc;

    if (dir < 0) return -errno;
    rc = show(openat(dir, PATH(1), O_RDONLY));
    if (rc < 0 && fchdir(dir) == 0) rc = show(open(PATH(1), O_RDONLY));
    return rc;
}

static int list_directory(int argc, char **argv) {
    DIR *dir = opendir(PATH(0));
    struct dirent *entry;
    int found = 0;

    if (dir == NULL) return -errno;
    while ((entry = readdir(dir)) != NULL) {
        puts(entry->d_name);
        found = 1;
    }
    closedir(dir);
    return found ? 0 : -ENOENT;
}

static int write_file(int argc, char **argv) {
    int fd = open(PATH(0), O_WRONLY | O_APPEND);
    return fd < 0 ? -errno : answer(write(fd, "harm", 4));
}
static int create_file(int argc, char **argv) { return answer(open(PATH(0), O_WRONLY | O_CREAT, 0644)); }
static int truncate_file(int argc, char **argv) { return answer(truncate(PATH(0), 1)); }
static int open_truncate(int argc, char **argv) { return answer(open(PATH(0), O_RDONLY | O_TRUNC)); }
static int unlink_file(int argc, char **argv) { return answer(unlink(PATH(0))); }
static int remove_directory(int argc, char **argv) { return answer(rmdir(PATH(0))); }
static int rename_file(int argc, char **argv) { return answer(rename(PATH(0), PATH(1))); }
static int exchange(int argc, char **argv) {
    return answer(syscall(SYS_renameat2, AT_FDCWD, PATH(0), AT_FDCWD, PATH(1), RENAME_EXCHANGE));
}
static int make_directory(int argc, char **argv) { return answer(mkdir(PATH(0), 0755)); }
static int make_fifo(int argc, char **argv) { return answer(mkfifo(PATH(0), 0644)); }
static int make_device(int argc, char **argv) { return answer(mknod(PATH(0), S_IFCHR | 0666, 0x0103)); }
static int make_link(int argc, char **argv) { return answer(symlink(PATH(0), PATH(1))); }
static int temporary(int argc, char **argv) { return answer(open(PATH(0), O_TMPFILE | O_RDWR, 0644)); }

static int hard_link(int argc, char **argv) {
    int rc = answer(link(PATH(0), PATH(1)));
    return rc < 0 ? rc : show(open(PATH(1), O_RDONLY));
}
static int link_by_descriptor(int argc, char **argv) {
    int fd = open(PATH(0), O_PATH), rc = fd < 0 ? -errno : answer(linkat(fd, "", AT_FDCWD, PATH(1), AT_EMPTY_PATH));
    return rc < 0 ? rc : show(open(PATH(1), O_RDONLY));
}
/* A link made inside, followed out of it. */
static int link_and_read(int argc, char **argv) {
    int rc = answer(symlink(PATH(0), PATH(1)));
    return rc < 0 ? rc : show(open(PATH(1), O_RDONLY));
}
/* A folder of the granted tree is moved so that ".." leads elsewhere. */
static int move_and_climb(int argc, char **argv) {
    int dir = open(PATH(0), O_RDONLY | O_DIRECTORY), rc;

    if (dir < 0) return -errno;
    rc = answer(rename(PATH(0), PATH(1)));
    return rc < 0 ? rc : show(openat(dir, PATH(2), O_RDONLY));
}

static int change_mode(int argc, char **argv) { return answer(chmod(PATH(0), 0600)); }
static int change_mode_by_descriptor(int argc, char **argv) {
    int fd = open(PATH(0), O_RDONLY | O_PATH);
    if (fd < 0) return -errno;
    if (fchmod(fd, 0600) == 0 || fchmodat(fd, "", 0600, 0) == 0) return 0;
    return answer(syscall(452 /* fchmodat2 */, fd, "", 0600, AT_EMPTY_PATH));
}
static int change_owner(int argc, char **argv) { return answer(chown(PATH(0), getuid(), getgid())); }
static int change_times(int argc, char **argv) { return answer(utimensat(AT_FDCWD, PATH(0), NULL, 0)); }
static int set_attribute(int argc, char **argv) { return answer(setxattr(PATH(0), "user.x", "y", 1, 0)); }
static int make_setuid(int argc, char **argv) {
    int fd = open(PATH(0), O_WRONLY | O_CREAT, 04755);
    struct stat st;
    if (fd < 0) return -errno;
    if (fchmod(fd, 04755) < 0) return -errno;
    return fstat(fd, &st) == 0 && (st.st_mode & S_ISUID) ? 0 : -EPERM;
}

static int open_by_handle(int argc, char **argv) {
    union { struct file_handle head; char room[sizeof(struct file_handle) + MAX_HANDLE_SZ]; } it = { { 0 } };
    int mount, from;

    it.head.handle_bytes = MAX_HANDLE_SZ;
    if (name_to_handle_at(AT_FDCWD, PATH(0), &it.head, &mount, 0) < 0) return -errno;
    from = open(PATH(1), O_RDONLY | O_DIRECTORY);
    if (from < 0) return -errno;
    return show(open_by_handle_at(from, &it.head, O_RDONLY));
}

static int mount_bind(int argc, char **argv) {
    int rc = answer(mount(PATH(0), PATH(1), NULL, MS_BIND, NULL));
    if (rc == 0) umount2(PATH(1), MNT_DETACH);
    return rc;
}
static int open_tree_call(int argc, char **argv) {
    int fd = (int)syscall(428 /* open_tree */, AT_FDCWD, PATH(0), 1 /* OPEN_TREE_CLONE */);
    return fd < 0 ? -errno : show(openat(fd, "secret", O_RDONLY));
}
static int change_root(int argc, char **argv) {
    int rc = answer(chroot(PATH(0)));
    return rc < 0 ? rc : show(open("/secret", O_RDONLY));
}
static int watch(int argc, char **argv) {
    int fd = inotify_init1(0);
    return fd < 0 ? -errno : answer(inotify_add_watch(fd, PATH(0), IN_ALL_EVENTS));
}
static int send_contents(int argc, char **argv) {
    int fd = open(PATH(0), O_RDONLY);
    return fd < 0 ? -errno : answer(sendfile(1, fd, NULL, 100));
}

/* Undoing a freeze that is none: EINVAL to who may, EPERM to who may not. */
static int thaw(int argc, char **argv) {
    int fd = open(PATH(0), O_RDONLY);
    if (fd < 0) return -errno;
    return ioctl(fd, FITHAW, 0) == 0 || errno == EINVAL ? 0 : -errno;
}
static int change_flags(int argc, char **argv) {
    int fd = open(PATH(0), O_RDONLY), flags = 0;
    if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0) return -errno;
    flags ^= FS_NOATIME_FL;
    return answer(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

/* Swaps two names for ever, telling when it has begun; what it races against ends it. */
static int flip(int argc, char **argv) {
    const char *a = PATH(0), *b = PATH(1);

    prctl(PR_SET_PDEATHSIG, 9);
    puts("flipping");
    fflush(stdout);
    for (;;)
        if (syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) < 0) return -errno;
}

/* The same with a third name: `a` and `b` go to `c` in turn, and `c` is missing in between. */
static int rotate(int argc, char **argv) {
    const char *a = PATH(0), *b = PATH(1), *c = PATH(2);

    prctl(PR_SET_PDEATHSIG, 9);
    puts("flipping");
    fflush(stdout);
    for (;;)
        if (rename(a, c) < 0 || rename(c, a) < 0 || rename(b, c) < 0 || rename(c, b) < 0) return -errno;
}

const struct attempt files_attempts[] = {
    { "read", read_file }, { "reopen", reopen_path }, { "map", read_mapped }, { "climb", climb }, { "list", list_directory },
    { "write", write_file }, { "create", create_file }, { "truncate", truncate_file }, { "open-truncate", open_truncate },
    { "unlink", unlink_file }, { "rmdir", remove_directory }, { "rename", rename_file }, { "exchange", exchange },
    { "mkdir", make_directory }, { "fifo", make_fifo }, { "device", make_device }, { "symlink", make_link },
    { "tmpfile", temporary }, { "link", hard_link }, { "link-fd", link_by_descriptor }, { "link-read", link_and_read },
    { "move-climb", move_and_climb }, { "chmod", change_mode }, { "chmod-fd", change_mode_by_descriptor },
    { "chown", change_owner }, { "touch", change_times }, { "xattr", set_attribute }, { "setuid", make_setuid },
    { "lease", take_lease }, { "handle", open_by_handle }, { "bind-mount", mount_bind }, { "open-tree", open_tree_call }, { "chroot", change_root },
    { "watch", watch }, { "sendfile", send_contents }, { "thaw", thaw }, { "chattr", change_flags }, { "flip", flip }, { "rotate", rotate }, { NULL, NULL }
};
