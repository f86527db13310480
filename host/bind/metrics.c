/* The door of metrics: counters, gauges and histograms of one host, and their text.
 * Knows: bind/arg, observe/meter, io/sys, lua.h. Never: a socket: lua/moonwire/metrics.lua serves the text.
 *
 * All meters of a host live in one box, which the registry of its Lua state holds; their memory is Lua's and counts as such. An
 * object of a script points at the box and at its meter, or at one series of it, and both stay until the state ends. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "bind/arg.h"
#include "bind/doors.h"
#include "bind/metrics.h"
#include "io/sys.h"

#define HOME "mw.metrics"
#define MERGED "mw.metrics.merged"
enum { TEXT_KEPT = 64 << 10 };  /* bytes of the text's memory that stay between two scrapes */
static const char *const types[] = { "mw.counter", "mw.gauge", "mw.histogram" };
static const char *const nouns[] = { "counter", "gauge", "histogram" };
static const char home_key;     /* registry */

/* User value 2: { name = the metric's object }. */
struct home {
    mw_meters *all;             /* NULL: the state ends */
    struct mw_bytes text;
    int shown;                  /* the host measures times for it */
};

/* User value 2: the home. */
struct metric {
    struct home *home;
    mw_meter *m;
    struct mw_series *s;        /* NULL: labels say which */
};

static struct home *push_home(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &home_key);
    return lua_touserdata(L, -1);
}

static int raise_code(lua_State *L, const char *name, int code) {
    struct mw_err err;

    mw_err_set(&err, code, "metrics", name, NULL);
    return mw_raise(L, &err);
}

/* ---- Making ----------------------------------------------------------------------------------------------------------------- */

/* By the ending of the name, as the conventions have it: seconds from 10 us, bytes from 64. */
static void default_bounds(struct mw_meter_wish *w) {
    static const double seconds[] = { 1e-5, 2.5e-5, 1e-4, 2.5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 };
    static const double bytes[] = { 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216 };
    size_t n = strlen(w->name);
    int is_bytes = n >= 6 && strcmp(w->name + n - 6, "_bytes") == 0;

    w->bound_count = is_bytes ? sizeof bytes / sizeof *bytes : sizeof seconds / sizeof *seconds;
    memcpy(w->bounds, is_bytes ? bytes : seconds, w->bound_count * sizeof *bytes);
}

/* Option buckets: a list; false: none, a summary. */
static void read_bounds(lua_State *L, int idx, const char *op, struct mw_meter_wish *w) {
    int type = mw_opt_get(L, idx, "buckets");                           /* [... buckets] */
    size_t n;

    if (type == LUA_TNIL) default_bounds(w);
    if (type != LUA_TNIL && type != LUA_TTABLE && (type != LUA_TBOOLEAN || lua_toboolean(L, -1)))
        mw_raise_inval(L, op, "option \"buckets\" must be a list of numbers, or false for a summary, got %s", luaL_typename(L, -1));
    n = type == LUA_TTABLE ? lua_rawlen(L, -1) : 0;
    if (type == LUA_TTABLE && (n == 0 || n > MW_METER_BOUNDS))
        mw_raise_inval(L, op, "option \"buckets\" has %d numbers: 1 to %d are allowed", (int)n, (int)MW_METER_BOUNDS);
    for (size_t i = 0; i < n; i++) {
        if (lua_rawgeti(L, -1, (lua_Integer)i + 1) != LUA_TNUMBER)
            mw_raise_inval(L, op, "option \"buckets\" holds a %s where a number is expected", luaL_typename(L, -1));
        w->bounds[i] = lua_tonumber(L, -1);
        lua_pop(L, 1);
    }
    if (type == LUA_TTABLE) w->bound_count = (unsigned)n;
    lua_pop(L, 1);                                                      /* [...] */
}

