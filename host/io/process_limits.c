/* What `limits = { ... }` becomes: resource limits, and for the number of processes the user's own count or a control group.
 * Knows: io/process_parts.h, setrlimit(2), proc(5), cgroups(7). Never: starts a child whose limit cannot hold.
 *
 * RLIMIT_NPROC counts all tasks of the user, wherever they are, and does not bind a superuser: so an ordinary user's limit is what
 * there is now and what was asked for, and a superuser's child gets a folder of its own in the pids hierarchy. The folder is made
 * for the start, and goes once nobody is left in it: at the child's end, at a later start, at the host's end; of a host that was
 * killed, by the next one that needs such folders. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/process_parts.h"

#define FOLDER "moonwire-"    /* + our number - which */
#define END_TRIES 200         /* at the host's end: how often a folder is tried, 5 ms apart */
#define END_STEP_US 5000

struct mw_pids {
    struct mw_list link;      /* in mw_processes.pids */
    int over;                 /* 1: its child has ended; the folder goes as soon as it is empty */
    int detached;
    char path[];
};

/* ---- Tasks of the user -------------------------------------------------------------------------------------------------- */

/* "Uid: REAL ..." and "Threads: N" of /proc/PID/status. 0: not ours, or gone. */
static long tasks_of(int proc, const char *pid, unsigned me) {
    char path[32], text[2048];
    const char *uid, *threads;
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "%.20s/status", pid);
    fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return 0;
    text[n] = '\0';
    uid = strstr(text, "\nUid:");
    threads = strstr(text, "\nThreads:");
    if (uid == NULL || threads == NULL || strtoul(uid + 5, NULL, 10) != me) return 0;
    return strtol(threads + 9, NULL, 10);
}

/* How many there are now; -1: it cannot be told. */
static long count_tasks(void) {
    DIR *proc = opendir("/proc");
    struct dirent *it;
    long all = 0;

    if (proc == NULL) return -1;
    while ((it = readdir(proc)) != NULL) {
        if (it->d_name[0] >= '1' && it->d_name[0] <= '9') all += tasks_of(dirfd(proc), it->d_name, (unsigned)getuid());
    }
    closedir(proc);
    return all > 0 ? all : -1;                           /* at least we are there: else it is no proc(5) */
}

/* ---- Control groups ----------------------------------------------------------------------------------------------------- */

