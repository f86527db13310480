/* A game loop on SDL2: 60 frames a second, of which the script has 2 ms. Its entities are moved by game.lua, which talks to a child
 * process and to a server; half way a part of the script runs away, and frames go on.
 *     game [--frames=N] [--preempt=count|timer] [--step=40ms] [--trust] SCRIPT
 * --step: the processor time after which a part of the script that never waits is ended. --trust: children may do everything (where nothing
 * confines them, they are refused without).
 * With --frames it ends after so many, prints what they took, and fails if something did not happen. Without a display SDL's dummy driver
 * draws nowhere.
 * Knows: moonwire.h, SDL2; a thread of its own plays the server. Never: waits for the script. */
#include <SDL.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "moonwire.h"

#define WIDTH 640
#define HEIGHT 360
#define ENTITIES 64
#define FRAME_NS (1000000000u / 60)
#define BUDGET_US 2000
#define FRAMES_KEPT 36000

struct entity {
    double x, y, went;
};

struct game {
    mw_host *host;
    struct entity entities[ENTITIES];
    int listener, port;
    atomic_int over;                /* the thread is to end */
    atomic_uint told;               /* lines that the world heard */
    int64_t ready, wind, pull, tide;    /* what the script says that it heard */
    unsigned errors, limits;        /* reached the hook; of them those of a limit */
    unsigned long frames, limit;
    unsigned long preempted;        /* steps that ended with somebody cut off */
    unsigned long posts_full;
    unsigned asked, busy;           /* for the title; while a script stands still it cannot be called */
    uint64_t worst_us;
    uint32_t *over_us;              /* of each frame, beyond the budget */
    char title[128];
};

static void die(const char *what, const char *why) {
    fprintf(stderr, "game: %s: %s\n", what, why);
    exit(2);
}
static void must(int rc, const char *what, const struct mw_err *err) {
    if (rc < 0) die(what, err->message);
}
static uint64_t now_ns(void) {
    return (uint64_t)((double)SDL_GetPerformanceCounter() * 1e9 / (double)SDL_GetPerformanceFrequency());
}

/* ---- What the script may call --------------------------------------------------------------------------------------------- */

static int entity_of(struct game *g, mw_call *call, struct entity **out) {
    int64_t id;
    int rc = mw_arg_integer(call, 1, &id);

    if (rc < 0) return rc;
    if (id < 1 || id > ENTITIES) return mw_call_fail(call, MW_ENOENT, "no such entity");
    *out = &g->entities[id - 1];
    return 0;
}

static int size(mw_host *h, mw_call *call, void *ud) { /* size() -> width, height */
    int rc = mw_return_integer(call, WIDTH);
    (void)h;
    (void)ud;
    return rc < 0 ? rc : mw_return_integer(call, HEIGHT);
}
static int entities(mw_host *h, mw_call *call, void *ud) { /* entities() -> count */
    (void)h;
    (void)ud;
    return mw_return_integer(call, ENTITIES);
}
static int world(mw_host *h, mw_call *call, void *ud) { /* world() -> url */
    struct game *g = ud;
    char url[64];
    int n = snprintf(url, sizeof url, "tcp://127.0.0.1:%d", g->port);
    (void)h;
    return mw_return_string(call, url, (size_t)n);
}
static int place(mw_host *h, mw_call *call, void *ud) { /* place(id) -> x, y */
    struct entity *e;
    int rc = entity_of(ud, call, &e);

    (void)h;
    if (rc == 0) rc = mw_return_number(call, e->x);
    if (rc == 0) rc = mw_return_number(call, e->y);
    return rc;
}
static int move(mw_host *h, mw_call *call, void *ud) { /* move(id, x, y) */
    struct entity *e;
    double x, y;
    int rc = entity_of(ud, call, &e);

    (void)h;
    if (rc == 0) rc = mw_arg_number(call, 2, &x);
    if (rc == 0) rc = mw_arg_number(call, 3, &y);
    if (rc < 0) return rc;
    e->went += (x > e->x ? x - e->x : e->x - x) + (y > e->y ? y - e->y : e->y - y);
    e->x = x;
    e->y = y;
    return 0;
}