/* Option labels: a list of names, which stay on the stack.                                                  [-0, +n, e] */
static void read_label_names(lua_State *L, int idx, const char *op, struct mw_meter_wish *w) {
    int type = mw_opt_get(L, idx, "labels");                            /* [... labels] */
    size_t n = type == LUA_TTABLE ? lua_rawlen(L, -1) : 0;

    if (type != LUA_TNIL && type != LUA_TTABLE)
        mw_raise_inval(L, op, "option \"labels\" must be a list of names, got %s", luaL_typename(L, -1));
    if (type == LUA_TTABLE && n == 0 && (lua_pushnil(L), lua_next(L, -2) != 0))
        mw_raise_inval(L, op, "option \"labels\" is a list of names, { \"op\" }; values are given when something is counted");
    if (n > MW_METER_LABELS) mw_raise_inval(L, op, "a metric has at most %d labels", (int)MW_METER_LABELS);
    luaL_checkstack(L, MW_METER_LABELS + 8, op);
    for (int i = 0, at = lua_gettop(L); i < (int)n; i++) {
        lua_rawgeti(L, at, i + 1);                                      /* [... labels name...] */
        w->labels[i] = mw_param_text(L, -1, op, "a label's name", MW_METER_NAME, NULL);
    }
    w->label_count = (unsigned)n;
}

/* [... ]: a metric's object, empty.                                                                        [-0, +1, m] */
static struct metric *push_metric(lua_State *L, enum mw_meter_kind kind) {
    struct metric *it = mw_box_new(L, sizeof *it, types[kind]);

    it->home = push_home(L);
    lua_setiuservalue(L, -2, 2);
    return it;
}

/* The options at 2 become a table of our own: no finalizer of the script's can change them under us.        [-0, +0, e] */
static void own_options(lua_State *L) {
    if (lua_type(L, 2) != LUA_TTABLE) return;
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, 2) != 0;) {                        /* [... own key value] */
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
    lua_replace(L, 2);
}

/* [name options? ...] -> metric                                                                            [-0, +1, e] */
static int make(lua_State *L, enum mw_meter_kind kind) {
    static const char *const known[] = { "help", "labels", "max_series", "buckets", NULL }, *const plain[] = { "help", "labels", "max_series", NULL };
    struct mw_meter_wish w = { .kind = kind };
    struct metric *it;
    struct home *home;
    struct mw_err err;
    const char *op;
    int rc;

    lua_settop(L, 2);
    op = lua_pushfstring(L, "metrics.%s", nouns[kind]);                 /* [name options op] */
    own_options(L);
    w.name = mw_param_text(L, 1, op, "the name", MW_METER_NAME, NULL);
    if (strncmp(w.name, "moonwire_", 9) == 0) return mw_raise_inval(L, op, "names that begin with moonwire_ are the host's own");
    mw_opt_open(L, 2, op, kind == MW_HISTOGRAM ? known : plain, 0);
    w.help = mw_opt_text(L, 2, op, "help", MW_METER_HELP, NULL);
    w.max_series = (unsigned)mw_opt_integer(L, 2, op, "max_series", 1, MW_METER_SERIES_MAX, MW_METER_SERIES);
    if (kind == MW_HISTOGRAM) read_bounds(L, 2, op, &w);
    read_label_names(L, 2, op, &w);                                     /* [... op labels names...] */
    home = push_home(L);                                                /* [... home] */
    if (home->all == NULL) return raise_code(L, w.name, MW_ECLOSED);
    it = push_metric(L, kind);                                          /* [... home metric] */
    rc = mw_meters_add(home->all, &w, &it->m, &err);
    if (rc == MW_ENOMEM) {
        lua_gc(L, LUA_GCCOLLECT);
        rc = mw_meters_add(home->all, &w, &it->m, &err);
    }
    if (rc < 0) return mw_raise(L, &err);
    lua_getiuservalue(L, -2, 2);                                        /* [... home metric names] */
    lua_pushvalue(L, 1);
    if (lua_rawget(L, -2) != LUA_TNIL) return 1;                        /* [... it] */
    lua_pop(L, 1);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    if (w.label_count == 0 && mw_meter_series(it->m, NULL) == NULL) return raise_code(L, w.name, MW_ENOMEM); /* 0 is a value too */
    lua_pop(L, 1);
    return 1;
}

static int metrics_counter(lua_State *L) { /* metrics.counter(name, options) -> counter                    [-0, +1, e] */
    return make(L, MW_COUNTER);
}
static int metrics_gauge(lua_State *L) { /* metrics.gauge(name, options) -> gauge                          [-0, +1, e] */
    return make(L, MW_GAUGE);
}
static int metrics_histogram(lua_State *L) { /* metrics.histogram(name, options) -> histogram              [-0, +1, e] */
    return make(L, MW_HISTOGRAM);
}

