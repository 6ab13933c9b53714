/*
 * What the tests of attachment let happen: `skepwork calls N` calls getppid() and work_here() N times, `burn MS` keeps
 * a CPU busy, `capture FILE` writes a capture of UDP packets, `send IFACE FILE` sends it, `count IFACE MS` counts those
 * packets that come in, `udp` sends one datagram to the loopback interface, `tcp [CONTROL]` makes a connection there
 * and sends 80 KB over it with that congestion control, `points N` passes a static tracepoint N times.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 60, OURS = 4242 };

__attribute__((noinline)) int work_here(int n);
int work_here(int n)
{
    __asm__ volatile("" ::: "memory");
    return n + 1;
}

static int calls(int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++) {
        syscall(SYS_getppid);
        sum += work_here(i);
    }
    return sum < 0;
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int burn(uint64_t ms)
{
    for (uint64_t end = now_ms() + ms; now_ms() < end;)
        work_here(1);
    return 0;
}

/* 40 packets to drop, 30 to pass, 20 to send back, 10 to redirect. */
static void packet(unsigned char p[SIZE], int i)
{
    static const int many[] = {40, 30, 20, 10};
    int port = 1001;
    for (int n = i; port < 1004 && n >= many[port - 1001]; port++)
        n -= many[port - 1001];
    memset(p, 0, SIZE);
    memset(p, 0xff, 6);
    p[6] = 2;
    p[12] = 8;
    p[14] = 0x45;
    p[17] = SIZE - 14;
    p[22] = 64;
    p[23] = 17;
    memcpy(p + 26, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
    uint32_t sum = 0;
    for (int k = 14; k < 34; k += 2)
        sum += (uint32_t)p[k] << 8 | p[k + 1];
    sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
    p[24] = (unsigned char)(sum >> 8), p[25] = (unsigned char)sum;
    p[34] = OURS >> 8, p[35] = OURS & 255;
    p[36] = (unsigned char)(port >> 8), p[37] = (unsigned char)port;
    p[39] = SIZE - 34;
}

static int capture(const char *path)
{
    const uint32_t head[6] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1};
    FILE *f = fopen(path, "w");
    unsigned char p[SIZE];
    if (!f)
        return 1;
    fwrite(head, sizeof(head), 1, f);
    for (int i = 0; i < 100; i++) {
        const uint32_t record[4] = {0, (uint32_t)i, SIZE, SIZE};
        packet(p, i);
        fwrite(record, sizeof(record), 1, f);
        fwrite(p, SIZE, 1, f);
    }
    return fclose(f);
}

static int packets_at(const char *name, int protocol)
{
    int fd = socket(AF_PACKET, SOCK_RAW, htons((uint16_t)protocol));
    struct sockaddr_ll at = {
        .sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol), .sll_ifindex = (int)if_nametoindex(name)};
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
        perror(name), exit(1);
    return fd;
}

static int send_all(const char *name)
{
    int fd = packets_at(name, ETH_P_IP);
    unsigned char p[SIZE];
    for (int i = 0; i < 100; i++) {
        packet(p, i);
        if (send(fd, p, SIZE, 0) != SIZE && errno != ENOBUFS) /* dropped by a program on the way out */
            return perror("send"), 1;
        usleep(200);
    }
    return 0;
}

static int count(const char *name, uint64_t ms)
{
    int fd = packets_at(name, ETH_P_ALL), n = 0;
    struct timeval wait = {.tv_usec = 50000};
    unsigned char p[2048];
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    for (uint64_t end = now_ms() + ms; now_ms() < end;) {
        struct sockaddr_ll from;
        socklen_t len = sizeof(from);
        ssize_t got = recvfrom(fd, p, sizeof(p), 0, (struct sockaddr *)&from, &len);
        n += got == SIZE && from.sll_pkttype != PACKET_OUTGOING && p[34] == OURS >> 8 && p[35] == (OURS & 255);
    }
    printf("%d\n", n);
    return 0;
}

static int udp(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    return sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) != 1;
}

static int tcp(const char *control)
{
    enum { CHUNK = 4096, CHUNKS = 20 };
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    char bytes[CHUNK] = {0};
    int one = 1, server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    if (setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
        bind(server, (struct sockaddr *)&at, sizeof(at)) || listen(server, 1) ||
        getsockname(server, (struct sockaddr *)&at, &len))
        return perror("server"), 1;
    if (control && setsockopt(client, IPPROTO_TCP, TCP_CONGESTION, control, (socklen_t)strlen(control)))
        return perror(control), 1;
    if (connect(client, (struct sockaddr *)&at, sizeof(at)))
        return perror("connect"), 1;
    int peer = accept(server, NULL, NULL);
    for (int i = 0; i < CHUNKS; i++) {
        if (write(client, bytes, CHUNK) != CHUNK)
            return perror("write"), 1;
        for (ssize_t got = 0, n; got < CHUNK; got += n)
            if ((n = read(peer, bytes, CHUNK)) <= 0)
                return perror("read"), 1;
    }
    return 0;
}

/* What <sys/sdt.h> makes of STAP_PROBE1(skepwork, point, n): a nop, and a note that tells where it is and what stands
 * where. */
static int points(long n)
{
#if defined __x86_64__ || defined __aarch64__
#ifdef __x86_64__
#define OPERAND "-8@%0"
#else
#define OPERAND "-8@%x0"
#endif
    for (long i = 1; i <= n; i++)
        __asm__ volatile("990: nop\n"
                         ".pushsection .note.stapsdt, \"\", \"note\"\n"
                         ".balign 4\n"
                         ".4byte 992f - 991f, 994f - 993f, 3\n"
                         "991: .asciz \"stapsdt\"\n"
                         "992: .balign 4\n"
                         "993: .8byte 990b, _.stapsdt.base, 0\n"
                         ".asciz \"skepwork\"\n"
                         ".asciz \"point\"\n"
                         ".asciz \"" OPERAND "\"\n"
                         "994: .balign 4\n"
                         ".popsection\n"
                         ".ifndef _.stapsdt.base\n"
                         ".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, comdat\n"
                         ".weak _.stapsdt.base\n"
                         ".hidden _.stapsdt.base\n"
                         "_.stapsdt.base: .space 1\n"
                         ".size _.stapsdt.base, 1\n"
                         ".popsection\n"
                         ".endif\n" ::"r"(i));
    return 0;
#else
    return n < 0 ? 1 : 2;
#endif
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "", *a = argc > 2 ? argv[2] : "0", *b = argc > 3 ? argv[3] : "0";
    if (!strcmp(what, "calls"))
        return calls(atoi(a));
    if (!strcmp(what, "burn"))
        return burn(strtoull(a, NULL, 0));
    if (!strcmp(what, "capture"))
        return capture(a);
    if (!strcmp(what, "send"))
        return send_all(a);
    if (!strcmp(what, "count"))
        return count(a, strtoull(b, NULL, 0));
    if (!strcmp(what, "udp"))
        return udp();
    if (!strcmp(what, "tcp"))
        return tcp(argc > 2 ? a : NULL);
    if (!strcmp(what, "points"))
        return points(atol(a));
    return 2;
}
