/* Rules of uv's sockets: streams, tcp, udp, and names of hosts.
 * Knows: bind/uv.h, policy/permit. Never: passes on an address that it did not check.
 *
 * luv takes numeric addresses only, and reads them from the same immutable strings that are read here: what is checked is what
 * is passed. Tables are copied raw first. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "bind/uv.h"
#include "policy/permit.h"

#define BUFFERS_MAX 65536          /* strings of one write */
#define PORT_MAX 65535

/* ---- Addresses -------------------------------------------------------------------------------------------------------------- */

static void permit(lua_State *L, struct uv_door *d, enum mw_kind kind, const char *host, const struct sockaddr *sa, const char *op) {
    socklen_t len = sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    struct mw_err err;

    if (mw_permit_addr(mw_host_policy(d->host), kind, host, sa, len, op, &err) < 0) mw_raise(L, &err);
}

/* The numeric address at idx and the port at idx + 1: checked, or raises. */
static void permit_at(lua_State *L, struct uv_door *d, int idx, int port_min, enum mw_kind kind, const char *op) {
    const char *host = mw_param_text(L, idx, op, "host", 256, NULL);
    int port = (int)mw_param_integer(L, idx + 1, op, "port", port_min, PORT_MAX);
    struct sockaddr_storage sa;

    memset(&sa, 0, sizeof sa);
    if (uv_ip4_addr(host, port, (struct sockaddr_in *)&sa) != 0 && uv_ip6_addr(host, port, (struct sockaddr_in6 *)&sa) != 0)
        mw_raise_inval(L, op, "argument %d: a numeric address expected (names: getaddrinfo)", idx);
    permit(L, d, kind, host, (struct sockaddr *)&sa, op);
}

/* The address that a socket has, or will get when it has none: everywhere, any port. */
static void permit_local(lua_State *L, struct uv_door *d, const struct sockaddr_storage *sa, const char *op) {
    char text[INET6_ADDRSTRLEN] = "0.0.0.0";
    struct sockaddr_storage any;

    if (sa->ss_family != AF_INET && sa->ss_family != AF_INET6) {
        memset(&any, 0, sizeof any);
        any.ss_family = AF_INET;
        sa = &any;
    }
    uv_ip_name((const struct sockaddr *)sa, text, sizeof text);
    permit(L, d, MW_LISTEN, text, (const struct sockaddr *)sa, op);
}

/* ---- Streams ---------------------------------------------------------------------------------------------------------------- */

int mw_uv_shutdown(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    mw_uv_callback(L, 2, r->name, 1);
    return raw(L);
}

int mw_uv_read_start(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    mw_uv_callback(L, 2, r->name, 0);
    if (mw_uv_pipe_name(L, 1)) return mw_raise_inval(L, r->name, "the pipe is bound: it accepts, and does not read");
    return raw(L);
}

int mw_uv_listen(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    uv_handle_t *it = mw_uv_handle(L, 1, r->name, UV_KIND(TCP) | UV_KIND(NAMED_PIPE));
    struct sockaddr_storage sa;
    int len = sizeof sa;

    mw_param_integer(L, 2, r->name, "backlog", 0, PORT_MAX);
    mw_uv_callback(L, 3, r->name, 0);
    lua_settop(L, 3);
    memset(&sa, 0, sizeof sa);
    if (it->type == UV_TCP) {
        if (uv_tcp_getsockname((uv_tcp_t *)it, (struct sockaddr *)&sa, &len) != 0) sa.ss_family = AF_UNSPEC;
        permit_local(L, d, &sa, r->name);
    } else if (mw_uv_pipe_name(L, 1)) {                                /* as the rights stand now */
        struct mw_place at = { .fd = -1 };
        struct mw_err err;

        if (mw_permit_unix(mw_host_policy(d->host), MW_LISTEN, lua_tostring(L, -1), r->name, &at, &err) < 0) return mw_raise(L, &err);
        mw_place_close(&at);
        lua_settop(L, 3);
    } else {
        return mw_uv_fail(L, MW_EINVAL);
    }
    return raw(L);
}

/* luv compares no types, and accepts into a handle that is open already. */
int mw_uv_accept(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    uv_handle_t *server = mw_uv_handle(L, 1, r->name, UV_KIND(TCP) | UV_KIND(NAMED_PIPE));
    uv_handle_t *client = mw_uv_handle(L, 2, r->name, UV_KIND(TCP) | UV_KIND(NAMED_PIPE) | UV_KIND(UDP));
    uv_handle_type wanted = server->type;
    uv_os_fd_t fd;

    (void)d;
    if (server == client) return mw_raise_inval(L, r->name, "argument 2: a fresh handle expected");
    if (server->type == UV_NAMED_PIPE && uv_pipe_pending_count((uv_pipe_t *)server) > 0) wanted = uv_pipe_pending_type((uv_pipe_t *)server);
    if (client->type != wanted)
        return mw_raise_inval(L, r->name, "argument 2: a %s expected, got %s", uv_handle_type_name(wanted), uv_handle_type_name(client->type));
    if (uv_fileno(client, &fd) == 0) return mw_raise_inval(L, r->name, "argument 2: a fresh handle expected, this one is open");
    lua_settop(L, 2);
    return raw(L);
}

