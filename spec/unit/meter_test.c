/* Meters: quantiles beside exact sorting, series beside their bound, text beside the format.
 * Knows: observe. Never: a clock. */
#include <float.h>
#include <locale.h>
#include <math.h>

#include "observe/meter.h"
#include "support/check.h"

/* ---- Quantiles -------------------------------------------------------------------------------------------------------------- */

static uint64_t state = 88172645463325252u;
static double uniform(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.0;
}
static double linear(void) {
    return uniform() * 1000;
}
static double exponential(void) {
    return -log(1 - uniform()) * 1e-4;
}
static double normal(void) {
    return exp(sqrt(-2 * log(1 - uniform())) * cos(6.283185307179586 * uniform()) * 2 - 7); /* its logarithm is */
}
static double two_humps(void) {
    return uniform() < 0.97 ? 1e-5 + uniform() * 1e-6 : 1 + uniform();
}
static double heavy(void) {
    return pow(1 - uniform(), -1.2);
}
static double whole(void) {
    return floor(uniform() * 5000);
}
static double same_one(void) {
    return 0.123456789;
}
static double wide(void) {
    return ldexp(uniform(), (int)(uniform() * 114) - 50);
}
static double (*const kinds[])(void) = { linear, exponential, normal, two_humps, heavy, whole, same_one, wide };
enum { KINDS = sizeof kinds / sizeof *kinds, MANY = 20000 };

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double at_rank(const double *sorted, size_t n, double part) {
    double rank = ceil(part * (double)n);
    return sorted[rank < 1 ? 0 : rank > (double)n ? n - 1 : (size_t)rank - 1];
}

static void compare(const struct mw_histogram *h, double *values, size_t n, int kind) {
    static const double parts[] = { 0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 1 };
    long double sum = 0;

    qsort(values, n, sizeof *values, by_size);
    for (size_t i = 0; i < n; i++) sum += values[i];
    CHECK(h->count == n);
    CHECK(h->min == values[0] && h->max == values[n - 1]);
    CHECK(fabsl(sum - mw_histogram_sum(h)) <= sum * 1e-15L);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        double exact = at_rank(values, n, parts[i]), got = mw_histogram_quantile(h, parts[i]);
        if (fabs(got - exact) > exact / 128 + 0x1p-34) check_fail(__FILE__, __LINE__, "kind %d, %g of %zu: %.17g instead of %.17g", kind, parts[i], n, got, exact);
    }
}

TEST(quantiles_are_within_a_128th_of_those_of_a_sorted_list) {
    static double values[MANY];

    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t n = 1; n <= MANY; n = n < 10 ? n + 1 : n * 3) {
            struct mw_histogram h = { 0 };
            for (size_t i = 0; i < n; i++) {
                values[i] = kinds[kind]();
                REQUIRE(mw_histogram_record(&h, &mw_meter_malloc, values[i]) == 0);
            }
            compare(&h, values, n, kind);
            mw_histogram_free(&h, &mw_meter_malloc);
        }
    }
}

TEST(a_merged_histogram_is_that_of_all_values) {
    static double values[MANY];
    struct mw_histogram all = { 0 }, part[4] = { { 0 } };

    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t i = 0; i < MANY; i++) {
            values[i] = kinds[kind]();
            REQUIRE(mw_histogram_record(&part[i % 3], &mw_meter_malloc, values[i]) == 0);
        }
        for (int i = 0; i < 4; i++) REQUIRE(mw_histogram_merge(&all, &mw_meter_malloc, &part[i]) == 0); /* the last is empty */
        compare(&all, values, MANY, kind);
        for (int i = 0; i < 4; i++) mw_histogram_free(&part[i], &mw_meter_malloc);
        mw_histogram_free(&all, &mw_meter_malloc);
    }
}