/* ---- What it says --------------------------------------------------------------------------------------------------------- */

static void on_message(mw_host *h, const char *topic, const void *msgpack, size_t len, void *ud) {
    struct game *g = ud;
    mw_view args = { msgpack, len }, one;

    (void)h;
    if (strcmp(topic, "ready") == 0) (void)mw_view_integer(&args, &g->ready);
    if (strcmp(topic, "heard") != 0) return;
    if (mw_view_find(&args, "wind", &one) == 0) (void)mw_view_integer(&one, &g->wind);
    if (mw_view_find(&args, "pull", &one) == 0) (void)mw_view_integer(&one, &g->pull);
    if (mw_view_find(&args, "tide", &one) == 0) (void)mw_view_integer(&one, &g->tide);
}
static void on_print(mw_host *h, const char *text, size_t len, void *ud) {
    (void)h;
    (void)ud;
    printf("script: %.*s", (int)len, text);
}
static void on_error(mw_host *h, const struct mw_err *err, const char *traceback, void *ud) {
    struct game *g = ud;

    (void)h;
    g->errors++;
    if (err->code == MW_ELIMIT) g->limits++;
    printf("game: a part of the script ended: %s\n%s\n", err->message, traceback);
}

/* ---- The world: a server on a thread of its own, which also posts to the script ----------------------------------------------- */

static void tide(struct game *g, int64_t level) {
    mw_buf b = { 0 };

    mw_buf_integer(&b, level);
    (void)mw_host_post(g->host, "tide", b.at, b.len, NULL); /* MW_EAGAIN: it is behind, and misses this one */
    mw_buf_free(&b);
}

