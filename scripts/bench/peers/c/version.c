/* Says what the C programs are built with. */
#include "common.h"

int main(void) {
    printf("libuv %s, gcc %d.%d, -O2\n", uv_version_string(), __GNUC__, __GNUC_MINOR__);
    return 0;
}
