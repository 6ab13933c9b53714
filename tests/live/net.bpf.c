/* A firewall by UDP port for a veth pair: what came of each of our packets is counted, whoever runs it. */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

enum { OURS = 4242, DROP = 1001, PASS, TX, REDIRECT };

const volatile __u32 out_ifindex = 1;

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 8);
    __type(key, __u32);
    __type(value, __u64);
} verdicts SEC(".maps");

struct event {
    __u32 port;
    __u32 verdict;
};

const struct event *unused __attribute__((unused));

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 65536);
} events SEC(".maps");

static __always_inline int port_of(void *data, void *end)
{
    struct ethhdr *eth = data;
    struct iphdr *ip = (void *)(eth + 1);
    struct udphdr *udp = (void *)(ip + 1);

    if ((void *)(udp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_UDP ||
        udp->source != bpf_htons(OURS))
        return 0;
    return bpf_ntohs(udp->dest);
}

static __always_inline void count(__u32 verdict)
{
    __u64 *n = bpf_map_lookup_elem(&verdicts, &verdict);

    if (n)
        __sync_fetch_and_add(n, 1);
}

SEC("xdp") int firewall(struct xdp_md *ctx)
{
    int port = port_of((void *)(long)ctx->data, (void *)(long)ctx->data_end);
    struct event e = {.port = port};

    if (!port)
        return XDP_PASS;
    e.verdict = port == DROP ? XDP_DROP : port == TX ? XDP_TX : port == REDIRECT ? XDP_REDIRECT : XDP_PASS;
    count(e.verdict);
    bpf_ringbuf_output(&events, &e, sizeof(e), 0);
    return e.verdict == XDP_REDIRECT ? bpf_redirect(out_ifindex, 0) : e.verdict;
}

static __always_inline int classify(struct __sk_buff *skb)
{
    int port = port_of((void *)(long)skb->data, (void *)(long)skb->data_end);

    if (port)
        count(port == DROP ? TC_ACT_SHOT : TC_ACT_OK);
    return port == DROP ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc") int tc_in(struct __sk_buff *skb)
{
    return classify(skb);
}

SEC("tcx/egress") int tc_out(struct __sk_buff *skb)
{
    return classify(skb);
}

SEC("socket") int filter(struct __sk_buff *skb)
{
    __u16 port = 0;

    bpf_skb_load_bytes(skb, 34, &port, sizeof(port));
    if (port == bpf_htons(OURS))
        count(5);
    return 0;
}

SEC("cgroup_skb/egress") int cg_out(struct __sk_buff *skb)
{
    (void)skb;
    count(6);
    return 1;
}

SEC("sk_lookup") int lookup(struct bpf_sk_lookup *ctx)
{
    (void)ctx;
    return SK_PASS;
}

SEC("flow_dissector") int dissect(struct __sk_buff *skb)
{
    (void)skb;
    return BPF_OK;
}

SEC("netkit/primary") int netkit(struct __sk_buff *skb)
{
    return classify(skb);
}

SEC("sk_skb/stream_verdict") int stream(struct __sk_buff *skb)
{
    (void)skb;
    return SK_PASS;
}

char _license[] SEC("license") = "GPL";
