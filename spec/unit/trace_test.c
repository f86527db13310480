/* Traces: the bytes of the formats, their bounds, and what is told of what was lost.
 * Knows: observe/trace. Never: a file. */
#include "support/check.h"

#include "observe/trace.h"

static mw_trace *trace(enum mw_trace_format format, size_t payload, uint64_t max) {
    struct mw_trace_options o = {.format = format, .payload = payload, .max = max};
    mw_trace *t = NULL;
    CHECK(mw_trace_new(&o, &t) == 0);
    return t;
}

/* All that was written, as a string. */
static char *take(mw_trace *t, size_t *len) {
    struct mw_bytes q = {0};
    char *out;

    mw_trace_take(t, &q);
    *len = mw_bytes_len(&q);
    out = malloc(*len + 1);
    memcpy(out, mw_bytes_at(&q), *len);
    out[*len] = 0;
    mw_bytes_free(&q);
    return out;
}

static uint32_t u32(const char *at) {
    uint32_t v;
    memcpy(&v, at, 4);
    return v;
}

TEST(a_format_is_told_by_its_ending) {
    enum mw_trace_format f;
    CHECK(mw_trace_format_of("a.pcapng", &f) == 0 && f == MW_TRACE_PCAPNG);
    CHECK(mw_trace_format_of("x/a.jsonl", &f) == 0 && f == MW_TRACE_LINES);
    CHECK(mw_trace_format_of("a.trace.json", &f) == 0 && f == MW_TRACE_CHROME);
    CHECK(mw_trace_format_of("-", &f) == 0 && f == MW_TRACE_DUMP);
    CHECK(mw_trace_format_of("stderr", &f) == 0 && f == MW_TRACE_DUMP);
    CHECK(mw_trace_format_of(".jsonl", &f) < 0);
    CHECK(mw_trace_format_of("a.json", &f) < 0);
    CHECK(mw_trace_format_of("", &f) < 0);
}

/* Every block says its length at both ends; every packet fits into its block, is an IP packet of its length, and its times go up. */
TEST(pcapng_is_made_of_whole_blocks) {
    mw_trace *t = trace(MW_TRACE_PCAPNG, 100, 0);
    mw_probe *p = mw_probe_new(t, MW_PROBE_STREAM, "tcp://127.0.0.1:6379");
    static char big[200000];
    size_t len, at = 0, packets = 0, bytes = 0;
    uint64_t last = 0;
    char *all;

    mw_probe_message(p, MW_PROBE_SEND, "hello", 5, 1);
    mw_probe_message(p, MW_PROBE_RECV, big, sizeof big, 1);
    mw_trace_process(t, "true", 7, "started");
    mw_probe_free(p);
    mw_trace_end(t, "over");
    all = take(t, &len);
    CHECK(u32(all) == 0x0A0D0D0A && u32(all + 8) == 0x1A2B3C4D);
    while (at < len) {
        uint32_t type = u32(all + at), size = u32(all + at + 4);
        CHECK(size % 4 == 0 && at + size <= len && u32(all + at + size - 4) == size);
        if (type == 6) {
            uint32_t captured = u32(all + at + 20), original = u32(all + at + 24);
            const unsigned char *ip = (const unsigned char *)all + at + 28;
            uint64_t when = (uint64_t)u32(all + at + 12) << 32 | u32(all + at + 16);
            uint32_t sum = 0;
            CHECK(captured <= original && captured + 32 <= size && ip[0] == 0x45);
            CHECK((uint32_t)(ip[2] << 8 | ip[3]) == original);
            for (int i = 0; i < 20; i += 2) sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
            CHECK((sum & 0xffff) + (sum >> 16) == 0xffff);
            CHECK(when >= last);
            last = when;
            packets++;
            if (ip[9] == 6) bytes += original - 20 - (size_t)(ip[32] >> 4) * 4;
        }
        at += size;
    }
    CHECK(packets == 3 + 1 + 4 + 1 + 3 + 1);      /* a handshake, a message, one of four packets, a process, an end, a note */
    CHECK(bytes == 5 + sizeof big);
    free(all);
    mw_trace_release(t);
}

