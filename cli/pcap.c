/*
 * A program over the packets of a capture. Raw IP packets get an Ethernet header in front, since the programs expect
 * one; what passed is written out as the program left it. A packet that traps or does not fit is counted and does not
 * end the walk.
 */
#include "cli/walk.h"
#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ETH_HEADER = 14, OUT_SNAPLEN = 262144, OUT_ROOM = OUT_SNAPLEN + CLI_OUT_ROOM };

struct capture {
    struct walk walk;
    struct run *r;
    pcap_t *in;
    uint64_t file_size;
    bool raw_ip;
    pcap_t *out_link;
    pcap_dumper_t *out;
    uint64_t written;
    unsigned char *packet, *data_out; /* OUT_ROOM: a packet and room to grow */
};

/* ---- One packet ---- */

/* Does the packet go on, and how much of it? */
static bool passes(uint32_t type, uint32_t retval, uint32_t *len)
{
    enum { XDP_PASS = 2, XDP_TX = 3, XDP_REDIRECT = 4, TC_SHOT = 2, TC_STOLEN = 4, TC_QUEUED = 5, TC_TRAP = 8 };
    switch (type) {
    case SKEP_PROG_TYPE_XDP: return retval == XDP_PASS || retval == XDP_TX || retval == XDP_REDIRECT;
    case SKEP_PROG_TYPE_SCHED_CLS:
    case SKEP_PROG_TYPE_SCHED_ACT:
        return retval != TC_SHOT && retval != TC_STOLEN && retval != TC_QUEUED && retval != TC_TRAP;
    case SKEP_PROG_TYPE_SOCKET_FILTER: *len = retval < *len ? retval : *len; return retval;
    default: return retval;
    }
}

static const unsigned char *with_ethernet(struct capture *p, const unsigned char *data, uint32_t *len)
{
    if (!p->raw_ip)
        return data;
    memset(p->packet, 0, ETH_HEADER);
    bool v6 = *len && data[0] >> 4 == 6;
    p->packet[12] = v6 ? 0x86 : 0x08;
    p->packet[13] = v6 ? 0xdd : 0x00;
    memcpy(p->packet + ETH_HEADER, data, *len);
    *len += ETH_HEADER;
    return p->packet;
}

static void write_packet(struct capture *p, const struct pcap_pkthdr *header, const struct skep_run_opts *o)
{
    uint32_t len = o->data_size_out < OUT_ROOM ? o->data_size_out : OUT_ROOM;
    if (!p->out || !passes(skep_program__type(p->r->prog), o->retval, &len))
        return;
    /* What the capture had cut off stays cut off. */
    uint32_t cut = header->len > header->caplen ? header->len - header->caplen : 0;
    struct pcap_pkthdr h = {.ts = header->ts, .caplen = len, .len = len + cut};
    pcap_dump((unsigned char *)p->out, &h, p->data_out);
    p->written++;
}

static int one(struct capture *p, const struct pcap_pkthdr *header, const unsigned char *data)
{
    uint32_t len = header->caplen;
    data = with_ethernet(p, data, &len);
    SKEP_OPTS(skep_run_opts, opts, .data_in = data, .data_size_in = len, .data_out = p->out ? p->data_out : NULL,
              .data_size_out = p->out ? OUT_ROOM : 0);
    int status = run_context(p->r, &opts);
    if (status)
        return status;
    uint64_t time = UINT64_MAX;
    if (p->r->o->time_pcap)
        time = (uint64_t)header->ts.tv_sec * 1000000000 + (uint64_t)header->ts.tv_usec;
    if (walk_step(&p->walk, &opts, time, len))
        write_packet(p, header, &opts);
    return 0;
}

/* ---- Opening and closing ---- */

static int open_in(struct capture *p)
{
    char why[PCAP_ERRBUF_SIZE] = "";
    const char *path = p->r->o->pcap_in;
    struct stat st;
    p->in = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, why);
    if (!p->in)
        return strstr(why, path) ? cli_fail(p->r->c, STATUS_USAGE, "%s", why)
                                 : cli_fail(p->r->c, STATUS_USAGE, "%s: no capture: %s", path, why);
    switch (pcap_datalink(p->in)) {
    case DLT_EN10MB: break;
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6: p->raw_ip = true; break;
    default: {
        const char *link = pcap_datalink_val_to_name(pcap_datalink(p->in));
        return cli_fail(p->r->c, STATUS_USAGE, "%s: link type %s (%d) is neither Ethernet nor raw IP", path,
                        link ? link : "unknown", pcap_datalink(p->in));
    }
    }
    FILE *file = pcap_file(p->in);
    p->file_size = file && !fstat(fileno(file), &st) ? (uint64_t)st.st_size : 0;
    return 0;
}

