/* Each name of uv asks for its right, and works with just that.
 * Knows: moonwire.h. Never: a host with more than one rule set, save where it says so. */
#include "support/check.h"

#include <sys/stat.h>

#include "moonwire.h"

static char dir[64];             /* a directory of the running test */

static void silent(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) {
    char *message = ud;

    (void)h;
    (void)traceback;
    snprintf(message, 256, "%.255s", err->message);
}

/* One rule, as in --allow-KIND=RULE; "DIR" in it is the test's directory; NULL: the whole kind. Ends with kind MW_KINDS. */
struct grant {
    enum mw_kind kind;
    const char *rule;
};

static void expand(const char *text, char *out, size_t size) {
    const char *at = strstr(text, "DIR");

    if (at == NULL) snprintf(out, size, "%s", text);
    else snprintf(out, size, "%.*s%s%s", (int)(at - text), text, dir, at + 3);
}

/* Runs `code` (with `uv`, `dir` and `mw` at hand) under the grants; its exit status. */
static int run(const char *code, const struct grant *grants, size_t memory, char message[256]) {
    char script[4096], rule[256];
    struct mw_config cfg;
    struct mw_err err;
    mw_policy *policy;
    mw_host *h;
    int status = -1;

    *message = '\0';
    mw_config_init(&cfg);
    cfg.on_error = silent;
    cfg.ud = message;
    cfg.memory_limit = memory;
    REQUIRE(mw_policy_new(&policy, &err) == 0);
    for (; grants != NULL && grants->kind != MW_KINDS; grants++) {
        if (grants->rule != NULL) expand(grants->rule, rule, sizeof rule);
        REQUIRE(mw_policy_add(policy, grants->kind, MW_ALLOW, grants->rule != NULL ? rule : NULL, &err) == 0);
    }
    cfg.policy = policy;
    snprintf(script, sizeof script, "local uv, mw, dir = require 'uv', require 'moonwire', '%s'\n%s", dir, code);
    REQUIRE(mw_host_new(&cfg, &h, &err) == 0);
    mw_policy_free(policy);
    REQUIRE(mw_host_load_string(h, script, strlen(script), "=rights", &err) == 0);
    CHECK_INT(mw_host_run(h, &status, &err), 0);
    mw_host_free(h);
    return status;
}

