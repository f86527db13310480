/* An engine that has set a locale with a decimal comma: what programs read has points all the same.
 * Knows: moonwire.h; localedef(1) makes the locale, where there is none. Never: what is under moonwire.h. */
#include "support/heard.h"

#include <locale.h>
#include <stdlib.h>

static char folder[] = "/tmp/mw_locale_XXXXXX";

/* 1 when numbers have a comma from here on. */
static int with_comma(void) {
    static const char *const names[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "mw_comma"};
    char command[200];

    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (setlocale(LC_ALL, names[i]) != NULL && *localeconv()->decimal_point == ',') return 1;
        if (again > 0 || mkdtemp(folder) == NULL) break;
        snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/mw_comma >/dev/null 2>&1", folder);
        if (system(command) < 0) break;
        setenv("LOCPATH", folder, 1);
    }
    return 0;
}

TEST(numbers_for_programs_have_points_whatever_the_locale_says) {
    struct heard s = {0};
    struct mw_config cfg = heard_config(&s, 50);
    char command[64];
    int comma = with_comma();
    mw_host *h = heard_host(&cfg, NULL);

    if (!comma) printf("# no locale with a decimal comma here\n");
    if (h == NULL) return;
    heard_load(h, MW "mw.log.info('x', { a = 1.5, b = 2, c = 1e300, d = 3.0 })\n"
                     "print(mw.json.encode { 1.5, 1e-7 }, mw.json.decode('[2.25]')[1] == 2.25, mw.inspect { 1.5, 2, 3.0, -1e-7, 1 / 3 })\n"
                     "mw.metrics.counter('a_total', { help = 'x' }):inc(1.5)\n"
                     "print(mw.metrics.text():match('\\na_total ([^\\n]*)'), pcall(mw.task.sleep, '0.5ms'))");
    mw_host_run(h, NULL, NULL);
    CHECK(strstr(s.log, "\"a\":1.5,\"b\":2,\"c\":1e+300,\"d\":3.0") != NULL);
    CHECK(strcmp(s.print, "[1.5,1e-7]\ttrue\t{ 1.5, 2, 3.0, -1e-07, 0.33333333333333331 }\n1.5\ttrue\n") == 0);
    CHECK(s.errors == 0);
    mw_host_free(h);
    setlocale(LC_ALL, "C");
    snprintf(command, sizeof command, "rm -rf %s", folder);
    if (strstr(folder, "XXXXXX") == NULL && system(command) != 0) printf("# %s is left\n", folder);
}
