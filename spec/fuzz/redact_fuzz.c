/* Fuzz target: any bytes through the scanner for secrets: the same in pieces as whole, as long as it was, and only stars are new.
 * Knows: observe/redact. Never: a trace. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "observe/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const words[] = {"password", "token", "x-api-key"};
    struct mw_redact_names names = {0};
    struct mw_redact whole = {0}, parts = {0};
    size_t step = size > 0 ? 1 + data[0] % 32u : 1;
    char *in, *a, *b;

    if (size == 0) return 0;
    for (int i = 0; i < 3; i++)
        if (mw_redact_add(&names, words[i], strlen(words[i])) < 0) abort();
    in = malloc(size);
    a = malloc(size);
    b = malloc(size);
    if (in == NULL || a == NULL || b == NULL) abort();
    size--;
    memcpy(in, data + 1, size);
    mw_redact(&names, &whole, in, size, a, size);
    for (size_t at = 0; at < size; at += step) {
        size_t n = size - at < step ? size - at : step;
        mw_redact(&names, &parts, in + at, n, b + at, n);
    }
    if (memcmp(a, b, size) != 0) abort();
    for (size_t i = 0; i < size; i++)
        if (a[i] != in[i] && a[i] != '*') abort();
    free(in);
    free(a);
    free(b);
    return 0;
}
