/* Traces as pcapng, for Wireshark: each thing that is traced is a TCP conversation between made-up addresses, so that "follow stream",
 * the directions and the dissectors of a real port work; processes and notes are syslog lines over UDP.
 * We are 10.0.0.1, a script child is 10.0.y.z by its pid; the other side is 10.x.y.z with x by the kind and its number, and the port that its name ends with, if any.
 * Knows: observe/trace_parts. Never: bytes that were not traced, save headers; a checksum of TCP, which nobody looks at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/trace_parts.h"

enum {
    SHB = 0x0A0D0D0A, IDB = 1, EPB = 6,
    LINK_RAW = 101,                      /* packets begin with their IP header */
    IP = 20, TCP = 20, UDP = 8, SCALE = 4,
    SEGMENT = 65535 - IP - TCP,          /* bytes of a message in one packet */
    SEGMENTS = 256,                      /* packets of one message; the rest is missing, as Wireshark will say */
    FIN = 1, SYN = 2, PSH = 8, ACK = 16,
    EVENTS = MW_PROBE_KINDS              /* the interface of processes and notes */
};

/* A pcapng file may be of either order; ours is the machine's. A packet's is the network's. */
static void u16(mw_trace *t, unsigned v) {
    uint16_t x = (uint16_t)v;
    mw_trace_add(t, &x, 2);
}
static void u32(mw_trace *t, uint32_t v) { mw_trace_add(t, &v, 4); }
static unsigned char *put16(unsigned char *at, unsigned v) {
    at[0] = (unsigned char)(v >> 8);
    at[1] = (unsigned char)v;
    return at + 2;
}
static unsigned char *put32(unsigned char *at, uint32_t v) { return put16(put16(at, v >> 16), v & 0xffff); }

static size_t padded(size_t len) { return (len + 3) & ~(size_t)3; }

static void pad(mw_trace *t, size_t len) { mw_trace_add(t, "\0\0\0", padded(len) - len); }

static void option(mw_trace *t, unsigned code, const void *at, size_t len) {
    u16(t, code);
    u16(t, (unsigned)len);
    mw_trace_add(t, at, len);
    pad(t, len);
}

static void begin(mw_trace *t) {
    static const unsigned char nanoseconds = 9;

    u32(t, SHB);
    u32(t, 44);
    u32(t, 0x1A2B3C4D);
    u16(t, 1);
    u16(t, 0);
    u32(t, 0xffffffff);
    u32(t, 0xffffffff);
    option(t, 4, "moonwire", 8);
    u32(t, 0);
    u32(t, 44);
    for (int i = 0; i <= EVENTS; i++) {
        const char *name = i < EVENTS ? mw_probe_kind_name((enum mw_probe_kind)i) : "events";
        uint32_t len = (uint32_t)(16 + 4 + padded(strlen(name)) + 8 + 4 + 4);

        u32(t, IDB);
        u32(t, len);
        u16(t, LINK_RAW);
        u16(t, 0);
        u32(t, 0);
        option(t, 2, name, strlen(name));
        option(t, 9, &nanoseconds, 1);
        u32(t, 0);
        u32(t, len);
    }
}

/* One packet: its header and `len` bytes of data out of `full`. */
static void packet(mw_trace *t, const struct mw_event *e, int interface, int send, const unsigned char *head, size_t head_len, const char *data,
                   size_t len, size_t full, const char *comment) {
    uint64_t wall = mw_trace_wall(t, e->at);
    size_t note = comment != NULL ? strlen(comment) : 0, captured = head_len + len;
    uint32_t total = (uint32_t)(28 + padded(captured) + 8 + (comment != NULL ? 4 + padded(note) : 0) + 4 + 4);

    u32(t, EPB);
    u32(t, total);
    u32(t, (uint32_t)interface);
    u32(t, (uint32_t)(wall >> 32));
    u32(t, (uint32_t)wall);
    u32(t, (uint32_t)captured);
    u32(t, (uint32_t)(head_len + full));
    mw_trace_add(t, head, head_len);
    mw_trace_add(t, data, len);
    pad(t, captured);
    option(t, 2, &(uint32_t){send ? 2 : 1}, 4);
    if (comment != NULL) option(t, 1, comment, note);
    u32(t, 0);
    u32(t, total);
}

static void ip(unsigned char *at, unsigned protocol, size_t len, uint32_t from, uint32_t to) {
    uint32_t sum = 0;

    at[0] = 0x45;
    at[1] = 0;
    put16(at + 2, (unsigned)len);
    put32(at + 4, 0x00004000);           /* no number; not to be fragmented */
    at[8] = 64;
    at[9] = (unsigned char)protocol;
    put16(at + 10, 0);
    put32(at + 12, from);
    put32(at + 16, to);
    for (int i = 0; i < IP; i += 2) sum += (uint32_t)(at[i] << 8 | at[i + 1]);
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    put16(at + 10, ~sum & 0xffff);
}

