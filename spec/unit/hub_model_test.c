/* A model of how threads wake each other (share/hub.c) and make each other wait (share/queue.c): every interleaving of their steps, with
 * stores that the processor may hold back, is tried. Nothing that came is left lying while the one that it is for sleeps.
 * Knows: nothing of ours: the steps are written down here as they stand there. Never: a thread. */
#include "support/check.h"

#include <stdint.h>

#define MESSAGES 3
#define ROOM 1                  /* of the queue, in the second model */

enum var { TAIL, NEWS, LIST, ASLEEP, BELL, TAKEN, STARVING, POKED, VARS };

/* What the model weakens: a store that others may see later than the loads that follow it. */
enum weak { NONE = 0, WEAK_TAIL = 1, WEAK_NEWS = 2, WEAK_ASLEEP = 4, WEAK_TAKEN = 8, WEAK_STARVING = 16, NO_SECOND_LOOK = 32 };

struct thread {
    uint8_t pc, seen, count;            /* count: messages put, or taken */
    uint8_t held, held_var, held_value; /* a store that is not seen by others yet */
};
struct state {
    uint8_t mem[VARS];
    struct thread t[2];
};

struct model {
    void (*step)(struct state *, struct thread *, int weak);
    unsigned weak;
    struct state *todo;
    size_t todo_count, todo_room;
    struct state *known;                /* open addressing; mem[0] == 0xff: free */
    size_t known_count, known_room;
    int lost, ended;
};

/* ---- Memory -------------------------------------------------------------------------------------------------------------- */

static uint8_t load(const struct state *s, const struct thread *t, enum var v) {
    return t->held && t->held_var == v ? t->held_value : s->mem[v];
}
static void flush(struct state *s, struct thread *t) {
    if (t->held) s->mem[t->held_var] = t->held_value;
    t->held = t->held_var = t->held_value = 0;
}
/* With sequential consistency nothing is held back. */
static void store(struct state *s, struct thread *t, enum var v, uint8_t value, int may_hold) {
    flush(s, t);
    if (may_hold) {
        t->held = 1;
        t->held_var = v;
        t->held_value = value;
    } else {
        s->mem[v] = value;
    }
}
static uint8_t exchange(struct state *s, struct thread *t, enum var v, uint8_t value) {
    uint8_t was;
    flush(s, t);
    was = s->mem[v];
    s->mem[v] = value;
    return was;
}

/* ---- The first: news for a hub --------------------------------------------------------------------------------------------- */

enum { PUT, ASK_NEWS, SET_NEWS, LIST_IT, ASK_ASLEEP, TAKE_ASLEEP, RING, DONE };

static void sender(struct state *s, struct thread *t, int weak) { /* mw_queue_put, mw_port_poke */
    uint8_t next = t->count < MESSAGES ? PUT : DONE;

    switch (t->pc) {
    case PUT:
        t->count++;
        store(s, t, TAIL, t->count, weak & WEAK_TAIL);
        t->pc = ASK_NEWS;
        break;
    case ASK_NEWS: t->pc = load(s, t, NEWS) ? next : SET_NEWS; break;
    case SET_NEWS: t->pc = exchange(s, t, NEWS, 1) ? next : LIST_IT; break;
    case LIST_IT:
        exchange(s, t, LIST, 1);
        t->pc = ASK_ASLEEP;
        break;
    case ASK_ASLEEP: t->pc = load(s, t, ASLEEP) ? TAKE_ASLEEP : next; break;
    case TAKE_ASLEEP: t->pc = exchange(s, t, ASLEEP, 0) ? RING : next; break;
    case RING:
        exchange(s, t, BELL, 1);
        t->pc = next;
        break;
    default: break;
    }
}

enum { UP, LOOK, TAKE_LIST, CLEAR_NEWS, READ, SLEEP, LOOK_AGAIN, BLOCKED };