static void *play_world(void *ud) {
    struct game *g = ud;
    int conn = -1;

    for (int i = 0; !atomic_load(&g->over); i++) {
        struct pollfd at = { conn >= 0 ? conn : g->listener, POLLIN, 0 };
        char text[256];

        if (poll(&at, 1, 20) > 0 && conn < 0) conn = accept(g->listener, NULL, NULL);
        else if ((at.revents & POLLIN) != 0) {
            ssize_t n = recv(conn, text, sizeof text, MSG_DONTWAIT);
            for (ssize_t k = 0; k < n; k++) if (text[k] == '\n') atomic_fetch_add(&g->told, 1);
            if (n == 0) break;
            usleep(10000);
        }
        if (conn >= 0) {
            int n = snprintf(text, sizeof text, "pull %d %d\n", WIDTH / 2 + i * 37 % 400 - 200, HEIGHT / 2 + i * 53 % 200 - 100);
            if (send(conn, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) usleep(1000);
        }
        if (i % 5 == 0) tide(g, i / 5 % 11 - 5);
    }
    if (conn >= 0) close(conn);
    return NULL;
}

static void open_world(struct game *g) {
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size_of = sizeof at;

    g->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (g->listener < 0 || bind(g->listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(g->listener, 4) < 0 ||
        getsockname(g->listener, (struct sockaddr *)&at, &size_of) < 0)
        die("the world", "no socket");
    g->port = ntohs(at.sin_port);
}

/* ---- The host -------------------------------------------------------------------------------------------------------------- */

static void open_host(struct game *g, enum mw_preempt preempt, const char *limits, int trust) {
    static const struct { const char *name; mw_host_fn *fn; } functions[] = {
        { "size", size }, { "entities", entities }, { "world", world }, { "place", place }, { "move", move } };
    struct mw_config cfg;
    struct mw_err err;
    char where[32];

    mw_config_init(&cfg);
    must(mw_policy_new(&cfg.policy, &err), "policy", &err);
    snprintf(where, sizeof where, "127.0.0.1:%d", g->port);
    must(mw_policy_add(cfg.policy, MW_CONNECT, MW_ALLOW, where, &err), "policy", &err);
    must(mw_policy_add(cfg.policy, trust ? MW_TRUST : MW_RUN, MW_ALLOW, "sh", &err), "policy", &err);
    cfg.on_print = on_print;
    cfg.on_error = on_error;
    cfg.on_message = on_message;
    cfg.ud = g;
    cfg.memory_limit = 32u << 20;
    must(mw_limits_parse(&cfg.limits, limits, &err), "--step", &err);
    cfg.preempt = preempt;
    cfg.queue = 256;
    cfg.shutdown_ms = 500;
    must(mw_host_new(&cfg, &g->host, &err), "host", &err);
    mw_policy_free(cfg.policy);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        must(mw_host_register(g->host, functions[i].name, functions[i].fn, g, &err), "register", &err);
}

/* Asked, it answers at once: a function of the script's that does not wait. */
static void ask_title(struct game *g) {
    mw_buf args = { 0 }, results = { 0 };
    const char *text;
    size_t len;
    int rc;

    mw_buf_integer(&args, (int64_t)g->frames);
    rc = mw_host_call(g->host, "title", args.at, args.len, &results, NULL);
    g->asked++;
    if (rc == MW_EAGAIN) g->busy++;
    if (rc == 0) {
        mw_view got = { results.at, results.len };
        if (mw_view_string(&got, &text, &len) == 0) snprintf(g->title, sizeof g->title, "%.*s", (int)len, text);
    }
    mw_buf_free(&args);
    mw_buf_free(&results);
}

/* Everything of one frame that is the script's. */
static void script(struct game *g, double dt) {
    struct mw_step st;
    struct mw_err err;
    mw_buf b = { 0 };
    uint64_t began, took;

    mw_buf_map(&b, 2);
    mw_buf_text(&b, "number"), mw_buf_integer(&b, (int64_t)g->frames);
    mw_buf_text(&b, "dt"), mw_buf_number(&b, dt);
    if (mw_host_post(g->host, "frame", b.at, b.len, &err) == MW_EAGAIN) g->posts_full++; /* a runaway script takes none */
    mw_buf_clear(&b);
    if (g->limit != 0 && g->frames == g->limit / 2 && mw_host_post(g->host, "mischief", NULL, 0, &err) < 0) g->posts_full++;

    began = now_ns();
    must(mw_host_step(g->host, BUDGET_US, &st, &err), "step", &err);
    took = (now_ns() - began) / 1000;
    if (!st.alive) die("the script", "has ended");
    if (st.ready > 0) g->preempted++;
    if (took > g->worst_us) g->worst_us = took;
    if (g->frames < FRAMES_KEPT) g->over_us[g->frames] = took > BUDGET_US ? (uint32_t)(took - BUDGET_US) : 0;

    mw_buf_free(&b);
    if (g->frames % 30 == 29) ask_title(g);
}

/* ---- The picture ------------------------------------------------------------------------------------------------------------ */

static void draw(SDL_Renderer *to, const struct game *g) {
    SDL_SetRenderDrawColor(to, 12, 16, 28, 255);
    SDL_RenderClear(to);
    for (int i = 0; i < ENTITIES; i++) {
        SDL_Rect r = { (int)g->entities[i].x - 3, (int)g->entities[i].y - 3, 6, 6 };
        SDL_SetRenderDrawColor(to, (Uint8)(80 + i * 2), (Uint8)(220 - i * 2), 200, 255);
        SDL_RenderFillRect(to, &r);
    }
    SDL_RenderPresent(to);
}

static int closed(void) {
    SDL_Event e;
    int quit = 0;
    while (SDL_PollEvent(&e)) quit |= e.type == SDL_QUIT;
    return quit;
}

static void play(struct game *g, SDL_Window *window, SDL_Renderer *renderer) {
    uint64_t next = now_ns(), last = next;

    while (!closed() && (g->limit == 0 || g->frames < g->limit)) {
        uint64_t now = now_ns();
        script(g, (double)(now - last) / 1e9);
        last = now;
        draw(renderer, g);
        if (g->frames % 30 == 0) SDL_SetWindowTitle(window, g->title);
        g->frames++;
        next += FRAME_NS;
        now = now_ns();
        if (now < next) SDL_Delay((Uint32)((next - now) / 1000000));
        else next = now; /* behind: no frame is made up for */
    }
}

/* ---- The sum ---------------------------------------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static int sum_up(struct game *g) {
    unsigned long kept = g->frames < FRAMES_KEPT ? g->frames : FRAMES_KEPT;
    unsigned moved = 0;
    int right;

    qsort(g->over_us, kept, sizeof *g->over_us, by_size);
    for (int i = 0; i < ENTITIES; i++) moved += g->entities[i].went > 1;
    printf("game: %lu frames; longest step %llu us; overrun of %d us at p99 %u us; %lu steps preempted; %lu frames not taken\n",
           g->frames, (unsigned long long)g->worst_us, BUDGET_US, kept > 0 ? g->over_us[kept * 99 / 100] : 0, g->preempted, g->posts_full);
    printf("game: %u of %d entities moved; heard of the wind %lld times, of the pull %lld, of tides %lld; the world heard %u lines\n",
           moved, ENTITIES, (long long)g->wind, (long long)g->pull, (long long)g->tide, atomic_load(&g->told));
    printf("game: %u errors, %u of them a limit; title: %s\n", g->errors, g->limits, g->title);
    if (g->limit == 0) return 0;
    right = g->frames == g->limit && moved == ENTITIES && g->ready == ENTITIES && g->wind > 0 && g->pull > 0 && g->tide > 0 &&
            atomic_load(&g->told) > 0 && g->preempted > 0 && g->errors == 1 && g->limits == 1 &&
            (strstr(g->title, "64 entities") != NULL || g->busy == g->asked);
    printf("game: %s\n", right ? "all right" : "something did not happen");
    return right ? 0 : 1;
}

int main(int argc, char **argv) {
    static struct game g;
    enum mw_preempt preempt = MW_PREEMPT_COUNT;
    const char *path = NULL, *limits = "step=40ms";
    struct mw_err err;
    SDL_Window *window;
    SDL_Renderer *renderer;
    pthread_t thread;
    int trust = 0, status;

    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--frames=", 9) == 0) g.limit = strtoul(argv[i] + 9, NULL, 10);
        else if (strcmp(argv[i], "--preempt=timer") == 0) preempt = MW_PREEMPT_TIMER;
        else if (strcmp(argv[i], "--preempt=count") == 0) preempt = MW_PREEMPT_COUNT;
        else if (strncmp(argv[i], "--step=", 7) == 0) limits = argv[i] + 2;
        else if (strcmp(argv[i], "--trust") == 0) trust = 1;
        else path = argv[i];
    }
    if (path == NULL) die("usage", "game [--frames=N] [--preempt=count|timer] [--step=40ms] [--trust] SCRIPT");
    if (getenv("DISPLAY") == NULL && getenv("WAYLAND_DISPLAY") == NULL) SDL_SetHint(SDL_HINT_VIDEODRIVER, "dummy");
    if (SDL_Init(SDL_INIT_VIDEO) != 0) die("SDL", SDL_GetError());
    window = SDL_CreateWindow("moonwire", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, WIDTH, HEIGHT, 0);
    renderer = window != NULL ? SDL_CreateRenderer(window, -1, SDL_RENDERER_SOFTWARE) : NULL;
    if (renderer == NULL) die("SDL", SDL_GetError());

    g.over_us = calloc(FRAMES_KEPT, sizeof *g.over_us);
    for (int i = 0; i < ENTITIES; i++) g.entities[i] = (struct entity){ i * 37 % WIDTH, i * 59 % HEIGHT, 0 };
    open_world(&g);
    open_host(&g, preempt, limits, trust);
    must(mw_host_load_file(g.host, path, &err), "load", &err);
    if (g.over_us == NULL || pthread_create(&thread, NULL, play_world, &g) != 0) die("start", "no memory, or no thread");

    play(&g, window, renderer);

    atomic_store(&g.over, 1); /* who posts from another thread ends before the host does */
    pthread_join(thread, NULL);
    mw_host_free(g.host);
    close(g.listener);
    status = sum_up(&g);
    free(g.over_us);
    SDL_DestroyRenderer(renderer);
    SDL_DestroyWindow(window);
    SDL_Quit();
    return status;
}