TEST(quantiles_never_fall_as_their_part_grows) {
    for (int kind = 0; kind < KINDS; kind++) {
        struct mw_histogram h = { 0 };
        double last = 0;
        for (int i = 0; i < 3000; i++) mw_histogram_record(&h, &mw_meter_malloc, kinds[kind]());
        for (double part = 0; part <= 1; part += 1.0 / 512) {
            double now = mw_histogram_quantile(&h, part);
            if (now < last) check_fail(__FILE__, __LINE__, "kind %d: %g of %g after %g", kind, now, part, last);
            last = now;
        }
        mw_histogram_free(&h, &mw_meter_malloc);
    }
}

TEST(values_that_are_none_are_refused_and_change_nothing) {
    static const double bad[] = { -1, -DBL_MIN, NAN, INFINITY, -INFINITY };
    struct mw_histogram h = { 0 };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(mw_histogram_record(&h, &mw_meter_malloc, bad[i]) == MW_EINVAL);
    CHECK(h.count == 0 && mw_histogram_sum(&h) == 0 && mw_histogram_quantile(&h, 0.5) == 0);
}

static size_t held;
static int refuse_at;
static void *counting(void *ud, void *ptr, size_t was, size_t now) {
    (void)ud;
    if (now > 0 && refuse_at > 0 && --refuse_at == 0) return NULL;
    held += now - was;
    if (now > 0) return realloc(ptr, now);
    free(ptr);
    return NULL;
}
static const struct mw_meter_memory counted = { counting, NULL };

TEST(the_least_and_the_greatest_of_doubles_are_taken_within_bounded_memory) {
    static const double odd[] = { 0, -0.0, DBL_TRUE_MIN, DBL_MIN, 0x1p-35, 0x1p-34, 0x1p63, 0x1.fffffp63, 0x1p64, 1e300, DBL_MAX };
    struct mw_histogram h = { 0 };

    held = 0;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) CHECK(mw_histogram_record(&h, &counted, odd[i]) == 0);
    for (int e = -80; e < 100; e++)
        for (int i = 0; i < 64; i++) CHECK(mw_histogram_record(&h, &counted, ldexp(1 + i / 64.0, e)) == 0);
    CHECK(held + sizeof h <= MW_HISTOGRAM_MOST);
    CHECK(h.min == 0 && !signbit(h.min) && h.max == DBL_MAX);
    CHECK(mw_histogram_record(&h, &counted, DBL_MAX) == 0);
    CHECK(isinf(mw_histogram_sum(&h)));
    CHECK(mw_histogram_quantile(&h, 1) == DBL_MAX);
    mw_histogram_free(&h, &counted);
    CHECK(held == 0);
}

TEST(a_million_values_leave_the_sum_exact) {
    struct mw_histogram h = { 0 };

    for (int i = 0; i < 1000000; i++) mw_histogram_record(&h, &mw_meter_malloc, 0.1);
    CHECK(fabs(mw_histogram_sum(&h) - 100000) < 1e-10);
    CHECK(h.count == 1000000 && h.min == 0.1 && h.max == 0.1 && mw_histogram_quantile(&h, 0.5) == 0.1);
    mw_histogram_free(&h, &mw_meter_malloc);
}

/* ---- Meters ----------------------------------------------------------------------------------------------------------------- */

static struct mw_view view(const char *text) {
    return (struct mw_view){ text, strlen(text) };
}
static mw_meter *counter(mw_meters *all, const char *name, unsigned max) {
    struct mw_meter_wish w = { .kind = MW_COUNTER, .name = name, .labels = { "op" }, .label_count = 1, .max_series = max };
    mw_meter *m = NULL;
    struct mw_err err;

    if (mw_meters_add(all, &w, &m, &err) < 0) printf("# %s\n", err.message);
    return m;
}
static int text_is(const mw_meter *m, const char *want) {
    struct mw_bytes out = { 0 };
    int same = mw_meter_text(m, 0, &out) == 0 && mw_bytes_len(&out) == strlen(want) && memcmp(mw_bytes_at(&out), want, strlen(want)) == 0;

    if (!same) printf("# %.*s\n", (int)mw_bytes_len(&out), out.base != NULL ? mw_bytes_at(&out) : "");
    mw_bytes_free(&out);
    return same;
}

