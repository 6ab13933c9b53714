/* A packet filter: IPv4 packets to a blocked protocol and port are dropped where the driver hands them over. */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>

struct service {
    __u16 proto;
    __u16 port;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, struct service);
    __type(value, __u64); /* packets dropped */
} blocked SEC(".maps");

struct drop {
    __u8 source[4];
    struct service to;
};

/* So that types have it: events of `drops` are shown through it. */
const struct drop *unused __attribute__((unused));

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 64 * 1024);
} drops SEC(".maps");

volatile __u64 passed, dropped;

SEC("xdp") int filter(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);

    if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
        return XDP_PASS;

    /* TCP and UDP begin with the same two ports. */
    __be16 *ports = (void *)ip + ip->ihl * 4;
    if ((void *)(ports + 2) > end || (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP))
        return XDP_PASS;

    struct drop d = {.to = {ip->protocol, bpf_ntohs(ports[1])}};
    __u64 *hits = bpf_map_lookup_elem(&blocked, &d.to);
    if (!hits) {
        __sync_fetch_and_add(&passed, 1);
        return XDP_PASS;
    }
    __sync_fetch_and_add(hits, 1);
    __sync_fetch_and_add(&dropped, 1);
    __builtin_memcpy(d.source, &ip->saddr, 4);
    bpf_ringbuf_output(&drops, &d, sizeof(d), 0);
    return XDP_DROP;
}

char _license[] SEC("license") = "GPL";
