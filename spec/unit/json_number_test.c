/* Floats and decimal text: against the C library in the C locale, and against themselves.
 * Knows: codec/json_number, codec/json_scan. Never: Lua. */
#include "support/check.h"

#include <inttypes.h>
#include <math.h>

#include "codec/json_number.h"
#include "codec/json_scan.h"

static uint64_t bits_of(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}
static double of_bits(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static uint64_t state = 88172645463325252u;
static uint64_t rnd(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void reads(const char *text) {
    double got = -1, want = strtod(text, NULL);
    int ok = mw_number_read(text, strlen(text), &got);

    if (ok != !isinf(want)) check_fail(__FILE__, __LINE__, "%.80s: %s", text, ok ? "accepted" : "refused");
    if (bits_of(got) != bits_of(want)) check_fail(__FILE__, __LINE__, "%.80s: %.17g and not %.17g", text, got, want);
}

/* As few digits as it takes: one fewer, rounded by the C library, is another number; and the nearest of those with as many. */
static void writes(double v) {
    char text[MW_NUMBER_MAX + 1], other[40], shortest[40];
    size_t len = mw_number_write(text, v), digits = 0, e = 0;
    double back, nearest;
    int p;

    REQUIRE(len < sizeof text);
    text[len] = 0;
    if (strpbrk(text, ".e") == NULL) check_fail(__FILE__, __LINE__, "%s: no float", text);
    if (!mw_number_read(text, len, &back) || bits_of(back) != bits_of(v)) check_fail(__FILE__, __LINE__, "%s for %.17g", text, v);
    if (bits_of(strtod(text, NULL)) != bits_of(v)) check_fail(__FILE__, __LINE__, "%s for %.17g", text, v);
    for (p = 0; p < 17; p++) {
        snprintf(other, sizeof other, "%.*e", p, v);
        if (bits_of(strtod(other, NULL)) == bits_of(v)) break;
    }
    memcpy(shortest, other, sizeof other);
    for (size_t i = 0; i < len && text[i] != 'e'; i++) digits += text[i] >= '0' && text[i] <= '9';
    for (size_t i = text[0] == '-'; text[i] == '0' || text[i] == '.'; i++) digits -= text[i] == '0'; /* leading ones */
    for (e = strcspn(text, "e"); e > 0 && (text[e - 1] == '0' || text[e - 1] == '.'); e--) digits -= text[e - 1] == '0' && digits > 1;
    if (v != 0 && digits > (size_t)p + 1) check_fail(__FILE__, __LINE__, "%s is longer than %s", text, shortest);
    nearest = strtod(shortest, NULL);
    if (bits_of(nearest) != bits_of(v)) check_fail(__FILE__, __LINE__, "%s", shortest);
}

TEST(numerals_read_as_the_nearest_double) {
    static const char *const texts[] = {
        "0.0", "-0.0", "0e5", "-0e999999999999999999999", "1e0", "1E5", "1e+5", "1e-5", "0.1", "123.456", "1e22", "1e23", "9007199254740993e0",
        "9007199254740992.999999999999999999999999", "9007199254740993.0", "9007199254740993.00000000000000000000000000000000000000001",
        "1.7976931348623157e308", "1.7976931348623158e308", "1.7976931348623159e308", "1.797693134862315708145274237317043567981e308",
        "179769313486231580793728971405301199147e270", "1e308", "1e309", "1e400", "-1e400", "123456789012345678901234567890e290",
        "2.2250738585072014e-308", "2.2250738585072011e-308", "2.2250738585072009e-308", "4.9e-324", "5e-324", "2.4703282292062327e-324",
        "2.4703282292062328e-324", "2.5e-324", "1e-324", "1e-400", "-1e-400", "7.2057594037927933e16", "8.5e22", "6.02214076e23",
        "0.000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001e100",
        "1000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000e-100", "1e99999999999999999999",
        "1e-99999999999999999999", "3.4028235677973366e38", "1.00000005960464477539062", "1.00000005960464477539063",
        "1.00000005960464477539062500000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001",
        "0.500000000000000166533453693773481063544750213623046875", "3.518437208883201171875e13", "62.5364939768271845828",
        "8.10109172351e-10", "1.50000000000000011102230246251565", "9223372036854775807.0", "9223372036854775808e0", "18446744073709551615e1",
        "2.225073858507201136057409796709131975934819546351645648023426109724822222021076945516529523908135087914149158913039621106870086438"
        "694594645527657207407820621743379988141063267329253552286881372149012981122451451889849057222307285255133155755015914397476397983411"
        "801999323962548289017107081850690630666655994938275772572015763062690663332647565300009245888316433037779791869612049497390377829704"
        "905051080609940730262937128958950003583799967207254304360284078895771796150945516748243471030702609144621572289880258182545180325707"
        "018860872113128079512233426288368622321503775666622503982534335974568884423900265498198385487948292206894721689831099698365846814022"
        "854243330660339850886445804001034933970427567186443383770486037861622771738545623065874679014086723327636718751234567890123456789012"
        "345678901e-308",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) reads(texts[i]);
}

TEST(long_numerals_read_exactly) {
    static char text[300000];
    double v;

    memset(text, '0', sizeof text);
    text[1] = '.';
    memcpy(text + 200000, "123e200000", 11);
    reads(text);
    memset(text, '9', sizeof text);
    text[0] = '1';
    memcpy(text + 200000, "e-200000", 9);
    reads(text);
    for (int i = 0; i < 2000; i++) { /* at and around the middle between two doubles, all digits of it, and something far behind */
        int n;
        v = of_bits(rnd() % (UINT64_C(0x7fe) << 52));
        n = snprintf(text, 2000, "%.1100f", (v + of_bits(bits_of(v) + 1)) / 2);
        reads(text);
        if (v < 1e-290) n = snprintf(text, 2000, "%.1080e", v / 2); /* no double: as far as it is one */
        reads(text);
        if (strchr(text, 'e') != NULL) continue;
        memset(text + n, '0', 1000);
        memcpy(text + n + 1000, "1", 2);
        reads(text);
    }
}

TEST(exact_midpoints_go_to_the_even_one) {
    char text[2000];

    for (int i = 0; i < 20000; i++) { /* (2m + 1) * 2^e in decimal, digit by digit, by long double: 64 bits hold it */
        int e = (int)(rnd() % 160) - 80;
        uint64_t m = (rnd() >> 11 | UINT64_C(1) << 52) * 2 + 1;
        snprintf(text, sizeof text, "%.120Lf", ldexpl((long double)m, e));
        reads(text);
        snprintf(text, sizeof text, "%.70Le", ldexpl((long double)m, e));
        reads(text);
    }
}

TEST(any_numeral_reads_as_the_c_library_has_it) {
    char text[100];

    for (int i = 0; i < 200000; i++) {
        int n = 0, digits = 1 + (int)(rnd() % 25), point = (int)(rnd() % 30);
        text[n++] = (char)('1' + rnd() % 9);
        for (int d = 1; d < digits; d++) {
            if (d == point) text[n++] = '.';
            text[n++] = (char)('0' + rnd() % 10);
        }
        snprintf(text + n, 20, "e%d", (int)(rnd() % 700) - 350);
        reads(text);
    }
}

/* In the middle of a longer text, and at its end. */
static void scans(const char *text, size_t len) {
    struct mw_scan_number n;
    struct mw_scan_fault f;
    double want = strtod(text, NULL);

    for (size_t behind = 0; behind < 2; behind++) {
        const char *to = mw_scan_number(text, text + len + behind, &n, &f);
        if (to != text + len || n.whole) check_fail(__FILE__, __LINE__, "%s: ends elsewhere, or is whole", text);
        else if (bits_of(n.real) != bits_of(want)) check_fail(__FILE__, __LINE__, "%s: %.17g and not %.17g", text, n.real, want);
    }
}

TEST(a_decimal_of_any_length_is_scanned_as_the_c_library_has_it) {
    static const char *const wrong[] = { "-", "-.5", "1.", "1.x", "01.5", "-00.5", "1.5e", "2.e5" };
    struct mw_scan_number n;
    struct mw_scan_fault f;
    char text[64];

    for (int i = 0; i < 200000; i++) {
        int digits = 1 + (int)(rnd() % 18), point = (int)(rnd() % (unsigned)digits), len = 0;
        if (rnd() % 2) text[len++] = '-';
        if (point == 0) text[len++] = '0';
        for (int k = 0; k < digits; k++) {
            if (k == point) text[len++] = '.';
            text[len++] = (char)('0' + (k == 0 && point > 1 ? 1 + rnd() % 9 : rnd() % 10));
        }
        if (rnd() % 8 == 0) len += snprintf(text + len, 8, "e%d", (int)(rnd() % 40) - 20);
        text[len] = ',';
        text[len + 1] = '\0';
        scans(text, (size_t)len);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(mw_scan_number(wrong[i], wrong[i] + strlen(wrong[i]), &n, &f) == NULL);
    }
}

TEST(any_double_is_written_short_and_reads_back) {
    static const double some[] = {0.0,   -0.0, 1.0,  -1.0, 0.1,  0.3,  1e15, 1e16, 1e17,    1e21, 1e22,    1e23,    123456789012345680.0, 5e-324,
                                  1e-323, 2e-323, 1.7976931348623157e308, 2.2250738585072014e-308, 2.225073858507201e-308, 9007199254740991.0,
                                  9007199254740992.0, 9007199254740994.0, 0.001, 0.0001, 0.00001, 0.000001, 1e-7, 4294967296.0, 9.5367431640625e-7};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) writes(some[i]);
    for (int e = -1074; e < 1024; e++) writes(ldexp(1, e)), writes(-ldexp(3, e > 1022 ? 1022 : e)); /* the neighbour below is nearer */
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = rnd();
        if ((bits >> 52 & 0x7ff) != 0x7ff) writes(of_bits(bits));
        writes((double)(int64_t)(rnd() % 1000000) / 1000);
        writes((double)(int64_t)rnd());
    }
}

