/* What `limits = { ... }` becomes: resource limits, and for the number of processes the user's own count or a control group.
 * Knows: io/process_parts.h, setrlimit(2), proc(5), cgroups(7). Never: starts a child whose limit cannot hold.
 *
 * RLIMIT_NPROC counts all tasks of the user, wherever they are, and does not bind a superuser: so an ordinary user's limit is what
 * there is now and what was asked for, and a superuser's child gets a control group of its own in the pids hierarchy: a folder below
 * one of its host's. The folders are made when they are needed (the host's before the host locks itself), and go once nobody is left
 * in them: at the child's end, at a later start, at the host's end; those of a host that was killed, when the next one makes its own. */
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

#define FOLDER "moonwire-"    /* and the number of our process; below it one for each child, by count */
#define END_TRIES 200         /* at the host's end: how often a folder is tried, 5 ms apart */
#define END_STEP_US 5000

struct mw_pids {
    struct mw_list link;      /* in mw_processes.pids */
    int over;                 /* 1: its child has ended; the folder goes as soon as it is empty */
    int detached;
    char path[];
};

/* What a host that locks itself opens or makes before, and any host at first need. */
struct counting {
    struct mw_handle handle;
    mw_host *host;
    DIR *proc;                /* /proc; NULL: opened each time */
    char *dir;                /* the control group that holds the children's; NULL: none yet */
    unsigned made;            /* of them */
};

static const char slot_key;

static void counting_end(mw_host *h) {
    struct counting *it = mw_host_slot(h, &slot_key);

    if (it == NULL) return;
    mw_host_slot_set(h, &slot_key, NULL);
    mw_host_disown(&it->handle);
    if (it->proc != NULL) closedir(it->proc);
    if (it->dir != NULL) rmdir(it->dir);
    free(it->dir);
    free(it);
}

static void at_teardown(struct mw_handle *handle) {
    struct counting *it = MW_LIST_ENTRY(handle, struct counting, handle);

    if (mw_processes_of(it->host) == NULL) counting_end(it->host);   /* else once the children have ended */
}

/* NULL: no memory. */
static struct counting *counting_of(mw_host *h) {
    struct counting *it = mw_host_slot(h, &slot_key);

    if (it != NULL || mw_host_closing(h)) return it;
    it = calloc(1, sizeof *it);
    if (it == NULL) return NULL;
    it->host = h;
    if (mw_host_slot_set(h, &slot_key, it) < 0) {
        free(it);
        return NULL;
    }
    mw_host_adopt(h, &it->handle, at_teardown);
    return it;
}

/* ---- Tasks of the user -------------------------------------------------------------------------------------------------- */

/* /proc/PID/task belongs to the user of the process and has a folder for each of its tasks, beside "." and "..". */
static long tasks_of(int proc, const char *pid, uid_t me) {
    char path[32];
    struct stat st;

    snprintf(path, sizeof path, "%.20s/task", pid);
    return fstatat(proc, path, &st, 0) < 0 || st.st_uid != me ? 0 : (long)st.st_nlink - 2;
}

/* How many there are now; -1: it cannot be told. */
static long count_tasks(mw_host *h) {
    const struct counting *c = mw_host_slot(h, &slot_key);
    DIR *held = c != NULL ? c->proc : NULL, *proc = held != NULL ? held : opendir("/proc");
    struct dirent *it;
    long n = 0;

    if (proc == NULL) return -1;
    rewinddir(proc);
    while ((it = readdir(proc)) != NULL) {
        if (it->d_name[0] >= '1' && it->d_name[0] <= '9') n += tasks_of(dirfd(proc), it->d_name, getuid());
    }
    if (proc != held) closedir(proc);
    return n > 0 ? n : -1;                               /* at least we are there: else it is no proc(5) */
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

/* A host's folder, and its children's: those in use stay by themselves. */
static void remove_tree(const char *folder) {
    char path[PATH_MAX];
    struct dirent *it;
    DIR *dir = opendir(folder);

    while (dir != NULL && (it = readdir(dir)) != NULL) {
        if (it->d_name[0] < '0' || it->d_name[0] > '9') continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, it->d_name) < (int)sizeof path) rmdir(path);
    }
    if (dir != NULL) closedir(dir);
    rmdir(folder);
}

/* Folders of hosts that are gone: their number is nobody's now. */
static void remove_stale(const char *parent) {
    char path[PATH_MAX];
    struct dirent *it;
    DIR *dir = opendir(parent);
    long pid;

    while (dir != NULL && (it = readdir(dir)) != NULL) {
        if (strncmp(it->d_name, FOLDER, strlen(FOLDER)) != 0) continue;
        pid = strtol(it->d_name + strlen(FOLDER), NULL, 10);
        if (pid <= 1 || kill((pid_t)pid, 0) == 0 || errno != ESRCH) continue;
        if (snprintf(path, sizeof path, "%s/%s", parent, it->d_name) < (int)sizeof path) remove_tree(path);
    }
    if (dir != NULL) closedir(dir);
}