TEST(json_says_text_as_text_and_other_bytes_as_digits) {
    mw_trace *t = trace(MW_TRACE_LINES, 6, 0);
    mw_probe *p = mw_probe_new(t, MW_PROBE_CHANNEL, "a \"name\"\n\xff");
    size_t len;
    char *all;

    mw_probe_message(p, MW_PROBE_SEND, "\"\\\n\t\x01", 5, 3);
    mw_probe_message(p, MW_PROBE_RECV, "\xff\0", 2, 0);
    mw_probe_message(p, MW_PROBE_RECV, "12345\xc3\xa4", 7, 0);          /* cut in the middle of a character */
    all = take(t, &len);
    CHECK(strstr(all, "\"name\":\"a \\\"name\\\"\\n\\ufffd\"") != NULL);
    CHECK(strstr(all, "\"dir\":\"send\",\"bytes\":5,\"task\":3,\"data\":\"\\\"\\\\\\n\\t\\u0001\"}\n") != NULL);
    CHECK(strstr(all, "\"bytes\":2,\"hex\":\"ff00\"}\n") != NULL);
    CHECK(strstr(all, "\"bytes\":7,\"data\":\"12345\",\"cut\":true}\n") != NULL);
    free(all);
    mw_probe_free(p);
    mw_trace_release(t);
}

TEST(a_dump_obeys_no_terminal) {
    mw_trace *t = trace(MW_TRACE_DUMP, 64, 0);
    mw_probe *p = mw_probe_new(t, MW_PROBE_STREAM, "x\033[2J");
    size_t len;
    char *all;

    mw_probe_message(p, MW_PROBE_SEND, "\033[2Jabcdefghijklmnopq", 21, 0);
    all = take(t, &len);
    for (size_t i = 0; i < len; i++) CHECK((unsigned char)all[i] >= 0x20 || all[i] == '\n');
    CHECK(strstr(all, "  000010  6d 6e 6f 70 71                                    |mnopq|\n") != NULL);
    free(all);
    mw_probe_free(p);
    mw_trace_release(t);
}

TEST(chrome_events_are_an_array_that_may_be_cut) {
    mw_trace *t = trace(MW_TRACE_CHROME, 64, 0);
    size_t len;
    char *all;

    CHECK(mw_trace_wants_tasks(t));
    mw_trace_task(t, 1, "main");
    mw_trace_slice(t, 1, MW_SLICE_RUN, NULL, mw_trace_now());
    mw_trace_wake(t, 1, 2);
    mw_trace_end(t, NULL);
    all = take(t, &len);
    CHECK(strncmp(all, "[\n{", 3) == 0);
    CHECK(strcmp(all + len - 4, "}\n]\n") == 0);
    CHECK(strstr(all, "\"ph\":\"s\"") != NULL && strstr(all, "\"ph\":\"f\"") != NULL);
    free(all);
    mw_trace_release(t);
}

TEST(a_trace_keeps_within_its_bounds_and_says_what_is_missing) {
    mw_trace *t = trace(MW_TRACE_LINES, 4096, 64 << 10);
    mw_probe *p = mw_probe_new(t, MW_PROBE_STREAM, "s");
    static char some[4096];
    uint64_t bytes, events, lost;
    size_t len, total = 0;
    char *all;

    memset(some, 'x', sizeof some);
    for (int i = 0; i < 50; i++) mw_probe_message(p, MW_PROBE_SEND, some, sizeof some, 0);
    all = take(t, &len);
    CHECK(len <= 64 << 10 && strstr(all, "size limit") != NULL && mw_trace_ended(t));
    free(all);
    mw_probe_free(p);
    mw_trace_release(t);

    t = trace(MW_TRACE_LINES, 4096, 0);
    p = mw_probe_new(t, MW_PROBE_STREAM, "s");
    for (int i = 0; i < 5000; i++) mw_probe_message(p, MW_PROBE_SEND, some, sizeof some, 0);
    all = take(t, &total);
    CHECK(total < MW_TRACE_HELD + 8192);
    free(all);
    mw_probe_message(p, MW_PROBE_SEND, some, 1, 0);
    all = take(t, &len);
    CHECK(strstr(all, "events are missing here") != NULL);
    mw_trace_counts(t, &bytes, &events, &lost);
    CHECK(events == 5002 && lost > 0 && bytes >= total + len);
    free(all);
    mw_probe_free(p);
    mw_trace_break(t, -ENOSPC);
    CHECK(mw_trace_trouble(t) == -ENOSPC && mw_trace_trouble(t) == 0);
    mw_trace_release(t);
}
