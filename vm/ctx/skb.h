/*
 * Socket buffers: struct __sk_buff as programs see it, and what lies behind it and only helpers know. The environment's
 * packet holds the bytes and where MAC and network header begin; the shadow that r1 points to holds all other fields
 * and is the only place where they stand, so that a program's stores and a helper's changes meet there.
 */
#ifndef VM_CTX_SKB_H
#define VM_CTX_SKB_H

#include "vm/env.h"

/* Linux's struct __sk_buff, offsets as in vm/abi/ctx.def. */
struct skb_view {
    uint32_t len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority,
        ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end, napi_id, family, remote_ip4,
        local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port, data_meta;
    uint64_t flow_keys, tstamp;
    uint32_t wire_len, gso_segs;
    uint64_t sk;
    uint32_t gso_size;
    uint8_t tstamp_type, pad[3];
    uint64_t hwtstamp;
};

/* Of skb->ip_summed, what helpers tell apart. */
enum { SKB_CSUM_NONE, SKB_CSUM_UNNECESSARY };

enum { SKB_TUNNEL_OPT = 255 & ~3 /* IP_TUNNEL_OPTS_MAX, in words */ };

struct skb {
    bool is_l2;         /* data begins with the MAC header */
    bool encapsulation; /* adjust_room put an outer header before the packet */
    bool hash_set;      /* the view's hash is one to keep, not to compute */
    uint8_t ip_summed, csum_level;
    int32_t srh_grown; /* bytes by which a segment routing header differs from what it says of itself */
    bool has_tunnel;
    uint16_t tunnel_flags; /* of the outer header, big-endian */
    bool tunnel_ipv6;
    bool has_tunnel_opt;
    uint8_t tunnel_opt_len;
    unsigned char tunnel_opt[SKB_TUNNEL_OPT];
    unsigned char tunnel[44]; /* struct bpf_tunnel_key as it was set */
};

static inline struct skb_view *skb_view(struct skep_env *env)
{
    return env->ctx;
}

/** What eth_type_trans() says of an Ethernet header: a protocol number, big-endian. */
uint16_t skb_eth_protocol(const unsigned char *eth, uint32_t len);

#endif
