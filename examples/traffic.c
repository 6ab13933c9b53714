/*
 * Packets for the examples, the same ones in a capture and on a wire.
 *
 *   traffic pcap FILE SPEC...        a capture, one packet a millisecond
 *   traffic send IFACE SPEC...       sends them by an interface
 *   traffic listen IFACE SECONDS     counts what comes in there by protocol and destination, until nothing does for so
 * long
 *
 * A SPEC is [COUNTx]PROTO:ADDRESS:PORT-ADDRESS:PORT[+BYTES] with udp or tcp as PROTO, BYTES of the whole frame (60).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ETH = 14, IP = 20, MAX = 1514, TCP = 6, UDP = 17, ROWS = 256 };

struct packet {
    unsigned count, size;
    unsigned char bytes[MAX];
};

static void put16(unsigned char *to, unsigned v)
{
    to[0] = (unsigned char)(v >> 8);
    to[1] = (unsigned char)v;
}

static unsigned header_sum(const unsigned char *p)
{
    unsigned sum = 0;
    for (int i = 0; i < IP; i += 2)
        sum += (unsigned)p[i] << 8 | p[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    return ~(sum + (sum >> 16)) & 0xffff;
}

/* Frames go to everybody, so that an interface takes them whatever its address is. */
static void build(struct packet *p, int proto, const unsigned char ends[8], unsigned from, unsigned to)
{
    unsigned char *ip = p->bytes + ETH, *l4 = ip + IP;
    memset(p->bytes, 0, sizeof(p->bytes));
    memset(p->bytes, 0xff, 6);
    p->bytes[6] = 2;
    put16(p->bytes + 12, ETHERTYPE_IP);
    ip[0] = 0x45;
    put16(ip + 2, p->size - ETH);
    ip[8] = 64;
    ip[9] = (unsigned char)proto;
    memcpy(ip + 12, ends, 8);
    put16(ip + 10, header_sum(ip));
    put16(l4, from);
    put16(l4 + 2, to);
    if (proto == TCP)
        l4[12] = 0x50, l4[13] = 2; /* five words, SYN */
    else
        put16(l4 + 4, p->size - ETH - IP);
}

static int parse(const char *spec, struct packet *p)
{
    char proto[4], source[16], target[16];
    unsigned char ends[8];
    unsigned from, to;
    int used = 0;
    p->count = 1;
    p->size = 60;
    if (sscanf(spec, "%ux%n", &p->count, &used) == 1 && used)
        spec += used;
    else
        p->count = 1;
    if (sscanf(spec, "%3[a-z]:%15[0-9.]:%u-%15[0-9.]:%u%n", proto, source, &from, target, &to, &used) != 5 ||
        inet_pton(AF_INET, source, ends) != 1 || inet_pton(AF_INET, target, ends + 4) != 1 ||
        (strcmp(proto, "udp") && strcmp(proto, "tcp")))
        return -1;
    if (spec[used] && (spec[used] != '+' || sscanf(spec + used + 1, "%u", &p->size) != 1))
        return -1;
    if (p->size < 60 || p->size > MAX || from > 65535 || to > 65535)
        return -1;
    build(p, *proto == 't' ? TCP : UDP, ends, from, to);
    return 0;
}

static int socket_at(const char *name)
{
    int fd = socket(AF_PACKET, SOCK_RAW, htons(ETHERTYPE_IP));
    struct sockaddr_ll at = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_IP), .sll_ifindex = (int)if_nametoindex(name)};
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at))) {
        perror(name);
        exit(1);
    }
    return fd;
}

static int write_pcap(const char *path, char **specs)
{
    const uint32_t head[6] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1};
    FILE *f = fopen(path, "w");
    uint32_t ms = 0;
    struct packet p;
    if (!f || fwrite(head, sizeof(head), 1, f) != 1)
        return perror(path), 1;
    for (; *specs; specs++) {
        if (parse(*specs, &p))
            return fprintf(stderr, "traffic: '%s' is no packet\n", *specs), 2;
        for (unsigned i = 0; i < p.count; i++, ms++) {
            const uint32_t record[4] = {ms / 1000, ms % 1000 * 1000, p.size, p.size};
            fwrite(record, sizeof(record), 1, f);
            fwrite(p.bytes, p.size, 1, f);
        }
    }
    return fclose(f) ? perror(path), 1 : 0;
}

static int send_all(const char *name, char **specs)
{
    int fd = socket_at(name);
    struct packet p;
    for (; *specs; specs++) {
        if (parse(*specs, &p))
            return fprintf(stderr, "traffic: '%s' is no packet\n", *specs), 2;
        for (unsigned i = 0; i < p.count; i++) {
            if (send(fd, p.bytes, p.size, 0) < 0 && errno != ENOBUFS) /* a program on the way out dropped it */
                return perror("send"), 1;
            if (i % 16 == 15)
                usleep(200);
        }
    }
    return 0;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static struct row {
    char text[48];
    unsigned n;
} rows[ROWS];
static unsigned n_rows;

static void count(const unsigned char *p, ssize_t size)
{
    const unsigned char *ip = p + ETH, *l4 = ip + (*ip & 15) * 4;
    char text[48], to[16];
    if (size < ETH + IP || !inet_ntop(AF_INET, ip + 16, to, sizeof(to)))
        return;
    if ((ip[9] == TCP || ip[9] == UDP) && l4 + 4 <= p + size)
        snprintf(text, sizeof(text), "%s to %s:%d", ip[9] == TCP ? "tcp" : "udp", to, l4[2] << 8 | l4[3]);
    else
        snprintf(text, sizeof(text), "protocol %d to %s", ip[9], to);
    unsigned i = 0;
    while (i < n_rows && strcmp(rows[i].text, text))
        i++;
    if (i == ROWS)
        return;
    n_rows += i == n_rows;
    strcpy(rows[i].text, text);
    rows[i].n++;
}

static int listen_at(const char *name, double seconds)
{
    int fd = socket_at(name);
    const struct timeval wait = {.tv_usec = 20000};
    unsigned char bytes[2048];
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    for (double end = now() + seconds; now() < end;) {
        struct sockaddr_ll from;
        socklen_t len = sizeof(from);
        ssize_t size = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &len);
        if (size > 0 && from.sll_pkttype != PACKET_OUTGOING) {
            count(bytes, size);
            end = now() + seconds;
        }
    }
    qsort(rows, n_rows, sizeof(*rows), by_text);
    for (unsigned i = 0; i < n_rows; i++)
        printf("%5u %s\n", rows[i].n, rows[i].text);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 4 && !strcmp(argv[1], "pcap"))
        return write_pcap(argv[2], argv + 3);
    if (argc >= 4 && !strcmp(argv[1], "send"))
        return send_all(argv[2], argv + 3);
    if (argc == 4 && !strcmp(argv[1], "listen"))
        return listen_at(argv[2], atof(argv[3]));
    fprintf(stderr, "usage: traffic pcap FILE SPEC... | send IFACE SPEC... | listen IFACE SECONDS\n");
    return 2;
}