/* ---- Series ----------------------------------------------------------------------------------------------------------------- */

static const char *name_of(const struct metric *it) {
    return mw_meter_wish(it->m)->name;
}

static struct metric *self(lua_State *L, enum mw_meter_kind kind) {
    struct metric *it = mw_box_self(L, types[kind]);

    if (it->m == NULL || it->home->all == NULL) raise_code(L, nouns[kind], MW_ECLOSED);
    return it;
}

/* The values of the labels at idx, in their order: strings, numbers and booleans, left on the stack.        [-0, +n, e] */
static void read_labels(lua_State *L, int idx, const struct metric *it, struct mw_view *values) {
    const struct mw_meter_wish *w = mw_meter_wish(it->m);
    const char *known[MW_METER_LABELS + 1];

    memcpy(known, w->labels, w->label_count * sizeof *known);
    known[w->label_count] = NULL;
    if (!lua_isnoneornil(L, idx)) {
        if (it->s != NULL) mw_raise_inval(L, w->name, "its labels are given already");
        if (w->label_count == 0) mw_raise_inval(L, w->name, "it was made without labels");
        mw_opt_open_as(L, idx, w->name, "label", known, 0);
    }
    luaL_checkstack(L, MW_METER_LABELS + 4, w->name);
    for (unsigned i = 0; it->s == NULL && i < w->label_count; i++) {
        int type = mw_opt_get(L, idx, known[i]);
        if (type == LUA_TBOOLEAN) {
            lua_pushstring(L, lua_toboolean(L, -1) ? "true" : "false");
            lua_replace(L, -2);
        } else if (type == LUA_TNIL) {
            mw_raise_inval(L, w->name, "the label \"%s\" is missing", known[i]);
        } else if (type != LUA_TSTRING && type != LUA_TNUMBER) {
            mw_raise_inval(L, w->name, "the label \"%s\" must be a string, got %s", known[i], luaL_typename(L, -1));
        }
        values[i].at = lua_tolstring(L, -1, &values[i].len);
    }
}

/* The series of the labels at idx, made if need be. */
static struct mw_series *series(lua_State *L, int idx, const struct metric *it) {
    struct mw_view values[MW_METER_LABELS];
    uint64_t overflowed = mw_meter_overflowed(it->m);
    struct mw_series *s;

    read_labels(L, idx, it, values);
    if (it->s != NULL) return it->s;
    s = mw_meter_series(it->m, values);
    if (s == NULL) {
        lua_gc(L, LUA_GCCOLLECT);
        s = it->home->all != NULL ? mw_meter_series(it->m, values) : NULL;
    }
    if (s == NULL) raise_code(L, name_of(it), MW_ENOMEM);
    if (overflowed == 0 && mw_meter_overflowed(it->m) > 0)
        mw_host_log(mw_host_of(L), MW_LOG_WARN, "metrics: %s has %u series (max_series); what is new is counted under \"%s\"", name_of(it),
                    mw_meter_wish(it->m)->max_series, MW_METER_OTHER);
    return s;
}

/* [metric labels] -> the same metric with its labels given                                                 [-0, +1, e] */
static int with(lua_State *L, enum mw_meter_kind kind) {
    struct metric *it = self(L, kind), *one;
    struct mw_series *s = series(L, 2, it);

    one = push_metric(L, kind);
    one->m = it->m;
    one->s = s;
    return 1;
}
static int counter_with(lua_State *L) {
    return with(L, MW_COUNTER);
}
static int gauge_with(lua_State *L) {
    return with(L, MW_GAUGE);
}
static int histogram_with(lua_State *L) {
    return with(L, MW_HISTOGRAM);
}

static double number(lua_State *L, int idx, const struct metric *it, double fallback) {
    if (lua_isnoneornil(L, idx) && !isnan(fallback)) return fallback;
    if (lua_type(L, idx) != LUA_TNUMBER) mw_raise_inval(L, name_of(it), "a number is expected, got %s", luaL_typename(L, idx));
    return lua_tonumber(L, idx);
}

