/* A packet program without a field of the kernel's: what skep itself needs. */
#include <linux/bpf.h>

#include <linux/if_ether.h>
#include <linux/ip.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 256);
    __type(key, __u32);
    __type(value, __u64);
} protocols SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    __u32 key;
    __u64 *seen;

    if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
        return XDP_PASS;
    key = ip->protocol;
    seen = bpf_map_lookup_elem(&protocols, &key);
    if (seen)
        __sync_fetch_and_add(seen, 1);
    return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