static void make_dir(void) {
    char path[128];
    FILE *file;

    strcpy(dir, "/tmp/mw-uv-XXXXXX");
    REQUIRE(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/file", dir);
    file = fopen(path, "w");
    REQUIRE(file != NULL && fputs("text", file) > 0 && fclose(file) == 0);
}
static void remove_dir(void) {
    char command[128];

    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    CHECK_INT(system(command), 0);
}

struct row {
    const char *code;
    struct grant grants[4];
};
#define END { MW_KINDS, NULL }

/* Without the rights 77, with them 0. */
static void check_rows(const struct row *rows, size_t count) {
    char message[256];

    for (size_t i = 0; i < count; i++) {
        int status;

        make_dir();
        status = run(rows[i].code, NULL, 0, message);
        if (status != 77) check_fail(__FILE__, __LINE__, "%s: status %d without its rights (%s)", rows[i].code, status, message);
        remove_dir();
        make_dir();
        status = run(rows[i].code, rows[i].grants, 0, message);
        if (status != 0) check_fail(__FILE__, __LINE__, "%s: status %d with its rights (%s)", rows[i].code, status, message);
        remove_dir();
    }
}
#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof *(rows))

#define READ_DIR { MW_READ, "DIR" }
#define WRITE_DIR { MW_WRITE, "DIR" }

TEST(names_that_read_files_need_read) {
    static const struct row rows[] = {
        { "assert(uv.fs_stat(dir))", { READ_DIR, END } },
        { "assert(uv.fs_stat(dir .. '/file')) assert(not uv.fs_stat(dir .. '/none'))", { READ_DIR, END } },
        { "uv.fs_stat(dir, print)", { READ_DIR, END } },
        { "assert(uv.fs_lstat(dir .. '/file'))", { READ_DIR, END } },
        { "assert(uv.fs_statfs(dir))", { READ_DIR, END } },
        { "assert(uv.fs_access(dir, 'R'))", { READ_DIR, END } },
        { "assert(uv.fs_realpath(dir .. '/file') == dir .. '/file')", { READ_DIR, END } },
        { "assert(not uv.fs_readlink(dir .. '/file'))", { READ_DIR, END } },
        { "assert(uv.fs_scandir(dir))", { READ_DIR, END } },
        { "assert(uv.fs_opendir(dir))", { READ_DIR, END } },
        { "assert(uv.fs_open(dir .. '/file', 'r'))", { READ_DIR, END } },
        { "assert(uv.exepath())", { { MW_READ, NULL }, END } },
    };
    CHECK_ROWS(rows);
}

TEST(names_that_change_files_need_write) {
    static const struct row rows[] = {
        { "assert(uv.fs_open(dir .. '/file', 'w'))", { WRITE_DIR, END } },
        { "assert(uv.fs_open(dir .. '/new', 'a'))", { WRITE_DIR, END } },
        { "assert(uv.fs_open(dir .. '/file', 'r+'))", { WRITE_DIR, READ_DIR, END } },
        { "assert(uv.fs_open(dir .. '/new', 'wx'))", { WRITE_DIR, END } },
        { "assert(uv.fs_open(dir .. '/file', uv.constants.O_RDONLY | uv.constants.O_TRUNC))", { WRITE_DIR, READ_DIR, END } },
        { "assert(uv.fs_unlink(dir .. '/file'))", { WRITE_DIR, END } },
        { "assert(uv.fs_mkdir(dir .. '/sub', 448)) assert(uv.fs_rmdir(dir .. '/sub'))", { WRITE_DIR, END } },
        { "assert(uv.fs_mkdtemp(dir .. '/XXXXXX'))", { WRITE_DIR, END } },
        { "assert(uv.fs_mkstemp(dir .. '/XXXXXX'))", { WRITE_DIR, END } },
        { "assert(uv.fs_chmod(dir .. '/file', 384))", { WRITE_DIR, END } },
        { "assert(uv.fs_utime(dir .. '/file', 1, 2))", { WRITE_DIR, END } },
        { "assert(uv.fs_lutime(dir .. '/file', 1, 2))", { WRITE_DIR, END } },
        { "assert(uv.fs_rename(dir .. '/file', dir .. '/other'))", { WRITE_DIR, READ_DIR, END } },
        { "assert(uv.fs_link(dir .. '/file', dir .. '/other'))", { WRITE_DIR, READ_DIR, END } },
        { "assert(uv.fs_copyfile(dir .. '/file', dir .. '/other'))", { WRITE_DIR, READ_DIR, END } },
        { "assert(uv.fs_symlink('/etc', dir .. '/link'))", { { MW_WRITE, NULL }, { MW_READ, NULL }, END } },
    };
    CHECK_ROWS(rows);
}

TEST(half_of_the_rights_is_not_enough) {
    static const struct row rows[] = {
        { "uv.fs_open(dir .. '/file', 'r+')", { WRITE_DIR, END } },
        { "uv.fs_open(dir .. '/file', 'r+')", { READ_DIR, END } },
        { "uv.fs_open(dir .. '/file', 'w')", { READ_DIR, END } },
        { "uv.fs_open(dir .. '/file', 'r')", { WRITE_DIR, END } },
        { "uv.fs_open(dir .. '/file', uv.constants.O_RDONLY | uv.constants.O_TRUNC)", { READ_DIR, END } },
        { "uv.fs_open(dir .. '/new', uv.constants.O_RDONLY | uv.constants.O_CREAT, 384)", { READ_DIR, END } },
        { "uv.fs_rename(dir .. '/file', dir .. '/other')", { READ_DIR, END } },
        { "uv.fs_rename(dir .. '/file', '/tmp/mw-elsewhere')", { READ_DIR, WRITE_DIR, END } },
        { "uv.fs_link('/etc/passwd', dir .. '/other')", { READ_DIR, WRITE_DIR, END } },
        { "uv.fs_copyfile(dir .. '/file', dir .. '/other')", { READ_DIR, END } },
        { "uv.fs_copyfile('/etc/passwd', dir .. '/other')", { READ_DIR, WRITE_DIR, END } },
        { "uv.fs_symlink('/etc', dir .. '/link')", { READ_DIR, WRITE_DIR, END } },
        { "uv.fs_stat(dir .. '/../../etc/passwd')", { READ_DIR, WRITE_DIR, END } },
        { "uv.fs_unlink(dir .. '/../mw-elsewhere')", { READ_DIR, WRITE_DIR, END } },
        { "uv.new_pipe(false):bind(dir .. '/socket')", { READ_DIR, WRITE_DIR, END } },
        { "uv.new_tcp():connect('127.0.0.1', 9, print)", { { MW_LISTEN, NULL }, END } },
        { "uv.new_tcp():bind('127.0.0.1', 0)", { { MW_CONNECT, NULL }, END } },
        { "uv.new_tcp():listen(1, print)", { { MW_LISTEN, "127.0.0.1" }, END } },
        { "uv.new_tcp():connect('127.0.0.2', 9, print)", { { MW_NET, "127.0.0.1" }, END } },
        { "uv.new_tcp():connect('127.0.0.1', 10, print)", { { MW_NET, "127.0.0.1:9" }, END } },
        { "uv.new_udp():recv_start(print)", { { MW_NET, "127.0.0.1" }, END } },
        { "local u = uv.new_udp() assert(u:try_send('x', '127.0.0.1', 9)) u:recv_start(print)", { { MW_CONNECT, "127.0.0.1" }, END } },
        { "local u = uv.new_udp() assert(u:connect('127.0.0.1', 9)) assert(u:recv_start(print)) u:connect()", { { MW_CONNECT, "127.0.0.1" }, END } },
        { "uv.new_udp():try_send('x', '127.0.0.2', 9)", { { MW_NET, "127.0.0.1" }, END } },
        { "uv.getaddrinfo('example.org', nil, nil, print)", { { MW_NET, "unix:/tmp/" }, { MW_LISTEN, NULL }, END } },
        { "uv.os_getenv('HOME')", { { MW_ENV, "PATH" }, END } },
        { "uv.new_pipe(true)", { { MW_NET, NULL }, READ_DIR, WRITE_DIR, END } },
        { "uv.loadavg()", { { MW_SYS, "cpus" }, END } },
        { "uv.spawn('sh', {})", { { MW_RUN, "true" }, END } },
        { "uv.spawn('env', { env = { 'LD_PRELOAD=/tmp/x' } })", { { MW_RUN, "env" }, END } },
    };
    char message[256];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int status;

        make_dir();
        status = run(rows[i].code, rows[i].grants, 0, message);
        if (status != 77) check_fail(__FILE__, __LINE__, "%s: status %d (%s)", rows[i].code, status, message);
        remove_dir();
    }
}

