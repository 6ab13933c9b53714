/* Lookups are walks: a world is written by hand. */
#include "vm/net.h"
#include <stddef.h>
#include <string.h>

const struct net_iface *net_iface(const struct net *net, uint32_t ifindex)
{
    for (uint32_t i = 0; i < net->n_ifaces; i++)
        if (net->ifaces[i].ifindex == ifindex)
            return &net->ifaces[i];
    return NULL;
}

static bool same_prefix(const uint32_t *a, const uint32_t *b, uint32_t bits)
{
    const unsigned char *x = (const unsigned char *)a, *y = (const unsigned char *)b;
    uint32_t rest = bits % 8;

    return !memcmp(x, y, bits / 8) && (!rest || (x[bits / 8] ^ y[bits / 8]) >> (8 - rest) == 0);
}

static bool is_better(const struct net_route *a, const struct net_route *b)
{
    return a->prefix_len != b->prefix_len ? a->prefix_len > b->prefix_len : a->metric < b->metric;
}

const struct net_route *net_route(const struct net *net, uint32_t family, const uint32_t addr[4], uint32_t table,
                                  uint32_t oif)
{
    const struct net_route *best = NULL;

    for (uint32_t i = 0; i < net->n_routes; i++) {
        const struct net_route *r = &net->routes[i];

        if (r->family == family && r->table == table && (!oif || !r->ifindex || r->ifindex == oif) &&
            same_prefix(r->to, addr, r->prefix_len) && (!best || is_better(r, best)))
            best = r;
    }
    return best;
}

const struct net_neigh *net_neigh(const struct net *net, uint32_t family, const uint32_t addr[4], uint32_t ifindex)
{
    for (uint32_t i = 0; i < net->n_neighs; i++) {
        const struct net_neigh *n = &net->neighs[i];

        if (n->family == family && n->ifindex == ifindex &&
            !memcmp(n->addr, addr, family == NET_INET ? 4 : sizeof(n->addr)))
            return n;
    }
    return NULL;
}
