/* The ring's protocol as a model: every interleaving of two sides, with stores that wait in a processor's buffer before others see
 * them. What share/ring.c and share/ring_wait.c do is written down here once more, step by step; without one of its two fences the
 * model must find the wake that is lost.
 * Knows: nothing of the house. Never: chance. */
#include "support/check.h"

#include <stdint.h>

enum { RECORDS = 3, BUFFER = 4, STATES = 1 << 20 };
enum { TAIL, SLEEPS, FINISHED, WORDS };             /* what both sides see */

struct store { uint8_t word, value; };
struct side {
    uint8_t at;                                     /* the step it is about to do */
    uint8_t pushed, told, seen, took;               /* its private numbers */
    uint8_t count;
    struct store buffer[BUFFER];                    /* oldest first */
};
struct state {
    uint8_t memory[WORDS], rings, alarms;           /* alarms: how often the sleeper may still wake for another reason */
    struct side push, pop;
};
struct rules { int push_fence, pop_fence; };

enum { PUSH, TELL, PUSH_FENCE, ASK, CLEAR, RING, SAY, SAY_FENCE, SAY_ASK, SAY_CLEAR, SAY_RING, PUSHED };
enum { LOOK, SLEEP, POP_FENCE, LOOK_AGAIN, ASLEEP, UP, END, POPPED };

static void put(struct side *s, int word, int value) {
    s->buffer[s->count++] = (struct store){ (uint8_t)word, (uint8_t)value };
}
/* What a side sees: its own last store, or the memory. */
static int get(const struct state *st, const struct side *s, int word) {
    for (int i = s->count; i-- > 0;)
        if (s->buffer[i].word == word) return s->buffer[i].value;
    return st->memory[word];
}
static void drain_one(struct state *st, struct side *s) {
    st->memory[s->buffer[0].word] = s->buffer[0].value;
    memmove(s->buffer, s->buffer + 1, sizeof *s->buffer * (size_t)--s->count);
    s->buffer[s->count] = (struct store){ 0, 0 };
}
static int full(const struct side *s) { return s->count == BUFFER; }

/* One step of who pushes. 0: it is through. `choice`: 1 pushes one more before it tells, as who pops does with the room that it makes. */
static int push_step(struct state *st, const struct rules *r, int choice) {
    struct side *s = &st->push;

    if (full(s) && s->at != PUSHED) return 0;       /* the processor waits until a store has gone out */
    switch (s->at) {
    case PUSH:
        if (s->pushed < RECORDS) s->pushed++;
        if (choice && s->pushed < RECORDS) return 1;
        s->at = TELL;
        return 1;
    case TELL: put(s, TAIL, s->pushed), s->at = PUSH_FENCE; return 1;
    case PUSH_FENCE:
        if (r->push_fence && s->count > 0) return 0;
        s->at = ASK;
        return 1;
    case ASK: s->at = get(st, s, SLEEPS) ? CLEAR : s->pushed < RECORDS ? PUSH : SAY; return 1;
    case CLEAR: put(s, SLEEPS, 0), s->at = RING; return 1;
    case RING:                                      /* a system call: nothing stays in the buffer */
        if (s->count > 0) return 0;
        st->rings = 1;
        s->at = s->pushed < RECORDS ? PUSH : SAY;
        return 1;
    case SAY: put(s, FINISHED, 1), s->at = SAY_FENCE; return 1;
    case SAY_FENCE:
        if (r->push_fence && s->count > 0) return 0;
        s->at = SAY_ASK;
        return 1;
    case SAY_ASK: s->at = get(st, s, SLEEPS) ? SAY_CLEAR : PUSHED; return 1;
    case SAY_CLEAR: put(s, SLEEPS, 0), s->at = SAY_RING; return 1;
    case SAY_RING:
        if (s->count > 0) return 0;
        st->rings = 1;
        s->at = PUSHED;
        return 1;
    default: return 0;
    }
}

/* Is there something to take, or the end? As mw_ring_peek: finished first, then the tail once more. */
static int look(struct state *st, struct side *s, int then, int otherwise) {
    if (get(st, s, TAIL) != s->took) {
        s->took = (uint8_t)get(st, s, TAIL);
        return then;
    }
    return get(st, s, FINISHED) ? END : otherwise;
}