/* counter:inc(n, labels) -> counter                                                                        [-0, +1, e] */
static int counter_inc(lua_State *L) {
    struct metric *it = self(L, MW_COUNTER);
    double n = number(L, 2, it, 1);

    if (!(n >= 0 && n <= DBL_MAX)) mw_raise_inval(L, name_of(it), "a counter takes finite numbers and never less than 0");
    mw_series_add(series(L, 3, it), n);
    lua_settop(L, 1);
    return 1;
}

/* gauge:inc(n, labels), gauge:dec(n, labels), gauge:set(n, labels) -> gauge                                [-0, +1, e] */
static int gauge_inc(lua_State *L) {
    struct metric *it = self(L, MW_GAUGE);
    double n = number(L, 2, it, 1);

    mw_series_add(series(L, 3, it), n);
    lua_settop(L, 1);
    return 1;
}
static int gauge_dec(lua_State *L) {
    struct metric *it = self(L, MW_GAUGE);
    double n = number(L, 2, it, 1);

    mw_series_add(series(L, 3, it), -n);
    lua_settop(L, 1);
    return 1;
}
static int gauge_set(lua_State *L) {
    struct metric *it = self(L, MW_GAUGE);
    double n = number(L, 2, it, NAN);

    mw_series_set(series(L, 3, it), n);
    lua_settop(L, 1);
    return 1;
}

/* A count comes back as it was given: an integer where it is one. */
static void push_number(lua_State *L, double v) {
    if (v == floor(v) && fabs(v) < 0x1p53) lua_pushinteger(L, (lua_Integer)v);
    else lua_pushnumber(L, v);
}

/* [metric labels?]: of those labels; without any of all series together. A series that nobody made is 0.   [-0, +1, e] */
static int value(lua_State *L, enum mw_meter_kind kind) {
    struct metric *it = self(L, kind);
    struct mw_view values[MW_METER_LABELS];
    struct mw_series *s = it->s;
    double sum = 0;

    if (s == NULL && lua_isnoneornil(L, 2)) {
        for (unsigned i = 0; i < mw_meter_series_count(it->m); i++) sum += mw_meter_series_at(it->m, i)->value;
    } else {
        read_labels(L, 2, it, values);
        if (s == NULL) s = mw_meter_peek(it->m, values);
        sum = s != NULL ? s->value : 0;
    }
    push_number(L, sum);
    return 1;
}
static int counter_value(lua_State *L) {
    return value(L, MW_COUNTER);
}
static int gauge_value(lua_State *L) {
    return value(L, MW_GAUGE);
}

/* histogram:observe(value, labels) -> histogram                                                            [-0, +1, e] */
static int histogram_observe(lua_State *L) {
    struct metric *it = self(L, MW_HISTOGRAM);
    double n = number(L, 2, it, NAN);
    struct mw_series *s;
    int rc;

    if (!(n >= 0 && n <= DBL_MAX)) mw_raise_inval(L, name_of(it), "a histogram takes finite numbers and never less than 0");
    s = series(L, 3, it);
    rc = mw_series_observe(s, n);
    if (rc == MW_ENOMEM) {
        lua_gc(L, LUA_GCCOLLECT);
        rc = it->home->all != NULL ? mw_series_observe(s, n) : MW_ECLOSED;
    }
    if (rc < 0) return raise_code(L, name_of(it), rc);
    lua_settop(L, 1);
    return 1;
}

/* Where series are put together, so that an error cannot lose the memory. */
struct merged {
    struct mw_meter_memory memory;
    struct mw_histogram histogram;
};
static int merged_gc(lua_State *L) {
    struct merged *it = lua_touserdata(L, 1);

    if (it->memory.alloc != NULL) mw_histogram_free(&it->histogram, &it->memory);
    return 0;
}

