/*
 * Writes the demo's inputs: `mkdata pcap FILE` a capture of small TCP, UDP, ICMP, ARP, VLAN and IPv6 packets, some of
 * them from sources and to ports that the firewall blocks, some cut short; `mkdata sched FILE` records of the
 * tracepoint sched:sched_switch, one after the other. What is written depends on nothing but the code.
 */
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PACKETS = 1000 };

/* A small generator of our own, so that every machine writes the same bytes. */
static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static uint16_t checksum(const void *data, size_t size)
{
    const uint8_t *p = data;
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < size; i += 2)
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

static size_t put_ethernet(uint8_t *p, uint16_t proto, int vlans)
{
    static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    uint16_t tag[2] = {htons(ETHERTYPE_VLAN), htons(42)};
    size_t n = sizeof(macs);

    memcpy(p, macs, sizeof(macs));
    for (int i = 0; i < vlans; i++, n += sizeof(tag))
        memcpy(p + n, tag, sizeof(tag));
    proto = htons(proto);
    memcpy(p + n, &proto, sizeof(proto));
    return n + sizeof(proto);
}

static size_t put_ip(uint8_t *p, uint32_t source, uint8_t proto, size_t payload)
{
    struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = proto};

    ip.tot_len = htons((uint16_t)(sizeof(ip) + payload));
    ip.saddr = htonl(source);
    ip.daddr = htonl(0x0a000001);
    ip.check = checksum(&ip, sizeof(ip));
    memcpy(p, &ip, sizeof(ip));
    return sizeof(ip);
}

static size_t put_tcp(uint8_t *p, uint16_t port)
{
    struct tcphdr tcp = {.source = htons(40000), .dest = htons(port), .doff = 5, .syn = 1, .window = htons(64240)};

    memcpy(p, &tcp, sizeof(tcp));
    return sizeof(tcp);
}

static size_t put_udp(uint8_t *p, uint16_t port, size_t payload)
{
    struct udphdr udp = {.source = htons(5353), .dest = htons(port), .len = htons((uint16_t)(sizeof(udp) + payload))};

    memcpy(p, &udp, sizeof(udp));
    return sizeof(udp) + payload;
}

/* One packet in 1500 bytes of zeroes; @return its length. */
static size_t make_packet(uint8_t *p, uint32_t *random)
{
    static const uint16_t ports[] = {80, 443, 22, 23, 8080};
    uint32_t r = next_random(random), source = 0x0a000000 + 2 + r % 62;
    uint32_t payload = next_random(random) % 400, kind = next_random(random) % 20;
    size_t n;

    if (kind == 0)
        return put_ethernet(p, ETHERTYPE_ARP, 0) + 28;
    if (kind == 1)
        return put_ethernet(p, ETHERTYPE_IPV6, 0) + 40 + payload;
    n = put_ethernet(p, ETHERTYPE_IP, kind == 2 ? 1 : 0);
    if (kind == 3)
        return n + 10; /* an IP header cut short */
    if (kind < 6) {
        n += put_ip(p + n, source, IPPROTO_ICMP, payload);
        return n + payload;
    }
    if (kind < 12) {
        n += put_ip(p + n, source, IPPROTO_UDP, sizeof(struct udphdr) + payload);
        return n + put_udp(p + n, 53, payload);
    }
    n += put_ip(p + n, source, IPPROTO_TCP, sizeof(struct tcphdr) + payload);
    return n + put_tcp(p + n, ports[r % 5]) + payload;
}

static int write_pcap(const char *path)
{
    pcap_t *dead = pcap_open_dead(DLT_EN10MB, 65535);
    pcap_dumper_t *out = dead ? pcap_dump_open(dead, path) : NULL;
    uint32_t random = 1;

    if (!out) {
        fprintf(stderr, "mkdata: %s: %s\n", path, dead ? pcap_geterr(dead) : "out of memory");
        return 2;
    }
    for (int i = 0; i < PACKETS; i++) {
        uint8_t packet[1500] = {0};
        struct pcap_pkthdr head = {.ts = {1700000000 + i / 100, i % 100 * 10000}};

        head.caplen = head.len = (uint32_t)make_packet(packet, &random);
        pcap_dump((u_char *)out, &head, packet);
    }
    pcap_dump_close(out);
    pcap_close(dead);
    return 0;
}

struct sched_switch {
    uint64_t common;
    char prev_comm[16];
    int32_t prev_pid, prev_prio;
    int64_t prev_state;
    char next_comm[16];
    int32_t next_pid, next_prio;
};

static int write_sched(const char *path)
{
    static const char *const names[] = {"swapper/0", "nginx", "postgres", "sshd", "kworker/0:1"};
    FILE *out = fopen(path, "wb");
    uint32_t random = 7, at = 0;

    if (!out) {
        perror(path);
        return 2;
    }
    for (int i = 0; i < 200; i++) {
        struct sched_switch record = {.prev_prio = 120, .next_prio = 120};
        uint32_t to = (at + 1 + next_random(&random) % 4) % 5;

        snprintf(record.prev_comm, sizeof(record.prev_comm), "%s", names[at]);
        snprintf(record.next_comm, sizeof(record.next_comm), "%s", names[to]);
        record.prev_pid = at ? (int32_t)(100 * at) : 0;
        record.next_pid = to ? (int32_t)(100 * to) : 0;
        fwrite(&record, sizeof(record), 1, out);
        at = to;
    }
    return fclose(out) ? 2 : 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "pcap"))
        return write_pcap(argv[2]);
    if (argc == 3 && !strcmp(argv[1], "sched"))
        return write_sched(argv[2]);
    fprintf(stderr, "usage: mkdata pcap|sched FILE\n");
    return 2;
}
