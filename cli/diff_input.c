/*
 * What programs are tried on: the packets of a capture, a file, a context, and random ones. Random inputs depend on the
 * seed and the number alone, so that a difference can be had again. Random packets look like packets: what follows the
 * Ethernet header is IPv4 or IPv6 with TCP or UDP most of the time, or a given packet with some of its bytes changed.
 */
#include "cli/diff.h"
#include "cli/run.h"
#include "vm/abi/prog_types.h"
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PACKET = 65536, MIN_PACKET = 14, MAX_INPUTS = 1 << 20 };

static struct diff_input *add(struct diff_inputs *in)
{
    if (in->n >= MAX_INPUTS)
        return NULL;
    if (!(in->n & (in->n - 1))) { /* room doubles at powers of two */
        struct diff_input *all = realloc(in->all, (in->n ? 2 * in->n : 1) * sizeof(*all));
        if (!all)
            return NULL;
        in->all = all;
    }
    struct diff_input *one = &in->all[in->n++];
    *one = (struct diff_input){0};
    return one;
}

static bool add_data(struct diff_inputs *in, const void *data, size_t size)
{
    struct diff_input *one = add(in);
    if (!one || !(one->data = malloc(size + 1)))
        return false;
    memcpy(one->data, data, size);
    one->size = (uint32_t)size;
    return true;
}

void diff_inputs_free(struct diff_inputs *in)
{
    for (uint64_t i = 0; i < in->n; i++) {
        free(in->all[i].data);
        free(in->all[i].ctx);
    }
    free(in->all);
    *in = (struct diff_inputs){0};
}

/* ---- Files ---- */

static int from_capture(struct cli *c, const struct diff_opts *o, struct diff_inputs *in)
{
    char why[PCAP_ERRBUF_SIZE] = "";
    pcap_t *pcap = pcap_open_offline(o->pcap_in, why);
    struct pcap_pkthdr *head;
    const unsigned char *data;
    if (!pcap)
        return cli_fail(c, STATUS_USAGE, "%s: no capture: %s", o->pcap_in, why);
    int status = pcap_datalink(pcap) == DLT_EN10MB
                     ? 0
                     : cli_fail(c, STATUS_USAGE, "%s: its packets have no Ethernet header", o->pcap_in);
    while (!status && in->n < o->packets && pcap_next_ex(pcap, &head, &data) == 1)
        if (!add_data(in, data, head->caplen))
            status = cli_fail(c, STATUS_USAGE, "%s: too many packets, or out of memory", o->pcap_in);
    pcap_close(pcap);
    return status;
}

static int from_files(struct cli *c, const struct diff_opts *o, struct diff_inputs *in)
{
    struct buf data = {0}, ctx = {0};
    int status = 0;
    if (o->pcap_in)
        return from_capture(c, o, in);
    if (o->data_in)
        status = file_read(c, o->data_in, CLI_MAX_DATA, &data);
    if (!status && o->ctx_in)
        status = file_read(c, o->ctx_in, CLI_MAX_DATA, &ctx);
    if (!status && (o->data_in || o->ctx_in)) {
        struct diff_input *one = add(in);
        bool fine = one && (!o->data_in || (one->data = malloc(data.len + 1))) &&
                    (!o->ctx_in || (one->ctx = malloc(ctx.len + 1)));
        if (!fine)
            status = cli_fail(c, STATUS_USAGE, "out of memory");
        if (fine && data.len)
            memcpy(one->data, data.data, data.len);
        if (fine && ctx.len)
            memcpy(one->ctx, ctx.data, ctx.len);
        if (fine) {
            one->size = (uint32_t)data.len;
            one->ctx_size = (uint32_t)ctx.len;
        }
    }
    buf_free(&data);
    buf_free(&ctx);
    return status;
}

/* ---- Random ones ---- */

