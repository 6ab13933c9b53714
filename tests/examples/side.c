/*
 * An object in userspace and in the kernel, side by side: `side OBJ PCAP [MAP=HEXKEY:HEXVALUE]...` runs its one program
 * over each packet of a capture in both (BPF_PROG_TEST_RUN), and compares return value and packet after each, and what
 * stands in every map at the end. Prints `N passed, N failed, N skipped`; skips where bpf(2) is not allowed.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#define PCAP_DONT_INCLUDE_PCAP_BPF_H /* its struct bpf_insn is the classic one */
#include <pcap/pcap.h>
#include <sched.h>
#include <skep/skep.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 65536 };

static unsigned passed, failed;

static void check(bool ok, const char *what, unsigned long n)
{
    if (ok) {
        passed++;
        return;
    }
    failed++;
    printf("differs: %s %lu\n", what, n);
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
    (void)level;
    (void)fmt;
    (void)ap;
    return 0;
}

static size_t unhex(const char *text, unsigned char *out, size_t max)
{
    size_t n = 0;
    unsigned byte;

    while (n < max && sscanf(text + 2 * n, "%2x", &byte) == 1 && text[2 * n] != ':')
        out[n++] = (unsigned char)byte;
    return n;
}

/* MAP=KEY:VALUE into both. */
static bool fill(const char *arg, struct bpf_object *theirs, struct skep_object *ours)
{
    unsigned char key[64], value[1024] = {0}; /* per-CPU maps: CPU 0's, zero for the others */
    struct skep_map *map;
    char name[64];
    const char *eq = strchr(arg, '='), *colon = strchr(arg, ':');
    size_t nk, nv;

    if (!eq || !colon || eq - arg >= (long)sizeof(name))
        return false;
    snprintf(name, sizeof(name), "%.*s", (int)(eq - arg), arg);
    nk = unhex(eq + 1, key, sizeof(key));
    nv = unhex(colon + 1, value, sizeof(value));
    map = skep_object__find_map_by_name(ours, name);
    if (!map)
        return false;
    if (skep_map__is_percpu(map))
        nv = skep_map__host_value_size(map);
    return !bpf_map_update_elem(bpf_object__find_map_fd_by_name(theirs, name), key, value, 0) &&
           !skep_map__update_elem(map, key, nk, value, nv, 0);
}

static void run_both(int fd, struct skep_program *prog, const unsigned char *packet, uint32_t len, unsigned long n)
{
    static unsigned char a[ROOM], b[ROOM];
    LIBBPF_OPTS(bpf_test_run_opts, theirs, .data_in = packet, .data_size_in = len, .data_out = a,
                .data_size_out = ROOM);
    SKEP_OPTS(skep_run_opts, ours, .data_in = packet, .data_size_in = len, .data_out = b, .data_size_out = ROOM,
              .flags = SKEP_RUN_CPU);
    int their_err = bpf_prog_test_run_opts(fd, &theirs), our_err = skep_program__run(prog, &ours);

    if (their_err || our_err)
        check(their_err && our_err, "success of packet", n);
    else if (theirs.retval != ours.retval)
        check(false, "return value of packet", n);
    else
        check(theirs.data_size_out == ours.data_size_out && !memcmp(a, b, theirs.data_size_out), "bytes of packet", n);
}

/* Values of per-CPU maps count as the sum over CPUs of their 64-bit words: runs are spread differently. */
static void sum(const unsigned char *value, size_t size, size_t cpus, uint64_t *out)
{
    size_t words = (size + 7) / 8;

    memset(out, 0, words * 8);
    for (size_t c = 0; c < cpus; c++)
        for (size_t w = 0; w < words; w++) {
            uint64_t v;

            memcpy(&v, value + (c * words + w) * 8, 8);
            out[w] += v;
        }
}

static bool same_value(const struct skep_map *ours, const unsigned char *a, const unsigned char *b)
{
    size_t vs = skep_map__value_size(ours);
    uint64_t x[64], y[64];

    if (!skep_map__is_percpu(ours))
        return !memcmp(a, b, vs);
    if (vs > sizeof(x))
        return false;
    sum(a, vs, (size_t)libbpf_num_possible_cpus(), x);
    sum(b, vs, skep_map__host_value_size(ours) / ((vs + 7) / 8 * 8), y);
    return !memcmp(x, y, vs);
}

/* One check a map: the same elements with the same values. */
static void compare_map(const struct skep_map *ours, int fd)
{
    static unsigned char key[512], next[512], a[ROOM], b[ROOM];
    size_t ks = skep_map__key_size(ours);
    const void *at = NULL;
    unsigned long n = 0, mine = 0, wrong = 0;

    while (!bpf_map_get_next_key(fd, at, next)) {
        memcpy(key, next, ks);
        at = key;
        n++;
        if (bpf_map_lookup_elem(fd, key, a) ||
            skep_map__lookup_elem(ours, key, ks, b, skep_map__host_value_size(ours), 0) || !same_value(ours, a, b))
            if (!wrong++)
                printf("differs: element %lu of %s\n", n, skep_map__name(ours));
    }
    for (at = NULL; !skep_map__get_next_key(ours, at, next, ks); at = key, mine++)
        memcpy(key, next, ks);
    check(!wrong && n == mine, skep_map__name(ours), mine);
}

int main(int argc, char **argv)
{
    char why[PCAP_ERRBUF_SIZE];
    struct bpf_object *theirs;
    struct skep_object *ours;
    struct bpf_program *p;
    struct bpf_map *m;
    struct skep_map *map;
    struct pcap_pkthdr *head;
    const unsigned char *packet;
    unsigned long n = 0;
    pcap_t *pcap;
    cpu_set_t first;

    if (argc < 3)
        return 2;
    libbpf_set_print(quiet);
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof(first), &first); /* both on CPU 0 */
    theirs = bpf_object__open_file(argv[1], NULL);
    ours = skep_object__open(argv[1]);
    pcap = pcap_open_offline(argv[2], why);
    if (!theirs || !ours || !pcap || skep_object__load(ours)) {
        fprintf(stderr, "side: %s or %s cannot be opened\n", argv[1], argv[2]);
        return 2;
    }
    bpf_object__for_each_map(m, theirs) bpf_map__set_pin_path(m, NULL); /* nothing stays behind */
    if (bpf_object__load(theirs)) {
        printf("skipped: the kernel does not load %s: %s\n0 passed, 0 failed, 1 skipped\n", argv[1], strerror(errno));
        return 0;
    }
    for (int i = 3; i < argc; i++)
        check(fill(argv[i], theirs, ours), "filling a map", (unsigned long)i);
    p = bpf_object__next_program(theirs, NULL);
    while (pcap_next_ex(pcap, &head, &packet) == 1)
        run_both(bpf_program__fd(p), skep_object__find_program_by_name(ours, bpf_program__name(p)), packet,
                 head->caplen, ++n);
    for (map = NULL; (map = skep_object__next_map(ours, map));) {
        uint32_t type = skep_map__type(map);

        if (type == BPF_MAP_TYPE_RINGBUF || type == BPF_MAP_TYPE_PERF_EVENT_ARRAY)
            continue;
        bpf_object__for_each_map(m, theirs) if (!strcmp(bpf_map__name(m), skep_map__name(map)))
            compare_map(map, bpf_map__fd(m));
    }
    printf("%u passed, %u failed, 0 skipped\n", passed, failed);
    return failed != 0;
}