TEST(names_that_reach_the_network_need_net_in_their_direction) {
    static const struct row rows[] = {
        { "local t = uv.new_tcp() assert(t:bind('127.0.0.1', 0)) assert(t:listen(1, print))", { { MW_LISTEN, "127.0.0.1" }, END } },
        { "assert(uv.new_tcp():bind('::1', 0) ~= nil or true)", { { MW_LISTEN, "[::1]" }, END } },
        { "assert(uv.new_tcp():listen(1, print))", { { MW_LISTEN, NULL }, END } },
        { "assert(uv.new_tcp():connect('127.0.0.1', 9, print))", { { MW_CONNECT, "127.0.0.1:9" }, END } },
        { "assert(uv.new_udp():bind('127.0.0.1', 0))", { { MW_LISTEN, "127.0.0.1" }, END } },
        { "assert(uv.new_udp():try_send('x', '127.0.0.1', 9))", { { MW_CONNECT, "127.0.0.1" }, END } },
        { "assert(uv.new_udp():send('x', '127.0.0.1', 9, print))", { { MW_CONNECT, "127.0.0.1" }, END } },
        { "local u = uv.new_udp() assert(u:connect('127.0.0.1', 9)) assert(u:try_send('x'))", { { MW_CONNECT, "127.0.0.1" }, END } },
        { "assert(uv.new_udp():recv_start(print))", { { MW_LISTEN, NULL }, END } },
        { "local u = uv.new_udp() assert(u:connect('127.0.0.1', 9)) assert(u:recv_start(print))", { { MW_CONNECT, "127.0.0.1" }, END } },
        { "assert(uv.getaddrinfo('127.0.0.1', nil, nil, print))", { { MW_CONNECT, "127.0.0.1" }, END } },
        { "assert(uv.getnameinfo({ ip = '127.0.0.1' }, print))", { { MW_CONNECT, "127.0.0.1" }, END } },
        { "local p = uv.new_pipe(false) assert(p:bind(dir .. '/socket')) assert(p:listen(1, print))", { { MW_LISTEN, "unix:DIR/" }, END } },
        { "assert(uv.new_pipe(false):connect(dir .. '/none', print))", { { MW_CONNECT, "unix:DIR/" }, END } },
    };
    CHECK_ROWS(rows);
}