static void looks(double v, const char *want) {
    char text[MW_NUMBER_MAX + 1];
    text[mw_number_write(text, v)] = 0;
    CHECK_STR(text, want);
}
TEST(a_float_looks_as_a_person_would_write_it) {
    looks(0, "0.0"), looks(-0.0, "-0.0"), looks(1, "1.0"), looks(-1.5, "-1.5"), looks(100, "100.0"), looks(1e16, "10000000000000000.0");
    looks(1e17, "1e17"), looks(1.5e300, "1.5e300"), looks(5e-324, "5e-324"), looks(0.001, "0.001"), looks(0.00001, "0.00001");
    looks(0.000001, "1e-6"), looks(0.1 + 0.2, "0.30000000000000004"), looks(-1.7976931348623157e308, "-1.7976931348623157e308");
    looks(9007199254740993, "9007199254740992.0"), looks(2e-7, "2e-7"), looks(-2.2250738585072014e-308, "-2.2250738585072014e-308");
}

TEST(an_integer_is_written_whole) {
    char text[MW_NUMBER_MAX + 1], want[40];

    for (int i = 0; i < 100000; i++) {
        int64_t v = (int64_t)(rnd() >> rnd() % 64) * (i % 2 ? 1 : -1);
        if (i == 0) v = INT64_MIN;
        if (i == 1) v = INT64_MAX;
        text[mw_number_write_integer(text, v)] = 0;
        snprintf(want, sizeof want, "%" PRId64, v);
        if (strcmp(text, want) != 0) check_fail(__FILE__, __LINE__, "%s and not %s", text, want);
    }
}