/* The bytes at idx: a string, or a table of them, of which a raw copy takes its place (luv aborts on an empty one). */
static size_t data_at(lua_State *L, int idx, const char *op) {
    size_t total = 0, len;
    lua_Integer n;

    if (lua_type(L, idx) == LUA_TSTRING) {
        lua_tolstring(L, idx, &len);
        return len;
    }
    if (!lua_istable(L, idx)) mw_raise_inval(L, op, "argument %d: a string or a table of strings expected, got %s", idx, luaL_typename(L, idx));
    n = (lua_Integer)lua_rawlen(L, idx);
    if (n < 1 || n > BUFFERS_MAX) mw_raise_inval(L, op, "argument %d: 1 to %d strings expected, got %d", idx, BUFFERS_MAX, (int)n);
    lua_createtable(L, (int)n, 0);                                     /* [copy] */
    for (lua_Integer i = 1; i <= n; i++) {
        if (lua_rawgeti(L, idx, i) == LUA_TNUMBER) lua_tostring(L, -1); /* as luv does */
        if (lua_type(L, -1) != LUA_TSTRING) mw_raise_inval(L, op, "argument %d: its element %d is no string", idx, (int)i);
        lua_tolstring(L, -1, &len);
        total += len;
        lua_rawseti(L, -2, i);
    }
    lua_replace(L, idx);
    return total;
}

static int too_much(lua_State *L, size_t queued, size_t more) {
    return queued + more > UV_QUEUE_MAX && queued > 0 ? mw_uv_fail(L, -ENOBUFS) : 0;
}

int mw_uv_write(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    uv_stream_t *s = (uv_stream_t *)mw_uv_handle(L, 1, r->name, r->kinds);
    size_t len = data_at(L, 2, r->name);
    int full = too_much(L, uv_stream_get_write_queue_size(s), len);

    (void)d;
    if (full) return full;
    if (strncmp(r->name, "try", 3) != 0) mw_uv_callback(L, 3, r->name, 1);
    return raw(L);
}

/* A handle goes along: only between ipc pipes, which only those have who may do everything. */
int mw_uv_write2(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    uv_pipe_t *p = (uv_pipe_t *)mw_uv_handle(L, 1, r->name, UV_KIND(NAMED_PIPE));
    uv_os_fd_t fd;

    if (!p->ipc) return mw_raise_inval(L, r->name, "the pipe was not made for handles: uv.new_pipe(true)");
    if (uv_fileno(mw_uv_handle(L, 3, r->name, UV_KIND_STREAM | UV_KIND(UDP)), &fd) != 0)
        return mw_raise_inval(L, r->name, "argument 3: the handle is not open");
    data_at(L, 2, r->name);
    if (strncmp(r->name, "try", 3) != 0) mw_uv_callback(L, 4, r->name, 1);
    (void)d;
    return raw(L);
}

int mw_uv_buffer_size(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    if (!lua_isnoneornil(L, 2)) mw_param_integer(L, 2, r->name, "size", 0, 1 << 30);
    return raw(L);
}

/* ---- TCP -------------------------------------------------------------------------------------------------------------------- */

int mw_uv_tcp_bind(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    permit_at(L, d, 2, 0, MW_LISTEN, r->name);
    if (lua_istable(L, 4)) {                                           /* { ipv6only }: a copy, read raw */
        lua_settop(L, 4);
        lua_createtable(L, 0, 1);
        lua_pushliteral(L, "ipv6only");
        lua_rawget(L, 4);
        lua_pushboolean(L, lua_toboolean(L, -1));
        lua_setfield(L, 5, "ipv6only");
        lua_settop(L, 5);
        lua_replace(L, 4);
    } else if (!lua_isnoneornil(L, 4)) {
        return mw_raise_inval(L, r->name, "argument 4: a table expected");
    }
    return raw(L);
}

int mw_uv_tcp_connect(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    permit_at(L, d, 2, 1, MW_CONNECT, r->name);
    mw_uv_callback(L, 4, r->name, 1);
    return raw(L);
}

int mw_uv_tcp_keepalive(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    if (!lua_isboolean(L, 2)) return mw_raise_inval(L, r->name, "argument 2: a boolean expected, got %s", luaL_typename(L, 2));
    if (lua_toboolean(L, 2)) mw_param_integer(L, 3, r->name, "delay", 1, 32767);
    return raw(L);
}

