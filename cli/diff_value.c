/* Where two values differ: both are shown as JSON through their types, and the two trees are walked side by side. */
#include "cli/diff.h"
#include <inttypes.h>
#include <string.h>

struct pair {
    unsigned n, max;
    void (*on)(void *ctx, const char *path, const char *a, const char *b);
    void *ctx;
};

static void text_of(const struct json *v, char *out, size_t room)
{
    switch (v ? v->kind : JSON_NULL) {
    case JSON_NULL: snprintf(out, room, "%s", v ? "null" : "-"); break;
    case JSON_BOOL: snprintf(out, room, "%s", v->boolean ? "true" : "false"); break;
    case JSON_INT:
        if (v->negative)
            snprintf(out, room, "%" PRId64, (int64_t)v->integer);
        else
            snprintf(out, room, "%" PRIu64, v->integer);
        break;
    case JSON_DOUBLE: snprintf(out, room, "%g", v->number); break;
    case JSON_STRING: snprintf(out, room, "%s", v->string); break;
    default: snprintf(out, room, "%s of %zu", v->kind == JSON_ARRAY ? "list" : "struct", v->length); break;
    }
}

static bool same(const struct json *a, const struct json *b)
{
    if (!a || !b || a->kind != b->kind)
        return a == b;
    switch (a->kind) {
    case JSON_NULL: return true;
    case JSON_BOOL: return a->boolean == b->boolean;
    case JSON_INT: return a->integer == b->integer && a->negative == b->negative;
    case JSON_DOUBLE: return !memcmp(&a->number, &b->number, sizeof(a->number));
    case JSON_STRING: return a->length == b->length && !memcmp(a->string, b->string, a->length);
    default: return false;
    }
}

static void differ(struct pair *p, const char *path, const struct json *a, const struct json *b)
{
    char x[160], y[160];
    if (p->n++ >= p->max)
        return;
    text_of(a, x, sizeof(x));
    text_of(b, y, sizeof(y));
    p->on(p->ctx, path, x, y);
}

/* The reader bounds the depth. */
static void walk(struct pair *p, const char *path, const struct json *a, const struct json *b)
{
    char below[256];
    if (!a || !b || a->kind != b->kind || (a->kind != JSON_ARRAY && a->kind != JSON_OBJECT)) {
        if (!same(a, b))
            differ(p, path, a, b);
        return;
    }
    size_t n = a->length > b->length ? a->length : b->length;
    for (size_t i = 0; i < n; i++) {
        const struct json *x = i < a->length ? a->items[i] : NULL, *y = i < b->length ? b->items[i] : NULL;
        if (a->kind == JSON_OBJECT && x)
            snprintf(below, sizeof(below), "%s.%s", path, a->names[i]);
        else
            snprintf(below, sizeof(below), "%s[%zu]", path, i);
        walk(p, below, x, y);
    }
}

unsigned diff_json(const char *a, const char *b, unsigned max,
                   void (*on)(void *ctx, const char *path, const char *a, const char *b), void *ctx)
{
    struct arena arena = {.limit = 64u << 20};
    const struct json *x, *y;
    struct pair p = {.max = max, .on = on, .ctx = ctx};
    if (json_parse(&arena, a, strlen(a), NULL, &x) || json_parse(&arena, b, strlen(b), NULL, &y)) {
        p.n = 1;
        on(ctx, "", a, b);
    } else {
        walk(&p, "", x, y);
    }
    arena_free(&arena);
    return p.n;
}

/* ---- Packets ---- */

struct place {
    uint32_t off, size;
    const char *name;
};

static const struct place eth[] = {{0, 6, "eth.dst"}, {6, 6, "eth.src"}, {12, 2, "eth.type"}},
                          ip4[] = {{0, 1, "ip.ihl"},  {1, 1, "ip.tos"}, {2, 2, "ip.len"},   {4, 2, "ip.id"},
                                   {6, 2, "ip.frag"}, {8, 1, "ip.ttl"}, {9, 1, "ip.proto"}, {10, 2, "ip.check"},
                                   {12, 4, "ip.src"}, {16, 4, "ip.dst"}},
                          ip6[] = {{0, 4, "ip6.flow"}, {4, 2, "ip6.len"},  {6, 1, "ip6.next"},
                                   {7, 1, "ip6.hops"}, {8, 16, "ip6.src"}, {24, 16, "ip6.dst"}},
                          tcp[] = {{0, 2, "tcp.src"},    {2, 2, "tcp.dst"},    {4, 4, "tcp.seq"},
                                   {8, 4, "tcp.ack"},    {12, 2, "tcp.flags"}, {14, 2, "tcp.window"},
                                   {16, 2, "tcp.check"}, {18, 2, "tcp.urgent"}},
                          udp[] = {{0, 2, "udp.src"}, {2, 2, "udp.dst"}, {4, 2, "udp.len"}, {6, 2, "udp.check"}};

static bool find(const struct place *places, size_t n, uint32_t off, char *out, size_t room)
{
    for (size_t i = 0; i < n; i++)
        if (off >= places[i].off && off - places[i].off < places[i].size)
            return snprintf(out, room, "%s", places[i].name), true;
    return false;
}
#define FIND(places, off) find((places), sizeof(places) / sizeof(*(places)), (off), out, room)

void diff_packet_field(const unsigned char *data, uint32_t size, uint32_t off, char *out, size_t room)
{
    enum { ETH = 14, TCP = 6, UDP = 17 };
    *out = 0;
    if (off < ETH || size < ETH) {
        FIND(eth, off);
        return;
    }
    bool v4 = data[12] == 0x08 && !data[13], v6 = data[12] == 0x86 && data[13] == 0xdd;
    uint32_t header = v4 && size > ETH ? (data[ETH] & 15) * 4u : 40, proto = 0;
    if ((!v4 && !v6) || size < ETH + header || header < 20)
        return;
    proto = v4 ? data[ETH + 9] : data[ETH + 6];
    off -= ETH;
    if (off < header) {
        if (v4)
            FIND(ip4, off);
        else
            FIND(ip6, off);
    } else if (proto == TCP) {
        FIND(tcp, off - header);
    } else if (proto == UDP) {
        FIND(udp, off - header);
    }
}
