/* The host's own metrics: what it counts of itself, put into the meters whenever somebody looks.
 * Knows: observe, core, io/stream, share/worker, bind/pool, bind/channel. Never: counts anything itself.
 *
 * Each host has its own: a worker's text tells of the worker, and the text of its maker tells how many there are. */
#include <stdio.h>
#include <string.h>

#include "bind/channel.h"
#include "bind/metrics.h"
#include "bind/pool.h"
#include "core/hook.h"
#include "share/worker.h"

enum own { ERRORS, BYTES, MESSAGES, STREAMS, STREAMS_OPEN, CONNECTIONS, CHILDREN, CHILDREN_NOW, WORKERS, WORKERS_NOW, TASKS, HANDLES,
           TIMERS, MEMORY, MEMORY_LIMIT, BUFFERED, CYCLES, POOL_WORKERS, POOL_QUEUE, POOL_TASKS, POOL_RESTARTS, CALLS, WAITS, SPAWNS, LAG };

static const struct row {
    enum mw_meter_kind kind;
    const char *name, *help, *first, *second;   /* its labels, or NULL */
} rows[] = {
    [ERRORS] = { MW_COUNTER, "moonwire_errors_total", "Error objects made, by code.", "code", NULL },
    [BYTES] = { MW_COUNTER, "moonwire_bytes_total", "Bytes through streams: sockets, pipes, terminals.", "direction", NULL },
    [MESSAGES] = { MW_COUNTER, "moonwire_messages_total", "Messages through framed channels.", "direction", NULL },
    [STREAMS] = { MW_COUNTER, "moonwire_streams_total", "Streams opened.", NULL, NULL },
    [STREAMS_OPEN] = { MW_GAUGE, "moonwire_streams_open", "Streams that are open.", NULL, NULL },
    [CONNECTIONS] = { MW_COUNTER, "moonwire_connections_accepted_total", "Connections that listeners gave to the script.", NULL, NULL },
    [CHILDREN] = { MW_COUNTER, "moonwire_processes_started_total", "Child processes started.", NULL, NULL },
    [CHILDREN_NOW] = { MW_GAUGE, "moonwire_processes_running", "Child processes that run.", NULL, NULL },
    [WORKERS] = { MW_COUNTER, "moonwire_workers_started_total", "Worker threads started.", NULL, NULL },
    [WORKERS_NOW] = { MW_GAUGE, "moonwire_workers_running", "Worker threads that run, those of workers included.", NULL, NULL },
    [TASKS] = { MW_GAUGE, "moonwire_tasks", "Tasks that have not ended.", NULL, NULL },
    [HANDLES] = { MW_GAUGE, "moonwire_handles", "Open files, streams, listeners, watches, pools.", NULL, NULL },
    [TIMERS] = { MW_GAUGE, "moonwire_timers", "Timers that run.", NULL, NULL },
    [MEMORY] = { MW_GAUGE, "moonwire_lua_memory_bytes", "Memory of the Lua state.", NULL, NULL },
    [MEMORY_LIMIT] = { MW_GAUGE, "moonwire_lua_memory_limit_bytes", "What it may grow to.", NULL, NULL },
    [BUFFERED] = { MW_GAUGE, "moonwire_buffered_bytes", "Room that the queues of all streams hold.", NULL, NULL },
    [CYCLES] = { MW_COUNTER, "moonwire_lua_gc_cycles_total", "Cycles of the garbage collector.", NULL, NULL },
    [POOL_WORKERS] = { MW_GAUGE, "moonwire_pool_workers", "Workers of pools, by what they do.", "kind", "state" },
    [POOL_QUEUE] = { MW_GAUGE, "moonwire_pool_queue_length", "Calls that wait for a worker of a pool.", "kind", NULL },
    [POOL_TASKS] = { MW_COUNTER, "moonwire_pool_calls_total", "Calls that ended with an answer, or with their worker.", "kind", "result" },
    [POOL_RESTARTS] = { MW_COUNTER, "moonwire_pool_restarts_total", "Workers of pools that were replaced.", "kind", NULL },
    [CALLS] = { MW_HISTOGRAM, "moonwire_call_duration_seconds", "From a call to its answer, waiting included.", "kind", NULL },
    [WAITS] = { MW_HISTOGRAM, "moonwire_pool_wait_seconds", "How long calls waited for a worker of a pool.", "kind", NULL },
    [SPAWNS] = { MW_HISTOGRAM, "moonwire_spawn_duration_seconds", "How long it took to start a child process.", NULL, NULL },
    [LAG] = { MW_HISTOGRAM, "moonwire_loop_lag_seconds", "How long tasks kept the loop at a time: what came meanwhile waited.", NULL, NULL },
};
enum { ROWS = sizeof rows / sizeof *rows };

static const char *const kinds[] = { "process", "thread" };

static struct mw_series *series(mw_meters *all, enum own which, const char *first, const char *second) {
    struct mw_view values[2] = { { first, first != NULL ? strlen(first) : 0 }, { second, second != NULL ? strlen(second) : 0 } };
    return mw_meter_series(mw_meters_find(all, rows[which].name), values);
}
/* Without memory it stays as it was. */
static void set(mw_meters *all, enum own which, const char *first, const char *second, uint64_t value) {
    struct mw_series *s = series(all, which, first, second);
    if (s != NULL) mw_series_set(s, (double)value);
}