int mw_uv_flag(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    if (!lua_isboolean(L, 2)) return mw_raise_inval(L, r->name, "argument 2: a boolean expected, got %s", luaL_typename(L, 2));
    return raw(L);
}

/* ---- UDP -------------------------------------------------------------------------------------------------------------------- */

int mw_uv_small_integer(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    (void)d;
    mw_param_integer(L, 2, r->name, "value", 0, 255);
    return raw(L);
}

/* Flags of a bind: luv reads a number or a table of flags; ours is a number, or a table copied raw. */
int mw_uv_udp_bind(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    static const char *const flags[] = { "ipv6only", "reuseaddr" };

    permit_at(L, d, 2, 0, MW_LISTEN, r->name);
    if (lua_istable(L, 4)) {
        lua_settop(L, 4);
        lua_createtable(L, 0, 2);
        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
            lua_pushstring(L, flags[i]);
            lua_rawget(L, 4);
            lua_pushboolean(L, lua_toboolean(L, -1));
            lua_setfield(L, 5, flags[i]);
            lua_settop(L, 5);
        }
        lua_replace(L, 4);
    } else if (!lua_isnoneornil(L, 4)) {
        mw_param_integer(L, 4, r->name, "flags", 0, UV_UDP_IPV6ONLY | UV_UDP_REUSEADDR);
    }
    return raw(L);
}

/* As the rights stand now: a datagram on a connected socket goes to its peer. 0: it is not connected. */
static int permit_peer(lua_State *L, struct uv_door *d, uv_udp_t *u, const char *op) {
    struct sockaddr_storage sa;
    char text[INET6_ADDRSTRLEN] = "";
    int len = sizeof sa;

    memset(&sa, 0, sizeof sa);
    if (uv_udp_getpeername(u, (struct sockaddr *)&sa, &len) != 0) return 0;
    uv_ip_name((struct sockaddr *)&sa, text, sizeof text);
    permit(L, d, MW_CONNECT, text, (struct sockaddr *)&sa, op);
    return 1;
}

/* The socket's own address, as far as it has one. */
static void permit_hearing(lua_State *L, struct uv_door *d, uv_udp_t *u, const char *op) {
    struct sockaddr_storage sa;
    int len = sizeof sa;

    memset(&sa, 0, sizeof sa);
    if (uv_udp_getsockname(u, (struct sockaddr *)&sa, &len) != 0) memset(&sa, 0, sizeof sa); /* libuv binds it when it must */
    permit_local(L, d, &sa, op);
}

int mw_uv_udp_connect(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    uv_udp_t *u = (uv_udp_t *)mw_uv_handle(L, 1, r->name, UV_KIND(UDP));

    if (!lua_isnoneornil(L, 2) || !lua_isnoneornil(L, 3)) permit_at(L, d, 2, 1, MW_CONNECT, r->name);
    else if (uv_is_active((uv_handle_t *)u)) permit_hearing(L, d, u, r->name); /* it hears everybody then */
    lua_settop(L, 3);
    return raw(L);
}

int mw_uv_udp_send(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    uv_udp_t *u = (uv_udp_t *)mw_uv_handle(L, 1, r->name, UV_KIND(UDP));
    size_t len = data_at(L, 2, r->name);
    int full = too_much(L, uv_udp_get_send_queue_size(u), len);

    if (full) return full;
    lua_settop(L, 5);                                                  /* luv wants nil, and leaks where it raises */
    if (strcmp(r->name, "udp_send") == 0) mw_uv_callback(L, 5, r->name, 1);
    if (!lua_isnil(L, 3) || !lua_isnil(L, 4)) permit_at(L, d, 3, 1, MW_CONNECT, r->name);
    else if (!permit_peer(L, d, u, r->name)) return mw_uv_fail(L, -EDESTADDRREQ);
    return raw(L);
}

/* A connected socket hears its peer alone. Any other one hears everybody, also where a send has bound it: that is listening. */
int mw_uv_udp_recv_start(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    uv_udp_t *u = (uv_udp_t *)mw_uv_handle(L, 1, r->name, UV_KIND(UDP));
    struct sockaddr_storage peer;
    int len = sizeof peer;

    mw_uv_callback(L, 2, r->name, 0);
    if (uv_udp_getpeername(u, (struct sockaddr *)&peer, &len) != 0) permit_hearing(L, d, u, r->name);
    return raw(L);
}

