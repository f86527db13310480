/* struct mw_config: shorter and longer than the library's, what becomes of what is taken, what hints name.
 * Knows: moonwire.h. Never: the file's own insides. */
#include "support/check.h"

#include <fcntl.h>
#include <stddef.h>

#include "moonwire.h"

struct longer {
    struct mw_config cfg;
    int added;
};

static int is_open(int fd) {
    return fcntl(fd, F_GETFD) >= 0;
}
static int some_fd(void) {
    return open("/dev/null", O_RDWR | O_CLOEXEC);
}
static int fails(const struct mw_config *cfg, struct mw_err *err) {
    mw_host *h = NULL;
    int rc = mw_host_new(cfg, &h, err);

    if (rc == 0) mw_host_free(h);
    return rc;
}

TEST(a_struct_of_an_older_header_is_filled_to_its_end_and_no_further) {
    enum { OLD = offsetof(struct mw_config, queue) };
    unsigned char room[sizeof(struct mw_config)];
    struct mw_err err;

    memset(room, 0xa5, sizeof room);
    mw_config_init_size((struct mw_config *)(void *)room, OLD);
    for (size_t i = OLD; i < sizeof room; i++) REQUIRE(room[i] == 0xa5);
    CHECK(fails((struct mw_config *)(void *)room, &err) == 0);
    CHECK(mw_config_audit((struct mw_config *)(void *)room, "/dev/null", &err) == MW_EINVAL);
    CHECK(mw_config_trace((struct mw_config *)(void *)room, "/tmp/none.jsonl", &err) == MW_EINVAL);
    CHECK(mw_config_debug((struct mw_config *)(void *)room, "unix:/tmp/none", &err) == MW_EINVAL);
    for (size_t i = OLD; i < sizeof room; i++) REQUIRE(room[i] == 0xa5);
}

TEST(a_struct_of_a_newer_header_works_as_long_as_it_asks_for_nothing_new) {
    struct longer it;
    struct mw_err err;

    memset(&it, 0xa5, sizeof it);
    mw_config_init_size(&it.cfg, sizeof it);
    CHECK(it.added == 0 && it.cfg.size == sizeof it);
    CHECK(fails(&it.cfg, &err) == 0);
    it.added = 1;
    it.cfg.script_fd = some_fd();
    CHECK(fails(&it.cfg, &err) == MW_EINVAL);
    CHECK(strstr(err.message, "does not know") != NULL);
    CHECK(!is_open(it.cfg.script_fd));
}

TEST(a_struct_that_was_not_initialized_is_refused) {
    struct mw_config cfg;
    struct mw_err err;

    memset(&cfg, 0, sizeof cfg);
    CHECK(fails(&cfg, &err) == MW_EINVAL);
    CHECK(strstr(err.message, "mw_config_init") != NULL);
}

static void *never(void *ud, void *ptr, size_t osize, size_t nsize) {
    (void)ud;
    (void)osize;
    if (nsize == 0) free(ptr);
    return NULL;
}
static int *const *taken(struct mw_config *cfg) {
    static int *all[6];

    all[0] = &cfg->parent_fd, all[1] = &cfg->script_fd, all[2] = &cfg->audit_fd, all[3] = &cfg->home_fd, all[4] = &cfg->notify_fd;
    for (int i = 0; i < 5; i++) *all[i] = i == 3 ? open("/tmp", O_PATH | O_CLOEXEC) : some_fd();
    return all;
}

TEST(descriptors_that_are_taken_are_closed_when_no_host_is_made) {
    struct mw_config cfg;
    struct mw_err err;
    mw_host *h = NULL;

    for (int how = 0; how < 2; how++) {
        int *const *all;
        mw_config_init(&cfg);
        all = taken(&cfg);
        if (how == 0) cfg.alloc = never;
        CHECK((how == 0 ? mw_host_new(&cfg, &h, &err) : mw_host_new_on(NULL, &cfg, &h, &err)) < 0);
        for (int i = 0; i < 5; i++) CHECK(!is_open(*all[i]));
    }
}

TEST(descriptors_that_no_script_used_are_closed_with_the_host) {
    struct mw_config cfg;
    struct mw_err err;
    mw_host *h = NULL;
    int *const *all;

    mw_config_init(&cfg);
    all = taken(&cfg);
    REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
    CHECK(is_open(cfg.parent_fd) && is_open(cfg.notify_fd));
    mw_host_free(h);
    for (int i = 0; i < 5; i++) CHECK(!is_open(*all[i]));
}

