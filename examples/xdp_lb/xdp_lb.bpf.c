/*
 * A load balancer without state of connections on the way back: packets to the virtual address go to a backend in an IP
 * packet of their own (IP in IP), which the backend unpacks and answers directly. A flow stays with its backend.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>

enum { BACKENDS = 64 };

const volatile __u8 vip[4] = {10, 9, 9, 9};
const volatile __u16 vport = 80;
const volatile __u8 self[4] = {10, 0, 0, 254};
const volatile __u32 backends = 1; /* how many of the table are in use */

struct backend {
    __u8 addr[4];
    __u8 mac[6];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, BACKENDS);
    __type(key, __u32);
    __type(value, struct backend);
} table SEC(".maps");

struct flow {
    __u8 addr[4];
    __be16 port;
    __u16 pad;
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct flow);
    __type(value, __u32); /* backend */
} flows SEC(".maps");

struct stat {
    __u64 flows, packets, bytes;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, BACKENDS);
    __type(key, __u32);
    __type(value, struct stat);
} stats SEC(".maps");

static __always_inline __u32 mix(__u32 h)
{
    h = (h ^ (h >> 16)) * 0x85ebca6b;
    h = (h ^ (h >> 13)) * 0xc2b2ae35;
    return h ^ (h >> 16);
}

static __always_inline __u16 header_sum(const struct iphdr *ip)
{
    const __u16 *words = (const void *)ip;
    __u32 sum = 0;

    for (int i = 0; i < 10; i++)
        sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    return ~(sum + (sum >> 16));
}

/* A new flow is given by its hash to one of the backends, and keeps it when their number changes. */
static __always_inline __u32 backend_of(const struct iphdr *ip, __be16 port)
{
    struct flow f = {.port = port};
    __builtin_memcpy(f.addr, &ip->saddr, 4);
    __u32 *known = bpf_map_lookup_elem(&flows, &f);
    if (known)
        return *known;

    __u32 n = backends, chosen = n ? mix(ip->saddr ^ (__u32)port << 16 ^ port) % n : 0;
    bpf_map_update_elem(&flows, &f, &chosen, BPF_ANY);
    struct stat *s = bpf_map_lookup_elem(&stats, &chosen);
    if (s)
        __sync_fetch_and_add(&s->flows, 1);
    return chosen;
}

static __always_inline int encapsulate(struct xdp_md *ctx, const struct backend *to, __u16 inner_len)
{
    if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct iphdr)))
        return XDP_ABORTED;
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);

    if ((void *)(ip + 1) > end)
        return XDP_ABORTED;
    __builtin_memcpy(eth->h_dest, to->mac, sizeof(to->mac));
    __builtin_memcpy(eth->h_source, (__u8[6]){2, 0, 0, 0, 0, 254}, 6);
    eth->h_proto = bpf_htons(ETH_P_IP);
    __builtin_memset(ip, 0, sizeof(*ip));
    ip->version = 4;
    ip->ihl = 5;
    ip->ttl = 64;
    ip->protocol = IPPROTO_IPIP;
    ip->tot_len = bpf_htons(inner_len + sizeof(*ip));
    __builtin_memcpy(&ip->saddr, (const void *)self, 4);
    __builtin_memcpy(&ip->daddr, to->addr, 4);
    ip->check = header_sum(ip);
    return XDP_TX;
}

SEC("xdp") int balance(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    __be16 *ports = (void *)(ip + 1);
    __u32 vaddr;

    __builtin_memcpy(&vaddr, (const void *)vip, 4);
    if ((void *)(ports + 2) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 ||
        ip->protocol != IPPROTO_TCP || ip->daddr != vaddr || ports[1] != bpf_htons(vport))
        return XDP_PASS;

    __u16 len = bpf_ntohs(ip->tot_len);
    __u32 chosen = backend_of(ip, ports[0]);
    struct backend *to = bpf_map_lookup_elem(&table, &chosen);
    struct stat *s = bpf_map_lookup_elem(&stats, &chosen);
    if (!to || !s)
        return XDP_ABORTED;
    __sync_fetch_and_add(&s->packets, 1);
    __sync_fetch_and_add(&s->bytes, len);
    return encapsulate(ctx, to, len);
}

char _license[] SEC("license") = "GPL";