static void receiver(struct state *s, struct thread *t, int weak) { /* hub look and sleeps, mw_queue_next */
    switch (t->pc) {
    case UP:
        store(s, t, ASLEEP, 0, 0);
        t->pc = LOOK;
        break;
    case LOOK: t->pc = load(s, t, LIST) ? TAKE_LIST : SLEEP; break;
    case TAKE_LIST:
        exchange(s, t, LIST, 0);
        t->pc = CLEAR_NEWS;
        break;
    case CLEAR_NEWS:
        store(s, t, NEWS, 0, weak & WEAK_NEWS);
        t->pc = READ;
        break;
    case READ:
        t->count = load(s, t, TAIL);
        t->pc = UP;
        break;
    case SLEEP:
        store(s, t, ASLEEP, 1, weak & WEAK_ASLEEP);
        t->pc = weak & NO_SECOND_LOOK ? BLOCKED : LOOK_AGAIN;
        break;
    case LOOK_AGAIN: t->pc = load(s, t, LIST) ? TAKE_LIST : BLOCKED; break;
    case BLOCKED: /* the kernel's wait: a system call holds nothing back */
        if (exchange(s, t, BELL, 0)) t->pc = UP;
        break;
    default: break;
    }
}

static void news_step(struct state *s, struct thread *t, int weak) {
    if (t == &s->t[0]) sender(s, t, weak);
    else receiver(s, t, weak);
}

/* ---- The second: room in a queue ------------------------------------------------------------------------------------------- */

enum { ROOM_ASK, STARVE, ROOM_AGAIN, UNSTARVE, WAIT_ROOM, FULL_PUT, ALL_PUT };

static void putter(struct state *s, struct thread *t, int weak) { /* mw_queue_room, mw_queue_starve */
    switch (t->pc) {
    case ROOM_ASK: t->pc = t->count == MESSAGES ? ALL_PUT : t->count - load(s, t, TAKEN) < ROOM ? FULL_PUT : STARVE; break;
    case STARVE:
        store(s, t, STARVING, 1, weak & WEAK_STARVING);
        t->pc = ROOM_AGAIN;
        break;
    case ROOM_AGAIN: t->pc = t->count - load(s, t, TAKEN) < ROOM ? UNSTARVE : WAIT_ROOM; break;
    case UNSTARVE:
        store(s, t, STARVING, 0, 0);
        t->pc = FULL_PUT;
        break;
    case WAIT_ROOM: /* parked: the poke is the first model's */
        if (exchange(s, t, POKED, 0)) t->pc = ROOM_ASK;
        break;
    case FULL_PUT:
        t->count++;
        store(s, t, TAIL, t->count, 0);
        t->pc = ROOM_ASK;
        break;
    default: break;
    }
}

enum { TAKE_ONE, TELL, ASK_STARVING, TAKE_STARVING, POKE };

static void taker(struct state *s, struct thread *t, int weak) { /* mw_queue_next, mw_queue_settle */
    switch (t->pc) {
    case TAKE_ONE:
        if (load(s, t, TAIL) == t->count) break;
        t->count++;
        t->pc = TELL;
        break;
    case TELL:
        store(s, t, TAKEN, t->count, weak & WEAK_TAKEN);
        t->pc = ASK_STARVING;
        break;
    case ASK_STARVING: t->pc = load(s, t, STARVING) ? TAKE_STARVING : TAKE_ONE; break;
    case TAKE_STARVING: t->pc = exchange(s, t, STARVING, 0) ? POKE : TAKE_ONE; break;
    case POKE:
        exchange(s, t, POKED, 1);
        t->pc = TAKE_ONE;
        break;
    default: break;
    }
}

static void room_step(struct state *s, struct thread *t, int weak) {
    if (t == &s->t[0]) putter(s, t, weak);
    else taker(s, t, weak);
}

/* ---- All interleavings ------------------------------------------------------------------------------------------------------ */

static size_t hash(const struct state *s) {
    const unsigned char *at = (const unsigned char *)s;
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < sizeof *s; i++) h = (h ^ at[i]) * 1099511628211u;
    return (size_t)(h ^ h >> 29);
}