/* ---- What an embedder's user reads --------------------------------------------------------------------------------------- */

TEST(an_audit_names_the_policys_rules_where_there_is_no_command_line_and_flags_where_there_is) {
    static const char *const rules[2][3] = {{"\"policy: sys=hostname\"", "\"policy: deny read=/etc\"", "\"policy: env\""},
                                            {"\"--allow-sys=hostname\"", "\"--deny-read=/etc\"", "\"--allow-env\""}};

    for (int line = 0; line < 2; line++) {
        char path[] = "/tmp/moonwire-test-XXXXXX", text[4096];
        struct mw_config cfg;
        struct mw_step st;
        struct mw_err err;
        mw_host *h = NULL;
        int fd = mkstemp(path);

        REQUIRE(fd >= 0);
        mw_config_init(&cfg);
        cfg.command_line = line;
        REQUIRE(mw_policy_new(&cfg.policy, &err) == 0);
        REQUIRE(mw_policy_add(cfg.policy, MW_SYS, MW_ALLOW, "hostname", &err) == 0 && mw_policy_add(cfg.policy, MW_ENV, MW_ALLOW, NULL, &err) == 0);
        REQUIRE(mw_policy_add(cfg.policy, MW_READ, MW_DENY, "/etc", &err) == 0 && mw_config_audit(&cfg, path, &err) == 0);
        REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
        mw_policy_free(cfg.policy);
        strcpy(text, "local mw = require 'moonwire' mw.sys.hostname() mw.env.get('HOME') pcall(mw.fs.read, '/etc/passwd')");
        REQUIRE(mw_host_load_string(h, text, strlen(text), "=audit", &err) == 0);
        CHECK(mw_host_step(h, 0, &st, &err) == 0);
        mw_host_free(h);
        text[read(fd, text, sizeof text - 1)] = 0;
        for (int i = 0; i < 3; i++)
            if (strstr(text, rules[line][i]) == NULL) check_fail(__FILE__, __LINE__, "no %s in %s", rules[line][i], text);
        close(fd);
        unlink(path);
    }
}

TEST(a_rule_that_cannot_be_read_is_named_by_its_right_and_no_flag) {
    struct mw_err err;
    mw_policy *p = NULL;

    REQUIRE(mw_policy_new(&p, &err) == 0);
    CHECK(mw_policy_add(p, MW_NET, MW_ALLOW, "10.0.0.0/33", &err) == MW_EINVAL);
    CHECK_STR(err.message, "policy net 10.0.0.0/33: a prefix is a number from 0 to 32 at column 10");
    CHECK(mw_policy_add(p, MW_RUN, MW_DENY, "", &err) == MW_EINVAL);
    CHECK(strstr(err.message, "policy deny run") != NULL && strstr(err.message, "--") == NULL);
    mw_policy_free(p);
}

/* ---- Limits ---------------------------------------------------------------------------------------------------------------- */

static void *budget(void *ud, void *ptr, size_t osize, size_t nsize) {
    size_t *left = ud;

    if (nsize == 0) {
        free(ptr);
        return NULL;
    }
    if (nsize > *left) return NULL;
    (void)osize;
    return ptr == NULL ? malloc(nsize) : realloc(ptr, nsize);
}

TEST(a_script_that_finds_no_memory_to_be_compiled_in_says_so) {
    static const char text[] = "local t = {";
    struct mw_config cfg;
    struct mw_err err;
    size_t left = SIZE_MAX, n = 200000;
    char *big = malloc(n);
    mw_host *h = NULL;

    REQUIRE(big != NULL);
    memset(big, ' ', n);
    memcpy(big, text, sizeof text - 1);
    for (size_t i = sizeof text; i + 8 < n; i += 8) memcpy(big + i, "'abcd', ", 8);
    big[n - 1] = '}';
    mw_config_init(&cfg);
    cfg.alloc = budget;
    cfg.alloc_ud = &left;
    REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
    left = 4000;
    CHECK(mw_host_load_string(h, big, n, "=big", &err) == MW_ENOMEM);
    left = SIZE_MAX;
    CHECK(mw_host_load_string(h, big, n, "=big", &err) == 0);
    CHECK(mw_host_load_string(h, "x =", 3, "=bad", &err) == MW_ELUA);
    mw_host_free(h);

    mw_config_init(&cfg);
    cfg.memory_limit = 100000;
    REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
    CHECK(mw_host_load_string(h, big, n, "=big", &err) == MW_ELIMIT);
    CHECK(strstr(err.hint, "mw_config.limits.memory") != NULL && strstr(err.message, "--") == NULL);
    mw_host_free(h);
    free(big);
}

