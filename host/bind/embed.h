/* The Lua modules that the library carries, as text (embed.cmake writes the table at build time).
 * Knows: nothing. Never: compiles or runs them. */
#ifndef MW_BIND_EMBED_H
#define MW_BIND_EMBED_H

#include <stddef.h>

struct mw_embedded {
    const char *name;      /* "moonwire.process"; lua/moonwire/init.lua is "moonwire" */
    const char *file;      /* "moonwire/process.lua": its name in tracebacks */
    const char *text;      /* as written, with a NUL after it */
    size_t len;            /* bytes, without that NUL */
};

/* The module called `name`, or NULL. Static: never freed. Any thread. */
const struct mw_embedded *mw_embedded_find(const char *name);

/* All of them, sorted by name; *count is set. */
const struct mw_embedded *mw_embedded_all(size_t *count);

/* The descriptions of what is C, lua/moonwire/meta/: text for reading, never run, and not found by mw_embedded_find. */
const struct mw_embedded *mw_embedded_meta(size_t *count);

#endif