static uint64_t next(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static uint32_t below(uint64_t *state, uint32_t n)
{
    return (uint32_t)(next(state) % n);
}

static uint32_t some_size(uint64_t *state)
{
    switch (below(state, 8)) {
    case 0: return MIN_PACKET + below(state, 50);
    case 1: return 1000 + below(state, 515);
    default: return 54 + below(state, 100);
    }
}

static void put_ports(uint64_t *state, unsigned char *l4)
{
    static const uint16_t ports[] = {80, 443, 53, 22, 8080, 1024, 0, 65535};
    for (int i = 0; i < 2; i++) {
        uint16_t port = below(state, 4) ? ports[below(state, 8)] : (uint16_t)next(state);
        l4[2 * i] = (unsigned char)(port >> 8);
        l4[2 * i + 1] = (unsigned char)port;
    }
}

static void put_headers(uint64_t *state, unsigned char *p, uint32_t size)
{
    static const unsigned char types[][2] = {{8, 0}, {8, 0}, {8, 0}, {0x86, 0xdd}, {8, 6}, {0x81, 0}};
    static const unsigned char protos[] = {6, 6, 17, 17, 1, 58, 47, 4};
    const unsigned char *type = types[below(state, 6)];
    memcpy(p + 12, type, 2);
    if (type[0] == 8 && !type[1] && size >= 34) {
        uint32_t words = below(state, 8) ? 5 : 5 + below(state, 11), len = size - 14;
        p[14] = (unsigned char)(0x40 | words);
        p[16] = (unsigned char)(len >> 8);
        p[17] = (unsigned char)len;
        p[20] = p[21] = 0;
        p[23] = protos[below(state, 8)];
        if (size >= 14 + words * 4 + 4)
            put_ports(state, p + 14 + words * 4);
    } else if (type[0] == 0x86 && size >= 58) {
        p[14] = 0x60;
        p[20] = protos[below(state, 8)];
        put_ports(state, p + 54);
    }
}

static bool add_packet(uint64_t *state, struct diff_inputs *in, uint64_t given)
{
    unsigned char p[1600];
    uint32_t size;
    const struct diff_input *from = given && below(state, 2) ? &in->all[below(state, (uint32_t)given)] : NULL;
    if (from && from->size >= MIN_PACKET && from->size <= sizeof(p)) {
        size = from->size;
        memcpy(p, from->data, size);
        for (uint32_t i = 1 + below(state, 4); i; i--)
            p[below(state, size)] = (unsigned char)next(state);
        if (!below(state, 4))
            size = MIN_PACKET + below(state, size - MIN_PACKET + 1);
    } else {
        size = some_size(state);
        for (uint32_t i = 0; i < size; i++)
            p[i] = (unsigned char)next(state);
        put_headers(state, p, size);
    }
    return add_data(in, p, size);
}

/* Small numbers: what a program takes for a pointer must not be one, of Linux or of this process. */
static bool add_args(uint64_t *state, struct diff_inputs *in)
{
    uint64_t args[12];
    struct diff_input *one = add(in);
    for (int i = 0; i < 12; i++)
        args[i] = below(state, 4) ? below(state, 4096) : 0;
    if (!one || !(one->ctx = malloc(sizeof(args))))
        return false;
    memcpy(one->ctx, args, sizeof(args));
    one->ctx_size = sizeof(args);
    return true;
}

static bool sees_packets(uint32_t type)
{
    const struct prog_type *row = prog_type_find(type);
    return row && row->ctx && (row->ctx->packet || type == PROG_TYPE_SOCKET_FILTER);
}

/* What programs get that see packets, when none is given: UDP. */
static const unsigned char packet[64] = {2, 0, 0, 0,  0,  1, 2, 0,  0, 0, 0, 2,  8, 0, 0x45, 0,    0,    50, 0,
                                         0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,    0x30, 0x39, 0,  53};

/* Each context of the world, beside the packet that the files gave. */
static bool from_world(const struct diff_opts *o, uint32_t type, const char *section, struct diff_inputs *in)
{
    SKEP_OPTS(skep_context, context, .data = NULL);
    for (uint32_t i = 0; o->world && !skep_world__context(o->world, section, i, &context); i++) {
        struct diff_input first = in->n ? in->all[0] : (struct diff_input){0};
        struct diff_input *one = i || !in->n ? add(in) : &in->all[0];
        const void *data = first.data ? first.data : sees_packets(type) ? packet : NULL;
        uint32_t size = first.data ? first.size : sizeof(packet);
        if (one && !one->data && data && (one->data = malloc(size + 1))) {
            memcpy(one->data, data, size);
            one->size = size;
        }
        if (!one || !(one->ctx = malloc(context.size + 1)))
            return false;
        memcpy(one->ctx, context.data, context.size);
        one->ctx_size = context.size;
    }
    return true;
}

int diff_inputs_make(struct cli *c, const struct diff_opts *o, uint32_t type, const char *section,
                     struct diff_inputs *out)
{
    int status = from_files(c, o, out);
    bool fine = status || o->ctx_in || o->pcap_in || from_world(o, type, section, out);
    uint64_t given = out->n;
    for (uint64_t i = 0; i < o->random && fine && !status; i++) {
        uint64_t state = o->seed * 0x100000001b3 + i;
        fine = sees_packets(type) ? add_packet(&state, out, given) : add_args(&state, out);
    }
    if (fine && !status && !out->n) {
        fine = sees_packets(type) ? add_data(out, packet, sizeof(packet)) : add(out) != NULL;
    }
    return status || fine ? status : cli_fail(c, STATUS_USAGE, "out of memory");
}
