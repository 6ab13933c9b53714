/* What test_api_feed.c opens for either backend: samples that the host sends, and a hash for batches. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
    __uint(type, 31 /* BPF_MAP_TYPE_USER_RINGBUF */);
    __uint(max_entries, 4096);
} feed SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, __u64);
} table SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 8);
    __type(key, __u32);
    __type(value, __u32);
} counts SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_QUEUE);
    __uint(max_entries, 8);
    __type(value, __u32);
} queue SEC(".maps");

struct sum {
    __u64 n, bytes;
};

static long (*drain)(void *map, void *fn, void *ctx, __u64 flags) = (void *)209;
static long (*dynptr_read)(void *to, __u32 len, const void *from, __u32 off, __u64 flags) = (void *)201;

volatile __u64 n, sum;
volatile __u64 stop_at;

static long each(void *dynptr, void *ctx)
{
    struct sum *s = ctx;
    __u64 value = 0;

    if (dynptr_read(&value, sizeof(value), dynptr, 0, 0))
        return 1;
    s->n++;
    s->bytes += value;
    return stop_at && value == stop_at;
}

SEC("tc")
int take(struct __sk_buff *skb)
{
    struct sum s = {};
    long got = drain(&feed, each, &s, 0);

    n += s.n;
    sum += s.bytes;
    return got;
}

char LICENSE[] SEC("license") = "GPL";