/* [metric arg labels?]: calls fn on the histogram of these labels, or of all series together; it pushes one value. [-0, +1, e] */
static int look(lua_State *L, struct metric *it, void (*fn)(lua_State *L, const struct mw_histogram *h, double arg), int labels, double arg) {
    static const struct mw_histogram nothing;
    struct mw_view values[MW_METER_LABELS];
    struct mw_series *s = it->s;
    struct merged *all;

    if (s == NULL && lua_isnoneornil(L, labels) && mw_meter_wish(it->m)->label_count > 0) {
        all = mw_box_new(L, sizeof *all, MERGED);                       /* [... all] */
        all->memory = *mw_meter_memory(it->m);
        if (mw_meter_merged(it->m, &all->histogram) < 0) raise_code(L, name_of(it), MW_ENOMEM);
        fn(L, &all->histogram, arg);                                    /* [... all value] */
        mw_histogram_free(&all->histogram, &all->memory);
        return 1;
    }
    read_labels(L, labels, it, values);
    if (s == NULL) s = mw_meter_peek(it->m, values);
    fn(L, s != NULL && s->histogram != NULL ? s->histogram : &nothing, arg);
    return 1;
}

static void set_number(lua_State *L, const char *field, double v) {
    lua_pushnumber(L, v);
    lua_setfield(L, -2, field);
}

static void push_summary(lua_State *L, const struct mw_histogram *h, double unused) {
    (void)unused;
    lua_createtable(L, 0, 8);
    lua_pushinteger(L, (lua_Integer)h->count);
    lua_setfield(L, -2, "count");
    set_number(L, "sum", mw_histogram_sum(h));
    if (h->count == 0) return;
    set_number(L, "mean", mw_histogram_sum(h) / (double)h->count);
    set_number(L, "min", h->min);
    set_number(L, "max", h->max);
    set_number(L, "p50", mw_histogram_quantile(h, 0.5));
    set_number(L, "p90", mw_histogram_quantile(h, 0.9));
    set_number(L, "p99", mw_histogram_quantile(h, 0.99));
}

/* histogram:summary(labels) -> { count, sum, mean, min, max, p50, p90, p99 }                               [-0, +1, e] */
static int histogram_summary(lua_State *L) {
    struct metric *it = self(L, MW_HISTOGRAM);

    lua_settop(L, 2);
    return look(L, it, push_summary, 2, 0);
}

static void push_quantile(lua_State *L, const struct mw_histogram *h, double part) {
    if (h->count == 0) lua_pushnil(L);
    else lua_pushnumber(L, mw_histogram_quantile(h, part));
}

/* histogram:quantile(part, labels) -> value | nil                                                          [-0, +1, e] */
static int histogram_quantile(lua_State *L) {
    struct metric *it = self(L, MW_HISTOGRAM);
    double part = number(L, 2, it, NAN);

    if (!(part >= 0 && part <= 1)) mw_raise_inval(L, name_of(it), "a quantile is a number from 0 to 1");
    lua_settop(L, 3);
    return look(L, it, push_quantile, 3, part);
}

static int metric_tostring(lua_State *L) { /* [-0, +1, m] */
    struct metric *it = lua_touserdata(L, 1);

    if (it == NULL || it->m == NULL || it->home->all == NULL) lua_pushliteral(L, "metric (gone)");
    else lua_pushfstring(L, "%s %s", nouns[mw_meter_wish(it->m)->kind], name_of(it));
    return 1;
}

/* ---- Text ------------------------------------------------------------------------------------------------------------------- */

/* metrics.collect(): the host's own metrics are brought up to date                                         [-0, +0, -] */
static int metrics_collect(lua_State *L) {
    struct home *home = push_home(L);

    if (home->all != NULL) mw_metrics_own_collect(L, home->all);
    return 0;
}

/* metrics.own(name) -> the host's own metric of that name                                                   [-0, +1, e] */
static int metrics_own(lua_State *L) {
    const char *name = mw_param_text(L, 1, "metrics.own", "the name", MW_METER_NAME, NULL);
    struct home *home = push_home(L);
    mw_meter *m = home->all != NULL ? mw_meters_find(home->all, name) : NULL;

    if (m == NULL) return raise_code(L, name, MW_ENOENT);
    push_metric(L, mw_meter_wish(m)->kind)->m = m;
    return 1;
}

/* metrics.text(i, from) -> a piece of the i-th metric's text, "" when it has no value yet; where the next piece begins, or nil.
 * nil: there is no such metric.                                                                            [-0, +0|2, e] */
