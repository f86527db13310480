/* A native module as an attacker would write it: past our own checks, so that only the kernel's lock is left.
 * Knows: lua.h, system calls. Never: is loaded but by the attack suite. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int failed(lua_State *L) {
    lua_pushnil(L);
    lua_createtable(L, 0, 2);
    lua_pushstring(L, strerrorname_np(errno));
    lua_setfield(L, -2, "code");
    return 2;
}
static int answer(lua_State *L, long rc) {
    if (rc < 0) return failed(L);
    lua_pushboolean(L, 1);
    return 1;
}

static int read_file(lua_State *L) {
    char text[256];
    int fd = open(luaL_checkstring(L, 1), O_RDONLY);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text);

    if (fd >= 0) close(fd);
    if (got < 0) return failed(L);
    lua_pushlstring(L, text, (size_t)got);
    return 1;
}
static int write_file(lua_State *L) {
    int fd = open(luaL_checkstring(L, 1), O_WRONLY | O_APPEND | O_CREAT, 0644);
    return answer(L, fd < 0 ? -1 : write(fd, "harm", 4));
}
static int remove_file(lua_State *L) { return answer(L, unlink(luaL_checkstring(L, 1))); }
static int connect_tcp(lua_State *L) {
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((unsigned short)luaL_checkinteger(L, 1)) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) return failed(L);
    return answer(L, write(fd, "in", 2));
}
static int connect_abstract(lua_State *L) {
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (len > sizeof to.sun_path - 1) len = sizeof to.sun_path - 1;
    memcpy(to.sun_path + 1, name, len);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)) < 0) return failed(L);
    return answer(L, write(fd, "in", 2));
}
static int bind_tcp(lua_State *L) {
    struct sockaddr_in to = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return answer(L, fd < 0 ? -1 : bind(fd, (struct sockaddr *)&to, sizeof to));
}
static int kill_process(lua_State *L) { return answer(L, kill((pid_t)luaL_checkinteger(L, 1), SIGKILL)); }
static int trace(lua_State *L) {
    pid_t pid = (pid_t)luaL_checkinteger(L, 1);
    int rc = (int)ptrace(PTRACE_SEIZE, pid, NULL, NULL);
    if (rc == 0) ptrace(PTRACE_DETACH, pid, NULL, NULL);
    return answer(L, rc);
}
/* Runs PROGRAM ARGUMENT; what it wrote. */
static int run_program(lua_State *L) {
    const char *program = luaL_checkstring(L, 1), *argument = luaL_checkstring(L, 2);
    char text[256];
    int ends[2], status = 0;
    ssize_t got;
    pid_t pid;

    if (pipe(ends) < 0) return failed(L);
    pid = fork();
    if (pid == 0) {
        dup2(ends[1], 1);
        execl(program, program, argument, (char *)NULL);
        _exit(13);
    }
    close(ends[1]);
    got = pid < 0 ? -1 : read(ends[0], text, sizeof text);
    close(ends[0]);
    waitpid(pid, &status, 0);
    if (got < 0) return failed(L);
    errno = EACCES;
    if (got == 0) return failed(L);
    lua_pushlstring(L, text, (size_t)got);
    return 1;
}

int luaopen_native(lua_State *L);
int luaopen_native(lua_State *L) {
    static const luaL_Reg all[] = {
        { "read", read_file }, { "write", write_file }, { "remove", remove_file }, { "tcp", connect_tcp }, { "abstract", connect_abstract },
        { "bind", bind_tcp }, { "kill", kill_process }, { "trace", trace }, { "run", run_program }, { NULL, NULL }
    };
    luaL_newlib(L, all);
    return 1;
}
