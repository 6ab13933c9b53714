/*
 * Maps and helpers as programs use them: each program does one thing OPS times, and the program of the same name with
 * _none does everything else that it does. A program returns how often the thing succeeded.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum { OPS = 64, FILLED = 1024, LRU = 1024 };

struct key64 {
    __u64 word[8];
};

#define HASH_MAP(name, kind, key_type, size)                                                                           \
    struct {                                                                                                           \
        __uint(type, kind);                                                                                            \
        __uint(max_entries, size);                                                                                     \
        __type(key, key_type);                                                                                         \
        __type(value, __u64);                                                                                          \
    } name SEC(".maps")

HASH_MAP(hash8, BPF_MAP_TYPE_HASH, __u64, 4 * FILLED);
HASH_MAP(hash64, BPF_MAP_TYPE_HASH, struct key64, 4 * FILLED);
HASH_MAP(lru, BPF_MAP_TYPE_LRU_HASH, __u64, LRU);
HASH_MAP(lru_full, BPF_MAP_TYPE_LRU_HASH, __u64, LRU);
HASH_MAP(array, BPF_MAP_TYPE_ARRAY, __u32, 256);
HASH_MAP(ports, BPF_MAP_TYPE_HASH, __u16, 64);

struct inner {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 256);
    __type(key, __u64);
    __type(value, __u64);
} inner SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
    __uint(max_entries, 8);
    __type(key, __u32);
    __array(values, struct inner);
} outer SEC(".maps") = {.values = {[1] = &inner}};

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 20);
} ring SEC(".maps");

int tail_call(struct xdp_md *ctx);

struct {
    __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
    __uint(max_entries, 2);
    __uint(key_size, sizeof(__u32));
    __array(values, int(struct xdp_md *));
} progs SEC(".maps") = {.values = {[1] = (void *)&tail_call}};

/* What the compiler may not know, and must have in a register or in memory. */
#define HIDE(x)  asm volatile("" : "+r"(x))
#define KEEP(at) asm volatile("" : : "r"(at) : "memory")

#define EACH _Pragma("clang loop unroll(disable)") for (__u64 i = 0; i < OPS; i++)

/* One operation and its twin: `made` says what is before it, `done` is true when it went well. */
#define PATH(name, made, done)                                                                                         \
    SEC("xdp") int name(struct xdp_md *ctx)                                                                            \
    {                                                                                                                  \
        __u64 n = 0;                                                                                                   \
                                                                                                                       \
        EACH                                                                                                           \
        {                                                                                                              \
            made;                                                                                                      \
            if (done)                                                                                                  \
                n++;                                                                                                   \
        }                                                                                                              \
        return n;                                                                                                      \
    }                                                                                                                  \
    SEC("xdp") int name##_none(struct xdp_md *ctx)                                                                     \
    {                                                                                                                  \
        __u64 n = 0;                                                                                                   \
                                                                                                                       \
        EACH                                                                                                           \
        {                                                                                                              \
            made;                                                                                                      \
            n++;                                                                                                       \
        }                                                                                                              \
        return n;                                                                                                      \
    }

#define KEY8(x)                                                                                                        \
    __u64 key = (x);                                                                                                   \
                                                                                                                       \
    KEEP(&key)

#define KEY64(x)                                                                                                       \
    struct key64 key = {{(x), 1, 2, 3, 4, 5, 6, 7}};                                                                   \
                                                                                                                       \
    KEEP(&key)

PATH(hash_hit_8, KEY8(i * 16), bpf_map_lookup_elem(&hash8, &key))
PATH(hash_miss_8, KEY8(i * 16 + FILLED), !bpf_map_lookup_elem(&hash8, &key))
PATH(hash_hit_64, KEY64(i * 16), bpf_map_lookup_elem(&hash64, &key))
PATH(hash_miss_64, KEY64(i * 16 + FILLED), !bpf_map_lookup_elem(&hash64, &key))
PATH(hash_update_8, KEY8(i * 16), !bpf_map_update_elem(&hash8, &key, &key, BPF_ANY))
PATH(lru_hit_8, KEY8(i * 8), bpf_map_lookup_elem(&lru, &key))

__u64 fresh = LRU;

PATH(lru_evict_8, KEY8(fresh++), !bpf_map_update_elem(&lru_full, &key, &key, BPF_ANY))

static __always_inline int submit(__u64 i)
{
    __u64 *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

    if (!record)
        return 0;
    *record = i;
    bpf_ringbuf_submit(record, 0);
    return 1;
}

PATH(ringbuf, HIDE(i), submit(i))

static __always_inline int look_twice(const __u32 *which, const __u64 *key)
{
    void *map = bpf_map_lookup_elem(&outer, which);

    return map && bpf_map_lookup_elem(map, key);
}

PATH(hash_of_maps, KEY8(i); __u32 which = 1; KEEP(&which), look_twice(&which, &key))

static __always_inline int increment(const __u32 *key)
{
    __u64 *value = bpf_map_lookup_elem(&array, key);

    if (value)
        *value += 1;
    return value != NULL;
}

PATH(array_add, __u32 key = i; KEEP(&key), increment(&key))
PATH(ktime, HIDE(i), bpf_ktime_get_ns())

static __noinline __u64 local(__u64 i)
{
    HIDE(i);
    return i;
}

PATH(local_call, HIDE(i), local(i) == i)

/* As often as Linux lets it; then it goes on here. */
SEC("xdp") int tail_call(struct xdp_md *ctx)
{
    bpf_tail_call_static(ctx, &progs, 1);
    return 1;
}

SEC("xdp") int tail_call_none(struct xdp_md *ctx)
{
    return 1;
}

/* A firewall's first look: a SYN to a port that is open passes, everything else of TCP is dropped. */
SEC("xdp") int decide(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = data + sizeof(*eth);
    struct tcphdr *tcp;
    __u16 port;

    if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
        return XDP_PASS;
    if (ip->protocol != IPPROTO_TCP || ip->ihl < 5)
        return XDP_PASS;
    tcp = (void *)ip + ip->ihl * 4;
    if ((void *)(tcp + 1) > end)
        return XDP_DROP;
    if (!tcp->syn || tcp->ack)
        return XDP_PASS;
    port = tcp->dest;
    if (!bpf_map_lookup_elem(&ports, &port))
        return XDP_DROP;
    return XDP_TX;
}

SEC("xdp") int decide_none(struct xdp_md *ctx)
{
    return XDP_TX;
}

/* What the maps hold before anything is measured. */
SEC("xdp") int fill(struct xdp_md *ctx)
{
    __u16 port = bpf_htons(443);
    __u64 n = 0;

    bpf_map_update_elem(&ports, &port, &n, BPF_ANY);
#pragma clang loop unroll(disable)
    for (__u64 i = 0; i < FILLED; i++) {
        __u64 key = i;
        struct key64 wide = {{i, 1, 2, 3, 4, 5, 6, 7}};

        n += !bpf_map_update_elem(&hash8, &key, &key, BPF_ANY);
        n += !bpf_map_update_elem(&hash64, &wide, &key, BPF_ANY);
        if (i < LRU / 2)
            n += !bpf_map_update_elem(&lru, &key, &key, BPF_ANY);
        n += !bpf_map_update_elem(&lru_full, &key, &key, BPF_ANY);
        if (i < OPS)
            n += !bpf_map_update_elem(&inner, &key, &key, BPF_ANY);
    }
    return n;
}

char _license[] SEC("license") = "GPL";