/* The port that a name ends with, or one that nothing is known to speak. */
static unsigned port_of(const char *name) {
    const char *colon = strrchr(name, ':');
    unsigned long port = colon != NULL ? strtoul(colon + 1, NULL, 10) : 0;
    return port > 0 && port < 65536 ? (unsigned)port : 50000;
}

static void segment(mw_trace *t, const struct mw_event *e, int send, unsigned flags, const char *data, size_t len, size_t full, const char *comment) {
    mw_probe *p = e->probe;
    size_t scale = flags & SYN ? SCALE : 0;
    unsigned char head[IP + TCP + SCALE], *at = head + IP;
    uint32_t us = t->o.child ? 0x0A000000 | ((uint32_t)t->o.child & 0xfffff) : 0x0A000001, them = 0x0A000000 | (uint32_t)(p->kind + 1) << 20 | (p->id & 0xfffff);
    unsigned ours = 40000 + p->id % 10000, theirs = port_of(p->name);

    ip(head, 6, IP + TCP + scale + full, send ? us : them, send ? them : us);
    at = put16(put16(at, send ? ours : theirs), send ? theirs : ours);
    at = put32(put32(at, p->sequence[!send]), flags & ACK ? p->sequence[send] : 0);
    at = put16(at, (unsigned)((TCP + scale) / 4 << 12 | flags));
    at = put32(put16(at, 65535), 0);     /* window; no checksum, nothing urgent */
    if (scale) memcpy(at, (const unsigned char[]){3, 3, 14, 0}, SCALE);       /* a window that nothing fills */
    packet(t, e, p->kind, send, head, IP + TCP + scale, data, len, full, comment);
    p->sequence[!send] += (uint32_t)(full + (flags & (SYN | FIN) ? 1 : 0));
}

static void open_(mw_trace *t, const struct mw_event *e) {
    segment(t, e, 1, SYN, "", 0, 0, e->probe->name);
    segment(t, e, 0, SYN | ACK, "", 0, 0, NULL);
    segment(t, e, 1, ACK, "", 0, 0, NULL);
}

static void close_(mw_trace *t, const struct mw_event *e) {
    segment(t, e, 1, FIN | ACK, "", 0, 0, NULL);
    segment(t, e, 0, FIN | ACK, "", 0, 0, NULL);
    segment(t, e, 1, ACK, "", 0, 0, NULL);
}

static void message(mw_trace *t, const struct mw_event *e) {
    size_t at = 0, n;
    int send = e->dir == MW_PROBE_SEND;

    for (int i = 0; i < SEGMENTS && at < e->full; i++) {
        n = e->full - at < SEGMENT ? e->full - at : SEGMENT;
        size_t kept = at < e->len ? e->len - at : 0;
        segment(t, e, send, PSH | ACK, e->data + (kept > 0 ? at : 0), kept < n ? kept : n, n, NULL);
        at += n;
    }
    e->probe->sequence[!send] += (uint32_t)(e->full - at);
}

/* A line of syslog, from ourselves. */
static void line(mw_trace *t, const struct mw_event *e, const char *text) {
    static const char begin_[] = "<14>moonwire: ";
    unsigned char head[IP + UDP + sizeof begin_];
    size_t len = strlen(text), all;

    if (len > 4096) len = 4096;
    all = UDP + sizeof begin_ - 1 + len;
    ip(head, 17, IP + all, 0x0A000001, 0x0A000002);
    put16(put16(put16(put16(head + IP, 514), 514), (unsigned)all), 0);
    memcpy(head + IP + UDP, begin_, sizeof begin_ - 1);
    packet(t, e, EVENTS, 1, head, IP + UDP + sizeof begin_ - 1, text, len, len, NULL);
}

static void process(mw_trace *t, const struct mw_event *e) {
    char text[512];
    snprintf(text, sizeof text, "process %llu %.300s: %.100s", (unsigned long long)e->task, e->text, e->what);
    line(t, e, text);
}

void mw_trace_pcapng(mw_trace *t, const struct mw_event *e) {
    switch (e->kind) {
    case MW_EVENT_BEGIN:
        if (!t->o.child) begin(t);
        return;
    case MW_EVENT_OPEN: open_(t, e); return;
    case MW_EVENT_CLOSE: close_(t, e); return;
    case MW_EVENT_MESSAGE: message(t, e); return;
    case MW_EVENT_PROCESS: process(t, e); return;
    case MW_EVENT_NOTE: line(t, e, e->text); return;
    case MW_EVENT_END:
        if (e->text != NULL) line(t, e, e->text);
        return;
    case MW_EVENT_SLICE:
        if (e->slice == MW_SLICE_SPAN) line(t, e, e->text);
        return;
    case MW_EVENT_TASK:
    case MW_EVENT_WAKE: return;
    }
}