static int metrics_text(lua_State *L) {
    lua_Integer i = mw_param_integer(L, 1, "metrics.text", "the number", 1, MW_METERS_MAX + 1);
    unsigned from = (unsigned)mw_param_integer(L, 2, "metrics.text", "the place", 0, 2 * MW_METER_SERIES_MAX);
    struct home *home = push_home(L);
    mw_meter *m = home->all != NULL ? mw_meters_at(home->all, (unsigned)i - 1) : NULL;
    int rc, more;

    if (m == NULL) return 0;
    home->text.head = home->text.tail = 0;
    rc = mw_meter_text(m, from, &home->text);
    if (rc < 0) return raise_code(L, "text", rc);
    more = from + MW_METER_PIECE < mw_meter_series_count(m);
    lua_pushlstring(L, mw_bytes_len(&home->text) > 0 ? mw_bytes_at(&home->text) : "", mw_bytes_len(&home->text));
    home->text.head = home->text.tail = 0;
    mw_bytes_shrink(&home->text, TEXT_KEPT);
    if (more) lua_pushinteger(L, (lua_Integer)(from + MW_METER_PIECE));
    else lua_pushnil(L);
    return 2;
}

static int home_gc(lua_State *L) {
    struct home *home = lua_touserdata(L, 1);
    mw_meters *all = home->all;

    home->all = NULL;
    if (home->shown) mw_metrics_own_close(mw_host_of(L));
    mw_meters_free(all);
    mw_bytes_free(&home->text);
    return 0;
}

static void open_types(lua_State *L) {
    static const luaL_Reg meta[] = { { "__tostring", metric_tostring }, { NULL, NULL } };
    static const luaL_Reg home[] = { { "__gc", home_gc }, { NULL, NULL } }, merged[] = { { "__gc", merged_gc }, { NULL, NULL } };
    static const luaL_Reg none[] = { { NULL, NULL } };
    static const luaL_Reg counter[] = { { "inc", counter_inc }, { "value", counter_value }, { "with", counter_with }, { NULL, NULL } };
    static const luaL_Reg gauge[] = { { "set", gauge_set }, { "inc", gauge_inc }, { "dec", gauge_dec }, { "value", gauge_value },
                                      { "with", gauge_with }, { NULL, NULL } };
    static const luaL_Reg histogram[] = { { "observe", histogram_observe }, { "summary", histogram_summary },
                                          { "quantile", histogram_quantile }, { "with", histogram_with }, { NULL, NULL } };

    mw_type_new(L, HOME, none, home);
    mw_type_new(L, MERGED, none, merged);
    mw_type_new(L, types[MW_COUNTER], counter, meta);
    mw_type_new(L, types[MW_GAUGE], gauge, meta);
    mw_type_new(L, types[MW_HISTOGRAM], histogram, meta);
}

/* core.metrics                                                                                             [-0, +1, e] */
int mw_door_metrics(lua_State *L) {
    static const luaL_Reg door[] = { { "counter", metrics_counter }, { "gauge", metrics_gauge }, { "histogram", metrics_histogram },
                                     { "collect", metrics_collect }, { "own", metrics_own }, { "text", metrics_text }, { NULL, NULL } };
    struct mw_meter_memory memory;
    struct home *home;
    struct mw_err err;
    uint64_t seed;

    open_types(L);
    home = mw_box_new(L, sizeof *home, HOME);                           /* [home] */
    lua_newtable(L);
    lua_setiuservalue(L, -2, 2);
    if (mw_sys_random(&seed, sizeof seed, &err) < 0) return mw_raise(L, &err);
    memory.alloc = lua_getallocf(L, &memory.ud);
    home->all = mw_meters_new(&memory, seed);
    if (home->all == NULL) return raise_code(L, "open", MW_ENOMEM);
    if (mw_metrics_own_open(mw_host_of(L), home->all, &err) < 0) return mw_raise(L, &err);
    home->shown = 1;
    lua_rawsetp(L, LUA_REGISTRYINDEX, &home_key);                       /* [] */
    luaL_newlib(L, door);                                               /* [door] */
    mw_type_methods(L, types[MW_HISTOGRAM]);
    lua_setfield(L, -2, "methods");
    return 1;
}
