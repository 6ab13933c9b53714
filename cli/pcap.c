/*
 * A program over the packets of a capture: each packet is one run, its verdict is counted, and what passed is written
 * out as the program left it. Raw IP packets get an Ethernet header in front, since the programs expect one. A packet
 * that traps is counted and does not end the walk; the first trap is shown.
 */
#include "cli/run.h"
#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ETH_HEADER = 14, MAX_VERDICTS = 64, BAR_WIDTH = 40, OUT_SNAPLEN = 262144 };

struct verdict {
    uint32_t retval;
    uint64_t packets, bytes;
};

struct walk {
    struct run *r;
    pcap_t *in;
    pcap_dumper_t *out;
    pcap_t *out_link;
    bool raw_ip;
    unsigned char *packet, *data_out; /* OUT_SNAPLEN + room each */
    struct verdict verdicts[MAX_VERDICTS];
    uint32_t n_verdicts;
    struct verdict others, trapped, refused;
    uint64_t packets, bytes, written, ns;
    /* The progress bar: nothing in the first second, then a few times a second. */
    uint64_t begun, drawn;
    uint64_t file_size;
    bool bar;
};

/* ---- The progress bar ---- */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void draw(struct walk *w)
{
    enum { SECOND = 1000000000, PAUSE = 100000000 };
    uint64_t now = now_ns();
    if (now - w->begun < SECOND || now - w->drawn < PAUSE)
        return;
    w->drawn = now;
    FILE *file = pcap_file(w->in);
    long at = file ? ftell(file) : -1;
    int done = at > 0 && w->file_size ? (int)((uint64_t)at * BAR_WIDTH / w->file_size) : 0;
    done = done > BAR_WIDTH ? BAR_WIDTH : done;
    char bar[BAR_WIDTH + 1];
    memset(bar, '#', (size_t)done);
    memset(bar + done, '.', (size_t)(BAR_WIDTH - done));
    bar[BAR_WIDTH] = 0;
    fprintf(stderr, "\r[%s] %3d%% %" PRIu64 " packets ", bar, done * 100 / BAR_WIDTH, w->packets);
}

static void wipe(const struct walk *w)
{
    if (w->bar && w->drawn)
        fputs("\r\033[K", stderr);
}

/* ---- Verdicts ---- */

static struct verdict *verdict_of(struct walk *w, uint32_t retval)
{
    for (uint32_t i = 0; i < w->n_verdicts; i++)
        if (w->verdicts[i].retval == retval)
            return &w->verdicts[i];
    if (w->n_verdicts == MAX_VERDICTS)
        return &w->others;
    w->verdicts[w->n_verdicts].retval = retval;
    return &w->verdicts[w->n_verdicts++];
}

static void count(struct verdict *v, uint32_t bytes)
{
    v->packets++;
    v->bytes += bytes;
}

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

/* ---- One packet ---- */

static const unsigned char *with_ethernet(struct walk *w, const unsigned char *data, uint32_t *len)
{
    if (!w->raw_ip)
        return data;
    memset(w->packet, 0, ETH_HEADER);
    bool v6 = *len && data[0] >> 4 == 6;
    w->packet[12] = v6 ? 0x86 : 0x08;
    w->packet[13] = v6 ? 0xdd : 0x00;
    memcpy(w->packet + ETH_HEADER, data, *len);
    *len += ETH_HEADER;
    return w->packet;
}

static void write_packet(struct walk *w, const struct pcap_pkthdr *header, const struct skep_run_opts *o)
{
    uint32_t len = o->data_size_out;
    if (!w->out || !passes(skep_program__type(w->r->prog), o->retval, &len))
        return;
    /* What the capture had cut off stays cut off. */
    uint32_t cut = header->len > header->caplen ? header->len - header->caplen : 0;
    struct pcap_pkthdr h = {.ts = header->ts, .caplen = len, .len = len + cut};
    pcap_dump((unsigned char *)w->out, &h, w->data_out);
    w->written++;
}

static void show_trap(struct walk *w, const struct skep_trap *trap)
{
    char where[64];
    wipe(w);
    snprintf(where, sizeof(where), "packet %" PRIu64, w->packets);
    /* In JSON the open array of events comes first; the trap follows with the counts. */
    if (!w->r->c->json)
        trap_show(w->r, trap, where);
}

