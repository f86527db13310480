/* Fuzz target: any bytes as an address. What is accepted must come back the same, and fit where it is told to fit.
 * Knows: io/endpoint. Never: opens a socket. */
#include "io/endpoint.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct mw_endpoint a, b;
    static char text[MW_ENDPOINT_TEXT], again[MW_ENDPOINT_TEXT];
    struct mw_err err;
    enum mw_purpose purpose;

    if (size == 0) return 0;
    purpose = data[0] & 1 ? MW_TO_LISTEN : MW_TO_CONNECT;
    if (mw_endpoint_parse((const char *)data + 1, size - 1, purpose, "net connect", &a, &err) != 0) {
        if (err.code != MW_EINVAL || err.what[0] == 0) abort();
        return 0;
    }
    if (a.port < 0 || a.port > 65535 || (a.port == 0 && purpose == MW_TO_CONNECT && a.scheme <= MW_SCHEME_TLS)) abort();
    mw_endpoint_text(&a, text);
    if (mw_endpoint_parse(text, strlen(text), purpose, "net connect", &b, &err) != 0) abort();
    mw_endpoint_text(&b, again);
    if (strcmp(text, again) != 0 || memcmp(&a.sa, &b.sa, sizeof a.sa) != 0) abort();
    return 0;
}
