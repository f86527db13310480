/* Fuzz target: any bytes as JSON text. What is read lies inside the text, is decoded to what was promised, and written again it
 * says the same.
 * Knows: codec/json_text. Never: anything else. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/json_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_string(const struct mw_json *j) {
    char *said = malloc(j->decoded + 1), *quoted = malloc(6 * j->decoded + 2), *again;
    struct mw_json back;
    size_t n;
    int invalid;

    if (said == NULL || quoted == NULL) abort();
    mw_json_string(j, said);
    n = mw_json_quote(quoted, 6 * j->decoded + 2, said, j->decoded, &invalid);
    if (n == 0 || invalid) abort();
    mw_json_begin(&back, quoted, n, 0);
    if (mw_json_next(&back) != MW_JSON_STRING || back.decoded != j->decoded) abort();
    again = malloc(j->decoded + 1);
    if (again == NULL) abort();
    mw_json_string(&back, again);
    if (memcmp(said, again, j->decoded) != 0) abort();
    free(said);
    free(quoted);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    unsigned depth = size > 0 ? data[0] * 8u : 0, line, column;
    struct mw_json j;
    enum mw_json_token token;
    size_t last = 0, tokens = 0;

    if (size == 0) return 0;
    mw_json_begin(&j, (const char *)data + 1, size - 1, depth);
    while ((token = mw_json_next(&j)) != MW_JSON_BAD && token != MW_JSON_END) {
        if (j.from < last || j.to <= j.from || j.to > j.len || j.depth > depth || ++tokens > size) abort();
        last = j.to;
        if (token == MW_JSON_STRING || token == MW_JSON_KEY) check_string(&j);
    }
    if (token == MW_JSON_BAD && (j.why == NULL || j.from > j.len)) abort();
    if (token == MW_JSON_END && j.depth != 0) abort();
    mw_json_position(j.text, j.from, &line, &column);
    if (line == 0 || column == 0) abort();
    return 0;
}