static int put_file(const char *folder, const char *name, const char *text) {
    char path[PATH_MAX];
    int fd, rc;

    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return -ENAMETOOLONG;
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    rc = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

static int get_file(const char *folder, const char *name, char *text, size_t size) {
    char path[PATH_MAX];
    ssize_t n;
    int fd;

    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return -ENAMETOOLONG;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    n = read(fd, text, size - 1);
    close(fd);
    if (n < 0) return -EIO;
    text[n] = '\0';
    return 0;
}

/* Folders of hosts that are gone: their number is nobody's now. Those in use stay by themselves. */
static void remove_stale(const char *parent) {
    char path[PATH_MAX];
    struct dirent *it;
    DIR *dir = opendir(parent);
    long pid;

    while (dir != NULL && (it = readdir(dir)) != NULL) {
        if (strncmp(it->d_name, FOLDER, strlen(FOLDER)) != 0) continue;
        pid = strtol(it->d_name + strlen(FOLDER), NULL, 10);
        if (pid <= 1 || kill((pid_t)pid, 0) == 0 || errno != ESRCH) continue;
        if (snprintf(path, sizeof path, "%s/%s", parent, it->d_name) < (int)sizeof path) rmdir(path);
    }
    if (dir != NULL) closedir(dir);
}

/* A folder with pids.max below `parent`: 0 and its path, or a code. */
static int make_below(struct launch *l, const char *parent, char path[PATH_MAX], uint64_t most) {
    struct mw_processes *all = l->home;
    char text[32];
    int rc;

    if (all->pids_made == 0) remove_stale(parent);
    if (snprintf(path, PATH_MAX, "%s/" FOLDER "%d-%u", parent, (int)getpid(), ++all->pids_made) >= PATH_MAX) return -ENAMETOOLONG;
    if (mkdir(path, 0755) < 0) return -errno;
    snprintf(text, sizeof text, "%llu", (unsigned long long)most);
    rc = put_file(path, "pids.max", text);
    if (rc < 0) rmdir(path);
    return rc;
}

/* Our own place in the hierarchy whose line of /proc/self/cgroup has `which` between its colons ("" is version 2's). */
static int own_place(const char *which, char *place, size_t size) {
    char text[4096], *line, *rest = text, *names, *where, *one, *more;

    if (get_file("/proc/self", "cgroup", text, sizeof text) < 0) return -EACCES;
    while ((line = strsep(&rest, "\n")) != NULL) {
        strsep(&line, ":");
        names = strsep(&line, ":");
        where = line;
        if (where == NULL || names == NULL || strstr(where, "..") != NULL) continue;
        for (more = names; (one = strsep(&more, ",")) != NULL;) {
            if (strcmp(one, which) != 0) continue;
            snprintf(place, size, "%s", strcmp(where, "/") == 0 ? "" : where);
            return 0;
        }
    }
    return -ENOENT;
}

/* Version 2: below our own place if that hands the controller on (only a place without processes, or the root, may), or beside it. */
static int make_v2(struct launch *l, char path[PATH_MAX], uint64_t most) {
    char place[1024], parent[1200], *last;
    int rc = own_place("", place, sizeof place);

    if (rc < 0) return rc;
    snprintf(parent, sizeof parent, "/sys/fs/cgroup%s", place);
    rc = make_below(l, parent, path, most);
    if (rc == -ENOENT && put_file(parent, "cgroup.subtree_control", "+pids") == 0) rc = make_below(l, parent, path, most);
    last = strrchr(place, '/');
    if (rc == 0 || last == NULL) return rc;
    *last = '\0';
    snprintf(parent, sizeof parent, "/sys/fs/cgroup%s", place);
    return make_below(l, parent, path, most);
}

static int make_v1(struct launch *l, char path[PATH_MAX], uint64_t most) {
    char place[1024], parent[1200];
    int rc = own_place("pids", place, sizeof place);

    if (rc < 0) return rc;
    snprintf(parent, sizeof parent, "/sys/fs/cgroup/pids%s", place);
    rc = make_below(l, parent, path, most);
    return rc == -ENOENT && place[0] != '\0' ? make_below(l, "/sys/fs/cgroup/pids", path, most) : rc;   /* a place told from outside */
}

static int cannot(struct launch *l, const char *why) {
    mw_err_setf(l->err, -EOPNOTSUPP, l->o->op, l->o->argv[0], "limits.processes cannot be held: %s", why);
    return mw_err_hint(l->err, "processes = 1 is held where children are confined");
}

static int make_folder(struct launch *l) {
    char path[PATH_MAX], procs[PATH_MAX + 16];
    struct mw_pids *pids;
    int rc = make_v1(l, path, l->o->limits.processes), fd;

    if (rc < 0 && make_v2(l, path, l->o->limits.processes) == 0) rc = 0;
    if (rc == -EACCES) return cannot(l, "it takes a control group, which is out of reach (the host has locked itself?)");
    if (rc < 0) return cannot(l, "a superuser's processes are counted by a control group (cgroups), and none can be made");
    snprintf(procs, sizeof procs, "%s/cgroup.procs", path);
    fd = open(procs, O_WRONLY | O_CLOEXEC);
    pids = fd < 0 ? NULL : malloc(sizeof *pids + strlen(path) + 1);
    if (pids == NULL) {
        rc = fd < 0 ? mw_err_sys(l->err, l->o->op, procs) : mw_err_set(l->err, MW_ENOMEM, l->o->op, l->o->argv[0], NULL);
        if (fd >= 0) close(fd);
        rmdir(path);
        return rc;
    }
    strcpy(pids->path, path);
    pids->over = 0;
    pids->detached = l->o->detached;
    mw_list_add(&l->home->pids, &pids->link);
    l->p->pids = pids;
    l->join_fd = mw_launch_own(l, fd);
    return 0;
}

/* ---- The folders' end ----------------------------------------------------------------------------------------------------- */

/* 1: it is gone. */
static int remove_folder(struct mw_pids *pids) {
    if (rmdir(pids->path) < 0 && errno != ENOENT) return 0;
    mw_list_remove(&pids->link);
    free(pids);
    return 1;
}

void mw_limits_sweep(struct mw_processes *all) {
    struct mw_list *at, *next;

    for (at = all->pids.next; at != &all->pids; at = next) {
        struct mw_pids *pids = MW_LIST_ENTRY(at, struct mw_pids, link);
        next = at->next;
        if (pids->over) remove_folder(pids);
    }
}

void mw_limits_over(mw_process *p) {
    if (p->pids == NULL) return;
    p->pids->over = 1;
    p->pids = NULL;
    if (p->home != NULL) mw_limits_sweep(p->home);
}

/* KILL to whoever is in it: a new session does not lead out of a control group. */
static void kill_members(const char *folder) {
    char text[4096], *rest = text, *line;
    long pid;

    if (put_file(folder, "cgroup.kill", "1") == 0 || get_file(folder, "cgroup.procs", text, sizeof text) < 0) return;
    while ((line = strsep(&rest, "\n")) != NULL) {
        pid = strtol(line, NULL, 10);
        if (pid > 1) kill((pid_t)pid, SIGKILL);
    }
}

void mw_limits_end(struct mw_processes *all) {
    struct mw_pids *pids;
    int tries = 0;

    while (!mw_list_empty(&all->pids)) {
        pids = MW_LIST_ENTRY(all->pids.next, struct mw_pids, link);
        if (remove_folder(pids)) continue;
        if (!pids->detached && tries++ < END_TRIES) {
            kill_members(pids->path);
            usleep(END_STEP_US);
            continue;
        }
        mw_list_remove(&pids->link);
        free(pids);                                      /* the next host that needs one removes it */
    }
}

/* ---- The start ---------------------------------------------------------------------------------------------------------- */

/* Soft and hard, neither above what we have ourselves. */
static void limit(struct launch *l, int resource, uint64_t soft, uint64_t hard) {
    struct mw_spawn_limit *it = &l->limits[l->limit_count];
    struct rlimit ours;

    if (getrlimit((__rlimit_resource_t)resource, &ours) < 0) ours.rlim_max = RLIM_INFINITY;
    it->resource = resource;
    it->hard = (rlim_t)hard < ours.rlim_max ? (rlim_t)hard : ours.rlim_max;
    it->soft = (rlim_t)soft < it->hard ? (rlim_t)soft : it->hard;
    l->limit_count++;
}

/* Does RLIMIT_NPROC bind the child? A superuser of the whole system it never binds, nor who keeps one of two powers (the cage takes
 * them away). */
static int count_binds(const struct launch *l) {
    uint32_t head[2] = { 0x20080522u, 0 }, caps[6] = { 0 };       /* _LINUX_CAPABILITY_VERSION_3 */
    const uint32_t both = 1u << 24 | 1u << 21;                    /* CAP_SYS_RESOURCE, CAP_SYS_ADMIN */

    if (getuid() == 0) return 0;
    return l->confined || syscall(SYS_capget, head, caps) < 0 || (caps[0] & both) == 0;
}

static int limit_processes(struct launch *l) {
    uint64_t most = l->o->limits.processes;
    long now;

    if (most == 1 && l->confined) return 0;                       /* the filter's: it forks nothing at all */
    if (!count_binds(l)) return l->p->pids != NULL ? 0 : make_folder(l);
    now = count_tasks();
    if (now < 0) return cannot(l, "the tasks of this user cannot be counted (/proc is out of reach)");
    limit(l, RLIMIT_NPROC, (uint64_t)now + most, (uint64_t)now + most);
    return 0;
}

int mw_launch_limits(struct launch *l, struct mw_spawn *s) {
    const struct mw_process_limits *want = &l->o->limits;
    int rc = 0;

    l->limit_count = 0;
    if (l->confined) limit(l, RLIMIT_CORE, 0, 0);                 /* a dump would be written where its cage does not reach */
    if (want->memory != 0) limit(l, RLIMIT_AS, want->memory, want->memory);
    if (want->cpu_s != 0) limit(l, RLIMIT_CPU, want->cpu_s, want->cpu_s + 1);
    if (want->files != 0) limit(l, RLIMIT_NOFILE, want->files, want->files);
    if (!mw_spawn_confines() && (l->limit_count > 0 || want->processes != 0)) {
        return mw_err_set(l->err, -EOPNOTSUPP, l->o->op, l->o->argv[0], "this build cannot hold limits of a child");
    }
    mw_limits_sweep(l->home);
    if (want->processes != 0) rc = limit_processes(l);
    s->limits = l->limits;
    s->limit_count = l->limit_count;
    s->join_fd = l->join_fd;
    return rc;
}