TEST(series_beyond_the_bound_share_one) {
    mw_meters *all = mw_meters_new(&mw_meter_malloc, 1);
    mw_meter *m = counter(all, "x_total", 100);

    for (int i = 0; i < 1000; i++) {
        char name[16];
        struct mw_view v;
        snprintf(name, sizeof name, "%d", i % 500);
        v = view(name);
        mw_series_add(mw_meter_series(m, &v), 1);
    }
    CHECK(mw_meter_series_count(m) == 101);
    CHECK(mw_meter_overflowed(m) == 800);
    CHECK(mw_meter_series_at(m, 0)->value == 2 && mw_meter_series_at(m, 99)->value == 2 && mw_meter_series_at(m, 100)->value == 800);
    CHECK(mw_meter_peek(m, &(struct mw_view){ "499", 3 }) == NULL);
    mw_meters_free(all);
}

TEST(a_script_may_name_the_series_of_all_others_itself) {
    mw_meters *all = mw_meters_new(&mw_meter_malloc, 1);
    mw_meter *m = counter(all, "x_total", 2);
    struct mw_view a = view(MW_METER_OTHER), b = view("b"), c = view("c");

    mw_series_add(mw_meter_series(m, &a), 1);
    mw_series_add(mw_meter_series(m, &b), 1);
    mw_series_add(mw_meter_series(m, &c), 1);
    CHECK(text_is(m, "# TYPE x_total counter\nx_total{op=\"(other)\"} 2\nx_total{op=\"b\"} 1\n"));
    mw_meters_free(all);
}

TEST(values_that_are_cut_or_mended_to_the_same_text_are_one_series) {
    mw_meters *all = mw_meters_new(&mw_meter_malloc, 1);
    mw_meter *m = counter(all, "x_total", 0);
    struct mw_view bad = { "\xff\xc0\x80z", 4 }, worse = { "\xfe\xf5\xedz", 4 }, nul = { "\0", 1 };
    char big[1000];

    CHECK(mw_meter_series(m, &bad) == mw_meter_series(m, &worse));
    CHECK(mw_meter_series(m, &nul) != mw_meter_series(m, &bad));
    memset(big, 'a', sizeof big);
    CHECK(mw_meter_series(m, &(struct mw_view){ big, 256 }) == mw_meter_series(m, &(struct mw_view){ big, 1000 }));
    CHECK(mw_meter_series(m, &(struct mw_view){ big, 256 }) != mw_meter_series(m, &(struct mw_view){ big, 255 }));
    memcpy(big + 254, "\xe2\x82\xac", 3); /* does not fit whole */
    CHECK(mw_meter_series(m, &(struct mw_view){ big, 1000 }) == mw_meter_series(m, &(struct mw_view){ big, 254 }));
    mw_meters_free(all);
}

TEST(labels_do_not_run_into_each_other) {
    mw_meters *all = mw_meters_new(&mw_meter_malloc, 1);
    struct mw_meter_wish w = { .kind = MW_COUNTER, .name = "x_total", .labels = { "a", "b" }, .label_count = 2 };
    struct mw_view one[] = { view("ab"), view("c") }, other[] = { view("a"), view("bc") };
    struct mw_err err;
    mw_meter *m;

    REQUIRE(mw_meters_add(all, &w, &m, &err) == 0);
    CHECK(mw_meter_series(m, one) != mw_meter_series(m, other));
    mw_meters_free(all);
}

