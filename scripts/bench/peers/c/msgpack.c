/* msgpack COUNT: reads so many messages with msgpack-c, checks what they hold, and writes each again; one in 16 lacks its type. */
#include "common.h"

#include <msgpack.h>
#include <time.h>

static const char *const kinds[] = { "greet", "task", "result", "metric" };

static void put_text(msgpack_packer *p, const char *text, size_t len) {
    msgpack_pack_str(p, len);
    msgpack_pack_str_body(p, text, len);
}

static void make(msgpack_sbuffer *out, int i) {
    msgpack_packer p;
    char text[101];

    msgpack_packer_init(&p, out, msgpack_sbuffer_write);
    msgpack_pack_map(&p, 2);
    put_text(&p, i % 16 == 15 ? "tipe" : "type", 4);
    put_text(&p, kinds[i % 4], strlen(kinds[i % 4]));
    put_text(&p, "payload", 7);
    msgpack_pack_map(&p, 4);
    put_text(&p, "id", 2);
    msgpack_pack_int(&p, i);
    put_text(&p, "name", 4);
    put_text(&p, text, (size_t)snprintf(text, sizeof text, "worker-%d", i));
    put_text(&p, "values", 6);
    msgpack_pack_array(&p, 4);
    msgpack_pack_int(&p, 1);
    msgpack_pack_double(&p, 2.5);
    msgpack_pack_int(&p, 3);
    msgpack_pack_int(&p, i);
    memset(text, 'n', 100);
    put_text(&p, "note", 4);
    put_text(&p, text, 100);
}

static const msgpack_object *field(const msgpack_object *map, const char *name) {
    size_t len = strlen(name);

    if (map == NULL || map->type != MSGPACK_OBJECT_MAP) return NULL;
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];
        if (kv->key.type == MSGPACK_OBJECT_STR && kv->key.via.str.size == len && memcmp(kv->key.via.str.ptr, name, len) == 0) return &kv->val;
    }
    return NULL;
}

static int is_text(const msgpack_object *o, size_t max) {
    return o != NULL && o->type == MSGPACK_OBJECT_STR && o->via.str.size <= max;
}

static int is_known(const msgpack_object *o) {
    if (!is_text(o, 64)) return 0;
    for (int i = 0; i < 4; i++)
        if (strlen(kinds[i]) == o->via.str.size && memcmp(kinds[i], o->via.str.ptr, o->via.str.size) == 0) return 1;
    return 0;
}

static int is_good(const msgpack_object *m, uint64_t *id) {
    const msgpack_object *payload = field(m, "payload"), *number = field(payload, "id"), *values = field(payload, "values");

    if (!is_known(field(m, "type")) || number == NULL || number->type != MSGPACK_OBJECT_POSITIVE_INTEGER) return 0;
    if (!is_text(field(payload, "name"), 64) || !is_text(field(payload, "note"), SIZE_MAX)) return 0;
    if (values == NULL || values->type != MSGPACK_OBJECT_ARRAY) return 0;
    for (uint32_t i = 0; i < values->via.array.size; i++) {
        int type = values->via.array.ptr[i].type;
        if (type != MSGPACK_OBJECT_POSITIVE_INTEGER && type != MSGPACK_OBJECT_NEGATIVE_INTEGER && type != MSGPACK_OBJECT_FLOAT64) return 0;
    }
    *id = number->via.u64;
    return 1;
}

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 0, good = 0, bad = 0;
    uint64_t sum = 0, begun, id;
    size_t written = 0;
    msgpack_sbuffer messages[64], out;
    msgpack_unpacked m;
    msgpack_packer p;

    for (int i = 0; i < 64; i++) {
        msgpack_sbuffer_init(&messages[i]);
        make(&messages[i], i);
    }
    msgpack_sbuffer_init(&out);
    msgpack_unpacked_init(&m);
    msgpack_packer_init(&p, &out, msgpack_sbuffer_write);
    begun = uv_hrtime();
    for (long i = 0; i < count; i++) {
        size_t at = 0;
        must(msgpack_unpack_next(&m, messages[i & 63].data, messages[i & 63].size, &at) == MSGPACK_UNPACK_SUCCESS, "no message");
        if (!is_good(&m.data, &id)) {
            bad++;
            continue;
        }
        msgpack_sbuffer_clear(&out);
        must(msgpack_pack_object(&p, m.data) == 0, "it could not be written");
        good++;
        sum += id;
        written += out.size;
    }
    must(good + bad == count && bad == count / 16, "other messages were refused");
    printf("result count=%ld seconds=%.6f sum=%llu bytes=%zu\n", count, (double)(uv_hrtime() - begun) / 1e9, (unsigned long long)sum, written);
    msgpack_unpacked_destroy(&m);
    return 0;
}