int mw_uv_udp_membership(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    const char *group = mw_param_text(L, 2, r->name, "group", 256, NULL);
    int last = strcmp(r->name, "udp_set_membership") == 0 ? 4 : 5;
    struct sockaddr_storage sa;

    memset(&sa, 0, sizeof sa);
    if (uv_ip4_addr(group, 0, (struct sockaddr_in *)&sa) != 0 && uv_ip6_addr(group, 0, (struct sockaddr_in6 *)&sa) != 0)
        return mw_raise_inval(L, r->name, "argument 2: a numeric address expected");
    permit(L, d, MW_LISTEN, group, (struct sockaddr *)&sa, r->name);
    for (int i = 3; i < last; i++) {
        if (!lua_isnoneornil(L, i)) mw_param_text(L, i, r->name, "address", 256, NULL);
    }
    mw_param_text(L, last, r->name, "membership", 16, NULL);
    return raw(L);
}

/* ---- Names of hosts --------------------------------------------------------------------------------------------------------- */

/* The option table at idx: a raw copy takes its place. */
static void copy_hints(lua_State *L, int idx, const char *op) {
    static const char *const known[] = { "family", "socktype", "protocol", "addrconfig", "v4mapped", "all", "numerichost",
                                         "passive", "numericserv", "canonname" };

    lua_createtable(L, 0, 4);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        lua_pushstring(L, known[i]);
        if (lua_rawget(L, idx) == LUA_TNIL) {
            lua_pop(L, 1);
            continue;
        }
        if (i >= 3) {
            lua_pushboolean(L, lua_toboolean(L, -1));
            lua_replace(L, -2);
        } else if (lua_type(L, -1) == LUA_TSTRING) {
            mw_param_text(L, -1, op, known[i], 16, NULL);
        } else {
            mw_param_integer(L, -1, op, known[i], 0, 255);
        }
        lua_setfield(L, -2, known[i]);
    }
    lua_replace(L, idx);
}

/* Without a callback luv stops the loop until the answer comes: for whoever has all rights. */
static void need_callback(lua_State *L, struct uv_door *d, int idx, const char *op) {
    if (lua_isnoneornil(L, idx) && mw_uv_total(d)) return;
    if (lua_isnoneornil(L, idx)) mw_raise_inval(L, op, "argument %d: a callback expected: the loop does not wait", idx);
    mw_uv_callback(L, idx, op, 0);
}

int mw_uv_getaddrinfo(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    const char *host = "localhost";
    struct mw_err err;

    lua_settop(L, 4);
    if (!lua_isnil(L, 1)) host = mw_param_text(L, 1, r->name, "host", 256, NULL);
    if (lua_isinteger(L, 2)) {                                         /* luv wants text, and changes numbers in place */
        mw_param_integer(L, 2, r->name, "service", 0, PORT_MAX);
        lua_tolstring(L, 2, NULL);
    }
    if (!lua_isnil(L, 2)) mw_param_text(L, 2, r->name, "service", 64, NULL);
    if (lua_isnil(L, 1) && lua_isnil(L, 2)) return mw_raise_inval(L, r->name, "a host or a service expected");
    if (lua_istable(L, 3)) copy_hints(L, 3, r->name);
    else if (!lua_isnil(L, 3)) return mw_raise_inval(L, r->name, "argument 3: a table expected");
    need_callback(L, d, 4, r->name);
    if (mw_permit_host(mw_host_policy(d->host), MW_CONNECT, host, 0, r->name, &err) < 0) return mw_raise(L, &err);
    return mw_uv_pooled(L, d, 4, raw);
}

int mw_uv_getnameinfo(lua_State *L, struct uv_door *d, const struct uv_rule *r, lua_CFunction raw) {
    static const char *const known[] = { "ip", "port", "family" };
    struct sockaddr_storage sa;
    const char *ip = "0.0.0.0";
    struct mw_err err;

    lua_settop(L, 2);
    if (!lua_istable(L, 1)) return mw_raise_inval(L, r->name, "argument 1: a table expected");
    need_callback(L, d, 2, r->name);
    lua_createtable(L, 0, 3);                                          /* [hints cb copy] */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        lua_pushstring(L, known[i]);
        if (lua_rawget(L, 1) != LUA_TNIL && i == 1) mw_param_integer(L, -1, r->name, "port", 0, PORT_MAX);
        if (i == 0 && !lua_isnil(L, -1)) ip = mw_param_text(L, -1, r->name, "ip", 64, NULL);
        if (i == 2 && !lua_isnil(L, -1) && lua_type(L, -1) != LUA_TSTRING) mw_param_integer(L, -1, r->name, "family", 0, 255);
        lua_setfield(L, 3, known[i]);
    }
    lua_replace(L, 1);
    if (uv_ip4_addr(ip, 0, (struct sockaddr_in *)&sa) != 0 && uv_ip6_addr(ip, 0, (struct sockaddr_in6 *)&sa) != 0)
        return mw_raise_inval(L, r->name, "ip: a numeric address expected");
    if (mw_permit_host(mw_host_policy(d->host), MW_CONNECT, ip, 0, r->name, &err) < 0) return mw_raise(L, &err);
    return mw_uv_pooled(L, d, 2, raw);
}
