/* A program that leaves something in its context, for `skep diff`. */
#include "kernel.h"

struct skb { /* struct __sk_buff */
    __u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority;
};

SEC("tc")
int marks(struct skb *skb)
{
    skb->mark = skb->priority * 2 + bpf_get_numa_node_id();
    return 0;
}