static int add(mw_meters *all, const struct row *row, struct mw_err *err) {
    static const double seconds[] = { 1e-5, 1e-4, 2.5e-4, 1e-3, 2.5e-3, 0.01, 0.025, 0.1, 0.25, 1, 2.5, 10 };
    struct mw_meter_wish w = { .kind = row->kind, .name = row->name, .help = row->help, .labels = { row->first, row->second } };
    mw_meter *m;

    w.label_count = (unsigned)((row->first != NULL) + (row->second != NULL));
    if (row->kind == MW_HISTOGRAM) {
        w.bound_count = sizeof seconds / sizeof *seconds;
        memcpy(w.bounds, seconds, sizeof seconds);
    }
    return mw_meters_add(all, &w, &m, err);
}

int mw_metrics_own_open(mw_host *h, mw_meters *all, struct mw_err *err) {
    static const struct { enum mw_time time; enum own own; const char *kind; } times[] = {
        { MW_TIME_LAG, LAG, NULL }, { MW_TIME_SPAWN, SPAWNS, NULL }, { MW_TIME_CALL_PROCESS, CALLS, "process" },
        { MW_TIME_CALL_THREAD, CALLS, "thread" }, { MW_TIME_CALL_WORKER, CALLS, "worker" }, { MW_TIME_CALL_RPC, CALLS, "rpc" },
        { MW_TIME_WAIT_PROCESS, WAITS, "process" }, { MW_TIME_WAIT_THREAD, WAITS, "thread" },
    };
    struct mw_series *made[MW_TIMES] = { NULL };
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < ROWS; i++) rc = add(all, &rows[i], err);
    for (unsigned i = 0; rc == 0 && i < MW_TIMES; i++) {
        made[times[i].time] = series(all, times[i].own, times[i].kind, NULL);
        if (made[times[i].time] == NULL) rc = mw_err_set(err, MW_ENOMEM, "metrics", NULL, NULL);
    }
    if (rc == 0) memcpy(mw_host_measures(h)->times, made, sizeof made);
    return rc;
}

void mw_metrics_own_close(mw_host *h) {
    memset(mw_host_measures(h)->times, 0, sizeof mw_host_measures(h)->times);
}

static void collect_messages(lua_State *L, mw_meters *all, const struct mw_measures *m) {
    const struct mw_list *channels = &mw_host_head(L)->channels;
    uint64_t in = m->frames_in, out = m->frames_out;

    for (const struct mw_list *at = channels->next; at != channels; at = at->next) {
        const struct mw_channel *ch = MW_LIST_ENTRY(at, struct mw_channel, link);
        in += ch->stats.received;
        out += ch->stats.sent;
    }
    set(all, MESSAGES, "in", NULL, in);
    set(all, MESSAGES, "out", NULL, out);
}

static void collect_errors(mw_meters *all, const struct mw_measures *m) {
    for (unsigned i = 0; i < MW_MEASURES_CODES; i++)
        if (m->errors[i] > 0) set(all, ERRORS, i == 0 ? "other" : mw_err_name(mw_measures_code(i)), NULL, m->errors[i]);
}

static void collect_pools(mw_host *h, mw_meters *all) {
    struct mw_pool_census now[2];

    mw_pool_census(h, now);
    for (int i = 0; i < 2; i++) {
        set(all, POOL_WORKERS, kinds[i], "idle", now[i].idle);
        set(all, POOL_WORKERS, kinds[i], "busy", now[i].busy);
        set(all, POOL_WORKERS, kinds[i], "starting", now[i].starting);
        set(all, POOL_QUEUE, kinds[i], NULL, now[i].queued);
        set(all, POOL_TASKS, kinds[i], "completed", now[i].completed);
        set(all, POOL_TASKS, kinds[i], "failed", now[i].failed);
        set(all, POOL_TASKS, kinds[i], "crashed", now[i].crashed);
        set(all, POOL_RESTARTS, kinds[i], NULL, now[i].restarted);
    }
}

void mw_metrics_own_collect(lua_State *L, mw_meters *all) {
    mw_host *h = mw_host_of(L);
    const struct mw_measures *m = mw_host_measures(h);
    struct mw_stream_stats streams;
    struct mw_host_census now;
    size_t limit, used = mw_host_memory(h, &limit);

    mw_host_census(h, &now);
    collect_errors(all, m);
    set(all, STREAMS_OPEN, NULL, NULL, mw_stream_totals(h, &streams));
    set(all, STREAMS, NULL, NULL, m->streams);
    set(all, BYTES, "in", NULL, streams.bytes_in);
    set(all, BYTES, "out", NULL, streams.bytes_out);
    collect_messages(L, all, m);
    set(all, CONNECTIONS, NULL, NULL, m->accepted);
    set(all, CHILDREN, NULL, NULL, m->children);
    set(all, CHILDREN_NOW, NULL, NULL, m->children - m->children_ended);
    set(all, WORKERS, NULL, NULL, m->workers);
    set(all, WORKERS_NOW, NULL, NULL, mw_worker_count(h));
    set(all, TASKS, NULL, NULL, now.tasks);
    set(all, HANDLES, NULL, NULL, now.handles);
    set(all, TIMERS, NULL, NULL, now.timers);
    set(all, MEMORY, NULL, NULL, used);
    set(all, MEMORY_LIMIT, NULL, NULL, limit);
    set(all, BUFFERED, NULL, NULL, now.buffered);
    set(all, CYCLES, NULL, NULL, m->cycles);
    collect_pools(h, all);
}
