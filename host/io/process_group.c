/* The groups of a host's children: a table that signal handlers may read, and the warden that ends them when we are gone.
 * Knows: io/process_parts.h, io/warden. Never: signals a group whose number may have become a stranger's. */
#include <signal.h>
#include <unistd.h>

#include "io/process_parts.h"

#define WARDENS_MAX 16
#define SWEEP_NS 1000000000u  /* how often groups without a leader are looked at */

static const char slot_key;

struct mw_processes *mw_processes_of(mw_host *h) {
    return mw_host_slot(h, &slot_key);
}

void mw_process_kill_all(mw_host *h) {
    struct mw_processes *all = mw_processes_of(h);
    int i;

    for (i = 0; all != NULL && i < GROUPS; i++) {
        pid_t group = atomic_load(&all->groups[i]);
        if (group > 1) kill(-group, SIGKILL);
    }
}

/* ---- The table ------------------------------------------------------------------------------------------------------------ */

static void forget(struct mw_processes *all, int i) {
    atomic_store(&all->groups[i], 0);
    if (all->orphan[i]) all->orphans--;
    all->orphan[i] = 0;
}

static void sweep(struct mw_timer *t) {
    struct mw_processes *all = MW_LIST_ENTRY(t, struct mw_processes, sweep);
    int i;

    for (i = 0; i < GROUPS; i++) {
        if (all->orphan[i] && !mw_group_alive(atomic_load(&all->groups[i]))) forget(all, i);
    }
    mw_limits_sweep(all);
    if (all->orphans > 0) mw_timer_start(all->host, t, mw_host_now(all->host) + SWEEP_NS, sweep);
}

static int free_slot(const struct mw_processes *all) {
    int i = 0;

    while (i < GROUPS && (all->orphan[i] || atomic_load(&all->groups[i]) != 0)) i++;
    return i;
}

int mw_groups_room(const struct mw_processes *all) {
    return free_slot(all) < GROUPS;
}

int mw_groups_add(struct mw_processes *all, pid_t group) {
    int i = free_slot(all);

    atomic_store(&all->groups[i], group);
    return i;
}

void mw_groups_leaving(struct mw_processes *all, int slot) {
    if (slot >= 0) atomic_store(&all->groups[slot], 0);
}

/* ---- The warden ----------------------------------------------------------------------------------------------------------- */

void mw_groups_warden_lost(struct mw_processes *all) {
    mw_warden_close(all->warden);
    all->warden = NULL;
}

/* Somebody killed it: another one, told of all that is left; not for ever, where something kills each of them. */
static void warden_died(void *ud) {
    struct mw_processes *all = ud;

    if (++all->warden_deaths == WARDENS_MAX) {
        all->use_warden = 0;
        mw_host_log(all->host, MW_LOG_WARN, "children may outlive a killed host: their warden was killed %d times", WARDENS_MAX);
    }
    mw_groups_warden_lost(all);
    mw_groups_warden(all, "process", NULL);
}

/* Where there can be none (an exec-less memfd policy, a system without it) children run on without, and it is said once. */
int mw_groups_warden(struct mw_processes *all, const char *op, struct mw_err *err) {
    struct mw_warden_dir dir;
    struct mw_err why;
    int i, rc, home = mw_process_home_where(all->host, &dir);

    if (!all->use_warden || (mw_warden_running(all->warden) && all->warden_home == home)) return 0;
    mw_groups_warden_lost(all);                      /* one that does not know of the private directory goes, too */
    all->warden_home = home;
    rc = mw_warden_open(mw_host_loop(all->host), home ? &dir : NULL, op, warden_died, all, &all->warden, &why);
    if (rc == -EMFILE || rc == -ENFILE || rc == MW_ENOMEM || rc == -EAGAIN) {
        if (err != NULL) *err = why;
        return rc;
    }
    if (rc < 0) {
        if (!all->warned) mw_host_log(all->host, MW_LOG_WARN, "children may outlive a killed host: %s", why.message);
        all->warned = 1;
        all->use_warden = 0;
        return 0;
    }
    for (i = 0; i < GROUPS; i++) {
        pid_t group = atomic_load(&all->groups[i]);
        if (group == 0) continue;
        mw_warden_tell(all->warden, MW_WARDEN_ADD, group);
        if (all->orphan[i]) mw_warden_tell(all->warden, MW_WARDEN_LEFT, group);
    }
    return 0;
}

void mw_groups_left(struct mw_processes *all, int *slot, pid_t group) {
    if (*slot < 0) return;
    if (all->warden != NULL && mw_warden_tell(all->warden, MW_WARDEN_LEFT, group) < 0) {
        mw_groups_warden_lost(all);                  /* killed or stopped: another one, told of those that are left */
        mw_groups_warden(all, "process", NULL);
    }
    if (!mw_group_alive(group)) {
        *slot = -1;
        return;
    }
    atomic_store(&all->groups[*slot], group);
    all->orphan[*slot] = 1;
    if (all->orphans++ == 0) mw_timer_start(all->host, &all->sweep, mw_host_now(all->host) + SWEEP_NS, sweep);
}

/* ---- The end -------------------------------------------------------------------------------------------------------------- */

#define END_GRACE_NS 2000000000u
#define END_UNSEEN_NS 300000000u      /* the same for those who may be zombies as well */
#define END_KILL_NS 1000000000u       /* how long the killed may take to be reaped */
#define END_STEP_US 1000u
#define END_STEP_MAX_US 50000u

static int leaders_alive(struct mw_processes *all) {
    int n = 0;
    struct mw_list *at, *next;

    for (at = all->all.next; at != &all->all; at = next) {
        mw_process *p = MW_LIST_ENTRY(at, mw_process, link);
        next = at->next;                             /* its end may take it off the list */
        if (!p->detached && mw_child_poll(&p->child)) n++;
    }
    return n;
}

/* 0: nobody; 1: somebody runs; 2: some may be zombies. */
static int any_alive(struct mw_processes *all) {
    int i, unseen = 0, alive = leaders_alive(all) > 0;

    for (i = 0; i < GROUPS && !alive; i++) {
        int running = all->orphan[i] ? mw_group_running(atomic_load(&all->groups[i])) : 0;
        alive = running == 1;
        unseen |= running == 2;
    }
    return alive ? 1 : unseen ? 2 : 0;
}

static void signal_all(struct mw_processes *all, int signal) {
    int i;

    for (i = 0; i < GROUPS; i++) {
        pid_t group = atomic_load(&all->groups[i]);
        if (group != 0) mw_group_signal(group, signal);
    }
}

/* TERM, a grace, KILL. The loop does not turn here: at most the grace passes, and nothing at all when nobody is left. */
void mw_groups_end(struct mw_processes *all) {
    uint64_t began = mw_host_now(all->host), until;
    unsigned step = END_STEP_US;
    int alive;

    if (any_alive(all)) signal_all(all, SIGTERM);
    while ((alive = any_alive(all)) != 0 && mw_host_now(all->host) - began < (alive == 1 ? END_GRACE_NS : END_UNSEEN_NS)) {
        usleep(step);
        if (step < END_STEP_MAX_US) step += step / 2;
    }
    signal_all(all, SIGKILL);
    until = mw_host_now(all->host) + END_KILL_NS;
    while (leaders_alive(all) && mw_host_now(all->host) < until) usleep(END_STEP_US);
    mw_groups_warden_lost(all);
}

/* ---- Settings ------------------------------------------------------------------------------------------------------------- */

int mw_processes_set(mw_host *h, struct mw_processes *all) {
    return mw_host_slot_set(h, &slot_key, all);
}
