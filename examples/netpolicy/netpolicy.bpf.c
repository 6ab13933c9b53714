/*
 * A network policy, as container networks have it: addresses carry labels, and an endpoint with a policy takes nothing
 * but what a rule allows from one label to another on a port. It stands where packets reach the endpoint.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>

enum label { WORLD, A, B, C };

struct address {
    __u8 ip[4];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, struct address);
    __type(value, enum label);
} labels SEC(".maps");

struct rule {
    enum label from, to;
    __u16 proto, port;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, struct rule);
    __type(value, __u64); /* packets allowed by it */
} rules SEC(".maps");

struct denial {
    struct rule why;
    struct address from, to;
};

/* So that types have it: events of `denials` are shown through it. */
const struct denial *unused __attribute__((unused));

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 64 * 1024);
} denials SEC(".maps");

volatile __u64 allowed, denied;

static __always_inline enum label label_of(const void *ip)
{
    struct address a;
    __builtin_memcpy(&a, ip, sizeof(a));
    enum label *l = bpf_map_lookup_elem(&labels, &a);
    return l ? *l : WORLD;
}

SEC("tc") int police(struct __sk_buff *skb)
{
    void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    struct denial d = {};

    if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
        return TC_ACT_OK;
    d.why.from = label_of(&ip->saddr);
    d.why.to = label_of(&ip->daddr);
    if (d.why.to == WORLD)
        return TC_ACT_OK;

    /* What is no whole TCP or UDP header, fragments too, has port 0, which no rule names. */
    __be16 *ports = (void *)(ip + 1);
    d.why.proto = ip->protocol;
    if ((void *)(ports + 2) <= end && ip->ihl == 5 && !(ip->frag_off & bpf_htons(0x3fff)) &&
        (ip->protocol == IPPROTO_TCP || ip->protocol == IPPROTO_UDP))
        d.why.port = bpf_ntohs(ports[1]);

    __u64 *hits = d.why.port ? bpf_map_lookup_elem(&rules, &d.why) : 0;
    if (hits) {
        __sync_fetch_and_add(hits, 1);
        __sync_fetch_and_add(&allowed, 1);
        return TC_ACT_OK;
    }
    __sync_fetch_and_add(&denied, 1);
    __builtin_memcpy(&d.from, &ip->saddr, 4);
    __builtin_memcpy(&d.to, &ip->daddr, 4);
    bpf_ringbuf_output(&denials, &d, sizeof(d), 0);
    return TC_ACT_SHOT;
}

char _license[] SEC("license") = "GPL";