/* Each entry against long division of exact powers: 10^e for e >= 0, 2^x / 10^-e else. */
TEST(the_table_of_powers_is_what_it_says) {
    for (int e = MW_POW10_MIN; e <= MW_POW10_MAX; e++) {
        uint32_t n[80] = {1};                                   /* 5^|e|: 10^e and 5^e differ by a power of two */
        unsigned used = 1, bits, top;
        uint64_t high = 0, low = 0;

        for (int i = 0; i < abs(e); i++) {
            uint64_t carry = 0;
            for (unsigned k = 0; k < used; k++) {
                carry += (uint64_t)n[k] * 5;
                n[k] = (uint32_t)carry;
                carry >>= 32;
            }
            if (carry != 0) n[used++] = (uint32_t)carry;
        }
        bits = used * 32 - (unsigned)__builtin_clz(n[used - 1]);
        if (e >= 0) {
            for (top = 0; top < 128; top++) {
                unsigned at = bits - 1 - top, bit = top < bits ? n[at / 32] >> at % 32 & 1 : 0;
                high = high << 1 | low >> 63;
                low = low << 1 | bit;
            }
        } else {                                                /* 2^(bits - 1) is the first remainder: below the divisor, doubled not */
            uint32_t r[81] = {0};
            r[(bits - 1) / 32] = UINT32_C(1) << (bits - 1) % 32;
            for (top = 0; top < 128; top++) {
                uint64_t borrow = 0;
                uint32_t d[81];
                for (unsigned k = 81; k-- > 0;) r[k] = r[k] << 1 | (k > 0 ? r[k - 1] >> 31 : 0);
                for (unsigned k = 0; k < 81; k++) {
                    uint64_t x = (uint64_t)r[k] - (k < used ? n[k] : 0) - borrow;
                    d[k] = (uint32_t)x;
                    borrow = x >> 63;
                }
                high = high << 1 | low >> 63;
                low = low << 1 | !borrow;
                if (!borrow) memcpy(r, d, sizeof r);
            }
        }
        if (mw_pow10[e - MW_POW10_MIN].high != high || mw_pow10[e - MW_POW10_MIN].low != low) check_fail(__FILE__, __LINE__, "10^%d", e);
    }
}