static int insert(struct state *table, size_t room, const struct state *s) {
    size_t i = hash(s) & (room - 1);

    while (table[i].mem[0] != 0xff) {
        if (memcmp(&table[i], s, sizeof *s) == 0) return 0;
        i = (i + 1) & (room - 1);
    }
    table[i] = *s;
    return 1;
}

static void visit(struct model *m, const struct state *s) {
    if (2 * m->known_count >= m->known_room) {
        size_t room = m->known_room * 2;
        struct state *table = malloc(room * sizeof *table);
        REQUIRE(table != NULL);
        memset(table, 0xff, room * sizeof *table);
        for (size_t i = 0; i < m->known_room; i++)
            if (m->known[i].mem[0] != 0xff) insert(table, room, &m->known[i]);
        free(m->known);
        m->known = table;
        m->known_room = room;
    }
    if (!insert(m->known, m->known_room, s)) return;
    m->known_count++;
    if (m->todo_count == m->todo_room) {
        m->todo_room *= 2;
        m->todo = realloc(m->todo, m->todo_room * sizeof *m->todo);
        REQUIRE(m->todo != NULL);
    }
    m->todo[m->todo_count++] = *s;
}

/* Runs it; returns how many states there are. *lost: ends in which nobody can go on and not everything has been taken. */
static size_t explore(void (*step)(struct state *, struct thread *, int), unsigned weak, int *lost, int *ended) {
    struct model m = {.step = step, .weak = weak, .todo_room = 64, .known_room = 1024};
    struct state first;
    size_t states;

    m.todo = malloc(m.todo_room * sizeof *m.todo);
    m.known = malloc(m.known_room * sizeof *m.known);
    REQUIRE(m.todo != NULL && m.known != NULL);
    memset(m.known, 0xff, m.known_room * sizeof *m.known);
    memset(&first, 0, sizeof first);
    visit(&m, &first);
    while (m.todo_count > 0) {
        struct state now = m.todo[--m.todo_count];
        int stuck = 1;
        for (int i = 0; i < 2; i++) {
            struct state next = now;
            step(&next, &next.t[i], (int)weak);
            if (memcmp(&next, &now, sizeof now) != 0) {
                visit(&m, &next);
                stuck = 0;
            }
            next = now;
            if (!next.t[i].held) continue;
            flush(&next, &next.t[i]);
            visit(&m, &next);
            stuck = 0;
        }
        if (!stuck) continue;
        m.ended++;
        if (now.t[0].count != MESSAGES || now.t[1].count != MESSAGES) m.lost++;
    }
    *lost = m.lost;
    *ended = m.ended;
    states = m.known_count;
    free(m.todo);
    free(m.known);
    return states;
}

TEST(nothing_that_was_sent_is_left_lying_while_the_receiver_sleeps) {
    int lost, ended;
    size_t states = explore(news_step, NONE, &lost, &ended);

    CHECK(states > 100 && ended > 0);
    CHECK(lost == 0);
}

TEST(each_store_of_a_wake_has_to_be_seen_before_the_load_that_follows) {
    static const unsigned weak[] = {WEAK_TAIL, WEAK_NEWS, WEAK_ASLEEP, NO_SECOND_LOOK};

    for (size_t i = 0; i < sizeof weak / sizeof *weak; i++) {
        int lost, ended;
        explore(news_step, weak[i], &lost, &ended);
        if (lost == 0) check_fail(__FILE__, __LINE__, "the model finds nothing wrong with %u", weak[i]);
    }
}

TEST(nobody_waits_for_room_that_is_there) {
    int lost, ended;
    size_t states = explore(room_step, NONE, &lost, &ended);

    CHECK(states > 50 && ended > 0);
    CHECK(lost == 0);
}

TEST(each_store_of_a_wait_for_room_has_to_be_seen_too) {
    static const unsigned weak[] = {WEAK_TAKEN, WEAK_STARVING};

    for (size_t i = 0; i < sizeof weak / sizeof *weak; i++) {
        int lost, ended;
        explore(room_step, weak[i], &lost, &ended);
        if (lost == 0) check_fail(__FILE__, __LINE__, "the model finds nothing wrong with %u", weak[i]);
    }
}