/* The host's folder below `parent`: 0, or a code. It must have the controller, and hand it on (version 1 always does). */
static int make_below(struct counting *it, const char *parent) {
    char path[PATH_MAX], file[PATH_MAX + 16];
    int rc;

    remove_stale(parent);
    if (snprintf(path, PATH_MAX, "%s/" FOLDER "%d", parent, (int)getpid()) >= PATH_MAX) return -ENAMETOOLONG;
    if (mkdir(path, 0755) < 0 && errno != EEXIST) return -errno;     /* another host of this process has made it */
    snprintf(file, sizeof file, "%s/pids.max", path);
    rc = access(file, W_OK) < 0 ? -errno : put_file(path, "cgroup.subtree_control", "+pids");
    if (rc == -ENOENT && access(file, W_OK) == 0) rc = 0;
    if (rc == 0 && (it->dir = strdup(path)) == NULL) rc = MW_ENOMEM;
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
static int make_v2(struct counting *it) {
    char place[1024], parent[1200], *last;
    int rc = own_place("", place, sizeof place);

    if (rc < 0) return rc;
    snprintf(parent, sizeof parent, "/sys/fs/cgroup%s", place);
    rc = make_below(it, parent);
    if (rc == -ENOENT && put_file(parent, "cgroup.subtree_control", "+pids") == 0) rc = make_below(it, parent);
    last = strrchr(place, '/');
    if (rc == 0 || last == NULL) return rc;
    *last = '\0';
    snprintf(parent, sizeof parent, "/sys/fs/cgroup%s", place);
    return make_below(it, parent);
}

static int make_v1(struct counting *it) {
    char place[1024], parent[1200];
    int rc = own_place("pids", place, sizeof place);

    if (rc < 0) return rc;
    snprintf(parent, sizeof parent, "/sys/fs/cgroup/pids%s", place);
    rc = make_below(it, parent);
    return rc == -ENOENT && place[0] != '\0' ? make_below(it, "/sys/fs/cgroup/pids") : rc;     /* a place told from outside */
}

static int host_folder(struct counting *it) {
    int rc = it->dir != NULL ? 0 : make_v1(it);

    return rc < 0 && rc != MW_ENOMEM && make_v2(it) == 0 ? 0 : rc;
}

void mw_process_before_lock(mw_host *h, const char **folder) {
    struct counting *it = counting_of(h);

    *folder = NULL;
    if (it == NULL) return;
    if (getuid() != 0) {
        if (it->proc == NULL) it->proc = opendir("/proc");
    } else if (host_folder(it) == 0) {
        *folder = it->dir;
    }
}

static int cannot(struct launch *l, const char *why) {
    mw_err_setf(l->err, -EOPNOTSUPP, l->o->op, l->o->argv[0], "limits.processes cannot be held: %s", why);
    return mw_err_hint(l->err, "processes = 1 is held where children are confined");
}

/* A folder of the child's own: its path, or a code. */
static int child_folder(struct launch *l, char path[PATH_MAX]) {
    struct counting *it = counting_of(l->home->host);
    char most[32];
    int rc, tries;

    if (it == NULL) return MW_ENOMEM;
    snprintf(most, sizeof most, "%llu", (unsigned long long)l->o->limits.processes);
    for (tries = 0; tries < 100; tries++) {
        rc = host_folder(it);
        if (rc < 0) return rc;
        if (snprintf(path, PATH_MAX, "%s/%u", it->dir, ++it->made) >= PATH_MAX) return -ENAMETOOLONG;
        if (mkdir(path, 0755) == 0) {
            rc = put_file(path, "pids.max", most);
            if (rc < 0) rmdir(path);
            return rc;
        }
        if (errno == ENOENT && tries < 2) {              /* another host of this process has ended, and taken it along */
            free(it->dir);
            it->dir = NULL;
        } else if (errno != EEXIST) {
            return -errno;
        }
    }
    return -EEXIST;
}

static int make_folder(struct launch *l) {
    char path[PATH_MAX], procs[PATH_MAX + 16];
    struct mw_pids *pids;
    int rc = child_folder(l, path), fd;

    if (rc == MW_ENOMEM) return mw_err_set(l->err, rc, l->o->op, l->o->argv[0], NULL);
    if (rc == -EACCES) return cannot(l, "its control group is out of reach (a host that has locked itself?)");
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
    counting_end(all->host);
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
    now = count_tasks(l->home->host);
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