static int one(struct walk *w, const struct pcap_pkthdr *header, const unsigned char *data, struct skep_trap *trap)
{
    uint32_t len = header->caplen;
    data = with_ethernet(w, data, &len);
    struct skep_trap here = {.sz = sizeof(here)};
    SKEP_OPTS(skep_run_opts, opts, .data_in = data, .data_size_in = len, .data_out = w->out ? w->data_out : NULL,
              .data_size_out = w->out ? OUT_SNAPLEN + CLI_OUT_ROOM : 0, .repeat = (int)w->r->o->repeat, .trap = &here);
    int status = run_context(w->r, &opts);
    if (status)
        return status;
    uint64_t time = UINT64_MAX;
    if (w->r->o->time_pcap)
        time = (uint64_t)header->ts.tv_sec * 1000000000 + (uint64_t)header->ts.tv_usec;
    w->packets++;
    w->bytes += len;
    int err = run_once(w->r, &opts, time);
    if (err == -EFAULT) {
        if (!w->trapped.packets) {
            *trap = here;
            show_trap(w, trap);
        }
        count(&w->trapped, len);
    } else if (err && err != -ENOSPC) {
        count(&w->refused, len);
        if (w->refused.packets == 1)
            cli_warn(w->r->c, "packet %" PRIu64 " (%u bytes) cannot be given to program '%s': %s", w->packets, len,
                     skep_program__name(w->r->prog), strerror(-err));
    } else {
        count(verdict_of(w, opts.retval), len);
        w->ns += opts.duration;
        write_packet(w, header, &opts);
    }
    return 0;
}

/* ---- The table ---- */

/* Packets whose run came to its end. */
static uint64_t ran(const struct walk *w)
{
    return w->packets - w->trapped.packets - w->refused.packets;
}

static int by_retval(const void *a, const void *b)
{
    const struct verdict *x = a, *y = b;
    return x->retval < y->retval ? -1 : x->retval > y->retval;
}

static void json_verdict(struct walk *w, const struct verdict *v, const char *name, bool number)
{
    struct json_writer *j = &w->r->c->w;
    json_object_begin(j);
    if (number)
        json_u64_at(j, "retval", v->retval);
    if (name)
        json_str_at(j, "verdict", name);
    json_u64_at(j, "packets", v->packets);
    json_u64_at(j, "bytes", v->bytes);
    json_object_end(j);
}

static void json_table(struct walk *w, const struct skep_trap *trap)
{
    struct json_writer *j = &w->r->c->w;
    uint32_t type = skep_program__type(w->r->prog);
    json_u64_at(j, "packets", w->packets);
    json_u64_at(j, "bytes", w->bytes);
    json_name(j, "verdicts");
    json_array_begin(j);
    for (uint32_t i = 0; i < w->n_verdicts; i++)
        json_verdict(w, &w->verdicts[i], skep_prog_type_verdict(type, w->verdicts[i].retval), true);
    if (w->others.packets)
        json_verdict(w, &w->others, "others", false);
    json_array_end(j);
    json_u64_at(j, "trapped", w->trapped.packets);
    json_u64_at(j, "refused", w->refused.packets);
    if (w->out)
        json_u64_at(j, "written", w->written);
    json_u64_at(j, "duration", ran(w) ? w->ns / ran(w) : 0);
    if (w->trapped.packets)
        trap_show(w->r, trap, NULL);
}

static void print_verdict(const struct walk *w, const struct verdict *v, const char *name)
{
    char number[16];
    snprintf(number, sizeof(number), "%u", v->retval);
    printf("  %-16s %12" PRIu64 " %14" PRIu64 " %6.1f%%\n", name ? name : number, v->packets, v->bytes,
           w->packets ? 100.0 * (double)v->packets / (double)w->packets : 0);
}

static void print_table(const struct walk *w)
{
    uint32_t type = skep_program__type(w->r->prog);
    printf("  %-16s %12s %14s\n", "verdict", "packets", "bytes");
    for (uint32_t i = 0; i < w->n_verdicts; i++)
        print_verdict(w, &w->verdicts[i], skep_prog_type_verdict(type, w->verdicts[i].retval));
    if (w->others.packets)
        print_verdict(w, &w->others, "others");
    if (w->trapped.packets)
        print_verdict(w, &w->trapped, "(trapped)");
    if (w->refused.packets)
        print_verdict(w, &w->refused, "(refused)");
    printf("  %-16s %12" PRIu64 " %14" PRIu64 "\n", "total", w->packets, w->bytes);
    if (ran(w))
        printf("duration (average): %" PRIu64 "ns\n", w->ns / ran(w));
    if (w->out)
        printf("%" PRIu64 " packets written to %s\n", w->written, w->r->o->pcap_out);
}

/* ---- Opening ---- */

static int open_in(struct walk *w)
{
    char why[PCAP_ERRBUF_SIZE] = "";
    const char *path = w->r->o->pcap_in;
    struct stat st;
    w->in = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, why);
    if (!w->in)
        return strstr(why, path) ? cli_fail(w->r->c, STATUS_USAGE, "%s", why)
                                 : cli_fail(w->r->c, STATUS_USAGE, "%s: no capture: %s", path, why);
    switch (pcap_datalink(w->in)) {
    case DLT_EN10MB: break;
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6: w->raw_ip = true; break;
    default: {
        const char *link = pcap_datalink_val_to_name(pcap_datalink(w->in));
        return cli_fail(w->r->c, STATUS_USAGE, "%s: link type %s (%d) is neither Ethernet nor raw IP", path,
                        link ? link : "unknown", pcap_datalink(w->in));
    }
    }
    FILE *file = pcap_file(w->in);
    w->bar = isatty(STDERR_FILENO) && !w->r->c->json;
    w->file_size = file && !fstat(fileno(file), &st) ? (uint64_t)st.st_size : 0;
    return 0;
}

