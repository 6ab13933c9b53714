// SPDX-License-Identifier: BSD-2-Clause
// An XDP firewall: drops packets from blocked IPv4 sources and to one blocked TCP port, answers nothing, counts every
// packet by what became of it, and reports each drop through a ring buffer. It reads Ethernet with up to two VLAN tags.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/types.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct ipv4 {
    __u8 addr[4];
};

struct rule {
    __u64 packets;
    __u64 bytes;
};

enum reason {
    PASSED_OTHER,
    PASSED_TCP,
    PASSED_UDP,
    DROPPED_SOURCE,
    DROPPED_PORT,
    DROPPED_MALFORMED,
    REASONS,
};

struct event {
    __u64 time_ns;
    struct ipv4 source;
    __u16 port;
    __u16 length;
    enum reason reason;
};
const struct event *unused_event __attribute__((unused)); /* puts the type into BTF, so that events are shown by it */

struct vlan {
    __be16 tag;
    __be16 proto;
};

/* Which TCP port nobody may reach; 0 for none. Set before loading. */
const volatile __u16 blocked_port = 23;

/* How often the program ran. */
__u64 packets_seen;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, struct ipv4);
    __type(value, struct rule);
} blocked SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, REASONS);
    __type(key, __u32);
    __type(value, struct rule);
} stats SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 64 * 1024);
} events SEC(".maps");

static void report(struct ipv4 source, __u16 port, __u16 length, enum reason reason)
{
    struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

    if (!event)
        return;
    event->time_ns = bpf_ktime_get_ns();
    event->source = source;
    event->port = port;
    event->length = length;
    event->reason = reason;
    bpf_ringbuf_submit(event, 0);
}

static __always_inline enum reason judge(void *data, void *data_end)
{
    struct ethhdr *eth = data;
    __be16 proto;
    void *next = eth + 1;
    __u16 length = data_end - data;

    if (next > data_end)
        return DROPPED_MALFORMED;
    proto = eth->h_proto;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        struct vlan *vlan = next;

        if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
            break;
        if ((void *)(vlan + 1) > data_end)
            return DROPPED_MALFORMED;
        proto = vlan->proto;
        next = vlan + 1;
    }
    if (proto != bpf_htons(ETH_P_IP))
        return PASSED_OTHER;

    struct iphdr *ip = next;
    struct ipv4 source;
    struct rule *rule;

    if ((void *)(ip + 1) > data_end || ip->ihl < 5)
        return DROPPED_MALFORMED;
    __builtin_memcpy(&source, &ip->saddr, sizeof(source));
    rule = bpf_map_lookup_elem(&blocked, &source);
    if (rule) {
        __sync_fetch_and_add(&rule->packets, 1);
        __sync_fetch_and_add(&rule->bytes, length);
        report(source, 0, length, DROPPED_SOURCE);
        return DROPPED_SOURCE;
    }
    next = (void *)ip + ip->ihl * 4;
    if (ip->protocol == IPPROTO_UDP)
        return next + sizeof(struct udphdr) > data_end ? DROPPED_MALFORMED : PASSED_UDP;
    if (ip->protocol != IPPROTO_TCP)
        return PASSED_OTHER;

    struct tcphdr *tcp = next;

    if ((void *)(tcp + 1) > data_end)
        return DROPPED_MALFORMED;
    if (blocked_port && tcp->dest == bpf_htons(blocked_port)) {
        report(source, blocked_port, length, DROPPED_PORT);
        bpf_printk("port %d is closed to %pI4", blocked_port, &ip->saddr);
        return DROPPED_PORT;
    }
    return PASSED_TCP;
}

SEC("xdp")
int firewall(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data;
    void *data_end = (void *)(long)ctx->data_end;
    enum reason reason = judge(data, data_end);
    __u32 key = reason;
    struct rule *count = bpf_map_lookup_elem(&stats, &key);

    packets_seen++;
    if (count) {
        count->packets++;
        count->bytes += data_end - data;
    }
    return reason >= DROPPED_SOURCE ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