TEST(text_is_escaped_and_numbers_are_as_short_as_they_can_be) {
    mw_meters *all = mw_meters_new(&mw_meter_malloc, 1);
    struct mw_meter_wish w = { .kind = MW_GAUGE, .name = "g", .help = "one\ntwo \\ \"three\"", .labels = { "v" }, .label_count = 1 };
    struct mw_view v = view("a\"b\\c\nd");
    struct mw_err err;
    mw_meter *m;

    REQUIRE(mw_meters_add(all, &w, &m, &err) == 0);
    mw_series_set(mw_meter_series(m, &v), -0.1);
    CHECK(text_is(m, "# HELP g one\\ntwo \\\\ \"three\"\n# TYPE g gauge\ng{v=\"a\\\"b\\\\c\\nd\"} -0.1\n"));
    mw_meters_free(all);
}

TEST(a_histogram_is_told_by_its_buckets_and_without_any_by_quantiles) {
    mw_meters *all = mw_meters_new(&mw_meter_malloc, 1);
    struct mw_meter_wish w = { .kind = MW_HISTOGRAM, .name = "h", .bounds = { 1, 2.5 }, .bound_count = 2 }, s = { .kind = MW_HISTOGRAM, .name = "s" };
    struct mw_err err;
    mw_meter *m;

    REQUIRE(mw_meters_add(all, &w, &m, &err) == 0);
    for (int i = 1; i <= 4; i++) mw_series_observe(mw_meter_series(m, NULL), i);
    CHECK(text_is(m, "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2.5\"} 2\nh_bucket{le=\"+Inf\"} 4\nh_sum 10\nh_count 4\n"));
    REQUIRE(mw_meters_add(all, &s, &m, &err) == 0);
    mw_meter_series(m, NULL);
    CHECK(text_is(m, "# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns{quantile=\"0.9\"} NaN\ns{quantile=\"0.99\"} NaN\ns_sum 0\ns_count 0\n"));
    mw_meters_free(all);
}

TEST(numbers_are_read_back_as_they_were_whatever_the_locale) {
    static const double odd[] = { 0, -0.0, 1, -1, 0.1, 1.0 / 3, 1e15, 999999999999999.0, 1e22, 1e-5, 5e-324, DBL_MAX, 123456789.125, 0x1p53 };
    char text[32];

    setlocale(LC_ALL, "de_DE.UTF-8"); /* where there is one */
    for (int i = 0; i < 20000; i++) {
        double v = i < (int)(sizeof odd / sizeof *odd) ? odd[i] : wide(), back;
        int n = mw_meter_number(text, v);
        CHECK(n == (int)strlen(text) && n < 32 && strchr(text, ',') == NULL);
        setlocale(LC_NUMERIC, "C");
        back = strtod(text, NULL);
        setlocale(LC_NUMERIC, "de_DE.UTF-8");
        if (back != v) check_fail(__FILE__, __LINE__, "%.17g became %s", v, text);
    }
    setlocale(LC_ALL, "C");
    CHECK(strcmp((mw_meter_number(text, NAN), text), "NaN") == 0);
    CHECK(strcmp((mw_meter_number(text, INFINITY), text), "+Inf") == 0);
    CHECK(strcmp((mw_meter_number(text, -INFINITY), text), "-Inf") == 0);
}

static int adds(mw_meters *all, struct mw_meter_wish w) {
    struct mw_err err;
    mw_meter *m;
    int rc = mw_meters_add(all, &w, &m, &err);

    CHECK(rc == 0 || err.code == rc);
    return rc;
}