static int open_out(struct walk *w)
{
    const char *path = w->r->o->pcap_out;
    if (!path)
        return 0;
    w->out_link = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, OUT_SNAPLEN, PCAP_TSTAMP_PRECISION_NANO);
    w->out = w->out_link ? pcap_dump_open(w->out_link, path) : NULL;
    if (!w->out)
        return cli_fail(w->r->c, STATUS_USAGE, "%s: cannot be written: %s", path,
                        w->out_link ? pcap_geterr(w->out_link) : "out of memory");
    return 0;
}

static int close_out(struct walk *w)
{
    int status = 0;
    if (w->out && pcap_dump_flush(w->out))
        status = cli_fail(w->r->c, STATUS_USAGE, "%s: cannot be written: %s", w->r->o->pcap_out, strerror(errno));
    if (w->out)
        pcap_dump_close(w->out);
    if (w->out_link)
        pcap_close(w->out_link);
    return status;
}

/* ---- The walk ---- */

static int walk(struct walk *w, struct skep_trap *trap)
{
    struct pcap_pkthdr *header;
    const unsigned char *data;
    int status = 0, more = 0;
    w->begun = now_ns();
    while (!status && !*run_stop_flag() && (more = pcap_next_ex(w->in, &header, &data)) == 1) {
        if (header->caplen > OUT_SNAPLEN) {
            status = cli_fail(w->r->c, STATUS_USAGE, "%s: packet %" PRIu64 " is longer than %d bytes", w->r->o->pcap_in,
                              w->packets + 1, OUT_SNAPLEN);
            break;
        }
        status = one(w, header, data, trap);
        if (w->bar && w->packets % 64 == 0)
            draw(w);
        if (w->packets == w->r->o->packets)
            break;
    }
    wipe(w);
    if (more == PCAP_ERROR)
        status = cli_fail(w->r->c, STATUS_USAGE, "%s: after packet %" PRIu64 ": %s", w->r->o->pcap_in, w->packets,
                          pcap_geterr(w->in));
    return status;
}

static bool takes_packets(uint32_t type)
{
    enum { LWT_IN = 10, LWT_SEG6LOCAL = 19, FLOW_DISSECTOR = 22 };
    return type == SKEP_PROG_TYPE_RAW || type == SKEP_PROG_TYPE_SOCKET_FILTER || type == SKEP_PROG_TYPE_SCHED_CLS ||
           type == SKEP_PROG_TYPE_SCHED_ACT || type == SKEP_PROG_TYPE_XDP || type == SKEP_PROG_TYPE_CGROUP_SKB ||
           (type >= LWT_IN && type <= LWT_IN + 2) || type == LWT_SEG6LOCAL || type == FLOW_DISSECTOR;
}

static int walk_and_show(struct walk *w)
{
    struct cli *c = w->r->c;
    struct skep_trap trap = {.sz = sizeof(trap)};
    if (c->json) {
        json_name(&c->w, "events");
        json_array_begin(&c->w);
    }
    int status = walk(w, &trap);
    if (c->json)
        json_array_end(&c->w);
    qsort(w->verdicts, w->n_verdicts, sizeof(*w->verdicts), by_retval);
    if (c->json)
        json_table(w, &trap);
    else
        print_table(w);
    if (*run_stop_flag() && !status)
        status = cli_fail(c, STATUS_REFUSED, "stopped after packet %" PRIu64, w->packets);
    return status ? status : w->trapped.packets || w->refused.packets ? STATUS_REFUSED : STATUS_OK;
}

int pcap_run(struct run *r)
{
    struct walk w = {.r = r};
    if (!takes_packets(skep_program__type(r->prog)))
        return cli_fail(r->c, STATUS_USAGE, "program '%s' is of type %s, which sees no packets: pcap_in is not for it",
                        skep_program__name(r->prog), skep_prog_type_str(skep_program__type(r->prog)));
    w.packet = malloc(OUT_SNAPLEN + ETH_HEADER);
    w.data_out = malloc(OUT_SNAPLEN + CLI_OUT_ROOM);
    int status = w.packet && w.data_out ? open_in(&w) : cli_fail(r->c, STATUS_USAGE, "out of memory");
    if (!status)
        status = open_out(&w);
    if (!status)
        status = walk_and_show(&w);
    int closed = close_out(&w);
    if (w.in)
        pcap_close(w.in);
    free(w.packet);
    free(w.data_out);
    return status ? status : closed;
}
