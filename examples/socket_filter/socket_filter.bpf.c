/* A socket filter: the socket gets DNS alone, cut to its first 128 bytes, while every IPv4 protocol is counted. */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

enum { KEPT = 128, DNS = 53 };

struct traffic {
    __u64 packets, bytes;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 256);
    __type(key, __u32); /* IP protocol */
    __type(value, struct traffic);
} protocols SEC(".maps");

volatile __u64 kept;

/*
 * The context of a socket filter has no packet pointers: bytes are fetched, and counted from the IP header on, since a
 * packet socket's data begin with the Ethernet header, and those of other sockets and of test runs do not.
 */
static __always_inline int fetch(struct __sk_buff *skb, __u32 off, void *to, __u32 size)
{
    return bpf_skb_load_bytes_relative(skb, off, to, size, BPF_HDR_START_NET);
}

SEC("socket") int dns(struct __sk_buff *skb)
{
    struct traffic first = {};
    struct iphdr ip;
    struct udphdr udp;

    if (skb->protocol != bpf_htons(ETH_P_IP) || fetch(skb, 0, &ip, sizeof(ip)))
        return 0;
    __u32 proto = ip.protocol;
    bpf_map_update_elem(&protocols, &proto, &first, BPF_NOEXIST);
    struct traffic *t = bpf_map_lookup_elem(&protocols, &proto);
    if (t) {
        __sync_fetch_and_add(&t->packets, 1);
        __sync_fetch_and_add(&t->bytes, bpf_ntohs(ip.tot_len));
    }
    if (proto != IPPROTO_UDP || fetch(skb, ip.ihl * 4, &udp, sizeof(udp)))
        return 0;
    if (udp.dest != bpf_htons(DNS) && udp.source != bpf_htons(DNS))
        return 0;
    __sync_fetch_and_add(&kept, 1);
    return KEPT;
}

char _license[] SEC("license") = "GPL";
