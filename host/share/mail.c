/* Letters to a host: each is pushed onto a list that its thread takes whole and turns around.
 * Knows: base, core. Never: what a letter says; Lua. */
#include "share/mail.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/source.h"

struct mw_mail {
    mw_host *host;
    size_t count_max, bytes_max;
    _Atomic(struct mw_letter *) came;   /* the newest first */
    atomic_size_t count, bytes;         /* of those that are not dropped */
    atomic_int asleep, closed;
};

int mw_mail_open(mw_host *h, size_t count, size_t bytes, mw_mail **out, struct mw_err *err) {
    mw_mail *m = calloc(1, sizeof *m);

    if (m == NULL) return mw_err_set(err, MW_ENOMEM, "host", NULL, NULL);
    m->host = h;
    m->count_max = count;
    m->bytes_max = bytes;
    *out = m;
    return 0;
}

void mw_mail_close(mw_mail *m) {
    struct mw_letter *it, *next;

    atomic_store(&m->closed, 1);
    for (it = mw_mail_take(m); it != NULL; it = next) {
        next = it->next;
        mw_letter_drop(m, it);
    }
}
void mw_mail_free(mw_mail *m) {
    if (m == NULL) return;
    mw_mail_close(m);
    free(m);
}

static size_t weight(const char *topic, size_t len) {
    return sizeof(struct mw_letter) + strlen(topic) + 1 + len;
}

/* A place among the others. 0, or a code; then it took none. */
static int reserve(mw_mail *m, const char *topic, size_t size, struct mw_err *err) {
    if (size > m->bytes_max)
        return mw_err_setf(err, MW_ELIMIT, "host post", topic, "longer than all messages together may be: %zu bytes", m->bytes_max);
    if (atomic_fetch_add(&m->count, 1) >= m->count_max) {
        atomic_fetch_sub(&m->count, 1);
        return mw_err_setf(err, MW_EAGAIN, "host post", topic, "%zu messages wait, more than that are not kept", m->count_max);
    }
    if (atomic_fetch_add(&m->bytes, size) <= m->bytes_max - size) return 0;
    atomic_fetch_sub(&m->bytes, size);
    atomic_fetch_sub(&m->count, 1);
    return mw_err_setf(err, MW_EAGAIN, "host post", topic, "%zu bytes of messages wait at most", m->bytes_max);
}

static void release(mw_mail *m, size_t size) {
    atomic_fetch_sub(&m->bytes, size);
    atomic_fetch_sub(&m->count, 1);
}

int mw_mail_post(mw_mail *m, const char *topic, const void *at, size_t len, struct mw_err *err) {
    size_t name = strlen(topic) + 1, size = weight(topic, len);
    struct mw_letter *it;
    char *text;
    int rc;

    if (atomic_load(&m->closed)) return mw_err_set(err, MW_ECLOSED, "host post", topic, NULL);
    if (len > m->bytes_max) size = SIZE_MAX;
    rc = reserve(m, topic, size, err);
    if (rc < 0) return rc;
    it = malloc(size);
    if (it == NULL) {
        release(m, size);
        return mw_err_set(err, MW_ENOMEM, "host post", topic, NULL);
    }
    text = (char *)(it + 1);
    memcpy(text, topic, name);
    if (len > 0) memcpy(text + name, at, len);
    *it = (struct mw_letter){NULL, text, text + name, len, 1};
    it->next = atomic_load_explicit(&m->came, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&m->came, &it->next, it, memory_order_release, memory_order_relaxed)) {}
    mw_source_fence();
    if (atomic_load_explicit(&m->asleep, memory_order_relaxed)) mw_host_wake(m->host);
    return 0;
}

int mw_mail_waits(mw_mail *m) {
    return atomic_load_explicit(&m->came, memory_order_relaxed) != NULL;
}
void mw_mail_asleep(mw_mail *m, int asleep) {
    atomic_store_explicit(&m->asleep, asleep, memory_order_relaxed);
}

struct mw_letter *mw_mail_take(mw_mail *m) {
    struct mw_letter *it = atomic_exchange_explicit(&m->came, NULL, memory_order_acquire), *oldest = NULL;

    while (it != NULL) {
        struct mw_letter *next = it->next;
        it->next = oldest;
        oldest = it;
        it = next;
    }
    return oldest;
}

void mw_letter_drop(mw_mail *m, struct mw_letter *it) {
    size_t size = weight(it->topic, it->len);

    if (--it->refs > 0) return;
    free(it);
    release(m, size);
}
