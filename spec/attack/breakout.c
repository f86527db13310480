/* breakout ATTEMPT ARGS...: tries one thing that a cage should refuse. Prints "through" and ends with 0, or prints "refused CODE"
 * and ends with 3. Without sanitizers and static, so that a cage needs nothing but this file.
 * Knows: the parts' tables. Never: harms more than what it is given to harm. */
#define _GNU_SOURCE
#include "breakout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *word_at(int argc, char **argv, int n, const char *other) {
    return n < argc ? argv[n] : other;
}

int number_at(int argc, char **argv, int n, int other) {
    return n < argc ? atoi(argv[n]) : other;
}

static const char *code_name(int code) {
    const char *name = strerrorname_np(code);
    return name != NULL ? name : "EUNKNOWN";
}

static attempt_fn *find(const char *name) {
    const struct attempt *parts[] = { files_attempts, process_attempts, net_attempts, system_attempts };

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (const struct attempt *at = parts[i]; at->name != NULL; at++)
            if (strcmp(at->name, name) == 0) return at->run;
    return NULL;
}

int main(int argc, char **argv) {
    attempt_fn *run = argc > 1 ? find(argv[1]) : NULL;
    int rc;

    if (run == NULL) return fprintf(stderr, "breakout: no attempt '%s'\n", argc > 1 ? argv[1] : ""), 2;
    errno = 0;
    rc = run(argc - 2, argv + 2);
    if (rc < 0) {
        printf("refused %s\n", code_name(-rc));
        return 3;
    }
    puts("through");
    return 0;
}
