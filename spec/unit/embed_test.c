/* The embedded Lua modules: found by name, whole, in order.
 * Knows: bind/embed.h. Never: Lua. */
#include "support/check.h"

#include "bind/embed.h"

TEST(a_module_that_is_not_carried_is_not_found) {
    CHECK(mw_embedded_find("moonwire.nothing") == NULL);
    CHECK(mw_embedded_find("") == NULL);
}

TEST(every_carried_module_is_found_by_its_name_and_ends_in_nul) {
    size_t i, count;
    const struct mw_embedded *all = mw_embedded_all(&count);

    for (i = 0; i < count; i++) {
        CHECK(mw_embedded_find(all[i].name) == &all[i]);
        CHECK(strlen(all[i].text) == all[i].len);
        CHECK(strncmp(all[i].name, "moonwire", 8) == 0);
        CHECK(strstr(all[i].name, ".meta.") == NULL);
    }
}