TEST(names_that_tell_of_the_system_need_sys_or_env) {
    static const struct row rows[] = {
        { "assert(uv.os_getenv('PATH'))", { { MW_ENV, "PATH" }, END } },
        { "assert(uv.os_homedir())", { { MW_ENV, "HOME" }, END } },
        { "assert(uv.os_tmpdir())", { { MW_ENV, "TMP*,TEMP*" }, END } },
        { "assert(uv.os_gethostname())", { { MW_SYS, "hostname" }, END } },
        { "assert(uv.os_uname())", { { MW_SYS, "osRelease" }, END } },
        { "assert(uv.uptime())", { { MW_SYS, "osUptime" }, END } },
        { "assert(uv.loadavg())", { { MW_SYS, "loadavg" }, END } },
        { "assert(uv.cpu_info())", { { MW_SYS, "cpus" }, END } },
        { "assert(uv.get_total_memory() and uv.get_free_memory() and uv.get_constrained_memory())", { { MW_SYS, "memory" }, END } },
        { "assert(uv.interface_addresses())", { { MW_SYS, "networkInterfaces" }, END } },
        { "assert(uv.getuid())", { { MW_SYS, "uid" }, END } },
        { "assert(uv.getgid())", { { MW_SYS, "gid" }, END } },
        { "assert(uv.os_get_passwd())", { { MW_SYS, "userInfo" }, END } },
        { "assert(uv.os_getppid())", { { MW_SYS, "pid" }, END } },
        { "assert(uv.os_getpriority(0))", { { MW_SYS, "priority" }, END } },
        { "assert(uv.new_signal():start('sigusr2', print))", { { MW_SYS, "signal" }, END } },
    };
    CHECK_ROWS(rows);
}

TEST(programs_need_run) {
    static const struct row rows[] = {
        { "assert(uv.spawn('true', {}))", { { MW_RUN, "true" }, END } },
        { "assert(uv.spawn('true', { cwd = dir }))", { { MW_RUN, "true" }, READ_DIR, END } },
    };
    CHECK_ROWS(rows);
}

TEST(the_environment_shows_only_what_was_granted) {
    static const struct grant one[] = { { MW_ENV, "PATH" }, END };
    char message[256];

    CHECK_INT(run("local e = uv.os_environ() assert(e.PATH) e.PATH = nil assert(next(e) == nil)", one, 0, message), 0);
    CHECK_INT(run("assert(next(uv.os_environ()) == nil)", NULL, 0, message), 0);
}

TEST(an_open_descriptor_outlives_nothing_but_its_right_to_be_opened) {
    static const struct grant grants[] = { READ_DIR, END };
    char message[256];

    make_dir();
    CHECK_INT(run("local fd = assert(uv.fs_open(dir .. '/file', 'r')) assert(uv.fs_read(fd, 9) == 'text')\n"
                  "assert(not uv.fs_write(fd, 'x')) assert(not uv.fs_fchmod(fd, 0)) assert(not uv.fs_ftruncate(fd, 0))", grants, 0, message), 0);
    CHECK_STR(message, "");
    remove_dir();
}

TEST(a_memory_limit_reached_in_a_callback_is_an_error_of_the_script) {
    char message[256];

    CHECK_INT(run("local t = uv.new_timer() t:start(0, 0, function() local s = ('x'):rep(1 << 26) end) mw.task.sleep(0.02)", NULL, 8u << 20, message), 1);
    CHECK(strstr(message, "memory") != NULL);
}

TEST(data_that_arrives_when_memory_is_used_up_ends_nothing) {
    char message[256];
    int status = run("local fds = assert(uv.socketpair()) local one, other = uv.new_pipe(false), uv.new_pipe(false)\n"
                     "assert(one:open(fds[1]) == 0 and other:open(fds[2]) == 0)\n"
                     "local hold, got = {}, 0\n"
                     "other:read_start(function(_, data) got = got + #data end)\n"
                     "one:write(('x'):rep(1 << 20))\n"
                     "pcall(function() for i = 1, 1e9 do hold[i] = ('y'):rep(1000) .. i end end)\n"
                     "mw.task.sleep(0.05)\n"
                     "hold = nil collectgarbage() mw.task.sleep(0.05)", NULL, 8u << 20, message);

    CHECK(status == 0 || status == 1);
}