static int open_out(struct capture *p)
{
    const char *path = p->r->o->pcap_out;
    if (!path)
        return 0;
    p->out_link = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, OUT_SNAPLEN, PCAP_TSTAMP_PRECISION_NANO);
    p->out = p->out_link ? pcap_dump_open(p->out_link, path) : NULL;
    if (!p->out)
        return cli_fail(p->r->c, STATUS_USAGE, "%s: cannot be written: %s", path,
                        p->out_link ? pcap_geterr(p->out_link) : "out of memory");
    return 0;
}

static int close_out(struct capture *p)
{
    int status = 0;
    if (p->out && pcap_dump_flush(p->out))
        status = cli_fail(p->r->c, STATUS_USAGE, "%s: cannot be written: %s", p->r->o->pcap_out, strerror(errno));
    if (p->out)
        pcap_dump_close(p->out);
    if (p->out_link)
        pcap_close(p->out_link);
    return status;
}

/* ---- The walk ---- */

static void progress(struct capture *p)
{
    FILE *file = pcap_file(p->in);
    long at = file ? ftell(file) : -1;
    if (at > 0)
        walk_progress(&p->walk, (uint64_t)at, p->file_size);
}

static int packets(struct capture *p)
{
    const struct run_opts *o = p->r->o;
    struct pcap_pkthdr *header;
    const unsigned char *data;
    int status = 0, more = 0;
    while (!status && !*run_stop_flag() && (more = pcap_next_ex(p->in, &header, &data)) == 1) {
        if (header->caplen > OUT_SNAPLEN)
            return cli_fail(p->r->c, STATUS_USAGE, "%s: packet %" PRIu64 " is longer than %d bytes", o->pcap_in,
                            p->walk.tally.inputs + 1, OUT_SNAPLEN);
        status = one(p, header, data);
        if (p->walk.tally.inputs % 64 == 0)
            progress(p);
        if (p->walk.tally.inputs == o->packets)
            break;
    }
    if (more == PCAP_ERROR)
        status = cli_fail(p->r->c, STATUS_USAGE, "%s: after packet %" PRIu64 ": %s", o->pcap_in, p->walk.tally.inputs,
                          pcap_geterr(p->in));
    return status;
}

static void show_written(const struct capture *p)
{
    if (!p->out)
        return;
    if (p->r->c->json)
        json_u64_at(&p->r->c->w, "written", p->written);
    else
        printf("%" PRIu64 " packets written to %s\n", p->written, p->r->o->pcap_out);
}

static bool takes_packets(uint32_t type)
{
    enum { LWT_IN = 10, LWT_XMIT = 12, LWT_SEG6LOCAL = 19, FLOW_DISSECTOR = 22 };
    return type == SKEP_PROG_TYPE_RAW || type == SKEP_PROG_TYPE_SOCKET_FILTER || type == SKEP_PROG_TYPE_SCHED_CLS ||
           type == SKEP_PROG_TYPE_SCHED_ACT || type == SKEP_PROG_TYPE_XDP || type == SKEP_PROG_TYPE_CGROUP_SKB ||
           (type >= LWT_IN && type <= LWT_XMIT) || type == LWT_SEG6LOCAL || type == FLOW_DISSECTOR;
}

int pcap_run(struct run *r)
{
    struct capture p = {.r = r};
    if (!takes_packets(skep_program__type(r->prog)))
        return cli_fail(r->c, STATUS_USAGE, "program '%s' is of type %s, which sees no packets: pcap_in is not for it",
                        skep_program__name(r->prog), skep_prog_type_str(skep_program__type(r->prog)));
    p.packet = malloc(OUT_SNAPLEN + ETH_HEADER);
    p.data_out = malloc(OUT_ROOM);
    int status = p.packet && p.data_out ? open_in(&p) : cli_fail(r->c, STATUS_USAGE, "out of memory");
    if (!status)
        status = open_out(&p);
    if (!status) {
        walk_begin(&p.walk, r, "packet", "packets");
        status = walk_end(&p.walk, packets(&p));
        show_written(&p);
    }
    int closed = close_out(&p);
    if (p.in)
        pcap_close(p.in);
    free(p.packet);
    free(p.data_out);
    return status ? status : closed;
}
