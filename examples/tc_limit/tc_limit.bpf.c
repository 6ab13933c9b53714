/*
 * A rate limiter: each source address has a bucket of bytes that fills at a steady rate up to a burst; a packet takes
 * its length out, or is dropped.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>

#define SECOND 1000000ull /* microseconds */

const volatile __u64 rate = 125000; /* bytes a second, below 5 GB */
const volatile __u64 burst = 10000; /* bytes */

struct source {
    __u8 addr[4];
};

struct bucket {
    struct bpf_spin_lock lock;
    __u32 pad;
    __u64 bytes, filled; /* what is in it, and when that was */
    __u64 passed, dropped;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, struct source);
    __type(value, struct bucket);
} buckets SEC(".maps");

/* Packets of one source may be looked at on several CPUs at once: one at a time takes from its bucket. */
static __always_inline int take(struct bucket *b, __u64 now, __u32 len)
{
    int verdict = TC_ACT_OK;

    bpf_spin_lock(&b->lock);
    __u64 since = now > b->filled ? (now - b->filled) / 1000 : 0;
    if (since > 3600 * SECOND) /* the product below fits into 64 bits */
        since = 3600 * SECOND;
    b->bytes += since * rate / SECOND;
    if (b->bytes > burst)
        b->bytes = burst;
    b->filled = now;
    if (b->bytes >= len) {
        b->bytes -= len;
        b->passed++;
    } else {
        b->dropped++;
        verdict = TC_ACT_SHOT;
    }
    bpf_spin_unlock(&b->lock);
    return verdict;
}

SEC("tc") int limit(struct __sk_buff *skb)
{
    void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    struct source from;

    if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
        return TC_ACT_OK;
    __builtin_memcpy(&from, &ip->saddr, sizeof(from));
    __u64 now = bpf_ktime_get_ns();
    struct bucket *b = bpf_map_lookup_elem(&buckets, &from);
    if (!b) {
        struct bucket full = {.bytes = burst, .filled = now};
        bpf_map_update_elem(&buckets, &from, &full, BPF_NOEXIST);
        b = bpf_map_lookup_elem(&buckets, &from);
        if (!b) /* more sources than there is room for */
            return TC_ACT_OK;
    }
    return take(b, now, skb->len);
}

char _license[] SEC("license") = "GPL";
