/* The command line's parser over any words: it ends, answers 0 or a refusal with a text, and frees what it took.
 * Knows: front/flags, by inclusion. Never: a host. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "front/flags.c"
#include "front/table.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input's lines are the words. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *argv[34] = { "moonwire" };
    struct mw_flags got;
    struct mw_err err;
    char *text = malloc(size + 1);
    int argc = 1, rc;

    if (text == NULL) return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    for (char *word = strtok(text, "\n"); word != NULL && argc < 33; word = strtok(NULL, "\n")) argv[argc++] = word;
    rc = mw_flags_parse(argc, argv, &got, &err);
    if (rc != 0 && (rc != MW_EINVAL || err.what[0] == '\0' || err.hint[0] == '\0')) abort();
    if (rc == 0 && got.arg_count > (size_t)argc) abort();
    if (rc == 0 && got.right_count > (size_t)argc) abort();
    mw_flags_free(&got);
    free(text);
    return 0;
}
