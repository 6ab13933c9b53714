/*
 * The network of a run's world: interfaces, routes, neighbours. It never changes once it was made; addresses are in
 * network order, IPv4's in the first word.
 */
#ifndef VM_NET_H
#define VM_NET_H

#include <stdbool.h>
#include <stdint.h>

enum {
    NET_INET = 2,
    NET_INET6 = 10,
    NET_NAME = 16,
    NET_TABLE_DEFAULT = 253,
    NET_TABLE_MAIN = 254,
    NET_TABLE_LOCAL = 255
};

struct net_addr {
    uint32_t family, prefix_len;
    uint32_t addr[4];
};

struct net_iface {
    uint32_t ifindex, mtu;
    const struct net_addr *addrs; /* its own, the first before the others */
    uint32_t n_addrs;
    char name[NET_NAME];
    unsigned char mac[6];
    bool no_forwarding; /* packets that come in by it are not forwarded */
    bool down;
};

/* Linux's RTN_*, as far as lookups tell them apart. */
enum net_route_type { NET_UNICAST, NET_LOCAL, NET_BLACKHOLE, NET_UNREACHABLE, NET_PROHIBIT };

struct net_route {
    uint32_t family, prefix_len;
    uint32_t to[4];
    uint32_t via_family; /* 0: the destination is on the link */
    uint32_t via[4];
    uint32_t src[4]; /* preferred source; 0: the interface's first address of the family */
    bool has_src;
    uint32_t ifindex, metric, table, mtu; /* mtu 0: the interface's */
    uint8_t type;                         /* enum net_route_type */
};

struct net_neigh {
    uint32_t family, ifindex;
    uint32_t addr[4];
    unsigned char mac[6];
    bool invalid; /* incomplete or failed */
};

struct net {
    const struct net_iface *ifaces;
    const struct net_route *routes;
    const struct net_neigh *neighs;
    uint32_t n_ifaces, n_routes, n_neighs;
};

const struct net_iface *net_iface(const struct net *net, uint32_t ifindex);
/** The best route: the longest prefix of the table, then the smallest metric. oif 0: any interface. NULL: none. */
const struct net_route *net_route(const struct net *net, uint32_t family, const uint32_t addr[4], uint32_t table,
                                  uint32_t oif);
/** The same by Linux's rules: the tables of local addresses, main and default, one after the other. */
const struct net_route *net_route_by_rules(const struct net *net, uint32_t family, const uint32_t addr[4],
                                           uint32_t oif);
/** The address that packets to dst, over this route, come from. @return NULL: no interface has one. */
const uint32_t *net_source(const struct net *net, const struct net_route *route, const uint32_t dst[4]);
/** Who has this address on the link. NULL: nobody that is known. */
const struct net_neigh *net_neigh(const struct net *net, uint32_t family, const uint32_t addr[4], uint32_t ifindex);

#endif