TEST(what_prometheus_would_not_read_is_refused) {
    static const char *const names[] = { "", "9x", "a-b", "a b", "a.b", "\xc3\xa4", "a{b}" };
    static const char *const labels[] = { "", "9", "a-b", "a:b", "__x", "a\nb" };
    mw_meters *all = mw_meters_new(&mw_meter_malloc, 1);
    char long_name[200];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) CHECK(adds(all, (struct mw_meter_wish){ .name = names[i] }) == MW_EINVAL);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        CHECK(adds(all, (struct mw_meter_wish){ .name = "x", .labels = { labels[i] }, .label_count = 1 }) == MW_EINVAL);
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[199] = 0;
    CHECK(adds(all, (struct mw_meter_wish){ .name = long_name }) == MW_EINVAL);
    CHECK(adds(all, (struct mw_meter_wish){ .name = "x", .help = "\xff" }) == MW_EINVAL);
    CHECK(adds(all, (struct mw_meter_wish){ .name = "x", .labels = { "a", "a" }, .label_count = 2 }) == MW_EINVAL);
    CHECK(adds(all, (struct mw_meter_wish){ .kind = MW_HISTOGRAM, .name = "x", .labels = { "le" }, .label_count = 1, .bounds = { 1 }, .bound_count = 1 }) == MW_EINVAL);
    CHECK(adds(all, (struct mw_meter_wish){ .kind = MW_HISTOGRAM, .name = "x", .labels = { "quantile" }, .label_count = 1 }) == MW_EINVAL);
    CHECK(adds(all, (struct mw_meter_wish){ .kind = MW_HISTOGRAM, .name = "x", .bounds = { 1, 1 }, .bound_count = 2 }) == MW_EINVAL);
    CHECK(adds(all, (struct mw_meter_wish){ .kind = MW_HISTOGRAM, .name = "x", .bounds = { 1, NAN }, .bound_count = 2 }) == MW_EINVAL);
    CHECK(adds(all, (struct mw_meter_wish){ .kind = MW_HISTOGRAM, .name = "x", .bounds = { INFINITY }, .bound_count = 1 }) == MW_EINVAL);
    CHECK(mw_meters_count(all) == 0);
    CHECK(adds(all, (struct mw_meter_wish){ .kind = MW_HISTOGRAM, .name = "x" }) == 0);
    CHECK(adds(all, (struct mw_meter_wish){ .name = "x_count" }) == MW_EINVAL);
    CHECK(adds(all, (struct mw_meter_wish){ .name = "y_sum" }) == 0);
    CHECK(adds(all, (struct mw_meter_wish){ .kind = MW_HISTOGRAM, .name = "y" }) == MW_EINVAL);
    CHECK(adds(all, (struct mw_meter_wish){ .name = "x" }) == MW_EINVAL);
    CHECK(adds(all, (struct mw_meter_wish){ .kind = MW_HISTOGRAM, .name = "x", .help = "other" }) == MW_EINVAL);
    mw_meters_free(all);
}

TEST(there_are_a_thousand_names_and_no_more) {
    mw_meters *all = mw_meters_new(&mw_meter_malloc, 1);
    char name[16];

    for (unsigned i = 0; i < MW_METERS_MAX; i++) {
        snprintf(name, sizeof name, "m%u", i);
        REQUIRE(adds(all, (struct mw_meter_wish){ .name = name }) == 0);
    }
    CHECK(adds(all, (struct mw_meter_wish){ .name = "one_more" }) == MW_ELIMIT);
    CHECK(adds(all, (struct mw_meter_wish){ .name = "m7" }) == 0);
    mw_meters_free(all);
}

TEST(memory_that_is_refused_is_told_and_none_is_lost) {
    for (int nth = 1; nth < 200; nth++) {
        struct mw_meter_wish w = { .kind = MW_HISTOGRAM, .name = "h", .labels = { "op" }, .label_count = 1, .bounds = { 1 }, .bound_count = 1 };
        struct mw_err err;
        mw_meters *all;
        mw_meter *m;
        held = 0;
        refuse_at = nth;
        all = mw_meters_new(&counted, 7);
        if (all != NULL && mw_meters_add(all, &w, &m, &err) == 0) {
            for (int i = 0; i < 40; i++) {
                char name[8];
                struct mw_view v;
                struct mw_series *s;
                snprintf(name, sizeof name, "%d", i);
                v = view(name);
                s = mw_meter_series(m, &v);
                if (s != NULL) mw_series_observe(s, i);
            }
            CHECK(mw_meter_series_count(m) >= 39);
        }
        mw_meters_free(all);
        CHECK(held == 0);
    }
    refuse_at = 0;
}