static void keep_error(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) {
    (void)h;
    (void)traceback;
    *(struct mw_err *)ud = *err;
}
TEST(what_an_embedders_script_runs_into_names_the_field_and_a_command_lines_the_flag) {
    static const char text[] = "while true do end";

    for (int command_line = 0; command_line < 2; command_line++) {
        struct mw_config cfg;
        struct mw_err told = { 0 }, err;
        mw_host *h = NULL;
        int status;

        mw_config_init(&cfg);
        cfg.limits.step_ns = 20000000;
        cfg.on_error = keep_error;
        cfg.ud = &told;
        cfg.command_line = command_line;
        REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
        REQUIRE(mw_host_load_string(h, text, sizeof text - 1, "=loop", &err) == 0);
        CHECK(mw_host_run(h, &status, &err) == 0);
        CHECK(told.code == MW_ELIMIT);
        CHECK(strstr(told.hint, command_line ? "--limit=step=" : "mw_config.limits.step_ns") != NULL);
        mw_host_free(h);
    }
}

/* The error that a script with a grant and a denial ends with. */
static void told(const char *text, int command_line, struct mw_err *out) {
    struct mw_config cfg;
    struct mw_err err;
    mw_policy *policy = NULL;
    mw_host *h = NULL;
    int status;

    memset(out, 0, sizeof *out);
    REQUIRE(mw_policy_new(&policy, &err) == 0);
    REQUIRE(mw_policy_add(policy, MW_READ, MW_ALLOW, "/usr/share,/etc/passwd", &err) == 0);
    REQUIRE(mw_policy_add(policy, MW_READ, MW_DENY, "/usr/share/doc", &err) == 0);
    mw_config_init(&cfg);
    cfg.policy = policy;
    cfg.on_error = keep_error;
    cfg.ud = out;
    cfg.command_line = command_line;
    REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
    mw_policy_free(policy);
    REQUIRE(mw_host_load_string(h, text, strlen(text), "=script", &err) == 0);
    CHECK(mw_host_run(h, &status, &err) == 0);
    mw_host_free(h);
}
#define START "local mw = require 'moonwire' "
TEST(what_an_embedders_script_is_denied_names_the_policys_rule_and_a_command_lines_the_flag) {
    static const struct {
        const char *text, *rule, *flag;
    } rows[] = {
        { START "mw.process.run({ 'git' })", "grant it in the host's policy: run \"git\"", "grant it with --allow-run=git" },
        { START "mw.fs.read('/etc/a \\1b')", "grant it in the host's policy: read \"/etc/a \\x01b\"", "grant it with $'--allow-read=/etc/a \\x01b'" },
        { START "mw.net.connect('tcp://127.0.0.1:9')", "grant it in the host's policy: net \"127.0.0.1:9\"", "grant it with --allow-net=127.0.0.1:9" },
        { START "mw.fs.read('/usr/share/doc')", "the policy's denial of read \"/usr/share/doc\" forbids it", "--deny-read=/usr/share/doc forbids it" },
        { START "mw.fs.read('/usr/share/doc/x')", "only something more specific than that can grant it, as read \"/usr/share/doc/x\"", "--allow-read=/usr/share/doc/x" },
        { START "io.tmpfile()", "grant it in the host's policy: write \"", "grant it with --allow-write=" },
        { START "mw.fs.tempdir()", "or set TMPDIR", "grant it with --allow-write=" },
        { START "require('luv').fs_symlink('a', '/tmp/b')", "grant it in the host's policy: all of read and of write", "--allow-read --allow-write" },
        { START "mw.worker.spawn('/etc/passwd', { permissions = { env = 'A' } })", "grant it in the host's policy: env \"A\"", "--allow-env=A" },
        { START "mw.supervisor { { id = 'a', run = { 'git' } } }", "grant it in the host's policy: run \"git\"", "--allow-run=git" },
    };
    struct mw_err err;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        told(rows[i].text, 0, &err);
        CHECK(strstr(err.message, rows[i].rule) != NULL && strstr(err.message, "--") == NULL);
        told(rows[i].text, 1, &err);
        CHECK(strstr(err.message, rows[i].flag) != NULL);
    }
}