static int pop_step(struct state *st, const struct rules *r) {
    struct side *s = &st->pop;

    if (full(s) && s->at != POPPED) return 0;
    switch (s->at) {
    case LOOK: s->at = (uint8_t)look(st, s, LOOK, SLEEP); return 1;
    case SLEEP: put(s, SLEEPS, 1), s->at = POP_FENCE; return 1;
    case POP_FENCE:
        if (r->pop_fence && s->count > 0) return 0;
        s->at = LOOK_AGAIN;
        return 1;
    case LOOK_AGAIN: s->at = (uint8_t)look(st, s, UP, ASLEEP); return 1;
    case ASLEEP:                                    /* in epoll: a system call */
        if (s->count > 0) return 0;
        if (st->rings) st->rings = 0;
        else if (st->alarms > 0) st->alarms--;
        else return 0;
        s->at = UP;
        return 1;
    case UP: put(s, SLEEPS, 0), s->at = LOOK; return 1;
    case END:                                       /* finished was seen: what was pushed before it is there too */
        s->took = (uint8_t)get(st, s, TAIL);
        s->at = POPPED;
        return 1;
    default: return 0;
    }
}

/* ---- All of them ------------------------------------------------------------------------------------------------------------------ */

static struct state *seen, *work;
static size_t seen_count, work_count;

static int fresh(const struct state *st) {
    uint64_t hash = 1469598103934665603u;

    for (size_t i = 0; i < sizeof *st; i++) hash = (hash ^ ((const uint8_t *)st)[i]) * 1099511628211u;
    for (size_t i = (size_t)(hash >> 20) % STATES;; i = (i + 1) % STATES) {
        if (seen[i].alarms == 0) {
            seen[i] = *st;
            seen_count++;
            return 1;
        }
        if (memcmp(&seen[i], st, sizeof *st) == 0) return 0;
    }
}

static void add(const struct state *st) {
    if (!fresh(st)) return;
    if (seen_count > STATES / 2 || work_count == STATES) abort();
    work[work_count++] = *st;
}

/* The dead ends: states in which nothing more happens and not every record was taken. alarms: 1 above how many there are, so that a
 * zeroed slot is no state. */
static size_t lost_wakes(const struct rules *r, int alarms) {
    struct state first;
    size_t lost = 0;

    seen = calloc(STATES, sizeof *seen);
    work = calloc(STATES, sizeof *work);
    if (seen == NULL || work == NULL) abort();
    memset(&first, 0, sizeof first);
    first.alarms = (uint8_t)(alarms + 1);
    seen_count = work_count = 0;
    add(&first);
    while (work_count > 0) {
        struct state st = work[--work_count], next;
        int moved = 0;
        for (int choice = 0; choice < 2; choice++) {
            next = st;
            if (push_step(&next, r, choice)) add(&next), moved = 1;
        }
        next = st;
        next.alarms--;
        if (pop_step(&next, r)) next.alarms++, add(&next), moved = 1;
        for (int i = 0; i < 2; i++) {
            next = st;
            struct side *s = i == 0 ? &next.push : &next.pop;
            if (s->count > 0) drain_one(&next, s), add(&next), moved = 1;
        }
        if (moved) continue;
        if (st.pop.at != POPPED || st.pop.took != RECORDS) lost++;
    }
    printf("# %zu states\n", seen_count);
    free(seen);
    free(work);
    return lost;
}

TEST(no_interleaving_loses_a_wake_or_a_record) {
    const struct rules both = { 1, 1 };

    CHECK(lost_wakes(&both, 0) == 0);
    CHECK(lost_wakes(&both, 2) == 0);
}

TEST(without_either_fence_the_model_finds_the_lost_wake) {
    const struct rules no_push = { 0, 1 }, no_pop = { 1, 0 }, none = { 0, 0 };

    CHECK(lost_wakes(&no_push, 0) > 0);
    CHECK(lost_wakes(&no_pop, 0) > 0);
    CHECK(lost_wakes(&none, 0) > 0);
}
